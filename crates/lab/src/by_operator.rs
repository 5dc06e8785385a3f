//! Owns the commands of an operator on a simulated device: the product's own, and what a cut in
//! their middle may never touch.
//! Promises: every rule holds on the disk as the cut has left it, before any boot.
//! Never replaces the judgement of the boots that follow.

use std::collections::BTreeMap;

use bootmigrate::boot::BootRequest;
use bootmigrate::cli::set_aside::{LostVerb, QuarantineVerb};
use bootmigrate::cli::{Action, Command, SnapshotVerb, Verbosity};
use bootmigrate::commands::lost::lost;
use bootmigrate::commands::mark_good::mark_good;
use bootmigrate::commands::quarantine::quarantine;
use bootmigrate::commands::rehearse::rehearse;
use bootmigrate::commands::salvage::salvage;
use bootmigrate::commands::scrub::scrub;
use bootmigrate::commands::snapshot::snapshot;
use bootmigrate::commands::wipe::wipe;
use bootmigrate::commands::{CommandContext, Lines, Printed};
use bootmigrate::config::{self, Source, UnknownKey};
use bootmigrate::decide::facts::{Request, Snapshot};
use bootmigrate::device::files::SnapshotName;
use bootmigrate::device::{Device, LOOK};
use bootmigrate::error::{Class, Failure};
use bootmigrate::ops::backup::{import, importable};
use bootmigrate::ops::by_hand::begin;
use bootmigrate::ops::lock::lock;
use bootmigrate::ops::quarantine::{may_take_in, take_in};
use bootmigrate::ops::store::RecordStore;
use bootmigrate::report::DatabaseReport;

use crate::device::{boot_of, switch_on, with_device, Booted, SimClock};
use crate::dump::{bytes_hash, Album, Stands};
use crate::finding::{bad, Bad};
use crate::firmware::{Firmware, MAIN, STATE};
use crate::record;
use crate::scenario::{Old, Run, Scenario, FILE, OUT};
use crate::sim::{Sim, State};

/// Carries it out.
pub fn carry_out(run: Run, firmware: Firmware, sim: &Sim, asked: &BootRequest) -> Booted {
    let clock = SimClock(sim);
    match run {
        Run::Boot => switch_on(firmware, sim, asked),
        Run::SnapshotRestore(file) => {
            with_device(firmware, sim, &clock, |device| restore(device, sim, file))
        }
        Run::QuarantineRestore(number) => {
            with_device(firmware, sim, &clock, |device| put_back(device, sim, number))
        }
        Run::SnapshotCreate
        | Run::Rehearse
        | Run::MarkGood
        | Run::QuarantineDelete(_)
        | Run::QuarantineExport(_)
        | Run::LostRetry
        | Run::LostDrop(_)
        | Run::LostExport(_)
        | Run::Salvage
        | Run::Scrub
        | Run::Wipe => {
            with_device(firmware, sim, &clock, |device| command(run, firmware, sim, device))
        }
    }
}

/// As the command: the file is taken in, and then restored as a snapshot is.
fn restore(device: &Device<'_>, sim: &Sim, file: &str) -> Booted {
    let before = sim.effects();
    let taken = importable(device, file.as_ref()).and_then(|()| lock(device)).and_then(|locked| {
        import(device, &locked, &RecordStore::open(device, &locked)?, file.as_ref())
    });
    in_its_place(device, sim, before, taken, false)
}

/// The same of files in quarantine.
fn put_back(device: &Device<'_>, sim: &Sim, number: u64) -> Booted {
    let before = sim.effects();
    let taken = begin(device).and_then(|(locked, store)| {
        may_take_in(device)?;
        take_in(device, &locked, &store, number)
    });
    in_its_place(device, sim, before, taken, true)
}

fn in_its_place(
    device: &Device<'_>,
    sim: &Sim,
    before: u64,
    taken: Result<SnapshotName, Failure>,
    from_quarantine: bool,
) -> Booted {
    match taken {
        Ok(name) => {
            let snapshot = Snapshot {
                version: name.version,
                operation: name.operation,
                from_quarantine,
                ..Snapshot::default()
            };
            let request = Request::Restore(snapshot);
            let booted = boot_of(device, sim, &BootRequest::of(request));
            Booted { effects: sim.effects() - before, ..booted }
        }
        Err(failure) => {
            let report = DatabaseReport::failed(device, None, &failure);
            Booted { report, loss_said_at: None, effects: sim.effects() - before }
        }
    }
}

