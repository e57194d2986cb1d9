//! The event stream over SSE: frames that were encoded once, joined into as few writes as there are wake-ups.

use std::{convert::Infallible, pin::Pin, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::Query,
    http::{HeaderMap, HeaderValue, Method, header},
    response::Response,
};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::time::{Instant, Sleep, sleep_until};
use utoipa::IntoParams;

use super::{call::AgentCall, error::Failure};
use crate::{
    agent::subscription::{Frame, Subscription},
    api::convert::frame,
    masking::Visibility,
    proto::{self, name::Named},
    store::token::ResumeToken,
};

/// A comment after this much silence keeps proxies from closing the stream.
const COMMENT_AFTER: Duration = Duration::from_secs(15);
/// A heartbeat after this much silence tells the client that nothing is all there is.
const HEARTBEAT_AFTER: Duration = Duration::from_secs(30);

const COMMENT: Bytes = Bytes::from_static(b": still here\n\n");
const HEARTBEAT: Bytes = Bytes::from_static(b"data: {\"type\":\"heartbeat\"}\n\n");
const BYE: Bytes = Bytes::from_static(b"event: bye\ndata: {\"type\":\"bye\"}\n\n");
/// How long a browser waits before it reconnects, in milliseconds.
const RETRY: Bytes = Bytes::from_static(b"retry: 2000\n\n");

/// How to subscribe.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// `debug` holds the agent while the stream is open (the default); `observe` only watches.
    mode: Option<String>,
    /// Only the events of this run.
    run_id: Option<String>,
    /// The id of the last frame seen. A `Last-Event-ID` header, which is newer, goes first.
    after: Option<String>,
    /// Whether attaching pauses the agent; default true.
    pause_on_attach: Option<bool>,
}

/// Follows an agent: the position, every retained event in order, then what happens, as it happens.
#[utoipa::path(get, path = "/agent/{agent_id}/debug/events", params(EventsQuery),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = super::error::ErrorBody)))]
pub(crate) async fn events(
    AgentCall { service, caller, agent_id }: AgentCall,
    Query(query): Query<EventsQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    // A client that asks for the head alone does not want to hold an agent.
    if method == Method::HEAD {
        return Ok(stream_response(Body::empty()));
    }
    let mode = match query.mode.as_deref() {
        None => proto::Mode::Debug,
        Some(mode) => {
            proto::Mode::from_json_name(mode).ok_or_else(|| Failure::invalid("mode must be debug or observe"))?
        }
    };
    let after = query.after.filter(|after| !after.is_empty());
    if after.as_ref().is_some_and(|after| after.parse::<ResumeToken>().is_err()) {
        return Err(Failure::invalid("after must be the id of a frame"));
    }
    let message = proto::EventsRequest {
        agent_id,
        run_id: query.run_id,
        mode: mode.into(),
        resume_token: last_event_id(&headers).or(after).unwrap_or_default(),
        pause_on_attach: query.pause_on_attach,
    };
    let subscription = service.subscribe(caller, &message)?;
    Ok(stream_response(Body::from_stream(body(subscription))))
}

fn stream_response(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The last id that a browser saw. One that is not ours is of an epoch that nobody knows: the stream starts over.
fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("last-event-id").filter(|id| !id.is_empty())?;
    let ours = id.to_str().ok().filter(|id| id.parse::<ResumeToken>().is_ok());
    Some(ours.map_or_else(|| format!("{:016x}.0", 0), str::to_owned))
}

struct Reader {
    /// Nothing once the stream has said goodbye.
    subscription: Option<Subscription>,
    frames: Vec<Frame>,
    greeted: bool,
    /// When the last frame was sent, and when the last byte.
    framed: Instant,
    wrote: Instant,
    /// Ends some time before silence is too long, and is then set again: it is not touched for each frame.
    timer: Pin<Box<Sleep>>,
}

