//! Owns the grammar of single words: names, paths, modes, owners, table names, and the nearest
//! known word.
//! Promises: plain text in, a value out, or the second half of a sentence: what is wrong and what
//! to write.
//! Never looks at the file system, at other keys, or at TOML.

use super::names::STATE_FOLDER;
use super::{Owner, FILE_NAME_BYTES_MAX, NAME_BYTES_MAX, PATH_BYTES_MAX, SQLITE_MIN_MIN};

/// A problem completes the sentence that begins with the key and its value.
type Problem = String;

/// Name of a database or of a group.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if name.is_empty() {
        Err("is empty; write a name such as settings".to_owned())
    } else if name.len() > NAME_BYTES_MAX {
        Err(format!("is longer than {NAME_BYTES_MAX} bytes; write a shorter one"))
    } else if name.starts_with('-') {
        Err("would be taken for an option on the command line; begin it with a letter".to_owned())
    } else if name.bytes().all(plain) {
        Ok(())
    } else {
        Err("has other characters than a-z, 0-9, _ and -; write a name such as settings".to_owned())
    }
}

/// An absolute path that says the same thing in one way only.
pub(super) fn check_path(path: &str) -> Result<(), Problem> {
    let Some(inside) = path.strip_prefix('/') else {
        return Err("is not absolute; begin it with /".to_owned());
    };
    if path.chars().any(char::is_control) {
        return Err("has a control character in it; write it without".to_owned());
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(format!(
            "is longer than {PATH_BYTES_MAX} bytes, more than SQLite can open below another \
             folder; write a shorter one"
        ));
    }
    let mut steps = inside.strip_suffix('/').unwrap_or(inside).split('/');
    if steps.clone().any(|step| step == "..") {
        return Err("goes up with \"..\"; write the path that is meant".to_owned());
    }
    if !inside.is_empty() && steps.clone().any(|step| step.is_empty() || step == ".") {
        return Err("has an empty or \".\" step in it; write each folder once".to_owned());
    }
    if steps.any(|step| step.len() > FILE_NAME_BYTES_MAX) {
        return Err(format!(
            "has a name longer than {FILE_NAME_BYTES_MAX} bytes in it; write a shorter one"
        ));
    }
    Ok(())
}

/// A path that a file can have.
pub(super) fn check_file_path(path: &str) -> Result<(), Problem> {
    check_path(path)?;
    if path.ends_with('/') {
        return Err("is a folder; write the file's name after it".to_owned());
    }
    if path.split('/').any(|step| step.eq_ignore_ascii_case(STATE_FOLDER)) {
        return Err(
            "lies in a state folder of bootmigrate; write a path outside .bootmigrate".to_owned()
        );
    }
    Ok(())
}

/// A path that a database can have: nothing else may use its name or its side files' names.
pub(super) fn check_database_path(path: &str) -> Result<(), Problem> {
    check_file_path(path)?;
    let lower = path.to_ascii_lowercase();
    match ["-wal", "-shm", "-journal"].into_iter().find(|suffix| lower.ends_with(suffix)) {
        Some(suffix) => Err(format!(
            "ends like a side file of SQLite; write a name that does not end in {suffix}"
        )),
        None => Ok(()),
    }
}

/// `"0640"`: permission bits of a database file.
pub(super) fn parse_mode(text: &str) -> Result<u32, Problem> {
    if text == "observe" || text == "normal" {
        return Err(format!(
            "is for the whole run; write mode = \"{text}\" at the top of the file, and here \
             permissions such as \"0640\""
        ));
    }
    let octal =
        (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| octal);
    match mode {
        None => Err(
            "is not an octal mode; write three or four digits from 0 to 7, for example \"0640\""
                .to_owned(),
        ),
        Some(mode) if mode & 0o7111 != 0 => {
            Err("has bits for programs in it, and a database is none; write for example \"0640\""
                .to_owned())
        }
        Some(mode) if mode & 0o600 != 0o600 => {
            Err("keeps the owner from reading or writing; write for example \"0640\"".to_owned())
        }
        Some(mode) => Ok(mode),
    }
}

