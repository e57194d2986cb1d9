//! Which keys name a secret.

use super::{
    is_mark,
    rules::{RULES, Rule},
};

/// The longest key that is looked at, in bytes from its end: what makes it a secret's name stands there.
const MAX_KEY_BYTES: usize = 200;

/// A key that names a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) rule: Rule,
    /// How much below the key is secret.
    pub(super) granularity: Granularity,
}

/// What below a key is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Granularity {
    /// Texts and numbers, however deep.
    All,
    /// Texts, however deep: a number is a count.
    Texts,
    /// The value, if it is a text.
    OneText,
}

/// The rule that a key falls under: `x-api-key`, `apiKey` and `OPENAI_API_KEY` are one, `token_count` is none.
pub(super) fn named(key: &str) -> Option<Named> {
    // What stands where a key was that is a secret itself.
    if is_mark(key) || !RULES.hint_at(key) {
        return None;
    }
    let mut words = words(end_of(key));
    while words.len() > 1 && words.last().is_some_and(|word| is_passed_over(word)) {
        words.pop();
    }
    // `password2` and `apiKey1`.
    if let Some(last) = words.last_mut() {
        last.truncate(last.trim_end_matches(|sign: char| sign.is_ascii_digit()).len());
    }
    let (last, before) = words.split_last()?;
    let (single, is_plural) = match last.strip_suffix('s') {
        Some(single) if !single.is_empty() => (single, true),
        _ => (last.as_str(), false),
    };
    let figure = before.iter().rev().take(2).any(|word| RULES.counts.contains(&word.as_str()));
    let joined = words.concat();
    let joined = if is_plural { joined.strip_suffix('s').unwrap_or(&joined) } else { &joined };
    let of = |rule| {
        let is_count = is_plural && rule == "token";
        (!(figure && rule == "token"))
            .then_some(Named { rule, granularity: if is_count { Granularity::Texts } else { Granularity::All } })
    };
    if let Some((rule, _)) = RULES.words.iter().find(|(_, name)| *name == single || *name == last) {
        return of(rule);
    }
    let ends = |name: &str| joined.ends_with(name) || (is_plural && words.concat().ends_with(name));
    if let Some((rule, _)) = RULES.suffixes.iter().find(|(_, name)| ends(name)) {
        return of(rule);
    }
    let whole = RULES.wholes.iter().find(|(_, name)| before.is_empty() && last == name);
    whole.map(|(rule, _)| Named { rule, granularity: Granularity::OneText })
}

/// The rule that a parameter in an address falls under.
pub(super) fn query(key: &str) -> Option<Rule> {
    let found = RULES.queries.iter().find(|(_, name)| name.eq_ignore_ascii_case(key));
    found.map(|(rule, _)| *rule)
}

/// Whether a name is one that a header has, and no word of ordinary lists.
pub(super) fn is_header(name: &str) -> bool {
    let header = ["authorization", "cookie", "proxy-authorization", "set-cookie"];
    header.iter().any(|header| header.eq_ignore_ascii_case(name)) || (name.contains('-') && !name.contains(' '))
}

fn is_passed_over(word: &str) -> bool {
    RULES.tails.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit())
}

fn end_of(key: &str) -> &str {
    let start = key.len().saturating_sub(MAX_KEY_BYTES);
    (start..=key.len()).find_map(|start| key.get(start..)).unwrap_or_default()
}

/// The words of a key, in lower case: split at what is no letter or digit, and where small letters meet a capital.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for letter in key.chars() {
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
    fn a_key_is_told_by_its_last_words_however_it_is_spelled() {
        for (rule, keys) in [
            (
                "password",
                "password PASSWORD passwords pwd dbPassword PGPASSWORD DB_PASSWORD password2 password_confirmation",
            ),
            ("password", "newPassword user.password passwd pass"),
            (
                "api_key",
                "x-api-key apiKey api_keys OPENAI_API_KEY OPENAIApiKey apikey Ocp-Apim-Subscription-Key api_key_1",
            ),
            ("secret", "secretKey secret_key SECRET client_secret clientSecret secrets secret_key_base secretValue"),
            ("access_key", "accessKey aws_access_key AWS_SECRET_ACCESS_KEY AccountKey secretAccessKey"),
            ("private_key", "private_key privateKey private-keys PrivateKeyPem"),
            (
                "token",
                "token tokens accessToken refresh_token githubToken X-Auth-Token id_token jwt X-Amz-Security-Token",
            ),
            ("authorization", "authorization Authorization proxy-authorization auth basicAuth bearer"),
            ("cookie", "cookie Cookie cookies set-cookie Set-Cookie session JSESSIONID"),
            ("credentials", "credential credentials creds aws_credentials"),
            ("passphrase", "passphrase ssh_passphrase pass-phrase"),
        ] {
            for key in keys.split(' ') {
                assert_eq!(named(key).map(|named| named.rule), Some(rule), "{key}");
            }
        }
    }

    #[test]
    fn a_key_that_only_sounds_like_a_secret_is_none() {
        let keys = "token_count input_tokens output_tokens max_tokens maxTokens max_completion_tokens author authors tokenizer \
                    tokenize total_tokens cachedTokens reasoning_tokens eos_token pad_token next_page_token secretary \
                    authorized authority keyboard monkey key keys primary_key foreign_key passenger compass password_hint \
                    session_id sessions cookie_policy accredited token_type passed bypass tokens_per_second stop_token \
                    authentic public_key cookies_enabled classpath num_tokens n_tokens 12 é";
        for key in keys.split_whitespace().chain(["", "-", "!!"]) {
            assert_eq!(named(key), None, "{key}");
        }
    }
}
