//! One agent, many subscribers.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Figures, Plan};
use crate::{
    audience::{Audience, Stream},
    beside,
    load::{self, Calls, Connection, Until, Width},
    payload::{self, Form},
    process::{Beside, Process, Program},
    stats::micros,
};

pub(crate) const SIZES: [usize; 4] = [1, 10, 100, 1_000];

fn one() -> [String; 1] {
    ["agent".to_owned()]
}

/// Each event reaches all subscribers before the next one is recorded.
pub(crate) async fn lock_step(plan: &Plan, how: Stream, size: usize) -> Figures {
    let bare = how == Stream::Bare;
    let process = Process::start(&if bare { Program::Beside(Beside::Sockets) } else { plan.server.clone() });
    let audience = Audience::join(process.address, "agent", size, how).await;
    let mut publisher = Publisher::open(&process, bare).await;
    // The first events find the sockets cold.
    for warm in 1..=5 {
        publisher.publish().await;
        audience.until(warm * size as u64).await;
    }
    let (before, began, mut events) = (process.cpu(), Instant::now(), 0);
    while began.elapsed() < Duration::from_millis(plan.sample_ms) {
        publisher.publish().await;
        events += 1;
        audience.until((events + 5) * size as u64).await;
    }
    let delivered = (events * size as u64) as f64;
    vec![("rate", delivered / began.elapsed().as_secs_f64()), ("cpu", micros(process.cpu() - before) / delivered)]
}

enum Publisher {
    Ours(Box<Connection>),
    Bare(TcpStream),
}

impl Publisher {
    async fn open(process: &Process, bare: bool) -> Self {
        if !bare {
            let calls = Calls::http_traces(&one(), &payload::data(300));
            return Self::Ours(Box::new(Connection::open(process.address, &calls, 0).await));
        }
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&[beside::SEND]).await.unwrap();
        Self::Bare(stream)
    }

    async fn publish(&mut self) {
        match self {
            Self::Ours(connection) => drop(connection.call().await),
            Self::Bare(stream) => {
                stream.write_all(b".").await.unwrap();
                stream.read_exact(&mut [0]).await.unwrap();
            }
        }
    }
}

/// All subscribers come at once and have everything to catch up on: fan-out alone, without the cost of recording.
pub(crate) async fn burst(plan: &Plan, how: Stream, size: usize) -> Figures {
    let events = (1_000_000 / size).min(10_000);
    let process = Process::start(&plan.server);
    let calls = Calls::grpc_traces(&one(), &payload::data(300), Form::Json);
    load::run(process.address, &calls, Width::full(&calls), Until::Count(events)).await;
    let (before, began) = (process.cpu(), Instant::now());
    let audience = Audience::flood(process.address, "agent", size, how).await;
    audience.until((events * size) as u64).await;
    let delivered = (events * size) as f64;
    vec![("rate", delivered / began.elapsed().as_secs_f64()), ("cpu", micros(process.cpu() - before) / delivered)]
}

/// Subscribers watch while agents report as fast as they can.
pub(crate) async fn live(plan: &Plan, how: Stream, size: usize) -> Figures {
    let events = 10_000;
    let process = Process::start(&plan.server);
    let audience = Audience::join(process.address, "agent", size, how).await;
    let calls = Calls::grpc_traces(&one(), &payload::data(300), Form::Json);
    let began = Instant::now();
    load::run(process.address, &calls, Width::full(&calls), Until::Count(events)).await;
    audience.until((events * size) as u64).await;
    vec![("rate", (events * size) as f64 / began.elapsed().as_secs_f64())]
}
