//! Beginnings and ends.

use super::*;
use tokio::io::AsyncWriteExt;

#[tokio::test(start_paused = true)]
async fn refusals_are_told_in_the_pools_words() {
    let mut scene = Scene::new("a.example.com", |_| ());
    let mut pool = scene.accept().await;
    pool.expect(0x00).await;
    let error_code = "unsupported-protocol".try_into().unwrap();
    pool.say(
        SetupConnectionError {
            flags: 0,
            error_code,
        },
        0x02,
    )
    .await;
    pool.hung_up().await;
    let error = scene.status().await.last_error.unwrap();
    assert!(
        error.contains("SetupConnection refused: unsupported-protocol"),
        "{error}"
    );

    let mut pool = scene.accept().await;
    pool.expect(0x00).await;
    let success = SetupConnectionSuccess {
        used_version: 3,
        flags: 0,
    };
    pool.say(success, 0x01).await;
    pool.hung_up().await;
    let error = scene.status().await.last_error.unwrap();
    assert!(error.contains("version 3"), "{error}");

    let mut pool = scene.accept().await;
    pool.set_up(0).await;
    let mut bytes = pool.expect(0x13).await;
    let open: OpenExtendedMiningChannel<'_> = from_bytes(&mut bytes).unwrap();
    let refused = OpenMiningChannelError {
        request_id: open.request_id,
        error_code: "unknown-user".try_into().unwrap(),
    };
    pool.say(refused, 0x12).await;
    pool.hung_up().await;
    let status = scene.status().await;
    let error = status.last_error.unwrap();
    assert!(
        error.contains("no mining channel for this user: unknown-user"),
        "{error}"
    );
    assert_eq!(status.failures, 3);
}

#[tokio::test(start_paused = true)]
async fn a_closed_channel_is_opened_anew_and_anothers_is_no_matter() {
    let (mut scene, mut pool, job) = Scene::mining("a.example.com").await;
    let close = |channel_id| CloseChannel {
        channel_id,
        reason_code: "maintenance".try_into().unwrap(),
    };
    pool.say(close(12_345), 0x18).await;
    scene.no_other_job(&job).await;
    pool.say(close(CHANNEL), 0x18).await;
    pool.hung_up().await;
    let error = scene.status().await.last_error.unwrap();
    assert!(error.contains("closed the channel: maintenance"), "{error}");
    scene.accept().await.set_up(0).await;
}

#[tokio::test(start_paused = true)]
async fn unknown_messages_and_extensions_are_passed_over() {
    let (mut scene, mut pool, _) = Scene::mining("a.example.com").await;
    pool.writer
        .raw(vec![0, 0, 0x7f, 3, 0, 0, 1, 2, 3])
        .await
        .unwrap();
    pool.writer.raw(vec![5, 0, 0x1d, 0, 0, 0]).await.unwrap();
    // A channel's endpoint has changed: nothing to do.
    pool.writer
        .raw(vec![0, 0x80, 0x03, 4, 0, 0, 7, 0, 0, 0])
        .await
        .unwrap();
    pool.job(2, Some(NTIME)).await;
    scene.job().await;
    let status = scene.status().await;
    assert_eq!(
        (
            status.lines.unknown,
            status.lines.malformed,
            status.failures
        ),
        (3, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_read_are_dropped_and_a_hundred_of_them_are_enough() {
    let (mut scene, mut pool, _) = Scene::mining("a.example.com").await;
    for _ in 0..99 {
        pool.writer
            .raw(vec![0, 0x80, 0x20, 2, 0, 0, 1, 2])
            .await
            .unwrap();
    }
    pool.job(2, Some(NTIME)).await;
    scene.job().await;
    for _ in 0..100 {
        pool.writer.raw(vec![0, 0x80, 0x21, 0, 0, 0]).await.unwrap();
    }
    pool.hung_up().await;
    let status = scene.status().await;
    assert_eq!((status.lines.malformed, status.failures), (199, 1));
}

#[tokio::test(start_paused = true)]
async fn a_frame_too_long_ends_the_connection_by_its_header() {
    let (mut scene, mut pool, _) = Scene::mining("a.example.com").await;
    let length = 300_000_u32.to_le_bytes();
    let frame = [&[0, 0x80, 0x1f][..], &length[..3], &vec![0; 300_000]].concat();
    // Nobody reads it to its end.
    let _ = timeout(SOON, pool.writer.raw(frame)).await;
    let mut again = scene.accept().await;
    again.set_up(0).await;
    let error = scene.status().await.last_error.unwrap();
    assert!(error.contains("a frame of 300000 bytes"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_goes_to_the_same_domain_with_the_same_key_and_nowhere_else() {
    let (mut scene, mut pool, job) = Scene::mining("us.example.com").await;
    let away = Reconnect {
        new_host: "pool.example.net".try_into().unwrap(),
        new_port: 0,
    };
    pool.say(away, 0x04).await;
    scene.no_other_job(&job).await;
    let mut connections = played(&scene.net, "eu.example.com", "192.0.2.9:4444");
    let there = Reconnect {
        new_host: "eu.example.com".try_into().unwrap(),
        new_port: 4444,
    };
    pool.say(there, 0x04).await;
    pool.hung_up().await;
    let stream = timeout(SOON, connections.recv()).await.unwrap().unwrap();
    let (reader, writer) = wire::accept(stream, crate::sv2::NOW).await.unwrap();
    let mut there = Pool { reader, writer };
    there.set_up(0).await;
    assert_eq!(scene.status().await.failures, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_noise_is_told_and_tried_again() {
    let mut scene = Scene::new("a.example.com", |_| ());
    let mut stream = scene.connection().await;
    stream
        .write_all(b"{\"id\":null,\"error\":\"this is Stratum v1\"}\n")
        .await
        .unwrap();
    stream.read_exact(&mut [0; 64]).await.unwrap();
    drop(stream);
    let mut pool = scene.accept().await;
    let error = scene.status().await.last_error.unwrap();
    assert!(error.contains("does it speak Stratum v2"), "{error}");
    pool.set_up(0).await;
    assert_eq!(scene.status().await.phase, PoolPhase::Handshake);
}
