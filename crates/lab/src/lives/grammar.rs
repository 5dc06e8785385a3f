//! Owns the SQL that migrations are made of: each op is drawn, and tried on a database in memory.
//! Promises: an op that is handed out runs on an empty device, and leaves a schema that compiles.
//! Never decides what a device makes of it.

pub(super) mod rows;

use rusqlite::Connection;

use rows::change_rows;

use super::rng::{list, quoted, quoted_text, Features, Rng};
use super::tables::{compiles, names, objects, tables, Table};

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
pub fn draw(rng: &mut Rng, features: &Features, scratch: &Connection) -> Option<Op> {
    for _ in 0..12 {
        let Some(op) = propose(rng, features, scratch) else { continue };
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

fn propose(rng: &mut Rng, features: &Features, scratch: &Connection) -> Option<Op> {
    let known = tables(scratch).ok()?;
    if known.is_empty() {
        return create_table(rng, features, scratch);
    }
    let table = rng.pick(&known).clone();
    match rng.below(15) {
        0..=2 => create_table(rng, features, scratch),
        3 | 4 if features.indexes => create_index(rng, scratch, &table),
        5 if features.views => create_view(rng, features, scratch, &table),
        6 if features.triggers => create_trigger(rng, features, scratch, &table, &known),
        7 | 8 if features.alter => alter(rng, features, scratch, &table),
        9 if features.rebuilds => rebuild(rng, &table),
        10 if features.drops => drop_one(rng, scratch, &table),
        11..=13 if features.data => change_rows(rng, &table),
        14 if features.virtual_tables => create_virtual(rng, features, scratch),
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

fn create_table(rng: &mut Rng, features: &Features, scratch: &Connection) -> Option<Op> {
    let mut name = rng.name(features.odd_names, &names(scratch).ok()?);
    if features.lost_names && rng.chance(40) {
        name = lost_name(rng, scratch)?;
    }
    let strict = features.strict && rng.chance(50);
    let without_rowid = features.without_rowid && rng.chance(50);
    let kinds: &[&str] = if strict { &STRICT_KINDS } else { &KINDS };
    let mut taken = Vec::new();
    let mut parts = Vec::new();
    let key = rng.name(features.odd_names, &taken);
    taken.push(key.clone());
    let second = rng.chance(30);
    let key_kind = if rng.chance(60) && !(without_rowid && second) { "INTEGER" } else { "TEXT" };
    let automatic = features.autoincrement
        && !without_rowid
        && key_kind == "INTEGER"
        && !second
        && rng.chance(60);
    let has_key = without_rowid || rng.chance(85);
    let inline = has_key && !second;
    let descending = inline && !automatic && rng.chance(5);
    let primary = if automatic {
        " PRIMARY KEY AUTOINCREMENT"
    } else if descending {
        " PRIMARY KEY DESC"
    } else {
        " PRIMARY KEY"
    };
    parts.push(format!("{} {key_kind}{}", quoted(&key), if inline { primary } else { "" }));
    for _ in 0..rng.between(1, 4) {
        let column = rng.name(features.odd_names, &taken);
        parts.push(column_text(rng, features, scratch, (&column, kinds), &taken));
        taken.push(column);
    }
    if has_key && !inline {
        parts.push(format!("PRIMARY KEY({}, {})", quoted(&key), quoted(&taken[1])));
    }
    if features.constraints && rng.chance(25) {
        parts.push(format!("UNIQUE({}, {})", quoted(rng.pick(&taken)), quoted(&taken[1])));
    }
    if features.generated && rng.chance(40) {
        let column = rng.name(features.odd_names, &taken);
        let kind = if strict { " ANY" } else { "" };
        let stored = if rng.chance(50) { "STORED" } else { "VIRTUAL" };
        let from = quoted(rng.pick(&taken));
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

/// The name that rows of another table would get which have no place, in any case of its letters.
fn lost_name(rng: &mut Rng, scratch: &Connection) -> Option<String> {
    let known = tables(scratch).ok()?;
    let of = if known.is_empty() { "pages".to_owned() } else { rng.pick(&known).name.clone() };
    let name =
        format!("{}{of}{}", rng.pick(&["lost_", "LOST_", "Lost_"]), rng.pick(&["", "", "_2"]));
    let taken = names(scratch).ok()?;
    (!taken.iter().any(|known| known.to_lowercase() == name.to_lowercase())).then_some(name)
}

fn column_text(
    rng: &mut Rng,
    features: &Features,
    scratch: &Connection,
    (name, kinds): (&str, &[&str]),
    others: &[String],
) -> String {
    let kind = *rng.pick(kinds);
    let mut text = format!("{} {kind}", quoted(name)).trim_end().to_owned();
    if features.constraints {
        if rng.chance(15) {
            text.push_str(&format!(" NOT NULL DEFAULT {}", default_for(rng, kind)));
        } else if rng.chance(20) {
            text.push_str(&format!(" DEFAULT {}", default_for(rng, kind)));
        }
        if rng.chance(12) {
            text.push_str(" UNIQUE");
        }
        if rng.chance(12) {
            text.push_str(if rng.chance(70) { " COLLATE NOCASE" } else { " COLLATE RTRIM" });
        }
    }
    if features.check && rng.chance(25) {
        let other = quoted(rng.pick(others));
        let check = *rng.pick(&[
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
    if features.references && rng.chance(30) || features.chains && rng.chance(60) {
        let parents = tables(scratch).unwrap_or_default();
        let parents: Vec<&Table> =
            parents.iter().filter(|table| table.single_key().is_some()).collect();
        if !parents.is_empty() {
            // In a chain each refers to the one before it.
            let parent: &Table = if features.chains {
                newest(scratch, &parents)
            } else {
                parents[rng.below(parents.len())]
            };
            let wait = if rng.chance(25) { " DEFERRABLE INITIALLY DEFERRED" } else { "" };
            let key = parent.single_key().map_or_else(String::new, |key| quoted(&key.name));
            text.push_str(&format!(
                " REFERENCES {}({key}){}{wait}",
                quoted(&parent.name),
                rng.pick(&ACTIONS)
            ));
        }
    }
    text
}

/// The table that was made last, of these.
fn newest<'t>(scratch: &Connection, of: &[&'t Table]) -> &'t Table {
    let place = |table: &&&Table| {
        let sql = "SELECT rowid FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        scratch.query_row(sql, [&table.name], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    of.iter().max_by_key(place).unwrap_or_else(|| panic!("no table"))
}

fn default_for(rng: &mut Rng, kind: &str) -> String {
    match kind {
        "INTEGER" => rng.below(100).to_string(),
        "REAL" => "1.5".into(),
        "BLOB" => "X'00'".into(),
        "TEXT" => quoted_text(rng.pick(&["", "none", "it's"])),
        _ => rng.pick(&["0", "'x'", "NULL", "(1 + 2)"]).to_string(),
    }
}

fn create_index(rng: &mut Rng, scratch: &Connection, table: &Table) -> Option<Op> {
    let name = format!("{} by {}", table.name, rng.below(1000));
    if names(scratch).ok()?.contains(&name) {
        return None;
    }
    let column = |rng: &mut Rng| quoted(rng.pick(&table.columns).name.clone());
    let term = match rng.below(6) {
        0 => format!("lower({})", column(rng)),
        1 => format!("{} DESC", column(rng)),
        2 => format!("{} COLLATE NOCASE", column(rng)),
        3 => format!("{}, {}", column(rng), column(rng)),
        _ => column(rng),
    };
    let unique = if rng.chance(15) { "UNIQUE " } else { "" };
    let partial = match rng.below(8) {
        0 => format!(" WHERE {} IS NOT NULL", column(rng)),
        1 => format!(" WHERE {} > 5", column(rng)),
        _ => String::new(),
    };
    let name = quoted(&name);
    Some(Op::new(
        format!("CREATE {unique}INDEX {name} ON {}({term}){partial}", quoted(&table.name)),
        format!("DROP INDEX {name}"),
    ))
}

fn create_view(
    rng: &mut Rng,
    features: &Features,
    scratch: &Connection,
    table: &Table,
) -> Option<Op> {
    let name = quoted(rng.name(features.odd_names, &names(scratch).ok()?));
    let column = quoted(rng.pick(&table.columns).name.clone());
    let from = quoted(&table.name);
    let select = match rng.below(4) {
        0 => format!("SELECT count(*) AS rows, max({column}) AS most FROM {from}"),
        1 => format!("SELECT t.{column} AS c FROM {from} AS t WHERE t.{column} IS NOT NULL"),
        2 => format!("WITH x(c) AS (SELECT {column} FROM {from}) SELECT c FROM x ORDER BY c"),
        _ => format!("SELECT {column}, 1 AS one FROM {from}"),
    };
    Some(Op::new(format!("CREATE VIEW {name} AS {select}"), format!("DROP VIEW {name}")))
}

fn create_trigger(
    rng: &mut Rng,
    features: &Features,
    scratch: &Connection,
    table: &Table,
    known: &[Table],
) -> Option<Op> {
    let name = quoted(format!(
        "{} on {}",
        rng.name(features.odd_names, &names(scratch).ok()?),
        table.name
    ));
    let other = rng.pick(known);
    let column = quoted(rng.pick(&other.settable()).name.clone());
    let own = quoted(rng.pick(&table.columns).name.clone());
    let event = *rng.pick(&["AFTER INSERT", "AFTER DELETE", "BEFORE INSERT", "AFTER UPDATE"]);
    let row = if event.ends_with("DELETE") { "OLD" } else { "NEW" };
    let target = quoted(&other.name);
    let body = match rng.below(4) {
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
        if rng.chance(20) { format!(" WHEN {row}.{own} IS NOT NULL") } else { String::new() };
    Some(Op::new(
        format!("CREATE TRIGGER {name} {event} ON {table}{when} BEGIN {body}; END"),
        format!("DROP TRIGGER {name}"),
    ))
}

fn create_virtual(rng: &mut Rng, features: &Features, scratch: &Connection) -> Option<Op> {
    let name = quoted(rng.name(features.odd_names, &names(scratch).ok()?));
    let module = rng.pick(&["fts5(subject, body)", "rtree(id, low, high)"]);
    let mut op = Op::new(
        format!("CREATE VIRTUAL TABLE {name} USING {module}"),
        format!("DROP TABLE {name}"),
    );
    if rng.chance(50) {
        op.up.push(of_virtual(rng, &name, module));
    }
    Some(op)
}

/// A statement for a virtual table; its name stands in quotes.
pub fn of_virtual(rng: &mut Rng, name: &str, module: &str) -> String {
    let words = ["one two", "two three", "three", "it''s four"];
    let (number, low) = (rng.below(30), rng.below(50));
    match (module.contains("fts5"), rng.below(4)) {
        (true, 0) => format!("DELETE FROM {name} WHERE rowid = {number}"),
        (true, _) => format!(
            "INSERT INTO {name}(subject, body) VALUES ('{}', '{}')",
            rng.pick(&words),
            rng.pick(&words)
        ),
        (false, 0) => format!("DELETE FROM {name} WHERE id = {number}"),
        (false, _) => {
            format!("INSERT OR REPLACE INTO {name} VALUES ({number}, {low}, {})", low + 1)
        }
    }
}

fn alter(rng: &mut Rng, features: &Features, scratch: &Connection, table: &Table) -> Option<Op> {
    let name = quoted(&table.name);
    let taken: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let fresh = rng.name(features.odd_names, &taken);
    match rng.below(6) {
        0..=2 => {
            let kind = if table.strict { *rng.pick(&STRICT_KINDS) } else { *rng.pick(&KINDS) };
            let mut text = format!("{} {kind}", quoted(&fresh)).trim_end().to_owned();
            if rng.chance(50) {
                let null = if rng.chance(50) { " NOT NULL" } else { "" };
                text.push_str(&format!(
                    "{null} DEFAULT {}",
                    default_for(rng, kind).replace("(1 + 2)", "3")
                ));
            }
            let column = quoted(&fresh);
            Some(Op::new(
                format!("ALTER TABLE {name} ADD COLUMN {text}"),
                format!("ALTER TABLE {name} DROP COLUMN {column}"),
            ))
        }
        3 => {
            let old = quoted(rng.pick(&table.columns).name.clone());
            let new = quoted(&fresh);
            let up = format!("ALTER TABLE {name} RENAME COLUMN {old} TO {new}");
            Some(Op::new(up, format!("ALTER TABLE {name} RENAME COLUMN {new} TO {old}")))
        }
        4 => {
            let new = quoted(rng.name(features.odd_names, &names(scratch).ok()?));
            Some(Op::new(
                format!("ALTER TABLE {name} RENAME TO {new}"),
                format!("ALTER TABLE {new} RENAME TO {name}"),
            ))
        }
        _ => {
            let gone = rng.pick(&table.columns).name.clone();
            Some(Op::forward(format!("ALTER TABLE {name} DROP COLUMN {}", quoted(&gone))))
        }
    }
}

/// SQLite's own recipe: a new table, copy, drop, rename.
fn rebuild(rng: &mut Rng, table: &Table) -> Option<Op> {
    let (name, new) = (quoted(&table.name), quoted(format!("{} new", table.name)));
    let head = table.sql.find('(')?;
    let settable: Vec<String> = table.settable().iter().map(|column| column.name.clone()).collect();
    let columns = list(&settable);
    let create = format!("CREATE TABLE {new}{}", &table.sql[head..]);
    // What follows `(` is the whole definition only where no name before it has one.
    if table.name.contains('(') {
        return None;
    }
    let order = if rng.chance(30) { " ORDER BY 1 DESC" } else { "" };
    let up = vec![
        create,
        format!("INSERT INTO {new}({columns}) SELECT {columns} FROM {name}{order}"),
        format!("DROP TABLE {name}"),
        format!("ALTER TABLE {new} RENAME TO {name}"),
    ];
    Some(Op { up, down: None })
}

fn drop_one(rng: &mut Rng, scratch: &Connection, table: &Table) -> Option<Op> {
    let kind = *rng.pick(&["index", "view", "trigger", "table"]);
    if kind == "table" {
        return rng.chance(40).then(|| Op::forward(format!("DROP TABLE {}", quoted(&table.name))));
    }
    let all = objects(scratch, kind).ok()?;
    let gone = if all.is_empty() { return None } else { rng.pick(&all).clone() };
    let create: String = scratch
        .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [&gone], |row| row.get(0))
        .ok()?;
    Some(Op::new(format!("DROP {} {}", kind.to_uppercase(), quoted(&gone)), create))
}
