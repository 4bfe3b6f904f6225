use super::sharing::ROUND;
use super::trust::{LONGEST_RETURN, RETURN_AFTER};
use super::*;
use std::time::Duration;

mod changes;
mod groups;
mod returning;

const RATE: f64 = 1e14;

fn pool(quota: u32, group: u8) -> PoolView {
    PoolView {
        place: Place {
            group,
            quota,
            enabled: true,
        },
        ready_since: None,
        failures: 0,
        failures_in_a_row: 0,
        lost_in_a_row: 0.0,
    }
}

/// A strategy, its pools and a clock.
struct Bench {
    strategy: Strategy,
    pools: Vec<PoolView>,
    now: Instant,
    hashes: f64,
}

impl Bench {
    fn new(kind: StrategyKind, pools: Vec<PoolView>) -> Self {
        let strategy = Strategy::new(kind, pools.len());
        Self {
            strategy,
            pools,
            now: Instant::now(),
            hashes: 0.0,
        }
    }

    fn up(&mut self, index: usize) {
        self.pools[index].ready_since = Some(self.now);
        self.pools[index].failures_in_a_row = 0;
    }

    fn down(&mut self, index: usize) {
        self.pools[index].ready_since = None;
        self.pools[index].failures += 1;
        self.pools[index].failures_in_a_row += 1;
    }

    /// Gone without a failure, as after `client.reconnect`.
    fn leave(&mut self, index: usize) {
        self.pools[index].ready_since = None;
    }

    fn decide(&mut self) -> Option<usize> {
        self.strategy
            .decide(&self.pools, self.hashes, self.now)
            .pool
    }

    /// Time passes, work is done at `RATE`, a decision every second.
    fn run(&mut self, time: Duration) -> Option<usize> {
        let mut pool = self.decide();
        for _ in 0..time.as_secs() {
            self.now += Duration::from_secs(1);
            self.hashes += RATE;
            pool = self.decide();
        }
        pool
    }

    /// Parts of the work in percent, measured over `time`.
    fn parts(&mut self, time: Duration) -> Vec<f64> {
        let before = self.strategy.accounts().to_vec();
        self.run(time);
        let done: Vec<f64> = self
            .strategy
            .accounts()
            .iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect();
        let total: f64 = done.iter().sum();
        done.iter().map(|done| 100.0 * done / total).collect()
    }
}

