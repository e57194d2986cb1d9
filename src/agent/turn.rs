//! The steps of an agent that wait for the evaluation of their conditions: one at a time, in the order in which they
//! came.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{Agent, State};

/// Steps of one agent that wait for the evaluation of conditions.
pub(crate) const MAX_WAITING: usize = 256;
/// The steps of an agent that wait for their turn.
pub(crate) struct Waiting {
    steps: usize,
    turn: Arc<Mutex<()>>,
}

/// One of them. Dropping it lets the next one go on.
pub(crate) struct Turn {
    agent: Arc<Agent>,
    pub(crate) turn: Arc<Mutex<()>>,
}

impl Turn {
    /// Takes a place behind those that wait already, under the agent's lock; nothing where there is none left.
    pub(crate) fn take(agent: &Arc<Agent>, state: &mut State) -> Option<Self> {
        let waiting = state.waiting.get_or_insert_with(|| Box::new(Waiting { steps: 0, turn: Arc::default() }));
        if waiting.steps >= MAX_WAITING {
            return None;
        }
        waiting.steps += 1;
        Some(Self { agent: agent.clone(), turn: waiting.turn.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.agent.state.lock();
        if let Some(waiting) = &mut state.waiting {
            waiting.steps -= 1;
            if waiting.steps == 0 {
                state.waiting = None;
            }
        }
    }
}
