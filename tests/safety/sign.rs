//! How a fault that does not cost the power is seen: in the Snapshot, and in the log.

use crate::log::Log;
use crate::rig::{Rig, Seen, Telemetry};
use cgminer_rs::chain::ChainPhase;
use cgminer_rs::keeper::KeeperStatus;
use cgminer_rs::telemetry::{Chain, Snapshot};
use std::cell::RefCell;

/// Bad replies that are no everyday life.
const MANY: u64 = 10;

/// What shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The sensors whose names begin so have a fault.
    Sensors(&'static [&'static str]),
    /// A fan has a fault.
    Fan,
    /// The fans turn faster than before.
    MoreAir,
    /// The miner is throttled.
    Throttled,
    /// A chain suffers, and the others hash.
    Chain(u8, Symptom),
    /// The rail is on, and no chain hashes; each says why.
    BrownOut,
    /// The rail is too low to hash right: each chain gives wrong nonces alone, and is brought up again and again.
    Sag,
    /// The keeper refused what was asked for.
    Refused,
    /// None: the fault does nothing.
    None,
}

/// What a chain suffers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// Fewer chips answer than the board has, so it is not driven.
    FewerChips(u16),
    /// It does not hash, and says why.
    Stands,
    /// The same, and the keeper sees that no board is plugged in.
    Unplugged,
    /// Replies are damaged.
    DamagedReplies,
    /// This chip alone gives nonces that are none, or come again: by the time a nonce is repeated its work is mostly replaced.
    Stuck(u16),
    /// Nonces are none.
    WrongNonces,
    /// The chips from this one on give nothing; so many.
    Silent(u16, u16),
    /// Frames without meaning come when the clock changes.
    Garbage,
}

/// Looks for a sign from the moment before the fault on.
pub struct Watch {
    sign: Sign,
    telemetry: Telemetry,
    before: Snapshot,
    duty_before: f32,
    /// What was seen, in the words that the log must have, all in one line.
    seen: RefCell<Option<Vec<Vec<String>>>>,
}

impl Watch {
    /// Begins with the machine as it is.
    pub fn begin(sign: Sign, rig: &Rig) -> Self {
        let telemetry = rig.telemetry_source();
        Self {
            sign,
            before: telemetry.snapshot(),
            telemetry,
            duty_before: duty(&rig.snapshot().unwrap()),
            seen: RefCell::new(None),
        }
    }

    /// Looks; to be called while the fault is there.
    pub fn look(&self, seen: &Seen<'_>) {
        // A chain's sign has to be there in the end; the keeper's may pass.
        if self.seen.borrow().is_some() {
            return;
        }
        if let Some(status) = seen.snapshot {
            *self.seen.borrow_mut() = self.keepers(status);
        }
    }

    fn keepers(&self, status: &KeeperStatus) -> Option<Vec<Vec<String>>> {
        match self.sign {
            Sign::Sensors(names) => names
                .iter()
                .map(|name| {
                    let faulty = |name: &str| {
                        status.sensors.iter().find_map(|sensor| {
                            let fault = sensor.fault.filter(|_| sensor.name.starts_with(name))?;
                            Some(vec![sensor.name.clone(), fault.to_string()])
                        })
                    };
                    faulty(name)
                })
                .collect(),
            Sign::Fan => status.fans.iter().find_map(|fan| {
                let faulty = fan.condition.is_fault();
                faulty.then(|| vec![vec![fan.name.clone(), fan.condition.to_string()]])
            }),
            Sign::MoreAir => (duty(status) > self.duty_before + 3.0)
                .then(|| vec![vec!["the fans turn faster".into()]]),
            Sign::Throttled => {
                (status.throttle.0 < 100).then(|| vec![vec!["to=hot".into(), "limit".into()]])
            }
            _ => None,
        }
    }

    /// What of it is seen in the end: how the document tells it. None when a sign is missing in the Snapshot or in the log.
    pub fn end(&self, rig: &Rig, log: &Log) -> Result<String, String> {
        let now = self.telemetry.snapshot();
        let (told, lines) = match self.sign {
            Sign::None => return Ok(String::new()),
            Sign::Chain(index, symptom) => self.chain(index, symptom, &now)?,
            Sign::BrownOut => Self::brown_out(&now)?,
            Sign::Sag => self.sag(&now)?,
            Sign::Refused => {
                let refusals = rig.refusals();
                let refusal = refusals.first().ok_or("nothing was refused")?;
                let text = refusal.to_string();
                ("refused".into(), vec![vec!["the miner asks".into(), text]])
            }
            _ => {
                let seen = self.seen.borrow().clone();
                let seen = seen.ok_or("the keeper's snapshot shows no sign")?;
                (self.told_of_keeper(&now), seen)
            }
        };
        for words in lines {
            if !log.has_line(&words) {
                return Err(format!("no line of the log says {words:?}"));
            }
        }
        Ok(told)
    }

    fn told_of_keeper(&self, now: &Snapshot) -> String {
        match self.sign {
            Sign::Sensors(names) => {
                let fault = now
                    .temperatures
                    .iter()
                    .find_map(|sensor| sensor.fault.clone());
                format!(
                    "{} x {}",
                    names.len(),
                    fault.unwrap_or_else(|| "believed again".into())
                )
            }
            Sign::Fan => "fan fault".into(),
            Sign::MoreAir => "more duty".into(),
            _ => "throttled".into(),
        }
    }

