//! Values that tests of the core share.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Change, Recorded, Role, Session, breakpoint::Spec, control::Granularity, trace::Reported};
use crate::{
    content::payload::{Encoding, Payload},
    event::{
        Accepts, AgentId, Answer, Effect, Event, EventType, HoldEnded, Moment, Report, RunId, Seq, Timestamp, Verb,
    },
};

/// A log event with the given JSON.
pub(crate) fn event(seq: Seq, json: &str) -> Event {
    let report = Report { data: Payload { json: json.into(), encoding: Encoding::Json }, ..report(EventType::Log, "") };
    let mut session = Session::new("fixture".into(), 1);
    session.next = seq.0;
    session.first = seq.0;
    let (Recorded { event, .. }, _) = session.trace(Reported::of(report), true, moment(0), &|| Duration::ZERO);
    Arc::try_unwrap(event).expect("nobody else has it")
}

impl Reported {
    /// A report as it comes to a session that retraces nothing.
    pub(crate) fn of(report: Report) -> Self {
        Self { report, fingerprint: 7, digest: None }
    }
}

/// A report of a kind in a run, with nothing else to it.
pub(crate) fn report(kind: EventType, run: &str) -> Report {
    Report {
        run_id: run_id(run),
        kind,
        data: Payload { json: "{}".into(), encoding: Encoding::Json },
        node_id: None,
        parent_id: None,
        name: None,
        start: None,
        details: None,
        effect: Effect::Unknown,
        accepts: Accepts::default(),
        may_hold: true,
        request_id: None,
        run_end: false,
    }
}

pub(crate) fn run_id(run: &str) -> RunId {
    RunId::parse(run).expect("valid")
}

/// A point in time, in milliseconds.
pub(crate) fn moment(ms: u64) -> Moment {
    Moment { wall: Timestamp(ms as i64 * 1_000_000), steady: Duration::from_millis(ms) }
}

pub(crate) fn everything() -> Accepts {
    let mut accepts = Accepts::default();
    Verb::ALL.into_iter().for_each(|verb| accepts.insert(verb));
    accepts
}

/// A breakpoint that stops everywhere.
pub(crate) fn spec() -> Spec {
    Spec {
        types: Vec::new(),
        name: None,
        run: None,
        condition: None,
        hit_condition: None,
        log: None,
        once: false,
        enabled: true,
        all_stop: false,
        gate: false,
        timeout: None,
        proceeds: false,
    }
}

/// A session whose changes are applied at once, as the debugger does it.
pub(crate) struct Driver {
    pub(crate) session: Session,
    pub(crate) now: u64,
    /// What Traces were told, in the order of the telling.
    pub(crate) answers: Vec<Answer>,
    pub(crate) events: Vec<Arc<Event>>,
    /// The decision on each event that has one.
    pub(crate) decided: BTreeMap<Seq, Arc<HoldEnded>>,
}

impl Driver {
    pub(crate) fn new() -> Self {
        assert!(AgentId::parse("agent").is_ok());
        Self {
            session: Session::new("epoch-1".into(), 8),
            now: 0,
            answers: Vec::new(),
            events: Vec::new(),
            decided: BTreeMap::new(),
        }
    }

    pub(crate) fn attached() -> Self {
        let mut driver = Self::new();
        driver.run(|session| session.join(Role::Debugger, true));
        driver
    }

    pub(crate) fn run(&mut self, decide: impl FnOnce(&Session) -> Vec<Change>) -> Vec<Seq> {
        self.now += 1;
        let changes = decide(&self.session);
        let mut released = Vec::new();
        for change in &changes {
            if let Change::HoldEnded { ended, answer } = change {
                released.push(ended.seq);
                self.answers.push(answer.clone());
                self.decided.insert(ended.seq, ended.clone());
            }
            self.session.apply(change);
        }
        released
    }

    /// Reports a step. Answers at once, or is held and answers later.
    pub(crate) fn trace(&mut self, report: Report) -> Seq {
        self.now += 1;
        let (recorded, more) = self.session.trace(Reported::of(report), true, moment(self.now), &|| Duration::ZERO);
        let seq = recorded.event.seq;
        if recorded.hold.is_none() {
            self.answers.push(recorded.answer.clone());
        }
        for change in std::iter::once(Change::Recorded(recorded)).chain(more) {
            if let Change::Recorded(recorded) = &change {
                self.events.push(recorded.event.clone());
            }
            if let Change::Decided(ended) = &change {
                self.decided.insert(ended.seq, ended.clone());
            }
            self.session.apply(&change);
        }
        seq
    }

    pub(crate) fn prompt(&mut self, run: &str) -> Seq {
        self.trace(report(EventType::Prompt, run))
    }

    pub(crate) fn step(&mut self) -> Vec<Seq> {
        self.step_by(Granularity::Into)
    }

    pub(crate) fn step_by(&mut self, granularity: Granularity) -> Vec<Seq> {
        let now = moment(self.now);
        self.run(|session| {
            session.step(None, None, granularity, &"tester".into(), now).expect("a plain step is never refused")
        })
    }

    pub(crate) fn trim(&mut self) {
        let event = self.events.remove(0);
        self.session.apply(&Change::Trimmed(event));
    }

    pub(crate) fn held(&self) -> Vec<u64> {
        self.session.holds().map(|hold| hold.event.seq.0).collect()
    }

    pub(crate) fn pos(&self) -> (u64, u64) {
        let at = self.session.position();
        (at.position, at.total)
    }

    pub(crate) fn answer_to(&self, seq: Seq) -> &Answer {
        let mut answers = self.answers.iter().filter(|answer| answer.seq == seq);
        let answer = answers.next().expect("answered");
        assert!(answers.next().is_none(), "answered once");
        answer
    }
}
