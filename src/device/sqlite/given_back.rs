//! Owns giving rows that were put aside back to the tables they are from.
//! Promises: a row is in the one or in the other; it goes back only where every value has its
//! column and no constraint is violated, and rows that refer to each other go together.
//! Never puts a row under a parent that is not there; whether the one of that number is still the
//! same nobody can tell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::device::disk::Op;
use crate::device::sqlite::compile::{lossy, lossy_if_any};
use crate::device::sqlite::lost::LostRows;
use crate::device::sqlite::rows::all_of;
use crate::device::sqlite::{class_of, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

/// Row numbers that are held in memory at a time.
const ROWS_AT_A_TIME: usize = 1000;

/// A foreign key of a table at home: the parent, and pairs of columns, the child's and the
/// parent's.
struct Key {
    parent: String,
    /// None where the rows lack one: SQLite alone says what its default refers to.
    columns: Vec<(String, String)>,
}

/// One column of a foreign key as SQLite lists it: the parent's table, the child's column, and the
/// parent's where it is written out.
type Part = (String, String, Option<String>);

/// Rows that are to go.
struct Chosen<'r> {
    /// The condition.
    which: &'r str,
    /// Those with a negative number, else all.
    going: bool,
    stop: &'r AtomicBool,
}

/// A table of which the rows with a negative number are about to go.
struct Waiting<'l> {
    /// Its place among those that were given.
    at: usize,
    lost: &'l LostRows,
    number: &'static str,
    /// Quoted.
    name: String,
}

impl Database {
    /// Gives back what fits, inside the open transaction with foreign keys on; how many rows went.
    /// `aside`: every table of rows put aside.
    ///
    /// # Errors
    /// Interrupted; as SQLite, but for what a constraint says of a row.
    pub fn give_back(
        &self,
        op: Op,
        lost: &LostRows,
        aside: &[LostRows],
        stop: &AtomicBool,
    ) -> Result<u64, Failure> {
        let Some(number) = lost.table.row_number.filter(|_| !lost.pairs.is_empty()) else {
            return Ok(0);
        };
        let Some(keys) = self.keys_of(op, lost)? else { return Ok(0) };
        let mut may_go = has_its_columns(lost);
        may_go.extend(keys.iter().map(|key| has_its_parent(lost, key, aside, &[])));
        let delete = format!("DELETE FROM {} WHERE {number} = ?1", quote(&lost.table.name));
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let mut delete = self.connection.prepare(&delete).map_err(failed)?;
        let mut went = 0;
        let rows = Chosen { which: &all_of(&may_go), going: false, stop };
        self.insert_each(op, lost, &rows, &mut |row, fits| {
            if fits {
                delete.execute([row]).map_err(failed)?;
                went += 1;
            }
            Ok(())
        })?;
        Ok(went)
    }

    /// The same for rows of tables that refer to each other, or to themselves, where no row can be
    /// the first: all that fit go together. How many, in the order of `tables`.
    ///
    /// # Errors
    /// As [`Database::give_back`].
    pub fn give_back_together(
        &self,
        op: Op,
        tables: &[&LostRows],
        aside: &[LostRows],
        stop: &AtomicBool,
    ) -> Result<Vec<u64>, Failure> {
        let mut went = vec![0; tables.len()];
        let mut waiting = Vec::new();
        for (at, lost) in in_a_ring(tables) {
            waiting.extend(self.waiting(op, at, lost)?);
        }
        if waiting.is_empty() {
            return Ok(went);
        }
        let run = |sql: &str| self.run(op, sql);
        let before = self.references(op)?;
        for Waiting { lost, number, name, .. } in &waiting {
            let may_go = all_of(&has_its_columns(lost));
            run(&format!("UPDATE {name} SET {number} = -{number} WHERE {may_go}"))?;
        }
        run("PRAGMA defer_foreign_keys = ON; SAVEPOINT together")?;
        loop {
            self.stay_with_their_parents(op, &waiting, aside)?;
            run("SAVEPOINT tried")?;
            let mut refused: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
            for Waiting { at, lost, .. } in &waiting {
                let rows = Chosen { which: "1", going: true, stop };
                self.insert_each(op, lost, &rows, &mut |row, fits| {
                    if !fits {
                        refused.entry(*at).or_default().push(row);
                    }
                    Ok(())
                })?;
            }
            if refused.is_empty() {
                break;
            }
            run("ROLLBACK TO tried; RELEASE tried")?;
            for Waiting { at, number, name, .. } in &waiting {
                for row in refused.get(at).into_iter().flatten() {
                    run(&format!("UPDATE {name} SET {number} = -{number} WHERE {number} = {row}"))?;
                }
            }
        }
        for Waiting { at, number, name, .. } in &waiting {
            let gone =
                self.connection.execute(&format!("DELETE FROM {name} WHERE {number} < 0"), []);
            if let Some(went) = went.get_mut(*at) {
                *went = gone.map_err(|error| self.failure(op, &error))? as u64;
            }
        }
        // To switch it off makes SQLite forget what it would refuse at the commit.
        run("RELEASE together; PRAGMA defer_foreign_keys = OFF")?;
        match self.references(op)?.worse_than(&before).violated.first() {
            None => Ok(went),
            Some(worse) => Err(Failure::new(
                Class::Defect,
                op,
                format!("rows of {} would have no parent in {}", worse.child, worse.parent),
            )),
        }
    }

