//! The task between node and chains: publishes jobs, takes shares, and gives blocks to the node.

use super::block::{Block, displayed};
use super::jobs::{JobMaker, Templates, Verdict};
use super::rpc::RpcClient;
use super::settings::SoloSettings;
use super::submit::{Fate, Settled, WAITING_BLOCKS, submit_blocks};
use super::template::BlockTemplate;
use super::watch::{Event, watch};
use crate::pool::connection::Connector;
use crate::pool::reject::RejectReason;
use crate::pool::source::{JobSource, SourcePorts, SourceTask};
use crate::pool::status::{PoolPhase, PoolStatus, SourceKind};
use crate::work::{SessionId, Share};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// A block with fewer, its coinbase aside, is nearly empty.
const LEAST_TRANSACTIONS: usize = 3;

/// The owner's own node as a source of jobs.
pub struct SoloSource {
    settings: SoloSettings,
    connector: Arc<dyn Connector>,
    seed: u64,
}

impl SoloSource {
    /// A node reached through `connector`; `seed` decides the jitter of the waits.
    pub fn new(settings: SoloSettings, connector: Arc<dyn Connector>, seed: u64) -> Self {
        Self {
            settings,
            connector,
            seed,
        }
    }
}

impl JobSource for SoloSource {
    fn kind(&self) -> SourceKind {
        SourceKind::Solo
    }

    fn initial_status(&self) -> PoolStatus {
        PoolStatus {
            kind: SourceKind::Solo,
            url: format!("http://{}:{}", self.settings.host, self.settings.port),
            user: self.settings.payout_address.clone(),
            ..PoolStatus::default()
        }
    }

    fn fingerprint(&self) -> String {
        let mut secret = DefaultHasher::new();
        self.settings.auth.hash(&mut secret);
        format!("{:?} {:x}", self.settings, secret.finish())
    }

    fn run(self: Box<Self>, ports: SourcePorts) -> SourceTask {
        Box::pin(run(*self, ports))
    }
}

async fn run(source: SoloSource, mut ports: SourcePorts) {
    let status = source.initial_status();
    let SoloSource {
        settings,
        connector,
        seed,
    } = source;
    let client = RpcClient::new(
        settings.host.clone(),
        settings.port,
        settings.auth.clone(),
        connector,
    );
    if !client.is_loopback() {
        tracing::warn!(
            node = client.node(),
            "the node's RPC is not encrypted: let it cross no network that you do not trust"
        );
    }
    let refresh = Notify::new();
    let (blocks, waiting_blocks) = mpsc::channel(WAITING_BLOCKS);
    let (settled_sender, mut settled) = mpsc::channel(WAITING_BLOCKS);
    let submitting = submit_blocks(
        client.clone(),
        settings.intervals,
        waiting_blocks,
        settled_sender,
    );
    tokio::pin!(submitting);
    let mut desk = Desk {
        ports: &mut ports,
        status,
        maker: None,
        session: SessionId(0),
        templates: Templates::default(),
        extended: None,
        blocks,
        refresh: &refresh,
    };
    loop {
        desk.idle();
        // A block that is on its way to the node goes on, wanted or not.
        while !*desk.ports.wanted.borrow_and_update() {
            tokio::select! {
                changed = desk.ports.wanted.changed() => if changed.is_err() { return },
                () = &mut submitting => return,
                Some(block) = settled.recv() => desk.settle(block),
                Some(share) = desk.ports.shares.recv() => desk.take_share(&share),
            }
        }
        let (events_sender, mut events) = mpsc::channel(1);
        let watching = watch(&settings, client.clone(), seed, events_sender, &refresh);
        tokio::pin!(watching);
        loop {
            tokio::select! {
                changed = desk.ports.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if !*desk.ports.wanted.borrow_and_update() {
                        break;
                    }
                }
                Some(event) = events.recv() => desk.take_event(event),
                Some(block) = settled.recv() => desk.settle(block),
                Some(share) = desk.ports.shares.recv() => desk.take_share(&share),
                () = &mut submitting => return,
                never = &mut watching => match never {},
            }
        }
    }
}

/// Everything that is decided, between the futures that wait.
struct Desk<'a> {
    ports: &'a mut SourcePorts,
    status: PoolStatus,
    maker: Option<JobMaker>,
    session: SessionId,
    templates: Templates,
    /// Block that one of ours was accepted on top of: more on it are worth nothing.
    extended: Option<[u8; 32]>,
    blocks: mpsc::Sender<Block>,
    refresh: &'a Notify,
}

