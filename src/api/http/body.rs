//! The JSON bodies of requests, and how they are read: every error names the field.

use std::borrow::Cow;

use axum::{
    BoxError,
    body::{Bytes, HttpBody},
    extract::{FromRequest, Request},
};
use http::StatusCode;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{error::Category, value::RawValue};
use tonic::{Code, Status};
use utoipa::ToSchema;

use super::{MAX_BODY_BYTES, error::Failure, unknown};
use crate::{
    api::convert::{duration_from_ms, from_timestamp, request::plausible, timestamp_from_seconds},
    event::Warnings,
    proto::{self, name::Named, trace_request},
};

/// One step to record. Only `type` is required; `null` means absent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trace<'a> {
    /// `prompt`, `response`, `tool_call`, `tool_result`, `error` or `log`.
    #[serde(borrow)]
    #[schema(value_type = String)]
    r#type: Option<Text<'a>>,
    /// The step itself; given back digit for digit. At most 3.5 MiB and 64 levels deep.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    data: Option<&'a RawValue>,
    /// One execution of the agent; the default run where absent.
    run_id: Option<String>,
    /// Else `data.node_id`.
    node_id: Option<String>,
    /// Else `data.parent_id`.
    parent_id: Option<String>,
    /// Else `data.name`, `data.tool` or `data.function`.
    name: Option<String>,
    /// Unix seconds.
    start_ts: Option<f64>,
    /// Unix seconds.
    end_ts: Option<f64>,
    duration_ms: Option<f64>,
    token_count: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    model: Option<String>,
    latency_ms: Option<f64>,
    replay_checkpoint: Option<bool>,
    checkpoint_id: Option<String>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<&'a RawValue>,
    /// `pure`, `read`, `idempotent` or `mutating`.
    effect: Option<String>,
    match_key: Option<String>,
    /// The decisions that this agent obeys: `edit`, `fulfil`, `fail`, `abort`.
    accepts: Option<Vec<String>>,
    /// `auto` or `never`.
    hold: Option<String>,
    /// The longest time to be held.
    hold_timeout_ms: Option<f64>,
    /// A request repeated with the same id re-attaches to the same event.
    request_id: Option<String>,
    /// This is the run's last event.
    run_end: Option<bool>,
}

/// A text that is not copied, unless something in it is escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Trace<'_> {
    /// The request that this body means.
    pub(crate) fn into_request(self, agent_id: String) -> Result<proto::TraceRequest, Failure> {
        let kind = self.r#type.as_ref().map_or("unknown", |kind| &kind.0);
        let Some(kind) = proto::EventType::from_json_name(kind) else {
            return Err(Failure::new(
                StatusCode::BAD_REQUEST,
                "UNKNOWN_EVENT_TYPE",
                format!("Unknown event type: {kind}"),
            ));
        };
        let accepts = self.accepts.unwrap_or_default();
        let accepts = accepts
            .iter()
            .map(|verb| named::<proto::Verb>("accepts", Some(verb), "must list edit, fulfil, fail or abort"));
        let text = |text: Option<String>| text.unwrap_or_default();
        let (start, end) = (time("start_ts", self.start_ts)?, time("end_ts", self.end_ts)?);
        let times = [&start, &end].map(|time| time.as_ref().and_then(from_timestamp));
        plausible(["start_ts", "end_ts"], times).map_err(|problem| Failure::invalid(problem.to_string()))?;
        Ok(proto::TraceRequest {
            agent_id,
            run_id: text(self.run_id),
            r#type: kind.into(),
            payload: object("data", self.data)?.map(trace_request::Payload::DataJson),
            node_id: text(self.node_id),
            parent_id: text(self.parent_id),
            name: text(self.name),
            start_time: start,
            end_time: end,
            duration: span("duration_ms", self.duration_ms)?,
            token_count: self.token_count,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            model: text(self.model),
            latency: span("latency_ms", self.latency_ms)?,
            replay_checkpoint: self.replay_checkpoint,
            checkpoint_id: text(self.checkpoint_id),
            metadata_form: object("metadata", self.metadata)?.map(trace_request::MetadataForm::MetadataJson),
            effect: named::<proto::Effect>(
                "effect",
                self.effect.as_deref(),
                "must be pure, read, idempotent or mutating",
            )?,
            match_key: text(self.match_key),
            accepts: accepts.collect::<Result<_, _>>()?,
            hold: named::<proto::HoldPolicy>("hold", self.hold.as_deref(), "must be auto or never")?,
            hold_timeout: match self.hold_timeout_ms {
                Some(ms) if ms < 0.0 => return Err(Failure::invalid("hold_timeout_ms must not be negative")),
                ms => span("hold_timeout_ms", ms)?,
            },
            request_id: text(self.request_id),
            run_end: self.run_end.unwrap_or_default(),
        })
    }
}

