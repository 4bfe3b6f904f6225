//! As much of MQTT 3.1.1 (OASIS, 2014) as it takes to publish one message: connect, publish, take the confirmation, leave.

use std::io;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a packet from a broker: what is waited for here has 4.
const LONGEST_ANSWER: usize = 256;
/// Bytes of a packet to it.
const LONGEST_PACKET: usize = 64 * 1024;
/// Seconds of silence after which a broker may think us gone.
const KEEP_ALIVE: u16 = 60;
/// Number of the one message of a connection.
const PACKET_ID: u16 = 1;

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const DISCONNECT: [u8; 2] = [0xE0, 0];
const QOS_1: u8 = 0x02;
const CLEAN_SESSION: u8 = 0x02;
const HAS_PASSWORD: u8 = 0x40;
const HAS_USER: u8 = 0x80;

/// Why a message was not published.
#[derive(Debug, Error)]
pub enum MqttError {
    /// The connection broke.
    #[error("the connection to the broker broke: {0}")]
    Io(#[from] io::Error),
    /// Bytes that are no packet, or not the one that is due.
    #[error("this is no MQTT 3.1.1 broker ({0}): check `url`")]
    Protocol(&'static str),
    /// The broker refuses.
    #[error("the broker refuses: {0}")]
    Refused(&'static str),
    /// More than one packet can be asked to carry.
    #[error("the message is too long for MQTT")]
    TooLong,
}

/// Who we say that we are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Login<'a> {
    /// User.
    pub user: Option<&'a str>,
    /// Password; only together with a user.
    pub password: Option<&'a str>,
}

/// A packet from a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The connection is taken, or why not.
    Connected {
        /// 0: it is.
        code: u8,
    },
    /// The message of that number was taken.
    Published {
        /// The number.
        id: u16,
    },
    /// Something that nobody here waits for.
    Other,
}

/// Publishes one message over a fresh connection.
///
/// # Errors
/// When it was not taken. Deadlines are the caller's.
pub async fn publish<S: AsyncRead + AsyncWrite + Unpin + ?Sized>(
    stream: &mut S,
    login: Login<'_>,
    topic: &str,
    payload: &[u8],
    confirmed: bool,
) -> Result<(), MqttError> {
    // 23 letters and digits are what every broker has to take.
    let client = format!("cgminer{:016x}", fastrand::u64(..));
    stream.write_all(&connect(&client, login)?).await?;
    match answer(stream).await? {
        Answer::Connected { code: 0 } => {}
        Answer::Connected { code } => return Err(MqttError::Refused(reason(code))),
        _ => return Err(MqttError::Protocol("it did not answer CONNECT")),
    }
    stream
        .write_all(&message(topic, payload, confirmed)?)
        .await?;
    if confirmed {
        confirmation(stream).await?;
    }
    stream.write_all(&DISCONNECT).await?;
    stream.shutdown().await?;
    Ok(())
}

/// Waits for the word that the message was taken.
async fn confirmation<S: AsyncRead + Unpin + ?Sized>(stream: &mut S) -> Result<(), MqttError> {
    loop {
        match answer(stream).await? {
            Answer::Published { id: PACKET_ID } => return Ok(()),
            Answer::Published { .. } => {
                return Err(MqttError::Protocol("it confirmed another message"));
            }
            Answer::Connected { .. } => return Err(MqttError::Protocol("it connected twice")),
            Answer::Other => {}
        }
    }
}

/// Takes one packet off the front of some bytes: the packet and its length. `None`: more bytes are needed.
///
/// # Errors
/// When no packet can begin so.
pub fn parse(bytes: &[u8]) -> Result<Option<(Answer, usize)>, MqttError> {
    let Some((&kind, behind)) = bytes.split_first() else {
        return Ok(None);
    };
    let mut length = 0_usize;
    let mut digits = 0;
    loop {
        let Some(&digit) = behind.get(digits) else {
            return Ok(None);
        };
        length |= usize::from(digit & 0x7F) << (7 * digits);
        digits += 1;
        if digit & 0x80 == 0 {
            break;
        }
        if digits == 4 {
            return Err(MqttError::Protocol("a length of more than four digits"));
        }
    }
    if length > LONGEST_ANSWER {
        return Err(MqttError::Protocol("a packet that is too long"));
    }
    let Some(body) = behind.get(digits..digits + length) else {
        return Ok(None);
    };
    let answer = match (kind, body) {
        (CONNACK, &[_, code]) => Answer::Connected { code },
        (PUBACK, &[high, low]) => Answer::Published {
            id: u16::from_be_bytes([high, low]),
        },
        (CONNACK | PUBACK, _) => return Err(MqttError::Protocol("a packet of a wrong length")),
        _ => Answer::Other,
    };
    Ok(Some((answer, 1 + digits + length)))
}

async fn answer<S: AsyncRead + Unpin + ?Sized>(stream: &mut S) -> Result<Answer, MqttError> {
    let mut bytes = Vec::with_capacity(8);
    loop {
        if let Some((answer, _)) = parse(&bytes)? {
            return Ok(answer);
        }
        // One byte after another, so that nothing of the next packet is taken; there are four.
        let byte = stream.read_u8().await?;
        bytes.push(byte);
    }
}

fn connect(client: &str, login: Login<'_>) -> Result<Vec<u8>, MqttError> {
    let mut flags = CLEAN_SESSION;
    let mut body = Vec::new();
    text(&mut body, b"MQTT")?;
    body.push(4);
    let user = login.user.or(login.password.map(|_| ""));
    if user.is_some() {
        flags |= HAS_USER;
    }
    if login.password.is_some() {
        flags |= HAS_PASSWORD;
    }
    body.push(flags);
    body.extend(KEEP_ALIVE.to_be_bytes());
    text(&mut body, client.as_bytes())?;
    for part in [user, login.password].into_iter().flatten() {
        text(&mut body, part.as_bytes())?;
    }
    packet(CONNECT, &body)
}

fn message(topic: &str, payload: &[u8], confirmed: bool) -> Result<Vec<u8>, MqttError> {
    let mut body = Vec::new();
    text(&mut body, topic.as_bytes())?;
    if confirmed {
        body.extend(PACKET_ID.to_be_bytes());
    }
    body.extend(payload);
    packet(if confirmed { PUBLISH | QOS_1 } else { PUBLISH }, &body)
}

fn text(body: &mut Vec<u8>, text: &[u8]) -> Result<(), MqttError> {
    let length = u16::try_from(text.len()).map_err(|_| MqttError::TooLong)?;
    body.extend(length.to_be_bytes());
    body.extend(text);
    Ok(())
}

fn packet(kind: u8, body: &[u8]) -> Result<Vec<u8>, MqttError> {
    if body.len() > LONGEST_PACKET {
        return Err(MqttError::TooLong);
    }
    let mut packet = vec![kind];
    let mut length = body.len();
    loop {
        let digit = (length % 128) as u8;
        length /= 128;
        packet.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    Ok(packet)
}

fn reason(code: u8) -> &'static str {
    match code {
        1 => "it does not speak MQTT 3.1.1",
        2 => "it does not take our name",
        3 => "it is not available",
        4 => "user or password are wrong",
        5 => "we are not allowed to; check `user` and `password`",
        _ => "for a reason that MQTT 3.1.1 does not know",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_as_the_standard_draws_them() {
        let login = Login {
            user: Some("u"),
            password: Some("p"),
        };
        let expected = b"\x10\x13\0\x04MQTT\x04\xC2\0\x3C\0\x01c\0\x01u\0\x01p";
        assert_eq!(connect("c", login).unwrap(), expected);
        let anonymous = b"\x10\x0D\0\x04MQTT\x04\x02\0\x3C\0\x01c";
        assert_eq!(connect("c", Login::default()).unwrap(), anonymous);
        assert_eq!(
            message("a/b", b"x", true).unwrap(),
            b"\x32\x08\0\x03a/b\0\x01x"
        );
        assert_eq!(message("a/b", b"x", false).unwrap(), b"\x30\x06\0\x03a/bx");
        let long = message("t", &[0; 300], false).unwrap();
        assert_eq!(long[..3], [0x30, 0xAF, 0x02], "303 bytes");
        assert!(matches!(
            message("t", &vec![0; LONGEST_PACKET], true),
            Err(MqttError::TooLong)
        ));
    }

    #[test]
    fn answers_are_taken_whole_or_not_at_all() {
        for length in 0..4 {
            assert_eq!(parse(&b"\x20\x02\0\x05"[..length]).unwrap(), None);
        }
        let connected = parse(b"\x20\x02\0\x05\x40").unwrap();
        assert_eq!(connected, Some((Answer::Connected { code: 5 }, 4)));
        let published = parse(b"\x40\x02\x01\x02").unwrap();
        assert_eq!(published, Some((Answer::Published { id: 258 }, 4)));
        assert_eq!(parse(b"\xD0\0").unwrap(), Some((Answer::Other, 2)));
        for wrong in [
            &b"\x20\x01\0"[..],
            b"\x20\xFF\xFF\xFF\xFF\x01",
            b"\x30\xFF\x7F",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Some((_, length))) = parse(&bytes) {
                prop_assert!(length >= 2 && length <= bytes.len());
            }
        }
    }
}
