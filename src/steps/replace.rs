//! Owns replacing: another database takes the old one's place, and the old family goes to quarantine.
//! Promises: the old family is untouched until the new one is verified, synced and named ready; from then on every boot rolls forward.
//! Never needs the record to roll forward: the ready file's name is the intent.

use std::io;

use crate::catalog::Migration;
use crate::decide::record::{ActKind, OpenAct};
use crate::device::disk::{make_folder_durably, rename_durably, unlink_durably, write_new_durably, Rename, Step};
use crate::device::family::{MainFile, SnapshotName};
use crate::device::Device;
use crate::error::Failure;
use crate::steps::ledger::{Ledger, Order};
use crate::steps::lock::Locked;
use crate::steps::probe::probe;
use crate::steps::stage::{stage, Base};
use crate::steps::swap::{link_or_copy, swap, New, SecondName};

const READY: Step = Step("name it ready");
const QUARANTINE: Step = Step("set the old family aside");
const DONE: Step = Step("finish the replacement");

/// What takes the old one's place.
pub enum By<'a> {
    /// A database made from zero.
    Fresh,
    /// This snapshot, migrated forward.
    Snapshot(&'a SnapshotName),
    /// A copy of the live file with new indexes.
    Reindexed(&'a MainFile),
}

/// The new database is main and the old family is in quarantine. Made only here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The act; its folder in quarantine.
    pub act: u64,
    /// Versions applied while it was built.
    pub applied: Vec<i32>,
    /// What was given up, in words; `None` for nothing.
    pub loss: Option<String>,
    /// Why, in words.
    pub reason: String,
}

/// Builds and puts in place.
///
/// # Errors
/// Before the ready file: the old family is untouched. After it: the next boot rolls forward.
pub fn replace(
    device: &Device<'_>,
    locked: &Locked,
    ledger: &mut Ledger,
    main: Option<&MainFile>,
    by: &By<'_>,
    steps: &[&Migration],
    order: &Order<'_>,
) -> Result<Replaced, Failure> {
    probe(device, main)?;
    let (kind, base) = match by {
        By::Fresh => (ActKind::ReplaceFresh, Base::Nothing),
        By::Snapshot(name) => (ActKind::ReplaceSnapshot, Base::Snapshot(name)),
        By::Reindexed(main) => (ActKind::Reindex, Base::LiveReindexed(main)),
    };
    let act = ledger.begin(device, kind, order)?;
    let staged =
        stage(device, locked, act, &base, steps, ledger.open_token()).inspect_err(|failure| ledger.close_failed(device, act, failure))?;
    let ready = device.state.ready(act.number);
    rename_durably(device.disk(), READY, &staged.path, &ready, Rename::Replace).map_err(|error| {
        let failure = Failure::io(READY, &ready, &error);
        // The name may be durable all the same: then the next boot rolls forward, and says so.
        failure
    })?;
    put_in_place(device, locked, main, act.number, order.reason, order.loss, staged.applied)
}

/// Rolls forward every ready file of an earlier boot, whichever firmware made it.
///
/// # Errors
/// As the swap; the ready file stays.
pub fn roll_forward(device: &Device<'_>, locked: &Locked, ledger: &Ledger) -> Result<Vec<Replaced>, Failure> {
    let acts = device.state.ready_acts(device.disk()).map_err(|error| Failure::io(READY, &device.state.root, &error))?;
    let mut done = Vec::new();
    for act in acts {
        let open: Option<&OpenAct> = ledger.record().open.as_ref().filter(|open| open.number == act);
        let loss = ledger.record().loss.as_ref().filter(|loss| loss.act == act);
        let (reason, loss) = match open {
            Some(open) => (open.reason.as_str(), loss.map(|loss| loss.text.as_str())),
            None => ("an earlier run's replacement, whose reason is no longer known", Some("what the quarantined family holds")),
        };
        log::warn!("{}: a power cut stopped a replacement; rolling act {act} forward.", device.settings.name);
        let main = open_main(device)?;
        probe(device, main.as_ref())?;
        done.push(put_in_place(device, locked, main.as_ref(), act, reason, loss, Vec::new())?);
    }
    Ok(done)
}

