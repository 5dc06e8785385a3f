//! Owns the text of `bootmigrate_embedded.rs`: a product as one constant expression.
//! Promises: the same product gives the same bytes; nothing of this machine is in them.
//! Never reads or checks anything.

use std::fmt::Write as _;

use crate::config::packed;
use crate::product::{Checksums, Database, Directives, Expect, ForeignKeys, Migration, Product};

/// The expression of type `::bootmigrate::catalog::Embedded` that [`embed`](crate::embed) writes.
pub fn source(product: &Product) -> String {
    let mut text = String::from(
        "{\n    #[allow(unused_imports)]\n    use ::bootmigrate::catalog::{Catalog, Checksums, \
         Directives, Embedded, Expect, ForeignKeys, Migration, Versions};\n",
    );
    let configuration = literal(&product.configuration);
    let _ = writeln!(text, "    const CONFIGURATION: &str = {configuration};");
    text.push_str("    const EMBEDDED: Embedded = Embedded {\n");
    line(&mut text, 2, "configuration", "CONFIGURATION");
    // Of the package whose binary includes this.
    line(&mut text, 2, "version", "env!(\"CARGO_PKG_VERSION\")");
    line(&mut text, 2, "configuration_file", &literal(&product.configuration_file));
    let settings = bytes(&packed::write(&product.settings));
    line(&mut text, 2, "settings", &option(Some(format!("(CONFIGURATION, {settings})"))));
    text.push_str("        databases: &[\n");
    for database in &product.databases {
        write_database(&mut text, database);
    }
    text.push_str("        ],\n    };\n    EMBEDDED\n}\n");
    text
}

/// The same of the stock binary, which has no product in it.
pub(crate) const NOTHING: &str = "::bootmigrate::catalog::Embedded { version: \
                                  env!(\"CARGO_PKG_VERSION\"), \
                                  ..::bootmigrate::catalog::Embedded::NOTHING }\n";

fn write_database(text: &mut String, database: &Database) {
    text.push_str("            Catalog {\n");
    line(text, 4, "database", &literal(&database.name));
    line(text, 4, "fingerprint", &format!("{:?}", database.fingerprint));
    line(text, 4, "versions", &format!("Versions::{:?}", database.versions));
    for (field, migrations) in [("migrations", &database.migrations), ("data", &database.data)] {
        let _ = writeln!(text, "                {field}: &[");
        for migration in migrations {
            write_migration(text, migration);
        }
        text.push_str("                ],\n");
    }
    text.push_str("            },\n");
}

fn write_migration(text: &mut String, migration: &Migration) {
    text.push_str("                    Migration {\n");
    line(text, 6, "version", &migration.version.to_string());
    line(text, 6, "name", &literal(&migration.name));
    line(text, 6, "checksums", &checksums(&migration.checksums));
    line(text, 6, "file", &literal(&migration.file));
    line(text, 6, "sql", &literal(&migration.sql));
    line(text, 6, "statements", &migration.statements.to_string());
    line(text, 6, "down", &option(migration.down.as_deref().map(literal)));
    line(text, 6, "directives", &directives(&migration.directives));
    line(text, 6, "adopted", &migration.adopted.to_string());
    text.push_str("                    },\n");
}

fn checksums(checksums: &Checksums) -> String {
    let pair = |[one, other]: [u64; 2]| format!("[0x{one:016x}, 0x{other:016x}]");
    format!("Checksums {{ int4: {}, int8: {} }}", pair(checksums.int4), pair(checksums.int8))
}

fn directives(directives: &Directives) -> String {
    // No device has what the workbench alone reads.
    if (Directives { allow: Vec::new(), ..directives.clone() }) == Directives::default() {
        return "Directives::NONE".to_owned();
    }
    let foreign_keys = match directives.foreign_keys {
        ForeignKeys::Off => "Off",
        ForeignKeys::On => "On",
        ForeignKeys::Deferred => "Deferred",
        ForeignKeys::Enforced => "Enforced",
    };
    let expect: Vec<String> = directives.expect.iter().map(expect).collect();
    format!(
        "Directives {{ no_transaction: {}, foreign_keys: ForeignKeys::{foreign_keys}, \
         compatible_from: {}, irreversible: {}, expect: &[{}], batch: {}, needs_space_percent: {}, \
         code_revision: {} }}",
        directives.no_transaction,
        option(directives.compatible_from.map(|version| version.to_string())),
        directives.irreversible,
        expect.join(", "),
        directives.batch,
        option(directives.needs_space_percent.map(|percent| percent.to_string())),
        option(directives.code_revision.map(|revision| revision.to_string())),
    )
}

fn expect(expect: &Expect) -> String {
    format!("Expect {{ query: {}, line: {} }}", literal(&expect.query), expect.line)
}

fn line(text: &mut String, depth: usize, field: &str, value: &str) {
    let _ = writeln!(text, "{:width$}{field}: {value},", "", width = depth * 4);
}

fn option(value: Option<String>) -> String {
    value.map_or_else(
        || "::core::option::Option::None".to_owned(),
        |value| format!("::core::option::Option::Some({value})"),
    )
}

/// Bytes as Rust writes them.
fn bytes(bytes: &[u8]) -> String {
    format!("b\"{}\"", bytes.escape_ascii())
}

/// A string as Rust writes it.
fn literal(text: &str) -> String {
    format!("{text:?}")
}
