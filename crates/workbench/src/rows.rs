//! Owns rows that fit a schema: types, NOT NULL, UNIQUE, CHECK and foreign keys, in every table
//! that takes any.
//! Promises: the same schema gets the same rows; NULL and equal values stand wherever the schema
//! allows them.
//! Never writes to a database that was not made for it.

use std::collections::BTreeMap;

use bootmigrate_build::workbench::{lex, TokenKind};
use bootmigrate_model::lex::quote;
use rusqlite::types::Value;
use rusqlite::{ffi, params_from_iter, Connection};

use crate::model::{bare, Column, ForeignKey, Model, Table};

/// Tries for one row: a CHECK over several columns needs many, and a table that takes none costs
/// them all.
const TRIES_MAX: u64 = 400;
/// Every so many rows a column that may be NULL is.
const NULL_EVERY: u64 = 4;
/// A CHECK of a length is met by a text of that length, up to this.
const LENGTH_MAX: usize = 64;

/// What was written.
#[derive(Debug, Default)]
pub struct Filled {
    /// Rows of each table.
    pub rows: BTreeMap<String, i64>,
    /// Tables without a row, and SQLite's words for the last one it refused.
    pub empty: Vec<(String, String)>,
}

/// Fills every table of this schema, parents first.
///
/// # Errors
/// As SQLite, but for rows that it refuses.
pub fn fill(connection: &Connection, model: &Model, wanted: u32) -> rusqlite::Result<Filled> {
    let mut filled = Filled::default();
    connection.execute_batch("PRAGMA foreign_keys = ON; BEGIN")?;
    for table in in_order(model) {
        let mut refused = String::new();
        for number in 0..u64::from(wanted) {
            if let Err(words) = one_row(connection, table, number)? {
                refused = words;
            }
        }
        let count: i64 = connection.query_row(
            &format!("SELECT count(*) FROM {}", quote(&table.name)),
            [],
            |row| row.get(0),
        )?;
        filled.rows.insert(table.name.clone(), count);
        if count == 0 {
            filled.empty.push((table.name.clone(), refused));
        }
    }
    connection.execute_batch("COMMIT; PRAGMA foreign_keys = OFF")?;
    Ok(filled)
}

/// Parents before their children; what is left refers to itself in a circle.
fn in_order(model: &Model) -> Vec<&Table> {
    let mut done: Vec<&Table> = Vec::new();
    let mut left: Vec<&Table> = model.tables.iter().collect();
    while !left.is_empty() {
        let is_done = |name: &str| done.iter().any(|table| table.name.eq_ignore_ascii_case(name));
        let free = |table: &&Table| {
            let parents = table.foreign_keys.iter().map(|key| key.parent.as_str());
            let mut known = parents.filter(|parent| {
                model.table(parent).is_some() && !parent.eq_ignore_ascii_case(&table.name)
            });
            known.all(is_done)
        };
        let (ready, rest): (Vec<&Table>, Vec<&Table>) = left.iter().partition(|table| free(table));
        if ready.is_empty() {
            done.extend(rest);
            break;
        }
        done.extend(ready);
        left = rest;
    }
    done
}

/// Writes one row; SQLite's words where no try was taken.
fn one_row(
    connection: &Connection,
    table: &Table,
    number: u64,
) -> rusqlite::Result<Result<(), String>> {
    let columns: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| !column.generated && !is_rowid(table, column))
        .collect();
    let candidates: Vec<Vec<Value>> =
        columns.iter().map(|column| said_by_checks(table, column)).collect();
    let names = columns.iter().map(|column| quote(&column.name)).collect::<Vec<_>>().join(", ");
    let marks = vec!["?"; columns.len()].join(", ");
    let sql = if columns.is_empty() {
        format!("INSERT INTO {} DEFAULT VALUES", quote(&table.name))
    } else {
        format!("INSERT INTO {} ({names}) VALUES ({marks})", quote(&table.name))
    };
    // A foreign key that fits nothing keeps every row out, as it does on a device.
    let mut statement = match connection.prepare(&sql) {
        Ok(statement) => statement,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut last = String::new();
    // What no index keeps apart stays alike where only that was in the way.
    let mut of_the_rest = 0;
    for attempt in 0..TRIES_MAX {
        let mut values = Vec::new();
        for (place, (column, said)) in columns.iter().zip(&candidates).enumerate() {
            let attempt = if is_kept_apart(table, column) { attempt } else { of_the_rest };
            let draw = mixed(number, attempt, place as u64);
            values.push(value(column, said, number, attempt, draw));
        }
        for key in &table.foreign_keys {
            refer(connection, table, key, (number.wrapping_add(attempt), &columns), &mut values)?;
        }
        match statement.execute(params_from_iter(values)) {
            Ok(_) => return Ok(Ok(())),
            Err(error) => {
                let taken = [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CONSTRAINT_PRIMARYKEY];
                if !error.sqlite_error().is_some_and(|error| taken.contains(&error.extended_code)) {
                    of_the_rest = attempt + 1;
                }
                last = error.to_string();
            }
        }
    }
    Ok(Err(last))
}

