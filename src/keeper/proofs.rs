//! Proof that the keeper's own loops live, which is what the watchdog is fed on.

use cgminer_board::moment::Moment;
use std::time::Duration;

/// A loop of the keeper that must prove itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopRule {
    /// Name for messages.
    pub name: String,
    /// Longest time between two rounds.
    pub deadline: Duration,
    /// Whether it is needed while the rail is known to be off too. Whoever can switch the rail is.
    pub always: bool,
}

/// When each loop last came round.
#[derive(Clone, Debug)]
pub struct Proofs {
    rules: Vec<(LoopRule, Moment)>,
}

impl Proofs {
    /// Loops that have all just begun.
    #[must_use]
    pub fn new(rules: Vec<LoopRule>, now: Moment) -> Self {
        Self {
            rules: rules.into_iter().map(|rule| (rule, now)).collect(),
        }
    }

    /// A loop came round.
    pub fn beat(&mut self, index: usize, at: Moment) {
        if let Some((_, last)) = self.rules.get_mut(index) {
            *last = at.max(*last);
        }
    }

    /// The first loop that missed its deadline.
    #[must_use]
    pub fn late(&self, rail_is_off: bool, now: Moment) -> Option<&str> {
        self.rules
            .iter()
            .filter(|(rule, _)| rule.always || !rail_is_off)
            .find(|(rule, last)| now.since(*last) > rule.deadline)
            .map(|(rule, _)| rule.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn proofs() -> Proofs {
        let rule = |name: &str, always| LoopRule {
            name: name.into(),
            deadline: Duration::from_secs(5),
            always,
        };
        Proofs::new(vec![rule("lines", true), rule("bus i2c-0", false)], at(0))
    }

    #[test]
    fn a_loop_that_misses_its_deadline_is_named() {
        let mut proofs = proofs();
        proofs.beat(0, at(6));
        assert_eq!(proofs.late(false, at(5)), None);
        assert_eq!(proofs.late(false, at(6)), Some("bus i2c-0"));
        proofs.beat(1, at(6));
        assert_eq!(proofs.late(false, at(11)), None);
        assert_eq!(proofs.late(false, at(12)), Some("lines"));
    }

    #[test]
    fn who_only_measures_is_not_needed_once_the_rail_is_off() {
        let mut proofs = proofs();
        proofs.beat(0, at(60));
        assert_eq!(proofs.late(true, at(60)), None);
        assert_eq!(proofs.late(true, at(66)), Some("lines"));
    }
}
