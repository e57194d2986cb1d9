//! The front door: what every request passes, in one service.
//!
//! ```text
//!            ┌▶ the guard refuses ────────────────────────────┐
//! request ─▶ rpc? ─▶ guard ─┬▶ the contract, over gRPC ───────┤
//!                           ├▶ a Trace over HTTP ─────────────┼▶ headers, errors ─▶ how long it took
//!                           └▶ every other route and service ─┘
//! ```
//!
//! One service and not a stack of layers, and the two ways in which agents report before the router: a Trace is the
//! call that counts, and each layer, and the router, would cost it more than recording the step does.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Instant,
};

use axum::{
    Router,
    body::{Body as HttpBody, Bytes},
    response::{IntoResponse as _, Response},
};
use http::{Method, Request, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tonic::body::Body;
use tower::Service as _;

use super::{
    guard::{Guard, Refusal},
    headers,
};
use crate::{
    api::{
        grpc::{Grpc, path::is_grpc},
        http::{api, error},
        service::{Caller, Service},
    },
    auth::Scopes,
    proto::server::debugger_service_server::{DebuggerServiceServer, SERVICE_NAME},
    telemetry::{Metrics, Rpc},
};

/// The front door. Clones are one pointer: every request takes one.
#[derive(Clone)]
pub(super) struct Dispatcher(Arc<DispatcherParts>);

/// What it leads to.
pub(super) struct DispatcherParts {
    pub(super) guard: Guard,
    pub(super) metrics: Arc<Metrics>,
    /// The contract, for the gateway.
    pub(super) service: Service,
    /// The contract, over gRPC.
    pub(super) rpcs: DebuggerServiceServer<Grpc>,
    /// The gateway's routes, and every gRPC service but reflection.
    pub(super) rest: Router,
    pub(super) reflection: LazyLock<Router>,
}

impl Dispatcher {
    pub(super) fn new(parts: DispatcherParts) -> Self {
        Self(Arc::new(parts))
    }

    /// A connection was over the limit.
    pub(super) fn refused_connection(&self) {
        self.0.metrics.refused_connections.inc();
    }

    /// Answers a request, whichever way it goes.
    pub(super) async fn answer(
        self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<http::Response<Answer>, Infallible> {
        let front = &*self.0;
        let agent = traced_agent(request.method(), request.uri().path()).map(str::to_owned);
        let rpc = match agent {
            Some(_) => Some(Rpc::TRACE),
            None => rpc(request.method(), request.uri().path()),
        };
        let began = rpc.map(|rpc| (rpc, Instant::now()));
        let admitted = front.guard.admit(&request);
        let scopes = admitted.as_ref().map_or(Scopes::NONE, |admitted| admitted.scopes);
        let caller = Caller { peer: Some(peer), scopes };
        // A page's request has an origin, and hears whether it may read the answer.
        let is_plain = admitted.is_ok() && !request.headers().contains_key(header::ORIGIN);
        let response = match agent.filter(|_| is_plain) {
            // Each way has a future of its own: this one is copied a few times, and should be small.
            Some(agent) => Box::pin(front.record(request, caller, agent)).await,
            None => {
                request.extensions_mut().insert(caller);
                if is_plain && method_name(request.uri().path()).is_some() {
                    front.rpcs.clone().call(request).await?.map(Either::Left)
                } else {
                    let response = Box::pin(front.other(request, admitted.err())).await;
                    response.map(|body| Either::Right(Either::Right(body)))
                }
            }
        };
        if let Some((rpc, began)) = began {
            front.metrics.rpc_took(rpc, began.elapsed());
        }
        Ok(response)
    }
}

/// What an answer consists of: gRPC's; that to a Trace over HTTP; the gateway's.
type Answer = Either<Body, Either<Full<Bytes>, HttpBody>>;

impl DispatcherParts {
    /// A Trace over HTTP.
    async fn record(&self, mut request: Request<Incoming>, caller: Caller, agent: String) -> http::Response<Answer> {
        match api::record(&self.service, caller, agent, request.body_mut()).await {
            Ok(json) => headers::secure_json(json).map(|body| Either::Right(Either::Left(body))),
            Err(failure) => {
                let mut response = failure.into_response();
                headers::secure(&mut response);
                let response = error::render(response, error::accepts_problem(request.headers())).await;
                response.map(|body| Either::Right(Either::Right(body)))
            }
        }
    }

    /// Everything else: what was refused, the gateway, the services beside.
    async fn other(&self, request: Request<Incoming>, refusal: Option<Refusal>) -> Response {
        let grpc = is_grpc(request.headers());
        let origin = request.headers().get(header::ORIGIN).cloned();
        let wants_problem = error::accepts_problem(request.headers());
        let mut response = match refusal {
            _ if self.guard.is_preflight(&request, origin.as_ref()) => headers::preflight_response(),
            None => match self.router(request.uri().path()).clone().call(request).await {
                Ok(response) => response,
            },
            Some(refusal) => refusal.into_response(grpc, request.extensions().get::<Caller>()),
        };
        if !grpc {
            headers::secure(&mut response);
        }
        self.guard.allow_origin(origin.as_ref(), &mut response);
        error::render(response, wants_problem).await
    }

    fn router(&self, path: &str) -> &Router {
        if path.starts_with("/grpc.reflection.") { &self.reflection } else { &self.rest }
    }
}

/// The agent of a Trace over HTTP, where its id stands in the path as it is. Others are for the router to read.
fn traced_agent<'a>(method: &Method, path: &'a str) -> Option<&'a str> {
    let agent = path.strip_prefix("/agent/")?.strip_suffix("/debug/trace")?;
    let is_plain = !agent.is_empty() && !agent.bytes().any(|byte| matches!(byte, b'/' | b'%'));
    (method == Method::POST && is_plain).then_some(agent)
}

