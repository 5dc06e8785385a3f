//! Owns the doors through which the parsers of this crate are fuzzed: each takes any text.
//! Promises: the same functions as a build calls, with a folder made of texts instead of files.
//! Never called by a build.

use crate::folder::{DatabaseFolder, Folder, Mode, SqlFile};
use crate::name::{self, Named};
use crate::{read, Problem};

/// What a file is by its name; the sentence where the name is refused.
pub fn file_name(name: &str) -> Result<bool, String> {
    name::parse(name).map(|named| named != Named::Other)
}

/// Every problem of a product with this configuration and lock, whose database `settings` has one
/// migration with a way back.
pub fn product(configuration: &str, lock: &str, up: &str, down: &str) -> Vec<Problem> {
    let mode = match (name::parse("V1__first.sql"), name::parse("V1__first.down.sql")) {
        (Ok(Named::Up(forth)), Ok(Named::Down(back))) => Mode {
            ups: vec![SqlFile {
                stem: forth,
                file: "settings/V1__first.sql".into(),
                text: up.into(),
            }],
            downs: vec![SqlFile {
                stem: back,
                file: "settings/V1__first.down.sql".into(),
                text: down.into(),
            }],
        },
        _ => Mode::default(),
    };
    let folder = Folder {
        label: "migrations".into(),
        configuration: Some(configuration.into()),
        lock: Some(lock.into()),
        databases: vec![DatabaseFolder {
            name: "settings".into(),
            schema: mode,
            data: Mode::default(),
        }],
        watched: Vec::new(),
    };
    read::problems(&folder)
}
