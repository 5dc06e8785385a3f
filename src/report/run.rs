//! Owns the report of a whole run: every database, and which device, firmware and boot it was.
//! Promises: the same as JSON and as a value; docs/status-json.md says what each field means.
//! Never decides an exit code: `report.rs` does.

use std::path::Path;

use serde::Serialize;

use crate::device::disk::system_text;
use crate::device::supervisor::{boot_id, place};
use crate::device::Environment;
use crate::error::exit::gravest;
use crate::error::printable::json;
use crate::report::DatabaseReport;

/// The version of the report's format (`docs/status-json.md`).
pub const SCHEMA: u32 = 1;

/// Which device, which firmware, which boot; empty where the system does not say.
///
/// ```
/// let device = tempfile::tempdir()?;
/// let report = bootmigrate::Migrator::new(bootmigrate::embedded!()).root(device.path()).boot()?;
/// assert_eq!(report.identity.firmware, "", "this folder has no os-release");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Serialize, Default, PartialEq, Eq)]
pub struct Identity {
    /// /etc/machine-id.
    pub device_id: String,
    /// IMAGE_VERSION, else VERSION_ID, of os-release.
    pub firmware: String,
    /// The kernel's random number for this boot.
    pub boot_id: String,
}

/// Bytes of /etc/machine-id that are read at most.
const MACHINE_ID_BYTES_MAX: usize = 64;

impl Identity {
    /// Which device, firmware and boot this is.
    pub(crate) fn of(environment: &Environment<'_>) -> Identity {
        let machine_id = place(&environment.root, Path::new("/etc/machine-id"));
        Identity {
            device_id: system_text(environment.disk, &machine_id, MACHINE_ID_BYTES_MAX)
                .trim()
                .to_owned(),
            firmware: environment.firmware.clone(),
            boot_id: boot_id(environment.disk),
        }
    }
}

/// What happened to all of them.
///
/// ```
/// let device = tempfile::tempdir()?;
/// let report = bootmigrate::Migrator::new(bootmigrate::embedded!()).root(device.path()).boot()?;
/// assert_eq!((report.exit, report.usable, report.data_loss), (0, true, false));
/// println!("{}", report.to_json());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The version of the report's format (`docs/status-json.md`): 1.
    pub schema: u32,
    /// Ours.
    pub version: &'static str,
    /// Which device, firmware and boot.
    #[serde(flatten)]
    pub identity: Identity,
    /// Bytes that this run caused to be sent to storage, as the kernel counts them; `null` where it
    /// does not.
    pub bytes_written: Option<u64>,
    /// The run's exit code.
    pub exit: u8,
    /// Every database is usable.
    pub usable: bool,
    /// Rows were lost somewhere.
    pub data_loss: bool,
    /// One each, in the order of the configuration.
    pub databases: Vec<DatabaseReport>,
    /// The report is on /run.
    #[doc(hidden)]
    #[serde(skip)]
    pub published: bool,
}

impl RunReport {
    /// The gravest exit code of all counts.
    #[doc(hidden)]
    pub fn of(
        databases: &[DatabaseReport],
        identity: Identity,
        bytes_written: Option<u64>,
    ) -> RunReport {
        RunReport {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            identity,
            bytes_written,
            exit: gravest(databases.iter().map(|database| database.exit)),
            usable: databases.iter().all(|database| database.usable),
            data_loss: databases.iter().any(|database| database.data_loss),
            databases: databases.to_vec(),
            published: false,
        }
    }

    /// As JSON, indented for people.
    pub fn to_json(&self) -> String {
        json(self)
    }
}
