//! Owns the reading of a product: folder, configuration, lock and all rules, put together.
//! Promises: every problem of the whole folder at once, sorted; a product that is returned has
//! none.
//! Never writes, and knows no rule of its own about SQL, names or releases.

use std::path::Path;

use crate::config::{self, DatabaseSettings, Settings, Slots, Source, UnknownKey, UserVersion};
use crate::directive::{self, Place};
use crate::folder::{self, Folder, Mode, SqlFile, CONFIGURATION, LOCK};
use crate::own;
use crate::pragma::turns_foreign_keys_off;
use crate::product::{Checksums, Database, ForeignKeys, Migration, Product, Versions};
use crate::release::{self, Lock};
use crate::reserved::HISTORY;
use crate::rule::{self, Context};
use crate::{checksum, oldest, sql, Problem};

/// What has been said so far.
#[derive(Default)]
struct Messages {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// What the rules need to know beside the file.
#[derive(Clone, Copy)]
struct Frame<'a> {
    label: &'a str,
    data: bool,
    baseline_version: i64,
    adopted_enforced: bool,
    group: bool,
    user_version_ours: bool,
    history_table: &'a str,
}

/// A file's text, byte for byte, and how many statements it has.
struct Contents {
    sql: String,
    statements: u32,
}

/// Reads a folder and returns the paths to watch as well, which are needed when there are problems,
/// too.
pub(crate) fn read(root: &Path) -> (Result<Product, Vec<Problem>>, Vec<std::path::PathBuf>) {
    let mut said = Messages::default();
    let folder = folder::walk(root, &mut said.problems);
    let product = if root.is_dir() { assemble(&folder, &mut said) } else { None };
    said.problems.sort();
    said.problems.dedup();
    said.warnings.sort();
    said.warnings.dedup();
    let result = match product {
        Some(product) if said.problems.is_empty() => {
            Ok(Product { warnings: said.warnings, ..product })
        }
        _ => Err(said.problems),
    };
    (result, folder.watched)
}

/// Every problem of a folder that was walked.
pub(crate) fn problems(folder: &Folder) -> Vec<Problem> {
    let mut said = Messages::default();
    drop(assemble(folder, &mut said));
    said.problems
}

fn assemble(folder: &Folder, said: &mut Messages) -> Option<Product> {
    let configuration_file = format!("{}/{CONFIGURATION}", folder.label);
    let settings = read_settings(folder, &configuration_file, said);
    let lock = Lock::read(folder, &mut said.problems);
    if !lock.exists() {
        let sentence = "there is none, so nothing counts as released yet; \
                        `bootmigrate-workbench lock` writes it, with the first release";
        said.warnings.push(Problem::whole(&format!("{}/{LOCK}", folder.label), sentence));
    }
    lock.folders_gone(folder, &mut said.problems);
    let mut databases = Vec::new();
    for found in &folder.databases {
        let entry = settings
            .as_ref()
            .and_then(|settings| settings.databases.iter().find(|entry| entry.name == found.name));
        let frame = Frame {
            label: &folder.label,
            data: false,
            // Without a configuration nobody knows what was adopted: what may be a mere warning is
            // not called a problem.
            baseline_version: if settings.is_none() {
                i64::MAX
            } else {
                entry.and_then(|entry| entry.baseline_version).unwrap_or(0)
            },
            adopted_enforced: entry.is_some_and(|entry| entry.baseline_foreign_keys == Some(true)),
            group: entry.is_some_and(|entry| entry.group.is_some()),
            user_version_ours: entry.is_some_and(|entry| entry.user_version == UserVersion::Ours),
            history_table: entry.map_or(HISTORY, |entry| &entry.history_table),
        };
        let migrations = read_folder_of(&found.schema, &found.name, frame, &lock, said);
        let inside = format!("{}/data", found.name);
        let data = read_folder_of(
            &found.data,
            &inside,
            Frame { data: true, baseline_version: 0, ..frame },
            &lock,
            said,
        );
        let (name, fingerprint) = (found.name.clone(), checksum::fingerprint(&migrations));
        let database = Database {
            name,
            fingerprint,
            versions: versions(&migrations, entry),
            migrations,
            data,
        };
        if let (Some(settings), Some(entry)) = (&settings, entry) {
            if settings.slots == Slots::Ab {
                release::check_way_back(&folder.label, &database, entry, &lock, &mut said.problems);
            }
            check_adopted(&configuration_file, &database, entry, said);
            check_user_version(&configuration_file, &database, entry, said);
            oldest::check(
                &folder.label,
                &database.migrations,
                entry,
                &mut said.problems,
                &mut said.warnings,
            );
        }
        databases.push(database);
    }
    let settings = settings?;
    let databases = in_order_of(&settings, databases, folder, &configuration_file, said);
    let configuration = folder.configuration.as_deref().unwrap_or_default().replace("\r\n", "\n");
    Some(Product { configuration, configuration_file, settings, databases, warnings: Vec::new() })
}

