//! Cases 17 to 21 and 24: requests of the pool, lines, silences, verdicts.

use super::*;

#[tokio::test(start_paused = true)]
async fn case_17_the_pools_requests_are_answered_obeyed_or_refused() {
    let (mut scene, mut pool, _) = Scene::mining(|_| ()).await;
    pool.say(json!({"id": 42, "method": "mining.ping", "params": []}))
        .await;
    assert_eq!(
        pool.line().await,
        Some(json!({"id": 42, "result": "pong", "error": null}))
    );
    pool.say(json!({"id": 43, "method": "client.get_version", "params": []}))
        .await;
    let version = pool.line().await.unwrap();
    assert!(version["id"] == 43 && version["result"].as_str().unwrap().contains('/'));
    pool.call("client.show_message", json!(["Maintenance at noon"]))
        .await;
    pool.say(json!({"id": 7, "method": "mining.never_heard_of", "params": {}}))
        .await;
    pool.call("client.reconnect", json!(["us.pool.evil.net", 3333, 0]))
        .await;
    pool.quiet().await;
    let status = scene.status().await;
    assert_eq!(status.message.as_deref(), Some("Maintenance at noon"));
    assert_eq!((status.lines.unknown, status.lines.bad_parameters), (1, 1));
    pool.call("client.reconnect", json!([])).await;
    pool.hung_up().await;
    let mut pool = scene.accept().await;
    pool.handshake().await;
    // Another host of its domain, which then turns out not to be there: back to the address that
    // the owner gave.
    pool.call(
        "client.reconnect",
        json!(["eu.pool.example.com", "3334", 2]),
    )
    .await;
    pool.hung_up().await;
    let mut pool = scene.accept().await;
    pool.handshake().await;
    let looked_up: Vec<String> = scene
        .net
        .lookups()
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    let home = "us.pool.example.com";
    assert_eq!(looked_up, [home, home, "eu.pool.example.com", home]);
    assert_eq!(
        scene.status().await.failures,
        1,
        "a reconnect is no failure, a dead host is"
    );
}

