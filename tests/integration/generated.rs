//! Owns catalogues made by dice: what migrations do to tables, and what they leave in a connection,
//! in any order.
//! Promises: the same seed makes the same catalogue; plain SQLite runs each of its files, and finds
//! nothing broken after any.
//! Never runs the program under test.

use crate::boundaries::{apply, Catalogue};
use crate::oracle::HISTORY;
use rusqlite::Connection;
use std::fs;
use std::path::Path;

/// Tries to find one more statement or file that works.
const TRIES_MAX: usize = 40;

const FIRST: &str = "\
                     CREATE TABLE sensor(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, place \
                     TEXT);
CREATE TABLE reading(id INTEGER PRIMARY KEY, sensor INTEGER REFERENCES sensor(id), value);
CREATE TABLE log(id INTEGER PRIMARY KEY, word, number);
CREATE TRIGGER sensor_gone AFTER DELETE ON sensor BEGIN INSERT INTO log(word, number) VALUES \
                     ('gone', old.id); END;
CREATE VIEW names AS SELECT id, name FROM sensor;
INSERT INTO sensor(name, place) VALUES ('Attic', 'a'), ('apple', 'b'), ('Barn', 'c'), ('cellar', \
                     'd'), ('Alley', 'e');
INSERT INTO reading(sensor, value) VALUES (1, 10), (2, 20), (3, 30);";

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A table that rows can be written to.
struct Table {
    name: String,
    columns: Vec<String>,
}

fn tables(path: &Path) -> Vec<Table> {
    all_tables(path).into_iter().filter(|table| !table.columns.is_empty()).collect()
}

/// Those with a key alone, too.
fn all_tables(path: &Path) -> Vec<Table> {
    let connection = Connection::open(path).unwrap();
    let sql = format!(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT \
         LIKE 'sqlite%' AND name <> '{HISTORY}' ORDER BY 1"
    );
    let names: Vec<String> = connection
        .prepare(&sql)
        .and_then(|mut found| found.query_map([], |row| row.get(0))?.collect())
        .unwrap();
    let columns = |table: &str| -> Vec<String> {
        let mut found = connection
            .prepare("SELECT name FROM pragma_table_info(?1) WHERE name <> 'id' ORDER BY cid")
            .unwrap();
        let columns = found.query_map([table], |row| row.get(0)).unwrap();
        columns.collect::<rusqlite::Result<_>>().unwrap()
    };
    names.into_iter().map(|name| Table { columns: columns(&name), name }).collect()
}

/// What an application would meet works.
fn works(path: &Path) -> bool {
    let connection = Connection::open(path).unwrap();
    let views: rusqlite::Result<Vec<String>> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'view'")
        .and_then(|mut found| found.query_map([], |row| row.get(0))?.collect());
    let compiles = |sql: String| connection.prepare(&sql).is_ok();
    let keys = connection
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get::<_, i64>(0));
    keys == Ok(0)
        && views.unwrap().iter().all(|view| compiles(format!("SELECT * FROM \"{view}\"")))
        && all_tables(path).iter().all(|table| {
            let Table { name, columns } = table;
            compiles(format!("INSERT INTO {name} DEFAULT VALUES"))
                && compiles(format!("DELETE FROM {name}"))
                && columns.iter().all(|column| compiles(format!("UPDATE {name} SET {column} = 1")))
        })
}

/// What the file expects still has its table and its columns.
fn can_be_asked(path: &Path, text: &str) -> bool {
    let connection = Connection::open(path).unwrap();
    let mut queries =
        text.lines().filter_map(|line| line.strip_prefix("-- bootmigrate: expect = "));
    queries.all(|query| connection.prepare(query).is_ok())
}

