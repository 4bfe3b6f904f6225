//! Fan speed from GPIO edges, hwmon and PWM capture.

use super::gpio::EdgeLine;
use super::sysfs;
use crate::tach::{Tach, TachError, TachSpec};
use crate::task::thread;
use crate::units::Rpm;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A fan without an edge for this long stands: two pulses a turn at 30 rpm.
const STANDING: Duration = Duration::from_secs(1);
/// Edges older than this say nothing of now.
const STALE: Duration = Duration::from_secs(3);
/// No fan turns faster; more is noise on the line.
const FASTEST: u64 = 30_000;

/// Opens a source of fan speed.
pub(super) fn open(dev: &Path, sys: &Path, spec: &TachSpec) -> Result<Box<dyn Tach>, TachError> {
    Ok(match spec {
        TachSpec::Gpio {
            line,
            pulses_per_turn,
        } => {
            let name = line.to_string();
            let line = EdgeLine::open(dev, sys, line)
                .map_err(|error| io_error(&name, "taking its line", io::Error::other(error)))?;
            Box::new(EdgeTach {
                name,
                line,
                edges: Edges::new(*pulses_per_turn),
            })
        }
        TachSpec::Hwmon { device, channel } => Box::new(HwmonTach::open(sys, device, *channel)?),
        TachSpec::Capture {
            chip,
            channel,
            pulses_per_turn,
        } => Box::new(CaptureTach::open(sys, chip, *channel, *pulses_per_turn)?),
    })
}

fn io_error(name: &str, doing: &str, source: io::Error) -> TachError {
    TachError::Io {
        name: name.to_owned(),
        doing: doing.to_owned(),
        source,
    }
}

fn implausible(name: &str, text: impl Into<String>) -> TachError {
    TachError::Implausible {
        name: name.to_owned(),
        text: text.into(),
    }
}

/// Turns per minute of so many pulses in so many nanoseconds.
fn speed(name: &str, pulses: u64, nanoseconds: u64, pulses_per_turn: u8) -> Result<Rpm, TachError> {
    let turns = u128::from(pulses) * 60_000_000_000;
    let per = u128::from(nanoseconds) * u128::from(pulses_per_turn.max(1));
    match turns.checked_div(per).map(u64::try_from) {
        Some(Ok(rpm)) if rpm <= FASTEST => Ok(Rpm(rpm as u32)),
        _ => Err(implausible(
            name,
            format!("{pulses} pulses in {nanoseconds} ns"),
        )),
    }
}

/// Edges of a GPIO line.
struct EdgeTach {
    name: String,
    line: EdgeLine,
    edges: Edges,
}

impl Tach for EdgeTach {
    fn name(&self) -> &str {
        &self.name
    }

    fn rpm(&mut self, now: Instant) -> Result<Rpm, TachError> {
        let Self { name, line, edges } = self;
        edges.rpm(name, now, || line.take())
    }
}

/// Speed from the time stamps of edges, however few of them the kernel keeps and however late it is asked.
///
/// The kernel's clock is compared with itself only: v1 stamps with the wall clock before Linux 5.7.
struct Edges {
    pulses_per_turn: u8,
    /// Last edge of the last look, if nothing was lost since.
    last_edge: Option<u64>,
    /// When an edge was last seen, or the looking began.
    seen: Option<Instant>,
    looked: Option<Instant>,
}

impl Edges {
    fn new(pulses_per_turn: u8) -> Self {
        Self {
            pulses_per_turn,
            last_edge: None,
            seen: None,
            looked: None,
        }
    }

