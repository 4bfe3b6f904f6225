//! What can be wrong with a chain and its line.

use crate::fault::Fault;
use std::collections::BTreeSet;

/// All that is wrong at a time; nothing by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChainFaults {
    /// The chain ends before this chip.
    pub cut_at: Option<usize>,
    /// Chips that pass on and say nothing.
    pub silent: BTreeSet<usize>,
    /// Nothing comes back.
    pub mute: bool,
    /// Damage to bytes.
    pub noise: Option<Noise>,
    /// Factor on the chips' speed, if not 1.
    pub baud_factor: Option<f64>,
    /// Cores that repeat themselves: chip and core.
    pub stuck: BTreeSet<(usize, u32)>,
    /// Share of nonces that are spoiled.
    pub bad_share: f64,
    /// PLL changes bring frames without meaning.
    pub pll_garbage: bool,
    /// Register 40 comes unasked, once a second.
    pub chatter: bool,
}

/// Chances per byte, each 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// One bit is inverted.
    pub flip: f64,
    /// The byte is lost.
    pub drop: f64,
    /// Another byte comes before it.
    pub insert: f64,
    /// The byte comes twice.
    pub duplicate: f64,
}

impl ChainFaults {
    /// Adds a fault of the machine, if it is one of this chain.
    pub fn add(&mut self, index: usize, fault: &Fault) {
        match *fault {
            Fault::ChipCutsChain { chain, chip } if chain == index => {
                self.cut_at = Some(self.cut_at.map_or(chip, |cut| cut.min(chip)));
            }
            Fault::ChipSilent { chain, chip } if chain == index => {
                self.silent.insert(chip);
            }
            Fault::ChainMute { chain } if chain == index => self.mute = true,
            Fault::LineNoise {
                chain,
                flip,
                drop,
                insert,
                duplicate,
            } if chain == index => {
                self.noise = Some(Noise {
                    flip,
                    drop,
                    insert,
                    duplicate,
                });
            }
            Fault::BaudMismatch { chain, factor } if chain == index => {
                self.baud_factor = Some(factor);
            }
            Fault::StuckCore { chain, chip, core } if chain == index => {
                self.stuck.insert((chip, core));
            }
            Fault::BadNonces { chain, share } if chain == index => self.bad_share = share,
            Fault::PllGarbage { chain } if chain == index => self.pll_garbage = true,
            Fault::Chatter { chain } if chain == index => self.chatter = true,
            _ => {}
        }
    }

    /// Whether commands and work get to a chip.
    pub(super) fn reaches(&self, chip: usize) -> bool {
        self.cut_at.is_none_or(|cut| chip < cut)
    }

    /// A speed as the chips' crystal makes it.
    pub(super) fn skewed(&self, baud: u32) -> u32 {
        self.baud_factor.map_or(baud, |factor| {
            (f64::from(baud) * factor).clamp(1.0, 1e9) as u32
        })
    }
}

impl Noise {
    /// What becomes of one byte.
    pub(super) fn pass(self, byte: u8, chance: &mut fastrand::Rng, out: &mut impl FnMut(u8)) {
        if chance.f64() < self.insert {
            out(chance.u8(..));
        }
        if chance.f64() < self.drop {
            return;
        }
        let flipped = if chance.f64() < self.flip {
            byte ^ 1 << chance.u8(..8)
        } else {
            byte
        };
        out(flipped);
        if chance.f64() < self.duplicate {
            out(flipped);
        }
    }
}
