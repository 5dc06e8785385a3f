//! Owns the pages that no tree leads to: which table each goes to, and what became of their rows.
//! Promises: a page goes to a table where it fits that one alone; to `lost_pages` where several
//! fit; a free page nowhere.
//! Never walks a tree whose rows were brought already.

mod freed;

use super::Reader;
use crate::device::pages::bits::Bits;
use crate::device::pages::free::FreePages;
use crate::device::pages::node::Node;
use crate::device::pages::record::{self, Value};
use crate::device::pages::tree::{Faults, Gap};
use crate::device::pages::unreached::{Records, Unreached};
use crate::device::pages::{Encoding, Pages};
use crate::device::sqlite::by_page::indexed::{Entries, Indexed};
use crate::device::sqlite::by_page::shapes::{KnownTree, SEQUENCE};
use crate::device::sqlite::by_page::{Destination, Evidence, LostPages, PageRow, PageWriter};
use crate::device::sqlite::pour::RowCounts;
use crate::device::sqlite::rows::{LostTable, Table};
use crate::device::sqlite::Database;
use crate::error::Failure;
use crate::ops::at_home::{lie_in, Homes};
use crate::ops::carry_over::evidence::{Signs, Usage};
use crate::ops::carry_over::{counted, Brought, OP};
use crate::ops::history_rows::is_refinerys;

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
    /// Rows that fit no table.
    of_none: u64,
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
        self.rows > 0 || self.unclear > 0 || self.of_none > 0 || self.bad > 0
    }

    /// The rows of pages whose table is not clear, as those of a table; nothing where there is
    /// none.
    pub fn brought(&self) -> Option<Brought> {
        let (aside, aside_in) = (self.unclear + self.of_none, self.lost.clone());
        let lost = Brought {
            table: aside_in.clone(),
            aside,
            aside_in,
            from_loose_pages: aside,
            missing: Some(self.bad),
            ..Brought::default()
        };
        (aside + self.bad > 0).then_some(lost)
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
        if self.of_none > 0 {
            lost.push(format!(
                "{} of pages that fit no table (in {})",
                counted(self.of_none),
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

impl Reader<'_> {
    /// Gives the pages that no tree leads to to the tables that they fit; into `lost` what has no
    /// place.
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
        let mut writers = writers_of(self.trees, encoding, fresh, targets)?;
        let mut indexed = Indexed::new(fresh, OP, self.trees, encoding);
        let (pages, free) = (&self.pages, &self.free);
        let doubtful = !free.complete;
        let judge =
            Judge { pages, free, trees: self.trees, faults: &self.faults, history, doubtful };
        let trees = self.trees;
        let schema_gone = self.schema_gone;
        let widest = judge.widest(&self.used, schema_gone)?;
        let mut lost = LostPages::new(fresh, OP, lost, widest, encoding);
        self.absent = pages.named_absent(&self.used, free, &|node| may_have_rows(trees, node))?;
        signs.gather(pages, &self.used, free, self.trees)?;
        let fitting = judge.count_fitting(&self.used, &mut writers)?;
        pages.each_unreached(&mut self.used, free, &mut |page, used| {
            if schema_gone && judge.is_of_no_table(page) {
                return judge.write_of_none(page, used, &mut lost);
            }
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
                    Usage::Free => return Ok(()),
                    Usage::Unknown => None,
                    Usage::InUse => writers.get_mut(*only).and_then(Option::as_mut),
                },
                _ => None,
            };
            judge.write(page, used, writer, &mut lost)
        })?;
        judge.give_freed(&mut self.used, &mut writers, &mut indexed, &mut lost)?;
        let of_tables = self.trees.iter().zip(&self.faults).filter(|(tree, _)| !tree.is_index);
        let partial = of_tables.filter_map(|(_, faults)| faults.as_ref()).any(Faults::any);
        let rest = Rest { partial, ..Rest::of(&lost) };
        let done = settle(writers);
        Ok(rest.add(done, targets))
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
                let homes = Homes { pages: &self.pages, trees, habits: &self.habits };
                let tree_of_pages = tree.tree(self.pages.encoding());
                self.pages.walk(tree_of_pages, &mut self.used, &mut |met, _| {
                    let records = Records::of(&met.node);
                    let at_home = homes.is_at_home(met, &records, tree)?;
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
}

/// The writer of each tree's table; `None` for an index, and for a table that is not brought.
fn writers_of<'w>(
    trees: &'w [KnownTree],
    encoding: Encoding,
    fresh: &'w Database,
    targets: &'w [Target<'_>],
) -> Result<Vec<Option<PageWriter<'w>>>, Failure> {
    let mut writers: Vec<Option<PageWriter<'_>>> = Vec::new();
    for tree in trees {
        let target = targets
            .iter()
            .find(|target| !tree.is_index && target.table.name.eq_ignore_ascii_case(&tree.table));
        let place = target.map(|target| target.place(fresh));
        writers.push(place.map(|place| PageWriter::new(place, tree, encoding)).transpose()?);
    }
    Ok(writers)
}

