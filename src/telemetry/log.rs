//! Where log lines go: into a bounded queue, from which one thread writes them to stderr.
//!
//! Whether stderr is read is not the service's to decide. A pipe that is full makes a write wait for as long as its
//! reader likes, and one without a reader makes it fail; so no call writes to it. A line for which the queue has no room
//! is dropped and counted, and the log says so once it goes on.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Write},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use prometheus_client::metrics::counter::Counter;

/// Bytes of lines that wait to be written.
const MAX_WAITING_BYTES: usize = 1024 * 1024;
/// How long to wait before a write is tried again that a non-blocking stderr did not take.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// The lines of this process. Its thread begins with the first use.
pub(super) static LINES: LazyLock<&'static Lines> = LazyLock::new(|| Lines::start(io::stderr()));
/// Lines that were dropped, as `/metrics` shows them.
pub(super) static DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

/// A queue of lines, and what its thread is doing.
pub(super) struct Lines {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// Whether a line was taken and is not written yet.
    is_writing: bool,
    /// Lines dropped since the log last said so.
    dropped: u64,
}

impl Lines {
    /// Starts the thread that writes.
    fn start(to: impl Write + Send + 'static) -> &'static Self {
        let lines: &'static Self =
            Box::leak(Box::new(Self { queue: Mutex::new(Queue::default()), changed: Condvar::new() }));
        // Without a thread the queue fills, and what does not fit is counted.
        let _ = thread::Builder::new().name("log".into()).spawn(move || lines.write_all(to));
        lines
    }

    fn push(&self, line: &[u8]) {
        let mut queue = self.queue.lock();
        if queue.bytes + line.len() > MAX_WAITING_BYTES {
            queue.drop_one();
            return;
        }
        queue.bytes += line.len();
        queue.waiting.push_back(line.into());
        drop(queue);
        self.changed.notify_all();
    }

    /// Writes line by line, for ever.
    fn write_all(&self, mut to: impl Write) {
        loop {
            let line = self.next();
            let written = write_line(&mut to, &line);
            let mut queue = self.queue.lock();
            queue.is_writing = false;
            let dropped = match written {
                // Once there is room for the note as well.
                Ok(()) if queue.bytes <= MAX_WAITING_BYTES / 2 => std::mem::take(&mut queue.dropped),
                Ok(()) => 0,
                Err(_) => {
                    queue.drop_one();
                    0
                }
            };
            drop(queue);
            self.changed.notify_all();
            if dropped > 0 {
                tracing::warn!(dropped, "log lines were dropped, since stderr was not read");
            }
        }
    }

    fn next(&self) -> Box<[u8]> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(line) = queue.waiting.pop_front() {
                queue.bytes -= line.len();
                queue.is_writing = true;
                return line;
            }
            self.changed.wait(&mut queue);
        }
    }

    /// Waits until every line is written, for no longer than `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut queue = self.queue.lock();
        while queue.is_writing || !queue.waiting.is_empty() {
            if self.changed.wait_until(&mut queue, end).timed_out() {
                return;
            }
        }
    }
}

impl Queue {
    fn drop_one(&mut self) {
        self.dropped += 1;
        DROPPED.inc();
    }
}

fn write_line(to: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match to.write(line) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => line = &line[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The parent process may have made it non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_AFTER),
            Err(error) => return Err(error),
        }
    }
    to.flush()
}

/// One event of the log, which is formatted as a whole before it is written.
pub(super) struct Line(&'static Lines);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where one event of the log is written to.
pub(super) fn line() -> Line {
    Line(&LINES)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    };

    use super::*;

    /// What takes a line when it is told to, or fails.
    struct Gate {
        open: Receiver<bool>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            if !self.open.recv().unwrap_or(true) {
                return Err(ErrorKind::BrokenPipe.into());
            }
            self.written.lock().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (&'static Lines, Sender<bool>, Arc<Mutex<Vec<u8>>>) {
        let (sender, open) = channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        (Lines::start(Gate { open, written: written.clone() }), sender, written)
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_no_time() {
        let (lines, open, written) = gated();
        let line = vec![b'x'; 1024];
        for _ in 0..MAX_WAITING_BYTES / 1024 * 3 {
            lines.push(&line);
        }
        let dropped = lines.queue.lock().dropped;
        assert!(dropped as usize >= MAX_WAITING_BYTES / 1024, "{dropped}");
        lines.flush(Duration::from_millis(10));
        assert!(written.lock().is_empty(), "and flushing does not wait for it either");
        drop(open);
        lines.flush(Duration::from_secs(20));
        assert!(written.lock().len() >= MAX_WAITING_BYTES - 1024);
        assert_eq!(lines.queue.lock().dropped, 0, "it was said");
    }

    #[test]
    fn a_reader_that_is_gone_costs_the_lines_alone() {
        let (lines, open, written) = gated();
        for _ in 0..3 {
            open.send(false).expect("the thread listens");
            lines.push(b"lost\n");
            lines.flush(Duration::from_secs(20));
        }
        assert_eq!(lines.queue.lock().dropped, 3);
        open.send(true).expect("the thread listens");
        lines.push(b"kept\n");
        lines.flush(Duration::from_secs(20));
        assert_eq!(*written.lock(), b"kept\n");
    }
}
