use super::*;
use crate::pool::message::tests::malformed_lines;
use crate::pool::reject::RejectReason;
use crate::work::{ChainIndex, Difficulty, Extranonce2, Target};
use proptest::prelude::*;

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

#[test]
fn the_handshake_is_configure_subscribe_authorize_and_then_options() {
    let mut talk = Talk::new(|settings| {
        settings.suggest_difficulty = Difficulty::new(1000.0);
        settings.extranonce_subscribe = true;
    });
    talk.shake_hands();
    let methods: Vec<&str> = talk
        .sent
        .iter()
        .map(|line| line["method"].as_str().unwrap())
        .collect();
    assert_eq!(
        methods,
        [
            "mining.configure",
            "mining.subscribe",
            "mining.authorize",
            "mining.suggest_difficulty",
            "mining.extranonce.subscribe",
        ]
    );
    assert!(
        talk.sent.iter().all(|line| line["id"].is_u64()),
        "OCEAN hangs up on null ids"
    );
    assert_eq!(talk.sent[2]["params"], json!(["user.w", "x"]));
    assert_eq!(
        talk.sent[3]["params"].to_string(),
        "[1000]",
        "no float where a whole number will do"
    );
}

#[test]
fn a_pool_without_answer_to_configure_is_mined_without_version_rolling() {
    for silent in [true, false] {
        let mut talk = Talk::new(|_| ());
        if silent {
            talk.wait(Duration::from_secs(3));
        } else {
            talk.reply(
                "mining.configure",
                &Value::Null,
                &json!([-3, "Method not found", null]),
            );
        }
        assert!(talk.last("mining.subscribe").is_some());
        talk.sent
            .retain(|line| line["method"] != "mining.configure");
        talk.shake_hands();
        talk.notify("j", HASH, true);
        assert_eq!(talk.job().version_mask, 0);
        let line = talk.submit(&share(&talk.job())).unwrap();
        assert_eq!(
            line["params"].as_array().unwrap().len(),
            5,
            "no version bits were agreed on"
        );
    }
}

#[test]
fn a_late_answer_to_configure_still_brings_version_rolling() {
    let mut talk = Talk::new(|_| ());
    talk.wait(Duration::from_secs(3));
    talk.reply("mining.subscribe", &json!([[], "c0ffee", 4]), &Value::Null);
    talk.reply("mining.authorize", &json!(true), &Value::Null);
    talk.notify("j", HASH, true);
    let mask = json!({"version-rolling": true, "version-rolling.mask": "ffffffff"});
    talk.reply("mining.configure", &mask, &Value::Null);
    assert_eq!(
        talk.job().version_mask,
        ROLLABLE_VERSION_BITS,
        "clamped to what was asked"
    );
    assert_eq!(talk.jobs.len(), 2);
    assert_eq!(
        talk.sent
            .iter()
            .filter(|line| line["method"] == "mining.subscribe")
            .count(),
        1
    );
}

#[test]
fn work_and_difficulty_before_the_answers_are_kept() {
    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    talk.say(&json!({"method": "mining.set_difficulty", "params": [512]}));
    talk.notify("j", HASH, true);
    talk.reply("mining.subscribe", &json!([[], "c0ffee", 4]), &Value::Null);
    assert!(talk.jobs.is_empty(), "not before the worker is authorized");
    talk.reply("mining.authorize", &json!(true), &Value::Null);
    assert_eq!((&*talk.job().id.0, difficulty(&talk.job())), ("j", 512.0));
    assert_eq!(*talk.job().coinbase_prefix, [0x01, 0xc0, 0xff, 0xee]);
    assert!(talk.job().clean);
}

#[test]
fn a_difficulty_holds_from_the_next_job_on() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.say(&json!({"method": "mining.set_difficulty", "params": [64]}));
    assert_eq!((talk.jobs.len(), difficulty(&talk.job())), (1, 1.0));
    talk.notify("2", HASH, false);
    assert_eq!(talk.job().share_target, target(64.0));
    let old = share(&talk.jobs[0]);
    assert!(
        talk.submit(&old).is_ok(),
        "judged by the difficulty of its own job"
    );
}

