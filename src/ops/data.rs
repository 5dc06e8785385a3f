//! Owns data migrations: rows changed beside running applications, a round a transaction, with its
//! progress in the same one.
//! Promises: a cut, a kill or a failure at any instant leaves whole rounds; the next run goes on
//! after the last of them.
//! Never run at a boot, never changes the schema, and never holds the database longer than one
//! round.

use std::time::Duration;

use crate::catalog::Migration;
use crate::config::OnChecksumMismatch;
use crate::decide::rounds::{after_round, NextRound, Round};
use crate::device::disk::Op;
use crate::device::history;
use crate::device::history::data::{self, DataProgress, DataStamp, Progress};
use crate::device::sqlite::changes::Changes;
use crate::device::sqlite::code::place_of_directive;
use crate::device::sqlite::script::{self, Mode};
use crate::device::sqlite::session::{FileOptions, Session};
use crate::device::sqlite::{is_constraint, Database};
use crate::device::{progress, Device};
use crate::error::{Class, Failure};
use crate::ops::apply::one_line;
use crate::ops::examine;
use crate::ops::inspect::read_quietly;
use crate::ops::lock::Locked;
use crate::ops::probe::in_use;
use crate::ops::verify::expectations;

const OP: Op = Op("migrate the data");

/// Between two rounds, so that an application that waits for the lock has its turn: it asks again
/// within that time.
const PAUSE: Duration = Duration::from_millis(20);

/// What the database says of its data migrations; nothing where there is no database yet.
///
/// # Errors
/// In use, storage, or the catalogue's where what it says cannot be read.
pub fn look(device: &Device<'_>) -> Result<Vec<DataProgress>, Failure> {
    match examine::outside(device)?.header {
        None => Ok(Vec::new()),
        Some(header) if header.wal => {
            read_quietly(device, Duration::ZERO, |database| data::read(database, OP))
        }
        // A reader's locks: whoever writes is seen.
        Some(_) => {
            let database = device.sqlite().look_beside(OP, &device.files.main)?;
            let rows = data::read(&database, OP);
            database.close(OP)?;
            rows
        }
    }
}

/// What is left to do, oldest first.
///
/// # Errors
/// The catalogue's, where the history contradicts it.
pub fn left_to_do(
    device: &Device<'_>,
    rows: &[DataProgress],
) -> Result<Vec<&'static Migration>, Failure> {
    let warn = device.settings.on_checksum_mismatch == OnChecksumMismatch::Warn;
    data::left_to_do(device.catalog, rows, warn)
        .map_err(|what| Failure::new(Class::Catalogue, OP, what))
}

/// The database, open beside its applications, with this firmware's schema. Made only by [`open`].
pub struct Beside<'d> {
    device: &'d Device<'d>,
    database: Database,
}

/// Opens it; `None` where its schema is not this firmware's.
///
/// # Errors
/// Storage where nothing can be written, else as SQLite.
pub fn open<'d>(device: &'d Device<'d>, locked: &Locked) -> Result<Option<Beside<'d>>, Failure> {
    if let Some(reason) = &locked.read_only {
        return Err(Failure::new(Class::Storage, OP, reason.clone()).at(&device.files.main));
    }
    let database = device.sqlite().beside(OP, &device.files.main, size(device))?;
    let beside = Beside { device, database };
    match beside.fits() {
        Ok(true) => Ok(Some(beside)),
        Ok(false) => beside.close().map(|()| None),
        Err(failure) => {
            beside.close()?;
            Err(failure)
        }
    }
}

fn size(device: &Device<'_>) -> u64 {
    device.disk().stat(&device.files.main).ok().flatten().map_or(0, |main| main.size)
}

