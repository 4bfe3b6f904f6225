//! Rules of frequencies, voltages, temperatures and power.

use super::Checker;
use crate::file::{BoardFile, Tiers};
use crate::limits;
use crate::parts::supply_range;
use cgminer_hal::units::{Baud, Celsius, Watts};

impl Checker {
    pub(super) fn layout(&mut self, file: &BoardFile) {
        let layout = &file.layout;
        self.within(
            "layout.chips",
            layout.chips,
            1..=limits::CHIPS_MAX,
            "a chip's address is one byte",
        );
        self.rule(
            layout.chips.checked_rem(layout.domains) == Some(0),
            "layout.domains",
            layout.domains,
            format_args!("a divisor of layout.chips = {}", layout.chips),
            "chips are spread evenly over the voltage domains",
        );
        let wall = limits::FREQUENCY_MIN..=limits::FREQUENCY_MAX;
        let range = layout.frequency;
        self.within(
            "layout.frequency.min_mhz",
            range.min_mhz,
            wall.clone(),
            "no chip's PLL goes further",
        );
        self.within(
            "layout.frequency.max_mhz",
            range.max_mhz,
            wall,
            "no chip's PLL goes further",
        );
        self.within(
            "layout.frequency.default_mhz",
            range.default_mhz,
            range.min_mhz..=range.max_mhz,
            "the default lies in the range of the file",
        );
        let supply = file
            .supply
            .as_ref()
            .map_or(limits::RAIL_MIN..=limits::RAIL_MAX, |supply| {
                supply_range(supply.part)
            });
        let range = layout.voltage;
        let hint = "the supply of the file makes no other voltage";
        self.within("layout.voltage.min_mv", range.min_mv, supply.clone(), hint);
        self.within("layout.voltage.max_mv", range.max_mv, supply, hint);
        self.within(
            "layout.voltage.default_mv",
            range.default_mv,
            range.min_mv..=range.max_mv,
            "the default lies in the range of the file",
        );
        self.within(
            "layout.baud",
            layout.baud,
            Baud::RESET..=limits::BAUD_MAX,
            "chips listen at 115200 baud after reset and at 6.25 Mbaud at most",
        );
    }

    pub(super) fn thermal(&mut self, file: &BoardFile) {
        let thermal = &file.thermal;
        let mut coolest_target = limits::CHIP_DANGEROUS;
        for (key, tiers, ceiling) in [
            ("chip", thermal.chip, limits::CHIP_DANGEROUS),
            ("pcb", thermal.pcb, limits::PCB_DANGEROUS),
            ("inlet", thermal.inlet, limits::INLET_DANGEROUS),
        ] {
            if let Some(tiers) = tiers {
                self.tiers(key, tiers, ceiling);
                if key != "inlet" && tiers.target_c < coolest_target {
                    coolest_target = tiers.target_c;
                }
            }
        }
        self.within(
            "thermal.unseen_rise_c_per_s",
            thermal.unseen_rise_c_per_s,
            0.05..=10.0,
            "a sensor that gives no reading must be taken to heat up",
        );
        self.within(
            "thermal.resume_below_c",
            thermal.resume_below_c,
            limits::LOWEST_LIMIT..=coolest_target,
            "power comes back only when all is cooler than the fans' aim",
        );
        self.within(
            "thermal.fan_duty_min",
            thermal.fan_duty_min.0,
            5.0..=100.0,
            "fans below this stand still",
        );
    }

    fn tiers(&mut self, key: &str, tiers: Tiers, ceiling: Celsius) {
        let Tiers {
            target_c,
            hot_c,
            dangerous_c,
        } = tiers;
        let path = |field: &str| format!("thermal.{key}.{field}");
        let hint = "the ceiling in the program cannot be raised by a file";
        self.within(
            path("dangerous_c"),
            dangerous_c,
            limits::LOWEST_LIMIT..=ceiling,
            hint,
        );
        let order = "target_c < hot_c < dangerous_c";
        self.rule(
            hot_c < dangerous_c,
            path("hot_c"),
            hot_c,
            format_args!("below {dangerous_c}"),
            order,
        );
        self.rule(
            target_c < hot_c,
            path("target_c"),
            target_c,
            format_args!("below {hot_c}"),
            order,
        );
        self.rule(
            target_c >= limits::LOWEST_LIMIT,
            path("target_c"),
            target_c,
            format_args!("{} or more", limits::LOWEST_LIMIT),
            "fans cannot cool below the room",
        );
    }

    pub(super) fn power(&mut self, file: &BoardFile) {
        self.within(
            "power.limit_w",
            file.power.limit_w,
            Watts(50.0)..=limits::POWER_MAX,
            "the ceiling in the program cannot be raised by a file",
        );
    }
}
