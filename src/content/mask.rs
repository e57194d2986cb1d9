//! Masking secrets in what is given away: by the key that they stand under, and by what they look like.
//!
//! Only the text of a secret is replaced; everything around it stays as it was, character by character. What is a
//! secret stands in `mask/rules.txt`. JSON inside of a string is looked at as JSON, however often it is wrapped.

mod expression;
mod keys;
mod pairs;
mod rules;
mod text;
mod value;

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use sha2::{Digest as _, Sha256};

pub(crate) use self::expression::expression;
use self::{
    keys::{Granularity, Named},
    pairs::Pairs,
    rules::{RULES, Rule},
};
use super::tree::{Node, Value};

/// What was masked: for each rule, how many values.
pub(crate) type Masked = BTreeMap<Box<str>, u64>;

/// How many times JSON may be wrapped in a string and still be looked into. Each time doubles its escapes; what is
/// wrapped more often is masked whole.
const MAX_WRAPPED: u32 = 8;
/// JSON in the middle of a text is looked for until this many bytes, for each byte of the text, were read in vain.
const MAX_WASTE: usize = 2;
/// The digits that tell masked ids apart.
const ID_BYTES: usize = 6;

/// What stands where a secret was.
fn mark(rule: &str) -> String {
    format!("[masked: {rule}]")
}

/// Whether a text is what stands where a secret was, and no more: it is not masked again.
fn is_mark(text: &str) -> bool {
    let inner = text.strip_prefix("[masked: ").and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| {
        let (rule, id) = inner.split_once(' ').unwrap_or((inner, "0"));
        RULES.has(rule) && id.len() <= 2 * ID_BYTES && id.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// JSON with its secrets masked; nothing where it has none.
pub(crate) fn json(json: &str, masked: &mut Masked) -> Option<String> {
    let (replacement, rules) = in_json(json, 0)?;
    count(rules, masked);
    Some(replacement)
}

/// The member of what a breakpoint logged that says what it would have logged of masked data; only where that differs.
pub(crate) const LOGGED_MASKED: &str = "masked_message";

/// What a breakpoint logged, with that in place of its message; nothing where there is none.
pub(crate) fn logged(json: &str, masked: &mut Masked) -> Option<String> {
    let mut data = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).ok()?;
    let serde_json::Value::String(said) = data.remove(LOGGED_MASKED)? else { return None };
    // By its look, too: what a person wrote into the message was in no data.
    let said = text(&said, &mut Masked::new()).unwrap_or(said);
    // Where the marks come from was counted nowhere yet.
    for mark in said.split("[masked: ").skip(1) {
        let rule = mark.split([' ', ']']).next().filter(|rule| RULES.has(rule));
        *masked.entry(rule.unwrap_or("log_point").into()).or_default() += 1;
    }
    data.insert("message".to_owned(), said.into());
    serde_json::to_string(&data).ok()
}

/// A text with its secrets masked; nothing where it has none.
pub(crate) fn text(text: &str, masked: &mut Masked) -> Option<String> {
    let (replacement, rules) = in_text(text, 0)?;
    count(rules, masked);
    Some(replacement)
}

/// An id with its secrets masked; nothing where it has none. Ids that differ stay different, and an id is masked in the
/// same way wherever it stands, for as long as this process runs: by digits that nothing can be read from without a
/// key that no one is told. It is never longer than `most` bytes.
pub(crate) fn id(id: &str, most: usize, masked: &mut Masked) -> Option<String> {
    static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
        let mut key = [0; 32];
        // Without randomness, ids can be told apart all the same.
        let _ = getrandom::fill(&mut key);
        key
    });
    let (replacement, rules) = in_text(id, 0)?;
    let mut sha = Sha256::new();
    sha.update(*KEY);
    sha.update(id);
    let digits: String = sha.finalize().iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let rule = rules.first().copied().unwrap_or_default();
    let replacement = numbered(&replacement, &digits);
    let whole = || numbered(&mark(rule), &digits);
    Some(fitting(replacement, rules, most, whole, masked))
}

/// A short text with its secrets masked, never longer than `most` bytes; nothing where it has none.
pub(crate) fn label(label: &str, most: usize, masked: &mut Masked) -> Option<String> {
    let (replacement, rules) = in_text(label, 0)?;
    let rule = rules.first().copied().unwrap_or_default();
    Some(fitting(replacement, rules, most, || mark(rule), masked))
}

/// What is masked, or `whole` where that would be too long.
fn fitting(
    replacement: String,
    rules: Vec<Rule>,
    most: usize,
    whole: impl FnOnce() -> String,
    masked: &mut Masked,
) -> String {
    if replacement.len() <= most {
        count(rules, masked);
        return replacement;
    }
    count(rules.into_iter().take(1).collect(), masked);
    whole()
}

