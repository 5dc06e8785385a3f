//! Owns what is known of an index before its entries are asked for.
//! Promises: its columns, condition and order as SQLite has them; where a condition is not found in
//! its text, the index counts as computed.
//! Never reads a row of a table.

use rusqlite::Row;

use crate::device::sqlite::compile::{lossy, lossy_if_any};
use crate::device::sqlite::rows::Table;
use crate::device::sqlite::{class_of_reading, is_out_of_memory, Database};
use crate::error::Class;
use crate::lex::quote;

/// An index, as far as its entries can be asked for.
pub(super) struct Index {
    pub(super) name: String,
    /// Indexed columns of the table, with the order of their entries: `"a" COLLATE NOCASE`.
    pub(super) columns: Vec<(usize, String)>,
    /// The condition of a partial index.
    pub(super) condition: Option<String>,
    /// It has an expression, whose value is not compared entry by entry.
    pub(super) computed: bool,
    /// Its order, backwards.
    pub(super) backwards: String,
}

impl Index {
    /// The table, read by this index.
    pub(super) fn of(&self, table: &Table) -> String {
        format!("{} INDEXED BY {}", quote(&table.name), quote(&self.name))
    }
}

impl Database {
    /// Where rows are kept by their key, SQLite looks up the row of an entry for a column of the
    /// condition that the index does not have, and passes over an entry whose row is gone.
    pub(super) fn passes_over(&self, table: &Table, index: &Index, scan: &str) -> bool {
        let plan = || {
            self.connection
                .query_row(&format!("EXPLAIN QUERY PLAN {scan}"), [], |row| lossy(row, 3))
        };
        table.is_kept_by_key()
            && index.condition.is_some()
            && !plan().is_ok_and(|plan| plan.contains("USING COVERING INDEX"))
    }

    /// The entries of an index, counted on its pages; `None` where not every page can be read, or
    /// SQLite does not have dbstat.
    pub(super) fn entries_of(&self, index: &Index) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT sum(ncell) FILTER (WHERE pagetype IN ('internal', 'leaf', 'overflow')), \
                   count(*) FILTER (WHERE pagetype = 'corrupted') FROM dbstat WHERE name = ?1";
        match self
            .connection
            .query_row(sql, [&index.name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))
        {
            Ok((entries, 0)) => Ok(entries),
            Ok(_) => Ok(None),
            // dbstat asks for as much memory as a corrupt cell claims to need.
            Err(error) if is_out_of_memory(&error) => Ok(None),
            Err(error) if matches!(class_of_reading(&error), Class::Damaged | Class::Failed) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn indexes(&self, table: &Table) -> rusqlite::Result<Vec<Index>> {
        let sql =
            "SELECT l.name, s.sql, l.partial FROM pragma_index_list(?1) l JOIN sqlite_schema s ON \
             s.type = 'index' AND s.name = l.name WHERE s.rootpage > 0";
        let mut statement = self.connection.prepare(sql)?;
        let read =
            |row: &Row<'_>| Ok((lossy(row, 0)?, lossy_if_any(row, 1)?, row.get::<_, bool>(2)?));
        let rows =
            statement.query_map([&table.name], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
        rows.into_iter()
            .map(|(name, sql, partial)| self.index(table, name, sql.filter(|_| partial)))
            .collect()
    }

    fn index(
        &self,
        table: &Table,
        name: String,
        partial: Option<String>,
    ) -> rusqlite::Result<Index> {
        let sql = "SELECT cid, name, coll, desc, key FROM pragma_index_xinfo(?1) ORDER BY seqno";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([&name])?;
        let (mut columns, mut computed, mut order) = (Vec::new(), false, Vec::new());
        while let Some(row) = rows.next()? {
            let column = lossy_if_any(row, 1)?;
            let at = column.as_ref().and_then(|name| {
                table.columns.iter().position(|column| column.eq_ignore_ascii_case(name))
            });
            match (row.get::<_, i64>(0)?, column) {
                (0.., Some(column)) => {
                    let direction = if row.get::<_, bool>(3)? { "ASC" } else { "DESC" };
                    let collation = lossy_if_any(row, 2)?;
                    let collation = collation
                        .map(|name| format!(" COLLATE {}", quote(&name)))
                        .unwrap_or_default();
                    order.push(format!("{}{collation} {direction}", quote(&column)));
                    // A generated column holds nothing of its own; the row's key is compared
                    // anyway.
                    columns.extend(
                        at.filter(|_| row.get(4).unwrap_or(false)).map(|at| (at, quote(&column))),
                    );
                }
                (-1, _) => {}
                _ => computed = true,
            }
        }
        // What cannot be found in its text is compared as if it were an expression.
        let condition = partial.as_deref().and_then(condition).map(str::to_owned);
        computed |= partial.is_some() && condition.is_none();
        Ok(Index { name, columns, condition, computed, backwards: order.join(", ") })
    }
}

/// The condition of a partial index, from its text: what follows the WHERE that is in no
/// parentheses, quotes or comment.
pub(super) fn condition(sql: &str) -> Option<&str> {
    let bytes = sql.as_bytes();
    let (mut at, mut depth) = (0usize, 0usize);
    while let Some(byte) = bytes.get(at) {
        let rest = sql.get(at..)?;
        let skipped = match byte {
            b'\'' | b'"' | b'`' => 2 + rest.get(1..)?.find(char::from(*byte))?,
            b'[' => 1 + rest.find(']')?,
            b'-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/")? + 2,
            b'(' => {
                depth += 1;
                1
            }
            b')' => {
                depth = depth.saturating_sub(1);
                1
            }
            byte if is_word(*byte) => {
                let word = rest.bytes().take_while(|byte| is_word(*byte)).count();
                if depth == 0
                    && rest.get(..word).is_some_and(|word| word.eq_ignore_ascii_case("where"))
                {
                    return rest.get(word..);
                }
                word
            }
            _ => 1,
        };
        at += skipped;
    }
    None
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}
