//! The rules of a session, claim by claim.

use super::{
    Change, HoldReason, Known, Mode, Refusal, Role,
    control::Granularity,
    fixtures::{Driver, everything, moment, report, run_id},
};
use crate::{
    content::payload::{Encoding, Payload},
    event::{Decision, EventType, Outcome, Report, Seq},
};

fn actor() -> std::sync::Arc<str> {
    "tester".into()
}

fn resume(driver: &mut Driver, run: Option<&str>) -> Vec<Seq> {
    let run = run.map(run_id);
    driver.run(|session| session.resume(run.as_ref(), &actor(), moment(9)))
}

fn pause(driver: &mut Driver, run: Option<&str>) {
    let run = run.map(run_id);
    driver.run(|session| session.pause(run.as_ref()));
}

fn accepting(kind: EventType) -> Report {
    Report { accepts: everything(), ..report(kind, "") }
}

#[test]
fn nobody_is_held_while_nobody_debugs() {
    let mut driver = Driver::new();
    let seq = driver.prompt("");
    assert_eq!(driver.answer_to(seq).outcome, Outcome::NotHeld);
    driver.run(|session| session.join(Role::Observer, true));
    driver.prompt("");
    assert!(driver.held().is_empty());
    assert_eq!(driver.session.mode(), None);
}

#[test]
fn attaching_pauses_unless_asked_not_to() {
    let mut driver = Driver::attached();
    driver.prompt("");
    assert_eq!(driver.held(), [1]);

    let mut driver = Driver::new();
    driver.run(|session| session.join(Role::Debugger, false));
    driver.prompt("");
    assert!(driver.held().is_empty());
    assert_eq!(driver.session.mode(), Some(Mode::Running));
}

#[test]
fn a_second_debugger_changes_nothing() {
    let mut driver = Driver::attached();
    resume(&mut driver, None);
    driver.run(|session| session.join(Role::Debugger, true));
    assert_eq!(driver.session.mode(), Some(Mode::Running));
}

#[test]
fn a_pause_or_step_while_nobody_is_attached_waits_for_the_attach() {
    for ask in [|driver: &mut Driver| pause(driver, None), |driver: &mut Driver| drop(driver.step())] {
        let mut driver = Driver::new();
        ask(&mut driver);
        driver.prompt("");
        assert!(driver.held().is_empty());
        driver.run(|session| session.join(Role::Debugger, false));
        driver.prompt("");
        assert_eq!(driver.held(), [2]);
    }
}

#[test]
fn step_releases_the_oldest_and_moves_on_by_one() {
    let mut driver = Driver::attached();
    let (first, second) = (driver.prompt(""), driver.prompt(""));
    assert_eq!(driver.step(), [first]);
    assert_eq!(driver.answer_to(first).outcome, Outcome::Stepped);
    assert_eq!((driver.held(), driver.pos()), (vec![second.0], (1, 2)));
}

#[test]
fn step_with_nothing_held_moves_never_past_the_total() {
    let mut driver = Driver::new();
    driver.prompt("");
    for expected in [(1, 1), (1, 1)] {
        driver.step();
        assert_eq!(driver.pos(), expected);
    }
}

#[test]
fn step_can_name_the_event_or_the_run() {
    let mut driver = Driver::attached();
    let (a, b, c) = (driver.prompt("a"), driver.prompt("b"), driver.prompt("b"));
    let run = run_id("b");
    let by_run =
        driver.run(|session| session.step(Some(&run), None, Granularity::Into, &actor(), moment(5)).expect("held"));
    assert_eq!(by_run, [b]);
    let by_seq =
        driver.run(|session| session.step(None, Some(c), Granularity::Into, &actor(), moment(5)).expect("held"));
    assert_eq!(by_seq, [c]);
    let other_run =
        driver.session.step(Some(&run), Some(a), Granularity::Into, &actor(), moment(5)).expect_err("of another run");
    assert_eq!(other_run, Refusal::NotHeld(a));
    let gone = driver.session.step(None, Some(c), Granularity::Into, &actor(), moment(5)).expect_err("released before");
    assert_eq!(gone, Refusal::NotHeld(c));
}

