//! A thread that owns a bus, so that a stuck adapter costs its callers a deadline and not their life.

use super::I2cError;
use crate::task::thread;
use embedded_hal::i2c::{ErrorType, I2c, Operation};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Transfers that may wait for a bus. More at once means that it is stuck.
const QUEUE: usize = 8;

/// A handle on a bus that a thread of its own drives. Every clone is the same bus; with the last one the thread ends.
///
/// A transfer that was still waiting when its caller gave up is dropped unsent: a late "raise the voltage" must not
/// follow a "switch off". The one under way cannot be called back, its outcome is unknown.
#[derive(Clone)]
pub struct OwnedBus {
    name: String,
    deadline: Duration,
    requests: SyncSender<Request>,
}

struct Request {
    address: u8,
    operations: Vec<OwnedOperation>,
    expires: Instant,
    reply: SyncSender<Result<Vec<OwnedOperation>, I2cError>>,
}

enum OwnedOperation {
    Read(Vec<u8>),
    Write(Vec<u8>),
}

impl OwnedBus {
    /// Gives a bus to a new thread. No call waits longer than `deadline`.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn spawn(
        name: &str,
        bus: impl I2c<Error = I2cError> + Send + 'static,
        deadline: Duration,
    ) -> Result<Self, I2cError> {
        let (requests, inbox) = sync_channel(QUEUE);
        thread(name, move || own(bus, &inbox)).map_err(|source| I2cError::Open {
            bus: name.to_owned(),
            source,
        })?;
        Ok(Self {
            name: name.to_owned(),
            deadline,
            requests,
        })
    }
}

impl ErrorType for OwnedBus {
    type Error = I2cError;
}

impl I2c for OwnedBus {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), I2cError> {
        let (reply, answer) = sync_channel(1);
        let request = Request {
            address,
            operations: operations.iter().map(OwnedOperation::of).collect(),
            expires: Instant::now() + self.deadline,
            reply,
        };
        let stuck = |waited| I2cError::Deadline {
            bus: self.name.clone(),
            address,
            waited,
        };
        match self.requests.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(stuck(Duration::ZERO)),
            Err(TrySendError::Disconnected(_)) => {
                return Err(I2cError::OwnerGone {
                    bus: self.name.clone(),
                });
            }
        }
        match answer.recv_timeout(self.deadline) {
            Ok(done) => {
                copy_back(&done?, operations);
                Ok(())
            }
            // The owner drops an expired request, and its reply with it: also a missed deadline.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(stuck(self.deadline))
            }
        }
    }
}

impl OwnedOperation {
    fn of(operation: &Operation<'_>) -> Self {
        match operation {
            Operation::Read(into) => Self::Read(vec![0; into.len()]),
            Operation::Write(bytes) => Self::Write(bytes.to_vec()),
        }
    }
}

fn own(mut bus: impl I2c<Error = I2cError>, inbox: &Receiver<Request>) {
    while let Ok(Request {
        address,
        mut operations,
        expires,
        reply,
    }) = inbox.recv()
    {
        if Instant::now() >= expires {
            continue;
        }
        let mut borrowed: Vec<_> = operations
            .iter_mut()
            .map(|operation| match operation {
                OwnedOperation::Read(into) => Operation::Read(into),
                OwnedOperation::Write(bytes) => Operation::Write(bytes),
            })
            .collect();
        let result = bus.transaction(address, &mut borrowed);
        drop(borrowed);
        // A caller that gave up has closed its end; its own error told it so.
        let _ = reply.try_send(result.map(|()| operations));
    }
}

fn copy_back(done: &[OwnedOperation], operations: &mut [Operation<'_>]) {
    for (done, operation) in done.iter().zip(operations) {
        if let (OwnedOperation::Read(bytes), Operation::Read(into)) = (done, operation) {
            into.copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Answers reads with the address and keeps writes; each transfer first waits for a token, if there is a gate.
    struct Slow {
        gate: Option<Receiver<()>>,
        written: Arc<Mutex<Vec<Vec<u8>>>>,
    }

    impl ErrorType for Slow {
        type Error = I2cError;
    }

    impl I2c for Slow {
        fn transaction(
            &mut self,
            address: u8,
            operations: &mut [Operation<'_>],
        ) -> Result<(), I2cError> {
            if let Some(gate) = &self.gate {
                gate.recv().ok();
            }
            for operation in operations {
                match operation {
                    Operation::Read(into) => into.fill(address),
                    Operation::Write(bytes) => self.written.lock().unwrap().push(bytes.to_vec()),
                }
            }
            Ok(())
        }
    }

    #[test]
    fn what_was_read_and_written_passes_through_the_owner() {
        let written = Arc::default();
        let slow = Slow {
            gate: None,
            written: Arc::clone(&written),
        };
        let mut bus = OwnedBus::spawn("i2c-0", slow, Duration::from_secs(60)).unwrap();
        let mut other = bus.clone();
        let mut into = [0; 3];
        bus.write_read(0x48, &[7], &mut into).unwrap();
        other.write(0x49, &[1, 2]).unwrap();
        assert_eq!(into, [0x48; 3]);
        assert_eq!(*written.lock().unwrap(), [vec![7], vec![1, 2]]);
    }

    #[test]
    fn a_stuck_bus_costs_a_deadline_and_drops_what_waited() {
        let written = Arc::default();
        let (open, gate) = sync_channel(64);
        let slow = Slow {
            gate: Some(gate),
            written: Arc::clone(&written),
        };
        let mut bus = OwnedBus::spawn("i2c-0", slow, Duration::from_millis(5)).unwrap();
        for byte in 0..4 {
            let error = bus.write(0x10, &[byte]).unwrap_err();
            assert!(
                matches!(error, I2cError::Deadline { address: 0x10, .. }),
                "{error}"
            );
        }
        bus.deadline = Duration::from_secs(60);
        for _ in 0..64 {
            open.send(()).unwrap();
        }
        bus.write(0x10, &[9]).unwrap();
        let written = written.lock().unwrap();
        assert_eq!(written.last(), Some(&vec![9]));
        // The one that the bus was stuck in, which is not the first if the thread started late.
        assert!(
            written.len() <= 2,
            "waited past its deadline and was sent all the same: {written:?}"
        );
    }

    #[test]
    fn a_full_queue_is_refused_at_once() {
        let (_open, gate) = sync_channel(1);
        let slow = Slow {
            gate: Some(gate),
            written: Arc::default(),
        };
        let mut bus = OwnedBus::spawn("i2c-0", slow, Duration::from_millis(1)).unwrap();
        // A thread that starts late drops some of the first ones.
        let refused = (0..=100 * QUEUE).any(|_| {
            let error = bus.write(0x10, &[0]).unwrap_err();
            let I2cError::Deadline { waited, .. } = error else {
                panic!("{error}");
            };
            waited.is_zero()
        });
        assert!(refused, "the queue takes whatever comes");
    }
}
