//! `latch show` and `latch clear` where no keeper runs: the kept file itself, under the keeper's lock. Nothing is driven for it.

use super::{Asked, Command, show};
use crate::cli::machine::lock_of;
use crate::cli::table::{inert, print};
use crate::cli::{Failure, places};
use crate::config::Config;
use crate::keeper::kept;
use crate::keeper::status::Latch;

/// Reads or clears the cause that the next keeper would begin with.
pub(super) fn act(command: Command, config: &Config, asked: &Asked) -> Result<(), Failure> {
    let path = places::kept(config, asked.emulated);
    let failed = |error: std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "; try it as the user that the keeper runs as",
            _ => "",
        };
        Failure::Other(format!("{}: {error}{hint}", path.display()))
    };
    let latched = kept::latched(&path).map_err(failed)?;
    if command == Command::LatchShow {
        return print(&match &latched {
            Some(latch) => show::latch(latch),
            None => "nothing is latched\n".to_owned(),
        });
    }
    let Some(Latch { cause, .. }) = latched else {
        return print("nothing is latched\n");
    };
    let _lock = lock_of(config, asked.emulated)?;
    kept::clear(&path).map_err(failed)?;
    tracing::warn!(%cause, "an operator cleared the latched cause");
    print(&format!(
        "cleared: {}\nthe next keeper begins with its self-check\n",
        inert(&cause.to_string())
    ))
}
