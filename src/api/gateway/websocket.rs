//! WebSocket (RFC 6455) from a server's side: the handshake's proof, frames, and messages out of frames. No extensions.

use sha1::{Digest, Sha1};
use thiserror::Error;

/// Bytes that a client's message may have.
pub const MESSAGE_LIMIT: usize = 4 * 1024;
/// Bytes that the payload of a control frame may have.
const CONTROL_LIMIT: usize = 125;
/// What RFC 6455 has every server add to the client's key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Letters of a key: 16 bytes in base64.
const KEY_LETTERS: usize = 24;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// More of a message.
    Continuation,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// The end.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

/// One frame of a client, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether it ends its message.
    pub is_last: bool,
    /// What it is.
    pub kind: Kind,
    /// Its content.
    pub payload: Vec<u8>,
}

/// What a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A whole message.
    Text(String),
    /// A ping with its content.
    Ping(Vec<u8>),
    /// A sign of life.
    Pong,
    /// The end, with the code to answer.
    Close(u16),
}

/// Why a client is let go. Each has its code in RFC 6455, 7.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// Not as the protocol has it.
    #[error("a frame breaks the WebSocket protocol")]
    Protocol,
    /// Bytes where text is spoken.
    #[error("only text is understood")]
    NoText,
    /// A text that is none.
    #[error("a text message is not UTF-8")]
    NotUtf8,
    /// More than is taken.
    #[error("a message has more than 4096 bytes")]
    TooBig,
}

impl Violation {
    /// The code that the client is told.
    pub fn code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::NoText => 1003,
            Self::NotUtf8 => 1007,
            Self::TooBig => 1009,
        }
    }
}

