//! Who is let in, on every protocol.

use agent_debugger::proto::{self, debugger_service_client::DebuggerServiceClient};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, metadata::MetadataValue, transport::Endpoint};

use crate::support::{TestServer, soon, trace_request};

const STEP: &str = "/agent_debugger.v1.DebuggerService/Step";

async fn status_of(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn only_our_own_host_names_are_served() {
    let server = TestServer::with(&["--allowed-host", "debugger.test"]).await;
    let get = |host: &str| server.http.get(format!("{}/agents", server.url)).header("host", host);
    for host in
        ["localhost", "localhost:7117", "LOCALHOST.", "127.0.0.1:1", "[::1]:7117", "192.0.2.7", "debugger.test:80"]
    {
        assert_eq!(status_of(get(host)).await, StatusCode::OK, "{host}");
    }
    for host in ["evil.test", "localhost.evil.test", "evil.test:7117", "debugger.test.evil.test", "user@localhost"] {
        assert_eq!(status_of(get(host)).await, StatusCode::FORBIDDEN, "{host}");
    }
    // gRPC hears it in its own words.
    let rebound = Endpoint::new(server.url.clone()).unwrap().origin("http://evil.test".parse().unwrap());
    let mut client = DebuggerServiceClient::new(rebound.connect().await.unwrap());
    let refused = client.status(proto::StatusRequest { agent_id: "a".into() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn pages_of_other_sites_cannot_call() {
    let server = TestServer::start().await;
    let host = server.address().to_owned();
    let request = |method: Method, path: &str| server.http.request(method, format!("{}{path}", server.url));
    let step = || request(Method::POST, "/agent/a/debug/step");
    for origin in ["http://evil.test", "null", "http://localhost:1", "https://127.0.0.1"] {
        assert_eq!(status_of(step().header("origin", origin)).await, StatusCode::FORBIDDEN, "{origin}");
    }
    let own = format!("http://{host}");
    assert_eq!(status_of(step().header("origin", &own)).await, StatusCode::OK);
    assert_eq!(status_of(step().header("origin", format!("https://{host}"))).await, StatusCode::FORBIDDEN);
    assert_eq!(
        status_of(step().header("origin", &own).header("origin", "http://evil.test")).await,
        StatusCode::FORBIDDEN
    );
    for site in ["cross-site", "same-site"] {
        assert_eq!(status_of(step().header("sec-fetch-site", site)).await, StatusCode::FORBIDDEN, "{site}");
        let stream = request(Method::GET, "/agent/a/debug/events").header("sec-fetch-site", site);
        assert_eq!(status_of(stream).await, StatusCode::FORBIDDEN);
    }
    for site in ["same-origin", "none"] {
        assert_eq!(status_of(step().header("sec-fetch-site", site)).await, StatusCode::OK, "{site}");
    }
    assert_eq!(status_of(step()).await, StatusCode::OK, "no browser");
}

#[tokio::test]
async fn a_link_to_a_page_works_and_to_anything_else_does_not() {
    let server = TestServer::start().await;
    let follow_into = |path: &str, dest: &str| {
        let request = server.http.get(format!("{}{path}", server.url));
        let request = request.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
        request.header("sec-fetch-dest", dest)
    };
    let follow = |path: &str| follow_into(path, "document");
    for page in ["/", "/agent/a/debug"] {
        assert_eq!(status_of(follow(page)).await, StatusCode::OK);
        assert_eq!(status_of(follow_into(page, "iframe")).await, StatusCode::FORBIDDEN);
    }
    for path in ["/agents", "/agent/a/debug/events", "/agent/a/debug/status"] {
        assert_eq!(status_of(follow(path)).await, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_header_that_decides_stands_once_and_counts_in_any_case() {
    let server = TestServer::start().await;
    let step = |headers: &str| {
        let head =
            format!("POST /agent/a/debug/step HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: 0\r\n\r\n");
        let address = server.address();
        async move {
            let mut io = TcpStream::connect(address).await.unwrap();
            io.write_all(head.as_bytes()).await.unwrap();
            let mut said = String::new();
            soon("the response", io.read_to_string(&mut said)).await.unwrap();
            said[9..12].to_owned()
        }
    };
    let host = format!("host: {}\r\n", server.address());
    let origin = format!("origin: http://{}\r\n", server.address());
    for (headers, status) in [
        (host.clone(), "200"),
        (format!("{host}{origin}"), "200"),
        (format!("{host}Sec-Fetch-Site: NONE\r\n"), "200"),
        (format!("{host}{host}"), "403"),
        (format!("{host}host: evil.test\r\n"), "403"),
        (format!("{host}{origin}{origin}"), "403"),
        (format!("{host}sec-fetch-site: CROSS-SITE\r\n"), "403"),
        (format!("{host}sec-fetch-site: Same-Site\r\n"), "403"),
        (format!("{host}sec-fetch-site: none\r\nsec-fetch-site: cross-site\r\n"), "403"),
        ("host: [::1].evil.com\r\n".into(), "403"),
        ("host: [127.0.0.1]\r\n".into(), "403"),
        ("host: localhost..\r\n".into(), "403"),
        ("host: localhost:abc\r\n".into(), "403"),
    ] {
        assert_eq!(step(&headers).await, status, "{headers}");
    }
    let locked = with_tokens().await;
    let agents = locked.http.get(format!("{}/agents", locked.url)).bearer_auth(VIEW);
    assert_eq!(status_of(agents.try_clone().unwrap()).await, StatusCode::OK);
    assert_eq!(status_of(agents.header("authorization", "Bearer other")).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_page_that_another_site_opened_is_told_so_and_is_kept_by_no_cache() {
    let server = TestServer::start().await;
    let open = async |site: Option<&str>| {
        let request = server.http.get(format!("{}/agent/a/debug", server.url));
        let request = request.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document");
        let request = site.into_iter().fold(request, |request, site| request.header("sec-fetch-site", site));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{site:?}");
        assert_eq!(response.headers()["vary"], "sec-fetch-site");
        let cache = response.headers()["cache-control"].to_str().unwrap().to_owned();
        (cache, response.text().await.unwrap().contains("<html lang=\"en\" data-arrival=\"cross-site\">"))
    };
    for site in ["cross-site", "same-site", "Cross-Site"] {
        assert_eq!(open(Some(site)).await, ("no-store".into(), true), "{site}");
    }
    for site in [Some("same-origin"), Some("none"), None] {
        assert_eq!(open(site).await, ("no-cache".into(), false), "{site:?}");
    }
}

#[tokio::test]
async fn an_allowed_origin_may_read_and_nobody_else_gets_cors_headers() {
    let server = TestServer::with(&["--allow-origin", "https://tools.test"]).await;
    let url = format!("{}/agents", server.url);
    let ask = |origin: &str| server.http.get(&url).header("origin", origin).header("sec-fetch-site", "cross-site");
    let response = ask("https://tools.test").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://tools.test");
    let response = ask("https://evil.test").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(response.headers().get("access-control-allow-origin").is_none());
    let preflight = |origin: &str| {
        let request = server.http.request(Method::OPTIONS, &url).header("origin", origin);
        request.header("access-control-request-method", "POST")
    };
    let response = preflight("https://tools.test").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(response.headers()["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
    assert_eq!(status_of(preflight("https://evil.test")).await, StatusCode::FORBIDDEN);
    let plain = server.http.get(&url).send().await.unwrap();
    assert!(plain.headers().get("access-control-allow-origin").is_none());
}

/// tonic does not look: a page could send gRPC frames as a simple request.
#[tokio::test]
async fn grpc_wants_its_own_content_type() {
    let server = TestServer::start().await;
    let call = |kind: Option<&str>| {
        let request = server.http.post(format!("{}{STEP}", server.url)).body(vec![0, 0, 0, 0, 3, 10, 1, b'a']);
        kind.map_or_else(
            || request.try_clone().unwrap(),
            |kind| request.try_clone().unwrap().header("content-type", kind),
        )
    };
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/json")] {
        assert_eq!(status_of(call(kind)).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind:?}");
    }
    let page = call(Some("application/grpc")).header("origin", "http://evil.test").send().await.unwrap();
    assert_eq!(page.headers()["grpc-status"], "7");
    let below = server.http.post(format!("{}{STEP}/below", server.url)).header("content-type", "text/plain");
    assert_eq!(status_of(below).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let fine = call(Some("application/grpc")).send().await.unwrap();
    assert_eq!((fine.status(), fine.headers().get("grpc-status")), (StatusCode::OK, None), "a status in the trailers");
}

#[tokio::test]
async fn each_protocol_hears_of_an_unknown_path_in_its_own_way() {
    let server = TestServer::start().await;
    let grpc =
        server.http.post(format!("{}/no.such.Service/Call", server.url)).header("content-type", "application/grpc");
    assert_eq!(grpc.send().await.unwrap().headers()["grpc-status"], "12");
    assert_eq!(status_of(server.http.get(format!("{}/no/such/path", server.url))).await, StatusCode::NOT_FOUND);
}

const INGEST: &str = "ingest-ingest-ingest-ingest-ingest-";
const VIEW: &str = "view-view-view-view-view-view-view-";
const CONTROL: &str = "control-control-control-control-co";

async fn with_tokens() -> TestServer {
    TestServer::with(&["--token", &format!("ingest:{INGEST}\nview:{VIEW}\ncontrol:{CONTROL}")]).await
}

#[tokio::test]
async fn with_tokens_every_call_needs_one_of_the_right_scope() {
    let server = with_tokens().await;
    let url = |path: &str| format!("{}/agent/a/debug/{path}", server.url);
    let trace = || server.http.post(url("trace")).body("{\"type\":\"log\"}");
    let rows = [
        (trace(), [200, 403, 403]),
        (server.http.get(url("status")), [403, 200, 200]),
        (server.http.get(url("trace")), [403, 200, 200]),
        (server.http.post(url("step")), [403, 403, 200]),
        (server.http.post(url("clear")), [403, 403, 200]),
        (server.http.get(url("events")), [403, 403, 200]),
        (server.http.get(url("events?mode=observe")), [403, 200, 200]),
    ];
    for (request, expected) in rows {
        for (token, expected) in [INGEST, VIEW, CONTROL].into_iter().zip(expected) {
            let got = status_of(request.try_clone().unwrap().bearer_auth(token)).await;
            assert_eq!(got.as_u16(), expected, "{token} {request:?}");
        }
        assert_eq!(status_of(request.try_clone().unwrap()).await, StatusCode::UNAUTHORIZED);
        assert_eq!(status_of(request.bearer_auth("wrong")).await, StatusCode::UNAUTHORIZED);
    }
    for open in ["/", "/agent/a/debug", "/healthz", "/readyz", "/assets/ui/base.css"] {
        assert_eq!(status_of(server.http.get(format!("{}{open}", server.url))).await, StatusCode::OK, "{open}");
    }
    for shut in ["/metrics", "/openapi.json", "/agents"] {
        let response = server.http.get(format!("{}{shut}", server.url)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
}

#[tokio::test]
async fn tokens_guard_grpc_and_reflection_too() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_client::ServerReflectionClient};
    let server = with_tokens().await;
    let mut client = server.grpc().await;
    let log = || trace_request("a", proto::EventType::Log, "{}");
    assert_eq!(client.trace(log()).await.unwrap_err().code(), Code::Unauthenticated);
    let with = |token: &str| {
        let mut request = tonic::Request::new(log());
        request.metadata_mut().insert("authorization", MetadataValue::try_from(format!("Bearer {token}")).unwrap());
        request
    };
    assert_eq!(client.trace(with(VIEW)).await.unwrap_err().code(), Code::PermissionDenied);
    client.trace(with(INGEST)).await.unwrap();
    let channel = Endpoint::new(server.url.clone()).unwrap().connect().await.unwrap();
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.expect("health is open");
    let ask = tokio_stream::once(ServerReflectionRequest::default());
    let refused = ServerReflectionClient::new(channel).server_reflection_info(ask).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_refusal_says_what_to_do_about_it() {
    let server = TestServer::start().await;
    let (_, answer) =
        server.answer(server.http.get(format!("{}/agents", server.url)).header("host", "evil.test")).await;
    assert_eq!(answer["reason"], json!("HOST"));
    assert!(answer["error"].as_str().unwrap().contains("--allowed-host"));
}

#[tokio::test]
async fn who_may_only_look_sees_no_secret_whichever_way_they_look() {
    const SECRET: &str = "s3cr3t";
    let server = with_tokens().await;
    let url = |path: &str| format!("{}/agent/a/debug/{path}", server.url);
    let text = async |request: RequestBuilder, token: &str| {
        let response = request.bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.text().await.unwrap()
    };
    let control = |body: serde_json::Value| server.http.post(url("release")).json(&body);
    // Two runs, in each a step that is held and answered by hand.
    let events = server.http.get(url("events")).bearer_auth(CONTROL).send().await.unwrap();
    for (run, n) in [("left", 1), ("right", 2)] {
        let body = json!({"type": "tool_call", "run_id": run, "accepts": ["fulfil"], "metadata": {"cookie": SECRET},
            "data": {"password": SECRET, "n": n}});
        let held = tokio::spawn(server.http.post(url("trace")).bearer_auth(INGEST).json(&body).send());
        let answered = json!({"seq": n, "action": "fulfil", "data": {"api_key": SECRET}});
        soon("the step is held", async {
            let released = || control(answered.clone()).bearer_auth(CONTROL).send();
            while released().await.unwrap().status() != StatusCode::OK {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let told = held.await.unwrap().unwrap().text().await.unwrap();
        assert!(told.contains(SECRET), "the agent itself is told everything: {told}");
    }
    drop(events);

    let condition = json!({"condition": format!("event.data.password == '{SECRET}'")});
    let ways = || {
        [
            server.http.get(url("trace")),
            server.http.get(url("compare?left=left&right=right")),
            server.http.get(url("export?run_id=left")),
        ]
    };
    for way in ways() {
        let seen = text(way.try_clone().unwrap(), VIEW).await;
        assert!(seen.contains("[masked: password]") || !seen.contains("password"), "{seen}");
        assert!(!seen.contains(SECRET), "{seen}");
        let whole = text(way, CONTROL).await;
        assert_eq!(whole.contains(SECRET), !whole.contains("\"rows\""), "{whole}");
    }
    for (token, matched) in [(VIEW, 0), (CONTROL, 2)] {
        let tested = text(server.http.post(url("breakpoints/test")).json(&condition), token).await;
        assert!(tested.contains(&format!("\"matched\":{matched}")), "{tested}");
        // The stream, to the second decision, over both wires.
        let mut stream = server.http.get(url("events?mode=observe")).bearer_auth(token).send().await.unwrap();
        let mut seen = String::new();
        while seen.matches("event: decision").count() < 2 {
            let piece = soon("the record comes", stream.chunk()).await.unwrap().expect("the stream goes on");
            seen.push_str(std::str::from_utf8(&piece).unwrap());
        }
        assert_eq!(seen.contains(SECRET), token == CONTROL, "{seen}");
        for kept in ["\"n\":2", "\"seq\":2"] {
            assert!(seen.contains(kept), "{seen}");
        }
        let mut request = tonic::Request::new(proto::EventsRequest {
            agent_id: "a".into(),
            mode: proto::Mode::Observe.into(),
            ..Default::default()
        });
        request.metadata_mut().insert("authorization", MetadataValue::try_from(format!("Bearer {token}")).unwrap());
        let mut stream = server.grpc().await.events(request).await.unwrap().into_inner();
        let mut seen = String::new();
        while seen.matches("Decision(").count() < 2 {
            seen.push_str(&format!("{:?}", soon("the record comes", stream.message()).await.unwrap()));
        }
        assert_eq!(seen.contains(SECRET), token == CONTROL, "{seen}");
    }
}

/// A secret in every place that there is: none of them is shown in any way, and what is masked can still be named.
#[tokio::test]
async fn whoever_may_only_look_sees_no_secret_wherever_it_stands() {
    const SECRET: &str = "sk-pl4nted0123456789";
    const WORD: &str = "hunter2secret";
    let server = with_tokens().await;
    let url = |path: &str| format!("{}/agent/a/debug/{path}", server.url);
    let text = async |request: RequestBuilder, token: &str| {
        let response = request.bearer_auth(token).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{text}");
        text
    };
    let breakpoints = [
        json!({"types": ["log"], "name": SECRET, "unattended": "hold", "log_message": "logged {event.data.password} {event.name}",
            "condition": format!("event.data.password == '{WORD}'")}),
        json!({"types": ["tool_call"], "unattended": "hold", "run_id": SECRET, "condition": format!("'{WORD}' == event.data.password")}),
    ];
    for breakpoint in &breakpoints {
        text(server.http.post(url("breakpoints")).json(breakpoint), CONTROL).await;
    }
    let data = json!({"password": WORD, "arguments": json!({"password": WORD}).to_string(), "headers": [["Authorization", WORD]],
        "pair": {"name": "X-Api-Key", "value": WORD}, "text": format!("DB_PASSWORD={WORD}"), SECRET: 1});
    let step = |kind: &str| {
        json!({"type": kind, SECRET: 1, "run_id": SECRET, "node_id": SECRET, "parent_id": format!("{SECRET}-up"), "name": SECRET,
            "model": SECRET, "match_key": SECRET, "checkpoint_id": SECRET, "metadata": {"cookie": WORD}, "data": data})
    };
    let trace = |body| server.http.post(url("trace")).json(&body);
    text(trace(step("log")), INGEST).await;
    text(trace(step("prompt")), INGEST).await;
    let held = tokio::spawn(trace(step("tool_call")).bearer_auth(INGEST).send());
    let status = soon("the step is held", async {
        loop {
            let status = text(server.http.get(url("status")), VIEW).await;
            if status.contains("\"seq\":4") {
                return status;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let run = status["runs"][0]["run_id"].as_str().unwrap().to_owned();
    assert!(run.starts_with("[masked: api_key ") && status["held"][0]["run_id"] == json!(run), "{status}");
    let named = |path: &str, query: &[(&str, &str)]| server.http.get(url(path)).query(query);
    let stream = async |token: &str| {
        let request = named("events", &[("mode", "observe"), ("run_id", &run)]).bearer_auth(token);
        let mut stream = request.send().await.unwrap();
        let mut seen = String::new();
        while !seen.contains("event: state") || !seen.contains("\"seq\":4") {
            let piece = soon("the record comes", stream.chunk()).await.unwrap().expect("the stream goes on");
            seen.push_str(std::str::from_utf8(&piece).unwrap());
        }
        seen
    };
    let mut request = tonic::Request::new(proto::EventsRequest {
        agent_id: "a".into(),
        run_id: Some(run.clone()),
        mode: proto::Mode::Observe.into(),
        ..Default::default()
    });
    request.metadata_mut().insert("authorization", MetadataValue::try_from(format!("Bearer {VIEW}")).unwrap());
    let mut frames = server.grpc().await.events(request).await.unwrap().into_inner();
    let mut over_grpc = String::new();
    while !over_grpc.contains("State(") || !over_grpc.contains("seq: 4") {
        over_grpc.push_str(&format!("{:?}", soon("the record comes", frames.message()).await.unwrap()));
    }
    let ways = [
        status.to_string(),
        text(server.http.get(url("trace")), VIEW).await,
        text(named("trace", &[("run_id", &run)]), VIEW).await,
        text(named("compare", &[("left", &run), ("right", &run)]), VIEW).await,
        text(named("export", &[("run_id", &run)]), VIEW).await,
        text(server.http.get(url("breakpoints")), VIEW).await,
        text(server.http.get(format!("{}/agents", server.url)), VIEW).await,
        stream(VIEW).await,
        over_grpc,
        text(named("export", &[("run_id", SECRET), ("mask", "true")]), CONTROL).await,
    ];
    for seen in &ways {
        assert!(!seen.contains("pl4nted") && !seen.contains(WORD), "{seen}");
    }
    for named in [1, 2, 7, 8] {
        assert!(ways[named].contains("logged [masked: password]"), "{}", ways[named]);
    }
    let whole = text(server.http.get(url("trace")), CONTROL).await;
    assert!(whole.contains(&format!("logged {WORD} {SECRET}")), "{whole}");
    // No condition and no filter tells what is masked.
    for (breakpoint, expected) in [
        (json!({"name": "sk-pl*"}), 0),
        (json!({"condition": format!("event.name == '{SECRET}' || event.run_id == '{SECRET}'")}), 0),
        (json!({"condition": "event.data.password.startsWith('hunter')"}), 0),
        (json!({"run_id": run}), 3),
    ] {
        let tested = test(&server, &breakpoint).await;
        assert_eq!(tested["matched"], json!(expected), "{breakpoint}: {tested}");
    }
    held.abort();
}

async fn test(server: &TestServer, breakpoint: &serde_json::Value) -> serde_json::Value {
    let url = format!("{}/agent/a/debug/breakpoints/test", server.url);
    server.answer(server.http.post(url).json(breakpoint).bearer_auth(VIEW)).await.1
}

#[tokio::test]
async fn repetitions_do_not_tell_whether_two_secrets_are_the_same() {
    let server = with_tokens().await;
    let trace = |password: &str| {
        let body = json!({"type": "tool_call", "data": {"password": password}});
        server.http.post(format!("{}/agent/a/debug/trace", server.url)).json(&body).bearer_auth(INGEST)
    };
    for password in ["hunter2", "guess", "hunter2", "hunter2"] {
        assert_eq!(status_of(trace(password)).await, StatusCode::OK);
    }
    // To a caller that sees them masked, all four are the same.
    for (condition, expected) in
        [("repeats == 2", json!([2])), ("repeats == 1", json!([1])), ("repeats == 4", json!([4]))]
    {
        assert_eq!(test(&server, &json!({"condition": condition})).await["seqs"], expected, "{condition}");
    }
    let url = format!("{}/agent/a/debug/export", server.url);
    let exported = server.http.get(url).bearer_auth(VIEW).send().await.unwrap().text().await.unwrap();
    for count in 1..=4 {
        assert!(exported.contains(&format!("\"repeats\":{count},")), "{exported}");
    }
}

#[tokio::test]
async fn a_back_test_says_what_it_could_not_judge() {
    let server = with_tokens().await;
    let url = |path: &str| format!("{}/agent/a/debug/{path}", server.url);
    let half = r#"{"type":"tool_call","data":{"n":3,"t":"\ud83d"}}"#;
    assert_eq!(status_of(server.http.post(url("trace")).body(half).bearer_auth(INGEST)).await, StatusCode::OK);
    let tested = test(&server, &json!({"condition": "event.data.n == 3"})).await;
    assert_eq!((&tested["matched"], &tested["unjudged"]), (&json!(0), &json!(1)), "{tested}");
    assert!(tested["problem"].as_str().unwrap().contains("surrogate"), "{tested}");
    // A gate would have held it: what cannot be judged does not pass unseen.
    let gate = test(&server, &json!({"condition": "event.data.n == 3", "unattended": "hold"})).await;
    assert_eq!((&gate["matched"], &gate["unjudged"]), (&json!(1), &json!(1)), "{gate}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_its_field_and_place() {
    let server = TestServer::start().await;
    for (body, said) in [
        ("{\"type\":\"log\",\n\"data\":{\"x\":NaN}}", &["Invalid JSON body: NaN at line 2 column 13"][..]),
        ("{\"type\":\"log\",\"data\":{\"x\":-Infinity}}", &["Invalid JSON body: Infinity at line 1 column"]),
        ("\u{feff}{\"type\":\"log\"}", &["byte order mark"]),
        ("{\"type\":", &["Invalid JSON body"]),
        ("{\"type\":\"log\",\"start_ts\":-1,\"end_ts\":9100000000}", &["end_ts", "days", "366"]),
        ("{\"type\":\"log\",\"end_ts\":9100000000}", &["end_ts", "ahead", "366"]),
        ("{\"type\":\"log\",\"start_ts\":-1,\"end_ts\":1700000000}", &["end_ts", "19675 days after start_ts", "366"]),
    ] {
        let (status, answer) = server.try_post("a", "trace", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(said.iter().all(|said| error.contains(said)), "{answer}");
        assert_eq!(answer["line"].is_u64() && answer["column"].is_u64(), !error.contains("end_ts"), "{answer}");
    }
    let file = server.http.get(format!("{}/agent/b/debug/export", server.url));
    server.log("b", json!({"n": 1})).await;
    let file = file.send().await.unwrap().text().await.unwrap();
    for (file, said) in [
        (format!("\u{feff}{file}"), "line 1: begins with a byte order mark of UTF-8"),
        (file.replace('\n', "\r\n"), "line 1: ends with CRLF"),
        (file.replacen("}\n", "}\r\n", 2).replacen("}\r\n", "}\n", 1), "line 2: ends with CRLF"),
    ] {
        let (status, answer) = server.try_post("c", "import", file).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["error"].as_str().unwrap().starts_with(said), "{answer}");
    }
}
