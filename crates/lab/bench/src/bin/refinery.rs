//! refinery, as `embed_migrations!` makes its runner.

fn run(grouped: bool) {
    let (migrations, database) = bootmigrate_bench::asked();
    let migrations: Vec<_> = migrations
        .iter()
        .map(|(name, sql)| refinery_core::Migration::unapplied(name, sql).unwrap())
        .collect();
    let mut connection = rusqlite::Connection::open(database).unwrap();
    refinery_core::Runner::new(&migrations).set_grouped(grouped).run(&mut connection).unwrap();
}

fn main() {
    run(std::env::args().nth(3).is_some_and(|word| word == "grouped"));
}
