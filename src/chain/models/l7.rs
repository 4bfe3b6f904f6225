//! The L7: a profile of our own, of the BM1362's class. `docs/l7.md` tells every number and where it comes from; no public
//! document of the machine exists, and nothing here has run on one.

use super::BM1362;
use crate::chain::model::ChipModel;
use crate::chain::pll::PllRange;
use cgminer_hal::units::Megahertz;

/// Chips of the L7.
pub static L7: ChipModel = ChipModel {
    name: "L7",
    pll: PllRange {
        lowest: Megahertz(400.0),
        highest: Megahertz(800.0),
        ..BM1362.pll
    },
    ..BM1362
};
