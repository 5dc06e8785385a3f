//! Owns bringing rows where the old database's schema, or its header, is gone: its pages are read
//! by the fresh database's schema.
//! Promises: a table keeps what the migrations filled in until a row of its own comes; rows of a
//! table that the migrations do not make go aside; what cannot be counted is said.
//! Never asks SQLite about the old file.

use super::by_page::{pages_of, trees_of, NamedTable, Reader};
use super::{
    enough, has_room_to_sort, is_carried, lines, names_to_come, orphans, tables, targets, Filled,
    Rows, Way, DATA_DONE, OP,
};
use crate::device::pages::header::numbers;
use crate::device::sqlite::by_page::shapes::KnownTree;
use crate::device::sqlite::by_page::Destination;
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
) -> Result<Filled, Failure> {
    let history = &device.settings.history_table;
    progress::begin(&format!("{}: carrying over what its pages hold", device.settings.name));
    let log = log_of(device, OP)?;
    let Some(pages) = pages_of(device, rows, log.as_deref())? else {
        enough(rows.carry.least, &[])?;
        return Ok(Filled { lost: vec![nothing(why)], ..Filled::default() });
    };
    let named = Reader::named_tables(&pages)?;
    let mut trees = rooted_trees(device, fresh, rows, &named)?;
    let own = own_tables(device, fresh, &named, &mut trees)?;
    let mut reader = Reader::new(pages, &trees)?;
    reader.unclear = rows.carry.all_aside;
    reader.schema_gone = true;
    let made = fresh.ordinary_tables(OP, history)?;
    let (mut ways, mut late) = (Vec::new(), Late::default());
    let mut carried: Vec<&Table> =
        made.iter().chain(&own.tables).filter(|table| is_carried(rows, &table.name)).collect();
    carried.sort_by_key(|table| table.is_kept_by_key());
    let (names, pages) =
        fresh.aside_each(OP, &carried, rows.carry.version, names_to_come(device)?)?;
    for (table, aside) in carried.into_iter().zip(names) {
        let is_own = own.tables.iter().any(|one| one.name == table.name);
        let keep = !is_own && !rows.carry.all_aside && !rows.aside.contains(&table.name);
        if keep && has_room_to_sort(device, rows.main.stat.size) {
            late.extend(fresh.take_plain_indexes(OP, table)?);
        }
        let to = Destination { into: fresh, op: OP, table, keep, seeded: true, aside: &aside };
        let poured = reader.pour(to)?;
        ways.push(Way::new(table, keep, poured.kept == 0, aside, poured));
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
    take_header_numbers(fresh, rows)?;
    let tables = tables(&ways, &rest);
    // Pages that its tree does not lead to came from elsewhere, or are among those that are counted
    // below.
    let counted = |way: &mut Way<'_>| way.poured = RowCounts { unread: false, ..way.poured };
    ways.iter_mut().for_each(counted);
    let mut brought =
        Filled { lost: ways.iter().flat_map(lines).collect(), notes: Vec::new(), tables };
    if !found {
        brought.lost = vec![nothing(why)];
        return Ok(brought);
    }
    rest.tell(&mut brought.lost, &mut brought.notes);
    brought.lost.extend(on_unread(unread));
    brought.lost.extend(own.lost);
    brought.lost.extend(data_migrations(device, rows));
    let others = made.iter().chain(&own.tables).filter(|table| !is_carried(rows, &table.name));
    brought.lost.extend(others.map(|table| uncounted(&table.name)));
    virtual_tables(fresh, &mut brought)?;
    brought.notes.push(format!(
        "rows were read from pages, because the schema cannot be read ({})",
        why.cause
    ));
    Ok(brought)
}

/// The table that tells which were done is not looked for on pages.
fn data_migrations(device: &Device<'_>, rows: &Rows<'_>) -> Option<String> {
    (!device.catalog.data.is_empty() && !rows.carry.all_aside).then(|| DATA_DONE.to_owned())
}

/// As far as what is left of the old header has them.
fn take_header_numbers(fresh: &Database, rows: &Rows<'_>) -> Result<(), Failure> {
    let wanted = is_carried(rows, "*") && !rows.carry.all_aside;
    let numbers = numbers(&rows.main.header).filter(|_| wanted);
    numbers.map_or(Ok(()), |numbers| fresh.take_numbers(OP, numbers))
}

/// The trees of the fresh database's schema, each with the first page that the old one names.
fn rooted_trees(
    device: &Device<'_>,
    fresh: &Database,
    rows: &Rows<'_>,
    named: &[NamedTable],
) -> Result<Vec<KnownTree>, Failure> {
    let mut trees = trees_of(device, fresh)?;
    for tree in trees.iter_mut().skip(1) {
        // Of a version that is not known, columns of the same name may mean something else.
        let its = |one: &&NamedTable| {
            !rows.carry.all_aside && !tree.is_index && one.name.eq_ignore_ascii_case(&tree.table)
        };
        tree.root = named.iter().find(its).map_or(0, |one| one.root);
    }
    Ok(trees)
}

/// What the old schema names and the migrations do not make.
struct Own {
    tables: Vec<Table>,
    /// What of it cannot be brought, a line each.
    lost: Vec<String>,
}

/// Tables of which the text is left, each with its trees among the others.
fn own_tables(
    device: &Device<'_>,
    fresh: &Database,
    named: &[NamedTable],
    trees: &mut Vec<KnownTree>,
) -> Result<Own, Failure> {
    let scratch = device.sqlite().scratch(OP)?;
    let mut lost = Vec::new();
    let is_ours = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.starts_with("sqlite_") || name.starts_with("bootmigrate_")
    };
    for one in named.iter().filter(|one| !is_ours(&one.name)) {
        if fresh.has_object(OP, &one.name)? || scratch.has_object(OP, &one.name)? {
            continue;
        }
        if one.root == 0 {
            lost.push(format!("rows of the virtual table {}, which cannot be counted", one.name));
        } else if !scratch.make_table(&one.text) {
            lost.push(uncounted(&one.name));
        }
    }
    for mut tree in scratch.known_trees(OP)?.into_iter().skip(1) {
        let its = |one: &&NamedTable| !tree.is_index && one.name == tree.table;
        tree.root = named.iter().find(its).map_or(0, |one| one.root);
        if !is_ours(&tree.table) {
            trees.push(tree);
        }
    }
    let tables = scratch.ordinary_tables(OP, &device.settings.history_table)?;
    scratch.close(OP)?;
    Ok(Own { tables, lost })
}

fn uncounted(table: &str) -> String {
    format!("rows of {table}, which cannot be counted")
}

/// A line for pages that cannot be read.
fn on_unread(pages: u64) -> Option<String> {
    match pages {
        0 => None,
        1 => Some("an unknown number of rows on 1 page that cannot be read".to_owned()),
        pages => Some(format!("an unknown number of rows on {pages} pages that cannot be read")),
    }
}

fn nothing(why: &Failure) -> String {
    format!("all rows of the old database, whose schema cannot be read ({})", why.cause)
}

/// An index of another table's text is built again; what a module keeps itself is not looked for.
fn virtual_tables(fresh: &Database, brought: &mut Filled) -> Result<(), Failure> {
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
