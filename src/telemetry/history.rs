//! The past day in memory: what a chart needs and no more.

use super::snapshot::Snapshot;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Between two moments.
pub const HISTORY_STEP: Duration = Duration::from_secs(60);
/// Moments of a day.
const MOMENTS: usize = 24 * 60;
/// Window of the hashrate that a moment holds.
const WINDOW_S: u64 = 60;

/// The machine at one moment; what was not known then is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Moment {
    /// Seconds since the start.
    pub uptime_s: u32,
    /// Wall clock in seconds since 1970; null while the clock was not set.
    pub unix_time: Option<u32>,
    /// Hashrate that pools credited over the minute before, in H/s.
    pub hash_rate: Option<f32>,
    /// Hottest chain that is measured, in degrees Celsius.
    pub temperature: Option<f32>,
    /// Power, in watts.
    pub power: Option<f32>,
}

/// A ring of moments.
#[derive(Debug, Default)]
pub struct History {
    moments: VecDeque<Moment>,
    next: Option<Instant>,
}

impl Moment {
    /// What a Snapshot tells of it.
    pub fn of(snapshot: &Snapshot) -> Self {
        let minute = snapshot
            .hash_rate
            .windows
            .iter()
            .find(|window| window.window_s == WINDOW_S);
        let temperatures = snapshot
            .chains
            .iter()
            .filter_map(|chain| chain.temperature.value());
        let power = snapshot.supply.as_ref().map(|supply| &supply.power);
        Self {
            uptime_s: snapshot.machine.uptime_s as u32,
            unix_time: snapshot.unix_time.map(|seconds| seconds as u32),
            hash_rate: minute.map(|window| window.rate.0 as f32),
            temperature: temperatures.map(|celsius| celsius.0).reduce(f32::max),
            power: power
                .filter(|power| power.age().is_some_and(|age| age < HISTORY_STEP))
                .and_then(|power| power.value())
                .map(|watts| watts.0),
        }
    }
}

impl History {
    /// Whether it is time for the next moment.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let due = self.next.is_none_or(|next| now >= next);
        if due {
            // A pause of the machine leaves a gap, not a crowd of moments.
            self.next = Some(now + HISTORY_STEP);
        }
        due
    }

    /// Keeps a moment, and forgets the one of a day before.
    pub fn add(&mut self, moment: Moment) {
        if self.moments.len() == MOMENTS {
            self.moments.pop_front();
        }
        self.moments.push_back(moment);
    }

    /// All that is kept, oldest first.
    pub fn moments(&self) -> Vec<Moment> {
        self.moments.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples::Rooms;

    #[tokio::test(start_paused = true)]
    async fn a_day_is_kept_a_moment_a_minute_and_what_is_unknown_is_null() {
        let (source, rooms) = Rooms::at_work();
        let task = tokio::spawn(source.clone().record());
        for _ in 0..10 {
            rooms.keeper_speaks();
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        let moments = source.history();
        assert_eq!(moments.len(), 5, "{moments:?}");
        assert_eq!(moments[0].temperature, Some(65.5));
        assert_eq!(moments[0].power, Some(3200.0));
        let steps = moments
            .windows(2)
            .map(|two| two[1].uptime_s - two[0].uptime_s);
        assert!(steps.into_iter().all(|step| (59..=61).contains(&step)));
        // The keeper falls silent: its last word is no reading of later minutes.
        tokio::time::sleep(Duration::from_secs(26 * 3600)).await;
        let moments = source.history();
        assert_eq!(moments.len(), MOMENTS);
        assert!(moments.iter().all(|moment| moment.power.is_none()));
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn before_anything_is_known_nothing_is_told() {
        let (source, _rooms) = Rooms::silent();
        let moment = Moment::of(&source.snapshot());
        assert_eq!(
            (moment.hash_rate, moment.temperature, moment.power),
            (None, None, None)
        );
    }
}
