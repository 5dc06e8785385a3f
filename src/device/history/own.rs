//! Owns the proof that migrations have left our own tables alone: what they were, and what they must be before the commit.
//! Promises: looks inside the open transaction; rows that triggers changed are seen as well as what the authorizer cannot see.
//! Never writes.

use std::collections::BTreeSet;

use super::{read, Applied, History};
use crate::catalog::Migration;
use crate::device::disk::Step;
use crate::device::sqlite::Database;
use crate::error::{Class, Failure};
use crate::reserved::{is_reserved, PREFIX};

/// Our tables when the first migration was about to run.
pub struct Ours {
    applied: Vec<Applied>,
    objects: BTreeSet<String>,
}

/// What the run itself has changed in them.
pub struct Change<'a> {
    /// Recorded by it.
    pub added: &'a [&'a Migration],
    /// Taken out by it.
    pub removed: &'a [i32],
    /// Its act.
    pub act: u64,
}

impl Ours {
    /// To be asked for after the tables were made.
    ///
    /// # Errors
    /// As SQLite.
    pub fn of(database: &Database, step: Step, table: &str) -> Result<Ours, Failure> {
        Ok(Ours { applied: read(database, step, table)?.applied, objects: objects(database, step, table)? })
    }

    /// They are what they were, and what the run has changed.
    ///
    /// # Errors
    /// Failed: a migration has changed them; with what differs.
    pub fn unharmed(&self, database: &Database, step: Step, table: &str, change: &Change<'_>) -> Result<(), Failure> {
        let differs = |what: String| {
            let cause = format!("the migrations have changed bootmigrate's own tables, which tell what was applied: {what}");
            Failure::new(Class::Failed, step, cause)
        };
        let now = match read(database, step, table) {
            // The statements that read it are right.
            Err(failure) if failure.class == Class::Catalogue => return Err(differs(failure.cause)),
            now => now?,
        };
        if let Some(what) = self.in_the_history(&now, table, change) {
            return Err(differs(what));
        }
        let objects = objects(database, step, table)?;
        match self.objects.symmetric_difference(&objects).next() {
            None => Ok(()),
            Some(object) if objects.contains(object) => Err(differs(format!("there is a new {object}"))),
            Some(object) => Err(differs(format!("{object} is gone, or another"))),
        }
    }

    fn in_the_history(&self, now: &History, table: &str, change: &Change<'_>) -> Option<String> {
        if let Some(what) = &now.malformed {
            return Some(what.clone());
        }
        let kept: Vec<&Applied> = self.applied.iter().filter(|row| !change.removed.contains(&row.version)).collect();
        let lost = kept.iter().find(|row| !now.applied.contains(row)).map(|row| row.version);
        let added = |step: &&&Migration| {
            let recorded = now.applied.iter().any(|row| row.is(step)) && now.steps.iter().any(|said| said.version == step.version);
            !recorded
        };
        match lost.or_else(|| change.added.iter().find(added).map(|step| step.version)) {
            Some(version) => Some(format!("what was recorded of version {version} is gone, or another")),
            None if now.applied.len() != kept.len() + change.added.len() => Some(format!("{table} has rows that nobody recorded")),
            None if now.act != Some(change.act) => Some("the number of this run is gone, or another".to_owned()),
            None => None,
        }
    }
}

/// Everything that has one of our names, hangs on a table that has, or is a trigger that names one.
fn objects(database: &Database, step: Step, table: &str) -> Result<BTreeSet<String>, Failure> {
    let read = || {
        let sql = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema UNION ALL \
                   SELECT 'temporary ' || type, name, tbl_name, coalesce(sql, '') FROM sqlite_temp_schema";
        let mut statement = database.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut objects = BTreeSet::new();
        while let Some(row) = rows.next()? {
            let (kind, name, on): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let sql: String = row.get(3)?;
            // A trigger that speaks of them would write to them when nobody looks.
            let text = sql.to_ascii_lowercase();
            let speaks = kind.ends_with("trigger") && [table.to_ascii_lowercase().as_str(), PREFIX].iter().any(|part| text.contains(part));
            if speaks || is_reserved(&name, table) || is_reserved(&on, table) {
                objects.insert(format!("{kind} {name} on {on}: {sql}"));
            }
        }
        Ok(objects)
    };
    read().map_err(|error: rusqlite::Error| database.failure(step, &error))
}
