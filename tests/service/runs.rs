//! Whole runs over both wires: forked, compared, written to a file and read from one.

use agent_debugger::proto::{self, events_response::Frame, import_request::Part};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{TestServer, frame, frame_until, held_seqs};

/// What the agent does in every run: it plans, reads, writes, and says that it is done.
fn steps() -> Vec<Value> {
    vec![
        json!({"type": "prompt", "data": {"q": "plan"}, "model": "small"}),
        json!({"type": "response", "data": {"a": "read it"}, "token_count": 5}),
        json!({"type": "tool_call", "name": "read", "effect": "read", "data": {"file": "x"}}),
        json!({"type": "tool_result", "name": "read", "data": {"text": "old"}}),
        json!({"type": "prompt", "data": {"q": "now what"}, "model": "small"}),
        json!({"type": "response", "data": {"a": "write it"}, "token_count": 7}),
        json!({"type": "tool_call", "name": "write", "effect": "mutating", "data": {"file": "x"}}),
        json!({"type": "tool_result", "name": "write", "data": {"ok": true}, "run_end": true}),
    ]
}

fn of_run(run: &str, step: &Value) -> Value {
    let mut step = step.clone();
    step["run_id"] = json!(run);
    step["accepts"] = json!(["edit", "fulfil", "fail", "abort"]);
    step
}

async fn record(server: &TestServer, run: &str) {
    for step in steps() {
        server.post("a", "trace", of_run(run, &step)).await;
    }
}

async fn decision(server: &TestServer, run: &str, step: &Value) -> Value {
    server.post("a", "trace", of_run(run, step)).await["decision"].clone()
}

#[tokio::test]
async fn a_fork_retraces_asks_and_goes_on_over_either_wire() {
    let mut scripts = Vec::new();
    for over_grpc in [false, true] {
        let server = TestServer::start().await;
        record(&server, "first").await;
        let (run, plan) = if !over_grpc {
            let forked = server.post("a", "fork", json!({"run_id": "first", "seq": 5, "model": "large"})).await;
            (forked["run_id"].as_str().unwrap().to_owned(), forked["plan"]["summary"].clone())
        } else {
            let request =
                proto::ForkRequest { agent_id: "a".into(), seq: 5, model: "large".into(), ..Default::default() };
            let forked = server.grpc().await.fork(request).await.unwrap().into_inner();
            (forked.run_id, json!(forked.plan.unwrap().summary))
        };
        let mut script = vec![plan];
        for step in &steps()[..6] {
            script.push(decision(&server, &run, step).await);
        }
        let write = server.held("a", of_run(&run, &steps()[6])).await;
        script.push(server.status("a").await["held"][0]["reason"].clone());
        server.post("a", "release", json!({"seq": write.seq, "action": "fulfil", "data": {"ok": "by hand"}})).await;
        script.push(write.answer().await["decision"].clone());
        let lineage = &server.status("a").await["runs"][1];
        script.push(lineage["forked_from"].clone());
        scripts.push(script);
    }
    assert_eq!(scripts[0], scripts[1]);
    assert_eq!(
        scripts[0],
        [
            json!("2 served from record, then live: 1 prompt to large, 1 mutating call will ask"),
            json!({"action": "fulfil", "data": {"a": "read it"}}),
            json!({"action": "proceed"}),
            json!({"action": "fulfil", "data": {"text": "old"}}),
            json!({"action": "proceed"}),
            json!({"action": "edit", "model": "large"}),
            json!({"action": "proceed"}),
            json!("effect"),
            json!({"action": "fulfil", "data": {"ok": "by hand"}}),
            json!({"run_id": "first", "seq": 5, "ordinal": 5}),
        ]
    );
}

