//! The task against a scripted chain, in virtual time.

mod failures;
mod scripted;

use super::{ChainEnds, run};
use crate::chain::models::L7;
use crate::chain::settings::{ChainSettings, Deadlines, Pacing, RestartPolicy};
use crate::chain::status::{ChainPhase, ChainStatus};
use crate::chain::{ChainCommand, ResetFuture, ResetLine, TicketMask};
use crate::work::{
    ChainIndex, CountedBy, Extranonce2Partition, Job, JobId, SessionId, Share, Target, UnitCount,
};
use cgminer_hal::units::{Baud, Megahertz};
use scripted::{Received, Script, ScriptedChain, header_of_job};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

const VERSION_MASK: u32 = 0x1FFF_E000;

fn settings() -> ChainSettings {
    ChainSettings {
        chain: ChainIndex(0),
        model: &L7,
        chips: 126,
        domains: 42,
        frequency: Megahertz(525.0),
        frequency_bounds: (Megahertz(400.0), Megahertz(800.0)),
        baud: Baud(3_125_000),
        ticket_mask: TicketMask::ALL,
        hardwired_zero_bits: 8,
        partition: Extranonce2Partition::WHOLE,
        pacing: Pacing::CAPTURED,
        deadlines: Deadlines::default(),
        restarts: RestartPolicy::default(),
    }
}

fn job(sequence: u64) -> Job {
    Job {
        session: SessionId(1),
        sequence,
        id: JobId(format!("job-{sequence}").into()),
        version: 0x2000_0000,
        version_mask: VERSION_MASK,
        previous_hash: [sequence as u8; 32],
        roots: crate::work::MerkleRoots::Coinbase,
        coinbase_prefix: Box::new([1; 60]),
        extranonce2_size: 8,
        coinbase_suffix: Box::new([2; 80]),
        merkle_branches: Box::new([[3; 32]; 4]),
        nbits: 0x1D00_FFFF,
        ntime: 1_700_000_000,
        ntime_roll_limit: 60,
        clean: true,
        share_target: Target([u64::MAX >> 8, u64::MAX, u64::MAX, u64::MAX]),
        network_target: Target([0; 4]),
        received_at: Instant::now(),
        counted: CountedBy::default(),
    }
}

/// Remembers what was done to it.
struct RecordedReset(Arc<Mutex<Vec<&'static str>>>);

impl RecordedReset {
    fn record(&self, what: &'static str) -> ResetFuture<'_> {
        self.0.lock().expect("no panic").push(what);
        Box::pin(async { Ok(()) })
    }
}

impl ResetLine for RecordedReset {
    fn name(&self) -> &'static str {
        "reset0"
    }

    fn hold(&mut self) -> ResetFuture<'_> {
        self.record("hold")
    }

    fn release(&mut self) -> ResetFuture<'_> {
        self.record("release")
    }
}

struct Rig {
    chain: ScriptedChain,
    jobs: watch::Sender<Option<Arc<Job>>>,
    shares: mpsc::Receiver<Share>,
    status: watch::Receiver<ChainStatus>,
    commands: mpsc::Sender<ChainCommand>,
    reset: Arc<Mutex<Vec<&'static str>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Rig {
    fn new(script: Script) -> Self {
        Self::with(script, settings())
    }

    fn with(script: Script, settings: ChainSettings) -> Self {
        let (status_end, _) = watch::channel(ChainStatus::new(&settings));
        Self::after(script, settings, status_end)
    }

    /// A rig whose chain has had a status before.
    fn after(
        script: Script,
        settings: ChainSettings,
        status_end: watch::Sender<ChainStatus>,
    ) -> Self {
        let (chain, host) = ScriptedChain::new(script);
        let (jobs, jobs_end) = watch::channel(None);
        let (shares_end, shares) = mpsc::channel(4);
        let status = status_end.subscribe();
        let (commands, commands_end) = mpsc::channel(4);
        let reset = Arc::new(Mutex::new(Vec::new()));
        let ends = ChainEnds {
            uart: Box::new(host),
            reset: Box::new(RecordedReset(Arc::clone(&reset))),
            jobs: jobs_end,
            shares: shares_end,
            status: status_end,
            commands: commands_end,
        };
        let task = tokio::spawn(async move { run(settings, ends).await.expect("valid settings") });
        Self {
            chain,
            jobs,
            shares,
            status,
            commands,
            reset,
            task,
        }
    }

