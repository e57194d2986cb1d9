//! A Trace: numbering the event, finding its node, and whether it is held.

use std::{sync::Arc, time::Duration};

use super::{
    Change, Hold, HoldReason, Mode, Recorded, Run, Session,
    breakpoint::{Breakpoint, Gate, Hits, Looks, Message, label, stop},
    fork::Verdict,
    hold::decided,
    repeats::repeat_key,
};
use crate::{
    content::{
        digest::Digest,
        mask::LOGGED_MASKED,
        payload::{Encoding, Payload},
    },
    event::{
        Accepts, Answer, Decision, Effect, Event, EventType, Moment, Origin, Phase, Report, RunContext, Seq, SmallStr,
    },
};

/// A step as it comes to the session.
#[derive(Clone, Debug)]
pub(crate) struct Reported {
    pub(crate) report: Report,
    /// Of the body, where the request has an id.
    pub(crate) fingerprint: u64,
    /// Of the content, where its run retraces another and the step opens something.
    pub(crate) digest: Option<Digest>,
}

/// A step with its number and its node, before it is decided whether it is held.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) event: Arc<Event>,
    fingerprint: u64,
    repeat_key: u64,
    may_hold: bool,
    /// What its fork says of it.
    verdict: Option<Verdict>,
    /// Why its run was stopped.
    aborted: Option<Box<str>>,
}

impl Prepared {
    /// Whether conditions see the same in both, of one report.
    pub(crate) fn looks_like(&self, other: &Self) -> bool {
        let seen = |it: &Self| (it.event.seq, it.event.node_id.clone(), it.event.origin, it.event.context);
        seen(self) == seen(other) && self.aborted.is_some() == other.aborted.is_some()
    }
}

impl Session {
    /// Numbers a reported step, finds its node and says whether it is held; and what else comes of it.
    ///
    /// `room` is whether the process can hold another Trace. Where it cannot, or this session has its fill, the
    /// step is recorded and yields its default: a limit never stops an agent that only records. `clock` is the
    /// steady one, for the budget of conditions.
    pub(crate) fn trace(
        &self,
        reported: Reported,
        room: bool,
        now: Moment,
        clock: &dyn Fn() -> Duration,
    ) -> (Recorded, Vec<Change>) {
        let looks = self.looks(&reported.report);
        self.trace_with(reported, looks, room, now, clock)
    }

    /// The same where it is known what a step has to be looked at with.
    pub(crate) fn trace_with(
        &self,
        reported: Reported,
        looks: Option<Looks<&Breakpoint>>,
        room: bool,
        now: Moment,
        clock: &dyn Fn() -> Duration,
    ) -> (Recorded, Vec<Change>) {
        let prepared = self.prepare(reported, now);
        let hits = looks.map_or_else(Hits::default, |looks| looks.evaluate(&prepared.event, clock));
        self.decide(prepared, hits, room, now)
    }

    /// The same where there is no time for conditions.
    pub(crate) fn trace_missed(&self, reported: Reported, room: bool, now: Moment) -> (Recorded, Vec<Change>) {
        let looks = self.looks(&reported.report);
        let prepared = self.prepare(reported, now);
        let hits = looks.map_or_else(Hits::default, |looks| looks.missed(&prepared.event));
        self.decide(prepared, hits, room, now)
    }

    /// The breakpoints that a step has to be looked at with; nothing where there are none, or where its run is stopped.
    pub(crate) fn looks(&self, report: &Report) -> Option<Looks<&Breakpoint>> {
        if self.breakpoints.is_empty() || self.runs.get(&report.run_id).is_some_and(|run| run.aborted.is_some()) {
            return None;
        }
        Some(Looks::at(report, self.breakpoints.values(), self.breakpoint_revision, self.attached))
    }

    /// Whether the breakpoints are those that were looked with.
    pub(crate) fn still_has(&self, looks: &Looks) -> bool {
        (looks.revision, looks.attached) == (self.breakpoint_revision, self.attached)
    }

    /// Numbers a reported step and finds its node.
    pub(crate) fn prepare(&self, reported: Reported, now: Moment) -> Prepared {
        let Reported { mut report, fingerprint, digest } = reported;
        let may_hold = report.may_hold;
        let known = self.runs.get_key_value(&report.run_id);
        let run = known.map(|(_, run)| run);
        if let Some((id, _)) = known {
            // A run has many events: they share its name.
            report.run_id = id.clone();
        }
        let (mut event, repeat_key) = self.event(report, run, now);
        // What an abort answers uses up nothing of a fork's record.
        let aborted = run.and_then(|run| run.aborted.clone());
        let forked = run.filter(|_| event.kind.phase() == Phase::Opens && aborted.is_none());
        let verdict = forked.and_then(|run| match (&run.fork, run.forgotten) {
            (Some(fork), _) => Some(fork.judge(&event, digest.as_ref(), &run.parents)),
            (None, true) => Some(Verdict::gone(&event)),
            (None, false) => None,
        });
        if let Some(verdict) = &verdict {
            event.origin = verdict.origin;
            let replay = Some(&verdict.replay).filter(|replay| replay.source.is_some() || replay.divergence.is_some());
            event.replay = replay.cloned().map(Box::new);
        }
        Prepared { event: Arc::new(event), fingerprint, repeat_key, may_hold, verdict, aborted }
    }

