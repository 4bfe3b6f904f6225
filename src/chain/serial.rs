//! A chain's serial line with a deadline on everything, and the decoder behind it.

use crate::chain::error::StepError;
use crate::chain::frame::{Decoder, DecoderCounters, Reply, ReplyFormat};
use cgminer_hal::uart::Uart;
use cgminer_hal::units::Baud;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// How often a line is asked whether everything has left it.
const DRAIN_POLL: Duration = Duration::from_millis(1);
/// A byte crosses the line as ten bits.
const BITS_PER_BYTE: f64 = 10.0;

/// A UART and the decoder of what it receives.
pub(super) struct Serial {
    uart: Box<dyn Uart>,
    decoder: Decoder,
    deadline: Duration,
    /// Wrong checksums that were told already.
    crc_errors_told: u64,
}

impl Serial {
    /// `deadline` bounds each write and each wait for the line to drain.
    pub(super) fn new(uart: Box<dyn Uart>, deadline: Duration) -> Self {
        Self {
            uart,
            decoder: Decoder::new(ReplyFormat::Nine),
            deadline,
            crc_errors_told: 0,
        }
    }

    /// Hands bytes to the driver.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), StepError> {
        match timeout(self.deadline, self.uart.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(StepError::Io {
                name: self.uart.name().to_owned(),
                source,
            }),
            Err(_) => Err(StepError::Deadline(self.deadline)),
        }
    }

    /// Waits for bytes. Nothing is lost when the wait is given up. Take all replies before the next call.
    pub(super) async fn receive(&mut self) -> Result<(), StepError> {
        match self.uart.read(self.decoder.room()).await {
            Ok(0) => Err(StepError::Closed {
                name: self.uart.name().to_owned(),
            }),
            Ok(count) => {
                self.decoder.advance(count);
                Ok(())
            }
            Err(source) => Err(StepError::Io {
                name: self.uart.name().to_owned(),
                source,
            }),
        }
    }

    /// The next reply among the bytes received.
    pub(super) fn next_reply(&mut self) -> Option<Reply> {
        self.decoder.next_reply()
    }

    /// What the stream has been through.
    pub(super) fn counters(&self) -> DecoderCounters {
        self.decoder.counters()
    }

    /// Replies with a wrong checksum since it was asked last.
    pub(super) fn new_crc_errors(&mut self) -> u32 {
        let now = self.decoder.counters().crc_errors;
        let before = std::mem::replace(&mut self.crc_errors_told, now);
        u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX)
    }

    /// Takes replies in another format from here on.
    pub(super) fn set_format(&mut self, format: ReplyFormat) {
        self.decoder.set_format(format);
    }

    /// Forgets everything received.
    pub(super) fn discard(&mut self) -> Result<(), StepError> {
        self.decoder.clear();
        Ok(self.uart.discard_input()?)
    }

    /// The host's speed.
    pub(super) fn baud(&self) -> Baud {
        self.uart.baud()
    }

    /// Sets the host's speed at once.
    pub(super) fn set_baud(&mut self, baud: Baud) -> Result<(), StepError> {
        self.uart.set_baud(baud)?;
        Ok(())
    }

    /// Waits until everything written has left.
    pub(super) async fn drain(&mut self) -> Result<(), StepError> {
        // Held alone, since a line may be sent between threads but not shared.
        let uart = &mut self.uart;
        let drained = async move {
            while !uart.is_drained()? {
                sleep(DRAIN_POLL).await;
            }
            Ok(())
        };
        match timeout(self.deadline, drained).await {
            Ok(result) => result,
            Err(_) => Err(StepError::Deadline(self.deadline)),
        }
    }

    /// How long bytes take to cross the line.
    pub(super) fn crossing_time(&self, bytes: usize) -> Duration {
        crossing_time(self.baud(), bytes)
    }
}

/// How long bytes take to cross a line of a speed.
pub(super) fn crossing_time(baud: Baud, bytes: usize) -> Duration {
    let seconds = bytes as f64 * BITS_PER_BYTE / f64::from(baud.0.max(1));
    Duration::from_secs_f64(seconds)
}
