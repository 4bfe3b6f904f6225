//! Targets and difficulties as exact integers.

use thiserror::Error;

/// An upper bound for a block hash: 256 bits, most significant limb first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target(pub [u64; 4]);

/// Compact bits (`nbits`) that stand for no target a block could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NbitsError {
    /// The sign bit is set on a mantissa that is not zero.
    #[error("nbits {0:08x} is a negative target: the pool's job is damaged")]
    Negative(u32),
    /// The target does not fit 256 bits.
    #[error("nbits {0:08x} is a target beyond 256 bits: the pool's job is damaged")]
    Overflow(u32),
    /// The target is zero, which no hash can meet.
    #[error("nbits {0:08x} is the target zero: the pool's job is damaged")]
    Zero(u32),
}

impl Target {
    /// Every hash meets it.
    pub const MAX: Self = Self([u64::MAX; 4]);
    /// The hardest target a difficulty is rounded to; no known hash comes near.
    pub const HARDEST: Self = Self([0, 0, 0, 1]);
    /// Target of difficulty one: 0xFFFF * 2^208.
    pub const DIFFICULTY_ONE: Self = Self([0x0000_0000_FFFF_0000, 0, 0, 0]);

    /// Largest target that is at least `difficulty` times harder than difficulty one: the floor of
    /// the exact quotient, kept within [`Target::HARDEST`] and [`Target::MAX`].
    pub fn from_difficulty(difficulty: Difficulty) -> Self {
        let (mantissa, exponent) = mantissa_and_exponent(difficulty.value());
        let Some(numerator) = difficulty_one_shifted(-exponent) else {
            return if exponent < 0 {
                Self::MAX
            } else {
                Self::HARDEST
            };
        };
        match divide(numerator, mantissa) {
            [0, 0, 0, 0, 0, 0] => Self::HARDEST,
            [0, 0, a, b, c, d] => Self([a, b, c, d]),
            _ => Self::MAX,
        }
    }

    /// Target of a header's compact bits, by the rules of consensus (Bitcoin Core
    /// `arith_uint256::SetCompact` and `CheckProofOfWork`).
    pub fn from_nbits(nbits: u32) -> Result<Self, NbitsError> {
        let size = nbits >> 24;
        let mantissa = (nbits & 0x007F_FFFF) >> (8 * 3_u32.saturating_sub(size));
        if mantissa == 0 {
            return Err(NbitsError::Zero(nbits));
        }
        if nbits & 0x0080_0000 != 0 {
            return Err(NbitsError::Negative(nbits));
        }
        let shift = 8 * size.saturating_sub(3);
        if shift + (u32::BITS - mantissa.leading_zeros()) > 256 {
            return Err(NbitsError::Overflow(nbits));
        }
        let low = Self([0, 0, 0, u64::from(mantissa)]);
        Ok(Self(shift_left(low.0, shift)))
    }

    /// Whether a hash, in header byte order, is at or below this target.
    pub fn is_met_by(&self, hash: &[u8; 32]) -> bool {
        self.is_met_by_number(&hash_number(hash))
    }

    /// The same for a hash already taken as a number, most significant limb first.
    pub(crate) fn is_met_by_number(&self, number: &[u64; 4]) -> bool {
        // Nearly every comparison is decided by the first limb.
        match number[0].cmp(&self.0[0]) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => number[1..] <= self.0[1..],
        }
    }

    /// How many times harder than difficulty one this target is. Infinite for the target zero.
    pub fn difficulty(&self) -> f64 {
        number_to_f64(&Self::DIFFICULTY_ONE.0) / number_to_f64(&self.0)
    }
}

/// A pool's difficulty, as it was sent. Always finite and greater than zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Difficulty(f64);

impl Difficulty {
    /// Difficulty one.
    pub const ONE: Self = Self(1.0);

    /// Takes a pool's number; `None` unless it is finite and greater than zero.
    pub fn new(value: f64) -> Option<Self> {
        (value.is_finite() && value > 0.0).then_some(Self(value))
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// Difficulty that a hash (header byte order) reaches. Infinite for the hash zero.
pub fn hash_difficulty(hash: &[u8; 32]) -> f64 {
    Target(hash_number(hash)).difficulty()
}

/// A hash in header byte order as the number that targets bound, most significant limb first.
pub(crate) fn hash_number(hash: &[u8; 32]) -> [u64; 4] {
    let mut number = [0; 4];
    for (limb, bytes) in number.iter_mut().rev().zip(hash.chunks_exact(8)) {
        *limb = bytes
            .iter()
            .rev()
            .fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    number
}

/// `value` as `mantissa * 2^exponent` with an odd mantissa.
fn mantissa_and_exponent(value: f64) -> (u64, i64) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let biased = i64::from((bits >> 52) as u16 & 0x7FF);
    let (mantissa, exponent) = if biased == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, biased - 1075)
    };
    let spare = mantissa.trailing_zeros();
    (mantissa >> spare, exponent + i64::from(spare))
}

