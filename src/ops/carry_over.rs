//! Owns bringing the old database's rows into the one that is built in its place: at its own
//! version, before what is pending.
//! Promises: a row is in its table, or in `lost_TABLE`, or counted among what was lost; never in
//! columns that mean something else.
//! Never writes to the old database, and never lets a trigger or a conflict clause change what was
//! there.

mod by_page;
mod corrected;
mod evidence;
mod no_schema;
pub mod virtual_tables;

use std::collections::BTreeSet;

use crate::decide::replacement::{Carry, Least};
use crate::device::disk::Op;
use crate::device::files::MainFile;
use crate::device::history;
use crate::device::memory::holds_temporary_data;
use crate::device::sqlite::by_page::Destination;
use crate::device::sqlite::findings::Findings;
use crate::device::sqlite::foreign::table_of;
use crate::device::sqlite::late::Late;
use crate::device::sqlite::pour::{Pour, RowCounts};
use crate::device::sqlite::rows::{LostTable, Table, LOST};
use crate::device::sqlite::{is_of_a_statement, Database};
use crate::device::{progress, Device};
use crate::error::{Class, Failure};
use crate::ops::index_rows::words;
use crate::ops::scratch::Scratch;
use crate::ops::wal::{log_of, misfit};
use by_page::{pages_of, trees_of, Reader, Rest, Target};
use corrected::{may_help, pour_past_the_header};
use virtual_tables::bring;

const OP: Op = Op("carry the rows over");
/// Lost where nobody can tell any more.
const DATA_DONE: &str = "which data migrations were done";

/// What became of one table's rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Brought {
    /// The old table; `lost_pages` for rows of pages whose table is not clear.
    pub table: String,
    /// Rows in the table.
    pub rows: u64,
    /// Rows put aside.
    pub aside: u64,
    /// Where those are.
    pub aside_in: String,
    /// Rows of pages that no tree leads to, among both.
    pub from_loose_pages: u64,
    /// Rows that an index alone knows, put aside without the values that it lacks.
    pub from_indexes: u64,
    /// Rows that are known to be missing; `None` where nobody knows how many.
    pub missing: Option<u64>,
}

/// What is brought into staging, from where.
pub struct Rows<'a> {
    /// The live file.
    pub main: &'a MainFile,
    /// What of it.
    pub carry: &'a Carry,
    /// Tables whose rows a migration does not work on: they go aside.
    pub aside: &'a BTreeSet<String>,
}

/// What came of filling a database with the old one's rows.
#[derive(Debug, Default)]
pub struct Filled {
    /// What of the old one is not in it, a line each.
    pub lost: Vec<String>,
    /// Worth knowing, a sentence each.
    pub notes: Vec<String>,
    /// Table by table.
    pub tables: Vec<Brought>,
}

/// Fills a fresh database, inside its transaction.
///
/// # Errors
/// Damaged where too little can be read; in use; else as SQLite.
pub fn fill(device: &Device<'_>, fresh: &Database, rows: &Rows<'_>) -> Result<Filled, Failure> {
    let old = device.sqlite().look_without_writing(OP, &device.files.main)?;
    // Nobody writes from here until it is closed; the swap checks whether another process did after
    // that.
    let bounded = if rows.carry.damaged {
        old.bound_values(OP, rows.main.stat.size).map(drop)
    } else {
        Ok(())
    };
    // The tables of virtual tables are written, and ordinary ones that only have such a name.
    let open = bounded.and_then(|()| fresh.defensive(OP, false));
    let filled = open.and_then(|()| fresh.triggers(OP, false)).and_then(|()| {
        let history = &device.settings.history_table;
        if !rows.carry.damaged {
            old.fit(OP)?;
        }
        match old.begin_exclusive(OP).and_then(|()| old.ordinary_tables(OP, history)) {
            // SQLite takes it for no database. What is written from here on is noticed before the
            // swap.
            Err(failure) if may_help(&failure) && rows.carry.damaged => {
                pour_past_the_header(device, fresh, rows, &failure)
            }
            found => found.and_then(|found| pour_all(device, &old, fresh, rows, &found)),
        }
    });
    old.rollback();
    let closed = old.close(OP);
    let triggers = fresh.triggers(OP, true).and(fresh.defensive(OP, true));
    let filled = filled.map_err(|failure| not_by_this(failure, rows))?;
    closed.and(triggers).map(|()| filled)
}

/// What SQLite does not take of our own statements has to do with these rows, and would fail so at
/// every boot: this repair cannot help, and the next one is asked.
fn not_by_this(mut failure: Failure, rows: &Rows<'_>) -> Failure {
    if rows.carry.damaged && is_of_a_statement(&failure) {
        failure.class = Class::Damaged;
    }
    failure
}

