//! The tonic service: check the caller, decode, call the debugger, encode. It decides nothing.
//!
//! The HTTP gateway calls the same methods in process, so that one script has equal results over both.

pub(crate) mod codec;
pub(crate) mod status;

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::HeaderName;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataMap};
use tonic_types::ErrorDetails;

use crate::{
    agent::subscription::{Subscribe, Subscription},
    api::convert::{breakpoint, frame, payload::Checked, request, response, run},
    config::{Scope, Scopes},
    debugger::{Debugger, Page, Traced},
    error::Error,
    export::write::Writer,
    masking::Visibility,
    proto::{self, EncodedFrame, import_request::Part, server::debugger_service_server::DebuggerService},
    session,
};

/// The largest piece of a file in one message: well below the smallest limit that clients have.
const MAX_CHUNK_BYTES: usize = 1024 * 1024;

/// How long a piece of a file waits to be taken.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Who calls: known to the guard, which puts it into the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) scopes: Scopes,
}

impl Caller {
    /// Refuses what its token does not allow.
    fn may(&self, scope: Scope) -> Result<(), Status> {
        if self.scopes.contain(scope) {
            return Ok(());
        }
        let message = format!("this token does not have the scope {scope:?}").to_lowercase();
        Err(status::status(Code::PermissionDenied, "SCOPE", message, ErrorDetails::new()))
    }

    /// What it sees of a record. Who may decide has to see what on; who may only look does not see secrets.
    fn visibility(&self) -> Visibility {
        match self.scopes.contain(Scope::Control) {
            true => Visibility::Whole,
            false => Visibility::Masked,
        }
    }

    /// The caller's name in records and logs.
    fn actor(&self) -> Arc<str> {
        self.peer.map_or_else(|| "unknown".into(), |peer| peer.to_string().into())
    }
}

/// The service. Clones share one debugger.
#[derive(Clone)]
pub(crate) struct Service {
    debugger: Debugger,
}

impl Service {
    pub(crate) fn new(debugger: Debugger) -> Self {
        Self { debugger }
    }

    /// A subscription for whoever may have it: the gateway streams it in its own encoding.
    pub(crate) fn subscribe(&self, request: Request<proto::EventsRequest>) -> Result<Subscription, Status> {
        let (agent, how) = request::subscribe(request.get_ref())?;
        let is_debugger = how.role == session::Role::Debugger;
        let caller = allowed(&request, if is_debugger { Scope::Control } else { Scope::View })?;
        let subscription = self.debugger.subscribe(&agent, Subscribe { visibility: caller.visibility(), ..how })?;
        if is_debugger {
            audit("attach", &caller.actor(), agent.as_str(), None);
        }
        Ok(subscription)
    }

    /// A Trace, from whoever sent it over whichever transport. It is recorded when this returns.
    pub(crate) fn record(
        &self,
        caller: Caller,
        deadline: Option<Duration>,
        request: proto::TraceRequest,
        checked: Checked,
    ) -> Result<Traced, Status> {
        caller.may(Scope::Ingest)?;
        let request::Traced { agent, report, hold_timeout } = request::trace(request, checked)?;
        Ok(self.debugger.trace(&agent, report, hold_timeout, deadline)?)
    }

    /// A run as a file, which the gateway sends in its own way.
    pub(crate) async fn pieces(
        &self,
        request: Request<proto::ExportRequest>,
    ) -> Result<impl Stream<Item = Result<Bytes, Status>> + Send + use<>, Status> {
        let caller = allowed(&request, Scope::View)?;
        let (actor, visibility) = (caller.actor(), caller.visibility());
        let request = request.into_inner();
        let agent = request::agent_id(&request.agent_id)?;
        let run = run::run("run_id", &request.run_id)?;
        let visibility = if request.mask { Visibility::Masked } else { visibility };
        audit("export", &actor, agent.as_str(), None);
        let (writer, place) = self.blocking(move |debugger| debugger.export(&agent, &run, visibility)).await?;
        Ok(written(writer, place, STALL_LIMIT))
    }

