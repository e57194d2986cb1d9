//! Where in a text there are secrets: by what they look like, and by the key that stands before them.
//!
//! One search finds every sign of one; what is around a sign is then read by hand, a bounded way to both sides, so that
//! a text of any size and any content takes time in proportion to its length.

use std::ops::Range;

use super::{
    is_mark,
    keys::{self, Granularity},
    rules::{Alphabet, Look, RULES, Rule, Sign},
    value,
};

/// How far a key reaches to either side of the sign that was found in it.
const MAX_KEY_BYTES: usize = 64;
/// How far a password in an address reaches, and the line that names what a PEM block is.
const MAX_USER_BYTES: usize = 256;
const MAX_TITLE_BYTES: usize = 64;
/// A key of 40 characters that goes with an AWS access key, and how evenly its characters are spread, in bits.
const AWS_SECRET_BYTES: usize = 40;
const AWS_SECRET_ENTROPY: f64 = 4.25;

/// A secret in a text.
pub(super) type Found = (Range<usize>, Rule);

/// The secrets of a text, in order and apart.
pub(super) fn secrets(text: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    // What was read is not read again for every sign in it: in one key there may be several, and in one secret, too.
    let (mut read, mut covered, mut word) = (0, 0, 0..0);
    for (sign, start, end) in RULES.signs(text) {
        let one = match sign {
            Sign::Key if end <= read => None,
            Sign::Key => {
                let key = key_around(text, start, end);
                read = key.end;
                let one = after_key(text, key);
                read = one.as_ref().map_or(read, |(value, _)| read.max(value.end));
                one
            }
            _ if start < covered => None,
            Sign::Look(look) => looks(text, start, end, &look),
            Sign::PrivateKey => private_key(text, start),
            Sign::JsonWebToken => web_token(text, start, &mut word),
            Sign::Bearer => scheme(text, start, end, 20),
            Sign::Basic => scheme(text, start, end, usize::MAX),
            Sign::Address => user_of_address(text, start, end),
            Sign::Telegram => telegram(text, start, end),
            Sign::User => user_of_command(text, end),
        };
        let one = one.filter(|(range, _)| !range.is_empty() && !is_masked(&text[range.clone()]));
        if let Some((range, _)) = one.as_ref().filter(|_| !matches!(sign, Sign::Key)) {
            covered = range.end;
        }
        found.extend(one);
    }
    found.extend(aws_secrets(text));
    apart(found)
}

/// Whether all that is found is a mark already.
fn is_masked(text: &str) -> bool {
    is_mark(text.trim_matches(|sign: char| sign.is_ascii_whitespace()))
}

/// In order, and what overlaps as one.
fn apart(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut apart: Vec<Found> = Vec::with_capacity(found.len());
    for (range, rule) in found {
        match apart.last_mut() {
            Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
            _ => apart.push((range, rule)),
        }
    }
    apart
}

/// Whether a secret may begin here: not in the middle of a word, but where an escape ends.
fn begins(text: &str, at: usize) -> bool {
    let before = &text.as_bytes()[..at];
    match before {
        [.., b'%', one, two] if one.is_ascii_hexdigit() && two.is_ascii_hexdigit() => true,
        [.., b'\\', b'n' | b't' | b'r'] => true,
        [.., last] => !last.is_ascii_alphanumeric(),
        [] => true,
    }
}

/// How many bytes of an alphabet follow.
fn run(text: &str, at: usize, alphabet: Alphabet) -> usize {
    text.as_bytes()[at..].iter().take_while(|byte| alphabet.has(**byte)).count()
}

fn looks(text: &str, start: usize, end: usize, look: &Look) -> Option<Found> {
    // The search does not tell capitals from small letters, services do.
    if !begins(text, start) || &text[start..end] != look.prefix {
        return None;
    }
    let length = run(text, end, look.alphabet);
    // A sentence may end behind it.
    let dots = text[end..end + length].bytes().rev().take_while(|byte| *byte == b'.').count();
    let length = length - dots;
    ((look.least..=look.most).contains(&length)).then_some((start..end + length, look.rule))
}

