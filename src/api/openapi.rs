//! The interface described for programs; tests hold it to what is really answered.

use super::packed::{Packed, packed};
use super::routes::Answer;

const DOCUMENT: Packed = packed!("openapi.json");

/// `GET /api/v1/openapi.json`.
pub fn answer() -> Answer {
    DOCUMENT.answer("application/json")
}

#[cfg(test)]
pub mod fit;
#[cfg(test)]
mod tests;
