//! What happens to an emulated chain of full length while it mines: new jobs, a change of frequency, a restart. The emulator
//! has its own codec, and every share is checked with the `bitcoin` crate. `chain_on_emulator` goes through the models.
#![cfg(feature = "emulator")]
#![allow(clippy::expect_used)] // helpers of tests

use bitcoin::block::{Header, Version};
use bitcoin::hashes::{Hash, HashEngine, sha256d};
use bitcoin::{BlockHash, CompactTarget, TxMerkleNode};
use cgminer_emulator::chain::{Chain, ChainSettings as Emulated, ChipType};
use cgminer_hal::emulated::{DeviceUart, uart_pair};
use cgminer_hal::units::{Baud, Megahertz};
use cgminer_rs::chain::model::ChipModel;
use cgminer_rs::chain::models::{BM1370, BM1397, L7};
use cgminer_rs::chain::{
    ChainCommand, ChainEnds, ChainPhase, ChainSettings, ChainStatus, Deadlines, Pacing,
    ResetFuture, ResetLine, RestartPolicy, TicketMask, task,
};
use cgminer_rs::work::{
    ChainIndex, CountedBy, Extranonce2Partition, Job, JobId, SessionId, Share, Target,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

/// Declared instead of 32, so that shares come without a machine room.
const ZERO_BITS: u8 = 12;
const TICKET_BITS: u8 = 2;
/// One good nonce in sixteen is a share.
const SHARE_BITS: u32 = 18;

struct Machine {
    jobs: watch::Sender<Option<Arc<Job>>>,
    shares: mpsc::Receiver<Share>,
    status: watch::Receiver<ChainStatus>,
    commands: mpsc::Sender<ChainCommand>,
}

impl Machine {
    fn new(model: &'static ChipModel, kind: ChipType, chips: u16, domains: u16) -> Self {
        let (host, device) = uart_pair("chain0", 64 * 1024);
        let held = Arc::new(AtomicBool::new(false));
        let emulated = Emulated {
            chip: kind,
            chips: usize::from(chips),
            hardwired_zero_bits: ZERO_BITS.into(),
            hashes_per_second: 1e6,
        };
        tokio::spawn(live(Chain::new(emulated, 7), device, Arc::clone(&held)));
        let settings = ChainSettings {
            chain: ChainIndex(1),
            model,
            chips,
            domains,
            frequency: Megahertz(500.0),
            frequency_bounds: (Megahertz(400.0), Megahertz(700.0)),
            baud: Baud(3_125_000),
            ticket_mask: TicketMask::of_bits(TICKET_BITS).expect("a mask"),
            hardwired_zero_bits: ZERO_BITS,
            partition: Extranonce2Partition::new(1, 3).expect("a part"),
            pacing: Pacing::CAPTURED,
            deadlines: Deadlines::default(),
            restarts: RestartPolicy::default(),
        };
        let (jobs, jobs_end) = watch::channel(None);
        let (shares_end, shares) = mpsc::channel(1024);
        let (status_end, status) = watch::channel(ChainStatus::new(&settings));
        let (commands, commands_end) = mpsc::channel(4);
        let ends = ChainEnds {
            uart: Box::new(host),
            reset: Box::new(Reset(held)),
            jobs: jobs_end,
            shares: shares_end,
            status: status_end,
            commands: commands_end,
        };
        tokio::spawn(async move { task::run(settings, ends).await.expect("valid settings") });
        Self {
            jobs,
            shares,
            status,
            commands,
        }
    }

    async fn until(&mut self, phase: ChainPhase) {
        let reached = self.status.wait_for(|status| status.phase == phase);
        let reached = timeout(Duration::from_secs(120), reached).await.is_ok();
        assert!(
            reached,
            "never {phase:?}: {:?}",
            self.status.borrow().reason
        );
    }

    async fn share(&mut self) -> Share {
        let share = timeout(Duration::from_secs(600), self.shares.recv()).await;
        share.expect("shares in time").expect("the task lives")
    }

    /// The next status with counters, and when it was published.
    async fn published(&mut self) -> (ChainStatus, Instant) {
        let nonces = self.status.borrow().counters.nonces;
        let published = self
            .status
            .wait_for(|status| status.counters.nonces > nonces);
        let published = timeout(Duration::from_secs(60), published).await;
        let status = published.expect("in time").expect("the task lives").clone();
        (status, Instant::now())
    }

    /// The status after the next publication.
    async fn next_status(&mut self) -> ChainStatus {
        sleep(Duration::from_millis(1100)).await;
        self.status.borrow_and_update().clone()
    }
}

struct Reset(Arc<AtomicBool>);

impl ResetLine for Reset {
    fn name(&self) -> &'static str {
        "reset0"
    }

    fn hold(&mut self) -> ResetFuture<'_> {
        self.0.store(true, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn release(&mut self) -> ResetFuture<'_> {
        self.0.store(false, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }
}

/// Carries bytes between the line and the chips, and time to them.
async fn live(mut chain: Chain, device: DeviceUart, held: Arc<AtomicBool>) {
    let start = Instant::now();
    let mut out = Vec::new();
    loop {
        let now = start.elapsed();
        chain.set_reset(held.load(Ordering::Relaxed));
        let mut bytes = [0; 512];
        loop {
            let room = chain.room().min(bytes.len());
            let count = device.try_read(&mut bytes[..room]);
            if count == 0 {
                break;
            }
            chain.receive(&bytes[..count], now);
        }
        chain.advance(now);
        chain.set_host_baud(device.host_baud().map(|baud| baud.0));
        out.clear();
        chain.transmit(now, &mut out);
        assert_eq!(device.try_write(&out), out.len());
        device.set_on_the_wire(chain.bytes_on_the_wire());
        let longest = if chain.is_hashing() { 1 } else { 20 };
        let mut next = now + Duration::from_millis(longest);
        if let Some(event) = chain.next_event() {
            next = next.min(event.max(now + Duration::from_micros(1)));
        }
        tokio::select! {
            () = sleep(next.saturating_sub(now)) => {}
            () = device.host_acted() => {}
        }
    }
}

fn job(sequence: u64, version_mask: u32) -> Arc<Job> {
    Arc::new(Job {
        session: SessionId(1),
        sequence,
        id: JobId(format!("{sequence:x}").into()),
        version: 0x2000_0000,
        version_mask,
        previous_hash: [sequence as u8; 32],
        roots: cgminer_rs::work::MerkleRoots::Coinbase,
        coinbase_prefix: (0..70).collect(),
        extranonce2_size: 4,
        coinbase_suffix: (0..90).collect(),
        merkle_branches: Box::new([[0x11; 32], [0x22; 32], [0x33; 32]]),
        nbits: 0x1705_AE3A,
        ntime: 1_700_000_000,
        ntime_roll_limit: 600,
        clean: true,
        share_target: Target([u64::MAX >> SHARE_BITS, u64::MAX, u64::MAX, u64::MAX]),
        network_target: Target([0; 4]),
        received_at: Instant::now(),
        counted: CountedBy::default(),
    })
}

/// Builds the share's header from the pool's job alone and hashes it with independent code.
fn check(share: &Share, version_mask: u32) {
    let job = &share.job;
    let mut coinbase = job.coinbase_prefix.to_vec();
    let size = usize::from(share.extranonce2.size);
    coinbase.extend(&share.extranonce2.value.to_be_bytes()[8 - size..]);
    coinbase.extend(&*job.coinbase_suffix);
    let mut root = sha256d::Hash::hash(&coinbase);
    for branch in &job.merkle_branches {
        let mut engine = sha256d::Hash::engine();
        engine.input(root.as_byte_array());
        engine.input(branch);
        root = sha256d::Hash::from_engine(engine);
    }
    assert_eq!(
        share.version_bits & !version_mask,
        0,
        "only bits that may be rolled"
    );
    let version = job.version & !version_mask | share.version_bits;
    let header = Header {
        version: Version::from_consensus(i32::from_ne_bytes(version.to_ne_bytes())),
        prev_blockhash: BlockHash::from_byte_array(job.previous_hash),
        merkle_root: TxMerkleNode::from_byte_array(root.to_byte_array()),
        time: share.ntime,
        bits: CompactTarget::from_consensus(job.nbits),
        nonce: share.nonce,
    };
    let hash = header.block_hash().to_byte_array();
    assert_eq!(hash, share.hash);
    let zeros = u128::from_le_bytes(hash[16..].try_into().expect("half")).leading_zeros();
    assert!(zeros >= SHARE_BITS, "{zeros} zero bits");
    assert_eq!(share.extranonce2.value % 3, 1, "the chain's own part");
    assert_eq!(share.chain, ChainIndex(1));
}

/// Brings a chain up, takes that many shares of a job and half as many of a second, and looks at what was
/// counted.
async fn mines(
    model: &'static ChipModel,
    kind: ChipType,
    (chips, domains): (u16, u16),
    mask: u32,
    shares: usize,
) {
    let mut machine = Machine::new(model, kind, chips, domains);
    machine.until(ChainPhase::Idle).await;
    assert_eq!(machine.status.borrow().chips_found, Some(chips));
    machine.jobs.send_replace(Some(job(1, mask)));
    let mut rolled = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for _ in 0..shares {
        let share = machine.share().await;
        check(&share, mask);
        rolled.insert(share.version_bits);
        assert!(seen.insert(share.hash), "no share comes twice");
    }
    assert!(
        mask == 0 || rolled.len() > shares / 5,
        "versions are rolled: {rolled:?}"
    );
    is_fed_in_time(&mut machine).await;

    machine.jobs.send_replace(Some(job(2, mask)));
    // Nonces of the first job may still be under way; they are no shares any more.
    sleep(Duration::from_millis(50)).await;
    while machine.shares.try_recv().is_ok() {}
    for _ in 0..shares / 2 {
        let share = machine.share().await;
        assert_eq!(share.job.sequence, 2);
        check(&share, mask);
    }

    let status = machine.next_status().await;
    let counters = status.counters;
    assert_eq!(status.phase, ChainPhase::Hashing);
    // Sixteen nonces for a share, on the average.
    assert!(counters.nonces > 15 * shares as u64, "{counters:?}");
    assert_eq!(
        counters.below_ticket, 0,
        "the ticket mask holds: {counters:?}"
    );
    assert_eq!(
        counters.mismatches + counters.unknown_work,
        0,
        "{counters:?}"
    );
    assert_eq!(counters.lost_bytes + counters.crc_errors, 0, "{counters:?}");
    if model.has_hash_counting_number {
        assert_eq!(counters.unplaced, 0, "{counters:?}");
    } else {
        // Without a deadline a sweep runs on past its chip's part until the next work comes.
        assert!(counters.unplaced * 50 < counters.nonces, "{counters:?}");
    }
    assert!(counters.duplicates * 20 < counters.nonces, "{counters:?}");
    let working = status.chips.iter().filter(|chip| chip.nonces > 0).count();
    assert!(
        working * 2 > usize::from(chips).min(8 * shares),
        "{working} of {chips} chips were given nonces"
    );
    let hashes = counters.nonces as f64 * f64::from(1 << (ZERO_BITS + TICKET_BITS));
    assert!((counters.hashes - hashes).abs() < 1.0);
}

/// Work is replaced as often as the status says, also where that is more often than a timer can wake.
async fn is_fed_in_time(machine: &mut Machine) {
    let (before, began) = machine.published().await;
    let (after, ended) = machine.published().await;
    let interval = after.work_interval_ms.expect("a chain at work");
    let due = (ended - began).as_secs_f64() * 1000.0 / interval;
    let fed = (after.counters.work - before.counters.work) as f64;
    assert!(
        (fed - due).abs() <= 0.05 * due + 2.0,
        "{fed} units of work, {due} were due, one each {interval} ms"
    );
    assert_eq!(after.counters.work_missing, 0);
}

const ROLLED: u32 = 0x1FFF_E000;
/// Shares that are enough where each unit of work lasts a millisecond.
const FEW: usize = 6;
/// Six bits with gaps between them.
const GAPPED: u32 = 0x1540_A000;

#[tokio::test(start_paused = true)]
async fn an_l7_chain_turns_to_a_new_job_and_counts_right() {
    mines(&L7, ChipType::Bm1362, (126, 42), ROLLED, 20).await;
}

#[tokio::test(start_paused = true)]
async fn a_bm1370_chain_turns_to_a_new_job_and_counts_right() {
    mines(&BM1370, ChipType::Bm1370, (65, 13), ROLLED, 20).await;
}

#[tokio::test(start_paused = true)]
async fn a_bm1397_chain_turns_to_a_new_job_and_counts_right() {
    mines(&BM1397, ChipType::Bm1397, (48, 12), ROLLED, 20).await;
}

#[tokio::test(start_paused = true)]
async fn an_l7_chain_is_fed_where_no_version_may_be_rolled() {
    mines(&L7, ChipType::Bm1362, (126, 42), 0, FEW).await;
}

#[tokio::test(start_paused = true)]
async fn an_l7_chain_rolls_only_the_bits_of_a_mask_with_gaps() {
    mines(&L7, ChipType::Bm1362, (126, 42), GAPPED, FEW).await;
}

#[tokio::test(start_paused = true)]
async fn a_bm1370_chain_is_fed_where_no_version_may_be_rolled() {
    mines(&BM1370, ChipType::Bm1370, (65, 13), 0, FEW).await;
}

#[tokio::test(start_paused = true)]
async fn a_bm1370_chain_rolls_only_the_bits_of_a_mask_with_gaps() {
    mines(&BM1370, ChipType::Bm1370, (65, 13), GAPPED, FEW).await;
}

#[tokio::test(start_paused = true)]
async fn a_bm1397_chain_is_fed_where_no_version_may_be_rolled() {
    mines(&BM1397, ChipType::Bm1397, (48, 12), 0, FEW).await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_mines_on_through_a_restart_and_a_change_of_frequency() {
    let mut machine = Machine::new(&L7, ChipType::Bm1362, 126, 42);
    machine.jobs.send_replace(Some(job(1, ROLLED)));
    check(&machine.share().await, ROLLED);
    let (reply, allowed) = tokio::sync::oneshot::channel();
    let command = ChainCommand::SetFrequency {
        frequency: Megahertz(600.0),
        reply,
    };
    machine
        .commands
        .send(command)
        .await
        .expect("the task lives");
    allowed
        .await
        .expect("an answer")
        .expect("600 MHz are allowed");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(machine.status.borrow().frequency, Some(Megahertz(600.0)));

    let reason = "the owner asked".to_owned();
    machine
        .commands
        .send(ChainCommand::Restart { reason })
        .await
        .expect("the task lives");
    machine.until(ChainPhase::BringUp).await;
    machine.until(ChainPhase::Hashing).await;
    while machine.shares.try_recv().is_ok() {}
    check(&machine.share().await, ROLLED);
    assert_eq!(machine.status.borrow().frequency, Some(Megahertz(600.0)));
    let counters = machine.next_status().await.counters;
    assert_eq!(
        counters.mismatches + counters.below_ticket,
        0,
        "{counters:?}"
    );
}
