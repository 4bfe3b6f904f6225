//! Supplies.

use super::bench::{BOARD, Bench, MACHINE, near};
use cgminer_board::parts::{Problem, SupplyReply, SupplyRequest};
use cgminer_emulator::fault::Fault;
use cgminer_hal::devices::Devices;
use cgminer_hal::units::Millivolts;

#[test]
fn a_pmbus_supply_with_and_without_its_code_is_set_switched_and_measured() {
    for board in [BOARD.to_owned(), BOARD.replace("pec = true", "pec = false")] {
        let mut bench = Bench::described(&board, MACHINE);
        let mut supply = bench.supply();
        let supply = supply.as_mut();
        let SupplyReply::Identity(name) = bench.ask(supply, SupplyRequest::Identify).unwrap()
        else {
            panic!("no identity")
        };
        assert!(!name.is_empty());
        assert_eq!(
            bench.ask(supply, SupplyRequest::Switch(false)),
            Ok(SupplyReply::Done)
        );
        bench.wait(15_000);
        assert!(bench.rail() < 3_000.0, "{}", bench.rail());
        let wanted = Millivolts(12_800);
        let set = bench
            .ask(supply, SupplyRequest::SetVoltage(wanted))
            .unwrap();
        let SupplyReply::Set(set) = set else {
            panic!("{set:?}")
        };
        assert!(set.0.abs_diff(wanted.0) <= 10, "{set}");
        assert_eq!(
            bench.ask(supply, SupplyRequest::Switch(true)),
            Ok(SupplyReply::Done)
        );
        bench.wait(5_000);
        assert!(near(bench.rail(), 12_800.0, 20.0), "{}", bench.rail());
        let measured = bench.measured(supply);
        assert!(
            near(measured.volts.0 as f32, bench.rail(), 20.0),
            "{measured:?}"
        );
        assert!(!measured.tripped);
        bench.inject(Fault::SupplyTrip);
        bench.wait(100);
        assert!(bench.measured(supply).tripped);
        let high = bench.ask(supply, SupplyRequest::SetVoltage(Millivolts(15_001)));
        let problem = high.unwrap_err().problem;
        assert!(matches!(problem, Problem::OutOfRange { .. }), "{problem:?}");
    }
}

#[test]
fn damage_on_the_way_from_a_pmbus_supply_is_seen_by_its_code() {
    let mut bench = Bench::new();
    let mut supply = bench.supply();
    bench.ask(supply.as_mut(), SupplyRequest::Identify).unwrap();
    bench.inject(Fault::SupplyBadChecksum);
    let error = bench
        .ask(supply.as_mut(), SupplyRequest::Measure)
        .unwrap_err();
    assert!(matches!(error.problem, Problem::Damaged(_)), "{error}");
}

#[test]
fn both_apw_supplies_are_known_set_fed_and_measured_and_their_faults_told() {
    for part in ["apw9", "apw12"] {
        let mut bench = Bench::with_apw(part);
        let line = bench.board.supply.clone().unwrap().enable.unwrap();
        let mut enable = bench.devices.output_signal(&line, false).unwrap();
        let mut supply = bench.supply();
        let supply = supply.as_mut();
        let name = bench.ask(supply, SupplyRequest::Identify).unwrap();
        let SupplyReply::Identity(name) = name else {
            panic!("{name:?}")
        };
        assert!(name.to_lowercase().starts_with(part), "{name}");
        let wanted = Millivolts(14_600);
        let set = bench
            .ask(supply, SupplyRequest::SetVoltage(wanted))
            .unwrap();
        let SupplyReply::Set(set) = set else {
            panic!("{set:?}")
        };
        assert!(set.0.abs_diff(wanted.0) <= 30, "{part}: {set}");
        let read = bench.ask(supply, SupplyRequest::Setting).unwrap();
        assert_eq!(read, SupplyReply::Setting(set), "{part}");
        enable.set(true).unwrap();
        bench.wait(5_000);
        assert!(
            near(bench.rail(), set.0 as f32, 30.0),
            "{part}: {}",
            bench.rail()
        );
        let measured = bench.ask(supply, SupplyRequest::Measure);
        match measured {
            Ok(SupplyReply::Measured(measured)) => {
                assert!(
                    near(measured.volts.0 as f32, bench.rail(), 40.0),
                    "{measured:?}"
                );
            }
            // The scale of an APW9's measurement is not public.
            Err(error) => assert!(
                part == "apw9" && matches!(error.problem, Problem::Unsupported(_)),
                "{part}: {error}"
            ),
            other => panic!("{other:?}"),
        }
        // Its watchdog lets go of the rail when it is not fed, and not before.
        bench.ask(supply, SupplyRequest::Watchdog(true)).unwrap();
        for _ in 0..4 {
            bench.wait(5_000);
            bench.ask(supply, SupplyRequest::Setting).unwrap();
        }
        assert!(bench.rail() > 14_000.0, "{part}: fed");
        bench.wait(40_000);
        assert!(
            bench.rail() < 3_000.0,
            "{part}: starved at {}",
            bench.rail()
        );
        for (fault, told) in [
            (Fault::SupplyNak, "acknowledge"),
            (Fault::SupplyBadChecksum, "sum"),
            (Fault::SupplySilent, ""),
        ] {
            let id = bench.inject(fault.clone());
            let error = bench
                .ask(supply, SupplyRequest::Setting)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("0x10") && error.contains(told),
                "{fault:?}: {error}"
            );
            bench.control.clear(id);
        }
        assert!(
            bench.ask(supply, SupplyRequest::Setting).is_ok(),
            "{part}: it comes back"
        );
    }
}
