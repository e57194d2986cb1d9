//! Authorization: what a caller may do, and the tokens that say so.

use std::{fmt, fs};

use subtle::ConstantTimeEq;

/// Tokens shorter than this are warned about: 256 bits in base64 are 43 characters.
const GOOD_TOKEN_BYTES: usize = 32;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Trace.
    Ingest,
    /// Look, without touching.
    View,
    /// Everything that steers an agent; attaching as a debugger does.
    Control,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Ingest, Self::View, Self::Control];

    /// The name that token files, documents and errors have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::View => "view",
            Self::Control => "control",
        }
    }
}

/// The scopes of one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scopes {
    ingest: bool,
    view: bool,
    control: bool,
}

impl Scopes {
    pub(crate) const ALL: Self = Self { ingest: true, view: true, control: true };
    pub(crate) const NONE: Self = Self { ingest: false, view: false, control: false };

    fn only(scope: Scope) -> Self {
        Self {
            ingest: scope == Scope::Ingest,
            view: matches!(scope, Scope::View | Scope::Control),
            control: scope == Scope::Control,
        }
    }

    pub(crate) fn contain(self, scope: Scope) -> bool {
        match scope {
            Scope::Ingest => self.ingest,
            Scope::View => self.view,
            Scope::Control => self.control,
        }
    }
}

/// The tokens that are let in; with none of them, every caller is.
#[derive(Clone, Default)]
pub(crate) struct Tokens(Vec<(Box<[u8]>, Scopes)>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

impl Tokens {
    /// The tokens that a flag gives, see [`read`]. An error says what is wrong.
    pub(crate) fn parse(given: &str) -> Result<Self, String> {
        let text = read(given)?;
        let tokens: Vec<_> =
            lines(&text).map(|(scope, token)| (token, scope.map_or(Scopes::ALL, Scopes::only))).collect();
        if tokens.is_empty() || tokens.iter().any(|(token, _)| token.is_empty()) {
            return Err("a token is empty".into());
        }
        if tokens.iter().any(|(token, _)| token.len() < GOOD_TOKEN_BYTES) {
            tracing::warn!("a token is shorter than {GOOD_TOKEN_BYTES} bytes: it can be guessed");
        }
        Ok(Self(tokens.into_iter().map(|(token, scopes)| (token.as_bytes().into(), scopes)).collect()))
    }

    /// Whether every caller is let in without a token.
    pub(crate) fn are_off(&self) -> bool {
        self.0.is_empty()
    }

    /// What the bearer of this token may do. Compares with every token in constant time.
    pub(crate) fn scopes(&self, token: &[u8]) -> Option<Scopes> {
        let same = |known: &[u8]| bool::from(known.ct_eq(token));
        self.0.iter().fold(None, |found, (known, scopes)| if same(known) { Some(*scopes) } else { found })
    }
}

/// The text of a `--token` flag: itself, or what stands in the file that it names as `@FILE`.
pub(crate) fn read(given: &str) -> Result<String, String> {
    match given.strip_prefix('@') {
        None => Ok(given.to_owned()),
        Some(path) => fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}")),
    }
}

/// The tokens of such a text, one a line: `scope:TOKEN`, or a bare token that may do everything. `#` begins a comment.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (Option<Scope>, &str)> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(scoped)
}

fn scoped(line: &str) -> (Option<Scope>, &str) {
    let named = |scope: Scope| Some((Some(scope), line.strip_prefix(scope.name())?.strip_prefix(':')?));
    Scope::ALL.into_iter().find_map(named).unwrap_or((None, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_scopes() {
        let tokens = Tokens::parse("# comment\ningest:in\nview:see\ncontrol:act\nall\n").expect("tokens");
        let may = |token: &str| {
            let scopes = tokens.scopes(token.as_bytes())?;
            Some([Scope::Ingest, Scope::View, Scope::Control].map(|scope| scopes.contain(scope)))
        };
        assert_eq!(may("in"), Some([true, false, false]));
        assert_eq!(may("see"), Some([false, true, false]));
        assert_eq!(may("act"), Some([false, true, true]));
        assert_eq!(may("all"), Some([true, true, true]));
        assert_eq!(may("other"), None);
        assert!(Tokens::parse("").is_err());
        assert!(Tokens::parse("@/does/not/exist").is_err());
    }
}
