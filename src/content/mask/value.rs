//! What stands behind a key in a text: how keys and values are told apart in headers, variables, addresses, command
//! lines, and in the notations of data and of code.

use std::ops::Range;

use super::rules::RULES;

/// The longest value that is read, in bytes, where nothing ends it before.
const MAX_VALUE_BYTES: usize = 16 * 1024;
/// Spaces that may stand around a separator, and backslashes before a quote.
const MAX_SPACES: usize = 16;
/// How far back a line is looked at for where it begins, in bytes.
const MAX_PREFIX_BYTES: usize = 32;
/// The longest list in brackets that is read as one value, in bytes; and how long one may be that is code: it has no
/// text in it.
const MAX_LIST_BYTES: usize = 4_096;
const MAX_CODE_BYTES: usize = 64;

/// What stands where a value would, and tells nothing.
const EMPTY: [&str; 15] = [
    "null",
    "none",
    "nil",
    "true",
    "false",
    "undefined",
    "string",
    "str",
    "number",
    "int",
    "integer",
    "boolean",
    "bool",
    "required",
    "optional",
];

/// How a value is written behind its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    at: usize,
    style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// `key: value`
    Colon,
    /// `key = value`
    Equals,
    /// `KEY=value` at the beginning of a line.
    Variable,
    /// `?key=value&`
    Query,
    /// `--key value`
    Flag,
    /// `<key>value</key>`
    Element,
    /// In quotes, whatever came before: `("key", "value")`.
    Quoted,
    /// On a line of its own, as in a form of several parts.
    Line,
}

/// Where the value of a key begins; nothing where no value follows.
pub(super) fn of(text: &str, key: &Range<usize>) -> Option<Written> {
    let bytes = text.as_bytes();
    let before = &bytes[..key.start];
    let written = |at, style| Some(Written { at, style });
    if before.last() == Some(&b'<') && bytes.get(key.end) == Some(&b'>') {
        return written(key.end + 1, Style::Element);
    }
    let quote = quote(text, key.end);
    let closed = key.end + quote.map_or(0, str::len);
    if quote.is_some() {
        if let Some(line) = ["\r\n\r\n", "\n\n"].iter().find(|breaks| text[closed..].starts_with(**breaks)) {
            return written(closed + line.len(), Style::Line);
        }
        // `["Authorization", "…"]`, `{'name': 'Authorization', 'value': '…'}` and `name="password" value="…"`.
        let mut at = spaces(text, closed);
        let comma = bytes.get(at) == Some(&b',');
        at = spaces(text, at + usize::from(comma));
        if comma && opens_pair(text, key.start) && self::quote(text, at).is_some() {
            return written(at, Style::Quoted);
        }
        if let Some(at) = valued(text, at) {
            return written(at, Style::Quoted);
        }
    }
    let bracket = closed + usize::from(quote.is_some() && bytes.get(closed) == Some(&b']'));
    let at = spaces(text, bracket);
    let rest = &text[at..];
    for (sign, style) in [
        ("=>", Style::Equals),
        (":=", Style::Equals),
        ("==", Style::Equals),
        ("=", Style::Equals),
        (":", Style::Colon),
        ("%3D", Style::Query),
        ("%3d", Style::Query),
        ("%3A", Style::Query),
        ("%3a", Style::Query),
        ("\\u003d", Style::Equals),
    ] {
        let Some(after) = rest.strip_prefix(sign) else { continue };
        // A scheme, not a key: `token://`; and a name of two parts: `Token::new`.
        if sign == ":" && (after.starts_with("//") || after.starts_with(':')) {
            return None;
        }
        let style = match style {
            Style::Equals if at == key.end && matches!(before.last(), Some(b'?' | b'&')) => Style::Query,
            Style::Equals if sign == "=" && at == key.end && begins_line(before) => Style::Variable,
            style => style,
        };
        return written(spaces(text, at + sign.len()), style);
    }
    // `--password x`; `PASSWORD 'x'`
    let is_flag = text[key.clone()].starts_with('-');
    let stands_apart = at > key.end && quote.is_none();
    if is_flag && stands_apart && bytes.get(at).is_some_and(|byte| *byte != b'-') {
        return written(at, Style::Flag);
    }
    (stands_apart && matches!(bytes.get(at), Some(b'\''))).then_some(Written { at, style: Style::Quoted })
}