/// From the line that begins it to the line that ends it, or to the end of the text.
fn private_key(text: &str, start: usize) -> Option<Found> {
    const END: &str = "-----END ";
    let title = start + "-----BEGIN ".len();
    let bytes = text.as_bytes();
    let title_end = title + memchr::memmem::find(&bytes[title..bytes.len().min(title + MAX_TITLE_BYTES)], b"-----")?;
    if !bytes[title..title_end].windows(11).any(|words| words == b"PRIVATE KEY") {
        return None;
    }
    let end = text[title_end..].find(END).map(|at| title_end + at + END.len());
    let end = end.map(|at| text[at..].find("-----").map_or(text.len(), |last| at + last + 5));
    Some((start..end.unwrap_or(text.len()), "private_key"))
}

/// Two to five parts in Base64, parted by full stops. `word` is the run of such characters that was read last.
fn web_token(text: &str, start: usize, word: &mut Range<usize>) -> Option<Found> {
    const LEAST: usize = 8;
    if !begins(text, start) || !text[start..].starts_with("eyJ") {
        return None;
    }
    if !word.contains(&start) {
        *word = start..start + run(text, start, Alphabet::Word);
    }
    let (mut end, mut parts) = (word.end, 1);
    if end - start < LEAST {
        return None;
    }
    while parts < 5 && text.as_bytes().get(end) == Some(&b'.') {
        let length = run(text, end + 1, Alphabet::Word);
        // The signature may be left out, and a sentence may end here.
        if length < LEAST && parts == 1 || length == 0 {
            break;
        }
        end += 1 + length;
        parts += 1;
    }
    (parts >= 2).then_some((start..end, "token"))
}

/// What follows the name of a scheme, where it is no word: it has a digit, or is as long as no word is.
fn scheme(text: &str, start: usize, end: usize, long: usize) -> Option<Found> {
    if !begins(text, start) {
        return None;
    }
    let length = run(text, end, Alphabet::Base64).max(run(text, end, Alphabet::Dots));
    let said = text[end..end + length].trim_end_matches('.');
    let inner = said.get(1..).unwrap_or_default();
    let mixed =
        inner.bytes().any(|byte| byte.is_ascii_uppercase()) && inner.bytes().any(|byte| byte.is_ascii_lowercase());
    let is_no_word = mixed || said.contains('=') || said.bytes().any(|byte| byte.is_ascii_digit());
    let is_secret = said.len() >= long || (said.len() >= 8 && is_no_word);
    is_secret.then(|| (start..end + said.len(), "authorization"))
}

/// `user:password` in an address: from the scheme to the `@`.
fn user_of_address(text: &str, start: usize, end: usize) -> Option<Found> {
    let bytes = &text.as_bytes()[end..text.len().min(end + MAX_USER_BYTES)];
    let stop =
        bytes.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`'));
    let bytes = &bytes[..stop.unwrap_or(bytes.len())];
    let colon = bytes.iter().position(|byte| matches!(byte, b':' | b'/' | b'?' | b'#' | b'@'))?;
    if bytes[colon] != b':' {
        return None;
    }
    // A port is no password, whatever stands in the path behind it.
    let digits = bytes[colon + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if matches!(bytes.get(colon + 1 + digits), Some(b'/' | b'?' | b'#' | b',') | None) && digits > 0 {
        return None;
    }
    // A password should have no `@` or `/` in it, and some have. Beyond the first `/` an `@` is taken for the end only
    // where there is none before.
    let authority = bytes.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(bytes.len());
    let at = bytes[..authority].iter().rposition(|byte| *byte == b'@');
    let at = at.or_else(|| bytes.iter().position(|byte| *byte == b'@')).filter(|at| *at > colon + 1)?;
    let scheme = text.as_bytes()[..start].iter().rev().take(MAX_TITLE_BYTES);
    let scheme = scheme.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')).count();
    (scheme > 0).then(|| (start - scheme..end + at + 1, "password"))
}

/// `-u user:password` of a command line: the password.
fn user_of_command(text: &str, end: usize) -> Option<Found> {
    let bytes = &text.as_bytes()[end..text.len().min(end + MAX_USER_BYTES)];
    let stop = bytes.iter().skip(1).position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`'));
    let stop = stop.map_or(bytes.len(), |stop| stop + 1);
    let colon = bytes[..stop].iter().position(|byte| *byte == b':')?;
    let is_new = !bytes[colon + 1..].starts_with(b"[masked: ");
    (is_new && text.is_char_boundary(end + stop)).then_some((end + colon + 1..end + stop, "password"))
}

