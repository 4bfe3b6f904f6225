//! Bounds of `[alerts]` and `[[alert_target]]`.

use super::Findings;
use crate::config::alerts::{AlertTargetSection, AlertsSection};
use crate::config::target::TargetKind;
use crate::pool::url::Transport;
use cgminer_board::document::Segment;
use std::collections::HashSet;
use std::ops::RangeInclusive;

/// Targets that may be named: each is a task with a queue.
const TARGETS: usize = 8;
/// Letters of a target's name.
const NAME: RangeInclusive<usize> = 1..=32;
/// Bytes of a user or password.
const TEXT_BYTES: usize = 512;

pub(super) fn limits(alerts: &AlertsSection, findings: &mut Findings) {
    let temperature = alerts.temperature.map(|celsius| celsius.0);
    findings.within("alerts", "temperature", temperature, 40.0..=120.0, "C");
    findings.within("alerts", "hold", Some(alerts.hold), 0..=3600, "s");
    findings.within("alerts", "repeat", Some(alerts.repeat), 1..=1440, "min");
    findings.within("alerts", "no_share", Some(alerts.no_share), 1..=1440, "min");
    for (name, value, range, unit) in [
        ("voltage", alerts.voltage, 1..=50, "%"),
        ("hash_rate", alerts.hash_rate, 1..=100, "%"),
        ("rejects", alerts.rejects, 1..=100, "%"),
        ("restarts", alerts.restarts, 1..=60, "restarts"),
        ("chip_health", alerts.chip_health, 1..=90, "%"),
        ("disk", alerts.disk, 1..=50, "%"),
    ] {
        findings.within("alerts", name, Some(value), range, unit);
    }
}

pub(super) fn targets(targets: &[AlertTargetSection], findings: &mut Findings) {
    if targets.len() > TARGETS {
        let message = format!("{} targets are named", targets.len());
        let hint = format!("name at most {TARGETS}");
        findings.add(Segment::parse_path("alert_target"), message, hint);
    }
    let mut names = HashSet::new();
    for (index, target) in targets.iter().enumerate() {
        let path = |name: &str| Segment::parse_path(&format!("alert_target[{index}].{name}"));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if !NAME.contains(&target.name.len()) || !target.name.bytes().all(plain) {
            let hint = "write 1 to 32 letters, digits, dots, dashes and underscores";
            findings.add(path("name"), "is no name for a target", hint);
        }
        if !names.insert(&target.name) {
            let message = format!("`{}` is used twice", target.name);
            findings.add(path("name"), message, "give each target its own name");
        }
        for (name, text) in [
            ("user", target.user.as_str()),
            ("password", target.password.expose()),
        ] {
            if text.len() > TEXT_BYTES || text.chars().any(char::is_control) {
                let hint = format!("write at most {TEXT_BYTES} bytes on one line");
                findings.add(path(name), "too long, or holds control characters", hint);
            }
        }
        let syslog = matches!(
            target.url.kind,
            TargetKind::SyslogUdp | TargetKind::SyslogTcp
        );
        if syslog && !(target.user.is_empty() && target.password.expose().is_empty()) {
            let hint = "leave `user` and `password` out";
            findings.add(path("user"), "syslog knows no users", hint);
        }
        if target.qos > 1 {
            findings.add(path("qos"), "is not known here", "write 0 or 1");
        }
        match (&target.ca_file, &target.tls_pin) {
            (None, None) => {}
            (Some(_), Some(_)) => {
                let message = "`ca_file` and `tls_pin` are both set";
                let hint = "keep one of them: a pin needs no authority";
                findings.add(path("tls_pin"), message, hint);
            }
            (file, _) if target.url.server.transport != Transport::Tls => {
                let named = if file.is_some() { "ca_file" } else { "tls_pin" };
                let hint = "write an address with TLS, or leave it out";
                findings.add(path(named), "means nothing without TLS", hint);
            }
            _ => {}
        }
    }
}
