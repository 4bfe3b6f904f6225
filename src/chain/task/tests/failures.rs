//! What goes wrong with a chain, and that it is told, counted and recovered from.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_missing_chip_fails_the_bring_up_with_what_was_found() {
    let script = Script {
        chips: 125,
        ..Script::default()
    };
    let mut rig = Rig::new(script);
    rig.until(ChainPhase::BackOff).await;
    let status = rig.status.borrow().clone();
    let reason = status.reason.expect("a reason");
    assert!(reason.contains("125 of 126 chips answered"), "{reason}");
    assert!(
        reason.contains("counting chips") && reason.contains("CHIP_ID (00)"),
        "{reason}"
    );
    assert_eq!(status.chips_found, Some(125));
    assert_eq!(rig.reset.lock().expect("no panic").last(), Some(&"hold"));
}

#[tokio::test(start_paused = true)]
async fn one_chip_too_many_fails_it_too() {
    let script = Script {
        chips: 127,
        ..Script::default()
    };
    let mut rig = Rig::new(script);
    rig.until(ChainPhase::BackOff).await;
    assert_eq!(rig.status.borrow().chips_found, Some(127));
}

#[tokio::test(start_paused = true)]
async fn chips_that_do_not_take_the_speed_fail_the_bring_up_at_once() {
    let script = Script {
        only_at: Some(Baud::RESET),
        ..Script::default()
    };
    let mut rig = Rig::new(script);
    rig.until(ChainPhase::BackOff).await;
    let reason = rig.status.borrow().reason.clone().expect("a reason");
    assert!(
        reason.contains("0 of 126 chips answer at 3125000 baud"),
        "{reason}"
    );
    assert!(reason.contains("change of baud rate"), "{reason}");
    assert!(
        rig.writes(0x08).is_empty(),
        "the clock is not raised on chips that do not listen"
    );
}

