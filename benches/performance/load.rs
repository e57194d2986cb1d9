//! Load in a closed loop: a fixed number of calls is under way at any time, and the next one begins when one ends.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{http1, http2, payload};

/// What is asked for, again and again, in turn.
#[derive(Clone, Debug)]
pub(crate) enum Calls {
    /// Whole requests.
    Http(Arc<Vec<Vec<u8>>>),
    /// Messages of one method.
    Grpc(&'static str, Arc<Vec<Vec<u8>>>),
}

impl Calls {
    /// Traces of these agents over HTTP.
    pub(crate) fn http_traces(agents: &[String], data: &str) -> Self {
        let request = |agent| http1::request("POST", &format!("/agent/{agent}/debug/trace"), &payload::http(data));
        Self::Http(Arc::new(agents.iter().map(request).collect()))
    }

    /// Traces of these agents over gRPC.
    pub(crate) fn grpc_traces(agents: &[String], data: &str, form: payload::Form) -> Self {
        Self::Grpc("Trace", Arc::new(agents.iter().map(|agent| payload::grpc(agent, data, form)).collect()))
    }

    /// A POST without a body.
    pub(crate) fn post(path: &str) -> Self {
        Self::Http(Arc::new(vec![http1::request("POST", path, b"")]))
    }
}

/// How many at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Width {
    pub(crate) connections: usize,
    /// Per connection; more than one needs HTTP/2.
    pub(crate) in_flight: usize,
}

impl Width {
    pub(crate) const ONE: Self = Self { connections: 1, in_flight: 1 };

    /// As many as keep both cores busy, in the way of each protocol.
    pub(crate) fn full(calls: &Calls) -> Self {
        match calls {
            Calls::Http(_) => Self { connections: 32, in_flight: 1 },
            Calls::Grpc(..) => Self { connections: 8, in_flight: 8 },
        }
    }
}

/// When it is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Time(Duration),
    Count(usize),
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) calls: usize,
    pub(crate) took: Duration,
    /// Of each call, ascending.
    pub(crate) latencies: Vec<Duration>,
}

/// Whether one more call may begin: as many as were asked for, or as time allows.
struct Supply {
    left: AtomicUsize,
    end: Option<Instant>,
}

impl Supply {
    fn take(&self, now: Instant) -> bool {
        match self.end {
            Some(end) => now < end,
            None => self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok(),
        }
    }
}

/// Runs calls against a server.
pub(crate) async fn run(address: SocketAddr, calls: &Calls, width: Width, until: Until) -> Done {
    let mut connections = Vec::new();
    for index in 0..width.connections {
        connections.push(Connection::open(address, calls, index).await);
    }
    let began = Instant::now();
    let supply = Arc::new(match until {
        Until::Time(time) => Supply { left: AtomicUsize::new(0), end: Some(began + time) },
        Until::Count(count) => Supply { left: AtomicUsize::new(count), end: None },
    });
    let mut running = JoinSet::new();
    for connection in connections {
        running.spawn(connection.run(width.in_flight, supply.clone()));
    }
    let mut latencies = running.join_all().await.concat();
    let took = began.elapsed();
    latencies.sort_unstable();
    Done { calls: latencies.len(), took, latencies }
}

/// One connection, which may be used for several runs.
pub(crate) struct Connection {
    stream: TcpStream,
    speaks: Speaks,
    /// What is to be written.
    out: Vec<u8>,
    /// Which of the calls comes next.
    turn: usize,
}

enum Speaks {
    Http(Arc<Vec<Vec<u8>>>, http1::Answers),
    /// With the difference of the bytes of data received and of calls that ended: a call that fails ends without data.
    Grpc(Arc<Vec<Vec<u8>>>, Box<http2::Calls>, http2::Frames, isize),
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, calls: &Calls, index: usize) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (speaks, out) = match calls {
            Calls::Http(requests) => (Speaks::Http(requests.clone(), http1::Answers::default()), Vec::new()),
            Calls::Grpc(method, messages) => {
                let speaks =
                    Speaks::Grpc(messages.clone(), Box::new(http2::Calls::of(method)), http2::Frames::default(), 0);
                (speaks, http2::greeting())
            }
        };
        // Connections begin at different places, so that they do not all ask the same at the same time.
        Self { stream, speaks, out, turn: index * 7_919 }
    }

    /// Makes one call more ready to be written.
    pub(crate) fn begin(&mut self) {
        let Self { speaks, out, turn, .. } = self;
        match speaks {
            Speaks::Http(requests, _) => out.extend_from_slice(&requests[*turn % requests.len()]),
            Speaks::Grpc(messages, calls, ..) => calls.call(out, &messages[*turn % messages.len()]),
        }
        *turn += 1;
    }

    /// Writes what is to be written.
    pub(crate) async fn send(&mut self) {
        self.stream.write_all(&self.out).await.unwrap();
        self.out.clear();
    }

    /// Writes what is to be written, then reads once. Says how many calls ended.
    async fn exchange(&mut self, buffer: &mut [u8]) -> usize {
        self.send().await;
        let read = self.stream.read(buffer).await.unwrap();
        assert!(read > 0, "the server closed the connection");
        match &mut self.speaks {
            Speaks::Http(_, answers) => answers.read(&buffer[..read]),
            Speaks::Grpc(_, _, frames, answered) => {
                let mut said = http2::Said::default();
                frames.read(&buffer[..read], &mut said, |data| *answered += data.len() as isize);
                *answered -= said.ended.len() as isize;
                assert!(*answered >= 0, "a call failed");
                self.out.append(&mut said.reply);
                said.ended.len()
            }
        }
    }

    async fn run(mut self, in_flight: usize, supply: Arc<Supply>) -> Vec<Duration> {
        let (mut buffer, mut latencies) = (vec![0; 64 * 1024], Vec::new());
        // Calls on one connection end in about the order in which they began.
        let mut under_way = VecDeque::new();
        loop {
            let now = Instant::now();
            while under_way.len() < in_flight && supply.take(now) {
                self.begin();
                under_way.push_back(now);
            }
            if under_way.is_empty() {
                return latencies;
            }
            let ended = self.exchange(&mut buffer).await;
            let now = Instant::now();
            latencies.extend(under_way.drain(..ended).map(|began| now - began));
        }
    }

    /// One call, and how long it took.
    pub(crate) async fn call(&mut self) -> Duration {
        let began = Instant::now();
        self.begin();
        self.answered().await;
        began.elapsed()
    }

    /// Waits until a call that is under way ends.
    pub(crate) async fn answered(&mut self) {
        let mut buffer = [0; 4_096];
        while self.exchange(&mut buffer).await == 0 {}
    }
}
