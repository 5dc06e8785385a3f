//! Owns the door by which the workbench brings a team's own migrations: one database of a product,
//! and its upgrades as scenarios.
//! Promises: what must come out is plain SQLite's, from the very rows that the older firmware's
//! database holds.
//! Never judges a migration that ends otherwise at each run, or that fails without a power cut: it
//! says so.

use std::rc::Rc;

use bootmigrate::catalog::{Catalog, Embedded, ForeignKeys, Migration};
use bootmigrate::config::{self, DatabaseSettings, JournalMode, Source, UnknownKey};
use bootmigrate_build::workbench::{lex, statements};
use rusqlite::{Connection, OpenFlags};

use crate::corrupt::situations::{has, killed_where, Watched};
use crate::corrupt::Situation;
use crate::device::switch_on;
use crate::dump::{difference, take_without, Album, LeftOut, Stands};
use crate::firmware::{Firmware, MAIN, STATE};
use crate::logged::first_of;
use crate::scenario::{plain, End, Old, Scenario};
use crate::scenarios::situations::empty;
use crate::scenarios::upgraded::{new, scenario};
use crate::sim::{seed_sqlite, Options, Sim, State};

/// What the clock of every device says at its start: 2096-10-02. No row of a product has a time of
/// that day.
const CLOCK_S: i64 = 4_000_000_000;
/// An uncut run's bytes may be used this often: a snapshot more, and what a second run begins.
const RUNS_OF_BYTES: u64 = 3;

/// One database of a product, on a device of its own.
#[derive(Clone, Copy)]
pub struct Own {
    firmware: Firmware,
}

/// Writes rows into a database that is at this version.
pub type Fill<'a> = &'a dyn Fn(&Connection, i64) -> Result<(), String>;

/// Where an upgrade begins.
pub struct Start<'a> {
    /// The version of the firmware before; 0 for a first boot.
    pub from: i64,
    /// The application keeps the database in WAL mode.
    pub wal: bool,
    /// Writes the application's rows at a version.
    pub fill: Fill<'a>,
}

impl Start<'_> {
    fn journal(&self) -> &'static str {
        if self.wal {
            "wal"
        } else {
            "delete"
        }
    }
}

impl Own {
    /// The database of this name, as the product's folder configures it; owner, mount and group are
    /// those of another device.
    ///
    /// # Errors
    /// There is none, or its migrations need Rust.
    pub fn new(embedded: Embedded, database: &str) -> Result<Own, String> {
        let source = Source { file: embedded.configuration_file, text: embedded.configuration };
        let settings =
            config::read(source, &[], UnknownKey::Refuse).map_err(|error| error.to_string())?;
        let entry = settings.databases.iter().find(|entry| entry.name == database);
        let catalog = embedded.databases.iter().find(|catalog| catalog.database == database);
        let (Some(entry), Some(catalog)) = (entry, catalog) else {
            return Err(format!("there is no database `{database}`"));
        };
        if let Some(code) =
            catalog.migrations.iter().find(|migration| migration.directives.code_revision.is_some())
        {
            return Err(format!(
                "{} runs Rust code, which only the product's own binary has",
                code.file
            ));
        }
        let settings = DatabaseSettings {
            path: MAIN.into(),
            owner: None,
            require_mount: None,
            group: None,
            busy_timeout_s: 1,
            ..entry.clone()
        };
        let catalog: &'static Catalog = Box::leak(Box::new(Catalog { data: &[], ..*catalog }));
        let settings: &'static DatabaseSettings = Box::leak(Box::new(settings));
        let slots = config::Slots::Single;
        Ok(Own { firmware: Firmware { settings, catalog, slots, text: "", companion: None } })
    }

    /// The firmware of which this version was the newest.
    fn at(self, version: i64) -> Firmware {
        Firmware {
            catalog: Box::leak(Box::new(self.firmware.catalog.up_to(version))),
            ..self.firmware
        }
    }

    fn left_out(self) -> LeftOut {
        LeftOut { history: self.firmware.settings.history_table.clone(), day_of: Some(CLOCK_S) }
    }

    /// An upgrade to the newest version, or a first boot.
    ///
    /// # Errors
    /// Why it cannot be judged: a sentence.
    pub fn scenario(self, name: &str, start: &Start<'_>) -> Result<Scenario, String> {
        let initial = self.before(start)?;
        let mut album = Album::leaving_out(self.left_out());
        let old = match album.look(&initial, MAIN) {
            Stands::Absent => Old::Absent,
            Stands::Whole(dump) => Old::Whole(dump.text),
            Stands::Broken(_, why) => {
                return Err(format!("the database at version {} is not whole: {why}", start.from))
            }
        };
        let text = self.expected(&initial, start.from, 7)?;
        let again = self.expected(&initial, start.from, 8)?;
        if text != again {
            let what = difference(&text, &again);
            return Err(format!(
                "the migrations give other rows at each run, so no result can be called \
                 right:{what}"
            ));
        }
        let ends = self.ends(text, start);
        let mut own = scenario(self.firmware, initial, old, ends);
        own.name = name.to_owned().leak();
        own.options = options();
        own.left_out = self.left_out();
        self.without_a_cut(own)
    }

