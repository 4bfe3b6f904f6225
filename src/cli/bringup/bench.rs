//! What a bench looks at and a keeper alone has no use for: which board it is, the supply's setting and a reset line
//! without power, and how many chips answer.

use super::act::power_up;
use super::session::Session;
use super::show;
use crate::chain::task::{self, ChainEnds};
use crate::chain::{ChainCommand, ChainPhase, ChainSettings, ChainStatus};
use crate::cli::Failure;
use crate::cli::machine::Machine;
use crate::cli::table::{inert, print};
use crate::keeper::hardware::ask_supply;
use crate::keeper::worker::Epoch;
use crate::miner::chains::chain_settings;
use crate::miner::reset::LinkReset;
use cgminer_board::assembly;
use cgminer_board::file::SupplySpec;
use cgminer_board::parts::{Supply, SupplyReply, SupplyRequest};
use cgminer_hal::devices::Devices;
use cgminer_hal::gpio::{Output, Signal};
use cgminer_hal::units::Millivolts;
use std::fmt::{Display, Write};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// How long a chain may take to be counted: reset, and a read of all chips at the speed of reset.
const COUNT: Duration = Duration::from_secs(30);
/// How long a chain's task may take to end.
const TASK_ENDS: Duration = Duration::from_secs(10);
/// How long each level of a reset line stands: time to look at a meter.
const LEVEL: Duration = Duration::from_secs(1);
/// Commands that may wait for a chain.
const COMMANDS: usize = 1;

fn failed(error: impl Display) -> Failure {
    Failure::Other(error.to_string())
}

/// What the machine says it is.
pub(super) fn recognised(machine: &Machine) -> String {
    let recognised = &machine.recognised;
    let mut text = String::new();
    let model = recognised
        .model
        .as_deref()
        .map_or_else(|| "none".into(), inert);
    // Writing to a text cannot fail.
    let _ = writeln!(text, "device tree {model}");
    let _ = writeln!(
        text,
        "board file  {}: {}",
        recognised.board.name,
        inert(&recognised.board.title)
    );
    for (index, slot) in recognised.slots.iter().enumerate() {
        let _ = writeln!(text, "slot {index}      {}", inert(&slot.to_string()));
    }
    let verdict = match &recognised.refusal {
        Some(refusal) => format!("no power: {}", inert(&refusal.to_string())),
        None => "power allowed".to_owned(),
    };
    let _ = writeln!(text, "verdict     {verdict}\n");
    text
}

/// Tells the supply its voltage, with the output off, and reads it back.
pub(super) async fn preset(machine: &Machine, voltage: Millivolts) -> Result<(), Failure> {
    let (mut part, _off) = rail_off(machine).await?;
    let epoch = Epoch::begin();
    let mut ask = async |request| {
        ask_supply(part.as_mut(), epoch, request)
            .await
            .map_err(failed)
    };
    if let SupplyReply::Identity(name) = ask(SupplyRequest::Identify).await? {
        print(&format!("supply    {}\n", inert(&name)))?;
    }
    ask(SupplyRequest::SetVoltage(voltage)).await?;
    match ask(SupplyRequest::Setting).await? {
        SupplyReply::Setting(setting) => print(&format!(
            "setting   {setting}, read back\noutput    off; `psu on` sets the board's own voltage\n"
        )),
        _ => Err(Failure::Other(
            "the supply took the setting and does not give it back".into(),
        )),
    }
}

/// Pulls a reset line without power on the chips.
pub(super) async fn pulse(machine: &Machine, chain: u8) -> Result<(), Failure> {
    let board = machine.board();
    let spec = board.chains.get(usize::from(chain)).ok_or_else(|| {
        let count = board.chains.len();
        Failure::Usage(format!(
            "there is no chain {chain}; there are {count}, from 0"
        ))
    })?;
    let _off = rail_off(machine).await?;
    let mut reset = devices(machine)
        .output_signal(&spec.reset, true)
        .map_err(failed)?;
    for held in [true, false, true] {
        reset.set(held).map_err(failed)?;
        let level = if reset.is_set().map_err(failed)? {
            "held"
        } else {
            "released"
        };
        print(&format!("chain {chain} reset {level}\n"))?;
        sleep(LEVEL).await;
    }
    Ok(())
}

