//! The listener: connections are accepted within a limit, proven alive, and served once they have said something.

use std::{io, time::Duration};

use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};

use super::{
    connection::{self, HTTP2_PREFACE, Io},
    dispatch::Dispatcher,
    places::Places,
};

/// A connection that has not said which protocol it speaks by then is closed; a TLS handshake may take as long again.
const FIRST_BYTES_LIMIT: Duration = Duration::from_secs(10);
/// A peer that acknowledges nothing for this long is gone.
const PEER_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait when the system has no file descriptor to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the drain begins, and serves until the last connection is closed.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limit: usize,
    front: Dispatcher,
    drain: CancellationToken,
) {
    let places = Places::new(limit);
    let connections = TaskTracker::new();
    while let Some(accepted) = drain.run_until_cancelled(listener.accept()).await {
        let (io, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Refused at once, not left waiting: a client over the limit should know.
        let Some(place) = places.take(peer.ip()) else {
            front.refused_connection();
            continue;
        };
        let (tls, front, drain) = (tls.clone(), front.clone(), drain.clone());
        connections.spawn(async move {
            match drain.run_until_cancelled(place.close.run_until_cancelled(greet(io, tls))).await.flatten() {
                // It keeps its place for as long as it lives. Boxed: a task is moved a few times before it runs.
                Some(Ok((io, first))) => Box::pin(connection::serve(io, first, peer, front, place, drain)).await,
                Some(Err(error)) => tracing::debug!(%error, "a connection came to nothing"),
                None => {}
            }
        });
    }
    // A client that comes now is refused at once.
    drop(listener);
    connections.close();
    connections.wait().await;
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
