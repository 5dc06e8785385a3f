//! Owns the transcript of what is said about a single bad file: its name, its contents, its
//! statements.
//! Promises: every sentence word for word, with its place.
//! Never looks into the reader: folders in, sentences out.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use common::Product;

/// Lays `files` over a good product and compares all that is said, one a line.
#[track_caller]
fn check(files: &[(&str, &str)], said: &str) {
    assert_eq!(Product::with(files).said(), said, "{files:?}");
}

/// Files to lay over a good product, and all that is said.
type Case = (&'static [(&'static str, &'static str)], &'static str);

#[track_caller]
fn check_all(cases: &[Case]) {
    cases.iter().for_each(|(files, said)| check(files, said));
}

/// Of a file, a folder, or a file in the wrong one.
const NAMES: &[Case] = &[
    (
        &[("settings/V2_x.sql", "SELECT 1;")],
        "migrations/settings/V2_x.sql: `V2_x.sql` has one underscore between version and name, so \
         refinery would leave it out silently; write `V2__x.sql`",
    ),
    (
        &[("settings/V3__a-b.sql", "SELECT 1;")],
        "migrations/settings/V3__a-b.sql: the name in `V3__a-b.sql` contains `-`, so refinery \
         would leave it out silently; write `V3__a_b.sql`",
    ),
    (
        &[("settings/v2__x.sql", "SELECT 1;")],
        "migrations/settings/v2__x.sql: `v2__x.sql` begins with a small `v`, so refinery would \
         leave it out silently; write `V2__x.sql`",
    ),
    (
        &[("settings/U2__x.sql", "SELECT 1;")],
        "migrations/settings/U2__x.sql: `U2__x.sql` would be run out of order; write \
         `V2__x.down.sql` where it undoes `V2__x.sql`, else `V` with the next free number and \
         `__x.sql`",
    ),
    (
        &[("settings/U1__first.down.sql", "DROP TABLE a;")],
        "migrations/settings/U1__first.down.sql: `U1__first.down.sql` begins with `U`, and a way \
         back is named as its migration; write `V1__first.down.sql`",
    ),
    (
        &[("settings/stray.sql", "SELECT 1;")],
        "migrations/settings/stray.sql: `stray.sql` is not named like a migration, so refinery \
         would leave it out silently; write it like `V4__wifi.sql`: `V`, a number, two \
         underscores, a name of letters, digits and underscores, or move it out of this folder",
    ),
    (
        &[("settings/V2__x.SQL", "SELECT 1;")],
        "migrations/settings/V2__x.SQL: `V2__x.SQL` ends with capital letters, so no tool would \
         find it; write `.sql`",
    ),
    (
        &[("settings/V2__.sql", "SELECT 1;")],
        "migrations/settings/V2__.sql: `V2__.sql` has no name after the two underscores, so \
         refinery would leave it out silently; write it like `V4__wifi.sql`: `V`, a number, two \
         underscores, a name of letters, digits and underscores",
    ),
    (
        &[("settings/V__x.sql", "SELECT 1;")],
        "migrations/settings/V__x.sql: `V__x.sql` has no version number after `V`, so refinery \
         would leave it out silently; write it like `V4__wifi.sql`: `V`, a number, two \
         underscores, a name of letters, digits and underscores",
    ),
    (
        &[("settings/V-2__x.sql", "SELECT 1;")],
        "migrations/settings/V-2__x.sql: `V-2__x.sql` has no version number after `V`, so refinery \
         would leave it out silently; write it like `V4__wifi.sql`: `V`, a number, two \
         underscores, a name of letters, digits and underscores",
    ),
    (
        &[("settings/V2.5__x.sql", "SELECT 1;")],
        "migrations/settings/V2.5__x.sql: the version in `V2.5__x.sql` is not a whole number; \
         write the next free whole number",
    ),
    (
        &[("settings/V2x.sql", "SELECT 1;")],
        "migrations/settings/V2x.sql: `V2x.sql` has no two underscores between version and name, \
         so refinery would leave it out silently; write it like `V4__wifi.sql`: `V`, a number, two \
         underscores, a name of letters, digits and underscores",
    ),
    (
        &[("settings/V2__x.sql.bak", "SELECT 1;")],
        "migrations/settings/V2__x.sql.bak: `V2__x.sql.bak` looks like a migration and does not \
         end with `.sql`; rename it, or move it out of this folder",
    ),
    (
        &[("settings/V2__x.rs", "fn main() {}")],
        "migrations/settings/V2__x.rs: a migration in Rust is registered by the firmware and \
         announced by a file `V2__x.sql` with the line `-- bootmigrate: code revision=1`; write \
         that file and move this one into the sources",
    ),
    (
        &[("settings/|1__x.sql", "SELECT 1;")],
        "migrations/settings/|1__x.sql: `|1__x.sql` is not named like a migration, so refinery \
         would leave it out silently; write it like `V4__wifi.sql`: `V`, a number, two \
         underscores, a name of letters, digits and underscores, or move it out of this folder",
    ),
    (
        &[("V2__x.sql", "SELECT 1;")],
        "migrations/V2__x.sql: a migration belongs to a database; move this file into that \
         database's folder, for example `migrations/settings/`",
    ),
    (
        &[("settings/old/V2__x.sql", "SELECT 1;")],
        "migrations/settings/old: a database's folder holds migrations and the one folder `data`; \
         move this folder out of `migrations`",
    ),
    (
        &[("settings/README.md", "Notes."), ("NOTES.md", "Notes.")],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release",
    ),
];

