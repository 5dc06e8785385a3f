//! Owns `certificate`: one Markdown comment for a pull request, with all that is known of a change
//! before it reaches a device.
//! Promises: every line is measured or judged in this run, or by the `power-cuts` whose file is
//! given; what is not good is said first.
//! Never posts anything: packaging/ci does.

mod markdown;
mod measured;

use std::fs;
use std::path::Path;

use anyhow::{bail, Context as _, Result};
use bootmigrate_build::{Database, Product};

use crate::cli::{Certificate, Format, Lint, PowerCuts};
use crate::lint::{self, Finding};
use crate::power_cuts::{self, last_start, Judged, Report};
use crate::{product, schema};
use measured::Measured;

/// What is known of one database's change.
pub struct Change<'a> {
    pub database: &'a Database,
    /// The version of the release before; 0 for none.
    pub from: i64,
    pub to: i64,
    /// Lines of `schema --since`.
    pub schema: Vec<String>,
    /// `None` where there is no release before, or its rows cannot be made.
    pub measured: Result<Measured, String>,
    /// Safe instants, all instants, and whether each upgrade could be judged.
    pub cuts: (u64, u64, bool),
    pub findings: Vec<&'a Finding>,
}

impl Change<'_> {
    /// Nothing that a reviewer must see before anything else.
    pub fn is_good(&self) -> bool {
        let (safe, all, judged) = self.cuts;
        let well = self.measured.as_ref().is_ok_and(Measured::is_good);
        safe == all && judged && self.findings.is_empty() && (well || self.from == 0)
    }
}

/// Makes it, and prints or writes it.
///
/// # Errors
/// The folder has problems, a file cannot be read or written, or the power cuts are of another
/// version.
pub fn certificate(folder: &Path, request: &Certificate) -> Result<bool> {
    let product = product::read(folder)?;
    let (problems, _) = bootmigrate_build::execute(&product);
    if !problems.is_empty() {
        bail!("{}", product::lines(&problems));
    }
    let cuts = match &request.power_cuts {
        Some(path) => {
            let text = fs::read_to_string(path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            serde_json::from_str(&text).with_context(|| {
                format!("{} is not what `power-cuts --json` writes", path.display())
            })?
        }
        None => power_cuts::judged(
            folder,
            &PowerCuts {
                db: request.db.clone(),
                fixtures: request.fixtures.clone(),
                ..request.cuts.clone()
            },
        )?,
    };
    let lint = Lint { db: request.db.clone(), all: false, format: Format::Text, list: false };
    let findings = lint::all(&product, &lint)?;
    let mut changes = Vec::new();
    for database in product::databases(&product, request.db.as_deref())? {
        changes.push(change(folder, (&product, database), request, &cuts, &findings)?);
    }
    let text = markdown::comment(&changes);
    match &request.output {
        Some(path) => fs::write(path, text)
            .with_context(|| format!("{} cannot be written", path.display()))?,
        None => print!("{text}"),
    }
    Ok(changes.iter().all(Change::is_good))
}

fn change<'a>(
    folder: &Path,
    (product, database): (&'a Product, &'a Database),
    request: &Certificate,
    cuts: &Report,
    findings: &'a [Finding],
) -> Result<Change<'a>> {
    let (from, to) = (last_start(database, None)?, product::newest(database));
    let judged = || cuts.upgrades.iter().filter(|one| one.database == database.name);
    let is_ours = |one: &Judged| one.fingerprint == power_cuts::fingerprint(database);
    let cuts = match cuts.by_database().get(database.name.as_str()) {
        Some((of, ..)) if *of != to => {
            bail!(
                "the power cuts are of {} at version {of}, and it is at {to}; run `power-cuts \
                 --json` again",
                database.name
            )
        }
        Some(_) if !judged().all(is_ours) || !judged().any(|one| one.from == from) => {
            bail!(
                "the power cuts of {} are of other files, or of another upgrade than from version \
                 {from}; run `power-cuts --json` again",
                database.name
            )
        }
        Some((_, safe, all, judged)) => (*safe, *all, *judged),
        None => (0, 0, false),
    };
    let prefix = format!("{}/{}/", product::label(product), database.name);
    Ok(Change {
        database,
        from,
        to,
        schema: schema::between(product, database, from, to)?,
        measured: measured::measure(folder, product, database, from, request)?,
        cuts,
        findings: findings.iter().filter(|finding| finding.file.starts_with(&prefix)).collect(),
    })
}
