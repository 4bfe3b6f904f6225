//! A pool that works, until its fault begins.

use super::net::Reach;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf, split,
};
use tokio::time::{Instant, interval, sleep, sleep_until};

/// At 100 TH/s a share of this difficulty comes once a second.
pub const DIFFICULTY: f64 = 23_283.064_365_386_963;
/// A block for everybody, so often.
const BLOCK: Duration = Duration::from_secs(600);
/// A job, so often.
const JOB: Duration = Duration::from_secs(30);

/// What goes wrong on a connection once its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Closes the connection.
    Closes,
    /// Takes the connection and says nothing, ever.
    Silent,
    /// Answers `mining.subscribe` and nothing behind it.
    SilentAfterSubscribe,
    AuthorizeRefused,
    /// Answers everything, but sends no jobs any more.
    NoJobs,
    RejectsAll,
    /// Sends jobs, but answers no share.
    NoVerdicts,
    /// A byte every five seconds.
    SlowDrip,
    /// Jobs of 100 KB, and lines of 300 KB that nobody can want.
    LongLines,
    /// Text that is no Stratum, twice a second.
    Noise,
}

/// What a pool has seen, over all its connections.
#[derive(Debug, Default)]
pub struct Log {
    pub connections: usize,
    pub accepted: usize,
    pub rejected: usize,
    /// Shares for jobs of other connections or pools: must stay empty.
    pub foreign: Vec<String>,
}

/// A pool: its name leads its job ids.
#[derive(Clone)]
pub struct Server {
    pub name: &'static str,
    pub log: Arc<Mutex<Log>>,
    pub began: Instant,
}

impl Server {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            log: Arc::default(),
            began: Instant::now(),
        }
    }

    /// Takes a connection whose fault begins at `from` after the pool's own beginning.
    pub fn take(&self, fault: Fault, from: Duration) -> Reach {
        let server = self.clone();
        Reach::Taken(Box::new(move |stream| {
            tokio::spawn(server.serve(stream, fault, from));
        }))
    }

    async fn serve(self, stream: DuplexStream, fault: Fault, from: Duration) {
        let connection = {
            let mut log = self.log.lock().unwrap();
            log.connections += 1;
            log.connections
        };
        let (reader, writer) = split(stream);
        let mut talk = Talk {
            fault_at: self.began + from,
            server: self,
            fault,
            connection,
            reader: BufReader::new(reader),
            writer,
            jobs: 0,
            live: HashSet::new(),
            seen: HashSet::new(),
            block: None,
            authorized: false,
        };
        // The other end may hang up at any time.
        let _ = talk.run().await;
    }
}

struct Talk {
    server: Server,
    fault: Fault,
    fault_at: Instant,
    connection: usize,
    reader: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
    jobs: usize,
    live: HashSet<String>,
    seen: HashSet<String>,
    block: Option<u64>,
    authorized: bool,
}

impl Talk {
    /// The fault, if its time has come.
    fn fault(&self) -> Fault {
        if Instant::now() >= self.fault_at {
            self.fault
        } else {
            Fault::None
        }
    }

