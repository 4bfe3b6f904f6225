//! Standard channels: one for each of two chains.

use super::*;
use cgminer_rs::work::{ChainIndex, MerkleRoots};
use mining_sv2::{
    NewMiningJob, OpenStandardMiningChannel, OpenStandardMiningChannelSuccess, SubmitSharesStandard,
};

impl Pool {
    /// Opens the next channel, under this name.
    async fn open_standard(&mut self, channel_id: u32) {
        let mut bytes = self.expect(0x10).await;
        let open: OpenStandardMiningChannel<'_> = from_bytes(&mut bytes).unwrap();
        assert!((f64::from(open.nominal_hash_rate) / crate::miner::RATE - 0.5).abs() < 1e-6);
        let (target, request_id) = (target(), open.request_id);
        let success = OpenStandardMiningChannelSuccess {
            request_id,
            channel_id,
            target: U256::from(&target),
            extranonce_prefix: (&[1, 2][..]).try_into().unwrap(),
            group_channel_id: GROUP,
        };
        self.say(success, 0x11).await;
    }

    async fn root(&mut self, channel_id: u32, job_id: u32, min_ntime: Option<u32>) {
        let merkle_root = [job_id as u8; 32];
        let job = NewMiningJob {
            channel_id,
            job_id,
            min_ntime: Sv2Option::new(min_ntime),
            version: 0x2000_0000,
            merkle_root: U256::from(&merkle_root),
        };
        self.say(job, 0x15).await;
    }

    async fn block(&mut self, channel_id: u32, job_id: u32, block: u8) {
        let hash = [block; 32];
        let previous = SetNewPrevHash {
            channel_id,
            job_id,
            prev_hash: U256::from(&hash),
            min_ntime: NTIME,
            nbits: NBITS,
        };
        self.say(previous, 0x20).await;
    }

    async fn standard_share(&mut self) -> SubmitSharesStandard {
        let mut bytes = self.expect(0x1a).await;
        from_bytes(&mut bytes).unwrap()
    }
}

/// Two chains at work, on the jobs 11 and 22 of the channels 1 and 2.
async fn mining() -> (Scene, Pool, Arc<Job>) {
    let mut scene = Scene::new("a.example.com", |settings| {
        settings.user = "standard".into();
    });
    let mut pool = scene.accept().await;
    let mut bytes = pool.expect(0x00).await;
    let setup: common_messages_sv2::SetupConnection<'_> = from_bytes(&mut bytes).unwrap();
    assert!(setup.requires_standard_job());
    let success = SetupConnectionSuccess {
        used_version: 2,
        flags: 0,
    };
    pool.say(success, 0x01).await;
    // As the reference implementation does it: each channel's job comes before the next channel is open.
    for (channel, job) in [(1, 11), (2, 22)] {
        pool.open_standard(channel).await;
        pool.root(channel, job, None).await;
        pool.block(channel, job, 1).await;
    }
    sleep(Duration::from_millis(100)).await;
    let job = scene.miner.next_job(SOON).await;
    (scene, pool, job)
}

fn own(job: &Arc<Job>, chain: u8) -> Option<Arc<Job>> {
    job.for_chain(ChainIndex(chain))
}

#[tokio::test(start_paused = true)]
async fn each_chain_works_on_the_root_of_its_channel_and_its_shares_go_there() {
    let (mut scene, mut pool, job) = mining().await;
    let (first, second) = (own(&job, 0).unwrap(), own(&job, 1).unwrap());
    assert_eq!((&*first.id.0, &*second.id.0), ("11", "22"));
    assert_eq!(first.roots, MerkleRoots::Fixed([11; 32]));
    assert_eq!(
        (second.previous_hash, second.ntime, second.clean),
        ([1; 32], NTIME, true)
    );
    assert_eq!(own(&job, 2), None);
    scene
        .find_with(&second, |share| {
            share.chain = ChainIndex(1);
            share.version_bits = 0x4000;
        })
        .await;
    let share = pool.standard_share().await;
    assert_eq!(
        (share.channel_id, share.job_id, share.version),
        (2, 22, 0x2000_4000)
    );
    scene.find(&first).await;
    let share = pool.standard_share().await;
    assert_eq!((share.channel_id, share.job_id), (1, 11));
    let accepted = |channel_id, last_sequence_number| SubmitSharesSuccess {
        channel_id,
        last_sequence_number,
        new_submits_accepted_count: 1,
        new_shares_sum: 0,
    };
    // The second channel's share came first; the first channel's success is no word on it.
    pool.say(accepted(1, 2), 0x1c).await;
    assert_eq!(scene.status().await.shares.accepted, 1);
    pool.say(accepted(2, 1), 0x1c).await;
    assert_eq!(scene.status().await.shares.accepted, 2);
    assert_eq!(scene.status().await.lines.unknown, 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_block_takes_work_from_a_chain_until_its_own_channel_has_heard_of_it() {
    let (mut scene, mut pool, before) = mining().await;
    pool.root(1, 12, None).await;
    pool.root(2, 23, None).await;
    pool.block(1, 12, 2).await;
    let job = scene.job().await;
    assert!(job.clean && job.sequence > before.sequence);
    assert_eq!(&*own(&job, 0).unwrap().id.0, "12");
    assert_eq!(own(&job, 1), None);
    pool.block(2, 23, 2).await;
    let job = scene.job().await;
    assert_eq!(&*own(&job, 1).unwrap().id.0, "23");
    scene
        .find_with(&own(&before, 1).unwrap(), |share| {
            share.chain = ChainIndex(1);
        })
        .await;
    assert_eq!(scene.status().await.shares.stale_withheld, 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_job_of_one_channel_is_no_new_job_to_the_other_chain() {
    let (mut scene, mut pool, before) = mining().await;
    pool.root(2, 23, Some(NTIME + 3)).await;
    let job = scene.job().await;
    assert!(Arc::ptr_eq(
        &own(&before, 0).unwrap(),
        &own(&job, 0).unwrap()
    ));
    let own = own(&job, 1).unwrap();
    assert_eq!((&*own.id.0, own.ntime, own.clean), ("23", NTIME + 3, false));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_wants_extended_channels_is_asked_for_one_at_the_next_connection() {
    let mut scene = Scene::new("a.example.com", |settings| {
        settings.user = "standard".into();
    });
    let mut pool = scene.accept().await;
    pool.set_up(2).await;
    pool.hung_up().await;
    let mut pool = scene.accept().await;
    pool.set_up(2).await;
    pool.expect(0x13).await;
}
