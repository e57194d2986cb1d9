//! `agents`, and what all clients have in common: reaching the service, tokens, TLS, usage.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

use crate::support::{TestServer, cli, output};

#[tokio::test]
async fn agents_are_listed_as_a_table_and_as_json() {
    let server = TestServer::start().await;
    server.log("writer", "{}").await;
    server.log("planner", "{}").await;
    server.log("planner", "{}").await;
    let table = output(server.cli(&["agents"])).await;
    assert_eq!(table.status.code(), Some(0), "{table:?}");
    let rows: Vec<Vec<_>> = table.out.iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..5], ["AGENT", "MODE", "EVENTS", "HELD", "DEBUGGERS"]);
    assert_eq!(rows[1][..6], ["planner", "detached", "2", "0", "0", "0"]);
    assert_eq!(rows[2][..3], ["writer", "detached", "1"]);
    assert!(rows[1][6].ends_with('Z'), "{rows:?}");

    let lines = output(server.cli(&["agents", "--json"])).await.out;
    let agents: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&agents[0]["agent_id"], &agents[0]["total_events"]), (&"planner".into(), &2.into()));
    assert_eq!(agents.len(), 2);
}

#[tokio::test]
async fn all_pages_are_read() {
    let server = TestServer::with(&["--max-agents", "1100"]).await;
    for n in 0..1_050 {
        server.log(&format!("agent-{n}"), "{}").await;
    }
    assert_eq!(output(server.cli(&["agents", "--json"])).await.out.len(), 1_050);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_one_line_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    for args in [
        &["agents"][..],
        &["tail", "a"],
        &["attach", "a"],
        &["run", "--break", "--", "true"],
        &["fork", "a", "--at", "1"],
        &["export", "a"],
        &["compare", "a", "", "r"],
        &["import", "a", "-"],
    ] {
        let ended = output(cli(&url, args)).await;
        assert_eq!(ended.status.code(), Some(1), "{args:?}");
        assert!(ended.err.len() == 1 && ended.err[0].contains(&url), "{args:?}: {ended:?}");
        assert!(ended.out.is_empty(), "{ended:?}");
    }
}

#[tokio::test]
async fn usage_errors_exit_with_2() {
    for args in [
        &["agents", "--url", "localhost:7117"][..],
        &["agents", "--token", "@/does/not/exist"],
        &["agents", "--url", "https://localhost:1", "--tls-ca", "/does/not/exist"],
        &["tail"],
        &["attach"],
        &["run"],
        &["run", "--break"],
        &["fork", "a"],
        &["fork", "a", "--at", "x"],
        &["fork", "a", "--at", "1", "--effect", "writes=run"],
        &["fork", "a", "--at", "1", "--on-divergence", "panic"],
        &["fork", "a", "--at", "1", "--edit", "{"],
        &["fork", "a", "--at", "1", "--edit", "[]"],
        &["fork", "a", "--at", "1", "--edit", "@/does/not/exist"],
        &["compare", "a", "r"],
        &["export"],
        &["import", "a"],
        &["jump"],
    ] {
        let ended = output(cli("http://127.0.0.1:1", args)).await;
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {ended:?}");
        assert!(!ended.err.is_empty(), "{args:?}");
    }
}

#[tokio::test]
async fn a_token_comes_from_a_flag_the_environment_or_a_file_and_is_never_shown() {
    let token = "token-token-token-token-token-token";
    let server = TestServer::with(&["--token", token]).await;
    let ended = output(server.cli(&["agents"])).await;
    assert_eq!((ended.status.code(), ended.err.len()), (Some(1), 1), "{ended:?}");

    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("token");
    std::fs::write(&file, format!("# ours\nview:other\ncontrol:{token}\n")).unwrap();
    let file = format!("@{}", file.display());
    assert_eq!(output(server.cli(&["agents", "--token", token])).await.status.code(), Some(0));
    assert_eq!(output(server.cli(&["tail", "a", "--token", token, "--no-follow"])).await.err.len(), 1);
    assert_eq!(output(server.cli(&["attach", "a", "--token", &file])).await.status.code(), Some(0));
    let mut from_environment = server.cli(&["agents"]);
    from_environment.env("AGENT_DEBUGGER_TOKEN", token);
    assert_eq!(output(from_environment).await.status.code(), Some(0));

    for command in ["agents", "tail", "run", "attach", "fork", "compare", "export", "import"] {
        let mut help = server.cli(&[command, "--help"]);
        help.env("AGENT_DEBUGGER_TOKEN", token);
        let help = output(help).await.out.join("\n");
        for flag in ["--url", "--token", "--tls-ca", "AGENT_DEBUGGER_TLS_CA"] {
            assert!(help.contains(flag), "{command}: {flag}");
        }
        assert!(!help.contains(token));
    }
}

#[tokio::test]
async fn https_trusts_the_given_authority_and_no_other() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-tls");
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    std::fs::write(file("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(file("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(file("ca.pem"), ca.pem()).unwrap();

    let server = TestServer::with(&["--tls-cert", &file("cert.pem"), "--tls-key", &file("key.pem")]).await;
    let url = server.url.replace("127.0.0.1", "localhost");
    let trusted = output(cli(&url, &["agents", "--tls-ca", &file("ca.pem")])).await;
    assert_eq!(trusted.status.code(), Some(0), "{trusted:?}");
    let stranger = output(cli(&url, &["agents"])).await;
    assert_eq!(stranger.status.code(), Some(1), "{stranger:?}");
    assert!(stranger.err.len() == 1 && stranger.err[0].contains(&url), "{stranger:?}");
}