/// What to step. An empty body means the oldest held step of all runs.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Only this run; absent = all runs, "" = the default run.
    run_id: Option<String>,
    /// Exactly this held event.
    seq: Option<u64>,
    /// `into` (the default), `over` or `out` of the node stepped from.
    granularity: Option<String>,
}

impl Step {
    /// The request that this body means.
    pub(crate) fn into_request(self, agent_id: String) -> Result<proto::StepRequest, Failure> {
        let granularity = self.granularity.as_deref();
        let granularity = named::<proto::StepGranularity>("granularity", granularity, "must be into, over or out")?;
        Ok(proto::StepRequest { agent_id, run_id: self.run_id, seq: self.seq, granularity })
    }
}

/// What to continue or pause. An empty body means all runs.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    /// Only this run; absent = all runs, "" = the default run.
    pub(crate) run_id: Option<String>,
}

/// A breakpoint to make, to try, or what to change of one.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Breakpoint {
    /// Output only; taken so that what was read can be sent back.
    #[allow(dead_code, reason = "read and put aside")]
    id: Option<String>,
    #[allow(dead_code, reason = "read and put aside")]
    hits: Option<u64>,
    #[allow(dead_code, reason = "read and put aside")]
    problem: Option<String>,
    /// Only events of these types; none = all.
    types: Option<Vec<String>>,
    /// Only events whose name matches this glob.
    name: Option<String>,
    /// Only this run; `null` = all runs.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    run_id: Option<Option<String>>,
    /// CEL over `event`, `node`, `run` and `repeats`.
    condition: Option<String>,
    /// CEL over `hits`.
    hit_condition: Option<String>,
    /// Text with `{CEL}` in it: then it logs and never stops.
    log_message: Option<String>,
    once: Option<bool>,
    enabled: Option<bool>,
    all_stop: Option<bool>,
    /// `skip` or `hold`.
    unattended: Option<String>,
    /// How long a gate holds; `null` = as long as it takes.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>)]
    timeout_ms: Option<Option<f64>>,
    /// `fail` or `proceed`.
    on_timeout: Option<String>,
}

/// Tells `null` from absent.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Breakpoint {
    /// The breakpoint that this body means, and the fields that it names.
    pub(crate) fn into_parts(self) -> Result<(proto::Breakpoint, Vec<String>), Failure> {
        let fields = [
            ("types", self.types.is_some()),
            ("name", self.name.is_some()),
            ("run_id", self.run_id.is_some()),
            ("condition", self.condition.is_some()),
            ("hit_condition", self.hit_condition.is_some()),
            ("log_message", self.log_message.is_some()),
            ("once", self.once.is_some()),
            ("enabled", self.enabled.is_some()),
            ("all_stop", self.all_stop.is_some()),
            ("unattended", self.unattended.is_some()),
            ("timeout", self.timeout_ms.is_some()),
            ("on_timeout", self.on_timeout.is_some()),
        ];
        let fields = fields.into_iter().filter(|(_, named)| *named).map(|(field, _)| field.to_owned()).collect();
        let types = self.types.unwrap_or_default();
        let types =
            types.iter().map(|kind| named::<proto::EventType>("types", Some(kind), "must list types of events"));
        let timeout = self.timeout_ms.flatten();
        if timeout.is_some_and(|ms| ms < 0.0) {
            return Err(Failure::invalid("timeout_ms must not be negative"));
        }
        let breakpoint = proto::Breakpoint {
            types: types.collect::<Result<_, _>>()?,
            name: self.name.unwrap_or_default(),
            run_id: self.run_id.flatten(),
            condition: self.condition.unwrap_or_default(),
            hit_condition: self.hit_condition.unwrap_or_default(),
            log_message: self.log_message.unwrap_or_default(),
            once: self.once.unwrap_or_default(),
            enabled: self.enabled,
            all_stop: self.all_stop.unwrap_or_default(),
            unattended: named::<proto::Unattended>("unattended", self.unattended.as_deref(), "must be skip or hold")?,
            timeout: span("timeout_ms", timeout)?,
            on_timeout: named::<proto::OnTimeout>("on_timeout", self.on_timeout.as_deref(), "must be fail or proceed")?,
            ..Default::default()
        };
        Ok((breakpoint, fields))
    }
}

