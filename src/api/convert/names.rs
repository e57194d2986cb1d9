//! The contract's enums, and other leaves of messages, from the domain.

use crate::{
    event::{self, Seq},
    proto,
    session::Mode,
};

pub(crate) fn seqs(seqs: Vec<Seq>) -> Vec<u64> {
    seqs.into_iter().map(|seq| seq.0).collect()
}

pub(super) fn run_mode(mode: Option<&Mode>) -> proto::RunMode {
    match mode {
        None => proto::RunMode::Detached,
        Some(Mode::Running) => proto::RunMode::Running,
        Some(Mode::Paused(_)) => proto::RunMode::Paused,
        Some(Mode::Stepping(_)) => proto::RunMode::Stepping,
    }
}

pub(super) fn verb(verb: event::Verb) -> proto::Verb {
    match verb {
        event::Verb::Edit => proto::Verb::Edit,
        event::Verb::Fulfil => proto::Verb::Fulfil,
        event::Verb::Fail => proto::Verb::Fail,
        event::Verb::Abort => proto::Verb::Abort,
    }
}

pub(super) fn event_type(kind: event::EventType) -> proto::EventType {
    match kind {
        event::EventType::Prompt => proto::EventType::Prompt,
        event::EventType::Response => proto::EventType::Response,
        event::EventType::ToolCall => proto::EventType::ToolCall,
        event::EventType::ToolResult => proto::EventType::ToolResult,
        event::EventType::Error => proto::EventType::Error,
        event::EventType::Log => proto::EventType::Log,
    }
}

pub(super) fn effect(effect: event::Effect) -> proto::Effect {
    match effect {
        event::Effect::Unknown => proto::Effect::Unspecified,
        event::Effect::Pure => proto::Effect::Pure,
        event::Effect::Read => proto::Effect::Read,
        event::Effect::Idempotent => proto::Effect::Idempotent,
        event::Effect::Mutating => proto::Effect::Mutating,
    }
}

pub(super) fn outcome(outcome: event::Outcome) -> proto::Outcome {
    match outcome {
        event::Outcome::NotHeld => proto::Outcome::NotHeld,
        event::Outcome::Stepped => proto::Outcome::Stepped,
        event::Outcome::Continued => proto::Outcome::Continued,
        event::Outcome::Released => proto::Outcome::Released,
        event::Outcome::Cleared => proto::Outcome::Cleared,
        event::Outcome::Detached => proto::Outcome::Detached,
        event::Outcome::TimedOut => proto::Outcome::TimedOut,
        event::Outcome::StillHeld => proto::Outcome::StillHeld,
        event::Outcome::Shutdown => proto::Outcome::Shutdown,
        event::Outcome::Abandoned => proto::Outcome::Abandoned,
    }
}

pub(super) fn string(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}
