//! Owns what a schema says of the pages of its tables and indexes: where each tree begins, and what
//! its records look like.
//! Promises: columns stand in the order in which SQLite stores them, generated ones and keys
//! included.
//! Never reads a row of a table.

use rusqlite::Row;

use crate::device::disk::Op;
use crate::device::pages::keys::{Collation, KeyOrder, Ordered};
use crate::device::pages::shape::{Affinity, Shape, StoredColumn};
use crate::device::pages::tree::Tree;
use crate::device::pages::Encoding;
use crate::device::sqlite::compile::{lossy, lossy_if_any};
use crate::device::sqlite::rows::Table;
use crate::device::sqlite::Database;
use crate::error::Failure;
use crate::lex::{lex, quote};

/// SQLite's own table of the numbers that AUTOINCREMENT has given. It says nothing of the types of
/// its columns, and always fills them with a name and a number.
pub const SEQUENCE: &str = "sqlite_sequence";

/// A table or an index, as its pages show it.
#[derive(Debug, Clone)]
pub struct KnownTree {
    /// The table's name; an index has that of its table.
    pub table: String,
    /// Its first page; 0 where that is not known.
    pub root: u32,
    /// What its records look like.
    pub shape: Shape,
    /// The columns that a record may lack have these values, as SQL: by their place in the table.
    pub(super) defaults: Vec<Option<String>>,
    /// It is an index: its entries are no rows.
    pub is_index: bool,
    /// What its entries' values are called in the table, quoted; empty where its rows cannot be
    /// asked for by them.
    pub(super) names: Vec<String>,
}

impl KnownTree {
    /// What its keys are ordered by.
    pub fn order(&self, encoding: Encoding) -> Ordered<'_> {
        Ordered { columns: &self.shape.order, encoding }
    }

    /// As a walk needs it.
    pub fn tree(&self, encoding: Encoding) -> Tree<'_> {
        Tree { root: self.root, of_index: self.shape.of_index, order: self.order(encoding) }
    }

    /// A table whose rows are kept by their key.
    pub fn is_kept_by_key(&self) -> bool {
        self.shape.of_index && !self.is_index
    }
}

/// A column as `table_xinfo` has it.
struct Column {
    kind: String,
    not_null: bool,
    default: Option<String>,
    /// 0: an ordinary one; 2: generated, and not stored.
    hidden: i64,
}

impl Column {
    fn never_null(kind: &str) -> Column {
        Column { kind: kind.to_owned(), not_null: true, default: None, hidden: 0 }
    }
}

impl Database {
    /// Every tree of this schema, the schema's own first.
    ///
    /// # Errors
    /// As SQLite; damaged where the schema cannot be read.
    pub fn known_trees(&self, op: Op) -> Result<Vec<KnownTree>, Failure> {
        self.read_trees().map_err(|error| self.failure(op, &error))
    }

    /// Makes the table that this text of a schema makes, and nothing else; `false` where it cannot.
    pub fn make_table(&self, text: &str) -> bool {
        // As SQLite writes it: with its columns, and not with a query that would run.
        let tokens = lex(text).tokens;
        let mut words = tokens.iter().filter(|token| !token.is_comment());
        let begins = words.next().is_some_and(|word| word.is("CREATE"))
            && words.next().is_some_and(|word| word.is("TABLE"))
            && words.nth(1).is_some_and(|bracket| bracket.text == "(");
        if !begins {
            return false;
        }
        // Only the first statement of it.
        let mut made = self.connection.prepare(text);
        made.as_mut().is_ok_and(|made| made.raw_execute().is_ok())
    }

    fn read_trees(&self) -> rusqlite::Result<Vec<KnownTree>> {
        let sql =
            "SELECT type = 'index', name, tbl_name, rootpage FROM sqlite_schema WHERE rootpage > 0";
        let mut statement = self.connection.prepare(sql)?;
        let read = |row: &Row<'_>| {
            Ok((row.get::<_, bool>(0)?, lossy(row, 1)?, lossy(row, 2)?, row.get::<_, i64>(3)?))
        };
        let all = statement.query_map([], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut trees = vec![schema_tree()];
        for (is_index, name, table, root) in all {
            let columns = self.columns_of(&table)?;
            let mut names = Vec::new();
            let shape = match (is_index, self.table(table.clone())?) {
                (true, of) => {
                    names = self.index_names(&name, of.and_then(|table| table.row_number))?;
                    self.index_shape(&name, &columns)?
                }
                (false, Some(table)) => self.table_shape(&table, &columns)?,
                (false, None) => continue,
            };
            let root = u32::try_from(root).unwrap_or(0);
            let defaults = columns
                .into_iter()
                .filter(|column| column.hidden == 0)
                .map(|column| column.default)
                .collect();
            trees.push(KnownTree { table, root, shape, defaults, is_index, names });
        }
        Ok(trees)
    }

