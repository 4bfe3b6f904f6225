//! Typed values out of a TOML tree; a refusal says at which path.
//!
//! One deserializer, compiled once for each type of the schema, and of that only the kinds of value which the type asks for. (A wrapper
//! around another deserializer is compiled for each type twice, which came to a tenth of the firmware's binary.)

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected,
    IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::fmt;
use toml::Value;
use toml::de::{DeTable, DeValue};

/// Takes a value of the type `T` out of a tree.
///
/// # Errors
/// The first value that `T` refuses, with its path.
pub fn take<T: DeserializeOwned>(tree: &Value) -> Result<T, Refusal> {
    T::deserialize(At(tree)).map_err(|mut refusal| {
        refusal.path.reverse();
        refusal
    })
}

/// Line, from 1, of the deepest table, key or item on a path that the text has; 1 for a text that is no TOML.
pub fn line_of(text: &str, path: &[Segment]) -> usize {
    let Ok(document) = DeTable::parse(text) else {
        return 1;
    };
    let start = deepest_start(document.get_ref(), path).unwrap_or(0);
    let before = text.get(..start).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// A value that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where it stands; the table around it when it is missing, and empty for the whole tree.
    pub path: Vec<Segment>,
    /// What is wrong with it.
    pub message: String,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Key of a table.
    Key(String),
    /// Place in an array.
    Index(usize),
}

impl Segment {
    /// Reads `pool[0].url`; `None` when it is no path.
    pub fn parse_path(text: &str) -> Option<Vec<Self>> {
        let mut segments = Vec::new();
        for part in text.split('.') {
            let (key, rest) = part
                .split_once('[')
                .map_or((part, None), |(key, rest)| (key, Some(rest)));
            if key.is_empty() {
                return None;
            }
            segments.push(Self::Key(key.into()));
            if let Some(rest) = rest {
                segments.push(Self::Index(rest.strip_suffix(']')?.parse().ok()?));
            }
        }
        Some(segments)
    }

    /// Writes `pool[0].url`.
    pub fn display_path(path: &[Self]) -> String {
        let mut text = String::new();
        for segment in path {
            match segment {
                Self::Key(key) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(key);
                }
                Self::Index(index) => {
                    text.push('[');
                    text.push_str(&index.to_string());
                    text.push(']');
                }
            }
        }
        text
    }
}

impl Refusal {
    /// Steps are added from the inside out; [`take`] turns them round.
    fn under(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {}",
            Segment::display_path(&self.path),
            self.message
        )
    }
}

impl std::error::Error for Refusal {}

impl serde::de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            path: Vec::new(),
            message: message.to_string(),
        }
    }
}

fn deepest_start(table: &DeTable<'_>, path: &[Segment]) -> Option<usize> {
    let (Segment::Key(key), mut rest) = path.split_first()? else {
        return None;
    };
    let (name, mut value) = table.iter().find(|(name, _)| name.get_ref() == key)?;
    let mut start = name.span().start;
    while let (Some((segment, further)), DeValue::Array(items)) =
        (rest.split_first(), value.get_ref())
    {
        let Segment::Index(index) = segment else {
            break;
        };
        let Some(item) = items.get(*index) else {
            break;
        };
        (value, rest, start) = (item, further, item.span().start);
    }
    match value.get_ref() {
        DeValue::Table(table) => deepest_start(table, rest).or(Some(start)),
        _ => Some(start),
    }
}

/// A value of the tree.
#[derive(Clone, Copy)]
struct At<'de>(&'de Value);

impl<'de> At<'de> {
    fn refuse<T>(self, wanted: &dyn Expected) -> Result<T, Refusal> {
        Err(Refusal::invalid_type(unexpected(self.0), wanted))
    }

    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            _ => self.refuse(&visitor),
        }
    }

    fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Datetime(moment) => visitor.visit_string(moment.to_string()),
            _ => self.refuse(&visitor),
        }
    }

    fn items<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            _ => self.refuse(&visitor),
        }
    }

    fn entries<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::Table(table) => visitor.visit_map(Entries {
                left: table.iter(),
                value: None,
            }),
            _ => self.refuse(&visitor),
        }
    }
}

