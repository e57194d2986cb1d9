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
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use axum::{Router, body::Body as HttpBody, response::Response};
use http::{Method, Request, header};
use http_body_util::Either;
use tonic::body::Body;
use tower::Service as _;

use super::guard::{self, Guard, is_grpc};
use crate::{
    gateway::{api, error},
    grpc::{Caller, Service},
    proto::server::debugger_service_server::{DebuggerServiceServer, SERVICE_NAME},
    telemetry::{Metrics, Rpc},
};

/// The front door. Clones are one pointer: every request takes one.
#[derive(Clone)]
pub(super) struct Front(Arc<Parts>);

/// What it leads to.
pub(super) struct Parts {
    pub(super) guard: Guard,
    pub(super) metrics: Arc<Metrics>,
    /// The contract, for the gateway.
    pub(super) service: Service,
    /// The contract, over gRPC.
    pub(super) rpcs: DebuggerServiceServer<Service>,
    /// The gateway's routes, and every gRPC service.
    pub(super) rest: Router,
}

impl Front {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

type Answer<B> = Pin<Box<dyn Future<Output = Result<http::Response<B>, Infallible>> + Send>>;

/// An answer on its way.
pub(super) struct Answering {
    answer: Way,
    /// What is measured, and since when.
    rpc: Option<(Rpc, Instant)>,
    front: Arc<Parts>,
}

/// The two kinds of body that an answer may have.
enum Way {
    Grpc(Answer<Body>),
    Http(Answer<HttpBody>),
}

impl tower::Service<Request<Body>> for Front {
    type Response = http::Response<Either<Body, HttpBody>>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Answering {
        let front = &self.0;
        let traced = traced_agent(request.method(), request.uri().path()).map(str::to_owned);
        let rpc = match traced {
            Some(_) => Some(Rpc::TRACE),
            None => rpc(request.method(), request.uri().path()),
        };
        let rpc = rpc.map(|rpc| (rpc, Instant::now()));
        let admitted = front.guard.admit(&request);
        if let (Ok(scopes), Some(caller)) = (&admitted, request.extensions_mut().get_mut::<Caller>()) {
            caller.scopes = *scopes;
        }
        let is_ours = method_name(request.uri().path()).is_some();
        let answer = match admitted {
            // A browser's request for the contract over gRPC has an origin, and hears whether it may read the answer.
            Ok(_) if is_ours && !request.headers().contains_key(header::ORIGIN) => {
                Way::Grpc(front.rpcs.clone().call(request))
            }
            admitted => Way::Http(Box::pin(http(front.clone(), request, traced, admitted.err()))),
        };
        Answering { answer, rpc, front: front.clone() }
    }
}

impl Future for Answering {
    type Output = Result<http::Response<Either<Body, HttpBody>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match &mut self.answer {
            Way::Grpc(answer) => ready!(answer.as_mut().poll(cx))?.map(Either::Left),
            Way::Http(answer) => ready!(answer.as_mut().poll(cx))?.map(Either::Right),
        };
        if let Some((rpc, began)) = self.rpc {
            self.front.metrics.rpc_took(rpc, began.elapsed());
        }
        Poll::Ready(Ok(response))
    }
}

/// Everything but the contract over gRPC: what was refused, the gateway, the services beside.
async fn http(
    front: Arc<Parts>,
    request: Request<Body>,
    traced: Option<String>,
    refusal: Option<guard::Refusal>,
) -> Result<Response, Infallible> {
    let grpc = is_grpc(request.headers());
    let origin = request.headers().get(header::ORIGIN).cloned();
    let wants_problem = error::accepts_problem(request.headers());
    let mut response = match refusal {
        _ if front.guard.is_preflight(&request, origin.as_ref()) => guard::preflight_response(),
        None => front.route(request, traced).await,
        Some(refusal) => refusal.into_response(grpc, request.extensions().get::<Caller>()),
    };
    if !grpc {
        guard::secure(&mut response);
    }
    front.guard.allow_origin(origin.as_ref(), &mut response);
    Ok(error::render(response, wants_problem).await)
}

impl Parts {
    async fn route(&self, request: Request<Body>, traced: Option<String>) -> Response {
        match (traced, request.extensions().get::<Caller>().copied()) {
            (Some(agent), Some(caller)) => api::record(&self.service, caller, agent, request.into_body()).await,
            _ => match self.rest.clone().call(request).await {
                Ok(response) => response,
            },
        }
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
            (Method::POST, "/agent/a/debug/breakpoints/test", Some("TestBreakpoint")),
            (Method::POST, "/agent_debugger.v1.DebuggerService/Nonsense", None),
            (Method::POST, "/agent/a/debug/nonsense", None),
            (Method::GET, "/healthz", None),
        ] {
            assert_eq!(rpc(&method, path), name.and_then(Rpc::named), "{method} {path}");
        }
    }
}
