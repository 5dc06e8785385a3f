//! Owns the histories of other migration tools: which version a tool says that it left, and what it
//! has done up to there.
//! Promises: reads only; a history that says of itself that it is half done is no version.
//! Never compares a schema, and never decides.

use std::collections::BTreeSet;

use rusqlite::types::ValueRef;
use rusqlite::OptionalExtension;

use crate::config::AdoptFrom;
use crate::device::disk::Op;
use crate::device::sqlite::Database;
use crate::error::Failure;

/// One tool's table, and the questions asked of it.
struct Tool {
    table: &'static str,
    /// One row, one column; no row means that nothing was applied.
    version: &'static str,
    /// A row means that a migration was cut off.
    unfinished: Option<&'static str>,
    /// Every version that was applied, where the tool keeps a row of each.
    done: Option<&'static str>,
}

/// By `PRAGMA user_version` alone, or by a query of the product's own: no table.
fn tool_of(from: &AdoptFrom) -> Option<Tool> {
    let tool = |table, version, unfinished, done| Some(Tool { table, version, unfinished, done });
    match from {
        AdoptFrom::Stated(_)
        | AdoptFrom::UserVersion
        | AdoptFrom::RusqliteMigration
        | AdoptFrom::Query(_)
        | AdoptFrom::Refinery => None,
        AdoptFrom::Ecto => tool(
            "schema_migrations",
            "SELECT max(version) FROM schema_migrations",
            None,
            Some("SELECT CAST(version AS TEXT) FROM schema_migrations"),
        ),
        AdoptFrom::Sqlx => tool(
            "_sqlx_migrations",
            "SELECT max(version) FROM _sqlx_migrations",
            Some("SELECT version FROM _sqlx_migrations WHERE NOT success"),
            Some("SELECT CAST(version AS TEXT) FROM _sqlx_migrations"),
        ),
        // Versions are strings of digits, in the order of strings: 2023-10-06-10000 is later than
        // 20231006090000.
        AdoptFrom::Diesel => tool(
            "__diesel_schema_migrations",
            "SELECT max(replace(version, '-', '')) FROM __diesel_schema_migrations",
            None,
            Some("SELECT replace(version, '-', '') FROM __diesel_schema_migrations"),
        ),
        AdoptFrom::GolangMigrate => tool(
            "schema_migrations",
            "SELECT max(version) FROM schema_migrations",
            Some("SELECT version FROM schema_migrations WHERE dirty"),
            None,
        ),
        // A version may have come and gone: its last row counts.
        AdoptFrom::Goose => tool(
            "goose_db_version",
            "SELECT max(version_id) FROM goose_db_version g WHERE is_applied AND NOT EXISTS \
             (SELECT 1 FROM goose_db_version l WHERE l.version_id = g.version_id AND l.id > g.id)",
            None,
            Some(
                "SELECT CAST(version_id AS TEXT) FROM goose_db_version g WHERE is_applied AND NOT \
                 EXISTS (SELECT 1 FROM goose_db_version l WHERE l.version_id = g.version_id AND l.id > g.id)",
            ),
        ),
        AdoptFrom::Dbmate => tool(
            "schema_migrations",
            "SELECT max(CAST(version AS TEXT)) FROM schema_migrations",
            None,
            Some("SELECT CAST(version AS TEXT) FROM schema_migrations"),
        ),
    }
}

/// The tool's own table, which is no part of a schema.
pub fn table_of(from: &AdoptFrom) -> Option<&'static str> {
    tool_of(from).map(|tool| tool.table)
}

/// How a sentence names where the version was read.
pub fn name_of(from: &AdoptFrom) -> &'static str {
    match from {
        AdoptFrom::Stated(_) => "another tool",
        AdoptFrom::UserVersion => "user_version",
        AdoptFrom::Refinery => "refinery",
        AdoptFrom::Ecto => "Ecto",
        AdoptFrom::Sqlx => "sqlx",
        AdoptFrom::Diesel => "Diesel",
        AdoptFrom::RusqliteMigration => "rusqlite_migration",
        AdoptFrom::GolangMigrate => "golang-migrate",
        AdoptFrom::Goose => "goose",
        AdoptFrom::Dbmate => "dbmate",
        AdoptFrom::Query(_) => "version_query",
    }
}

impl Database {
    /// The version that a tool left here; else, in words, why it left none.
    ///
    /// # Errors
    /// As SQLite, but for errors of a product's own query, which are words.
    pub fn foreign_version(
        &self,
        op: Op,
        from: &AdoptFrom,
    ) -> Result<Result<i64, String>, Failure> {
        let _runs = self.watch.evaluates();
        let failed = |error: &rusqlite::Error| self.failure(op, error);
        let name = name_of(from);
        let Some(tool) = tool_of(from) else {
            return match from {
                AdoptFrom::Stated(version) => Ok(Ok(*version)),
                AdoptFrom::Query(query) => match self.one(query) {
                    Err(error) if super::class_of(&error) == crate::error::Class::Failed => {
                        Ok(Err(format!(
                            "`version_query` does not work here: {}",
                            super::describe(&error)
                        )))
                    }
                    other => other
                        .map(|version| {
                            version.ok_or_else(|| "`version_query` gave no number".to_owned())
                        })
                        .map_err(|e| failed(&e)),
                },
                _ => self
                    .one("PRAGMA user_version")
                    .map(|version| Ok(version.unwrap_or(0)))
                    .map_err(|error| failed(&error)),
            };
        };
        let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        let there = self
            .connection
            .query_row(sql, [tool.table], |_| Ok(()))
            .optional()
            .map_err(|error| failed(&error))?;
        if there.is_none() {
            return Ok(Err(format!("{name}'s table {} is not in it", tool.table)));
        }
        // A column that is not there is said in words too: the table is another tool's.
        let ask = |sql: &str| match self.one(sql) {
            Err(error) if super::class_of(&error) == crate::error::Class::Failed => Ok(Err(
                format!("its table {} is not {name}'s: {}", tool.table, super::describe(&error)),
            )),
            other => other.map(Ok).map_err(|error| failed(&error)),
        };
        if let Some(unfinished) = tool.unfinished {
            match ask(unfinished)? {
                Err(words) => return Ok(Err(words)),
                Ok(Some(version)) => {
                    return Ok(Err(format!("{name} was cut off in its version {version}")))
                }
                Ok(None) => {}
            }
        }
        ask(tool.version).map(|asked| asked.map(|version| version.unwrap_or(0)))
    }

    /// Every version that a tool says it has done; `None` where it tells only the last one. Its
    /// table is there: [`Database::foreign_version`] has read it.
    ///
    /// # Errors
    /// As SQLite.
    pub fn foreign_done(&self, op: Op, from: &AdoptFrom) -> Result<Option<BTreeSet<i64>>, Failure> {
        let Some(sql) = tool_of(from).and_then(|tool| tool.done) else { return Ok(None) };
        let _runs = self.watch.evaluates();
        let done = self.strings(op, sql)?;
        Ok(Some(done.iter().filter_map(|version| version.trim().parse().ok()).collect()))
    }

    /// The first row's first column as a number; `None` for no row, NULL or no number.
    fn one(&self, sql: &str) -> rusqlite::Result<Option<i64>> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(match row.get_ref(0)? {
                ValueRef::Integer(number) => Some(number),
                ValueRef::Text(text) => {
                    std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok())
                }
                ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => None,
            })
        };
        self.connection.query_row(sql, [], read).optional().map(Option::flatten)
    }
}
