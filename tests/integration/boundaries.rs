//! Owns the judgement of where migrations meet: everything in one boot, a boot a version, and step
//! by step must end alike.
//! Promises: what they must end at is made and read by plain SQLite, each file on a connection of
//! its own.
//! Never compares two runs of the program with each other alone.

use crate::device::TestDevice;
use crate::oracle::{Copy, HISTORY};
use rusqlite::{Connection, Row};
use std::fs;
use std::path::Path;

/// A firmware's migrations of `settings`, and what an application writes once the first of them has
/// run.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Names and texts, oldest first.
    pub files: Vec<(String, String)>,
    /// Ways back, with the names of the files.
    pub downs: Vec<(String, String)>,
    /// Lines of `[databases.settings]`.
    pub keys: Vec<String>,
    /// All of them were released before bootmigrate.
    pub adopted: bool,
    /// An application's statements.
    pub rows: String,
    /// How many files have run when it writes them; 0 is 1.
    pub rows_after: usize,
}

impl Catalogue {
    /// With V1, V2 and so on of these texts.
    pub fn of(texts: &[&str]) -> Catalogue {
        let files = texts
            .iter()
            .zip(1..)
            .map(|(text, version)| (format!("V{version}__file.sql"), format!("{text}\n")));
        Catalogue { files: files.collect(), ..Catalogue::default() }
    }

    /// The migrations of a folder, with their ways back.
    pub fn read(folder: &Path) -> Catalogue {
        let names = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let (downs, mut ups): (Vec<String>, Vec<String>) = names
            .filter(|name| name.ends_with(".sql"))
            .partition(|name| name.ends_with(".down.sql"));
        ups.sort_by_key(|name| name[1..].split("__").next().unwrap().parse::<usize>().unwrap());
        let text = |name: String| {
            (name.replace(".down.sql", ".sql"), fs::read_to_string(folder.join(name)).unwrap())
        };
        Catalogue {
            files: ups.into_iter().map(text).collect(),
            downs: downs.into_iter().map(text).collect(),
            ..Catalogue::default()
        }
    }

    fn written_after(&self) -> usize {
        self.rows_after.max(1)
    }

    /// `user_version = "ours"`.
    pub fn counts(&self) -> bool {
        self.keys.iter().any(|key| key.contains("\"ours\""))
    }
}

/// How a firmware's migrations come to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// The newest firmware boots.
    OneBoot,
    /// Every firmware in between boots.
    BootAVersion,
    /// The newest firmware, by `migrate --step 1`.
    Steps,
}

/// All of them.
pub const PACES: [Pace; 3] = [Pace::OneBoot, Pace::BootAVersion, Pace::Steps];

/// What a file says that runs with foreign keys enforced.
const ENFORCED: &str = "-- bootmigrate: foreign-keys = enforced";

/// Everything that an application can see: a line an object, and a line a row.
pub type Observation = Vec<String>;

fn text(row: &Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}

fn lines(connection: &Connection, sql: &str) -> rusqlite::Result<Observation> {
    connection.prepare(sql)?.query_map([], text)?.collect()
}

/// What plain SQLite sees; a virtual table by its rows, for how it stores them depends on when it
/// was told to commit.
///
/// # Errors
/// SQLite's words.
pub fn see(connection: &Connection) -> rusqlite::Result<Observation> {
    let own = format!(
        "name NOT IN (SELECT name FROM pragma_table_list WHERE type = 'shadow') AND tbl_name <> \
         '{HISTORY}' AND tbl_name NOT LIKE 'bootmigrate%'"
    );
    let mut seen = lines(
        connection,
        &format!(
            "SELECT type || ' ' || name || ' on ' || tbl_name || ': ' || coalesce(sql, '') FROM \
             sqlite_schema WHERE {own} AND name NOT LIKE 'sqlite_stat%' ORDER BY 1"
        ),
    )?;
    let tables = lines(
        connection,
        &format!(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND {own} AND name NOT LIKE \
             'sqlite_stat%' ORDER BY 1"
        ),
    )?;
    for table in tables {
        let cells = lines(
            connection,
            &format!(
                "SELECT 'quote(\"' || name || '\")' FROM pragma_table_xinfo('{table}') WHERE \
                 hidden <> 1"
            ),
        )?;
        let rowid = connection.prepare(&format!("SELECT rowid FROM \"{table}\"")).is_ok()
            && table != "sqlite_sequence";
        let rowid = if rowid { "rowid" } else { "''" };
        let only = if table == "sqlite_sequence" {
            format!("WHERE name NOT LIKE 'bootmigrate%' AND name <> '{HISTORY}'")
        } else {
            String::new()
        };
        let rows = lines(
            connection,
            &format!(
                "SELECT {rowid} || '|' || {} FROM \"{table}\" {only} ORDER BY 1",
                cells.join(" || ',' || ")
            ),
        )?;
        seen.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
    }
    for pragma in ["page_size", "auto_vacuum", "application_id"] {
        seen.extend(lines(
            connection,
            &format!("SELECT '{pragma} ' || {pragma} FROM pragma_{pragma}"),
        )?);
    }
    seen.extend(lines(
        connection,
        "SELECT 'integrity ' || integrity_check FROM pragma_integrity_check",
    )?);
    Ok(seen)
}

