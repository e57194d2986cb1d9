//! The plan of a fork: what its source recorded, and which disposition each step of it has.

use std::{collections::HashMap, fmt::Write, sync::Arc};

use super::{OnDivergence, Policies, Policy, Spec};
use crate::{
    content::{digest::Digest, path::Path, payload::Payload},
    event::{
        Decision, Effect, Event, EventType, History, HoldEnded, Outcome, Phase, Report, RunId, Seq, SmallStr, Verb,
        digest,
    },
    session::{Refusal, repeats::repeat_key, stepping::Parents},
};

/// What is taken of a recorded error's own words.
const MAX_MESSAGE_CHARS: usize = 1_000;
/// How far up a tree is followed; reports may go in circles.
const MAX_DEPTH: u32 = 256;

/// What happens to a recorded step when it is opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// It is answered from the record.
    Served,
    /// It ran inside of what is answered from the record: it is hardly opened again and, where it is, answered, too.
    Inside,
    /// It was opened once more, and only the later opening was closed: that one is the step.
    Superseded,
    /// The fork point lies in it: it is entered again.
    Container,
    /// The fork point.
    Anchor,
    /// It is live.
    After,
}

/// Where a step stands in its run's tree, whatever its ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The nearest step above that was recorded.
    above: Option<u32>,
    /// How many nodes lie between that were not: groups that an agent names and never opens.
    between: u32,
}

impl Place {
    /// Where an event stands. `step` tells which step of the plan a node is, or that it is none; where it does not
    /// know a node, that is one that nobody opened. Below a node that is no step there is no place.
    pub(super) fn of(
        event: &Event,
        parents: &Parents,
        step: impl Fn(&SmallStr) -> Option<Option<u32>>,
    ) -> Option<Self> {
        let mut node = parents.parent_of(event);
        let mut between = 0;
        while let Some(id) = node.filter(|_| between < MAX_DEPTH) {
            match step(&id) {
                Some(Some(index)) => return Some(Self { above: Some(index), between }),
                Some(None) => return None,
                None => between += 1,
            }
            node = parents.above(&id);
        }
        Some(Self { above: None, between })
    }
}

/// A step of the source.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) event: Arc<Event>,
    pub(crate) place: Place,
    pub(crate) disposition: Disposition,
    /// What the agent is told instead of running it: fulfil, or fail.
    pub(crate) result: Option<Decision>,
    /// When it was closed, and when its run ended over it.
    closed: Option<Seq>,
    over: Option<Seq>,
    /// Its agent was started again since, or is gone: a closing that fits another step of its node is not its own.
    superseded: bool,
    /// Another step of the same node was open when it, or the other, was closed: nobody knows whose result that was.
    ambiguous: bool,
}

impl Step {
    /// The model that its agent submitted.
    pub(super) fn model(&self) -> Option<&str> {
        model_of(&self.event)
    }

    /// Whether it was still running when an event with this number came.
    fn is_open_at(&self, seq: Seq) -> bool {
        [self.closed, self.over].into_iter().flatten().all(|end| end > seq)
    }

    /// What it keeps of the source, as the byte limits count it.
    fn bytes(&self) -> usize {
        let result = match &self.result {
            Some(Decision::Fulfil { data } | Decision::Fail { data, .. }) => data.as_ref(),
            _ => None,
        };
        self.event.bytes() + result.map_or(0, |data| data.json.len())
    }
}

/// The model that an agent submitted a step with.
pub(super) fn model_of(event: &Event) -> Option<&str> {
    event.details.as_ref()?.model.as_deref()
}

/// What people are told when they fork.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) from_record: u32,
    /// Steps before the fork point that have no recorded result: each of them diverges.
    pub(crate) without_result: u32,
    pub(crate) entered: u32,
    pub(crate) live_prompts: u32,
    /// By effect.
    pub(crate) live_calls: Vec<(Effect, Policy, u32)>,
    pub(crate) model: Option<Box<str>>,
    /// The beginning of the source is not retained.
    pub(crate) truncated: bool,
}

