//! The rules, read from `rules.txt`: facts are kept apart from the code that goes by them.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// The rules of this program. Reading them costs a millisecond, once.
pub(super) static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::read(include_str!("rules.txt")));

/// The name under which a secret is counted, and which stands in its place.
pub(super) type Rule = &'static str;

/// Rules that come from the code: shapes that no prefix tells.
pub(super) const OWN_RULES: [Rule; 4] = ["private_key", "authorization", "nested", "log_point"];

/// All rules.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// How a key ends, its letters alone.
    pub(super) suffixes: Vec<(Rule, &'static str)>,
    /// What its last word is.
    pub(super) words: Vec<(Rule, &'static str)>,
    /// What a key is as a whole, where its value is a text.
    pub(super) wholes: Vec<(Rule, &'static str)>,
    /// The same of a parameter in an address.
    pub(super) queries: Vec<(Rule, &'static str)>,
    /// What makes a figure, or a word of a vocabulary, of a token.
    pub(super) counts: Vec<&'static str>,
    /// What is passed over at the end of a key.
    pub(super) tails: Vec<&'static str>,
    /// The members of a pair that name, and those that say.
    pub(super) naming: Vec<&'static str>,
    pub(super) valued: Vec<&'static str>,
    pub(super) looks: Vec<Look>,
    /// What of a key is searched for in a text.
    hints: Vec<&'static str>,
    search: Option<AhoCorasick>,
    /// Lines that could not be read; a test holds that there are none.
    #[cfg_attr(not(test), allow(dead_code, reason = "looked at by a test"))]
    pub(super) malformed: Vec<&'static str>,
}

/// What a secret of one service looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) rule: Rule,
    pub(super) prefix: &'static str,
    pub(super) alphabet: Alphabet,
    pub(super) least: usize,
    /// Where more of the alphabet follows than this, it is something else.
    pub(super) most: usize,
}

/// The characters that a secret is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    Hex,
    /// Capitals and digits.
    Upper,
    Alnum,
    /// Letters, digits, `_` and `-`.
    Word,
    /// These, and `.` and `=`.
    Dots,
    /// Letters, digits and `+/=_-%`: Base64 of both kinds, also as it stands in an address.
    Base64,
    /// What stands in the path of an address.
    Path,
}

impl Alphabet {
    pub(super) fn has(self, byte: u8) -> bool {
        match self {
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dots => Self::Word.has(byte) || matches!(byte, b'.' | b'='),
            Self::Base64 => Self::Word.has(byte) || matches!(byte, b'+' | b'/' | b'=' | b'%'),
            Self::Path => Self::Word.has(byte) || matches!(byte, b'/' | b'.' | b'@' | b'%'),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "hex" => Self::Hex,
            "upper" => Self::Upper,
            "alnum" => Self::Alnum,
            "word" => Self::Word,
            "dots" => Self::Dots,
            "base64" => Self::Base64,
            "path" => Self::Path,
            _ => return None,
        })
    }
}

/// What the search found: something that may begin a secret, or name one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sign {
    Look(Look),
    Key,
    PrivateKey,
    JsonWebToken,
    Bearer,
    Basic,
    Address,
    Telegram,
    User,
}

/// Signs of the shapes that no prefix tells.
const SHAPES: [(&str, Sign); 8] = [
    ("-----BEGIN ", Sign::PrivateKey),
    ("eyJ", Sign::JsonWebToken),
    ("bearer ", Sign::Bearer),
    ("basic ", Sign::Basic),
    ("://", Sign::Address),
    (":AA", Sign::Telegram),
    (" -u ", Sign::User),
    (" --user ", Sign::User),
];

impl Rules {
    fn read(text: &'static str) -> Self {
        let mut rules = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if rules.line(line).is_none() {
                rules.malformed.push(line);
            }
        }
        // One pass over a text finds all that may matter; what was found is then looked at where it stands.
        let looks = rules.looks.iter().map(|look| look.prefix);
        let signs: Vec<_> = looks.chain(SHAPES.map(|(sign, _)| sign)).chain(rules.hints.iter().copied()).collect();
        let search = AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(signs);
        rules.search = search.ok();
        rules
    }

    fn line(&mut self, line: &'static str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        let mut columns = rest.split_whitespace();
        let plain = match kind {
            "count" => Some(&mut self.counts),
            "tail" => Some(&mut self.tails),
            "hint" => Some(&mut self.hints),
            "naming" => Some(&mut self.naming),
            "valued" => Some(&mut self.valued),
            _ => None,
        };
        if let Some(plain) = plain {
            plain.extend(columns);
            return Some(());
        }
        let rule = columns.next()?;
        let named = match kind {
            "suffix" => &mut self.suffixes,
            "word" => &mut self.words,
            "whole" => &mut self.wholes,
            "query" => &mut self.queries,
            "look" => {
                let (prefix, alphabet, length) = (columns.next()?, columns.next()?, columns.next()?);
                let (least, most) = length.split_once('-').unwrap_or((length, ""));
                let most = if most.is_empty() { usize::MAX } else { most.parse().ok()? };
                let alphabet = Alphabet::named(alphabet)?;
                self.looks.push(Look { rule, prefix, alphabet, least: least.parse().ok()?, most });
                return columns.next().is_none().then_some(());
            }
            _ => return None,
        };
        named.extend(columns.map(|name| (rule, name)));
        Some(())
    }

    /// Where in a text there may be a secret, in the order of where the signs end: a sign and its place.
    pub(super) fn signs<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (Sign, usize, usize)> + 'a {
        let found = self.search.iter().flat_map(move |search| search.find_overlapping_iter(text));
        found.map(|found| {
            let index = found.pattern().as_usize();
            let shape = |index: usize| SHAPES.get(index).map_or(Sign::Key, |(_, sign)| *sign);
            let sign = self.looks.get(index).map_or_else(|| shape(index - self.looks.len()), |look| Sign::Look(*look));
            (sign, found.start(), found.end())
        })
    }

    /// Whether a key may be one of a secret: most are none, and that is quick to say.
    pub(super) fn hint_at(&self, key: &str) -> bool {
        self.signs(key).any(|(sign, ..)| matches!(sign, Sign::Key))
    }

    /// Whether there is a rule of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        let named = [&self.suffixes, &self.words, &self.wholes, &self.queries].into_iter().flatten();
        OWN_RULES.contains(&name)
            || named.map(|(rule, _)| *rule).chain(self.looks.iter().map(|look| look.rule)).any(|rule| rule == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_rules_can_be_read() {
        assert_eq!(RULES.malformed, Vec::<&str>::new());
        assert!(RULES.search.is_some() && RULES.looks.len() > 80 && RULES.suffixes.len() > 20);
        let names: std::collections::BTreeSet<_> = RULES.looks.iter().map(|look| look.prefix).collect();
        assert_eq!(names.len(), RULES.looks.len(), "no prefix stands there twice");
    }

    #[test]
    fn every_name_of_a_key_is_found_by_a_hint() {
        let names = [&RULES.suffixes, &RULES.words, &RULES.wholes].into_iter().flatten().map(|(_, name)| *name);
        for name in names.chain(RULES.queries.iter().map(|(_, name)| *name)) {
            assert!(RULES.signs(name).any(|(sign, ..)| matches!(sign, Sign::Key)), "{name}");
        }
    }
}
