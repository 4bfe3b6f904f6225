//! Between a session and the chains there is one job at most.

use crate::work::Job;
use std::sync::Arc;

/// The newest job that no chain has seen yet: the only one worth having.
#[derive(Debug, Default)]
pub struct Newest(Option<Arc<Job>>);

impl Newest {
    /// A newer one. If that which it replaces was to say that earlier ones are worthless, it says so.
    pub fn put(&mut self, job: Arc<Job>) {
        let was_clean = self.0.take().is_some_and(|unseen| unseen.clean);
        self.0 = Some(if was_clean { job.cleaning() } else { job });
    }

    /// Takes it.
    pub fn take(&mut self) -> Option<Arc<Job>> {
        self.0.take()
    }

    /// Drops it if it has become worthless.
    pub fn keep_if(&mut self, is_worth: impl FnOnce(&Job) -> bool) {
        self.0.take_if(|job| !is_worth(job));
    }
}