#[test]
fn continue_releases_all_and_lets_later_ones_pass() {
    let mut driver = Driver::attached();
    let held = [driver.prompt(""), driver.prompt("x")];
    assert_eq!(resume(&mut driver, None), held);
    assert_eq!(driver.pos(), (2, 2));
    let seq = driver.prompt("");
    assert_eq!(driver.answer_to(seq).outcome, Outcome::NotHeld);
    // The position is a bookmark: it does not follow by itself.
    assert_eq!(driver.pos(), (2, 3));
}

#[test]
fn a_run_is_a_thread_of_its_own() {
    let mut driver = Driver::attached();
    let (a, b) = (driver.prompt("a"), driver.prompt("b"));
    assert_eq!(resume(&mut driver, Some("a")), [a]);
    driver.prompt("a");
    assert_eq!(driver.held(), [b.0]);
    pause(&mut driver, Some("a"));
    let again = driver.prompt("a");
    assert_eq!(driver.held(), [b.0, again.0]);
    assert_eq!(driver.session.hold(again).expect("held").reason, HoldReason::Pause);
    // An unnamed verb is for all: runs lose the modes of their own.
    resume(&mut driver, None);
    driver.prompt("a");
    driver.prompt("b");
    assert!(driver.held().is_empty());
}

#[test]
fn clear_lets_everybody_go_and_never_uses_a_number_again() {
    let mut driver = Driver::attached();
    let seq = driver.prompt("");
    driver.run(|session| session.clear("epoch-2".into(), &actor(), moment(3)));
    assert_eq!(driver.answer_to(seq).outcome, Outcome::Cleared);
    assert_eq!((driver.pos(), driver.session.bounds(), driver.session.dropped()), ((0, 0), None, 0));
    assert_eq!(&**driver.session.epoch(), "epoch-2");
    // The mode stays: the next Trace is held, under the next number.
    assert_eq!((driver.prompt(""), driver.held()), (Seq(2), vec![2]));
}

#[test]
fn the_last_debugger_to_leave_lets_everybody_go_after_its_grace() {
    let mut driver = Driver::attached();
    let seq = driver.prompt("");
    driver.run(|_| vec![Change::Left(Role::Debugger)]);
    assert_eq!(driver.held(), [seq.0], "the grace has begun");
    let kept = driver.prompt("");
    driver.run(|session| session.detach(moment(10)));
    assert!(driver.held().is_empty());
    assert_eq!(driver.answer_to(seq).outcome, Outcome::Detached);
    assert_eq!(driver.answer_to(kept).outcome, Outcome::Detached);
    assert_eq!(driver.session.mode(), None);
}

#[test]
fn coming_back_within_the_grace_changes_nothing() {
    let mut driver = Driver::attached();
    resume(&mut driver, None);
    driver.run(|_| vec![Change::Left(Role::Debugger)]);
    driver.run(|session| session.join(Role::Debugger, true));
    assert_eq!(driver.session.mode(), Some(Mode::Running));
    assert!(driver.session.detach(moment(9)).is_empty(), "somebody is there");
}

#[test]
fn trimming_shifts_the_position_down_and_keeps_the_hold() {
    let mut driver = Driver::attached();
    let first = driver.prompt("");
    driver.prompt("");
    driver.step();
    driver.step();
    assert_eq!(driver.pos(), (2, 2));
    let held = driver.prompt("");
    for expected in [(1, 2), (0, 1), (0, 0)] {
        driver.trim();
        assert_eq!(driver.pos(), expected);
    }
    assert_eq!(driver.session.dropped(), 3);
    assert_eq!(driver.answer_to(first).total, 1);
    assert_eq!(driver.step(), [held], "a trimmed event stays releasable");
    assert_eq!(driver.pos(), (0, 0));
}

