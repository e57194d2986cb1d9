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
use http::{HeaderValue, Method, Request, Version, header};
use http_body_util::{Either, Full};
use hyper::body::{Body as _, Incoming};
use tonic::body::Body;
use tower::Service as _;

use super::{
    auth::Admitted,
    body::{Given, Pace, Rest, Taken, drain},
    budget::{Charge, Ledger},
    guard::{self, Guard, Refusal},
    headers,
};
use crate::{
    api::{
        grpc::{Grpc, path::is_grpc},
        http::{api, error},
        service::{Caller, Service},
    },
    auth::{Scope, Scopes},
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
        request: Request<Incoming>,
        peer: SocketAddr,
        ledger: Arc<Ledger>,
    ) -> Result<http::Response<Given<Answer>>, Infallible> {
        let front = &*self.0;
        let agent = traced_agent(request.method(), request.uri().path()).map(str::to_owned);
        let rpc = match agent {
            Some(_) => Some(Rpc::TRACE),
            None => rpc(request.method(), request.uri().path()),
        };
        let began = rpc.map(|rpc| (rpc, Instant::now()));
        let (admitted, charge) = front.admit(&request, rpc, &ledger);
        let scopes = admitted.as_ref().map_or(Scopes::NONE, |admitted| admitted.scopes);
        let caller = Caller { peer: Some(peer), scopes };
        // A page's request has an origin, and hears whether it may read the answer.
        let is_plain = admitted.is_ok() && !request.headers().contains_key(header::ORIGIN);
        let is_rpc = method_name(request.uri().path()).is_some();
        let response = match agent.filter(|_| is_plain) {
            // Each way has a future of its own: this one is copied a few times, and should be small.
            Some(agent) => Box::pin(front.record(request, caller, agent, &ledger)).await,
            None if is_plain && is_rpc => {
                let pace = if rpc == Some(Rpc::IMPORT) { Pace::File } else { Pace::Whole };
                let mut request = request.map(|body| Taken::new(body, &ledger, pace));
                request.extensions_mut().insert(caller);
                front.rpcs.clone().call(request).await?.map(Either::Left)
            }
            None => {
                let pace = if rpc == Some(Rpc::IMPORT) { Pace::File } else { Pace::Whole };
                let response = Box::pin(front.read_out(request, caller, admitted.err(), &ledger, pace)).await;
                response.map(|body| Either::Right(Either::Right(body)))
            }
        };
        if let Some((rpc, began)) = began {
            front.metrics.rpc_took(rpc, began.elapsed());
        }
        Ok(response.map(|body| Given::new(body, charge, is_rpc)))
    }
}

/// What an answer consists of: gRPC's; that to a Trace over HTTP; the gateway's.
type Answer = Either<Body, Either<Full<Bytes>, HttpBody>>;

impl DispatcherParts {
    /// Lets a request in, and counts it.
    fn admit(
        &self,
        request: &Request<Incoming>,
        rpc: Option<Rpc>,
        ledger: &Arc<Ledger>,
    ) -> (Result<Admitted, Refusal>, Charge) {
        let admitted = self.guard.admit(request).and_then(|admitted| {
            if admitted.is_authorised {
                ledger.authorise();
            }
            let steers = admitted.scopes.contain(Scope::Control) && rpc != Some(Rpc::TRACE);
            if ledger.is_reserved && !steers { Err(guard::RESERVED) } else { Ok(admitted) }
        });
        match ledger.request() {
            Some(charge) => (admitted, charge),
            None => (admitted.and(Err(guard::EXHAUSTED)), Charge::none(ledger)),
        }
    }

    /// A Trace over HTTP.
    async fn record(
        &self,
        mut request: Request<Incoming>,
        caller: Caller,
        agent: String,
        ledger: &Arc<Ledger>,
    ) -> http::Response<Answer> {
        let is_strict = api::is_strict(request.uri());
        let mut body = Taken::new(request.body_mut(), ledger, Pace::Whole);
        let recorded = api::record(&self.service, caller, agent, is_strict, &mut body).await;
        let is_untouched = body.is_untouched();
        drop(body);
        match recorded {
            Ok(json) => headers::secure_json(json).map(|body| Either::Right(Either::Left(body))),
            Err(failure) => {
                let mut response = failure.into_response();
                headers::secure(&mut response);
                let mut response = error::render(response, error::accepts_problem(request.headers())).await;
                if is_sending(&request, is_untouched) {
                    finish(request.body_mut(), &mut response, ledger).await;
                }
                response.map(|body| Either::Right(Either::Right(body)))
            }
        }
    }

    /// Everything else, and what a client is still sending of a body that was not read.
    async fn read_out(
        &self,
        request: Request<Incoming>,
        caller: Caller,
        refusal: Option<Refusal>,
        ledger: &Arc<Ledger>,
        pace: Pace,
    ) -> Response {
        let asks_first = request.headers().contains_key(header::EXPECT);
        let rest = (is_sending(&request, false)).then(Rest::default);
        let mut request = request.map(|body| {
            let body = Taken::new(body, ledger, pace);
            match &rest {
                Some(rest) => body.leaving(rest.clone()),
                None => body,
            }
        });
        request.extensions_mut().insert(caller);
        let mut response = self.other(request, refusal, ledger).await;
        let rest = rest.and_then(|rest| rest.lock().take());
        if let Some((mut body, is_untouched)) = rest
            && !(asks_first && is_untouched)
        {
            finish(&mut body, &mut response, ledger).await;
        }
        response
    }

    /// What was refused, the gateway, the services beside.
    async fn other(
        &self,
        request: Request<Taken<Incoming>>,
        refusal: Option<Refusal>,
        ledger: &Arc<Ledger>,
    ) -> Response {
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
        if response.body().size_hint().exact().is_some_and(|bytes| !ledger.has_room(bytes)) {
            response = guard::EXHAUSTED.into_response(grpc, None);
        }
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

/// Whether a client may still be sending its body over HTTP/1.1, where it does not listen before it has sent all.
fn is_sending(request: &Request<Incoming>, is_untouched: bool) -> bool {
    let asks_first = is_untouched && request.headers().contains_key(header::EXPECT);
    request.version() <= Version::HTTP_11 && !request.body().is_end_stream() && !asks_first
}

/// Reads what a client is still sending before it is answered, within bounds. Beyond them the connection ends.
async fn finish(body: &mut Incoming, response: &mut Response, ledger: &Ledger) {
    if !drain(body).await {
        ledger.cut_short();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
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