/// The plan. Immutable: what was served is the fork's to know.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) source: RunId,
    pub(crate) at: Seq,
    pub(crate) ordinal: u64,
    pub(crate) steps: Vec<Step>,
    twins: HashMap<(Digest, Place), Vec<u32>>,
    /// The step that is the fork point, or that is closed by it.
    pub(crate) anchor: Option<u32>,
    /// The fork point is a closing: its step is answered, not run.
    pub(crate) at_closing: bool,
    pub(crate) data: Option<Payload>,
    pub(crate) model: Option<Box<str>>,
    pub(crate) policies: Policies,
    pub(crate) on_divergence: OnDivergence,
    pub(crate) ignore: Vec<Path>,
    /// Another model than the recorded one is no divergence.
    pub(crate) ignore_model: bool,
    pub(crate) summary: Summary,
    /// Steps that are answered, with or without a recorded result.
    pub(super) to_answer: u32,
    /// Of the recorded steps, as the byte limits count them.
    pub(crate) bytes: usize,
}

impl Plan {
    /// Plans a fork of a run's retained events, in which the fork point is.
    pub(crate) fn build(source: &History, spec: Spec) -> Result<Self, Refusal> {
        let at = source.iter().position(|(event, _)| event.seq == spec.seq).ok_or(Refusal::NoEvent(spec.seq))?;
        let point = source[at].0.clone();
        let mut tree = Tree::default();
        let mut opened_by_point = None;
        let mut around_point = None;
        for (index, (event, ended)) in source.iter().enumerate() {
            let touched = tree.see(event, ended.as_deref());
            if index == at {
                opened_by_point = touched;
                around_point = tree.around(event);
            }
        }
        let at_closing = point.kind.phase() == Phase::Closes && opened_by_point.is_some();
        let anchor = opened_by_point.filter(|_| point.kind.phase() != Phase::Neither);
        if anchor.is_none() && spec.data.is_some() {
            return Err(Refusal::NothingToChange(spec.seq));
        }
        let Tree { mut steps, .. } = tree;
        let above = anchor.map_or(around_point, |anchor| steps[anchor as usize].place.above);
        assign_parts(&mut steps, &point, anchor, above, at_closing);
        let mut plan = Self {
            source: point.run_id.clone(),
            at: spec.seq,
            ordinal: at as u64 + 1,
            twins: HashMap::new(),
            anchor,
            at_closing,
            summary: Summary::default(),
            to_answer: 0,
            bytes: steps.iter().map(Step::bytes).sum(),
            steps,
            data: spec.data,
            model: spec.model,
            policies: spec.policies,
            on_divergence: spec.on_divergence,
            ignore: spec.ignore,
            ignore_model: spec.ignore_model,
        };
        for (index, step) in plan.steps.iter().enumerate() {
            let digest = plan.digest_of(&step.event);
            plan.twins.entry((digest, step.place)).or_default().push(index as u32);
        }
        plan.drop_superseded();
        plan.check()?;
        let is_answered = |step: &&Step| match step.disposition {
            Disposition::Served => true,
            Disposition::Anchor => at_closing,
            Disposition::Inside | Disposition::Superseded | Disposition::Container | Disposition::After => false,
        };
        plan.to_answer = plan.steps.iter().filter(is_answered).count() as u32;
        plan.summary = plan.summarize();
        plan.summary.truncated = is_truncated(source.iter().map(|(event, _)| &**event));
        Ok(plan)
    }

    /// Leaves out each step that has no result and was opened once more, as an agent does that is started again.
    fn drop_superseded(&mut self) {
        let steps = &mut self.steps;
        for twins in self.twins.values_mut().filter(|twins| twins.len() > 1) {
            for place in 0..twins.len() {
                let step = &steps[twins[place] as usize];
                let is_repeated = twins[place + 1..].iter().any(|later| steps[*later as usize].model() == step.model());
                if step.disposition == Disposition::Served && step.result.is_none() && is_repeated {
                    steps[twins[place] as usize].disposition = Disposition::Superseded;
                }
            }
            twins.retain(|index| steps[*index as usize].disposition != Disposition::Superseded);
        }
    }

