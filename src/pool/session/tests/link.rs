//! Lines, silences, questions, and anything at all.

use super::*;

#[test]
fn the_pools_questions_are_answered() {
    let mut talk = Talk::running();
    talk.say(&json!({"id": 42, "method": "mining.ping", "params": []}));
    assert_eq!(
        talk.sent.last(),
        Some(&json!({"id": 42, "result": "pong", "error": null}))
    );
    talk.say(&json!({"id": "v", "method": "client.get_version", "params": []}));
    let version = talk.sent.last().unwrap();
    assert_eq!(version["id"], "v");
    assert!(
        version["result"]
            .as_str()
            .unwrap()
            .starts_with("cgminer-rs/")
    );
    let lines = talk.sent.len();
    talk.say(&json!({"id": null, "method": "mining.ping"}));
    talk.say(&json!({"id": 1, "method": "mining.set_goal", "params": ["x"]}));
    talk.say(&json!({"method": "client.show_message", "params": ["hello\u{7}"]}));
    assert_eq!(talk.sent.len(), lines);
    let mut status = PoolStatus::default();
    talk.session.describe(&mut status);
    assert_eq!(
        (status.message.as_deref(), status.lines.unknown),
        (Some("hello "), 1)
    );
}

/// Whoever may read the status may not know the password.
#[test]
fn a_pool_that_tells_our_password_is_not_repeated() {
    let mut talk = Talk::new(|settings| {
        settings.password = "geheim".into();
        settings.version_rolling = false;
    });
    talk.say(&json!({"method": "client.show_message", "params": ["geheim is wrong"]}));
    let wrong = json!([24, "no worker with geheim", null]);
    talk.reply("mining.subscribe", &json!([[], "00", 4]), &Value::Null);
    talk.reply("mining.authorize", &json!(false), &wrong);
    let mut status = PoolStatus::default();
    talk.session.describe(&mut status);
    assert_eq!(status.message.as_deref(), Some("<our password> is wrong"));
    let told = talk.ended().to_string();
    assert!(told.contains("no worker with <our password>"), "{told}");
}

#[test]
fn a_reconnect_elsewhere_is_refused_and_one_at_home_obeyed() {
    let mut talk = Talk::running();
    talk.say(&json!({"method": "client.reconnect", "params": ["us.pool.evil.com", 3333, 0]}));
    assert_eq!(
        (talk.session.ended(), talk.session.lines.bad_parameters),
        (None, 1)
    );
    talk.say(&json!({"method": "client.reconnect", "params": ["eu.pool.example.com", "3334", 5]}));
    let EndReason::Reconnect { url, wait } = talk.ended() else {
        panic!("{:?}", talk.ended())
    };
    assert_eq!(url.to_string(), "stratum+tcp://eu.pool.example.com:3334");
    assert_eq!(*wait, Duration::from_secs(5));
}

#[test]
fn a_reconnect_waits_for_verdicts_but_not_for_long() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.submit(&share(&talk.job())).unwrap();
    talk.say(&json!({"method": "client.reconnect", "params": []}));
    assert_eq!(talk.session.ended(), None);
    assert_eq!(talk.lifetime(), crate::pool::session::vigil::FAREWELL);
}

#[test]
fn every_silence_has_its_deadline() {
    let seconds = Duration::from_secs;
    let mut talk = Talk::new(|_| ());
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(13), &EndReason::Unanswered("mining.subscribe"))
    );

    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    talk.reply("mining.subscribe", &json!([[], "00", 4]), &Value::Null);
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(10), &EndReason::Unanswered("mining.authorize"))
    );

    let mut talk = Talk::running();
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(30), &EndReason::NoFirstJob)
    );

    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(120), &EndReason::Silent)
    );

    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.wait(seconds(100));
    talk.say(&json!({"method": "mining.set_difficulty", "params": [2]}));
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(80), &EndReason::NoNextJob)
    );

    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.wait(seconds(5));
    talk.submit(&share(&talk.job())).unwrap();
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (seconds(30), &EndReason::SharesUnanswered)
    );
}

#[test]
fn noise_is_no_sign_of_life() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    for _ in 0..50 {
        talk.wait(Duration::from_secs(3));
        talk.line("HTTP/1.1 400 Bad Request");
    }
    assert_eq!(talk.ended(), &EndReason::Silent);
}

#[test]
fn malformed_lines_cost_nothing_but_themselves() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let rows = malformed_lines();
    for (number, (line, _)) in rows.iter().enumerate() {
        talk.line(line);
        assert_eq!(talk.session.ended(), None, "{line:.200}");
        let lines = &talk.session.lines;
        assert_eq!(
            lines.malformed + lines.bad_parameters,
            number as u64 + 1,
            "{line:.200}"
        );
    }
    talk.notify("2", HASH, false);
    assert_eq!(talk.jobs.len(), 2);
    assert_eq!(*talk.shares(), ShareCounters::default());
}

#[test]
fn a_hundred_lines_of_noise_in_a_row_are_no_pool() {
    let mut talk = Talk::running();
    for _ in 0..99 {
        talk.line("noise");
    }
    assert_eq!(talk.session.ended(), None);
    talk.line("noise");
    assert_eq!(talk.ended(), &EndReason::Noise);
}

proptest! {
    /// Whatever a pool says, in whatever order: no panic, jobs that can be mined, numbers that add
    /// up.
    #[test]
    fn any_conversation_is_survived(steps in prop::collection::vec((0u8..22, 0u64..8), 1..120)) {
        let mut talk = Talk::new(|_| ());
        for (step, number) in steps {
            match step {
                0 => talk.reply("mining.configure",
                    &json!({"version-rolling": true, "version-rolling.mask": format!("{:08x}", number << 12)}), &Value::Null),
                1 if talk.last("mining.subscribe").is_some() =>
                    talk.reply("mining.subscribe", &json!([[], "00", 3 + number]), &Value::Null),
                2 if talk.last("mining.authorize").is_some() =>
                    talk.reply("mining.authorize", &json!(number > 0), &Value::Null),
                3..=6 => talk.notify(&number.to_string(), if step == 3 { OTHER_HASH } else { HASH }, number == 0),
                7 => talk.say(&json!({"method": "mining.set_difficulty", "params": [number]})),
                8 => talk.say(&json!({"method": "mining.set_extranonce", "params": ["aa", number]})),
                9 => talk.say(&json!({"method": "mining.set_version_mask", "params": [format!("{number}fff0000")]})),
                10 => talk.wait(Duration::from_secs(number)),
                11 => talk.say(&json!({"id": number, "result": true})),
                12..=17 if !talk.jobs.is_empty() => {
                    let at = (number as usize) % talk.jobs.len();
                    let made = share(&talk.jobs[at]);
                    if let (Ok(line), true) = (talk.submit(&made), step > 14) {
                        let error = if step == 15 { json!([21, "stale", null]) } else { Value::Null };
                        talk.verdict(&line, &json!(step != 15), &error);
                    }
                }
                18 => talk.line("{noise"),
                19 => talk.say(&json!({"id": 1, "method": "mining.ping"})),
                20 if number == 7 => talk.say(&json!({"method": "client.reconnect", "params": []})),
                _ => {}
            }
        }
        for job in &talk.jobs {
            prop_assert!((1..=16).contains(&job.extranonce2_size));
            prop_assert_eq!(job.version_mask & !ROLLABLE_BITS, 0);
        }
        prop_assert!(talk.jobs.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
        let shares = talk.session.close().shares;
        prop_assert_eq!(shares.submitted, shares.accepted + shares.rejected.total + shares.unanswered);
    }
}
