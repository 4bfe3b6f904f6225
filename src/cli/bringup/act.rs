//! What each command does at a keeper, its own or one that runs.

use super::session::Session;
use super::{Command, show};
use crate::api::local;
use crate::cli::Failure;
use crate::cli::table::{inert, print};
use crate::link::Request;
use crate::link::{KeeperStatus, State};
use cgminer_board::thermal::FanMode;
use cgminer_hal::units::{DutyPercent, Millivolts};
use std::future::Future;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::time::sleep;

/// How long parts may take to be read.
const READINGS: Duration = Duration::from_secs(15);
/// How long actuators may take to follow.
const FOLLOWS: Duration = Duration::from_secs(15);
/// How long a machine may take from nothing to a rail that is confirmed on: supplies are left to discharge first.
const POWER_UP: Duration = Duration::from_secs(240);
/// How long a fan takes to its new speed, tach and all.
const SPINS: Duration = Duration::from_secs(4);
/// How far a duty may read back from what was set; drivers count in steps.
const DUTY_STEP: f32 = 2.0;
/// A rail below this is off.
const OFF: Millivolts = Millivolts(3_000);
/// How long reset is held.
const RESET: Duration = Duration::from_secs(1);
/// Share of the voltage that the rail may lie off its setting.
const NEAR: u32 = 20;

/// Does a command; ends early when `stop` resolves.
pub(super) async fn act(
    command: Command,
    session: Session,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    if session.emulated && !session.own {
        let status = session.look(Duration::ZERO, |_| true).await?;
        if !status.emulated {
            return Err(Failure::Usage(format!(
                "--emulated: the keeper that runs drives the real board {}",
                inert(&status.board)
            )));
        }
    }
    match command {
        Command::BoardProbe => {
            settle(&session).await?;
            let status = session.look(READINGS, is_read).await?;
            print(&show::whole(&status))
        }
        Command::BoardWatch => watch(&session, stop).await,
        Command::FanGet => {
            settle(&session).await?;
            let status = session.look(READINGS, fans_are_read).await?;
            print(&show::fans(&status))
        }
        Command::FanSet(duty) => {
            let mode = FanMode::Fixed { duty };
            set_fans(&session, mode, stop).await
        }
        Command::FanAuto => set_fans(&session, FanMode::Auto, stop).await,
        Command::PsuOn(voltage) => switch_on(&session, voltage, stop).await,
        Command::PsuOff => switch_off(&session).await,
        Command::PsuRead => {
            let read = |status: &KeeperStatus| {
                status.supply.measured.is_some() || status.supply.fault.is_some()
            };
            let status = session.look(READINGS, read).await?;
            print(&show::supply(&status))
        }
        Command::PsuSet(voltage) => set_voltage(&session, voltage).await,
        Command::ChainDetect(chain) => detected(&session, chain).await,
        Command::ChainReset(chain) => reset(&session, chain).await,
        Command::LatchShow => {
            let status = session.look(Duration::ZERO, |_| true).await?;
            print(&match &status.latched {
                Some(latch) => show::latch(latch),
                None => "nothing is latched\n".to_owned(),
            })
        }
        Command::LatchClear => clear_latch(&session).await,
        Command::Locate(on) => {
            session.ask(Request::Locate { on }).await?;
            session.look(FOLLOWS, |status| status.locate == on).await?;
            print(if on {
                "blinking\n"
            } else {
                "blinking no more\n"
            })?;
            if on {
                hold(&session, stop).await
            } else {
                Ok(())
            }
        }
    }
}

/// Lets fans that were started just now reach their speed.
async fn settle(session: &Session) -> Result<(), Failure> {
    if session.own {
        session.look(SPINS, |_| false).await?;
    }
    Ok(())
}

/// Waits until the rail is confirmed on, and tells the way there.
///
/// # Errors
/// When it will not be.
pub(super) async fn power_up(session: &Session) -> Result<(), Failure> {
    let mut told = String::new();
    let mut status = session.keeper.status();
    let way = async {
        loop {
            let latest = status.borrow_and_update().clone();
            if let Some(latest) = latest {
                tell_state(&latest, &mut told)?;
                match latest.state {
                    State::Running | State::Hot => return Ok(()),
                    State::Dangerous | State::CoolDown | State::Latched | State::FanOnly => {
                        return Err(Failure::Other(format!(
                            "no power: {}",
                            inert(&latest.reason)
                        )));
                    }
                    _ => {}
                }
            }
            if status.changed().await.is_err() {
                return Err(Failure::Other("the keeper has ended".into()));
            }
        }
    };
    tokio::select! {
        done = way => done,
        () = sleep(POWER_UP) => Err(Failure::Other(format!("no power within {POWER_UP:?}"))),
    }
}

