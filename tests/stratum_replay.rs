//! Every recorded line of real pools, played against the session. Nothing is skipped: each line is
//! either part of a played conversation or named in a table with what it must be read as.

#![allow(clippy::unwrap_used)] // a recording that cannot be read is a failure

use bitcoin::consensus::Decodable;
use bitcoin::hashes::{Hash, sha256d};
use cgminer_rs::pool::message::{Message, MessageError};
use cgminer_rs::pool::reject::RejectReason::{
    self, BadNtime, BadVersion, Duplicate, LowDifficulty, Other, Stale, Unauthorized,
};
use cgminer_rs::pool::session::{Counters, Manners, Session};
use cgminer_rs::pool::settings::StratumSettings;
use cgminer_rs::pool::source::Numbers;
use cgminer_rs::pool::status::{PoolPhase, PoolStatus};
use cgminer_rs::work::{ChainIndex, Difficulty, Extranonce2, Job, Share};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

#[derive(Debug)]
struct Line {
    from_pool: bool,
    text: String,
    expect: Value,
}

/// Sessions by name, each with its lines in order.
fn sessions() -> BTreeMap<String, Vec<Line>> {
    let mut sessions: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for line in include_str!("data/stratum/sessions.jsonl").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let lines = sessions
            .entry(record["session"].as_str().unwrap().to_owned())
            .or_default();
        assert_eq!(record["seq"], lines.len() + 1, "a gap in the recording");
        lines.push(Line {
            from_pool: record["dir"] == "s2c",
            text: record["line"].as_str().unwrap().to_owned(),
            expect: record["expect"].clone(),
        });
    }
    sessions
}

fn lines_of(name: &str) -> Vec<Line> {
    sessions().remove(name).unwrap()
}

/// Double hash of the share's header, by code that shares nothing with the program's.
fn independent_hash(job: &Job, extranonce2: &[u8], ntime: u32, nonce: u32, bits: u32) -> [u8; 32] {
    let coinbase = [&*job.coinbase_prefix, extranonce2, &*job.coinbase_suffix].concat();
    let root = job
        .merkle_branches
        .iter()
        .fold(sha256d::Hash::hash(&coinbase), |root, branch| {
            sha256d::Hash::hash(&[root.as_byte_array().as_slice(), branch.as_slice()].concat())
        });
    let header = bitcoin::block::Header {
        version: bitcoin::block::Version::from_consensus(i32::from_ne_bytes(
            (job.version | bits).to_ne_bytes(),
        )),
        prev_blockhash: bitcoin::BlockHash::from_byte_array(job.previous_hash),
        merkle_root: bitcoin::TxMerkleNode::from_raw_hash(root),
        time: ntime,
        bits: bitcoin::CompactTarget::from_consensus(job.nbits),
        nonce,
    };
    header.block_hash().to_byte_array()
}

fn hex(text: &Value) -> u32 {
    u32::from_str_radix(text.as_str().unwrap(), 16).unwrap()
}

fn hex_bytes(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// A share from the parameters of a recorded submit.
fn share(job: &Arc<Job>, params: &Value) -> Share {
    let extranonce2 = hex_bytes(params[2].as_str().unwrap());
    let (ntime, nonce, version_bits) = (hex(&params[3]), hex(&params[4]), hex(&params[5]));
    let hash = independent_hash(job, &extranonce2, ntime, nonce, version_bits);
    let value = extranonce2
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte));
    let size = u8::try_from(extranonce2.len()).unwrap();
    Share {
        job: Arc::clone(job),
        extranonce2: Extranonce2 { value, size },
        ntime,
        nonce,
        version_bits,
        hash,
        is_block: job.network_target.is_met_by(&hash),
        chain: ChainIndex(0),
        found_at: Instant::now(),
    }
}

/// What came of a recording.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    lines: usize,
    jobs: usize,
    accepted: u64,
    /// Recorded submits that no correct miner could send: wrong job, worker, size, time or version.
    impossible: usize,
    rejected: Vec<RejectReason>,
}

