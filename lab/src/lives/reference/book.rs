//! Owns what the reference knows of one database: its content on plain SQLite in memory, and which migrations are in it.
//! Promises: every file of a migration runs on a connection of its own, as the team wrote it; a failure leaves the book as it was.
//! Never calls the device's code.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use rusqlite::backup::Backup;
use rusqlite::types::ValueRef;
use rusqlite::Connection;

use crate::lives::dice::quoted;
use crate::lives::product::Migration;

/// One migration that is in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// Its text with LF.
    pub text: String,
    /// The way back that was stored with it; `None` where it was not recorded by us, or there is none.
    pub down: Option<String>,
    /// The oldest schema whose firmware can use its result.
    pub compatible_from: Option<i64>,
}

impl Entry {
    /// Of a migration that the device applies.
    pub fn of(migration: &Migration) -> Entry {
        Entry {
            version: migration.version,
            name: migration.name.clone(),
            text: migration.text().replace("\r\n", "\n"),
            down: migration.down_text(),
            compatible_from: migration.directive("compatible-from").and_then(|value| value.parse().ok()),
        }
    }

    /// They are the same migration.
    pub fn is(&self, other: &Entry) -> bool {
        self.version == other.version && self.name == other.name && self.text == other.text
    }
}

/// Why a migration fails.
#[derive(Debug, Clone)]
pub struct Failed(pub String);

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Failed {
        Failed(error.to_string())
    }
}

/// A database.
pub struct Book {
    connection: Connection,
    /// Made once, until rows change.
    dump: RefCell<Option<Rc<str>>>,
    /// Oldest first.
    pub entries: Vec<Entry>,
}

/// An exact copy of a database, in memory.
pub fn copied(from: &Connection) -> rusqlite::Result<Connection> {
    let mut copy = Connection::open_in_memory()?;
    Backup::new(from, &mut copy)?.step(-1)?;
    copy.execute_batch("PRAGMA foreign_keys = OFF")?;
    Ok(copy)
}

impl Clone for Book {
    fn clone(&self) -> Book {
        let connection = copied(&self.connection).unwrap_or_else(|error| panic!("a copy in memory: {error}"));
        Book { connection, dump: self.dump.clone(), entries: self.entries.clone() }
    }
}

impl Book {
    /// Nothing in it.
    pub fn empty() -> Book {
        let connection = Connection::open_in_memory().unwrap_or_else(|error| panic!("a database in memory: {error}"));
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap_or_else(|error| panic!("{error}"));
        Book { connection, dump: RefCell::default(), entries: Vec::new() }
    }

    /// What an observed database holds.
    pub fn observed(connection: Connection, entries: Vec<Entry>) -> Book {
        Book { connection, dump: RefCell::default(), entries }
    }

    /// Its version; 0 where no migration is in it.
    pub fn version(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.version)
    }

    /// For who only looks.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The dump that stands for all of it.
    pub fn dump(&self) -> Rc<str> {
        let made = || dump(&self.connection).unwrap_or_else(|error| format!("unreadable: {error}")).into();
        self.dump.borrow_mut().get_or_insert_with(made).clone()
    }

    /// These migrations, all or none.
    pub fn migrated(&self, migrations: &[&Migration]) -> Result<Book, Failed> {
        let before = violations(&self.connection)?;
        let mut book = self.clone();
        for migration in migrations {
            book = book.file(migration, &before)?;
        }
        grown(&before, &book.connection)?;
        Ok(book)
    }

    fn file(&self, migration: &Migration, before: &BTreeMap<(String, String), u64>) -> Result<Book, Failed> {
        let mut book = self.clone();
        book.dump.take();
        run(&book.connection, &migration.text(), migration)?;
        for query in migration.directives.iter().filter_map(|line| line.strip_prefix("expect = ")) {
            if book.connection.prepare(query)?.exists([])? {
                return Err(Failed(format!("expect: {query}")));
            }
        }
        if matches!(migration.directive("foreign-keys"), Some("on" | "deferred" | "enforced")) {
            grown(before, &book.connection)?;
        }
        book.entries.push(Entry::of(migration));
        // What a connection keeps for itself ends with it.
        Ok(book.clone())
    }

    /// Back to this many migrations by the stored down SQL, newest first; `None` where one is missing.
    pub fn gone_back(&self, to: usize) -> Option<Result<Book, Failed>> {
        if self.entries[to..].iter().any(|entry| entry.down.is_none()) {
            return None;
        }
        let back = || {
            let before = violations(&self.connection)?;
            let mut book = self.clone();
            while book.entries.len() > to {
                let down = book.entries.pop().and_then(|entry| entry.down).unwrap_or_default();
                book.dump.take();
                book.connection.execute_batch(&format!("BEGIN; {down}"))?;
                book.connection.execute_batch("COMMIT")?;
                book = book.clone();
            }
            grown(&before, &book.connection)?;
            Ok(book)
        };
        Some(back())
    }

    /// As plain refinery has left it: no way back is stored.
    pub fn of_refinery(mut self) -> Book {
        self.entries.iter_mut().for_each(|entry| (entry.down, entry.compatible_from) = (None, None));
        self
    }

    /// The application's number in the header.
    pub fn user_version(&self) -> i64 {
        self.connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap_or(0)
    }

    /// One statement of an application, as SQLite answers it.
    pub fn application(&self, statement: &str) -> Result<u64, String> {
        self.dump.take();
        answer(&self.connection, statement)
    }

    /// Rows of each table.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for (name, _) in tables(&self.connection).unwrap_or_default() {
            let count = self.connection.query_row(&format!("SELECT count(*) FROM {}", quoted(&name)), [], |row| row.get::<_, i64>(0));
            found.insert(name, count.unwrap_or(0) as u64);
        }
        found
    }

    /// Its structure: what is compared after a way back.
    pub fn structure(&self) -> String {
        structure(&self.connection).unwrap_or_else(|error| format!("unreadable: {error}"))
    }
}

