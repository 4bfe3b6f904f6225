use super::*;
use proptest::prelude::*;

mod alerts;
mod logs;
mod sv2;

fn error_of(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn an_empty_configuration_is_the_built_in_one() {
    assert_eq!(parse("").unwrap().config, Config::default());
}

#[test]
fn a_mistyped_field_is_told_with_file_line_column_path_and_the_right_name() {
    let error = error_of("[chains]\n  frequncy = 500\n");
    assert_eq!(
        error,
        "<text>:2:3: chains.frequncy: there is no field `frequncy` in `chains`; did you mean `frequency`?"
    );
}

#[test]
fn a_mistyped_section_is_told_with_its_place() {
    let error = error_of("\n[lgo]\nlevel = \"info\"\n");
    assert_eq!(
        error,
        "<text>:2:2: lgo: there is no section `lgo`; did you mean `log`?"
    );
}

#[test]
fn a_wrong_type_points_at_the_value_and_says_what_to_write() {
    for (text, place, hint) in [
        (
            "[chains]\nfrequency = \"fast\"\n",
            "2:13: chains.frequency",
            "write a number",
        ),
        (
            "[api]\nread_without_token = \"yes\"\n",
            "2:22: api.read_without_token",
            "write true or false",
        ),
        (
            "[log]\nlevel = 3\n",
            "2:9: log.level",
            "write a text in quotes",
        ),
        ("[api]\nhosts = \"a\"\n", "2:9: api.hosts", "in brackets"),
        (
            "[api]\nhosts = [1]\n",
            "2:10: api.hosts[0]",
            "texts in quotes",
        ),
        (
            "[cooling]\nminimum_fans = -1\n",
            "2:16: cooling.minimum_fans",
            "not below 0",
        ),
        ("[pool]\nurl = \"a:1\"\n", "1:1: pool", "[[pool]]"),
        ("log = 3\n", "1:7: log", "[log]"),
        ("[[pool]]\nuser = \"a\"\n", "1:1: pool[0]", "add it"),
    ] {
        let error = error_of(text);
        assert!(error.starts_with(&format!("<text>:{place}: ")), "{error}");
        let behind = error.rsplit_once("; ").unwrap_or_default().1;
        assert!(behind.contains(hint), "{error}");
    }
}

#[test]
fn what_is_no_toml_points_at_the_first_bad_character() {
    let error = error_of("[api]\nlisten = = 3\n");
    assert!(error.starts_with("<text>:2:"), "{error}");
}

#[test]
fn a_missing_pool_address_points_at_its_section() {
    let error = error_of("[log]\n\n[[pool]]\nuser = \"a\"\n");
    assert!(
        error.starts_with("<text>:3:1: pool[0]: missing field `url`"),
        "{error}"
    );
}

#[test]
fn all_problems_of_the_checks_are_told_at_once() {
    let error = parse(
        "[chains]\nfrequency = 9000\nvoltage = 3\n[cooling]\nmode = \"fixed\"\n[[pool]]\nurl = \"a:1\"\n",
    )
    .unwrap_err();
    let paths: Vec<&str> = error
        .problems()
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "pool[0].user",
            "chains.frequency",
            "chains.voltage",
            "cooling.mode"
        ]
    );
    assert!(
        error
            .problems()
            .iter()
            .all(|problem| problem.hint.is_some())
    );
}

#[test]
fn numbers_that_are_none_are_out_of_bounds() {
    for text in ["nan", "inf", "-inf"] {
        let error = error_of(&format!("[chains]\nfrequency = {text}\n"));
        assert!(error.contains("out of bounds"), "{text}: {error}");
    }
}

