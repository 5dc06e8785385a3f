//! Owns the scenarios: a situation before the boot, what the boot is asked, and every way it may end.
//! Promises: what must come out is computed with plain SQLite, never with the device's code.
//! Never says how the device gets there.

mod adopted;
mod asked;
pub mod catalogues;
mod data;
mod kept;
mod lost;
mod newer;
mod quarantined;
mod replaced;
mod short;
pub(crate) mod situations;
pub mod slots;
mod together;
mod upgraded;

use bootmigrate::boot::BootRequest;
use bootmigrate::decide::facts::Request;

use crate::device::Firmware;
use crate::person::Run;
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

/// How the database that goes together with another stands: before, and after, where it may come there at all.
#[derive(Debug, Clone)]
pub struct Ends {
    /// What stood there.
    pub old: Old,
    /// Its dump and its journal mode.
    pub new: Option<(String, &'static str)>,
}

/// Something that there is too little of, for the run that is cut and the first boots after it. Then there is enough.
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
    /// How the database that goes together with it may end.
    pub companion: Option<Ends>,
}

type Build = fn() -> Scenario;

/// Every scenario, by name.
pub const ALL: &[(&str, Build)] = &[
    ("first-boot", upgraded::first_boot),
    ("first-boot-new-folder", upgraded::first_boot_new_folder),
    ("first-boot-wal", upgraded::first_boot_wal),
    ("upgrade-delete", upgraded::delete),
    ("upgrade-truncate", upgraded::truncate),
    ("upgrade-persist", upgraded::persist),
    ("upgrade-wal", upgraded::wal),
    ("upgrade-delete-hot", upgraded::delete_hot),
    ("upgrade-truncate-hot", upgraded::truncate_hot),
    ("upgrade-persist-hot", upgraded::persist_hot),
    ("upgrade-auto-vacuum-hot", upgraded::auto_vacuum_hot),
    ("upgrade-wal-left", upgraded::wal_left),
    ("quiet-wal-left", upgraded::quiet_wal_left),
    ("to-wal", upgraded::to_wal),
    ("to-delete", upgraded::to_delete),
    ("no-transaction", upgraded::no_transaction),
    ("no-transaction-wal", upgraded::no_transaction_wal),
    ("take-over", upgraded::take_over),
    ("take-over-half-done", upgraded::take_over_half_done),
    ("nearly-full", upgraded::nearly_full),
    ("copy-always", upgraded::copy_always),
    ("copy-always-full", upgraded::copy_always_full),
    ("code", upgraded::in_code),
    ("foreign-keys-enforced", upgraded::enforced),
    ("code-fails", replaced::code_fails),
    ("one-after-another", upgraded::one_after_another),
    ("put-back", upgraded::put_back),
    ("needs-space", upgraded::needs_space),
    ("no-inodes", short::no_inodes),
    ("few-inodes", short::few_inodes),
    ("no-inodes-wal", short::no_inodes_wal),
    ("no-inodes-first-boot", short::no_inodes_first_boot),
    ("over-quota", short::over_quota),
    ("nearly-over-quota", short::nearly_over_quota),
    ("failing", replaced::failing),
    ("failing-foreign-keys", replaced::failing_foreign_keys),
    ("writes-history", replaced::writes_history),
    ("breaks-view", replaced::breaks_view),
    ("refers-to-nothing", replaced::refers_to_nothing),
    ("retry", replaced::retry),
    ("failing-goes-back", replaced::failing_goes_back),
    ("failing-purge", replaced::failing_purge),
    ("failing-purge-at-length", replaced::failing_purge_at_length),
    ("failing-purge-wal-left", replaced::failing_purge_wal_left),
    ("purge-and-retry-corrupt", replaced::purge_and_retry_corrupt),
    ("purge", replaced::purge),
    ("purge-wal-left", replaced::purge_wal_left),
    ("purge-without-links", replaced::purge_without_links),
    ("purge-token", replaced::purge_token),
    ("restore", replaced::restore),
    ("restore-forward", replaced::restore_forward),
    ("restore-no-room", replaced::restore_no_room),
    ("restore-lost", replaced::restore_lost),
    ("restore-lost-auto-vacuum", replaced::restore_lost_auto_vacuum),
    ("reindex", replaced::reindex),
    ("purge-carried", kept::purge_carried),
    ("purge-carried-wal-left", kept::purge_carried_wal_left),
    ("purge-carried-without-links", kept::purge_carried_without_links),
    ("purge-aside", kept::purge_aside),
    ("salvage", kept::salvage),
    ("header-lost", kept::header_lost),
    ("bad-snapshot", replaced::bad_snapshot),
    ("newer", replaced::newer),
    ("newer-compatible", replaced::newer_compatible),
    ("newer-rebuildable", replaced::newer_rebuildable),
    ("adopt", adopted::adopt),
    ("adopt-quiet", adopted::quiet),
    ("newer-downgrade", newer::downgrade),
    ("newer-downgrade-reduced", newer::downgrade_reduced),
    ("newer-downgrade-wal-left", newer::downgrade_wal_left),
    ("newer-downgrade-flip", newer::downgrade_flip),
    ("newer-upgrade-flip", newer::upgrade_flip),
    ("newer-trial-snapshot", newer::trial_snapshot),
    ("batch", data::batch),
    ("batch-wal", data::batch_wal),
    ("batch-hot", data::batch_hot),
    ("newer-downgrade-fails", newer::downgrade_fails),
    ("newer-downgrade-astray", newer::downgrade_astray),
    ("newer-downgrade-fails-snapshot", newer::downgrade_fails_snapshot),
    ("snapshot-create", asked::snapshot_create),
    ("snapshot-create-wal-left", asked::snapshot_create_wal_left),
    ("snapshot-create-another", asked::snapshot_create_another),
    ("snapshot-restore", asked::snapshot_restore),
    ("snapshot-restore-file", asked::snapshot_restore_file),
    ("quarantine-delete", quarantined::delete),
    ("quarantine-delete-wal", quarantined::delete_wal),
    ("quarantine-export", quarantined::export),
    ("quarantine-restore", quarantined::restore),
    ("quarantine-restore-wal", quarantined::restore_wal),
    ("quarantine-restore-hot", quarantined::restore_hot),
    ("quarantine-restore-damaged", quarantined::restore_damaged),
    ("lost-retry", lost::retry),
    ("lost-retry-wal", lost::retry_wal),
    ("lost-drop", lost::drop_table),
    ("rehearse", asked::rehearse),
    ("rehearse-wal-left", asked::rehearse_wal_left),
    ("rehearse-take-over", asked::rehearse_take_over),
    ("rehearse-failing", asked::rehearse_failing),
    ("rehearse-restore", asked::rehearse_restore),
    ("rehearse-without-links", asked::rehearse_without_links),
    ("rehearse-lost", asked::rehearse_lost),
    ("rehearse-salvage", asked::rehearse_salvage),
    ("mark-good", asked::mark_good),
    ("together", together::together),
    ("together-wal", together::wal),
    ("together-commits-last", together::commits_last),
    ("together-first-boot", together::first_boot),
    ("together-second-fails", together::second_fails),
    ("together-first-fails", together::first_fails),
    ("together-restore", together::restore),
    ("together-restore-second-fails", together::restore_second_fails),
    ("together-first-boot-second-fails", together::first_boot_second_fails),
];

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

    /// The firmware that boots after a cut.
    pub fn then(&self) -> Firmware {
        self.after_cut.unwrap_or(self.firmware)
    }
}

/// The scenarios whose name has this in it.
pub fn named(part: Option<&str>) -> Vec<Scenario> {
    let exact = ALL.iter().any(|(name, _)| Some(*name) == part);
    let wanted =
        |name: &str| part.is_none_or(|part| if exact { name == part } else { name.contains(part) });
    ALL.iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, build)| Scenario { name, ..build() })
        .collect()
}

/// A boot that nobody asked for anything.
pub fn plain() -> BootRequest {
    BootRequest { request: Request::Boot, token: String::new() }
}
