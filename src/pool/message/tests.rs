use super::*;
use proptest::prelude::*;

const HASH: &str = "46f99360a6e97256d49f87304f087507a6e24f6b7e2e86bacad8d1e100000000";

/// The parameters of a good notify, with one of them replaced.
fn notify_with(at: usize, value: &str) -> String {
    let hash = format!("\"{HASH}\"");
    let branches = format!("[\"{HASH}\"]");
    let mut params: Vec<String> = [
        "\"job\"",
        &hash,
        "\"0100\"",
        "\"ffff\"",
        &branches,
        "\"20000000\"",
        "\"1705c739\"",
        "\"64495522\"",
        "true",
    ]
    .map(str::to_owned)
    .to_vec();
    params[at] = value.to_owned();
    format!(
        r#"{{"id":null,"method":"mining.notify","params":[{}]}}"#,
        params.join(",")
    )
}

fn call(method: &str, params: &str) -> String {
    format!(r#"{{"id":null,"method":"{method}","params":{params}}}"#)
}

/// Kinds of errors, for the table.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Noise,
    Notify,
    Difficulty,
    Target,
    Extranonce,
    Mask,
    Reconnect,
    Words,
}

fn kind(error: &MessageError) -> Kind {
    match error {
        MessageError::NotJson(_)
        | MessageError::NotAnObject
        | MessageError::NeitherMethodNorReply
        | MessageError::ForeignId(_) => Kind::Noise,
        MessageError::Notify(_) => Kind::Notify,
        MessageError::Difficulty(_) => Kind::Difficulty,
        MessageError::Target(_) => Kind::Target,
        MessageError::Extranonce(_) => Kind::Extranonce,
        MessageError::VersionMask(_) => Kind::Mask,
        MessageError::Reconnect(_) => Kind::Reconnect,
        MessageError::EmptyMessage => Kind::Words,
    }
}

