//! Processes that this test is in its other lives: miners that misbehave behind the real fences, and a keeper to be killed.
//!
//! Each is this same program, started again for one test that looks at its environment.

use cgminer_board::file::BoardFile;
use cgminer_emulator::clock::Clock;
use cgminer_emulator::machine::{Machine, MachineSettings, RunningMachine};
use cgminer_hal::watchdog::{Watchdog, WatchdogError};
use cgminer_rs::keeper::hardware::{self, Choices};
use cgminer_rs::keeper::host::ProcessHost;
use cgminer_rs::keeper::worker::Placement;
use cgminer_rs::keeper::{self, KeeperStatus, Setup};
use cgminer_rs::link::socket::miner_end;
use cgminer_rs::link::{Loop, MinerEnd, Request};
use cgminer_rs::miner::confine::{self, Account, Measure, Plan};
use nix::unistd::{Gid, Uid, chown};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};

const ROLE: &str = "SPLIT_TEST_ROLE";
const DIRECTORY: &str = "SPLIT_TEST_DIRECTORY";
/// More than a miner may have, and no more than one allocation can be where addresses have 32 bits.
const TOO_MUCH_MEMORY: usize = if usize::BITS == 32 {
    isize::MAX.unsigned_abs()
} else {
    3 << 30
};

/// What another life of this program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A miner that wants power and reports, and no more.
    Idles,
    /// One that panics once it has power, in its first life.
    Panics,
    /// One that allocates more than it may.
    Allocates,
    /// One that sends what is no message.
    Babbles,
    /// One that tries everything it must not.
    Hostile,
    /// A keeper with a machine and a watchdog of its own, both pretended.
    Keeper,
}

impl Role {
    const ALL: [Self; 6] = [
        Self::Idles,
        Self::Panics,
        Self::Allocates,
        Self::Babbles,
        Self::Hostile,
        Self::Keeper,
    ];

    /// This program again, as that.
    pub fn command(self, directory: &Path) -> Command {
        let said = OpenOptions::new()
            .create(true)
            .append(true)
            .open(said_by(directory, self))
            .unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "stand_in::another_life",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ROLE, format!("{self:?}"))
            .env(DIRECTORY, directory)
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        command
    }
}

/// The file with what a role has said.
pub fn said_by(directory: &Path, role: Role) -> PathBuf {
    directory.join(format!("{role:?}.log"))
}

/// No test, but what [`Role::command`] starts.
#[test]
fn another_life() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let directory = PathBuf::from(std::env::var(DIRECTORY).unwrap());
    let role = Role::ALL
        .into_iter()
        .find(|one| format!("{one:?}") == role)
        .unwrap();
    if role == Role::Keeper {
        return be_keeper(&directory);
    }
    let (measures, link) = confined(&directory);
    for measure in &measures {
        println!("measure {measure}");
    }
    assert!(!Uid::effective().is_root(), "still root: tries nothing");
    if role == Role::Hostile {
        crate::hostile::try_what_needs_no_keeper(&directory, &measures);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(be_miner(role, &directory, link));
}

async fn be_miner(role: Role, directory: &Path, link: UnixStream) {
    let raw = link.try_clone().unwrap();
    let keeper = miner_end(tokio::net::UnixStream::from_std(link).unwrap());
    let reporting = keeper.clone();
    tokio::spawn(async move {
        let mut tick = interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            for which in Loop::ALL {
                reporting.alive(which);
            }
        }
    });
    if role == Role::Hostile {
        crate::hostile::ask_for_what_is_refused(&keeper, "before power").await;
    }
    power(&keeper).await;
    if role == Role::Hostile {
        crate::hostile::ask_for_what_is_refused(&keeper, "with power").await;
        println!("end");
    }
    // The second life is a good one, so that the machine can come back.
    let reborn = directory.join("run/reborn");
    if !reborn.exists() {
        fs::write(&reborn, "").unwrap();
        match role {
            Role::Panics => panic!("a miner that panics on purpose"),
            Role::Allocates => {
                let bytes = vec![1_u8; TOO_MUCH_MEMORY];
                println!("had {} bytes", bytes.len());
            }
            Role::Babbles => (&raw).write_all(&[0xA5; 64]).unwrap(),
            Role::Idles | Role::Hostile | Role::Keeper => {}
        }
    }
    let mut stop = keeper.stop();
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Asks for power and waits until it is there.
async fn power(keeper: &MinerEnd) {
    while keeper
        .request(Request::SetPower { on: true })
        .await
        .is_err()
    {
        sleep(Duration::from_millis(200)).await;
    }
    let mut status = keeper.status();
    let on = |status: &Option<Arc<KeeperStatus>>| {
        status
            .as_ref()
            .is_some_and(|status| status.state.may_hash())
    };
    status.wait_for(on).await.unwrap();
}

