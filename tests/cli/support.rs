//! A service of one's own, an agent made of single steps, and the binary with its three pipes.

use std::{
    collections::VecDeque,
    future::Future,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use agent_debugger::{
    cli::args::Cli,
    proto::{
        self, EventType, TraceRequest, TraceResponse, Verb, debugger_service_client::DebuggerServiceClient,
        trace_request::Payload,
    },
    server::Server,
};
use clap::Parser;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tonic::transport::Channel;

/// Nothing here takes this long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that an agent may obey.
pub(crate) const ALL: [Verb; 4] = [Verb::Edit, Verb::Fulfil, Verb::Fail, Verb::Abort];

/// Fails instead of hanging.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: nothing came"))
}

/// A running service. It stops when dropped.
pub(crate) struct TestServer {
    pub(crate) url: String,
    api: DebuggerServiceClient<Channel>,
    _stop: oneshot::Sender<()>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With flags of its own.
    pub(crate) async fn with(flags: &[&str]) -> Self {
        let flags = ["agent-debugger", "--listen", "127.0.0.1:0", "--detach-grace", "0s"].iter().chain(flags);
        let config = Cli::try_parse_from(flags).unwrap().serve.into_config().unwrap();
        let server = Server::bind(config).await.unwrap();
        let url = server.url();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.run(async move {
            // A test that drops its server stops it.
            let _ = stopped.await;
        }));
        let channel = Channel::from_shared(url.clone()).unwrap().connect_lazy();
        Self { url, api: DebuggerServiceClient::new(channel), _stop: stop }
    }

    pub(crate) fn api(&self) -> DebuggerServiceClient<Channel> {
        self.api.clone()
    }

    /// The binary, told where this service is.
    pub(crate) fn cli(&self, args: &[&str]) -> Command {
        cli(&self.url, args)
    }

    pub(crate) async fn trace(&self, request: TraceRequest) -> TraceResponse {
        soon("the answer to a trace", self.api().trace(request)).await.unwrap().into_inner()
    }

    /// Records something that is not held.
    pub(crate) async fn log(&self, agent: &str, data: &str) -> u64 {
        let request = TraceRequest { hold: proto::HoldPolicy::Never.into(), ..step(agent, EventType::Log, data) };
        self.trace(request).await.seq
    }

    /// A step in a task of its own: it may be held.
    pub(crate) fn begin(&self, request: TraceRequest) -> JoinHandle<TraceResponse> {
        let mut api = self.api();
        tokio::spawn(async move { api.trace(request).await.unwrap().into_inner() })
    }

    pub(crate) async fn status(&self, agent: &str) -> proto::StatusResponse {
        self.api().status(proto::StatusRequest { agent_id: agent.into() }).await.unwrap().into_inner()
    }

    /// Waits for the status to be as wanted.
    pub(crate) async fn until(&self, agent: &str, what: &str, wanted: impl Fn(&proto::StatusResponse) -> bool) {
        soon(what, async {
            while !wanted(&self.status(agent).await) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// A step of an agent that obeys everything.
pub(crate) fn step(agent: &str, kind: EventType, data: &str) -> TraceRequest {
    TraceRequest {
        agent_id: agent.into(),
        r#type: kind.into(),
        payload: Some(Payload::DataJson(data.into())),
        accepts: ALL.map(i32::from).to_vec(),
        ..Default::default()
    }
}

/// One step of a recorded run, in the run named.
pub(crate) fn at(run: &str, kind: EventType, name: &str, data: &str) -> TraceRequest {
    TraceRequest { run_id: run.into(), name: name.into(), ..step("a", kind, data) }
}

/// A run of the agent "a": it plans, searches and answers, in six events, the last of which ends the run.
pub(crate) async fn record(server: &TestServer, run: &str, answer: &str) {
    for request in [
        at(run, EventType::Prompt, "", "{\"text\":\"plan\",\"sent_at\":1}"),
        at(run, EventType::Response, "", "{\"call\":\"search\"}"),
        at(run, EventType::ToolCall, "search", "{\"q\":\"tea\"}"),
        at(run, EventType::ToolResult, "search", "{\"hits\":3}"),
        at(run, EventType::Prompt, "", "{\"hits\":3}"),
        TraceRequest { run_end: true, ..at(run, EventType::Response, "", answer) },
    ] {
        server.trace(request).await;
    }
}

/// The binary, without what the environment of the tests may say to it.
pub(crate) fn cli(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent-debugger"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AGENT_DEBUGGER_")) {
        command.env_remove(name);
    }
    command.args(args).env("AGENT_DEBUGGER_URL", url).env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A process and what it says.
pub(crate) struct Process {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    pub(crate) out: Said<ChildStdout>,
    pub(crate) err: Said<ChildStderr>,
}

/// The lines of one pipe.
pub(crate) struct Said<T>(Lines<BufReader<T>>);

/// How a process ended, and what it had said that nobody had read.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: Vec<String>,
    pub(crate) err: Vec<String>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let out = Said(BufReader::new(child.stdout.take().unwrap()).lines());
        let err = Said(BufReader::new(child.stderr.take().unwrap()).lines());
        Self { stdin: child.stdin.take(), child, out, err }
    }

    /// Types lines.
    pub(crate) async fn say(&mut self, lines: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{lines}\n").as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// Closes its stdin and reads to the end.
    pub(crate) async fn end(mut self) -> Ended {
        drop(self.stdin.take());
        let (out, err) = soon("the end of the output", async { tokio::join!(self.out.rest(), self.err.rest()) }).await;
        Ended { status: soon("the exit", self.child.wait()).await.unwrap(), out, err }
    }

    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
    }

    /// Gives up reading its stdout, like `head` does.
    pub(crate) fn close_out(self) -> (Child, Said<ChildStderr>) {
        (self.child, self.err)
    }
}

