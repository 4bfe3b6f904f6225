//! Whether every loop does its work, told from what each last published.

use crate::chain::status::{ChainPhase, ChainStatus};
use crate::pool::status::PoolsStatus;
use serde::Serialize;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Every loop publishes at least each second; one that is silent for longer has stopped.
const SILENT: Duration = Duration::from_secs(10);

/// The judgement.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// Whether every loop does its work.
    pub healthy: bool,
    /// Each loop.
    pub loops: Vec<LoopHealth>,
}

/// One loop.
#[derive(Clone, Debug, Serialize)]
pub struct LoopHealth {
    /// Its name.
    pub name: String,
    /// Whether it does its work.
    pub healthy: bool,
    /// What was heard of it, in words.
    pub reason: String,
}

/// Listens to what the loops publish.
pub struct Heartbeat {
    pools: Ear<PoolsStatus>,
    chains: Vec<Ear<ChainStatus>>,
}

struct Ear<T> {
    receiver: watch::Receiver<T>,
    heard: Instant,
}

impl Heartbeat {
    /// Counts silence from now on.
    pub fn new(
        pools: watch::Receiver<PoolsStatus>,
        chains: Vec<watch::Receiver<ChainStatus>>,
        now: Instant,
    ) -> Self {
        let ear = |receiver| Ear {
            receiver,
            heard: now,
        };
        Self {
            pools: Ear {
                receiver: pools,
                heard: now,
            },
            chains: chains.into_iter().map(ear).collect(),
        }
    }

    /// Notes who has published since the last time.
    pub fn listen(&mut self, now: Instant) {
        self.pools.listen(now);
        for chain in &mut self.chains {
            chain.listen(now);
        }
    }

    /// Judges all loops. `keeper` is how long it has been silent, `None` when it never spoke; `telemetry` how long ago
    /// the rooms were last looked at.
    pub fn judge(&mut self, keeper: Option<Duration>, telemetry: Duration, now: Instant) -> Health {
        let mut loops = vec![
            match keeper {
                Some(silence) => by_silence("keeper", silence),
                None => LoopHealth::new("keeper", false, "it has not reported yet".into()),
            },
            by_silence("telemetry", telemetry),
            self.pools.judge("pools", now),
        ];
        for (index, chain) in self.chains.iter_mut().enumerate() {
            let name = format!("chain {index}");
            let phase = chain.receiver.borrow().phase;
            loops.push(match phase {
                // Nothing runs in these, or it waits for a command.
                ChainPhase::Waiting | ChainPhase::BackOff | ChainPhase::Stopped => {
                    LoopHealth::new(&name, true, "it is at rest".into())
                }
                ChainPhase::Failed => {
                    LoopHealth::new(&name, false, "it failed more often than its budget".into())
                }
                ChainPhase::BringUp | ChainPhase::Idle | ChainPhase::Hashing => {
                    chain.judge(&name, now)
                }
            });
        }
        Health {
            healthy: loops.iter().all(|each| each.healthy),
            loops,
        }
    }
}

impl<T> Ear<T> {
    fn listen(&mut self, now: Instant) {
        if self.receiver.has_changed().unwrap_or(false) {
            self.receiver.mark_unchanged();
            self.heard = now;
        }
    }

    fn judge(&mut self, name: &str, now: Instant) -> LoopHealth {
        self.listen(now);
        if self.receiver.has_changed().is_err() {
            return LoopHealth::new(name, false, "it has ended".into());
        }
        by_silence(name, now.saturating_duration_since(self.heard))
    }
}

impl LoopHealth {
    fn new(name: &str, healthy: bool, reason: String) -> Self {
        Self {
            name: name.into(),
            healthy,
            reason,
        }
    }
}

fn by_silence(name: &str, silence: Duration) -> LoopHealth {
    let reason = format!("last heard {:.1} s ago", silence.as_secs_f64());
    LoopHealth::new(name, silence <= SILENT, reason)
}

#[cfg(test)]
mod tests {
    use crate::chain::status::ChainPhase;
    use crate::telemetry::samples::Rooms;
    use std::time::Duration;

    fn ill(health: &super::Health) -> Vec<&str> {
        health
            .loops
            .iter()
            .filter(|each| !each.healthy)
            .map(|each| each.name.as_str())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_whose_loops_all_publish_is_healthy() {
        let (source, rooms) = Rooms::at_work();
        let task = tokio::spawn(source.clone().record());
        for _ in 0..60 {
            rooms.all_speak();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let health = source.health();
        assert!(health.healthy, "{health:?}");
        assert_eq!(health.loops.len(), 4);
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_falls_silent_is_named() {
        let (source, rooms) = Rooms::at_work();
        let task = tokio::spawn(source.clone().record());
        rooms.all_speak();
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            rooms.keeper_speaks();
            rooms.pools.send_modify(|_| ());
        }
        assert_eq!(ill(&source.health()), ["chain 0"]);
        rooms
            .chain
            .send_modify(|chain| chain.phase = ChainPhase::BackOff);
        assert_eq!(
            ill(&source.health()),
            [""; 0],
            "a chain at rest may be silent"
        );
        task.abort();
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert_eq!(ill(&source.health()), ["keeper", "telemetry", "pools"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_that_has_ended_is_told_at_once() {
        let (source, rooms) = Rooms::at_work();
        source.snapshot();
        let Rooms {
            pools,
            chain,
            keeper,
        } = rooms;
        drop(pools);
        assert_eq!(ill(&source.health()), ["pools"]);
        drop((chain, keeper));
    }
}
