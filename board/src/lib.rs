//! Parts, board files, thermal and power decisions. No network, no tokio.
#![forbid(unsafe_code)]

pub mod moment;
pub mod power;
pub mod thermal;
