//! Owns the run of one life: each event on the device and in the reference, and what a second boot
//! finds.
//! Promises: the same life ends the same; the first finding ends it.
//! Never decides what is right: that is the reference.

mod application;

use bootmigrate::report::RunReport;
use bootmigrate::Embedded;

use super::firmware;
use super::metrics::metrics;
use super::product::{Asked, Database, Event, Firmware, Life, Migration};
use super::promise;
use super::reference::replica::Entry;
use super::reference::{self, bad, Reference, Said, Seen};
use super::simulated::{Ran, SimulatedDevice, Stands};
use crate::finding::Bad;

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
    pub(super) device: SimulatedDevice,
    pub(super) reference: Reference,
    built: Vec<Option<Result<Embedded, String>>>,
    pub(super) ended: Ended,
    /// What each database is after the last event, for an application: it may open it.
    pub(super) ready: Vec<bool>,
    /// The file of each database that somebody has kept.
    pub(super) kept: Vec<Option<Vec<u8>>>,
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
        device: SimulatedDevice::new(),
        reference: Reference::new(&life.product, &life.images),
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
            Event::Rows { database, seed, count, large, fixed, .. } => {
                if !self.ready[*database] {
                    return Ok(());
                }
                let wanted = fixed
                    .clone()
                    .unwrap_or_else(|| self.statements(*database, *seed, (*count, *large)));
                if let Event::Rows { fixed, .. } = &mut self.ended.fixed[number] {
                    *fixed = Some(wanted.clone());
                }
                self.application(event, &wanted)
            }
            Event::Keep { database } => {
                self.keep(*database);
                Ok(())
            }
            Event::PutBack { database } => {
                self.put_back(*database);
                Ok(())
            }
            Event::Damage { database, damage, seed } => {
                self.damage(*database, *damage, *seed);
                Ok(())
            }
            Event::Forget { database } => {
                self.forget(*database);
                Ok(())
            }
            Event::Refinery { done, wide } => self.refinery(*done, *wide),
            Event::Tool { done, before, said, unfinished } => {
                self.tool(*done, before, *said, *unfinished)
            }
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
                let state = (self.cuts > 0).then(|| self.device.state().swept());
                self.boot(image, &embedded, asked, &["run"])?;
                if self.reference.known.iter().any(|known| known.damage.is_some()) {
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
            Asked::Migrate(all) => self.migrate(image, &embedded, *all)?,
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
        let (state, path) = (self.device.state(), self.database(0).path());
        let size = |side: &str| {
            state.read_file(&format!("{path}{side}")).map_or(0, |bytes| bytes.len() as u64)
        };
        let alone = self.life.product.databases.len() == 1 && size("-wal") + size("-journal") == 0;
        if !alone || size("") == 0 {
            return Ok(());
        }
        self.device.leave(size("") * percent / 100);
        self.boot(image, embedded, &Asked::Tight(percent), &["run"])?;
        self.device.make_room();
        Ok(())
    }

    /// A page of this time may come back later.
    fn remember(&mut self) {
        let state = self.device.state();
        for (number, database) in self.life.product.databases.iter().enumerate() {
            if self.earlier[number].is_none() {
                self.earlier[number] = state.read_file(&database.path());
            }
        }
    }

    pub(super) fn restart(&mut self) {
        self.device.restart(|_| {}, false);
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
            life.product.databases.iter().map(|database| self.device.bytes(database)).collect();
        let ran = self.device.command(embedded, words);
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
            let stood = self.device.stands(&database.path());
            let seen = self.seen(&ran, one, database, &stood);
            let mine: Vec<&Migration> = firmware.parts[number].migrations(database);
            if self.reference.known[number].damage.is_some() {
                self.after_damage(number, &mine, asked, one, &seen)?;
                if seen.exit == 11 {
                    // Said: what is there now is what there is.
                    let entries = mine.iter().map(|migration| Entry::of(migration)).collect();
                    self.reference.known[number].replica = seen.observed(entries);
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
            self.device.published().as_ref(),
        )?;
        if self.second {
            return self.stale_ready_files(embedded, report);
        }
        let status = self.device.command(embedded, &["status", "--json"]);
        let document: serde_json::Value = serde_json::from_str(&status.said).unwrap_or_default();
        if status.effects > 0 {
            return bad(promise::QUIET, format!("status made {} effects", status.effects));
        }
        self.reference.status(&life.product, &life.images[image], &runs, &document)?;
        if report.exit == 0 {
            return Ok(());
        }
        let bytes: Vec<u128> =
            life.product.databases.iter().map(|database| self.device.bytes(database)).collect();
        let doctor = self.device.command(embedded, &["doctor", "--json"]);
        let examined: serde_json::Value = serde_json::from_str(&doctor.said).unwrap_or_default();
        let after: Vec<u128> =
            life.product.databases.iter().map(|database| self.device.bytes(database)).collect();
        if after != bytes {
            return bad(promise::QUIET, "doctor has changed a database");
        }
        reference::examined(doctor.exit, &examined)?;
        metrics(
            &self.device.command(embedded, &["status", "--format", "prometheus"]).said,
            &document,
        )
    }

    /// A ready file that says another version than the database's is not believed.
    fn stale_ready_files(&mut self, embedded: &Embedded, report: &RunReport) -> Result<(), Bad> {
        let [database] = self.life.product.databases.as_slice() else { return Ok(()) };
        let Some(version) =
            report.databases.first().filter(|one| one.usable).and_then(|one| one.version)
        else {
            return Ok(());
        };
        for (text, wanted) in [(version, 0), (version - 1, 3), (version + 1, 3)] {
            let exit = self.device.with_ready(embedded, database, &format!("{text}\n"));
            if exit != wanted {
                return bad(
                    promise::SAYS,
                    format!(
                        "at version {version}, the ready file says {text}, and `ready` exits {exit}"
                    ),
                );
            }
        }
        Ok(())
    }

    /// Each database and each snapshot is what the reference knows.
    fn everything_stands(&self) -> Result<(), Bad> {
        for (number, database) in self.life.product.databases.iter().enumerate() {
            self.reference.standing(number, database, &self.device.stands(&database.path()))?;
            let (snapshots, quarantine) = self.device.kept(database);
            for name in snapshots {
                let path = format!("{}/snapshots/{name}", database.state());
                self.reference.copies(number, &name, &self.device.stands(&path))?;
            }
            let known = &self.reference.known[number];
            if let Some(folder) = known
                .loss
                .as_ref()
                .filter(|folder| known.damage.is_none() && !quarantine.contains(folder))
            {
                let what = format!(
                    "{}: quarantine/{folder} has what the last loss took, and is gone: \
                     {quarantine:?}",
                    database.name
                );
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
            copies: self.device.kept(database).0,
            ready: self.device.ready(database),
            stands: stood,
            effects: ran.effects,
            folder: one
                .quarantine
                .as_ref()
                .and_then(|folder| folder.strip_prefix("quarantine/"))
                .map(str::to_owned),
            set_aside: folder.map(|path| self.device.stands(&path)),
        }
    }

    fn forget_tries(&mut self, firmware: &Firmware, number: usize) {
        let migrations = firmware.parts[number].migrations(self.database(number));
        let mine: Vec<Entry> = migrations.into_iter().map(Entry::of).collect();
        self.reference.forget_tries(number, &mine);
    }
}
