//! Two runs side by side: their events aligned by content, and what differs field by field.
//!
//! Events are aligned where their type, name and data (or the agent's own match key) are the same, as they were
//! submitted, and first where they were submitted to the same model; what is left between is paired by type and name. A pair is equal where what came of it is, too: a step
//! that was told to go on with other data, or to ask another model, has changed.

use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Duration};

use imara_diff::{Algorithm, Diff, InternedInput};

use crate::{
    content::{
        difference::{self, Field, MAX_FIELDS},
        digest::Digest,
        payload::Payload,
    },
    event::{Decision, Event, EventType, History, HoldEnded, Origin, RunId, Seq, digest},
};

/// Field differences that one answer carries, in bytes; it must fit a client's largest message.
const MAX_FIELD_BYTES: usize = 2 * 1024 * 1024;
/// Models that the figures of a run name.
const MAX_MODELS: usize = 20;

/// How events of two runs stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Equal,
    Changed,
    Left,
    Right,
}

/// Events that stand to each other in one way. Where both sides are given they are pairs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) left: Vec<Seq>,
    pub(crate) right: Vec<Seq>,
    /// The first fields that differ in a changed pair.
    pub(crate) fields: Vec<Field>,
}

/// A run in figures.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) events: u64,
    pub(crate) prompts: u64,
    pub(crate) tool_calls: u64,
    pub(crate) errors: u64,
    pub(crate) tokens: u64,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    /// Without the time that it was held.
    pub(crate) elapsed: Duration,
    pub(crate) models: Vec<Box<str>>,
}

/// Two runs compared.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) left: (RunId, Figures),
    pub(crate) right: (RunId, Figures),
    /// Both in order.
    pub(crate) rows: Vec<Row>,
    /// There were more differences than one answer can carry.
    pub(crate) fields_omitted: bool,
}

impl Comparison {
    /// Pairs, or lone events, of one kind.
    pub(crate) fn count(&self, kind: Kind) -> u64 {
        let rows = self.rows.iter().filter(|row| row.kind == kind);
        rows.map(|row| row.left.len().max(row.right.len()) as u64).sum()
    }

    /// The first row that is not equal.
    pub(crate) fn first_divergence(&self) -> Option<u32> {
        self.rows.iter().position(|row| row.kind != Kind::Equal).map(|index| index as u32)
    }
}

/// Aligns two runs.
pub(crate) fn compare((left_id, left): (RunId, &History), (right_id, right): (RunId, &History)) -> Comparison {
    let contents = |source: &History| source.iter().map(|(event, _)| content(event)).collect();
    let contents = (contents(left), contents(right));
    let mut rows = Rows { left, right, contents, rows: Vec::new(), bytes: 0, omitted: false };
    rows.align(0..left.len(), 0..right.len(), By::Submission);
    Comparison {
        left: (left_id, figures(left)),
        right: (right_id, figures(right)),
        rows: rows.rows,
        fields_omitted: rows.omitted,
    }
}

fn content(event: &Event) -> Digest {
    digest::step(event.kind, event.name.as_deref(), event.match_key(), &event.data, &[])
}

fn key<'a>(event: &'a Event, content: &Digest, by: By) -> Key<'a> {
    let (content, model) = match by {
        By::Submission => (Some(*content), event.details.as_ref().and_then(|details| details.model.as_deref())),
        By::Content => (Some(*content), None),
        By::Name => (None, None),
    };
    Key { content, model, kind: Some(event.kind), name: event.name.as_deref() }
}

fn range(range: Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// What events are aligned by, from the strictest: what one leaves over is left to the next.
#[derive(Clone, Copy)]
enum By {
    /// What was submitted, and the model that it was submitted to.
    Submission,
    /// What was submitted, to whichever model.
    Content,
    /// Type and name.
    Name,
}

impl By {
    fn next(self) -> Option<Self> {
        match self {
            Self::Submission => Some(Self::Content),
            Self::Content => Some(Self::Name),
            Self::Name => None,
        }
    }
}

/// What two events have in common that are a pair by one of these.
#[derive(Default, PartialEq, Eq, Hash)]
struct Key<'a> {
    content: Option<Digest>,
    model: Option<&'a str>,
    kind: Option<EventType>,
    name: Option<&'a str>,
}