fn command(run: Run, firmware: Firmware, sim: &Sim, device: &Device<'_>) -> Booted {
    let before = sim.effects();
    let settings = config::read(
        Source { file: "bootmigrate.toml", text: firmware.text },
        &[],
        UnknownKey::Refuse,
    );
    let settings = settings.unwrap_or_else(|error| panic!("{error}"));
    let action = Action::MarkGood;
    let asked = Command {
        action,
        config: None,
        root: "".into(),
        verbosity: Verbosity::Normal,
        json: false,
        database: None,
    };
    let devices = std::slice::from_ref(device);
    let context = CommandContext {
        settings: &settings,
        environment: device.environment,
        devices,
        all: devices,
        command: &asked,
    };
    let printed = match run {
        Run::SnapshotCreate => snapshot(&context, SnapshotVerb::Create),
        Run::Rehearse => rehearse(&context),
        Run::Wipe => wipe(&context, true),
        Run::Scrub => scrub(&context),
        Run::Salvage => salvage(&context, FILE.as_ref()).unwrap_or_else(|error| failed(&error)),
        Run::LostExport(table) => lost(&context, &LostVerb::Export(table.to_owned(), FILE.into()))
            .unwrap_or_else(|error| failed(&error)),
        Run::MarkGood => mark_good(devices, devices, false),
        Run::QuarantineDelete(number) => quarantine(&context, &QuarantineVerb::Delete(number))
            .unwrap_or_else(|error| panic!("{error}")),
        Run::QuarantineExport(number) => {
            quarantine(&context, &QuarantineVerb::Export(number, OUT.into()))
                .unwrap_or_else(|error| failed(&error))
        }
        Run::LostRetry => {
            lost(&context, &LostVerb::Retry(None, true)).unwrap_or_else(|error| failed(&error))
        }
        Run::LostDrop(table) => {
            lost(&context, &LostVerb::Drop(table.to_owned())).unwrap_or_else(|error| failed(&error))
        }
        Run::Boot | Run::SnapshotRestore(_) | Run::QuarantineRestore(_) => {
            panic!("{run:?} reports for itself")
        }
    };
    let sentence = format!("{}{}", printed.text.as_str(), printed.sentences.as_str());
    // A command reports about itself; that an application may start only a boot says.
    let report = DatabaseReport::failed(
        device,
        None,
        &Failure::new(Class::Defect, LOOK, "a command has no report"),
    );
    let report = DatabaseReport { exit: printed.exit, usable: false, sentence, ..report };
    Booted { report, loss_said_at: None, effects: sim.effects() - before }
}

/// What holds where a command has ended, whatever it met: as at a cut, and [`beside`].
///
/// # Errors
/// The first rule that does not hold.
pub fn left(scenario: &Scenario, sim: &Sim, exit: u8, album: &mut Album) -> Result<(), Bad> {
    beside(scenario, sim)?;
    album.lost_page = sim.has_lost_page();
    kept(scenario, &sim.initial(), exit == 0, &sim.state().swept(), album)
}

/// What holds where a command has ended, whoever wrote into the database meanwhile: no lock of
/// SQLite's was dropped, and a rehearsal left the copies alone and told nothing of its own to other
/// runs.
///
/// # Errors
/// The first rule that does not hold.
pub fn beside(scenario: &Scenario, sim: &Sim) -> Result<(), Bad> {
    if let Some(hazard) = sim.hazards().first() {
        return bad("no lock dropped", hazard.clone());
    }
    if scenario.run != Run::Rehearse {
        return Ok(());
    }
    let now = sim.state();
    if let Some((path, _)) = now.walk().into_iter().find(|(path, _)| path.contains("/unconfirmed/"))
    {
        return bad("a rehearsal tells no other run of its copy", path);
    }
    let (now, then) = (copies(&now), copies(&sim.initial()));
    if now == then {
        Ok(())
    } else {
        bad("a rehearsal leaves the copies", format!("{then:?} became {now:?}"))
    }
}

