//! Owns the migrations of the scenarios' firmware, small enough that a log has some hundred
//! effects.
//! Promises: constant; each firmware differs from the one before by what its scenario is about.
//! Never read from a file.

use bootmigrate::catalog::{Catalog, Checksums, Directives, ForeignKeys, Migration, Versions};
use bootmigrate::config::{self, DatabaseSettings, Source, UnknownKey};
use bootmigrate_build as build;

use crate::firmware::{Companion, Firmware, MAIN, OTHER};

const V1: &str = "CREATE TABLE sensor(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);\n\
                  CREATE TABLE reading(id INTEGER PRIMARY KEY, sensor INTEGER NOT NULL REFERENCES \
                  sensor(id) ON DELETE CASCADE, value INTEGER, note TEXT);\n\
                  CREATE INDEX reading_by_value ON reading(value);\n";
const V2: &str = "ALTER TABLE reading ADD COLUMN unit TEXT NOT NULL DEFAULT 'C';\nUPDATE reading \
                  SET value = value * 10;\n";
/// A rebuild: with foreign keys on, its DROP would take every reading with it.
const V3: &str =
    "CREATE TABLE sensor_new(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, place TEXT NOT \
     NULL DEFAULT '');\n\
     INSERT INTO sensor_new(id, name) SELECT id, name FROM sensor;\nDROP TABLE sensor;\nALTER \
     TABLE sensor_new RENAME TO sensor;\n";
/// Fails wherever there are two sensors; works on an empty database.
const V3_CONSTRAINT: &str =
    "UPDATE reading SET value = value + 1;\nUPDATE sensor SET name = 'the same';\n";
/// The same, with a text so long that the record of it fills more than one sector.
const V3_MANY_WORDS: &str = concat!(
    "CREATE TRIGGER same BEFORE UPDATE ON sensor BEGIN SELECT raise(ABORT, '",
    "two sensors of one name cannot be told apart by whoever reads the log of a season later, and \
     a name that was given by ",
    "hand is worth more than one that was made up by the firmware, so this migration would rather \
     fail than choose between ",
    "them, and it says so at length, because what is remembered of a failure must survive a power \
     cut however long it is, ",
    "and the reason of a replacement is written down before the replacement begins and again when \
     it has been reported'); END;\n\
     UPDATE sensor SET name = 'the same';\nDROP TRIGGER same;\n"
);
/// Leaves readings without their sensor.
const V3_FOREIGN_KEYS: &str =
    "UPDATE reading SET value = value + 1;\nDELETE FROM sensor WHERE id = 1;\n";
/// A later boot would call that history another's.
const V2_WRITES_HISTORY: &str =
    "UPDATE reading SET value = value + 1;\nUPDATE refinery_schema_history SET checksum = '0';\n";
/// A view that nobody can read.
const V2_BREAKS_VIEW: &str =
    "UPDATE reading SET value = value + 1;\nCREATE VIEW units AS SELECT unit FROM reading;\n";
/// Nobody can write to it with foreign keys on.
const V2_REFERS_TO_NOTHING: &str =
    "UPDATE reading SET value = value + 1;\nCREATE TABLE badge(id INTEGER PRIMARY KEY, place \
     INTEGER REFERENCES place(id));\n";
/// Takes the readings of a sensor along, but not what an application adds meanwhile (of the first);
/// and the wait for its violation ends with the file.
const V3_ENFORCED: &str = "DELETE FROM sensor WHERE id = 2;\nPRAGMA defer_foreign_keys = ON;\n\
                           INSERT INTO reading(id, sensor, value) VALUES (900, 900, 9);\nINSERT \
                           INTO sensor VALUES (900, 'late');\n";
/// Each leaves in the connection what would change what the other does: a PRAGMA, and a table that
/// hides a real one.
const V2_LEAVES: &str = "ALTER TABLE reading ADD COLUMN unit TEXT NOT NULL DEFAULT 'C';\nPRAGMA \
                         case_sensitive_like = ON;\n\
                         CREATE TEMP TABLE sensor(id, name);\n";
const V3_MEETS: &str = "UPDATE sensor SET name = name || ' met' WHERE name LIKE 'SENSOR%';\n";
/// The ways back of `unit` and `place`.
const V2_DOWN: &str =
    "UPDATE reading SET value = value / 10;\nALTER TABLE reading DROP COLUMN unit;\n";
const V3_DOWN: &str = "CREATE TABLE sensor_old(id INTEGER PRIMARY KEY, name TEXT NOT NULL \
                       UNIQUE);\n\
                       INSERT INTO sensor_old SELECT id, name FROM sensor;\nDROP TABLE \
                       sensor;\nALTER TABLE sensor_old RENAME TO sensor;\n";
/// Data migrations. Each adds to what is there: a row that a cut lets be met twice, or never,
/// shows.
pub const BATCH: &str =
    "-- bootmigrate: batch\nUPDATE reading SET value = value + 1000, note = 'met' WHERE id IN \
     (SELECT id FROM reading WHERE note IS NOT 'met' ORDER BY id LIMIT 10);\n";
