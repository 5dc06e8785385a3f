//! Owns running the files of one database in their order, from nothing, each as the device runs and
//! verifies it.
//! Promises: a file that fails ends the run, and of those after it only what SQLite cannot even
//! read is said.
//! Never runs a file on the state that a failed one has left.

use rusqlite::Connection;

use super::actions::Watch;
use super::compile::{self, Compiled};
use super::connection::{self, Fault, Image, Keys, UNREADABLE};
use super::rebuild::Hanging;
use super::references::{self, References, Violated};
use super::refusal::{self, Mode, Rules};
use super::Run;
use crate::product::{Expect, ForeignKeys, Migration};
use crate::{sql, Problem};

/// How the sentence about something that is stood in for begins.
pub const NOT_IN_FULL: &str = "not checked in full: ";

/// What a connection looked like before a file.
struct Before {
    compiled: Compiled,
    references: References,
}

impl Run<'_> {
    /// Every file, query and way back.
    pub fn all(&mut self) {
        let database = self.database;
        let mut image = Image::new();
        for (place, migration) in database.migrations.iter().enumerate() {
            let file = self.file(migration);
            match self.up(migration, &image) {
                Ok(after) => {
                    self.note_code(&file, migration);
                    self.way_back(migration, &image, &after);
                    image = after;
                }
                Err(fault) => {
                    let rest = database.migrations.get(place + 1..).unwrap_or_default();
                    let after = not_run(rest.len());
                    self.fails(&file, &fault, &after);
                    return self.read_only(rest, &image);
                }
            }
        }
        self.data(image);
    }

    /// One file, verified; what only the product has is stood in for, and said.
    ///
    /// # Errors
    /// What the device would say.
    pub fn up(&mut self, migration: &Migration, image: &Image) -> Result<Image, Fault> {
        let file = self.file(migration);
        let mode = if migration.directives.no_transaction {
            Mode::NoTransaction
        } else {
            Mode::Transaction
        };
        self.with_stand_ins(&file, &mut |run| {
            run.once(&file, migration, &migration.sql, mode, image)
        })
    }

    /// Runs again as long as something that is missing can be stood in for.
    ///
    /// # Errors
    /// What is left.
    pub fn with_stand_ins<T>(
        &mut self,
        file: &str,
        work: &mut dyn FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        loop {
            match work(self) {
                Err(fault) if self.stand_ins.take(connection::bare(&fault.words)) => {
                    let sentence = format!(
                        "{NOT_IN_FULL}{}, which the product has to register",
                        connection::bare(&fault.words)
                    );
                    self.found.warnings.push(Problem::at(file, fault.line, fault.column, sentence));
                }
                done => return done,
            }
        }
    }

    fn once(
        &mut self,
        file: &str,
        migration: &Migration,
        text: &str,
        mode: Mode,
        image: &Image,
    ) -> Result<Image, Fault> {
        let mut connection = self.open(image)?;
        let before = self.look(&connection)?;
        let rules = self.rules(mode, migration.adopted);
        let ours = refusal::ours(&connection, &rules.history_table).map_err(internal)?;
        let hanging = Hanging::read(&connection).map_err(internal)?;
        connection::run(&mut connection, text, &rules, self.keys(migration, mode))?;
        // Nobody can edit the others.
        if !migration.released && !migration.adopted {
            let lost = hanging.lost(&Hanging::read(&connection).map_err(internal)?, text);
            self.found.warnings.extend(
                lost.into_iter()
                    .map(|lost| Problem::at(file, lost.line, lost.column, lost.sentence)),
            );
        }
        self.note_actions(file, migration, &rules, image)?;
        if let Some(object) = refusal::ours(&connection, &rules.history_table)
            .map_err(internal)?
            .symmetric_difference(&ours)
            .find(|object| !object.starts_with("temporary "))
        {
            let sentence = format!(
                "no migration may touch bootmigrate's own tables, which tell what was applied: \
                 {object}"
            );
            return Err(Fault { certain: true, ..whole(sentence) });
        }
        for expect in &migration.directives.expect {
            holds(&connection, expect)?;
        }
        for sentence in self.worse(&connection, &before)? {
            if !migration.adopted {
                return Err(whole(sentence));
            }
            self.found.warnings.push(Problem::whole(
                file,
                format!("released before bootmigrate, so this is a warning only: {sentence}"),
            ));
        }
        connection::image(&mut connection).map_err(internal)
    }

    /// What a file may do.
    pub fn rules(&self, mode: Mode, adopted: bool) -> Rules {
        Rules { mode, adopted, history_table: self.settings.history_table.clone() }
    }

    /// A connection as a file finds it.
    ///
    /// # Errors
    /// No memory.
    pub fn open(&self, image: &Image) -> Result<Connection, Fault> {
        connection::open(image, &self.stand_ins, &self.settings.history_table).map_err(internal)
    }

    fn look(&self, connection: &Connection) -> Result<Before, Fault> {
        let empty = || self.open(&Image::new()).ok();
        let compiled = compile::compile(connection, &empty).map_err(internal)?;
        Ok(Before { compiled, references: references::look(connection).map_err(internal)? })
    }

    /// What works no more since then, a sentence each.
    fn worse(&self, connection: &Connection, before: &Before) -> Result<Vec<String>, Fault> {
        let now = self.look(connection)?;
        let worse = now.references.worse_than(&before.references);
        let violated = worse.violated.iter().map(|Violated { child, parent, count, .. }| {
            format!("{count} rows of {child} refer to no row of {parent}")
        });
        let mut found: Vec<String> = violated
            .chain(worse.broken)
            .chain(now.compiled.broken_since(&before.compiled))
            .collect();
        let mut check = connection.prepare("PRAGMA integrity_check(10)").map_err(internal)?;
        let rows = check.query_map([], |row| row.get::<_, String>(0)).map_err(internal)?;
        for row in rows {
            let row = row.map_err(internal)?;
            if row != "ok" {
                found.push(format!("integrity_check says {row}"));
            }
        }
        Ok(found)
    }

    fn keys(&self, migration: &Migration, mode: Mode) -> Keys {
        Keys {
            enforced: mode == Mode::Beside
                || migration.directives.foreign_keys == ForeignKeys::Enforced,
            ..Keys::OFF
        }
    }

    /// Once more on a connection of its own: to be asked, a statement is compiled and run as
    /// EXPLAIN, which `changes()` notices.
    fn note_actions(
        &mut self,
        file: &str,
        migration: &Migration,
        rules: &Rules,
        image: &Image,
    ) -> Result<(), Fault> {
        let watch = match (migration.adopted, migration.directives.foreign_keys) {
            (_, ForeignKeys::Enforced) => Watch::Nothing,
            (true, _) if self.settings.baseline_foreign_keys.is_none() => Watch::ChangesAndDrops,
            (false, ForeignKeys::Off) if !migration.released && rules.mode != Mode::Beside => {
                Watch::Changes
            }
            // Somebody has said how it runs, or nobody can say it any more.
            _ => Watch::Nothing,
        };
        if watch == Watch::Nothing {
            return Ok(());
        }
        let mut connection = self.open(image)?;
        let fires = connection::run(
            &mut connection,
            &migration.sql,
            rules,
            Keys { enforced: false, watch },
        )
        .unwrap_or_default();
        for one in fires {
            // What an earlier tool has left of the children is another question.
            let one =
                if migration.adopted { Some(one) } else { one.without_emptied(&migration.sql) };
            let Some(one) = one else { continue };
            let tables = one.tables.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let sentence = if migration.adopted {
                format!(
                    "released before bootmigrate, so this is a warning only: with foreign keys \
                     enforced, as most tools run a file, this statement changes rows of {tables} \
                     by ON DELETE or ON UPDATE, and here it does not; write `baseline_foreign_keys \
                     = \"enforced\"` in bootmigrate.toml if they were, or `\"off\"` if not"
                )
            } else {
                format!(
                    "ON DELETE or ON UPDATE would change rows of {tables} here, and foreign keys \
                     are not enforced while migrating; write `-- bootmigrate: foreign-keys = \
                     enforced` at the head of the file if they are to be, else change those rows \
                     by statements and write `foreign-keys = on`"
                )
            };
            self.found.warnings.push(Problem::at(file, one.line, one.column, sentence));
        }
        Ok(())
    }

    fn note_code(&mut self, file: &str, migration: &Migration) {
        if let Some(revision) = migration.directives.code_revision {
            let sentence = format!(
                "its Rust code (revision {revision}) is not run here, so what it changes is not \
                 checked; `Migrator::validate` tries it in a test"
            );
            self.found.warnings.push(Problem::whole(file, sentence));
            self.code = self.code.or(self
                .database
                .migrations
                .iter()
                .find(|one| one.version == migration.version)
                .map(|one| one.file.as_str()));
        }
    }

    fn data(&mut self, mut image: Image) {
        let database = self.database;
        for (place, migration) in database.data.iter().enumerate() {
            let file = self.file(migration);
            let ran = self.with_stand_ins(&file, &mut |run| {
                run.once(&file, migration, &migration.sql, Mode::Beside, &image)
            });
            match ran {
                Ok(after) => image = after,
                Err(fault) if migration.released => {
                    let sentence = format!(
                        "{}: released, so this is a warning only: devices that have not run it \
                         will not",
                        fault.words
                    );
                    self.found.warnings.push(Problem::at(
                        &file,
                        fault.line,
                        fault.column,
                        sentence,
                    ));
                }
                Err(fault) => {
                    let rest = database.data.get(place + 1..).unwrap_or_default();
                    let after = not_run(rest.len());
                    self.fails(&file, &fault, &after);
                    return self.read_only(rest, &image);
                }
            }
        }
    }

    /// Of files that cannot be run any more: what is no SQL whatever the tables are.
    fn read_only(&mut self, rest: &[Migration], image: &Image) {
        let Ok(connection) = self.open(image) else { return };
        for migration in rest {
            let file = self.file(migration);
            let lexed = sql::lex(&migration.sql);
            for statement in sql::statements(&lexed.tokens).0 {
                let Some(error) = statement
                    .source(&migration.sql)
                    .and_then(|text| connection.prepare(text).err())
                else {
                    continue;
                };
                let words = error.to_string();
                if let (true, Some(first)) =
                    (UNREADABLE.iter().any(|one| words.contains(one)), statement.token(0))
                {
                    let words = words.split_once(" in ").map_or(words.as_str(), |(words, _)| words);
                    let sentence = format!(
                        "{words} in this statement: a device would refuse this migration; correct \
                         it"
                    );
                    self.found.problems.push(Problem::at(
                        &file,
                        first.line,
                        first.column,
                        sentence,
                    ));
                }
            }
        }
    }
}

