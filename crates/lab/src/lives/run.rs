//! Owns the run of one life: each event on the device and in the reference, and what a second boot finds.
//! Promises: the same life ends the same; the first finding ends it.
//! Never decides what is right: that is the reference.

use bootmigrate::report::RunReport;
use bootmigrate::Embedded;

use super::content::answer;
use super::dice::Dice;
use super::firmware;
use super::grammar::application;
use super::product::{Asked, Database, Event, Firmware, Life, Migration};
use super::promise;
use super::reference::book::{Book, Entry};
use super::reference::{self, bad, standing, Reference, Said, Seen};
use super::tables::tables;
use super::world::{Ran, Stands, World};
use crate::judge::Bad;
use crate::sim::State;

/// How a life went.
#[derive(Debug, Default)]
pub struct Ended {
    /// Boots and commands.
    pub boots: u64,
    /// Exit codes of the boots.
    pub exits: Vec<u8>,
    /// Images that the build refuses, in its words.
    pub unbuilt: Vec<String>,
    /// What is wrong, and at which event.
    pub bad: Option<(usize, Bad)>,
    /// The events with the statements that the applications made.
    pub fixed: Vec<Event>,
}

/// A life that goes on.
pub(super) struct Run<'a> {
    pub(super) life: &'a Life,
    pub(super) world: World,
    pub(super) reference: Reference,
    built: Vec<Option<Result<Embedded, String>>>,
    pub(super) ended: Ended,
    /// What each database is after the last event, for an application: it may open it.
    pub(super) ready: Vec<bool>,
    /// The file of each database that somebody has kept.
    kept: Vec<Option<Vec<u8>>>,
    /// Main's bytes at an earlier boot.
    pub(super) earlier: Vec<Option<Vec<u8>>>,
    /// The files' bytes before the last run.
    pub(super) before: Vec<u128>,
    /// Effects of the last run.
    pub(super) effects: u64,
    /// The second of two boots, which has nothing new to say.
    second: bool,
    /// Power cuts of each boot that changes something.
    pub(super) cuts: u64,
    pub(super) tell: &'a mut dyn FnMut(&str),
}

/// Lives it.
pub fn run(life: &Life, cuts: u64, tell: &mut dyn FnMut(&str)) -> Ended {
    let mut run = Run {
        life,
        world: World::new(),
        reference: Reference::new(&life.product),
        built: vec![None; life.images.len()],
        ended: Ended::default(),
        ready: vec![false; life.product.databases.len()],
        kept: vec![None; life.product.databases.len()],
        earlier: vec![None; life.product.databases.len()],
        before: Vec::new(),
        effects: 0,
        second: false,
        cuts,
        tell,
    };
    for (number, event) in life.events.iter().enumerate() {
        (run.tell)(&format!("{number}. {}", event.words(&life.product)));
        run.ended.fixed.push(event.clone());
        if let Err(found) = run.event(number, event) {
            (run.tell)(&format!("   bad: {}: {}", found.rule, found.what));
            run.ended.bad = Some((number, found));
            break;
        }
    }
    run.ended
}

