//! The rules of breakpoints, claim by claim.

use std::{cell::Cell, sync::Arc, time::Duration};

use super::Spec;
use crate::{
    content::payload::{Encoding, Payload},
    event::{Accepts, Decision, EventType, Outcome, Report, Seq, Verb},
    session::{
        Change, HoldReason, Mode, Refusal, Role,
        condition::{Condition, template::Template},
        control::Granularity,
        fixtures::{Driver, moment, report, run_id, spec},
    },
};

fn when(condition: &str) -> Spec {
    Spec { condition: Some(Condition::compile(condition).expect(condition)), ..spec() }
}

/// Attached and running, with one breakpoint.
fn running(spec: Spec) -> Driver {
    let mut driver = Driver::new();
    driver.run(|session| session.join(Role::Debugger, false));
    set(&mut driver, spec);
    driver
}

fn set(driver: &mut Driver, spec: Spec) {
    let breakpoint = driver.session.create_breakpoint(spec.into()).expect("few");
    driver.run(|_| vec![Change::Breakpoint(breakpoint)]);
}

fn call(name: &str, json: &str) -> Report {
    let data = Payload { json: json.into(), encoding: Encoding::Json };
    Report { name: Some(name.into()), data, ..report(EventType::ToolCall, "") }
}

fn hits(driver: &Driver) -> u64 {
    driver.session.breakpoints().next().expect("one").hits
}

