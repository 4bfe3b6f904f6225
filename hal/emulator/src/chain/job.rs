//! Work as the chips take it from the wire.

use super::model::JobStyle;
use sha2::block_api::compress256;

/// SHA-256 before its first block.
const INITIAL: [u32; 8] = [
    0x6A09_E667,
    0xBB67_AE85,
    0x3C6E_F372,
    0xA54F_F53A,
    0x510E_527F,
    0x9B05_688C,
    0x1F83_D9AB,
    0x5BE0_CD19,
];

/// One job slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Job header byte as the host sent it.
    pub header: u8,
    /// Bytes 64 to 75 of the block header: end of the merkle root, time, bits.
    tail: [u8; 12],
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// The first 64 header bytes, with the version as the host sent it.
    Header(Box<[u8; 64]>),
    /// States after the first 64 bytes.
    Midstates(Vec<[u32; 8]>),
}

impl Job {
    /// Reads the payload of a job frame; none when its length fits no job.
    pub fn from_wire(style: JobStyle, payload: &[u8]) -> Option<Self> {
        match style {
            JobStyle::Header => Self::full_header(payload.try_into().ok()?),
            JobStyle::Midstates => Self::midstates(payload),
        }
    }

    /// Versions or midstates that this job offers, given the rolling mask of the chip.
    pub fn variants(&self, version_mask: u16) -> u32 {
        match &self.kind {
            Kind::Header(_) => 1 << version_mask.count_ones(),
            Kind::Midstates(states) => states.len() as u32,
        }
    }

    /// State after the first 64 bytes of the header with the rolled version, or the midstate of that index.
    pub fn midstate(&self, variant: u32, version_mask: u16) -> Option<[u32; 8]> {
        match &self.kind {
            Kind::Header(head) => {
                let mut head = **head;
                let rolled = rolled_bits(variant, version_mask);
                if let Some((version, _)) = head.split_first_chunk_mut::<4>() {
                    *version =
                        (u32::from_le_bytes(*version) | u32::from(rolled) << 13).to_le_bytes();
                }
                let mut state = INITIAL;
                compress256(&mut state, &[head]);
                Some(state)
            }
            Kind::Midstates(states) => states.get(variant as usize).copied(),
        }
    }

    /// The second block of the header with this nonce, padded.
    pub fn second_block(&self, nonce: [u8; 4]) -> [u8; 64] {
        let mut block = [0; 64];
        let fields = self.tail.iter().chain(&nonce).chain(&[0x80]);
        for (slot, byte) in block.iter_mut().zip(fields) {
            *slot = *byte;
        }
        if let Some(length) = block.last_chunk_mut::<8>() {
            *length = 640_u64.to_be_bytes();
        }
        block
    }

    fn full_header(payload: &[u8; 82]) -> Option<Self> {
        let (&[header, _, _, _, _, _], rest) = payload.split_first_chunk::<6>()?;
        let (bits, rest) = rest.split_first_chunk::<4>()?;
        let (time, rest) = rest.split_first_chunk::<4>()?;
        let (merkle_root, rest) = rest.split_first_chunk::<32>()?;
        let (previous, version) = rest.split_first_chunk::<32>()?;
        let merkle_root = words_reversed(merkle_root);
        let (merkle_head, merkle_tail) = merkle_root.split_at_checked(28)?;
        let head: Vec<u8> = [version, &words_reversed(previous)[..], merkle_head].concat();
        let tail: Vec<u8> = [merkle_tail, &time[..], &bits[..]].concat();
        Some(Self {
            header,
            tail: tail.try_into().ok()?,
            kind: Kind::Header(Box::new(head.try_into().ok()?)),
        })
    }

    fn midstates(payload: &[u8]) -> Option<Self> {
        let (&[header, count, _, _, _, _], rest) = payload.split_first_chunk::<6>()?;
        let (bits, rest) = rest.split_first_chunk::<4>()?;
        let (time, rest) = rest.split_first_chunk::<4>()?;
        let (merkle_tail, rest) = rest.split_at_checked(4)?;
        let states: Vec<[u32; 8]> = rest.chunks_exact(32).map(wire_midstate).collect();
        if states.len() != usize::from(count) || rest.len() % 32 != 0 || !(1..=4).contains(&count) {
            return None;
        }
        let tail: Vec<u8> = [merkle_tail, &time[..], &bits[..]].concat();
        Some(Self {
            header,
            tail: tail.try_into().ok()?,
            kind: Kind::Midstates(states),
        })
    }
}

/// The first 64 bits of the double SHA-256 of a header, in the order that hashes are written: where the zeros are.
pub fn second_hash_head(midstate: [u32; 8], second_block: [u8; 64]) -> u64 {
    let mut state = midstate;
    compress256(&mut state, &[second_block]);
    let mut block = [0; 64];
    for (slot, word) in block.chunks_exact_mut(4).zip(&state) {
        slot.copy_from_slice(&word.to_be_bytes());
    }
    if let Some(pad) = block.get_mut(32) {
        *pad = 0x80;
    }
    if let Some(length) = block.last_chunk_mut::<8>() {
        *length = 256_u64.to_be_bytes();
    }
    let mut state = INITIAL;
    compress256(&mut state, &[block]);
    let [.., sixth, last] = state;
    u64::from(last.swap_bytes()) << 32 | u64::from(sixth.swap_bytes())
}

/// The bits of a variant number, laid into the set bits of the mask from the lowest up.
pub fn rolled_bits(variant: u32, mask: u16) -> u16 {
    let mut left = mask;
    let mut rolled = 0;
    let mut variant = variant;
    while left != 0 && variant != 0 {
        let lowest = left & left.wrapping_neg();
        if variant & 1 == 1 {
            rolled |= lowest;
        }
        left &= left - 1;
        variant >>= 1;
    }
    rolled
}

fn words_reversed(wire: &[u8; 32]) -> [u8; 32] {
    let mut header = [0; 32];
    for (slot, word) in header.chunks_exact_mut(4).zip(wire.rchunks_exact(4)) {
        slot.copy_from_slice(word);
    }
    header
}

/// Words come from the last to the first, each most significant byte first.
fn wire_midstate(wire: &[u8]) -> [u32; 8] {
    let mut state = [0; 8];
    for (slot, word) in state.iter_mut().zip(wire.rchunks_exact(4)) {
        *slot = word
            .iter()
            .fold(0, |value, byte| value << 8 | u32::from(*byte));
    }
    state
}
