//! Owns the words of `quarantine ...` and `lost ...`: what is done with files and rows that were set aside.
//! Promises: what removes them, or puts them in a database's place, names one database and says --yes.
//! Never looks at anything outside its arguments.

use std::path::PathBuf;

use super::{Action, Draft};

/// What is done with quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuarantineVerb {
    /// `list`.
    List,
    /// `show`: the files of this operation.
    Show(u64),
    /// `export`: them, into this folder.
    Export(u64, PathBuf),
    /// `delete`.
    Delete(u64),
    /// `restore`.
    Restore(u64),
}

/// What is done with rows that were put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostVerb {
    /// `list`.
    List,
    /// `export`: the rows of this table, into this file.
    Export(String, PathBuf),
    /// `drop`: this table.
    Drop(String),
    /// `retry`: this table, or all of them.
    Retry(Option<String>),
}

/// What these words ask for; `None` where they are of another command.
pub(super) fn action(draft: &Draft, name: &str, arguments: &[String]) -> Option<Result<Action, String>> {
    match name.split_once(' ')? {
        ("quarantine", verb) => Some(quarantine(draft, verb, arguments).map(Action::Quarantine)),
        ("lost", verb) => Some(lost(draft, verb, arguments).map(Action::Lost)),
        _ => None,
    }
}

fn lost(draft: &Draft, verb: &str, arguments: &[String]) -> Result<LostVerb, String> {
    let name = format!("lost {verb}");
    let table = || arguments.first().cloned().unwrap_or_default();
    if verb != "list" {
        named(draft, &name)?;
    }
    match verb {
        "list" => Ok(LostVerb::List),
        "export" => Ok(LostVerb::Export(table(), PathBuf::from(arguments.get(1).map_or("", String::as_str)))),
        "drop" => agreed(draft, &name, "removes these rows for good").map(|()| LostVerb::Drop(table())),
        "retry" => Ok(LostVerb::Retry(arguments.first().cloned())),
        other => Err(format!("`lost {other}` is not known; see `bootmigrate lost --help`")),
    }
}

fn quarantine(draft: &Draft, verb: &str, arguments: &[String]) -> Result<QuarantineVerb, String> {
    let name = format!("quarantine {verb}");
    let second = || PathBuf::from(arguments.get(1).map_or("", String::as_str));
    match verb {
        "list" => Ok(QuarantineVerb::List),
        "show" => number(draft, &name, arguments).map(QuarantineVerb::Show),
        "export" => number(draft, &name, arguments).map(|number| QuarantineVerb::Export(number, second())),
        "delete" => {
            let number = number(draft, &name, arguments)?;
            agreed(draft, &name, "removes these files for good").map(|()| QuarantineVerb::Delete(number))
        }
        "restore" => {
            let number = number(draft, &name, arguments)?;
            agreed(draft, &name, "takes the database that stands there out of use").map(|()| QuarantineVerb::Restore(number))
        }
        other => Err(format!("`quarantine {other}` is not known; see `bootmigrate quarantine --help`")),
    }
}

/// The number of an operation, as sentences and `quarantine list` name it, of the one database that was named.
fn number(draft: &Draft, name: &str, arguments: &[String]) -> Result<u64, String> {
    named(draft, name)?;
    let word = arguments.first().map_or("", String::as_str);
    let number = word.trim_start_matches("quarantine/").parse().ok();
    number.ok_or_else(|| format!("`{word}` is not a number; `bootmigrate quarantine list` shows them"))
}

fn named(draft: &Draft, name: &str) -> Result<(), String> {
    draft.named(name, &format!("`{name}` needs --db NAME: the database must be named"))
}

fn agreed(draft: &Draft, name: &str, what: &str) -> Result<(), String> {
    if draft.has("--yes") {
        return Ok(());
    }
    Err(format!("`{name}` {what}; say --yes"))
}