/// Which held step to release, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release<'a> {
    seq: Option<u64>,
    /// `proceed`, `edit`, `fulfil`, `fail` or `abort`.
    #[schema(value_type = String)]
    action: Option<String>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    data: Option<&'a RawValue>,
    model: Option<String>,
    message: Option<String>,
    reason: Option<String>,
}

impl Release<'_> {
    /// The request that this body means.
    pub(crate) fn into_request(self, agent_id: String) -> Result<proto::ReleaseRequest, Failure> {
        use proto::{edit, fail, fulfil, release_request::Action};
        let data = object("data", self.data)?;
        let text = |text: Option<String>| text.unwrap_or_default();
        let action = match self.action.as_deref() {
            Some("proceed") => Action::Proceed(proto::Proceed {}),
            Some("edit") => {
                Action::Edit(proto::Edit { payload: data.map(edit::Payload::DataJson), model: text(self.model) })
            }
            Some("fulfil") => Action::Fulfil(proto::Fulfil { payload: data.map(fulfil::Payload::DataJson) }),
            Some("fail") => {
                Action::Fail(proto::Fail { message: text(self.message), payload: data.map(fail::Payload::DataJson) })
            }
            Some("abort") => Action::Abort(proto::Abort { reason: text(self.reason) }),
            _ => return Err(Failure::invalid("action must be proceed, edit, fulfil, fail or abort")),
        };
        let seq = self.seq.ok_or_else(|| Failure::invalid("seq must be given"))?;
        Ok(proto::ReleaseRequest { agent_id, seq, action: Some(action) })
    }
}

/// What to fork, where, and what is to be different.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fork<'a> {
    /// The run to fork; absent = that of the event.
    run_id: Option<String>,
    /// The fork point, an event of that run.
    seq: Option<u64>,
    /// The fork point's new data; absent = as it was recorded.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    data: Option<&'a RawValue>,
    /// The model that the fork point, if it is a prompt, and every later prompt are to ask.
    model: Option<String>,
    effects: Option<Effects>,
    /// `hold` (the default), `fail` or `live`: what becomes of a step that the record does not have.
    on_divergence: Option<String>,
    /// JSON paths into `data` that do not count when steps are matched; and `model`, for the model.
    ignore: Option<Vec<String>>,
}

/// What becomes of live tool calls, by effect: `run`, `ask` or `block`.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Effects {
    /// Default `run`.
    pure: Option<String>,
    /// Default `run`.
    read: Option<String>,
    /// Default `ask`.
    idempotent: Option<String>,
    /// Default `ask`.
    mutating: Option<String>,
    /// Default `ask`.
    unknown: Option<String>,
}

