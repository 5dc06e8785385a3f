//! Owns switching a simulated device on: the product's own `boot`, on a simulated disk, with a
//! simulated clock.
//! Promises: nothing of the machine under the lab is seen; what the run reported, and when, is
//! handed back.
//! Never changes the product's behaviour.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::Duration;

use bootmigrate::boot::group::boot_together;
use bootmigrate::boot::{boot, BootRequest, PendingReport};
use bootmigrate::catalog::Catalog;
use bootmigrate::cli::Extent;
use bootmigrate::device::clock::Clock;
use bootmigrate::device::disk::Disk;
use bootmigrate::device::sqlite::registered::Registered;
use bootmigrate::device::sqlite::Sqlite;
use bootmigrate::device::{Device, Environment};
use bootmigrate::report::{DatabaseReport, Identity, RunReport};
use bootmigrate::{AfterFailure, FailureInfo, Hooks};

use crate::firmware::{Companion, Firmware, MAIN, OTHER};
use crate::scenarios::catalogues::{code_of, GOES_BACK};
use crate::sim::lying::{self, LyingStorage};
use crate::sim::{seed_sqlite, Sim};

/// How a boot went.
pub struct Booted {
    /// What it reported.
    pub report: DatabaseReport,
    /// This many effects were logged when a loss was published; `None` where none was.
    pub loss_said_at: Option<u64>,
    /// Effects of the whole boot: 0 for a quiet one.
    pub effects: u64,
}

/// The clock of a simulated device: only calls and sleeps move it.
pub(crate) struct SimClock<'a>(pub(crate) &'a Sim);

impl Clock for SimClock<'_> {
    fn sleep(&self, time: Duration) {
        self.0.sleep_ns(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn unix_seconds(&self) -> i64 {
        i64::try_from(self.0.now_ns() / 1_000_000_000).unwrap_or(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.now_ns()).unwrap_or(0))
    }
}

/// One boot, from beginning to end or to the process's death; where the firmware has data
/// migrations, `data run` follows it.
pub fn switch_on(firmware: Firmware, sim: &Sim, asked: &BootRequest) -> Booted {
    switch_on_with(firmware, sim, asked, &SimClock(sim))
}

/// The same with another way to wait.
pub fn switch_on_with(
    firmware: Firmware,
    sim: &Sim,
    asked: &BootRequest,
    clock: &dyn Clock,
) -> Booted {
    with_device(firmware, sim, clock, |device| match firmware.companion {
        None => boot_of(device, sim, asked),
        Some(companion) => boot_both(device, companion, sim, asked),
    })
}

/// The boot of a group of two; the report is that of both.
fn boot_both(device: &Device<'_>, companion: Companion, sim: &Sim, asked: &BootRequest) -> Booted {
    let before = sim.effects();
    let other = Device::new(
        device.environment,
        companion.settings,
        companion.catalog,
        device.slots,
        PathBuf::from(OTHER),
    );
    let mut members = vec![(device, asked), (&other, asked)];
    members.rotate_left(usize::from(companion.first));
    let mut ended = boot_together(&members);
    ended.rotate_left(usize::from(companion.first));
    let run = RunReport::of(
        &ended.iter().map(|(report, _)| report.clone()).collect::<Vec<_>>(),
        Identity::default(),
        None,
    );
    let sentence =
        run.databases.iter().map(|report| report.sentence.as_str()).collect::<Vec<_>>().join(" | ");
    let loss_said_at = run.data_loss.then(|| sim.effects());
    let report = DatabaseReport {
        exit: run.exit,
        usable: run.usable,
        data_loss: run.data_loss,
        sentence,
        ..run.databases[0].clone()
    };
    ended
        .into_iter()
        .filter_map(|(_, pending_report)| pending_report)
        .for_each(PendingReport::delivered);
    Booted { report, loss_said_at, effects: sim.effects() - before }
}

/// One boot of a device that is there; where the firmware has data migrations, `data run` follows
/// it.
pub(crate) fn boot_of(device: &Device<'_>, sim: &Sim, asked: &BootRequest) -> Booted {
    let before = sim.effects();
    let (mut report, pending_report) = boot(device, asked);
    let loss_said_at = (report.exit == 11).then(|| sim.effects());
    if let Some(pending_report) = pending_report {
        pending_report.delivered();
    }
    if report.usable && !device.catalog.data.is_empty() {
        let data = bootmigrate::commands::data::run(device, Extent::All);
        if data.exit != 0 {
            (report.exit, report.usable, report.sentence) = (data.exit, false, data.sentence);
        }
    }
    Booted { report, loss_said_at, effects: sim.effects() - before }
}

/// The code that a product with these migrations registers.
fn registered(catalog: &Catalog) -> Registered {
    let mut registered = Registered::default();
    for (version, sql) in in_rust(catalog) {
        registered.add(catalog.database.to_owned(), version, move |connection| {
            Ok(connection.execute_batch(sql)?)
        });
    }
    if catalog.migrations.iter().any(|migration| migration.name == GOES_BACK) {
        registered.add_hooks(GoesBack);
    }
    registered
}

fn in_rust(catalog: &Catalog) -> impl Iterator<Item = (i64, &'static str)> + '_ {
    let all =
        catalog.migrations.iter().filter(|migration| migration.directives.code_revision.is_some());
    all.filter_map(|migration| Some((migration.version, code_of(migration.name)?)))
}

/// A product that would rather have its snapshot than the old schema.
struct GoesBack;

impl Hooks for GoesBack {
    fn after_failure(&self, _: &FailureInfo<'_>) -> AfterFailure {
        AfterFailure::Restore
    }
}

/// The device as a run of the product sees it.
pub(crate) fn with_device<T>(
    firmware: Firmware,
    sim: &Sim,
    clock: &dyn Clock,
    run: impl FnOnce(&Device<'_>) -> T,
) -> T {
    // SQLite draws journal nonces and WAL salts from one generator: the same state must boot the
    // same way.
    seed_sqlite(7);
    let lying = lying::chosen().map(|flaw| LyingStorage { sim: sim.clone(), flaw });
    let disk: &dyn Disk = match &lying {
        Some(lying) => lying,
        None => sim,
    };
    let environment = Environment {
        disk,
        sqlite: Sqlite { vfs: Some(sim.vfs_name()), ..Sqlite::default() },
        clock,
        stop: Arc::new(AtomicBool::new(false)),
        root: PathBuf::new(),
        firmware: "lab".into(),
        code: Some(&registered(firmware.catalog)),
    };
    run(&Device::new(
        &environment,
        firmware.settings,
        firmware.catalog,
        firmware.slots,
        PathBuf::from(MAIN),
    ))
}