/// One table on its way.
struct Way<'a> {
    table: &'a Table,
    /// It takes rows.
    keep: bool,
    /// What the migrations filled in is there until its first row comes.
    seeded: bool,
    aside: LostTable,
    poured: RowCounts,
    /// Rows that only indexes know.
    by_index: u64,
    lines: Vec<String>,
}

fn pour_all(
    device: &Device<'_>,
    old: &Database,
    fresh: &Database,
    rows: &Rows<'_>,
    found: &[Table],
) -> Result<Filled, Failure> {
    let history = &device.settings.history_table;
    let findings = faults_of(old, rows.carry.damaged)?;
    for database in [old, fresh] {
        database.cache_of(OP, rows.main.stat.size, 2)?;
    }
    let tools = device.settings.baseline.as_ref().and_then(|adopt| table_of(&adopt.from));
    let is_tools = |table: &&Table| tools == Some(table.name.as_str());
    if let Some(table) = found.iter().find(is_tools) {
        // The other slot's firmware may still look for it.
        fresh.make_as_in(OP, old, table)?;
    }
    let (ours, others): (Vec<&Table>, Vec<&Table>) =
        found.iter().partition(|table| is_tools(table) || is_carried(rows, &table.name));
    let made = fresh.ordinary_tables(OP, history)?;
    let pour = Pour { from: old, into: fresh, stop: &device.environment.stop, op: OP };
    let (mut ways, late, rest) = ways_of(device, &pour, rows, ours, &made)?;
    if rows.carry.damaged {
        for way in &mut ways {
            way.take_index_rows(device, old, fresh, &findings)?;
        }
    }
    enough(rows.carry.least, &ways)?;
    orphans(fresh, &made, &mut ways)?;
    if !late.is_empty() {
        progress::begin(&format!(
            "{}: making the indexes of what was carried over",
            device.settings.name
        ));
        fresh.make_late_indexes(OP, late)?;
    }
    fresh.take_numbers_of(OP, old, is_carried(rows, "*") && !rows.carry.all_aside)?;
    let mut lost: Vec<String> = ways.iter().flat_map(lines).collect();
    lost.extend(take_over_data(old, fresh, rows)?);
    for table in others {
        match old.count_rows(OP, table)? {
            Some(0) => {}
            Some(count) => lost.push(format!("{} of {}", counted(count), table.name)),
            None => lost.push(format!("rows of {}, which cannot be counted", table.name)),
        }
    }
    let brought = bring(device, &pour, rows)?;
    lost.extend(brought.lost);
    let mut notes = brought.notes;
    rest.tell(&mut lost, &mut notes);
    let tables = tables(&ways, &rest);
    let of_two_times = if rows.carry.damaged { misfit(device, rows.main)? } else { None };
    if of_two_times.is_some() {
        lost.push("what was in the version of the file that its WAL belongs to".to_owned());
    } else if lost.is_empty() && (rest.partial || !findings.tables_are_whole()) {
        lost.push(
            "what its damaged pages may have held beside the rows that can be read".to_owned(),
        );
    }
    Ok(Filled { lost, notes, tables })
}

