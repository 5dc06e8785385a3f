//! Owns `rollback`: back to an older version, by the down SQL that was stored when each migration
//! was applied.
//! Promises: the mode of an older firmware that finds newer data, with its snapshot; the database
//! must be named.
//! Never runs down SQL of this binary: what was stored with a migration is what fits it.

use crate::boot::look;
use crate::cli::Extent;
use crate::commands::migrate::{run_limited, version_now, Limit, Unable};
use crate::commands::{changes, not_begun, CommandContext, Printed};
use crate::config::OnNewer;
use crate::decide::facts::Request;
use crate::decide::plan::{Plan, RefusalClass};
use crate::device::Device;
use crate::error::Class;

/// Goes down to where the extent says.
///
/// # Errors
/// One sentence where the extent names no place to go to; nothing was touched.
pub fn rollback(context: &CommandContext<'_>, extent: Extent) -> Result<Printed, String> {
    let mut limits = Vec::new();
    for device in context.devices {
        match limit(context, device, extent) {
            Ok(limit) => limits.push(limit),
            Err(unable) => return unable.printed(),
        }
    }
    match changes(context) {
        Ok(()) => Ok(run_limited(context, &limits, Request::Rollback)),
        Err(printed) => Ok(printed),
    }
}

fn limit<'d>(
    context: &CommandContext<'_>,
    device: &'d Device<'d>,
    extent: Extent,
) -> Result<Limit<'d>, Unable> {
    let now = version_now(device)?;
    let target = target(device, extent, now)?;
    let limit = Limit::new(device, target, vec![OnNewer::Downgrade]);
    possible(context, &limit, now, target).map(|()| limit)
}

/// Where there is no way back, nothing is begun, and the application's ready file stays.
fn possible(
    context: &CommandContext<'_>,
    limit: &Limit<'_>,
    now: i64,
    target: i64,
) -> Result<(), Unable> {
    let device = limit.device(context.environment);
    let name = &device.settings.name;
    match look(&device, Request::Rollback) {
        Ok((_, Plan::Refuse(refusal))) => {
            let why = format!("cannot go back from {now} to {target}: {}", refusal.what);
            match refusal.class {
                // A version to which nothing leads is no place to ask for.
                RefusalClass::As(Class::Newer) => Err(Unable::Mistake(format!("{name} {why}"))),
                class => Err(Unable::refused(&device, class, &why, &refusal.next)),
            }
        }
        Ok(_) => Ok(()),
        Err(failure) => Err(Unable::Refused(not_begun(&device, failure))),
    }
}

fn target(device: &Device<'_>, extent: Extent, now: i64) -> Result<i64, String> {
    let name = &device.settings.name;
    let below: Vec<i64> = device
        .catalog
        .migrations
        .iter()
        .map(|migration| migration.version)
        .filter(|version| *version < now)
        .collect();
    let target = match extent {
        Extent::Step(migrations) => {
            let applied = below.len().saturating_add(1);
            if migrations as usize >= applied {
                return Err(format!(
                    "{name} is at version {now}, and --step {migrations} would leave nothing; \
                     `purge` begins again"
                ));
            }
            below.get(applied - 1 - migrations as usize).copied()
        }
        Extent::To(version) => below.iter().copied().find(|known| *known == version),
        Extent::All | Extent::ToExclusive(_) => None,
    };
    let list = below.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    match target {
        Some(target) => Ok(target),
        None if below.is_empty() => {
            Err(format!("{name} is at version {now}, and this firmware knows none below it"))
        }
        None => Err(format!("{name} is at version {now}; below it this firmware knows {list}")),
    }
}