#[tokio::test(start_paused = true)]
async fn case_18_lines_come_in_pieces_in_heaps_and_with_rubbish_between() {
    let (mut scene, mut pool, _) = Scene::mining(|_| ()).await;
    let notify = |id: &str| {
        let params = json!([
            id,
            HASH,
            "01",
            "02",
            [],
            "20000000",
            "1705c739",
            "64495522",
            false
        ]);
        json!({"id": null, "method": "mining.notify", "params": params}).to_string()
    };
    for byte in format!("{}\r\n", notify("pieces")).bytes() {
        pool.raw(&[byte]).await;
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(&*scene.job().await.id.0, "pieces");
    pool.raw(format!("\n\r\n\0\nhello\n{}\n{}\r\n", notify("x"), notify("heap")).as_bytes())
        .await;
    assert_eq!(&*scene.job().await.id.0, "heap");
    pool.raw(&vec![b'x'; 300_000]).await;
    pool.raw(format!("\n{}\n", notify("after")).as_bytes())
        .await;
    assert_eq!(&*scene.job().await.id.0, "after");
    let lines = scene.status().await.lines;
    assert_eq!((lines.malformed, lines.over_long), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn case_18_a_last_line_without_an_end_still_counts() {
    let (mut scene, mut pool, job) = Scene::mining(|_| ()).await;
    scene.find(&job).await;
    let submit = pool.expect("mining.submit").await;
    let verdict = json!({"id": submit["id"], "result": true, "error": null});
    pool.raw(verdict.to_string().as_bytes()).await;
    drop(pool);
    sleep(Duration::from_millis(100)).await;
    let status = scene.status().await;
    assert_eq!((status.shares.accepted, status.shares.unanswered), (1, 0));
    // The same, and a share without a verdict when the pool goes as it had said.
    let mut pool = scene.accept().await;
    pool.handshake().await;
    pool.notify("2", HASH, true).await;
    let job = scene.job().await;
    scene.find(&job).await;
    pool.expect("mining.submit").await;
    let farewell = json!({"id": null, "method": "client.reconnect", "params": []});
    pool.raw(farewell.to_string().as_bytes()).await;
    let failures = scene.status().await.failures;
    drop(pool);
    let mut pool = scene.accept().await;
    pool.handshake().await;
    assert_eq!(scene.status().await.failures, failures, "it was asked for");
}

#[tokio::test(start_paused = true)]
async fn case_19_silence_ends_a_session_and_every_address_is_tried() {
    let (mut scene, pool, _) = Scene::mining(|_| ()).await;
    let address = |text: &str| text.parse().unwrap();
    let all = vec![
        address("192.0.2.9:3333"),
        address("[2001:db8::1]:3333"),
        address("192.0.2.1:3333"),
    ];
    scene
        .net
        .name("us.pool.example.com", move |_| Lookup::Found(all.clone()));
    scene.net.host("[2001:db8::1]:3333", |_| Reach::BlackHole);
    let mut silent = pool;
    silent.hung_up().await;
    assert!(scene.status().await.last_error.unwrap().contains("silent"));
    let mut pool = scene.accept().await;
    pool.handshake().await;
    let dialled: Vec<String> = scene
        .net
        .dials()
        .iter()
        .skip(1)
        .map(|(_, address)| address.to_string())
        .collect();
    assert_eq!(
        dialled,
        ["[2001:db8::1]:3333", "192.0.2.9:3333", "192.0.2.1:3333"]
    );
}

#[tokio::test(start_paused = true)]
async fn case_20_verdicts_come_in_many_shapes_late_or_never() {
    let (mut scene, mut pool, job) = Scene::mining(|_| ()).await;
    for (result, error) in [
        (json!(true), NULL),
        (json!(false), json!([22, "Duplicate share", null])),
        (NULL, json!({"code": 23, "message": "low difficulty share"})),
        (json!(false), json!("Stale")),
        (NULL, NULL),
    ] {
        scene.find(&job).await;
        let submit = pool.expect("mining.submit").await;
        pool.reply(&submit, result, error).await;
    }
    scene.find(&job).await;
    let submit = pool.expect("mining.submit").await;
    let beside = json!({"id": submit["id"], "result": false, "error": null, "reject-reason": "Above target"});
    pool.say(beside).await;
    scene.find(&job).await;
    let lost = pool.expect("mining.submit").await;
    sleep(Duration::from_secs(1)).await;
    pool.notify("2", HASH, false).await;
    sleep(Duration::from_secs(30)).await;
    let shares = scene.status().await.shares;
    assert_eq!(
        (shares.submitted, shares.accepted, shares.unanswered),
        (7, 1, 1)
    );
    let rejected = &shares.rejected;
    assert_eq!(
        (
            rejected.duplicate,
            rejected.low_difficulty,
            rejected.stale,
            rejected.other
        ),
        (1, 2, 1, 1)
    );
    // Its answer comes on the next connection, where its id means nothing.
    drop(pool);
    let mut pool = scene.accept().await;
    pool.handshake().await;
    pool.reply(&lost, json!(true), NULL).await;
    pool.notify("3", HASH, true).await;
    let job = scene.job().await;
    scene.find(&job).await;
    let submit = pool.expect("mining.submit").await;
    assert!(
        submit["id"].as_u64() > lost["id"].as_u64(),
        "ids are never used again"
    );
    assert_eq!(scene.status().await.shares.accepted, 1);
}

#[tokio::test(start_paused = true)]
async fn case_21_users_and_passwords_are_sent_as_they_are() {
    let user = "bc1q.x@y z\u{fc}\"\\";
    let (mut scene, mut pool, job) = Scene::mining(|settings| {
        settings.user = "bc1q.x@y z\u{fc}\"\\".to_owned();
        settings.password = String::new();
    })
    .await;
    scene.find(&job).await;
    assert_eq!(pool.expect("mining.submit").await["params"][0], user);
    let mut scene = Scene::new(|settings| settings.password = "d=0.001,x".to_owned());
    let mut pool = scene.accept().await;
    pool.configured().await;
    pool.subscribed().await;
    let request = pool.expect("mining.authorize").await;
    assert_eq!(request["params"], json!(["user.worker", "d=0.001,x"]));
}

#[tokio::test(start_paused = true)]
async fn case_24_nothing_is_waited_for_that_pools_never_answer() {
    let mut scene = Scene::new(|settings| {
        settings.suggest_difficulty = Difficulty::new(0.002);
        settings.extranonce_subscribe = true;
    });
    let mut pool = scene.accept().await;
    pool.handshake().await;
    pool.expect("mining.suggest_difficulty").await;
    pool.expect("mining.extranonce.subscribe").await;
    pool.notify("1", HASH, true).await;
    let job = scene.job().await;
    scene.find(&job).await;
    let submit = pool.expect("mining.submit").await;
    pool.reply(&submit, json!(true), NULL).await;
    sleep(Duration::from_secs(60)).await;
    let status = scene.status().await;
    assert_eq!(
        (
            status.shares.accepted,
            status.shares.unanswered,
            status.failures
        ),
        (1, 0, 0)
    );
}
