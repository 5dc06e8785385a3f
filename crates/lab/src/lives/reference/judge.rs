//! Owns the comparison of what was seen after an event with what is allowed.
//! Promises: exit codes, content, history, ready files, copies and quarantine are each looked at;
//! the first that does not fit is named.
//! Never calls the device's code.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::policy::Policy;
use super::replica::{checksums, Entry, Replica};
use super::{bad, After, Allowed, Reference};
use crate::finding::Bad;
use crate::lives::content::{copied, difference};
use crate::lives::product::{Database, Migration};
use crate::lives::promise;
use crate::lives::simulated::{Stands, Whole};

/// The gravest first.
const GRAVITY: [u8; 16] = [1, 2, 17, 16, 18, 12, 21, 15, 14, 13, 19, 10, 20, 3, 11, 0];

/// What was seen of one database after a run.
pub struct Seen<'a> {
    /// The exit code.
    pub exit: u8,
    /// The report's own words.
    pub sentence: &'a str,
    /// The report says that rows were lost.
    pub data_loss: bool,
    /// The report says that it may be opened.
    pub usable: bool,
    /// The version that the report names.
    pub version: Option<i64>,
    /// The snapshot that was made, by its file's name.
    pub backup: Option<String>,
    /// The snapshots that are there.
    pub copies: Vec<String>,
    /// Content of the ready file.
    pub ready: Option<String>,
    /// What stands there.
    pub stands: &'a Stands,
    /// Effects of the whole run.
    pub effects: u64,
    /// The folder in quarantine that the report names.
    pub folder: Option<String>,
    /// What stands in it.
    pub set_aside: Option<Rc<Stands>>,
}

impl Seen<'_> {
    /// What stands there as a replica; `None` where nothing whole does.
    pub fn observed(&self, entries: Vec<Entry>) -> Option<Replica> {
        match self.stands {
            Stands::Whole(whole) => copied(&whole.connection)
                .ok()
                .map(|connection| Replica::observed(connection, entries)),
            Stands::Absent | Stands::Broken(_) => None,
        }
    }
}

/// The gravest of these exit codes.
pub fn gravest(exits: impl Iterator<Item = u8>) -> u8 {
    let place = |exit: u8| GRAVITY.iter().position(|known| *known == exit).unwrap_or(0);
    exits.min_by_key(|exit| place(*exit)).unwrap_or(0)
}

