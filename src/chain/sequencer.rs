//! Runs the steps of a bring-up, one after the other, each with its deadline.

use crate::chain::bringup::{Action, Step};
use crate::chain::error::{ChainError, StepError};
use crate::chain::frame::{Command, Reply, ReplyFormat, Target};
use crate::chain::registers::{ChipId, Register};
use crate::chain::reset::{ResetFuture, ResetLine};
use crate::chain::serial::Serial;
use crate::chain::settings::Deadlines;
use cgminer_hal::units::{Baud, Megahertz};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// What the bring-up came to know, told as it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Progress {
    /// So many chips answered, right or wrong.
    Chips(u16),
    /// The clock was written.
    Frequency(Megahertz),
    /// The host's speed was set.
    Baud(Baud),
    /// So many steps of a hundred are done.
    Percent(u8),
}

/// Runs all steps; `tell` hears of what was found and set.
///
/// # Errors
/// At the first step that fails, with its name.
pub(super) async fn run(
    steps: &[Step],
    serial: &mut Serial,
    reset: &mut dyn ResetLine,
    deadlines: &Deadlines,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), ChainError> {
    let mut told = 0;
    for (index, step) in steps.iter().enumerate() {
        let percent = index * 100 / steps.len();
        if percent != told {
            told = percent;
            tell(Progress::Percent(percent as u8));
        }
        let done = act(step, serial, reset, deadlines, tell).await;
        done.map_err(|cause| ChainError::BringUp {
            step: step.name(index + 1, steps.len()),
            cause,
        })?;
        if !step.pause.is_zero() {
            sleep(step.pause).await;
        }
    }
    Ok(())
}

async fn act(
    step: &Step,
    serial: &mut Serial,
    reset: &mut dyn ResetLine,
    deadlines: &Deadlines,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), StepError> {
    match step.action {
        Action::HoldReset => {
            hold(serial, reset, deadlines).await?;
            tell(Progress::Baud(serial.baud()));
        }
        Action::ReleaseReset => {
            in_time(deadlines.reset, reset.release()).await?;
        }
        Action::Send(command) => serial.send(&command.encode()).await?,
        Action::Clock(command, frequency) => {
            serial.send(&command.encode()).await?;
            tell(Progress::Frequency(frequency));
        }
        Action::CountChips { chips, chip_id } => {
            count_chips(chips, chip_id, serial, deadlines, tell).await?;
        }
        Action::ConfirmBaud { chips, chip_id } => {
            let counted = count_chips(chips, chip_id, serial, deadlines, tell).await;
            counted.map_err(|error| not_taken(error, serial.baud()))?;
        }
        Action::Replies(format) => serial.set_format(format),
        Action::HostBaud { baud, settle } => {
            serial.drain().await?;
            sleep(settle).await;
            serial.set_baud(baud)?;
            tell(Progress::Baud(serial.baud()));
        }
    }
    Ok(())
}

/// Holds the chips in reset and puts the host's end into the state that chips have after it.
pub(super) async fn hold(
    serial: &mut Serial,
    reset: &mut dyn ResetLine,
    deadlines: &Deadlines,
) -> Result<(), StepError> {
    in_time(deadlines.reset, reset.hold()).await?;
    serial.set_baud(Baud::RESET)?;
    serial.set_format(ReplyFormat::Nine);
    serial.discard()
}

async fn in_time(deadline: Duration, work: ResetFuture<'_>) -> Result<(), StepError> {
    match timeout(deadline, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(StepError::Deadline(deadline)),
    }
}

/// Asks every chip who it is and hears answers until the line is quiet, so that too many are noticed as well.
async fn count_chips(
    expected: u16,
    chip_id: u16,
    serial: &mut Serial,
    deadlines: &Deadlines,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), StepError> {
    serial.discard()?;
    let before = serial.counters();
    let command = Command::Read {
        target: Target::All,
        register: Register::CHIP_ID,
    };
    serial.send(&command.encode()).await?;
    let bytes = usize::from(expected) * ReplyFormat::Eleven.bytes();
    let deadline = Instant::now() + deadlines.answers + serial.crossing_time(bytes) * 2;
    let mut found = 0;
    let mut until = deadline;
    while let Ok(received) = timeout_at(until, serial.receive()).await {
        received?;
        while let Some(reply) = serial.next_reply() {
            let Reply::Register(answer) = reply else {
                continue;
            };
            // Chips send other registers unasked.
            if answer.register != Register::CHIP_ID {
                continue;
            }
            let id = ChipId::decode(answer.value);
            if id.model != chip_id {
                return Err(StepError::ChipModel {
                    index: found,
                    expected: chip_id,
                    found: id.model,
                });
            }
            found += 1;
        }
        if found > expected {
            break;
        }
        if found == expected {
            until = Instant::now() + deadlines.quiet;
        }
    }
    tell(Progress::Chips(found));
    if found == expected {
        return Ok(());
    }
    let after = serial.counters();
    Err(StepError::ChipCount {
        expected,
        found,
        lost_bytes: after.lost_bytes - before.lost_bytes,
        crc_errors: after.crc_errors - before.crc_errors,
    })
}

/// A count that failed right behind a change of speed tells of that change, as all chips had answered before it.
fn not_taken(error: StepError, baud: Baud) -> StepError {
    match error {
        StepError::ChipCount {
            expected,
            found,
            lost_bytes,
            crc_errors,
        } => StepError::BaudNotTaken {
            baud,
            expected,
            found,
            lost_bytes,
            crc_errors,
        },
        other => other,
    }
}
