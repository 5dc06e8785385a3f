//! Owns the judgement of one state of the disk: boot again and again, and look at everything that
//! stands there.
//! Promises: every rule has a name; a state is good only when every rule holds until a boot that
//! writes nothing.
//! Never asks the device's code whether the device's code was right.

mod at_rest;
pub mod rules;

use std::collections::HashSet;

use bootmigrate::boot::BootRequest;

use crate::device::{switch_on, Booted};
use crate::dump::{difference, Album, Stands};
use crate::finding::{bad, Bad};
use crate::firmware::{MAIN, OTHER};
use crate::recall::{Answer, Question, Recall};
use crate::record;
use crate::scenario::{End, Ends, Old, Scenario};
use crate::sim::reads::Mask;
use crate::sim::{Options, Sim, State};

/// Copies of main that may lie beside it at one instant: staging, two snapshots, journal or WAL and
/// files in quarantine.
const COPIES_MAX: u64 = 6;
/// Folders, record, notes, and the blocks at the end of each file.
const SMALL_FILES_BYTES: u64 = 192 << 10;

/// What was synced of the record is not lost by a cut, whatever became of the update that was under
/// way.
///
/// # Errors
/// It is.
pub fn record_kept(state: &State, synced: u64) -> Result<(), Bad> {
    match record::sequence(state) {
        found if found < synced => bad(
            "the record never goes back",
            format!("update {synced} was synced and {found} is left"),
        ),
        _ => Ok(()),
    }
}

/// How a state was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Good {
    /// The end that it came to.
    pub end: &'static str,
    /// Boots until the quiet one, which is counted.
    pub boots: u32,
}

/// How the boots begin.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// A run before has already reported the loss.
    pub said: bool,
    /// Number of the first boot.
    pub number: u32,
    /// What every boot is asked.
    pub asked: &'a BootRequest,
}

impl<'a> Start<'a> {
    /// The first boot after a cut.
    pub fn again(scenario: &'a Scenario, said: bool) -> Start<'a> {
        Start { said, number: 1, asked: &scenario.again }
    }
}

/// The disk that a boot leaves.
#[derive(Clone, Copy)]
pub struct After<'a> {
    /// As it runs.
    pub sim: &'a Sim,
    /// What is on it.
    pub state: &'a State,
    /// Bytes used before the boot.
    pub used_before: u64,
}

/// A scenario in which something fails.
pub struct Trial<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Its exit code where nothing fails.
    pub undisturbed: u8,
    /// Judges what is left.
    pub judge: &'a mut Judge,
    /// Hears of each boot.
    pub tell: &'a mut dyn FnMut(&str),
}

/// What the first boot of a state looked at, and left.
struct First {
    mask: Mask,
    left: u128,
    /// It kept the bounds of the disk whatever the holes of the files.
    roomy: bool,
}

/// Judges states of one scenario; remembers what it has seen.
#[derive(Default)]
pub struct Judge {
    album: Album,
    recall: Recall,
    beside_guests: bool,
    always_boots: bool,
    good_after_boot: HashSet<(u128, bool, u32, u32)>,
    /// How many cuts led to the states that are judged now.
    pub cuts: u32,
    /// This many copies more may be kept: one could not be removed, and the removal of another was
    /// not synced.
    pub copies_more: usize,
    /// Boots that were really carried out.
    pub booted: u64,
}

impl Judge {
    /// For runs beside an application: its rows are looked for by whoever made them.
    pub fn beside_guests() -> Judge {
        Judge { album: Album::without_guests(), beside_guests: true, ..Judge::default() }
    }

    /// For a scenario whose dumps leave something out.
    pub fn of(scenario: &Scenario) -> Judge {
        Judge { album: Album::leaving_out(scenario.left_out.clone()), ..Judge::default() }
    }

    /// For one state that is shown: nothing is recalled.
    pub fn by_booting(self) -> Judge {
        Judge { always_boots: true, ..self }
    }

