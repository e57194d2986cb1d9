//! The plan of a fork: what its source recorded, and which disposition each step of it has.

use std::{collections::HashMap, fmt::Write, sync::Arc};

use super::{OnDivergence, Policies, Policy, Spec};
use crate::{
    content::{digest::Digest, path::Path, payload::Payload},
    event::{
        Decision, Effect, Event, EventType, History, HoldEnded, Phase, Report, RunId, Seq, SmallStr, Verb, digest,
    },
    session::{Refusal, stepping::Parents},
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
    /// It lies below what is answered from the record, and will not be opened again.
    Inside,
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
    /// When it was closed.
    closed: Option<Seq>,
    /// Another step of the same node was open when it, or the other, was closed: nobody knows whose result that was.
    ambiguous: bool,
}

impl Step {
    /// What it keeps of the source, as the byte limits count it.
    fn bytes(&self) -> usize {
        let result = match &self.result {
            Some(Decision::Fulfil { data } | Decision::Fail { data, .. }) => data.as_ref(),
            _ => None,
        };
        self.event.bytes() + result.map_or(0, |data| data.json.len())
    }
}

/// What people are told when they fork.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) from_record: u32,
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
    pub(crate) summary: Summary,
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
            bytes: steps.iter().map(Step::bytes).sum(),
            steps,
            data: spec.data,
            model: spec.model,
            policies: spec.policies,
            on_divergence: spec.on_divergence,
            ignore: spec.ignore,
        };
        plan.check()?;
        for (index, step) in plan.steps.iter().enumerate().filter(|(_, step)| step.disposition != Disposition::Inside) {
            let digest = plan.digest_of(&step.event);
            plan.twins.entry((digest, step.place)).or_default().push(index as u32);
        }
        plan.summary = plan.summarize();
        plan.summary.truncated = source.first().is_some_and(|(event, _)| event.context.run_events > 1);
        Ok(plan)
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
            Disposition::After | Disposition::Inside | Disposition::Container => None,
        };
        for step in &self.steps {
            if let Some(verb) = needs(step).filter(|verb| !step.event.accepts.contains(*verb)) {
                return Err(Refusal::NotForkable { seq: step.event.seq, verb });
            }
        }
        match self.steps.iter().any(|step| needs(step).is_some()) {
            true => Ok(()),
            false => Err(Refusal::NothingToRetrace),
        }
    }

    fn summarize(&self) -> Summary {
        let mut summary = Summary { model: self.model.clone(), ..Summary::default() };
        let effects = [Effect::Pure, Effect::Read, Effect::Idempotent, Effect::Mutating, Effect::Unknown];
        let mut calls = effects.map(|effect| (effect, self.policies.of(effect), 0));
        for step in &self.steps {
            let runs = match step.disposition {
                Disposition::Served => {
                    summary.from_record += 1;
                    false
                }
                Disposition::Anchor if self.at_closing => {
                    summary.from_record += 1;
                    false
                }
                Disposition::Container => {
                    summary.entered += 1;
                    true
                }
                // An edited tool call was asked for by name: no policy stands before it.
                Disposition::Anchor => self.data.is_none() || step.event.kind == EventType::Prompt,
                Disposition::After => true,
                Disposition::Inside => false,
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
                self.steps.push(Step {
                    event: event.clone(),
                    place,
                    disposition: Disposition::After,
                    result,
                    closed: None,
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
        touched
    }

    /// The step that a closing event closes: of several with one node the newest that is open, as in the session.
    fn closed_by(&mut self, event: &Event) -> Option<u32> {
        let of_node = self.nodes.get(event.node_id.as_ref()?)?;
        let steps = &mut self.steps;
        let is_open = |step: &Step| step.closed.is_none() && event.kind.closes(step.event.kind);
        let open: Vec<_> = of_node.iter().copied().filter(|index| is_open(&steps[*index as usize])).collect();
        if open.len() > 1 {
            open.iter().for_each(|index| steps[*index as usize].ambiguous = true);
        }
        open.last().copied()
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

/// Gives each step its part. `above` is the innermost step that is open around the fork point.
fn assign_parts(steps: &mut [Step], point: &Event, anchor: Option<u32>, above: Option<u32>, at_closing: bool) {
    let mut above = above;
    while let Some(index) = above {
        let step = &mut steps[index as usize];
        step.disposition = Disposition::Container;
        above = step.place.above;
    }
    for index in 0..steps.len() {
        if steps[index].disposition == Disposition::Container {
            continue;
        }
        // What stands above a step was opened before it.
        let around = steps[index].place.above.map(|above| steps[above as usize].disposition);
        let before = steps[index].event.seq < point.seq;
        steps[index].disposition = match around {
            _ if anchor == Some(index as u32) => Disposition::Anchor,
            Some(Disposition::Served | Disposition::Inside) => Disposition::Inside,
            Some(Disposition::Anchor) if at_closing => Disposition::Inside,
            Some(Disposition::Anchor | Disposition::After) => Disposition::After,
            Some(Disposition::Container) | None if before => Disposition::Served,
            Some(Disposition::Container) | None => Disposition::After,
        };
    }
}
