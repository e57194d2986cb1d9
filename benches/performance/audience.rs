//! Subscribers: they count the events that they are sent, and read nothing else of them.

use std::{
    cell::RefCell,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use agent_debugger::proto::{EventsRequest, Mode};
use memchr::memmem::Finder;
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinSet,
};

use crate::{beside, http1, http2};

/// How a subscriber listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Sse,
    Grpc,
    /// Of the bare sockets, whose frames all have one size.
    Bare,
}

impl Stream {
    pub(crate) const BOTH: [Self; 2] = [Self::Sse, Self::Grpc];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sse => "SSE",
            Self::Grpc => "gRPC",
            Self::Bare => "bare sockets",
        }
    }
}

/// Subscribers of one agent. They leave when this is dropped.
pub(crate) struct Audience {
    count: Arc<Count>,
    _members: JoinSet<()>,
}

/// What all members together received.
#[derive(Default)]
struct Count {
    events: AtomicU64,
    /// The number for which somebody waits.
    wanted: AtomicU64,
    reached: Notify,
}

impl Count {
    fn add(&self, events: u64) {
        let now = self.events.fetch_add(events, Ordering::SeqCst) + events;
        if now >= self.wanted.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
    }
}

impl Audience {
    /// Has `size` observers join an agent; returns once each has been told its position.
    pub(crate) async fn join(address: SocketAddr, agent: &str, size: usize, how: Stream) -> Self {
        Self::ask(address, &request(agent, how), size, how).await
    }

    /// Has `size` debuggers join over SSE that pause nobody.
    pub(crate) async fn debug(address: SocketAddr, agent: &str, size: usize) -> Self {
        let path = format!("/agent/{agent}/debug/events");
        Self::ask(address, &http1::request("GET", &path, b""), size, Stream::Sse).await
    }

    /// Has a debugger join over SSE that leaves the agent running.
    pub(crate) async fn running(address: SocketAddr, agent: &str) -> Self {
        let path = format!("/agent/{agent}/debug/events?pause_on_attach=false");
        Self::ask(address, &http1::request("GET", &path, b""), 1, Stream::Sse).await
    }

    /// Has `size` observers join at once, and waits for none of them.
    pub(crate) async fn flood(address: SocketAddr, agent: &str, size: usize, how: Stream) -> Self {
        let mut streams = Vec::new();
        for _ in 0..size {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            streams.push(stream);
        }
        let (count, mut members, request) = (Arc::new(Count::default()), JoinSet::new(), request(agent, how));
        for mut stream in streams {
            stream.write_all(&request).await.unwrap();
            members.spawn(member(stream, Counter::new(how), count.clone()));
        }
        Self { count, _members: members }
    }

    async fn ask(address: SocketAddr, request: &[u8], size: usize, how: Stream) -> Self {
        let (count, mut members) = (Arc::new(Count::default()), JoinSet::new());
        for _ in 0..size {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            stream.write_all(request).await.unwrap();
            let mut counter = Counter::new(how);
            let (mut buffer, mut events) = (vec![0; 4_096], 0);
            while !counter.joined {
                let read = stream.read(&mut buffer).await.unwrap();
                assert!(read > 0, "a subscriber was refused");
                events += counter.count(&buffer[..read]);
                stream.write_all(&std::mem::take(&mut counter.reply)).await.unwrap();
            }
            count.events.fetch_add(events, Ordering::SeqCst);
            members.spawn(member(stream, counter, count.clone()));
        }
        Self { count, _members: members }
    }

    /// What was received so far, by all together.
    pub(crate) fn received(&self) -> u64 {
        self.count.events.load(Ordering::SeqCst)
    }

    /// Waits until all together received this many.
    pub(crate) async fn until(&self, events: u64) {
        self.count.wanted.store(events, Ordering::SeqCst);
        while self.received() < events {
            self.count.reached.notified().await;
        }
    }
}

/// What a subscriber sends.
fn request(agent: &str, how: Stream) -> Vec<u8> {
    match how {
        Stream::Sse => http1::request("GET", &format!("/agent/{agent}/debug/events?mode=observe"), b""),
        Stream::Grpc => {
            let message =
                EventsRequest { agent_id: agent.to_owned(), mode: Mode::Observe.into(), ..EventsRequest::default() };
            let mut bytes = http2::greeting();
            http2::Calls::of("Events").call(&mut bytes, &message.encode_to_vec());
            bytes
        }
        Stream::Bare => vec![beside::LISTEN],
    }
}