    /// Boots until it is quiet, or knows from a boot before that it will be. `said`: a run before
    /// has already reported the loss. `tell` hears of each boot.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn judge(
        &mut self,
        scenario: &Scenario,
        state: &State,
        said: bool,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Good, Bad> {
        let may_recall = !self.always_boots
            && scenario.options.total_bytes.is_none()
            && scenario.short.is_none();
        let question = may_recall.then(|| Question::new(state, said, self.cuts, self.copies_more));
        let known =
            question.as_ref().map_or(Answer::Unknown, |question| self.recall.ask(question, state));
        if matches!(known, Answer::Good) {
            return Ok(Good { end: "recalled", boots: 0 });
        }
        let mut first = None;
        let (good, _) =
            self.boots(scenario, state, Start::again(scenario, said), tell, &mut first)?;
        match (known, question, first) {
            (Answer::Test(left), _, Some(first)) if left != first.left => {
                return bad(
                    "the same bytes boot the same way",
                    "a boot left another disk than the one that it was taken for",
                );
            }
            (Answer::Unknown, Some(question), Some(first)) if first.roomy => {
                self.recall.learn(question, state, first.mask, first.left)
            }
            _ => {}
        }
        Ok(good)
    }

    /// As [`Judge::judge`], always by booting; with the disk as the last boot left it.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn judge_from(
        &mut self,
        scenario: &Scenario,
        state: &State,
        start: Start<'_>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(Good, State), Bad> {
        self.boots(scenario, state, start, tell, &mut None)
    }

    fn boots(
        &mut self,
        scenario: &Scenario,
        state: &State,
        start: Start<'_>,
        tell: &mut dyn FnMut(&str),
        first_boot: &mut Option<First>,
    ) -> Result<(Good, State), Bad> {
        let Start { mut said, number: first, asked } = start;
        let mut state = state.clone();
        for number in first..=scenario.quiet_by {
            let sim = Sim::with(&state, Options { log: false, ..scenario.options_at(number) });
            let used = sim.used_bytes().0;
            let booted = switch_on(scenario.then(), &sim, asked);
            self.booted += 1;
            state = sim.state().swept();
            first_boot.get_or_insert_with(|| First {
                mask: sim.seen(),
                left: state.hash(),
                roomy: roomy(scenario, &sim, &state, used),
            });
            tell(&format!(
                "boot {number}: exit {}, {} effects: {}",
                booted.report.exit, booted.effects, booted.report.sentence
            ));
            self.after_boot(
                scenario,
                After { sim: &sim, state: &state, used_before: used },
                &booted,
                &mut said,
            )?;
            short_or_not(scenario, number, &booted)?;
            if booted.effects == 0 && !scenario.is_short(number) {
                let end = self.at_rest(scenario, &state, &booted)?;
                return Ok((Good { end, boots: number }, state));
            }
            if !self.good_after_boot.insert((state.hash(), said, number, self.cuts)) {
                return Ok((Good { end: "as before", boots: number }, state));
            }
        }
        // What was put into the set on the way is not good: but the scenario is bad now, whatever
        // else is found.
        bad("quiet in time", format!("boot {} after the cut still wrote", scenario.quiet_by))
    }

    /// A run that has ended with "usable" has made it durable: a cut after it finds the new
    /// database before any boot.
    ///
    /// # Errors
    /// It does not stand there.
    pub fn stands(&mut self, scenario: &Scenario, state: &State) -> Result<(), Bad> {
        let stands = self.album.look(state, MAIN);
        if let Some(ends) = &scenario.companion {
            if !self.is_new(ends, state)? {
                return bad(
                    "what was reported stands",
                    "the run ended well, and after a cut what goes together with it is the old one",
                );
            }
        }
        match self.end(scenario, &stands) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => bad(
                "what was reported stands",
                "the run ended well, and after a cut main is the old one",
            ),
            Err(other) => {
                bad("what was reported stands", format!("{}: {}", other.rule, other.what))
            }
        }
    }

    /// The rules after every boot.
    pub fn after_boot(
        &mut self,
        scenario: &Scenario,
        after: After<'_>,
        booted: &Booted,
        said: &mut bool,
    ) -> Result<(), Bad> {
        let After { sim, state, .. } = after;
        let report = &booted.report;
        if let Some(hazard) = sim.hazards().first() {
            return bad("no lock dropped", hazard.clone());
        }
        if !scenario.exits.contains(&report.exit)
            && !scenario
                .ends
                .iter()
                .any(|end| end.cuts <= self.cuts && end.exits.contains(&report.exit))
        {
            return bad(
                "exit code",
                format!("{} is not one of this scenario's: {}", report.exit, report.sentence),
            );
        }
        let stands = self.album.look(state, MAIN);
        let end = self.end(scenario, &stands)?;
        let usable = report.exit == 0 || report.exit == 11;
        if usable != report.usable || report.data_loss != (report.exit == 11) {
            return bad(
                "report agrees with exit",
                format!("exit {} with {}", report.exit, report.sentence),
            );
        }
        match end {
            Some(end) if usable && !end.exits.contains(&0) => {
                return bad(
                    "usable means new",
                    format!("exit {} and main is {}", report.exit, end.name),
                );
            }
            None if usable => {
                return bad(
                    "usable means new",
                    format!("exit {} and main is the old one", report.exit),
                )
            }
            Some(end) if report.exit == 11 && !end.loss => {
                return bad(
                    "loss is said only where rows are gone",
                    format!("exit 11 and main is {}: {}", end.name, report.sentence),
                );
            }
            _ => {}
        }
        if let Some(ends) = &scenario.companion {
            self.companion(
                scenario,
                ends,
                after,
                end.is_some_and(|end| end.exits.contains(&0)),
                usable,
            )?;
        }
        *said |= report.exit == 11;
        if report.exit == 0 && end.is_some_and(|end| end.loss) && !*said {
            return bad("no silent loss", format!("exit 0 and rows are gone: {}", report.sentence));
        }
        self.bounded(scenario, after)
    }

    fn end<'s>(&self, scenario: &'s Scenario, stands: &Stands) -> Result<Option<&'s End>, Bad> {
        match (stands, &scenario.old) {
            (Stands::Whole(dump), old) => {
                dump.consistent().or_else(|why| bad("our tables fit the history", why))?;
                let same = |end: &&End| {
                    end.cuts <= self.cuts && end.text == dump.text && end.journal == dump.journal
                };
                if let Some(end) = scenario.ends.iter().find(same) {
                    return Ok(Some(end));
                }
                if matches!(old, Old::Whole(text) if *text == dump.text) {
                    return Ok(None);
                }
                // Repaired, or taken over from another tool, and an application was there before
                // the migration could begin.
                let first = matches!(old, Old::Broken(_)) || scenario.name.starts_with("adopt");
                if self.beside_guests && first && scenario.snapshots.contains(&dump.text) {
                    return Ok(None);
                }
                let near = scenario.ends.first().map_or("", |end| end.text.as_str());
                bad(
                    "old or new",
                    format!(
                        "main is another database ({}): {}",
                        dump.journal,
                        difference(near, &dump.text)
                    ),
                )
            }
            (Stands::Absent, Old::Absent) => Ok(None),
            // An application may have written into a broken one, too.
            (Stands::Broken(hash, _), Old::Broken(old)) if hash == old || self.beside_guests => {
                Ok(None)
            }
            (Stands::Absent, _) if scenario.wipes() => Ok(None),
            (Stands::Absent, _) => bad("old or new", "main is absent"),
            (Stands::Broken(_, why), _) => bad("whole", why.clone()),
        }
    }

    /// What goes together with it is old or new; new where the run says "usable"; and no run makes
    /// one new and leaves the other old.
    fn companion(
        &mut self,
        scenario: &Scenario,
        ends: &Ends,
        After { sim, state, .. }: After<'_>,
        main_is_new: bool,
        usable: bool,
    ) -> Result<(), Bad> {
        let is_new = self.is_new(ends, state)?;
        if usable && !is_new {
            return bad("usable means new", "what goes together with it is the old one");
        }
        // A cut may have parted them: then this run has found them so.
        let initial = sim.initial();
        let stood = self.album.look(&initial, MAIN);
        let main_was_new = self.end(scenario, &stood)?.is_some_and(|end| end.exits.contains(&0));
        // And an application that comes between two commits may keep the second from being made.
        if !self.beside_guests
            && main_was_new == self.is_new(ends, &initial)?
            && main_is_new != is_new
        {
            return bad(
                "both or neither",
                format!(
                    "main is {}, and what goes together with it is not",
                    if main_is_new { "new" } else { "old" }
                ),
            );
        }
        Ok(())
    }

    fn is_new(&mut self, ends: &Ends, state: &State) -> Result<bool, Bad> {
        match (self.album.look(state, OTHER), &ends.old) {
            (Stands::Whole(dump), old) => {
                dump.consistent().or_else(|why| bad("our tables fit the history", why))?;
                if ends
                    .new
                    .as_ref()
                    .is_some_and(|(text, journal)| *text == dump.text && *journal == dump.journal)
                {
                    return Ok(true);
                }
                match old {
                    Old::Whole(text) if *text == dump.text => Ok(false),
                    _ => bad(
                        "old or new",
                        format!("what goes together with it is another database: {}", dump.text),
                    ),
                }
            }
            (Stands::Absent, Old::Absent) => Ok(false),
            (Stands::Absent, _) => bad("old or new", "what goes together with it is absent"),
            (Stands::Broken(_, why), _) => bad("whole", why),
        }
    }

    fn bounded(
        &mut self,
        scenario: &Scenario,
        After { sim, state, used_before }: After<'_>,
    ) -> Result<(), Bad> {
        let most = sim.used_bytes().1.max(used_before);
        let allowed = allowed_bytes(scenario, state);
        if most > allowed {
            return bad(
                "disk use bounded",
                format!("{most} bytes were used, and {allowed} are allowed"),
            );
        }
        Ok(())
    }
}

