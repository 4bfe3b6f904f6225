//! One case of the fault table: what goes wrong, what has to come of it, and the proof.

use crate::log::Log;
use crate::rig::{Plan, Rig, Seen, Sick};
use cgminer_board::thermal::FanMode;
use cgminer_emulator::fault::Fault;
use cgminer_rs::chain::{ChainPhase, ChainStatus};
use cgminer_rs::keeper::{Cause, State};
use std::cell::Cell;
use std::time::Duration;

/// Dangerous limit of chips in the L7's board file, and by how much the true chips may pass it.
const CHIP_LIMIT: f32 = 105.0;
const PASSING: f32 = 2.0;

/// What goes wrong.
pub enum What {
    /// Something in the machine.
    Fault(Fault),
    /// Something in miner or keeper.
    Sick(Sick),
    /// The keeper is killed.
    KeeperKilled,
}

/// What has to come of it.
pub enum Expect {
    /// The rail is off within so many seconds, for a cause of this kind.
    Off {
        within: u64,
        cause: &'static str,
        then: Then,
    },
    /// Hashing goes on, in this manner, and the snapshot shows this sign of the fault.
    On { how: &'static str, sign: Sign },
}

/// How a fault that does not cost the power can be seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// A sensor has a fault.
    Sensor,
    /// A fan has a fault.
    Fan,
    /// The fans turn faster than before.
    MoreAir,
    /// The miner is throttled.
    Throttled,
    /// The faulty chain says why it does not hash, or hashes all the same; the others hash.
    Chain,
    /// The keeper refused what was asked for.
    Refused,
    /// None: the fault does nothing.
    None,
}

/// What becomes of a machine whose power was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// When the fault is gone it runs again by itself.
    Recovers,
    /// The fault stays, so it latches, and stays latched over a restart of the keeper.
    Latches,
}

/// Which machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The L7: two sensors on each board's surface.
    L7,
    /// The same with sensors whose diodes sit in chips.
    Diodes,
    /// The L7 with its chains brought up and hashing, every chip emulated.
    Hashing,
}

/// One case.
pub struct Case {
    pub fault: String,
    pub kind: Kind,
    pub mode: FanMode,
    pub what: Vec<What>,
    /// The fault passes by itself after so many seconds.
    pub lasting: Option<u64>,
    pub expect: Expect,
}

/// What was seen of a case: a row of the document.
pub struct Row {
    pub fault: String,
    pub expected: String,
    pub seen: String,
    pub hottest: String,
    pub reason: String,
}

impl Case {
    /// Runs the case on virtual time of its own; panics with its name when something is not as it has to be.
    pub fn run(self) -> Row {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(self.prove())
    }

    async fn prove(self) -> Row {
        let log = Log::keep();
        let name = self.fault.clone();
        let mut rig = self.warmed_up().await;
        self.what.iter().for_each(|what| self.befall(&rig, what));
        if self
            .what
            .iter()
            .any(|what| matches!(what, What::KeeperKilled))
        {
            rig.kill_keeper().await;
        }
        let seen = match &self.expect {
            Expect::On { sign, .. } => self.prove_on(&mut rig, *sign).await,
            Expect::Off {
                within,
                cause,
                then,
            } => {
                let took = self.prove_off(&mut rig, *within).await;
                self.prove_cause(&mut rig, cause, &log).await;
                match then {
                    Then::Recovers => self.prove_recovery(&mut rig).await,
                    Then::Latches => self.prove_latch(&mut rig, cause, &log).await,
                }
                format!("off in {}", bucket(took))
            }
        };
        let hottest = rig.hottest;
        assert!(
            hottest <= CHIP_LIMIT + PASSING,
            "{name}: a chip was at {hottest} C"
        );
        Row {
            expected: self.expected(),
            seen,
            hottest: format!("< {} C", ((hottest / 5.0).floor() * 5.0 + 5.0) as u32),
            reason: self.reason(&rig),
            fault: name,
        }
    }

