//! Owns the lint about what a rebuilt table has lost: constraints, indexes, triggers.
//! Promises: what stands there in another form, or needs a column that is dropped, is no loss.
//! Never alarms for what a statement of its own drops.

use bootmigrate_build::workbench::{lex, How, Schema};

use crate::lint::case::{dropped, Case, Hit};
use crate::model::{bare, Index};

pub fn rebuild_loses(case: &Case<'_>) -> Vec<Hit> {
    let (Some(before), Some(after)) = (case.open(), case.chain.open(case.place + 1)) else {
        return Vec::new();
    };
    let read = |connection| Schema::read(connection, &case.settings.history_table).ok();
    let (Some(before), Some(after)) = (read(&before), read(&after)) else { return Vec::new() };
    let differences = after.differences(&before);
    let mut hits = Vec::new();
    for (table, drop) in case.rebuilt() {
        let of_table = format!(" of table {}", table.to_ascii_lowercase());
        let gone = |difference: &&bootmigrate_build::workbench::Difference| {
            let part = difference.key.strip_suffix(&of_table);
            let kinds = [
                "check",
                "unique",
                "reference",
                "autoincrement",
                "strict",
                "without rowid",
                "primary key",
                "initially",
            ];
            let is_part = part.is_some_and(|part| kinds.iter().any(|kind| part.starts_with(kind)));
            let object = ["index", "trigger"]
                .into_iter()
                .find_map(|kind| Some((kind, difference.key.strip_prefix(kind)?.trim())));
            let hangs = object
                .and_then(|(kind, name)| case.before.other(kind, name))
                .is_some_and(|object| object.table.eq_ignore_ascii_case(&table));
            let meant = object.is_some_and(|(kind, name)| {
                let kind = kind.to_ascii_uppercase();
                case.up.statements.iter().any(|statement| {
                    dropped(statement, &kind)
                        .is_some_and(|dropped| dropped.eq_ignore_ascii_case(name))
                })
            });
            // A unique index does what a UNIQUE of the table did, and the other way round.
            let name = object.map(|(_, name)| name).or(part).unwrap_or_default();
            let stays = still_unique(case, &table, name)
                || still_found(case, &table, name)
                || columns_gone(case, &table, object.or(part.map(|part| ("part", part))));
            difference.how == How::Missing && (is_part || hangs && !meant) && !stays
        };
        // A part that stands there in other words is no loss: a CHECK for a CHECK.
        let replaced = |key: &str| {
            let kind = key.split(' ').next().unwrap_or_default();
            differences.iter().any(|other| {
                other.how == How::ExtraPart
                    && other.key.ends_with(&of_table)
                    && other.key.starts_with(kind)
            })
        };
        let lost: Vec<&str> = differences
            .iter()
            .filter(gone)
            .filter(|one| !replaced(&one.key))
            .map(|one| one.what.as_str())
            .collect();
        if !lost.is_empty() {
            hits.push(Hit::at(
                &drop,
                format!("`{table}` stands again without: {}", lost.join("; ")),
            ));
        }
    }
    hits
}

/// Is what this unique index, or this `unique (a, b)`, kept apart still unique?
fn still_unique(case: &Case<'_>, table: &str, what: &str) -> bool {
    let (Some(old), Some(now)) = (case.before.table(table), case.after.table(table)) else {
        return false;
    };
    let columns = |index: &Index| {
        let names: Vec<String> =
            index.columns.iter().flatten().map(|name| name.to_ascii_lowercase()).collect();
        names.join(", ")
    };
    let collated = what.contains(" collate ");
    let what = without_collations(what);
    let is_it = |index: &&Index| {
        index.name.eq_ignore_ascii_case(&what) || format!("unique ({})", columns(index)) == what
    };
    let kept = old.indexes.iter().filter(|index| index.unique).find(is_it);
    kept.is_some_and(|kept| {
        let key = now.rowid().map(|column| column.name.to_ascii_lowercase());
        key == Some(columns(kept))
            || now.indexes.iter().any(|index| {
                index.unique && !index.partial && keeps_apart(case, index, kept, collated)
            })
    })
}

/// `unique (a, b collate nocase)` as `unique (a, b)`.
fn without_collations(what: &str) -> String {
    let mut words = what.split(' ');
    let mut kept = String::new();
    while let Some(word) = words.next() {
        if word == "collate" {
            let name = words.next().unwrap_or_default();
            kept.push_str(name.trim_start_matches(|letter: char| letter.is_alphanumeric()));
        } else {
            kept.push_str(if kept.is_empty() { "" } else { " " });
            kept.push_str(word);
        }
    }
    kept
}

/// The same columns in their order; of one, an expression may stand there: `lower(code)`. Where
/// letters did not count, the index must say so, too.
fn keeps_apart(case: &Case<'_>, now: &Index, old: &Index, collated: bool) -> bool {
    let object = case.after.other("index", &now.name);
    let words = lex(object.map_or("", |object| object.sql.as_str()));
    let names = |word: &str| words.tokens.iter().any(|one| bare(one).eq_ignore_ascii_case(word));
    now.columns.len() == old.columns.len()
        && (!collated || ["collate", "lower", "upper"].into_iter().any(names))
        && now.columns.iter().zip(&old.columns).all(|pair| match pair {
            (Some(now), Some(old)) => now.eq_ignore_ascii_case(old),
            (None, Some(old)) => names(old),
            _ => false,
        })
}

/// Does it need a column that the table has no more? Who drops the column means that, too.
fn columns_gone(case: &Case<'_>, table: &str, what: Option<(&str, &str)>) -> bool {
    let (Some(old), Some(now), Some((kind, what))) =
        (case.before.table(table), case.after.table(table), what)
    else {
        return false;
    };
    let object = case.before.other(kind, what);
    let words = lex(object.map_or(what, |object| object.sql.as_str()));
    old.columns.iter().filter(|column| now.column(&column.name).is_none()).any(|column| {
        words.tokens.iter().any(|token| bare(token).eq_ignore_ascii_case(&column.name))
    })
}

/// Is what this index found first in a key or another index now?
fn still_found(case: &Case<'_>, table: &str, name: &str) -> bool {
    let (Some(old), Some(now)) = (case.before.table(table), case.after.table(table)) else {
        return false;
    };
    let index = old.indexes.iter().find(|index| index.name.eq_ignore_ascii_case(name));
    index.filter(|index| !index.unique && !index.partial).is_some_and(|index| {
        let columns: Option<Vec<String>> = index.columns.iter().cloned().collect();
        columns.is_some_and(|columns| now.has_index_on(&columns))
    })
}
