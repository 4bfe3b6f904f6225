//! What a request asks to be changed: paths and bodies as [`Order`]s. Nothing is done here.

use super::failure::Failure;
use super::orders::{Fields, Order};
use super::routes::{Asked, Route, order};
use crate::config::{FIELDS, Role};
use cgminer_hal::units::Megahertz;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Fields of a pool that cannot be set from outside: paths on this machine. Whoever could name a cookie file could have
/// any file sent to a node of their own.
pub const POOL_FIELDS_KEPT: [&str; 2] = ["ca_file", "cookie_file"];
/// Fields of `[cooling]` that can be set from outside.
const FAN_FIELDS: [&str; 3] = ["mode", "duty", "target"];

/// Every path that changes something, or that reads what only the one who changes it knows.
pub const ORDERS: &[Route] = &[
    order("POST", "/api/v1/control/start", Role::Operator, |_| {
        Ok(Order::Start)
    }),
    order("POST", "/api/v1/control/stop", Role::Operator, |_| {
        Ok(Order::Stop)
    }),
    order("POST", "/api/v1/control/pause", Role::Operator, |_| {
        Ok(Order::Pause)
    }),
    order("POST", "/api/v1/control/resume", Role::Operator, |_| {
        Ok(Order::Resume)
    }),
    order("POST", "/api/v1/control/restart", Role::Operator, |_| {
        Ok(Order::Restart)
    }),
    order("POST", "/api/v1/control/clear-latch", Role::Admin, |_| {
        Ok(Order::ClearLatch)
    }),
    order(
        "POST",
        "/api/v1/devices/{index}/restart",
        Role::Operator,
        |asked| Ok(Order::RestartChain(chain(asked)?)),
    ),
    order(
        "POST",
        "/api/v1/devices/{index}/enable",
        Role::Operator,
        |asked| Ok(Order::EnableChain(chain(asked)?, true)),
    ),
    order(
        "POST",
        "/api/v1/devices/{index}/disable",
        Role::Operator,
        |asked| Ok(Order::EnableChain(chain(asked)?, false)),
    ),
    order(
        "PATCH",
        "/api/v1/devices/{index}/config",
        Role::Operator,
        |asked| {
            let Device { frequency } = body(asked)?;
            Ok(Order::ChangeChain(chain(asked)?, frequency.map(Megahertz)))
        },
    ),
    order("POST", "/api/v1/pools/test", Role::Operator, |asked| {
        Ok(Order::TestPool(pool_fields(asked)?))
    }),
    order(
        "POST",
        "/api/v1/pools/{index}/test",
        Role::Operator,
        |asked| Ok(Order::TestConfiguredPool(pool(asked)?)),
    ),
    order("POST", "/api/v1/pools", Role::Operator, |asked| {
        Ok(Order::AddPool(pool_fields(asked)?))
    }),
    order("PATCH", "/api/v1/pools/{index}", Role::Operator, |asked| {
        Ok(Order::ChangePool(pool(asked)?, pool_fields(asked)?))
    }),
    order("DELETE", "/api/v1/pools/{index}", Role::Operator, |asked| {
        Ok(Order::RemovePool(pool(asked)?))
    }),
    order(
        "POST",
        "/api/v1/pools/{index}/switch",
        Role::Operator,
        |asked| Ok(Order::SwitchPool(pool(asked)?)),
    ),
    order(
        "POST",
        "/api/v1/pools/{index}/enable",
        Role::Operator,
        |asked| Ok(Order::EnablePool(pool(asked)?, true)),
    ),
    order(
        "POST",
        "/api/v1/pools/{index}/disable",
        Role::Operator,
        |asked| Ok(Order::EnablePool(pool(asked)?, false)),
    ),
    order("PATCH", "/api/v1/fans", Role::Operator, |asked| {
        Ok(Order::Fans(fields(asked, &FAN_FIELDS)?))
    }),
    order("PATCH", "/api/v1/supply", Role::Operator, |asked| {
        body(asked).map(|Supply { voltage }| Order::Supply(voltage))
    }),
    order("PUT", "/api/v1/pools/order", Role::Operator, |asked| {
        body(asked).map(|PoolOrder { order }| Order::ArrangePools(order))
    }),
    order("PUT", "/api/v1/locate", Role::Operator, |asked| {
        body(asked).map(|Locate { on }| Order::Locate(on))
    }),
    order("GET", "/api/v1/config", Role::Viewer, |_| {
        Ok(Order::ReadConfig)
    }),
    order("PUT", "/api/v1/config", Role::Admin, |asked| {
        body(asked).map(|Text { text }| Order::ReplaceConfig(text))
    }),
    order("POST", "/api/v1/config/check", Role::Operator, |asked| {
        body(asked).map(|Text { text }| Order::CheckConfig(text))
    }),
    order("POST", "/api/v1/config/reload", Role::Admin, |_| {
        Ok(Order::ReloadConfig)
    }),
    order("GET", "/api/v1/firmware", Role::Viewer, |_| {
        Ok(Order::ReadFirmware)
    }),
    order("GET", "/api/v1/backup", Role::Admin, |_| Ok(Order::Backup)),
    order("POST", "/api/v1/restore", Role::Admin, restore),
    order("GET", "/api/v1/tokens", Role::Admin, |_| {
        Ok(Order::ListTokens)
    }),
    order("POST", "/api/v1/tokens", Role::Admin, |asked| {
        body(asked).map(|Token { name, role }| Order::CreateToken(name, role))
    }),
    order("POST", CLAIM_PATH, Role::Admin, |_| Ok(Order::ClaimToken)),
    order("DELETE", "/api/v1/tokens/{name}", Role::Admin, |asked| {
        Ok(Order::RevokeToken(asked.parameter.into()))
    }),
    order(
        "POST",
        "/api/v1/tokens/{name}/rotate",
        Role::Admin,
        |asked| Ok(Order::RotateToken(asked.parameter.into())),
    ),
];

