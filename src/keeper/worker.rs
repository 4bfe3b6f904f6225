//! The loops that touch hardware, each with devices of its own, so that a slow one delays nobody else.
//!
//! ```text
//!   guard ── Orders (the latest counts) ──► worker ── Report ──► guard
//! ```
//!
//! The guard never waits for a worker: it decides on what has been reported, with its age. A worker that hears nothing
//! from the guard for [`ORDERS_FRESH`] takes that as an order to switch off.

use super::guard::Outputs;
use super::proofs::LoopRule;
use super::state::State;
use super::workers::Press;
use crate::link::status::AnalogReading;
use cgminer_board::moment::Moment;
use cgminer_board::power::SupplyReading;
use cgminer_board::thermal::Observation;
use cgminer_hal::task::{boxed, thread};
use cgminer_hal::units::{DutyPercent, Millivolts, Rpm};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

/// Orders that are older than this come from a guard that does not live any more.
pub const ORDERS_FRESH: Duration = Duration::from_secs(4);
/// Reports that may wait for the guard, which takes all of them at every decision.
pub const REPORTS: usize = 256;

/// A future of a worker.
pub type Round<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A loop with hardware of its own.
pub trait Worker: Send {
    /// Name, the longest time between two rounds, and whether it is needed with the rail off.
    fn rule(&self) -> LoopRule;

    /// Time between the beginnings of two rounds.
    fn period(&self) -> Duration;

    /// Whether new orders are worth a round at once.
    fn minds(&self, old: &Orders, new: &Orders) -> bool;

    /// Does what is ordered and reports what is so. May block, where it has a thread of its own.
    fn round<'a>(&'a mut self, orders: &'a Orders, reports: &'a Reports) -> Round<'a>;
}

/// What the guard wants of the workers.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one line to drive")]
pub struct Orders {
    /// Setting of the supply; none: leave it.
    pub preset: Option<Millivolts>,
    /// Whether the supply delivers, and its own watchdog is fed.
    pub enable: bool,
    /// For each chain, whether its reset line is held; lines beyond are held.
    pub resets: Vec<bool>,
    /// Duty of all fans.
    pub duty: DutyPercent,
    /// Green light.
    pub green: bool,
    /// Red light.
    pub red: bool,
    /// Whether the guard ends with these orders, on purpose. Without them, its end means [`Orders::SAFE`].
    pub last: bool,
}

impl Orders {
    /// What holds before and after anybody decides.
    pub const SAFE: Self = Self {
        preset: None,
        enable: false,
        resets: Vec::new(),
        duty: DutyPercent::FULL,
        green: false,
        red: true,
        last: false,
    };

    /// The orders that follow from a decision.
    #[must_use]
    pub fn of(outputs: &Outputs, (green, red): (bool, bool)) -> Self {
        Self {
            preset: outputs.preset,
            enable: outputs.enable,
            resets: outputs.resets.clone(),
            duty: outputs.duty,
            green,
            red,
            last: outputs.state == State::Stopped,
        }
    }

    /// Whether a chain's reset line is to be held.
    #[must_use]
    pub fn holds(&self, chain: usize) -> bool {
        self.resets.get(chain).copied().unwrap_or(true)
    }
}

/// Something that a worker found, with the time it was found at.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// When.
    pub at: Instant,
    /// What.
    pub found: Found,
}

/// What a worker found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// What reading a temperature gave, by its index in the thermal settings.
    Sensor(usize, Observation),
    /// A fan's speed, by its index.
    Fan(usize, Rpm),
    /// The duty that the fans' drivers took; none when one of them did not.
    Duty(Option<DutyPercent>),
    /// What reading the supply gave.
    Supply(SupplyReading),
    /// The setting that the supply confirms.
    Preset(Option<Millivolts>),
    /// The enable line as it reads back.
    Enable(Option<bool>),
    /// Whether a chain's reset line is held, as it reads back.
    Reset(usize, Option<bool>),
    /// Whether a chain's board is plugged in.
    Present(usize, bool),
    /// Whether the voltage controller of a chain's board is on, as it says; none when it does not do as told.
    Controller(usize, Option<bool>),
    /// What an analogue input said, by its index; none when it could not be read.
    Analog(usize, Option<AnalogReading>),
    /// Somebody pressed a button.
    Press(Press),
    /// A worker came round, by its index.
    Beat(usize),
}

/// Where a worker reports to.
#[derive(Clone, Debug)]
pub struct Reports {
    sender: mpsc::Sender<Report>,
}

impl Reports {
    /// A place for reports and where they come out.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Report>) {
        let (sender, receiver) = mpsc::channel(REPORTS);
        (Self { sender }, receiver)
    }

    /// Reports. A guard that does not take reports is late anyway, and what is lost has an age.
    pub fn found(&self, found: Found) {
        let at = Instant::now();
        let _ = self.sender.try_send(Report { at, found });
    }
}

/// Where a worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On a thread of its own, where its devices may block.
    Thread,
    /// As a task of the guard's thread, where they may not: an emulated machine under virtual time.
    Task,
}

/// A worker that runs. As a task it ends at once when this is dropped, as all of a process does that is killed.
#[derive(Debug)]
pub struct Running {
    done: oneshot::Receiver<()>,
    task: Option<AbortHandle>,
}

impl Running {
    /// Waits for its end.
    pub async fn ended(mut self) {
        // An error says the same: it is gone.
        let _ = (&mut self.done).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Starts a worker; it ends when the guard's side of the orders is dropped, after one last round.
///
/// # Errors
/// When the system has no thread to give.
pub fn start(
    index: usize,
    worker: Box<dyn Worker>,
    placement: Placement,
    orders: watch::Receiver<Orders>,
    reports: Reports,
) -> io::Result<Running> {
    let (end, done) = oneshot::channel();
    let name = worker.rule().name;
    let life = boxed(async move {
        live(index, worker, orders, reports).await;
        let _ = end.send(());
    });
    let task = match placement {
        Placement::Task => Some(tokio::spawn(life).abort_handle()),
        Placement::Thread => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()?;
            thread(&name, move || runtime.block_on(life))?;
            None
        }
    };
    Ok(Running { done, task })
}

async fn live(
    index: usize,
    mut worker: Box<dyn Worker>,
    mut orders: watch::Receiver<Orders>,
    reports: Reports,
) {
    let period = worker.period();
    let mut heard = Instant::now();
    loop {
        let began = Instant::now();
        let mut current = orders.borrow_and_update().clone();
        if began.duration_since(heard) > ORDERS_FRESH {
            current = Orders::SAFE;
        }
        worker.round(&current, &reports).await;
        reports.found(Found::Beat(index));
        let next = began + period;
        loop {
            match timeout_at(next, orders.changed()).await {
                Err(_) => break,
                Ok(Ok(())) => {
                    heard = Instant::now();
                    if worker.minds(&current, &orders.borrow_and_update()) {
                        break;
                    }
                }
                Ok(Err(_)) => {
                    let last = orders.borrow().clone();
                    let end = if last.last { last } else { Orders::SAFE };
                    return worker.round(&end, &reports).await;
                }
            }
        }
    }
}

/// Turns instants into moments of one keeper.
#[derive(Clone, Copy, Debug)]
pub struct Epoch(Instant);

impl Epoch {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// The moment of an instant.
    #[must_use]
    pub fn moment(self, at: Instant) -> Moment {
        Moment::after_start(at.saturating_duration_since(self.0))
    }

    /// This moment.
    #[must_use]
    pub fn now(self) -> Moment {
        self.moment(Instant::now())
    }
}
