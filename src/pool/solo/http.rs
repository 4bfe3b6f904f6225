//! One HTTP/1.1 answer, taken in as its bytes come.
//!
//! Pure: no connection, no clock. Bodies by length, by chunks and up to the end of the connection are understood, since
//! a proxy may stand before the node.

use thiserror::Error;

/// Longest status line and headers together.
pub const LONGEST_HEAD: usize = 16 * 1024;
/// Most headers.
const MOST_HEADERS: usize = 64;
/// Longest line that names a chunk's size, or one trailer line.
const LONGEST_CHUNK_LINE: usize = 1024;

/// Why bytes are no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HttpError {
    /// The status line or a header is malformed.
    #[error("the answer is no HTTP ({0}): is this the node's RPC port?")]
    Malformed(&'static str),
    /// The headers do not end.
    #[error(
        "the answer's headers are longer than {LONGEST_HEAD} bytes: is this the node's RPC port?"
    )]
    HeadTooLong,
    /// More body than the caller takes.
    #[error("the answer is longer than the {limit} bytes that this call allows")]
    BodyTooLong {
        /// Most bytes the caller takes.
        limit: usize,
    },
    /// The connection ended before the answer did.
    #[error("the connection ended in the middle of the answer")]
    CutShort,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Body, chunks joined.
    pub body: Vec<u8>,
}

/// Puts an answer together from pieces.
///
/// ```text
/// head -> sized ---------------------------> complete
///      -> chunk line -> chunk -> chunk end -^   (by way of the trailer)
///      -> until close (complete when the connection ends)
/// ```
#[derive(Debug)]
pub struct ResponseDecoder {
    limit: usize,
    stage: Stage,
    status: u16,
    /// The head while it is incomplete, later a chunk's line.
    line: Vec<u8>,
    body: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Sized { left: usize },
    ChunkLine,
    Chunk { left: usize },
    ChunkEnd,
    Trailer,
    UntilClose,
    Complete,
}

impl ResponseDecoder {
    /// A decoder that refuses bodies beyond `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            stage: Stage::Head,
            status: 0,
            line: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Takes the next bytes of the connection. True when the answer is complete; bytes behind it are dropped.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<bool, HttpError> {
        while !bytes.is_empty() && self.stage != Stage::Complete {
            bytes = self.step(bytes)?;
        }
        Ok(self.stage == Stage::Complete)
    }

    /// The answer, when it is complete or the connection has ended.
    pub fn finish(self) -> Result<Response, HttpError> {
        match self.stage {
            Stage::Complete | Stage::UntilClose => Ok(Response {
                status: self.status,
                body: self.body,
            }),
            _ => Err(HttpError::CutShort),
        }
    }

    /// Takes some of the bytes, at least one, and returns the rest.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], HttpError> {
        match self.stage {
            Stage::Head => self.head(bytes),
            Stage::Sized { left } => {
                let (rest, left) = self.body_bytes(bytes, left)?;
                self.stage = if left == 0 {
                    Stage::Complete
                } else {
                    Stage::Sized { left }
                };
                Ok(rest)
            }
            Stage::Chunk { left } => {
                let (rest, left) = self.body_bytes(bytes, left)?;
                self.stage = if left == 0 {
                    Stage::ChunkEnd
                } else {
                    Stage::Chunk { left }
                };
                Ok(rest)
            }
            Stage::ChunkLine => {
                let (rest, complete) = self.line(bytes)?;
                if complete {
                    self.stage = self.chunk_of_line()?;
                    self.line.clear();
                }
                Ok(rest)
            }
            Stage::ChunkEnd | Stage::Trailer => {
                let (rest, complete) = self.line(bytes)?;
                if complete {
                    let blank = matches!(self.line.as_slice(), b"\r\n" | b"\n");
                    self.stage = match (&self.stage, blank) {
                        (Stage::ChunkEnd, true) => Stage::ChunkLine,
                        (Stage::ChunkEnd, false) => return Err(HttpError::Malformed("chunk")),
                        (_, true) => Stage::Complete,
                        (_, false) => Stage::Trailer,
                    };
                    self.line.clear();
                }
                Ok(rest)
            }
            Stage::UntilClose => {
                let (rest, _) = self.body_bytes(bytes, bytes.len())?;
                Ok(rest)
            }
            Stage::Complete => Ok(&[]),
        }
    }

    /// Collects the head byte by byte, since the body may begin in the same piece.
    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], HttpError> {
        for (index, byte) in bytes.iter().enumerate() {
            if self.line.len() >= LONGEST_HEAD {
                return Err(HttpError::HeadTooLong);
            }
            self.line.push(*byte);
            if self.line.ends_with(b"\r\n\r\n") || self.line.ends_with(b"\n\n") {
                self.begin_body()?;
                return Ok(bytes.get(index + 1..).unwrap_or_default());
            }
        }
        Ok(&[])
    }

    fn begin_body(&mut self) -> Result<(), HttpError> {
        let line = std::mem::take(&mut self.line);
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&line) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HttpError::Malformed("status line")),
            Err(error) => return Err(malformed(error)),
        }
        self.status = response.code.unwrap_or_default();
        let header = |name: &str| {
            response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name))
                .map(|header| header.value.trim_ascii())
        };
        self.stage = match self.status {
            // An interim answer; the real one follows.
            100..=199 => Stage::Head,
            204 | 304 => Stage::Complete,
            _ => match (header("transfer-encoding"), header("content-length")) {
                (Some(encoding), _) if encoding.eq_ignore_ascii_case(b"chunked") => {
                    Stage::ChunkLine
                }
                (Some(_), _) => return Err(HttpError::Malformed("transfer encoding")),
                (None, Some(length)) => match self.length(length)? {
                    0 => Stage::Complete,
                    left => Stage::Sized { left },
                },
                (None, None) => Stage::UntilClose,
            },
        };
        Ok(())
    }

    /// A `Content-Length`, checked against the limit before a byte of it is kept.
    fn length(&self, text: &[u8]) -> Result<usize, HttpError> {
        let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(text)
            .ok()
            .filter(|_| digits)
            .and_then(|text| text.parse::<usize>().ok())
            .ok_or(HttpError::Malformed("content length"))?;
        self.within_limit(length)
    }

    fn within_limit(&self, more: usize) -> Result<usize, HttpError> {
        let room = self.limit.saturating_sub(self.body.len());
        if more > room {
            return Err(HttpError::BodyTooLong { limit: self.limit });
        }
        Ok(more)
    }

    /// Appends up to `wanted` bytes to the body; returns the rest and how many are still wanted.
    fn body_bytes<'a>(
        &mut self,
        bytes: &'a [u8],
        wanted: usize,
    ) -> Result<(&'a [u8], usize), HttpError> {
        let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
        self.within_limit(taken.len())?;
        self.body.extend_from_slice(taken);
        Ok((rest, wanted - taken.len()))
    }

    /// Collects one line; true when its end has come.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Result<(&'a [u8], bool), HttpError> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (taken, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        if self.line.len() + taken.len() > LONGEST_CHUNK_LINE {
            return Err(HttpError::Malformed("chunk line"));
        }
        self.line.extend_from_slice(taken);
        Ok((rest, end.is_some()))
    }

    fn chunk_of_line(&self) -> Result<Stage, HttpError> {
        match httparse::parse_chunk_size(&self.line) {
            Ok(httparse::Status::Complete((_, 0))) => Ok(Stage::Trailer),
            Ok(httparse::Status::Complete((_, size))) => {
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                Ok(Stage::Chunk {
                    left: self.within_limit(size)?,
                })
            }
            _ => Err(HttpError::Malformed("chunk size")),
        }
    }
}

