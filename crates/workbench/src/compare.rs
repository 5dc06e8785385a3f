//! Owns what a database holds as something that can be compared: schema, rows, and what SQLite says
//! of the file.
//! Promises: rows are compared by the names of their columns, so that another order of columns is
//! none; all times of this run are the same.
//! Never compares the history or bootmigrate's own tables.

use std::collections::{BTreeMap, BTreeSet};

use bootmigrate_model::lex::quote;
use rusqlite::Connection;

use crate::model::Model;
use crate::time::without_now;

/// The rows of each table, sorted, as SQL writes them.
pub type Rows = BTreeMap<String, Vec<String>>;

/// Every row of every table. Times since `began` are equal: a trigger may note when it ran.
///
/// # Errors
/// As SQLite.
pub fn rows(connection: &Connection, model: &Model, began: i64) -> rusqlite::Result<Rows> {
    let mut all = Rows::new();
    for table in &model.tables {
        let mut names: Vec<&String> = table.columns.iter().map(|column| &column.name).collect();
        names.sort_by_key(|name| name.to_ascii_lowercase());
        let parts: Vec<String> = names
            .iter()
            .map(|name| format!("'{}=' || {}", name.replace('\'', "''"), literal(name)))
            .collect();
        let sql = format!("SELECT {} FROM {}", parts.join(" || ', ' || "), quote(&table.name));
        let mut statement = connection.prepare(&sql)?;
        let mut found: Vec<String> = Vec::new();
        for row in statement.query_map([], |row| row.get::<_, String>(0))? {
            found.push(without_now(&row?, began));
        }
        found.sort();
        all.insert(table.name.to_ascii_lowercase(), found);
    }
    Ok(all)
}

/// An expression that gives a column's value as SQL writes it. `quote` ends a text at its first
/// NUL, and sqlite3, which reads the file, leaves out the CR of a CR LF.
pub fn literal(column: &str) -> String {
    format!(
        "CASE WHEN typeof({0}) = 'text' AND (instr({0}, char(0)) > 0 OR instr({0}, char(13)) > 0) \
         THEN 'CAST(x''' || hex(CAST({0} AS BLOB)) || ''' AS TEXT)' ELSE quote({0}) END",
        quote(column)
    )
}

/// Where two sets of rows differ: a sentence a table, with the first row that only one has.
pub fn differences(one: &Rows, other: &Rows, names: [&str; 2]) -> Vec<String> {
    let [first, second] = names;
    let mut sentences = Vec::new();
    for table in one.keys().chain(other.keys().filter(|table| !one.contains_key(*table))) {
        let (Some(here), Some(there)) = (one.get(table), other.get(table)) else {
            sentences.push(format!(
                "{table} is there {} alone",
                if one.contains_key(table) { first } else { second }
            ));
            continue;
        };
        let only = |these: &[String], those: &[String]| {
            these.iter().find(|row| !those.contains(row)).cloned()
        };
        if here != there {
            let shown = match (only(here, there), only(there, here)) {
                (Some(here), Some(there)) => format!("{here} {first}, {there} {second}"),
                (Some(here), None) => format!("{here} {first} alone"),
                (None, Some(there)) => format!("{there} {second} alone"),
                (None, None) => format!("{} rows {first}, {} {second}", here.len(), there.len()),
            };
            sentences.push(format!("{table}: {shown}"));
        }
    }
    sentences
}

/// Tables with fewer rows than before. A table that is gone has lost them, unless one that is new
/// has each of them, as far as both have the same columns.
pub fn lost(before: &Rows, after: &Rows) -> Vec<String> {
    let mut new: Vec<&[String]> = after
        .iter()
        .filter(|(table, _)| !before.contains_key(*table))
        .map(|(_, rows)| rows.as_slice())
        .collect();
    let mut sentences = Vec::new();
    for (table, rows) in before.iter().filter(|(_, rows)| !rows.is_empty()) {
        match after.get(table) {
            Some(now) if now.len() >= rows.len() => {}
            Some(now) => {
                sentences.push(format!("{table} had {} rows, and has {}", rows.len(), now.len()))
            }
            None => match new.iter().position(|now| stand_for(now, rows)) {
                Some(place) => drop(new.swap_remove(place)),
                None => sentences.push(format!("{table} had {} rows, and is gone", rows.len())),
            },
        }
    }
    sentences
}

