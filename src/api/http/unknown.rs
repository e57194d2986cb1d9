//! Fields of a body that its type does not have: found, named and taken out, where the type itself refuses them.
//!
//! Only a body that was refused comes here: reading one in which every field is known costs nothing more.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor, value::Error},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

use crate::event::{MAX_WARNINGS, Warnings};

/// The longest name that a warning shows, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// A body without its unknown fields, and a warning for each of these, where there are any.
pub(super) fn taken_out<'de, T: Deserialize<'de>>(
    bytes: &[u8],
) -> Result<Option<(Vec<u8>, Warnings)>, serde_json::Error> {
    let Fields(fields) = serde_json::from_slice(bytes)?;
    let known = known::<T>();
    let mut kept = Vec::with_capacity(bytes.len());
    let mut unknown: Vec<String> = Vec::new();
    for (name, value) in fields {
        if known.contains(&name.as_str()) {
            kept.push(if kept.is_empty() { b'{' } else { b',' });
            serde_json::to_writer(&mut kept, &name)?;
            kept.push(b':');
            kept.extend_from_slice(value.get().as_bytes());
        } else if unknown.len() <= MAX_WARNINGS && !unknown.contains(&name) {
            unknown.push(name);
        }
    }
    if kept.is_empty() {
        kept.push(b'{');
    }
    kept.push(b'}');
    let warnings = unknown.iter().take(MAX_WARNINGS).map(|name| warning(name));
    Ok((!unknown.is_empty()).then(|| (kept, warnings.collect())))
}

fn warning(name: &str) -> Box<str> {
    let end = (0..=MAX_NAME_BYTES.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or_default();
    let rest = if end < name.len() { "…" } else { "" };
    format!("unknown field `{}{rest}`", &name[..end]).into()
}

/// The fields of an object as they stand there.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The names of the fields that a type reads, as it tells a format.
fn known<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    struct Asked<'a>(&'a mut &'static [&'static str]);
    impl<'de> Deserializer<'de> for Asked<'_> {
        type Error = Error;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            *self.0 = fields;
            Err(Error::custom("there is nothing to read"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("there is nothing to read"))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut names: &[&str] = &[];
    let _ = T::deserialize(Asked(&mut names));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its fields are asked for")]
    struct Known {
        r#type: u8,
        data: Option<u8>,
    }

    fn out(text: &str) -> Option<(String, Warnings)> {
        let (kept, warnings) = taken_out::<Known>(text.as_bytes()).expect("an object")?;
        Some((String::from_utf8(kept).expect("text"), warnings))
    }

    fn told(warnings: &Warnings) -> Vec<&str> {
        warnings.iter().map(|warning| &**warning).collect()
    }

    #[test]
    fn what_is_known_stays_as_it_was_and_the_rest_is_named() {
        let (kept, warnings) =
            out(r#"{ "args": {"a":[1.50]}, "type" : 1.0e0,"data":{ "x" : "é"},"args":2,"A\u0000":3}"#)
                .expect("there are unknown fields");
        assert_eq!(kept, r#"{"type":1.0e0,"data":{ "x" : "é"}}"#);
        assert_eq!(told(&warnings), ["unknown field `args`", "unknown field `A\0`"]);
        assert_eq!(out(r#"{"x":1}"#).expect("unknown").0, "{}");
        assert!(out(r#"{"type":1}"#).is_none() && out("{}").is_none());
        for broken in ["[1]", r#"{"x":1"#, ""] {
            assert!(taken_out::<Known>(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn warnings_are_few_and_short() {
        let many: Vec<_> = (0..1_000).map(|n| format!("\"{n}\":1")).collect();
        assert_eq!(out(&format!("{{{}}}", many.join(","))).expect("unknown").1.len(), MAX_WARNINGS);
        let (_, warnings) = out(&format!("{{\"{}\":1}}", "é".repeat(40))).expect("unknown");
        assert_eq!(told(&warnings), [format!("unknown field `{}…`", "é".repeat(32))]);
    }
}
