//! Owns what `doctor` finds from outside: the header, the journals, the owner, the mount.
//! Promises: each has its line, as it should be or not.
//! Never opens the database.

use super::Chart;
use crate::device::mounts::MissingMount;
use crate::device::sqlite::version_number;
use crate::device::Device;
use crate::error::exit;
use crate::ops::examine::{HeaderFacts, Outside};

/// A fifth of the file holds nothing: worth a sentence.
const FREE_PERCENT_WORTH_SAYING: u64 = 20;
/// Larger than this and the application has stopped checkpointing.
const WAL_BYTES_WORTH_SAYING: u64 = 64 << 20;

pub(super) fn the_files(device: &Device<'_>, seen: &Outside, chart: &mut Chart) {
    match &seen.header {
        Some(header) => the_header(header, chart),
        None if seen.files.main_is_empty() => chart.note(
            "header",
            "there is no file, or it is empty",
            "a first boot makes it",
            "`bootmigrate plan` says what would be done",
        ),
        None => chart.problem(
            exit::DAMAGED.code,
            "header",
            "it is not that of an SQLite database",
            "the file is damaged, or no database",
            "see `next boot` above",
        ),
    }
    let wal = seen.files.wal.map_or(0, |wal| wal.size);
    match (seen.files.journal_has_content, wal) {
        (true, _) => chart.note(
            "journals",
            "a rollback journal has content",
            "an application is writing, or a power cut left it",
            "the next run, or the application's next read, recovers it",
        ),
        (false, 0) => chart.ok("journals", "nothing is left in them"),
        (false, wal) if wal > WAL_BYTES_WORTH_SAYING => chart.note(
            "journals",
            format!("the WAL has {wal} bytes"),
            "the application never finishes a checkpoint",
            "look for a connection that reads for ever",
        ),
        (false, wal) => {
            chart.ok("journals", format!("the WAL has {wal} bytes; it is part of the database"))
        }
    }
    the_owner(device, seen, chart);
}

fn the_header(header: &HeaderFacts, chart: &mut Chart) {
    let mode = if header.wal { "WAL" } else { "rollback journal" };
    let (page, pages) = (header.page_bytes, header.pages);
    chart.ok(
        "header",
        format!(
            "{pages} pages of {page} bytes, {mode}, user_version {}, application_id {}",
            header.user_version, header.application_id
        ),
    );
    if header.sqlite > version_number() {
        let what =
            format!("last written by SQLite {}, this one is {}", header.sqlite, version_number());
        chart.note(
            "sqlite",
            what,
            "a schema with newer words may look corrupt to this firmware",
            "boot the newer firmware where something cannot be read",
        );
    }
    let free = header.free_pages.saturating_mul(page);
    if header.free_pages.saturating_mul(100) > pages.saturating_mul(FREE_PERCENT_WORTH_SAYING) {
        let repair = "a migration with `-- bootmigrate: no-transaction` and VACUUM";
        chart.note(
            "free pages",
            format!("{} of {pages} hold nothing: {free} bytes", header.free_pages),
            "they are used again; the file does not shrink by itself",
            repair,
        );
    } else {
        chart.ok("free pages", format!("{} of {pages}", header.free_pages));
    }
}

fn the_owner(device: &Device<'_>, seen: &Outside, chart: &mut Chart) {
    let Some((main, folder)) = seen.files.main.zip(seen.folder) else { return };
    let what = format!(
        "{}:{}, mode {:04o}; its folder {}:{}, mode {:04o}",
        main.uid, main.gid, main.mode, folder.uid, folder.gid, folder.mode
    );
    if main.links > 1 {
        chart.note(
            "owner",
            format!("the file has {} names (hard links)", main.links),
            "a swap would split them, so none is done",
            "remove the other names",
        );
    }
    if main.uid == folder.uid || folder.mode & 0o022 != 0 {
        chart.ok("owner", what);
    } else {
        let means = "SQLite makes its journal in the folder: an application that is not its owner \
                     cannot write";
        chart.note("owner", what, means, "give folder and file to the same user");
    }
    let Some(mount) = &device.settings.require_mount else { return };
    match device.not_mounted(mount) {
        Some(why) => {
            let (means, repair) = match why {
                MissingMount::NotMounted(_) => {
                    ("what is there now is not the data partition", "mount it, then run again")
                }
                MissingMount::Unseen(..) => (
                    "every run refuses, for it may not be the data partition",
                    "mount /proc, then run again",
                ),
            };
            chart.problem(18, "mount", why.to_string(), means, repair);
        }
        None => chart.ok("mount", format!("{}", mount.display())),
    }
}
