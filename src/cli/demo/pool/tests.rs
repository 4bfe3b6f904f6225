//! The demo pool as clients see it, good ones and bad ones. Shares are made with the `bitcoin` crate.

use super::chain::Template;
use super::client::Client;
use super::stats::DemoPoolStats;
use super::vardiff::Vardiff;
use super::{DemoPool, DemoPoolSettings};
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::hex::{DisplayHex, FromHex};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A quarter of all hashes is a share, one in 1024 a block.
const SHARE_DIFFICULTY: f64 = 4.0 / 4_294_967_296.0;
const NETWORK_DIFFICULTY: f64 = 1024.0 / 4_294_967_296.0;

struct Bench {
    client: Client,
    template: Arc<Template>,
    stats: DemoPoolStats,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        let vardiff = Vardiff::new(SHARE_DIFFICULTY, (SHARE_DIFFICULTY / 100.0, 1e12), now);
        Self {
            client: Client::new(0x0102_0304, vardiff),
            template: Arc::new(Template::first(NETWORK_DIFFICULTY, 1_800_000_000)),
            stats: DemoPoolStats::default(),
            now,
        }
    }

    /// A bench whose client has configured, subscribed and authorized; and its first job.
    fn ready() -> (Self, Value) {
        let mut bench = Self::new();
        bench.say(
            "mining.configure",
            &json!([["version-rolling"], {"version-rolling.mask": "ffffffff"}]),
        );
        bench.say("mining.subscribe", &json!(["test"]));
        let replies = bench.say("mining.authorize", &json!(["me", "x"]));
        let job = notify_of(&replies);
        (bench, job)
    }

    fn say(&mut self, method: &str, params: &Value) -> Vec<Value> {
        let line = json!({"id": 7, "method": method, "params": params}).to_string();
        self.say_line(line.as_bytes())
    }

    fn say_line(&mut self, line: &[u8]) -> Vec<Value> {
        self.client
            .on_line(line, &self.template, self.now, &mut self.stats);
        self.output()
    }

    fn output(&mut self) -> Vec<Value> {
        let output = self.client.take_output();
        output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn refresh(&mut self, clean: bool) -> Value {
        let template = Arc::make_mut(&mut self.template);
        if clean {
            template.advance([9; 32], 1_800_000_020);
        } else {
            template.refresh(1_800_000_020);
        }
        self.client.on_template(&self.template, &mut self.stats);
        let output = self.output();
        notify_of(&output)
    }

    fn submit(&mut self, share: &[Value; 6]) -> Result<(), i64> {
        let replies = self.say("mining.submit", &json!(share));
        let reply = replies.first().unwrap();
        assert_eq!(reply["id"], 7);
        if reply["result"] == json!(true) {
            return Ok(());
        }
        Err(reply["error"][0].as_i64().unwrap())
    }
}

fn notify_of(messages: &[Value]) -> Value {
    let notify = messages
        .iter()
        .rfind(|message| message["method"] == "mining.notify");
    notify.expect("a job")["params"].clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    Vec::from_hex(value.as_str().unwrap()).unwrap()
}

fn word(value: &Value) -> u32 {
    u32::from_str_radix(value.as_str().unwrap(), 16).unwrap()
}

