//! Reading the file: line by line, checked as it comes, and taken in only as a whole.

use std::{collections::HashSet, sync::Arc};

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::format::{Context, DecisionLine, End, EventLine, FORMAT, Line, Manifest, VERSION};
use crate::{
    content::{
        difference::{Field, MAX_FIELDS},
        payload::{Encoding, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_DEPTH, Payload},
        scan::scan,
    },
    event::{
        Accepts, Ancestry, Decision, Details, Divergence, Effect, Event, EventType, HoldEnded, MAX_STEP_DAYS,
        MAX_WARNINGS, Origin, Outcome, Replay, RunContext, RunId, Seq, Span, Timestamp, Verb, check_id, days_beyond,
    },
    session::{Imported, control},
};

/// The longest line, in bytes: the largest event with all its labels is shorter.
const MAX_LINE_BYTES: usize = 4 * 1024 * 1024 + 256 * 1024;
/// The longest text that is no payload and no label, in bytes.
const MAX_TEXT_BYTES: usize = 8 * 1024;
/// The rules that a masked file may name.
const MAX_RULES: usize = 100;

/// Why a file is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub(crate) struct Damage {
    /// From 1.
    pub(crate) line: u64,
    pub(crate) problem: Box<str>,
    /// It is a file as it should be, and there is no room for it.
    pub(crate) too_large: bool,
}

/// How much a file may bring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) events: u64,
    /// As the byte limits count them.
    pub(crate) bytes: u64,
}

/// A whole file, checked.
#[derive(Debug)]
pub(crate) struct Read {
    /// The run's id where it was recorded.
    pub(crate) run_id: RunId,
    pub(crate) file: Imported,
    pub(crate) lines: Vec<control::Line>,
    pub(crate) events: u64,
    /// As the byte limits count them.
    pub(crate) bytes: u64,
}

/// Takes a file in pieces. What it keeps is bounded by the room that it was given.
pub(crate) struct Reader {
    room: Room,
    /// The beginning of a line whose end did not come yet.
    rest: Vec<u8>,
    line: u64,
    sha: Sha256,
    said: Option<Said>,
    ended: bool,
    read: Read,
    decided: HashSet<u64>,
    payload_bytes: u64,
    /// How many events of its run there had been at the last event; and whether any of them are not in the file.
    run_events: u64,
    gap: bool,
    problem: Option<Damage>,
}

/// What the manifest said of the lines that follow.
struct Said {
    events: u64,
    decisions: u64,
    bytes: u64,
    truncated: bool,
}

/// What some programs put before a text, by its encoding.
const MARKS: [(&str, &[u8]); 3] = [
    ("byte order mark of UTF-8 (EF BB BF)", b"\xef\xbb\xbf"),
    ("byte order mark of UTF-16 (FE FF)", b"\xfe\xff"),
    ("byte order mark of UTF-16 (FF FE)", b"\xff\xfe"),
];

type Checked<T> = Result<T, Box<str>>;

impl Reader {
    pub(crate) fn new(room: Room) -> Self {
        let read = Read { run_id: RunId::default(), file: Imported::default(), lines: Vec::new(), events: 0, bytes: 0 };
        Self {
            room,
            rest: Vec::new(),
            line: 0,
            sha: Sha256::new(),
            said: None,
            ended: false,
            read,
            decided: HashSet::new(),
            payload_bytes: 0,
            run_events: 0,
            gap: false,
            problem: None,
        }
    }

