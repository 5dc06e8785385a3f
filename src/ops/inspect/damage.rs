//! Owns the proof of damage: a full check over a fresh connection, what indexes alone know, and
//! which copies have it.
//! Promises: what only one reading calls corrupt is no damage; a table counts as whole only where
//! nothing says otherwise.
//! Never writes to the database, and never decides what to do.

use crate::decide::facts::{DatabaseState, Snapshot};
use crate::device::disk::{read_through, Op};
use crate::device::files::SnapshotName;
use crate::device::sqlite::findings::{FindingKind, Findings};
use crate::device::sqlite::rows::Table;
use crate::device::{sqlite, Device};
use crate::error::{Class, Failure};
use crate::ops::index_rows::words;
use crate::ops::wal::misfit;

use super::strange_pages::has_strange_pages;
use super::{copies, Inspection};

const OP: Op = Op("prove the damage");

/// Damage that was seen twice.
pub(super) struct DamageProof {
    /// As a fact.
    pub database: DatabaseState,
    /// No row of the history, and of our own tables, is known to an index alone.
    pub history_is_whole: bool,
}

/// Everything is checked over a fresh connection that has the file for itself. `None`: nothing is
/// wrong.
pub(super) fn prove(
    device: &Device<'_>,
    seen: &mut Inspection,
    header: &[u8],
) -> Result<Option<DamageProof>, Failure> {
    let checks =
        if seen.facts.writable { check_locked(device, seen) } else { check_unlocked(device, seen) };
    let misfit = seen.main.as_ref().map_or(Ok(None), |main| misfit(device, main))?;
    let (what, tables_whole, history_is_whole) = match (checks, misfit) {
        (Ok(None), None) => return Ok(None),
        // The pages happen to fit; rows of two times stand side by side.
        (Ok(None), Some(why)) => (of_two_times(&why), false, true),
        (Ok(Some(_)), Some(why)) => (of_two_times(&why), false, false),
        (Ok(Some(checks)), None) => (checks.what, checks.tables_whole, checks.history_is_whole),
        // The check could not begin, and what the history says is all that is known.
        (Err(failure), None) if failure.class == Class::Damaged => (failure.cause, false, true),
        (Err(failure), Some(why)) if failure.class == Class::Damaged => {
            (of_two_times(&why), false, false)
        }
        (Err(failure), _) => return Err(failure),
    };
    // The connection is closed: to close a file of one's own drops the locks that SQLite has on it.
    read_through(device.disk(), OP, &device.files.main, &device.environment.stop)
        .map_err(|error| Failure::io(OP, &device.files.main, &error))?;
    let database = newer_schema(header, &what).unwrap_or(DatabaseState::Damaged {
        what,
        tables_whole,
        version: None,
    });
    Ok(Some(DamageProof { database, history_is_whole }))
}

fn of_two_times(why: &str) -> String {
    format!(
        "its WAL is of another version of the file: {why}; `bootmigrate snapshot restore FILE` \
         puts a copy in its place"
    )
}

/// What a full check found.
struct Checks {
    what: String,
    tables_whole: bool,
    history_is_whole: bool,
}

/// With every lock, and without a checkpoint: a WAL is not written into a file that may be damaged.
fn check_locked(device: &Device<'_>, seen: &mut Inspection) -> Result<Option<Checks>, Failure> {
    let database = device.sqlite().look_without_writing(OP, &device.files.main)?;
    let checks = database.begin_exclusive(OP).and_then(|()| check(device, &database, seen));
    database.rollback();
    database.close(OP)?;
    checks
}

fn check_unlocked(device: &Device<'_>, seen: &mut Inspection) -> Result<Option<Checks>, Failure> {
    let database = device.sqlite().look_immutable(OP, &device.files.main)?;
    let checks = check(device, &database, seen);
    database.close(OP)?;
    checks
}

