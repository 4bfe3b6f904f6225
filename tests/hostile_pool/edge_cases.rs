//! The edge cases of Stratum v1 as real pools play them, through the whole room: each test is the
//! pool, line by line.

use super::net::{Lookup, Reach};
use super::stage::Stage;
use cgminer_rs::pool::settings::StratumSettings;
use cgminer_rs::pool::status::PoolPhase;
use cgminer_rs::work::{Difficulty, Job};
use serde_json::{Value, json};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf, split,
};
use tokio::time::{sleep, timeout};

mod handshake;
mod jobs;
mod link;

const HASH: &str = "46f99360a6e97256d49f87304f087507a6e24f6b7e2e86bacad8d1e100000000";
const OTHER_HASH: &str = "c8ab143903ec3651dd554ef963f7c507a6e24f6b7e2e86bacad8d1e100000000";
const NULL: Value = Value::Null;

/// A miner with one pool, which the test plays.
struct Scene(Stage);

impl Deref for Scene {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.0
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.0
    }
}

/// The pool's end of a connection.
struct Connection {
    reader: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
}

impl Scene {
    fn new(change: impl FnOnce(&mut StratumSettings)) -> Self {
        let host = "us.pool.example.com";
        Self(Stage::new(host, &format!("{host}:3333"), change))
    }

    /// The next connection, after whatever back-off.
    async fn accept(&mut self) -> Connection {
        let (reader, writer) = split(self.connection().await);
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
