//! Owns the version of a database whose schema cannot be read: by the rows of its history, wherever they lie.
//! Promises: a version only where every row that was found is one of this firmware's, and none before it is missing.
//! Never asks SQLite about the file.

use crate::device::disk::{Op, Open};
use crate::device::files::MainFile;
use crate::device::history::Applied;
use crate::device::pages::bits::Bits;
use crate::device::pages::record::{self, Value};
use crate::device::pages::unreached::Unreached;
use crate::device::pages::{Pages, Source};
use crate::device::Device;
use crate::error::Failure;
use crate::ops::wal::misfit;

const OP: Op = Op("look for the history");

/// Columns of refinery's table, and of ours beside it.
const REFINERYS_COLUMNS: usize = 4;
const OUR_COLUMNS: usize = 7;

/// Rows of a page that are of a history.
enum Page {
    /// Every row is one of this firmware's migrations.
    Ours(Vec<i64>),
    /// Some are, and others are not.
    Mixed,
    /// None is.
    Other,
}

/// The highest version that is recorded; `None` where nothing is, or what there is does not fit this firmware. And whether there are rows
/// that no version is known of.
///
/// # Errors
/// As `open` and `read`; interrupted.
pub(super) fn version(device: &Device<'_>, main: &MainFile) -> Result<(Option<i64>, bool), Failure> {
    // Rows of two times: neither what stood in main nor what the log goes on from is there as a whole.
    if misfit(device, main)?.is_some() {
        return Ok((None, false));
    }
    let path = device.files.wal();
    let failed = |error: std::io::Error| Failure::io(OP, &path, &error);
    let logged = device.disk().stat(&path).map_err(failed)?.is_some_and(|stat| stat.size > 0);
    let log = if logged { Some(device.disk().open(OP, &path, Open::Read).map_err(failed)?) } else { None };
    let source = Source { main: &*main.file, log: log.as_deref(), path: &device.files.main, op: OP, stop: &device.environment.stop };
    let Some(pages) = Pages::open(source)? else { return Ok((None, false)) };
    let free = pages.free_pages()?;
    let (mut found, mut mixed, mut others) = (Vec::new(), false, false);
    pages.each_unreached(&mut pages.bits(), &free, &mut |page, used| {
        match history_rows(device, &pages, page, used)? {
            Page::Ours(versions) => found.extend(versions),
            Page::Mixed => mixed = true,
            Page::Other => others |= page.records.sound && !page.node.is_of_index(),
        }
        Ok(())
    })?;
    let version = found.iter().max().copied().filter(|_| !mixed);
    // A page of the history may be gone, but not one of its middle.
    let missing = |version: i64| device.catalog.migrations.iter().any(|ours| ours.version <= version && !found.contains(&ours.version));
    let version = version.filter(|version| !missing(*version));
    Ok((version, version.is_none() && others))
}

fn history_rows(device: &Device<'_>, pages: &Pages<'_>, page: &Unreached<'_>, used: &mut Bits) -> Result<Page, Failure> {
    let (mut ours, mut other, mut payload) = (Vec::new(), 0, Vec::new());
    for (index, number, types) in &page.records.found {
        if page.node.is_of_index() || !matches!(types.len(), REFINERYS_COLUMNS | OUR_COLUMNS) {
            return Ok(Page::Other);
        }
        let Some(cell) = page.node.cell(*index) else { continue };
        if !pages.payload(&cell.payload, used, &mut payload)? {
            continue;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(&pages.encoding().text(bytes)).into_owned();
        match version_of(device, *number, &record::values(&payload).unwrap_or_default(), &text) {
            Some(version) => ours.push(version),
            None => other += 1,
        }
    }
    Ok(match (ours.is_empty(), other) {
        (true, _) => Page::Other,
        (false, 0) => Page::Ours(ours),
        (false, _) => Page::Mixed,
    })
}

/// The version of a row that one of this firmware's migrations has left, in refinery's table or in ours.
fn version_of(device: &Device<'_>, number: i64, values: &[Value<'_>], text: &dyn Fn(&[u8]) -> String) -> Option<i64> {
    let at = |version: &Value<'_>| if let Value::Integer(version) = version { *version } else { number };
    match values {
        [version, Value::Text(name), _, Value::Text(checksum)] => {
            let row = Applied { version: at(version), name: text(name), checksum: text(checksum).parse().ok()? };
            device.catalog.find(row.version).filter(|ours| row.is(ours)).map(|_| row.version)
        }
        // A way back is as good as a checksum; without one the row could be anything.
        [version, Value::Integer(_), Value::Text(down), ..] if values.len() == OUR_COLUMNS => {
            let ours = device.catalog.find(at(version))?;
            ours.down.is_some_and(|own| own == text(down)).then_some(ours.version)
        }
        [version, Value::Integer(_), Value::Null, Value::Integer(_), ..] if values.len() == OUR_COLUMNS => {
            device.catalog.find(at(version)).filter(|ours| ours.down.is_none()).map(|ours| ours.version)
        }
        _ => None,
    }
}