    /// Takes the next piece. After an error there is nothing more to take.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), Damage> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, after) = piece.split_at(end + 1);
            piece = after;
            if self.rest.is_empty() {
                self.take(line)?
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                self.take(&whole)?;
                // Its memory serves the next line.
                whole.clear();
                self.rest = whole;
            }
        }
        if self.rest.len() + piece.len() > MAX_LINE_BYTES {
            return self.fail(format!("must be at most {MAX_LINE_BYTES} bytes"), 1, false);
        }
        self.rest.extend_from_slice(piece);
        Ok(())
    }

    /// The run that the file is of, once its manifest was read.
    pub(crate) fn run_id(&self) -> Option<&RunId> {
        self.said.as_ref().map(|_| &self.read.run_id)
    }

    /// The whole, once the last piece was taken.
    pub(crate) fn finish(mut self) -> Result<Read, Damage> {
        if !self.rest.is_empty() {
            self.fail("is cut short: it does not end with a line break".to_owned(), 1, false)?;
        }
        if !self.ended {
            self.fail("is missing: the file is cut short".to_owned(), 1, false)?;
        }
        Ok(self.read)
    }

    fn fail(&mut self, problem: String, lines_on: u64, too_large: bool) -> Result<(), Damage> {
        let damage = Damage { line: self.line + lines_on, problem: problem.into(), too_large };
        self.problem = Some(damage.clone());
        // What was read so far is of no use.
        self.read.lines = Vec::new();
        Err(damage)
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Damage> {
        self.line += 1;
        if line.len() > MAX_LINE_BYTES {
            return self.fail(format!("must be at most {MAX_LINE_BYTES} bytes"), 0, false);
        }
        if let Err(problem) = self.read_line(line) {
            return self.fail(problem.into(), 0, false);
        }
        // What says itself that it is too large is not read at all.
        let said = self.said.as_ref().map_or((0, 0), |said| (said.events, said.bytes));
        let (events, bytes) = (said.0.max(self.read.events), said.1.max(self.read.bytes));
        let without = "without pushing recorded ones out";
        match (events > self.room.events, bytes > self.room.bytes) {
            (true, _) => self.fail(format!("there is room for {} events {without}", self.room.events), 0, true),
            (_, true) => self.fail(format!("there is room for {} bytes of events {without}", self.room.bytes), 0, true),
            (false, false) => Ok(()),
        }
    }

    fn read_line(&mut self, bytes: &[u8]) -> Checked<()> {
        if self.ended {
            return Err("nothing may follow the closing line".into());
        }
        if let Some((mark, _)) = MARKS.iter().find(|(_, mark)| self.line == 1 && bytes.starts_with(mark)) {
            return Err(format!("begins with a {mark}: the file must be UTF-8 without one").into());
        }
        // In a string it is escaped, and between tokens it is no space of this format.
        if let Some(at) = memchr::memchr(b'\r', bytes) {
            let end = if bytes[at..] == *b"\r\n" { "ends with CRLF" } else { "holds a carriage return" };
            return Err(format!("{end}, at column {}: lines end with one line feed alone", at + 1).into());
        }
        let line = serde_json::from_slice::<Line<'_>>(bytes).map_err(|error| {
            let text = error.to_string();
            let problem = text.split(" at line ").next().unwrap_or_default();
            match error.classify() {
                serde_json::error::Category::Data => problem.into(),
                _ => format!("is not valid JSON at column {}: {problem}", error.column()).into_boxed_str(),
            }
        })?;
        match (line, &self.said) {
            (Line::Manifest(manifest), None) => self.manifest(&manifest)?,
            (_, None) => return Err("the file does not begin with its manifest".into()),
            (Line::Manifest(_), Some(_)) => return Err("there is a manifest already".into()),
            (Line::Event(line), Some(_)) => self.event(&line)?,
            (Line::Decision(line), Some(_)) => self.decision(&line)?,
            (Line::End(end), Some(_)) => return self.end(&end),
        }
        self.sha.update(bytes);
        Ok(())
    }

    fn manifest(&mut self, manifest: &Manifest<'_>) -> Checked<()> {
        if manifest.format != FORMAT {
            return Err(format!("format must be {FORMAT:?}").into());
        }
        if manifest.version != VERSION {
            return Err(format!("version must be {VERSION}: {} is not known here", manifest.version).into());
        }
        self.read.run_id = RunId::parse(&manifest.run_id).map_err(|problem| format!("run_id {problem}"))?;
        let ancestry = manifest.forked_from.as_ref().map(|from| {
            let run_id = RunId::parse(&from.run_id).map_err(|problem| format!("forked_from.run_id {problem}"))?;
            Ok::<_, Box<str>>(Ancestry { run_id, seq: None, ordinal: from.ordinal })
        });
        if manifest.masked.as_ref().is_some_and(|masked| masked.len() > MAX_RULES) {
            return Err(format!("masked must name at most {MAX_RULES} rules").into());
        }
        self.read.file = Imported {
            original: manifest.run_id.as_ref().into(),
            ancestry: ancestry.transpose()?,
            masked: manifest.masked.clone(),
            truncated: manifest.truncated,
        };
        let Manifest { events, decisions, bytes, truncated, .. } = *manifest;
        // It would be a run that nothing shows and nothing trims.
        if events == 0 {
            return Err("events must be at least 1".into());
        }
        self.said = Some(Said { events, decisions, bytes, truncated });
        Ok(())
    }

    fn event(&mut self, line: &EventLine<'_>) -> Checked<()> {
        let ordinal = self.read.events + 1;
        if line.ordinal != ordinal {
            return Err(format!("ordinal must be {ordinal}").into());
        }
        // The first event tells, but where it was held: it then outlived those that came after it.
        let run_events = line.context.run_events;
        self.gap |= run_events > self.run_events.saturating_add(1);
        self.run_events = run_events;
        if let Some(said) = &self.said {
            let agrees = match (said.truncated, ordinal == 1, ordinal == said.events) {
                (false, true, _) => !self.gap,
                (true, _, true) => self.gap,
                _ => true,
            };
            if !agrees {
                return Err("truncated does not agree with the events".into());
            }
        }
        let event = event(line)?;
        self.read.events = ordinal;
        self.read.bytes += event.bytes() as u64;
        let metadata = line.metadata.map_or(0, |metadata| metadata.get().len());
        self.payload_bytes += (line.data.get().len() + metadata) as u64;
        self.read.lines.push(control::Line::Event(Box::new(event)));
        self.as_said(|said, counted| counted <= said)
    }

    fn decision(&mut self, line: &DecisionLine<'_>) -> Checked<()> {
        if line.ordinal == 0 || line.ordinal > self.read.events {
            return Err("ordinal must be that of an event before it".into());
        }
        let ended = decision(line)?;
        if !self.decided.insert(line.ordinal) {
            return Err(format!("event {} has a decision already", line.ordinal).into());
        }
        self.read.bytes += ended.bytes() as u64;
        let payloads = [line.data, line.before].into_iter().flatten();
        self.payload_bytes += payloads.map(|payload| payload.get().len() as u64).sum::<u64>();
        self.read.lines.push(control::Line::Decision { ordinal: line.ordinal, ended: Box::new(ended) });
        self.as_said(|said, counted| counted <= said)
    }

    /// Whether what was counted is in order, beside what the manifest says. It is looked at line by line, since the
    /// room was given for what the manifest says.
    fn as_said(&self, in_order: fn(u64, u64) -> bool) -> Checked<()> {
        let Some(said) = &self.said else { return Err("the file does not begin with its manifest".into()) };
        let counted = [
            ("events", said.events, self.read.events),
            ("decisions", said.decisions, self.decided.len() as u64),
            ("bytes", said.bytes, self.payload_bytes),
        ];
        match counted.into_iter().find(|(_, said, counted)| !in_order(*said, *counted)) {
            Some((what, said, counted)) => {
                Err(format!("the manifest says {said} {what}, and there are {counted}").into())
            }
            None => Ok(()),
        }
    }

    fn end(&mut self, end: &End) -> Checked<()> {
        self.as_said(|said, counted| said == counted)?;
        let sha: String = self.sha.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if sha != end.sha256 {
            return Err("sha256 is not that of the lines before: the file was changed or damaged".into());
        }
        self.ended = true;
        Ok(())
    }
}

