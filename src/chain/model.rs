//! What differs between chip models, as data. Code that depends on a model reads it here and nowhere else.

use crate::chain::baud::UartBaud;
use crate::chain::bringup::Script;
use crate::chain::frame::{NonceReply, ReplyFormat};
use crate::chain::hcn::Sweep;
use crate::chain::pll::PllRange;
use cgminer_hal::units::{HashRate, Megahertz};

/// No chain is longer: addresses are a byte and no captured chain uses a smaller step than two.
pub const MOST_CHIPS: u16 = 128;

/// One chip model.
#[derive(Debug)]
pub struct ChipModel {
    /// Name as in the board file.
    pub name: &'static str,
    /// What register 00 says in its high half.
    pub chip_id: u16,
    /// Cores, sub-cores and the guard of a sweep.
    pub sweep: Sweep,
    /// Whether the sweep's deadline is set by register 10; without it a chip stops by itself at the end of its work.
    pub has_hash_counting_number: bool,
    /// What a job consists of.
    pub job: JobFormat,
    /// How the job's number crosses the wire in both directions.
    pub job_number: JobNumber,
    /// Format of replies once the chain hashes.
    pub reply: ReplyFormat,
    /// How a nonce tells its chip.
    pub place: PlaceRule,
    /// How addresses are given.
    pub addressing: Addressing,
    /// The clock.
    pub pll: PllRange,
    /// The baud register.
    pub baud: UartBaud,
    /// The way from reset to hashing.
    pub script: Script,
}

/// What a job consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobFormat {
    /// The whole header; the chip rolls the version by itself.
    FullHeader,
    /// Midstates, this many a job: 1, 2 or 4.
    Midstates(u8),
}

/// How the number of a job is packed into the job's header byte, and into a reply's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobNumber {
    /// How many numbers there are: 0 to this less one.
    pub count: u8,
    /// The host shifts the number left by so much.
    pub sent_shift: u8,
    /// The chip's byte shifted right by so much is the number.
    pub reply_shift: u8,
    /// Low bits of the chip's byte that name the sub-core, or the midstate.
    pub place_mask: u8,
}

impl JobNumber {
    /// BM1362 and BM1366: five bits of number, three of sub-core.
    pub const FIVE_BITS: Self = Self {
        count: 32,
        sent_shift: 3,
        reply_shift: 3,
        place_mask: 0x07,
    };
    /// BM1368 and BM1370: the number comes back one bit higher than it was sent.
    pub const FOUR_BITS: Self = Self {
        count: 16,
        sent_shift: 3,
        reply_shift: 4,
        place_mask: 0x0F,
    };
    /// BM1397: the low two bits are the midstate's index.
    pub const MIDSTATES: Self = Self {
        count: 32,
        sent_shift: 2,
        reply_shift: 2,
        place_mask: 0x03,
    };

    /// The job's header byte; a number beyond the last wraps.
    pub fn encode(self, number: u8) -> u8 {
        (number % self.count.max(1)) << self.sent_shift
    }

    /// Number of the job that a reply is for; it may be one that was never sent.
    pub fn decode(self, result_header: u8) -> u8 {
        result_header >> self.reply_shift
    }

    /// Sub-core or midstate that a reply names.
    pub fn place(self, result_header: u8) -> u8 {
        result_header & self.place_mask
    }
}

/// How a nonce tells which chip found it. The core is in its top seven bits on every model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceRule {
    /// The chip's address is in bits 24 to 17, most significant byte first.
    Address,
    /// The chip's [`super::registers::NonceOffset`] is the greatest one not above bits 24 to 9.
    Offset,
}

/// How addresses are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addressing {
    /// Distance between addresses; `None` divides the 256 evenly.
    pub interval: Option<u8>,
    /// Whether every slot gets its command, as stock firmware does, or every chip.
    pub all_slots: bool,
    /// How often the chain is made inactive before.
    pub inactive_times: u8,
}

impl Addressing {
    /// Distance between the addresses of neighbours on a chain of so many chips.
    pub fn interval(self, chips: u16) -> u16 {
        match self.interval {
            Some(interval) => u16::from(interval.max(1)),
            None => (256 / chips.max(1)).max(1),
        }
    }

    /// Address of a chip by its place in the chain; `None` beyond the last address.
    pub fn address(self, index: u16, chips: u16) -> Option<u8> {
        u8::try_from(u32::from(index) * u32::from(self.interval(chips))).ok()
    }

    /// Place in the chain of the chip whose addresses hold `address`; `None` beyond the last chip.
    pub fn index(self, address: u8, chips: u16) -> Option<u16> {
        let index = u16::from(address) / self.interval(chips);
        (index < chips).then_some(index)
    }

    /// How many address commands are sent.
    pub fn commands(self, chips: u16) -> u16 {
        if self.all_slots {
            256 / self.interval(chips)
        } else {
            chips
        }
    }
}

