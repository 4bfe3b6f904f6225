use super::*;
use crate::pool::message::tests::malformed_lines;
use crate::pool::reject::RejectReason;
use crate::work::{ChainIndex, Difficulty, Extranonce2, Target};
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

mod handshake;
mod link;
mod verdicts;
mod vigil;
mod work;

const HASH: &str = "46f99360a6e97256d49f87304f087507a6e24f6b7e2e86bacad8d1e100000000";
const OTHER_HASH: &str = "c8ab143903ec3651dd554ef963f7c507a6e24f6b7e2e86bacad8d1e100000000";

/// A session with a clock, told what the pool says.
struct Talk {
    session: Session,
    now: Instant,
    jobs: Vec<Arc<Job>>,
    sent: Vec<Value>,
}

impl Talk {
    fn new(change: impl FnOnce(&mut StratumSettings)) -> Self {
        Self::with_manners(change, Manners::default())
    }

    fn with_manners(change: impl FnOnce(&mut StratumSettings), manners: Manners) -> Self {
        let url = "stratum+tcp://us.pool.example.com:3333".parse().unwrap();
        let mut settings = StratumSettings::new(url, "user.w", "x");
        change(&mut settings);
        let now = Instant::now();
        let numbers = Arc::default();
        let session = Session::new(
            Arc::new(settings),
            numbers,
            manners,
            Counters::default(),
            now,
        );
        let mut talk = Self {
            session,
            now,
            jobs: Vec::new(),
            sent: Vec::new(),
        };
        talk.collect();
        talk
    }

    /// Through the handshake, with a mask of 1fffe000, extranonce2 of 4 bytes and difficulty 1.
    fn running() -> Self {
        let mut talk = Self::new(|_| ());
        talk.shake_hands();
        talk.say(&json!({"method": "mining.set_difficulty", "params": [1]}));
        talk
    }

    fn shake_hands(&mut self) {
        if self.last("mining.configure").is_some() {
            let mask = json!({"version-rolling": true, "version-rolling.mask": "1fffe000"});
            self.reply("mining.configure", &mask, &Value::Null);
        }
        self.reply(
            "mining.subscribe",
            &json!([[["mining.notify", "ab"]], "c0ffee", 4]),
            &Value::Null,
        );
        self.reply("mining.authorize", &json!(true), &Value::Null);
    }

    fn collect(&mut self) {
        let output = std::mem::take(self.session.output());
        let lines = output.split_inclusive(|byte| *byte == b'\n');
        self.sent
            .extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
        self.jobs
            .extend(std::iter::from_fn(|| self.session.next_job()));
    }

    fn line(&mut self, line: &str) {
        self.session.on_line(line.as_bytes(), self.now);
        self.collect();
    }

    fn say(&mut self, message: &Value) {
        self.line(&message.to_string());
    }

    fn last(&self, method: &str) -> Option<&Value> {
        self.sent.iter().rev().find(|line| line["method"] == method)
    }

    fn reply(&mut self, method: &str, result: &Value, error: &Value) {
        let id = self
            .last(method)
            .unwrap_or_else(|| panic!("no {method} sent"))["id"]
            .clone();
        self.say(&json!({"id": id, "result": result, "error": error}));
    }

    fn notify(&mut self, id: &str, hash: &str, clean: bool) {
        let params = json!([
            id,
            hash,
            "01",
            "02",
            [],
            "20000000",
            "1705c739",
            "64495522",
            clean
        ]);
        self.say(&json!({"id": null, "method": "mining.notify", "params": params}));
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.session.ended().is_none() && self.session.next_deadline() <= end {
            self.now = self.session.next_deadline();
            self.session.on_timer(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// Time until the session ends by itself.
    fn lifetime(&mut self) -> Duration {
        let began = self.now;
        for _ in 0..1000 {
            if self.session.ended().is_some() {
                return self.now - began;
            }
            self.now = self.session.next_deadline();
            self.session.on_timer(self.now);
        }
        panic!("it never ends");
    }

    fn job(&self) -> Arc<Job> {
        Arc::clone(self.jobs.last().unwrap())
    }

    fn submit(&mut self, share: &Share) -> Result<Value, Withheld> {
        self.session.submit(share, self.now)?;
        self.collect();
        Ok(self.sent.last().unwrap().clone())
    }

    fn verdict(&mut self, submit: &Value, result: &Value, error: &Value) {
        self.say(&json!({"id": submit["id"], "result": result, "error": error}));
    }

    fn shares(&self) -> &ShareCounters {
        self.session.ledger.counters()
    }

    fn ended(&self) -> &EndReason {
        self.session.ended().expect("the session goes on")
    }
}

fn share(job: &Arc<Job>) -> Share {
    Share {
        job: Arc::clone(job),
        extranonce2: Extranonce2 {
            value: 0x0102,
            size: job.extranonce2_size,
        },
        ntime: job.ntime,
        nonce: 0xdead_beef,
        version_bits: 0,
        hash: [0xff; 32],
        is_block: false,
        chain: ChainIndex(0),
        found_at: job.received_at,
    }
}

fn target(difficulty: f64) -> Target {
    Target::from_difficulty(Difficulty::new(difficulty).unwrap())
}

fn difficulty(job: &Job) -> f64 {
    job.share_target.difficulty()
}
