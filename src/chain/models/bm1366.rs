//! BM1366, as on the S19 XP and S19k Pro. Values: ESP-Miner `bm1366.c` (from an S19 XP dump) and captures quoted there.

use crate::chain::baud::UartBaud;
use crate::chain::bringup::{Line, Script};
use crate::chain::frame::ReplyFormat;
use crate::chain::hcn::Sweep;
use crate::chain::model::{Addressing, ChipModel, JobFormat, JobNumber, PlaceRule};
use crate::chain::pll::PllRange;
use crate::chain::registers::{AnalogMux, CoreMailbox, IoDrive, Misc, Register, SoftReset};
use cgminer_hal::units::Megahertz;

/// BM1366.
pub static BM1366: ChipModel = ChipModel {
    name: "BM1366",
    chip_id: 0x1366,
    sweep: Sweep {
        cores: 112,
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
        all_slots: false,
        inactive_times: 1,
    },
    pll: PllRange {
        feedback_min: 144,
        feedback_max: 235,
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
const CLOCK_DELAY: CoreMailbox = CoreMailbox::all(0x00, 0x20);
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
        Line::DomainRelays,
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