    /// What a run without a cut leaves at rest, a cut one leaves too.
    fn without_a_cut(self, own: Scenario) -> Result<Scenario, String> {
        let run = first_of(&own);
        let report = &run.booted.report;
        if report.exit != 0 {
            return Err(format!("the upgrade fails without any power cut: {}", report.sentence));
        }
        let snapshots = format!("{STATE}/snapshots/");
        let kept =
            run.sim.state().walk().iter().filter(|(path, _)| path.starts_with(&snapshots)).count();
        let bytes_allowed = run.sim.used_bytes().1 * RUNS_OF_BYTES;
        Ok(Scenario { snapshots_min: kept, bytes_allowed, ..own })
    }

    /// The new database. Where the mode of its journal changes, a cut between the commit and that
    /// change leaves the old mode for good.
    fn ends(self, text: String, start: &Start<'_>) -> Vec<End> {
        let configured = match self.firmware.settings.journal_mode {
            JournalMode::Keep => start.journal(),
            JournalMode::Wal => "wal",
            JournalMode::Delete => "delete",
        };
        let mut ends = vec![new(text, configured)];
        if configured != start.journal() && start.from > 0 {
            ends.push(End { name: "new, old mode", journal: start.journal(), ..ends[0].clone() });
        }
        ends
    }

    /// The device before: older firmware has booted, and its application has written rows.
    fn before(self, start: &Start<'_>) -> Result<State, String> {
        let made = self.made(start.from)?;
        if start.from == 0 {
            return Ok(made);
        }
        self.filled(&made, start)
    }

    /// A device on which firmware of this version has booted; without rows.
    fn made(self, version: i64) -> Result<State, String> {
        let mut state = empty();
        state.put_folder("/data/product");
        if version == 0 {
            return Ok(state);
        }
        self.booted(self.at(version), &state)
            .map_err(|why| format!("version {version} cannot be made: {why}"))
    }

    fn filled(self, state: &State, start: &Start<'_>) -> Result<State, String> {
        let sim = Sim::with(state, options());
        let connection = open(&sim)?;
        connection.pragma_update(None, "journal_mode", start.journal()).map_err(words)?;
        (start.fill)(&connection, start.from)?;
        connection.close().map_err(|(_, error)| words(error))?;
        Ok(sim.state().swept())
    }

    /// The files of a device of this product in every situation that is damaged: at rest, in the
    /// middle of an upgrade, with a WAL left.
    ///
    /// # Errors
    /// Why they cannot be made: a sentence.
    pub fn situations(self, from: i64, fill: Fill<'_>) -> Result<Vec<Situation>, String> {
        let newest = self.firmware.catalog.target();
        let (old, made) = (self.before(&Start { from, wal: false, fill })?, self.made(from)?);
        self.booted(self.firmware, &old)?;
        let upgraded = self.booted(self.firmware, &made)?;
        let current = self.filled(&upgraded, &Start { from: newest, wal: false, fill })?;
        let wal_left = self.left_open(&upgraded, &Start { from: newest, wal: true, fill })?;
        let old_wal_left = self.left_open(&made, &Start { from, wal: true, fill })?;
        let watched: Rc<[Watched]> = self.watched(&current)?.into();
        let one = |name, state: &State, earlier: &State| {
            Situation::of(name, self.firmware, state.clone(), earlier.clone())
        };
        let at_rest = |situation| Situation { watched: Rc::clone(&watched), ..situation };
        let mut all = vec![
            at_rest(one("current", &current, &upgraded)),
            at_rest(one("WAL left, current", &wal_left, &upgraded)),
            one("pending", &old, &current),
            one("WAL left, pending", &old_wal_left, &old),
        ];
        let journal = |state: &State| {
            state.read_file(&format!("{MAIN}-journal")).is_some_and(|bytes| bytes.len() > 512)
        };
        all.extend(
            killed_where(&old, self.firmware, journal)
                .map(|state| one("half-done upgrade", &state, &old)),
        );
        all.extend(
            killed_where(&old, self.firmware, |state| has(state, "staging-"))
                .map(|state| one("half-done copy", &state, &old)),
        );
        let first = killed_where(&empty(), self.firmware, |state| has(state, "staging-"));
        all.extend(first.map(|state| one("half-done first boot", &state, &old)));
        Ok(all)
    }

