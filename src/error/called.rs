//! Owns the name by which this process calls itself: a product's program gives advice that can be
//! typed as it stands.
//! Promises: set once, before anything is printed; without that, `bootmigrate`. Only commands in
//! backquotes are rewritten.
//! Never touches a path, a table or a directive, whose names are bootmigrate's own.

use std::borrow::Cow;
use std::sync::OnceLock;

/// What the program is called where nobody says.
const OWN_NAME: &str = "bootmigrate";
/// How a command begins in a sentence.
const COMMAND: &str = "`bootmigrate ";
/// Bytes of a program's name and the words after it, as `gateway migrate`.
const NAME_BYTES_MAX: usize = 64;

static NAME: OnceLock<String> = OnceLock::new();

/// From now on the program has this name; one that could not be typed, and any but the first, is
/// ignored.
pub fn call(name: &str) {
    let plain = |letter: char| {
        letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '+' | ' ')
    };
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(plain) {
        let _ = NAME.set(name.to_owned());
    }
}

/// The program's name.
pub fn program() -> &'static str {
    NAME.get().map_or(OWN_NAME, String::as_str)
}

/// A sentence whose commands can be typed.
pub fn called(text: &str) -> Cow<'_, str> {
    renamed(text, program())
}

fn renamed<'a>(text: &'a str, name: &str) -> Cow<'a, str> {
    if name == OWN_NAME || !text.contains(COMMAND) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(COMMAND, &format!("`{name} ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_command_is_called_by_the_programs_name() {
        let text = "run `bootmigrate run --retry`; /run/bootmigrate and `bootmigrate_state` stay, \
                    and `-- bootmigrate: batch`";
        let expected = "run `gateway db run --retry`; /run/bootmigrate and `bootmigrate_state` \
                        stay, and `-- bootmigrate: batch`";
        assert_eq!(renamed(text, "gateway db"), expected);
        assert!(matches!(renamed(text, OWN_NAME), Cow::Borrowed(_)));
    }
}