impl Fork<'_> {
    /// The request that this body means.
    pub(crate) fn into_request(self, agent_id: String) -> Result<proto::ForkRequest, Failure> {
        let effects = self.effects.unwrap_or_default();
        let policy = |field: &str, name: Option<String>| {
            named::<proto::EffectPolicy>(&format!("effects.{field}"), name.as_deref(), "must be run, ask or block")
        };
        let on_divergence = self.on_divergence.as_deref();
        Ok(proto::ForkRequest {
            agent_id,
            run_id: self.run_id,
            seq: self.seq.ok_or_else(|| Failure::invalid("seq must be given"))?,
            payload: object("data", self.data)?.map(proto::fork_request::Payload::DataJson),
            model: self.model.unwrap_or_default(),
            effects: Some(proto::EffectPolicies {
                pure: policy("pure", effects.pure)?,
                read: policy("read", effects.read)?,
                idempotent: policy("idempotent", effects.idempotent)?,
                mutating: policy("mutating", effects.mutating)?,
                unknown: policy("unknown", effects.unknown)?,
            }),
            on_divergence: named::<proto::OnDivergence>("on_divergence", on_divergence, "must be hold, fail or live")?,
            ignore: self.ignore.unwrap_or_default(),
        })
    }
}

/// A whole body, within a bounded time.
pub(crate) struct Body(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        whole(request.into_body()).await.map(Self)
    }
}

/// A body that is still to come.
pub(crate) trait Unread: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin {}

impl<B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin> Unread for B {}

/// Reads a body to its end, within its bounds. How long it may take is for the connection to say.
pub(crate) async fn whole(mut body: impl Unread) -> Result<Bytes, Failure> {
    let too_large = || Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", "body must be at most 4 MiB");
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    // Nearly every body comes in one piece, which is then not copied.
    let mut whole = Bytes::new();
    let mut blocks = Blocks::default();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| broken(&*error.into()))?.into_data() else { continue };
        if whole.len() + blocks.length + piece.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        if whole.is_empty() && blocks.length == 0 {
            whole = piece
        } else {
            blocks.push(&std::mem::take(&mut whole));
            blocks.push(&piece);
        }
    }
    Ok(if blocks.length == 0 { whole } else { blocks.join() })
}

/// A body in the making: in blocks of one size, of which a thousand cost no more than they hold. A buffer that doubles
/// takes up to twice of what came, and leaves holes behind.
#[derive(Default)]
struct Blocks {
    blocks: Vec<Vec<u8>>,
    length: usize,
}

/// The bytes of one block.
const BLOCK_BYTES: usize = 64 * 1024;

impl Blocks {
    fn push(&mut self, mut piece: &[u8]) {
        self.length += piece.len();
        while !piece.is_empty() {
            if self.blocks.last().is_none_or(|block| block.len() == BLOCK_BYTES) {
                self.blocks.push(Vec::with_capacity(BLOCK_BYTES));
            }
            if let Some(block) = self.blocks.last_mut() {
                let (fits, rest) = piece.split_at(piece.len().min(BLOCK_BYTES - block.len()));
                block.extend_from_slice(fits);
                piece = rest;
            }
        }
    }

    fn join(mut self) -> Bytes {
        match self.blocks.pop() {
            Some(only) if self.blocks.is_empty() => only.into(),
            last => {
                self.blocks.extend(last);
                self.blocks.concat().into()
            }
        }
    }
}

/// Why a body did not come whole: the connection's own refusal, or the client's end.
pub(super) fn broken(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    match causes.find_map(|error| error.downcast_ref::<Status>()) {
        Some(status) if status.code() == Code::DeadlineExceeded => {
            Failure::new(StatusCode::REQUEST_TIMEOUT, "BODY_TIMEOUT", status.message())
        }
        Some(status) => status.clone().into(),
        None => Failure::new(StatusCode::BAD_REQUEST, "INVALID_BODY", "the body ended before its time"),
    }
}

/// Reads the body of a Trace. A field that no step has is told in a warning, unless it is to be refused.
pub(crate) fn read_trace(
    bytes: &[u8],
    agent_id: String,
    is_strict: bool,
) -> Result<(proto::TraceRequest, Warnings), Failure> {
    let refused = match read::<Trace<'_>>(bytes) {
        Ok(body) => return Ok((body.into_request(agent_id)?, Warnings::default())),
        Err(refused) => refused,
    };
    match unknown::taken_out::<Trace<'_>>(bytes) {
        Ok(Some((kept, warnings))) if !is_strict => Ok((read::<Trace<'_>>(&kept)?.into_request(agent_id)?, warnings)),
        // That it is no JSON further on counts more than a field before that.
        Err(error) if error.classify() != Category::Data => Err(no_json(bytes)),
        _ => Err(refused),
    }
}