    /// Takes a file in, piece by piece, from whichever transport.
    pub(crate) async fn take_in(
        &self,
        target: Request<proto::ImportTarget>,
        mut chunks: impl Stream<Item = Result<Bytes, Status>> + Send + Unpin,
    ) -> Result<proto::ImportResponse, Status> {
        let actor = allowed(&target, Scope::Control)?.actor();
        let target = target.into_inner();
        let agent = request::agent_id(&target.agent_id)?;
        let run = request::run_id(target.run_id.as_deref())?;
        let (mut reader, _place) = self.debugger.reader(&agent, run.as_ref())?;
        let mut named = run.is_some();
        while let Some(chunk) = chunks.next().await {
            let pushed = reader.push(&chunk?);
            // A run that there is already is refused before the rest of its file comes.
            if let Some(run) = reader.run_id().filter(|_| !named) {
                self.debugger.vacant(&agent, run)?;
                named = true;
            }
            pushed.map_err(Error::from)?;
        }
        let read = reader.finish().map_err(Error::from)?;
        audit("import", &actor, agent.as_str(), None);
        let taken = self.blocking(move |debugger| debugger.import(&agent, run, read)).await?;
        Ok(run::imported(taken))
    }

    /// Runs what takes a while for a large record on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Debugger) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Status> {
        let debugger = self.debugger.clone();
        let done = tokio::task::spawn_blocking(move || work(&debugger)).await;
        Ok(done.map_err(|_| Error::ShuttingDown)??)
    }

    /// A page of the record, which the gateway writes in its own encoding.
    pub(crate) fn page(&self, request: &Request<proto::ListEventsRequest>) -> Result<Page, Status> {
        let visibility = allowed(request, Scope::View)?.visibility();
        let request = request.get_ref();
        let agent = request::agent_id(&request.agent_id)?;
        let run = request::run_id(request.run_id.as_deref())?;
        let from = request::page_token(&request.page_token)?;
        let size = request::page_size(request.page_size)?;
        Ok(self.debugger.page(&agent, run.as_ref(), from, size, visibility)?)
    }
}

/// The caller, where its token allows the call.
fn allowed<T>(request: &Request<T>, scope: Scope) -> Result<Caller, Status> {
    let caller = caller(request);
    caller.may(scope).map(|()| caller)
}

/// Who sent a request. Whoever the guard did not see may do nothing.
fn caller<T>(request: &Request<T>) -> Caller {
    let nobody = Caller { peer: None, scopes: Scopes::NONE };
    request.extensions().get::<Caller>().copied().unwrap_or(nobody)
}

/// Writes down who steered which agent. Never a payload.
fn audit(action: &'static str, actor: &str, agent: &str, seq: Option<u64>) {
    tracing::info!(target: "agent_debugger::audit", action, actor, agent, seq);
}

/// Where gRPC carries the time that the caller gives.
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The time that the caller gives, from the header in which gRPC carries it.
fn deadline(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.as_ref().get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value = digits.parse::<u32>().ok().filter(|_| digits.len() <= 8)?;
    let seconds = |factor: u64| Some(Duration::from_secs(u64::from(value) * factor));
    match unit {
        "H" => seconds(3600),
        "M" => seconds(60),
        "S" => seconds(1),
        "m" => Some(Duration::from_millis(value.into())),
        "u" => Some(Duration::from_micros(value.into())),
        "n" => Some(Duration::from_nanos(value.into())),
        _ => None,
    }
}

#[tonic::async_trait]
impl DebuggerService for Service {
    async fn trace(&self, request: Request<proto::TraceRequest>) -> Result<Response<proto::TraceResponse>, Status> {
        let (caller, deadline) = (caller(&request), deadline(request.metadata()));
        let form = request.get_ref().payload.as_ref().map(request::form);
        let traced = self.record(caller, deadline, request.into_inner(), Checked::No)?;
        Ok(Response::new(response::trace(traced.answer().await?, form)))
    }

    async fn step(&self, request: Request<proto::StepRequest>) -> Result<Response<proto::StepResponse>, Status> {
        let actor = allowed(&request, Scope::Control)?.actor();
        let request = request.into_inner();
        let agent = request::agent_id(&request.agent_id)?;
        let run = request::run_id(request.run_id.as_deref())?;
        let seq = request.seq.map(request::seq).transpose()?;
        let granularity = request::granularity(request.granularity)?;
        let moved = self.debugger.step(&agent, run.as_ref(), seq, granularity, &actor)?;
        audit("step", &actor, agent.as_str(), moved.released.first().map(|seq| seq.0));
        Ok(Response::new(response::step(moved)))
    }

