//! Owns how a file is damaged.
//! Promises: afterwards plain SQLite cannot open it, or its `integrity_check` finds something.
//! Never leaves a -wal or journal from which it could be mended.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::dice::Dice;

/// How many ways are drawn before one that SQLite notices.
const TRIES: u32 = 1000;

/// Damages a database, and says how.
pub fn damage(file: &Path, dice: &mut Dice) -> &'static str {
    let whole = fs::read(file).unwrap();
    for _ in 0..TRIES {
        let (bytes, how) = harmed(whole.clone(), dice);
        fs::write(file, bytes).unwrap();
        if !is_whole(file) {
            return how;
        }
    }
    panic!("{} took {TRIES} damages, and SQLite noticed none", file.display());
}

fn harmed(mut bytes: Vec<u8>, dice: &mut Dice) -> (Vec<u8>, &'static str) {
    let page = 4096;
    let pages = bytes.len() / page;
    let place = page * dice.below(pages as u64) as usize;
    match dice.below(6) {
        0 => {
            bytes[..16].fill(0);
            (bytes, "no header")
        }
        1 => {
            bytes.truncate(page * (1 + dice.below(pages as u64) as usize) - 1);
            (bytes, "cut off")
        }
        2 => {
            bytes[place..place + page].fill(0);
            (bytes, "a page of zeros")
        }
        3 => {
            bytes.iter_mut().for_each(|byte| *byte = dice.next() as u8);
            (bytes, "noise")
        }
        4 => {
            for _ in 0..8 {
                let byte = place + dice.below(page as u64) as usize;
                bytes[byte] ^= 1 << dice.below(8);
            }
            (bytes, "bits of a page")
        }
        _ => {
            let other = page * dice.below(pages as u64) as usize;
            bytes.copy_within(other..other + page, place);
            (bytes, "another page in its place")
        }
    }
}

/// By SQLite alone, on a copy: nothing is left beside the file.
fn is_whole(file: &Path) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    fs::copy(file, &copy).unwrap();
    let check = || -> rusqlite::Result<String> {
        Connection::open(&copy)?.query_row("PRAGMA integrity_check", [], |row| row.get(0))
    };
    check().is_ok_and(|said| said == "ok")
}
