//! The whole miner beside its keeper on virtual time: pool, chains, API, telemetry, and the files of the configuration.

use super::living::Living;
use super::troubles::{Deck, Trouble};
use super::{MORE_TASKS, Writes, quiet_panics};
use crate::rig::{Kind, Plan, Rig};
use cgminer_rs::chain::ChainPhase;
use cgminer_rs::cli::demo::pool::{DemoPool, DemoPoolSettings};
use cgminer_rs::config::Recipe;
use cgminer_rs::config::scribe::Scribe;
use cgminer_rs::telemetry::Snapshot;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// Hashes a second of the machine in the plan of a hashing rig.
const HASHES: f64 = 30_000.0;
/// Faults, each for a while, and a pause after it.
const TROUBLES: usize = 16;
const FAULTY: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_secs(20);
/// Chips of each chain.
const CHIPS: usize = 12;

/// The API has a thread of the system's and the pool has sockets, which know no virtual time: so much of it passes ...
const STRIDE: Duration = Duration::from_millis(50);
/// ... at most in so much real time.
const BREATH: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_whole_miner_goes_on_mining_through_the_faults_of_its_boards() {
    quiet_panics();
    tokio::spawn(async {
        loop {
            sleep(STRIDE).await;
            std::thread::sleep(BREATH);
        }
    });
    let pool = DemoPool::bind(DemoPoolSettings::for_hashrate(HASHES)).unwrap();
    let files = tempfile::tempdir().unwrap();
    let recipe = recipe(files.path(), &pool.address().to_string());
    let run = files.path().join("run");
    fs::create_dir(&run).unwrap();
    let _scribe = Scribe::start(recipe.clone(), &run, |_| Vec::new()).unwrap();
    tokio::spawn(pool.run());

    let mut plan = Plan::of(Kind::HashingControllers);
    plan.whole = Some(recipe);
    let mut rig = Rig::start(plan);
    rig.look = Duration::from_secs(1);
    let mut writes = Writes::watch(files.path());
    let mut keepers = Writes::watch(rig.kept().parent().unwrap());

    mines_on(&mut rig, 0).await;
    let settled = Living::now();
    let mut deck = Deck::of_boards(3);
    for _ in 0..TROUBLES {
        let Trouble::Machine(fault) = deck.draw(CHIPS) else {
            continue;
        };
        rig.control.inject(fault, Some(FAULTY)).unwrap();
        rig.run(FAULTY + PAUSE).await;
        assert!(rig.hottest <= super::HOTTEST, "{} C", rig.hottest);
        writes.count();
        keepers.count();
    }
    rig.control.clear_all();
    let before = rig.telemetry().shares.accepted;
    mines_on(&mut rig, before).await;

    let snapshot = rig.telemetry();
    let shares = &snapshot.shares;
    let restarts = rig.snapshot().unwrap().restarts.total;
    let now = Living::now();
    println!(
        "{TROUBLES} troubles, {} shares, {} rejected, {restarts} restarts, {} and {} writes, {settled:?} then {now:?}",
        shares.accepted, shares.rejected.total, writes.count, keepers.count
    );
    assert!(is_settled(&snapshot), "{:?}", snapshot.chains);
    assert!(
        shares.accepted > 100 && shares.rejected.total * 20 < shares.accepted,
        "{shares:?}"
    );
    assert_eq!(writes.count, 0, "nobody changed the configuration");
    assert!(keepers.count <= 2, "{} writes of the keeper", keepers.count);
    // Each fault that cost the power has replaced the miner by a new one, which has as many tasks.
    assert!(
        now.tasks <= settled.tasks + MORE_TASKS,
        "{settled:?} has become {now:?}"
    );
}

/// Each chain hashes, or was given up and says why.
fn is_settled(snapshot: &Snapshot) -> bool {
    snapshot.chains.iter().all(|chain| {
        chain.phase == ChainPhase::Hashing
            || chain.phase == ChainPhase::Failed && chain.reason.is_some()
    })
}

/// Waits until the machine is settled and the pool has taken more shares.
async fn mines_on(rig: &mut Rig, accepted: u64) {
    let telemetry = rig.telemetry_source();
    let mines = rig
        .wait(Duration::from_secs(1_200), |_| {
            let snapshot = telemetry.snapshot();
            is_settled(&snapshot)
                && !snapshot.chains.is_empty()
                && snapshot.shares.accepted > accepted + 20
        })
        .await;
    assert!(
        mines.is_some(),
        "{:?}\n{:?}",
        rig.telemetry(),
        rig.snapshot()
    );
}

fn recipe(directory: &Path, pool: &str) -> Recipe {
    let file = directory.join("cgminer-rs.toml");
    let text = format!("[[pool]]\nurl = \"stratum+tcp://{pool}\"\nuser = \"soak\"\n");
    fs::write(&file, text).unwrap();
    Recipe {
        file,
        named: true,
        environment: Vec::new(),
        flags: vec![
            "api.listen=off".into(),
            format!("api.run_directory={}", directory.join("run").display()),
        ],
    }
}