    /// A machine that hashes and is warm.
    async fn warmed_up(&self) -> Rig {
        let mut plan = Plan::of(self.kind);
        plan.choices.fan_mode = self.mode;
        let mut rig = Rig::start(plan);
        let running = rig
            .wait(Duration::from_secs(120), |seen| seen.is(State::Running))
            .await;
        assert!(
            running.is_some(),
            "{}: never ran: {:?}",
            self.fault,
            rig.snapshot()
        );
        rig.run(Duration::from_secs(if self.kind == Kind::Hashing {
            45
        } else {
            240
        }))
        .await;
        assert_eq!(
            rig.state(),
            Some(State::Running),
            "{}: {:?}",
            self.fault,
            rig.snapshot()
        );
        rig
    }

    fn befall(&self, rig: &Rig, what: &What) {
        match what {
            What::Fault(fault) => {
                let lasting = self.lasting.map(Duration::from_secs);
                rig.control.inject(fault.clone(), lasting).unwrap();
            }
            What::Sick(sick) => rig.sicken(*sick),
            What::KeeperKilled => {}
        }
    }

    async fn prove_on(&self, rig: &mut Rig, sign: Sign) -> String {
        let duty = |rig: &Rig| {
            let snapshot = rig.snapshot().unwrap();
            snapshot
                .fans
                .first()
                .and_then(|fan| fan.duty)
                .map_or(0.0, |duty| duty.0)
        };
        let before = duty(rig);
        let watched = Duration::from_secs(if self.kind == Kind::Hashing { 120 } else { 600 });
        let shown = Cell::new(sign == Sign::None);
        let lost = rig
            .wait(watched, |seen| {
                shown.set(shown.get() || is_shown(sign, seen, before));
                let hashing = seen
                    .snapshot
                    .is_some_and(|snapshot| snapshot.state.may_hash());
                seen.is_rail_off() || !hashing
            })
            .await;
        assert_eq!(
            lost,
            None,
            "{}: the power went: {:?}",
            self.fault,
            rig.snapshot()
        );
        let shown = match sign {
            Sign::Refused => !rig.refusals().is_empty(),
            Sign::Chain => others_hash(&rig.chains()),
            _ => shown.get(),
        };
        assert!(shown, "{}: shows no sign: {:?}", self.fault, rig.snapshot());
        let full = if duty(rig) >= 99.0 { ", fans full" } else { "" };
        let throttle = rig.snapshot().unwrap().throttle;
        let throttled = if throttle.0 < 100 { ", throttled" } else { "" };
        format!("on for {} min{full}{throttled}", watched.as_secs() / 60)
    }

    async fn prove_off(&self, rig: &mut Rig, within: u64) -> Duration {
        let took = rig
            .wait(Duration::from_secs(within), |seen| seen.is_rail_off())
            .await;
        took.unwrap_or_else(|| {
            panic!(
                "{}: the rail is on after {within} s: {:?}\n{:?}",
                self.fault,
                rig.control.truth(),
                rig.snapshot()
            )
        })
    }

    /// The reason is in the snapshot and in the log.
    async fn prove_cause(&self, rig: &mut Rig, kind: &str, log: &Log) {
        if rig.has_been_killed() {
            return;
        }
        rig.run(Duration::from_secs(3)).await;
        let snapshot = rig.snapshot().unwrap();
        let cause = snapshot.last_cause.as_ref();
        let cause = cause.unwrap_or_else(|| panic!("{}: no cause: {snapshot:?}", self.fault));
        assert_eq!(kind_of(cause), kind, "{}: {cause}", self.fault);
        assert!(
            log.text().contains(&cause.to_string()),
            "{}: not in the log: {cause}",
            self.fault
        );
        let chips_are_held = snapshot
            .chains
            .iter()
            .all(|chain| chain.reset_held != Some(false));
        assert!(
            chips_are_held || self.hangs(),
            "{}: {snapshot:?}",
            self.fault
        );
    }

    fn hangs(&self) -> bool {
        self.what
            .iter()
            .any(|what| matches!(what, What::Sick(Sick::Hangs(_))))
    }

    async fn prove_recovery(&self, rig: &mut Rig) {
        rig.control.clear_all();
        rig.heal();
        if rig.has_been_killed() {
            // What the board does that its watchdog has reset.
            rig.run(Duration::from_secs(20)).await;
            assert!(
                rig.control.truth().watchdog_resets > 0,
                "{}: no reset",
                self.fault
            );
            rig.start_keeper();
        }
        let running = rig
            .wait(Duration::from_secs(1_800), |seen| seen.is(State::Running))
            .await;
        assert!(
            running.is_some(),
            "{}: does not come back: {:?}",
            self.fault,
            rig.snapshot()
        );
    }