    fn rpm(
        &mut self,
        name: &str,
        now: Instant,
        mut take: impl FnMut() -> io::Result<Option<u64>>,
    ) -> Result<Rpm, TachError> {
        let mut first = self.last_edge;
        let mut last = None;
        let mut pulses = 0_u64;
        while let Some(edge) = take().map_err(|error| io_error(name, "reading edges", error))? {
            match first {
                None => first = Some(edge),
                Some(_) => pulses += 1,
            }
            last = Some(edge);
            // The kernel of an interrupt storm would keep this loop for ever.
            if pulses > 4096 {
                return Err(implausible(name, "more than 4096 pulses at one look"));
            }
        }
        let gap = self
            .looked
            .map(|looked| now.saturating_duration_since(looked));
        self.looked = Some(now);
        let since = *self.seen.get_or_insert(now);
        if gap.is_none_or(|gap| gap > STALE) {
            // What was kept is from long ago, and some of it was lost.
            self.last_edge = None;
            self.seen = Some(now);
            return Err(not_yet(name, Duration::ZERO));
        }
        let Some(last) = last else {
            let waited = now.saturating_duration_since(since);
            if waited < STANDING {
                return Err(not_yet(name, waited));
            }
            self.last_edge = None;
            return Ok(Rpm(0));
        };
        self.seen = Some(now);
        self.last_edge = (pulses < 15).then_some(last);
        match first
            .and_then(|first| last.checked_sub(first))
            .filter(|_| pulses > 0)
        {
            Some(span) => speed(name, pulses, span, self.pulses_per_turn),
            None => Err(not_yet(name, now.saturating_duration_since(since))),
        }
    }
}

fn not_yet(name: &str, counted: Duration) -> TachError {
    TachError::NotYet {
        name: name.to_owned(),
        counted_ms: u64::try_from(counted.as_millis()).unwrap_or(u64::MAX),
    }
}

/// `fanN_input` of a hwmon device.
struct HwmonTach {
    name: String,
    input: PathBuf,
    fault: PathBuf,
}

impl HwmonTach {
    fn open(sys: &Path, device: &str, channel: u32) -> Result<Self, TachError> {
        let name = format!("{device}/fan{channel}_input");
        let directory = sysfs::hwmon(sys, device).map_err(|looked| TachError::Unknown {
            name: name.clone(),
            looked,
        })?;
        let input = directory.join(format!("fan{channel}_input"));
        if !input.exists() {
            let looked = format!("{} does not exist", input.display());
            return Err(TachError::Unknown { name, looked });
        }
        Ok(Self {
            name,
            input,
            fault: directory.join(format!("fan{channel}_fault")),
        })
    }
}

impl Tach for HwmonTach {
    fn name(&self) -> &str {
        &self.name
    }

    fn rpm(&mut self, _: Instant) -> Result<Rpm, TachError> {
        if sysfs::read(&self.fault).is_ok_and(|fault| fault == "1") {
            return Err(implausible(&self.name, "the driver's fault flag"));
        }
        let rpm: i64 = sysfs::read_number(&self.input)
            .map_err(|error| io_error(&self.name, "reading it", error))?;
        match u32::try_from(rpm) {
            Ok(rpm) if u64::from(rpm) <= FASTEST => Ok(Rpm(rpm)),
            _ => Err(implausible(&self.name, rpm.to_string())),
        }
    }
}

/// `capture` of a PWM channel: "period duty" in nanoseconds.
///
/// Reading it waits for up to a second inside the kernel when the fan stands, so a thread of its own does.
struct CaptureTach {
    name: String,
    latest: Arc<Mutex<Option<Captured>>>,
    pulses_per_turn: u8,
}

struct Captured {
    at: Instant,
    /// Nanoseconds between pulses; 0 when none came.
    period: Result<u64, String>,
}

impl CaptureTach {
    fn open(sys: &Path, chip: &str, channel: u32, pulses_per_turn: u8) -> Result<Self, TachError> {
        let name = format!("{chip}/pwm{channel}/capture");
        let parent = sys.join("class/pwm").join(chip);
        let path = parent.join(format!("pwm{channel}")).join("capture");
        if !path.exists() {
            sysfs::write(&parent.join("export"), channel)
                .map_err(|error| io_error(&name, "exporting its channel", error))?;
        }
        if !path.exists() {
            let looked = format!("{} does not exist", path.display());
            return Err(TachError::Unknown { name, looked });
        }
        let latest = Arc::new(Mutex::new(None));
        let shared = Arc::downgrade(&latest);
        let read = move || {
            while let Some(latest) = shared.upgrade() {
                let period = capture(&path);
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Captured {
                    at: Instant::now(),
                    period,
                });
                drop(latest);
                std::thread::sleep(Duration::from_millis(250));
            }
        };
        thread("tach", read).map_err(|error| io_error(&name, "starting its thread", error))?;
        Ok(Self {
            name,
            latest,
            pulses_per_turn,
        })
    }
}

