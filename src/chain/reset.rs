//! The line that holds a chain's chips in reset.

use std::future::Future;
use std::pin::Pin;
use thiserror::Error;

/// What the calls of a [`ResetLine`] return.
pub type ResetFuture<'a> = Pin<Box<dyn Future<Output = Result<(), ResetError>> + Send + 'a>>;

/// The reset line of one chain. In the running daemon it asks the process that owns the lines; a polarity is a matter of
/// whoever drives the pin.
pub trait ResetLine: Send {
    /// Name for messages, as the board file has it.
    fn name(&self) -> &str;

    /// Holds the chips in reset; they are when the future is done.
    fn hold(&mut self) -> ResetFuture<'_>;

    /// Lets the chips run.
    fn release(&mut self) -> ResetFuture<'_>;
}

/// A reset line could not be driven.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "reset line {line}: cannot {doing}: {reason}; check the chain's reset line in the board file"
)]
pub struct ResetError {
    /// Name of the line.
    pub line: String,
    /// What was tried: `hold`, `release`.
    pub doing: &'static str,
    /// Why it did not work.
    pub reason: String,
}
