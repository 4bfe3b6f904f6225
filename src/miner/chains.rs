//! What each chain is run with, out of the board file, the owner's settings and what the machine declares of itself.

use crate::chain::models;
use crate::chain::ticket_mask::SILICON_ZERO_BITS;
use crate::chain::{ChainSettings, Deadlines, Pacing, RestartPolicy, SettingsError, TicketMask};
use crate::config::ChainsSection;
use crate::work::{ChainIndex, Extranonce2Partition};
use cgminer_board::file::BoardFile;
use std::sync::Arc;
use thiserror::Error;

/// How the chips at hand differ from silicon. Only a machine that says it is emulated may differ at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChipTraits {
    /// Zero bits of a hash that chips demand before the ticket mask adds its own.
    pub hardwired_zero_bits: u8,
    /// Which nonces chips report.
    pub ticket_mask: TicketMask,
    /// Pauses of the bring-up.
    pub pacing: Pacing,
}

impl ChipTraits {
    /// Chips on silicon.
    pub const SILICON: Self = Self {
        hardwired_zero_bits: SILICON_ZERO_BITS,
        ticket_mask: TicketMask::DIFFICULTY_256,
        pacing: Pacing::CAPTURED,
    };
}

/// A board file and settings that no chain can be run with.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum LayoutError {
    /// The board names chips that there is no driver for.
    #[error("board {board}: no driver for chip {chip:?}; there are: {known}")]
    UnknownChip {
        /// Name of the board.
        board: String,
        /// Name of the chip.
        chip: String,
        /// Names that there are.
        known: String,
    },
    /// The chain driver refuses the settings.
    #[error("board {board}, chain {chain}: {source}")]
    Settings {
        /// Name of the board.
        board: String,
        /// Chain, from 0.
        chain: u8,
        /// What is wrong.
        source: SettingsError,
    },
}

/// Settings of every chain of a board, each with its own part of the extranonce2 space.
///
/// # Errors
/// When a chain could not be run with them.
pub fn chain_settings(
    board: &BoardFile,
    wishes: &ChainsSection,
    traits: ChipTraits,
) -> Result<Arc<[ChainSettings]>, LayoutError> {
    let layout = &board.layout;
    let model = models::by_name(&layout.chip).ok_or_else(|| LayoutError::UnknownChip {
        board: board.name.clone(),
        chip: layout.chip.clone(),
        known: models::ALL.map(|model| model.name).join(", "),
    })?;
    let chains = board.chains.len() as u32;
    (0..chains)
        .filter_map(|index| {
            let partition = Extranonce2Partition::new(index, chains).ok()?;
            let chain = u8::try_from(index).ok()?;
            Some((chain, partition))
        })
        .map(|(chain, partition)| {
            let settings = ChainSettings {
                chain: ChainIndex(chain),
                model,
                chips: layout.chips,
                domains: layout.domains,
                frequency: wishes.frequency.unwrap_or(layout.frequency.default_mhz),
                frequency_bounds: (layout.frequency.min_mhz, layout.frequency.max_mhz),
                baud: layout.baud,
                ticket_mask: traits.ticket_mask,
                hardwired_zero_bits: traits.hardwired_zero_bits,
                partition,
                pacing: traits.pacing,
                deadlines: Deadlines::default(),
                restarts: RestartPolicy::default(),
            };
            match settings.validate() {
                Ok(()) => Ok(settings),
                Err(source) => Err(LayoutError::Settings {
                    board: board.name.clone(),
                    chain,
                    source,
                }),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cgminer_board::file::Catalog;
    use cgminer_hal::units::Megahertz;
    use std::collections::BTreeSet;

    fn l7() -> BoardFile {
        let catalog = Catalog::load(None).expect("compiled-in files are checked");
        catalog.get("l7").expect("a board of that name").clone()
    }

    #[test]
    fn every_chain_of_the_l7_has_its_own_part_of_the_extranonce2_space() {
        let settings =
            chain_settings(&l7(), &ChainsSection::default(), ChipTraits::SILICON).expect("valid");
        assert_eq!(settings.len(), 3);
        let values: BTreeSet<_> = settings
            .iter()
            .flat_map(|chain| (0..100).filter_map(|k| chain.partition.value(k, 4)))
            .map(|extranonce2| extranonce2.value)
            .collect();
        assert_eq!(values.len(), 300, "no two chains share a value");
    }

    #[test]
    fn a_frequency_outside_the_board_file_is_refused() {
        let wishes = ChainsSection {
            frequency: Some(Megahertz(900.0)),
            ..ChainsSection::default()
        };
        let error = chain_settings(&l7(), &wishes, ChipTraits::SILICON).expect_err("too fast");
        assert!(
            matches!(error, LayoutError::Settings { chain: 0, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_chip_without_a_driver_is_named() {
        let mut board = l7();
        board.layout.chip = "BM9999".into();
        let error = chain_settings(&board, &ChainsSection::default(), ChipTraits::SILICON)
            .expect_err("unknown");
        assert!(error.to_string().contains("BM9999"), "{error}");
    }
}