impl Tach for CaptureTach {
    fn name(&self) -> &str {
        &self.name
    }

    fn rpm(&mut self, now: Instant) -> Result<Rpm, TachError> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(captured) = latest.as_ref() else {
            return Err(not_yet(&self.name, Duration::ZERO));
        };
        let age = now.saturating_duration_since(captured.at);
        if age > STALE {
            return Err(not_yet(&self.name, age));
        }
        match &captured.period {
            Ok(0) => Ok(Rpm(0)),
            Ok(period) => speed(&self.name, 1, *period, self.pulses_per_turn),
            Err(text) => Err(implausible(&self.name, text)),
        }
    }
}

/// Nanoseconds between two pulses, 0 when none came in the time that the kernel waits.
fn capture(path: &Path) -> Result<u64, String> {
    match sysfs::read(path) {
        Ok(text) => captured_period(&text).ok_or(text),
        Err(error) if error.raw_os_error() == Some(libc::ETIMEDOUT) => Ok(0),
        Err(error) => Err(error.to_string()),
    }
}

/// The period of "period duty".
fn captured_period(text: &str) -> Option<u64> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
    match (numbers.next()?, numbers.next()?, numbers.next()) {
        (Ok(period), Ok(duty), None) if duty <= period => Some(period),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::fs;

    /// A fan with two pulses a turn at a steady speed, seen through a kernel that keeps so many edges.
    struct Fan {
        edges: Edges,
        kept: VecDeque<u64>,
        start: Instant,
    }

    impl Fan {
        fn new() -> Self {
            Self {
                edges: Edges::new(2),
                kept: VecDeque::new(),
                start: Instant::now(),
            }
        }

        /// Pulses every `period_ms` from `from` to `to` milliseconds, of which the kernel keeps the first `kept`.
        fn turn(&mut self, from: u64, to: u64, period_ms: u64, kept: usize) {
            let edges = (from..to)
                .filter(|ms| ms % period_ms == 0)
                .map(|ms| ms * 1_000_000);
            self.kept.extend(edges.take(kept));
        }

        fn look(&mut self, ms: u64) -> Result<Rpm, TachError> {
            let Self { edges, kept, start } = self;
            edges.rpm("fan", *start + Duration::from_millis(ms), || {
                Ok(kept.pop_front())
            })
        }
    }

    #[test]
    fn a_steady_fan_reads_its_speed() {
        let mut fan = Fan::new();
        assert!(matches!(fan.look(0), Err(TachError::NotYet { .. })));
        for second in 0..5 {
            fan.turn(second * 1000, second * 1000 + 1000, 10, 512);
            assert_eq!(fan.look(second * 1000 + 1000).unwrap(), Rpm(3000));
        }
    }

    #[test]
    fn sixteen_kept_edges_of_a_fast_fan_are_enough() {
        let mut fan = Fan::new();
        fan.look(0).unwrap_err();
        for second in 0..5 {
            fan.turn(second * 1000, second * 1000 + 1000, 5, 16);
            assert_eq!(
                fan.look(second * 1000 + 1000).unwrap(),
                Rpm(6000),
                "lost edges must not count as slowness"
            );
        }
    }

    #[test]
    fn a_slow_fan_is_told_from_a_standing_one() {
        let mut fan = Fan::new();
        fan.look(0).unwrap_err();
        fan.turn(0, 500, 400, 512);
        fan.look(500).unwrap();
        fan.turn(500, 1000, 400, 512);
        assert_eq!(
            fan.look(1000).unwrap(),
            Rpm(75),
            "one edge in the window, one before it"
        );
    }

    #[test]
    fn a_fan_that_stops_reads_zero_within_a_second_and_not_before() {
        let mut fan = Fan::new();
        fan.look(0).unwrap_err();
        fan.turn(0, 1000, 10, 512);
        fan.look(1000).unwrap();
        assert!(matches!(
            fan.look(1500),
            Err(TachError::NotYet {
                counted_ms: 500,
                ..
            })
        ));
        assert_eq!(fan.look(2000).unwrap(), Rpm(0));
        assert_eq!(fan.look(3000).unwrap(), Rpm(0));
        fan.turn(3000, 4000, 10, 512);
        assert_eq!(
            fan.look(4000).unwrap(),
            Rpm(3000),
            "the pause is no part of the new speed"
        );
    }

    #[test]
    fn edges_from_long_ago_are_no_reading() {
        let mut fan = Fan::new();
        fan.look(0).unwrap_err();
        fan.turn(0, 100, 10, 16);
        assert!(matches!(fan.look(60_000), Err(TachError::NotYet { .. })));
        assert_eq!(fan.look(61_000).unwrap(), Rpm(0));
    }

    #[test]
    fn noise_and_a_clock_that_jumps_back_are_no_speed() {
        let mut fan = Fan::new();
        fan.look(0).unwrap_err();
        fan.kept.extend([1000, 1001, 1002]);
        assert!(matches!(fan.look(500), Err(TachError::Implausible { .. })));
        fan.kept.extend([900, 800]);
        assert!(matches!(fan.look(1000), Err(TachError::NotYet { .. })));
        let mut storm = Edges::new(2);
        let error = storm
            .rpm("fan", Instant::now(), || Ok(Some(0)))
            .unwrap_err();
        assert!(matches!(error, TachError::Implausible { .. }), "{error}");
    }

    #[test]
    fn a_hwmon_fan_reads_its_file_and_no_nonsense() {
        let sys = tempfile::tempdir().unwrap();
        let directory = sys.path().join("class/hwmon/hwmon0");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("name"), "pwmfan\n").unwrap();
        fs::write(directory.join("fan1_input"), "4210\n").unwrap();
        let mut tach = HwmonTach::open(sys.path(), "pwmfan", 1).unwrap();
        assert_eq!(tach.rpm(Instant::now()).unwrap(), Rpm(4210));
        for nonsense in ["-1", "4000000000", "", "fast"] {
            fs::write(directory.join("fan1_input"), nonsense).unwrap();
            assert!(tach.rpm(Instant::now()).is_err(), "{nonsense:?}");
        }
        fs::write(directory.join("fan1_input"), "4210\n").unwrap();
        fs::write(directory.join("fan1_fault"), "1\n").unwrap();
        assert!(tach.rpm(Instant::now()).is_err());
        assert!(HwmonTach::open(sys.path(), "pwmfan", 2).is_err());
        assert!(HwmonTach::open(sys.path(), "other", 1).is_err());
    }

    #[test]
    fn a_capture_is_two_numbers_and_nothing_else() {
        assert_eq!(captured_period("5000000 2500000"), Some(5_000_000));
        assert_eq!(captured_period("0 0"), Some(0));
        for wrong in ["", "5000000", "1 2", "5 4 3", "-5 1", "a b"] {
            assert_eq!(captured_period(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_captured_period_becomes_a_speed() {
        let sys = tempfile::tempdir().unwrap();
        let directory = sys.path().join("class/pwm/pwmchip12/pwm0");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("capture"), "5000000 2500000\n").unwrap();
        let mut tach = CaptureTach::open(sys.path(), "pwmchip12", 0, 2).unwrap();
        let rpm = loop {
            match tach.rpm(Instant::now()) {
                Err(TachError::NotYet { .. }) => std::thread::yield_now(),
                result => break result.unwrap(),
            }
        };
        assert_eq!(rpm, Rpm(6000));
        let later = Instant::now() + Duration::from_secs(60);
        assert!(
            matches!(tach.rpm(later), Err(TachError::NotYet { .. })),
            "a stuck kernel is no speed"
        );
    }
}