    /// Says whether a prepared step is held, given what breakpoints say of it; and what else comes of it.
    pub(crate) fn decide(&self, prepared: Prepared, hits: Hits, room: bool, now: Moment) -> (Recorded, Vec<Change>) {
        let Prepared { event, fingerprint, repeat_key, may_hold, verdict, aborted } = prepared;
        let run = self.runs.get(&event.run_id);
        let (found, result) = verdict.as_ref().map_or((None, Origin::Live), |verdict| (verdict.found, verdict.result));
        let mut answer = Answer::passed(&event, self.total() + 1);
        let is_aborted = aborted.is_some();
        // What asks never to be held is held at a gate all the same.
        let hold = self.hold_for(&event, run, &hits, verdict.as_ref(), answer.total);
        let hold = hold.filter(|hold| !is_aborted && (may_hold || hold.gate.is_some()));
        if let Some(reason) = aborted {
            answer.decision = Decision::Abort { reason };
        } else if let Some(hold) = &hold {
            (answer.decision, answer.refused) = (hold.default.clone(), hold.refuses);
        } else if let Some(verdict) = verdict {
            (answer.decision, answer.refused) = (verdict.default, verdict.refuses);
        }
        let wanted = hold.is_some();
        let hold = hold.filter(|_| room && self.holds.len() < self.max_holds).map(|hold| Hold { since: now, ..hold });
        let over_limit = wanted && hold.is_none();
        let mut more = self.consequences(&event, run, hits, hold.is_some(), now);
        // Nobody sees an answer to a step that was not held, unless it is written down.
        if hold.is_none() && !is_aborted && answer.decision != Decision::Proceed {
            more.insert(0, Change::Decided(Arc::new(decided(&event, answer.decision.clone()))));
        }
        (Recorded { event, at: now.steady, hold, fingerprint, answer, repeat_key, over_limit, result, found }, more)
    }

    /// The event that a report becomes, and what it opened as a number.
    fn event(&self, report: Report, run: Option<&Run>, now: Moment) -> (Event, u64) {
        let seq = Seq(self.next);
        let opens = report.kind.phase() == Phase::Opens;
        let node_id = report.node_id.or_else(|| match report.kind.phase() {
            Phase::Opens => Some(own_node(seq)),
            Phase::Closes => run?.open.only_match(report.kind, report.name.as_deref(), report.parent_id.as_deref()),
            Phase::Neither => None,
        });
        let repeat_key = if opens { repeat_key(report.kind, report.name.as_deref(), &report.data) } else { 0 };
        let tokens = report.details.as_ref().map_or(0, |details| details.tokens());
        let depth = run.map_or(u32::from(report.parent_id.is_some()), |run| {
            run.parents.depth(node_id.as_ref(), report.parent_id.as_ref())
        });
        let context = RunContext {
            depth,
            repeats: match (opens, run) {
                (false, _) => 0,
                (true, Some(run)) if run.repeats.0 == repeat_key => run.repeats.1 + 1,
                (true, _) => 1,
            },
            run_events: run.map_or(0, |run| run.events) + 1,
            run_tokens: run.map_or(0, |run| run.tokens).saturating_add(tokens),
            run_elapsed_ms: run.map_or(0, |run| run.worked_ms(now)),
        };
        let closes = node_id.as_ref().filter(|_| report.kind.phase() == Phase::Closes);
        let origin = closes.and_then(|node| run?.open.result_of(report.kind, node)).unwrap_or_default();
        let event = Event {
            seq,
            at: now.wall,
            run_id: report.run_id,
            kind: report.kind,
            data: report.data,
            node_id,
            parent_id: report.parent_id,
            name: report.name,
            start: report.start.unwrap_or(now.wall),
            details: report.details,
            effect: report.effect,
            accepts: report.accepts,
            request_id: report.request_id,
            run_end: report.run_end,
            by_breakpoint: false,
            context,
            origin,
            replay: None,
        };
        (event, repeat_key)
    }

