//! BM1362, as on the S19j Pro: 126 chips in 42 domains of three. Values: capture in mujina REFERENCE.md.

use crate::chain::baud::UartBaud;
use crate::chain::bringup::{Line, Script};
use crate::chain::frame::ReplyFormat;
use crate::chain::hcn::Sweep;
use crate::chain::model::{Addressing, ChipModel, JobFormat, JobNumber, PlaceRule};
use crate::chain::pll::PllRange;
use crate::chain::registers::{AnalogMux, CoreMailbox, IoDrive, Misc, Register, SoftReset};
use cgminer_hal::units::Megahertz;

/// BM1362.
pub static BM1362: ChipModel = ChipModel {
    name: "BM1362",
    chip_id: 0x1362,
    sweep: Sweep {
        cores: 65,
        subcores: 8,
        guard: 200,
    },
    has_hash_counting_number: true,
    job: JobFormat::FullHeader,
    job_number: JobNumber::FIVE_BITS,
    reply: ReplyFormat::Eleven,
    place: PlaceRule::Address,
    addressing: Addressing {
        interval: None,
        all_slots: true,
        inactive_times: 1,
    },
    pll: PllRange {
        feedback_min: 160,
        feedback_max: 239,
        post_less_one: true,
        has_high_range: true,
        lowest: Megahertz(56.25),
        highest: Megahertz(800.0),
    },
    baud: UartBaud {
        register: Register::UART_BAUD,
        base: 0x1130_0000,
    },
    script: SCRIPT,
};

const CLOCK_SELECT: CoreMailbox = CoreMailbox::all(0x05, 0x40);
const CLOCK_DELAY: CoreMailbox = CoreMailbox::all(0x00, 0x08);
const CORE_ENABLE: CoreMailbox = CoreMailbox::all(0x02, 0xAA);

const SCRIPT: Script = Script {
    prepare: &[
        Line::Reset,
        Line::VersionRolling,
        Line::CountChips,
        Line::VersionRolling,
        Line::VersionRolling,
        Line::Write(Register::SOFT_RESET_CONTROL, SoftReset::BM1362_DEFAULT.0),
        Line::Write(Register::MISC_CONTROL, Misc::BM1362_OPEN.0),
        Line::Settle,
        Line::Addresses,
        Line::Settle,
        Line::Write(Register::CORE_MAILBOX, CLOCK_SELECT.encode()),
        Line::Write(Register::CORE_MAILBOX, CLOCK_DELAY.encode()),
        Line::TicketMask,
        Line::Write(Register::ANALOG_MUX, AnalogMux::NORMAL.encode()),
        Line::Write(Register::IO_DRIVER_STRENGTH, IoDrive::WEAK.0),
        Line::Settle,
        Line::Baud,
        // Before the chips' own settings, unlike on later models.
        Line::Ramp {
            before: &[],
            times: 1,
        },
        Line::EachChip(&[
            (Register::SOFT_RESET_CONTROL, SoftReset::BM1362_CORES.0),
            (Register::MISC_CONTROL, Misc::BM1362_OPEN.0),
            (Register::CORE_MAILBOX, CLOCK_SELECT.encode()),
            (Register::CORE_MAILBOX, CLOCK_DELAY.encode()),
            (Register::CORE_MAILBOX, CORE_ENABLE.encode()),
        ]),
        Line::Settle,
    ],
    open: &[Line::HashCountingNumber, Line::VersionRolling],
};
