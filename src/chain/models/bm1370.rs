//! BM1370, as on the S21 Pro: 65 chips in 13 domains of five. Values: captures in mujina REFERENCE.md and ESP-Miner
//! `bm1370.c`.

use crate::chain::baud::UartBaud;
use crate::chain::bringup::{Line, Script};
use crate::chain::frame::ReplyFormat;
use crate::chain::hcn::Sweep;
use crate::chain::model::{Addressing, ChipModel, JobFormat, JobNumber, PlaceRule};
use crate::chain::pll::PllRange;
use crate::chain::registers::{
    AnalogMux, CoreMailbox, IoDrive, Misc, RING_OSCILLATOR_PADS_OFF, Register, SoftReset,
};
use cgminer_hal::units::Megahertz;

/// BM1370.
pub static BM1370: ChipModel = ChipModel {
    name: "BM1370",
    chip_id: 0x1370,
    sweep: Sweep {
        cores: 128,
        subcores: 16,
        // Twice 134, as ESP-Miner keeps back on this model.
        guard: 268,
    },
    has_hash_counting_number: true,
    job: JobFormat::FullHeader,
    job_number: JobNumber::FOUR_BITS,
    reply: ReplyFormat::Eleven,
    place: PlaceRule::Offset,
    addressing: Addressing {
        interval: Some(2),
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
        base: 0x0130_0000,
    },
    script: SCRIPT,
};

const CLOCK_SELECT: CoreMailbox = CoreMailbox::all(0x0B, 0x00);
const CLOCK_DELAY: CoreMailbox = CoreMailbox::all(0x00, 0x0C);
const CORE_ENABLE: CoreMailbox = CoreMailbox::all(0x02, 0xAA);
const NONCE_OVERFLOW_CONTROL: CoreMailbox = CoreMailbox::all(0x0D, 0xEE);
/// Goes with the choice of the diode; not decoded in public.
const ADC_FOR_DIODE: u32 = 0x0000_4480;

const SCRIPT: Script = Script {
    prepare: &[
        Line::Reset,
        Line::VersionRolling,
        Line::VersionRolling,
        Line::VersionRolling,
        Line::CountChips,
        Line::Write(Register::SOFT_RESET_CONTROL, SoftReset::DEFAULT.0),
        Line::Write(Register::MISC_CONTROL, Misc::OPEN.0),
        Line::Settle,
        Line::Addresses,
        Line::Settle,
        Line::Write(Register::CORE_MAILBOX, CLOCK_SELECT.encode()),
        Line::Write(Register::CORE_MAILBOX, CLOCK_DELAY.encode()),
        Line::TicketMask,
        Line::Write(Register::IO_DRIVER_STRENGTH, IoDrive::WEAK.0),
        Line::DomainClocks,
        Line::Write(Register::PLL3_PARAMETER, RING_OSCILLATOR_PADS_OFF),
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
        Line::Write(Register::ADC_CONTROL1, ADC_FOR_DIODE),
        Line::Write(Register::ANALOG_MUX, AnalogMux::DIODE.encode()),
        Line::Write(Register::ADC_CONTROL1, ADC_FOR_DIODE),
        Line::Write(Register::CORE_MAILBOX, NONCE_OVERFLOW_CONTROL.encode()),
        Line::Settle,
        Line::Ramp {
            before: &[],
            times: 1,
        },
    ],
    open: &[
        Line::NonceOffsets,
        Line::HashCountingNumber,
        Line::VersionRolling,
    ],
};
