//! Buttons and analogue inputs of a whole machine: an emulated one on virtual time, its lines pulled by hand.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cgminer_board::file::BoardFile;
use cgminer_emulator::clock::Clock;
use cgminer_emulator::machine::{AdcWiring, Machine, MachineSettings};
use cgminer_hal::emulated::{GpioLine, Wiring};
use cgminer_hal::gpio::LineId;
use cgminer_hal::units::Amperes;
use cgminer_rs::keeper::factory_reset::FLAG;
use cgminer_rs::keeper::hardware::{self, Choices};
use cgminer_rs::keeper::host::TaskHost;
use cgminer_rs::keeper::worker::Placement;
use cgminer_rs::keeper::{self, Ended, KeeperStatus, Setup};
use cgminer_rs::link::status::AnalogReading;
use cgminer_rs::link::{Loop, MinerEnd};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const BOARD: &str = include_str!("../board/boards/emulated.toml");
const ADC: &str = r#"
[[adc]]
part = "mcp3208"
spi = { device = "spidev0.0", clock_hz = 1000000, mode = 0 }
reference_mv = 3300
channels = [{ channel = 0, name = "board 0 current", measures = "current", per_volt = 50.0, chain = 0 }]

[[adc]]
part = "mcp3208"
spi = { device = "spidev9.9", clock_hz = 1000000, mode = 0 }
reference_mv = 3300
channels = [{ channel = 3, name = "nowhere", measures = "voltage", per_volt = 6.0 }]
"#;

struct Bench {
    wiring: Wiring,
    status: watch::Receiver<Option<Arc<KeeperStatus>>>,
    keeper: JoinHandle<Ended>,
    kept: tempfile::TempDir,
    _machine: JoinHandle<()>,
}

impl Bench {
    /// A machine whose keeper runs, with a miner that only lives.
    async fn start() -> Self {
        let mut settings = MachineSettings::l7().unwrap();
        settings.adcs.push(AdcWiring {
            device: "spidev0.0".into(),
            reference_mv: 3_300,
            amperes_per_volt: 50.0,
        });
        settings.chains.iter_mut().for_each(|chain| chain.chips = 1);
        let mut machine = Machine::new(settings, 7, Clock::tokio());
        let wiring = machine.devices();
        let board = BoardFile::parse(&format!("{BOARD}{ADC}"), "a test").unwrap();
        let kept_machine =
            hardware::open(&board, &mut wiring.clone(), &Choices::default()).unwrap();
        let machine = tokio::spawn(async move {
            loop {
                machine.step();
                sleep(Duration::from_millis(50)).await;
            }
        });
        let kept = tempfile::tempdir().unwrap();
        let (sender, status) = watch::channel(None);
        let setup = Setup {
            kept: kept.path().join("keeper.json"),
            boot: None,
            socket: None,
            placement: Placement::Task,
            status: sender,
            owners_fans: tokio::sync::watch::channel(None).1,
        };
        let host = TaskHost::new(|link| Box::pin(live(link)));
        let keeper = tokio::spawn(async move {
            keeper::run(kept_machine, Box::new(host), setup, std::future::pending())
                .await
                .unwrap()
        });
        let bench = Self {
            wiring,
            status,
            keeper,
            kept,
            _machine: machine,
        };
        sleep(Duration::from_secs(5)).await;
        bench
    }

    fn button(&self, name: &str) -> GpioLine {
        self.wiring.line(&LineId::Name(name.into()), true)
    }

    async fn press(&self, name: &str, time: Duration) {
        let line = self.button(name);
        line.set(false);
        sleep(time).await;
        line.set(true);
        sleep(Duration::from_secs(2)).await;
    }

    fn seen(&self) -> Arc<KeeperStatus> {
        self.status.borrow().clone().unwrap()
    }
}

async fn live(link: MinerEnd) -> String {
    let mut stop = link.stop();
    loop {
        for one in Loop::ALL {
            link.alive(one);
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return "ended as asked".into(),
            () = sleep(Duration::from_secs(1)) => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_locate_button_makes_the_machine_blink_and_claimable_for_two_minutes() {
    let bench = Bench::start().await;
    assert!(!bench.seen().locate && bench.seen().claim_seconds.is_none());
    bench.press("BUTTON_IP", Duration::from_millis(500)).await;
    let seen = bench.seen();
    assert!(seen.locate);
    assert!(
        seen.claim_seconds
            .is_some_and(|rest| (110.0..=120.0).contains(&rest))
    );
    bench.press("BUTTON_IP", Duration::from_secs(4)).await;
    assert!(!bench.seen().locate);
    sleep(Duration::from_secs(120)).await;
    assert_eq!(bench.seen().claim_seconds, None);
}

#[tokio::test(start_paused = true)]
async fn the_reset_button_stops_the_machine_and_leaves_its_wish_when_it_is_held() {
    let bench = Bench::start().await;
    bench.press("BUTTON_RESET", Duration::from_secs(8)).await;
    assert!(!bench.keeper.is_finished());
    let flag = bench.kept.path().join(FLAG);
    assert!(!flag.exists());
    bench.press("BUTTON_RESET", Duration::from_secs(12)).await;
    let ended = bench.keeper.await.unwrap();
    assert_eq!(ended, Ended::FactoryReset);
    assert!(flag.exists());
    let kept = std::fs::read_to_string(bench.kept.path().join("keeper.json")).unwrap();
    assert!(kept.contains(r#""running":false"#), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn a_converter_is_read_with_its_age_and_one_that_is_not_there_stops_nothing() {
    let bench = Bench::start().await;
    let seen = bench.seen();
    let [current, nowhere] = seen.analog.as_slice() else {
        panic!("{:?}", seen.analog);
    };
    assert_eq!(
        (current.name.as_str(), current.chain),
        ("board 0 current", Some(0))
    );
    let Some(AnalogReading::Current(Amperes(amperes))) = current.reading else {
        panic!("{current:?}");
    };
    assert!(amperes.abs() < 1.0, "no power, no current: {amperes}");
    assert!(current.age_seconds.is_some_and(|age| age <= 2.0));
    assert_eq!((nowhere.reading, nowhere.age_seconds), (None, None));
    assert_ne!(seen.state, cgminer_rs::link::State::FanOnly);
}

#[tokio::test(start_paused = true)]
async fn a_keeper_that_cannot_begin_leaves_no_watchdog_running() {
    let machine = Machine::new(MachineSettings::l7().unwrap(), 7, Clock::tokio());
    let mut wiring = machine.devices();
    let board = BoardFile::parse(BOARD, "a test").unwrap();
    let kept_machine = hardware::open(&board, &mut wiring, &Choices::default()).unwrap();
    let watchdog = wiring.watchdog_cell(&board.watchdog.as_ref().unwrap().device);
    assert!(watchdog.timeout().is_some());
    let kept = tempfile::tempdir().unwrap();
    let setup = Setup {
        kept: kept.path().join("keeper.json"),
        boot: None,
        socket: Some("/proc/nowhere/keeper.sock".into()),
        placement: Placement::Task,
        status: watch::channel(None).0,
        owners_fans: tokio::sync::watch::channel(None).1,
    };
    let host = TaskHost::new(|link| Box::pin(live(link)));
    let ended = keeper::run(kept_machine, Box::new(host), setup, std::future::pending()).await;
    assert!(ended.is_err());
    assert!(watchdog.stopped_by_host() && watchdog.timeout().is_none());
}
