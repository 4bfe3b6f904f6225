//! Stratum v1 lines from a pool, as types. Every shape that a pool was seen to send is understood;
//! what is wrong is named, and costs the line, never the link.

use super::notify::{NotifyError, Template};
use super::reject::{PoolError, bounded};
use super::url::{Host, UrlError};
use crate::work::{Difficulty, Target, hex};
use serde_json::{Map, Value};
use std::num::ParseIntError;
use std::time::Duration;
use thiserror::Error;

/// Longest method name or request id that is looked at.
const LONGEST_NAME: usize = 64;
/// Most bytes of extranonce1 that are taken; known pools send up to 12.
pub const LONGEST_EXTRANONCE1: usize = 32;
/// Longest wait that a pool can ask for before a reconnection.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// A line from the pool.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// New work.
    Notify(Box<Template>),
    /// Difficulty of the jobs that follow.
    SetDifficulty(Difficulty),
    /// Share target of the jobs that follow.
    SetTarget(Target),
    /// Extranonce of the jobs that follow.
    SetExtranonce(Extranonce),
    /// Version bits that may be rolled.
    SetVersionMask(u32),
    /// Words for the owner.
    ShowMessage(String),
    /// The pool asks who we are.
    GetVersion(RequestId),
    /// The pool asks whether we live.
    Ping(RequestId),
    /// The pool wants us on another connection.
    Reconnect(Reconnect),
    /// A method that nobody here knows.
    UnknownMethod(String),
    /// Answer to one of our requests.
    Reply(Reply),
}

/// A request's id as the pool wrote it, to be sent back unchanged. `None`: no answer is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestId(pub Option<Value>);

/// The part of the coinbase that the pool gives each session, and the size of ours behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extranonce {
    /// The pool's part, 0 to 32 bytes.
    pub extranonce1: Box<[u8]>,
    /// Bytes of ours, 1 to 16.
    pub extranonce2_size: u8,
}

/// Where the pool sends us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// Another host, or the same one.
    pub host: Option<Host>,
    /// Another port, or the same one.
    pub port: Option<u16>,
    /// How long to wait first; bounded here.
    pub wait: Duration,
}

/// Answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Id of our request.
    pub id: u64,
    /// What the pool answered; null where it gave an error.
    pub result: Value,
    /// The pool's error, in any of the shapes that pools use.
    pub error: Option<PoolError>,
}

/// Why a line is dropped.
#[derive(Debug, Error)]
pub enum MessageError {
    /// Not JSON, or nested too deep.
    #[error("not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// JSON, but no object.
    #[error("JSON, but no object")]
    NotAnObject,
    /// Neither a method nor an answer.
    #[error("neither a method nor an answer to a request")]
    NeitherMethodNorReply,
    /// An answer whose id is none of ours.
    #[error("answer with the id {0}, which is not one of ours")]
    ForeignId(String),
    /// A `mining.notify` that makes no job.
    #[error("mining.notify: {0}")]
    Notify(#[from] NotifyError),
    /// A difficulty that is no finite number above zero.
    #[error("mining.set_difficulty: {0} is no finite number above zero")]
    Difficulty(String),
    /// A target that is not 1 to 64 hex digits, or zero.
    #[error("mining.set_target: {0} is no target")]
    Target(String),
    /// An extranonce that cannot be used.
    #[error("extranonce: {0}")]
    Extranonce(#[from] ExtranonceError),
    /// A mask that is not 1 to 8 hex digits.
    #[error("mining.set_version_mask: {0} is no mask of 1 to 8 hex digits")]
    VersionMask(String),
    /// A `client.reconnect` to nowhere.
    #[error("client.reconnect: {0}")]
    Reconnect(String),
    /// A `client.show_message` without words.
    #[error("client.show_message without a text")]
    EmptyMessage,
}

impl MessageError {
    /// Whether the line was a known method with bad parameters, and not just noise.
    pub fn is_bad_parameters(&self) -> bool {
        !matches!(
            self,
            Self::NotJson(_) | Self::NotAnObject | Self::NeitherMethodNorReply | Self::ForeignId(_)
        )
    }
}

/// Why an extranonce cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExtranonceError {
    /// No extranonce1, or no text.
    #[error("extranonce1 is missing or no text")]
    Missing,
    /// Not an even number of hex digits, or too many.
    #[error("extranonce1 `{0}` is not up to {LONGEST_EXTRANONCE1} bytes of hex")]
    NotHex(String),
    /// Not a whole number from 1 to 16.
    #[error("extranonce2 size {0} is not from 1 to 16")]
    Size(String),
}

impl Message {
    /// Reads one line. Never panics, whatever the bytes are.
    pub fn parse(line: &[u8]) -> Result<Self, MessageError> {
        let Value::Object(mut members) = serde_json::from_slice(line)? else {
            return Err(MessageError::NotAnObject);
        };
        // Method before id: pools put ids into notifications too.
        match members.get("method").and_then(Value::as_str).map(bounded) {
            Some(method) => request(&method, &mut members),
            None => reply(members).map(Self::Reply),
        }
    }
}

fn request(method: &str, members: &mut Map<String, Value>) -> Result<Message, MessageError> {
    let params = match members.get_mut("params").map(Value::take) {
        Some(Value::Array(params)) => params,
        _ => Vec::new(),
    };
    let first = params.first().unwrap_or(&Value::Null);
    Ok(match method {
        "mining.notify" => Message::Notify(Box::new(Template::from_params(&params)?)),
        "mining.set_difficulty" => Message::SetDifficulty(
            first
                .as_f64()
                .and_then(Difficulty::new)
                .ok_or_else(|| MessageError::Difficulty(shown(first)))?,
        ),
        "mining.set_target" => {
            Message::SetTarget(target(first).ok_or_else(|| MessageError::Target(shown(first)))?)
        }
        "mining.set_extranonce" => {
            let size = params.get(1).unwrap_or(&Value::Null);
            Message::SetExtranonce(Extranonce::from_json(first, size)?)
        }
        "mining.set_version_mask" => Message::SetVersionMask(
            hex_mask(first).ok_or_else(|| MessageError::VersionMask(shown(first)))?,
        ),
        "client.show_message" => {
            let text = first.as_str().map(bounded).unwrap_or_default();
            if text.trim().is_empty() {
                return Err(MessageError::EmptyMessage);
            }
            Message::ShowMessage(text)
        }
        "client.get_version" => Message::GetVersion(request_id(members)),
        "mining.ping" => Message::Ping(request_id(members)),
        "client.reconnect" => Message::Reconnect(reconnect(&params)?),
        other => Message::UnknownMethod(other.to_owned()),
    })
}

fn request_id(members: &mut Map<String, Value>) -> RequestId {
    RequestId(match members.get_mut("id").map(Value::take) {
        Some(id @ Value::Number(_)) => Some(id),
        Some(Value::String(id)) if id.len() <= LONGEST_NAME => Some(Value::String(id)),
        _ => None,
    })
}

fn reply(mut members: Map<String, Value>) -> Result<Reply, MessageError> {
    let id = members.get("id").unwrap_or(&Value::Null);
    if id.is_null() && !members.contains_key("result") && !members.contains_key("error") {
        return Err(MessageError::NeitherMethodNorReply);
    }
    let id = match id {
        Value::Number(number) => whole_number(number),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| MessageError::ForeignId(shown(id)))?;
    let result = members
        .get_mut("result")
        .map(Value::take)
        .unwrap_or_default();
    let said = members.get("error").and_then(PoolError::from_json);
    // ckpool and its kin leave `error` null and say why beside it.
    let beside = members
        .get("reject-reason")
        .and_then(Value::as_str)
        .map(PoolError::from_text);
    Ok(Reply {
        id,
        result,
        error: said.or(beside),
    })
}

/// A JSON number as a whole one; some pools write ids as 3.0.
fn whole_number(number: &serde_json::Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && (0.0..9e15).contains(&float)).then_some(float as u64)
    })
}

