//! Owns a product that has had refinery until today: its migrations are embedded as before.
//! Promises: nothing but `main` has changed, and a bootmigrate.toml stands beside it.
//! Never has a build script.

mod embedded {
    refinery::embed_migrations!("migrations");
}

fn main() -> std::process::ExitCode {
    let settings = include_str!("../bootmigrate.toml");
    bootmigrate::Migrator::from_refinery(&embedded::migrations::runner(), settings).main()
}
