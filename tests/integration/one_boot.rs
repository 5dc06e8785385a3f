//! Owns the tests of several migrations in one boot: none of them meets what another has left in
//! the connection.
//! Promises: each ends as it does with a boot for every version, step by step, and by plain SQLite
//! with a connection for every file.
//! Never judges a single file.

use crate::boundaries::{judge, Catalogue, PACES};
use crate::generated;
use crate::program::rounds;

/// Tables, rows and a trigger that the next files work on.
const FIRST: &str = "\
                     CREATE TABLE sensor(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, \
                     place TEXT);
CREATE TABLE reading(id INTEGER PRIMARY KEY, sensor INTEGER REFERENCES sensor(id), value);
CREATE TABLE log(id INTEGER PRIMARY KEY, word, number);
CREATE TRIGGER sensor_gone AFTER DELETE ON sensor BEGIN INSERT INTO log(word, number) VALUES \
                     ('gone', old.id); END;
INSERT INTO sensor(name, place) VALUES ('Attic', 'a'), ('barn', 'b'), ('Cellar', 'c');
INSERT INTO reading(sensor, value) VALUES (1, 10), (2, 20), (3, 30);";

const ROWS: &str =
    "INSERT INTO sensor(name, place) VALUES ('Deck', 'd'), ('entry', 'e'); INSERT INTO \
     reading(sensor, value) VALUES (4, 40);";

#[track_caller]
fn alike(second: &str, third: &str) {
    alike_with(&[], second, third);
}

#[track_caller]
fn alike_with(keys: &[&str], second: &str, third: &str) {
    let keys = keys.iter().map(ToString::to_string).collect();
    same(&Catalogue { keys, rows: ROWS.into(), ..Catalogue::of(&[FIRST, second, third]) });
}

#[track_caller]
fn same(catalogue: &Catalogue) {
    let found = judge(catalogue, &PACES);
    assert!(found.is_empty(), "{:?}\n{}", catalogue.files, found.join("\n"));
}

#[test]
fn temporary_objects_end_with_their_file() {
    let writes =
        "INSERT INTO sensor(name, place) VALUES ('Field', 'f'); UPDATE sensor SET place = \
         upper(place);";
    alike(
        "CREATE TEMP TABLE sensor(id, name, place); INSERT INTO sensor VALUES (1, 'x', 'y');",
        writes,
    );
    alike("CREATE TEMP VIEW sensor AS SELECT 1 AS id, 'x' AS name, 'y' AS place;", writes);
    alike(
        "CREATE TEMP TRIGGER t BEFORE INSERT ON main.sensor BEGIN SELECT raise(IGNORE); END;",
        writes,
    );
    alike(
        "CREATE TEMP TRIGGER t AFTER UPDATE ON main.sensor BEGIN INSERT INTO log(word) VALUES \
         ('temporary'); END;",
        writes,
    );
    alike(
        "CREATE VIRTUAL TABLE temp.sensor USING fts5(name, place); INSERT INTO temp.sensor VALUES \
         ('x', 'y');",
        writes,
    );
    alike(
        "CREATE VIRTUAL TABLE temp.box USING rtree(id, low, high); INSERT INTO box VALUES (1, 2, \
         3);",
        writes,
    );
    // Each has a table of that name; parents go before their children.
    let own = "CREATE TEMP TABLE \"a \"\"b\"\"\"(id PRIMARY KEY); CREATE TEMP TABLE other(a \
               REFERENCES \"a \"\"b\"\"\"); CREATE INDEX temp.i ON other(a);
        CREATE TEMP VIEW seen AS SELECT * FROM other; INSERT INTO \"a \"\"b\"\"\" VALUES (1); \
               INSERT INTO other VALUES (1); ANALYZE temp;";
    alike(own, &format!("{own} INSERT INTO log(word, number) SELECT 'own', count(*) FROM other;"));
}

/// SQLite lets nobody drop the table in which it counts.
#[test]
fn a_temporary_sequence_ends_with_its_file() {
    let temporary = "CREATE TEMP TABLE mine(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO \
                     mine DEFAULT VALUES;";
    let counts = "UPDATE sqlite_sequence SET seq = 900 WHERE name = 'sensor'; INSERT INTO \
                  sensor(name) VALUES ('after 900');";
    alike(temporary, counts);
    alike(&format!("{temporary} DELETE FROM mine; DROP TABLE mine;"), counts);
    // A virtual table keeps words in memory until it is told to write.
    let words =
        "CREATE VIRTUAL TABLE words USING fts5(word); INSERT INTO words SELECT name FROM sensor;";
    alike(
        &format!("{words} {temporary}"),
        "INSERT INTO words VALUES ('later'); INSERT INTO log(word, number) SELECT 'found', \
         count(*) FROM words('attic OR later');",
    );
}

