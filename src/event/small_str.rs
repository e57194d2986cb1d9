//! Short texts that events carry by the thousand: ids, names, keys.

use std::{fmt, hash, ops::Deref};

use arcstr::ArcStr;

/// The longest text that is kept in place, in bytes.
const MAX_HERE: usize = 14;

/// An immutable text, quick to clone. Two words: where it is short it lies in them, else it is shared.
#[derive(Clone)]
pub(crate) struct SmallStr(Kept);

#[derive(Clone)]
enum Kept {
    Here { length: u8, bytes: [u8; MAX_HERE] },
    Shared(ArcStr),
}

impl SmallStr {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::Here { length, bytes } => &bytes[..usize::from(*length)],
            Kept::Shared(text) => text.as_bytes(),
        }
    }

    /// In bytes.
    pub(crate) fn len(&self) -> usize {
        self.as_bytes().len()
    }
}

/// Its text. Where that is short it is read as UTF-8 once more: maps and comparisons make do with its bytes.
impl Deref for SmallStr {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            // It was a whole text when it was put there.
            Kept::Here { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Kept::Shared(text) => text,
        }
    }
}

impl From<&str> for SmallStr {
    fn from(text: &str) -> Self {
        let mut bytes = [0; MAX_HERE];
        Self(match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Kept::Here { length: text.len() as u8, bytes }
            }
            None => Kept::Shared(text.into()),
        })
    }
}

impl From<String> for SmallStr {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl Default for SmallStr {
    fn default() -> Self {
        "".into()
    }
}

impl hash::Hash for SmallStr {
    fn hash<H: hash::Hasher>(&self, hasher: &mut H) {
        self.as_bytes().hash(hasher);
    }
}

impl PartialEq for SmallStr {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for SmallStr {}

impl PartialOrd for SmallStr {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SmallStr {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Debug for SmallStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_its_text_wherever_it_is_kept() {
        for length in 0..=40 {
            for text in ["x".repeat(length), "ü".repeat(length), format!("{}–", "x".repeat(length))] {
                let label = SmallStr::from(text.as_str());
                assert_eq!(&*label, text);
                assert_eq!(label, SmallStr::from(text.clone()));
                assert_eq!(label.cmp(&SmallStr::from("ux")), text.as_str().cmp("ux"));
                let known = std::collections::HashSet::from([label.clone()]);
                assert!(known.contains(&SmallStr::from(text.as_str())), "{text}");
            }
        }
    }

    #[test]
    fn an_event_pays_two_words_for_a_label_or_none() {
        assert_eq!(size_of::<Option<SmallStr>>(), 16);
    }
}
