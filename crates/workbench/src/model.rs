//! Owns what a schema holds, read from SQLite: tables with columns, keys, indexes and CHECKs, and
//! everything else by name.
//! Promises: names are compared without regard to the case of letters, as SQLite does.
//! Never holds SQLite's own tables, the history, or bootmigrate's.

use bootmigrate_build::workbench::{lex, Token, TokenKind};
use rusqlite::Connection;

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// The declared type in capitals.
    pub kind: String,
    pub not_null: bool,
    pub default: Option<String>,
    /// Its place in the primary key, from 1; 0 for none.
    pub key: u32,
    /// It is computed.
    pub generated: bool,
}

/// One reference to another table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    pub parent: String,
    /// Empty for the parent's primary key.
    pub parent_columns: Vec<String>,
}

/// One index, also that of a UNIQUE or a primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    pub name: String,
    pub unique: bool,
    /// `CREATE INDEX` made it.
    pub explicit: bool,
    pub partial: bool,
    /// `None` for an expression.
    pub columns: Vec<Option<String>>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub sql: String,
    pub columns: Vec<Column>,
    pub foreign_keys: Vec<ForeignKey>,
    pub indexes: Vec<Index>,
    /// What stands in the parentheses of each CHECK.
    pub checks: Vec<String>,
    pub strict: bool,
    pub without_rowid: bool,
}

/// A view, an index or a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub kind: String,
    pub name: String,
    pub table: String,
    pub sql: String,
}

/// A whole schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Model {
    pub tables: Vec<Table>,
    pub others: Vec<Object>,
}

impl Model {
    /// Reads the main database.
    ///
    /// # Errors
    /// As SQLite.
    pub fn read(connection: &Connection, history: &str) -> rusqlite::Result<Model> {
        let mut model = Model::default();
        let mut statement = connection.prepare(
            "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY \
             lower(name)",
        )?;
        let objects = statement.query_map([], |row| {
            Ok(Object {
                kind: row.get(0)?,
                name: row.get(1)?,
                table: row.get(2)?,
                sql: row.get(3)?,
            })
        })?;
        let shadows = virtual_tables(connection)?;
        for object in objects {
            let object = object?;
            let ours = |name: &str| {
                let name = name.to_ascii_lowercase();
                name.starts_with("sqlite_")
                    || name.starts_with("bootmigrate_")
                    || name == history.to_ascii_lowercase()
            };
            if ours(&object.name) || ours(&object.table) || shadows.contains(&object.name) {
                continue;
            }
            if object.kind == "table" {
                model.tables.push(table(connection, &object)?);
            } else {
                model.others.push(object);
            }
        }
        Ok(model)
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }

    /// The view, index or trigger of this name.
    pub fn other(&self, kind: &str, name: &str) -> Option<&Object> {
        self.others
            .iter()
            .find(|object| object.kind == kind && object.name.eq_ignore_ascii_case(name))
    }
}

impl Table {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The one column that is the row's number.
    pub fn rowid(&self) -> Option<&Column> {
        let mut key = self.columns.iter().filter(|column| column.key > 0);
        let first = key.next().filter(|column| column.kind == "INTEGER" && !self.without_rowid);
        first.filter(|_| key.next().is_none() && !self.words("DESC"))
    }

    /// Does its statement say this word outside of texts, names and comments?
    pub fn words(&self, word: &str) -> bool {
        lex(&self.sql).tokens.iter().any(|token| token.is(word))
    }

    /// Do these columns stand first in an index or key of it?
    pub fn has_index_on(&self, columns: &[String]) -> bool {
        let rowid = self.rowid().is_some_and(
            |column| matches!(columns, [one] if one.eq_ignore_ascii_case(&column.name)),
        );
        rowid
            || self
                .indexes
                .iter()
                .any(|index| !index.partial && begins_with(&index.columns, columns))
    }
}

/// Are these, in any order, the first columns of an index?
fn begins_with(index: &[Option<String>], columns: &[String]) -> bool {
    let first: Vec<&String> = index.iter().take(columns.len()).flatten().collect();
    first.len() == columns.len()
        && columns.iter().all(|column| first.iter().any(|one| one.eq_ignore_ascii_case(column)))
}