/// As many rows; and where most columns have kept their names, the same values in them.
fn stand_for(now: &[String], rows: &[String]) -> bool {
    let names = |rows: &[String]| -> BTreeSet<String> {
        let parts = rows.first().map_or("", String::as_str).split(", ");
        parts.filter_map(|part| Some(part.split_once('=')?.0.to_owned())).collect()
    };
    let (here, there) = (names(rows), names(now));
    let common: BTreeSet<&String> = here.intersection(&there).collect();
    let shared = |row: &String| -> Vec<String> {
        let is_common = |part: &&str| {
            part.split_once('=').is_some_and(|(name, _)| common.contains(&name.to_owned()))
        };
        row.split(", ").filter(is_common).map(str::to_owned).collect()
    };
    let kept: BTreeSet<Vec<String>> = now.iter().map(shared).collect();
    let has_each = || rows.iter().all(|row| kept.contains(&shared(row)));
    // Names that say nothing: nobody can tell, and numbers have to do.
    now.len() >= rows.len() && (here.is_empty() || common.len() * 2 > here.len() && has_each())
}

/// What SQLite finds in the file.
///
/// # Errors
/// As SQLite.
pub fn faults(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("PRAGMA integrity_check(5)")?;
    let mut found: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    found.retain(|line| line != "ok");
    let mut statement = connection.prepare(
        "SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent, count): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        found.push(format!("{count} rows of {table} refer to no row of {parent}"));
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(tables: &[(&str, &[&str])]) -> Rows {
        tables
            .iter()
            .map(|(name, rows)| {
                ((*name).to_owned(), rows.iter().map(|row| (*row).to_owned()).collect())
            })
            .collect()
    }

    #[test]
    fn rows_that_go_are_counted() {
        let before = of(&[("a", &["1", "2"]), ("b", &["1"]), ("c", &[])]);
        assert_eq!(
            lost(&before, &of(&[("a", &["1"]), ("b", &["9"])])),
            ["a had 2 rows, and has 1"]
        );
        assert_eq!(
            lost(&before, &of(&[("renamed", &["1", "2"]), ("b", &["1"])])),
            Vec::<String>::new()
        );
        assert_eq!(lost(&before, &of(&[("b", &["1"])])), ["a had 2 rows, and is gone"]);
    }

    /// A list that is new, with more rows and numbers of the same name, is another table.
    #[test]
    fn a_new_table_stands_for_an_old_one_by_its_rows() {
        let before = of(&[("note", &["body='a', id=1", "body='b', id=2"])]);
        let country = of(&[("country", &["id=1, name='x'", "id=2, name='y'", "id=3, name='z'"])]);
        assert_eq!(lost(&before, &country), ["note had 2 rows, and is gone"]);
        let renamed = of(&[("memo", &["body='a', id=1, seen=0", "body='b', id=2, seen=0"])]);
        assert_eq!(lost(&before, &renamed), Vec::<String>::new());
        let other = of(&[("memo", &["body='a', id=1", "body='c', id=2"])]);
        assert_eq!(lost(&before, &other), ["note had 2 rows, and is gone"]);
    }

    #[test]
    fn a_text_does_not_end_at_its_first_nul() {
        let connection = Connection::open_in_memory().unwrap();
        let sql = format!("SELECT {} FROM (SELECT 'x' || char(0) || 'y' AS a)", literal("a"));
        let text: String = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(text, "CAST(x'780079' AS TEXT)");
    }

    #[test]
    fn the_first_row_that_differs_is_shown() {
        let (one, other) = (of(&[("a", &["x=1"]), ("b", &[])]), of(&[("a", &["x=2"])]));
        assert_eq!(
            differences(&one, &other, ["once", "twice"]),
            ["a: x=1 once, x=2 twice", "b is there once alone"]
        );
        assert!(differences(&one, &one, ["once", "twice"]).is_empty());
    }
}
