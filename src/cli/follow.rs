//! The stream of an agent's frames, opened again where it breaks: with the resume token of the last frame seen, so
//! that nothing is lost or doubled.
//!
//! One task reads the stream, from [`Follow::open`] until the handle is dropped; a reader that is slow makes it wait.

use std::{pin::Pin, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status, Streaming};

use super::{
    Problem,
    connect::{Api, Service},
};
use crate::proto::{self, events_response::Frame};

/// Updates that wait for their reader.
const MAX_WAITING: usize = 256;
/// The pause before the first new try, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the stream has to tell.
pub(super) enum Update {
    Frame(Box<Frame>),
    /// The connection broke, and why; a new one is being tried.
    Lost(String),
    /// It is back.
    Back,
    /// The service refuses to go on.
    Over(Status),
}

/// An open stream. Dropped, it ends: a debugger detaches.
pub(super) struct Follow {
    updates: mpsc::Receiver<Update>,
    _task: AbortOnDropHandle<()>,
}

impl Follow {
    /// Subscribes; what is wrong with the first attempt is told here.
    pub(super) async fn open(service: &Service, request: proto::EventsRequest) -> Result<(Api, Self), Problem> {
        let mut api = service.connect().await?;
        let stream = api.events(request.clone()).await?.into_inner();
        let (sender, updates) = mpsc::channel(MAX_WAITING);
        let reader = Reader { service: service.clone(), request, updates: sender };
        let task = AbortOnDropHandle::new(tokio::spawn(reader.read(stream)));
        Ok((api, Self { updates, _task: task }))
    }

    /// The next update; nothing once the stream is over. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<Update> {
        self.updates.recv().await
    }
}

struct Reader {
    service: Service,
    request: proto::EventsRequest,
    updates: mpsc::Sender<Update>,
}

impl Reader {
    async fn read(mut self, mut stream: Streaming<proto::EventsResponse>) {
        loop {
            let broken = match stream.message().await {
                Ok(Some(next)) => {
                    if !next.resume_token.is_empty() {
                        self.request.resume_token = next.resume_token;
                    }
                    // A frame without content is one that this client does not know.
                    let Some(frame) = next.frame else { continue };
                    match self.updates.send(Update::Frame(Box::new(frame))).await {
                        Ok(()) => continue,
                        Err(_) => return,
                    }
                }
                Ok(None) => Status::unavailable("the stream ended"),
                Err(status) => status,
            };
            match self.reopen(broken).await {
                Ok(again) => stream = again,
                Err(over) => {
                    // Nobody may be reading any more.
                    let _ = self.updates.send(Update::Over(over)).await;
                    return;
                }
            }
        }
    }

    /// Tries until the stream is open again, or the service says that it will not be.
    async fn reopen(&mut self, broken: Status) -> Result<Streaming<proto::EventsResponse>, Status> {
        if is_final(&broken) {
            return Err(broken);
        }
        let gone = |_| Status::cancelled("nobody reads");
        self.updates.send(Update::Lost(broken.message().to_owned())).await.map_err(gone)?;
        let mut pause = FIRST_PAUSE;
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            // A connection of its own: the one that broke may be half open still.
            let Ok(mut api) = self.service.connect().await else { continue };
            let opened: Pin<Box<_>> = Box::pin(api.events(self.request.clone()));
            match opened.await {
                Ok(stream) => {
                    self.updates.send(Update::Back).await.map_err(gone)?;
                    return Ok(stream.into_inner());
                }
                Err(status) if is_final(&status) => return Err(status),
                Err(_) => {}
            }
        }
    }
}

/// Whether trying again cannot help.
fn is_final(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::NotFound
            | Code::Unimplemented
            | Code::FailedPrecondition
    )
}