struct Rows<'a> {
    left: &'a History,
    right: &'a History,
    contents: (Vec<Digest>, Vec<Digest>),
    rows: Vec<Row>,
    /// Of the fields so far.
    bytes: usize,
    omitted: bool,
}

impl Rows<'_> {
    /// Pairs what is the same by one measure, and what lies between by the next one.
    fn align(&mut self, left: Range<usize>, right: Range<usize>, by: By) {
        let mut input = InternedInput::default();
        input.update_before(left.clone().map(|index| key(&self.left[index].0, &self.contents.0[index], by)));
        input.update_after(right.clone().map(|index| key(&self.right[index].0, &self.contents.1[index], by)));
        let diff = Diff::compute(Algorithm::Myers, &input);
        let same = !matches!(by, By::Name);
        let (mut left_at, mut right_at) = (left.start, right.start);
        for (before, after) in diff.hunks().map(|hunk| (range(hunk.before), range(hunk.after))) {
            let before = left.start + before.start..left.start + before.end;
            let after = right.start + after.start..right.start + after.end;
            for index in left_at..before.start {
                self.pair(index, right_at + (index - left_at), same);
            }
            (left_at, right_at) = (before.end, after.end);
            match by.next().filter(|_| !before.is_empty() && !after.is_empty()) {
                Some(by) => self.align(before, after, by),
                None => {
                    self.alone(Kind::Left, before);
                    self.alone(Kind::Right, after);
                }
            }
        }
        for index in left_at..left.end {
            self.pair(index, right_at + (index - left_at), same);
        }
    }

    /// Two events that belong together. `same` is whether they were submitted with the same content.
    fn pair(&mut self, left: usize, right: usize, same: bool) {
        let ((left, of_left), (right, of_right)) = (&self.left[left], &self.right[right]);
        // What was answered from a record went to no model: only what was submitted can be compared.
        let ran = left.origin != Origin::Recorded && right.origin != Origin::Recorded;
        let of_left = Effective::of(left, of_left.as_deref().filter(|_| ran));
        let of_right = Effective::of(right, of_right.as_deref().filter(|_| ran));
        let labels = [
            Field::label("model", of_left.model, of_right.model),
            Field::label("match_key", left.match_key(), right.match_key()),
        ];
        let mut fields: Vec<_> = labels.into_iter().flatten().collect();
        let look_inside = !same || of_left.edited || of_right.edited;
        let too_many = look_inside && self.bytes > MAX_FIELD_BYTES;
        if too_many {
            self.omitted = true;
        } else if look_inside {
            fields.extend(difference::between(&of_left.data.json, &of_right.data.json, &[]).fields);
            fields.truncate(MAX_FIELDS);
        }
        if fields.is_empty() && same && !too_many {
            self.add(Kind::Equal, [left.seq], [right.seq]);
            return;
        }
        self.bytes += fields.iter().map(Field::bytes).sum::<usize>();
        self.rows.push(Row { kind: Kind::Changed, left: vec![left.seq], right: vec![right.seq], fields });
    }

    fn alone(&mut self, kind: Kind, range: Range<usize>) {
        for index in range {
            match kind {
                Kind::Left => self.add(kind, [self.left[index].0.seq], []),
                _ => self.add(kind, [], [self.right[index].0.seq]),
            }
        }
    }

    /// Adds to the row before, where that is of the same kind.
    fn add<const L: usize, const R: usize>(&mut self, kind: Kind, left: [Seq; L], right: [Seq; R]) {
        match self.rows.last_mut() {
            Some(row) if row.kind == kind => {
                row.left.extend(left);
                row.right.extend(right);
            }
            _ => self.rows.push(Row { kind, left: left.into(), right: right.into(), fields: Vec::new() }),
        }
    }
}