/// What they keep in memory is not lost where the schema is read again before the commit.
#[test]
fn virtual_tables_have_every_word() {
    let words = "CREATE VIRTUAL TABLE words USING fts5(word); INSERT INTO words SELECT name FROM \
                 sensor;
        CREATE VIRTUAL TABLE old USING fts4(word); INSERT INTO old SELECT name FROM sensor; CREATE \
                 VIRTUAL TABLE box USING rtree(id, low, high);";
    let later = "INSERT INTO words VALUES ('later'); DELETE FROM words WHERE rowid = 1; UPDATE \
                 words SET word = 'four' WHERE rowid = 2;
        INSERT INTO old VALUES ('later'); INSERT INTO box SELECT id, id, id + 1 FROM sensor;";
    alike(words, later);
    alike(
        &format!("{words} {later}"),
        later.replace("INTO box SELECT id,", "INTO box SELECT id + 100,").as_str(),
    );
}

/// An R*Tree keeps a handle open until the transaction ends, and SQLite changes no function while
/// it is.
#[test]
fn what_virtual_tables_have_open_holds_no_setting() {
    let like = "UPDATE sensor SET place = 'big' WHERE name LIKE 'a%' OR name LIKE 'B%';";
    let sensitive = format!("PRAGMA case_sensitive_like = ON; {like}");
    for module in ["rtree(id, low, high)", "fts5(a, b, c)", "fts4(a, b, c)"] {
        let fills = format!(
            "CREATE VIRTUAL TABLE box USING {module}; INSERT INTO box SELECT id, id, id + 1 FROM \
             sensor; DELETE FROM box WHERE rowid = 2;"
        );
        alike(&format!("PRAGMA case_sensitive_like = ON; {fills}"), like);
        alike(&fills, &sensitive);
        alike(
            &format!("{fills} INSERT INTO log(word) SELECT count(*) FROM box WHERE rowid > 1;"),
            &sensitive,
        );
        // SQLite would not take it, and mark the LIKE of the whole process: a later file that reads
        // an index by it would miss rows.
        let indexed =
            "CREATE INDEX by_name ON sensor(name); UPDATE sensor SET place = 'big' WHERE name LIKE \
             'A%' OR name LIKE 'c%';";
        alike(&format!("{fills} PRAGMA case_sensitive_like = ON;"), indexed);
        alike(&format!("{fills} {sensitive}"), indexed);
    }
}

#[test]
fn pragmas_end_with_their_file() {
    let renamed =
        "CREATE VIEW names AS SELECT name FROM sensor; ALTER TABLE sensor RENAME TO probe;";
    alike("PRAGMA legacy_alter_table = ON; CREATE TABLE one(a);", renamed);
    alike(
        "PRAGMA case_sensitive_like = ON; CREATE TABLE one(a);",
        "UPDATE sensor SET place = 'big' WHERE name LIKE 'a%' OR name LIKE 'B%';",
    );
    alike(
        "PRAGMA recursive_triggers = ON; CREATE TABLE one(a);",
        "REPLACE INTO sensor(id, name) VALUES (1, 'replaced');",
    );
    alike(
        "PRAGMA reverse_unordered_selects = ON; CREATE TABLE one(a);",
        "INSERT INTO log(word) SELECT name FROM sensor; INSERT INTO log(word) SELECT place FROM \
         sensor LIMIT 1;",
    );
    alike(
        "PRAGMA short_column_names = OFF; PRAGMA full_column_names = ON; CREATE TABLE one(a);",
        "CREATE TABLE copied AS SELECT sensor.name, sensor.place FROM sensor;",
    );
    alike(
        "PRAGMA max_page_count = 40; CREATE TABLE one(a);",
        "CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE \
         i < 500) SELECT i, hex(zeroblob(500)) h FROM n;",
    );
    alike(
        "PRAGMA count_changes = ON; PRAGMA defer_foreign_keys = ON; CREATE TABLE one(a);",
        "UPDATE sensor SET place = 'x';",
    );
    alike(
        "PRAGMA automatic_index = OFF; PRAGMA cache_size = 7; PRAGMA cell_size_check = ON; PRAGMA \
         secure_delete = FAST;",
        "DELETE FROM reading;",
    );
}