/// Where in a chain a nonce was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Chip, from 0 at the host's end; `None` when the nonce names no chip of this chain.
    pub chip: Option<u16>,
    /// Core within the chip.
    pub core: u8,
    /// Sub-core within the core, or the midstate's index on chips that are given midstates.
    pub subcore: u8,
}

impl ChipModel {
    /// Where a nonce was found. On a chain of one chip that chip is the only answer, whatever the address bits say: there
    /// they sweep (capture of a one-chip BM1366 board).
    pub fn place(&self, reply: &NonceReply, chips: u16) -> Place {
        let word = u32::from_be_bytes(reply.nonce);
        let chip = match (chips, self.place) {
            (1, _) => Some(0),
            (_, PlaceRule::Address) => self.addressing.index((word >> 17) as u8, chips),
            (_, PlaceRule::Offset) => {
                // The inverse of an offset rounded up is rounded down.
                let start = word >> 9 & 0xFFFF;
                Some(((start * u32::from(chips)) >> 16) as u16)
            }
        };
        Place {
            chip,
            core: (word >> 25) as u8,
            subcore: self.job_number.place(reply.result_header),
        }
    }

    /// What chips of this model compute at a clock when nothing is wrong: every sub-core one hash a clock.
    pub fn nominal_hash_rate(&self, chips: u16, frequency: Megahertz) -> HashRate {
        let at_once = f64::from(self.sweep.cores) * f64::from(self.sweep.subcores);
        HashRate(at_once * f64::from(chips) * f64::from(frequency.0) * 1e6)
    }

    /// Whether the chip rolls the version by itself.
    pub fn rolls_versions(&self) -> bool {
        self.job == JobFormat::FullHeader
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::models::{BM1362, BM1366, BM1370, BM1397, L7};

    fn nonce(bytes: [u8; 4], result_header: u8) -> NonceReply {
        NonceReply {
            nonce: bytes,
            sixth: 0,
            result_header,
            version: 0,
        }
    }

    #[test]
    fn the_captured_nonce_of_an_s19j_pro_names_chip_110() {
        let place = BM1362.place(&nonce([0x6D, 0xB8, 0x8E, 0xE1], 0x04), 126);
        assert_eq!((place.chip, place.core, place.subcore), (Some(110), 54, 4));
    }

    #[test]
    fn every_nonce_from_a_chips_offset_on_is_that_chips() {
        use crate::chain::registers::NonceOffset;
        for index in 0..65 {
            let start = NonceOffset::of_chip(index, 65).expect("a chip").0;
            let end = NonceOffset::of_chip(index + 1, 65).map_or(0xFFFF, |next| next.0 - 1);
            for offset in [start, end] {
                let word = u32::from(offset) << 9 | 0x1FF | 5 << 25;
                let place = BM1370.place(&nonce(word.to_be_bytes(), 0), 65);
                assert_eq!(
                    (place.chip, place.core),
                    (Some(index), 5),
                    "offset {offset:04x}"
                );
            }
        }
    }

    #[test]
    fn an_address_behind_the_last_chip_names_none() {
        let word = 0xFE_u32 << 17;
        assert_eq!(BM1362.place(&nonce(word.to_be_bytes(), 0), 126).chip, None);
        assert_eq!(BM1366.place(&nonce(word.to_be_bytes(), 0), 1).chip, Some(0));
    }

    #[test]
    fn a_jobs_number_comes_back_from_each_models_reply() {
        for number in 0..32 {
            let header = BM1362.job_number.encode(number);
            assert_eq!(BM1362.job_number.decode(header | 5), number);
            let header = BM1397.job_number.encode(number);
            assert_eq!(BM1397.job_number.decode(header | 3), number);
        }
        for number in 0..16 {
            // BM1370 sends (header & 0xF0) back one bit higher than it got it.
            let header = BM1370.job_number.encode(number);
            assert_eq!(BM1370.job_number.decode(header << 1 | 7), number);
        }
    }

    #[test]
    fn nominal_rates_are_those_of_known_machines() {
        let rate = L7.nominal_hash_rate(126, Megahertz(525.0)).0;
        assert!((rate - 34.4e12).abs() < 0.1e12, "{rate}");
        let rate = BM1370.nominal_hash_rate(1, Megahertz(600.0)).0;
        assert!((rate - 1.229e12).abs() < 0.01e12, "{rate}");
    }

    #[test]
    fn addresses_of_captured_chains_come_out() {
        assert_eq!(BM1362.addressing.interval(126), 2);
        assert_eq!(BM1362.addressing.commands(126), 128);
        assert_eq!(BM1362.addressing.address(125, 126), Some(0xFA));
        assert_eq!(BM1370.addressing.address(64, 65), Some(0x80));
        assert_eq!(BM1370.addressing.commands(65), 128);
        assert_eq!(BM1366.addressing.commands(77), 77);
    }
}
