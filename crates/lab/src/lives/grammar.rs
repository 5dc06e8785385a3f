//! Owns the SQL that migrations are made of: each op is drawn, and tried on a database in memory.
//! Promises: an op that is handed out runs on an empty device, and leaves a schema that compiles.
//! Never decides what a device makes of it.

use rusqlite::Connection;

use super::dice::{list, quoted, quoted_text, Dice, Features};
use super::tables::{compiles, names, objects, tables, Column, Table};

/// Statements, and those that undo them.
#[derive(Debug, Clone, Default)]
pub struct Op {
    /// Forward.
    pub up: Vec<String>,
    /// Back; `None` where there is no way.
    pub down: Option<Vec<String>>,
}

impl Op {
    fn new(up: impl Into<String>, down: impl Into<String>) -> Op {
        Op { up: vec![up.into()], down: Some(vec![down.into()]) }
    }

    fn forward(up: impl Into<String>) -> Op {
        Op { up: vec![up.into()], down: None }
    }

    /// It changes rows alone: nothing is undone.
    fn rows(up: impl Into<String>) -> Op {
        Op { up: vec![up.into()], down: Some(Vec::new()) }
    }
}

/// An op that works on this database, which it has then changed.
pub fn draw(dice: &mut Dice, features: &Features, scratch: &Connection) -> Option<Op> {
    for _ in 0..12 {
        let Some(op) = propose(dice, features, scratch) else { continue };
        if applied(scratch, &op.up) {
            return Some(op);
        }
    }
    None
}

/// Applied, or not at all.
pub fn applied(scratch: &Connection, statements: &[String]) -> bool {
    let run = |sql: &str| scratch.execute_batch(sql).is_ok();
    assert!(run("SAVEPOINT op"));
    let good =
        statements.iter().all(|statement| run(statement)) && compiles(scratch).unwrap_or(false);
    if !good {
        run("ROLLBACK TO op");
    }
    run("RELEASE op");
    good
}

fn propose(dice: &mut Dice, features: &Features, scratch: &Connection) -> Option<Op> {
    let known = tables(scratch).ok()?;
    if known.is_empty() {
        return create_table(dice, features, scratch);
    }
    let table = dice.pick(&known).clone();
    match dice.below(14) {
        0..=2 => create_table(dice, features, scratch),
        3 | 4 if features.indexes => create_index(dice, scratch, &table),
        5 if features.views => create_view(dice, features, scratch, &table),
        6 if features.triggers => create_trigger(dice, features, scratch, &table, &known),
        7 | 8 if features.alter => alter(dice, features, scratch, &table),
        9 if features.rebuilds => rebuild(dice, &table),
        10 if features.drops => drop_one(dice, scratch, &table),
        11..=13 if features.data => change_rows(dice, &table),
        _ => None,
    }
}

const KINDS: [&str; 6] = ["INTEGER", "TEXT", "REAL", "BLOB", "NUMERIC", ""];
const STRICT_KINDS: [&str; 5] = ["INTEGER", "TEXT", "REAL", "BLOB", "ANY"];
const ACTIONS: [&str; 6] = [
    "",
    " ON DELETE CASCADE",
    " ON DELETE SET NULL",
    " ON UPDATE CASCADE",
    " ON DELETE RESTRICT",
    " ON DELETE SET DEFAULT ON UPDATE CASCADE",
];