impl Reference {
    /// Which of these ways it was.
    ///
    /// # Errors
    /// None of them; or what was said does not fit to it.
    pub fn judge<'w>(
        &self,
        number: usize,
        mine: &[&Migration],
        ways: &'w [Allowed],
        seen: &Seen<'_>,
        alone: bool,
    ) -> Result<&'w Allowed, Bad> {
        let fitting: Vec<&Allowed> =
            ways.iter().filter(|way| way.exits.contains(&seen.exit)).collect();
        let Some(first) = fitting.first() else {
            let allowed: Vec<String> =
                ways.iter().map(|way| format!("{:?} ({})", way.exits, way.why.1)).collect();
            let rule = ways.first().map_or(promise::SAYS, |way| way.why.0);
            return bad(
                rule,
                format!(
                    "exit {}, and {} is promised: {}",
                    seen.exit,
                    allowed.join(" or "),
                    seen.sentence
                ),
            );
        };
        agrees(seen)?;
        let stood = self.known[number].replica.as_ref();
        let mut differs = String::new();
        let mut found = None;
        for way in &fitting {
            match content(way, stood, mine, (&self.policies[number], self.exact), seen) {
                Ok(()) => {
                    found = Some(*way);
                    break;
                }
                Err(why) => differs = why,
            }
        }
        let Some(way) = found else {
            return bad(
                first.why.0,
                format!("exit {} ({}): {differs}; {}", seen.exit, first.why.1, seen.sentence),
            );
        };
        if way.quiet && alone && self.known[number].ours && seen.effects > 0 {
            return bad(
                promise::QUIET,
                format!("{} effects, and {}: {}", seen.effects, way.why.1, seen.sentence),
            );
        }
        self.told(number, way, stood, seen)?;
        Ok(way)
    }

    /// Copies, quarantine and version.
    fn told(
        &self,
        number: usize,
        way: &Allowed,
        stood: Option<&Replica>,
        seen: &Seen<'_>,
    ) -> Result<(), Bad> {
        let policy = &self.policies[number];
        let stands = match (&way.after, stood) {
            (After::Replica(replica), _) => Some(replica.version()),
            (After::Same, replica) => replica.map(Replica::version),
            (After::Carried, _) => seen.version,
        };
        if seen.usable && stands != seen.version {
            return bad(
                promise::SAYS,
                format!(
                    "the report says version {:?}, and it is at {stands:?}: {}",
                    seen.version, seen.sentence
                ),
            );
        }
        let upgraded = matches!(
            (&way.after, stood),
            (After::Replica(_), Some(replica)) if replica.version() > 0
        );
        if upgraded
            && !way.tight
            && !way.set_aside
            && policy.copies
            && seen.backup.is_none()
            && way.why.0 == promise::OLD_OR_NEW
        {
            return bad(
                promise::OLD_OR_NEW,
                format!(
                    "there is room, and no snapshot was made before the upgrade: {}",
                    seen.sentence
                ),
            );
        }
        if let (After::Replica(replica), Stands::Whole(whole)) = (&way.after, seen.stands) {
            self.settings_kept(number, way, replica, whole, seen)?;
        }
        if let (true, Some(replica)) = (way.set_aside && seen.exit == 11, stood) {
            match seen.set_aside.as_deref() {
                Some(Stands::Whole(whole)) if *whole.dump == *replica.dump() => {}
                Some(Stands::Whole(whole)) => {
                    let what = format!(
                        "the quarantine holds another database: {}",
                        difference(&replica.dump(), &whole.dump)
                    );
                    return bad(promise::NO_SILENT_LOSS, what);
                }
                _ => {
                    return bad(
                        promise::NO_SILENT_LOSS,
                        format!("the old files are not in quarantine: {}", seen.sentence),
                    )
                }
            }
        }
        Ok(())
    }
}

impl Reference {
    /// `user_version` and `journal_mode` are the application's, where the keys do not say
    /// otherwise.
    fn settings_kept(
        &self,
        number: usize,
        way: &Allowed,
        replica: &Replica,
        whole: &Whole,
        seen: &Seen<'_>,
    ) -> Result<(), Bad> {
        let (policy, known) = (&self.policies[number], &self.known[number]);
        let expected = if policy.numbers { replica.version() } else { replica.user_version() };
        if whole.user_version != expected && (policy.numbers || !way.set_aside) {
            return bad(
                promise::OLD_OR_NEW,
                format!(
                    "user_version is {}, and should be {expected}: {}",
                    whole.user_version, seen.sentence
                ),
            );
        }
        let wanted = policy.journal.as_deref().or(known
            .replica
            .as_ref()
            .filter(|_| !way.set_aside)
            .map(|_| known.journal.as_str()));
        match wanted {
            Some(mode) if mode != whole.journal => bad(
                promise::OLD_OR_NEW,
                format!(
                    "journal_mode is {}, and should be {mode}: {}",
                    whole.journal, seen.sentence
                ),
            ),
            _ => Ok(()),
        }
    }

    /// Every snapshot holds what was there when it was made.
    ///
    /// # Errors
    /// One that does not, or that nobody has made.
    pub fn copies(&self, number: usize, name: &str, stands: &Stands) -> Result<(), Bad> {
        if self.known[number].damage.is_some() {
            return Ok(());
        }
        match (self.known[number].copies.get(name), stands) {
            (Some(copy), Stands::Whole(whole)) => same(&copy.replica, whole, self.exact)
                .or_else(|why| bad(promise::OLD_OR_NEW, format!("snapshot {name}: {why}"))),
            (Some(_), _) => bad(promise::OLD_OR_NEW, format!("snapshot {name} is not whole")),
            (None, _) => bad(promise::SAYS, format!("no report named the snapshot {name}")),
        }
    }
}