    /// The tables of this database whose rows can be told apart: what their texts say, and their
    /// numbers.
    fn watched(self, state: &State) -> Result<Vec<Watched>, String> {
        let sim = Sim::with(state, options());
        let connection = open(&sim)?;
        let listed = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
                      AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE \
                      'bootmigrate\\_%' ESCAPE '\\' AND name <> ?1 COLLATE NOCASE AND instr(name, \
                      '\"') + instr(name, '''') = 0 ORDER BY name";
        let history = self.firmware.settings.history_table.as_str();
        let one = |sql: &str, table: &str| -> Result<Vec<String>, String> {
            let mut statement = connection.prepare(sql).map_err(words)?;
            let found = statement.query_map([table], |row| row.get(0)).and_then(Iterator::collect);
            found.map_err(words)
        };
        let texts = "SELECT 'coalesce(CAST(\"' || name || '\" AS TEXT), ''NULL'')' FROM \
                     pragma_table_info(?1) WHERE type LIKE '%CHAR%' OR type LIKE '%CLOB%' OR type \
                     LIKE '%TEXT%' ORDER BY cid";
        let number =
            "SELECT name FROM pragma_table_info(?1) WHERE pk = 1 AND type LIKE 'INTEGER' AND 1 = \
             (SELECT count(*) FROM pragma_table_info(?1) WHERE pk > 0)";
        let index = "SELECT name FROM pragma_index_list(?1) WHERE partial = 0 ORDER BY seq";
        let mut all = Vec::new();
        for table in one(listed, history)? {
            let text = one(texts, &table)?;
            let key =
                one(number, &table)?.into_iter().next().zip(one(index, &table)?.into_iter().next());
            all.push(Watched {
                text: if text.is_empty() { "''".to_owned() } else { text.join(" || '|' || ") },
                key,
                table,
            });
        }
        Ok(all)
    }

    /// A boot of this firmware that ends well.
    fn booted(self, firmware: Firmware, state: &State) -> Result<State, String> {
        let sim = Sim::with(state, options());
        let booted = switch_on(firmware, &sim, &plain());
        match booted.report.exit {
            0 => Ok(sim.state().swept()),
            _ => Err(format!("it fails with nothing wrong: {}", booted.report.sentence)),
        }
    }

    /// The application writes in WAL mode, and the power goes.
    fn left_open(self, state: &State, start: &Start<'_>) -> Result<State, String> {
        let sim = Sim::with(state, options());
        let connection = open(&sim)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = wal; PRAGMA synchronous = EXTRA; PRAGMA wal_autocheckpoint \
                 = 0",
            )
            .map_err(words)?;
        (start.fill)(&connection, start.from)?;
        Ok(sim.state().swept())
    }

    /// What plain SQLite makes of this state with the later migrations.
    fn expected(self, state: &State, from: i64, seed: u32) -> Result<String, String> {
        let sim = Sim::with(state, options());
        let connection = open(&sim)?;
        seed_sqlite(seed);
        if from == 0 {
            let columns = "version INTEGER PRIMARY KEY, name TEXT, applied_on TEXT, checksum TEXT";
            let history =
                format!("CREATE TABLE \"{}\"({columns})", self.firmware.settings.history_table);
            connection.execute_batch(&history).map_err(words)?;
        }
        for migration in
            self.firmware.catalog.migrations.iter().filter(|migration| migration.version > from)
        {
            self.by_plain_sqlite(&connection, migration)
                .map_err(|error| format!("{}: plain SQLite says: {error}", migration.file))?;
        }
        take_without(&connection, &self.left_out()).map(|dump| dump.text)
    }

    /// One file on a connection that nothing is left in, and its row of the history.
    fn by_plain_sqlite(
        self,
        connection: &Connection,
        migration: &Migration,
    ) -> rusqlite::Result<()> {
        let enforced = migration.directives.foreign_keys == ForeignKeys::Enforced;
        let single = migration.directives.no_transaction;
        connection.pragma_update(None, "foreign_keys", enforced)?;
        connection.execute_batch(if single { "" } else { "BEGIN" })?;
        let lexed = lex(migration.sql);
        for statement in statements(&lexed.tokens).0 {
            let words = ["BEGIN", "COMMIT", "END"].iter().any(|word| statement.word(0, word));
            if !(migration.adopted && words) {
                connection.execute_batch(statement.source(migration.sql).unwrap_or_default())?;
            }
        }
        let checksum = migration.checksum(self.firmware.catalog.versions);
        let row = format!(
            "INSERT INTO \"{}\" VALUES (?1, ?2, '', ?3)",
            self.firmware.settings.history_table
        );
        connection.execute(&row, (migration.version, migration.name, checksum.to_string()))?;
        connection.execute_batch(if single { "" } else { "COMMIT" })?;
        connection.pragma_update(None, "foreign_keys", false)
    }
}

fn words(error: rusqlite::Error) -> String {
    error.to_string()
}

/// The application, or plain SQLite, on a device's database.
fn open(sim: &Sim) -> Result<Connection, String> {
    seed_sqlite(7);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    Connection::open_with_flags_and_vfs(MAIN, flags, sim.vfs_name()).map_err(words)
}

/// A device whose clock no row of the product has seen.
fn options() -> Options {
    Options { clock_ns: i128::from(CLOCK_S) * 1_000_000_000, ..Options::default() }
}
