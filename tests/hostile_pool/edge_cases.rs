//! The edge cases of Stratum v1 as real pools play them, through the whole room: each test is the pool, line by line.

use super::miner::{Miner, share, source_with};
use super::net::{Lookup, Net, Reach};
use cgminer_rs::pool::settings::{Place, StrategyKind, StratumSettings};
use cgminer_rs::pool::status::{PoolPhase, PoolStatus};
use cgminer_rs::work::{Difficulty, Job, Share};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf, split,
};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

const HASH: &str = "46f99360a6e97256d49f87304f087507a6e24f6b7e2e86bacad8d1e100000000";
const OTHER_HASH: &str = "c8ab143903ec3651dd554ef963f7c507a6e24f6b7e2e86bacad8d1e100000000";
/// Nothing in a test comes later than this, deadlines that are waited for aside.
const SOON: Duration = Duration::from_secs(5);
const NULL: Value = Value::Null;

/// A miner with one pool, which the test plays.
struct Scene {
    net: Net,
    miner: Miner,
    connections: mpsc::UnboundedReceiver<DuplexStream>,
    nonce: u32,
}

/// The pool's end of a connection.
struct Connection {
    reader: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
}

impl Scene {
    fn new(change: impl FnOnce(&mut StratumSettings)) -> Self {
        let net = Net::new();
        let (sender, connections) = mpsc::unbounded_channel();
        let address = "192.0.2.1:3333".parse().unwrap();
        net.name("us.pool.example.com", move |_| Lookup::Found(vec![address]));
        net.host("192.0.2.1:3333", move |_| {
            let sender = sender.clone();
            Reach::Taken(Box::new(move |stream| drop(sender.send(stream))))
        });
        let pool = source_with(&net, "us.pool.example.com:3333", Place::default(), change);
        let miner = Miner::start(vec![pool], StrategyKind::Failover);
        Self {
            net,
            miner,
            connections,
            nonce: 0,
        }
    }

    /// The next connection, after whatever back-off.
    async fn accept(&mut self) -> Connection {
        let wait = timeout(Duration::from_secs(200), self.connections.recv());
        let (reader, writer) = split(wait.await.expect("no connection").unwrap());
        Connection {
            reader: BufReader::new(reader),
            writer,
        }
    }

    /// A connection through its handshake, with difficulty 8 and a first job.
    async fn mining(change: impl FnOnce(&mut StratumSettings)) -> (Self, Connection, Arc<Job>) {
        let mut scene = Self::new(change);
        let mut pool = scene.accept().await;
        pool.handshake().await;
        pool.difficulty(8.0).await;
        pool.notify("1", HASH, true).await;
        let job = scene.job().await;
        (scene, pool, job)
    }

    async fn job(&mut self) -> Arc<Job> {
        let mut jobs = self.miner.jobs.clone();
        timeout(SOON, jobs.changed()).await.ok();
        self.miner.next_job(SOON).await
    }

    /// No other job comes within a while.
    async fn no_other_job(&mut self, than: &Arc<Job>) {
        sleep(Duration::from_secs(1)).await;
        let job = self.miner.jobs.borrow().clone();
        assert!(job.is_some_and(|job| job.sequence == than.sequence));
    }

    async fn find(&mut self, job: &Arc<Job>) {
        self.nonce += 1;
        self.miner
            .shares
            .send(share(job, self.nonce))
            .await
            .unwrap();
    }

    async fn find_with(&mut self, job: &Arc<Job>, change: impl FnOnce(&mut Share)) {
        self.nonce += 1;
        let mut share = share(job, self.nonce);
        change(&mut share);
        self.miner.shares.send(share).await.unwrap();
    }

    async fn status(&self) -> PoolStatus {
        sleep(Duration::from_millis(10)).await;
        self.miner.status.borrow().pools[0].clone()
    }
}

