//! Owns the foreign keys of a schema: which of them cannot work at all, and which rows violate the
//! others.
//! Promises: every table is checked by itself, so that one whose foreign keys do not fit hides
//! nothing of another; what was so before is compared key by key and row by row, so that what is
//! mended hides nothing that was broken.
//! Never changes a byte.

mod key;
mod rows;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::compile::{lossy, sql_error};
use key::{all_keys, fit, texts, Key};
use rows::{violations, Violations};

/// Child table and parent table, in small letters: SQLite does not tell them apart by case.
type Pair = (String, String);

/// The foreign keys of one schema, with its rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// Every table and view, in small letters.
    tables: BTreeSet<String>,
    /// Every foreign key: its table and its columns, in small letters.
    keys: BTreeSet<(String, Vec<String>)>,
    /// Rows that refer to no row of the parent.
    violations: BTreeMap<Pair, Violations>,
    /// Foreign keys with which no application can write.
    broken: BTreeMap<Pair, Vec<Broken>>,
    /// What cannot be checked here, a sentence each.
    pub unchecked: Vec<String>,
}

/// A foreign key that cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Broken {
    /// In small letters; none where SQLite does not say which foreign key of the table it is.
    columns: Vec<String>,
    sentence: String,
}

/// What got worse between two looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Worse {
    /// Pairs of tables with rows that violate a foreign key and did not before.
    pub violated: Vec<Violated>,
    /// Foreign keys that cannot work, and could before or were not there.
    pub broken: Vec<String>,
}

/// Rows of one table that violate a foreign key and did not before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violated {
    /// The table.
    pub child: String,
    /// What they refer to.
    pub parent: String,
    /// How many; all that violate it now, where they cannot be told apart.
    pub count: u64,
    /// Of each; `None` where they cannot be told apart.
    rowids: Option<Vec<Option<i64>>>,
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
        found.keys.extend(keys.iter().map(|key| (table.to_lowercase(), key.own_columns())));
        found.look_at(connection, &table, &keys)?;
    }
    Ok(found)
}

/// The rows that violate a foreign key and did not before, for an operator: `reading rowid 17 names
/// no row of sensor`; more than `most` are counted.
///
/// # Errors
/// As SQLite.
pub fn rows(
    connection: &Connection,
    violated: &[Violated],
    most: usize,
) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT \"table\" || ' rowid ' || coalesce(rowid, '(none)') || ' names no row of ' \
               || parent FROM pragma_foreign_key_check(?1, 'main') WHERE lower(parent) = lower(?2)";
    let (mut shown, mut more) = (Vec::new(), 0);
    for Violated { child, parent, rowids, .. } in violated {
        let named = |rowid: &Option<i64>| {
            let rowid = rowid.map_or_else(|| "(none)".to_owned(), |rowid| rowid.to_string());
            format!("{child} rowid {rowid} names no row of {parent}")
        };
        let found = match rowids {
            Some(rowids) => rowids.iter().map(named).collect(),
            None => match texts(connection, sql, &[child, parent]) {
                // A foreign key of this table does not fit: SQLite names none of its rows.
                Err(error) if sql_error(&error).is_some() => Vec::new(),
                found => found?,
            },
        };
        let room = most.saturating_sub(shown.len());
        more += found.len().saturating_sub(room);
        shown.extend(found.into_iter().take(room));
    }
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    Ok(shown)
}

impl References {
    /// Rows that violate a foreign key now and did not before, and foreign keys that work no more.
    /// A table that was renamed is looked up under its old name too.
    pub fn worse_than(&self, before: &References) -> Worse {
        let violated = self.violations.iter().filter_map(|(pair, now)| {
            let (rowids, count) = match now.new_since(&self.old_violations(pair, before)) {
                Some(rows) => {
                    let count = rows.len() as u64;
                    (Some(rows.into_iter().map(|row| row.rowid).collect()), count)
                }
                None if now.count <= self.allowed(pair, before) => (None, 0),
                None => (None, now.count),
            };
            let (child, parent) = now.shown.clone();
            (count > 0).then_some(Violated { child, parent, count, rowids })
        });
        let broken = self.newly_broken(before).into_iter().map(|key| key.sentence.clone());
        Worse { violated: violated.collect(), broken: broken.collect() }
    }

    /// Foreign keys that cannot work now and could not before.
    pub fn broken_as_before(&self, before: &References) -> Vec<String> {
        let new = self.newly_broken(before);
        let old = self.broken.values().flatten().filter(|key| !new.contains(key));
        old.map(|key| key.sentence.clone()).collect()
    }

    /// What this schema has counts as having been there before.
    pub fn accept(&mut self, now: References, with_violations: bool) {
        self.tables.extend(now.tables);
        (self.keys, self.broken) = (now.keys, now.broken);
        if with_violations {
            self.violations = now.violations;
        }
    }

    /// Is this a name that a table had then and none has now?
    fn is_gone(&self, name: &str, before: &References) -> bool {
        before.tables.contains(name) && !self.tables.contains(name)
    }

    /// May the old pair be this one, under other names?
    fn may_be(&self, old: &Pair, now: &Pair, before: &References) -> bool {
        let same = |old: &String, now: &String| old == now || self.is_gone(old, before);
        same(&old.0, &now.0) && same(&old.1, &now.1)
    }

