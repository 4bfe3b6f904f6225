//! What no board file, config or request can exceed.
//!
//! A board file narrows these; it cannot widen them. They are the outer wall, set where the parts themselves end.

use cgminer_hal::units::{Baud, Celsius, Megahertz, Millivolts, Rpm, Watts};

/// Junction temperature at which a chip must be without power. The hottest limit published for `BM13xx` machines is
/// 110 C, in Braiins' S9 firmware.
pub const CHIP_DANGEROUS: Celsius = Celsius(110.0);
/// Temperature of a hash board's surface at which it must be without power: electrolytic capacitors and the FR-4 of
/// these boards end at 105 C.
pub const PCB_DANGEROUS: Celsius = Celsius(95.0);
/// Temperature of the air or coolant drawn in, beyond which no fan can cool the rest.
pub const INLET_DANGEROUS: Celsius = Celsius(65.0);
/// Highest temperature that automatic cooling may be told to hold: what these machines publish as hot begins above.
pub const TARGET_MAX: Celsius = Celsius(95.0);
/// No limit lies below this: a machine that is "too hot" at room temperature never runs.
pub const LOWEST_LIMIT: Celsius = Celsius(20.0);

/// Rail to the hash boards. An APW9 ends at 21.36 V, an APW12 at 15.01 V.
pub const RAIL_MAX: Millivolts = Millivolts(21_360);
/// Least voltage that a supply of these machines makes.
pub const RAIL_MIN: Millivolts = Millivolts(5_000);
/// Chip clock. The highest published for a `BM13xx` machine is below 1000 MHz.
pub const FREQUENCY_MAX: Megahertz = Megahertz(1_000.0);
/// Chip clock that the PLL of every `BM13xx` can still make.
pub const FREQUENCY_MIN: Megahertz = Megahertz(50.0);
/// Draw of the whole machine: a 16 A circuit at 240 V.
pub const POWER_MAX: Watts = Watts(3_840.0);
/// Fastest line that a chip's baud register can be set to.
pub const BAUD_MAX: Baud = Baud(6_250_000);

/// Chains of one machine.
pub const CHAINS_MAX: usize = 8;
/// Chips of one chain: the address is one byte.
pub const CHIPS_MAX: u16 = 256;
/// Fans of one machine.
pub const FANS_MAX: usize = 16;
/// Temperature sensors of one machine.
pub const SENSORS_MAX: usize = 64;
/// Fan speed that none reaches.
pub const RPM_MAX: Rpm = Rpm(20_000);

/// Shortest time-out of a hardware watchdog that the feeding loop can meet with certainty, in seconds.
pub const WATCHDOG_MIN_S: u32 = 5;
/// Longest time that a machine out of control may run on, in seconds.
pub const WATCHDOG_MAX_S: u32 = 60;