impl Written {
    /// The value, without its quotes.
    pub(super) fn range(self, text: &str, key: &str) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        let most = (self.at..=text.len().min(self.at + MAX_VALUE_BYTES)).rev().find(|at| text.is_char_boundary(*at))?;
        let rest = &text[self.at..most];
        let ends = |end: Option<usize>| self.at..end.map_or(most, |end| self.at + end);
        if rest.starts_with("[masked: ") {
            return None;
        }
        if let Some(quote) = quote(text, self.at) {
            let start = self.at + quote.len();
            return Some(start..closing(text, start, quote).unwrap_or(most));
        }
        // A block of YAML: what the line below says.
        if let Some((first, below)) = rest.split_once('\n')
            && matches!(first.trim_end(), "|" | ">" | "|-" | ">-" | "|+" | ">+")
        {
            let start = self.at + first.len() + 1 + (below.len() - below.trim_start_matches(' ').len());
            return Some(start..text[start..most].find(['\r', '\n']).map_or(most, |end| start + end));
        }
        match self.style {
            Style::Element => return Some(ends(rest.find('<'))),
            Style::Line => return Some(ends(rest.find(['\r', '\n']))),
            Style::Quoted => return None,
            _ => {}
        }
        if let Some(open @ (b'(' | b'[' | b'{')) = bytes.get(self.at).copied() {
            return contained(rest, open).map(|inner| self.at + inner.start..self.at + inner.end);
        }
        // The value of such a header goes on to the end of its line.
        let is_header = ["authorization", "cookie"].iter().any(|name| ends_with(key, name));
        if is_header && self.style == Style::Colon {
            let end = rest.find(['\r', '\n', '"', '\'', '`', '<']);
            let escaped = ["\\n", "\\r"].iter().filter_map(|line| rest.find(line)).min();
            return Some(ends([end, escaped].into_iter().flatten().min()));
        }
        let ends_value = |sign: char| match self.style {
            Style::Variable => sign.is_whitespace() || matches!(sign, '"' | '\'' | '`'),
            Style::Query => sign.is_whitespace() || matches!(sign, '&' | '#' | '"' | '\'' | '`' | '<' | '>' | '\\'),
            Style::Flag => sign.is_whitespace() || matches!(sign, '"' | '\'' | '`'),
            _ => sign.is_whitespace() || "\"'`<>&;,)]}\\".contains(sign),
        };
        let percent = if self.style == Style::Query { rest.find("%26").or(rest.find("%22")) } else { None };
        let end = [rest.find(ends_value), percent].into_iter().flatten().min();
        let mut range = ends(end);
        // `auth: Bearer …`: a scheme, and what belongs to it.
        let schemes = ["bearer", "basic", "token", "digest", "apikey", "negotiate"];
        if schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case(&text[range.clone()]))
            && let Some(after) = text[range.end..most].strip_prefix(' ')
        {
            range.end += 1 + after.find(ends_value).unwrap_or(after.len());
        }
        Some(range)
    }
}

