//! Lights of `/sys/class/leds`.

use super::sysfs;
use crate::led::{Led, LedError};
use std::io;
use std::path::{Path, PathBuf};

/// A light of the kernel.
#[derive(Debug)]
pub(super) struct SysfsLed {
    name: String,
    brightness: PathBuf,
    full: u32,
}

impl SysfsLed {
    /// Takes a light from the kernel's own trigger and switches it off.
    pub(super) fn open(sys: &Path, name: &str) -> Result<Self, LedError> {
        let directory = sys.join("class/leds").join(name);
        let failed = |doing, source| LedError::Io {
            name: name.to_owned(),
            doing,
            source,
        };
        let trigger = directory.join("trigger");
        if trigger.exists() {
            sysfs::write(&trigger, "none")
                .map_err(|error| failed("stopping its trigger", error))?;
        }
        let full = sysfs::read_number(&directory.join("max_brightness"))
            .map_err(|error| failed("reading max_brightness", error))?;
        let mut led = Self {
            name: name.to_owned(),
            brightness: directory.join("brightness"),
            full,
        };
        led.set(false)?;
        Ok(led)
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> LedError {
        LedError::Io {
            name: self.name.clone(),
            doing,
            source,
        }
    }
}

impl Led for SysfsLed {
    fn set(&mut self, lit: bool) -> Result<(), LedError> {
        let brightness = if lit { self.full } else { 0 };
        sysfs::write(&self.brightness, brightness)
            .map_err(|error| self.failed("setting brightness", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_light_is_taken_from_its_trigger_and_switched() {
        let sys = tempfile::tempdir().unwrap();
        let directory = sys.path().join("class/leds/green:status");
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in [
            ("trigger", "[heartbeat] none"),
            ("max_brightness", "255\n"),
            ("brightness", "255\n"),
        ] {
            fs::write(directory.join(name), text).unwrap();
        }
        let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
        let mut led = SysfsLed::open(sys.path(), "green:status").unwrap();
        assert_eq!(read("trigger"), "none");
        assert_eq!(read("brightness"), "0");
        led.set(true).unwrap();
        assert_eq!(read("brightness"), "255");
        let error = SysfsLed::open(sys.path(), "red").unwrap_err().to_string();
        assert!(
            error.contains("LED red") && error.contains("/sys/class/leds"),
            "{error}"
        );
    }
}
