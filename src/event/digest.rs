//! When two steps are the same: by what their agents submitted.

use sha2::{Digest as _, Sha256};

use super::EventType;
use crate::content::{
    digest::{Digest, json, text},
    path::Path,
    payload::Payload,
};

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
    match match_key {
        Some(key) => text(&mut sha, b'k', key),
        None => json(&mut sha, &data.json, ignore),
    }
    sha.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::payload::Encoding;

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
