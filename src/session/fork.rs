//! Forks: a run that retraces another one up to a step, and goes on live from there.
//!
//! Each step that the fork's agent opens is looked for in the [`plan::Plan`] by its content and its place in the
//! tree, never by its position or its ids. What was found decides the step's default: the recorded result, the
//! change at the fork point, or live under the policy for its effect. What was not found, before the fork point, is
//! a divergence, which is never silent.
//!
//! A fork keeps the source's steps until all of them were served; after that only what its live disposition needs.

pub(crate) mod plan;
#[cfg(test)]
pub(super) mod tests;

use std::{collections::HashMap, sync::Arc};

use super::{HoldReason, breakpoint::stop, stepping::Parents};
use crate::{
    content::{
        difference::{self, MAX_FIELDS},
        digest::Digest,
        path::Path,
        payload::Payload,
    },
    event::{Decision, Divergence, Effect, Event, EventType, Origin, Phase, Replay, RunId, Seq, SmallStr, Verb},
};
use plan::{Disposition, Place, Plan, model_of};

/// Forks kept per agent whose runs have not ended. The one that was silent the longest makes room, and its run is
/// stopped for good, so that nothing of it runs live unasked.
pub(crate) const MAX_FORKS: usize = 64;
/// Why the run of a fork is stopped that had to make room.
const FORGOTTEN: &str = "this fork was forgotten, since there are too many: fork again";
/// Nodes of a fork's own that are remembered beside those that were found. Beyond it they count as unknown.
const MAX_OWN_NODES: usize = 4_096;
/// Recorded steps that a divergence is compared with, and their payloads in all, in bytes.
const MAX_COMPARED: usize = 32;
const MAX_COMPARED_BYTES: usize = 4 * 1024 * 1024;

/// What becomes of a live tool call, the stricter the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Policy {
    Run,
    Ask,
    Block,
}

/// The policy for each effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policies {
    pub(crate) pure: Policy,
    pub(crate) read: Policy,
    pub(crate) idempotent: Policy,
    pub(crate) mutating: Policy,
    pub(crate) unknown: Policy,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            pure: Policy::Run,
            read: Policy::Run,
            idempotent: Policy::Ask,
            mutating: Policy::Ask,
            unknown: Policy::Ask,
        }
    }
}

impl Policies {
    pub(crate) fn of(&self, effect: Effect) -> Policy {
        match effect {
            Effect::Pure => self.pure,
            Effect::Read => self.read,
            Effect::Idempotent => self.idempotent,
            Effect::Mutating => self.mutating,
            Effect::Unknown => self.unknown,
        }
    }
}

/// What becomes of a step that the record does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnDivergence {
    #[default]
    Hold,
    Fail,
    Live,
}

/// What somebody asked for, checked.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// The source, where it was named.
    pub(crate) run: Option<RunId>,
    pub(crate) seq: Seq,
    pub(crate) data: Option<Payload>,
    pub(crate) model: Option<Box<str>>,
    pub(crate) policies: Policies,
    pub(crate) on_divergence: OnDivergence,
    /// Places in the data that do not count when steps are matched.
    pub(crate) ignore: Vec<Path>,
    /// Whether the model does not count either.
    pub(crate) ignore_model: bool,
}

/// One fork, as long as its run goes on.
#[derive(Debug)]
pub(super) struct Fork {
    /// Nothing, once all of it was served.
    retrace: Option<Retrace>,
    model: Option<Box<str>>,
    policies: Policies,
    /// The newest event when it was last used, and which fork of the session it is.
    pub(super) last_used: (Seq, u64),
}

#[derive(Debug)]
struct Retrace {
    plan: Arc<Plan>,
    /// By step of the plan.
    used: Vec<bool>,
    /// Which step a node of this run is; nothing for one that is none.
    nodes: HashMap<SmallStr, Option<u32>>,
    /// The agent came to the fork point.
    reached: bool,
    /// Steps that are still to be served.
    unserved: u32,
}

/// What a fork says of a step.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) default: Decision,
    /// The agent does not obey that default: its call fails instead.
    pub(super) refuses: bool,
    /// It is to be held, with or without a debugger attached, until it is released explicitly.
    pub(super) asks: Option<HoldReason>,
    /// It is no step of the live disposition: only breakpoints hold it.
    pub(super) retraced: bool,
    /// It is answered from the record, so that nothing runs, however its hold ends.
    pub(super) served: bool,
    pub(super) origin: Origin,
    /// Where the result of the step comes from.
    pub(super) result: Origin,
    pub(super) replay: Replay,
    /// The step of the plan that it is.
    pub(super) found: Option<u32>,
}

