//! Owns comparing a database's history with the catalogue.
//! Promises: refinery's rules of order and text decide what is pending; every contradiction names
//! its rows.
//! Never opens the database.

use crate::catalog;
use crate::config::OnChecksumMismatch;
use crate::decide::facts::{Adoption, DatabaseState, WayBack};
use crate::decide::pending::PendingMigration;
use crate::device::history::{contradictions, missing, Contradiction, History};
use crate::device::Device;
use crate::error::Failure;
use crate::ops::inspect::cut_off::{self, CutOff};

/// What the history says of the database. `live` opens it, and is asked only where plain refinery
/// may have been cut off.
///
/// # Errors
/// The database cannot be read, or there is no memory to compare it: what is half done must not be
/// run again.
pub fn compare(
    device: &Device<'_>,
    history: &History,
    live: &cut_off::Live<'_>,
) -> Result<DatabaseState, Failure> {
    if let Some(database) = without_pending(device, history) {
        return Ok(database);
    }
    if let Some(what) = history.unfit.clone() {
        return Ok(DatabaseState::Unfit { version: Some(history.version()), what });
    }
    let migration = |migration: &'static catalog::Migration| PendingMigration {
        version: migration.version,
        name: migration.name.into(),
        no_transaction: migration.directives.no_transaction,
    };
    let first_take_over = history.operation.is_none() && history.tables > 0;
    let cut_off =
        if first_take_over { cut_off::cut_off(device, history, live)? } else { CutOff::No };
    let half_done = match cut_off {
        CutOff::No => None,
        CutOff::Done(version) => Some(version),
        CutOff::Partly(what) => return Ok(DatabaseState::Mismatch { what }),
    };
    let pending = missing(device.catalog, &history.applied).map(migration).collect();
    Ok(DatabaseState::Behind { version: history.version(), pending, half_done })
}

/// Whatever is not behind this firmware; `None` for a history that the catalogue continues.
fn without_pending(device: &Device<'_>, history: &History) -> Option<DatabaseState> {
    let target = device.catalog.target();
    if !history.recorded && history.tables > 0 {
        let adoption = Adoption::NotAsked;
        return Some(DatabaseState::NoHistory {
            tables: history.tables,
            application_id: history.application_id,
            adoption,
        });
    }
    if let Some(what) = &history.malformed {
        return Some(DatabaseState::Mismatch {
            what: format!("the history cannot be read: {what}"),
        });
    }
    if let Some(mismatch) = contradiction(device, history) {
        return Some(mismatch);
    }
    if history.version() > target {
        let (compatible_from, way_back) =
            (compatible_from(history, target), way_back(history, target));
        return Some(DatabaseState::Newer {
            version: history.version(),
            compatible_from,
            way_back,
        });
    }
    (history.version() == target).then_some(DatabaseState::Current { version: target })
}

/// The first that refuses this database, for a release engineer; that texts differ comes last, and
/// all of them are named.
fn contradiction(device: &Device<'_>, history: &History) -> Option<DatabaseState> {
    let target = device.catalog.target();
    let mut changed = Vec::new();
    for one in contradictions(device.catalog, &history.applied) {
        let what = match one {
            // Newer firmware's, which has rules of its own.
            Contradiction::Unknown(row) if row.version > target => continue,
            Contradiction::Unknown(_) => format!("{one}, which knows {target}"),
            Contradiction::Changed(ours) => {
                changed.push(ours.file);
                continue;
            }
            Contradiction::Renamed(..) | Contradiction::PassedOver(..) => one.to_string(),
        };
        return Some(DatabaseState::Mismatch { what });
    }
    if changed.is_empty() {
        return None;
    }
    let what = format!("the text of {} differs from what was applied", changed.join(", "));
    if device.settings.on_checksum_mismatch == OnChecksumMismatch::Warn {
        log::warn!("{}: {what}; on_checksum_mismatch = \"warn\" goes on.", device.settings.name);
        return None;
    }
    Some(DatabaseState::Mismatch { what })
}

/// The oldest schema whose firmware can use this database: said by every newer migration, or
/// nothing.
fn compatible_from(history: &History, target: i64) -> Option<i64> {
    let mut oldest = 0;
    for row in history.applied.iter().filter(|row| row.version > target) {
        oldest = oldest.max(history.said(row.version).and_then(|said| said.compatible_from)?);
    }
    Some(oldest)
}

/// The stored down SQL of every newer migration, newest first.
fn way_back(history: &History, target: i64) -> WayBack {
    let mut migrations = Vec::new();
    for row in history.applied.iter().rev().filter(|row| row.version > target) {
        match history.said(row.version) {
            Some(said) if said.irreversible => {
                return WayBack::Missing(format!("V{} {} is irreversible", row.version, row.name))
            }
            Some(said) if said.has_down => {}
            Some(_) | None => {
                return WayBack::Missing(format!(
                    "no down SQL is stored for V{} {}",
                    row.version, row.name
                ))
            }
        }
        migrations.push(PendingMigration {
            version: row.version,
            name: row.name.clone(),
            no_transaction: false,
        });
    }
    WayBack::Stored(migrations)
}