/// A share of a job, worked out from the text of its notification.
fn share(job: &Value, extranonce2: [u8; 8], bits: u32, meets: impl Fn(f64) -> bool) -> [Value; 6] {
    let coinbase = [
        bytes(&job[2]),
        vec![1, 2, 3, 4],
        extranonce2.to_vec(),
        bytes(&job[3]),
    ]
    .concat();
    let mut root = sha256d::Hash::hash(&coinbase).to_byte_array();
    for branch in job[4].as_array().unwrap() {
        root = sha256d::Hash::hash(&[root.to_vec(), bytes(branch)].concat()).to_byte_array();
    }
    let mut previous = bytes(&job[1]);
    previous.chunks_mut(4).for_each(<[u8]>::reverse);
    let version = word(&job[5]) | bits;
    let mut header = bitcoin::block::Header {
        version: bitcoin::block::Version::from_consensus(i32::from_be_bytes(version.to_be_bytes())),
        prev_blockhash: bitcoin::BlockHash::from_slice(&previous).unwrap(),
        merkle_root: bitcoin::TxMerkleNode::from_byte_array(root),
        time: word(&job[7]) + 3,
        bits: bitcoin::CompactTarget::from_consensus(word(&job[6])),
        nonce: 0,
    };
    // The hash as a part of all hashes.
    let part = |header: &bitcoin::block::Header| {
        let hash = header.block_hash().to_byte_array();
        f64::from(u32::from_le_bytes([hash[28], hash[29], hash[30], hash[31]])) / 2_f64.powi(32)
    };
    while !meets(part(&header)) {
        header.nonce += 1;
    }
    [
        json!("me"),
        job[0].clone(),
        json!(extranonce2.to_lower_hex_string()),
        json!(format!("{:08x}", header.time)),
        json!(format!("{:08x}", header.nonce)),
        json!(format!("{bits:08x}")),
    ]
}

fn good(job: &Value) -> [Value; 6] {
    share(job, [5; 8], 0, |part| part < 0.24)
}

#[test]
fn right_shares_are_accepted_on_every_shape_of_job_rolled_versions_among_them() {
    let (mut bench, mut job) = Bench::ready();
    for round in 0..30 {
        assert_eq!(
            bench.submit(&share(&job, [round; 8], 0, |part| part < 0.24)),
            Ok(())
        );
        assert_eq!(
            bench.submit(&share(&job, [round; 8], 0x1fff_e000, |part| part < 0.24)),
            Ok(())
        );
        job = bench.refresh(round % 3 == 0);
    }
    assert_eq!(bench.stats.accepted, 60);
    assert_eq!(bench.stats.version_rolled, 30);
    assert_eq!(bench.stats.rejected.total(), 0);
    assert!((bench.stats.accepted_difficulty / SHARE_DIFFICULTY - 60.0).abs() < 1e-6);
}

#[test]
fn wrong_shares_are_rejected_with_the_code_of_their_fault() {
    let (mut bench, job) = Bench::ready();
    let with = |index: usize, value: Value| {
        let mut share = good(&job);
        share[index] = value;
        share
    };
    let ntime = word(&job[7]);
    for (share, code) in [
        (share(&job, [6; 8], 0, |part| part > 0.26), 23),
        (with(0, json!("somebody")), 24),
        (with(1, json!("ffff")), 21),
        (with(2, json!("0505")), 20),
        (with(2, json!("0505050505050505zz")), 20),
        (with(2, json!(5)), 20),
        (with(3, json!(format!("{:08x}", ntime - 1))), 20),
        (with(3, json!(format!("{:08x}", ntime + 7001))), 20),
        (with(4, json!("0")), 20),
        (with(4, Value::Null), 20),
        (with(5, json!("20000000")), 20),
        (with(5, json!(1)), 20),
    ] {
        assert_eq!(bench.submit(&share), Err(code), "{share:?}");
    }
    assert_eq!(
        bench.submit(&good(&job)),
        Ok(()),
        "none of them used the good one up"
    );
    assert_eq!(bench.submit(&good(&job)), Err(22));
    let rejected = bench.stats.rejected;
    assert_eq!(
        (rejected.malformed, rejected.duplicate, rejected.total()),
        (9, 1, 13)
    );
}

#[test]
fn shares_of_a_job_outlive_new_fees_and_not_a_new_block() {
    let (mut bench, first) = Bench::ready();
    bench.refresh(false);
    assert_eq!(bench.submit(&good(&first)), Ok(()));
    let clean = bench.refresh(true);
    assert_eq!(clean[8], json!(true));
    assert_eq!(
        bench.submit(&share(&first, [8; 8], 0, |part| part < 0.24)),
        Err(21)
    );
}

