//! Names and numbers: agents, runs, events. Each is checked once, where it is made.

use std::fmt;

use super::SmallStr;

/// The longest id, name or key, in bytes of UTF-8.
pub(crate) const MAX_ID_BYTES: usize = 200;

/// Names an agent: a key, never a path.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AgentId(SmallStr);

impl AgentId {
    /// Takes 1 to 200 bytes without control characters and without `/`, and not `.` or `..`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "" => Err("must not be empty"),
            "." | ".." => Err("must not be `.` or `..`"),
            _ if text.contains('/') => Err("must not contain `/`"),
            _ => check_id(text).map(|()| Self(text.into())),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Names a run of an agent; the empty one is the default run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RunId(SmallStr);

impl RunId {
    /// Takes at most 200 bytes without control characters.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        check_id(text).map(|()| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The bounds that ids, names and keys share.
pub(crate) fn check_id(text: &str) -> Result<(), &'static str> {
    if text.len() > MAX_ID_BYTES {
        return Err("must be at most 200 bytes");
    }
    // Control characters of ASCII are single bytes; those beyond it begin with one byte that few texts have.
    let may_be_control = |byte: u8| byte.is_ascii_control() || byte == 0xc2;
    if text.bytes().any(may_be_control) && text.chars().any(char::is_control) {
        Err("must not contain control characters")
    } else {
        Ok(())
    }
}

/// The number of an event: from 1, never used twice for an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Seq(pub(crate) u64);
