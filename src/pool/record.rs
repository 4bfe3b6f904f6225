//! What the jobs and shares of a pool tell, of whatever kind it is. The manager keeps it, who sees them all.

use crate::work::target::hash_difficulty;
use crate::work::{Job, Share};
use serde::Serialize;
use tokio::time::Instant;

/// Jobs and shares of one pool since the start, or since the pool was configured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PoolRecord {
    /// Difficulty of the best hash among the shares found for it.
    pub best_difficulty: Option<f64>,
    /// Difficulties of its jobs.
    pub difficulties: Option<Difficulties>,
    /// Block that its latest job builds on.
    pub block: Option<BlockBelow>,
    /// Blocks that its jobs have built on, the first one included.
    pub blocks: u64,
    #[serde(skip)]
    latest: Option<u64>,
}

/// The easiest and the hardest job of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difficulties {
    /// Of the easiest.
    pub least: f64,
    /// Jobs that are as easy.
    pub least_jobs: u64,
    /// Of the hardest.
    pub most: f64,
    /// Jobs that are as hard.
    pub most_jobs: u64,
}

/// The block that a job builds on, and what the job says of the one to come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockBelow {
    /// Its hash in header byte order.
    #[serde(skip)]
    pub hash: [u8; 32],
    /// Height of the block to come; `None`: the coinbase does not tell.
    pub height: Option<u32>,
    /// Version of the block to come.
    pub version: u32,
    /// Difficulty of the network.
    pub difficulty: f64,
    /// When the first job on it came.
    #[serde(skip)]
    pub since: Instant,
}

impl PoolRecord {
    /// Takes a look at the pool's current job; one seen before changes nothing.
    pub fn see_job(&mut self, job: &Job) {
        if self.latest.replace(job.sequence) == Some(job.sequence) {
            return;
        }
        let difficulty = job.share_target.difficulty();
        self.difficulties = Some(match self.difficulties {
            None => Difficulties::of_first(difficulty),
            Some(known) => known.with(difficulty),
        });
        let known = self
            .block
            .as_ref()
            .filter(|block| block.hash == job.previous_hash);
        self.blocks += u64::from(known.is_none());
        self.block = Some(BlockBelow {
            hash: job.previous_hash,
            height: block_height(&job.coinbase_prefix),
            version: job.version,
            difficulty: job.network_target.difficulty(),
            since: known.map_or(job.received_at, |block| block.since),
        });
    }

    /// Takes a share that was found for the pool.
    pub fn see_share(&mut self, share: &Share) {
        let difficulty = hash_difficulty(&share.hash);
        let best = self.best_difficulty.unwrap_or(0.0);
        self.best_difficulty = Some(best.max(difficulty));
    }
}

impl Difficulties {
    fn of_first(difficulty: f64) -> Self {
        Self {
            least: difficulty,
            least_jobs: 1,
            most: difficulty,
            most_jobs: 1,
        }
    }

    #[expect(clippy::float_cmp, reason = "the same target gives the same number")]
    fn with(self, difficulty: f64) -> Self {
        let mut next = self;
        if difficulty < self.least {
            (next.least, next.least_jobs) = (difficulty, 1);
        } else if difficulty == self.least {
            next.least_jobs += 1;
        }
        if difficulty > self.most {
            (next.most, next.most_jobs) = (difficulty, 1);
        } else if difficulty == self.most {
            next.most_jobs += 1;
        }
        next
    }
}