fn body(subscription: Subscription) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let now = Instant::now();
    let reader = Reader {
        subscription: Some(subscription),
        frames: Vec::new(),
        greeted: false,
        framed: now,
        wrote: now,
        timer: Box::pin(sleep_until(now + COMMENT_AFTER)),
    };
    stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((Ok(bytes), reader))
    })
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        let subscription = self.subscription.as_mut()?;
        if !self.frames.is_empty() {
            // What came with the first frame.
            return Some(join(&mut self.frames, subscription.visibility()));
        }
        let bytes = loop {
            tokio::select! {
                biased;
                more = subscription.next(&mut self.frames) => {
                    self.wrote = Instant::now();
                    self.framed = self.wrote;
                    break if !more {
                        self.subscription = None;
                        BYE
                    } else if self.greeted || self.frames.is_empty() {
                        join(&mut self.frames, subscription.visibility())
                    } else {
                        // The position, which is short: what follows it is not copied once more.
                        frame::sse(&self.frames.remove(0), subscription.visibility())
                    };
                }
                () = self.timer.as_mut() => {
                    let now = Instant::now();
                    let (comment_at, heartbeat_at) = (self.wrote + COMMENT_AFTER, self.framed + HEARTBEAT_AFTER);
                    if heartbeat_at <= now {
                        (self.framed, self.wrote) = (now, now);
                        break HEARTBEAT;
                    }
                    if comment_at <= now {
                        self.wrote = now;
                        break COMMENT;
                    }
                    self.timer.as_mut().reset(comment_at.min(heartbeat_at));
                }
            }
        };
        if self.timer.is_elapsed() {
            self.timer.as_mut().reset((self.wrote + COMMENT_AFTER).min(self.framed + HEARTBEAT_AFTER));
        }
        // With the first frame and not before it: a client that reads one piece finds the position in it.
        Some(if std::mem::replace(&mut self.greeted, true) { bytes } else { [&RETRY[..], &bytes].concat().into() })
    }
}

/// One write for all frames of a batch, which is bounded where it is read.
fn join(frames: &mut Vec<Frame>, visibility: Visibility) -> Bytes {
    if let [only] = &frames[..] {
        let bytes = frame::sse(only, visibility);
        frames.clear();
        return bytes;
    }
    let parts: Vec<_> = frames.drain(..).map(|next| frame::sse(&next, visibility)).collect();
    let mut joined = Vec::with_capacity(parts.iter().map(Bytes::len).sum());
    for part in parts {
        joined.extend_from_slice(&part);
    }
    joined.into()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::StreamExt;

    use super::*;
    use crate::{
        debugger::tests::{agent, debugger, subscribe},
        event::EventType,
        session::{Role, fixtures::report},
    };

    /// The next bytes, and how many seconds they took.
    async fn next(stream: &mut (impl Stream<Item = Result<Bytes, Infallible>> + Unpin)) -> (u64, String) {
        let began = Instant::now();
        let Some(Ok(bytes)) = stream.next().await else { panic!("the stream goes on") };
        (began.elapsed().as_secs(), String::from_utf8(bytes.to_vec()).expect("text"))
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_filled_with_comments_and_heartbeats() {
        let debugger = debugger(&[]);
        let mut stream = pin!(body(subscribe(&debugger, Role::Observer)));
        let first = next(&mut stream).await.1;
        assert!(first.starts_with("retry: 2000\n\n") && first.contains("\"type\":\"position\""), "{first}");
        let (seconds, rest) = next(&mut stream).await;
        assert!(seconds == 0 && rest.contains("event: state"), "{rest}");
        let comment = || (15, ": still here\n\n".to_owned());
        let heartbeat = || (15, "data: {\"type\":\"heartbeat\"}\n\n".to_owned());
        for expected in [comment(), heartbeat(), comment(), heartbeat()] {
            assert_eq!(next(&mut stream).await, expected);
        }
        drop(debugger.trace(&agent(), report(EventType::Log, ""), None, None).expect("recorded"));
        assert!(next(&mut stream).await.1.starts_with("id: "));
        assert_eq!(next(&mut stream).await, comment(), "silence begins again");
        debugger.shut_down();
        assert!(next(&mut stream).await.1.contains("event: bye"));
        assert!(stream.next().await.is_none());
    }
}
