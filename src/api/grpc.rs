//! The tonic service: each rpc opens its request, calls the façade and encodes what it returns. It decides nothing.

pub(crate) mod codec;
pub(crate) mod path;
pub(crate) mod status;

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::HeaderName;
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap};

use super::{
    convert::{frame, payload::Checked, request, response},
    service::{Caller, Service},
    transfer::STALL_LIMIT,
};
use crate::{
    agent::subscription::Subscription,
    error::Error,
    event::Warnings,
    proto::{self, EncodedFrame, import_request::Part, server::debugger_service_server::DebuggerService},
};

/// The largest piece of a file in one message: well below the smallest limit that clients have.
const MAX_CHUNK_BYTES: usize = 1024 * 1024;

/// The contract over gRPC. Clones share one service.
#[derive(Clone)]
pub(crate) struct Grpc {
    service: Service,
}

impl Grpc {
    pub(crate) fn new(service: Service) -> Self {
        Self { service }
    }
}

/// The caller of a request, as the guard saw it, and its message.
fn opened<T>(request: Request<T>) -> (Caller, T) {
    let caller = request.extensions().get::<Caller>().copied().unwrap_or(Caller::UNKNOWN);
    (caller, request.into_inner())
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
impl DebuggerService for Grpc {
    async fn trace(&self, request: Request<proto::TraceRequest>) -> Result<Response<proto::TraceResponse>, Status> {
        let deadline = deadline(request.metadata());
        let (caller, message) = opened(request);
        let encoding = message.payload.as_ref().map(request::encoding);
        let traced = self.service.trace(caller, deadline, message, Checked::No, Warnings::default())?;
        Ok(Response::new(response::trace(traced.answer().await?, encoding)))
    }

    async fn step(&self, request: Request<proto::StepRequest>) -> Result<Response<proto::StepResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.step(caller, message)?))
    }

    async fn r#continue(
        &self,
        request: Request<proto::ContinueRequest>,
    ) -> Result<Response<proto::ContinueResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.resume(caller, message)?))
    }

    async fn pause(&self, request: Request<proto::PauseRequest>) -> Result<Response<proto::PauseResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.pause(caller, message)?))
    }

    async fn release(
        &self,
        request: Request<proto::ReleaseRequest>,
    ) -> Result<Response<proto::ReleaseResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.release(caller, message)?))
    }

    async fn clear(&self, request: Request<proto::ClearRequest>) -> Result<Response<proto::ClearResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.clear(caller, &message)?))
    }

    async fn status(&self, request: Request<proto::StatusRequest>) -> Result<Response<proto::StatusResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.status(caller, &message)?))
    }

    async fn list_agents(
        &self,
        request: Request<proto::ListAgentsRequest>,
    ) -> Result<Response<proto::ListAgentsResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.list_agents(caller, &message)?))
    }

    async fn create_breakpoint(
        &self,
        request: Request<proto::CreateBreakpointRequest>,
    ) -> Result<Response<proto::CreateBreakpointResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.create_breakpoint(caller, message)?))
    }

    async fn list_breakpoints(
        &self,
        request: Request<proto::ListBreakpointsRequest>,
    ) -> Result<Response<proto::ListBreakpointsResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.list_breakpoints(caller, &message)?))
    }

    async fn update_breakpoint(
        &self,
        request: Request<proto::UpdateBreakpointRequest>,
    ) -> Result<Response<proto::UpdateBreakpointResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.update_breakpoint(caller, message)?))
    }

    async fn delete_breakpoint(
        &self,
        request: Request<proto::DeleteBreakpointRequest>,
    ) -> Result<Response<proto::DeleteBreakpointResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.delete_breakpoint(caller, &message)?))
    }

    async fn test_breakpoint(
        &self,
        request: Request<proto::TestBreakpointRequest>,
    ) -> Result<Response<proto::TestBreakpointResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.test_breakpoint(caller, message).await?))
    }

    async fn fork(&self, request: Request<proto::ForkRequest>) -> Result<Response<proto::ForkResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.fork(caller, message).await?))
    }

    async fn compare(
        &self,
        request: Request<proto::CompareRequest>,
    ) -> Result<Response<proto::CompareResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(self.service.compare(caller, message).await?))
    }

    type EventsStream = Pin<Box<dyn Stream<Item = Result<EncodedFrame, Status>> + Send>>;

    async fn events(&self, request: Request<proto::EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(Box::pin(stream(self.service.subscribe(caller, &message)?))))
    }

    async fn list_events(
        &self,
        request: Request<proto::ListEventsRequest>,
    ) -> Result<Response<proto::ListEventsResponse>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(response::page(self.service.page(caller, &message)?)))
    }

    type ExportStream = Pin<Box<dyn Stream<Item = Result<proto::ExportResponse, Status>> + Send>>;

    async fn export(&self, request: Request<proto::ExportRequest>) -> Result<Response<Self::ExportStream>, Status> {
        let (caller, message) = opened(request);
        Ok(Response::new(Box::pin(messages(self.service.export(caller, message).await?))))
    }

    async fn import(
        &self,
        request: Request<Streaming<proto::ImportRequest>>,
    ) -> Result<Response<proto::ImportResponse>, Status> {
        let (caller, mut requests) = opened(request);
        let first = timeout(STALL_LIMIT, requests.message()).await.map_err(|_| Error::Stalled(STALL_LIMIT))??;
        let Some(proto::ImportRequest { part: Some(Part::Target(target)) }) = first else {
            return Err(Error::invalid("target", "must be the first message").into());
        };
        Ok(Response::new(self.service.import(caller, target, chunks(requests)).await?))
    }
}

/// The file in messages that every client takes.
fn messages(
    pieces: impl Stream<Item = Result<Bytes, Error>> + Send,
) -> impl Stream<Item = Result<proto::ExportResponse, Status>> + Send {
    pieces.flat_map(|piece| {
        let mut failed = None;
        let mut rest = piece.unwrap_or_else(|error| {
            failed = Some(Err(error.into()));
            Bytes::new()
        });
        let next = move || {
            if rest.is_empty() {
                failed.take()
            } else {
                Some(Ok(proto::ExportResponse { chunk: rest.split_to(rest.len().min(MAX_CHUNK_BYTES)) }))
            }
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
        if subscription.as_mut()?.next(&mut frames).await {
            Some((Ok(frames), subscription))
        } else {
            Some((Err(Error::ShuttingDown), None))
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