/// A boot that ends for want of inodes or quota says so and asks for no bytes; a boot that has
/// enough of both does not end so.
fn short_or_not(scenario: &Scenario, number: u32, booted: &Booted) -> Result<(), Bad> {
    let (Some(short), 14) = (scenario.short, booted.report.exit) else { return Ok(()) };
    let said = &booted.report.sentence;
    if !scenario.is_short(number) {
        return bad("what is no longer short stops no boot", said.clone());
    }
    if short.lack.is_named(said) {
        return Ok(());
    }
    bad("what was short is named", said.clone())
}

/// The first run, where nothing cuts it off, ends for want of what the scenario has too little of:
/// else it shows nothing.
pub(crate) fn ends_short(scenario: &Scenario, booted: &Booted) -> Result<(), Bad> {
    // Or of bytes, where no boot on the way may end otherwise.
    let is_short = scenario.short.is_some() || scenario.exits == [14];
    if is_short && booted.report.exit != 14 {
        return bad(
            "a scenario that is short ends so",
            format!("exit {}: {}", booted.report.exit, booted.report.sentence),
        );
    }
    short_or_not(scenario, 0, booted)
}

/// Bytes that may be used at one instant, by the size of the database.
fn allowed_bytes(scenario: &Scenario, state: &State) -> u64 {
    let main = |state: &State| state.read_file(MAIN).map_or(0, |bytes| bytes.len() as u64);
    let databases = 1 + u64::from(scenario.companion.is_some());
    let allowed = databases
        * (main(&scenario.initial).max(main(state)).max(64 << 10) * COPIES_MAX + SMALL_FILES_BYTES);
    allowed.max(scenario.bytes_allowed)
}

/// The bounds would be kept even if every hole of the beginning had its block.
fn roomy(scenario: &Scenario, sim: &Sim, state: &State, used_before: u64) -> bool {
    sim.used_bytes().1.max(used_before) + sim.initial().hole_bytes()
        <= allowed_bytes(scenario, state)
}