#[tokio::test(start_paused = true)]
async fn chips_of_another_model_are_named() {
    let script = Script {
        identity: [0x13, 0x70, 0x00, 0x00],
        ..Script::default()
    };
    let mut rig = Rig::new(script);
    rig.until(ChainPhase::BackOff).await;
    let reason = rig.status.borrow().reason.clone().expect("a reason");
    assert!(
        reason.contains("says it is 1370, 1362 was expected"),
        "{reason}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_comes_back_is_used_again() {
    let script = Script {
        chips: 0,
        ..Script::default()
    };
    let mut rig = Rig::new(script);
    rig.give(job(1));
    rig.until(ChainPhase::BackOff).await;
    rig.chain.change(|script| script.chips = 126);
    rig.until(ChainPhase::Hashing).await;
    assert!(rig.shares.recv().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn restarts_end_with_their_budget_and_a_command_renews_it() {
    let script = Script {
        chips: 0,
        ..Script::default()
    };
    let mut rig = Rig::new(script);
    rig.until(ChainPhase::Failed).await;
    let policy = RestartPolicy::default();
    let tries = u64::from(policy.budget) + 1;
    assert_eq!(rig.status.borrow().counters.bring_ups, tries);
    rig.chain.forget();
    sleep(Duration::from_secs(24 * 3600)).await;
    assert!(rig.chain.log().is_empty(), "a failed chain is left alone");

    rig.chain.change(|script| script.chips = 126);
    let reason = "chain was repaired".to_owned();
    rig.commands
        .send(ChainCommand::Restart { reason })
        .await
        .expect("the task lives");
    rig.until(ChainPhase::Idle).await;
    assert_eq!(rig.status.borrow().counters.failures, tries);
}

#[tokio::test(start_paused = true)]
async fn a_mute_chain_is_brought_up_again() {
    let mut rig = Rig::hashing(Script::default()).await;
    rig.chain.change(|script| script.finds = false);
    rig.until(ChainPhase::BackOff).await;
    let reason = rig.status.borrow().reason.clone().expect("a reason");
    assert!(reason.contains("no good nonce"), "{reason}");
    rig.chain.change(|script| script.finds = true);
    rig.until(ChainPhase::Hashing).await;
    assert_eq!(rig.status.borrow().counters.failures, 1);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_only_computes_wrongly_counts_as_mute() {
    let script = Script {
        wrong_nonce: true,
        ..Script::default()
    };
    let mut rig = Rig::hashing(script).await;
    rig.until(ChainPhase::BackOff).await;
    let counters = rig.status.borrow().counters;
    assert!(counters.mismatches > 5);
    assert_eq!((counters.shares, counters.nonces), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_chain_is_not_mute() {
    let mut rig = Rig::hashing(Script::default()).await;
    rig.jobs.send_replace(None);
    rig.until(ChainPhase::Idle).await;
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(rig.status.borrow().phase, ChainPhase::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_ends_fails_the_chain_and_the_reason_says_so() {
    let mut rig = Rig::hashing(Script::default()).await;
    rig.chain.unplug();
    rig.until(ChainPhase::BackOff).await;
    let reason = rig.status.borrow().reason.clone().expect("a reason");
    assert!(
        reason.contains("chain0") && reason.contains("closed"),
        "{reason}"
    );
    rig.until(ChainPhase::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_loses_shares_but_counts_them_and_mining_goes_on() {
    let mut rig = Rig::hashing(Script::default()).await;
    sleep(Duration::from_secs(30)).await;
    let status = rig.next_status().await;
    let counters = status.counters;
    assert_eq!(counters.shares, 4, "the queue holds four");
    assert!(counters.shares_lost >= 10);
    assert_eq!(counters.shares + counters.shares_lost, counters.nonces);
    assert_eq!(status.phase, ChainPhase::Hashing);
}

#[tokio::test(start_paused = true)]
async fn a_reply_sent_twice_is_one_share_and_one_duplicate() {
    let script = Script {
        copies: 2,
        ..Script::default()
    };
    let mut rig = Rig::hashing(script).await;
    let status = rig.next_status().await;
    assert_eq!(status.counters.shares, 1);
    assert_eq!(status.counters.duplicates, 1);
    assert_eq!(status.chips[110].duplicates, 1);
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_comes_after_a_new_block_is_stale() {
    let script = Script {
        late: true,
        ..Script::default()
    };
    let mut rig = Rig::hashing(script).await;
    rig.give(job(2));
    let status = rig.next_status().await;
    assert_eq!(status.counters.stale, 1);
    assert_eq!(status.counters.shares, 0);
    assert!(rig.shares.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn noise_on_the_line_is_counted_and_costs_no_share() {
    let noise = [0x00, 0xFF, 0xAA, 0x55, 0xAA, 0x55, 0x12, 0xAA];
    let script = Script {
        noise: noise.to_vec(),
        ..Script::default()
    };
    let mut rig = Rig::hashing(script).await;
    let status = rig.next_status().await;
    assert_eq!(status.counters.shares, 1);
    assert_eq!(status.counters.lost_bytes, noise.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_room_for_the_chain_leaves_it_idle_with_the_reason() {
    let mut settings = settings();
    settings.partition = Extranonce2Partition::new(300, 301).expect("a part");
    let mut rig = Rig::with(Script::default(), settings);
    rig.give(Job {
        extranonce2_size: 1,
        ..job(1)
    });
    rig.until(ChainPhase::Idle).await;
    sleep(Duration::from_secs(1)).await;
    let reason = rig.status.borrow().reason.clone().expect("a reason");
    assert!(reason.contains("extranonce2 of 1 bytes"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_on_demand_resets_the_chips() {
    let mut rig = Rig::hashing(Script::default()).await;
    let reason = "owner asked".to_owned();
    rig.commands
        .send(ChainCommand::Restart { reason })
        .await
        .expect("the task lives");
    rig.until(ChainPhase::BringUp).await;
    rig.until(ChainPhase::Hashing).await;
    let reset = rig.reset.lock().expect("no panic").clone();
    assert_eq!(reset, ["hold", "release", "hold", "hold", "release"]);
    assert_eq!(rig.status.borrow().counters.failures, 0);
}