    /// A rig whose chips work on job 1 and are through with their opening.
    async fn hashing(script: Script) -> Self {
        let mut rig = Self::new(script);
        rig.give(job(1));
        rig.until(ChainPhase::Hashing).await;
        sleep(Duration::from_millis(100)).await;
        rig
    }

    fn give(&self, job: Job) {
        self.jobs.send_replace(Some(Arc::new(job)));
    }

    async fn until(&mut self, phase: ChainPhase) {
        let reached = self.status.wait_for(|status| status.phase == phase);
        timeout(Duration::from_secs(600), reached)
            .await
            .unwrap_or_else(|_| panic!("never {phase:?}"))
            .expect("the task lives");
    }

    /// The status after the next publication.
    async fn next_status(&mut self) -> ChainStatus {
        sleep(Duration::from_millis(1100)).await;
        self.status.borrow_and_update().clone()
    }

    fn frames(&self, wanted: impl Fn(&Received) -> bool) -> Vec<Received> {
        self.chain.log().into_iter().filter(wanted).collect()
    }

    fn writes(&self, register: u8) -> Vec<u32> {
        let log = self.chain.log();
        let writes = log.iter().filter_map(Received::broadcast_write);
        writes
            .filter(|(r, _)| *r == register)
            .map(|(_, value)| value)
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_is_brought_up_counted_and_raised_to_speed() {
    let mut rig = Rig::new(Script::default());
    rig.until(ChainPhase::Idle).await;
    let status = rig.status.borrow().clone();
    assert_eq!(status.chips_found, Some(126));
    assert_eq!(status.frequency, Some(Megahertz(525.0)));
    assert_eq!(status.baud, Baud(3_125_000));
    assert_eq!(*rig.reset.lock().expect("no panic"), ["hold", "release"]);
    let log = rig.chain.log();
    let change = log
        .iter()
        .position(|frame| frame.broadcast_write() == Some((0x28, 0x1130_0000)));
    let change = change.expect("the change of speed");
    assert!(log[..=change].iter().all(|frame| frame.baud == Baud::RESET));
    assert!(
        log[change + 1..]
            .iter()
            .all(|frame| frame.baud == Baud(3_125_000))
    );
    assert!(
        log.iter().all(|frame| !frame.is_job()),
        "there is no job yet"
    );
}

#[tokio::test(start_paused = true)]
async fn a_nonce_becomes_a_share_of_its_job() {
    let mut rig = Rig::hashing(Script::default()).await;
    let share = rig.shares.recv().await.expect("a share");
    assert_eq!(&*share.job.id.0, "job-1");
    assert_eq!(share.chain, ChainIndex(0));
    let status = rig.next_status().await;
    assert_eq!(status.counters.shares, 1);
    assert_eq!(status.chips[110].nonces, 1);
    assert!((status.counters.hashes - 256.0).abs() < 1e-6);
}

#[tokio::test(start_paused = true)]
async fn the_first_job_is_followed_by_sweep_deadline_and_version_mask() {
    let rig = Rig::hashing(Script::default()).await;
    let log = rig.chain.log();
    let job = log.iter().position(Received::is_job).expect("a job");
    let behind: Vec<_> = log[job + 1..]
        .iter()
        .filter_map(Received::broadcast_write)
        .collect();
    assert_eq!(behind[..2], [(0x10, 6041), (0xA4, 0x9000_FFFF)]);
}

#[tokio::test(start_paused = true)]
async fn the_next_frame_after_a_new_job_is_of_that_job_and_goes_out_at_once() {
    let rig = Rig::hashing(Script::default()).await;
    for sequence in 2..20 {
        sleep(Duration::from_millis(137)).await;
        rig.chain.forget();
        let published = Instant::now();
        rig.give(job(sequence));
        sleep(Duration::from_millis(1)).await;
        let log = rig.chain.log();
        assert!(log[0].is_job());
        assert_eq!(log[0].at, published, "no time passes in between");
        assert_eq!(header_of_job(&log[0].bytes)[4..36], [sequence as u8; 32]);
    }
}

#[tokio::test(start_paused = true)]
async fn each_unit_of_work_is_counted_for_the_maker_of_its_job() {
    let rig = Rig::hashing(Script::default()).await;
    let (one, other) = (UnitCount::default(), UnitCount::default());
    rig.chain.forget();
    for (sequence, maker) in [(2, &one), (3, &other), (4, &one)] {
        let job = job(sequence);
        job.count_by(maker);
        rig.give(job);
        sleep(Duration::from_secs(20)).await;
    }
    let sent = rig.frames(Received::is_job);
    let of_other = sent
        .iter()
        .filter(|frame| header_of_job(&frame.bytes)[4..36] == [3; 32])
        .count();
    assert!(of_other > 5);
    assert_eq!(other.get(), of_other as u64);
    assert_eq!(one.get(), (sent.len() - of_other) as u64);
}

#[tokio::test(start_paused = true)]
async fn work_is_replaced_before_the_chips_have_seen_all_versions_of_it() {
    let rig = Rig::hashing(Script::default()).await;
    rig.chain.forget();
    sleep(Duration::from_secs(60)).await;
    let jobs = rig.frames(Received::is_job);
    // 65536 versions by 8 at once, 6041 ticks of 40 ns each.
    let epoch = Duration::from_nanos(8192 * 6041 * 40);
    for pair in jobs.windows(2) {
        let age = pair[1].at - pair[0].at;
        assert!(age <= epoch && age > epoch / 2, "{age:?} of {epoch:?}");
        assert_ne!(
            pair[0].bytes[10..50],
            pair[1].bytes[10..50],
            "new ntime or root"
        );
    }
    assert!(jobs.len() > 30);
}

#[tokio::test(start_paused = true)]
async fn without_a_job_the_chips_are_halted_and_a_job_sets_them_to_work_again() {
    let mut rig = Rig::hashing(Script::default()).await;
    rig.chain.forget();
    rig.jobs.send_replace(None);
    rig.until(ChainPhase::Idle).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.writes(0x10), [0]);
    assert!(rig.frames(Received::is_job).is_empty());
    assert!(
        rig.status
            .borrow()
            .reason
            .as_deref()
            .is_some_and(|it| it.contains("no job"))
    );

    rig.chain.forget();
    rig.give(job(2));
    sleep(Duration::from_millis(10)).await;
    let log = rig.chain.log();
    assert!(
        log[0].is_job(),
        "the job comes first, or chips would go on with the old one"
    );
    assert_eq!(log[1].broadcast_write(), Some((0x10, 6041)));
    assert_eq!(rig.status.borrow().phase, ChainPhase::Hashing);
}

#[tokio::test(start_paused = true)]
async fn a_narrower_version_mask_is_written_ahead_of_its_job() {
    let rig = Rig::hashing(Script::default()).await;
    rig.chain.forget();
    let narrow = Job {
        version_mask: 0x00FF_E000,
        ..job(2)
    };
    rig.give(narrow);
    sleep(Duration::from_millis(10)).await;
    let log = rig.chain.log();
    assert_eq!(log[0].broadcast_write(), Some((0xA4, 0x9000_07FF)));
    assert!(log[1].is_job());
    assert_eq!(log[0].at, log[1].at);
}

#[tokio::test(start_paused = true)]
async fn a_mask_that_changes_during_the_opening_is_not_undone_by_it() {
    let mut rig = Rig::new(Script::default());
    rig.until(ChainPhase::Idle).await;
    rig.give(job(1));
    sleep(Duration::from_millis(1)).await;
    rig.give(Job {
        version_mask: 0x0000_2000,
        ..job(2)
    });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.writes(0xA4).last(), Some(&0x9000_0001));
}

