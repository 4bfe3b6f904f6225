//! One chain's life beside the keeper: its task runs while the rail is confirmed on, and only then.
//!
//! ```text
//! no power ──keeper: may hash──► running ──task ended by itself──► given up
//!    ▲                              │                                 │
//!    └────keeper: may not hash──────┴─────────────────────────────────┘
//! ```

use super::owner::ChainWish;
use super::power::{Power, Word};
use super::reset::LinkReset;
use crate::chain::task::{self, ChainEnds};
use crate::chain::{ChainCommand, ChainPhase, ChainSettings, ChainStatus};
use crate::link::MinerEnd;
use crate::telemetry::SWITCHED_OFF;
use crate::work::{Job, Share};
use cgminer_board::thermal::Throttle;
use cgminer_hal::uart::{Uart, UartError};
use cgminer_hal::units::Megahertz;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tracing::{error, info, warn};

/// Commands that may wait for a chain.
const COMMANDS: usize = 8;
/// How long a chain task may take to hold its chips in reset and end, before it is dropped.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// How long a chain task may take to say whether a frequency is allowed. It may be in its bring-up.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);

/// Opens the chain's serial line, anew for each time that the rail comes on.
pub type UartOpener = Box<dyn FnMut() -> Result<Box<dyn Uart>, UartError> + Send>;

/// What a chain is wired to for as long as the process lives.
pub struct ChainWiring {
    /// What it is run with.
    pub settings: ChainSettings,
    /// The process that owns power and reset.
    pub keeper: MinerEnd,
    /// The job to work on.
    pub jobs: watch::Receiver<Option<Arc<Job>>>,
    /// Where its shares go.
    pub shares: mpsc::Sender<Share>,
    /// Where it says how it is.
    pub status: watch::Sender<ChainStatus>,
    /// Becomes `true` when the miner is to end.
    pub stop: watch::Receiver<bool>,
    /// What the owner wants of it.
    pub wish: watch::Receiver<ChainWish>,
}

/// Runs a chain until the miner is to end.
pub async fn supervise(wiring: ChainWiring, mut open_uart: UartOpener) {
    let chain = wiring.settings.chain.0;
    let mut power = Power::new(
        chain,
        wiring.keeper.status(),
        wiring.stop.clone(),
        wiring.wish.clone(),
    );
    loop {
        let tell = |wish: ChainWish| {
            let frequency = wished(&wiring.settings, wish);
            wiring.status.send_if_modified(|status| {
                let news = status.frequency_target != frequency;
                status.frequency_target = frequency;
                tell_switch(status, wish.enabled) || news
            });
        };
        if !power.wait_until_on(tell).await {
            return;
        }
        match open_uart() {
            Ok(uart) => run_while_powered(&wiring, uart, &mut power).await,
            Err(problem) => {
                error!(chain, "{problem}");
                wiring.status.send_modify(|status| {
                    status.phase = ChainPhase::Failed;
                    status.reason = Some(problem.to_string());
                });
                power.wait_until_off().await;
            }
        }
    }
}

/// Says of a chain without power whether it is its owner who holds it back. True when that is news.
fn tell_switch(status: &mut ChainStatus, enabled: bool) -> bool {
    let said = status.reason.as_deref() == Some(SWITCHED_OFF);
    if enabled && said {
        status.phase = ChainPhase::Waiting;
        status.reason = None;
    } else if !enabled && !said {
        status.phase = ChainPhase::Stopped;
        status.reason = Some(SWITCHED_OFF.into());
    }
    enabled == said
}

/// One period of power.
async fn run_while_powered(wiring: &ChainWiring, uart: Box<dyn Uart>, power: &mut Power) {
    let chain = wiring.settings.chain.0;
    info!(chain, "the rail is on: bringing the chain up");
    let (commands, received) = mpsc::channel(COMMANDS);
    let ends = ChainEnds {
        uart,
        reset: Box::new(LinkReset::new(chain, wiring.keeper.clone())),
        jobs: wiring.jobs.clone(),
        shares: wiring.shares.clone(),
        status: wiring.status.clone(),
        commands: received,
    };
    let mut settings = wiring.settings.clone();
    settings.frequency = wished(&settings, *wiring.wish.borrow());
    let mut frequency = settings.frequency;
    let mut task = tokio::spawn(task::run(settings, ends));
    let mut word = power.word();
    loop {
        match word {
            Word::Off => break,
            Word::On(throttle) => {
                let wish = *wiring.wish.borrow();
                let wanted = throttled(&wiring.settings, wish, throttle);
                if wanted != frequency {
                    frequency = wanted;
                    set_frequency(&commands, chain, wanted, throttle).await;
                }
            }
        }
        word = tokio::select! {
            _ = &mut task => {
                // It said why in its status. Only new power gives it another life.
                return power.wait_until_off().await;
            }
            word = power.next() => word,
        };
    }
    // The rail is going or gone. The task holds the chips in reset for when it comes back.
    let told = commands.try_send(ChainCommand::Stop).is_ok();
    if !told || timeout(STOP_DEADLINE, &mut task).await.is_err() {
        task.abort();
        warn!(
            chain,
            "the chain's task did not end in time and was dropped; its chips have no power"
        );
    }
}

/// Slows a chain down, or lets it go again. Where it cannot be done the keeper cuts the power in the end.
async fn set_frequency(
    commands: &mpsc::Sender<ChainCommand>,
    chain: u8,
    frequency: Megahertz,
    throttle: Throttle,
) {
    let (reply, answer) = oneshot::channel();
    let command = ChainCommand::SetFrequency { frequency, reply };
    if commands.try_send(command).is_err() {
        warn!(chain, "too busy to be set to {frequency}");
        return;
    }
    match timeout(ANSWER_DEADLINE, answer).await {
        Ok(Ok(Ok(()))) => info!(
            chain,
            "set to {frequency}; the keeper allows {throttle} of the clock"
        ),
        Ok(Ok(Err(problem))) => warn!(chain, "cannot be set to {frequency}: {problem}"),
        Ok(Err(_)) | Err(_) => warn!(chain, "no answer when set to {frequency}"),
    }
}

/// What the owner wants, or else what the chain was configured with, never beyond what it may run at.
fn wished(settings: &ChainSettings, wish: ChainWish) -> Megahertz {
    let (lowest, highest) = settings.frequency_limits();
    match wish.frequency {
        Some(wish) if wish.0.is_finite() => Megahertz(wish.0.max(lowest.0).min(highest.0)),
        _ => settings.frequency,
    }
}

/// That times the throttle, no lower than the chain can run.
fn throttled(settings: &ChainSettings, wish: ChainWish, throttle: Throttle) -> Megahertz {
    let (lowest, _) = settings.frequency_limits();
    let wanted = wished(settings, wish).0 * f32::from(throttle.0.min(100)) / 100.0;
    Megahertz(wanted.max(lowest.0))
}
