//! The commands of the prompt: a line of text, parsed.
//!
//! ```text
//! step|s [SEQ]   next|n [SEQ]   out|o [SEQ]   continue|c   pause|p
//! print|pr [SEQ]   list|l [N]   held   tree|t   status   runs
//! proceed [SEQ]   edit [SEQ] {JSON} [--model M]   edit [SEQ] --model M   fulfil [SEQ] {JSON}
//! fail [#SEQ|-] MESSAGE   abort [#SEQ|-] [REASON]
//! break|b …   (see `spec`)
//! wait [end] [TIME]   clear   help|h|?   quit|q
//! ```
//!
//! `SEQ` is `9` or `#9`; `-`, or nothing, is the oldest that is held. Where text follows it must be `#9`, so that
//! `fail 404 not found` says what it says.

use std::time::Duration;

use serde_json::value::RawValue;

use super::spec;
use crate::proto::{self, Breakpoint, StepGranularity, release_request::Action};

/// What `list` shows where nothing is said.
const LISTED: usize = 10;

/// What `help` prints.
pub(super) const HELP: &str = "\
steer     s  step [SEQ]           let one held step go; hold the next
          n  next [SEQ]           step over: hold at the end of this node
          o  out [SEQ]            step out: hold at the end of the node above
          c  continue             let all go; run to a breakpoint or a pause
          p  pause                hold the next step
             wait [end] [TIME]    wait until something is held, or until a run ends
decide       proceed [SEQ]        go on as reported; opens a gate
             edit [SEQ] {JSON} [--model M]
             fulfil [SEQ] {JSON}  do not run it; take this result
             fail [#SEQ] MESSAGE  treat it as failed
             abort [#SEQ] [REASON]
look      pr print [SEQ]          an event in full
          l  list [N]             the last events
          t  tree                 the nodes by parent
             held, status, runs
stop      b  break [TYPES][:NAME] [if CEL] [hits CEL] [log \"TEXT {CEL}\"] [once] [all] [run ID]
                   [gate [TIME] [fail|proceed]] [off]      e.g.  b tool_call:read_* if event.data.x > 3 once
             break list | enable ID… | disable ID… | delete ID… | test SPEC|ID
other        clear                drop the trace
          h  help
          q  quit                 detach; the agent goes on
SEQ is 9 or #9; - or nothing is the oldest held. An empty line repeats the last step, next, out or continue.";

/// A line, understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    Step { reach: StepGranularity, seq: Option<u64> },
    Continue,
    Pause,
    Release { seq: Option<u64>, action: Action },
    Print(Option<u64>),
    List(usize),
    Held,
    Tree,
    Status,
    Runs,
    Break(Break),
    Wait { what: Awaited, at_most: Option<Duration> },
    Clear,
    Help,
    Quit,
}

/// What to do with breakpoints.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Break {
    List,
    Make(Breakpoint),
    Enable(Vec<String>, bool),
    Delete(Vec<String>),
    Test(Breakpoint),
    /// Tries one that exists.
    TestKnown(String),
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    Hold,
    RunEnd,
}

impl Command {
    /// The word under which answers and errors name it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Step { reach: StepGranularity::Over, .. } => "next",
            Self::Step { reach: StepGranularity::Out, .. } => "out",
            Self::Step { .. } => "step",
            Self::Continue => "continue",
            Self::Pause => "pause",
            Self::Release { action, .. } => match action {
                Action::Proceed(_) => "proceed",
                Action::Edit(_) => "edit",
                Action::Fulfil(_) => "fulfil",
                Action::Fail(_) => "fail",
                Action::Abort(_) => "abort",
            },
            Self::Print(_) => "print",
            Self::List(_) => "list",
            Self::Held => "held",
            Self::Tree => "tree",
            Self::Status => "status",
            Self::Runs => "runs",
            Self::Break(_) => "break",
            Self::Wait { .. } => "wait",
            Self::Clear => "clear",
            Self::Help => "help",
            Self::Quit => "quit",
        }
    }

    /// What an empty line does after this command.
    pub(super) fn repeated(&self) -> Option<Self> {
        match self {
            // A number names one hold, which is over.
            Self::Step { reach, .. } => Some(Self::Step { reach: *reach, seq: None }),
            Self::Continue => Some(Self::Continue),
            _ => None,
        }
    }
}

/// Reads a line that is not empty. The error says what would be right.
pub(super) fn parse(line: &str) -> Result<Command, String> {
    let (word, rest) = split_word(line);
    let step = |reach| Ok(Command::Step { reach, seq: only_seq(rest)? });
    let bare = |command| if rest.is_empty() { Ok(command) } else { Err(format!("{word} takes nothing")) };
    match word {
        "step" | "s" => step(StepGranularity::Into),
        "next" | "n" => step(StepGranularity::Over),
        "out" | "o" => step(StepGranularity::Out),
        "continue" | "c" => bare(Command::Continue),
        "pause" | "p" => bare(Command::Pause),
        "print" | "pr" => Ok(Command::Print(only_seq(rest)?)),
        "list" | "l" if rest.is_empty() => Ok(Command::List(LISTED)),
        "list" | "l" => rest.parse().map(Command::List).map_err(|_| "list takes a number of events".into()),
        "held" => bare(Command::Held),
        "tree" | "t" => bare(Command::Tree),
        "status" => bare(Command::Status),
        "runs" => bare(Command::Runs),
        "proceed" => release(only_seq(rest)?, Action::Proceed(proto::Proceed {})),
        "edit" => edit(rest),
        "fulfil" | "fulfill" => fulfil(rest),
        "fail" => match named_seq(rest)? {
            (_, "") => Err("fail takes a message".into()),
            (seq, message) => release(seq, Action::Fail(proto::Fail { message: message.into(), payload: None })),
        },
        "abort" => {
            let (seq, reason) = named_seq(rest)?;
            release(seq, Action::Abort(proto::Abort { reason: reason.into() }))
        }
        "break" | "b" => breakpoint(rest).map(Command::Break),
        "wait" => wait(rest),
        "clear" => bare(Command::Clear),
        "help" | "h" | "?" => Ok(Command::Help),
        "quit" | "q" | "exit" => bare(Command::Quit),
        other => Err(format!("no command is named {other}; try help")),
    }
}

