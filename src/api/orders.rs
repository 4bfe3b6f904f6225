//! What can be asked to be changed, and the way to who changes it.
//!
//! The doors turn what strangers send into an [`Order`]; one task of the miner carries orders out, one after another.

use super::failure::Failure;
use crate::config::Role;
use cgminer_hal::units::Megahertz;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Orders that may wait.
const WAITING: usize = 8;
/// How long an order may take, its turn included.
const ANSWER_TIME: Duration = Duration::from_secs(15);

/// One wish.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Power on and work.
    Start,
    /// Power off.
    Stop,
    /// No work, with the power on.
    Pause,
    /// Work again.
    Resume,
    /// Power off, then on again.
    Restart,
    /// The machine need not stay off for its latched cause.
    ClearLatch,
    /// One chain is brought up anew.
    RestartChain(u8),
    /// One chain is switched on or off.
    EnableChain(u8, bool),
    /// The clock of one chain; `None` takes it back to the configured one.
    ChangeChain(u8, Option<Megahertz>),
    /// One more pool, at the end.
    AddPool(Fields),
    /// Some fields of a pool.
    ChangePool(usize, Fields),
    /// One pool less.
    RemovePool(usize),
    /// All pools in this order.
    ArrangePools(Vec<usize>),
    /// Work for this pool now.
    SwitchPool(usize),
    /// A pool is used, or not.
    EnablePool(usize, bool),
    /// Tries a pool that need not be configured.
    TestPool(Fields),
    /// Tries a pool that is.
    TestConfiguredPool(usize),
    /// Who sets the fans.
    Fans(Fields),
    /// The voltage of the supply, in mV.
    Supply(u32),
    /// Whether the machine blinks to be found.
    Locate(bool),
    /// The configuration in force and where each value came from.
    ReadConfig,
    /// What is wrong with this text as the configuration file.
    CheckConfig(String),
    /// Let this be the configuration file.
    ReplaceConfig(String),
    /// Read the files again.
    ReloadConfig,
    /// What runs of the firmware image, and how far an update is.
    ReadFirmware,
    /// Everything that a new machine needs, secrets left out.
    Backup,
    /// The configuration file of a backup; secrets that it leaves out are those of this machine.
    Restore(String),
    /// All tokens, without themselves.
    ListTokens,
    /// The first token, for who stands at the machine.
    ClaimToken,
    /// One more token.
    CreateToken(String, Role),
    /// One token less.
    RevokeToken(String),
    /// A new token in the place of an old one.
    RotateToken(String),
}

/// Fields of a section by name; `None` takes a field back to its built-in value.
pub type Fields = Vec<(String, Option<toml::Value>)>;

/// How an order went.
pub type Outcome = Result<Value, Failure>;

/// An order on its way.
pub struct Given {
    /// What is wished.
    pub order: Order,
    /// Who wishes it, for the log.
    pub by: String,
    /// Where the outcome goes.
    pub reply: oneshot::Sender<Outcome>,
}

/// Gives orders. A clone gives them to the same task.
#[derive(Clone)]
pub struct Orders(mpsc::Sender<Given>);

impl Orders {
    /// A way for orders, and its end.
    pub fn channel() -> (Self, mpsc::Receiver<Given>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Gives an order and waits for its outcome.
    ///
    /// # Errors
    /// As the one who carries it out says, or when nobody does.
    pub async fn give(&self, order: Order, by: &str) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let given = Given {
            order,
            by: by.into(),
            reply,
        };
        let done = async {
            self.0.send(given).await.ok()?;
            outcome.await.ok()
        };
        match timeout(ANSWER_TIME, done).await {
            Ok(Some(outcome)) => outcome,
            _ => Err(NOT_DONE),
        }
    }
}

const NOT_DONE: Failure = Failure::new(
    503,
    "not_done",
    "the machine did not carry this out in time",
    "look at the status before you ask again; the log tells more",
);
