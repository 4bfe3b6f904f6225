//! Asks a machine which board it is. Only reads: no line is driven, no part written to.

use crate::assembly::{self, AssemblyError};
use crate::detect::{DetectError, Slot, candidates, confirm, undecided};
use crate::file::{BoardFile, Catalog};
use cgminer_hal::devices::Devices;
use thiserror::Error;

/// A machine whose wiring is known.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// What the device tree says it is.
    pub model: Option<String>,
    /// Its board file.
    pub board: BoardFile,
    /// What was read at each hash-board connector.
    pub slots: Vec<Slot>,
    /// Why it may have no power all the same.
    pub refusal: Option<DetectError>,
}

/// Why a machine's wiring is not known. Nothing of it may be driven.
#[derive(Debug, Error)]
pub enum RecogniseError {
    /// The device tree cannot be read.
    #[error("unknown board: the device tree's model cannot be read: {0}")]
    Model(#[from] std::io::Error),
    /// No board file, or several.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The only board file there is names devices that are not there.
    #[error(
        "unknown board: it should be {board} with the device tree's model {model:?}, but {source}"
    )]
    Devices {
        /// The board.
        board: String,
        /// What was read.
        model: Option<String>,
        /// Which device, and why.
        source: Box<AssemblyError>,
    },
}

/// Which of the catalog's boards a machine is: the one that is named, or the one that device tree, presence lines and
/// EEPROMs together leave.
///
/// # Errors
/// When none is left, or more than one.
pub fn recognise(
    catalog: &Catalog,
    named: Option<&str>,
    devices: &mut dyn Devices,
) -> Result<Recognised, RecogniseError> {
    let model = devices.model()?;
    let fitting = candidates(catalog, named, model.as_deref())?;
    if let [only] = fitting.as_slice() {
        return hold_to(only, model, devices);
    }
    // Control boards that serve several machines are told apart by the hash boards behind them.
    let mut found = Vec::new();
    for board in &fitting {
        let read = hold_to(board, model.clone(), devices);
        found.extend(
            read.ok()
                .filter(|read| read.refusal.is_none() && read.has_eeprom()),
        );
    }
    match found.pop() {
        Some(only) if found.is_empty() => Ok(only),
        _ => Err(undecided(&fitting, model.as_deref()).into()),
    }
}

/// Holds a machine to one board file, such as the owner's own.
///
/// # Errors
/// When it cannot be that machine.
pub fn recognise_as(
    board: &BoardFile,
    devices: &mut dyn Devices,
) -> Result<Recognised, RecogniseError> {
    let model = devices.model()?;
    crate::detect::allows(board, model.as_deref())?;
    hold_to(board, model, devices)
}

/// Takes a machine for one board file whatever its device tree says: by the owner's explicit word. Gives the
/// contradiction beside, if there is one.
///
/// # Errors
/// When devices of the board file are not there.
pub fn recognise_despite_model(
    board: &BoardFile,
    devices: &mut dyn Devices,
) -> Result<(Recognised, Option<DetectError>), RecogniseError> {
    let model = devices.model()?;
    let contradiction = crate::detect::allows(board, model.as_deref()).err();
    Ok((hold_to(board, model, devices)?, contradiction))
}

fn hold_to(
    board: &BoardFile,
    model: Option<String>,
    devices: &mut dyn Devices,
) -> Result<Recognised, RecogniseError> {
    match assembly::slots(board, devices) {
        Ok(slots) => Ok(Recognised {
            model,
            refusal: confirm(board, &slots).err(),
            board: board.clone(),
            slots,
        }),
        Err(source) => Err(RecogniseError::Devices {
            board: board.name.clone(),
            model,
            source: Box::new(source),
        }),
    }
}

impl Recognised {
    fn has_eeprom(&self) -> bool {
        self.slots
            .iter()
            .any(|slot| matches!(slot.eeprom, Some(Ok(_))))
    }

    /// For each chain without a presence line, whether its hash board's EEPROM does not answer, as if there were none.
    #[must_use]
    pub fn absent(&self) -> Vec<bool> {
        self.slots
            .iter()
            .map(|slot| slot.present.is_none() && matches!(slot.eeprom, Some(Err(_))))
            .collect()
    }

    /// What each connector's hash board is called, by its EEPROM.
    #[must_use]
    pub fn hash_boards(&self) -> Vec<Option<String>> {
        self.slots
            .iter()
            .map(|slot| match &slot.eeprom {
                Some(Ok(identity)) => Some(format!("{} {}", identity.board_name, identity.serial)),
                _ => None,
            })
            .collect()
    }
}