fn create_table(dice: &mut Dice, features: &Features, scratch: &Connection) -> Option<Op> {
    let name = dice.name(features.odd_names, &names(scratch).ok()?);
    let strict = features.strict && dice.chance(50);
    let without_rowid = features.without_rowid && dice.chance(50);
    let kinds: &[&str] = if strict { &STRICT_KINDS } else { &KINDS };
    let mut taken = Vec::new();
    let mut parts = Vec::new();
    let key = dice.name(features.odd_names, &taken);
    taken.push(key.clone());
    let second = dice.chance(30);
    let key_kind = if dice.chance(60) && !(without_rowid && second) { "INTEGER" } else { "TEXT" };
    let automatic = features.autoincrement
        && !without_rowid
        && key_kind == "INTEGER"
        && !second
        && dice.chance(60);
    let has_key = without_rowid || dice.chance(85);
    let inline = has_key && !second;
    let descending = inline && !automatic && dice.chance(5);
    let primary = if automatic {
        " PRIMARY KEY AUTOINCREMENT"
    } else if descending {
        " PRIMARY KEY DESC"
    } else {
        " PRIMARY KEY"
    };
    parts.push(format!("{} {key_kind}{}", quoted(&key), if inline { primary } else { "" }));
    for _ in 0..dice.between(1, 4) {
        let column = dice.name(features.odd_names, &taken);
        parts.push(column_text(dice, features, scratch, (&column, kinds), &taken));
        taken.push(column);
    }
    if has_key && !inline {
        parts.push(format!("PRIMARY KEY({}, {})", quoted(&key), quoted(&taken[1])));
    }
    if features.constraints && dice.chance(25) {
        parts.push(format!("UNIQUE({}, {})", quoted(dice.pick(&taken)), quoted(&taken[1])));
    }
    if features.generated && dice.chance(40) {
        let column = dice.name(features.odd_names, &taken);
        let kind = if strict { " ANY" } else { "" };
        let stored = if dice.chance(50) { "STORED" } else { "VIRTUAL" };
        let from = quoted(dice.pick(&taken));
        let after = parts
            .iter()
            .position(|part| part.starts_with("PRIMARY") || part.starts_with("UNIQUE"))
            .unwrap_or(parts.len());
        parts.insert(
            after,
            format!(
                "{}{kind} GENERATED ALWAYS AS (coalesce({from}, 'none') || '!') {stored}",
                quoted(&column)
            ),
        );
    }
    let options = match (strict, without_rowid) {
        (true, true) => " STRICT, WITHOUT ROWID",
        (true, false) => " STRICT",
        (false, true) => " WITHOUT ROWID",
        (false, false) => "",
    };
    let name = quoted(&name);
    Some(Op::new(
        format!("CREATE TABLE {name}({}){options}", parts.join(", ")),
        format!("DROP TABLE {name}"),
    ))
}

fn column_text(
    dice: &mut Dice,
    features: &Features,
    scratch: &Connection,
    (name, kinds): (&str, &[&str]),
    others: &[String],
) -> String {
    let kind = *dice.pick(kinds);
    let mut text = format!("{} {kind}", quoted(name)).trim_end().to_owned();
    if features.constraints {
        if dice.chance(15) {
            text.push_str(&format!(" NOT NULL DEFAULT {}", default_for(dice, kind)));
        } else if dice.chance(20) {
            text.push_str(&format!(" DEFAULT {}", default_for(dice, kind)));
        }
        if dice.chance(12) {
            text.push_str(" UNIQUE");
        }
        if dice.chance(12) {
            text.push_str(if dice.chance(70) { " COLLATE NOCASE" } else { " COLLATE RTRIM" });
        }
    }
    if features.check && dice.chance(25) {
        let other = quoted(dice.pick(others));
        let check = *dice.pick(&[
            "typeof(@) <> 'blob'",
            "@ IS NOT 13",
            "length(@) < 400",
            "@ IS NULL OR @ IS NOT #",
        ]);
        text.push_str(&format!(
            " CHECK ({})",
            check.replace('@', &quoted(name)).replace('#', &other)
        ));
    }
    if features.references && dice.chance(30) {
        let parents = tables(scratch).unwrap_or_default();
        let parents: Vec<&Table> =
            parents.iter().filter(|table| table.single_key().is_some()).collect();
        if !parents.is_empty() {
            let parent = dice.pick(&parents);
            let wait = if dice.chance(25) { " DEFERRABLE INITIALLY DEFERRED" } else { "" };
            let key = parent.single_key().map_or_else(String::new, |key| quoted(&key.name));
            text.push_str(&format!(
                " REFERENCES {}({key}){}{wait}",
                quoted(&parent.name),
                dice.pick(&ACTIONS)
            ));
        }
    }
    text
}

fn default_for(dice: &mut Dice, kind: &str) -> String {
    match kind {
        "INTEGER" => dice.below(100).to_string(),
        "REAL" => "1.5".into(),
        "BLOB" => "X'00'".into(),
        "TEXT" => quoted_text(dice.pick(&["", "none", "it's"])),
        _ => dice.pick(&["0", "'x'", "NULL", "(1 + 2)"]).to_string(),
    }
}

