//! What is known of the pools, for telemetry: numbers, or nothing where a number is unknown.

use super::record::PoolRecord;
use super::reject::RejectReason;
use super::retired::PoolCounters;
use super::settings::Place;
use crate::work::{ChainIndex, Share};
use serde::{Serialize, Serializer};
use tokio::time::Instant;

/// Hashes that a share of difficulty one stands for: 2^256 / (0xffff * 2^208).
pub const HASHES_PER_DIFFICULTY: f64 = 281_474_976_710_656.0 / 65_535.0;

/// All pools together, as the manager publishes them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PoolsStatus {
    /// How the next pool is chosen.
    pub strategy: &'static str,
    /// Index into `pools` of the one whose job the chains work on; `None`: they are idle.
    pub active: Option<usize>,
    /// Why that one, in words.
    pub reason: &'static str,
    /// Changes of the active pool since start.
    pub switches: u64,
    /// Shares that no session could take any more: theirs had ended.
    pub shares_without_session: u64,
    /// What pools did that are configured no more. One that came back has its share of it in its own counts.
    pub retired: PoolCounters,
    /// Every configured pool, in order of priority.
    pub pools: Vec<PoolStatus>,
}

/// What kind of source a pool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A Stratum v1 pool.
    #[default]
    StratumV1,
    /// A Stratum v2 pool.
    StratumV2,
    /// The owner's own node.
    Solo,
}

/// How far a pool has come.
///
/// ```text
/// idle -> connecting -> handshake -> waiting_for_job -> ready
///             ^------ backing_off <------ any failure ----'
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolPhase {
    /// Not wanted now by the strategy, or stopped.
    #[default]
    Idle,
    /// Its name is being looked up, or its addresses are being tried.
    Connecting,
    /// Connected; configure, subscribe or authorize is on its way.
    Handshake,
    /// Authorized, but there is no job yet.
    WaitingForJob,
    /// Has a job: the chains can work for it.
    Ready,
    /// Failed; waiting before the next try.
    BackingOff,
}

/// One configured pool.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PoolStatus {
    /// Kind of source.
    pub kind: SourceKind,
    /// What its owner calls it; `None`: nothing but its address. The manager's word, as `place` is.
    pub name: Option<String>,
    /// Its place in the strategy.
    #[serde(flatten)]
    pub place: Place,
    /// Address as configured, in canonical form; never holds a password.
    pub url: String,
    /// User as configured.
    pub user: String,
    /// How far it has come.
    pub phase: PoolPhase,
    /// Address and port of the open connection.
    pub peer: Option<String>,
    /// Session of the open connection; changes at each reconnection.
    pub session: Option<u32>,
    /// When the phase became `ready`.
    #[serde(rename = "ready_for_s", serialize_with = "age_seconds")]
    pub ready_since: Option<Instant>,
    /// Difficulty of the current job.
    pub difficulty: Option<f64>,
    /// The pool's name for the current job.
    pub job_id: Option<String>,
    /// Bits of the version that the pool lets roll; 0: none. Unknown before the handshake.
    pub version_mask: Option<u32>,
    /// Bytes of extranonce2.
    pub extranonce2_size: Option<u8>,
    /// When the last job came.
    #[serde(rename = "last_job_age_s", serialize_with = "age_seconds")]
    pub last_job_at: Option<Instant>,
    /// When the last share was accepted.
    #[serde(rename = "last_accepted_age_s", serialize_with = "age_seconds")]
    pub last_accepted_at: Option<Instant>,
    /// From submit to reply, the last one, in milliseconds.
    pub reply_ms: Option<f64>,
    /// Why the last session ended or could not begin, and what is done about it.
    pub last_error: Option<String>,
    /// When that was.
    #[serde(rename = "last_error_age_s", serialize_with = "age_seconds")]
    pub last_error_at: Option<Instant>,
    /// What the pool last said in `client.show_message`.
    pub message: Option<String>,
    /// Connection attempts since start.
    pub connection_attempts: u64,
    /// Sessions that reached `ready` since start.
    pub sessions_ready: u64,
    /// Sessions that failed, or could not begin, since start.
    pub failures: u64,
    /// Jobs since start.
    pub jobs: u64,
    /// Those of them whose block holds hardly anything beside its coinbase: fewer than two merkle branches, or three transactions
    /// of a node. What cgminer counts as bad work.
    pub nearly_empty_jobs: u64,
    /// Those of them that show no merkle path, so that nobody can tell.
    pub opaque_jobs: u64,
    /// Units of work that were sent to chips for its jobs since start; the manager's word.
    pub units: u64,
    /// Hashes that the chains have done for it since start, by their verified tickets; the manager counts them.
    pub hashes_given: f64,
    /// Shares since start.
    pub shares: ShareCounters,
    /// Lines since start.
    pub lines: LineCounters,
    /// What went over its connections; `None`: this kind of pool is not counted.
    pub traffic: Option<Traffic>,
    /// What its jobs and shares tell. The manager's word.
    pub record: PoolRecord,
}

