//! Owns bringing rows page by page: each tree as far as it leads; `rest` has the pages that are
//! left.
//! Promises: a row whose number belongs on another page comes after the rows of that page.
//! Never takes a row of a page that its tree leads to for less than one of a page that it does not.

mod rest;

use super::{Rows, OP};
use crate::device::disk::File;
use crate::device::pages::bits::Bits;
use crate::device::pages::free::FreePages;
use crate::device::pages::keys::Ordered;
use crate::device::pages::record::{self, Value};
use crate::device::pages::tree::{Faults, Range, Tree};
use crate::device::pages::unreached::Records;
use crate::device::pages::{Encoding, PageSource, Pages};
use crate::device::sqlite::by_page::indexed::Indexed;
use crate::device::sqlite::by_page::shapes::KnownTree;
use crate::device::sqlite::by_page::{Destination, Evidence, PageRow, PageWriter};
use crate::device::sqlite::pour::RowCounts;
use crate::device::sqlite::rows::Table;
use crate::device::sqlite::Database;
use crate::device::Device;
use crate::error::Failure;
use crate::ops::at_home::{Habits, Homes};

pub use rest::{Rest, Target};

/// Pages with rows that belong elsewhere, of one table, that are told apart.
const LATE_MAX: usize = 100_000;

/// A damaged file and its trees.
pub struct Reader<'a> {
    pages: Pages<'a>,
    free: FreePages,
    /// Pages that belong to a tree, and what its rows use.
    used: Bits,
    trees: &'a [KnownTree],
    /// Of each tree; `None` before it was walked.
    faults: Vec<Option<Faults>>,
    habits: Habits,
    /// Of no page it can be said which table its rows belong to.
    pub unclear: bool,
    /// The schema is not known: a page that fits no table may be one of a table that it named.
    pub schema_gone: bool,
    /// Pages that others name and the file does not have.
    absent: u64,
}

/// A table, as what is left of the schema has it.
pub struct NamedTable {
    /// Its name.
    pub name: String,
    /// Its first page; 0 of a virtual one.
    pub root: u32,
    /// What made it.
    pub text: String,
}

impl NamedTable {
    /// Of a row of the schema; `None` of anything else than a table.
    fn of(values: &[Value<'_>], encoding: Encoding) -> Option<NamedTable> {
        let text = |value: &Value<'_>| match value {
            Value::Text(bytes) => Some(String::from_utf8_lossy(&encoding.text(bytes)).into_owned()),
            _ => None,
        };
        let [kind, name, _, Value::Integer(root), made] = values else { return None };
        (text(kind)? == "table").then_some(())?;
        let root = u32::try_from(*root).unwrap_or(0);
        Some(NamedTable { name: text(name)?, root, text: text(made).unwrap_or_default() })
    }
}

/// The old file, page by page; `None` where it cannot be found out how it is written.
///
/// # Errors
/// As `read`.
pub fn pages_of<'a>(
    device: &'a Device<'_>,
    rows: &'a Rows<'_>,
    log: Option<&'a dyn File>,
) -> Result<Option<Pages<'a>>, Failure> {
    let source = PageSource {
        main: &*rows.main.file,
        log,
        path: &device.files.main,
        op: OP,
        stop: &device.environment.stop,
    };
    Pages::open(source)
}

/// What the trees of a schema look like, as far as the migrations say how many columns each table
/// got after its first rows.
///
/// # Errors
/// As SQLite.
pub fn trees_of(device: &Device<'_>, database: &Database) -> Result<Vec<KnownTree>, Failure> {
    let mut trees = database.known_trees(OP)?;
    let all = device.catalog.migrations.iter().chain(device.catalog.data);
    // What code adds is not known.
    if !all.clone().any(|migration| migration.directives.code_revision.is_some()) {
        let texts: Vec<Vec<String>> = all.map(|migration| words(migration.sql)).collect();
        for tree in &mut trees {
            let added = texts.iter().map(|words| columns_added(words, &tree.table)).sum();
            tree.shape.least = tree.shape.columns.len().saturating_sub(added).max(1);
        }
    }
    Ok(trees)
}