/// What holds at every cut of a command but a restore: the live database is as it was, and a way
/// back is there. `ended`: it had come to its end, and said that all was well.
///
/// # Errors
/// The first rule that does not hold.
pub fn kept(
    scenario: &Scenario,
    before: &State,
    ended: bool,
    state: &State,
    album: &mut Album,
) -> Result<(), Bad> {
    if scenario.run.is_boot() {
        return Ok(());
    }
    if scenario.run == Run::Wipe {
        return given_up(scenario, before, ended, state, album);
    }
    match (album.look(state, MAIN), &scenario.old) {
        (Stands::Whole(dump), _)
            if scenario.run.changes_rows()
                && scenario.ends.first().is_some_and(|end| end.text == dump.text) => {}
        (_, _) if scenario.run.changes_rows() && ended => {
            return bad("what was reported stands", "the rows are as they were")
        }
        (Stands::Whole(dump), Old::Whole(old)) if dump.text == *old => {}
        // What was damaged, or is gone, is so still: its bytes are compared below.
        (_, Old::Broken(bytes)) if bytes_hash(state, MAIN) == *bytes => {}
        (_, Old::Absent) if state.read_file(MAIN).is_none() => {}
        (other, _) => return bad("a command leaves the database", format!("it is now {other:?}")),
    }
    let (now, then) = (copies(state), copies(before));
    if scenario.run == Run::Rehearse {
        return rehearsed(before, state);
    }
    let gone: Vec<&String> = then.iter().filter(|name| !now.contains(name)).collect();
    if scenario.run == Run::MarkGood
        && !gone.is_empty()
        && record::sequence(state) <= record::sequence(before)
    {
        return bad(
            "what is good is written first",
            format!("{gone:?} went, and the record does not say why"),
        );
    }
    let whole =
        now.iter().filter(|name| matches!(album.look(state, name), Stands::Whole(_))).count();
    if whole < scenario.snapshots_min {
        return bad("there is a way back", format!("{} snapshots, {whole} whole", now.len()));
    }
    let made = || {
        now.iter()
            .filter(|name| !then.contains(name))
            .any(|name| is_old(scenario, &album_look(state, name)))
    };
    match scenario.run {
        Run::QuarantineDelete(number) => deleted(before, state, number, ended)?,
        Run::QuarantineExport(number) => exported(before, state, number, ended)?,
        Run::Salvage => salvaged(scenario, state, ended, album)?,
        Run::LostExport(_) => lines_written(state, ended)?,
        _ => {}
    }
    if scenario.run == Run::SnapshotCreate && ended && !made() {
        return bad(
            "what was reported stands",
            format!("the copy that was made is not there: {now:?}"),
        );
    }
    Ok(())
}

/// A rehearsal leaves every file as it was.
fn rehearsed(before: &State, state: &State) -> Result<(), Bad> {
    let (now, then) = (copies(state), copies(before));
    let files = [
        MAIN.to_owned(),
        format!("{MAIN}-wal"),
        format!("{MAIN}-journal"),
        format!("{STATE}/record"),
    ];
    for path in files.into_iter().chain(then.iter().cloned()) {
        // Of zeros it says nothing: whoever takes the lock makes it.
        let blank = |bytes: Vec<u8>| bytes.iter().all(|byte| *byte == 0);
        let is_made = path.ends_with("/record")
            && before.read_file(&path).is_none()
            && state.read_file(&path).is_none_or(blank);
        if bytes_hash(state, &path) != bytes_hash(before, &path) && !is_made {
            return bad("a rehearsal leaves the originals", path);
        }
    }
    if now == then {
        Ok(())
    } else {
        bad("a rehearsal leaves the copies", format!("{then:?} became {now:?}"))
    }
}

/// Before the record says so everything is as it was; then the database is the old one, whole, or
/// gone; at the end nothing is left.
fn given_up(
    scenario: &Scenario,
    before: &State,
    ended: bool,
    state: &State,
    album: &mut Album,
) -> Result<(), Bad> {
    let begun = record::sequence(state) > record::sequence(before);
    match (album.look(state, MAIN), &scenario.old) {
        (Stands::Whole(dump), Old::Whole(old)) if dump.text == *old && !ended => {}
        (Stands::Absent, _) if begun => {}
        (Stands::Broken(hash, _), Old::Broken(old)) if hash == *old && !ended => {}
        (other, _) => {
            return bad(
                "a database is whole until it is gone",
                format!("begun {begun}, ended {ended}: {other:?}"),
            )
        }
    }
    let kept = |state: &State| {
        let mut files = below(state, "/data/product");
        files.retain(|path, _| {
            !path.ends_with("/record") && !path.ends_with("/lock") && !path.ends_with("-shm")
        });
        files
    };
    match (kept(state), kept(before)) {
        (now, then) if !begun && now != then => {
            bad("nothing goes before the record says so", format!("{:?}", now.keys()))
        }
        (now, _) if ended && !now.is_empty() => {
            bad("what was reported stands", format!("{:?} are left", now.keys()))
        }
        _ => Ok(()),
    }
}

