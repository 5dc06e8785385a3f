//! Owns the oracle of damaged files: boots until nothing is written any more, and compares what stands there with plain SQLite's word.
//! Promises: what was readable before a boot is there after it, or its loss was said and the old file is kept; exit 0 means whole.
//! Never asks the device's code whether the device's code was right.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;

use bootmigrate::boot::BootRequest;
use bootmigrate::decide::facts::Request;
use bootmigrate::report::Outcome;
use rusqlite::{Connection, OpenFlags};

use super::situations::{plain, Kind, Situation};
use super::Case;
use crate::device::{switch_on, Booted, MAIN, STATE};
use crate::judge::Bad;
use crate::sim::hash::Hash128;
use crate::sim::{without_modules, Effect, Fault, FaultKind, Options, Sim, State};

/// The boot that must be quiet, at the latest: three tries, a repair, another, and what they leave.
const QUIET_BY: u32 = 8;
/// Calls of one boot; the largest boot of these situations makes some thousands. After them the process is killed.
const CALLS_MAX: u64 = 300_000;
/// Exit codes of a run that refused, which leaves the file byte for byte.
const UNTOUCHED: [u8; 5] = [12, 13, 16, 17, 21];
/// Every exit code that a boot may have here: none is a defect or a mistake of configuration.
const EXITS: [u8; 12] = [0, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21];

fn bad<T>(rule: &'static str, what: impl Into<String>) -> Result<T, Bad> {
    Err(Bad { rule, what: what.into() })
}

/// SQLite's smallest page.
const PAGE_BYTES_MIN: u64 = 512;

/// What plain SQLite says of a database.
#[derive(Debug, Default)]
struct Contents {
    /// The hash of main's bytes; `None` where it is absent.
    main: Option<u128>,
    size: u64,
    /// A side file holds something.
    side: bool,
    /// What `integrity_check` says but "ok", without rules of the schema that rows break and without virtual tables.
    damage: Option<String>,
    /// Virtual tables that do not fit their content, or that SQLite cannot open.
    unfit: Vec<String>,
    /// The product's rows that can be read, as a multiset.
    rows: BTreeMap<String, u64>,
    /// The keys of the product's rows, as its tables have them and as their indexes do.
    by_table: BTreeSet<String>,
    by_index: BTreeSet<String>,
    /// Rows of the history; `None` where it cannot be read.
    history: Option<Vec<String>>,
}

impl Contents {
    fn whole(&self) -> bool {
        self.main.is_some() && self.damage.is_none()
    }

    /// The first row of the other that this one does not have.
    fn lacks(&self, other: &Contents) -> Option<String> {
        let gone = other.rows.iter().find(|(row, count)| self.rows.get(*row).unwrap_or(&0) < count);
        gone.map(|(row, _)| row.clone())
    }

    /// The first row that the other's tables or indexes knew, and of which neither is here.
    fn knows_less_than(&self, other: &Contents) -> Option<String> {
        let known = |row: &&String| self.by_table.contains(*row) || self.by_index.contains(*row);
        other.by_table.iter().chain(&other.by_index).find(|row| !known(row)).cloned()
    }
}

/// How a case ended.
pub struct CaseEnd {
    /// Its last exit code.
    pub exit: u8,
    /// A boot that wrote nothing said 0 of a file whose depths were not looked into; a technician's run then found it.
    pub unlooked: bool,
}

/// Judges cases; remembers what it has looked at.
#[derive(Default)]
pub struct Verdict {
    seen: HashMap<u128, Rc<Contents>>,
    /// The effects of each boot are told too.
    log: bool,
    logged: Vec<Effect>,
    /// Boots carried out.
    pub boots: u64,
}

impl Verdict {
    /// Tells the effects of each boot too.
    pub fn that_logs() -> Verdict {
        Verdict { log: true, ..Verdict::default() }
    }

