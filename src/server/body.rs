//! The bodies of requests and responses, within the budget of bytes in flight and within bounded time.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, body::Bytes};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Code, Status};
use tonic_types::ErrorDetails;

use super::{
    MAX_MESSAGE_BYTES,
    budget::{BODY_LIMIT, Charge, Ledger, counted, time_for},
};
use crate::api::grpc::status::status;

/// The least that a body counts for which has begun: a piece of it keeps the buffer that it was read into.
const LEAST_BODY_BYTES: usize = 16 * 1024;
/// How much of a body that is refused is read before the response, so that a client which is still sending hears it.
const DRAIN_BYTES: usize = 64 * 1024 * 1024;
/// For how long.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// How long a body may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// [`BODY_LIMIT`] for all of it.
    Whole,
    /// As long as a file comes on at the least pace.
    File,
}

/// A request's body. What came of it counts while it waits for more.
pub(super) struct Taken<B: Body> {
    /// Nothing only in `drop`.
    body: Option<B>,
    pace: Pace,
    charge: Charge,
    received: usize,
    /// When it first had to wait, and the timer that this set.
    waits: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Where the rest goes that is not read.
    rest: Option<Rest<B>>,
}

/// The rest of a body that its reader let go, and whether that is all of it.
pub(super) type Rest<B> = Arc<Mutex<Option<(B, bool)>>>;

impl<B: Body> Taken<B> {
    pub(super) fn new(body: B, ledger: &Arc<Ledger>, pace: Pace) -> Self {
        Self { body: Some(body), pace, charge: Charge::none(ledger), received: 0, waits: None, rest: None }
    }

    /// The same, whose rest can be had when its reader has let it go.
    pub(super) fn leaving(mut self, rest: Rest<B>) -> Self {
        self.rest = Some(rest);
        self
    }

    /// Whether its reader did not begin: a client that waits to be asked for its body was not asked.
    pub(super) fn is_untouched(&self) -> bool {
        self.received == 0 && self.waits.is_none()
    }

    /// Counts what came, and finds out whether the time is over.
    fn wait(&mut self, cx: &mut Context<'_>) -> Result<(), Status> {
        // A message is read as a whole; a file, piece by piece.
        let bytes = self.received.clamp(LEAST_BODY_BYTES, MAX_MESSAGE_BYTES);
        if self.received > 0 && !self.charge.grow(bytes) {
            return Err(exhausted());
        }
        let (began, timer) = self.waits.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + BODY_LIMIT)))
        });
        while timer.as_mut().poll(cx).is_ready() {
            let end = *began + if self.pace == Pace::File { time_for(self.received) } else { BODY_LIMIT };
            if end <= Instant::now() {
                return Err(late());
            }
            timer.as_mut().reset(end);
        }
        Ok(())
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for Taken<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(body) = this.body.as_mut() else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.received += frame.data_ref().map_or(0, Bytes::len);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => Poll::Ready(end.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => match this.wait(cx) {
                Ok(()) => Poll::Pending,
                Err(status) => Poll::Ready(Some(Err(Box::new(status)))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl<B: Body> Drop for Taken<B> {
    fn drop(&mut self) {
        if let (Some(rest), Some(body)) = (self.rest.take(), self.body.take()) {
            *rest.lock() = (!body.is_end_stream()).then_some((body, self.is_untouched()));
        }
    }
}

fn late() -> Status {
    let message = "the body did not come in time";
    status(Code::DeadlineExceeded, "BODY_TIMEOUT", message, ErrorDetails::new())
}

/// The refusal of what the budget has no room for.
pub(super) fn exhausted() -> Status {
    let message = "too many bytes are in flight: fewer or smaller calls at a time";
    let details = ErrorDetails::with_quota_failure_violation("bytes in flight", message);
    status(Code::ResourceExhausted, "BYTES_IN_FLIGHT", message, details)
}

/// Reads what is left of a body, and throws it away. Says whether that was all.
pub(super) async fn drain(body: &mut Incoming) -> bool {
    let mut left = DRAIN_BYTES;
    let drained = tokio::time::timeout(DRAIN_TIME, async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return true };
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    });
    drained.await.unwrap_or(false)
}

/// A response's body. Each piece counts until it is written; beside them, the request that it answers.
pub(super) struct Given<B> {
    body: B,
    request: Charge,
    /// A refusal over gRPC is told in trailers.
    is_grpc: bool,
    is_over: bool,
}

impl<B> Given<B> {
    pub(super) fn new(body: B, request: Charge, is_grpc: bool) -> Self {
        Self { body, request, is_grpc, is_over: false }
    }

    /// Ends a response of which the next piece has no room.
    fn refuse(&mut self) -> Result<Frame<Bytes>, BoxError> {
        self.is_over = true;
        let status = exhausted();
        if !self.is_grpc {
            return Err(Box::new(status));
        }
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers).map_err(|_| exhausted())?;
        Ok(Frame::trailers(trailers))
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for Given<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(cx).map(|frame| {
            let frame = match frame? {
                Ok(frame) => frame,
                Err(error) => return Some(Err(error.into())),
            };
            Some(match frame.into_data() {
                Ok(bytes) => match counted(self.request.ledger(), bytes) {
                    Some(bytes) => Ok(Frame::data(bytes)),
                    None => self.refuse(),
                },
                Err(trailers) => Ok(trailers),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
