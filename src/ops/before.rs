//! Owns the schema before and after migrations: what works no more, and after which migration.
//! Promises: what did not work before is a note and never refused; which migration it was is looked
//! for on failure alone, in memory.
//! Never changes a byte of the database.

use crate::catalog::Migration;
use crate::device::disk::Op;
use crate::device::history::Down;
use crate::device::sqlite::compile::Compiled;
use crate::device::sqlite::references::References;
use crate::device::sqlite::script::{self, Mode, ScriptSource};
use crate::device::sqlite::session::FileOptions;
use crate::device::sqlite::Database;
use crate::device::Device;
use crate::error::{Class, Failure};

const OP: Op = Op("verify");

/// Migrations that are run once more in memory, to find the one that broke something: more would
/// take too long at a boot.
const REPLAYED_MAX: usize = 200;

/// The foreign keys and the objects of a schema.
pub struct Before {
    /// The foreign keys.
    pub references: References,
    compiled: Compiled,
    /// There was nothing.
    empty: bool,
}

/// What has been run since.
pub enum RunSince<'a> {
    /// Migrations, oldest first.
    Up(&'a [&'a Migration]),
    /// Ways back, newest first.
    Back(&'a [Down]),
}

impl Before {
    /// Looks at all of it.
    ///
    /// # Errors
    /// As SQLite.
    pub fn of(device: &Device<'_>, database: &Database, op: Op) -> Result<Before, Failure> {
        let compiled = database.compiled(op, device.sqlite())?;
        Ok(Before {
            references: database.references(op)?,
            empty: compiled.sources.is_empty(),
            compiled,
        })
    }

    /// What stands there now counts as having been there before: files that were released and
    /// cannot be corrected have made it. In a database that was made from nothing, their rows too.
    ///
    /// # Errors
    /// As SQLite.
    pub fn accept(&mut self, device: &Device<'_>, database: &Database) -> Result<(), Failure> {
        let now = Before::of(device, database, OP)?;
        self.references.accept(now.references, self.empty);
        self.compiled.accept(now.compiled);
        Ok(())
    }

    /// Sentences about what is in this schema, and works no more since `before`, or not in an
    /// application that has no newer SQLite than it says.
    fn broken_since(&self, before: &Before, device: &Device<'_>) -> Vec<String> {
        let mut broken = self.references.worse_than(&before.references).broken;
        broken.extend(self.compiled.broken_since(&before.compiled));
        if let Some(oldest) = device.settings.sqlite_min {
            broken.extend(self.compiled.too_new_since(&before.compiled, oldest));
        }
        broken
    }
}

impl RunSince<'_> {
    fn sources(&self) -> Vec<(ScriptSource<'_>, String, FileOptions)> {
        match self {
            RunSince::Up(migrations) => migrations
                .iter()
                .map(|migration| {
                    let source = ScriptSource {
                        file: migration.file,
                        version: migration.version,
                        sql: migration.sql,
                        statements: migration.statements,
                    };
                    (source, migration.file.to_owned(), FileOptions::from(*migration))
                })
                .collect(),
            RunSince::Back(downs) => downs
                .iter()
                .map(|down| {
                    let source = ScriptSource {
                        file: "",
                        version: down.version,
                        sql: &down.sql,
                        statements: 0,
                    };
                    (
                        source,
                        format!("the down SQL of V{} {}", down.version, down.name),
                        FileOptions::default(),
                    )
                })
                .collect(),
        }
    }
}

/// Nothing works less than before; notes about what did not work before, and what cannot be checked
/// here.
///
/// # Errors
/// Failed, with the object and the migration that broke it.
pub fn schema(
    device: &Device<'_>,
    before: &Before,
    now: &Before,
    changes: &RunSince<'_>,
) -> Result<Vec<String>, Failure> {
    let broken = now.broken_since(before, device);
    if let Some(first) = broken.first() {
        let cause = format!("after {}, {first}", culprit(device, before, changes, first));
        // One alone has been said.
        return Err(Failure::new(Class::Failed, OP, cause).details(if broken.len() > 1 {
            broken
        } else {
            Vec::new()
        }));
    }
    let as_before = now
        .references
        .broken_as_before(&before.references)
        .into_iter()
        .chain(now.compiled.broken_as_before(&before.compiled));
    let as_before =
        as_before.map(|sentence| format!("{sentence}; no migration of this run has caused it"));
    Ok(as_before
        .chain(now.references.unchecked.iter().cloned())
        .chain(now.compiled.unchecked())
        .collect())
}

/// The schema as whoever opens the file next will read it.
///
/// # Errors
/// Failed where it cannot be read, and could before.
pub fn read_again(database: &Database) -> Result<(), Failure> {
    database.read_schema_again(OP).map_err(|failure| match failure.class {
        Class::Damaged => Failure::new(
            Class::Failed,
            OP,
            format!("after migrating, the schema cannot be read: {}", failure.cause),
        ),
        _ => failure,
    })
}

/// After which of them it works no more, in words; all of them, where that cannot be found.
fn culprit(
    device: &Device<'_>,
    before: &Before,
    changes: &RunSince<'_>,
    sentence: &String,
) -> String {
    let sources = changes.sources();
    let found = match sources.as_slice() {
        [_] => Some(0),
        sources if sources.len() <= REPLAYED_MAX => replay(device, before, sources, sentence),
        _ => None,
    };
    match (found.and_then(|found| sources.get(found)), sources.as_slice()) {
        (Some((_, name, _)), _) => name.clone(),
        (None, [(_, first, _), .., (_, last, _)]) => format!("{first} to {last}"),
        (None, _) => "migrating".to_owned(),
    }
}

/// The same changes on the same schema in memory, without rows.
fn replay(
    device: &Device<'_>,
    before: &Before,
    sources: &[(ScriptSource<'_>, String, FileOptions)],
    sentence: &String,
) -> Option<usize> {
    let mut scratch = device.sqlite().scratch(OP).ok()?;
    for source in &before.compiled.sources {
        // Of a virtual table the module has made the others.
        let _ = scratch.run(OP, source);
    }
    let mut since = None;
    for (index, (source, _, options)) in sources.iter().enumerate() {
        if device.must_stop() {
            return None;
        }
        let ran = scratch.file(OP, Mode::NoTransaction, *options, |scratch, session| {
            script::run_text(scratch, session, source, &mut |_| {})
        });
        ran.ok()?;
        let broken = Before::of(device, &scratch, OP).ok()?.broken_since(before, device);
        since = if broken.contains(sentence) { since.or(Some(index)) } else { None };
    }
    since
}
