//! `attach`: a debugger at a prompt.
//!
//! One task does everything in turn: it shows what the stream brings while it waits for a line, for an answer or for
//! something to happen. A command is over when its effect has been seen on the stream, so that a script of commands
//! needs no pauses and its output reads in the order of cause and effect.

use std::{future::Future, process::ExitCode, time::Duration};

use serde_json::json;
use tokio::{
    signal::ctrl_c,
    time::{Instant, sleep_until},
};
use tonic::{Response, Status};
use tonic_types::StatusExt;

use super::{
    Problem,
    args::AttachArgs,
    command::{self, Awaited, Command},
    connect::{Api, Scope, Service},
    escape,
    follow::{Follow, Update},
    output::{Ink, Output},
    prompt::{Line, Prompt},
    say, tail, text,
    view::View,
};
use crate::{
    json,
    proto::{self, name::Named as _},
};

/// How much of the record is shown to somebody who comes.
const SHOWN_AT_FIRST: usize = 10;
/// A decision that the stream has not told by then was trimmed away.
pub(super) const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// What Ctrl-C at the prompt answers.
const UNTOUCHED: &str = "quit, or Ctrl-D, detaches; the agent was not touched";

/// Why a command fails; the session goes on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Said(String),
    #[error("{}", .0.message())]
    Refused(#[from] Status),
    /// The session does not go on.
    #[error(transparent)]
    Fatal(#[from] Problem),
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Said(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self::Said(text.into())
    }
}

/// A debugger that is attached.
pub(super) struct Attached {
    pub(super) api: Api,
    pub(super) agent: String,
    pub(super) run: Option<String>,
    pub(super) view: View,
    pub(super) out: Output,
    follow: Follow,
    url: String,
    is_terminal: bool,
    /// Whether the stream is over for good.
    over: bool,
}

pub(super) async fn run(args: AttachArgs) -> Result<ExitCode, Problem> {
    let service = Service::new(&args.service, Scope::Control)?;
    let request = proto::EventsRequest {
        agent_id: args.agent.clone(),
        run_id: args.run.clone(),
        mode: proto::Mode::Debug.into(),
        pause_on_attach: Some(!args.no_pause),
        ..Default::default()
    };
    let (api, follow) = Follow::open(&service, request).await?;
    let (mut prompt, out) = Prompt::open(&args.agent, Output::stdout(args.json));
    let mut attached = Attached {
        api,
        agent: args.agent,
        view: View::keeping(args.run.clone()),
        run: args.run,
        out,
        follow,
        url: service.url.clone(),
        is_terminal: prompt.is_terminal,
        over: false,
    };
    attached.arrive().await?;
    let failed = attached.obey(&mut prompt).await?;
    attached.out.finish();
    Ok(if failed && !prompt.is_terminal { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Attached {
    /// Reads what is recorded, and shows the end of it.
    async fn arrive(&mut self) -> Result<(), Problem> {
        while !self.view.is_live() {
            match self.follow.next().await {
                Some(Update::Frame(frame)) if self.out.json => self.show(&frame)?,
                Some(Update::Frame(frame)) => drop(self.view.take(&frame)),
                other => self.connection(other)?,
            }
            if self.over {
                return Err(Problem::Failed("the stream is over".into()));
            }
        }
        if self.out.json {
            return Ok(());
        }
        let events = self.view.events().len();
        let mode = self.view.state.as_ref().map(|state| proto::RunMode::json_name(state.mode)).unwrap_or_default();
        let mut lines = vec![format!("attached to {}: {mode}, {events} events; try help", escape::text(&self.agent))];
        let shown = || self.view.events().skip(events.saturating_sub(SHOWN_AT_FIRST));
        lines.extend(shown().map(|event| text::event(&self.out, event)));
        for held in &self.view.held {
            lines.push(self.out.paint.ink(Ink::Held, text::held(held)));
            if !shown().any(|event| event.seq == held.seq) {
                let event = self.view.event(Some(held.seq));
                lines.extend(event.into_iter().flat_map(|event| text::divergence(&self.out, event)));
            }
        }
        lines.iter().try_for_each(|line| self.out.line(line))
    }

    /// Takes commands until there are no more. Says whether one failed.
    async fn obey(&mut self, prompt: &mut Prompt) -> Result<bool, Problem> {
        let (mut failed, mut last) = (false, None);
        loop {
            prompt.ask();
            let line = loop {
                tokio::select! {
                    line = prompt.line() => break line,
                    // Between two prompts the terminal makes a signal of it.
                    _ = ctrl_c(), if self.is_terminal => self.note(UNTOUCHED)?,
                    update = self.follow.next(), if !self.over => self.update(update)?,
                }
            };
            let parsed = match &line {
                Line::End => return Ok(failed),
                Line::Interrupted => {
                    self.note(UNTOUCHED)?;
                    continue;
                }
                Line::Unreadable(problem) => Err(problem.clone()),
                Line::Text(text) => match (text.trim(), &last) {
                    ("", Some(last)) if prompt.is_terminal => Ok(Command::clone(last)),
                    ("", _) => continue,
                    (text, _) if text.starts_with('#') => continue,
                    (text, _) => command::parse(text),
                },
            };
            let name = parsed.as_ref().map_or("?", Command::name);
            let done = match parsed {
                Ok(Command::Quit) => return Ok(failed),
                Ok(command) => {
                    last = command.repeated().or(last);
                    self.run(command).await
                }
                Err(problem) => Err(Failure::Said(problem)),
            };
            match done {
                Ok(()) => {}
                Err(Failure::Fatal(problem)) => return Err(problem),
                Err(failure) => {
                    failed = true;
                    self.failure(name, &failure)?;
                }
            }
            if matches!(line, Line::Unreadable(_)) && prompt.is_terminal {
                return Ok(failed);
            }
        }
    }

    /// Waits for an answer and shows meanwhile what happens.
    pub(super) async fn ask<T>(
        &mut self,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        let mut answer = std::pin::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return Ok(answer?.into_inner()),
                update = self.follow.next(), if !self.over => self.update(update)?,
                _ = ctrl_c(), if self.is_terminal => return Err("interrupted".into()),
            }
        }
    }

    /// Waits until the stream has told how these holds ended.
    pub(super) async fn settle(&mut self, released: &[u64]) -> Result<(), Failure> {
        let mut released = released.to_vec();
        if self.run.is_some() {
            // The stream of one run tells nothing of the others.
            released.retain(|seq| self.view.held.iter().any(|held| held.seq == *seq));
        }
        self.until(SETTLE_LIMIT, |view| released.iter().all(|seq| view.has_ended(*seq))).await.map(drop)
    }

    /// Waits until the view is as wanted, at most as long as said. Says whether it came to be.
    pub(super) async fn until(&mut self, at_most: Duration, wanted: impl Fn(&View) -> bool) -> Result<bool, Failure> {
        // A time that cannot be added up is for ever.
        let deadline =
            Instant::now().checked_add(at_most).unwrap_or_else(|| Instant::now() + Duration::from_secs(1 << 30));
        loop {
            if wanted(&self.view) {
                return Ok(true);
            }
            if self.over {
                return Err("the stream is over".into());
            }
            tokio::select! {
                update = self.follow.next() => self.update(update)?,
                () = sleep_until(deadline) => return Ok(false),
                _ = ctrl_c(), if self.is_terminal => return Err("interrupted".into()),
            }
        }
    }

    /// Waits for what `wait` names.
    pub(super) async fn wait(&mut self, what: Awaited, at_most: Option<Duration>) -> Result<(), Failure> {
        let met = |view: &View| match what {
            Awaited::Hold => !view.held.is_empty(),
            Awaited::RunEnd => view.run_ends > 0,
        };
        if !self.until(at_most.unwrap_or(Duration::MAX), met).await? {
            let what = if what == Awaited::Hold { "nothing was held" } else { "no run ended" };
            let time = humantime::format_duration(at_most.unwrap_or_default());
            return Err(format!("{what} within {time}").into());
        }
        if what == Awaited::RunEnd {
            // Each end is waited for once, so that the next wait means the next run.
            self.view.run_ends -= 1;
        }
        Ok(())
    }

    fn update(&mut self, update: Option<Update>) -> Result<(), Problem> {
        match update {
            Some(Update::Frame(frame)) => self.show(&frame),
            other => self.connection(other),
        }
    }

    fn show(&mut self, frame: &proto::events_response::Frame) -> Result<(), Problem> {
        let known: Vec<_> = self.view.held.iter().map(|held| held.seq).collect();
        tail::show(&mut self.out, &mut self.view, frame)?;
        if !self.out.json {
            return Ok(());
        }
        let new: Vec<_> = self.view.held.iter().filter(|held| !known.contains(&held.seq)).collect();
        new.into_iter().try_for_each(|held| self.out.json(&json!({"type": "held", "held": json::held(held.clone())})))
    }

    fn connection(&mut self, update: Option<Update>) -> Result<(), Problem> {
        let text = match update {
            Some(Update::Lost(why)) => format!("the connection to {} broke ({why}); trying again", self.url),
            Some(Update::Back) => "connected again".into(),
            Some(Update::Over(status)) => {
                self.over = true;
                format!("the service ended the session: {}", status.message())
            }
            Some(Update::Frame(_)) => return Ok(()),
            None => {
                self.over = true;
                return Ok(());
            }
        };
        // Above a prompt, stderr would run into the line that is being edited.
        if self.is_terminal {
            self.note(&text)?
        } else {
            say(&text)
        }
        Ok(())
    }

    fn note(&mut self, text: &str) -> Result<(), Problem> {
        if self.out.json {
            self.out.json(&json!({"type": "note", "text": text}))
        } else {
            let line = self.out.paint.ink(Ink::Faint, escape::text(text));
            self.out.line(&line)
        }
    }

    fn failure(&mut self, command: &str, failure: &Failure) -> Result<(), Problem> {
        let error = failure.to_string();
        if self.out.json {
            // The constant that HTTP names as well; a command that did not get that far has one of its own.
            let reason = match failure {
                Failure::Refused(status) => status.get_details_error_info().map(|info| info.reason).unwrap_or_default(),
                Failure::Said(_) | Failure::Fatal(_) => "COMMAND".into(),
            };
            return self.out.json(&json!({"type": "failed", "command": command, "error": error, "reason": reason}));
        }
        let line = self.out.paint.ink(Ink::Bad, format!("{command}: {}", escape::text(&error)));
        self.out.line(&line)
    }
}
