//! The privileged process: it alone drives supply, fans and reset lines, and nothing from the network reaches it.

pub mod cause;
pub mod guard;
pub mod liveness;
pub mod proofs;
pub mod reason;
pub mod requests;
mod snapshot;
pub mod state;
pub mod status;

pub use cause::Cause;
pub use state::State;
pub use status::KeeperStatus;
