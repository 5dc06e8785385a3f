//! Owns a check object by object, where the check of the whole database is stopped by something
//! that only the application has.
//! Promises: whatever can be checked is; what cannot is named, with the reason; a virtual table's
//! fault is never damage of the file.
//! Never changes a byte.

use std::collections::BTreeMap;

use crate::device::disk::Op;
use crate::device::sqlite::errors::is_an_objects;
use crate::device::sqlite::findings::Checked;
use crate::device::sqlite::findings::{FindingKind, Findings, NamedTree};
use crate::device::sqlite::missing::Missing;
use crate::device::sqlite::stand_ins::read_with_stand_ins;
use crate::device::sqlite::virtual_tables::{Content, VirtualTable};
use crate::device::sqlite::{class_of, describe, is_too_big, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

/// The rows that a check of everything may answer with.
const ROWS_MAX: &str = "1000";

impl Database {
    /// The check in parts: the pages of everything, each table's indexes, each virtual table.
    pub(super) fn check_by_object(
        &self,
        op: Op,
        pragma: &str,
        trees: &BTreeMap<i64, NamedTree>,
    ) -> Result<Findings, Failure> {
        let tables = self
            .strings(op, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")?;
        // Where a row stands does not depend on a function or an order: quick_check compares no
        // index with its table.
        let pages = |of: &str| {
            read_with_stand_ins(&self.connection, || self.rows_of_check("quick_check", of))
                .map(|(rows, _)| rows)
        };
        let mut findings = match pages(ROWS_MAX) {
            Ok(rows) if !rows.stop.as_ref().is_some_and(is_an_objects) => {
                self.read_rows(op, pragma, &rows, trees)?
            }
            Err(error) if !is_an_objects(&error) => return Err(self.failure(op, &error)),
            // A virtual table stopped it: table by table.
            Ok(_) | Err(_) => {
                let mut findings = Findings::default();
                for table in &tables {
                    self.add_part(op, pragma, (table, pages(&quote(table))), trees, &mut findings)?;
                }
                findings
            }
        };
        if pragma == "integrity_check" {
            for table in &tables {
                self.add_part(
                    op,
                    pragma,
                    (table, self.rows_of_check(pragma, &quote(table))),
                    trees,
                    &mut findings,
                )?;
            }
        }
        self.tell_virtual_tables(op, pragma, &mut findings)?;
        Ok(findings)
    }

    /// A corrupt page ended the check of everything: each table by itself, and where its indexes
    /// end that early too, without them.
    pub(super) fn check_by_table(
        &self,
        op: Op,
        stopped: Findings,
        trees: &BTreeMap<i64, NamedTree>,
    ) -> Result<Findings, Failure> {
        let tables = match self.strings(
            op,
            "SELECT 'sqlite_schema' UNION ALL SELECT name FROM sqlite_schema WHERE type = 'table' \
             AND rootpage > 0",
        ) {
            Err(failure) if failure.class == Class::Damaged => return Ok(stopped),
            tables => tables?,
        };
        let mut findings = Findings(
            stopped
                .0
                .iter()
                .filter(|finding| finding.kind != FindingKind::Stopped)
                .cloned()
                .collect(),
        );
        for table in &tables {
            let of = quote(table);
            let mut rows = self.rows_of_check("integrity_check", &of);
            if let Ok(Checked { said, stop: Some(error) }) = &mut rows {
                if !is_an_objects(error) && !is_too_big(error) {
                    let alone = self
                        .rows_of_check("quick_check", &of)
                        .map_err(|error| self.failure(op, &error))?;
                    said.extend(alone.said);
                    if alone.stop.is_none() {
                        findings.add_of(FindingKind::Index, table, &describe(error));
                        rows = Ok(Checked { said: std::mem::take(said), stop: None });
                    }
                }
            }
            self.add_part(op, "integrity_check", (table, rows), trees, &mut findings)?;
        }
        // What ended it is of none of them.
        let found = findings.damage().next().is_some();
        Ok(if found { findings } else { stopped })
    }

    fn add_part(
        &self,
        op: Op,
        pragma: &str,
        (table, rows): (&str, rusqlite::Result<Checked>),
        trees: &BTreeMap<i64, NamedTree>,
        findings: &mut Findings,
    ) -> Result<(), Failure> {
        match rows {
            Ok(rows) => {
                let more = self.read_rows(op, pragma, &rows, trees)?;
                findings.0.extend(
                    more.0.into_iter().filter(|one| !findings.0.contains(one)).collect::<Vec<_>>(),
                );
            }
            Err(error) if is_an_objects(&error) => {
                findings.add_of(
                    FindingKind::NotChecked,
                    &format!("table {table}"),
                    &not_here(&error),
                );
            }
            Err(error) => return Err(self.failure(op, &error)),
        }
        Ok(())
    }

    /// What each virtual table says of itself; the same words in `findings` are its own.
    pub(super) fn tell_virtual_tables(
        &self,
        op: Op,
        pragma: &str,
        findings: &mut Findings,
    ) -> Result<(), Failure> {
        // A schema that cannot be read has none that could be asked.
        let Ok(all) = self.read_virtual_tables() else { return Ok(()) };
        for table in &all {
            if let Some((kind, text)) = self.fault_of(op, pragma, table)? {
                text.lines()
                    .chain([text.as_str()])
                    .for_each(|text| findings.belongs_to(&table.name, text));
                let object = if kind == FindingKind::NotChecked {
                    format!("virtual table {}", table.name)
                } else {
                    table.name.clone()
                };
                findings.add_of(kind, &object, &text);
            }
        }
        Ok(())
    }

    /// What is wrong with a virtual table's own content, or why it cannot be asked.
    pub(super) fn fault_of(
        &self,
        op: Op,
        pragma: &str,
        table: &VirtualTable,
    ) -> Result<Option<(FindingKind, String)>, Failure> {
        if let Content::Unknown(module) = &table.content {
            return Ok(Some((
                FindingKind::NotChecked,
                Missing::Module(module.clone()).is_not_here(),
            )));
        }
        match self.rows_of_check(pragma, &quote(&table.name)) {
            Ok(Checked { stop: Some(error), .. }) => {
                Ok(Some((FindingKind::VirtualTable, describe(&error))))
            }
            Ok(Checked { said, .. }) => Ok(said
                .into_iter()
                .find(|row| row != "ok")
                .map(|row| (FindingKind::VirtualTable, row))),
            Err(error) if Missing::of(&error).is_some() => {
                Ok(Some((FindingKind::NotChecked, not_here(&error))))
            }
            Err(error) if class_of(&error) == Class::Damaged => {
                Ok(Some((FindingKind::VirtualTable, describe(&error))))
            }
            // An R*Tree needs nothing of an application: its own tables are not as it made them.
            Err(error) if is_an_objects(&error) && table.content == Content::Boxes => {
                Ok(Some((FindingKind::VirtualTable, describe(&error))))
            }
            // FTS5 does not say which tokenizer it was that it did not find.
            Err(error) if is_an_objects(&error) => {
                let tokenizer = table
                    .tokenizer
                    .as_ref()
                    .map(|name| format!(" (its tokenizer is {name})"))
                    .unwrap_or_default();
                Ok(Some((FindingKind::NotChecked, format!("{}{tokenizer}", describe(&error)))))
            }
            Err(error) => Err(self.failure(op, &error)),
        }
    }
}

/// Why an object is checked in part.
fn not_here(error: &rusqlite::Error) -> String {
    Missing::of(error).map_or_else(|| describe(error), |missing| missing.is_not_here())
}
