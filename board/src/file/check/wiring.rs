//! Rules of chains, supply, converters, lights and buttons.

use super::Checker;
use crate::file::{AdcSpec, BoardFile, ChainSpec, SupplyPart};
use crate::limits;
use cgminer_hal::led::LedSpec;
use cgminer_hal::units::Watts;
use std::collections::HashSet;

impl Checker {
    pub(super) fn chains(&mut self, file: &BoardFile) {
        self.within(
            "chains",
            file.chains.len(),
            1..=limits::CHAINS_MAX,
            "a board drives at least one chain",
        );
        let mut uarts = HashSet::new();
        for (index, chain) in file.chains.iter().enumerate() {
            let path = format!("chains[{index}]");
            self.rule(
                uarts.insert(&chain.uart.device),
                format!("{path}.uart.device"),
                &chain.uart.device,
                "named once",
                "two chains cannot share a serial line",
            );
            self.line(&format!("{path}.reset.line"), &chain.reset.line);
            if let Some(presence) = &chain.presence {
                self.line(&format!("{path}.presence.line"), &presence.line);
            }
            self.chain_parts(file, chain, &path);
        }
    }

    fn chain_parts(&mut self, file: &BoardFile, chain: &ChainSpec, path: &str) {
        if let Some(eeprom) = &chain.eeprom {
            let path = format!("{path}.eeprom");
            self.part(file, &path, &eeprom.bus, eeprom.address);
            let denied = file
                .bus(&eeprom.bus)
                .is_some_and(|bus| bus.deny_writes.contains(&eeprom.address));
            self.rule(
                denied,
                format!("{path}.address"),
                format_args!("{:#04x}", eeprom.address),
                format_args!("in deny_writes of bus {}", eeprom.bus),
                "one write into a hash board's EEPROM can make the board useless",
            );
        }
        if let Some(controller) = &chain.voltage_controller {
            let path = format!("{path}.voltage_controller");
            self.part(file, &path, &controller.bus, controller.address);
            self.written(file, &path, &controller.bus, controller.address);
        }
    }

    pub(super) fn supply(&mut self, file: &BoardFile) {
        let Some(supply) = &file.supply else {
            return self.rule(
                file.chains
                    .iter()
                    .all(|chain| chain.voltage_controller.is_some()),
                "supply",
                "missing",
                "given, or every chain has a voltage_controller",
                "without either, nothing can switch the hash boards off",
            );
        };
        self.part(file, "supply", &supply.bus, supply.address);
        self.written(file, "supply", &supply.bus, supply.address);
        if let Some(enable) = &supply.enable {
            self.line("supply.enable.line", &enable.line);
        }
        self.rule(
            supply.enable.is_some() || supply.part == SupplyPart::Pmbus,
            "supply.enable",
            "missing",
            "given",
            "only a PMBus supply can be switched off without its enable line",
        );
        self.within(
            "supply.rated_w",
            supply.rated_w,
            Watts(50.0)..=Watts(10_000.0),
            "take it from the label",
        );
        self.rule(
            file.power.limit_w <= supply.rated_w,
            "power.limit_w",
            file.power.limit_w,
            format_args!("at most supply.rated_w = {}", supply.rated_w),
            "the supply would trip",
        );
    }

    pub(super) fn adc(&mut self, file: &BoardFile) {
        for (index, adc) in file.adc.iter().enumerate() {
            self.converter(file, adc, &format!("adc[{index}]"));
        }
    }

    fn converter(&mut self, file: &BoardFile, adc: &AdcSpec, path: &str) {
        self.within(
            format!("{path}.reference_mv"),
            adc.reference_mv,
            1_000..=5_500,
            "the part works on 2.7 to 5.5 V",
        );
        self.within(
            format!("{path}.spi.clock_hz"),
            adc.spi.clock_hz,
            10_000..=2_000_000,
            "1 MHz at 2.7 V, 2 MHz at 5 V",
        );
        self.rule(
            matches!(adc.spi.mode, 0 | 3),
            format!("{path}.spi.mode"),
            adc.spi.mode,
            "0 or 3",
            "the part samples on the rising edge",
        );
        for (nth, input) in adc.channels.iter().enumerate() {
            let path = format!("{path}.channels[{nth}]");
            self.name(&format!("{path}.name"), &input.name);
            self.chain_index(file, &format!("{path}.chain"), input.chain);
            let inputs = adc.part.channels();
            self.within(
                format!("{path}.channel"),
                input.channel,
                0..=inputs - 1,
                "the part has no such input",
            );
            self.within(
                format!("{path}.per_volt"),
                input.per_volt,
                0.01..=10_000.0,
                "a divider or shunt has a finite gain",
            );
        }
    }

    pub(super) fn lights_and_buttons(&mut self, file: &BoardFile) {
        for (path, led) in [
            ("leds.green", &file.leds.green),
            ("leds.red", &file.leds.red),
        ] {
            if let Some(LedSpec::Gpio { signal }) = led {
                self.line(&format!("{path}.signal.line"), &signal.line);
            }
        }
        for (path, button) in [
            ("buttons.reset", &file.buttons.reset),
            ("buttons.locate", &file.buttons.locate),
        ] {
            if let Some(signal) = button {
                self.line(&format!("{path}.line"), &signal.line);
            }
        }
        if let Some(watchdog) = &file.watchdog {
            self.within(
                "watchdog.timeout_s",
                watchdog.timeout_s,
                limits::WATCHDOG_MIN_S..=limits::WATCHDOG_MAX_S,
                "shorter resets a busy machine, longer lets a lost one heat up",
            );
        }
    }
}