/// A bot's token: digits, `:AA`, and 33 more.
fn telegram(text: &str, start: usize, end: usize) -> Option<Found> {
    let digits = text.as_bytes()[..start].iter().rev().take(16).take_while(|byte| byte.is_ascii_digit()).count();
    let is_token = (8..=12).contains(&digits) && run(text, end, Alphabet::Word) >= 30 && &text[start..end] == ":AA";
    is_token.then(|| (start - digits..end + run(text, end, Alphabet::Word), "token"))
}

/// What has no prefix: 40 characters of Base64, neither hexadecimal nor a path nor a part of more.
fn aws_secrets(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let (bytes, mut at) = (text.as_bytes(), 0);
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    while at < bytes.len() {
        // Where the last of 40 would stand is no part, nothing before it can begin one.
        let window = &bytes[at..bytes.len().min(at + AWS_SECRET_BYTES)];
        if window.len() < AWS_SECRET_BYTES {
            break;
        }
        if let Some(last) = window.iter().rposition(|byte| !is_part(*byte)) {
            at += last + 1;
            continue;
        }
        let length = bytes[at..].iter().take_while(|byte| is_part(**byte)).count();
        let joined = matches!(bytes[..at].last(), Some(b'_' | b'-' | b'.' | b'%'))
            || matches!(bytes.get(at + length), Some(b'_' | b'-' | b'.' | b'=' | b'%'));
        if length == AWS_SECRET_BYTES && !joined && is_random(&bytes[at..at + length]) {
            found.push((at..at + length, "access_key"));
        }
        at += length;
    }
    found
}

fn is_random(bytes: &[u8]) -> bool {
    let has = |kind: fn(&u8) -> bool| bytes.iter().any(kind);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    let mut counts = [0_u32; 128];
    bytes.iter().for_each(|byte| counts[usize::from(*byte & 0x7f)] += 1);
    let share = |count: &u32| f64::from(*count) / bytes.len() as f64;
    let entropy: f64 = counts.iter().filter(|count| **count > 0).map(share).map(|share| -share * share.log2()).sum();
    mixed && entropy >= AWS_SECRET_ENTROPY
}

/// The whole of the key that a sign stands in.
fn key_around(text: &str, start: usize, end: usize) -> Range<usize> {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let bytes = text.as_bytes();
    let before = bytes[..start].iter().rev().take(MAX_KEY_BYTES).take_while(is_part).count();
    let after = bytes[end..].iter().take(MAX_KEY_BYTES).take_while(is_part).count();
    start - before..end + after
}

/// The value that belongs to a key, where the key names a secret.
fn after_key(text: &str, key: Range<usize>) -> Option<Found> {
    let value = value::of(text, &key)?;
    let name = &text[key.clone()];
    let asked = matches!(text.as_bytes()[..key.start].last(), Some(b'?' | b'&' | b'#'));
    let named = keys::named(name).or_else(|| {
        // `api key: …`
        let before = text[..key.start].strip_suffix(' ')?;
        let start = before.len() - before.bytes().rev().take(MAX_KEY_BYTES).take_while(u8::is_ascii_alphabetic).count();
        keys::named(&text[start..key.end])
    });
    let (rule, granularity) = match named {
        Some(named) => (named.rule, named.granularity),
        None => (keys::query(name).filter(|_| asked)?, Granularity::Texts),
    };
    let value = value.range(text, name)?;
    let said = &text[value.clone()];
    let is_number = said.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'-'));
    let is_count = is_number && (granularity == Granularity::Texts || (rule == "token" && said.len() < 8));
    (!is_count && !value::says_nothing(said)).then_some((value, rule))
}
