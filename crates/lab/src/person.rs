//! Owns the commands of an operator on a simulated device: the product's own, and what a cut in their middle may never touch.
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
use bootmigrate::commands::snapshot::snapshot;
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

use crate::device::{boot_of, switch_on, with_device, Booted, Firmware, SimClock, MAIN, STATE};
use crate::dump::{bytes_hash, Album, Stands};
use crate::judge::Bad;
use crate::record;
use crate::scenarios::{Old, Scenario};
use crate::sim::{Sim, State};

/// What the run that is cut does. Boots follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// A boot, as it is asked.
    Boot,
    /// `snapshot create`.
    SnapshotCreate,
    /// `snapshot restore FILE`.
    SnapshotRestore(&'static str),
    /// `rehearse`.
    Rehearse,
    /// `mark-good`.
    MarkGood,
    /// `quarantine delete` of this operation's files.
    QuarantineDelete(u64),
    /// `quarantine export` of them, into [`OUT`].
    QuarantineExport(u64),
    /// `quarantine restore` of them.
    QuarantineRestore(u64),
    /// `lost retry`.
    LostRetry,
    /// `lost drop` of this table.
    LostDrop(&'static str),
}

/// Where a person exports to.
pub const OUT: &str = "/data/out";

impl Run {
    /// It changes rows, in one transaction: the database is as it was, or as the scenario's first end says.
    pub fn changes_rows(self) -> bool {
        matches!(self, Run::LostRetry | Run::LostDrop(_))
    }

    /// It reports for itself, as a boot does, and is judged as one.
    pub fn is_boot(self) -> bool {
        matches!(self, Run::Boot | Run::SnapshotRestore(_) | Run::QuarantineRestore(_))
    }
}

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
        | Run::LostDrop(_) => {
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
            let booted = boot_of(device, sim, &BootRequest { request, token: String::new() });
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

fn bad<T>(rule: &'static str, what: impl Into<String>) -> Result<T, Bad> {
    Err(Bad { rule, what: what.into() })
}

/// What holds where a command has ended, whatever it met: as at a cut, and [`beside`].
///
/// # Errors
/// The first rule that does not hold.
pub fn left(scenario: &Scenario, sim: &Sim, exit: u8, album: &mut Album) -> Result<(), Bad> {
    beside(scenario, sim)?;
    kept(scenario, &sim.initial(), exit == 0, &sim.state().swept(), album)
}

/// What holds where a command has ended, whoever wrote into the database meanwhile: no lock of SQLite's was dropped, and a rehearsal
/// left the copies alone and told nothing of its own to other runs.
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

/// What holds at every cut of a command but a restore: the live database is as it was, and a way back is there. `ended`: it had come to
/// its end, and said that all was well.
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
        let files = [
            MAIN.to_owned(),
            format!("{MAIN}-wal"),
            format!("{MAIN}-journal"),
            format!("{STATE}/record"),
        ];
        for path in files.into_iter().chain(then.iter().cloned()) {
            if bytes_hash(state, &path) != bytes_hash(before, &path) {
                return bad("a rehearsal leaves the originals", path);
            }
        }
        return if now == then {
            Ok(())
        } else {
            bad("a rehearsal leaves the copies", format!("{then:?} became {now:?}"))
        };
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

/// A set of files is whole, or its main file is gone; at the end nothing of it is left, or, of a loss, its reason.
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

/// What lies in quarantine is as it was; where the reason stands in the folder outside, so does everything else, byte for byte.
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
