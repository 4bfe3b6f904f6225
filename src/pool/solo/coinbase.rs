//! The transaction that pays for a block.

use super::template::BlockTemplate;

/// Bytes of a session's own number in the coinbase: machines that share a node and an address search apart.
pub const EXTRANONCE1_SIZE: usize = 4;
/// Bytes of extranonce2.
pub const EXTRANONCE2_SIZE: u8 = 8;
/// Longest text an owner may put into the coinbase: height, aux, extranonces and it share 100 bytes.
pub const LONGEST_TAG: usize = 40;

/// A coinbase cut at its extranonce2, as it is hashed: without witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoinbaseParts {
    /// Up to extranonce2.
    pub prefix: Box<[u8]>,
    /// Behind it.
    pub suffix: Box<[u8]>,
}

/// Makes the coinbase of a template.
///
/// Its script holds the height (BIP 34), what the node wants in it, the owner's tag and one push of both extranonces.
/// Lock time and sequence make it a different transaction at each height, as BIP 54 asks.
pub fn coinbase_parts(
    template: &BlockTemplate,
    payout_script: &[u8],
    tag: &str,
    extranonce1: [u8; EXTRANONCE1_SIZE],
) -> CoinbaseParts {
    let pushed = EXTRANONCE1_SIZE as u8 + EXTRANONCE2_SIZE;
    let tag = tag.as_bytes();
    let tag = tag.get(..LONGEST_TAG).unwrap_or(tag);
    let mut script = height_push(template.height);
    script.extend_from_slice(&template.coinbase_aux);
    push_bytes(&mut script, tag);
    script.push(pushed);
    script.extend_from_slice(&extranonce1);

    let mut prefix = 2_u32.to_le_bytes().to_vec();
    prefix.push(1);
    prefix.extend_from_slice(&[0; 32]);
    prefix.extend_from_slice(&[0xff; 4]);
    prefix.push(script.len() as u8 + EXTRANONCE2_SIZE);
    prefix.extend_from_slice(&script);

    let mut suffix = 0xffff_fffe_u32.to_le_bytes().to_vec();
    suffix.push(1 + u8::from(template.witness_commitment.is_some()));
    push_output(&mut suffix, template.coinbase_value, payout_script);
    if let Some(commitment) = &template.witness_commitment {
        push_output(&mut suffix, 0, commitment);
    }
    suffix.extend_from_slice(&template.height.saturating_sub(1).to_le_bytes());
    CoinbaseParts {
        prefix: prefix.into(),
        suffix: suffix.into(),
    }
}

/// A coinbase as a block carries it: with the reserved value as its witness (BIP 141).
pub(super) fn with_witness(coinbase: &[u8]) -> Vec<u8> {
    const MARKER_AND_FLAG: [u8; 2] = [0x00, 0x01];
    /// One item of 32 bytes.
    const WITNESS: [u8; 2] = [0x01, 0x20];
    let (version, rest) = coinbase.split_at_checked(4).unwrap_or((coinbase, &[]));
    let (body, lock_time) = rest.split_at(rest.len().saturating_sub(4));
    [
        version,
        &MARKER_AND_FLAG,
        body,
        &WITNESS,
        &[0; 32],
        lock_time,
    ]
    .concat()
}

/// The height as script pushes it, in its shortest form: consensus compares it byte for byte.
fn height_push(height: u32) -> Vec<u8> {
    const OP_1: u8 = 0x51;
    if (1..=16).contains(&height) {
        return vec![OP_1 + height as u8 - 1];
    }
    // Little-endian with a sign bit on top, so a set top bit needs one byte more.
    let bytes = (32 - height.leading_zeros()) / 8 + 1;
    let number = u64::from(height).to_le_bytes();
    let mut push = vec![bytes as u8];
    push.extend(number.iter().take(bytes as usize));
    push
}

fn push_bytes(script: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_empty() {
        script.push(bytes.len() as u8);
        script.extend_from_slice(bytes);
    }
}

fn push_output(transaction: &mut Vec<u8>, value: u64, script: &[u8]) {
    transaction.extend_from_slice(&value.to_le_bytes());
    transaction.push(script.len() as u8);
    transaction.extend_from_slice(script);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heights_are_pushed_in_their_shortest_form() {
        for (height, push) in [
            (1, vec![0x51]),
            (16, vec![0x60]),
            (17, vec![1, 17]),
            (127, vec![1, 127]),
            (128, vec![2, 0x80, 0]),
            (255, vec![2, 0xff, 0]),
            (32_767, vec![2, 0xff, 0x7f]),
            (32_768, vec![3, 0, 0x80, 0]),
            (840_000, vec![3, 0x40, 0xd1, 0x0c]),
            (0x0080_0000, vec![4, 0, 0, 0x80, 0]),
        ] {
            assert_eq!(height_push(height), push, "{height}");
        }
    }

    proptest! {
        #[test]
        fn heights_are_pushed_as_another_library_pushes_them(height in 17_u32..500_000_000) {
            let theirs = bitcoin::script::Builder::new().push_int(i64::from(height)).into_script();
            prop_assert_eq!(height_push(height), theirs.to_bytes());
        }
    }
}
