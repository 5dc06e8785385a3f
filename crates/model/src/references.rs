//! Owns the foreign keys of a schema: which of them cannot work at all, and how many rows violate the others.
//! Promises: every table is checked by itself, so that one whose foreign keys do not fit hides nothing of another; names and counts
//!   are compared, never rowids, since a rebuild moves them.
//! Never changes a byte.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{params_from_iter, Connection};

use crate::compile::{lossy, sql_error};
use crate::lex::quote;

/// Child table and parent table, in small letters: SQLite does not tell them apart by case.
type Pair = (String, String);

/// The foreign keys of one schema, with its rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// Every table and view, in small letters.
    tables: BTreeSet<String>,
    /// Rows that refer to no row of the parent.
    violations: BTreeMap<Pair, u64>,
    /// Foreign keys with which no application can write, a sentence each.
    broken: BTreeMap<Pair, Vec<String>>,
    /// What cannot be checked here, a sentence each.
    pub unchecked: Vec<String>,
}

/// What got worse between two looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Worse {
    /// Child, parent, and how many of its rows refer to none of the parent's.
    pub violated: Vec<(String, String, u64)>,
    /// Foreign keys that cannot work, and could before or were not there.
    pub broken: Vec<String>,
}

/// One foreign key of a table.
struct Key {
    parent: String,
    /// Each column, and the parent's where it is written.
    columns: Vec<(String, Option<String>)>,
}

/// Looks at every foreign key.
///
/// # Errors
/// As SQLite, but for errors of the schema, which are part of the answer.
pub fn look(connection: &Connection) -> rusqlite::Result<References> {
    let names = "SELECT lower(name) FROM main.sqlite_schema WHERE type IN ('table', 'view')";
    let mut found = References {
        tables: texts(connection, names, &[])?.into_iter().collect(),
        ..References::default()
    };
    for (table, keys) in all_keys(connection)? {
        found.look_at(connection, &table, &keys)?;
    }
    Ok(found)
}

/// The rows behind violations of these tables, for an operator: `reading rowid 17 names no row of sensor`; more than `most` are counted.
///
/// # Errors
/// As SQLite.
pub fn rows(
    connection: &Connection,
    tables: &[&str],
    most: usize,
) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT \"table\" || ' rowid ' || coalesce(rowid, '(none)') || ' names no row of ' || coalesce(parent, '?') \
               FROM pragma_foreign_key_check(?1, 'main')";
    let (mut shown, mut more) = (Vec::new(), 0u64);
    for table in tables {
        let found = match texts(connection, sql, &[table]) {
            // A foreign key of this table does not fit: SQLite names none of its rows.
            Err(error) if sql_error(&error).is_some() => Vec::new(),
            found => found?,
        };
        for row in found {
            if shown.len() < most {
                shown.push(row);
            } else {
                more += 1;
            }
        }
    }
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    Ok(shown)
}

impl References {
    /// Pairs of tables with more violations now than before, and foreign keys that work no more. A table that was renamed is looked up
    /// under its old name too.
    pub fn worse_than(&self, before: &References) -> Worse {
        let violated = self.violations.iter().filter(|(pair, count)| {
            **count > self.allowed(pair, before, &before.violations, |count| *count)
        });
        let violated = violated
            .map(|((child, parent), count)| (child.clone(), parent.clone(), *count))
            .collect();
        let more = |(pair, now): &(&Pair, &Vec<String>)| {
            now.len() as u64 > self.allowed(pair, before, &before.broken, |old| old.len() as u64)
        };
        let known: BTreeSet<&String> = before.broken.values().flatten().collect();
        let broken = self
            .broken
            .iter()
            .filter(more)
            .flat_map(|(_, now)| now)
            .filter(|sentence| !known.contains(sentence));
        Worse { violated, broken: broken.cloned().collect() }
    }

    /// Foreign keys that cannot work now and could not before.
    pub fn broken_as_before(&self, before: &References) -> Vec<String> {
        let new = self.worse_than(before).broken;
        self.broken.values().flatten().filter(|sentence| !new.contains(sentence)).cloned().collect()
    }

