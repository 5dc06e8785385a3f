//! Owns the sets of migrations that each program embeds, and the same sets as folders for
//! bootmigrate's own build.
//! Promises: one text of each migration for every tool.
//! Never looks at the clock or at this machine.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

type Set = Vec<(String, String)>;

fn main() {
    let example = Path::new("../../../migrations/settings");
    println!("cargo:rerun-if-changed={}", example.display());
    println!("cargo:rerun-if-changed=build.rs");
    let mut source = String::from("pub const SETS: &[Set] = &[\n");
    for (name, set) in [
        ("quiet", of_the_example(example)),
        ("small", small(200)),
        ("long", long(10_000)),
        ("alter", large("ALTER TABLE large ADD COLUMN c INTEGER NOT NULL DEFAULT 0;\n")),
        ("rebuild", large(REBUILD)),
    ] {
        let _ = writeln!(source, "    Set {{ name: {name:?}, migrations: &[");
        for (file, sql) in &set {
            let _ = writeln!(source, "        ({file:?}, {sql:?}),");
        }
        source.push_str("    ] },\n");
    }
    source.push_str("];\n");
    let out = std::env::var("OUT_DIR").unwrap();
    fs::write(Path::new(&out).join("sets.rs"), source).unwrap();
}

/// The 14 of the example product's first database.
fn of_the_example(folder: &Path) -> Set {
    let mut set: Vec<(u32, String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().ends_with(".down.sql"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let version = name[1..name.find("__").unwrap()].parse().unwrap();
            (version, name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    set.sort();
    set.into_iter().map(|(_, name, sql)| (name, sql)).collect()
}

/// A table, then rows in it, by turns.
fn small(many: u32) -> Set {
    let one = |version: u32| {
        let table = (version + 1) / 2;
        let sql = if version % 2 == 1 {
            format!("CREATE TABLE t{table} (id INTEGER PRIMARY KEY, a TEXT, b INTEGER);\n")
        } else {
            format!("INSERT INTO t{table} (a, b) VALUES ('x', 1), ('y', 2), ('z', 3);\n")
        };
        (format!("V{version}__step"), sql)
    };
    (1..=many).map(one).collect()
}

fn long(many: u32) -> Set {
    let first = ("V1__a".to_owned(), "CREATE TABLE a (b INTEGER);\n".to_owned());
    let more = |version: u32| {
        (format!("V{version}__more"), format!("INSERT INTO a VALUES ({version});\n"))
    };
    std::iter::once(first).chain((2..=many).map(more)).collect()
}

/// The rows come in between the two.
fn large(second: &str) -> Set {
    let first = "CREATE TABLE large (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, pad TEXT);
CREATE INDEX large_a ON large (a);
CREATE INDEX large_b ON large (b);
";
    [("V1__large", first), ("V2__change", second)]
        .map(|(name, sql)| (name.to_owned(), sql.to_owned()))
        .into()
}

const REBUILD: &str =
    "CREATE TABLE new_large (id INTEGER PRIMARY KEY, a INTEGER NOT NULL, b TEXT, pad TEXT);
INSERT INTO new_large SELECT id, a, b, pad FROM large;
DROP TABLE large;
ALTER TABLE new_large RENAME TO large;
CREATE INDEX large_a ON large (a);
CREATE INDEX large_b ON large (b);
";