/// Counts the chips of a chain, or of all, with the chain driver itself.
pub(super) async fn detect(
    machine: &Machine,
    session: &Session,
    chain: Option<u8>,
) -> Result<(), Failure> {
    let settings =
        chain_settings(machine.board(), &session.config.chains, machine.chips).map_err(failed)?;
    if chain.is_some_and(|asked| usize::from(asked) >= settings.len()) {
        let count = settings.len();
        return Err(Failure::Usage(format!("there are {count} chains, from 0")));
    }
    power_up(session).await?;
    let status = session.look(Duration::ZERO, |_| true).await?;
    let mut rows = Vec::new();
    let mut whole = true;
    for ((settings, safety), mut open) in settings
        .iter()
        .zip(&status.chains)
        .zip(machine.uart_openers())
        .filter(|((settings, _), _)| chain.is_none_or(|asked| asked == settings.chain.0))
    {
        let (found, remark) = match safety.present {
            Some(false) => (None, "nothing is plugged in".to_owned()),
            _ => match open() {
                Ok(uart) => count(settings, uart, session).await,
                Err(error) => (None, error.to_string()),
            },
        };
        whole &= found == Some(settings.chips) || safety.present == Some(false);
        rows.push(vec![
            settings.chain.0.to_string(),
            format!(
                "{} of {}",
                found.map_or_else(|| "-".into(), |found| found.to_string()),
                settings.chips
            ),
            settings.model.name.to_owned(),
            inert(&remark),
        ]);
    }
    print(&show::table(&["chain", "chips", "model", "remark"], rows))?;
    if whole {
        Ok(())
    } else {
        Err(Failure::Other("not every chain is whole".into()))
    }
}

/// Brings a chain up until its chips are counted, then holds it in reset.
async fn count(
    settings: &ChainSettings,
    uart: Box<dyn cgminer_hal::uart::Uart>,
    session: &Session,
) -> (Option<u16>, String) {
    let (publish, mut status) = watch::channel(ChainStatus::new(settings));
    let (commands, received) = mpsc::channel(COMMANDS);
    let (_no_jobs, jobs) = watch::channel(None);
    let (shares, _no_shares) = mpsc::channel(1);
    let ends = ChainEnds {
        uart,
        reset: Box::new(LinkReset::new(settings.chain.0, session.keeper.clone())),
        jobs,
        shares,
        status: publish,
        commands: received,
    };
    let chain = tokio::spawn(task::run(settings.clone(), ends));
    let failed = |status: &ChainStatus| {
        matches!(
            status.phase,
            ChainPhase::BackOff | ChainPhase::Failed | ChainPhase::Stopped
        )
    };
    let told = timeout(
        COUNT,
        status
            .wait_for(|status| status.chips_found == Some(status.chips_expected) || failed(status)),
    )
    .await;
    let outcome = match told {
        Ok(Ok(status)) => {
            let remark = match &status.reason {
                Some(reason) if failed(&status) => reason.clone(),
                _ => "all answer".to_owned(),
            };
            (status.chips_found, remark)
        }
        _ => (None, format!("no count within {COUNT:?}")),
    };
    let told = commands.try_send(ChainCommand::Stop).is_ok();
    let mut chain = chain;
    if !told || timeout(TASK_ENDS, &mut chain).await.is_err() {
        chain.abort();
    }
    outcome
}

/// The supply, with its output off for as long as the line that comes with it lives.
async fn rail_off(machine: &Machine) -> Result<(Box<dyn Supply>, Option<Signal<Output>>), Failure> {
    let board = machine.board();
    let spec: &SupplySpec = board
        .supply
        .as_ref()
        .ok_or_else(|| Failure::Other(format!("board {}: it has no supply", board.name)))?;
    let (line, mut part) = {
        let mut devices = devices(machine);
        let line = spec
            .enable
            .as_ref()
            .map(|line| devices.output_signal(line, false));
        let line = line.transpose().map_err(failed)?;
        (
            line,
            assembly::supply(board, spec, &mut *devices).map_err(failed)?,
        )
    };
    if line.is_none() {
        ask_supply(part.as_mut(), Epoch::begin(), SupplyRequest::Switch(false))
            .await
            .map_err(failed)?;
    }
    Ok((part, line))
}

fn devices(machine: &Machine) -> std::sync::MutexGuard<'_, dyn Devices + 'static> {
    machine
        .devices
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}