    /// The digest by which a step is found, from its event.
    pub(super) fn digest_of(&self, event: &Event) -> Digest {
        let (name, key) = (event.name.as_deref(), event.match_key());
        digest::step(event.kind, name, key, &event.data, &self.ignore)
    }

    /// The same, before it is one.
    pub(crate) fn digest_of_report(&self, report: &Report) -> Digest {
        let (name, key) = (report.name.as_deref(), report.match_key());
        digest::step(report.kind, name, key, &report.data, &self.ignore)
    }

    /// The recorded steps with one content at one place, in order.
    pub(super) fn twins(&self, digest: &Digest, place: Place) -> &[u32] {
        self.twins.get(&(*digest, place)).map_or(&[], Vec::as_slice)
    }

    /// Refuses a fork whose agent could not be told what it needs to be told.
    fn check(&self) -> Result<(), Refusal> {
        let needs = |step: &Step| match step.disposition {
            Disposition::Served => Some(Verb::Fulfil),
            Disposition::Anchor if self.at_closing => Some(Verb::Fulfil),
            Disposition::Anchor => Some(Verb::Edit),
            Disposition::After if self.model.is_some() && step.event.kind == EventType::Prompt => Some(Verb::Edit),
            Disposition::After | Disposition::Inside | Disposition::Superseded | Disposition::Container => None,
        };
        for step in &self.steps {
            if let Some(verb) = needs(step).filter(|verb| !step.event.accepts.contains(*verb)) {
                return Err(Refusal::NotForkable { seq: step.event.seq, verb });
            }
        }
        if self.steps.iter().any(|step| needs(step).is_some()) { Ok(()) } else { Err(Refusal::NothingToRetrace) }
    }

    fn summarize(&self) -> Summary {
        let mut summary = Summary { model: self.model.clone(), ..Summary::default() };
        let effects = [Effect::Pure, Effect::Read, Effect::Idempotent, Effect::Mutating, Effect::Unknown];
        let mut calls = effects.map(|effect| (effect, self.policies.of(effect), 0));
        for step in &self.steps {
            let runs = match step.disposition {
                Disposition::Served | Disposition::Anchor
                    if step.disposition == Disposition::Served || self.at_closing =>
                {
                    let has_result =
                        step.result.is_some() || (step.disposition == Disposition::Anchor && self.data.is_some());
                    summary.from_record += u32::from(has_result);
                    summary.without_result += u32::from(!has_result);
                    false
                }
                Disposition::Served | Disposition::Inside | Disposition::Superseded => false,
                Disposition::Container => {
                    summary.entered += 1;
                    true
                }
                // An edited tool call was asked for by name: no policy stands before it.
                Disposition::Anchor => self.data.is_none() || step.event.kind == EventType::Prompt,
                Disposition::After => true,
            };
            match step.event.kind {
                EventType::Prompt if runs && step.disposition != Disposition::Container => summary.live_prompts += 1,
                EventType::ToolCall if runs => {
                    let counted = calls.iter_mut().find(|(effect, ..)| *effect == step.event.effect);
                    counted.into_iter().for_each(|(.., count)| *count += 1);
                }
                _ => {}
            }
        }
        summary.live_calls = calls.into_iter().filter(|(.., count)| *count > 0).collect();
        summary
    }
}