/// The difficulty-1 target times `2^shift`, rounded down, in six limbs; `None` where even the
/// largest mantissa could not bring the quotient back into 256 bits, and where nothing is left of
/// it.
fn difficulty_one_shifted(shift: i64) -> Option<[u64; 6]> {
    // A mantissa has 53 bits at most and the difficulty-1 target 224: past 2^86 the quotient
    // overflows.
    const LARGEST_SHIFT: i64 = 96;
    let [a, b, c, d] = Target::DIFFICULTY_ONE.0;
    let bits = shift.unsigned_abs() as u32;
    match shift {
        0..=LARGEST_SHIFT => Some(shift_left([0, 0, a, b, c, d], bits)),
        -223..0 => Some(shift_right([0, 0, a, b, c, d], bits)),
        _ => None,
    }
}

/// Shifts a number up, limbs most significant first; what leaves the top is lost.
fn shift_left<const N: usize>(mut number: [u64; N], bits: u32) -> [u64; N] {
    number.reverse();
    let mut shifted = shift(number, bits, |limb, by| limb << by, |limb, by| limb >> by);
    shifted.reverse();
    shifted
}

/// Shifts a number down, limbs most significant first; what leaves the bottom is lost.
fn shift_right<const N: usize>(number: [u64; N], bits: u32) -> [u64; N] {
    shift(number, bits, |limb, by| limb >> by, |limb, by| limb << by)
}

/// Moves limbs towards the end of the array by `bits`, each taking `ahead` of the limb before it
/// along.
fn shift<const N: usize>(
    number: [u64; N],
    bits: u32,
    along: impl Fn(u64, u32) -> u64,
    carried: impl Fn(u64, u32) -> u64,
) -> [u64; N] {
    let (limbs, bits) = ((bits / 64) as usize, bits % 64);
    let mut shifted = [0; N];
    let mut before = 0;
    for (out, limb) in shifted.iter_mut().skip(limbs).zip(number) {
        let carry = if bits == 0 {
            0
        } else {
            carried(before, 64 - bits)
        };
        *out = along(limb, bits) | carry;
        before = limb;
    }
    shifted
}

/// Long division by one limb, rounded down.
fn divide<const N: usize>(numerator: [u64; N], divisor: u64) -> [u64; N] {
    let mut quotient = [0; N];
    let mut remainder = 0_u128;
    for (out, limb) in quotient.iter_mut().zip(numerator) {
        let part = remainder << 64 | u128::from(limb);
        *out = (part / u128::from(divisor)) as u64;
        remainder = part % u128::from(divisor);
    }
    quotient
}

