//! Three days of virtual time with faults at random, from a seed.

use crate::rig::{Plan, Rig, Sick};
use cgminer_emulator::fault::Fault;
use cgminer_rs::keeper::State;
use cgminer_rs::link::Loop;
use fastrand::Rng;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs;
use std::path::Path;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const LASTING: Duration = Duration::from_secs(72 * 3_600);
const SEED: u64 = 20_261_122;
/// Dangerous limit of chips in the board file, and by how much the true chips may pass it.
const HOTTEST: f32 = 105.0 + 2.0;
/// When the process has seen every kind of fault, and what it may grow by from then on.
const SETTLED_MEMORY: Duration = Duration::from_secs(12 * 3_600);
const GROWTH: u64 = 8 << 20;
/// The keeper's patience with a machine that does not become ready is 30 min; then it latches. A restart has its pause before.
const RESOLVED_WITHIN: Duration = Duration::from_secs(45 * 60);
/// How long the board may run without its keeper: its watchdog, and the time that a rail takes to fall.
const OFF_WITHOUT_KEEPER: Duration = Duration::from_secs(25);

/// What goes wrong.
enum Trouble {
    Machine(Fault),
    Sick(Sick),
    KeeperKilled,
}

/// One trouble at random; some cost the power, some do not.
fn any_trouble(rng: &mut Rng) -> Trouble {
    let sensor = {
        let board = rng.u8(0..3);
        let side = if rng.bool() { "inlet" } else { "outlet" };
        format!("board {board} {side} side")
    };
    let fan = ["front left", "front right", "rear left", "rear right"][rng.usize(0..4)].to_owned();
    let celsius = rng.f32() * 80.0 - 40.0;
    Trouble::Machine(match rng.u8(0..22) {
        0 => Fault::SensorNak { sensor },
        1 => Fault::SensorStuck { sensor },
        2 => Fault::SensorZero { sensor },
        3 => Fault::SensorImplausible { sensor },
        4 => Fault::SensorJump { sensor, celsius },
        5 => Fault::SensorLate {
            sensor,
            seconds: rng.u32(1..120),
        },
        6 | 7 => Fault::FanStop { fan },
        8 => Fault::FanSlow {
            fan,
            share: rng.f32(),
        },
        9 => Fault::TachLies {
            fan,
            rpm: rng.u32(0..12_000),
        },
        10 => Fault::FanStopTachLies { fan },
        11 => Fault::SupplyNak,
        12 => Fault::SupplyBadChecksum,
        13 => Fault::SupplySilent,
        14 => Fault::SupplyOverVoltage {
            millivolts: rng.u32(0..4_000),
        },
        15 => Fault::SupplyTrip,
        16 => Fault::HotRoom {
            celsius: rng.f32() * 50.0,
        },
        17 => Fault::OverTemperature {
            chain: rng.usize(0..3),
            watts: rng.f32() * 1_000.0,
        },
        18 => return Trouble::Sick(Sick::LoopSilent(Loop::ALL[rng.usize(0..3)])),
        19 => return Trouble::Sick([Sick::MinerEnds, Sick::MinerPanics][rng.usize(0..2)]),
        20 => return Trouble::Sick(Sick::Hangs(["sensors", "fans", "supply"][rng.usize(0..3)])),
        _ => return Trouble::KeeperKilled,
    })
}

/// A machine that lives through all that, and what was counted.
struct Soak {
    rig: Rig,
    rng: Rng,
    writes: Writes,
    troubles: u32,
    latches: u32,
    kills: u32,
    /// Of the keepers that were killed.
    past_trips: u64,
    trips: u64,
    /// How long it has been neither hashing nor latched.
    unsettled: Duration,
    longest_unsettled: Duration,
}

#[tokio::test(start_paused = true)]
async fn three_days_of_faults_at_random_end_resolved_or_latched() {
    quiet_panics();
    let mut soak = Soak::begin();
    let mut settled_memory = 0;
    while soak.rig.control.now() < LASTING {
        soak.befall().await;
        let pause = Duration::from_secs(soak.rng.u64(60..2_400));
        soak.live(pause).await;
        soak.rig.heal();
        soak.clear_latch().await;
        if settled_memory == 0 && soak.rig.control.now() > SETTLED_MEMORY {
            settled_memory = memory();
        }
    }
    soak.rig.control.clear_all();
    soak.live(2 * HOUR).await;
    let grown = memory().saturating_sub(settled_memory);
    soak.tell(grown);
    soak.judge(grown);
}