async fn clear_latch(session: &Session) -> Result<(), Failure> {
    session.ask(Request::ClearLatch).await?;
    let status = session
        .look(FOLLOWS, |status| status.latched.is_none())
        .await?;
    print(&show::state(&status))?;
    match &status.latched {
        None => Ok(()),
        Some(latch) => Err(Failure::Other(format!(
            "it is latched again: {}",
            inert(&latch.cause.to_string())
        ))),
    }
}

async fn switch_on(
    session: &Session,
    voltage: Option<Millivolts>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    // A keeper of our own begins with the rail off for half a minute: this comes before any power.
    if let Some(voltage) = voltage {
        session.ask(Request::SetVoltage { voltage }).await?;
    }
    if !session.own {
        session.ask(Request::SetPower { on: true }).await?;
        let status = session.look(Duration::from_secs(2), |_| false).await?;
        print("the miner may have power; it comes when the miner asks for it\n")?;
        return print(&format!(
            "{}\n{}",
            show::state(&status),
            show::supply(&status)
        ));
    }
    tokio::pin!(stop);
    tokio::select! {
        up = power_up(session) => up?,
        () = &mut stop => return Ok(()),
    }
    let measured = |status: &KeeperStatus| status.supply.measured.is_some();
    let status = session.look(READINGS, measured).await?;
    print(&show::supply(&status))?;
    hold(session, stop).await
}

async fn switch_off(session: &Session) -> Result<(), Failure> {
    // A keeper of our own has no miner that could want power.
    if !session.own {
        session.ask(Request::SetPower { on: false }).await?;
    }
    let is_off = |status: &KeeperStatus| {
        !status.supply.wanted_on && status.supply.measured.is_some_and(|volts| volts.0 < OFF.0)
    };
    let status = session.look(FOLLOWS, is_off).await?;
    print(&show::supply(&status))?;
    if is_off(&status) {
        return Ok(());
    }
    Err(Failure::Other(format!(
        "the supply is switched off, and its rail is not seen off: {}",
        inert(&status.reason)
    )))
}

async fn set_voltage(session: &Session, voltage: Millivolts) -> Result<(), Failure> {
    session.ask(Request::SetVoltage { voltage }).await?;
    let follows = |status: &KeeperStatus| {
        let supply = &status.supply;
        let near = |volts: Millivolts| volts.0.abs_diff(voltage.0) <= voltage.0 / NEAR;
        supply.wanted == voltage && (!supply.wanted_on || supply.measured.is_some_and(near))
    };
    let status = session.look(FOLLOWS, follows).await?;
    print(&show::supply(&status))?;
    if follows(&status) {
        return not_written(session);
    }
    Err(Failure::Other(format!(
        "the rail did not follow to {voltage} within {FOLLOWS:?}"
    )))
}

/// Says that what was set by hand ends with the keeper.
fn not_written(session: &Session) -> Result<(), Failure> {
    if session.own {
        return Ok(());
    }
    print(
        "it is not written down: from its next change or start on the configuration holds again\n",
    )
}

async fn set_fans(
    session: &Session,
    mode: FanMode,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    session.ask(Request::SetFanMode { mode }).await?;
    let follows = |status: &KeeperStatus| {
        let obeys = |duty: DutyPercent| match mode {
            FanMode::Fixed { duty: asked } => (duty.0 - asked.0).abs() <= DUTY_STEP,
            FanMode::Auto | FanMode::Immersion => true,
        };
        status.fan_mode == mode && status.fans.iter().all(|fan| fan.duty.is_some_and(obeys))
    };
    session.look(FOLLOWS, follows).await?;
    let status = session.look(SPINS, |_| false).await?;
    print(&show::fans(&status))?;
    if !follows(&status) {
        print(&format!(
            "the keeper drives the fans otherwise for now: {}: {}\n",
            status.state,
            inert(&status.reason)
        ))?;
    }
    not_written(session)?;
    hold(session, stop).await
}

