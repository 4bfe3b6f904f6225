//! A machine that was not told its board: nothing of it is driven, and its miner, which shows the page that says so, stays.

use crate::rig::{Plan, Rig};
use cgminer_board::file::BoardFile;
use cgminer_rs::config::Recipe;
use std::fs;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn the_miner_of_a_board_that_nobody_knows_stays() {
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
    let mut rig = Rig::start(Plan {
        board: BoardFile::unknown(),
        whole: Some(recipe),
        ..Plan::l7()
    });
    rig.run(Duration::from_secs(600)).await;
    let snapshot = rig.snapshot().unwrap();
    assert_eq!(snapshot.chains.len(), 0);
    assert_eq!(snapshot.restarts.total, 0, "{snapshot:?}");
}
