//! Where lines go: stdout, or above the prompt of a terminal; coloured where somebody sees it.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::Duration,
};

use rustyline::ExternalPrinter;
use serde::Serialize;

use super::{Problem, escape};

/// Lines that may wait for a terminal. A terminal that is slower loses lines, and says how many.
const MAX_WAITING_LINES: usize = 20_000;
/// How long the last lines have to reach the terminal.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Columns of a line where nobody's terminal gives them.
const DEFAULT_WIDTH: usize = 240;

/// The colours, by what they mean.
#[derive(Clone, Copy)]
pub(super) enum Ink {
    Faint,
    Strong,
    Opening,
    Closing,
    Bad,
    Held,
}

/// Colours text, or leaves it as it is.
#[derive(Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self(false);

    pub(super) fn ink(self, ink: Ink, text: impl Display) -> String {
        let code = match ink {
            Ink::Faint => "2",
            Ink::Strong => "1",
            Ink::Opening => "36",
            Ink::Closing => "32",
            Ink::Bad => "31",
            Ink::Held => "33",
        };
        let text = text.to_string();
        if self.0 && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text }
    }
}

enum Sink {
    Stdout,
    /// A thread of its own prints above the prompt: it may have to wait until the next line is being edited.
    Prompt {
        lines: SyncSender<String>,
        done: Receiver<()>,
        lost: usize,
    },
}

/// What a command prints on.
pub(super) struct Output {
    sink: Sink,
    pub(super) json: bool,
    pub(super) paint: Paint,
    /// Columns that a line should keep to.
    pub(super) width: usize,
}

impl Output {
    pub(super) fn stdout(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let colour = terminal && !json && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = terminal.then(terminal_size::terminal_size).flatten();
        let width = width.map_or(DEFAULT_WIDTH, |(width, _)| usize::from(width.0));
        Self { sink: Sink::Stdout, json, paint: Paint(colour), width }
    }

    /// The same, above a prompt.
    pub(super) fn above(self, mut printer: impl ExternalPrinter + Send + 'static) -> Self {
        let (lines, waiting) = sync_channel::<String>(MAX_WAITING_LINES);
        let (ended, done) = sync_channel(1);
        thread::spawn(move || {
            for line in waiting {
                if printer.print(line).is_err() {
                    break;
                }
            }
            let _ = ended.send(());
        });
        Self { sink: Sink::Prompt { lines, done, lost: 0 }, ..self }
    }

    /// Prints a line, whose text was escaped where it came from an agent.
    pub(super) fn line(&mut self, text: &str) -> Result<(), Problem> {
        match &mut self.sink {
            Sink::Stdout => Ok(writeln!(io::stdout(), "{text}")?),
            Sink::Prompt { lines, lost, .. } => {
                let text = match *lost {
                    0 => format!("{text}\n"),
                    lost => format!("({lost} lines were left out: the terminal is too slow)\n{text}\n"),
                };
                match lines.try_send(text) {
                    Ok(()) => *lost = 0,
                    Err(TrySendError::Full(_)) => *lost += 1,
                    Err(TrySendError::Disconnected(_)) => {
                        return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
                    }
                }
                Ok(())
            }
        }
    }

    /// Prints JSON on a line, harmless for a terminal.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), Problem> {
        let text = serde_json::to_string(value).map_err(|error| Problem::Failed(error.to_string()))?;
        self.line(&escape::json(&text))
    }

    /// Waits for the last lines to be seen, but not for ever.
    pub(super) fn finish(self) {
        if let Sink::Prompt { lines, done, .. } = self.sink {
            drop(lines);
            let _ = done.recv_timeout(LAST_WORDS);
        }
    }
}
