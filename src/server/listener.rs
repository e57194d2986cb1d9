//! Connections: accepted within a limit, proven alive, and handed over once they have said something.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{either::Either, sync::CancellationToken};
use tonic::transport::server::Connected;

use crate::{config::Scopes, grpc::Caller, telemetry::Metrics};

/// A connection that has not said which protocol it speaks by then is closed; a TLS handshake may take as long again.
const FIRST_BYTES_LIMIT: Duration = Duration::from_secs(10);
/// A peer that acknowledges nothing for this long is gone.
const PEER_LIMIT: Duration = Duration::from_secs(30);
/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long to wait when the system has no file descriptor to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Io = Either<TcpStream, TlsStream<TcpStream>>;

/// One connection, plain or TLS. It holds its place in the limit for as long as it lives.
pub(crate) struct Connection {
    io: Io,
    /// What was read to find out which protocol is spoken; it is read once more by whoever speaks it.
    first: Bytes,
    peer: SocketAddr,
    _place: OwnedSemaphorePermit,
}

/// The connections that are ready to be served.
pub(super) fn connections(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limit: usize,
    metrics: Arc<Metrics>,
    drain: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    let (ready, stream) = mpsc::channel(16);
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        while let Some(accepted) = drain.run_until_cancelled(listener.accept()).await {
            let (io, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Refused at once, not left waiting: whoever is over the limit should know.
            let Ok(place) = places.clone().try_acquire_owned() else {
                metrics.refused_connections.inc();
                continue;
            };
            let (ready, tls) = (ready.clone(), tls.clone());
            tokio::spawn(async move {
                match greet(io, tls).await {
                    // The server may have stopped taking connections meanwhile.
                    Ok((io, first)) => {
                        let connection = Connection { io, first, peer, _place: place };
                        drop(ready.send(Ok(connection)).await);
                    }
                    Err(error) => tracing::debug!(%error, "a connection came to nothing"),
                }
            });
        }
    });
    ReceiverStream::new(stream)
}

/// Sets the socket up, shakes hands, and reads until it is clear which protocol is spoken: from there on that
/// protocol's own timers hold.
async fn greet(io: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<(Io, Bytes)> {
    io.set_nodelay(true)?;
    prove_alive(&io)?;
    let mut io = match tls {
        None => Either::Left(io),
        Some(tls) => Either::Right(timeout(FIRST_BYTES_LIMIT, tls.accept(io)).await??),
    };
    let first = timeout(FIRST_BYTES_LIMIT, first_bytes(&mut io)).await??;
    Ok((io, first))
}

/// Reads the HTTP/2 preface, or up to where it is none.
async fn first_bytes(io: &mut Io) -> io::Result<Bytes> {
    let mut first = Vec::with_capacity(HTTP2_PREFACE.len());
    while first.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&first) {
        let mut rest = [0; HTTP2_PREFACE.len()];
        let read = io.read(&mut rest[first.len()..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = first.len() + read;
        first.extend_from_slice(&rest[end - read..end]);
    }
    Ok(first.into())
}

/// Has the system find out about peers that vanished, whatever protocol they spoke.
fn prove_alive(io: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(io);
    let keepalive = TcpKeepalive::new().with_time(PEER_LIMIT / 2).with_interval(PEER_LIMIT / 6);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(PEER_LIMIT))?;
    Ok(())
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    /// Each request is given this. What its caller may do, the guard finds out.
    fn connect_info(&self) -> Caller {
        Caller { peer: Some(self.peer), scopes: Scopes::NONE }
    }
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
