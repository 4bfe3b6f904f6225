//! The keeper at work: feeds the guard with what workers, miner and operators say, and does what it decides.

use super::black_box::BlackBox;
use super::factory_reset;
use super::files::{FLASH_ANSWERS_WITHIN, Files};
use super::guard::{Applied, Guard, Inputs, MinerEvent, MinerOrder, Outputs};
use super::host::MinerHost;
use super::lights::lights;
use super::operator::{self, Asked};
use super::remarks::Remarks;
use super::requests::Asker;
use super::resources::Resources;
use super::setup::{Ended, HashesDue, KeeperError, Machine, Setup};
use super::state::State;
use super::status::{KeeperStatus, WatchdogStatus};
use super::worker::{self, Epoch, Found, Orders, Report, Reports, Running};
use super::workers::Press;
use crate::link::{Down, KeeperEnd, LinkError, Refusal, Request, RequestId, Up};
use cgminer_board::moment::Moment;
use cgminer_hal::watchdog::Watchdog;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Time between two decisions when nothing happens.
pub const TICK: Duration = Duration::from_millis(500);
/// How often the snapshot is published when nothing changes.
const PUBLISH: Duration = Duration::from_secs(1);
/// How long a miner that was asked to end may take.
const MINER_ENDS_WITHIN: Duration = Duration::from_secs(10);
/// How long a reset line may take to follow.
const LINE_FOLLOWS_WITHIN: Duration = Duration::from_secs(1);
/// Messages of the miner that are taken between two decisions. The rest waits in the link.
const MESSAGES: usize = 64;
/// How long a miner whose link is closed may take to be seen ended.
const ENDING: Duration = Duration::from_secs(1);
/// How long workers may take for their last orders.
const WORKERS_END_WITHIN: Duration = Duration::from_secs(5);

/// Keeps a machine until a wanted stop is complete: `stop` resolves, or an operator asks for it.
///
/// # Errors
/// When it cannot begin.
pub async fn run(
    mut machine: Machine,
    host: Box<dyn MinerHost>,
    setup: Setup,
    stop: impl Future<Output = ()>,
) -> Result<Ended, KeeperError> {
    let watchdog = machine.watchdog.take();
    machine.settings.watchdog_has_reset =
        watchdog.as_deref().is_some_and(Watchdog::has_reset_machine);
    let mut keeper = match Keeper::begin(machine, host, &setup).await {
        Ok(keeper) => keeper,
        Err(error) => {
            // No power was given, so nobody is helped by a board that is reset for it again and again.
            let disarmed = watchdog.map(Watchdog::disarm);
            if let Some(Err(error)) = disarmed {
                tracing::warn!(%error, "the watchdog runs on");
            }
            return Err(error);
        }
    };
    keeper.watchdog = watchdog;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(stop);
    let mut stopping = false;
    loop {
        tokio::select! {
            _ = tick.tick() => keeper.decide(),
            Some(report) = keeper.reports.recv() => {
                keeper.hear_worker(&report);
                keeper.hear_workers();
            }
            message = receive(keeper.link.as_mut()) => keeper.hear_miner(message),
            Some(asked) = keeper.asked.recv() => keeper.hear_operator(asked),
            () = &mut stop, if !stopping => {
                stopping = true;
                // An operator may always ask for a stop.
                let _ = keeper.guard.request(Asker::Operator, Request::Stop, keeper.epoch.now());
                keeper.decide();
            }
        }
        if keeper.is_over() {
            return Ok(keeper.end().await);
        }
    }
}

struct Keeper {
    guard: Guard,
    epoch: Epoch,
    inputs: Inputs,
    orders: watch::Sender<Orders>,
    workers: Vec<Running>,
    reports: mpsc::Receiver<Report>,
    host: Box<dyn MinerHost>,
    link: Option<KeeperEnd>,
    /// Requests whose line has not followed yet.
    waiting: Vec<Waiting>,
    asked: mpsc::Receiver<Asked>,
    status: watch::Sender<Option<Arc<KeeperStatus>>>,
    published: Option<(State, Instant)>,
    watchdog: Option<Box<dyn Watchdog>>,
    fed: Option<Instant>,
    files: Files,
    asked_to_end: Option<Instant>,
    /// Why the link broke, and when, until the miner is seen ended.
    broken: Option<(LinkError, Instant)>,
    state: State,
    kept: PathBuf,
    /// The wish for a factory reset on its way to the disk.
    resetting: Option<JoinHandle<io::Result<()>>>,
    remarks: Remarks,
    black_box: BlackBox,
    resources: Resources,
    hashes_due: Option<HashesDue>,
    owners_fans: watch::Receiver<Option<u8>>,
}

/// Somebody waits for a reset line to follow.
struct Waiting {
    whom: Whom,
    chain: usize,
    held: bool,
    until: Instant,
}

