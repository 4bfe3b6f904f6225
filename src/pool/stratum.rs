//! One Stratum v1 pool for as long as the miner runs: connect, hold a session, wait, connect again.

use super::backoff::Backoff;
use super::connection::{Connection, Connector, Stream};
use super::line::LineReader;
use super::session::{Counters, EndReason, Manners, Session, Withheld};
use super::settings::StratumSettings;
use super::source::{JobSource, SourcePorts, SourceTask};
use super::status::{PoolPhase, PoolStatus, SourceKind, Traffic};
use super::url::PoolUrl;
use crate::work::Share;
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

/// A Stratum v1 pool as a source of jobs.
pub struct StratumSource {
    settings: Arc<StratumSettings>,
    connector: Arc<dyn Connector>,
    seed: u64,
}

impl StratumSource {
    /// A pool reached through `connector`; `seed` decides the jitter of its waits.
    pub fn new(settings: StratumSettings, connector: Arc<dyn Connector>, seed: u64) -> Self {
        Self {
            settings: Arc::new(settings),
            connector,
            seed,
        }
    }
}

impl JobSource for StratumSource {
    fn kind(&self) -> SourceKind {
        SourceKind::StratumV1
    }

    fn initial_status(&self) -> PoolStatus {
        PoolStatus {
            kind: SourceKind::StratumV1,
            url: self.settings.url.to_string(),
            user: self.settings.user.clone(),
            traffic: Some(Traffic::default()),
            ..PoolStatus::default()
        }
    }

    fn fingerprint(&self) -> String {
        let proxy = self.settings.proxy.as_ref();
        let proxy_password = proxy
            .and_then(|proxy| proxy.credentials.as_ref())
            .map(|credentials| &credentials.password);
        let password = &self.settings.password;
        format!("{:?} {password:?} {proxy_password:?}", self.settings)
    }

    fn run(self: Box<Self>, ports: SourcePorts) -> SourceTask {
        let status = self.initial_status();
        let task = Task {
            backoff: Backoff::new(self.seed),
            settings: self.settings,
            connector: self.connector,
            manners: Manners::default(),
            redirected: None,
            status,
            ports,
        };
        Box::pin(task.run())
    }
}

struct Task {
    settings: Arc<StratumSettings>,
    connector: Arc<dyn Connector>,
    backoff: Backoff,
    manners: Manners,
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

impl Task {
    async fn run(mut self) {
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
            let url = self
                .redirected
                .clone()
                .unwrap_or_else(|| self.settings.url.clone());
            let connector = Arc::clone(&self.connector);
            let settings = Arc::clone(&self.settings);
            let attempt = connector.connect(&url, &settings.deadlines);
            let attempt = tokio::select! {
                biased;
                () = not_wanted(&mut self.ports.wanted) => continue,
                attempt = timeout(settings.deadlines.whole_connect(), attempt) => attempt,
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
        let tls = secured.map(|secured| secured.protocol);
        tracing::info!(pool = %self.settings.url, peer, tls, "connected");
        self.status.peer = Some(peer);
        let accepted_before = self.status.shares.accepted;
        let counters = Counters {
            shares: std::mem::take(&mut self.status.shares),
            lines: std::mem::take(&mut self.status.lines),
        };
        let mut session = Session::new(
            Arc::clone(&self.settings),
            Arc::clone(&self.ports.numbers),
            self.manners.clone(),
            counters,
            Instant::now(),
        );
        let left = self.converse(&mut session, &mut *stream).await;
        let now = Instant::now();
        self.manners = session.lessons(now);
        session.describe(&mut self.status);
        let proved = session
            .running_since()
            .is_some_and(|since| now >= since + PROOF)
            || (self.status.ready_since.is_some() && self.status.shares.accepted > accepted_before);
        if proved {
            self.backoff.succeeded();
        }
        let counters = session.close();
        self.status.shares = counters.shares;
        self.status.lines = counters.lines;
        self.forget_session();
        self.discard_shares();
        // The losses first: the manager weighs them when it sees that the job is gone.
        self.report();
        self.ports.publish(None);
        match left {
            Left::NotWanted => {
                tracing::info!(pool = %self.settings.url, "disconnected: not wanted now");
                now
            }
            Left::Ended(EndReason::Reconnect { url, wait }) => {
                tracing::info!(pool = %self.settings.url, to = %url, "the pool asked for a new connection");
                self.redirected = Some(url);
                self.backoff.not_before(now + wait)
            }
            Left::Ended(reason) => self.failed(&reason.to_string(), reason.is_refusal()),
            Left::Broken(error) => self.failed(&format!("connection lost: {error}"), false),
        }
    }

    async fn converse(&mut self, session: &mut Session, stream: &mut dyn Stream) -> Left {
        let mut reader = LineReader::default();
        let mut bytes = vec![0; READ];
        let mut was_ready = false;
        loop {
            if !session.output().is_empty() {
                let write = async {
                    stream.write_all(session.output()).await?;
                    // TLS may hold back what did not fit into the socket.
                    stream.flush().await
                };
                match timeout(self.settings.deadlines.write, write).await {
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
                self.status.jobs += 1;
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
                    Ok(0) => {
                        // What stands behind the last line end was the last line.
                        reader.push(b"\n");
                        while let Some(line) = reader.next_line() {
                            session.on_line(line, Instant::now());
                        }
                        return closed(session, io::ErrorKind::UnexpectedEof.into());
                    }
                    Ok(length) => {
                        let now = Instant::now();
                        self.status.traffic.get_or_insert_default().read += length as u64;
                        reader.push(bytes.get(..length).unwrap_or_default());
                        while let Some(line) = reader.next_line() {
                            session.on_line(line, now);
                        }
                        session.on_over_long(reader.take_over_long());
                    }
                    Err(error) => return closed(session, error),
                },
                () = sleep_until(session.next_deadline()) => session.on_timer(Instant::now()),
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
        tracing::warn!(pool = %self.settings.url, "{error}; next try in {wait:.1} s");
        self.status.last_error = Some(format!("{error}; next try in {wait:.1} s"));
        self.status.last_error_at = Some(now);
        next_try
    }

    fn forget_session(&mut self) {
        let status = &mut self.status;
        status.peer = None;
        status.session = None;
        status.ready_since = None;
        status.difficulty = None;
        status.job_id = None;
        status.version_mask = None;
        status.extranonce2_size = None;
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
fn closed(session: &mut Session, error: io::Error) -> Left {
    session.on_closed();
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
