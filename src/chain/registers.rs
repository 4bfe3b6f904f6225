//! The registers of `BM13xx` chips, by the names of their public documentation (mujina REFERENCE.md, "Register Map"; the
//! BM1397 register notes that ESP-Miner follows).
//!
//! A register is 32 bits, most significant byte first on the wire. Types here divide one into its fields; fields that no
//! public source explains are carried as they were seen in captures.

use serde::Serialize;
use std::fmt;

/// A register's address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Register(pub u8);

/// Declares the known registers once, with the name that messages use.
macro_rules! registers {
    ($($(#[$doc:meta])* $name:ident = $address:literal;)*) => {
        impl Register {
            $($(#[$doc])* pub const $name: Self = Self($address);)*

            /// Name in public documentation; `None` for a register that has none there.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($address => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

registers! {
    /// Type, core count and address of the chip: [`ChipId`].
    CHIP_ID = 0x00;
    /// Hash rate (BM1397).
    HASH_RATE = 0x04;
    /// Clock of the cores: [`super::pll::Pll`].
    PLL0_PARAMETER = 0x08;
    /// Where a chip's sweep starts: [`NonceOffset`].
    CHIP_NONCE_OFFSET = 0x0C;
    /// Sweep deadline in ticks of 25 MHz: [`HashCountingNumber`].
    HASH_COUNTING_NUMBER = 0x10;
    /// Which nonces are reported: [`super::ticket_mask::TicketMask`].
    TICKET_MASK = 0x14;
    /// Report enables; on BM1397 the baud divider: [`Misc`].
    MISC_CONTROL = 0x18;
    /// I2C master of the chip.
    GENERAL_I2C_COMMAND = 0x1C;
    /// Enables the ordered clock (BM1397).
    ORDERED_CLOCK_ENABLE = 0x20;
    /// Baud rate: [`super::baud::UartBaud`].
    UART_BAUD = 0x28;
    /// Relay of the serial lines at a domain boundary: [`UartRelay`].
    UART_RELAY = 0x2C;
    /// Mailbox to the registers inside cores: [`CoreMailbox`].
    CORE_MAILBOX = 0x3C;
    /// Value that a core register read returned.
    CORE_REGISTER_VALUE = 0x40;
    /// Error flags.
    ERROR_FLAG = 0x48;
    /// Count of nonces that failed the chip's own check.
    NONCE_ERROR_COUNTER = 0x4C;
    /// Count of nonces lost for want of room.
    NONCE_OVERFLOW_COUNTER = 0x50;
    /// Analog multiplexer: [`AnalogMux`].
    ANALOG_MUX = 0x54;
    /// Drive strengths of the outputs: [`IoDrive`].
    IO_DRIVER_STRENGTH = 0x58;
    /// Second clock; unused.
    PLL1_PARAMETER = 0x60;
    /// Third clock; unused.
    PLL2_PARAMETER = 0x64;
    /// Fourth clock on BM1397; on BM1368 and BM1370 the ring-oscillator pads: [`RING_OSCILLATOR_PADS_OFF`].
    PLL3_PARAMETER = 0x68;
    /// Divider behind the first clock (BM1397).
    PLL0_DIVIDER = 0x70;
    /// Order of the clocks (BM1397).
    CLOCK_ORDER_CONTROL0 = 0x80;
    /// Order of the clocks (BM1397).
    CLOCK_ORDER_CONTROL1 = 0x84;
    /// Version rolling: [`VersionRolling`].
    MIDSTATE_CONFIG = 0xA4;
    /// Soft resets of parts of the chip: [`SoftReset`].
    SOFT_RESET_CONTROL = 0xA8;
    /// Temperature sensor.
    TEMPERATURE_CONTROL = 0xB0;
    /// Temperature reading.
    TEMPERATURE_VALUE = 0xB4;
    /// Analog-to-digital converter.
    ADC_CONTROL1 = 0xB9;
}

impl fmt::Display for Register {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "{name} ({:02X})", self.0),
            None => write!(formatter, "{:02X}", self.0),
        }
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Register 00: what a chip says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChipId {
    /// Model: 0x1362 for a BM1362.
    pub model: u16,
    /// A count related to cores; 0 on most models, 3 on BM1362, 0x18 on BM1397. Its meaning is not public.
    pub cores: u8,
    /// Address; 0 until one is given.
    pub address: u8,
}

impl ChipId {
    /// Divides the register's value.
    pub fn decode(value: u32) -> Self {
        let [high, low, cores, address] = value.to_be_bytes();
        Self {
            model: u16::from_be_bytes([high, low]),
            cores,
            address,
        }
    }

    /// The register's value.
    pub fn encode(self) -> u32 {
        u32::from(self.model) << 16 | u32::from(self.cores) << 8 | u32::from(self.address)
    }
}

/// Register 0C: where a chip's cores start to count, in units of 512 nonces (BM1370).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceOffset(pub u16);

impl NonceOffset {
    const ENABLE: u32 = 1 << 31;

    /// Offset of chip `index` of `chips`, which divides the 16-bit space evenly; `None` when there is no such chip.
    ///
    /// Rounded up: the captured S21 Pro gives its second chip of 65 the offset 0x03F1 and its last 0xFC10.
    pub fn of_chip(index: u16, chips: u16) -> Option<Self> {
        if index >= chips {
            return None;
        }
        let offset = (u32::from(index) << 16).div_ceil(u32::from(chips));
        u16::try_from(offset).ok().map(Self)
    }

    /// The register's value, offset enabled.
    pub fn encode(self) -> u32 {
        Self::ENABLE | u32::from(self.0)
    }

    /// The offset in a register's value; `None` when it is not enabled.
    pub fn decode(value: u32) -> Option<Self> {
        (value & Self::ENABLE != 0).then_some(Self(value as u16))
    }
}

/// Register 10: how long one sweep of a core lasts, in ticks of the 25 MHz crystal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashCountingNumber(pub u32);

impl HashCountingNumber {
    /// Halts hashing: no sweep has any length.
    pub const HALT: Self = Self(0);
}

/// Register 18: report enables in bits 31 to 28 on BM1362 and later, where the low half keeps its power-on value C100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misc(pub u32);

impl Misc {
    /// BM1362 reports from all cores that it has.
    pub const BM1362_OPEN: Self = Self(0xB000_C100);
    /// BM1366 and BM1368, to all chips.
    pub const BM1366_BROADCAST: Self = Self(0xFF0F_C100);
    /// BM1366, BM1368 and BM1370, to each chip.
    pub const OPEN: Self = Self(0xF000_C100);
    /// BM1397 at the reset baud rate, as its public drivers write it.
    pub const BM1397_RESET_BAUD: Self = Self(0x0000_7A31);

    /// Bits 31 to 28: which sections of the core array report nonces.
    pub fn report_enables(self) -> u8 {
        (self.0 >> 28) as u8
    }
}

/// Register 2C: a chip at a domain boundary relays the serial lines and waits `gap` before it takes the reply line as free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UartRelay {
    /// Wait; its unit is not public.
    pub gap: u16,
    /// Relay replies, towards the host.
    pub replies: bool,
    /// Relay commands, away from the host.
    pub commands: bool,
}

impl UartRelay {
    /// The register's value.
    pub fn encode(self) -> u32 {
        u32::from(self.gap) << 16 | u32::from(self.replies) << 1 | u32::from(self.commands)
    }

    /// Divides the register's value.
    pub fn decode(value: u32) -> Self {
        Self {
            gap: (value >> 16) as u16,
            replies: value & 2 != 0,
            commands: value & 1 != 0,
        }
    }
}

/// Register 3C: writes one register inside one core or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreMailbox {
    /// The core, or `None` for all of them.
    pub core: Option<u8>,
    /// Register inside the core, 0 to 31.
    pub register: u8,
    /// Its new value.
    pub value: u8,
}

impl CoreMailbox {
    const ALL: u32 = 1 << 31;
    const WRITE: u32 = 1 << 15;

    /// A write to all cores.
    pub const fn all(register: u8, value: u8) -> Self {
        Self {
            core: None,
            register,
            value,
        }
    }

    /// The register's value for a write.
    pub const fn encode(self) -> u32 {
        let core = match self.core {
            None => Self::ALL,
            Some(core) => (core as u32) << 16,
        };
        core | Self::WRITE | ((self.register & 0x1F) as u32) << 8 | self.value as u32
    }

    /// Divides the register's value; `None` when it is not a write.
    pub fn decode(value: u32) -> Option<Self> {
        (value & Self::WRITE != 0).then(|| Self {
            core: (value & Self::ALL == 0).then_some((value >> 16) as u8),
            register: (value >> 8) as u8 & 0x1F,
            value: value as u8,
        })
    }
}

/// Register 54: which analog signal the chip leads out, in bits 3 to 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnalogMux(pub u8);

impl AnalogMux {
    /// The temperature diode, on BM1370.
    pub const DIODE: Self = Self(2);
    /// What chips are set to outside a temperature reading.
    pub const NORMAL: Self = Self(3);

    /// The register's value.
    pub const fn encode(self) -> u32 {
        (self.0 & 0x0F) as u32
    }
}

/// Register 58: drive strength of each output, four bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoDrive(pub u32);

impl IoDrive {
    /// Every output at strength 1.
    pub const WEAK: Self = Self(0x0001_1111);
    /// The clock output at its strongest: for the last chip of a domain, which drives the clock across the boundary.
    pub const STRONG_CLOCK: Self = Self(0x0001_F111);
    /// What BM1366 and BM1368 are set to.
    pub const BM1366: Self = Self(0x0211_1111);

    /// Bits 15 to 12: the clock output.
    pub fn clock(self) -> u8 {
        (self.0 >> 12) as u8 & 0x0F
    }
}

/// Register A4: rolling of the version inside the chip.
///
/// Writing it also makes replies eleven bytes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRolling {
    /// Bits 28 to 13 of the version that the chip may roll.
    pub mask: u16,
}

impl VersionRolling {
    /// Automatic generation, eight midstates a job: the value of every capture.
    const ENABLE: u32 = 0x9000_0000;

    /// All sixteen bits.
    pub const FULL: Self = Self { mask: 0xFFFF };

    /// From a mask of the header's version; bits that chips cannot roll are left out.
    pub fn of_version_mask(mask: u32) -> Self {
        Self {
            mask: (mask >> 13) as u16,
        }
    }

    /// The register's value.
    pub const fn encode(self) -> u32 {
        Self::ENABLE | self.mask as u32
    }

    /// The mask in a register's value; `None` when rolling is off.
    pub fn decode(value: u32) -> Option<Self> {
        (value & 1 << 31 != 0).then_some(Self { mask: value as u16 })
    }

    /// How many versions the mask allows.
    pub fn versions(self) -> u32 {
        1 << self.mask.count_ones()
    }
}

/// Register A8: soft resets. Models differ in layout, so values are the captured ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftReset(pub u32);

impl SoftReset {
    /// Reset default of BM1366, BM1368 and BM1370.
    pub const DEFAULT: Self = Self(0x0007_0000);
    /// The same models, ahead of the configuration of a chip's cores.
    pub const CORES: Self = Self(0x0007_01F0);
    /// Reset default of BM1362.
    pub const BM1362_DEFAULT: Self = Self(0);
    /// BM1362: fast soft reset of the cores.
    pub const BM1362_CORES: Self = Self(0x0000_0002);
}

/// Guard pattern that switches the ring-oscillator pads off (register 68 of BM1368 and BM1370).
pub const RING_OSCILLATOR_PADS_OFF: u32 = 0x5AA5_5AA5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonce_offsets_of_the_s21_pro_are_the_captured_ones() {
        assert_eq!(NonceOffset::of_chip(0, 65), Some(NonceOffset(0)));
        assert_eq!(NonceOffset::of_chip(1, 65), Some(NonceOffset(0x03F1)));
        assert_eq!(NonceOffset::of_chip(64, 65), Some(NonceOffset(0xFC10)));
        assert_eq!(NonceOffset::of_chip(65, 65), None);
        assert_eq!(NonceOffset(0x03F1).encode(), 0x8000_03F1);
    }

    #[test]
    fn registers_come_back_as_they_were_written() {
        let mailbox = CoreMailbox {
            core: Some(7),
            register: 5,
            value: 0x40,
        };
        assert_eq!(CoreMailbox::decode(mailbox.encode()), Some(mailbox));
        assert_eq!(CoreMailbox::all(2, 0xAA).encode(), 0x8000_82AA);
        let relay = UartRelay::decode(0x007C_0003);
        assert_eq!(
            (relay.gap, relay.replies, relay.commands),
            (0x7C, true, true)
        );
        assert_eq!(relay.encode(), 0x007C_0003);
        let id = ChipId::decode(0x1362_03CA);
        assert_eq!((id.model, id.cores, id.address), (0x1362, 3, 0xCA));
        assert_eq!(id.encode(), 0x1362_03CA);
        assert_eq!(NonceOffset::decode(0x8000_03F1), Some(NonceOffset(0x3F1)));
        assert_eq!(NonceOffset::decode(0x3F1), None);
        assert_eq!(Misc::BM1362_OPEN.report_enables(), 0b1011);
        assert_eq!(IoDrive::STRONG_CLOCK.clock(), 0xF);
    }

    #[test]
    fn a_pools_version_mask_becomes_the_chips() {
        let rolling = VersionRolling::of_version_mask(0x1FFF_E000);
        assert_eq!(rolling, VersionRolling::FULL);
        assert_eq!(rolling.encode(), 0x9000_FFFF);
        assert_eq!(rolling.versions(), 65_536);
        assert_eq!(VersionRolling::of_version_mask(0xE000_1FFF).mask, 0);
        assert_eq!(
            VersionRolling::decode(0x9000_00FF).map(|it| it.mask),
            Some(0xFF)
        );
        assert_eq!(VersionRolling::decode(0), None);
    }

    #[test]
    fn a_register_names_itself() {
        assert_eq!(Register::PLL0_PARAMETER.to_string(), "PLL0_PARAMETER (08)");
        assert_eq!(Register(0x99).to_string(), "99");
    }
}
