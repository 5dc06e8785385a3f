//! Owns the question "is the application running?", asked before the first op of any operation.
//! Promises: asks with a write lease on the one descriptor of main and releases it at once; nothing
//! is written or counted.
//! Never asked while a connection of ours is open.

use std::time::Duration;

use crate::device::disk::{Lease, Op};
use crate::device::files::MainFile;
use crate::device::Device;
use crate::error::{Class, Failure};

const OP: Op = Op("ask whether the application has it open");

/// Nobody had the database open when it was asked. Made only by [`probe`].
#[derive(Debug, Clone, Copy)]
pub struct Unused {
    /// The kernel could tell; `false` where only SQLite's locks protect what follows.
    #[cfg_attr(not(feature = "internals"), allow(dead_code))]
    pub certain: bool,
}

/// Asks until `busy_timeout_s` is over.
///
/// # Errors
/// In use (13), with who has it open.
pub fn probe(device: &Device<'_>, main: Option<&MainFile>) -> Result<Unused, Failure> {
    let Some(main) = main else { return Ok(Unused { certain: true }) };
    match lease_within(device, main, device.busy_limit())? {
        Some(Lease::Held) => Ok(Unused { certain: true }),
        Some(Lease::Denied) => {
            log::warn!(
                "{}: neither owner of {} nor allowed to take leases (packaging fault): an idle \
                 application is not noticed.",
                device.settings.name,
                device.files.main.display()
            );
            Ok(Unused { certain: false })
        }
        Some(Lease::Unsupported) => {
            log::info!(
                "{}: this file system has no leases; SQLite's locks and the unit's order protect \
                 the database.",
                device.settings.name
            );
            Ok(Unused { certain: false })
        }
        Some(Lease::Busy) | None => Err(in_use(device)),
    }
}

/// Somebody has the database open all this time, as far as the kernel can tell. For a look, which
/// warns of nothing.
///
/// # Errors
/// As `fcntl`; interrupted where a stop signal came.
pub fn open_for(
    device: &Device<'_>,
    main: Option<&MainFile>,
    limit: Duration,
) -> Result<bool, Failure> {
    let Some(main) = main else { return Ok(false) };
    Ok(lease_within(device, main, limit)?.is_none())
}

/// What the kernel says of a lease, which is released again; `None` where it is busy until `limit`.
fn lease_within(
    device: &Device<'_>,
    main: &MainFile,
    limit: Duration,
) -> Result<Option<Lease>, Failure> {
    let failed = |error: std::io::Error| Failure::io(OP, &device.files.main, &error);
    let ask = || match main.file.lease().map_err(failed)? {
        Lease::Held => main.file.release_lease().map(|()| Some(Lease::Held)).map_err(failed),
        Lease::Busy => Ok(None),
        other => Ok(Some(other)),
    };
    device.wait_for(limit).until(OP, ask)
}

/// Somebody has the database open; by whom, as far as it can be seen.
pub fn in_use(device: &Device<'_>) -> Failure {
    let who = device.disk().openers(&device.files.main);
    let by = if who.is_empty() { "another process".to_owned() } else { who.join(", ") };
    Failure::new(Class::InUse, OP, format!("the database is open in {by}")).at(&device.files.main)
}
