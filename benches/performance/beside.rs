//! The servers that ours is compared with: bare tonic, bare axum, bare sockets. Each does what the protocol and the
//! payload ask for, and nothing of a debugger.

use std::{
    convert::Infallible,
    io::{Read, Write},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{Json, body::Bytes, http::StatusCode, routing::post, serve::ListenerExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, body::Body, server::NamedService};

use crate::process::Beside;

/// Serves until the process is ended. Says where, as ours does.
pub(crate) fn serve(beside: Beside) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match beside {
        Beside::Tonic => runtime.block_on(tonic()),
        Beside::Axum => runtime.block_on(axum()),
        Beside::Sockets => sockets(),
    }
}

async fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    listener
}

/// Resolves when the process is asked to end, so that a profiler hears of it.
async fn ended() {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    terminate.recv().await;
}

/// What bare tonic reads of the contract's TraceRequest: the same bytes on the wire, with the fields that are there.
#[derive(Clone, PartialEq, prost::Message)]
struct Traced {
    #[prost(string, tag = "1")]
    agent_id: String,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, optional, tag = "4")]
    data: Option<prost_types::Struct>,
    #[prost(string, tag = "5")]
    data_json: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Answered {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(uint64, tag = "2")]
    total: u64,
}

#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "agent_debugger.v1.DebuggerService";
}

impl tonic::server::UnaryService<Traced> for Echo {
    type Response = Answered;
    type Future = std::future::Ready<Result<Response<Answered>, Status>>;

    fn call(&mut self, request: Request<Traced>) -> Self::Future {
        let message = request.into_inner();
        let checks = message.data.is_some() || serde_json::from_str::<&RawValue>(&message.data_json).is_ok();
        let answer = Answered { seq: message.agent_id.len() as u64, total: message.kind as u64 };
        std::future::ready(if checks {
            Ok(Response::new(answer))
        } else {
            Err(Status::invalid_argument("data_json is not valid JSON"))
        })
    }
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let codec = tonic_prost::ProstCodec::<Answered, Traced>::default();
            Ok(tonic::server::Grpc::new(codec).unary(Echo, request).await)
        })
    }
}

async fn tonic() {
    let incoming = tonic::transport::server::TcpIncoming::from(listen().await).with_nodelay(Some(true));
    let server = tonic::transport::Server::builder().add_service(Echo);
    server.serve_with_incoming_shutdown(incoming, ended()).await.unwrap();
}

/// The body of a Trace, its data checked and kept as it is.
#[derive(Deserialize)]
struct Body1<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Serialize)]
struct Recorded {
    status: &'static str,
    total: usize,
}

async fn axum() {
    let echo = |body: Bytes| async move {
        match serde_json::from_slice::<Body1<'_>>(&body) {
            Ok(body) => Ok(Json(Recorded { status: "recorded", total: body.r#type.len() + body.data.get().len() })),
            Err(_) => Err(StatusCode::BAD_REQUEST),
        }
    };
    let router = axum::Router::new().route("/agent/{agent_id}/debug/trace", post(echo));
    let listener = listen().await.tap_io(|io| drop(io.set_nodelay(true)));
    axum::serve(listener, router).with_graceful_shutdown(ended()).await.unwrap();
}

/// What a connection to the bare sockets asks for.
pub(crate) const LISTEN: u8 = b'l';
pub(crate) const SEND: u8 = b's';
pub(crate) const REPLAY: u8 = b'r';
/// The size of one frame that bare sockets send: that of an event with a payload of 300 bytes.
pub(crate) const FRAME: usize = 640;

/// Bare sockets, one thread per connection. The first byte says which: one that listens; one that has a frame
/// written to each of those, and is answered, for every byte; one that is sent as many bytes as it says.
fn sockets() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    let listening = Arc::new(Mutex::new(Vec::new()));
    for stream in listener.incoming() {
        let (mut stream, listening) = (stream.unwrap(), listening.clone());
        stream.set_nodelay(true).unwrap();
        std::thread::spawn(move || -> std::io::Result<()> {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            match byte[0] {
                LISTEN => {
                    stream.write_all(&byte)?;
                    listening.lock().unwrap().push(stream);
                }
                SEND => loop {
                    stream.read_exact(&mut byte)?;
                    listening.lock().unwrap().retain_mut(|to| to.write_all(&[b'.'; FRAME]).is_ok());
                    stream.write_all(&byte)?;
                },
                _ => {
                    let mut length = [0; 8];
                    stream.read_exact(&mut length)?;
                    let (mut left, block) = (u64::from_le_bytes(length) as usize, vec![b'.'; 64 * 1024]);
                    while left > 0 {
                        let now = left.min(block.len());
                        stream.write_all(&block[..now])?;
                        left -= now;
                    }
                }
            }
            Ok(())
        });
    }
}
