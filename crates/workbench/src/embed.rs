//! Owns the way from a folder to the catalogue that a device's code takes, in this process.
//! Promises: the same constants as a build would embed; they are kept until the process ends.
//! Never runs without `--root`: no file of this machine is a device's.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use bootmigrate::catalog::{self, Catalog, Embedded};
use bootmigrate::Migrator;
use bootmigrate_build::{Database, Directives, ForeignKeys, Migration, Product, Versions};

/// bootmigrate's own command line, with the migrations of this folder.
pub fn device(folder: &Path, arguments: Vec<OsString>) -> ExitCode {
    let rooted = arguments.iter().filter_map(|argument| argument.to_str()).any(|text| text == "--root" || text.starts_with("--root="));
    let asks = |words: &[&str]| arguments.first().and_then(|first| first.to_str()).is_some_and(|first| words.contains(&first));
    if !rooted && !asks(&["--help", "-h", "--version", "-V"]) {
        eprintln!("bootmigrate-workbench: `device` runs below a folder alone; write `--root DIR`");
        return ExitCode::from(crate::EXIT_MISTAKE);
    }
    match crate::product::read(folder) {
        Ok(product) => Migrator::new(embedded(&product)).program("bootmigrate").main_from(arguments),
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::from(crate::EXIT_MISTAKE)
        }
    }
}

/// Constants, as a build would have made them.
pub fn embedded(product: &Product) -> Embedded {
    let databases: Vec<Catalog> = product.databases.iter().map(database).collect();
    Embedded {
        configuration: kept(&product.configuration),
        version: env!("CARGO_PKG_VERSION"),
        configuration_file: kept(&product.configuration_file),
        databases: databases.leak(),
    }
}

fn kept(text: &str) -> &'static str {
    text.to_owned().leak()
}

fn database(from: &Database) -> Catalog {
    let all = |migrations: &[Migration]| -> &'static [catalog::Migration] { migrations.iter().map(migration).collect::<Vec<_>>().leak() };
    Catalog {
        database: kept(&from.name),
        versions: match from.versions {
            Versions::Int4 => catalog::Versions::Int4,
            Versions::Int8 => catalog::Versions::Int8,
        },
        fingerprint: from.fingerprint,
        migrations: all(&from.migrations),
        data: all(&from.data),
    }
}

fn migration(from: &Migration) -> catalog::Migration {
    catalog::Migration {
        version: from.version,
        name: kept(&from.name),
        checksums: catalog::Checksums { int4: from.checksums.int4, int8: from.checksums.int8 },
        file: kept(&from.file),
        sql: kept(&from.sql),
        statements: from.statements,
        down: from.down.as_deref().map(kept),
        directives: directives(&from.directives),
        adopted: from.adopted,
    }
}

fn directives(from: &Directives) -> catalog::Directives {
    let expect = from.expect.iter().map(|one| catalog::Expect { query: kept(&one.query), line: one.line });
    let foreign_keys = match from.foreign_keys {
        ForeignKeys::Off => catalog::ForeignKeys::Off,
        ForeignKeys::On => catalog::ForeignKeys::On,
        ForeignKeys::Deferred => catalog::ForeignKeys::Deferred,
        ForeignKeys::Enforced => catalog::ForeignKeys::Enforced,
    };
    catalog::Directives {
        no_transaction: from.no_transaction,
        foreign_keys,
        compatible_from: from.compatible_from,
        irreversible: from.irreversible,
        expect: expect.collect::<Vec<_>>().leak(),
        batch: from.batch,
        needs_space_percent: from.needs_space_percent,
        code_revision: from.code_revision,
    }
}
