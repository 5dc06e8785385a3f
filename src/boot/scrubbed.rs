//! Owns what a boot says of the last scrub, and when its note goes.
//! Promises: a note of something wrong stays until a boot has looked for it and the database is
//! usable.
//! Never looks at the database itself.

use crate::device::clock::rfc3339;
use crate::device::Device;
use crate::ops::scrub::ScrubNote;
use crate::report::DatabaseReport;

/// What a scrub had found was looked for; before an upgrade an operator wants to know how old the
/// knowledge is that the file is whole.
///
/// `looked_for`: everything was checked, or another file has taken the place.
pub fn tell(device: &Device<'_>, note: &ScrubNote, looked_for: bool, report: &mut DatabaseReport) {
    if let Some(found) = &note.found {
        report.notes.push(format!("a scrub had found: {found}"));
        if !report.usable || !looked_for {
            return;
        }
        if let Err(failure) = ScrubNote::forget(device) {
            log::warn!("{}: {failure}; the next boot looks again.", device.settings.name);
        }
    } else if let Some(ended) = note.ended.filter(|_| !report.applied.is_empty()) {
        report
            .notes
            .push(format!("before it a scrub had ended well, in the week from {}", rfc3339(ended)));
    }
}
