//! Three days of virtual time with faults at random, from a seed.

use crate::rig::{Plan, Rig, Sick};
use cgminer_emulator::fault::Fault;
use cgminer_rs::keeper::State;
use cgminer_rs::link::Loop;
use fastrand::Rng;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const LASTING: Duration = Duration::from_secs(72 * 3_600);
const SEED: u64 = 20_261_122;
/// Dangerous limit of chips in the board file, and by how much the true chips may pass it.
const HOTTEST: f32 = 105.0 + 2.0;
/// What a process may grow by once it has seen every kind of fault.
const GROWTH: u64 = 8 << 20;

/// One fault at random; some of them cost the power, some do not.
fn any_fault(rng: &mut Rng) -> Result<Fault, Sick> {
    let sensor = {
        let board = rng.u8(0..3);
        let side = if rng.bool() { "inlet" } else { "outlet" };
        format!("board {board} {side} side")
    };
    let fan = ["front left", "front right", "rear left", "rear right"][rng.usize(0..4)].to_owned();
    let celsius = rng.f32() * 80.0 - 40.0;
    Ok(match rng.u8(0..20) {
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
        18 => return Err(Sick::LoopSilent(Loop::ALL[rng.usize(0..3)])),
        _ => return Err([Sick::MinerEnds, Sick::MinerPanics][rng.usize(0..2)]),
    })
}

#[tokio::test(start_paused = true)]
async fn three_days_of_faults_at_random_end_resolved_or_latched() {
    let mut rng = Rng::with_seed(SEED);
    let mut rig = Rig::start(Plan::l7());
    rig.look = Duration::from_secs(2);
    let (mut faults, mut latches, mut trips, mut writes) = (0u32, 0u32, 0, 0u32);
    let mut written = 0;
    let mut settled_memory = 0;
    let began = rig.control.now();
    while rig.control.now().saturating_sub(began) < LASTING {
        match any_fault(&mut rng) {
            Ok(fault) => {
                let lasting = Duration::from_secs(rng.u64(2..2_400));
                rig.control.inject(fault, Some(lasting)).unwrap();
            }
            Err(sick) => rig.sicken(sick),
        }
        faults += 1;
        let pause = Duration::from_secs(rng.u64(60..2_400));
        for _ in 0..pause.as_secs() / 10 {
            rig.run(Duration::from_secs(10)).await;
            let inode = fs::metadata(rig.kept())
                .map_or(written, |file| file.ino() ^ file.ctime_nsec() as u64);
            writes += u32::from(inode != written);
            written = inode;
        }
        rig.heal();
        assert!(
            rig.hottest <= HOTTEST,
            "{} C after {faults} faults",
            rig.hottest
        );
        let snapshot = rig.snapshot().unwrap();
        trips = trips.max(snapshot.restarts.total);
        if snapshot.state == State::Latched {
            latches += 1;
            assert!(rig.control.truth().rail.output_mv < 3_000.0);
            rig.control.clear_all();
            rig.clear_latch().await;
        }
        if settled_memory == 0 && rig.control.now().saturating_sub(began) > 12 * HOUR {
            settled_memory = memory();
        }
    }
    rig.control.clear_all();
    let resolved = rig
        .wait(2 * HOUR, |seen| {
            seen.is(State::Running) || seen.is(State::Latched)
        })
        .await;
    assert!(
        resolved.is_some(),
        "neither resolved nor latched: {:?}",
        rig.snapshot()
    );
    let grown = memory().saturating_sub(settled_memory);
    println!(
        "{faults} faults, {trips} trips, {latches} latches, {writes} writes, {grown} bytes grown, hottest {}",
        rig.hottest
    );
    assert!(faults > 150 && trips > 20, "{faults} faults, {trips} trips");
    // One for the start, one for its being harmless, two for each latch.
    assert!(
        writes <= 2 + 2 * latches,
        "{writes} writes for {latches} latches"
    );
    assert!(grown <= GROWTH, "{grown} bytes");
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
