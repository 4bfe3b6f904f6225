//! A hundred blocks at a real pool, each share and each block looked after.

use super::miner::Miner;
use super::node::Node;
use super::{OWNER, PATIENCE};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Blocks, and so switches to another job.
pub const SWITCHES: u64 = 104;
/// Shares of a job that make no block.
pub const SHARES: u64 = 2;

async fn tip(node: &Node) -> String {
    let hash = node.call("getbestblockhash", json!([])).await;
    hash.as_str().unwrap().to_owned()
}

/// Mines for the first pool through a hundred new blocks, every other one our own.
pub async fn mine(miner: &mut Miner, node: &Node, other: &str) {
    let mut sent = 0;
    for switch in 0..SWITCHES {
        let height = node.height().await;
        let job = miner.job_on(&tip(node).await).await;
        for _ in 0..SHARES {
            miner.find(&job, false).await;
            sent += 1;
        }
        miner.all_accepted(0, sent).await;
        if switch % 2 == 0 {
            miner.find(&job, true).await;
            sent += 1;
            miner.all_accepted(0, sent).await;
            let taken = async {
                while node.height().await == height {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            let taken = timeout(PATIENCE, taken).await;
            assert!(taken.is_ok(), "the node takes the block");
            let block = node.block(height + 1).await;
            let paid = block["tx"][0]["vout"].as_array().unwrap();
            let ours = |output: &Value| output["scriptPubKey"]["address"] == OWNER;
            assert!(paid.iter().any(ours), "{paid:?}");
        } else {
            node.generate(1, other).await;
        }
    }
    let pool = miner.pool(0);
    assert_eq!(pool.shares.submitted, sent);
    assert_eq!(
        (pool.shares.blocks_submitted, pool.shares.blocks_accepted),
        (SWITCHES / 2, SWITCHES / 2)
    );
    assert!(pool.jobs >= SWITCHES, "{}", pool.jobs);
    assert_eq!((pool.failures, pool.shares.unanswered), (0, 0), "{pool:?}");
    assert_eq!(pool.version_mask, Some(0x1fff_e000));
    let lines = pool.lines;
    assert_eq!(
        (lines.malformed, lines.bad_parameters, lines.over_long),
        (0, 0, 0)
    );
    println!(
        "{} shares and {} blocks accepted, none rejected, {} jobs",
        sent, pool.shares.blocks_accepted, pool.jobs
    );
}