impl Beside<'_> {
    /// The schema is this firmware's, asked until `busy_timeout_s`.
    fn fits(&self) -> Result<bool, Failure> {
        let device = self.device;
        let history =
            self.patient(|database| history::read(database, OP, &device.settings.history_table))?;
        let warn = device.settings.on_checksum_mismatch == OnChecksumMismatch::Warn;
        // With nothing passed over and the newest there, everything is.
        let refused = history::refusal(device.catalog, &history.applied, warn).is_some();
        Ok(!refused && history.version() == device.catalog.target())
    }

    /// What it says of its data migrations.
    ///
    /// # Errors
    /// As [`look`].
    pub fn rows(&self) -> Result<Vec<DataProgress>, Failure> {
        self.patient(|database| data::read(database, OP))
    }

    /// Closes with success, and makes SQLite's unlink of a WAL durable: after a cut it would be
    /// back at full size.
    ///
    /// # Errors
    /// As SQLite, and `fsync`.
    pub fn close(self) -> Result<(), Failure> {
        let folder = self.device.files.folder();
        self.database.close(OP)?;
        self.device.disk().sync_folder(OP, folder).map_err(|error| Failure::io(OP, folder, &error))
    }

    /// Runs one data migration to its end; `before` is what was done of it. Tells of each round
    /// that was committed.
    ///
    /// # Errors
    /// With the place of the statement; the round that failed is rolled back, those before it stay.
    pub fn run(
        &mut self,
        migration: &Migration,
        before: Progress,
        told: &mut dyn FnMut(Progress),
    ) -> Result<(), Failure> {
        let (device, clock) = (self.device, self.device.environment.clock);
        let name = &device.settings.name;
        log::info!("{name}: applying {}.", migration.file);
        progress::begin(&format!("{name}: {}", migration.file));
        room_for(device, migration)?;
        self.patient(|database| database.fit(OP))?;
        let (mut now, mut alike) = (before, Alike::default());
        // What it adds itself does not make it end; what an earlier run has deleted is not in it.
        let start = Start { rows: before.rows, bytes: self.database.bytes(OP)? };
        loop {
            device.stop_here(OP)?;
            let done = self
                .round(migration, &mut now, &mut alike, start)
                .inspect_err(|_| self.database.rollback())?;
            told(now);
            if done {
                return Ok(());
            }
            let rate = now.rows.saturating_sub(before.rows).saturating_mul(1000)
                / now.duration_ms.saturating_sub(before.duration_ms).max(1);
            progress::detail(&format!(
                "{name}: V{}, {} rows, {rate} rows/s",
                migration.version, now.rows
            ));
            log::info!(
                "{name}: {}: {} rows in {} rounds, {rate} rows/s.",
                migration.file,
                now.rows,
                now.rounds
            );
            clock.sleep(PAUSE);
        }
    }

    /// One transaction; whether nothing is left to do. `now` is what stands after it.
    fn round(
        &mut self,
        migration: &Migration,
        now: &mut Progress,
        alike: &mut Alike,
        start: Start,
    ) -> Result<bool, Failure> {
        let device = self.device;
        self.patient(|database| database.begin_beside(OP))?;
        let began = device.environment.clock.monotonic();
        let mut next = *now;
        self.database.reserve(&device.settings.history_table);
        let done =
            self.database.file(OP, Mode::Beside, FileOptions::default(), |database, session| {
                let changes = statements(database, session, migration)?;
                next.rows = next.rows.saturating_add(changes.rows);
                next.rounds = next.rounds.saturating_add(u64::from(changes.rows > 0));
                let round = Round {
                    batch: migration.directives.batch,
                    rows: changes.rows,
                    alike: alike.count(changes),
                    rows_in_all: next.rows.saturating_sub(start.rows),
                    bytes: start.bytes,
                };
                match after_round(&round) {
                    NextRound::Finished => expectations(database, migration).map(|()| true),
                    NextRound::Again => Ok(false),
                    NextRound::NoProgress(why) => Err(Failure::new(Class::Failed, OP, why)
                        .place(place_of_directive(migration, "batch"))),
                }
            })?;
        let took = device.environment.clock.monotonic().saturating_sub(began);
        next.duration_ms =
            next.duration_ms.saturating_add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let finished = done.then(|| device.environment.clock.unix_seconds());
        let stamp = DataStamp {
            finished,
            schema: device.catalog.target(),
            firmware: &device.environment.firmware,
        };
        data::write(&self.database, OP, migration, &next, &stamp)?;
        // A deferred key is checked here: rows are in its way, and not the storage.
        self.patient(|database| database.commit(OP)).map_err(|mut failure| {
            if is_constraint(&failure) {
                failure.class = Class::Failed;
                failure = failure.place(place_of_directive(migration, "batch"));
            }
            failure
        })?;
        *now = next;
        Ok(done)
    }

    /// Asks again while an application holds what is needed, until `busy_timeout_s`.
    fn patient<T>(
        &self,
        mut ask: impl FnMut(&Database) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let device = self.device;
        let ask = || match ask(&self.database) {
            Err(failure) if failure.class == Class::InUse => Ok(None),
            other => other.map(Some),
        };
        device.wait().until(OP, ask)?.ok_or_else(|| in_use(device))
    }
}

fn statements(
    database: &mut Database,
    session: &Session,
    migration: &Migration,
) -> Result<Changes, Failure> {
    let watch = database.watch_changes(OP)?;
    let ran = script::run(database, session, migration, &mut |ran| {
        log::debug!(
            "  {}:{} statement {} of {}: {} rows: {}",
            migration.file,
            ran.line,
            ran.statement,
            migration.statements,
            ran.rows,
            one_line(ran.sql)
        );
    });
    let changes = database.changes(OP, &watch);
    ran.and(changes)
}

/// What `needs-space` asks for is there.
fn room_for(device: &Device<'_>, migration: &Migration) -> Result<(), Failure> {
    let (size, space) = (size(device), device.space());
    let asked = migration.directives.space_bytes(size);
    let available =
        space.map_err(|error| Failure::io(OP, device.files.folder(), &error))?.available;
    if available >= asked {
        return Ok(());
    }
    let missing = asked.saturating_sub(available);
    let cause = format!(
        "`needs-space` of {} asks for {asked} bytes beside the database's {size}, {available} are \
         free: {missing} are missing",
        migration.file
    );
    Err(Failure::new(Class::NoSpace, OP, cause).at(&device.files.main).needs(asked))
}

/// Where this run began.
#[derive(Clone, Copy)]
struct Start {
    rows: u64,
    bytes: u64,
}

/// How many rounds in a row changed the very same rows.
#[derive(Default)]
struct Alike {
    mark: Option<u64>,
    count: u32,
}

impl Alike {
    fn count(&mut self, changes: Changes) -> u32 {
        let same = changes.mark.is_some() && changes.mark == self.mark;
        self.count = if same { self.count.saturating_add(1) } else { 1 };
        self.mark = changes.mark;
        self.count
    }
}
