//! What a task does, as one type for all tasks.

use std::future::Future;
use std::pin::Pin;

/// A task that gives nothing back.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Boxes what a task does. What a runtime keeps of a task is compiled for each type that is spawned, half a kilobyte of firmware each
/// time; so whoever spawns gives it this one.
pub fn boxed(task: impl Future<Output = ()> + Send + 'static) -> Task {
    Box::pin(task)
}
