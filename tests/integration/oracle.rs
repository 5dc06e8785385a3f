//! Owns the judgement of a database: rows by SQLite itself, history by the real refinery, files by
//! bytes.
//! Promises: reads a private copy of the files, so that looking changes nothing on the device.
//! Never calls the code under test.

use crate::product;
use refinery::{Migration, Runner};
use rusqlite::{Connection, OpenFlags};
use std::collections::hash_map::DefaultHasher;
use std::collections::BTreeMap;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// refinery's table, with its default name.
pub const HISTORY: &str = "refinery_schema_history";

/// What SQLite reads in the product's own tables: schema, values and types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Over every row of every table, and over every object of the schema.
    pub hash: u64,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
}

/// A copy of files in a folder of its own.
pub struct Copy {
    folder: TempDir,
    name: String,
}

/// `path` with something after its last letter.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

impl Copy {
    /// Copies the main file and its side files (never `-shm`: SQLite makes it again); `None`
    /// without a main file.
    pub fn of(main: &Path) -> Option<Copy> {
        let folder = tempfile::tempdir().unwrap();
        let name = main.file_name().unwrap().to_string_lossy().into_owned();
        fs::copy(main, folder.path().join(&name)).ok()?;
        for side in ["-wal", "-journal"] {
            let _ = fs::copy(beside(main, side), folder.path().join(format!("{name}{side}")));
        }
        Some(Copy { folder, name })
    }

    /// The copied main file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// SQLite, the ordinary way: a hot journal is rolled back, a WAL is read.
    pub fn open(&self) -> Connection {
        Connection::open_with_flags(self.path(), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap()
    }
}

/// What SQLite reads in the database under this name.
pub fn content(main: &Path) -> Result<Content, String> {
    let Some(copy) = Copy::of(main) else { return Err("absent".into()) };
    read(&copy.open()).map_err(|error| format!("unreadable ({error})"))
}

/// Every row and object of the product's own tables over an open connection.
pub fn read(connection: &Connection) -> rusqlite::Result<Content> {
    let mut hasher = DefaultHasher::new();
    let own = "name NOT LIKE 'sqlite_%' AND tbl_name <> ?1 AND tbl_name NOT LIKE 'bootmigrate%'";
    let mut schema = connection.prepare(&format!(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema WHERE {own} ORDER BY 1, \
         2"
    ))?;
    let objects: Vec<[String; 4]> = schema
        .query_map([HISTORY], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?
        .collect::<rusqlite::Result<_>>()?;
    objects.hash(&mut hasher);
    let mut rows = BTreeMap::new();
    for [kind, table, ..] in &objects {
        if kind == "table" {
            rows.insert(table.clone(), table_rows(connection, table, &mut hasher)?);
        }
    }
    Ok(Content { hash: hasher.finish(), rows })
}

fn table_rows(
    connection: &Connection,
    table: &str,
    hasher: &mut DefaultHasher,
) -> rusqlite::Result<u64> {
    let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let columns: Vec<String> = columns
        .query_map([table], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<_>>()?;
    let cells: Vec<String> = columns
        .iter()
        .map(|name| format!("typeof(\"{name}\") || ':' || quote(\"{name}\")"))
        .collect();
    let order: Vec<String> = (1..=cells.len()).map(|number| number.to_string()).collect();
    let sql = format!("SELECT {} FROM \"{table}\" ORDER BY {}", cells.join(", "), order.join(", "));
    let mut statement = connection.prepare(&sql)?;
    let mut found = statement.query([])?;
    let mut count = 0;
    while let Some(row) = found.next()? {
        for cell in 0..cells.len() {
            row.get::<_, String>(cell)?.hash(hasher);
        }
        count += 1;
    }
    Ok(count)
}

/// What the database must hold once the files of `folder` after `from` have run: by SQLite alone.
pub fn migrated(copy: &Copy, folder: &Path, database: &str, from: i32) -> Option<Content> {
    let connection = copy.open();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    for (file, sql) in product::read(folder, database) {
        if product::version(&file) > i64::from(from) {
            connection.execute_batch(&sql).ok()?;
        }
    }
    read(&connection).ok()
}

/// What a database made from nothing by these files holds; `None` where they fail.
pub fn fresh(folder: &Path, database: &str) -> Option<Content> {
    let empty = tempfile::tempdir().unwrap();
    let copy = Copy { folder: empty, name: "fresh.db".into() };
    Connection::open(copy.path()).unwrap();
    migrated(&copy, folder, database, 0)
}

/// refinery's view of a folder's files.
pub fn refinery(folder: &Path, database: &str) -> Vec<Migration> {
    product::read(folder, database)
        .iter()
        .map(|(file, sql)| Migration::unapplied(file.trim_end_matches(".sql"), sql).unwrap())
        .collect()
}

/// What is wrong with the database for an application and for refinery; empty when nothing is.
pub fn complaints(main: &Path, folder: &Path, database: &str) -> Vec<String> {
    let Some(copy) = Copy::of(main) else { return vec!["there is no database".into()] };
    let mut connection = copy.open();
    let mut found = Vec::new();
    for check in ["PRAGMA integrity_check", "PRAGMA foreign_key_check"] {
        let answer: rusqlite::Result<Vec<String>> =
            connection.prepare(check).and_then(|mut statement| {
                statement.query_map([], |row| row.get::<_, String>(0))?.collect()
            });
        match answer {
            Ok(rows) if rows.is_empty() || rows == ["ok"] => {}
            Ok(rows) => {
                found.push(format!("{check}: {} rows, first {:?}", rows.len(), rows.first()))
            }
            Err(error) => found.push(format!("{check}: {error}")),
        }
    }
    let files = refinery(folder, database);
    let runner = Runner::new(&files);
    match runner.get_applied_migrations(&mut connection) {
        Ok(applied) => {
            let versions: Vec<i64> =
                applied.iter().map(|migration| i64::from(migration.version())).collect();
            let wanted: Vec<i64> =
                product::read(folder, database).iter().map(|(f, _)| product::version(f)).collect();
            if versions != wanted {
                found.push(format!(
                    "refinery reads the history {versions:?}, the firmware has {wanted:?}"
                ));
            }
        }
        Err(error) => found.push(format!("refinery cannot read the history: {error}")),
    }
    match Runner::new(&files).run(&mut connection) {
        Ok(report) if report.applied_migrations().is_empty() => {}
        Ok(report) => {
            found.push(format!("refinery would apply {} more", report.applied_migrations().len()))
        }
        Err(error) => found.push(format!("refinery complains: {error}")),
    }
    found
}

/// One name on the device, as `lstat` and its bytes show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    content: u64,
    shape: (u32, u32, u32, u64),
    modified: (i64, i64),
}

/// Every name under `root` but what every run writes (`run/`, which is a tmpfs on a device) and a
/// test's ballast.
pub fn folder(root: &Path) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Entry>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        if name == "run" || name.ends_with("ballast") || name.ends_with("lost+found") {
            continue;
        }
        let data = fs::symlink_metadata(&path).unwrap();
        let mut hasher = DefaultHasher::new();
        if data.is_file() {
            fs::read(&path).unwrap().hash(&mut hasher);
        } else if data.is_symlink() {
            fs::read_link(&path).unwrap().hash(&mut hasher);
        }
        let size = if data.is_dir() { 0 } else { data.len() };
        let shape = (data.mode(), data.uid(), data.gid(), size);
        found.insert(
            name,
            Entry { content: hasher.finish(), shape, modified: (data.mtime(), data.mtime_nsec()) },
        );
        if data.is_dir() {
            walk(root, &path, found);
        }
    }
}

