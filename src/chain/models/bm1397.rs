//! BM1397, as on the S17: the host rolls versions and sends midstates. Values: ESP-Miner `bm1397.c` and the captures that
//! it follows.

use crate::chain::baud::UartBaud;
use crate::chain::bringup::{Line, Script};
use crate::chain::frame::ReplyFormat;
use crate::chain::hcn::Sweep;
use crate::chain::model::{Addressing, ChipModel, JobFormat, JobNumber, PlaceRule};
use crate::chain::pll::PllRange;
use crate::chain::registers::{CoreMailbox, Misc, Register};
use cgminer_hal::units::Megahertz;

/// BM1397, given four versions a job.
pub static BM1397: ChipModel = ChipModel {
    name: "BM1397",
    chip_id: 0x1397,
    sweep: Sweep {
        cores: 168,
        subcores: 4,
        guard: 0,
    },
    has_hash_counting_number: false,
    job: JobFormat::Midstates(4),
    job_number: JobNumber::MIDSTATES,
    reply: ReplyFormat::Nine,
    place: PlaceRule::Address,
    addressing: Addressing {
        interval: None,
        all_slots: false,
        inactive_times: 3,
    },
    pll: PllRange {
        feedback_min: 60,
        feedback_max: 200,
        post_less_one: false,
        has_high_range: false,
        lowest: Megahertz(56.25),
        highest: Megahertz(700.0),
    },
    baud: UartBaud {
        register: Register::MISC_CONTROL,
        base: 0x0000_6031,
    },
    script: SCRIPT,
};

/// BM1397 for pools without version rolling: one midstate a job.
pub static BM1397_ONE_MIDSTATE: ChipModel = ChipModel {
    name: "BM1397-1",
    job: JobFormat::Midstates(1),
    ..BM1397
};

/// As every public driver writes it; its fields are not public.
const CORES: CoreMailbox = CoreMailbox::all(0x00, 0x74);
const PLL3: u32 = 0xC070_0111;
const FAST_UART: u32 = 0x0600_000F;
const PLL0_DIVIDERS: u32 = 0x0F0F_0F00;

const SCRIPT: Script = Script {
    prepare: &[
        Line::Reset,
        Line::CountChips,
        Line::Addresses,
        Line::Settle,
        Line::Write(Register::CLOCK_ORDER_CONTROL0, 0),
        Line::Write(Register::CLOCK_ORDER_CONTROL1, 0),
        Line::Write(Register::ORDERED_CLOCK_ENABLE, 1),
        Line::Write(Register::CORE_MAILBOX, CORES.encode()),
        Line::TicketMask,
        Line::Write(Register::PLL3_PARAMETER, PLL3),
        Line::Write(Register::UART_BAUD, FAST_UART),
        Line::Write(Register::MISC_CONTROL, Misc::BM1397_RESET_BAUD.0),
        Line::Settle,
        Line::Ramp {
            before: &[(Register::PLL0_DIVIDER, PLL0_DIVIDERS)],
            times: 2,
        },
        Line::Baud,
    ],
    open: &[],
};