/// The words of a statement, without quotes.
fn words(sql: &str) -> Vec<String> {
    let between = |c: char| c.is_whitespace() || matches!(c, '"' | '`' | '[' | ']' | '.' | ';');
    sql.to_ascii_lowercase()
        .split(between)
        .filter(|word| !word.is_empty() && *word != "main")
        .map(str::to_owned)
        .collect()
}

/// Columns that these statements add to a table, or to one that takes its name.
fn columns_added(words: &[String], table: &str) -> usize {
    let table = table.to_ascii_lowercase();
    let is = |word: Option<&String>, wanted: &str| word.is_some_and(|word| word == wanted);
    let renamed = words.windows(3).any(|three| {
        is(three.first(), "rename") && is(three.get(1), "to") && is(three.get(2), &table)
    });
    let adds = |four: &&[String]| {
        let alters =
            is(four.first(), "alter") && is(four.get(1), "table") && is(four.get(3), "add");
        alters && (renamed || is(four.get(2), &table))
    };
    words.windows(4).filter(adds).count()
}

impl<'a> Reader<'a> {
    /// No tree is walked yet.
    ///
    /// # Errors
    /// As `read`.
    pub fn new(pages: Pages<'a>, trees: &'a [KnownTree]) -> Result<Reader<'a>, Failure> {
        let free = pages.free_pages()?;
        let used = pages.bits();
        Ok(Reader {
            pages,
            free,
            used,
            trees,
            faults: vec![None; trees.len()],
            habits: Habits::default(),
            unclear: false,
            schema_gone: false,
            absent: 0,
        })
    }

    /// The tree of this table's rows.
    fn tree_of(&self, table: &str) -> Option<(usize, &'a KnownTree)> {
        self.trees
            .iter()
            .enumerate()
            .find(|(_, tree)| !tree.is_index && tree.table.eq_ignore_ascii_case(table))
    }

    /// It has a tree for this table.
    pub fn knows(&self, table: &Table) -> bool {
        self.tree_of(&table.name)
            .is_some_and(|(at, _)| self.faults.get(at).is_some_and(Option::is_none))
    }

    /// Brings the rows that the table's tree leads to.
    ///
    /// # Errors
    /// As `read`, and as SQLite but for refusals of single rows.
    pub fn pour(&mut self, place: Destination<'_>) -> Result<RowCounts, Failure> {
        let Some((at, tree)) = self.tree_of(&place.table.name) else {
            return Ok(RowCounts::default());
        };
        let mut writer = PageWriter::new(place, tree, self.pages.encoding())?;
        let (pages, trees) = (&self.pages, self.trees);
        let encoding = pages.encoding();
        let homes = Homes { pages, trees, habits: &self.habits };
        let mut late: Vec<(u32, Range)> = Vec::new();
        let mut indexed =
            Indexed::new(place.into, OP, if tree.is_kept_by_key() { trees } else { &[] }, encoding);
        let faults = pages.walk(tree.tree(encoding), &mut self.used, &mut |met, used| {
            let records = Records::of(&met.node);
            if !homes.is_at_home(met, &records, tree)?
                || homes.are_entries(met, &records, tree, &mut indexed)?
            {
                return Ok(false);
            }
            writer.counts.bad += records.bad as u64;
            let fits = |types: &[record::Type], number: i64| {
                if records.sound {
                    types.len() <= tree.shape.columns.len()
                } else {
                    tree.shape.fits(types) && (tree.shape.of_index || met.range.has(number))
                }
            };
            let is_late = |number: i64| {
                records.sound
                    && !tree.shape.of_index
                    && late.len() < LATE_MAX
                    && !met.range.has(number)
            };
            let has_late = records.found.iter().any(|(_, number, _)| is_late(*number));
            let mut payload = Vec::new();
            for (index, number, types) in
                records.found.iter().filter(|(_, number, _)| !is_late(*number))
            {
                let cell = met.node.cell(*index).filter(|_| fits(types, *number));
                let whole = cell
                    .map_or(Ok(false), |cell| pages.payload(&cell.payload, used, &mut payload))?;
                match record::values(&payload).filter(|_| whole) {
                    Some(values) => writer.write(&PageRow {
                        number: *number,
                        values: &values,
                        evidence: Evidence::Tree,
                    })?,
                    None => writer.counts.bad += 1,
                }
            }
            if has_late {
                late.push((met.page, met.range));
            }
            Ok(true)
        })?;
        self.write_late(&late, &mut writer)?;
        let counts = RowCounts {
            unread: faults.any(),
            uncountable: faults.shared || faults.strange,
            ..writer.counts
        };
        if let Some(known) = self.faults.get_mut(at) {
            *known = Some(faults);
        }
        Ok(counts)
    }

    /// Writes the rows whose numbers do not belong on the page where they stand: a later page may
    /// have had them as they were last.
    fn write_late(
        &mut self,
        late: &[(u32, Range)],
        writer: &mut PageWriter<'_>,
    ) -> Result<(), Failure> {
        let (mut bytes, mut payload) = (Vec::new(), Vec::new());
        for (page, range) in late {
            self.pages.read(*page, &mut bytes)?;
            let Some(node) = self.pages.node(&bytes, *page) else { continue };
            for (index, number, _) in
                Records::of(&node).found.iter().filter(|(_, number, _)| !range.has(*number))
            {
                let cell = node.cell(*index);
                let whole = cell.map_or(Ok(false), |cell| {
                    self.pages.payload(&cell.payload, &mut self.used, &mut payload)
                })?;
                match record::values(&payload).filter(|_| whole) {
                    Some(values) => writer.write(&PageRow {
                        number: *number,
                        values: &values,
                        evidence: Evidence::Unreached,
                    })?,
                    None => writer.counts.bad += 1,
                }
            }
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// Pages that may have had rows, and of which nothing can be said: those that are there, and
    /// those that are not.
    ///
    /// # Errors
    /// As `read`.
    pub fn unread_pages(&self) -> Result<u64, Failure> {
        let of_tables = self.trees.iter().zip(&self.faults).filter(|(tree, _)| !tree.is_index);
        let led_to: u64 =
            of_tables.filter_map(|(_, faults)| faults.as_ref()).map(|faults| faults.absent).sum();
        let absent = self.pages.missing.unwrap_or(self.absent).max(led_to);
        let (mut unread, mut bytes) = (absent, Vec::new());
        for page in 2..=self.pages.count {
            if !self.used.has(page)
                && !self.free.pages.has(page)
                && self.pages.read(page, &mut bytes)?
            {
                unread += u64::from(!self.pages.is_interior(&bytes));
            }
        }
        Ok(unread)
    }

    /// The tables that what is left of the schema names.
    ///
    /// # Errors
    /// As `read`.
    pub fn named_tables(pages: &Pages<'_>) -> Result<Vec<NamedTable>, Failure> {
        let mut named = Vec::new();
        pages.walk(
            Tree { root: 1, of_index: false, order: Ordered::UNKNOWN },
            &mut pages.bits(),
            &mut |met, used| {
                let mut payload = Vec::new();
                for cell in (0..met.node.cells).filter_map(|index| met.node.cell(index)) {
                    let whole = pages.payload(&cell.payload, used, &mut payload)?;
                    let values = record::values(&payload).filter(|_| whole).unwrap_or_default();
                    named.extend(NamedTable::of(&values, pages.encoding()));
                }
                Ok(true)
            },
        )?;
        Ok(named)
    }
}
