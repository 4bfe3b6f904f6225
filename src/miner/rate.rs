//! How many hashes a second the machine does, for pools that want to know it before the first share.

use crate::chain::ChainSettings;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// What emulated chips are taken for at first: how much they really do depends on the machine that plays them.
const EMULATED: f64 = 1e6;
/// How often the sum of hashes is remembered.
const STEP: Duration = Duration::from_secs(10);
/// How long back the rate is taken.
const WINDOW: Duration = Duration::from_secs(300);
/// Shortest time that a rate is taken over: tickets come by chance.
const LEAST: Duration = Duration::from_secs(60);

/// Measures the rate; until there is something to measure, it is what the chips should do.
#[derive(Debug)]
pub struct RateMeter {
    expected: f64,
    /// Sums of hashes, oldest first.
    sums: VecDeque<(Instant, f64)>,
}

impl RateMeter {
    /// For a machine with these chains.
    pub fn new(chains: &[ChainSettings], emulated: bool) -> Self {
        let nominal = |chain: &ChainSettings| {
            chain
                .model
                .nominal_hash_rate(chain.chips, chain.frequency)
                .0
        };
        Self {
            expected: if emulated {
                EMULATED
            } else {
                chains.iter().map(nominal).sum()
            },
            sums: VecDeque::new(),
        }
    }

    /// Hashes a second, given all hashes done by now.
    pub fn rate(&mut self, hashes: f64, now: Instant) -> f64 {
        let is_due = |(at, _): &(Instant, f64)| now >= *at + STEP;
        if self.sums.back().is_none_or(is_due) {
            self.sums.push_back((now, hashes));
        }
        while self.sums.front().is_some_and(|(at, _)| now > *at + WINDOW) {
            self.sums.pop_front();
        }
        match self.sums.front() {
            Some((at, before)) if now >= *at + LEAST && hashes > *before => {
                (hashes - before) / (now - *at).as_secs_f64()
            }
            _ => self.expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_is_expected_until_it_is_measured_and_follows_it_then() {
        let mut meter = RateMeter {
            expected: 1e14,
            sums: VecDeque::new(),
        };
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(meter.rate(0.0, at(0)).to_bits(), 1e14_f64.to_bits());
        for second in 1..60 {
            assert!(meter.rate(2e14 * second as f64, at(second)) <= 1e14);
        }
        for second in 60..400 {
            let rate = meter.rate(2e14 * second as f64, at(second));
            assert!((rate / 2e14 - 1.0).abs() < 0.01, "{rate}");
        }
        // Nothing any more: what was measured fades, and the expectation is back in the end.
        let all = 2e14 * 399.0;
        assert!(meter.rate(all, at(500)) < 1.5e14);
        assert_eq!(meter.rate(all, at(1000)).to_bits(), 1e14_f64.to_bits());
    }
}
