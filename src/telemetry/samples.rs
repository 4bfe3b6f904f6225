//! A healthy machine in the words of its rooms, for tests.

use super::events::Seen;
use super::{ChainInput, Inputs, OperatingPoint, SnapshotSource};
use crate::chain::status::{ChainCounters, ChainPhase, ChainStatus, ChipCounters};
use crate::link::status::{
    AnalogReading, AnalogStatus, ChainSafety, FanStatus, KeeperStatus, LastEnd, Latch,
    RestartStatus, SensorStatus, SupplyStatus, WatchdogStatus,
};
use crate::link::{Cause, State};
use crate::pool::record::{BlockBelow, Difficulties};
use crate::pool::status::{PoolPhase, PoolStatus, PoolsStatus, Traffic};
use crate::work::ChainIndex;
use cgminer_board::file::Quantity;
use cgminer_board::power::VoltageLimits;
use cgminer_board::thermal::{FanCondition, FanMode, Throttle, Tier, Tiers};
use cgminer_hal::units::{
    Amperes, Baud, Celsius, DutyPercent, HashRate, Megahertz, Millivolts, Rpm, Watts,
};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// All rooms of a machine with one chain, one fan and one pool, at work.
pub fn seen() -> Seen {
    Seen {
        keeper: Some(Arc::new(keeper())),
        chains: vec![chain()],
        pools: pools(),
    }
}

/// A keeper that lets the machine hash.
pub fn keeper() -> KeeperStatus {
    KeeperStatus {
        sequence: 1,
        board: "l7".into(),
        emulated: false,
        state: State::Running,
        state_seconds: 60.0,
        reason: "power is on and confirmed".into(),
        last_cause: None,
        last_end: Some(LastEnd::WantedStop),
        unclean_ends: 0,
        tier: Tier::Normal,
        throttle: Throttle(100),
        fan_mode: FanMode::Auto,
        sensors: vec![SensorStatus {
            name: "chain 0 inlet".into(),
            chain: Some(0),
            reading: Some(Celsius(55.5)),
            age_seconds: Some(0.25),
            acted_on: Some(Celsius(65.5)),
            tiers: Tiers {
                target: Celsius(60.0),
                hot: Celsius(80.0),
                dangerous: Celsius(90.0),
            },
            fault: None,
        }],
        chains: vec![ChainSafety {
            chain: 0,
            temperature: Some(Celsius(65.5)),
            measured: true,
            reset_held: Some(false),
            present: Some(true),
            hash_board: None,
            hashes_due: None,
        }],
        fans: vec![FanStatus {
            name: "front".into(),
            duty: Some(DutyPercent(40.0)),
            speed: Some(Rpm(2400)),
            age_seconds: Some(0.5),
            condition: FanCondition::Turning,
        }],
        supply: SupplyStatus {
            part: "apw12".into(),
            limits: VoltageLimits {
                minimum: Millivolts(12_000),
                maximum: Millivolts(15_000),
            },
            wanted_on: true,
            wanted: Millivolts(13_200),
            measured: Some(Millivolts(13_190)),
            power: Some(Watts(3200.0)),
            temperature: None,
            age_seconds: Some(0.5),
            fault: None,
        },
        restarts: RestartStatus {
            used: 0,
            budget: 3,
            total: 0,
            next_in_seconds: None,
        },
        latched: None,
        process: Some(crate::link::process::Process::default()),
        watchdog: WatchdogStatus {
            armed: true,
            timeout_seconds: Some(10.0),
            fed_seconds_ago: Some(1.0),
        },
        locate: false,
        analog: vec![
            AnalogStatus {
                name: "board 0 current".into(),
                chain: Some(0),
                measures: Quantity::Current,
                reading: Some(AnalogReading::Current(Amperes(75.5))),
                age_seconds: Some(0.5),
                failing: false,
            },
            AnalogStatus {
                name: "rail".into(),
                chain: None,
                measures: Quantity::Voltage,
                reading: None,
                age_seconds: None,
                failing: true,
            },
        ],
        claim_seconds: None,
    }
}

/// Why a machine stays off.
pub fn latch() -> Latch {
    Latch {
        cause: Cause::NoTemperature { chain: 0 },
        unix_time: Some(1_800_000_000),
        kept: true,
    }
}