fn create_index(dice: &mut Dice, scratch: &Connection, table: &Table) -> Option<Op> {
    let name = format!("{} by {}", table.name, dice.below(1000));
    if names(scratch).ok()?.contains(&name) {
        return None;
    }
    let column = |dice: &mut Dice| quoted(dice.pick(&table.columns).name.clone());
    let term = match dice.below(6) {
        0 => format!("lower({})", column(dice)),
        1 => format!("{} DESC", column(dice)),
        2 => format!("{} COLLATE NOCASE", column(dice)),
        3 => format!("{}, {}", column(dice), column(dice)),
        _ => column(dice),
    };
    let unique = if dice.chance(15) { "UNIQUE " } else { "" };
    let partial = match dice.below(8) {
        0 => format!(" WHERE {} IS NOT NULL", column(dice)),
        1 => format!(" WHERE {} > 5", column(dice)),
        _ => String::new(),
    };
    let name = quoted(&name);
    Some(Op::new(
        format!("CREATE {unique}INDEX {name} ON {}({term}){partial}", quoted(&table.name)),
        format!("DROP INDEX {name}"),
    ))
}

fn create_view(
    dice: &mut Dice,
    features: &Features,
    scratch: &Connection,
    table: &Table,
) -> Option<Op> {
    let name = quoted(dice.name(features.odd_names, &names(scratch).ok()?));
    let column = quoted(dice.pick(&table.columns).name.clone());
    let from = quoted(&table.name);
    let select = match dice.below(4) {
        0 => format!("SELECT count(*) AS rows, max({column}) AS most FROM {from}"),
        1 => format!("SELECT t.{column} AS c FROM {from} AS t WHERE t.{column} IS NOT NULL"),
        2 => format!("WITH x(c) AS (SELECT {column} FROM {from}) SELECT c FROM x ORDER BY c"),
        _ => format!("SELECT {column}, 1 AS one FROM {from}"),
    };
    Some(Op::new(format!("CREATE VIEW {name} AS {select}"), format!("DROP VIEW {name}")))
}

fn create_trigger(
    dice: &mut Dice,
    features: &Features,
    scratch: &Connection,
    table: &Table,
    known: &[Table],
) -> Option<Op> {
    let name = quoted(format!(
        "{} on {}",
        dice.name(features.odd_names, &names(scratch).ok()?),
        table.name
    ));
    let other = dice.pick(known);
    let column = quoted(dice.pick(&other.settable()).name.clone());
    let own = quoted(dice.pick(&table.columns).name.clone());
    let event = *dice.pick(&["AFTER INSERT", "AFTER DELETE", "BEFORE INSERT", "AFTER UPDATE"]);
    let row = if event.ends_with("DELETE") { "OLD" } else { "NEW" };
    let target = quoted(&other.name);
    let body = match dice.below(4) {
        0 if !event.ends_with("UPDATE") => {
            format!("INSERT OR IGNORE INTO {target}({column}) VALUES ({row}.{own})")
        }
        1 if event.ends_with("INSERT") => {
            format!("DELETE FROM {target} WHERE {column} = {row}.{own} AND {column} = 'gone'")
        }
        2 if event.ends_with("DELETE") => {
            format!("UPDATE OR IGNORE {target} SET {column} = {row}.{own} WHERE {column} IS NULL")
        }
        _ => format!("SELECT raise(ABORT, 'not so') WHERE {row}.{own} = 'refused'"),
    };
    let table = quoted(&table.name);
    let when =
        if dice.chance(20) { format!(" WHEN {row}.{own} IS NOT NULL") } else { String::new() };
    Some(Op::new(
        format!("CREATE TRIGGER {name} {event} ON {table}{when} BEGIN {body}; END"),
        format!("DROP TRIGGER {name}"),
    ))
}

fn alter(dice: &mut Dice, features: &Features, scratch: &Connection, table: &Table) -> Option<Op> {
    let name = quoted(&table.name);
    let taken: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let fresh = dice.name(features.odd_names, &taken);
    match dice.below(6) {
        0..=2 => {
            let kind = if table.strict { *dice.pick(&STRICT_KINDS) } else { *dice.pick(&KINDS) };
            let mut text = format!("{} {kind}", quoted(&fresh)).trim_end().to_owned();
            if dice.chance(50) {
                let null = if dice.chance(50) { " NOT NULL" } else { "" };
                text.push_str(&format!(
                    "{null} DEFAULT {}",
                    default_for(dice, kind).replace("(1 + 2)", "3")
                ));
            }
            let column = quoted(&fresh);
            Some(Op::new(
                format!("ALTER TABLE {name} ADD COLUMN {text}"),
                format!("ALTER TABLE {name} DROP COLUMN {column}"),
            ))
        }
        3 => {
            let old = quoted(dice.pick(&table.columns).name.clone());
            let new = quoted(&fresh);
            let up = format!("ALTER TABLE {name} RENAME COLUMN {old} TO {new}");
            Some(Op::new(up, format!("ALTER TABLE {name} RENAME COLUMN {new} TO {old}")))
        }
        4 => {
            let new = quoted(dice.name(features.odd_names, &names(scratch).ok()?));
            Some(Op::new(
                format!("ALTER TABLE {name} RENAME TO {new}"),
                format!("ALTER TABLE {new} RENAME TO {name}"),
            ))
        }
        _ => {
            let gone = dice.pick(&table.columns).name.clone();
            Some(Op::forward(format!("ALTER TABLE {name} DROP COLUMN {}", quoted(&gone))))
        }
    }
}

