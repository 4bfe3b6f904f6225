//! Versions of images, as `1.4.2` or `1.4.2-rc1`, and their order.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Longest text that is taken for a version.
const LIMIT: usize = 64;

/// An image's version. A suffix behind a dash comes before the version without one, as in semantic versioning; suffixes are
/// compared as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    numbers: [u32; 3],
    suffix: Option<String>,
}

/// Why a text is no version.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum VersionError {
    /// Not three numbers.
    #[error("`{0}` is no version: three numbers are wanted, as in 1.4.2 or 1.4.2-rc1")]
    Shape(String),
    /// Nothing names the version.
    #[error("no line IMAGE_VERSION=; this is no firmware image of cgminer-rs")]
    Missing,
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let shape = || VersionError::Shape(text.chars().take(LIMIT).collect());
        if text.len() > LIMIT {
            return Err(shape());
        }
        let (numbers, suffix) = match text.split_once('-') {
            Some((numbers, suffix)) => (numbers, Some(suffix)),
            None => (text, None),
        };
        let plain = |suffix: &str| {
            !suffix.is_empty()
                && suffix
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
        };
        if !suffix.is_none_or(plain) {
            return Err(shape());
        }
        let mut parts = numbers.split('.');
        let mut next = || {
            let part = parts.next()?;
            // No sign and no empty part: `parse` alone would take `+1`.
            part.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(())?;
            part.parse().ok()
        };
        let numbers = match (next(), next(), next()) {
            (Some(major), Some(minor), Some(patch)) => [major, minor, patch],
            _ => return Err(shape()),
        };
        if parts.next().is_some() {
            return Err(shape());
        }
        Ok(Self {
            numbers,
            suffix: suffix.map(str::to_owned),
        })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| match (&self.suffix, &other.suffix) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(own), Some(others)) => own.cmp(others),
            })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(formatter, "{major}.{minor}.{patch}")?;
        match &self.suffix {
            Some(suffix) => write!(formatter, "-{suffix}"),
            None => Ok(()),
        }
    }
}

/// The version that a file like `/etc/os-release` names; os-release(5) reserves `IMAGE_VERSION` for it.
pub(super) fn of_image(os_release: &str) -> Result<Version, VersionError> {
    os_release
        .lines()
        .find_map(|line| line.strip_prefix("IMAGE_VERSION="))
        .ok_or(VersionError::Missing)?
        .trim()
        .trim_matches('"')
        .parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_ordered_as_people_count() {
        let order = ["0.9.9", "0.10.0-rc1", "0.10.0-rc2", "0.10.0", "1.0.0"];
        for pair in order.windows(2) {
            let [earlier, later] = [pair[0], pair[1]].map(|text| text.parse::<Version>().unwrap());
            assert!(earlier < later, "{earlier} {later}");
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "1.2.+3",
            "1..3",
            "1.2.3-",
            "v1.2.3",
            "1.2.3-a b",
            "1.2.99999999999",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_image_names_its_version() {
        let text =
            "NAME=Buildroot\nVERSION_ID=2026.08\nIMAGE_ID=cgminer-rs\nIMAGE_VERSION=\"1.4.2\"\n";
        assert_eq!(of_image(text).unwrap().to_string(), "1.4.2");
        assert_eq!(of_image("NAME=Debian\n"), Err(VersionError::Missing));
    }

    proptest! {
        #[test]
        fn any_text_is_a_version_or_none(text in ".{0,80}") {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string().parse::<Version>(), Ok(version));
            }
        }
    }
}
