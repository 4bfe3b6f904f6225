//! What the two processes are to each other, and to an operator.

use crate::daemon::{Daemon, PATIENCE, has_seccomp, is_alive};
use cgminer_rs::api::local;
use cgminer_rs::keeper::State;
use cgminer_rs::link::{LinkError, Refusal, Request};
use std::fs;
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[tokio::test]
async fn a_miner_ends_with_its_keeper_and_has_no_rights_while_it_runs() {
    let Some(mut daemon) = Daemon::start() else {
        return;
    };
    let tool = daemon.tool().await;
    daemon
        .wait(&tool, PATIENCE, |status| status.state == State::PowerUp)
        .await;
    assert_eq!(daemon.miner_status("Name"), "cgminer-miner");
    let filtered = has_seccomp().then_some(("Seccomp", "2"));
    let given_away = [
        ("CapEff", "0000000000000000"),
        ("CapPrm", "0000000000000000"),
        ("NoNewPrivs", "1"),
    ];
    for (field, expected) in given_away.into_iter().chain(filtered) {
        assert_eq!(
            daemon.miner_status(field),
            expected,
            "{field}\n{}",
            daemon.log()
        );
    }
    let user: u32 = daemon.miner_status("Uid").parse().unwrap();
    assert_ne!(user, 0);
    daemon.keeps_its_state_from(user);
    let miner = daemon.miner().unwrap();
    daemon.keeper.kill().unwrap();
    daemon.keeper.wait().unwrap();
    let gone = timeout(PATIENCE, async {
        while is_alive(miner) {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(gone.await.is_ok(), "the miner lives on without its keeper");
}

#[tokio::test]
async fn one_file_and_one_list_hold_the_lines_of_both_processes() {
    let Some(daemon) = Daemon::start() else {
        return;
    };
    let run = daemon.directory.path().join("run");
    let file = daemon.directory.path().join("both.log");
    // Who is driven is told by the keeper's process alone, what was given away by the miner's.
    let both = |text: &str| {
        text.contains("cgminer_rs::cli::run") && text.contains("cgminer_rs::miner::confine")
    };
    let told = timeout(PATIENCE, async {
        loop {
            let listed = local::get(&run, "/api/v1/logs").unwrap_or_default();
            let written = fs::read_to_string(&file).unwrap_or_default();
            if both(&String::from_utf8_lossy(&listed)) && both(&written) {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    });
    assert!(told.await.is_ok(), "{}", daemon.log());
}

#[tokio::test]
async fn an_operator_may_what_the_miner_may_not_and_a_stop_ends_both() {
    let Some(mut daemon) = Daemon::start() else {
        return;
    };
    let tool = daemon.tool().await;
    daemon
        .wait(&tool, PATIENCE, |status| status.state == State::PowerUp)
        .await;
    assert!(matches!(
        tool.request(Request::ClearLatch).await,
        Err(LinkError::Refused(Refusal::NotNow { .. }))
    ));
    assert_eq!(tool.request(Request::Locate { on: true }).await, Ok(()));
    daemon.wait(&tool, PATIENCE, |status| status.locate).await;
    assert_eq!(tool.request(Request::SetPower { on: false }).await, Ok(()));
    daemon
        .wait(&tool, PATIENCE, |status| status.state == State::Standby)
        .await;
    assert_eq!(tool.request(Request::Stop).await, Ok(()));
    let ended = timeout(PATIENCE, async {
        loop {
            if let Some(status) = daemon.keeper.try_wait().unwrap() {
                return status;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(
        ended
            .await
            .unwrap_or_else(|_| panic!("{}", daemon.log()))
            .success()
    );
    let kept = fs::read_to_string(daemon.directory.path().join("state/keeper.json")).unwrap();
    assert!(kept.contains(r#""running":false"#), "{kept}");
}