#[test]
fn a_session_full_of_holds_records_and_lets_pass() {
    let mut driver = Driver::attached();
    let seqs: Vec<_> = (0..9).map(|_| driver.prompt("")).collect();
    assert_eq!(driver.held().len(), 8);
    assert_eq!(driver.answer_to(seqs[8]).outcome, Outcome::NotHeld);
}

#[test]
fn hold_never_is_never_held() {
    let mut driver = Driver::attached();
    driver.trace(Report { may_hold: false, ..report(EventType::Log, "") });
    assert!(driver.held().is_empty());
}

#[test]
fn held_time_is_measured_on_the_steady_clock() {
    let mut driver = Driver::attached();
    let seq = driver.prompt("");
    let began = driver.now;
    driver.run(|session| session.step(None, None, Granularity::Into, &actor(), moment(began + 250)).expect("held"));
    assert_eq!(driver.answer_to(seq).held_for.as_millis(), 250);
}

#[test]
fn a_decision_needs_an_agent_that_obeys_it() {
    let mut driver = Driver::attached();
    let (deaf, obedient) = (driver.prompt(""), driver.trace(accepting(EventType::ToolCall)));
    let fail = || Decision::Fail { message: "no".into(), data: None };
    let refused = driver.session.release(deaf, fail(), &actor(), moment(5)).expect_err("accepts nothing");
    assert!(matches!(refused, Refusal::NotAccepted { .. }), "{refused}");
    driver.run(|session| session.release(obedient, fail(), &actor(), moment(5)).expect("accepted"));
    assert_eq!(driver.answer_to(obedient).decision, fail());
    assert_eq!(driver.answer_to(obedient).outcome, Outcome::Released);
    let again = driver.session.release(obedient, fail(), &actor(), moment(5)).expect_err("once");
    assert_eq!(again, Refusal::NotHeld(obedient));
    driver.run(|session| session.release(deaf, Decision::Proceed, &actor(), moment(5)).expect("always"));
}

#[test]
fn decisions_apply_where_they_mean_something() {
    let edit = || Decision::Edit { data: None, model: Some("m".into()) };
    let fulfil = || Decision::Fulfil { data: None };
    let fail = || Decision::Fail { message: "".into(), data: None };
    let abort = || Decision::Abort { reason: "".into() };
    let rows = [
        (EventType::Prompt, [true, true, true, true]),
        (EventType::ToolCall, [true, true, true, true]),
        (EventType::Response, [true, false, true, true]),
        (EventType::ToolResult, [true, false, true, true]),
        (EventType::Error, [false, false, false, true]),
        (EventType::Log, [false, false, false, true]),
    ];
    for (kind, expected) in rows {
        let mut driver = Driver::attached();
        let seq = driver.trace(accepting(kind));
        let allowed = [edit(), fulfil(), fail(), abort()]
            .map(|decision| driver.session.release(seq, decision, &actor(), moment(5)).is_ok());
        assert_eq!(allowed, expected, "{kind:?}");
    }
}

#[test]
fn abort_ends_the_run_until_somebody_lets_it_go_on() {
    let mut driver = Driver::attached();
    let (one, two) = (driver.trace(accepting(EventType::Prompt)), driver.trace(accepting(EventType::Prompt)));
    let other = driver.prompt("other");
    let abort = Decision::Abort { reason: "enough".into() };
    driver.run(|session| session.release(one, abort.clone(), &actor(), moment(5)).expect("accepted"));
    assert_eq!(driver.answer_to(two).decision, abort);
    assert_eq!(driver.held(), [other.0]);
    let later = driver.prompt("");
    assert_eq!((&driver.answer_to(later).decision, driver.answer_to(later).outcome), (&abort, Outcome::NotHeld));
    // Neither a step nor a tab that closes and comes back lets a stopped run go on.
    driver.step();
    driver.run(|_| vec![Change::Left(Role::Debugger)]);
    driver.run(|session| session.detach(moment(9)));
    let while_away = driver.prompt("");
    assert_eq!(driver.answer_to(while_away).decision, abort);
    driver.run(|session| session.join(Role::Debugger, true));
    let back = driver.prompt("");
    assert_eq!(driver.answer_to(back).decision, abort);
    pause(&mut driver, None);
    let after = driver.prompt("");
    assert!(driver.held().contains(&after.0));
}

