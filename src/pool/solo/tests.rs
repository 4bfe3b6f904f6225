//! The source against a node in memory, in virtual time.

mod node;

use super::hash::{double_sha256, root_of};
use super::rpc::RpcAuth;
use super::{SoloSettings, SoloSource};
use crate::pool::source::{JobSource, Numbers, SourceHandle, source_channels};
use crate::pool::status::{PoolPhase, PoolStatus};
use crate::pool::url::Host;
use crate::work::{ChainIndex, Difficulty, Extranonce2, Job, Share};
use node::{FakeNode, ToFakeNode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    node: Arc<FakeNode>,
    handle: SourceHandle,
    task: JoinHandle<()>,
}

impl Bench {
    fn start(node: Arc<FakeNode>) -> Self {
        Self::start_with(node, ADDRESS, 65_536.0)
    }

    fn start_with(node: Arc<FakeNode>, address: &str, share_difficulty: f64) -> Self {
        let auth = RpcAuth::Password {
            user: "u".into(),
            password: "p".into(),
        };
        let mut settings = SoloSettings::new(Host::parse("127.0.0.1").unwrap(), 1, auth, address);
        settings.share_difficulty = Difficulty::new(share_difficulty).unwrap();
        let source = SoloSource::new(settings, Arc::new(ToFakeNode(Arc::clone(&node))), 7);
        let numbers = Arc::new(Numbers::default());
        let (handle, ports) = source_channels(source.initial_status(), numbers, Arc::default());
        handle.wanted.send_replace(true);
        let task = tokio::spawn(Box::new(source).run(ports));
        Self { node, handle, task }
    }

    async fn job_where(&mut self, is_it: impl Fn(&Job) -> bool) -> Arc<Job> {
        let wanted = |job: &Option<Arc<Job>>| job.as_ref().is_some_and(|job| is_it(job));
        let job = self.handle.jobs.wait_for(wanted).await.unwrap().clone();
        job.unwrap()
    }

    async fn first_job(&mut self) -> Arc<Job> {
        self.job_where(|_| true).await
    }

    async fn no_job(&mut self) {
        self.handle.jobs.wait_for(Option::is_none).await.unwrap();
    }

    async fn status_where(&mut self, is_it: impl FnMut(&PoolStatus) -> bool) -> PoolStatus {
        self.handle.status.wait_for(is_it).await.unwrap().clone()
    }

    async fn send(&self, share: Share) {
        self.handle.shares.send(share).await.unwrap();
    }
}

/// A share of the job whose hash meets `meets`.
fn share_where(job: &Arc<Job>, value: u64, meets: impl Fn(&Job, &[u8; 32]) -> bool) -> Share {
    let extranonce2 = Extranonce2 {
        value,
        size: job.extranonce2_size,
    };
    let middle: Vec<u8> = extranonce2.bytes().collect();
    let coinbase = [
        &job.coinbase_prefix,
        middle.as_slice(),
        &job.coinbase_suffix,
    ]
    .concat();
    let root = root_of(double_sha256(&coinbase), &job.merkle_branches);
    let hash_of = |nonce: u32| {
        let mut header = job.version.to_le_bytes().to_vec();
        header.extend_from_slice(&job.previous_hash);
        header.extend_from_slice(&root);
        for word in [job.ntime, job.nbits, nonce] {
            header.extend_from_slice(&word.to_le_bytes());
        }
        double_sha256(&header)
    };
    let nonce = (0..u32::MAX)
        .find(|nonce| meets(job, &hash_of(*nonce)))
        .unwrap();
    let hash = hash_of(nonce);
    Share {
        job: Arc::clone(job),
        extranonce2,
        ntime: job.ntime,
        nonce,
        version_bits: 0,
        hash,
        is_block: job.network_target.is_met_by(&hash),
        chain: ChainIndex(0),
        found_at: Instant::now(),
    }
}

fn block(job: &Arc<Job>, value: u64) -> Share {
    share_where(job, value, |job, hash| job.network_target.is_met_by(hash))
}