fn bench(kind: StrategyKind, pools: usize) -> Bench {
    Bench::new(kind, vec![pool(1, 0); pools])
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn failover_takes_whatever_is_ready_first_and_the_primary_once_it_connects() {
    let mut bench = bench(StrategyKind::Failover, 3);
    assert_eq!(bench.decide(), None);
    bench.up(1);
    assert_eq!(bench.decide(), Some(1));
    bench.now += SECOND;
    bench.up(0);
    assert_eq!(
        bench.decide(),
        Some(0),
        "the primary never failed, so nothing is to be waited for"
    );
}

#[test]
fn failover_leaves_a_failed_pool_at_once_and_returns_when_it_has_held_out() {
    let mut bench = bench(StrategyKind::Failover, 2);
    bench.up(0);
    bench.up(1);
    assert_eq!(bench.run(3600 * SECOND), Some(0));
    bench.down(0);
    assert_eq!(bench.decide(), Some(1));
    bench.up(0);
    assert_eq!(bench.run(RETURN_AFTER.saturating_sub(SECOND)), Some(1));
    assert_eq!(bench.run(SECOND), Some(0));
}

#[test]
fn failover_trusts_a_flapping_primary_less_and_less() {
    let mut bench = bench(StrategyKind::Failover, 2);
    bench.up(0);
    bench.up(1);
    bench.run(3600 * SECOND);
    bench.down(0);
    bench.decide();
    let mut expected = RETURN_AFTER;
    for _ in 0..8 {
        bench.up(0);
        assert_eq!(bench.run(expected.saturating_sub(SECOND)), Some(1));
        assert_eq!(bench.run(SECOND), Some(0));
        bench.run(5 * SECOND);
        bench.down(0);
        assert_eq!(bench.decide(), Some(1));
        expected = (2 * expected).min(LONGEST_RETURN);
    }
}

#[test]
fn failover_lets_a_pool_that_cost_work_wait_twenty_times_as_long() {
    let mut bench = bench(StrategyKind::Failover, 2);
    bench.up(0);
    bench.up(1);
    bench.run(3600 * SECOND);
    bench.pools[0].lost_in_a_row = 30.0 * RATE;
    bench.down(0);
    bench.decide();
    bench.up(0);
    assert_eq!(bench.run(598 * SECOND), Some(1));
    assert_eq!(bench.run(4 * SECOND), Some(0));
}

#[test]
fn failover_obeys_the_owner_at_once() {
    let mut bench = bench(StrategyKind::Failover, 2);
    bench.up(0);
    bench.up(1);
    bench.decide();
    bench.strategy.prefer(1);
    assert_eq!(bench.decide(), Some(1));
    bench.pools[1].place.enabled = false;
    assert_eq!(bench.decide(), Some(0));
}

#[test]
fn failover_holds_sessions_down_to_the_active_pool_and_one_in_reserve() {
    let mut bench = bench(StrategyKind::Failover, 4);
    assert_eq!(
        bench.strategy.wanted(&bench.pools),
        [true, true, false, false]
    );
    bench.down(0);
    assert_eq!(
        bench.strategy.wanted(&bench.pools),
        [true, true, true, false]
    );
    bench.down(1);
    bench.up(2);
    bench.decide();
    assert_eq!(
        bench.strategy.wanted(&bench.pools),
        [true, true, true, true]
    );
    bench.up(0);
    assert_eq!(
        bench.strategy.wanted(&bench.pools),
        [true, true, true, false]
    );
    bench.run(RETURN_AFTER);
    assert_eq!(
        bench.strategy.wanted(&bench.pools),
        [true, true, true, false]
    );
    bench.up(1);
    assert_eq!(
        bench.strategy.wanted(&bench.pools),
        [true, true, false, false]
    );
    bench.pools[0].place.enabled = false;
    assert_eq!(
        bench.strategy.wanted(&bench.pools),
        [false, true, true, true],
        "the third may fail"
    );
}

#[test]
fn quotas_of_one_two_and_five_are_kept_within_one_percent() {
    let mut bench = Bench::new(
        StrategyKind::Quota,
        vec![pool(1, 0), pool(2, 0), pool(5, 0)],
    );
    for index in 0..3 {
        bench.up(index);
    }
    let parts = bench.parts(3600 * SECOND);
    for (part, wanted) in parts.iter().zip([12.5, 25.0, 62.5]) {
        assert!((part - wanted).abs() < 1.0, "{parts:?}");
    }
}

#[test]
fn load_balance_is_even_within_one_percent_while_the_hash_rate_changes() {
    let mut bench = bench(StrategyKind::LoadBalance, 3);
    for index in 0..3 {
        bench.up(index);
    }
    let before = bench.strategy.accounts().to_vec();
    for second in 0..7200 {
        bench.now += SECOND;
        bench.hashes += if second < 3600 { RATE } else { 3.0 * RATE };
        bench.decide();
    }
    let total: f64 = bench.strategy.accounts().iter().sum();
    for (account, before) in bench.strategy.accounts().iter().zip(before) {
        assert!((100.0 * (account - before) / total - 100.0 / 3.0).abs() < 1.0);
    }
}

#[test]
fn a_pool_back_after_hours_gets_its_part_and_no_more() {
    let mut bench = bench(StrategyKind::LoadBalance, 2);
    bench.up(0);
    bench.run(5 * 3600 * SECOND);
    bench.up(1);
    let parts = bench.parts(3600 * SECOND);
    assert!((parts[1] - 50.0).abs() < 1.0, "{parts:?}");
}

#[test]
fn the_work_of_a_dead_pool_goes_to_the_others_at_once() {
    let mut bench = Bench::new(
        StrategyKind::Quota,
        vec![pool(1, 0), pool(2, 0), pool(0, 0)],
    );
    for index in 0..3 {
        bench.up(index);
    }
    bench.run(100 * SECOND);
    bench.down(1);
    assert_eq!(bench.decide(), Some(0));
    assert_eq!(bench.run(100 * SECOND), Some(0));
    bench.down(0);
    assert_eq!(
        bench.decide(),
        Some(2),
        "a quota of 0 is better than no work"
    );
    bench.up(0);
    assert_eq!(
        bench.run((2 * RETURN_AFTER).saturating_sub(SECOND)),
        Some(2),
        "it has failed within minutes, and another does the work"
    );
    assert_eq!(bench.run(SECOND), Some(0));
}

#[test]
fn groups_part_by_quota_and_fail_over_inside() {
    let mut bench = Bench::new(
        StrategyKind::Groups,
        vec![pool(3, 0), pool(9, 0), pool(1, 1), pool(9, 1)],
    );
    for index in 0..4 {
        bench.up(index);
    }
    let parts = bench.parts(3600 * SECOND);
    assert!(
        (parts[0] - 75.0).abs() < 1.0 && (parts[2] - 25.0).abs() < 1.0,
        "{parts:?}"
    );
    bench.down(0);
    let parts = bench.parts(3600 * SECOND);
    assert!(
        (parts[1] - 75.0).abs() < 1.0 && (parts[2] - 25.0).abs() < 1.0,
        "{parts:?}"
    );
}

#[test]
fn round_robin_gives_equal_work_in_turn_and_skips_the_dead() {
    let mut bench = bench(StrategyKind::RoundRobin, 3);
    for index in 0..3 {
        bench.up(index);
    }
    let mut turns = vec![bench.decide()];
    for _ in 0..6 * ROUND.as_secs() {
        let pool = bench.run(SECOND);
        if turns.last() != Some(&pool) {
            turns.push(pool);
        }
    }
    assert_eq!(
        turns[..6],
        [Some(0), Some(1), Some(2), Some(0), Some(1), Some(2)]
    );
    let accounts = bench.strategy.accounts();
    assert!(
        (accounts[0] / accounts[1] - 1.0).abs() < 0.01,
        "{accounts:?}"
    );
    let Some(Some(active)) = turns.last().copied() else {
        panic!("no pool")
    };
    bench.down(active);
    assert_eq!(bench.decide(), Some((active + 1) % 3));
}

#[test]
fn round_robin_moves_on_even_if_the_chips_stand_still() {
    let mut bench = bench(StrategyKind::RoundRobin, 2);
    bench.up(0);
    bench.up(1);
    let first = bench.run(ROUND + SECOND);
    for _ in 0..=2 * ROUND.as_secs() {
        bench.now += SECOND;
        bench.decide();
    }
    assert_ne!(bench.decide(), first);
}

#[test]
fn without_any_pool_every_strategy_idles_and_says_so() {
    for kind in [
        StrategyKind::Failover,
        StrategyKind::RoundRobin,
        StrategyKind::LoadBalance,
        StrategyKind::Quota,
        StrategyKind::Groups,
    ] {
        for pools in [0, 3] {
            let mut bench = bench(kind, pools);
            let decision = bench.strategy.decide(&bench.pools, 0.0, bench.now);
            assert_eq!(
                decision,
                Decision {
                    pool: None,
                    reason: "no pool is ready"
                },
                "{kind:?}"
            );
        }
    }
}
