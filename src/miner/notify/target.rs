//! One target: a bounded queue, and tries until a message is there or has to be given up.

use super::deliver::{Way, deliver};
use super::message::Message;
use super::severity;
use crate::config::AlertTargetSection;
use crate::pool::backoff::Backoff;
use crate::pool::connection::Connector;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

/// Messages that may wait.
const QUEUE: usize = 32;
/// Tries for one message.
const TRIES: u32 = 6;
/// For one try, connecting and all.
const DEADLINE: Duration = Duration::from_secs(30);

/// The end that messages are given to.
pub struct Target {
    section: AlertTargetSection,
    queue: mpsc::Sender<Arc<Message>>,
    dropped: u64,
}

impl Target {
    /// A target, and the task that has to be run for it.
    pub fn new(
        section: AlertTargetSection,
        connector: &Arc<dyn Connector>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let way = Way::new(&section, connector);
        let task = serve(section.name.clone(), way, waiting);
        let target = Self {
            section,
            queue,
            dropped: 0,
        };
        (target, task)
    }

    /// Takes a message that this target wants. Never waits: while too many wait already, it is dropped.
    pub fn give(&mut self, message: &Arc<Message>) {
        let wanted = if message.is_report {
            self.section.report
        } else {
            message.severity >= severity(self.section.minimum)
        };
        if !wanted {
            return;
        }
        match self.queue.try_send(Arc::clone(message)) {
            Ok(()) => self.dropped = 0,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.dropped += 1;
                if self.dropped == 1 {
                    let target = &self.section.name;
                    warn!(target_name = %target, "alerts are dropped: {QUEUE} wait for this target already");
                }
            }
        }
    }
}

async fn serve(name: String, way: Way, mut waiting: mpsc::Receiver<Arc<Message>>) {
    let mut backoff = Backoff::new(fastrand::u64(..));
    let mut fails = false;
    while let Some(message) = waiting.recv().await {
        let mut tries = 0;
        loop {
            sleep_until(backoff.not_before(Instant::now())).await;
            backoff.attempted(Instant::now());
            tries += 1;
            let outcome = match timeout(DEADLINE, deliver(&way, &message)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("no end within {} s", DEADLINE.as_secs())),
            };
            let error = match outcome {
                Ok(()) => {
                    backoff.succeeded();
                    if std::mem::take(&mut fails) {
                        info!(target_name = %name, "alerts can be delivered again");
                    }
                    break;
                }
                Err(error) => error,
            };
            if !std::mem::replace(&mut fails, true) {
                warn!(target_name = %name, "an alert could not be delivered: {error}");
            }
            if tries == TRIES {
                warn!(target_name = %name, "an alert was given up after {TRIES} tries: {error}");
                break;
            }
            debug!(target_name = %name, tries, "an alert could not be delivered: {error}");
            sleep_until(backoff.failed(false, Instant::now())).await;
        }
    }
}