#[tokio::test]
async fn whoever_watches_learns_of_a_fork_and_where_its_steps_come_from() {
    let server = TestServer::start().await;
    record(&server, "first").await;
    let mut sse = server.sse("a", "?mode=observe").await;
    let mut grpc = server.grpc().await;
    let request =
        proto::EventsRequest { agent_id: "a".into(), mode: proto::Mode::Observe.into(), ..Default::default() };
    let mut stream = grpc.events(request).await.unwrap().into_inner();
    let forked = server.post("a", "fork", json!({"seq": 4, "data": {"text": "new"}})).await;
    let run = forked["run_id"].as_str().unwrap();
    let seen = sse.until(|frame| frame.name.as_deref() == Some("forked")).await;
    assert_eq!((&seen.data["run_id"], &seen.data["plan"]), (&forked["run_id"], &forked["plan"]));
    assert!(seen.id.is_some(), "it is of the log: whoever comes back later gets it");
    let seen = frame_until(&mut stream, |frame| matches!(frame, Frame::Forked(_))).await;
    let Some(Frame::Forked(seen)) = seen.frame else { unreachable!() };
    assert_eq!((seen.run_id.as_str(), seen.forked_from.unwrap().seq), (run, 4));
    for (step, origin, source) in [(0, "recorded", json!(1)), (1, "recorded", json!(null)), (2, "edited", json!(3))] {
        decision(&server, run, &steps()[step]).await;
        let event = sse.event().await.data;
        assert_eq!((&event["origin"], &event["source_seq"]), (&json!(origin), &source), "{event}");
    }
    // What a fork answered without a hold is in the record, too.
    let page = server.get("a", &format!("trace?run_id={run}")).await;
    assert_eq!(page["events"][2]["decision"]["decision"], json!({"action": "fulfil", "data": {"text": "new"}}));
    assert_eq!(page["events"][2]["decision"]["outcome"], "not_held");
    let origin = loop {
        if let Some(Frame::Event(event)) = frame(&mut stream).await.frame {
            break event.origin();
        }
    };
    assert_eq!(origin, proto::Origin::Recorded);
}

#[tokio::test]
async fn a_divergence_is_held_and_says_what_differs() {
    let server = TestServer::start().await;
    record(&server, "first").await;
    let forked = server.post("a", "fork", json!({"seq": 5})).await;
    let run = forked["run_id"].as_str().unwrap();
    let other = json!({"type": "prompt", "data": {"q": "another plan"}, "model": "small"});
    let held = server.held("a", of_run(run, &other)).await;
    assert_eq!(server.status("a").await["held"][0]["reason"], "divergence");
    let page = server.get("a", &format!("trace?run_id={run}")).await;
    let divergence = &page["events"][0]["divergence"];
    assert_eq!(divergence["nearest_seq"], 1);
    assert_eq!(divergence["fields"], json!([{"path": "$.q", "left": "\"plan\"", "right": "\"another plan\""}]));
    // Neither a step nor a continue runs it; its time-out fails it.
    server.post("a", "continue", json!({})).await;
    server.post("a", "step", json!({})).await;
    assert!(held.is_held());
    server.post("a", "release", json!({"seq": held.seq, "action": "proceed"})).await;
    assert_eq!(held.answer().await["decision"], json!({"action": "proceed"}));
    let mut timed = of_run(run, &json!({"type": "prompt", "data": {"q": "yet another"}}));
    timed["hold_timeout_ms"] = json!(20);
    let told = server.post("a", "trace", timed).await;
    assert_eq!((&told["outcome"], &told["decision"]["action"]), (&json!("timed_out"), &json!("fail")));
}

