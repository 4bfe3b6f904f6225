//! From a share that meets the network target to the block that is sent to the node.

use super::coinbase::with_witness;
use super::hash::{double_sha256, root_of};
use super::template::BlockTemplate;
use crate::work::{ChainIndex, Extranonce2, Job, Share, hex};
use std::sync::Arc;

/// A block made of a template and a job on it. Its transactions are not copied before they are sent.
#[derive(Clone, Debug)]
pub struct Block {
    /// Template it is made of.
    pub template: Arc<BlockTemplate>,
    /// Header.
    pub header: [u8; 80],
    /// Coinbase without witness.
    pub coinbase: Box<[u8]>,
    /// Difficulty that it counts with as a share of its job.
    pub share_difficulty: f64,
    /// Chain that found it.
    pub chain: ChainIndex,
}

/// What of a header was searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// In the coinbase.
    pub extranonce2: Extranonce2,
    /// Block time.
    pub ntime: u32,
    /// Nonce.
    pub nonce: u32,
    /// Rolled version bits alone.
    pub version_bits: u32,
    /// Chain that found it.
    pub chain: ChainIndex,
}

impl From<&Share> for Found {
    fn from(share: &Share) -> Self {
        Self {
            extranonce2: share.extranonce2,
            ntime: share.ntime,
            nonce: share.nonce,
            version_bits: share.version_bits,
            chain: share.chain,
        }
    }
}

impl Block {
    /// Puts the block together; `job` must have been made of `template`.
    pub fn assemble(template: Arc<BlockTemplate>, job: &Job, found: Found) -> Self {
        let extranonce2: Vec<u8> = found.extranonce2.bytes().collect();
        let coinbase = [
            &job.coinbase_prefix,
            extranonce2.as_slice(),
            &job.coinbase_suffix,
        ]
        .concat();
        let merkle_root = root_of(double_sha256(&coinbase), &job.merkle_branches);
        let version = job.version & !job.version_mask | found.version_bits & job.version_mask;

        let mut header = [0; 80];
        let fields = version
            .to_le_bytes()
            .into_iter()
            .chain(job.previous_hash)
            .chain(merkle_root)
            .chain(found.ntime.to_le_bytes())
            .chain(job.nbits.to_le_bytes())
            .chain(found.nonce.to_le_bytes());
        for (place, byte) in header.iter_mut().zip(fields) {
            *place = byte;
        }
        Self {
            template,
            header,
            chain: found.chain,
            coinbase: coinbase.into(),
            share_difficulty: job.share_target.difficulty(),
        }
    }

    /// Its hash in header byte order.
    pub fn hash(&self) -> [u8; 32] {
        double_sha256(&self.header)
    }

    /// All of it in hex, as `submitblock` takes it.
    pub fn to_hex(&self) -> String {
        let coinbase = if self.template.witness_commitment.is_some() {
            with_witness(&self.coinbase)
        } else {
            self.coinbase.to_vec()
        };
        let transactions = &self.template.transactions;
        let count = compact_size(transactions.len() as u64 + 1);
        let head = [self.header.as_slice(), &count, &coinbase];
        let pieces = || {
            head.into_iter()
                .chain(transactions.iter().map(|bytes| &**bytes))
        };
        let length: usize = pieces().map(<[u8]>::len).sum();
        let mut text = String::with_capacity(2 * length);
        pieces().for_each(|piece| hex::push(&mut text, piece));
        text
    }
}

/// A hash in header byte order as people and nodes write it.
pub fn displayed(hash: &[u8; 32]) -> String {
    let mut reversed = *hash;
    reversed.reverse();
    hex::encode(&reversed)
}

/// Bitcoin's number of variable length.
fn compact_size(number: u64) -> Vec<u8> {
    match number {
        0..0xfd => vec![number as u8],
        0xfd..=0xffff => [&[0xfd], (number as u16).to_le_bytes().as_slice()].concat(),
        0x1_0000..=0xffff_ffff => [&[0xfe], (number as u32).to_le_bytes().as_slice()].concat(),
        _ => [&[0xff], number.to_le_bytes().as_slice()].concat(),
    }
}

#[cfg(test)]
mod tests {
    //! Blocks are checked by the `bitcoin` crate, which shares no code with this one.

    use super::*;
    use crate::pool::solo::address::{Network, payout_script};
    use crate::pool::solo::jobs::JobMaker;
    use crate::pool::solo::rpc::RpcAuth;
    use crate::pool::solo::settings::SoloSettings;
    use crate::pool::url::Host;
    use crate::work::SessionId;
    use bitcoin::consensus::encode::deserialize_hex;
    use serde_json::Value;

    const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    const RECORDED: [&str; 3] = [
        include_str!("../../../tests/data/gbt/regtest-0-transactions.json"),
        include_str!("../../../tests/data/gbt/regtest-1-transaction.json"),
        include_str!("../../../tests/data/gbt/regtest-4-transactions.json"),
    ];

    fn maker(tag: &str) -> JobMaker {
        let auth = RpcAuth::Password {
            user: String::new(),
            password: String::new(),
        };
        let mut settings = SoloSettings::new(Host::parse("127.0.0.1").unwrap(), 1, auth, ADDRESS);
        tag.clone_into(&mut settings.coinbase_tag);
        JobMaker::new(&settings, payout_script(ADDRESS, Network::Regtest).unwrap())
    }