fn read_settings(folder: &Folder, file: &str, said: &mut Messages) -> Option<Settings> {
    let Some(text) = &folder.configuration else {
        // A file that is there and cannot be read has been said already.
        if !said.problems.iter().any(|problem| problem.file == file) {
            let sentence = "there is no configuration; write it with one table `[databases.NAME]` \
                            for each database's folder";
            said.problems.push(Problem::whole(file, sentence));
        }
        return None;
    };
    match config::read(Source { file, text }, &[], UnknownKey::Refuse) {
        Ok(settings) => {
            said.warnings
                .extend(settings.warnings.iter().map(|warning| Problem::whole(file, warning)));
            Some(settings)
        }
        Err(error) => {
            said.problems.push(error.into());
            None
        }
    }
}

/// The databases as the configuration orders them; a folder without an entry and an entry without a
/// folder are problems.
fn in_order_of(
    settings: &Settings,
    databases: Vec<Database>,
    folder: &Folder,
    configuration_file: &str,
    said: &mut Messages,
) -> Vec<Database> {
    let label = &folder.label;
    let mut ordered = Vec::new();
    let mut left = databases;
    for entry in &settings.databases {
        if let Some(place) = left.iter().position(|database| database.name == entry.name) {
            ordered.push(left.swap_remove(place));
        } else {
            let (line, column) = place_of_table(folder, &entry.name);
            let sentence = format!(
                "there is no folder `{label}/{}` for this database; make it, or remove the entry",
                entry.name
            );
            said.problems.push(Problem::at(configuration_file, line, column, sentence));
        }
    }
    for database in left {
        let sentence = format!(
            "{CONFIGURATION} has no entry for this folder; write `[databases.{}]` there, or move \
             the folder away",
            database.name
        );
        said.problems.push(Problem::whole(&format!("{label}/{}", database.name), sentence));
    }
    ordered
}

/// Where `[databases.NAME]` stands; 0 where it is written in another way.
fn place_of_table(folder: &Folder, name: &str) -> (u32, u32) {
    let text = folder.configuration.as_deref().unwrap_or_default();
    let written = [format!("[databases.{name}]"), format!("[databases.\"{name}\"]")];
    let found = written.iter().find_map(|table| text.split_once(table.as_str()));
    found.map_or((0, 0), |(before, _)| folder::place_after(before))
}

fn check_adopted(
    configuration_file: &str,
    database: &Database,
    entry: &DatabaseSettings,
    said: &mut Messages,
) {
    let newest = database.migrations.last().map_or(0, |migration| migration.version);
    if newest == 0 && !database.migrations.is_empty() {
        let sentence = "version 0 is its only migration, and a database without any is at version \
                        0 too; write a `V1__….sql` beside it";
        let label = configuration_file.split('/').next().unwrap_or_default();
        said.problems.push(Problem::whole(&format!("{label}/{}", database.name), sentence));
    } else if newest == 0 {
        let sentence = "there is no migration in this folder, so the database stays empty";
        let label = configuration_file.split('/').next().unwrap_or_default();
        said.warnings.push(Problem::whole(&format!("{label}/{}", database.name), sentence));
    }
    if let Some(adopted) = entry.baseline_version.filter(|adopted| *adopted > newest) {
        let sentence = format!(
            "`baseline_version = {adopted}` of `{}` is above {newest}, its newest migration, so \
             files yet to be written would escape the rules; write {newest} or less",
            database.name
        );
        said.problems.push(Problem::whole(configuration_file, sentence));
    }
}

