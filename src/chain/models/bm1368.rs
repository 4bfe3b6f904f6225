//! BM1368, as on the S21. Values: ESP-Miner `bm1368.c`; the order is that of the captured chains of its neighbours, since
//! no capture of an S21's bring-up is public.

use super::BM1366;
use crate::chain::bringup::{Line, Script};
use crate::chain::hcn::Sweep;
use crate::chain::model::{ChipModel, JobNumber, PlaceRule};
use crate::chain::registers::{
    AnalogMux, CoreMailbox, IoDrive, Misc, RING_OSCILLATOR_PADS_OFF, Register, SoftReset,
};

/// BM1368.
pub static BM1368: ChipModel = ChipModel {
    name: "BM1368",
    chip_id: 0x1368,
    sweep: Sweep {
        // Published counts of sub-cores (1276) give a little less than 80; the slice is the same from 65 on.
        cores: 80,
        subcores: 16,
        guard: 200,
    },
    job_number: JobNumber::FOUR_BITS,
    // As ESP-Miner reads it; no chain capture confirms it.
    place: PlaceRule::Address,
    script: SCRIPT,
    ..BM1366
};

const CLOCK_SELECT: CoreMailbox = CoreMailbox::all(0x0B, 0x00);
const CLOCK_DELAY: CoreMailbox = CoreMailbox::all(0x00, 0x18);
const CORE_ENABLE: CoreMailbox = CoreMailbox::all(0x02, 0xAA);

const SCRIPT: Script = Script {
    prepare: &[
        Line::Reset,
        Line::VersionRolling,
        Line::VersionRolling,
        Line::VersionRolling,
        Line::CountChips,
        Line::Write(Register::SOFT_RESET_CONTROL, SoftReset::DEFAULT.0),
        Line::Write(Register::MISC_CONTROL, Misc::BM1366_BROADCAST.0),
        Line::Settle,
        Line::Addresses,
        Line::Settle,
        Line::Write(Register::CORE_MAILBOX, CLOCK_SELECT.encode()),
        Line::Write(Register::CORE_MAILBOX, CLOCK_DELAY.encode()),
        Line::TicketMask,
        Line::Write(Register::ANALOG_MUX, AnalogMux::NORMAL.encode()),
        Line::Write(Register::IO_DRIVER_STRENGTH, IoDrive::BM1366.0),
        Line::Write(Register::PLL3_PARAMETER, RING_OSCILLATOR_PADS_OFF),
        Line::Settle,
        Line::Baud,
        Line::EachChip(&[
            (Register::SOFT_RESET_CONTROL, SoftReset::CORES.0),
            (Register::MISC_CONTROL, Misc::OPEN.0),
            (Register::CORE_MAILBOX, CLOCK_SELECT.encode()),
            (Register::CORE_MAILBOX, CLOCK_DELAY.encode()),
            (Register::CORE_MAILBOX, CORE_ENABLE.encode()),
        ]),
        Line::Settle,
        Line::Ramp {
            before: &[],
            times: 1,
        },
    ],
    open: &[Line::HashCountingNumber, Line::VersionRolling],
};