/// See [`BATCH`].
pub const TENFOLD: &str = "UPDATE reading SET value = value * 10;\n";
const V3_DOWN_FAILS: &str =
    "UPDATE reading SET value = value - 1;\nUPDATE sensor SET name = 'the same';\n";
const V3_DOWN_ASTRAY: &str = "UPDATE sensor SET place = '';\n";
const V3_VACUUM: &str =
    "-- bootmigrate: no-transaction\nUPDATE reading SET value = value + 1;\nVACUUM;\n";

/// Half of it is SQL, and half of it Rust.
const V3_CODE: &str = "-- bootmigrate: code revision=1\nALTER TABLE sensor ADD COLUMN place TEXT \
                       NOT NULL DEFAULT '';\n";
/// What the Rust of that does, and of one that then fails: both have written by then.
const CODE: &str = "UPDATE reading SET value = value * 3; UPDATE sensor SET place = 'room ' || id;";
const CODE_FAILS: &str =
    "UPDATE reading SET value = value * 3; UPDATE sensor SET name = 'the same';";

/// The name of a migration that runs with foreign keys enforced.
pub const ENFORCED: &str = "enforced";

/// The name of a migration whose product has a hook that asks for a snapshot when it fails.
pub const GOES_BACK: &str = "goes_back";

/// Which firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One migration.
    One,
    /// One migration, and two of data.
    OneWithData,
    /// Two.
    Two,
    /// Three.
    Three,
    /// The same three, of which the later ones say that firmware of the first can still use their
    /// result.
    ThreeCompatible,
    /// The third breaks a constraint.
    ThreeFails,
    /// The third breaks a constraint, and the product's hook answers that a snapshot is to be
    /// restored.
    ThreeFailsAndGoesBack,
    /// The third breaks a constraint, and says so at length.
    ThreeFailsAtLength,
    /// The third breaks foreign keys.
    ThreeBreaksForeignKeys,
    /// The second writes the history.
    TwoWritesHistory,
    /// The second makes a view that does not compile.
    TwoBreaksView,
    /// The second makes a foreign key to a table that does not exist.
    TwoRefersToNothing,
    /// The third runs with foreign keys enforced.
    ThreeEnforced,
    /// The second leaves in its connection what the third would meet.
    ThreeMeets,
    /// The third is code, too.
    ThreeInCode,
    /// The third's code fails.
    ThreeInCodeFails,
    /// The third asks for more space than there is.
    ThreeNeedsSpace,
    /// The third is VACUUM.
    ThreeVacuums,
    /// The way back of the third fails.
    ThreeDownFails,
    /// The way back of the third leads elsewhere.
    ThreeDownAstray,
}

/// The SQL of a firmware's migrations, oldest first.
pub fn sql_of(version: Version) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![("sensors", V1), ("unit", V2)];
    match version {
        Version::One | Version::OneWithData => all.truncate(1),
        Version::Two => {}
        Version::TwoWritesHistory => all[1] = ("history", V2_WRITES_HISTORY),
        Version::TwoBreaksView => all[1] = ("view", V2_BREAKS_VIEW),
        Version::TwoRefersToNothing => all[1] = ("reference", V2_REFERS_TO_NOTHING),
        Version::Three | Version::ThreeCompatible => all.push(("place", V3)),
        Version::ThreeFails => all.push(("same", V3_CONSTRAINT)),
        Version::ThreeFailsAndGoesBack => all.push((GOES_BACK, V3_CONSTRAINT)),
        Version::ThreeFailsAtLength => all.push(("same", V3_MANY_WORDS)),
        Version::ThreeBreaksForeignKeys => all.push(("orphan", V3_FOREIGN_KEYS)),
        Version::ThreeEnforced => all.push((ENFORCED, V3_ENFORCED)),
        Version::ThreeMeets => all = vec![all[0], ("leaves", V2_LEAVES), ("meets", V3_MEETS)],
        Version::ThreeDownFails => all.push(("corner", V3)),
        Version::ThreeDownAstray => all.push(("roof", V3)),
        Version::ThreeInCode => all.push(("code", V3_CODE)),
        Version::ThreeInCodeFails => all.push(("bad_code", V3_CODE)),
        Version::ThreeNeedsSpace => all.push(("place", V3)),
        Version::ThreeVacuums => all.push(("vacuum", V3_VACUUM)),
    }
    all
}

/// What the Rust of the migration with this name does; nothing where it has none.
pub fn code_of(name: &str) -> Option<&'static str> {
    match name {
        "code" => Some(CODE),
        "bad_code" => Some(CODE_FAILS),
        _ => None,
    }
}

/// The down SQL of the migration with this name.
pub fn down_of(name: &str) -> Option<&'static str> {
    match name {
        "unit" => Some(V2_DOWN),
        "place" => Some(V3_DOWN),
        "corner" => Some(V3_DOWN_FAILS),
        "roof" => Some(V3_DOWN_ASTRAY),
        _ => None,
    }
}

/// Ten times the database.
const NEEDS_PERCENT: u32 = 1000;

