//! What things weigh: resident memory, and how long a start takes.

use super::{Figures, Plan, agents};
use crate::{
    audience::{Audience, Stream},
    http1,
    load::{self, Calls, Until, Width},
    payload::{self, Form},
    process::{self, Process},
};

/// Bytes of an idle server, per event of 300 B, per agent, per subscriber.
pub(crate) async fn sample(plan: &Plan) -> Figures {
    let process = Process::start(&plan.server);
    let idle = process.rss();
    let data = payload::data(300);

    // Agents without a trace: somebody asked them to pause before they came.
    let names = agents(10_000);
    let pause = |agent: &String| http1::request("POST", &format!("/agent/{agent}/debug/pause"), b"");
    let pauses = Calls::Http(std::sync::Arc::new(names.iter().map(pause).collect()));
    load::run(process.address, &pauses, Width::ONE, Until::Count(names.len())).await;
    let per_agent = (process.rss() - idle) as f64 / names.len() as f64;
    drop(process);

    // Twenty agents whose trace is full, but for a few each, so that nothing is trimmed. What the first thousand of each
    // bring into memory beside themselves, code above all, is not counted.
    let process = Process::start(&plan.server);
    let names = agents(20);
    let calls = Calls::grpc_traces(&names, &data, Form::Json);
    let width = Width { connections: 1, in_flight: 32 };
    load::run(process.address, &calls, width, Until::Count(names.len() * 1_000)).await;
    let (before, events) = (process.rss(), names.len() * 8_990);
    load::run(process.address, &calls, width, Until::Count(events)).await;
    let per_event = (process.rss() - before) as f64 / events as f64;
    drop(process);

    let mut figures = vec![
        ("idle MB", idle as f64 / 1e6),
        ("per agent", per_agent),
        ("per event", per_event),
        ("payload", data.len() as f64),
    ];
    for (name, how) in [("per SSE subscriber", Stream::Sse), ("per gRPC subscriber", Stream::Grpc)] {
        let process = Process::start(&plan.server);
        let before = process.rss();
        let audience = Audience::join(process.address, "agent", 500, how).await;
        figures.push((name, (process.rss() - before) as f64 / 500.0));
        drop(audience);
    }
    figures
}

/// Milliseconds from the start to the first answer.
pub(crate) async fn start(plan: &Plan) -> Figures {
    vec![("ms", process::time_to_answer(&plan.server).as_secs_f64() * 1e3)]
}