/// Gives everything away that a miner gives away.
fn confined(directory: &Path) -> (Vec<Measure>, UnixStream) {
    let link = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    link.set_nonblocking(true).unwrap();
    let measures = confine::confine(&Plan {
        account: confine::account(&[]),
        write: vec![directory.join("run")],
        ..Plan::default()
    });
    (measures, link)
}

/// A keeper of this process with an emulated machine in real time, and a miner in another process.
pub struct Kept {
    pub status: watch::Receiver<Option<Arc<KeeperStatus>>>,
    keeper: JoinHandle<()>,
    _machine: RunningMachine,
}

impl Kept {
    /// Starts them. Needs root.
    pub fn start(directory: &Path, miner: Role, watchdog: Option<Box<dyn Watchdog>>) -> Self {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
        let run = directory.join("run");
        fs::create_dir_all(&run).unwrap();
        let Account { user, group, .. } = confine::account(&[]).unwrap();
        chown(&run, Some(Uid::from_raw(user)), Some(Gid::from_raw(group))).unwrap();
        let own = directory.join("run-keeper");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&own)
            .unwrap();

        let board = include_str!("../../board/boards/emulated.toml");
        let board = BoardFile::parse(board, "emulated").unwrap();
        let machine = Machine::new(MachineSettings::l7().unwrap(), 1, Clock::tokio());
        let mut kept = hardware::open(&board, &mut machine.devices(), &Choices::default()).unwrap();
        if watchdog.is_some() {
            kept.watchdog = watchdog;
        }
        let (status, seen) = watch::channel(None);
        let setup = Setup {
            kept: own.join("keeper.json"),
            boot: None,
            socket: Some(own.join("keeper.sock")),
            placement: Placement::Thread,
            status,
            owners_fans: tokio::sync::watch::channel(None).1,
        };
        let from = directory.to_owned();
        // The keeper takes the miner's standard error, where a panic is told.
        let said = said_by(directory, miner);
        let tell = move |line: &[u8]| {
            let said = OpenOptions::new().create(true).append(true).open(&said);
            let _ = said.and_then(|mut said| said.write_all(line));
        };
        let host = ProcessHost::new(move || miner.command(&from), tell);
        Self {
            status: seen,
            keeper: tokio::spawn(async move {
                keeper::run(kept, Box::new(host), setup, std::future::pending())
                    .await
                    .unwrap();
            }),
            _machine: machine.spawn_thread().unwrap(),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Keeps until killed.
fn be_keeper(directory: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let food = File::create(directory.join("watchdog")).unwrap();
        let _kept = Kept::start(directory, Role::Idles, Some(Box::new(StandIn(food))));
        std::future::pending::<()>().await;
    });
}

/// What `/dev/watchdog` is written to, in a file: a byte feeds, a `V` says good-bye.
struct StandIn(File);

impl Watchdog for StandIn {
    fn feed(&mut self) -> Result<(), WatchdogError> {
        self.0.write_all(b"\0").unwrap();
        Ok(())
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(15)
    }

    fn set_timeout(&mut self, _: Duration) -> Result<Duration, WatchdogError> {
        Ok(self.timeout())
    }

    fn disarm(mut self: Box<Self>) -> Result<(), WatchdogError> {
        self.0.write_all(b"V").unwrap();
        Ok(())
    }
}