/// A chain of two chips at work.
pub fn chain() -> ChainStatus {
    ChainStatus {
        chain: 0,
        model: "BM1362",
        phase: ChainPhase::Hashing,
        reason: None,
        bring_up_percent: None,
        chips_expected: 2,
        chips_found: Some(2),
        frequency_target: Megahertz(525.0),
        frequency: Some(Megahertz(525.0)),
        baud: Baud(3_125_000),
        nominal_hash_rate: Some(HashRate(1e12)),
        work_interval_ms: Some(500.0),
        counters: ChainCounters {
            hashes: 1e12,
            nonces: 100,
            shares: 10,
            ..ChainCounters::default()
        },
        chips: vec![
            ChipCounters {
                nonces: 50,
                ..ChipCounters::default()
            };
            2
        ]
        .into(),
    }
}

/// One pool, ready and worked for.
pub fn pools() -> PoolsStatus {
    let mut pool = PoolStatus {
        url: "stratum+tcp://pool.example:3333".into(),
        user: "account.worker".into(),
        phase: PoolPhase::Ready,
        session: Some(1),
        difficulty: Some(1024.0),
        job_id: Some("6a".into()),
        hashes_given: 10.0 * 1024.0 * 4_294_967_296.0,
        ..PoolStatus::default()
    };
    pool.shares.submitted = 10;
    pool.shares.accepted = 9;
    pool.shares.accepted_hashes = 9.0 * 1024.0 * 4_294_967_296.0;
    pool.shares.accepted_difficulty = 9.0 * 1024.0;
    pool.shares.rejected.total = 1;
    pool.shares.rejected.stale = 1;
    pool.shares.last_difficulty = Some(1024.0);
    pool.shares.of_chain(ChainIndex(0), |shares| {
        shares.accepted = 8;
        shares.rejected = 1;
        shares.accept(1024.0, Instant::now());
    });
    pool.traffic = Some(Traffic {
        writes: 12,
        written: 1178,
        read: 9771,
    });
    pool.record.best_difficulty = Some(4096.5);
    pool.record.blocks = 1;
    pool.record.difficulties = Some(Difficulties {
        least: 512.0,
        least_jobs: 1,
        most: 1024.0,
        most_jobs: 3,
    });
    pool.record.block = Some(BlockBelow {
        hash: [7; 32],
        height: Some(840_000),
        version: 0x2000_0000,
        difficulty: 83_148_355_189_239.77,
        since: Instant::now(),
    });
    PoolsStatus {
        strategy: "failover",
        active: Some(0),
        reason: "the first that works",
        pools: vec![pool],
        ..PoolsStatus::default()
    }
}

/// The ends that the rooms of a tested source publish at.
pub struct Rooms {
    /// Pools.
    pub pools: watch::Sender<PoolsStatus>,
    /// The one chain.
    pub chain: watch::Sender<ChainStatus>,
    /// The keeper.
    pub keeper: watch::Sender<Option<Arc<KeeperStatus>>>,
}

impl Rooms {
    /// A source of the machine of [`seen`].
    pub fn at_work() -> (SnapshotSource, Self) {
        Self::of(pools(), chain(), Some(keeper()))
    }

    /// A source whose rooms have not spoken.
    pub fn silent() -> (SnapshotSource, Self) {
        let chain = ChainStatus {
            phase: ChainPhase::Waiting,
            chips_found: None,
            frequency: None,
            nominal_hash_rate: None,
            counters: ChainCounters::default(),
            chips: Box::default(),
            ..chain()
        };
        Self::of(PoolsStatus::default(), chain, None)
    }

    fn of(
        pools: PoolsStatus,
        chain: ChainStatus,
        keeper: Option<KeeperStatus>,
    ) -> (SnapshotSource, Self) {
        let rooms = Self {
            pools: watch::Sender::new(pools),
            chain: watch::Sender::new(chain),
            keeper: watch::Sender::new(keeper.map(Arc::new)),
        };
        let source = SnapshotSource::new(Inputs {
            board: "l7".into(),
            emulated: true,
            board_file: Some(OperatingPoint {
                frequency: Megahertz(525.0),
                voltage: Millivolts(13_200),
            }),
            pools: rooms.pools.subscribe(),
            chains: vec![ChainInput {
                domains: 2,
                status: rooms.chain.subscribe(),
            }],
            keeper: rooms.keeper.subscribe(),
            directories: Vec::new(),
        });
        (source, rooms)
    }

    /// The keeper tells the same again.
    pub fn keeper_speaks(&self) {
        self.keeper.send_modify(|keeper| {
            if let Some(keeper) = keeper {
                Arc::make_mut(keeper).sequence += 1;
            }
        });
    }

    /// Every room tells the same again.
    pub fn all_speak(&self) {
        self.keeper_speaks();
        self.pools.send_modify(|_| ());
        self.chain.send_modify(|_| ());
    }
}