impl PoolStatus {
    /// Counts a job that came; it may not tell whether its block is nearly empty.
    pub fn count_job(&mut self, is_nearly_empty: Option<bool>) {
        self.jobs += 1;
        self.nearly_empty_jobs += u64::from(is_nearly_empty == Some(true));
        self.opaque_jobs += u64::from(is_nearly_empty.is_none());
    }

    /// Forgets what was true of a session that is over.
    pub fn forget_session(&mut self) {
        self.peer = None;
        self.session = None;
        self.ready_since = None;
        self.difficulty = None;
        self.job_id = None;
        self.version_mask = None;
        self.extranonce2_size = None;
    }
}

/// Shares of one pool. `submitted = accepted + rejected + unanswered + those still on their way`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShareCounters {
    /// Sent to the pool.
    pub submitted: u64,
    /// Accepted by the pool.
    pub accepted: u64,
    /// Rejected by the pool.
    pub rejected: RejectCounters,
    /// No reply within the deadline, or the session ended before it.
    pub unanswered: u64,
    /// Not sent: their job was already worthless when they were found.
    pub stale_withheld: u64,
    /// Not sent: the session that made their job is over.
    pub session_gone: u64,
    /// Hashes that the accepted shares stand for, by the target of each one's job.
    pub accepted_hashes: f64,
    /// Hashes that the rejected shares stand for.
    pub rejected_hashes: f64,
    /// Hashes that all shares not credited for other reasons stand for.
    pub lost_hashes: f64,
    /// Sum of the difficulties of the accepted shares.
    pub accepted_difficulty: f64,
    /// Sum of the difficulties of the rejected shares.
    pub rejected_difficulty: f64,
    /// Sum of the difficulties of the shares that were withheld.
    pub stale_difficulty: f64,
    /// Difficulty of the last accepted share.
    pub last_difficulty: Option<f64>,
    /// Submitted shares that met the network target.
    pub blocks_submitted: u64,
    /// Those of them that the pool accepted.
    pub blocks_accepted: u64,
    /// Text of the last reject, shortened.
    pub last_reject: Option<String>,
    /// Verdicts by the chain that found the share, by its index.
    pub chains: Vec<ChainShares>,
}

/// Verdicts of one pool on the shares of one chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChainShares {
    /// Accepted shares.
    pub accepted: u64,
    /// Rejected ones.
    pub rejected: u64,
    /// Sum of the difficulties of the accepted ones.
    pub accepted_difficulty: f64,
    /// Sum of the difficulties of the rejected ones.
    pub rejected_difficulty: f64,
    /// Difficulty of the last accepted one.
    pub last_difficulty: Option<f64>,
    /// When that was.
    #[serde(rename = "last_accepted_age_s", serialize_with = "age_seconds")]
    pub last_accepted_at: Option<Instant>,
}

impl ChainShares {
    /// Counts a share that was credited.
    pub fn accept(&mut self, difficulty: f64, now: Instant) {
        self.accepted += 1;
        self.accepted_difficulty += difficulty;
        self.last_difficulty = Some(difficulty);
        self.last_accepted_at = Some(now);
    }

    /// Counts a share that was refused.
    pub fn reject(&mut self, difficulty: f64) {
        self.rejected += 1;
        self.rejected_difficulty += difficulty;
    }

    /// Adds the verdicts of another pool; its last share counts where there was none.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.accepted_difficulty += other.accepted_difficulty;
        self.rejected_difficulty += other.rejected_difficulty;
        self.last_difficulty = self.last_difficulty.or(other.last_difficulty);
        self.last_accepted_at = self.last_accepted_at.or(other.last_accepted_at);
    }
}

/// What went over the connections to one pool since start, TLS and TCP not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub written: u64,
    /// Bytes read.
    pub read: u64,
}

impl Traffic {
    /// Adds what went over other connections.
    pub fn add(&mut self, other: Self) {
        self.writes += other.writes;
        self.written += other.written;
        self.read += other.read;
    }
}

impl ShareCounters {
    /// Adds the shares of another pool; its last ones count where there were none.
    pub fn add(&mut self, other: &Self) {
        self.submitted += other.submitted;
        self.accepted += other.accepted;
        self.rejected.add(&other.rejected);
        self.unanswered += other.unanswered;
        self.stale_withheld += other.stale_withheld;
        self.session_gone += other.session_gone;
        self.accepted_hashes += other.accepted_hashes;
        self.rejected_hashes += other.rejected_hashes;
        self.lost_hashes += other.lost_hashes;
        self.accepted_difficulty += other.accepted_difficulty;
        self.rejected_difficulty += other.rejected_difficulty;
        self.stale_difficulty += other.stale_difficulty;
        self.last_difficulty = self.last_difficulty.or(other.last_difficulty);
        self.blocks_submitted += other.blocks_submitted;
        self.blocks_accepted += other.blocks_accepted;
        if self.last_reject.is_none() {
            self.last_reject.clone_from(&other.last_reject);
        }
        let chains = self.chains.len().max(other.chains.len());
        self.chains.resize_with(chains, ChainShares::default);
        for (chain, other) in self.chains.iter_mut().zip(&other.chains) {
            chain.add(other);
        }
    }

