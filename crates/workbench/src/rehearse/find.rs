//! Owns which files of a folder are field databases, and of which database of the product.
//! Promises: sorted by path, so that parts of a folder are the same on every machine.
//! Never opens a file for writing.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bootmigrate_build::Product;

/// How an SQLite database begins.
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// What SQLite leaves beside a database.
const SIDES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// One field database.
pub struct Item {
    pub path: PathBuf,
    /// Its path in the folder.
    pub shown: String,
    /// Of the main file; `None` where it is not here yet.
    pub bytes: Option<u64>,
    /// What is in a listing beside it: `-wal`, `-journal`.
    pub sides: Vec<&'static str>,
    /// The product's name for it; `None` where neither name nor folder says.
    pub database: Option<String>,
}

/// All of a folder, or the one file.
///
/// # Errors
/// What cannot be read.
pub fn find(product: &Product, folder: &Path, only: Option<&str>) -> Result<Vec<Item>> {
    let mut paths = Vec::new();
    if folder.is_dir() {
        walk(product, folder, &mut paths)?;
    } else {
        paths.push(folder.to_path_buf());
    }
    paths.sort();
    let mut items = Vec::new();
    for path in paths {
        let bytes = fs::metadata(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?
            .len();
        let inside = path.strip_prefix(folder).ok().filter(|inside| !inside.as_os_str().is_empty());
        let shown = inside.unwrap_or(&path).to_string_lossy().into_owned();
        let database = only.map(str::to_owned).or_else(|| whose(product, &path));
        items.push(Item { shown, bytes: Some(bytes), sides: Vec::new(), database, path });
    }
    Ok(items)
}

/// Every database of a listing.
///
/// # Errors
/// The listing cannot be read.
pub fn listed(product: &Product, listing: &Path, only: Option<&str>) -> Result<Vec<Item>> {
    let text = fs::read_to_string(listing)
        .with_context(|| format!("{} cannot be read", listing.display()))?;
    let names: BTreeSet<&str> =
        text.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    let main = names.iter().filter(|name| !SIDES.iter().any(|side| name.ends_with(side)));
    let item = |name: &&str| Item {
        path: PathBuf::from(name),
        shown: (*name).to_owned(),
        bytes: None,
        sides: SIDES.into_iter().filter(|side| names.contains(&*format!("{name}{side}"))).collect(),
        database: only.map(str::to_owned).or_else(|| whose(product, Path::new(name))),
    };
    Ok(main.map(item).collect())
}

fn walk(product: &Product, folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let databases = &product.settings.databases;
    for entry in
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?
    {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() && !name.starts_with('.') {
            walk(product, &path, found)?;
        } else if !name.starts_with('.') && path.is_file() {
            // One with such a name is the database, however it begins.
            let is_named = |file: &OsStr| file.to_string_lossy() == name;
            let named = databases.iter().any(|one| one.path.file_name().is_some_and(is_named));
            if named || is_database(&path, &name) {
                found.push(path);
            }
        }
    }
    Ok(())
}

/// By its name, or by how it begins.
fn is_database(path: &Path, name: &str) -> bool {
    if SIDES.iter().any(|side| name.ends_with(side)) {
        return false;
    }
    let mut start = [0; 16];
    let mut begins = || {
        File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
            && start == *HEADER
    };
    [".db", ".sqlite", ".sqlite3", ".db3"].iter().any(|end| name.ends_with(end)) || begins()
}

/// The one database whose file has this name; else whose name a folder has, or the file's name
/// begins with.
fn whose(product: &Product, path: &Path) -> Option<String> {
    let databases = &product.settings.databases;
    if let [one] = databases.as_slice() {
        return Some(one.name.clone());
    }
    let file = path.file_name()?.to_string_lossy().into_owned();
    let one_of = |fits: &dyn Fn(&bootmigrate_build::config::DatabaseSettings) -> bool| {
        let mut found = databases.iter().filter(|entry| fits(entry));
        found.next().filter(|_| found.next().is_none()).map(|entry| entry.name.clone())
    };
    let folders: Vec<String> =
        path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    one_of(&|entry| entry.path.file_name().is_some_and(|name| name.to_string_lossy() == file))
        .or_else(|| one_of(&|entry| folders.contains(&entry.name)))
        .or_else(|| one_of(&|entry| file.starts_with(&entry.name)))
}
