//! The chain driver on emulated chips, model by model: two pieces of code that share no codec must understand each
//! other, and every share must hash to what it claims.
#![cfg(feature = "emulator")]
#![allow(clippy::expect_used)] // helpers of tests

use bitcoin::hashes::{Hash, sha256d};
use cgminer_emulator::{
    chain::ChipType,
    clock::Clock,
    machine::{Machine, MachineSettings},
};
use cgminer_hal::{
    devices::Devices,
    emulated::GpioLine,
    uart::UartSpec,
    units::{Baud, Megahertz},
};
use cgminer_rs::{
    chain::{
        ChainPhase, ChainSettings, ChainStatus, Deadlines, Pacing, RestartPolicy, TicketMask,
        model::ChipModel,
        models::{BM1362, BM1366, BM1368, BM1370, BM1397, BM1397_ONE_MIDSTATE, L7},
        reset::{ResetFuture, ResetLine},
        task::{ChainEnds, run},
    },
    work::{ChainIndex, CountedBy, Extranonce2Partition, Job, JobId, SessionId, Share, Target},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

/// Zero bits that the emulated chips demand, instead of 32.
const ZERO_BITS: u8 = 10;

struct Reset(GpioLine);

impl ResetLine for Reset {
    fn name(&self) -> &'static str {
        "emulated reset"
    }

    fn hold(&mut self) -> ResetFuture<'_> {
        self.0.set(false);
        Box::pin(std::future::ready(Ok(())))
    }

    fn release(&mut self) -> ResetFuture<'_> {
        self.0.set(true);
        Box::pin(std::future::ready(Ok(())))
    }
}

fn job() -> Arc<Job> {
    Arc::new(Job {
        session: SessionId(1),
        sequence: 1,
        id: JobId("1".into()),
        version: 0x2000_0000,
        version_mask: 0x1FFF_E000,
        previous_hash: [0x5A; 32],
        roots: cgminer_rs::work::MerkleRoots::Coinbase,
        coinbase_prefix: vec![1; 60].into(),
        extranonce2_size: 8,
        coinbase_suffix: vec![2; 100].into(),
        merkle_branches: vec![[3; 32]; 5].into(),
        nbits: 0x1700_FFFF,
        ntime: 0x6700_0000,
        ntime_roll_limit: 600,
        clean: true,
        share_target: Target::from_nbits(0x1F0F_FFFF).unwrap_or(Target::MAX),
        network_target: Target::from_nbits(0x1700_FFFF).unwrap_or(Target::MAX),
        received_at: Instant::now(),
        counted: CountedBy::default(),
    })
}

/// The hash of a share, from nothing but its own fields and the job's.
fn hash_of(share: &Share) -> [u8; 32] {
    let job = &share.job;
    let coinbase: Vec<u8> = (job.coinbase_prefix.iter().copied())
        .chain(share.extranonce2.bytes())
        .chain(job.coinbase_suffix.iter().copied())
        .collect();
    let root = job
        .merkle_branches
        .iter()
        .fold(sha256d::Hash::hash(&coinbase), |node, branch| {
            sha256d::Hash::hash(&[&node.to_byte_array()[..], branch].concat())
        });
    let version = job.version & !job.version_mask | share.version_bits;
    let header = [
        &version.to_le_bytes()[..],
        &job.previous_hash,
        &root.to_byte_array(),
        &share.ntime.to_le_bytes(),
        &job.nbits.to_le_bytes(),
        &share.nonce.to_le_bytes(),
    ]
    .concat();
    sha256d::Hash::hash(&header).to_byte_array()
}

