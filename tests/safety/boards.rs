//! Every compiled-in board file on an emulated machine that is wired as it says: it comes up, and it is cut.

use crate::rig::{Plan, Rig};
use cgminer_board::file::{
    BoardFile, Catalog, FanControl, Role, SensorPart, SensorSpec, SupplyPart, VoltageControllerPart,
};
use cgminer_emulator::chain::ChipType;
use cgminer_emulator::fault::Fault;
use cgminer_emulator::machine::{
    self as emulated, ChainWiring, ControllerPart, ControllerWiring, EepromWiring,
    FanControllerPart, FanControllerWiring, FanWiring, MachineSettings, Place, SensorWiring,
    SupplyWiring,
};
use cgminer_rs::keeper::State;
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn every_board_file_reaches_power_and_loses_it_when_a_sensor_says_so() {
    let boards = Catalog::load(None).unwrap();
    let mut count = 0;
    for board in boards.iter() {
        count += 1;
        let name = &board.name;
        let mut rig = Rig::start(Plan {
            machine: wired_as(board),
            board: board.clone(),
            ..Plan::l7()
        });
        let running = rig
            .wait(Duration::from_secs(180), |seen| seen.is(State::Running))
            .await;
        assert!(running.is_some(), "{name}: {:?}", rig.snapshot());
        rig.run(Duration::from_secs(120)).await;
        let truth = rig.control.truth();
        assert!(
            truth.boards.iter().all(|board| board.rail_mv > 11_000.0),
            "{name}: {truth:?}"
        );
        let snapshot = rig.snapshot().unwrap();
        assert_eq!(snapshot.last_cause, None, "{name}");
        assert!(
            snapshot.sensors.iter().all(|sensor| sensor.fault.is_none()),
            "{name}: {snapshot:?}"
        );

        rig.inject(Fault::SensorJump {
            sensor: board.sensors[0].name.clone(),
            celsius: 60.0,
        });
        let off = rig
            .wait(Duration::from_secs(10), |seen| seen.is_rail_off())
            .await;
        assert!(off.is_some(), "{name}: {:?}", rig.snapshot());
        rig.run(Duration::from_secs(2)).await;
        let snapshot = rig.snapshot().unwrap();
        let cause = snapshot.last_cause.as_ref().unwrap().to_string();
        assert!(cause.starts_with(&board.sensors[0].name), "{name}: {cause}");
        assert!(
            snapshot
                .chains
                .iter()
                .all(|chain| chain.reset_held == Some(true)),
            "{name}: {snapshot:?}"
        );
    }
    assert!(count >= 6, "{count} board files");
}

/// A machine with every part that the file names, where it names it.
fn wired_as(board: &BoardFile) -> MachineSettings {
    let l7 = MachineSettings::l7().unwrap();
    let mut seen = BTreeMap::new();
    let mut controllers: BTreeMap<(String, u8), Vec<String>> = BTreeMap::new();
    for fan in &board.fans {
        if let FanControl::Emc2305 { bus, address, .. } = &fan.control {
            let fans = controllers.entry((bus.clone(), *address)).or_default();
            fans.push(fan.name.clone());
        }
    }
    MachineSettings {
        model: board
            .detect
            .device_tree
            .first()
            .cloned()
            .unwrap_or_default(),
        search: emulated::SearchSettings {
            hashes_per_second: 30_000.0,
            ..l7.search
        },
        chains: board
            .chains
            .iter()
            .map(|chain| ChainWiring {
                chip: ChipType::Bm1362,
                chips: 1,
                uart: chain.uart.device.clone(),
                reset: chain.reset.clone(),
                presence: chain.presence.clone(),
            })
            .collect(),
        sensors: board
            .sensors
            .iter()
            .map(|sensor| sensor_wiring(sensor, &mut seen))
            .collect(),
        fans: board
            .fans
            .iter()
            .map(|fan| FanWiring {
                name: fan.name.clone(),
                pwm: match &fan.control {
                    FanControl::Pwm { pwm } => Some(pwm.clone()),
                    _ => None,
                },
                tach: fan.tach.clone(),
                full_rpm: fan.full_rpm.0,
            })
            .collect(),
        supply: board.supply.as_ref().map(|supply| SupplyWiring {
            part: match supply.part {
                SupplyPart::Apw9 => emulated::SupplyPart::Apw9,
                SupplyPart::Apw12 => emulated::SupplyPart::Apw12,
                SupplyPart::Pmbus => emulated::SupplyPart::Pmbus,
            },
            bus: supply.bus.clone(),
            address: supply.address,
            enable: supply.enable.clone(),
            rated_w: supply.rated_w.0,
        }),
        eeproms: board
            .chains
            .iter()
            .filter_map(|chain| chain.eeprom.as_ref())
            .map(|eeprom| EepromWiring {
                bus: eeprom.bus.clone(),
                address: eeprom.address,
                image: None,
            })
            .collect(),
        controllers: board
            .chains
            .iter()
            .enumerate()
            .filter_map(|(chain, spec)| Some((chain, spec.voltage_controller.as_ref()?)))
            .map(|(chain, spec)| ControllerWiring {
                part: match spec.part {
                    VoltageControllerPart::Pic16f1704 => ControllerPart::Pic16f1704,
                    VoltageControllerPart::Dspic33ep => ControllerPart::Dspic33ep,
                },
                bus: spec.bus.clone(),
                address: spec.address,
                chain,
            })
            .collect(),
        fan_controllers: controllers
            .into_iter()
            .map(|((bus, address), fans)| FanControllerWiring {
                part: FanControllerPart::Emc2305,
                bus,
                address,
                fans,
            })
            .collect(),
        watchdogs: board
            .watchdog
            .iter()
            .map(|watchdog| watchdog.device.clone())
            .collect(),
        adcs: Vec::new(),
        leds: Vec::new(),
        lines: Vec::new(),
        ..l7
    }
}

/// The first sensor of a board sits where the air comes in, the next where it goes out.
fn sensor_wiring(sensor: &SensorSpec, seen: &mut BTreeMap<u8, usize>) -> SensorWiring {
    let place = |role| match (role, sensor.chain) {
        (Role::Chip, Some(chain)) => Place::Chip {
            chain: chain.into(),
        },
        (_, None) | (Role::Inlet, _) => Place::Inlet,
        (Role::Pcb, Some(chain)) if seen.get(&chain) == Some(&1) => Place::BoardOutlet {
            chain: chain.into(),
        },
        (Role::Pcb, Some(chain)) => Place::BoardInlet {
            chain: chain.into(),
        },
    };
    let (at, remotes) = (
        place(sensor.role),
        sensor.remotes.iter().map(|role| place(*role)).collect(),
    );
    if let Some(chain) = sensor.chain {
        *seen.entry(chain).or_default() += 1;
    }
    SensorWiring {
        name: sensor.name.clone(),
        part: match sensor.part {
            SensorPart::Lm75 => emulated::SensorPart::Tmp75,
            SensorPart::Tmp451 => emulated::SensorPart::Tmp451,
            SensorPart::Tmp421 => emulated::SensorPart::Tmp421,
            SensorPart::Emc1413 => emulated::SensorPart::Emc1413,
        },
        bus: sensor.bus.clone(),
        address: sensor.address,
        at,
        remotes,
    }
}