fn versions(migrations: &[Migration], entry: Option<&DatabaseSettings>) -> Versions {
    if config::history_needs_64_bits(newest(migrations), entry) {
        Versions::Int8
    } else {
        Versions::Int4
    }
}

fn newest(migrations: &[Migration]) -> i64 {
    migrations.last().map_or(0, |migration| migration.version)
}

fn check_user_version(
    configuration_file: &str,
    database: &Database,
    entry: &DatabaseSettings,
    said: &mut Messages,
) {
    let sentence = entry.user_version_cannot_hold(newest(&database.migrations));
    said.problems.extend(sentence.map(|sentence| Problem::whole(configuration_file, sentence)));
}

/// All migrations of one folder, oldest first.
fn read_folder_of(
    mode: &Mode,
    inside: &str,
    frame: Frame<'_>,
    lock: &Lock,
    said: &mut Messages,
) -> Vec<Migration> {
    let mut ups: Vec<&SqlFile> = mode.ups.iter().collect();
    // Of two files with one version the released one keeps it.
    ups.sort_by_cached_key(|up| (up.stem.version, !lock.names(inside, &up.file), up.file.clone()));
    for pair in ups.windows(2) {
        if let [one, other] = pair {
            if one.stem.version == other.stem.version {
                let sentence = format!(
                    "version {} is taken by `{}`; give this file the next free number",
                    one.stem.version, one.file
                );
                said.problems
                    .push(Problem::whole(&format!("{}/{}", frame.label, other.file), sentence));
            }
        }
    }
    // refinery runs a version 0 like any other, so one that it ran before bootmigrate has to be
    // here.
    for zero in ups.iter().filter(|up| up.stem.version == 0 && frame.baseline_version < 1) {
        let sentence = "version 0 means a database without any migration; number from 1 (or write \
                        `baseline_version` in bootmigrate.toml where refinery has run this file on \
                        devices)";
        said.problems.push(Problem::whole(&format!("{}/{}", frame.label, zero.file), sentence));
    }
    for down in &mode.downs {
        if frame.data {
            let sentence = "a data migration is never gone back over; remove this file, or write \
                            the way back as a new data migration";
            said.problems.push(Problem::whole(&format!("{}/{}", frame.label, down.file), sentence));
            continue;
        }
        if !ups
            .iter()
            .any(|up| up.stem.version == down.stem.version && up.stem.name == down.stem.name)
        {
            let sentence = match ups.iter().find(|up| up.stem.version == down.stem.version) {
                Some(up) => format!(
                    "this is the way back of `{}` under another name; write `{}.down.sql`",
                    up.file,
                    up.file.trim_end_matches(".sql")
                ),
                None => format!(
                    "there is no `{inside}/{}.sql` for this way back; write it, or remove this \
                     file",
                    down.stem.text
                ),
            };
            said.problems.push(Problem::whole(&format!("{}/{}", frame.label, down.file), sentence));
        }
    }
    let mut migrations = Vec::new();
    for up in ups {
        let down = mode
            .downs
            .iter()
            .find(|down| down.stem.version == up.stem.version && down.stem.name == up.stem.name);
        migrations.push(read_migration(up, down, frame, said));
    }
    lock.compare(frame.label, inside, &mut migrations, &mut said.problems);
    migrations
}

fn read_migration(
    up: &SqlFile,
    down: Option<&SqlFile>,
    frame: Frame<'_>,
    said: &mut Messages,
) -> Migration {
    let shown = format!("{}/{}", frame.label, up.file);
    let adopted = up.stem.version <= frame.baseline_version;
    let place = Place {
        file: &shown,
        version: up.stem.version,
        data: frame.data,
        down: false,
        has_down: down.is_some(),
        group: frame.group,
    };
    let (contents, mut directives) = read_sql(up, &place, frame, adopted, said);
    // Nobody can write the directive into it; and one that turns enforcement off itself wants its
    // children kept.
    let enforced = adopted && frame.adopted_enforced && !turns_foreign_keys_off(&contents.sql);
    if enforced && directives.foreign_keys == ForeignKeys::Off {
        directives.foreign_keys = ForeignKeys::Enforced;
    }
    let down = down.map(|down| {
        let shown = format!("{}/{}", frame.label, down.file);
        // refinery never looked at this file: it can be edited, adopted or not.
        read_sql(down, &Place { file: &shown, down: true, ..place }, frame, false, said).0.sql
    });
    let checksums = checksum::of_refinery(&up.stem, &contents.sql).unwrap_or_else(|sentence| {
        said.problems.push(Problem::whole(&shown, sentence));
        Checksums::default()
    });
    Migration {
        version: up.stem.version,
        name: up.stem.name.clone(),
        checksums,
        file: up.file.clone(),
        sql: contents.sql,
        statements: contents.statements,
        down,
        directives,
        adopted,
        released: false,
    }
}

