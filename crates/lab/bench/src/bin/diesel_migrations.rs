//! diesel_migrations: `run_pending_migrations` of what `embed_migrations!` makes.

use diesel::{Connection, SqliteConnection};
use diesel_migrations::{
    EmbeddedMigration, EmbeddedMigrations, EmbeddedName, MigrationHarness, TomlMetadataWrapper,
};

fn main() {
    let (migrations, database) = bootmigrate_bench::asked();
    let embedded: Vec<_> = migrations
        .iter()
        .enumerate()
        .map(|(place, (name, sql))| {
            // Versions are compared as texts.
            let name: &str = format!("{place:08}_{name}").leak();
            let metadata = TomlMetadataWrapper::new(true);
            EmbeddedMigration::new(sql, None, EmbeddedName::new(name), metadata)
        })
        .collect();
    let mut connection = SqliteConnection::establish(&database).unwrap();
    connection.run_pending_migrations(EmbeddedMigrations::new(embedded.leak())).unwrap();
}
