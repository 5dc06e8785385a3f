//! Owns what a scenario is: a situation before the run, what the run does, and every way it may
//! end.
//! Promises: plain data; the same name is the same scenario.
//! Never runs one.

use bootmigrate::boot::BootRequest;
use bootmigrate::decide::facts::Request;

use crate::dump::{LeftOut, Stands};
use crate::firmware::Firmware;
use crate::sim::{Lack, Options, State};

/// What stood under the name before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Old {
    /// Nothing.
    Absent,
    /// A whole database with this dump.
    Whole(String),
    /// Something else, with these bytes.
    Broken(u128),
}

impl From<Stands> for Old {
    fn from(stands: Stands) -> Old {
        match stands {
            Stands::Absent => Old::Absent,
            Stands::Whole(dump) => Old::Whole(dump.text),
            Stands::Broken(bytes, _) => Old::Broken(bytes),
        }
    }
}

/// One way in which it may end.
#[derive(Debug, Clone)]
pub struct End {
    /// In a word.
    pub name: &'static str,
    /// The dump of main.
    pub text: String,
    /// `journal_mode` of main.
    pub journal: &'static str,
    /// Rows that were committed are not in main.
    pub loss: bool,
    /// Exit codes of a quiet boot there.
    pub exits: &'static [u8],
    /// Only after this many cuts.
    pub cuts: u32,
}

/// How the database that goes together with another stands: before, and after, where it may come
/// there at all.
#[derive(Debug, Clone)]
pub struct Ends {
    /// What stood there.
    pub old: Old,
    /// Its dump and its journal mode.
    pub new: Option<(String, &'static str)>,
}

/// Something that there is too little of, for the run that is cut and the first boots after it.
/// Then there is enough.
#[derive(Debug, Clone, Copy)]
pub struct Short {
    /// Of what.
    pub lack: Lack,
    /// Boots after the first run that are short too.
    pub boots: u32,
}

/// A situation, a request, and the ways it may end.
#[derive(Clone)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What boots.
    pub firmware: Firmware,
    /// What boots after a cut, where that is the other slot.
    pub after_cut: Option<Firmware>,
    /// What is durable before the first boot.
    pub initial: State,
    /// The device.
    pub options: Options,
    /// Of these wishes inodes and quota are gone after a while.
    pub short: Option<Short>,
    /// What the first run is.
    pub run: Run,
    /// What the first boot is asked.
    pub asked: BootRequest,
    /// What every boot after a cut is asked.
    pub again: BootRequest,
    /// What stood there.
    pub old: Old,
    /// How it may end.
    pub ends: Vec<End>,
    /// Exit codes that any boot on the way may have.
    pub exits: &'static [u8],
    /// Exit codes of a quiet boot that leaves the old one where it is, although it is broken.
    pub stays: &'static [u8],
    /// The boot that must be quiet, at the latest, counted after the cut.
    pub quiet_by: u32,
    /// Dumps that a snapshot may have.
    pub snapshots: Vec<String>,
    /// They must be whole; `false` where the situation began with one that is not.
    pub snapshots_are_checked: bool,
    /// How many there must be at rest.
    pub snapshots_min: usize,
    /// What files in quarantine may be.
    pub quarantined: Vec<Old>,
    /// How many of them there may be.
    pub quarantines_max: usize,
    /// What is no difference between two databases.
    pub left_out: LeftOut,
    /// Bytes that may be used whatever the size of the database.
    pub bytes_allowed: u64,
    /// How the database that goes together with it may end.
    pub companion: Option<Ends>,
}

impl Scenario {
    /// The boot with this number is one of those for which there is too little.
    pub fn is_short(&self, number: u32) -> bool {
        self.short.is_some_and(|short| number <= short.boots)
    }

    /// The device at the boot with this number.
    pub fn options_at(&self, number: u32) -> Options {
        if self.short.is_none() || self.is_short(number) {
            return self.options.clone();
        }
        Options { total_inodes: None, quota_bytes: None, ..self.options.clone() }
    }

    /// The database may be gone before a fresh one is made.
    pub fn wipes(&self) -> bool {
        self.name.starts_with("wipe")
    }

    /// The firmware that boots after a cut.
    pub fn then(&self) -> Firmware {
        self.after_cut.unwrap_or(self.firmware)
    }
}

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
    /// `wipe --yes`.
    Wipe,
    /// `salvage`, into [`FILE`].
    Salvage,
    /// `scrub`.
    Scrub,
    /// `lost export` of this table, into [`FILE`].
    LostExport(&'static str),
}

/// Where an operator exports to.
pub const OUT: &str = "/data/out";
/// The file that an operator wants.
pub const FILE: &str = "/data/file";

impl Run {
    /// It changes rows, in one transaction: the database is as it was, or as the scenario's first
    /// end says.
    pub fn changes_rows(self) -> bool {
        matches!(self, Run::LostRetry | Run::LostDrop(_))
    }

    /// It reports for itself, as a boot does, and is judged as one.
    pub fn is_boot(self) -> bool {
        matches!(self, Run::Boot | Run::SnapshotRestore(_) | Run::QuarantineRestore(_))
    }
}

/// A boot that nobody asked for anything.
pub fn plain() -> BootRequest {
    BootRequest::of(Request::Boot)
}
