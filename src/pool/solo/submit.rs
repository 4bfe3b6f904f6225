//! Gives found blocks to the node, again and again while it does not answer.

use super::block::{Block, displayed};
use super::rpc::{RpcClient, RpcError};
use super::settings::Intervals;
use crate::pool::reject::{PoolError, RejectReason, bounded};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// What became of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is part of the node's chain.
    Accepted,
    /// Not sent: another of our blocks took its place before.
    Withheld,
    /// The node knows a better chain, or a block in the same place.
    Stale(String),
    /// The node refused it.
    Rejected(RejectReason, String),
    /// The node gave no verdict in time.
    Unanswered(String),
}

/// A block whose fate is known.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The block.
    pub block: Block,
    /// What became of it.
    pub fate: Fate,
    /// From the first try to the verdict.
    pub took: Duration,
}

/// Blocks that may wait. More can only be found where blocks are nearly free, as on a test chain.
pub const WAITING_BLOCKS: usize = 16;

/// First wait before a block is submitted again.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest such wait.
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// Submits blocks in the order they come, until `blocks` has no sender. Runs beside everything else: a node that hangs
/// holds up no other work.
pub async fn submit_blocks(
    client: RpcClient,
    intervals: Intervals,
    mut blocks: mpsc::Receiver<Block>,
    settled: mpsc::Sender<Settled>,
) {
    let mut extended: Option<[u8; 32]> = None;
    while let Some(block) = blocks.recv().await {
        let started = Instant::now();
        let fate = if extended == Some(block.template.previous_hash) {
            Fate::Withheld
        } else {
            submit(&client, &intervals, &block).await
        };
        if fate == Fate::Accepted {
            extended = Some(block.template.previous_hash);
        }
        let settled_block = Settled {
            block,
            fate,
            took: started.elapsed(),
        };
        if settled.send(settled_block).await.is_err() {
            return;
        }
    }
}

async fn submit(client: &RpcClient, intervals: &Intervals, block: &Block) -> Fate {
    let hash = displayed(&block.hash());
    let mut params = vec![Value::String(block.to_hex())];
    if let Some(work_id) = &block.template.work_id {
        params.push(json!({ "workid": work_id }));
    }
    let give_up_at = Instant::now() + intervals.submit_all;
    let mut wait = FIRST_RETRY;
    loop {
        let answer: Result<Option<String>, RpcError> = client
            .call_nullable("submitblock", &params, intervals.submit, 65_536)
            .await;
        match answer {
            Ok(verdict) => return fate_of(verdict.as_deref()),
            // -22: the node could not decode it, and would not the next time.
            Err(RpcError::Node {
                code: -22, message, ..
            }) => {
                return Fate::Rejected(RejectReason::Other, message);
            }
            Err(error) if Instant::now() + wait >= give_up_at => {
                tracing::error!(%hash, %error, "gave up submitting the block");
                return Fate::Unanswered(error.to_string());
            }
            Err(error) => {
                let retry_s = wait.as_secs_f64();
                tracing::warn!(%hash, %error, retry_s, "the block could not be submitted; trying again");
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_RETRY);
    }
}

/// Reads the verdict of `submitblock` (BIP 22; Bitcoin Core's `BIP22ValidationResult`).
fn fate_of(verdict: Option<&str>) -> Fate {
    match verdict {
        // A duplicate is a block whose first verdict was lost on its way here.
        None | Some("duplicate") => Fate::Accepted,
        Some(
            text @ ("inconclusive"
            | "duplicate-inconclusive"
            | "inconclusive-not-best-prevblk"
            | "bad-prevblk"
            | "stale-prevblk"
            | "stale-work"
            | "prev-blk-not-found"),
        ) => Fate::Stale(text.to_owned()),
        Some(text) => Fate::Rejected(PoolError::from_text(text).reason(), bounded(text)),
    }
}