fn release(seq: Option<u64>, action: Action) -> Result<Command, String> {
    Ok(Command::Release { seq, action })
}

fn edit(rest: &str) -> Result<Command, String> {
    let (seq, mut rest) = any_seq(rest)?;
    let mut edit = proto::Edit::default();
    while !rest.is_empty() {
        if rest.starts_with('{') && edit.payload.is_none() {
            let (json, after) = object(rest)?;
            edit.payload = Some(proto::edit::Payload::DataJson(json));
            rest = after;
        } else if let ("--model", after) = split_word(rest) {
            let (model, after) = split_word(after);
            edit.model = model.into();
            rest = after;
        } else {
            return Err("edit takes [SEQ] {JSON} [--model M]".into());
        }
    }
    if edit.payload.is_none() && edit.model.is_empty() {
        return Err("edit takes {JSON}, or --model M, or both".into());
    }
    release(seq, Action::Edit(edit))
}

fn fulfil(rest: &str) -> Result<Command, String> {
    let (seq, rest) = any_seq(rest)?;
    if rest.is_empty() {
        return Err("fulfil takes the result as {JSON}".into());
    }
    match object(rest)? {
        (json, "") => {
            release(seq, Action::Fulfil(proto::Fulfil { payload: Some(proto::fulfil::Payload::DataJson(json)) }))
        }
        (_, after) => Err(format!("what is {after}, after the JSON?")),
    }
}

fn wait(rest: &str) -> Result<Command, String> {
    let (what, rest) = match split_word(rest) {
        ("end", rest) => (Awaited::RunEnd, rest),
        ("held", rest) => (Awaited::Hold, rest),
        _ => (Awaited::Hold, rest),
    };
    let at_most = match rest {
        "" => None,
        time => Some(humantime::parse_duration(time).map_err(|_| "wait takes [end] [TIME], like wait end 10s")?),
    };
    Ok(Command::Wait { what, at_most })
}

fn breakpoint(rest: &str) -> Result<Break, String> {
    let (word, after) = split_word(rest);
    let ids = || match after {
        "" => Err(format!("break {word} takes ids, like b1")),
        ids => Ok(ids.split_whitespace().map(str::to_owned).collect()),
    };
    match word {
        "" => Ok(Break::List),
        "list" if after.is_empty() => Ok(Break::List),
        "enable" => Ok(Break::Enable(ids()?, true)),
        "disable" => Ok(Break::Enable(ids()?, false)),
        "delete" => Ok(Break::Delete(ids()?)),
        "test" if spec::is_id(after) => Ok(Break::TestKnown(after.into())),
        "test" => spec::parse(after).map(Break::Test),
        _ => spec::parse(rest).map(Break::Make),
    }
}

/// The first word, and what comes after it, without the space around.
pub(super) fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// The first JSON object of a text, character for character, and what comes after it.
fn object(text: &str) -> Result<(String, &str), String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    match values.next() {
        Some(Ok(value)) if value.get().starts_with('{') => {
            Ok((value.get().to_owned(), text[values.byte_offset()..].trim()))
        }
        Some(Err(error)) if text.starts_with('{') => Err(format!("the JSON is not valid at column {}", error.column())),
        _ => Err("the data must be a JSON object, like {\"x\": 1}".into()),
    }
}

fn seq(word: &str) -> Option<Option<u64>> {
    match word {
        "-" => Some(None),
        word => word.strip_prefix('#').unwrap_or(word).parse().ok().map(Some),
    }
}

fn only_seq(rest: &str) -> Result<Option<u64>, String> {
    match rest {
        "" => Ok(None),
        word => seq(word).ok_or_else(|| format!("{word} is no event's number")),
    }
}

/// A number before something that cannot be mistaken for one.
fn any_seq(rest: &str) -> Result<(Option<u64>, &str), String> {
    let (word, after) = split_word(rest);
    if word.is_empty() || word.starts_with("--") || word.starts_with('{') {
        return Ok((None, rest));
    }
    seq(word).map(|seq| (seq, after)).ok_or_else(|| format!("{word} is no event's number and no {{JSON}}"))
}

/// A number before free text.
fn named_seq(rest: &str) -> Result<(Option<u64>, &str), String> {
    let (word, after) = split_word(rest);
    if word == "-" || word.starts_with('#') {
        seq(word).map(|seq| (seq, after)).ok_or_else(|| format!("{word} is no event's number"))
    } else {
        Ok((None, rest))
    }
}

#[cfg(test)]
mod tests;
