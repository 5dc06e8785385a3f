//! Owns the data partition of the boot lab's device: six databases, each in another situation when
//! the new firmware boots.
//! Promises: made by plain SQLite, as refinery's history has it; what must become of each database
//! is computed by plain SQLite too.
//! Never asks the program under test what is right; it makes one snapshot, in an ordinary boot of
//! one database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use refinery_core::Migration;
use rusqlite::Connection;

use super::{ran, Program};
use crate::dump::{take, Stands};
use crate::real_files::{copied, look};

/// Where the partition is mounted on the device.
pub const HOME: &str = "var/lib/gateway";
/// Size of the file system, in MiB. Behind it lies one MiB for the marks of [`super::write_log`].
pub const FILE_SYSTEM_MIB: u64 = 23;
/// The user of the databases: the image makes `gateway` under this number.
pub const OWNER: u32 = 990;

/// The names of the databases, in the order of the configuration.
pub const NAMES: [&str; 6] = ["settings", "events", "archive", "telemetry", "identity", "fresh"];

const ROWS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) \
                    INSERT INTO sensor SELECT i, 'sensor ' || i, i % 7 FROM n; WITH RECURSIVE n(i) \
                    AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO reading \
                    SELECT i, 1 + i % 40, i / 7.0, printf('%0200d', i) FROM n;";
const LATER: &str =
    "INSERT INTO sensor VALUES (50, 'later', 1); UPDATE reading SET value = -value WHERE id < 90;";
const UNFINISHED: &str =
    "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; UPDATE \
     reading SET note = note || 'unfinished'; INSERT INTO sensor VALUES (51, 'unfinished', 1);";

/// What one database is before, and what it must be in the end.
pub struct Expected {
    /// Its name.
    pub name: &'static str,
    /// What stands under its name before.
    pub old: Stands,
    /// Schema, rows and history when the new firmware is done.
    pub new: String,
    /// Data is lost on the way: 11 must be reported, and the old files are in quarantine.
    pub loss: bool,
}

/// The device before the boot that is judged.
pub struct DataPartition {
    /// The partition as a file: an ext4, and room for marks behind it.
    pub image: PathBuf,
    /// One for each of [`NAMES`].
    pub databases: Vec<Expected>,
}

impl DataPartition {
    /// Makes it in `work`, with the new firmware's program and its folder of migrations.
    pub fn make(work: &Path, program: &Program, migrations: &Path) -> DataPartition {
        let root = work.join("data_partition");
        let home = root.join(HOME);
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(root.join("run")).unwrap();
        let at_one = |name: &str| applied(&home, migrations, name, 0, 1);
        at_one("identity").execute_batch(ROWS).unwrap();
        // The new firmware's first boot makes the snapshot of schema 1. Then rows come, and the
        // header breaks.
        let made = program.run(&root, &["--db", "identity"]);
        assert_eq!(made.exit, Some(0), "the boot that makes the data_partition: {}", made.stderr);
        Connection::open(home.join("identity.db"))
            .unwrap()
            .execute_batch("DELETE FROM reading WHERE id > 100")
            .unwrap();
        let identity = expected_of(&home, migrations, "identity", 1, None);
        break_header(&home.join("identity.db"));
        leave_open(&home, "settings", at_one("settings"), "DELETE");
        leave_open(&home, "events", at_one("events"), "WAL");
        leave_open(&home, "telemetry", at_one("telemetry"), "WAL");
        at_one("archive").execute_batch(ROWS).unwrap();
        let database = |name: &'static str| match name {
            "identity" => Expected {
                name,
                old: look(&home.join("identity.db")),
                new: identity.clone(),
                loss: true,
            },
            "telemetry" => {
                let fresh = expected_of(&home, migrations, name, 0, None);
                Expected { name, old: look(&home.join("telemetry.db")), new: fresh, loss: true }
            }
            "fresh" => Expected {
                name,
                old: Stands::Absent,
                new: expected_of(&home, migrations, name, 0, None),
                loss: false,
            },
            _ => {
                let main = home.join(format!("{name}.db"));
                Expected {
                    name,
                    old: look(&main),
                    new: expected_of(&home, migrations, name, 1, Some(&main)),
                    loss: false,
                }
            }
        };
        let databases: Vec<Expected> = NAMES.into_iter().map(database).collect();
        for one in &databases {
            let broken = one.name == "identity";
            assert!(
                matches!(one.old, Stands::Broken(..)) == broken,
                "{} is not as it should be: {:?}",
                one.name,
                one.old
            );
        }
        ran(Command::new("chown").args(["-R", &format!("{OWNER}:{OWNER}")]).arg(&home));
        let image = work.join("partition.img");
        fs::File::create(&image).unwrap().set_len((FILE_SYSTEM_MIB + 1) << 20).unwrap();
        ran(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0", "-d"])
            .arg(&home)
            .arg(&image)
            .arg(format!("{FILE_SYSTEM_MIB}M")));
        DataPartition { image, databases }
    }

    /// The one with this name.
    pub fn database(&self, name: &str) -> &Expected {
        self.databases.iter().find(|database| database.name == name).expect("a name of NAMES")
    }
}

