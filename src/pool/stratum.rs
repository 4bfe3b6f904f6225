//! A Stratum v1 pool as a source of jobs.

use super::connection::Connector;
use super::line::LineReader;
use super::reconnect::{Conversation, Dialect, Task};
use super::session::{Counters, EndReason, Manners, Session, Withheld};
use super::settings::StratumSettings;
use super::source::{JobSource, Numbers, SourcePorts, SourceTask};
use super::status::{PoolStatus, SourceKind, Traffic};
use crate::work::{Job, Share};
use std::sync::Arc;
use tokio::time::Instant;

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
        let place = (self.settings.url.clone(), self.settings.deadlines);
        let dialect = StratumV1 {
            settings: self.settings,
            manners: Manners::default(),
        };
        let task = Task::new(dialect, place, self.connector, self.seed, status, ports);
        Box::pin(task.run())
    }
}

/// Lines of JSON.
struct StratumV1 {
    settings: Arc<StratumSettings>,
    manners: Manners,
}

/// A session, and the lines that its bytes make.
struct Lines {
    session: Session,
    reader: LineReader,
}

impl Dialect for StratumV1 {
    type Session = Lines;

    fn begin(&mut self, numbers: &Arc<Numbers>, counters: Counters, now: Instant) -> Lines {
        let (settings, numbers) = (Arc::clone(&self.settings), Arc::clone(numbers));
        Lines {
            session: Session::new(settings, numbers, self.manners.clone(), counters, now),
            reader: LineReader::default(),
        }
    }

    fn learn(&mut self, lines: Lines, now: Instant) -> Counters {
        self.manners = lines.session.lessons(now);
        lines.session.close()
    }
}

impl Conversation for Lines {
    fn output(&mut self) -> &mut Vec<u8> {
        self.session.output()
    }

    fn on_bytes(&mut self, bytes: &[u8], now: Instant) {
        self.reader.push(bytes);
        while let Some(line) = self.reader.next_line() {
            self.session.on_line(line, now);
        }
        self.session.on_over_long(self.reader.take_over_long());
    }

    fn on_closed(&mut self, now: Instant) {
        // What stands behind the last line end was the last line.
        self.on_bytes(b"\n", now);
        self.session.on_closed();
    }

    fn next_job(&mut self) -> Option<Arc<Job>> {
        self.session.next_job()
    }

    fn ended(&self) -> Option<&EndReason> {
        self.session.ended()
    }

    fn set_at_work(&mut self, at_work: bool, now: Instant) {
        self.session.set_at_work(at_work, now);
    }

    fn running_since(&self) -> Option<Instant> {
        self.session.running_since()
    }

    fn next_deadline(&self) -> Instant {
        self.session.next_deadline()
    }

    fn on_timer(&mut self, now: Instant) {
        self.session.on_timer(now);
    }

    fn submit(&mut self, share: &Share, now: Instant) -> Result<(), Withheld> {
        self.session.submit(share, now)
    }

    fn share_is_late(&mut self, share: &Share) {
        self.session.share_is_late(share);
    }

    fn describe(&self, status: &mut PoolStatus) {
        self.session.describe(status);
    }
}
