//! Which board a machine is, and what it says when it is none.

use super::{hex, vectors};
use cgminer_board::assembly;
use cgminer_board::detect::{DetectError, Slot, candidates, confirm};
use cgminer_board::file::{BoardFile, Catalog};
use cgminer_board::parts::eeprom::HashBoardIdentity;
use cgminer_board::recognise::{RecogniseError, recognise, recognise_as};
use cgminer_hal::emulated::{I2cDevice, Wiring};

fn catalog() -> Catalog {
    Catalog::load(None).unwrap()
}

fn identity(board_name: &str) -> HashBoardIdentity {
    HashBoardIdentity {
        layout: 4,
        serial: "KPMIYNRBBJDBH1985".into(),
        chip_die: "ED".into(),
        chip_marking: "P1CH22AH42".into(),
        chip_bin: 1,
        pcb_version: 0x0170,
        bom_version: 0x0010,
        board_name: board_name.into(),
        test: None,
    }
}

/// The one board that a machine can be.
fn choose<'a>(
    catalog: &'a Catalog,
    named: Option<&str>,
    model: Option<&str>,
) -> Result<&'a BoardFile, DetectError> {
    let fitting = candidates(catalog, named, model)?;
    assert_eq!(fitting.len(), 1, "{model:?}");
    Ok(fitting[0])
}

fn slot(present: Option<bool>, name: Option<&str>) -> Slot {
    Slot {
        present,
        eeprom: name.map(|name| Ok(identity(name))),
    }
}

#[test]
fn a_board_is_chosen_by_the_whole_model_of_its_device_tree() {
    let catalog = catalog();
    for (model, board) in [
        ("AST2600 EVB", "qemu-ast2600"),
        ("ast2600 evb", "qemu-ast2600"),
        (
            "BeagleBone_Black_v2.1 on S19J_IO_BOARD_V2_0",
            "am335x-s19jpro",
        ),
        ("CGMiner-RS emulated machine", "emulated"),
    ] {
        assert_eq!(choose(&catalog, None, Some(model)).unwrap().name, board);
    }
    for stranger in [
        "TI AM335x BeagleBone Black",
        "AST2600 EVB A1",
        "",
        "Amlogic",
    ] {
        let error = choose(&catalog, None, Some(stranger)).unwrap_err();
        assert!(
            matches!(error, DetectError::UnknownModel { .. }),
            "{stranger:?}: {error}"
        );
        assert!(
            error.to_string().contains(&format!("{stranger:?}")),
            "{error}"
        );
    }
    let error = choose(&catalog, None, None).unwrap_err();
    assert!(error.to_string().contains("model is missing"), "{error}");
}

#[test]
fn a_name_in_config_is_believed_only_where_the_model_does_not_contradict() {
    let catalog = catalog();
    assert_eq!(
        choose(&catalog, Some("a113d-s19jpro"), Some("Amlogic"))
            .unwrap()
            .name,
        "a113d-s19jpro"
    );
    assert_eq!(choose(&catalog, Some("l7"), None).unwrap().name, "l7");
    let error = choose(
        &catalog,
        Some("am335x-s19jpro"),
        Some("TI AM335x BeagleBone Black"),
    )
    .unwrap_err();
    assert!(
        matches!(error, DetectError::OtherModel { .. }),
        "its lines mean other things there: {error}"
    );
    let error = choose(&catalog, Some("s9"), None).unwrap_err();
    assert!(error.to_string().contains("\"s9\""), "{error}");
}

#[test]
fn the_presence_line_decides_then_the_eeprom() {
    let catalog = catalog();
    let board = catalog.get("am335x-s19jpro").unwrap();
    let good = Some("BHB42603");
    let populated = |slots: [Slot; 3]| confirm(board, &slots);
    assert_eq!(
        populated([
            slot(Some(true), good),
            slot(Some(false), None),
            slot(Some(true), good)
        ]),
        Ok(vec![0, 2])
    );
    assert_eq!(
        populated([slot(None, good), slot(None, None), slot(None, good)]),
        Ok(vec![0, 2])
    );
    let empty = populated([
        slot(Some(false), None),
        slot(Some(false), None),
        slot(Some(false), None),
    ]);
    assert!(
        empty
            .unwrap_err()
            .to_string()
            .contains("slot 2 is empty by its presence line")
    );
    assert!(matches!(
        confirm(board, &[]),
        Err(DetectError::Slots { read: 0, .. })
    ));
}

#[test]
fn one_hash_board_of_another_kind_keeps_the_whole_machine_off() {
    let catalog = catalog();
    let board = catalog.get("am335x-s19jpro").unwrap();
    let good = || slot(Some(true), Some("BHB42603"));
    let error = confirm(board, &[good(), slot(Some(true), Some("BHB56902")), good()]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("slot 1: its EEPROM names it \"BHB56902\""),
        "{error}"
    );
    let error = confirm(board, &[good(), good(), slot(Some(true), None)]).unwrap_err();
    assert!(error.to_string().contains("slot 2"), "{error}");
}

/// A 256-byte EEPROM on an emulated bus.
struct Memory {
    bytes: Vec<u8>,
    pointer: u8,
    written: bool,
}