/// Plays a recording: the pool's lines as they were, with the ids of our requests; a recorded
/// submit as a share.
fn play(name: &str) -> (Tally, Session, PoolStatus) {
    let lines = lines_of(name);
    let said = |method: &str| {
        lines
            .iter()
            .filter(|line| !line.from_pool)
            .find_map(|line| {
                let line: Value = serde_json::from_str(&line.text).unwrap();
                (line["method"] == method).then(|| line["params"].clone())
            })
    };
    let worker = said("mining.authorize").unwrap();
    let settings = StratumSettings {
        suggest_difficulty: said("mining.suggest_difficulty")
            .map(|params| Difficulty::new(params[0].as_f64().unwrap()).unwrap()),
        extranonce_subscribe: said("mining.extranonce.subscribe").is_some(),
        ..StratumSettings::new(
            "stratum+tcp://pool.example.com:3333".parse().unwrap(),
            worker[0].as_str().unwrap(),
            worker[1].as_str().unwrap(),
        )
    };
    let now = Instant::now();
    let numbers = Arc::new(Numbers::default());
    let manners = Manners::default();
    let mut session = Session::new(
        Arc::new(settings),
        numbers,
        manners,
        Counters::default(),
        now,
    );
    let mut tally = Tally::default();
    let mut sent = take_output(&mut session);
    let mut ids: BTreeMap<u64, Value> = BTreeMap::new();
    let mut jobs: Vec<Arc<Job>> = Vec::new();
    for line in &lines {
        let mut message: Value = serde_json::from_str(&line.text).unwrap();
        tally.lines += 1;
        if line.from_pool {
            let is_reply = message.get("method").is_none();
            if let Some(id) = message["id"].as_u64().filter(|_| is_reply) {
                let ours = ids.get(&id).cloned();
                message["id"] = ours.unwrap_or_else(|| json!(1_000_000 + id));
            }
            session.on_line(message.to_string().as_bytes(), now);
            if let Some(code) = message["error"].as_array().filter(|_| is_reply) {
                let error = cgminer_rs::pool::reject::PoolError::from_json(&json!(code)).unwrap();
                tally.rejected.push(error.reason());
            }
        } else {
            let method = message["method"].as_str().unwrap();
            let id = message["id"].as_u64().unwrap();
            if method == "mining.submit" {
                match submit(&mut session, &jobs, &message["params"], now) {
                    Some(ours) => drop(ids.insert(id, ours)),
                    None => tally.impossible += 1,
                }
            } else if method != "mining.unknown_method" {
                let at = sent.iter().position(|ours| ours["method"] == method);
                let ours = sent.remove(at.unwrap_or_else(|| panic!("{name}: no {method} sent")));
                if method == "mining.authorize" {
                    assert_eq!(ours["params"], message["params"]);
                }
                ids.insert(id, ours["id"].clone());
            }
        }
        sent.extend(take_output(&mut session));
        while let Some(job) = session.next_job() {
            tally.jobs += 1;
            jobs.push(job);
        }
        assert_eq!(session.ended(), None, "{name}: ended at {}", line.text);
    }
    let answered = |line: &Value| line["result"] == "pong";
    assert!(sent.iter().all(answered), "sent without need: {sent:?}");
    let mut status = PoolStatus::default();
    session.describe(&mut status);
    tally.accepted = status.shares.accepted;
    (tally, session, status)
}