/// What is in the database under this name, and its history's versions.
pub fn look(main: &Path) -> Result<(Observation, Vec<String>), String> {
    let copy = Copy::of(main).ok_or("there is no database")?;
    let connection = copy.open();
    let read = || {
        Ok((
            see(&connection)?,
            lines(
                &connection,
                &format!("SELECT CAST(version AS TEXT) FROM {HISTORY} ORDER BY version"),
            )?,
        ))
    };
    read().map_err(|error: rusqlite::Error| error.to_string())
}

/// Runs a text as a migration on a connection of its own.
///
/// # Errors
/// SQLite's words; nothing has changed.
pub fn apply(path: &Path, sql: &str, user_version: Option<usize>) -> Result<(), String> {
    let connection = Connection::open(path).unwrap();
    let enforced = if sql.contains(ENFORCED) { "ON" } else { "OFF" };
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF; PRAGMA foreign_keys = {enforced}; PRAGMA trusted_schema = \
             OFF"
        ))
        .unwrap();
    // Beside an R*Tree that was written SQLite would keep its LIKE, and mark it as case-sensitive
    // for every connection of this process.
    let sql = &sql.replace(
        "PRAGMA case_sensitive_like",
        "SAVEPOINT recovered; RELEASE recovered; PRAGMA case_sensitive_like",
    );
    let whole = if sql.contains("no-transaction") {
        sql.to_owned()
    } else {
        format!("BEGIN;\n{sql}\n;COMMIT")
    };
    connection.execute_batch(&whole).map_err(|error| error.to_string())?;
    if let Some(version) = user_version {
        connection.execute_batch(&format!("PRAGMA user_version = {version}")).unwrap();
    }
    Ok(())
}

/// By plain SQLite: what the files make, from nothing or with the application's rows.
pub fn wanted(catalogue: &Catalogue, with_rows: bool) -> Result<Observation, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.db");
    make(&path, catalogue, with_rows)?;
    see(&Connection::open(&path).unwrap()).map_err(|error| error.to_string())
}

/// Makes that database.
///
/// # Errors
/// SQLite's words.
pub fn make(path: &Path, catalogue: &Catalogue, with_rows: bool) -> Result<(), String> {
    // refinery makes its table before all others: a page size and the like are fixed by then.
    apply(path, &format!("CREATE TABLE {HISTORY}(version int4 PRIMARY KEY)"), None)?;
    for (version, (name, sql)) in (1..).zip(&catalogue.files) {
        let enforced =
            catalogue.keys.iter().any(|key| key == "baseline_foreign_keys = \"enforced\"");
        let sql = if enforced { format!("{ENFORCED}\n{sql}") } else { sql.clone() };
        apply(path, &sql, catalogue.counts().then_some(version))
            .map_err(|error| format!("{name}: {error}"))?;
        if version == catalogue.written_after() && with_rows {
            apply(path, &catalogue.rows, None)?;
        }
    }
    Ok(())
}

/// A device without a database, whose firmware has these files as far as the version.
pub fn new_device(catalogue: &Catalogue, version: usize) -> TestDevice {
    let device = catalogue.keys.iter().fold(TestDevice::empty(0), |device, key| device.key(key));
    let device = if catalogue.adopted { device.key("baseline_version = 0") } else { device };
    carry(&device, catalogue, version);
    device
}

