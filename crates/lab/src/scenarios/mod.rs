//! Owns the scenarios: a situation before the boot, what the boot is asked, and every way it may
//! end.
//! Promises: what must come out is computed with plain SQLite, never with the device's code.
//! Never says how the device gets there.

mod adopted;
mod asked;
pub mod catalogues;
mod data;
mod group;
mod kept;
mod lost;
mod newer;
mod quarantined;
mod replaced;
mod short;
pub(crate) mod situations;
pub mod slots;
pub(crate) mod upgraded;
mod wiped;

use crate::scenario::Scenario;

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
    ("snapshot-left-out", short::snapshot_left_out),
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
    ("salvage-for-a-bench", kept::salvage_for_a_bench),
    ("scrub", kept::scrubbed),
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
    ("lost-export", lost::export),
    ("wipe", wiped::delete),
    ("wipe-wal", wiped::wal),
    ("wipe-hot", wiped::hot),
    ("wipe-kept", wiped::kept),
    ("wipe-damaged", wiped::damaged),
    ("wipe-cut-off", wiped::cut_after_the_record),
    ("rehearse", asked::rehearse),
    ("rehearse-wal-left", asked::rehearse_wal_left),
    ("rehearse-take-over", asked::rehearse_take_over),
    ("rehearse-failing", asked::rehearse_failing),
    ("rehearse-restore", asked::rehearse_restore),
    ("rehearse-without-links", asked::rehearse_without_links),
    ("rehearse-lost", asked::rehearse_lost),
    ("rehearse-salvage", asked::rehearse_salvage),
    ("mark-good", asked::mark_good),
    ("group", group::together),
    ("group-wal", group::wal),
    ("group-commits-last", group::commits_last),
    ("group-first-boot", group::first_boot),
    ("group-second-fails", group::second_fails),
    ("group-first-fails", group::first_fails),
    ("group-restore", group::restore),
    ("group-restore-second-fails", group::restore_second_fails),
    ("group-first-boot-second-fails", group::first_boot_second_fails),
];

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
