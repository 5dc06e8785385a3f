//! Owns the words of `quarantine ...` and `lost ...`: what is done with files and rows that were
//! set aside.
//! Promises: what removes them, or puts them in a database's place, names one database and says
//! --yes.
//! Never looks at anything outside its arguments.

use std::path::PathBuf;

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
    /// `retry`: this table, or all of them; with `--yes` also what a migration has changed since.
    Retry(Option<String>, bool),
}

/// What was said beside the command's own words.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub verb: &'a str,
    pub arguments: &'a [String],
    /// A database was named.
    pub named: bool,
    /// `--yes`.
    pub agreed: bool,
}

impl Words<'_> {
    /// `quarantine ...`.
    pub fn quarantine(self) -> Result<QuarantineVerb, String> {
        match self.verb {
            "list" => Ok(QuarantineVerb::List),
            "show" => self.number().map(QuarantineVerb::Show),
            "export" => self
                .number()
                .map(|number| QuarantineVerb::Export(number, PathBuf::from(self.argument(1)))),
            "delete" => {
                let number = self.number()?;
                self.agreed("quarantine", "removes these files for good")
                    .map(|()| QuarantineVerb::Delete(number))
            }
            "restore" => {
                let number = self.number()?;
                self.agreed("quarantine", "takes the database that stands there out of use")
                    .map(|()| QuarantineVerb::Restore(number))
            }
            other => Err(format!(
                "`quarantine {other}` is not known; see `bootmigrate quarantine --help`"
            )),
        }
    }

    /// `lost ...`.
    pub fn lost(self) -> Result<LostVerb, String> {
        let table = || self.argument(0).to_owned();
        if self.verb != "list" {
            self.named("lost")?;
        }
        match self.verb {
            "list" => Ok(LostVerb::List),
            "export" => Ok(LostVerb::Export(table(), PathBuf::from(self.argument(1)))),
            "drop" => {
                self.agreed("lost", "removes these rows for good").map(|()| LostVerb::Drop(table()))
            }
            "retry" => Ok(LostVerb::Retry(self.arguments.first().cloned(), self.agreed)),
            other => Err(format!("`lost {other}` is not known; see `bootmigrate lost --help`")),
        }
    }

    fn argument(&self, place: usize) -> &str {
        self.arguments.get(place).map_or("", String::as_str)
    }

    /// The number of an operation, as sentences and `quarantine list` name it, of the one database
    /// that was named.
    fn number(&self) -> Result<u64, String> {
        self.named("quarantine")?;
        let word = self.argument(0);
        let number = word.trim_start_matches("quarantine/").parse().ok();
        number.ok_or_else(|| {
            format!("`{word}` is not a number; `bootmigrate quarantine list` shows them")
        })
    }

    fn named(&self, group: &str) -> Result<(), String> {
        if self.named {
            return Ok(());
        }
        Err(format!("`{group} {}` needs --db NAME: the database must be named", self.verb))
    }

    fn agreed(&self, group: &str, what: &str) -> Result<(), String> {
        if self.agreed {
            return Ok(());
        }
        Err(format!("`{group} {}` {what}; say --yes", self.verb))
    }
}