/// Presence and reset of each connector, and what the miner found behind it.
async fn detected(session: &Session, chain: Option<u8>) -> Result<(), Failure> {
    let seen = |status: &KeeperStatus| status.chains.iter().all(|one| one.reset_held.is_some());
    let status = session.look(READINGS, seen).await?;
    if let Some(asked) = chain.filter(|asked| usize::from(*asked) >= status.chains.len()) {
        let count = status.chains.len();
        return Err(Failure::Usage(format!(
            "there is no chain {asked}; there are {count}, from 0"
        )));
    }
    print(&show::chains(&status))?;
    let answer = local::get(&session.config.api.run_directory, "/api/v1/status")?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)
        .map_err(|error| Failure::Other(format!("the miner's answer is no JSON: {error}")))?;
    let word = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => inert(text),
        serde_json::Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let chains = answer["chains"].as_array().cloned().unwrap_or_default();
    let rows = chains
        .iter()
        .filter(|one| chain.is_none_or(|asked| one["index"] == asked))
        .map(|one| {
            vec![
                word(&one["index"]),
                format!(
                    "{} of {}",
                    word(&one["chips_found"]),
                    word(&one["chips_expected"])
                ),
                word(&one["phase"]),
            ]
        });
    print(&format!(
        "\n{}",
        show::table(&["chain", "chips", "phase"], rows)
    ))
}

async fn reset(session: &Session, chain: u8) -> Result<(), Failure> {
    session.ask(Request::HoldReset { chain }).await?;
    print(&format!("chain {chain} is held in reset\n"))?;
    sleep(RESET).await;
    session.ask(Request::ReleaseReset { chain }).await?;
    print(&format!(
        "chain {chain} is released; its miner sees that it says nothing and brings it up again\n"
    ))
}

/// Keeps what was set for as long as this command is the keeper.
async fn hold(session: &Session, stop: impl Future<Output = ()>) -> Result<(), Failure> {
    if !session.own {
        return print("the keeper that runs keeps it so, until it is told otherwise or ends\n");
    }
    print(&match session.lasting {
        None => "no keeper runs: this command keeps the machine until Ctrl-C\n".to_owned(),
        Some(time) => format!("no keeper runs: this command keeps the machine for {time:?}\n"),
    })?;
    let mut told = String::new();
    let mut status = session.keeper.status();
    let telling = async {
        loop {
            let latest = status.borrow_and_update().clone();
            if let Some(latest) = latest {
                tell_state(&latest, &mut told)?;
            }
            if status.changed().await.is_err() {
                return Ok(());
            }
        }
    };
    tokio::select! {
        told = telling => told,
        () = until(session.lasting, stop) => Ok(()),
    }
}

/// A live table: one screenful a second, over the last one where a terminal shows it.
async fn watch(session: &Session, stop: impl Future<Output = ()>) -> Result<(), Failure> {
    let clear = if std::io::stdout().is_terminal() {
        "\u{1b}[H\u{1b}[2J"
    } else {
        ""
    };
    let mut status = session.keeper.status();
    let showing = async {
        loop {
            let latest = status.borrow_and_update().clone();
            if let Some(latest) = latest {
                print(&format!("{clear}{}\n", show::whole(&latest)))?;
            }
            if status.changed().await.is_err() {
                return Err(Failure::Other("the keeper has ended".into()));
            }
        }
    };
    tokio::select! {
        shown = showing => shown,
        () = until(session.lasting, stop) => Ok(()),
    }
}

async fn until(lasting: Option<Duration>, stop: impl Future<Output = ()>) {
    match lasting {
        Some(lasting) => tokio::select! { () = stop => {}, () = sleep(lasting) => {} },
        None => stop.await,
    }
}

/// Prints where the keeper stands, if that is news.
fn tell_state(status: &KeeperStatus, told: &mut String) -> Result<(), Failure> {
    let line = format!("{}: {}\n", status.state, inert(&status.reason));
    // Of the steps to power each is news. Other reasons have numbers in them, which change with every snapshot.
    let news = match status.state {
        State::PowerUp => line.clone(),
        state => state.to_string(),
    };
    if *told != news {
        print(&line)?;
        *told = news;
    }
    Ok(())
}

fn fans_are_read(status: &KeeperStatus) -> bool {
    status.fans.iter().all(|fan| fan.speed.is_some())
}

/// Whether each part has said something.
fn is_read(status: &KeeperStatus) -> bool {
    let supply = &status.supply;
    fans_are_read(status)
        && (supply.measured.is_some() || supply.fault.is_some())
        && status
            .sensors
            .iter()
            .all(|sensor| sensor.reading.is_some() || sensor.fault.is_some())
        && status.state != State::Boot
}
