//! Breakpoints: where to stop, or to log, and what a hit does.
//!
//! An event is looked at by the cheap filters first (type, name, run); only what fits reaches a condition, and the
//! event's values are made once for all conditions. Step targets are kept apart: they are modes, in `stepping`.

#[cfg(test)]
mod tests;

use std::{borrow::Borrow, cell::OnceCell, sync::Arc, time::Duration};

use super::condition::{Condition, Sees, Size, facts::Facts, template::Template};
use crate::{
    content::{
        mask::{self, Masked},
        payload::Payload,
    },
    event::{Accepts, Decision, Event, EventType, Report, RunId, Verb},
};

/// Breakpoints per agent.
pub(crate) const MAX_BREAKPOINTS: usize = 100;
/// What one evaluation may take, and how often it may take longer before it is switched off.
pub(crate) const BUDGET: Duration = Duration::from_millis(5);
const MAX_OVERRUNS: u8 = 3;
/// What all conditions may take at one event. Those that come too late are not evaluated: gates hold the event, other
/// breakpoints do not stop it and say so.
pub(crate) const EVENT_BUDGET: Duration = Duration::from_millis(100);
/// What they may take, as it is estimated, to be evaluated where the event comes in: under the agent's lock, on a
/// thread that serves others as well.
pub(crate) const TRIVIAL: Duration = Duration::from_millis(1);

/// What somebody asked for, checked.
#[derive(Debug)]
pub(crate) struct Spec {
    /// None means all.
    pub(crate) types: Vec<EventType>,
    pub(crate) name: Option<glob::Pattern>,
    pub(crate) run: Option<RunId>,
    pub(crate) condition: Option<Condition>,
    pub(crate) hit_condition: Option<Condition>,
    pub(crate) log: Option<Template>,
    pub(crate) once: bool,
    pub(crate) enabled: bool,
    pub(crate) all_stop: bool,
    /// An approval gate: it holds with or without a debugger attached, and only an explicit release opens it.
    pub(crate) gate: bool,
    pub(crate) timeout: Option<Duration>,
    /// What becomes of a step whose gate nobody opened in time.
    pub(crate) proceeds: bool,
}

/// A breakpoint of one agent.
#[derive(Clone, Debug)]
pub(crate) struct Breakpoint {
    pub(crate) id: u64,
    pub(crate) spec: Arc<Spec>,
    pub(crate) enabled: bool,
    /// Events for which the condition held.
    pub(crate) hits: u64,
    /// Why the last evaluation failed, or why it was switched off.
    pub(crate) problem: Option<Box<str>>,
    overruns: u8,
}

/// Why a held step waits for an approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) timeout: Option<Duration>,
    pub(crate) proceeds: bool,
}

/// What an event ran into.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    /// The breakpoints at which it stops.
    pub(super) stops: Vec<u64>,
    pub(super) gate: Option<Gate>,
    pub(super) all_stop: bool,
    /// Which of them log, and what.
    pub(super) logs: Vec<(u64, Message)>,
    /// Those that changed by it: counted, failed, switched off.
    pub(super) touched: Vec<Breakpoint>,
    /// Those that were for one stop only.
    pub(super) gone: Vec<u64>,
}

/// What a breakpoint logs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) text: String,
    /// What it would say of the event with its secrets masked, where that differs.
    pub(super) masked: Option<String>,
}

/// The largest event that is masked for a message, in bytes: the agent waits meanwhile.
const MAX_MASKED_BYTES: usize = 64 * 1024;

/// The breakpoints that an event has to be looked at with: gates first, and the quickest first, so that what is slow
/// keeps nothing else from being evaluated.
#[derive(Debug)]
pub(crate) struct Looks<B = Breakpoint> {
    breakpoints: Vec<B>,
    /// Of how many changes of the breakpoints they are.
    pub(super) revision: u64,
    pub(super) attached: bool,
    cost: Duration,
}