    async fn r#continue(
        &self,
        request: Request<proto::ContinueRequest>,
    ) -> Result<Response<proto::ContinueResponse>, Status> {
        let actor = allowed(&request, Scope::Control)?.actor();
        let request = request.into_inner();
        let agent = request::agent_id(&request.agent_id)?;
        let run = request::run_id(request.run_id.as_deref())?;
        let moved = self.debugger.resume(&agent, run.as_ref(), &actor)?;
        audit("continue", &actor, agent.as_str(), None);
        Ok(Response::new(response::resume(moved)))
    }

    async fn pause(&self, request: Request<proto::PauseRequest>) -> Result<Response<proto::PauseResponse>, Status> {
        let actor = allowed(&request, Scope::Control)?.actor();
        let request = request.into_inner();
        let agent = request::agent_id(&request.agent_id)?;
        let run = request::run_id(request.run_id.as_deref())?;
        let at = self.debugger.pause(&agent, run.as_ref())?.at;
        audit("pause", &actor, agent.as_str(), None);
        Ok(Response::new(proto::PauseResponse { position: at.position, total: at.total }))
    }

    async fn release(
        &self,
        request: Request<proto::ReleaseRequest>,
    ) -> Result<Response<proto::ReleaseResponse>, Status> {
        let actor = allowed(&request, Scope::Control)?.actor();
        let request = request.into_inner();
        let agent = request::agent_id(&request.agent_id)?;
        let seq = request::seq(request.seq)?;
        let decision = request::decision(request.action)?;
        let at = self.debugger.release(&agent, seq, decision, &actor)?.at;
        audit("release", &actor, agent.as_str(), Some(seq.0));
        Ok(Response::new(proto::ReleaseResponse { position: at.position, total: at.total }))
    }

    async fn clear(&self, request: Request<proto::ClearRequest>) -> Result<Response<proto::ClearResponse>, Status> {
        let actor = allowed(&request, Scope::Control)?.actor();
        let agent = request::agent_id(&request.get_ref().agent_id)?;
        let cleared = self.debugger.clear(&agent, &actor);
        audit("clear", &actor, agent.as_str(), None);
        let response = cleared.map(|(epoch, released)| proto::ClearResponse {
            epoch: epoch.to_string(),
            released: response::seqs(released),
        });
        Ok(Response::new(response.unwrap_or_default()))
    }

    async fn status(&self, request: Request<proto::StatusRequest>) -> Result<Response<proto::StatusResponse>, Status> {
        let visibility = allowed(&request, Scope::View)?.visibility();
        let agent = request::agent_id(&request.get_ref().agent_id)?;
        Ok(Response::new(response::status(&agent, self.debugger.status(&agent), visibility)))
    }

    type EventsStream = Pin<Box<dyn Stream<Item = Result<EncodedFrame, Status>> + Send>>;

    async fn events(&self, request: Request<proto::EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        Ok(Response::new(Box::pin(stream(self.subscribe(request)?))))
    }

    async fn list_events(
        &self,
        request: Request<proto::ListEventsRequest>,
    ) -> Result<Response<proto::ListEventsResponse>, Status> {
        Ok(Response::new(response::page(self.page(&request)?)))
    }

    async fn list_agents(
        &self,
        request: Request<proto::ListAgentsRequest>,
    ) -> Result<Response<proto::ListAgentsResponse>, Status> {
        allowed(&request, Scope::View)?;
        let size = request::page_size(request.get_ref().page_size)?;
        // The token is the last id seen: agents that come and go move nothing.
        let (agents, more) = self.debugger.list(&request.get_ref().page_token, size);
        let last = agents.last().filter(|_| more).map(|(id, _)| id.as_str().to_owned());
        let agents = agents.into_iter().map(|(id, status)| response::summary(&id, status)).collect();
        Ok(Response::new(proto::ListAgentsResponse { agents, next_page_token: last.unwrap_or_default() }))
    }

    async fn create_breakpoint(
        &self,
        request: Request<proto::CreateBreakpointRequest>,
    ) -> Result<Response<proto::CreateBreakpointResponse>, Status> {
        let actor = allowed(&request, Scope::Control)?.actor();
        let request = request.into_inner();
        let agent = request::agent_id(&request.agent_id)?;
        let made = self.debugger.create_breakpoint(&agent, breakpoint::spec(request.breakpoint)?)?;
        audit("create breakpoint", &actor, agent.as_str(), None);
        Ok(Response::new(proto::CreateBreakpointResponse { breakpoint: Some(breakpoint::breakpoint(&made)) }))
    }

    async fn list_breakpoints(
        &self,
        request: Request<proto::ListBreakpointsRequest>,
    ) -> Result<Response<proto::ListBreakpointsResponse>, Status> {
        allowed(&request, Scope::View)?;
        let agent = request::agent_id(&request.get_ref().agent_id)?;
        let breakpoints = self.debugger.breakpoints(&agent).iter().map(breakpoint::breakpoint).collect();
        Ok(Response::new(proto::ListBreakpointsResponse { breakpoints }))
    }

    async fn update_breakpoint(
        &self,
        request: Request<proto::UpdateBreakpointRequest>,
    ) -> Result<Response<proto::UpdateBreakpointResponse>, Status> {
        let actor = allowed(&request, Scope::Control)?.actor();
        let request = request.into_inner();
        let agent = request::agent_id(&request.agent_id)?;
        let change = request.breakpoint.unwrap_or_default();
        let id = breakpoint::id(&change.id)?;
        let fields = request.update_mask.unwrap_or_default().paths;
        let updated = self.debugger.update_breakpoint(&agent, id, |now| breakpoint::merged(now, change, &fields))?;
        audit("update breakpoint", &actor, agent.as_str(), None);
        Ok(Response::new(proto::UpdateBreakpointResponse { breakpoint: Some(breakpoint::breakpoint(&updated)) }))
    }

    async fn delete_breakpoint(
        &self,
        request: Request<proto::DeleteBreakpointRequest>,
    ) -> Result<Response<proto::DeleteBreakpointResponse>, Status> {
        let actor = allowed(&request, Scope::Control)?.actor();
        let request = request.into_inner();
        let agent = request::agent_id(&request.agent_id)?;
        self.debugger.delete_breakpoint(&agent, breakpoint::id(&request.id)?)?;
        audit("delete breakpoint", &actor, agent.as_str(), None);
        Ok(Response::new(proto::DeleteBreakpointResponse {}))
    }

    async fn test_breakpoint(
        &self,
        request: Request<proto::TestBreakpointRequest>,
    ) -> Result<Response<proto::TestBreakpointResponse>, Status> {
        let visibility = allowed(&request, Scope::View)?.visibility();
        let request = request.into_inner();
        let agent = request::agent_id(&request.agent_id)?;
        let spec = breakpoint::spec(request.breakpoint)?;
        let tested = self.blocking(move |debugger| debugger.test_breakpoint(&agent, &spec, visibility)).await?;
        Ok(Response::new(breakpoint::tested(tested)))
    }

    async fn fork(&self, request: Request<proto::ForkRequest>) -> Result<Response<proto::ForkResponse>, Status> {
        let actor = allowed(&request, Scope::Control)?.actor();
        let (agent, spec) = run::fork(request.into_inner())?;
        audit("fork", &actor, agent.as_str(), Some(spec.seq.0));
        let forked = self.blocking(move |debugger| debugger.fork(&agent, spec, &actor)).await?;
        let run_id = forked.run_id.as_str().to_owned();
        Ok(Response::new(proto::ForkResponse { run_id, plan: Some(run::plan(&forked.plan)) }))
    }

    async fn compare(
        &self,
        request: Request<proto::CompareRequest>,
    ) -> Result<Response<proto::CompareResponse>, Status> {
        let visibility = allowed(&request, Scope::View)?.visibility();
        let request = request.into_inner();
        let agent = request::agent_id(&request.agent_id)?;
        let (left, right) = (run::run("left", &request.left)?, run::run("right", &request.right)?);
        let compared = self.blocking(move |debugger| debugger.compare(&agent, &left, &right, visibility)).await?;
        Ok(Response::new(run::comparison(compared)))
    }

    type ExportStream = Pin<Box<dyn Stream<Item = Result<proto::ExportResponse, Status>> + Send>>;

    async fn export(&self, request: Request<proto::ExportRequest>) -> Result<Response<Self::ExportStream>, Status> {
        Ok(Response::new(Box::pin(messages(self.pieces(request).await?))))
    }

    async fn import(
        &self,
        request: Request<Streaming<proto::ImportRequest>>,
    ) -> Result<Response<proto::ImportResponse>, Status> {
        let caller = allowed(&request, Scope::Control)?;
        let mut requests = request.into_inner();
        let first = timeout(STALL_LIMIT, requests.message()).await.map_err(|_| Error::Stalled(STALL_LIMIT))??;
        let Some(proto::ImportRequest { part: Some(Part::Target(target)) }) = first else {
            return Err(Error::invalid("target", "must be the first message").into());
        };
        let mut target = Request::new(target);
        target.extensions_mut().insert(caller);
        Ok(Response::new(self.take_in(target, chunks(requests)).await?))
    }
}

