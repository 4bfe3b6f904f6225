//! `/dev/watchdog`.

use super::unsafe_corner::{set_watchdog_timeout, watchdog_boot_status, watchdog_timeout};
use crate::watchdog::{Watchdog, WatchdogError, WatchdogSpec};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Written before closing, it tells the driver that the stop is wanted (`Documentation/watchdog/watchdog-api.rst`).
const MAGIC_CLOSE: &[u8] = b"V";
/// `WDIOF_CARDRESET`: "Card previously reset the CPU".
const RESET_THE_MACHINE: i32 = 0x20;
/// Any other byte feeds.
const FEED: &[u8] = b"\0";

/// A watchdog of the kernel. It runs from the moment it is opened.
#[derive(Debug)]
pub struct LinuxWatchdog {
    device: String,
    file: File,
    timeout: Duration,
    has_reset_machine: bool,
    nowayout: PathBuf,
}

impl LinuxWatchdog {
    /// Opens and so starts a watchdog; the driver may round the time-out.
    ///
    /// # Errors
    /// When it cannot be opened, or takes and tells no time-out; it is then stopped again where the kernel allows it.
    pub fn open(spec: &WatchdogSpec, sys: &Path) -> Result<Self, WatchdogError> {
        let device = spec.device.clone();
        let file = OpenOptions::new()
            .write(true)
            .open(&device)
            .map_err(|source| WatchdogError::Open {
                device: device.clone(),
                source,
            })?;
        let nowayout = sys
            .join("class/watchdog")
            .join(class_name(&device))
            .join("nowayout");
        // A driver that does not know answers 0, or not at all.
        let status = watchdog_boot_status(&file).unwrap_or(0);
        let mut watchdog = Self {
            device,
            file,
            timeout: Duration::ZERO,
            has_reset_machine: status & RESET_THE_MACHINE != 0,
            nowayout,
        };
        match watchdog.set_timeout(Duration::from_secs(u64::from(spec.timeout_s))) {
            Ok(_) => Ok(watchdog),
            Err(error) => {
                // The first error is the one to tell; a watchdog left running resets the machine, as it should.
                let _ = watchdog.file.write_all(MAGIC_CLOSE);
                Err(error)
            }
        }
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> WatchdogError {
        WatchdogError::Io {
            device: self.device.clone(),
            doing,
            source,
        }
    }
}

impl Watchdog for LinuxWatchdog {
    fn feed(&mut self) -> Result<(), WatchdogError> {
        self.file
            .write_all(FEED)
            .map_err(|error| self.failed("feeding", error))
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn set_timeout(&mut self, timeout: Duration) -> Result<Duration, WatchdogError> {
        let asked = i32::try_from(timeout.as_secs()).unwrap_or(i32::MAX).max(1);
        // A driver with a fixed time-out refuses to set it and still tells it.
        let seconds = set_watchdog_timeout(&self.file, asked)
            .or_else(|_| watchdog_timeout(&self.file))
            .map_err(|error| self.failed("setting the time-out", error))?;
        let seconds = u64::try_from(seconds).unwrap_or(0);
        if seconds == 0 {
            let error = io::Error::new(
                io::ErrorKind::InvalidData,
                "the driver reports a time-out of 0",
            );
            return Err(self.failed("reading the time-out", error));
        }
        self.timeout = Duration::from_secs(seconds);
        Ok(self.timeout)
    }

    fn has_reset_machine(&self) -> bool {
        self.has_reset_machine
    }

    fn disarm(mut self: Box<Self>) -> Result<(), WatchdogError> {
        self.file
            .write_all(MAGIC_CLOSE)
            .map_err(|error| self.failed("disarming", error))?;
        match std::fs::read_to_string(&self.nowayout) {
            Ok(flag) if flag.trim() == "1" => Err(WatchdogError::CannotDisarm {
                device: self.device.clone(),
                why: "the driver is set to nowayout",
                timeout_s: self.timeout.as_secs(),
            }),
            // Kernels without CONFIG_WATCHDOG_SYSFS do not say; most drivers stop.
            _ => Ok(()),
        }
    }
}

/// The class device of a device file; `/dev/watchdog` is the old name of the first.
fn class_name(device: &str) -> String {
    let name = device.rsplit('/').next().unwrap_or(device);
    if name == "watchdog" {
        "watchdog0".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A watchdog on a plain file, which keeps what is written; the ioctls need a real one.
    fn on_file(directory: &Path) -> LinuxWatchdog {
        let device = directory.join("watchdog0");
        LinuxWatchdog {
            device: device.display().to_string(),
            file: File::create(device).unwrap(),
            timeout: Duration::from_secs(15),
            has_reset_machine: false,
            nowayout: directory.join("nowayout"),
        }
    }

    fn written(directory: &Path) -> Vec<u8> {
        std::fs::read(directory.join("watchdog0")).unwrap()
    }

    #[test]
    fn a_crash_never_writes_the_magic_close() {
        let directory = tempfile::tempdir().unwrap();
        let mut watchdog = on_file(directory.path());
        watchdog.feed().unwrap();
        drop(watchdog);
        let bytes = written(directory.path());
        assert_eq!(bytes.len(), 1);
        assert!(!bytes.contains(&b'V'));
    }

    #[test]
    fn a_wanted_stop_writes_the_magic_close_last() {
        let directory = tempfile::tempdir().unwrap();
        let mut watchdog = on_file(directory.path());
        watchdog.feed().unwrap();
        Box::new(watchdog).disarm().unwrap();
        assert_eq!(written(directory.path()).last(), Some(&b'V'));
    }

    #[test]
    fn a_watchdog_that_will_not_stop_says_when_it_bites() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("nowayout"), "1\n").unwrap();
        let error = Box::new(on_file(directory.path()))
            .disarm()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("nowayout") && error.contains("15 s"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_no_watchdog_is_refused_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let device = directory.path().join("watchdog0");
        File::create(&device).unwrap();
        let spec = WatchdogSpec {
            device: device.display().to_string(),
            timeout_s: 15,
        };
        let error = LinuxWatchdog::open(&spec, directory.path())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&spec.device) && error.contains("time-out"),
            "{error}"
        );
    }

    #[test]
    fn the_class_device_is_found_by_either_name() {
        assert_eq!(class_name("/dev/watchdog"), "watchdog0");
        assert_eq!(class_name("/dev/watchdog1"), "watchdog1");
    }
}