fn take_output(session: &mut Session) -> Vec<Value> {
    let output = std::mem::take(session.output());
    output
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Submits a recorded share and holds our line to the recorded one. Gives our id; nothing if the
/// recorded share is one that only a broken miner could send.
fn submit(session: &mut Session, jobs: &[Arc<Job>], params: &Value, now: Instant) -> Option<Value> {
    let job = jobs.iter().rev().find(|job| params[1] == *job.id.0)?;
    let is_sane = params[0].as_str().unwrap() != "nobody.x"
        && params[2].as_str().unwrap().len() == 2 * usize::from(job.extranonce2_size)
        && hex(&params[3]) >= job.ntime
        && hex(&params[5]) & !job.version_mask == 0;
    if !is_sane {
        return None;
    }
    session.submit(&share(job, params), now).unwrap();
    let line = take_output(session).pop().unwrap();
    assert_eq!(line["method"], "mining.submit");
    assert_eq!(
        &line["params"], params,
        "our submit differs from the one that the pool took"
    );
    Some(line["id"].clone())
}

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

/// A job of its own from one recorded notify.
fn job_from(notify: &str, extranonce1: &[u8], extranonce2_size: u8, difficulty: f64) -> Arc<Job> {
    let url = "stratum+tcp://pool.example.com:3333".parse().unwrap();
    let settings = StratumSettings {
        version_rolling: true,
        ..StratumSettings::new(url, "w", "x")
    };
    let now = Instant::now();
    let numbers = Arc::default();
    let mut session = Session::new(
        Arc::new(settings),
        numbers,
        Manners::default(),
        Counters::default(),
        now,
    );
    let answer = |session: &mut Session, result: Value| {
        let id = take_output(session).pop().unwrap()["id"].clone();
        let line = json!({"id": id, "result": result, "error": null}).to_string();
        session.on_line(line.as_bytes(), now);
    };
    let mask = json!({"version-rolling": true, "version-rolling.mask": "1fffe000"});
    answer(&mut session, mask);
    let extranonce1 = extranonce1
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    answer(&mut session, json!([[], extranonce1, extranonce2_size]));
    answer(&mut session, json!(true));
    let line = json!({"id": null, "method": "mining.set_difficulty", "params": [difficulty]});
    session.on_line(line.to_string().as_bytes(), now);
    session.on_line(notify.as_bytes(), now);
    session.next_job().unwrap()
}

/// Parses the coinbase with an extranonce2 of zeros as a transaction.
fn coinbase_of(job: &Job) -> bitcoin::Transaction {
    let extranonce2 = vec![0; usize::from(job.extranonce2_size)];
    let bytes = [&*job.coinbase_prefix, &extranonce2, &*job.coinbase_suffix].concat();
    bitcoin::Transaction::consensus_decode(&mut bytes.as_slice()).unwrap()
}

#[test]
fn coinbases_of_ckpools_templates_are_transactions() {
    for (name, branches) in [
        ("four-txns", 3),
        ("one-txn", 1),
        ("three-txns", 2),
        ("two-txns", 2),
    ] {
        let lines = lines_of(&format!("p2poolv2-gbt-{name}"));
        assert_eq!(lines.len(), 1);
        let job = job_from(&lines[0].text, &[0; 4], 8, 1.0);
        assert_eq!(job.merkle_branches.len(), branches, "{name}");
        assert!(job.clean && coinbase_of(&job).is_coinbase(), "{name}");
    }
}

#[test]
fn the_merkle_root_of_a_published_verifier_is_met() {
    let lines = lines_of("esp-miner-bm1397-verifier");
    assert_eq!(lines.len(), 1);
    let expect = &lines[0].expect;
    let extranonce1 = hex_bytes(expect["extranonce1"].as_str().unwrap());
    let extranonce2 = hex_bytes(expect["extranonce2"].as_str().unwrap());
    let job = job_from(
        &lines[0].text,
        &extranonce1,
        u8::try_from(extranonce2.len()).unwrap(),
        1.0,
    );
    let coinbase = coinbase_of(&job);
    let root = job
        .merkle_branches
        .iter()
        .fold(*coinbase.compute_txid().as_raw_hash(), |root, branch| {
            sha256d::Hash::hash(&[root.as_byte_array().as_slice(), branch].concat())
        });
    assert_eq!(
        root.as_byte_array().as_slice(),
        hex_bytes(expect["merkle_root"].as_str().unwrap())
    );
}

#[test]
fn a_notify_of_poolin_makes_a_job() {
    let lines = lines_of("poolin-notify");
    assert_eq!(lines.len(), 1);
    let job = job_from(&lines[0].text, &[0; 4], 8, 1.0);
    assert_eq!(
        (&*job.id.0, job.nbits, job.ntime),
        ("2236695", 0x1702_1a42, 0x6a51_1559)
    );
}

/// What a single line is read as, in few words.
fn read(line: &str) -> String {
    match Message::parse(line.as_bytes()) {
        Ok(Message::Notify(template)) => {
            format!(
                "notify {} {:x} {}",
                template.job_id, template.ntime, template.clean
            )
        }
        Ok(Message::SetDifficulty(difficulty)) => format!("difficulty {}", difficulty.value()),
        Ok(Message::SetExtranonce(nonce)) => {
            format!(
                "extranonce {:x?} {}",
                nonce.extranonce1, nonce.extranonce2_size
            )
        }
        Ok(Message::SetVersionMask(mask)) => format!("mask {mask:x}"),
        Ok(Message::ShowMessage(text)) => format!("message {text}"),
        Ok(Message::GetVersion(id)) => format!("version? {:?}", id.0),
        Ok(Message::Ping(id)) => format!("ping {:?}", id.0),
        Ok(Message::Reconnect(_)) => "reconnect".into(),
        Ok(Message::UnknownMethod(method)) => format!("unknown {method}"),
        Ok(Message::SetTarget(target)) => format!("target {target:?}"),
        Ok(Message::Reply(reply)) => {
            format!(
                "reply {} {} {:?}",
                reply.id,
                reply.result,
                reply.error.map(|e| e.reason())
            )
        }
        Err(MessageError::Notify(error)) => format!("bad notify: {error}"),
        Err(error) => format!("bad: {error}"),
    }
}

#[test]
fn single_lines_of_other_projects_tests_are_read_right() {
    let table: [(&str, &[&str]); 2] = [
        (
            "esp-miner-unit",
            &[
                "notify 1b4c3d9041 64495522 false",
                "notify 1b4c3d9041 64495522 true",
                "notify 1b4c3d9041 64495522 true",
                "difficulty 1638",
                "difficulty 100.5",
                "notify 1d2e0c4d3d 64495522 false",
                r#"reply 2 [[["mining.notify","695482c0"]],"4de05269",8] None"#,
                r#"reply 2 [[["mining.notify","abc"]],"4de05269"] None"#,
                "mask 1fffe000",
                "reply 4 true None",
                "reply 5 true None",
                "reply 32769 true None",
                "reply 65536 true None",
                "reply 4 null Some(Stale)",
                "reply 5 null Some(Stale)",
                "reply 8 false Some(LowDifficulty)",
                "reply 618 false Some(Stale)",
                "reply 618 null Some(Stale)",
                "reply 50 null Some(Stale)",
                "reply 42 null Some(Duplicate)",
                "bad notify: 0 parameters, a job needs at least 8",
                "extranonce [de, ad, be, ef] 8",
                "bad: extranonce: extranonce1 is missing or no text",
                "message Welcome to the pool!",
                "bad: client.show_message without a text",
                "version? Some(Number(10))",
                "reconnect",
                "ping None",
                "unknown mining.hashrate",
                r#"reply 1 {"version-rolling":true,"version-rolling.mask":"1fffe000"} None"#,
            ],
        ),
        (
            "braiins-v1",
            &[
                r#"reply 0 {"version-rolling":true,"version-rolling.mask":"1fffe000"} None"#,
                r#"reply 1 [[["mining.set_difficulty","4"],["mining.notify","1"]],"6c6f010000000c",4] None"#,
                r#"reply 1 ["01650f001f25ea",4] None"#,
                "reply 1 null Some(Other)",
                "difficulty 4",
                "notify ahoj 5d10bc0a false",
                "reply 1 true None",
            ],
        ),
    ];
    for (name, expected) in table {
        let lines = lines_of(name);
        let read: Vec<String> = lines
            .iter()
            .filter(|line| line.from_pool)
            .map(|line| read(&line.text))
            .collect();
        assert_eq!(read, expected, "{name}");
    }
}

#[test]
fn every_recorded_session_has_a_test_here() {
    let names: Vec<String> = sessions().into_keys().collect();
    let tested = [
        "braiins-v1",
        "esp-miner-bm1397-verifier",
        "esp-miner-unit",
        "p2poolv2-gbt-four-txns",
        "p2poolv2-gbt-one-txn",
        "p2poolv2-gbt-three-txns",
        "p2poolv2-gbt-two-txns",
        "poolin-notify",
        "recorded-ckpool-lhr",
        "recorded-ckpool-lhr-lowdiff",
        "recorded-ckproxy",
        "recorded-datum_gateway",
        "recorded-datum_gateway-accepted",
    ];
    assert_eq!(names, tested);
}
