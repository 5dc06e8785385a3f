//! Owns `migrations.lock` and what a released file forbids: edits, removal, a late number, a way
//! back that is missing.
//! Promises: the format is one line a file, only ever appended to: `version checksum path`, `#`
//! begins a comment.
//! Never writes: the caller does.

use std::collections::BTreeMap;

use crate::config::{DatabaseSettings, OnNewer, SnapshotPolicy};
use crate::folder::{Folder, LOCK};
use crate::name::{self, Named};
use crate::product::{Database, Migration};
use crate::Problem;

/// What a new `migrations.lock` begins with.
pub(crate) const HEADER: &str = "\
                                 # The migrations that have been released to devices. A file that \
                                 is named here must never change again.
# One line a file: version, refinery's checksum (hexadecimal, of the text with LF line ends), path \
                                 in this folder.
# Commit this file with every release; lines are only ever added.
";

/// One line of `migrations.lock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Released {
    pub version: i64,
    pub checksum: u64,
    /// For example `settings/V4__wifi.sql`.
    pub file: String,
    /// Where it stands in the lock, from 1.
    pub line: u32,
}

/// The lock, by the folder (`settings`, `settings/data`) that its lines belong to.
#[derive(Debug, Default)]
pub(crate) struct Lock {
    exists: bool,
    by_folder: BTreeMap<String, Vec<Released>>,
}

/// The line of `migrations.lock` for a migration.
pub(crate) fn line_of(migration: &Migration) -> String {
    format!("{} {:016x} {}\n", migration.version, migration.checksum_lf(), migration.file)
}

impl Lock {
    /// Reads the lock of a folder; a line that cannot be read is a problem.
    pub fn read(folder: &Folder, problems: &mut Vec<Problem>) -> Lock {
        let mut lock = Lock { exists: folder.lock.is_some(), by_folder: BTreeMap::new() };
        let shown = format!("{}/{LOCK}", folder.label);
        for (number, text) in (1u32..).zip(folder.lock.iter().flat_map(|text| text.lines())) {
            if text.trim().is_empty() || text.trim_start().starts_with('#') {
                continue;
            }
            match parse_line(text, number) {
                Some((inside, released)) => {
                    lock.by_folder.entry(inside).or_default().push(released)
                }
                None => problems.push(Problem::at(
                    &shown,
                    number,
                    1,
                    "this line is not `version checksum path`, for example `4 00c0ffee00c0ffee \
                     settings/V4__wifi.sql`; take the line from the release that wrote it",
                )),
            }
        }
        lock
    }

    /// Is there a lock at all?
    pub fn exists(&self) -> bool {
        self.exists
    }

    fn lines(&self, inside: &str) -> &[Released] {
        self.by_folder.get(inside).map_or(&[], Vec::as_slice)
    }

    /// The last released version of a folder.
    pub fn last_released(&self, inside: &str) -> Option<i64> {
        self.lines(inside).iter().map(|released| released.version).max()
    }

    /// Is this file named in the lock?
    pub fn names(&self, inside: &str, file: &str) -> bool {
        self.lines(inside).iter().any(|released| released.file == file)
    }

    /// Which lines belong to a folder that is no longer there.
    pub fn folders_gone(&self, folder: &Folder, problems: &mut Vec<Problem>) {
        let shown = format!("{}/{LOCK}", folder.label);
        for (inside, lines) in &self.by_folder {
            let name = inside.split('/').next().unwrap_or_default();
            if !folder.databases.iter().any(|database| database.name == name) {
                problems.extend(lines.iter().map(|released| gone(&shown, released)));
            }
        }
    }

    /// Compares the files of one folder with what was released, and marks those that were.
    pub fn compare(
        &self,
        label: &str,
        inside: &str,
        migrations: &mut [Migration],
        problems: &mut Vec<Problem>,
    ) {
        let shown = format!("{label}/{LOCK}");
        for released in self.lines(inside) {
            // Another file with the same version is a problem of its own; the released one is
            // looked for first.
            let same = |migration: &Migration| {
                (migration.version == released.version).then_some(migration.file != released.file)
            };
            let Some(now) = migrations
                .iter_mut()
                .filter(|migration| same(migration).is_some())
                .min_by_key(|migration| same(migration))
            else {
                problems.push(gone(&shown, released));
                continue;
            };
            now.released = true;
            if now.checksum_lf() == released.checksum {
                continue;
            }
            let file = format!("{label}/{}", now.file);
            let sentence = if now.file == released.file {
                format!(
                    "this file was released and has been edited since ({LOCK} line {}); take the \
                     released text back, and write the change as a new migration",
                    released.line
                )
            } else {
                format!(
                    "version {} was released as `{}` ({LOCK} line {}); give this file the next \
                     free number, and take the released one back",
                    released.version, released.file, released.line
                )
            };
            problems.push(Problem::whole(&file, sentence));
        }
        let Some(last) = self.last_released(inside) else { return };
        for late in
            migrations.iter().filter(|migration| !migration.released && migration.version < last)
        {
            let sentence = format!(
                "version {} is new and not above {last}, the last released one, so devices that \
                 have {last} would never run it; give it a number from {} on",
                late.version,
                last.saturating_add(1)
            );
            problems.push(Problem::whole(&format!("{label}/{}", late.file), sentence));
        }
    }
}