#[tokio::test(start_paused = true)]
async fn a_rising_frequency_shortens_the_sweep_first_and_climbs_in_steps() {
    let mut rig = Rig::hashing(Script::default()).await;
    rig.chain.forget();
    ask_frequency(&rig, 550.0).await.expect("allowed");
    sleep(Duration::from_secs(2)).await;
    let log = rig.chain.log();
    let writes: Vec<_> = log.iter().filter_map(Received::broadcast_write).collect();
    let registers: Vec<u8> = writes.iter().map(|(register, _)| *register).collect();
    assert_eq!(registers, [0x10, 0x08, 0x08, 0x08, 0x08]);
    assert!(writes[0].1 < 6041);
    assert_eq!(rig.next_status().await.frequency, Some(Megahertz(550.0)));
}

#[tokio::test(start_paused = true)]
async fn a_falling_frequency_lengthens_the_sweep_last() {
    let rig = Rig::hashing(Script::default()).await;
    rig.chain.forget();
    ask_frequency(&rig, 500.0).await.expect("allowed");
    sleep(Duration::from_secs(2)).await;
    let log = rig.chain.log();
    let writes: Vec<_> = log.iter().filter_map(Received::broadcast_write).collect();
    let registers: Vec<u8> = writes.iter().map(|(register, _)| *register).collect();
    assert_eq!(registers, [0x08, 0x08, 0x08, 0x08, 0x10]);
    assert!(writes[4].1 > 6041);
}