fn event(line: &EventLine<'_>) -> Checked<Event> {
    let metadata = match (line.metadata, &line.metadata_form) {
        (Some(metadata), form) => Some(payload("metadata", metadata, form.as_deref().unwrap_or("json"))?),
        (None, Some(_)) => return Err("metadata_form comes without metadata".into()),
        (None, None) => None,
    };
    let data = payload("data", line.data, &line.form)?;
    if metadata.as_ref().is_some_and(|metadata| metadata.json.len() + data.json.len() > MAX_PAYLOAD_BYTES) {
        return Err(format!("data and metadata together must be at most {MAX_PAYLOAD_BYTES} bytes").into());
    }
    let mut accepts = Accepts::default();
    for name in &line.accepts {
        accepts.insert(one_of("accepts", Verb::ALL, Verb::name, name)?);
    }
    if line.warnings.len() > MAX_WARNINGS {
        return Err(format!("warnings must be at most {MAX_WARNINGS}").into());
    }
    let warnings = line.warnings.iter().map(|warning| text("warnings", warning).map(Into::into));
    let details = Details {
        end: line.end_ts.map(|time| Timestamp(time.0)),
        duration: line.duration_ms.map(|span| Span(span.0)),
        token_count: line.token_count,
        input_tokens: line.input_tokens,
        output_tokens: line.output_tokens,
        model: label("model", line.model.as_deref())?.map(Into::into),
        latency: line.latency_ms.map(|span| Span(span.0)),
        replay_checkpoint: line.replay_checkpoint,
        checkpoint_id: label("checkpoint_id", line.checkpoint_id.as_deref())?.map(Into::into),
        metadata,
        match_key: label("match_key", line.match_key.as_deref())?.map(Into::into),
        warnings: warnings.collect::<Result<_, _>>()?,
    };
    let divergence = line.divergence.as_ref().map(|divergence| {
        if divergence.fields.len() > MAX_FIELDS {
            return Err(format!("divergence.fields must be at most {MAX_FIELDS}").into_boxed_str());
        }
        let fields = divergence.fields.iter().map(|field| {
            let text = |name, value| text(name, value).map(Into::into);
            Ok::<_, Box<str>>(Field {
                path: text("divergence.fields.path", &field.path)?,
                left: text("divergence.fields.left", &field.left)?,
                right: text("divergence.fields.right", &field.right)?,
            })
        });
        let reason = text("divergence.reason", &divergence.reason)?.into();
        Ok(Divergence { reason, nearest: None, fields: fields.collect::<Result<_, _>>()? })
    });
    let divergence = divergence.transpose()?;
    if let Some(end) = details.end
        && let Some(days) = days_beyond(Timestamp(line.start_ts.0), end)
    {
        return Err(format!("end_ts is {days} days after start_ts: a step may last {MAX_STEP_DAYS} days").into());
    }
    let Context { depth, repeats, run_events, run_tokens, run_elapsed_ms } = line.context;
    Ok(Event {
        // The number, the run and the clock of this process are given when it is taken in.
        seq: Seq::default(),
        run_id: RunId::default(),
        at: Timestamp(line.at.0),
        kind: one_of("type", EventType::ALL, EventType::name, &line.r#type)?,
        data,
        node_id: label("node_id", line.node_id.as_deref())?.map(Into::into),
        parent_id: label("parent_id", line.parent_id.as_deref())?.map(Into::into),
        name: label("name", line.name.as_deref())?.map(Into::into),
        start: Timestamp(line.start_ts.0),
        details: (details != Details::default()).then(|| Box::new(details)),
        effect: match line.effect.as_deref() {
            None => Effect::Unknown,
            Some(name) => one_of("effect", Effect::KNOWN, |effect| effect.name().unwrap_or_default(), name)?,
        },
        accepts,
        request_id: None,
        run_end: line.run_end,
        by_breakpoint: line.by_breakpoint,
        context: RunContext { depth, repeats, run_events, run_tokens, run_elapsed_ms },
        origin: one_of("origin", Origin::ALL, Origin::name, &line.origin)?,
        replay: divergence.map(|divergence| Box::new(Replay { source: None, divergence: Some(divergence) })),
    })
}

fn decision(line: &DecisionLine<'_>) -> Checked<HoldEnded> {
    let payload_of = |name, value: Option<&RawValue>, form: Option<&str>| match (value, form) {
        (Some(value), form) => payload(name, value, form.unwrap_or("json")).map(Some),
        (None, Some(_)) => Err(format!("{name} is missing beside its form").into_boxed_str()),
        (None, None) => Ok(None),
    };
    let data = payload_of("data", line.data, line.form.as_deref())?;
    let said = |name, value: Option<&str>| match value {
        Some(value) => text(name, value).map(Box::<str>::from),
        None => Err(format!("{name} must be given with this action").into_boxed_str()),
    };
    let model = label("model", line.model.as_deref())?.map(Box::<str>::from);
    let decision = match (&*line.action, data) {
        ("proceed", None) => Decision::Proceed,
        ("edit", data) if data.is_some() || model.is_some() => Decision::Edit { data, model },
        ("fulfil", data) => Decision::Fulfil { data },
        ("fail", data) => Decision::Fail { message: said("message", line.message.as_deref())?, data },
        ("abort", None) => Decision::Abort { reason: said("reason", line.reason.as_deref())? },
        _ => return Err("action must be proceed, edit, fulfil, fail or abort, with what belongs to it".into()),
    };
    let extra = [
        (line.message.is_some(), matches!(decision, Decision::Fail { .. })),
        (line.reason.is_some(), matches!(decision, Decision::Abort { .. })),
        (line.model.is_some(), matches!(decision, Decision::Edit { .. })),
    ];
    if extra.into_iter().any(|(given, belongs)| given && !belongs) {
        return Err("action has something beside it that belongs to another".into());
    }
    let held = u64::try_from(line.held_ms.0).map_err(|_| "held_ms must not be negative")?;
    Ok(HoldEnded {
        seq: Seq::default(),
        run_id: RunId::default(),
        outcome: one_of("outcome", Outcome::RECORDED, Outcome::name, &line.outcome)?,
        decision,
        actor: Arc::from(label("actor", Some(&line.actor))?.unwrap_or_default()),
        held_for: std::time::Duration::from_nanos(held),
        at: Timestamp(line.at.0),
        before: payload_of("before", line.before, line.before_form.as_deref())?,
    })
}

fn payload(name: &str, value: &RawValue, form: &str) -> Checked<Payload> {
    let json = value.get();
    if !json.starts_with('{') {
        return Err(format!("{name} must be a JSON object").into());
    }
    if json.len() > MAX_PAYLOAD_BYTES {
        return Err(format!("{name} must be at most {MAX_PAYLOAD_BYTES} bytes of JSON").into());
    }
    if scan(json).depth > MAX_PAYLOAD_DEPTH {
        return Err(format!("{name} must be at most {MAX_PAYLOAD_DEPTH} levels deep").into());
    }
    // Space between tokens, but a line break all the same: a frame of SSE is one line.
    if json.contains('\r') {
        return Err(format!("{name} must be on one line, without carriage returns").into());
    }
    let encoding = match form {
        "json" => Encoding::Json,
        "struct" => Encoding::Struct,
        _ => return Err("form must be json or struct".into()),
    };
    Ok(Payload { json: json.into(), encoding })
}

fn label<'a>(name: &str, value: Option<&'a str>) -> Checked<Option<&'a str>> {
    match value {
        Some(value) => {
            check_id(value).map(|()| Some(value)).map_err(|problem| format!("{name} {problem}").into_boxed_str())
        }
        None => Ok(None),
    }
}

fn text<'a>(name: &str, value: &'a str) -> Checked<&'a str> {
    if value.len() <= MAX_TEXT_BYTES {
        Ok(value)
    } else {
        Err(format!("{name} must be at most {MAX_TEXT_BYTES} bytes").into())
    }
}

/// The value of a name, out of the few that there are.
fn one_of<T: Copy, const N: usize>(
    field: &str,
    values: [T; N],
    name: impl Fn(T) -> &'static str,
    wanted: &str,
) -> Checked<T> {
    let found = values.into_iter().find(|value| name(*value) == wanted);
    found.ok_or_else(|| {
        let names = values.map(&name).join(", ");
        format!("{field} must be one of {names}").into_boxed_str()
    })
}
