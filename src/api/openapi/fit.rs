//! Values held to the document, for tests of this room and of who carries orders out.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The document as a value.
pub fn document() -> Value {
    serde_json::from_slice(&super::answer().body).unwrap()
}

/// What of an answer of 200 does not fit what the document says of the operation.
pub fn misfits_of_answer(method: &str, path: &str, answer: &Value) -> Vec<String> {
    let document = document();
    let operation = &document["paths"][path][method.to_lowercase()];
    let content = &operation["responses"]["200"]["content"]["application/json"];
    let schema = content
        .get("schema")
        .unwrap_or_else(|| panic!("{method} {path} has no answer"));
    misfits(&document, schema, answer, path)
}

/// Schema of the body that an operation takes.
pub fn body_schema<'a>(document: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let operation = &document["paths"][path][method.to_lowercase()];
    let content = &operation["requestBody"]["content"]["application/json"];
    content
        .get("schema")
        .map(|schema| resolve(document, schema))
}

/// Bodies that a schema of an object allows: all members, those that have to be, and each of the others in turn.
pub fn bodies(document: &Value, schema: &Value) -> Vec<Value> {
    let properties = schema["properties"].as_object().unwrap();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let with = |wanted: &dyn Fn(&str) -> bool| -> Value {
        let members = properties.iter().filter(|(name, _)| wanted(name));
        let members: Map<_, _> = members
            .map(|(name, schema)| (name.clone(), sample(document, schema)))
            .collect();
        members.into()
    };
    let mut bodies = vec![with(&|_| true)];
    if !required.is_empty() {
        bodies.push(with(&|name| required.contains(&name)));
    }
    for one in properties.keys() {
        bodies.push(with(&|name| name == one || required.contains(&name)));
        if properties[one]["type"]
            .as_array()
            .is_some_and(|types| types.contains(&json!("null")))
        {
            let mut body = with(&|name| required.contains(&name));
            body[one] = Value::Null;
            bodies.push(body);
        }
    }
    bodies
}

/// A value that a schema allows, and the configuration takes for the member of that name.
fn sample(document: &Value, schema: &Value) -> Value {
    let schema = resolve(document, schema);
    if let Some(value) = schema.get("const").or(schema["enum"].get(0)) {
        return value.clone();
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let least = schema["minimum"].as_f64().unwrap_or(0.0).max(1.0);
    match types.first().and_then(Value::as_str) {
        Some("string") => json!("text"),
        Some("boolean") => json!(true),
        Some("array") => json!([sample(document, &schema["items"])]),
        Some("integer") => json!(least as u64),
        Some("number") => json!(least),
        other => panic!("no sample of {other:?}"),
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => {
            let target = document.pointer(reference.strip_prefix('#').unwrap());
            resolve(document, target.expect(reference))
        }
        None => schema,
    }
}

/// What of a value does not fit its schema; the few keywords that the document uses.
pub fn misfits(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
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
    if let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object())
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
