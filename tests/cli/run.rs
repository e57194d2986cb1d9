//! `run`: the program in its place, and the hold until somebody comes.

use agent_debugger::proto::{EventType, TraceRequest};

use crate::support::{Process, TestServer, cli, output, soon, step};

const SHOW: &str = "echo $AGENT_DEBUGGER_URL/$AGENT_DEBUGGER_AGENT_ID/$AGENT_DEBUGGER_RUN_ID/$AGENT_DEBUGGER_TOKEN";

#[tokio::test]
async fn the_program_learns_where_and_who_it_is() {
    let url = "http://127.0.0.1:9";
    let ended = output(cli(url, &["run", "--agent", "planner", "--run", "r1", "--", "sh", "-c", SHOW])).await;
    assert_eq!(ended.out, [format!("{url}/planner/r1/")], "{ended:?}");
    let with_token = output(cli(url, &["run", "--token", "secret", "--run", "r1", "--", "/bin/sh", "-c", SHOW])).await;
    assert_eq!(with_token.out, [format!("{url}/sh/r1/secret")]);
    let (one, other) =
        (output(cli(url, &["run", "--", "sh", "-c", SHOW])), output(cli(url, &["run", "--", "sh", "-c", SHOW])));
    assert_ne!(one.await.out, other.await.out, "runs have ids of their own");
}

#[tokio::test]
async fn its_streams_and_its_exit_code_are_the_programs() {
    let script = "read line; echo out $line; echo err $line >&2; exit 7";
    let mut run = Process::start(cli("http://127.0.0.1:9", &["run", "--", "sh", "-c", script]));
    run.say("hello").await;
    let ended = run.end().await;
    assert_eq!(ended.status.code(), Some(7));
    assert_eq!((&ended.out[..], &ended.err[..]), (&["out hello".to_owned()][..], &["err hello".to_owned()][..]));
}

#[tokio::test]
async fn a_program_that_cannot_be_run_is_told_as_in_a_shell() {
    let run = |program: &'static str| output(cli("http://127.0.0.1:9", &["run", "--", program]));
    let missing = run("/does/not/exist").await;
    assert_eq!((missing.status.code(), missing.err.len()), (Some(127), 1), "{missing:?}");
    assert_eq!(run("/").await.status.code(), Some(126));
}

#[tokio::test]
async fn signals_reach_the_program_and_a_signal_is_its_exit_code() {
    for (name, script, code) in [
        ("-TERM", "trap 'echo bye; exit 3' TERM; echo ready; read line", 3),
        ("-INT", "trap 'echo bye; exit 4' INT; echo ready; read line", 4),
        ("-TERM", "echo ready; exec sleep 60", 143),
    ] {
        let mut run = Process::start(cli("http://127.0.0.1:9", &["run", "--", "sh", "-c", script]));
        assert_eq!(run.out.line().await, "ready");
        run.signal(name).await;
        // Its stdin stays open, so that only the signal can have ended it.
        let status = soon("the exit", run.child.wait()).await.unwrap();
        assert_eq!(status.code(), Some(code), "{name} {script}");
    }
}

#[tokio::test]
async fn with_break_the_first_step_waits_until_a_debugger_comes() {
    let server = TestServer::start().await;
    let script = "echo started; read line; exit 3";
    let args = ["run", "--agent", "the planner", "--run", "r1", "--break", "--", "sh", "-c", script];
    let mut run = Process::start(server.cli(&args));
    run.err.until("attach").await;
    assert!(run.err.line().await.ends_with(&format!("{}/agent/the%20planner/debug", server.url)));
    assert_eq!(run.out.line().await, "started");
    let first = TraceRequest { run_id: "r1".into(), ..step("the planner", EventType::Prompt, "{}") };
    let first = server.begin(first);
    server.until("the planner", "the hold", |status| status.held.len() == 1).await;
    assert_eq!(server.status("the planner").await.debuggers, 1);

    let mut debugger = Process::start(server.cli(&["attach", "the planner"]));
    debugger.out.until("held at #1 prompt (run r1): step").await;
    server.until("the planner", "the placeholder to leave", |status| status.debuggers == 1).await;
    assert!(!first.is_finished(), "it is the debugger's now");
    debugger.say("continue").await;
    soon("the release", first).await.unwrap();
    run.say("on").await;
    assert_eq!(run.end().await.status.code(), Some(3));
    assert_eq!(debugger.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn with_break_a_run_is_held_although_others_are_let_run() {
    let server = TestServer::start().await;
    let mut debugger = Process::start(server.cli(&["attach", "a", "--no-pause"]));
    debugger.out.until("running").await;
    let mut run = Process::start(server.cli(&[
        "run",
        "--agent",
        "a",
        "--run",
        "new",
        "--break",
        "--",
        "sh",
        "-c",
        "echo on; read line",
    ]));
    assert_eq!(run.out.line().await, "on");
    server.trace(TraceRequest { run_id: "old".into(), ..step("a", EventType::Prompt, "{}") }).await;
    let held = server.begin(TraceRequest { run_id: "new".into(), ..step("a", EventType::Prompt, "{}") });
    debugger.out.until("held at #2 prompt (run new): pause").await;
    debugger.say("continue").await;
    soon("the release", held).await.unwrap();
    assert_eq!(run.end().await.status.code(), Some(1), "read met the end");
}