/// What a statement of an application changes, or how it fails; foreign keys are on as in an application.
pub fn answer(connection: &Connection, statement: &str) -> Result<u64, String> {
    let run = || {
        connection.execute_batch("PRAGMA foreign_keys = ON")?;
        let changed = connection.execute(statement, []).map(|changed| changed as u64);
        connection.execute_batch("PRAGMA foreign_keys = OFF")?;
        changed
    };
    run().map_err(|error| error.to_string())
}

fn run(connection: &Connection, text: &str, migration: &Migration) -> Result<(), Failed> {
    if migration.directive("no-transaction").is_some() {
        return Ok(connection.execute_batch(text)?);
    }
    if migration.directive("foreign-keys") == Some("enforced") {
        connection.execute_batch("PRAGMA foreign_keys = ON")?;
    }
    connection.execute_batch("BEGIN")?;
    connection.execute_batch(text)?;
    Ok(connection.execute_batch("COMMIT")?)
}

/// Violations of foreign keys by table and parent.
fn violations(connection: &Connection) -> Result<BTreeMap<(String, String), u64>, Failed> {
    let mut found = BTreeMap::new();
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        *found.entry((row.get::<_, String>(0)?, row.get::<_, String>(2)?)).or_insert(0) += 1;
    }
    Ok(found)
}

fn grown(before: &BTreeMap<(String, String), u64>, now: &Connection) -> Result<(), Failed> {
    for (key, count) in violations(now)? {
        if count > before.get(&key).copied().unwrap_or(0) {
            return Err(Failed(format!("foreign keys: {} of {} name no row of {}", count, key.0, key.1)));
        }
    }
    Ok(())
}

/// Tables that hold rows of the product, with their text.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
        AND name NOT LIKE 'bootmigrate\\_%' ESCAPE '\\' AND name NOT LIKE '%schema\\_history' ESCAPE '\\' ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.collect()
}

fn rows(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut statement = connection.prepare(&format!("SELECT * FROM {}", quoted(table)))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let values: rusqlite::Result<Vec<String>> = (0..columns).map(|column| row.get_ref(column).map(shown)).collect();
        found.push(values?.join("|"));
    }
    found.sort_unstable();
    Ok(found)
}

/// A value with its type.
fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}r"),
        ValueRef::Text(text) => format!("'{}'", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("x{bytes:02x?}"),
    }
}

/// Schema and rows of the product, and the numbers in the header that are the application's.
pub fn dump(connection: &Connection) -> rusqlite::Result<String> {
    let mut text = String::new();
    let sql =
        "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema WHERE tbl_name NOT LIKE 'bootmigrate\\_%' ESCAPE '\\' \
        AND tbl_name NOT LIKE '%schema\\_history' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1";
    let mut statement = connection.prepare(sql)?;
    for line in statement.query_map([], |row| row.get::<_, String>(0))? {
        text.push_str(&line?);
        text.push('\n');
    }
    for (table, _) in tables(connection)? {
        let rows = rows(connection, &table)?;
        text.push_str(&format!("{table}: {} rows\n", rows.len()));
        rows.iter().for_each(|row| text.push_str(&format!("  {table}: {row}\n")));
    }
    let counters = "SELECT name || '=' || seq FROM sqlite_sequence WHERE name NOT LIKE 'bootmigrate%' ORDER BY 1";
    if let Ok(mut statement) = connection.prepare(counters) {
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            text.push_str(&format!("counter {}\n", line?));
        }
    }
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    text.push_str(&format!("application_id {application}\n"));
    Ok(text)
}

/// Tables, columns, keys and indexes as SQLite tells them, without order or text; views and triggers by their text.
fn structure(connection: &Connection) -> rusqlite::Result<String> {
    let mut text = String::new();
    let mut line = |sql: &str, name: &str| -> rusqlite::Result<()> {
        let mut statement = connection.prepare(sql)?;
        let columns = statement.column_count();
        let mut found = Vec::new();
        let mut rows = statement.query([name])?;
        while let Some(row) = rows.next()? {
            let values: rusqlite::Result<Vec<String>> = (0..columns).map(|column| row.get_ref(column).map(shown)).collect();
            found.push(values?.join("|"));
        }
        found.sort_unstable();
        text.push_str(&format!("{name}: {}\n", found.join(";")));
        Ok(())
    };
    for (table, _) in tables(connection)? {
        line("SELECT wr, strict FROM pragma_table_list WHERE name = ?1", &table)?;
        line("SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)", &table)?;
        line("SELECT \"from\", \"table\", \"to\", on_update, on_delete FROM pragma_foreign_key_list(?1)", &table)?;
        let indexes = "SELECT l.\"unique\", l.origin, l.partial, (SELECT group_concat(coalesce(x.name, '') || x.desc || x.coll, ',') \
            FROM pragma_index_xinfo(l.name) x), iif(l.origin = 'c', l.name, '') FROM pragma_index_list(?1) l";
        line(indexes, &table)?;
    }
    line("SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'trigger') AND ?1 <> ''", "views and triggers")?;
    Ok(text)
}