/// SQLite's own recipe: a new table, copy, drop, rename.
fn rebuild(dice: &mut Dice, table: &Table) -> Option<Op> {
    let (name, new) = (quoted(&table.name), quoted(format!("{} new", table.name)));
    let head = table.sql.find('(')?;
    let settable: Vec<String> = table.settable().iter().map(|column| column.name.clone()).collect();
    let columns = list(&settable);
    let create = format!("CREATE TABLE {new}{}", &table.sql[head..]);
    // What follows `(` is the whole definition only where no name before it has one.
    if table.name.contains('(') {
        return None;
    }
    let order = if dice.chance(30) { " ORDER BY 1 DESC" } else { "" };
    let up = vec![
        create,
        format!("INSERT INTO {new}({columns}) SELECT {columns} FROM {name}{order}"),
        format!("DROP TABLE {name}"),
        format!("ALTER TABLE {new} RENAME TO {name}"),
    ];
    Some(Op { up, down: None })
}

fn drop_one(dice: &mut Dice, scratch: &Connection, table: &Table) -> Option<Op> {
    let kind = *dice.pick(&["index", "view", "trigger", "table"]);
    if kind == "table" {
        return dice.chance(40).then(|| Op::forward(format!("DROP TABLE {}", quoted(&table.name))));
    }
    let all = objects(scratch, kind).ok()?;
    let gone = if all.is_empty() { return None } else { dice.pick(&all).clone() };
    let create: String = scratch
        .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [&gone], |row| row.get(0))
        .ok()?;
    Some(Op::new(format!("DROP {} {}", kind.to_uppercase(), quoted(&gone)), create))
}

fn change_rows(dice: &mut Dice, table: &Table) -> Option<Op> {
    let columns = table.settable();
    let name = quoted(&table.name);
    let one = quoted(dice.pick(&columns).name.clone());
    Some(match dice.below(6) {
        0..=2 => Op::rows(insert(dice, table, "OR IGNORE ")),
        3 => Op::rows(format!(
            "UPDATE OR IGNORE {name} SET {one} = {one} || '+' WHERE typeof({one}) = 'text'"
        )),
        4 => Op::rows(format!(
            "UPDATE OR IGNORE {name} SET {one} = {one} + 1 WHERE typeof({one}) = 'integer'"
        )),
        _ => Op::forward(format!("DELETE FROM {name} WHERE {one} = {}", dice.value())),
    })
}

/// An INSERT of one row or some.
pub fn insert(dice: &mut Dice, table: &Table, conflict: &str) -> String {
    let mut columns: Vec<&Column> = table.settable();
    if columns.len() > 1 && dice.chance(25) {
        let gone = dice.below(columns.len());
        columns.remove(gone);
    }
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let rows: Vec<String> = (0..dice.between(1, 4))
        .map(|_| {
            let values: Vec<String> =
                columns.iter().map(|column| dice.value_for(&column.kind)).collect();
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

/// A statement of an application.
pub fn application(dice: &mut Dice, table: &Table) -> String {
    let columns = table.settable();
    let name = quoted(&table.name);
    let one = dice.pick(&columns);
    let (column, value) = (quoted(&one.name), dice.value_for(&one.kind));
    match dice.below(12) {
        0..=6 => {
            let conflict = *dice.pick(&["", "", "OR IGNORE ", "OR REPLACE "]);
            insert(dice, table, conflict)
        }
        7 => {
            let column = quoted(dice.pick(&columns).name.clone());
            let limit = dice.between(5, 60);
            let from = format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {limit})"
            );
            format!("{from} INSERT OR IGNORE INTO {name}({column}) SELECT i * 7 FROM n")
        }
        8 | 9 => {
            let other = quoted(dice.pick(&columns).name.clone());
            format!(
                "UPDATE OR IGNORE {name} SET {column} = {value} WHERE {other} > {}",
                dice.value()
            )
        }
        _ => format!("DELETE FROM {name} WHERE {column} < {value}"),
    }
}