/// It is in a key or in a unique index, or may be: of an expression nobody reads the columns.
fn is_kept_apart(table: &Table, column: &Column) -> bool {
    let is_it = |part: &Option<String>| {
        part.as_ref().is_none_or(|part| part.eq_ignore_ascii_case(&column.name))
    };
    let mut unique = table.indexes.iter().filter(|index| index.unique);
    column.key > 0 || unique.any(|index| index.columns.iter().any(is_it))
}

fn is_rowid(table: &Table, column: &Column) -> bool {
    // One that a CHECK limits must be chosen; SQLite would count on.
    table.rowid().is_some_and(|rowid| rowid == column) && said_by_checks(table, column).is_empty()
}

/// A value for a column, first the plainest and then any.
fn value(column: &Column, said: &[Value], number: u64, attempt: u64, draw: u64) -> Value {
    let may_be_null = !column.not_null && column.key == 0;
    if may_be_null && number % NULL_EVERY == NULL_EVERY - 1 && attempt.is_multiple_of(2) {
        return Value::Null;
    }
    if let Some(chosen) =
        usize::try_from(draw).ok().and_then(|draw| said.get(draw % said.len().max(1)))
    {
        if attempt == 0 || !draw.is_multiple_of(8) {
            return chosen.clone();
        }
    }
    // Two rows with the same value, unless something is unique.
    let original = number;
    let number = if attempt == 0 { number / 2 } else { number.wrapping_add(attempt * 1000) };
    let whole = i64::try_from(number).unwrap_or_default();
    match affinity(&column.kind) {
        Affinity::Integer | Affinity::Numeric => Value::Integer(whole + 1),
        Affinity::Real => Value::Real(whole as f64 + 0.5),
        Affinity::Blob => Value::Blob(number.to_be_bytes().to_vec()),
        // Every third in capitals: equal to another where a collation or `lower` says so.
        Affinity::Text if attempt == 0 => {
            let text = format!("{} {}", column.name, original / 3);
            Value::Text(if original % 3 == 2 { text.to_uppercase() } else { text })
        }
        Affinity::Text => Value::Text(format!("{} {number}", column.name)),
    }
}

/// How SQLite stores what a column is given (datatype3, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