/// Height of the block that a coinbase is for, which stands at the begin of its input's script (BIP 34). `None` when the
/// front part of the coinbase does not reach so far, or is no such coinbase.
pub fn block_height(coinbase: &[u8]) -> Option<u32> {
    let behind_version = coinbase.get(4..)?;
    // Marker and flag of a coinbase with its witness.
    let inputs = behind_version
        .strip_prefix(&[0, 1])
        .unwrap_or(behind_version);
    let (outpoint, script) = match inputs {
        [1, rest @ ..] => rest.split_at_checked(36)?,
        _ => return None,
    };
    let of_nothing = outpoint.get(..32)?.iter().all(|byte| *byte == 0)
        && outpoint.get(32..)?.iter().all(|byte| *byte == 0xff);
    // The script's own length is at most 100 and stands in front.
    let [_, push, rest @ ..] = script else {
        return None;
    };
    match push {
        _ if !of_nothing => None,
        0x51..=0x60 => Some(u32::from(push - 0x50)),
        1..=4 => {
            let number = rest.get(..usize::from(*push))?;
            let mut bytes = [0; 4];
            for (place, byte) in bytes.iter_mut().zip(number) {
                *place = *byte;
            }
            // The highest bit of the last byte is a sign, and no height is below zero.
            let negative = number.last().is_some_and(|last| last & 0x80 != 0);
            (!negative).then_some(u32::from_le_bytes(bytes))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::{ChainIndex, CountedBy, Difficulty, Extranonce2, JobId, SessionId, Target};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn coinbase(script: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 0, 1];
        bytes.extend([0; 32]);
        bytes.extend([0xff; 4]);
        bytes.extend(script);
        bytes
    }

    fn job(sequence: u64, block: u8, difficulty: f64) -> Job {
        Job {
            session: SessionId(1),
            sequence,
            id: JobId("1".into()),
            version: 0x2000_0000,
            version_mask: 0,
            previous_hash: [block; 32],
            roots: crate::work::MerkleRoots::Coinbase,
            coinbase_prefix: coinbase(&[4, 3, 0x40, 0x0d, 0x03]).into(),
            extranonce2_size: 4,
            coinbase_suffix: Box::default(),
            merkle_branches: Box::default(),
            nbits: 0x1d00_ffff,
            ntime: 0,
            ntime_roll_limit: 0,
            clean: true,
            share_target: Target::from_difficulty(Difficulty::new(difficulty).unwrap()),
            network_target: Target::DIFFICULTY_ONE,
            received_at: Instant::now(),
            counted: CountedBy::default(),
        }
    }

    #[test]
    fn a_height_is_read_from_every_coinbase_that_tells_it() {
        for (script, height) in [
            (&[4, 3, 0x40, 0x0d, 0x03][..], Some(200_000)),
            (&[2, 1, 114], Some(114)),
            (&[1, 0x51], Some(1)),
            (&[1, 0x60], Some(16)),
            (&[5, 4, 0, 0, 0, 1], Some(16_777_216)),
            (&[2, 1, 0x81], None),
            (&[3, 3, 1, 2], None),
            (&[9, 9, 1, 2, 3, 4, 5, 6, 7, 8], None),
            (&[0], None),
        ] {
            assert_eq!(block_height(&coinbase(script)), height, "{script:?}");
        }
        let mut with_witness = coinbase(&[2, 1, 114]);
        with_witness.splice(4..4, [0, 1]);
        assert_eq!(block_height(&with_witness), Some(114));
        let mut of_something = coinbase(&[2, 1, 114]);
        of_something[9] = 1;
        assert_eq!(block_height(&of_something), None);
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_are_counted_once_and_blocks_when_they_change() {
        let mut record = PoolRecord::default();
        let first = Instant::now();
        for (sequence, block, difficulty) in [
            (1, 7, 8.0),
            (1, 7, 8.0),
            (2, 7, 2.0),
            (3, 7, 2.0),
            (4, 9, 8.0),
        ] {
            record.see_job(&job(sequence, block, difficulty));
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
            if sequence == 3 {
                assert_eq!(record.block.as_ref().unwrap().since, first);
            }
        }
        let Difficulties {
            least_jobs,
            most_jobs,
            ..
        } = record.difficulties.unwrap();
        assert_eq!((record.blocks, least_jobs, most_jobs), (2, 2, 2));
        assert_eq!(record.block.unwrap().height, Some(200_000));
    }

    #[tokio::test(start_paused = true)]
    async fn the_best_share_is_the_hardest_hash() {
        let mut record = PoolRecord::default();
        for zeros in [4, 5, 3] {
            let mut hash = [0xff; 32];
            hash[32 - zeros..].fill(0);
            record.see_share(&Share {
                job: Arc::new(job(1, 7, 1.0)),
                extranonce2: Extranonce2 { value: 0, size: 4 },
                ntime: 0,
                nonce: 0,
                version_bits: 0,
                hash,
                is_block: false,
                chain: ChainIndex(0),
                found_at: Instant::now(),
            });
        }
        let best = record.best_difficulty.unwrap();
        assert!((250.0..260.0).contains(&best), "{best}");
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_height_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..80), script in proptest::collection::vec(any::<u8>(), 0..8)) {
            let _ = block_height(&bytes);
            let height = block_height(&coinbase(&script));
            prop_assert!(height.is_none_or(|height| height < 1 << 31));
        }
    }
}
