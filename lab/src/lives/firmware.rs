//! Owns the way from a life's images to what a binary embeds: the folder is written, read by the build's own rules, and made constant.
//! Promises: the device gets what a product's build would have embedded; what the build refuses is said in its words.
//! Never changes a text on the way.

// A folder on the machine of who builds.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::Path;

use bootmigrate::catalog;
use bootmigrate::Embedded;
use bootmigrate_build as build;

use super::product::{Firmware, Product};

/// What the image embeds.
///
/// # Errors
/// What the build says.
pub fn embedded(product: &Product, image: &Firmware, executed: bool) -> Result<Embedded, String> {
    let folder = tempfile::Builder::new().prefix("lives").tempdir_in(memory()).map_err(|error| error.to_string())?;
    write(product, image, folder.path()).map_err(|error| error.to_string())?;
    let words = |problems: Vec<build::Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let read = build::read(folder.path()).map_err(words)?;
    if executed {
        let (problems, _) = build::execute(&read);
        if !problems.is_empty() {
            return Err(words(problems));
        }
    }
    Ok(constant(read))
}

/// A file system in memory, where there is one.
fn memory() -> std::path::PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() {
        shared.to_path_buf()
    } else {
        std::env::temp_dir()
    }
}

fn write(product: &Product, image: &Firmware, folder: &Path) -> std::io::Result<()> {
    fs::write(folder.join("bootmigrate.toml"), product.configuration())?;
    for (database, part) in product.databases.iter().zip(&image.parts) {
        let folder = folder.join(&database.name);
        fs::create_dir(&folder)?;
        for migration in part.migrations(database) {
            let migration = if image.turned { &migration.turned() } else { migration };
            fs::write(folder.join(format!("{}.sql", migration.stem())), migration.text())?;
            if let Some(down) = migration.down_text() {
                fs::write(folder.join(format!("{}.down.sql", migration.stem())), down)?;
            }
        }
    }
    Ok(())
}

/// Constants are what a catalogue is made of; a worker process ends before they are many.
fn constant(from: build::Product) -> Embedded {
    let databases: Vec<catalog::Catalog> = from.databases.into_iter().map(database).collect();
    Embedded {
        configuration: from.configuration.leak(),
        version: "",
        configuration_file: "migrations/bootmigrate.toml",
        databases: databases.leak(),
    }
}

fn database(from: build::Database) -> catalog::Catalog {
    let all = |from: Vec<build::Migration>| -> &'static [catalog::Migration] { from.into_iter().map(migration).collect::<Vec<_>>().leak() };
    let versions = match from.versions {
        build::Versions::Int4 => catalog::Versions::Int4,
        build::Versions::Int8 => catalog::Versions::Int8,
    };
    catalog::Catalog {
        database: from.name.leak(),
        versions,
        fingerprint: from.fingerprint,
        migrations: all(from.migrations),
        data: all(from.data),
    }
}

fn migration(from: build::Migration) -> catalog::Migration {
    catalog::Migration {
        version: from.version,
        name: from.name.leak(),
        checksums: catalog::Checksums { int4: from.checksums.int4, int8: from.checksums.int8 },
        file: from.file.leak(),
        sql: from.sql.leak(),
        statements: from.statements,
        down: from.down.map(|text| &*text.leak()),
        directives: directives(from.directives),
        adopted: from.adopted,
    }
}

fn directives(from: build::Directives) -> catalog::Directives {
    let expect = from.expect.into_iter().map(|one| catalog::Expect { query: one.query.leak(), line: one.line });
    catalog::Directives {
        no_transaction: from.no_transaction,
        foreign_keys: match from.foreign_keys {
            build::ForeignKeys::Off => catalog::ForeignKeys::Off,
            build::ForeignKeys::On => catalog::ForeignKeys::On,
            build::ForeignKeys::Deferred => catalog::ForeignKeys::Deferred,
            build::ForeignKeys::Enforced => catalog::ForeignKeys::Enforced,
        },
        compatible_from: from.compatible_from,
        irreversible: from.irreversible,
        expect: expect.collect::<Vec<_>>().leak(),
        batch: from.batch,
        needs_space_percent: from.needs_space_percent,
        code_revision: from.code_revision,
    }
}
