//! The process: its printed line, its signals, its exit codes.

use std::{
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::support::soon;

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent-debugger"));
    command.env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

pub(crate) async fn start(flags: &[&str]) -> (Child, String) {
    let mut child = command().args(flags).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = soon("the line", lines.next_line()).await.unwrap().unwrap();
    let url = line.strip_prefix("agent-debugger listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
    (child, url)
}

async fn output(flags: &[&str]) -> Output {
    soon("the end", command().args(flags).output()).await.unwrap()
}

async fn terminate(child: &Child) {
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
}

#[tokio::test]
async fn it_prints_one_line_and_drains_on_sigterm() {
    let (mut child, url) = start(&["--listen", "127.0.0.1:0"]).await;
    assert!(url.starts_with("http://127.0.0.1:") && !url.ends_with(":0"), "{url}");
    let http = reqwest::Client::new();
    let mut stream = http.get(format!("{url}/agent/a/debug/events")).send().await.unwrap();
    stream.chunk().await.unwrap();
    let trace = http.post(format!("{url}/agent/a/debug/trace")).body("{\"type\":\"prompt\"}");
    let held = tokio::spawn(async move { trace.send().await.unwrap().json::<Value>().await.unwrap() });
    soon("the hold", async {
        loop {
            let status = http.get(format!("{url}/agent/a/debug/status")).send().await.unwrap();
            if status.json::<Value>().await.unwrap()["held"] != json!([]) {
                break;
            }
        }
    })
    .await;
    let began = Instant::now();
    terminate(&child).await;
    assert_eq!(soon("the answer", held).await.unwrap()["outcome"], "shutdown");
    let status = soon("the exit", child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_client_that_never_leaves_does_not_keep_it_running() {
    let (mut child, url) = start(&["--listen", "127.0.0.1:0"]).await;
    let address = url.strip_prefix("http://").unwrap();
    let stuck = tokio::net::TcpStream::connect(address).await.unwrap();
    stuck.writable().await.unwrap();
    stuck.try_write(b"POST /agent/a/debug/trace HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n{").unwrap();
    terminate(&child).await;
    assert_eq!(soon("the exit", child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_bad_flag_is_one_clear_line_and_exit_code_2() {
    for (flags, names) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["--listen", "somewhere"], "--listen"),
        (&["--listen", "0.0.0.0:0"], "--insecure"),
        (&["--token", "@/no/such/file"], "--token"),
    ] {
        let output = output(flags).await;
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(names), "{flags:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn a_taken_port_is_one_clear_line_and_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output(&["--listen", &address]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&address) && said.trim().lines().count() == 1, "{said}");
}

#[tokio::test]
async fn help_names_every_flag_with_its_variable_and_never_a_token() {
    let output = command().arg("--help").env("AGENT_DEBUGGER_TOKEN", "very-secret-value").output().await.unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for flag in [
        "listen",
        "hold-timeout",
        "detach-grace",
        "max-events-per-agent",
        "max-bytes-per-agent",
        "max-agents",
        "token",
        "tls-cert",
        "tls-key",
        "tls-client-ca",
        "allowed-host",
        "allow-origin",
        "insecure",
        "log-format",
    ] {
        assert!(help.contains(&format!("--{flag}")), "{flag}");
        let variable = format!("AGENT_DEBUGGER_{}", flag.to_uppercase().replace('-', "_"));
        assert!(help.contains(&variable), "{variable}");
    }
    assert!(!help.contains("very-secret-value"));
}

#[tokio::test]
async fn logs_say_who_did_what_and_never_a_payload_or_a_token() {
    let token = "token-token-token-token-token-token";
    let mut command = command();
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]).env("AGENT_DEBUGGER_TOKEN", token);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = soon("the line", lines.next_line()).await.unwrap().unwrap();
    let url = line.rsplit(' ').next().unwrap().to_owned();
    let post = |verb: &str, body: &'static str| {
        reqwest::Client::new().post(format!("{url}/agent/a/debug/{verb}")).body(body).bearer_auth(token).send()
    };
    post("trace", "{\"type\":\"log\",\"data\":{\"secret\":\"payload-text\"}}").await.unwrap();
    post("step", "").await.unwrap();
    terminate(&child).await;
    let output = soon("the exit", child.wait_with_output()).await.unwrap();
    let logs = String::from_utf8_lossy(&output.stderr).into_owned();
    let step = logs.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let step = step.into_iter().find(|line| line["fields"]["action"] == "step").expect("audited");
    assert_eq!(step["fields"]["agent"], "a");
    assert!(step["fields"]["actor"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(!logs.contains("payload-text") && !logs.contains(token), "{logs}");
}

/// Steps an agent so often that each line of the log about it finds no room.
async fn step_often(url: &str) {
    let http = reqwest::Client::new();
    let agent = "a".repeat(200);
    let mut steps = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (http, path) = (http.clone(), format!("{url}/agent/{agent}/debug/step"));
        steps.spawn(async move {
            for _ in 0..700 {
                assert_eq!(http.post(&path).send().await.expect("the connection stays").status(), 200);
            }
        });
    }
    tokio::time::timeout(Duration::from_secs(60), steps.join_all()).await.expect("no step waits for the log");
}

async fn metric(url: &str, name: &str) -> u64 {
    let metrics = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
    line.parse().unwrap()
}

const DROPPED: &str = "agent_debugger_dropped_log_lines_total";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_not_read_stops_no_call_and_no_drain() {
    let (mut child, url) = start(&["--listen", "127.0.0.1:0"]).await;
    step_often(&url).await;
    let dropped = metric(&url, DROPPED).await;
    assert!(dropped > 0);
    let began = Instant::now();
    let mut stderr = child.stderr.take().unwrap();
    // Once it is read again, it says what is missing.
    let mut logs = String::new();
    soon("the note", async {
        while !logs.contains("log lines were dropped") {
            let mut piece = [0; 64 * 1024];
            let length = tokio::io::AsyncReadExt::read(&mut stderr, &mut piece).await.unwrap();
            logs.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    })
    .await;
    assert!(logs.contains(&format!("dropped={dropped}")), "it is said once, in full");
    step_often(&url).await;
    terminate(&child).await;
    assert_eq!(soon("the exit", child.wait()).await.unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    drop(stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_a_reader_cuts_no_connection() {
    let (mut child, url) = start(&["--listen", "127.0.0.1:0"]).await;
    drop(child.stderr.take());
    let http = reqwest::Client::new();
    for _ in 0..50 {
        let step = http.post(format!("{url}/agent/a/debug/step")).send().await.expect("the connection stays");
        assert_eq!(step.status(), 200);
    }
    assert!(metric(&url, DROPPED).await >= 40);
    terminate(&child).await;
    assert_eq!(soon("the exit", child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_stdout_that_is_not_read_keeps_nothing_from_starting() {
    for is_full in [true, false] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let reader = is_full.then_some(reader);
        if is_full {
            std::io::Write::write_all(&mut writer, &[b' '; 64 * 1024]).unwrap();
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let mut child = command().args(["--listen", &address]).stdout(writer).spawn().unwrap();
        soon("the start", async {
            while reqwest::get(format!("http://{address}/healthz")).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        terminate(&child).await;
        assert_eq!(soon("the exit", child.wait()).await.unwrap().code(), Some(0));
        drop(reader);
    }
}
