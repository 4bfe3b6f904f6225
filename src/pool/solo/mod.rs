//! Solo mining: jobs made of the block templates of the owner's own node, blocks given back to it.
//!
//! ```text
//! node -> rpc -> template -> coinbase -> Job -> (chains) -> Share -> block -> submit -> node
//!         `- watch: long poll, tip, refresh       `- source: the task that stands between
//! ```

pub mod address;
pub mod auth;
pub mod block;
pub mod coinbase;
mod hash;
pub mod http;
mod jobs;
pub mod rpc;
pub mod settings;
pub mod source;
mod submit;
pub mod template;
mod watch;

#[cfg(test)]
mod tests;

pub use settings::SoloSettings;
pub use source::SoloSource;