/// `"user:group"` or `"user"`.
pub(super) fn parse_owner(text: &str) -> Result<Owner, Problem> {
    let (user, group) = text.split_once(':').unwrap_or((text, text));
    check_account(user).and_then(|()| check_account(group))?;
    Ok(Owner { user: user.to_owned(), group: group.to_owned() })
}

fn check_account(name: &str) -> Result<(), Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    // The highest number means "unchanged" to chown.
    if number && name.parse::<u32>().map_or(true, |id| id == u32::MAX) {
        return Err(format!("has a number above {}; write a smaller one", u32::MAX - 1));
    }
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if number || (begins_well && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain)) {
        Ok(())
    } else {
        Err("is not an owner; write user:group, names or numbers, for example \"gateway:gateway\""
            .to_owned())
    }
}

/// `"3.40"` or `"3.40.1"`: the second number.
pub(super) fn parse_sqlite_version(text: &str) -> Result<u32, Problem> {
    let mut numbers = text.split('.').map(|number| {
        number.parse::<u32>().ok().filter(|_| number.bytes().all(|b| b.is_ascii_digit()))
    });
    match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
        (Some(Some(3)), Some(Some(minor)), None | Some(Some(_)), None)
            if minor >= SQLITE_MIN_MIN =>
        {
            Ok(minor)
        }
        (Some(Some(3)), Some(Some(_)), None | Some(Some(_)), None) => {
            Err(format!("is too old to be looked for; write \"3.{SQLITE_MIN_MIN}\" or a newer one"))
        }
        _ => {
            Err("is no version of SQLite 3; write what `SELECT sqlite_version()` says there, for \
                 example \"3.40\""
                .to_owned())
        }
    }
}

/// A table name that needs no quotes and is nobody else's.
pub(super) fn check_history_table(name: &str) -> Result<(), Problem> {
    let lower = name.to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !begins_well || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
        let rule = format!("letters, digits and _, at most {NAME_BYTES_MAX} bytes");
        Err(format!(
            "is not a plain table name; write {rule}, for example \"refinery_schema_history\""
        ))
    } else if lower.starts_with("sqlite_") || lower.starts_with("bootmigrate") {
        Err("begins like a table of SQLite or of bootmigrate; write for \
             example \"refinery_schema_history\""
            .to_owned())
    } else {
        Ok(())
    }
}

/// A table to carry over, or `*`.
pub(super) fn check_carried_table(name: &str) -> Result<(), Problem> {
    if name.is_empty() || name.chars().any(char::is_control) {
        Err("is not a table name; write the name as it stands in CREATE TABLE".to_owned())
    } else if name.to_ascii_lowercase().starts_with("sqlite_") {
        Err("belongs to SQLite, which fills it itself; leave it out".to_owned())
    } else {
        Ok(())
    }
}

/// A query that can only read.
pub(super) fn check_query(query: &str) -> Result<(), Problem> {
    let first = query.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    let one = !query.trim().trim_end_matches(';').contains(';');
    if one && !query.contains('\0') && (first == "select" || first == "with") {
        Ok(())
    } else {
        Err("is not one SELECT; write a query with one row and one column, the version".to_owned())
    }
}

/// The known word that `word` was most likely meant to be: at most a third of it differs, or two
/// characters (two concurrent changed places).
pub fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let length = word.chars().count();
    let allowed = (length / 3).max(if length < 4 { 1 } else { 2 });
    // Any longer word differs from all known ones; measuring it would only take time.
    let measured =
        known.filter(|_| word.len() <= NAME_BYTES_MAX).map(|known| (distance(word, known), known));
    measured.filter(|(distance, _)| *distance <= allowed).min().map(|(_, known)| known)
}

/// How many characters have to be inserted, removed or replaced.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (position, from) in one.chars().enumerate() {
        let (mut diagonal, mut left) = (position, position + 1);
        for (cell, to) in row.iter_mut().skip(1).zip(other.chars()) {
            let here = (*cell + 1).min(left + 1).min(diagonal + usize::from(from != to));
            diagonal = *cell;
            *cell = here;
            left = here;
        }
    }
    row.last().copied().unwrap_or_default()
}
