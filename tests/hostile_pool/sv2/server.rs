//! A Stratum v2 pool that works, until its fault begins.

use super::wire::{self, Reader, Writer};
use crate::net::Reach;
use crate::server::{DIFFICULTY, Log};
use binary_sv2::{Seq0255, Sv2Option, U256, from_bytes};
use cgminer_rs::work::{Difficulty, Target};
use common_messages_sv2::{SetupConnection, SetupConnectionError, SetupConnectionSuccess};
use mining_sv2::{
    NewExtendedMiningJob, OpenExtendedMiningChannel, OpenExtendedMiningChannelSuccess,
    OpenMiningChannelError, SetNewPrevHash, SubmitSharesError, SubmitSharesExtended,
    SubmitSharesSuccess,
};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, interval, sleep, sleep_until};

/// A block for everybody, so often.
const BLOCK: Duration = Duration::from_secs(600);
/// A job, so often.
const JOB: Duration = Duration::from_secs(30);
/// Job ids of a connection begin with its number.
const JOBS: u32 = 100_000;

/// What goes wrong on a connection once its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Closes the connection.
    Closes,
    /// Takes the connection and says nothing, ever.
    Silent,
    /// Does the Noise handshake and nothing behind it.
    SilentAfterNoise,
    /// Cannot prove itself.
    WrongKey,
    SetupRefused,
    OpenRefused,
    /// Answers everything, but sends no jobs any more.
    NoJobs,
    RejectsAll,
    /// Sends jobs, but answers no share.
    NoVerdicts,
    /// An encrypted byte every five seconds.
    SlowDrip,
    /// Messages that nobody can read, twice a second.
    Noise,
    /// Bytes that are not encrypted.
    Garbage,
}

/// A pool.
#[derive(Clone)]
pub struct Server {
    pub log: Arc<Mutex<Log>>,
    pub began: Instant,
    /// Shares that it collects before it tells that they are accepted.
    pub batch: u32,
}

impl Server {
    pub fn new(batch: u32) -> Self {
        Self {
            log: Arc::default(),
            began: Instant::now(),
            batch,
        }
    }

    /// Takes a connection whose fault begins at `from` after the pool's own beginning.
    pub fn take(&self, fault: Fault, from: Duration) -> Reach {
        let server = self.clone();
        Reach::Taken(Box::new(move |stream| {
            tokio::spawn(server.serve(stream, fault, from));
        }))
    }

    async fn serve(self, mut stream: DuplexStream, fault: Fault, from: Duration) {
        let connection = {
            let mut log = self.log.lock().unwrap();
            log.connections += 1;
            log.connections as u32
        };
        let fault_at = self.began + from;
        if Instant::now() >= fault_at {
            match fault {
                Fault::Closes => return,
                Fault::Silent => std::future::pending().await,
                Fault::WrongKey => {
                    // Some answer that no key of ours has made.
                    let _ = stream.write_all(&[7; 234]).await;
                    sleep(Duration::from_secs(60)).await;
                    return;
                }
                _ => {}
            }
        }
        let Ok((reader, writer)) = wire::accept(stream, super::NOW).await else {
            return;
        };
        let mut talk = Talk {
            fault_at,
            server: self,
            fault,
            connection,
            writer,
            jobs: 0,
            live: HashSet::new(),
            seen: HashSet::new(),
            block: None,
            open: false,
            sequence: 0,
            collected: 0,
        };
        // The other end may hang up at any time.
        let _ = talk.run(reader).await;
    }
}

struct Talk {
    server: Server,
    fault: Fault,
    fault_at: Instant,
    connection: u32,
    writer: Writer,
    jobs: u32,
    live: HashSet<u32>,
    seen: HashSet<Vec<u8>>,
    block: Option<u64>,
    open: bool,
    sequence: u32,
    collected: u32,
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

