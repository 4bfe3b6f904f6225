//! The pool's side of the bench: plain blocking sockets, so that its own time is small and known.

use super::tap::Tap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Below what the emulated chips report, so that every nonce is a share.
pub const POOL_DIFFICULTY: f64 = 1.0 / 1_048_576.0;
/// A job or a nonce that takes longer than this is a fault of the bench.
const DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks at the taps.
const LOOK: Duration = Duration::from_micros(200);

/// A pool with one client.
pub struct BenchPool {
    port: u16,
    connection: Mutex<Option<Connection>>,
    listener: TcpListener,
    taps: Vec<Tap>,
    jobs: AtomicU64,
}

struct Connection {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
    /// A line of which the end has not come yet.
    begun: Vec<u8>,
}

impl BenchPool {
    /// Listens at a loopback port.
    pub fn start(taps: Vec<Tap>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        Self {
            port,
            connection: Mutex::new(None),
            listener,
            taps,
            jobs: AtomicU64::new(0),
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("stratum+tcp://127.0.0.1:{}", self.port)
    }

    /// Takes the one client through its handshake and gives it a first job.
    pub fn welcome(&self) {
        let (stream, _) = self.listener.accept().expect("the daemon connects");
        stream.set_nodelay(true).expect("a TCP option");
        stream
            .set_read_timeout(Some(DEADLINE))
            .expect("a TCP option");
        let reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut connection = Connection {
            writer: stream,
            reader,
            begun: Vec::new(),
        };
        loop {
            let line = connection.line();
            let request: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let id = &request["id"];
            let method = request["method"].as_str().unwrap_or_default();
            let result = match method {
                "mining.configure" => {
                    r#"{"version-rolling":true,"version-rolling.mask":"1fffe000"}"#
                }
                "mining.subscribe" => r#"[[["mining.notify","1"]],"aabbccdd",8]"#,
                _ => "true",
            };
            connection.send(&format!(
                "{{\"id\":{id},\"result\":{result},\"error\":null}}\n"
            ));
            if method == "mining.authorize" {
                break;
            }
        }
        connection.send(&format!(
            "{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{POOL_DIFFICULTY}]}}\n"
        ));
        let (first, _) = self.notify_line();
        connection.send(&first);
        *self.connection.lock().expect("one thread") = Some(connection);
    }

    /// Sends a clean job; gives the time until the first byte of a frame of it was written to the last of the chains.
    pub fn notify_to_frames(&self) -> Duration {
        let mut guard = self.connection.lock().expect("one thread");
        let connection = guard.as_mut().expect("welcomed");
        // Shares of the time before, so that no session gives up a pool that never answers.
        connection.answer_for(Duration::from_millis(3));
        let (line, last_word) = self.notify_line();
        self.taps.iter().for_each(|tap| tap.arm(last_word));
        let start = Instant::now();
        connection.send(&line);
        while start.elapsed() < DEADLINE {
            let written: Option<Vec<_>> = self.taps.iter().map(Tap::written).collect();
            if let Some(last) = written.and_then(|written| written.into_iter().max()) {
                return last.saturating_duration_since(start);
            }
            // The taps note the times; a thread that spun here would take a processor from those who are timed.
            std::thread::sleep(LOOK);
        }
        panic!("no frame within {DEADLINE:?}");
    }

    /// Times from the last byte read of a reply to the arrival of the submit line with its nonce.
    pub fn nonce_to_submit(&self, samples: usize) -> Vec<Duration> {
        let mut guard = self.connection.lock().expect("one thread");
        let connection = guard.as_mut().expect("welcomed");
        let mut times = Vec::with_capacity(samples);
        // Lines of the time before are in the buffer.
        connection.answer_for(Duration::from_millis(50));
        while times.len() < samples {
            let line = connection.line();
            let now = Instant::now();
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            if line["method"] != "mining.submit" {
                continue;
            }
            let nonce = line["params"][4].as_str().expect("a nonce");
            let nonce = u32::from_str_radix(nonce, 16).expect("hex").to_le_bytes();
            let read = self.taps.iter().filter_map(|tap| tap.read(nonce)).max();
            let read = read.expect("a submit of a nonce that no chip gave");
            times.push(now.saturating_duration_since(read));
            connection.accept(&line["id"]);
        }
        times
    }

    /// A clean job of ordinary size, 200 bytes of coinbase and 12 branches, and the last word of its previous hash as a frame
    /// carries it.
    fn notify_line(&self) -> (String, [u8; 4]) {
        let number = self.jobs.fetch_add(1, Ordering::Relaxed);
        let previous = format!("{number:064x}");
        let coinbase1 = "01".repeat(94);
        let coinbase2 = "02".repeat(94);
        let branches = (0..12)
            .map(|branch| format!("\"{branch:064x}\""))
            .collect::<Vec<_>>()
            .join(",");
        let line = format!(
            "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{number:x}\",\"{previous}\",\"{coinbase1}\",\
             \"{coinbase2}\",[{branches}],\"20000000\",\"17034219\",\"665f4c00\",true]}}\n"
        );
        (line, (number as u32).to_le_bytes())
    }
}

impl Connection {
    fn line(&mut self) -> String {
        let mut line = std::mem::take(&mut self.begun);
        self.reader
            .read_until(b'\n', &mut line)
            .expect("the daemon talks");
        String::from_utf8(line).expect("UTF-8")
    }

    fn send(&mut self, text: &str) {
        self.writer
            .write_all(text.as_bytes())
            .expect("the daemon listens");
    }

    fn accept(&mut self, id: &serde_json::Value) {
        self.send(&format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n"));
    }

    /// Accepts every share that has come so far or comes in this time.
    fn answer_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        self.wait_at_most(time);
        while Instant::now() < until {
            match self.reader.read_until(b'\n', &mut self.begun) {
                Ok(count) => assert!(count > 0, "the daemon hung up"),
                // What has come of a line stays in `begun`.
                Err(_) => continue,
            }
            let line: serde_json::Value = serde_json::from_slice(&self.begun).expect("JSON");
            self.begun.clear();
            self.accept(&line["id"]);
        }
        self.wait_at_most(DEADLINE);
    }

    fn wait_at_most(&self, time: Duration) {
        self.writer
            .set_read_timeout(Some(time))
            .expect("a TCP option");
    }
}
