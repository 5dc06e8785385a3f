//! Owns drawing the keys of each database over their range.
//! Promises: no combination that docs/configuration.md calls impossible.
//! Never knows what a key does.

use super::dice::{Dice, Features};
use super::product::Database;

/// Keys for all of them.
pub fn draw(dice: &mut Dice, features: &Features, two_slots: bool, databases: &mut [Database]) {
    let together = features.together && databases.len() > 1 && dice.chance(70);
    for database in databases.iter_mut() {
        if features.policy {
            database.keys = keys(dice, two_slots);
        }
    }
    if together {
        for database in databases.iter_mut() {
            database.keys.push(("together", "\"core\"".to_owned()));
            database.migrations.iter_mut().for_each(|migration| {
                migration.directives.retain(|line| line != "no-transaction");
                migration.statements.retain(|statement| statement != "VACUUM");
            });
        }
    }
}

fn keys(dice: &mut Dice, two_slots: bool) -> Vec<(&'static str, String)> {
    let mut keys: Vec<(&'static str, String)> = Vec::new();
    let rebuildable = dice.chance(30);
    if rebuildable {
        keys.push(("kind", "\"rebuildable\"".to_owned()));
    }
    let mut carries = !rebuildable;
    if dice.chance(25) {
        carries = !rebuildable || dice.chance(50);
        keys.push(("carry_over", if carries { "\"*\"" } else { "[]" }.to_owned()));
    }
    if dice.chance(30) {
        let purge = (rebuildable || carries) && dice.chance(50);
        keys.push(("on_failure", format!("\"{}\"", if purge { "purge" } else { "restore" })));
    }
    if dice.chance(30) {
        keys.push(("on_damage", on_damage(dice, rebuildable || carries)));
    }
    if dice.chance(40) {
        keys.push(("on_newer", on_newer(dice, rebuildable, two_slots)));
    }
    if dice.chance(30) {
        keys.push(("copy", format!("\"{}\"", dice.pick(&["auto", "always", "never"]))));
    }
    if dice.chance(25) {
        keys.push(("journal_mode", format!("\"{}\"", dice.pick(&["keep", "wal", "delete"]))));
    }
    if dice.chance(20) {
        keys.push(("user_version", "\"ours\"".to_owned()));
    }
    if dice.chance(25) {
        keys.push(("snapshots_max", dice.below(4).to_string()));
    }
    if dice.chance(25) {
        keys.push(("quarantine_max", dice.between(1, 4).to_string()));
    }
    if dice.chance(20) {
        let name = dice.pick(&["own_schema_history", "transaction", "values"]);
        keys.push(("history_table", format!("\"{name}\"")));
    }
    keys
}

fn on_damage(dice: &mut Dice, may_purge: bool) -> String {
    let mut all = vec!["reindex", "salvage", "snapshot"];
    for place in (1..all.len()).rev() {
        all.swap(place, dice.below(place + 1));
    }
    all.truncate(dice.between(1, 3));
    if may_purge && dice.chance(40) {
        all.push("purge");
    }
    list(&all)
}

fn on_newer(dice: &mut Dice, rebuildable: bool, two_slots: bool) -> String {
    let mut all = Vec::new();
    if dice.chance(70) {
        all.push("compatible");
    }
    if dice.chance(70) {
        all.push("downgrade");
    }
    if two_slots && dice.chance(60) {
        all.push("trial-snapshot");
    }
    if rebuildable && dice.chance(60) {
        all.push("purge");
    }
    list(&all)
}

fn list(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("[{}]", names.join(", "))
}
