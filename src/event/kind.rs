//! What a step is: its type, its effect on the world, where what it brought comes from.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EventType {
    Prompt,
    Response,
    ToolCall,
    ToolResult,
    Error,
    Log,
}

/// What an event does to the node it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Opens,
    Closes,
    Neither,
}

impl EventType {
    pub(crate) const ALL: [Self; 6] =
        [Self::Prompt, Self::Response, Self::ToolCall, Self::ToolResult, Self::Error, Self::Log];

    /// The name that JSON and conditions have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Response => "response",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
            Self::Error => "error",
            Self::Log => "log",
        }
    }

    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Prompt | Self::ToolCall => Phase::Opens,
            Self::Response | Self::ToolResult | Self::Error => Phase::Closes,
            Self::Log => Phase::Neither,
        }
    }

    /// Whether this closing type ends a node that `opening` began. An error ends either kind.
    pub(crate) fn closes(self, opening: Self) -> bool {
        matches!(
            (self, opening),
            (Self::Response, Self::Prompt)
                | (Self::ToolResult, Self::ToolCall)
                | (Self::Error, Self::Prompt | Self::ToolCall)
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    Unknown,
    Pure,
    Read,
    Idempotent,
    Mutating,
}

impl Effect {
    pub(crate) const KNOWN: [Self; 4] = [Self::Pure, Self::Read, Self::Idempotent, Self::Mutating];

    /// The name that JSON and conditions have for it; nothing where it is not known.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Pure => Some("pure"),
            Self::Read => Some("read"),
            Self::Idempotent => Some("idempotent"),
            Self::Mutating => Some("mutating"),
        }
    }
}

/// Where what a step brought comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// The agent did it.
    #[default]
    Live,
    /// A fork answered it from the record.
    Recorded,
    /// A fork or a person changed it.
    Edited,
}

impl Origin {
    pub(crate) const ALL: [Self; 3] = [Self::Live, Self::Recorded, Self::Edited];

    /// The name that JSON, files and conditions have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Recorded => "recorded",
            Self::Edited => "edited",
        }
    }
}
