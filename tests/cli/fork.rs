//! `fork`: the new run, its agent, and what a debugger gets to see of it.

use agent_debugger::proto::{self, EventType, Outcome, decision::Action, edit};
use serde_json::{Value, json};

use crate::support::{Process, TestServer, at, output, record, soon};

const SHOW: &str = "echo $AGENT_DEBUGGER_URL/$AGENT_DEBUGGER_AGENT_ID/$AGENT_DEBUGGER_RUN_ID; exit 7";

/// Forks by the command, and tells the new run.
async fn forked(server: &TestServer, flags: &[&str]) -> String {
    let ended = output(server.cli(&[&["fork", "a"], flags].concat())).await;
    assert_eq!((ended.status.code(), ended.out.len()), (Some(0), 1), "{ended:?}");
    ended.out[0].clone()
}

/// What the agent is told at a step.
async fn told(server: &TestServer, request: proto::TraceRequest) -> Action {
    server.trace(request).await.decision.unwrap().action.unwrap()
}

#[tokio::test]
async fn the_new_run_is_on_stdout_and_what_comes_of_it_on_stderr() {
    let server = TestServer::start().await;
    record(&server, "r", "{}").await;
    let ended = output(server.cli(&["fork", "a", "--at", "5"])).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let [run] = &ended.out[..] else { panic!("{ended:?}") };
    let [plan] = &ended.err[..] else { panic!("{ended:?}") };
    assert!(plan.contains("2 served from record, then live: 1 prompt"), "{plan}");
    let status = server.status("a").await;
    let known = status.runs.iter().find(|known| known.run_id == *run).unwrap();
    let source = known.forked_from.as_ref().unwrap();
    assert_eq!((source.run_id.as_str(), source.seq), ("r", 5));

    let ours = output(server.cli(&["fork", "a", "--at", "5", "--model", "big", "--json"])).await;
    let ours: Value = serde_json::from_str(&ours.out[0]).unwrap();
    let url = format!("{}/agent/a/debug/fork", server.url);
    let answer = reqwest::Client::new().post(url).json(&json!({"seq": 5, "model": "big"})).send();
    let theirs: Value = soon("the fork", answer).await.unwrap().json().await.unwrap();
    assert_eq!(ours["plan"], theirs["plan"]);
    assert_eq!(ours["plan"]["model"], "big");
    assert!(ours["run_id"].is_string() && ours["run_id"] != theirs["run_id"]);
}

#[tokio::test]
async fn a_program_is_started_for_the_new_run() {
    let server = TestServer::start().await;
    record(&server, "r", "{}").await;
    let ended = output(server.cli(&["fork", "a", "--at", "5", "--", "sh", "-c", SHOW])).await;
    assert_eq!(ended.status.code(), Some(7), "{ended:?}");
    let run = server.status("a").await.runs.into_iter().find(|run| run.forked_from.is_some()).unwrap().run_id;
    assert_eq!(ended.out, [format!("{}/a/{run}", server.url)]);
    assert!(ended.err[0].contains(&format!("run {run}: 2 served from record")), "{ended:?}");

    let ended = output(server.cli(&["fork", "a", "--at", "5", "--json", "--", "sh", "-c", SHOW])).await;
    let body: Value = serde_json::from_str(&ended.err[0]).unwrap();
    assert_eq!(ended.out, [format!("{}/a/{}", server.url, body["run_id"].as_str().unwrap())]);
}

#[tokio::test]
async fn what_asks_is_told_where_it_is_answered() {
    let server = TestServer::start().await;
    record(&server, "r", "{}").await;
    let ended = output(server.cli(&["fork", "a", "--at", "1", "--", "true"])).await;
    assert!(ended.err[0].contains("1 unclassified call will ask"), "{ended:?}");
    assert!(ended.err.iter().any(|line| line.contains(&format!("attach --url {} a", server.url))), "{ended:?}");
}

#[tokio::test]
async fn each_flag_arrives() {
    let server = TestServer::start().await;
    record(&server, "r", "{}").await;
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("edit.json");
    std::fs::write(&file, "{\"hits\": 9.10}").unwrap();
    let edit = format!("@{}", file.display());
    let run = forked(
        &server,
        &[
            "--run",
            "r",
            "--at",
            "5",
            "--model",
            "big",
            "--edit",
            &edit,
            "--effect",
            "read=block",
            "--effect",
            "unknown=run",
            "--on-divergence",
            "fail",
            "--ignore",
            "$.sent_at",
        ],
    )
    .await;
    let told = async |kind, name: &str, data: &str| told(&server, at(&run, kind, name, data)).await;
    let failed = |action: &Action| matches!(action, Action::Fail(_));
    assert!(failed(&told(EventType::Prompt, "", "{\"text\":\"another plan\"}").await), "it diverges");
    let plan = told(EventType::Prompt, "", "{\"text\":\"plan\",\"sent_at\":2}").await;
    assert!(matches!(plan, Action::Fulfil(_)), "{plan:?}");
    assert!(matches!(told(EventType::ToolCall, "search", "{\"q\":\"tea\"}").await, Action::Fulfil(_)));
    let data = Some(edit::Payload::DataJson("{\"hits\": 9.10}".into()));
    let edited = Action::Edit(proto::Edit { payload: data, model: "big".into() });
    assert_eq!(told(EventType::Prompt, "", "{\"hits\":3}").await, edited);
    // The live part.
    assert!(matches!(told(EventType::ToolCall, "pay", "{}").await, Action::Proceed(_)));
    let read =
        proto::TraceRequest { effect: proto::Effect::Read.into(), ..at(&run, EventType::ToolCall, "look", "{}") };
    assert!(failed(&self::told(&server, read).await));
}

