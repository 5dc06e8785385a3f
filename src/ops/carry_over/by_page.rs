//! Owns bringing rows page by page: each tree as far as it leads, then the pages that no tree leads to.
//! Promises: such a page goes to a table where it fits that one alone; to `lost_pages` where several fit; a free page nowhere.
//! Never takes a row of a page that its tree leads to for less than one of a page that it does not.

use super::evidence::{Signs, Verdict};
use super::{counted, Rows, OP};
use crate::device::disk::File;
use crate::device::pages::bits::Bits;
use crate::device::pages::free::FreePages;
use crate::device::pages::keys::Ordered;
use crate::device::pages::node::Node;
use crate::device::pages::record::{self, Value};
use crate::device::pages::tree::{Faults, Gap, Range, Tree};
use crate::device::pages::unreached::{Records, Unreached};
use crate::device::pages::{Pages, Source};
use crate::device::sqlite::by_page::indexed::{Entries, Indexed};
use crate::device::sqlite::by_page::shapes::KnownTree;
use crate::device::sqlite::by_page::{Evidence, LostPages, PageRow, PageWriter, Place};
use crate::device::sqlite::pour::RowCounts;
use crate::device::sqlite::rows::{LostTable, Table};
use crate::device::sqlite::Database;
use crate::device::Device;
use crate::error::Failure;
use crate::ops::at_home::{is_at_home, lie_in};
use crate::ops::history_rows::is_refinerys;

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
    /// Of no page it can be said which table its rows belong to.
    pub unclear: bool,
    /// Pages that others name and the file does not have.
    absent: u64,
}

/// One table on its way, for the pages that no tree leads to.
pub struct Target<'a> {
    /// The table.
    pub table: &'a Table,
    /// It takes rows.
    pub keep: bool,
    /// What the migrations filled in is there until its first row comes.
    pub seeded: bool,
    /// Where those go that it does not take.
    pub aside: &'a LostTable,
    /// What became of its rows.
    pub counts: &'a mut RowCounts,
}

/// What became of the pages that no tree leads to.
#[derive(Debug, Clone, Default)]
pub struct Rest {
    /// Rows of them that went to their tables, or beside them.
    rows: u64,
    /// Rows that fit several tables, or may have been deleted.
    unclear: u64,
    /// Rows of those pages that cannot be read.
    bad: u64,
    /// Where those are.
    lost: String,
    /// A table's tree does not lead to all of its pages.
    pub partial: bool,
}

impl Rest {
    /// A row came from a page that no tree leads to.
    pub fn found(&self) -> bool {
        self.rows > 0 || self.unclear > 0 || self.bad > 0
    }

