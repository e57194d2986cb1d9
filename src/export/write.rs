//! Writing the file: piece by piece, from records that are shared with the log and not copied.

use std::{collections::HashMap, fmt::Write as _};

use bytes::Bytes;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::format::{
    Context, DecisionLine, DivergenceLine, End, EventLine, FORMAT, FieldLine, ForkedFrom, Line, Manifest, Milliseconds,
    Seconds, VERSION,
};
use crate::{
    content::{
        mask::Masked,
        payload::{Encoding, Payload},
    },
    event::{Decision, Details, Event, HoldEnded, Seq},
    masking::Visibility,
    session::{RunView, fork::plan::is_truncated, repeats::Repeats},
    store::{Entry, Record},
};

/// A piece is handed out when it is this long.
const PIECE_BYTES: usize = 64 * 1024;

/// One run, about to be written.
pub(crate) struct Writer {
    run: RunView,
    /// Its events and decisions, in order.
    records: std::vec::IntoIter<Record>,
    /// Which event of the run each one is, from 1.
    ordinals: HashMap<Seq, u64>,
    counts: Counts,
    visibility: Visibility,
    sha: Sha256,
    part: Part,
    /// Counted again where secrets are masked: equal steps would reveal that their secrets are equal.
    repeats: Option<Repeats>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Manifest,
    Records,
    End,
}

/// What the manifest says of the lines that follow.
#[derive(Default)]
struct Counts {
    events: u64,
    decisions: u64,
    bytes: u64,
    truncated: bool,
    masked: Masked,
}

impl Writer {
    /// Looks at all records once, for the manifest: slow for a large run, and slower with masking.
    pub(crate) fn new(run: RunView, mut records: Vec<Record>, visibility: Visibility) -> Self {
        let mut ordinals = HashMap::new();
        let mut counts = Counts::default();
        let mut events = records.iter().filter_map(|record| match &record.entry {
            Entry::Event(event) => Some(&**event),
            Entry::HoldEnded(_) | Entry::Forked(_) => None,
        });
        counts.truncated = match &run.imported {
            None => is_truncated(events),
            // As its file said, or because its own beginning was trimmed since.
            Some(file) => file.truncated || events.next().is_some_and(|event| event.context.run_events > 1),
        };
        records.retain(|record| match &record.entry {
            Entry::Event(event) => {
                counts.events += 1;
                ordinals.insert(event.seq, counts.events);
                true
            }
            // What was decided on a trimmed event has nothing to belong to.
            Entry::HoldEnded(ended) if ordinals.contains_key(&ended.seq) => {
                counts.decisions += 1;
                true
            }
            Entry::HoldEnded(_) | Entry::Forked(_) => false,
        });
        for record in &records {
            let seen = visibility.in_file(record.clone(), &mut counts.masked);
            counts.bytes += payloads(&seen.entry).map(|payload| payload.json.len() as u64).sum::<u64>();
        }
        // A run that was masked before it was imported says so again.
        if let Some(masked) = run.imported.as_ref().and_then(|file| file.masked.as_ref()) {
            for (rule, count) in masked {
                let all = counts.masked.entry(rule.clone()).or_default();
                *all = all.saturating_add(*count);
            }
        }
        if visibility == Visibility::Masked {
            // What stands in the manifest itself.
            let original = run.imported.as_ref().map_or(run.run_id.as_str(), |file| &*file.original);
            visibility.id_in_file(original, &mut counts.masked);
            if let Some(ancestry) = &run.ancestry {
                visibility.id_in_file(ancestry.run_id.as_str(), &mut counts.masked);
            }
        }
        let part = Part::Manifest;
        // What was imported with its secrets masked has the repetitions of what was masked, and so has its file.
        let is_masked = run.imported.as_ref().is_some_and(|file| file.masked.is_some());
        let repeats = (visibility == Visibility::Masked && !is_masked).then(Repeats::default);
        Self { run, records: records.into_iter(), ordinals, counts, visibility, sha: Sha256::new(), part, repeats }
    }

    fn line(&mut self, line: &Line<'_>, piece: &mut Vec<u8>) {
        let start = piece.len();
        // Writing into memory does not fail, and no map here has keys that are no texts.
        let _ = serde_json::to_writer(&mut *piece, line);
        piece.push(b'\n');
        self.sha.update(&piece[start..]);
    }

    fn manifest(&mut self, piece: &mut Vec<u8>) {
        let imported = self.run.imported.clone();
        let is_masked =
            self.visibility == Visibility::Masked || imported.as_ref().is_some_and(|file| file.masked.is_some());
        let run_id = self.run.run_id.clone();
        let ancestry = self.run.ancestry.clone();
        let counts = std::mem::take(&mut self.counts);
        let manifest = Manifest {
            format: FORMAT.into(),
            version: VERSION,
            run_id: self.visibility.id(imported.as_ref().map_or(run_id.as_str(), |file| &*file.original)),
            events: counts.events,
            decisions: counts.decisions,
            bytes: counts.bytes,
            truncated: counts.truncated,
            forked_from: ancestry.as_ref().map(|ancestry| ForkedFrom {
                run_id: self.visibility.id(ancestry.run_id.as_str()),
                ordinal: ancestry.ordinal,
            }),
            masked: is_masked.then_some(counts.masked),
        };
        self.line(&Line::Manifest(manifest), piece);
    }

