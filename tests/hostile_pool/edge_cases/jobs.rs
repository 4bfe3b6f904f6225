//! Cases 10 to 16, 22 and 23: jobs.

use super::*;

#[tokio::test(start_paused = true)]
async fn case_10_fields_are_turned_into_header_order_and_back() {
    let (mut scene, mut pool, job) = Scene::mining(|_| ()).await;
    assert_eq!(job.previous_hash[..4], [0x60, 0x93, 0xf9, 0x46]);
    assert_eq!(
        (job.version, job.nbits, job.ntime),
        (0x2000_0000, 0x1705_c739, 0x6449_5522)
    );
    scene
        .find_with(&job, |share| {
            share.nonce = 0x0012_34ab;
            share.ntime += 1;
            share.version_bits = 0x0400_2000;
        })
        .await;
    let params = pool.expect("mining.submit").await["params"].clone();
    assert_eq!(
        params,
        json!([
            "user.worker",
            "1",
            "00000001",
            "64495523",
            "001234ab",
            "04002000"
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn case_11_odd_notifies_are_taken_or_dropped_and_the_link_is_kept() {
    let mut scene = Scene::new(|_| ());
    let mut pool = scene.accept().await;
    pool.handshake().await;
    let good = json!([
        "1",
        HASH,
        "01",
        "02",
        [],
        "20000000",
        "1705c739",
        "64495522"
    ]);
    for (at, bad) in [
        (1, json!("zz")),
        (2, json!("0")),
        (4, json!([1])),
        (7, json!(7)),
        (0, NULL),
    ] {
        let mut params = good.clone();
        params[at] = bad;
        pool.call("mining.notify", params).await;
    }
    // No flag at all on the first, and one field too many on the second.
    pool.call("mining.notify", good.clone()).await;
    assert!(scene.job().await.clean);
    let branches: Vec<&str> = vec![HASH; 14];
    let long = json!([
        "2", HASH, "01", "02", branches, "20000000", "1705c739", "64495522", "64495522", true
    ]);
    pool.call("mining.notify", long).await;
    let job = scene.job().await;
    assert!(job.clean && job.merkle_branches.len() == 14);
    let status = scene.status().await;
    assert_eq!(status.lines.bad_parameters, 5);
    assert_eq!(
        status.nearly_empty_jobs,
        status.jobs - 1,
        "the last one alone has many branches"
    );
}

#[tokio::test(start_paused = true)]
async fn case_12_job_ids_are_any_text_and_may_come_again() {
    let (mut scene, mut pool, _) = Scene::mining(|_| ()).await;
    for (number, id) in ["6b033e1d03c0dc00", "ABCDEF", "abcdef", "\u{e9}\"\\ 9", "1"]
        .iter()
        .enumerate()
    {
        pool.notify_at(id, HASH, false, &format!("{:08x}", 0x6449_6000 + number))
            .await;
        let job = scene.job().await;
        scene.find(&job).await;
        assert_eq!(pool.expect("mining.submit").await["params"][1], *id);
    }
    let job = scene.miner.jobs.borrow().clone().unwrap();
    pool.notify_at("1", HASH, false, "64496004").await;
    scene.no_other_job(&job).await;
}

#[tokio::test(start_paused = true)]
async fn case_13_a_difficulty_holds_from_the_next_job_and_nonsense_is_ignored() {
    let (mut scene, mut pool, first) = Scene::mining(|_| ()).await;
    pool.difficulty(100.5).await;
    scene.no_other_job(&first).await;
    for nonsense in ["0", "-1", "\"9\"", "null", "NaN", "1e999"] {
        let line =
            format!(r#"{{"id":null,"method":"mining.set_difficulty","params":[{nonsense}]}}"#);
        pool.raw(format!("{line}\n").as_bytes()).await;
    }
    pool.notify("2", HASH, false).await;
    assert_eq!(scene.job().await.share_target.difficulty(), 100.5);
    scene.find(&first).await;
    let submit = pool.expect("mining.submit").await;
    pool.reply(&submit, json!(true), NULL).await;
    assert_eq!(
        scene.status().await.shares.accepted_difficulty,
        8.0,
        "that of its own job"
    );
    for difficulty in [0.001, 4.0, 1_099_511_627_776.0] {
        pool.difficulty(difficulty).await;
        pool.notify(&difficulty.to_string(), HASH, false).await;
        let made = scene.job().await.share_target.difficulty();
        assert!((made / difficulty - 1.0).abs() < 1e-9, "{made}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_14_clean_is_what_the_pool_says_and_what_a_new_block_means() {
    let (mut scene, mut pool, first) = Scene::mining(|_| ()).await;
    pool.notify("2", HASH, false).await;
    let second = scene.job().await;
    assert!(!second.clean);
    scene.find(&first).await;
    let late = pool.expect("mining.submit").await;
    pool.reply(&late, json!(false), json!([21, "Job not found", null]))
        .await;
    pool.notify("3", HASH, true).await;
    assert!(scene.job().await.clean, "told so on the same block");
    pool.notify("4", OTHER_HASH, false).await;
    assert!(scene.job().await.clean, "not told so on a new one");
    scene.find(&second).await;
    pool.quiet().await;
    let shares = scene.status().await.shares;
    assert_eq!((shares.rejected.stale, shares.stale_withheld), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn case_15_ntime_may_roll_ten_minutes_and_a_reject_for_it_is_named() {
    let (mut scene, mut pool, job) = Scene::mining(|_| ()).await;
    assert_eq!(job.ntime_roll_limit, 600);
    scene.find(&job).await;
    let submit = pool.expect("mining.submit").await;
    pool.reply(
        &submit,
        json!(false),
        json!([20, "Ntime out of range", null]),
    )
    .await;
    assert_eq!(scene.status().await.shares.rejected.bad_ntime, 1);
}

#[tokio::test(start_paused = true)]
async fn case_16_masks_change_at_once_and_are_clamped_to_what_was_asked() {
    let (mut scene, mut pool, _) = Scene::mining(|_| ()).await;
    pool.call("mining.set_goal", json!(["sha256d"])).await;
    pool.call("mining.set_version_mask", json!(["ffffffff"]))
        .await;
    pool.call("mining.set_version_mask", json!(["0000e000"]))
        .await;
    let job = scene.job().await;
    assert_eq!(job.version_mask, 0xe000);
    scene
        .find_with(&job, |share| share.version_bits = 0x6000)
        .await;
    let submit = pool.expect("mining.submit").await;
    assert_eq!(submit["params"][5], "00006000", "bits, not a version");
    pool.reply(&submit, json!(false), json!([23, "bad-version", null]))
        .await;
    pool.call("mining.set_target", json!([format!("{:0>64}", "ffff")]))
        .await;
    pool.notify("2", HASH, false).await;
    assert_eq!(scene.job().await.share_target.0, [0, 0, 0, 0xffff]);
    assert_eq!(scene.status().await.shares.rejected.bad_version, 1);
}

#[tokio::test(start_paused = true)]
async fn case_22_a_job_sent_again_under_a_prefixed_id_is_another_job() {
    let (mut scene, mut pool, first) = Scene::mining(|_| ()).await;
    pool.difficulty(16.0).await;
    pool.notify("Q1", HASH, false).await;
    let again = scene.job().await;
    assert_eq!(
        (again.share_target.difficulty(), again.clean),
        (16.0, false)
    );
    for (job, id) in [(&first, "1"), (&again, "Q1")] {
        scene.find(job).await;
        let submit = pool.expect("mining.submit").await;
        assert_eq!(submit["params"][1], id);
        pool.reply(&submit, NULL, json!([20, "unknown-work", null]))
            .await;
    }
    assert_eq!(scene.status().await.shares.rejected.stale, 2);
}

#[tokio::test(start_paused = true)]
async fn case_23_a_slow_pool_is_not_a_dead_one() {
    let (mut scene, mut pool, first) = Scene::mining(|_| ()).await;
    for number in 2..12 {
        sleep(Duration::from_secs(110)).await;
        pool.notify_at("1", HASH, false, &format!("{:08x}", 0x6449_5522 + number))
            .await;
    }
    scene.find(&first).await;
    pool.quiet().await;
    let status = scene.status().await;
    assert_eq!(
        (status.failures, status.jobs, status.shares.stale_withheld),
        (0, 11, 1)
    );
}
