//! What becomes of the power when a process dies or hangs: the part of the fault table that needs real processes.

use crate::daemon::{Daemon, PATIENCE, is_alive, is_root, left_out};
use crate::document::{self, Row, Section};
use crate::log::Log;
use crate::stand_in::{Kept, Role, said_by};
use cgminer_rs::keeper::{KeeperStatus, State, operator};
use cgminer_rs::miner::confine::NOT_HELD;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

#[tokio::test]
async fn processes_that_die_hang_or_babble_take_the_power_with_them() {
    if !is_root() {
        return;
    }
    let log = Log::keep();
    // All at once: most of their time is the supply's discharge.
    let (killed, stopped, panics, allocates, babbles, keeper) = tokio::join!(
        miner_gets(
            "the miner is killed: SIGKILL",
            Signal::SIGKILL,
            "killed by signal 9"
        ),
        miner_gets(
            "the miner is stopped: SIGSTOP",
            Signal::SIGSTOP,
            "did not report in time"
        ),
        miner_is(
            "the miner panics",
            Role::Panics,
            "exited with code 101",
            &log
        ),
        miner_is(
            "the miner allocates more than it may, and aborts",
            Role::Allocates,
            "killed by signal 6",
            &log
        ),
        miner_is(
            "the miner sends what is no message",
            Role::Babbles,
            "messages cannot be trusted",
            &log
        ),
        keeper_is_killed(),
    );
    let seen = [killed, stopped, panics, allocates, babbles, Some(keeper)];
    // A table with a row left out is no table to hold the document to.
    if let Some(rows) = seen.into_iter().collect::<Option<Vec<_>>>() {
        document::check(Section::Deaths, &rows);
    }
}

/// The whole daemon; its miner gets a signal.
async fn miner_gets(fault: &str, signal: Signal, words: &str) -> Option<Row> {
    let daemon = Daemon::start().unwrap();
    let tool = daemon.tool().await;
    daemon.running(&tool).await;
    kill(daemon.miner().unwrap(), signal).unwrap();
    let status = daemon
        .wait(&tool, PATIENCE, |status| !status.state.may_power())
        .await;
    daemon.wait(&tool, PATIENCE, is_off).await;
    let cause = status.last_cause.clone().unwrap();
    assert!(cause.to_string().contains(words), "{cause}");
    assert!(
        daemon.log().contains(&cause.to_string()),
        "{}",
        daemon.log()
    );
    daemon.running(&tool).await;
    Some(row(fault, words, &status))
}

/// A keeper of this process, and a miner that dies by itself; none where nothing can make it die.
async fn miner_is(fault: &str, role: Role, words: &str, log: &Log) -> Option<Row> {
    let directory = tempfile::tempdir().unwrap();
    let kept = Kept::start(directory.path(), role, None);
    let mut status = kept.status.clone();
    let said = || fs::read_to_string(said_by(directory.path(), role)).unwrap_or_default();
    until(
        &mut status,
        PATIENCE,
        |status| status.state.may_hash(),
        said,
    )
    .await;
    if role == Role::Allocates && said().contains(NOT_HELD) {
        left_out(&format!("{fault}: this system holds no limit of memory"));
        return None;
    }
    let gone = until(
        &mut status,
        PATIENCE,
        |status| !status.state.may_power(),
        said,
    )
    .await;
    until(&mut status, PATIENCE, is_off, said).await;
    let cause = gone.last_cause.clone().unwrap();
    assert!(cause.to_string().contains(words), "{cause}: {}", said());
    assert!(log.text().contains(&cause.to_string()), "{}", log.text());
    until(
        &mut status,
        PATIENCE,
        |status| status.state.may_hash(),
        said,
    )
    .await;
    Some(row(fault, words, &gone))
}

/// A keeper that is a process of its own, with a file where its watchdog would be.
async fn keeper_is_killed() -> Row {
    let directory = tempfile::tempdir().unwrap();
    let mut keeper = Role::Keeper.command(directory.path()).spawn().unwrap();
    let said = || fs::read_to_string(said_by(directory.path(), Role::Keeper)).unwrap_or_default();
    let socket = directory.path().join("run-keeper/keeper.sock");
    let tool = timeout(PATIENCE, async {
        loop {
            match operator::connect(&socket).await {
                Ok(tool) => return tool,
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
    });
    let tool = tool.await.unwrap_or_else(|_| panic!("{}", said()));
    until(
        &mut tool.status(),
        PATIENCE,
        |status| status.state == State::Running,
        said,
    )
    .await;
    let miner = child_of(keeper.id());
    let food = || fs::read(directory.path().join("watchdog")).unwrap();
    assert!(
        food().len() > 10,
        "the watchdog is fed while the keeper lives"
    );

    keeper.kill().unwrap();
    keeper.wait().unwrap();
    let eaten = food().len();
    let gone = timeout(PATIENCE, async {
        while is_alive(miner) {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(gone.await.is_ok(), "the miner lives on without its keeper");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(food().len(), eaten, "somebody else feeds the watchdog");
    assert!(
        !food().contains(&b'V'),
        "no good-bye: the watchdog runs on and resets the board"
    );
    Row {
        fault: "the keeper is killed: SIGKILL".into(),
        expected: "the miner ends with it, and the watchdog behind it gets no food and no good-bye, so it resets the board".into(),
        seen: "so".into(),
        hottest: "-".into(),
        reason: "the board's watchdog".into(),
    }
}

fn row(fault: &str, words: &str, status: &KeeperStatus) -> Row {
    let cause = serde_json::to_value(&status.last_cause).unwrap();
    Row {
        fault: fault.into(),
        expected: "rail off; runs again with the next miner".into(),
        seen: format!("off and on again; \"{words}\""),
        hottest: "-".into(),
        reason: format!("`{}`", cause["cause"].as_str().unwrap()),
    }
}

fn is_off(status: &KeeperStatus) -> bool {
    status.supply.measured.is_some_and(|volts| volts.0 < 3_000)
}

/// Waits until the keeper says so.
async fn until(
    status: &mut watch::Receiver<Option<Arc<KeeperStatus>>>,
    within: Duration,
    is_so: impl Fn(&KeeperStatus) -> bool,
    said: impl Fn() -> String,
) -> Arc<KeeperStatus> {
    let seen = timeout(
        within,
        status.wait_for(|status| status.as_deref().is_some_and(&is_so)),
    )
    .await
    .map(|seen| seen.unwrap().clone());
    match seen {
        Ok(seen) => seen.unwrap(),
        Err(elapsed) => panic!("{elapsed}: {:?}\n{}", status.borrow(), said()),
    }
}

fn child_of(process: u32) -> Pid {
    let tasks = Path::new("/proc").join(process.to_string()).join("task");
    let children = fs::read_dir(tasks).unwrap().find_map(|task| {
        let children = fs::read_to_string(task.ok()?.path().join("children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    });
    Pid::from_raw(children.unwrap())
}
