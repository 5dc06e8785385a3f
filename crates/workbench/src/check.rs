//! Owns `check`: every database with rows in every table, from every released version to the
//! newest, and back.
//! Promises: the device's own boots below a folder of its own; one boot and many end with the same
//! schema and rows.
//! Never reads a database that it has not made.

mod boots;
mod snapshots;
mod ways;

use std::path::Path;

use anyhow::Result;
use bootmigrate_build::{Database, Migration, Product};

use crate::cli::Check;
use crate::embed::embedded;
use crate::{product, schema, time};

/// What is wrong, with the code by which a file may allow it.
#[derive(Debug)]
pub struct Trouble {
    pub code: &'static str,
    pub name: &'static str,
    /// As every message names it.
    pub file: String,
    pub what: String,
}

/// A boot ends with an error.
pub const BOOT: (&str, &str) = ("BM101", "boot-fails");
/// One boot and many boots end otherwise.
pub const BOOTS_DIFFER: (&str, &str) = ("BM102", "boots-differ");
/// Rows are gone.
pub const ROWS_LOST: (&str, &str) = ("BM103", "rows-lost");
/// Up, down and up again is not up.
pub const WAY_BACK: (&str, &str) = ("BM104", "way-back-differs");
/// A second run does something.
pub const NOT_QUIET: (&str, &str) = ("BM105", "second-run-not-quiet");
/// SQLite finds a fault in the file, or a reference to no row.
pub const FAULTY: (&str, &str) = ("BM106", "result-faulty");
/// The schema in git is another than the one that the migrations make.
pub const SNAPSHOT: (&str, &str) = ("BM107", "schema-differs");

impl Trouble {
    pub fn new(
        (code, name): (&'static str, &'static str),
        file: impl Into<String>,
        what: impl Into<String>,
    ) -> Trouble {
        Trouble { code, name, file: file.into(), what: what.into() }
    }
}

/// One database, and how it is to be checked.
pub struct Subject<'a> {
    pub product: &'a Product,
    pub database: &'a Database,
    pub history: &'a str,
    pub request: &'a Check,
    /// When this run began, in seconds since 1970.
    pub began: i64,
}

impl Subject<'_> {
    /// How a message names a migration.
    pub fn shown(&self, migration: &Migration) -> String {
        product::shown(self.product, migration)
    }

    /// The file of a version, else the database's folder.
    pub fn file_of(&self, version: i64) -> String {
        let found = self.database.migrations.iter().find(|migration| migration.version == version);
        found.map_or_else(
            || format!("{}/{}", product::label(self.product), self.database.name),
            |migration| self.shown(migration),
        )
    }

    /// What devices may have: the released versions; all of them where none is or where that is
    /// asked for.
    fn versions(&self) -> Vec<i64> {
        let all = || self.database.migrations.iter();
        let released: Vec<i64> =
            all().filter(|one| one.released || one.adopted).map(|one| one.version).collect();
        if released.is_empty() || self.request.all {
            all().map(|one| one.version).collect()
        } else {
            released
        }
    }
}

/// Checks, and prints what is wrong.
///
/// # Errors
/// The folder has problems, or a scratch folder cannot be made.
pub fn check(folder: &Path, request: &Check) -> Result<bool> {
    let product = product::read(folder)?;
    let (problems, _) = bootmigrate_build::execute(&product);
    if !problems.is_empty() {
        anyhow::bail!("{}", product::lines(&problems));
    }
    let firmware = embedded(&product)?;
    let mut all_well = true;
    for database in product::databases(&product, request.db.as_deref())? {
        let Some(settings) = product::settings(&product, database) else { continue };
        if let Some(one) =
            database.migrations.iter().find(|one| one.directives.code_revision.is_some())
        {
            println!(
                "{}: not checked, since {} runs Rust code, which only the product's own binary has",
                database.name, one.file
            );
            continue;
        }
        let subject = Subject {
            product: &product,
            database,
            history: &settings.history_table,
            request,
            began: time::now(),
        };
        let chain = schema::chain(&product, database)?;
        let versions = subject.versions();
        let mut troubles = Vec::new();
        let mut notes = boots::from_zero(&subject, firmware, &mut troubles)?;
        for version in &versions {
            notes.extend(boots::from_version(&subject, firmware, *version, &mut troubles)?);
        }
        let ways = ways::back(&subject, &chain, &mut troubles)?;
        snapshots::compared(&subject, folder, &chain, &mut troubles)?;
        notes.sort();
        notes.dedup();
        let troubles = left(&subject, troubles);
        for note in &notes {
            println!("{}: {note}", database.name);
        }
        for trouble in &troubles {
            println!("{}: {} {}: {}", trouble.file, trouble.code, trouble.name, trouble.what);
        }
        let (from, ways) =
            (product::counted(versions.len(), "version"), product::counted(ways, "way back"));
        let rows = request.rows;
        let end = if troubles.is_empty() {
            "all well".to_owned()
        } else {
            format!("{} wrong", troubles.len())
        };
        println!(
            "{}: from nothing and from {from} with {rows} rows a table, {ways}: {end}",
            database.name
        );
        all_well &= troubles.is_empty();
    }
    Ok(all_well)
}

/// Without what a file allows, and each sentence once.
fn left(subject: &Subject<'_>, mut troubles: Vec<Trouble>) -> Vec<Trouble> {
    let allowed = |trouble: &Trouble| {
        let of_file = |migration: &&Migration| {
            let down = product::shown_down(subject.product, migration);
            trouble.file == subject.shown(migration) || trouble.file == down
        };
        let migration = subject.database.migrations.iter().find(of_file);
        migration.is_some_and(|migration| {
            migration.directives.allow.iter().any(|allow| allow.code == trouble.code)
        })
    };
    troubles.retain(|trouble| !allowed(trouble));
    troubles.sort_by(|one, other| {
        (&one.file, one.code, &one.what).cmp(&(&other.file, other.code, &other.what))
    });
    troubles.dedup_by(|one, other| {
        (&one.file, one.code, &one.what) == (&other.file, other.code, &other.what)
    });
    troubles
}