    /// The hold of an event, if it is to stop.
    fn hold_for(
        &self,
        event: &Arc<Event>,
        run: Option<&Run>,
        hits: &Hits,
        verdict: Option<&Verdict>,
        total: u64,
    ) -> Option<Hold> {
        let mode = run.and_then(|run| run.mode.as_ref()).unwrap_or(&self.mode);
        let asks = verdict.and_then(|verdict| verdict.asks);
        let retraced = match (run.and_then(|run| run.fork.as_ref()), verdict) {
            (None, _) => false,
            (Some(_), Some(verdict)) => verdict.retraced,
            // The closing of what was served, and whatever belongs to no step before the fork point.
            (Some(fork), None) => {
                let of_no_step = event.node_id.is_none() || event.kind.phase() == Phase::Neither;
                event.origin == Origin::Recorded || (of_no_step && fork.retraces())
            }
        };
        let reason = match mode {
            _ if asks.is_some() => asks?,
            _ if !hits.stops.is_empty() => HoldReason::Breakpoint,
            _ if retraced => return None,
            Mode::Paused(reason) if self.attached => *reason,
            Mode::Stepping(node) if self.attached && run?.parents.reaches(event, node) => HoldReason::Step,
            _ => return None,
        };
        // A gate fails closed, but before what runs nothing anyway.
        let (default, refuses) = match verdict {
            Some(verdict) if verdict.served || asks.is_some() || hits.gate.is_none() => {
                (verdict.default.clone(), verdict.refuses)
            }
            _ if hits.gate.is_some() => {
                let (default, obeys) = stop(event.accepts, "nobody approved this step");
                (default, !obeys)
            }
            _ => (Decision::Proceed, false),
        };
        let asked = asks.map(|_| Gate::default());
        // A gate that lets pass in time lets nothing else pass than what the fork says.
        let planned = verdict.is_some_and(|verdict| verdict.default != Decision::Proceed);
        let gate = hits.gate.map(|gate| Gate { proceeds: gate.proceeds && !planned, ..gate });
        Some(Hold {
            event: event.clone(),
            reason,
            since: Moment::default(),
            total,
            default,
            refuses,
            breakpoints: hits.stops.clone(),
            gate: gate.map_or(asked, |gate| Some(asked.map_or(gate, |asked| gate.stricter(asked)))),
        })
    }

    /// Everything else that an event brings about: counted hits, log lines, and the modes that a stop leaves.
    fn consequences(&self, event: &Event, run: Option<&Run>, hits: Hits, held: bool, now: Moment) -> Vec<Change> {
        let mut changes: Vec<_> = hits.touched.into_iter().map(Change::Breakpoint).collect();
        // What was for one stop is gone with the stop; where there was no room to stop, it waits for the next.
        let stopped = |id: &u64| held || !hits.stops.contains(id);
        changes.extend(hits.gone.iter().copied().filter(stopped).map(Change::BreakpointGone));
        let paused = Mode::Paused(HoldReason::Step);
        let mode = run.and_then(|run| run.mode.as_ref()).unwrap_or(&self.mode);
        // Nobody is there to let go what a gate alone would pause.
        if held && self.attached && hits.all_stop {
            changes.push(Change::Mode { run: None, mode: paused, asked: false });
        } else if held && self.attached && !matches!(mode, Mode::Paused(_)) {
            changes.push(Change::Mode { run: Some(event.run_id.clone()), mode: paused, asked: false });
        }
        for (number, (id, message)) in hits.logs.into_iter().enumerate() {
            changes.push(Change::Recorded(self.log_line(event, id, message, number as u64 + 1, now)));
        }
        changes
    }

    /// The log event that a breakpoint records, `after` numbers behind the one that it saw.
    fn log_line(&self, event: &Event, id: u64, message: Message, after: u64, now: Moment) -> Recorded {
        let mut data = serde_json::json!({ "message": message.text, "breakpoint_id": label(id), "seq": event.seq.0 });
        if let Some(masked) = message.masked {
            data[LOGGED_MASKED] = masked.into();
        }
        let context = event.context;
        let line = Event {
            seq: Seq(event.seq.0 + after),
            at: now.wall,
            run_id: event.run_id.clone(),
            kind: EventType::Log,
            data: Payload { json: data.to_string().into(), encoding: Encoding::Json },
            node_id: event.node_id.clone(),
            parent_id: event.parent_id.clone(),
            name: None,
            start: now.wall,
            details: None,
            effect: Effect::Unknown,
            accepts: Accepts::default(),
            request_id: None,
            run_end: false,
            by_breakpoint: true,
            context: RunContext { repeats: 0, run_events: context.run_events + after, ..context },
            origin: Origin::Live,
            replay: None,
        };
        let answer = Answer::passed(&line, self.total() + 1 + after);
        Recorded::of(Arc::new(line), answer, now)
    }
}

impl Recorded {
    /// An event that nobody waits for.
    pub(super) fn of(event: Arc<Event>, answer: Answer, now: Moment) -> Self {
        let (repeat_key, fingerprint, over_limit) = (0, 0, false);
        let (hold, result, found) = (None, Origin::Live, None);
        Self { event, at: now.steady, hold, fingerprint, answer, repeat_key, over_limit, result, found }
    }
}

impl Run {
    /// Since the run's first event, without the time that any of its steps was held.
    fn worked_ms(&self, now: Moment) -> u64 {
        let Some(began) = self.began else { return 0 };
        let held = self.held_for + self.held_since.map_or(Duration::ZERO, |since| now.steady.saturating_sub(since));
        let worked = now.steady.saturating_sub(began).saturating_sub(held);
        u64::try_from(worked.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The node of an opening event that named none.
fn own_node(seq: Seq) -> SmallStr {
    let (mut text, mut begins, mut number) = ([b'n'; 21], 21, seq.0);
    while number > 0 {
        begins -= 1;
        text[begins] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    std::str::from_utf8(&text[begins - 1..]).unwrap_or_default().into()
}
