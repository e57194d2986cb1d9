//! One connection: HTTP/1.1 or HTTP/2, as its first bytes said, with the timers of either.
//!
//! hyper and not the server that tonic brings: that one wraps each request in the layers of every option that it has,
//! which costs more than recording a step does, and ends calls over HTTP in gRPC's words.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::Watcher,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::dispatch::Dispatcher;

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
pub(super) const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The head of an HTTP/1.1 request has to come within this, counted from the answer before it.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Calls at a time on one HTTP/2 connection. A client must not hold as many and step on the same one.
const MAX_CONCURRENT_STREAMS: u32 = 1_024;
/// HTTP/2 peers that do not answer a ping within these are gone, and so are their holds.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Plain or TLS.
pub(super) type Io = Either<TcpStream, TlsStream<TcpStream>>;

/// Serves a connection to its end: to that of its last request, once the drain has begun.
pub(super) async fn serve(io: Io, first: Bytes, peer: SocketAddr, front: Dispatcher, drain: Watcher) {
    let is_http2 = first == HTTP2_PREFACE[..];
    let io = TokioIo::new(Connection { io, first });
    let service = service_fn(move |request| front.clone().answer(request, peer));
    let ended = if is_http2 {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        drain.watch(http.serve_connection(io, service)).await
    } else {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
        drain.watch(http.serve_connection(io, service)).await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// A connection of which the first bytes were read to find out which protocol is spoken: the protocol reads them
/// once more.
struct Connection {
    io: Io,
    first: Bytes,
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
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