    /// What this schema has counts as having been there before.
    pub fn accept(&mut self, now: References, with_violations: bool) {
        self.tables.extend(now.tables);
        for (pair, sentences) in now.broken {
            let old = self.broken.entry(pair).or_default();
            if sentences.len() > old.len() {
                *old = sentences;
            }
        }
        if with_violations {
            for (pair, count) in now.violations {
                let old = self.violations.entry(pair).or_default();
                *old = count.max(*old);
            }
        }
    }

    fn allowed<T>(
        &self,
        (child, parent): &Pair,
        before: &References,
        old: &BTreeMap<Pair, T>,
        count: impl Fn(&T) -> u64,
    ) -> u64 {
        let gone = |name: &String| before.tables.contains(name) && !self.tables.contains(name);
        let same = |then: &String, now: &String| then == now || gone(then);
        let matching = old.iter().filter(|((c, p), _)| same(c, child) && same(p, parent));
        matching.map(|(_, value)| count(value)).max().unwrap_or(0)
    }

    fn look_at(
        &mut self,
        connection: &Connection,
        table: &str,
        keys: &[Key],
    ) -> rusqlite::Result<()> {
        for key in keys {
            if !self.tables.contains(&key.parent.to_lowercase()) {
                self.breaks(
                    table,
                    key,
                    &format!("refers to table {}, which does not exist", key.parent),
                );
            }
        }
        let sql = "SELECT parent, count(*) FROM pragma_foreign_key_check(?1, 'main') GROUP BY 1";
        let counted = |row: &rusqlite::Row<'_>| Ok((lossy(row, 0)?, row.get::<_, i64>(1)?));
        let counts: rusqlite::Result<Vec<_>> =
            (|| connection.prepare(sql)?.query_map([table], counted)?.collect())();
        match counts {
            Ok(counts) => {
                for (parent, count) in counts {
                    self.count(table, &parent, u64::try_from(count).unwrap_or(0));
                }
                Ok(())
            }
            Err(error) => match sql_error(&error) {
                Some(words) => self.look_at_each(connection, table, keys, &words),
                None => Err(error),
            },
        }
    }

    /// A foreign key of this table does not fit its parent, and SQLite then checks none of them: here each is looked at by itself.
    fn look_at_each(
        &mut self,
        connection: &Connection,
        table: &str,
        keys: &[Key],
        words: &str,
    ) -> rusqlite::Result<()> {
        let before = self.broken.len();
        for key in keys {
            if !self.tables.contains(&key.parent.to_lowercase()) {
                continue;
            }
            match fit(connection, key)? {
                Err(why) => self.breaks(table, key, &why),
                Ok(columns) => match violations(connection, table, key, &columns) {
                    Ok(count) => self.count(table, &key.parent, count),
                    Err(error) if sql_error(&error).is_some() => {}
                    Err(error) => return Err(error),
                },
            }
        }
        match words.split("\" referencing \"").nth(1) {
            Some(parent) if self.broken.len() == before => {
                let pair = (table.to_lowercase(), parent.trim_end_matches('"').to_lowercase());
                self.broken
                    .entry(pair)
                    .or_default()
                    .push(format!("a foreign key of {table} does not fit: {words}"));
            }
            Some(_) => {}
            None => self
                .unchecked
                .push(format!("the foreign keys of {table} cannot be checked here: {words}")),
        }
        Ok(())
    }

    fn breaks(&mut self, table: &str, key: &Key, why: &str) {
        let columns: Vec<&str> = key.columns.iter().map(|(from, _)| from.as_str()).collect();
        let sentence = format!("the foreign key {table}({}) {why}", columns.join(", "));
        self.broken
            .entry((table.to_lowercase(), key.parent.to_lowercase()))
            .or_default()
            .push(sentence);
    }

    fn count(&mut self, table: &str, parent: &str, rows: u64) {
        if rows > 0 {
            *self.violations.entry((table.to_lowercase(), parent.to_lowercase())).or_default() +=
                rows;
        }
    }
}

