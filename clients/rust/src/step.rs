//! A step as it is reported, and what is decided about it.

use serde_json::Value;
use tonic::Code;

use crate::{
    proto::{
        Decision, Edit, Effect, EventType, Fail, Fulfil, HoldPolicy, TraceRequest, TraceResponse, Verb,
        decision::Action as Wire, edit, fail, fulfil, trace_request,
    },
    stopped::Stopped,
};

/// One step to report.
#[derive(Clone, Debug)]
pub struct Step {
    /// The step as the contract has it, for the fields that have no method here. `agent_id`, `run_id` and `request_id`
    /// are filled in where they are empty.
    pub request: TraceRequest,
}

impl Step {
    /// A step of this kind; `data` is a JSON object.
    pub fn new(kind: EventType, data: &Value) -> Self {
        Self::json(kind, data.to_string())
    }

    /// The same from JSON text, which keeps every digit.
    pub fn json(kind: EventType, data: impl Into<String>) -> Self {
        let payload = Some(trace_request::Payload::DataJson(data.into()));
        Self { request: TraceRequest { r#type: kind.into(), payload, ..TraceRequest::default() } }
    }

    /// The tool or step.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.request.name = name.into();
        self
    }

    /// The model asked.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.request.model = model.into();
        self
    }

    /// The node, on the event that closes it: [`Told::node_id`] of the one that opened it.
    #[must_use]
    pub fn node_id(mut self, node_id: impl Into<String>) -> Self {
        self.request.node_id = node_id.into();
        self
    }

    /// The node above.
    #[must_use]
    pub fn parent_id(mut self, parent_id: impl Into<String>) -> Self {
        self.request.parent_id = parent_id.into();
        self
    }

    /// The decisions that the agent obeys here; the debugger offers no other.
    #[must_use]
    pub fn accepts(mut self, verbs: &[Verb]) -> Self {
        self.request.accepts = verbs.iter().map(|&verb| verb.into()).collect();
        self
    }

    /// What running the step does to the world.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.request.effect = effect.into();
        self
    }

    /// The step is the run's last.
    #[must_use]
    pub fn run_end(mut self) -> Self {
        self.request.run_end = true;
        self
    }

    /// The step is recorded and never held.
    #[must_use]
    pub fn never_held(mut self) -> Self {
        self.request.hold = HoldPolicy::Never.into();
        self
    }
}

/// What to do with a step.
#[derive(Clone, Debug)]
pub struct Told {
    /// What was decided.
    pub action: Action,
    /// The node to name on the event that closes the step; "" where the step was not recorded.
    pub node_id: String,
}

/// A decision. An abort is none of these: it is [`Stopped::Aborted`].
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Go on as reported.
    Proceed,
    /// Go on with other data, or another model, or both.
    Edit {
        /// The whole new data; `None`: as it was.
        data: Option<Value>,
        /// The model to ask instead; `None`: as it was.
        model: Option<String>,
    },
    /// Do not run the step; take this result.
    Fulfil {
        /// The result.
        data: Value,
    },
    /// Treat the step as failed.
    Fail {
        /// What the failure says.
        message: String,
        /// More about it.
        data: Option<Value>,
    },
}

impl Told {
    /// A step that no debugger was there for.
    pub(crate) fn proceed() -> Self {
        Self { action: Action::Proceed, node_id: String::new() }
    }

    /// A decision that cannot be read is a refusal, never a leave to go on.
    pub(crate) fn by(answer: TraceResponse) -> Result<Self, Stopped> {
        let action = answer.decision.and_then(|Decision { action }| action);
        let action = match action.ok_or_else(|| unreadable("decision: it is none that this client knows"))? {
            Wire::Proceed(_) => Action::Proceed,
            Wire::Edit(Edit { payload, model }) => Action::Edit {
                data: match payload {
                    None => None,
                    Some(edit::Payload::DataJson(text)) => Some(parse(&text)?),
                    Some(edit::Payload::Data(_)) => return Err(struct_came()),
                },
                model: Some(model).filter(|model| !model.is_empty()),
            },
            Wire::Fulfil(Fulfil { payload }) => Action::Fulfil {
                data: match payload {
                    None => Value::Object(serde_json::Map::new()),
                    Some(fulfil::Payload::DataJson(text)) => parse(&text)?,
                    Some(fulfil::Payload::Data(_)) => return Err(struct_came()),
                },
            },
            Wire::Fail(Fail { message, payload }) => Action::Fail {
                message,
                data: match payload {
                    None => None,
                    Some(fail::Payload::DataJson(text)) => Some(parse(&text)?),
                    Some(fail::Payload::Data(_)) => return Err(struct_came()),
                },
            },
            Wire::Abort(abort) => return Err(Stopped::Aborted { reason: abort.reason }),
        };
        Ok(Self { action, node_id: answer.node_id })
    }
}

fn parse(text: &str) -> Result<Value, Stopped> {
    serde_json::from_str(text).map_err(|error| unreadable(format!("decision.data_json: {error}")))
}

/// Data comes back in the form in which it was sent, which is text here.
fn struct_came() -> Stopped {
    unreadable("decision.data: a Struct where JSON text was expected")
}

fn unreadable(message: impl Into<String>) -> Stopped {
    Stopped::refused(Code::Internal, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Abort, Proceed};

    fn told(action: Option<Wire>) -> Result<Action, Stopped> {
        let answer = TraceResponse { decision: Some(Decision { action }), ..TraceResponse::default() };
        Told::by(answer).map(|told| told.action)
    }

    #[test]
    fn only_a_decision_to_proceed_is_one() {
        assert!(matches!(told(Some(Wire::Proceed(Proceed {}))), Ok(Action::Proceed)));
        assert!(matches!(told(None), Err(Stopped::Refused { .. })), "a decision of a later contract");
        assert!(matches!(Told::by(TraceResponse::default()), Err(Stopped::Refused { .. })));
    }

    #[test]
    fn an_edit_that_cannot_be_read_does_not_run_the_original() {
        let edit =
            |text: &str| Wire::Edit(Edit { payload: Some(edit::Payload::DataJson(text.into())), ..Edit::default() });
        assert!(matches!(told(Some(edit("{\"a\":1}"))), Ok(Action::Edit { data: Some(_), model: None })));
        assert!(matches!(told(Some(edit("{\"a\":"))), Err(Stopped::Refused { .. })));
    }

    #[test]
    fn an_abort_ends_the_run() {
        let abort = Wire::Abort(Abort { reason: "enough".into() });
        assert!(matches!(told(Some(abort)), Err(Stopped::Aborted { reason }) if reason == "enough"));
    }
}