#[test]
fn a_pause_within_the_grace_is_kept_for_the_next_attach() {
    let mut driver = Driver::attached();
    driver.run(|_| vec![Change::Left(Role::Debugger)]);
    pause(&mut driver, None);
    driver.run(|session| session.detach(moment(9)));
    driver.run(|session| session.join(Role::Debugger, false));
    driver.prompt("");
    assert_eq!(driver.held(), [1]);
}

#[test]
fn a_mode_that_was_asked_for_is_not_dropped_for_another() {
    let mut driver = Driver::attached();
    for run in 0..super::MAX_RUN_MODES {
        let run = run_id(&format!("run {run}"));
        assert_eq!(driver.session.room_for_mode(Some(&run)), Ok(()));
        driver.run(|session| session.resume(Some(&run), &actor(), moment(9)));
    }
    let (first, other) = (run_id("run 0"), run_id("other"));
    let refusal = Refusal::TooManyRunModes(super::MAX_RUN_MODES);
    assert_eq!(driver.session.room_for_mode(Some(&other)), Err(refusal.clone()));
    assert_eq!(
        driver.session.step(Some(&other), None, Granularity::Into, &actor(), moment(9)).expect_err("full"),
        refusal
    );
    assert_eq!((driver.session.room_for_mode(Some(&first)), driver.session.room_for_mode(None)), (Ok(()), Ok(())));
    // Runs that stop at a breakpoint change nothing of that.
    let breakpoint = driver.session.create_breakpoint(std::sync::Arc::new(super::fixtures::spec())).expect("room");
    driver.run(|_| vec![Change::Breakpoint(breakpoint)]);
    resume(&mut driver, None);
    driver.run(|session| session.pause(Some(&first)));
    for run in 0..super::MAX_RUN_MODES + 5 {
        let seq = driver.prompt(&format!("stopped {run}"));
        driver.run(|session| Vec::from_iter(session.give_up(seq, Outcome::Abandoned, moment(9))));
    }
    driver.run(|_| vec![Change::BreakpointGone(1)]);
    let held = driver.prompt("run 0");
    assert_eq!(driver.held(), [held.0]);
}

#[test]
fn one_abort_too_many_is_refused_and_lifts_none() {
    let mut driver = Driver::attached();
    let abort = |driver: &mut Driver, run: &str| {
        let seq = driver.trace(Report { accepts: everything(), ..report(EventType::Prompt, run) });
        let changes = driver.session.release(seq, Decision::Abort { reason: "enough".into() }, &actor(), moment(9));
        changes.map(|changes| drop(driver.run(|_| changes)))
    };
    for run in 0..super::MAX_ABORTED_RUNS {
        assert_eq!(abort(&mut driver, &format!("run {run}")), Ok(()));
    }
    let refusal = Refusal::TooManyAborts(super::MAX_ABORTED_RUNS);
    assert_eq!(abort(&mut driver, "other"), Err(refusal));
    let later = driver.prompt("run 0");
    assert!(matches!(driver.answer_to(later).decision, Decision::Abort { .. }));
    resume(&mut driver, Some("run 1"));
    let held = Seq(driver.held()[0]);
    let abort = Decision::Abort { reason: "".into() };
    assert!(driver.session.release(held, abort, &actor(), moment(9)).is_ok(), "there is room again");
}

