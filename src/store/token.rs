//! Where a reader stands in an agent's log, as text: what `id:` carries over SSE, and `resume_token` over gRPC.

use std::{fmt, str::FromStr, sync::Arc};

use super::{Offset, Record};

/// A place in one incarnation of an agent's log: `<epoch>.<offset>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResumeToken {
    pub(crate) epoch: Arc<str>,
    pub(crate) offset: Offset,
}

impl ResumeToken {
    /// The token that a record carries.
    pub(crate) fn of(record: &Record) -> Self {
        Self { epoch: record.epoch.clone(), offset: record.offset }
    }
}

impl ResumeToken {
    /// The token as text, in one piece of memory.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(TOKEN_BYTES);
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{self}"));
        text
    }
}

/// No token is longer: an epoch, a dot, an offset.
const TOKEN_BYTES: usize = 16 + 1 + 20;

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.offset.0)
    }
}

impl FromStr for ResumeToken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const PROBLEM: &str = "must be `<epoch>.<offset>`, as a frame carried it";
        let (epoch, offset) = text.split_once('.').ok_or(PROBLEM)?;
        let hex = epoch.len() == 16 && epoch.bytes().all(|byte| byte.is_ascii_hexdigit());
        let offset = offset.parse().map_err(|_| PROBLEM)?;
        hex.then(|| Self { epoch: epoch.into(), offset: Offset(offset) }).ok_or(PROBLEM)
    }
}
