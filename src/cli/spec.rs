//! Breakpoints in words, read and written.
//!
//! ```text
//! [TYPES][:NAME] [if CEL] [hits CEL] [log "TEXT {CEL}"] [once] [all] [run ID] [gate [TIME] [fail|proceed]] [off]
//! ```
//!
//! `TYPES` are event types with commas between them, or `*`; `NAME` is a glob; a word with space in it is quoted.
//! An expression ends where one of the clauses' words stands by itself, outside of quotes and brackets, and not after
//! an operator: `if "once" in event.data.tags once` is what it looks like.

use std::time::Duration;

use crate::proto::{Breakpoint, EventType, OnTimeout, Unattended, name::Named as _};

/// The words that begin a clause.
const CLAUSES: [&str; 8] = ["if", "hits", "log", "once", "all", "run", "gate", "off"];
/// After one of these an expression is not over.
const OPEN_ENDS: &str = "<>=!&|+-*/%?:,.([{";

/// Whether a word is the id of a breakpoint.
pub(super) fn is_id(word: &str) -> bool {
    word.strip_prefix('b').is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Reads a breakpoint. The error says what would be right.
pub(super) fn parse(text: &str) -> Result<Breakpoint, String> {
    let mut made = Breakpoint::default();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("say where to break: types, a name, or a condition; * is everywhere".into());
    }
    if !CLAUSES.contains(&first_word(rest)) {
        let (place, after) = word(rest)?;
        (made.types, made.name) = self::place(&place)?;
        rest = after;
    }
    let mut seen: Vec<&str> = Vec::new();
    while !rest.is_empty() {
        let clause = CLAUSES
            .into_iter()
            .find(|clause| *clause == first_word(rest))
            .ok_or_else(|| format!("what is {}? clauses are {}", first_word(rest), CLAUSES.join(", ")))?;
        if seen.contains(&clause) {
            return Err(format!("{clause} is said twice"));
        }
        seen.push(clause);
        rest = rest[clause.len()..].trim_start();
        match clause {
            "if" => (made.condition, rest) = expression(clause, rest)?,
            "hits" => (made.hit_condition, rest) = expression(clause, rest)?,
            "log" => (made.log_message, rest) = quoted(rest)?.ok_or("log takes a \"text\"")?,
            "run" => {
                let (run, after) = word(rest)?;
                (made.run_id, rest) = (Some(run), after);
            }
            "once" => made.once = true,
            "all" => made.all_stop = true,
            "off" => made.enabled = Some(false),
            _ => {
                made.unattended = Unattended::Hold.into();
                rest = gate(&mut made, rest);
            }
        }
    }
    Ok(made)
}

/// `[TIME] [fail|proceed]`, each of which may be left out.
fn gate<'a>(made: &mut Breakpoint, mut rest: &'a str) -> &'a str {
    if let Ok(time) = humantime::parse_duration(first_word(rest)) {
        made.timeout = prost_types::Duration::try_from(time).ok();
        rest = after_word(rest);
    }
    let on_timeout = match first_word(rest) {
        "fail" => OnTimeout::Fail,
        "proceed" => OnTimeout::Proceed,
        _ => return rest,
    };
    made.on_timeout = on_timeout.into();
    after_word(rest)
}

/// `tool_call,prompt:glob`
fn place(text: &str) -> Result<(Vec<i32>, String), String> {
    let (types, name) = text.split_once(':').unwrap_or((text, ""));
    if matches!(types, "" | "*") {
        return Ok((Vec::new(), name.into()));
    }
    let kind = |word: &str| {
        let known = EventType::from_str_name(&format!("EVENT_TYPE_{}", word.to_ascii_uppercase()));
        known.filter(|kind| *kind != EventType::Unspecified).map(i32::from).ok_or_else(|| {
            format!("{word} is no event type (prompt, response, tool_call, tool_result, error, log); a name is :{word}")
        })
    };
    Ok((types.split(',').map(kind).collect::<Result<_, _>>()?, name.into()))
}

fn first_word(text: &str) -> &str {
    &text[..text.find(char::is_whitespace).unwrap_or(text.len())]
}