#[test]
fn the_first_difficulty_holds_for_a_job_that_was_made_without_one() {
    let mut talk = Talk::new(|_| ());
    talk.shake_hands();
    talk.notify("1", HASH, true);
    assert_eq!(talk.job().share_target, target(1.0));
    talk.say(&json!({"method": "mining.set_difficulty", "params": [64]}));
    assert_eq!((talk.jobs.len(), difficulty(&talk.job())), (2, 64.0));
    assert!(!talk.job().clean, "shares of its first make still count");
    talk.say(&json!({"method": "mining.set_difficulty", "params": [128]}));
    assert_eq!(talk.jobs.len(), 2);
}

#[test]
fn a_target_works_like_a_difficulty() {
    let mut talk = Talk::running();
    talk.say(&json!({"method": "mining.set_target", "params": [format!("{:0>64}", "ff")]}));
    talk.notify("1", HASH, true);
    assert_eq!(talk.job().share_target, Target([0, 0, 0, 0xff]));
}

#[test]
fn an_extranonce_holds_from_the_next_job_on_even_under_the_same_id() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.say(&json!({"method": "mining.set_extranonce", "params": ["aabb", 6]}));
    assert_eq!(talk.jobs.len(), 1);
    talk.say(&json!({"method": "mining.set_version_mask", "params": ["00ffe000"]}));
    assert_eq!(
        talk.job().extranonce2_size,
        4,
        "a job made again keeps its extranonce"
    );
    talk.notify("1", HASH, false);
    assert_eq!(*talk.job().coinbase_prefix, [0x01, 0xaa, 0xbb]);
    assert_eq!(talk.job().extranonce2_size, 6);
    let old = share(&talk.jobs[0]);
    assert_eq!(
        talk.submit(&old),
        Err(Withheld::Stale),
        "the id now means another job"
    );
}

#[test]
fn an_unusable_extranonce_is_dropped_and_the_link_kept() {
    let mut talk = Talk::running();
    talk.say(&json!({"method": "mining.set_extranonce", "params": ["aabb", 0]}));
    talk.notify("1", HASH, true);
    assert_eq!(talk.job().extranonce2_size, 4);
    assert_eq!(talk.session.lines.bad_parameters, 1);
}

#[test]
fn a_version_mask_holds_at_once() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let mut rolled = share(&talk.job());
    rolled.version_bits = 0x1000_2000;
    assert_eq!(talk.submit(&rolled).unwrap()["params"][5], "10002000");
    talk.say(&json!({"method": "mining.set_version_mask", "params": ["0000ffff"]}));
    assert_eq!((talk.jobs.len(), talk.job().version_mask), (2, 0xe000));
    assert_eq!(
        talk.submit(&rolled),
        Err(Withheld::Stale),
        "the pool would refuse its version"
    );
    rolled.version_bits = 0x2000;
    assert_eq!(talk.submit(&rolled).unwrap()["params"][5], "00002000");
    talk.say(&json!({"method": "mining.set_version_mask", "params": ["0000ffff"]}));
    assert_eq!(talk.jobs.len(), 2, "the same mask again changes nothing");
}

#[test]
fn bits_that_the_pool_has_set_itself_are_left_alone_and_submitted() {
    let mut talk = Talk::running();
    let params = json!([
        "1",
        HASH,
        "01",
        "02",
        [],
        "20006000",
        "1705c739",
        "64495522",
        true
    ]);
    talk.say(&json!({"method": "mining.notify", "params": params}));
    assert_eq!(talk.job().version_mask, 0x1fff_8000);
    let mut rolled = share(&talk.job());
    rolled.version_bits = 0x8000;
    assert_eq!(talk.submit(&rolled).unwrap()["params"][5], "0000e000");
}

#[test]
fn a_mask_that_was_not_asked_for_is_ignored() {
    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    talk.say(&json!({"method": "mining.set_version_mask", "params": ["1fffe000"]}));
    talk.shake_hands();
    talk.notify("1", HASH, true);
    assert_eq!(talk.job().version_mask, 0);
}

