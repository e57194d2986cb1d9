//! `export` and `import`: what is written can be read, and what is damaged leaves nothing behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use agent_debugger::proto::EventType;
use serde_json::{Value, json};

use crate::support::{Process, TestServer, at, output, record, soon};

/// A folder of one test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test]
async fn a_run_goes_from_one_service_to_another_and_comes_back_the_same() {
    let server = TestServer::start().await;
    record(&server, "r", "{\"price\": 1.10}").await;
    let folder = folder("export");
    let file = folder.join("run.jsonl");
    let path = file.to_str().unwrap();
    fs::write(&file, "what was there before").unwrap();
    let ended = output(server.cli(&["export", "a", "--run", "r", "-o", path])).await;
    assert_eq!((ended.status.code(), ended.out.len(), ended.err.len()), (Some(0), 0, 0), "{ended:?}");
    assert_eq!(files(&folder), ["run.jsonl"]);
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains("{\"price\": 1.10}"), "{written}");
    let url = format!("{}/agent/a/debug/export?run_id=r", server.url);
    assert_eq!(soon("the export", reqwest::get(url)).await.unwrap().text().await.unwrap(), written);

    let other = TestServer::start().await;
    let ended = output(other.cli(&["import", "b", path])).await;
    assert_eq!((ended.status.code(), &ended.out[..]), (Some(0), &["run r: 6 events, #1 to #6".to_owned()][..]));
    let mut piped = other.cli(&["import", "b", "-", "--run", "again", "--json"]);
    piped.stdin(Stdio::from(fs::File::open(&file).unwrap()));
    let ended = output(piped).await;
    let body: Value = serde_json::from_str(&ended.out[0]).unwrap();
    assert_eq!(body, json!({"status": "imported", "run_id": "again", "events": 6, "first_seq": 7, "last_seq": 12}));
    let back = output(other.cli(&["export", "b", "--run", "r"])).await;
    assert_eq!(back.out, written.lines().collect::<Vec<_>>());

    let mut debugger = Process::start(other.cli(&["attach", "b"]));
    debugger.say("runs").await;
    let runs = debugger.end().await.out;
    assert!(runs.iter().any(|line| line.starts_with("again: ") && line.ends_with("; imported")), "{runs:#?}");
}

#[tokio::test]
async fn secrets_are_masked_where_that_is_asked() {
    let server = TestServer::start().await;
    server.trace(at("", EventType::Prompt, "", "{\"password\":\"hunter2\"}")).await;
    let plain = output(server.cli(&["export", "a"])).await.out.join("\n");
    let masked = output(server.cli(&["export", "a", "--mask"])).await.out.join("\n");
    assert!(plain.contains("hunter2") && !masked.contains("hunter2"), "{masked}");
}

#[tokio::test]
async fn a_run_of_many_megabytes_goes_through() {
    let server = TestServer::start().await;
    let text = "x".repeat(3 * 1024 * 1024);
    for n in 0..4 {
        server.trace(at("r", EventType::Log, "", &format!("{{\"n\":{n},\"text\":\"{text}\"}}"))).await;
    }
    let path = folder("large").join("run.jsonl");
    let path = path.to_str().unwrap();
    assert_eq!(output(server.cli(&["export", "a", "--run", "r", "--output", path])).await.status.code(), Some(0));
    assert!(fs::metadata(path).unwrap().len() > 12 * 1024 * 1024);
    let ended = output(server.cli(&["import", "a", path, "--run", "copy"])).await;
    assert_eq!(ended.out, ["run copy: 4 events, #5 to #8"], "{ended:?}");
}

#[tokio::test]
async fn what_cannot_be_written_or_read_is_one_line_and_leaves_nothing() {
    let server = TestServer::start().await;
    record(&server, "r", "{}").await;
    let folder = folder("damaged");
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(path("kept"), "kept").unwrap();
    for args in [&["export", "a", "--run", "nobody", "-o", &path("kept")][..], &["export", "a", "-o", &path("no/such")]]
    {
        let ended = output(server.cli(args)).await;
        assert_eq!((ended.status.code(), ended.err.len()), (Some(1), 1), "{args:?}: {ended:?}");
    }
    assert_eq!((fs::read_to_string(path("kept")).unwrap().as_str(), files(&folder)), ("kept", vec!["kept".into()]));

    assert_eq!(output(server.cli(&["export", "a", "--run", "r", "-o", &path("good")])).await.status.code(), Some(0));
    let good = fs::read_to_string(path("good")).unwrap();
    let cut: String = good.lines().take(3).map(|line| format!("{line}\n")).collect();
    for (name, text, says) in
        [("cut", cut, "line"), ("changed", good.replace("tea", "pea"), "line"), ("foreign", "hello\n".into(), "line 1")]
    {
        fs::write(path(name), text).unwrap();
        let ended = output(server.cli(&["import", "a", &path(name), "--run", name])).await;
        assert_eq!((ended.status.code(), ended.err.len()), (Some(1), 1), "{name}: {ended:?}");
        assert!(ended.err[0].contains(says), "{name}: {ended:?}");
    }
    for (args, says) in [
        (&["import", "a", &path("good")][..], "r"),
        (&["import", "a", &path("missing")], "missing"),
        (&["import", "a", folder.to_str().unwrap()], "damaged"),
    ] {
        let ended = output(server.cli(args)).await;
        assert_eq!((ended.status.code(), ended.err.len()), (Some(1), 1), "{args:?}: {ended:?}");
        assert!(ended.err[0].contains(says), "{ended:?}");
    }
    assert_eq!(server.status("a").await.runs.len(), 1);
}

#[tokio::test]
async fn a_refusal_does_not_wait_for_the_end_of_stdin() {
    let server = TestServer::start().await;
    let mut import = Process::start(server.cli(&["import", "a", "-"]));
    import.say("this is no run").await;
    // Its stdin stays open.
    assert_eq!(soon("the exit", import.child.wait()).await.unwrap().code(), Some(1));
    assert!(import.err.line().await.contains("line 1"));
}
