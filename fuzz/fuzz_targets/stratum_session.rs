//! Any bytes, in packets of any size, reach a session at any stage of its handshake; nothing panics, what it keeps is bounded,
//! and every job that it makes can be mined on.
#![no_main]

use cgminer_rs::pool::line::LineReader;
use cgminer_rs::pool::session::{Counters, Manners, Session};
use cgminer_rs::pool::settings::StratumSettings;
use cgminer_rs::work::version::ROLLABLE_BITS;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Answers that lead from one stage to the next.
const HANDSHAKE: [&str; 3] = [
    r#"{"version-rolling":true,"version-rolling.mask":"1fffe000"}"#,
    r#"[[["mining.notify","1"]],"aabbccdd",8]"#,
    "true",
];

fuzz_target!(|input: &[u8]| {
    let [stage, packet, bytes @ ..] = input else {
        return;
    };
    let now = Instant::now();
    let url = "stratum+tcp://pool.example.com:3333".parse();
    let settings = StratumSettings::new(url.expect("a URL"), "worker", "x");
    let mut session = Session::new(
        Arc::new(settings),
        Arc::default(),
        Manners::default(),
        Counters::default(),
        now,
    );
    let mut answers = HANDSHAKE.iter().take(usize::from(stage % 4));
    let mut id = last_id(&mut session);
    while let (Some(asked), Some(result)) = (id, answers.next()) {
        let answer = format!(r#"{{"id":{asked},"result":{result},"error":null}}"#);
        session.on_line(answer.as_bytes(), now);
        id = last_id(&mut session);
    }
    // The id that an answer needs is put where the input has `@`.
    let id = id.unwrap_or_default().to_string();
    let text: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| if *byte == b'@' { id.as_bytes() } else { std::slice::from_ref(byte) })
        .copied()
        .collect();
    let mut lines = LineReader::default();
    for packet in text.chunks(usize::from(*packet).max(1)) {
        lines.push(packet);
        while let Some(line) = lines.next_line() {
            session.on_line(line, now + Duration::from_secs(1));
            session.output().clear();
            while let Some(job) = session.next_job() {
                assert_eq!(job.version_mask & !ROLLABLE_BITS, 0);
                assert!((1..=16).contains(&job.extranonce2_size));
            }
        }
    }
    let _ = session.ended().map(|reason| reason.to_string());
});

/// The id of the last request that the session wrote, which is taken away.
fn last_id(session: &mut Session) -> Option<u64> {
    let output = std::mem::take(session.output());
    let line = output.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty())?;
    let line: serde_json::Value = serde_json::from_slice(line).expect("our own line");
    line["id"].as_u64()
}
