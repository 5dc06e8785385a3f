//! Owns what `doctor` finds inside: the pages, the history, rows that were put aside, the schema.
//! Promises: reads beside running applications; what cannot be read now is a note.
//! Never calls a schema damaged for what this firmware does not have.

use super::Chart;
use crate::device::Device;
use crate::error::exit;
use crate::ops::examine::{inside, Inside, Outside};

pub(super) fn the_content(device: &Device<'_>, seen: &Outside, full: bool, chart: &mut Chart) {
    if seen.header.is_none() {
        return;
    }
    let budget = if full { u64::MAX } else { u64::from(device.settings.quick_check_max_mib) << 20 };
    match inside(device, seen, budget) {
        Ok(inside) => the_pages(device, &inside, chart),
        Err(failure) => chart.note(
            "integrity",
            format!("it cannot be read now: {failure}"),
            "somebody holds it, or a journal must be recovered first",
            "stop the applications, then ask again",
        ),
    }
}

fn the_pages(device: &Device<'_>, inside: &Inside, chart: &mut Chart) {
    match &inside.wrong {
        Err(why) => {
            chart.note("integrity", format!("not checked: {why}"), "nothing is known about its \
                pages", "`bootmigrate doctor --full`")
        }
        Ok(rows) if rows.is_empty() && inside.notes.is_empty() => chart.ok("integrity", "every page and index is whole"),
        Ok(rows) if rows.is_empty() => chart.note(
            "integrity",
            format!("every page is whole; {}", inside.notes.join("; ")),
            "no damage: the application has what this firmware does not, or has left an index that \
             does not fit its text",
            "Migrator::on_connection registers what is missing; `INSERT INTO t(t) VALUES \
             ('rebuild')` builds a full-text index again",
        ),
        Ok(rows) => {
            let repair = format!("copy the file for support, then `bootmigrate run \
                                  --purge-and-retry --db {}`", device.settings.name);
            let what = format!("{} findings, the first: {}", rows.len(), rows.first().map_or("", String::as_str));
            chart.problem(exit::DAMAGED.code, "integrity", what, "rows may be lost; on_damage says \
                what is tried first", &repair);
        }
    }
    match inside.contradictions.as_slice() {
        [] => chart.ok(
            "history",
            format!("{} migrations, each as this firmware has it", inside.history.len()),
        ),
        found => chart.note(
            "history",
            found.join("; "),
            "the database was made by other migrations than this firmware's",
            "see `next boot` above; a firmware with the migrations of the history fits",
        ),
    }
    if !inside.aside.is_empty() {
        let what = inside.aside.join(", ");
        let means = "rows that had no place in their tables when the database was rebuilt";
        let advice = format!(
            "`bootmigrate lost list` says why; `bootmigrate lost retry --db {}` gives back what \
             fits",
            device.settings.name
        );
        chart.note("aside", what, means, &advice);
    }
    match inside.drift.as_slice() {
        [] => chart.ok(
            "schema",
            format!("as the {} migrations of its history make it", inside.history.len()),
        ),
        drift => chart.note(
            "schema",
            drift.join("; "),
            "somebody changed the schema by hand, or an old tool left it; a later migration may \
             fail on it",
            "a migration that puts it right; nothing is done by itself",
        ),
    }
}
