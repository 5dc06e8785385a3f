//! Owns the rows that violate a foreign key: which they are, and which of them were there before.
//! Promises: a row is known again by what it refers to or by its primary key, since a rebuild moves
//! rowids; what is kept of the rows of one pair of tables is bounded.
//! Never changes a byte.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::types::ValueRef;
use rusqlite::Connection;

use super::key::{texts, Key};
use crate::compile::lossy;
use crate::lex::quote;

/// Rows of one pair of tables that are told apart; more are only counted.
const ROWS_MAX: usize = 1 << 16;

/// The rows of one table that refer to no row of one parent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Violations {
    /// Child and parent as they are written.
    pub shown: (String, String),
    /// How many.
    pub count: u64,
    /// Each of them; `None` where they cannot be told apart, or are too many.
    pub rows: Option<Vec<Row>>,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// `None` in a table that has none.
    pub rowid: Option<i64>,
    /// Of its primary key, where one is declared.
    key: Option<u64>,
    /// Of the values that refer to the parent.
    values: u64,
}

impl Violations {
    /// Rows of another foreign key of the same pair.
    pub fn add(&mut self, other: Violations) {
        self.count += other.count;
        self.rows = match (self.rows.take(), other.rows) {
            (Some(mut rows), Some(more)) if rows.len() + more.len() <= ROWS_MAX => {
                rows.extend(more);
                Some(rows)
            }
            _ => None,
        };
    }

    /// Those that are none of the old ones: a row with the same primary key in the same table
    /// (`own`), or one that refers to the same value. `None` where rows cannot be told apart.
    pub fn new_since(&self, old: &[(&Violations, bool)]) -> Option<Vec<Row>> {
        let mut left = Left::default();
        for (violations, own) in old {
            for row in violations.rows.as_ref()? {
                left.put(*row, *own);
            }
        }
        let mut rows = self.rows.clone()?;
        rows.retain(|row| !left.take_row(row));
        rows.retain(|row| !left.take_key(row));
        rows.retain(|row| !left.take_values(row));
        Some(rows)
    }
}

/// Old rows that have not been found again.
#[derive(Default)]
struct Left {
    /// Of the same table, by primary key: what each refers to.
    own: BTreeMap<u64, Vec<u64>>,
    /// How many refer to it.
    values: BTreeMap<u64, u64>,
}

impl Left {
    fn put(&mut self, row: Row, own: bool) {
        *self.values.entry(row.values).or_default() += 1;
        if let (Some(key), true) = (row.key, own) {
            self.own.entry(key).or_default().push(row.values);
        }
    }

    /// The same row, which refers to the same.
    fn take_row(&mut self, row: &Row) -> bool {
        let Some(values) = row.key.and_then(|key| self.own.get_mut(&key)) else { return false };
        let Some(at) = values.iter().position(|values| *values == row.values) else { return false };
        values.remove(at);
        self.take_values(row)
    }

    /// The same row, which refers to something else.
    fn take_key(&mut self, row: &Row) -> bool {
        let Some(old) = row.key.and_then(|key| self.own.get_mut(&key)).and_then(Vec::pop) else {
            return false;
        };
        self.take_values(&Row { values: old, ..*row })
    }

    fn take_values(&mut self, row: &Row) -> bool {
        let Some(count) = self.values.get_mut(&row.values).filter(|count| **count > 0) else {
            return false;
        };
        *count -= 1;
        true
    }
}

/// Rows of the table that refer to no row of the parent, compared as the parent's columns compare;
/// without `parents` there is no parent, and every row that refers to it counts.
///
/// # Errors
/// As SQLite.
pub fn violations(
    connection: &Connection,
    table: &str,
    key: &Key,
    parents: Option<&[String]>,
) -> rusqlite::Result<Violations> {
    let own: Vec<String> = key.columns.iter().map(|(from, _)| quote(from)).collect();
    let mut wanted: Vec<String> = own.iter().map(|from| format!("c.{from} IS NOT NULL")).collect();
    if let Some(parents) = parents {
        let pairs = own.iter().zip(parents);
        let equal: Vec<String> =
            pairs.map(|(from, to)| format!("p.{} = +c.{from}", quote(to))).collect();
        wanted.push(format!(
            "NOT EXISTS (SELECT 1 FROM main.{} p WHERE {})",
            quote(&key.parent),
            equal.join(" AND ")
        ));
    }
    let primary = texts(
        connection,
        "SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE pk > 0 ORDER BY pk",
        &[table],
    )?;
    let columns = own.iter().cloned().chain(primary.iter().map(|name| quote(name)));
    let columns: Vec<String> = columns.map(|name| format!("c.{name}")).collect();
    let sql = format!(
        "SELECT {}, {} FROM main.{} c WHERE {}",
        rowid_of(connection, table)?,
        columns.join(", "),
        quote(table),
        wanted.join(" AND ")
    );
    let shown = (table.to_owned(), key.parent.clone());
    // A key in another collation than its column's is of no use here: every row would be compared
    // with every other.
    let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let steps =
        plan.query_map([], |row| lossy(row, 3))?.collect::<rusqlite::Result<Vec<String>>>()?;
    if steps.iter().any(|step| step.starts_with("SCAN p")) {
        return Ok(Violations { shown, ..Violations::default() });
    }
    let (mut count, mut rows) = (0, Some(Vec::new()));
    let mut statement = connection.prepare(&sql)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        count += 1;
        rows = rows.filter(|rows| rows.len() < ROWS_MAX);
        if let Some(rows) = &mut rows {
            let (first, last) = (1 + own.len(), 1 + own.len() + primary.len());
            rows.push(Row {
                rowid: row.get(0)?,
                key: if primary.is_empty() { None } else { Some(hash(row, first..last)?) },
                values: hash(row, 1..first)?,
            });
        }
    }
    Ok(Violations { shown, count, rows })
}

/// The name of a rowid that no column of the table has taken.
fn rowid_of(connection: &Connection, table: &str) -> rusqlite::Result<&'static str> {
    let without = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND wr AND name = ?1 \
                   COLLATE NOCASE";
    if !texts(connection, without, &[table])?.is_empty() {
        return Ok("NULL");
    }
    let columns =
        texts(connection, "SELECT lower(name) FROM pragma_table_xinfo(?1, 'main')", &[table])?;
    let free = |(name, _): &&(&str, &str)| !columns.iter().any(|column| column == name);
    let names = [("rowid", "c.rowid"), ("_rowid_", "c._rowid_"), ("oid", "c.oid")];
    Ok(names.iter().find(free).map_or("NULL", |(_, name)| name))
}

/// The same for a number and its digits: a rebuild may change a column's type.
fn hash(row: &rusqlite::Row<'_>, columns: std::ops::Range<usize>) -> rusqlite::Result<u64> {
    let mut hasher = DefaultHasher::new();
    for column in columns {
        match row.get_ref(column)? {
            ValueRef::Null => 0u8.hash(&mut hasher),
            ValueRef::Integer(number) => number.to_string().as_bytes().hash(&mut hasher),
            ValueRef::Real(number) => number.to_string().as_bytes().hash(&mut hasher),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.hash(&mut hasher),
        }
    }
    Ok(hasher.finish())
}
