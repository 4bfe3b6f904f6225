//! What the pool room tells, in the Snapshot's shape.

use super::snapshot::{
    Block, ChainShares, Difficulties, Pool, Pools, Rejects, Shares, Traffic, Work,
};
use crate::pool;
use crate::pool::status::{
    HASHES_PER_DIFFICULTY, PoolStatus, PoolsStatus, RejectCounters, ShareCounters,
};
use crate::work::hex;
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
        failures: status.retired.failures
            + status.pools.iter().map(|pool| pool.failures).sum::<u64>(),
        list: list
            .map(|(index, each)| pool(index, each, status, now))
            .collect(),
    }
}

/// Shares of all pools together.
pub fn shares(status: &PoolsStatus) -> Shares {
    let mut total = Shares::default();
    let counters = [(&status.retired.shares, status.retired.best_difficulty)].into_iter();
    let of_pools = status.pools.iter();
    for (shares, best) in
        counters.chain(of_pools.map(|pool| (&pool.shares, pool.record.best_difficulty)))
    {
        add(&mut total, shares, best);
    }
    total.last_difficulty = status
        .pools
        .iter()
        .max_by_key(|pool| pool.last_accepted_at)
        .and_then(|pool| pool.shares.last_difficulty);
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
        jobs: status.retired.jobs + status.pools.iter().map(|pool| pool.jobs).sum::<u64>(),
        block: active.and_then(|pool| block(pool, now)),
        blocks: status
            .pools
            .iter()
            .map(|pool| pool.record.blocks)
            .max()
            .unwrap_or(0)
            .max(status.retired.blocks),
    }
}

/// Verdicts of all pools on the shares of one chain.
pub fn chain_shares(status: &PoolsStatus, chain: usize, now: Instant) -> ChainShares {
    let mut total = ChainShares::default();
    if let Some(shares) = status.retired.shares.chains.get(chain) {
        count(&mut total, shares);
    }
    let mut latest = None;
    for (index, pool) in status.pools.iter().enumerate() {
        let Some(shares) = pool.shares.chains.get(chain) else {
            continue;
        };
        count(&mut total, shares);
        if shares.last_accepted_at > latest {
            latest = shares.last_accepted_at;
            total.last_pool = Some(index);
            total.last_difficulty = shares.last_difficulty;
        }
    }
    total.last_accepted_age_s = age(latest, now);
    total
}

fn count(total: &mut ChainShares, shares: &pool::status::ChainShares) {
    total.accepted += shares.accepted;
    total.rejected += shares.rejected;
    total.accepted_difficulty += shares.accepted_difficulty;
    total.rejected_difficulty += shares.rejected_difficulty;
}

fn block(status: &PoolStatus, now: Instant) -> Option<Block> {
    let block = status.record.block.as_ref()?;
    let mut displayed = block.hash;
    displayed.reverse();
    Some(Block {
        previous_hash: hex::encode(&displayed),
        age_s: now.saturating_duration_since(block.since).as_secs_f64(),
        height: block.height,
        version: block.version,
        network_difficulty: block.difficulty,
    })
}

/// Hashes that pools have credited, and by how many shares. Never less than before.
pub fn credit(status: &PoolsStatus) -> (f64, u64) {
    let of_pools = status.pools.iter().map(|pool| &pool.shares);
    of_pools
        .chain([&status.retired.shares])
        .fold((0.0, 0), |(hashes, accepted), shares| {
            (hashes + shares.accepted_hashes, accepted + shares.accepted)
        })
}

fn pool(index: usize, status: &PoolStatus, all: &PoolsStatus, now: Instant) -> Pool {
    let mut shares = Shares::default();
    add(&mut shares, &status.shares, status.record.best_difficulty);
    let lines = &status.lines;
    let given: f64 = all.pools.iter().map(|pool| pool.hashes_given).sum();
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
        active: all.active == Some(index),
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
        hashes_given: status.hashes_given,
        part_percent: (given > 0.0).then(|| 100.0 * status.hashes_given / given),
        shares,
        block: block(status, now),
        difficulties: status.record.difficulties.map(|jobs| Difficulties {
            least: jobs.least,
            least_jobs: jobs.least_jobs,
            most: jobs.most,
            most_jobs: jobs.most_jobs,
        }),
        traffic: status.traffic.map(|traffic| Traffic {
            writes: traffic.writes,
            written_bytes: traffic.written,
            lines: lines.received,
            read_bytes: traffic.read,
        }),
    }
}

fn add(total: &mut Shares, counters: &ShareCounters, best: Option<f64>) {
    total.submitted += counters.submitted;
    total.accepted += counters.accepted;
    add_rejects(&mut total.rejected, &counters.rejected);
    total.unanswered += counters.unanswered;
    total.stale += counters.stale_withheld;
    total.session_gone += counters.session_gone;
    total.accepted_difficulty += counters.accepted_difficulty;
    total.rejected_difficulty += counters.rejected_difficulty;
    total.stale_difficulty += counters.stale_difficulty;
    total.lost_difficulty += counters.lost_hashes / HASHES_PER_DIFFICULTY;
    total.last_difficulty = counters.last_difficulty;
    total.best_difficulty = match (total.best_difficulty, best) {
        (Some(total), Some(best)) => Some(total.max(best)),
        (total, best) => total.or(best),
    };
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