#[test]
fn a_clean_job_makes_earlier_shares_stale_and_others_do_not() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.notify("2", HASH, false);
    let first = share(&talk.jobs[0]);
    assert!(talk.submit(&first).is_ok());
    talk.notify("3", HASH, true);
    assert!(talk.job().clean);
    assert_eq!(talk.submit(&first), Err(Withheld::Stale));
    assert_eq!(talk.shares().stale_withheld, 1);
    let block = Share {
        is_block: true,
        ..first
    };
    assert!(talk.submit(&block).is_ok(), "a block is worth a reject");
}

#[test]
fn a_new_block_counts_as_clean_whatever_the_flag_says() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, false);
    assert!(talk.job().clean, "the first job of a session");
    talk.notify("2", OTHER_HASH, false);
    assert!(talk.job().clean);
    let old = share(&talk.jobs[0]);
    assert_eq!(talk.submit(&old), Err(Withheld::Stale));
}

#[test]
fn a_repeated_notify_makes_no_new_job_but_shows_life() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    for _ in 0..20 {
        talk.wait(Duration::from_secs(60));
        talk.notify("1", HASH, false);
    }
    assert_eq!((talk.jobs.len(), talk.session.ended()), (1, None));
    let old = share(&talk.job());
    assert!(talk.submit(&old).is_ok());
}

#[test]
fn ids_that_differ_by_a_prefix_or_by_case_are_distinct_jobs() {
    let mut talk = Talk::running();
    for id in ["6b033e1d", "Q6b033e1d", "6B033E1D"] {
        talk.notify(id, HASH, false);
    }
    assert_eq!(talk.jobs.len(), 3);
    let first = share(&talk.jobs[0]);
    assert_eq!(talk.submit(&first).unwrap()["params"][1], "6b033e1d");
}

#[test]
fn an_id_used_again_for_other_work_retires_the_old_job() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let params = json!([
        "1",
        HASH,
        "01",
        "99",
        [],
        "20000000",
        "1705c739",
        "64495522",
        false
    ]);
    talk.say(&json!({"method": "mining.notify", "params": params}));
    assert_eq!(talk.jobs.len(), 2);
    let (old, new) = (share(&talk.jobs[0]), share(&talk.jobs[1]));
    assert_eq!(talk.submit(&old), Err(Withheld::Stale));
    assert!(talk.submit(&new).is_ok());
}

#[test]
fn a_share_of_another_session_is_never_sent() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let mut foreign = (*talk.job()).clone();
    foreign.session = SessionId(77);
    let lines = talk.sent.len();
    assert_eq!(
        talk.submit(&share(&Arc::new(foreign))),
        Err(Withheld::OtherSession)
    );
    assert_eq!(talk.sent.len(), lines);
}

#[test]
fn verdicts_of_every_shape_are_counted() {
    let refused = |reason| Some(reason);
    let rows: [(Value, Value, Option<RejectReason>); 10] = [
        (json!(true), Value::Null, None),
        (json!("ok"), json!(false), None),
        (json!(false), Value::Null, refused(RejectReason::Other)),
        (Value::Null, Value::Null, refused(RejectReason::Other)),
        (
            json!(false),
            json!([21, "Job not found", null]),
            refused(RejectReason::Stale),
        ),
        (
            Value::Null,
            json!({"code": 22, "message": "dup"}),
            refused(RejectReason::Duplicate),
        ),
        (
            Value::Null,
            json!("high-hash"),
            refused(RejectReason::LowDifficulty),
        ),
        (
            json!(true),
            json!([23, "low", null]),
            refused(RejectReason::LowDifficulty),
        ),
        (
            json!(false),
            json!([24, "Unauthorized worker", null]),
            refused(RejectReason::Unauthorized),
        ),
        (
            json!(false),
            json!(25),
            refused(RejectReason::NotSubscribed),
        ),
    ];
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let mut expected = crate::pool::status::RejectCounters::default();
    let mut accepted = 0;
    for (result, error, reason) in &rows {
        let line = talk.submit(&share(&talk.job())).unwrap();
        talk.verdict(&line, result, error);
        match reason {
            Some(reason) => expected.count(*reason),
            None => accepted += 1,
        }
        assert_eq!(
            (&talk.shares().rejected, talk.shares().accepted),
            (&expected, accepted)
        );
    }
    let line = talk.submit(&share(&talk.job())).unwrap();
    let beside =
        json!({"reject-reason": "Above target", "result": false, "error": null, "id": line["id"]});
    talk.say(&beside);
    assert_eq!(talk.shares().rejected.low_difficulty, 3);
    assert_eq!(talk.shares().last_reject.as_deref(), Some("Above target"));
    assert_eq!(talk.shares().submitted, rows.len() as u64 + 1);
}

