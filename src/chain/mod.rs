//! The chain driver: frames, registers, bring-up as data, the chain task.
//!
//! A chain is a row of `BM13xx` chips on one serial line. Everything that differs between models is data
//! ([`model::ChipModel`], [`models`]); `docs/adding-a-chip.md` tells how to add one. Protocol facts follow the public
//! `REFERENCE.md` of mujina and the drivers of ESP-Miner, and are held to their captures by `tests/chain_vectors.rs`.
//!
//! ```text
//! watch<Job> -> task -> work::WorkSource -> frame::encode -> UART
//! UART -> frame::Decoder -> work::Registry -> Share -> pool
//! ```

pub mod baud;
pub mod bringup;
pub mod command;
pub mod crc;
pub mod error;
pub mod frame;
pub mod hcn;
pub mod model;
pub mod models;
pub mod pll;
pub mod registers;
pub mod reset;
pub mod restart;
mod sequencer;
mod serial;
pub mod settings;
pub mod status;
pub mod task;
pub mod ticket_mask;

pub use command::ChainCommand;
pub use error::{ChainError, SettingsError};
pub use model::ChipModel;
pub use reset::{ResetError, ResetFuture, ResetLine};
pub use settings::{ChainSettings, Deadlines, Pacing, RestartPolicy};
pub use status::{ChainCounters, ChainPhase, ChainStatus, ChipCounters};
pub use task::ChainEnds;
pub use ticket_mask::TicketMask;