#[test]
fn only_what_nothing_was_decided_about_can_be_evicted() {
    let idle = |act: fn(&mut Driver)| {
        let mut driver = Driver::new();
        driver.prompt("r");
        act(&mut driver);
        driver.session.is_idle()
    };
    assert!(idle(|_| ()));
    assert!(!idle(|driver| pause(driver, None)));
    assert!(!idle(|driver| pause(driver, Some("r"))));
    assert!(!idle(|driver| drop(driver.run(|_| vec![Change::Aborted { run: run_id("r"), reason: "".into() }]))));
    assert!(!idle(|driver| {
        let spec = super::breakpoint::Spec { enabled: false, ..super::fixtures::spec() };
        let breakpoint = driver.session.create_breakpoint(spec.into()).expect("room");
        driver.run(|_| vec![Change::Breakpoint(breakpoint)]);
    }));
    assert!(idle(|driver| {
        pause(driver, Some("r"));
        resume(driver, None);
        driver.run(|_| vec![Change::Aborted { run: run_id("r"), reason: "".into() }]);
        resume(driver, Some("r"));
    }));
    // A debugger that came and went leaves nothing.
    assert!(idle(|driver| {
        driver.run(|session| session.join(Role::Debugger, true));
        driver.run(|_| vec![Change::Left(Role::Debugger)]);
        driver.run(|session| session.detach(moment(9)));
    }));
}

fn spending(kind: EventType, run: &str, tokens: u64) -> Report {
    let details = crate::event::Details { token_count: Some(tokens), ..Default::default() };
    Report { details: Some(Box::new(details)), ..report(kind, run) }
}

#[test]
fn what_a_run_came_to_outlives_its_events() {
    let mut driver = Driver::new();
    driver.trace(Report { parent_id: Some("above".into()), ..spending(EventType::Prompt, "quiet", 60) });
    driver.prompt("other");
    driver.trim();
    assert!(driver.session.run_view(&run_id("quiet")).is_none(), "there is nothing to show of it");
    driver.trace(spending(EventType::Response, "quiet", 5));
    let event = driver.events.last().expect("some");
    assert_eq!(event.node_id.as_deref(), Some("n1"));
    let context = event.context;
    assert_eq!((context.run_events, context.run_tokens, context.depth), (2, 65, 1));
    assert!(super::fork::plan::is_truncated([&**event]));
}

#[test]
fn quiet_runs_are_bounded_and_the_oldest_begins_again() {
    let mut driver = Driver::new();
    driver.run(|_| vec![Change::Aborted { run: run_id("run 1"), reason: "".into() }]);
    for run in 0..=super::quiet::MAX_QUIET_RUNS + 1 {
        driver.prompt(&format!("run {run}"));
        driver.trim();
    }
    assert_eq!(driver.session.quiet.len(), super::quiet::MAX_QUIET_RUNS);
    for (run, events) in [("run 0", 1), ("run 1", 2), ("run 2", 2)] {
        let seq = driver.prompt(run);
        assert_eq!(driver.events.last().expect("some").context.run_events, events, "{run}");
        assert_eq!(matches!(driver.answer_to(seq).decision, Decision::Abort { .. }), run == "run 1");
    }
}

#[test]
fn the_result_of_a_step_that_was_trimmed_while_it_was_held_finds_its_node() {
    let mut driver = Driver::attached();
    let held = driver.trace(report(EventType::ToolCall, "g"));
    driver.trim();
    assert!(driver.session.run_view(&run_id("g")).is_some(), "it is readable");
    driver.step();
    driver.trace(report(EventType::ToolResult, "g"));
    assert_eq!(driver.events.last().expect("some").node_id.as_deref(), Some("n1"));
    assert_eq!(driver.answer_to(held).outcome, Outcome::Stepped);
}

#[test]
fn whoever_watches_is_told_that_a_run_ended_before_its_step_did() {
    let mut driver = Driver::attached();
    driver.trace(at(EventType::ToolCall, "lost", ""));
    driver.step_by(Granularity::Over);
    let before = driver.session.revision();
    driver.trace(Report { run_end: true, ..report(EventType::Log, "") });
    assert_eq!(driver.session.mode(), Some(Mode::Paused(HoldReason::Step)));
    assert!(driver.session.revision() > before);
}

