//! From a step to the answer of the Trace that it lets go, beside one bare round trip over the same transport.

use super::{Figures, Plan};
use crate::{
    audience::{Audience, Stream},
    instructions::{held_and_stepped, resume},
    load::Connection,
    process::{Beside, Process, Program},
    stats::{micros, percentile},
};

/// With a debugger and this many observers.
pub(crate) async fn sample(plan: &Plan, how: Stream, observers: usize) -> Figures {
    let times = if plan.quick { 200 } else { 500 };
    let process = Process::start(&plan.server);
    let _observers = Audience::join(process.address, "agent", observers, Stream::Sse).await;
    let debugger = Audience::debug(process.address, "agent", 1).await;
    let (trace, step) = resume(how);
    let mut agent = Connection::open(process.address, &trace, 0).await;
    let mut stepper = Connection::open(process.address, &step, 0).await;
    let mut took = Vec::new();
    for time in 1..=times {
        took.push(held_and_stepped(&mut agent, &mut stepper, &debugger, time).await);
    }
    took.sort_unstable();

    let beside = if how == Stream::Grpc { Beside::Tonic } else { Beside::Axum };
    let bare = Process::start(&Program::Beside(beside));
    let mut connection = Connection::open(bare.address, &trace, 0).await;
    let mut round_trips = Vec::new();
    for _ in 0..times {
        round_trips.push(connection.call().await);
    }
    round_trips.sort_unstable();
    vec![
        ("p50", micros(percentile(&took, 0.5))),
        ("p99", micros(percentile(&took, 0.99))),
        ("bare p50", micros(percentile(&round_trips, 0.5))),
    ]
}