    /// Boots until it is quiet. `tell` hears of each boot.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn judge(
        &mut self,
        situation: &Situation,
        case: &Case,
        state: &State,
        tell: &mut dyn FnMut(&str),
    ) -> Result<CaseEnd, Bad> {
        let mut state = state.clone();
        let mut unlooked = false;
        for number in 1..=QUIET_BY {
            let (booted, after) = self.boot(situation, &state, &plain())?;
            let report = &booted.report;
            tell(&format!(
                "boot {number}: exit {}, {} effects: {}",
                report.exit, booted.effects, report.sentence
            ));
            std::mem::take(&mut self.logged)
                .iter()
                .for_each(|effect| tell(&format!("    {effect}")));
            unlooked |= self.after_boot(situation, case, &state, &after, &booted)?;
            // SQLite tries again to recover a journal that it cannot recover, and what it opened is synced: the bytes stay the same.
            let in_vain = matches!(report.exit, 15 | 17) && after.hash() == state.hash();
            state = after;
            if booted.effects == 0 || in_vain {
                if unlooked {
                    self.technician(situation, case, &state, tell)?;
                }
                return Ok(CaseEnd { exit: report.exit, unlooked });
            }
        }
        bad("quiet in time", format!("boot {QUIET_BY} still wrote"))
    }

    /// What a quiet boot has no time to look for, a run that looks at everything finds.
    fn technician(
        &mut self,
        situation: &Situation,
        case: &Case,
        state: &State,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), Bad> {
        let asked = BootRequest { request: Request::PurgeAndRetry, token: String::new() };
        let (booted, after) = self.boot(situation, state, &asked)?;
        tell(&format!(
            "--purge-and-retry: exit {}: {}",
            booted.report.exit, booted.report.sentence
        ));
        let seen = self.look(&after);
        match (booted.report.exit, &seen.damage) {
            (0 | 11, Some(damage)) => {
                bad("a technician's run finds it", format!("exit {}: {damage}", booted.report.exit))
            }
            _ => self.kept(case, state, &after, &booted),
        }
    }

    fn boot(
        &mut self,
        situation: &Situation,
        state: &State,
        asked: &BootRequest,
    ) -> Result<(Booted, State), Bad> {
        self.boots += 1;
        let sim = Sim::with(state, Options { log: self.log, ..Options::default() });
        sim.inject(Fault::at_call(CALLS_MAX, FaultKind::Kill, true));
        let booted = catch_unwind(AssertUnwindSafe(|| switch_on(situation.firmware, &sim, asked)));
        let Ok(booted) = booted else { return bad("no panic", "it panicked") };
        if !sim.fired().is_empty() {
            return bad(
                "no hang",
                format!("more than {CALLS_MAX} calls: {}", booted.report.sentence),
            );
        }
        if let Some(hazard) = sim.hazards().first() {
            return bad("no lock dropped", hazard.clone());
        }
        if !EXITS.contains(&booted.report.exit) {
            return bad("exit code", format!("{}: {}", booted.report.exit, booted.report.sentence));
        }
        self.logged = sim.log();
        let after = sim.state().swept();
        Ok((booted, after))
    }

    /// The rules after every boot. `true`: a quiet boot said 0 of a file that is not whole.
    fn after_boot(
        &mut self,
        situation: &Situation,
        case: &Case,
        before: &State,
        after: &State,
        booted: &Booted,
    ) -> Result<bool, Bad> {
        let (old, new) = (self.look(before), self.look(after));
        let report = &booted.report;
        let says = |what: &str| format!("{what}; exit {}: {}", report.exit, report.sentence);
        self.kept(case, before, after, booted)?;
        self.allowed(situation, case, before, &old, booted)?;
        let ready = names(before, "ready-").next().is_some();
        if UNTOUCHED.contains(&report.exit)
            && !old.side
            && !ready
            && old.main != new.main
            && report.operation.is_none()
        {
            return bad("a refusal touches nothing", says("main has other bytes"));
        }
        if !matches!(report.exit, 0 | 11) {
            return Ok(false);
        }
        if let Some(history) =
            new.history.as_ref().filter(|_| report.outcome != Outcome::Compatible)
        {
            let wanted: Vec<String> = situation
                .firmware
                .catalog
                .migrations
                .iter()
                .map(|m| format!("{}|{}|{}", m.version, m.name, m.checksums.int4[0]))
                .collect();
            if *history != wanted {
                return bad("usable means this firmware's history", says(&history.join(", ")));
            }
        }
        match &new.damage {
            None if new.main.is_none() => bad("usable means there", says("main is absent")),
            None => unfit_is_named(&new, booted).map(|()| false),
            Some(_) if booted.effects == 0 && report.outcome == Outcome::Quiet => Ok(true),
            Some(damage) => bad("usable means whole", says(damage)),
        }
    }

    /// Rows that could be read are there, or their loss was said; and what was replaced is kept.
    fn kept(
        &mut self,
        case: &Case,
        before: &State,
        after: &State,
        booted: &Booted,
    ) -> Result<(), Bad> {
        let (old, new) = (self.look(before), self.look(after));
        let report = &booted.report;
        // A forged record in a format to come: its loss stands in words that this firmware cannot read.
        let forged = report.exit == 12
            && case.kind == Kind::Record
            && case.mutation == super::Mutation::Resealed;
        // What an earlier run lost is reported by the first run that ends well.
        let waits = !matches!(report.exit, 0 | 11) && names(before, "ready-").next().is_some();
        let noted = report.notes.iter().any(|note| note.contains("lost"));
        let gone = new.lacks(&old).or_else(|| new.knows_less_than(&old));
        if let (Some(gone), false) = (gone, report.exit == 11 || forged || waits || noted) {
            return bad(
                "no silent loss",
                format!("{gone} is gone; exit {}: {}", report.exit, report.sentence),
            );
        }
        let replaced = matches!(
            report.outcome,
            Outcome::Purged | Outcome::Restored | Outcome::Reindexed | Outcome::Salvaged
        ) && old.main != new.main;
        if !replaced || old.main.is_none() || old.size == 0 {
            return Ok(());
        }
        let mains: Vec<Option<u128>> = sets(after).map(|path| bytes_hash(after, &path)).collect();
        // What a journal or WAL changes before it is set aside is another set of files; and what was in quarantine may be the damaged one.
        let same = old.side || case.kind == Kind::Quarantine || mains.contains(&old.main);
        if mains.is_empty() || !same {
            return bad(
                "the old file is kept",
                format!(
                    "{} sets of files in quarantine, and none is what stood there",
                    mains.len()
                ),
            );
        }
        Ok(())
    }

    /// A purge or a restore follows only where the owner allows it, and never on a database that is whole.
    fn allowed(
        &mut self,
        situation: &Situation,
        case: &Case,
        before: &State,
        old: &Contents,
        booted: &Booted,
    ) -> Result<(), Bad> {
        let report = &booted.report;
        let says = |what: &str| {
            Err(Bad {
                rule: "only what policy allows",
                what: format!("{what}; exit {}: {}", report.exit, report.sentence),
            })
        };
        // A ready file is the intent of an earlier run, which was judged in its own situation; a record whose sums are right is believed.
        let begun =
            names(before, "ready-").next().is_some() || situation.name.starts_with("half-done");
        if begun || case.kind == Kind::Record && case.mutation == super::Mutation::Resealed {
            return Ok(());
        }
        let lost = old.main.is_none() || old.size == 0;
        // SQLite reads zeros where the last page ends early, and finds nothing wrong with them; what stood there is not known.
        let cut_off = !old.size.is_multiple_of(PAGE_BYTES_MIN);
        match report.outcome {
            Outcome::Purged if situation.purges_failure() => Ok(()),
            Outcome::Purged if lost => Ok(()),
            Outcome::Purged if situation.purges_damage() && !old.whole() => Ok(()),
            Outcome::Purged => says("a fresh database stands there"),
            Outcome::Restored | Outcome::Reindexed | Outcome::Salvaged
                if old.whole() && !lost && !cut_off =>
            {
                says("the file was whole")
            }
            Outcome::Created if !lost => says("a first database was made over another"),
            _ => Ok(()),
        }
    }

    fn look(&mut self, state: &State) -> Rc<Contents> {
        let mut hash = Hash128::new();
        for suffix in ["", "-wal", "-journal"] {
            hash.wide(bytes_hash(state, &format!("{MAIN}{suffix}")).unwrap_or(0));
        }
        Rc::clone(self.seen.entry(hash.finish()).or_insert_with(|| Rc::new(look(state))))
    }
}

