//! The supply of a board file: what is asked of it in a round, and what its failures mean.

use super::HardwareError;
use super::overdue::Overdue;
use crate::keeper::worker::Epoch;
use crate::keeper::workers::{Answering, PowerSupply, SupplyAnswer, SupplyOrder};
use cgminer_board::assembly;
use cgminer_board::file::{BoardFile, SupplyPart, SupplySpec};
use cgminer_board::parts::{PartError, Problem, Supply, SupplyReply, SupplyRequest};
use cgminer_board::power::supply::OFF_BELOW;
use cgminer_board::power::{SupplyFault, SupplyReading};
use cgminer_hal::devices::Devices;
use cgminer_hal::units::Millivolts;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, sleep};

/// How often it is looked whether an answer is there.
const LOOK: Duration = Duration::from_millis(25);
/// No answer takes longer; drivers give up before.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3);

/// Why a supply has not done what it was asked.
#[derive(Debug, Error)]
pub enum AskError {
    /// It, or its bus, did not.
    #[error(transparent)]
    Part(#[from] PartError),
    /// Its driver gave no answer and knows of nothing that it waits for.
    #[error(
        "the supply's driver gives no answer to {0:?} and waits for none; ask again, and report it if that stays so"
    )]
    Lost(SupplyRequest),
}

/// The supply of the board file.
pub(super) fn open(
    board: &BoardFile,
    spec: &SupplySpec,
    devices: &mut dyn Devices,
) -> Result<Box<dyn PowerSupply>, HardwareError> {
    Ok(Box::new(BoardSupply {
        part: assembly::supply(board, spec, devices)?,
        has_watchdog: spec.part != SupplyPart::Pmbus,
        has_switch: spec.part == SupplyPart::Pmbus,
        known: Known::default(),
        overdue: Overdue::default(),
        epoch: Epoch::begin(),
        complained: false,
    }))
}

struct BoardSupply {
    part: Box<dyn Supply>,
    has_watchdog: bool,
    has_switch: bool,
    known: Known,
    overdue: Overdue,
    epoch: Epoch,
    complained: bool,
}

/// What the supply has confirmed since it was last lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Known {
    identified: bool,
    watched: bool,
    preset: Option<Millivolts>,
    on: Option<bool>,
}

impl PowerSupply for BoardSupply {
    fn attend(&mut self, order: SupplyOrder) -> Answering<'_> {
        Box::pin(async move {
            let now = self.epoch.now().elapsed();
            if self.has_watchdog && !order.enable && self.overdue.wants_silence(now) {
                return SupplyAnswer {
                    reading: None,
                    preset: self.known.preset,
                };
            }
            let reading = match self.bring_to(order).await {
                Ok(reading) => {
                    self.overdue
                        .note(order, reading, self.epoch.now().elapsed());
                    self.complained &= self.overdue.is_noted();
                    reading
                }
                Err(error) => {
                    self.complain(&error);
                    // It may have lost its power and with it all that it was told.
                    self.known = Known::default();
                    SupplyReading::Failed(meaning(&error))
                }
            };
            SupplyAnswer {
                reading: Some(reading),
                preset: self.known.preset,
            }
        })
    }
}