/// What the report says of itself.
fn agrees(seen: &Seen<'_>) -> Result<(), Bad> {
    let usable = matches!(seen.exit, 0 | 11);
    if usable != seen.usable {
        return bad(
            promise::SAYS,
            format!("exit {} with usable: {}: {}", seen.exit, seen.usable, seen.sentence),
        );
    }
    // One that waits for its group has its own loss to tell.
    if seen.data_loss != (seen.exit == 11) && seen.exit != 3 {
        return bad(
            promise::SAYS,
            format!("exit {} with data_loss: {}: {}", seen.exit, seen.data_loss, seen.sentence),
        );
    }
    let version = seen.version.map(|version| version.to_string());
    match (&seen.ready, usable) {
        (Some(said), true) if Some(said) == version.as_ref() => Ok(()),
        (None, false) => Ok(()),
        (ready, _) => bad(
            promise::SAYS,
            format!(
                "exit {}, version {version:?}, and the ready file is {ready:?}: {}",
                seen.exit, seen.sentence
            ),
        ),
    }
}

fn content(
    way: &Allowed,
    stood: Option<&Replica>,
    mine: &[&Migration],
    (policy, exact): (&Policy, bool),
    seen: &Seen<'_>,
) -> Result<(), String> {
    let expected = match &way.after {
        After::Same => stood,
        After::Replica(replica) => Some(&**replica),
        After::Carried => return carried(stood, mine, policy, seen),
    };
    match (expected, seen.stands) {
        (None, Stands::Absent) => Ok(()),
        (None, _) => Err("a file is there".into()),
        (Some(_), Stands::Absent) => Err("there is no file".into()),
        (_, Stands::Broken(why)) => Err(format!("it is not whole: {why}")),
        (Some(replica), Stands::Whole(whole)) => same(replica, whole, exact),
    }
}

