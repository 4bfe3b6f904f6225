//! Stratum v1 lines to a pool. Each function appends one whole line, its LF included.

use super::message::RequestId;
use crate::work::{Share, hex};
use serde_json::{Value, json};
use std::io::Write;

/// Who we are, as pools and their owners see it.
pub const USER_AGENT: &str = concat!("cgminer-rs/", env!("CARGO_PKG_VERSION"));

/// Appends a request.
pub fn request(out: &mut Vec<u8>, id: u64, method: &str, params: &Value) {
    line(
        out,
        &json!({ "id": id, "method": method, "params": params }),
    );
}

/// Appends an answer to a request of the pool; nothing if it wants none.
pub fn answer(out: &mut Vec<u8>, id: &RequestId, result: &str) {
    if let RequestId(Some(id)) = id {
        line(out, &json!({ "id": id, "result": result, "error": null }));
    }
}

fn line(out: &mut Vec<u8>, value: &Value) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, value);
    out.push(b'\n');
}

/// Appends a `mining.submit`. `user` is a JSON text with its quotes. `version_bits` is present if
/// and only if version rolling was agreed on (BIP 310). Allocates nothing once `out` has room.
pub fn submit(out: &mut Vec<u8>, id: u64, user: &str, share: &Share, version_bits: Option<u32>) {
    // Writing to memory cannot fail.
    let _ = write!(
        out,
        r#"{{"id":{id},"method":"mining.submit","params":[{user},"#
    );
    let _ = serde_json::to_writer(&mut *out, &*share.job.id.0);
    out.extend_from_slice(b",\"");
    hex::push_number(
        out,
        share.extranonce2.value,
        usize::from(share.extranonce2.size),
    );
    out.extend_from_slice(b"\",\"");
    hex::push_number(out, share.ntime.into(), 4);
    out.extend_from_slice(b"\",\"");
    hex::push_number(out, share.nonce.into(), 4);
    if let Some(bits) = version_bits {
        out.extend_from_slice(b"\",\"");
        hex::push_number(out, bits.into(), 4);
    }
    out.extend_from_slice(b"\"]}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_with_quotes_and_unicode_are_escaped() {
        let mut out = Vec::new();
        request(
            &mut out,
            3,
            "mining.authorize",
            &json!(["a\"b\\\u{e9}@x.y", ""]),
        );
        let back: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(back["params"][0], "a\"b\\\u{e9}@x.y");
        assert_eq!(out.last(), Some(&b'\n'));
        assert!(!out[..out.len() - 1].contains(&b'\n'));
    }

    #[test]
    fn the_pools_id_comes_back_unchanged_and_no_id_gets_no_answer() {
        let mut out = Vec::new();
        answer(&mut out, &RequestId(Some(json!(42))), "pong");
        assert_eq!(out, b"{\"error\":null,\"id\":42,\"result\":\"pong\"}\n");
        out.clear();
        answer(&mut out, &RequestId(None), "pong");
        assert!(out.is_empty());
    }
}
