//! One pool for as long as the miner runs, whatever it speaks: connect, hold a session, wait, connect again.

use super::backoff::Backoff;
use super::connection::{Connection, Connector, Stream};
use super::session::{Counters, EndReason, Withheld};
use super::settings::Deadlines;
use super::source::{Numbers, SourcePorts};
use super::status::{PoolPhase, PoolStatus};
use super::url::PoolUrl;
use crate::work::{Job, Share};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// A session that lasted this long has proved its pool.
const PROOF: Duration = Duration::from_secs(60);
/// Bytes taken from the stream at once.
const READ: usize = 8 * 1024;

/// What a pool is spoken to in, and what is known of it from one session to the next.
pub trait Dialect: Send {
    /// One connection's conversation.
    type Session: Conversation;

    /// Begins one on a fresh connection.
    fn begin(&mut self, numbers: &Arc<Numbers>, counters: Counters, now: Instant) -> Self::Session;

    /// Learns from one whose connection is over, and takes its numbers back. Shares without a verdict count as
    /// unanswered.
    fn learn(&mut self, session: Self::Session, now: Instant) -> Counters;
}

/// A conversation with a pool as a state machine: bytes and time go in, bytes and jobs come out. No I/O.
pub trait Conversation: Send {
    /// Bytes for the pool. The caller sends and clears them.
    fn output(&mut self) -> &mut Vec<u8>;
    /// Takes bytes from the pool.
    fn on_bytes(&mut self, bytes: &[u8], now: Instant);
    /// The pool has ended the connection.
    fn on_closed(&mut self, now: Instant);
    /// The next new job to work on.
    fn next_job(&mut self) -> Option<Arc<Job>>;
    /// Why it is over, if it is.
    fn ended(&self) -> Option<&EndReason>;
    /// Whether the chains work for the pool from now on; it is so from the start.
    fn set_at_work(&mut self, at_work: bool, now: Instant);
    /// Since when it has been through the handshake, if it is.
    fn running_since(&self) -> Option<Instant>;
    /// When [`Self::on_timer`] wants to be called next.
    fn next_deadline(&self) -> Instant;
    /// Looks whether something is overdue.
    fn on_timer(&mut self, now: Instant);
    /// Appends a share to the output, if its job still counts.
    fn submit(&mut self, share: &Share, now: Instant) -> Result<(), Withheld>;
    /// Counts a share whose session is over, and which is therefore sent nowhere.
    fn share_is_late(&mut self, share: &Share);
    /// Writes what it knows into the pool's status.
    fn describe(&self, status: &mut PoolStatus);
}

/// A pool's whole life as a task.
pub struct Task<D> {
    dialect: D,
    url: PoolUrl,
    deadlines: Deadlines,
    connector: Arc<dyn Connector>,
    backoff: Backoff,
    /// Where the pool has sent us; forgotten when that place fails.
    redirected: Option<PoolUrl>,
    status: PoolStatus,
    ports: SourcePorts,
}

/// Why a session's loop was left.
enum Left {
    /// The session itself is over.
    Ended(EndReason),
    /// The connection broke.
    Broken(io::Error),
    /// The strategy wants no session any more.
    NotWanted,
}

impl<D: Dialect> Task<D> {
    /// A pool at this address, reached through `connector`; `seed` decides the jitter of its waits.
    pub fn new(
        dialect: D,
        (url, deadlines): (PoolUrl, Deadlines),
        connector: Arc<dyn Connector>,
        seed: u64,
        status: PoolStatus,
        ports: SourcePorts,
    ) -> Self {
        Self {
            dialect,
            url,
            deadlines,
            connector,
            backoff: Backoff::new(seed),
            redirected: None,
            status,
            ports,
        }
    }

    /// Runs until the manager is gone.
    pub async fn run(mut self) {
        let mut next_try = Instant::now();
        loop {
            if !self.wait_until(next_try).await {
                return;
            }
            let began = Instant::now();
            self.backoff.attempted(began);
            self.status.connection_attempts += 1;
            self.status.phase = PoolPhase::Connecting;
            self.report();
            let url = self.redirected.clone().unwrap_or_else(|| self.url.clone());
            let connector = Arc::clone(&self.connector);
            let deadlines = self.deadlines;
            let attempt = connector.connect(&url, &deadlines);
            let attempt = tokio::select! {
                biased;
                () = not_wanted(&mut self.ports.wanted) => continue,
                attempt = timeout(deadlines.whole_connect(), attempt) => attempt,
            };
            next_try = match attempt {
                Ok(Ok(connection)) => self.hold_session(connection).await,
                Ok(Err(error)) => self.failed(&error.to_string(), false),
                Err(_) => self.failed("no connection in time", false),
            };
        }
    }

    /// Waits until the source is wanted and it is time. False: the manager is gone.
    async fn wait_until(&mut self, at: Instant) -> bool {
        loop {
            // Once its sender is gone the value stays as it was.
            if self.ports.wanted.has_changed().is_err() {
                return false;
            }
            while !*self.ports.wanted.borrow_and_update() {
                self.status.phase = PoolPhase::Idle;
                self.report();
                self.discard_shares();
                tokio::select! {
                    changed = self.ports.wanted.changed() => if changed.is_err() { return false },
                    Some(share) = self.ports.shares.recv() => self.share_is_late(&share),
                }
            }
            if Instant::now() >= at {
                return true;
            }
            self.status.phase = PoolPhase::BackingOff;
            self.report();
            tokio::select! {
                changed = self.ports.wanted.changed() => if changed.is_err() { return false },
                () = sleep_until(at) => {}
                Some(share) = self.ports.shares.recv() => self.share_is_late(&share),
            }
        }
    }

