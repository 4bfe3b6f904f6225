//! Configure, subscribe, authorize, and what pools make of them.

use super::*;

#[test]
fn the_handshake_is_configure_subscribe_authorize_and_then_options() {
    let mut talk = Talk::new(|settings| {
        settings.suggest_difficulty = Difficulty::new(1000.0);
        settings.extranonce_subscribe = true;
    });
    talk.shake_hands();
    let methods: Vec<&str> = talk
        .sent
        .iter()
        .map(|line| line["method"].as_str().unwrap())
        .collect();
    assert_eq!(
        methods,
        [
            "mining.configure",
            "mining.subscribe",
            "mining.authorize",
            "mining.suggest_difficulty",
            "mining.extranonce.subscribe",
        ]
    );
    assert!(
        talk.sent.iter().all(|line| line["id"].is_u64()),
        "OCEAN hangs up on null ids"
    );
    assert_eq!(talk.sent[2]["params"], json!(["user.w", "x"]));
    assert_eq!(
        talk.sent[3]["params"].to_string(),
        "[1000]",
        "no float where a whole number will do"
    );
}

#[test]
fn a_pool_without_answer_to_configure_is_mined_without_version_rolling() {
    for silent in [true, false] {
        let mut talk = Talk::new(|_| ());
        if silent {
            talk.wait(Duration::from_secs(3));
        } else {
            talk.reply(
                "mining.configure",
                &Value::Null,
                &json!([-3, "Method not found", null]),
            );
        }
        assert!(talk.last("mining.subscribe").is_some());
        talk.sent
            .retain(|line| line["method"] != "mining.configure");
        talk.shake_hands();
        talk.notify("j", HASH, true);
        assert_eq!(talk.job().version_mask, 0);
        let line = talk.submit(&share(&talk.job())).unwrap();
        assert_eq!(
            line["params"].as_array().unwrap().len(),
            5,
            "no version bits were agreed on"
        );
    }
}

#[test]
fn a_late_answer_to_configure_still_brings_version_rolling() {
    let mut talk = Talk::new(|_| ());
    talk.wait(Duration::from_secs(3));
    talk.reply("mining.subscribe", &json!([[], "c0ffee", 4]), &Value::Null);
    talk.reply("mining.authorize", &json!(true), &Value::Null);
    talk.notify("j", HASH, true);
    let mask = json!({"version-rolling": true, "version-rolling.mask": "ffffffff"});
    talk.reply("mining.configure", &mask, &Value::Null);
    assert_eq!(
        talk.job().version_mask,
        ROLLABLE_BITS,
        "clamped to what was asked"
    );
    assert_eq!(talk.jobs.len(), 2);
    assert_eq!(
        talk.sent
            .iter()
            .filter(|line| line["method"] == "mining.subscribe")
            .count(),
        1
    );
}

#[test]
fn work_and_difficulty_before_the_answers_are_kept() {
    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    talk.say(&json!({"method": "mining.set_difficulty", "params": [512]}));
    talk.notify("j", HASH, true);
    talk.reply("mining.subscribe", &json!([[], "c0ffee", 4]), &Value::Null);
    assert!(talk.jobs.is_empty(), "not before the worker is authorized");
    talk.reply("mining.authorize", &json!(true), &Value::Null);
    assert_eq!((&*talk.job().id.0, difficulty(&talk.job())), ("j", 512.0));
    assert_eq!(*talk.job().coinbase_prefix, [0x01, 0xc0, 0xff, 0xee]);
    assert!(talk.job().clean);
}

#[test]
fn refusals_of_optional_requests_are_no_rejects() {
    let mut talk = Talk::new(|settings| {
        settings.suggest_difficulty = Difficulty::new(0.5);
        settings.extranonce_subscribe = true;
    });
    talk.shake_hands();
    talk.reply(
        "mining.suggest_difficulty",
        &Value::Null,
        &json!([-3, "Method not found", null]),
    );
    talk.reply(
        "mining.extranonce.subscribe",
        &Value::Null,
        &json!([20, "Not supported.", null]),
    );
    assert_eq!(*talk.shares(), ShareCounters::default());
    assert_eq!(talk.session.ended(), None);
}