fn after_word(text: &str) -> &str {
    text[first_word(text).len()..].trim_start()
}

/// A word, or a quoted text.
fn word(text: &str) -> Result<(String, &str), String> {
    match quoted(text)? {
        Some(found) => Ok(found),
        None if text.is_empty() => Err("a word is missing".into()),
        // The name may be quoted where the type is not: tool_call:"read file".
        None => match first_word(text).find(":\"").map(|at| at + 1) {
            Some(at) => {
                let (name, after) = quoted(&text[at..])?.unwrap_or_default();
                Ok((format!("{}{name}", &text[..at]), after))
            }
            None => Ok((first_word(text).into(), after_word(text))),
        },
    }
}

/// A text in double quotes, with the escapes of JSON, or in single ones, as it is.
fn quoted(text: &str) -> Result<Option<(String, &str)>, String> {
    if let Some(inside) = text.strip_prefix('\'') {
        let end = inside.find('\'').ok_or("a ' is not closed")?;
        return Ok(Some((inside[..end].into(), inside[end + 1..].trim_start())));
    }
    if !text.starts_with('"') {
        return Ok(None);
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    match values.next() {
        Some(Ok(value)) => Ok(Some((value, text[values.byte_offset()..].trim_start()))),
        _ => Err("a \" is not closed, or something inside is not escaped".into()),
    }
}

/// An expression up to the next clause, and the rest.
fn expression<'a>(clause: &str, text: &'a str) -> Result<(String, &'a str), String> {
    let (mut depth, mut quote, mut escaped, mut last) = (0_usize, None, false, None);
    let mut end = text.len();
    for (at, character) in text.char_indices() {
        if let Some(open) = quote {
            quote = quote.filter(|_| escaped || character != open);
            escaped = !escaped && character == '\\';
            last = Some(character);
            continue;
        }
        let begins_word = at == 0 || text[..at].ends_with(char::is_whitespace);
        let may_end = depth == 0 && !last.is_some_and(|last| OPEN_ENDS.contains(last));
        // `hits hits == 3` begins with the variable.
        let is_variable = |word: &str| at == 0 && clause == "hits" && word == clause;
        let word = first_word(&text[at..]);
        if begins_word && may_end && CLAUSES.contains(&word) && !is_variable(word) {
            end = at;
            break;
        }
        match character {
            '"' | '\'' => quote = Some(character),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if !character.is_whitespace() {
            last = Some(character);
        }
    }
    match text[..end].trim() {
        "" => Err(format!("{clause} takes a CEL expression")),
        expression => Ok((expression.into(), &text[end..])),
    }
}

/// A breakpoint in the words that make it.
pub(super) fn write(breakpoint: &Breakpoint) -> String {
    let types: Vec<_> = breakpoint.types.iter().copied().map(EventType::json_name).collect();
    let types = if types.is_empty() { "*".into() } else { types.join(",") };
    let name = match breakpoint.name.as_str() {
        "" => String::new(),
        name => format!(":{}", quote_if_needed(name)),
    };
    let clause = |word: &str, value: &str| if value.is_empty() { String::new() } else { format!(" {word} {value}") };
    let flag = |word: &str, set: bool| if set { format!(" {word}") } else { String::new() };
    let log = if breakpoint.log_message.is_empty() { String::new() } else { quote(&breakpoint.log_message) };
    let run = breakpoint.run_id.as_deref().map(quote_if_needed).unwrap_or_default();
    let gate = breakpoint.unattended == i32::from(Unattended::Hold);
    // A time with space in it would be two words.
    let in_a_word = |time| format!(" {}", humantime::format_duration(time).to_string().replace(' ', ""));
    let timeout = breakpoint.timeout.and_then(|time| Duration::try_from(time).ok()).map(in_a_word).unwrap_or_default();
    [
        format!("{types}{name}"),
        clause("if", &breakpoint.condition),
        clause("hits", &breakpoint.hit_condition),
        clause("log", &log),
        flag("once", breakpoint.once),
        flag("all", breakpoint.all_stop),
        clause("run", &run),
        flag("gate", gate),
        timeout,
        flag("proceed", gate && breakpoint.on_timeout == i32::from(OnTimeout::Proceed)),
        flag("off", breakpoint.enabled == Some(false)),
    ]
    .concat()
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn quote_if_needed(text: &str) -> String {
    let plain =
        !text.is_empty() && !text.contains(|character: char| character.is_whitespace() || "\"'".contains(character));
    if plain { text.into() } else { quote(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    /// Reads, compares, writes and reads again.
    fn check(text: &str, expected: Breakpoint) {
        let read = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read, expected, "{text}");
        let written = write(&read);
        assert_eq!(parse(&written).as_ref(), Ok(&expected), "{text} written as {written}");
    }

    #[test]
    fn a_breakpoint_says_what_it_means() {
        let tool = || vec![i32::from(EventType::ToolCall)];
        let none = Breakpoint::default;
        check("*", none());
        check("tool_call", Breakpoint { types: tool(), ..none() });
        check("tool_call:read_*", Breakpoint { types: tool(), name: "read_*".into(), ..none() });
        check(":read_file", Breakpoint { name: "read_file".into(), ..none() });
        check(
            "tool_call:\"read file\" once",
            Breakpoint { types: tool(), name: "read file".into(), once: true, ..none() },
        );
        let both = vec![EventType::Prompt.into(), EventType::ToolCall.into()];
        check("prompt,tool_call", Breakpoint { types: both, ..none() });
        check("if repeats > 3", Breakpoint { condition: "repeats > 3".into(), ..none() });
        check(
            "tool_call:read_file if event.data.x > 3 hits hits==3 once log \"x is {event.data[\\\"x\\\"]}\"",
            Breakpoint {
                types: tool(),
                name: "read_file".into(),
                condition: "event.data.x > 3".into(),
                hit_condition: "hits==3".into(),
                once: true,
                log_message: "x is {event.data[\"x\"]}".into(),
                ..none()
            },
        );
        check("* log 'at \"{event.name}\"'", Breakpoint { log_message: "at \"{event.name}\"".into(), ..none() });
        check(
            "* all run r1 off",
            Breakpoint { all_stop: true, run_id: Some("r1".into()), enabled: Some(false), ..none() },
        );
        check("* run \"\"", Breakpoint { run_id: Some(String::new()), ..none() });
        let gate = || Breakpoint { types: tool(), unattended: Unattended::Hold.into(), ..none() };
        check("tool_call gate", gate());
        check("tool_call gate 10m", Breakpoint { timeout: seconds(600), ..gate() });
        let proceed = Breakpoint { timeout: seconds(90), on_timeout: OnTimeout::Proceed.into(), once: true, ..gate() };
        check("tool_call gate 90s proceed once", proceed);
    }

    #[test]
    fn an_expression_ends_where_a_clause_begins_and_not_before() {
        for (text, condition) in [
            ("if \"once\" in event.data.tags once", "\"once\" in event.data.tags"),
            ("if event.data.list.all(x, x > 1) once", "event.data.list.all(x, x > 1)"),
            ("if (event.run_end && 3 < hits) once", "(event.run_end && 3 < hits)"),
            ("if 'a \\' once' == event.name once", "'a \\' once' == event.name"),
            ("if 3 < hits once", "3 < hits"),
            ("if run.events > 3 once", "run.events > 3"),
            ("if x == {'a': 1 } once", "x == {'a': 1 }"),
            ("once if true", "true"),
        ] {
            let read = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((read.condition.as_str(), read.once), (condition, true), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, told) in [
            ("", "say where to break"),
            ("read_file", "a name is :read_file"),
            ("unspecified", "no event type"),
            ("tool_call sometimes", "clauses are if"),
            ("if", "if takes a CEL"),
            ("* hits once", "hits takes"),
            ("if once", "if takes"),
            ("* log nothing", "log takes"),
            ("* log \"open", "not closed"),
            ("* log 'open", "not closed"),
            ("* run", "a word is missing"),
            ("* once once", "said twice"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn ids_are_told_from_words() {
        assert!(is_id("b1") && is_id("b42"));
        assert!(!is_id("b") && !is_id("1") && !is_id("bx") && !is_id("b1 once"));
    }
}
