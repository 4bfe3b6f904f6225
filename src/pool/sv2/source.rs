//! A Stratum v2 pool as a source of jobs.

use super::session::{Lessons, Session};
use super::settings::Sv2Settings;
use crate::pool::connection::Connector;
use crate::pool::reconnect::{Dialect, Task};
use crate::pool::session::Counters;
use crate::pool::source::{JobSource, Numbers, SourcePorts, SourceTask};
use crate::pool::status::{PoolStatus, SourceKind, Traffic};
use std::sync::Arc;
use tokio::time::Instant;

/// A Stratum v2 pool.
pub struct Sv2Source {
    settings: Arc<Sv2Settings>,
    connector: Arc<dyn Connector>,
    seed: u64,
}

impl Sv2Source {
    /// A pool reached through `connector`, which encrypts; `seed` decides the jitter of its waits.
    pub fn new(settings: Sv2Settings, connector: Arc<dyn Connector>, seed: u64) -> Self {
        Self {
            settings: Arc::new(settings),
            connector,
            seed,
        }
    }
}

impl JobSource for Sv2Source {
    fn kind(&self) -> SourceKind {
        SourceKind::StratumV2
    }

    fn initial_status(&self) -> PoolStatus {
        PoolStatus {
            kind: SourceKind::StratumV2,
            url: self.settings.pool.url.to_string(),
            user: self.settings.pool.user.clone(),
            traffic: Some(Traffic::default()),
            ..PoolStatus::default()
        }
    }

    fn fingerprint(&self) -> String {
        let proxy = self.settings.pool.proxy.as_ref();
        let proxy_password = proxy
            .and_then(|proxy| proxy.credentials.as_ref())
            .map(|credentials| &credentials.password);
        format!(
            "{:?} {:?} {proxy_password:?}",
            self.settings.pool, self.settings.channel
        )
    }

    fn run(self: Box<Self>, ports: SourcePorts) -> SourceTask {
        let status = self.initial_status();
        let place = (self.settings.pool.url.clone(), self.settings.pool.deadlines);
        let dialect = StratumV2 {
            settings: self.settings,
            lessons: Lessons::default(),
        };
        let task = Task::new(dialect, place, self.connector, self.seed, status, ports);
        Box::pin(task.run())
    }
}

/// Frames of bytes.
struct StratumV2 {
    settings: Arc<Sv2Settings>,
    lessons: Lessons,
}

impl Dialect for StratumV2 {
    type Session = Session;

    fn begin(&mut self, numbers: &Arc<Numbers>, counters: Counters, now: Instant) -> Session {
        let (settings, numbers) = (Arc::clone(&self.settings), Arc::clone(numbers));
        Session::new(settings, numbers, self.lessons.clone(), counters, now)
    }

    fn learn(&mut self, session: Session, _: Instant) -> Counters {
        self.lessons = session.lessons();
        session.close()
    }
}