#[test]
fn accepted_work_is_credited_by_the_difficulty_of_its_job() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let easy = talk.submit(&share(&talk.job())).unwrap();
    talk.say(&json!({"method": "mining.set_difficulty", "params": [1000]}));
    talk.notify("2", HASH, false);
    let hard = talk.submit(&share(&talk.job())).unwrap();
    talk.verdict(&hard, &json!(true), &Value::Null);
    talk.verdict(&easy, &json!(true), &Value::Null);
    let hashes = 1001.0 * 281_474_976_710_656.0 / 65_535.0;
    assert!((talk.shares().accepted_difficulty - 1001.0).abs() < 1e-9);
    assert!((talk.shares().accepted_hashes / hashes - 1.0).abs() < 1e-12);
}

#[test]
fn answers_with_unknown_ids_are_ignored_and_counted() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let line = talk.submit(&share(&talk.job())).unwrap();
    talk.verdict(&line, &json!(true), &Value::Null);
    talk.verdict(&line, &json!(true), &Value::Null);
    talk.say(&json!({"id": 999_999, "result": false, "error": [21, "stale", null]}));
    assert_eq!(
        (talk.shares().accepted, talk.shares().rejected.total),
        (1, 0)
    );
    assert_eq!(talk.session.lines.unknown, 2);
}

#[test]
fn refusals_of_optional_requests_are_no_rejects() {
    let mut talk = Talk::new(|settings| {
        settings.suggest_difficulty = Difficulty::new(0.5);
        settings.extranonce_subscribe = true;
    });
    talk.shake_hands();
    talk.reply(
        "mining.suggest_difficulty",
        &Value::Null,
        &json!([-3, "Method not found", null]),
    );
    talk.reply(
        "mining.extranonce.subscribe",
        &Value::Null,
        &json!([20, "Not supported.", null]),
    );
    assert_eq!(*talk.shares(), ShareCounters::default());
    assert_eq!(talk.session.ended(), None);
}

#[test]
fn the_pools_questions_are_answered() {
    let mut talk = Talk::running();
    talk.say(&json!({"id": 42, "method": "mining.ping", "params": []}));
    assert_eq!(
        talk.sent.last(),
        Some(&json!({"id": 42, "result": "pong", "error": null}))
    );
    talk.say(&json!({"id": "v", "method": "client.get_version", "params": []}));
    let version = talk.sent.last().unwrap();
    assert_eq!(version["id"], "v");
    assert!(
        version["result"]
            .as_str()
            .unwrap()
            .starts_with("cgminer-rs/")
    );
    let lines = talk.sent.len();
    talk.say(&json!({"id": null, "method": "mining.ping"}));
    talk.say(&json!({"id": 1, "method": "mining.set_goal", "params": ["x"]}));
    talk.say(&json!({"method": "client.show_message", "params": ["hello\u{7}"]}));
    assert_eq!(talk.sent.len(), lines);
    let mut status = PoolStatus::default();
    talk.session.describe(&mut status);
    assert_eq!(
        (status.message.as_deref(), status.lines.unknown),
        (Some("hello "), 1)
    );
}

#[test]
fn a_reconnect_elsewhere_is_refused_and_one_at_home_obeyed() {
    let mut talk = Talk::running();
    talk.say(&json!({"method": "client.reconnect", "params": ["us.pool.evil.com", 3333, 0]}));
    assert_eq!(
        (talk.session.ended(), talk.session.lines.bad_parameters),
        (None, 1)
    );
    talk.say(&json!({"method": "client.reconnect", "params": ["eu.pool.example.com", "3334", 5]}));
    let EndReason::Reconnect { url, wait } = talk.ended() else {
        panic!("{:?}", talk.ended())
    };
    assert_eq!(url.to_string(), "stratum+tcp://eu.pool.example.com:3334");
    assert_eq!(*wait, Duration::from_secs(5));
}