impl BoardSupply {
    /// Off before anything else, on after everything else.
    async fn bring_to(&mut self, order: SupplyOrder) -> Result<SupplyReading, AskError> {
        if !order.enable {
            // Each time that it is switched on it is told anew; who knows what it keeps while it is off.
            self.known.watched = false;
        }
        let told_off = self.known.on == Some(false) && !self.overdue.is_noted();
        if self.has_switch && !order.enable && !told_off {
            match self.ask(SupplyRequest::Switch(false)).await {
                Ok(_) => self.known.on = Some(false),
                // What it gives all the same has to be known now more than ever; that it gives nothing excuses nothing.
                Err(error) => match self.measure().await? {
                    SupplyReading::Measured(measured) if measured.volts >= OFF_BELOW => {
                        self.complain(&error);
                        return Ok(SupplyReading::Measured(measured));
                    }
                    _ => return Err(error),
                },
            }
        }
        if !self.known.identified {
            if let SupplyReply::Identity(name) = self.ask(SupplyRequest::Identify).await? {
                tracing::info!(%name, "the supply was recognised");
            }
            self.known.identified = true;
        }
        if let Some(preset) = order
            .preset
            .filter(|preset| self.known.preset != Some(*preset))
        {
            self.ask(SupplyRequest::SetVoltage(preset)).await?;
            self.known.preset = Some(preset);
        }
        if order.enable && self.has_watchdog && !self.known.watched {
            // From now on each of our questions keeps the output up, and our silence ends it.
            self.ask(SupplyRequest::Watchdog(true)).await?;
            self.known.watched = true;
        }
        if self.has_switch && order.enable && self.known.on != Some(true) {
            self.ask(SupplyRequest::Switch(true)).await?;
            self.known.on = Some(true);
        }
        self.measure().await
    }

    async fn measure(&mut self) -> Result<SupplyReading, AskError> {
        match self.ask(SupplyRequest::Measure).await? {
            SupplyReply::Measured(measured) => Ok(SupplyReading::Measured(measured)),
            _ => Ok(SupplyReading::Failed(SupplyFault::Silent)),
        }
    }

    /// Tells it once, until the supply does as told again.
    fn complain(&mut self, error: &AskError) {
        if !self.complained {
            tracing::warn!(%error, "the supply does not do as told");
        }
        self.complained = true;
    }

    async fn ask(&mut self, request: SupplyRequest) -> Result<SupplyReply, AskError> {
        ask(self.part.as_mut(), self.epoch, request).await
    }
}

/// Asks a supply, and waits for its answer.
///
/// # Errors
/// What its driver says; a driver that neither answers nor gives up says what it is still busy with. One that knows of nothing that it is
/// busy with has lost the request: that is no answer either.
pub async fn ask(
    part: &mut dyn Supply,
    epoch: Epoch,
    request: SupplyRequest,
) -> Result<SupplyReply, AskError> {
    part.begin(request, epoch.now())?;
    let until = Instant::now() + ANSWER_DEADLINE;
    loop {
        if let Some(answer) = part.poll(epoch.now()) {
            return Ok(answer?);
        }
        if Instant::now() >= until {
            part.begin(request, epoch.now())?;
            return Err(AskError::Lost(request));
        }
        sleep(LOOK).await;
    }
}

