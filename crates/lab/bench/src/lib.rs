//! Owns what the programs share: the sets of migrations, and their command line, `SET DATABASE`.
//! Promises: a set is a constant of the program, as a product embeds it.
//! Never opens a database.

/// Migrations of one product.
pub struct Set {
    /// As `scripts/bench` names it.
    pub name: &'static str,
    /// Names without their ending, and SQL; oldest first.
    pub migrations: &'static [(&'static str, &'static str)],
}

include!(concat!(env!("OUT_DIR"), "/sets.rs"));

/// What the command line says: the set, how many of its migrations count, the database.
pub fn asked() -> (&'static [(&'static str, &'static str)], String) {
    let mut words = std::env::args().skip(1);
    let (name, database) = (words.next().unwrap(), words.next().unwrap());
    let (name, many) = match name.split_once(':') {
        Some((name, many)) => (name.to_owned(), many.parse().unwrap()),
        None => (name, usize::MAX),
    };
    let set = SETS.iter().find(|set| set.name == name).unwrap();
    (&set.migrations[..many.min(set.migrations.len())], database)
}

/// The first migrations of a set as a folder that bootmigrate's build reads.
pub fn write_folder(name: &str, many: usize, folder: &std::path::Path) {
    let set = SETS.iter().find(|set| set.name == name).unwrap();
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder.join("settings")).unwrap();
    // Only the example product gives way to a packed catalogue.
    let configuration =
        "example = true\n\n[databases.settings]\npath = \"/var/lib/gateway/settings.db\"\n";
    std::fs::write(folder.join("bootmigrate.toml"), configuration).unwrap();
    for (name, sql) in set.migrations.iter().take(many) {
        std::fs::write(folder.join(format!("settings/{name}.sql")), sql).unwrap();
    }
}