#[tokio::test]
async fn what_cannot_be_forked_is_one_line_and_starts_nothing() {
    let server = TestServer::start().await;
    record(&server, "r", "{}").await;
    for flags in [&["--at", "99"][..], &["--at", "5", "--run", "other"], &["--at", "5", "--ignore", "sent_at"]] {
        let args = [&["fork", "a"], flags, &["--", "echo", "started"]].concat();
        let ended = output(server.cli(&args)).await;
        assert_eq!((ended.status.code(), ended.out.len(), ended.err.len()), (Some(1), 0, 1), "{flags:?}: {ended:?}");
    }
    assert!(server.status("a").await.runs.iter().all(|run| run.forked_from.is_none()));
}

#[tokio::test]
async fn a_debugger_sees_the_fork_its_origins_and_where_it_diverges() {
    let server = TestServer::start().await;
    record(&server, "r", "{}").await;
    let mut debugger = Process::start(server.cli(&["attach", "a", "--no-pause"]));
    debugger.out.until("(run end)").await;
    let run = forked(&server, &["--at", "5", "--edit", "{\"hits\":4}"]).await;
    let line = debugger.out.until("is forked from r at #5").await;
    assert!(line.starts_with(&format!("run {run} is")) && line.contains("2 served from record"), "{line}");
    let step = |kind, name: &str, data: &str| server.trace(at(&run, kind, name, data));
    step(EventType::Prompt, "", "{\"text\":\"plan\",\"sent_at\":1}").await;
    assert!(debugger.out.line().await.ends_with("  (recorded, #1 of the record)"));
    assert_eq!(debugger.out.line().await, format!("#7 answered by fork (run {run}): fulfil {{\"call\":\"search\"}}"));
    let diverging = server.begin(at(&run, EventType::ToolCall, "search", "{\"q\":\"\u{202e}coffee\"}"));
    debugger.out.until("tool_call").await;
    assert_eq!(debugger.out.line().await, "    diverges: the nearest step of the record differs in 1 field (#3)");
    let field = debugger.out.line().await;
    assert_eq!(field, "      $.q: \"tea\" → \"\\u202ecoffee\"");
    let held = debugger.out.line().await;
    assert_eq!(held, format!("held at #8 tool_call search (run {run}): divergence, gate"));
    debugger.say("held\nruns\nprint 8\nprint 7\nproceed 8\ncontinue").await;
    assert!(debugger.out.line().await.starts_with(&held));
    assert!(debugger.out.line().await.contains("differs in 1 field (#3)"));
    assert_eq!(debugger.out.line().await, field);
    let runs = debugger.out.until("forked from").await;
    assert_eq!(runs, format!("{run}: paused, 2 events, 1 held; forked from r at #5"));
    debugger.out.until("differs in 1 field (#3)").await;
    debugger.out.until("origin: recorded, #1 of the record").await;
    assert_eq!(soon("the release", diverging).await.unwrap().outcome(), Outcome::Released);
    debugger.out.until("running").await;
    step(EventType::Prompt, "", "{\"hits\":3}").await;
    assert!(debugger.out.until("#9 ").await.ends_with("  (edited, #5 of the record)"));
    assert_eq!(debugger.end().await.status.code(), Some(0));

    let lines = output(server.cli(&["tail", "a", "--json", "--no-follow"])).await.out;
    let frames: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| frames.iter().find(|frame| frame["type"] == kind).unwrap();
    assert_eq!(of("forked")["forked_from"], json!({"run_id": "r", "seq": 5, "ordinal": 5}));
    let diverged = frames.iter().find(|frame| frame["seq"] == 8 && frame["type"] == "tool_call").unwrap();
    assert_eq!(diverged["divergence"]["fields"][0]["path"], "$.q");
}

#[tokio::test]
async fn what_asks_about_its_effect_says_so() {
    let server = TestServer::start().await;
    record(&server, "r", "{}").await;
    let run = forked(&server, &["--at", "1"]).await;
    server.trace(at(&run, EventType::Prompt, "", "{\"text\":\"plan\",\"sent_at\":1}")).await;
    let asked = server.begin(at(&run, EventType::ToolCall, "search", "{\"q\":\"tea\"}"));
    server.until("a", "the hold", |status| status.held.len() == 1).await;
    let mut debugger = Process::start(server.cli(&["attach", "a"]));
    debugger.out.until(&format!("held at #8 tool_call search (run {run}): effect, gate")).await;
    debugger.say("proceed").await;
    assert_eq!(soon("the release", asked).await.unwrap().outcome(), Outcome::Released);
    assert_eq!(debugger.end().await.status.code(), Some(0));
}