impl Kind {
    fn of(opcode: u8) -> Option<Self> {
        Some(match opcode {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    fn opcode(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// What proves to the client that the server speaks WebSocket. None: the key is none.
pub fn proof(key: &str) -> Option<String> {
    let letters = key.strip_suffix("==")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if key.len() != KEY_LETTERS || !letters.bytes().all(plain) {
        return None;
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    Some(base64(&digest))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * place) & 0x3f) as usize);
            let is_padding = place > group.len();
            text.push(
                letter
                    .filter(|_| !is_padding)
                    .map_or('=', |letter| char::from(*letter)),
            );
        }
    }
    text
}

/// A server's frame: whole, and without a mask.
pub fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | kind.opcode()];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if usize::from(length) <= CONTROL_LIMIT => bytes.push(length),
        (_, Ok(length)) => {
            bytes.push(126);
            bytes.extend(length.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// The frame that ends a connection.
pub fn close(code: u16) -> Vec<u8> {
    frame(Kind::Close, &code.to_be_bytes())
}

/// The first frame of what has arrived, and its bytes there. None: more is needed.
///
/// # Errors
/// When no continuation can make it a frame that is taken.
pub fn parse(bytes: &[u8]) -> Result<Option<(Frame, usize)>, Violation> {
    let &[first, second, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    let kind = Kind::of(first & 0x0f).ok_or(Violation::Protocol)?;
    let is_last = first & 0x80 != 0;
    let is_masked = second & 0x80 != 0;
    let short = usize::from(second & 0x7f);
    // No extension gives the reserved bits a meaning, and a client has to mask.
    if first & 0x70 != 0 || !is_masked || kind.is_control() && (!is_last || short > CONTROL_LIMIT) {
        return Err(Violation::Protocol);
    }
    let (length, rest) = match short {
        126 => match rest {
            &[high, low, ref rest @ ..] => (usize::from(u16::from_be_bytes([high, low])), rest),
            _ => return Ok(None),
        },
        // What needs eight bytes to be told is too much in any case.
        127 => return Err(Violation::TooBig),
        _ => (short, rest),
    };
    if short == 126 && length < 126 {
        return Err(Violation::Protocol);
    }
    if length > MESSAGE_LIMIT {
        return Err(Violation::TooBig);
    }
    let Some((mask, rest)) = rest.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let Some(payload) = rest.get(..length) else {
        return Ok(None);
    };
    let payload = payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    let used = bytes.len() - rest.len() + length;
    let frame = Frame {
        is_last,
        kind,
        payload,
    };
    Ok(Some((frame, used)))
}

/// Puts messages together.
#[derive(Debug, Default)]
pub struct Messages {
    text: Option<Vec<u8>>,
}

impl Messages {
    /// Takes the next frame. None: its message goes on.
    ///
    /// # Errors
    /// When it cannot follow those before it, or the message is not taken.
    pub fn take(&mut self, frame: Frame) -> Result<Option<Said>, Violation> {
        match (frame.kind, &mut self.text) {
            (Kind::Ping, _) => Ok(Some(Said::Ping(frame.payload))),
            (Kind::Pong, _) => Ok(Some(Said::Pong)),
            (Kind::Close, _) => close_code(&frame.payload).map(|code| Some(Said::Close(code))),
            (Kind::Binary, _) => Err(Violation::NoText),
            (Kind::Text, None) => {
                self.text = Some(frame.payload);
                self.finish(frame.is_last)
            }
            (Kind::Continuation, Some(text)) => {
                text.extend(frame.payload);
                if text.len() > MESSAGE_LIMIT {
                    return Err(Violation::TooBig);
                }
                self.finish(frame.is_last)
            }
            (Kind::Text, Some(_)) | (Kind::Continuation, None) => Err(Violation::Protocol),
        }
    }

    fn finish(&mut self, is_last: bool) -> Result<Option<Said>, Violation> {
        if !is_last {
            return Ok(None);
        }
        let text = self.text.take().unwrap_or_default();
        let text = String::from_utf8(text).map_err(|_| Violation::NotUtf8)?;
        Ok(Some(Said::Text(text)))
    }
}

/// The code to answer a close with: the same, when it is one that may be sent.
fn close_code(payload: &[u8]) -> Result<u16, Violation> {
    match payload {
        [] => Ok(1000),
        &[high, low, ref reason @ ..] => {
            let code = u16::from_be_bytes([high, low]);
            let may_be_sent = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            if !may_be_sent {
                return Err(Violation::Protocol);
            }
            match std::str::from_utf8(reason) {
                Ok(_) => Ok(code),
                Err(_) => Err(Violation::NotUtf8),
            }
        }
        [_] => Err(Violation::Protocol),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame as a client sends it.
    pub fn masked(is_last: bool, kind: Kind, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut bytes = frame(kind, payload);
        let head = bytes.len() - payload.len();
        if !is_last {
            bytes[0] &= 0x7f;
        }
        bytes[1] |= 0x80;
        for (byte, mask) in bytes[head..].iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        bytes.splice(head..head, mask);
        bytes
    }

    #[test]
    fn the_proof_is_that_of_the_rfcs_example() {
        // RFC 6455, 1.3.
        let proof_of = |key| proof(key).unwrap_or_default();
        assert_eq!(
            proof_of("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        for wrong in [
            "",
            "==",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25j\u{e9}Q==",
            "aaa=aaaaaaaaaaaaaaaaaa==",
        ] {
            assert_eq!(proof(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn frames_are_those_of_the_rfcs_examples() {
        // RFC 6455, 5.7.
        assert_eq!(frame(Kind::Text, b"Hello"), b"\x81\x05Hello");
        let bytes = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let (hello, used) = parse(bytes).unwrap().unwrap();
        assert_eq!(
            (hello.payload.as_slice(), used),
            (&b"Hello"[..], bytes.len())
        );
        assert_eq!(frame(Kind::Binary, &[7; 256])[..4], *b"\x82\x7e\x01\x00");
        assert_eq!(
            frame(Kind::Binary, &vec![7; 65_536])[..10],
            *b"\x82\x7f\0\0\0\0\0\x01\0\0"
        );
    }

    #[test]
    fn what_breaks_the_protocol_is_refused_with_its_code() {
        for (bytes, code) in [
            (&b"\x81\x05Hello"[..], 1002), // without a mask
            (b"\xc1\x80", 1002),           // a reserved bit
            (b"\x83\x80", 1002),           // a reserved kind
            (b"\x09\x80", 1002),           // a ping in pieces
            (b"\x89\xfe\x00\x7e", 1002),   // a ping that is too long
            (b"\x81\xfe\x00\x05", 1002),   // a length that has a shorter form
            (b"\x81\xfe\x10\x01", 1009),
            (b"\x81\xff\0\0\0\0\0\0\0\x05", 1009),
        ] {
            assert_eq!(parse(bytes).unwrap_err().code(), code, "{bytes:x?}");
        }
        let said = |frames: &[(bool, Kind, &[u8])]| {
            let mut messages = Messages::default();
            let mut last = Ok(None);
            for (is_last, kind, payload) in frames {
                let payload = payload.to_vec();
                let (is_last, kind) = (*is_last, *kind);
                last = messages.take(Frame {
                    is_last,
                    kind,
                    payload,
                });
            }
            last
        };
        let text = |text: &str| Ok(Some(Said::Text(text.into())));
        assert_eq!(
            said(&[(false, Kind::Text, b"a"), (true, Kind::Continuation, b"b")]),
            text("ab")
        );
        assert_eq!(
            said(&[(true, Kind::Continuation, b"")]),
            Err(Violation::Protocol)
        );
        assert_eq!(
            said(&[(false, Kind::Text, b""), (true, Kind::Text, b"")]),
            Err(Violation::Protocol)
        );
        assert_eq!(said(&[(true, Kind::Binary, b"")]), Err(Violation::NoText));
        assert_eq!(
            said(&[(true, Kind::Text, b"\xff")]),
            Err(Violation::NotUtf8)
        );
        let long = [b'a'; MESSAGE_LIMIT];
        assert_eq!(
            said(&[(false, Kind::Text, &long), (true, Kind::Continuation, b"b")]),
            Err(Violation::TooBig)
        );
        for (payload, answer) in [
            (&b""[..], Ok(Some(Said::Close(1000)))),
            (b"\x03\xe9bye", Ok(Some(Said::Close(1001)))),
            (b"\x03", Err(Violation::Protocol)),
            (b"\x03\xed", Err(Violation::Protocol)),
            (b"\x03\xe8\xff", Err(Violation::NotUtf8)),
        ] {
            assert_eq!(
                said(&[(true, Kind::Close, payload)]),
                answer,
                "{payload:x?}"
            );
        }
    }

    fn kind() -> impl Strategy<Value = Kind> {
        prop::sample::select(vec![
            Kind::Continuation,
            Kind::Text,
            Kind::Binary,
            Kind::Close,
            Kind::Ping,
            Kind::Pong,
        ])
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_a_piece_of_one_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Some((frame, used))) = parse(&bytes) {
                prop_assert!(used <= bytes.len() && frame.payload.len() <= MESSAGE_LIMIT);
                let _ = Messages::default().take(frame);
            }
        }

        #[test]
        fn what_a_client_sends_is_read_back_and_each_piece_of_it_asks_for_more(
            is_last: bool, kind in kind(), payload in prop::collection::vec(any::<u8>(), 0..300), mask: [u8; 4], cut: prop::sample::Index,
        ) {
            prop_assume!(!kind.is_control() || is_last && payload.len() <= CONTROL_LIMIT);
            let bytes = masked(is_last, kind, &payload, mask);
            prop_assert_eq!(parse(&bytes), Ok(Some((Frame { is_last, kind, payload }, bytes.len()))));
            prop_assert_eq!(parse(&bytes[..cut.index(bytes.len())]), Ok(None));
        }

        #[test]
        fn a_key_of_16_bytes_has_a_proof(bytes: [u8; 16]) {
            prop_assert_eq!(proof(&base64(&bytes)).map(|text| text.len()), Some(28));
        }
    }
}