    fn record(&mut self, record: Record, piece: &mut Vec<u8>) {
        match &self.visibility.in_file(record, &mut Masked::new()).entry {
            Entry::Event(event) => {
                let Some(ordinal) = self.ordinals.get(&event.seq).copied() else { return };
                if let Some(mut line) = event_line(event, ordinal) {
                    if let Some(repeats) = &mut self.repeats {
                        line.context.repeats = repeats.of(event);
                    }
                    self.line(&Line::Event(Box::new(line)), piece);
                }
            }
            Entry::HoldEnded(ended) => {
                let Some(ordinal) = self.ordinals.get(&ended.seq).copied() else { return };
                self.line(&Line::Decision(Box::new(decision_line(ended, ordinal))), piece);
            }
            Entry::Forked(_) => {}
        }
    }
}

/// Pieces of the file, in order.
impl Iterator for Writer {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.part == Part::End {
            return None;
        }
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        if self.part == Part::Manifest {
            self.manifest(&mut piece);
            self.part = Part::Records;
        }
        while piece.len() < PIECE_BYTES {
            match self.records.next() {
                Some(record) => self.record(record, &mut piece),
                None => {
                    let mut sha256 = String::with_capacity(64);
                    for byte in self.sha.clone().finalize() {
                        let _ = write!(sha256, "{byte:02x}");
                    }
                    self.line(&Line::End(End { sha256 }), &mut piece);
                    self.part = Part::End;
                    break;
                }
            }
        }
        Some(piece.into())
    }
}

/// What an entry holds of JSON.
fn payloads(entry: &Entry) -> impl Iterator<Item = &Payload> {
    let (one, other) = match entry {
        Entry::Event(event) => (Some(&event.data), metadata(event)),
        Entry::HoldEnded(ended) => (ended.decision.data(), ended.before.as_ref()),
        Entry::Forked(_) => (None, None),
    };
    one.into_iter().chain(other)
}

fn metadata(event: &Event) -> Option<&Payload> {
    event.details.as_ref()?.metadata.as_ref()
}

fn raw(payload: &Payload) -> Option<&RawValue> {
    serde_json::from_str(&payload.json).ok()
}

fn form(payload: &Payload) -> &'static str {
    match payload.encoding {
        Encoding::Json => "json",
        Encoding::Struct => "struct",
    }
}

/// An event as a line; nothing where its data is not JSON.
fn event_line(event: &Event, ordinal: u64) -> Option<EventLine<'_>> {
    static NONE: std::sync::LazyLock<Details> = std::sync::LazyLock::new(Details::default);
    let details = event.details.as_deref().unwrap_or(&NONE);
    let at = &event.context;
    let metadata = metadata(event).and_then(|metadata| Some((form(metadata), raw(metadata)?)));
    let divergence = event.replay.as_ref().and_then(|replay| replay.divergence.as_ref());
    Some(EventLine {
        ordinal,
        at: Seconds(event.at.0),
        r#type: event.kind.name().into(),
        name: event.name.as_deref().map(Into::into),
        node_id: event.node_id.as_deref().map(Into::into),
        parent_id: event.parent_id.as_deref().map(Into::into),
        start_ts: Seconds(event.start.0),
        end_ts: details.end.map(|end| Seconds(end.0)),
        duration_ms: details.duration.map(|span| Milliseconds(span.0)),
        token_count: details.token_count,
        input_tokens: details.input_tokens,
        output_tokens: details.output_tokens,
        model: details.model.as_deref().map(Into::into),
        latency_ms: details.latency.map(|span| Milliseconds(span.0)),
        replay_checkpoint: details.replay_checkpoint,
        checkpoint_id: details.checkpoint_id.as_deref().map(Into::into),
        effect: event.effect.name().map(Into::into),
        match_key: details.match_key.as_deref().map(Into::into),
        accepts: event.accepts.iter().map(|verb| verb.name().into()).collect(),
        run_end: event.run_end,
        by_breakpoint: event.by_breakpoint,
        origin: event.origin.name().into(),
        divergence: divergence.map(|divergence| DivergenceLine {
            reason: (&*divergence.reason).into(),
            fields: divergence.fields.iter().map(field_line).collect(),
        }),
        warnings: details.warnings.iter().map(|warning| (&**warning).into()).collect(),
        context: Context {
            depth: at.depth,
            repeats: at.repeats,
            run_events: at.run_events,
            run_tokens: at.run_tokens,
            run_elapsed_ms: at.run_elapsed_ms,
        },
        form: form(&event.data).into(),
        data: raw(&event.data)?,
        metadata_form: metadata.map(|(form, _)| form.into()),
        metadata: metadata.map(|(_, metadata)| metadata),
    })
}

fn field_line(field: &crate::content::difference::Field) -> FieldLine<'_> {
    FieldLine { path: (&*field.path).into(), left: (&*field.left).into(), right: (&*field.right).into() }
}

fn decision_line(ended: &HoldEnded, ordinal: u64) -> DecisionLine<'_> {
    let (message, reason) = match &ended.decision {
        Decision::Fail { message, .. } => (Some((&**message).into()), None),
        Decision::Abort { reason } => (None, Some((&**reason).into())),
        Decision::Proceed | Decision::Edit { .. } | Decision::Fulfil { .. } => (None, None),
    };
    let (data, before) = (ended.decision.data(), ended.before.as_ref());
    DecisionLine {
        ordinal,
        at: Seconds(ended.at.0),
        outcome: ended.outcome.name().into(),
        actor: (&*ended.actor).into(),
        held_ms: Milliseconds(i64::try_from(ended.held_for.as_nanos()).unwrap_or(i64::MAX)),
        action: ended.decision.verb().map_or("proceed", |verb| verb.name()).into(),
        model: match &ended.decision {
            Decision::Edit { model, .. } => model.as_deref().map(Into::into),
            _ => None,
        },
        message,
        reason,
        form: data.map(|data| form(data).into()),
        data: data.and_then(raw),
        before_form: before.map(|before| form(before).into()),
        before: before.and_then(raw),
    }
}
