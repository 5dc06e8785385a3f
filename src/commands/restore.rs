//! Owns `snapshot restore`: a copy of ours, or a file that an operator brings, in the database's
//! place.
//! Promises: the protocol's replace: checked, migrated forward beside, the old files in quarantine,
//! the loss reported (11).
//! Never copies a file over a database.

use std::path::Path;

use crate::boot::{boot, BootRequest};
use crate::commands::run::{said, CommandSession};
use crate::commands::{changes, not_begun, CommandContext, Printed};
use crate::decide::facts::{Request, Snapshot};
use crate::device::disk::FileKind;
use crate::device::files::SnapshotName;
use crate::device::{Device, LOOK};
use crate::error::{exit, Failure};
use crate::ops::backup::{import, importable};
use crate::ops::inspect::copies::good_copy;
use crate::ops::lock::lock;
use crate::ops::quarantine::{may_take_in, take_back};
use crate::ops::store::RecordStore;
use crate::report::DatabaseReport;

/// Restores the one database that was named.
///
/// # Errors
/// One sentence where the copy is neither a snapshot nor a file; nothing was touched.
pub fn restore(context: &CommandContext<'_>, which: &str) -> Result<Printed, String> {
    if let Err(printed) = changes(context) {
        return Ok(printed);
    }
    let Some(device) = context.devices.first() else { return Err("no database was named".into()) };
    let named = named(device, which)?;
    let taken = match &named {
        Some(name) => checked(device, name.clone()),
        None => take_in(device, which),
    };
    let name = match taken {
        Ok(name) => name,
        Err(failure) => return Ok(not_begun(device, failure)),
    };
    let snapshot =
        Snapshot { version: name.version, operation: name.operation, ..Snapshot::default() };
    Ok(match named {
        Some(_) => put_in_place(context, device, snapshot),
        None => put_new_in_place(context, device, snapshot),
    })
}

/// The same with a copy that was made for this alone: where it does not take the database's place
/// it goes again. As the newest snapshot it would be taken for the latest state.
pub fn put_new_in_place(
    context: &CommandContext<'_>,
    device: &Device<'_>,
    snapshot: Snapshot,
) -> Printed {
    let name = SnapshotName { version: snapshot.version, operation: snapshot.operation };
    let printed = put_in_place(context, device, snapshot);
    if ![exit::USABLE.code, exit::DATA_LOSS.code, exit::PENDING.code].contains(&printed.exit) {
        take_back(device, &name);
    }
    printed
}

/// The run of the one database whose copy an operator has named.
pub fn put_in_place(
    context: &CommandContext<'_>,
    device: &Device<'_>,
    snapshot: Snapshot,
) -> Printed {
    let session =
        CommandSession::begin(context.settings, context.environment, &[device], context.all);
    let (mut report, pending_report) = boot(device, &BootRequest::of(Request::Restore(snapshot)));
    if !report.usable {
        // What stands there was not looked at, and its ready file is gone.
        report.notes.push(format!(
            "the database that stands there is as it was; `bootmigrate run --db {}` makes it ready \
             again where it can be used",
            device.settings.name
        ));
    }
    let mut reports = [report];
    session.ready(&mut reports);
    said(
        &session.end(&reports),
        context.command,
        pending_report.into_iter().filter(|_| !reports.iter().any(DatabaseReport::waits)).collect(),
    )
}

/// A snapshot of this name; `None` where it is a file.
fn named(device: &Device<'_>, which: &str) -> Result<Option<SnapshotName>, String> {
    let disk = device.disk();
    let all = device
        .state
        .list_snapshots(disk)
        .map_err(|error| format!("the snapshots cannot be listed: {error}"))?;
    let label = |name: &SnapshotName| format!("v{}-{}", name.version, name.operation);
    if let Some(found) = all.iter().find(|name| label(name) == which.trim_end_matches(".db")) {
        return Ok(Some(found.clone()));
    }
    // A link to the database itself is the database itself.
    let path = disk.resolve(Path::new(which)).unwrap_or_else(|_| Path::new(which).to_path_buf());
    let file = disk.stat(&path).ok().flatten();
    let main = disk.stat(&device.files.main).ok().flatten();
    match (file, main) {
        (None, _) => {
            let list = if all.is_empty() {
                "no snapshot".to_owned()
            } else {
                all.iter().map(label).collect::<Vec<_>>().join(", ")
            };
            Err(format!(
                "{which} is neither a file nor a snapshot of {}; there is {list}",
                device.settings.name
            ))
        }
        (Some(file), Some(main)) if (file.device, file.inode) == (main.device, main.inode) => {
            Err(format!("{which} is the database itself"))
        }
        (Some(file), _) if file.kind != FileKind::File => {
            Err(format!("{which} is not a plain file"))
        }
        (Some(_), _) => Ok(None),
    }
}

/// A wrong file is refused before the first write.
fn take_in(device: &Device<'_>, which: &str) -> Result<SnapshotName, Failure> {
    let file = device
        .disk()
        .resolve(Path::new(which))
        .map_err(|error| Failure::io(LOOK, Path::new(which), &error))?;
    importable(device, &file)?;
    may_take_in(device)?;
    lock(device)
        .and_then(|locked| import(device, &locked, &RecordStore::open(device, &locked)?, &file))
}

fn checked(device: &Device<'_>, name: SnapshotName) -> Result<SnapshotName, Failure> {
    let path = device.state.snapshot(&name);
    good_copy(device, &path, Some(name.version))
        .map_err(|look| look.failure(LOOK, &path, "this copy is not good"))?;
    Ok(name)
}