fn malformed(error: httparse::Error) -> HttpError {
    HttpError::Malformed(match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => "header",
        httparse::Error::TooManyHeaders => "too many headers",
        httparse::Error::Status | httparse::Error::Version => "status line",
        _ => "head",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]]) -> Result<Response, HttpError> {
        let mut decoder = ResponseDecoder::new(64);
        for piece in pieces {
            if decoder.push(piece)? {
                break;
            }
        }
        decoder.finish()
    }

    fn body(pieces: &[&[u8]]) -> String {
        String::from_utf8(decode(pieces).unwrap().body).unwrap()
    }

    const SIZED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn a_body_of_stated_length_is_complete_without_waiting_for_the_end() {
        let mut decoder = ResponseDecoder::new(64);
        assert_eq!(decoder.push(SIZED), Ok(true));
        assert_eq!(decoder.finish().unwrap().body, b"hello");
    }

    #[test]
    fn an_answer_may_come_in_any_pieces() {
        for cut in 0..SIZED.len() {
            let (first, second) = SIZED.split_at(cut);
            assert_eq!(body(&[first, second]), "hello", "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = SIZED.chunks(1).collect();
        assert_eq!(body(&bytes), "hello");
    }

    #[test]
    fn chunks_are_joined() {
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX: y\r\n\r\n";
        assert_eq!(body(&[chunked]), "hello");
        let bytes: Vec<&[u8]> = chunked.chunks(1).collect();
        assert_eq!(body(&bytes), "hello");
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        assert_eq!(body(&[b"HTTP/1.0 200 OK\r\n\r\nhel", b"lo"]), "hello");
    }

    #[test]
    fn an_interim_answer_is_passed_over() {
        assert_eq!(body(&[b"HTTP/1.1 100 Continue\r\n\r\n", SIZED]), "hello");
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let long_header = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'a'; LONGEST_HEAD]].concat();
        let rows: [(&[u8], HttpError); 10] = [
            (
                b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
                HttpError::Malformed("status line"),
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                HttpError::Malformed("content length"),
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
                HttpError::Malformed("content length"),
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                HttpError::Malformed("content length"),
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n",
                HttpError::BodyTooLong { limit: 64 },
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
                HttpError::CutShort,
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                HttpError::Malformed("transfer encoding"),
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                HttpError::Malformed("chunk size"),
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
                HttpError::BodyTooLong { limit: 64 },
            ),
            (&long_header, HttpError::HeadTooLong),
        ];
        for (bytes, expected) in rows {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
            assert_eq!(decode(&[bytes]).expect_err(&text), expected, "{text}");
        }
    }

    #[test]
    fn chunks_together_keep_the_limit() {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..5 {
            bytes.extend_from_slice(b"10\r\n0123456789abcdef\r\n");
        }
        assert_eq!(decode(&[&bytes]), Err(HttpError::BodyTooLong { limit: 64 }));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&[&bytes]);
        }

        #[test]
        fn likely_bytes_do_not_depend_on_how_they_are_cut(
            head in "HTTP/1\\.[01] (1|2|4|5)[0-9]{2} OK\r\n((Content-Length: [0-9]{1,2}|Transfer-Encoding: chunked|A: b)\r\n){0,3}\r\n",
            tail in "([0-9a-f]{0,2}\r\n|[a-z]{0,9}){0,9}",
            cut in 0_usize..200,
        ) {
            let whole = [head.as_bytes(), tail.as_bytes()].concat();
            let (first, second) = whole.split_at(cut.min(whole.len()));
            prop_assert_eq!(decode(&[&whole]), decode(&[first, second]));
        }
    }
}