async fn mine(model: &'static ChipModel, chip: ChipType, chips: u16, domains: u16) {
    let mut settings = MachineSettings::l7().expect("the built-in machine");
    settings.supply = None;
    settings.chains.truncate(1);
    settings.sensors.clear();
    settings.search.hardwired_zero_bits = u32::from(ZERO_BITS);
    settings.search.hashes_per_second = 100_000.0;
    for chain in &mut settings.chains {
        chain.chip = chip;
        chain.chips = usize::from(chips);
    }
    let reset = settings
        .chains
        .first()
        .map(|chain| chain.reset.line.clone());
    let uart = settings.chains.first().map(|chain| chain.uart.clone());
    let machine = Machine::new(settings, 1, Clock::tokio());
    let mut devices = machine.devices();
    tokio::spawn(machine.run());
    tokio::time::sleep(Duration::from_secs(2)).await;

    let spec = UartSpec {
        device: uart.expect("a chain"),
        second_descriptor: false,
    };
    let line = Reset(devices.line(&reset.expect("a chain"), false));
    let settings = ChainSettings {
        chain: ChainIndex(0),
        model,
        chips,
        domains,
        frequency: Megahertz(400.0),
        frequency_bounds: (Megahertz(50.0), Megahertz(800.0)),
        baud: Baud(3_125_000),
        ticket_mask: TicketMask::of_bits(2).expect("two bits"),
        hardwired_zero_bits: ZERO_BITS,
        partition: Extranonce2Partition::WHOLE,
        pacing: Pacing::CAPTURED,
        deadlines: Deadlines::default(),
        restarts: RestartPolicy::default(),
    };
    let (job_sender, jobs) = watch::channel(Some(job()));
    let (share_sender, mut shares) = mpsc::channel(256);
    let (status_sender, status) = watch::channel(ChainStatus::new(&settings));
    let (commands, command_receiver) = mpsc::channel(4);
    let task = tokio::spawn(run(
        settings,
        ChainEnds {
            uart: devices.uart(&spec).expect("the line is free"),
            reset: Box::new(line),
            jobs,
            shares: share_sender,
            status: status_sender,
            commands: command_receiver,
        },
    ));
    let mut versions = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let share = timeout(Duration::from_secs(120), shares.recv()).await;
        let Ok(Some(share)) = share else {
            panic!("{}: no share; {:?}", model.name, status.borrow())
        };
        let hash = hash_of(&share);
        assert_eq!(hash, share.hash, "{}", model.name);
        let [.., second, first] = hash;
        assert_eq!((first, second & 0xF0), (0, 0), "twelve zero bits");
        versions.insert(share.version_bits);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = status.borrow().clone();
    assert_eq!(
        (seen.phase, seen.chips_found),
        (ChainPhase::Hashing, Some(chips)),
        "{seen:?}"
    );
    let counters = seen.counters;
    assert_eq!(
        (
            counters.mismatches,
            counters.crc_errors,
            counters.lost_bytes,
            counters.below_ticket
        ),
        (0, 0, 0, 0),
        "{counters:?}"
    );
    assert_eq!(
        (
            counters.duplicates,
            counters.unknown_work,
            counters.failures
        ),
        (0, 0, 0),
        "{counters:?}"
    );
    assert!(versions.len() > 2, "{}: versions roll", model.name);
    drop((job_sender, commands));
    task.await
        .expect("the task ends")
        .expect("the settings are sound");
}

macro_rules! mines {
    ($($name:ident: $model:ident, $chip:ident, $chips:literal, $domains:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            mine(&$model, ChipType::$chip, $chips, $domains).await;
        }
    )*};
}

mines! {
    an_l7_chain_of_126_mines: L7, Bm1362, 126, 42;
    an_s19j_pro_chain_of_126_mines: BM1362, Bm1362, 126, 42;
    an_s19_xp_chain_of_110_mines: BM1366, Bm1366, 110, 11;
    an_s21_chain_of_108_mines: BM1368, Bm1368, 108, 12;
    an_s21_pro_chain_of_65_mines: BM1370, Bm1370, 65, 13;
    an_s17_chain_of_48_mines_with_four_midstates: BM1397, Bm1397, 48, 12;
    an_s17_chain_of_48_mines_with_one_midstate: BM1397_ONE_MIDSTATE, Bm1397, 48, 12;
    a_single_bm1370_mines: BM1370, Bm1370, 1, 1;
}