#[test]
fn a_hit_stops_its_own_run_and_says_why() {
    let mut driver = running(when("event.data.n > 1"));
    driver.trace(call("read", r#"{"n":1}"#));
    assert!(driver.held().is_empty());
    let seq = driver.trace(call("read", r#"{"n":2}"#));
    let hold = driver.session.hold(seq).expect("held");
    assert_eq!((hold.reason, hold.breakpoints.as_slice()), (HoldReason::Breakpoint, &[1][..]));
    // Its run is paused now, the others run on.
    assert_eq!(driver.prompt("").0, 3);
    driver.prompt("other");
    assert_eq!(driver.held(), [2, 3]);
}

#[test]
fn all_stop_stops_all() {
    let mut driver = running(Spec { all_stop: true, ..when("event.name == 'rm'") });
    driver.trace(call("rm", "{}"));
    driver.prompt("other");
    assert_eq!(driver.held(), [1, 2]);
    assert_eq!(driver.session.mode(), Some(Mode::Paused(HoldReason::Step)));
}

#[test]
fn types_name_and_run_are_filters() {
    let filters = Spec {
        types: vec![EventType::ToolCall],
        name: Some(glob::Pattern::new("read_*").expect("a glob")),
        run: Some(run_id("r")),
        ..spec()
    };
    let mut driver = running(filters);
    let of_run = |name: &str, run: &str| Report { run_id: run_id(run), ..call(name, "{}") };
    driver.trace(of_run("read_file", ""));
    driver.trace(of_run("write_file", "r"));
    driver.trace(Report { run_id: run_id("r"), ..report(EventType::Prompt, "r") });
    assert!(driver.held().is_empty());
    driver.trace(of_run("read_file", "r"));
    assert_eq!(driver.held(), [4]);
    assert_eq!(hits(&driver), 1);
}

#[test]
fn hits_count_only_where_the_condition_holds() {
    let hit_condition = Some(Condition::over_hits("hits % 2 == 0").expect("compiles"));
    let mut driver = running(Spec { hit_condition, ..when("event.data.n == 1") });
    for n in [1, 5, 1, 5, 1] {
        driver.trace(call("t", &format!(r#"{{"n":{n}}}"#)));
        if driver.held() == [3] {
            break;
        }
    }
    assert_eq!((driver.held(), hits(&driver)), (vec![3], 2));
}

#[test]
fn identical_calls_in_a_row_are_counted() {
    let mut driver = running(when("repeats >= 3"));
    for (name, json) in [("t", "{}"), ("t", "{}"), ("u", "{}"), ("t", r#"{"n":1}"#), ("t", "{}"), ("t", "{}")] {
        driver.trace(call(name, json));
        driver.trace(report(EventType::ToolResult, ""));
    }
    assert!(driver.held().is_empty());
    let third = driver.trace(call("t", "{}"));
    assert_eq!(driver.held(), [third.0]);
}

#[test]
fn budgets_count_events_tokens_and_work_of_the_run() {
    for condition in ["run.tokens > 100", "run.events == 3", "run.elapsed_ms >= 2"] {
        let mut driver = running(when(condition));
        let spend = |tokens| {
            let details = crate::event::Details { input_tokens: Some(tokens), ..Default::default() };
            Report { details: Some(Box::new(details)), ..report(EventType::Response, "") }
        };
        driver.trace(spend(60));
        driver.trace(spend(40));
        assert!(driver.held().is_empty(), "{condition}");
        driver.trace(spend(1));
        assert_eq!(driver.held(), [3], "{condition}");
    }
}

#[test]
fn time_held_is_not_time_worked() {
    let mut driver = running(when("run.elapsed_ms > 50 && event.type == 'error'"));
    driver.run(|session| session.pause(None));
    driver.prompt("");
    driver.now += 1_000;
    driver.step();
    driver.run(|session| session.resume(None, &"tester".into(), moment(0)));
    driver.trace(report(EventType::Error, ""));
    assert!(driver.held().is_empty());
    driver.now += 100;
    driver.trace(report(EventType::Error, ""));
    assert_eq!(driver.held().len(), 1);
}

#[test]
fn a_message_is_logged_and_stops_nothing() {
    let log = Some(Template::compile("saw {event.data.n} at {node.depth}").expect("compiles"));
    let mut driver = running(Spec { log, types: vec![EventType::ToolCall], ..spec() });
    driver.trace(call("t", r#"{"n":7}"#));
    assert!(driver.held().is_empty());
    let line = &driver.events[1];
    assert_eq!((line.kind, line.seq, line.node_id.as_deref()), (EventType::Log, Seq(2), Some("n1")));
    assert_eq!(&*line.data.json, r#"{"breakpoint_id":"b1","message":"saw 7 at 0","seq":1}"#);
    assert_eq!(driver.prompt(""), Seq(3));
}

#[test]
fn once_is_once_for_a_message_too() {
    let log = Some(Template::compile("here").expect("compiles"));
    let mut driver = running(Spec { once: true, log, ..spec() });
    driver.prompt("");
    driver.prompt("");
    assert_eq!(driver.events.len(), 3);
}

#[test]
fn a_message_does_not_revive_a_finished_run() {
    let log = Some(Template::compile("over").expect("compiles"));
    let mut driver = running(Spec { log, ..spec() });
    driver.trace(Report { run_end: true, ..report(EventType::Log, "") });
    assert!(driver.session.runs(1)[0].finished);
}

#[test]
fn once_is_once() {
    let mut driver = running(Spec { once: true, ..spec() });
    driver.prompt("");
    assert_eq!(driver.session.breakpoints().count(), 0);
    driver.run(|session| session.resume(None, &"tester".into(), moment(0)));
    driver.prompt("");
    assert!(driver.held().is_empty());
}

#[test]
fn what_fails_stops_nothing_and_is_written_down() {
    let mut driver = running(when("event.data.n + 1 == 2"));
    driver.trace(call("t", r#"{"n":"text"}"#));
    assert!(driver.held().is_empty());
    let problem = driver.session.breakpoints().next().expect("one").problem.clone();
    assert!(problem.is_some_and(|problem| problem.contains("string") && !problem.contains("text")));
    driver.trace(call("t", r#"{"n":1}"#));
    assert_eq!(driver.held(), [2]);
}

#[test]
fn what_is_slow_again_and_again_is_switched_off() {
    let mut driver = running(when("event.data.n == 1"));
    let slow = Cell::new(Duration::ZERO);
    let clock = || slow.replace(slow.get() + Duration::from_millis(6));
    for _ in 0..4 {
        let (recorded, more) =
            driver.session.trace(crate::session::trace::Reported::of(call("t", "{}")), true, moment(1), &clock);
        driver.run(|_| std::iter::once(Change::Recorded(recorded)).chain(more).collect());
    }
    let breakpoint = driver.session.breakpoints().next().expect("one");
    assert!(!breakpoint.enabled);
    assert!(breakpoint.problem.as_ref().is_some_and(|problem| problem.starts_with("switched off")));
}

#[test]
fn a_breakpoint_inside_stops_a_step_over() {
    let mut driver = Driver::attached();
    set(&mut driver, when("event.name == 'inner'"));
    driver.trace(Report { node_id: Some("outer".into()), ..call("outer", "{}") });
    driver.step_by(Granularity::Over);
    let inner = driver.trace(Report { parent_id: Some("outer".into()), ..call("inner", "{}") });
    assert_eq!(driver.held(), [inner.0]);
    assert_eq!(driver.session.hold(inner).expect("held").reason, HoldReason::Breakpoint);
}

#[test]
fn a_breakpoint_skips_while_nobody_is_attached() {
    let mut driver = Driver::new();
    set(&mut driver, spec());
    driver.prompt("");
    assert!(driver.held().is_empty());
    assert_eq!(hits(&driver), 0);
}

fn gate() -> Spec {
    Spec { gate: true, types: vec![EventType::ToolCall], ..spec() }
}

fn accepting(verbs: &[Verb]) -> Report {
    let mut accepts = Accepts::default();
    verbs.iter().for_each(|verb| accepts.insert(*verb));
    Report { accepts, ..call("rm", "{}") }
}

#[test]
fn a_gate_holds_whoever_is_there_and_only_a_release_opens_it() {
    let mut driver = Driver::new();
    set(&mut driver, gate());
    let seq = driver.trace(accepting(&[Verb::Fail]));
    assert_eq!(driver.held(), [seq.0]);
    // The agent goes on elsewhere: a gate pauses nobody who is not debugged.
    driver.prompt("");
    driver.run(|session| session.join(Role::Debugger, false));
    driver.run(|session| session.resume(None, &"tester".into(), moment(5)));
    driver.step();
    driver.run(|_| vec![Change::Left(Role::Debugger)]);
    driver.run(|session| session.detach(moment(9)));
    assert_eq!(driver.held(), [seq.0]);
    let refused =
        driver.session.step(None, Some(seq), Granularity::Into, &"tester".into(), moment(9)).expect_err("a gate");
    assert_eq!(refused, Refusal::Gate(seq));
    driver.run(|session| session.release(seq, Decision::Proceed, &"tester".into(), moment(9)).expect("explicit"));
    assert_eq!(driver.answer_to(seq).decision, Decision::Proceed);
}

#[test]
fn a_gate_that_nobody_opens_fails_closed() {
    let minute = Some(Duration::from_secs(60));
    for (verbs, proceeds, after_ms, expected) in [
        (&[Verb::Fail, Verb::Abort][..], false, 60_001, "fail"),
        (&[Verb::Abort], false, 60_001, "abort"),
        (&[], false, 60_001, "refused"),
        (&[], true, 60_001, "proceed"),
        // Only its own time-out lets a step pass: not the caller's patience, not a clear, not a shutdown.
        (&[Verb::Fail], true, 10, "fail"),
    ] {
        let mut driver = Driver::new();
        set(&mut driver, Spec { proceeds, timeout: minute, ..gate() });
        let seq = driver.trace(accepting(verbs));
        let later = moment(driver.now + after_ms);
        driver.run(|session| session.give_up(seq, Outcome::TimedOut, later).into_iter().collect());
        let answer = driver.answer_to(seq);
        let got = match (&answer.decision, answer.refused) {
            (_, true) => "refused",
            (Decision::Proceed, _) => "proceed",
            (decision, _) => decision.verb().expect("a verb").name(),
        };
        assert_eq!(got, expected);
    }
}

#[test]
fn a_gate_that_cannot_be_judged_holds() {
    let amount = Spec { gate: true, ..when("event.data.amount > 100") };
    let mut driver = Driver::new();
    set(&mut driver, amount);
    driver.trace(call("pay", r#"{"amount":5}"#));
    assert!(driver.held().is_empty());
    for data in [r#"{"amount":500,"t":"\ud83d"}"#, r#"{"amount":"many"}"#] {
        driver.trace(call("pay", data));
    }
    assert_eq!(driver.held(), [2, 3]);
}

#[test]
fn a_gate_holds_even_what_asks_never_to_be_held() {
    let mut driver = Driver::new();
    set(&mut driver, Spec { once: true, ..gate() });
    let seq = driver.trace(Report { may_hold: false, ..accepting(&[]) });
    assert_eq!(driver.held(), [seq.0]);
}

#[test]
fn a_gate_with_no_room_to_hold_fails_closed_too() {
    let mut driver = Driver::new();
    set(&mut driver, gate());
    for _ in 0..8 {
        driver.trace(accepting(&[]));
    }
    let over = driver.trace(accepting(&[Verb::Fail]));
    assert_eq!(driver.answer_to(over).decision.verb(), Some(Verb::Fail));
    let deaf = driver.trace(accepting(&[]));
    assert!(driver.answer_to(deaf).refused);
}

#[test]
fn changing_a_condition_starts_the_count_anew() {
    let mut driver = running(when("true"));
    driver.prompt("");
    assert_eq!(hits(&driver), 1);
    let update = |driver: &Driver, spec: Spec| driver.session.update_breakpoint(1, Arc::new(spec)).expect("there").hits;
    assert_eq!(update(&driver, Spec { enabled: false, ..when("true") }), 1);
    assert_eq!(update(&driver, when("1 == 1")), 0);
    assert_eq!(driver.session.update_breakpoint(9, Arc::new(spec())).expect_err("unknown"), Refusal::NoBreakpoint(9));
}

#[test]
fn conditions_share_one_budget_and_a_gate_that_comes_too_late_holds() {
    let mut driver = running(when("event.seq > 0"));
    for condition in ["event.seq == 0", "event.seq == 0 && true", "event.seq == 0 && true && true"] {
        set(&mut driver, Spec { gate: true, ..when(condition) });
    }
    set(&mut driver, Spec { gate: true, types: vec![EventType::ToolCall], ..spec() });
    // Each evaluation takes 60 ms.
    let time = Cell::new(0);
    let clock = || {
        time.set(time.get() + 60);
        Duration::from_millis(time.get())
    };
    let (recorded, more) = driver.session.trace(
        crate::session::trace::Reported::of(report(EventType::Prompt, "")),
        true,
        moment(1),
        &clock,
    );
    let hold = recorded.hold.expect("a gate that was not evaluated holds");
    assert_eq!((hold.breakpoints, hold.gate.is_some()), (vec![4], true), "the dearest gate, and no plain breakpoint");
    let missed: Vec<_> = more
        .iter()
        .filter_map(|change| match change {
            Change::Breakpoint(it) => Some((it.id, it.problem.as_deref()?.contains("took longer than 100 ms"))),
            _ => None,
        })
        .collect();
    assert!(missed.contains(&(1, true)) && missed.contains(&(4, true)), "{missed:?}");
    assert_eq!(super::EVENT_BUDGET.as_millis(), 100);
}

#[test]
fn what_is_costly_is_known_before_it_is_evaluated() {
    let many = |condition: &str| {
        let mut driver = running(when(condition));
        (1..100).for_each(|_| set(&mut driver, Spec { gate: true, ..when(condition) }));
        driver
    };
    let items = format!(r#"{{"items":[{}]}}"#, vec![r#""some text""#; 95].join(","));
    let nested = "event.data.items.exists(a, event.data.items.exists(b, a.contains(b + 'x')))";
    let prompt = format!(r#"{{"text":"{}"}}"#, "x".repeat(300));
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(3_000_000));
    for (condition, json, trivial) in [
        ("event.data.text.contains('y')", &prompt, true),
        ("event.data.amount > 100 && event.name == 'pay'", &prompt, true),
        ("event.data.items.exists(a, a == 'x')", &prompt, true),
        (nested, &items, false),
        ("event.data.text.contains('y')", &large, false),
    ] {
        let driver = many(condition);
        let looks = driver.session.looks(&call("pay", json)).expect("there are breakpoints");
        assert_eq!(looks.is_trivial(), trivial, "{condition} over {} bytes", json.len());
    }
    // Filters let nothing else get that far.
    let driver = running(Spec { types: vec![EventType::Prompt], ..when(nested) });
    assert!(driver.session.looks(&call("pay", &items)).expect("there are breakpoints").is_trivial());
}

#[test]
fn where_there_is_no_time_for_conditions_gates_hold_and_what_needs_none_stops_as_ever() {
    let mut driver = running(when("event.seq > 0"));
    set(&mut driver, Spec { gate: true, ..when("event.seq == 0") });
    set(&mut driver, Spec { once: true, ..spec() });
    let reported = crate::session::trace::Reported::of(report(EventType::Prompt, ""));
    let (recorded, more) = driver.session.trace_missed(reported, true, moment(1));
    let hold = recorded.hold.expect("held");
    assert_eq!((hold.breakpoints, hold.gate.is_some()), (vec![2, 3], true));
    assert!(more.iter().any(|change| matches!(change, Change::BreakpointGone(3))));
}
