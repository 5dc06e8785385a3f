//! Owns the product that every tool migrates, and the four situations in which the power goes.
//! Promises: plain SQL that every tool can run; each migration has more than one statement, as real
//! ones have.
//! Never uses a foreign key: what a tool does with those is another comparison.

/// One migration.
#[derive(Clone, Copy)]
pub struct Migration {
    /// From 1.
    pub version: u32,
    /// Without blanks.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
    /// It cannot run inside a transaction.
    pub no_transaction: bool,
}

/// A situation.
pub struct Scenario {
    /// As the table names it.
    pub name: &'static str,
    /// Migrations that were applied, and rows written, before the run; none for a first boot.
    pub before: &'static [Migration],
    /// What the run that is cut has.
    pub run: &'static [Migration],
    /// What the boots after it have: the same, or firmware that was fixed.
    pub after: &'static [Migration],
    /// A tool without a way to say "no transaction" is left out.
    pub needs_no_transaction: bool,
}

const fn step(version: u32, name: &'static str, sql: &'static str) -> Migration {
    Migration { version, name, sql, no_transaction: false }
}

const READINGS: Migration = step(
    1,
    "readings",
    "CREATE TABLE sensor (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE reading (id INTEGER PRIMARY KEY, sensor INTEGER NOT NULL, value REAL, note TEXT);
CREATE INDEX reading_sensor ON reading (sensor);
",
);
const UNITS: Migration = step(
    2,
    "units",
    "ALTER TABLE sensor ADD COLUMN unit TEXT;
UPDATE sensor SET unit = 'K';
INSERT INTO sensor (name, unit) VALUES ('board', 'K');
",
);
const REBUILD: Migration = step(
    3,
    "value_as_text",
    "CREATE TABLE reading_new (id INTEGER PRIMARY KEY, sensor INTEGER NOT NULL, value TEXT, note \
     TEXT);
INSERT INTO reading_new SELECT id, sensor, value, note FROM reading;
DROP TABLE reading;
ALTER TABLE reading_new RENAME TO reading;
CREATE INDEX reading_sensor ON reading (sensor);
",
);
const SITES: Migration = step(
    4,
    "sites",
    "CREATE TABLE site (id INTEGER PRIMARY KEY, name TEXT);\nINSERT INTO site (name) VALUES \
     ('here');\n",
);
const COMPACT: Migration = Migration {
    version: 5,
    name: "compact",
    sql: "ALTER TABLE site ADD COLUMN zone TEXT;
VACUUM;
INSERT INTO site (name, zone) VALUES ('there', 'UTC');
",
    no_transaction: true,
};
const BROKEN: Migration = step(
    3,
    "value_as_text",
    "CREATE TABLE reading_new (id INTEGER PRIMARY KEY, sensor INTEGER NOT NULL, value TEXT, note \
     TEXT);
INSERT INTO reading_new SELECT id, sensor, value, note FROM reading;
DROP TABLE reading;
ALTER TABLE reading_new RENAME TO reading;
CREATE INDEX reading_sensor ON reading (nowhere);
",
);

/// Rows of `reading` that an application wrote before.
pub const ROWS: u64 = 300;

/// What the application wrote at version 1.
pub const POPULATE: &str = "INSERT INTO sensor (name) VALUES ('inside'), ('outside');
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO reading SELECT i, 1 + i % 2, i / 8.0, 'measured ' || i FROM n;";

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "first boot",
        before: &[],
        run: &[READINGS, UNITS, REBUILD, SITES],
        after: &[READINGS, UNITS, REBUILD, SITES],
        needs_no_transaction: false,
    },
    Scenario {
        name: "three migrations",
        before: &[READINGS],
        run: &[READINGS, UNITS, REBUILD, SITES],
        after: &[READINGS, UNITS, REBUILD, SITES],
        needs_no_transaction: false,
    },
    Scenario {
        name: "outside a transaction",
        before: &[READINGS, UNITS, REBUILD, SITES],
        run: &[READINGS, UNITS, REBUILD, SITES, COMPACT],
        after: &[READINGS, UNITS, REBUILD, SITES, COMPACT],
        needs_no_transaction: true,
    },
    Scenario {
        name: "failing, then mended",
        before: &[READINGS],
        run: &[READINGS, UNITS, BROKEN],
        after: &[READINGS, UNITS, REBUILD, SITES],
        needs_no_transaction: false,
    },
];
