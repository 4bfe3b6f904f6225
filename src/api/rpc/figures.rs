//! Figures of the cgminer API that several commands give, with its digits.

use super::reply::{Members, Value};
use crate::telemetry::{Chain, Pool, Snapshot, WindowRate};
use Value::{Fixed, Text, Unknown, Whole};

/// Hashes that a share of difficulty 1 stands for.
pub const DIFFICULTY_ONE: f64 = 4_294_967_296.0;
/// Hashes in the unit of the "MHS" members.
pub const HASHES_PER_MEGAHASH: f64 = 1e6;

/// The five hashrates that summary and devices share.
pub fn megahashes(chains: &[&Chain], elapsed: f64) -> Members {
    let hashes: f64 = chains.iter().map(|chain| chain.counters.hashes).sum();
    let rate = |seconds| {
        rate_over(chains, seconds).map_or(Unknown, |rate| Fixed(rate / HASHES_PER_MEGAHASH, 2))
    };
    vec![
        (
            "MHS av",
            Fixed(hashes / HASHES_PER_MEGAHASH / elapsed.max(1.0), 2),
        ),
        ("MHS 5s", rate(5)),
        ("MHS 1m", rate(60)),
        ("MHS 5m", rate(300)),
        ("MHS 15m", rate(900)),
    ]
}

/// Rate of all chains together over a window; unknown before the first work.
pub fn rate_over(chains: &[&Chain], seconds: u64) -> Option<f64> {
    let of_chain = |chain: &&Chain| {
        let window: Option<&WindowRate> = chain
            .hash_rate
            .iter()
            .find(|window| window.window_s == seconds);
        window.map(|window| window.rate.0)
    };
    chains
        .iter()
        .filter_map(of_chain)
        .reduce(|sum, next| sum + next)
}

/// Wall clock of what was so long ago; 0, as in cgminer, when it never was.
pub fn ago(snapshot: &Snapshot, seconds: Option<f64>) -> Value {
    match (snapshot.unix_time, seconds) {
        (_, None) => Whole(0),
        (None, Some(_)) => Unknown,
        (Some(now), Some(seconds)) => Whole((now - seconds).max(0.0) as u64),
    }
}

/// When the pool last accepted a share.
pub fn share_time(snapshot: &Snapshot, pool: &Pool) -> Value {
    ago(snapshot, pool.last_accepted_age_s)
}

/// A count per minute of the time elapsed.
pub fn per_minute(count: f64, elapsed: f64) -> Value {
    Fixed(count * 60.0 / elapsed.max(1.0), 2)
}

/// A part in per cent; 0 of nothing, as in cgminer.
pub fn percent(part: f64, whole: f64) -> Value {
    Fixed(
        if whole > 0.0 {
            100.0 * part / whole
        } else {
            0.0
        },
        4,
    )
}

/// Difficulty of a pool's current job; 0, as in cgminer, while there is none.
pub fn difficulty(pool: &Pool) -> Value {
    Fixed(pool.difficulty.unwrap_or(0.0), 8)
}

/// A difficulty that cgminer writes as a whole number; 0 before the first.
pub fn whole_difficulty(difficulty: Option<f64>) -> Value {
    Whole(difficulty.unwrap_or(0.0) as u64)
}

/// A text value.
pub fn text(text: &str) -> Value {
    Text(text.into())
}