/// Adds digits to all marks that have none.
fn numbered(text: &str, digits: &str) -> String {
    let mut numbered = String::with_capacity(text.len() + digits.len() + 1);
    let mut rest = text;
    while let Some(start) = rest.find("[masked: ") {
        let Some(length) = rest[start..].find(']') else { break };
        let (before, after) = rest.split_at(start + length);
        numbered.push_str(before);
        if is_mark(&rest[start..=start + length]) && !before[start + "[masked: ".len()..].contains(' ') {
            numbered.push(' ');
            numbered.push_str(digits);
        }
        rest = after;
    }
    numbered.push_str(rest);
    numbered
}

fn count(rules: Vec<Rule>, masked: &mut Masked) {
    for rule in rules {
        *masked.entry(rule.into()).or_default() += 1;
    }
}

/// A value or a key that is replaced.
struct Place<'a> {
    at: &'a str,
    replacement: String,
    rules: Vec<Rule>,
}

/// What was replaced by what.
type Replaced = (String, Vec<Rule>);

fn in_json(json: &str, wrapped: u32) -> Option<Replaced> {
    let node = Node::parse(json)?;
    in_node(&node, json, wrapped)
}

/// A node of a text, whose text is replaced as far as the node reaches.
fn in_node(node: &Node<'_>, json: &str, wrapped: u32) -> Option<Replaced> {
    let mut look = Looking { places: Vec::new(), wrapped };
    look.at(node, None);
    if look.places.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(json.len());
    let (mut done, mut found) = (0, Vec::new());
    for Place { at, replacement, rules } in look.places {
        found.extend(rules);
        // A node's text is a part of the whole, so that its place is known.
        let start = at.as_ptr() as usize - json.as_ptr() as usize;
        text.push_str(&json[done..start]);
        text.push_str(&serde_json::Value::from(replacement).to_string());
        done = start + at.len();
    }
    text.push_str(&json[done..]);
    Some((text, found))
}

/// A walk through JSON that collects what is to be replaced, in the order of the text.
struct Looking<'a> {
    places: Vec<Place<'a>>,
    wrapped: u32,
}

impl<'a> Looking<'a> {
    /// `named` is what the value stands under, where that makes it a secret.
    fn at(&mut self, node: &Node<'a>, named: Option<Named>) {
        match &node.value {
            // `null`, `true` and `false` tell nothing.
            Value::Other if !node.is_number() => {}
            Value::Other => self.scalar(node, named.filter(|named| named.granularity == Granularity::All)),
            Value::String(text) if text.is_empty() || is_mark(text) => {}
            Value::String(text) if named.is_none() => {
                let text = readable(text);
                let replaced = in_text(&text, self.wrapped);
                self.places.extend(replaced.map(|(replacement, rules)| Place { at: node.text, replacement, rules }));
            }
            Value::String(_) => self.scalar(node, named),
            Value::Array(items) => {
                let below = named.filter(|named| named.granularity != Granularity::OneText);
                let pairs = Pairs::of_array(items);
                for (index, item) in items.iter().enumerate() {
                    self.at(item, below.or_else(|| pairs.named(index)));
                }
            }
            Value::Object(members) => {
                let below = named.filter(|named| named.granularity != Granularity::OneText);
                let pairs = Pairs::of_object(members);
                let (mut from, mut masked_keys) = (node.text.as_ptr() as usize + 1, 0);
                for (index, (key, member)) in members.iter().enumerate() {
                    self.key(node.text, from, key, member, &mut masked_keys);
                    from = member.text.as_ptr() as usize + member.text.len();
                    let own = || keys::named(&readable(key)).filter(|_| !pairs.is_schema(index));
                    self.at(member, below.or_else(own).or_else(|| pairs.named(index)));
                }
            }
        }
    }

    fn scalar(&mut self, node: &Node<'a>, named: Option<Named>) {
        let place = |Named { rule, .. }| Place { at: node.text, replacement: mark(rule), rules: vec![rule] };
        self.places.extend(named.map(place));
    }

    /// A key that is a secret itself. Of one object, they are numbered: the same key twice would be one member.
    #[expect(clippy::ptr_arg, reason = "whether a text is borrowed tells how it was written")]
    fn key(&mut self, object: &'a str, from: usize, key: &Cow<'a, str>, member: &Node<'a>, masked: &mut usize) {
        let Some((replacement, rules)) = in_text(&readable(key), self.wrapped) else { return };
        let base = object.as_ptr() as usize;
        let between = &object[from - base..member.text.as_ptr() as usize - base];
        let (Some(start), Some(end)) = (between.find('"'), between.rfind('"')) else { return };
        *masked += 1;
        let replacement = numbered(&replacement, &masked.to_string());
        self.places.push(Place { at: &between[start..=end], replacement, rules });
    }
}

