//! Owns the comparison of what comes back from a damaged database: by a purge with carry-over, by
//! `.recover`, and by reading it.
//! Promises: a case is named by seed and number, and comes back the same; rows are compared with
//! those that were written.
//! Never lets one method see what another has made.
// Files of this machine's own temporary folder, whose cuts nobody looks at.
#![allow(clippy::disallowed_methods)]

mod corpus;
mod damage;
mod methods;
mod rows;
mod score;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::sim::hash::Random;
use crate::workers::{numbered, Part};
use corpus::Made;
pub use damage::Damage;
use methods::{Found, Method};
use score::Score;

/// Cases of fewer true rows than `.recover` finds that are named.
const NAMED_MAX: usize = 40;

/// What came back by one method.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Sum {
    /// All rows.
    pub rows: Score,
    /// Files from which at least as many true rows came back as by this method.
    pub reached: u64,
}

/// What came of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SalvageTally {
    /// Files.
    pub files: u64,
    /// Rows that were in them.
    pub truth: u64,
    /// By method.
    pub by_way: BTreeMap<String, Sum>,
    /// By damage: files, rows, true rows by each method in the order of [`Method::ALL`], and files
    /// where `.recover` has more.
    pub by_damage: BTreeMap<String, Vec<u64>>,
    /// By the exit code of the last boot.
    pub by_exit: BTreeMap<u8, u64>,
    /// Files where `.recover` has more, with the counts.
    pub behind: Vec<String>,
    /// Files with rows that never were, or a boot that panicked.
    pub strange: Vec<String>,
    /// Files whose repair ended with exit 0 although rows are not as they were.
    pub unsaid: Vec<String>,
    /// Seconds of the slowest worker.
    pub seconds: f64,
}

impl SalvageTally {
    fn add(&mut self, other: SalvageTally) {
        self.files += other.files;
        self.truth += other.truth;
        self.seconds = self.seconds.max(other.seconds);
        for (method, sum) in other.by_way {
            let ours = self.by_way.entry(method).or_default();
            ours.rows.add(&sum.rows);
            ours.reached += sum.reached;
        }
        for (damage, counts) in other.by_damage {
            let ours = self.by_damage.entry(damage).or_insert_with(|| vec![0; counts.len()]);
            ours.iter_mut().zip(counts).for_each(|(ours, count)| *ours += count);
        }
        other
            .by_exit
            .into_iter()
            .for_each(|(exit, count)| *self.by_exit.entry(exit).or_default() += count);
        self.behind.extend(other.behind);
        self.strange.extend(other.strange);
        self.unsaid.extend(other.unsaid);
    }

    fn case(
        &mut self,
        name: &str,
        made: &Made,
        damage: Damage,
        how: &str,
        scores: &[(Method, Score)],
    ) {
        let truth = made.truth.values().map(|rows| rows.len() as u64).sum::<u64>();
        (self.files, self.truth) = (self.files + 1, self.truth + truth);
        let of = |wanted: Method| {
            scores
                .iter()
                .find(|(method, _)| *method == wanted)
                .map_or(0, |(_, score)| score.found())
        };
        let ours = of(Method::Ours);
        let counts = self
            .by_damage
            .entry(format!("{damage:?}"))
            .or_insert_with(|| vec![0; 3 + Method::ALL.len()]);
        let behind = u64::from(ours < of(Method::Recover));
        let each = [1, truth]
            .into_iter()
            .chain(Method::ALL.iter().map(|method| of(*method)))
            .chain([behind]);
        counts.iter_mut().zip(each).for_each(|(sum, count)| *sum += count);
        for (method, score) in scores {
            let sum = self.by_way.entry(format!("{method:?}")).or_default();
            sum.rows.add(score);
            sum.reached += u64::from(ours >= score.found());
        }
        if behind > 0 {
            self.behind.push(format!(
                "{name}: {ours} of {truth}, .recover {}; {}: {how}",
                of(Method::Recover),
                made.how
            ));
        }
        if let Some((_, score)) =
            scores.iter().find(|(method, score)| *method == Method::Ours && score.invented > 0)
        {
            self.strange.push(format!(
                "{name}: {} rows that never were; {}: {how}",
                score.invented, made.how
            ));
        }
    }
}

