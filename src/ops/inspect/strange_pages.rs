//! Owns the question whether each table has its own pages, which SQLite's check does not ask.
//! Promises: a page of another table or of an index is found by the keys around it, by what its
//! rows look like, or by the rows of its index.
//! Never says more than that there is one.

use crate::device::disk::Op;
use crate::device::files::MainFile;
use crate::device::pages::unreached::Records;
use crate::device::pages::{PageSource, Pages};
use crate::device::sqlite::by_page::indexed::{Entries, Indexed};
use crate::device::sqlite::by_page::shapes::KnownTree;
use crate::device::sqlite::Database;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::at_home::{Habits, Homes};
use crate::ops::wal::log_of;

const OP: Op = Op("prove the damage");

/// A page of a table is not where its rows belong, or a table's page stands in an index.
///
/// # Errors
/// As `read`, and as SQLite, but for corruption.
pub(super) fn has_strange_pages(
    device: &Device<'_>,
    database: &Database,
    main: &MainFile,
) -> Result<bool, Failure> {
    let trees = match database.known_trees(OP) {
        // A schema that cannot be read has said so already.
        Err(failure) if failure.class == Class::Damaged => return Ok(true),
        trees => trees?,
    };
    let log = log_of(device, OP)?;
    let source = PageSource {
        main: &*main.file,
        log: log.as_deref(),
        path: &device.files.main,
        op: OP,
        stop: &device.environment.stop,
    };
    let Some(pages) = Pages::open(source)? else { return Ok(true) };
    let encoding = pages.encoding();
    let mut indexed = Indexed::new(database, OP, &trees, encoding);
    let is_kept_by_key =
        |tree: &KnownTree, records: &Records| tree.is_kept_by_key() && records.fit(&tree.shape);
    let habits = Habits::default();
    let homes = Homes { pages: &pages, trees: &trees, habits: &habits };
    let (mut used, mut strange) = (pages.bits(), false);
    for tree in &trees {
        if strange {
            break;
        }
        let faults = pages.walk(tree.tree(encoding), &mut used, &mut |met, _| {
            let records = Records::of(&met.node);
            let at_home = homes.is_at_home(met, &records, tree)?;
            // An index is built again: its own pages do not matter, but one that a table may miss
            // does.
            let asked = if tree.is_index {
                !at_home && trees.iter().any(|other| is_kept_by_key(other, &records))
            } else {
                tree.is_kept_by_key() && at_home
            };
            let entries = asked
                && if tree.is_index {
                    indexed.judge(&met.node, &records)? == Entries::All
                } else {
                    homes.are_entries(met, &records, tree, &mut indexed)?
                };
            strange |= if tree.is_index { asked && !entries } else { !at_home || entries };
            Ok(at_home && !strange)
        })?;
        // Where an index has a page with rows, a table lacks it.
        strange |= if tree.is_index { !faults.of_other_kind.is_empty() } else { faults.any() };
    }
    Ok(strange)
}