#[test]
fn a_reconnect_waits_for_verdicts_but_not_for_long() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.submit(&share(&talk.job())).unwrap();
    talk.say(&json!({"method": "client.reconnect", "params": []}));
    assert_eq!(talk.session.ended(), None);
    assert_eq!(talk.lifetime(), FAREWELL);
}

#[test]
fn refusals_in_the_handshake_end_the_session() {
    let subscribe = |result: Value, error: Value| {
        let mut talk = Talk::new(|settings| settings.version_rolling = false);
        talk.reply("mining.subscribe", &result, &error);
        talk
    };
    let talk = subscribe(Value::Null, json!([20, "Other/Unknown", null]));
    assert!(matches!(talk.ended(), EndReason::SubscribeRefused(_)));
    assert!(talk.session.lessons(talk.now).bare_subscribe);
    let talk = subscribe(json!(true), Value::Null);
    assert!(matches!(talk.ended(), EndReason::SubscribeShape(_)));
    for size in [
        json!(0),
        json!(-4),
        json!(17),
        json!(1e30),
        json!("4"),
        json!(null),
        json!(3.5),
    ] {
        let talk = subscribe(json!([[], "00", size]), Value::Null);
        assert!(matches!(talk.ended(), EndReason::Extranonce(_)));
        assert!(talk.ended().is_refusal());
    }
    for (result, error) in [
        (json!(false), Value::Null),
        (json!(false), json!("Failed subscription")),
        (Value::Null, json!([24, "Unauthorized worker", null])),
    ] {
        let mut talk = subscribe(json!([[], "00", 4]), Value::Null);
        talk.reply("mining.authorize", &result, &error);
        assert!(
            matches!(talk.ended(), EndReason::AuthorizeRefused(_)),
            "{:?}",
            talk.ended()
        );
    }
}

#[test]
fn null_to_authorize_is_no_refusal_and_silence_none_where_work_comes() {
    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    talk.reply("mining.subscribe", &json!([[], "00", 4]), &Value::Null);
    talk.reply("mining.authorize", &Value::Null, &Value::Null);
    assert!(talk.session.running_since().is_some());

    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    talk.reply("mining.subscribe", &json!([[], "00", 4]), &Value::Null);
    talk.notify("1", HASH, true);
    talk.wait(Duration::from_secs(10));
    assert_eq!(talk.jobs.len(), 1);
    talk.reply("mining.authorize", &json!(false), &Value::Null);
    assert!(
        matches!(talk.ended(), EndReason::AuthorizeRefused(_)),
        "a late no is a no"
    );
}

#[test]
fn every_silence_has_its_deadline() {
    let seconds = Duration::from_secs;
    let mut talk = Talk::new(|_| ());
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(13), &EndReason::Unanswered("mining.subscribe"))
    );

    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    talk.reply("mining.subscribe", &json!([[], "00", 4]), &Value::Null);
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(10), &EndReason::Unanswered("mining.authorize"))
    );

    let mut talk = Talk::running();
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(30), &EndReason::NoFirstJob)
    );

    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(120), &EndReason::Silent)
    );

    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.wait(seconds(100));
    talk.say(&json!({"method": "mining.set_difficulty", "params": [2]}));
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(80), &EndReason::NoNextJob)
    );

    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.wait(seconds(5));
    talk.submit(&share(&talk.job())).unwrap();
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(30), &EndReason::SharesUnanswered)
    );
}

#[test]
fn noise_is_no_sign_of_life() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    for _ in 0..50 {
        talk.wait(Duration::from_secs(3));
        talk.line("HTTP/1.1 400 Bad Request");
    }
    assert_eq!(talk.ended(), &EndReason::Silent);
}

#[test]
fn a_pool_that_sends_work_but_answers_no_share_is_left() {
    let mut talk = Talk::running();
    let mut submitted = 0;
    for second in 0..600 {
        talk.notify(&second.to_string(), HASH, false);
        if second % 5 == 0 && talk.session.ended().is_none() {
            talk.submit(&share(&talk.job())).unwrap();
            submitted += 1;
        }
        talk.wait(Duration::from_secs(1));
    }
    assert_eq!(talk.ended(), &EndReason::SharesUnanswered);
    assert!(submitted <= 17, "{submitted} shares lost");
    let shares = talk.session.close().shares;
    assert_eq!(shares.unanswered, shares.submitted);
}