/// A change of the schema or of rows.
fn change(dice: &mut Dice, all: &[Table], number: &mut usize) -> String {
    *number += 1;
    let n = *number;
    let (table, other) = (dice.of(all), dice.of(all));
    let (t, c) = (&table.name, dice.of(&table.columns));
    let (u, d) = (&other.name, dice.of(&other.columns));
    match dice.below(24) {
        0 => format!(
            "CREATE TABLE made{n}(id INTEGER PRIMARY KEY, a TEXT, b); INSERT INTO made{n}(a, b) \
             VALUES ('Ant', {n}), ('bee', 2);"
        ),
        1 => format!("ALTER TABLE {t} ADD COLUMN more{n} DEFAULT 'm';"),
        2 => format!("ALTER TABLE {t} RENAME TO {t}_{n};"),
        3 => format!("ALTER TABLE {t} RENAME COLUMN {c} TO {c}_{n};"),
        4 => format!("ALTER TABLE {t} DROP COLUMN {c};"),
        5 => format!("CREATE INDEX index{n} ON {t}({c});"),
        6 => format!("CREATE VIEW view{n} AS SELECT {c} AS seen FROM {t};"),
        7 => format!(
            "CREATE TRIGGER trigger{n} AFTER {} ON {t} BEGIN INSERT INTO log(word, number) VALUES \
             ('{t}', {n}); END;",
            dice.of(&["INSERT", "UPDATE", "DELETE"])
        ),
        8 => format!("INSERT INTO {t}({c}) VALUES ('Axe'), ('axe'), (NULL);"),
        9 => format!("UPDATE {t} SET {c} = coalesce({c}, '') || '{n}' WHERE rowid % 2 = 0;"),
        10 => format!("DELETE FROM {t} WHERE rowid % 5 = 0;"),
        11 => format!("INSERT INTO {t}({c}) SELECT {d} FROM {u} LIMIT 20;"),
        12 => format!("CREATE TABLE copy{n} AS SELECT {t}.{c}, {t}.rowid AS r FROM {t};"),
        13 => format!("REPLACE INTO {t}(rowid, {c}) VALUES (1, 'replaced'), (3, 'replaced');"),
        14 => format!(
            "CREATE VIRTUAL TABLE words{n} USING {}(word); INSERT INTO words{n} SELECT {c} FROM \
             {t}; DELETE FROM words{n} WHERE rowid = 2;",
            dice.of(&["fts5", "fts4"])
        ),
        15 => format!(
            "CREATE VIRTUAL TABLE box{n} USING rtree(id, low, high); INSERT INTO box{n} SELECT \
             rowid, rowid, rowid + 1 FROM {t};"
        ),
        16 => "INSERT INTO log(word, number) VALUES ('rowid', last_insert_rowid()); INSERT INTO \
               log(word, number) SELECT 'changes', changes();"
            .into(),
        17 => format!("UPDATE {t} SET {c} = {c} || '!' WHERE {c} LIKE 'A%';"),
        18 => "UPDATE sqlite_sequence SET seq = seq + 10 WHERE name = (SELECT min(name) FROM \
               sqlite_sequence);"
            .into(),
        19 => format!(
            "SAVEPOINT s; UPDATE {t} SET {c} = 'undone'; ROLLBACK TO s; UPDATE {u} SET {d} = \
             'done' WHERE rowid = 2; RELEASE s;"
        ),
        20 => format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT \
             INTO {t}({c}) SELECT hex(zeroblob(200)) FROM n;"
        ),
        21 => format!(
            "CREATE TABLE new{n}(id INTEGER PRIMARY KEY, {c}, extra); INSERT INTO new{n}(id, {c}) \
             SELECT rowid, {c} FROM {t}; DROP TABLE {t}; ALTER TABLE new{n} RENAME TO {t};"
        ),
        22 => format!(
            "CREATE TABLE child{n}(id INTEGER PRIMARY KEY, a REFERENCES sensor(id)); INSERT INTO \
             child{n}(a) SELECT id FROM sensor;"
        ),
        _ => "INSERT INTO log(word, number) SELECT 'at', user_version FROM pragma_user_version;"
            .into(),
    }
}

/// What stays in the connection, were it not taken back.
fn leaving(dice: &mut Dice, all: &[Table]) -> String {
    let table = dice.of(all);
    let (t, columns) = (&table.name, table.columns.join(", "));
    match dice.below(18) {
        0 => format!(
            "CREATE TEMP TABLE {t}(id INTEGER PRIMARY KEY, {columns}); INSERT INTO temp.{t} \
             DEFAULT VALUES;"
        ),
        1 => format!(
            "CREATE TEMP VIEW {t} AS SELECT 1 AS id, {};",
            table.columns.iter().map(|c| format!("2 AS {c}")).collect::<Vec<_>>().join(", ")
        ),
        2 => format!(
            "CREATE TEMP TRIGGER t BEFORE INSERT ON main.{t} BEGIN SELECT raise(IGNORE); END;"
        ),
        3 => format!("CREATE TEMP TRIGGER t AFTER UPDATE ON main.{t} BEGIN DELETE FROM log; END;"),
        4 => {
            "CREATE TEMP TABLE mine(id INTEGER PRIMARY KEY AUTOINCREMENT, a); INSERT INTO mine(a) \
             VALUES (1), (2);"
                .into()
        }
        5 => format!("CREATE VIRTUAL TABLE temp.{t} USING fts5({columns}); ANALYZE temp;"),
        6 => format!(
            "CREATE TEMP TABLE keep AS SELECT count(*) AS rows FROM {t}; INSERT INTO log(word, \
             number) SELECT 'kept', rows FROM keep;"
        ),
        7 => format!(
            "CREATE TEMP TABLE p(id PRIMARY KEY); CREATE TEMP TABLE q(a REFERENCES p(id)); INSERT \
             INTO p SELECT rowid FROM {t}; INSERT INTO q SELECT id FROM p;"
        ),
        8 => "PRAGMA legacy_alter_table = ON;".into(),
        9 => "PRAGMA case_sensitive_like = ON;".into(),
        10 => "PRAGMA recursive_triggers = ON;".into(),
        11 => "PRAGMA reverse_unordered_selects = ON;".into(),
        12 => "PRAGMA short_column_names = OFF; PRAGMA full_column_names = ON;".into(),
        13 => "PRAGMA max_page_count = 1;".into(),
        14 => {
            "PRAGMA count_changes = ON; PRAGMA defer_foreign_keys = ON; PRAGMA automatic_index = \
             OFF;"
                .into()
        }
        15 => "PRAGMA secure_delete = FAST; PRAGMA cache_size = 5; PRAGMA cell_size_check = ON; \
               PRAGMA analysis_limit = 3;"
            .into(),
        16 => "INSERT INTO log(id, word) VALUES ((SELECT coalesce(max(id), 0) + 1000 FROM log), \
               'far'); DELETE FROM {t} WHERE rowid = 4;"
            .into(),
        _ => format!("ANALYZE; UPDATE {t} SET {} = 'last';", table.columns[0]),
    }
}