/// The firmware carries these files, and no others.
pub fn carry(device: &TestDevice, catalogue: &Catalogue, version: usize) {
    let folder = device.firmware_folder().join("settings");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, sql) in &catalogue.files[..version] {
        fs::write(folder.join(name), sql).unwrap();
        let down = catalogue.downs.iter().find(|(of, _)| of == name);
        if let Some((_, sql)) = down {
            fs::write(folder.join(name.replace(".sql", ".down.sql")), sql).unwrap();
        }
    }
    if catalogue.adopted {
        let configuration = device.firmware_folder().join("bootmigrate.toml");
        let adopted = |line: &str| {
            if line.starts_with("baseline_version") {
                format!("baseline_version = {version}")
            } else {
                line.to_owned()
            }
        };
        let text: Vec<String> =
            fs::read_to_string(&configuration).unwrap().lines().map(adopted).collect();
        fs::write(&configuration, text.join("\n")).unwrap();
    }
}

/// Brings a device from the first `done` files to all of them.
///
/// # Errors
/// What a run said that did not end with 0.
pub fn upgrade(
    device: &TestDevice,
    catalogue: &Catalogue,
    done: usize,
    pace: Pace,
) -> Result<(), String> {
    let run = |words: &[&str]| {
        let ran = device.run(words);
        if ran.exit == "0" {
            Ok(())
        } else {
            Err(format!("{words:?} exits {}: {}", ran.exit, ran.stderr))
        }
    };
    let last = catalogue.files.len();
    match pace {
        Pace::OneBoot => {
            carry(device, catalogue, last);
            run(&["run"])
        }
        Pace::BootAVersion => (done + 1..=last).try_for_each(|version| {
            carry(device, catalogue, version);
            run(&["run"])
        }),
        Pace::Steps => {
            carry(device, catalogue, last);
            (done + 1..last).try_for_each(|_| {
                // What is short of the firmware's version is not ready.
                let ran = device.run(&["migrate", "--step", "1"]);
                if ran.exit == "3" || ran.exit == "0" {
                    Ok(())
                } else {
                    Err(format!("a step exits {}: {}", ran.exit, ran.stderr))
                }
            })?;
            run(&["migrate", "--step", "1"])
        }
    }
}

/// The history and the content of the device are what plain SQLite has made.
pub fn compare(device: &TestDevice, wanted: &Observation, versions: usize) -> Result<(), String> {
    let (seen, history) = look(&device.main())?;
    let all: Vec<String> = (1..=versions).map(|version| version.to_string()).collect();
    if history != all {
        return Err(format!("the history is {history:?}"));
    }
    let missing: Observation = wanted.iter().filter(|line| !seen.contains(line)).cloned().collect();
    let more: Observation = seen.iter().filter(|line| !wanted.contains(line)).cloned().collect();
    if *wanted == seen {
        Ok(())
    } else {
        Err(format!(
            "{} lines of {}\n    missing: {missing:?}\n    more:    {more:?}",
            seen.len(),
            wanted.len()
        ))
    }
}

/// Every way from nothing, and from where an application has written its rows, at these paces. What
/// differs, a line each.
pub fn judge(catalogue: &Catalogue, paces: &[Pace]) -> Vec<String> {
    let mut found = Vec::new();
    for with_rows in [false, true] {
        let wanted = match wanted(catalogue, with_rows) {
            Ok(wanted) => wanted,
            Err(error) => return vec![format!("plain SQLite refuses it: {error}")],
        };
        for pace in paces {
            let device = new_device(catalogue, catalogue.written_after());
            let mut done = 0;
            if with_rows {
                done = catalogue.written_after();
                let ran = device.run(&["run"]);
                if ran.exit != "0" {
                    return vec![format!("the first version: {}", ran.stderr)];
                }
                apply(&device.main(), &catalogue.rows, None).unwrap();
            }
            let ended = upgrade(&device, catalogue, done, *pace)
                .and_then(|()| compare(&device, &wanted, catalogue.files.len()));
            if let Err(what) = ended {
                found.push(format!(
                    "{pace:?}, {}: {what}",
                    if with_rows { "with rows" } else { "from nothing" }
                ));
            }
        }
    }
    found
}