impl Connection {
    /// The next line, which must be this request.
    async fn expect(&mut self, method: &str) -> Value {
        let line = self
            .line()
            .await
            .unwrap_or_else(|| panic!("{method} expected, but they hung up"));
        assert_eq!(line["method"], method, "{line}");
        line
    }

    /// The next line of any kind; nothing at the end.
    async fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = timeout(Duration::from_secs(200), self.reader.read_line(&mut line));
        match read.await.expect("no line").unwrap() {
            0 => None,
            _ => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    /// Nothing is said for a while.
    async fn quiet(&mut self) {
        let mut line = String::new();
        let read = timeout(Duration::from_secs(1), self.reader.read_line(&mut line)).await;
        assert!(read.is_err(), "said: {line}");
    }

    async fn hung_up(&mut self) {
        while let Some(line) = self.line().await {
            assert_ne!(line["method"], "mining.submit");
        }
    }

    async fn raw(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
    }

    async fn say(&mut self, message: Value) {
        self.raw(format!("{message}\n").as_bytes()).await;
    }

    async fn reply(&mut self, request: &Value, result: Value, error: Value) {
        self.say(json!({"id": request["id"], "result": result, "error": error}))
            .await;
    }

    async fn call(&mut self, method: &str, params: Value) {
        self.say(json!({"id": null, "method": method, "params": params}))
            .await;
    }

    async fn difficulty(&mut self, difficulty: f64) {
        self.call("mining.set_difficulty", json!([difficulty]))
            .await;
    }

    async fn notify(&mut self, id: &str, hash: &str, clean: bool) {
        self.notify_at(id, hash, clean, "64495522").await;
    }

    async fn notify_at(&mut self, id: &str, hash: &str, clean: bool, ntime: &str) {
        let params = json!([
            id,
            hash,
            "01",
            "02",
            [],
            "20000000",
            "1705c739",
            ntime,
            clean
        ]);
        self.call("mining.notify", params).await;
    }

    async fn configured(&mut self) {
        let request = self.expect("mining.configure").await;
        let mask = json!({"version-rolling": true, "version-rolling.mask": "1fffe000"});
        self.reply(&request, mask, NULL).await;
    }

    async fn subscribed(&mut self) {
        let request = self.expect("mining.subscribe").await;
        self.reply(
            &request,
            json!([[["mining.notify", "sid"]], "c0ffee", 4]),
            NULL,
        )
        .await;
    }

    async fn authorized(&mut self) {
        let request = self.expect("mining.authorize").await;
        self.reply(&request, json!(true), NULL).await;
    }

    async fn handshake(&mut self) {
        self.configured().await;
        self.subscribed().await;
        self.authorized().await;
    }
}

#[tokio::test(start_paused = true)]
async fn case_01_jobs_and_difficulties_come_before_the_answers() {
    let mut scene = Scene::new(|_| ());
    let mut pool = scene.accept().await;
    pool.difficulty(64.0).await;
    pool.notify("early", HASH, true).await;
    pool.configured().await;
    pool.subscribed().await;
    let authorize = pool.expect("mining.authorize").await;
    pool.difficulty(32.0).await;
    pool.reply(&authorize, json!(true), NULL).await;
    let job = scene.job().await;
    assert_eq!((&*job.id.0, job.share_target.difficulty()), ("early", 64.0));
    assert_eq!(job.version_mask, 0x1fff_e000);
}

#[tokio::test(start_paused = true)]
async fn case_02_ids_come_as_text_and_with_notifications() {
    let mut scene = Scene::new(|settings| settings.suggest_difficulty = Difficulty::new(1000.0));
    let mut pool = scene.accept().await;
    pool.configured().await;
    let request = pool.expect("mining.subscribe").await;
    let id = request["id"].to_string();
    pool.say(json!({"id": id, "result": [[], "c0ffee", 4], "error": null}))
        .await;
    pool.authorized().await;
    let suggest = pool.expect("mining.suggest_difficulty").await;
    pool.say(json!({"id": suggest["id"], "method": "mining.set_difficulty", "params": [1000]}))
        .await;
    pool.notify("1", HASH, true).await;
    assert_eq!(scene.job().await.share_target.difficulty(), 1000.0);
}

#[tokio::test(start_paused = true)]
async fn case_03_configure_comes_first_and_need_not_be_answered() {
    for answer in [
        None,
        Some((NULL, json!([-3, "Method not found", null]))),
        Some((NULL, NULL)),
    ] {
        let mut scene = Scene::new(|_| ());
        let mut pool = scene.accept().await;
        let request = pool.expect("mining.configure").await;
        if let Some((result, error)) = answer {
            pool.reply(&request, result, error).await;
        }
        pool.subscribed().await;
        pool.authorized().await;
        pool.notify("1", HASH, true).await;
        let job = scene.job().await;
        assert_eq!(job.version_mask, 0);
        scene.find(&job).await;
        let submit = pool.expect("mining.submit").await;
        assert_eq!(submit["params"].as_array().map(Vec::len), Some(5));
    }
}

#[tokio::test(start_paused = true)]
async fn case_04_authorize_never_comes_before_the_answer_to_subscribe() {
    let mut scene = Scene::new(|_| ());
    let mut pool = scene.accept().await;
    pool.configured().await;
    let subscribe = pool.expect("mining.subscribe").await;
    pool.quiet().await;
    pool.reply(&subscribe, json!([[], "c0ffee", 4]), NULL).await;
    let authorize = pool.expect("mining.authorize").await;
    pool.reply(&authorize, json!(false), json!("Failed subscription"))
        .await;
    pool.hung_up().await;
    assert!(
        scene
            .status()
            .await
            .last_error
            .unwrap()
            .contains("Failed subscription")
    );
}

#[tokio::test(start_paused = true)]
async fn case_05_subscriptions_have_many_shapes_and_sessions_are_resumed() {
    for (answer, extranonce1, size) in [
        (
            json!([
                [["mining.set_difficulty", "4"], ["mining.notify", "1"]],
                "6c6f",
                4
            ]),
            vec![0x6c, 0x6f],
            4,
        ),
        (
            json!([["mining.notify", "1"], "6c6f", 5]),
            vec![0x6c, 0x6f],
            5,
        ),
        (
            json!(["01650f001f25ea", 4]),
            vec![1, 0x65, 0x0f, 0, 0x1f, 0x25, 0xea],
            4,
        ),
        (json!([[], "", 8]), vec![], 8),
    ] {
        let mut scene = Scene::new(|_| ());
        let mut pool = scene.accept().await;
        pool.configured().await;
        let request = pool.expect("mining.subscribe").await;
        pool.reply(&request, answer, NULL).await;
        pool.authorized().await;
        pool.notify("1", HASH, true).await;
        let job = scene.job().await;
        assert_eq!(job.coinbase_prefix[1..], *extranonce1);
        assert_eq!(job.extranonce2_size, size);
    }
    // Our session is named when we come back; where that is refused, the next connection comes without a word.
    let (mut scene, pool, _) = Scene::mining(|_| ()).await;
    drop(pool);
    let mut pool = scene.accept().await;
    pool.configured().await;
    let request = pool.expect("mining.subscribe").await;
    assert_eq!(request["params"][1], "sid");
    pool.reply(&request, NULL, json!([20, "Other/Unknown", null]))
        .await;
    pool.hung_up().await;
    let mut pool = scene.accept().await;
    pool.configured().await;
    assert_eq!(pool.expect("mining.subscribe").await["params"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn case_06_extranonces_that_cannot_be_used_refuse_the_pool_and_no_more() {
    for (extranonce1, size) in [
        (json!("c0ffee"), json!(0)),
        (json!("c0ffee"), json!(-1)),
        (json!("c0ffee"), json!(1e18)),
        (json!("c0ffee"), json!("x")),
        (json!("c0ffe"), json!(4)),
        (json!(7), json!(4)),
    ] {
        let mut scene = Scene::new(|_| ());
        let mut pool = scene.accept().await;
        pool.configured().await;
        let request = pool.expect("mining.subscribe").await;
        pool.reply(&request, json!([[], extranonce1, size]), NULL)
            .await;
        pool.hung_up().await;
        let status = scene.status().await;
        assert!(status.last_error.unwrap().contains("extranonce"));
        assert_eq!((status.failures, status.phase), (1, PoolPhase::BackingOff));
    }
}

#[tokio::test(start_paused = true)]
async fn case_07_suggest_difficulty_has_an_id_and_its_failure_is_no_reject() {
    let suggest =
        |settings: &mut StratumSettings| settings.suggest_difficulty = Difficulty::new(1000.0);
    let mut scene = Scene::new(suggest);
    let mut pool = scene.accept().await;
    pool.handshake().await;
    let request = pool.expect("mining.suggest_difficulty").await;
    assert!(request["id"].is_u64() && request["params"] == json!([1000]));
    pool.reply(&request, NULL, json!([-3, "Method not found", null]))
        .await;
    pool.notify("1", HASH, true).await;
    scene.job().await;
    let status = scene.status().await;
    assert_eq!(
        (status.shares.rejected.total, status.phase),
        (0, PoolPhase::Ready)
    );
    // One that hangs up on it is not asked again.
    let mut scene = Scene::new(suggest);
    let mut pool = scene.accept().await;
    pool.handshake().await;
    pool.expect("mining.suggest_difficulty").await;
    drop(pool);
    let mut pool = scene.accept().await;
    pool.handshake().await;
    pool.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn case_08_set_extranonce_holds_from_the_next_job_even_of_the_same_id() {
    let (mut scene, mut pool, first) =
        Scene::mining(|settings| settings.extranonce_subscribe = true).await;
    let request = pool.expect("mining.extranonce.subscribe").await;
    pool.reply(&request, NULL, json!([20, "Not supported.", null]))
        .await;
    pool.call("mining.set_extranonce", json!(["aabbccdd", 3]))
        .await;
    scene.no_other_job(&first).await;
    scene.find(&first).await;
    assert_eq!(pool.expect("mining.submit").await["params"][2], "00000001");
    pool.notify("1", HASH, false).await;
    let job = scene.job().await;
    assert_eq!(job.coinbase_prefix[1..], [0xaa, 0xbb, 0xcc, 0xdd]);
    scene.find(&job).await;
    assert_eq!(pool.expect("mining.submit").await["params"][2], "000002");
}

#[tokio::test(start_paused = true)]
async fn case_09_authorize_is_refused_in_several_ways_and_sometimes_only_share_by_share() {
    for (result, error) in [
        (json!(false), NULL),
        (NULL, json!([24, "Unauthorized worker", null])),
    ] {
        let mut scene = Scene::new(|_| ());
        let mut pool = scene.accept().await;
        pool.configured().await;
        pool.subscribed().await;
        let request = pool.expect("mining.authorize").await;
        pool.reply(&request, result, error).await;
        pool.hung_up().await;
        let error = scene.status().await.last_error.unwrap();
        assert!(error.contains("mining.authorize refused"), "{error}");
    }
    let mut scene = Scene::new(|_| ());
    let mut pool = scene.accept().await;
    pool.configured().await;
    pool.subscribed().await;
    let request = pool.expect("mining.authorize").await;
    pool.reply(&request, NULL, NULL).await;
    pool.notify("1", HASH, true).await;
    let job = scene.job().await;
    for _ in 0..3 {
        scene.find(&job).await;
        let submit = pool.expect("mining.submit").await;
        pool.reply(
            &submit,
            json!(false),
            json!([24, "Unauthorized worker", null]),
        )
        .await;
    }
    pool.hung_up().await;
    assert_eq!(scene.status().await.shares.rejected.unauthorized, 3);
}

#[tokio::test(start_paused = true)]
async fn case_10_fields_are_turned_into_header_order_and_back() {
    let (mut scene, mut pool, job) = Scene::mining(|_| ()).await;
    assert_eq!(job.previous_hash[..4], [0x60, 0x93, 0xf9, 0x46]);
    assert_eq!(
        (job.version, job.nbits, job.ntime),
        (0x2000_0000, 0x1705_c739, 0x6449_5522)
    );
    scene
        .find_with(&job, |share| {
            share.nonce = 0x0012_34ab;
            share.ntime += 1;
            share.version_bits = 0x0400_2000;
        })
        .await;
    let params = pool.expect("mining.submit").await["params"].clone();
    assert_eq!(
        params,
        json!([
            "user.worker",
            "1",
            "00000001",
            "64495523",
            "001234ab",
            "04002000"
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn case_11_odd_notifies_are_taken_or_dropped_and_the_link_is_kept() {
    let mut scene = Scene::new(|_| ());
    let mut pool = scene.accept().await;
    pool.handshake().await;
    let good = json!([
        "1",
        HASH,
        "01",
        "02",
        [],
        "20000000",
        "1705c739",
        "64495522"
    ]);
    for (at, bad) in [
        (1, json!("zz")),
        (2, json!("0")),
        (4, json!([1])),
        (7, json!(7)),
        (0, NULL),
    ] {
        let mut params = good.clone();
        params[at] = bad;
        pool.call("mining.notify", params).await;
    }
    // No flag at all on the first, and one field too many on the second.
    pool.call("mining.notify", good.clone()).await;
    assert!(scene.job().await.clean);
    let branches: Vec<&str> = vec![HASH; 14];
    let long = json!([
        "2", HASH, "01", "02", branches, "20000000", "1705c739", "64495522", "64495522", true
    ]);
    pool.call("mining.notify", long).await;
    let job = scene.job().await;
    assert!(job.clean && job.merkle_branches.len() == 14);
    assert_eq!(scene.status().await.lines.bad_parameters, 5);
}

#[tokio::test(start_paused = true)]
async fn case_12_job_ids_are_any_text_and_may_come_again() {
    let (mut scene, mut pool, _) = Scene::mining(|_| ()).await;
    for (number, id) in ["6b033e1d03c0dc00", "ABCDEF", "abcdef", "\u{e9}\"\\ 9", "1"]
        .iter()
        .enumerate()
    {
        pool.notify_at(id, HASH, false, &format!("{:08x}", 0x6449_6000 + number))
            .await;
        let job = scene.job().await;
        scene.find(&job).await;
        assert_eq!(pool.expect("mining.submit").await["params"][1], *id);
    }
    let job = scene.miner.jobs.borrow().clone().unwrap();
    pool.notify_at("1", HASH, false, "64496004").await;
    scene.no_other_job(&job).await;
}

#[tokio::test(start_paused = true)]
async fn case_13_a_difficulty_holds_from_the_next_job_and_nonsense_is_ignored() {
    let (mut scene, mut pool, first) = Scene::mining(|_| ()).await;
    pool.difficulty(100.5).await;
    scene.no_other_job(&first).await;
    for nonsense in ["0", "-1", "\"9\"", "null", "NaN", "1e999"] {
        let line =
            format!(r#"{{"id":null,"method":"mining.set_difficulty","params":[{nonsense}]}}"#);
        pool.raw(format!("{line}\n").as_bytes()).await;
    }
    pool.notify("2", HASH, false).await;
    assert_eq!(scene.job().await.share_target.difficulty(), 100.5);
    scene.find(&first).await;
    let submit = pool.expect("mining.submit").await;
    pool.reply(&submit, json!(true), NULL).await;
    assert_eq!(
        scene.status().await.shares.accepted_difficulty,
        8.0,
        "that of its own job"
    );
    for difficulty in [0.001, 4.0, 1_099_511_627_776.0] {
        pool.difficulty(difficulty).await;
        pool.notify(&difficulty.to_string(), HASH, false).await;
        let made = scene.job().await.share_target.difficulty();
        assert!((made / difficulty - 1.0).abs() < 1e-9, "{made}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_14_clean_is_what_the_pool_says_and_what_a_new_block_means() {
    let (mut scene, mut pool, first) = Scene::mining(|_| ()).await;
    pool.notify("2", HASH, false).await;
    let second = scene.job().await;
    assert!(!second.clean);
    scene.find(&first).await;
    let late = pool.expect("mining.submit").await;
    pool.reply(&late, json!(false), json!([21, "Job not found", null]))
        .await;
    pool.notify("3", HASH, true).await;
    assert!(scene.job().await.clean, "told so on the same block");
    pool.notify("4", OTHER_HASH, false).await;
    assert!(scene.job().await.clean, "not told so on a new one");
    scene.find(&second).await;
    pool.quiet().await;
    let shares = scene.status().await.shares;
    assert_eq!((shares.rejected.stale, shares.stale_withheld), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn case_15_ntime_may_roll_ten_minutes_and_a_reject_for_it_is_named() {
    let (mut scene, mut pool, job) = Scene::mining(|_| ()).await;
    assert_eq!(job.ntime_roll_limit, 600);
    scene.find(&job).await;
    let submit = pool.expect("mining.submit").await;
    pool.reply(
        &submit,
        json!(false),
        json!([20, "Ntime out of range", null]),
    )
    .await;
    assert_eq!(scene.status().await.shares.rejected.bad_ntime, 1);
}

#[tokio::test(start_paused = true)]
async fn case_16_masks_change_at_once_and_are_clamped_to_what_was_asked() {
    let (mut scene, mut pool, _) = Scene::mining(|_| ()).await;
    pool.call("mining.set_goal", json!(["sha256d"])).await;
    pool.call("mining.set_version_mask", json!(["ffffffff"]))
        .await;
    pool.call("mining.set_version_mask", json!(["0000e000"]))
        .await;
    let job = scene.job().await;
    assert_eq!(job.version_mask, 0xe000);
    scene
        .find_with(&job, |share| share.version_bits = 0x6000)
        .await;
    let submit = pool.expect("mining.submit").await;
    assert_eq!(submit["params"][5], "00006000", "bits, not a version");
    pool.reply(&submit, json!(false), json!([23, "bad-version", null]))
        .await;
    pool.call("mining.set_target", json!([format!("{:0>64}", "ffff")]))
        .await;
    pool.notify("2", HASH, false).await;
    assert_eq!(scene.job().await.share_target.0, [0, 0, 0, 0xffff]);
    assert_eq!(scene.status().await.shares.rejected.bad_version, 1);
}

#[tokio::test(start_paused = true)]
async fn case_17_the_pools_requests_are_answered_obeyed_or_refused() {
    let (mut scene, mut pool, _) = Scene::mining(|_| ()).await;
    pool.say(json!({"id": 42, "method": "mining.ping", "params": []}))
        .await;
    assert_eq!(
        pool.line().await,
        Some(json!({"id": 42, "result": "pong", "error": null}))
    );
    pool.say(json!({"id": 43, "method": "client.get_version", "params": []}))
        .await;
    let version = pool.line().await.unwrap();
    assert!(version["id"] == 43 && version["result"].as_str().unwrap().contains('/'));
    pool.call("client.show_message", json!(["Maintenance at noon"]))
        .await;
    pool.say(json!({"id": 7, "method": "mining.never_heard_of", "params": {}}))
        .await;
    pool.call("client.reconnect", json!(["us.pool.evil.net", 3333, 0]))
        .await;
    pool.quiet().await;
    let status = scene.status().await;
    assert_eq!(status.message.as_deref(), Some("Maintenance at noon"));
    assert_eq!((status.lines.unknown, status.lines.bad_parameters), (1, 1));
    pool.call("client.reconnect", json!([])).await;
    pool.hung_up().await;
    let mut pool = scene.accept().await;
    pool.handshake().await;
    // Another host of its domain, which then turns out not to be there: back to the address that the owner gave.
    pool.call(
        "client.reconnect",
        json!(["eu.pool.example.com", "3334", 2]),
    )
    .await;
    pool.hung_up().await;
    let mut pool = scene.accept().await;
    pool.handshake().await;
    let looked_up: Vec<String> = scene
        .net
        .lookups()
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    let home = "us.pool.example.com";
    assert_eq!(looked_up, [home, home, "eu.pool.example.com", home]);
    assert_eq!(
        scene.status().await.failures,
        1,
        "a reconnect is no failure, a dead host is"
    );
}

#[tokio::test(start_paused = true)]
async fn case_18_lines_come_in_pieces_in_heaps_and_with_rubbish_between() {
    let (mut scene, mut pool, _) = Scene::mining(|_| ()).await;
    let notify = |id: &str| {
        let params = json!([
            id,
            HASH,
            "01",
            "02",
            [],
            "20000000",
            "1705c739",
            "64495522",
            false
        ]);
        json!({"id": null, "method": "mining.notify", "params": params}).to_string()
    };
    for byte in format!("{}\r\n", notify("pieces")).bytes() {
        pool.raw(&[byte]).await;
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(&*scene.job().await.id.0, "pieces");
    pool.raw(format!("\n\r\n\0\nhello\n{}\n{}\r\n", notify("x"), notify("heap")).as_bytes())
        .await;
    assert_eq!(&*scene.job().await.id.0, "heap");
    pool.raw(&vec![b'x'; 300_000]).await;
    pool.raw(format!("\n{}\n", notify("after")).as_bytes())
        .await;
    assert_eq!(&*scene.job().await.id.0, "after");
    let lines = scene.status().await.lines;
    assert_eq!((lines.malformed, lines.over_long), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn case_19_silence_ends_a_session_and_every_address_is_tried() {
    let (mut scene, pool, _) = Scene::mining(|_| ()).await;
    let address = |text: &str| text.parse().unwrap();
    let all = vec![
        address("192.0.2.9:3333"),
        address("[2001:db8::1]:3333"),
        address("192.0.2.1:3333"),
    ];
    scene
        .net
        .name("us.pool.example.com", move |_| Lookup::Found(all.clone()));
    scene.net.host("[2001:db8::1]:3333", |_| Reach::BlackHole);
    let mut silent = pool;
    silent.hung_up().await;
    assert!(scene.status().await.last_error.unwrap().contains("silent"));
    let mut pool = scene.accept().await;
    pool.handshake().await;
    let dialled: Vec<String> = scene
        .net
        .dials()
        .iter()
        .skip(1)
        .map(|(_, address)| address.to_string())
        .collect();
    assert_eq!(
        dialled,
        ["[2001:db8::1]:3333", "192.0.2.9:3333", "192.0.2.1:3333"]
    );
}

#[tokio::test(start_paused = true)]
async fn case_20_verdicts_come_in_many_shapes_late_or_never() {
    let (mut scene, mut pool, job) = Scene::mining(|_| ()).await;
    for (result, error) in [
        (json!(true), NULL),
        (json!(false), json!([22, "Duplicate share", null])),
        (NULL, json!({"code": 23, "message": "low difficulty share"})),
        (json!(false), json!("Stale")),
        (NULL, NULL),
    ] {
        scene.find(&job).await;
        let submit = pool.expect("mining.submit").await;
        pool.reply(&submit, result, error).await;
    }
    scene.find(&job).await;
    let submit = pool.expect("mining.submit").await;
    let beside = json!({"id": submit["id"], "result": false, "error": null, "reject-reason": "Above target"});
    pool.say(beside).await;
    scene.find(&job).await;
    let lost = pool.expect("mining.submit").await;
    sleep(Duration::from_secs(1)).await;
    pool.notify("2", HASH, false).await;
    sleep(Duration::from_secs(30)).await;
    let shares = scene.status().await.shares;
    assert_eq!(
        (shares.submitted, shares.accepted, shares.unanswered),
        (7, 1, 1)
    );
    let rejected = &shares.rejected;
    assert_eq!(
        (
            rejected.duplicate,
            rejected.low_difficulty,
            rejected.stale,
            rejected.other
        ),
        (1, 2, 1, 1)
    );
    // Its answer comes on the next connection, where its id means nothing.
    drop(pool);
    let mut pool = scene.accept().await;
    pool.handshake().await;
    pool.reply(&lost, json!(true), NULL).await;
    pool.notify("3", HASH, true).await;
    let job = scene.job().await;
    scene.find(&job).await;
    let submit = pool.expect("mining.submit").await;
    assert!(
        submit["id"].as_u64() > lost["id"].as_u64(),
        "ids are never used again"
    );
    assert_eq!(scene.status().await.shares.accepted, 1);
}

#[tokio::test(start_paused = true)]
async fn case_21_users_and_passwords_are_sent_as_they_are() {
    let user = "bc1q.x@y z\u{fc}\"\\";
    let (mut scene, mut pool, job) = Scene::mining(|settings| {
        settings.user = "bc1q.x@y z\u{fc}\"\\".to_owned();
        settings.password = String::new();
    })
    .await;
    scene.find(&job).await;
    assert_eq!(pool.expect("mining.submit").await["params"][0], user);
    let mut scene = Scene::new(|settings| settings.password = "d=0.001,x".to_owned());
    let mut pool = scene.accept().await;
    pool.configured().await;
    pool.subscribed().await;
    let request = pool.expect("mining.authorize").await;
    assert_eq!(request["params"], json!(["user.worker", "d=0.001,x"]));
}

#[tokio::test(start_paused = true)]
async fn case_22_a_job_sent_again_under_a_prefixed_id_is_another_job() {
    let (mut scene, mut pool, first) = Scene::mining(|_| ()).await;
    pool.difficulty(16.0).await;
    pool.notify("Q1", HASH, false).await;
    let again = scene.job().await;
    assert_eq!(
        (again.share_target.difficulty(), again.clean),
        (16.0, false)
    );
    for (job, id) in [(&first, "1"), (&again, "Q1")] {
        scene.find(job).await;
        let submit = pool.expect("mining.submit").await;
        assert_eq!(submit["params"][1], id);
        pool.reply(&submit, NULL, json!([20, "unknown-work", null]))
            .await;
    }
    assert_eq!(scene.status().await.shares.rejected.stale, 2);
}

#[tokio::test(start_paused = true)]
async fn case_23_a_slow_pool_is_not_a_dead_one() {
    let (mut scene, mut pool, first) = Scene::mining(|_| ()).await;
    for number in 2..12 {
        sleep(Duration::from_secs(110)).await;
        pool.notify_at("1", HASH, false, &format!("{:08x}", 0x6449_5522 + number))
            .await;
    }
    scene.find(&first).await;
    pool.quiet().await;
    let status = scene.status().await;
    assert_eq!(
        (status.failures, status.jobs, status.shares.stale_withheld),
        (0, 11, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn case_24_nothing_is_waited_for_that_pools_never_answer() {
    let mut scene = Scene::new(|settings| {
        settings.suggest_difficulty = Difficulty::new(0.002);
        settings.extranonce_subscribe = true;
    });
    let mut pool = scene.accept().await;
    pool.handshake().await;
    pool.expect("mining.suggest_difficulty").await;
    pool.expect("mining.extranonce.subscribe").await;
    pool.notify("1", HASH, true).await;
    let job = scene.job().await;
    scene.find(&job).await;
    let submit = pool.expect("mining.submit").await;
    pool.reply(&submit, json!(true), NULL).await;
    sleep(Duration::from_secs(60)).await;
    let status = scene.status().await;
    assert_eq!(
        (
            status.shares.accepted,
            status.shares.unanswered,
            status.failures
        ),
        (1, 0, 0)
    );
}
