//! What stands before every bus: the deny list, and retries with a deadline.

use super::{I2cBusSpec, I2cError};
use embedded_hal::i2c::{Error as _, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use std::time::{Duration, Instant};

/// How often and how long a transfer is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts, at least one.
    pub attempts: u32,
    /// No attempt begins later than this after the first.
    pub deadline: Duration,
    /// Wait between attempts.
    pub pause: Duration,
}

impl RetryPolicy {
    /// For real buses: three attempts 1 ms apart within 50 ms. A transfer of 32 bytes takes 3 ms at 100 kHz.
    pub const REAL: Self = Self {
        attempts: 3,
        deadline: Duration::from_millis(50),
        pause: Duration::from_millis(1),
    };

    /// For emulated buses, where waiting in real time would help nothing.
    pub const EMULATED: Self = Self {
        pause: Duration::ZERO,
        ..Self::REAL
    };
}

/// A bus that refuses writes to denied addresses and tries again what may be tried again.
///
/// A transfer that only reads is tried again after any failure; one that writes only when its address was not
/// acknowledged or arbitration was lost, for then nothing of it has reached the part.
#[derive(Clone, Debug)]
pub struct Guarded<B> {
    bus: B,
    spec: I2cBusSpec,
    policy: RetryPolicy,
}

impl<B> Guarded<B> {
    /// Puts the guard before a bus.
    pub fn new(bus: B, spec: I2cBusSpec, policy: RetryPolicy) -> Self {
        Self { bus, spec, policy }
    }

    /// Name and deny list.
    pub fn spec(&self) -> &I2cBusSpec {
        &self.spec
    }
}

impl<B: I2c> ErrorType for Guarded<B> {
    type Error = I2cError;
}

impl<B: I2c> I2c for Guarded<B> {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), I2cError> {
        if self.spec.deny_writes.contains(&address) && !only_reads(operations) {
            return Err(I2cError::Denied {
                bus: self.spec.bus.clone(),
                address,
            });
        }
        let started = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let Err(error) = self.bus.transaction(address, operations) else {
                return Ok(());
            };
            let retry = attempts < self.policy.attempts
                && started.elapsed() + self.policy.pause < self.policy.deadline
                && (only_reads(operations) || never_arrived(error.kind()));
            if !retry {
                return Err(self.failure(address, attempts, &error));
            }
            if !self.policy.pause.is_zero() {
                std::thread::sleep(self.policy.pause);
            }
        }
    }
}

impl<B: I2c> Guarded<B> {
    fn failure(&self, address: u8, attempts: u32, error: &B::Error) -> I2cError {
        let bus = self.spec.bus.clone();
        match error.kind() {
            ErrorKind::NoAcknowledge(missing) => I2cError::Nack {
                bus,
                address,
                attempts,
                missing,
            },
            kind => I2cError::Transfer {
                bus,
                address,
                attempts,
                kind,
                detail: format!("{error:?}"),
            },
        }
    }
}

/// Whether nothing in the part can change: reads, or one byte that points at what the following read returns.
///
/// A single byte sets only the address counter of an AT24-class EEPROM; a second one would be programmed.
fn only_reads(operations: &[Operation<'_>]) -> bool {
    let rest = match operations {
        [Operation::Write(pointer), rest @ ..] if pointer.len() == 1 && !rest.is_empty() => rest,
        all => all,
    };
    rest.iter()
        .all(|operation| matches!(operation, Operation::Read(_)))
}

fn never_arrived(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address) | ErrorKind::ArbitrationLoss
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails so many times in one way, then takes all.
    struct Flaky {
        failures: u32,
        kind: ErrorKind,
        seen: u32,
    }

    impl ErrorType for Flaky {
        type Error = ErrorKind;
    }

    impl I2c for Flaky {
        fn transaction(&mut self, _: u8, _: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
            self.seen += 1;
            if self.seen <= self.failures {
                Err(self.kind)
            } else {
                Ok(())
            }
        }
    }

    fn bus(failures: u32, kind: ErrorKind) -> Guarded<Flaky> {
        let spec = I2cBusSpec {
            bus: "i2c-0".into(),
            deny_writes: (0x50..=0x57).collect(),
        };
        Guarded::new(
            Flaky {
                failures,
                kind,
                seen: 0,
            },
            spec,
            RetryPolicy::EMULATED,
        )
    }

    const NAK: ErrorKind = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
    const DATA_NAK: ErrorKind = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data);

    #[test]
    fn a_denied_address_can_be_read_and_never_written() {
        let mut bus = bus(0, NAK);
        bus.write_read(0x50, &[0], &mut [0; 4]).unwrap();
        bus.read(0x57, &mut [0; 4]).unwrap();
        assert_eq!(bus.bus.seen, 2);
        for write in [
            bus.write(0x50, &[0]),
            bus.write(0x50, &[0, 1]),
            bus.write_read(0x50, &[0, 1], &mut [0]),
            bus.transaction(0x57, &mut [Operation::Write(&[0]), Operation::Write(&[1])]),
            bus.transaction(
                0x57,
                &mut [Operation::Read(&mut [0]), Operation::Write(&[1, 2])],
            ),
        ] {
            assert!(matches!(write, Err(I2cError::Denied { .. })), "{write:?}");
        }
        assert_eq!(bus.bus.seen, 2, "nothing of it reached the bus");
        bus.write(0x48, &[0, 1]).unwrap();
    }

    #[test]
    fn a_missing_acknowledge_is_tried_three_times_and_no_more() {
        let mut flaky = bus(2, NAK);
        flaky.write(0x48, &[1]).unwrap();
        let mut dead = bus(9, NAK);
        let error = dead.write(0x48, &[1]).unwrap_err();
        assert!(
            matches!(
                error,
                I2cError::Nack {
                    attempts: 3,
                    address: 0x48,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(dead.bus.seen, 3);
    }

    #[test]
    fn a_write_that_may_have_arrived_is_not_sent_twice() {
        for kind in [DATA_NAK, ErrorKind::Bus, ErrorKind::Other] {
            let mut flaky = bus(1, kind);
            assert!(flaky.write(0x48, &[1, 2]).is_err());
            assert_eq!(flaky.bus.seen, 1, "{kind:?}");
            let mut flaky = bus(1, kind);
            flaky.write_read(0x48, &[1], &mut [0]).unwrap();
            assert_eq!(flaky.bus.seen, 2, "a read may be repeated");
        }
    }
}
