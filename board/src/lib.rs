//! Parts, board files, thermal and power decisions. No network, no tokio.
#![forbid(unsafe_code)]

pub mod file;
pub mod limits;
pub mod moment;
pub mod parts;
pub mod power;
pub mod thermal;
