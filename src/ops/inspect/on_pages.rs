//! Owns the version of a database whose schema cannot be read: by the rows of its history, wherever
//! they lie.
//! Promises: a version only where every row that was found is one of this firmware's, none before
//! it is missing, and none can follow.
//! Never asks SQLite about the file.

use std::collections::BTreeSet;

use crate::catalog::Catalog;
use crate::device::disk::Op;
use crate::device::files::MainFile;
use crate::device::pages::bits::Bits;
use crate::device::pages::free::FreePages;
use crate::device::pages::node::PageKind;
use crate::device::pages::record;
use crate::device::pages::unreached::Unreached;
use crate::device::pages::{PageSource, Pages};
use crate::device::Device;
use crate::error::Failure;
use crate::ops::history_rows::{is_our_format, HistoryRow, OUR_COLUMNS, REFINERYS_COLUMNS};
use crate::ops::wal::{log_of, misfit};

const OP: Op = Op("look for the history");

/// Bytes of a row of refinery's table beside its name: a version, a time, a checksum, and what the
/// page has of it.
const ROW_BYTES: usize = 72;

/// What the pages say of the history.
#[derive(Default)]
struct Found {
    /// Versions that refinery's rows, or a way back, speak for.
    applied: BTreeSet<i64>,
    /// Versions of rows that could be another table's.
    plausible: BTreeSet<i64>,
    /// A page of our own table says that the database is one of ours.
    ours: bool,
    /// A page has rows of this firmware's and others, or of another firmware's.
    mixed: bool,
    /// A page has rows that are of no history.
    others: bool,
    /// Leaves with rows of a history.
    leaves: Vec<Leaf>,
}

/// A page with rows of a history.
struct Leaf {
    page: u32,
    last: i64,
    /// Bytes that a further row could take; `None` on a page of our own table with ways back, which
    /// are of any size.
    room: Option<usize>,
}

/// The highest version that is recorded; `None` where nothing is, or what there is does not fit
/// this firmware. And whether there are rows that no version is known of.
///
/// # Errors
/// As `open` and `read`; interrupted.
pub(super) fn version(
    device: &Device<'_>,
    main: &MainFile,
) -> Result<(Option<i64>, bool), Failure> {
    // Rows of two times: neither what stood in main nor what the log goes on from is there as a
    // whole.
    if misfit(device, main)?.is_some() {
        return Ok((None, false));
    }
    let log = log_of(device, OP)?;
    let source = PageSource {
        main: &*main.file,
        log: log.as_deref(),
        path: &device.files.main,
        op: OP,
        stop: &device.environment.stop,
    };
    let Some(pages) = Pages::open(source)? else { return Ok((None, false)) };
    let free = pages.free_pages()?;
    let mut found = Found::default();
    pages.each_unreached(&mut pages.bits(), &free, &mut |page, used| {
        found.look(device.catalog, &pages, page, used)
    })?;
    let version = match found.version(device.catalog) {
        Some(version) if found.ends_with(device.catalog, &pages, &free, version)? => Some(version),
        _ => None,
    };
    Ok((version, version.is_none() && found.others))
}