async fn member(mut stream: TcpStream, mut counter: Counter, count: Arc<Count>) {
    // One buffer for all members on a thread: what they read is counted at once and not kept.
    thread_local!(static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 256 * 1024]));
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        let events = BUFFER.with_borrow_mut(|buffer| match stream.try_read(buffer) {
            Ok(0) => None,
            Ok(read) => Some(counter.count(&buffer[..read])),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(0),
            Err(_) => None,
        });
        match events {
            None => return,
            Some(0) => {}
            Some(events) => count.add(events),
        }
        if !counter.reply.is_empty() && stream.write_all(&std::mem::take(&mut counter.reply)).await.is_err() {
            return;
        }
    }
}

/// Replays what an agent has recorded to one subscriber more. Says how many bytes that was.
pub(crate) async fn replay(address: SocketAddr, agent: &str, how: Stream, events: u64) -> u64 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(&request(agent, how)).await.unwrap();
    let (mut counter, mut counted, mut bytes) = (Counter::new(how), 0, 0);
    let mut buffer = vec![0; 256 * 1024];
    while counted < events {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the server ended the replay");
        counted += counter.count(&buffer[..read]);
        bytes += read as u64;
        stream.write_all(&std::mem::take(&mut counter.reply)).await.unwrap();
    }
    bytes
}

/// Finds the events in a stream of bytes.
struct Counter {
    how: Stream,
    /// Whether the first frame came, which is the position.
    joined: bool,
    reply: Vec<u8>,
    id: Finder<'static>,
    /// The end of what was read before: a match may lie across two reads.
    tail: Vec<u8>,
    frames: http2::Frames,
    messages: http2::Messages,
    bytes: usize,
}

/// Each frame of the log has an id, and no other frame does.
const ID: &[u8] = b"\nid: ";
/// The tag of `EventsResponse.event`, a message in field 1.
const EVENT: u8 = 0x0a;

impl Counter {
    fn new(how: Stream) -> Self {
        let (frames, messages) = (http2::Frames::default(), http2::Messages::default());
        let (joined, reply, tail) = (false, Vec::new(), Vec::new());
        Self { how, joined, reply, id: Finder::new(ID), tail, frames, messages, bytes: 0 }
    }

    fn count(&mut self, bytes: &[u8]) -> u64 {
        match self.how {
            Stream::Sse => self.count_ids(bytes),
            Stream::Grpc => self.count_messages(bytes),
            Stream::Bare => {
                let before = self.bytes / beside::FRAME;
                // The first byte says that the socket was taken in.
                self.bytes += bytes.len() - usize::from(!std::mem::replace(&mut self.joined, true));
                (self.bytes / beside::FRAME - before) as u64
            }
        }
    }

    fn count_ids(&mut self, bytes: &[u8]) -> u64 {
        self.joined = self.joined || memchr::memmem::find(bytes, b"\"position\"").is_some();
        let seam = [&self.tail[..], &bytes[..bytes.len().min(ID.len() - 1)]].concat();
        let events = self.id.find_iter(&seam).count() + self.id.find_iter(bytes).count();
        let whole = [&self.tail[..], bytes];
        let keep = ID.len() - 1;
        self.tail = if bytes.len() >= keep {
            bytes[bytes.len() - keep..].to_vec()
        } else {
            let both = whole.concat();
            both[both.len().saturating_sub(keep)..].to_vec()
        };
        events as u64
    }

    fn count_messages(&mut self, bytes: &[u8]) -> u64 {
        let (mut events, mut any, mut said) = (0, false, http2::Said::default());
        let Self { frames, messages, .. } = self;
        frames.read(bytes, &mut said, |data| {
            messages.read(data, |first| {
                any = true;
                events += u64::from(first == EVENT);
            });
        });
        assert!(said.ended.is_empty(), "the server ended a stream");
        self.joined |= any;
        self.reply = said.reply;
        events
    }
}
