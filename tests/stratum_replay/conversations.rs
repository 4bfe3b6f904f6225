//! Whole conversations: what a session makes of them, line by line.

use super::play::{Tally, play, submit, take_output};
use super::recording::{Line, hex_bytes, job_from, lines_of, share};
use cgminer_rs::pool::reject::RejectReason::{
    BadNtime, BadVersion, Duplicate, LowDifficulty, Other, Stale, Unauthorized,
};
use cgminer_rs::pool::session::{Counters, Manners, Session};
use cgminer_rs::pool::settings::StratumSettings;
use cgminer_rs::pool::status::PoolPhase;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

#[test]
fn ckpool_with_low_difficulty_accepts_three_blocks() {
    let (tally, _, status) = play("recorded-ckpool-lhr-lowdiff");
    assert_eq!(
        tally,
        Tally {
            lines: 23,
            jobs: 8,
            accepted: 3,
            ..Tally::default()
        }
    );
    assert_eq!(
        (status.phase, status.difficulty),
        (PoolPhase::Ready, Some(0.001))
    );
    assert_eq!(status.shares.blocks_accepted, 3);
    let hashes = 0.003 * 281_474_976_710_656.0 / 65_535.0;
    assert!((status.shares.accepted_hashes / hashes - 1.0).abs() < 1e-9);
}

#[test]
fn ckpool_accepts_three_shares_and_names_every_kind_of_reject() {
    let (tally, _, status) = play("recorded-ckpool-lhr");
    let rejected = vec![
        Other,
        Duplicate,
        LowDifficulty,
        Stale,
        LowDifficulty,
        BadNtime,
        Unauthorized,
        BadVersion,
    ];
    assert_eq!(
        tally,
        Tally {
            lines: 37,
            jobs: 4,
            accepted: 3,
            impossible: 5,
            rejected
        }
    );
    // Of the submits only the repeated one and the one above the target can be ours.
    assert_eq!(
        (
            status.shares.rejected.duplicate,
            status.shares.rejected.low_difficulty
        ),
        (1, 1)
    );
    assert_eq!(status.shares.rejected.total, 2);
    assert_eq!(status.difficulty, Some(0.002));
}

