//! What stands in for a board file on a machine that nobody knows.

use super::{
    BoardFile, ButtonSpecs, ChainLayout, Detect, FrequencyRange, LedSpecs, Power, SCHEMA, Thermal,
    VoltageRange,
};
use crate::limits;
use cgminer_hal::units::{Baud, DutyPercent, Megahertz, Watts};
use cgminer_hal::watchdog::WatchdogSpec;

/// Seconds that its watchdog waits.
const WATCHDOG_S: u32 = 15;

impl BoardFile {
    /// A machine without anything to drive, so that a program can go on and say why. Only its watchdog is known, by the
    /// kernel's own name, since a boot loader may have started it.
    #[must_use]
    pub fn unknown() -> Self {
        let frequency = Megahertz(400.0);
        Self {
            schema: SCHEMA,
            name: "unknown".into(),
            title: "a machine that nobody knows, so that nothing of it is driven".into(),
            ran_on_hardware: Vec::new(),
            sources: Vec::new(),
            detect: Detect::default(),
            layout: ChainLayout {
                chip: "BM1362".into(),
                chips: 1,
                domains: 1,
                frequency: FrequencyRange {
                    min_mhz: frequency,
                    default_mhz: frequency,
                    max_mhz: frequency,
                },
                voltage: VoltageRange {
                    min_mv: limits::RAIL_MIN,
                    default_mv: limits::RAIL_MIN,
                    max_mv: limits::RAIL_MAX,
                },
                baud: Baud::RESET,
            },
            i2c: Vec::new(),
            chains: Vec::new(),
            sensors: Vec::new(),
            fans: Vec::new(),
            supply: None,
            adc: Vec::new(),
            leds: LedSpecs::default(),
            buttons: ButtonSpecs::default(),
            watchdog: Some(WatchdogSpec::of_kernel(WATCHDOG_S)),
            thermal: Thermal {
                chip: None,
                pcb: None,
                inlet: None,
                unseen_rise_c_per_s: 1.0,
                resume_below_c: limits::LOWEST_LIMIT,
                fans_required: 0,
                fan_duty_min: DutyPercent::FULL,
            },
            power: Power {
                limit_w: Watts(0.0),
            },
        }
    }
}
