//! What a step is matched with: by its model, below a model call, and after its agent was started again.

use super::*;

fn of_model(run: &str, step: Step<'_>, model: &str) -> Report {
    let model = Some(model).filter(|model| !model.is_empty()).map(Into::into);
    Report { details: Some(Box::new(Details { model, ..Details::default() })), ..reported(run, step) }
}

fn divergence(event: &Event) -> &crate::event::Divergence {
    event.replay.as_ref().and_then(|replay| replay.divergence.as_ref()).expect("it diverges")
}

#[test]
fn a_prompt_is_answered_by_the_model_that_it_asks() {
    let ask = |node| Step(Prompt, node, "", "", r#"{"q":1}"#);
    let mut driver = Driver::new();
    driver.trace(of_model("", ask("g"), "gpt"));
    driver.trace(of_model("", ask("c"), "claude"));
    record(
        &mut driver,
        &[
            Step(Response, "c", "", "", r#"{"by":"claude"}"#),
            Step(Error, "g", "", "", r#"{"error":"overloaded"}"#),
            Step(Prompt, "p", "", "", "{}"),
        ],
    );
    for (run, models, expected) in [
        ("one", ["claude", "gpt"], [r#"{"by":"claude"}"#, "overloaded"]),
        ("two", ["gpt", "claude"], ["overloaded", r#"{"by":"claude"}"#]),
    ] {
        fork_as(&mut driver, run, spec(5));
        for (model, expected) in models.into_iter().zip(expected) {
            match trace_report(&mut driver, of_model(run, ask(""), model)).0 {
                Ok(Decision::Fulfil { data }) => assert_eq!(data, Some(payload(expected))),
                Ok(Decision::Fail { message, .. }) => assert_eq!(&*message, expected),
                other => panic!("{model}: {other:?}"),
            }
        }
    }
}

#[test]
fn content_of_another_model_is_a_divergence_that_names_the_model() {
    let keyed = |run, model: &str| {
        let mut report = of_model(run, Step(Prompt, "", "", "", "{}"), model);
        report.details.as_mut().expect("some").match_key = Some("k".into());
        report
    };
    let mut driver = Driver::new();
    driver.trace(of_model("", TRIP[0], "gpt"));
    record(&mut driver, &TRIP[1..2]);
    driver.trace(keyed("", "gpt"));
    record(&mut driver, &[Step(Response, "", "", "", r#"{"k":1}"#), Step(Prompt, "p", "", "", "{}")]);
    fork(&mut driver, spec(5));
    for (report, left, right) in
        [(of_model("f", TRIP[0], "claude"), "\"gpt\"", "\"claude\""), (keyed("f", "claude"), "\"gpt\"", "\"claude\"")]
    {
        let (told, event) = trace_report(&mut driver, report);
        assert_eq!(told, Err(HoldReason::Divergence));
        let divergence = divergence(&event);
        assert!(divergence.reason.contains("another model"), "{}", divergence.reason);
        let fields: Vec<_> =
            divergence.fields.iter().map(|field| (&*field.path, &*field.left, &*field.right)).collect();
        assert_eq!(fields, [("model", left, right)]);
    }
    // Among what differs otherwise, too, the model is one of the fields.
    let (_, event) =
        trace_report(&mut driver, of_model("f", Step(Prompt, "", "", "", r#"{"q":"plan","at":2}"#), "claude"));
    let paths: Vec<_> = divergence(&event).fields.iter().map(|field| &*field.path).collect();
    assert_eq!(paths, ["model", "$.at"]);
    assert_eq!(trace_report(&mut driver, of_model("f", TRIP[0], "gpt")).0, fulfilled(r#"{"a":"search"}"#));
    let again = trace_report(&mut driver, of_model("f", TRIP[0], "gpt")).1;
    assert!(divergence(&again).reason.contains("1 times"), "{}", divergence(&again).reason);
}

#[test]
fn a_model_that_is_not_reported_contradicts_none() {
    let mut driver = Driver::new();
    driver.trace(of_model("", TRIP[0], "gpt"));
    record(&mut driver, &[TRIP[1], Step(Prompt, "p", "", "", "{}")]);
    fork(&mut driver, spec(3));
    assert_eq!(trace_report(&mut driver, of_model("f", TRIP[0], "")).0, fulfilled(r#"{"a":"search"}"#));
}

#[test]
fn a_fork_may_ignore_the_model_and_still_prefers_the_same_one() {
    let ask = Step(Prompt, "", "", "", r#"{"q":1}"#);
    let mut driver = Driver::new();
    for model in ["gpt", "claude"] {
        driver.trace(of_model("", ask, model));
        record(&mut driver, &[Step(Response, "", "", "", &format!(r#"{{"by":"{model}"}}"#))]);
    }
    record(&mut driver, &[Step(Prompt, "p", "", "", "{}")]);
    fork(&mut driver, Spec { ignore_model: true, ..spec(5) });
    for (model, by) in [("claude", "claude"), ("mistral", "gpt")] {
        let told = trace_report(&mut driver, of_model("f", ask, model)).0;
        assert_eq!(told, fulfilled(&format!(r#"{{"by":"{by}"}}"#)));
    }
}

#[test]
fn a_fork_that_asks_another_model_is_matched_by_what_its_agent_submits() {
    let mut driver = Driver::new();
    driver.trace(of_model("", TRIP[0], "small"));
    record(&mut driver, &TRIP[1..2]);
    driver.trace(of_model("", TRIP[6], "small"));
    let plan = fork(&mut driver, Spec { model: Some("large".into()), ..spec(3) });
    assert_eq!(plan.summary.from_record, 1);
    assert_eq!(trace_report(&mut driver, of_model("f", TRIP[0], "small")).0, fulfilled(r#"{"a":"search"}"#));
    let edit = Decision::Edit { data: None, model: Some("large".into()) };
    assert_eq!(trace_report(&mut driver, of_model("f", TRIP[6], "small")).0, Ok(edit));
}

/// Two turns in which the tool calls name the model call that asked for them as their parent, or none.
fn turns(parent: bool) -> Vec<Step<'static>> {
    let above = |node| if parent { node } else { "" };
    vec![
        Step(Prompt, "p1", "", "", r#"{"turn":1}"#),
        Step(Response, "p1", "", "", r#"{"calls":2}"#),
        Step(ToolCall, "a", above("p1"), "get", r#"{"n":1}"#),
        Step(ToolResult, "a", "", "get", r#"{"r":1}"#),
        Step(ToolCall, "b", above("p1"), "get", r#"{"n":2}"#),
        Step(ToolResult, "b", "", "get", r#"{"r":2}"#),
        Step(Prompt, "p2", "", "", r#"{"turn":2}"#),
        Step(Response, "p2", "", "", r#"{"calls":1}"#),
        Step(ToolCall, "c", above("p2"), "get", r#"{"n":3}"#),
        Step(ToolResult, "c", "", "get", r#"{"r":3}"#),
        Step(Prompt, "p3", "", "", r#"{"turn":3}"#),
    ]
}

#[test]
fn tool_calls_below_the_model_call_that_asked_for_them_are_served_like_siblings() {
    for parent in [false, true] {
        let turns = turns(parent);
        for (point, served) in [(11, 5), (9, 4), (8, 4), (5, 2)] {
            let mut driver = Driver::new();
            record(&mut driver, &turns);
            let policies = Policies { unknown: Policy::Run, ..Policies::default() };
            let plan = fork(&mut driver, Spec { policies, ..spec(point) });
            assert_eq!((plan.summary.from_record, plan.summary.entered), (served, 0), "at {point}, parent {parent}");
            let mut answered = 0;
            for step in &turns[..point as usize] {
                let (told, event) = trace(&mut driver, *step);
                let told = told.unwrap_or_else(|reason| panic!("event {} of {point} is held: {reason:?}", event.seq.0));
                answered += u32::from(matches!(told, Decision::Fulfil { .. }));
            }
            assert_eq!(answered, served, "a plan serves what it promises");
        }
    }
}

#[test]
fn steps_that_each_name_the_one_before_as_parent_are_served() {
    let mut driver = Driver::new();
    let chain = [
        Step(Prompt, "p1", "", "", r#"{"turn":1}"#),
        Step(Response, "p1", "", "", r#"{"a":1}"#),
        Step(ToolCall, "a", "p1", "get", "{}"),
        Step(ToolResult, "a", "p1", "get", r#"{"r":1}"#),
        Step(Prompt, "p2", "a", "", r#"{"turn":2}"#),
        Step(Response, "p2", "a", "", r#"{"a":2}"#),
        Step(ToolCall, "b", "p2", "put", "{}"),
    ];
    record(&mut driver, &chain);
    let plan = fork(&mut driver, spec(7));
    assert_eq!((plan.summary.from_record, plan.summary.entered), (3, 0));
    for (step, told) in [(0, r#"{"a":1}"#), (2, r#"{"r":1}"#), (4, r#"{"a":2}"#)] {
        assert_eq!(trace(&mut driver, chain[step]).0, fulfilled(told));
        assert_eq!(trace(&mut driver, chain[step + 1]).0, Ok(Decision::Proceed));
    }
    assert_eq!(trace(&mut driver, chain[6]).0, Err(HoldReason::Effect), "the fork point");
}

#[test]
fn a_tool_call_that_runs_while_its_model_call_streams_is_answered_where_it_comes() {
    let mut driver = Driver::new();
    record(
        &mut driver,
        &[
            Step(Prompt, "p", "", "", r#"{"q":1}"#),
            Step(ToolCall, "t", "p", "get", "{}"),
            Step(ToolResult, "t", "", "get", r#"{"r":1}"#),
            Step(Response, "p", "", "", r#"{"a":1}"#),
            Step(Prompt, "end", "", "", "{}"),
        ],
    );
    let plan = fork(&mut driver, spec(5));
    assert_eq!(plan.summary.from_record, 1, "what may come is not promised");
    assert_eq!(trace(&mut driver, Step(Prompt, "q", "", "", r#"{"q":1}"#)).0, fulfilled(r#"{"a":1}"#));
    assert_eq!(trace(&mut driver, Step(ToolCall, "", "q", "get", "{}")).0, fulfilled(r#"{"r":1}"#));
}

#[test]
fn what_an_agent_did_again_after_it_was_killed_is_served_once() {
    let prompt = Step(Prompt, "", "", "", r#"{"q":1}"#);
    let named = Step(Prompt, "p", "", "", r#"{"q":1}"#);
    let end = Report { run_end: true, ..reported("", Step(Log, "", "", "", "{}")) };
    for (first, between) in [(prompt, None), (named, None), (prompt, Some(end.clone())), (named, Some(end))] {
        let mut driver = Driver::new();
        record(&mut driver, &[first]);
        if let Some(between) = between {
            driver.trace(between);
        }
        let Step(kind, node, ..) = first;
        record(&mut driver, &[first, Step(Response, node, "", "", r#"{"a":1}"#), Step(Prompt, "end", "", "", "{}")]);
        assert_eq!(kind, Prompt);
        let point = driver.events.last().expect("some").seq.0;
        let plan = fork(&mut driver, spec(point));
        assert_eq!((plan.summary.from_record, plan.summary.without_result), (1, 0));
        assert_eq!(trace(&mut driver, first).0, fulfilled(r#"{"a":1}"#));
    }
}

#[test]
fn a_plan_says_which_steps_have_no_result_to_serve() {
    let mut driver = Driver::new();
    record(&mut driver, &[TRIP[8], TRIP[0], TRIP[1], TRIP[6]]);
    let plan = plan(&driver, spec(4)).expect("it can be forked");
    assert_eq!((plan.summary.from_record, plan.summary.without_result), (1, 1));
    assert!(plan.summary.sentence().starts_with("1 served from record, 1 without a recorded result, then live"));
}

#[test]
fn a_record_with_events_missing_anywhere_but_at_its_end_is_truncated() {
    let with = |events: &[u64]| {
        let event = |number: &u64| {
            let mut event = crate::session::fixtures::event(Seq(*number), "{}");
            event.context.run_events = *number;
            event
        };
        let events: Vec<_> = events.iter().map(event).collect();
        crate::session::fork::plan::is_truncated(&events)
    };
    assert_eq!([with(&[1, 2, 3]), with(&[2, 3]), with(&[1, 5, 6]), with(&[])], [false, true, true, false]);
}