impl<T: AsyncRead + Unpin> Said<T> {
    pub(crate) async fn line(&mut self) -> String {
        soon("a line", self.0.next_line()).await.unwrap().expect("the output goes on")
    }

    /// Reads up to the first line that holds a text.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let mut before = VecDeque::new();
        loop {
            match timeout(PATIENCE, self.0.next_line()).await {
                Ok(Ok(Some(line))) if line.contains(text) => return line,
                Ok(Ok(Some(line))) => before.push_back(line),
                other => panic!("{text} did not come ({other:?}) after {before:#?}"),
            }
        }
    }

    /// The next line that is JSON of a type.
    pub(crate) async fn json(&mut self, kind: &str) -> Value {
        loop {
            let line = self.line().await;
            let value: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            if value["type"] == kind {
                return value;
            }
        }
    }

    /// Everything up to the end.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.0.next_line().await.unwrap() {
            lines.push(line);
        }
        lines
    }
}

/// Runs the binary to its end, with nothing on its stdin.
pub(crate) async fn output(command: Command) -> Ended {
    Process::start(command).end().await
}

/// A way to a service that can be cut.
pub(crate) struct Proxy {
    pub(crate) url: String,
    /// Where new connections go; nobody is let through without one.
    target: Arc<watch::Sender<Option<String>>>,
}

impl Proxy {
    pub(crate) async fn to(server: &TestServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let target = Arc::new(watch::Sender::new(Some(address(server))));
        let targets = target.clone();
        tokio::spawn(async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                let mut changed = targets.subscribe();
                let Some(target) = changed.borrow_and_update().clone() else { continue };
                tokio::spawn(async move {
                    let mut outside = TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        // Either end may break off.
                        _ = copy_bidirectional(&mut inside, &mut outside) => {}
                        _ = changed.changed() => {}
                    }
                });
            }
        });
        Self { url, target }
    }

    /// Ends every connection and lets no new one in.
    pub(crate) fn cut(&self) {
        self.target.send_replace(None);
    }

    pub(crate) fn mend(&self, server: &TestServer) {
        self.target.send_replace(Some(address(server)));
    }
}

fn address(server: &TestServer) -> String {
    server.url.split_once("://").unwrap().1.to_owned()
}