/// Nearest double or its neighbour; a 256-bit number never overflows one.
fn number_to_f64(number: &[u64; 4]) -> f64 {
    number.iter().fold(0.0, |sum, limb| {
        sum.mul_add(18_446_744_073_709_551_616.0, *limb as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::hashes::Hash;
    use num_bigint::{BigInt, Sign};
    use num_rational::BigRational;
    use proptest::prelude::*;

    fn integer(target: Target) -> BigInt {
        let bytes = target.0.map(u64::to_be_bytes).concat();
        BigInt::from_bytes_be(Sign::Plus, &bytes)
    }

    /// The definition: difficulty-1 target divided by the difficulty, rounded down, kept in range.
    fn defined_target(difficulty: f64) -> BigInt {
        let difficulty = BigRational::from_float(difficulty).unwrap();
        let one = BigRational::from(BigInt::from(0xFFFF) << 208);
        let floor = (one / difficulty).floor().to_integer();
        floor.clamp(BigInt::from(1), integer(Target::MAX))
    }

    fn hash_of(number: [u64; 4]) -> [u8; 32] {
        let mut hash = [0; 32];
        for (out, limb) in hash.chunks_mut(8).zip(number.iter().rev()) {
            out.copy_from_slice(&limb.to_le_bytes());
        }
        hash
    }

    fn from_difficulty(value: f64) -> Target {
        Target::from_difficulty(Difficulty::new(value).unwrap())
    }

    proptest! {
        #[test]
        fn target_is_the_exact_floor_for_any_double(bits in 1..f64::INFINITY.to_bits()) {
            let difficulty = f64::from_bits(bits);
            prop_assert_eq!(integer(from_difficulty(difficulty)), defined_target(difficulty));
        }

        #[test]
        fn target_is_the_exact_floor_for_difficulties_of_pools(exponent in -45.0..60.0_f64) {
            let difficulty = exponent.exp2();
            prop_assert_eq!(integer(from_difficulty(difficulty)), defined_target(difficulty));
        }

        #[test]
        fn nbits_agree_with_the_bitcoin_crate(nbits: u32) {
            if let Ok(target) = Target::from_nbits(nbits) {
                let compact = bitcoin::CompactTarget::from_consensus(nbits);
                let theirs = bitcoin::Target::from_compact(compact);
                prop_assert_eq!(target.0.map(u64::to_be_bytes).concat(), theirs.to_be_bytes());
            }
        }

        #[test]
        fn nbits_are_refused_exactly_where_consensus_does(
            size in 0..=40_u32,
            mantissa in 0..=0x00FF_FFFF_u32,
        ) {
            let value = BigInt::from(mantissa & 0x007F_FFFF);
            let shift = 8 * (i64::from(size) - 3);
            let value = if shift < 0 { value >> -shift } else { value << shift };
            let nbits = size << 24 | mantissa;
            match Target::from_nbits(nbits) {
                Ok(target) => prop_assert_eq!(integer(target), value),
                Err(NbitsError::Zero(_)) => prop_assert_eq!(value, BigInt::ZERO),
                Err(NbitsError::Negative(_)) => prop_assert!(mantissa & 0x0080_0000 != 0),
                Err(NbitsError::Overflow(_)) => prop_assert!(value.bits() > 256),
            }
        }

        #[test]
        fn comparison_is_that_of_integers(
            hash: [u64; 4],
            target: [u64; 4],
            equal_limbs in 0..=4_usize,
        ) {
            let mut hash = hash;
            hash[..equal_limbs].copy_from_slice(&target[..equal_limbs]);
            let met = integer(Target(hash)) <= integer(Target(target));
            prop_assert_eq!(Target(target).is_met_by(&hash_of(hash)), met);
            let theirs = bitcoin::Target::from_be_bytes(
                target.map(u64::to_be_bytes).concat().try_into().unwrap(),
            );
            let block = bitcoin::BlockHash::from_byte_array(hash_of(hash));
            prop_assert_eq!(theirs.is_met_by(block), met);
        }

        #[test]
        fn difficulty_survives_the_way_to_a_target_and_back(exponent in -30.0..150.0_f64) {
            let difficulty = exponent.exp2();
            let back = from_difficulty(difficulty).difficulty();
            prop_assert!((back / difficulty - 1.0).abs() < 1e-12, "{} {}", difficulty, back);
        }

        #[test]
        fn a_hash_on_the_target_has_its_difficulty(exponent in -30.0..150.0_f64) {
            let target = from_difficulty(exponent.exp2());
            prop_assert!(target.is_met_by(&hash_of(target.0)));
            let difficulty = hash_difficulty(&hash_of(target.0));
            prop_assert!((difficulty / exponent.exp2() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn extreme_difficulties_stay_targets() {
        assert_eq!(from_difficulty(f64::MIN_POSITIVE), Target::MAX);
        assert_eq!(from_difficulty(f64::from_bits(1)), Target::MAX);
        assert_eq!(from_difficulty(f64::MAX), Target::HARDEST);
        assert_eq!(from_difficulty(1.0), Target::DIFFICULTY_ONE);
        assert_eq!(Target::DIFFICULTY_ONE.0, [0xFFFF_0000, 0, 0, 0]);
    }

    #[test]
    fn known_nbits_have_their_known_targets() {
        assert_eq!(Target::from_nbits(0x1D00_FFFF), Ok(Target::DIFFICULTY_ONE));
        assert_eq!(
            Target::from_nbits(0x0100_3456),
            Err(NbitsError::Zero(0x0100_3456))
        );
        assert_eq!(Target::from_nbits(0x0112_3456), Ok(Target([0, 0, 0, 0x12])));
        assert_eq!(
            Target::from_nbits(0x0492_3456),
            Err(NbitsError::Negative(0x0492_3456))
        );
        assert_eq!(
            Target::from_nbits(0xFF12_3456),
            Err(NbitsError::Overflow(0xFF12_3456))
        );
        assert_eq!(
            Target::from_nbits(0x2100_FFFF).map(|target| target.0[0]),
            Ok(0xFFFF << 48)
        );
        assert_eq!(
            Target::from_nbits(0x2101_0000),
            Err(NbitsError::Overflow(0x2101_0000))
        );
        assert_eq!(
            Target::from_nbits(0x2200_00FF).map(|target| target.0[0]),
            Ok(0xFF << 56)
        );
        assert_eq!(
            Target::from_nbits(0x2200_0100),
            Err(NbitsError::Overflow(0x2200_0100))
        );
    }

    #[test]
    fn difficulties_that_are_none_are_refused() {
        for value in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Difficulty::new(value), None);
        }
    }
}
