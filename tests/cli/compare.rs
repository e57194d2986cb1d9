//! `compare`: two runs side by side.

use agent_debugger::proto::{EventType, TraceRequest};
use serde_json::Value;

use crate::support::{TestServer, at, output, record, soon};

/// A run that asks for coffee, looks once more and answers otherwise.
async fn record_another(server: &TestServer, run: &str) {
    let model = |model: &str, request| TraceRequest { model: model.into(), token_count: Some(40), ..request };
    for request in [
        at(run, EventType::Prompt, "", "{\"text\":\"plan\",\"sent_at\":1}"),
        at(run, EventType::Response, "", "{\"call\":\"search\"}"),
        at(run, EventType::ToolCall, "search", "{\"q\":\"\u{202e}coffee\"}"),
        at(run, EventType::ToolResult, "search", "{\"hits\":3}"),
        at(run, EventType::Log, "look\u{202e}", "{}"),
        model("big", at(run, EventType::Prompt, "", "{\"hits\":3}")),
        TraceRequest { run_end: true, ..at(run, EventType::Response, "", "{}") },
    ] {
        server.trace(request).await;
    }
}

#[tokio::test]
async fn two_runs_stand_side_by_side() {
    let server = TestServer::start().await;
    record(&server, "", "{}").await;
    record_another(&server, "r").await;
    let ended = output(server.cli(&["compare", "a", "", "r"])).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let shown: Vec<Vec<&str>> = ended.out.iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(shown[0], ["(default)", "r"]);
    assert_eq!(shown[1], ["events", "6", "7"]);
    assert_eq!(shown[2], ["prompts", "2", "2"]);
    assert_eq!(shown[3], ["tool", "calls", "1", "1"]);
    assert_eq!(shown[5], ["tokens", "0", "40"]);
    assert_eq!(shown[9], ["models", "-", "big"]);
    let parted = ended.out.iter().position(|line| line == "the runs part here:").unwrap();
    assert_eq!(ended.out[parted - 1], "= #1 to #2 | #7 to #8  2 equal", "{:#?}", ended.out);
    assert_eq!(ended.out[parted + 1], "~ #3 tool_call search | #9 tool_call search");
    assert_eq!(ended.out[parted + 2], "    $.q: \"tea\" → \"\\u202ecoffee\"");
    assert!(ended.out.contains(&"+ #11 log look\\u{202e}".to_owned()), "{:#?}", ended.out);
    assert!(ended.out.contains(&"    model: nothing → \"big\"".to_owned()), "{:#?}", ended.out);

    let swapped = output(server.cli(&["compare", "a", "r", ""])).await.out;
    assert!(swapped.contains(&"- #11 log look\\u{202e}".to_owned()), "{swapped:#?}");
}

#[tokio::test]
async fn the_exit_code_says_whether_they_differ_where_it_is_asked_to() {
    let server = TestServer::start().await;
    record(&server, "", "{}").await;
    record(&server, "same", "{}").await;
    record(&server, "other", "{\"x\":1}").await;
    for (left, right, asked, code) in [
        ("", "same", true, 0),
        ("", "", true, 0),
        ("", "other", true, 1),
        ("", "other", false, 0),
        ("", "nobody", false, 1),
        ("", "nobody", true, 2),
    ] {
        let flag: &[&str] = if asked { &["--exit-code"] } else { &[] };
        let ended = output(server.cli(&[&["compare", "a", left, right], flag].concat())).await;
        assert_eq!(ended.status.code(), Some(code), "{left:?} {right:?} {asked}: {ended:?}");
    }
    let same = output(server.cli(&["compare", "a", "", "same"])).await.out;
    assert!(same.contains(&"the same: 6 equal".to_owned()), "{same:#?}");
}

#[tokio::test]
async fn its_json_is_that_of_http() {
    let server = TestServer::start().await;
    record(&server, "", "{}").await;
    record_another(&server, "r").await;
    let ours = output(server.cli(&["compare", "a", "", "r", "--json"])).await.out;
    let url = format!("{}/agent/a/debug/compare?left=&right=r", server.url);
    let theirs: Value = soon("the comparison", reqwest::get(url)).await.unwrap().json().await.unwrap();
    assert_eq!((serde_json::from_str::<Value>(&ours[0]).unwrap(), ours.len()), (theirs, 1));
}
