//! The drivers of parts against the emulator's models of them, which were written apart from the drivers: one machine that
//! carries one of every part, described once for each side (`tests/data/boards/bench.toml`, `every-part.toml`).
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bench;
mod controllers;
mod sensors_and_fans;
mod supplies;

use bench::Bench;
use cgminer_board::file::{FanControl, SensorPart, SupplyPart, VoltageControllerPart};
use std::collections::HashSet;

#[test]
fn the_machine_carries_one_of_every_part_that_there_is_a_driver_for() {
    let bench = Bench::new();
    let sensors: HashSet<_> = bench
        .board
        .sensors
        .iter()
        .map(|sensor| match sensor.part {
            SensorPart::Lm75 => "LM75",
            SensorPart::Tmp451 => "TMP451",
            SensorPart::Tmp421 => "TMP421",
            SensorPart::Emc1413 => "EMC1413",
        })
        .collect();
    assert_eq!(sensors.len(), 4);
    let fans: HashSet<_> = bench
        .board
        .fans
        .iter()
        .map(|fan| match fan.control {
            FanControl::Pwm { .. } => "PWM",
            FanControl::Max31785 { .. } => "MAX31785",
            FanControl::Emc2305 { .. } => "EMC2305",
        })
        .collect();
    assert_eq!(fans.len(), 3);
    let controllers: HashSet<_> = bench
        .board
        .chains
        .iter()
        .map(
            |chain| match chain.voltage_controller.as_ref().unwrap().part {
                VoltageControllerPart::Pic16f1704 => "PIC16F1704",
                VoltageControllerPart::Dspic33ep => "dsPIC33EP",
            },
        )
        .collect();
    assert_eq!(controllers.len(), 2);
    for (part, text) in [(SupplyPart::Apw9, "apw9"), (SupplyPart::Apw12, "apw12")] {
        assert_eq!(Bench::with_apw(text).board.supply.unwrap().part, part);
    }
}
