//! A value that no log, page or printed configuration may show.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// Stands where a secret was.
pub const REDACTED: &str = "<redacted>";

/// A password or key. Debug and serde output show [`REDACTED`]; only [`Secret::expose`] gives the text. Serde output of an empty one is
/// empty: it hides nothing, and a field that has to be empty could not be read back otherwise.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is what a print has in the place of a secret.
    pub fn is_left_out(&self) -> bool {
        self.0 == REDACTED
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { REDACTED })
    }
}
