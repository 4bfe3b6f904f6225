//! A miner that somebody has taken over, behind the fences of a real one: what it tries, and that nothing comes of it.

use crate::daemon::{PATIENCE, has_seccomp, is_root};
use crate::stand_in::{Kept, Role, said_by};
use cgminer_board::thermal::FanMode;
use cgminer_hal::units::{DutyPercent, Millivolts};
use cgminer_rs::keeper::State;
use cgminer_rs::link::{LinkError, MinerEnd, Request};
use cgminer_rs::miner::confine::Measure;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Devices that move something, where the machine has them.
const DEVICES: [&str; 7] = [
    "/dev/i2c-0",
    "/dev/watchdog0",
    "/dev/watchdog",
    "/dev/gpiochip0",
    "/dev/spidev0.0",
    "/dev/mem",
    "/dev/kmsg",
];
/// Names of device nodes that stand in for them where it has not.
const STAND_INS: [&str; 3] = ["i2c-0", "watchdog0", "gpiochip0"];

/// Says what came of a try.
fn tell<T, E: Display>(what: &str, result: Result<T, E>) {
    match result {
        Ok(_) => println!("try {what}: DONE"),
        Err(error) => println!("try {what}: refused: {error}"),
    }
}

/// What the kernel has to refuse; in the hostile process.
pub fn try_what_needs_no_keeper(directory: &Path, measures: &[Measure]) {
    let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
    for device in DEVICES
        .map(Path::new)
        .into_iter()
        .filter(|device| device.exists())
    {
        tell(&format!("opening {}", device.display()), open(device));
    }
    for name in STAND_INS {
        let device = directory.join("devices").join(name);
        tell(&format!("opening a stand-in of {name}"), open(&device));
    }
    let landlock = measures
        .iter()
        .any(|measure| measure.name == "Landlock" && measure.outcome.is_ok());
    if landlock {
        tell(
            "opening a device that all users may",
            File::open("/dev/zero"),
        );
        tell(
            "reading a file that all users may",
            File::open(directory.join("readable")),
        );
    } else {
        println!("left out: files that all users may open, for this kernel has no Landlock");
    }
    if has_seccomp() {
        try_what_is_no_call_of_a_miners();
    }
    tell(
        "opening a packet socket",
        socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::empty(),
            None,
        ),
    );
    let icmp = Some(SockProtocol::Icmp);
    tell(
        "opening a raw socket",
        socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), icmp),
    );
    let keepers = directory.join("run-keeper");
    tell(
        "the operator's socket",
        UnixStream::connect(keepers.join("keeper.sock")),
    );
    tell(
        "reading the kept cause",
        fs::read(keepers.join("keeper.json")),
    );
    tell(
        "removing the kept cause",
        fs::remove_file(keepers.join("keeper.json")),
    );
    tell(
        "a signal to the keeper",
        nix::sys::signal::kill(nix::unistd::getppid(), None),
    );
    tell(
        "root again",
        nix::unistd::setuid(nix::unistd::Uid::from_raw(0)),
    );
    // And what it needs it has.
    fs::write(directory.join("run/own"), "").unwrap();
    assert!(
        TcpStream::connect("127.0.0.1:1")
            .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    );
}

/// What seccomp alone refuses; in the hostile process.
fn try_what_is_no_call_of_a_miners() {
    for (name, family, kind) in [
        ("a netlink socket", AddressFamily::Netlink, SockType::Raw),
        (
            "a virtual machine's socket",
            AddressFamily::Vsock,
            SockType::Stream,
        ),
    ] {
        tell(
            &format!("opening {name}"),
            socket(family, kind, SockFlag::empty(), None),
        );
    }
    tell("another program", Command::new("/bin/true").status());
}

/// What the keeper has to refuse; in the hostile process.
pub async fn ask_for_what_is_refused(keeper: &MinerEnd, when: &str) {
    let fixed = |duty| Request::SetFanMode {
        mode: FanMode::Fixed {
            duty: DutyPercent(duty),
        },
    };
    for request in [
        Request::SetVoltage {
            voltage: Millivolts(20_000),
        },
        Request::SetVoltage {
            voltage: Millivolts(0),
        },
        fixed(0.0),
        fixed(f32::MAX),
        Request::SetFanMode {
            mode: FanMode::Immersion,
        },
        Request::ReleaseReset { chain: 200 },
        Request::ClearLatch,
        Request::Stop,
    ] {
        let answer = keeper.request(request).await;
        let refused = match answer {
            Err(LinkError::Refused(refusal)) => Err(refusal),
            Err(error) => panic!("{request:?}: {error}"),
            Ok(()) => Ok(()),
        };
        tell(&format!("{request:?} {when}"), refused);
    }
    if when == "before power" {
        let early = keeper.request(Request::ReleaseReset { chain: 0 }).await;
        tell("a chain out of reset before power", early);
    }
}

#[tokio::test]
async fn a_miner_that_was_taken_over_is_refused_everything_and_the_keeper_is_unmoved() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path());
    let kept = Kept::start(directory.path(), Role::Hostile, None);
    let said = said_by(directory.path(), Role::Hostile);
    let tried = timeout(PATIENCE, async {
        loop {
            let text = fs::read_to_string(&said).unwrap_or_default();
            if text.lines().any(|line| line == "end") {
                return text;
            }
            sleep(Duration::from_millis(200)).await;
        }
    });
    let Ok(text) = tried.await else {
        panic!("{:?}", fs::read_to_string(&said));
    };
    println!("{text}");
    let tries: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("try "))
        .collect();
    let least = if has_seccomp() { 28 } else { 25 };
    assert!(tries.len() >= least, "{} tries", tries.len());
    let done: Vec<_> = tries
        .iter()
        .filter(|line| line.ends_with(": DONE"))
        .collect();
    assert!(done.is_empty(), "{done:?}");

    // Long enough for whatever it set off.
    sleep(Duration::from_secs(3)).await;
    let status = kept.status.borrow().clone().unwrap();
    assert!(
        matches!(status.state, State::Running | State::Hot),
        "{status:?}"
    );
    assert_eq!(
        (
            status.fan_mode,
            status.supply.wanted,
            status.last_cause.clone(),
            status.restarts.total
        ),
        (FanMode::Auto, Millivolts(13_200), None, 0),
        "{status:?}"
    );
}

fn prepare(directory: &Path) {
    let devices = directory.join("devices");
    fs::create_dir(&devices).unwrap();
    fs::write(directory.join("readable"), "for all").unwrap();
    for name in STAND_INS {
        // As harmless as /dev/null, and root's alone.
        let made = mknod(
            &devices.join(name),
            SFlag::S_IFCHR,
            Mode::S_IRUSR | Mode::S_IWUSR,
            makedev(1, 3),
        );
        if let Err(error) = made {
            println!("no device node can be made here ({error}), a file stands in");
            fs::write(devices.join(name), "").unwrap();
            fs::set_permissions(
                devices.join(name),
                std::os::unix::fs::PermissionsExt::from_mode(0o600),
            )
            .unwrap();
        }
    }
}
