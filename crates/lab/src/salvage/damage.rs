//! Owns how the comparison's databases are damaged: bits, pages, places, and what a
//! page was for.
//! Promises: the same generator gives the same bytes; something is damaged in each.
//! Never looks at a row.

use super::corpus::Made;
use crate::sim::hash::Random;

/// How a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Some bits are others.
    Bits,
    /// Pages are zeros.
    Zeroed,
    /// Pages hold anything.
    Garbage,
    /// Pages whose second half is of an earlier time, or zeros.
    Torn,
    /// Pages have changed places.
    Swapped,
    /// Pages are of an earlier time.
    Stale,
    /// It ends early.
    Truncated,
    /// The first 100 bytes are gone.
    Header,
    /// The first page is gone.
    FirstPage,
    /// Overflow pages are gone.
    Overflow,
    /// Interior pages are gone.
    Interior,
    /// The first pages of tables are gone.
    Roots,
    /// The lists of free pages are gone, and interior pages.
    Lists,
    /// Three pages of ten are gone, the first one among them.
    Third,
}

impl Damage {
    /// All of them.
    pub const ALL: &'static [Damage] = &[
        Damage::Bits,
        Damage::Zeroed,
        Damage::Garbage,
        Damage::Torn,
        Damage::Swapped,
        Damage::Stale,
        Damage::Truncated,
        Damage::Header,
        Damage::FirstPage,
        Damage::Overflow,
        Damage::Interior,
        Damage::Roots,
        Damage::Lists,
        Damage::Third,
    ];
}

/// A damaged copy, and what was done.
pub fn damage(made: &Made, damage: Damage, random: &mut Random) -> (Vec<u8>, String) {
    let mut bytes = made.bytes.clone();
    let pages = bytes.len() / made.page;
    let of_kind = |kind: &str| {
        made.pages
            .iter()
            .filter(|(_, _, found)| found == kind)
            .map(|(page, ..)| *page)
            .collect::<Vec<usize>>()
    };
    let any =
        |random: &mut Random| 2 + random.below(pages.saturating_sub(1).max(1) as u64) as usize;
    let some = |random: &mut Random| {
        (0..=random.below(1 + pages as u64 / 12)).map(|_| any(random)).collect::<Vec<usize>>()
    };
    let chosen = match damage {
        Damage::Bits => return bits(bytes, random),
        Damage::Truncated => {
            let end = bytes.len() / 4 + random.below(bytes.len() as u64 * 3 / 4) as usize;
            bytes.truncate(end);
            return (bytes, format!("ends at byte {end}"));
        }
        Damage::Header => {
            lose(&mut bytes[..100], random);
            return (bytes, "no header".to_owned());
        }
        Damage::Swapped => return swapped(made, bytes, random),
        Damage::FirstPage => vec![1],
        Damage::Overflow => pick(of_kind("overflow"), random),
        Damage::Interior => pick(of_kind("internal"), random),
        Damage::Roots => roots(made, random),
        Damage::Lists => lists(made).into_iter().chain(pick(of_kind("internal"), random)).collect(),
        Damage::Third => (1..=pages).filter(|page| *page == 1 || random.below(10) < 3).collect(),
        Damage::Zeroed | Damage::Garbage | Damage::Torn | Damage::Stale => some(random),
    };
    let chosen = if chosen.is_empty() { some(random) } else { chosen };
    for page in &chosen {
        let at = (page - 1) * made.page;
        let end = (at + made.page).min(bytes.len());
        let earlier = made.earlier.get(at..end);
        match (damage, earlier) {
            (Damage::Stale, Some(earlier)) => bytes[at..end].copy_from_slice(earlier),
            (Damage::Torn, Some(earlier)) => {
                let half = random.below(made.page as u64 / 512).max(1) as usize
                    * made.page.min(512).min(made.page / 2);
                bytes[at + half..end].copy_from_slice(&earlier[half..]);
            }
            (Damage::Torn, None) => bytes[at + made.page / 2..end].fill(0),
            (Damage::Zeroed, _) => bytes[at..end].fill(0),
            _ => lose(&mut bytes[at..end], random),
        }
    }
    let mut words = format!("pages {chosen:?}");
    words.truncate(160);
    (bytes, words)
}

fn lose(bytes: &mut [u8], random: &mut Random) {
    if random.below(2) == 0 {
        bytes.fill(0);
    } else {
        bytes.iter_mut().for_each(|byte| *byte = random.draw() as u8);
    }
}

/// Some of these.
fn pick(all: Vec<usize>, random: &mut Random) -> Vec<usize> {
    let parts = 1 + random.below(3);
    let picked: Vec<usize> =
        all.iter().copied().filter(|page| *page != 1 && random.below(parts) == 0).collect();
    if picked.is_empty() {
        all.into_iter().filter(|page| *page != 1).take(1).collect()
    } else {
        picked
    }
}

fn bits(mut bytes: Vec<u8>, random: &mut Random) -> (Vec<u8>, String) {
    let count = 1 + random.below(20);
    for _ in 0..count {
        let at = random.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << random.below(8);
    }
    (bytes, format!("{count} bits"))
}

fn swapped(made: &Made, mut bytes: Vec<u8>, random: &mut Random) -> (Vec<u8>, String) {
    let pages = bytes.len() / made.page;
    let mut words = String::new();
    for _ in 0..=random.below(3) {
        let mut page = || 1 + random.below(pages as u64 - 1) as usize;
        let (one, two) = (page(), page());
        for byte in 0..made.page {
            bytes.swap(one * made.page + byte, two * made.page + byte);
        }
        words.push_str(&format!(" {} and {}", one + 1, two + 1));
    }
    (bytes, format!("pages{words} have changed places"))
}

/// The lowest page of an object is where it began, as SQLite gives pages away.
fn roots(made: &Made, random: &mut Random) -> Vec<usize> {
    let names: std::collections::BTreeSet<&String> =
        made.pages.iter().map(|(_, name, _)| name).collect();
    let first = |name: &&String| {
        made.pages.iter().filter(|(_, found, _)| found == *name).map(|(page, ..)| *page).min()
    };
    let firsts = names.iter().filter_map(first).filter(|page| *page != 1).collect();
    pick(firsts, random)
}

/// Pages that list free ones, from the header on.
fn lists(made: &Made) -> Vec<usize> {
    let number = |at: usize| {
        made.bytes
            .get(at..at + 4)
            .map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().expect("four")) as usize)
    };
    let (mut lists, mut next) = (Vec::new(), number(32));
    while next != 0 && !lists.contains(&next) {
        lists.push(next);
        next = number((next - 1) * made.page);
    }
    lists
}
