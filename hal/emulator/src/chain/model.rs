//! The chip types that a chain can be made of, and what differs between them.

use serde::{Deserialize, Serialize};

/// A chip type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChipType {
    /// As in the S19j Pro. The emulated `l7` machine is made of it too.
    Bm1362,
    /// As in the S19 XP and S19k Pro.
    Bm1366,
    /// As in the S21.
    Bm1368,
    /// As in the S21 Pro.
    Bm1370,
    /// As in the S17: the host sends midstates, the chip rolls no versions.
    Bm1397,
}

/// How the result header byte of a nonce names job and sub-core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultHeader {
    /// Job in the upper five bits as sent, sub-core in the lower three.
    JobOver3Bits,
    /// Job in the upper four bits, one place higher than sent, sub-core in the lower four.
    JobOver4Bits,
    /// Job in the upper six bits as sent, midstate index in the lower two.
    JobOver2Bits,
}

/// How a job comes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStyle {
    /// The fields of the whole header; 88 bytes whatever the length byte says.
    Header,
    /// One to four midstates; the length byte is real.
    Midstates,
}

impl ChipType {
    /// Upper 24 bits of the identity register: type and core field.
    pub const fn identity(self) -> u32 {
        match self {
            Self::Bm1362 => 0x1362_0300,
            Self::Bm1366 => 0x1366_0000,
            Self::Bm1368 => 0x1368_0000,
            Self::Bm1370 => 0x1370_0000,
            Self::Bm1397 => 0x1397_1800,
        }
    }

    /// Cores that can report. A nonce has seven bits for the core, so a BM1397 reports for 128 of its 168.
    pub const fn cores(self) -> u32 {
        match self {
            Self::Bm1362 => 65,
            Self::Bm1366 => 112,
            Self::Bm1368 => 80,
            Self::Bm1370 | Self::Bm1397 => 128,
        }
    }

    /// Sub-cores per core; each hashes its own version or midstate.
    pub const fn subcores(self) -> u32 {
        match self {
            Self::Bm1362 | Self::Bm1366 => 8,
            Self::Bm1368 | Self::Bm1370 => 16,
            Self::Bm1397 => 4,
        }
    }

    /// How jobs come in.
    pub const fn job_style(self) -> JobStyle {
        match self {
            Self::Bm1397 => JobStyle::Midstates,
            _ => JobStyle::Header,
        }
    }

    /// How nonces name their job.
    pub const fn result_header(self) -> ResultHeader {
        match self {
            Self::Bm1362 | Self::Bm1366 => ResultHeader::JobOver3Bits,
            Self::Bm1368 | Self::Bm1370 => ResultHeader::JobOver4Bits,
            Self::Bm1397 => ResultHeader::JobOver2Bits,
        }
    }

    /// What a register holds after reset, as far as public register maps and captures tell (skot/BM1397
    /// `registers.md`, mujina `PROTOCOL.md`); 0 where they do not.
    pub const fn reset_value(self, register: u8) -> u32 {
        match (self, register) {
            (Self::Bm1397, 0x04) => 0x8000_0000,
            (Self::Bm1397, 0x08) => 0xC060_0161,
            (Self::Bm1397, 0x18) => 0x0000_3A01,
            (Self::Bm1397, 0x1C) => 0x0100_0000,
            (Self::Bm1397, 0x20) => 0x0000_FFFF,
            (Self::Bm1397, 0x28) => 0x0600_000F,
            (Self::Bm1397, 0x2C) => 0x000F_0000,
            (Self::Bm1397, 0x58) => 0x0211_2111,
            (Self::Bm1397, 0x68) => 0x0070_0111,
            (Self::Bm1397, 0x70) => 0x0304_0607,
            (_, 0x18) => 0x0000_C100,
            (_, 0x28) => 0x0130_1A00,
            (Self::Bm1366 | Self::Bm1368 | Self::Bm1370, 0xA8) => 0x0007_0000,
            _ => 0,
        }
    }

    /// Whether a hash counting number of zero halts the cores. The BM1397 resets to zero and mines without it being
    /// written (skot's bring-up capture), so there it means no deadline.
    pub const fn halts_without_hcn(self) -> bool {
        !matches!(self, Self::Bm1397)
    }

    /// Whether cores hash only after core register 2 was written, as every capture of these types does per chip.
    pub const fn needs_core_enable(self) -> bool {
        !matches!(self, Self::Bm1397)
    }

    /// Core clock that a PLL register value makes, in hertz; none when the PLL cannot run with it.
    pub fn core_clock_hz(self, pll0: u32) -> Option<f64> {
        let [_, feedback, reference, post] = pll0.to_be_bytes();
        let extra = u32::from(self != Self::Bm1397);
        let first = u32::from(post >> 4 & 7) + extra;
        let second = u32::from(post & 7) + extra;
        let divider = u32::from(reference & 0x3F) * first * second;
        (feedback != 0 && divider != 0).then(|| 25e6 * f64::from(feedback) / f64::from(divider))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_pll_values_give_their_frequency() {
        for (chip, register, megahertz) in [
            (ChipType::Bm1370, 0x50D2_0265, 62.5),
            (ChipType::Bm1370, 0x50D2_0240, 525.0),
            (ChipType::Bm1370, 0x40A2_0255, 56.25),
            (ChipType::Bm1370, 0x50E0_0263, 100.0),
            (ChipType::Bm1362, 0x40A8_0230, 525.0),
            (ChipType::Bm1362, 0x50DA_0141, 545.0),
            (ChipType::Bm1397, 0x40A0_0225, 200.0),
        ] {
            assert_eq!(
                chip.core_clock_hz(register),
                Some(megahertz * 1e6),
                "{register:08x}"
            );
        }
        assert_eq!(ChipType::Bm1362.core_clock_hz(0), None);
    }
}
