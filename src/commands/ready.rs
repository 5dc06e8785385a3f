//! Owns `ready`: may an application open this database now?
//! Promises: a ready file alone is not believed: it may be of other firmware, or of a file that
//! cannot be read any more.
//! Never waits, and creates nothing.

use crate::boot::look;
use crate::commands::{CommandContext, Lines, Printed};
use crate::decide::facts::{Facts, Request};
use crate::decide::plan::Plan;
use crate::device::supervisor::RunFolder;
use crate::device::Device;
use crate::error::exit;
use crate::error::{Class, Failure};
use crate::report::version_of;

/// Why not, where nothing says that it is.
pub const NO_FILE: &str = "no run has made its ready file";

/// For the one database that was named.
pub fn ready(context: &CommandContext<'_>) -> Printed {
    let (lines, exits): (Vec<String>, Vec<u8>) = context
        .devices
        .iter()
        .map(|device| match is_ready(device) {
            Ok(()) => (format!("{}: ready", device.settings.name), 0),
            Err(why) => (
                format!(
                    "{}: not ready: {why}; `bootmigrate status` says more",
                    device.settings.name
                ),
                exit::PENDING.code,
            ),
        })
        .unzip();
    Printed::outcome(
        lines.into_iter().collect(),
        Lines::default(),
        exits.into_iter().max().unwrap_or(0),
    )
}

/// Nothing is opened where there is no ready file: it is asked for in a loop.
///
/// # Errors
/// Why not, in words.
pub fn is_ready(device: &Device<'_>) -> Result<(), String> {
    let version = ready_version(device)?;
    agrees(device, version, &look(device, Request::Boot))
}

/// As [`is_ready`], for somebody who has looked.
///
/// # Errors
/// Why not, in words.
pub fn seen_ready(
    device: &Device<'_>,
    looked: &Result<(Facts, Plan), Failure>,
) -> Result<(), String> {
    agrees(device, ready_version(device)?, looked)
}

fn ready_version(device: &Device<'_>) -> Result<i64, String> {
    match RunFolder::new(device.disk(), &device.environment.root)
        .ready_version(&device.settings.name)
    {
        Ok(Some(version)) => Ok(version),
        Ok(None) => Err(NO_FILE.to_owned()),
        Err(error) => Err(format!("its ready file cannot be read: {error}")),
    }
}

/// The ready file says what the database says.
fn agrees(
    device: &Device<'_>,
    ready: i64,
    looked: &Result<(Facts, Plan), Failure>,
) -> Result<(), String> {
    let target = device.catalog.target();
    let of_other = || {
        Err(format!("its ready file is for version {ready}, and this firmware expects {target}"))
    };
    match looked {
        Ok((_, Plan::Quiet { version })) if *version == ready => Ok(()),
        Ok((facts, Plan::UseNewer { .. })) if version_of(facts) == Some(ready) => Ok(()),
        Ok((_, Plan::Quiet { .. } | Plan::UseNewer { .. })) => of_other(),
        // An application is in the middle of a transaction, or has the file for itself.
        Ok((facts, Plan::Recover { .. }))
            if ready == target || version_of(facts) == Some(ready) =>
        {
            Ok(())
        }
        Err(failure) if failure.class == Class::InUse && ready == target => Ok(()),
        Ok(_) | Err(_) if ready != target => of_other(),
        Ok((_, plan)) => Err(format!("the plan of its next run is: {plan}")),
        Err(failure) => Err(format!("it cannot be looked at: {failure}")),
    }
}
