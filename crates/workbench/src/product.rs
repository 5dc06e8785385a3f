//! Owns reading a product's folder for the workbench, and finding databases and versions in it.
//! Promises: the build's own reader; every problem of the folder in one error.
//! Never runs a migration.

use std::path::Path;

use anyhow::{bail, Result};
use bootmigrate_build::config::DatabaseSettings;
use bootmigrate_build::{Database, Migration, Problem, Product};

/// The folder, without any problem.
///
/// # Errors
/// Every problem, a line each.
pub fn read(folder: &Path) -> Result<Product> {
    match bootmigrate_build::read(folder) {
        Ok(product) => Ok(product),
        Err(problems) => bail!("{}", lines(&problems)),
    }
}

/// One problem a line.
pub fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// All databases, or the named one.
///
/// # Errors
/// There is none of that name.
pub fn databases<'p>(product: &'p Product, only: Option<&str>) -> Result<Vec<&'p Database>> {
    let found: Vec<&Database> = product
        .databases
        .iter()
        .filter(|database| only.is_none_or(|only| database.name == only))
        .collect();
    if found.is_empty() {
        let names: Vec<&str> =
            product.databases.iter().map(|database| database.name.as_str()).collect();
        bail!(
            "there is no database `{}`; there are {}",
            only.unwrap_or_default(),
            names.join(", ")
        );
    }
    Ok(found)
}

/// What the configuration says of a database.
pub fn settings<'p>(product: &'p Product, database: &Database) -> Option<&'p DatabaseSettings> {
    product.settings.databases.iter().find(|entry| entry.name == database.name)
}

/// How many migrations lead to this version; `None` where no migration has it. Version 0 is the
/// empty database.
pub fn count_to(database: &Database, version: i64) -> Option<usize> {
    let place = database
        .migrations
        .iter()
        .position(|migration| migration.version == version)
        .map(|place| place + 1);
    place.or((version == 0).then_some(0))
}

/// The newest version; 0 without any migration.
pub fn newest(database: &Database) -> i64 {
    database.migrations.last().map_or(0, |migration| migration.version)
}

/// The folder's own name, with which every file in a message begins.
pub fn label(product: &Product) -> &str {
    product.configuration_file.split('/').next().unwrap_or_default()
}

/// How a message names a migration's file.
pub fn shown(product: &Product, migration: &Migration) -> String {
    format!("{}/{}", label(product), migration.file)
}

/// How a message names the file of its way back.
pub fn shown_down(product: &Product, migration: &Migration) -> String {
    format!("{}.down.sql", shown(product, migration).trim_end_matches(".sql"))
}

/// `1 version`, `2 versions`.
pub fn counted(count: usize, thing: &str) -> String {
    let (one, rest) = thing
        .split_once(' ')
        .map_or((thing, String::new()), |(one, rest)| (one, format!(" {rest}")));
    format!("{count} {one}{}{rest}", if count == 1 { "" } else { "s" })
}
