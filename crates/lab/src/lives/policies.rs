//! Owns drawing the keys of each database over their range.
//! Promises: no combination that docs/configuration.md calls impossible.
//! Never knows what a key does.

use super::product::Database;
use super::rng::{Features, Rng};

/// Keys for all of them.
pub fn draw(rng: &mut Rng, features: &Features, two_slots: bool, databases: &mut [Database]) {
    let together = features.groups && databases.len() > 1 && rng.chance(70);
    for database in databases.iter_mut() {
        if features.policy {
            let names = table_names(database);
            database.keys = keys(rng, two_slots, &names);
        }
    }
    if together {
        for database in databases.iter_mut() {
            database.keys.push(("group", "\"core\"".to_owned()));
            database.migrations.iter_mut().for_each(|migration| {
                migration.directives.retain(|line| line != "no-transaction");
                migration.statements.retain(|statement| statement != "VACUUM");
            });
        }
    }
}

/// Tables that some version of it has.
fn table_names(database: &Database) -> Vec<String> {
    let texts = database.migrations.iter().flat_map(|migration| &migration.statements);
    let made = texts.filter_map(|text| text.strip_prefix("CREATE TABLE \"")?.split_once("\"("));
    made.map(|(name, _)| name.replace("\"\"", "\"")).collect()
}

/// Some of the tables, in letters of any case: SQLite compares names without.
fn some_tables(rng: &mut Rng, names: &[String]) -> Vec<String> {
    let mut some: Vec<String> = names.iter().filter(|_| rng.chance(60)).cloned().collect();
    some.dedup();
    let turned = |rng: &mut Rng, name: String| match rng.below(4) {
        0 => name.to_ascii_uppercase(),
        1 => name.to_ascii_lowercase(),
        _ => name,
    };
    some.into_iter().map(|name| turned(rng, name)).collect()
}

fn keys(rng: &mut Rng, two_slots: bool, tables: &[String]) -> Vec<(&'static str, String)> {
    let mut keys: Vec<(&'static str, String)> = Vec::new();
    let rebuildable = rng.chance(30);
    if rebuildable {
        keys.push(("kind", "\"rebuildable\"".to_owned()));
    }
    let mut carries = !rebuildable;
    if rng.chance(25) {
        carries = !rebuildable || rng.chance(50);
        let some = if rng.chance(60) { some_tables(rng, tables) } else { Vec::new() };
        let value = match (carries, some.is_empty()) {
            (true, false) => format!(
                "[{}]",
                some.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
            ),
            (true, true) => "\"*\"".to_owned(),
            (false, _) => "[]".to_owned(),
        };
        keys.push(("carry_over", value));
    }
    if rng.chance(40) {
        let purge = (rebuildable || carries) && rng.chance(50);
        keys.push(("on_failure", format!("\"{}\"", if purge { "purge" } else { "restore" })));
    }
    if rng.chance(30) {
        keys.push(("on_damage", on_damage(rng, rebuildable || carries)));
    }
    if rng.chance(40) {
        keys.push(("on_newer", on_newer(rng, rebuildable, two_slots)));
    }
    if rng.chance(30) {
        keys.push(("snapshot", format!("\"{}\"", rng.pick(&["auto", "always", "never"]))));
    }
    if rng.chance(25) {
        keys.push(("journal_mode", format!("\"{}\"", rng.pick(&["keep", "wal", "delete"]))));
    }
    if rng.chance(20) {
        keys.push(("user_version", "\"ours\"".to_owned()));
    }
    if rng.chance(25) {
        keys.push(("snapshots_max", rng.below(4).to_string()));
    }
    if rng.chance(25) {
        keys.push(("quarantine_max", rng.between(1, 4).to_string()));
    }
    if rng.chance(20) {
        let name = rng.pick(&["own_schema_history", "transaction", "values"]);
        keys.push(("history_table", format!("\"{name}\"")));
    }
    keys
}

fn on_damage(rng: &mut Rng, may_purge: bool) -> String {
    let mut all = vec!["reindex", "salvage", "snapshot"];
    for place in (1..all.len()).rev() {
        all.swap(place, rng.below(place + 1));
    }
    all.truncate(rng.between(1, 3));
    if may_purge && rng.chance(40) {
        all.push("purge");
    }
    list(&all)
}

fn on_newer(rng: &mut Rng, rebuildable: bool, two_slots: bool) -> String {
    let mut all = Vec::new();
    if rng.chance(70) {
        all.push("compatible");
    }
    if rng.chance(70) {
        all.push("downgrade");
    }
    if two_slots && rng.chance(60) {
        all.push("trial-snapshot");
    }
    if rebuildable && rng.chance(60) {
        all.push("purge");
    }
    list(&all)
}

fn list(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("[{}]", names.join(", "))
}