#[test]
fn ckproxy_pings_and_sends_away_only_after_the_share_is_answered() {
    let lines = lines_of("recorded-ckproxy");
    let reconnect = lines
        .iter()
        .position(|line| line.text.contains("client.reconnect"))
        .unwrap();
    assert!(lines[reconnect + 1].text.contains(r#""result":true"#));
    // The recording client stayed on; a session that leaves when asked sees the lines up to there.
    let (head, answer) = (&lines[..reconnect], &lines[reconnect + 1]);
    let now = Instant::now();
    let url = "stratum+tcp://pool.example.com:3333".parse().unwrap();
    let worker: Value = serde_json::from_str(&head[6].text).unwrap();
    let settings = StratumSettings::new(url, worker["params"][0].as_str().unwrap(), "x");
    let numbers = Arc::default();
    let mut session = Session::new(
        Arc::new(settings),
        numbers,
        Manners::default(),
        Counters::default(),
        now,
    );
    let mut id = json!(null);
    let mut pong = Vec::new();
    let mut jobs = Vec::new();
    for line in head {
        let mut message: Value = serde_json::from_str(&line.text).unwrap();
        if line.from_pool {
            if message.get("method").is_none() && message["id"].as_u64() <= Some(3) {
                message["id"] = id.clone();
            }
            session.on_line(message.to_string().as_bytes(), now);
        } else if message["method"] == "mining.submit" {
            id = submit(&mut session, &jobs, &message["params"], now).unwrap();
        }
        for sent in take_output(&mut session) {
            match sent.get("method") {
                Some(_) => id = sent["id"].clone(),
                None => pong.push(sent),
            }
        }
        jobs.extend(std::iter::from_fn(|| session.next_job()));
    }
    assert_eq!(pong, [json!({"id": 42, "result": "pong", "error": null})]);
    session.on_line(lines[reconnect].text.as_bytes(), now);
    assert_eq!(session.ended(), None, "a share waits for its answer");
    let mut answer: Value = serde_json::from_str(&answer.text).unwrap();
    answer["id"] = id;
    session.on_line(answer.to_string().as_bytes(), now);
    assert!(
        session
            .ended()
            .unwrap()
            .to_string()
            .contains("pool.example.com:3333")
    );
    assert_eq!(session.close().shares.accepted, 1);
}

#[test]
fn ckproxy_accepts_shares_with_an_extranonce_of_eight_bytes() {
    let lines = lines_of("recorded-ckproxy");
    let shares: Vec<&Line> = lines
        .iter()
        .filter(|line| line.text.contains("mining.submit"))
        .collect();
    assert_eq!((lines.len(), shares.len()), (34, 9));
    let subscribed =
        r#"{"result":[[["mining.notify","6b033de2"]],"bf39036be23d036b",4],"id":2,"error":null}"#;
    assert_eq!(lines[3].text, subscribed);
    let mut jobs: BTreeMap<String, Value> = BTreeMap::new();
    let mut verified = 0;
    let mut reasons = Vec::new();
    for (line, next) in lines.iter().zip(lines.iter().skip(1)) {
        let message: Value = serde_json::from_str(&line.text).unwrap();
        if message["method"] == "mining.notify" {
            jobs.insert(message["params"][0].as_str().unwrap().to_owned(), message);
        } else if next.from_pool && next.text.contains("\"error\":[") {
            let reply: Value = serde_json::from_str(&next.text).unwrap();
            let error = cgminer_rs::pool::reject::PoolError::from_json(&reply["error"]).unwrap();
            reasons.push(error.reason());
        } else if message["method"] == "mining.submit" {
            let notify = &jobs[message["params"][1].as_str().unwrap()];
            let job = job_from(
                &notify.to_string(),
                &hex_bytes("bf39036be23d036b"),
                4,
                0.001,
            );
            let share = share(&job, &message["params"]);
            assert!(job.share_target.is_met_by(&share.hash), "{}", line.text);
            verified += 1;
        }
    }
    assert_eq!(verified, 2);
    let expected = [
        Other,
        Duplicate,
        LowDifficulty,
        Stale,
        LowDifficulty,
        BadNtime,
        Unauthorized,
        BadVersion,
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn datum_grants_and_gives_work() {
    let (tally, _, status) = play("recorded-datum_gateway-accepted");
    assert_eq!(
        tally,
        Tally {
            lines: 9,
            jobs: 1,
            ..Tally::default()
        }
    );
    assert_eq!(
        (status.version_mask, status.difficulty),
        (Some(0x1fff_e000), Some(1.0))
    );
}

#[test]
fn datum_rejects_are_sorted_and_its_refusals_of_options_are_no_rejects() {
    let (tally, _, status) = play("recorded-datum_gateway");
    assert_eq!((tally.lines, tally.jobs), (61, 5));
    let count = |reason| {
        tally
            .rejected
            .iter()
            .filter(|each| **each == reason)
            .count()
    };
    assert_eq!(
        [LowDifficulty, Stale, BadVersion, Other].map(count),
        [18, 2, 1, 3],
        "{:?}",
        tally.rejected
    );
    // Submits that a correct miner could make: found for another difficulty, so all above the
    // target of this one.
    assert_eq!(status.shares.submitted + tally.impossible as u64, 21);
    assert_eq!(
        status.shares.rejected.low_difficulty,
        status.shares.rejected.total
    );
    assert_eq!(status.shares.rejected.total, status.shares.submitted);
    assert_eq!(
        status.lines.unknown,
        tally.lines as u64 - 61 + tally.impossible as u64 + 1
    );
}