/// Whom a reply goes to.
enum Whom {
    Miner(RequestId),
    Operator(Asked),
}

impl Keeper {
    async fn begin(
        machine: Machine,
        host: Box<dyn MinerHost>,
        setup: &Setup,
    ) -> Result<Self, KeeperError> {
        let epoch = Epoch::begin();
        let (orders, ordered) = watch::channel(Orders::SAFE);
        let (reporter, reports) = Reports::channel();
        let mut settings = machine.settings;
        settings.loops = machine.workers.iter().map(|worker| worker.rule()).collect();
        let mut workers = Vec::new();
        for (index, worker) in machine.workers.into_iter().enumerate() {
            let name = worker.rule().name;
            let running = worker::start(
                index,
                worker,
                setup.placement,
                ordered.clone(),
                reporter.clone(),
            )
            .map_err(|source| KeeperError::Worker { name, source })?;
            workers.push(running);
        }
        let chains = usize::from(settings.thermal.chains);
        let files = Files::begin(setup, settings.watchdog_has_reset).await;
        settings.last_end = files.last_end();
        let status = setup.status.clone();
        let asked = match &setup.socket {
            Some(path) => operator::listen(path, status.subscribe()).map_err(|source| {
                KeeperError::Socket {
                    path: path.clone(),
                    source,
                }
            })?,
            None => mpsc::channel(1).1,
        };
        Ok(Self {
            guard: Guard::new(settings, files.latch(), epoch.now()),
            epoch,
            inputs: Inputs {
                applied: Applied {
                    resets: vec![None; chains],
                    controllers: vec![None; chains],
                    ..Applied::default()
                },
                present: vec![None; chains],
                ..Inputs::default()
            },
            orders,
            workers,
            reports,
            host,
            link: None,
            waiting: Vec::new(),
            asked,
            status,
            published: None,
            watchdog: None,
            fed: None,
            files,
            asked_to_end: None,
            broken: None,
            state: State::Boot,
            kept: setup.kept.clone(),
            resetting: None,
            remarks: Remarks::default(),
            black_box: BlackBox::default(),
            resources: Resources::new(Instant::now()),
            hashes_due: machine.hashes_due,
            owners_fans: setup.owners_fans.clone(),
        })
    }

    /// One decision, and what follows from it.
    fn decide(&mut self) {
        self.watch_miner();
        self.hear_workers();
        let now = self.epoch.now();
        let inputs = Inputs {
            sensors: std::mem::take(&mut self.inputs.sensors),
            fans: std::mem::take(&mut self.inputs.fans),
            supply: std::mem::take(&mut self.inputs.supply),
            beats: std::mem::take(&mut self.inputs.beats),
            controllers: std::mem::take(&mut self.inputs.controllers),
            miner: std::mem::take(&mut self.inputs.miner),
            present: self.inputs.present.clone(),
            applied: self.inputs.applied.clone(),
        };
        let (outputs, _reason) = self.guard.decide(inputs, now);
        self.state = outputs.state;
        let shown = lights(outputs.state, self.guard.is_locating(), now);
        self.orders.send_replace(Orders::of(&outputs, shown));
        self.black_box.note(&outputs);
        self.feed(&outputs);
        self.lead_miner(outputs.miner);
        self.files.follow(self.guard.latch(), now.elapsed());
        self.give_up_waiting();
        self.publish();
    }

    /// Takes what waits, and no more than may wait: workers go on reporting.
    fn hear_workers(&mut self) {
        for _ in 0..worker::REPORTS {
            let Ok(report) = self.reports.try_recv() else {
                return;
            };
            self.hear_worker(&report);
        }
    }

    fn hear_worker(&mut self, report: &Report) {
        let at = self.epoch.moment(report.at);
        let inputs = &mut self.inputs;
        match report.found {
            Found::Sensor(index, observation) => inputs.sensors.push((index, observation, at)),
            Found::Fan(index, speed) => inputs.fans.push((index, speed, at)),
            Found::Supply(reading) => inputs.supply.push((reading, at)),
            Found::Beat(index) => inputs.beats.push((index, at)),
            Found::Controller(chain, on) => {
                inputs.controllers.push((chain, on.is_some(), at));
                set(&mut inputs.applied.controllers, chain, on);
            }
            Found::Duty(duty) => inputs.applied.duty = duty,
            Found::Analog(index, reading) => self.guard.observe_analog(index, reading, at),
            Found::Press(press) => self.pressed(press, at),
            Found::Preset(preset) => inputs.applied.preset = preset,
            Found::Enable(enable) => inputs.applied.enable = enable,
            Found::Present(chain, present) => set(&mut inputs.present, chain, Some(present)),
            Found::Reset(chain, held) => {
                set(&mut inputs.applied.resets, chain, held);
                self.black_box.reset(chain, held);
                self.line_followed(chain, held);
            }
        }
    }

