//! rusqlite_migration: `Migrations::to_latest`, its defaults.

use rusqlite_migration::{Migrations, M};

fn main() {
    let (migrations, database) = bootmigrate_bench::asked();
    let migrations = Migrations::new(migrations.iter().map(|(_, sql)| M::up(sql)).collect());
    let mut connection = rusqlite::Connection::open(database).unwrap();
    migrations.to_latest(&mut connection).unwrap();
}
