//! Owns running a down file where its migration has just run, and its migration once more after it.
//! Promises: the schema after the way back is compared with the one before the migration, as the
//! device will; and the one after it again.
//! Never stops a build for a file that was released: devices have its text already, and refuse it
//! by themselves.

use super::catalogue::internal;
use super::connection::{self, Fault, Image, Keys};
use super::refusal::Mode;
use super::schema::{self, Difference, How, Schema};
use super::Run;
use crate::product::Migration;
use crate::Problem;

impl Run<'_> {
    /// There and back and there again.
    pub fn way_back(&mut self, migration: &Migration, before: &Image, after: &Image) {
        let Some(down) = migration.down.as_deref() else { return };
        let file = self.file(migration);
        let file = format!("{}.down.sql", file.trim_end_matches(".sql"));
        if migration.directives.code_revision.is_some() {
            let sentence = "not checked: it goes back over Rust code, which is not run here";
            self.found.warnings.push(Problem::whole(&file, sentence));
            return;
        }
        let gone_back = self.with_stand_ins(&file, &mut |run| {
            let mut connection = run.open(after)?;
            connection::run(
                &mut connection,
                down,
                &run.rules(Mode::Transaction, false),
                Keys::OFF,
            )?;
            connection::image(&mut connection).map_err(internal)
        });
        let gone_back = match gone_back {
            Ok(image) => image,
            Err(fault) => {
                return self.not_restored(migration, &file, fault.line, fault.column, &fault.words)
            }
        };
        let sentences = match self.differences(migration, &gone_back, before) {
            Ok(sentences) => sentences,
            Err(fault) => return self.not_restored(migration, &file, 0, 0, &fault.words),
        };
        if !sentences.is_empty() {
            let sentence = format!(
                "it does not lead back to the schema before its migration: {}",
                sentences.join("; ")
            );
            return self.not_restored(migration, &file, 0, 0, &sentence);
        }
        let again = self
            .up(migration, &gone_back)
            .and_then(|image| self.differences(migration, &image, after));
        match again {
            Ok(sentences) if sentences.is_empty() => {}
            Ok(sentences) => {
                let sentence = format!(
                    "after it the migration leads elsewhere when it runs again: {}",
                    sentences.join("; ")
                );
                self.not_restored(migration, &file, 0, 0, &sentence);
            }
            Err(fault) => {
                let sentence =
                    format!("after it the migration does not run again: {}", fault.words);
                self.not_restored(migration, &file, 0, 0, &sentence);
            }
        }
    }

    /// Where one database's schema is not the other's, as far as it matters.
    fn differences(
        &mut self,
        migration: &Migration,
        found: &Image,
        wanted: &Image,
    ) -> Result<Vec<String>, Fault> {
        let read = |image: &Image| {
            Schema::read(&self.open(image)?, &self.settings.history_table).map_err(internal)
        };
        let (found, wanted) = (read(found)?, read(wanted)?);
        let mut sentences = Vec::new();
        for difference in found.differences(&wanted) {
            match (&difference.how, self.counts_columns(migration, &wanted, &difference)) {
                (How::ExtraObject | How::ExtraPart, _) => {
                    sentences.push(format!("{} is still there", difference.what))
                }
                (How::Missing | How::Other { .. }, _) => sentences.push(difference.to_string()),
                (How::Order { .. }, Some(who)) => {
                    sentences.push(format!("{difference}, and {who} does not name them"))
                }
                (How::Order { .. }, None) => {
                    let sentence = format!(
                        "{difference}; what reads `SELECT *` or inserts without naming columns \
                         would be wrong"
                    );
                    self.found.warnings.push(Problem::whole(&self.file(migration), sentence));
                }
            }
        }
        Ok(sentences)
    }

    /// Who reaches the columns of this table by their place: a view, a trigger, or a migration that
    /// runs after this way back.
    fn counts_columns(
        &self,
        migration: &Migration,
        schema: &Schema,
        difference: &Difference,
    ) -> Option<String> {
        let table = difference.key.strip_prefix("table ")?;
        let object = schema.by_position(&difference.key).map(str::to_owned);
        let later =
            self.database.migrations.iter().filter(|later| later.version >= migration.version);
        object.or_else(|| {
            later
                .into_iter()
                .find(|later| schema::by_position(&later.sql, table))
                .map(|later| later.file.clone())
        })
    }

    fn not_restored(
        &mut self,
        migration: &Migration,
        file: &str,
        line: u32,
        column: u32,
        sentence: &str,
    ) {
        match self.doubt() {
            Some(doubt) => {
                let sentence = format!("{sentence}; {doubt}, so this may be right on a device");
                self.found.warnings.push(Problem::at(file, line, column, sentence));
            }
            None if migration.released => {
                let sentence = format!(
                    "{sentence}; released, so this is a warning only: devices refuse this way back"
                );
                self.found.warnings.push(Problem::at(file, line, column, sentence));
            }
            None => {
                let sentence = format!(
                    "{sentence}; older firmware would refuse this way back; correct it, or write \
                     `-- bootmigrate: irreversible` in the migration instead"
                );
                self.found.problems.push(Problem::at(file, line, column, sentence));
            }
        }
    }
}