impl Desk<'_> {
    fn idle(&mut self) {
        self.lose_session(PoolPhase::Idle);
        self.report();
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Connecting => {
                self.status.phase = PoolPhase::Connecting;
                self.status.connection_attempts += 1;
            }
            Event::Connected { maker } => {
                self.session = self.ports.numbers.next_session();
                self.status.session = Some(self.session.0);
                self.status.peer = self.status.url.strip_prefix("http://").map(str::to_owned);
                self.status.phase = PoolPhase::WaitingForJob;
                self.maker = Some(maker);
            }
            Event::Template(template) => self.take_template(&template),
            Event::Failed { error, retry_in } => {
                let wait = retry_in.as_secs_f64();
                tracing::warn!(node = self.status.url, "{error}; next try in {wait:.1} s");
                self.lose_session(PoolPhase::BackingOff);
                self.status.failures += 1;
                self.status.last_error = Some(format!("{error}; next try in {wait:.1} s"));
                self.status.last_error_at = Some(Instant::now());
            }
        }
        self.report();
    }

    fn take_template(&mut self, template: &Arc<BlockTemplate>) {
        let Some(maker) = &self.maker else {
            return;
        };
        let now = Instant::now();
        let sequence = self.ports.numbers.next_job();
        let is_new_block = self.templates.keep(sequence, Arc::clone(template));
        let is_first = self.status.phase != PoolPhase::Ready;
        let job = maker.job(template, self.session, sequence, is_new_block || is_first);
        if is_new_block {
            tracing::info!(
                height = template.height,
                transactions = template.transactions.len(),
                reward_satoshi = template.coinbase_value,
                "mining on a new block"
            );
        }
        if is_first {
            self.status.phase = PoolPhase::Ready;
            self.status.ready_since = Some(now);
            self.status.sessions_ready += 1;
        }
        let is_nearly_empty = template.transactions.len() < LEAST_TRANSACTIONS;
        self.status.count_job(Some(is_nearly_empty));
        self.status.last_job_at = Some(now);
        self.status.job_id = Some(job.id.0.to_string());
        self.status.difficulty = Some(job.share_target.difficulty());
        self.status.version_mask = Some(job.version_mask);
        self.status.extranonce2_size = Some(job.extranonce2_size);
        self.ports.publish(Some(Arc::new(job)));
    }

    fn take_share(&mut self, share: &Share) {
        let difficulty = share.job.share_target.difficulty();
        let shares = &mut self.status.shares;
        match self.templates.judge(share) {
            Verdict::Stale => shares.withhold(difficulty),
            Verdict::Block(block) if self.extended == Some(block.template.previous_hash) => {
                shares.withhold(difficulty);
            }
            Verdict::Block(block) => self.send_block(block, share),
            Verdict::Share => {
                shares.submitted += 1;
                let now = Instant::now();
                shares.accept(difficulty, false);
                shares.of_chain(share.chain, |shares| shares.accept(difficulty, now));
                self.status.last_accepted_at = Some(now);
            }
            Verdict::LowDifficulty => {
                tracing::error!(
                    job = %share.job.id.0,
                    nonce = format!("{:08x}", share.nonce),
                    "a share does not meet its target when it is checked anew; please report this"
                );
                shares.submitted += 1;
                shares.reject(
                    difficulty,
                    RejectReason::LowDifficulty,
                    "checked anew".into(),
                );
                shares.of_chain(share.chain, |shares| shares.reject(difficulty));
            }
        }
        self.report();
    }

    fn send_block(&mut self, block: Block, share: &Share) {
        let hash = displayed(&block.hash());
        let height = block.template.height;
        if self.blocks.try_send(block).is_ok() {
            let version_bits = format!("{:08x}", share.version_bits);
            let chain = share.chain.0;
            tracing::info!(
                height,
                hash,
                chain,
                version_bits,
                "found a block; submitting it"
            );
        } else {
            tracing::debug!(height, hash, "block withheld: {WAITING_BLOCKS} others wait");
            let difficulty = share.job.share_target.difficulty();
            self.status.shares.withhold(difficulty);
        }
    }

    /// Counts a block once its fate is known.
    fn settle(&mut self, settled: Settled) {
        let Settled { block, fate, took } = settled;
        let height = block.template.height;
        let hash = displayed(&block.hash());
        let shares = &mut self.status.shares;
        if fate != Fate::Withheld {
            shares.submitted += 1;
            shares.blocks_submitted += 1;
            self.status.reply_ms = Some(took.as_secs_f64() * 1000.0);
        }
        match fate {
            Fate::Withheld => shares.withhold(block.share_difficulty),
            Fate::Accepted => {
                tracing::info!(height, hash, "the node accepted the block");
                let now = Instant::now();
                shares.accept(block.share_difficulty, true);
                shares.of_chain(block.chain, |shares| {
                    shares.accept(block.share_difficulty, now);
                });
                self.status.last_accepted_at = Some(now);
                self.status.message = Some(format!("block {height} accepted: {hash}"));
                self.extended = Some(block.template.previous_hash);
                self.refresh.notify_one();
            }
            Fate::Stale(reason) => {
                tracing::warn!(height, hash, reason, "the block came too late");
                shares.reject(block.share_difficulty, RejectReason::Stale, reason);
                shares.of_chain(block.chain, |shares| shares.reject(block.share_difficulty));
                self.refresh.notify_one();
            }
            Fate::Rejected(kind, reason) => {
                tracing::error!(height, hash, reason, "the node refused the block");
                self.status.message = Some(format!("block {height} refused ({reason}): {hash}"));
                shares.reject(block.share_difficulty, kind, reason);
                shares.of_chain(block.chain, |shares| shares.reject(block.share_difficulty));
            }
            Fate::Unanswered(reason) => {
                self.status.message = Some(format!("block {height} lost ({reason}): {hash}"));
                shares.give_up(block.share_difficulty);
            }
        }
        self.report();
    }

    fn lose_session(&mut self, phase: PoolPhase) {
        self.ports.publish(None);
        self.maker = None;
        self.status.phase = phase;
        self.status.forget_session();
    }

    fn report(&self) {
        self.ports.report(self.status.clone());
    }
}