/// refinery's checksum of the migration with this number.
pub fn checksum(number: usize, name: &str, sql: &str) -> u64 {
    let migration = refinery_core::Migration::unapplied(&format!("V{number}__{name}"), sql);
    migration.unwrap_or_else(|error| panic!("{name}: {error}")).checksum()
}

/// The fingerprint that a build of these files would embed.
fn fingerprint(migrations: &[Migration]) -> [u8; 16] {
    let built = migrations.iter().map(|migration| build::Migration {
        version: migration.version,
        name: migration.name.to_owned(),
        checksums: build::Checksums {
            int4: migration.checksums.int4,
            int8: migration.checksums.int8,
        },
        file: migration.file.to_owned(),
        sql: migration.sql.to_owned(),
        statements: migration.statements,
        down: None,
        directives: build::Directives::default(),
        adopted: false,
        released: false,
    });
    build::fingerprint(&built.collect::<Vec<_>>())
}

/// This firmware's catalogue.
pub fn catalogue(version: Version) -> &'static Catalog {
    let mut migrations = Vec::new();
    for (number, (name, sql)) in (1..).zip(sql_of(version)) {
        let directives = Directives {
            no_transaction: sql.contains("VACUUM"),
            foreign_keys: if name == ENFORCED { ForeignKeys::Enforced } else { ForeignKeys::Off },
            code_revision: code_of(name).and(Some(1)),
            needs_space_percent: (version == Version::ThreeNeedsSpace && number == 3)
                .then_some(NEEDS_PERCENT),
            compatible_from: (version == Version::ThreeCompatible && number > 1).then_some(1),
            ..Directives::NONE
        };
        migrations.push(migration("settings", number, name, sql, directives));
    }
    let data = match version {
        Version::OneWithData => vec![
            migration(
                "settings/data",
                1,
                "batch",
                BATCH,
                Directives { batch: true, ..Directives::NONE },
            ),
            migration("settings/data", 2, "tenfold", TENFOLD, Directives::NONE),
        ],
        _ => Vec::new(),
    };
    Box::leak(Box::new(Catalog {
        database: "settings",
        versions: Versions::Int4,
        fingerprint: fingerprint(&migrations),
        migrations: Box::leak(migrations.into_boxed_slice()),
        data: Box::leak(data.into_boxed_slice()),
    }))
}

fn migration(
    folder: &str,
    number: usize,
    name: &'static str,
    sql: &'static str,
    directives: Directives,
) -> Migration {
    let checksums =
        [checksum(number, name, sql), checksum(number, name, &sql.replace('\n', "\r\n"))];
    Migration {
        version: number as i64,
        name,
        checksums: Checksums { int4: checksums, int8: checksums },
        file: Box::leak(format!("{folder}/V{number}__{name}.sql").into_boxed_str()),
        sql,
        statements: sql.matches(';').count() as u32,
        down: down_of(name),
        directives,
        adopted: false,
    }
}

/// A firmware with migrations of its own, oldest first, and these lines in `[databases.settings]`.
pub fn firmware_of(migrations: &[(&'static str, &'static str)], lines: &str) -> Firmware {
    let numbered = (1..).zip(migrations);
    let migrations: Vec<Migration> = numbered
        .map(|(number, (name, sql))| migration("settings", number, name, sql, Directives::NONE))
        .collect();
    let catalog = Catalog {
        database: "settings",
        versions: Versions::Int4,
        fingerprint: fingerprint(&migrations),
        migrations: Box::leak(migrations.into_boxed_slice()),
        data: &[],
    };
    Firmware { catalog: Box::leak(Box::new(catalog)), ..firmware(Version::One, lines) }
}

/// This firmware with these lines in `[databases.settings]`.
pub fn firmware(version: Version, lines: &str) -> Firmware {
    with_slots("single", version, lines)
}

/// As [`firmware`], on a device with two slots.
pub fn two_slots(version: Version, lines: &str) -> Firmware {
    with_slots("ab", version, lines)
}

fn with_slots(slots: &str, version: Version, lines: &str) -> Firmware {
    let text = format!(
        "slots = \"{slots}\"\n[databases.settings]\npath = \"{MAIN}\"\nbusy_timeout_s = \
         1\n{lines}\n"
    );
    let text: &'static str = Box::leak(text.into_boxed_str());
    let settings = config::read(Source { file: "bootmigrate.toml", text }, &[], UnknownKey::Refuse);
    let settings = settings.unwrap_or_else(|error| panic!("{error}"));
    let (slots, database): (_, DatabaseSettings) = (settings.slots, settings.databases[0].clone());
    Firmware {
        settings: Box::leak(Box::new(database)),
        catalog: catalogue(version),
        slots,
        text,
        companion: None,
    }
}

/// This firmware, with a database of these migrations that goes together with its own.
pub fn together(firmware: Firmware, version: Version, first: bool) -> Firmware {
    let settings = DatabaseSettings {
        name: "log".to_owned(),
        path: OTHER.into(),
        ..firmware.settings.clone()
    };
    let companion =
        Companion { settings: Box::leak(Box::new(settings)), catalog: catalogue(version), first };
    Firmware { companion: Some(companion), ..firmware }
}