/// The migrations of one database, oldest first.
fn files(migrations: &Path, name: &str) -> Vec<Migration> {
    let entries = fs::read_dir(migrations.join(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<Migration> = entries
        .map(|path| {
            Migration::unapplied(
                &path.file_stem().unwrap().to_string_lossy(),
                &fs::read_to_string(&path).unwrap(),
            )
            .unwrap()
        })
        .collect();
    files.sort_by_key(Migration::version);
    files
}

/// Applies the migrations `after` to `up_to` as refinery records them; the connection stays open.
fn applied(home: &Path, migrations: &Path, name: &str, after: i32, up_to: i32) -> Connection {
    let connection = Connection::open(home.join(format!("{name}.db"))).unwrap();
    apply(&connection, migrations, name, after, up_to);
    connection
}

fn apply(connection: &Connection, migrations: &Path, name: &str, after: i32, up_to: i32) {
    let history = "PRAGMA foreign_keys = OFF; CREATE TABLE IF NOT EXISTS \
                   refinery_schema_history(version INT4 PRIMARY KEY, name VARCHAR(255), applied_on \
                   VARCHAR(255), checksum VARCHAR(255));";
    connection.execute_batch(history).unwrap();
    for file in
        files(migrations, name).iter().filter(|file| (after + 1..=up_to).contains(&file.version()))
    {
        connection
            .execute_batch(file.sql().unwrap())
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let row =
            (file.version(), file.name(), "2026-01-01T00:00:00Z", file.checksum().to_string());
        connection
            .execute("INSERT INTO refinery_schema_history VALUES (?1, ?2, ?3, ?4)", row)
            .unwrap();
    }
}

/// What plain SQLite makes of it: from a copy of `main`, or from nothing (with the application's
/// rows at `after`).
fn expected_of(
    home: &Path,
    migrations: &Path,
    name: &str,
    after: i32,
    main: Option<&Path>,
) -> String {
    let folder = tempfile::tempdir_in(home).unwrap();
    let copy =
        main.map_or_else(|| folder.path().join("new.db"), |main| copied(main, folder.path()));
    let connection = Connection::open(copy).unwrap();
    if main.is_none() {
        apply(&connection, migrations, name, 0, after);
        if after > 0 {
            connection.execute_batch(ROWS).unwrap();
        }
    }
    apply(&connection, migrations, name, after, i32::MAX);
    take(&connection).unwrap().text
}

/// The application's rows, acknowledged; then a change in whose middle the power goes.
fn leave_open(home: &Path, name: &str, connection: Connection, journal: &str) {
    connection.pragma_update(None, "journal_mode", journal).unwrap();
    connection.pragma_update(None, "synchronous", "EXTRA").unwrap();
    for sql in [ROWS, LATER, UNFINISHED] {
        connection.execute_batch(sql).unwrap();
    }
    let aside = tempfile::tempdir_in(home.parent().unwrap()).unwrap();
    let main = home.join(format!("{name}.db"));
    copied(&main, aside.path());
    drop(connection);
    for entry in fs::read_dir(aside.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, home.join(path.file_name().unwrap())).unwrap();
    }
    let side = if journal == "WAL" { "-wal" } else { "-journal" };
    let left = fs::read(format!("{}{side}", main.display())).unwrap_or_default();
    assert!(left.first().is_some_and(|byte| *byte != 0), "{name} has no {side} left");
}

fn break_header(main: &Path) {
    let mut bytes = fs::read(main).unwrap();
    bytes[..16].fill(0x55);
    fs::write(main, bytes).unwrap();
}