/// A file as it is written, for as long as somebody takes it: what it keeps in memory is let go of a reader that
/// stalls, who is told so.
fn written(
    writer: Writer,
    place: OwnedSemaphorePermit,
    patience: Duration,
) -> impl Stream<Item = Result<Bytes, Status>> + Send {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _place = place;
        // Nothing at the end: else a file that was cut short would look like a whole one.
        for piece in writer.map(Some).chain([None]) {
            match timeout(patience, sender.send(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    });
    stream::unfold(Some(receiver), move |receiver| async move {
        let mut receiver: mpsc::Receiver<Option<Bytes>> = receiver?;
        match receiver.recv().await {
            Some(Some(piece)) => Some((Ok(piece), Some(receiver))),
            Some(None) => None,
            None => Some((Err(Error::Stalled(patience).into()), None)),
        }
    })
}

/// The file in messages that every client takes.
fn messages(
    pieces: impl Stream<Item = Result<Bytes, Status>> + Send,
) -> impl Stream<Item = Result<proto::ExportResponse, Status>> + Send {
    pieces.flat_map(|piece| {
        let mut failed = None;
        let mut rest = piece.unwrap_or_else(|status| {
            failed = Some(Err(status));
            Bytes::new()
        });
        let next = move || match rest.is_empty() {
            true => failed.take(),
            false => Some(Ok(proto::ExportResponse { chunk: rest.split_to(rest.len().min(MAX_CHUNK_BYTES)) })),
        };
        stream::iter(std::iter::from_fn(next))
    })
}

/// The pieces of a file that follow the first message.
fn chunks(requests: Streaming<proto::ImportRequest>) -> impl Stream<Item = Result<Bytes, Status>> + Send + Unpin {
    // A client that stops in the middle must not keep its place among the few.
    let next = |mut requests: Streaming<proto::ImportRequest>| async move {
        let chunk = match timeout(STALL_LIMIT, requests.next()).await {
            Err(_) => Err(Error::Stalled(STALL_LIMIT).into()),
            Ok(request) => match request?.map(|request| request.part) {
                Ok(Some(Part::Chunk(chunk))) => Ok(chunk),
                Ok(_) => Err(Error::invalid("part", "must be a chunk after the first message").into()),
                Err(status) => Err(status),
            },
        };
        Some((chunk, requests))
    };
    Box::pin(stream::unfold(requests, next))
}

/// A subscription as tonic takes it: one encoded frame at a time, and an error at the end, so that a client knows
/// a drain from an end of the story.
fn stream(subscription: Subscription) -> impl Stream<Item = Result<EncodedFrame, Status>> + Send {
    let visibility = subscription.visibility();
    let batches = stream::unfold(Some(subscription), |mut subscription| async move {
        let mut frames = Vec::new();
        match subscription.as_mut()?.next(&mut frames).await {
            true => Some((Ok(frames), subscription)),
            false => Some((Err(Error::ShuttingDown), None)),
        }
    });
    batches.flat_map(move |batch| {
        let (frames, end) = match batch {
            Ok(frames) => (frames, None),
            Err(error) => (Vec::new(), Some(Err(error.into()))),
        };
        stream::iter(frames.into_iter().flat_map(move |next| frame::grpc(&next, visibility)).map(Ok).chain(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_nobody_takes_is_let_go_and_never_looks_whole() {
        let writer = || crate::export::tests::writer(2_000);
        let places = Arc::new(tokio::sync::Semaphore::new(1));
        let take = || places.clone().try_acquire_owned().expect("free");
        let whole: Vec<_> = written(writer(), take(), STALL_LIMIT).collect().await;
        assert!(whole.len() > 3 && whole.iter().all(Result::is_ok));
        tokio::task::yield_now().await;
        let mut stalled = Box::pin(written(writer(), take(), STALL_LIMIT));
        assert!(stalled.next().await.is_some_and(|piece| piece.is_ok()));
        tokio::time::sleep(STALL_LIMIT * 2).await;
        assert_eq!(places.available_permits(), 1, "its place is free again");
        let rest: Vec<_> = messages(stalled).collect().await;
        let Some(Err(status)) = rest.last() else { panic!("it ends with an error") };
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }

    #[test]
    fn deadlines_are_read_in_every_unit() {
        let read = |text: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().expect("ascii"));
            deadline(&metadata)
        };
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(read("3M"), Some(Duration::from_secs(180)));
        assert_eq!(read("5S"), Some(Duration::from_secs(5)));
        assert_eq!(read("100m"), Some(Duration::from_millis(100)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        assert_eq!(read("9n"), Some(Duration::from_nanos(9)));
        for wrong in ["", "S", "1", "x5S", "123456789S", "5s"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