#[test]
fn later_layers_win_and_each_value_knows_its_layer() {
    let file = |path: &str, text: &str| SourceFile {
        path: path.into(),
        text: text.into(),
    };
    let sources = Sources {
        files: vec![
            file(
                "main.toml",
                "[log]\nlevel = \"warn\"\nformat = \"json\"\n[chains]\nfrequency = 500\n",
            ),
            file(
                "conf.d/10.toml",
                "[log]\nlevel = \"debug\"\n[chains]\nfrequency = 510\n",
            ),
        ],
        environment: vec![
            ("CGMINER_CHAINS_FREQUENCY".into(), "520".into()),
            ("CGMINER_CHAINS_VOLTAGE".into(), "13200".into()),
            ("PATH".into(), "/bin".into()),
        ],
        flags: vec!["chains.voltage=13300".into()],
    };
    let loaded = sources.load().unwrap();
    assert_eq!(loaded.config.log.format, LogFormat::Json);
    assert_eq!(loaded.config.log.level.to_string(), "debug");
    assert_eq!(
        loaded.config.chains.frequency,
        Some(cgminer_hal::units::Megahertz(520.0))
    );
    assert_eq!(loaded.config.chains.voltage.unwrap().0, 13300);
    assert_eq!(loaded.origin_of("log.format").to_string(), "main.toml:3:10");
    assert_eq!(
        loaded.origin_of("log.level").to_string(),
        "conf.d/10.toml:2:9"
    );
    assert_eq!(
        loaded.origin_of("chains.frequency").to_string(),
        "variable CGMINER_CHAINS_FREQUENCY"
    );
    assert_eq!(
        loaded.origin_of("chains.voltage").to_string(),
        "flag --set chains.voltage"
    );
    assert_eq!(loaded.origin_of("api.listen"), Origin::Default);
}