    /// `None` where none of its rows can go, or where the sign of a number says nothing.
    fn waiting<'l>(
        &self,
        op: Op,
        at: usize,
        lost: &'l LostRows,
    ) -> Result<Option<Waiting<'l>>, Failure> {
        let Some(number) = lost.table.row_number.filter(|_| !lost.pairs.is_empty()) else {
            return Ok(None);
        };
        let keys = self.keys_of(op, lost)?;
        if keys.is_none_or(|keys| keys.iter().any(|key| key.columns.is_empty())) {
            return Ok(None);
        }
        let name = quote(&lost.table.name);
        // Somebody wrote such numbers into it.
        let signed = format!("SELECT EXISTS (SELECT 1 FROM {name} WHERE {number} <= 0)");
        let signed = self.connection.query_row(&signed, [], |row| row.get::<_, bool>(0));
        let signed = signed.map_err(|error| self.failure(op, &error))?;
        Ok((!signed).then_some(Waiting { at, lost, number, name }))
    }

    /// Of the rows that are about to go those stay whose parents do not come.
    fn stay_with_their_parents(
        &self,
        op: Op,
        waiting: &[Waiting<'_>],
        aside: &[LostRows],
    ) -> Result<(), Failure> {
        let going: Vec<&str> = waiting.iter().map(|one| one.lost.table.name.as_str()).collect();
        loop {
            let mut stayed = 0;
            for Waiting { lost, number, name, .. } in waiting {
                let keys = self.keys_of(op, lost)?.unwrap_or_default();
                let parents = keys.iter().map(|key| has_its_parent(lost, key, aside, &going));
                let parents = all_of(&parents.collect::<Vec<String>>());
                let stay = format!(
                    "UPDATE {name} SET {number} = -{number} WHERE {number} < 0 AND NOT {parents}"
                );
                let now = self.connection.execute(&stay, []);
                stayed += now.map_err(|error| self.failure(op, &error))?;
            }
            if stayed == 0 {
                return Ok(());
            }
        }
    }

    /// Inserts each of these rows into the table at home; `done` is told its number and whether it
    /// fits.
    fn insert_each(
        &self,
        op: Op,
        lost: &LostRows,
        rows: &Chosen<'_>,
        done: &mut dyn FnMut(i64, bool) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let _runs = self.watch.evaluates();
        let (Some(home), Some(number)) = (&lost.home, lost.table.row_number) else { return Ok(()) };
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let name = quote(&lost.table.name);
        // In the order in which they were put aside: where a child comes before its parent, SQLite
        // looks through the whole table for each parent.
        let (first, behind, order) =
            if rows.going { (0, '<', "DESC") } else { (i64::MIN, '>', "ASC") };
        let select = format!(
            "SELECT {number} FROM {name} WHERE {number} {behind} ?1 AND {} ORDER BY {number} \
             {order} LIMIT {ROWS_AT_A_TIME}",
            rows.which
        );
        let (here, there): (Vec<&str>, Vec<&str>) =
            lost.pairs.iter().map(|(here, there)| (here.as_str(), there.as_str())).unzip();
        // By SQLite alone: a value arrives as it was, byte for byte.
        let insert = format!(
            "INSERT OR ABORT INTO {}({}) SELECT {} FROM {name} WHERE {number} = ?1",
            quote(&home.name),
            there.join(", "),
            here.join(", ")
        );
        let mut select = self.connection.prepare(&select).map_err(failed)?;
        let mut insert = self.connection.prepare(&insert).map_err(failed)?;
        let mut after = first;
        loop {
            let numbers: Vec<i64> = select
                .query_map([after], |row| row.get(0))
                .and_then(Iterator::collect)
                .map_err(failed)?;
            let Some(last) = numbers.last() else { return Ok(()) };
            after = *last;
            for row in numbers {
                if rows.stop.load(Ordering::Relaxed) {
                    return Err(Failure::stopped(op));
                }
                match insert.execute([row]) {
                    Ok(_) => done(row, true)?,
                    Err(error) if class_of(&error) == Class::Failed => done(row, false)?,
                    Err(error) => return Err(failed(error)),
                }
            }
        }
    }

    /// The foreign keys of the table at home; `None` where a parent's table is not there, so that
    /// SQLite takes no row.
    fn keys_of(&self, op: Op, lost: &LostRows) -> Result<Option<Vec<Key>>, Failure> {
        let Some(home) = &lost.home else { return Ok(None) };
        let sql = "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER \
                   BY id, seq";
        let read = || -> rusqlite::Result<Vec<(i64, Part)>> {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([&home.name], |row| {
                Ok((row.get(0)?, (lossy(row, 1)?, lossy(row, 2)?, lossy_if_any(row, 3)?)))
            })?;
            rows.collect()
        };
        let mut parts: BTreeMap<i64, Vec<Part>> = BTreeMap::new();
        for (id, part) in read().map_err(|error| self.failure(op, &error))? {
            parts.entry(id).or_default().push(part);
        }
        let mut keys = Vec::new();
        for parts in parts.into_values() {
            let Some((parent, ..)) = parts.first().cloned() else { continue };
            let Some(there) = self.table_named(op, &parent)? else { return Ok(None) };
            let column = |(at, (_, from, to)): (usize, &Part)| {
                let to = to.clone().or_else(|| there.key.get(at).cloned())?;
                lost.table.has_column(from).then(|| (from.clone(), to))
            };
            let columns: Option<Vec<(String, String)>> =
                parts.iter().enumerate().map(column).collect();
            keys.push(Key { parent, columns: columns.unwrap_or_default() });
        }
        Ok(Some(keys))
    }
}