impl<'b> Looks<&'b Breakpoint> {
    /// Those of `breakpoints` that fit a report.
    pub(super) fn at(
        report: &Report,
        breakpoints: impl Iterator<Item = &'b Breakpoint>,
        revision: u64,
        attached: bool,
    ) -> Self {
        let metadata = report.details.as_ref().and_then(|details| details.metadata.as_ref());
        let size = Size::of(&report.data.json, metadata.map_or("", |metadata| &metadata.json));
        let fits = |breakpoint: &&Breakpoint| {
            let is_on = breakpoint.enabled && (attached || breakpoint.spec.gate);
            is_on && breakpoint.spec.fits_step(report.kind, report.name.as_deref(), &report.run_id)
        };
        let mut costs: Vec<_> = breakpoints.filter(fits).map(|it| (it, it.spec.cost(&size))).collect();
        let reads = costs.iter().any(|(_, cost)| !cost.is_zero());
        let cost = costs.iter().map(|(_, cost)| *cost).sum::<Duration>();
        costs.sort_by_key(|(breakpoint, cost)| (!breakpoint.spec.gate, *cost));
        Self {
            breakpoints: costs.into_iter().map(|(breakpoint, _)| breakpoint).collect(),
            revision,
            attached,
            cost: if reads { cost + size.reading() } else { cost },
        }
    }

    /// The same, apart from the session.
    pub(crate) fn owned(self) -> Looks {
        let Self { revision, attached, cost, .. } = self;
        Looks { breakpoints: self.breakpoints.into_iter().cloned().collect(), revision, attached, cost }
    }
}

impl<B: Borrow<Breakpoint>> Looks<B> {
    /// Whether they can be evaluated at once, without delaying other requests.
    pub(crate) fn is_trivial(&self) -> bool {
        self.cost <= TRIVIAL
    }

    /// Looks at an event with all of them. `clock` is the steady one.
    pub(crate) fn evaluate(&self, event: &Event, clock: &dyn Fn() -> Duration) -> Hits {
        let subject = Subject::new(event, self.breakpoints.iter().map(|it| &*it.borrow().spec));
        if !self.cost.is_zero() {
            // Reading the event is paid for by its size, not by whichever condition comes first.
            subject.facts();
        }
        let began = clock();
        let mut time = began;
        let mut hits = Hits::default();
        for breakpoint in self.breakpoints.iter().map(Borrow::borrow) {
            if breakpoint.spec.evaluates() && time.saturating_sub(began) > EVENT_BUDGET {
                breakpoint.miss(&mut hits);
            } else {
                time = breakpoint.look(&subject, time, clock, &mut hits);
            }
        }
        hits.in_order()
    }

    /// What becomes of an event that there was no time to look into: only what needs no condition is looked at.
    pub(super) fn missed(&self, event: &Event) -> Hits {
        let subject = Subject::new(event, []);
        let mut hits = Hits::default();
        for breakpoint in self.breakpoints.iter().map(Borrow::borrow) {
            if breakpoint.spec.evaluates() {
                breakpoint.miss(&mut hits);
            } else {
                breakpoint.look(&subject, Duration::ZERO, &|| Duration::ZERO, &mut hits);
            }
        }
        hits.in_order()
    }
}

impl Hits {
    /// By breakpoint, whichever was evaluated first.
    fn in_order(mut self) -> Self {
        self.stops.sort_unstable();
        self.logs.sort_by_key(|(id, _)| *id);
        self.touched.sort_by_key(|breakpoint| breakpoint.id);
        self.gone.sort_unstable();
        self
    }
}

/// One event, whose values are made when the first condition asks.
pub(crate) struct Subject<'a> {
    event: &'a Event,
    sees: Sees,
    facts: OnceCell<Facts>,
}

