//! Owns the rows of free pages: what a table had there when its own page was made.
//! Promises: only where the table's tree lacks the page that would have them, only rows that the
//! table does not have, and only into the table of those whose place is not clear.
//! Never gives a row to its table: it may have been deleted.

use super::Judge;
use crate::device::pages::bits::Bits;
use crate::device::pages::record::{self, Value};
use crate::device::pages::unreached::Unreached;
use crate::device::sqlite::by_page::indexed::{Entries, Indexed};
use crate::device::sqlite::by_page::{Evidence, LostPages, PageRow, PageWriter};
use crate::error::Failure;

impl Judge<'_> {
    /// Looks through the free pages for rows that a tree lacks.
    ///
    /// # Errors
    /// As `read`, and as SQLite but for refusals of single rows.
    pub(super) fn give_freed(
        &self,
        used: &mut Bits,
        writers: &mut [Option<PageWriter<'_>>],
        indexed: &mut Indexed<'_>,
        lost: &mut LostPages<'_>,
    ) -> Result<(), Failure> {
        self.pages.each_freed(used, self.free, &mut |page, used| {
            let (candidates, lacked) = self.candidates(page);
            let mut chosen = match lacked {
                true => self.choose(page, candidates, writers)?,
                false => Vec::new(),
            };
            chosen.retain(|at| writers.get(*at).is_some_and(Option::is_some));
            let is_entries = page.node.is_of_index()
                && indexed.judge(&page.node, &page.records)? != Entries::None;
            if chosen.is_empty() || is_entries {
                return Ok(());
            }
            self.write_missing(page, used, &mut |row| {
                for at in &chosen {
                    let Some(writer) = writers.get_mut(*at).and_then(Option::as_mut) else {
                        continue;
                    };
                    if writer.would_take(&[(row.number, row.values.to_vec())])? {
                        return lost.write(page.page, row);
                    }
                }
                Ok(())
            })
        })
    }

    /// Hands on every row of the page that can be read.
    fn write_missing(
        &self,
        page: &Unreached<'_>,
        used: &mut Bits,
        take: &mut dyn FnMut(&PageRow<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut payload = Vec::new();
        for (index, number, _) in &page.records.found {
            let Some(cell) = page.node.cell(*index) else { continue };
            if !self.pages.payload(&cell.payload, used, &mut payload)? {
                continue;
            }
            let Some(values) = record::values(&payload) else { continue };
            let values: &[Value<'_>] = &values;
            take(&PageRow { number: *number, values, evidence: Evidence::Unreached })?;
        }
        Ok(())
    }
}