impl Extranonce {
    /// Takes extranonce1 and the size of extranonce2 as a pool sends them.
    pub fn from_json(extranonce1: &Value, size: &Value) -> Result<Self, ExtranonceError> {
        let text = extranonce1.as_str().ok_or(ExtranonceError::Missing)?;
        let bytes = hex::decode(text)
            .filter(|bytes| bytes.len() <= LONGEST_EXTRANONCE1)
            .ok_or_else(|| ExtranonceError::NotHex(bounded(text)))?;
        let number = match size {
            Value::Number(number) => whole_number(number),
            _ => None,
        };
        let extranonce2_size = number
            .and_then(|number| u8::try_from(number).ok())
            .filter(|size| (1..=16).contains(size))
            .ok_or_else(|| ExtranonceError::Size(shown(size)))?;
        Ok(Self {
            extranonce1: bytes.into(),
            extranonce2_size,
        })
    }
}

fn target(value: &Value) -> Option<Target> {
    let text = value.as_str()?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let padded = format!("{digits:0>64}");
    let mut limbs = [0; 4];
    for (limb, digits) in limbs.iter_mut().zip(padded.as_bytes().chunks_exact(16)) {
        *limb = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    (limbs != [0; 4]).then_some(Target(limbs))
}

/// A mask of 1 to 8 hex digits.
pub fn hex_mask(value: &Value) -> Option<u32> {
    let text = value.as_str()?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_hex = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let parse = |digits| -> Result<u32, ParseIntError> { u32::from_str_radix(digits, 16) };
    parse(digits).ok().filter(|_| is_hex)
}

fn reconnect(params: &[Value]) -> Result<Reconnect, MessageError> {
    let refuse = |error: UrlError| MessageError::Reconnect(error.to_string());
    let host = match params.first() {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => Some(Host::parse(text).map_err(refuse)?),
        Some(other) => {
            return Err(MessageError::Reconnect(format!(
                "{} is no host",
                shown(other)
            )));
        }
    };
    let port = match params.get(1) {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            small_number(value)
                .and_then(|number| u16::try_from(number).ok())
                .filter(|port| *port > 0)
                .ok_or_else(|| MessageError::Reconnect(format!("{} is no port", shown(value))))?,
        ),
    };
    let wait = params.get(2).and_then(small_number).unwrap_or(0);
    Ok(Reconnect {
        host,
        port,
        wait: Duration::from_secs(wait).min(LONGEST_WAIT),
    })
}

fn small_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => whole_number(number),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A piece of bad input for an error text.
pub(super) fn shown(value: &Value) -> String {
    bounded(&value.to_string())
}

#[cfg(test)]
pub(super) mod tests;