fn open_main(device: &Device<'_>) -> Result<Option<MainFile>, Failure> {
    let failed = |error: io::Error| Failure::io(READY, &device.family.main, &error);
    match device.disk().stat(&device.family.main).map_err(failed)? {
        Some(_) => MainFile::open(device.disk(), &device.family.main).map(Some).map_err(failed),
        None => Ok(None),
    }
}

fn put_in_place(
    device: &Device<'_>,
    locked: &Locked,
    main: Option<&MainFile>,
    act: u64,
    reason: &str,
    loss: Option<&str>,
    applied: Vec<i32>,
) -> Result<Replaced, Failure> {
    let ready = device.state.ready(act);
    let replaced = Replaced { act, applied, loss: loss.map(str::to_owned), reason: reason.to_owned() };
    let failed = |step| {
        let ready = ready.clone();
        move |error: io::Error| Failure::io(step, &ready, &error)
    };
    let waiting = device.disk().stat(&ready).map_err(failed(READY))?;
    let is_main = |main: &MainFile| waiting.is_some_and(|waiting| (waiting.device, waiting.inode) == (main.stat.device, main.stat.inode));
    if main.is_some_and(is_main) {
        // The rename was done through a link: only the second name is left.
        device.disk().unlink(DONE, &ready).map_err(failed(DONE))?;
        device.disk().sync_folder(DONE, &device.state.root).map_err(failed(DONE))?;
        return Ok(replaced);
    }
    set_aside(device, locked, main, act, reason, loss).map_err(failed(QUARANTINE))?;
    let second = match main {
        Some(_) => SecondName::Has(device.state.quarantined(act).join(device.family.file_name())),
        None => SecondName::None,
    };
    swap(device, locked, main, &New { path: &ready, made_from: None }, &second)?;
    Ok(replaced)
}

/// quarantine/N/ with reason.txt, then the family's names. What is there already is left alone.
fn set_aside(device: &Device<'_>, locked: &Locked, main: Option<&MainFile>, act: u64, reason: &str, loss: Option<&str>) -> io::Result<()> {
    let disk = device.disk();
    let folder = device.state.quarantined(act);
    let owner = locked.ownership.ids();
    make_folder_durably(disk, QUARANTINE, &device.state.quarantine(), 0o700, owner)?;
    make_folder_durably(disk, QUARANTINE, &folder, 0o700, owner)?;
    let file_name = device.family.file_name();
    let family = [
        (device.family.main.clone(), file_name.clone(), main),
        (device.family.wal(), format!("{file_name}-wal"), None),
        (device.family.journal(), format!("{file_name}-journal"), None),
    ];
    let note = folder.join("reason.txt");
    if disk.stat(&note)?.is_none() {
        let text = format!("act: {act}\nreason: {reason}\ndata given up: {}\n", loss.unwrap_or("nothing"));
        // Its name says that the family is set aside: it must not stand there before its text does.
        let unfinished = folder.join("reason.tmp");
        unlink_durably(disk, QUARANTINE, &folder, &[&unfinished])?;
        write_new_durably(disk, QUARANTINE, &unfinished, text.as_bytes(), owner)?;
        rename_durably(disk, QUARANTINE, &unfinished, &note, Rename::Replace)?;
    }
    for (path, name, main) in family {
        let to = folder.join(name);
        if disk.stat(&path)?.is_some() && disk.stat(&to)?.is_none() {
            link_or_copy(device, &path, main, &to)?;
        }
    }
    disk.sync_folder(QUARANTINE, &folder)?;
    disk.sync_folder(QUARANTINE, &device.state.quarantine())
}
