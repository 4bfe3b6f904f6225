//! The pool's end of a connection: handshake and frames by the reference implementation.

use binary_sv2::{GetSize, Serialize};
use cgminer_rs::pool::authority::AuthorityKey;
use cgminer_rs::pool::base58;
use codec_sv2::{
    Decrypted, Handshake, MessageFrame, NoiseDecoder, NoiseEncoder, TransportDecryptState,
    TransportEncryptState,
};
use noise_sv2::{ELLSWIFT_ENCODING_SIZE, Responder};
use std::time::Duration;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, split,
};

/// Test keys of the reference implementation's configuration examples (github.com/stratum-mining/sv2-apps).
pub const PUBLIC: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
const SECRET: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";

/// What can be read.
pub struct Reader<S = DuplexStream> {
    bytes: ReadHalf<S>,
    decoder: NoiseDecoder,
    state: Option<TransportDecryptState>,
}

/// What can be written.
pub struct Writer<S = DuplexStream> {
    pub bytes: WriteHalf<S>,
    state: TransportEncryptState,
}

/// Does the handshake with the key of the tests, and a certificate for the day from `now` on, in seconds since 1970.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    now: u64,
) -> std::io::Result<(Reader<S>, Writer<S>)> {
    let mut first = [0; ELLSWIFT_ENCODING_SIZE];
    stream.read_exact(&mut first).await?;
    let secret: [u8; 36] = base58::decode_check(SECRET).unwrap();
    let public: AuthorityKey = PUBLIC.parse().unwrap();
    let validity = Duration::from_secs(86_400);
    let secret = secret[..32].try_into().unwrap();
    let responder = Responder::from_authority_kp(&public.0, secret, validity).unwrap();
    let (answer, transport) = Handshake::responder(responder)
        .step_1_with_now_rng(first, now as u32, &mut rand::rngs::OsRng)
        .unwrap();
    stream.write_all(answer.payload()).await?;
    let (encrypt, decrypt) = transport.split();
    let (reader, writer) = split(stream);
    Ok((
        Reader {
            bytes: reader,
            decoder: NoiseDecoder::new(),
            state: Some(decrypt),
        },
        Writer {
            bytes: writer,
            state: encrypt,
        },
    ))
}

impl<S: AsyncRead> Reader<S> {
    /// The next message: its kind and its bytes. Can be dropped and called again.
    pub async fn next(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        loop {
            let state = self.state.take().expect("no error before");
            match self
                .decoder
                .next_transport_frame(state)
                .expect("miners encrypt well")
            {
                Decrypted::Frame(mut frame, state) => {
                    self.state = Some(state);
                    let channel_message = frame.header().channel_msg();
                    let kind = frame.header().msg_type();
                    assert_eq!(
                        channel_message,
                        matches!(kind, 0x16 | 0x1a | 0x1b),
                        "{kind:x}"
                    );
                    return Ok((kind, frame.payload().to_vec()));
                }
                Decrypted::Incomplete(_, state) => {
                    self.state = Some(state);
                    // Miners send small frames whole, so this is not cut within one.
                    self.bytes.read_exact(self.decoder.writable()).await?;
                }
            }
        }
    }
}

impl<S: AsyncWrite> Writer<S> {
    /// Sends a message.
    pub async fn say<T: Serialize + GetSize>(
        &mut self,
        message: T,
        kind: u8,
    ) -> std::io::Result<()> {
        let of_channel = kind >= 0x15;
        let frame = MessageFrame::from_message(message, kind, 0, of_channel).unwrap();
        let bytes = NoiseEncoder::new()
            .encode_transport(frame, &mut self.state)
            .unwrap();
        self.bytes.write_all(bytes.as_ref()).await
    }

    /// Sends any frame.
    pub async fn raw(&mut self, frame: Vec<u8>) -> std::io::Result<()> {
        let frame = framing_sv2::framing::SerializedFrame::<Vec<u8>>::from_bytes(frame).unwrap();
        let bytes = NoiseEncoder::new()
            .encode_transport(frame, &mut self.state)
            .unwrap();
        self.bytes.write_all(bytes.as_ref()).await
    }
}