impl Soak {
    fn begin() -> Self {
        let mut rig = Rig::start(Plan::l7());
        rig.look = Duration::from_secs(5);
        Self {
            writes: Writes::watch(rig.kept().parent().unwrap()),
            rig,
            rng: Rng::with_seed(SEED),
            troubles: 0,
            latches: 0,
            kills: 0,
            past_trips: 0,
            trips: 0,
            unsettled: Duration::ZERO,
            longest_unsettled: Duration::ZERO,
        }
    }

    async fn befall(&mut self) {
        self.troubles += 1;
        match any_trouble(&mut self.rng) {
            Trouble::Machine(fault) => {
                let lasting = Duration::from_secs(self.rng.u64(2..2_400));
                self.rig.control.inject(fault, Some(lasting)).unwrap();
            }
            Trouble::Sick(sick) => self.rig.sicken(sick),
            Trouble::KeeperKilled => self.kill_keeper().await,
        }
    }

    async fn kill_keeper(&mut self) {
        self.kills += 1;
        self.count_trips();
        self.past_trips = self.trips;
        self.rig.kill_keeper().await;
        self.rig.run(OFF_WITHOUT_KEEPER).await;
        let truth = self.rig.control.truth();
        assert!(
            truth.rail.output_mv < 3_000.0,
            "on without a keeper: {truth:?}"
        );
        self.rig.start_keeper();
    }

    /// Lets time pass and looks whether all is as it has to be.
    async fn live(&mut self, time: Duration) {
        const STEP: Duration = Duration::from_secs(10);
        for _ in 0..time.as_secs() / STEP.as_secs() {
            self.rig.run(STEP).await;
            self.writes.count();
            let hottest = self.rig.hottest;
            assert!(
                hottest <= HOTTEST,
                "{hottest} C after {} troubles",
                self.troubles
            );
            let settled = self.rig.state().is_some_and(|state| {
                state.may_hash() || state == State::Latched || self.is_idle_for_a_reason(state)
            });
            self.unsettled = if settled {
                Duration::ZERO
            } else {
                self.unsettled + STEP
            };
            self.longest_unsettled = self.longest_unsettled.max(self.unsettled);
        }
        self.count_trips();
    }

    /// A miner that died too often is tried again every 10 min and gets no power meanwhile.
    fn is_idle_for_a_reason(&self, state: State) -> bool {
        state == State::Standby && self.rig.is_any_sick()
    }

    fn count_trips(&mut self) {
        let seen = self.rig.snapshot().map(|snapshot| snapshot.restarts.total);
        self.trips = self.past_trips + seen.map_or(0, u64::from);
    }

    /// An operator comes, finds the cause, and clears it.
    async fn clear_latch(&mut self) {
        let Some(latch) = self.rig.snapshot().unwrap().latched.clone() else {
            return;
        };
        assert!(!latch.cause.to_string().is_empty());
        assert!(self.rig.control.truth().rail.output_mv < 3_000.0);
        self.latches += 1;
        self.rig.control.clear_all();
        self.rig.clear_latch().await;
    }

    fn tell(&self, grown: u64) {
        println!(
            "{} troubles ({} keepers killed), {} trips, {} latches, {} writes, {grown} bytes grown, \
             hottest {} C, longest unsettled {:?}",
            self.troubles,
            self.kills,
            self.trips,
            self.latches,
            self.writes.count,
            self.rig.hottest,
            self.longest_unsettled,
        );
    }

    fn judge(&self, grown: u64) {
        assert!(
            self.troubles > 150 && self.kills > 2 && self.latches > 2 && self.trips > 20,
            "too little happened"
        );
        assert!(
            self.longest_unsettled <= RESOLVED_WITHIN,
            "neither resolved nor latched for {:?}",
            self.longest_unsettled
        );
        assert!(
            self.rig.state().is_some_and(|state| state.may_hash()),
            "faults are gone, and it does not run: {:?}",
            self.rig.snapshot()
        );
        // One for each start, one for each unclean one that proved harmless, two for each latch.
        let budget = 1 + 2 * self.kills + 2 * self.latches;
        assert!(
            self.writes.count <= budget,
            "{} writes, {budget} allowed",
            self.writes.count
        );
        assert!(grown <= GROWTH, "{grown} bytes");
    }
}

/// Counts what the kernel sees written into a directory.
struct Writes {
    watch: Inotify,
    count: u32,
}

impl Writes {
    fn watch(directory: &Path) -> Self {
        let watch = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
        watch
            .add_watch(directory, AddWatchFlags::IN_CLOSE_WRITE)
            .unwrap();
        Self { watch, count: 0 }
    }

    fn count(&mut self) {
        while let Ok(events) = self.watch.read_events() {
            self.count += events.len() as u32;
        }
    }
}

/// A miner that panics on purpose need not say so each time.
fn quiet_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&crate::rig::PANIC) {
            hook(info);
        }
    }));
}

/// Memory of this process in use, in bytes.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}
