//! Plays one recording against a session.

use super::recording::{hex, lines_of, share};
use cgminer_rs::pool::reject::RejectReason;
use cgminer_rs::pool::session::{Counters, Manners, Session};
use cgminer_rs::pool::settings::StratumSettings;
use cgminer_rs::pool::source::Numbers;
use cgminer_rs::pool::status::PoolStatus;
use cgminer_rs::work::{Difficulty, Job};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// What came of a recording.
#[derive(Debug, Default, PartialEq)]
pub struct Tally {
    pub lines: usize,
    pub jobs: usize,
    pub accepted: u64,
    /// Recorded submits that no correct miner could send: wrong job, worker, size, time or version.
    pub impossible: usize,
    pub rejected: Vec<RejectReason>,
}

/// Plays a recording: the pool's lines as they were, with the ids of our requests; a recorded
/// submit as a share.
pub fn play(name: &str) -> (Tally, Session, PoolStatus) {
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

pub fn take_output(session: &mut Session) -> Vec<Value> {
    let output = std::mem::take(session.output());
    output
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Submits a recorded share and holds our line to the recorded one. Gives our id; nothing if the
/// recorded share is one that only a broken miner could send.
pub fn submit(
    session: &mut Session,
    jobs: &[Arc<Job>],
    params: &Value,
    now: Instant,
) -> Option<Value> {
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
