//! Frames as lines for people. Whatever an agent or a caller named is escaped here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use humantime::format_rfc3339_millis;

use super::{
    escape,
    output::{Ink, Output},
};
use crate::{
    json::{self, Decision},
    proto::{self, EventType, Origin, Outcome, events_response::Frame, name::Named as _},
};

/// The least that a line shows of an event's data, however narrow the terminal.
const MIN_SUMMARY: usize = 24;

/// A frame as a line; nothing for those that are told otherwise.
pub(super) fn frame(out: &Output, frame: &Frame) -> Option<String> {
    match frame {
        Frame::Event(event) => Some(self::event(out, event)),
        Frame::Decision(made) => Some(decision(out, made)),
        Frame::Cleared(_) => Some(out.paint.ink(Ink::Faint, "the trace begins anew")),
        Frame::Gap(gap) => Some(
            out.paint.ink(Ink::Bad, format!("events {} to {} were trimmed before they came here", gap.from, gap.to)),
        ),
        Frame::Forked(forked) => Some(self::forked(out, forked)),
        Frame::Position(_) | Frame::State(_) => None,
    }
}

/// `#9  12:00:00.000Z  [run]  tool_call    book_flight  {"to":"KEF"}`, and under it how it diverges, if it does.
pub(super) fn event(out: &Output, event: &proto::Event) -> String {
    let seq = format!("{:<5}", format!("#{}", event.seq));
    let time = time_of_day(event.time.as_ref());
    let run = run_column(&event.run_id);
    let kind = format!("{:<11}", EventType::json_name(event.r#type));
    let name = if event.name.is_empty() { String::new() } else { format!("{}  ", escape::text(&event.name)) };
    let end = [event.run_end.then(|| "run end".to_owned()), origin(event)];
    let end: String = end.into_iter().flatten().map(|note| format!("  ({note})")).collect();
    let used = [&seq, &time, &run, &kind, &name].map(|part| part.chars().count()).iter().sum::<usize>() + end.len() + 6;
    let data = json::data(event);
    let summary = summary(data.get(), out.width.saturating_sub(used).max(MIN_SUMMARY));
    let paint = out.paint;
    let line = format!(
        "{} {}  {run}{}  {}{summary}{}",
        paint.ink(Ink::Strong, seq),
        paint.ink(Ink::Faint, time),
        paint.ink(colour(event.r#type), kind),
        paint.ink(Ink::Strong, name),
        paint.ink(Ink::Faint, end),
    );
    [vec![line], divergence(out, event)].concat().join("\n")
}

/// Where what a step brought comes from, unless the agent did it.
fn origin(event: &proto::Event) -> Option<String> {
    let source = match event.source_seq {
        0 => String::new(),
        seq => format!(", #{seq} of the record"),
    };
    match event.origin() {
        Origin::Unspecified | Origin::Live => None,
        Origin::Recorded | Origin::Edited => Some(format!("{}{source}", Origin::json_name(event.origin))),
    }
}

/// Why no recorded step is this one, and what differs from the nearest: nothing where it does not diverge.
pub(super) fn divergence(out: &Output, event: &proto::Event) -> Vec<String> {
    let Some(divergence) = &event.divergence else { return Vec::new() };
    let nearest = match divergence.nearest_seq {
        0 => String::new(),
        seq => format!(" (#{seq})"),
    };
    let reason = escape::text(&divergence.reason);
    let mut lines = vec![out.paint.ink(Ink::Bad, format!("    diverges: {reason}{nearest}"))];
    lines.extend(fields(out, &divergence.fields, "      "));
    lines
}

/// Fields that differ: on a line each where they fit, else on three.
pub(super) fn fields(out: &Output, fields: &[proto::FieldDifference], indent: &str) -> Vec<String> {
    let value = |value: &str| if value.is_empty() { "nothing".into() } else { escape::json(value).into_owned() };
    let lines = fields.iter().flat_map(|field| {
        let (path, left, right) = (escape::text(&field.path), value(&field.left), value(&field.right));
        let line = format!("{indent}{path}: {left} → {right}");
        if line.chars().count() <= out.width {
            return vec![line];
        }
        let (left, right) = (format!("{indent}  - {left}"), format!("{indent}  + {right}"));
        vec![format!("{indent}{path}:"), out.paint.ink(Ink::Bad, left), out.paint.ink(Ink::Closing, right)]
    });
    lines.collect()
}

/// `run f1 is forked from r1 at #9 by 127.0.0.1:50210: 7 served from record, then live`
fn forked(out: &Output, forked: &proto::RunForked) -> String {
    let source = forked.forked_from.as_ref().map(|source| format!(" {}", lineage(source))).unwrap_or_default();
    let summary = forked.plan.as_ref().map(|plan| plan.summary.as_str()).unwrap_or_default();
    let run = run_name(&forked.run_id);
    let line = format!("run {run} is{source} by {}: {}", escape::text(&forked.actor), escape::text(summary));
    out.paint.ink(Ink::Faint, line)
}

/// `forked from r1 at #9`
pub(super) fn lineage(source: &proto::Lineage) -> String {
    let place = match source.seq {
        // It is in another service's record.
        0 => format!("its event {}", source.ordinal),
        seq => format!("#{seq}"),
    };
    format!("forked from {} at {place}", run_name(&source.run_id))
}

/// A run's id; `(default)` for the default run.
pub(super) fn run_name(run: &str) -> String {
    if run.is_empty() { "(default)".into() } else { escape::text(run).into_owned() }
}

fn colour(kind: i32) -> Ink {
    match EventType::try_from(kind) {
        Ok(EventType::Prompt | EventType::ToolCall) => Ink::Opening,
        Ok(EventType::Response | EventType::ToolResult) => Ink::Closing,
        Ok(EventType::Error) => Ink::Bad,
        Ok(EventType::Log | EventType::Unspecified) | Err(_) => Ink::Faint,
    }
}

fn run_column(run: &str) -> String {
    if run.is_empty() { String::new() } else { format!("[{}]  ", escape::text(run)) }
}

/// ` (run x)`; nothing for the default run.
pub(super) fn run_note(run: &str) -> String {
    if run.is_empty() { String::new() } else { format!(" (run {})", escape::text(run)) }
}

/// `held at #9 tool_call book_flight (run x): step, breakpoint b1`
pub(super) fn held(held: &proto::Held) -> String {
    let name = if held.name.is_empty() { String::new() } else { format!(" {}", escape::text(&held.name)) };
    let kind = EventType::json_name(held.r#type);
    format!("held at #{} {kind}{name}{}: {}", held.seq, run_note(&held.run_id), reasons(held))
}

fn reasons(held: &proto::Held) -> String {
    let reason = proto::HoldReason::json_name(held.reason);
    let breakpoints = held.breakpoint_ids.iter().map(|id| format!("breakpoint {}", escape::text(id)));
    let mut reasons: Vec<_> = breakpoints.collect();
    // A breakpoint that names itself says why already.
    if reason != "breakpoint" || reasons.is_empty() {
        reasons.insert(0, reason);
    }
    if held.gate {
        reasons.push("gate".into());
    }
    reasons.join(", ")
}

/// The same, with what the agent obeys and how long it waits, for `held`.
pub(super) fn held_in_full(held: &proto::Held) -> String {
    let accepts: Vec<_> = held.accepts.iter().copied().map(proto::Verb::json_name).collect();
    let accepts = if accepts.is_empty() { "nothing but proceed".into() } else { accepts.join(", ") };
    let ends = held.times_out_in.as_ref().map(|left| format!("; times out in {}", span(left))).unwrap_or_default();
    format!("{}; accepts {accepts}; for {}{ends}", self::held(held), span(&held.held_for.unwrap_or_default()))
}

fn decision(out: &Output, made: &proto::DecisionMade) -> String {
    let (action, text, data) = match json::decision(made.decision.clone()) {
        Decision::Proceed => ("", None, None),
        Decision::Edit { data, model } => (": edit", model.map(|model| format!("model {model}")), data),
        Decision::Fulfil { data } => (": fulfil", None, data),
        Decision::Fail { message, data } => (": fail", Some(message.into_owned()), data),
        Decision::Abort { reason } => (": abort", Some(reason.into_owned()), None),
    };
    let mut told = action.to_owned();
    let details = [
        text.map(|text| escape::text(&text).into_owned()),
        data.map(|data| summary(data.get(), out.width.saturating_sub(60).max(MIN_SUMMARY))),
    ];
    for detail in details.into_iter().flatten().filter(|detail| !detail.is_empty()) {
        told.push(' ');
        told.push_str(&detail);
    }
    let ended = match made.outcome() {
        // A fork had the answer at once.
        Outcome::NotHeld => "answered".to_owned(),
        _ => {
            let outcome = Outcome::json_name(made.outcome).replace('_', " ");
            format!("{outcome} after {}", span(&made.held_for.unwrap_or_default()))
        }
    };
    let line = format!("#{} {ended} by {}{}{told}", made.seq, escape::text(&made.actor), run_note(&made.run_id));
    out.paint.ink(Ink::Faint, line)
}

/// An event with everything it was reported with.
pub(super) fn in_full(out: &Output, event: &proto::Event) -> String {
    let text = |text: &str| (!text.is_empty()).then(|| escape::text(text).into_owned());
    let count = |count: Option<u64>| count.map(|count| count.to_string());
    let ms = |span: &Option<prost_types::Duration>| span.as_ref().map(self::span);
    let fields = [
        ("run", text(&event.run_id)),
        ("node", text(&event.node_id)),
        ("parent", text(&event.parent_id)),
        ("time", event.time.as_ref().map(timestamp)),
        ("took", ms(&event.duration)),
        ("latency", ms(&event.latency)),
        ("model", text(&event.model)),
        ("tokens", count(event.token_count)),
        ("in", count(event.input_tokens)),
        ("out", count(event.output_tokens)),
        ("checkpoint", text(&event.checkpoint_id)),
        ("match key", text(&event.match_key)),
        ("run end", event.run_end.then(|| "yes".into())),
        ("origin", origin(event)),
        ("warnings", text(&event.warnings.join("; "))),
        ("metadata", json::metadata(event).map(|metadata| summary(metadata.get(), usize::MAX))),
    ];
    let title = format!("#{} {} {}", event.seq, EventType::json_name(event.r#type), escape::text(&event.name));
    let mut lines = vec![out.paint.ink(Ink::Strong, title.trim_end())];
    lines.extend(fields.into_iter().filter_map(|(name, value)| Some(format!("  {name}: {}", value?))));
    lines.extend(divergence(out, event));
    lines.push(escape::lines_of_json(&layout(json::data(event).get(), true)));
    lines.join("\n")
}

/// JSON on one line of at most `width` columns.
fn summary(text: &str, width: usize) -> String {
    // Only as much as can be shown is laid out: data may be megabytes.
    let (mut end, most) = (text.len(), width.saturating_mul(16));
    if end > most {
        end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    }
    let line = layout(&text[..end], false);
    let line = escape::json(&line);
    match line.char_indices().nth(width) {
        None if end == text.len() => line.into_owned(),
        _ => line.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// JSON text with its space between tokens taken out, or put in. Looks at brackets and quotes alone: numbers and
/// texts stay as they are, digit for digit.
fn layout(text: &str, pretty: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut characters = text.chars().peekable();
    let new_line = |out: &mut String, depth: usize| {
        if pretty {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    while let Some(character) = characters.next() {
        if quoted {
            out.push(character);
            quoted = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            ' ' | '\t' | '\n' | '\r' => {}
            '{' | '[' => {
                out.push(character);
                while characters.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                match characters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(close) => out.push(close),
                    None => {
                        depth += 1;
                        new_line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                new_line(&mut out, depth);
            }
            ':' => out.push_str(if pretty { ": " } else { ":" }),
            other => {
                quoted = other == '"';
                out.push(other);
            }
        }
    }
    out
}

fn system_time(time: &prost_types::Timestamp) -> SystemTime {
    let nanos = u32::try_from(time.nanos).unwrap_or(0).min(999_999_999);
    // What lies before 1970, or beyond what can be written, is shown as the nearest that can.
    let seconds = u64::try_from(time.seconds).unwrap_or(0).min(253_402_300_799);
    UNIX_EPOCH + Duration::new(seconds, nanos)
}

/// A point in time, in UTC.
pub(super) fn timestamp(time: &prost_types::Timestamp) -> String {
    format_rfc3339_millis(system_time(time)).to_string()
}

fn time_of_day(time: Option<&prost_types::Timestamp>) -> String {
    let Some(time) = time else { return "-".into() };
    let full = timestamp(time);
    full.split_once('T').map_or_else(|| full.clone(), |(_, time)| time.to_owned())
}

/// A length of time, as people say it.
pub(super) fn span(span: &prost_types::Duration) -> String {
    let seconds = span.seconds as f64 + f64::from(span.nanos) / 1e9;
    match seconds {
        short if short < 1.0 => format!("{:.0}ms", short * 1e3),
        short if short < 60.0 => format!("{short:.1}s"),
        long => humantime::format_duration(Duration::from_secs(long as u64)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::output::Paint, *};

    fn out() -> Output {
        let mut out = Output::stdout(false);
        (out.paint, out.width) = (Paint::PLAIN, 60);
        out
    }

    fn tool_call(name: &str, data: &str) -> proto::Event {
        proto::Event {
            seq: 9,
            r#type: EventType::ToolCall.into(),
            run_id: "x".into(),
            name: name.into(),
            time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5_000_000 }),
            payload: Some(proto::event::Payload::DataJson(data.into())),
            ..Default::default()
        }
    }

    #[test]
    fn an_event_is_one_line_that_keeps_to_the_width() {
        let line = event(&out(), &tool_call("book", "{ \"to\" : \"KEF\" }"));
        assert_eq!(line, "#9    22:13:20.005Z  [x]  tool_call    book  {\"to\":\"KEF\"}");
        let long = event(&out(), &tool_call("book", &format!("{{\"text\":\"{}\"}}", "x".repeat(9_999))));
        assert!(long.ends_with('…') && long.chars().count() <= 72, "{long}");
    }

    #[test]
    fn nothing_of_an_agent_reaches_the_terminal_as_it_came() {
        let nasty = "\u{1b}[2J\u{202e}\n";
        let mut event = tool_call(nasty, "{\"\u{9b}m\":\"\u{202e}\"}");
        event.run_id = nasty.into();
        event.model = nasty.into();
        let waits = proto::Held { name: nasty.into(), run_id: nasty.into(), ..Default::default() };
        let abort = proto::Abort { reason: nasty.into() };
        let decision = proto::Decision { action: Some(proto::decision::Action::Abort(abort)) };
        let made = proto::DecisionMade {
            run_id: nasty.into(),
            actor: nasty.into(),
            decision: Some(decision),
            ..Default::default()
        };
        event.divergence = Some(proto::Divergence {
            reason: nasty.into(),
            fields: vec![proto::FieldDifference { path: nasty.into(), left: nasty.into(), right: nasty.repeat(9) }],
            ..Default::default()
        });
        let from = proto::Lineage { run_id: nasty.into(), ..Default::default() };
        let plan = proto::ForkPlan { summary: nasty.into(), ..Default::default() };
        let fork = proto::RunForked {
            run_id: nasty.into(),
            actor: nasty.into(),
            forked_from: Some(from),
            plan: Some(plan),
            ..Default::default()
        };
        for shown in [
            self::forked(&out(), &fork),
            self::event(&out(), &event).replace('\n', ""),
            in_full(&out(), &event).replace('\n', ""),
            held_in_full(&waits),
            self::decision(&out(), &made),
        ] {
            assert!(!shown.chars().any(|it| it.is_control() || it == '\u{202e}'), "{shown}");
        }
    }

    #[test]
    fn an_event_says_where_it_comes_from_and_how_it_diverges() {
        let mut event = tool_call("book", "{}");
        (event.origin, event.source_seq) = (Origin::Recorded.into(), 3);
        assert!(self::event(&out(), &event).ends_with("book  {}  (recorded, #3 of the record)"));
        (event.origin, event.source_seq, event.run_end) = (Origin::Edited.into(), 0, true);
        assert!(self::event(&out(), &event).ends_with("book  {}  (run end)  (edited)"));
        event.origin = Origin::Live.into();
        let field =
            |left: &str, right: String| proto::FieldDifference { path: "$.to".into(), left: left.into(), right };
        event.divergence = Some(proto::Divergence {
            reason: "1 field differs".into(),
            nearest_seq: 3,
            fields: vec![field("", "\"KEF\"".into()), field("\"KEF\"", format!("\"{}\"", "x".repeat(60)))],
        });
        let shown = self::event(&out(), &event);
        let lines: Vec<_> = shown.lines().skip(1).collect();
        assert_eq!(lines[..3], ["    diverges: 1 field differs (#3)", "      $.to: nothing → \"KEF\"", "      $.to:"]);
        assert_eq!((lines[3], lines[4].starts_with("        + \"xx")), ("        - \"KEF\"", true));
    }

    #[test]
    fn a_hold_says_why() {
        let mut at = proto::Held {
            seq: 9,
            r#type: EventType::ToolCall.into(),
            name: "book_flight".into(),
            run_id: "x".into(),
            reason: proto::HoldReason::Step.into(),
            breakpoint_ids: vec!["b1".into()],
            ..Default::default()
        };
        assert_eq!(held(&at), "held at #9 tool_call book_flight (run x): step, breakpoint b1");
        at.reason = proto::HoldReason::Breakpoint.into();
        at.gate = true;
        assert_eq!(held(&at), "held at #9 tool_call book_flight (run x): breakpoint b1, gate");
        assert!(!held_in_full(&at).contains("times out"), "{}", held_in_full(&at));
        at.times_out_in = Some(prost_types::Duration { seconds: 90, nanos: 0 });
        assert!(held_in_full(&at).contains("; times out in "), "{}", held_in_full(&at));
    }

    #[test]
    fn layout_keeps_texts_and_digits() {
        let text = r#"{ "a": [1.10, {}], "b\"{": " x, y:\\" ,"c":[ ] }"#;
        assert_eq!(layout(text, false), r#"{"a":[1.10,{}],"b\"{":" x, y:\\","c":[]}"#);
        let pretty = layout(text, true);
        assert!(pretty.starts_with("{\n  \"a\": [\n    1.10,\n    {}\n  ],\n"), "{pretty}");
        assert_eq!(layout(&pretty, false), layout(text, false));
    }
}
