//! Cases 1 to 9: the handshake.

use super::*;

#[tokio::test(start_paused = true)]
async fn case_01_jobs_and_difficulties_come_before_the_answers() {
    let mut scene = Scene::new(|_| ());
    let mut pool = scene.accept().await;
    pool.difficulty(64.0).await;
    pool.notify("early", HASH, true).await;
    pool.configured().await;
    pool.subscribed().await;
    let authorize = pool.expect("mining.authorize").await;
    pool.difficulty(32.0).await;
    pool.reply(&authorize, json!(true), NULL).await;
    let job = scene.job().await;
    assert_eq!((&*job.id.0, job.share_target.difficulty()), ("early", 64.0));
    assert_eq!(job.version_mask, 0x1fff_e000);
}

#[tokio::test(start_paused = true)]
async fn case_02_ids_come_as_text_and_with_notifications() {
    let mut scene = Scene::new(|settings| settings.suggest_difficulty = Difficulty::new(1000.0));
    let mut pool = scene.accept().await;
    pool.configured().await;
    let request = pool.expect("mining.subscribe").await;
    let id = request["id"].to_string();
    pool.say(json!({"id": id, "result": [[], "c0ffee", 4], "error": null}))
        .await;
    pool.authorized().await;
    let suggest = pool.expect("mining.suggest_difficulty").await;
    pool.say(json!({"id": suggest["id"], "method": "mining.set_difficulty", "params": [1000]}))
        .await;
    pool.notify("1", HASH, true).await;
    assert_eq!(scene.job().await.share_target.difficulty(), 1000.0);
}

#[tokio::test(start_paused = true)]
async fn case_03_configure_comes_first_and_need_not_be_answered() {
    for answer in [
        None,
        Some((NULL, json!([-3, "Method not found", null]))),
        Some((NULL, NULL)),
    ] {
        let mut scene = Scene::new(|_| ());
        let mut pool = scene.accept().await;
        let request = pool.expect("mining.configure").await;
        if let Some((result, error)) = answer {
            pool.reply(&request, result, error).await;
        }
        pool.subscribed().await;
        pool.authorized().await;
        pool.notify("1", HASH, true).await;
        let job = scene.job().await;
        assert_eq!(job.version_mask, 0);
        scene.find(&job).await;
        let submit = pool.expect("mining.submit").await;
        assert_eq!(submit["params"].as_array().map(Vec::len), Some(5));
    }
}

#[tokio::test(start_paused = true)]
async fn case_04_authorize_never_comes_before_the_answer_to_subscribe() {
    let mut scene = Scene::new(|_| ());
    let mut pool = scene.accept().await;
    pool.configured().await;
    let subscribe = pool.expect("mining.subscribe").await;
    pool.quiet().await;
    pool.reply(&subscribe, json!([[], "c0ffee", 4]), NULL).await;
    let authorize = pool.expect("mining.authorize").await;
    pool.reply(&authorize, json!(false), json!("Failed subscription"))
        .await;
    pool.hung_up().await;
    assert!(
        scene
            .status()
            .await
            .last_error
            .unwrap()
            .contains("Failed subscription")
    );
}