impl Verdict {
    fn new(default: Decision) -> Self {
        Self {
            default,
            refuses: false,
            asks: None,
            retraced: false,
            served: false,
            origin: Origin::Live,
            result: Origin::Live,
            replay: Replay::default(),
            found: None,
        }
    }

    /// The step does not run, in whatever way its agent obeys.
    fn stopped(event: &Event, why: &str) -> Self {
        let (default, obeys) = stop(event.accepts, why);
        Self { refuses: !obeys, ..Self::new(default) }
    }

    /// A step of a run whose fork is gone: nothing of it runs, whatever it is.
    pub(super) fn gone(event: &Event) -> Self {
        Self::stopped(event, FORGOTTEN)
    }

    fn asking(self, reason: HoldReason) -> Self {
        Self { asks: Some(reason), ..self }
    }
}

impl Fork {
    pub(super) fn new(plan: Arc<Plan>, last_used: (Seq, u64)) -> Self {
        let retrace = Retrace {
            used: vec![false; plan.steps.len()],
            nodes: HashMap::new(),
            reached: plan.anchor.is_none() && plan.to_answer == 0,
            unserved: plan.to_answer,
            plan: plan.clone(),
        };
        let mut fork = Self { retrace: Some(retrace), model: plan.model.clone(), policies: plan.policies, last_used };
        fork.forget_what_was_served();
        fork
    }

    /// What its steps are looked for in, while it retraces.
    pub(super) fn plan(&self) -> Option<Arc<Plan>> {
        self.retrace.as_ref().map(|retrace| retrace.plan.clone())
    }

    /// Bytes of the source that it keeps, as the byte limits count them.
    pub(super) fn bytes(&self) -> usize {
        self.retrace.as_ref().map_or(0, |retrace| retrace.plan.bytes)
    }

    /// Whether what belongs to no step of its own still belongs to the retraced part.
    pub(super) fn retraces(&self) -> bool {
        self.retrace.as_ref().is_some_and(|retrace| !retrace.reached)
    }

    /// What becomes of a step that the agent opens. `digest` is its content's.
    pub(super) fn judge(&self, event: &Event, digest: Option<&Digest>, parents: &Parents) -> Verdict {
        let Some(retrace) = &self.retrace else { return self.live(event) };
        let plan = &retrace.plan;
        // Made by the caller outside of its lock, but where the fork was not known then.
        let digest = &digest.copied().unwrap_or_else(|| plan.digest_of(event));
        // What lies below a step that runs live is live, too: its own hold, if it had one, was the time to ask.
        let Some(place) = retrace.place(event, parents) else { return self.live(event) };
        let Some(index) = retrace.find(event, digest, place) else {
            return if retrace.reached {
                self.live(event)
            } else {
                self.diverged(event, retrace.divergence(event, digest, place), plan.on_divergence)
            };
        };
        let step = &plan.steps[index as usize];
        let mut verdict = match step.disposition {
            Disposition::Served | Disposition::Inside => self.served(event, step, plan.on_divergence),
            Disposition::Anchor => self.at_the_fork_point(event, step, plan),
            Disposition::Container => Verdict { retraced: true, ..self.entered(event, step.event.effect) },
            Disposition::Superseded | Disposition::After => self.live_as(event, step.event.effect),
        };
        verdict.found = Some(index);
        verdict.replay.source = Some(step.event.seq);
        verdict
    }

    fn served(&self, event: &Event, step: &plan::Step, on_divergence: OnDivergence) -> Verdict {
        let Some(result) = &step.result else {
            let reason = "the recorded step has no result".into();
            let divergence = Divergence { reason, nearest: Some(step.event.seq), fields: Vec::new() };
            return self.diverged(event, divergence, on_divergence);
        };
        Verdict { origin: Origin::Recorded, result: Origin::Recorded, ..answered(event, result.clone()) }
    }

    fn at_the_fork_point(&self, event: &Event, step: &plan::Step, plan: &Plan) -> Verdict {
        if plan.at_closing {
            return match &plan.data {
                Some(data) => Verdict {
                    origin: Origin::Edited,
                    result: Origin::Edited,
                    ..answered(event, Decision::Fulfil { data: Some(data.clone()) })
                },
                None => self.served(event, step, plan.on_divergence),
            };
        }
        let model = plan.model.clone().filter(|_| event.kind == EventType::Prompt);
        if plan.data.is_some() || model.is_some() {
            edited(event, plan.data.clone(), model)
        } else {
            self.live_as(event, step.event.effect)
        }
    }

