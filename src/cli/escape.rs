//! Text of agents, made harmless for a terminal.
//!
//! An agent must not move the cursor, recolour, retitle, answer for the person at the keyboard or turn the order of
//! what is read: every control character, every bidi control and everything invisible that carries meaning is shown
//! as what it is. Ordinary text, other scripts and emoji stay as they are.

use std::{borrow::Cow, fmt::Write};

/// Whether a terminal, or the eye, would take this character for more than a sign.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Line and paragraph separators; interlinear annotations.
            '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}'
            // All that Unicode calls ignorable by default, but for the two joiners, with which scripts and emoji are
            // written: soft hyphens, marks of the bidirectional algorithm, fillers of Hangul and of other scripts,
            // zero-width spaces, variation selectors, and tags, in which whole sentences hide.
            | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Text on one line of a terminal.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    replace(text, |character, out| match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // Writing into a String does not fail.
        other => drop(write!(out, "\\u{{{:x}}}", u32::from(other))),
    })
}

/// JSON text on one line: it stays the same JSON, because what is replaced can only stand inside of a string.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    replace(text, |character, out| {
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// Pretty-printed JSON: like [`json`], with its line breaks.
pub(super) fn lines_of_json(text: &str) -> String {
    text.lines().map(json).collect::<Vec<_>>().join("\n")
}

fn replace(text: &str, mut write: impl FnMut(char, &mut String)) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) { write(character, &mut out) } else { out.push(character) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_as_what_it_is() {
        for (given, shown) in [
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("a\r\nb\tc\u{8}\u{7f}\0", "a\\r\\nb\\tc\\u{8}\\u{7f}\\u{0}"),
            ("\u{202e}evil\u{2066}\u{2069}\u{200f}", "\\u{202e}evil\\u{2066}\\u{2069}\\u{200f}"),
            ("a\u{3164}b\u{115f}\u{ffa0}\u{34f}\u{180e}", "a\\u{3164}b\\u{115f}\\u{ffa0}\\u{34f}\\u{180e}"),
            ("x\u{fe00}\u{fe0f}\u{e0100}\u{e01ef}\u{ad}", "x\\u{fe00}\\u{fe0f}\\u{e0100}\\u{e01ef}\\u{ad}"),
            ("\u{206a}\u{206f}\u{1160}\u{17b4}", "\\u{206a}\\u{206f}\\u{1160}\\u{17b4}"),
            ("\u{2028}\u{feff}\u{200b}\u{e0041}", "\\u{2028}\\u{feff}\\u{200b}\\u{e0041}"),
        ] {
            assert_eq!(text(given), shown);
        }
    }

    #[test]
    fn ordinary_text_stays() {
        for plain in ["hello", "größe 東京 שלום مرحبا", "👩\u{200d}👩\u{200d}👧", "back\\slash \"quotes\""]
        {
            assert_eq!(text(plain), plain);
            assert!(matches!(text(plain), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let nasty = "\u{9b}31m \u{202e} \u{7f} \u{e0041} \u{1b} \u{3164}\u{fe0f}\u{e01ef}";
        let given = serde_json::to_string(&serde_json::json!({ nasty: [nasty] })).expect("serializes");
        let shown = json(&given);
        assert!(!shown.chars().any(is_unsafe), "{shown}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(read(&shown), read(&given));
    }
}
