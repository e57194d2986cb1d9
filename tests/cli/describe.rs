//! `completions`, `man` and `health`: what packages and containers ask of the binary.

use std::{fs, path::Path};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Process, TestServer, cli, output, soon};

const COMMANDS: [&str; 12] =
    ["serve", "agents", "tail", "run", "attach", "fork", "compare", "export", "import", "health", "completions", "man"];

/// No service is needed, so none is named.
async fn printed(args: &[&str]) -> String {
    let ended = output(cli("http://127.0.0.1:1", args)).await;
    assert_eq!((ended.status.code(), ended.err.len()), (Some(0), 0), "{args:?}: {ended:?}");
    ended.out.join("\n")
}

#[tokio::test]
async fn every_shell_is_told_every_command_and_its_flags() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]).await;
        for word in COMMANDS.iter().chain(&["no-follow", "on-divergence", "tls-client-ca"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[tokio::test]
async fn bash_completes_commands_and_flags_from_the_script() {
    let script = printed(&["completions", "bash"]).await;
    let ask = r#"
        complete=$(complete -p agent-debugger | sed 's/.*-F \([^ ]*\) .*/\1/')
        words() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=(); $complete "$1" "${@: -1}" "${@: -2:1}"; echo "${COMPREPLY[*]}"; }
        words agent-debugger exp
        words agent-debugger tail --no
    "#;
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["--norc", "-c", &format!("{script}\n{ask}")]);
    let bash = soon("bash", bash.output()).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout), "export\n--no-follow\n", "{bash:?}");
}

#[tokio::test]
async fn the_page_of_the_program_lists_its_commands_and_flags() {
    let page = printed(&["man"]).await;
    assert!(page.contains(".TH agent-debugger 1"), "{page}");
    for command in COMMANDS {
        assert!(page.contains(&format!("agent\\-debugger\\-{command}(1)")), "{command}: {page}");
    }
    assert!(page.contains("AGENT_DEBUGGER_LISTEN") && page.contains("\\-\\-max\\-agents"), "{page}");
}

#[tokio::test]
async fn each_command_has_a_page_in_the_directory() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("man/man1");
    if dir.exists() {
        fs::remove_dir_all(&dir).unwrap();
    }
    assert_eq!(printed(&["man", "--dir", dir.to_str().unwrap()]).await, "");
    for command in COMMANDS {
        let page = fs::read_to_string(dir.join(format!("agent-debugger-{command}.1"))).unwrap();
        assert!(page.contains(&format!(".TH agent-debugger-{command} 1")), "{command}: {page}");
    }
    assert!(dir.join("agent-debugger.1").exists());
}

#[tokio::test]
async fn pages_that_cannot_be_written_are_one_line_that_names_the_directory() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-directory");
    fs::write(&file, "").unwrap();
    let ended = output(cli("http://127.0.0.1:1", &["man", "--dir", file.to_str().unwrap()])).await;
    assert_eq!((ended.status.code(), ended.err.len()), (Some(1), 1), "{ended:?}");
    assert!(ended.err[0].contains(file.to_str().unwrap()), "{ended:?}");
}

#[tokio::test]
async fn what_describes_the_program_shows_no_token() {
    let token = "token-token-token-token-token-token";
    for args in [&["man"][..], &["completions", "bash"]] {
        let mut command = cli("http://127.0.0.1:1", args);
        command.env("AGENT_DEBUGGER_TOKEN", token);
        assert!(!output(command).await.out.join("\n").contains(token), "{args:?}");
    }
}

#[tokio::test]
async fn a_reader_that_closes_the_pipe_is_no_failure() {
    let (mut child, mut complaints) = Process::start(cli("http://127.0.0.1:1", &["completions", "zsh"])).close_out();
    assert!(soon("the exit", child.wait()).await.unwrap().success());
    assert_eq!(complaints.rest().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_service_that_takes_work_is_healthy_and_needs_no_token_to_say_so() {
    let server = TestServer::with(&["--token", "token-token-token-token-token-token"]).await;
    let ended = output(server.cli(&["health"])).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.out.is_empty() && ended.err.is_empty(), "{ended:?}");
    let mut with_tokens = server.cli(&["health", "--url", &server.url]);
    with_tokens.env("AGENT_DEBUGGER_TOKEN", "@/of/the/server");
    assert_eq!(output(with_tokens).await.status.code(), Some(0));
}

#[tokio::test]
async fn a_service_that_is_not_there_or_something_else_is_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // A web server of HTTP/1 alone.
            let _ = stream.read(&mut [0; 512]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    let nothing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}", nothing.local_addr().unwrap());
    drop(nothing);
    for url in [url, gone] {
        let ended = output(cli(&url, &["health"])).await;
        assert_eq!((ended.status.code(), ended.err.len()), (Some(1), 1), "{ended:?}");
        assert!(ended.err[0].contains(&url), "{ended:?}");
    }
}

#[tokio::test]
async fn a_service_that_shuts_down_is_not_healthy() {
    let server = TestServer::start().await;
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    // A request that never ends keeps it from being gone, for as long as the drain lasts.
    let mut unfinished = TcpStream::connect(&address).await.unwrap();
    let head = b"POST /agent/a/debug/trace HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n{";
    unfinished.write_all(head).await.unwrap();
    let url = server.url.clone();
    drop(server);
    soon("the end of its health", async { while output(cli(&url, &["health"])).await.status.code() == Some(0) {} })
        .await;
}
