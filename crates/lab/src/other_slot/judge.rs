//! Owns the judgement of a device whose slots took turns on half-done work: the rules, on real
//! files, by plain SQLite.
//! Promises: looks after every boot of either slot; ends with a boot of today's that changes
//! nothing.
//! Never looks through one of the two programs.

use std::path::Path;

use super::device::{Slot, SlotRun};
use crate::dump::{difference, Stands};
use crate::finding::{bad, Bad};
use crate::judge::rules::{nothing_left_over, quarantine, RealFiles};
use crate::real_files::{footprint, look};
use crate::scenario::End;
use crate::scenarios::slots::Slots;

/// Boots of one slot after another one's, the quiet one counted: two tries that were cut off, a
/// repair, and the quiet one.
const BOOTS_MAX: u32 = 4;
/// Sets of files that may be kept: `quarantine_max`, and the one that the last boot has added.
const KEPT_MAX: usize = 3;

const HOME: &str = "data/product";
const MAIN: &str = "settings.db";

/// Which slot boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The earlier release.
    Earlier,
    /// Today's code.
    Today,
}

/// One device on real files, and what was said on it so far.
pub struct Judge<'a> {
    /// The situation.
    pub slots: &'a Slots,
    /// The earlier release.
    pub earlier: &'a Slot,
    /// Today's code.
    pub today: &'a Slot,
    /// Where it stands.
    pub root: &'a Path,
    /// A loss was reported.
    pub said: bool,
    /// Cuts so far.
    pub cuts: u32,
    /// Boots, and refusals among them.
    pub boots: u64,
    /// Boots of the earlier release that only said that the database is newer.
    pub refusals: u64,
    /// Hears of each boot.
    pub tell: &'a mut dyn FnMut(&str),
}

impl<'a> Judge<'a> {
    fn slot(&self, who: Who) -> &Slot {
        match who {
            Who::Earlier => self.earlier,
            Who::Today => self.today,
        }
    }

    fn ends(&self, who: Who) -> &'a [End] {
        match who {
            Who::Earlier => &self.slots.earlier_ends,
            Who::Today => &self.slots.today.ends,
        }
    }

    /// Boots until a boot changes nothing; the name of the end.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn until_quiet(&mut self, who: Who) -> Result<&'static str, Bad> {
        for _ in 0..BOOTS_MAX {
            let before = footprint(&self.root.join("data"));
            let (ran, end) = self.boot(who)?;
            if footprint(&self.root.join("data")) != before {
                continue;
            }
            return match end {
                _ if who == Who::Earlier => Ok(end.map_or("refused", |end| end.name)),
                Some(end) if end.exits.contains(&ran.exit) => self.at_rest(end).map(|()| end.name),
                _ => bad("ends as it must", format!("quiet with exit {}: {}", ran.exit, ran.said)),
            };
        }
        bad("quiet in time", format!("{who:?}: boot {BOOTS_MAX} still wrote"))
    }

    /// One boot and the rules after it; which end it has come to, where it is one.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn boot(&mut self, who: Who) -> Result<(SlotRun, Option<&'a End>), Bad> {
        let ran = self.slot(who).boot(self.root);
        self.boots += 1;
        (self.tell)(&format!("{who:?} boots: exit {}: {}", ran.exit, ran.said.trim()));
        self.said |= ran.exit == 11;
        let usable = ran.exit == 0 || ran.exit == 11;
        if ran.exit != 0 && !ran.said.contains(&format!("[BM-{} settings", ran.exit)) {
            return bad(
                "a sentence for every exit",
                format!("{who:?}: exit {}: {}", ran.exit, ran.said),
            );
        }
        if self.root.join("run/bootmigrate/ready/settings").exists() != usable {
            return bad(
                "ready where usable",
                format!("{who:?}: exit {} and the ready file does not agree", ran.exit),
            );
        }
        let stands = look(&self.root.join(HOME).join(MAIN));
        if who == Who::Earlier && ran.exit == 12 {
            self.refusals += 1;
            return self.refused(&stands, &ran).map(|()| (ran, None));
        }
        if !usable {
            return self.not_usable(who, ran, &stands);
        }
        let Stands::Whole(dump) = &stands else {
            return bad(
                "usable means whole",
                format!("{who:?}: exit {} and main is {stands:?}", ran.exit),
            );
        };
        dump.consistent().or_else(|why| bad("our tables fit the history", why))?;
        let found =
            self.ends(who).iter().find(|end| end.cuts <= self.cuts && end.text == dump.text);
        let Some(end) = found.filter(|end| end.exits.contains(&0)) else {
            let near = self.ends(who).first().map_or("", |end| end.text.as_str());
            return bad(
                "old or new",
                format!("{who:?}: exit {}: {}{}", ran.exit, ran.said, difference(near, &dump.text)),
            );
        };
        if end.loss && !self.said {
            return bad(
                "no silent loss",
                format!(
                    "{who:?}: exit {} and rows are gone ({}): {}",
                    ran.exit, end.name, ran.said
                ),
            );
        }
        Ok((ran, Some(end)))
    }

    /// The earlier release has said that the database is newer: so it must be, whole, with every
    /// row.
    fn refused(&self, stands: &Stands, ran: &SlotRun) -> Result<(), Bad> {
        let Stands::Whole(dump) = stands else {
            return bad(
                "refused only what is newer",
                format!("exit 12 and main is {stands:?}: {}", ran.said),
            );
        };
        let newest = dump.versions.last().copied().unwrap_or(0);
        if newest <= self.earlier.newest {
            return bad(
                "refused only what is newer",
                format!("exit 12 and main is at {newest}: {}", ran.said),
            );
        }
        match self.slots.today.ends.iter().find(|end| end.text == dump.text) {
            Some(_) => Ok(()),
            None => bad(
                "a refusal leaves everything",
                difference(&self.slots.today.ends[0].text, &dump.text),
            ),
        }
    }

    /// Today's code may fail as the scenario says; the old one stands. The earlier release has no
    /// reason to.
    fn not_usable(
        &self,
        who: Who,
        ran: SlotRun,
        stands: &Stands,
    ) -> Result<(SlotRun, Option<&'a End>), Bad> {
        let end = match stands {
            Stands::Whole(dump) => {
                self.ends(who).iter().find(|end| end.cuts <= self.cuts && end.text == dump.text)
            }
            Stands::Absent | Stands::Broken(..) => None,
        };
        match end.filter(|end| who == Who::Today && end.exits.contains(&ran.exit)) {
            Some(end) => Ok((ran, Some(end))),
            None => bad("no stuck device", format!("{who:?}: exit {}: {}", ran.exit, ran.said)),
        }
    }

    /// The rules when a boot of today's has changed nothing.
    fn at_rest(&self, end: &End) -> Result<(), Bad> {
        let home = self.root.join(HOME);
        nothing_left_over(&RealFiles(&home), &[MAIN.to_owned()])?;
        // Where rows are gone, the files that had them are kept.
        let kept = quarantine(&mut RealFiles(&home), MAIN, KEPT_MAX)?;
        if end.loss && !kept.iter().any(|kept| kept.was == self.slots.today.old) {
            return bad(
                "the old files are kept",
                format!("{} sets of files are in quarantine, and none is the old one", kept.len()),
            );
        }
        Ok(())
    }
}