#[tokio::test(start_paused = true)]
async fn case_05_subscriptions_have_many_shapes_and_sessions_are_resumed() {
    for (answer, extranonce1, size) in [
        (
            json!([
                [["mining.set_difficulty", "4"], ["mining.notify", "1"]],
                "6c6f",
                4
            ]),
            vec![0x6c, 0x6f],
            4,
        ),
        (
            json!([["mining.notify", "1"], "6c6f", 5]),
            vec![0x6c, 0x6f],
            5,
        ),
        (
            json!(["01650f001f25ea", 4]),
            vec![1, 0x65, 0x0f, 0, 0x1f, 0x25, 0xea],
            4,
        ),
        (json!([[], "", 8]), vec![], 8),
    ] {
        let mut scene = Scene::new(|_| ());
        let mut pool = scene.accept().await;
        pool.configured().await;
        let request = pool.expect("mining.subscribe").await;
        pool.reply(&request, answer, NULL).await;
        pool.authorized().await;
        pool.notify("1", HASH, true).await;
        let job = scene.job().await;
        assert_eq!(job.coinbase_prefix[1..], *extranonce1);
        assert_eq!(job.extranonce2_size, size);
    }
    // Our session is named when we come back; where that is refused, the next connection comes
    // without a word.
    let (mut scene, pool, _) = Scene::mining(|_| ()).await;
    drop(pool);
    let mut pool = scene.accept().await;
    pool.configured().await;
    let request = pool.expect("mining.subscribe").await;
    assert_eq!(request["params"][1], "sid");
    pool.reply(&request, NULL, json!([20, "Other/Unknown", null]))
        .await;
    pool.hung_up().await;
    let mut pool = scene.accept().await;
    pool.configured().await;
    assert_eq!(pool.expect("mining.subscribe").await["params"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn case_06_extranonces_that_cannot_be_used_refuse_the_pool_and_no_more() {
    for (extranonce1, size) in [
        (json!("c0ffee"), json!(0)),
        (json!("c0ffee"), json!(-1)),
        (json!("c0ffee"), json!(1e18)),
        (json!("c0ffee"), json!("x")),
        (json!("c0ffe"), json!(4)),
        (json!(7), json!(4)),
    ] {
        let mut scene = Scene::new(|_| ());
        let mut pool = scene.accept().await;
        pool.configured().await;
        let request = pool.expect("mining.subscribe").await;
        pool.reply(&request, json!([[], extranonce1, size]), NULL)
            .await;
        pool.hung_up().await;
        let status = scene.status().await;
        assert!(status.last_error.unwrap().contains("extranonce"));
        assert_eq!((status.failures, status.phase), (1, PoolPhase::BackingOff));
    }
}

#[tokio::test(start_paused = true)]
async fn case_07_suggest_difficulty_has_an_id_and_its_failure_is_no_reject() {
    let suggest =
        |settings: &mut StratumSettings| settings.suggest_difficulty = Difficulty::new(1000.0);
    let mut scene = Scene::new(suggest);
    let mut pool = scene.accept().await;
    pool.handshake().await;
    let request = pool.expect("mining.suggest_difficulty").await;
    assert!(request["id"].is_u64() && request["params"] == json!([1000]));
    pool.reply(&request, NULL, json!([-3, "Method not found", null]))
        .await;
    pool.notify("1", HASH, true).await;
    scene.job().await;
    let status = scene.status().await;
    assert_eq!(
        (status.shares.rejected.total, status.phase),
        (0, PoolPhase::Ready)
    );
    // One that hangs up on it is not asked again.
    let mut scene = Scene::new(suggest);
    let mut pool = scene.accept().await;
    pool.handshake().await;
    pool.expect("mining.suggest_difficulty").await;
    drop(pool);
    let mut pool = scene.accept().await;
    pool.handshake().await;
    pool.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn case_08_set_extranonce_holds_from_the_next_job_even_of_the_same_id() {
    let (mut scene, mut pool, first) =
        Scene::mining(|settings| settings.extranonce_subscribe = true).await;
    let request = pool.expect("mining.extranonce.subscribe").await;
    pool.reply(&request, NULL, json!([20, "Not supported.", null]))
        .await;
    pool.call("mining.set_extranonce", json!(["aabbccdd", 3]))
        .await;
    scene.no_other_job(&first).await;
    scene.find(&first).await;
    assert_eq!(pool.expect("mining.submit").await["params"][2], "00000001");
    pool.notify("1", HASH, false).await;
    let job = scene.job().await;
    assert_eq!(job.coinbase_prefix[1..], [0xaa, 0xbb, 0xcc, 0xdd]);
    scene.find(&job).await;
    assert_eq!(pool.expect("mining.submit").await["params"][2], "000002");
}

#[tokio::test(start_paused = true)]
async fn case_09_authorize_is_refused_in_several_ways_and_sometimes_only_share_by_share() {
    for (result, error) in [
        (json!(false), NULL),
        (NULL, json!([24, "Unauthorized worker", null])),
    ] {
        let mut scene = Scene::new(|_| ());
        let mut pool = scene.accept().await;
        pool.configured().await;
        pool.subscribed().await;
        let request = pool.expect("mining.authorize").await;
        pool.reply(&request, result, error).await;
        pool.hung_up().await;
        let error = scene.status().await.last_error.unwrap();
        assert!(error.contains("mining.authorize refused"), "{error}");
    }
    let mut scene = Scene::new(|_| ());
    let mut pool = scene.accept().await;
    pool.configured().await;
    pool.subscribed().await;
    let request = pool.expect("mining.authorize").await;
    pool.reply(&request, NULL, NULL).await;
    pool.notify("1", HASH, true).await;
    let job = scene.job().await;
    for _ in 0..3 {
        scene.find(&job).await;
        let submit = pool.expect("mining.submit").await;
        pool.reply(
            &submit,
            json!(false),
            json!([24, "Unauthorized worker", null]),
        )
        .await;
    }
    pool.hung_up().await;
    assert_eq!(scene.status().await.shares.rejected.unauthorized, 3);
}