/// Where the first token is claimed.
pub const CLAIM_PATH: &str = "/api/v1/tokens/claim";

/// Version of what a backup holds.
pub const BACKUP_SCHEMA: u32 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Supply {
    voltage: u32,
}

/// Null takes it back to the configured one; left out is a slip of the pen.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    #[serde(deserialize_with = "said")]
    frequency: Option<f32>,
}

/// Null or a value, but something.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f32>, D::Error> {
    Option::deserialize(deserializer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolOrder {
    order: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Locate {
    on: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    name: String,
    role: Role,
}

/// A backup, as it was given out. What it says of its origin is for people.
#[derive(Deserialize)]
struct Backup {
    schema: u32,
    text: String,
}

fn restore(asked: &Asked<'_>) -> Result<Order, Failure> {
    let Backup { schema, text } = body(asked)?;
    if schema == BACKUP_SCHEMA {
        Ok(Order::Restore(text))
    } else {
        let message = format!("a backup of schema {schema}; this program knows {BACKUP_SCHEMA}");
        Err(Failure::told(
            400,
            "bad_body",
            message,
            "restore it with the program that made it",
        ))
    }
}

fn chain(asked: &Asked<'_>) -> Result<u8, Failure> {
    asked.parameter.parse().map_err(|_| NO_DEVICE)
}

fn pool(asked: &Asked<'_>) -> Result<usize, Failure> {
    asked.parameter.parse().map_err(|_| NO_POOL)
}

fn body<T: DeserializeOwned>(asked: &Asked<'_>) -> Result<T, Failure> {
    // A list would be taken for the members in their order.
    let object = serde_json::from_slice::<serde_json::Map<String, Value>>(asked.body);
    object
        .and_then(|object| T::deserialize(Value::Object(object)))
        .map_err(|error| Failure::told(400, "bad_body", error.to_string(), BODY_HINT))
}

fn pool_fields(asked: &Asked<'_>) -> Result<Fields, Failure> {
    let names: Vec<&str> = FIELDS
        .iter()
        .filter(|field| field.section == "pool" && !POOL_FIELDS_KEPT.contains(&field.name))
        .map(|field| field.name)
        .collect();
    fields(asked, &names)
}

/// An object of known fields. Their values are checked with the whole configuration.
fn fields(asked: &Asked<'_>, known: &[&str]) -> Result<Fields, Failure> {
    let object: serde_json::Map<String, Value> = body(asked)?;
    if object.is_empty() {
        return Err(Failure::new(
            400,
            "bad_body",
            "no field is given",
            BODY_HINT,
        ));
    }
    object
        .into_iter()
        .map(|(name, value)| {
            let refuse = |why: String| Failure::told(400, "bad_body", why, BODY_HINT);
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                return Err(refuse(format!(
                    "a field that cannot be set here; there are {known}"
                )));
            }
            let value = match value {
                Value::Null => None,
                Value::Bool(value) => Some(value.into()),
                Value::String(text) => Some(text.into()),
                Value::Number(number) => Some(match number.as_i64() {
                    Some(whole) => whole.into(),
                    None => number.as_f64().unwrap_or(f64::NAN).into(),
                }),
                Value::Array(_) | Value::Object(_) => {
                    return Err(refuse(format!("`{name}` is no plain value")));
                }
            };
            Ok((name, value))
        })
        .collect()
}

/// There is no such chain.
pub const NO_DEVICE: Failure = Failure::new(
    404,
    "no_such_device",
    "there is no chain of that number",
    "GET /api/v1/devices tells all chains",
);

/// There is no such pool.
pub const NO_POOL: Failure = Failure::new(
    404,
    "no_such_pool",
    "there is no pool of that number",
    "GET /api/v1/pools tells all pools",
);

const BODY_HINT: &str = "GET /api/v1/openapi.json tells what each path takes";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes::order_of;
    use proptest::prelude::*;

    fn asked(method: &str, path: &str, body: &str) -> Result<Order, Failure> {
        order_of(method, path, body.as_bytes()).expect(path)
    }

    #[test]
    fn requests_become_orders() {
        for (method, path, body, order) in [
            ("POST", "/api/v1/control/pause", "", Order::Pause),
            (
                "POST",
                "/api/v1/devices/2/disable",
                "",
                Order::EnableChain(2, false),
            ),
            (
                "PATCH",
                "/api/v1/devices/1/config",
                r#"{"frequency":500}"#,
                Order::ChangeChain(1, Some(Megahertz(500.0))),
            ),
            (
                "PATCH",
                "/api/v1/devices/1/config",
                r#"{"frequency":null}"#,
                Order::ChangeChain(1, None),
            ),
            (
                "POST",
                "/api/v1/pools/test",
                r#"{"url":"a:1"}"#,
                Order::TestPool(vec![("url".into(), Some("a:1".into()))]),
            ),
            (
                "POST",
                "/api/v1/pools/1/test",
                "",
                Order::TestConfiguredPool(1),
            ),
            ("DELETE", "/api/v1/pools/1", "", Order::RemovePool(1)),
            (
                "PUT",
                "/api/v1/pools/order",
                r#"{"order":[1,0]}"#,
                Order::ArrangePools(vec![1, 0]),
            ),
            (
                "PATCH",
                "/api/v1/fans",
                r#"{"mode":"fixed","duty":60}"#,
                Order::Fans(vec![
                    ("duty".into(), Some(60.into())),
                    ("mode".into(), Some("fixed".into())),
                ]),
            ),
            (
                "PATCH",
                "/api/v1/pools/0",
                r#"{"name":null,"quota":3}"#,
                Order::ChangePool(
                    0,
                    vec![("name".into(), None), ("quota".into(), Some(3.into()))],
                ),
            ),
            (
                "PATCH",
                "/api/v1/supply",
                r#"{"voltage":13000}"#,
                Order::Supply(13_000),
            ),
            (
                "POST",
                "/api/v1/tokens",
                r#"{"name":"a","role":"viewer"}"#,
                Order::CreateToken("a".into(), Role::Viewer),
            ),
        ] {
            assert_eq!(asked(method, path, body), Ok(order), "{path}");
        }
    }

    #[test]
    fn bodies_that_say_anything_else_are_refused() {
        for (method, path, body) in [
            ("POST", "/api/v1/pools", ""),
            ("POST", "/api/v1/pools", "{}"),
            ("POST", "/api/v1/pools", "[]"),
            ("POST", "/api/v1/pools", r#"{"cookie_file":"/etc/shadow"}"#),
            ("PATCH", "/api/v1/pools/0", r#"{"url":{"a":1}}"#),
            ("PATCH", "/api/v1/fans", r#"{"minimum_fans":0}"#),
            ("PATCH", "/api/v1/devices/0/config", "{}"),
            (
                "PATCH",
                "/api/v1/devices/0/config",
                r#"{"frequency":"fast"}"#,
            ),
            ("PATCH", "/api/v1/supply", r#"{"voltage":-1}"#),
            ("PATCH", "/api/v1/supply", r#"{"voltage":1,"x":1}"#),
            ("PUT", "/api/v1/locate", r#"{"on":1}"#),
            ("PUT", "/api/v1/pools/order", r#"{"order":[-1]}"#),
            ("PUT", "/api/v1/locate", "[true]"),
            ("POST", "/api/v1/restore", r#"{"schema":2,"text":""}"#),
            ("POST", "/api/v1/tokens", r#"{"name":"a","role":"root"}"#),
        ] {
            let failure = asked(method, path, body).unwrap_err();
            assert_eq!((failure.status, failure.code), (400, "bad_body"), "{body}");
        }
        assert_eq!(asked("DELETE", "/api/v1/pools/x", ""), Err(NO_POOL));
        assert_eq!(
            asked("POST", "/api/v1/devices/256/restart", ""),
            Err(NO_DEVICE)
        );
    }

    proptest! {
        #[test]
        fn any_body_is_an_order_or_a_failure(index in 0..ORDERS.len(), body in "\\PC{0,60}|\\{[\"a-z:,0-9.e\\[\\]{} -]{0,60}\\}") {
            let route = &ORDERS[index];
            let path = route.path.replace("{index}", "0").replace("{name}", "a");
            prop_assert!(order_of(route.method, &path, body.as_bytes()).is_some());
        }
    }
}
