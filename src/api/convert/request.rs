//! Requests: from the wire into the domain. Every error names the field.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::Struct;

use super::{
    from_span, from_timestamp,
    payload::{Checked, from_json, from_struct},
};
use crate::{
    agent::subscription::Subscribe,
    content::{
        payload::{Encoding, Payload},
        scan::Hints,
    },
    error::Error,
    event::{
        Accepts, AgentId, Decision, Details, Effect, EventType, MAX_STEP_DAYS, Report, RunId, Seq, SmallStr, Verb,
        check_id, days_beyond,
    },
    masking::Visibility,
    proto::{self, release_request::Action, trace_request},
    session::{Role, control::Granularity},
    store::token::ResumeToken,
};

/// A page of at most this many; and what 0 means.
const MAX_PAGE_SIZE: usize = 1_000;
const DEFAULT_PAGE_SIZE: usize = 100;

/// A Trace, parsed.
pub(crate) struct TraceCall {
    pub(crate) agent: AgentId,
    pub(crate) report: Report,
    pub(crate) hold_timeout: Option<Duration>,
}

pub(crate) fn agent_id(text: &str) -> Result<AgentId, Error> {
    AgentId::parse(text).map_err(|problem| Error::invalid("agent_id", problem))
}

pub(crate) fn run_id(text: Option<&str>) -> Result<Option<RunId>, Error> {
    text.map(|text| RunId::parse(text).map_err(|problem| Error::invalid("run_id", problem))).transpose()
}

pub(crate) fn trace(request: proto::TraceRequest, checked: Checked) -> Result<TraceCall, Error> {
    let agent = agent_id(&request.agent_id)?;
    let kind = event_type("type", request.r#type)?;
    let (data, mut hints) = match &request.payload {
        None => (Payload { json: "{}".into(), encoding: Encoding::Json }, Hints::default()),
        Some(trace_request::Payload::DataJson(text)) => from_json("data", text, checked)?,
        Some(trace_request::Payload::Data(data)) => from_struct("data", data)?,
    };
    let metadata = match &request.metadata_form {
        None => None,
        Some(trace_request::MetadataForm::MetadataJson(text)) => Some(from_json("metadata", text, checked)?.0),
        Some(trace_request::MetadataForm::Metadata(data)) => Some(from_struct("metadata", data)?.0),
    };
    if metadata
        .as_ref()
        .is_some_and(|metadata| metadata.json.len() + data.json.len() > crate::content::payload::MAX_PAYLOAD_BYTES)
    {
        return Err(Error::invalid("metadata", "and data together must be at most 3.5 MiB of JSON"));
    }
    let name = label("name", Some(request.name), || hints.any_name())?;
    let details = Details {
        end: time("end_time", request.end_time)?,
        duration: span("duration", request.duration)?,
        token_count: request.token_count,
        input_tokens: request.input_tokens,
        output_tokens: request.output_tokens,
        model: text("model", request.model)?,
        latency: span("latency", request.latency)?,
        replay_checkpoint: request.replay_checkpoint,
        checkpoint_id: text("checkpoint_id", request.checkpoint_id)?,
        metadata,
        match_key: text("match_key", request.match_key)?,
        warnings: Default::default(),
    };
    plausible(["start_time", "end_time"], [time("start_time", request.start_time)?, details.end])?;
    let report = Report {
        run_id: RunId::parse(&request.run_id).map_err(|problem| Error::invalid("run_id", problem))?,
        kind,
        data,
        node_id: label("node_id", Some(request.node_id), || hints.node_id.take())?,
        parent_id: label("parent_id", Some(request.parent_id), || hints.parent_id.take())?,
        name,
        start: time("start_time", request.start_time)?,
        details: (details != Details::default()).then(|| Box::new(details)),
        effect: effect(request.effect)?,
        accepts: accepts(&request.accepts)?,
        may_hold: may_hold(request.hold)?,
        request_id: label("request_id", Some(request.request_id), || None)?,
        run_end: request.run_end,
    };
    let hold_timeout = match span("hold_timeout", request.hold_timeout)? {
        None => None,
        Some(span) => match u64::try_from(span.0) {
            Ok(nanos) => Some(Duration::from_nanos(nanos)),
            Err(_) => return Err(Error::invalid("hold_timeout", "must not be negative")),
        },
    };
    Ok(TraceCall { agent, report, hold_timeout })
}

/// The form in which a payload comes, and is answered.
pub(crate) fn encoding(payload: &trace_request::Payload) -> Encoding {
    match payload {
        trace_request::Payload::Data(_) => Encoding::Struct,
        trace_request::Payload::DataJson(_) => Encoding::Json,
    }
}

/// What a release tells the agent. A decision that is absent is refused: nobody proceeds by mistake.
pub(crate) fn decision(action: Option<Action>) -> Result<Decision, Error> {
    use proto::{edit, fail, fulfil};
    match action {
        None => Err(Error::invalid("action", "must be one of proceed, edit, fulfil, fail, abort")),
        Some(Action::Proceed(_)) => Ok(Decision::Proceed),
        Some(Action::Edit(edit)) => {
            let data = match edit.payload {
                None => None,
                Some(edit::Payload::Data(data)) => Some(Data::Struct(data)),
                Some(edit::Payload::DataJson(text)) => Some(Data::Json(text)),
            };
            let (data, model) = (payload(data)?, text("model", edit.model)?);
            if data.is_none() && model.is_none() {
                Err(Error::invalid("data", "or model must be given with edit"))
            } else {
                Ok(Decision::Edit { data, model })
            }
        }
        Some(Action::Fulfil(fulfil)) => {
            let data = match fulfil.payload {
                None => return Err(Error::invalid("data", "must be given with fulfil")),
                Some(fulfil::Payload::Data(data)) => Data::Struct(data),
                Some(fulfil::Payload::DataJson(text)) => Data::Json(text),
            };
            Ok(Decision::Fulfil { data: payload(Some(data))? })
        }
        Some(Action::Fail(fail)) => {
            let data = match fail.payload {
                None => None,
                Some(fail::Payload::Data(data)) => Some(Data::Struct(data)),
                Some(fail::Payload::DataJson(text)) => Some(Data::Json(text)),
            };
            Ok(Decision::Fail { message: message("message", fail.message)?, data: payload(data)? })
        }
        Some(Action::Abort(abort)) => Ok(Decision::Abort { reason: message("reason", abort.reason)? }),
    }
}

pub(super) enum Data {
    Struct(Struct),
    Json(String),
}

pub(super) fn payload(data: Option<Data>) -> Result<Option<Payload>, Error> {
    Ok(match data {
        None => None,
        Some(Data::Struct(data)) => Some(from_struct("data", &data)?.0),
        Some(Data::Json(text)) => Some(from_json("data", &text, Checked::No)?.0),
    })
}

pub(crate) fn seq(number: u64) -> Result<Seq, Error> {
    match number {
        0 => Err(Error::invalid("seq", "must be at least 1")),
        number => Ok(Seq(number)),
    }
}

pub(crate) fn granularity(number: i32) -> Result<Granularity, Error> {
    use proto::StepGranularity as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Unspecified | Wire::Into) => Ok(Granularity::Into),
        Ok(Wire::Over) => Ok(Granularity::Over),
        Ok(Wire::Out) => Ok(Granularity::Out),
        Err(_) => Err(Error::invalid("granularity", "must be into, over or out")),
    }
}

