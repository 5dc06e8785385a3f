//! Owns full-text indexes that do not fit their text: built again where the text is all there, and
//! else left as they are.
//! Promises: no row goes; what was done, or why nothing was, is a sentence.
//! Never fails a migration for a virtual table that it does not need.

use crate::device::disk::Op;
use crate::device::sqlite::virtual_tables::{Content, VirtualTable};
use crate::device::sqlite::Database;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::verify::within_budget;

const OP: Op = Op("build a full-text index again");

/// Inside the open transaction, and within `quick_check_max_mib`. A sentence for each that was
/// built again.
///
/// # Errors
/// As SQLite, but for what the index itself refuses.
pub fn rebuild_stale(device: &Device<'_>, database: &Database) -> Result<Vec<String>, Failure> {
    if !within_budget(device, database.bytes(OP)?) {
        return Ok(Vec::new());
    }
    let mut done = Vec::new();
    for table in database.virtual_tables(OP)? {
        if database.is_stale(OP, &table)?
            && can_be_built_again(database, &table)?
            && rebuild(database, &table)?
        {
            done.push(format!(
                "the full-text index {} did not fit its text and was built again from it",
                table.name
            ));
        }
    }
    Ok(done)
}

/// Its text is all there: no row that the index knows of is missing in its own text. Another
/// table's text is what that table says.
fn can_be_built_again(database: &Database, table: &VirtualTable) -> Result<bool, Failure> {
    match table.content {
        Content::External(_) => Ok(true),
        Content::Own => match (table.shadow("content"), table.shadow("docsize")) {
            (Some(text), Some(index)) => {
                database.rows_without(OP, index, text).map(|rows| rows == Some(0))
            }
            _ => Ok(false),
        },
        Content::None
        | Content::Boxes
        | Content::Shadows
        | Content::Elsewhere
        | Content::Unknown(_) => Ok(false),
    }
}

/// `false` where the index refuses: then it is as it was.
///
/// # Errors
/// As SQLite, where the file or the storage is the cause.
pub fn rebuild(database: &Database, table: &VirtualTable) -> Result<bool, Failure> {
    database.run(OP, "SAVEPOINT virtual_table")?;
    let rebuilt = database.command_index(OP, table, "rebuild");
    match rebuilt {
        Ok(()) => database.run(OP, "RELEASE virtual_table").map(|()| true),
        Err(failure)
            if matches!(failure.class, Class::Storage | Class::Catalogue | Class::Damaged)
                && database.in_transaction() =>
        {
            log::debug!("{}: {failure}", table.name);
            database.run(OP, "ROLLBACK TO virtual_table; RELEASE virtual_table").map(|()| false)
        }
        Err(failure) => Err(failure),
    }
}
