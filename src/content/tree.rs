//! JSON text as a tree that still knows its text: no digit of a number and no order of keys is lost.

use std::borrow::Cow;

use crate::content::payload::MAX_PAYLOAD_DEPTH;

/// Deeper than any payload that is let in, its metadata and decisions included.
const MAX_DEPTH: usize = MAX_PAYLOAD_DEPTH + 8;

/// A value, and the text that it was read from.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) text: &'a str,
    pub(crate) value: Value<'a>,
}

/// What a value is.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    /// In the order of the text; the same key may come twice, and then the last one counts.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
    Array(Vec<Node<'a>>),
    String(Cow<'a, str>),
    /// A number, `true`, `false` or `null`: its text is its value.
    Other,
}

impl<'a> Node<'a> {
    /// Reads a payload's text. Payloads were checked when they came; for anything else it is nothing.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        reader.space();
        let node = reader.node(0)?;
        reader.space();
        (reader.at == text.len()).then_some(node)
    }

    /// Reads the value that a text begins with, whatever follows it. Where there is none, says how many bytes were read.
    pub(crate) fn parse_first(text: &'a str) -> Result<Self, usize> {
        let mut reader = Reader { text, at: 0 };
        reader.node(0).ok_or(reader.at)
    }

    /// The value of a number in one spelling, so that `1`, `1.0` and `10e-1` are the same. Whole numbers keep all
    /// of their digits; the others are doubles.
    pub(crate) fn number(&self) -> Cow<'a, str> {
        if self.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            return Cow::Borrowed(if self.text == "-0" { "0" } else { self.text });
        }
        match self.text.parse::<f64>() {
            // Exact up to here.
            Ok(value) if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 => {
                Cow::Owned((value as i64).to_string())
            }
            // What overflows a double is told apart by its text.
            Ok(value) if value.is_finite() => Cow::Owned(format!("{value:e}")),
            _ => Cow::Borrowed(self.text),
        }
    }

    /// Whether it is a number; else, where it is [`Value::Other`], its text is one of three words.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.value, Value::Other)
            && self.text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
    }
}

/// The members of an object by key, the last of each.
pub(crate) fn sorted<'n, 'a>(members: &'n [(Cow<'a, str>, Node<'a>)]) -> Vec<(&'n str, &'n Node<'a>)> {
    let mut sorted: Vec<_> = members.iter().map(|(key, node)| (&**key, node)).collect();
    // Stable: of twins the last one stays last.
    sorted.sort_by_key(|(key, _)| *key);
    let mut unique: Vec<(&str, &Node<'_>)> = Vec::with_capacity(sorted.len());
    for member in sorted {
        match unique.last_mut() {
            Some(last) if last.0 == member.0 => *last = member,
            _ => unique.push(member),
        }
    }
    unique
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn node(&mut self, depth: usize) -> Option<Node<'a>> {
        if depth > MAX_DEPTH {
            return None;
        }
        let start = self.at;
        let value = match self.peek()? {
            b'{' => Value::Object(self.list(b'{', b'}', |reader| {
                let key = reader.string()?;
                reader.space();
                reader.eat(b':')?;
                reader.space();
                Some((key, reader.node(depth + 1)?))
            })?),
            b'[' => Value::Array(self.list(b'[', b']', |reader| reader.node(depth + 1))?),
            b'"' => Value::String(self.string()?),
            _ => {
                while matches!(self.peek(), Some(b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.')) {
                    self.at += 1;
                }
                (self.at > start).then_some(Value::Other)?
            }
        };
        Some(Node { text: &self.text[start..self.at], value })
    }

    fn list<T>(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.eat(open)?;
        self.space();
        if self.eat(close).is_some() {
            return Some(items);
        }
        loop {
            self.space();
            items.push(item(self)?);
            self.space();
            match self.eat(b',') {
                Some(()) => {}
                None => return self.eat(close).map(|()| items),
            }
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        self.eat(b'"')?;
        let mut escaped = false;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
        self.at += 1;
        let quoted = self.text.get(start..self.at)?;
        if !escaped {
            Some(Cow::Borrowed(&quoted[1..quoted.len() - 1]))
        } else {
            Some(serde_json::from_str::<String>(quoted).map_or(Cow::Borrowed(quoted), Cow::Owned))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_text() {
        let text = r#" {"a":[1, {"b":"x\"y"}],"c":null} "#;
        let node = Node::parse(text).expect("valid");
        assert_eq!(node.text, text.trim());
        let Value::Object(members) = &node.value else { panic!("an object") };
        assert_eq!(members[0].1.text, r#"[1, {"b":"x\"y"}]"#);
        let Value::Array(items) = &members[0].1.value else { panic!("an array") };
        assert_eq!(items[1].text, r#"{"b":"x\"y"}"#);
    }

    #[test]
    fn numbers_have_one_spelling() {
        let number = |text| Node::parse(text).expect("valid").number().into_owned();
        for same in ["1", "1.0", "10e-1", "1e0"] {
            assert_eq!(number(same), "1", "{same}");
        }
        assert_eq!(number("-0"), number("0.0"));
        assert_ne!(number("12345678901234567890123"), number("12345678901234567890124"));
        assert_eq!(number("0.1"), number("1e-1"));
    }

    #[test]
    fn what_is_no_json_is_nothing() {
        let deep = "[".repeat(10_000);
        for text in ["", "{", "[1,", "\"", "\"\\", "{\"a\"}", "{} x", "[1 2]", deep.as_str()] {
            assert!(Node::parse(text).is_none(), "{text:.20}");
        }
    }
}
