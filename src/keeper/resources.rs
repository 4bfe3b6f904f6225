//! What the keeper's own process takes from the machine. Asked for seldom: it changes slowly, and every question is a moment in
//! which nothing is decided.

use crate::link::process::{Process, ProcessReader};
use std::time::Duration;
use tokio::time::Instant;

/// Between two questions to the kernel.
const REST: Duration = Duration::from_secs(30);

/// The kernel's last word.
pub(super) struct Resources {
    began: Instant,
    last: Option<(Instant, Process)>,
}

impl Resources {
    /// Nothing is known yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            last: None,
        }
    }

    /// The last word, a new one when it is old.
    pub(super) fn at(&mut self, now: Instant) -> Process {
        match &self.last {
            Some((at, process)) if now.duration_since(*at) < REST => process.clone(),
            _ => {
                let process = ProcessReader.read(now.duration_since(self.began));
                self.last = Some((now, process.clone()));
                process
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_kernel_is_asked_seldom_and_tells_of_this_process() {
        let start = Instant::now();
        let mut resources = Resources::new(start);
        let first = resources.at(start);
        assert_eq!(first.pid, std::process::id());
        assert!(first.resident_bytes.is_some() && first.open_files.is_some());
        // Share of a processor depends on the time, so a new answer differs.
        assert_eq!(resources.at(start + REST / 2), first);
        assert_ne!(resources.at(start + REST), first);
    }
}
