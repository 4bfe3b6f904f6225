//! `[alerts]` and `[[alert_target]]`: what an owner is told of, and where it is sent.

use super::secret::Secret;
use super::target::TargetUrl;
use crate::pool::trust::CertificatePin;
use cgminer_hal::units::Celsius;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// When something is worth an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsSection {
    /// Seconds that something must be bad before it is told, and good before it is over.
    pub hold: u16,
    /// Minutes in which one and the same thing is told to begin at most once.
    pub repeat: u16,
    /// Chip temperature; none: the board's own hot tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Celsius>,
    /// How far the rail may be off its setting, in per cent.
    pub voltage: u8,
    /// Hashrate that must be credited, in per cent of what the chips should give.
    pub hash_rate: u8,
    /// Minutes that pools may take no share.
    pub no_share: u16,
    /// Shares that may be refused, in per cent.
    pub rejects: u8,
    /// Restarts within an hour that are worth an alert.
    pub restarts: u8,
    /// Health below which a chip counts as lost, in per cent.
    pub chip_health: u8,
    /// Room that a file system must have, in per cent.
    pub disk: u8,
    /// When the daily report is made, in UTC.
    pub report: ReportTime,
}

/// Where alerts are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertTargetSection {
    /// What messages call it.
    pub name: String,
    /// Where and how.
    pub url: TargetUrl,
    /// User at a webhook or broker; empty: none.
    #[serde(default)]
    pub user: String,
    /// Password of that user; at a webhook without a user: a bearer token.
    #[serde(default)]
    pub password: Secret,
    /// TLS: PEM file of the authorities to trust instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// TLS: SHA-256 of the one certificate to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_pin: Option<CertificatePin>,
    /// What matters less is not sent.
    #[serde(default)]
    pub minimum: AlertLevel,
    /// Whether it gets the daily report.
    #[serde(default)]
    pub report: bool,
    /// MQTT: whether the broker has to confirm (1) or not (0).
    #[serde(default = "confirmed")]
    pub qos: u8,
}

/// How much an alert matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertLevel {
    /// Good to know.
    Info,
    /// Less work, or less safety margin, than there should be.
    #[default]
    Warning,
    /// No work, or a danger.
    Error,
}

/// A time of the day, or never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ReportTime {
    /// Never.
    #[default]
    Off,
    /// At this minute of the day.
    At {
        /// Minutes since midnight, UTC.
        minute: u16,
    },
}

impl Default for AlertsSection {
    fn default() -> Self {
        Self {
            hold: 60,
            repeat: 30,
            temperature: None,
            voltage: 5,
            hash_rate: 80,
            no_share: 30,
            rejects: 5,
            restarts: 1,
            chip_health: 50,
            disk: 5,
            report: ReportTime::Off,
        }
    }
}

impl TryFrom<String> for ReportTime {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let number = |digits: &str, below: u16| {
            let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|n| plain && *n < below)
        };
        let time = text
            .split_once(':')
            .and_then(|(hours, minutes)| Some((number(hours, 24)?, number(minutes, 60)?)));
        match time {
            Some((hours, minutes)) => Ok(Self::At {
                minute: hours * 60 + minutes,
            }),
            None => Err(format!(
                "`{text}` is no time of day; write hours and minutes of UTC as in \"07:30\", or \"off\""
            )),
        }
    }
}

impl From<ReportTime> for String {
    fn from(time: ReportTime) -> Self {
        match time {
            ReportTime::Off => "off".into(),
            ReportTime::At { minute } => format!("{:02}:{:02}", minute / 60, minute % 60),
        }
    }
}

fn confirmed() -> u8 {
    1
}