#[test]
fn names() {
    check_all(NAMES);
}

#[test]
fn versions() {
    check(
        &[("settings/V0__x.sql", "SELECT 1;")],
        "migrations/settings/V0__x.sql: version 0 means a database without any migration; number \
         from 1 (or write `baseline_version` in bootmigrate.toml where refinery has run this file \
         on devices)",
    );
    check(
        &[("settings/V9223372036854775808__x.sql", "SELECT 1;")],
        "migrations/settings/V9223372036854775808__x.sql: the version 9223372036854775808 in \
         `V9223372036854775808__x.sql` is above 9223372036854775807, the largest that there can \
         be; write the next free number",
    );
    check(
        &[
            ("bootmigrate.toml", "slots = \"single\"\n[databases.settings]\nuser_version \
                                  = \"ours\"\n"),
            ("settings/V20240101120000__x.sql", "CREATE TABLE x (a);"),
        ],
        "migrations/bootmigrate.toml: in [databases.settings], user_version = \"ours\" cannot hold \
         20240101120000: SQLite's user_version has 32 bits; write user_version = \"product\", and \
         read the version from refinery_schema_history",
    );
    check(
        &[("settings/V01__x.sql", "SELECT 1;")],
        "migrations/settings/V1__first.sql: version 1 is taken by `settings/V01__x.sql`; give this \
         file the next free number",
    );
    check(
        &[("settings/data/V1__x.sql", "SELECT 1;")],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release",
    );
    check(
        &[("settings/data/V1__x.sql", "SELECT 1;"), ("settings/data/V1__y.sql", "SELECT 1;")],
        "migrations/settings/data/V1__y.sql: version 1 is taken by `settings/data/V1__x.sql`; give \
         this file the next free number",
    );
}