pub(crate) fn subscribe(request: &proto::EventsRequest) -> Result<Subscribe, Error> {
    let role = match proto::Mode::try_from(request.mode) {
        Ok(proto::Mode::Unspecified | proto::Mode::Debug) => Role::Debugger,
        Ok(proto::Mode::Observe) => Role::Observer,
        Err(_) => return Err(Error::invalid("mode", "must be debug or observe")),
    };
    let resume = match request.resume_token.as_str() {
        "" => None,
        token => Some(token.parse::<ResumeToken>().map_err(|problem| Error::invalid("resume_token", problem))?),
    };
    Ok(Subscribe {
        role,
        run: run_id(request.run_id.as_deref())?,
        visibility: Visibility::Whole,
        resume,
        pause_on_attach: request.pause_on_attach.unwrap_or(true),
    })
}

pub(crate) fn page_size(size: i32) -> Result<usize, Error> {
    match usize::try_from(size) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size) => Ok(size.min(MAX_PAGE_SIZE)),
        Err(_) => Err(Error::invalid("page_size", "must not be negative")),
    }
}

pub(crate) fn page_token(token: &str) -> Result<Option<ResumeToken>, Error> {
    match token {
        "" => Ok(None),
        token => token.parse().map(Some).map_err(|_| Error::invalid("page_token", "must be a next_page_token")),
    }
}

pub(super) fn event_type(field: &'static str, number: i32) -> Result<EventType, Error> {
    use proto::EventType as Wire;
    Ok(match Wire::try_from(number) {
        Ok(Wire::Prompt) => EventType::Prompt,
        Ok(Wire::Response) => EventType::Response,
        Ok(Wire::ToolCall) => EventType::ToolCall,
        Ok(Wire::ToolResult) => EventType::ToolResult,
        Ok(Wire::Error) => EventType::Error,
        Ok(Wire::Log) => EventType::Log,
        Ok(Wire::Unspecified) | Err(_) => {
            return Err(Error::invalid(field, "must be prompt, response, tool_call, tool_result, error or log"));
        }
    })
}

