//! What a subscriber that comes late is sent, beside a bare write of as many bytes.

use std::time::Instant;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Figures, Plan};
use crate::{
    audience::{self, Stream},
    beside,
    load::{self, Calls, Until, Width},
    payload::{self, Form},
    process::{Beside, Process, Program},
    stats::median,
};

pub(crate) const EVENTS: usize = 10_000;

/// Milliseconds to replay everything, over one transport and over a bare socket.
pub(crate) async fn sample(plan: &Plan, how: Stream) -> Figures {
    let (process, bare) = (Process::start(&plan.server), Process::start(&Program::Beside(Beside::Sockets)));
    let calls = Calls::grpc_traces(&["agent".to_owned()], &payload::data(300), Form::Json);
    load::run(process.address, &calls, Width::full(&calls), Until::Count(EVENTS)).await;
    let (mut ours, mut theirs, mut bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..7 {
        let began = Instant::now();
        bytes = audience::replay(process.address, "agent", how, EVENTS as u64).await;
        ours.push(began.elapsed().as_secs_f64() * 1e3);
        let began = Instant::now();
        read_bare(&bare, bytes).await;
        theirs.push(began.elapsed().as_secs_f64() * 1e3);
    }
    vec![("ms", median(ours)), ("bare ms", median(theirs)), ("bytes per event", bytes as f64 / EVENTS as f64)]
}

async fn read_bare(bare: &Process, bytes: u64) {
    let mut stream = TcpStream::connect(bare.address).await.unwrap();
    stream.write_all(&[&[beside::REPLAY][..], &bytes.to_le_bytes()].concat()).await.unwrap();
    let (mut buffer, mut left) = (vec![0; 256 * 1024], bytes);
    while left > 0 {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the bytes ended early");
        left -= read as u64;
    }
}
