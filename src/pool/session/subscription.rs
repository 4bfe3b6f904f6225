//! Answers to `mining.subscribe`, in all the shapes that pools give.

use crate::pool::message::{Extranonce, ExtranonceError};
use serde_json::Value;

/// Longest session id that is kept for a resumption.
const LONGEST_SESSION: usize = 256;

/// What a pool grants to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The pool's name for the session, for resuming it.
    pub session: Option<String>,
    /// The session's extranonce.
    pub extranonce: Extranonce,
}

impl Subscription {
    /// Reads `[[["mining.notify", session], ..], extranonce1, size]`, the same with one bare pair,
    /// and the old `[extranonce1, size]`. `Ok(None)` for any other shape.
    pub fn from_json(result: &Value) -> Result<Option<Self>, ExtranonceError> {
        let Value::Array(items) = result else {
            return Ok(None);
        };
        let (pairs, extranonce1, size) = match items.as_slice() {
            [extranonce1 @ Value::String(_), size, ..] => (&Value::Null, extranonce1, size),
            [pairs, extranonce1, size, ..] => (pairs, extranonce1, size),
            [pairs, extranonce1] => (pairs, extranonce1, &Value::Null),
            _ => return Ok(None),
        };
        let extranonce = Extranonce::from_json(extranonce1, size)?;
        Ok(Some(Self {
            session: session(pairs),
            extranonce,
        }))
    }
}

fn session(pairs: &Value) -> Option<String> {
    let Value::Array(items) = pairs else {
        return None;
    };
    let named = |pair: &[Value]| match pair {
        [Value::String(method), Value::String(session), ..] => {
            Some((method == "mining.notify", session.clone()))
        }
        _ => None,
    };
    let sessions: Vec<(bool, String)> = match named(items) {
        Some(pair) => vec![pair],
        None => items
            .iter()
            .filter_map(|pair| named(pair.as_array()?))
            .collect(),
    };
    let best = sessions
        .iter()
        .find(|(is_notify, _)| *is_notify)
        .or(sessions.first());
    best.map(|(_, session)| session.clone())
        .filter(|session| session.len() <= LONGEST_SESSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::message::LONGEST_EXTRANONCE1;
    use crate::work::hex;
    use proptest::prelude::*;

    /// JSON as pools might answer, and near misses of it.
    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (0..20_u64).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "([0-9a-f]{2}){0,34}".prop_map(Value::from),
            Just(Value::from("mining.notify")),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map("[a-z]{0,3}", inner, 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever a pool answers: no panic, and what is taken can be mined with and kept.
        #[test]
        fn any_answer_is_taken_or_refused(
            pairs in json(), extranonce1 in json(), size in json(), rest in json(), length in 0_usize..5
        ) {
            let mut items = vec![pairs.clone(), extranonce1, size, rest];
            items.truncate(length);
            for answer in [pairs, Value::from(items)] {
                if let Ok(Some(taken)) = Subscription::from_json(&answer) {
                    prop_assert!((1..=16).contains(&taken.extranonce.extranonce2_size));
                    prop_assert!(taken.extranonce.extranonce1.len() <= LONGEST_EXTRANONCE1);
                    prop_assert!(taken.session.is_none_or(|session| session.len() <= LONGEST_SESSION));
                }
            }
        }

        #[test]
        fn every_usual_answer_is_taken(extranonce1: [u8; 4], size in 1_u8..=16, session in "[0-9a-f]{1,16}") {
            let text = hex::encode(&extranonce1);
            let answer = serde_json::json!([[["mining.notify", session]], text, size]);
            let taken = Subscription::from_json(&answer);
            let extranonce = Extranonce { extranonce1: extranonce1.into(), extranonce2_size: size };
            prop_assert_eq!(taken, Ok(Some(Subscription { session: Some(session), extranonce })));
        }
    }

    fn read(text: &str) -> Result<Option<(Option<String>, usize, u8)>, ExtranonceError> {
        let subscription = Subscription::from_json(&serde_json::from_str(text).unwrap())?;
        Ok(subscription.map(
            |Subscription {
                 session,
                 extranonce,
             }| {
                (
                    session,
                    extranonce.extranonce1.len(),
                    extranonce.extranonce2_size,
                )
            },
        ))
    }

    #[test]
    fn every_shape_that_pools_give_is_read() {
        let some = |session: Option<&str>, length, size| {
            Ok(Some((session.map(str::to_owned), length, size)))
        };
        for (text, expected) in [
            (
                r#"[[["mining.notify","695482c0"]],"4de05269",8]"#,
                some(Some("695482c0"), 4, 8),
            ),
            (
                r#"[[["mining.set_difficulty","4"],["mining.notify","1"]],"6c6f010000000c",4]"#,
                some(Some("1"), 7, 4),
            ),
            (
                r#"[["mining.notify","ab"],"4de05269",8]"#,
                some(Some("ab"), 4, 8),
            ),
            (r#"["01650f001f25ea",4]"#, some(None, 7, 4)),
            (r#"[[],"",16]"#, some(None, 0, 16)),
            (r#"[null,"ff",1]"#, some(None, 1, 1)),
            (r#"[[["mining.notify"]],"ff",2]"#, some(None, 1, 2)),
            (r#"[[["mining.notify",7]],"ff",2]"#, some(None, 1, 2)),
            ("true", Ok(None)),
            ("[]", Ok(None)),
            (r#"["ff"]"#, Ok(None)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn an_extranonce_that_cannot_be_mined_with_is_named() {
        for text in [
            r#"[[["mining.notify","abc"]],"4de05269"]"#,
            r#"[[],"ff",0]"#,
            r#"[[],"ff",-1]"#,
            r#"[[],"ff",17]"#,
            r#"[[],"ff",1e300]"#,
            r#"[[],"ff",2.5]"#,
            r#"[[],"ff","8"]"#,
            r#"[[],"fff",8]"#,
            r#"[[],"zz",8]"#,
            "[[],null,8]",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let long = format!(r#"[[],"{}",8]"#, "00".repeat(33));
        assert!(read(&long).is_err());
    }
}
