//! Replies held to genuine ones, command by command, in both forms: members, their order, types and digits.

use super::tests::answer;
use crate::telemetry::SnapshotSource;
use crate::telemetry::samples::Rooms;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// Replies of cgminer 4.11.1 (github.com/ckolivas/cgminer, commit b8491c66) on a machine with two pools and no devices.
const JSON: &str = include_str!("../../../tests/data/cgminer_api_replies.jsonl");
/// The same in text.
const TEXT: &str = include_str!("../../../tests/data/cgminer_api_text_replies.jsonl");
/// Members of what tells of devices, which the captured machine had none of.
const DEVICES: &str = include_str!("../../../tests/data/cgminer_api_device_members.json");

/// What is unknown on a machine at work, and why.
const UNKNOWN: [(&str, &str, &str); 5] = [
    (
        "notify",
        "*Dev Sick Idle 60s",
        "failures are counted all together, in `stats`",
    ),
    (
        "notify",
        "*Dev Dead Idle 600s",
        "failures are counted all together, in `stats`",
    ),
    (
        "notify",
        "*Dev Nostart",
        "failures are counted all together, in `stats`",
    ),
    (
        "notify",
        "*Dev Over Heat",
        "heat is judged for the machine as a whole",
    ),
    (
        "notify",
        "*Dev Thermal Cutoff",
        "heat is judged for the machine as a whole",
    ),
];
/// The same.
const UNKNOWN_THROTTLE: (&str, &str, &str) = (
    "notify",
    "*Dev Throttle",
    "the throttle is one for the machine as a whole",
);

const READS: [&str; 12] = [
    "version",
    "config",
    "summary",
    "pools",
    "stats",
    "coin",
    "lcd",
    "asccount",
    "pgacount",
    "check",
    "usbstats",
    "privileged",
];

/// One reply taken apart: sections of objects, an object being names and the texts of their values.
type Sections = Vec<(String, Vec<(String, String)>)>;

/// A machine that has worked for some seconds.
async fn at_work() -> (SnapshotSource, Rooms) {
    let (source, rooms) = Rooms::at_work();
    tokio::spawn(source.clone().record());
    for _ in 0..5 {
        rooms.chain.send_modify(|chain| {
            chain.counters.nonces += 10;
            chain.counters.hashes += 1e11;
        });
        rooms.all_speak();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    (source, rooms)
}

/// Objects of a JSON reply, with the digits of their numbers. Nothing but what cgminer writes is understood.
fn json_sections(reply: &str) -> Sections {
    let mut sections = Vec::new();
    let mut rest = reply.strip_prefix('{').unwrap();
    while let Some(behind) = rest.strip_prefix('"') {
        let (name, behind) = behind.split_once("\":").unwrap();
        let Some(mut list) = behind.strip_prefix('[') else {
            assert_eq!((name, behind), ("id", "1}"), "{reply}");
            return sections;
        };
        while let Some(mut object) = list.strip_prefix('{') {
            let mut members = Vec::new();
            loop {
                let (member, behind) = object[1..].split_once("\":").unwrap();
                let length = value_length(behind);
                members.push((member.to_owned(), behind[..length].to_owned()));
                let end = &behind[length..];
                object = &end[1..];
                if end.starts_with('}') {
                    break;
                }
            }
            sections.push((name.to_owned(), members));
            list = object.strip_prefix(',').unwrap_or(object);
        }
        rest = list.strip_prefix("],").unwrap();
    }
    panic!("no id ends {reply}");
}

fn value_length(text: &str) -> usize {
    let Some(quoted) = text.strip_prefix('"') else {
        return text.find([',', '}']).unwrap();
    };
    let mut escaped = false;
    let end = quoted.find(|letter| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    });
    end.unwrap() + 2
}

/// Objects of a text reply; an object that begins with its number has no name of its own.
fn text_sections(reply: &str) -> Sections {
    let object = |object: &str| {
        let mut members: Vec<(String, String)> = Vec::new();
        let mut name = String::new();
        for (at, member) in object.split(',').enumerate() {
            match member.split_once('=') {
                Some((member, value)) => members.push((member.into(), value.into())),
                None if at == 0 => name = member.into(),
                None => members.last_mut().unwrap().1.push_str(member),
            }
        }
        (name, members)
    };
    let objects = reply.strip_suffix('|').unwrap().split('|');
    objects.map(object).collect()
}

/// What a value looks like: digits as one 0, but as many behind a point as there are.
fn form(value: &str) -> String {
    let bare = value.trim_matches('"');
    let number = bare.strip_prefix('-').unwrap_or(bare);
    // A hash may be of digits alone.
    if value.starts_with('"') || bare.len() == 64 {
        return "text".into();
    }
    match number {
        "null" | "" => "unknown".into(),
        "true" | "false" => "truth".into(),
        _ if number.parse::<f64>().is_err() => "text".into(),
        _ => match number.split_once('.') {
            Some((_, digits)) => format!("0.{}", "0".repeat(digits.len())),
            None => "0".into(),
        },
    }
}

fn form_of_type(name: &str) -> &'static str {
    match name {
        "string" => "text",
        "temp" | "mhs" | "utility" => "0.00",
        "mhtotal" | "percent" => "0.0000",
        "diff" => "0.00000000",
        "timeval" => "0.000000",
        "bool" => "truth",
        "int" | "int64" | "uint32" | "time" | "elapsed" => "0",
        other => panic!("{other}"),
    }
}

