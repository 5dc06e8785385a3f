//! Owns the product that the integration tests boot: a history of SQL files as a firmware team
//! would have grown it.
//! Promises: a first boot alone makes 1,000 parents and 1,000 children, so that lost rows always
//! show.
//! Never holds a migration that fails: a test brings its own bad file.

use std::fs;
use std::path::Path;

/// File names (refinery's) and texts, oldest first.
pub const FILES: &[(&str, &str)] = &[
    ("V10__parents.sql", PARENTS),
    ("V20__children.sql", CHILDREN),
    ("V30__look.sql", LOOK),
    ("V40__stamp.sql", STAMP),
    ("V41__rebuild_parents.sql", REBUILD),
    ("V42__preferences.sql", PREFERENCES),
    ("V50__compact.sql", COMPACT),
];

const PARENTS: &str = "\
                       CREATE TABLE parent (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    reading REAL,
    raw BLOB,
    badge ANY
);
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
INSERT INTO parent (id, name, reading, badge) SELECT i, 'factory-' || i, i / 8.0, i FROM n;
";

const CHILDREN: &str = "\
                        CREATE TABLE child (
    id INTEGER PRIMARY KEY,
    parent_id INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE,
    label TEXT,
    amount ANY
);
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
INSERT INTO child (id, parent_id, label, amount) SELECT i, i, 'default', i FROM n;
";

const LOOK: &str = "\
                    CREATE INDEX child_parent ON child (parent_id);
CREATE VIEW family AS SELECT p.name, c.label FROM parent p JOIN child c ON c.parent_id = p.id;
";

const STAMP: &str = "\
                     ALTER TABLE child ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER child_changes AFTER UPDATE OF label ON child BEGIN
    UPDATE child SET changes = changes + 1 WHERE id = NEW.id;
END;
";

const REBUILD: &str = "\
                       -- A column changes its type: SQLite's recipe, with children that cascade.
DROP VIEW family;
CREATE TABLE parent_new (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    reading REAL,
    raw BLOB,
    badge TEXT
);
INSERT INTO parent_new SELECT id, name, reading, raw, badge FROM parent;
DROP TABLE parent;
ALTER TABLE parent_new RENAME TO parent;
CREATE VIEW family AS SELECT p.name, c.label FROM parent p JOIN child c ON c.parent_id = p.id;
";

const PREFERENCES: &str = "\
                           CREATE TABLE preference (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO preference SELECT 'parents', count(*) FROM parent;
";

const COMPACT: &str = "\
                       -- bootmigrate: no-transaction
PRAGMA page_size = 8192;
VACUUM;
";

/// Fails on what an application wrote, not on a fresh database: two parents share a badge.
pub const UNIQUE_BADGE: (&str, &str) =
    ("V41__unique_badge.sql", "CREATE UNIQUE INDEX parent_badge ON parent (badge);\n");

/// Fails everywhere, at line 12, column 5, in statement 4 of 5.
pub const BROKEN: (&str, &str) = (
    "V41__x.sql",
    "-- Three good statements.
CREATE TABLE sensor (id INTEGER PRIMARY KEY);
INSERT INTO sensor VALUES (1);
UPDATE parent SET reading = 0;

-- The name in the next one is wrong.
INSERT INTO sensor
SELECT
    id
FROM parent
WHERE
    nowhere = 1;
CREATE TABLE never (id);
",
);

/// Leaves every child of a parent with an even number without it.
pub const ORPHANS: (&str, &str) =
    ("V41__orphans.sql", "DELETE FROM parent WHERE id IN (2, 4, 6);\n");

/// refinery's version of a file name.
pub fn version(file: &str) -> i64 {
    file.trim_start_matches('V').split("__").next().and_then(|digits| digits.parse().ok()).unwrap()
}

/// Writes the product's files up to `last` into `folder/DATABASE`, which is emptied first.
pub fn write(folder: &Path, database: &str, last: i32) {
    let home = folder.join(database);
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home).unwrap();
    for (file, sql) in FILES.iter().filter(|(file, _)| version(file) <= i64::from(last)) {
        fs::write(home.join(file), sql).unwrap();
    }
}

/// The migrations in `folder/DATABASE` as (file, text), oldest first; down files are no migrations.
pub fn read(folder: &Path, database: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(folder.join(database))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.to_string_lossy().ends_with(".down.sql"))
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    files.sort_by_key(|(file, _)| version(file));
    files
}