#[tokio::test(start_paused = true)]
async fn a_job_comes_once_the_node_has_agreed_to_a_block_of_ours() {
    let mut bench = Bench::start(FakeNode::new());
    let job = bench.first_job().await;
    assert!(job.clean);
    assert_eq!(job.version_mask, 0x1fff_e000);
    assert_eq!(job.extranonce2_size, 8);
    let status = bench
        .status_where(|status| status.phase == PoolPhase::Ready)
        .await;
    assert_eq!(status.job_id.as_deref(), Some(&*job.id.0));
    // One transaction is hardly a block.
    assert_eq!((status.jobs, status.nearly_empty_jobs), (1, 1));
    assert_eq!(status.user, ADDRESS);
    let calls = bench.node.with(|state| state.calls.clone());
    assert_eq!(
        calls[..3],
        ["getblockchaininfo", "getblocktemplate", "proposal"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_template_that_the_node_itself_would_refuse_is_not_mined() {
    let node = FakeNode::new();
    node.with(|state| state.proposal = json!("bad-cb-amount"));
    let mut bench = Bench::start(node);
    let status = bench
        .status_where(|status| status.phase == PoolPhase::BackingOff)
        .await;
    assert!(status.last_error.unwrap().contains("bad-cb-amount"));
    assert_eq!(status.jobs, 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_block_makes_a_clean_job_and_new_fees_do_not() {
    let mut bench = Bench::start(FakeNode::new());
    let first = bench.first_job().await;
    let full = include_str!("../../../tests/data/gbt/regtest-4-transactions.json");
    let full: Value = serde_json::from_str(full).unwrap();
    bench.node.new_template(|template| {
        template["curtime"] = json!(first.ntime + 9);
        for name in ["transactions", "default_witness_commitment"] {
            template[name] = full[name].clone();
        }
    });
    let second = bench.job_where(|job| job.ntime == first.ntime + 9).await;
    assert!(!second.clean);
    assert_eq!(second.previous_hash, first.previous_hash);
    bench.node.new_block('a');
    let third = bench.job_where(|job| job.previous_hash == [0xaa; 32]).await;
    assert!(third.clean);
    assert!(first.sequence < second.sequence && second.sequence < third.sequence);
    let status = bench.status_where(|status| status.jobs == 3).await;
    assert_eq!(status.nearly_empty_jobs, 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_is_kept_while_fees_are_refreshed() {
    let mut bench = Bench::start(FakeNode::new());
    bench.first_job().await;
    sleep(600 * SECOND).await;
    assert_eq!(
        bench.node.calls("longpoll"),
        1,
        "a node has few threads for them"
    );
    assert!((20..=22).contains(&bench.node.calls("getblocktemplate")));
    bench.node.new_block('a');
    bench.job_where(|job| job.previous_hash == [0xaa; 32]).await;
    sleep(SECOND).await;
    assert_eq!(bench.node.calls("longpoll"), 2);
}

#[tokio::test(start_paused = true)]
async fn without_long_polls_the_tip_is_looked_at_every_second() {
    let node = FakeNode::new();
    node.with(|state| state.template.as_object_mut().unwrap().remove("longpollid"));
    let mut bench = Bench::start(node);
    bench.first_job().await;
    sleep(20 * SECOND).await;
    assert!((19..=21).contains(&bench.node.calls("getbestblockhash")));
    bench.node.new_block('a');
    let began = Instant::now();
    bench.job_where(|job| job.previous_hash == [0xaa; 32]).await;
    assert!(began.elapsed() <= SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_block_goes_to_the_node_and_the_next_template_is_fetched_at_once() {
    let mut bench = Bench::start(FakeNode::new());
    let job = bench.first_job().await;
    bench.send(block(&job, 1)).await;
    let status = bench
        .status_where(|status| status.shares.blocks_accepted == 1)
        .await;
    assert_eq!(status.shares.submitted, 1);
    assert_eq!(status.shares.accepted, 1);
    assert!(status.message.unwrap().contains("block 113 accepted"));
    assert_eq!(bench.node.submitted().len(), 1);
    bench.job_where(|next| next.sequence > job.sequence).await;
    assert_eq!(job.received_at.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn once_a_block_is_accepted_no_other_is_sent_for_its_place() {
    let mut bench = Bench::start(FakeNode::new());
    let job = bench.first_job().await;
    for value in 0..40 {
        bench.send(block(&job, value)).await;
    }
    let status = bench
        .status_where(|status| status.shares.stale_withheld == 39)
        .await;
    assert_eq!(status.shares.blocks_accepted, 1);
    assert_eq!(bench.node.submitted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn work_on_an_old_tip_is_dropped_and_counted() {
    let mut bench = Bench::start(FakeNode::new());
    let old = bench.first_job().await;
    bench.node.new_block('a');
    let new = bench.job_where(|job| job.previous_hash == [0xaa; 32]).await;
    bench.send(block(&old, 1)).await;
    bench.send(block(&new, 2)).await;
    let status = bench
        .status_where(|status| status.shares.blocks_accepted == 1)
        .await;
    assert_eq!(status.shares.stale_withheld, 1);
    assert!(status.shares.lost_hashes > 0.0);
    let submitted = bench.node.submitted();
    assert_eq!(submitted.len(), 1);
    // The previous hash stands behind the version.
    assert_eq!(submitted[0][8..72], "a".repeat(64));
}

#[tokio::test(start_paused = true)]
async fn a_block_made_from_an_older_template_of_the_same_tip_counts() {
    let mut bench = Bench::start(FakeNode::new());
    let first = bench.first_job().await;
    bench
        .node
        .new_template(|template| template["curtime"] = json!(first.ntime + 9));
    bench.job_where(|job| job.sequence > first.sequence).await;
    bench.send(block(&first, 1)).await;
    bench
        .status_where(|status| status.shares.blocks_accepted == 1)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_block_is_submitted_again_until_the_node_answers() {
    let mut bench = Bench::start(FakeNode::new());
    let job = bench.first_job().await;
    bench.node.with(|state| state.is_down = true);
    bench.send(block(&job, 1)).await;
    sleep(60 * SECOND).await;
    assert!(bench.node.submitted().is_empty());
    assert!(
        bench.handle.jobs.borrow().is_none(),
        "a lost node gives no work"
    );
    bench.node.with(|state| state.is_down = false);
    let status = bench
        .status_where(|status| status.shares.blocks_accepted == 1)
        .await;
    assert_eq!(status.shares.unanswered, 0);
    assert_eq!(bench.node.submitted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_block_that_the_node_never_answers_for_is_counted_as_such() {
    let mut bench = Bench::start(FakeNode::new());
    let job = bench.first_job().await;
    bench.node.with(|state| state.is_down = true);
    bench.send(block(&job, 1)).await;
    let status = bench
        .status_where(|status| status.shares.unanswered == 1)
        .await;
    assert!(status.message.unwrap().contains("block 113 lost"));
    assert!(job.received_at.elapsed() >= 580 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn verdicts_of_the_node_are_counted_by_their_reason() {
    let mut bench = Bench::start(FakeNode::new());
    let verdicts = ["high-hash", "inconclusive", "time-too-old", "bad-txns"];
    bench
        .node
        .with(|state| state.verdicts = verdicts.map(Value::from).into());
    let job = bench.first_job().await;
    for value in 0..4 {
        bench.send(block(&job, value)).await;
    }
    let status = bench
        .status_where(|status| status.shares.rejected.total == 4)
        .await;
    let rejected = status.shares.rejected;
    let counts = (
        rejected.low_difficulty,
        rejected.stale,
        rejected.bad_ntime,
        rejected.other,
    );
    assert_eq!(counts, (1, 1, 1, 1));
    assert_eq!(status.shares.blocks_accepted, 0);
    assert_eq!(status.shares.last_reject.as_deref(), Some("bad-txns"));
}

#[tokio::test(start_paused = true)]
async fn shares_measure_the_hashrate_and_only_blocks_are_sent() {
    let node = FakeNode::new();
    node.with(|state| {
        state.template["bits"] = json!("1d00ffff");
        state.template["target"] = json!(format!("00000000ffff{}", "0".repeat(52)));
    });
    let mut bench = Bench::start_with(node, ADDRESS, 1e-8);
    let job = bench.first_job().await;
    assert!(job.share_target > job.network_target);
    bench
        .send(share_where(&job, 1, |job, hash| {
            job.share_target.is_met_by(hash)
        }))
        .await;
    bench
        .send(share_where(&job, 2, |job, hash| {
            !job.share_target.is_met_by(hash)
        }))
        .await;
    let status = bench
        .status_where(|status| status.shares.submitted == 2)
        .await;
    assert_eq!(status.shares.accepted, 1);
    assert_eq!(
        status.shares.rejected.low_difficulty, 1,
        "checked by its own header"
    );
    assert!((status.shares.accepted_difficulty / 1e-8 - 1.0).abs() < 1e-6);
    assert!(bench.node.submitted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_failure_is_told_and_tried_again() {
    for (failure, words) in [
        ((401, json!(null)), "refused (401)"),
        ((403, json!(null)), "rpcallowip"),
        (
            (500, json!({"code": -28, "message": "Verifying blocks"})),
            "still starting: Verifying",
        ),
        (
            (500, json!({"code": -10, "message": "initial sync"})),
            "not ready to mine: initial",
        ),
    ] {
        let node = FakeNode::new();
        node.with(|state| state.failure = Some(failure));
        let mut bench = Bench::start(Arc::clone(&node));
        let status = bench.status_where(|status| status.failures == 3).await;
        let error = status.last_error.unwrap();
        assert!(error.contains(words), "{error}");
        assert!(error.contains("next try in"), "{error}");
        node.with(|state| state.failure = None);
        bench.first_job().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_of_another_network_is_told_before_any_work() {
    let address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let mut bench = Bench::start_with(FakeNode::new(), address, 1.0);
    let status = bench.status_where(|status| status.failures == 1).await;
    assert!(status.last_error.unwrap().contains("network `regtest`"));
    assert_eq!(bench.node.calls("getblocktemplate"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_node_is_noticed_within_seconds_and_found_again() {
    let mut bench = Bench::start(FakeNode::new());
    let job = bench.first_job().await;
    bench.node.with(|state| state.is_down = true);
    let began = Instant::now();
    bench.no_job().await;
    assert!(began.elapsed() <= 10 * SECOND);
    sleep(120 * SECOND).await;
    bench.node.with(|state| state.is_down = false);
    let again = bench.first_job().await;
    assert_ne!(again.session, job.session);
    // The tip is the same: work of the session before still makes blocks.
    bench.send(block(&job, 1)).await;
    bench
        .status_where(|status| status.shares.blocks_accepted == 1)
        .await;
}

#[tokio::test(start_paused = true)]
async fn failures_with_answers_in_between_do_not_lose_the_node() {
    let mut bench = Bench::start(FakeNode::new());
    let job = bench.first_job().await;
    for round in 0..200 {
        // Failed calls are a second apart: no more than two of a kind fall into this.
        bench.node.with(|state| state.is_down = true);
        sleep(Duration::from_millis(1500)).await;
        bench.node.with(|state| state.is_down = false);
        sleep(Duration::from_millis(5300 + round)).await;
        let status = bench.handle.status.borrow().clone();
        assert_eq!(status.failures, 0, "round {round}");
    }
    let refused = bench.node.with(|state| state.refused);
    assert!(refused > 20, "calls have failed now and then: {refused}");
    let now = bench.handle.jobs.borrow().clone().unwrap();
    assert_eq!(now.session, job.session);
}

#[tokio::test(start_paused = true)]
async fn an_unwanted_source_hangs_up_and_one_without_a_manager_ends() {
    let mut bench = Bench::start(FakeNode::new());
    bench.first_job().await;
    bench.handle.wanted.send_replace(false);
    bench.no_job().await;
    bench
        .status_where(|status| status.phase == PoolPhase::Idle)
        .await;
    let calls = bench.node.with(|state| state.calls.len());
    sleep(600 * SECOND).await;
    assert_eq!(bench.node.with(|state| state.calls.len()), calls);
    bench.handle.wanted.send_replace(true);
    bench.first_job().await;
    drop(bench.handle);
    bench.task.await.unwrap();
}