    fn pressed(&mut self, press: Press, at: Moment) {
        self.guard.press(press, at);
        if press != Press::FactoryReset || self.resetting.is_some() {
            return;
        }
        tracing::warn!(
            "the reset button was held: the machine stops, and the next start begins with the first settings"
        );
        let kept = self.kept.clone();
        self.resetting = Some(spawn_blocking(move || factory_reset::leave(&kept)));
        // An operator may always ask for a stop.
        let _ = self.guard.request(Asker::Operator, Request::Stop, at);
    }

    fn hear_miner(&mut self, first: Result<Down, LinkError>) {
        let mut next = Some(first);
        let mut asked = false;
        for _ in 0..MESSAGES {
            match next.take() {
                Some(Ok(Down::Alive(which))) => self.inputs.miner.push(MinerEvent::Alive(which)),
                Some(Ok(Down::Request { id, request })) => {
                    asked = true;
                    self.guard.owner_counts_on(*self.owners_fans.borrow());
                    let granted = self.guard.request(Asker::Miner, request, self.epoch.now());
                    let now = self.epoch.now();
                    self.remarks.tell_refusal(request, &granted, now);
                    self.answer(Whom::Miner(id), request, granted);
                }
                Some(Err(error)) => {
                    self.lose_link();
                    // A link that closes mostly says that the process ends; how it did is known in a moment.
                    let closed = error == LinkError::Closed;
                    self.broken = Some((error, Instant::now()));
                    if !closed {
                        self.break_with_miner();
                    }
                    asked = true;
                    break;
                }
                None => break,
            }
            next = self
                .link
                .as_mut()
                .and_then(|link| link.try_receive().transpose());
        }
        // What was granted is done now, not at the next tick: chips are timed in milliseconds.
        if asked {
            self.decide();
        }
    }

    fn hear_operator(&mut self, asked: Asked) {
        let request = asked.request;
        tracing::info!(?request, "an operator asks");
        self.guard.owner_counts_on(*self.owners_fans.borrow());
        let granted = self
            .guard
            .request(Asker::Operator, request, self.epoch.now());
        self.answer(Whom::Operator(asked), request, granted);
        self.decide();
    }

    /// Replies, now or when the line has followed.
    fn answer(&mut self, whom: Whom, request: Request, granted: Result<(), Refusal>) {
        let line = match request {
            Request::HoldReset { chain } => Some((usize::from(chain), true)),
            Request::ReleaseReset { chain } => Some((usize::from(chain), false)),
            _ => None,
        };
        match line {
            Some((chain, held)) if granted.is_ok() => {
                let until = Instant::now() + LINE_FOLLOWS_WITHIN;
                self.waiting.push(Waiting {
                    whom,
                    chain,
                    held,
                    until,
                });
            }
            _ => self.reply(whom, granted),
        }
    }

    fn line_followed(&mut self, chain: usize, held: Option<bool>) {
        let waiting = std::mem::take(&mut self.waiting);
        let (followed, waiting) = waiting
            .into_iter()
            .partition(|waiting| waiting.chain == chain && held == Some(waiting.held));
        self.waiting = waiting;
        let followed: Vec<Waiting> = followed;
        for one in followed {
            self.reply(one.whom, Ok(()));
        }
    }