/// Compares an object with a genuine one. Gives the names of what is unknown.
fn compare(command: &str, ours: &[(String, String)], theirs: &[(String, String)]) -> Vec<String> {
    let names = |members: &[(String, String)]| -> Vec<String> {
        members.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(ours), names(theirs), "{command}");
    let mut unknown = Vec::new();
    for ((name, ours), (_, theirs)) in ours.iter().zip(theirs) {
        match (form(ours).as_str(), form(theirs).as_str()) {
            ("unknown", "text" | "unknown") | ("text", "unknown") => {}
            ("unknown", _) => unknown.push(name.clone()),
            // cgminer writes a number or "None".
            ("text", "0") if name == "Hotplug" => {}
            // Names and addresses may look like anything.
            ("text" | "0" | "0.0" | "0.00" | "0.000", "text") | ("text", "0.0" | "0.000")
                if ["User", "Description", "CGMiner", "API", "Stratum URL", "ID"]
                    .contains(&name.as_str()) => {}
            (ours, theirs) => assert_eq!(ours, theirs, "{command} {name}"),
        }
    }
    unknown
}

/// Objects of chains, which the captured machine had none of, are left out.
fn without_chains(sections: Sections) -> Sections {
    let of_a_chain = |members: &[(String, String)]| {
        let id = members.iter().find(|(name, _)| name == "ID");
        members[0].0 == "STATS" && !id.unwrap().1.contains("POOL")
    };
    let kept = sections.into_iter();
    kept.filter(|(_, members)| !of_a_chain(members)).collect()
}

fn known_unknown(command: &str) -> BTreeSet<String> {
    let all = UNKNOWN.iter().chain([&UNKNOWN_THROTTLE]);
    all.filter(|(of, _, reason)| *of == command && !reason.is_empty())
        .map(|(_, member, _)| (*member).to_owned())
        .collect()
}

fn check_captured(
    captured: &str,
    source: &SnapshotSource,
    take_apart: impl Fn(&str) -> Sections,
) -> BTreeSet<String> {
    let mut compared = BTreeSet::new();
    for line in captured.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let request = match &line["request"] {
            Value::String(text) => text.clone(),
            json => json.to_string(),
        };
        let json: Value = serde_json::from_str(&request).unwrap_or_default();
        let bare = request.split('|').next().unwrap();
        let command = json["command"].as_str().unwrap_or(bare);
        // `privileged` is denied to who may only read, in other words.
        if !READS.contains(&command) || command == "privileged" {
            continue;
        }
        let theirs = line["reply"].as_str().unwrap().trim_end_matches('\0');
        let theirs = take_apart(theirs);
        let ours = without_chains(take_apart(&answer(request.as_bytes(), source)));
        let mut unknown = BTreeSet::new();
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours.0, theirs.0, "{command}");
            unknown.extend(compare(command, &ours.1, &theirs.1));
        }
        assert!(ours.len() >= 2 || theirs.len() == 1, "{command}");
        assert_eq!(unknown, known_unknown(command), "{command}");
        compared.insert(command.to_owned());
    }
    compared
}

#[tokio::test(start_paused = true)]
async fn json_replies_are_like_genuine_ones() {
    let (source, _rooms) = at_work().await;
    let compared = check_captured(JSON, &source, json_sections);
    assert!(compared.len() >= 11, "{compared:?}");
}

#[tokio::test(start_paused = true)]
async fn text_replies_are_like_genuine_ones() {
    let (source, _rooms) = at_work().await;
    let compared = check_captured(TEXT, &source, text_sections);
    assert!(compared.len() >= 10, "{compared:?}");
}

#[tokio::test(start_paused = true)]
async fn devices_have_the_members_of_cgminers_source() {
    let (source, _rooms) = at_work().await;
    let members: Value = serde_json::from_str(DEVICES).unwrap();
    for command in ["devs", "asc", "devdetails", "notify", "stats"] {
        let json = format!("{{\"command\":\"{command}\",\"parameter\":0}}");
        let in_json = json_sections(&answer(json.as_bytes(), &source));
        let in_text = text_sections(&answer(format!("{command}|0").as_bytes(), &source));
        let wanted = members[command].as_array().unwrap();
        for sections in [in_json, in_text] {
            let ours = &sections[1].1;
            let mut unknown = BTreeSet::new();
            for (at, wanted) in wanted.iter().enumerate() {
                let (name, value) = &ours[at];
                assert_eq!(name, wanted[0].as_str().unwrap(), "{command}");
                let kind = wanted[1].as_str().unwrap();
                match (form(value), form_of_type(kind)) {
                    // In text an empty text looks like an unknown number.
                    (ours, "text") if ours == "unknown" => {}
                    (ours, _) if ours == "unknown" => {
                        unknown.insert(name.clone());
                    }
                    (ours, theirs) => assert_eq!(ours, theirs, "{command} {name}"),
                }
            }
            assert_eq!(unknown, known_unknown(command), "{command}");
            // What a driver adds stands behind, in `stats` alone.
            assert!(ours.len() == wanted.len() || command == "stats");
        }
    }
}
