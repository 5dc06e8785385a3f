//! Owns an ordinary table as a source and as a place of rows: its columns, its key, what its rows
//! can be asked by.
//! Promises: a table is read from its own pages, never from an index that has all of its columns.
//! Never brings a row from one database into another.

use rusqlite::config::DbConfig;
use rusqlite::types::ToSqlOutput;
use rusqlite::{OptionalExtension, Row, Statement};

use crate::device::disk::Op;
use crate::device::pages::header::Numbers;
use crate::device::sqlite::compile::lossy;
use crate::device::sqlite::{class_of_reading, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

/// An ordinary table: no view, not virtual, no shadow of a virtual one, not SQLite's, not a
/// history's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Tables that its rows refer to.
    pub parents: Vec<String>,
    pub(super) columns: Vec<String>,
    /// Columns of the primary key, in its order.
    pub(super) key: Vec<String>,
    /// The index that is the table itself, where its rows are kept by their primary key.
    pub(super) own_index: Option<String>,
    /// What its row number can be called; `None` for a table without one.
    pub(super) row_number: Option<&'static str>,
    /// The row number is a column: it need not be brought by itself.
    pub(super) numbered_by_key: bool,
    /// bootmigrate made it for rows of this version that it put aside.
    pub(super) aside_of: Option<i64>,
}

/// Where rows go that a table does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostTable {
    /// Its name.
    pub name: String,
    /// The version of the database that had the rows.
    version: i64,
}

/// What such a table's name begins with.
pub const LOST: &str = "lost_";
/// What stands around that version in the text of such a table. An application may call a table of
/// its own `lost_...`: by this it is known that it did not.
const MARK: (&str, &str) = ("(/* rows of version ", ", put aside by bootmigrate */");

impl LostTable {
    /// The statement that makes it, of these columns as SQL has them.
    pub(super) fn text(&self, columns: &str) -> String {
        let (before, after) = MARK;
        let name = quote(&self.name);
        format!("CREATE TABLE IF NOT EXISTS {name}{before}{}{after} {columns})", self.version)
    }
}

/// The version of the rows for which the table of this text was made.
fn aside_of(text: &str) -> Option<i64> {
    let (before, after) = MARK;
    // Behind the name, which may have any character.
    text.match_indices(before)
        .find_map(|(at, _)| text.get(at + before.len()..)?.split_once(after)?.0.parse().ok())
}

pub(super) fn list(names: &[String], ending: &str) -> String {
    names.iter().map(|name| format!("{}{ending}", quote(name))).collect::<Vec<_>>().join(", ")
}

/// All of these conditions, by halves: SQLite limits how deep an expression is, and a table has up
/// to 2000 columns.
pub(super) fn all_of(conditions: &[String]) -> String {
    match conditions {
        [] => "1".to_owned(),
        [only] => only.clone(),
        several => {
            let (first, second) = several.split_at(several.len() / 2);
            format!("({} AND {})", all_of(first), all_of(second))
        }
    }
}

impl Table {
    /// A table of which only the name is asked.
    pub fn named(name: String) -> Table {
        Table {
            name,
            parents: Vec::new(),
            columns: Vec::new(),
            key: Vec::new(),
            own_index: None,
            row_number: None,
            numbered_by_key: false,
            aside_of: None,
        }
    }

    /// The same columns, by name: at the same version they mean the same.
    pub fn has_the_columns_of(&self, other: &Table) -> bool {
        let has =
            |column: &String| self.columns.iter().any(|ours| ours.eq_ignore_ascii_case(column));
        self.columns.len() == other.columns.len() && other.columns.iter().all(has)
    }

    /// What tells its rows from each other, quoted; empty where that has no name.
    pub(super) fn key_columns(&self) -> Vec<String> {
        match (self.row_number, &self.own_index) {
            (Some(number), _) => vec![number.to_owned()],
            (None, Some(_)) => self.key.iter().map(|column| quote(column)).collect(),
            (None, None) if self.numbered_by_key => {
                self.key.iter().map(|column| quote(column)).collect()
            }
            (None, None) => Vec::new(),
        }
    }

    /// As a source of rows: its own pages, never those of an index that has all of its columns.
    pub(super) fn itself(&self) -> String {
        match &self.own_index {
            // NOT INDEXED says nothing of such a table.
            Some(index) => format!("{} INDEXED BY {}", quote(&self.name), quote(index)),
            None => format!("{} NOT INDEXED", quote(&self.name)),
        }
    }

