//! A soak: agents and subscribers come and go for a while, and nothing of them is left behind.
//!
//! The server keeps few agents and short traces, so that it is full after the first moments: from then on whatever
//! grows is a leak.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    audience::{Audience, Stream},
    http1,
    instructions::held_and_stepped,
    load::{self, Calls, Connection, Until, Width},
    machine, payload,
    process::{Process, Program},
};

/// What the server may keep: far less than what comes by.
const FLAGS: [&str; 6] = ["--max-agents", "50", "--max-events-per-agent", "200", "--detach-grace", "50ms"];
/// Memory may be this much more at the end: allocators keep what they got in pieces.
const MAX_GROWTH: f64 = 1.10;
const SLACK_BYTES: u64 = 4 * 1024 * 1024;
/// How many Traces an agent reports unheld, over each transport.
const UNHELD: usize = 150;
/// The number of its first event after these.
const FIRST_HELD: usize = 2 * UNHELD + 1;
/// How long the last connections may take to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is left when nobody is there.
#[derive(Clone, Copy, Debug)]
struct Remains {
    rss: u64,
    descriptors: usize,
    tasks: u64,
}

/// Runs it. Says whether nothing grew.
pub(crate) fn run(server: &Program, seconds: u64) -> bool {
    machine::allow_many_files();
    let Program::Debugger(path, _) = server else { panic!("only agent-debugger soaks") };
    let flags = FLAGS.map(str::to_owned).to_vec();
    let process = Process::start(&Program::Debugger(path.clone(), flags));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let time = Duration::from_secs(seconds);
        let fresh = remains(&process, None).await;
        let warm = visits(&process, 0, time / 5).await;
        let first = remains(&process, Some(fresh)).await;
        let visits = visits(&process, warm, time - time / 5).await;
        let last = remains(&process, Some(fresh)).await;
        println!("{} agents came and went in {seconds} s\nbefore the first: {fresh:?}\nonce full:        {first:?}\nat the end:       {last:?}", warm + visits);
        let most = (first.rss as f64 * MAX_GROWTH) as u64 + SLACK_BYTES;
        let mut passed = true;
        let mut demand = |holds: bool, what: String| {
            if !holds {
                println!("LEFT BEHIND: {what}");
                passed = false;
            }
        };
        demand(last.rss <= most, format!("{} bytes of memory, at most {most} were expected", last.rss));
        demand(last.descriptors <= fresh.descriptors, format!("{} file descriptors", last.descriptors));
        demand(last.tasks <= fresh.tasks, format!("{} tasks", last.tasks));
        passed
    })
}

/// Agents come and go, several at a time, until the time is over. Says how many.
async fn visits(process: &Process, from: usize, time: Duration) -> usize {
    let (end, address, mut count) = (Instant::now() + time, process.address, from);
    while Instant::now() < end {
        let several = (0..4).map(|number| tokio::spawn(visit(address, format!("agent-{}", count + number))));
        for visit in several.collect::<Vec<_>>() {
            visit.await.unwrap();
        }
        count += 4;
    }
    count - from
}

/// One agent, from the first that is heard of it to the last.
async fn visit(address: std::net::SocketAddr, agent: String) {
    let names = [agent.clone()];
    let data = payload::data(300);
    let traces = [Calls::http_traces(&names, &data), Calls::grpc_traces(&names, &data, payload::Form::Struct)];

    // It reports more than is kept, and some watch over either transport.
    let watching =
        [Audience::join(address, &agent, 2, Stream::Sse).await, Audience::join(address, &agent, 2, Stream::Grpc).await];
    for calls in &traces {
        load::run(address, calls, Width { connections: 2, in_flight: 1 }, Until::Count(UNHELD)).await;
    }
    drop(watching);

    // It passes a breakpoint, and is stepped.
    let post = |verb: &str, body: &str| {
        let request = http1::request("POST", &format!("/agent/{agent}/debug/{verb}"), body.as_bytes());
        Calls::Http(Arc::new(vec![request]))
    };
    once(address, &post("clear", "")).await;
    once(
        address,
        &post("breakpoints", r#"{"condition":"event.data.step > 100","log_message":"at {event.data.step}"}"#),
    )
    .await;
    let debugger = Audience::debug(address, &agent, 1).await;
    let mut reporter = Connection::open(address, &traces[0], 0).await;
    let mut stepper = Connection::open(address, &post("step", ""), 0).await;
    for time in 1..=3 {
        held_and_stepped(&mut reporter, &mut stepper, &debugger, time).await;
    }
    // An agent that goes away while it is held leaves no hold behind.
    reporter.begin();
    reporter.send().await;
    debugger.until(7).await;
    drop((reporter, debugger));

    // A run of it is forked, behind three that were held and one that was left; nobody starts the fork, until a clear
    // ends it. An agent with a fork that goes on would never make room.
    for step in [
        r#"{"type":"prompt","run_id":"source","node_id":"n","accepts":["edit","fulfil"],"hold":"never"}"#,
        r#"{"type":"response","run_id":"source","node_id":"n","hold":"never"}"#,
    ] {
        once(address, &post("trace", step)).await;
    }
    once(address, &post("fork", &format!("{{\"run_id\":\"source\",\"seq\":{}}}", FIRST_HELD + 4))).await;
    once(address, &post("clear", "")).await;

    // It goes on, and somebody looks at the record.
    load::run(address, &traces[0], Width::ONE, Until::Count(UNHELD)).await;
    let page = Calls::Http(Arc::new(vec![http1::request("GET", &format!("/agent/{agent}/debug/trace"), b"")]));
    once(address, &page).await;

    // An agent with a breakpoint would never make room either.
    let delete = http1::request("DELETE", &format!("/agent/{agent}/debug/breakpoints/b1"), b"");
    once(address, &Calls::Http(Arc::new(vec![delete]))).await;
}

async fn once(address: std::net::SocketAddr, calls: &Calls) {
    load::run(address, calls, Width::ONE, Until::Count(1)).await;
}

/// What is left once everybody is gone: as little as there was, if that was measured before.
async fn remains(process: &Process, wanted: Option<Remains>) -> Remains {
    let began = Instant::now();
    loop {
        let tasks = tasks(process).await;
        let now = Remains { rss: process.rss(), descriptors: process.descriptors(), tasks };
        let settled = wanted.is_none_or(|fresh| now.tasks <= fresh.tasks && now.descriptors <= fresh.descriptors);
        if settled || began.elapsed() > PATIENCE {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The tasks that the server has, this question's own among them.
async fn tasks(process: &Process) -> u64 {
    let mut stream = TcpStream::connect(process.address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix("agent_debugger_tasks "));
    line.and_then(|tasks| tasks.trim().parse().ok()).expect("the metrics count tasks")
}
