//! Owns `migrate`: the run, as far as an operator tells it to go.
//! Promises: a database that is then short of this firmware's version is not ready; a failure never
//! purges anything.
//! Never goes down: that is `rollback`.

use crate::boot::group::Member;
use crate::boot::{look, BootRequest};
use crate::catalog::Catalog;
use crate::cli::Extent;
use crate::commands::run::{said, CommandSession};
use crate::commands::{changes, not_begun, CommandContext, Lines, Printed};
use crate::config::{DatabaseSettings, OnFailure, OnNewer};
use crate::decide::facts::Request;
use crate::decide::plan::{Plan, RefusalClass};
use crate::device::{Device, Environment};
use crate::error::{exit, Class};
use crate::report::{exit_of_refusal, version_of, DatabaseReport, Outcome};

/// Applies what is pending up to where the extent says.
///
/// # Errors
/// One sentence where the extent names no place to go to; nothing was touched.
pub fn migrate(context: &CommandContext<'_>, extent: Extent) -> Result<Printed, String> {
    one_database(context, extent)?;
    let mut limits = Vec::new();
    for device in context.devices {
        match target(device, extent) {
            Ok(target) => limits.push(Limit::new(device, target, Vec::new())),
            Err(unable) => return unable.printed(),
        }
    }
    match changes(context) {
        Ok(()) => Ok(run_limited(context, &limits, Request::Migrate)),
        Err(printed) => Ok(printed),
    }
}

/// Versions belong to one database.
fn one_database(context: &CommandContext<'_>, extent: Extent) -> Result<(), String> {
    let option = match extent {
        Extent::All => return Ok(()),
        Extent::Step(_) => "--step",
        Extent::To(_) => "--to",
        Extent::ToExclusive(_) => "--to-exclusive",
    };
    if context.devices.len() > 1 {
        return Err(format!("{option} is about one database; name it with --db NAME"));
    }
    Ok(())
}

/// Why an extent leads nowhere.
pub enum Unable {
    /// It is none of this database's: a mistake in the command.
    Mistake(String),
    /// The database's own matter, with its exit code.
    Refused(Printed),
}

impl Unable {
    /// As a command ends by it.
    pub fn printed(self) -> Result<Printed, String> {
        match self {
            Unable::Mistake(sentence) => Err(sentence),
            Unable::Refused(printed) => Ok(printed),
        }
    }

    /// The database is not as it must be; nothing was touched.
    pub fn refused(device: &Device<'_>, class: RefusalClass, what: &str, next: &str) -> Unable {
        let (exit, name) = (exit_of_refusal(class), &device.settings.name);
        let sentence =
            format!("{name}: {what}; nothing was changed. Next: {next}. [BM-{exit} {name}]");
        Unable::Refused(Printed::outcome(Lines::default(), Lines::of(&sentence), exit))
    }
}

impl From<String> for Unable {
    fn from(sentence: String) -> Unable {
        Unable::Mistake(sentence)
    }
}

fn target(device: &Device<'_>, extent: Extent) -> Result<i64, Unable> {
    if extent == Extent::All {
        return Ok(device.catalog.target());
    }
    let now = version_now(device)?;
    let versions: Vec<i64> =
        device.catalog.migrations.iter().map(|migration| migration.version).collect();
    let known = |version: i64| {
        let list = versions.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        versions.contains(&version).then_some(()).ok_or_else(|| {
            format!("version {version} is not one of this firmware's; there is {list}")
        })
    };
    let target = match extent {
        Extent::All => device.catalog.target(),
        Extent::Step(migrations) => {
            let pending =
                versions.iter().filter(|version| **version > now).take(migrations as usize);
            pending.last().copied().unwrap_or(now)
        }
        Extent::To(version) => {
            known(version)?;
            version
        }
        Extent::ToExclusive(version) => {
            known(version)?;
            versions.iter().copied().filter(|other| *other < version).max().unwrap_or(0)
        }
    };
    let name = &device.settings.name;
    match () {
        () if target < now => Err(Unable::Mistake(format!(
            "{name} is at version {now}, beyond {target}; `bootmigrate rollback --db {name} --to \
             {target}` goes down"
        ))),
        () if target == 0 => Err(Unable::Mistake(format!(
            "there is no version below {}",
            versions.first().copied().unwrap_or(0)
        ))),
        () => Ok(target),
    }
}

/// The version that the database is at, where it can be read.
///
/// # Errors
/// With what stands in the way.
pub fn version_now(device: &Device<'_>) -> Result<i64, Unable> {
    let (facts, plan) = look(device, Request::Boot)
        .map_err(|failure| Unable::Refused(not_begun(device, failure)))?;
    let name = &device.settings.name;
    match (version_of(&facts), &plan) {
        (Some(version), _) => Ok(version),
        (None, Plan::Refuse(refusal)) => {
            Err(Unable::refused(device, refusal.class, &refusal.what, &refusal.next))
        }
        (None, plan) => Err(Unable::refused(
            device,
            RefusalClass::As(Class::Waits),
            &format!("its version is not known before a boot ({plan})"),
            &format!("run `bootmigrate run --db {name}`, as a boot does"),
        )),
    }
}

/// One database as far as an operator said: its catalogue ends there, and nothing of it is ever
/// lost.
pub struct Limit<'a> {
    device: &'a Device<'a>,
    catalog: Catalog,
    settings: DatabaseSettings,
}

impl<'a> Limit<'a> {
    /// Up to this version; what is newer has these answers.
    pub fn new(device: &'a Device<'a>, version: i64, on_newer: Vec<OnNewer>) -> Limit<'a> {
        let mut settings = device.settings.clone();
        (settings.on_failure, settings.on_damage, settings.on_newer) =
            (OnFailure::Restore, Vec::new(), on_newer);
        Limit { device, catalog: device.catalog.up_to(version), settings }
    }

    /// Going back is what was asked for: that this firmware's applications may not open the result
    /// is in its report, and no failure.
    fn went_back(&self, reports: &[DatabaseReport]) -> bool {
        let back = |report: &&DatabaseReport| {
            report.outcome == Outcome::Downgraded && report.version == Some(self.catalog.target())
        };
        reports.iter().filter(back).any(|report| report.name == self.settings.name)
    }

    /// The device as far as the limit.
    pub fn device<'b>(&'b self, environment: &'b Environment<'b>) -> Device<'b> {
        Device::new(
            environment,
            &self.settings,
            &self.catalog,
            self.device.slots,
            self.device.files.main.clone(),
        )
    }
}

/// Runs each as far as its limit.
pub fn run_limited(
    context: &CommandContext<'_>,
    limits: &[Limit<'_>],
    request: Request,
) -> Printed {
    let devices: Vec<Device<'_>> =
        limits.iter().map(|limit| limit.device(context.environment)).collect();
    let session = CommandSession::begin(
        context.settings,
        context.environment,
        &devices.iter().collect::<Vec<_>>(),
        context.all,
    );
    let asked = BootRequest::of(request);
    let members: Vec<Member<'_, '_>> = devices.iter().map(|device| (device, &asked)).collect();
    let (reports, pending_report) = session.boot_each(&members);
    let report = session.end(&reports);
    let printed = said(&report, context.command, pending_report);
    match limits.iter().all(|limit| limit.went_back(&reports)) {
        true => {
            Printed { exit: if report.data_loss { exit::DATA_LOSS.code } else { 0 }, ..printed }
        }
        false => printed,
    }
}
