//! JSON paths: the part of RFC 9535 that names places, without filters and slices.
//!
//! `$.a.b`, `$['a b']`, `$.list[0]`, `$.list[*].id`, `$.*`, `$..timestamp`.

use std::fmt::Write;

/// The longest path, in bytes.
pub(crate) const MAX_PATH_BYTES: usize = 200;

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Name(Box<str>),
    Index(usize),
    Any,
    /// Any number of steps.
    Descend,
}

/// Where one is in a value, from its root.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Name(&'a str),
    Index(usize),
}

/// A path that may lead to several places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(Vec<Segment>);

impl Path {
    /// Reads a path. An error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_PATH_BYTES {
            return Err("must be at most 200 bytes");
        }
        let mut rest = text.strip_prefix('$').ok_or("must begin with `$`, as in `$.messages[*].id`")?;
        let mut segments = Vec::new();
        while !rest.is_empty() {
            rest = match rest.strip_prefix("..") {
                Some(after) => {
                    segments.push(Segment::Descend);
                    if after.starts_with('[') { bracket(after, &mut segments)? } else { dotted(after, &mut segments)? }
                }
                None => match rest.strip_prefix('.') {
                    Some(after) => dotted(after, &mut segments)?,
                    None => bracket(rest, &mut segments)?,
                },
            };
        }
        if segments.is_empty() { Err("must name something below `$`") } else { Ok(Self(segments)) }
    }

    /// Whether it leads to a place.
    pub(crate) fn leads_to(&self, places: &[Place<'_>]) -> bool {
        matches(&self.0, places)
    }
}

fn matches(segments: &[Segment], places: &[Place<'_>]) -> bool {
    match (segments, places) {
        ([], []) => true,
        ([Segment::Descend, rest @ ..], _) => (0..=places.len()).any(|skip| matches(rest, &places[skip..])),
        ([Segment::Name(name), segments @ ..], [Place::Name(at), places @ ..]) => {
            **name == **at && matches(segments, places)
        }
        ([Segment::Index(index), segments @ ..], [Place::Index(at), places @ ..]) => {
            index == at && matches(segments, places)
        }
        ([Segment::Any, segments @ ..], [_, places @ ..]) => matches(segments, places),
        _ => false,
    }
}

fn dotted<'a>(text: &'a str, segments: &mut Vec<Segment>) -> Result<&'a str, &'static str> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match name {
        "" => return Err("has a dot with no name after it"),
        "*" => segments.push(Segment::Any),
        name => segments.push(Segment::Name(name.into())),
    }
    Ok(rest)
}

fn bracket<'a>(text: &'a str, segments: &mut Vec<Segment>) -> Result<&'a str, &'static str> {
    let inner = text.strip_prefix('[').ok_or("must go on with `.` or `[`")?;
    for quote in ['\'', '"'] {
        if let Some(name) = inner.strip_prefix(quote) {
            let (name, rest) = name.split_once(quote).ok_or("has a quote that is not closed")?;
            segments.push(Segment::Name(name.into()));
            return rest.strip_prefix(']').ok_or("has a bracket that is not closed");
        }
    }
    let (index, rest) = inner.split_once(']').ok_or("has a bracket that is not closed")?;
    segments.push(match index {
        "*" => Segment::Any,
        index => Segment::Index(index.parse().map_err(|_| "takes an index, `*` or a quoted name in brackets")?),
    });
    Ok(rest)
}

/// The path of one place, as people write it and as [`Path::parse`] reads it.
pub(crate) fn write(places: &[Place<'_>]) -> String {
    let mut text = String::from("$");
    for place in places {
        let plain = |name: &str| {
            !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
        };
        // Writing into a String does not fail.
        let _ = match place {
            Place::Index(index) => write!(text, "[{index}]"),
            Place::Name(name) if plain(name) => write!(text, ".{name}"),
            Place::Name(name) if name.contains('\'') => write!(text, "[\"{name}\"]"),
            Place::Name(name) => write!(text, "['{name}']"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_say() {
        use Place::{Index, Name};
        let places = [Name("messages"), Index(2), Name("sent at")];
        for path in ["$.messages[2]['sent at']", "$.messages[*][\"sent at\"]", "$..['sent at']", "$.*.*.*", "$..*"] {
            assert!(Path::parse(path).expect(path).leads_to(&places), "{path}");
        }
        for path in ["$.messages", "$.messages[1]['sent at']", "$..sent", "$.messages[2]['sent at'].x"] {
            assert!(!Path::parse(path).expect(path).leads_to(&places), "{path}");
        }
        assert_eq!(write(&places), "$.messages[2]['sent at']");
        assert!(Path::parse(&write(&places)).expect("its own").leads_to(&places));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["", "a", "$", "$.", "$a", "$[", "$[x]", "$['a", "$['a'x", "$..", "$.a..", "$[-1]"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
        assert!(Path::parse(&format!("$.{}", "a".repeat(MAX_PATH_BYTES))).is_err());
    }
}
