//! What the pool room tells, in the Snapshot's shape.

use super::snapshot::{Pool, Pools, Rejects, Shares, Work};
use crate::pool::status::{PoolStatus, PoolsStatus, RejectCounters, ShareCounters};
use serde::Serialize;
use tokio::time::Instant;

/// All pools at `now`.
pub fn pools(status: &PoolsStatus, now: Instant) -> Pools {
    let list = status.pools.iter().enumerate();
    Pools {
        strategy: status.strategy.into(),
        active: status.active,
        reason: status.reason.into(),
        switches: status.switches,
        list: list
            .map(|(index, each)| pool(index, each, status.active, now))
            .collect(),
    }
}

/// Shares of all pools together.
pub fn shares(status: &PoolsStatus) -> Shares {
    let mut total = Shares::default();
    for counters in status.pools.iter().map(|pool| &pool.shares) {
        add(&mut total, counters);
    }
    total.session_gone += status.shares_without_session;
    total
}

/// What the active pool wants done.
pub fn work(status: &PoolsStatus, now: Instant) -> Work {
    let active = status.active.and_then(|index| status.pools.get(index));
    Work {
        pool: status.active,
        job_id: active.and_then(|pool| pool.job_id.clone()),
        job_age_s: active.and_then(|pool| age(pool.last_job_at, now)),
        difficulty: active.and_then(|pool| pool.difficulty),
        version_mask: active.and_then(|pool| pool.version_mask),
        jobs: status.pools.iter().map(|pool| pool.jobs).sum(),
    }
}

/// Hashes that pools have credited, and by how many shares.
pub fn credit(status: &PoolsStatus) -> (f64, u64) {
    status
        .pools
        .iter()
        .fold((0.0, 0), |(hashes, shares), pool| {
            (
                hashes + pool.shares.accepted_hashes,
                shares + pool.shares.accepted,
            )
        })
}

fn pool(index: usize, status: &PoolStatus, active: Option<usize>, now: Instant) -> Pool {
    let mut shares = Shares::default();
    add(&mut shares, &status.shares);
    let lines = &status.lines;
    Pool {
        index,
        name: status.name.clone().unwrap_or_else(|| status.url.clone()),
        enabled: status.place.enabled,
        quota: status.place.quota,
        group: status.place.group,
        url: status.url.clone(),
        user: status.user.clone(),
        kind: name(status.kind),
        phase: name(status.phase),
        active: active == Some(index),
        peer: status.peer.clone(),
        ready_for_s: age(status.ready_since, now),
        difficulty: status.difficulty,
        job_id: status.job_id.clone(),
        version_mask: status.version_mask,
        last_job_age_s: age(status.last_job_at, now),
        last_accepted_age_s: age(status.last_accepted_at, now),
        reply_ms: status.reply_ms,
        last_error: status.last_error.clone(),
        last_error_age_s: age(status.last_error_at, now),
        message: status.message.clone(),
        last_reject: status.shares.last_reject.clone(),
        jobs: status.jobs,
        connection_attempts: status.connection_attempts,
        failures: status.failures,
        bad_lines: lines.malformed + lines.over_long + lines.bad_parameters,
        shares,
    }
}

fn add(total: &mut Shares, counters: &ShareCounters) {
    total.submitted += counters.submitted;
    total.accepted += counters.accepted;
    add_rejects(&mut total.rejected, &counters.rejected);
    total.unanswered += counters.unanswered;
    total.stale += counters.stale_withheld;
    total.session_gone += counters.session_gone;
    total.accepted_difficulty += counters.accepted_difficulty;
    total.rejected_difficulty += counters.rejected_difficulty;
    total.blocks_found += counters.blocks_submitted;
    total.blocks_accepted += counters.blocks_accepted;
    let answered = total.accepted + total.rejected.total;
    total.rejected_percent =
        (answered > 0).then(|| 100.0 * total.rejected.total as f64 / answered as f64);
}

fn add_rejects(total: &mut Rejects, counters: &RejectCounters) {
    total.total += counters.total;
    total.stale += counters.stale;
    total.duplicate += counters.duplicate;
    total.low_difficulty += counters.low_difficulty;
    total.unauthorized += counters.unauthorized;
    total.not_subscribed += counters.not_subscribed;
    total.bad_ntime += counters.bad_ntime;
    total.bad_version += counters.bad_version;
    total.other += counters.other;
}

fn age(at: Option<Instant>, now: Instant) -> Option<f64> {
    at.map(|at| now.saturating_duration_since(at).as_secs_f64())
}

/// The name that an enum without data has in JSON.
pub(super) fn name(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
