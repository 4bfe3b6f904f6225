//! One client of the demo pool: lines in, lines out, time passed in.

use super::chain::{Coinbase, Template};
use super::check::{Fields, Number, header_hash, number, target};
use super::message::{
    Refusal, Request, hex, notice, parse, refuse, reply, swapped_words, unhex, word,
};
use super::stats::DemoPoolStats;
use super::vardiff::Vardiff;
use serde_json::{Value, json};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use tokio::time::Instant;

/// Bytes of extranonce2.
const EXTRANONCE2_SIZE: usize = 8;
/// Version bits that may be rolled (BIP 320).
const VERSION_MASK: u32 = 0x1fff_e000;
/// How far a share's time may be ahead of its job's, in seconds; ckpool allows as much.
const NTIME_AHEAD: u32 = 7000;
/// Jobs of one block that a client may still send shares for.
const JOBS_KEPT: usize = 16;
/// Shares of one job.
const SHARES_OF_A_JOB: usize = 65_536;
/// Lines in a row that are no request before the client is sent away.
const MALFORMED_TO_LEAVE: u32 = 10;

const MALFORMED: Refusal = Refusal(20, "Malformed share");
const BAD_EXTRANONCE2: Refusal = Refusal(20, "Invalid extranonce2");
const BAD_NTIME: Refusal = Refusal(20, "Ntime out of range");
const BAD_VERSION: Refusal = Refusal(20, "Invalid version mask");
const TOO_MANY: Refusal = Refusal(20, "Too many shares for one job");
const STALE: Refusal = Refusal(21, "Job not found");
const DUPLICATE: Refusal = Refusal(22, "Duplicate share");
const ABOVE_TARGET: Refusal = Refusal(23, "Above target");
const UNAUTHORIZED: Refusal = Refusal(24, "Unauthorized worker");
const NOT_SUBSCRIBED: Refusal = Refusal(25, "Not subscribed");
const NO_METHOD: Refusal = Refusal(-3, "Method not found");
const NO_REQUEST: Refusal = Refusal(20, "Not a request");

/// A job as it was given to this client.
struct Given {
    id: String,
    template: Arc<Template>,
    coinbase: Coinbase,
    difficulty: f64,
    target: Number,
    seen: HashSet<(Vec<u8>, u32, u32, u32)>,
}

/// What a line led to, beyond the answer.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// A block of the demo chain: the hash it stands on, and its own.
    pub block: Option<([u8; 32], [u8; 32])>,
    /// Nothing more will be heard from this client.
    pub hang_up: bool,
}

/// The state of one connection.
pub(super) struct Client {
    extranonce1: [u8; 4],
    is_subscribed: bool,
    workers: HashSet<String>,
    version_mask: u32,
    vardiff: Vardiff,
    jobs: VecDeque<Given>,
    jobs_given: u64,
    /// Template of the last job.
    template_given: u64,
    malformed_run: u32,
    output: String,
}

