//! Owns the packed catalogue: all that a build embeds, as one file that the stock binary reads
//! (docs/format.md).
//! Promises: the same product gives the same bytes; nothing of this machine is in them.
//! Never checks a product: `read` and `execute` have.

use crate::packed_format::{crc32, FORMAT, HEAD_BYTES, MAGIC};
use crate::product::{Database, Directives, ForeignKeys, Migration, Product, Versions};

/// The file's bytes.
pub fn packed(product: &Product) -> Vec<u8> {
    let mut payload = Writer::default();
    payload.text(&product.configuration);
    payload.text(&product.configuration_file);
    payload.number(product.databases.len());
    for database in &product.databases {
        payload.database(database);
    }
    let Writer { bytes: payload } = payload;
    let mut numbers = FORMAT.to_le_bytes().to_vec();
    numbers.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    let crc = crc32(numbers.iter().chain(&payload));
    let mut file = MAGIC.to_vec();
    file.extend(numbers);
    file.extend(crc.to_le_bytes());
    file.resize(HEAD_BYTES, 0);
    file.extend(payload);
    file
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn number(&mut self, number: usize) {
        self.bytes.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.bytes.extend(text.as_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.bytes.push(u8::from(flag));
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Writer, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn database(&mut self, database: &Database) {
        self.text(&database.name);
        self.bytes.push(match database.versions {
            Versions::Int4 => 4,
            Versions::Int8 => 8,
        });
        self.bytes.extend(database.fingerprint);
        for migrations in [&database.migrations, &database.data] {
            self.number(migrations.len());
            migrations.iter().for_each(|migration| self.migration(migration));
        }
    }

    fn migration(&mut self, migration: &Migration) {
        self.bytes.extend(migration.version.to_le_bytes());
        self.text(&migration.name);
        let checksums = migration.checksums;
        checksums
            .int4
            .iter()
            .chain(&checksums.int8)
            .for_each(|checksum| self.bytes.extend(checksum.to_le_bytes()));
        self.text(&migration.file);
        self.text(&migration.sql);
        self.bytes.extend(migration.statements.to_le_bytes());
        self.optional(migration.down.as_deref(), Writer::text);
        self.flag(migration.adopted);
        self.directives(&migration.directives);
    }

    fn directives(&mut self, directives: &Directives) {
        self.flag(directives.no_transaction);
        self.bytes.push(match directives.foreign_keys {
            ForeignKeys::Off => 0,
            ForeignKeys::On => 1,
            ForeignKeys::Deferred => 2,
            ForeignKeys::Enforced => 3,
        });
        self.optional(directives.compatible_from, |writer, version| {
            writer.bytes.extend(version.to_le_bytes())
        });
        self.flag(directives.irreversible);
        self.flag(directives.batch);
        self.optional(directives.needs_space_percent, |writer, percent| {
            writer.bytes.extend(percent.to_le_bytes())
        });
        self.optional(directives.code_revision, |writer, revision| {
            writer.bytes.extend(revision.to_le_bytes())
        });
        self.number(directives.expect.len());
        for expect in &directives.expect {
            self.text(&expect.query);
            self.bytes.extend(expect.line.to_le_bytes());
        }
    }
}
