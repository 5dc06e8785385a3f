//! Owns an ordinary table as a source and as a place of rows: its columns, its key, what its rows can be asked by.
//! Promises: a table is read from its own pages, never from an index that has all of its columns.
//! Never brings a row from one database into another.

use rusqlite::config::DbConfig;
use rusqlite::types::ToSqlOutput;
use rusqlite::{params_from_iter, OptionalExtension, Row, Statement};

use crate::device::disk::Op;
use crate::device::sqlite::{class_of, class_of_reading, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

/// An ordinary table: no view, not virtual, no shadow of a virtual one, not SQLite's, not a history's.
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
}

/// Where rows go that a table does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostTable {
    /// Its name.
    pub name: String,
}

pub(super) fn list(names: &[String], ending: &str) -> String {
    names.iter().map(|name| format!("{}{ending}", quote(name))).collect::<Vec<_>>().join(", ")
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
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name <> ?1 COLLATE NOCASE \
                   AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'bootmigrate\\_%' ESCAPE '\\' ORDER BY name";
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

    /// Every table with pages of its own, the histories and SQLite's included, but for shadows of virtual tables.
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

    /// The table of this name.
    ///
    /// # Errors
    /// As SQLite.
    pub(super) fn table_named(&self, op: Op, name: &str) -> Result<Option<Table>, Failure> {
        self.table(name.to_owned()).map_err(|error| self.failure(op, &error))
    }

    /// `None` where it is no table, or a virtual one.
    pub(super) fn table(&self, name: String) -> rusqlite::Result<Option<Table>> {
        let sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 AND type IN ('table', 'shadow')";
        let Some(without_row_number) =
            self.connection.query_row(sql, [&name], |row| row.get::<_, bool>(0)).optional()?
        else {
            return Ok(None);
        };
        let sql = "SELECT name, upper(type), pk FROM pragma_table_xinfo(?1) WHERE hidden = 0";
        let mut statement = self.connection.prepare(sql)?;
        let read = |row: &Row<'_>| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
        };
        let found = statement.query_map([&name], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut key: Vec<&(String, String, i64)> =
            found.iter().filter(|(_, _, place)| *place > 0).collect();
        key.sort_by_key(|(_, _, place)| *place);
        let sql = "SELECT name FROM pragma_index_list(?1) WHERE origin = 'pk'";
        let key_index =
            self.connection.query_row(sql, [&name], |row| row.get::<_, String>(0)).optional()?;
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
            statement.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let key = key.into_iter().map(|(column, ..)| column.clone()).collect();
        let own_index = key_index.filter(|_| without_row_number);
        Ok(Some(Table { name, parents, columns, key, own_index, row_number, numbered_by_key }))
    }

    /// Rows of a table, as the smallest of its trees knows them, which may be an index; `None` where it cannot be read.
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

    /// A name for rows that a table does not take, which no object has.
    ///
    /// # Errors
    /// As SQLite.
    pub fn aside(&self, op: Op, table: &str) -> Result<LostTable, Failure> {
        let taken = self.names_taken(op)?;
        Ok(free_name(table, &taken))
    }

    /// The same for each of several tables, and for the rows of pages of which no table is known: no two have one name.
    ///
    /// # Errors
    /// As SQLite.
    pub fn aside_each(
        &self,
        op: Op,
        tables: &[&Table],
    ) -> Result<(Vec<LostTable>, LostTable), Failure> {
        let mut taken = self.names_taken(op)?;
        // What an earlier time set aside is asked first: it keeps its name.
        let mut order: Vec<usize> = (0..tables.len()).collect();
        order.sort_by_key(|at| !tables.get(*at).is_some_and(|table| is_lost(&table.name)));
        let mut names: Vec<(usize, LostTable)> = Vec::new();
        for at in order {
            let Some(table) = tables.get(at) else { continue };
            let name = free_name(&table.name, &taken);
            taken.push(name.name.to_ascii_lowercase());
            names.push((at, name));
        }
        names.sort_by_key(|(at, _)| *at);
        let pages = free_name("pages", &taken);
        Ok((names.into_iter().map(|(_, name)| name).collect(), pages))
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

    /// Takes the rows away that refer to nothing: into `aside` where there is one. How many.
    ///
    /// # Errors
    /// As SQLite.
    pub fn take_orphans(
        &self,
        op: Op,
        table: &Table,
        aside: Option<&LostTable>,
    ) -> Result<u64, Failure> {
        let name = quote(&table.name);
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let mut statement = self
            .connection
            .prepare("SELECT DISTINCT rowid FROM pragma_foreign_key_check(?1)")
            .map_err(failed)?;
        let rows = statement
            .query_map([&table.name], |row| row.get::<_, Option<i64>>(0))
            .map_err(failed)?;
        let rows = match rows.collect::<rusqlite::Result<Vec<Option<i64>>>>() {
            // Its parent has no key: SQLite cannot say, and verification will.
            Err(error) if class_of(&error) == Class::Failed => return Ok(0),
            rows => rows.map_err(failed)?,
        };
        if rows.is_empty() {
            return Ok(0);
        }
        if let Some(aside) = aside {
            self.make_aside(table, aside).map_err(failed)?;
        }
        let columns = list(&table.columns, "");
        let mut taken = 0;
        // A table without row numbers cannot say which: it goes as a whole.
        let whole = rows.iter().any(Option::is_none) || table.row_number.is_none();
        let which = table
            .row_number
            .filter(|_| !whole)
            .map(|number| format!(" WHERE {number} = ?1"))
            .unwrap_or_default();
        for row in if whole { vec![None] } else { rows } {
            if let Some(aside) = aside {
                let sql = format!(
                    "INSERT INTO {}({columns}) SELECT {columns} FROM {name}{which}",
                    quote(&aside.name)
                );
                self.connection.execute(&sql, params_from_iter(row)).map_err(failed)?;
            }
            let gone = self
                .connection
                .execute(&format!("DELETE FROM {name}{which}"), params_from_iter(row))
                .map_err(failed)?;
            taken += gone as u64;
        }
        Ok(taken)
    }

    pub(super) fn make_aside(&self, table: &Table, aside: &LostTable) -> rusqlite::Result<()> {
        // No types: what is put aside is what was there, not what a column would make of it.
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {}({})",
            quote(&aside.name),
            list(&table.columns, "")
        );
        self.connection.execute_batch(&sql)
    }

    /// What the header and AUTOINCREMENT remember beside the rows.
    ///
    /// # Errors
    /// As SQLite, but for corruption.
    pub fn take_numbers_of(&self, op: Op, old: &Database, header_too: bool) -> Result<(), Failure> {
        for pragma in ["application_id", "user_version"].into_iter().filter(|_| header_too) {
            let number: i64 = old
                .connection
                .query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
                .map_err(|e| old.failure(op, &e))?;
            self.run(op, &format!("PRAGMA {pragma} = {number}"))?;
        }
        let counted = || {
            let mut statement = old.connection.prepare("SELECT name, seq FROM sqlite_sequence")?;
            let rows = statement
                .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, i64)>>>()
        };
        // No AUTOINCREMENT, or no page of it to read: the rows themselves set the number then.
        for (name, number) in counted().unwrap_or_default() {
            let sql = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
            if let Err(error) = self.connection.execute(sql, (name, number)) {
                log::debug!("sqlite_sequence: {error}.");
            }
        }
        Ok(())
    }
}
/// It holds what an earlier time set aside.
fn is_lost(table: &str) -> bool {
    table.to_ascii_lowercase().starts_with("lost_")
}

/// What an earlier time set aside keeps its name.
fn free_name(table: &str, taken: &[String]) -> LostTable {
    let base = if is_lost(table) { table.to_owned() } else { format!("lost_{table}") };
    let numbered = (2..=u32::MAX).map(|number| format!("{base}_{number}"));
    let free = |name: &String| !taken.contains(&name.to_ascii_lowercase());
    LostTable { name: std::iter::once(base.clone()).chain(numbered).find(free).unwrap_or(base) }
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
