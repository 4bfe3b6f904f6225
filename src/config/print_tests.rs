//! What is printed of a configuration can be read back.
use super::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// Lines of one section, those that are left out being empty.
type Lines = BoxedStrategy<Vec<String>>;

fn line(name: &'static str, value: impl Strategy<Value = toml::Value> + 'static) -> Lines {
    of(value)
        .prop_map(move |value| {
            value
                .iter()
                .map(|value| format!("{name} = {value}"))
                .collect()
        })
        .boxed()
}

fn text(name: &'static str, pattern: &'static str) -> Lines {
    line(name, pattern.prop_map(toml::Value::from))
}

fn one_of(name: &'static str, texts: &'static [&'static str]) -> Lines {
    line(name, select(texts).prop_map(toml::Value::from))
}

fn number(name: &'static str, range: std::ops::RangeInclusive<i64>) -> Lines {
    line(name, range.prop_map(toml::Value::from))
}

fn real(name: &'static str, range: std::ops::RangeInclusive<f32>) -> Lines {
    line(
        name,
        range.prop_map(|value| toml::Value::from(f64::from(value))),
    )
}

fn yes_or_no(name: &'static str) -> Lines {
    line(name, any::<bool>().prop_map(toml::Value::from))
}

/// A line that is there whatever happens.
fn fixed(line: &'static str) -> Lines {
    Just(vec![line.to_owned()]).boxed()
}

fn section(head: &'static str, parts: Vec<Lines>) -> BoxedStrategy<String> {
    parts
        .prop_map(move |parts| format!("{head}\n{}\n", parts.concat().join("\n")))
        .boxed()
}

const ANY: &str = "[ -~é§\u{2028}\u{1f600}]{0,12}";
const PIN: &str = "[0-9a-f]{64}";

fn pool() -> BoxedStrategy<String> {
    let common = || {
        vec![
            text("password", ANY),
            yes_or_no("enabled"),
            number("quota", 0..=i64::from(u32::MAX)),
            number("group", 0..=255),
            line(
                "suggest_difficulty",
                (1e-300..1e300).prop_map(toml::Value::from),
            ),
            yes_or_no("version_rolling"),
        ]
    };
    let pool = |url, more: Vec<Lines>| {
        section(
            "[[pool]]",
            [vec![fixed(url), fixed("user = 'a.\"b\\c'")], common(), more].concat(),
        )
    };
    let through = |url, secret: bool| {
        let proxy = vec![
            fixed("proxy = \"socks5://[2001:db8::1]:9050\""),
            fixed("proxy_user = \"p\""),
            if secret {
                text("proxy_password", ANY)
            } else {
                fixed("")
            },
        ];
        pool(url, proxy)
    };
    prop_oneof![
        pool(
            "url = \"stratum+tcp://a.example:1\"",
            vec![
                yes_or_no("extranonce_subscribe"),
                fixed("proxy_password = \"\"")
            ]
        ),
        pool(
            "url = \"b.example:3333\"",
            vec![one_of("proxy", &["http://c:1", "socks5://c:2"])]
        ),
        pool(
            "url = \"stratum+ssl://[::1]:1\"",
            vec![text("ca_file", "/[ -~]{1,9}")]
        ),
        pool("url = \"stratum+tls://a:1\"", vec![text("tls_pin", PIN)]),
        pool(
            "url = \"stratum2+tcp://a:1/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72\"",
            vec![one_of("sv2_channel", &["standard", "extended"])]
        ),
        through("url = \"a.onion:1\"", true),
        through("url = \"stratum+tcp://a:1\"", false),
        pool(
            "url = \"http://n:8332\"",
            vec![fixed("payout_address = \"bc1q\"")]
        ),
        section(
            "[[pool]]",
            vec![
                fixed("url = \"http://n:8332\"\npayout_address = \"x\"\ncookie_file = \"/c\""),
                text("password", ANY),
            ]
        ),
    ]
    .boxed()
}

fn target() -> BoxedStrategy<String> {
    let target = |url: BoxedStrategy<String>, more: Vec<Lines>| {
        let url = url.prop_map(|url| vec![format!("url = {}", toml::Value::from(url))]);
        let common = vec![
            url.boxed(),
            one_of("minimum", &["info", "warning", "error"]),
            yes_or_no("report"),
            number("qos", 0..=1),
        ];
        section("", [common, more].concat())
    };
    let known = || vec![text("user", ANY), text("password", ANY)];
    prop_oneof![
        target("https?://h(:9)?(/[!-~]{0,9})?".boxed(), known()),
        target("mqtt://[a-z]{1,5}(/[!-\"$-*,-~]{0,9})?".boxed(), known()),
        target(
            "https://\\[::1\\](/[!-~]{0,9})?".boxed(),
            vec![text("tls_pin", PIN)]
        ),
        target(
            "syslog(\\+udp|\\+tcp)?://h(:7)?/?".boxed(),
            vec![fixed("password = \"\"")]
        ),
        target(
            "(mqtts|syslog\\+tls)://h".boxed(),
            vec![text("ca_file", "/[ -~]{0,9}")]
        ),
    ]
    .boxed()
}

fn rest() -> BoxedStrategy<String> {
    (
        section(
            "",
            vec![fixed(""), line("schema", Just(toml::Value::from(1)))],
        ),
        prop_oneof![
            section("[board]", vec![text("name", ANY)]),
            section(
                "[board]",
                vec![fixed("file = \"/b\""), yes_or_no("ignore_model")]
            ),
        ],
        section(
            "[chains]",
            vec![
                real("frequency", 25.0..=1500.0),
                number("voltage", 1000..=25_000),
            ],
        ),
        section(
            "[cooling]",
            vec![
                one_of("mode", &["automatic", "immersion"]),
                real("target", 41.0..=79.0),
                real("duty", 10.0..=100.0),
                number("minimum_fans", 0..=255),
            ],
        ),
        section(
            "[api]",
            vec![
                one_of("listen", &["off", "0.0.0.0:80", "[::1]:8080"]),
                one_of("run_directory", &["/run/x", "/tmp/a b"]),
                line(
                    "hosts",
                    vec("[a-z0-9.-]{1,9}", 0..3).prop_map(toml::Value::from),
                ),
                fixed("tls_certificate = \"/c\"\ntls_key = \"/k\""),
                number("maximum_connections", 1..=4096),
                yes_or_no("mdns"),
            ],
        ),
        section(
            "[rpc]",
            vec![line(
                "writers",
                Just(vec!["192.0.2.0/24", "::1"]).prop_map(toml::Value::from),
            )],
        ),
        section("[fleet]", vec![yes_or_no("enabled"), text("model", ANY)]),
        section(
            "[log]",
            vec![
                one_of("level", &["off", "info,cgminer_rs::pool=debug"]),
                one_of("format", &["text", "json"]),
                one_of("syslog", &["log.example:514", "[2001:db8::5]:6514"]),
                number("flight_recorder", 16..=4096),
            ],
        ),
        section(
            "[alerts]",
            vec![
                real("temperature", 40.0..=120.0),
                number("hold", 0..=3600),
                one_of("report", &["off", "07:30"]),
            ],
        ),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i)| [a, b, c, d, e, f, g, h, i].concat())
        .boxed()
}