/// Every table's foreign keys.
fn all_keys(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Vec<Key>>> {
    let sql =
        "SELECT m.name, f.id, f.\"table\", f.\"from\", f.\"to\" FROM main.sqlite_schema m, pragma_foreign_key_list(m.name, 'main') f \
               WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut found: BTreeMap<String, Vec<Key>> = BTreeMap::new();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let (table, id) = (lossy(row, 0)?, row.get::<_, i64>(1)?);
        let column = (lossy(row, 3)?, row.get::<_, Option<String>>(4)?);
        let keys = found.entry(table.clone()).or_default();
        if last.as_ref() != Some(&(table.clone(), id)) {
            keys.push(Key { parent: lossy(row, 2)?, columns: Vec::new() });
        }
        if let Some(key) = keys.last_mut() {
            key.columns.push(column);
        }
        last = Some((table, id));
    }
    Ok(found)
}

/// The parent's columns that this foreign key stands on; else why it does not fit.
fn fit(connection: &Connection, key: &Key) -> rusqlite::Result<Result<Vec<String>, String>> {
    let parent = key.parent.as_str();
    let is_table = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name = ?1 COLLATE NOCASE";
    if texts(connection, is_table, &[parent])?.is_empty() {
        return Ok(Err(format!("refers to {parent}, which is no ordinary table")));
    }
    let all =
        texts(connection, "SELECT lower(name) FROM pragma_table_xinfo(?1, 'main')", &[parent])?;
    let primary = texts(
        connection,
        "SELECT lower(name) FROM pragma_table_xinfo(?1, 'main') WHERE pk > 0 ORDER BY pk",
        &[parent],
    )?;
    let written: Option<Vec<String>> =
        key.columns.iter().map(|(_, to)| to.as_ref().map(|to| to.to_lowercase())).collect();
    let Some(columns) = written else {
        let fits = primary.len() == key.columns.len();
        let why = || {
            format!("refers to the primary key of {parent}, which has {} columns", primary.len())
        };
        return Ok(if fits { Ok(primary) } else { Err(why()) });
    };
    let named = format!("refers to {parent}({})", columns.join(", "));
    if let Some(missing) = columns.iter().find(|column| !all.contains(column)) {
        return Ok(Err(format!("{named}, and {parent} has no column {missing}")));
    }
    let wanted: BTreeSet<&String> = columns.iter().collect();
    if primary.iter().collect::<BTreeSet<_>>() == wanted {
        return Ok(Ok(columns));
    }
    let indexes = "SELECT name FROM pragma_index_list(?1, 'main') WHERE \"unique\" AND NOT partial";
    for index in texts(connection, indexes, &[parent])? {
        let sql = "SELECT coalesce(lower(name), '') FROM pragma_index_xinfo(?1, 'main') WHERE key";
        if texts(connection, sql, &[&index])?.iter().collect::<BTreeSet<_>>() == wanted {
            return Ok(Ok(columns));
        }
    }
    Ok(Err(format!("{named}, which is neither the primary key nor unique there")))
}

/// Rows of the table that refer to no row of the parent, compared as the parent's columns compare.
fn violations(
    connection: &Connection,
    table: &str,
    key: &Key,
    parents: &[String],
) -> rusqlite::Result<u64> {
    let pairs =
        || key.columns.iter().map(|(from, _)| quote(from)).zip(parents.iter().map(|to| quote(to)));
    let filled: Vec<String> = pairs().map(|(from, _)| format!("c.{from} IS NOT NULL")).collect();
    let equal: Vec<String> = pairs().map(|(from, to)| format!("p.{to} = +c.{from}")).collect();
    let sql = format!(
        "SELECT count(*) FROM main.{} c WHERE {} AND NOT EXISTS (SELECT 1 FROM main.{} p WHERE {})",
        quote(table),
        filled.join(" AND "),
        quote(&key.parent),
        equal.join(" AND ")
    );
    // A key in another collation than its column's is of no use here: every row would be compared with every other.
    let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let steps =
        plan.query_map([], |row| lossy(row, 3))?.collect::<rusqlite::Result<Vec<String>>>()?;
    if steps.iter().any(|migration| migration.starts_with("SCAN p")) {
        return Ok(0);
    }
    connection
        .query_row(&sql, [], |row| row.get::<_, i64>(0))
        .map(|count| u64::try_from(count).unwrap_or(0))
}

fn texts(connection: &Connection, sql: &str, parameters: &[&str]) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(params_from_iter(parameters), |row| lossy(row, 0))?;
    rows.collect()
}

#[cfg(test)]
#[path = "references_tests.rs"]
mod tests;
