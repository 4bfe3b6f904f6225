//! Which board this is. Pure: what was read comes in, a board or a refusal comes out.
//!
//! ```text
//! device tree's model, name from config ─► candidates ─► lines and EEPROMs are read ─► confirm ─► power
//!                                             └► refused                                  └► refused
//! ```
//!
//! [`crate::recognise`] does the reading. A refusal says what was read. Nothing of a machine that is not known may get power.

use crate::file::{BoardFile, Catalog};
use crate::parts::PartError;
use crate::parts::eeprom::HashBoardIdentity;
use std::fmt;
use thiserror::Error;

/// What was read at one hash-board connector.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// What the presence line says; none where there is no such line.
    pub present: Option<bool>,
    /// What the EEPROM holds; none where there is none or nothing is plugged in.
    pub eeprom: Option<Result<HashBoardIdentity, PartError>>,
}

/// Why a machine gets no power.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DetectError {
    /// Config names a board that there is no file for.
    #[error(
        "unknown board: config names {name:?}, there are {known}; correct the name or add a board file"
    )]
    UnknownName {
        /// Name in config.
        name: String,
        /// Names that there are.
        known: String,
    },
    /// The device tree's model is that of no board.
    #[error(
        "unknown board: the device tree's model is {model}; if it is one of {known}, name it in config"
    )]
    UnknownModel {
        /// What was read.
        model: Model,
        /// Names that there are.
        known: String,
    },
    /// It is that of several, and nothing tells them apart.
    #[error(
        "unknown board: the device tree's model {model} is that of {boards}, and the hash boards' EEPROMs do not say which; name one in config"
    )]
    Ambiguous {
        /// What was read.
        model: Model,
        /// Boards that it fits.
        boards: String,
    },
    /// Config names one board, the device tree another.
    #[error(
        "unknown board: config names {name}, which has the model {expected:?}, but the device tree says {model}"
    )]
    OtherModel {
        /// Board in config.
        name: String,
        /// Models of that board.
        expected: Vec<String>,
        /// What was read.
        model: Model,
    },
    /// A hash board is not of the kind that belongs here, or cannot say.
    #[error("unknown hash board in slot {slot}: {read}; {name} takes {expected:?}")]
    OtherHashBoard {
        /// Connector, counted from 0.
        slot: usize,
        /// What was read.
        read: String,
        /// The board.
        name: String,
        /// Beginnings of the names that belong here.
        expected: Vec<String>,
    },
    /// Fewer or more connectors were read than there are.
    #[error("{read} connectors were read, {name} has {expected}")]
    Slots {
        /// Connectors read.
        read: usize,
        /// The board.
        name: String,
        /// Connectors that it has.
        expected: usize,
    },
    /// Nothing is plugged in.
    #[error("no hash board is plugged into {name}: {read}")]
    Empty {
        /// The board.
        name: String,
        /// What was read.
        read: String,
    },
}

/// The device tree's model, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model(Option<String>);

impl fmt::Display for Model {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(model) => write!(formatter, "{model:?}"),
            None => formatter.write_str("missing"),
        }
    }
}

/// The boards that a machine can be: the one that config names, if the device tree does not contradict; else all whose
/// model the device tree has.
///
/// # Errors
/// When there is none.
pub fn candidates<'a>(
    catalog: &'a Catalog,
    named: Option<&str>,
    model: Option<&str>,
) -> Result<Vec<&'a BoardFile>, DetectError> {
    let known = || names(catalog.iter());
    if let Some(name) = named {
        let board = catalog.get(name).map_err(|_| DetectError::UnknownName {
            name: name.to_owned(),
            known: known(),
        })?;
        return allows(board, model).map(|()| vec![board]);
    }
    let fitting: Vec<_> = catalog
        .iter()
        .filter(|board| has_model(board, model))
        .collect();
    if fitting.is_empty() {
        return Err(DetectError::UnknownModel {
            model: Model(model.map(str::to_owned)),
            known: known(),
        });
    }
    Ok(fitting)
}

