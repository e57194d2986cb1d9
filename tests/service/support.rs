//! A server of one's own, and the two ways to talk to it.

use std::{collections::VecDeque, future::Future, time::Duration};

use agent_debugger::{
    cli::args::Cli,
    proto::{self, debugger_service_client::DebuggerServiceClient, events_response::Frame},
    server::{Server, ServerError},
};
use clap::Parser;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tonic::{Streaming, transport::Channel};

/// Nothing here takes this long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fails instead of hanging.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: nothing came"))
}

/// A running service. It stops when dropped, or when told to.
pub(crate) struct TestServer {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), ServerError>>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With flags of its own.
    pub(crate) async fn with(flags: &[&str]) -> Self {
        let flags = ["agent-debugger", "--listen", "127.0.0.1:0"].iter().chain(flags);
        let config = Cli::try_parse_from(flags).unwrap().serve.into_config().unwrap();
        let server = Server::bind(config).await.unwrap();
        let url = server.url();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(server.run(async move {
            // A test that drops its server stops it, too.
            let _ = stopped.await;
        }));
        Self { url, http: reqwest::Client::new(), stop: Some(stop), served }
    }

    /// Asks it to stop, as SIGTERM does.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    pub(crate) async fn stopped(self) {
        soon("the drain", self.served).await.unwrap().unwrap();
    }

    pub(crate) fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    pub(crate) async fn grpc(&self) -> DebuggerServiceClient<Channel> {
        let client = DebuggerServiceClient::connect(self.url.clone()).await.unwrap();
        client.max_decoding_message_size(4 * 1024 * 1024)
    }

    fn path(&self, agent: &str, verb: &str) -> String {
        format!("{}/agent/{agent}/debug/{verb}", self.url)
    }

    /// The status and the JSON of an answer.
    pub(crate) async fn answer(&self, request: reqwest::RequestBuilder) -> (StatusCode, Value) {
        let response = soon("an answer", request.send()).await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, agent: &str, verb: &str) -> Value {
        let (status, body) = self.answer(self.http.get(self.path(agent, verb))).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    pub(crate) async fn try_post(&self, agent: &str, verb: &str, body: impl Into<String>) -> (StatusCode, Value) {
        self.answer(self.http.post(self.path(agent, verb)).body(body.into())).await
    }

    pub(crate) async fn post(&self, agent: &str, verb: &str, body: Value) -> Value {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let (status, body) = self.try_post(agent, verb, text).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    pub(crate) async fn status(&self, agent: &str) -> Value {
        self.get(agent, "status").await
    }

    /// Records something that is not held.
    pub(crate) async fn log(&self, agent: &str, data: Value) -> Value {
        self.post(agent, "trace", json!({"type": "log", "data": data, "hold": "never"})).await
    }

    /// A Trace that waits in a task of its own, once the service says that it is held.
    pub(crate) async fn held(&self, agent: &str, body: Value) -> Held {
        let before: Vec<_> = held_seqs(&self.status(agent).await);
        let request = self.http.post(self.path(agent, "trace")).body(body.to_string());
        let task = tokio::spawn(async move { request.send().await?.json::<Value>().await });
        let seq = loop {
            assert!(!task.is_finished(), "it was not held: {:?}", task.await);
            let held = held_seqs(&self.status(agent).await);
            if let Some(seq) = held.iter().find(|seq| !before.contains(seq)) {
                break *seq;
            }
            tokio::task::yield_now().await;
        };
        Held { seq, task }
    }

    pub(crate) async fn prompt_held(&self, agent: &str) -> Held {
        self.held(agent, json!({"type": "prompt"})).await
    }

    /// Waits for the status to be as wanted.
    pub(crate) async fn until(&self, agent: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        soon(what, async {
            loop {
                let status = self.status(agent).await;
                if wanted(&status) {
                    return status;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// Subscribes over SSE.
    pub(crate) async fn sse(&self, agent: &str, query: &str) -> Sse {
        self.sse_after(agent, query, None).await
    }

    pub(crate) async fn sse_after(&self, agent: &str, query: &str, last_event_id: Option<&str>) -> Sse {
        let mut request = self.http.get(format!("{}{query}", self.path(agent, "events")));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = soon("the stream", request.send()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Sse { response, buffer: String::new(), frames: VecDeque::new() }
    }

    /// Subscribes as a debugger and reads to where the stream is live.
    pub(crate) async fn attach(&self, agent: &str) -> Sse {
        let mut sse = self.sse(agent, "").await;
        sse.until(|frame| frame.name.as_deref() == Some("state")).await;
        sse
    }
}

pub(crate) fn held_seqs(status: &Value) -> Vec<u64> {
    status["held"].as_array().unwrap().iter().map(|held| held["seq"].as_u64().unwrap()).collect()
}

/// A Trace that waits.
pub(crate) struct Held {
    pub(crate) seq: u64,
    task: JoinHandle<Result<Value, reqwest::Error>>,
}

impl Held {
    pub(crate) fn is_held(&self) -> bool {
        !self.task.is_finished()
    }

    /// What it was told.
    pub(crate) async fn answer(self) -> Value {
        soon("the release", self.task).await.unwrap().unwrap()
    }

    pub(crate) async fn outcome(self) -> String {
        self.answer().await["outcome"].as_str().unwrap().to_owned()
    }

    /// The caller goes away.
    pub(crate) fn abandon(self) {
        self.task.abort();
    }
}

/// One frame of SSE.
#[derive(Clone, Debug)]
pub(crate) struct SseFrame {
    pub(crate) name: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) raw: String,
    pub(crate) data: Value,
}

impl SseFrame {
    pub(crate) fn is_event(&self) -> bool {
        self.name.is_none() && self.data.get("seq").is_some()
    }

    pub(crate) fn kind(&self) -> &str {
        self.data["type"].as_str().unwrap()
    }
}

/// An open stream.
pub(crate) struct Sse {
    response: reqwest::Response,
    buffer: String,
    frames: VecDeque<SseFrame>,
}

impl Sse {
    /// The next frame; nothing at the end.
    pub(crate) async fn maybe_next(&mut self) -> Option<SseFrame> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            let chunk = soon("a frame", self.response.chunk()).await.ok()??;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some(end) = self.buffer.find("\n\n") {
                let text: String = self.buffer.drain(..end + 2).collect();
                self.frames.extend(parse(&text));
            }
        }
    }

    pub(crate) async fn next(&mut self) -> SseFrame {
        self.maybe_next().await.expect("the stream goes on")
    }

    /// Reads up to the first frame that is wanted.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&SseFrame) -> bool) -> SseFrame {
        loop {
            let frame = self.next().await;
            if wanted(&frame) {
                return frame;
            }
        }
    }

    pub(crate) async fn event(&mut self) -> SseFrame {
        self.until(SseFrame::is_event).await
    }

    /// What the documented client sees: unnamed frames.
    pub(crate) async fn documented(&mut self) -> SseFrame {
        self.until(|frame| frame.name.is_none()).await
    }
}

fn parse(text: &str) -> Option<SseFrame> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let raw = field("data: ")?;
    let data = serde_json::from_str(&raw).unwrap();
    Some(SseFrame { name: field("event: "), id: field("id: "), raw, data })
}

/// The next frame of a gRPC stream.
pub(crate) async fn frame(stream: &mut Streaming<proto::EventsResponse>) -> proto::EventsResponse {
    soon("a frame", stream.message()).await.unwrap().expect("the stream goes on")
}

/// Reads a gRPC stream up to the first frame that is wanted.
pub(crate) async fn frame_until(
    stream: &mut Streaming<proto::EventsResponse>,
    wanted: impl Fn(&Frame) -> bool,
) -> proto::EventsResponse {
    loop {
        let next = frame(stream).await;
        if next.frame.as_ref().is_some_and(&wanted) {
            return next;
        }
    }
}

/// A Trace as gRPC has it.
pub(crate) fn trace_request(agent: &str, kind: proto::EventType, data: &str) -> proto::TraceRequest {
    proto::TraceRequest {
        agent_id: agent.into(),
        r#type: kind.into(),
        payload: Some(proto::trace_request::Payload::DataJson(data.into())),
        ..Default::default()
    }
}
