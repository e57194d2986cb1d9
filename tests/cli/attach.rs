//! `attach` in a pipe: a script steers an agent from its first step to its last, without a pause of its own.

use agent_debugger::proto::{
    self, EventType, Outcome, TraceRequest, TraceResponse, Verb, decision::Action, edit, fulfil,
};
use serde_json::{Value, json};

use crate::support::{Process, TestServer, soon, step};

/// Attached, and told so.
async fn attach(server: &TestServer, flags: &[&str]) -> Process {
    let mut process = Process::start(server.cli(&[&["attach", "a"], flags].concat()));
    if flags.contains(&"--json") {
        drop(process.out.json("state").await)
    } else {
        drop(process.out.until("attached to a").await)
    }
    process
}

/// The positions of texts in the output, which must come in this order.
fn assert_in_order(lines: &[String], texts: &[&str]) {
    let mut rest = lines.iter();
    for text in texts {
        assert!(rest.any(|line| line.contains(text)), "{text} is missing, or not where it should be, in {lines:#?}");
    }
}

#[tokio::test]
async fn a_script_steps_an_agent_from_first_to_last() {
    let server = TestServer::start().await;
    let mut debugger = attach(&server, &[]).await;
    let mut api = server.api();
    let agent = tokio::spawn(async move {
        let mut outcomes = Vec::new();
        for (kind, last) in [(EventType::Prompt, false), (EventType::Response, false), (EventType::Log, true)] {
            let request = TraceRequest { run_end: last, ..step("a", kind, "{}") };
            outcomes.push(api.trace(request).await.unwrap().into_inner().outcome());
        }
        outcomes
    });
    debugger.say("# three steps\nwait\nstep\nwait\ns\n\nwait 10s\ns\nwait end\nheld").await;
    assert_eq!(soon("the agent", agent).await.unwrap(), [Outcome::Stepped; 3]);
    let ended = debugger.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_in_order(
        &ended.out,
        &[
            "prompt",
            "held at #1 prompt: step",
            "#1 stepped",
            "response",
            "held at #2 response: step",
            "#2 stepped",
            "log",
            "held at #3 log: step",
            "#3 stepped",
            "nothing is held",
        ],
    );
    server.until("a", "the detach", |status| status.debuggers == 0).await;
}

#[tokio::test]
async fn each_decision_arrives() {
    let server = TestServer::start().await;
    let mut debugger = attach(&server, &["--json"]).await;
    let mut api = server.api();
    let agent = tokio::spawn(async move {
        let mut answers: Vec<TraceResponse> = Vec::new();
        for run in 1..=7 {
            let request = TraceRequest { run_id: run.to_string(), ..step("a", EventType::ToolCall, "{\"x\":1}") };
            answers.push(api.trace(request).await.unwrap().into_inner());
        }
        answers.into_iter().map(|answer| answer.decision.unwrap().action.unwrap()).collect::<Vec<_>>()
    });
    let script = [
        "edit {\"x\": 1.10} --model big",
        "edit 2 --model other",
        "fulfil #3 {\"result\": [1, 2]}",
        "fail 404 not found",
        "fail #5 no",
        "abort - enough",
        "proceed",
    ];
    debugger.say(&script.map(|line| format!("wait\n{line}")).join("\n")).await;
    let edited = |json: Option<&str>, model: &str| {
        Action::Edit(proto::Edit {
            payload: json.map(|json| edit::Payload::DataJson(json.into())),
            model: model.into(),
        })
    };
    let result = fulfil::Payload::DataJson("{\"result\": [1, 2]}".into());
    let failed = |message: &str| Action::Fail(proto::Fail { message: message.into(), payload: None });
    assert_eq!(
        soon("the agent", agent).await.unwrap(),
        [
            edited(Some("{\"x\": 1.10}"), "big"),
            edited(None, "other"),
            Action::Fulfil(proto::Fulfil { payload: Some(result) }),
            failed("404 not found"),
            failed("no"),
            Action::Abort(proto::Abort { reason: "enough".into() }),
            Action::Proceed(proto::Proceed {}),
        ]
    );
    let ended = debugger.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let lines: Vec<Value> = ended.out.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    assert_eq!((of("tool_call").len(), of("held").len(), of("decision").len()), (7, 7, 7));
    assert_eq!(of("held")[0]["held"]["accepts"], json!(["edit", "fulfil", "fail", "abort"]));
    let released = of("answer").into_iter().find(|answer| answer["command"] == "fulfil").unwrap();
    assert_eq!(released["released"], json!([3]));
}