/// Reads a body. JSON that is none is "Invalid JSON body"; anything else that is wrong names its field.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Failure> {
    let not_json = || no_json(bytes);
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        let other = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
        return Err(if other { Failure::invalid("body must be a JSON object") } else { not_json() });
    }
    let error = match serde_json::from_slice(bytes) {
        Ok(body) => return Ok(body),
        Err(error) if error.classify() != Category::Data => return Err(not_json()),
        Err(error) => error,
    };
    // Only what is refused is read once more, to find the field.
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let (field, problem) = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) => (error.path().to_string(), error.into_inner().to_string()),
        Ok(_) => (String::from("."), error.to_string()),
    };
    let problem = problem.split(" at line ").next().unwrap_or_default().to_owned();
    Err(Failure::invalid(match field.as_str() {
        "." => problem,
        field => format!("{field}: {problem}"),
    }))
}

/// Why and where a body is no JSON. The documented words come first; what other programs write and JSON does not have
/// is named.
fn no_json(bytes: &[u8]) -> Failure {
    let failure = |error: &str| Failure::new(StatusCode::BAD_REQUEST, "INVALID_JSON", error);
    const WORDS: &str = "Invalid JSON body";
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return failure(&format!("{WORDS}: it begins with a byte order mark (EF BB BF), at line 1 column 1")).at(1, 1);
    }
    // Only what is refused is read once more, to find the place.
    let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes) else { return failure(WORDS) };
    let (line, column) = (error.line(), error.column());
    let text = bytes.split(|byte| *byte == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
    // The place is that of the sign that is wrong: the first of the word, or the one behind its minus.
    let rest = text.get(column.saturating_sub(1)..).unwrap_or_default();
    match ["NaN", "Infinity"].into_iter().find(|word| rest.starts_with(word.as_bytes())) {
        Some(word) => failure(&format!("{WORDS}: {word} at line {line} column {column} is no number of JSON")),
        None => failure(WORDS),
    }
    .at(line, column)
}

/// Reads a body that may be left out.
pub(crate) fn read_or_default<'a, T: Deserialize<'a> + Default>(bytes: &'a [u8]) -> Result<T, Failure> {
    if bytes.trim_ascii().is_empty() { Ok(T::default()) } else { read(bytes) }
}

/// The text of an object, whose inside is for the contract to check.
fn object(field: &str, value: Option<&RawValue>) -> Result<Option<String>, Failure> {
    match value.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(text) if text.starts_with('{') => Ok(Some(text.to_owned())),
        Some(_) => Err(Failure::invalid(format!("{field} must be a JSON object"))),
    }
}

fn named<T: Named + Into<i32>>(field: &str, name: Option<&str>, problem: &str) -> Result<i32, Failure> {
    match name {
        None => Ok(0),
        Some(name) => match T::from_json_name(name) {
            Some(value) => Ok(value.into()),
            None => Err(Failure::invalid(format!("{field} {problem}"))),
        },
    }
}

fn time(field: &str, seconds: Option<f64>) -> Result<Option<prost_types::Timestamp>, Failure> {
    let parse = |seconds| {
        timestamp_from_seconds(seconds)
            .ok_or_else(|| Failure::invalid(format!("{field} must lie between 1677 and 2262, in Unix seconds")))
    };
    seconds.map(parse).transpose()
}

fn span(field: &str, ms: Option<f64>) -> Result<Option<prost_types::Duration>, Failure> {
    let parse = |ms| {
        duration_from_ms(ms)
            .ok_or_else(|| Failure::invalid(format!("{field} must be at most 292 years, in milliseconds")))
    };
    ms.map(parse).transpose()
}
