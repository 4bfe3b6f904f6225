//! Replies in the two forms of the cgminer API: JSON, and text with `|`, `,` and `=`.

use std::fmt::Write;

/// What stands in `Description` of every reply that has one.
const DESCRIPTION: &str = concat!("cgminer-rs ", env!("CARGO_PKG_VERSION"));

/// Members that hold the number of their object; in text they stand in the place of its name.
const NUMBERS: [&str; 5] = ["POOL", "ASC", "STATS", "DEVDETAILS", "NOTIFY"];

/// One value, in the fixed form that the field has in cgminer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(u64),
    /// A number with so many digits behind its point.
    Fixed(f64, usize),
    /// A text.
    Text(String),
    /// `true` or `false`.
    Truth(bool),
    /// Nobody knows it: null in JSON, nothing in text.
    Unknown,
}

/// Names and values of one object, in cgminer's order.
pub type Members = Vec<(&'static str, Value)>;

/// How a command went.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// `S`, `I`, `W` or `E`.
    pub severity: char,
    /// Number of the message in cgminer.
    pub code: u16,
    /// Its text.
    pub message: String,
    /// Whether the description stands behind it; one message of cgminer has none.
    pub described: bool,
}

/// The reply to one command.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// How it went.
    pub status: Status,
    /// Name of the objects, and the objects.
    pub content: Option<(&'static str, Vec<Members>)>,
}

impl Status {
    /// A status with its description.
    pub fn new(severity: char, code: u16, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            described: true,
        }
    }
}

impl Reply {
    /// A reply without objects.
    pub fn bare(severity: char, code: u16, message: impl Into<String>) -> Self {
        Self {
            status: Status::new(severity, code, message),
            content: None,
        }
    }

    /// A reply with objects.
    pub fn with(
        code: u16,
        message: impl Into<String>,
        name: &'static str,
        objects: Vec<Members>,
    ) -> Self {
        Self {
            status: Status::new('S', code, message),
            content: Some((name, objects)),
        }
    }

    /// Writes `{"STATUS":[...],"NAME":[...],"id":1}`.
    pub fn to_json(&self, when: u64) -> String {
        let mut text = String::from("{\"STATUS\":[");
        object(&mut text, &self.status_members(when));
        if let Some((name, objects)) = &self.content {
            let _ = write!(text, "],{}:[", quoted(name));
            for (index, members) in objects.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                object(&mut text, members);
            }
        }
        text.push_str("],\"id\":1}");
        text
    }

    /// Writes `STATUS=S,...|NAME,a=b,...|`; objects that begin with their own number carry no name.
    pub fn to_text(&self, when: u64) -> String {
        let mut text = String::new();
        line(&mut text, None, &self.status_members(when));
        if let Some((name, objects)) = &self.content {
            for members in objects {
                let numbered = members
                    .first()
                    .is_some_and(|(first, _)| NUMBERS.contains(first));
                line(&mut text, (!numbered).then_some(name), members);
            }
        }
        text
    }

    fn status_members(&self, when: u64) -> Members {
        let Status {
            severity,
            code,
            message,
            described,
        } = &self.status;
        let mut members = vec![
            ("STATUS", Value::Text(severity.to_string())),
            ("When", Value::Whole(when)),
            ("Code", Value::Whole((*code).into())),
            ("Msg", Value::Text(message.clone())),
        ];
        if *described {
            members.push(("Description", Value::Text(DESCRIPTION.into())));
        }
        members
    }
}

// Writing to a text cannot fail.
fn object(text: &mut String, members: &Members) {
    text.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        let separator = if index > 0 { "," } else { "" };
        let _ = write!(text, "{separator}{}:", quoted(name));
        match value {
            Value::Whole(number) => {
                let _ = write!(text, "{number}");
            }
            Value::Fixed(number, digits) if number.is_finite() => {
                let _ = write!(text, "{number:.digits$}");
            }
            Value::Text(content) => text.push_str(&quoted(content)),
            Value::Truth(truth) => {
                let _ = write!(text, "{truth}");
            }
            Value::Fixed(..) | Value::Unknown => text.push_str("null"),
        }
    }
    text.push('}');
}

fn line(text: &mut String, name: Option<&&str>, members: &Members) {
    if let Some(name) = name {
        text.push_str(name);
        text.push(',');
    }
    for (index, (name, value)) in members.iter().enumerate() {
        let separator = if index > 0 { "," } else { "" };
        let _ = write!(text, "{separator}{name}=");
        match value {
            Value::Whole(number) => {
                let _ = write!(text, "{number}");
            }
            Value::Fixed(number, digits) if number.is_finite() => {
                let _ = write!(text, "{number:.digits$}");
            }
            Value::Text(content) => text.push_str(&escaped(content)),
            Value::Truth(truth) => {
                let _ = write!(text, "{truth}");
            }
            Value::Fixed(..) | Value::Unknown => {}
        }
    }
    text.push('|');
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into())
}

/// Marks in a value what would end it, and leaves out line breaks and zeros, which end replies for some clients.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if matches!(letter, ',' | '=' | '|' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_text_cannot_end_its_value() {
        let members = vec![("User", Value::Text("a,b=c|d\\e\0\nf\"".into()))];
        let reply = Reply::with(7, "1 Pool(s)", "POOLS", vec![members]);
        assert!(
            reply
                .to_text(1)
                .ends_with("|POOLS,User=a\\,b\\=c\\|d\\\\ef\"|"),
            "{}",
            reply.to_text(1)
        );
        let json: serde_json::Value = serde_json::from_str(&reply.to_json(1)).unwrap();
        assert_eq!(json["POOLS"][0]["User"], "a,b=c|d\\e\0\nf\"");
    }

    #[test]
    fn numbers_have_the_digits_that_their_field_has() {
        let members = vec![
            ("MHS av", Value::Fixed(1.0 / 3.0, 2)),
            ("Best", Value::Fixed(f64::NAN, 2)),
            ("LP", Value::Truth(true)),
            ("Last", Value::Unknown),
        ];
        let reply = Reply::with(11, "Summary", "SUMMARY", vec![members]);
        assert!(
            reply
                .to_json(1)
                .contains("{\"MHS av\":0.33,\"Best\":null,\"LP\":true,\"Last\":null}")
        );
        assert!(
            reply
                .to_text(1)
                .ends_with("|SUMMARY,MHS av=0.33,Best=,LP=true,Last=|")
        );
    }
}
