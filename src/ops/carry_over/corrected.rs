//! Owns bringing rows where SQLite cannot read the old file by its header, and could by a corrected
//! one.
//! Promises: with the schema come the application's own tables, what an earlier time put aside, and
//! virtual tables; without it, what `no_schema` can bring.
//! Never takes a corrected header where a WAL or a journal could have the file's own.

use super::by_page::pages_of;
use super::no_schema::pour_without_schema;
use super::{pour_all, Filled, Rows, OP};
use crate::device::sqlite::corrected::Corrected;
use crate::device::sqlite::{is_of_a_statement, Database};
use crate::device::Device;
use crate::error::{Class, Failure};

/// Another header could help: SQLite takes it for no database, for a corrupt one, or for one that a
/// later SQLite made.
pub fn may_help(failure: &Failure) -> bool {
    failure.class == Class::Damaged || is_of_a_statement(failure)
}

/// Fills a fresh database from a file that SQLite cannot read, `why`.
///
/// # Errors
/// As `fill`.
pub fn pour_past_the_header(
    device: &Device<'_>,
    fresh: &Database,
    rows: &Rows<'_>,
    why: &Failure,
) -> Result<Filled, Failure> {
    match by_corrected_header(device, fresh, rows, why)? {
        Some(filled) => Ok(filled),
        None => pour_without_schema(device, fresh, rows, why),
    }
}

/// `None` where the schema cannot be read by a corrected header either, or is not that of the
/// history.
fn by_corrected_header(
    device: &Device<'_>,
    fresh: &Database,
    rows: &Rows<'_>,
    why: &Failure,
) -> Result<Option<Filled>, Failure> {
    let main = &device.files.main;
    let files = device.files.look(device.disk()).map_err(|error| Failure::io(OP, main, &error))?;
    if files.wal_has_content() || files.journal_has_content {
        return Ok(None);
    }
    let Some(pages) = pages_of(device, rows, None)? else { return Ok(None) };
    let header = pages.header(&rows.main.header);
    let source = Corrected { file: &*rows.main.file, header: header.bytes, size: header.size };
    let history = &device.settings.history_table;
    let read = |old: &Database| {
        old.bound_values(OP, rows.main.stat.size)?;
        let named = old.ordinary_tables(OP, history);
        let found = match named.and_then(|found| Ok((found, old.has_object(OP, history)?))) {
            Err(failure) if may_help(&failure) => return Ok(None),
            Ok((_, false)) => return Ok(None),
            Ok((found, true)) => found,
            Err(failure) => return Err(failure),
        };
        pour_all(device, old, fresh, rows, &found).map(Some)
    };
    let Some(filled) = device.sqlite().read_corrected(OP, main, &source, read).transpose()? else {
        return Ok(None);
    };
    let unknown = if header.own_fields {
        ""
    } else {
        "; what user_version and application_id were is not known"
    };
    let note = format!(
        "rows were read by a header that its pages tell, because its own cannot be used \
         ({}){unknown}",
        why.cause
    );
    Ok(filled.map(|mut filled| {
        filled.notes.push(note);
        filled
    }))
}