#[test]
fn a_pool_that_rejects_everything_is_left_and_one_that_rejects_some_is_not() {
    let run = |rejects: fn(u32) -> bool, error: Value| {
        let mut talk = Talk::running();
        talk.notify("1", HASH, true);
        for number in 0..500 {
            let Ok(line) = talk.submit(&share(&talk.job())) else {
                return (number, Some(talk));
            };
            let error = if rejects(number) {
                error.clone()
            } else {
                Value::Null
            };
            talk.verdict(&line, &json!(error.is_null()), &error);
        }
        (500, None)
    };
    let (shares, talk) = run(|_| true, json!([21, "stale", null]));
    assert_eq!((shares, talk.unwrap().ended().is_refusal()), (20, true));
    let (shares, talk) = run(|_| true, json!([25, "Not subscribed", null]));
    assert!(matches!(talk.unwrap().ended(), EndReason::Forgotten(_)));
    assert_eq!(shares, 3);
    let (shares, _) = run(|number| number % 5 != 0, json!([23, "low", null]));
    assert_eq!(
        shares, 64,
        "four of five rejected: seen once there are enough of them"
    );
    assert_eq!(
        run(|number| number % 2 == 0, json!([23, "low", null])).0,
        500
    );
}

#[test]
fn a_pool_that_was_left_for_its_verdicts_gets_few_chances_until_it_accepts_a_share() {
    let reject = |talk: &mut Talk, times: usize| {
        for _ in 0..times {
            let line = talk.submit(&share(&talk.job())).unwrap();
            talk.verdict(&line, &json!(false), &json!([23, "low", null]));
        }
    };
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    reject(&mut talk, 20);
    let manners = talk.session.lessons(talk.now);
    assert!(manners.probation);
    let again = || {
        let mut talk = Talk::with_manners(|_| (), manners.clone());
        talk.shake_hands();
        talk.notify("1", HASH, true);
        talk
    };
    let mut talk = again();
    reject(&mut talk, 3);
    assert!(matches!(talk.ended(), EndReason::SharesRejected(_)));
    let mut talk = again();
    let line = talk.submit(&share(&talk.job())).unwrap();
    talk.verdict(&line, &json!(true), &Value::Null);
    reject(&mut talk, 19);
    assert_eq!(talk.session.ended(), None);
    assert!(!talk.session.lessons(talk.now).probation);
}

#[test]
fn waiting_shares_are_bounded_and_the_oldest_given_up() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    for _ in 0..2000 {
        talk.submit(&share(&talk.job())).unwrap();
        talk.sent.clear();
    }
    let shares = talk.session.close().shares;
    assert_eq!((shares.submitted, shares.unanswered), (2000, 2000));
}

#[test]
fn what_a_pool_hangs_up_on_is_not_said_to_it_again() {
    let talk = Talk::new(|_| ());
    let mut manners = talk.session.lessons(talk.now);
    assert!(manners.sends_configure(), "once may be chance");
    for _ in 0..2 {
        let talk = Talk::with_manners(|_| (), manners.clone());
        assert!(talk.last("mining.configure").is_some());
        manners = talk.session.lessons(talk.now);
    }
    let mut talk = Talk::with_manners(|_| (), manners.clone());
    assert!(
        talk.last("mining.configure").is_none(),
        "three times is no chance"
    );
    assert!(
        talk.session.lessons(talk.now).sends_configure(),
        "it was just down"
    );
    talk.shake_hands();
    assert!(
        !talk.session.lessons(talk.now).sends_configure(),
        "it was the configure"
    );

    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    assert!(talk.session.lessons(talk.now).bare_subscribe);
    talk.reply(
        "mining.subscribe",
        &json!([[["mining.notify", "ab"]], "00", 4]),
        &Value::Null,
    );
    assert_eq!(talk.session.lessons(talk.now).resume.as_deref(), Some("ab"));

    let mut talk = Talk::new(|settings| settings.extranonce_subscribe = true);
    talk.shake_hands();
    assert!(talk.session.lessons(talk.now).no_optional_requests);
    talk.wait(Duration::from_secs(11));
    assert!(!talk.session.lessons(talk.now).no_optional_requests);
}