fn file(dice: &mut Dice, all: &[Table], number: &mut usize, adopted: bool) -> String {
    let mut lines = Vec::new();
    let copied = !adopted && dice.one_in(7);
    if copied {
        lines.push("-- bootmigrate: no-transaction".to_owned());
    }
    if !adopted && dice.one_in(4) {
        let table = dice.of(all);
        lines.push(format!(
            "-- bootmigrate: expect = SELECT 1 FROM {} WHERE {} = 'never'",
            table.name, table.columns[0]
        ));
    }
    if dice.one_in(3) {
        lines.push(leaving(dice, all));
    }
    for _ in 0..=dice.below(3) {
        lines.push(change(dice, all, number));
    }
    if dice.one_in(2) {
        lines.push(leaving(dice, all));
    }
    if dice.one_in(2) {
        lines.push(leaving(dice, all));
    }
    if adopted && dice.one_in(2) {
        lines.push("SAVEPOINT s; INSERT INTO log(word) VALUES ('in a savepoint');".to_owned());
    }
    if copied && dice.one_in(2) {
        lines.push(
            dice.of(&[
                "PRAGMA page_size = 8192;",
                "PRAGMA auto_vacuum = FULL;",
                "PRAGMA page_size = 1024; VACUUM;",
                "VACUUM;",
            ])
            .to_string(),
        );
    }
    lines.join("\n") + "\n"
}

/// The catalogue of this seed.
pub fn catalogue(seed: u64) -> Catalogue {
    let mut dice = Dice(seed);
    let folder = tempfile::tempdir().unwrap();
    let plain = ["rows", "nothing"].map(|name| folder.path().join(name));
    let rows = "INSERT INTO sensor(name, place) VALUES ('Deck', 'x'), ('ash', 'y'); INSERT INTO \
                reading(sensor, value) VALUES (6, 60);";
    for path in &plain {
        apply(path, &format!("CREATE TABLE {HISTORY}(version int4 PRIMARY KEY)"), None).unwrap();
        apply(path, FIRST, None).unwrap();
    }
    apply(&plain[0], rows, None).unwrap();
    let adopted = dice.one_in(6);
    let mut texts = vec![FIRST.to_owned()];
    let (mut number, last) = (0, 3 + dice.below(3));
    while texts.len() < last {
        let found = (0..TRIES_MAX).find_map(|_| {
            let text = file(&mut dice, &tables(&plain[0]), &mut number, adopted);
            let tried = plain.each_ref().map(|path| {
                let copy = path.with_extension("tried");
                fs::copy(path, &copy).unwrap();
                copy
            });
            let good = tried.iter().all(|path| {
                apply(path, &text, None).is_ok() && works(path) && can_be_asked(path, &text)
            });
            good.then(|| {
                plain.iter().zip(&tried).for_each(|(path, tried)| fs::rename(tried, path).unwrap())
            })
            .map(|()| text)
        });
        texts.push(found.expect("no file of this seed works"));
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut keys = Vec::new();
    if dice.one_in(3) {
        keys.push("journal_mode = \"wal\"".to_owned());
    }
    if dice.one_in(3) {
        keys.push("user_version = \"ours\"".to_owned());
    }
    Catalogue { adopted, keys, rows: rows.to_owned(), ..Catalogue::of(&texts) }
}
