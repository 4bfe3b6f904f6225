//! Keeps an eye on the node: which template to mine on, and when it is a new one.

use super::address::{AddressError, Network, payout_script};
use super::block::{Block, Found, displayed};
use super::jobs::JobMaker;
use super::rpc::{RpcClient, RpcError};
use super::settings::SoloSettings;
use super::template::{BlockTemplate, Checked, LONGEST_ANSWER, TemplateError};
use crate::pool::backoff::Backoff;
use crate::pool::reject::bounded;
use crate::work::{ChainIndex, Extranonce2, SessionId};
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

/// Why there is nothing to mine on.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The node could not be asked.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// Its template is no good.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The owner could not be paid.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A chain that is not known.
    #[error("the node follows the chain `{0}`, which this program does not know")]
    UnknownChain(String),
    /// The node would not take a block of ours.
    #[error(
        "the node would refuse the blocks made of its template: {0}; check node and payout address"
    )]
    Proposal(String),
}

impl WatchError {
    /// Whether it lasts until the owner changes something.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Rpc(error) => {
                matches!(
                    error,
                    RpcError::Unauthorized { .. } | RpcError::Forbidden { .. }
                )
            }
            Self::Template(_) | Self::Address(_) | Self::UnknownChain(_) | Self::Proposal(_) => {
                true
            }
        }
    }
}

/// What the watch tells.
pub enum Event {
    /// The node is being asked.
    Connecting,
    /// The node answered, and its network suits the payout address.
    Connected {
        /// Makes jobs that pay the owner.
        maker: JobMaker,
    },
    /// Mine on this from now on.
    Template(Arc<BlockTemplate>),
    /// Nothing to mine on; another try follows.
    Failed {
        /// Why.
        error: WatchError,
        /// When it is tried again.
        retry_in: Duration,
    },
}

/// Failed calls in a row after which the node counts as lost.
const FAILURES_TO_LOSE: u32 = 3;
/// Between those calls.
const BETWEEN_FAILURES: Duration = Duration::from_secs(1);

/// Watches the node for ever. A notice on `refresh` asks for a template at once.
pub async fn watch(
    settings: &SoloSettings,
    client: RpcClient,
    seed: u64,
    events: mpsc::Sender<Event>,
    refresh: &Notify,
) -> Infallible {
    let mut backoff = Backoff::new(seed);
    let mut watch = Watch {
        settings,
        client,
        events,
        refresh,
        current: None,
    };
    loop {
        backoff.attempted(Instant::now());
        watch.tell(Event::Connecting).await;
        watch.current = None;
        let Err(error) = watch.follow().await;
        if watch.current.is_some() {
            backoff.succeeded();
        }
        let now = Instant::now();
        let next_try = backoff.failed(error.is_refusal(), now);
        let retry_in = next_try.saturating_duration_since(now);
        watch.tell(Event::Failed { error, retry_in }).await;
        sleep_until(next_try).await;
    }
}

/// Failures in a row of one kind of call.
#[derive(Default)]
struct Strikes(u32);

impl Strikes {
    /// Counts one; it comes back as an error when it was one too many.
    fn count(&mut self, error: WatchError) -> Result<(), WatchError> {
        self.0 += 1;
        if self.0 >= FAILURES_TO_LOSE {
            return Err(error);
        }
        tracing::warn!(failures = self.0, "{error}; trying again");
        Ok(())
    }

    fn clear(&mut self) {
        self.0 = 0;
    }
}

struct Watch<'a> {
    settings: &'a SoloSettings,
    client: RpcClient,
    events: mpsc::Sender<Event>,
    refresh: &'a Notify,
    current: Option<Arc<BlockTemplate>>,
}

#[derive(Deserialize)]
struct ChainInfo {
    chain: String,
}

type LongPoll = Pin<Box<dyn Future<Output = Result<BlockTemplate, WatchError>> + Send>>;

