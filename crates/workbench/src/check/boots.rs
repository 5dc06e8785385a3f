//! Owns the boots of `check`: from nothing and from a version with rows, in one boot and in as many
//! as there are versions.
//! Promises: both begin with the same files; rows that go are laid to the version whose boot lost
//! them.
//! Never leaves its folders behind.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bootmigrate::catalog::Embedded;
use bootmigrate::testing::Device;
use bootmigrate::{DatabaseReport, Migrator, Outcome, RunReport};
use rusqlite::Connection;

use super::{Subject, Trouble, BOOT, BOOTS_DIFFER, FAULTY, NOT_QUIET, ROWS_LOST};
use crate::model::Model;
use crate::schema::differences;
use crate::{compare, fixtures, product, rows};

/// A device in a folder.
struct Place {
    device: Device,
    root: PathBuf,
}

impl Place {
    fn new(subject: &Subject<'_>, firmware: Embedded, root: &Path) -> Result<Place> {
        let settings = product::settings(subject.product, subject.database)
            .context("no entry in the configuration")?;
        let inside = settings.path.strip_prefix("/").unwrap_or(&settings.path);
        let parent = root.join(inside).parent().map(Path::to_path_buf).unwrap_or_default();
        fs::create_dir_all(&parent)
            .with_context(|| format!("{} cannot be made", parent.display()))?;
        let migrator = Migrator::new(firmware).database(&subject.database.name);
        Ok(Place { device: Device::new(migrator, root), root: root.to_path_buf() })
    }

    /// Boots this version's firmware; `false`, with the sentence, where the database is not at it
    /// then.
    fn boot(
        &mut self,
        subject: &Subject<'_>,
        version: i64,
        troubles: &mut Vec<Trouble>,
    ) -> Result<bool> {
        let report = of(&self.device.boot_at(&subject.database.name, version)?, subject)?;
        let well = report.usable && report.version == Some(version) && !report.data_loss;
        if !well {
            // Where it stopped, else where it was going.
            let file = report
                .place
                .as_ref()
                .map_or_else(|| subject.file_of(version), |place| subject.file_of(place.version));
            let sentence = report.sentence.replace(&format!("{}/", self.root.display()), "/");
            troubles.push(Trouble::new(BOOT, file, sentence));
        }
        Ok(well)
    }

    fn open(&self, subject: &Subject<'_>) -> Result<(Connection, Model)> {
        let connection = self.device.open(&subject.database.name)?;
        let model = Model::read(&connection, subject.history)?;
        Ok((connection, model))
    }

    /// A second run finds nothing to do, and the file has no fault.
    fn quiet(&mut self, subject: &Subject<'_>, troubles: &mut Vec<Trouble>) -> Result<()> {
        let newest = product::newest(subject.database);
        let report = of(&self.device.boot_at(&subject.database.name, newest)?, subject)?;
        if report.outcome != Outcome::Quiet {
            troubles.push(Trouble::new(NOT_QUIET, subject.file_of(newest), report.sentence));
        }
        let (connection, _) = self.open(subject)?;
        troubles.extend(
            compare::faults(&connection)?
                .into_iter()
                .map(|fault| Trouble::new(FAULTY, subject.file_of(newest), fault)),
        );
        Ok(())
    }
}

fn of(report: &RunReport, subject: &Subject<'_>) -> Result<DatabaseReport> {
    let found = report.databases.iter().find(|database| database.name == subject.database.name);
    found.cloned().with_context(|| format!("the report has no database {}", subject.database.name))
}

/// A first boot, and a second one.
///
/// # Errors
/// The folder cannot be made, or the library cannot run at all.
pub fn from_zero(
    subject: &Subject<'_>,
    firmware: Embedded,
    troubles: &mut Vec<Trouble>,
) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let mut place = Place::new(subject, firmware, folder.path())?;
    if place.boot(subject, product::newest(subject.database), troubles)? {
        place.quiet(subject, troubles)?;
    }
    Ok(Vec::new())
}

/// From a version with rows, in one boot and in many. Returns notes: tables that no row was found
/// for.
///
/// # Errors
/// As [`from_zero`]; a fixture that does not run.
pub fn from_version(
    subject: &Subject<'_>,
    firmware: Embedded,
    version: i64,
    troubles: &mut Vec<Trouble>,
) -> Result<Vec<String>> {
    let (one, many) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut once = Place::new(subject, firmware, one.path())?;
    if !once.boot(subject, version, troubles)? {
        return Ok(Vec::new());
    }
    let (connection, model) = once.open(subject)?;
    fixtures::run(
        subject.request.fixtures.as_deref(),
        &subject.database.name,
        version,
        &connection,
    )?;
    let filled = rows::fill(&connection, &model, subject.request.rows)?;
    let notes = filled.empty.into_iter().map(|(table, why)| {
        format!("no row fits {table} at version {version} ({why}); write --fixtures")
    });
    let notes: Vec<String> = notes.collect();
    let mut before = compare::rows(&connection, &model, subject.began)?;
    drop(connection);
    copy(one.path(), many.path())?;
    let newest = product::newest(subject.database);
    if !once.boot(subject, newest, troubles)? {
        return Ok(notes);
    }
    let mut each = Place::new(subject, firmware, many.path())?;
    for migration in
        subject.database.migrations.iter().filter(|migration| migration.version > version)
    {
        if !each.boot(subject, migration.version, troubles)? {
            return Ok(notes);
        }
        let (connection, model) = each.open(subject)?;
        let after = compare::rows(&connection, &model, subject.began)?;
        let lost = compare::lost(&before, &after).into_iter();
        troubles.extend(
            lost.map(|sentence| Trouble::new(ROWS_LOST, subject.shown(migration), sentence)),
        );
        before = after;
    }
    equal(subject, (&once, &each), version, troubles)?;
    once.quiet(subject, troubles)?;
    Ok(notes)
}

/// One boot and many have left the same.
fn equal(
    subject: &Subject<'_>,
    (once, each): (&Place, &Place),
    version: i64,
    troubles: &mut Vec<Trouble>,
) -> Result<()> {
    let ((one, one_model), (many, many_model)) = (once.open(subject)?, each.open(subject)?);
    let names = ["after one boot", "after many"];
    let schema =
        differences(&many, &one, subject.history)?.into_iter().filter(|line| line != "the same");
    let rows = compare::differences(
        &compare::rows(&one, &one_model, subject.began)?,
        &compare::rows(&many, &many_model, subject.began)?,
        names,
    );
    let newest = product::newest(subject.database);
    let sentence = |what: String| {
        Trouble::new(
            BOOTS_DIFFER,
            subject.file_of(newest),
            format!("from version {version}: {what}"),
        )
    };
    troubles.extend(schema.chain(rows).map(sentence));
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&to)?;
            fs::set_permissions(&to, entry.metadata()?.permissions())?;
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