/// What differs between two looks at one folder, in the integration tests' words.
pub fn touched(before: &BTreeMap<String, Entry>, after: &BTreeMap<String, Entry>) -> String {
    let mut words = std::collections::BTreeSet::new();
    for name in before.keys().chain(after.keys()) {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            continue;
        }
        let times_only = matches!(
            (old, new),
            (Some(a), Some(b)) if a.content == b.content && a.shape == b.shape
        );
        let word = match (name.contains("/.bootmigrate"), name.contains(".db")) {
            (true, _) => "state".to_string(),
            (false, true) if times_only => "database (times alone)".to_string(),
            (false, true) => "database".to_string(),
            (false, false) if times_only => "folder".to_string(),
            (false, false) => name.clone(),
        };
        words.insert(word);
    }
    if words.len() > 1 {
        words.remove("folder");
    }
    if words.is_empty() {
        "nothing".into()
    } else {
        words.into_iter().collect::<Vec<_>>().join(", ")
    }
}

/// What SQLite writes at the end of a journal whose transaction had other databases too.
pub fn tail_of_super_journal(path: &str) -> Vec<u8> {
    let sum: u32 = path.bytes().map(u32::from).sum();
    let magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let length = u32::try_from(path.len()).unwrap();
    let page = [0, 0, 0, 0];
    [page.as_slice(), path.as_bytes(), &length.to_be_bytes(), &sum.to_be_bytes(), &magic].concat()
}
