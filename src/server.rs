//! One listener for everything: gRPC, HTTP, SSE and the page, behind one front door, with a bounded drain.
//!
//! ```text
//! listener ─▶ front: guard, errors, figures ─▶ the contract | gateway routes, other gRPC services
//! ```
//!
//! Tasks: one per connection, and one per call on HTTP/2, which hyper spawns. Accepting ends with the drain.

mod auth;
mod body;
mod budget;
mod connection;
mod dispatch;
mod guard;
mod headers;
mod listener;
mod places;
mod tls;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{codec::CompressionEncoding, service::Routes};
use tonic_health::ServingStatus;

use crate::{
    api::{
        grpc::Grpc,
        http::{self, Gateway, ops::Operations},
        service::Service,
    },
    config::Config,
    debugger::Debugger,
    proto::{
        FILE_DESCRIPTOR_SET,
        server::debugger_service_server::{DebuggerServiceServer, SERVICE_NAME},
    },
    telemetry::Metrics,
};
use dispatch::{Dispatcher, DispatcherParts};
use guard::Guard;

/// How long a drain may take. What has not ended by then is dropped.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// The largest gRPC message taken, in bytes.
const MAX_MESSAGE_BYTES: usize = http::MAX_BODY_BYTES;

/// Why the service does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, io::Error),
    /// The certificates cannot be used.
    #[error("{0}")]
    Tls(String),
    /// Signals cannot be listened for.
    #[error("cannot listen for signals: {0}")]
    Signal(io::Error),
}

/// A service that has its port.
pub struct Server {
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<tokio_rustls::TlsAcceptor>,
}

impl Server {
    /// Takes the port and reads the certificates.
    pub async fn bind(config: Config) -> Result<Self, ServerError> {
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let failed = |error| ServerError::Bind(config.listen, error);
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { config, listener, address, tls })
    }

    /// The address that it listens on, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where people find it.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `shutdown`, then drains: health says so, held Traces are answered `SHUTDOWN`, streams end, and
    /// after [`DRAIN_LIMIT`] at the latest it returns.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServerError> {
        let metrics = Arc::new(Metrics::new());
        let debugger = Debugger::new(self.config.limits.clone(), metrics.clone());
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status(SERVICE_NAME, ServingStatus::Serving).await;

        let service = Service::new(debugger.clone(), self.config.is_strict);
        let operations = Operations { debugger: debugger.clone(), metrics: metrics.clone() };
        let rpcs = DebuggerServiceServer::new(Grpc::new(service.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd);
        let rest = Routes::from(http::router(Gateway { service: service.clone(), operations }))
            .add_service(rpcs.clone())
            .add_service(health_service)
            .into_axum_router();
        let guard = Guard::new(&self.config);
        let front = Dispatcher::new(DispatcherParts {
            guard,
            metrics,
            service,
            rpcs,
            rest,
            reflection: LazyLock::new(reflection),
        });

        let drain = CancellationToken::new();
        let limit = self.config.limits.max_connections;
        let mut serving = std::pin::pin!(listener::serve(self.listener, self.tls, limit, front, drain.clone()));
        tokio::select! {
            // Only the drain ends it.
            () = &mut serving => {}
            () = shutdown => {}
        }
        tracing::info!("draining");
        health.set_service_status("", ServingStatus::NotServing).await;
        health.set_service_status(SERVICE_NAME, ServingStatus::NotServing).await;
        debugger.shut_down();
        drain.cancel();
        if tokio::time::timeout(DRAIN_LIMIT, serving).await.is_err() {
            tracing::warn!("connections were still open when the time to drain was over");
        }
        Ok(())
    }
}

/// What grpcurl and its like ask, in both versions. Made when somebody asks for the first time: decoded, the
/// descriptors take over a megabyte, and most servers are never asked.
fn reflection() -> Router {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The details of errors, so that grpcurl can read them.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let services = builder().build_v1().and_then(|v1| Ok((v1, builder().build_v1alpha()?)));
    match services {
        Ok((v1, v1alpha)) => Routes::new(v1).add_service(v1alpha).into_axum_router(),
        // Only where this program itself is damaged: it serves on, and says UNIMPLEMENTED here.
        Err(error) => {
            tracing::error!(%error, "there is no reflection: the compiled descriptors are damaged");
            Routes::default().into_axum_router()
        }
    }
}