/// The file with this number, and how it is damaged.
fn damaged(seed: u64, number: u64) -> (Made, Damage, String, Vec<u8>) {
    let mut random = Random::new(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let damage = Damage::ALL[(number % Damage::ALL.len() as u64) as usize];
    let made = corpus::make(&mut random, number / Damage::ALL.len() as u64);
    let (bytes, how) = damage::damage(&made, damage, &mut random);
    (made, damage, how, bytes)
}

/// Exit 0 after a repair says that no row was given up: each must be in its table as it was. Of
/// single bits, and of pages of an earlier time, nobody can tell where SQLite finds nothing wrong
/// with a table and its indexes; nor whether rows that an index lacks were deleted, or are newer
/// than it.
fn is_unsaid(made: &Made, damage: Damage, bytes: &[u8], found: &Found) -> bool {
    let differs = |(table, truth): (&String, &Vec<String>)| found.tables.get(table) != Some(truth);
    let cannot_be_seen = |table: &str| {
        let is_subtle = matches!(damage, Damage::Bits | Damage::Stale | Damage::Torn);
        is_subtle
            && (score::only_adds_older(made, table, found) || methods::looks_whole(bytes, table))
    };
    found.exit == Some(0)
        && !found.untouched
        && made.truth.iter().any(|of| differs(of) && !cannot_be_seen(of.0))
}

/// What is wrong with exit 0 for one case; `None` where nothing is.
///
/// # Errors
/// Where it is not the name of a case.
pub fn verdict(name: &str) -> Result<Option<String>, String> {
    let (seed, number) = numbered(name)?;
    let (made, damage, how, bytes) = damaged(seed, number);
    let found = methods::rescue(Method::Ours, &bytes);
    let score = score::score(&made, &found);
    Ok(is_unsaid(&made, damage, &bytes, &found)
        .then(|| format!("{score:?}; {}: {how}: {}", made.how, found.said)))
}

/// Compares this worker's part.
pub fn sweep(part: Part) -> SalvageTally {
    let began = Instant::now();
    let mut tally = SalvageTally::default();
    for number in part.numbers() {
        let (made, damage, how, bytes) = damaged(part.seed, number);
        let name = format!("{}/{number}", part.seed);
        let scores: Vec<(Method, Score)> = Method::ALL
            .iter()
            .map(|method| {
                let found = methods::rescue(*method, &bytes);
                if let (Method::Ours, Some(exit)) = (method, found.exit) {
                    *tally.by_exit.entry(exit).or_default() += 1;
                }
                if found.panicked {
                    tally.strange.push(format!("{name}: it panicked; {}: {how}", made.how));
                }
                let score = score::score(&made, &found);
                if *method == Method::Ours && is_unsaid(&made, damage, &bytes, &found) {
                    tally
                        .unsaid
                        .push(format!("{name}: {score:?}; {}: {how}: {}", made.how, found.said));
                }
                (*method, score)
            })
            .collect();
        tally.case(&name, &made, damage, &how, &scores);
    }
    tally.seconds = began.elapsed().as_secs_f64();
    tally
}

/// Shows one case.
pub fn replay(name: &str, out: &mut dyn FnMut(&str)) -> Result<(), String> {
    let (seed, number) = numbered(name)?;
    let (made, damage, how, bytes) = damaged(seed, number);
    out(&format!("{}: {damage:?}: {how}", made.how));
    let file = std::env::temp_dir().join(format!("ruin-{seed}-{number}.db"));
    std::fs::write(&file, &bytes).map_err(|error| error.to_string())?;
    out(&format!("written to {}", file.display()));
    let mut missing = BTreeMap::new();
    for method in Method::ALL {
        let found = methods::rescue(*method, &bytes);
        let score = score::score(&made, &found);
        missing.insert(method.words(), score::missing(&made, &found));
        if *method == Method::Ours && is_unsaid(&made, damage, &bytes, &found) {
            out("exit 0 although rows are not as they were");
        }
        out(&format!("{method:?}: {score:?} {}", found.said));
        for (table, truth) in &made.truth {
            let count = found.tables.get(table).map_or(0, Vec::len);
            out(&format!(
                "    {table}: {count} of {}, {} in lost_{table}",
                truth.len(),
                found.beside.get(table).map_or(0, Vec::len)
            ));
        }
    }
    let of = |method: Method| missing.get(method.words()).into_iter().flatten();
    let by_recover = |row: &&String| !of(Method::Recover).any(|other| other == *row);
    out("rows that `.recover` alone brings back:");
    of(Method::Ours).filter(by_recover).take(NAMED_MAX).for_each(|row| out(&format!("    {row}")));
    Ok(())
}

/// Adds up the parts.
pub fn sum(parts: Vec<Result<SalvageTally, String>>) -> SalvageTally {
    let mut tally = SalvageTally::default();
    for part in parts {
        match part {
            Ok(part) => tally.add(part),
            Err(what) => tally.strange.push(what),
        }
    }
    tally
}

fn percent(part: u64, all: u64) -> String {
    format!("{:.2} %", part as f64 * 100.0 / all.max(1) as f64)
}

impl fmt::Display for SalvageTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} damaged files, {} rows in them\n", self.files, self.truth)?;
        writeln!(
            f,
            "| method | true rows | in their tables | with other values | deleted or overwritten | \
             never were | files where the purge has at least as many |"
        )?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|")?;
        for method in Method::ALL {
            let Sum { rows, reached } =
                self.by_way.get(&format!("{method:?}")).cloned().unwrap_or_default();
            let found = format!("{} ({})", rows.found(), percent(rows.found(), self.truth));
            let reached = format!("{reached} ({})", percent(reached, self.files));
            writeln!(
                f,
                "| {} | {found} | {} | {} | {} | {} | {reached} |",
                method.words(),
                rows.in_place,
                rows.changed,
                rows.old,
                rows.invented
            )?;
        }
        writeln!(
            f,
            "\n| damage | files | rows | purge | `.recover` | reading | VACUUM INTO | files where \
             `.recover` has more |"
        )?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|---:|")?;
        for (damage, counts) in &self.by_damage {
            let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
            writeln!(f, "| {damage} | {} |", counts.join(" | "))?;
        }
        let exits: Vec<String> =
            self.by_exit.iter().map(|(exit, count)| format!("{exit}: {count}")).collect();
        writeln!(f, "\nexit codes of the purge: {}", exits.join(", "))?;
        self.behind.iter().take(NAMED_MAX).try_for_each(|line| writeln!(f, "BEHIND {line}"))?;
        self.strange.iter().take(NAMED_MAX).try_for_each(|line| writeln!(f, "STRANGE {line}"))?;
        writeln!(f, "\nexit 0 although rows are not as they were: {} files", self.unsaid.len())?;
        self.unsaid.iter().try_for_each(|line| writeln!(f, "UNSAID {line}"))
    }
}
