//! Instructions per call, counted by callgrind: what a shared machine's clock cannot say to a percent.
//!
//! A server runs with one worker thread and is asked one thing at a time. It is started twice and asked a different
//! number of times: the difference of the two counts is free of start and end. Only instructions of the program are
//! counted, not the kernel's.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::{
    audience::{self, Audience, Stream},
    load::{self, Calls, Connection, Until, Width},
    machine, payload,
    process::{Process, Program},
};
use serde::{Deserialize, Serialize};

/// What is asked, and how one asks it.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Calls, one after the other on one connection.
    Calls(Calls),
    /// Traces over HTTP, each of which reaches all subscribers before the next.
    Publish(Stream, usize),
    /// Subscribers that come one after the other, to an agent with this many events.
    Replay(Stream, usize),
    /// Traces that are held until a step lets them go.
    Resume(Stream),
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) program: Program,
    pub(crate) work: Work,
    /// How many times less and more.
    pub(crate) times: [usize; 2],
}

/// Whether this machine can count.
pub(crate) fn available() -> bool {
    machine::said("valgrind", &["--version"]).is_some()
}

/// The hot paths: what is watched for regressions.
pub(crate) fn hot_paths(server: &Program) -> Vec<Case> {
    let (small, agents) = (payload::data(300), ["agent".to_owned()]);
    let case = |name: &str, work, times| Case { name: name.to_owned(), program: server.clone(), work, times };
    let grpc = |form| Work::Calls(Calls::grpc_traces(&agents, &small, form));
    vec![
        case("trace, gRPC, JSON text of 300 B", grpc(payload::Form::Json), [200, 1_200]),
        case("trace, gRPC, Struct of 300 B", grpc(payload::Form::Struct), [200, 1_200]),
        case("trace, HTTP, 300 B", Work::Calls(Calls::http_traces(&agents, &small)), [200, 1_200]),
        case("publish to 20, SSE", Work::Publish(Stream::Sse, 20), [50, 250]),
        case("publish to 20, gRPC", Work::Publish(Stream::Grpc, 20), [50, 250]),
        case("replay of 1,000, SSE", Work::Replay(Stream::Sse, 1_000), [10, 60]),
        case("replay of 1,000, gRPC", Work::Replay(Stream::Grpc, 1_000), [10, 60]),
        case("held, stepped and answered, HTTP", Work::Resume(Stream::Sse), [100, 400]),
        case("held, stepped and answered, gRPC", Work::Resume(Stream::Grpc), [100, 400]),
    ]
}

/// Where the figures are kept.
const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.json");
/// How often each count is taken.
const RUNS: usize = 2;
/// More than this is a regression.
const MAX_GROWTH: f64 = 1.05;

/// The figures that are kept, and the compiler that they are of.
#[derive(Serialize, Deserialize)]
struct Kept {
    rustc: String,
    instructions: BTreeMap<String, u64>,
}

/// Counts the hot paths and compares them with what is kept, or keeps them. Says whether none grew.
pub(crate) fn compare(server: &Program, update: bool) -> bool {
    assert!(available(), "valgrind is not installed");
    let cases = hot_paths(server);
    let counted = count(&cases).into_iter().map(|counted| counted.round() as u64);
    let now = Kept {
        rustc: machine::rustc(),
        instructions: cases.iter().map(|case| case.name.clone()).zip(counted).collect(),
    };
    if update {
        let text = serde_json::to_string_pretty(&now).unwrap();
        fs::write(FIGURES, text + "\n").unwrap();
        return true;
    }
    let kept: Kept = serde_json::from_str(&fs::read_to_string(FIGURES).unwrap()).unwrap();
    let mut passed = true;
    println!("\n| instructions | kept | now | |\n|---|---|---|---|");
    for (name, now) in &now.instructions {
        let verdict = match kept.instructions.get(name) {
            None => "NEW: keep it".to_owned(),
            Some(kept) => {
                let ratio = *now as f64 / *kept as f64;
                let verdict = if ratio > MAX_GROWTH { " GREW" } else { "" };
                format!("{:+.1} %{verdict}", (ratio - 1.0) * 100.0)
            }
        };
        passed &= verdict.ends_with('%');
        println!("| {name} | {} | {now} | {verdict} |", kept.instructions.get(name).copied().unwrap_or_default());
    }
    if passed {
        return true;
    }
    println!(
        "\nA figure grew by more than 5 %, or is not kept yet. Where that is meant, keep the new ones: add --update."
    );
    if kept.rustc != now.rustc {
        println!(
            "The kept figures are of {}, this is {}: it may be the compiler. Count the last good commit with this one, \
             keep its figures (--update), and compare again.",
            kept.rustc, now.rustc
        );
    }
    println!("`callgrind_annotate target/tmp/callgrind/<name>` says where instructions go.");
    false
}