#[test]
fn refusals_in_the_handshake_end_the_session() {
    let subscribe = |result: Value, error: Value| {
        let mut talk = Talk::new(|settings| settings.version_rolling = false);
        talk.reply("mining.subscribe", &result, &error);
        talk
    };
    let talk = subscribe(Value::Null, json!([20, "Other/Unknown", null]));
    assert!(matches!(talk.ended(), EndReason::SubscribeRefused(_)));
    assert!(talk.session.lessons(talk.now).bare_subscribe);
    let talk = subscribe(json!(true), Value::Null);
    assert!(matches!(talk.ended(), EndReason::SubscribeShape(_)));
    for size in [
        json!(0),
        json!(-4),
        json!(17),
        json!(1e30),
        json!("4"),
        json!(null),
        json!(3.5),
    ] {
        let talk = subscribe(json!([[], "00", size]), Value::Null);
        assert!(matches!(talk.ended(), EndReason::Extranonce(_)));
        assert!(talk.ended().is_refusal());
    }
    for (result, error) in [
        (json!(false), Value::Null),
        (json!(false), json!("Failed subscription")),
        (Value::Null, json!([24, "Unauthorized worker", null])),
    ] {
        let mut talk = subscribe(json!([[], "00", 4]), Value::Null);
        talk.reply("mining.authorize", &result, &error);
        assert!(
            matches!(talk.ended(), EndReason::AuthorizeRefused(_)),
            "{:?}",
            talk.ended()
        );
    }
}

#[test]
fn null_to_authorize_is_no_refusal_and_silence_none_where_work_comes() {
    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    talk.reply("mining.subscribe", &json!([[], "00", 4]), &Value::Null);
    talk.reply("mining.authorize", &Value::Null, &Value::Null);
    assert!(talk.session.running_since().is_some());

    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    talk.reply("mining.subscribe", &json!([[], "00", 4]), &Value::Null);
    talk.notify("1", HASH, true);
    talk.wait(Duration::from_secs(10));
    assert_eq!(talk.jobs.len(), 1);
    talk.reply("mining.authorize", &json!(false), &Value::Null);
    assert!(
        matches!(talk.ended(), EndReason::AuthorizeRefused(_)),
        "a late no is a no"
    );
}

#[test]
fn what_a_pool_hangs_up_on_is_not_said_to_it_again() {
    let talk = Talk::new(|_| ());
    let mut manners = talk.session.lessons(talk.now);
    assert!(manners.sends_configure(), "once may be chance");
    for _ in 0..2 {
        let talk = Talk::with_manners(|_| (), manners.clone());
        assert!(talk.last("mining.configure").is_some());
        manners = talk.session.lessons(talk.now);
    }
    let mut talk = Talk::with_manners(|_| (), manners.clone());
    assert!(
        talk.last("mining.configure").is_none(),
        "three times is no chance"
    );
    assert!(
        talk.session.lessons(talk.now).sends_configure(),
        "it was just down"
    );
    talk.shake_hands();
    assert!(
        !talk.session.lessons(talk.now).sends_configure(),
        "it was the configure"
    );

    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    assert!(talk.session.lessons(talk.now).bare_subscribe);
    talk.reply(
        "mining.subscribe",
        &json!([[["mining.notify", "ab"]], "00", 4]),
        &Value::Null,
    );
    assert_eq!(talk.session.lessons(talk.now).resume.as_deref(), Some("ab"));

    let mut talk = Talk::new(|settings| settings.extranonce_subscribe = true);
    talk.shake_hands();
    assert!(talk.session.lessons(talk.now).no_optional_requests);
    talk.wait(Duration::from_secs(11));
    assert!(!talk.session.lessons(talk.now).no_optional_requests);
}

#[test]
fn a_session_is_resumed_by_the_pools_name_for_it() {
    let manners = Manners {
        resume: Some("ab".into()),
        ..Manners::default()
    };
    let talk = Talk::with_manners(|settings| settings.version_rolling = false, manners);
    assert_eq!(talk.sent[0]["params"], json!([USER_AGENT, "ab"]));
    let manners = Manners {
        bare_subscribe: true,
        ..Manners::default()
    };
    let talk = Talk::with_manners(|settings| settings.version_rolling = false, manners);
    assert_eq!(talk.sent[0]["params"], json!([]));
}