#[test]
fn variables_change_and_add_pools_by_number() {
    let file = SourceFile {
        path: "main.toml".into(),
        text: "[[pool]]\nurl = \"one:1\"\nuser = \"a\"\n".into(),
    };
    let sources = Sources {
        files: vec![file],
        environment: [
            ("CGMINER_POOL_0_PASSWORD", "12345"),
            ("CGMINER_POOL_1_URL", "two:2"),
            ("CGMINER_POOL_1_USER", "b"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        flags: vec!["pool[1].version_rolling=false".into()],
    };
    let pools = sources.load().unwrap().config.pool;
    assert_eq!(pools[0].password.expose(), "12345");
    assert_eq!(pools[0].user, "a");
    assert_eq!(pools[1].url.to_string(), "stratum+tcp://two:2");
    assert!(!pools[1].version_rolling);
}

#[test]
fn an_unknown_variable_or_flag_is_refused_with_a_hint() {
    let refused = |environment: &[(&str, &str)], flags: &[&str]| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let sources = Sources {
            files: Vec::new(),
            environment: environment.iter().map(owned).collect(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        sources.load().unwrap_err().to_string()
    };
    assert!(refused(&[("CGMINER_LOG_LEVL", "x")], &[]).contains("did you mean `level`?"));
    assert!(refused(&[("CGMINER_POOL_URL", "x")], &[]).contains("pools are numbered from 0"));
    assert!(refused(&[("CGMINER_POOL_3_URL", "a:1")], &[]).contains("without gaps"));
    assert!(refused(&[("CGMINER_CHAINS_VOLTAGE", "12V")], &[]).contains("without its unit"));
    assert!(refused(&[], &["log.level"]).contains("section.field=value"));
    assert!(refused(&[], &["nonsense"]).contains("section.field=value"));
}

#[test]
fn no_message_and_no_print_shows_a_password() {
    let error = error_of("[[pool]]\nurl = \"a:1\"\nuser = \"u\"\npassword = 77123\n");
    assert!(
        error.starts_with("<text>:4:12: pool[0].password: "),
        "{error}"
    );
    assert!(!error.contains("77123"), "{error}");
    let loaded = parse("[[pool]]\nurl = \"a:1\"\nuser = \"u\"\npassword = \"hunter2\"\n").unwrap();
    assert!(!format!("{:?}", loaded.config).contains("hunter2"));
    assert!(!loaded.config.text().unwrap().contains("hunter2"));
    assert!(
        !serde_json::to_string(&loaded.config)
            .unwrap()
            .contains("hunter2")
    );
}

#[test]
fn solo_wants_an_address_to_pay_and_one_way_in() {
    let node = "[[pool]]\nurl = \"http://127.0.0.1:8332\"\n";
    assert!(error_of(node).contains("pool[0].payout_address: is missing"));
    assert!(error_of(node).contains("pool[0].cookie_file: the node's access"));
    let complete = format!("{node}payout_address = \"bc1q\"\ncookie_file = \"/x/.cookie\"\n");
    assert!(matches!(
        parse(&complete).unwrap().config.pool[0].url,
        PoolAddress::Node { .. }
    ));
    assert!(error_of(&format!("{complete}user = \"u\"\n")).contains("given twice"));
}

#[test]
fn snippets_are_read_in_the_order_of_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("config.toml");
    std::fs::write(&main, "[log]\nlevel = \"info\"\n").unwrap();
    std::fs::create_dir(directory.path().join("conf.d")).unwrap();
    for (name, level) in [
        ("20-b.toml", "trace"),
        ("10-a.toml", "debug"),
        ("30-c.txt", "error"),
    ] {
        let text = format!("[log]\nlevel = \"{level}\"\n");
        std::fs::write(directory.path().join("conf.d").join(name), text).unwrap();
    }
    let files = Sources::read_files(&main).unwrap();
    let loaded = Sources {
        files,
        ..Sources::default()
    }
    .load()
    .unwrap();
    assert_eq!(loaded.config.log.level.to_string(), "trace");
}

#[test]
fn a_missing_file_is_told_by_name() {
    let error = Sources::read_files(Path::new("/nowhere/config.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("/nowhere/config.toml: cannot be read"),
        "{error}"
    );
}

#[test]
fn the_field_list_is_the_schema() {
    let mut config = Config::default();
    config.board.name = Some(String::new());
    config.board.file = Some(PathBuf::new());
    config.chains.frequency = Some(cgminer_hal::units::Megahertz(1.0));
    config.chains.voltage = Some(cgminer_hal::units::Millivolts(1));
    config.cooling.target = Some(cgminer_hal::units::Celsius(1.0));
    config.cooling.duty = Some(cgminer_hal::units::DutyPercent(1.0));
    config.cooling.minimum_fans = Some(1);
    config.pool = vec![PoolSection {
        name: Some(String::new()),
        suggest_difficulty: Some(1.0),
        sv2_channel: Some(crate::pool::settings::Sv2Channel::Standard),
        ca_file: Some(PathBuf::new()),
        tls_pin: Some("ab".repeat(32).parse().unwrap()),
        proxy: Some("socks5://a:1".parse().unwrap()),
        payout_address: Some(String::new()),
        cookie_file: Some(PathBuf::new()),
        ..PoolSection::stratum("a:1".parse().unwrap(), "u")
    }];
    config.log.file = Some(PathBuf::new());
    config.log.syslog = Some("192.0.2.1:514".parse().unwrap());
    config.api.tls_certificate = Some(PathBuf::new());
    config.api.tls_key = Some(PathBuf::new());
    config.token = vec![token()];
    config.alerts.temperature = Some(cgminer_hal::units::Celsius(1.0));
    config.alert_target = vec![AlertTargetSection {
        ca_file: Some(PathBuf::new()),
        tls_pin: Some("ab".repeat(32).parse().unwrap()),
        ..alert_target()
    }];
    let value = toml::Value::try_from(&config).unwrap();
    let mut schema = Vec::new();
    // `schema` is no field of a section; nobody sets it by variable or flag.
    let sections = value.as_table().unwrap().iter();
    for (section, content) in sections.filter(|(name, _)| *name != "schema") {
        let table = content.get(0).unwrap_or(content);
        schema.extend(
            table
                .as_table()
                .unwrap()
                .keys()
                .map(|name| format!("{section}.{name}")),
        );
    }
    let mut listed: Vec<String> = FIELDS
        .iter()
        .map(|field| format!("{}.{}", field.section, field.name))
        .collect();
    schema.sort();
    listed.sort();
    assert_eq!(listed, schema);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_text_made_of_real_pieces_makes_the_parser_panic(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("[api]\n"), Just("[[pool]]\n"), Just("[pool]\n"), Just("url="), Just("\"a:1\"\n"),
                Just("pool = 3\n"), Just("frequency = 1e999\n"), Just("[chains]\n"), Just("voltage = -1\n"),
                Just("99999999999999999999\n"), Just("{"), Just("}"), Just("["), Just("]"), Just("'''"),
                Just("listen = \"off\"\n"), Just("é"), Just("hosts = ["), Just("a.b.c = "), Just("\n"),
            ],
            0..24,
        )
    ) {
        let _ = parse(&pieces.concat());
    }

    #[test]
    fn no_variable_and_no_flag_makes_the_parser_panic(
        name in "CGMINER_[A-Z0-9_]{0,30}", value in "\\PC{0,40}", flag in "[a-z\\[\\]0-9.=]{0,30}",
    ) {
        let sources = Sources {
            files: Vec::new(), environment: vec![(name, value)], flags: vec![flag],
        };
        let _ = sources.load();
    }
}

fn alert_target() -> AlertTargetSection {
    AlertTargetSection {
        name: "chat".into(),
        url: TargetUrl::try_from("https://a/b".to_owned()).unwrap(),
        user: String::new(),
        password: Secret::default(),
        ca_file: None,
        tls_pin: None,
        minimum: AlertLevel::Warning,
        report: false,
        qos: 1,
    }
}

fn token() -> TokenSection {
    TokenSection {
        name: "phone".into(),
        role: Role::Viewer,
        sha256: Secret::new(hash("a token")),
    }
}

#[test]
fn tokens_have_names_of_their_own_and_real_hashes() {
    let entry = |name: &str, hash: &str| {
        format!("[[token]]\nname = \"{name}\"\nrole = \"viewer\"\nsha256 = \"{hash}\"\n")
    };
    let good = entry("phone", &hash("a token"));
    assert_eq!(parse(&good).unwrap().config.token, [token()]);
    assert!(error_of(&format!("{good}{good}")).contains("used twice"));
    assert!(error_of(&entry("phone", "a token")).contains("token[0].sha256: is no hash"));
    assert!(error_of(&entry("a b", &hash("x"))).contains("is no name"));
    assert!(error_of(&good.replace("viewer", "root")).contains("token[0].role"));
    assert!(error_of(&good.repeat(33)).contains("33 tokens"));
}

const DOCUMENT: &str = include_str!("../../docs/configuration.md");

/// The rows of the document's tables: field, value, default, meaning.
fn documented_fields() -> Vec<Vec<&'static str>> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect()
    })
    .collect()
}

