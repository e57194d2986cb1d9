//! When two JSON texts mean the same: whatever the order of their keys and the spelling of their numbers.

use sha2::{Digest as _, Sha256};

use super::{
    path::{Path, Place},
    tree::{Node, Value, sorted},
};

/// Equal for equal texts, and for no others that could be found.
pub(crate) type Digest = [u8; 32];

/// A tag and a length before every text, so that nothing runs into what follows it.
pub(crate) fn text(sha: &mut Sha256, tag: u8, text: &str) {
    sha.update([tag]);
    sha.update((text.len() as u64).to_le_bytes());
    sha.update(text);
}

/// Takes in a text less the ignored places. One that is no JSON is still equal to itself.
pub(crate) fn json(sha: &mut Sha256, json: &str, ignore: &[Path]) {
    match Node::parse(json) {
        Some(node) => value(sha, &node, ignore, &mut Vec::new()),
        None => text(sha, b'r', json),
    }
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
