//! What becomes of shares.

use super::*;

#[tokio::test(start_paused = true)]
async fn one_success_stands_for_all_shares_up_to_it_but_those_rejected() {
    let (mut scene, mut pool, job) = Scene::mining("a.example.com").await;
    for _ in 0..5 {
        scene.find(&job).await;
    }
    for sequence in 1..=5 {
        assert_eq!(pool.share().await.0, sequence);
    }
    pool.reject(2, "duplicate-share").await;
    pool.accept(4, 3).await;
    let shares = scene.status().await.shares;
    assert_eq!(
        (shares.submitted, shares.accepted, shares.rejected.total),
        (5, 3, 1)
    );
    assert_eq!(shares.rejected.duplicate, 1);
    pool.accept(5, 1).await;
    assert_eq!(scene.status().await.shares.accepted, 4);
}

#[tokio::test(start_paused = true)]
async fn a_success_that_overtakes_a_reject_leaves_the_rejected_share_waiting() {
    let (mut scene, mut pool, job) = Scene::mining("a.example.com").await;
    for _ in 0..3 {
        scene.find(&job).await;
        pool.share().await;
    }
    // Two of three, and which of the first two is not said yet.
    pool.accept(3, 2).await;
    assert_eq!(scene.status().await.shares.accepted, 2);
    pool.reject(2, "stale-share").await;
    let shares = scene.status().await.shares;
    assert_eq!((shares.accepted, shares.rejected.stale), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn verdicts_on_nothing_are_counted_and_harm_nothing() {
    let (mut scene, mut pool, job) = Scene::mining("a.example.com").await;
    pool.accept(99, 4_000_000_000).await;
    pool.reject(77, "invalid-share").await;
    scene.find(&job).await;
    let (sequence, ..) = pool.share().await;
    pool.accept(sequence, 0).await;
    let status = scene.status().await;
    assert_eq!((status.lines.unknown, status.shares.accepted), (2, 1));
    assert_eq!((status.shares.rejected.total, status.failures), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn every_code_is_sorted() {
    let (mut scene, mut pool, job) = Scene::mining("a.example.com").await;
    let codes = [
        "stale-share",
        "invalid-job-id",
        "difficulty-too-low",
        "duplicate-share",
        "version-rolling-not-allowed",
        "bad-extranonce-size",
    ];
    for code in codes {
        scene.find(&job).await;
        let (sequence, ..) = pool.share().await;
        pool.reject(sequence, code).await;
    }
    let rejected = scene.status().await.shares.rejected;
    assert_eq!(
        (rejected.stale, rejected.low_difficulty, rejected.duplicate),
        (2, 1, 1)
    );
    assert_eq!((rejected.bad_version, rejected.other), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_has_forgotten_the_channel_is_connected_to_anew() {
    let (mut scene, mut pool, job) = Scene::mining("a.example.com").await;
    for _ in 0..3 {
        scene.find(&job).await;
        let (sequence, ..) = pool.share().await;
        pool.reject(sequence, "invalid-channel-id").await;
    }
    pool.hung_up().await;
    scene.accept().await.set_up(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_collects_shares_is_waited_for_until_a_batch_is_overdue() {
    let (mut scene, mut pool, job) = Scene::mining("a.example.com").await;
    // It shows that it collects ten.
    for _ in 0..10 {
        scene.find(&job).await;
        pool.share().await;
    }
    pool.accept(10, 10).await;
    // Nine more say nothing, for as long as jobs come.
    for minute in 0..10 {
        if minute < 9 {
            scene.find(&job).await;
            pool.share().await;
        }
        sleep(Duration::from_secs(60)).await;
        pool.job(2 + minute, Some(NTIME)).await;
    }
    let status = scene.status().await;
    assert_eq!((status.shares.unanswered, status.failures), (0, 0));
    // The tenth makes a verdict due.
    let job = scene.miner.jobs.borrow().clone().unwrap();
    scene.find(&job).await;
    pool.share().await;
    sleep(Duration::from_secs(29)).await;
    assert_eq!(scene.status().await.failures, 0);
    sleep(Duration::from_secs(2)).await;
    let status = scene.status().await;
    assert_eq!((status.shares.unanswered, status.failures), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn shares_of_an_ended_session_are_sent_to_no_other() {
    let (mut scene, pool, old) = Scene::mining("a.example.com").await;
    drop(pool);
    let mut pool = scene.accept().await;
    pool.set_up(0).await;
    pool.open().await;
    pool.job(1, None).await;
    pool.previous(1, 1).await;
    sleep(Duration::from_millis(100)).await;
    let new = scene.miner.jobs.borrow().clone().unwrap();
    assert_ne!(new.session, old.session);
    scene.find(&old).await;
    scene.find(&new).await;
    assert_eq!(pool.share().await.2.0, 2);
    assert_eq!(scene.status().await.shares.session_gone, 1);
}
