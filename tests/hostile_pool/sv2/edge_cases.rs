//! The edge cases of Stratum v2, through the whole room: each test is the pool, message by message.

use super::server::target;
use super::wire::{self, PUBLIC, Reader, Writer};
use crate::stage::{SOON, Stage, played};
use binary_sv2::{GetSize, Seq064K, Seq0255, Serialize, Sv2Option, U256, from_bytes};
use cgminer_rs::pool::settings::StratumSettings;
use cgminer_rs::pool::status::PoolPhase;
use cgminer_rs::work::{Difficulty, Job, Target};
use common_messages_sv2::{Reconnect, SetupConnectionError, SetupConnectionSuccess};
use mining_sv2::{
    CloseChannel, NewExtendedMiningJob, OpenExtendedMiningChannel,
    OpenExtendedMiningChannelSuccess, OpenMiningChannelError, SetExtranoncePrefix, SetGroupChannel,
    SetNewPrevHash, SetTarget, SubmitSharesError, SubmitSharesExtended, SubmitSharesSuccess,
    UpdateChannel, UpdateChannelError,
};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

mod channel;
mod link;
mod standard;
mod verdicts;

const CHANNEL: u32 = 7;
const GROUP: u32 = 70;
const NTIME: u32 = 0x6449_5522;
const NBITS: u32 = 0x1705_c739;

/// A miner with one pool, which the test plays.
struct Scene(Stage);

impl Deref for Scene {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.0
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.0
    }
}

/// The pool's end of a connection.
pub struct Pool {
    pub reader: Reader,
    pub writer: Writer,
}

impl Scene {
    fn new(host: &str, change: impl FnOnce(&mut StratumSettings)) -> Self {
        Self(Stage::new(host, &url(host), change))
    }

    /// The next connection, after whatever back-off, with its handshake done.
    async fn accept(&mut self) -> Pool {
        let stream = self.connection().await;
        let (reader, writer) = wire::accept(stream, super::NOW).await.unwrap();
        Pool { reader, writer }
    }

    /// A connection with an open channel and a first job, 1.
    async fn mining(host: &str) -> (Self, Pool, Arc<Job>) {
        let mut scene = Self::new(host, |_| ());
        let mut pool = scene.accept().await;
        pool.set_up(0).await;
        pool.open().await;
        pool.job(1, None).await;
        pool.previous(1, 1).await;
        let job = scene.job().await;
        (scene, pool, job)
    }
}

impl Pool {
    async fn say<T: Serialize + GetSize>(&mut self, message: T, kind: u8) {
        self.writer.say(message, kind).await.unwrap();
    }

    /// The next message, which must be of this kind.
    async fn expect(&mut self, kind: u8) -> Vec<u8> {
        let next = timeout(Duration::from_secs(200), self.reader.next());
        let (found, bytes) = next.await.expect("no message").expect("they hung up");
        assert_eq!(found, kind);
        bytes
    }

    async fn hung_up(&mut self) {
        let next = timeout(Duration::from_secs(200), self.reader.next());
        assert!(next.await.expect("no end").is_err());
    }

    pub async fn set_up(&mut self, flags: u32) {
        self.expect(0x00).await;
        let success = SetupConnectionSuccess {
            used_version: 2,
            flags,
        };
        self.say(success, 0x01).await;
    }

    pub async fn open(&mut self) {
        let mut bytes = self.expect(0x13).await;
        let open: OpenExtendedMiningChannel<'_> = from_bytes(&mut bytes).unwrap();
        assert_eq!(open.user_identity.as_bytes(), b"user.worker");
        assert!((f64::from(open.nominal_hash_rate) / crate::miner::RATE - 1.0).abs() < 1e-6);
        assert!(open.min_extranonce_size <= 8);
        let (target, request_id) = (target(), open.request_id);
        self.say(
            OpenExtendedMiningChannelSuccess {
                request_id,
                channel_id: CHANNEL,
                target: U256::from(&target),
                extranonce_size: 6,
                extranonce_prefix: (&[0xc0, 0xff, 0xee][..]).try_into().unwrap(),
                group_channel_id: GROUP,
            },
            0x14,
        )
        .await;
    }

    pub async fn job(&mut self, id: u32, min_ntime: Option<u32>) {
        self.job_to(GROUP, id, min_ntime, true).await;
    }

    async fn job_to(
        &mut self,
        channel_id: u32,
        job_id: u32,
        min_ntime: Option<u32>,
        rolling: bool,
    ) {
        let branch = [0x0b; 32];
        let job = NewExtendedMiningJob {
            channel_id,
            job_id,
            min_ntime: Sv2Option::new(min_ntime),
            version: 0x2000_0000,
            version_rolling_allowed: rolling,
            merkle_path: Seq0255::new(vec![U256::from(&branch)]).unwrap(),
            coinbase_tx_prefix: (&[1, 0, 0, 0, 1, 9][..]).try_into().unwrap(),
            coinbase_tx_suffix: (&[2; 50][..]).try_into().unwrap(),
        };
        self.say(job, 0x1f).await;
    }

    pub async fn previous(&mut self, job_id: u32, block: u8) {
        let hash = [block; 32];
        let previous = SetNewPrevHash {
            channel_id: GROUP,
            job_id,
            prev_hash: U256::from(&hash),
            min_ntime: NTIME,
            nbits: NBITS,
        };
        self.say(previous, 0x20).await;
    }

    /// The next share: its sequence number, job, and all else that its header is made of.
    pub async fn share(&mut self) -> (u32, u32, (u32, u32, u32, Vec<u8>)) {
        let mut bytes = self.expect(0x1b).await;
        let share: SubmitSharesExtended<'_> = from_bytes(&mut bytes).unwrap();
        assert_eq!(share.channel_id, CHANNEL);
        let header = (
            share.nonce,
            share.ntime,
            share.version,
            share.extranonce.as_bytes().to_vec(),
        );
        (share.sequence_number, share.job_id, header)
    }

    pub async fn accept(&mut self, last: u32, count: u32) {
        let success = SubmitSharesSuccess {
            channel_id: CHANNEL,
            last_sequence_number: last,
            new_submits_accepted_count: count,
            new_shares_sum: 0,
        };
        self.say(success, 0x1c).await;
    }

    async fn reject(&mut self, sequence_number: u32, code: &str) {
        let error = SubmitSharesError {
            channel_id: CHANNEL,
            sequence_number,
            error_code: code.try_into().unwrap(),
        };
        self.say(error, 0x1d).await;
    }
}

pub fn url(host: &str) -> String {
    format!("stratum2+tcp://{host}:3333/{PUBLIC}")
}
