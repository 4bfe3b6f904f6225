//! The recording, its shares, and what checks them apart from the program.

use super::play::take_output;
use bitcoin::hashes::{Hash, sha256d};
use cgminer_rs::pool::session::{Counters, Manners, Session};
use cgminer_rs::pool::settings::StratumSettings;
use cgminer_rs::work::{ChainIndex, Extranonce2, Job, Share};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

#[derive(Debug)]
pub struct Line {
    pub from_pool: bool,
    pub text: String,
    pub expect: Value,
}

/// Sessions by name, each with its lines in order.
pub fn sessions() -> BTreeMap<String, Vec<Line>> {
    let mut sessions: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for line in include_str!("../data/stratum/sessions.jsonl").lines() {
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

pub fn lines_of(name: &str) -> Vec<Line> {
    sessions().remove(name).unwrap()
}

/// Double hash of the share's header, by code that shares nothing with the program's.
pub fn independent_hash(
    job: &Job,
    extranonce2: &[u8],
    ntime: u32,
    nonce: u32,
    bits: u32,
) -> [u8; 32] {
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

pub fn hex(text: &Value) -> u32 {
    u32::from_str_radix(text.as_str().unwrap(), 16).unwrap()
}

pub fn hex_bytes(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// A share from the parameters of a recorded submit.
pub fn share(job: &Arc<Job>, params: &Value) -> Share {
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

/// A job of its own from one recorded notify.
pub fn job_from(
    notify: &str,
    extranonce1: &[u8],
    extranonce2_size: u8,
    difficulty: f64,
) -> Arc<Job> {
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