fn effect(number: i32) -> Result<Effect, Error> {
    use proto::Effect as Wire;
    Ok(match Wire::try_from(number) {
        Ok(Wire::Unspecified) => Effect::Unknown,
        Ok(Wire::Pure) => Effect::Pure,
        Ok(Wire::Read) => Effect::Read,
        Ok(Wire::Idempotent) => Effect::Idempotent,
        Ok(Wire::Mutating) => Effect::Mutating,
        Err(_) => return Err(Error::invalid("effect", "must be pure, read, idempotent or mutating")),
    })
}

fn accepts(numbers: &[i32]) -> Result<Accepts, Error> {
    use proto::Verb as Wire;
    let mut accepts = Accepts::default();
    for number in numbers {
        accepts.insert(match Wire::try_from(*number) {
            Ok(Wire::Edit) => Verb::Edit,
            Ok(Wire::Fulfil) => Verb::Fulfil,
            Ok(Wire::Fail) => Verb::Fail,
            Ok(Wire::Abort) => Verb::Abort,
            Ok(Wire::Unspecified) | Err(_) => {
                return Err(Error::invalid("accepts", "must list edit, fulfil, fail or abort"));
            }
        });
    }
    Ok(accepts)
}

fn may_hold(number: i32) -> Result<bool, Error> {
    use proto::HoldPolicy as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Unspecified | Wire::Auto) => Ok(true),
        Ok(Wire::Never) => Ok(false),
        Err(_) => Err(Error::invalid("hold", "must be auto or never")),
    }
}

fn time(field: &'static str, time: Option<prost_types::Timestamp>) -> Result<Option<crate::event::Timestamp>, Error> {
    let parse = |time| from_timestamp(&time).ok_or_else(|| Error::invalid(field, "must lie between 1677 and 2262"));
    time.map(parse).transpose()
}

/// Refuses times that cannot be meant: a step that lasts for years, or that is still years ahead.
pub(crate) fn plausible(fields: [&'static str; 2], times: [Option<crate::event::Timestamp>; 2]) -> Result<(), Error> {
    if times.iter().all(Option::is_none) {
        return Ok(());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = crate::event::Timestamp(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
    for (field, time) in fields.into_iter().zip(times) {
        if let Some(days) = time.and_then(|time| days_beyond(now, time)) {
            let problem = format!("is {days} days ahead of this server's clock: at most {MAX_STEP_DAYS} are expected");
            return Err(Error::invalid(field, problem));
        }
    }
    if let [Some(start), Some(end)] = times
        && let Some(days) = days_beyond(start, end)
    {
        let problem = format!("is {days} days after {}: at most {MAX_STEP_DAYS} are expected", fields[0]);
        return Err(Error::invalid(fields[1], problem));
    }
    Ok(())
}

fn span(field: &'static str, span: Option<prost_types::Duration>) -> Result<Option<crate::event::Span>, Error> {
    let parse = |span| from_span(&span).ok_or_else(|| Error::invalid(field, "must be at most 292 years"));
    span.map(parse).transpose()
}

/// A short text; empty means absent.
fn text(field: &'static str, text: String) -> Result<Option<Box<str>>, Error> {
    check_id(&text).map_err(|problem| Error::invalid(field, problem))?;
    Ok((!text.is_empty()).then(|| text.into()))
}

pub(super) fn model(name: String) -> Result<Option<Box<str>>, Error> {
    text("model", name)
}

/// A short text that many share, from its field or else from a hint. A hint that is no label is data and no error.
fn label(
    field: &'static str,
    given: Option<String>,
    hint: impl FnOnce() -> Option<String>,
) -> Result<Option<SmallStr>, Error> {
    match given.filter(|text| !text.is_empty()) {
        Some(text) => check_id(&text).map(|()| Some(text.into())).map_err(|problem| Error::invalid(field, problem)),
        None => Ok(hint().filter(|text| !text.is_empty() && check_id(text).is_ok()).map(Into::into)),
    }
}

/// The longest message or reason, in bytes.
const MAX_MESSAGE_BYTES: usize = 4_096;

fn message(field: &'static str, text: String) -> Result<Box<str>, Error> {
    match text.len() {
        ..=MAX_MESSAGE_BYTES => Ok(text.into()),
        _ => Err(Error::invalid(field, format!("must be at most {MAX_MESSAGE_BYTES} bytes"))),
    }
}