#[test]
fn counters_begin_at_nothing() {
    let counts =
        "INSERT INTO log(word, number) VALUES ('rowid', last_insert_rowid()); INSERT INTO \
         log(word, number) SELECT 'again', last_insert_rowid();";
    alike("INSERT INTO sensor(id, name) VALUES (700, 'x');", counts);
    alike(
        "UPDATE sensor SET place = 'x';",
        "INSERT INTO log(word, number) SELECT 'changes', changes(); UPDATE log SET number = \
         changes() WHERE word = 'changes';",
    );
    alike("DELETE FROM reading;", "INSERT INTO log(word, number) VALUES ('changes', changes());");
}

#[test]
fn what_the_next_vacuum_does_is_said_in_its_own_file() {
    let vacuum = "-- bootmigrate: no-transaction\nVACUUM;";
    alike("-- bootmigrate: no-transaction\nPRAGMA page_size = 8192; CREATE TABLE one(a);", vacuum);
    alike(
        "-- bootmigrate: no-transaction\nPRAGMA auto_vacuum = FULL; CREATE TABLE one(a);",
        vacuum,
    );
    alike("-- bootmigrate: no-transaction\nPRAGMA auto_vacuum = FULL; VACUUM;", vacuum);
    alike(
        "-- bootmigrate: no-transaction\nCREATE TEMP TABLE sensor(a); PRAGMA case_sensitive_like = \
         ON;",
        "UPDATE sensor SET place = 'big' WHERE name LIKE 'a%';",
    );
}

/// What an `expect` query reads may be gone with a later file, and may be temporary.
#[test]
fn what_is_expected_of_a_file_is_looked_at_right_after_it() {
    alike(
        "-- bootmigrate: expect = SELECT id FROM sensor WHERE place IS NULL\nUPDATE sensor SET \
         place = '';",
        "ALTER TABLE sensor DROP COLUMN place;",
    );
    alike(
        "-- bootmigrate: expect = SELECT id FROM sensor WHERE place <> 'x'\nUPDATE sensor SET \
         place = 'x';",
        "UPDATE sensor SET place = 'y';",
    );
    alike(
        "-- bootmigrate: expect = SELECT 1 FROM before WHERE rows <> (SELECT count(*) FROM \
         sensor)\nCREATE TEMP TABLE before AS SELECT count(*) AS rows FROM sensor; UPDATE sensor \
         SET place = '';",
        "DELETE FROM sensor WHERE id = 1; DELETE FROM reading WHERE sensor = 1;",
    );
}

#[test]
fn the_user_version_is_that_of_the_file_before() {
    alike_with(
        &["user_version = \"ours\""],
        "CREATE TABLE one(a);",
        "INSERT INTO log(word, number) SELECT 'at', user_version FROM pragma_user_version;",
    );
}

/// In files that cannot be edited any more; as with refinery, whose commit ends it.
#[test]
fn an_open_savepoint_ends_with_its_file() {
    let open =
        "SAVEPOINT s; INSERT INTO sensor(name) VALUES ('kept'); SAVEPOINT \"S \"\"t\"; SAVEPOINT \
         s; UPDATE sensor SET place = 'kept';";
    let later = "SAVEPOINT s; DELETE FROM sensor; ROLLBACK TO s; INSERT INTO sensor(name) VALUES \
                 ('later');";
    same(&Catalogue { adopted: true, rows: ROWS.into(), ..Catalogue::of(&[FIRST, open, later]) });
}

/// Catalogues of a usual run: some 30 seconds of processor time with the three paces of each.
const GENERATED: usize = 12;

/// By dice: `BOOTMIGRATE_GENERATED=500` judges more of them, `BOOTMIGRATE_SEED` begins elsewhere.
#[test]
fn generated_catalogues_end_alike_at_every_pace() {
    let number =
        |name: &str, usual: usize| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let count = number("BOOTMIGRATE_GENERATED", rounds(GENERATED));
    let first = number("BOOTMIGRATE_SEED", 1) as u64;
    let mut bad = Vec::new();
    for seed in first..first + count as u64 {
        let catalogue = generated::catalogue(seed);
        let found = judge(&catalogue, &PACES);
        if !found.is_empty() {
            let files: Vec<String> = catalogue
                .files
                .iter()
                .skip(1)
                .map(|(name, text)| format!("--- {name}\n{text}"))
                .collect();
            bad.push(format!(
                "seed {seed} ({:?}, adopted {}):\n{}\n{}",
                catalogue.keys,
                catalogue.adopted,
                files.join(""),
                found.join("\n")
            ));
        }
    }
    println!("{count} generated catalogues from seed {first}, {} bad", bad.len());
    assert!(bad.is_empty(), "{} of {count} are bad:\n{}", bad.len(), bad.join("\n\n"));
}
