//! Targets of alerts.

use super::*;

#[test]
fn a_target_of_alerts_is_bounded_and_its_address_is_shown_nowhere() {
    let entry = |more: &str| {
        format!(
            "[[alert_target]]\nname = \"chat\"\nurl = \"https://hooks.example/T0/hidden\"\n{more}\n"
        )
    };
    let config = parse(&entry("password = \"hidden\"")).unwrap().config;
    assert_eq!(config.alert_target[0].url.path, "/T0/hidden");
    assert!(!format!("{config:?}").contains("hidden"));
    assert!(!toml::to_string(&config).unwrap().contains("hidden"));
    for (text, words) in [
        (entry("qos = 2"), "alert_target[0].qos: is not known"),
        (entry("") + &entry(""), "used twice"),
        (
            entry("").replace("chat", "my chat"),
            "is no name for a target",
        ),
        (
            entry("").replace("https", "http") + "tls_pin = \"" + &"ab".repeat(32) + "\"\n",
            "without TLS",
        ),
        (
            entry("").replace("https", "gopher"),
            "is no address for alerts",
        ),
        (entry("").replace("https", "syslog"), "means nothing here"),
        (entry("minimum = \"loud\""), "unknown variant"),
        (entry("").repeat(9), "9 targets"),
        ("[alerts]\nhash_rate = 0\n".into(), "out of bounds"),
        ("[alerts]\nreport = \"25:00\"\n".into(), "is no time of day"),
    ] {
        let error = error_of(&text);
        assert!(
            error.contains(words) && !error.contains("hidden"),
            "{error}"
        );
    }
    let sources = Sources {
        environment: vec![("CGMINER_ALERT_TARGET_0_QOS".into(), "0".into())],
        files: vec![SourceFile {
            path: "a".into(),
            text: entry(""),
        }],
        flags: vec!["alerts.report=07:30".into()],
    };
    let config = sources.load().unwrap().config;
    assert_eq!(config.alert_target[0].qos, 0);
    assert_eq!(config.alerts.report, ReportTime::At { minute: 450 });
}
