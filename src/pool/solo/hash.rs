//! Double SHA-256 over anything, for the few hashes a template needs; the fast ones are in `work`.

use sha2::{Digest, Sha256};

/// SHA-256 of the SHA-256 of `bytes`.
pub(super) fn double_sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(bytes)).into()
}

/// Double SHA-256 of two hashes one after the other: a node of a merkle tree.
pub(super) fn merkle_pair(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    double_sha256(&both)
}

/// Path of the first leaf of a merkle tree whose other leaves are `others`: its sibling on each level, nearest first. A
/// level of odd length counts its last node twice.
pub(super) fn branches_of_first(others: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let mut branches = Vec::new();
    let mut level = others.to_vec();
    while let Some((sibling, rest)) = level.split_first() {
        branches.push(*sibling);
        level = rest
            .chunks(2)
            .filter_map(|pair| Some(merkle_pair(pair.first()?, pair.last()?)))
            .collect();
    }
    branches
}

/// Root above `leaf` along its path.
pub(super) fn root_of(leaf: [u8; 32], branches: &[[u8; 32]]) -> [u8; 32] {
    branches
        .iter()
        .fold(leaf, |node, branch| merkle_pair(&node, branch))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole tree, level by level, as `ComputeMerkleRoot` of Bitcoin Core describes it.
    fn root_of_all(mut level: Vec<[u8; 32]>) -> [u8; 32] {
        while level.len() > 1 {
            if level.len() % 2 == 1 {
                level.push(level[level.len() - 1]);
            }
            level = level
                .chunks(2)
                .map(|pair| merkle_pair(&pair[0], &pair[1]))
                .collect();
        }
        level[0]
    }

    #[test]
    fn a_path_leads_to_the_root_of_the_whole_tree_whatever_its_size() {
        for count in 1..=70_u8 {
            let leaves: Vec<[u8; 32]> = (0..count).map(|index| [index; 32]).collect();
            let path = branches_of_first(&leaves[1..]);
            assert_eq!(
                root_of(leaves[0], &path),
                root_of_all(leaves),
                "{count} leaves"
            );
        }
    }
}
