//! One case of the fault table: what goes wrong, what has to come of it, and the proof.

use crate::document::Row;
use crate::log::Log;
use crate::rig::{Kind, Plan, Rig, Sick};
use crate::sign::{Sign, Watch, duty};
use cgminer_board::thermal::FanMode;
use cgminer_emulator::fault::Fault;
use cgminer_rs::keeper::{Cause, State};
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
    /// Nothing can take the rail away. Within so many seconds it is told and latched for a cause of this kind, with every chip in
    /// reset and the fans full, for as long as it lasts.
    Stuck { within: u64, cause: &'static str },
    /// Hashing goes on, in this manner, and the snapshot shows this sign of the fault.
    On { how: &'static str, sign: Sign },
}

/// What becomes of a machine whose power was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// When the fault is gone it runs again by itself.
    Recovers,
    /// The fault stays, so it latches, and stays latched over a restart of the keeper.
    Latches,
}

/// One case.
pub struct Case {
    pub fault: String,
    pub kind: Kind,
    pub mode: FanMode,
    pub what: Vec<What>,
    /// Whether it is there before the power comes.
    pub before: bool,
    /// The fault passes by itself after so many seconds.
    pub lasting: Option<u64>,
    pub expect: Expect,
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
        let watch = Watch::begin(self.sign(), &rig);
        if !self.before {
            self.what.iter().for_each(|what| self.befall(&rig, what));
        }
        if self
            .what
            .iter()
            .any(|what| matches!(what, What::KeeperKilled))
        {
            rig.kill_keeper().await;
        }
        let seen = match &self.expect {
            Expect::On { .. } => self.prove_on(&mut rig, &watch, &log).await,
            Expect::Stuck { within, cause } => {
                self.prove_stuck(&mut rig, *within, cause, &log).await;
                "on, chips held, fans full".into()
            }
            Expect::Off {
                within,
                cause,
                then,
            } => {
                if self.kind == Kind::FanController && rig.has_been_killed() {
                    self.prove_fans_full(&mut rig).await;
                }
                let took = self.prove_off(&mut rig, *within).await;
                self.prove_cause(&mut rig, cause, &log).await;
                match then {
                    Then::Recovers => self.prove_recovery(&mut rig).await,
                    Then::Latches => self.prove_latch(&mut rig, cause, &log).await,
                }
                format!("off in {} s", bucket(took).min(*within))
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
        if self.before {
            self.what.iter().for_each(|what| self.befall(&rig, what));
        }
        let running = rig
            .wait(Duration::from_secs(120), |seen| seen.is(State::Running))
            .await;
        assert!(
            running.is_some(),
            "{}: never ran: {:?}",
            self.fault,
            rig.snapshot()
        );
        rig.run(Duration::from_secs(if self.kind.hashes() {
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

    fn sign(&self) -> Sign {
        match self.expect {
            Expect::On { sign, .. } => sign,
            Expect::Off { .. } | Expect::Stuck { .. } => Sign::None,
        }
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

    async fn prove_on(&self, rig: &mut Rig, watch: &Watch, log: &Log) -> String {
        let watched = Duration::from_secs(if self.kind.hashes() { 150 } else { 600 });
        let lost = rig
            .wait(watched, |seen| {
                watch.look(seen);
                let hashing = seen
                    .snapshot
                    .is_some_and(|snapshot| snapshot.state.may_hash());
                seen.is_rail_off() || !hashing
            })
            .await;
        let snapshot = rig.snapshot().unwrap();
        assert_eq!(lost, None, "{}: the power went: {snapshot:?}", self.fault);
        let told = watch.end(rig, log).unwrap_or_else(|missing| {
            panic!("{}: {missing}\n{snapshot:?}\n{}", self.fault, log.text())
        });
        let mut seen = format!("on for {} s", watched.as_secs());
        if !told.is_empty() {
            seen.push_str("; ");
            seen.push_str(&told);
        }
        // Chains that are brought up again and again have no temperature in between: a matter of the moment.
        if duty(&snapshot) >= 99.0 && self.sign() != Sign::Sag {
            seen += ", fans full";
        }
        seen
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

    /// A supply that cannot be switched off: nobody's chips run on it, nobody is left without air, and somebody is told.
    async fn prove_stuck(&self, rig: &mut Rig, within: u64, kind: &str, log: &Log) {
        let latched = rig
            .wait(Duration::from_secs(within), |seen| seen.is(State::Latched))
            .await;
        assert!(
            latched.is_some(),
            "{}: not latched after {within} s: {:?}",
            self.fault,
            rig.snapshot()
        );
        self.prove_cause(rig, kind, log).await;
        // Through several of the keeper's silences, in which the supply's own watchdog would cut it.
        for _ in 0..20 {
            rig.run(Duration::from_secs(30)).await;
            self.is_held_and_cooled(rig);
        }
        let told = rig.telemetry().supply.and_then(|supply| supply.fault);
        assert!(
            told.is_some_and(|fault| fault.contains("still on")),
            "{}: no alert is due",
            self.fault
        );

        // A wanted stop has to wait, for who stops gives no air; and a keeper that comes anew goes on like that.
        rig.stop();
        rig.run(Duration::from_secs(60)).await;
        self.is_held_and_cooled(rig);
        rig.kill_keeper().await;
        rig.start_keeper();
        rig.run(Duration::from_secs(60)).await;
        self.is_held_and_cooled(rig);

        rig.control.clear_all();
        rig.heal();
        let off = rig
            .wait(Duration::from_secs(120), |seen| seen.is_rail_off())
            .await;
        assert!(off.is_some(), "{}: nobody tries again", self.fault);
        rig.run(Duration::from_secs(60)).await;
        assert_eq!(rig.state(), Some(State::Latched), "{}", self.fault);
        rig.clear_latch().await;
        let running = rig
            .wait(Duration::from_secs(300), |seen| seen.is(State::Running))
            .await;
        assert!(running.is_some(), "{}: {:?}", self.fault, rig.snapshot());
    }

    fn is_held_and_cooled(&self, rig: &Rig) {
        let (truth, snapshot) = (rig.control.truth(), rig.snapshot().unwrap());
        let name = &self.fault;
        assert!(truth.rail.output_mv > 12_000.0, "{name}: {truth:?}");
        assert_eq!(snapshot.state, State::Latched, "{name}: {snapshot:?}");
        let held = |chain: &cgminer_rs::keeper::status::ChainSafety| chain.reset_held == Some(true);
        assert!(snapshot.chains.iter().all(held), "{name}: {snapshot:?}");
        let full = |(_, rpm): &(String, f32)| *rpm > 5_800.0;
        assert!(truth.fans.iter().all(full), "{name}: {truth:?}");
        assert_eq!(truth.watchdog_resets, 0, "{name}: the keeper lives");
    }

    /// A fan controller with a watchdog of its own needs no keeper to give all the air there is.
    async fn prove_fans_full(&self, rig: &mut Rig) {
        let full = |rig: &Rig| {
            let truth = rig.control.truth();
            truth.fans.iter().all(|(_, rpm)| *rpm > 5_800.0)
        };
        assert!(!full(rig), "{}: they were full before", self.fault);
        rig.run(Duration::from_secs(12)).await;
        assert!(full(rig), "{}: {:?}", self.fault, rig.control.truth());
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
        let telemetry = rig.telemetry().keeper.last_cause;
        assert_eq!(telemetry, Some(cause.to_string()), "{}", self.fault);
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
        let since = rig
            .snapshot()
            .and_then(|seen| seen.latched.clone()?.unix_time);
        assert!(
            since.is_some(),
            "{}: nobody knows since when it is latched",
            self.fault
        );

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
        let telemetry = rig.telemetry().keeper.latched;
        assert!(
            telemetry.is_some_and(|latched| latched.kept && latched.cause == cause.to_string()),
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
            Expect::Stuck { within, .. } => format!(
                "told and latched within {within} s, chips held in reset, fans full; tried again, and off once it can be"
            ),
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
        let (Expect::Off { cause, .. } | Expect::Stuck { cause, .. }) = &self.expect else {
            return "-".into();
        };
        if rig.has_been_killed() {
            return (*cause).to_owned();
        }
        format!("`{cause}`")
    }
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

/// A time in seconds as the document gives it: rounded up coarsely, so that it does not change with every change of the
/// code.
fn bucket(time: Duration) -> u64 {
    let most = [2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600];
    let reached = most
        .into_iter()
        .find(|most| time.as_secs_f64() <= *most as f64);
    reached.unwrap_or(u64::MAX)
}
