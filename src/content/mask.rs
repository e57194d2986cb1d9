//! Masking secrets in what is given away: by the key that they stand under, and by what they look like.
//!
//! Only the text of a secret is replaced; everything around it stays as it was, character by character.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;

use super::tree::{Node, Value};

/// What was masked: for each rule, how many values.
pub(crate) type Masked = BTreeMap<Box<str>, u64>;

/// Keys that name a secret, in lower case, word by word. A key is one of them where its last words are.
const SECRET_KEYS: [(&str, &[&str]); 13] = [
    ("authorization", &["authorization"]),
    ("api_key", &["api", "key"]),
    ("api_key", &["apikey"]),
    ("access_key", &["access", "key"]),
    ("private_key", &["private", "key"]),
    ("token", &["token"]),
    ("password", &["password"]),
    ("password", &["passwd"]),
    ("cookie", &["cookie"]),
    ("cookie", &["cookies"]),
    ("secret", &["secret"]),
    ("credentials", &["credentials"]),
    ("passphrase", &["passphrase"]),
];

/// What well-known secrets look like, wherever they stand.
static SECRET_TEXTS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    let texts = [
        ("private_key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"),
        ("authorization", r"(?i)\b(?:bearer|basic) [a-z0-9._~+/=-]{16,}"),
        ("api_key", r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}"),
        ("api_key", r"\bAIza[A-Za-z0-9_-]{35}"),
        ("access_key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        ("token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,})"),
        ("token", r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
        ("token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
        ("password", r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@"),
    ];
    let compiled = texts.into_iter().map(|(rule, text)| Some((rule, Regex::new(text).ok()?)));
    compiled.flatten().collect()
});

/// What stands where a secret was.
fn mark(rule: &str) -> String {
    format!("[masked: {rule}]")
}

/// JSON with its secrets masked; nothing where it has none.
pub(crate) fn json(json: &str, masked: &mut Masked) -> Option<String> {
    let node = Node::parse(json)?;
    let mut places = Vec::new();
    look(&node, None, &mut places);
    if places.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(json.len());
    let mut done = 0;
    for Place { at, replacement, rules } in places {
        for rule in rules {
            *masked.entry(rule.into()).or_default() += 1;
        }
        // A node's text is a part of the whole, so that its place is known.
        let start = at.as_ptr() as usize - json.as_ptr() as usize;
        text.push_str(&json[done..start]);
        text.push_str(&serde_json::Value::from(replacement).to_string());
        done = start + at.len();
    }
    text.push_str(&json[done..]);
    Some(text)
}

/// A text with what looks like a secret masked; nothing where it has none.
pub(crate) fn text(text: &str, masked: &mut Masked) -> Option<String> {
    let (replacement, rules) = without_secrets(text)?;
    for rule in rules {
        *masked.entry(rule.into()).or_default() += 1;
    }
    Some(replacement)
}

/// A value that is replaced.
struct Place<'a> {
    at: &'a str,
    replacement: String,
    rules: Vec<&'static str>,
}

fn look<'a>(node: &Node<'a>, rule: Option<&'static str>, places: &mut Vec<Place<'a>>) {
    match (&node.value, rule) {
        // `null`, `true` and `false` tell nothing.
        (Value::Other, _) if !node.is_number() => {}
        (Value::String(text), Some(_)) if text.is_empty() => {}
        // What was masked before is not counted again.
        (Value::String(text), Some(rule)) if *text == mark(rule) => {}
        (Value::String(_) | Value::Other, Some(rule)) => {
            places.push(Place { at: node.text, replacement: mark(rule), rules: vec![rule] });
        }
        (Value::String(text), None) => {
            let replaced = without_secrets(text);
            places.extend(replaced.map(|(replacement, rules)| Place { at: node.text, replacement, rules }));
        }
        (Value::Other, None) => {}
        (Value::Array(items), rule) => items.iter().for_each(|item| look(item, rule, places)),
        (Value::Object(members), rule) => {
            members.iter().for_each(|(key, member)| look(member, rule.or_else(|| rule_for(key)), places));
        }
    }
}

fn without_secrets(text: &str) -> Option<(String, Vec<&'static str>)> {
    let mut found = Vec::new();
    let mut masked = None::<String>;
    for (rule, pattern) in SECRET_TEXTS.iter() {
        let now = masked.as_deref().unwrap_or(text);
        let count = pattern.find_iter(now).count();
        if count > 0 {
            found.extend(std::iter::repeat_n(*rule, count));
            masked = Some(pattern.replace_all(now, mark(rule)).into_owned());
        }
    }
    masked.map(|masked| (masked, found))
}

/// The rule that a key falls under: `x-api-key`, `apiKey` and `OPENAI_API_KEY` are one, `token_count` is none.
fn rule_for(key: &str) -> Option<&'static str> {
    let words = words(key);
    let ends_so = |secret: &[&str]| words.len() >= secret.len() && words[words.len() - secret.len()..] == *secret;
    SECRET_KEYS.iter().find(|(_, secret)| ends_so(secret)).map(|(rule, _)| *rule)
}

/// The words of a key, in lower case: split at what is no letter or digit, and where small letters meet a capital.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for letter in key.chars().take(crate::event::MAX_ID_BYTES) {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && was_small) {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        was_small = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_by_their_key_and_everything_else_stays() {
        let before = r#"{"headers": {"Authorization":"abc", "x-api-key" : "k1"},"n":1.50,"token_count":5,"apiKey":12,"secretary":"no","password":null}"#;
        let mut masked = Masked::new();
        let after = json(before, &mut masked).expect("secrets");
        let expected = r#"{"headers": {"Authorization":"[masked: authorization]", "x-api-key" : "[masked: api_key]"},"n":1.50,"token_count":5,"apiKey":"[masked: api_key]","secretary":"no","password":null}"#;
        assert_eq!(after, expected);
        assert_eq!(masked, Masked::from([("authorization".into(), 1), ("api_key".into(), 2)]));
        assert_eq!(json(expected, &mut Masked::new()), None, "once is enough");
    }

    #[test]
    fn secrets_go_by_their_look_wherever_they_stand() {
        for (secret, rule) in [
            ("sk-abcdefghijklmnop1234", "api_key"),
            ("AKIAABCDEFGHIJKLMNOP", "access_key"),
            ("Bearer abcdefghijklmnop.qrs", "authorization"),
            ("postgres://user:hunter2@", "password"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "token"),
        ] {
            let before = serde_json::json!({ "text": format!("use {secret} here") }).to_string();
            let after = json(&before, &mut Masked::new()).expect(secret);
            assert!(!after.contains(secret) && after.contains(&format!("use [masked: {rule}]")), "{after}");
        }
        assert_eq!(json(r#"{"text":"a task-based ask, tokens: 12"}"#, &mut Masked::new()), None);
    }

    #[test]
    fn everything_below_a_secret_key_is_secret() {
        let after = json(r#"{"credentials":{"user":"u","list":["a",{"b":2}]}}"#, &mut Masked::new()).expect("secrets");
        assert_eq!(after.matches("[masked: credentials]").count(), 3, "{after}");
    }
}