/// Whether the device tree lets a machine be this board.
///
/// # Errors
/// When it says that it is another.
pub fn allows(board: &BoardFile, model: Option<&str>) -> Result<(), DetectError> {
    if board.detect.device_tree.is_empty() || has_model(board, model) {
        return Ok(());
    }
    Err(DetectError::OtherModel {
        name: board.name.clone(),
        expected: board.detect.device_tree.clone(),
        model: Model(model.map(str::to_owned)),
    })
}

/// What to say when a machine could be any of these.
#[must_use]
pub fn undecided(boards: &[&BoardFile], model: Option<&str>) -> DetectError {
    DetectError::Ambiguous {
        model: Model(model.map(str::to_owned)),
        boards: names(boards.iter().copied()),
    }
}

/// Holds a board to what its connectors read; gives the connectors that have a hash board.
///
/// One supply feeds all of them, so a single hash board of an unknown kind keeps the whole machine without power.
pub fn confirm(board: &BoardFile, slots: &[Slot]) -> Result<Vec<usize>, DetectError> {
    if slots.len() != board.chains.len() {
        return Err(DetectError::Slots {
            read: slots.len(),
            name: board.name.clone(),
            expected: board.chains.len(),
        });
    }
    let mut populated = Vec::new();
    for (index, (slot, chain)) in slots.iter().zip(&board.chains).enumerate() {
        if slot.is_populated(chain.eeprom.is_some()) {
            if let Some(read) = slot.stranger(&board.detect.eeprom_board) {
                return Err(DetectError::OtherHashBoard {
                    slot: index,
                    read,
                    name: board.name.clone(),
                    expected: board.detect.eeprom_board.clone(),
                });
            }
            populated.push(index);
        }
    }
    if populated.is_empty() {
        let read = slots
            .iter()
            .enumerate()
            .map(|(index, slot)| format!("slot {index} {slot}"));
        let read = read.collect::<Vec<_>>().join(", ");
        return Err(DetectError::Empty {
            name: board.name.clone(),
            read,
        });
    }
    Ok(populated)
}

impl Slot {
    /// The presence line decides; without one, the EEPROM that should answer; without that too, a board is taken to be
    /// there, as nothing says otherwise.
    fn is_populated(&self, has_eeprom: bool) -> bool {
        match (self.present, &self.eeprom) {
            (Some(present), _) => present,
            (None, Some(read)) => read.is_ok(),
            (None, None) => !has_eeprom,
        }
    }

    /// What is wrong with the hash board, if only some kinds are allowed.
    fn stranger(&self, allowed: &[String]) -> Option<String> {
        if allowed.is_empty() {
            return None;
        }
        match &self.eeprom {
            Some(Ok(identity))
                if allowed
                    .iter()
                    .any(|start| identity.board_name.starts_with(start)) =>
            {
                None
            }
            Some(Ok(identity)) => Some(format!("its EEPROM names it {:?}", identity.board_name)),
            Some(Err(error)) => Some(error.to_string()),
            None => Some("it has no EEPROM that could be read".to_owned()),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.present, &self.eeprom) {
            (Some(true), None) => formatter.write_str("has a board"),
            (Some(true), Some(Err(error))) => {
                write!(formatter, "has a board that does not say which: {error}")
            }
            (Some(false), _) => formatter.write_str("is empty by its presence line"),
            (_, Some(Ok(identity))) => write!(formatter, "has a {}", identity.board_name),
            (None, Some(Err(error))) => write!(formatter, "does not answer: {error}"),
            (None, None) => formatter.write_str("was not looked at"),
        }
    }
}

fn has_model(board: &BoardFile, model: Option<&str>) -> bool {
    model.is_some_and(|model| {
        board
            .detect
            .device_tree
            .iter()
            .any(|known| known.eq_ignore_ascii_case(model))
    })
}

fn names<'a>(boards: impl Iterator<Item = &'a BoardFile>) -> String {
    boards
        .map(|board| board.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
