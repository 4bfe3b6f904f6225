//! A chain's supply of merkle roots, each from an extranonce2 of its own part.

use super::coinbase::{CoinbaseTemplate, LANES};
use super::job::{Job, MerkleRoots};
use super::partition::Extranonce2Partition;
use super::share::Extranonce2;

/// A merkle root and the extranonce2 it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root {
    pub(super) extranonce2: Extranonce2,
    /// Header byte order.
    pub(super) merkle_root: [u8; 32],
}

/// Makes roots in turn, on demand or two ahead.
#[derive(Debug)]
pub(super) struct Roots {
    partition: Extranonce2Partition,
    coinbase: CoinbaseTemplate,
    /// Next value of the part. Runs on from job to job, so that a job sent again is not searched
    /// again.
    cursor: u64,
    prepared: heapless::Deque<Root, LANES>,
}

impl Roots {
    pub(super) fn new(partition: Extranonce2Partition) -> Self {
        Self {
            partition,
            coinbase: CoinbaseTemplate::default(),
            cursor: 0,
            prepared: heapless::Deque::new(),
        }
    }

    pub(super) fn partition(&self) -> Extranonce2Partition {
        self.partition
    }

    pub(super) fn set_job(&mut self, job: &Job) {
        if job.roots == MerkleRoots::Coinbase {
            self.coinbase.set_job(job);
        }
        self.prepared.clear();
    }

    /// How many the job has for this part.
    pub(super) fn count(&self, job: &Job) -> u64 {
        match job.roots {
            MerkleRoots::Coinbase => self.partition.count(job.extranonce2_size),
            MerkleRoots::Fixed(_) => 1,
            MerkleRoots::EachChain(_) => 0,
        }
    }

    /// Next root of the job; after the last one of the part the first again. `None` if the part is
    /// empty.
    pub(super) fn take(&mut self, job: &Job) -> Option<Root> {
        match job.roots {
            MerkleRoots::Coinbase => {}
            MerkleRoots::Fixed(merkle_root) => {
                return Some(Root {
                    extranonce2: Extranonce2 { value: 0, size: 0 },
                    merkle_root,
                });
            }
            MerkleRoots::EachChain(_) => return None,
        }
        if let Some(root) = self.prepared.pop_front() {
            return Some(root);
        }
        let [root] = self.compute(job)?;
        Some(root)
    }

    /// Hashes roots ahead, two side by side, no more than `wanted`, unless some are ready; says
    /// whether it did.
    pub(super) fn prepare(&mut self, job: &Job, wanted: u64) -> bool {
        match wanted {
            _ if !self.prepared.is_empty() || job.roots != MerkleRoots::Coinbase => false,
            0 => false,
            1 => self.compute::<1>(job).is_some_and(|roots| self.keep(roots)),
            _ => self.compute::<2>(job).is_some_and(|roots| self.keep(roots)),
        }
    }

    fn keep(&mut self, roots: impl IntoIterator<Item = Root>) -> bool {
        roots
            .into_iter()
            .all(|root| self.prepared.push_back(root).is_ok())
    }

    fn compute<const N: usize>(&mut self, job: &Job) -> Option<[Root; N]> {
        let size = job.extranonce2_size;
        let mut extranonces = [Extranonce2 { value: 0, size }; N];
        for extranonce2 in &mut extranonces {
            *extranonce2 = if let Some(next) = self.partition.value(self.cursor, size) {
                next
            } else {
                self.cursor = self.cursor.checked_rem(self.partition.count(size))?;
                self.partition.value(self.cursor, size)?
            };
            self.cursor += 1;
        }
        let mut roots = extranonces.map(|extranonce2| Root {
            extranonce2,
            merkle_root: [0; 32],
        });
        let merkle_roots = self
            .coinbase
            .merkle_roots(&job.merkle_branches, &extranonces);
        for (root, merkle_root) in roots.iter_mut().zip(merkle_roots) {
            root.merkle_root = merkle_root;
        }
        Some(roots)
    }
}