#[test]
fn a_mode_ends_with_its_run() {
    let mut driver = Driver::attached();
    resume(&mut driver, Some("r"));
    driver.trace(Report { run_end: true, ..report(EventType::Log, "r") });
    driver.prompt("r");
    assert_eq!(driver.held(), [2]);
}

#[test]
fn nodes_are_paired_only_where_there_is_one_answer() {
    let mut driver = Driver::new();
    let named = |kind, name: &str| Report { name: Some(name.into()), ..report(kind, "") };
    driver.trace(report(EventType::Prompt, ""));
    driver.trace(named(EventType::ToolCall, "read"));
    driver.trace(named(EventType::ToolCall, "write"));
    driver.trace(report(EventType::ToolResult, ""));
    driver.trace(named(EventType::ToolResult, "read"));
    driver.trace(report(EventType::ToolResult, ""));
    driver.trace(report(EventType::Response, "other run"));
    driver.trace(report(EventType::Log, ""));
    driver.trace(report(EventType::Error, ""));
    driver.trace(report(EventType::Response, ""));
    let nodes: Vec<_> = driver.events.iter().map(|event| event.node_id.as_deref()).collect();
    let expected = [Some("n1"), Some("n2"), Some("n3"), None, Some("n2"), Some("n3"), None, None, Some("n1"), None];
    assert_eq!(nodes, expected);
}

#[test]
fn a_repeated_request_finds_its_event_again() {
    let mut driver = Driver::attached();
    let seq = driver.trace(Report { request_id: Some("r".into()), ..report(EventType::Prompt, "") });
    assert!(matches!(driver.session.known(&"r".into(), 7), Ok(Some(Known::Held(held))) if held == seq));
    assert_eq!(driver.session.known(&"r".into(), 8).expect_err("another body"), Refusal::OtherBody);
    driver.step();
    let Ok(Some(Known::Answered(answer))) = driver.session.known(&"r".into(), 7) else { panic!("answered") };
    assert_eq!((answer.seq, answer.outcome), (seq, Outcome::Stepped));
    driver.trim();
    assert!(matches!(driver.session.known(&"r".into(), 7), Ok(None)), "as long as its event is retained");
}

#[test]
fn a_request_whose_event_was_trimmed_is_known_while_it_is_held() {
    let mut driver = Driver::attached();
    driver.trace(Report { request_id: Some("r".into()), ..report(EventType::Prompt, "") });
    driver.trim();
    assert!(matches!(driver.session.known(&"r".into(), 7), Ok(Some(Known::Held(_)))));
    let event = driver.session.holds().next().expect("held").event.clone();
    driver.step();
    // Its caller may ask again: the answer is there as long as the record of the decision is.
    assert!(matches!(driver.session.known(&"r".into(), 7), Ok(Some(Known::Answered(_)))));
    driver.run(|_| vec![Change::KeptGone(event)]);
    assert!(matches!(driver.session.known(&"r".into(), 7), Ok(None)));
}

#[test]
fn runs_are_listed_with_what_they_did_and_forgotten_with_their_events() {
    let mut driver = Driver::new();
    driver.prompt("a");
    driver.trace(Report { run_end: true, ..report(EventType::Response, "b") });
    let runs: Vec<_> = driver
        .session
        .runs(9)
        .into_iter()
        .map(|run| (run.run_id.as_str().to_owned(), run.events, run.finished))
        .collect();
    assert_eq!(runs, [("a".to_owned(), 1, false), ("b".to_owned(), 1, true)]);
    assert_eq!(driver.session.runs(1)[0].run_id.as_str(), "b", "the newest");
    driver.trim();
    assert_eq!(driver.session.runs(9).len(), 1);
}

