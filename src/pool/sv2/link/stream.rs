//! Frames through the ciphers: each header by itself, each payload in chunks.

use crate::pool::connection::Stream;
use framing_sv2::header::Header;
use framing_sv2::{SV2_FRAME_CHUNK_SIZE, SV2_FRAME_HEADER_SIZE};
use noise_sv2::{AEAD_MAC_LEN, NoiseDecryptor, NoiseEncryptor, NoiseEngine};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest payload of a frame that is taken. The longest message that a miner can have use for, a job with both parts
/// of its coinbase at their longest and 255 branches, has 140 KB.
pub const LONGEST_FRAME: usize = 256 * 1024;
/// Plain bytes of a chunk.
const CHUNK: usize = SV2_FRAME_CHUNK_SIZE - AEAD_MAC_LEN;
/// Bytes of an encrypted header.
const HEADER: usize = SV2_FRAME_HEADER_SIZE + AEAD_MAC_LEN;
/// Memory that is kept between frames; what a rare long one needed beyond it is given back.
const KEPT: usize = 16 * 1024;

/// A connection whose bytes are Stratum v2 frames, encrypted on the way.
pub struct NoiseStream {
    inner: Box<dyn Stream>,
    reading: Reading,
    writing: Writing,
}

struct Reading {
    decryptor: NoiseDecryptor,
    /// Encrypted bytes of the present header or chunk, as many as are wanted.
    encrypted: Vec<u8>,
    /// How many of them have come.
    filled: usize,
    /// Plain bytes of the payload that are still to come behind the present header or chunk.
    payload_left: usize,
    /// Whether a header is being read, and no chunk.
    at_header: bool,
    plain: Vec<u8>,
    /// Plain bytes that are given out already.
    given: usize,
    failed: bool,
}

struct Writing {
    encryptor: NoiseEncryptor,
    /// Plain bytes of a frame that is not whole yet.
    plain: Vec<u8>,
    encrypted: Vec<u8>,
    /// Encrypted bytes that are sent already.
    sent: usize,
}

impl NoiseStream {
    /// Over a connection whose handshake is done.
    pub fn new(inner: Box<dyn Stream>, engine: NoiseEngine) -> Self {
        let (encryptor, decryptor) = engine.into_split();
        Self {
            inner,
            reading: Reading {
                decryptor,
                encrypted: vec![0; HEADER],
                filled: 0,
                payload_left: 0,
                at_header: true,
                plain: Vec::new(),
                given: 0,
                failed: false,
            },
            writing: Writing {
                encryptor,
                plain: Vec::new(),
                encrypted: Vec::new(),
                sent: 0,
            },
        }
    }

    /// Sends what is encrypted.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let writing = &mut self.writing;
        while let Some(rest) = writing
            .encrypted
            .get(writing.sent..)
            .filter(|rest| !rest.is_empty())
        {
            match ready!(Pin::new(&mut *self.inner).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                length => writing.sent += length,
            }
        }
        writing.encrypted.clear();
        writing.encrypted.shrink_to(KEPT);
        writing.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl Reading {
    /// Takes a whole header or chunk.
    fn decrypt(&mut self) -> io::Result<()> {
        let broken = |words: String| io::Error::new(io::ErrorKind::InvalidData, words);
        self.decryptor
            .decrypt(&mut self.encrypted)
            .map_err(|_| broken("bytes that the pool has not encrypted".into()))?;
        if self.at_header {
            let header = Header::from_bytes(&self.encrypted)
                .map_err(|error| broken(format!("{error:?}")))?;
            self.payload_left = header.payload_length();
            if self.payload_left > LONGEST_FRAME {
                return Err(broken(format!(
                    "a frame of {} bytes; at most {LONGEST_FRAME} are taken",
                    self.payload_left
                )));
            }
        }
        self.plain.extend_from_slice(&self.encrypted);
        let chunk = self.payload_left.min(CHUNK);
        self.payload_left -= chunk;
        self.at_header = chunk == 0;
        let wanted = if self.at_header {
            HEADER
        } else {
            chunk + AEAD_MAC_LEN
        };
        self.encrypted.clear();
        self.encrypted.resize(wanted, 0);
        if self.at_header {
            self.encrypted.shrink_to(KEPT);
        }
        self.filled = 0;
        Ok(())
    }
}

impl AsyncRead for NoiseStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let reading = &mut this.reading;
            let rest = reading.plain.get(reading.given..).unwrap_or_default();
            if let Some(part) = rest
                .get(..rest.len().min(buffer.remaining()))
                .filter(|part| !part.is_empty())
            {
                buffer.put_slice(part);
                reading.given += part.len();
                return Poll::Ready(Ok(()));
            }
            if buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            reading.plain.clear();
            reading.plain.shrink_to(KEPT);
            reading.given = 0;
            if reading.failed {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            let missing = reading
                .encrypted
                .get_mut(reading.filled..)
                .unwrap_or_default();
            if missing.is_empty() {
                if let Err(error) = reading.decrypt() {
                    // Past a failure the ciphers of both ends are out of step.
                    reading.failed = true;
                    return Poll::Ready(Err(error));
                }
                continue;
            }
            let mut into = ReadBuf::new(missing);
            ready!(Pin::new(&mut *this.inner).poll_read(context, &mut into))?;
            match into.filled().len() {
                0 if reading.filled == 0 && reading.at_header => return Poll::Ready(Ok(())),
                0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                length => reading.filled += length,
            }
        }
    }
}

impl Writing {
    /// Encrypts every frame that is whole.
    fn encrypt(&mut self) -> io::Result<()> {
        loop {
            let Ok(header) = Header::from_bytes(&self.plain) else {
                return Ok(());
            };
            let length = SV2_FRAME_HEADER_SIZE + header.payload_length();
            if header.payload_length() > LONGEST_FRAME {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a frame too long to be sent",
                ));
            }
            if self.plain.len() < length {
                return Ok(());
            }
            let frame: Vec<u8> = self.plain.drain(..length).collect();
            let (header, payload) = frame.split_at(SV2_FRAME_HEADER_SIZE);
            for part in std::iter::once(header).chain(payload.chunks(CHUNK)) {
                let mut bytes = part.to_vec();
                self.encryptor
                    .encrypt(&mut bytes)
                    .map_err(|_| io::Error::other("the ciphers are spent"))?;
                self.encrypted.append(&mut bytes);
            }
        }
    }
}

impl AsyncWrite for NoiseStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(context))?;
        self.writing.plain.extend_from_slice(bytes);
        self.writing.encrypt()?;
        // Whatever does not fit into the connection now is sent by the next write or flush.
        match self.poll_drain(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(context))?;
        Pin::new(&mut *self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(context))?;
        Pin::new(&mut *self.inner).poll_shutdown(context)
    }
}
