//! The demo pool's own arithmetic, from a share's fields to its hash: plain, and on purpose without the miner's code.

use sha2::{Digest, Sha256};

/// A number of 256 bits, most significant byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(pub [u8; 32]);

/// SHA-256 of SHA-256.
pub(super) fn sha256d(bytes: &[u8]) -> [u8; 32] {
    let first = Sha256::digest(bytes);
    let second = Sha256::digest(first);
    second.into()
}

/// What a share adds to a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    pub coinbase1: &'a [u8],
    pub extranonce1: &'a [u8],
    pub extranonce2: &'a [u8],
    pub coinbase2: &'a [u8],
    pub branches: &'a [[u8; 32]],
    pub version: u32,
    pub previous: &'a [u8; 32],
    pub ntime: u32,
    pub nbits: u32,
    pub nonce: u32,
}

/// The hash of the header that the fields make, in header byte order.
pub(super) fn header_hash(fields: &Fields<'_>) -> [u8; 32] {
    let mut coinbase = Sha256::new();
    for piece in [
        fields.coinbase1,
        fields.extranonce1,
        fields.extranonce2,
        fields.coinbase2,
    ] {
        coinbase.update(piece);
    }
    let mut root: [u8; 32] = Sha256::digest(coinbase.finalize()).into();
    for branch in fields.branches {
        root = sha256d(&[root, *branch].concat());
    }
    let mut header = Vec::with_capacity(80);
    header.extend(fields.version.to_le_bytes());
    header.extend(fields.previous);
    header.extend(root);
    header.extend(fields.ntime.to_le_bytes());
    header.extend(fields.nbits.to_le_bytes());
    header.extend(fields.nonce.to_le_bytes());
    sha256d(&header)
}

/// A hash in header byte order as a number.
pub(super) fn number(hash: &[u8; 32]) -> Number {
    let mut bytes = *hash;
    bytes.reverse();
    Number(bytes)
}

/// Greatest hash that a difficulty allows: 0xFFFF * 2^208 over it, to the 53 bits that a difficulty has.
pub(super) fn target(difficulty: f64) -> Number {
    let mut bytes = [0_u8; 32];
    let quotient = 65_535.0 / difficulty;
    if !quotient.is_finite() {
        return Number([0xff; 32]);
    }
    // Digits of the quotient in base 256, the one with weight 2^208 at index 5.
    let mut rest = quotient;
    for (weight, byte) in (0..32).map(|index| 256_f64.powi(5 - index)).zip(&mut bytes) {
        let digit = (rest / weight).floor();
        if digit > 255.0 {
            return Number([0xff; 32]);
        }
        *byte = digit as u8;
        rest -= digit * weight;
    }
    Number(bytes)
}

/// A target in the header's compact form, rounded down as that form demands.
pub(super) fn compact(target: Number) -> u32 {
    let start = target.0.iter().position(|byte| *byte != 0).unwrap_or(31);
    // A set top bit would be a sign: then a zero goes in front.
    let negative = target.0.get(start).is_some_and(|byte| *byte >= 0x80);
    let size = 32 - start + usize::from(negative);
    let mantissa = (0..3_usize).fold(0_u32, |mantissa, index| {
        let at = (start + index).checked_sub(usize::from(negative));
        let byte = at.filter(|at| *at >= start).and_then(|at| target.0.get(at));
        mantissa << 8 | u32::from(byte.copied().unwrap_or(0))
    });
    (size as u32) << 24 | mantissa
}

/// The target that a compact form stands for; it must have three bytes of mantissa.
pub(super) fn expanded(nbits: u32) -> Number {
    let mut bytes = [0; 32];
    let end = (nbits >> 24) as usize;
    for (index, byte) in nbits.to_be_bytes().into_iter().skip(1).enumerate() {
        let place = (32 + index)
            .checked_sub(end)
            .and_then(|at| bytes.get_mut(at));
        if let Some(place) = place {
            *place = byte;
        }
    }
    Number(bytes)
}

/// How many times harder than difficulty one a target is.
pub(super) fn difficulty(target: Number) -> f64 {
    let value = target
        .0
        .iter()
        .fold(0.0, |value, byte| value * 256.0 + f64::from(*byte));
    65_535.0 * 2_f64.powi(208) / value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_genesis_block_has_its_hash() {
        // Bitcoin's block 0: a coinbase and no branches, cut where an extranonce2 could stand.
        let coinbase = bitcoin::constants::genesis_block(bitcoin::Network::Bitcoin)
            .txdata
            .remove(0);
        let coinbase = bitcoin::consensus::serialize(&coinbase);
        let (first, rest) = coinbase.split_at(50);
        let (middle, last) = rest.split_at(8);
        let hash = header_hash(&Fields {
            coinbase1: first,
            extranonce1: &middle[..3],
            extranonce2: &middle[3..],
            coinbase2: last,
            branches: &[],
            version: 1,
            previous: &[0; 32],
            ntime: 1_231_006_505,
            nbits: 0x1d00_ffff,
            nonce: 2_083_236_893,
        });
        let number = number(&hash);
        let text = bitcoin::hex::DisplayHex::to_lower_hex_string(&number.0[..]);
        assert_eq!(
            text,
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
        );
        assert!(number <= target(1.0));
        assert!(number <= expanded(0x1d00_ffff));
        assert!(number > target(3000.0));
    }

    #[test]
    fn targets_and_their_compact_form_are_those_of_another_library() {
        for shift in -200..200 {
            for factor in [1.0, 1.1, 0.7, 3.0] {
                let difficulty = factor * 2_f64.powi(shift / 8);
                let target = target(difficulty);
                let theirs = bitcoin::Target::from_be_bytes(target.0);
                let nbits = compact(target);
                assert_eq!(
                    nbits,
                    theirs.to_compact_lossy().to_consensus(),
                    "{difficulty}"
                );
                let expanded = expanded(nbits);
                assert_eq!(
                    expanded.0,
                    bitcoin::Target::from_compact(bitcoin::CompactTarget::from_consensus(nbits))
                        .to_be_bytes()
                );
                assert!(
                    (super::difficulty(target) / difficulty - 1.0).abs() < 1e-12,
                    "{difficulty}"
                );
            }
        }
        assert_eq!(target(1.0).0[..8], [0, 0, 0, 0, 0xff, 0xff, 0, 0]);
        assert_eq!(target(1e-30), Number([0xff; 32]));
    }
}