impl Found {
    /// Adds what the rows of a page say.
    fn look(
        &mut self,
        catalog: &Catalog,
        pages: &Pages<'_>,
        page: &Unreached<'_>,
        used: &mut Bits,
    ) -> Result<(), Failure> {
        let (mut applied, mut plausible, mut others, mut payload) =
            (BTreeSet::new(), BTreeSet::new(), 0, Vec::new());
        let is_wide =
            |width: usize| page.records.found.iter().all(|(_, _, types)| types.len() == width);
        if page.node.is_of_index() && is_wide(2) {
            let cells = page.records.found.iter().filter_map(|(index, ..)| page.node.cell(*index));
            let mut rows = cells.filter_map(|cell| record::values(cell.payload.local));
            self.ours |= rows.any(|values| is_our_format(&values, pages.encoding()));
        }
        if page.node.is_of_index() || !(is_wide(REFINERYS_COLUMNS) || is_wide(OUR_COLUMNS)) {
            self.others |= page.records.sound && !page.node.is_of_index();
            return Ok(());
        }
        for (index, number, _) in &page.records.found {
            let Some(cell) = page.node.cell(*index) else { continue };
            if !pages.payload(&cell.payload, used, &mut payload)? {
                continue;
            }
            let values = record::values(&payload).unwrap_or_default();
            match HistoryRow::of(catalog, *number, &values, pages.encoding()) {
                HistoryRow::Applied(version) => drop(applied.insert(version)),
                HistoryRow::Plausible(version) => drop(plausible.insert(version)),
                HistoryRow::Foreign => self.mixed = true,
                HistoryRow::Other => others += 1,
            }
        }
        self.mixed |= others > 0 && !applied.is_empty();
        self.others |= page.records.sound && applied.is_empty();
        if others == 0 {
            let room = (is_wide(REFINERYS_COLUMNS) || applied.is_empty()).then(|| page.node.room());
            let last = applied.iter().chain(&plausible).max().copied();
            self.leaves.extend(last.map(|last| Leaf { page: page.page, last, room }));
            self.plausible.extend(plausible);
        }
        self.applied.extend(applied);
        Ok(())
    }

    /// The last version that something speaks for; a page of the history may be gone, but not one
    /// of its middle.
    fn version(&self, catalog: &Catalog) -> Option<i64> {
        // Where the file is known to be ours, and no row of refinery's is left, those of one page
        // of our table stand for all.
        let stands_in = |leaf: &Leaf| {
            self.ours
                && self.applied.is_empty()
                && leaf.last == self.plausible.last().copied().unwrap_or(0)
        };
        let version = match self.leaves.as_slice() {
            [leaf] if stands_in(leaf) => Some(leaf.last),
            _ => self.applied.last().copied(),
        };
        let version = version.filter(|_| !self.mixed)?;
        let known =
            |version: i64| self.applied.contains(&version) || self.plausible.contains(&version);
        let missing =
            catalog.migrations.iter().any(|ours| ours.version <= version && !known(ours.version));
        let later = self.plausible.last().is_some_and(|last| *last > version);
        (!missing && !later).then_some(version)
    }

    /// No page with later versions is lost: the last one that was found is the last below another
    /// page, or would have had room for a further row.
    fn ends_with(
        &self,
        catalog: &Catalog,
        pages: &Pages<'_>,
        free: &FreePages,
        version: i64,
    ) -> Result<bool, Failure> {
        let next = catalog
            .migrations
            .iter()
            .filter(|ours| ours.version >= version)
            .take(2)
            .map(|ours| ours.name.len())
            .max();
        // Text may take two bytes a letter.
        let needed = ROW_BYTES
            .saturating_add(next.unwrap_or(0))
            .saturating_mul(if pages.encoding().is_wide() { 2 } else { 1 });
        let leaves: Vec<&Leaf> = self.leaves.iter().filter(|leaf| leaf.last == version).collect();
        let (mut inside, mut last, mut bytes) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for page in 2..=pages.count {
            if free.pages.has(page) || !pages.read(page, &mut bytes)? {
                continue;
            }
            let Some(node) =
                pages.node(&bytes, page).filter(|node| node.kind == PageKind::TableInterior)
            else {
                continue;
            };
            let below = (0..node.cells).filter_map(|index| node.cell(index)).map(|cell| cell.child);
            inside.extend(below.filter(|child| leaves.iter().any(|leaf| leaf.page == *child)));
            last.insert(node.right());
        }
        let ends = |leaf: &&Leaf| match (inside.contains(&leaf.page), last.contains(&leaf.page)) {
            (true, _) => false,
            (false, true) => true,
            (false, false) => leaf.room.is_some_and(|room| room >= needed),
        };
        Ok(leaves.iter().any(ends))
    }
}

#[cfg(test)]
#[path = "on_pages_tests.rs"]
mod tests;