fn not_run(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "; the file after it was not run".to_owned(),
        count => format!("; the {count} files after it were not run"),
    }
}

/// An `expect` returns no row.
fn holds(connection: &Connection, expect: &Expect) -> Result<(), Fault> {
    let fault = |words: String| Fault {
        line: expect.line,
        column: 1,
        words,
        of_the_product: false,
        certain: false,
    };
    let says = |error: rusqlite::Error| match &error {
        rusqlite::Error::SqlInputError { msg, .. } => fault(msg.clone()),
        rusqlite::Error::SqliteFailure(_, Some(words)) => fault(words.clone()),
        other => fault(other.to_string()),
    };
    let mut statement = connection.prepare(&expect.query).map_err(says)?;
    match statement.exists([]) {
        Ok(false) => Ok(()),
        Ok(true) => {
            Err(fault("`expect` must return no row, and returns one on a new device".to_owned()))
        }
        Err(error) => Err(says(error)),
    }
}

fn whole(words: String) -> Fault {
    Fault { line: 0, column: 0, words, of_the_product: false, certain: false }
}

/// An error of SQLite that is of no statement of the file.
pub fn internal(error: rusqlite::Error) -> Fault {
    whole(match error {
        rusqlite::Error::SqliteFailure(_, Some(words))
        | rusqlite::Error::SqlInputError { msg: words, .. } => words,
        other => other.to_string(),
    })
}