#[test]
fn every_field_is_documented_and_no_other() {
    let mut documented: Vec<String> = documented_fields()
        .iter()
        .map(|row| row[0].to_owned())
        .collect();
    let mut fields: Vec<String> = FIELDS
        .iter()
        .map(|field| format!("{}.{}", field.section, field.name))
        .collect();
    documented.sort();
    fields.sort();
    assert_eq!(documented, fields);
}

#[test]
fn every_documented_example_is_taken() {
    let examples: Vec<&str> = DOCUMENT
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(
        examples.len(),
        14,
        "one for each section, and the minimal one"
    );
    for example in examples {
        if let Err(error) = parse(example) {
            panic!("{example}\n{error}");
        }
    }
}

#[test]
fn the_documented_defaults_are_the_built_in_ones() {
    let pool = PoolSection::stratum("a:1".parse().unwrap(), "");
    let defaults = Config {
        pool: vec![pool],
        token: vec![token()],
        alert_target: vec![alert_target()],
        ..Config::default()
    };
    let mut value = serde_json::to_value(&defaults).unwrap();
    value["pool"][0]["password"] = PoolSection::stratum("a:1".parse().unwrap(), "")
        .password
        .expose()
        .into();
    value["alert_target"][0]["password"] = "".into();
    value["pool"][0]["proxy_password"] = defaults.pool[0].proxy_password.expose().into();
    for row in documented_fields() {
        let (section, name) = row[0].split_once('.').unwrap();
        let table = value[section].get(0).unwrap_or(&value[section]);
        match row[2] {
            "must be given" => assert!(
                row[0] == "pool.url"
                    || section == "token"
                    || matches!(row[0], "alert_target.name" | "alert_target.url")
            ),
            "none" | "the board's" | "the address" => assert!(table[name].is_null(), "{}", row[0]),
            "empty" => assert_eq!(table[name], "", "{}", row[0]),
            written => {
                let written: serde_json::Value = serde_json::from_str(written).unwrap();
                assert_eq!(table[name], written, "{}", row[0]);
            }
        }
    }
}

