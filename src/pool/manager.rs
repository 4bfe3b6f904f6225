//! All pools together: which one the chains work for, and which one a share goes to.

use super::record::PoolRecord;
use super::retired::{Identity, PoolCounters, Retired};
use super::settings::{Place, StrategyKind};
use super::source::{JobSource, Numbers, SourceHandle, source_channels};
use super::status::{PoolStatus, PoolsStatus};
use super::strategy::{Decision, PoolView, Strategy};
use crate::work::{Job, SessionId, Share};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often a strategy decides when nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// Sessions and switches that are remembered; a share is seconds old when it comes.
const REMEMBERED: usize = 64;

/// How long a pool that is not wanted any more keeps its session, for shares of its last job and verdicts on their way.
const GRACE: Duration = Duration::from_secs(5);
/// Removed pools that have this grace at once; one more ends the oldest's.
const LEAVING: usize = 16;

/// A source with its place in the strategy. Their order is their priority.
pub struct ConfiguredSource {
    /// The source.
    pub source: Box<dyn JobSource>,
    /// Its part of the work.
    pub place: Place,
    /// What its owner calls it; `None`: nothing but its address.
    pub name: Option<String>,
}

/// Changes while running; none of them touches the chips.
pub enum Command {
    /// Replace all pools and the strategy: the one way to add, change, remove and switch off. Sources with the same
    /// settings are kept with their sessions and all that is known of them.
    Replace(Vec<ConfiguredSource>, StrategyKind),
    /// Put this pool first (`switchpool` of the cgminer API), if the strategy knows a first.
    Prefer(usize),
    /// Give the chains no work, or work again. Sessions stay.
    Pause(bool),
}

/// The manager's channels to the rest of the miner.
pub struct ManagerPorts {
    /// The job that all chains work on; `None`: idle.
    pub jobs: watch::Sender<Option<Arc<Job>>>,
    /// Shares of all chains. The manager ends when all their senders are gone.
    pub shares: mpsc::Receiver<Share>,
    /// All pools' status.
    pub status: watch::Sender<PoolsStatus>,
    /// Hashes that the chains have done since start, by their verified tickets. Pools are given
    /// parts of these.
    pub hashes_done: watch::Receiver<f64>,
    /// Changes while running. Its sender gone is no reason to end.
    pub commands: mpsc::Receiver<Command>,
}

/// Runs all sources until the chains are gone.
pub async fn run(sources: Vec<ConfiguredSource>, strategy: StrategyKind, ports: ManagerPorts) {
    Manager::new(sources, strategy, ports).run().await;
}

struct Manager {
    ports: ManagerPorts,
    numbers: Arc<Numbers>,
    changed: Arc<Notify>,
    tasks: JoinSet<()>,
    strategy: Strategy,
    pools: Vec<Pool>,
    /// Removed pools whose last shares may still come, oldest first.
    leaving: VecDeque<Pool>,
    /// Names pools for `routes`, for they change their index.
    next_key: u64,
    /// Which pool a session belongs to, newest last.
    routes: VecDeque<(SessionId, u64)>,
    /// Jobs that were given out under another sequence number: that number, and the job as its
    /// session knows it.
    restamped: VecDeque<(u64, Arc<Job>)>,
    /// Pool and sequence number, in the session's count, of the job that the chains work on.
    published: Option<(u64, u64)>,
    decision: Decision,
    has_chosen: bool,
    paused: bool,
    switches: u64,
    shares_without_session: u64,
    retired: Retired,
}

struct Pool {
    key: u64,
    fingerprint: String,
    handle: SourceHandle,
    place: Place,
    name: Option<String>,
    identity: Identity,
    /// What it did before its source was started.
    before: PoolCounters,
    failures_when_ready: u64,
    /// Shares it had accepted, and hashes it had not credited by then.
    last_accepted: (u64, f64),
    record: PoolRecord,
    /// Since when the strategy wants no session of it.
    unwanted_since: Option<Instant>,
}