fn check(
    device: &Device<'_>,
    database: &sqlite::Database,
    seen: &mut Inspection,
) -> Result<Option<Checks>, Failure> {
    if let Some(main) = &seen.main {
        database.bound_values(OP, main.stat.size)?;
    }
    let findings = database.integrity_check(OP)?;
    let Some(wrong) = findings.first_damage() else { return Ok(None) };
    let wrong = wrong.lines().next().unwrap_or(wrong);
    let readable = match database.read_all_tables(OP) {
        Ok(()) => true,
        Err(failure) if failure.class == Class::Damaged => false,
        Err(failure) => return Err(failure),
    };
    let only_there = only_in_indexes(device, database, &findings, seen)?;
    let whole = readable && findings.tables_are_whole() && only_there.history_is_whole;
    let strange = whole
        && seen
            .main
            .as_ref()
            .map_or(Ok(false), |main| has_strange_pages(device, database, main))?;
    let tables_whole = whole && !strange;
    let known = only_there.words.join(", ");
    let what = match (tables_whole, known.is_empty()) {
        (true, true) if findings.has(FindingKind::Index) => format!("an index is corrupt: {wrong}"),
        (true, true) if findings.has(FindingKind::Space) => {
            format!("its lists of free pages are corrupt: {wrong}")
        }
        (_, true) if strange => {
            format!("a page that is not its own stands in a table, or is missing there: {wrong}")
        }
        (_, true) => wrong.to_owned(),
        (_, false) => format!("{known} ({wrong})"),
    };
    Ok(Some(Checks { what, tables_whole, history_is_whole: only_there.history_is_whole }))
}

/// Rows that only indexes know.
struct OnlyThere {
    words: Vec<String>,
    history_is_whole: bool,
}

/// Compares every index with its table, and the rows that only indexes know with the snapshots,
/// which are looked at for it.
fn only_in_indexes(
    device: &Device<'_>,
    database: &sqlite::Database,
    findings: &Findings,
    seen: &mut Inspection,
) -> Result<OnlyThere, Failure> {
    let mut only_there = OnlyThere { words: Vec::new(), history_is_whole: true };
    // A schema that cannot be read has said so already.
    let tables = match database.all_tables(OP) {
        Err(failure) if failure.class == Class::Damaged => return Ok(only_there),
        tables => tables?,
    };
    let mut copies: Option<Vec<(Snapshot, sqlite::Database)>> = None;
    for table in &tables {
        let found = match database.index_rows(OP, table, findings, &device.environment.stop) {
            Err(failure) if failure.class == Class::Damaged => continue,
            found => found?,
        };
        if found.total() > 0 && is_ours(device, &table.name) {
            only_there.history_is_whole = false;
        }
        only_there.words.extend(words(&found, None));
        if found.total() > 0 {
            let copies = match &mut copies {
                Some(copies) => copies,
                none => none.insert(open_copies(device)?),
            };
            for (snapshot, copy) in copies.iter_mut() {
                snapshot.holds = snapshot.holds.saturating_add(found.held_by(copy)?);
            }
        }
    }
    seen.facts.snapshots = what_copies_lack(database, &tables, copies.unwrap_or_default())?;
    Ok(only_there)
}

fn is_ours(device: &Device<'_>, name: &str) -> bool {
    name.eq_ignore_ascii_case(&device.settings.history_table)
        || name.to_ascii_lowercase().starts_with("bootmigrate_")
}

fn open_copies(device: &Device<'_>) -> Result<Vec<(Snapshot, sqlite::Database)>, Failure> {
    let open = |snapshot: Snapshot| {
        let name = SnapshotName { version: snapshot.version, operation: snapshot.operation };
        let copy = device.sqlite().look_immutable(OP, &device.state.snapshot(&name))?;
        Ok((snapshot, copy))
    };
    copies::good_snapshots(device)?.into_iter().map(open).collect()
}

/// Rows that were written since each copy was made, as far as the comparison needs them.
fn what_copies_lack(
    database: &sqlite::Database,
    tables: &[Table],
    copies: Vec<(Snapshot, sqlite::Database)>,
) -> Result<Vec<Snapshot>, Failure> {
    let mut compared = Vec::new();
    for (mut snapshot, copy) in copies {
        for table in tables {
            let max = snapshot.holds.saturating_sub(snapshot.lacks);
            snapshot.lacks =
                snapshot.lacks.saturating_add(database.rows_not_in(OP, table, None, &copy, max)?);
        }
        copy.close(OP)?;
        compared.push(snapshot);
    }
    Ok(compared)
}

/// A schema that this SQLite cannot parse, written by a newer one, looks like corruption and is
/// not.
fn newer_schema(header: &[u8], what: &str) -> Option<DatabaseState> {
    let written =
        header.get(96..100).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    let ours = sqlite::version_number();
    if written <= ours || !what.contains("malformed database schema") {
        return None;
    }
    Some(DatabaseState::NewerSqlite {
        what: format!("its schema was written by SQLite {written} and this is {ours}: {what}"),
    })
}
