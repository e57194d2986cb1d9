//! One look at the structure of a payload: how deep it is, and what its top level says about the event.
//!
//! It looks at brackets, commas and quotes alone, and skips strings, which is what payloads are made of. Whether it is
//! JSON at all is for a parser to say.

use memchr::memchr2;

/// What a payload may say about its event, at its top level.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    pub(crate) node_id: Option<String>,
    pub(crate) parent_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) tool: Option<String>,
    pub(crate) function: Option<String>,
}

impl Hints {
    /// The step's name, under the keys that agents use for it.
    pub(crate) fn any_name(&mut self) -> Option<String> {
        self.name.take().or(self.tool.take()).or(self.function.take())
    }

    /// Where the value of a key goes.
    fn place(&mut self, key: &str) -> Option<&mut Option<String>> {
        match key {
            "node_id" => Some(&mut self.node_id),
            "parent_id" => Some(&mut self.parent_id),
            "name" => Some(&mut self.name),
            "tool" => Some(&mut self.tool),
            "function" => Some(&mut self.function),
            _ => None,
        }
    }
}

/// What a text turns out to be.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// How deep arrays and objects nest.
    pub(crate) depth: usize,
    /// Of a key that is there twice the last counts; anything but a text is data and no hint.
    pub(crate) hints: Hints,
    /// Whether there are line breaks between tokens.
    pub(crate) has_breaks: bool,
}

/// Looks at a text once.
pub(crate) fn scan(text: &str) -> Scan {
    let Scan { depth: mut deepest, mut hints, mut has_breaks } = Scan::default();
    let (bytes, mut depth, mut at) = (text.as_bytes(), 0_usize, 0);
    // At the top level a string is a key or a value, by what came before.
    let (mut expects_key, mut key) = (false, None);
    while let Some(byte) = bytes.get(at) {
        let begins = at;
        at += 1;
        match byte {
            b'"' => {
                at = behind_string(bytes, at);
                if depth != 1 {
                    continue;
                }
                let string = &text[begins..at];
                if std::mem::take(&mut expects_key) {
                    key = Some(string)
                } else {
                    take(&mut hints, key.take(), Some(string))
                }
            }
            b'{' | b'[' => {
                take(&mut hints, key.take(), None);
                depth += 1;
                deepest = deepest.max(depth);
                expects_key |= depth == 1;
            }
            b'}' | b']' => {
                take(&mut hints, key.take(), None);
                depth = depth.saturating_sub(1);
            }
            b',' if depth == 1 => {
                take(&mut hints, key.take(), None);
                expects_key = true;
            }
            b'\n' | b'\r' => has_breaks = true,
            _ => {}
        }
    }
    Scan { depth: deepest, hints, has_breaks }
}

/// Takes the value of a key, both as they stand in the text; a value that is no string is none.
fn take(hints: &mut Hints, key: Option<&str>, value: Option<&str>) {
    let Some(key) = key else { return };
    // Escaped, the shortest of them is nine characters in quotes.
    let place = if key.len() >= 11 && key.contains('\\') {
        serde_json::from_str::<String>(key).ok().and_then(|key| hints.place(&key))
    } else {
        key.get(1..key.len().max(2) - 1).and_then(|key| hints.place(key))
    };
    if let Some(place) = place {
        *place = value.and_then(|value| serde_json::from_str(value).ok());
    }
}

/// Where a string ends, its closing quote included, from behind its opening quote on.
fn behind_string(bytes: &[u8], mut at: usize) -> usize {
    // Keys and most words are short, and found before a search for many bytes at a time has begun.
    if let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        match first_mark(u64::from_le_bytes(*word)) {
            None => at += size_of::<u64>(),
            Some(found) if bytes[at + found] == b'"' => return at + found + 1,
            Some(found) => at += found,
        }
    }
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        match bytes[at - 1] {
            b'"' => return at,
            // Whatever is escaped ends nothing.
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Which of eight bytes, the lowest first, is the first quote or backslash.
fn first_mark(word: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    // The lowest byte that is zero gets its top bit set; of those above it this may not be true.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let marks = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
    (marks != 0).then(|| marks.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn hints_are_texts_at_the_top_level() {
        let text = r#"{"name":5,"tool":"read","deep":{"node_id":"x"},"parent_id":"p\u0041","function":["name"]}"#;
        let Scan { depth, mut hints, .. } = scan(text);
        assert_eq!((depth, hints.any_name().as_deref()), (2, Some("read")));
        assert_eq!((hints.node_id.as_deref(), hints.parent_id.as_deref()), (None, Some("pA")));
        let Scan { hints, .. } = scan(r#"{ "node\u005fid" : "x" , "name":"a","name":null, "tool" : "t,\"{" }"#);
        assert_eq!((hints.node_id.as_deref(), hints.name, hints.tool.as_deref()), (Some("x"), None, Some("t,\"{")));
    }

    #[test]
    fn what_is_no_json_is_survived() {
        for text in ["", "\"", "{\"", "{\"name", "{\"name\\", "}}}", "{\"name\":\"é", "{\"é\":\"\\"] {
            drop(scan(text));
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let text = || "(name|tool|[{}\\[\\],:\"\\\\a-cé]{0,20})";
        let leaf = prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), text().prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((text(), inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    fn depth_of(value: &Value) -> usize {
        match value {
            Value::Array(values) => 1 + values.iter().map(depth_of).max().unwrap_or(0),
            Value::Object(fields) => 1 + fields.values().map(depth_of).max().unwrap_or(0),
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn it_sees_what_a_parser_sees(value in json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("json");
            let Scan { depth, hints, has_breaks } = scan(&text);
            prop_assert_eq!(has_breaks, text.contains('\n'));
            prop_assert_eq!(depth, depth_of(&value));
            if value.is_object() {
                let hint = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
                let expected = Hints {
                    node_id: hint("node_id"),
                    parent_id: hint("parent_id"),
                    name: hint("name"),
                    tool: hint("tool"),
                    function: hint("function"),
                };
                prop_assert_eq!(hints, expected);
            }
        }
    }
}
