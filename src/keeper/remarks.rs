//! What the log is told of the machine that changes neither state nor reason, no more often than it is news.

use super::status::{ChainSafety, KeeperStatus, SensorStatus};
use crate::link::{Refusal, Request};
use cgminer_board::moment::Moment;
use std::time::Duration;

/// Points of duty that are worth a line.
const STEP: f32 = 5.0;
/// Between two lines of a kind. A miner that asks for nonsense must not fill the log with it.
const PAUSE: Duration = Duration::from_secs(60);

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    duty: Option<(f32, Moment)>,
    /// For each chain, whether a board was there when last told, and when that was.
    boards: Vec<(Option<bool>, Moment)>,
    refusal: Option<Moment>,
}

impl Remarks {
    /// Tells what is to be told of a machine that is so.
    pub(super) fn tell(&mut self, status: &KeeperStatus, now: Moment) {
        for line in self.on(status, now) {
            tracing::info!("{line}");
        }
    }

    /// Tells of a miner that asks for what it may not: it is broken, or taken over.
    pub(super) fn tell_refusal(
        &mut self,
        request: Request,
        granted: &Result<(), Refusal>,
        now: Moment,
    ) {
        if let Err(refusal) = granted {
            if self.is_refusal_news(now) {
                tracing::warn!(?request, %refusal, "the miner asks for what it does not get");
            }
        }
    }

    fn on(&mut self, status: &KeeperStatus, now: Moment) -> Vec<String> {
        let boards = self.of_boards(&status.chains, now);
        boards.into_iter().chain(self.of_air(status, now)).collect()
    }

    fn of_boards(&mut self, chains: &[ChainSafety], now: Moment) -> Vec<String> {
        self.boards.resize(chains.len(), (None, now));
        let mut lines = Vec::new();
        for (chain, (told, at)) in chains.iter().zip(&mut self.boards) {
            if chain.present == *told || told.is_some() && now.since(*at) < PAUSE {
                continue;
            }
            let index = chain.chain;
            match (*told, chain.present) {
                (_, Some(false)) => lines.push(format!("chain {index}: no board is plugged in")),
                (Some(false), Some(true)) => {
                    lines.push(format!("chain {index}: a board is plugged in"));
                }
                _ => {}
            }
            (*told, *at) = (chain.present, now);
        }
        lines
    }

    /// How the fans turn now and what for, when it is not as told last.
    fn of_air(&mut self, status: &KeeperStatus, now: Moment) -> Option<String> {
        let duty = status.fans.first().and_then(|fan| fan.duty);
        let duty = duty.filter(|_| status.state.may_hash());
        let how = self.air(duty?.0, now)?;
        let over = |sensor: &SensorStatus| Some(sensor.reading?.0 - sensor.tiers.target.0);
        let hottest = status.sensors.iter().max_by(|one, two| {
            let order = over(one).partial_cmp(&over(two));
            order.unwrap_or(std::cmp::Ordering::Equal)
        });
        let Some((sensor, reading)) = hottest.and_then(|sensor| Some((sensor, sensor.reading?)))
        else {
            return Some(how);
        };
        Some(format!(
            "{how}: {} is at {:.1} C, its target is {:.1} C",
            sensor.name, reading.0, sensor.tiers.target.0
        ))
    }

    fn air(&mut self, duty: f32, now: Moment) -> Option<String> {
        let (told, at) = *self.duty.get_or_insert((duty, now));
        if (duty - told).abs() < STEP || now.since(at) < PAUSE {
            return None;
        }
        self.duty = Some((duty, now));
        let how = if duty > told { "faster" } else { "slower" };
        Some(format!(
            "the fans turn {how}, from {told:.0} to {duty:.0} %"
        ))
    }

    /// Whether a refusal is worth a line now.
    fn is_refusal_news(&mut self, now: Moment) -> bool {
        let news = self.refusal.is_none_or(|told| now.since(told) >= PAUSE);
        if news {
            self.refusal = Some(now);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn the_fans_are_told_of_when_they_turn_otherwise_and_at_most_once_a_minute() {
        let mut remarks = Remarks::default();
        let told: Vec<_> = (0..200_u16)
            .filter_map(|second| {
                let duty = (40.0 + f32::from(second.saturating_sub(100))).min(90.0);
                let line = remarks.air(duty, at(second.into()))?;
                Some((second, line))
            })
            .collect();
        let lines = [
            (105, "the fans turn faster, from 40 to 45 %".to_owned()),
            (165, "the fans turn faster, from 45 to 90 %".to_owned()),
        ];
        assert_eq!(told, lines);
        assert_eq!(
            remarks.air(60.0, at(300)).as_deref(),
            Some("the fans turn slower, from 90 to 60 %")
        );
    }

    #[test]
    fn a_board_that_comes_and_goes_is_told_of_once_a_minute() {
        let mut remarks = Remarks::default();
        let mut lines = Vec::new();
        for second in 0..130 {
            let present = Some(second < 70 || second % 2 == 0);
            let chain = ChainSafety {
                chain: 1,
                temperature: None,
                measured: false,
                reset_held: None,
                present,
                hash_board: None,
                hashes_due: None,
            };
            let told = remarks.of_boards(&[chain], at(second));
            lines.extend(told.into_iter().map(|line| (second, line)));
        }
        assert_eq!(lines, [(71, "chain 1: no board is plugged in".to_owned())]);
    }

    #[test]
    fn refusals_are_told_of_once_a_minute() {
        let mut remarks = Remarks::default();
        let told = (0..120).filter(|second| remarks.is_refusal_news(at(*second)));
        assert_eq!(told.count(), 2);
    }
}
