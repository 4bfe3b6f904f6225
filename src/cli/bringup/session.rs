//! The keeper that a command speaks to.

use crate::cli::Failure;
use crate::cli::places::operator_socket;
use crate::config::Config;
use crate::keeper::{KeeperStatus, operator};
use crate::link::{MinerEnd, Request};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a keeper may take for its first snapshot.
const FIRST: Duration = Duration::from_secs(10);

/// A keeper, and what the command was told besides.
pub(super) struct Session {
    /// Its socket's other end.
    pub keeper: MinerEnd,
    /// The owner's configuration.
    pub config: Config,
    /// Whether the keeper is this very process, and ends with it.
    pub own: bool,
    /// Whether the machine must be an emulated one.
    pub emulated: bool,
    /// How long to hold or watch; none: until Ctrl-C.
    pub lasting: Option<Duration>,
}

/// The keeper that runs; none when none does.
///
/// # Errors
/// When one may run and this user may not speak to it.
pub(super) async fn connect(config: &Config) -> Result<Option<MinerEnd>, Failure> {
    let socket = operator_socket(&config.api.run_directory);
    match operator::connect(&socket).await {
        Ok(keeper) => Ok(Some(keeper)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            io::ErrorKind::PermissionDenied => Err(Failure::Other(format!(
                "{}: only the user that the keeper runs as may speak to it; try it as root",
                socket.display()
            ))),
            _ => Err(Failure::Other(format!("{}: {error}", socket.display()))),
        },
    }
}

impl Session {
    /// With a keeper that runs.
    pub(super) fn through(
        keeper: MinerEnd,
        config: Config,
        emulated: bool,
        lasting: Option<Duration>,
    ) -> Self {
        Self {
            keeper,
            config,
            own: false,
            emulated,
            lasting,
        }
    }

    /// Asks, and waits for the keeper's word.
    pub(super) async fn ask(&self, request: Request) -> Result<(), Failure> {
        self.keeper
            .request(request)
            .await
            .map_err(|error| Failure::Other(error.to_string()))
    }

    /// The keeper's snapshot as soon as it is so; the latest after `patience` all the same.
    ///
    /// # Errors
    /// When there is none at all.
    pub(super) async fn look(
        &self,
        patience: Duration,
        enough: impl Fn(&KeeperStatus) -> bool,
    ) -> Result<Arc<KeeperStatus>, Failure> {
        let mut status = self.keeper.status();
        let gone = |_| Failure::Other("the keeper has ended".into());
        let late = |_| Failure::Other("the keeper said nothing; look into its log".into());
        timeout_at(Instant::now() + FIRST, status.wait_for(Option::is_some))
            .await
            .map_err(late)?
            .map_err(gone)?;
        let until = Instant::now() + patience;
        loop {
            let latest = status.borrow_and_update().clone();
            if let Some(latest) = latest.as_ref().filter(|latest| enough(latest)) {
                return Ok(Arc::clone(latest));
            }
            match (timeout_at(until, status.changed()).await, latest) {
                (Ok(changed), _) => changed.map_err(gone)?,
                (Err(_), Some(latest)) => return Ok(latest),
                (Err(late_again), None) => return Err(late(late_again)),
            }
        }
    }
}
