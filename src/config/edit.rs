//! Changes to a configuration file's own text: what is not changed stays byte for byte, comments too.
//!
//! Places come from the parser's spans. Each change is proven afterwards: the new text must parse to what the old one
//! would be with the change made to its values. A layout that this cannot do (pools in one line, dotted keys) is refused.

use cgminer_board::document::Segment;
use std::fmt::Write as _;
use std::ops::Range;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// A field of a section, or of an entry of a list such as `pool[0]`, gets a value.
    Set {
        /// Section.
        section: &'static str,
        /// Number of the entry, for sections that are lists.
        index: Option<usize>,
        /// Field.
        name: String,
        /// Its value.
        value: toml::Value,
    },
    /// A field goes back to its built-in value.
    Unset {
        /// Section.
        section: &'static str,
        /// Number of the entry, for sections that are lists.
        index: Option<usize>,
        /// Field.
        name: String,
    },
    /// A list gets one more entry, at its end.
    Append {
        /// Section.
        section: &'static str,
        /// Fields of the entry.
        entry: Vec<(String, toml::Value)>,
    },
    /// A list loses an entry.
    Remove {
        /// Section.
        section: &'static str,
        /// Number of the entry.
        index: usize,
    },
    /// Two entries of a list change places, each with the comments right above it.
    Exchange {
        /// Section.
        section: &'static str,
        /// Number of the one that stands first.
        first: usize,
        /// Number of the other.
        second: usize,
    },
}

/// Why a text was not changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EditError {
    /// The text is no TOML.
    #[error("the file is no TOML: {0}; mend it first")]
    NotToml(String),
    /// There is no such entry.
    #[error("there is no {section}[{index}] in the file")]
    NoEntry {
        /// Section.
        section: &'static str,
        /// Number asked for.
        index: usize,
    },
    /// The change cannot be made in this layout.
    #[error(
        "the file writes `{section}` in a way that cannot be changed in place; \
         write sections as [name] and lists as [[name]], a field a line"
    )]
    Layout {
        /// Section.
        section: &'static str,
    },
}

impl Edit {
    /// Section that is changed.
    pub fn section(&self) -> &'static str {
        match self {
            Self::Set { section, .. }
            | Self::Unset { section, .. }
            | Self::Append { section, .. }
            | Self::Remove { section, .. }
            | Self::Exchange { section, .. } => section,
        }
    }

    /// The field that is changed, as a path.
    pub fn path(&self) -> Option<Vec<Segment>> {
        match self {
            Self::Set {
                section,
                index,
                name,
                ..
            }
            | Self::Unset {
                section,
                index,
                name,
            } => {
                let mut path = vec![Segment::Key((*section).into())];
                path.extend(index.map(Segment::Index));
                path.push(Segment::Key(name.clone()));
                Some(path)
            }
            Self::Append { .. } | Self::Remove { .. } | Self::Exchange { .. } => None,
        }
    }
}

/// The text with all changes made, in their order.
///
/// # Errors
/// When one cannot be made; then none is.
pub fn edit(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    edits
        .iter()
        .try_fold(text.to_owned(), |text, change| one(&text, change))
}

fn one(text: &str, change: &Edit) -> Result<String, EditError> {
    let section = change.section();
    let parsed =
        DeTable::parse(text).map_err(|error| EditError::NotToml(error.message().into()))?;
    let mut wanted = values(text)?;
    apply(&mut wanted, change)?;
    let (place, with) = place_of(text, parsed.get_ref(), change)?;
    let mut changed = text.to_owned();
    if changed.get(place.clone()).is_none() {
        return Err(EditError::Layout { section });
    }
    changed.replace_range(place, &with);
    match values(&changed) {
        Ok(made) if made == wanted => Ok(changed),
        _ => Err(EditError::Layout { section }),
    }
}