fn tokens() -> BoxedStrategy<String> {
    vec((select(&["viewer", "operator", "admin"][..]), PIN), 0..3)
        .prop_map(|tokens| {
            let tokens = tokens.iter().enumerate();
            let token = tokens.map(|(index, (role, hash))| {
                format!("[[token]]\nname = \"t{index}\"\nrole = \"{role}\"\nsha256 = \"{hash}\"\n")
            });
            token.collect()
        })
        .boxed()
}

fn configuration() -> impl Strategy<Value = String> {
    (rest(), vec(pool(), 0..4), tokens(), vec(target(), 0..4)).prop_map(
        |(rest, pools, tokens, targets)| {
            let targets = targets.iter().enumerate();
            let targets: String = targets
                .map(|(index, target)| format!("[[alert_target]]\nname = \"a{index}\"\n{target}"))
                .collect::<Vec<_>>()
                .concat();
            format!("{rest}{}{tokens}{targets}", pools.concat())
        },
    )
}

/// With nothing in the place of each secret.
fn bare(mut config: Config) -> Config {
    for pool in &mut config.pool {
        pool.password = Secret::default();
        pool.proxy_password = Secret::default();
    }
    for token in &mut config.token {
        token.sha256 = Secret::default();
    }
    for target in &mut config.alert_target {
        target.password = Secret::default();
        target.url = TargetUrl::try_from(target.url.without_path()).unwrap();
    }
    config
}

proptest! {
    #[test]
    fn what_is_printed_can_be_read_back_and_lacks_the_secrets_alone(text in configuration()) {
        let config = parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?.config;
        let printed = config.text().unwrap();
        let again = parse(&printed).map_err(|error| TestCaseError::fail(format!("{error}\n{printed}")))?.config;
        prop_assert_eq!(bare(again), bare(config));
    }
}

const SECRETS: &str = "[[pool]]\nurl = \"a:1\"\nuser = \"u\"\npassword = \"hidden\"\n\
                       [[pool]]\nurl = \"http://n:1\"\npayout_address = \"x\"\ncookie_file = \"/c\"\npassword = \"\"\n\
                       [[token]]\nname = \"t\"\nrole = \"admin\"\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n\
                       [[alert_target]]\nname = \"chat\"\nurl = \"https://hooks.example/hidden\"\n\
                       [[alert_target]]\nname = \"log\"\nurl = \"syslog://log.example\"\n";

#[test]
fn a_configuration_made_of_a_print_tells_which_secrets_it_lacks() {
    let config = parse(SECRETS).unwrap().config;
    assert_eq!(config.left_out(), [""; 0]);
    let printed = config.text().unwrap();
    assert!(!printed.contains("hidden"), "{printed}");
    assert!(
        printed.contains("url = \"https://hooks.example:443/<redacted>\""),
        "{printed}"
    );
    assert!(
        printed.contains("url = \"syslog+udp://log.example:514\""),
        "{printed}"
    );
    let again = parse(&printed).unwrap().config;
    let lacks = ["pool[0].password", "token[0].sha256", "alert_target[0].url"];
    assert_eq!(again.left_out(), lacks);
    // Nobody gets in by a hash that is none.
    let text = |token: &TokenSection| token.has_hash(&hash(REDACTED)) || token.has_hash("");
    assert!(!again.token.iter().any(text));
}