/// Methods of a deserializer that all do the same.
macro_rules! by_kind {
    ($($method:ident($($unused:ty),*) => $kind:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, $(_: $unused,)* visitor: V) -> Result<V::Value, Refusal> {
            self.$kind(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for At<'de> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::String(_) | Value::Datetime(_) => self.text(visitor),
            Value::Integer(_) | Value::Float(_) => self.number(visitor),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Array(_) => self.items(visitor),
            Value::Table(_) => self.entries(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::Boolean(value) => visitor.visit_bool(*value),
            _ => self.refuse(&visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            Value::Table(table) => match (table.iter().next(), table.len()) {
                (Some((name, content)), 1) => visitor.visit_enum(Variant { name, content }),
                _ => Err(Refusal::custom("a table with one key is wanted here")),
            },
            other => Err(Refusal::invalid_type(unexpected(other), &"a name")),
        }
    }

    by_kind! {
        deserialize_i8() => number;
        deserialize_i16() => number;
        deserialize_i32() => number;
        deserialize_i64() => number;
        deserialize_u8() => number;
        deserialize_u16() => number;
        deserialize_u32() => number;
        deserialize_u64() => number;
        deserialize_f32() => number;
        deserialize_f64() => number;
        deserialize_char() => text;
        deserialize_str() => text;
        deserialize_string() => text;
        deserialize_identifier() => text;
        deserialize_seq() => items;
        deserialize_tuple(usize) => items;
        deserialize_tuple_struct(&'static str, usize) => items;
        deserialize_map() => entries;
        deserialize_struct(&'static str, &'static [&'static str]) => entries;
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Value>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refusal> {
        let Some((index, value)) = self.0.next() else {
            return Ok(None);
        };
        let taken = seed.deserialize(At(value));
        taken
            .map(Some)
            .map_err(|refusal| refusal.under(Segment::Index(index)))
    }
}

struct Entries<'de> {
    left: toml::map::Iter<'de, String, Value>,
    value: Option<(&'de String, &'de Value)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        let Some((key, value)) = self.left.next() else {
            return Ok(None);
        };
        self.value = Some((key, value));
        // A key that the schema does not have is refused here.
        seed.deserialize(BorrowedStrDeserializer::new(key))
            .map(Some)
            .map_err(|refusal: Refusal| refusal.under(Segment::Key(key.clone())))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let Some((key, value)) = self.value.take() else {
            return Err(Refusal::custom("a value was asked for before its key"));
        };
        seed.deserialize(At(value))
            .map_err(|refusal| refusal.under(Segment::Key(key.clone())))
    }
}

/// An enum written as a table of one entry.
struct Variant<'de> {
    name: &'de str,
    content: &'de Value,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Refusal;
    type Variant = At<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Refusal> {
        let name: StrDeserializer<'_, Refusal> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, At(self.content)))
    }
}

impl<'de> VariantAccess<'de> for At<'de> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        Err(Refusal::invalid_type(unexpected(self.0), &"nothing"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refusal> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.items(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.entries(visitor)
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::String(text) => Unexpected::Str(text),
        Value::Integer(number) => Unexpected::Signed(*number),
        Value::Float(number) => Unexpected::Float(*number),
        Value::Boolean(value) => Unexpected::Bool(*value),
        Value::Datetime(_) => Unexpected::Other("a date"),
        Value::Array(_) => Unexpected::Seq,
        Value::Table(_) => Unexpected::Map,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Machine {
        name: String,
        #[serde(default)]
        chain: Vec<Chain>,
        lamp: Option<Lamp>,
        ratio: Option<f64>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Chain {
        chips: u8,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Lamp {
        Off,
        Blink(u8),
    }

    fn read(text: &str) -> Result<Machine, String> {
        take(&toml::from_str(text).unwrap()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn values_of_every_kind_are_taken() {
        let machine =
            read("name = 'a'\nratio = 2\nlamp.blink = 3\n[[chain]]\nchips = 126").unwrap();
        let chain = vec![Chain { chips: 126 }];
        let (lamp, ratio) = (Some(Lamp::Blink(3)), Some(2.0));
        let name = "a".to_owned();
        assert_eq!(
            machine,
            Machine {
                name,
                chain,
                lamp,
                ratio
            }
        );
        assert_eq!(
            read("name = ''\nlamp = 'off'").unwrap().lamp,
            Some(Lamp::Off)
        );
    }

    #[test]
    fn a_path_leads_to_its_line() {
        let text = "name = 'a'\n\n[[chain]]\nchips = 1\n[[chain]]\n\nchips = 256\n";
        for (path, line) in [
            ("chain[1].chips", 7),
            ("chain[1].missing", 5),
            ("chain[0].chips", 4),
            ("name", 1),
            ("missing", 1),
        ] {
            let path = Segment::parse_path(path).unwrap();
            assert_eq!(line_of(text, &path), line, "{path:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_place() {
        let cases = [
            (
                "name = 5",
                "name: invalid type: integer `5`, expected a string",
            ),
            ("chain = []", ": missing field `name`"),
            (
                "name = 'a'\n[[chain]]\nchips = 1\n[[chain]]\nchips = 256",
                "chain[1].chips: invalid value: integer `256`, expected u8",
            ),
            (
                "name = 'a'\n[[chain]]\nchops = 1",
                "chain[0].chops: unknown field `chops`, expected `chips`",
            ),
            ("name = 'a'\n[[chain]]", "chain[0]: missing field `chips`"),
            (
                "name = 'a'\nlamp = 'red'",
                "lamp: unknown variant `red`, expected `off` or `blink`",
            ),
            (
                "name = 'a'\nlamp = 1",
                "lamp: invalid type: integer `1`, expected a name",
            ),
            (
                "name = 'a'\nlamp = {off = 1, blink = 2}",
                "lamp: a table with one key is wanted here",
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text).unwrap_err(), wanted, "{text}");
        }
    }
}