/// Every table's rows, on their way; the indexes that are made after them, and what came from pages
/// that no tree leads to.
fn ways_of<'a>(
    device: &Device<'_>,
    pour: &Pour<'_>,
    rows: &Rows<'_>,
    ours: Vec<&'a Table>,
    made: &[Table],
) -> Result<(Vec<Way<'a>>, Late, Rest), Failure> {
    let (old, fresh) = (pour.from, pour.into);
    let trees = if rows.carry.damaged { trees_of(device, old)? } else { Vec::new() };
    let log = if rows.carry.damaged { log_of(device, OP)? } else { None };
    // Pages of two times say nothing of each other.
    let of_one_time = rows.carry.damaged && misfit(device, rows.main)?.is_none();
    let pages = if of_one_time { pages_of(device, rows, log.as_deref())? } else { None };
    let mut reader = pages.map(|pages| Reader::new(pages, &trees)).transpose()?;
    // What stands on a page of a table that is kept by its key may be entries of an index: that is
    // asked of the other tables' rows.
    let mut ours = ours;
    ours.sort_by_key(|table| table.is_kept_by_key());
    let (mut ways, mut late) = (Vec::new(), Late::default());
    let sorted = has_room_to_sort(device, rows.main.stat.size);
    // Before any index is taken away, whose name would be free meanwhile.
    let (names, pages) = fresh.aside_each(OP, &ours, rows.carry.version, names_to_come(device)?)?;
    for (table, aside) in ours.into_iter().zip(names) {
        progress::begin(&format!("{}: carrying over {}", device.settings.name, table.name));
        let same = made
            .iter()
            .find(|one| one.name.eq_ignore_ascii_case(&table.name))
            .filter(|one| one.has_the_columns_of(table));
        let keep = same.is_some() && !rows.carry.all_aside && !rows.aside.contains(&table.name);
        if keep {
            // What the migrations filled in is in the old one as the application left it.
            fresh.empty(OP, table)?;
            if sorted {
                late.extend(fresh.take_plain_indexes(OP, table)?);
            }
        }
        let mut poured = match reader.as_mut().filter(|reader| reader.knows(table)) {
            Some(reader) => reader.pour(Destination {
                into: fresh,
                op: OP,
                table,
                keep,
                seeded: false,
                aside: &aside,
            })?,
            None => pour.pour(table, keep, &aside)?,
        };
        if poured.is_partial() && !poured.uncountable && poured.known.is_none() {
            poured.known = old.count_rows(OP, table)?;
        }
        ways.push(Way::new(table, keep, false, aside, poured));
    }
    let rest = match &mut reader {
        Some(reader) => reader.give_the_rest(
            fresh,
            &device.settings.history_table,
            pages,
            &mut targets(&mut ways),
        )?,
        None => Rest::default(),
    };
    Ok((ways, late, rest))
}

/// Where the rows of pages go that no tree leads to.
fn targets<'w>(ways: &'w mut [Way<'_>]) -> Vec<Target<'w>> {
    let target = |way: &'w mut Way<'_>| Target {
        table: way.table,
        keep: way.keep,
        seeded: way.seeded,
        aside: &way.aside,
        counts: &mut way.poured,
    };
    ways.iter_mut().map(target).collect()
}

/// What is wrong with the old file, as far as it is asked, and what of it this firmware cannot
/// compute.
fn faults_of(old: &Database, damaged: bool) -> Result<Findings, Failure> {
    // It is read only: what the application has and this firmware does not decides no row.
    let not_computed = old.stand_in_for_reading(OP)?;
    let mut findings = match damaged.then(|| old.integrity_check(OP)) {
        // A check that cannot begin says nothing of a single table.
        Some(Err(failure)) if failure.class == Class::Damaged => Findings::default(),
        Some(findings) => findings?,
        None => Findings::default(),
    };
    findings.0.extend(not_computed.0);
    Ok(findings)
}

/// Indexes that are made after the rows are sorted in memory, or where SQLite's temporary files go:
/// beside the copy, or on another partition.
fn has_room_to_sort(device: &Device<'_>, size: u64) -> bool {
    holds_temporary_data(size)
        || device.temporary_space().is_ok_and(|space| space.available / 2 >= size)
}

impl<'a> Way<'a> {
    fn new(
        table: &'a Table,
        keep: bool,
        seeded: bool,
        aside: LostTable,
        poured: RowCounts,
    ) -> Way<'a> {
        Way { table, keep, seeded, aside, poured, by_index: 0, lines: Vec::new() }
    }

    /// Rows that only indexes of the old table know go aside.
    fn take_index_rows(
        &mut self,
        device: &Device<'_>,
        old: &Database,
        fresh: &Database,
        findings: &Findings,
    ) -> Result<(), Failure> {
        let mut found = old.index_rows(OP, self.table, findings, &device.environment.stop)?;
        if self.keep {
            // SQLite does not come to what the pages gave back.
            found.forget_held_by(fresh)?;
        }
        found.put_aside(fresh, &self.aside)?;
        self.by_index = found.absent;
        self.lines = words(&found, Some(&self.aside));
        Ok(())
    }
}

/// What was done to the rows must not be done twice. A line where that can not be read any more.
fn take_over_data(
    old: &Database,
    fresh: &Database,
    rows: &Rows<'_>,
) -> Result<Option<String>, Failure> {
    if rows.carry.all_aside {
        return Ok(None);
    }
    match history::data::take_over(old, fresh, OP) {
        Err(failure) if matches!(failure.class, Class::Damaged | Class::Catalogue) => {
            Ok(Some(DATA_DONE.to_owned()))
        }
        done => done.map(|()| None),
    }
}

/// Its rows are asked for; what an earlier time put aside of a table goes with that table.
fn is_carried(rows: &Rows<'_>, name: &str) -> bool {
    let is_asked_for = |name: &str| {
        rows.carry.tables.iter().any(|table| table == "*" || table.eq_ignore_ascii_case(name))
    };
    is_asked_for(name) || origins_of(name).into_iter().flatten().any(is_asked_for)
}