    fn chain(
        &self,
        index: u8,
        symptom: Symptom,
        now: &Snapshot,
    ) -> Result<(String, Vec<Vec<String>>), String> {
        let others = now.chains.iter().filter(|chain| chain.index != index);
        if others
            .clone()
            .any(|chain| chain.phase != ChainPhase::Hashing)
        {
            return Err("another chain does not hash".into());
        }
        let of = |snapshot: &Snapshot| {
            snapshot
                .chains
                .iter()
                .find(|chain| chain.index == index)
                .cloned()
        };
        let (before, after) = of(&self.before).zip(of(now)).ok_or("no such chain")?;
        let stands = after.phase != ChainPhase::Hashing && after.reason.is_some();
        let grown = |count: fn(&Chain) -> u64| count(&after) - count(&before);
        let frames = grown(|chain| chain.counters.crc_errors + chain.counters.unknown_types);
        let wrong = grown(|chain| {
            let counters = &chain.counters;
            counters.mismatches + counters.below_ticket + counters.unknown_work
        });
        let (shows, told, line) = match symptom {
            Symptom::FewerChips(found) => (
                stands && after.chips_found == Some(found) && found < after.chips_expected,
                format!("{found} of {} chips", after.chips_expected),
                format!("{found} of {} chips answered", after.chips_expected),
            ),
            Symptom::Stands => (stands, phase(&after), "chain failed".into()),
            Symptom::Unplugged => (
                stands && after.present == Some(false),
                "no board there".into(),
                format!("chain {index}: no board is plugged in"),
            ),
            Symptom::DamagedReplies => (
                frames >= MANY,
                "CRC errors".into(),
                "replies were damaged".into(),
            ),
            Symptom::Stuck(stuck) => {
                let bad = |chain: &Chain| -> Vec<_> {
                    let chips = chain.chips.iter().map(|chip| &chip.counters);
                    chips
                        .map(|chip| u64::from(chip.mismatches + chip.duplicates))
                        .collect()
                };
                let (before, after) = (bad(&before), bad(&after));
                let grown = |chip: usize| after[chip] - before[chip];
                let all = (0..after.len()).all(|chip| {
                    if chip == usize::from(stuck) {
                        grown(chip) >= MANY
                    } else {
                        grown(chip) == 0
                    }
                });
                (
                    all,
                    format!("wrong nonces of chip {stuck}"),
                    format!("from chip {stuck}"),
                )
            }
            Symptom::WrongNonces => (
                wrong >= MANY,
                "wrong nonces".into(),
                "nonces were none".into(),
            ),
            Symptom::Silent(first, count) => {
                let nonces = |chain: &Chain| -> Vec<_> {
                    chain
                        .chips
                        .iter()
                        .map(|chip| chip.counters.nonces)
                        .collect()
                };
                let (before, after) = (nonces(&before), nonces(&after));
                let silent = |chip: usize| after[chip] <= before[chip] + 1;
                let range = usize::from(first)..usize::from(first + count);
                let all = (0..after.len()).all(|chip| silent(chip) == range.contains(&chip));
                let line = if count == 1 {
                    format!("chip {first} gives no nonces")
                } else {
                    format!(
                        "{count} chips give no nonces while others do, the first of them chip {first}"
                    )
                };
                (all, format!("{count} silent"), line)
            }
            Symptom::Garbage => (wrong > 0, "wrong nonces".into(), "of the clock".into()),
        };
        if !shows {
            return Err(format!(
                "chain {index} does not show {symptom:?}: {after:?}"
            ));
        }
        Ok((
            format!("chain {index}: {told}"),
            vec![match symptom {
                Symptom::Unplugged => vec![line],
                _ => vec![format!("chain={index}"), line],
            }],
        ))
    }

    fn sag(&self, now: &Snapshot) -> Result<(String, Vec<Vec<String>>), String> {
        let pairs = self.before.chains.iter().zip(&now.chains);
        let sags = |(before, after): (&Chain, &Chain)| {
            let (before, after) = (&before.counters, &after.counters);
            after.mismatches >= before.mismatches + MANY && after.failures > before.failures
        };
        if now.chains.len() < 2 || !pairs.clone().all(sags) {
            return Err(format!("a chain hashes well: {:?}", now.chains));
        }
        let line = |chain: &Chain| vec![format!("chain={}", chain.index), "chain failed".into()];
        Ok((
            "wrong nonces of all chains".into(),
            now.chains.iter().map(line).collect(),
        ))
    }

    fn brown_out(now: &Snapshot) -> Result<(String, Vec<Vec<String>>), String> {
        let stands = |chain: &Chain| chain.phase != ChainPhase::Hashing && chain.reason.is_some();
        if now.chains.len() < 2 || !now.chains.iter().all(stands) {
            return Err(format!(
                "a chain hashes, or says no reason: {:?}",
                now.chains
            ));
        }
        let line = |chain: &Chain| vec![format!("chain={}", chain.index), "chain failed".into()];
        Ok((
            "no chain hashes".into(),
            now.chains.iter().map(line).collect(),
        ))
    }
}

fn phase(chain: &Chain) -> String {
    match chain.phase {
        // Which of the two it is at the end is a matter of the moment.
        ChainPhase::BackOff | ChainPhase::BringUp => "tried again and again".into(),
        ChainPhase::Failed => "given up".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// What the fans were last told.
pub fn duty(status: &KeeperStatus) -> f32 {
    let first = status.fans.first();
    first.and_then(|fan| fan.duty).map_or(0.0, |duty| duty.0)
}
