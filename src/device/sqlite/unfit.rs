//! Owns what keeps migrations from a schema that is whole: too much text, views that no SQLite can
//! compile in time, names and values that are not UTF-8.
//! Promises: told by the texts alone, in one sentence; what a comment has is no reason.
//! Never calls a schema damaged: SQLite reads it, and so does its application.

use rusqlite::types::ValueRef;

use super::compile::lossy;
use super::errors::{too_much_text, TEXT_BYTES_MAX};
use super::{weight, Database};
use crate::device::disk::Op;
use crate::error::{Class, Failure};
use crate::lex::lex;

impl Database {
    /// Why no migration may run beside what is in its schema; `None` where it may.
    ///
    /// # Errors
    /// As SQLite.
    pub fn unfit(&self, op: Op) -> Result<Option<String>, Failure> {
        let found = || match self.too_much()? {
            None => self.strange_name(),
            much => Ok(much),
        };
        found().map_err(|error| self.failure(op, &error))
    }

    /// # Errors
    /// Catalogue where [`Database::unfit`] has a reason.
    pub fn fit(&self, op: Op) -> Result<(), Failure> {
        self.unfit(op)?.map_or(Ok(()), |cause| Err(self.refused(op, cause)))
    }

    /// SQLite can read its texts, and compile what reads its views in less than a second or so: it
    /// could not be stopped meanwhile.
    ///
    /// # Errors
    /// A schema that no migration makes.
    pub(super) fn not_too_heavy(&self, op: Op) -> Result<(), Failure> {
        let much = self.too_much().map_err(|error| self.failure(op, &error))?;
        much.map_or(Ok(()), |cause| Err(self.refused(op, cause)))
    }

    fn too_much(&self) -> rusqlite::Result<Option<String>> {
        match self.is_too_long()? {
            true => Ok(Some(too_much_text())),
            false => weight::too_heavy(&self.connection),
        }
    }

    pub(super) fn too_long(&self, op: Op) -> Failure {
        self.refused(op, too_much_text())
    }

    fn refused(&self, op: Op, cause: String) -> Failure {
        Failure::new(Class::Catalogue, op, cause).at(&self.path)
    }

    fn is_too_long(&self) -> rusqlite::Result<bool> {
        let sql = "SELECT coalesce(sum(octet_length(sql)), 0) FROM main.sqlite_schema";
        let bytes: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX) > TEXT_BYTES_MAX)
    }

    /// SQLite takes any bytes for a name. What is asked of each statement before it runs, and the
    /// statements that are made of names, are in UTF-8.
    fn strange_name(&self) -> rusqlite::Result<Option<String>> {
        let sql = "SELECT type, name, sql FROM main.sqlite_schema ORDER BY rowid";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name_is_strange = is_strange(row.get_ref(1)?);
            if name_is_strange || is_strange(row.get_ref(2)?) && has_a_strange_word(&lossy(row, 2)?)
            {
                let (kind, name) = (lossy(row, 0)?, lossy(row, 1)?);
                return Ok(Some(format!("a name or a value in {kind} {name} is not UTF-8")));
            }
        }
        Ok(None)
    }
}

fn is_strange(text: ValueRef<'_>) -> bool {
    let bytes = text.as_bytes_or_null().ok().flatten().unwrap_or_default();
    std::str::from_utf8(bytes).is_err()
}

fn has_a_strange_word(text: &str) -> bool {
    let strange = char::REPLACEMENT_CHARACTER;
    lex(text).tokens.iter().any(|token| !token.is_comment() && token.text.contains(strange))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::sqlite::Sqlite;

    const OP: Op = Op("test");

    /// A text of a schema, with bytes in the place of `@`.
    fn unfit(schema: &str, bytes: &str) -> Option<String> {
        let database = Sqlite::default().scratch(OP).unwrap();
        database.run(OP, schema).unwrap();
        let rewrite = format!(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET name = CAST(replace(name, '@', \
             CAST(x'{bytes}' AS TEXT)) AS TEXT), sql = replace(sql, '@', CAST(x'{bytes}' AS TEXT))"
        );
        database.defensive(OP, false).unwrap();
        database.run(OP, &rewrite).unwrap();
        database.unfit(OP).unwrap()
    }

    #[test]
    fn a_name_that_is_not_utf8_is_one_reason_and_a_comment_is_none() {
        let words = |kind: &str| Some(format!("a name or a value in {kind} is not UTF-8"));
        for (schema, found) in [
            ("CREATE TABLE own(a /* @ */) -- @", None),
            ("CREATE TABLE own(\"@\")", words("table own")),
            ("CREATE TABLE own(a DEFAULT '@')", words("table own")),
            ("CREATE VIEW own AS SELECT 1 AS \"@\"", words("view own")),
            ("CREATE TABLE \"o@\"(a)", words("table o\u{fffd}")),
        ] {
            assert_eq!(unfit(schema, "f6"), found, "{schema}");
            assert_eq!(unfit(schema, "c3b6"), None, "{schema} in UTF-8");
            assert_eq!(unfit(schema, "efbfbd"), None, "{schema}, which is lossy already");
        }
    }
}