#[test]
fn a_share_good_enough_is_a_block() {
    let (mut bench, job) = Bench::ready();
    let block = share(&job, [5; 8], 0, |part| part < 0.9 / 1024.0);
    let line = json!({"id": 1, "method": "mining.submit", "params": block}).to_string();
    let outcome = bench.client.on_line(
        line.as_bytes(),
        &bench.template,
        bench.now,
        &mut bench.stats,
    );
    let (previous, _) = outcome.block.expect("a block");
    assert_eq!(previous, bench.template.previous);
}

#[test]
fn difficulty_holds_from_the_next_job() {
    let (mut bench, old) = Bench::ready();
    let replies = bench.say(
        "mining.suggest_difficulty",
        &json!([SHARE_DIFFICULTY * 4.0]),
    );
    let methods: Vec<&str> = replies
        .iter()
        .filter_map(|reply| reply["method"].as_str())
        .collect();
    assert_eq!(methods, ["mining.set_difficulty", "mining.notify"]);
    let new = notify_of(&replies);
    let easy = |part: f64| (0.1..0.24).contains(&part);
    assert_eq!(bench.submit(&share(&old, [1; 8], 0, easy)), Ok(()));
    assert_eq!(bench.submit(&share(&new, [1; 8], 0, easy)), Err(23));
    for bad in [
        json!([]),
        json!([0]),
        json!([-1]),
        json!(["1"]),
        json!([null]),
    ] {
        let replies = bench.say("mining.suggest_difficulty", &bad);
        assert_eq!(replies[0]["error"][0], 20, "{bad}");
    }
}

#[test]
fn the_handshake_is_kept_in_its_order() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.say("mining.authorize", &json!(["me", "x"]))[0]["error"][0],
        25
    );
    assert_eq!(bench.say("mining.submit", &json!([]))[0]["error"][0], 25);
    let reply = bench.say(
        "mining.configure",
        &json!([["version-rolling", "odd"], {"version-rolling.mask": "0000e000"}]),
    );
    assert_eq!(
        reply[0]["result"],
        json!({"odd": false, "version-rolling": true, "version-rolling.mask": "0000e000"})
    );
    let reply = bench.say("mining.subscribe", &json!([]));
    assert_eq!(reply[0]["result"][1], "01020304");
    assert_eq!(reply[0]["result"][2], 8);
    assert_eq!(
        bench.say("mining.submit", &json!(["me"]))[0]["error"][0],
        24
    );
    assert_eq!(
        bench.say("mining.authorize", &json!([7]))[0]["error"][0],
        24
    );
    let replies = bench.say("mining.authorize", &json!(["me"]));
    assert_eq!(replies.len(), 3, "a reply, a difficulty, a job");
    let job = notify_of(&replies);
    assert_eq!(
        bench.submit(&share(&job, [1; 8], 0x0001_0000, |part| part < 0.24)),
        Err(20)
    );
    assert_eq!(
        bench.submit(&share(&job, [1; 8], 0x0000_2000, |part| part < 0.24)),
        Ok(())
    );
    assert_eq!(bench.say("mining.ping", &json!([]))[0]["result"], "pong");
    assert_eq!(
        bench.say("mining.extranonce.subscribe", &json!([]))[0]["result"],
        true
    );
    assert_eq!(bench.say("mining.nonsense", &json!([]))[0]["error"][0], -3);
}

#[test]
fn lines_that_are_no_requests_are_counted_and_ten_in_a_row_are_enough() {
    let (mut bench, job) = Bench::ready();
    let template = Arc::clone(&bench.template);
    for round in 1..=10 {
        let lines: [&[u8]; 5] = [
            b"GET / HTTP/1.1",
            b"[]",
            b"{}",
            b"{\"method\":1}",
            b"\xff\0",
        ];
        let line = lines[round % 5];
        let outcome = bench
            .client
            .on_line(line, &template, bench.now, &mut bench.stats);
        assert_eq!(outcome.hang_up, round == 10);
        if round == 5 {
            assert_eq!(bench.output().len(), 5);
        }
    }
    assert_eq!(bench.stats.malformed_lines, 10);
    assert_eq!(bench.output().len(), 5);
    assert_eq!(bench.submit(&good(&job)), Ok(()));
    assert!(bench.say_line(b"  \r").is_empty());
}