/// Which bytes become which text.
fn place_of(
    text: &str,
    table: &DeTable<'_>,
    change: &Edit,
) -> Result<(Range<usize>, String), EditError> {
    let section = change.section();
    let layout = || EditError::Layout { section };
    match change {
        Edit::Set {
            index, name, value, ..
        } => {
            let Some(entry) = entry_of(table, section, *index)? else {
                return Ok((
                    text.len()..text.len(),
                    format!("{}[{section}]\n{name} = {value}\n", gap(text)),
                ));
            };
            let fields = entry.get_ref().as_table().ok_or_else(layout)?;
            if let Some((_, present)) = find(fields, name) {
                return Ok((present.span(), value.to_string()));
            }
            let header = entry.span().start;
            if text.as_bytes().get(header) != Some(&b'[') {
                return Err(layout());
            }
            let at = line_end(text, header);
            let newline = if text.get(..at).is_some_and(|before| before.ends_with('\n')) {
                ""
            } else {
                "\n"
            };
            Ok((at..at, format!("{newline}{name} = {value}\n")))
        }
        Edit::Unset { index, name, .. } => {
            let field = entry_of(table, section, *index)?
                .and_then(|entry| find(entry.get_ref().as_table()?, name));
            Ok(match field {
                Some((key, value)) => (
                    line_start(text, key.span().start)..line_end(text, value.span().end),
                    String::new(),
                ),
                None => (0..0, String::new()),
            })
        }
        Edit::Append { entry, .. } => {
            let mut lines = format!("{}[[{section}]]\n", gap(text));
            for (name, value) in entry {
                let _ = writeln!(lines, "{name} = {value}");
            }
            Ok((text.len()..text.len(), lines))
        }
        Edit::Remove { index, .. } => {
            let lines = lines_of(text, table, section, *index)?;
            Ok((lines, String::new()))
        }
        Edit::Exchange { first, second, .. } => {
            let upper = with_comments(text, lines_of(text, table, section, *first)?);
            let lower = with_comments(text, lines_of(text, table, section, *second)?);
            let part = |range: Range<usize>| text.get(range).ok_or_else(layout);
            let middle = part(upper.end..lower.start)?;
            let [above, below] = [part(upper.clone())?, part(lower.clone())?];
            // The last line of a file may lack its end.
            let newline = if below.ends_with('\n') { "" } else { "\n" };
            let changed = format!("{below}{newline}{middle}{above}");
            Ok((upper.start..lower.end, changed))
        }
    }
}

/// The whole lines of an entry, from its header to its last field.
fn lines_of(
    text: &str,
    table: &DeTable<'_>,
    section: &'static str,
    index: usize,
) -> Result<Range<usize>, EditError> {
    let layout = EditError::Layout { section };
    let Some(entry) = entry_of(table, section, Some(index))? else {
        return Err(layout);
    };
    let fields = entry.get_ref().as_table().ok_or(layout)?;
    let start = entry.span().start;
    let end = fields
        .iter()
        .map(|(_, value)| value.span().end)
        .fold(start, usize::max);
    Ok(line_start(text, start)..line_end(text, end))
}

/// The same, and the comments right above.
fn with_comments(text: &str, mut lines: Range<usize>) -> Range<usize> {
    while lines.start > 0 {
        let above = line_start(text, lines.start - 1);
        let line = text.get(above..lines.start).unwrap_or_default();
        if !line.trim_start().starts_with('#') {
            break;
        }
        lines.start = above;
    }
    lines
}

/// The table of a section, or of one of its entries; `None` when the section is not there.
fn entry_of<'a, 'i>(
    table: &'a DeTable<'i>,
    section: &'static str,
    index: Option<usize>,
) -> Result<Option<&'a Spanned<DeValue<'i>>>, EditError> {
    let Some((_, node)) = find(table, section) else {
        return match index {
            Some(index) => Err(EditError::NoEntry { section, index }),
            None => Ok(None),
        };
    };
    let Some(index) = index else {
        return Ok(Some(node));
    };
    let list = node
        .get_ref()
        .as_array()
        .ok_or(EditError::Layout { section })?;
    let entry = list.get(index);
    entry.map(Some).ok_or(EditError::NoEntry { section, index })
}

type Entry<'a, 'i> = (
    &'a Spanned<std::borrow::Cow<'i, str>>,
    &'a Spanned<DeValue<'i>>,
);

fn find<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<Entry<'a, 'i>> {
    table.iter().find(|(key, _)| key.get_ref() == name)
}

/// What stands between the end of the text and a section behind it.
fn gap(text: &str) -> &'static str {
    if text.trim().is_empty() {
        ""
    } else if text.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    }
}

fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.rfind('\n').map_or(0, |newline| newline + 1)
}

/// Behind the newline that ends the line of `at`.
fn line_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.find('\n')
        .map_or(text.len(), |newline| at + newline + 1)
}

