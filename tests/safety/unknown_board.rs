//! A machine that was not told its board: it has no chain, and its miner, which shows the page that says so, stays.

use crate::rig::{Shared, whole_miner};
use cgminer_board::file::BoardFile;
use cgminer_emulator::clock::Clock;
use cgminer_emulator::machine::{Machine, MachineSettings};
use cgminer_rs::config::Recipe;
use cgminer_rs::link::{Down, Loop, Up, in_process};
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;
use tokio::time::sleep;

/// The keeper ends a miner one of whose loops was silent for half a minute.
#[tokio::test(start_paused = true)]
async fn the_loops_of_a_miner_without_chains_go_on_reporting() {
    let files = tempfile::tempdir().unwrap();
    let run = files.path().join("run");
    fs::create_dir(&run).unwrap();
    let recipe = Recipe {
        file: files.path().join("cgminer-rs.toml"),
        named: false,
        environment: Vec::new(),
        flags: vec![
            "api.listen=off".into(),
            format!("api.run_directory={}", run.display()),
        ],
    };
    let wiring = Machine::new(MachineSettings::l7().unwrap(), 1, Clock::tokio()).devices();
    let shared = Shared::default();
    let (miner, mut keeper) = in_process();
    let miner = whole_miner(miner, BoardFile::unknown(), &wiring, recipe, &shared);
    tokio::pin!(miner);
    let mut reported = BTreeSet::new();
    for second in 0..120 {
        tokio::select! {
            why = &mut miner => panic!("the miner ended: {why}"),
            () = sleep(Duration::from_secs(1)) => {}
        }
        while let Some(message) = keeper.try_receive().unwrap() {
            match message {
                Down::Request { id, .. } => keeper.send(Up::Reply { id, result: Ok(()) }).unwrap(),
                // What it says at its start it would say in any case.
                Down::Alive(which) if second >= 90 => {
                    reported.insert(which);
                }
                Down::Alive(_) => {}
            }
        }
    }
    // The API's own thread knows no virtual time.
    assert!(
        reported.contains(&Loop::Pool) && reported.contains(&Loop::Chain),
        "{reported:?}"
    );
}
