//! The rules of a session, claim by claim.

use super::{
    Change, HoldReason, Known, Mode, Refusal, Role,
    control::Granularity,
    fixtures::{Driver, everything, moment, report, run_id},
};
use crate::event::{Decision, EventType, Outcome, Report, Seq};

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
fn modes_of_runs_are_bounded_and_the_oldest_goes_back_to_the_default() {
    let mut driver = Driver::attached();
    for run in 0..super::MAX_RUN_MODES {
        resume(&mut driver, Some(&format!("run {run}")));
    }
    let seq = driver.prompt("one more");
    assert_eq!(resume(&mut driver, Some("one more")), [seq]);
    driver.prompt("one more");
    assert!(driver.held().is_empty(), "a continue is never lost");
    assert_eq!(driver.session.runs(9_999).len(), super::MAX_RUN_MODES);
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
    driver.step();
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