    /// Of each pair that this one may have been, and whether its child has the same name.
    fn old_violations<'b>(
        &self,
        pair: &Pair,
        before: &'b References,
    ) -> Vec<(&'b Violations, bool)> {
        let old = before.violations.iter().filter(|(old, _)| self.may_be(old, pair, before));
        old.map(|(old, violations)| (violations, old.0 == pair.0)).collect()
    }

    /// How many rows may violate it, where they cannot be told apart: a table that was there takes
    /// over nothing of one that is gone.
    fn allowed(&self, pair: &Pair, before: &References) -> u64 {
        let was_there = before.tables.contains(&pair.0);
        let old = self.old_violations(pair, before).into_iter();
        let old = old.filter(|(_, own)| *own || !was_there);
        old.map(|(violations, _)| violations.count).max().unwrap_or(0)
    }

    /// Each foreign key that was broken before stands for one that is now: itself, or the same
    /// under other names. One that worked is newly broken, whatever else was.
    fn newly_broken(&self, before: &References) -> Vec<&Broken> {
        let flat = |broken: &BTreeMap<Pair, Vec<Broken>>| -> Vec<(Pair, Broken)> {
            let keys =
                broken.iter().flat_map(|(pair, keys)| keys.iter().map(move |key| (pair, key)));
            keys.map(|(pair, key)| (pair.clone(), key.clone())).collect()
        };
        let mut old = flat(&before.broken);
        let mut take = |same: &dyn Fn(&Pair, &Broken) -> bool| {
            let found = old.iter().position(|(pair, key)| same(pair, key));
            found.map(|at| old.remove(at)).is_some()
        };
        let now =
            self.broken.iter().flat_map(|(pair, keys)| keys.iter().map(move |key| (pair, key)));
        let mut new: Vec<(&Pair, &Broken)> = now.collect();
        new.retain(|(pair, key)| !take(&|old, was| old == *pair && was.columns == key.columns));
        new.retain(|(pair, key)| {
            let renamed = |old: &Pair, was: &Broken| {
                self.may_be(old, pair, before) && (old.0 == pair.0 || was.columns == key.columns)
            };
            before.worked(pair, key) || !take(&renamed)
        });
        new.into_iter().map(|(_, key)| key).collect()
    }

    /// Was it there, and not broken?
    fn worked(&self, pair: &Pair, key: &Broken) -> bool {
        let same = |columns: &[String]| key.columns.is_empty() || key.columns == columns;
        let was_there = self.keys.iter().any(|(table, columns)| *table == pair.0 && same(columns));
        let broken = self.broken.iter().filter(|(old, _)| old.0 == pair.0);
        let mut broken = broken.flat_map(|(_, keys)| keys);
        was_there && !broken.any(|old| old.columns.is_empty() || same(&old.columns))
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
                    let count = u64::try_from(count).unwrap_or(0);
                    let found = self.tell_apart(connection, table, keys, &parent)?;
                    let shown = (table.to_owned(), parent);
                    self.count(match found {
                        Some(found) if found.count == count => Violations { shown, ..found },
                        _ => Violations { shown, count, rows: None },
                    });
                }
                Ok(())
            }
            Err(error) => match sql_error(&error) {
                Some(words) => self.look_at_each(connection, table, keys, &words),
                None => Err(error),
            },
        }
    }

    /// The rows that SQLite has counted; `None` where a foreign key cannot be asked for them.
    fn tell_apart(
        &self,
        connection: &Connection,
        table: &str,
        keys: &[Key],
        parent: &str,
    ) -> rusqlite::Result<Option<Violations>> {
        let mut all = Violations { rows: Some(Vec::new()), ..Violations::default() };
        for key in keys.iter().filter(|key| key.parent.eq_ignore_ascii_case(parent)) {
            let columns = match fit(connection, key)? {
                Ok(columns) => Some(columns),
                Err(_) if !self.tables.contains(&key.parent.to_lowercase()) => None,
                Err(_) => return Ok(None),
            };
            match violations(connection, table, key, columns.as_deref()) {
                Ok(found) => all.add(found),
                Err(error) if sql_error(&error).is_some() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(all))
    }

    /// A foreign key of this table does not fit its parent, and SQLite then checks none of them:
    /// here each is looked at by itself.
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
                Ok(columns) => match violations(connection, table, key, Some(&columns)) {
                    Ok(found) => self.count(found),
                    Err(error) if sql_error(&error).is_some() => {}
                    Err(error) => return Err(error),
                },
            }
        }
        match words.split("\" referencing \"").nth(1) {
            Some(parent) if self.broken.len() == before => {
                let pair = (table.to_lowercase(), parent.trim_end_matches('"').to_lowercase());
                let sentence = format!("a foreign key of {table} does not fit: {words}");
                let key = Broken { columns: Vec::new(), sentence };
                self.broken.entry(pair).or_default().push(key);
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
            .push(Broken { columns: key.own_columns(), sentence });
    }

    fn count(&mut self, found: Violations) {
        if found.count == 0 {
            return;
        }
        let pair = (found.shown.0.to_lowercase(), found.shown.1.to_lowercase());
        match self.violations.entry(pair) {
            Entry::Occupied(mut there) => there.get_mut().add(found),
            Entry::Vacant(free) => drop(free.insert(found)),
        }
    }
}

#[cfg(test)]
#[path = "references_tests.rs"]
mod tests;