/// A step in a tree: its type, its node and the node above.
fn at(kind: EventType, node: &str, parent: &str) -> Report {
    let parent_id = (!parent.is_empty()).then(|| parent.into());
    Report { node_id: Some(node.into()), parent_id, ..report(kind, "") }
}

#[test]
fn stepping_over_passes_the_subtree_and_stops_at_the_close() {
    let mut driver = Driver::attached();
    let call = driver.trace(at(EventType::ToolCall, "sub", "root"));
    assert_eq!(driver.step_by(Granularity::Over), [call]);
    assert!(matches!(driver.session.mode(), Some(Mode::Stepping(_))));
    driver.trace(at(EventType::Prompt, "child", "sub"));
    driver.trace(at(EventType::ToolCall, "grandchild", "child"));
    driver.trace(at(EventType::ToolResult, "grandchild", ""));
    driver.trace(at(EventType::Response, "child", ""));
    assert!(driver.held().is_empty());
    let close = driver.trace(at(EventType::ToolResult, "sub", ""));
    assert_eq!(driver.held(), [close.0]);
    assert_eq!(driver.session.mode(), Some(Mode::Paused(HoldReason::Step)));
    // From a closing step there is nothing to step over: it goes into the next.
    driver.step_by(Granularity::Over);
    let next = driver.trace(report(EventType::Log, ""));
    assert_eq!(driver.held(), [next.0]);
}

#[test]
fn a_node_that_never_closes_does_not_lose_the_agent() {
    let mut driver = Driver::attached();
    driver.trace(at(EventType::ToolCall, "lost", ""));
    driver.step_by(Granularity::Over);
    driver.trace(at(EventType::Prompt, "inside", "lost"));
    driver.trace(report(EventType::Log, ""));
    assert!(driver.held().is_empty());
    let outside = driver.trace(at(EventType::Prompt, "next", ""));
    assert_eq!(driver.held(), [outside.0]);
}

#[test]
fn stepping_out_stops_at_the_close_of_the_node_above() {
    let mut driver = Driver::attached();
    resume(&mut driver, None);
    driver.trace(at(EventType::ToolCall, "outer", ""));
    pause(&mut driver, None);
    driver.trace(at(EventType::Prompt, "inner", "outer"));
    driver.step_by(Granularity::Out);
    driver.trace(at(EventType::Response, "inner", ""));
    driver.trace(at(EventType::ToolCall, "second", "outer"));
    driver.trace(at(EventType::ToolResult, "second", ""));
    assert!(driver.held().is_empty());
    let close = driver.trace(at(EventType::ToolResult, "outer", ""));
    assert_eq!(driver.held(), [close.0]);
}

#[test]
fn a_step_target_is_of_its_run_alone() {
    let mut driver = Driver::attached();
    driver.trace(at(EventType::ToolCall, "sub", ""));
    driver.step_by(Granularity::Over);
    let other = driver.prompt("other");
    assert_eq!(driver.held(), [other.0], "other runs are as paused as before");
}

fn nodes(driver: &Driver) -> Vec<Option<&str>> {
    driver.events.iter().map(|event| event.node_id.as_deref()).collect()
}

fn with_data(kind: EventType, json: &str) -> Report {
    let data = Payload { json: json.into(), encoding: Encoding::Json };
    Report { data, ..report(kind, "") }
}

