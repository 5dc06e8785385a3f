//! Owns bringing rows where the old database's schema, or its header, is gone: its pages are read by the fresh database's schema.
//! Promises: a table keeps what the migrations filled in until a row of its own comes; what cannot be counted is said.
//! Never asks SQLite about the old file.

use super::by_page::{pages_of, trees_of, Reader};
use super::virtual_tables::VirtualRows;
use super::{enough, has_room_to_sort, is_carried, lines, orphans, targets, Rows, Way, OP};
use crate::device::sqlite::by_page::Place;
use crate::device::sqlite::late::Late;
use crate::device::sqlite::pour::RowCounts;
use crate::device::sqlite::rows::Table;
use crate::device::sqlite::virtual_tables::Content;
use crate::device::sqlite::Database;
use crate::device::{progress, Device};
use crate::error::Failure;
use crate::ops::virtual_tables::rebuild;
use crate::ops::wal::log_of;

/// Fills a fresh database by the old one's pages. `why` its schema cannot be read.
///
/// # Errors
/// Damaged where too little can be read; as `read`, and as SQLite.
pub fn pour_without_schema(
    device: &Device<'_>,
    fresh: &Database,
    rows: &Rows<'_>,
    why: &Failure,
) -> Result<VirtualRows, Failure> {
    let history = &device.settings.history_table;
    progress::begin(&format!("{}: carrying over what its pages hold", device.settings.name));
    let log = log_of(device, OP)?;
    let Some(pages) = pages_of(device, rows, log.as_deref())? else {
        enough(rows.carry.least, &[])?;
        return Ok(nothing(why));
    };
    let roots = Reader::roots(&pages)?;
    let mut trees = trees_of(device, fresh)?;
    for tree in trees.iter_mut().skip(1) {
        // Of a version that is not known, columns of the same name may mean something else.
        let named = |name: &str| {
            !rows.carry.all_aside && !tree.is_index && name.eq_ignore_ascii_case(&tree.table)
        };
        let root = roots.iter().find(|(name, _)| named(name));
        tree.root = root.map_or(0, |(_, root)| *root);
    }
    let mut reader = Reader::new(pages, &trees)?;
    reader.unclear = rows.carry.all_aside;
    let made = fresh.ordinary_tables(OP, history)?;
    let (mut ways, mut late) = (Vec::new(), Late::default());
    let mut carried: Vec<&Table> =
        made.iter().filter(|table| is_carried(rows, &table.name)).collect();
    carried.sort_by_key(|table| table.is_kept_by_key());
    let (names, pages) = fresh.aside_each(OP, &carried)?;
    for (table, aside) in carried.into_iter().zip(names) {
        let keep = !rows.carry.all_aside && !rows.aside.contains(&table.name);
        if keep && has_room_to_sort(device, rows.main.stat.size) {
            late.extend(fresh.take_plain_indexes(OP, table)?);
        }
        let poured =
            reader.pour(Place { into: fresh, op: OP, table, keep, seeded: true, aside: &aside })?;
        ways.push(Way {
            table,
            keep,
            seeded: poured.kept == 0,
            aside,
            poured,
            by_index: 0,
            lines: Vec::new(),
        });
    }
    let rest = reader.give_the_rest(fresh, history, pages, &mut targets(&mut ways))?;
    let found = rest.found() || ways.iter().any(|way| way.poured.kept + way.poured.aside > 0);
    let unread = reader.unread_pages()?;
    if !found {
        ways.iter_mut().for_each(|way| way.poured.unread = true);
    }
    enough(rows.carry.least, &ways)?;
    orphans(fresh, &made, &mut ways)?;
    fresh.make_late_indexes(OP, late)?;
    // Pages that its tree does not lead to came from elsewhere, or are among those that are counted below.
    let counted = |way: &mut Way<'_>| way.poured = RowCounts { unread: false, ..way.poured };
    ways.iter_mut().for_each(counted);
    let mut brought =
        VirtualRows { lost: ways.iter().flat_map(lines).collect(), notes: Vec::new() };
    if !found {
        return Ok(nothing(why));
    }
    rest.tell(&mut brought.lost, &mut brought.notes);
    match unread {
        0 => {}
        1 => {
            brought.lost.push("an unknown number of rows on 1 page that cannot be read".to_owned())
        }
        pages => brought
            .lost
            .push(format!("an unknown number of rows on {pages} pages that cannot be read")),
    }
    let others = made.iter().filter(|table| !is_carried(rows, &table.name));
    brought
        .lost
        .extend(others.map(|table| format!("rows of {}, which cannot be counted", table.name)));
    virtual_tables(fresh, &mut brought)?;
    brought.notes.push(format!(
        "rows were read from pages, because the schema cannot be read ({})",
        why.cause
    ));
    Ok(brought)
}

fn nothing(why: &Failure) -> VirtualRows {
    let lost =
        vec![format!("all rows of the old database, whose schema cannot be read ({})", why.cause)];
    VirtualRows { lost, notes: Vec::new() }
}

/// An index of another table's text is built again; what a module keeps itself is not looked for.
fn virtual_tables(fresh: &Database, brought: &mut VirtualRows) -> Result<(), Failure> {
    fresh.defensive(OP, false)?;
    for table in fresh.virtual_tables(OP)? {
        let name = &table.name;
        match &table.content {
            Content::External(_) if rebuild(fresh, &table)? => {}
            Content::Elsewhere => {}
            _ => brought
                .lost
                .push(format!("rows of the virtual table {name}, which cannot be counted")),
        }
    }
    fresh.defensive(OP, true)
}