fn table(connection: &Connection, object: &Object) -> rusqlite::Result<Table> {
    let name = &object.name;
    let mut table = Table {
        name: name.clone(),
        sql: object.sql.clone(),
        columns: Vec::new(),
        foreign_keys: foreign_keys(connection, name)?,
        indexes: indexes(connection, name)?,
        checks: checks(&object.sql),
        strict: false,
        without_rowid: false,
    };
    let mut found = connection.prepare(
        "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, \
         'main') ORDER BY cid",
    )?;
    for column in found.query_map([name], |row| {
        Ok(Column {
            name: row.get(0)?,
            kind: row.get::<_, String>(1)?.to_ascii_uppercase(),
            not_null: row.get(2)?,
            default: row.get(3)?,
            key: row.get(4)?,
            generated: row.get::<_, u32>(5)? > 1,
        })
    })? {
        table.columns.push(column?);
    }
    let options = "SELECT wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1";
    (table.without_rowid, table.strict) =
        connection.query_row(options, [name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(table)
}

fn foreign_keys(connection: &Connection, table: &str) -> rusqlite::Result<Vec<ForeignKey>> {
    let mut found: Vec<(i64, ForeignKey)> = Vec::new();
    let mut statement = connection.prepare(
        "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1, 'main') ORDER BY \
         id, seq",
    )?;
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let (id, parent, from, to): (i64, String, String, Option<String>) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        if found.last().is_none_or(|(last, _)| *last != id) {
            found
                .push((id, ForeignKey { columns: Vec::new(), parent, parent_columns: Vec::new() }));
        }
        if let Some((_, key)) = found.last_mut() {
            key.columns.push(from);
            key.parent_columns.extend(to);
        }
    }
    Ok(found.into_iter().map(|(_, key)| key).collect())
}

fn indexes(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Index>> {
    let mut statement = connection.prepare(
        "SELECT name, \"unique\", origin, partial FROM pragma_index_list(?1, 'main') ORDER BY name",
    )?;
    let found = statement.query_map([table], |row| {
        let explicit = row.get::<_, String>(2)? == "c";
        Ok(Index {
            name: row.get(0)?,
            unique: row.get(1)?,
            explicit,
            partial: row.get(3)?,
            columns: Vec::new(),
        })
    })?;
    let mut found: Vec<Index> = found.collect::<rusqlite::Result<_>>()?;
    for index in &mut found {
        let mut columns = connection.prepare(
            "SELECT name FROM pragma_index_xinfo(?1, 'main') WHERE \"key\" = 1 ORDER BY seqno",
        )?;
        index.columns =
            columns.query_map([&index.name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    }
    Ok(found)
}

/// Virtual tables, and what their modules keep.
fn virtual_tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('shadow', \
         'virtual')",
    )?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}

/// What stands in the parentheses of each CHECK of a statement.
pub fn checks(sql: &str) -> Vec<String> {
    let lexed = lex(sql);
    let tokens: Vec<&Token<'_>> = lexed.tokens.iter().filter(|token| !token.is_comment()).collect();
    let mut found = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        if token.is("CHECK") {
            let inside = in_parentheses(tokens.get(place + 1..).unwrap_or_default());
            if !inside.is_empty() {
                found.push(inside.iter().map(|token| token.text).collect::<Vec<_>>().join(" "));
            }
        }
    }
    found
}

/// The tokens between a parenthesis that opens here and the one that closes it.
pub fn in_parentheses<'t, 'a>(tokens: &'t [&'t Token<'a>]) -> Vec<&'t Token<'a>> {
    let mut depth = 0_usize;
    let mut inside = Vec::new();
    for token in tokens {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            _ if depth == 0 => return Vec::new(),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        inside.push(*token);
    }
    inside.into_iter().skip(1).collect()
}

/// A name without its quotes.
pub fn bare(token: &Token<'_>) -> String {
    token.text.trim_matches(['"', '`', '[', ']', '\'']).to_owned()
}