fn gone(shown: &str, released: &Released) -> Problem {
    let sentence = format!(
        "`{}` was released and is not here any more; take it back, for devices in the field have \
         run it and new ones still must",
        released.file
    );
    Problem::at(shown, released.line, 1, sentence)
}

fn parse_line(text: &str, line: u32) -> Option<(String, Released)> {
    let mut words = text.splitn(3, ' ');
    let version: i64 = words.next()?.parse().ok()?;
    let checksum = words.next().filter(|word| word.len() == 16)?;
    let checksum = u64::from_str_radix(checksum, 16).ok()?;
    let file = words.next()?.trim_end();
    let (inside, name) = file.rsplit_once('/')?;
    let known_folder = inside.strip_suffix("/data").unwrap_or(inside);
    match name::parse(name) {
        Ok(Named::Up(stem)) if stem.version == version && !known_folder.contains('/') => {
            Some((inside.to_owned(), Released { version, checksum, file: file.to_owned(), line }))
        }
        _ => None,
    }
}

/// With two slots the firmware released last must be able to start on what an unreleased migration
/// leaves.
pub(crate) fn check_way_back(
    label: &str,
    database: &Database,
    settings: &DatabaseSettings,
    lock: &Lock,
    problems: &mut Vec<Problem>,
) {
    let Some(last) = lock.last_released(&database.name) else { return };
    if has_other_way_back(settings) {
        return;
    }
    let last = last.max(settings.baseline_version.unwrap_or_default());
    let unreleased: Vec<&Migration> =
        database.migrations.iter().filter(|migration| migration.version > last).collect();
    // The device takes one answer for all of them: it does not go back over some and use the rest
    // as it is.
    let allowed = |answer: OnNewer| settings.on_newer.contains(&answer);
    let goes_back = |migration: &Migration| migration.down.is_some() && allowed(OnNewer::Downgrade);
    let compatible = |migration: &Migration| {
        migration.directives.compatible_from.is_some_and(|from| from <= last)
            && allowed(OnNewer::Compatible)
    };
    if unreleased.iter().all(|migration| goes_back(migration))
        || unreleased.iter().all(|migration| compatible(migration))
    {
        return;
    }
    let stuck: Vec<&&Migration> = unreleased
        .iter()
        .filter(|migration| !goes_back(migration) && !compatible(migration))
        .collect();
    for migration in &stuck {
        problems.push(Problem::whole(
            &format!("{label}/{}", migration.file),
            no_way_back(migration, last, &allowed),
        ));
    }
    if !stuck.is_empty() {
        return;
    }
    // Each has a way of its own, and together they have none: the rest needs down files too.
    for migration in unreleased.iter().filter(|migration| !goes_back(migration)) {
        let instead =
            if migration.directives.irreversible { " instead of `irreversible`" } else { "" };
        let sentence = format!(
            "the firmware released last (version {last}) must go back by down SQL over another new \
             migration, and would stop at this one; write `{}.down.sql`{instead}",
            stem(migration)
        );
        problems.push(Problem::whole(&format!("{label}/{}", migration.file), sentence));
    }
}

fn stem(migration: &Migration) -> &str {
    migration.file.trim_end_matches(".sql")
}

fn no_way_back(migration: &Migration, last: i64, allowed: &dyn Fn(OnNewer) -> bool) -> String {
    let mut ways = Vec::new();
    if allowed(OnNewer::Compatible) {
        ways.push(format!(
            "`-- bootmigrate: compatible-from = {last}` where the released firmware can use the \
             result as it is"
        ));
    }
    if allowed(OnNewer::Downgrade) {
        let instead =
            if migration.directives.irreversible { " instead of `irreversible`" } else { "" };
        ways.push(format!("`{}.down.sql`{instead}", stem(migration)));
    }
    if ways.is_empty() {
        ways.push(
            "\"downgrade\" into `on_newer` of bootmigrate.toml, and a `.down.sql`".to_owned(),
        );
    }
    format!(
        "the firmware released last (version {last}) would not start after this in the other slot; \
         write {}",
        ways.join(", or ")
    )
}

/// The older firmware may rebuild, or may put the snapshot back that this one is made to take.
fn has_other_way_back(settings: &DatabaseSettings) -> bool {
    let snapshot = settings.on_newer.contains(&OnNewer::TrialSnapshot)
        && settings.snapshot == SnapshotPolicy::Always;
    snapshot || settings.on_newer.contains(&OnNewer::Purge)
}
