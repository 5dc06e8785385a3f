//! Owns the statements on rows that are drawn: of a migration and of an application.
//! Promises: every kind of value, and NULL, for every column.
//! Never asks whether a row fits the schema: some do not.

use super::Op;
use crate::lives::rng::{list, quoted, Rng};
use crate::lives::tables::{Column, Table};

pub(super) fn change_rows(rng: &mut Rng, table: &Table) -> Option<Op> {
    let columns = table.settable();
    let name = quoted(&table.name);
    let one = quoted(rng.pick(&columns).name.clone());
    Some(match rng.below(6) {
        0..=2 => Op::rows(insert(rng, table, "OR IGNORE ")),
        3 => Op::rows(format!(
            "UPDATE OR IGNORE {name} SET {one} = {one} || '+' WHERE typeof({one}) = 'text'"
        )),
        4 => Op::rows(format!(
            "UPDATE OR IGNORE {name} SET {one} = {one} + 1 WHERE typeof({one}) = 'integer'"
        )),
        _ => Op::forward(format!("DELETE FROM {name} WHERE {one} = {}", rng.value())),
    })
}

/// An INSERT of one row or some.
pub fn insert(rng: &mut Rng, table: &Table, conflict: &str) -> String {
    let mut columns: Vec<&Column> = table.settable();
    if columns.len() > 1 && rng.chance(25) {
        let gone = rng.below(columns.len());
        columns.remove(gone);
    }
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let rows: Vec<String> = (0..rng.between(1, 4))
        .map(|_| {
            let values: Vec<String> = columns.iter().map(|column| value_of(rng, column)).collect();
            format!("({})", values.join(", "))
        })
        .collect();
    format!(
        "INSERT {conflict}INTO {}({}) VALUES {}",
        quoted(&table.name),
        list(&names),
        rows.join(", ")
    )
}

/// What refers to another table names one of its rows, most of the time.
fn value_of(rng: &mut Rng, column: &Column) -> String {
    match &column.parent {
        Some((table, key)) if rng.chance(60) => {
            format!(
                "(SELECT {}({}) FROM {})",
                rng.pick(&["min", "max"]),
                quoted(key),
                quoted(table)
            )
        }
        _ => rng.value_for(&column.kind),
    }
}

/// Rows that fill many pages.
fn many_rows(rng: &mut Rng, table: &Table) -> String {
    let columns: Vec<&Column> =
        table.settable().into_iter().filter(|column| column.parent.is_none()).collect();
    let value = |column: &&Column| match column.kind.to_ascii_uppercase().as_str() {
        "INTEGER" | "INT" | "REAL" | "NUMERIC" => "i * 3".to_owned(),
        "BLOB" => "CAST(printf('%0150d', i) AS BLOB)".to_owned(),
        _ => "printf('t%0150d', i)".to_owned(),
    };
    let (names, values): (Vec<String>, Vec<String>) =
        columns.iter().map(|column| (column.name.clone(), value(column))).unzip();
    let limit = rng.between(150, 500);
    let from = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {limit})"
    );
    format!(
        "{from} INSERT OR IGNORE INTO {}({}) SELECT {} FROM n",
        quoted(&table.name),
        list(&names),
        values.join(", ")
    )
}

/// A statement of an application.
pub fn application(rng: &mut Rng, table: &Table, large: bool) -> String {
    let columns = table.settable();
    let name = quoted(&table.name);
    if large && rng.chance(40) && columns.iter().any(|column| column.parent.is_none()) {
        return many_rows(rng, table);
    }
    let one = rng.pick(&columns);
    let (column, value) = (quoted(&one.name), rng.value_for(&one.kind));
    match rng.below(12) {
        0..=6 => {
            let conflict = *rng.pick(&["", "", "OR IGNORE ", "OR REPLACE "]);
            insert(rng, table, conflict)
        }
        7 => {
            let column = quoted(rng.pick(&columns).name.clone());
            let limit = rng.between(5, 60);
            let from = format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {limit})"
            );
            format!("{from} INSERT OR IGNORE INTO {name}({column}) SELECT i * 7 FROM n")
        }
        8 | 9 => {
            let other = quoted(rng.pick(&columns).name.clone());
            format!(
                "UPDATE OR IGNORE {name} SET {column} = {value} WHERE {other} > {}",
                rng.value()
            )
        }
        _ => format!("DELETE FROM {name} WHERE {column} < {value}"),
    }
}
