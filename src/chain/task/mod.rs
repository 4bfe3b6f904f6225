//! The task of one chain: brings it up, keeps it at work, brings it up again when it fails.
//!
//! Nothing is prepared ahead between pool and chip: a new job is turned into a frame when it comes, and that frame is the
//! next one out.

mod hashing;
mod symptoms;
mod tally;
#[cfg(test)]
mod tests;

use crate::chain::bringup;
use crate::chain::command::ChainCommand;
use crate::chain::error::{ChainError, PllError, SettingsError};
use crate::chain::model::JobFormat;
use crate::chain::reset::ResetLine;
use crate::chain::restart::RestartBudget;
use crate::chain::sequencer::{self, Progress};
use crate::chain::serial::Serial;
use crate::chain::settings::ChainSettings;
use crate::chain::status::{ChainPhase, ChainStatus};
use crate::flight;
use crate::work::source::VersionRolling;
use crate::work::{Job, MidstateCount, Registry, Share, WorkSource};
use cgminer_hal::uart::Uart;
use cgminer_hal::units::Megahertz;
use hashing::Hashing;
use std::sync::Arc;
use tally::Tally;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

/// What a chain task is connected to.
pub struct ChainEnds {
    /// The serial line to the chips.
    pub uart: Box<dyn Uart>,
    /// Their reset line.
    pub reset: Box<dyn ResetLine>,
    /// The job to work on; `None` while there is none.
    pub jobs: watch::Receiver<Option<Arc<Job>>>,
    /// Where shares go. When it is full, a share is counted as lost; the chain never waits.
    pub shares: mpsc::Sender<Share>,
    /// Where the status is published; made with [`ChainStatus::new`].
    pub status: watch::Sender<ChainStatus>,
    /// Commands. When all senders are gone, the chain is stopped.
    pub commands: mpsc::Receiver<ChainCommand>,
}

/// Runs a chain until it is told to stop; its chips are then held in reset.
///
/// # Errors
/// When no chain can be run with these settings; nothing has been sent then.
pub async fn run(settings: ChainSettings, ends: ChainEnds) -> Result<(), SettingsError> {
    let mut task = ChainTask::new(settings, ends)?;
    task.live().await;
    Ok(())
}

/// Why hashing, or the way there, ended.
enum End {
    Stop,
    Restart(String),
    Failed(ChainError),
}

impl<E: Into<ChainError>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

struct ChainTask {
    settings: ChainSettings,
    serial: Serial,
    reset: Box<dyn ResetLine>,
    jobs: watch::Receiver<Option<Arc<Job>>>,
    shares: mpsc::Sender<Share>,
    status: watch::Sender<ChainStatus>,
    commands: mpsc::Receiver<ChainCommand>,
    source: WorkSource,
    registry: Registry,
    tally: Tally,
}

impl ChainTask {
    fn new(settings: ChainSettings, ends: ChainEnds) -> Result<Self, SettingsError> {
        settings.validate()?;
        let rolling = match settings.model.job {
            JobFormat::FullHeader => VersionRolling::Chip,
            JobFormat::Midstates(1) => VersionRolling::Host(MidstateCount::One),
            JobFormat::Midstates(2) => VersionRolling::Host(MidstateCount::Two),
            JobFormat::Midstates(_) => VersionRolling::Host(MidstateCount::Four),
        };
        let registry = Registry::new(
            settings.chain,
            settings.model.job_number.count,
            settings.ticket()?,
        );
        let tally = Tally::new(&ends.status.borrow());
        Ok(Self {
            serial: Serial::new(ends.uart, settings.deadlines.write),
            reset: ends.reset,
            jobs: ends.jobs,
            shares: ends.shares,
            status: ends.status,
            commands: ends.commands,
            source: WorkSource::new(settings.partition, rolling),
            registry,
            tally,
            settings,
        })
    }

    async fn live(&mut self) {
        let mut budget = RestartBudget::new(self.settings.restarts);
        loop {
            let end = match self.bring_up().await {
                Ok(frequency) => Hashing::new(self, frequency).run().await,
                Err(end) => end,
            };
            self.hold_reset().await;
            let goes_on = match end {
                End::Stop => false,
                End::Restart(reason) => {
                    info!(chain = self.index(), reason, "restarting chain");
                    budget.renew();
                    true
                }
                End::Failed(error) => self.wait_after(&error, &mut budget).await,
            };
            if !goes_on {
                self.enter(ChainPhase::Stopped, Some("stop asked for".to_owned()));
                info!(chain = self.index(), "chain stopped");
                return;
            }
        }
    }

