//! Owns how text that is not ours appears in what we print: names and values of a database, names
//! of files, configuration, errors.
//! Promises: one line, without control characters and marks that change the direction of writing,
//! of bounded length; done twice it is the same. A name with a line break in it would else be a
//! line of its own, and `<0>` at its start the gravest of the journal.
//! Never applied to the firmware's own SQL.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Serialize;

use crate::error::called::called;

/// Bytes of a line. journald cuts a longer one than 48 KiB, and what follows would be a line of its
/// own.
const LINE_BYTES_MAX: usize = 16 << 10;

/// The text as part of a line: `\n`, `\x1b`, `\u{202e}` for what must not be printed as it is. A
/// backslash stays what it is. A command in it is called by the program's name.
pub fn printable(text: &str) -> Cow<'_, str> {
    match called(text) {
        Cow::Borrowed(text) => escaped(text),
        Cow::Owned(text) => Cow::Owned(escaped(&text).into_owned()),
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    if text.len() <= LINE_BYTES_MAX && !text.chars().any(is_special) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len().min(LINE_BYTES_MAX));
    for (at, character) in text.char_indices() {
        if line.len() >= LINE_BYTES_MAX {
            // What is written twice is cut at the same place.
            line.truncate(line.floor_char_boundary(LINE_BYTES_MAX - MORE_BYTES_MAX));
            let _ = write!(line, "... ({} bytes more)", text.len() - at);
            break;
        }
        match character {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            special if is_special(special) && special.is_ascii() => {
                let _ = write!(line, "\\x{:02x}", u32::from(special));
            }
            special if is_special(special) => {
                let _ = write!(line, "\\u{{{:x}}}", u32::from(special));
            }
            other => line.push(other),
        }
    }
    Cow::Owned(line)
}

/// Bytes of the note that a line was cut.
const MORE_BYTES_MAX: usize = 64;

/// Control characters of ASCII and beyond, separators of lines and paragraphs, and what makes a
/// terminal write backwards.
fn is_special(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// As JSON, indented for people. serde writes what is not ASCII as it is; here what must not be
/// printed is escaped too.
pub fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value)
        .unwrap_or_else(|error| format!("{{\"error\": {:?}}}", error.to_string()));
    let text = called(&text).into_owned();
    let is_plain = |byte: &u8| matches!(byte, b'\n' | b' '..=b'~');
    if text.as_bytes().iter().all(is_plain) {
        return text;
    }
    if !text.chars().any(|character| character != '\n' && is_special(character)) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            special if special != '\n' && is_special(special) => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(special));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_a_line_or_a_command_of_its_own_is_shown() {
        assert_eq!(printable("x\n<0>kernel: forged"), "x\\n<0>kernel: forged");
        assert_eq!(printable("\r\t\u{0}\u{7}\u{1b}[2J\u{7f}"), "\\r\\t\\x00\\x07\\x1b[2J\\x7f");
        assert_eq!(
            printable("\u{9b}31m\u{85}\u{2028}\u{202e}\u{2067}"),
            "\\u{9b}31m\\u{85}\\u{2028}\\u{202e}\\u{2067}"
        );
    }

    #[test]
    fn what_can_be_printed_stays() {
        for text in
            ["", "settings: at version 1.", "C:\\new", "Wärme 温度 \u{1F321}\u{fe0f}", "a\\nb"]
        {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn a_line_has_an_end_and_is_not_changed_again() {
        for text in [
            "é".repeat(LINE_BYTES_MAX),
            "\n".repeat(LINE_BYTES_MAX),
            format!("a{}", "\u{202e}".repeat(LINE_BYTES_MAX)),
        ] {
            let once = printable(&text).into_owned();
            assert!(
                once.len() <= LINE_BYTES_MAX && once.ends_with(" bytes more)"),
                "{} bytes",
                once.len()
            );
            assert_eq!(printable(&once), once);
        }
    }

    #[test]
    fn json_has_no_control_characters_either_and_means_the_same() {
        let text = "x\n\u{7f}\u{9b}\u{202e}é";
        assert_eq!(json(&text), "\"x\\n\\u007f\\u009b\\u202eé\"");
        assert_eq!(serde_json::from_str::<String>(&json(&text)).ok().as_deref(), Some(text));
    }
}
