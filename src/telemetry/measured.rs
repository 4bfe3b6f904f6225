//! A value that somebody measured, or the reason why nobody knows it.

use cgminer_hal::units::Quantity;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::borrow::Cow;
use std::time::Duration;

/// Why a value is unknown, in words for the owner.
pub type Unknown = Cow<'static, str>;

/// A measured value with its age, or nothing with the reason.
///
/// As JSON: `{"value": 61.5, "unit": "C", "age_ms": 210, "reason": null}`; an unknown one has `value` and `age_ms` null
/// and a `reason`.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured<T> {
    state: Result<(T, Duration), Unknown>,
}

impl<T> Measured<T> {
    /// A value and how long ago it was measured.
    pub fn known(value: T, age: Duration) -> Self {
        Self {
            state: Ok((value, age)),
        }
    }

    /// No value.
    pub fn unknown(reason: impl Into<Unknown>) -> Self {
        Self {
            state: Err(reason.into()),
        }
    }

    /// A value when there is one, otherwise nothing with the reason.
    pub fn from_option(value: Option<T>, age: Duration, reason: impl Into<Unknown>) -> Self {
        match value {
            Some(value) => Self::known(value, age),
            None => Self::unknown(reason),
        }
    }

    /// The value, when known.
    pub fn value(&self) -> Option<&T> {
        self.state.as_ref().ok().map(|(value, _)| value)
    }

    /// Its age, when known.
    pub fn age(&self) -> Option<Duration> {
        self.state.as_ref().ok().map(|(_, age)| *age)
    }

    /// Why it is unknown.
    pub fn reason(&self) -> Option<&str> {
        self.state.as_ref().err().map(|reason| &**reason)
    }
}

impl<T: Serialize + Quantity> Serialize for Measured<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Measured", 4)?;
        object.serialize_field("value", &self.value())?;
        object.serialize_field("unit", T::UNIT)?;
        let age = self
            .age()
            .map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        object.serialize_field("age_ms", &age)?;
        object.serialize_field("reason", &self.reason())?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cgminer_hal::units::Celsius;
    use serde_json::json;

    #[test]
    fn a_known_value_carries_unit_and_age_and_no_reason() {
        let measured = Measured::known(Celsius(61.5), Duration::from_millis(210));
        let expected = json!({"value": 61.5, "unit": "C", "age_ms": 210, "reason": null});
        assert_eq!(serde_json::to_value(&measured).unwrap(), expected);
    }

    #[test]
    fn an_unknown_value_is_null_and_says_why() {
        let measured = Measured::<Celsius>::unknown("the sensor does not answer");
        let expected = json!({
            "value": null, "unit": "C", "age_ms": null, "reason": "the sensor does not answer"
        });
        assert_eq!(serde_json::to_value(&measured).unwrap(), expected);
    }
}
