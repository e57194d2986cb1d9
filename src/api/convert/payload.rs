//! Payloads: JSON text and protobuf Structs, checked and turned into one another.

use arcstr::ArcStr;
use prost_types::{Struct, Value, value::Kind};
use serde::de::IgnoredAny;

use crate::{
    content::{
        payload::{Encoding, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_DEPTH, Payload},
        scan::{Hints, Scan, scan},
    },
    error::Error,
    json::AsJson,
};

/// Whether a text is known to be JSON: the body that it came in was read already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Yes,
    No,
}

/// Takes a JSON object as text: checked whole, kept as it is but for line breaks between tokens.
pub(super) fn from_json(field: &'static str, text: &str, checked: Checked) -> Result<(Payload, Hints), Error> {
    if text.len() > MAX_PAYLOAD_BYTES {
        return Err(too_large(field));
    }
    let Scan { depth, hints, has_breaks } = scan(text);
    if depth > MAX_PAYLOAD_DEPTH {
        return Err(Error::invalid(field, format!("must be at most {MAX_PAYLOAD_DEPTH} levels deep")));
    }
    if checked == Checked::No
        && let Err(error) = serde_json::from_str::<IgnoredAny>(text)
    {
        let place = format!("line {} column {}", error.line(), error.column());
        return Err(Error::invalid(field, format!("is not valid JSON at {place}")));
    }
    if !text.trim_start().starts_with('{') {
        return Err(Error::invalid(field, "must be a JSON object"));
    }
    // A line break inside of a string is escaped; any other is space, and a frame of SSE is one line.
    let json: ArcStr = if has_breaks { text.replace(['\n', '\r'], "").into() } else { text.into() };
    Ok((Payload { json, encoding: Encoding::Json }, hints))
}

/// Takes a Struct, which becomes JSON text.
pub(super) fn from_struct(field: &'static str, data: &Struct) -> Result<(Payload, Hints), Error> {
    let json = serde_json::to_string(&AsJson(data))
        .map_err(|_| Error::invalid(field, "holds a number that JSON does not have (NaN or Infinity)"))?;
    if json.len() > MAX_PAYLOAD_BYTES {
        return Err(too_large(field));
    }
    // It is JSON on one line, no deeper than prost decodes: we have just written it.
    Ok((Payload { json: json.into(), encoding: Encoding::Struct }, hints(data)))
}

/// What a Struct says about its event.
fn hints(data: &Struct) -> Hints {
    let hint = |key| match data.fields.get(key)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text.clone()),
        _ => None,
    };
    Hints {
        node_id: hint("node_id"),
        parent_id: hint("parent_id"),
        name: hint("name"),
        tool: hint("tool"),
        function: hint("function"),
    }
}

fn too_large(field: &'static str) -> Error {
    Error::invalid(field, format!("must be at most {MAX_PAYLOAD_BYTES} bytes of JSON"))
}

/// The Struct that a payload is, where its text can be one.
pub(super) fn to_struct(payload: &Payload) -> Option<Struct> {
    match to_value(serde_json::from_str(&payload.json).ok()?).kind? {
        Kind::StructValue(value) => Some(value),
        _ => None,
    }
}

fn to_value(json: serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        serde_json::Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        serde_json::Value::String(value) => Kind::StringValue(value),
        serde_json::Value::Array(values) => {
            Kind::ListValue(prost_types::ListValue { values: values.into_iter().map(to_value).collect() })
        }
        serde_json::Value::Object(fields) => Kind::StructValue(Struct {
            fields: fields.into_iter().map(|(key, value)| (key, to_value(value))).collect(),
        }),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_kept_digit_for_digit() {
        let text = r#"{"n":12345678901234567890123,"f":1.10,"e":1e2,"u":"\u0041","dup":1,"dup":2}"#;
        let (payload, _) = from_json("data", text, Checked::No).expect("valid");
        assert_eq!(&*payload.json, text);
        let (payload, _) = from_json("data", "{\n  \"a\": \"x\\ny\"\r\n}", Checked::No).expect("valid");
        assert_eq!(&*payload.json, r#"{  "a": "x\ny"}"#);
    }

    #[test]
    fn a_struct_survives_its_json_form() {
        let text = r#"{"big":1e300,"deep":[[{"a":null}]],"f":0.1,"n":-3,"s":"é\u0000\"","t":true}"#;
        let payload = Payload { json: text.into(), encoding: Encoding::Struct };
        let data = to_struct(&payload).expect("an object");
        let (back, _) = from_struct("data", &data).expect("valid");
        assert_eq!(to_struct(&back), Some(data));
        assert!(back.json.contains("\"n\":-3"), "{}", back.json);
    }

    #[test]
    fn what_is_no_object_of_json_is_refused() {
        for (text, problem) in [
            ("[1]", "object"),
            ("null", "object"),
            ("\"x\"", "object"),
            ("{", "not valid JSON"),
            ("{\"a\":01}", "not valid JSON"),
            ("{} x", "not valid JSON"),
            ("", "not valid JSON"),
        ] {
            let refused = from_json("data", text, Checked::No).expect_err(text).to_string();
            assert!(refused.starts_with("data ") && refused.contains(problem), "{text}: {refused}");
        }
        let nan = Value { kind: Some(Kind::NumberValue(f64::NAN)) };
        let data = Struct { fields: [("n".to_owned(), nan)].into() };
        assert!(from_struct("data", &data).expect_err("NaN").to_string().contains("NaN"));
    }

    #[test]
    fn depth_is_bounded_and_strings_do_not_count() {
        let nested = |depth: usize| format!("{}{}{}", "{\"a\":".repeat(depth - 1), "{}", "}".repeat(depth - 1));
        assert!(from_json("data", &nested(MAX_PAYLOAD_DEPTH), Checked::No).is_ok());
        let refused = from_json("data", &nested(MAX_PAYLOAD_DEPTH + 1), Checked::No).expect_err("too deep").to_string();
        assert!(refused.contains("64 levels"), "{refused}");
        let text = format!("{{\"a\":\"{}\"}}", "[".repeat(500));
        assert!(from_json("data", &text, Checked::No).is_ok());
        assert!(from_json("data", &nested(100_000), Checked::No).is_err());
    }
}