    /// A step of the live part.
    fn live(&self, event: &Event) -> Verdict {
        self.live_as(event, event.effect)
    }

    /// A step of the live disposition that was recorded with an effect.
    fn live_as(&self, event: &Event, recorded: Effect) -> Verdict {
        match (event.kind, &self.model) {
            (EventType::Prompt, Some(model)) => edited(event, None, Some(model.clone())),
            _ => self.entered(event, recorded),
        }
    }

    /// A step that runs as it was submitted, if its effect lets it: the one that it says now, and the one that it was
    /// recorded with, from which the plan was made.
    fn entered(&self, event: &Event, recorded: Effect) -> Verdict {
        let policy = match event.kind {
            EventType::ToolCall => self.policies.of(event.effect).max(self.policies.of(recorded)),
            _ => Policy::Run,
        };
        match policy {
            Policy::Run => Verdict::new(Decision::Proceed),
            Policy::Ask => {
                Verdict::stopped(event, "nobody approved that this step runs again").asking(HoldReason::Effect)
            }
            Policy::Block => Verdict::stopped(event, "this fork lets no step with this effect run"),
        }
    }

    fn diverged(&self, event: &Event, divergence: Divergence, then: OnDivergence) -> Verdict {
        let verdict = match then {
            OnDivergence::Live => self.live(event),
            OnDivergence::Fail => Verdict::stopped(event, &divergence.reason),
            OnDivergence::Hold => Verdict::stopped(event, &divergence.reason).asking(HoldReason::Divergence),
        };
        Verdict { replay: Replay { source: None, divergence: Some(divergence) }, ..verdict }
    }

    /// Takes in a step that the agent opened, and what it was found to be.
    pub(super) fn see(&mut self, event: &Event, found: Option<u32>) {
        self.last_used.0 = event.seq;
        let Some(retrace) = &mut self.retrace else { return };
        if event.kind.phase() != Phase::Opens {
            return;
        }
        if let Some(node) = &event.node_id
            && (found.is_some() || retrace.nodes.len() < retrace.used.len() + MAX_OWN_NODES)
        {
            retrace.nodes.insert(node.clone(), found);
        }
        let Some(index) = found else { return };
        retrace.used[index as usize] = true;
        match retrace.plan.steps[index as usize].disposition {
            Disposition::Served => retrace.unserved -= 1,
            Disposition::Anchor => {
                retrace.reached = true;
                retrace.unserved -= u32::from(retrace.plan.at_closing);
            }
            Disposition::Container | Disposition::Inside | Disposition::Superseded | Disposition::After => {}
        }
        retrace.reached |= retrace.plan.anchor.is_none() && retrace.unserved == 0;
        self.forget_what_was_served();
    }

    /// Somebody let a step run that was to be answered: its node is none of the source's any more. A step that runs
    /// anyway stays what it was found to be, and so do the steps inside.
    pub(super) fn runs_live(&mut self, node: &SmallStr) {
        let Some(retrace) = &mut self.retrace else { return };
        let Some(found) = retrace.nodes.get_mut(node) else { return };
        let was_answered = |index: u32| match retrace.plan.steps[index as usize].disposition {
            Disposition::Served | Disposition::Inside => true,
            Disposition::Anchor => retrace.plan.at_closing,
            Disposition::Container | Disposition::Superseded | Disposition::After => false,
        };
        if found.is_some_and(was_answered) {
            *found = None;
        }
    }

    fn forget_what_was_served(&mut self) {
        if self.retrace.as_ref().is_some_and(|retrace| retrace.reached && retrace.unserved == 0) {
            self.retrace = None;
        }
    }
}

/// A step that does not run, since it has a result already.
fn answered(event: &Event, result: Decision) -> Verdict {
    let obeys = result.verb().is_none_or(|verb| event.accepts.contains(verb));
    let verdict = if obeys {
        Verdict::new(result)
    } else {
        Verdict::stopped(event, "this step has a recorded result, and does not accept it")
    };
    Verdict { retraced: true, served: true, ..verdict }
}

/// A step that runs with something else than the agent submitted.
fn edited(event: &Event, data: Option<Payload>, model: Option<Box<str>>) -> Verdict {
    let verdict = if event.accepts.contains(Verb::Edit) {
        Verdict::new(Decision::Edit { data, model })
    } else {
        Verdict::stopped(event, "this fork changes the step, and the step does not accept edit")
    };
    Verdict { origin: Origin::Edited, ..verdict }
}