    /// bootmigrate made it for rows that it put aside.
    pub fn is_aside(&self) -> bool {
        self.aside_of.is_some()
    }

    /// Its rows are kept by their primary key (WITHOUT ROWID).
    pub fn is_kept_by_key(&self) -> bool {
        self.own_index.is_some()
    }

    /// The column, by its place, that this part of the key is.
    pub(super) fn column_of_key(&self, key: &str) -> Option<usize> {
        let name = match (self.row_number == Some(key), self.numbered_by_key) {
            (true, true) => self.key.first().map(|column| quote(column))?,
            (true, false) => return None,
            (false, _) => key.to_owned(),
        };
        self.columns.iter().position(|column| quote(column).eq_ignore_ascii_case(&name))
    }

    /// It has a column of this name.
    pub(super) fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.eq_ignore_ascii_case(name))
    }

    pub(super) fn selected(&self) -> String {
        let number = self.row_number.map(|number| format!("{number}, ")).unwrap_or_default();
        format!("{number}{}", list(&self.columns, ""))
    }
}

impl Database {
    /// The ordinary tables, by name.
    ///
    /// # Errors
    /// As SQLite; damaged where the schema cannot be read.
    pub fn ordinary_tables(&self, op: Op, history_table: &str) -> Result<Vec<Table>, Failure> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name \
                   <> ?1 COLLATE NOCASE AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT \
                   LIKE 'bootmigrate\\_%' ESCAPE '\\' ORDER BY name";
        self.not_too_heavy(op)?;
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let names = statement
                .query_map([history_table], |row| row.get::<_, String>(0))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let shadows = self.shadow_names()?;
            let own =
                names.into_iter().filter(|name| !shadows.contains(&name.to_ascii_lowercase()));
            own.filter_map(|name| self.table(name).transpose())
                .collect::<rusqlite::Result<Vec<Table>>>()
        };
        read().map_err(|error: rusqlite::Error| self.failure(op, &error))
    }

    /// Every table with pages of its own, the histories and SQLite's included, but for shadows of
    /// virtual tables.
    ///
    /// # Errors
    /// As SQLite; damaged where the schema cannot be read.
    pub fn all_tables(&self, op: Op) -> Result<Vec<Table>, Failure> {
        let names = self.strings(
            op,
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name",
        )?;
        let shadows = self.shadow_names().map_err(|error| self.failure(op, &error))?;
        let own = names.into_iter().filter(|name| !shadows.contains(&name.to_ascii_lowercase()));
        let tables = own
            .filter_map(|name| self.table(name).transpose())
            .collect::<rusqlite::Result<Vec<Table>>>();
        tables.map_err(|error| self.failure(op, &error))
    }

    /// Makes a table with the text that another database has for it; one that is there stays.
    ///
    /// # Errors
    /// As SQLite.
    pub fn make_as_in(&self, op: Op, old: &Database, table: &Table) -> Result<(), Failure> {
        if self.table_named(op, &table.name)?.is_some() {
            return Ok(());
        }
        let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        let text = old.connection.query_row(sql, [&table.name], |row| lossy(row, 0));
        self.run(op, &text.map_err(|error| old.failure(op, &error))?)
    }

    /// The table of this name.
    ///
    /// # Errors
    /// As SQLite.
    pub(super) fn table_named(&self, op: Op, name: &str) -> Result<Option<Table>, Failure> {
        self.table(name.to_owned()).map_err(|error| self.failure(op, &error))
    }

    /// `None` where it is no table, or a virtual one.
    pub(super) fn table(&self, name: String) -> rusqlite::Result<Option<Table>> {
        let sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 AND type \
                   IN ('table', 'shadow')";
        let Some(without_row_number) =
            self.connection.query_row(sql, [&name], |row| row.get::<_, bool>(0)).optional()?
        else {
            return Ok(None);
        };
        let sql = "SELECT name, upper(type), pk FROM pragma_table_xinfo(?1) WHERE hidden = 0";
        let mut statement = self.connection.prepare(sql)?;
        let read = |row: &Row<'_>| Ok((lossy(row, 0)?, lossy(row, 1)?, row.get::<_, i64>(2)?));
        let found = statement.query_map([&name], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut key: Vec<&(String, String, i64)> =
            found.iter().filter(|(_, _, place)| *place > 0).collect();
        key.sort_by_key(|(_, _, place)| *place);
        let sql = "SELECT name FROM pragma_index_list(?1) WHERE origin = 'pk'";
        let key_index = self.connection.query_row(sql, [&name], |row| lossy(row, 0)).optional()?;
        // INTEGER PRIMARY KEY DESC is a column like others, with an index of its own.
        let numbered_by_key =
            matches!(key.as_slice(), [(_, kind, _)] if kind == "INTEGER") && key_index.is_none();
        let columns: Vec<String> = found.iter().map(|(column, ..)| column.clone()).collect();
        let free = |alias: &&str| !columns.iter().any(|column| column.eq_ignore_ascii_case(alias));
        let row_number = if without_row_number {
            None
        } else {
            ["rowid", "_rowid_", "oid"].into_iter().find(free)
        };
        let sql = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1)";
        let mut statement = self.connection.prepare(sql)?;
        let parents =
            statement.query_map([&name], |row| lossy(row, 0))?.collect::<rusqlite::Result<_>>()?;
        let key = key.into_iter().map(|(column, ..)| column.clone()).collect();
        let own_index = key_index.filter(|_| without_row_number);
        let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        // Whatever a damaged schema has there.
        let bytes = |row: &Row<'_>| Ok(row.get_ref(0)?.as_bytes().map(<[u8]>::to_vec).ok());
        let text = self.connection.query_row(sql, [&name], bytes).optional()?.flatten();
        // One that was given another name since is the operator's.
        let text = text.filter(|_| name.to_ascii_lowercase().starts_with(LOST));
        let aside_of = text.and_then(|text| aside_of(&String::from_utf8_lossy(&text)));
        Ok(Some(Table {
            name,
            parents,
            columns,
            key,
            own_index,
            row_number,
            numbered_by_key,
            aside_of,
        }))
    }

    /// Rows of a table, as the smallest of its trees knows them, which may be an index; `None`
    /// where it cannot be read.
    ///
    /// # Errors
    /// As SQLite, but for corruption.
    pub fn count_rows(&self, op: Op, table: &Table) -> Result<Option<u64>, Failure> {
        self.count_from(op, &quote(&table.name))
    }

    /// Rows that the table itself has; `None` where it cannot be read, whatever its indexes know.
    ///
    /// # Errors
    /// As SQLite, but for corruption.
    pub fn count_own_rows(&self, op: Op, table: &Table) -> Result<Option<u64>, Failure> {
        self.count_from(op, &table.itself())
    }

    fn count_from(&self, op: Op, from: &str) -> Result<Option<u64>, Failure> {
        let sql = format!("SELECT count(*) FROM {from}");
        match self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0)) {
            Ok(rows) => Ok(u64::try_from(rows).ok()),
            Err(error) if class_of_reading(&error) == Class::Damaged => Ok(None),
            Err(error) => Err(self.failure(op, &error)),
        }
    }

    /// No trigger runs: what they would write is among the rows that are brought.
    ///
    /// # Errors
    /// As SQLite.
    pub fn triggers(&self, op: Op, on: bool) -> Result<(), Failure> {
        let set = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, on);
        set.map(drop).map_err(|error| self.failure(op, &error))
    }

    /// A name for rows of this version that a table does not take, which no object has.
    ///
    /// # Errors
    /// As SQLite.
    pub fn aside(&self, op: Op, table: &Table, version: i64) -> Result<LostTable, Failure> {
        let taken = self.names_taken(op)?;
        Ok(free_name(table, version, &taken))
    }

    /// The same for each of several tables, and for the rows of pages of which no table is known:
    /// no two have one name, and none has one of `later`, in small letters, which migrations make.
    ///
    /// # Errors
    /// As SQLite.
    pub fn aside_each(
        &self,
        op: Op,
        tables: &[&Table],
        version: i64,
        later: Vec<String>,
    ) -> Result<(Vec<LostTable>, LostTable), Failure> {
        let mut taken = self.names_taken(op)?;
        taken.extend(later);
        // What an earlier time set aside is asked first: it keeps its name.
        let mut order: Vec<usize> = (0..tables.len()).collect();
        order.sort_by_key(|at| tables.get(*at).is_none_or(|table| table.aside_of.is_none()));
        let mut names: Vec<(usize, LostTable)> = Vec::new();
        for at in order {
            let Some(table) = tables.get(at) else { continue };
            let name = free_name(table, version, &taken);
            taken.push(name.name.to_ascii_lowercase());
            names.push((at, name));
        }
        names.sort_by_key(|(at, _)| *at);
        let pages = free_name(&Table::named("pages".to_owned()), version, &taken);
        Ok((names.into_iter().map(|(_, name)| name).collect(), pages))
    }

    /// Its schema names such a thing.
    ///
    /// # Errors
    /// As SQLite.
    pub fn has_object(&self, op: Op, name: &str) -> Result<bool, Failure> {
        Ok(self.names_taken(op)?.contains(&name.to_ascii_lowercase()))
    }

    fn names_taken(&self, op: Op) -> Result<Vec<String>, Failure> {
        self.strings(op, "SELECT lower(name) FROM sqlite_schema")
    }

    /// Empties a table.
    ///
    /// # Errors
    /// As SQLite.
    pub fn empty(&self, op: Op, table: &Table) -> Result<(), Failure> {
        self.run(op, &format!("DELETE FROM {}", quote(&table.name)))
    }

    pub(super) fn make_aside(&self, table: &Table, aside: &LostTable) -> rusqlite::Result<()> {
        // No types: what is put aside is what was there, not what a column would make of it.
        self.connection.execute_batch(&aside.text(&list(&table.columns, "")))
    }

    /// What an application has put into a header.
    ///
    /// # Errors
    /// As SQLite.
    pub fn take_numbers(&self, op: Op, numbers: Numbers) -> Result<(), Failure> {
        let Numbers { application, user } = numbers;
        let sql = format!("PRAGMA application_id = {application}; PRAGMA user_version = {user}");
        self.run(op, &sql)
    }

    /// What the header and AUTOINCREMENT remember beside the rows.
    ///
    /// # Errors
    /// As SQLite, but for corruption.
    pub fn take_numbers_of(&self, op: Op, old: &Database, header_too: bool) -> Result<(), Failure> {
        if header_too {
            let read = |pragma: &str| {
                let sql = format!("PRAGMA {pragma}");
                let number = old.connection.query_row(&sql, [], |row| row.get(0));
                number.map_err(|error| old.failure(op, &error))
            };
            let numbers =
                Numbers { application: read("application_id")?, user: read("user_version")? };
            self.take_numbers(op, numbers)?;
        }
        let counted = || {
            // As SQLite reads it, which takes any value; a row that tells no number is passed over.
            let sql =
                "SELECT name, CAST(seq AS INTEGER) FROM sqlite_sequence WHERE typeof(name) = \
                       'text' AND seq IS NOT NULL";
            let mut statement = old.connection.prepare(sql)?;
            let rows = statement.query_map([], |row| Ok((lossy(row, 0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, i64)>>>()
        };
        // No AUTOINCREMENT, or no page of it to read: the rows themselves set the number then.
        for (name, number) in counted().unwrap_or_default() {
            // A table that is empty has no row there yet.
            let update = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
            let insert = "INSERT INTO sqlite_sequence(name, seq) SELECT name, ?2 FROM \
                          sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE AND sql \
                          LIKE '%AUTOINCREMENT%'";
            let set =
                self.connection.execute(update, (&name, number)).and_then(|rows| match rows {
                    0 => self.connection.execute(insert, (&name, number)),
                    rows => Ok(rows),
                });
            if let Err(error) = set {
                log::debug!("sqlite_sequence: {error}.");
            }
        }
        Ok(())
    }
}
/// What an earlier time set aside keeps its name and its version.
fn free_name(table: &Table, version: i64, taken: &[String]) -> LostTable {
    let (base, version) = match table.aside_of {
        Some(version) => (table.name.clone(), version),
        None => (format!("lost_{}", table.name), version),
    };
    let numbered = (2..=u32::MAX).map(|number| format!("{base}_{number}"));
    let is_taken = |name: &str| taken.contains(&name.to_ascii_lowercase());
    // `lost_sensor_2` has the rows of `sensor_2`, where there is such a table.
    let is_anothers = |name: &str| {
        *name != base && table.aside_of.is_none() && name.get(LOST.len()..).is_some_and(is_taken)
    };
    let free = |name: &String| !is_taken(name) && !is_anothers(name);
    let name = std::iter::once(base.clone()).chain(numbered).find(free).unwrap_or(base);
    LostTable { name, version }
}

/// The first columns of a row, byte for byte, as parameters.
pub(super) fn bind(
    statement: &mut Statement<'_>,
    row: &Row<'_>,
    columns: usize,
) -> rusqlite::Result<()> {
    (0..columns).try_for_each(|at| {
        statement.raw_bind_parameter(at + 1, ToSqlOutput::Borrowed(row.get_ref(at)?))
    })
}

/// The first column of the first row.
pub(super) fn first_truth(statement: &mut Statement<'_>) -> rusqlite::Result<Option<bool>> {
    statement.raw_query().next()?.map(|row| row.get(0)).transpose()
}