fn ends_with(key: &str, name: &str) -> bool {
    let end = key.len().checked_sub(name.len()).and_then(|start| key.get(start..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(name))
}

/// Whether a value tells nothing.
pub(super) fn says_nothing(value: &str) -> bool {
    value.is_empty() || EMPTY.iter().any(|empty| empty.eq_ignore_ascii_case(value))
}

/// The quote that stands here: as it is, escaped any number of times, or in the spelling of an address or of HTML.
fn quote(text: &str, at: usize) -> Option<&str> {
    let rest = text.get(at..)?;
    if let Some(known) = ["%22", "%27", "&quot;", "&#34;", "&#39;"].iter().find(|known| rest.starts_with(**known)) {
        return Some(known);
    }
    let escapes = rest.bytes().take(MAX_SPACES).take_while(|byte| *byte == b'\\').count();
    if rest[escapes..].starts_with("u0022") && escapes > 0 {
        return Some(&rest[..escapes + 5]);
    }
    matches!(rest.as_bytes().get(escapes), Some(b'"' | b'\'' | b'`')).then(|| &rest[..=escapes])
}

/// Where the quote comes again, escaped as often as it was when it opened. A quote inside is escaped once more: behind
/// `k` backslashes it closes where `n` stand before it, of which all but `k` are pairs of escaped ones.
fn closing(text: &str, start: usize, quote: &str) -> Option<usize> {
    let escapes = quote.len() - 1;
    let Some(sign @ (b'"' | b'\'' | b'`')) = quote.bytes().last() else {
        return text[start..].find(quote).map(|at| start + at);
    };
    let bytes = text.as_bytes();
    let mut at = start;
    loop {
        let found = at + memchr::memchr(sign, &bytes[at..])?;
        let before = bytes[start..found].iter().rev().take_while(|byte| **byte == b'\\').count();
        if before % (2 * (escapes + 1)) == escapes {
            return Some(found - escapes);
        }
        at = found + 1;
    }
}

fn spaces(text: &str, mut at: usize) -> usize {
    let begins = at;
    while at - begins < MAX_SPACES {
        let rest = &text[at..];
        let blank = [" ", "\t", "%20"].iter().find(|blank| rest.starts_with(**blank));
        match blank {
            Some(blank) => at += blank.len(),
            None => break,
        }
    }
    at
}

/// Whether a key in quotes is the first of a pair: `["key"`, `("key"`.
fn opens_pair(text: &str, key: usize) -> bool {
    let before = text[..key].trim_end_matches(['"', '\'', '`', '\\']);
    before.len() < key && before.trim_end_matches(' ').ends_with(['[', '('])
}

/// Where what a pair says begins: behind `"value":`, `'value': ` or `value=`.
fn valued(text: &str, at: usize) -> Option<usize> {
    let at = at + quote(text, at).map_or(0, str::len);
    let rest = &text[at..];
    let length = rest.bytes().take(MAX_SPACES).take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let name = &rest[..length];
    if !RULES.valued.iter().any(|valued| valued.eq_ignore_ascii_case(name)) {
        return None;
    }
    let at = at + length;
    let at = spaces(text, at + quote(text, at).map_or(0, str::len));
    let after = matches!(text.as_bytes().get(at), Some(b':' | b'=')).then(|| spaces(text, at + 1))?;
    quote(text, after).map(|_| after)
}

/// Whether a line begins here, or what makes a variable of the shell known stands before.
fn begins_line(before: &[u8]) -> bool {
    const WORDS: [&[u8]; 8] = [b"export", b"set", b"setx", b"ENV", b"ARG", b"env", b"-e", b"--env"];
    let tail = &before[before.len().saturating_sub(MAX_PREFIX_BYTES)..];
    let line_break = tail.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
    let line = &tail[line_break.map_or(0, |at| at + 1)..];
    match line.trim_ascii_end() {
        [] => line_break.is_some() || tail.len() == before.len(),
        words if words.len() == line.len() => false,
        words => words.rsplit(u8::is_ascii_whitespace).next().is_some_and(|word| WORDS.contains(&word)),
    }
}

/// What is between brackets, where there is a text in it, or where it is too long to be a call or an index.
fn contained(rest: &str, open: u8) -> Option<Range<usize>> {
    let close = match open {
        b'(' => b')',
        b'[' => b']',
        _ => b'}',
    };
    let most = (0..=rest.len().min(MAX_LIST_BYTES)).rev().find(|at| rest.is_char_boundary(*at))?;
    let (mut depth, mut end) = (0_usize, most);
    for (at, byte) in rest[..most].bytes().enumerate() {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
            if depth == 0 {
                end = at;
                break;
            }
        }
    }
    let inner = &rest[1..end];
    (inner.len() > MAX_CODE_BYTES || inner.contains(['"', '\''])).then_some(1..end)
}
