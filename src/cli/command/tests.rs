//! The grammar of the prompt, line by line.

use super::*;

fn check(line: &str, expected: Command) {
    assert_eq!(parse(line), Ok(expected), "{line}");
}

fn step(reach: StepGranularity, seq: Option<u64>) -> Command {
    Command::Step { reach, seq }
}

#[test]
fn every_command_has_its_short_form() {
    use StepGranularity::{Into, Out, Over};
    for (line, expected) in [
        ("step", step(Into, None)),
        ("s 9", step(Into, Some(9))),
        ("s #9", step(Into, Some(9))),
        ("next", step(Over, None)),
        ("n -", step(Over, None)),
        ("out", step(Out, None)),
        ("  o   4 ", step(Out, Some(4))),
        ("continue", Command::Continue),
        ("c", Command::Continue),
        ("p", Command::Pause),
        ("pause", Command::Pause),
        ("print", Command::Print(None)),
        ("pr 3", Command::Print(Some(3))),
        ("l", Command::List(10)),
        ("list 25", Command::List(25)),
        ("held", Command::Held),
        ("t", Command::Tree),
        ("status", Command::Status),
        ("runs", Command::Runs),
        ("clear", Command::Clear),
        ("?", Command::Help),
        ("h anything", Command::Help),
        ("q", Command::Quit),
    ] {
        check(line, expected);
    }
}

#[test]
fn decisions_name_their_event_or_mean_the_oldest() {
    let edit = |seq, json: Option<&str>, model: &str| Command::Release {
        seq,
        action: Action::Edit(proto::Edit {
            payload: json.map(|json| proto::edit::Payload::DataJson(json.into())),
            model: model.into(),
        }),
    };
    check("edit {\"a\": 1.10}", edit(None, Some("{\"a\": 1.10}"), ""));
    check("edit - {}", edit(None, Some("{}"), ""));
    check("edit 9 {\"--model\": \"} x\"} --model m", edit(Some(9), Some("{\"--model\": \"} x\"}"), "m"));
    check("edit #9 --model m {}", edit(Some(9), Some("{}"), "m"));
    check("edit --model m", edit(None, None, "m"));
    let fulfilled = proto::fulfil::Payload::DataJson("{\"n\": 2}".into());
    let action = Action::Fulfil(proto::Fulfil { payload: Some(fulfilled) });
    check("fulfil {\"n\": 2}", Command::Release { seq: None, action });
    let fail = |message: &str| Action::Fail(proto::Fail { message: message.into(), payload: None });
    check("fail 404 not found", Command::Release { seq: None, action: fail("404 not found") });
    check("fail #7 no", Command::Release { seq: Some(7), action: fail("no") });
    let abort = |reason: &str| Action::Abort(proto::Abort { reason: reason.into() });
    check("abort", Command::Release { seq: None, action: abort("") });
    check("abort - too dear", Command::Release { seq: None, action: abort("too dear") });
    check("proceed 3", Command::Release { seq: Some(3), action: Action::Proceed(proto::Proceed {}) });
}

#[test]
fn waiting_has_a_bound_where_one_is_given() {
    let wait = |what, at_most: Option<u64>| Command::Wait { what, at_most: at_most.map(Duration::from_secs) };
    check("wait", wait(Awaited::Hold, None));
    check("wait 10s", wait(Awaited::Hold, Some(10)));
    check("wait held 1m", wait(Awaited::Hold, Some(60)));
    check("wait end", wait(Awaited::RunEnd, None));
    check("wait end 5s", wait(Awaited::RunEnd, Some(5)));
}

#[test]
fn breakpoints_are_made_listed_switched_and_tried() {
    let ids = |ids: &[&str]| ids.iter().map(|id| String::from(*id)).collect::<Vec<_>>();
    check("b", Command::Break(Break::List));
    check("break list", Command::Break(Break::List));
    check("b enable b1 b2", Command::Break(Break::Enable(ids(&["b1", "b2"]), true)));
    check("b disable b1", Command::Break(Break::Enable(ids(&["b1"]), false)));
    check("b delete b3", Command::Break(Break::Delete(ids(&["b3"]))));
    check("b test b3", Command::Break(Break::TestKnown("b3".into())));
    let any = Breakpoint { condition: "true".into(), ..Default::default() };
    check("b test if true", Command::Break(Break::Test(any.clone())));
    check("b if true", Command::Break(Break::Make(any)));
}

#[test]
fn what_is_wrong_is_told() {
    for (line, told) in [
        ("jump", "no command is named jump"),
        ("step x", "x is no event's number"),
        ("pause now", "pause takes nothing"),
        ("list all", "number of events"),
        ("edit", "edit takes"),
        ("edit x {}", "x is no event's number"),
        ("edit {} {}", "edit takes"),
        ("edit {\"a\": }", "not valid at column"),
        ("fulfil", "as {JSON}"),
        ("fulfil 3 [1]", "must be a JSON object"),
        ("fulfil {} x", "what is x"),
        ("fail", "takes a message"),
        ("fail #7", "takes a message"),
        ("fail #x y", "#x is no event's number"),
        ("wait soon", "wait takes"),
        ("b delete", "takes ids"),
    ] {
        let error = parse(line).expect_err(line);
        assert!(error.contains(told), "{line}: {error}");
    }
}

#[test]
fn an_empty_line_repeats_what_steers_but_not_its_number() {
    let repeated = |line: &str| parse(line).ok().and_then(|command| command.repeated());
    assert_eq!(repeated("s 9"), Some(step(StepGranularity::Into, None)));
    assert_eq!(repeated("c"), Some(Command::Continue));
    assert_eq!(repeated("list"), None);
}