#[test]
fn contents() {
    check(
        &[("settings/V2__x.sql", "")],
        "migrations/settings/V2__x.sql: there is no statement in this file; write one, or `-- \
         bootmigrate: code revision=1` where the firmware registers Rust code for it",
    );
    check(
        &[("settings/V2__x.sql", "-- nothing\n/* yet */;\n")],
        "migrations/settings/V2__x.sql: there is no statement in this file; write one, or `-- \
         bootmigrate: code revision=1` where the firmware registers Rust code for it",
    );
    check(
        &[("settings/V2__x.sql", "SELECT 'a;\nSELECT 1;\n")],
        "migrations/settings/V2__x.sql:1:8: this text has no end; write the closing `'` (and `''` \
         for one inside)",
    );
    check(
        &[("settings/V2__x.sql", "SELECT 1;\nSELECT /* 1;\n")],
        "migrations/settings/V2__x.sql:2:8: this comment has no end, so it hides the rest of the \
         file; write the closing `*/`",
    );
    check(
        &[("settings/V2__x.sql", "CREATE TABLE c (d;\n")],
        "migrations/settings/V2__x.sql:1:16: this parenthesis is never closed; write `)` where it \
         ends",
    );
    check(
        &[("settings/V2__x.sql", "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;\n")],
        "migrations/settings/V2__x.sql:1:1: this trigger has no `END;` of its own; write it after \
         the last statement of the body",
    );
    check(
        &[("settings/V2__x.sql", "\u{feff}SELECT 1;\n")],
        "migrations/settings/V2__x.sql:1:1: the file begins with a byte order mark, which belongs \
         to refinery's checksum; save it as UTF-8 without one",
    );
    check(
        &[("settings/V2__x.sql", "SELECT 1;\n  \0 SELECT 2;\n")],
        "migrations/settings/V2__x.sql:2:3: there is a NUL character here, and SQLite would read \
         no further; remove it",
    );
    check(
        &[("settings/V2__x.sql", "SELECT 1;\nSELECT 2;\r\n")],
        "migrations/settings/V2__x.sql:2:1: this line ends otherwise than the first (LF or CRLF), \
         and refinery's checksum depends on it; save the file with LF everywhere",
    );
    check(
        &[("settings/V2__x.sql", "SELECT 1;\r\nSELECT 2;\r\n")],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release",
    );
}

#[test]
fn transactions_and_files() {
    check(
        &[("settings/V2__x.sql", "BEGIN;\nSELECT 1;\nCOMMIT;\n")],
        "migrations/settings/V2__x.sql:1:1: `BEGIN` is not allowed: bootmigrate runs all pending \
         migrations and their history in one transaction of its own; remove this statement\n\
         migrations/settings/V2__x.sql:3:1: `COMMIT` is not allowed: bootmigrate runs all pending \
         migrations and their history in one transaction of its own; remove this statement",
    );
    check(
        &[("settings/V2__x.sql", "SELECT 1; end transaction;")],
        "migrations/settings/V2__x.sql:1:11: `END` is not allowed: bootmigrate runs all pending \
         migrations and their history in one transaction of its own; remove this statement",
    );
    check(
        &[("settings/V2__x.sql", "-- why\n  ROLLBACK;")],
        "migrations/settings/V2__x.sql:2:3: `ROLLBACK` is not allowed: bootmigrate runs all \
         pending migrations and their history in one transaction of its own; remove this statement",
    );
    check(
        &[("settings/V2__x.sql", "SAVEPOINT a; ROLLBACK TO a; RELEASE a;")],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release",
    );
    check(
        &[("settings/V2__x.sql", "INSERT OR ROLLBACK INTO a VALUES (1);")],
        "migrations/settings/V2__x.sql:1:1: `OR ROLLBACK` is not allowed: it would end \
         bootmigrate's own transaction; write `OR ABORT`",
    );
    check(
        &[("settings/V2__x.sql", "ATTACH 'x.db' AS x;\nDETACH x;\n")],
        "migrations/settings/V2__x.sql:1:1: `ATTACH` is not allowed: a migration works on its own \
         database alone; write one migration for each database, and `group` in bootmigrate.toml \
         where they belong together\n\
         migrations/settings/V2__x.sql:2:1: `DETACH` is not allowed: a migration works on its own \
         database alone; write one migration for each database, and `group` in bootmigrate.toml \
         where they belong together",
    );
    check(
        &[("settings/V2__x.sql", "VACUUM;")],
        "migrations/settings/V2__x.sql:1:1: `VACUUM` cannot run inside a transaction; write `-- \
         bootmigrate: no-transaction` at the head of this file",
    );
    check(
        &[(
            "settings/V2__x.sql",
            "-- bootmigrate: no-transaction\nPRAGMA page_size = 8192;\nVACUUM;\n",
        )],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release",
    );
    check(
        &[("settings/V2__x.sql", "-- bootmigrate: no-transaction\nVACUUM INTO 'x.db';\n")],
        "migrations/settings/V2__x.sql:2:1: `VACUUM INTO` is not allowed: a migration writes no \
         other file; remove this statement",
    );
    check(&[("settings/V2__x.sql", "SELECT load_extension('x');")], "migrations/settings/V2__x.sql:1:8: `load_extension` is not allowed: a migration brings no \
        code; register a function in the firmware");
    check(
        &[("settings/V2__x.sql", "SELECT 1;"), ("settings/V2__x.down.sql", "VACUUM;\n")],
        "migrations/settings/V2__x.down.sql:1:1: `VACUUM` cannot run in a down file, which is run \
         inside a transaction; remove this statement",
    );
}