impl Manager {
    fn new(sources: Vec<ConfiguredSource>, strategy: StrategyKind, ports: ManagerPorts) -> Self {
        let mut manager = Self {
            ports,
            numbers: Arc::default(),
            changed: Arc::default(),
            tasks: JoinSet::new(),
            strategy: Strategy::new(strategy, sources.len()),
            pools: Vec::new(),
            leaving: VecDeque::new(),
            next_key: 0,
            routes: VecDeque::new(),
            restamped: VecDeque::new(),
            published: None,
            decision: Decision {
                pool: None,
                reason: "no pool is ready",
            },
            has_chosen: false,
            paused: false,
            switches: 0,
            shares_without_session: 0,
            retired: Retired::default(),
        };
        manager.pools = sources
            .into_iter()
            .map(|source| manager.start(source))
            .collect();
        manager
    }

    async fn run(mut self) {
        let changed = Arc::clone(&self.changed);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut commands_open = true;
        loop {
            self.decide();
            self.report();
            tokio::select! {
                biased;
                share = self.ports.shares.recv() => match share {
                    Some(share) => {
                        self.route(share);
                        // More may wait; none needs a decision.
                        while let Ok(share) = self.ports.shares.try_recv() {
                            self.route(share);
                        }
                    }
                    None => break,
                },
                () = changed.notified() => {}
                command = self.ports.commands.recv(), if commands_open => match command {
                    Some(command) => self.obey(command),
                    None => commands_open = false,
                },
                _ = tick.tick() => {}
            }
            while self.tasks.try_join_next().is_some() {}
        }
        self.ports.jobs.send_replace(None);
        // Without its handle each source hangs up and ends.
        self.pools.clear();
        self.leaving.clear();
        while self.tasks.join_next().await.is_some() {}
    }

    fn start(&mut self, configured: ConfiguredSource) -> Pool {
        let ConfiguredSource {
            source,
            place,
            name,
        } = configured;
        let fingerprint = source.fingerprint();
        let initial = source.initial_status();
        let identity = Identity::of(&initial);
        let before = self.retired.take(&identity);
        let (handle, ports) = source_channels(
            initial,
            Arc::clone(&self.numbers),
            Arc::clone(&self.changed),
        );
        self.tasks.spawn(source.run(ports));
        self.next_key += 1;
        Pool {
            key: self.next_key,
            fingerprint,
            handle,
            place,
            name,
            identity,
            before,
            failures_when_ready: 0,
            last_accepted: (0, 0.0),
            record: PoolRecord::default(),
            unwanted_since: None,
        }
    }

    fn decide(&mut self) {
        let views: Vec<PoolView> = self.pools.iter_mut().map(Pool::view).collect();
        let hashes_done = *self.ports.hashes_done.borrow_and_update();
        let before = self.decision.pool;
        let now = Instant::now();
        self.decision = self.strategy.decide(&views, hashes_done, now);
        if self.paused {
            self.decision = Decision {
                pool: None,
                reason: "paused by the owner",
            };
        }
        let wanted = self.strategy.wanted(&views);
        for (index, (pool, wanted)) in self.pools.iter_mut().zip(wanted).enumerate() {
            pool.want(wanted, now);
            set(&pool.handle.at_work, self.decision.pool == Some(index));
        }
        self.let_go(now);
        self.learn_routes();
        self.publish();
        if self.decision.pool != before {
            self.switches += u64::from(self.has_chosen);
            self.has_chosen |= self.decision.pool.is_some();
            let reason = self.decision.reason;
            if let Some(pool) = self.active() {
                let url = pool.handle.status.borrow().url.clone();
                tracing::info!(pool = url, reason, "working for this pool");
            } else {
                tracing::warn!(reason, "working for no pool: the chains idle");
            }
        }
    }

    fn active(&self) -> Option<&Pool> {
        self.pools.get(self.decision.pool?)
    }

    fn learn_routes(&mut self) {
        for pool in &self.pools {
            let session = pool.handle.jobs.borrow().as_ref().map(|job| job.session);
            let Some(session) = session else { continue };
            if !self.routes.iter().any(|(known, _)| *known == session) {
                if self.routes.len() == REMEMBERED {
                    self.routes.pop_front();
                }
                self.routes.push_back((session, pool.key));
            }
        }
    }