/// By the declared type in capitals.
pub fn affinity(kind: &str) -> Affinity {
    let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    if has(&["INT"]) {
        Affinity::Integer
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if kind.is_empty() || has(&["BLOB"]) {
        Affinity::Blob
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

/// What the CHECKs that name a column compare it with: texts, numbers and their neighbours, texts
/// of that length.
fn said_by_checks(table: &Table, column: &Column) -> Vec<Value> {
    let mut found = Vec::new();
    for check in &table.checks {
        let lexed = lex(check);
        let names = |kind: TokenKind| matches!(kind, TokenKind::Word | TokenKind::Quoted);
        if !lexed
            .tokens
            .iter()
            .any(|token| names(token.kind) && bare(token).eq_ignore_ascii_case(&column.name))
        {
            continue;
        }
        let mut minus = false;
        for token in &lexed.tokens {
            if token.kind == TokenKind::Text {
                let text = bare(token).replace("''", "'");
                found.push(Value::Text(text.replace(['%', '*'], "a").replace(['_', '?'], "b")));
                found.push(Value::Text(text));
            } else if let Ok(number) = token.text.parse::<i64>() {
                let number = if minus { -number } else { number };
                found.extend([0, 1, -1].map(|step| Value::Integer(number.saturating_add(step))));
                let length = usize::try_from(number).ok().filter(|length| *length <= LENGTH_MAX);
                found.extend(
                    length
                        .filter(|_| affinity(&column.kind) == Affinity::Text)
                        .map(|length| Value::Text("a".repeat(length))),
                );
            } else if token.is("json_valid") || token.is("json_type") {
                found.extend(["{}", "[]", "1"].map(|text| Value::Text(text.into())));
            }
            minus = token.text == "-";
        }
    }
    found
}

/// Takes the values of a row of the parent, or NULL where there is none.
fn refer(
    connection: &Connection,
    table: &Table,
    key: &ForeignKey,
    (number, columns): (u64, &[&Column]),
    values: &mut [Value],
) -> rusqlite::Result<()> {
    let parent_columns = if key.parent_columns.is_empty() {
        primary_key(connection, &key.parent)?
    } else {
        key.parent_columns.clone()
    };
    let place_of =
        |name: &String| columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    let places: Vec<Option<usize>> = key.columns.iter().map(place_of).collect();
    let may_be_null = places
        .iter()
        .flatten()
        .all(|place| columns.get(*place).is_some_and(|column| !column.not_null && column.key == 0));
    let is_null = places.iter().flatten().any(|place| values.get(*place) == Some(&Value::Null));
    let found = if is_null || parent_columns.is_empty() {
        None
    } else {
        row_of_parent(connection, &key.parent, &parent_columns, number)?
    };
    let own = key.parent.eq_ignore_ascii_case(&table.name);
    for (at, place) in places.iter().enumerate() {
        if let Some(value) = place.and_then(|place| values.get_mut(place)) {
            match &found {
                Some(row) => *value = row.get(at).cloned().unwrap_or(Value::Null),
                None if may_be_null || own => *value = Value::Null,
                None => {}
            }
        }
    }
    Ok(())
}

fn primary_key(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

fn row_of_parent(
    connection: &Connection,
    table: &str,
    columns: &[String],
    number: u64,
) -> rusqlite::Result<Option<Vec<Value>>> {
    let list = columns.iter().map(|column| quote(column)).collect::<Vec<_>>().join(", ");
    let table = quote(table);
    let sql = format!(
        "SELECT {list} FROM {table} ORDER BY 1 LIMIT 1 OFFSET ?1 % max(1, (SELECT count(*) FROM \
         {table}))"
    );
    // A parent that is not there, or a column of it.
    let Ok(mut statement) = connection.prepare(&sql) else { return Ok(None) };
    let mut rows = statement.query([i64::try_from(number).unwrap_or_default()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    (0..columns.len())
        .map(|place| row.get(place))
        .collect::<rusqlite::Result<Vec<Value>>>()
        .map(Some)
}

/// A number that looks random, the same at every run (splitmix64).
fn mixed(number: u64, attempt: u64, place: u64) -> u64 {
    let seed = number
        .wrapping_mul(0x9e37_79b9)
        .wrapping_add(attempt)
        .wrapping_mul(0x1_0001)
        .wrapping_add(place);
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(sql: &str, wanted: &[(&str, i64)]) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        let model = Model::read(&connection, "refinery_schema_history").unwrap();
        let filled = fill(&connection, &model, 8).unwrap();
        let found: Vec<(&str, i64)> =
            filled.rows.iter().map(|(table, count)| (table.as_str(), *count)).collect();
        assert_eq!(found, wanted, "{:?}", filled.empty);
        connection
    }

    #[test]
    fn rows_fit_the_constraints() {
        check(
            "CREATE TABLE a (x TEXT NOT NULL UNIQUE, y INTEGER CHECK (y BETWEEN 10 AND 12), z \
             CHECK (z IN ('p', 'q')))",
            &[("a", 8)],
        );
        check(
            "CREATE TABLE a (code TEXT CHECK (length(code) = 5), mail TEXT NOT NULL CHECK (mail \
             LIKE '%@%')) STRICT",
            &[("a", 8)],
        );
        check(
            "CREATE TABLE a (id INTEGER PRIMARY KEY CHECK (id = 1), doc TEXT NOT NULL CHECK \
             (json_valid(doc)))",
            &[("a", 1)],
        );
        check(
            "CREATE TABLE a (low INTEGER NOT NULL, high INTEGER NOT NULL, CHECK (low < high AND \
             low > 2 AND high < 9))",
            &[("a", 8)],
        );
        check(
            "CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER NOT NULL REFERENCES parent, up \
             REFERENCES child (id));
             CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE)",
            &[("child", 8), ("parent", 8)],
        );
        check(
            "CREATE TABLE a (b TEXT, c TEXT, PRIMARY KEY (b, c)) WITHOUT ROWID; CREATE TABLE d (b, \
             c, FOREIGN KEY (b, c) REFERENCES a)",
            &[("a", 8), ("d", 8)],
        );
    }

    #[test]
    fn null_and_equal_values_are_there() {
        let connection = check("CREATE TABLE a (x TEXT)", &[("a", 8)]);
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(
            (
                count("SELECT count(*) FROM a WHERE x IS NULL"),
                count("SELECT count(x) - count(DISTINCT x) FROM a"),
                count("SELECT count(x) - count(DISTINCT lower(x)) FROM a")
            ),
            (2, 1, 3)
        );
    }

    #[test]
    fn what_takes_no_row_is_said() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE a (x CHECK (0))").unwrap();
        let model = Model::read(&connection, "h").unwrap();
        let filled = fill(&connection, &model, 2).unwrap();
        assert_eq!(filled.empty, [("a".to_owned(), "CHECK constraint failed: 0".to_owned())]);
    }
}
