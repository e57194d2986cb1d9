//! When two steps are the same: by what was submitted, whatever the order of its keys and the spelling of its numbers.

use sha2::{Digest as _, Sha256};

use super::{
    path::{Path, Place},
    tree::{Node, Value, sorted},
};
use crate::event::{EventType, Payload};

/// Equal for equal steps, and for no others that anybody could find.
pub(crate) type Digest = [u8; 32];

/// The digest of a step: its type, its name, and its own key or else its data less the ignored places.
pub(crate) fn step(
    kind: EventType,
    name: Option<&str>,
    match_key: Option<&str>,
    data: &Payload,
    ignore: &[Path],
) -> Digest {
    let mut sha = Sha256::new();
    sha.update([kind as u8]);
    text(&mut sha, b'n', name.unwrap_or_default());
    match (match_key, Node::parse(&data.json)) {
        (Some(key), _) => text(&mut sha, b'k', key),
        (None, Some(node)) => value(&mut sha, &node, ignore, &mut Vec::new()),
        // What no reader understands is still equal to itself.
        (None, None) => text(&mut sha, b'r', &data.json),
    }
    sha.finalize().into()
}

/// A tag and a length before every text, so that nothing runs into what follows it.
fn text(sha: &mut Sha256, tag: u8, text: &str) {
    sha.update([tag]);
    sha.update((text.len() as u64).to_le_bytes());
    sha.update(text);
}

fn value<'n>(sha: &mut Sha256, node: &'n Node<'_>, ignore: &[Path], at: &mut Vec<Place<'n>>) {
    if ignored(ignore, at) {
        return;
    }
    match &node.value {
        Value::Object(members) => {
            sha.update(b"{");
            for (key, member) in sorted(members) {
                at.push(Place::Name(key));
                if !ignored(ignore, at) {
                    text(sha, b'n', key);
                    value(sha, member, ignore, at);
                }
                at.pop();
            }
            sha.update(b"}");
        }
        Value::Array(items) => {
            sha.update(b"[");
            for (index, item) in items.iter().enumerate() {
                at.push(Place::Index(index));
                value(sha, item, ignore, at);
                at.pop();
            }
            sha.update(b"]");
        }
        Value::String(string) => text(sha, b's', string),
        Value::Other if node.is_number() => text(sha, b'#', &node.number()),
        Value::Other => text(sha, b'w', node.text),
    }
}

pub(super) fn ignored(ignore: &[Path], at: &[Place<'_>]) -> bool {
    ignore.iter().any(|path| path.leads_to(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Encoding;

    fn of(json: &str, ignore: &[&str]) -> Digest {
        let ignore: Vec<_> = ignore.iter().map(|path| Path::parse(path).expect("valid")).collect();
        let data = Payload { json: json.into(), encoding: Encoding::Json };
        step(EventType::Prompt, Some("ask"), None, &data, &ignore)
    }

    #[test]
    fn spelling_does_not_count() {
        let plain = of(r#"{"a":1,"b":["x",true]}"#, &[]);
        for same in [
            r#"{"b":["x",true],"a":1.0}"#,
            "{ \"a\" : 1e0, \"b\":[\"\\u0078\", true] }",
            r#"{"a":2,"b":["x",true],"a":1}"#,
        ] {
            assert_eq!(of(same, &[]), plain, "{same}");
        }
        for other in
            [r#"{"a":"1","b":["x",true]}"#, r#"{"a":1,"b":["x",null]}"#, r#"{"a":1,"b":["xtrue"]}"#, r#"{"a":1}"#]
        {
            assert_ne!(of(other, &[]), plain, "{other}");
        }
    }

    #[test]
    fn ignored_places_do_not_count() {
        let (monday, tuesday) = (r#"{"q":"x","at":1,"list":[{"id":7}]}"#, r#"{"q":"x","list":[{"id":8}],"at":2}"#);
        assert_ne!(of(monday, &["$.at"]), of(tuesday, &["$.at"]));
        assert_eq!(of(monday, &["$.at", "$.list[*].id"]), of(tuesday, &["$.at", "$.list[*].id"]));
        assert_eq!(of(r#"{"q":"x","at":1}"#, &["$..at"]), of(r#"{"q":"x"}"#, &["$..at"]));
    }

    #[test]
    fn the_agents_own_key_goes_before_the_data() {
        let of = |key, json: &str| {
            step(EventType::ToolCall, None, key, &Payload { json: json.into(), encoding: Encoding::Json }, &[])
        };
        assert_eq!(of(Some("k"), "{}"), of(Some("k"), r#"{"a":1}"#));
        assert_ne!(of(Some("k"), "{}"), of(None, "{}"));
        let kind = |kind| step(kind, None, Some("k"), &Payload { json: "{}".into(), encoding: Encoding::Json }, &[]);
        assert_ne!(kind(EventType::Prompt), kind(EventType::ToolCall));
    }
}
