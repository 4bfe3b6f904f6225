//! What goes wrong with a request, in the one form that every client gets.

use serde::Serialize;
use std::borrow::Cow;

/// An answer that is an error: `{"error": {"code": ..., "message": ..., "hint": ...}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// Name that programs can rely on.
    pub code: &'static str,
    /// What is wrong.
    pub message: Cow<'static, str>,
    /// What to do.
    pub hint: &'static str,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    hint: &'a str,
}

impl Failure {
    /// A failure of the given status.
    pub const fn new(
        status: u16,
        code: &'static str,
        message: &'static str,
        hint: &'static str,
    ) -> Self {
        Self {
            status,
            code,
            message: Cow::Borrowed(message),
            hint,
        }
    }

    /// A failure whose words depend on the request.
    pub fn told(status: u16, code: &'static str, message: String, hint: &'static str) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint,
        }
    }

    /// The JSON that the client gets.
    pub fn to_json(&self) -> Vec<u8> {
        let error = Body {
            code: self.code,
            message: &self.message,
            hint: self.hint,
        };
        serde_json::to_vec(&Envelope { error }).unwrap_or_default()
    }
}
