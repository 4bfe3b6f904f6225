//! What the pool room tells, in the Snapshot's shape.

use super::snapshot::{Block, ChainShares, Difficulties, Pool, Pools, Shares, Traffic, Work};
use crate::pool::status::{HASHES_PER_DIFFICULTY, PoolStatus, PoolsStatus, ShareCounters};
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
    let mut counters = status.retired.shares.clone();
    let mut best = status.retired.best_difficulty;
    for pool in &status.pools {
        counters.add(&pool.shares);
        // None is less than any.
        if pool.record.best_difficulty > best {
            best = pool.record.best_difficulty;
        }
    }
    let latest = status.pools.iter().max_by_key(|pool| pool.last_accepted_at);
    counters.last_difficulty = latest.and_then(|pool| pool.shares.last_difficulty);
    counters.session_gone += status.shares_without_session;
    told(&counters, best)
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
    let of_retired = status.retired.shares.chains.get(chain);
    let mut total = of_retired.cloned().unwrap_or_default();
    let mut last = (None, None, None);
    for (index, pool) in status.pools.iter().enumerate() {
        let Some(shares) = pool.shares.chains.get(chain) else {
            continue;
        };
        total.add(shares);
        if shares.last_accepted_at > last.0 {
            last = (shares.last_accepted_at, Some(index), shares.last_difficulty);
        }
    }
    let (last_accepted_at, last_pool, last_difficulty) = last;
    ChainShares {
        accepted: total.accepted,
        rejected: total.rejected,
        accepted_difficulty: total.accepted_difficulty,
        rejected_difficulty: total.rejected_difficulty,
        last_difficulty,
        last_pool,
        last_accepted_age_s: age(last_accepted_at, now),
    }
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
        nearly_empty_jobs: (status.opaque_jobs == 0).then_some(status.nearly_empty_jobs),
        units: status.units,
        connection_attempts: status.connection_attempts,
        failures: status.failures,
        bad_lines: lines.malformed + lines.over_long + lines.bad_parameters,
        hashes_given: status.hashes_given,
        part_percent: (given > 0.0).then(|| 100.0 * status.hashes_given / given),
        shares: told(&status.shares, status.record.best_difficulty),
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

fn told(counters: &ShareCounters, best_difficulty: Option<f64>) -> Shares {
    let rejected = &counters.rejected;
    let answered = counters.accepted + rejected.total;
    Shares {
        submitted: counters.submitted,
        accepted: counters.accepted,
        rejected: rejected.clone(),
        unanswered: counters.unanswered,
        stale: counters.stale_withheld,
        session_gone: counters.session_gone,
        accepted_difficulty: counters.accepted_difficulty,
        rejected_difficulty: counters.rejected_difficulty,
        stale_difficulty: counters.stale_difficulty,
        lost_difficulty: counters.lost_hashes / HASHES_PER_DIFFICULTY,
        last_difficulty: counters.last_difficulty,
        best_difficulty,
        blocks_found: counters.blocks_submitted,
        blocks_accepted: counters.blocks_accepted,
        rejected_percent: (answered > 0).then(|| 100.0 * rejected.total as f64 / answered as f64),
    }
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
