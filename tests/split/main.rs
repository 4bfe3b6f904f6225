//! Keeper and miner as the two processes that they are, on an emulated machine and in real time. Needs root, to have
//! a user to change to; without, these tests say that they were left out, and where `CI` is set they fail.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod daemon;
mod deaths;
mod demo;
#[path = "../safety/document.rs"]
mod document;
mod hostile;
#[path = "../safety/log.rs"]
mod log;
mod manners;
mod stand_in;
mod unit;
