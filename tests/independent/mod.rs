//! Checks a share with the `bitcoin` crate alone: nothing here calls the hashing of
//! `cgminer_rs::work`.

use bitcoin::block::{Header, Version};
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{BlockHash, CompactTarget, TxMerkleNode};
use cgminer_rs::work::{MerkleRoots, Share, Target};

/// What a pool makes of a share from what the submit says.
pub struct PoolView {
    pub hash: BlockHash,
    pub meets_share_target: bool,
    pub is_block: bool,
}

/// Rebuilds the header from the job and the submit's five values, as a pool does.
pub fn pool_view(share: &Share) -> PoolView {
    let job = &share.job;
    let hex = format!("{:032x}", u128::from(share.extranonce2.value));
    let digits = 2 * usize::from(share.extranonce2.size);
    let extranonce2 = <Vec<u8> as bitcoin::hex::FromHex>::from_hex(&hex[32 - digits..]).unwrap();
    let coinbase = [&*job.coinbase_prefix, &extranonce2, &*job.coinbase_suffix].concat();
    let computed = job
        .merkle_branches
        .iter()
        .fold(sha256d::Hash::hash(&coinbase), |node, branch| {
            sha256d::Hash::hash(&[node.as_byte_array().as_slice(), branch].concat())
        });
    let root = match job.roots {
        MerkleRoots::Fixed(root) => root,
        _ => computed.to_byte_array(),
    };
    let version = (job.version & !job.version_mask) | (share.version_bits & job.version_mask);
    let header = Header {
        version: Version::from_consensus(i32::from_ne_bytes(version.to_ne_bytes())),
        prev_blockhash: BlockHash::from_byte_array(job.previous_hash),
        merkle_root: TxMerkleNode::from_byte_array(root),
        time: share.ntime,
        bits: CompactTarget::from_consensus(job.nbits),
        nonce: share.nonce,
    };
    let hash = header.block_hash();
    let number = bitcoin::Target::from_le_bytes(hash.to_byte_array());
    let bytes = as_bytes(&job.share_target);
    PoolView {
        hash,
        meets_share_target: number <= bitcoin::Target::from_be_bytes(bytes),
        is_block: header.target().is_met_by(hash),
    }
}

/// Panics unless a pool would take the share for what it says.
pub fn assert_pool_agrees(share: &Share) {
    let view = pool_view(share);
    assert_eq!(view.hash.to_byte_array(), share.hash, "{share:?}");
    assert!(view.meets_share_target, "{share:?}");
    assert_eq!(view.is_block, share.is_block, "{share:?}");
    assert_eq!(share.version_bits & !share.job.version_mask, 0, "{share:?}");
}

/// A target's bytes, most significant first.
pub fn as_bytes(target: &Target) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (out, limb) in bytes.chunks_mut(8).zip(target.0) {
        out.copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}
