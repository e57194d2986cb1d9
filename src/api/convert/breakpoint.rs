//! Breakpoints on the wire: checked and compiled on the way in.

use std::time::Duration;

use super::{names, request, to_duration};
use crate::{
    debugger::breakpoints::Tested,
    error::Error,
    event::check_id,
    masking::Visibility,
    proto,
    session::{
        breakpoint::{Breakpoint, Spec, label},
        condition::{Condition, template::Template},
    },
};

/// The number in "b7".
pub(crate) fn id(text: &str) -> Result<u64, Error> {
    let number = text.strip_prefix('b').and_then(|number| number.parse().ok());
    number.ok_or_else(|| Error::invalid("id", "must be that of a breakpoint, like b1"))
}

/// Checks and compiles a breakpoint.
pub(crate) fn spec(breakpoint: Option<proto::Breakpoint>) -> Result<Spec, Error> {
    let wire = breakpoint.ok_or_else(|| Error::invalid("breakpoint", "must be given"))?;
    let compiled = |field, source: &str, compile: fn(&str) -> Result<Condition, String>| match source.trim() {
        "" => Ok(None),
        _ => compile(source).map(Some).map_err(|problem| Error::invalid(field, problem)),
    };
    let timeout = match wire.timeout {
        None => None,
        Some(timeout) => {
            Some(Duration::try_from(timeout).map_err(|_| Error::invalid("timeout", "must not be negative"))?)
        }
    };
    let gate = match proto::Unattended::try_from(wire.unattended) {
        Ok(proto::Unattended::Unspecified | proto::Unattended::Skip) => false,
        Ok(proto::Unattended::Hold) => true,
        Err(_) => return Err(Error::invalid("unattended", "must be skip or hold")),
    };
    let proceeds = match proto::OnTimeout::try_from(wire.on_timeout) {
        Ok(proto::OnTimeout::Unspecified | proto::OnTimeout::Fail) => false,
        Ok(proto::OnTimeout::Proceed) => true,
        Err(_) => return Err(Error::invalid("on_timeout", "must be fail or proceed")),
    };
    if proceeds && timeout.is_none() {
        return Err(Error::invalid("on_timeout", "proceed wants a timeout"));
    }
    Ok(Spec {
        types: wire.types.iter().map(|kind| request::event_type("types", *kind)).collect::<Result<_, _>>()?,
        name: name(&wire.name)?,
        run: request::run_id(wire.run_id.as_deref())?,
        condition: compiled("condition", &wire.condition, Condition::compile)?,
        hit_condition: compiled("hit_condition", &wire.hit_condition, Condition::over_hits)?,
        log: match wire.log_message.as_str() {
            "" => None,
            text => Some(Template::compile(text).map_err(|problem| Error::invalid("log_message", problem))?),
        },
        once: wire.once,
        enabled: wire.enabled.unwrap_or(true),
        all_stop: wire.all_stop,
        gate,
        timeout,
        proceeds,
    })
}

fn name(glob: &str) -> Result<Option<glob::Pattern>, Error> {
    check_id(glob).map_err(|problem| Error::invalid("name", problem))?;
    match glob {
        "" => Ok(None),
        glob => glob::Pattern::new(glob)
            .map(Some)
            .map_err(|error| Error::invalid("name", format!("is no glob: {} at {}", error.msg, error.pos))),
    }
}

/// The spec of a breakpoint with the named fields taken from `change`; all of them where none is named.
pub(crate) fn merged(now: &Breakpoint, change: proto::Breakpoint, fields: &[String]) -> Result<Spec, Error> {
    if fields.is_empty() {
        return spec(Some(change));
    }
    let mut merged = breakpoint(now, Visibility::Whole);
    for field in fields {
        match field.as_str() {
            "types" => merged.types.clone_from(&change.types),
            "name" => merged.name.clone_from(&change.name),
            "run_id" => merged.run_id.clone_from(&change.run_id),
            "condition" => merged.condition.clone_from(&change.condition),
            "hit_condition" => merged.hit_condition.clone_from(&change.hit_condition),
            "log_message" => merged.log_message.clone_from(&change.log_message),
            "once" => merged.once = change.once,
            "enabled" => merged.enabled = change.enabled,
            "all_stop" => merged.all_stop = change.all_stop,
            "unattended" => merged.unattended = change.unattended,
            "timeout" => merged.timeout = change.timeout,
            "on_timeout" => merged.on_timeout = change.on_timeout,
            _ => return Err(Error::invalid("update_mask", format!("names `{field}`, which cannot be changed"))),
        }
    }
    spec(Some(merged))
}

/// A breakpoint as it is now.
pub(crate) fn breakpoint(breakpoint: &Breakpoint, visibility: Visibility) -> proto::Breakpoint {
    let spec = &breakpoint.spec;
    let source = |condition: &Option<Condition>| {
        condition.as_ref().map_or_else(String::new, |condition| visibility.expression(&condition.source).into_owned())
    };
    proto::Breakpoint {
        id: label(breakpoint.id),
        types: spec.types.iter().map(|kind| names::event_type(*kind).into()).collect(),
        name: spec.name.as_ref().map_or_else(String::new, |glob| visibility.text(glob.as_str()).into_owned()),
        run_id: spec.run.as_ref().map(|run| visibility.id(run.as_str()).into_owned()),
        condition: source(&spec.condition),
        hit_condition: source(&spec.hit_condition),
        log_message: match &spec.log {
            None => String::new(),
            Some(log) if visibility == Visibility::Whole => log.source.to_string(),
            Some(log) => log.rewritten(|text| visibility.text(text), |expression| visibility.expression(expression)),
        },
        once: spec.once,
        enabled: Some(breakpoint.enabled),
        all_stop: spec.all_stop,
        unattended: if spec.gate { proto::Unattended::Hold } else { proto::Unattended::Skip }.into(),
        timeout: spec.timeout.map(to_duration),
        on_timeout: if spec.proceeds { proto::OnTimeout::Proceed } else { proto::OnTimeout::Fail }.into(),
        hits: breakpoint.hits,
        problem: visibility.text(breakpoint.problem.as_deref().unwrap_or_default()).into_owned(),
    }
}

pub(crate) fn tested(tested: Tested) -> proto::TestBreakpointResponse {
    proto::TestBreakpointResponse {
        matched: tested.matched,
        examined: tested.examined,
        seqs: names::seqs(tested.seqs),
        unjudged: tested.unjudged,
        problem: tested.problem.unwrap_or_default(),
    }
}