/// Lines that a pool, a proxy or a stranger might send; none of them may be taken for anything
/// else.
pub(in crate::pool) fn malformed_lines() -> Vec<(String, &'static str)> {
    let quoted = |text: &str| format!("\"{text}\"");
    let set = |method: &str, params: &str| call(&format!("mining.{method}"), params);
    let deep = "[".repeat(100_000);
    let rows: Vec<(String, &'static str)> = vec![
        ("{".into(), "noise"),
        ("}".into(), "noise"),
        ("hello".into(), "noise"),
        ("HTTP/1.1 400 Bad Request".into(), "noise"),
        ("\u{0}\u{1}\u{2}".into(), "noise"),
        ("[]".into(), "noise"),
        ("[1,2,3]".into(), "noise"),
        ("null".into(), "noise"),
        ("true".into(), "noise"),
        ("42".into(), "noise"),
        ("\"mining.notify\"".into(), "noise"),
        ("{}".into(), "noise"),
        (r#"{"id":null}"#.into(), "noise"),
        (r#"{"id":1"#.into(), "noise"),
        (r#"{"id":1,}"#.into(), "noise"),
        (r#"{"id":-1,"result":true}"#.into(), "noise"),
        (r#"{"id":1.5,"result":true}"#.into(), "noise"),
        (r#"{"id":"one","result":true}"#.into(), "noise"),
        (r#"{"id":[1],"result":true}"#.into(), "noise"),
        (r#"{"id":null,"result":true}"#.into(), "noise"),
        (r#"{"id":1e99,"result":true}"#.into(), "noise"),
        (r#"{"method":null}"#.into(), "noise"),
        (r#"{"method":["mining.notify"]}"#.into(), "noise"),
        (deep.clone(), "noise"),
        (
            format!(r#"{{"method":"mining.notify","params":{deep}"#),
            "noise",
        ),
        (r#"{"method":"mining.notify"}"#.into(), "notify"),
        (
            r#"{"method":"mining.notify","params":null}"#.into(),
            "notify",
        ),
        (
            r#"{"method":"mining.notify","params":{"job":1}}"#.into(),
            "notify",
        ),
        (set("notify", "[]"), "notify"),
        (
            set(
                "notify",
                r#"["job","00","00","00",[],"20000000","1705c739"]"#,
            ),
            "notify",
        ),
        (notify_with(0, "7"), "notify"),
        (notify_with(0, "null"), "notify"),
        (notify_with(0, "\"\""), "notify"),
        (notify_with(0, &quoted(&"j".repeat(257))), "notify"),
        (notify_with(1, "null"), "notify"),
        (notify_with(1, "\"\""), "notify"),
        (notify_with(1, &quoted(&HASH[1..])), "notify"),
        (notify_with(1, &quoted(&HASH[2..])), "notify"),
        (notify_with(1, &quoted(&format!("{HASH}00"))), "notify"),
        (notify_with(1, &quoted(&HASH.replace('4', "g"))), "notify"),
        (notify_with(2, "\"0\""), "notify"),
        (notify_with(2, "\"0x00\""), "notify"),
        (notify_with(2, "1"), "notify"),
        (notify_with(3, "\"f f \""), "notify"),
        (notify_with(3, "\"\u{fc}\u{fc}\""), "notify"),
        (notify_with(3, "[]"), "notify"),
        (notify_with(4, "null"), "notify"),
        (notify_with(4, "\"\""), "notify"),
        (notify_with(4, "[null]"), "notify"),
        (notify_with(4, "[\"00\"]"), "notify"),
        (
            notify_with(
                4,
                &format!("[{}\"{HASH}\"]", format!("\"{HASH}\",").repeat(24)),
            ),
            "notify",
        ),
        (notify_with(5, "\"2000000\""), "notify"),
        (notify_with(5, "\"200000000\""), "notify"),
        (notify_with(5, "536870912"), "notify"),
        (notify_with(6, "\"\""), "notify"),
        (notify_with(6, "\"00000000\""), "notify"),
        (notify_with(6, "\"ff7fffff\""), "notify"),
        (notify_with(6, "\"1d80ffff\""), "notify"),
        (notify_with(7, "\"-6449552\""), "notify"),
        (notify_with(7, "1682527522"), "notify"),
        (set("set_difficulty", "[]"), "difficulty"),
        (set("set_difficulty", "[0]"), "difficulty"),
        (set("set_difficulty", "[0.0]"), "difficulty"),
        (set("set_difficulty", "[-1]"), "difficulty"),
        (set("set_difficulty", "[\"1024\"]"), "difficulty"),
        (set("set_difficulty", "[null]"), "difficulty"),
        (set("set_difficulty", "[[1]]"), "difficulty"),
        (set("set_difficulty", "{\"difficulty\":1}"), "difficulty"),
        (set("set_difficulty", "[NaN]"), "noise"),
        (set("set_difficulty", "[Infinity]"), "noise"),
        (set("set_difficulty", "[1e400]"), "noise"),
        (set("set_target", "[]"), "target"),
        (set("set_target", "[\"\"]"), "target"),
        (set("set_target", "[\"0x\"]"), "target"),
        (set("set_target", "[\"xyz\"]"), "target"),
        (set("set_target", "[0]"), "target"),
        (
            set("set_target", &format!("[\"{}\"]", "0".repeat(64))),
            "target",
        ),
        (
            set("set_target", &format!("[\"{}\"]", "f".repeat(65))),
            "target",
        ),
        (set("set_extranonce", "[]"), "extranonce"),
        (set("set_extranonce", "[\"00\"]"), "extranonce"),
        (set("set_extranonce", "[\"0\",8]"), "extranonce"),
        (set("set_extranonce", "[\"00\",0]"), "extranonce"),
        (set("set_extranonce", "[\"00\",-8]"), "extranonce"),
        (set("set_extranonce", "[\"00\",17]"), "extranonce"),
        (
            set("set_extranonce", "[\"00\",18446744073709551616]"),
            "extranonce",
        ),
        (set("set_extranonce", "[\"00\",\"8\"]"), "extranonce"),
        (
            set("set_extranonce", &format!("[\"{}\",8]", "00".repeat(33))),
            "extranonce",
        ),
        (set("set_version_mask", "[]"), "mask"),
        (set("set_version_mask", "[\"\"]"), "mask"),
        (set("set_version_mask", "[\"1fffe0000\"]"), "mask"),
        (set("set_version_mask", "[\"+1fffe00\"]"), "mask"),
        (set("set_version_mask", "[536862720]"), "mask"),
        (call("client.reconnect", "[7]"), "reconnect"),
        (call("client.reconnect", "[\"po ol\",1]"), "reconnect"),
        (
            call("client.reconnect", "[\"pool.example.com\",0]"),
            "reconnect",
        ),
        (
            call("client.reconnect", "[\"pool.example.com\",\"x\"]"),
            "reconnect",
        ),
        (
            call("client.reconnect", "[\"pool.example.com\",65536]"),
            "reconnect",
        ),
        (call("client.show_message", "[]"), "words"),
        (call("client.show_message", "[7]"), "words"),
        (call("client.show_message", "[\" \"]"), "words"),
    ];
    rows
}

#[test]
fn every_malformed_line_is_named_for_what_is_wrong_with_it() {
    let rows = malformed_lines();
    assert!(rows.len() >= 60);
    for (line, expected) in rows {
        let error = match Message::parse(line.as_bytes()) {
            Ok(message) => panic!("{line:.200}: taken for {message:?}"),
            Err(error) => error,
        };
        let expected = match expected {
            "noise" => Kind::Noise,
            "notify" => Kind::Notify,
            "difficulty" => Kind::Difficulty,
            "target" => Kind::Target,
            "extranonce" => Kind::Extranonce,
            "mask" => Kind::Mask,
            "reconnect" => Kind::Reconnect,
            _ => Kind::Words,
        };
        assert_eq!(kind(&error), expected, "{line:.200}: {error}");
        assert!(error.to_string().len() < 400, "{line:.200}: {error}");
    }
}

#[test]
fn unusual_lines_that_pools_do_send_are_taken() {
    let parse = |line: &str| {
        Message::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    // public-pool sends the id of suggest_difficulty with set_difficulty.
    let line = r#"{"id":3,"method":"mining.set_difficulty","params":[1000]}"#;
    assert_eq!(
        parse(line),
        Message::SetDifficulty(Difficulty::new(1000.0).unwrap())
    );
    for (number, value) in [
        ("0.001", 0.001),
        ("4.0", 4.0),
        ("1099511627776", 1_099_511_627_776.0),
    ] {
        let line = call("mining.set_difficulty", &format!("[{number}]"));
        assert_eq!(
            parse(&line),
            Message::SetDifficulty(Difficulty::new(value).unwrap())
        );
    }
    let target = call("mining.set_target", "[\"00000000ffff\"]");
    assert_eq!(
        parse(&target),
        Message::SetTarget(Target([0, 0, 0, 0xffff]))
    );
    let nonce = Extranonce {
        extranonce1: [].into(),
        extranonce2_size: 16,
    };
    assert_eq!(
        parse(&call("mining.set_extranonce", "[\"\",16]")),
        Message::SetExtranonce(nonce)
    );
    assert_eq!(
        parse(&call("mining.set_version_mask", "[\"0x2000\"]")),
        Message::SetVersionMask(0x2000)
    );
    assert!(matches!(
        parse(r#"{"id":"9","result":true}"#),
        Message::Reply(Reply { id: 9, .. })
    ));
    assert!(matches!(
        parse(r#"{"id":9.0,"result":true}"#),
        Message::Reply(Reply { id: 9, .. })
    ));
    let Message::Reconnect(reconnect) =
        parse(&call("client.reconnect", r#"["a.b","3334","9999"]"#))
    else {
        panic!("no reconnect")
    };
    assert_eq!((reconnect.port, reconnect.wait), (Some(3334), LONGEST_WAIT));
    let Message::Notify(template) = parse(&notify_with(8, "\"64495522\",false")) else {
        panic!("no notify")
    };
    assert!(
        !template.clean,
        "the last parameter is the flag, whatever stands before it"
    );
    for no_flag in ["null", "\"true\"", "1"] {
        assert!(matches!(parse(&notify_with(8, no_flag)), Message::Notify(t) if !t.clean));
    }
    for branches in [
        "[]".to_owned(),
        format!("[{}\"{HASH}\"]", format!("\"{HASH}\",").repeat(13)),
    ] {
        assert!(matches!(
            parse(&notify_with(4, &branches)),
            Message::Notify(_)
        ));
    }
}

#[test]
fn the_previous_hash_is_turned_into_header_order() {
    let Ok(Message::Notify(template)) = Message::parse(notify_with(8, "true").as_bytes()) else {
        panic!("no notify")
    };
    assert_eq!(
        template.previous_hash[..8],
        [0x60, 0x93, 0xf9, 0x46, 0x56, 0x72, 0xe9, 0xa6]
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Message::parse(&line);
    }

    /// Damage to a good line: bytes replaced, cut off, doubled.
    #[test]
    fn damaged_notifies_are_read_or_refused(
        at in 0usize..9,
        value in "[\"\\[\\]{}0-9a-f,:nulltruefalse.-]{0,40}",
        cut in 0usize..600,
        byte: u8,
    ) {
        let mut line = notify_with(at, &value).into_bytes();
        let _ = Message::parse(&line);
        if let Some(damaged) = line.get_mut(cut) {
            *damaged = byte;
        }
        let _ = Message::parse(&line);
        line.truncate(cut);
        let _ = Message::parse(&line);
    }

    #[test]
    fn any_parameters_of_any_method_are_read_or_refused(
        method in prop::sample::select(vec![
            "mining.notify", "mining.set_difficulty", "mining.set_target", "mining.set_extranonce",
            "mining.set_version_mask", "client.show_message", "client.reconnect", "mining.ping",
        ]),
        params in prop::collection::vec(prop_oneof![
            "-?[0-9]{1,25}", "\"[0-9a-fx]{0,70}\"", "\"\\PC{0,20}\"", Just("null".to_owned()),
            Just("[]".to_owned()), Just("1e308".to_owned()), Just("true".to_owned()),
        ], 0..11),
    ) {
        let line = call(method, &format!("[{}]", params.join(",")));
        if let Ok(Message::SetDifficulty(difficulty)) = Message::parse(line.as_bytes()) {
            prop_assert!(difficulty.value() > 0.0 && difficulty.value().is_finite());
        }
    }
}
