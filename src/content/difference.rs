//! What differs between two values, field by field.

use super::{
    digest::ignored,
    path::{Path, Place, write},
    tree::{Node, Value, sorted},
};

/// The fields that are named of one difference.
pub(crate) const MAX_FIELDS: usize = 20;
/// The longest value shown, in bytes of JSON.
const MAX_SHOWN_BYTES: usize = 200;

/// One field that differs. An absent value is an empty text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// A JSON path, or the name of a field beside the data.
    pub(crate) path: Box<str>,
    pub(crate) left: Box<str>,
    pub(crate) right: Box<str>,
}

impl Field {
    pub(crate) fn bytes(&self) -> usize {
        self.path.len() + self.left.len() + self.right.len()
    }

    /// A text field beside the data, where it differs.
    pub(crate) fn label(path: &str, left: Option<&str>, right: Option<&str>) -> Option<Self> {
        let json = |text: Option<&str>| text.map_or_else(String::new, |text| serde_json::Value::from(text).to_string());
        let field = || Self { path: path.into(), left: shown(&json(left)), right: shown(&json(right)) };
        (left != right).then(field)
    }
}

/// What differs, and how many fields in all.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// The first ones.
    pub(crate) fields: Vec<Field>,
    pub(crate) count: usize,
}

/// Compares two JSON texts, the ignored places left out.
pub(crate) fn between(left: &str, right: &str, ignore: &[Path]) -> Differences {
    let mut found = Differences::default();
    match (Node::parse(left), Node::parse(right)) {
        (Some(left), Some(right)) => compare(&left, &right, ignore, &mut Vec::new(), &mut found),
        _ if left != right => found.add(&[], Some(left), Some(right)),
        _ => {}
    }
    found
}

impl Differences {
    fn add(&mut self, at: &[Place<'_>], left: Option<&str>, right: Option<&str>) {
        self.count += 1;
        if self.fields.len() < MAX_FIELDS {
            let (left, right) = (shown(left.unwrap_or_default()), shown(right.unwrap_or_default()));
            self.fields.push(Field { path: write(at).into(), left, right });
        }
    }
}

fn compare<'n>(
    left: &'n Node<'_>,
    right: &'n Node<'_>,
    ignore: &[Path],
    at: &mut Vec<Place<'n>>,
    found: &mut Differences,
) {
    if left.text == right.text || ignored(ignore, at) {
        return;
    }
    match (&left.value, &right.value) {
        (Value::Object(left), Value::Object(right)) => members(&sorted(left), &sorted(right), ignore, at, found),
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                at.push(Place::Index(index));
                either(left.get(index), right.get(index), ignore, at, found);
                at.pop();
            }
        }
        (Value::String(left), Value::String(right)) if left == right => {}
        (Value::Other, Value::Other) if left.is_number() && right.is_number() && left.number() == right.number() => {}
        _ => found.add(at, Some(left.text), Some(right.text)),
    }
}

/// Two objects, whose members come by key.
fn members<'n>(
    mut left: &[(&'n str, &'n Node<'_>)],
    mut right: &[(&'n str, &'n Node<'_>)],
    ignore: &[Path],
    at: &mut Vec<Place<'n>>,
    found: &mut Differences,
) {
    while let Some(key) = [left.first(), right.first()].into_iter().flatten().map(|(key, _)| *key).min() {
        let take = |side: &mut &[(&'n str, &'n Node<'_>)]| {
            let (first, rest) = side.split_first()?;
            (first.0 == key).then(|| {
                *side = rest;
                first.1
            })
        };
        let pair = (take(&mut left), take(&mut right));
        at.push(Place::Name(key));
        either(pair.0, pair.1, ignore, at, found);
        at.pop();
    }
}

fn either<'n>(
    left: Option<&'n Node<'_>>,
    right: Option<&'n Node<'_>>,
    ignore: &[Path],
    at: &mut Vec<Place<'n>>,
    found: &mut Differences,
) {
    match (left, right) {
        (Some(left), Some(right)) => compare(left, right, ignore, at, found),
        _ if ignored(ignore, at) => {}
        (left, right) => found.add(at, left.map(|node| node.text), right.map(|node| node.text)),
    }
}

/// A value as it is shown: cut where it is long.
fn shown(json: &str) -> Box<str> {
    if json.len() <= MAX_SHOWN_BYTES {
        return json.into();
    }
    let end = (0..=MAX_SHOWN_BYTES - '…'.len_utf8()).rev().find(|end| json.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &json[..end]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_with_both_values() {
        let left = r#"{"q":"x","n":1,"list":[1,{"a":true}],"gone":[]}"#;
        let right = r#"{"n":1.0,"q":"y","list":[1,{"a":false},"new"]}"#;
        let found = between(left, right, &[]);
        let fields: Vec<_> = found.fields.iter().map(|field| (&*field.path, &*field.left, &*field.right)).collect();
        let expected = [
            ("$.gone", "[]", ""),
            ("$.list[1].a", "true", "false"),
            ("$.list[2]", "", "\"new\""),
            ("$.q", "\"x\"", "\"y\""),
        ];
        assert_eq!(fields, expected);
        assert_eq!(found.count, 4);
        let ignore = [Path::parse("$.q").expect("valid"), Path::parse("$.gone").expect("valid")];
        assert_eq!(between(left, right, &ignore).count, 2);
    }

    #[test]
    fn what_is_shown_is_bounded() {
        let long = |letter: &str| format!(r#"{{"a":"{}"}}"#, letter.repeat(10_000));
        let found = between(&long("é"), &long("ü"), &[]);
        assert!(found.fields[0].left.len() <= MAX_SHOWN_BYTES && found.fields[0].left.ends_with('…'));
        let many = |value: u32| serde_json::json!({ "list": vec![value; 1_000] }).to_string();
        let found = between(&many(1), &many(2), &[]);
        assert_eq!((found.fields.len(), found.count), (MAX_FIELDS, 1_000));
    }
}
