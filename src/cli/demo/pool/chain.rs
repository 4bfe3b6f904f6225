//! The demo chain: blocks that stand for nothing, and the jobs made of them.

use super::check::{Number, compact, expanded, number, sha256d, target};

/// What all clients work on, extranonce1 aside.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// Counts the templates.
    pub number: u64,
    /// Height of the block to be found.
    pub height: u32,
    /// Hash of the block before, in header byte order.
    pub previous: [u8; 32],
    /// Path of the coinbase.
    pub branches: Vec<[u8; 32]>,
    /// Block version.
    pub version: u32,
    /// Compact target of a block.
    pub nbits: u32,
    /// Block time.
    pub ntime: u32,
}

/// Bytes before the extranonces and behind them.
#[derive(Clone, Debug)]
pub(super) struct Coinbase {
    pub first: Vec<u8>,
    pub last: Vec<u8>,
}

/// Heights start here, so that nobody takes one for a real one of today.
const FIRST_HEIGHT: u32 = 1_000_000_000;
/// Most branches; a real block of 4000 transactions has 12.
const MOST_BRANCHES: u64 = 13;
const VERSION: u32 = 0x2000_0000;

impl Template {
    /// The first template of a chain whose blocks are as hard as `network_difficulty`.
    pub fn first(network_difficulty: f64, ntime: u32) -> Self {
        let mut template = Self {
            number: 1,
            height: FIRST_HEIGHT,
            previous: sha256d(b"CGMiner-RS demo chain"),
            branches: Vec::new(),
            version: VERSION,
            nbits: compact(target(network_difficulty)),
            ntime,
        };
        template.branches = template.new_branches();
        template
    }

    /// New transactions on the same block.
    pub fn refresh(&mut self, ntime: u32) {
        self.number += 1;
        self.ntime = ntime;
        self.branches = self.new_branches();
    }

    /// A block was found, by us or by nobody: the next height.
    pub fn advance(&mut self, found: [u8; 32], ntime: u32) {
        self.refresh(ntime);
        self.height += 1;
        self.previous = found;
    }

    /// A hash for a block that somebody else is said to have found.
    pub fn block_of_nobody(&self) -> [u8; 32] {
        sha256d(&[self.previous, sha256d(&self.number.to_le_bytes())].concat())
    }

    /// Target of a block.
    pub fn network_target(&self) -> Number {
        expanded(self.nbits)
    }

    /// Whether a hash is a block.
    pub fn is_block(&self, hash: &[u8; 32]) -> bool {
        number(hash) <= self.network_target()
    }

    /// A coinbase of real shape that pays nothing: one output, of no value, that nobody can spend.
    pub fn coinbase(&self, extranonce_bytes: usize) -> Coinbase {
        const TEXT: &[u8] = b"demo chain of CGMiner-RS, worth nothing";
        let mut script = vec![4];
        script.extend(self.height.to_le_bytes());
        script.push(extranonce_bytes as u8);
        let mut first = vec![1, 0, 0, 0, 1];
        first.extend([0; 32]);
        first.extend([0xff; 4]);
        first.push((script.len() + extranonce_bytes) as u8);
        first.extend(script);

        let mut last = vec![0xff; 4];
        last.push(1);
        last.extend([0; 8]);
        last.extend([TEXT.len() as u8 + 2, 0x6a, TEXT.len() as u8]);
        last.extend(TEXT);
        last.extend([0; 4]);
        Coinbase { first, last }
    }

    /// Hashes of transactions that do not exist, 0 to 13 of them.
    fn new_branches(&self) -> Vec<[u8; 32]> {
        let count = self.number % (MOST_BRANCHES + 1);
        (0..count)
            .map(|index| sha256d(&[self.number.to_le_bytes(), index.to_le_bytes()].concat()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coinbase_is_a_transaction_that_another_library_reads() {
        let coinbase = Template::first(1.0, 0).coinbase(12);
        let bytes = [coinbase.first.as_slice(), &[0xab; 12], &coinbase.last].concat();
        let transaction: bitcoin::Transaction = bitcoin::consensus::deserialize(&bytes).unwrap();
        assert!(transaction.is_coinbase());
        assert!(
            transaction.input[0]
                .script_sig
                .as_bytes()
                .ends_with(&[0xab; 12])
        );
        assert!(transaction.output[0].script_pubkey.is_op_return());
    }

    #[test]
    fn blocks_follow_each_other_and_refreshes_stay_on_theirs() {
        let mut template = Template::first(1.0, 5);
        let first = template.clone();
        template.refresh(6);
        assert_eq!(
            (template.previous, template.height),
            (first.previous, first.height)
        );
        assert_ne!(template.branches, first.branches);
        template.advance([7; 32], 8);
        assert_eq!(
            (template.previous, template.height),
            ([7; 32], first.height + 1)
        );
    }
}
