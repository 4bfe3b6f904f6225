//! Three days of virtual time with faults at random, from a seed.

mod living;
mod mining;
mod troubles;

use crate::rig::{Kind, Plan, Rig};
use cgminer_emulator::fault::Fault;
use cgminer_emulator::machine::Truth;
use cgminer_rs::keeper::State;
use living::Living;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use troubles::{Deck, FAULTS, Trouble, number};

const HOUR: Duration = Duration::from_secs(3_600);
/// Dangerous limit of chips in the board file, and by how much the true chips may pass it.
const HOTTEST: f32 = 105.0 + 2.0;
/// What may live more at the end than when every kind of fault had come once or nearly so: lists that are bounded have
/// their bounds, and not all are full.
const GROWTH: i64 = 256 << 10;
const MORE_TASKS: usize = 4;
/// The keeper's patience with a machine that does not become ready is 30 min; then it latches. A restart has its pause before.
const RESOLVED_WITHIN: Duration = Duration::from_secs(45 * 60);
/// How long the board may run without its keeper: its watchdog, and the time that a rail takes to fall.
const OFF_WITHOUT_KEEPER: Duration = Duration::from_secs(25);

/// A machine that lives through all that, and what was counted.
struct Soak {
    rig: Rig,
    deck: Deck,
    kinds: BTreeSet<usize>,
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
    soak(20_261_122, 72 * HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn another_day_does_too() {
    soak(7, 24 * HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn and_a_third_one() {
    soak(20_090_103, 24 * HOUR).await;
}

async fn soak(seed: u64, lasting: Duration) {
    quiet_panics();
    let mut soak = Soak::begin(seed);
    let mut settled = None;
    while soak.rig.control.now() < lasting {
        soak.befall().await;
        let pause = Duration::from_secs(soak.deck.chance().u64(60..2_400));
        soak.live(pause).await;
        soak.rig.heal();
        soak.clear_latch().await;
        if settled.is_none() && soak.rig.control.now() > lasting / 6 {
            settled = Some(Living::now());
        }
    }
    soak.rig.control.clear_all();
    soak.live(2 * HOUR).await;
    soak.judge(settled.unwrap(), lasting);
}

impl Soak {
    fn begin(seed: u64) -> Self {
        let mut plan = Plan::of(Kind::Everything);
        plan.seed = seed;
        let mut rig = Rig::start(plan);
        rig.look = Duration::from_secs(5);
        Self {
            writes: Writes::watch(rig.kept().parent().unwrap()),
            rig,
            deck: Deck::of_all(seed),
            kinds: BTreeSet::new(),
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
        match self.deck.draw(1) {
            Trouble::Machine(fault) => {
                self.kinds.insert(number(&fault));
                let lasting = Duration::from_secs(self.deck.chance().u64(2..2_400));
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
        // Controllers that let go of their boards leave the supply without load, and its capacitors full for longer.
        assert!(
            is_stuck(&truth) || truth.boards.iter().all(|board| board.rail_mv < 3_000.0),
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
        let truth = self.rig.control.truth();
        assert!(
            is_stuck(&truth) || truth.rail.output_mv < 3_000.0,
            "latched and on: {truth:?}"
        );
        self.latches += 1;
        self.rig.control.clear_all();
        self.rig.clear_latch().await;
    }

    fn judge(&self, settled: Living, lasting: Duration) {
        let now = Living::now();
        println!(
            "{lasting:?}: {} troubles of {} kinds ({} keepers killed), {} trips, {} latches, {} writes, {settled:?} then \
             {now:?}, hottest {} C, longest unsettled {:?}",
            self.troubles,
            self.kinds.len(),
            self.kills,
            self.trips,
            self.latches,
            self.writes.count,
            self.rig.hottest,
            self.longest_unsettled,
        );
        let days = (lasting.as_secs() / (24 * 3_600)) as u32;
        assert!(
            self.troubles > 50 * days
                && self.kills >= days
                && self.latches >= days
                && self.trips > u64::from(5 * days),
            "too little happened"
        );
        assert_eq!(self.kinds.len(), FAULTS, "{:?}", self.kinds);
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
        assert!(
            now.bytes <= settled.bytes + GROWTH && now.tasks <= settled.tasks + MORE_TASKS,
            "{settled:?} has become {now:?}"
        );
    }
}

/// Whether nothing that anybody does can switch the supply off.
fn is_stuck(truth: &Truth) -> bool {
    let mut faults = truth.faults.iter();
    faults.any(|(_, fault)| matches!(fault, Fault::EnableStuck | Fault::SupplyStuckOn))
}

/// Counts what the kernel sees written into a directory.
pub struct Writes {
    watch: Inotify,
    pub count: u32,
}

impl Writes {
    pub fn watch(directory: &Path) -> Self {
        let watch = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
        watch
            .add_watch(directory, AddWatchFlags::IN_CLOSE_WRITE)
            .unwrap();
        Self { watch, count: 0 }
    }

    pub fn count(&mut self) {
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