#[tokio::test]
async fn an_error_is_told_and_the_session_goes_on() {
    let server = TestServer::start().await;
    let mut debugger = attach(&server, &[]).await;
    let held = server.begin(TraceRequest { accepts: vec![Verb::Abort.into()], ..step("a", EventType::Prompt, "{}") });
    debugger.say("wait\njump\nedit {\"x\": }\nfulfil {}\nstep 99\nproceed #99\nprint 99\nwait end 1ms\nstep").await;
    assert_eq!(soon("the release", held).await.unwrap().outcome(), Outcome::Stepped);
    let ended = debugger.end().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_in_order(
        &ended.out,
        &[
            "?: no command is named jump",
            "?: the JSON is not valid",
            "fulfil: event 1 does not accept fulfil",
            "step: event 99 is not held",
            "proceed: event 99 is not held",
            "print: no such event",
            "wait: no run ended within 1ms",
            "#1 stepped",
        ],
    );

    let mut in_json = attach(&server, &["--json"]).await;
    in_json.say("proceed 99").await;
    let failed = in_json.out.json("failed").await;
    let expected =
        json!({"type": "failed", "command": "proceed", "error": "event 99 is not held", "reason": "NOT_HELD"});
    assert_eq!(failed, expected);
    assert_eq!(in_json.end().await.status.code(), Some(1));
}

#[tokio::test]
async fn continue_lets_all_go_and_pause_holds_again() {
    let server = TestServer::start().await;
    let mut debugger = attach(&server, &[]).await;
    let held = [1, 2, 3].map(|_| server.begin(step("a", EventType::Prompt, "{}")));
    server.until("a", "three holds", |status| status.held.len() == 3).await;
    debugger.say("continue").await;
    for held in held {
        assert_eq!(soon("the release", held).await.unwrap().outcome(), Outcome::Continued);
    }
    debugger.out.until("running").await;
    assert_eq!(server.trace(step("a", EventType::Prompt, "{}")).await.outcome(), Outcome::NotHeld);
    debugger.say("p").await;
    debugger.out.until("will be held").await;
    let held = server.begin(step("a", EventType::Prompt, "{}"));
    debugger.out.until("held at #5 prompt: pause").await;
    // The end of the script detaches, and nobody is left behind.
    assert_eq!(debugger.end().await.status.code(), Some(0));
    assert_eq!(soon("the release", held).await.unwrap().outcome(), Outcome::Detached);
}