/// Applies every rule to one text.
fn read_sql(
    file: &SqlFile,
    place: &Place<'_>,
    frame: Frame<'_>,
    adopted: bool,
    said: &mut Messages,
) -> (Contents, crate::product::Directives) {
    let mut found = Vec::new();
    check_text(&file.text, &mut found);
    let mut contents = Contents { sql: file.text.clone(), statements: 0 };
    let lexed = sql::lex(&contents.sql);
    let (statements, incomplete) = sql::statements(&lexed.tokens);
    let directives = directive::read(&lexed.tokens, place, &mut said.problems);
    found.extend(
        lexed
            .incomplete
            .iter()
            .chain(&incomplete)
            .map(|missing| (missing.line, missing.column, missing.sentence.to_owned())),
    );
    if statements.is_empty()
        && lexed.incomplete.is_none()
        && incomplete.is_empty()
        && directives.code_revision.is_none()
    {
        found.push((0, 0, no_statement(place).to_owned()));
    }
    let context = Context {
        no_transaction: directives.no_transaction,
        down: place.down,
        data: frame.data,
        user_version_ours: frame.user_version_ours,
    };
    // Also in a file of before bootmigrate: no device could go on after it.
    let touched =
        statements.iter().filter_map(|statement| own::touched(statement, frame.history_table));
    said.problems.extend(
        touched.map(|(line, column, sentence)| Problem::at(place.file, line, column, sentence)),
    );
    for finding in rule::check(&statements, context) {
        if finding.warning {
            said.warnings.push(Problem::at(
                place.file,
                finding.line,
                finding.column,
                finding.sentence,
            ));
        } else {
            found.push((finding.line, finding.column, finding.sentence));
        }
    }
    for (line, column, sentence) in found {
        if adopted {
            // What to write instead stands behind the semicolon; nobody can edit this file.
            let what = sentence.split("; ").next().unwrap_or_default();
            let sentence =
                format!("released before bootmigrate, so this is a warning only: {what}");
            said.warnings.push(Problem::at(place.file, line, column, sentence));
        } else {
            said.problems.push(Problem::at(place.file, line, column, sentence));
        }
    }
    contents.statements = u32::try_from(statements.len()).unwrap_or(u32::MAX);
    (contents, directives)
}

fn no_statement(place: &Place<'_>) -> &'static str {
    if place.down {
        "there is no statement in this file; write the way back, or remove the file"
    } else {
        "there is no statement in this file; write one, or `-- bootmigrate: code revision=1` where \
         the firmware registers Rust code for it"
    }
}

/// Finds what a text may not contain.
fn check_text(text: &str, found: &mut Vec<(u32, u32, String)>) {
    if text.starts_with('\u{feff}') {
        found.push((
            1,
            1,
            "the file begins with a byte order mark, which belongs to refinery's checksum; save it \
             as UTF-8 without one".to_owned(),
        ));
    }
    if let Some((before, _)) = text.split_once('\0') {
        let (line, column) = folder::place_after(before);
        found.push((
            line,
            column,
            "there is a NUL character here, and SQLite would read no further; remove it".to_owned(),
        ));
    }
    let ends: Vec<bool> = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| line.ends_with("\r\n"))
        .collect();
    let other = ends.iter().position(|end| Some(end) != ends.first());
    if let Some(before) = other {
        let sentence =
            "this line ends otherwise than the first (LF or CRLF), and refinery's checksum depends \
             on it; save the file with LF everywhere";
        found.push((u32::try_from(before + 1).unwrap_or(u32::MAX), 1, sentence.to_owned()));
    }
}