const PRAGMAS: &[Case] = &[
    (
        &[("settings/V2__x.sql", "PRAGMA foreign_keys = OFF;")],
        "migrations/settings/V2__x.sql:1:1: `PRAGMA foreign_keys` is not allowed in a migration: \
         it is silently ignored inside a transaction, and foreign keys are off while migrating; \
         remove it, or write at the head of the file `-- bootmigrate: foreign-keys = on` to have \
         them checked right after this migration, or `= enforced` to have them enforced in it",
    ),
    (
        &[("settings/V2__x.sql", "PRAGMA main.journal_mode = WAL;")],
        "migrations/settings/V2__x.sql:1:1: `PRAGMA journal_mode` is not allowed in a migration: \
         it cannot change inside a transaction; set `journal_mode` in bootmigrate.toml",
    ),
    (
        &[("settings/V2__x.sql", "PRAGMA locking_mode = EXCLUSIVE;")],
        "migrations/settings/V2__x.sql:1:1: `PRAGMA locking_mode` is not allowed in a migration: \
         the locks are bootmigrate's own; remove this statement",
    ),
    (
        &[("settings/V2__x.sql", "PRAGMA synchronous = OFF;")],
        "migrations/settings/V2__x.sql:1:1: `PRAGMA synchronous` is not allowed in a migration: \
         how data reaches the storage is bootmigrate's own; remove this statement",
    ),
    (
        &[("settings/V2__x.sql", "PRAGMA writable_schema = ON;")],
        "migrations/settings/V2__x.sql:1:1: `PRAGMA writable_schema` is not allowed in a \
         migration: an edited sqlite_schema can corrupt the database; make a new table, copy the \
         rows, drop the old one and rename",
    ),
    (&[("settings/V2__x.sql", "PRAGMA wal_checkpoint(TRUNCATE);")], "migrations/settings/V2__x.sql:1:1: `PRAGMA wal_checkpoint` is not allowed in a migration: \
        it cannot work inside a transaction, and bootmigrate does it after the commit; remove this \
        statement"),
    (
        &[("settings/V2__x.sql", "PRAGMA page_size = 4096;")],
        "migrations/settings/V2__x.sql:1:1: `PRAGMA page_size` takes effect with VACUUM only; \
         write `-- bootmigrate: no-transaction` at the head of this file and `VACUUM;` after it",
    ),
    (
        &[("settings/V2__x.sql", "PRAGMA encoding = \"UTF-16\";")],
        "migrations/settings/V2__x.sql:1:1: `PRAGMA encoding` is not allowed in a migration: it \
         has no effect once a table exists; remove this statement",
    ),
    (
        &[("settings/V2__x.sql", "PRAGMA foreign_key_check;")],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release\n\
         migrations/settings/V2__x.sql:1:1: `PRAGMA foreign_key_check` answers with rows that \
         nobody reads here; bootmigrate checks before the commit, so remove this statement, or \
         write `-- bootmigrate: expect = <query>`",
    ),
    (
        &[("settings/V2__x.sql", "PRAGMA user_version = 7;")],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release",
    ),
    (
        &[
            (
                "bootmigrate.toml",
                "slots = \"single\"\n[databases.settings]\npath \
                 = \"/data/settings.db\"\nuser_version = \"ours\"\n",
            ),
            ("settings/V2__x.sql", "PRAGMA user_version = 7;"),
        ],
        "migrations/settings/V2__x.sql:1:1: `PRAGMA user_version` is set by bootmigrate here; \
         remove this statement, or `user_version = \"ours\"` in bootmigrate.toml",
    ),
];

#[test]
fn pragmas() {
    check_all(PRAGMAS);
}