    /// A line for what is in no table of its own, and a sentence for what came back.
    pub fn tell(&self, lost: &mut Vec<String>, notes: &mut Vec<String>) {
        if self.unclear > 0 {
            lost.push(format!(
                "{} of pages that fit several tables or may be free (in {})",
                counted(self.unclear),
                self.lost
            ));
        }
        if self.bad > 0 {
            lost.push(format!(
                "{} that cannot be read, on pages that fit several tables or may be free",
                counted(self.bad)
            ));
        }
        if self.rows > 0 {
            notes.push(format!(
                "{} came from pages that their table no longer leads to",
                counted(self.rows)
            ));
        }
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
    let source = Source {
        main: &*rows.main.file,
        log,
        path: &device.files.main,
        op: OP,
        stop: &device.environment.stop,
    };
    Pages::open(source)
}

/// What the trees of a schema look like, as far as the migrations say how many columns each table got after its first rows.
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
            unclear: false,
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
    pub fn pour(&mut self, place: Place<'_>) -> Result<RowCounts, Failure> {
        let Some((at, tree)) = self.tree_of(&place.table.name) else {
            return Ok(RowCounts::default());
        };
        let mut writer = PageWriter::new(place, tree, self.pages.encoding())?;
        let (pages, trees) = (&self.pages, self.trees);
        let encoding = pages.encoding();
        let mut late: Vec<(u32, Range)> = Vec::new();
        let mut indexed =
            Indexed::new(place.into, OP, if tree.is_kept_by_key() { trees } else { &[] }, encoding);
        let faults = pages.walk(tree.tree(encoding), &mut self.used, &mut |met, used| {
            let records = Records::of(&met.node);
            if !is_at_home(met, &records, tree, trees, encoding)
                || indexed.judge(&met.node, &records)? == Entries::All
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

    /// Writes the rows whose numbers do not belong on the page where they stand: a later page may have had them as they were last.
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

    /// Walks every tree whose rows were not brought, so that its pages are nobody else's.
    fn walk_others(&mut self, signs: &mut Signs) -> Result<(), Failure> {
        for at in 0..self.trees.len() {
            let Some(tree) =
                self.trees.get(at).filter(|_| self.faults.get(at).is_some_and(Option::is_none))
            else {
                continue;
            };
            let trees = self.trees;
            let faults = if tree.root == 0 {
                Faults::everywhere()
            } else {
                let encoding = self.pages.encoding();
                self.pages.walk(tree.tree(encoding), &mut self.used, &mut |met, _| {
                    let records = Records::of(&met.node);
                    let at_home = is_at_home(met, &records, tree, trees, encoding);
                    if at_home && tree.is_index {
                        signs.add_entries(tree, &met.node, &records);
                    }
                    Ok(at_home)
                })?
            };
            if let Some(known) = self.faults.get_mut(at) {
                *known = Some(faults);
            }
        }
        Ok(())
    }

    /// Gives the pages that no tree leads to to the tables that they fit; into `lost` what has no place.
    ///
    /// # Errors
    /// As `read`, and as SQLite but for refusals of single rows.
    pub fn give_the_rest(
        &mut self,
        fresh: &Database,
        history: &str,
        lost: LostTable,
        targets: &mut [Target<'_>],
    ) -> Result<Rest, Failure> {
        let mut signs = Signs::new(&self.pages);
        self.walk_others(&mut signs)?;
        let encoding = self.pages.encoding();
        let mut writers: Vec<Option<PageWriter<'_>>> = Vec::new();
        for tree in self.trees {
            let target = targets.iter().find(|target| {
                !tree.is_index && target.table.name.eq_ignore_ascii_case(&tree.table)
            });
            let place = target.map(|target| target.place(fresh));
            writers.push(place.map(|place| PageWriter::new(place, tree, encoding)).transpose()?);
        }
        let widest = self.trees.iter().map(|tree| tree.shape.columns.len()).max().unwrap_or(0);
        let mut lost = LostPages::new(fresh, OP, lost, widest, encoding);
        let mut indexed = Indexed::new(fresh, OP, self.trees, encoding);
        let (pages, free) = (&self.pages, &self.free);
        let doubtful = !free.complete;
        let judge = Judge { pages, trees: self.trees, faults: &self.faults, history, doubtful };
        let trees = self.trees;
        self.absent = pages.named_absent(&self.used, free, &|node| may_have_rows(trees, node))?;
        let mut fitting = vec![0u32; self.trees.len()];
        signs.gather(pages, &self.used, free, self.trees)?;
        if doubtful {
            pages.each_unreached(&mut self.used.clone(), free, &mut |page, _| {
                let chosen = judge.choose(page, judge.candidates(page).0, &mut writers)?;
                chosen
                    .into_iter()
                    .filter_map(|at| fitting.get_mut(at).map(|count| *count += 1))
                    .for_each(drop);
                Ok(())
            })?;
        }
        pages.each_unreached(&mut self.used, free, &mut |page, used| {
            let (candidates, lacked) = judge.candidates(page);
            let chosen = judge.choose(page, candidates, &mut writers)?;
            // Pages of an index hold no row of their own.
            if !chosen.iter().any(|at| writers.get(*at).is_some_and(Option::is_some)) {
                return Ok(());
            }
            let entries = if page.node.is_of_index() {
                indexed.judge(&page.node, &page.records)?
            } else {
                Entries::None
            };
            if entries == Entries::All {
                return Ok(());
            }
            let writer = match chosen.as_slice() {
                [_] if self.unclear || entries == Entries::Some => None,
                // Its tree lacks it, and every free page is known.
                [only] if lacked && !doubtful => writers.get_mut(*only).and_then(Option::as_mut),
                [only] => match signs.of(
                    page,
                    self.trees,
                    *only,
                    lacked && fitting.get(*only) == Some(&1),
                ) {
                    Verdict::Free => return Ok(()),
                    Verdict::Unknown => None,
                    Verdict::InUse => writers.get_mut(*only).and_then(Option::as_mut),
                },
                _ => None,
            };
            judge.write(page, used, writer, &mut lost)
        })?;
        let of_tables = self.trees.iter().zip(&self.faults).filter(|(tree, _)| !tree.is_index);
        let partial = of_tables.filter_map(|(_, faults)| faults.as_ref()).any(Faults::any);
        let rest = Rest {
            rows: 0,
            unclear: lost.rows,
            bad: lost.bad,
            lost: lost.name().to_owned(),
            partial,
        };
        let done = settle(writers);
        Ok(rest.add(done, targets))
    }
}

/// What each table's writer has written: its name, the counts, and how many of them are of pages that no tree leads to.
fn settle(writers: Vec<Option<PageWriter<'_>>>) -> Vec<(String, RowCounts, u64)> {
    writers
        .into_iter()
        .flatten()
        .map(|writer| (writer.table_name().to_owned(), writer.counts, writer.unreached))
        .collect()
}

impl Rest {
    fn add(mut self, done: Vec<(String, RowCounts, u64)>, targets: &mut [Target<'_>]) -> Rest {
        for (name, counts, unreached) in done {
            self.rows += unreached;
            if let Some(target) = targets.iter_mut().find(|target| target.table.name == name) {
                target.counts.kept += counts.kept;
                target.counts.aside += counts.aside;
                target.counts.bad += counts.bad;
            }
        }
        self
    }
}

impl Target<'_> {
    fn place<'p>(&'p self, into: &'p Database) -> Place<'p> {
        Place {
            into,
            op: OP,
            table: self.table,
            keep: self.keep,
            seeded: self.seeded,
            aside: self.aside,
        }
    }
}

impl Reader<'_> {
    /// Pages that may have had rows, and of which nothing can be said: those that are there, and those that are not.
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

    /// The first pages of the tables that what is left of the schema names.
    ///
    /// # Errors
    /// As `read`.
    pub fn roots(pages: &Pages<'_>) -> Result<Vec<(String, u32)>, Failure> {
        let mut roots = Vec::new();
        pages.walk(
            Tree { root: 1, of_index: false, order: Ordered::UNKNOWN },
            &mut pages.bits(),
            &mut |met, used| {
                let mut payload = Vec::new();
                for cell in (0..met.node.cells).filter_map(|index| met.node.cell(index)) {
                    let whole = pages.payload(&cell.payload, used, &mut payload)?;
                    let values = record::values(&payload).filter(|_| whole).unwrap_or_default();
                    if let [Value::Text(kind), Value::Text(name), _, Value::Integer(root), _] =
                        values.as_slice()
                    {
                        let text = |bytes| {
                            String::from_utf8_lossy(&pages.encoding().text(bytes)).into_owned()
                        };
                        if text(kind) == "table" {
                            roots.push((text(name), u32::try_from(*root).unwrap_or(0)));
                        }
                    }
                }
                Ok(true)
            },
        )?;
        Ok(roots)
    }
}

/// It can be a page of a table: its records, where it has some, are no mere entries of an index.
fn may_have_rows(trees: &[KnownTree], node: &Node<'_>) -> bool {
    let records = Records::of(node);
    !node.is_of_index()
        || records.found.is_empty()
        || trees
            .iter()
            .any(|tree| !tree.is_index && tree.shape.of_index && records.fit(&tree.shape))
}

/// What is known when a page is given to a table.
struct Judge<'a> {
    pages: &'a Pages<'a>,
    trees: &'a [KnownTree],
    faults: &'a [Option<Faults>],
    history: &'a str,
    /// Some free pages are not known.
    doubtful: bool,
}

impl Judge<'_> {
    /// The trees whose page it can be: of those that lack one just there, else of all, where every free page is known. And whether one
    /// lacks it.
    fn candidates(&self, page: &Unreached<'_>) -> (Vec<usize>, bool) {
        let fits = |tree: &KnownTree| {
            tree.shape.of_index == page.node.is_of_index() && page.records.fit(&tree.shape)
        };
        let fitting: Vec<usize> = self
            .trees
            .iter()
            .enumerate()
            .filter(|(_, tree)| fits(tree))
            .map(|(at, _)| at)
            .collect();
        let encoding = self.pages.encoding();
        let lies_in = |gap: &Gap, tree: &KnownTree| {
            if tree.shape.of_index {
                lie_in(&page.node, &page.records, &gap.keys, tree, encoding)
            } else {
                page.records.lie_in(&gap.range)
            }
        };
        let lacks = |at: &usize| {
            let (faults, tree) =
                (self.faults.get(*at).and_then(Option::as_ref), self.trees.get(*at));
            faults
                .zip(tree)
                .is_some_and(|(faults, tree)| faults.gaps.iter().any(|gap| lies_in(gap, tree)))
        };
        let lacking: Vec<usize> = fitting.iter().copied().filter(lacks).collect();
        let lacked = !lacking.is_empty();
        (if lacked || self.doubtful { lacking } else { fitting }, lacked)
    }

    /// Writes the rows of a page: where no writer is given, into the table of those whose place is not clear.
    fn write(
        &self,
        page: &Unreached<'_>,
        used: &mut Bits,
        mut writer: Option<&mut PageWriter<'_>>,
        lost: &mut LostPages<'_>,
    ) -> Result<(), Failure> {
        let mut payload = Vec::new();
        let mut bad = page.records.bad as u64;
        for (index, number, _) in &page.records.found {
            let cell = page.node.cell(*index);
            let whole = cell
                .map_or(Ok(false), |cell| self.pages.payload(&cell.payload, used, &mut payload))?;
            let Some(values) = record::values(&payload).filter(|_| whole) else {
                bad += 1;
                continue;
            };
            let row = PageRow { number: *number, values: &values, evidence: Evidence::Unreached };
            match &mut writer {
                Some(writer) => writer.write(&row)?,
                None => lost.write(page.page, &row)?,
            }
        }
        *writer.map_or(&mut lost.bad, |writer| &mut writer.counts.bad) += bad;
        Ok(())
    }

    /// Of several, those that would take its rows.
    fn choose(
        &self,
        page: &Unreached<'_>,
        candidates: Vec<usize>,
        writers: &mut [Option<PageWriter<'_>>],
    ) -> Result<Vec<usize>, Failure> {
        if candidates.len() < 2 {
            return Ok(candidates);
        }
        let cells = page
            .records
            .found
            .iter()
            .filter_map(|(index, number, _)| Some((*number, page.node.cell(*index)?)));
        let whole = cells.filter(|(_, cell)| cell.payload.overflow == 0);
        let rows: Vec<(i64, Vec<Value<'_>>)> = whole
            .filter_map(|(number, cell)| Some((number, record::values(cell.payload.local)?)))
            .collect();
        let mut chosen = Vec::new();
        for at in candidates {
            let is_history = self.trees.get(at).is_some_and(|tree| {
                tree.table.eq_ignore_ascii_case(self.history) && !tree.is_index
            });
            let takes = match writers.get_mut(at).and_then(Option::as_mut) {
                _ if is_history => {
                    rows.iter().all(|(_, values)| is_refinerys(values, self.pages.encoding()))
                }
                Some(writer) => writer.would_take(&rows)?,
                None => true,
            };
            if takes {
                chosen.push(at);
            }
        }
        Ok(chosen)
    }
}
