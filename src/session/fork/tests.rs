//! What a fork says of each step: matching, the fork point, effects, divergence, origins.

mod matching;

use std::sync::Arc;

use super::{MAX_FORKS, OnDivergence, Policies, Policy, Spec, plan::Plan};
use crate::{
    content::{
        path::Path,
        payload::{Encoding, Payload},
    },
    event::{
        Accepts, Ancestry, Decision, Details, Effect, Event, EventType, History, Moment, Origin, Report, Seq, SmallStr,
        Verb,
    },
    session::{
        Change, Forked, HoldReason, Refusal,
        fixtures::{Driver, everything, moment, report, run_id},
        fork::plan::Disposition,
    },
};
use EventType::{Error, Log, Prompt, Response, ToolCall, ToolResult};

/// A step as these tests write it: its type, its node and the one above, its name and data.
#[derive(Clone, Copy)]
struct Step<'a>(EventType, &'a str, &'a str, &'a str, &'a str);

fn payload(json: &str) -> Payload {
    Payload { json: json.into(), encoding: Encoding::Json }
}

fn text(text: &str) -> Option<SmallStr> {
    Some(text).filter(|text| !text.is_empty()).map(Into::into)
}

fn reported(run: &str, Step(kind, node, above, name, json): Step<'_>) -> Report {
    Report {
        data: payload(json),
        node_id: text(node),
        parent_id: text(above),
        name: text(name),
        accepts: everything(),
        ..report(kind, run)
    }
}

