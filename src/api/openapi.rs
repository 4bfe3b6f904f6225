//! The interface described for programs; tests hold it to what is really answered.

use super::routes::Answer;

/// The description itself.
pub const DOCUMENT: &str = include_str!("../../docs/openapi.json");

/// `GET /api/v1/openapi.json`.
pub fn answer() -> Answer {
    Answer {
        status: 200,
        content_type: "application/json".into(),
        body: DOCUMENT.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::gateway::LIVE_PATH;
    use crate::api::routes::{READS, all, answer as route};
    use crate::telemetry::samples::Rooms;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    fn schema_of<'a>(document: &'a Value, path: &str, status: &str) -> Option<&'a Value> {
        let response = &document["paths"][path]["get"]["responses"][status];
        response["content"]["application/json"].get("schema")
    }

    /// What of a value does not fit its schema; the few keywords that the document uses.
    fn misfits(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = document.pointer(reference.strip_prefix('#').unwrap());
            return misfits(document, target.expect(reference), value, at);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            let fits = choices
                .iter()
                .any(|choice| misfits(document, choice, value, at).is_empty());
            return if fits {
                Vec::new()
            } else {
                vec![format!("{at}: fits no choice")]
            };
        }
        let is = |name: &Value| match name.as_str().unwrap() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{other}"),
        };
        let mut wrong = Vec::new();
        let fits = match &schema["type"] {
            Value::Array(names) => names.iter().any(is),
            name => is(name),
        };
        if !fits || schema.get("const").is_some_and(|wanted| wanted != value) {
            wrong.push(format!("{at}: {value} is not {}", schema["type"]));
        }
        if let Some(choices) = schema["enum"].as_array() {
            if !choices.contains(value) {
                wrong.push(format!("{at}: {value} is no choice"));
            }
        }
        if let (Some(object), Some(properties)) =
            (value.as_object(), schema["properties"].as_object())
        {
            let members: BTreeSet<_> = object.keys().collect();
            let described: BTreeSet<_> = properties.keys().collect();
            let required = schema["required"].as_array().unwrap().len();
            if members != described || required != described.len() {
                wrong.push(format!(
                    "{at}: {:?}",
                    members.symmetric_difference(&described)
                ));
            }
            for (name, member) in object {
                if let Some(schema) = properties.get(name) {
                    wrong.extend(misfits(document, schema, member, &format!("{at}/{name}")));
                }
            }
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            wrong.extend(misfits(
                document,
                &schema["items"],
                item,
                &format!("{at}/{index}"),
            ));
        }
        wrong
    }

    #[test]
    fn every_path_is_described_with_its_role_and_no_other() {
        let document = document();
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
        let answered: BTreeSet<_> = routes.chain([format!("GET {LIVE_PATH} viewer")]).collect();
        assert_eq!(described, answered);
    }

    #[test]
    fn every_path_stands_in_the_text_for_people() {
        let text = include_str!("../../docs/api.md");
        for route in all() {
            let row = format!("| `{} {}` |", route.method, route.path);
            assert!(text.contains(&row), "{row}");
        }
        assert!(text.contains(&format!("| `GET {LIVE_PATH}` |")));
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
                    assert_eq!((path, answer.status), ("/metrics", 200));
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
}