    /// From reset to ready; gives the frequency that the chips run at.
    async fn bring_up(&mut self) -> Result<Megahertz, End> {
        self.enter(ChainPhase::BringUp, None);
        self.registry.clear();
        self.tally.counters.bring_ups += 1;
        flight::bring_up(self.index());
        let chain = self.index();
        let steps = bringup::prepare(&self.settings)?;
        let frequency = self.settings.frequency;
        let status = &self.status;
        let model = self.settings.model;
        let chips = self.settings.chips;
        let mut tell = |progress| {
            status.send_modify(|status| match progress {
                Progress::Chips(found) => status.chips_found = Some(found),
                Progress::Baud(baud) => status.baud = baud,
                Progress::Percent(percent) => status.bring_up_percent = Some(percent),
                Progress::Frequency(frequency) => {
                    flight::clock(chain, frequency);
                    status.frequency = Some(frequency);
                    status.nominal_hash_rate = Some(model.nominal_hash_rate(chips, frequency));
                }
            });
        };
        let started = Instant::now();
        let deadlines = self.settings.deadlines;
        let mut running = std::pin::pin!(sequencer::run(
            &steps,
            &mut self.serial,
            self.reset.as_mut(),
            &deadlines,
            &mut tell,
        ));
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    None | Some(ChainCommand::Stop) => return Err(End::Stop),
                    Some(ChainCommand::Restart { reason }) => return Err(End::Restart(reason)),
                    Some(ChainCommand::SetFrequency { frequency, reply }) => {
                        let allowed = set_frequency(&mut self.settings, &self.status, frequency);
                        // Whoever asked may have gone.
                        let _ = reply.send(allowed);
                    }
                },
                done = &mut running => {
                    done?;
                    break;
                }
            }
        }
        info!(
            chain,
            model = model.name,
            chips,
            %frequency,
            seconds = started.elapsed().as_secs_f32(),
            "chain is ready"
        );
        Ok(frequency)
    }

    /// After a failure: waits as the budget tells. Whether to go on.
    async fn wait_after(&mut self, error: &ChainError, budget: &mut RestartBudget) -> bool {
        self.tally.counters.failures += 1;
        flight::failed(self.index());
        let wait = budget.failed(Instant::now());
        if let Some(wait) = wait {
            warn!(chain = self.index(), %error, retry_in = ?wait, "chain failed");
            self.enter(ChainPhase::BackOff, Some(error.to_string()));
        } else {
            error!(chain = self.index(), %error, "chain failed too often and stays down until a restart is asked for");
            self.enter(ChainPhase::Failed, Some(error.to_string()));
        }
        let until = wait.map(|wait| Instant::now() + wait);
        loop {
            let waited = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    None | Some(ChainCommand::Stop) => return false,
                    Some(ChainCommand::Restart { reason }) => {
                        info!(chain = self.index(), reason, "restarting chain");
                        budget.renew();
                        return true;
                    }
                    Some(ChainCommand::SetFrequency { frequency, reply }) => {
                        let allowed = set_frequency(&mut self.settings, &self.status, frequency);
                        let _ = reply.send(allowed);
                    }
                },
                () = waited => return true,
            }
        }
    }

    /// Chips in reset draw little and hash nothing. When that fails there is no more that this task can do.
    async fn hold_reset(&mut self) {
        let deadlines = self.settings.deadlines;
        let held = sequencer::hold(&mut self.serial, self.reset.as_mut(), &deadlines).await;
        if let Err(error) = held {
            error!(chain = self.index(), %error, "cannot hold the chain in reset; its supply should be switched off");
        }
        let baud = self.serial.baud();
        self.status.send_modify(|status| {
            status.frequency = None;
            status.nominal_hash_rate = None;
            status.work_interval_ms = None;
            status.baud = baud;
        });
    }

    fn enter(&mut self, phase: ChainPhase, reason: Option<String>) {
        self.tally.take_decoder(&self.serial.counters());
        self.status.send_modify(|status| {
            status.phase = phase;
            status.reason = reason;
            status.bring_up_percent = (phase == ChainPhase::BringUp).then_some(0);
            self.tally.write_to(status);
        });
    }

    fn index(&self) -> u8 {
        self.settings.chain.0
    }
}

fn set_frequency(
    settings: &mut ChainSettings,
    status: &watch::Sender<ChainStatus>,
    frequency: Megahertz,
) -> Result<(), PllError> {
    settings.check_frequency(frequency)?;
    settings.frequency = frequency;
    status.send_modify(|status| status.frequency_target = frequency);
    Ok(())
}
