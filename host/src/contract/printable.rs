//! Text that somebody else chose, as it may be shown: on terminals, in logs, in answers and labels.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns whether a character is safe to show wherever text is shown.
///
/// Safe is what neither drives a terminal, nor breaks a line, nor changes the order in which other characters are read, nor
/// hides: everything but
///
/// - control characters: C0, DEL and C1 (the category `Cc`);
/// - the separators of lines and paragraphs, U+2028 and U+2029;
/// - characters that are not drawn: Unicode's property `Default_Ignorable_Code_Point`, in which are the bidirectional
///   controls, zero-width characters, fillers, variation selectors and tags; and annotations, U+FFF9 to U+FFFB.
///
/// Emoji that are joined, and the scripts that join by U+200C and U+200D, are shown in their parts.
pub fn is_printable(character: char) -> bool {
    !matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns a text in which each character that is not [printable](is_printable) is a space: one line, whatever it was.
///
/// ```
/// use wharf::contract::printable;
///
/// assert_eq!(printable("a\u{1b}[2J\nb\u{202e}c"), "a [2J b c");
/// ```
pub fn printable<'a>(text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
    let text = text.into();
    if text.chars().all(is_printable) {
        return text;
    }
    text.chars().map(|character| if is_printable(character) { character } else { ' ' }).collect::<String>().into()
}

/// Returns lines of which each is [`printable()`]: for a text whose line breaks are the caller's own.
pub fn printable_lines(text: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

/// Returns a JSON text in which every character that is not [printable](is_printable) is escaped, as JSON asks for C0
/// alone. Its value stays the same: such characters can only stand within strings. Line breaks between tokens become
/// none.
///
/// ```
/// use wharf::contract::escape_json;
///
/// let text = serde_json::to_string("a\u{202e}b\u{e0041}")?;
/// let escaped = escape_json(text);
/// assert_eq!(escaped, r#""a\u202eb\udb40\udc41""#);
/// assert_eq!(serde_json::from_str::<String>(&escaped)?, "a\u{202e}b\u{e0041}");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn escape_json(json: String) -> String {
    if json.chars().all(is_printable) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        match character {
            // Only between tokens: within a string they are escaped already.
            '\n' | '\r' | '\t' => {}
            _ if is_printable(character) => escaped.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
        }
    }
    escaped
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What must not be shown, by the names that Unicode has for it: the promise, apart from the ranges that keep it.
    const HARMFUL: [(&str, &str); 9] = [
        ("C0 and DEL", "\0\u{1}\u{7}\u{8}\t\n\u{b}\u{c}\r\u{1b}\u{1f}\u{7f}"),
        ("C1", "\u{80}\u{84}\u{85}\u{90}\u{9b}\u{9c}\u{9d}\u{9f}"),
        ("separators", "\u{2028}\u{2029}"),
        ("bidirectional embeddings and overrides", "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}"),
        ("bidirectional isolates and marks", "\u{2066}\u{2067}\u{2068}\u{2069}\u{200e}\u{200f}\u{61c}"),
        ("zero width", "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{180e}\u{ad}\u{34f}"),
        ("fillers", "\u{115f}\u{1160}\u{3164}\u{ffa0}"),
        ("variation selectors and tags", "\u{fe00}\u{fe0f}\u{e0100}\u{e01ef}\u{e0001}\u{e0020}\u{e007f}"),
        ("annotations and deprecated formats", "\u{fff9}\u{fffa}\u{fffb}\u{206a}\u{206f}\u{2061}\u{2064}\u{1d173}"),
    ];

    #[test]
    fn nothing_that_drives_reorders_breaks_or_hides_is_printable() {
        for (what, characters) in HARMFUL {
            for character in characters.chars() {
                assert!(!is_printable(character), "{what}: {character:?}");
            }
        }
        for control in (0..=u32::from(char::MAX)).filter_map(char::from_u32).filter(|c| c.is_control()) {
            assert!(!is_printable(control), "{control:?}");
        }
    }

    #[test]
    fn what_people_write_is_printable() {
        for text in ["plain ASCII, 100%", "größer", "日本語", "Привет", "عربي", "हिन्दी", "e\u{301}", "🚀", "\u{a0}"]
        {
            assert_eq!(printable(text), text);
        }
    }

    /// Any text, of which much is what must not be shown.
    fn texts() -> impl Strategy<Value = String> {
        let harmful: Vec<char> = HARMFUL.iter().flat_map(|(_, characters)| characters.chars()).collect();
        let character = prop_oneof![any::<char>(), proptest::sample::select(harmful)];
        proptest::collection::vec(character, 0..64).prop_map(|characters| characters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn any_text_becomes_printable_and_keeps_what_was(text in texts()) {
            let shown = printable(text.as_str());
            prop_assert!(shown.chars().all(is_printable), "{shown:?}");
            prop_assert_eq!(shown.chars().count(), text.chars().count());
            for (before, after) in text.chars().zip(shown.chars()) {
                prop_assert!(after == before || (after == ' ' && !is_printable(before)));
            }
            prop_assert_eq!(&printable(shown.as_ref()), &shown);
            let lines = printable_lines(&text);
            prop_assert_eq!(lines.matches('\n').count(), text.matches('\n').count());
            prop_assert!(lines.chars().all(|character| character == '\n' || is_printable(character)));
        }

        #[test]
        fn any_json_is_escaped_and_says_the_same(texts in proptest::collection::vec(texts(), 0..4)) {
            for json in [serde_json::to_string(&texts).unwrap(), serde_json::to_string_pretty(&texts).unwrap()] {
                let escaped = escape_json(json);
                prop_assert!(escaped.chars().all(is_printable), "{escaped:?}");
                prop_assert_eq!(&serde_json::from_str::<Vec<String>>(&escaped).unwrap(), &texts);
            }
        }
    }
}