/// A string as it can be searched. One that has half of a surrogate pair in it is kept as it was written: it is read
/// here with a sign in place of the half, so that nothing hides behind it.
#[expect(clippy::ptr_arg, reason = "whether a text is borrowed tells how it was written")]
fn readable<'t>(text: &'t Cow<'_, str>) -> Cow<'t, str> {
    match text {
        Cow::Borrowed(quoted) if quoted.len() >= 2 && quoted.starts_with('"') => {
            let bytes = without_halves(quoted);
            serde_json::from_str::<String>(&bytes).map_or(Cow::Borrowed(*quoted), Cow::Owned)
        }
        other => Cow::Borrowed(&**other),
    }
}

/// A JSON string whose halves of surrogate pairs are replaced.
fn without_halves(quoted: &str) -> String {
    let unit = |at: usize| {
        let digits = quoted.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut text, mut at) = (String::with_capacity(quoted.len()), 0);
    while let Some(sign) = quoted[at..].chars().next() {
        let length = match (sign, unit(at)) {
            ('\\', Some(0xd800..=0xdbff)) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => 12,
            ('\\', Some(0xd800..=0xdfff)) => {
                text.push(char::REPLACEMENT_CHARACTER);
                at += 6;
                continue;
            }
            ('\\', None) => 2.min(quoted.len() - at),
            ('\\', Some(_)) => 6,
            _ => sign.len_utf8(),
        };
        text.push_str(&quoted[at..at + length]);
        at += length;
    }
    text
}

/// A text, which may be JSON itself, hold JSON, or be a text and nothing else.
fn in_text(text: &str, wrapped: u32) -> Option<Replaced> {
    let mut found = Vec::new();
    let mut masked = None::<String>;
    if has_json(text) {
        if wrapped >= MAX_WRAPPED {
            return Some((mark("nested"), vec!["nested"])).filter(|_| wrapped == MAX_WRAPPED && text.len() > 8);
        }
        if let Some(node) = Node::parse(text) {
            return in_node(&node, text, wrapped + 1);
        }
        if let Some((replacement, rules)) = around_json(text, wrapped) {
            found = rules;
            masked = Some(replacement);
        }
    }
    let now = masked.as_deref().unwrap_or(text);
    let secrets = text::secrets(now);
    if !secrets.is_empty() {
        let mut replaced = String::with_capacity(now.len());
        let mut done = 0;
        for (range, rule) in secrets {
            replaced.push_str(&now[done..range.start]);
            replaced.push_str(&mark(rule));
            found.push(rule);
            done = range.end;
        }
        replaced.push_str(&now[done..]);
        masked = Some(replaced);
    }
    masked.map(|masked| (masked, found))
}

/// Whether there may be JSON in a text that has keys or pairs.
fn has_json(text: &str) -> bool {
    let trimmed = text.trim_ascii_start();
    trimmed.starts_with('"') || (text.contains('"') && memchr::memchr2(b'{', b'[', text.as_bytes()).is_some())
}

/// JSON in the middle of a text: lines of JSON, frames of a stream, what a log says that it got.
fn around_json(text: &str, wrapped: u32) -> Option<Replaced> {
    let (mut found, mut masked, mut done, mut at) = (Vec::new(), String::new(), 0, 0);
    let mut waste = text.len().saturating_mul(MAX_WASTE);
    while let Some(start) = memchr::memchr2(b'{', b'[', &text.as_bytes()[at..]).map(|next| at + next) {
        at = start + 1;
        // What begins a container that has texts in it.
        let inner = text[at..].trim_ascii_start();
        if !inner.starts_with(['"', '{', '[']) {
            continue;
        }
        match Node::parse_first(&text[start..]) {
            Ok(node) => {
                at = start + node.text.len();
                if let Some((replacement, rules)) = in_node(&node, node.text, wrapped + 1) {
                    masked.push_str(&text[done..start]);
                    masked.push_str(&replacement);
                    found.extend(rules);
                    done = at;
                }
            }
            Err(read) if read >= waste => break,
            Err(read) => waste -= read,
        }
    }
    masked.push_str(&text[done..]);
    (!found.is_empty()).then_some((masked, found))
}

#[cfg(test)]
mod tests;