#[tokio::test]
async fn what_cannot_be_forked_is_refused_by_name() {
    let server = TestServer::with(&["--max-events-per-agent", "10"]).await;
    record(&server, "first").await;
    server.post("a", "trace", json!({"type": "prompt", "run_id": "deaf"})).await;
    server.log("a", json!({})).await;
    server.log("a", json!({})).await;
    for (body, status, says) in [
        (json!({}), 400, "seq"),
        (json!({"seq": 0}), 400, "seq"),
        (json!({"seq": 5, "data": [1]}), 400, "data"),
        (json!({"seq": 5, "effects": {"mutating": "maybe"}}), 400, "effects.mutating"),
        (json!({"seq": 5, "effects": {"odd": "run"}}), 400, "odd"),
        (json!({"seq": 5, "on_divergence": "panic"}), 400, "on_divergence"),
        (json!({"seq": 5, "ignore": ["messages"]}), 400, "ignore"),
        (json!({"seq": 5, "nothing": 1}), 400, "nothing"),
        (json!({"seq": 10, "data": {}}), 400, "data"),
        (json!({"seq": 99}), 404, "event 99"),
        (json!({"seq": 5, "run_id": "other"}), 404, "other"),
        (json!({"seq": 1}), 410, "event 1"),
        (json!({"seq": 9}), 409, "edit"),
    ] {
        let (code, answer) = server.try_post("a", "fork", body.to_string()).await;
        assert_eq!(code.as_u16(), status, "{body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(says), "{body}: {answer}");
    }
    let (code, _) = server.try_post("never-seen", "fork", json!({"seq": 1}).to_string()).await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    // What is left of the run can be forked, and the plan says what is missing.
    let forked = server.post("a", "fork", json!({"seq": 5})).await;
    assert_eq!(forked["plan"]["truncated"], true);
}

#[tokio::test]
async fn runs_are_compared_alike_over_both_wires() {
    let server = TestServer::start().await;
    record(&server, "left").await;
    let mut other = steps();
    other[5]["data"] = json!({"a": "leave it"});
    other[5]["token_count"] = json!(9);
    other.truncate(6);
    for step in &other {
        server.post("a", "trace", of_run("right", step)).await;
    }
    let compared = server.get("a", "compare?left=left&right=right").await;
    assert_eq!(compared["first_divergence"], 1);
    assert_eq!(
        compared["rows"][0],
        json!({"kind": "equal", "left_seqs": [1, 2, 3, 4, 5], "right_seqs": [9, 10, 11, 12, 13]})
    );
    let fields = json!([{"path": "$.a", "left": "\"write it\"", "right": "\"leave it\""}]);
    assert_eq!(compared["rows"][1], json!({"kind": "changed", "left_seqs": [6], "right_seqs": [14], "fields": fields}));
    assert_eq!(compared["rows"][2], json!({"kind": "left", "left_seqs": [7, 8], "right_seqs": []}));
    assert_eq!((&compared["left"]["tokens"], &compared["right"]["tokens"]), (&json!(12), &json!(14)));
    let request = proto::CompareRequest { agent_id: "a".into(), left: "left".into(), right: "right".into() };
    let grpc = server.grpc().await.compare(request).await.unwrap().into_inner();
    assert_eq!((grpc.equal, grpc.changed, grpc.only_left, grpc.only_right), (5, 1, 2, 0));
    assert_eq!(grpc.rows.len(), 3);
    let (code, answer) =
        server.answer(server.http.get(format!("{}/agent/a/debug/compare?left=left&right=none", server.url))).await;
    assert_eq!((code.as_u16(), answer["reason"].as_str()), (404, Some("NO_RUN")));
}

async fn export(server: &TestServer, agent: &str, query: &str) -> String {
    let url = format!("{}/agent/{agent}/debug/export?{query}", server.url);
    let response = server.http.get(url).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    response.text().await.unwrap()
}

#[tokio::test]
async fn a_file_goes_to_another_server_and_back_over_both_wires() {
    let (here, there) = (TestServer::start().await, TestServer::start().await);
    record(&here, "first").await;
    let file = export(&here, "a", "run_id=first").await;
    let request = proto::ExportRequest { agent_id: "a".into(), run_id: "first".into(), mask: false };
    let mut stream = here.grpc().await.export(request).await.unwrap().into_inner();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.message().await.unwrap() {
        bytes.extend_from_slice(&piece.chunk);
    }
    assert_eq!(bytes, file.as_bytes());
    let (code, imported) = there.try_post("b", "import?run_id=copy", file.clone()).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(imported, json!({"status": "imported", "run_id": "copy", "events": 8, "first_seq": 1, "last_seq": 8}));
    assert_eq!(export(&there, "b", "run_id=copy").await, file);
    // The same over gRPC, in pieces that care for no line.
    let target = proto::ImportTarget { agent_id: "c".into(), run_id: None };
    let pieces = file.as_bytes().chunks(100).map(|piece| Part::Chunk(piece.to_vec().into()));
    let parts: Vec<_> = std::iter::once(Part::Target(target)).chain(pieces).collect();
    let requests = parts.into_iter().map(|part| proto::ImportRequest { part: Some(part) });
    let imported = there.grpc().await.import(tokio_stream::iter(requests)).await.unwrap().into_inner();
    assert_eq!((imported.run_id.as_str(), imported.events), ("first", 8));
    assert_eq!(export(&there, "c", "run_id=first").await, file);
    // It can be looked at, compared and forked, and not added to.
    let run = &there.status("b").await["runs"][0];
    assert_eq!((&run["imported"], &run["finished"]), (&json!(true), &json!(true)));
    let (code, answer) = there.try_post("b", "trace", of_run("copy", &steps()[0]).to_string()).await;
    assert_eq!((code.as_u16(), answer["reason"].as_str()), (409, Some("IMPORTED")));
    let forked = there.post("b", "fork", json!({"run_id": "copy", "seq": 5})).await;
    let run = forked["run_id"].as_str().unwrap();
    let told = there.post("b", "trace", of_run(run, &steps()[0])).await;
    assert_eq!(told["decision"], json!({"action": "fulfil", "data": {"a": "read it"}}));
}

#[tokio::test]
async fn an_import_that_is_refused_leaves_nothing_behind() {
    let server = TestServer::with(&["--max-events-per-agent", "12"]).await;
    record(&server, "first").await;
    let file = export(&server, "a", "run_id=first").await;
    let before = server.status("a").await;
    for (path, body, status, reason) in [
        ("import", file.clone(), 409, "RUN_EXISTS"),
        ("import?run_id=copy", file.clone(), 429, "NO_ROOM"),
        ("import?run_id=copy", file.replace("plan", "Plan"), 429, "NO_ROOM"),
        ("import?run_id=copy", file.replacen("\"events\":8", "\"events\":4", 1), 400, "INVALID_FILE"),
        ("import?run_id=copy", String::from("{}"), 400, "INVALID_FILE"),
        ("import?run_id=%00", file.clone(), 400, "INVALID_FIELD"),
    ] {
        let (code, answer) = server.try_post("a", path, body).await;
        assert_eq!((code.as_u16(), answer["reason"].as_str()), (status, Some(reason)), "{answer}");
        assert!(!answer["error"].as_str().unwrap().is_empty());
    }
    let (code, answer) = server.try_post("nobody", "import", file.replace("plan", "Plan")).await;
    assert_eq!((code.as_u16(), answer["error"].as_str().unwrap().contains("line 10")), (400, true), "{answer}");
    assert_eq!(server.status("a").await, before);
    let agents = server.answer(server.http.get(format!("{}/agents", server.url))).await.1;
    assert_eq!(agents["agents"].as_array().unwrap().len(), 1);
    // Over gRPC the first message says where, and only the first.
    let chunk = || proto::ImportRequest { part: Some(Part::Chunk(vec![b'{'].into())) };
    let refused = server.grpc().await.import(tokio_stream::iter([chunk()])).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "target must be the first message"));
}

