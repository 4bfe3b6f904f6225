//! From a line's name to its chip and offset.

use crate::gpio::{GpioError, LineId};
use crate::linux::sysfs;
use linux_embedded_hal::gpio_cdev::Chip;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::linux) struct Place {
    /// Device file of the chip.
    pub(super) chip: PathBuf,
    /// Line of the chip.
    pub(super) offset: u32,
}

/// Looks a line up.
pub(super) fn find(dev: &Path, sys: &Path, line: &LineId) -> Result<Place, GpioError> {
    let found = match line {
        LineId::Offset { chip, offset } => by_chip(dev, chip).map(|chip| Place {
            chip,
            offset: *offset,
        }),
        LineId::Name(name) => by_name(dev, name),
        LineId::Number(number) => by_number(dev, sys, *number),
    };
    found.map_err(|looked| GpioError::Unknown {
        line: line.to_string(),
        looked,
    })
}

/// A chip by device name, else by label. Errors are sentences for [`GpioError::Unknown`].
fn by_chip(dev: &Path, chip: &str) -> Result<PathBuf, String> {
    let direct = dev.join(chip);
    if chip.starts_with("gpiochip") && direct.exists() {
        return Ok(direct);
    }
    let mut labels = Vec::new();
    for path in chips(dev)? {
        if let Ok(candidate) = Chip::new(&path) {
            if candidate.label() == chip {
                return Ok(path);
            }
            labels.push(candidate.label().to_owned());
        }
    }
    Err(format!("no chip {chip:?}; the labels are {labels:?}"))
}

fn by_name(dev: &Path, name: &str) -> Result<Place, String> {
    let mut found = Vec::new();
    let paths = chips(dev)?;
    for path in &paths {
        let Ok(chip) = Chip::new(path) else { continue };
        let count = chip.num_lines();
        // v2 first: a kernel without v1 answers its question for a line's name only there.
        let v2 = gpiocdev::chip::Chip::from_path(path).ok();
        let named = v2
            .and_then(|chip| chip.find_line_info(name))
            .map(|info| info.offset);
        let offset = named.or_else(|| {
            let has_name = |line: &linux_embedded_hal::gpio_cdev::Line| {
                line.info().is_ok_and(|info| info.name() == Some(name))
            };
            chip.lines()
                .take(count as usize)
                .find(has_name)
                .map(|line| line.offset())
        });
        found.extend(offset.map(|offset| Place {
            chip: path.clone(),
            offset,
        }));
    }
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err("several lines have this name".to_owned()),
        (None, _) => Err(format!(
            "none of {} chips has a line of this name",
            paths.len()
        )),
    }
}

/// The kernel's global number: `class/gpio/gpiochipB` begins at number B, and its device is the parent of the chip that
/// `bus/gpio/devices` lists. Labels would not do: all four banks of an AM335x share one on old kernels.
fn by_number(dev: &Path, sys: &Path, number: u32) -> Result<Place, String> {
    let class = sys.join("class/gpio");
    let entries = fs::read_dir(&class).map_err(|error| format!("{}: {error}", class.display()))?;
    for bank in entries.flatten().map(|entry| entry.path()) {
        let base = sysfs::read_number::<u32>(&bank.join("base"));
        let count = sysfs::read_number::<u32>(&bank.join("ngpio"));
        let (Ok(base), Ok(count)) = (base, count) else {
            continue;
        };
        if let Some(offset) = number.checked_sub(base).filter(|offset| *offset < count) {
            return Ok(Place {
                chip: dev.join(chip_of(sys, &bank)?),
                offset,
            });
        }
    }
    Err(format!("no bank under {} has this number", class.display()))
}

