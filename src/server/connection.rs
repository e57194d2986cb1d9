//! One connection: HTTP/1.1 or HTTP/2, as its first bytes said, with the timers of either.
//!
//! hyper and not the server that tonic brings: that one wraps each request in the layers of every option that it has,
//! which costs more than recording a step does, and ends calls over HTTP in gRPC's words.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};
use tokio_rustls::server::TlsStream;
use tokio_util::{either::Either, sync::CancellationToken, task::AbortOnDropHandle};

use super::{budget::Ledger, dispatch::Dispatcher, places::Place};

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
pub(super) const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The head of an HTTP/1.1 request has to come within this, counted from the answer before it.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// The buffer of an HTTP/1.1 connection, and so the longest head of a request.
const BUFFER_BYTES: usize = 128 * 1024;
/// Calls at a time on one HTTP/2 connection. A client must not hold as many and step on the same one.
const MAX_CONCURRENT_STREAMS: u32 = 1_024;
/// What a peer may send over HTTP/2 before it is read: on one stream, and on all of a connection.
const WINDOW_BYTES: u32 = 256 * 1024;
/// HTTP/2 peers that do not answer a ping within these are gone, and so are their holds.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection is closed that has made no authorised request by then, unless one is on its way.
const PROOF_LIMIT: Duration = Duration::from_secs(10);
/// And then at the latest.
const LAST_PROOF_LIMIT: Duration = Duration::from_secs(40);
/// A connection is closed that has had nothing on its way for so long.
const IDLE_LIMIT: Duration = Duration::from_secs(5 * 60);
/// How often that is looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How long a peer that is asked to end a connection may take.
const FAREWELL_LIMIT: Duration = Duration::from_secs(10);
/// A write that makes no progress for so long ends its connection.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// How long what a peer still sends is thrown away after the last response: a reset would take that from it.
const LINGER_LIMIT: Duration = Duration::from_secs(5);

/// Plain or TLS.
pub(super) type Io = Either<TcpStream, TlsStream<TcpStream>>;

/// Serves a connection to its end: to that of its last request, once the drain has begun.
pub(super) async fn serve(
    io: Io,
    first: Bytes,
    peer: SocketAddr,
    front: Dispatcher,
    place: Place,
    drain: CancellationToken,
) {
    let is_http2 = first == HTTP2_PREFACE[..];
    let ledger = place.ledger.clone();
    let io = TokioIo::new(Connection { io, first, stalled: None, lingers: None, ledger: ledger.clone() });
    let service = service_fn(move |request| front.clone().answer(request, peer, ledger.clone()));
    let ended = if is_http2 {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        drive(http.serve_connection(io, service), &place, &drain).await
    } else {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(BUFFER_BYTES);
        drive(http.serve_connection(io, service), &place, &drain).await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Drives a connection to its end, and asks it to end where the service drains or the connection is of no use.
async fn drive<C: GracefulConnection>(connection: C, place: &Place, drain: &CancellationToken) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    // A task of its own watches: what is polled beside the connection is polled for every request.
    let (told, mut end) = oneshot::channel();
    let watch = watch(place.close.clone(), place.ledger.clone(), place.since, drain.clone());
    let _watch = AbortOnDropHandle::new(tokio::spawn(async move { told.send(watch.await) }));
    let end = tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        end = &mut end => end.unwrap_or(End::AtOnce),
    };
    match end {
        End::AtOnce => Ok(()),
        End::Told => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(FAREWELL_LIMIT, connection).await.unwrap_or(Ok(()))
        }
        End::Drained => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// How a connection ends, other than by its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its peer can be told, and may have sent a request meanwhile.
    Told,
    AtOnce,
    /// With its last request.
    Drained,
}

/// Returns when the service drains, or a connection is of no use: it proves nothing, or has long been idle, or takes
/// nothing of what it asked for.
async fn watch(close: CancellationToken, ledger: Arc<Ledger>, since: Instant, drain: CancellationToken) -> End {
    let mut requests = ledger.requests();
    let mut idle_since = Instant::now();
    loop {
        tokio::select! {
            () = drain.cancelled() => return End::Drained,
            () = close.cancelled() => return End::AtOnce,
            () = sleep(WATCH_INTERVAL) => {}
        }
        let now = Instant::now();
        let is_in_use = ledger.is_in_use();
        if is_in_use || ledger.requests() != requests {
            (requests, idle_since) = (ledger.requests(), now);
        }
        if ledger.is_stalled(now) {
            return End::AtOnce;
        }
        let age = now - since;
        if !ledger.is_authorised() && (age >= LAST_PROOF_LIMIT || (age >= PROOF_LIMIT && !is_in_use)) {
            return if is_in_use { End::AtOnce } else { End::Told };
        }
        if now - idle_since >= IDLE_LIMIT {
            return End::Told;
        }
    }
}

/// A connection of which the first bytes were read to find out which protocol is spoken: the protocol reads them
/// once more.
struct Connection {
    io: Io,
    first: Bytes,
    /// Set while a write waits for the peer.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Set once the last response is sent, to a peer that is still sending.
    lingers: Option<Pin<Box<Sleep>>>,
    ledger: Arc<Ledger>,
}

impl Connection {
    /// Passes on what became of a write, unless it has made no progress for too long.
    fn written<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        if is_over(&mut self.stalled, WRITE_LIMIT, cx) {
            Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
        } else {
            Poll::Pending
        }
    }

    /// Throws away what the peer still sends.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 8 * 1024];
        loop {
            let mut read = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.io).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
            if is_over(&mut self.lingers, LINGER_LIMIT, cx) {
                return Poll::Ready(());
            }
        }
        if is_over(&mut self.lingers, LINGER_LIMIT, cx) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Whether a timer is over, which is set at the first time that it is asked for.
fn is_over(timer: &mut Option<Pin<Box<Sleep>>>, limit: Duration, cx: &mut Context<'_>) -> bool {
    timer.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx).is_ready()
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let length = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first.split_to(length));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.written(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.io).poll_flush(cx);
        self.written(written, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
        if shut.is_ok() && self.ledger.is_cut_short() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(shut)
    }
}
