//! Owns two tools that are libraries, older releases of both: each makes a database of the
//! integration tests' first three migrations.
//! Promises: the tool's own calls with its defaults; prints which release it was.
//! Never reads or writes a history itself.

#[allow(dead_code)]
#[path = "../../../integration/product.rs"]
mod product;

use refinery::{Migration, Runner};
use rusqlite::Connection;
use rusqlite_migration::{Migrations, M};

/// The integration tests' devices were at this version when they were taken over.
const LEFT_AT: &str = "V30__";

fn main() {
    let mut words = std::env::args().skip(1);
    let (Some(tool), Some(path)) = (words.next(), words.next()) else {
        eprintln!("usage: adoption-tools refinery|rusqlite_migration PATH, or files FOLDER");
        std::process::exit(2);
    };
    let last = product::FILES.iter().position(|(name, _)| name.starts_with(LEFT_AT)).unwrap();
    let files = &product::FILES[..=last];
    match tool.as_str() {
        "files" => files.iter().for_each(|(name, sql)| std::fs::write(format!("{path}/{name}"), sql).unwrap()),
        "refinery" => {
            let all: Vec<Migration> =
                files.iter().map(|(name, sql)| Migration::unapplied(name.trim_end_matches(".sql"), sql).unwrap()).collect();
            Runner::new(&all).run(&mut Connection::open(path).unwrap()).unwrap();
            println!("refinery 0.8.16");
        }
        "rusqlite_migration" => {
            let all = Migrations::new(files.iter().map(|(_, sql)| M::up(sql)).collect());
            all.to_latest(&mut Connection::open(path).unwrap()).unwrap();
            println!("rusqlite_migration 1.2.0");
        }
        _ => std::process::exit(2),
    }
}