fn values(text: &str) -> Result<toml::Table, EditError> {
    text.parse()
        .map_err(|error: toml::de::Error| EditError::NotToml(error.message().into()))
}

/// The same change, made to the values.
fn apply(values: &mut toml::Table, change: &Edit) -> Result<(), EditError> {
    let section = change.section();
    let layout = || EditError::Layout { section };
    match change {
        Edit::Set {
            index, name, value, ..
        } => {
            fields_of(values, section, *index)?.insert(name.clone(), value.clone());
        }
        Edit::Unset { index, name, .. } => {
            if values.contains_key(section) {
                fields_of(values, section, *index)?.remove(name);
            }
        }
        Edit::Append { entry, .. } => {
            let list = values
                .entry(section)
                .or_insert_with(|| toml::Value::Array(Vec::new()));
            let entry = entry.iter().cloned().collect::<toml::Table>();
            list.as_array_mut().ok_or_else(layout)?.push(entry.into());
        }
        Edit::Remove { index, .. } => {
            let list = values.get_mut(section).and_then(toml::Value::as_array_mut);
            let index = *index;
            let missing = EditError::NoEntry { section, index };
            let list = list.filter(|list| index < list.len()).ok_or(missing)?;
            list.remove(index);
            if list.is_empty() {
                values.remove(section);
            }
        }
        Edit::Exchange { first, second, .. } => {
            let list = values.get_mut(section).and_then(toml::Value::as_array_mut);
            let index = *first.max(second);
            let missing = EditError::NoEntry { section, index };
            let list = list.filter(|list| index < list.len()).ok_or(missing)?;
            list.swap(*first, *second);
        }
    }
    Ok(())
}