    /// Counts a share that was credited.
    pub fn accept(&mut self, difficulty: f64, is_block: bool) {
        self.accepted += 1;
        self.accepted_difficulty += difficulty;
        self.last_difficulty = Some(difficulty);
        self.accepted_hashes += difficulty * HASHES_PER_DIFFICULTY;
        self.blocks_accepted += u64::from(is_block);
    }

    /// Counts a share that was refused, with the words it was refused in.
    pub fn reject(&mut self, difficulty: f64, reason: RejectReason, text: String) {
        self.rejected.count(reason);
        self.rejected_difficulty += difficulty;
        self.rejected_hashes += difficulty * HASHES_PER_DIFFICULTY;
        self.last_reject = Some(text);
    }

    /// Counts a share that was sent and got no verdict.
    pub fn give_up(&mut self, difficulty: f64) {
        self.unanswered += 1;
        self.lost_hashes += difficulty * HASHES_PER_DIFFICULTY;
    }

    /// Counts a share that was not sent because its job is worthless.
    pub fn withhold(&mut self, difficulty: f64) {
        self.stale_withheld += 1;
        self.stale_difficulty += difficulty;
        self.lost_hashes += difficulty * HASHES_PER_DIFFICULTY;
    }

    /// Counts a verdict for the chain that found the share.
    pub fn of_chain(&mut self, chain: ChainIndex, verdict: impl FnOnce(&mut ChainShares)) {
        let index = usize::from(chain.0);
        if self.chains.len() <= index {
            self.chains.resize_with(index + 1, ChainShares::default);
        }
        if let Some(shares) = self.chains.get_mut(index) {
            verdict(shares);
        }
    }

    /// Counts a share that was found after its session had ended.
    pub fn is_late(&mut self, share: &Share) {
        self.session_gone += 1;
        self.lost_hashes += share.job.share_target.difficulty() * HASHES_PER_DIFFICULTY;
    }
}

/// Rejected shares by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RejectCounters {
    /// All of them.
    pub total: u64,
    /// The job is gone: a new block, or the pool dropped it.
    pub stale: u64,
    /// Sent before.
    pub duplicate: u64,
    /// The hash is above the pool's target.
    pub low_difficulty: u64,
    /// The worker is not (or no longer) known.
    pub unauthorized: u64,
    /// The pool forgot our subscription.
    pub not_subscribed: u64,
    /// Block time out of the pool's range.
    pub bad_ntime: u64,
    /// Version bits outside the pool's mask.
    pub bad_version: u64,
    /// Any other reason; the text is in `last_reject`.
    pub other: u64,
}

impl RejectCounters {
    /// Adds the rejects of another pool.
    pub fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.stale += other.stale;
        self.duplicate += other.duplicate;
        self.low_difficulty += other.low_difficulty;
        self.unauthorized += other.unauthorized;
        self.not_subscribed += other.not_subscribed;
        self.bad_ntime += other.bad_ntime;
        self.bad_version += other.bad_version;
        self.other += other.other;
    }

    /// Counts one reject.
    pub fn count(&mut self, reason: RejectReason) {
        self.total += 1;
        *match reason {
            RejectReason::Stale => &mut self.stale,
            RejectReason::Duplicate => &mut self.duplicate,
            RejectReason::LowDifficulty => &mut self.low_difficulty,
            RejectReason::Unauthorized => &mut self.unauthorized,
            RejectReason::NotSubscribed => &mut self.not_subscribed,
            RejectReason::BadNtime => &mut self.bad_ntime,
            RejectReason::BadVersion => &mut self.bad_version,
            RejectReason::Other => &mut self.other,
        } += 1;
    }
}

/// Lines of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LineCounters {
    /// Complete lines received, blank ones not counted.
    pub received: u64,
    /// No JSON object, or one without any known member.
    pub malformed: u64,
    /// Longer than the reader's bound; skipped.
    pub over_long: u64,
    /// Known methods with parameters that cannot be used; dropped.
    pub bad_parameters: u64,
    /// Methods and reply ids that nobody here knows; ignored.
    pub unknown: u64,
}

impl LineCounters {
    /// Adds the lines of another pool.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.malformed += other.malformed;
        self.over_long += other.over_long;
        self.bad_parameters += other.bad_parameters;
        self.unknown += other.unknown;
    }
}

/// An instant as its age in seconds, null for none.
#[expect(clippy::ref_option, reason = "serde hands over the field by reference")]
fn age_seconds<S: Serializer>(at: &Option<Instant>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.serialize_some(&at.elapsed().as_secs_f64()),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_null_and_never_zero() {
        let json = serde_json::to_value(PoolStatus::default()).unwrap();
        for unknown in [
            "peer",
            "difficulty",
            "ready_for_s",
            "last_job_age_s",
            "reply_ms",
            "version_mask",
        ] {
            assert!(
                json.get(unknown).is_some_and(serde_json::Value::is_null),
                "{unknown}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_instant_is_published_as_its_age() {
        let status = PoolStatus {
            last_job_at: Some(Instant::now()),
            ..PoolStatus::default()
        };
        tokio::time::advance(std::time::Duration::from_millis(2500)).await;
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["last_job_age_s"], 2.5);
    }
}