/// The method that a path of the contract over gRPC names.
fn method_name(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.strip_prefix(SERVICE_NAME)?.strip_prefix('/')
}

/// The rpc that a path means, over either transport.
fn rpc(method: &Method, path: &str) -> Option<Rpc> {
    if let Some(name) = method_name(path) {
        return Rpc::named(name);
    }
    if path == "/agents" {
        return Rpc::named("ListAgents");
    }
    let (agent, verb) = path.strip_prefix("/agent/")?.split_once("/debug/")?;
    match (agent.contains('/'), verb, method) {
        (false, "trace", &Method::GET) => Rpc::named("ListEvents"),
        (false, "breakpoints", &Method::GET) => Rpc::named("ListBreakpoints"),
        (false, "breakpoints", _) => Rpc::named("CreateBreakpoint"),
        (false, "breakpoints/test", _) => Rpc::named("TestBreakpoint"),
        (false, verb, &Method::PATCH) if verb.starts_with("breakpoints/") => Rpc::named("UpdateBreakpoint"),
        (false, verb, &Method::DELETE) if verb.starts_with("breakpoints/") => Rpc::named("DeleteBreakpoint"),
        (false, verb, _) => Rpc::named_like(verb),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trace_whose_agent_stands_in_the_path_as_it_is_goes_past_the_router() {
        for (method, path, agent) in [
            (Method::POST, "/agent/planner/debug/trace", Some("planner")),
            (Method::POST, "/agent/a.b-c~/debug/trace", Some("a.b-c~")),
            (Method::GET, "/agent/planner/debug/trace", None),
            (Method::POST, "/agent/a%20b/debug/trace", None),
            (Method::POST, "/agent/a/b/debug/trace", None),
            (Method::POST, "/agent//debug/trace", None),
            (Method::POST, "/agent/debug/trace", None),
            (Method::POST, "/agent/planner/debug/trace/", None),
            (Method::POST, "/agent/planner/debug/step", None),
        ] {
            assert_eq!(traced_agent(&method, path), agent, "{method} {path}");
        }
    }

    #[test]
    fn both_transports_name_the_same_rpcs() {
        for (method, path, name) in [
            (Method::POST, "/agent_debugger.v1.DebuggerService/Trace", Some("Trace")),
            (Method::POST, "/agent/a/debug/trace", Some("Trace")),
            (Method::GET, "/agent/a/debug/trace", Some("ListEvents")),
            (Method::GET, "/agents", Some("ListAgents")),
            (Method::PATCH, "/agent/a/debug/breakpoints/b1", Some("UpdateBreakpoint")),
            (Method::POST, "/agent/a/debug/fork", Some("Fork")),
            (Method::GET, "/agent/a/debug/export", Some("Export")),
            (Method::POST, "/agent/a/debug/breakpoints/test", Some("TestBreakpoint")),
            (Method::POST, "/agent_debugger.v1.DebuggerService/Nonsense", None),
            (Method::POST, "/agent/a/debug/nonsense", None),
            (Method::GET, "/healthz", None),
        ] {
            assert_eq!(rpc(&method, path), name.and_then(Rpc::named), "{method} {path}");
        }
    }
}