proptest! {
    #[test]
    fn any_line_is_answered_or_counted(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (mut bench, _) = Bench::ready();
        bench.say_line(&line);
    }

    #[test]
    fn any_parameters_are_answered(
        method in "mining\\.(submit|subscribe|authorize|configure|suggest_difficulty|ping)",
        params in proptest::collection::vec(
            prop_oneof![
                Just(Value::Null),
                any::<i64>().prop_map(Value::from),
                any::<f64>().prop_map(Value::from),
                "(me|1|[0-9a-f]{0,20}|.{0,12})".prop_map(Value::from),
                Just(json!([["version-rolling"]])),
                Just(json!({"version-rolling.mask": "xyz"})),
            ],
            0..8,
        ),
    ) {
        let (mut bench, _) = Bench::ready();
        let replies = bench.say(&method, &Value::from(params));
        prop_assert!(!replies.is_empty());
    }
}

struct Miner {
    reader: BufReader<tokio::net::tcp::OwnedReadHalf>,
    writer: tokio::net::tcp::OwnedWriteHalf,
}

impl Miner {
    async fn connect(pool: std::net::SocketAddr) -> Self {
        let (reader, writer) = TcpStream::connect(pool).await.unwrap().into_split();
        Self {
            reader: BufReader::new(reader),
            writer,
        }
    }

    async fn say(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next message of a method; `None` when the pool has hung up.
    async fn next(&mut self, method: &str) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["method"] == method {
                return Some(message["params"].clone());
            }
        }
    }
}

const HELLO: &str = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n\
    {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"me\",\"x\"]}\n";

#[tokio::test]
async fn over_a_socket_jobs_come_by_themselves_and_blocks_now_and_then() {
    let settings = DemoPoolSettings {
        job_interval: Duration::from_millis(5),
        ..DemoPoolSettings::for_hashrate(1e6)
    };
    let pool = DemoPool::bind(settings).unwrap();
    assert!(pool.address().ip().is_loopback());
    let (address, stats) = (pool.address(), pool.stats());
    let running = tokio::spawn(pool.run());
    let mut miner = Miner::connect(address).await;
    miner.say(HELLO).await;
    let mut previous = miner.next("mining.notify").await.unwrap()[1].clone();
    let mut blocks = 0;
    let mut jobs = 0;
    while blocks < 4 {
        let job = miner.next("mining.notify").await.unwrap();
        assert_eq!(job[8], json!(job[1] != previous));
        blocks += u32::from(job[1] != previous);
        jobs += 1;
        previous = job[1].clone();
    }
    assert!(jobs > blocks);
    assert_eq!(stats.borrow().clients, 1);
    running.abort();
}

#[tokio::test]
async fn a_client_that_floods_is_sent_away_and_others_do_not_notice() {
    let pool = DemoPool::bind(DemoPoolSettings::for_hashrate(1e6)).unwrap();
    let (address, mut stats) = (pool.address(), pool.stats());
    let running = tokio::spawn(pool.run());
    let mut good = Miner::connect(address).await;
    good.say(HELLO).await;
    good.next("mining.notify").await.unwrap();
    let mut endless = Miner::connect(address).await;
    // The pool may hang up before all of it is written.
    let _ = endless
        .writer
        .write_all("x".repeat(100_000).as_bytes())
        .await;
    assert!(endless.next("x").await.is_none());
    let mut nonsense = Miner::connect(address).await;
    nonsense.say(&"nonsense\n".repeat(20)).await;
    while nonsense.next("x").await.is_some() {}
    stats.wait_for(|stats| stats.clients == 1).await.unwrap();
    good.say("{\"id\":3,\"method\":\"mining.suggest_difficulty\",\"params\":[7]}\n")
        .await;
    assert_eq!(
        good.next("mining.set_difficulty").await.unwrap(),
        json!([7.0])
    );
    running.abort();
}
