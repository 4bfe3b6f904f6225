use super::fit::{bodies, body_schema, document, misfits};
use crate::api::access::{Access, Caller};
use crate::api::gateway::{LIVE_PATH, UPLOAD_PATH};
use crate::api::routes::{READS, all, answer as route, order_of};
use crate::api::writes::ORDERS;
use crate::telemetry::samples::Rooms;
use serde_json::Value;
use std::collections::BTreeSet;

fn schema_of<'a>(document: &'a Value, path: &str, status: &str) -> Option<&'a Value> {
    let response = &document["paths"][path]["get"]["responses"][status];
    response["content"]["application/json"].get("schema")
}

#[test]
fn every_path_is_described_with_its_role_and_no_other() {
    let document = document();
    for route in all() {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        let open = operation["security"]
            .as_array()
            .is_none_or(|ways| ways.iter().any(|way| way == &serde_json::json!({})));
        let nobody = Caller {
            name: String::new(),
            role: None,
            token: None,
        };
        let access = Access {
            read_without_token: true,
            ..Access::default()
        };
        let let_in = route
            .need()
            .is_none_or(|need| access.allow(&nobody, need).is_ok());
        assert_eq!(open, let_in, "{} {}", route.method, route.path);
    }
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let role = operation["x-role"].as_str().unwrap_or("none");
            described.insert(format!("{} {path} {role}", method.to_uppercase()));
        }
    }
    let routes = all().map(|route| {
        let role = route.needs.map_or("none".into(), |role| {
            serde_json::to_value(role)
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned()
        });
        format!("{} {} {role}", route.method, route.path)
    });
    let streams = [
        format!("GET {LIVE_PATH} viewer"),
        format!("POST {UPLOAD_PATH} admin"),
    ];
    let answered: BTreeSet<_> = routes.chain(streams).collect();
    assert_eq!(described, answered);
}

#[test]
fn every_path_stands_in_the_text_for_people() {
    let text = include_str!("../../../docs/api.md");
    for route in all() {
        let row = format!("| `{} {}` |", route.method, route.path);
        assert!(text.contains(&row), "{row}");
    }
    assert!(text.contains(&format!("| `GET {LIVE_PATH}` |")));
    assert!(text.contains(&format!("| `POST {UPLOAD_PATH}` |")));
}

#[test]
fn what_is_told_of_updates_is_as_described() {
    use crate::updates::{Job, JobState, Status};
    let image = |trial: Value, last: Value| {
        serde_json::json!({
            "version": "1.4.2",
            "slots": [{"name": "A", "device": "/dev/mmcblk0p2", "running": true, "good": true}],
            "trial": trial,
            "last": last,
        })
    };
    let trial = serde_json::json!({"slot": "B", "from": "A", "version": "1.4.2"});
    let last = serde_json::json!({"version": "1.4.1", "confirmed": true, "reason": "it hashed"});
    let job = |state, per_cent| {
        Some(Job {
            state,
            per_cent,
            line: " 82% Copying".into(),
        })
    };
    for (image, job) in [
        (Value::Null, None),
        (
            image(trial, Value::Null),
            job(JobState::Installing, Some(82)),
        ),
        (image(Value::Null, last), job(JobState::Failed, None)),
    ] {
        let status = Status {
            available: !image.is_null(),
            reason: image.is_null().then(|| "no image".into()),
            image,
            job,
        };
        let value = serde_json::to_value(status).unwrap();
        let wrong = super::fit::misfits_of_answer("GET", "/api/v1/firmware", &value);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_as_described() {
    let document = document();
    for (source, rooms) in [Rooms::at_work(), Rooms::silent()] {
        let task = tokio::spawn(source.clone().record());
        rooms.all_speak();
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        for described in READS {
            let path = described.path;
            let answer = route("GET", &path.replace("{index}", "0"), &source);
            let status = answer.status.to_string();
            let Some(schema) = schema_of(&document, path, &status) else {
                assert!(path.ends_with("/metrics") && answer.status == 200, "{path}");
                continue;
            };
            let value = serde_json::from_slice(&answer.body).unwrap();
            let wrong = misfits(&document, schema, &value, path);
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        }
        task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_is_as_described() {
    let document = document();
    let (source, _rooms) = Rooms::at_work();
    let schema = schema_of(&document, "/api/v1/status", "default").unwrap();
    for (method, target, status) in [
        ("GET", "/nowhere", 404),
        ("POST", "/api/v1/status", 405),
        ("GET", "/api/v1/devices/7", 404),
        ("GET", "/api/v1/devices/x", 404),
        ("GET", "/api/v1/devices/", 404),
        ("GET", "/api/v1/devices/0/x", 404),
        ("GET", "/api/v1/chips?chain=9", 404),
        ("GET", "/api/v1/events?after=-1", 400),
        ("GET", "/api/v1/logs?level=loud", 400),
    ] {
        let answer = route(method, target, &source);
        assert_eq!(answer.status, status, "{target}");
        let value = serde_json::from_slice(&answer.body).unwrap();
        let wrong = misfits(&document, schema, &value, target);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn every_body_that_is_described_is_taken_and_no_other() {
    let document = document();
    for route in ORDERS {
        let (method, path) = (route.method, route.path);
        let asked = path.replace("{index}", "0").replace("{name}", "phone");
        let order = |body: &str| order_of(method, &asked, body.as_bytes()).unwrap();
        let Some(schema) = body_schema(&document, method, path) else {
            assert!(order("").is_ok(), "{method} {path} takes a body");
            continue;
        };
        let required = &document["paths"][path][method.to_lowercase()]["requestBody"]["required"];
        assert_eq!(required, true, "{method} {path}");
        assert!(order("").is_err(), "{method} {path} takes no body");
        let takes_more = schema["additionalProperties"] != false;
        assert_eq!(takes_more, is_open(path), "{method} {path}");
        for body in bodies(&document, schema) {
            let taken = order(&body.to_string());
            assert!(taken.is_ok(), "{method} {path} {body}: {taken:?}");
            let mut more = body;
            more["nobody_knows_this"] = true.into();
            assert_eq!(
                order(&more.to_string()).is_ok(),
                is_open(path),
                "{method} {path} {more}"
            );
        }
    }
}

/// What a backup tells of its origin is for people: anything more may stand there.
fn is_open(path: &str) -> bool {
    path == "/api/v1/restore"
}

#[test]
fn fields_of_a_pool_are_those_of_the_configuration() {
    let document = document();
    for schema in ["NewPool", "PoolChange"] {
        let described: BTreeSet<_> = document["components"]["schemas"][schema]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let kept = crate::api::writes::POOL_FIELDS_KEPT;
        let known = crate::config::FIELDS
            .iter()
            .filter(|field| field.section == "pool" && !kept.contains(&field.name));
        let known: BTreeSet<_> = known.map(|field| field.name.to_owned()).collect();
        assert_eq!(described, known, "{schema}");
    }
}