    async fn run(&mut self) -> std::io::Result<()> {
        let mut jobs = interval(JOB);
        let mut block = interval(Duration::from_secs(1));
        let mut line = String::new();
        loop {
            match self.fault() {
                Fault::Closes => return Ok(()),
                Fault::Silent => return self.hold().await,
                Fault::SlowDrip => return self.drip().await,
                Fault::Noise => return self.noise().await,
                _ => {}
            }
            tokio::select! {
                read = self.reader.read_line(&mut line) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    let request: Value = serde_json::from_str(&line).expect("miners send JSON");
                    line.clear();
                    self.answer(&request).await?;
                }
                _ = jobs.tick() => self.job().await?,
                _ = block.tick() => {
                    if self.block.is_some_and(|block| block != self.height()) {
                        self.job().await?;
                    }
                }
                () = sleep_until(self.fault_at), if Instant::now() < self.fault_at => {}
            }
        }
    }

    async fn answer(&mut self, request: &Value) -> std::io::Result<()> {
        let id = &request["id"];
        let fault = self.fault();
        let (result, error) = match request["method"].as_str().unwrap() {
            "mining.configure" => (
                json!({"version-rolling": true, "version-rolling.mask": "1fffe000"}),
                Value::Null,
            ),
            "mining.subscribe" => {
                let extranonce1 = format!("{:08x}", self.connection);
                (
                    json!([[["mining.notify", "s"]], extranonce1, 4]),
                    Value::Null,
                )
            }
            _ if fault == Fault::SilentAfterSubscribe => return Ok(()),
            "mining.authorize" if fault == Fault::AuthorizeRefused => {
                (json!(false), json!([24, "Unauthorized worker", null]))
            }
            "mining.authorize" => {
                self.authorized = true;
                (json!(true), Value::Null)
            }
            "mining.submit" if fault == Fault::NoVerdicts => return Ok(()),
            "mining.submit" => {
                sleep(Duration::from_millis(50)).await;
                self.judge(&request["params"], fault)
            }
            _ => (Value::Null, json!([-3, "Method not found", null])),
        };
        self.say(&json!({"id": id, "result": result, "error": error}))
            .await?;
        if request["method"] == "mining.authorize" && self.authorized {
            self.say(
                &json!({"id": null, "method": "mining.set_difficulty", "params": [DIFFICULTY]}),
            )
            .await?;
            self.job().await?;
        }
        Ok(())
    }

    fn judge(&mut self, params: &Value, fault: Fault) -> (Value, Value) {
        let refuse = |code: u32, text: &str| (json!(false), json!([code, text, null]));
        let job = params[1].as_str().unwrap().to_owned();
        let verdict = if fault == Fault::RejectsAll {
            refuse(23, "Above target")
        } else if !self.is_mine(&job) {
            self.server.log.lock().unwrap().foreign.push(job);
            refuse(21, "Job not found")
        } else if self.block != Some(self.height()) || !self.live.contains(&job) {
            refuse(21, "Stale")
        } else if !self.seen.insert(params.to_string()) {
            refuse(22, "Duplicate")
        } else {
            (json!(true), Value::Null)
        };
        let mut log = self.server.log.lock().unwrap();
        if verdict.1.is_null() {
            log.accepted += 1;
        } else {
            log.rejected += 1;
        }
        verdict
    }

    fn is_mine(&self, job: &str) -> bool {
        job.starts_with(&format!("{}-{}-", self.server.name, self.connection))
    }

    fn height(&self) -> u64 {
        self.server.began.elapsed().as_secs() / BLOCK.as_secs()
    }

    async fn job(&mut self) -> std::io::Result<()> {
        let fault = self.fault();
        if !self.authorized || matches!(fault, Fault::NoJobs | Fault::SilentAfterSubscribe) {
            return Ok(());
        }
        let is_new_block = self.block.replace(self.height()) != Some(self.height());
        if is_new_block {
            self.live.clear();
        }
        self.jobs += 1;
        let id = format!("{}-{}-{}", self.server.name, self.connection, self.jobs);
        self.live.insert(id.clone());
        let hash = format!("{:064x}", self.height() + 1);
        let coinbase = if fault == Fault::LongLines {
            "ab".repeat(50_000)
        } else {
            "ab".repeat(60)
        };
        let ntime = format!("{:08x}", 0x6449_5522 + self.jobs);
        let params = json!([
            id,
            hash,
            coinbase,
            "cd",
            [],
            "20000000",
            "1705ae3a",
            ntime,
            is_new_block
        ]);
        self.say(&json!({"id": null, "method": "mining.notify", "params": params}))
            .await?;
        if fault == Fault::LongLines {
            self.writer
                .write_all("x".repeat(300_000).as_bytes())
                .await?;
            self.writer.write_all(b"\n").await?;
        }
        Ok(())
    }

    async fn say(&mut self, message: &Value) -> std::io::Result<()> {
        self.writer
            .write_all(format!("{message}\n").as_bytes())
            .await
    }

    /// Keeps the connection open and neither reads nor writes.
    async fn hold(&mut self) -> std::io::Result<()> {
        std::future::pending().await
    }

    async fn drip(&mut self) -> std::io::Result<()> {
        for byte in br#"{"id":null,"method":"mining.notify","params":["slow","#
            .iter()
            .cycle()
        {
            self.writer.write_all(&[*byte]).await?;
            sleep(Duration::from_secs(5)).await;
        }
        Ok(())
    }

    async fn noise(&mut self) -> std::io::Result<()> {
        loop {
            self.writer
                .write_all(b"<html>502 Bad Gateway</html>\r\n")
                .await?;
            sleep(Duration::from_millis(500)).await;
        }
    }
}