impl Watch<'_> {
    /// Follows the node until it is lost.
    async fn follow(&mut self) -> Result<Infallible, WatchError> {
        let intervals = &self.settings.intervals;
        let info: ChainInfo = self
            .client
            .call("getblockchaininfo", json!([]), intervals.call)
            .await?;
        let network = Network::of_chain(&info.chain)
            .ok_or_else(|| WatchError::UnknownChain(bounded(&info.chain)))?;
        let script = payout_script(&self.settings.payout_address, network)?;
        let maker = JobMaker::new(self.settings, script);

        let template = get_template(self.client.clone(), None, intervals.template).await?;
        self.propose(&template, &maker).await?;
        self.tell(Event::Connected { maker }).await;
        self.take(template).await;

        let mut long_poll = self.long_poll();
        let mut refresh_at = Instant::now() + intervals.refresh;
        let mut look_at = Instant::now() + self.tip_interval(long_poll.is_some());
        let (mut tip_strikes, mut template_strikes) = (Strikes::default(), Strikes::default());
        loop {
            let wanted = tokio::select! {
                template = some(&mut long_poll) => {
                    long_poll = None;
                    match template {
                        // A slow answer can be older than what was fetched beside it.
                        Ok(template) if self.is_older(&template) => true,
                        Ok(template) => {
                            self.take(template).await;
                            long_poll = self.long_poll();
                            refresh_at = Instant::now() + intervals.refresh;
                            template_strikes.clear();
                            false
                        }
                        Err(error) => {
                            tracing::debug!(%error, "the long poll ended; looking at the tip instead");
                            look_at = Instant::now();
                            false
                        }
                    }
                }
                () = self.refresh.notified() => true,
                () = sleep_until(refresh_at) => true,
                () = sleep_until(look_at) => {
                    look_at = Instant::now() + self.tip_interval(long_poll.is_some());
                    match self.tip_has_moved().await {
                        Ok(moved) => {
                            tip_strikes.clear();
                            moved
                        }
                        Err(error) => {
                            tip_strikes.count(error)?;
                            look_at = Instant::now() + BETWEEN_FAILURES;
                            false
                        }
                    }
                }
            };
            if !wanted {
                continue;
            }
            refresh_at = Instant::now() + intervals.refresh;
            match get_template(self.client.clone(), None, intervals.template).await {
                Ok(template) => {
                    template_strikes.clear();
                    let moved = self.take(template).await;
                    // One long poll is kept as long as it lives: the node holds a thread for each.
                    if long_poll.is_none() && moved {
                        long_poll = self.long_poll();
                    }
                }
                Err(error @ WatchError::Rpc(_)) => {
                    template_strikes.count(error)?;
                    refresh_at = Instant::now() + BETWEEN_FAILURES;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn tip_interval(&self, has_long_poll: bool) -> Duration {
        if has_long_poll {
            self.settings.intervals.tip_beside_long_poll
        } else {
            self.settings.intervals.tip_alone
        }
    }

    /// Waits for the node to have a better template than the current one; `None` where it offers no such thing.
    fn long_poll(&self) -> Option<LongPoll> {
        let id = self.current.as_ref()?.long_poll_id.clone()?;
        let deadline = self.settings.intervals.long_poll;
        Some(Box::pin(get_template(
            self.client.clone(),
            Some(id),
            deadline,
        )))
    }

    fn is_older(&self, template: &BlockTemplate) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| template.height < current.height)
    }

    async fn tip_has_moved(&self) -> Result<bool, WatchError> {
        let deadline = self.settings.intervals.call;
        let best: String = self
            .client
            .call("getbestblockhash", json!([]), deadline)
            .await?;
        let current = self
            .current
            .as_ref()
            .map(|current| displayed(&current.previous_hash));
        Ok(current.as_ref() != Some(&best))
    }

    /// Asks the node once what it thinks of a block of ours, proof of work aside (BIP 23).
    async fn propose(&self, template: &BlockTemplate, maker: &JobMaker) -> Result<(), WatchError> {
        if !template.takes_proposals {
            return Ok(());
        }
        let template = Arc::new(template.clone());
        let job = maker.job(&template, SessionId(0), 0, true);
        let found = Found {
            extranonce2: Extranonce2 {
                value: 0,
                size: job.extranonce2_size,
            },
            ntime: job.ntime,
            nonce: 0,
            version_bits: 0,
            chain: ChainIndex(0),
        };
        let mut request = json!({"mode": "proposal", "rules": ["segwit"]});
        if let Some(request) = request.as_object_mut() {
            let block = Block::assemble(template, &job, found);
            request.insert("data".into(), Value::String(block.to_hex()));
        }
        let verdict: Option<String> = self
            .client
            .call_nullable(
                "getblocktemplate",
                [request],
                self.settings.intervals.template,
                65_536,
            )
            .await?;
        match verdict {
            None => Ok(()),
            // The tip has moved meanwhile, which says nothing against the block.
            Some(verdict) if verdict.starts_with("inconclusive") => Ok(()),
            Some(verdict) => Err(WatchError::Proposal(bounded(&verdict))),
        }
    }

    /// Makes a template the current one; true when it builds on another block than the one before.
    async fn take(&mut self, template: BlockTemplate) -> bool {
        let template = Arc::new(template);
        let before = self.current.replace(Arc::clone(&template));
        let moved = before.is_none_or(|before| before.previous_hash != template.previous_hash);
        self.tell(Event::Template(template)).await;
        moved
    }

    /// The source never stops listening while the watch lives, so this only waits for its turn.
    async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }
}

async fn get_template(
    client: RpcClient,
    long_poll_id: Option<String>,
    deadline: Duration,
) -> Result<BlockTemplate, WatchError> {
    let mut request = json!({
        "rules": ["segwit"],
        "capabilities": ["coinbasevalue", "longpoll", "proposal", "workid"],
    });
    if let (Some(id), Some(request)) = (long_poll_id, request.as_object_mut()) {
        request.insert("longpollid".into(), Value::String(id));
    }
    let answer: Option<Checked> = client
        .call_nullable("getblocktemplate", [request], deadline, LONGEST_ANSWER)
        .await?;
    match answer {
        Some(Checked(template)) => Ok(template?),
        None => Err(TemplateError::Malformed("the node gave none".into()).into()),
    }
}

/// The result of a future that may not be there; without one, never.
async fn some<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
