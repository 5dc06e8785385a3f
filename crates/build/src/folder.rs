//! Owns the walk through the migrations folder: which files there are, as text, and what cargo must
//! watch.
//! Promises: sorted, so that no file system's order shows; whatever is neither a migration nor
//! plainly something else is said.
//! Never writes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::name::{self, Named, Stem};
use crate::Problem;

/// The configuration's file name.
pub(crate) const CONFIGURATION: &str = "bootmigrate.toml";
/// The file name of the list of released files.
pub(crate) const LOCK: &str = "migrations.lock";
/// The folder of a database's data migrations.
const DATA: &str = "data";

/// Everything in the folder, as it is on disk.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// The folder's own name, for example `migrations`: every problem's file begins with it.
    pub label: String,
    pub configuration: Option<String>,
    pub lock: Option<String>,
    pub databases: Vec<DatabaseFolder>,
    /// Every folder and file that was looked at.
    pub watched: Vec<PathBuf>,
}

/// `migrations/settings/`.
#[derive(Debug, Default)]
pub(crate) struct DatabaseFolder {
    pub name: String,
    pub schema: Mode,
    pub data: Mode,
}

/// The files of one order of versions.
#[derive(Debug, Default)]
pub(crate) struct Mode {
    pub ups: Vec<SqlFile>,
    pub downs: Vec<SqlFile>,
}

/// One well-named `.sql` file.
#[derive(Debug)]
pub(crate) struct SqlFile {
    pub stem: Stem,
    /// For example `settings/V4__wifi.sql`.
    pub file: String,
    /// As it is in the file, line ends and byte order mark too.
    pub text: String,
}

struct Entry {
    name: String,
    path: PathBuf,
    is_folder: bool,
}

/// Reads the whole folder; what cannot be read is a problem, and the rest goes on.
pub(crate) fn walk(root: &Path, problems: &mut Vec<Problem>) -> Folder {
    let label = root
        .file_name()
        .map_or_else(|| "migrations".to_owned(), |name| name.to_string_lossy().into_owned());
    let mut folder = Folder { label, ..Folder::default() };
    let label = folder.label.clone();
    for entry in list(root, &label, &mut folder.watched, problems) {
        let shown = format!("{label}/{}", entry.name);
        if entry.is_folder {
            folder.databases.push(database(&entry, &label, &mut folder.watched, problems));
        } else if entry.name == CONFIGURATION {
            folder.configuration = read_text(&entry.path, &shown, problems);
        } else if entry.name == LOCK {
            folder.lock = read_text(&entry.path, &shown, problems);
        } else if !matches!(name::parse(&entry.name), Ok(Named::Other)) {
            let sentence = format!(
                "a migration belongs to a database; move this file into that database's folder, \
                 for example `{label}/settings/`"
            );
            problems.push(Problem::whole(&shown, sentence));
        }
    }
    folder
}

fn database(
    entry: &Entry,
    label: &str,
    watched: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) -> DatabaseFolder {
    let inside = entry.name.clone();
    let mut database = DatabaseFolder { name: entry.name.clone(), ..DatabaseFolder::default() };
    for child in list(&entry.path, &format!("{label}/{inside}"), watched, problems) {
        if !child.is_folder {
            take(&child, label, &inside, &mut database.schema, problems);
        } else if child.name == DATA {
            let inside = format!("{inside}/{DATA}");
            for file in list(&child.path, &format!("{label}/{inside}"), watched, problems) {
                if file.is_folder {
                    problems.push(stray_folder(label, &inside, &file.name));
                } else {
                    take(&file, label, &inside, &mut database.data, problems);
                }
            }
        } else {
            problems.push(stray_folder(label, &inside, &child.name));
        }
    }
    database
}

fn stray_folder(label: &str, inside: &str, name: &str) -> Problem {
    let sentence = format!(
        "a database's folder holds migrations and the one folder `{DATA}`; move this folder out of \
         `{label}`"
    );
    Problem::whole(&format!("{label}/{inside}/{name}"), sentence)
}

fn take(entry: &Entry, label: &str, inside: &str, mode: &mut Mode, problems: &mut Vec<Problem>) {
    let file = format!("{inside}/{}", entry.name);
    let shown = format!("{label}/{file}");
    let (files, stem) = match name::parse(&entry.name) {
        Ok(Named::Other) => return,
        Ok(Named::Up(stem)) => (&mut mode.ups, stem),
        Ok(Named::Down(stem)) => (&mut mode.downs, stem),
        Err(sentence) => return problems.push(Problem::whole(&shown, sentence)),
    };
    if let Some(text) = read_text(&entry.path, &shown, problems) {
        files.push(SqlFile { stem, file, text });
    }
}

/// What is in a folder, sorted by name, without hidden files.
fn list(
    path: &Path,
    shown: &str,
    watched: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) -> Vec<Entry> {
    watched.push(path.to_path_buf());
    let read = match fs::read_dir(path) {
        Ok(read) => read,
        Err(error) => {
            problems.push(Problem::whole(
                shown,
                format!("the folder cannot be read ({error}); make it, or name another one"),
            ));
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    for entry in read {
        match entry.map(|entry| (entry.file_name().into_string(), entry.path())) {
            Ok((Ok(name), _)) if name.starts_with('.') => {}
            Ok((Ok(name), path)) => entries.push(Entry { is_folder: path.is_dir(), name, path }),
            Ok((Err(name), _)) => {
                let sentence = "the file name is not UTF-8; write it with plain letters";
                problems
                    .push(Problem::whole(&format!("{shown}/{}", name.to_string_lossy()), sentence));
            }
            Err(error) => problems.push(Problem::whole(
                shown,
                format!("the folder cannot be listed ({error}); look at its permissions"),
            )),
        }
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    watched.extend(entries.iter().filter(|entry| !entry.is_folder).map(|entry| entry.path.clone()));
    entries
}

fn read_text(path: &Path, shown: &str, problems: &mut Vec<Problem>) -> Option<String> {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        problems.push(Problem::whole(shown, "this is no regular file; put the text itself here"));
        return None;
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            problems.push(Problem::whole(
                shown,
                format!("the file cannot be read ({error}); look at its permissions"),
            ));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default())
                .into_owned();
            let wrong = error.as_bytes().get(good).copied().unwrap_or_default();
            let (line, column) = place_after(&before);
            let sentence = format!("the byte 0x{wrong:02x} is not UTF-8; save this file as UTF-8");
            problems.push(Problem::at(shown, line, column, sentence));
            None
        }
    }
}

/// Line and column of what follows `before`.
pub fn place_after(before: &str) -> (u32, u32) {
    let lines = before.matches('\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    (number(lines), number(last.chars().count() + 1))
}