/// Instructions of each case, per time that it was asked.
pub(crate) fn count(cases: &[Case]) -> Vec<f64> {
    let one = |case: &Case| {
        let totals: Vec<_> = std::thread::scope(|scope| {
            let runs = case.times.map(|times| scope.spawn(move || least(case, times)));
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        let per_time = (totals[1] - totals[0]) as f64 / (case.times[1] - case.times[0]) as f64;
        eprintln!("{:<36} {:>12.0} instructions", case.name, per_time);
        per_time
    };
    cases.iter().map(one).collect()
}

/// The fewest instructions of some runs: whatever else the machine does can only add, by splitting what is read.
fn least(case: &Case, times: usize) -> u64 {
    (0..RUNS).map(|_| total(case, times)).min().unwrap()
}

/// All instructions of a server that is asked so many times.
fn total(case: &Case, times: usize) -> u64 {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("callgrind");
    fs::create_dir_all(&folder).unwrap();
    let name: String = case.name.chars().map(|sign| if sign.is_alphanumeric() { sign } else { '-' }).collect();
    let counts = folder.join(format!("{name}.{times}"));
    let process = Process::start_counted(&case.program, &counts);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ask(&process, &case.work, times));
    drop(runtime);
    process.stop();
    let said = fs::read_to_string(&counts).unwrap_or_else(|error| panic!("{}: {error}", counts.display()));
    let totals = said.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    totals.and_then(|total| total.trim().parse().ok()).unwrap_or_else(|| panic!("{} has no totals", counts.display()))
}

async fn ask(process: &Process, work: &Work, times: usize) {
    let (address, agents, small) = (process.address, ["agent".to_owned()], payload::data(300));
    let trace = Calls::http_traces(&agents, &small);
    match work {
        Work::Calls(calls) => {
            load::run(address, calls, Width::ONE, Until::Count(times)).await;
        }
        Work::Publish(how, size) => {
            let mut agent = Connection::open(address, &trace, 0).await;
            let audience = Audience::join(address, "agent", *size, *how).await;
            for time in 1..=times {
                agent.call().await;
                audience.until((time * size) as u64).await;
            }
        }
        Work::Replay(how, events) => {
            load::run(address, &trace, Width::ONE, Until::Count(*events)).await;
            // Somebody watches all the time, so that all of them share what is encoded once: `publish` has its cost.
            let _watching = Audience::join(address, "agent", 1, *how).await;
            for _ in 0..times {
                audience::replay(address, "agent", *how, *events as u64).await;
            }
        }
        Work::Resume(how) => {
            let (trace, step) = resume(*how);
            let audience = Audience::debug(address, "agent", 1).await;
            let mut agent = Connection::open(address, &trace, 0).await;
            let mut debugger = Connection::open(address, &step, 0).await;
            for time in 1..=times {
                held_and_stepped(&mut agent, &mut debugger, &audience, time as u64).await;
            }
        }
    }
}

/// What an agent and its debugger ask to be held and to step.
pub(crate) fn resume(how: Stream) -> (Calls, Calls) {
    let (agents, small) = (["agent".to_owned()], payload::data(300));
    match how {
        Stream::Grpc => {
            let step = agent_debugger::proto::StepRequest { agent_id: "agent".into(), ..Default::default() };
            let step = prost::Message::encode_to_vec(&step);
            let step = Calls::Grpc("Step", std::sync::Arc::new(vec![step]));
            (Calls::grpc_traces(&agents, &small, payload::Form::Json), step)
        }
        _ => (Calls::http_traces(&agents, &small), Calls::post("/agent/agent/debug/step")),
    }
}

/// One Trace that is held, seen, stepped and answered; how long it took from the step to the answer. Each time has
/// two entries in the log: the event, and what was decided.
pub(crate) async fn held_and_stepped(
    agent: &mut Connection,
    debugger: &mut Connection,
    audience: &Audience,
    time: u64,
) -> std::time::Duration {
    agent.begin();
    agent.send().await;
    audience.until(time * 2 - 1).await;
    let began = std::time::Instant::now();
    debugger.begin();
    debugger.send().await;
    agent.answered().await;
    let took = began.elapsed();
    debugger.answered().await;
    audience.until(time * 2).await;
    took
}
