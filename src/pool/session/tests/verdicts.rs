//! Shares and what becomes of them.

use super::*;

#[test]
fn a_share_of_another_session_is_never_sent() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let mut foreign = (*talk.job()).clone();
    foreign.session = SessionId(77);
    let lines = talk.sent.len();
    assert_eq!(
        talk.submit(&share(&Arc::new(foreign))),
        Err(Withheld::OtherSession)
    );
    assert_eq!(talk.sent.len(), lines);
}

#[test]
fn verdicts_of_every_shape_are_counted() {
    let refused = |reason| Some(reason);
    let rows: [(Value, Value, Option<RejectReason>); 10] = [
        (json!(true), Value::Null, None),
        (json!("ok"), json!(false), None),
        (json!(false), Value::Null, refused(RejectReason::Other)),
        (Value::Null, Value::Null, refused(RejectReason::Other)),
        (
            json!(false),
            json!([21, "Job not found", null]),
            refused(RejectReason::Stale),
        ),
        (
            Value::Null,
            json!({"code": 22, "message": "dup"}),
            refused(RejectReason::Duplicate),
        ),
        (
            Value::Null,
            json!("high-hash"),
            refused(RejectReason::LowDifficulty),
        ),
        (
            json!(true),
            json!([23, "low", null]),
            refused(RejectReason::LowDifficulty),
        ),
        (
            json!(false),
            json!([24, "Unauthorized worker", null]),
            refused(RejectReason::Unauthorized),
        ),
        (
            json!(false),
            json!(25),
            refused(RejectReason::NotSubscribed),
        ),
    ];
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let mut expected = crate::pool::status::RejectCounters::default();
    let mut accepted = 0;
    for (result, error, reason) in &rows {
        let line = talk.submit(&share(&talk.job())).unwrap();
        talk.verdict(&line, result, error);
        match reason {
            Some(reason) => expected.count(*reason),
            None => accepted += 1,
        }
        assert_eq!(
            (&talk.shares().rejected, talk.shares().accepted),
            (&expected, accepted)
        );
    }
    let line = talk.submit(&share(&talk.job())).unwrap();
    let beside =
        json!({"reject-reason": "Above target", "result": false, "error": null, "id": line["id"]});
    talk.say(&beside);
    assert_eq!(talk.shares().rejected.low_difficulty, 3);
    assert_eq!(talk.shares().last_reject.as_deref(), Some("Above target"));
    assert_eq!(talk.shares().submitted, rows.len() as u64 + 1);
}

#[test]
fn accepted_work_is_credited_by_the_difficulty_of_its_job() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let easy = talk.submit(&share(&talk.job())).unwrap();
    talk.say(&json!({"method": "mining.set_difficulty", "params": [1000]}));
    talk.notify("2", HASH, false);
    let hard = talk.submit(&share(&talk.job())).unwrap();
    talk.verdict(&hard, &json!(true), &Value::Null);
    talk.verdict(&easy, &json!(true), &Value::Null);
    let hashes = 1001.0 * 281_474_976_710_656.0 / 65_535.0;
    assert!((talk.shares().accepted_difficulty - 1001.0).abs() < 1e-9);
    assert!((talk.shares().accepted_hashes / hashes - 1.0).abs() < 1e-12);
}

#[test]
fn answers_with_unknown_ids_are_ignored_and_counted() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let line = talk.submit(&share(&talk.job())).unwrap();
    talk.verdict(&line, &json!(true), &Value::Null);
    talk.verdict(&line, &json!(true), &Value::Null);
    talk.say(&json!({"id": 999_999, "result": false, "error": [21, "stale", null]}));
    assert_eq!(
        (talk.shares().accepted, talk.shares().rejected.total),
        (1, 0)
    );
    assert_eq!(talk.session.lines.unknown, 2);
}