/// A set of files is whole, or its main file is gone; at the end nothing of it is left, or, of a
/// loss, its reason.
fn deleted(before: &State, state: &State, number: u64, ended: bool) -> Result<(), Bad> {
    let folder = format!("{STATE}/quarantine/{number}");
    let (then, now) = (below(before, &folder), below(state, &folder));
    let reason_alone = now.len() == 1 && now.keys().all(|path| path.ends_with("reason.txt"));
    if ended && state.follow(&folder).is_ok() && !reason_alone {
        return bad(
            "what was reported stands",
            format!("{folder} was deleted, and is there: {:?}", now.keys()),
        );
    }
    let main = format!("{folder}/settings.db");
    if now.contains_key(&main) && now != then {
        return bad(
            "a set is whole or without its main file",
            format!("{:?} became {:?}", then.keys(), now.keys()),
        );
    }
    let reason = format!("{folder}/reason.txt");
    if !now.is_empty() && now.get(&reason) != then.get(&reason) {
        return bad("the reason goes last", format!("{:?} is left", now.keys()));
    }
    Ok(())
}

/// What lies in quarantine is as it was; where the reason stands in the folder outside, so does
/// everything else, byte for byte.
fn exported(before: &State, state: &State, number: u64, ended: bool) -> Result<(), Bad> {
    let folder = format!("{STATE}/quarantine/{number}");
    let then = below(before, &folder);
    if below(state, &folder) != then {
        return bad(
            "an export leaves the originals",
            format!("{:?}", below(state, &folder).keys()),
        );
    }
    let copied: BTreeMap<String, Vec<u8>> = below(state, OUT)
        .into_iter()
        .map(|(path, bytes)| (path.replacen(OUT, &folder, 1), bytes))
        .collect();
    if (ended || copied.contains_key(&format!("{folder}/reason.txt"))) && copied != then {
        return bad(
            "an export is whole where its reason stands",
            format!("{:?} of {:?}", copied.keys(), then.keys()),
        );
    }
    Ok(())
}

/// Under its name the new file is whole, or there is none.
fn salvaged(scenario: &Scenario, state: &State, ended: bool, album: &mut Album) -> Result<(), Bad> {
    match album.look(state, FILE) {
        Stands::Absent if !ended => Ok(()),
        Stands::Whole(dump) if scenario.snapshots.contains(&dump.text) => Ok(()),
        Stands::Whole(dump)
            if album.lost_page && scenario.snapshots.iter().any(|all| dump.is_part_of(all)) =>
        {
            Ok(())
        }
        other => bad("a salvaged file is whole", format!("{other:?}")),
    }
}

/// Under its name an exported file is whole, its last row too, or there is none.
fn lines_written(state: &State, ended: bool) -> Result<(), Bad> {
    match state.read_file(FILE) {
        None if !ended => Ok(()),
        Some(bytes) if bytes.ends_with(b"\"value\":10}\n") => Ok(()),
        other => bad(
            "an exported file is whole",
            format!("{:?}", other.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        ),
    }
}

/// Each file below a folder, with its bytes.
fn below(state: &State, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let prefix = format!("{folder}/");
    let paths =
        state.walk().into_iter().map(|(path, _)| path).filter(|path| path.starts_with(&prefix));
    paths.filter_map(|path| state.read_file(&path).map(|bytes| (path, bytes))).collect()
}

/// A sentence that the command line prints with exit 2.
fn failed(sentence: &str) -> Printed {
    Printed::outcome(Lines::default(), Lines::of(sentence), 2)
}

fn album_look(state: &State, path: &str) -> Stands {
    Album::default().look(state, path)
}

fn is_old(scenario: &Scenario, stands: &Stands) -> bool {
    matches!((stands, &scenario.old), (Stands::Whole(dump), Old::Whole(old)) if dump.text == *old)
}

/// The snapshots that have their name.
pub fn copies(state: &State) -> Vec<String> {
    let prefix = format!("{STATE}/snapshots/v");
    state
        .walk()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.starts_with(&prefix))
        .collect()
}
