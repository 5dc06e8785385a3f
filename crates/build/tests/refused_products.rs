//! Owns the transcript of what is said about the configuration, adopted files, and several problems
//! at once.
//! Promises: every sentence word for word, with its place.
//! Never looks into the reader: folders in, sentences out.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;
#[path = "refused_products/directives.rs"]
mod directives;
#[path = "refused_products/oldest_sqlite.rs"]
mod oldest_sqlite;
#[path = "refused_products/released.rs"]
mod released;

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

#[test]
fn configuration() {
    check(
        &[("telemetry/V1__x.sql", "SELECT 1;")],
        "migrations/telemetry: bootmigrate.toml has no entry for this folder; write \
         `[databases.telemetry]` there, or move the folder away",
    );
    check(
        &[(
            "bootmigrate.toml",
            "slots = \"ab\"\n[databases.settings]\npath \
             = \"/data/settings.db\"\n\n[databases.telemetry]\npath = \"/data/t.db\"\n",
        )],
        "migrations/bootmigrate.toml:5:1: there is no folder `migrations/telemetry` for this \
         database; make it, or remove the entry",
    );
    check(
        &[(
            "bootmigrate.toml",
            "slots = \"ab\"\ncolour = 1\n[databases.settings]\npath = \"/data/settings.db\"\n",
        )],
        "migrations/bootmigrate.toml:2:1: colour is not a known key here; the keys known here are \
         slots, mode, example, marker, memory_mib, databases",
    );
    check(
        &[("bootmigrate.toml", "slots = \n")],
        "migrations/bootmigrate.toml:1:9: this key has no value; write one after =",
    );
    check(
        &[(
            "bootmigrate.toml",
            "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\nbaseline_version \
             = 7\n",
        )],
        "migrations/bootmigrate.toml: `baseline_version = 7` of `settings` is above 1, its newest \
         migration, so files yet to be written would escape the rules; write 1 or less",
    );
}

#[test]
fn adopted_files_are_warned_of_only() {
    check(
        &[
            (
                "bootmigrate.toml",
                "slots = \"ab\"\n[databases.settings]\npath \
                 = \"/data/settings.db\"\nbaseline_version = 2\n",
            ),
            ("settings/V2__x.sql", "BEGIN;\nPRAGMA foreign_keys = OFF;\nCOMMIT;\n"),
            ("settings/V3__y.sql", "-- bootmigrate: compatible-from = 2\nBEGIN;"),
        ],
        "migrations/settings/V3__y.sql:2:1: `BEGIN` is not allowed: bootmigrate runs all pending \
         migrations and their history in one transaction of its own; remove this statement",
    );
    check(
        &[
            (
                "bootmigrate.toml",
                "slots = \"ab\"\n[databases.settings]\npath \
                 = \"/data/settings.db\"\nbaseline_version = 2\n",
            ),
            ("settings/V2__x.sql", "BEGIN;\r\nPRAGMA foreign_keys = OFF;\nCOMMIT;\r\n"),
        ],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release\n\
         migrations/settings/V2__x.sql:1:1: released before bootmigrate, so this is a warning \
         only: `BEGIN` is not allowed: bootmigrate runs all pending migrations and their history \
         in one transaction of its own\n\
         migrations/settings/V2__x.sql:2:1: released before bootmigrate, so this is a warning \
         only: `PRAGMA foreign_keys` is not allowed in a migration: it is silently ignored inside \
         a transaction, and foreign keys are off while migrating\n\
         migrations/settings/V2__x.sql:2:1: released before bootmigrate, so this is a warning \
         only: this line ends otherwise than the first (LF or CRLF), and refinery's checksum \
         depends on it\n\
         migrations/settings/V2__x.sql:3:1: released before bootmigrate, so this is a warning \
         only: `COMMIT` is not allowed: bootmigrate runs all pending migrations and their history \
         in one transaction of its own",
    );
}

#[test]
fn version_0_is_for_files_that_refinery_has_run() {
    let adopted = "slots = \"single\"\n[databases.settings]\npath \
                   = \"/data/settings.db\"\nbaseline_version = 1\n";
    let zero = ("settings/V0__x.sql", "CREATE TABLE zero (a);");
    check(
        &[("bootmigrate.toml", adopted), zero],
        "ok\nmigrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release",
    );
    check(
        &[("bootmigrate.toml", &adopted.replace("baseline_version = 1\n", "")), zero],
        "migrations/settings/V0__x.sql: version 0 means a database without any migration; number \
         from 1 (or write `baseline_version` in bootmigrate.toml where refinery has run this file \
         on devices)",
    );
}

#[test]
fn a_problem_is_one_line() {
    check(
        &[("settings/V2__x.sql", "\"x\ny\u{1b}[31m\" z;")],
        "migrations/settings/V2__x.sql:1:1: a statement cannot begin with `\"x\\ny\\u{1b}[31m\"`; \
         remove it, or the semicolon before it",
    );
}

#[test]
fn together_excludes_no_transaction() {
    check(
        &[
            (
                "bootmigrate.toml",
                "slots = \"single\"\n[databases.settings]\npath = \"/data/settings.db\"\ntogether \
                 = \"core\"\n[databases.telemetry]\npath = \"/data/telemetry.db\"\ngroup \
                 = \"core\"\n",
            ),
            ("telemetry/V1__x.sql", "SELECT 1;"),
            ("settings/V2__x.sql", "-- bootmigrate: no-transaction\nVACUUM;\n"),
        ],
        "migrations/settings/V2__x.sql:1:1: databases with `group` are committed from transactions \
         open at the same time, so `no-transaction` cannot be; remove this line, or `group` in \
         bootmigrate.toml",
    );
}

#[test]
fn all_problems_are_said_at_once_and_sorted() {
    check(
        &[
            (
                "bootmigrate.toml",
                "slots = \"single\"\n[databases.settings]\npath \
                 = \"/data/settings.db\"\n[databases.gone]\npath = \"/data/gone.db\"\n",
            ),
            ("telemetry/v1__x.sql", ""),
            ("settings/V3__y.sql", "SELECT 1;\nCOMMIT;\nBEGIN;"),
            ("settings/V2__x.sql", ""),
        ],
        "migrations/bootmigrate.toml:4:1: there is no folder `migrations/gone` for this database; \
         make it, or remove the entry\n\
         migrations/settings/V2__x.sql: there is no statement in this file; write one, or `-- \
         bootmigrate: code revision=1` where the firmware registers Rust code for it\n\
         migrations/settings/V3__y.sql:2:1: `COMMIT` is not allowed: bootmigrate runs all pending \
         migrations and their history in one transaction of its own; remove this statement\n\
         migrations/settings/V3__y.sql:3:1: `BEGIN` is not allowed: bootmigrate runs all pending \
         migrations and their history in one transaction of its own; remove this statement\n\
         migrations/telemetry: bootmigrate.toml has no entry for this folder; write \
         `[databases.telemetry]` there, or move the folder away\n\
         migrations/telemetry/v1__x.sql: `v1__x.sql` begins with a small `v`, so refinery would \
         leave it out silently; write `V1__x.sql`",
    );
}