    fn give_up_waiting(&mut self) {
        let now = Instant::now();
        let state = self.state;
        let waiting = std::mem::take(&mut self.waiting);
        let (late, waiting): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|waiting| waiting.until <= now);
        self.waiting = waiting;
        for one in late {
            let reason = format!("the reset line of chain {} does not follow", one.chain);
            self.reply(one.whom, Err(Refusal::NotNow { state, reason }));
        }
    }

    fn reply(&self, whom: Whom, result: Result<(), Refusal>) {
        match whom {
            Whom::Operator(asked) => asked.reply(result),
            Whom::Miner(id) => {
                if let Some(link) = &self.link {
                    // A miner that does not read its replies will be late with its tokens, too.
                    let _ = link.send(Up::Reply { id, result });
                }
            }
        }
    }

    /// Looks whether the miner has ended, or has closed its link without ending.
    fn watch_miner(&mut self) {
        if let Some(how) = self.host.ended() {
            if self.asked_to_end.is_some() {
                tracing::info!(%how, "the miner ended as asked");
            } else {
                tracing::warn!(%how, "the miner ended");
            }
            self.lose_link();
            self.broken = None;
            self.inputs.miner.push(MinerEvent::Died(how));
        } else if self
            .broken
            .as_ref()
            .is_some_and(|(_, since)| since.elapsed() >= ENDING)
        {
            self.break_with_miner();
        }
    }

    /// What it sends is not to be trusted, or it does not listen: no more of it.
    fn break_with_miner(&mut self) {
        if let Some((error, _)) = self.broken.take() {
            tracing::error!(%error, "the link to the miner broke: the miner is killed");
            self.host.kill();
            self.inputs
                .miner
                .push(MinerEvent::LinkBroken(error.to_string()));
        }
    }

    fn lose_link(&mut self) {
        self.link = None;
        self.waiting
            .retain(|waiting| matches!(waiting.whom, Whom::Operator(_)));
    }

    fn lead_miner(&mut self, order: MinerOrder) {
        match order {
            MinerOrder::Leave => {}
            MinerOrder::Start => match self.host.start() {
                Ok(link) => {
                    tracing::info!("the miner was started");
                    self.link = Some(link);
                    self.asked_to_end = None;
                    self.inputs.miner.push(MinerEvent::Started);
                }
                Err(how) => {
                    tracing::error!(%how, "the miner cannot be started");
                    self.inputs
                        .miner
                        .extend([MinerEvent::Started, MinerEvent::Died(how)]);
                }
            },
            MinerOrder::Kill => {
                tracing::error!("the miner is killed");
                self.host.kill();
                self.lose_link();
            }
            MinerOrder::Stop => {
                let now = Instant::now();
                let asked = *self.asked_to_end.get_or_insert_with(|| {
                    if let Some(link) = &self.link {
                        let _ = link.send(Up::Stop);
                    }
                    now
                });
                if now.duration_since(asked) >= MINER_ENDS_WITHIN {
                    self.host.kill();
                }
            }
        }
    }

    fn feed(&mut self, outputs: &Outputs) {
        let Some(watchdog) = self.watchdog.as_mut().filter(|_| outputs.feed_watchdog) else {
            return;
        };
        match watchdog.feed() {
            Ok(()) => self.fed = Some(Instant::now()),
            Err(error) => tracing::error!(%error, "the watchdog cannot be fed"),
        }
    }

    fn publish(&mut self) {
        let now = Instant::now();
        if self
            .published
            .is_some_and(|(state, at)| state == self.state && now.duration_since(at) < PUBLISH)
        {
            return;
        }
        self.published = Some((self.state, now));
        let watchdog = WatchdogStatus {
            armed: self.watchdog.is_some(),
            timeout_seconds: self
                .watchdog
                .as_ref()
                .map(|watchdog| watchdog.timeout().as_secs_f64()),
            fed_seconds_ago: self.fed.map(|fed| now.duration_since(fed).as_secs_f64()),
        };
        let mut status = self.guard.snapshot(watchdog, self.epoch.now());
        status.process = Some(self.resources.at(now));
        if let Some(latch) = &mut status.latched {
            latch.unix_time = latch.unix_time.or(self.files.noted_at(&latch.cause));
        }
        if let Some(due) = &self.hashes_due {
            for chain in &mut status.chains {
                chain.hashes_due = due(chain.chain);
            }
        }
        let status = Arc::new(status);
        self.remarks.tell(&status, self.epoch.now());
        if let Some(link) = &self.link {
            // The next one comes in a second.
            let _ = link.send(Up::Status(Arc::clone(&status)));
        }
        self.status.send_replace(Some(status));
    }

    fn is_over(&self) -> bool {
        self.state == State::Stopped
    }

    /// Lets the workers do their last orders, notes a clean end, and stops the watchdog.
    async fn end(mut self) -> Ended {
        let ended = match self.resetting.take() {
            None => Ended::Stopped,
            Some(leaving) => match timeout(FLASH_ANSWERS_WITHIN, leaving).await.map_or_else(
                |_| Err(io::ErrorKind::TimedOut.into()),
                |left| left.unwrap_or_else(|error| Err(io::Error::other(error))),
            ) {
                Ok(()) => Ended::FactoryReset,
                Err(error) => {
                    tracing::error!(%error, "the wish for the first settings cannot be written; they stay as they are: hold the button again, or look at the state directory");
                    Ended::Stopped
                }
            },
        };
        self.host.kill();
        drop(self.orders);
        let last = async {
            for worker in self.workers {
                worker.ended().await;
            }
        };
        if timeout(WORKERS_END_WITHIN, last).await.is_err() {
            tracing::error!("a worker did not end; the watchdog is left running");
            return ended;
        }
        self.files.end().await;
        if let Some(Err(error)) = self.watchdog.take().map(Watchdog::disarm) {
            tracing::warn!(%error, "the watchdog runs on");
        }
        tracing::info!("the keeper has stopped: rail off");
        ended
    }
}

/// The next message of a miner; never comes without one.
async fn receive(link: Option<&mut KeeperEnd>) -> Result<Down, LinkError> {
    match link {
        Some(link) => link.receive().await,
        None => std::future::pending().await,
    }
}

fn set<T>(list: &mut [T], index: usize, value: T) {
    if let Some(place) = list.get_mut(index) {
        *place = value;
    }
}