/// A virtual table that does not fit its content is no damage of the file; a run that looks at the whole file says so.
fn unfit_is_named(seen: &Contents, booted: &Booted) -> Result<(), Bad> {
    let report = &booted.report;
    let looked = !matches!(report.outcome, Outcome::Quiet | Outcome::Compatible);
    let named = |name: &String| {
        report.notes.iter().any(|note| note.contains(&format!("virtual table {name} ")))
    };
    match seen.unfit.iter().find(|name| looked && !named(name)) {
        None => Ok(()),
        Some(name) => bad(
            "a virtual table that does not fit is named",
            format!("{name}; exit {}: {}", report.exit, report.sentence),
        ),
    }
}

/// Names in the state folder that begin so.
fn names<'a>(state: &State, begin: &'a str) -> impl Iterator<Item = String> + 'a {
    let paths = state.walk().into_iter().map(|(path, _)| path);
    paths.filter(move |path| {
        path.strip_prefix(STATE)
            .is_some_and(|inside| inside.trim_start_matches('/').starts_with(begin))
    })
}

/// Main files in quarantine, the second of two of the same operation among them.
fn sets(state: &State) -> impl Iterator<Item = String> {
    names(state, "quarantine/")
        .filter(|path| path.ends_with("/settings.db") || path.ends_with("/settings.db.1"))
}