    /// Gives the chosen pool's job to the chains, if they do not have it yet.
    fn publish(&mut self) {
        let chosen = self
            .active()
            .map(|pool| (pool.key, pool.handle.jobs.borrow().clone()));
        let Some((key, Some(job))) = chosen else {
            if self.published.take().is_some() {
                self.ports.jobs.send_replace(None);
            }
            return;
        };
        let place = (key, job.sequence);
        if self.published == Some(place) {
            return;
        }
        let before = self.ports.jobs.borrow().clone();
        let given = match self.published {
            Some((same, _)) if same == key => {
                let job = match &before {
                    Some(before) => job.keeping(before),
                    None => job,
                };
                let is_new_block = before
                    .is_some_and(|before| before.previous_hash != job.previous_hash && !job.clean);
                // The clean job between them was overtaken before it got here.
                if is_new_block { job.cleaning() } else { job }
            }
            left => self.restamp(job, left),
        };
        self.published = Some(place);
        self.ports.jobs.send_replace(Some(given));
    }

    /// A job of another pool than before. Chains take a greater sequence number for newer, but a
    /// reserve's job may be older than the job that it replaces. And its own `clean` speaks of its
    /// own pool's jobs: those of the pool before it stay good as long as their session lives.
    fn restamp(&mut self, job: Arc<Job>, left: Option<(u64, u64)>) -> Arc<Job> {
        let left_lives = self.pools.iter().chain(&self.leaving).any(|pool| {
            left.is_some_and(|(key, _)| key == pool.key) && pool.handle.jobs.borrow().is_some()
        });
        let sequence = self.numbers.next_job();
        let given = Arc::new(job.restamped(sequence, !left_lives));
        if self.restamped.len() == REMEMBERED {
            self.restamped.pop_front();
        }
        self.restamped.push_back((sequence, job));
        given
    }

    /// To the source of the session that made its job, never to another.
    fn route(&mut self, mut share: Share) {
        let sequence = share.job.sequence;
        let restamped = self
            .restamped
            .binary_search_by_key(&sequence, |(number, _)| *number)
            .ok()
            .and_then(|at| self.restamped.get(at));
        if let Some(job) = restamped.and_then(|(_, job)| job.for_chain(share.chain)) {
            share.job = job;
        }
        let session = share.job.session;
        let key = self
            .routes
            .iter()
            .rev()
            .find(|(known, _)| *known == session);
        let mut pools = self.pools.iter_mut().chain(&mut self.leaving);
        let pool = key.and_then(|(_, key)| pools.find(|pool| pool.key == *key));
        let taken = pool.is_some_and(|pool| {
            pool.record.see_share(&share);
            pool.handle.shares.try_send(share).is_ok()
        });
        self.shares_without_session += u64::from(!taken);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Prefer(index) => self.strategy.prefer(index),
            Command::Pause(paused) => self.paused = paused,
            Command::Replace(sources, strategy) => self.replace(sources, strategy),
        }
    }

    fn replace(&mut self, sources: Vec<ConfiguredSource>, strategy: StrategyKind) {
        let mut before: Vec<Option<Pool>> = self.pools.drain(..).map(Some).collect();
        let mut from = Vec::with_capacity(sources.len());
        for configured in sources {
            let fingerprint = configured.source.fingerprint();
            let is_same = |pool: &Pool| pool.fingerprint == fingerprint;
            let old = before
                .iter()
                .position(|pool| pool.as_ref().is_some_and(is_same));
            let back = self.leaving.iter().position(is_same);
            let kept = old.and_then(|old| before.get_mut(old)?.take());
            let kept = kept.or_else(|| self.leaving.remove(back?));
            let pool = match kept {
                Some(pool) => Pool {
                    place: configured.place,
                    name: configured.name,
                    ..pool
                },
                None => self.start(configured),
            };
            from.push(old);
            self.pools.push(pool);
        }
        for mut removed in before.into_iter().flatten() {
            removed.unwanted_since.get_or_insert_with(Instant::now);
            if self.leaving.len() == LEAVING {
                let oldest = self.leaving.pop_front();
                if let Some(pool) = oldest {
                    self.settle(&pool);
                }
            }
            self.leaving.push_back(removed);
        }
        self.strategy.change(strategy, &from);
        let active = self.decision.pool;
        self.decision.pool = active.and_then(|old| from.iter().position(|each| *each == Some(old)));
    }

    /// Removed pools that nothing can come for any more.
    fn let_go(&mut self, now: Instant) {
        for _ in 0..self.leaving.len() {
            match self.leaving.pop_front() {
                Some(pool) if pool.has_grace(now) => self.leaving.push_back(pool),
                Some(pool) => self.settle(&pool),
                None => {}
            }
        }
    }

    /// Keeps what a pool has done whose source ends now: for one of the same address and user that is there, or comes back.
    fn settle(&mut self, left: &Pool) {
        let status = left.status(0.0);
        let counters = PoolCounters::of(&status).ended();
        let identity = Identity::of(&status);
        let heir = self.pools.iter_mut().find(|pool| pool.identity == identity);
        match heir {
            Some(pool) => pool.before.add(&counters),
            None => self.retired.keep(identity, counters),
        }
    }

    fn report(&self) {
        let leaving = self.leaving.iter().map(|pool| {
            let counters = PoolCounters::of(&pool.status(0.0));
            (&pool.identity, counters)
        });
        let mut leaving: Vec<_> = leaving.collect();
        let all = self.pools.iter().zip(self.strategy.accounts());
        let pools = all
            .map(|(pool, hashes)| {
                let status = pool.status(*hashes);
                let (own, others): (Vec<_>, Vec<_>) = std::mem::take(&mut leaving)
                    .into_iter()
                    .partition(|(identity, _)| **identity == pool.identity);
                leaving = others;
                own.iter()
                    .fold(status, |status, (_, counters)| counters.under(status))
            })
            .collect();
        let mut retired = self.retired.total();
        for (_, counters) in &leaving {
            retired.add(counters);
        }
        let status = PoolsStatus {
            strategy: self.strategy.kind().name(),
            active: self.decision.pool,
            reason: self.decision.reason,
            switches: self.switches,
            shares_without_session: self.shares_without_session,
            retired,
            pools,
        };
        self.ports.status.send_replace(status);
    }
}