#[test]
fn a_session_is_resumed_by_the_pools_name_for_it() {
    let manners = Manners {
        resume: Some("ab".into()),
        ..Manners::default()
    };
    let talk = Talk::with_manners(|settings| settings.version_rolling = false, manners);
    assert_eq!(talk.sent[0]["params"], json!([USER_AGENT, "ab"]));
    let manners = Manners {
        bare_subscribe: true,
        ..Manners::default()
    };
    let talk = Talk::with_manners(|settings| settings.version_rolling = false, manners);
    assert_eq!(talk.sent[0]["params"], json!([]));
}

#[test]
fn malformed_lines_cost_nothing_but_themselves() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let rows = malformed_lines();
    for (number, (line, _)) in rows.iter().enumerate() {
        talk.line(line);
        assert_eq!(talk.session.ended(), None, "{line:.200}");
        let lines = &talk.session.lines;
        assert_eq!(
            lines.malformed + lines.bad_parameters,
            number as u64 + 1,
            "{line:.200}"
        );
    }
    talk.notify("2", HASH, false);
    assert_eq!(talk.jobs.len(), 2);
    assert_eq!(*talk.shares(), ShareCounters::default());
}

#[test]
fn a_hundred_lines_of_noise_in_a_row_are_no_pool() {
    let mut talk = Talk::running();
    for _ in 0..99 {
        talk.line("noise");
    }
    assert_eq!(talk.session.ended(), None);
    talk.line("noise");
    assert_eq!(talk.ended(), &EndReason::Noise);
}

proptest! {
    /// Whatever a pool says, in whatever order: no panic, jobs that can be mined, numbers that add up.
    #[test]
    fn any_conversation_is_survived(steps in prop::collection::vec((0u8..22, 0u64..8), 1..120)) {
        let mut talk = Talk::new(|_| ());
        for (step, number) in steps {
            match step {
                0 => talk.reply("mining.configure",
                    &json!({"version-rolling": true, "version-rolling.mask": format!("{:08x}", number << 12)}), &Value::Null),
                1 if talk.last("mining.subscribe").is_some() =>
                    talk.reply("mining.subscribe", &json!([[], "00", 3 + number]), &Value::Null),
                2 if talk.last("mining.authorize").is_some() =>
                    talk.reply("mining.authorize", &json!(number > 0), &Value::Null),
                3..=6 => talk.notify(&number.to_string(), if step == 3 { OTHER_HASH } else { HASH }, number == 0),
                7 => talk.say(&json!({"method": "mining.set_difficulty", "params": [number]})),
                8 => talk.say(&json!({"method": "mining.set_extranonce", "params": ["aa", number]})),
                9 => talk.say(&json!({"method": "mining.set_version_mask", "params": [format!("{number}fff0000")]})),
                10 => talk.wait(Duration::from_secs(number)),
                11 => talk.say(&json!({"id": number, "result": true})),
                12..=17 if !talk.jobs.is_empty() => {
                    let at = (number as usize) % talk.jobs.len();
                    let made = share(&talk.jobs[at]);
                    if let (Ok(line), true) = (talk.submit(&made), step > 14) {
                        let error = if step == 15 { json!([21, "stale", null]) } else { Value::Null };
                        talk.verdict(&line, &json!(step != 15), &error);
                    }
                }
                18 => talk.line("{noise"),
                19 => talk.say(&json!({"id": 1, "method": "mining.ping"})),
                20 if number == 7 => talk.say(&json!({"method": "client.reconnect", "params": []})),
                _ => {}
            }
        }
        for job in &talk.jobs {
            prop_assert!((1..=16).contains(&job.extranonce2_size));
            prop_assert_eq!(job.version_mask & !ROLLABLE_VERSION_BITS, 0);
        }
        prop_assert!(talk.jobs.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
        let shares = talk.session.close().shares;
        prop_assert_eq!(shares.submitted, shares.accepted + shares.rejected.total + shares.unanswered);
    }
}
