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
pub mod fit;
#[cfg(test)]
mod tests;