#[test]
fn an_opening_that_comes_once_more_supersedes_the_one_that_never_closed() {
    let mut driver = Driver::new();
    driver.trace(with_data(EventType::Prompt, r#"{"q":1}"#));
    driver.trace(with_data(EventType::Prompt, r#"{"q":1}"#));
    driver.trace(report(EventType::Response, ""));
    assert_eq!(nodes(&driver)[2], Some("n2"));
    // Both were asked at once: the second answer is that of the other.
    driver.trace(report(EventType::Response, ""));
    assert_eq!(nodes(&driver)[3], Some("n1"));
}

#[test]
fn openings_that_differ_are_concurrent_and_stay_unpaired() {
    let model = |model: &str| {
        let details = crate::event::Details { model: Some(model.into()), ..Default::default() };
        Report { details: Some(Box::new(details)), ..report(EventType::Prompt, "") }
    };
    let parent = |parent: &str| Report { parent_id: Some(parent.into()), ..report(EventType::Prompt, "") };
    for (first, second) in [
        (with_data(EventType::Prompt, r#"{"q":1}"#), with_data(EventType::Prompt, r#"{"q":2}"#)),
        (model("a"), model("b")),
        (report(EventType::Prompt, ""), model("a")),
        (parent("a"), parent("b")),
    ] {
        let mut driver = Driver::new();
        driver.trace(first);
        driver.trace(second);
        driver.trace(report(EventType::Response, ""));
        assert_eq!(nodes(&driver)[2], None);
    }
}

#[test]
fn the_end_of_a_run_closes_what_is_open_in_it() {
    let mut driver = Driver::attached();
    resume(&mut driver, None);
    driver.trace(with_data(EventType::Prompt, r#"{"q":1}"#));
    driver.trace(Report { run_end: true, ..report(EventType::Log, "") });
    driver.trace(report(EventType::Error, ""));
    pause(&mut driver, None);
    let again = driver.trace(with_data(EventType::Prompt, r#"{"q":2}"#));
    assert_eq!(driver.step_by(Granularity::Over), [again]);
    let response = driver.trace(report(EventType::Response, ""));
    assert_eq!((nodes(&driver)[2], nodes(&driver)[4]), (None, Some("n4")));
    assert_eq!(driver.held(), [response.0], "step over stops at it");
}

#[test]
fn what_an_abandoned_hold_opened_is_passed_over() {
    for deserted in [false, true] {
        let mut driver = Driver::attached();
        let seq = driver.trace(with_data(EventType::Prompt, r#"{"q":1}"#));
        driver.run(|session| {
            if !deserted {
                Vec::from_iter(session.give_up(seq, Outcome::Abandoned, moment(5)))
            } else {
                session.give_up_deserted(seq, moment(5))
            }
        });
        let again = driver.trace(with_data(EventType::Prompt, r#"{"q":2}"#));
        assert_eq!(driver.step_by(Granularity::Over), [again]);
        let response = driver.trace(report(EventType::Response, ""));
        assert_eq!((nodes(&driver)[2], driver.held()), (Some("n2"), vec![response.0]));
        // Its caller may have gone on all the same: where no other fits, the answer is its own.
        driver.trace(report(EventType::Response, ""));
        assert_eq!(nodes(&driver)[3], Some("n1"));
    }
}

#[test]
fn a_parent_tells_parallel_calls_of_one_name_apart() {
    let call = |parent: &str, json: &str| Report {
        name: Some("get".into()),
        parent_id: Some(parent).filter(|parent| !parent.is_empty()).map(Into::into),
        ..with_data(EventType::ToolCall, json)
    };
    let result = |parent: &str| Report { kind: EventType::ToolResult, ..call(parent, "{}") };
    let mut driver = Driver::new();
    for (parent, json) in [("a", r#"{"n":1}"#), ("b", r#"{"n":2}"#), ("", r#"{"n":3}"#)] {
        driver.trace(call(parent, json));
    }
    // Of b; of none of two; of a; of the one that named none; of the call that it names; of another parent.
    driver.trace(result("b"));
    driver.trace(result(""));
    driver.trace(result("a"));
    driver.trace(result("x"));
    driver.trace(call("a", r#"{"n":8}"#));
    driver.trace(result("n8"));
    driver.trace(call("a", r#"{"n":10}"#));
    driver.trace(result("c"));
    let closed: Vec<_> = [3, 4, 5, 6, 8, 10].map(|index| nodes(&driver)[index]).into();
    assert_eq!(closed, [Some("n2"), None, Some("n1"), Some("n3"), Some("n8"), None]);
}