    /// The columns of an index, the row's number last; none where one is an expression, or the
    /// number has no name.
    fn index_names(&self, index: &str, row_number: Option<&str>) -> rusqlite::Result<Vec<String>> {
        let mut statement = self
            .connection
            .prepare("SELECT cid, name FROM pragma_index_xinfo(?1) ORDER BY seqno")?;
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, lossy_if_any(row, 1)?));
        let found = statement.query_map([index], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let numbered = found.last().is_some_and(|(cid, _)| *cid == -1);
        let name = |(cid, name): (i64, Option<String>)| match cid {
            -1 => row_number.map(str::to_owned),
            _ => name.map(|name| quote(&name)),
        };
        Ok(found
            .into_iter()
            .map(name)
            .collect::<Option<Vec<String>>>()
            .filter(|_| numbered)
            .unwrap_or_default())
    }

    /// What the keys of an index are ordered by: of a table's own those of its key, of others all,
    /// down to what tells the row.
    fn order_of(&self, index: &str, own: bool) -> rusqlite::Result<Vec<KeyOrder>> {
        let mut statement = self.connection.prepare(
            "SELECT desc, coll FROM pragma_index_xinfo(?1) WHERE key OR NOT ?2 ORDER BY seqno",
        )?;
        let read = |row: &Row<'_>| {
            let collation = match lossy(row, 1)?.to_ascii_uppercase().as_str() {
                "BINARY" => Collation::Binary,
                "NOCASE" => Collation::NoCase,
                "RTRIM" => Collation::Rtrim,
                _ => Collation::Unknown,
            };
            Ok(KeyOrder { descending: row.get(0)?, collation })
        };
        let found = statement.query_map((index, own), read)?.collect();
        found
    }

    fn columns_of(&self, table: &str) -> rusqlite::Result<Vec<Column>> {
        if table == SEQUENCE {
            return Ok(["TEXT", "INTEGER"].into_iter().map(Column::never_null).collect());
        }
        let mut statement = self.connection.prepare(
            "SELECT type, \"notnull\", dflt_value, hidden FROM pragma_table_xinfo(?1) ORDER BY cid",
        )?;
        let read = |row: &Row<'_>| {
            Ok(Column {
                kind: lossy(row, 0)?,
                not_null: row.get(1)?,
                default: lossy_if_any(row, 2)?,
                hidden: row.get(3)?,
            })
        };
        let columns = statement.query_map([table], read)?.collect();
        columns
    }

    fn table_shape(&self, table: &Table, columns: &[Column]) -> rusqlite::Result<Shape> {
        let stored =
            |cid: usize| columns.get(cid).map(|column| stored(column, place(columns, cid)));
        if let Some(index) = &table.own_index {
            let sql = "SELECT cid FROM pragma_index_xinfo(?1) WHERE cid >= 0 ORDER BY seqno";
            let mut statement = self.connection.prepare(sql)?;
            let order = statement
                .query_map([index], |row| row.get::<_, i64>(0))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let columns =
                order.into_iter().filter_map(|cid| stored(usize::try_from(cid).ok()?)).collect();
            return Ok(Shape {
                columns,
                alias: None,
                least: 1,
                of_index: true,
                order: self.order_of(index, true)?,
            });
        }
        let kept: Vec<usize> = (0..columns.len())
            .filter(|cid| columns.get(*cid).is_some_and(|column| column.hidden != 2))
            .collect();
        let key = table.key.first().filter(|_| table.numbered_by_key);
        let alias = key.and_then(|key| table.columns.iter().position(|column| column == key));
        let columns: Vec<StoredColumn> = kept.into_iter().filter_map(stored).collect();
        let alias =
            alias.and_then(|alias| columns.iter().position(|column| column.place == Some(alias)));
        Ok(Shape { columns, alias, least: 1, of_index: false, order: Vec::new() })
    }

    fn index_shape(&self, index: &str, columns: &[Column]) -> rusqlite::Result<Shape> {
        let mut statement =
            self.connection.prepare("SELECT cid FROM pragma_index_xinfo(?1) ORDER BY seqno")?;
        let order = statement
            .query_map([index], |row| row.get::<_, i64>(0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let column = |cid: i64| {
            let column = usize::try_from(cid).ok().and_then(|cid| columns.get(cid));
            let column =
                column.map(|column| StoredColumn { optional: false, ..stored(column, None) });
            column.unwrap_or(StoredColumn {
                place: None,
                affinity: if cid == -1 { Affinity::RowNumber } else { Affinity::Blob },
                not_null: cid == -1,
                optional: false,
            })
        };
        let columns = order.into_iter().map(column).collect();
        Ok(Shape {
            columns,
            alias: None,
            least: 1,
            of_index: true,
            order: self.order_of(index, false)?,
        })
    }
}

/// The place of a column among those that hold something of their own.
fn place(columns: &[Column], cid: usize) -> Option<usize> {
    let ordinary = columns.get(cid).is_some_and(|column| column.hidden == 0);
    ordinary.then(|| columns.iter().take(cid).filter(|column| column.hidden == 0).count())
}

fn stored(column: &Column, place: Option<usize>) -> StoredColumn {
    let has_default =
        column.default.as_ref().is_some_and(|default| !default.eq_ignore_ascii_case("null"));
    StoredColumn {
        place,
        affinity: Affinity::of(&column.kind),
        not_null: column.not_null,
        optional: has_default || !column.not_null,
    }
}

/// The tree of the schema itself.
fn schema_tree() -> KnownTree {
    let column =
        |affinity| StoredColumn { place: None, affinity, not_null: false, optional: false };
    let texts = [Affinity::Text, Affinity::Text, Affinity::Text, Affinity::Integer, Affinity::Text];
    let shape = Shape {
        columns: texts.into_iter().map(column).collect(),
        alias: None,
        least: 1,
        of_index: false,
        order: Vec::new(),
    };
    KnownTree {
        table: "sqlite_schema".to_owned(),
        root: 1,
        shape,
        defaults: Vec::new(),
        is_index: false,
        names: Vec::new(),
    }
}
