//! Targets and difficulties as exact integers.

/// An upper bound for a block hash: 256 bits, most significant limb first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target(pub [u64; 4]);

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