    fn mined(template: &Arc<BlockTemplate>, job: &Job, version_bits: u32) -> Block {
        (0..u32::MAX)
            .map(|nonce| {
                let found = Found {
                    extranonce2: Extranonce2 {
                        value: 0x0123_4567_89ab_cdef,
                        size: job.extranonce2_size,
                    },
                    ntime: job.ntime + 7,
                    nonce,
                    version_bits,
                    chain: ChainIndex(0),
                };
                Block::assemble(Arc::clone(template), job, found)
            })
            .find(|block| template.target.is_met_by(&block.hash()))
            .unwrap()
    }

    fn check(template: &Arc<BlockTemplate>, version_bits: u32, tag: &str) -> bitcoin::Block {
        let job = maker(tag).job(template, SessionId(1), 1, true);
        let block = mined(template, &job, version_bits);
        let theirs: bitcoin::Block = deserialize_hex(&block.to_hex()).unwrap();
        assert!(theirs.check_merkle_root());
        assert!(theirs.check_witness_commitment());
        assert_eq!(theirs.bip34_block_height(), Ok(u64::from(template.height)));
        assert_eq!(theirs.block_hash().to_string(), displayed(&block.hash()));
        let target = bitcoin::CompactTarget::from_consensus(template.nbits).into();
        assert!(theirs.header.validate_pow(target).is_ok());
        assert_eq!(theirs.txdata.len(), template.transactions.len() + 1);

        let coinbase = &theirs.txdata[0];
        assert!(coinbase.is_coinbase());
        assert!((2..=100).contains(&coinbase.input[0].script_sig.len()));
        let paid = &coinbase.output[0];
        assert_eq!(paid.value.to_sat(), template.coinbase_value);
        let owner: bitcoin::Address<_> = ADDRESS.parse().unwrap();
        assert_eq!(paid.script_pubkey, owner.assume_checked().script_pubkey());
        assert!(coinbase.is_absolute_timelock_satisfied(
            bitcoin::absolute::Height::from_consensus(template.height).unwrap(),
            bitcoin::absolute::Time::MIN,
        ));
        theirs
    }

    #[test]
    fn blocks_of_recorded_templates_are_whole_and_pay_the_owner() {
        for text in RECORDED {
            let template = Arc::new(BlockTemplate::parse(text.as_bytes()).unwrap());
            let wire: Value = serde_json::from_str(text).unwrap();
            let block = check(&template, 0, "CGMiner-RS");
            assert_eq!(
                block.header.prev_blockhash.to_string(),
                wire["previousblockhash"]
            );
            for (ours, theirs) in block.txdata[1..]
                .iter()
                .zip(wire["transactions"].as_array().unwrap())
            {
                assert_eq!(ours.compute_txid().to_string(), theirs["txid"]);
                assert_eq!(ours.compute_wtxid().to_string(), theirs["hash"]);
            }
            let script = block.txdata[0].input[0].script_sig.as_bytes();
            assert!(script.ends_with(&0x0123_4567_89ab_cdef_u64.to_be_bytes()));
            assert!(script.windows(10).any(|window| window == b"CGMiner-RS"));
        }
    }

    #[test]
    fn rolled_version_bits_reach_the_header_and_no_others_do() {
        let template = Arc::new(BlockTemplate::parse(RECORDED[1].as_bytes()).unwrap());
        let block = check(&template, 0xffff_ffff, "");
        assert_eq!(
            block.header.version.to_consensus() as u32,
            0x2000_0000 | 0x1fff_e000
        );
    }

    #[test]
    fn the_longest_coinbase_script_stays_within_consensus() {
        let mut wire: Value = serde_json::from_str(RECORDED[0]).unwrap();
        wire["coinbaseaux"] = serde_json::json!({"flags": "51".repeat(40)});
        wire["height"] = 499_999_999.into();
        let template = Arc::new(BlockTemplate::parse(wire.to_string().as_bytes()).unwrap());
        let block = check(&template, 0, &"\u{e4}".repeat(50));
        assert_eq!(block.txdata[0].input[0].script_sig.len(), 5 + 40 + 41 + 13);
    }

    #[test]
    fn before_segwit_the_coinbase_has_neither_commitment_nor_witness() {
        let mut wire: Value = serde_json::from_str(RECORDED[0]).unwrap();
        wire["rules"] = serde_json::json!([]);
        let members = wire.as_object_mut().unwrap();
        members.remove("default_witness_commitment");
        let template = Arc::new(BlockTemplate::parse(wire.to_string().as_bytes()).unwrap());
        let block = check(&template, 0, "");
        assert_eq!(block.txdata[0].output.len(), 1);
        assert!(block.txdata[0].input[0].witness.is_empty());
    }

    #[test]
    fn counts_are_written_in_bitcoins_variable_form() {
        for count in [0, 252, 253, 65_535, 65_536, u64::from(u32::MAX), 1 << 32] {
            let theirs = bitcoin::consensus::serialize(&bitcoin::VarInt(count));
            assert_eq!(compact_size(count), theirs);
        }
    }
}
