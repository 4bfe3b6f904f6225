//! What a client of the cgminer API asks: `{"command":"a+b","parameter":"c"}`, or `a+b|c`.

use super::reply::{Reply, Status};
use serde_json::Value;

/// Bytes that a request may have, as in cgminer.
pub const REQUEST_LIMIT: usize = 4095;
/// Commands that one request may join.
const JOINED_LIMIT: usize = 32;

/// What is asked, and in which form the reply is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// JSON, or text.
    pub json: bool,
    /// One command, or several joined by `+`.
    pub commands: Vec<String>,
    /// What stands behind the command.
    pub parameter: Option<String>,
}

/// The reply to what is no request, with the form to write it in.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// JSON, or text.
    pub json: bool,
    /// What is wrong.
    pub reply: Reply,
}

/// Reads a whole request. Its first byte chooses the form.
///
/// # Errors
/// With cgminer's own messages.
pub fn parse(bytes: &[u8]) -> Result<Request, Refusal> {
    if bytes.first() == Some(&b'{') {
        parse_json(bytes)
    } else {
        parse_text(bytes)
    }
}

/// Whether bytes that begin like JSON are a whole object, so that no more need be waited for.
pub fn is_whole_json(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

fn parse_json(bytes: &[u8]) -> Result<Request, Refusal> {
    let refuse = |code, message: &str| {
        Err(Refusal {
            json: true,
            reply: Reply::bare('E', code, message),
        })
    };
    let Ok(Value::Object(object)) = serde_json::from_slice(bytes) else {
        return refuse(23, "Invalid JSON");
    };
    let Some(command) = object.get("command") else {
        return refuse(24, "Missing JSON 'command'");
    };
    let Some(command) = command.as_str() else {
        return Err(Refusal {
            json: true,
            reply: invalid_command(),
        });
    };
    let parameter = match object.get("parameter") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    joined(true, command, parameter)
}

fn parse_text(bytes: &[u8]) -> Result<Request, Refusal> {
    let text = String::from_utf8_lossy(bytes);
    match text.split_once('|') {
        Some((command, parameter)) => joined(false, command, Some(parameter.to_owned())),
        None => joined(false, &text, None),
    }
}

fn joined(json: bool, command: &str, parameter: Option<String>) -> Result<Request, Refusal> {
    let commands: Vec<String> = command.split('+').map(str::to_owned).collect();
    if commands.len() > JOINED_LIMIT {
        return Err(Refusal {
            json,
            reply: invalid_command(),
        });
    }
    let parameter = parameter.filter(|parameter| !parameter.is_empty());
    Ok(Request {
        json,
        commands,
        parameter,
    })
}

/// The one message that cgminer writes without a description.
pub fn invalid_command() -> Reply {
    let status = Status {
        described: false,
        ..Status::new('E', 14, "Invalid command")
    };
    Reply {
        status,
        content: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_are_read() {
        let expected = |json| Request {
            json,
            commands: vec!["summary".into(), "pools".into()],
            parameter: Some("7".into()),
        };
        for text in [
            "{\"command\":\"summary+pools\",\"parameter\":7}",
            "{\"command\":\"summary+pools\",\"parameter\":\"7\"}\n",
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(expected(true)));
        }
        assert_eq!(parse(b"summary+pools|7"), Ok(expected(false)));
    }

    #[test]
    fn joined_commands_are_bounded() {
        let text = "version+".repeat(400);
        assert!(parse(text.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_object_is_a_request_or_refused(text in "\\{[\"a-z:,0-9{}\\[\\] ]{0,80}\\}") {
            let _ = parse(text.as_bytes());
        }
    }
}