fn bytes_hash(state: &State, path: &str) -> Option<u128> {
    let (node, _) = state.follow(path).ok()?;
    state.content(node).ok().map(|content| content.hash())
}

/// A copy of the files in the hands of plain SQLite.
fn look(state: &State) -> Contents {
    let mut copy = State::new();
    copy.put_folder("/copy");
    let mut seen = Contents { main: bytes_hash(state, MAIN), ..Contents::default() };
    let Some(main) = state.read_file(MAIN) else { return seen };
    seen.size = main.len() as u64;
    copy.put_file("/copy/main.db", &main);
    for suffix in ["-wal", "-journal"] {
        let bytes = state.read_file(&format!("{MAIN}{suffix}")).unwrap_or_default();
        // A header of zeros is what PERSIST leaves for ever.
        let holds = if suffix == "-wal" {
            !bytes.is_empty()
        } else {
            bytes.first().is_some_and(|byte| *byte != 0)
        };
        seen.side |= holds;
        if holds {
            copy.put_file(&format!("/copy/main.db{suffix}"), &bytes);
        }
    }
    if main.is_empty() {
        return seen;
    }
    let sim = Sim::with(&copy, Options { log: false, ..Options::default() });
    let open = || {
        Connection::open_with_flags_and_vfs(
            "/copy/main.db",
            OpenFlags::SQLITE_OPEN_READ_WRITE,
            sim.vfs_name(),
        )
    };
    match open() {
        Ok(connection) => ask(&connection, &mut seen),
        Err(error) => seen.damage = Some(error.to_string()),
    }
    if let Ok(connection) = open() {
        ask_virtual_tables(&connection, &mut seen);
    }
    seen
}

/// Each by itself: in a check of the whole file one that cannot be opened ends it.
fn ask_virtual_tables(connection: &Connection, seen: &mut Contents) {
    let mut names = Vec::new();
    strings(
        connection,
        "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'",
        &mut |name| names.push(name),
    )
    .ok();
    for name in names {
        let mut fits = true;
        let checked = strings(connection, &format!("PRAGMA integrity_check({name})"), &mut |row| {
            fits &= row == "ok"
        });
        if checked.is_err() || !fits {
            seen.unfit.push(name);
        }
    }
}

fn ask(connection: &Connection, seen: &mut Contents) {
    // Virtual tables are asked by themselves; what they keep their content in are tables like all others.
    without_modules(connection);
    // Its rows are read before anything is checked: what can be read counts, whatever the rest is.
    for table in ["sensor", "reading"] {
        let column = if table == "sensor" { "name" } else { "note" };
        let sql = format!("SELECT '{table} ' || coalesce(CAST({column} AS TEXT), 'NULL') FROM {table} NOT INDEXED");
        strings(connection, &sql, &mut |row| *seen.rows.entry(row).or_default() += 1).ok();
    }
    for (table, index) in [("sensor", "sqlite_autoindex_sensor_1"), ("reading", "reading_by_value")]
    {
        // Where the schema's text is harmed, `id` may be another column; what is no number says nothing of which row it is.
        let key = |from: &str| {
            format!(
                "SELECT '{table} of id ' || id FROM {table} {from} WHERE typeof(id) = 'integer'"
            )
        };
        strings(connection, &key("NOT INDEXED"), &mut |row| seen.by_table.extend([row])).ok();
        strings(connection, &key(&format!("INDEXED BY {index}")), &mut |row| {
            seen.by_index.extend([row])
        })
        .ok();
    }
    let mut lines = Vec::new();
    match strings(connection, "PRAGMA integrity_check(1000)", &mut |line| lines.push(line)) {
        Err(error) => seen.damage = Some(error.to_string()),
        Ok(()) => {
            let rule = |line: &&String| {
                line.contains(" value in ") || line.starts_with("CHECK constraint failed")
            };
            seen.damage = lines.iter().find(|line| *line != "ok" && !rule(line)).cloned();
        }
    }
    let mut history = Vec::new();
    let sql = "SELECT version || '|' || name || '|' || checksum FROM refinery_schema_history ORDER BY version";
    if strings(connection, sql, &mut |row| history.push(row)).is_ok() {
        seen.history = Some(history);
    }
}

