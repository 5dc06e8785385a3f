//! Owns what depends on more than one key: the defaults of each kind, and the combinations that
//! cannot be.
//! Promises: a combination is refused where its second key stands, with the reason and a way out.
//! Never reads text: every key was understood before.

use std::collections::BTreeMap;
use std::path::Path;

use super::draft::{DatabaseDraft, Draft};
use super::names::{self, Taken};
use super::*;

/// The draft with every default in place, or the first thing in it that cannot be.
pub(super) fn finish(draft: Draft, embedded_file: &str) -> Result<Settings, ConfigError> {
    let Draft { mut settings, databases, places } = draft;
    if databases.is_empty() {
        return Err(ConfigError {
            file: embedded_file.to_owned(),
            line: 0,
            column: 0,
            sentence: "no database is named; write a table such as [databases.settings]".to_owned(),
        });
    }
    let mut databases = databases;
    for database in &mut databases {
        database.apply_defaults(settings.slots);
        database.check_failure()?;
        database.check_damage()?;
        database.check_newer(settings.slots)?;
        database.check_history()?;
    }
    check_paths(&databases)?;
    check_groups(&databases)?;
    check_marker(&settings, &databases, &places)?;
    settings.databases = databases.into_iter().map(DatabaseDraft::into_settings).collect();
    settings.sources = sources(&places);
    settings.sources.remove("databases");
    Ok(settings)
}

fn sources(places: &BTreeMap<&'static str, PathPlace>) -> BTreeMap<String, PathPlace> {
    places.iter().map(|(key, place)| ((*key).to_owned(), place.clone())).collect()
}

impl DatabaseDraft {
    /// What `kind` and `slots` mean for the keys that no file has.
    fn apply_defaults(&mut self, slots: Slots) {
        let written = |key: &str| self.places.contains_key(key);
        let settings = &mut self.settings;
        match settings.kind {
            Kind::Precious => {
                if slots == Slots::Ab && !written("on_newer") {
                    settings.on_newer.push(OnNewer::TrialSnapshot);
                }
            }
            Kind::Rebuildable => {
                if !written("on_failure") {
                    settings.on_failure = OnFailure::Purge;
                }
                if !written("carry_over") {
                    settings.carry_over = Vec::new();
                }
                if !written("snapshot") {
                    settings.snapshot = SnapshotPolicy::Never;
                }
                if !written("on_damage") {
                    settings.on_damage = vec![Repair::Purge];
                }
                if !written("on_newer") {
                    settings.on_newer =
                        vec![OnNewer::Compatible, OnNewer::Downgrade, OnNewer::Purge];
                }
            }
        }
    }

    /// What a failed migration may cost.
    fn check_failure(&self) -> Result<(), ConfigError> {
        let settings = &self.settings;
        if settings.kind == Kind::Rebuildable {
            return Ok(());
        }
        if settings.quarantine_max == 0 {
            return Err(self.error(
                "quarantine_max",
                "quarantine_max = 0 would let precious data go without a trace; write 1 or more, \
                 or kind = \"rebuildable\"",
            ));
        }
        let purges =
            settings.on_failure == OnFailure::Purge || settings.on_damage.contains(&Repair::Purge);
        if purges && settings.carry_over.is_empty() {
            return Err(self.error(
                "carry_over",
                "carry_over = [] with a purge leaves nothing of precious data; name the tables to \
                 keep, or write kind = \"rebuildable\"",
            ));
        }
        Ok(())
    }

    fn check_damage(&self) -> Result<(), ConfigError> {
        let mut after_purge =
            self.settings.on_damage.iter().skip_while(|repair| **repair != Repair::Purge);
        if after_purge.nth(1).is_some() {
            return Err(self.error(
                "on_damage",
                "on_damage has more after \"purge\", which always ends the search; write \"purge\" \
                 last",
            ));
        }
        Ok(())
    }

    fn check_newer(&self, slots: Slots) -> Result<(), ConfigError> {
        let answers = &self.settings.on_newer;
        if answers.contains(&OnNewer::Purge) && self.settings.kind == Kind::Precious {
            return Err(self.error(
                "on_newer",
                "on_newer has \"purge\", but precious data is never purged for being newer; leave \
                 it out, or write kind = \"rebuildable\"",
            ));
        }
        if answers.contains(&OnNewer::TrialSnapshot) && slots == Slots::Single {
            return Err(self.error(
                "on_newer",
                "on_newer has \"trial-snapshot\", which needs a second slot; write slots = \"ab\" \
                 at the top of the file, or leave it out",
            ));
        }
        // What loses more comes later: neither can be followed by something milder.
        let gives_up = |answer: &OnNewer| match answer {
            OnNewer::Compatible | OnNewer::Downgrade => 0,
            OnNewer::TrialSnapshot => 1,
            OnNewer::Purge => 2,
        };
        if !answers.iter().map(gives_up).is_sorted() {
            return Err(self.error(
                "on_newer",
                "on_newer discards data before it has tried what keeps it; \
                 write \"trial-snapshot\" and \"purge\" last",
            ));
        }
        Ok(())
    }

