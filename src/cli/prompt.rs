//! Where commands come from: a terminal, with line editing and history, or a pipe.
//!
//! Reading blocks, so a thread of its own does it, one line each time it is asked. It is never waited for: a process
//! that ends takes it along.

use std::{
    env, fs,
    io::{self, BufRead, IsTerminal, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use rustyline::{Config, DefaultEditor, error::ReadlineError};
use tokio::sync::mpsc;

use super::{escape, output::Output};

/// Commands remembered between sessions.
const MAX_HISTORY: usize = 1_000;
/// A line of a pipe; an event's payload fits.
const MAX_LINE_BYTES: u64 = 8 * 1024 * 1024;

/// What was typed.
#[derive(Debug)]
pub(super) enum Line {
    Text(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    End,
    Unreadable(String),
}

/// A source of lines.
pub(super) struct Prompt {
    asked: Sender<()>,
    lines: mpsc::Receiver<Line>,
    /// Whether somebody sits there.
    pub(super) is_terminal: bool,
}

impl Prompt {
    /// Reads from the terminal if this is one, and then prints above its prompt; else from the pipe.
    pub(super) fn open(agent: &str, out: Output) -> (Self, Output) {
        let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let config =
            Config::builder().max_history_size(MAX_HISTORY).map(|config| config.auto_add_history(true).build());
        let editor = config.and_then(DefaultEditor::with_config).ok().filter(|_| terminal);
        let (asked, asks) = channel();
        let (answers, lines) = mpsc::channel(1);
        let prompt = Self { asked, lines, is_terminal: editor.is_some() };
        let Some(mut editor) = editor else {
            thread::spawn(move || read_pipe(&asks, &answers));
            return (prompt, out);
        };
        // A terminal that cannot edit lines cannot print above them either.
        let out = match editor.create_external_printer() {
            Ok(printer) => out.above(printer),
            Err(_) => out,
        };
        let text = format!("({}) ", escape::text(agent));
        thread::spawn(move || edit_lines(editor, &text, &asks, &answers));
        (prompt, out)
    }

    /// Asks for a line, which [`Prompt::line`] brings.
    pub(super) fn ask(&self) {
        // A reader that is gone has said so with its last line.
        let _ = self.asked.send(());
    }

    /// The line asked for. May be dropped and called again.
    pub(super) async fn line(&mut self) -> Line {
        self.lines.recv().await.unwrap_or(Line::End)
    }
}

fn read_pipe(asks: &Receiver<()>, answers: &mpsc::Sender<Line>) {
    let mut stdin = io::stdin().lock();
    for () in asks {
        let mut bytes = Vec::new();
        let line = match stdin.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes) {
            Ok(0) => Line::End,
            Ok(_) => match String::from_utf8(bytes) {
                Ok(text) => Line::Text(text),
                Err(_) => Line::Unreadable("the line is not UTF-8".into()),
            },
            Err(error) => Line::Unreadable(error.to_string()),
        };
        if answers.blocking_send(line).is_err() {
            return;
        }
    }
}

fn edit_lines(mut editor: DefaultEditor, prompt: &str, asks: &Receiver<()>, answers: &mpsc::Sender<Line>) {
    let history = history_file();
    if let Some(file) = &history {
        // There is none before the first session.
        let _ = editor.load_history(file);
    }
    for () in asks {
        let line = match editor.readline(prompt) {
            Ok(text) => Line::Text(text),
            Err(ReadlineError::Interrupted) => Line::Interrupted,
            Err(ReadlineError::Eof) => Line::End,
            Err(error) => Line::Unreadable(error.to_string()),
        };
        if let (Some(file), Line::Text(_)) = (&history, &line) {
            // Losing history is no reason to stop a session.
            let _ = editor.append_history(file);
        }
        if answers.blocking_send(line).is_err() {
            return;
        }
    }
}

/// `$XDG_STATE_HOME/agent-debugger/history`, in a folder that only its owner may enter: edits may hold secrets.
fn history_file() -> Option<PathBuf> {
    let folder =
        state_folder(env::var_os("XDG_STATE_HOME").map(PathBuf::from), env::var_os("HOME").map(PathBuf::from))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder.join("history"))
}

fn state_folder(state: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // The specification has relative paths ignored.
    let state = state.filter(|path| path.is_absolute()).or_else(|| Some(home?.join(Path::new(".local/state"))));
    Some(state?.join("agent-debugger"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_lies_where_state_belongs() {
        let folder =
            |state: Option<&str>, home: Option<&str>| state_folder(state.map(Into::into), home.map(Into::into));
        assert_eq!(folder(Some("/s"), Some("/h")), Some("/s/agent-debugger".into()));
        assert_eq!(folder(None, Some("/h")), Some("/h/.local/state/agent-debugger".into()));
        assert_eq!(folder(Some("relative"), Some("/h")), Some("/h/.local/state/agent-debugger".into()));
        assert_eq!(folder(None, None), None);
    }
}
