//! Owns the judgement of a device after a cut: the rules of the simulated disk, on real files.
//! Promises: looks before any boot, then boots until a boot changes nothing; rows, losses,
//! quarantine, leftovers and ends are compared.
//! Never looks through the code under test: databases by plain SQLite, folders by names and bytes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::data_partition::{DataPartition, Expected, HOME};
use super::Program;
use crate::dump::{difference, Stands};
use crate::finding::Bad;
use crate::judge::rules::{nothing_left_over, quarantine, RealFiles};
use crate::real_files::{footprint, look};
use crate::scenario::Old;

/// Boots after a cut until a quiet one, which is counted: at most one extra boot.
const BOOTS_MAX: u32 = 3;

/// What was acknowledged before the cut.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged {
    /// Databases whose ready file was there, or whose run had ended as usable.
    pub ready: BTreeSet<String>,
    /// Databases whose loss was said.
    pub said: BTreeSet<String>,
}

impl Acknowledged {
    /// Notes every loss in these sentences.
    pub fn hear(&mut self, sentences: &str) {
        for (_, rest) in
            sentences.match_indices("[BM-11 ").map(|(at, mark)| sentences.split_at(at + mark.len()))
        {
            self.said.extend(rest.split([' ', ']']).next().map(str::to_owned));
        }
    }

    /// Notes the ready files below this `/run`.
    pub fn see(&mut self, run: &Path) {
        let entries = fs::read_dir(run.join("bootmigrate/ready")).into_iter().flatten().flatten();
        self.ready.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    }
}

/// Judges the device whose partition is mounted below `root`; gives how each database stood right
/// after the cut.
///
/// # Errors
/// The first rule that does not hold.
pub fn judge(
    data_partition: &DataPartition,
    program: &Program,
    root: &Path,
    mut known: Acknowledged,
) -> Result<Vec<String>, String> {
    let home = root.join(HOME);
    let stood = after_cuts(data_partition, &home, &known)?;
    for number in 1..=BOOTS_MAX {
        let _ = fs::remove_dir_all(root.join("run"));
        fs::create_dir_all(root.join("run")).unwrap();
        let before = footprint(&home);
        let ran = program.run(root, &[]);
        known.hear(&ran.stderr);
        if ![Some(0), Some(11)].contains(&ran.exit) {
            return Err(format!(
                "exit code: boot {number} ended with {:?}: {}",
                ran.exit, ran.stderr
            ));
        }
        for database in &data_partition.databases {
            let stands = look(&home.join(format!("{}.db", database.name)));
            is_new(database, &stands)
                .map_err(|why| format!("usable means new: boot {number}: {why}: {}", ran.stderr))?;
        }
        if footprint(&home) == before {
            return if ran.exit == Some(0) {
                at_rest(data_partition, &home, &known).map(|()| stood)
            } else {
                Err("quiet with exit 11".into())
            };
        }
    }
    Err(format!("quiet in time: boot {BOOTS_MAX} after the cut still wrote"))
}

/// How each database stands right after the cut, before any boot.
///
/// # Errors
/// One is neither the old nor the new, or not what was acknowledged.
pub fn after_cuts(
    data_partition: &DataPartition,
    home: &Path,
    known: &Acknowledged,
) -> Result<Vec<String>, String> {
    let stood = |database: &Expected| {
        Ok(format!("{} {}", database.name, after_cut(database, home, known)?))
    };
    data_partition.databases.iter().map(stood).collect()
}

/// Right after the cut, before any boot: what was acknowledged stands, and else the old or the new,
/// whole.
fn after_cut(
    database: &Expected,
    home: &Path,
    known: &Acknowledged,
) -> Result<&'static str, String> {
    let stands = look(&home.join(format!("{}.db", database.name)));
    let new = is_new(database, &stands);
    if known.ready.contains(database.name) {
        return new.map(|()| "new").map_err(|why| format!("what was acknowledged stands: {why}"));
    }
    let is_old = Old::from(stands) == Old::from(database.old.clone());
    match new {
        Ok(()) => Ok("new"),
        Err(_) if is_old => Ok("old"),
        // Between the ready file's name and the swap the old files go one by one.
        Err(_) if has_ready(&home.join(format!(".bootmigrate/{}.db", database.name))) => {
            Ok("on the way")
        }
        Err(why) => Err(format!("old or new: {why}")),
    }
}

fn has_ready(state: &Path) -> bool {
    entries(state).iter().any(|name| name.starts_with("ready-"))
}

fn is_new(database: &Expected, stands: &Stands) -> Result<(), String> {
    match stands {
        Stands::Whole(now) if now.text == database.new => {
            now.consistent().map_err(|why| format!("{}: {why}", database.name))
        }
        Stands::Whole(now) => Err(format!(
            "{} is another database: {}",
            database.name,
            difference(&database.new, &now.text)
        )),
        Stands::Absent => Err(format!("{} is absent", database.name)),
        Stands::Broken(_, why) => Err(format!("{} is broken: {why}", database.name)),
    }
}

/// The rules when a boot has changed nothing.
fn at_rest(
    data_partition: &DataPartition,
    home: &Path,
    known: &Acknowledged,
) -> Result<(), String> {
    let words = |found: Bad| format!("{}: {}", found.rule, found.what);
    let main = |database: &Expected| format!("{}.db", database.name);
    let mains: Vec<String> = data_partition.databases.iter().map(main).collect();
    nothing_left_over(&RealFiles(home), &mains).map_err(words)?;
    for database in &data_partition.databases {
        if database.loss && !known.said.contains(database.name) {
            return Err(format!("no silent loss: {} lost rows and no run said so", database.name));
        }
        // The old files are kept where data was lost, once; and nowhere else.
        let most = usize::from(database.loss);
        let kept = quarantine(&mut RealFiles(home), &main(database), most).map_err(words)?;
        let old = Old::from(database.old.clone());
        if kept.len() != most || kept.iter().any(|kept| kept.was != old) {
            let kept: Vec<&Old> = kept.iter().map(|kept| &kept.was).collect();
            return Err(format!("the old files are kept: of {} {kept:?}", database.name));
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