    fn check_history(&self) -> Result<(), ConfigError> {
        let history = &self.settings.history_table;
        if self.settings.carry_over.iter().any(|table| table.eq_ignore_ascii_case(history)) {
            return Err(self.error(
                "carry_over",
                "carry_over names the history table, which the fresh database writes itself; leave \
                 it out",
            ));
        }
        Ok(())
    }

    /// A complaint about a key; where only its default is to blame, about the database.
    fn error(&self, key: &str, sentence: &str) -> ConfigError {
        let sentence = format!("in [databases.{}], {sentence}", self.settings.name);
        self.places.get(key).unwrap_or(&self.place).error(sentence)
    }

    fn into_settings(self) -> DatabaseSettings {
        DatabaseSettings { sources: sources(&self.places), ..self.settings }
    }
}

/// Two databases of one file would be two migrators of it, and a database under a name of another's
/// would be removed as a leftover.
fn check_paths(databases: &[DatabaseDraft]) -> Result<(), ConfigError> {
    let program = names::of_the_program(Path::to_path_buf);
    let files: Vec<(&Path, Vec<Taken>)> = databases
        .iter()
        .map(|database| (database.settings.path.as_path(), taken_by(database)))
        .collect();
    // What is right is seen in one pass; to say what is wrong, each is compared with each.
    let wrong: &[DatabaseDraft] = if names::all_apart(&files, &program) { &[] } else { databases };
    // Refused where the second path stands; where the first lies under a name of the second, there.
    for (position, database) in wrong.iter().enumerate() {
        let (earlier, _) = databases.split_at(position);
        check_path(database, earlier.iter().flat_map(taken_by).chain(program.clone()).collect())?;
    }
    for database in databases {
        let others = wrong.iter().filter(|other| other.settings.name != database.settings.name);
        check_path(database, others.flat_map(taken_by).collect())?;
        let Some(mount) = &database.settings.require_mount else { continue };
        // A database file may be a mount of its own.
        let taken = databases.iter().flat_map(|other| taken_by(other).into_iter().skip(1));
        let taken: Vec<Taken> = taken.chain(program.clone()).collect();
        if let Some(conflict) = names::conflict_of_folder(mount, &taken) {
            let sentence = format!(
                "require_mount {} {conflict}; write the folder that is the mount point",
                mount.display()
            );
            return Err(database.error("require_mount", &sentence));
        }
    }
    Ok(())
}

fn check_path(database: &DatabaseDraft, taken: Vec<Taken>) -> Result<(), ConfigError> {
    let path = &database.settings.path;
    match names::conflict(path, &taken) {
        Some(conflict) => Err(database
            .error("path", &format!("path {} {conflict}; write another path", path.display()))),
        None => Ok(()),
    }
}

fn taken_by(database: &DatabaseDraft) -> Vec<Taken> {
    names::of_database(&database.settings.name, &database.settings.path)
}

/// A group of one is a name that was not written the same everywhere. Databases of one group. Each
/// waits, locked and open, inside the run of the one before it, and a thread of Rust's has 2 MiB of
/// stack.
const MEMBERS_MAX: usize = 32;

fn check_groups(databases: &[DatabaseDraft]) -> Result<(), ConfigError> {
    for (position, database) in databases.iter().enumerate() {
        let Some(group) = &database.settings.group else { continue };
        let mut others = databases.iter().enumerate().filter(|(other, _)| *other != position);
        if !others.any(|(_, other)| other.settings.group.as_ref() == Some(group)) {
            let sentence = format!(
                "group = \"{group}\" is no other database's; write it in the table of each of \
                 them, or leave it out"
            );
            return Err(database.error("group", &sentence));
        }
        let members =
            databases.iter().filter(|other| other.settings.group.as_ref() == Some(group)).count();
        if members > MEMBERS_MAX {
            let sentence = format!(
                "group = \"{group}\" is {members} databases'; a group has at most {MEMBERS_MAX}, \
                 which are open at once"
            );
            return Err(database.error("group", &sentence));
        }
    }
    Ok(())
}

fn check_marker(
    settings: &Settings,
    databases: &[DatabaseDraft],
    places: &BTreeMap<&'static str, PathPlace>,
) -> Result<(), ConfigError> {
    let Some((marker, place)) = settings.marker.as_ref().zip(places.get("marker")) else {
        return Ok(());
    };
    let program = names::of_the_program(Path::to_path_buf);
    let taken: Vec<Taken> = databases.iter().flat_map(taken_by).chain(program).collect();
    match names::conflict(marker, &taken) {
        Some(conflict) => {
            Err(place.error(format!("marker {} {conflict}; write another path", marker.display())))
        }
        None => Ok(()),
    }
}
