//! Owns which file names are taken: those of a database, of its side files, of its state folder,
//! and those of the program itself.
//! Promises: names that some file system takes for the same one are the same here; the letters'
//! case counts nowhere.
//! Never looks at the file system: whoever follows links does so before asking.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// Where ready files and the report lie.
pub const RUN_FOLDER: &str = "/run/bootmigrate";
/// Where the device may override single keys.
pub const DEVICE_FILE: &str = "/etc/bootmigrate.toml";
/// The folder beside a database that holds the state folders.
pub const STATE_FOLDER: &str = ".bootmigrate";

/// A name that is taken.
#[derive(Debug, Clone)]
pub struct Taken {
    path: PathBuf,
    what: String,
}

/// What a path has to do with a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Same,
    Below,
    Above,
}

/// Why a path cannot be used: it continues a sentence that begins with the path.
#[derive(Debug, Clone)]
pub struct Conflict<'t> {
    relation: Relation,
    taken: &'t Taken,
    /// The names differ, in the case of their letters alone.
    by_case: bool,
}

/// The name under which a new main file stands for the moment before it takes the database's name.
pub fn beside(main: &Path) -> PathBuf {
    let name = main.file_name().unwrap_or_default().to_string_lossy();
    main.with_file_name(format!(".{name}.new"))
}

/// The state folder of a database.
pub fn state_folder(main: &Path) -> PathBuf {
    let folder = main.parent().unwrap_or(Path::new("/"));
    folder.join(STATE_FOLDER).join(main.file_name().unwrap_or_default())
}

/// A side file of SQLite's, by its suffix.
pub fn side(main: &Path, suffix: &str) -> PathBuf {
    let mut name = main.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The names that go with this database.
pub fn of_database(database: &str, main: &Path) -> Vec<Taken> {
    let taken = |path: PathBuf, what: &str| Taken { path, what: format!("{what} {database}") };
    vec![
        taken(main.to_path_buf(), "the database"),
        taken(side(main, "-wal"), "the WAL of"),
        taken(side(main, "-shm"), "the shared memory of"),
        taken(side(main, "-journal"), "the journal of"),
        taken(beside(main), "the temporary name of a new file of"),
        taken(state_folder(main), "the state folder of"),
    ]
}

/// The program's own names; `place` puts them where this device has them.
pub fn of_the_program(place: impl Fn(&Path) -> PathBuf) -> [Taken; 2] {
    let taken =
        |path: &str, what: &str| Taken { path: place(Path::new(path)), what: what.to_owned() };
    [
        taken(RUN_FOLDER, "the folder of ready files and of the report"),
        taken(DEVICE_FILE, "the device's configuration file"),
    ]
}

/// The first of these names that a file at `path` would be, lie below, or stand above.
pub fn conflict<'t>(
    path: &Path,
    taken: impl IntoIterator<Item = &'t Taken>,
) -> Option<Conflict<'t>> {
    let steps = folded(path);
    taken.into_iter().find_map(|taken| {
        let theirs = folded(&taken.path);
        let relation = match (steps.starts_with(&theirs), theirs.starts_with(&steps)) {
            (true, true) => Relation::Same,
            (true, false) => Relation::Below,
            (false, true) => Relation::Above,
            (false, false) => return None,
        };
        let by_case = !path.starts_with(&taken.path) && !taken.path.starts_with(path);
        Some(Conflict { relation, taken, by_case })
    })
}

/// No file of these is in conflict with a name that goes with another, or with the program's: found
/// in one pass, however many there are. Who it is with, [`conflict`] says.
pub fn all_apart(files: &[(&Path, Vec<Taken>)], program: &[Taken]) -> bool {
    let mut owners: BTreeMap<Vec<String>, Option<usize>> = BTreeMap::new();
    let of_files = files
        .iter()
        .enumerate()
        .flat_map(|(owner, (_, names))| names.iter().map(move |name| (name, Some(owner))));
    for (name, owner) in of_files.chain(program.iter().map(|name| (name, None))) {
        if owners.insert(folded(&name.path), owner).is_some() {
            return false;
        }
    }
    files.iter().enumerate().all(|(own, (file, _))| {
        let steps = folded(file);
        let others = |owner: &Option<usize>| *owner != Some(own);
        let above =
            (1..steps.len()).filter_map(|length| owners.get(steps.get(..length)?)).any(others);
        let from_here =
            owners.range::<[String], _>((Bound::Included(steps.as_slice()), Bound::Unbounded));
        !above
            && !from_here
                .take_while(|(name, _)| name.starts_with(&steps))
                .any(|(_, owner)| others(owner))
    })
}

/// As [`conflict`], for a folder that may stand above any of them.
pub fn conflict_of_folder<'t>(
    path: &Path,
    taken: impl IntoIterator<Item = &'t Taken>,
) -> Option<Conflict<'t>> {
    let above = |taken: &Taken| {
        conflict(path, [taken]).is_some_and(|conflict| conflict.relation == Relation::Above)
    };
    conflict(path, taken.into_iter().filter(|taken| !above(taken)))
}

/// The steps of a path, as a file system that ignores case compares them: upper case first, so that
/// `ß` and `SS` are one.
fn folded(path: &Path) -> Vec<String> {
    path.components()
        .map(|step| step.as_os_str().to_string_lossy().to_uppercase().to_lowercase())
        .collect()
}

impl fmt::Display for Conflict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Taken { path, what } = self.taken;
        let shown = path.display();
        match self.relation {
            Relation::Same if self.by_case => {
                write!(f, "is {what} ({shown}) where the case of letters does not count")
            }
            Relation::Same => write!(f, "is {what}"),
            Relation::Below => write!(f, "lies below {what} ({shown})"),
            Relation::Above => write!(f, "is a folder above {what} ({shown})"),
        }
    }
}
