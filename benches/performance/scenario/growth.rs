//! What a Trace costs as everything around it grows: agents, the trace, subscribers elsewhere, breakpoints.

use super::{Figures, Plan, agents};
use crate::{
    audience::{Audience, Stream},
    http1,
    load::{self, Calls, Connection, Until, Width},
    payload::{self, Form},
    process::Process,
    stats::micros,
};

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grows {
    Agents,
    TraceLength,
    SubscribersElsewhere,
    Breakpoints,
}

/// What grows, its name, and its scale; the first of each is the empty server.
pub(crate) const SCALES: [(Grows, &str, &[usize]); 4] = [
    (Grows::Agents, "agents", &[1, 10, 100, 1_000, 10_000]),
    (Grows::TraceLength, "events in a full trace", &[0, 100, 1_000, 10_000]),
    (Grows::SubscribersElsewhere, "subscribers of another agent", &[0, 10, 100, 1_000]),
    (Grows::Breakpoints, "breakpoints, attached", &[0, 1, 100]),
];

/// The calls that are measured.
const CALLS: usize = 8_000;

/// CPU per Trace at one point of a scale.
pub(crate) async fn sample(plan: &Plan, what: Grows, much: usize) -> Figures {
    // A full trace is one that drops its oldest event for each new one. 0 is one that is not full.
    let most = if what == Grows::TraceLength && much > 0 { much } else { 10_000 };
    let process = Process::start(&plan.with(&["--max-events-per-agent", &most.to_string()]));
    let (address, data) = (process.address, payload::data(300));
    let names = agents(if what == Grows::Agents { much } else { 1 });
    let calls = Calls::grpc_traces(&names, &data, Form::Json);
    let width = Width { connections: 4, in_flight: 4 };
    let mut audience = None;
    match what {
        // Each is known before it is measured.
        Grows::Agents => drop(load::run(address, &calls, Width::ONE, Until::Count(much)).await),
        Grows::TraceLength => drop(load::run(address, &calls, width, Until::Count(much)).await),
        Grows::SubscribersElsewhere => audience = Some(Audience::join(address, "elsewhere", much, Stream::Sse).await),
        Grows::Breakpoints => {
            audience = Some(Audience::running(address, &names[0]).await);
            let body = br#"{"types":["prompt"],"condition":"event.data.step > 100"}"#;
            let path = format!("/agent/{}/debug/breakpoints", names[0]);
            let create = Calls::Http(vec![http1::request("POST", &path, body)].into());
            let mut connection = Connection::open(address, &create, 0).await;
            for _ in 0..much {
                connection.call().await;
            }
        }
    }
    // The way there is warm, and the trace no longer than it was to be.
    let warm = Calls::grpc_traces(&["warm".to_owned()], &data, Form::Json);
    load::run(address, &warm, width, Until::Count(1_000)).await;
    let before = process.cpu();
    let done = load::run(address, &calls, width, Until::Count(CALLS)).await;
    let cpu = micros(process.cpu() - before) / done.calls as f64;
    drop(audience);
    vec![("cpu", cpu), ("p50", micros(crate::stats::percentile(&done.latencies, 0.5)))]
}
