//! The fault table: a whole emulated machine, its keeper and its chains on virtual time, one fault at a time.
//!
//! What comes of it is `docs/safety.md`, which these tests hold against what they saw; `UPDATE_DOCS=1` writes it anew.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod rig;
mod smoke;