fn fields_of<'a>(
    values: &'a mut toml::Table,
    section: &'static str,
    index: Option<usize>,
) -> Result<&'a mut toml::Table, EditError> {
    let layout = EditError::Layout { section };
    let Some(index) = index else {
        let node = values
            .entry(section)
            .or_insert_with(|| toml::Table::new().into());
        return node.as_table_mut().ok_or(layout);
    };
    let list = values.get_mut(section).and_then(toml::Value::as_array_mut);
    let entry = list.and_then(|list| list.get_mut(index));
    let entry = entry.ok_or(EditError::NoEntry { section, index })?;
    entry.as_table_mut().ok_or(layout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "# mine\n[log]\nlevel = \"info\" # loud\n\n# the best\n[[pool]]\nurl = \"a:1\"\nuser = \
                        \"u\" # me\n\n# the other\n[[pool]] # two\nurl = \"b:2\"\nuser = \"v\"\n\n[cooling]\nduty = 70\n";

    fn set(section: &'static str, index: Option<usize>, name: &str, value: &str) -> Edit {
        Edit::Set {
            section,
            index,
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn a_value_is_replaced_and_all_else_stays() {
        let edited = edit(FILE, &[set("log", None, "level", "de\"bug")]).unwrap();
        assert_eq!(edited, FILE.replace("\"info\"", "'de\"bug'"));
        let edited = edit(FILE, &[set("pool", Some(1), "url", "c:3")]).unwrap();
        assert_eq!(edited, FILE.replace("b:2", "c:3"));
    }

    #[test]
    fn a_field_and_a_section_that_are_not_there_are_written_anew() {
        let edited = edit(FILE, &[set("pool", Some(1), "name", "x")]).unwrap();
        assert_eq!(
            edited,
            FILE.replace("[[pool]] # two\n", "[[pool]] # two\nname = \"x\"\n")
        );
        let edited = edit(FILE, &[set("api", None, "listen", "off")]).unwrap();
        assert_eq!(edited, format!("{FILE}\n[api]\nlisten = \"off\"\n"));
        let edited = edit("[api]", &[set("api", None, "listen", "off")]).unwrap();
        assert_eq!(edited, "[api]\nlisten = \"off\"\n");
    }

    #[test]
    fn entries_come_and_go_with_their_lines() {
        let entry = vec![("url".into(), "c:3".into()), ("user".into(), "w".into())];
        let section = "pool";
        let edited = edit(FILE, &[Edit::Append { section, entry }]).unwrap();
        assert_eq!(
            edited,
            format!("{FILE}\n[[pool]]\nurl = \"c:3\"\nuser = \"w\"\n")
        );
        let edited = edit(FILE, &[Edit::Remove { section, index: 0 }]).unwrap();
        assert_eq!(
            edited,
            FILE.replace("[[pool]]\nurl = \"a:1\"\nuser = \"u\" # me\n", "")
        );
        let both = [
            Edit::Remove { section, index: 1 },
            Edit::Remove { section, index: 0 },
        ];
        assert!(!edit(FILE, &both).unwrap().contains("[[pool]]"));
        let gone = Edit::Unset {
            section: "cooling",
            index: None,
            name: "duty".into(),
        };
        assert_eq!(
            edit(FILE, &[gone]).unwrap(),
            FILE.replace("duty = 70\n", "")
        );
    }

    #[test]
    fn entries_change_places_with_their_comments() {
        let exchange = |first, second| Edit::Exchange {
            section: "pool",
            first,
            second,
        };
        let best = "# the best\n[[pool]]\nurl = \"a:1\"\nuser = \"u\" # me\n";
        let other = "# the other\n[[pool]] # two\nurl = \"b:2\"\nuser = \"v\"\n";
        let edited = edit(FILE, &[exchange(0, 1)]).unwrap();
        let wanted = FILE.replace(best, "X").replace(other, best);
        assert_eq!(edited, wanted.replace('X', other));
        let unfinished = "[[pool]]\nurl = \"a:1\"\n[[pool]]\nurl = \"b:2\"";
        assert_eq!(
            edit(unfinished, &[exchange(0, 1)]).unwrap(),
            "[[pool]]\nurl = \"b:2\"\n[[pool]]\nurl = \"a:1\"\n"
        );
        assert!(edit(FILE, &[exchange(0, 2)]).is_err());
    }

    #[test]
    fn a_layout_that_cannot_be_changed_is_refused_and_not_guessed() {
        let remove = Edit::Remove {
            section: "pool",
            index: 0,
        };
        for (text, change) in [
            ("pool = [{url = \"a:1\"}, {url = \"b:2\"}]\n", remove),
            (
                "log = {level = \"info\"}\n",
                set("log", None, "format", "json"),
            ),
            ("log.level = \"info\"\n", set("log", None, "format", "json")),
            ("log = 3\n", set("log", None, "format", "json")),
        ] {
            let error = edit(text, &[change]).unwrap_err();
            assert!(matches!(error, EditError::Layout { .. }), "{text}: {error}");
        }
        let missing = edit(FILE, &[set("pool", Some(2), "url", "x")]).unwrap_err();
        assert_eq!(
            missing,
            EditError::NoEntry {
                section: "pool",
                index: 2
            }
        );
    }

    fn change() -> impl Strategy<Value = Edit> {
        let section = prop_oneof![Just("log"), Just("pool"), Just("cooling"), Just("api")];
        let name = prop_oneof![Just("level"), Just("url"), Just("user"), Just("name")];
        (section, name, 0..3_usize, "\\PC{0,8}", 0..5).prop_map(
            |(section, name, index, text, kind)| {
                let index = (section == "pool").then_some(index);
                let name = name.to_owned();
                match (kind, index) {
                    (0, _) => Edit::Unset {
                        section,
                        index,
                        name,
                    },
                    (1, Some(index)) => Edit::Remove { section, index },
                    (2, Some(_)) => Edit::Append {
                        section,
                        entry: vec![(name, text.into())],
                    },
                    (3, Some(index)) => Edit::Exchange {
                        section,
                        first: index,
                        second: index + 1,
                    },
                    _ => Edit::Set {
                        section,
                        index,
                        name,
                        value: text.into(),
                    },
                }
            },
        )
    }

    proptest! {
        #[test]
        fn comments_outlive_any_changes_that_are_made(changes in proptest::collection::vec(change(), 1..6)) {
            let mut text = FILE.to_owned();
            for change in changes {
                let Ok(next) = edit(&text, std::slice::from_ref(&change)) else { continue };
                for comment in ["# mine", "# the best", "# the other"] {
                    prop_assert!(next.contains(comment), "{change:?}: {next}");
                }
                text = next;
            }
        }

        #[test]
        fn any_text_is_changed_or_refused(text in "[a-z\\[\\]=\"'#.{},\n 0-9]{0,80}", change in change()) {
            let _ = edit(&text, &[change]);
        }
    }
}