/// Name of the character device of a bank.
fn chip_of(sys: &Path, bank: &Path) -> Result<String, String> {
    let device = bank.join("device");
    let parent = device
        .canonicalize()
        .map_err(|error| format!("{}: {error}", device.display()))?;
    let bus = sys.join("bus/gpio/devices");
    let entries = fs::read_dir(&bus).map_err(|error| format!("{}: {error}", bus.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .canonicalize()
                .is_ok_and(|chip| chip.parent() == Some(parent.as_path()))
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    match (names.pop(), names.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(format!(
            "{} has several chips; name the line by chip and offset",
            parent.display()
        )),
        (None, _) => Err(format!(
            "{} lists no chip of {}",
            bus.display(),
            parent.display()
        )),
    }
}

/// The machine's GPIO chips, in the order of their numbers.
fn chips(dev: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(dev).map_err(|error| format!("{}: {error}", dev.display()))?;
    let mut numbered: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry
                .file_name()
                .to_str()?
                .strip_prefix("gpiochip")?
                .parse()
                .ok()?;
            Some((number, entry.path()))
        })
        .collect();
    numbered.sort();
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// An AM335x: four banks of 32 lines with the same label.
    fn am335x() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (index, address) in ["44e07000", "4804c000", "481ac000", "481ae000"]
            .iter()
            .enumerate()
        {
            let device = root.path().join(format!("devices/ocp/{address}.gpio"));
            let chip = device.join(format!("gpiochip{index}"));
            let bank = root
                .path()
                .join(format!("class/gpio/gpiochip{}", index * 32));
            let bus = root.path().join("bus/gpio/devices");
            for directory in [&chip, &bank, &bus] {
                fs::create_dir_all(directory).unwrap();
            }
            symlink(&chip, bus.join(format!("gpiochip{index}"))).unwrap();
            symlink(&device, bank.join("device")).unwrap();
            fs::write(bank.join("base"), format!("{}\n", index * 32)).unwrap();
            fs::write(bank.join("ngpio"), "32\n").unwrap();
        }
        root
    }

    fn at(sys: &Path, number: u32) -> Result<Place, GpioError> {
        find(Path::new("/dev"), sys, &LineId::Number(number))
    }

    #[test]
    fn a_global_number_is_found_in_its_bank() {
        let sys = am335x();
        for (number, chip, offset) in [
            (5, "gpiochip0", 5),
            (51, "gpiochip1", 19),
            (65, "gpiochip2", 1),
            (127, "gpiochip3", 31),
        ] {
            let place = Place {
                chip: Path::new("/dev").join(chip),
                offset,
            };
            assert_eq!(at(sys.path(), number).unwrap(), place);
        }
    }

    #[test]
    fn a_number_beyond_every_bank_is_unknown() {
        let sys = am335x();
        let error = at(sys.path(), 128).unwrap_err().to_string();
        assert!(
            error.contains("GPIO number 128") && error.contains("no bank"),
            "{error}"
        );
        let error = at(Path::new("/nonexistent"), 5).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/class/gpio"), "{error}");
    }

    #[test]
    fn two_chips_on_one_device_are_not_guessed_between() {
        let sys = am335x();
        let second = sys.path().join("devices/ocp/44e07000.gpio/gpiochip9");
        fs::create_dir_all(&second).unwrap();
        symlink(&second, sys.path().join("bus/gpio/devices/gpiochip9")).unwrap();
        let error = at(sys.path(), 5).unwrap_err().to_string();
        assert!(error.contains("several chips"), "{error}");
    }

    #[test]
    fn a_machine_without_chips_says_where_it_looked() {
        let dev = tempfile::tempdir().unwrap();
        for line in [
            LineId::Name("HB0_RESET".into()),
            LineId::Offset {
                chip: "gpiochip0".into(),
                offset: 3,
            },
        ] {
            let error = find(dev.path(), dev.path(), &line).unwrap_err();
            assert!(matches!(error, GpioError::Unknown { .. }), "{error}");
        }
    }

    #[test]
    fn chips_are_ordered_by_number_and_not_by_letter() {
        let dev = tempfile::tempdir().unwrap();
        for name in ["gpiochip10", "gpiochip2", "gpio", "gpiochipX"] {
            fs::write(dev.path().join(name), "").unwrap();
        }
        let names: Vec<_> = chips(dev.path()).unwrap();
        assert_eq!(
            names,
            [dev.path().join("gpiochip2"), dev.path().join("gpiochip10")]
        );
    }
}