/// No value of a row is without a column.
fn has_its_columns(lost: &LostRows) -> Vec<String> {
    lost.without_a_column().iter().map(|column| format!("{} IS NULL", quote(column))).collect()
}

/// The condition under which a row's parent is there and not put aside, or goes as well: with the
/// rows of these tables that are about to go. A key that is NULL refers to nothing.
fn has_its_parent(lost: &LostRows, key: &Key, aside: &[LostRows], going: &[&str]) -> String {
    if key.columns.is_empty() {
        return "1".to_owned();
    }
    let own = quote(&lost.table.name);
    let from: Vec<String> =
        key.columns.iter().map(|(from, _)| format!("{own}.{}", quote(from))).collect();
    let null: Vec<String> = from.iter().map(|from| format!("{from} IS NULL")).collect();
    let same: Vec<String> = key
        .columns
        .iter()
        .zip(&from)
        // As SQLite compares a key: by the parent's column alone.
        .map(|((_, to), from)| format!("parent.{} = +{from}", quote(to)))
        .collect();
    let there = format!(
        "EXISTS (SELECT 1 FROM {} parent WHERE {})",
        quote(&key.parent),
        same.join(" AND ")
    );
    let (mut comes, mut stays) = (vec![there], Vec::new());
    let of_parent =
        aside.iter().filter(|other| other.home_name().eq_ignore_ascii_case(&key.parent));
    for other in of_parent {
        let Some(number) = other.table.row_number else { continue };
        if !key.columns.iter().all(|(_, to)| other.table.has_column(to)) {
            continue;
        }
        let to: Vec<String> = key.columns.iter().map(|(_, to)| quote(to)).collect();
        let known: Vec<String> = to.iter().map(|to| format!("{to} IS NOT NULL")).collect();
        let is_in = |which: &str| {
            format!(
                "({}) IN (SELECT {} FROM {} WHERE {}{which})",
                from.join(", "),
                to.join(", "),
                quote(&other.table.name),
                known.join(" AND ")
            )
        };
        // A table that keeps rows has no types and no collations: what its parent's column might
        // take for the same is enough for a row to stay.
        let alike = |which: &str| {
            let plain = |name: &String| format!("rtrim(lower(CAST({name} AS TEXT)))");
            let (ours, theirs): (Vec<String>, Vec<String>) =
                (from.iter().map(plain).collect(), to.iter().map(plain).collect());
            format!(
                "({}) IN (SELECT {} FROM {} WHERE {}{which})",
                ours.join(", "),
                theirs.join(", "),
                quote(&other.table.name),
                known.join(" AND ")
            )
        };
        if going.contains(&other.table.name.as_str()) {
            comes.push(is_in(&format!(" AND {number} < 0")));
            let rest = format!(" AND {number} >= 0");
            stays.extend([is_in(&rest), alike(&rest)]);
        } else {
            stays.extend([is_in(""), alike("")]);
        }
    }
    let stays = if stays.is_empty() { "0".to_owned() } else { stays.join(" OR ") };
    format!("({} OR (({}) AND NOT ({stays})))", null.join(" OR "), comes.join(" OR "))
}

/// Those whose tables at home refer to themselves, directly or by others of them; with their
/// places.
fn in_a_ring<'l>(tables: &'l [&'l LostRows]) -> Vec<(usize, &'l &'l LostRows)> {
    let parents = |name: &str| {
        let of = tables.iter().filter(|lost| lost.home_name().eq_ignore_ascii_case(name));
        let parents = of.filter_map(|lost| lost.home.as_ref()).flat_map(|home| &home.parents);
        parents.map(|parent| parent.to_ascii_lowercase()).collect::<Vec<String>>()
    };
    let comes_back = |start: &str| {
        let (mut seen, mut next) = (Vec::new(), parents(start));
        while let Some(name) = next.pop() {
            if name.eq_ignore_ascii_case(start) {
                return true;
            }
            if !seen.contains(&name) {
                next.extend(parents(&name));
                seen.push(name);
            }
        }
        false
    };
    tables.iter().enumerate().filter(|(_, lost)| comes_back(lost.home_name())).collect()
}