impl Client {
    pub fn new(number: u32, vardiff: Vardiff) -> Self {
        Self {
            extranonce1: number.to_be_bytes(),
            is_subscribed: false,
            workers: HashSet::new(),
            version_mask: 0,
            vardiff,
            jobs: VecDeque::new(),
            jobs_given: 0,
            template_given: 0,
            malformed_run: 0,
            output: String::new(),
        }
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> String {
        std::mem::take(&mut self.output)
    }

    /// Takes one line without its end.
    pub fn on_line(
        &mut self,
        line: &[u8],
        template: &Arc<Template>,
        now: Instant,
        stats: &mut DemoPoolStats,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if line.iter().all(u8::is_ascii_whitespace) {
            return outcome;
        }
        let Some(request) = parse(line) else {
            stats.malformed_lines += 1;
            self.malformed_run += 1;
            outcome.hang_up = self.malformed_run >= MALFORMED_TO_LEAVE;
            self.output += &refuse(&Value::Null, NO_REQUEST);
            return outcome;
        };
        self.malformed_run = 0;
        match request.method.as_str() {
            "mining.submit" => outcome.block = self.submit(&request, stats),
            "mining.subscribe" => self.subscribe(&request),
            "mining.authorize" => self.authorize(&request, template, stats),
            "mining.configure" => self.configure(&request),
            "mining.suggest_difficulty" => self.suggest(&request, template, now, stats),
            "mining.extranonce.subscribe" => self.output += &reply(&request.id, &json!(true)),
            "mining.ping" => self.output += &reply(&request.id, &json!("pong")),
            _ => self.output += &refuse(&request.id, NO_METHOD),
        }
        outcome
    }

    /// There is a new template.
    pub fn on_template(&mut self, template: &Arc<Template>, stats: &mut DemoPoolStats) {
        if self.is_ready() && template.number != self.template_given {
            // By the block that it stands on, since templates in between may have been passed over.
            let is_same = |job: &Given| job.template.previous == template.previous;
            let clean = !self.jobs.back().is_some_and(is_same);
            self.notify(template, clean, stats);
        }
    }

    /// Time has passed: the difficulty may have to follow the hashrate.
    pub fn on_time(&mut self, template: &Arc<Template>, now: Instant, stats: &mut DemoPoolStats) {
        if self.is_ready() && self.vardiff.adjust(now) {
            self.notify(template, false, stats);
        }
    }

    fn is_ready(&self) -> bool {
        self.is_subscribed && !self.workers.is_empty()
    }

    fn configure(&mut self, request: &Request) {
        let extensions = request.params.first().and_then(Value::as_array);
        let options = request.params.get(1);
        let mut result = serde_json::Map::new();
        for extension in extensions
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .take(8)
        {
            if extension != "version-rolling" {
                result.insert(extension.to_owned(), json!(false));
                continue;
            }
            let asked = options
                .and_then(|options| options.get("version-rolling.mask"))
                .and_then(Value::as_str)
                .and_then(word)
                .unwrap_or(u32::MAX);
            self.version_mask = asked & VERSION_MASK;
            let mask = format!("{:08x}", self.version_mask);
            result.insert("version-rolling".into(), json!(true));
            result.insert("version-rolling.mask".into(), json!(mask));
        }
        self.output += &reply(&request.id, &Value::Object(result));
    }

    fn subscribe(&mut self, request: &Request) {
        self.is_subscribed = true;
        let extranonce1 = hex(&self.extranonce1);
        let subscriptions = json!([
            ["mining.set_difficulty", extranonce1],
            ["mining.notify", extranonce1]
        ]);
        let result = json!([subscriptions, extranonce1, EXTRANONCE2_SIZE]);
        self.output += &reply(&request.id, &result);
    }

    fn authorize(
        &mut self,
        request: &Request,
        template: &Arc<Template>,
        stats: &mut DemoPoolStats,
    ) {
        let worker = request.params.first().and_then(Value::as_str);
        let Some(worker) = worker.filter(|worker| !worker.is_empty() && worker.len() <= 256) else {
            self.output += &refuse(&request.id, UNAUTHORIZED);
            return;
        };
        if !self.is_subscribed {
            self.output += &refuse(&request.id, NOT_SUBSCRIBED);
            return;
        }
        if self.workers.len() < 8 {
            self.workers.insert(worker.to_owned());
        }
        self.output += &reply(&request.id, &json!(true));
        self.notify(template, true, stats);
    }

    fn suggest(
        &mut self,
        request: &Request,
        template: &Arc<Template>,
        now: Instant,
        stats: &mut DemoPoolStats,
    ) {
        let wish = request.params.first().and_then(Value::as_f64);
        let Some(wish) = wish.filter(|wish| wish.is_finite() && *wish > 0.0) else {
            self.output += &refuse(&request.id, Refusal(20, "Invalid difficulty"));
            return;
        };
        self.vardiff.suggest(wish, now);
        self.output += &reply(&request.id, &json!(true));
        if self.is_ready() {
            self.notify(template, false, stats);
        }
    }

    /// Gives the template as a job of its own, at the difficulty of now.
    fn notify(&mut self, template: &Arc<Template>, clean: bool, stats: &mut DemoPoolStats) {
        let difficulty = self.vardiff.difficulty();
        if self
            .jobs
            .back()
            .is_none_or(|job| job.difficulty.to_bits() != difficulty.to_bits())
        {
            self.output += &notice("mining.set_difficulty", &json!([difficulty]));
            stats.difficulty = Some(difficulty);
        }
        if clean {
            self.jobs.clear();
        } else if self.jobs.len() == JOBS_KEPT {
            self.jobs.pop_front();
        }
        self.jobs_given += 1;
        self.template_given = template.number;
        let job = Given {
            id: format!("{:x}", self.jobs_given),
            coinbase: template.coinbase(self.extranonce1.len() + EXTRANONCE2_SIZE),
            template: Arc::clone(template),
            difficulty,
            target: target(difficulty),
            seen: HashSet::new(),
        };
        let branches: Vec<String> = template.branches.iter().map(|branch| hex(branch)).collect();
        let params = json!([
            job.id,
            swapped_words(&template.previous),
            hex(&job.coinbase.first),
            hex(&job.coinbase.last),
            branches,
            format!("{:08x}", template.version),
            format!("{:08x}", template.nbits),
            format!("{:08x}", template.ntime),
            clean,
        ]);
        self.output += &notice("mining.notify", &params);
        self.jobs.push_back(job);
    }

    fn submit(
        &mut self,
        request: &Request,
        stats: &mut DemoPoolStats,
    ) -> Option<([u8; 32], [u8; 32])> {
        match self.judge(&request.params) {
            Err(refusal) => {
                stats.rejected.count(refusal.0);
                tracing::debug!(
                    code = refusal.0,
                    text = refusal.1,
                    "demo pool: share rejected"
                );
                self.output += &refuse(&request.id, refusal);
                None
            }
            Ok(share) => {
                stats.accepted += 1;
                stats.accepted_difficulty += share.difficulty;
                stats.version_rolled += u64::from(share.is_version_rolled);
                self.vardiff.count();
                self.output += &reply(&request.id, &json!(true));
                share.block
            }
        }
    }

    /// Works a share out anew: coinbase, merkle root, header, hash.
    fn judge(&mut self, params: &[Value]) -> Result<Accepted, Refusal> {
        if !self.is_subscribed {
            return Err(NOT_SUBSCRIBED);
        }
        let text = |index: usize| params.get(index).and_then(Value::as_str);
        let worker = text(0).ok_or(MALFORMED)?;
        if !self.workers.contains(worker) {
            return Err(UNAUTHORIZED);
        }
        let job_id = text(1).ok_or(MALFORMED)?;
        let extranonce2 = text(2).and_then(unhex).ok_or(MALFORMED)?;
        let ntime = text(3).and_then(word).ok_or(MALFORMED)?;
        let nonce = text(4).and_then(word).ok_or(MALFORMED)?;
        let bits = match params.get(5) {
            None | Some(Value::Null) => 0,
            Some(_) => text(5).and_then(word).ok_or(MALFORMED)?,
        };
        if extranonce2.len() != EXTRANONCE2_SIZE {
            return Err(BAD_EXTRANONCE2);
        }
        if bits & !self.version_mask != 0 {
            return Err(BAD_VERSION);
        }
        let job = self
            .jobs
            .iter_mut()
            .find(|job| job.id == job_id)
            .ok_or(STALE)?;
        let template = &job.template;
        let latest = template.ntime.saturating_add(NTIME_AHEAD);
        if !(template.ntime..=latest).contains(&ntime) {
            return Err(BAD_NTIME);
        }
        if job.seen.len() >= SHARES_OF_A_JOB {
            return Err(TOO_MANY);
        }
        let hash = header_hash(&Fields {
            coinbase1: &job.coinbase.first,
            extranonce1: &self.extranonce1,
            extranonce2: &extranonce2,
            coinbase2: &job.coinbase.last,
            branches: &template.branches,
            version: template.version & !self.version_mask | bits,
            previous: &template.previous,
            ntime,
            nbits: template.nbits,
            nonce,
        });
        let is_block = template.is_block(&hash);
        if number(&hash) > job.target && !is_block {
            return Err(ABOVE_TARGET);
        }
        if !job.seen.insert((extranonce2, ntime, nonce, bits)) {
            return Err(DUPLICATE);
        }
        Ok(Accepted {
            difficulty: job.difficulty,
            is_version_rolled: bits != 0,
            block: is_block.then_some((template.previous, hash)),
        })
    }
}

struct Accepted {
    difficulty: f64,
    is_version_rolled: bool,
    block: Option<([u8; 32], [u8; 32])>,
}