impl<'a> Subject<'a> {
    /// For these specs: what none of them looks at is not made.
    pub(crate) fn new<'s>(event: &'a Event, specs: impl IntoIterator<Item = &'s Spec>) -> Self {
        let sees = specs.into_iter().map(Spec::sees).fold(Sees::default(), Sees::and);
        Self { event, sees, facts: OnceCell::new() }
    }

    /// What a template says of the event. What it takes out of its place, away from the key that makes a secret of it,
    /// nothing could tell from any other text later.
    fn message(&self, template: &Template) -> Message {
        let text = template.render(self.facts());
        let sees = template.sees();
        let may_hold_secrets = ["data", "metadata", "name", "model", "match_key", "checkpoint_id", "run_id"]
            .iter()
            .any(|field| sees.has_field(field));
        if !may_hold_secrets {
            return Message { text, masked: None };
        }
        let masked = if self.event.bytes() > MAX_MASKED_BYTES {
            template.render_nothing()
        } else {
            self.masked().map_or_else(|| text.clone(), |event| template.render(&Facts::seen(&event, sees)))
        };
        Message { masked: (masked != text).then_some(masked), text }
    }

    /// The event with the secrets masked that a message may take from it; nothing where it has none.
    fn masked(&self) -> Option<Event> {
        let mut found = Masked::new();
        let mut event = self.event.clone();
        let mut payload = |payload: &mut Payload| {
            if let Some(json) = mask::json(&payload.json, &mut found) {
                payload.json = json.into();
            }
        };
        payload(&mut event.data);
        if let Some(metadata) = event.details.as_mut().and_then(|details| details.metadata.as_mut()) {
            payload(metadata);
        }
        (!found.is_empty()).then_some(event)
    }

    pub(super) fn facts(&self) -> &Facts {
        self.facts.get_or_init(|| Facts::seen(self.event, self.sees))
    }
}

impl Spec {
    /// What its condition and its message look at.
    fn sees(&self) -> Sees {
        let condition = self.condition.as_ref().map_or(Sees::default(), |condition| condition.sees);
        condition.and(self.log.as_ref().map_or(Sees::default(), Template::sees))
    }

    /// Whether its condition counts the repetitions of a step.
    pub(crate) fn counts_repeats(&self) -> bool {
        self.condition.as_ref().is_some_and(|condition| condition.sees.has_variable("repeats"))
    }

    /// Whether a condition that cannot be judged stops a step all the same: a gate lets nothing pass unseen.
    pub(crate) fn stops_unjudged(&self) -> bool {
        self.gate && self.log.is_none()
    }

    /// Whether the filters let an event through to the condition.
    pub(crate) fn fits(&self, event: &Event) -> bool {
        self.fits_step(event.kind, event.name.as_deref(), &event.run_id)
    }

    fn fits_step(&self, kind: EventType, name: Option<&str>, run_id: &RunId) -> bool {
        (self.types.is_empty() || self.types.contains(&kind))
            && self.run.as_ref().is_none_or(|run| run == run_id)
            && self.name.as_ref().is_none_or(|glob| name.is_some_and(|name| glob.matches(name)))
    }

    /// Whether an event that fits has to be looked into.
    fn evaluates(&self) -> bool {
        self.condition.is_some() || self.log.is_some()
    }

    /// About how long looking into an event of this size may take.
    fn cost(&self, size: &Size<'_>) -> Duration {
        let condition = self.condition.as_ref().map_or(Duration::ZERO, |condition| condition.cost(size));
        condition + self.log.as_ref().map_or(Duration::ZERO, |log| log.cost(size))
    }

    /// Whether an event that fits is a hit, if it is the `hits`th for which the condition holds.
    pub(crate) fn condition_holds(&self, subject: &Subject<'_>) -> Result<bool, String> {
        self.condition.as_ref().map_or(Ok(true), |condition| condition.holds(subject.facts()))
    }

    pub(crate) fn counts(&self, hits: u64) -> Result<bool, String> {
        self.hit_condition.as_ref().map_or(Ok(true), |condition| condition.holds(&Facts::of_hits(hits)))
    }
}

/// The name of a breakpoint, as people and the wire have it.
pub(crate) fn label(id: u64) -> String {
    format!("b{id}")
}

impl Breakpoint {
    pub(super) fn with_hits(id: u64, spec: Arc<Spec>, hits: u64) -> Self {
        Self { id, enabled: spec.enabled, spec, hits, problem: None, overruns: 0 }
    }