impl Run<'_> {
    fn event(&mut self, number: usize, event: &Event) -> Result<(), Bad> {
        match event {
            Event::Boot { firmware, asked } => self.switched_on(*firmware, asked),
            Event::Rows { database, seed, count, journal, killed, fixed } => {
                if !self.ready[*database] {
                    return Ok(());
                }
                let wanted =
                    fixed.clone().unwrap_or_else(|| self.statements(*database, *seed, *count));
                if let Event::Rows { fixed, .. } = &mut self.ended.fixed[number] {
                    *fixed = Some(wanted.clone());
                }
                self.application(*database, &wanted, *journal, *killed)
            }
            Event::Keep { database } => {
                self.keep(*database);
                Ok(())
            }
            Event::PutBack { database } => {
                self.put_back(*database);
                Ok(())
            }
            Event::Damage { database, harm, seed } => {
                self.damage(*database, *harm, *seed);
                Ok(())
            }
            Event::Refinery { done } => self.refinery(*done),
        }
    }

    pub(super) fn database(&self, number: usize) -> &Database {
        &self.life.product.databases[number]
    }

    /// The image as its build makes it; `None` where the build refuses it.
    fn embedded(&mut self, number: usize) -> Result<Option<Embedded>, Bad> {
        if self.built[number].is_none() {
            self.built[number] =
                Some(firmware::embedded(&self.life.product, &self.life.images[number], false));
        }
        match self.built[number].clone() {
            Some(Ok(embedded)) => Ok(Some(embedded)),
            Some(Err(why)) => {
                self.ended.unbuilt.push(why);
                Ok(None)
            }
            None => Ok(None),
        }
    }

    fn switched_on(&mut self, image: usize, asked: &Asked) -> Result<(), Bad> {
        let Some(embedded) = self.embedded(image)? else { return Ok(()) };
        match asked {
            Asked::Boot => {
                self.restart();
                self.remember();
                let state = (self.cuts > 0).then(|| self.world.state().swept());
                self.boot(image, &embedded, asked, &["run"])?;
                if self.reference.known.iter().any(|known| known.harm.is_some()) {
                    return self.settle(image, &embedded);
                }
                if let Some(state) = state.filter(|_| self.effects > 0) {
                    self.cut_off(&embedded, &state)?;
                }
                self.again(image, &embedded)?;
            }
            Asked::Tight(percent) => self.boot_in_little_room(image, &embedded, *percent)?,
            Asked::Retry => self.boot(image, &embedded, asked, &["run", "--retry"])?,
            Asked::PurgeAndRetry => {
                self.boot(image, &embedded, asked, &["run", "--purge-and-retry"])?
            }
            Asked::Word(token) => self.word(image, &embedded, token)?,
            Asked::Purge(one) => {
                let name = self.database(*one).name.clone();
                self.boot(image, &embedded, asked, &["purge", "--db", &name, "--yes"])?;
            }
            Asked::Rollback(one, to) => self.rollback(image, &embedded, *one, *to)?,
            Asked::MarkGood => self.mark_good(image, &embedded)?,
            Asked::SnapshotCreate => self.snapshot_create(&embedded)?,
            Asked::Rehearse => self.rehearse(image, &embedded)?,
        }
        self.everything_stands()
    }

    fn boot_in_little_room(
        &mut self,
        image: usize,
        embedded: &Embedded,
        percent: u64,
    ) -> Result<(), Bad> {
        self.restart();
        let (state, path) = (self.world.state(), self.database(0).path());
        let size = |side: &str| {
            state.read_file(&format!("{path}{side}")).map_or(0, |bytes| bytes.len() as u64)
        };
        let alone = self.life.product.databases.len() == 1 && size("-wal") + size("-journal") == 0;
        if !alone || size("") == 0 {
            return Ok(());
        }
        self.world.leave(size("") * percent / 100);
        self.boot(image, embedded, &Asked::Tight(percent), &["run"])?;
        self.world.make_room();
        Ok(())
    }

    /// A page of this time may come back later.
    fn remember(&mut self) {
        let state = self.world.state();
        for (number, database) in self.life.product.databases.iter().enumerate() {
            if self.earlier[number].is_none() {
                self.earlier[number] = state.read_file(&database.path());
            }
        }
    }

    pub(super) fn restart(&mut self) {
        self.world.restart(|_| {}, false);
        self.ready.iter_mut().for_each(|ready| *ready = false);
    }

    /// After a boot that ended well the same boot finds nothing to do.
    fn again(&mut self, image: usize, embedded: &Embedded) -> Result<(), Bad> {
        if !self.ended.exits.last().is_some_and(|exit| matches!(exit, 0 | 11)) {
            return Ok(());
        }
        self.restart();
        self.second = true;
        let ended = self.boot(image, embedded, &Asked::Boot, &["run"]);
        self.second = false;
        ended
    }

    pub(super) fn boot(
        &mut self,
        image: usize,
        embedded: &Embedded,
        asked: &Asked,
        words: &[&str],
    ) -> Result<(), Bad> {
        let life = self.life;
        let firmware = &life.images[image];
        match asked {
            Asked::Retry | Asked::PurgeAndRetry => {
                (0..firmware.parts.len()).for_each(|number| self.forget_tries(firmware, number))
            }
            Asked::Purge(number) => self.forget_tries(firmware, *number),
            _ => {}
        }
        let ways = self.reference.allowed(&life.product, firmware, asked);
        self.before =
            life.product.databases.iter().map(|database| self.world.bytes(database)).collect();
        let ran = self.world.command(embedded, words);
        self.effects = ran.effects;
        self.ended.boots += 1;
        self.ended.exits.push(ran.exit);
        (self.tell)(&format!("   exit {}, {} effects: {}", ran.exit, ran.effects, ran.said));
        let Some(report) = &ran.report else {
            return bad(promise::SAYS, format!("no report: {}", ran.said));
        };
        for (number, ways) in ways.iter().enumerate() {
            let database = self.database(number);
            let Some(one) = report.databases.iter().find(|one| one.name == database.name) else {
                if matches!(asked, Asked::Purge(_)) {
                    continue;
                }
                return bad(promise::SAYS, format!("the report has no {}", database.name));
            };
            let stood = self.world.stands(&database.path());
            let seen = self.seen(&ran, one, database, &stood);
            let mine: Vec<&Migration> = firmware.parts[number].migrations(database);
            if self.reference.known[number].harm.is_some() {
                self.after_harm(number, &mine, asked, one, &seen)?;
                if seen.exit == 11 {
                    // Said: what is there now is what there is.
                    let entries = mine.iter().map(|migration| Entry::of(migration)).collect();
                    self.reference.known[number].book = seen.observed(entries);
                }
                continue;
            }
            let way = self.reference.judge(
                number,
                &mine,
                ways,
                &seen,
                life.product.databases.len() == 1 && matches!(asked, Asked::Boot | Asked::Tight(_)),
            )?;
            let entries: Vec<Entry> = mine.iter().map(|migration| Entry::of(migration)).collect();
            self.reference.ended(number, &entries, way, &seen);
            self.ready[number] = seen.usable;
        }
        self.answers(image, embedded, &ran, report)
    }

    /// What is said of a run elsewhere agrees with it.
    fn answers(
        &mut self,
        image: usize,
        embedded: &Embedded,
        ran: &Ran,
        report: &RunReport,
    ) -> Result<(), Bad> {
        let life = self.life;
        let gravest = reference::gravest(report.databases.iter().map(|one| one.exit));
        if report.exit != gravest {
            return bad(
                promise::SAYS,
                format!(
                    "the run exits {}, and the gravest of its databases is {gravest}",
                    report.exit
                ),
            );
        }
        let of = |database: &Database| {
            let one = report.databases.iter().find(|one| one.name == database.name)?;
            Some(Said { exit: one.exit, usable: one.usable })
        };
        let runs: Vec<Option<Said>> = life.product.databases.iter().map(of).collect();
        self.reference.published(
            &life.product,
            ran.exit,
            &runs,
            self.world.published().as_ref(),
        )?;
        if self.second {
            return Ok(());
        }
        let status = self.world.command(embedded, &["status", "--json"]);
        let document: serde_json::Value = serde_json::from_str(&status.said).unwrap_or_default();
        if status.effects > 0 {
            return bad(promise::QUIET, format!("status made {} effects", status.effects));
        }
        self.reference.status(&life.product, &life.images[image], &runs, &document)?;
        if report.exit == 0 {
            return Ok(());
        }
        reference::metrics(
            &self.world.command(embedded, &["status", "--format", "prometheus"]).said,
            &document,
        )
    }

    /// Each database and each snapshot is what the reference knows.
    fn everything_stands(&self) -> Result<(), Bad> {
        for (number, database) in self.life.product.databases.iter().enumerate() {
            standing(
                &self.reference.known[number],
                database,
                &self.world.stands(&database.path()),
            )?;
            let (snapshots, quarantine) = self.world.kept(database);
            for name in snapshots {
                let path = format!("{}/snapshots/{name}", database.state());
                self.reference.copies(number, &name, &self.world.stands(&path))?;
            }
            let known = &self.reference.known[number];
            if let Some(folder) = known
                .loss
                .as_ref()
                .filter(|folder| known.harm.is_none() && !quarantine.contains(folder))
            {
                let what = format!("{}: quarantine/{folder} has what the last loss took, and is gone: {quarantine:?}", database.name);
                return bad(promise::NO_SILENT_LOSS, what);
            }
        }
        Ok(())
    }

    fn seen<'s>(
        &self,
        ran: &Ran,
        one: &'s bootmigrate::DatabaseReport,
        database: &Database,
        stood: &'s Stands,
    ) -> Seen<'s> {
        let folder = one
            .quarantine
            .as_ref()
            .map(|folder| format!("{}/{folder}/{}.db", database.state(), database.name));
        Seen {
            exit: one.exit,
            sentence: &one.sentence,
            data_loss: one.data_loss,
            usable: one.usable,
            version: one.version,
            backup: one.backup.strip_prefix("snapshots/").map(str::to_owned),
            copies: self.world.kept(database).0,
            ready: self.world.ready(database),
            stands: stood,
            effects: ran.effects,
            folder: one
                .quarantine
                .as_ref()
                .and_then(|folder| folder.strip_prefix("quarantine/"))
                .map(str::to_owned),
            set_aside: folder.map(|path| self.world.stands(&path)),
        }
    }

    fn forget_tries(&mut self, firmware: &Firmware, number: usize) {
        let migrations = firmware.parts[number].migrations(self.database(number));
        let mine: Vec<Entry> = migrations.into_iter().map(Entry::of).collect();
        self.reference.forget_tries(number, &mine);
    }

    /// What an application would do here.
    fn statements(&self, database: usize, seed: u64, count: usize) -> Vec<String> {
        let mut dice = Dice::new(seed);
        let Some(book) = &self.reference.known[database].book else { return Vec::new() };
        let known = tables(book.connection()).unwrap_or_default();
        if known.is_empty() {
            return Vec::new();
        }
        (0..count)
            .map(|_| {
                let table = dice.pick(&known).clone();
                application(&mut dice, &table)
            })
            .collect()
    }

    fn application(
        &mut self,
        number: usize,
        wanted: &[String],
        journal: Option<&str>,
        killed: bool,
    ) -> Result<(), Bad> {
        let path = self.database(number).path();
        let Some(book) = &self.reference.known[number].book else { return Ok(()) };
        let mut left = None;
        let world = &self.world;
        let ended = world.application(&path, |connection| {
            if let Some(mode) = journal {
                connection.pragma_update(None, "journal_mode", mode).map_err(|error| error.to_string())?;
            }
            connection.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA wal_autocheckpoint = 0").map_err(|error| error.to_string())?;
            for statement in wanted {
                let (here, there) = (book.application(statement), answer(connection, statement));
                if here != there {
                    return Err(format!("an application is answered {there:?}, and should be {here:?}: {statement}"));
                }
            }
            if killed {
                let _ = connection.execute_batch("BEGIN; CREATE TABLE unfinished(x); INSERT INTO unfinished VALUES (zeroblob(9000))");
                left = Some(world.state());
            }
            Ok(())
        });
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(what)) | Err(what) => return bad(promise::OLD_OR_NEW, what),
        }
        if let Some(state) = left {
            self.world.continued(&state);
            self.ready.iter_mut().for_each(|ready| *ready = false);
        }
        let stands = self.world.stands(&path);
        if let Stands::Whole(whole) = &*stands {
            self.reference.known[number].journal.clone_from(&whole.journal);
        }
        standing(&self.reference.known[number], self.database(number), &stands)
    }

    fn keep(&mut self, number: usize) {
        let path = self.database(number).path();
        let state = self.world.state();
        let beside = ["-wal", "-journal"].iter().any(|side| {
            state.read_file(&format!("{path}{side}")).is_some_and(|bytes| !bytes.is_empty())
        });
        if let Some(bytes) = state.read_file(&path).filter(|_| !beside) {
            let known = &mut self.reference.known[number];
            known.kept = known.book.clone();
            self.kept[number] = Some(bytes);
        }
    }

    /// By a person, while the device is off: the file alone, and nothing beside it.
    fn put_back(&mut self, number: usize) {
        let path = self.database(number).path();
        let known = &mut self.reference.known[number];
        let (Some(kept), Some(bytes)) = (known.kept.clone(), self.kept[number].clone()) else {
            return;
        };
        known.book = Some(kept);
        self.restart();
        let change = |state: &mut State| {
            state.put_file(&path, &bytes);
            for side in ["-wal", "-journal", "-shm"] {
                if state.read_file(&format!("{path}{side}")).is_some() {
                    state.put_file(&format!("{path}{side}"), b"");
                }
            }
        };
        self.world.restart(change, false);
        if let Stands::Whole(whole) = &*self.world.stands(&path) {
            self.reference.known[number].journal.clone_from(&whole.journal);
        }
    }

    fn refinery(&mut self, done: usize) -> Result<(), Bad> {
        let database = self.database(0);
        let migrations: Vec<&Migration> = database.migrations.iter().take(done).collect();
        let (path, table) = (
            database.path(),
            database
                .key("history_table")
                .unwrap_or("refinery_schema_history")
                .trim_matches('"')
                .to_owned(),
        );
        let Ok(book) = Book::empty().migrated(&migrations) else { return Ok(()) };
        let made = self.world.refinery(&path, &table, &migrations);
        if let Err(why) = made {
            return bad(
                promise::BUILD,
                format!("refinery cannot do what the reference has done: {why}"),
            );
        }
        let known = &mut self.reference.known[0];
        known.book = Some(book.of_refinery());
        known.journal = "delete".to_owned();
        Ok(())
    }
}
