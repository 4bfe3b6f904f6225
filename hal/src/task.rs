//! What tasks and threads do, as one type for all of them: what a runtime and the standard library keep of each is compiled for each type
//! that they are given, half a kilobyte of firmware each time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::thread::{Builder, JoinHandle};

/// A task that gives nothing back.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a thread does.
type Life = Box<dyn FnOnce() + Send>;

/// Boxes what a task does, for whoever spawns it.
pub fn boxed(task: impl Future<Output = ()> + Send + 'static) -> Task {
    Box::pin(task)
}

/// Starts a thread of that name.
///
/// # Errors
/// When the system has no thread to give.
pub fn thread(name: &str, life: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    start(name, Box::new(life))
}

fn start(name: &str, life: Life) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.into()).spawn(life)
}