/// Tells a source something, if it is new.
fn set(place: &watch::Sender<bool>, new: bool) {
    place.send_if_modified(|old| std::mem::replace(old, new) != new);
}

impl Pool {
    /// What the source says, with what only the manager knows.
    fn status(&self, hashes_given: f64) -> PoolStatus {
        let status = PoolStatus {
            name: self.name.clone(),
            place: self.place,
            record: self.record.clone(),
            hashes_given,
            units: self.handle.units.get(),
            ..self.handle.status.borrow().clone()
        };
        self.before.under(status)
    }

    /// Tells the source whether a session is wanted. One that has a job may finish what is on its way.
    fn want(&mut self, wanted: bool, now: Instant) {
        if wanted {
            self.unwanted_since = None;
        } else {
            self.unwanted_since.get_or_insert(now);
        }
        let grace = !wanted && *self.handle.wanted.borrow() && self.has_grace(now);
        let wanted = wanted || grace;
        set(&self.handle.wanted, wanted);
    }

    fn has_grace(&self, now: Instant) -> bool {
        let has_job = self.handle.jobs.borrow().is_some();
        let since = self.unwanted_since;
        has_job && since.is_some_and(|since| now < since + GRACE)
    }

    fn view(&mut self) -> PoolView {
        // A job at hand is what counts; the status may be a moment behind it.
        let has_job = {
            let job = self.handle.jobs.borrow();
            if let Some(job) = job.as_deref() {
                self.record.see_job(job);
            }
            job.is_some()
        };
        let status = self.handle.status.borrow();
        let ready_since = status.ready_since.filter(|_| has_job);
        if ready_since.is_some() {
            self.failures_when_ready = status.failures;
        }
        let shares = &status.shares;
        let lost = shares.rejected_hashes + shares.lost_hashes;
        if shares.accepted != self.last_accepted.0 {
            self.last_accepted = (shares.accepted, lost);
        }
        PoolView {
            lost_in_a_row: lost - self.last_accepted.1,
            place: self.place,
            ready_since,
            failures: status.failures,
            failures_in_a_row: status.failures.saturating_sub(self.failures_when_ready),
        }
    }
}
