//! Owns folders of field databases whose truth is known, and the judgement of what `rehearse` said
//! of them.
//! Promises: the same seed gives the same folder; what each file is, is known from how it was made,
//! and a damaged one is damaged to plain SQLite.
//! Never asks the workbench what a file is: it only makes the empty database of a version.
//!
//! `field_databases make DIR COUNT SEED WORKBENCH MIGRATIONS` makes `DIR/field` and
//! `DIR/truth.jsonl`; `field_databases judge TRUTH LINES` compares the JSON lines of `rehearse`,
//! and `field_databases same LINES LINES` those of two runs.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing, clippy::panic)]

mod damage;
mod dice;
mod judge;
mod make;
mod rows;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["make", folder, count, seed, workbench, migrations] => {
            make::Made {
                folder: Path::new(folder).to_path_buf(),
                workbench: Path::new(workbench).to_path_buf(),
                migrations: Path::new(migrations).to_path_buf(),
            }
            .all(count.parse().unwrap(), seed.parse().unwrap());
            ExitCode::SUCCESS
        }
        ["judge", truth, lines] => judge::judge(Path::new(truth), Path::new(lines)),
        ["same", one, other] => judge::same(Path::new(one), Path::new(other)),
        _ => {
            eprintln!(
                "make DIR COUNT SEED WORKBENCH MIGRATIONS, judge TRUTH LINES, same LINES LINES"
            );
            ExitCode::from(2)
        }
    }
}