    async fn run(&mut self, mut reader: Reader) -> std::io::Result<()> {
        let mut jobs = interval(JOB);
        let mut block = interval(Duration::from_secs(1));
        // By a task of its own: a wait for a message cannot be broken off.
        let (sender, mut messages) = tokio::sync::mpsc::unbounded_channel();
        let reading = tokio::spawn(async move {
            while let Ok(message) = reader.next().await {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let _reading = AbortOnDrop(reading);
        loop {
            match self.fault() {
                Fault::Closes => return Ok(()),
                Fault::Silent | Fault::SilentAfterNoise => std::future::pending().await,
                Fault::SlowDrip => loop {
                    self.writer.bytes.write_all(&[7]).await?;
                    sleep(Duration::from_secs(5)).await;
                },
                Fault::Garbage => {
                    self.writer.bytes.write_all(&[7; 1000]).await?;
                    return std::future::pending().await;
                }
                Fault::Noise => loop {
                    // A SetTarget with nothing in it.
                    self.writer.raw(vec![0, 0x80, 0x21, 0, 0, 0]).await?;
                    sleep(Duration::from_millis(500)).await;
                },
                _ => {}
            }
            tokio::select! {
                message = messages.recv() => {
                    let Some((kind, bytes)) = message else {
                        return Ok(());
                    };
                    self.answer(kind, bytes).await?;
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

    async fn answer(&mut self, kind: u8, mut bytes: Vec<u8>) -> std::io::Result<()> {
        match kind {
            0x00 => {
                let setup: SetupConnection<'_> = from_bytes(&mut bytes).unwrap();
                assert_eq!(
                    (setup.min_version, setup.max_version, setup.flags),
                    (2, 2, 0)
                );
                if self.fault() == Fault::SetupRefused {
                    let error_code = "unsupported-protocol".try_into().unwrap();
                    return self
                        .writer
                        .say(
                            SetupConnectionError {
                                flags: 0,
                                error_code,
                            },
                            0x02,
                        )
                        .await;
                }
                let success = SetupConnectionSuccess {
                    used_version: 2,
                    flags: 0,
                };
                self.writer.say(success, 0x01).await
            }
            0x13 => {
                let open: OpenExtendedMiningChannel<'_> = from_bytes(&mut bytes).unwrap();
                if self.fault() == Fault::OpenRefused {
                    let refused = OpenMiningChannelError {
                        request_id: open.request_id,
                        error_code: "unknown-user".try_into().unwrap(),
                    };
                    return self.writer.say(refused, 0x12).await;
                }
                let (prefix, target) = (self.connection.to_be_bytes(), target());
                let success = OpenExtendedMiningChannelSuccess {
                    request_id: open.request_id,
                    channel_id: self.connection,
                    target: U256::from(&target),
                    extranonce_size: 8,
                    extranonce_prefix: (&prefix[..]).try_into().unwrap(),
                    group_channel_id: 999,
                };
                self.writer.say(success, 0x14).await?;
                self.open = true;
                self.job().await
            }
            0x1b => {
                sleep(Duration::from_millis(50)).await;
                self.judge(bytes).await
            }
            other => panic!("a miner sends no {other:x}"),
        }
    }

    async fn judge(&mut self, mut bytes: Vec<u8>) -> std::io::Result<()> {
        let share: SubmitSharesExtended<'_> = from_bytes(&mut bytes).unwrap();
        assert!(
            share.sequence_number > self.sequence,
            "sequence numbers rise"
        );
        assert_eq!(
            (share.channel_id, share.extranonce.len()),
            (self.connection, 8)
        );
        self.sequence = share.sequence_number;
        let (id, sequence_number) = (share.job_id, share.sequence_number);
        let work = (
            id,
            share.nonce,
            share.ntime,
            share.version,
            share.extranonce.as_bytes(),
        );
        let work = format!("{work:?}").into_bytes();
        let fault = self.fault();
        if fault == Fault::NoVerdicts {
            return Ok(());
        }
        let refusal = if fault == Fault::RejectsAll {
            Some("difficulty-too-low")
        } else if id / JOBS != self.connection {
            self.server.log.lock().unwrap().foreign.push(id.to_string());
            Some("invalid-job-id")
        } else if self.block != Some(self.height()) || !self.live.contains(&id) {
            Some("stale-share")
        } else if !self.seen.insert(work) {
            Some("duplicate-share")
        } else {
            None
        };
        let channel_id = self.connection;
        if let Some(code) = refusal {
            self.server.log.lock().unwrap().rejected += 1;
            let error_code = code.try_into().unwrap();
            let error = SubmitSharesError {
                channel_id,
                sequence_number,
                error_code,
            };
            return self.writer.say(error, 0x1d).await;
        }
        self.server.log.lock().unwrap().accepted += 1;
        self.collected += 1;
        if self.collected < self.server.batch {
            return Ok(());
        }
        let success = SubmitSharesSuccess {
            channel_id,
            last_sequence_number: sequence_number,
            new_submits_accepted_count: std::mem::take(&mut self.collected),
            new_shares_sum: 0,
        };
        self.writer.say(success, 0x1c).await
    }

    fn height(&self) -> u64 {
        self.server.began.elapsed().as_secs() / BLOCK.as_secs()
    }

    async fn job(&mut self) -> std::io::Result<()> {
        if !self.open || self.fault() == Fault::NoJobs {
            return Ok(());
        }
        let is_new_block = self.block.replace(self.height()) != Some(self.height());
        if is_new_block {
            self.live.clear();
        }
        self.jobs += 1;
        let id = self.connection * JOBS + self.jobs;
        self.live.insert(id);
        let ntime = 0x6449_5522 + self.jobs;
        // The first jobs come to the channel, later ones to its group.
        let channel_id = if self.jobs == 1 { self.connection } else { 999 };
        let job = NewExtendedMiningJob {
            channel_id,
            job_id: id,
            min_ntime: Sv2Option::new((!is_new_block).then_some(ntime)),
            version: 0x2000_0000,
            version_rolling_allowed: true,
            merkle_path: Seq0255::new(Vec::new()).unwrap(),
            coinbase_tx_prefix: (&[0xab; 60][..]).try_into().unwrap(),
            coinbase_tx_suffix: (&[0xcd; 60][..]).try_into().unwrap(),
        };
        self.writer.say(job, 0x1f).await?;
        if !is_new_block {
            return Ok(());
        }
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(self.height() + 1).to_le_bytes());
        let previous = SetNewPrevHash {
            channel_id,
            job_id: id,
            prev_hash: U256::from(&hash),
            min_ntime: ntime,
            nbits: 0x1705_ae3a,
        };
        self.writer.say(previous, 0x20).await
    }
}

/// Ends a task with whoever began it, so that the connection closes.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The tests' difficulty as it stands in messages.
pub fn target() -> [u8; 32] {
    let Target(limbs) = Target::from_difficulty(Difficulty::new(DIFFICULTY).unwrap());
    let bytes: Vec<u8> = limbs
        .iter()
        .rev()
        .flat_map(|limb| limb.to_le_bytes())
        .collect();
    bytes.try_into().unwrap()
}