#[test]
fn what_is_said_of_tls_needs_a_pool_over_tls_and_is_said_once() {
    let pin = "ab".repeat(32);
    let pool = |url: &str, more: &str| format!("[[pool]]\nurl = \"{url}\"\nuser = \"a\"\n{more}\n");
    let good = pool(
        "stratum+tls://pool.example.com:443",
        &format!("tls_pin = \"{pin}\""),
    );
    let config = parse(&good).unwrap().config;
    assert_eq!(config.pool[0].tls_pin.unwrap().to_string(), pin);
    for (text, words) in [
        (
            pool("pool.example.com:3333", "ca_file = \"/etc/ca.pem\""),
            "means nothing without TLS",
        ),
        (
            pool(
                "stratum+tls://pool.example.com:443",
                &format!("tls_pin = \"{pin}\"\nca_file = \"/etc/ca.pem\""),
            ),
            "are both set",
        ),
        (
            pool("stratum+tls://pool.example.com:443", "tls_pin = \"abc\""),
            "64 hexadecimal digits",
        ),
    ] {
        let error = error_of(&text);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_proxy_has_an_address_of_its_own_and_its_user_needs_it() {
    let pool =
        |more: &str| format!("[[pool]]\nurl = \"poolpoolpool.onion:3333\"\nuser = \"a\"\n{more}\n");
    let good =
        "proxy = \"socks5://127.0.0.1:9050\"\nproxy_user = \"b\"\nproxy_password = \"hidden\"";
    let config = parse(&pool(good)).unwrap().config;
    let proxy = config.pool[0].proxy.as_ref().unwrap();
    assert_eq!(proxy.to_string(), "socks5://127.0.0.1:9050");
    assert!(!config.text().unwrap().contains("hidden"));
    for (more, words) in [
        ("", "reached through Tor alone"),
        ("proxy = \"127.0.0.1:9050\"", "is no proxy address"),
        (
            "proxy = \"socks5://b:hidden@127.0.0.1:9050\"",
            "user or password",
        ),
        (
            "proxy = \"http://127.0.0.1:1\"\nproxy_password = \"hidden\"",
            "means nothing without `proxy_user`",
        ),
    ] {
        let error = error_of(&pool(more));
        assert!(
            error.contains(words) && !error.contains(" hidden"),
            "{error}"
        );
    }
    let error = error_of("[[pool]]\nurl = \"a:1\"\nuser = \"a\"\nproxy_user = \"b\"\n");
    assert!(error.contains("means nothing without `proxy`"), "{error}");
    let error = error_of("[[pool]]\nurl = \"http://a:1\"\nproxy = \"socks5://b:1\"\n");
    assert!(error.contains("for pools only"), "{error}");
}

#[test]
fn what_outlives_a_reboot_lies_apart_from_the_miners_directory() {
    let of = |state: &str| format!("[keeper]\nstate_directory = \"{state}\"\n");
    for good in ["/data/keeper", "/run/cgminer-rs-keeper", "/run/./x"] {
        assert!(parse(&of(good)).is_ok(), "{good}");
    }
    for (bad, why) in [
        ("/run/cgminer-rs", "is not apart"),
        ("/run/cgminer-rs/", "is not apart"),
        ("/run/cgminer-rs/keeper", "is not apart"),
        ("/run", "is not apart"),
        ("/", "is not apart"),
        ("/data/../run/cgminer-rs", "is no plain path"),
        ("keeper", "is no plain path"),
        ("", "is no plain path"),
    ] {
        let error = error_of(&of(bad));
        assert!(
            error.contains("keeper.state_directory") && error.contains(why),
            "{bad}: {error}"
        );
    }
    let winding = format!(
        "{}[api]\nrun_directory = \"/data/x/../keeper\"\n",
        of("/data/keeper")
    );
    assert!(error_of(&winding).contains("is not apart"));
}
