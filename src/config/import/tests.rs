use super::*;
use crate::config::parse;
use cgminer_hal::units::{DutyPercent, Megahertz};
use proptest::prelude::*;

fn names(imported: &Imported) -> Vec<&str> {
    let dropped = imported.dropped.iter();
    dropped.map(|dropped| dropped.name.as_str()).collect()
}

#[test]
fn cgminer_conf_becomes_a_configuration_that_is_taken() {
    let imported = import(
        r#"{
        "pools": [
            {"url": "stratum+tcp://pool.example:3333#xnsub", "user": "a.w", "pass": "x"},
            {"quota": "2;stratum+tcp://other.example:443", "user": "b", "pass": "y", "proxy": "z"},
            {"url": "", "user": "", "pass": ""},
            {"url": "ftp://nowhere", "user": "c", "pass": ""}
        ],
        "api-listen": true, "api-network": true, "api-port": "4028",
        "api-allow": "W:192.0.2.0/24,R:0/0,W:127.0.0.1",
        "bitmain-fan-ctrl": true, "bitmain-fan-pwm": "70",
        "bitmain-freq": "525", "bitmain-voltage": "0706", "multi-version": "1",
        "failover-only": true, "temp-cutoff": 95
    }"#,
    )
    .unwrap();
    let config = parse(&imported.text).unwrap().config;
    assert_eq!(config.pool.len(), 2);
    assert_eq!(
        config.pool[0].url.to_string(),
        "stratum+tcp://pool.example:3333"
    );
    assert_eq!(
        (config.pool[1].quota, config.pool[1].user.as_str()),
        (2, "b")
    );
    assert_eq!(config.pool[1].password.expose(), "y");
    assert_eq!(config.rpc.writers.len(), 2);
    assert_eq!(config.chains.frequency, Some(Megahertz(525.0)));
    assert_eq!(config.cooling.duty, Some(DutyPercent(70.0)));
    let mut dropped = names(&imported);
    dropped.sort_unstable();
    assert_eq!(
        dropped,
        [
            "api-allow R:0/0",
            "bitmain-voltage",
            "failover-only",
            "multi-version",
            "pools[1].proxy",
            "pools[2]",
            "pools[3]",
            "temp-cutoff",
        ]
    );
    assert!(
        imported
            .dropped
            .iter()
            .all(|dropped| !dropped.reason.is_empty())
    );
}

#[test]
fn bosminer_toml_becomes_a_configuration_that_is_taken() {
    let imported = import(
        r#"
[format]
version = "1.2+"
model = "Antminer S19J Pro"
[[group]]
name = "main"
quota = 3
[[group.pool]]
url = "stratum+tcp://pool.example:3333"
user = "a.w"
password = "x"
[[group.pool]]
enabled = false
url = "stratum+tcp://late.example:3333"
user = "a.w"
[[group]]
name = "other"
fixed_share_ratio = 0.1
[[group.pool]]
url = "stratum+tcp://other.example:3333"
user = "b"
[hash_chain_global]
frequency = 525.0
voltage = 13.2
asic_boost = true
[temp_control]
mode = "manual"
target_temp = 60.0
hot_temp = 90.0
[fan_control]
speed = 80
min_fans = 2
[autotuning]
enabled = true
psu_power_limit = 3200
"#,
    )
    .unwrap();
    let config = parse(&imported.text).unwrap().config;
    assert_eq!(config.pool.len(), 3);
    assert_eq!((config.pool[0].group, config.pool[0].quota), (0, 3));
    assert!(!config.pool[1].enabled);
    assert_eq!((config.pool[2].group, config.pool[2].quota), (1, 1));
    assert_eq!(config.chains.voltage.unwrap().0, 13_200);
    assert_eq!(config.cooling.duty, Some(DutyPercent(80.0)));
    assert_eq!(config.cooling.minimum_fans, Some(2));
    let mut dropped = names(&imported);
    dropped.sort_unstable();
    assert_eq!(
        dropped,
        [
            "autotuning",
            "group[1].fixed_share_ratio",
            "hash_chain_global.asic_boost",
            "temp_control.hot_temp",
        ]
    );
}

#[test]
fn a_machine_without_fans_is_never_imported() {
    let text = "[temp_control]\nmode = \"disabled\"\n";
    let imported = import(text).unwrap();
    assert!(!imported.text.contains("immersion"), "{}", imported.text);
    assert_eq!(names(&imported), ["temp_control.mode"]);
}

#[test]
fn our_own_files_are_migrated_with_their_comments_and_no_newer_ones() {
    let old = "# mine\n[log]\nlevel = \"debug\" # loud\n";
    let new = migrate(old).unwrap().text;
    assert_eq!(new, format!("schema = {SCHEMA}\n{old}"));
    assert_eq!(migrate(&new).unwrap().text, new, "once is enough");
    assert_eq!(migrate("schema = 99").unwrap_err(), ImportError::Newer(99));
    assert_eq!(migrate("schema = 0").unwrap_err(), ImportError::NoSchema);
    assert_eq!(import(old).unwrap_err(), ImportError::Ours);
    assert!(matches!(import("{"), Err(ImportError::Unreadable { .. })));
    let error = parse("schema = 99\n").unwrap_err().to_string();
    assert!(
        error.contains("schema: 99") && error.contains("newer"),
        "{error}"
    );
    let error = parse("schema = \"1\"\n").unwrap_err().to_string();
    assert!(error.contains("whole number"), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_refused_or_becomes_toml(text in "\\PC{0,200}") {
        for made in [import(&text), migrate(&text)].into_iter().flatten() {
            prop_assert!(made.text.parse::<Table>().is_ok(), "{}", made.text);
        }
    }

    #[test]
    fn any_cgminer_conf_becomes_toml_and_what_it_says_is_taken_or_named(
        name in "(pools|api-allow|api-port|api-listen|bitmain-freq|bitmain-fan-pwm|bitmain-fan-ctrl|[a-z-]{1,12})",
        text in "\\PC{0,40}", number in any::<f64>(), flag: bool,
    ) {
        let values = [
            serde_json::json!(text), serde_json::json!(number), serde_json::json!(flag),
            serde_json::json!([{"url": text, "user": text, "quota": format!("{number};{text}")}]),
        ];
        for value in values {
            let made = import(&serde_json::json!({(name.as_str()): value, "api-listen": flag}).to_string()).unwrap();
            prop_assert!(made.text.parse::<Table>().is_ok(), "{}", made.text);
        }
    }

    #[test]
    fn any_bosminer_toml_becomes_toml(
        section in "(hash_chain_global|temp_control|fan_control|group|autotuning|format)",
        name in "(frequency|voltage|mode|target_temp|speed|min_fans|pool|enabled)",
        value in "(-?[0-9]{1,5}(\\.[0-9])?|true|\"[a-z]{0,9}\"|\\[\\{url = \"[a-z:/0-9]{0,20}\"\\}\\])",
    ) {
        for head in [format!("[{section}]"), format!("[[{section}]]")] {
            if let Ok(made) = import(&format!("{head}\n{name} = {value}\n")) {
                prop_assert!(made.text.parse::<Table>().is_ok(), "{}", made.text);
            }
        }
    }
}