impl Retrace {
    /// The oldest recorded step that has this content, model and place, of those that were not found yet; then one of
    /// which either side does not say the model. Another model's only where the fork ignores the model.
    fn find(&self, event: &Event, digest: &Digest, place: Place) -> Option<u32> {
        let unused = || self.plan.twins(digest, place).iter().copied().filter(|index| !self.used[*index as usize]);
        let same_model = unused().find(|index| self.plan.steps[*index as usize].model() == model_of(event));
        let untold = || unused().find(|index| self.may_be_same_model(&self.plan.steps[*index as usize], event));
        same_model.or_else(untold).or_else(|| unused().next().filter(|_| self.plan.ignore_model))
    }

    /// Whether nothing says that the record asked another model: a model that is absent contradicts none.
    fn may_be_same_model(&self, step: &plan::Step, event: &Event) -> bool {
        let (recorded, submitted) = (step.model(), model_of(event));
        recorded.is_none() || submitted.is_none() || recorded == submitted
    }

    /// Where a step of this run stands in the source's tree; nothing below what is not of the source.
    fn place(&self, event: &Event, parents: &Parents) -> Option<Place> {
        Place::of(event, parents, |node| self.nodes.get(node).copied())
    }

    /// Says why a step was not found.
    fn divergence(&self, event: &Event, digest: &Digest, place: Place) -> Divergence {
        let twins = self.plan.twins(digest, place);
        let twins: Vec<_> =
            twins.iter().map(|index| (&self.plan.steps[*index as usize], self.used[*index as usize])).collect();
        let model = model_of(event);
        let counts = |step: &plan::Step| self.plan.ignore_model || self.may_be_same_model(step, event);
        let same: Vec<_> = twins.iter().filter(|(step, _)| counts(step)).collect();
        if let Some((last, _)) = same.last() {
            let reason = format!("the record has this step {} times, and this is one more", same.len());
            return Divergence { reason: reason.into(), nearest: Some(last.event.seq), fields: Vec::new() };
        }
        let unused = twins.iter().find(|(_, used)| !used);
        if let Some((nearest, _)) = unused.or(twins.last()) {
            return Divergence {
                reason: "the record has this step for another model only".into(),
                nearest: Some(nearest.event.seq),
                fields: Vec::from_iter(difference::Field::label("model", nearest.model(), model)),
            };
        }
        // The same content elsewhere, then what is alike: the same place, the same name, the order of the record.
        let steps = self.plan.steps.iter().zip(&self.used);
        let is_left_out = |step: &plan::Step| matches!(step.disposition, Disposition::Inside | Disposition::Superseded);
        let alike = steps.filter(|(step, used)| !**used && step.event.kind == event.kind && !is_left_out(step));
        let mut alike: Vec<_> = alike.map(|(step, _)| step).collect();
        alike.sort_by_key(|step| (step.event.name != event.name, step.place != place));
        let mut bytes = event.data.json.len();
        let mut nearest = None::<(&plan::Step, difference::Differences)>;
        for step in alike.into_iter().take(MAX_COMPARED) {
            bytes += step.event.data.json.len();
            if bytes > MAX_COMPARED_BYTES && nearest.is_some() {
                break;
            }
            let mut found = difference::between(&step.event.data.json, &event.data.json, &self.plan.ignore);
            let model = difference::Field::label("model", step.model(), model).filter(|_| !self.plan.ignore_model);
            let labels = [
                model,
                difference::Field::label("name", step.event.name.as_deref(), event.name.as_deref()),
                difference::Field::label("match_key", step.event.match_key(), event.match_key()),
            ];
            for label in labels.into_iter().flatten() {
                found.count += 1;
                found.fields.insert(0, label);
            }
            found.fields.truncate(MAX_FIELDS);
            if nearest.as_ref().is_none_or(|(_, best)| found.count < best.count) {
                nearest = Some((step, found));
            }
        }
        match nearest {
            None => Divergence {
                reason: format!("the record has no other {}", event.kind.name()).into(),
                nearest: None,
                fields: Vec::new(),
            },
            Some((step, found)) => {
                // Without its number, which means nothing in a file.
                let reason = match found.count {
                    0 => "the record has this step at another place in the tree".to_owned(),
                    1 => "the nearest step of the record differs in 1 field".to_owned(),
                    count => format!("the nearest step of the record differs in {count} fields"),
                };
                Divergence { reason: reason.into(), nearest: Some(step.event.seq), fields: found.fields }
            }
        }
    }
}
