//! Requests as clients send them, and what is said back.

use serde_json::{Value, json};

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub id: Value,
    pub method: String,
    pub params: Vec<Value>,
}

/// Reads a line; `None` when it is no request.
pub(super) fn parse(line: &[u8]) -> Option<Request> {
    let mut value: Value = serde_json::from_slice(line).ok()?;
    let members = value.as_object_mut()?;
    let method = members.get("method")?.as_str()?.to_owned();
    let params = match members.remove("params") {
        Some(Value::Array(params)) => params,
        _ => Vec::new(),
    };
    Some(Request {
        id: members.remove("id").unwrap_or_default(),
        method,
        params,
    })
}

/// A refusal: Stratum's number and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub i64, pub &'static str);

pub(super) fn reply(id: &Value, result: &Value) -> String {
    line(&json!({ "id": id, "result": result, "error": null }))
}

pub(super) fn refuse(id: &Value, refusal: Refusal) -> String {
    let Refusal(code, text) = refusal;
    line(&json!({ "id": id, "result": null, "error": [code, text, null] }))
}

pub(super) fn notice(method: &str, params: &Value) -> String {
    line(&json!({ "id": null, "method": method, "params": params }))
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// Bytes as hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

/// Hex as bytes.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|letter| letter.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    if digits.len() % 2 != 0 {
        return None;
    }
    Some(
        digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect(),
    )
}

/// Eight digits of hex as a number.
pub(super) fn word(text: &str) -> Option<u32> {
    Some(u32::from_be_bytes(unhex(text)?.try_into().ok()?))
}

/// A hash in header byte order as a notification writes it: each word of four bytes turned around.
pub(super) fn swapped_words(hash: &[u8; 32]) -> String {
    let swapped: Vec<u8> = hash
        .chunks(4)
        .flat_map(|word| word.iter().rev())
        .copied()
        .collect();
    hex(&swapped)
}
