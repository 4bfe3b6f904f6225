//! The privileged process: it alone drives supply, fans and reset lines, and nothing from the network reaches it.

pub mod cause;
pub mod state;
pub mod status;

pub use cause::Cause;
pub use state::State;
pub use status::KeeperStatus;