/// A planner that asks twice, with a sub-agent between; then it writes.
const TRIP: [Step<'static>; 10] = [
    Step(Prompt, "p1", "", "", r#"{"q":"plan","at":1}"#),
    Step(Response, "p1", "", "", r#"{"a":"search"}"#),
    Step(ToolCall, "r", "", "research", r#"{"city":"Lisbon"}"#),
    Step(Prompt, "s", "r", "", r#"{"q":"what to see"}"#),
    Step(Response, "s", "r", "", r#"{"a":"the tower"}"#),
    Step(ToolResult, "r", "", "research", r#"{"see":["tower"]}"#),
    Step(Prompt, "p2", "", "", r#"{"q":"book it"}"#),
    Step(Response, "p2", "", "", r#"{"a":"booking"}"#),
    Step(ToolCall, "b", "", "book", r#"{"hotel":"Tejo"}"#),
    Step(ToolResult, "b", "", "book", r#"{"ok":true}"#),
];

fn record(driver: &mut Driver, steps: &[Step<'_>]) {
    for step in steps {
        driver.trace(reported("", *step));
    }
}

pub(in crate::session) fn spec(seq: u64) -> Spec {
    Spec {
        run: None,
        seq: Seq(seq),
        data: None,
        model: None,
        policies: Policies::default(),
        on_divergence: OnDivergence::Hold,
        ignore: Vec::new(),
        ignore_model: false,
    }
}

fn plan(driver: &Driver, spec: Spec) -> Result<Plan, Refusal> {
    let history: History = driver
        .events
        .iter()
        .filter(|event| event.run_id == run_id(""))
        .map(|event| (event.clone(), driver.decided.get(&event.seq).cloned()))
        .collect();
    Plan::build(&history, spec)
}

/// Makes a fork with the run id "f".
fn fork(driver: &mut Driver, spec: Spec) -> Arc<Plan> {
    fork_as(driver, "f", spec)
}

fn fork_as(driver: &mut Driver, run: &str, spec: Spec) -> Arc<Plan> {
    let plan = Arc::new(plan(driver, spec).expect("it can be forked"));
    forked(driver, run, plan.clone());
    plan
}

/// Makes a fork of a plan.
pub(in crate::session) fn forked(driver: &mut Driver, run: &str, plan: Arc<Plan>) {
    let forked = Arc::new(Forked {
        run_id: run_id(run),
        ancestry: Ancestry { run_id: plan.source.clone(), seq: Some(plan.at), ordinal: plan.ordinal },
        plan,
        actor: "tester".into(),
        at: Moment::default().wall,
    });
    driver.run(|session| session.fork(forked, usize::MAX));
}

/// Reports a step of the fork. Says what it was told, or why it is held, and the event.
fn trace(driver: &mut Driver, step: Step<'_>) -> (Result<Decision, HoldReason>, Arc<Event>) {
    trace_report(driver, reported("f", step))
}

fn trace_report(driver: &mut Driver, report: Report) -> (Result<Decision, HoldReason>, Arc<Event>) {
    let seq = driver.trace(report);
    let event = driver.events.iter().rfind(|event| event.seq == seq).expect("recorded").clone();
    match driver.session.hold(seq) {
        Some(hold) => (Err(hold.reason), event),
        None => (Ok(driver.answer_to(seq).decision.clone()), event),
    }
}

fn fulfilled(json: &str) -> Result<Decision, HoldReason> {
    Ok(Decision::Fulfil { data: Some(payload(json)) })
}

#[test]
fn the_retraced_part_is_answered_from_the_record_and_the_rest_is_live() {
    let mut driver = Driver::new();
    record(&mut driver, &TRIP);
    let plan = fork(&mut driver, Spec { model: Some("large".into()), ..spec(7) });
    assert_eq!(
        plan.summary.sentence(),
        "2 served from record, then live: 1 prompt to large, 1 unclassified call will ask"
    );
    let (told, event) = trace(&mut driver, TRIP[0]);
    assert_eq!((told, event.origin), (fulfilled(r#"{"a":"search"}"#), Origin::Recorded));
    assert_eq!(event.replay.as_ref().and_then(|replay| replay.source), Some(Seq(1)));
    // The agent reports what it was given: that was recorded, too.
    let (told, event) = trace(&mut driver, TRIP[1]);
    assert_eq!((told, event.origin), (Ok(Decision::Proceed), Origin::Recorded));
    // The sub-agent does not run, so that its steps never come.
    let (told, _) = trace(&mut driver, TRIP[2]);
    assert_eq!(told, fulfilled(r#"{"see":["tower"]}"#));
    assert!(trace(&mut driver, TRIP[5]).0.is_ok());
    let (told, event) = trace(&mut driver, TRIP[6]);
    assert_eq!(told, Ok(Decision::Edit { data: None, model: Some("large".into()) }));
    assert_eq!(event.origin, Origin::Edited);
    let (told, event) = trace(&mut driver, TRIP[7]);
    assert_eq!((told, event.origin), (Ok(Decision::Proceed), Origin::Live));
    let (told, _) = trace(&mut driver, TRIP[8]);
    assert_eq!(told, Err(HoldReason::Effect));
    // Every answer but proceed is in the record.
    let decided: Vec<_> = driver.decided.values().map(|ended| (ended.seq.0, &*ended.actor)).collect();
    assert_eq!(decided, [(11, "fork"), (13, "fork"), (15, "fork")]);
}

#[test]
fn steps_are_found_by_content_whatever_their_order_ids_and_spelling() {
    let mut driver = Driver::new();
    record(
        &mut driver,
        &[
            Step(ToolCall, "a", "", "get", r#"{"x":1,"y":2}"#),
            Step(ToolCall, "b", "", "get", r#"{"x":2}"#),
            Step(ToolResult, "b", "", "get", r#"{"r":2}"#),
            Step(ToolResult, "a", "", "get", r#"{"r":1}"#),
            Step(Prompt, "p", "", "", r#"{}"#),
        ],
    );
    fork(&mut driver, spec(5));
    let (told, _) = trace(&mut driver, Step(ToolCall, "other", "", "get", r#"{"x":2.0}"#));
    assert_eq!(told, fulfilled(r#"{"r":2}"#));
    let (told, _) = trace(&mut driver, Step(ToolCall, "", "", "get", r#"{ "y":2, "x":1 }"#));
    assert_eq!(told, fulfilled(r#"{"r":1}"#));
}

#[test]
fn identical_steps_are_served_in_their_order_and_one_too_many_diverges() {
    let mut driver = Driver::new();
    let poll = Step(ToolCall, "", "", "poll", "{}");
    for answer in ["1", "2"] {
        record(&mut driver, &[poll, Step(ToolResult, "", "", "poll", &format!(r#"{{"n":{answer}}}"#))]);
    }
    record(&mut driver, &[Step(Prompt, "p", "", "", r#"{}"#)]);
    fork(&mut driver, spec(5));
    assert_eq!(trace(&mut driver, poll).0, fulfilled(r#"{"n":1}"#));
    assert_eq!(trace(&mut driver, poll).0, fulfilled(r#"{"n":2}"#));
    let (told, event) = trace(&mut driver, poll);
    assert_eq!(told, Err(HoldReason::Divergence));
    let divergence = event.replay.as_ref().and_then(|replay| replay.divergence.as_ref()).expect("said");
    assert!(divergence.reason.contains("2 times"), "{}", divergence.reason);
    assert_eq!(divergence.nearest, Some(Seq(3)));
}

#[test]
fn the_same_content_at_another_place_is_another_step() {
    let mut driver = Driver::new();
    record(
        &mut driver,
        &[
            Step(ToolCall, "outer", "", "outer", "{}"),
            Step(ToolCall, "inner", "outer", "get", "{}"),
            Step(ToolResult, "inner", "outer", "get", r#"{"r":1}"#),
            Step(Prompt, "p", "outer", "", r#"{"q":1}"#),
        ],
    );
    // The fork point lies in the outer call, which is entered again as it was, whatever the fork's model.
    let plan =
        fork(&mut driver, Spec { policies: Policies { unknown: Policy::Run, ..Policies::default() }, ..spec(4) });
    let parts: Vec<_> = plan.steps.iter().map(|step| step.disposition).collect();
    assert_eq!(parts, [Disposition::Container, Disposition::Served, Disposition::Anchor]);
    let (told, event) = trace(&mut driver, Step(ToolCall, "", "", "get", "{}"));
    assert_eq!(told, Err(HoldReason::Divergence));
    let divergence = event.replay.as_ref().and_then(|replay| replay.divergence.as_ref()).expect("said");
    assert!(divergence.reason.contains("another place"), "{}", divergence.reason);
    assert_eq!(trace(&mut driver, Step(ToolCall, "o2", "", "outer", "{}")).0, Ok(Decision::Proceed));
    assert_eq!(trace(&mut driver, Step(ToolCall, "i2", "o2", "get", "{}")).0, fulfilled(r#"{"r":1}"#));
}

#[test]
fn what_is_entered_again_asks_where_its_effect_is_not_known() {
    let mut driver = Driver::new();
    record(
        &mut driver,
        &[
            Step(Prompt, "outer", "", "", "{}"),
            Step(ToolCall, "agent", "outer", "agent", "{}"),
            Step(Prompt, "p", "agent", "", r#"{"q":1}"#),
        ],
    );
    let plan = fork(&mut driver, Spec { model: Some("large".into()), ..spec(3) });
    assert_eq!((plan.summary.entered, plan.summary.from_record), (2, 0));
    assert_eq!(trace(&mut driver, Step(Prompt, "o", "", "", "{}")).0, Ok(Decision::Proceed));
    assert_eq!(trace(&mut driver, Step(ToolCall, "a", "o", "agent", "{}")).0, Err(HoldReason::Effect));
}

#[test]
fn what_is_approved_to_be_entered_again_still_retraces_inside() {
    let mut driver = Driver::new();
    record(
        &mut driver,
        &[
            Step(ToolCall, "agent", "", "agent", "{}"),
            Step(ToolCall, "get", "agent", "get", "{}"),
            Step(ToolResult, "get", "agent", "get", r#"{"r":1}"#),
            Step(Prompt, "p", "agent", "", r#"{"q":1}"#),
        ],
    );
    fork(&mut driver, Spec { data: Some(payload(r#"{"q":2}"#)), ..spec(4) });
    let (told, event) = trace(&mut driver, Step(ToolCall, "a", "", "agent", "{}"));
    assert_eq!(told, Err(HoldReason::Effect));
    let actor = Arc::from("tester");
    driver.run(|session| session.release(event.seq, Decision::Proceed, &actor, moment(9)).expect("it may"));
    assert_eq!(trace(&mut driver, Step(ToolCall, "g", "a", "get", "{}")).0, fulfilled(r#"{"r":1}"#));
    let edit = Decision::Edit { data: Some(payload(r#"{"q":2}"#)), model: None };
    assert_eq!(trace(&mut driver, Step(Prompt, "q", "a", "", r#"{"q":1}"#)).0, Ok(edit));
}

#[test]
fn a_gate_that_lets_pass_in_time_passes_nothing_of_what_a_fork_decided() {
    let mut driver = Driver::new();
    record(&mut driver, &TRIP);
    fork(&mut driver, spec(7));
    let limit = std::time::Duration::from_millis(1);
    let gate = crate::session::breakpoint::Spec {
        gate: true,
        timeout: Some(limit),
        proceeds: true,
        ..crate::session::fixtures::spec()
    };
    let breakpoint = driver.session.create_breakpoint(Arc::new(gate)).expect("room");
    driver.run(|_| vec![Change::Breakpoint(breakpoint)]);
    for (step, served) in [(TRIP[0], true), (Step(ToolCall, "x", "", "other", "{}"), false)] {
        let seq = trace(&mut driver, step).1.seq;
        let change = driver.session.give_up(seq, crate::event::Outcome::TimedOut, moment(1_000));
        let Some(Change::HoldEnded { answer, .. }) = change else { panic!("it was held") };
        assert_eq!(matches!(answer.decision, Decision::Fulfil { .. }), served, "{:?}", answer.decision);
        assert_ne!(answer.decision, Decision::Proceed);
    }
}

#[test]
fn an_abort_uses_up_nothing_of_the_record() {
    let mut driver = Driver::attached();
    driver.run(|session| session.resume(None, &"tester".into(), moment(1)));
    record(&mut driver, &TRIP);
    fork(&mut driver, spec(7));
    driver.run(|_| vec![Change::Aborted { run: run_id("f"), reason: "enough".into() }]);
    for step in [TRIP[0], TRIP[6]] {
        assert!(matches!(trace(&mut driver, step).0, Ok(Decision::Abort { .. })));
    }
    driver.run(|session| session.resume(None, &"tester".into(), moment(2)));
    assert_eq!(trace(&mut driver, TRIP[0]).0, fulfilled(r#"{"a":"search"}"#));
}

#[test]
fn results_of_steps_that_share_a_node_are_told_apart_or_not_served() {
    let first = Step(ToolCall, "t", "", "get", r#"{"n":1}"#);
    let second = Step(ToolCall, "t", "", "get", r#"{"n":2}"#);
    let result = Step(ToolResult, "t", "", "get", r#"{"r":1}"#);
    let end = Step(Prompt, "p", "", "", "{}");
    let mut driver = Driver::new();
    record(&mut driver, &[first, result, second, result, end]);
    fork(&mut driver, spec(5));
    assert_eq!(trace(&mut driver, second).0, fulfilled(r#"{"r":1}"#));
    let mut driver = Driver::new();
    record(&mut driver, &[first, second, result, result, end]);
    fork(&mut driver, spec(5));
    assert_eq!(trace(&mut driver, second).0, Err(HoldReason::Divergence));
    assert_eq!(trace(&mut driver, first).0, Err(HoldReason::Divergence));
}

#[test]
fn an_effect_that_is_played_down_asks_as_it_was_recorded() {
    let mut driver = Driver::new();
    record(&mut driver, &TRIP[..2]);
    let send = |run, effect| Report { effect, ..reported(run, Step(ToolCall, "", "", "send", "{}")) };
    driver.trace(send("", Effect::Mutating));
    fork(&mut driver, spec(1));
    assert_eq!(trace_report(&mut driver, send("f", Effect::Pure)).0, Err(HoldReason::Effect));
}

#[test]
fn groups_that_nobody_opens_count_by_their_depth_and_not_by_their_ids() {
    let mut driver = Driver::new();
    record(
        &mut driver,
        &[
            Step(Log, "group-1", "", "", "{}"),
            Step(ToolCall, "a", "group-1", "get", "{}"),
            Step(ToolResult, "a", "group-1", "get", r#"{"r":1}"#),
            Step(Prompt, "p", "", "", "{}"),
        ],
    );
    fork(&mut driver, spec(4));
    assert_eq!(trace(&mut driver, Step(ToolCall, "b", "group-77", "get", "{}")).0, fulfilled(r#"{"r":1}"#));
}

#[test]
fn ignored_paths_and_match_keys_find_what_differs() {
    let mut driver = Driver::new();
    record(&mut driver, &TRIP[..2]);
    let key = Details { match_key: Some("k".into()), ..Details::default() };
    let keyed = |run, json: &str| Report {
        details: Some(Box::new(key.clone())),
        ..reported(run, Step(ToolCall, "", "", "t", json))
    };
    driver.trace(keyed("", r#"{"now":1}"#));
    record(&mut driver, &[Step(ToolResult, "", "", "t", r#"{"r":1}"#), Step(Prompt, "p", "", "", r#"{"q":"end"}"#)]);
    fork(&mut driver, Spec { ignore: vec![Path::parse("$.at").expect("valid")], ..spec(5) });
    let (told, _) = trace(&mut driver, Step(Prompt, "p1", "", "", r#"{"q":"plan","at":2}"#));
    assert_eq!(told, fulfilled(r#"{"a":"search"}"#));
    assert_eq!(trace_report(&mut driver, keyed("f", r#"{"now":2}"#)).0, fulfilled(r#"{"r":1}"#));
}

#[test]
fn a_divergence_names_the_nearest_step_and_what_differs() {
    let mut driver = Driver::new();
    record(&mut driver, &TRIP);
    for (on_divergence, expected) in [
        (OnDivergence::Hold, Err(HoldReason::Divergence)),
        (OnDivergence::Fail, Ok(())),
        // Live, but a step whose effect is not known asks all the same.
        (OnDivergence::Live, Err(HoldReason::Effect)),
    ] {
        let run = format!("{on_divergence:?}");
        fork_as(&mut driver, &run, Spec { on_divergence, ..spec(9) });
        let step = Step(ToolCall, "r", "", "research", r#"{"city":"Porto"}"#);
        let (told, event) = trace_report(&mut driver, reported(&run, step));
        let divergence = event.replay.as_ref().and_then(|replay| replay.divergence.as_ref()).expect("said");
        assert_eq!(divergence.nearest, Some(Seq(3)));
        let field = &divergence.fields[0];
        assert_eq!((&*field.path, &*field.left, &*field.right), ("$.city", "\"Lisbon\"", "\"Porto\""));
        match (told, expected) {
            (Ok(Decision::Fail { message, .. }), Ok(())) => assert!(message.contains("1 field"), "{message}"),
            (told, expected) => assert_eq!(told.map(drop), expected),
        }
    }
}

#[test]
fn closings_can_be_changed_and_failures_are_served_as_failures() {
    let mut driver = Driver::new();
    record(
        &mut driver,
        &[
            Step(ToolCall, "a", "", "get", "{}"),
            Step(Error, "a", "", "get", r#"{"error":"no route","code":7}"#),
            Step(ToolCall, "b", "", "read", "{}"),
            Step(ToolResult, "b", "", "read", r#"{"text":"old"}"#),
        ],
    );
    fork(&mut driver, Spec { data: Some(payload(r#"{"text":"new"}"#)), ..spec(4) });
    let failed = Decision::Fail { message: "no route".into(), data: Some(payload(r#"{"error":"no route","code":7}"#)) };
    assert_eq!(trace(&mut driver, Step(ToolCall, "", "", "get", "{}")).0, Ok(failed));
    let (told, event) = trace(&mut driver, Step(ToolCall, "x", "", "read", "{}"));
    assert_eq!((told, event.origin), (fulfilled(r#"{"text":"new"}"#), Origin::Edited));
    let (_, event) = trace(&mut driver, Step(ToolResult, "x", "", "read", r#"{"text":"new"}"#));
    assert_eq!(event.origin, Origin::Edited);
}

#[test]
fn what_people_decided_is_what_is_served() {
    let mut driver = Driver::attached();
    let (now, actor) = (moment(9), Arc::from("tester"));
    for (step, decision) in [
        (Step(ToolCall, "a", "", "get", "{}"), Decision::Fulfil { data: Some(payload(r#"{"by":"hand"}"#)) }),
        (Step(ToolResult, "a", "", "get", r#"{"by":"hand"}"#), Decision::Proceed),
        (Step(ToolCall, "b", "", "read", "{}"), Decision::Edit { data: Some(payload(r#"{"x":1}"#)), model: None }),
        (
            Step(ToolResult, "b", "", "read", r#"{"raw":1}"#),
            Decision::Edit { data: Some(payload(r#"{"raw":2}"#)), model: None },
        ),
        (Step(ToolCall, "c", "", "send", "{}"), Decision::Fail { message: "not now".into(), data: None }),
        (Step(Prompt, "p", "", "", "{}"), Decision::Proceed),
    ] {
        let seq = driver.trace(reported("", step));
        driver.run(|session| session.release(seq, decision, &actor, now).expect("it obeys"));
    }
    let by_hand: Vec<_> = driver.events.iter().map(|event| event.origin).collect();
    assert_eq!(by_hand[..2], [Origin::Live, Origin::Edited]);
    driver.run(|session| session.resume(None, &actor, now));
    fork(&mut driver, spec(6));
    assert_eq!(trace(&mut driver, Step(ToolCall, "", "", "get", "{}")).0, fulfilled(r#"{"by":"hand"}"#));
    // Found by what the agent submitted, answered with what came of it.
    assert_eq!(trace(&mut driver, Step(ToolCall, "", "", "read", "{}")).0, fulfilled(r#"{"raw":2}"#));
    let (told, _) = trace(&mut driver, Step(ToolCall, "", "", "send", "{}"));
    assert_eq!(told, Ok(Decision::Fail { message: "not now".into(), data: None }));
}

#[test]
fn effects_decide_over_live_calls() {
    let mut driver = Driver::new();
    record(&mut driver, &TRIP[..1]);
    fork(&mut driver, Spec { policies: Policies { idempotent: Policy::Block, ..Policies::default() }, ..spec(1) });
    let call = |driver: &mut Driver, effect| {
        let name = format!("{effect:?}");
        trace_report(driver, Report { effect, ..reported("f", Step(ToolCall, "", "", &name, "{}")) }).0
    };
    assert!(trace(&mut driver, TRIP[0]).0.is_ok());
    assert_eq!(call(&mut driver, Effect::Pure), Ok(Decision::Proceed));
    assert_eq!(call(&mut driver, Effect::Read), Ok(Decision::Proceed));
    assert!(matches!(call(&mut driver, Effect::Idempotent), Ok(Decision::Fail { .. })));
    assert_eq!(call(&mut driver, Effect::Mutating), Err(HoldReason::Effect));
    assert_eq!(call(&mut driver, Effect::Unknown), Err(HoldReason::Effect));
    // Nobody attached, continue and step do not open them; a release does.
    let (actor, now) = (Arc::from("tester"), moment(99));
    assert_eq!(driver.run(|session| session.resume(None, &actor, now)), []);
    assert_eq!(driver.step(), []);
    let held = driver.held();
    assert_eq!(held.len(), 2);
    driver.run(|session| session.release(Seq(held[0]), Decision::Proceed, &actor, now).expect("it may"));
    // And nobody's release is a failure.
    let change = driver.session.give_up(Seq(held[1]), crate::event::Outcome::TimedOut, now);
    let Some(Change::HoldEnded { answer, .. }) = change else { panic!("it was held") };
    assert!(matches!(answer.decision, Decision::Fail { .. }));
}

#[test]
fn stepping_holds_from_the_fork_point_on_and_breakpoints_before_it() {
    let mut driver = Driver::attached();
    driver.run(|session| session.resume(None, &"tester".into(), moment(1)));
    record(&mut driver, &TRIP);
    driver.run(|session| session.pause(None));
    fork(&mut driver, spec(7));
    assert!(trace(&mut driver, TRIP[0]).0.is_ok());
    assert!(trace(&mut driver, TRIP[1]).0.is_ok());
    assert!(trace(&mut driver, Step(Log, "", "", "", "{}")).0.is_ok());
    let breakpoint = crate::session::breakpoint::Spec { types: vec![ToolCall], ..crate::session::fixtures::spec() };
    let breakpoint = driver.session.create_breakpoint(Arc::new(breakpoint)).expect("room");
    driver.run(|_| vec![Change::Breakpoint(breakpoint.clone())]);
    assert_eq!(trace(&mut driver, TRIP[2]).0, Err(HoldReason::Breakpoint));
    let seq = Seq(driver.held()[0]);
    // Letting it go yields the recorded result.
    driver.step();
    assert!(matches!(driver.answer_to(seq).decision, Decision::Fulfil { .. }));
    assert!(trace(&mut driver, TRIP[5]).0.is_ok());
    assert_eq!(trace(&mut driver, TRIP[6]).0, Err(HoldReason::Step));
}

#[test]
fn a_person_who_lets_a_recorded_step_run_makes_its_result_live() {
    let mut driver = Driver::attached();
    driver.run(|session| session.resume(None, &"tester".into(), moment(1)));
    record(&mut driver, &TRIP);
    fork(&mut driver, spec(7));
    let breakpoint = driver.session.create_breakpoint(Arc::new(crate::session::fixtures::spec())).expect("room");
    driver.run(|_| vec![Change::Breakpoint(breakpoint)]);
    assert_eq!(trace(&mut driver, TRIP[0]).0, Err(HoldReason::Breakpoint));
    let seq = Seq(driver.held()[0]);
    driver.run(|session| session.release(seq, Decision::Proceed, &"tester".into(), moment(2)).expect("it may"));
    assert_eq!(driver.session.hold(seq).map(|hold| hold.reason), None);
    driver.run(|_| vec![Change::BreakpointGone(1)]);
    driver.run(|session| session.resume(None, &"tester".into(), moment(3)));
    assert_eq!(trace(&mut driver, TRIP[1]).1.origin, Origin::Live);
    // The same with the call of the sub-agent: its steps are live then, and diverge from nothing.
    let breakpoint = driver.session.create_breakpoint(Arc::new(crate::session::fixtures::spec())).expect("room");
    driver.run(|_| vec![Change::Breakpoint(breakpoint)]);
    let seq = trace(&mut driver, TRIP[2]).1.seq;
    driver.run(|session| session.release(seq, Decision::Proceed, &"tester".into(), moment(4)).expect("it may"));
    driver.run(|_| vec![Change::BreakpointGone(2)]);
    driver.run(|session| session.resume(None, &"tester".into(), moment(5)));
    let (told, event) = trace(&mut driver, TRIP[3]);
    assert_eq!((told, event.origin, event.replay.is_none()), (Ok(Decision::Proceed), Origin::Live, true));
}

#[test]
fn only_an_agent_that_obeys_can_be_forked() {
    let mut driver = Driver::new();
    let mut only_fulfil = Accepts::default();
    only_fulfil.insert(Verb::Fulfil);
    driver.trace(reported("", TRIP[0]));
    driver.trace(reported("", TRIP[1]));
    driver.trace(Report { accepts: only_fulfil, ..reported("", TRIP[6]) });
    driver.trace(Report { accepts: Accepts::default(), ..reported("", TRIP[8]) });
    let refusal =
        |seq, model: Option<&str>| plan(&driver, Spec { model: model.map(Into::into), ..spec(seq) }).map(drop);
    assert_eq!(refusal(1, None), Ok(()));
    assert_eq!(refusal(3, None), Err(Refusal::NotForkable { seq: Seq(3), verb: Verb::Edit }));
    assert_eq!(refusal(4, None), Err(Refusal::NotForkable { seq: Seq(4), verb: Verb::Edit }));
    assert_eq!(refusal(1, Some("large")), Err(Refusal::NotForkable { seq: Seq(3), verb: Verb::Edit }));
    assert_eq!(refusal(9, None), Err(Refusal::NoEvent(Seq(9))));
    driver.trace(reported("", Step(Log, "", "", "", "{}")));
    let with_data = Spec { data: Some(payload("{}")), ..spec(5) };
    assert_eq!(plan(&driver, with_data).map(drop), Err(Refusal::NothingToChange(Seq(5))));
    // A step of the fork that obeys less than its source did is stopped: its result is there already.
    fork(&mut driver, spec(1));
    let (told, _) = trace_report(&mut driver, Report { accepts: Accepts::default(), ..reported("f", TRIP[0]) });
    assert_eq!(told, Ok(Decision::Proceed), "the fork point runs as it was recorded");
}

#[test]
fn a_step_that_was_never_closed_has_nothing_to_serve() {
    let mut driver = Driver::new();
    record(&mut driver, &[TRIP[8], TRIP[0]]);
    fork(&mut driver, spec(2));
    assert_eq!(trace(&mut driver, TRIP[8]).0, Err(HoldReason::Divergence));
}

#[test]
fn a_fork_of_a_fork_retraces_what_was_served_and_what_ran() {
    let mut driver = Driver::new();
    record(&mut driver, &TRIP);
    fork(&mut driver, Spec { model: Some("large".into()), ..spec(7) });
    for step in [TRIP[0], TRIP[1], TRIP[2], TRIP[5], TRIP[6], TRIP[7]] {
        assert!(trace(&mut driver, step).0.is_ok());
    }
    let source: History = driver
        .events
        .iter()
        .filter(|event| event.run_id == run_id("f"))
        .map(|event| (event.clone(), driver.decided.get(&event.seq).cloned()))
        .collect();
    let plan = Plan::build(&source, spec(16)).expect("it can be forked");
    assert_eq!(plan.summary.from_record, 3);
    let results: Vec<_> = plan.steps.iter().filter_map(|step| step.result.clone()).collect();
    assert_eq!(results[2], Decision::Fulfil { data: Some(payload(r#"{"a":"booking"}"#)) });
}

#[test]
fn forks_are_bounded_and_the_one_forgotten_runs_nothing() {
    let mut driver = Driver::new();
    record(&mut driver, &TRIP);
    for number in 0..=MAX_FORKS {
        fork_as(&mut driver, &format!("f{number}"), spec(7));
    }
    let (told, _) = trace_report(&mut driver, reported("f0", TRIP[0]));
    assert!(matches!(told, Ok(Decision::Fail { .. })), "{told:?}");
    // Whatever is continued.
    driver.run(|session| session.resume(None, &"tester".into(), moment(1)));
    let (told, _) = trace_report(&mut driver, reported("f0", TRIP[8]));
    assert!(matches!(told, Ok(Decision::Fail { .. })), "{told:?}");
    let (told, _) = trace_report(&mut driver, reported("f1", TRIP[0]));
    assert_eq!(told, fulfilled(r#"{"a":"search"}"#));
    // A run that ends, ends its fork.
    let (told, _) = trace_report(&mut driver, Report { run_end: true, ..reported("f1", TRIP[1]) });
    assert_eq!(told, Ok(Decision::Proceed));
    assert!(driver.session.retracing(&run_id("f1")).expect("no import").is_none());
    driver.run(|session| session.clear("epoch-2".into(), &"tester".into(), moment(1)));
    assert!(driver.session.forks == 0);
}
