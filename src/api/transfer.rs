//! A file on its way to a reader: what a writer keeps in memory is let go of a reader that stalls.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};

use crate::{error::Error, export::write::Writer};

/// How long a transfer may make no progress: a piece of a file waits to be taken, or to come.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(30);

/// A file as it is written, for as long as its reader takes it. A reader that stalls is told so.
pub(super) fn written(
    writer: Writer,
    place: OwnedSemaphorePermit,
    patience: Duration,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
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
            None => Some((Err(Error::Stalled(patience)), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::StreamExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_not_taken_is_let_go_and_never_looks_whole() {
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
        let rest: Vec<_> = stalled.collect().await;
        assert_eq!(rest.last(), Some(&Err(Error::Stalled(STALL_LIMIT))), "it ends with an error");
    }
}