/// What an event came to: what was submitted, or what it was changed to.
struct Effective<'a> {
    data: &'a Payload,
    model: Option<&'a str>,
    edited: bool,
}

impl<'a> Effective<'a> {
    fn of(event: &'a Event, ended: Option<&'a HoldEnded>) -> Self {
        let submitted = event.details.as_ref().and_then(|details| details.model.as_deref());
        match ended.map(|ended| &ended.decision) {
            Some(Decision::Edit { data, model }) => Self {
                data: data.as_ref().unwrap_or(&event.data),
                model: model.as_deref().or(submitted),
                edited: data.is_some(),
            },
            _ => Self { data: &event.data, model: submitted, edited: false },
        }
    }
}

fn figures(source: &History) -> Figures {
    let mut figures = Figures { events: source.len() as u64, ..Figures::default() };
    let mut models = BTreeSet::new();
    for (event, ended) in source {
        models.extend(Effective::of(event, ended.as_deref()).model.map(Box::<str>::from));
        match event.kind {
            EventType::Prompt => figures.prompts += 1,
            EventType::ToolCall => figures.tool_calls += 1,
            EventType::Error => figures.errors += 1,
            EventType::Response | EventType::ToolResult | EventType::Log => {}
        }
        let Some(details) = &event.details else { continue };
        figures.tokens = figures.tokens.saturating_add(details.tokens());
        figures.input_tokens = figures.input_tokens.saturating_add(details.input_tokens.unwrap_or(0));
        figures.output_tokens = figures.output_tokens.saturating_add(details.output_tokens.unwrap_or(0));
    }
    figures.models = models.into_iter().take(MAX_MODELS).collect();
    let elapsed = |(event, _): &(Arc<Event>, _)| event.context.run_elapsed_ms;
    let (first, last) = (source.first().map_or(0, elapsed), source.last().map_or(0, elapsed));
    figures.elapsed = Duration::from_millis(last.saturating_sub(first));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        content::payload::{Encoding, Payload},
        event::{Details, Report},
        session::fixtures::{Driver, report, run_id},
    };

    /// A run of steps, each a type and its data; and a model, where there is one.
    fn run(id: &str, steps: &[(EventType, &str, Option<&str>)]) -> History {
        let mut driver = Driver::new();
        for (kind, json, model) in steps {
            let details = Details { model: model.map(Into::into), token_count: Some(5), ..Details::default() };
            let data = Payload { json: (*json).into(), encoding: Encoding::Json };
            driver.trace(Report { data, details: Some(Box::new(details)), ..report(*kind, id) });
        }
        driver.events.into_iter().map(|event| (event, None)).collect()
    }

    fn rows(left: &History, right: &History) -> Vec<(Kind, usize, usize)> {
        let compared = compare((run_id("l"), left), (run_id("r"), right));
        compared.rows.iter().map(|row| (row.kind, row.left.len(), row.right.len())).collect()
    }

    use EventType::{Log, Prompt, Response, ToolCall};

    #[test]
    fn equal_steps_align_and_the_rest_is_paired_by_type() {
        let left = run(
            "l",
            &[
                (Prompt, r#"{"q":1}"#, None),
                (Response, r#"{"a":1}"#, None),
                (ToolCall, r#"{"x":1}"#, None),
                (Log, "{}", None),
            ],
        );
        let right = run(
            "r",
            &[
                (Prompt, r#"{"q":1.0}"#, None),
                (Response, r#"{"a":2}"#, None),
                (Prompt, r#"{"q":2}"#, None),
                (Log, "{}", None),
            ],
        );
        let expected =
            [(Kind::Equal, 1, 1), (Kind::Changed, 1, 1), (Kind::Left, 1, 0), (Kind::Right, 0, 1), (Kind::Equal, 1, 1)];
        assert_eq!(rows(&left, &right), expected);
        let compared = compare((run_id("l"), &left), (run_id("r"), &right));
        assert_eq!((compared.first_divergence(), compared.count(Kind::Equal)), (Some(1), 2));
        let field = &compared.rows[1].fields[0];
        assert_eq!((&*field.path, &*field.left, &*field.right), ("$.a", "1", "2"));
    }

    #[test]
    fn the_same_data_for_another_model_is_a_change() {
        let left = run("l", &[(Prompt, "{}", Some("small"))]);
        let right = run("r", &[(Prompt, "{}", Some("large"))]);
        let compared = compare((run_id("l"), &left), (run_id("r"), &right));
        assert_eq!(compared.rows[0].kind, Kind::Changed);
        assert_eq!(&*compared.rows[0].fields[0].path, "model");
        assert_eq!((compared.left.1.tokens, &*compared.right.1.models[0]), (5, "large"));
    }

    #[test]
    fn of_equal_steps_those_for_the_same_model_are_a_pair() {
        let (small, large) = ((Prompt, "{}", Some("small")), (Prompt, "{}", Some("large")));
        let other = (Prompt, "{}", Some("other"));
        assert_eq!(rows(&run("l", &[small, large]), &run("r", &[large])), [(Kind::Left, 1, 0), (Kind::Equal, 1, 1)]);
        let both = rows(&run("l", &[small, large]), &run("r", &[other, large]));
        assert_eq!(both, [(Kind::Changed, 1, 1), (Kind::Equal, 1, 1)]);
        // Where every model is another, content alone tells what was left out.
        let (left, right) = (
            [(Prompt, r#"{"q":1}"#, Some("a")), (Prompt, r#"{"q":2}"#, Some("a"))],
            [(Prompt, r#"{"q":2}"#, Some("b"))],
        );
        assert_eq!(rows(&run("l", &left), &run("r", &right)), [(Kind::Left, 1, 0), (Kind::Changed, 1, 1)]);
    }

    #[test]
    fn a_step_that_was_told_to_do_something_else_is_a_change() {
        let steps = [(Prompt, r#"{"q":1}"#, Some("small")), (ToolCall, r#"{"x":1}"#, None)];
        let (left, mut right) = (run("l", &steps), run("r", &steps));
        let told = |event: &Event, decision| Some(Arc::new(crate::session::hold::decided(event, decision)));
        right[0].1 = told(&right[0].0, Decision::Edit { data: None, model: Some("large".into()) });
        let data = Payload { json: r#"{"x":2}"#.into(), encoding: Encoding::Json };
        right[1].1 = told(&right[1].0, Decision::Edit { data: Some(data), model: None });
        let compared = compare((run_id("l"), &left), (run_id("r"), &right));
        let paths: Vec<_> = compared.rows.iter().map(|row| (row.kind, &*row.fields[0].path)).collect();
        assert_eq!(paths, [(Kind::Changed, "model"), (Kind::Changed, "$.x")]);
        assert_eq!(&*compared.right.1.models[0], "large");
        // The same change on both sides is none.
        let again = compare((run_id("r"), &right), (run_id("r"), &right));
        assert_eq!(again.count(Kind::Equal), 2);
    }

    #[test]
    fn a_run_is_equal_to_itself_and_to_nothing_else() {
        let steps = [(Prompt, r#"{"q":1}"#, None), (Response, r#"{"a":1}"#, None)];
        assert_eq!(rows(&run("l", &steps), &run("r", &steps)), [(Kind::Equal, 2, 2)]);
        assert_eq!(rows(&run("l", &steps), &Vec::new()), [(Kind::Left, 2, 0)]);
        assert_eq!(rows(&Vec::new(), &Vec::new()), []);
    }
}
