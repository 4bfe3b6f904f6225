//! The drivers of parts, held to the transactions that their data sheets and the vectors say; boards made of them.

#[cfg(test)]
mod adc;
#[cfg(test)]
mod controllers;
#[cfg(test)]
mod detection;
#[cfg(test)]
mod eeprom;
#[cfg(test)]
mod fans;
#[cfg(test)]
mod sensors;
#[cfg(test)]
mod supplies;

use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use serde_json::Value;

/// A register that is read: pointer written, bytes read.
fn reads(address: u8, register: u8, bytes: &[u8]) -> Transaction {
    Transaction::write_read(address, vec![register], bytes.to_vec())
}

/// Bytes that are written.
fn writes(address: u8, bytes: &[u8]) -> Transaction {
    Transaction::write(address, bytes.to_vec())
}

/// Runs `body` on a bus that expects exactly these transactions, in this order.
fn on_bus<T>(expected: &[Transaction], body: impl FnOnce(Mock) -> T) -> T {
    let mut bus = Mock::new(expected);
    let result = body(bus.clone());
    bus.done();
    result
}

/// The vectors of a kind.
fn vectors(kind: &str) -> Vec<Value> {
    let Ok(Value::Object(all)) = serde_json::from_str(include_str!("../data/vectors.json")) else {
        panic!("tests/data/vectors.json is no JSON object");
    };
    let all = all
        .get("vectors")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let found: Vec<_> = all
        .filter(|vector| vector["kind"] == kind)
        .cloned()
        .collect();
    assert!(!found.is_empty(), "no vector of kind {kind}");
    found
}

/// A field of a vector, from hexadecimal.
fn hex(vector: &Value, field: &str) -> Vec<u8> {
    let Some(text) = vector[field].as_str() else {
        panic!("{vector} has no text {field}")
    };
    let digit = |character: u8| match (character as char).to_digit(16) {
        Some(digit) => digit as u8,
        None => panic!("{text} is not hexadecimal"),
    };
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}
