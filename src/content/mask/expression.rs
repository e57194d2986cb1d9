//! Masking the conditions of breakpoints: a secret that they compare with stands in them as a literal.

use std::fmt::Write as _;

use super::{Masked, keys, mark, text};

/// An expression with its secrets masked; nothing where it has none. Where it names a secret, its literals are that
/// secret or a part of it, whatever they look like; names in brackets (`event.data["api_key"]`) stay.
pub(crate) fn expression(source: &str, masked: &mut Masked) -> Option<String> {
    let Some(rule) = names_a_secret(source) else { return text(source, masked) };
    // Where strings of these kinds end is for a parser to say.
    if ["\"\"\"", "'''", "r\"", "r'", "R\"", "R'"].iter().any(|raw| source.contains(raw)) {
        *masked.entry(rule.into()).or_default() += 1;
        return Some(mark(rule));
    }
    let (mut after, mut count) = (String::with_capacity(source.len()), 0);
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (token, kind) = token(rest, first);
        rest = &rest[token.len()..];
        let is_index = after.trim_end().ends_with('[') && is_indexed(&after) && rest.trim_start().starts_with(']');
        let is_field = after.ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | '.'));
        match kind {
            Kind::Text if !is_index && token.len() > 2 => {
                // Writing into a String does not fail.
                let _ = write!(after, "{first}{}{first}", mark(rule));
                count += 1;
            }
            Kind::Number if !is_index && !is_field => {
                after.push_str(&mark(rule));
                count += 1;
            }
            Kind::Text | Kind::Number | Kind::Other => after.push_str(token),
        }
    }
    if count == 0 {
        return text(source, masked);
    }
    *masked.entry(rule.into()).or_default() += count;
    Some(after)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Other,
}

/// The next token: a string with its quotes, a number, a word, or one sign.
fn token(rest: &str, first: char) -> (&str, Kind) {
    if matches!(first, '"' | '\'') {
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, sign)| {
            let closes = *sign == first && !escaped;
            escaped = *sign == '\\' && !escaped;
            closes
        });
        return (end.map_or(rest, |(at, _)| &rest[..=at]), Kind::Text);
    }
    let is_word = |sign: char| sign.is_alphanumeric() || sign == '_';
    let length = |is_part: fn(char) -> bool| rest.find(|sign| !is_part(sign)).unwrap_or(rest.len());
    if first.is_ascii_digit() {
        return (&rest[..length(|sign| sign.is_alphanumeric() || sign == '.')], Kind::Number);
    }
    if is_word(first) {
        return (&rest[..length(|sign| sign.is_alphanumeric() || sign == '_')], Kind::Other);
    }
    (&rest[..first.len_utf8()], Kind::Other)
}

/// Whether an open bracket at the end asks for an element: it follows what has some, and begins no list.
fn is_indexed(before: &str) -> bool {
    let before = before.trim_end().strip_suffix('[').unwrap_or_default();
    before.ends_with(|sign: char| sign.is_alphanumeric() || matches!(sign, '_' | ']' | ')'))
}

/// The rule of the first name in an expression that is a secret's, be it a field or a text.
fn names_a_secret(source: &str) -> Option<&'static str> {
    let words = source.split(|sign: char| !(sign.is_alphanumeric() || matches!(sign, '_' | '-')));
    words.filter(|word| !word.is_empty()).find_map(keys::named).map(|named| named.rule)
}
