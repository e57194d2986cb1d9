//! Names that stand beside their value: `["Authorization", "…"]`, `{"name": "Authorization", "value": "…"}`,
//! `["--password", "…"]`.

use std::borrow::Cow;

use super::{
    keys::{self, Granularity, Named},
    readable,
    rules::RULES,
};
use crate::content::tree::{Node, Value};

/// Which elements of an array, or members of an object, are values of secrets.
pub(super) struct Pairs {
    secret: Vec<(usize, Named)>,
    /// The members that describe what a value must be.
    schema: Vec<usize>,
}

impl Pairs {
    const NONE: Self = Self { secret: Vec::new(), schema: Vec::new() };

    /// Of an array: a pair of two texts, the name of a header and what follows it, a flag and what follows it.
    pub(super) fn of_array(items: &[Node<'_>]) -> Self {
        let mut pairs = Self::NONE;
        for (index, pair) in items.windows(2).enumerate() {
            let (Value::String(name), value) = (&pair[0].value, &pair[1]) else { continue };
            let name = readable(name);
            let is_flag = name.starts_with('-') && !name.contains(['=', ' ']);
            let is_pair = items.len() == 2 || is_flag || (index % 2 == 0 && keys::is_header(&name));
            if !is_pair || name.len() > 200 || name.contains([' ', ':', '=']) {
                continue;
            }
            let is_next_flag = matches!(&value.value, Value::String(next) if is_flag && next.starts_with("--"));
            let named = keys::named(&name).filter(|_| !is_next_flag);
            pairs.secret.extend(named.map(|named| (index + 1, Named { granularity: Granularity::All, ..named })));
        }
        pairs
    }

    /// Of an object: what is said beside a name.
    pub(super) fn of_object(members: &[(Cow<'_, str>, Node<'_>)]) -> Self {
        let mut pairs = Self::NONE;
        let is_one_of = |key: &str, names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(key));
        let names = members.iter().filter(|(key, _)| is_one_of(key, &RULES.naming));
        let named = names.filter_map(|(_, member)| match &member.value {
            Value::String(name) => keys::named(&readable(name)),
            _ => None,
        });
        if let Some(named) = named.into_iter().next() {
            let valued = members.iter().enumerate().filter(|(_, (key, _))| is_one_of(key, &RULES.valued));
            pairs.secret.extend(valued.map(|(index, _)| (index, Named { granularity: Granularity::All, ..named })));
        }
        // `"password": {"type": "string"}`: what a tool takes, and no password.
        let schemas = members.iter().enumerate().filter(|(_, (_, member))| is_schema(member));
        pairs.schema = schemas.map(|(index, _)| index).collect();
        pairs
    }

    /// What makes a secret of an element or a member.
    pub(super) fn named(&self, index: usize) -> Option<Named> {
        self.secret.iter().find(|(secret, _)| *secret == index).map(|(_, named)| *named)
    }

    pub(super) fn is_schema(&self, index: usize) -> bool {
        self.schema.contains(&index)
    }
}

/// Whether a value is a JSON Schema of a single value, without one that it gives.
fn is_schema(node: &Node<'_>) -> bool {
    const KNOWN: [&str; 9] =
        ["type", "description", "title", "format", "minLength", "maxLength", "minimum", "maximum", "nullable"];
    let Value::Object(members) = &node.value else { return false };
    let types = ["string", "number", "integer", "boolean"];
    let has_type = members
        .iter()
        .any(|(key, member)| key == "type" && matches!(&member.value, Value::String(kind) if types.contains(&&**kind)));
    has_type && members.iter().all(|(key, _)| KNOWN.contains(&&**key))
}