impl I2cDevice for Memory {
    fn write(&mut self, bytes: &[u8]) -> Result<(), cgminer_hal::emulated::BusError> {
        self.pointer = bytes.first().copied().unwrap_or(self.pointer);
        self.written |= bytes.len() > 1;
        assert!(!self.written, "the EEPROM was written to");
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), cgminer_hal::emulated::BusError> {
        for byte in into {
            *byte = self.bytes[usize::from(self.pointer)];
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}

/// The dump of a real board, from the vectors.
fn dump() -> Vec<u8> {
    let mut bytes = hex(&vectors("eeprom_v4_xxtea")[0], "raw_hex");
    bytes.resize(256, 0xFF);
    bytes
}

/// An emulated machine of a board, with hash boards in slots 0 and 2.
fn machine(board: &BoardFile) -> Wiring {
    let wiring = Wiring::default();
    for (index, chain) in board.chains.iter().enumerate() {
        let presence = chain.presence.as_ref().unwrap();
        wiring.line(&presence.line, index != 1);
        let eeprom = chain.eeprom.as_ref().unwrap();
        if index != 1 {
            let memory = Memory {
                bytes: dump(),
                pointer: 0,
                written: false,
            };
            wiring.bus(&eeprom.bus).attach(eeprom.address, memory);
        }
    }
    wiring
}

#[test]
fn a_machine_is_read_through_its_deny_list_and_confirmed() {
    let catalog = catalog();
    let board = catalog.get("am335x-s19jpro").unwrap();
    let slots = assembly::slots(board, &mut machine(board)).unwrap();
    assert_eq!(confirm(board, &slots), Ok(vec![0, 2]));
    let Some(Ok(identity)) = &slots[0].eeprom else {
        panic!("{:?}", slots[0])
    };
    assert_eq!(identity.serial, "KPMIYNRBBJDBH1985");
    assert_eq!(
        slots[1],
        Slot {
            present: Some(false),
            eeprom: None
        }
    );
}

#[test]
fn a_line_that_is_not_there_stops_detection_with_its_name() {
    let catalog = catalog();
    let board = catalog.get("am335x-s19jpro").unwrap();
    let error = assembly::slots(board, &mut Wiring::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("chain 0: GPIO number 51"), "{error}");
}

#[test]
fn every_part_of_every_board_can_be_assembled_on_an_emulated_machine() {
    for board in catalog().iter() {
        let wiring = Wiring::default();
        for bus in &board.i2c {
            wiring.bus(&bus.bus);
        }
        for fan in &board.fans {
            if let cgminer_board::file::FanControl::Pwm { pwm } = &fan.control {
                wiring.pwm_line(pwm);
            }
            if let Some(tach) = &fan.tach {
                wiring.tach_line(tach);
            }
        }
        let devices = &mut wiring.clone();
        for spec in &board.sensors {
            assembly::sensor(board, spec, devices)
                .unwrap_or_else(|error| panic!("{}: {error}", board.name));
        }
        for spec in &board.fans {
            assembly::fan(board, spec, devices)
                .unwrap_or_else(|error| panic!("{}: {error}", board.name));
        }
        for spec in board
            .chains
            .iter()
            .filter_map(|chain| chain.voltage_controller.as_ref())
        {
            assembly::voltage_controller(board, spec, devices)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        assembly::supply(board, board.supply.as_ref().unwrap(), devices)
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The catalog with a twin of the AM335x board, for hash boards whose names begin like this.
fn twins(hash_board: &[&str]) -> Catalog {
    let directory = tempfile::tempdir().unwrap();
    let mut twin = catalog().get("am335x-s19jpro").unwrap().clone();
    twin.name = "twin".into();
    twin.detect.eeprom_board = hash_board.iter().map(|&name| name.to_owned()).collect();
    let text = toml::to_string(&twin).unwrap();
    std::fs::write(directory.path().join("twin.toml"), text).unwrap();
    Catalog::load(Some(directory.path())).unwrap()
}

#[test]
fn of_two_files_for_one_model_the_hash_boards_choose_and_nobody_guesses() {
    let board = catalog().get("am335x-s19jpro").unwrap().clone();
    let model = board.detect.device_tree[0].clone();
    let mut wiring = machine(&board);
    wiring.set_model(model.clone());
    let read = recognise(&twins(&["BHB569"]), None, &mut wiring).unwrap();
    assert_eq!(read.board.name, "am335x-s19jpro");
    assert_eq!(read.refusal, None);
    assert_eq!(
        read.hash_boards()[0].as_deref(),
        Some("BHB42603 KPMIYNRBBJDBH1985")
    );
    for undecided in [&["BHB426"][..], &[]] {
        let error = recognise(&twins(undecided), None, &mut wiring)
            .unwrap_err()
            .to_string();
        assert!(error.contains("am335x-s19jpro, twin"), "{error}");
        assert!(error.contains(&model), "{error}");
    }
}

#[test]
fn a_known_board_with_a_strange_hash_board_is_recognised_and_refused() {
    let mut board = catalog().get("am335x-s19jpro").unwrap().clone();
    let mut wiring = machine(&board);
    wiring.set_model(board.detect.device_tree[0].clone());
    board.detect.eeprom_board = vec!["BHB569".into()];
    let read = recognise_as(&board, &mut wiring).unwrap();
    let refusal = read.refusal.unwrap().to_string();
    assert!(refusal.contains("slot 0"), "{refusal}");
    wiring.set_model("a toaster");
    assert!(matches!(
        recognise_as(&board, &mut wiring),
        Err(RecogniseError::Detect(DetectError::OtherModel { .. }))
    ));
}

#[test]
fn a_named_board_whose_lines_are_not_there_is_unknown_and_says_which() {
    let error = recognise(&catalog(), Some("l7"), &mut Wiring::default()).unwrap_err();
    assert!(matches!(error, RecogniseError::Devices { .. }));
    assert!(error.to_string().contains("chain 0"), "{error}");
}