#[tokio::test(start_paused = true)]
async fn jobs_preempt_a_change_of_frequency() {
    let rig = Rig::hashing(Script::default()).await;
    ask_frequency(&rig, 700.0).await.expect("allowed");
    sleep(Duration::from_millis(550)).await;
    rig.chain.forget();
    let published = Instant::now();
    rig.give(job(2));
    sleep(Duration::from_millis(1)).await;
    let log = rig.chain.log();
    assert!(log[0].is_job() && log[0].at == published);
}

#[tokio::test(start_paused = true)]
async fn halted_chips_stay_halted_through_a_change_of_frequency() {
    let mut rig = Rig::hashing(Script::default()).await;
    rig.jobs.send_replace(None);
    rig.until(ChainPhase::Idle).await;
    rig.chain.forget();
    ask_frequency(&rig, 450.0).await.expect("allowed");
    sleep(Duration::from_secs(3)).await;
    assert!(rig.writes(0x10).is_empty());
    assert_eq!(rig.status.borrow().frequency, Some(Megahertz(450.0)));
    rig.give(job(2));
    sleep(Duration::from_millis(10)).await;
    assert!(
        rig.writes(0x10)[0] > 6041,
        "the deadline of the slower clock"
    );
}

#[tokio::test(start_paused = true)]
async fn a_frequency_out_of_bounds_is_refused_and_changes_nothing() {
    let rig = Rig::hashing(Script::default()).await;
    rig.chain.forget();
    for mhz in [399.0, 801.0, 0.0, -5.0, f32::NAN, f32::INFINITY, 1e9] {
        assert!(ask_frequency(&rig, mhz).await.is_err(), "{mhz}");
    }
    sleep(Duration::from_secs(1)).await;
    assert!(rig.writes(0x08).is_empty());
    assert_eq!(rig.status.borrow().frequency_target, Megahertz(525.0));
}

async fn ask_frequency(rig: &Rig, mhz: f32) -> Result<(), crate::chain::error::PllError> {
    let (reply, answer) = oneshot::channel();
    let frequency = Megahertz(mhz);
    let command = ChainCommand::SetFrequency { frequency, reply };
    rig.commands.send(command).await.expect("the task lives");
    answer.await.expect("an answer")
}

#[tokio::test(start_paused = true)]
async fn chips_own_error_counters_are_read_and_kept_by_chip() {
    let mut rig = Rig::hashing(Script::default()).await;
    assert_eq!(rig.next_status().await.chips[3].error_counter, None);
    sleep(Duration::from_secs(30)).await;
    let status = rig.next_status().await;
    assert_eq!(status.chips[3].error_counter, Some(4));
    assert_eq!(status.chips[125].error_counter, Some(126));
}

#[tokio::test(start_paused = true)]
async fn a_stop_holds_reset_and_ends_the_task() {
    let mut rig = Rig::hashing(Script::default()).await;
    rig.commands
        .send(ChainCommand::Stop)
        .await
        .expect("the task lives");
    rig.until(ChainPhase::Stopped).await;
    rig.task.await.expect("no panic");
    assert_eq!(rig.reset.lock().expect("no panic").last(), Some(&"hold"));
    assert_eq!(rig.status.borrow().frequency, None);
}

#[tokio::test(start_paused = true)]
async fn a_second_task_counts_on_where_the_first_one_ended() {
    let (status, _) = watch::channel(ChainStatus::new(&settings()));
    let mut counted = Vec::new();
    for _ in 0..2 {
        let noisy = Script {
            noise: vec![0xFF; 3],
            ..Script::default()
        };
        let mut rig = Rig::after(noisy, settings(), status.clone());
        rig.give(job(1));
        rig.shares.recv().await.expect("a share");
        rig.commands
            .send(ChainCommand::Stop)
            .await
            .expect("the task lives");
        rig.until(ChainPhase::Stopped).await;
        let status = rig.status.borrow();
        let counters = status.counters;
        counted.push((
            counters.shares,
            counters.lost_bytes,
            status.chips[110].nonces,
        ));
    }
    assert_eq!(counted, [(1, 3, 1), (2, 6, 2)]);
}
