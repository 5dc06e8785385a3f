//! Owns the making of a folder: versions, rows, how the power went, what is damaged.
//! Promises: 3 % are damaged, 2 % of newer firmware, 1 % another product's; the truth is written
//! down beside the folder.
//! Never a database that only this generator could make.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use rayon::prelude::*;
use rusqlite::Connection;
use serde_json::json;

use super::damage::damage;
use super::dice::Dice;
use super::rows;

/// Where the field databases come from.
const VERSIONS: [(&str, i64); 7] = [
    ("settings", 4),
    ("settings", 7),
    ("settings", 9),
    ("settings", 11),
    ("settings", 13),
    ("telemetry", 1),
    ("telemetry", 3),
];
/// Of newer firmware, whose migrations the rehearsal does not have.
const NEWER: [(&str, i64); 2] = [("settings", 15), ("telemetry", 5)];

/// A folder that is made.
pub struct Made {
    pub folder: PathBuf,
    pub workbench: PathBuf,
    pub migrations: PathBuf,
}

/// What one file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    Well,
    Newer,
    Damaged,
    Foreign,
}

impl Made {
    pub fn all(&self, count: u64, seed: u64) {
        let newer = self.newer_firmware();
        for (database, version) in VERSIONS {
            self.empty(&self.migrations, database, version);
        }
        for (database, version) in NEWER {
            self.empty(&newer, database, version);
        }
        let truths = truths(count, &mut Dice::of(seed, u64::MAX));
        let lines: Vec<String> = truths
            .par_iter()
            .enumerate()
            .map(|(number, truth)| self.one(number, *truth, &mut Dice::of(seed, number as u64)))
            .collect();
        fs::write(self.folder.join("truth.jsonl"), lines.concat()).unwrap();
        fs::remove_dir_all(self.folder.join("versions")).unwrap();
        fs::remove_dir_all(newer).unwrap();
    }

    /// The product's migrations and one more of each database.
    fn newer_firmware(&self) -> PathBuf {
        let newer = self.folder.join("newer");
        for database in ["settings", "telemetry"] {
            let from = fs::canonicalize(self.migrations.join(database)).unwrap();
            fs::create_dir_all(newer.join(database)).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                symlink(entry.path(), newer.join(database).join(entry.file_name())).unwrap();
            }
        }
        fs::copy(self.migrations.join("bootmigrate.toml"), newer.join("bootmigrate.toml")).unwrap();
        for (database, version) in NEWER {
            let file = |end| newer.join(format!("{database}/V{version}__later{end}"));
            fs::write(file(".sql"), "CREATE TABLE later (id INTEGER PRIMARY KEY);\n").unwrap();
            fs::write(file(".down.sql"), "DROP TABLE later;\n").unwrap();
        }
        newer
    }

    fn version_file(&self, database: &str, version: i64) -> PathBuf {
        self.folder.join(format!("versions/{database}-{version}.db"))
    }

    /// Made by the device's own program.
    fn empty(&self, migrations: &Path, database: &str, version: i64) {
        let root = self.folder.join("root");
        let live = root.join(format!("var/lib/gateway/{database}.db"));
        fs::create_dir_all(live.parent().unwrap()).unwrap();
        let ran = Command::new(&self.workbench)
            .arg("--migrations")
            .arg(migrations)
            .args(["device", "migrate", "--db", database, "--to", &version.to_string(), "--root"])
            .arg(&root)
            .output()
            .unwrap();
        assert!(live.exists(), "{database} at {version}: {ran:?}");
        fs::create_dir_all(self.folder.join("versions")).unwrap();
        fs::copy(live, self.version_file(database, version)).unwrap();
        fs::remove_dir_all(root).unwrap();
    }

    /// Makes one, and its line of the truth.
    fn one(&self, number: usize, truth: Truth, dice: &mut Dice) -> String {
        let (database, version) =
            *dice.one(if truth == Truth::Newer { NEWER.as_slice() } else { VERSIONS.as_slice() });
        let name = format!("device-{number:05}/{database}.db");
        let file = self.folder.join("field").join(&name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let (kind, how) = if truth == Truth::Foreign {
            rows::somebody_elses(&mut Connection::open(&file).unwrap(), dice);
            ("foreign", "another product's")
        } else {
            fs::copy(self.version_file(database, version), &file).unwrap();
            let mut connection = Connection::open(&file).unwrap();
            rows::fill(&mut connection, database, version.min(14), dice);
            match truth {
                Truth::Damaged => {
                    drop(connection);
                    ("damaged", damage(&file, dice))
                }
                Truth::Newer => ("newer", switched_off(connection, &file, database, dice)),
                _ => ("well", switched_off(connection, &file, database, dice)),
            }
        };
        let line = json!({"file": name, "kind": kind, "from": version, "how": how});
        format!("{line}\n")
    }
}

/// Exactly so many of each, in an order that is drawn.
fn truths(count: u64, dice: &mut Dice) -> Vec<Truth> {
    let mut truths: Vec<Truth> = (0..count)
        .map(|number| match number * 100 / count {
            0..=2 => Truth::Damaged,
            3..=4 => Truth::Newer,
            5 => Truth::Foreign,
            _ => Truth::Well,
        })
        .collect();
    for place in (1..truths.len()).rev() {
        truths.swap(place, dice.below(place as u64 + 1) as usize);
    }
    truths
}

/// What the application has left there.
fn switched_off(
    connection: Connection,
    file: &Path,
    database: &str,
    dice: &mut Dice,
) -> &'static str {
    let how = dice.below(4);
    if how == 0 {
        return "closed";
    }
    let side = if how == 3 { "-journal" } else { "-wal" };
    if how == 3 {
        connection.execute_batch("PRAGMA journal_mode = DELETE").unwrap();
        rows::change_all(&connection, database);
    } else {
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;")
            .unwrap();
        // Nothing changes, and the write is in the -wal.
        rows::write_again(&connection, database);
    }
    if how == 1 {
        return "closed, in WAL mode";
    }
    let beside = PathBuf::from(format!("{}{side}", file.display()));
    let (main, rest) = (fs::read(file).unwrap(), fs::read(&beside).unwrap());
    drop(connection);
    fs::write(file, main).unwrap();
    fs::write(beside, rest).unwrap();
    if how == 2 {
        "switched off, with a -wal"
    } else {
        "switched off in a transaction"
    }
}
