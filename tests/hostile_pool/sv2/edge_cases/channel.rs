//! Channels and jobs.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_job_sent_ahead_is_worked_on_when_its_block_comes_and_not_before() {
    let (mut scene, mut pool, job) = Scene::mining("a.example.com").await;
    assert_eq!(
        (&*job.id.0, job.clean, job.previous_hash),
        ("1", true, [1; 32])
    );
    assert_eq!(&*job.coinbase_prefix, [1, 0, 0, 0, 1, 9, 0xc0, 0xff, 0xee]);
    assert_eq!(
        (job.extranonce2_size, job.ntime, job.nbits),
        (6, NTIME, NBITS)
    );
    assert_eq!(
        (&*job.merkle_branches, job.version_mask),
        (&[[0x0b; 32]][..], 0x1fff_e000)
    );
    pool.job(2, None).await;
    pool.job(3, None).await;
    scene.no_other_job(&job).await;
    pool.previous(3, 2).await;
    let next = scene.job().await;
    assert_eq!(
        (&*next.id.0, next.clean, next.previous_hash),
        ("3", true, [2; 32])
    );
    // Job 2 was dropped with the block before.
    pool.previous(2, 3).await;
    scene.no_other_job(&next).await;
    assert_eq!(scene.status().await.lines.bad_parameters, 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_for_now_joins_the_block_and_leaves_earlier_work_alone() {
    let (mut scene, mut pool, first) = Scene::mining("a.example.com").await;
    pool.job_to(CHANNEL, 2, Some(NTIME - 5), false).await;
    let second = scene.job().await;
    assert_eq!(
        (second.clean, second.ntime, second.version_mask),
        (false, NTIME, 0)
    );
    assert_eq!(second.previous_hash, first.previous_hash);
    scene.find(&first).await;
    assert_eq!(pool.share().await.1, 1);
}

#[tokio::test(start_paused = true)]
async fn a_share_carries_the_whole_version_and_all_bytes_of_its_extranonce() {
    let (mut scene, mut pool, job) = Scene::mining("a.example.com").await;
    scene
        .find_with(&job, |share| {
            share.version_bits = 0x0000_2000;
            share.ntime = NTIME + 1;
            share.extranonce2.value = 0x0102;
        })
        .await;
    let (sequence, id, header) = pool.share().await;
    assert_eq!((sequence, id), (1, 1));
    assert_eq!(header, (1, NTIME + 1, 0x2000_2000, vec![0, 0, 0, 0, 1, 2]));
}

#[tokio::test(start_paused = true)]
async fn shares_of_the_block_before_are_held_back_unless_they_are_blocks() {
    let (mut scene, mut pool, old) = Scene::mining("a.example.com").await;
    pool.job(2, None).await;
    pool.previous(2, 2).await;
    let new = scene.job().await;
    scene.find(&old).await;
    scene.find_with(&old, |share| share.is_block = true).await;
    scene.find(&new).await;
    assert_eq!((pool.share().await.1, pool.share().await.1), (1, 2));
    assert_eq!(scene.status().await.shares.stale_withheld, 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_given_to_another_job_makes_the_first_one_worthless() {
    let (mut scene, mut pool, old) = Scene::mining("a.example.com").await;
    pool.job_to(CHANNEL, 1, Some(NTIME + 9), true).await;
    let new = scene.job().await;
    assert_eq!(new.ntime, NTIME + 9);
    scene.find(&old).await;
    assert_eq!(scene.status().await.shares.stale_withheld, 1);
}

#[tokio::test(start_paused = true)]
async fn a_target_holds_for_jobs_sent_ahead_and_not_for_the_one_in_work() {
    let (mut scene, mut pool, job) = Scene::mining("a.example.com").await;
    pool.job(2, None).await;
    let mut hard = [0; 32];
    hard[20] = 1;
    let maximum_target = U256::from(&hard);
    let set = SetTarget {
        channel_id: GROUP,
        maximum_target,
    };
    pool.say(set, 0x21).await;
    scene.no_other_job(&job).await;
    pool.previous(2, 2).await;
    let job = scene.job().await;
    assert_eq!(job.share_target, Target([0, 1 << 32, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn an_extranonce_prefix_holds_for_jobs_that_come_after_it() {
    let (mut scene, mut pool, _) = Scene::mining("a.example.com").await;
    pool.job(2, None).await;
    let prefix = SetExtranoncePrefix {
        channel_id: CHANNEL,
        extranonce_prefix: (&[0xaa; 5][..]).try_into().unwrap(),
    };
    pool.say(prefix, 0x19).await;
    pool.previous(2, 2).await;
    let before = scene.job().await;
    assert!(before.coinbase_prefix.ends_with(&[0xc0, 0xff, 0xee]));
    pool.job(3, Some(NTIME)).await;
    let after = scene.job().await;
    assert!(after.coinbase_prefix.ends_with(&[0xaa; 5]));
}

#[tokio::test(start_paused = true)]
async fn another_group_is_listened_to_and_strangers_are_not() {
    let (mut scene, mut pool, job) = Scene::mining("a.example.com").await;
    let set = SetGroupChannel {
        group_channel_id: 71,
        channel_ids: Seq064K::new(vec![3, CHANNEL]).unwrap(),
    };
    pool.say(set, 0x25).await;
    pool.job_to(GROUP, 2, Some(NTIME), true).await;
    pool.job_to(12_345, 3, Some(NTIME), true).await;
    scene.no_other_job(&job).await;
    pool.job_to(71, 4, Some(NTIME), true).await;
    assert_eq!(&*scene.job().await.id.0, "4");
    assert_eq!(scene.status().await.lines.unknown, 2);
}

#[tokio::test(start_paused = true)]
async fn a_coinbase_with_witness_is_hashed_without_it() {
    let (mut scene, mut pool, _) = Scene::mining("a.example.com").await;
    let front = [&[1, 0, 0, 0, 0, 1][..], &[1, 9]].concat();
    let witness = [&[1, 32][..], &[0; 32]].concat();
    let behind = [&[2; 50][..], &witness, &[5, 6, 7, 8]].concat();
    let job = NewExtendedMiningJob {
        channel_id: CHANNEL,
        job_id: 9,
        min_ntime: Sv2Option::new(Some(NTIME)),
        version: 0x2000_0000,
        version_rolling_allowed: true,
        merkle_path: Seq0255::new(Vec::new()).unwrap(),
        coinbase_tx_prefix: front.as_slice().try_into().unwrap(),
        coinbase_tx_suffix: behind.as_slice().try_into().unwrap(),
    };
    pool.say(job, 0x1f).await;
    let job = scene.job().await;
    assert_eq!(&*job.coinbase_prefix, [1, 0, 0, 0, 1, 9, 0xc0, 0xff, 0xee]);
    assert_eq!(
        &*job.coinbase_suffix,
        [&[2; 50][..], &[5, 6, 7, 8]].concat()
    );
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_fixes_the_version_gets_it_unrolled() {
    let mut scene = Scene::new("a.example.com", |_| ());
    let mut pool = scene.accept().await;
    pool.set_up(1).await;
    pool.open().await;
    pool.job(1, None).await;
    pool.previous(1, 1).await;
    assert_eq!(scene.job().await.version_mask, 0);
}

#[tokio::test(start_paused = true)]
async fn a_changed_hash_rate_is_told_once_and_a_refusal_of_it_is_no_harm() {
    let (sender, rate) = watch::channel(crate::miner::RATE);
    super::super::set_rate(&url("drift.example.com"), rate);
    let (mut scene, mut pool, _) = Scene::mining("drift.example.com").await;
    sender.send_replace(1.1 * crate::miner::RATE);
    sleep(Duration::from_secs(70)).await;
    pool.job(2, Some(NTIME)).await;
    assert_eq!(&*scene.job().await.id.0, "2");
    sender.send_replace(0.5 * crate::miner::RATE);
    let mut bytes = pool.expect(0x16).await;
    let update: UpdateChannel<'_> = from_bytes(&mut bytes).unwrap();
    assert_eq!(update.channel_id, CHANNEL);
    assert!((f64::from(update.nominal_hash_rate) / 5e13 - 1.0).abs() < 1e-6);
    let refused = UpdateChannelError {
        channel_id: CHANNEL,
        error_code: "invalid-nominal-hashrate".try_into().unwrap(),
    };
    pool.say(refused, 0x17).await;
    pool.job(3, Some(NTIME)).await;
    assert_eq!(&*scene.job().await.id.0, "3");
    assert_eq!(scene.status().await.failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_suggested_difficulty_that_the_pool_cannot_take_is_given_up() {
    let mut scene = Scene::new("a.example.com", |settings| {
        settings.suggest_difficulty = Difficulty::new(1000.0);
    });
    let mut pool = scene.accept().await;
    pool.set_up(0).await;
    let mut bytes = pool.expect(0x13).await;
    let open: OpenExtendedMiningChannel<'_> = from_bytes(&mut bytes).unwrap();
    assert_ne!(open.max_target.as_bytes(), [0xff; 32]);
    let refused = OpenMiningChannelError {
        request_id: open.request_id,
        error_code: "max-target-out-of-range".try_into().unwrap(),
    };
    pool.say(refused, 0x12).await;
    pool.open().await;
    pool.job(1, None).await;
    pool.previous(1, 1).await;
    scene.job().await;
    assert_eq!(scene.status().await.failures, 0);
}
