//! What an owner can set about solo mining.

use super::coinbase::LONGEST_TAG;
use super::rpc::RpcAuth;
use crate::pool::url::Host;
use crate::work::Difficulty;
use crate::work::version::ROLLABLE_BITS;
use std::time::Duration;

/// The owner's node and what to mine for.
#[derive(Clone, Debug)]
pub struct SoloSettings {
    /// Name or address of the node.
    pub host: Host,
    /// Its RPC port.
    pub port: u16,
    /// How the node knows us.
    pub auth: RpcAuth,
    /// Address that the coinbase pays.
    pub payout_address: String,
    /// Hashes this good are counted as shares, so that the hashrate can be measured between blocks. Nobody is paid by it.
    pub share_difficulty: Difficulty,
    /// Version bits that may be rolled; only those of BIP 320 are taken.
    pub version_mask: u32,
    /// Text in the coinbase; the first 40 bytes are taken.
    pub coinbase_tag: String,
    /// How long each step may take, and how often it is taken.
    pub intervals: Intervals,
}

impl SoloSettings {
    /// A node with everything else at its default.
    pub fn new(host: Host, port: u16, auth: RpcAuth, payout_address: &str) -> Self {
        Self {
            host,
            port,
            auth,
            payout_address: payout_address.to_owned(),
            share_difficulty: Self::default_share_difficulty(),
            version_mask: ROLLABLE_BITS,
            coinbase_tag: "CGMiner-RS".to_owned(),
            intervals: Intervals::default(),
        }
    }

    /// 65536: about 0.4 shares a second at 100 TH/s.
    pub fn default_share_difficulty() -> Difficulty {
        Difficulty::new(65_536.0).unwrap_or(Difficulty::ONE)
    }

    /// The coinbase text, cut to what is taken.
    pub(super) fn tag(&self) -> &str {
        let mut end = self.coinbase_tag.len().min(LONGEST_TAG);
        while !self.coinbase_tag.is_char_boundary(end) {
            end -= 1;
        }
        self.coinbase_tag.get(..end).unwrap_or_default()
    }
}

/// Deadlines and rhythms of the talk with the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Deadline of a call that the node answers at once.
    pub call: Duration,
    /// Deadline of a template, which can be megabytes.
    pub template: Duration,
    /// Deadline of a long poll. Long: a node keeps a thread for each, even when the caller has gone.
    pub long_poll: Duration,
    /// Between looks at the node's best block while a long poll waits, in case its connection has died unnoticed.
    pub tip_beside_long_poll: Duration,
    /// Between looks at the node's best block without a long poll.
    pub tip_alone: Duration,
    /// Between templates on the same block, for the fees of new transactions.
    pub refresh: Duration,
    /// Deadline of one try to submit a block.
    pub submit: Duration,
    /// How long a block is tried to be submitted to a node that does not answer.
    pub submit_all: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            call: seconds(10),
            template: seconds(30),
            long_poll: seconds(3600),
            tip_beside_long_poll: seconds(5),
            tip_alone: seconds(1),
            refresh: seconds(30),
            submit: seconds(60),
            submit_all: seconds(600),
        }
    }
}
