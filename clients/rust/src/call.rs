//! A whole call under the debugger: report it and obey, do it, report what came of it and obey again.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::{
    debugger::Debugger,
    proto::{Effect, EventType, Verb},
    step::{Action, Step},
    stopped::Stopped,
};

/// What is obeyed before a step.
const BEFORE: &[Verb] = &[Verb::Edit, Verb::Fulfil, Verb::Fail, Verb::Abort];
/// What is obeyed after one.
const AFTER: &[Verb] = &[Verb::Edit, Verb::Fail, Verb::Abort];

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError<E> {
    /// The step must not run, or the run must end.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// It was decided that the call fails.
    #[error("{message}")]
    Failed {
        /// What the failure says.
        message: String,
        /// More about it.
        data: Option<Value>,
    },
    /// The work failed; that was reported.
    #[error("{0}")]
    Work(E),
}

impl<E> CallError<E> {
    /// Whether the run must end: no later step of it is to run.
    pub fn is_abort(&self) -> bool {
        matches!(self, Self::Stopped(Stopped::Aborted { .. }))
    }
}

impl Debugger {
    /// Calls a model: `work` gets the prompt, perhaps edited. The model asked is the prompt's `model`, and a decision
    /// for another model replaces it there.
    ///
    /// # Errors
    ///
    /// The call was stopped, it was decided that it fails, or `work` failed.
    pub async fn prompt<F, E>(&self, prompt: Value, work: impl FnOnce(Value) -> F) -> Result<Value, CallError<E>>
    where
        F: Future<Output = Result<Value, E>>,
        E: Display,
    {
        let model = prompt["model"].as_str().unwrap_or_default().to_owned();
        let open = Step::new(EventType::Prompt, &prompt).model(model);
        self.call(open, EventType::Response, "", prompt, work).await
    }

    /// Calls a tool: `work` gets the input, perhaps edited. `effect` says what the tool does to the world: a fork runs
    /// again what only reads, and asks before anything else.
    ///
    /// # Errors
    ///
    /// As for [`Debugger::prompt`].
    pub async fn tool<F, E>(
        &self,
        name: &str,
        effect: Effect,
        input: Value,
        work: impl FnOnce(Value) -> F,
    ) -> Result<Value, CallError<E>>
    where
        F: Future<Output = Result<Value, E>>,
        E: Display,
    {
        let open = Step::new(EventType::ToolCall, &input).name(name).effect(effect);
        self.call(open, EventType::ToolResult, name, input, work).await
    }

    async fn call<F, E>(
        &self,
        open: Step,
        closing: EventType,
        name: &str,
        mut input: Value,
        work: impl FnOnce(Value) -> F,
    ) -> Result<Value, CallError<E>>
    where
        F: Future<Output = Result<Value, E>>,
        E: Display,
    {
        let told = self.step(open.accepts(BEFORE)).await?;
        let close = |kind, data: &Value| Step::new(kind, data).name(name).node_id(&*told.node_id);
        let output = match told.action {
            Action::Fail { message, data } => Err(CallError::Failed { message, data }),
            Action::Fulfil { data } => Ok(data),
            Action::Edit { data, model } => {
                input = data.unwrap_or(input);
                if let (Some(model), Some(prompt)) = (model, input.as_object_mut()) {
                    prompt.insert("model".into(), model.into());
                }
                work(input).await.map_err(CallError::Work)
            }
            Action::Proceed => work(input).await.map_err(CallError::Work),
        };
        match output {
            Err(error) => {
                let failed = json!({"error": error.to_string()});
                self.step(close(EventType::Error, &failed).accepts(&[Verb::Abort])).await?;
                Err(error)
            }
            Ok(output) => match self.step(close(closing, &output).accepts(AFTER)).await?.action {
                Action::Edit { data: Some(data), .. } => Ok(data),
                Action::Fail { message, data } => Err(CallError::Failed { message, data }),
                Action::Edit { .. } | Action::Fulfil { .. } | Action::Proceed => Ok(output),
            },
        }
    }
}