/// What a failure says of the supply.
fn meaning(error: &AskError) -> SupplyFault {
    let AskError::Part(error) = error else {
        return SupplyFault::Silent;
    };
    match &error.problem {
        Problem::Damaged(_) => SupplyFault::BadChecksum,
        Problem::Bus {
            kind: embedded_hal::i2c::ErrorKind::NoAcknowledge(_),
            ..
        }
        | Problem::Refused
        | Problem::WrongPart { .. }
        | Problem::Unsupported(_)
        | Problem::NotTaken { .. }
        | Problem::OutOfRange { .. } => SupplyFault::Refused,
        _ => SupplyFault::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cgminer_board::moment::Moment;
    use cgminer_board::power::Measured;
    use std::sync::{Arc, Mutex};

    /// A supply that takes everything and measures what it is given.
    struct Part {
        asked: Arc<Mutex<Vec<SupplyRequest>>>,
        last: SupplyRequest,
        volts: Arc<Mutex<u32>>,
    }

    impl Supply for Part {
        fn begin(&mut self, request: SupplyRequest, _now: Moment) -> Result<(), PartError> {
            self.asked.lock().unwrap().push(request);
            self.last = request;
            Ok(())
        }

        fn poll(&mut self, _now: Moment) -> Option<Result<SupplyReply, PartError>> {
            Some(Ok(match self.last {
                SupplyRequest::Measure => SupplyReply::Measured(Measured {
                    volts: Millivolts(*self.volts.lock().unwrap()),
                    power: None,
                    temperature: None,
                    tripped: false,
                }),
                _ => SupplyReply::Done,
            }))
        }
    }

    struct Bench {
        supply: BoardSupply,
        asked: Arc<Mutex<Vec<SupplyRequest>>>,
        volts: Arc<Mutex<u32>>,
    }

    impl Bench {
        fn new(pmbus: bool) -> Self {
            let (asked, volts) = (Arc::default(), Arc::new(Mutex::new(0)));
            let part = Part {
                asked: Arc::clone(&asked),
                last: SupplyRequest::Measure,
                volts: Arc::clone(&volts),
            };
            let supply = BoardSupply {
                part: Box::new(part),
                has_watchdog: !pmbus,
                has_switch: pmbus,
                known: Known::default(),
                overdue: Overdue::default(),
                epoch: Epoch::begin(),
                complained: false,
            };
            Self {
                supply,
                asked,
                volts,
            }
        }

        /// A round each second; gives how often each of them was asked for this, and how often it measured.
        async fn rounds(
            &mut self,
            count: usize,
            enable: bool,
            wanted: SupplyRequest,
        ) -> (usize, usize) {
            let order = SupplyOrder {
                preset: None,
                enable,
            };
            self.asked.lock().unwrap().clear();
            let mut readings = 0;
            for _ in 0..count {
                readings += usize::from(self.supply.attend(order).await.reading.is_some());
                sleep(Duration::from_secs(1)).await;
            }
            let asked = self.asked.lock().unwrap();
            let times = asked.iter().filter(|asked| **asked == wanted).count();
            (times, readings)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_time_that_it_is_switched_on_a_supply_is_told_to_watch_us() {
        let mut bench = Bench::new(false);
        let watch = SupplyRequest::Watchdog(true);
        assert_eq!(bench.rounds(5, false, watch).await, (0, 5));
        assert_eq!(bench.rounds(5, true, watch).await, (1, 5));
        assert_eq!(bench.rounds(5, false, watch).await, (0, 5));
        assert_eq!(bench.rounds(5, true, watch).await, (1, 5));
    }

    /// A driver that loses what it was asked.
    struct Forgetful;

    impl Supply for Forgetful {
        fn begin(&mut self, _: SupplyRequest, _: Moment) -> Result<(), PartError> {
            Ok(())
        }

        fn poll(&mut self, _: Moment) -> Option<Result<SupplyReply, PartError>> {
            None
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_never_answered_is_not_taken_for_done() {
        let request = SupplyRequest::SetVoltage(Millivolts(13_000));
        let began = Instant::now();
        let answer = ask(&mut Forgetful, Epoch::begin(), request).await;
        assert_eq!(
            answer.map_err(|error| meaning(&error)),
            Err(SupplyFault::Silent)
        );
        assert!(began.elapsed() < ANSWER_DEADLINE + 2 * LOOK);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stays_on_is_told_to_switch_off_until_it_is_off() {
        let mut bench = Bench::new(true);
        let off = SupplyRequest::Switch(false);
        *bench.volts.lock().unwrap() = 13_000;
        assert_eq!(bench.rounds(200, false, off).await, (200, 200));
        *bench.volts.lock().unwrap() = 100;
        assert_eq!(bench.rounds(200, false, off).await, (1, 200));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_watches_us_is_left_alone_when_it_stays_on() {
        let mut bench = Bench::new(false);
        *bench.volts.lock().unwrap() = 13_000;
        let (asked, readings) = bench.rounds(100, false, SupplyRequest::Measure).await;
        assert_eq!((asked, readings), (70, 70), "30 s of silence");
        *bench.volts.lock().unwrap() = 100;
        let (_, readings) = bench.rounds(100, false, SupplyRequest::Measure).await;
        assert_eq!(readings, 100);
    }
}
