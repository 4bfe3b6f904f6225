//! Board files and the parts that they name, and the decisions on heat and power. No network, no tokio.
#![forbid(unsafe_code)]

pub mod assembly;
pub mod detect;
pub mod document;
pub mod file;
pub mod limits;
pub mod moment;
pub mod parts;
pub mod power;
pub mod recognise;
pub mod thermal;