#[test]
fn a_pool_that_sends_work_but_answers_no_share_is_left() {
    let mut talk = Talk::running();
    let mut submitted = 0;
    for second in 0..600 {
        talk.notify(&second.to_string(), HASH, false);
        if second % 5 == 0 && talk.session.ended().is_none() {
            talk.submit(&share(&talk.job())).unwrap();
            submitted += 1;
        }
        talk.wait(Duration::from_secs(1));
    }
    assert_eq!(talk.ended(), &EndReason::SharesUnanswered);
    assert!(submitted <= 17, "{submitted} shares lost");
    let shares = talk.session.close().shares;
    assert_eq!(shares.unanswered, shares.submitted);
}

#[test]
fn a_pool_that_rejects_everything_is_left_and_one_that_rejects_some_is_not() {
    let run = |rejects: fn(u32) -> bool, error: Value| {
        let mut talk = Talk::running();
        talk.notify("1", HASH, true);
        for number in 0..500 {
            let Ok(line) = talk.submit(&share(&talk.job())) else {
                return (number, Some(talk));
            };
            let error = if rejects(number) {
                error.clone()
            } else {
                Value::Null
            };
            talk.verdict(&line, &json!(error.is_null()), &error);
        }
        (500, None)
    };
    let (shares, talk) = run(|_| true, json!([21, "stale", null]));
    assert_eq!((shares, talk.unwrap().ended().is_refusal()), (20, true));
    let (shares, talk) = run(|_| true, json!([25, "Not subscribed", null]));
    assert!(matches!(talk.unwrap().ended(), EndReason::Forgotten(_)));
    assert_eq!(shares, 3);
    let (shares, _) = run(|number| number % 5 != 0, json!([23, "low", null]));
    assert_eq!(
        shares, 64,
        "four of five rejected: seen once there are enough of them"
    );
    assert_eq!(
        run(|number| number % 2 == 0, json!([23, "low", null])).0,
        500
    );
}

#[test]
fn a_pool_that_was_left_for_its_verdicts_gets_few_chances_until_it_accepts_a_share() {
    let reject = |talk: &mut Talk, times: usize| {
        for _ in 0..times {
            let line = talk.submit(&share(&talk.job())).unwrap();
            talk.verdict(&line, &json!(false), &json!([23, "low", null]));
        }
    };
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    reject(&mut talk, 20);
    let manners = talk.session.lessons(talk.now);
    assert!(manners.probation);
    let again = || {
        let mut talk = Talk::with_manners(|_| (), manners.clone());
        talk.shake_hands();
        talk.notify("1", HASH, true);
        talk
    };
    let mut talk = again();
    reject(&mut talk, 3);
    assert!(matches!(talk.ended(), EndReason::SharesRejected(_)));
    let mut talk = again();
    let line = talk.submit(&share(&talk.job())).unwrap();
    talk.verdict(&line, &json!(true), &Value::Null);
    reject(&mut talk, 19);
    assert_eq!(talk.session.ended(), None);
    assert!(!talk.session.lessons(talk.now).probation);
}

#[test]
fn waiting_shares_are_bounded_and_the_oldest_given_up() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    for _ in 0..2000 {
        talk.submit(&share(&talk.job())).unwrap();
        talk.sent.clear();
    }
    let shares = talk.session.close().shares;
    assert_eq!((shares.submitted, shares.unanswered), (2000, 2000));
}

#[test]
fn three_rejects_over_five_minutes_are_too_many_where_shares_are_rare() {
    let mut talk = Talk::running();
    let reject = |talk: &mut Talk, after: u64| {
        talk.wait(Duration::from_secs(after));
        talk.notify(&after.to_string(), HASH, true);
        let line = talk.submit(&share(&talk.job())).unwrap();
        talk.verdict(&line, &json!(false), &json!([23, "Above target", null]));
    };
    talk.notify("0", HASH, true);
    reject(&mut talk, 100);
    let line = talk.submit(&share(&talk.job())).unwrap();
    talk.verdict(&line, &json!(true), &Value::Null);
    for after in [101, 102, 103] {
        reject(&mut talk, after);
        assert!(talk.session.ended().is_none(), "{after}");
    }
    reject(&mut talk, 96);
    assert!(
        matches!(talk.ended(), EndReason::SharesRejected(_)),
        "{:?}",
        talk.ended()
    );
}
