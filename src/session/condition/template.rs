//! Messages of breakpoints that log: text with `{CEL}` in it.

use std::{borrow::Cow, time::Duration};

use cel::Value;

use super::{Condition, MAX_SOURCE_BYTES, Sees, Size, facts::Facts};

/// The expressions in one message, the bytes that a rendered one may have, and those of an event of which more than a
/// text is shown.
const MAX_EXPRESSIONS: usize = 16;
const MAX_RENDERED_BYTES: usize = 16 * 1024;
const MAX_SHOWN_BYTES: u64 = 256 * 1024;

/// A message, compiled.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) source: Box<str>,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    Expression(Condition),
}

impl Template {
    /// Compiles a message. `{{` and `}}` are braces.
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(format!("must be at most {MAX_SOURCE_BYTES} bytes"));
        }
        let (mut parts, mut text, mut rest) = (Vec::new(), String::new(), source);
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                text.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err("has a `}` without its `{`; write `}}` for a brace".into());
            }
            let end = expression_end(after).ok_or("has a `{` without its `}`; write `{{` for a brace")?;
            parts.push(Part::Text(std::mem::take(&mut text).into()));
            parts.push(Part::Expression(Condition::compile(&after[..end])?));
            rest = &after[end + 1..];
        }
        text.push_str(rest);
        parts.push(Part::Text(text.into()));
        if parts.len() > 2 * MAX_EXPRESSIONS + 1 {
            Err(format!("may hold {MAX_EXPRESSIONS} expressions"))
        } else {
            Ok(Self { source: source.into(), parts })
        }
    }

    /// The message as it was written, its expressions and what stands between them each put through a function.
    pub(crate) fn rewritten<'a>(
        &'a self,
        text: impl Fn(&'a str) -> Cow<'a, str>,
        expression: impl Fn(&'a str) -> Cow<'a, str>,
    ) -> String {
        let mut written = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => written.push_str(&text(part).replace('{', "{{").replace('}', "}}")),
                Part::Expression(part) => {
                    written.push('{');
                    written.push_str(&expression(&part.source));
                    written.push('}');
                }
            }
        }
        written
    }

    /// The message without anything of the event in it.
    pub(in crate::session) fn render_nothing(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text,
            Part::Expression(_) => "[masked: log_point]",
        });
        parts.collect()
    }

    /// What its expressions look at.
    pub(in crate::session) fn sees(&self) -> Sees {
        let sees = |part: &Part| match part {
            Part::Text(_) => Sees::default(),
            Part::Expression(expression) => expression.sees,
        };
        self.parts.iter().map(sees).fold(Sees::default(), Sees::and)
    }

    /// About how long rendering it may take on an event of this size.
    pub(in crate::session) fn cost(&self, size: &Size<'_>) -> Duration {
        let cost = |part: &Part| match part {
            Part::Text(_) => Duration::ZERO,
            Part::Expression(expression) => expression.cost(size),
        };
        self.parts.iter().map(cost).sum()
    }

    /// The message for one event. An expression that fails says so in its place.
    pub(in crate::session) fn render(&self, facts: &Facts) -> String {
        let mut text = String::new();
        for part in &self.parts {
            if text.len() > MAX_RENDERED_BYTES {
                break;
            }
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Expression(expression) => match expression.value(facts) {
                    Ok(Some(Value::List(_) | Value::Map(_))) if facts.bytes > MAX_SHOWN_BYTES => {
                        text.push_str("(too large to show)");
                    }
                    Ok(Some(value)) => text.push_str(&shown(&value)),
                    Ok(None) => text.push_str("(missing)"),
                    Err(problem) => text.push_str(&format!("({problem})")),
                },
            }
        }
        if text.len() > MAX_RENDERED_BYTES {
            let end = (0..=MAX_RENDERED_BYTES).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
        }
        text
    }
}

/// Where the expression that follows a `{` ends: at its own `}`, past maps and strings.
fn expression_end(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, sign) in text.char_indices() {
        match (quote, sign) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), sign) if sign == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(sign),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

/// A value as people read it: text as it is, the rest as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        other => json(other).to_string(),
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::UInt(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(text) => text.as_str().into(),
        Value::List(values) => values.iter().map(json).collect(),
        Value::Map(map) => {
            let mut fields: Vec<_> = map.map.iter().map(|(key, value)| (key.to_string(), json(value))).collect();
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
            serde_json::Value::Object(fields.into_iter().collect())
        }
        _ => serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Seq, session::fixtures::event};

    fn rendered(template: &str) -> Result<String, String> {
        let event = event(Seq(4), r#"{"path":"/tmp","n":2,"list":[1,"x"],"deep":{"b":1,"a":null}}"#);
        Ok(Template::compile(template)?.render(&Facts::of(&event)))
    }

    #[test]
    fn expressions_are_evaluated_in_their_places() {
        for (template, expected) in [
            ("plain", "plain"),
            ("read {event.data.path}: {event.data.n + 1}", "read /tmp: 3"),
            ("{event.data.list} {event.data.deep}", r#"[1,"x"] {"a":null,"b":1}"#),
            ("{{not an expression}}", "{not an expression}"),
            ("{event.data.nothing}!", "(missing)!"),
            ("{ {'a': '}'}['a'] }", "}"),
            ("{event.data.n / 0}", "(divides by zero)"),
        ] {
            assert_eq!(rendered(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_does_not_compile_is_refused() {
        for (template, problem) in [
            ("{", "without"),
            ("}", "without"),
            ("{events}", "no variable"),
            ("{}", "does not compile"),
            ("{'a}", "without"),
        ] {
            let refused = rendered(template).expect_err(template);
            assert!(refused.contains(problem), "{template}: {refused}");
        }
        assert!(rendered(&"{event.seq}".repeat(17)).is_err());
    }
}
