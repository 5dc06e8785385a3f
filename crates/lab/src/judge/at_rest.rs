//! Owns the rules of a device at rest: what may lie in its folders when a boot has written nothing.
//! Promises: nothing is left over, what was replaced is kept, and each snapshot is what its name
//! says.
//! Never boots.

use super::rules::{nothing_left_over, quarantine, snapshots, KeptFiles, Observed, OnDisk};
use super::Judge;
use crate::device::Booted;
use crate::dump::{difference, Stands};
use crate::finding::{bad, Bad};
use crate::firmware::{MAIN, OTHER};
use crate::scenario::{End, Old, Scenario};
use crate::sim::State;

/// Snapshots that may be kept at rest: the first since the last good one, and the newest.
const SNAPSHOTS_MAX: usize = 2;

impl Judge {
    /// The rules when a boot has written nothing.
    pub(super) fn at_rest(
        &mut self,
        scenario: &Scenario,
        state: &State,
        booted: &Booted,
    ) -> Result<&'static str, Bad> {
        let stands = self.album.look(state, MAIN);
        let end = self.end(scenario, &stands)?;
        if end.is_none() && scenario.stays.contains(&booted.report.exit) {
            return self.nothing_left(state).map(|()| "old");
        }
        let Some(end) = end.filter(|end| end.exits.contains(&booted.report.exit)) else {
            let name = end.map_or("the old one", |end| end.name);
            return bad(
                "ends as it must",
                format!(
                    "quiet with exit {} and main is {name}: {}",
                    booted.report.exit, booted.report.sentence
                ),
            );
        };
        self.nothing_left(state)?;
        self.snapshots(scenario, state)?;
        self.quarantine(scenario, state, end)?;
        Ok(end.name)
    }

    fn nothing_left(&mut self, state: &State) -> Result<(), Bad> {
        let observed = OnDisk { state, album: &mut self.album, home: HOME };
        nothing_left_over(&observed, &[MAIN, OTHER].map(name))
    }

    fn snapshots(&mut self, scenario: &Scenario, state: &State) -> Result<(), Bad> {
        let mut observed = OnDisk { state, album: &mut self.album, home: HOME };
        let paths = snapshots(&observed, &name(MAIN));
        // What is configured, and the one that was made last.
        let configured = scenario.firmware.settings.snapshots_max as usize + 1;
        if paths.len() > SNAPSHOTS_MAX.max(configured) + self.copies_more {
            return bad("copies bounded", format!("{} snapshots are kept", paths.len()));
        }
        if !scenario.snapshots_are_checked {
            return Ok(());
        }
        if paths.len() < scenario.snapshots_min {
            return bad("there is a way back", "no snapshot is kept");
        }
        for path in paths {
            let Stands::Whole(dump) = observed.stands(&path) else {
                return bad("a snapshot is whole", path);
            };
            if !scenario.snapshots.contains(&dump.text) {
                return bad(
                    "a snapshot is what it says",
                    format!(
                        "{path} is another database: {}",
                        difference(
                            scenario.snapshots.first().map_or("", String::as_str),
                            &dump.text
                        )
                    ),
                );
            }
            let version = dump.versions.last().copied().unwrap_or(0);
            if !path.contains(&format!("/v{version}-")) {
                return bad(
                    "a snapshot is what it says",
                    format!("{path} is at version {version}"),
                );
            }
        }
        Ok(())
    }

    fn quarantine(&mut self, scenario: &Scenario, state: &State, end: &End) -> Result<(), Bad> {
        let mut observed = OnDisk { state, album: &mut self.album, home: HOME };
        let kept = quarantine(&mut observed, &name(MAIN), scenario.quarantines_max)?;
        if kept.is_empty() && end.loss {
            return bad("the old files are kept", "rows are gone and the quarantine is empty");
        }
        let broken = |old: &Old| matches!(old, Old::Broken(_));
        for KeptFiles { folder, was } in kept {
            // A guest's row is in the bytes of a broken one too.
            let with_guests =
                self.beside_guests && broken(&was) && scenario.quarantined.iter().any(broken);
            if !with_guests && !scenario.quarantined.contains(&was) {
                return bad(
                    "the old files are kept",
                    format!("{folder} holds something else: {was:?}"),
                );
            }
        }
        Ok(())
    }
}

/// The folder of the product.
const HOME: &str = "/data/product";

fn name(path: &str) -> String {
    path[HOME.len() + 1..].to_owned()
}