    async fn prove_latch(&self, rig: &mut Rig, kind: &str, log: &Log) {
        let latched = rig
            .wait(Duration::from_secs(7_200), |seen| seen.is(State::Latched))
            .await;
        assert!(
            latched.is_some(),
            "{}: never latches: {:?}",
            self.fault,
            rig.snapshot()
        );
        assert!(
            rig.control.truth().rail.output_mv < 3_000.0,
            "{}",
            self.fault
        );
        let cause = rig.snapshot().unwrap().latched.clone().unwrap().cause;
        assert!(
            innermost(&cause) == kind,
            "{}: latched for {cause}",
            self.fault
        );
        assert!(
            log.text().contains(&cause.to_string()),
            "{}: not in the log: {cause}",
            self.fault
        );
        rig.run(Duration::from_secs(5)).await;

        rig.kill_keeper().await;
        rig.start_keeper();
        let latched = rig
            .wait(Duration::from_secs(10), |seen| seen.is(State::Latched))
            .await;
        let snapshot = rig.snapshot().unwrap();
        let kept = snapshot.latched.as_ref();
        assert!(
            latched.is_some() && kept.is_some_and(|latch| latch.kept),
            "{}",
            self.fault
        );
        assert_eq!(
            kept.map(|latch| &latch.cause),
            Some(&cause),
            "{}",
            self.fault
        );
        let on = rig
            .wait(Duration::from_secs(60), |seen| !seen.is_rail_off())
            .await;
        assert_eq!(on, None, "{}: power in spite of the latch", self.fault);
    }

    fn expected(&self) -> String {
        match &self.expect {
            Expect::On { how, .. } => (*how).to_owned(),
            Expect::Off { within, then, .. } => {
                let then = match then {
                    Then::Recovers => "runs again once it is gone",
                    Then::Latches => "latches, kept over a restart",
                };
                format!("rail off within {within} s; {then}")
            }
        }
    }

    fn reason(&self, rig: &Rig) -> String {
        let Expect::Off { cause, .. } = &self.expect else {
            return "-".into();
        };
        if rig.has_been_killed() {
            return (*cause).to_owned();
        }
        format!("`{cause}`")
    }
}

/// Whether the sign of a fault is seen.
fn is_shown(sign: Sign, seen: &Seen<'_>, duty_before: f32) -> bool {
    let Some(snapshot) = seen.snapshot else {
        return false;
    };
    match sign {
        Sign::Sensor => snapshot.sensors.iter().any(|sensor| sensor.fault.is_some()),
        Sign::Fan => snapshot.fans.iter().any(|fan| fan.condition.is_fault()),
        Sign::MoreAir => snapshot
            .fans
            .iter()
            .filter_map(|fan| fan.duty)
            .any(|duty| duty.0 > duty_before + 3.0),
        Sign::Throttled => snapshot.throttle.0 < 100,
        Sign::Chain | Sign::Refused | Sign::None => false,
    }
}

/// Whether all chains but one hash, and that one hashes or says why not.
fn others_hash(chains: &[ChainStatus]) -> bool {
    let hashing = |chain: &&ChainStatus| chain.phase == ChainPhase::Hashing;
    chains.iter().filter(hashing).count() + 1 >= chains.len()
        && chains
            .iter()
            .all(|chain| hashing(&chain) || chain.reason.is_some())
}

/// The kind of a cause, as the snapshot spells it.
fn kind_of(cause: &Cause) -> String {
    serde_json::to_value(cause).unwrap()["cause"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// What is behind spent restarts.
fn innermost(cause: &Cause) -> String {
    match cause {
        Cause::RestartsSpent { last, .. } => innermost(last),
        other => kind_of(other),
    }
}

/// A time as the document gives it: coarse, so that it does not change with every change of the code.
fn bucket(time: Duration) -> String {
    let least = [2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300];
    let seconds = time.as_secs_f32();
    least
        .into_iter()
        .find(|bucket| seconds <= *bucket as f32)
        .map_or_else(|| "longer".into(), |bucket| format!("{bucket} s"))
}