    /// Runs a session to its end. Gives the time of the next try.
    async fn hold_session(&mut self, connection: Connection) -> Instant {
        let Connection {
            mut stream,
            peer,
            secured,
        } = connection;
        let encrypted = secured.map(|secured| secured.protocol);
        tracing::info!(pool = %self.url, peer, encrypted, "connected");
        self.status.peer = Some(peer);
        let accepted_before = self.status.shares.accepted;
        let counters = Counters {
            shares: std::mem::take(&mut self.status.shares),
            lines: std::mem::take(&mut self.status.lines),
        };
        let mut session = self
            .dialect
            .begin(&self.ports.numbers, counters, Instant::now());
        let left = self.converse(&mut session, &mut *stream).await;
        let now = Instant::now();
        session.describe(&mut self.status);
        let proved = session
            .running_since()
            .is_some_and(|since| now >= since + PROOF)
            || (self.status.ready_since.is_some() && self.status.shares.accepted > accepted_before);
        if proved {
            self.backoff.succeeded();
        }
        let counters = self.dialect.learn(session, now);
        self.status.shares = counters.shares;
        self.status.lines = counters.lines;
        self.status.forget_session();
        self.discard_shares();
        let next_try = match left {
            Left::NotWanted => {
                tracing::info!(pool = %self.url, "disconnected: not wanted now");
                now
            }
            Left::Ended(EndReason::Reconnect { url, wait }) => {
                tracing::info!(pool = %self.url, to = %url, "the pool asked for a new connection");
                self.redirected = Some(url);
                self.backoff.not_before(now + wait)
            }
            Left::Ended(reason) => self.failed(&reason.to_string(), reason.is_refusal()),
            Left::Broken(error) => self.failed(&format!("connection lost: {error}"), false),
        };
        // Failure and losses first: the manager weighs them when it sees that the job is gone.
        self.report();
        self.ports.publish(None);
        next_try
    }

    async fn converse(&mut self, session: &mut D::Session, stream: &mut dyn Stream) -> Left {
        let mut bytes = vec![0; READ];
        let mut was_ready = false;
        self.ports.at_work.mark_changed();
        loop {
            if !session.output().is_empty() {
                let write = async {
                    stream.write_all(session.output()).await?;
                    // Encryption may hold back what did not fit into the socket.
                    stream.flush().await
                };
                match timeout(self.deadlines.write, write).await {
                    Ok(Ok(())) => {
                        let traffic = self.status.traffic.get_or_insert_default();
                        traffic.writes += 1;
                        traffic.written += session.output().len() as u64;
                        session.output().clear();
                    }
                    Ok(Err(error)) => return Left::Broken(error),
                    Err(_) => return Left::Broken(io::ErrorKind::TimedOut.into()),
                }
            }
            while let Some(job) = session.next_job() {
                self.status.count_job(job.is_nearly_empty());
                self.ports.publish(Some(job));
            }
            if let Some(reason) = session.ended() {
                return Left::Ended(reason.clone());
            }
            session.describe(&mut self.status);
            if self.status.phase == PoolPhase::Ready && !was_ready {
                was_ready = true;
                self.status.sessions_ready += 1;
            }
            self.report();
            tokio::select! {
                biased;
                Some(share) = self.ports.shares.recv() => {
                    let submitted = session.submit(&share, Instant::now());
                    if submitted == Err(Withheld::OtherSession) {
                        session.share_is_late(&share);
                    }
                }
                read = stream.read(&mut bytes) => match read {
                    Ok(0) => return closed(session, io::ErrorKind::UnexpectedEof.into()),
                    Ok(length) => {
                        self.status.traffic.get_or_insert_default().read += length as u64;
                        session.on_bytes(bytes.get(..length).unwrap_or_default(), Instant::now());
                    }
                    Err(error) => return closed(session, error),
                },
                () = sleep_until(session.next_deadline()) => session.on_timer(Instant::now()),
                Ok(()) = self.ports.at_work.changed() => {
                    session.set_at_work(*self.ports.at_work.borrow_and_update(), Instant::now());
                }
                () = not_wanted(&mut self.ports.wanted) => return Left::NotWanted,
            }
        }
    }

    fn failed(&mut self, error: &str, refused: bool) -> Instant {
        let now = Instant::now();
        let next_try = self.backoff.failed(refused, now);
        self.redirected = None;
        self.status.failures += 1;
        let wait = next_try.saturating_duration_since(now).as_secs_f64();
        tracing::warn!(pool = %self.url, "{error}; next try in {wait:.1} s");
        self.status.last_error = Some(format!("{error}; next try in {wait:.1} s"));
        self.status.last_error_at = Some(now);
        next_try
    }

    /// Shares that were on their way when their session ended.
    fn discard_shares(&mut self) {
        while let Ok(share) = self.ports.shares.try_recv() {
            self.share_is_late(&share);
        }
    }

    fn share_is_late(&mut self, share: &Share) {
        self.status.shares.is_late(share);
    }

    fn report(&self) {
        self.ports.report(self.status.clone());
    }
}

/// Why a session is left whose connection the pool has ended.
fn closed(session: &mut impl Conversation, error: io::Error) -> Left {
    session.on_closed(Instant::now());
    match session.ended() {
        Some(reason) => Left::Ended(reason.clone()),
        None => Left::Broken(error),
    }
}

/// Returns when the strategy wants no session any more, or the manager is gone.
async fn not_wanted(wanted: &mut watch::Receiver<bool>) {
    // An error means the same: nobody wants it.
    let _ = wanted.wait_for(|wanted| !wanted).await;
}