impl Summary {
    /// All of it in a sentence.
    pub(crate) fn sentence(&self) -> String {
        let mut text = format!("{} served from record", self.from_record);
        // Writing into a String does not fail.
        if self.without_result > 0 {
            let _ = write!(text, ", {} without a recorded result", self.without_result);
        }
        if self.entered > 0 {
            let _ = write!(text, ", {} entered again", self.entered);
        }
        text.push_str(", then live");
        let mut parts = Vec::new();
        if self.live_prompts > 0 {
            let model = self.model.as_deref().map(|model| format!(" to {model}")).unwrap_or_default();
            parts.push(format!("{} prompt{}{model}", self.live_prompts, plural(self.live_prompts)));
        }
        for (effect, policy, count) in &self.live_calls {
            let effect = effect.name().map_or_else(|| "unclassified".to_owned(), str::to_owned);
            let will = match policy {
                Policy::Run => "run",
                Policy::Ask => "ask",
                Policy::Block => "be blocked",
            };
            parts.push(format!("{count} {effect} call{} will {will}", plural(*count)));
        }
        if !parts.is_empty() {
            let _ = write!(text, ": {}", parts.join(", "));
        }
        if self.truncated {
            text.push_str("; the beginning of the source is not retained");
        }
        text
    }
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The steps of a run, as its events tell.
#[derive(Default)]
struct Tree {
    steps: Vec<Step>,
    parents: Parents,
    /// The steps of each node, in order.
    nodes: HashMap<SmallStr, Vec<u32>>,
    /// The newest step of each type, name and data.
    newest: HashMap<u64, u32>,
    /// Those that were opened since the run ended last.
    since_end: u32,
}

impl Tree {
    /// Takes in an event, and says which step it opened or closed.
    fn see(&mut self, event: &Arc<Event>, ended: Option<&HoldEnded>) -> Option<u32> {
        let touched = match event.kind.phase() {
            Phase::Opens => {
                let place = Place::of(event, &self.parents, |node| Some(Some(self.newest(node)?)))?;
                let index = self.steps.len() as u32;
                // An edit of an opening is other input, and no result.
                let result = ended.and_then(|ended| told(&ended.decision).filter(|_| !is_edit(&ended.decision)));
                let repeat_key = repeat_key(event.kind, event.name.as_deref(), &event.data);
                if let Some(before) = self.newest.insert(repeat_key, index) {
                    let before = &mut self.steps[before as usize];
                    let same = (before.model(), &before.event.parent_id) == (model_of(event), &event.parent_id);
                    before.superseded |= same && before.closed.is_none();
                }
                self.steps.push(Step {
                    event: event.clone(),
                    place,
                    disposition: Disposition::After,
                    result,
                    closed: None,
                    over: None,
                    superseded: ended.is_some_and(|ended| ended.outcome == Outcome::Abandoned),
                    ambiguous: false,
                });
                if let Some(node) = &event.node_id {
                    self.nodes.entry(node.clone()).or_default().push(index);
                }
                Some(index)
            }
            Phase::Closes => self.closed_by(event),
            Phase::Neither => None,
        };
        if let Some(index) = touched.filter(|_| event.kind.phase() == Phase::Closes) {
            let step = &mut self.steps[index as usize];
            step.closed = Some(event.seq);
            let changed = ended.and_then(|ended| told(&ended.decision));
            step.result = changed.or(step.result.take()).or_else(|| Some(reported(event))).filter(|_| !step.ambiguous);
        }
        self.parents.see(event);
        if event.run_end {
            let open = self.steps[self.since_end as usize..].iter_mut().filter(|step| step.closed.is_none());
            open.for_each(|step| step.over = Some(event.seq));
            self.since_end = self.steps.len() as u32;
        }
        touched
    }

    /// The step that a closing event closes: of several with one node the newest that is open, as in the session.
    fn closed_by(&mut self, event: &Event) -> Option<u32> {
        let of_node = self.nodes.get(event.node_id.as_ref()?)?;
        let steps = &mut self.steps;
        let is_open = |step: &Step| step.closed.is_none() && event.kind.closes(step.event.kind);
        let open: Vec<_> = of_node.iter().copied().filter(|index| is_open(&steps[*index as usize])).collect();
        let current = |index: &u32| !steps[*index as usize].superseded && steps[*index as usize].over.is_none();
        let fitting: Vec<_> = open.iter().copied().filter(current).collect();
        if fitting.len() > 1 {
            fitting.iter().for_each(|index| steps[*index as usize].ambiguous = true);
        }
        // Of those that were superseded the newest, and only where no other fits.
        fitting.last().or(open.last()).copied()
    }

    /// The newest step of an event's node.
    fn node_of(&self, event: &Event) -> Option<u32> {
        self.newest(event.node_id.as_ref()?)
    }

