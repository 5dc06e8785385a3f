//! Owns what becomes of rows that only indexes know: named, counted, and kept aside as far as the
//! indexes have them.
//! Promises: a row that is missing in its table is never lost without a line that counts it.
//! Never changes a table of the product's own.

use crate::device::disk::Op;
use crate::device::sqlite::entries::IndexRows;
use crate::device::sqlite::rows::LostTable;
use crate::device::sqlite::Database;
use crate::device::{history, Device};
use crate::error::Failure;

/// A line for each kind of disagreement between a table and its indexes; `aside` is where the
/// indexed columns are kept.
pub fn words(found: &IndexRows<'_>, aside: Option<&LostTable>) -> Vec<String> {
    let table = found.table_name();
    let rows = |count: u64| {
        if count == 1 {
            ("1 row".to_owned(), "is")
        } else {
            (format!("{count} rows"), "are")
        }
    };
    let kept =
        aside.map(|aside| format!(" (indexed columns in {})", aside.name)).unwrap_or_default();
    let mut lines = Vec::new();
    if found.absent > 0 {
        let (count, verb) = rows(found.absent);
        lines.push(format!(
            "{count} of {table} {verb} in an index and no longer in the table{kept}"
        ));
    }
    if found.other > 0 {
        let (count, verb) = rows(found.other);
        lines.push(format!(
            "{count} of {table} {verb} in an index with other values than in the table{kept}"
        ));
    }
    // Another index of the table may have named them already.
    if found.counted > found.absent {
        let (count, verb) = rows(found.counted - found.absent);
        lines.push(format!(
            "{count} of {table} {verb} in an index alone, which can count them and not give them \
             back"
        ));
    }
    lines.extend(found.unproven.iter().map(|index| {
        format!("rows of {table} that only the index {index} knows, which cannot be compared")
    }));
    lines
}

/// Keeps what indexes of `database` alone know in tables of its own; a line each.
///
/// # Errors
/// As SQLite.
pub fn keep_index_rows(
    device: &Device<'_>,
    database: &Database,
    op: Op,
) -> Result<Vec<String>, Failure> {
    let findings = database.integrity_check(op)?;
    let version = history::read(database, op, &device.settings.history_table)?.version();
    let mut lines = Vec::new();
    for table in &database.ordinary_tables(op, &device.settings.history_table)? {
        let found = database.index_rows(op, table, &findings, &device.environment.stop)?;
        let aside = database.aside(op, table, version)?;
        found.put_aside(database, &aside)?;
        lines.extend(words(&found, Some(&aside)));
    }
    Ok(lines)
}