    /// Looks at an event that fits, from a time on, and adds what it does to `hits`. Says what time it is then, by the
    /// steady clock.
    fn look(&self, subject: &Subject<'_>, began: Duration, clock: &dyn Fn() -> Duration, hits: &mut Hits) -> Duration {
        let mut after = self.clone();
        let stops = after.evaluate(subject, hits);
        let ended = clock();
        if ended.saturating_sub(began) > BUDGET {
            after.overran();
        } else {
            after.overruns = 0;
        }
        self.add(after, stops, hits);
        ended
    }

    /// Adds what becomes of an event that fits and that there was no time to look into: a gate fails closed.
    fn miss(&self, hits: &mut Hits) {
        let mut after = self.clone();
        let limit = EVENT_BUDGET.as_millis();
        after.problem = Some(format!("not evaluated: the conditions at one event took longer than {limit} ms").into());
        self.add(after, self.spec.gate && self.spec.log.is_none(), hits);
    }

    fn add(&self, after: Self, stops: bool, hits: &mut Hits) {
        if stops {
            hits.stops.push(self.id);
            hits.all_stop |= self.spec.all_stop;
            if self.spec.gate {
                let gate = Gate { timeout: self.spec.timeout, proceeds: self.spec.proceeds };
                hits.gate = Some(hits.gate.map_or(gate, |other| other.stricter(gate)));
            }
        }
        let logs = hits.logs.last().is_some_and(|(id, _)| *id == self.id);
        if self.spec.once && (stops || logs) {
            hits.gone.push(self.id);
        } else if after.differs(self) {
            hits.touched.push(after);
        }
    }

    /// Counts, logs, and says whether to stop. What fails is written down and stops nothing.
    fn evaluate(&mut self, subject: &Subject<'_>, hits: &mut Hits) -> bool {
        let spec = self.spec.clone();
        let hit = spec.condition_holds(subject).and_then(|holds| {
            if !holds {
                return Ok(false);
            }
            self.hits += 1;
            spec.counts(self.hits)
        });
        match (hit, &spec.log) {
            (Ok(true), None) => true,
            (Ok(true), Some(template)) => {
                hits.logs.push((self.id, subject.message(template)));
                false
            }
            (Ok(false), _) => false,
            // What fails stops nothing, but at a gate: what cannot be judged there is for somebody to decide.
            (Err(problem), _) => {
                self.problem = Some(problem.into());
                spec.stops_unjudged()
            }
        }
    }

    fn overran(&mut self) {
        self.overruns = self.overruns.saturating_add(1);
        // A gate is never switched off: its steps would pass unseen.
        self.problem = Some(if self.overruns >= MAX_OVERRUNS && !self.spec.gate {
            self.enabled = false;
            format!("switched off: took longer than {} ms {MAX_OVERRUNS} times in a row", BUDGET.as_millis()).into()
        } else {
            format!("took longer than {} ms", BUDGET.as_millis()).into()
        });
    }

    fn differs(&self, other: &Self) -> bool {
        (self.hits, self.overruns, &self.problem) != (other.hits, other.overruns, &other.problem)
    }
}

impl Gate {
    /// Of two gates, the sooner time-out and the safer ending.
    pub(super) fn stricter(self, other: Self) -> Self {
        let timeout = [self.timeout, other.timeout].into_iter().flatten().min();
        Self { timeout, proceeds: self.proceeds && other.proceeds }
    }
}

/// A decision that keeps a step from running: fail, or abort where that is all that its agent obeys. Says whether it
/// obeys either.
pub(super) fn stop(accepts: Accepts, why: &str) -> (Decision, bool) {
    let fail = || Decision::Fail { message: why.into(), data: None };
    match (accepts.contains(Verb::Fail), accepts.contains(Verb::Abort)) {
        (true, _) => (fail(), true),
        (false, true) => (Decision::Abort { reason: why.into() }, true),
        (false, false) => (fail(), false),
    }
}