    fn newest(&self, node: &SmallStr) -> Option<u32> {
        self.nodes.get(node)?.last().copied()
    }

    /// The innermost step that is open around an event now.
    fn around(&self, event: &Event) -> Option<u32> {
        let own = self.node_of(event).filter(|index| self.steps[*index as usize].closed.is_none());
        own.or_else(|| Place::of(event, &self.parents, |node| Some(Some(self.newest(node)?)))?.above)
    }
}

/// The result that a decision gave a step.
fn told(decision: &Decision) -> Option<Decision> {
    match decision {
        Decision::Fulfil { data } | Decision::Edit { data: data @ Some(_), .. } => {
            Some(Decision::Fulfil { data: data.clone() })
        }
        Decision::Fail { .. } => Some(decision.clone()),
        Decision::Proceed | Decision::Edit { data: None, .. } | Decision::Abort { .. } => None,
    }
}

fn is_edit(decision: &Decision) -> bool {
    matches!(decision, Decision::Edit { .. })
}

/// The result that a closing event reported.
fn reported(event: &Event) -> Decision {
    match event.kind {
        EventType::Error => Decision::Fail { message: message(&event.data).into(), data: Some(event.data.clone()) },
        _ => Decision::Fulfil { data: Some(event.data.clone()) },
    }
}

/// What an error says of itself, under the keys that agents use for it.
fn message(data: &Payload) -> String {
    let data: serde_json::Value = serde_json::from_str(&data.json).unwrap_or_default();
    let texts = ["message", "error", "detail"].into_iter().filter_map(|key| data.get(key));
    let text = texts.filter_map(|value| value.as_str().or_else(|| value.get("message")?.as_str())).next();
    text.unwrap_or("the recorded step failed").chars().take(MAX_MESSAGE_CHARS).collect()
}

/// Gives each step its part. `above` is the innermost step around the fork point, or the one that it names as its
/// parent.
fn assign_parts(steps: &mut [Step], point: &Event, anchor: Option<u32>, above: Option<u32>, at_closing: bool) {
    let (mut above, mut below) = (above, anchor.map_or(point.seq, |anchor| steps[anchor as usize].event.seq));
    while let Some(index) = above {
        let step = &mut steps[index as usize];
        // A step that was closed before the one below it was opened is its parent by name alone, as a model call is of
        // the tool calls that it asked for: nothing of it needs to be entered again.
        if step.is_open_at(below) {
            step.disposition = Disposition::Container;
        }
        (above, below) = (step.place.above, step.event.seq);
    }
    for index in 0..steps.len() {
        if steps[index].disposition == Disposition::Container {
            continue;
        }
        // What stands above a step was opened before it.
        let opened = steps[index].event.seq;
        let around = steps[index].place.above.map(|above| &steps[above as usize]);
        let runs_inside = around.is_some_and(|around| around.is_open_at(opened));
        let before = opened < point.seq;
        steps[index].disposition = match around.map(|around| around.disposition) {
            _ if anchor == Some(index as u32) => Disposition::Anchor,
            Some(Disposition::Inside) => Disposition::Inside,
            Some(Disposition::Served) if runs_inside => Disposition::Inside,
            Some(Disposition::Anchor) if at_closing && runs_inside => Disposition::Inside,
            Some(Disposition::Anchor | Disposition::After) => Disposition::After,
            Some(Disposition::Container | Disposition::Served | Disposition::Superseded) | None if before => {
                Disposition::Served
            }
            Some(Disposition::Container | Disposition::Served | Disposition::Superseded) | None => Disposition::After,
        };
    }
}

/// Whether the beginning of a run, or what came between its first events and the rest, is not among its events. A held
/// event outlives those around it, so that the first one alone does not tell.
pub(crate) fn is_truncated<'a>(events: impl IntoIterator<Item = &'a Event>) -> bool {
    let mut expected = 1;
    events.into_iter().any(|event| {
        let is_late = event.context.run_events > expected;
        expected = event.context.run_events + 1;
        is_late
    })
}