#[tokio::test]
async fn the_record_can_be_looked_at_from_every_side() {
    let server = TestServer::start().await;
    let at = |kind, name: &str, node: &str, parent: &str, data: &str| TraceRequest {
        name: name.into(),
        node_id: node.into(),
        parent_id: parent.into(),
        run_id: "r".into(),
        ..step("a", kind, data)
    };
    server.trace(at(EventType::Prompt, "", "p", "", "{}")).await;
    server.trace(at(EventType::ToolCall, "search", "t", "p", "{\"q\":{\"deep\":1.10}}")).await;
    server.trace(at(EventType::ToolResult, "search", "t", "", "{}")).await;
    let mut debugger = attach(&server, &[]).await;
    debugger.say("print 2\nlist 1\ntree\nruns\nstatus\nhelp").await;
    let ended = debugger.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_in_order(
        &ended.out,
        &[
            "#2 tool_call search",
            "node: t",
            "parent: p",
            "    \"deep\": 1.10",
            "#3    ",
            "#1 prompt (p) (run r): open",
            "  #2 tool_call search (t) (run r): tool_result",
            "r: paused, 3 events, 0 held",
            "a: paused, 3 events (0 dropped)",
            "let one held step go",
        ],
    );

    let mut in_json = attach(&server, &["--json"]).await;
    in_json.say("print 2\nlist 2\ntree\nstatus\nruns\nheld\nbreak").await;
    assert_eq!(in_json.out.json("answer").await["event"]["seq"], 2);
    assert_eq!(in_json.out.json("answer").await["events"].as_array().unwrap().len(), 2);
    assert_eq!(in_json.out.json("answer").await["nodes"][1]["depth"], 1);
    assert_eq!(in_json.out.json("answer").await["status"]["total_events"], 3);
    assert_eq!(in_json.out.json("answer").await["runs"][0]["run_id"], "r");
    assert_eq!(in_json.out.json("answer").await["held"], json!([]));
}

#[tokio::test]
async fn clear_drops_the_trace_and_lets_everybody_go() {
    let server = TestServer::start().await;
    let mut debugger = attach(&server, &[]).await;
    let held = server.begin(step("a", EventType::Prompt, "{}"));
    debugger.say("wait\nclear\nlist\nprint").await;
    assert_eq!(soon("the release", held).await.unwrap().outcome(), Outcome::Cleared);
    let ended = debugger.end().await;
    assert_in_order(&ended.out, &["the trace begins anew", "print: no such event"]);
    assert_eq!(server.status("a").await.total_events, 0);
}

#[tokio::test]
async fn a_session_of_one_run_shows_and_steers_that_one() {
    let server = TestServer::start().await;
    let mut debugger = attach(&server, &["--run", "mine"]).await;
    let of = |run: &str| TraceRequest { run_id: run.into(), ..step("a", EventType::Prompt, "{}") };
    let theirs = server.begin(of("theirs"));
    server.until("a", "the other's hold", |status| status.held.len() == 1).await;
    let mine = server.begin(of("mine"));
    debugger.say("wait\nstep\nheld").await;
    assert_eq!(soon("the release", mine).await.unwrap().outcome(), Outcome::Stepped);
    debugger.out.until("nothing is held").await;
    assert!(!theirs.is_finished());
    debugger.say("proceed 1").await;
    assert_eq!(soon("the release", theirs).await.unwrap().outcome(), Outcome::Released);
    let ended = debugger.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(!ended.out.iter().any(|line| line.contains("theirs")), "{ended:?}");
}

#[tokio::test]
async fn attaching_can_leave_the_agent_running() {
    let server = TestServer::start().await;
    let debugger = attach(&server, &["--no-pause"]).await;
    assert_eq!(server.trace(step("a", EventType::Prompt, "{}")).await.outcome(), Outcome::NotHeld);
    assert_eq!(debugger.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_wait_sees_what_was_held_before_anybody_came() {
    let server = TestServer::start().await;
    let _first =
        server.api().events(proto::EventsRequest { agent_id: "a".into(), ..Default::default() }).await.unwrap();
    let held = server.begin(step("a", EventType::Prompt, "{\"text\":\"\u{9b}31m\u{202e}\"}"));
    server.until("a", "the hold", |status| status.held.len() == 1).await;
    let mut debugger = attach(&server, &[]).await;
    debugger.say("wait\nprint\nstep\nquit\nnever read").await;
    soon("the release", held).await.unwrap();
    let ended = debugger.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let shown = ended.out.join("");
    assert!(shown.contains("\\u202e") && !shown.chars().any(|it| it.is_control() || it == '\u{202e}'), "{shown}");
}