#[tokio::test]
async fn secrets_are_masked_in_the_file_and_nowhere_else() {
    let server = TestServer::start().await;
    let secret =
        json!({"type": "prompt", "data": {"headers": {"Authorization": "s3cr3t"}, "q": "use sk-abcdefghijklmnop123"}});
    server.post("a", "trace", of_run("r", &secret)).await;
    let masked = export(&server, "a", "run_id=r&mask=true").await;
    assert!(!masked.contains("s3cr3t") && !masked.contains("sk-abcd"), "{masked}");
    assert!(masked.lines().next().unwrap().contains(r#""masked":{"api_key":1,"authorization":1}"#), "{masked}");
    assert!(export(&server, "a", "run_id=r").await.contains("s3cr3t"));
    server.try_post("b", "import", masked).await;
    let (code, answer) = server.try_post("b", "fork", json!({"seq": 1}).to_string()).await;
    assert_eq!((code.as_u16(), answer["reason"].as_str()), (409, Some("MASKED")));
}

#[tokio::test]
async fn a_fork_that_is_stepped_stops_at_its_fork_point_first() {
    let server = TestServer::start().await;
    record(&server, "first").await;
    let _debugger = server.attach("a").await;
    let forked = server.post("a", "fork", json!({"seq": 5})).await;
    let run = forked["run_id"].as_str().unwrap().to_owned();
    for step in &steps()[..4] {
        decision(&server, &run, step).await;
    }
    let held = server.held("a", of_run(&run, &steps()[4])).await;
    assert_eq!(held_seqs(&server.status("a").await), [held.seq]);
    server.post("a", "step", json!({})).await;
    assert_eq!(held.answer().await["outcome"], "stepped");
}

#[tokio::test]
async fn another_model_is_a_divergence_over_either_wire_and_can_be_ignored_by_name() {
    let server = TestServer::start().await;
    let ask = |run: &str, model: &str| {
        of_run(run, &json!({"type": "prompt", "data": {"q": 1}, "model": model, "hold": "never"}))
    };
    for model in ["gpt", "claude"] {
        server.post("a", "trace", ask("first", model)).await;
        server.post("a", "trace", of_run("first", &json!({"type": "response", "data": {"by": model}}))).await;
    }
    server.post("a", "trace", of_run("first", &json!({"type": "prompt", "data": {"q": "end"}}))).await;
    let (server, ask) = (&server, &ask);
    let fork = |body: Value| async move {
        let mut whole = json!({"run_id": "first", "seq": 5, "on_divergence": "fail"});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        server.post("a", "fork", whole).await["run_id"].as_str().unwrap().to_owned()
    };
    let run = fork(json!({})).await;
    let answer = |run: String, model: &'static str| async move { server.post("a", "trace", ask(&run, model)).await };
    assert_eq!(answer(run.clone(), "claude").await["decision"]["data"], json!({"by": "claude"}));
    let diverged = answer(run.clone(), "mistral").await;
    assert_eq!(diverged["decision"]["action"], "fail");
    let url = format!("{}/agent/a/debug/trace?run_id={run}", server.url);
    let events = server.answer(server.http.get(url)).await.1;
    let fields = json!([{"path": "model", "left": "\"gpt\"", "right": "\"mistral\""}]);
    assert_eq!(events["events"][1]["divergence"]["fields"], fields);
    let request = proto::ListEventsRequest { agent_id: "a".into(), run_id: Some(run), ..Default::default() };
    let page = server.grpc().await.list_events(request).await.unwrap().into_inner();
    assert_eq!(page.events[1].event.as_ref().unwrap().divergence.as_ref().unwrap().fields[0].path, "model");

    let ignoring = fork(json!({"ignore": ["model"]})).await;
    assert_eq!(answer(ignoring.clone(), "mistral").await["decision"]["data"], json!({"by": "gpt"}));
    let request =
        proto::ForkRequest { agent_id: "a".into(), seq: 5, ignore: vec!["models".into()], ..Default::default() };
    let refused = server.grpc().await.fork(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("or be `model`"), "{}", refused.message());
}
