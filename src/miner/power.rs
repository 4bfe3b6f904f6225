//! What the keeper's word means for a chain: whether it may run, and how fast.

use super::owner::ChainWish;
use crate::link::KeeperStatus;
use cgminer_board::thermal::Throttle;
use std::sync::Arc;
use tokio::sync::watch;

/// Follows the keeper's status for one chain.
pub struct Power {
    chain: u8,
    status: watch::Receiver<Option<Arc<KeeperStatus>>>,
    stop: watch::Receiver<bool>,
    wish: watch::Receiver<ChainWish>,
    /// Restarts that were followed.
    restarts: u64,
}

/// What the keeper's latest word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// No power for this chain, or none known of.
    Off,
    /// Power, and how much of the configured clock.
    On(Throttle),
}

impl Power {
    /// For one chain, from 0, until `stop` becomes true or loses its sender. The owner's wish is held to be the
    /// keeper's word: a chain that is not to run has no power of its own.
    pub fn new(
        chain: u8,
        status: watch::Receiver<Option<Arc<KeeperStatus>>>,
        stop: watch::Receiver<bool>,
        wish: watch::Receiver<ChainWish>,
    ) -> Self {
        let restarts = wish.borrow().restarts;
        Self {
            chain,
            status,
            stop,
            wish,
            restarts,
        }
    }

    /// The keeper's word now.
    pub fn word(&self) -> Word {
        let wish = *self.wish.borrow();
        if *self.stop.borrow() || !wish.enabled || wish.restarts != self.restarts {
            return Word::Off;
        }
        word(self.status.borrow().as_deref(), self.chain)
    }

    /// Waits for power. False: the miner is to end. Tells at once, and at each news, what the owner wants.
    pub async fn wait_until_on(&mut self, mut tell: impl FnMut(ChainWish)) -> bool {
        self.restarts = self.wish.borrow().restarts;
        loop {
            tell(*self.wish.borrow());
            if self.is_over() {
                return false;
            }
            if matches!(self.word(), Word::On(_)) {
                return true;
            }
            self.next().await;
        }
    }

    /// Waits until there is no power, or the miner is to end.
    pub async fn wait_until_off(&mut self) {
        while self.word() != Word::Off && !self.is_over() {
            self.next().await;
        }
    }

    /// Waits for the keeper's next word, whether it says anything new or not. Safe to cancel.
    pub async fn next(&mut self) -> Word {
        let gone = tokio::select! {
            changed = self.status.changed() => changed.is_err(),
            changed = self.stop.changed() => changed.is_err(),
            // Without an owner the last wish holds; the keeper's word goes on.
            Ok(()) = self.wish.changed() => false,
        };
        // A keeper that is gone gives no power.
        if gone { Word::Off } else { self.word() }
    }

    fn is_over(&self) -> bool {
        *self.stop.borrow()
            || self.stop.has_changed().is_err()
            || self.status.has_changed().is_err()
    }
}

/// A chain may run while the keeper says so and does not know its board to be missing.
fn word(status: Option<&KeeperStatus>, chain: u8) -> Word {
    let Some(status) = status else {
        return Word::Off;
    };
    let missing = status
        .chains
        .iter()
        .any(|safety| safety.chain == chain && safety.present == Some(false));
    if status.state.may_hash() && !missing {
        Word::On(status.throttle)
    } else {
        Word::Off
    }
}