/// One column, as text; what was read before an error counts.
fn strings(
    connection: &Connection,
    sql: &str,
    each: &mut dyn FnMut(String),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let value = row.get_ref(0)?;
        each(
            String::from_utf8_lossy(value.as_bytes_or_null().ok().flatten().unwrap_or(b"NULL"))
                .into_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::situations::trees;
    use super::super::Mutation;
    use super::*;
    use crate::scenarios::catalogues::{firmware, Version};

    /// What plain SQLite makes of this state.
    fn with(state: &State, sql: &str) -> State {
        let sim = Sim::from_state(state);
        let connection = Connection::open_with_flags_and_vfs(
            MAIN,
            OpenFlags::SQLITE_OPEN_READ_WRITE,
            sim.vfs_name(),
        )
        .unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        sim.state().swept()
    }

    /// A table's page of an earlier time: some rows are in an index alone.
    fn stale(situation: &Situation) -> State {
        let (bytes, earlier) =
            (situation.state.read_file(MAIN).unwrap(), situation.earlier.read_file(MAIN).unwrap());
        let pages = (0..earlier.len() / 4096).map(|number| number * 4096..(number + 1) * 4096);
        let states = pages
            .filter(|page| bytes[page.start] == 13 && bytes[page.clone()] != earlier[page.clone()])
            .map(|page| {
                let (mut stale, mut state) = (bytes.clone(), situation.state.clone());
                stale[page.clone()].copy_from_slice(&earlier[page]);
                state.put_file(MAIN, &stale);
                state
            });
        let knows_more = |state: &State| !look(state).by_index.is_subset(&look(state).by_table);
        states.into_iter().find(knows_more).expect("a page of a table is older than its index")
    }

    #[test]
    fn a_run_that_loses_rows_silently_is_noticed() {
        let situation = trees("trees", firmware(Version::Two, ""), &[]);
        let case = Case { situation: 0, file: 0, kind: Kind::Database, mutation: Mutation::Stale };
        let mut verdict = Verdict::default();
        // Whatever it says, it says 0: what is compared are rows.
        let (quiet, _) = verdict
            .boot(&situation, &situation.state, &plain())
            .unwrap_or_else(|bad| panic!("{}", bad.what));
        assert_eq!(quiet.report.exit, 0);
        let mut judged = |before: &State, after: &State| {
            verdict.kept(&case, before, after, &quiet).err().map(|bad| bad.rule)
        };
        assert_eq!(judged(&situation.state, &situation.state), None);
        let stale = stale(&situation);
        assert_eq!(judged(&stale, &stale), None);
        // The table is taken at its word, and the index built from it.
        assert_eq!(judged(&stale, &with(&stale, "REINDEX")), Some("no silent loss"));
        assert_eq!(
            judged(&situation.state, &with(&situation.state, "DELETE FROM reading WHERE id = 300")),
            Some("no silent loss")
        );
        assert_eq!(
            judged(&situation.state, &with(&situation.state, "DELETE FROM sensor WHERE id = 7")),
            Some("no silent loss")
        );
    }

    #[test]
    fn a_virtual_table_that_cannot_be_opened_is_no_damage_and_must_be_named() {
        let situation = trees("trees", firmware(Version::Three, ""), &[]);
        let made = "CREATE VIRTUAL TABLE places USING rtree(id, x0, x1); INSERT INTO places VALUES (1, 2, 3)";
        assert_eq!(look(&with(&situation.state, made)).unfit, Vec::<String>::new());
        let unfit = with(&situation.state, &format!("{made}; UPDATE places_node SET data = x'00'"));
        let seen = look(&unfit);
        assert_eq!(
            (seen.damage.as_deref(), seen.unfit.as_slice()),
            (None, ["places".to_owned()].as_slice())
        );
        let (mut booted, after) = Verdict::default()
            .boot(&situation, &unfit, &plain())
            .unwrap_or_else(|bad| panic!("{}", bad.what));
        assert_eq!(booted.report.exit, 0, "{}", booted.report.sentence);
        assert!(unfit_is_named(&look(&after), &booted).is_ok(), "{:?}", booted.report.notes);
        booted.report.notes.clear();
        let unnamed = unfit_is_named(&look(&after), &booted).err().map(|bad| bad.rule);
        assert_eq!(unnamed, Some("a virtual table that does not fit is named"));
    }
}