/// Of this firmware's schema, which migrations may still make.
fn names_to_come(device: &Device<'_>) -> Result<Vec<String>, Failure> {
    let schema = Scratch::schema_at(device, device.catalog.target())?.unwrap_or_default();
    let name = |object: &String| object.split_once(' ').map(|(_, name)| name.to_owned());
    Ok(schema.objects().iter().filter_map(name).collect())
}

/// The tables that rows of this one may have been put aside of, by its name: `lost_NAME`, or
/// `lost_NAME_2`.
fn origins_of(name: &str) -> [Option<&str>; 2] {
    let of = name
        .split_at_checked(LOST.len())
        .filter(|(lost, _)| lost.eq_ignore_ascii_case(LOST))
        .map(|(_, of)| of);
    let numbered = |of: &'_ str| {
        let base = of.trim_end_matches(|digit: char| digit.is_ascii_digit());
        base.strip_suffix('_').filter(|_| base.len() < of.len()).map(str::len)
    };
    [of, of.and_then(|of| of.get(..numbered(of)?))]
}

fn enough(least: Least, ways: &[Way<'_>]) -> Result<(), Failure> {
    let brought = |way: &Way<'_>| way.poured.kept + way.poured.aside > 0;
    let too_little = match least {
        Least::Nothing => None,
        Least::Row
            if ways.iter().any(|way| way.poured.is_partial()) && !ways.iter().any(brought) =>
        {
            Some("no row can be read".to_owned())
        }
        Least::Row => None,
        Least::RowOfEach => {
            let bare = ways.iter().find(|way| way.poured.is_partial() && !brought(way));
            bare.map(|way| format!("no row of {} can be read", way.table.name))
        }
    };
    too_little.map_or(Ok(()), |cause| Err(Failure::new(Class::Damaged, OP, cause)))
}

/// Rows whose parent was not brought go aside, until none is left; those of the fresh database
/// itself just go.
fn orphans(fresh: &Database, made: &[Table], ways: &mut [Way<'_>]) -> Result<(), Failure> {
    loop {
        let mut taken = 0;
        for table in made {
            let way = ways.iter_mut().find(|way| way.table.name.eq_ignore_ascii_case(&table.name));
            let now = fresh.take_orphans(OP, table, way.as_ref().map(|way| &way.aside))?;
            if let Some(way) = way {
                way.poured.kept = way.poured.kept.saturating_sub(now);
                way.poured.aside += now;
            }
            taken += now;
        }
        if taken == 0 {
            return Ok(());
        }
    }
}

/// What became of each table.
fn tables(ways: &[Way<'_>], rest: &Rest) -> Vec<Brought> {
    ways.iter().map(Brought::of).chain(rest.brought()).collect()
}

impl Brought {
    fn of(way: &Way<'_>) -> Brought {
        let poured = way.poured;
        let brought = poured.kept + poured.aside + way.by_index;
        Brought {
            table: way.table.name.clone(),
            rows: poured.kept,
            aside: poured.aside,
            aside_in: if poured.aside + way.by_index > 0 {
                way.aside.name.clone()
            } else {
                String::new()
            },
            from_loose_pages: poured.unreached,
            from_indexes: way.by_index,
            missing: match poured.known {
                Some(known) => Some(known.saturating_sub(brought)),
                None => (!poured.unread).then_some(poured.bad),
            },
        }
    }
}

/// What of a table is not in it.
fn lines(way: &Way<'_>) -> Vec<String> {
    let (name, poured) = (&way.table.name, way.poured);
    let mut lines = way.lines.clone();
    // What an earlier time put aside, and nothing but that, is where it was.
    if poured.aside > 0 && way.aside.name != *name {
        lines.push(format!("{} of {name} (in {})", counted(poured.aside), way.aside.name));
    }
    let brought = poured.kept + poured.aside + way.by_index;
    match poured.known {
        Some(known) if poured.is_partial() && known > brought => {
            lines.push(format!("{} of {name} that cannot be read", counted(known - brought)))
        }
        // No row is missing, or those that only the index knows are all that is.
        Some(known) if known <= brought => {}
        _ if poured.unread => {
            lines.push(format!("an unknown number of rows of {name} that cannot be read"))
        }
        _ if poured.bad > 0 => {
            lines.push(format!("{} of {name} that cannot be read", counted(poured.bad)))
        }
        _ => {}
    }
    lines
}

fn counted(rows: u64) -> String {
    format!("{rows} row{}", if rows == 1 { "" } else { "s" })
}
