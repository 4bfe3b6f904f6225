//! Why a pool refused something, whatever shape it says so in.

use serde::Serialize;
use serde_json::Value;

/// Longest text of a pool that is kept or logged.
const LONGEST_TEXT: usize = 200;

/// Reasons for a rejected share that call for different action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The job is gone (code 21, and datum's `unknown-work`).
    Stale,
    /// Sent before (22).
    Duplicate,
    /// Hash above the target (23).
    LowDifficulty,
    /// Worker unknown (24).
    Unauthorized,
    /// Subscription unknown (25).
    NotSubscribed,
    /// Block time out of range.
    BadNtime,
    /// Version bits outside the mask.
    BadVersion,
    /// Anything else.
    Other,
}

/// A pool's error as it said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolError {
    /// Stratum's number, where there is one.
    pub code: Option<i64>,
    /// The pool's words, bounded and free of control characters; may be empty.
    pub text: String,
}

impl PoolError {
    /// Reads `[code, text, traceback]`, `{"code":..,"message":..}`, a bare text or number. `None`
    /// for null, false and absence, which all mean no error.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::Null | Value::Bool(false) => None,
            Value::Array(items) => Some(Self {
                code: items.first().and_then(Value::as_i64),
                text: items
                    .iter()
                    .find_map(Value::as_str)
                    .map(bounded)
                    .unwrap_or_default(),
            }),
            Value::Object(members) => Some(Self {
                code: members.get("code").and_then(Value::as_i64),
                text: members
                    .get("message")
                    .and_then(Value::as_str)
                    .map(bounded)
                    .unwrap_or_default(),
            }),
            Value::String(text) => Some(Self {
                code: None,
                text: bounded(text),
            }),
            Value::Number(number) => Some(Self {
                code: number.as_i64(),
                text: String::new(),
            }),
            Value::Bool(true) => Some(Self {
                code: None,
                text: String::new(),
            }),
        }
    }

    /// A reason without a code: the `reject-reason` member of ckpool and its kin.
    pub fn from_text(text: &str) -> Self {
        Self {
            code: None,
            text: bounded(text),
        }
    }

    /// Sorts the error. Words win over numbers: datum sends 20 for `unknown-work` and 23 for
    /// `bad-version`.
    pub fn reason(&self) -> RejectReason {
        const WORDS: [(&str, RejectReason); 21] = [
            ("duplicate", RejectReason::Duplicate),
            ("version", RejectReason::BadVersion),
            ("stale", RejectReason::Stale),
            ("job not found", RejectReason::Stale),
            ("invalid job", RejectReason::Stale),
            ("unknown-work", RejectReason::Stale),
            ("unknown work", RejectReason::Stale),
            ("ntime", RejectReason::BadNtime),
            ("time-too", RejectReason::BadNtime),
            ("above target", RejectReason::LowDifficulty),
            ("low diff", RejectReason::LowDifficulty),
            ("high-hash", RejectReason::LowDifficulty),
            ("h-not-zero", RejectReason::LowDifficulty),
            ("difficulty too low", RejectReason::LowDifficulty),
            ("unauthorized", RejectReason::Unauthorized),
            ("worker", RejectReason::Unauthorized),
            ("not subscribed", RejectReason::NotSubscribed),
            // Stratum v2's codes, where they are spelled otherwise.
            ("invalid-job-id", RejectReason::Stale),
            ("difficulty-too-low", RejectReason::LowDifficulty),
            ("unknown-user", RejectReason::Unauthorized),
            ("invalid-channel-id", RejectReason::NotSubscribed),
        ];
        let text = self.text.to_ascii_lowercase();
        if let Some((_, reason)) = WORDS.iter().find(|(word, _)| text.contains(word)) {
            return *reason;
        }
        match self.code {
            Some(21) => RejectReason::Stale,
            Some(22) => RejectReason::Duplicate,
            Some(23) => RejectReason::LowDifficulty,
            Some(24) => RejectReason::Unauthorized,
            Some(25) => RejectReason::NotSubscribed,
            _ => RejectReason::Other,
        }
    }
}

impl std::fmt::Display for PoolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.text.as_str()) {
            (Some(code), "") => write!(f, "error {code}"),
            (Some(code), text) => write!(f, "{text} ({code})"),
            (None, "") => f.write_str("no reason given"),
            (None, text) => f.write_str(text),
        }
    }
}

/// A pool's or node's text made fit to keep: bounded, control characters replaced.
pub fn bounded(text: &str) -> String {
    text.chars()
        .take(LONGEST_TEXT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reject recorded from ckpool-lhr, ckproxy and datum, and those of ESP-Miner's tests.
    #[test]
    fn recorded_rejects_are_sorted() {
        for (error, reason) in [
            (r#"[22,"Duplicate",null]"#, RejectReason::Duplicate),
            (r#"[23,"Above target",null]"#, RejectReason::LowDifficulty),
            (r#"[21,"Invalid JobID",null]"#, RejectReason::Stale),
            (r#"[20,"Ntime out of range",null]"#, RejectReason::BadNtime),
            (r#"[20,"Worker mismatch",null]"#, RejectReason::Unauthorized),
            (
                r#"[20,"Invalid version mask",null]"#,
                RejectReason::BadVersion,
            ),
            (r#"[23,"H-not-zero",null]"#, RejectReason::LowDifficulty),
            (r#"[20,"unknown-work",null]"#, RejectReason::Stale),
            (r#"[23,"bad-version",null]"#, RejectReason::BadVersion),
            (r#"[21,"Job not found",""]"#, RejectReason::Stale),
            (
                r#"{"code":22,"message":"duplicate share","data":null}"#,
                RejectReason::Duplicate,
            ),
            (r#""Stale""#, RejectReason::Stale),
            (r#""Above target 2""#, RejectReason::LowDifficulty),
            ("[24]", RejectReason::Unauthorized),
            ("25", RejectReason::NotSubscribed),
            ("[20,null,null]", RejectReason::Other),
            // Stratum v2's.
            (r#""stale-share""#, RejectReason::Stale),
            (r#""invalid-job-id""#, RejectReason::Stale),
            (r#""duplicate-share""#, RejectReason::Duplicate),
            (r#""difficulty-too-low""#, RejectReason::LowDifficulty),
            (r#""invalid-channel-id""#, RejectReason::NotSubscribed),
            (r#""version-rolling-not-allowed""#, RejectReason::BadVersion),
            (r#""bad-extranonce-size""#, RejectReason::Other),
            ("true", RejectReason::Other),
        ] {
            let value: Value = serde_json::from_str(error).unwrap();
            assert_eq!(
                PoolError::from_json(&value).map(|e| e.reason()),
                Some(reason),
                "{error}"
            );
        }
    }

    #[test]
    fn null_and_false_are_no_error() {
        assert_eq!(PoolError::from_json(&Value::Null), None);
        assert_eq!(PoolError::from_json(&Value::Bool(false)), None);
    }

    #[test]
    fn long_and_wild_texts_are_tamed() {
        let error = PoolError::from_text(&"\u{1b}[2J\n".repeat(1000));
        assert!(
            error.text.chars().count() <= LONGEST_TEXT && !error.text.contains(char::is_control)
        );
    }
}
