//! Owns the rules of a device at rest: what may lie in its folders when a boot has written nothing.
//! Promises: nothing is left over, what was replaced is kept, and each snapshot is what its name
//! says.
//! Never boots.

use super::Judge;
use crate::device::Booted;
use crate::dump::{bytes_hash, difference, Stands};
use crate::finding::{bad, Bad};
use crate::firmware::{MAIN, OTHER_STATE, STATE};
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

    fn nothing_left(&self, state: &State) -> Result<(), Bad> {
        for (path, id) in state.walk() {
            let Some(name) = path.strip_prefix("/data/product/") else { continue };
            let in_state = path
                .strip_prefix(STATE)
                .or_else(|| path.strip_prefix(OTHER_STATE))
                .map(|rest| rest.trim_start_matches('/'));
            let known = match in_state {
                None => matches!(
                    name.trim_end_matches("-wal")
                        .trim_end_matches("-shm")
                        .trim_end_matches("-journal"),
                    "settings.db" | "log.db" | ".bootmigrate"
                ),
                Some("" | "lock" | "record" | "snapshots" | "quarantine") => true,
                Some(inside) => inside.starts_with("quarantine/") || is_snapshot(inside),
            };
            if !known {
                return bad("nothing left over", format!("{path} is left"));
            }
            if state.content(id).is_ok() && state.links(id) > 1 {
                return bad("one name each", format!("{path} has {} names", state.links(id)));
            }
        }
        Ok(())
    }

    fn snapshots(&mut self, scenario: &Scenario, state: &State) -> Result<(), Bad> {
        let prefix = format!("{STATE}/snapshots/");
        let paths: Vec<String> = state
            .walk()
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| path.starts_with(&prefix))
            .collect();
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
            let Stands::Whole(dump) = self.album.look(state, &path) else {
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
            if !path[prefix.len()..].starts_with(&format!("v{version}-")) {
                return bad(
                    "a snapshot is what it says",
                    format!("{path} is at version {version}"),
                );
            }
        }
        Ok(())
    }

    fn quarantine(&mut self, scenario: &Scenario, state: &State, end: &End) -> Result<(), Bad> {
        let prefix = format!("{STATE}/quarantine/");
        let mut folders: Vec<String> = state
            .walk()
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| path.starts_with(&prefix))
            .collect();
        folders.retain(|path| !path[prefix.len()..].contains('/'));
        // The removal of one was cut off after its last file.
        folders.retain(|path| {
            state
                .follow(path)
                .and_then(|(id, _)| state.entries(id).map(|entries| !entries.is_empty()))
                .unwrap_or(true)
        });
        if folders.len() > scenario.quarantines_max {
            return bad(
                "one quarantine",
                format!("{} sets of files are in quarantine", folders.len()),
            );
        }
        if folders.is_empty() && end.loss {
            return bad("the old files are kept", "rows are gone and the quarantine is empty");
        }
        for folder in folders {
            let note = state.read_file(&format!("{folder}/reason.txt")).unwrap_or_default();
            if !note.starts_with(b"operation: ") {
                return bad(
                    "a quarantine has its reason",
                    format!("{folder}/reason.txt is {} bytes", note.len()),
                );
            }
            let main = format!("{folder}/settings.db");
            let kept = match self.album.look(state, &main) {
                Stands::Absent => Old::Absent,
                Stands::Whole(dump) => Old::Whole(dump.text),
                Stands::Broken(..) => Old::Broken(bytes_hash(state, &main)),
            };
            // A guest's row is in the bytes of a broken one too.
            let with_guests = self.beside_guests
                && matches!(kept, Old::Broken(_))
                && scenario.quarantined.iter().any(|old| matches!(old, Old::Broken(_)));
            if !with_guests && !scenario.quarantined.contains(&kept) {
                return bad(
                    "the old files are kept",
                    format!("{folder} holds something else: {kept:?}"),
                );
            }
        }
        Ok(())
    }
}

fn is_snapshot(path: &str) -> bool {
    let name = path.strip_prefix("snapshots/v").and_then(|name| name.strip_suffix(".db"));
    name.and_then(|name| name.split_once('-')).is_some_and(|(version, operation)| {
        version.parse::<i64>().is_ok() && operation.parse::<u64>().is_ok()
    })
}