/// Schema, rows and history.
pub fn same(replica: &Replica, whole: &Whole, exact: bool) -> Result<(), String> {
    let expected = replica.dump();
    if *expected != *whole.dump {
        return Err(format!("it is another database:{}", difference(&expected, &whole.dump)));
    }
    let versions = |all: &[(i64, String)]| {
        all.iter()
            .map(|(version, name)| format!("V{version}__{name}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let expected: Vec<(i64, String)> =
        replica.entries.iter().map(|entry| (entry.version, entry.name.clone())).collect();
    let found: Vec<(i64, String)> =
        whole.history.iter().map(|(version, name, _)| (*version, name.clone())).collect();
    if expected != found {
        return Err(format!(
            "its history is {}, and should be {}",
            versions(&found),
            versions(&expected)
        ));
    }
    for (entry, (_, _, checksum)) in replica.entries.iter().zip(&whole.history) {
        let texts = [entry.text.clone(), entry.text.replace('\n', "\r\n")];
        let texts =
            texts.iter().enumerate().filter(|(crlf, _)| !exact || (*crlf == 1) == entry.crlf);
        let known = texts
            .flat_map(|(_, text)| checksums(entry.version, &entry.name, text))
            .any(|known| known.to_string() == *checksum);
        if !known {
            let stem = format!("V{}__{}", entry.version, entry.name);
            return Err(format!(
                "the history has checksum {checksum} for {stem}, which refinery would not have \
                 written"
            ));
        }
    }
    Ok(())
}

/// Rows of each table.
type Counts = BTreeMap<String, u64>;

/// At this image's version, with nothing invented; and where nothing was lost, with every row.
fn carried(
    stood: Option<&Replica>,
    mine: &[&Migration],
    policy: &Policy,
    seen: &Seen<'_>,
) -> Result<(), String> {
    let Stands::Whole(whole) = seen.stands else { return Err("it is not whole".into()) };
    let target = mine.last().map_or(0, |migration| migration.version);
    if whole.history.last().map_or(0, |(version, _, _)| *version) != target {
        return Err(format!("its history ends before {target}"));
    }
    let fresh = Replica::empty().migrated(mine).map(|replica| replica.counts()).unwrap_or_default();
    let old = stood.map(Replica::counts).unwrap_or_default();
    let Some(replica) = seen.observed(Vec::new()) else { return Err("it cannot be read".into()) };
    if replica.has_orphans() && !stood.is_some_and(Replica::has_orphans) {
        return Err("rows name parents that are not there".into());
    }
    let now = replica.counts();
    none_is_invented(&now, &old, &fresh)?;
    let touched: String =
        mine.iter().map(|migration| migration.text().to_ascii_lowercase()).collect();
    let pending: String = mine
        .iter()
        .filter(|one| stood.is_some_and(|replica| one.version > replica.version()))
        .map(|one| one.text().to_ascii_lowercase())
        .collect();
    // What a trigger or an action of a foreign key takes away is the product's own doing.
    let by_itself = ["create trigger", " cascade", " set null", " set default"]
        .iter()
        .any(|word| touched.contains(word));
    for (table, count) in old.iter().filter(|(_, count)| **count > 0) {
        if !policy.keeps(table) && seen.exit == 0 && !is_aside(table) {
            return Err(format!(
                "carry_over does not name {table}, which had {count} rows, and nothing is lost"
            ));
        }
        let all: u64 = now
            .iter()
            .filter(|(name, _)| *name == table || is_beside(name, table))
            .map(|(_, count)| count)
            .sum();
        let named = pending.contains(&table.to_ascii_lowercase())
            || pending.contains(&table.replace('"', "\"\"").to_ascii_lowercase());
        if policy.keeps(table) && all < *count && !by_itself && !named {
            return Err(format!(
                "carry_over names {table}, which had {count} rows, and {all} are there or beside it"
            ));
        }
    }
    if seen.exit == 0 {
        let gone = old.iter().find(|(table, count)| {
            fresh.contains_key(*table) && now.get(*table).copied().unwrap_or(0) < **count
        });
        if let Some((table, count)) = gone {
            return Err(format!("{table} had {count} rows, and has {:?}", now.get(table)));
        }
    }
    Ok(())
}

/// Each row is one of the old database's or of a fresh one's.
fn none_is_invented(now: &Counts, old: &Counts, fresh: &Counts) -> Result<(), String> {
    let products =
        |table: &str| old.keys().chain(fresh.keys()).any(|known| known.eq_ignore_ascii_case(table));
    for (table, count) in now {
        let sources: Vec<&String> = match products(table) {
            true => old.get_key_value(table).map(|(name, _)| name).into_iter().collect(),
            false => old.keys().filter(|name| is_beside(table, name)).collect(),
        };
        let of = |name: &String| {
            old.get(name).copied().unwrap_or(0) + fresh.get(name).copied().unwrap_or(0)
        };
        let most: u64 = sources.iter().copied().chain([table]).map(of).sum();
        if !sources.is_empty() && *count > most {
            return Err(format!("{table} has {count} rows, and there were {most}"));
        }
    }
    Ok(())
}

/// It has the name that rows without a place get.
pub fn is_aside(table: &str) -> bool {
    table.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("lost_"))
}

/// Rows of this table can be in that one: two of one name are `lost_NAME` and `lost_NAME_2`.
pub fn is_beside(aside: &str, table: &str) -> bool {
    let Some(name) = aside.get(5..).filter(|_| is_aside(aside)) else { return false };
    let numbered = name.rsplit_once('_').filter(|(_, tail)| tail.parse::<u32>().is_ok());
    name.eq_ignore_ascii_case(table)
        || numbered.is_some_and(|(name, _)| name.eq_ignore_ascii_case(table))
}

impl Reference {
    /// What is true of every database after every event.
    ///
    /// # Errors
    /// What is not.
    pub fn standing(&self, number: usize, database: &Database, stands: &Stands) -> Result<(), Bad> {
        let (known, exact) = (&self.known[number], self.exact);
        if known.damage.is_some() {
            return Ok(());
        }
        match (&known.replica, stands) {
            (None, Stands::Absent) => Ok(()),
            (Some(replica), Stands::Whole(whole)) => same(replica, whole, exact)
                .or_else(|why| bad(promise::OLD_OR_NEW, format!("{}: {why}", database.name))),
            (Some(_), Stands::Broken(why)) => {
                bad(promise::OLD_OR_NEW, format!("{}: it is not whole: {why}", database.name))
            }
            (Some(_), Stands::Absent) => {
                bad(promise::OLD_OR_NEW, format!("{}: there is no file", database.name))
            }
            (None, _) => bad(promise::OLD_OR_NEW, format!("{}: a file is there", database.name)),
        }
    }
}