/// What each table's writer has written: its name, the counts, and how many of them are of pages
/// that no tree leads to.
fn settle(writers: Vec<Option<PageWriter<'_>>>) -> Vec<(String, RowCounts, u64)> {
    writers
        .into_iter()
        .flatten()
        .map(|writer| (writer.table_name().to_owned(), writer.counts, writer.unreached))
        .collect()
}

impl Rest {
    fn of(lost: &LostPages<'_>) -> Rest {
        Rest {
            unclear: lost.rows - lost.of_none,
            of_none: lost.of_none,
            bad: lost.bad,
            lost: lost.name().to_owned(),
            ..Rest::default()
        }
    }

    fn add(mut self, done: Vec<(String, RowCounts, u64)>, targets: &mut [Target<'_>]) -> Rest {
        for (name, counts, unreached) in done {
            self.rows += unreached;
            if let Some(target) = targets.iter_mut().find(|target| target.table.name == name) {
                target.counts.kept += counts.kept;
                target.counts.aside += counts.aside;
                target.counts.bad += counts.bad;
                target.counts.unreached += unreached;
            }
        }
        self
    }
}

impl Target<'_> {
    fn place<'p>(&'p self, into: &'p Database) -> Destination<'p> {
        Destination {
            into,
            op: OP,
            table: self.table,
            keep: self.keep,
            seeded: self.seeded,
            aside: self.aside,
        }
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
    free: &'a FreePages,
    trees: &'a [KnownTree],
    faults: &'a [Option<Faults>],
    history: &'a str,
    /// Some free pages are not known.
    doubtful: bool,
}

impl Judge<'_> {
    /// The trees whose page it can be: of those that lack one just there, else of all, where every
    /// free page is known. And whether one lacks it.
    fn candidates(&self, page: &Unreached<'_>) -> (Vec<usize>, bool) {
        let fits = |tree: &KnownTree| {
            tree.shape.of_index == page.node.is_of_index()
                && page.records.fit(&tree.shape)
                && (tree.table != SEQUENCE || self.names_tables(page))
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

    /// No tree has such rows, whether it lacks a page or not, and they are no statistics of
    /// SQLite's own.
    fn is_of_no_table(&self, page: &Unreached<'_>) -> bool {
        let fits = |tree: &KnownTree| {
            tree.shape.of_index == page.node.is_of_index() && page.records.fit(&tree.shape)
        };
        page.records.sound
            && !page.records.found.is_empty()
            && !self.trees.iter().any(fits)
            && !self.names_tables(page)
    }

    fn is_sequence(&self, at: usize) -> bool {
        self.trees.get(at).is_some_and(|tree| tree.table == SEQUENCE)
    }

    /// The first value of its rows is the name of a table, as in SQLite's own tables.
    fn names_tables(&self, page: &Unreached<'_>) -> bool {
        let cells = page.records.found.iter().filter_map(|(index, ..)| page.node.cell(*index));
        let mut names =
            cells.filter_map(|cell| match record::values(cell.payload.local)?.first() {
                Some(Value::Text(name)) => Some(self.pages.encoding().text(name).into_owned()),
                _ => None,
            });
        names.any(|name| {
            let named = |tree: &KnownTree| !tree.is_index && tree.table.as_bytes() == name;
            self.trees.iter().any(named)
        })
    }

    /// The most values that a row of a page may have; without a schema the pages say so.
    fn widest(&self, used: &Bits, schema_gone: bool) -> Result<usize, Failure> {
        let of_tables = self.trees.iter().map(|tree| tree.shape.columns.len());
        let mut widest = of_tables.max().unwrap_or(0);
        if schema_gone {
            self.pages.each_unreached(&mut used.clone(), self.free, &mut |page, _| {
                let rows = page.records.found.iter().map(|(_, _, types)| types.len());
                widest = rows.max().unwrap_or(0).max(widest);
                Ok(())
            })?;
        }
        Ok(widest)
    }

    /// Writes the rows of a page that fits no table.
    fn write_of_none(
        &self,
        page: &Unreached<'_>,
        used: &mut Bits,
        lost: &mut LostPages<'_>,
    ) -> Result<(), Failure> {
        let before = lost.rows;
        self.write(page, used, None, lost)?;
        lost.of_none += lost.rows - before;
        Ok(())
    }

    /// Writes the rows of a page: where no writer is given, into the table of those whose place is
    /// not clear.
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

    /// How many pages each tree may have; counted only where some free pages are not known.
    fn count_fitting(
        &self,
        used: &Bits,
        writers: &mut [Option<PageWriter<'_>>],
    ) -> Result<Vec<u32>, Failure> {
        let mut fitting = vec![0u32; self.trees.len()];
        if self.doubtful {
            self.pages.each_unreached(&mut used.clone(), self.free, &mut |page, _| {
                let mut chosen = self.choose(page, self.candidates(page).0, writers)?;
                // What can be SQLite's own page leaves another one its table's only page.
                if chosen.iter().any(|at| self.is_sequence(*at)) {
                    chosen.retain(|at| self.is_sequence(*at));
                }
                chosen
                    .into_iter()
                    .filter_map(|at| fitting.get_mut(at).map(|count| *count += 1))
                    .for_each(drop);
                Ok(())
            })?;
        }
        Ok(fitting)
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
