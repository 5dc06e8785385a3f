//! Owns the transcript of what is said about directives, ways back, the configuration, releases and slots.
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

#[test]
fn directives() {
    check(
        &[("settings/V2__x.sql", "-- bootmigrate: no_transaction\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: there is no directive `no_transaction`; did you mean `no-transaction`?",
    );
    check(&[("settings/V2__x.sql", "-- bootmigrate: make-it-so\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: there is no directive `make-it-so`; there are `no-transaction`, `foreign-keys`, `compatible-from`, `irreversible`, `expect`, `batch`, `needs-space`, `code`, `allow`");
    let allow = "migrations/settings/V2__x.sql:1:1: `allow` takes the code of a lint and the reason; write for example `-- bootmigrate: allow = BM012 because the table has ten rows`";
    for wrong in [
        "BM012",
        "BM012 because ",
        "BM12 because of it",
        "012 because of it",
        "BM012 since it is so",
    ] {
        check(
            &[("settings/V2__x.sql", &format!("-- bootmigrate: allow = {wrong}\nSELECT 1;"))],
            allow,
        );
    }
    check(
        &[("settings/V2__x.sql", "-- bootmigrate no-transaction\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: a colon is missing; write `-- bootmigrate: no-transaction`",
    );
    check(&[("settings/V2__x.sql", "-- bootmigrate runs this last\nSELECT 1;")], "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; `bootmigrate_build::lock` writes it, with the first release");
    check(
        &[("settings/V2__x.sql", "/* bootmigrate: irreversible */\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: a directive is a comment of one line; write `-- bootmigrate: irreversible`",
    );
    check(
        &[("settings/V2__x.sql", "-- Bootmigrate: irreversible\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: `bootmigrate` is written in small letters; write `-- bootmigrate: irreversible`",
    );
    check(
        &[("settings/V2__x.sql", "SELECT 1;\n-- bootmigrate: irreversible\n")],
        "migrations/settings/V2__x.sql:2:1: a directive stands at the head of the file, before the first statement; move this line up",
    );
    check(&[("settings/V2__x.sql", "-- bootmigrate: irreversible batch\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: `irreversible` takes no value; write `-- bootmigrate: irreversible`, and any other directive on a line of its own");
    check(
        &[("settings/V2__x.sql", "-- bootmigrate: irreversible\n-- bootmigrate: irreversible\nSELECT 1;")],
        "migrations/settings/V2__x.sql:2:1: `irreversible` stands here twice; remove one of the two",
    );
    check(&[("settings/V2__x.sql", "-- bootmigrate: foreign-keys = yes\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: `foreign-keys` takes on, deferred, enforced or off; write for example `-- bootmigrate: foreign-keys = on`");
    check(&[("settings/V2__x.sql", "-- bootmigrate: compatible-from = 3\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: `compatible-from` takes the oldest schema version whose firmware can use the result, from 1 to 2; write for example `-- bootmigrate: compatible-from = 1`");
    check(&[("settings/V2__x.sql", "-- bootmigrate: compatible-from\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: `compatible-from` takes the oldest schema version whose firmware can use the result, from 1 to 2; write for example `-- bootmigrate: compatible-from = 1`");
    check(&[("settings/V2__x.sql", "-- bootmigrate: needs-space = 2,0\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: `needs-space` takes a multiple of the database's size, from 0.01 to 100 with at most two decimals; write for example `-- bootmigrate: needs-space = 2.0`");
    check(&[("settings/V2__x.sql", "-- bootmigrate: code revision=0\n")], "migrations/settings/V2__x.sql:1:1: `code` takes the revision of the Rust code, from 1; write for example `-- bootmigrate: code revision=1`");
    check(&[("settings/V2__x.sql", "-- bootmigrate: code revision = 1\n")], "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; `bootmigrate_build::lock` writes it, with the first release");
    check(&[("settings/V2__x.sql", "-- bootmigrate: expect =\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: `expect` takes a query that must return no row; write for example `-- bootmigrate: expect = SELECT * FROM network WHERE ssid IS NULL`");
    check(&[("settings/V2__x.sql", "-- bootmigrate: expect = DELETE FROM a\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: `expect` takes a query that begins with SELECT, WITH or VALUES; write for example `-- bootmigrate: expect = SELECT * FROM network WHERE ssid IS NULL`");
    check(&[("settings/V2__x.sql", "-- bootmigrate: expect = SELECT 1; SELECT 2\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: `expect` takes one query, and each further one its own line; write for example `-- bootmigrate: expect = SELECT * FROM network WHERE ssid IS NULL`");
    check(&[("settings/V2__x.sql", "-- bootmigrate: expect = SELECT 'a\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: the query of this `expect` does not end on its line: this text has no end; write the closing `'` (and `''` for one inside)");
    check(&[("settings/V2__x.sql", "-- bootmigrate: batch\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: `batch` is for data migrations only; move this file into the folder `data`, or remove this line");
    check(&[("settings/data/V1__x.sql", "-- bootmigrate: batch\nSELECT 1;")], "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; `bootmigrate_build::lock` writes it, with the first release");
    check(&[("settings/data/V1__x.sql", "-- bootmigrate: batch\n-- bootmigrate: no-transaction\nSELECT 1;")], "migrations/settings/data/V1__x.sql:2:1: a data migration changes rows beside running applications, and this is for migrations of the schema; remove this line");
    check(&[("settings/data/V1__x.sql", "SELECT 1;\n DROP TABLE a;")], "migrations/settings/data/V1__x.sql:2:2: `DROP` is not allowed: a data migration changes rows alone, beside running applications; write what changes the schema in a migration of its own, outside `data`");
    check(&[("settings/data/V1__x.sql", "SELECT 1;"), ("settings/data/V1__x.down.sql", "SELECT 1;")], "migrations/settings/data/V1__x.down.sql: a data migration is never gone back over; remove this file, or write the way back as a new data migration");
    check(&[("settings/V2__x.sql", "-- bootmigrate: code revision=1\n-- bootmigrate: no-transaction\n")], "migrations/settings/V2__x.sql:1:1: the Rust code is given a transaction, so `no-transaction` cannot be; remove one of the two lines");
}

#[test]
fn ways_back() {
    check(
        &[("settings/V2__x.down.sql", "SELECT 1;")],
        "migrations/settings/V2__x.down.sql: there is no `settings/V2__x.sql` for this way back; write it, or remove this file",
    );
    check(&[("settings/V1__firts.down.sql", "SELECT 1;")], "migrations/settings/V1__firts.down.sql: this is the way back of `settings/V1__first.sql` under another name; write `settings/V1__first.down.sql`");
    check(&[("settings/V2__x.sql", "-- bootmigrate: irreversible\nSELECT 1;"), ("settings/V2__x.down.sql", "SELECT 1;")], "migrations/settings/V2__x.sql:1:1: `irreversible` says that there is no way back, and a `.down.sql` is one; remove this line or that file");
    check(
        &[("settings/V1__first.down.sql", "-- bootmigrate: irreversible\nDROP TABLE a;")],
        "migrations/settings/V1__first.down.sql:1:1: a down file has no directives; write them at the head of the migration itself",
    );
    check(
        &[("settings/V1__first.down.sql", "-- nothing\n")],
        "migrations/settings/V1__first.down.sql: there is no statement in this file; write the way back, or remove the file",
    );
    check(&[("settings/V1__first.down.sql", "COMMIT;")], "migrations/settings/V1__first.down.sql:1:1: `COMMIT` is not allowed: bootmigrate runs all pending migrations and their history in one transaction of its own; remove this statement");
}

#[test]
fn configuration() {
    check(
        &[("telemetry/V1__x.sql", "SELECT 1;")],
        "migrations/telemetry: bootmigrate.toml has no entry for this folder; write `[databases.telemetry]` there, or move the folder away",
    );
    check(
        &[(
            "bootmigrate.toml",
            "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\n\n[databases.telemetry]\npath = \"/data/t.db\"\n",
        )],
        "migrations/bootmigrate.toml:5:1: there is no folder `migrations/telemetry` for this database; make it, or remove the entry",
    );
    check(
        &[("bootmigrate.toml", "slots = \"ab\"\ncolour = 1\n[databases.settings]\npath = \"/data/settings.db\"\n")],
        "migrations/bootmigrate.toml:2:1: colour is not a known key here; the keys known here are slots, mode, example, marker, memory_max_mib, databases",
    );
    check(
        &[("bootmigrate.toml", "slots = \n")],
        "migrations/bootmigrate.toml:1:9: this key has no value; write one after =",
    );
    check(&[("bootmigrate.toml", "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\nadopted_up_to = 7\n")], "migrations/bootmigrate.toml: `adopted_up_to = 7` of `settings` is above 1, its newest migration, so files yet to be written would escape the rules; write 1 or less");
}

#[test]
fn adopted_files_are_warned_of_only() {
    check(&[("bootmigrate.toml", "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\nadopted_up_to = 2\n"), ("settings/V2__x.sql", "BEGIN;\nPRAGMA foreign_keys = OFF;\nCOMMIT;\n"), ("settings/V3__y.sql", "-- bootmigrate: compatible-from = 2\nBEGIN;")], "migrations/settings/V3__y.sql:2:1: `BEGIN` is not allowed: bootmigrate runs all pending migrations and their history in one transaction of its own; remove this statement");
    check(&[("bootmigrate.toml", "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\nadopted_up_to = 2\n"), ("settings/V2__x.sql", "BEGIN;\r\nPRAGMA foreign_keys = OFF;\nCOMMIT;\r\n")], "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; `bootmigrate_build::lock` writes it, with the first release\n\
         migrations/settings/V2__x.sql:1:1: released before bootmigrate, so this is a warning only: `BEGIN` is not allowed: bootmigrate runs all pending migrations and their history in one transaction of its own\n\
         migrations/settings/V2__x.sql:2:1: released before bootmigrate, so this is a warning only: `PRAGMA foreign_keys` is not allowed in a migration: it is silently ignored inside a transaction, and foreign keys are off while migrating\n\
         migrations/settings/V2__x.sql:2:1: released before bootmigrate, so this is a warning only: this line ends otherwise than the first (LF or CRLF), and refinery's checksum depends on it\n\
         migrations/settings/V2__x.sql:3:1: released before bootmigrate, so this is a warning only: `COMMIT` is not allowed: bootmigrate runs all pending migrations and their history in one transaction of its own");
}

#[test]
fn version_0_is_for_files_that_refinery_has_run() {
    let adopted = "slots = \"single\"\n[databases.settings]\npath = \"/data/settings.db\"\nadopted_up_to = 1\n";
    let zero = ("settings/V0__x.sql", "CREATE TABLE zero (a);");
    check(&[("bootmigrate.toml", adopted), zero], "ok\nmigrations/migrations.lock: there is none, so nothing counts as released yet; `bootmigrate_build::lock` writes it, with the first release");
    check(&[("bootmigrate.toml", &adopted.replace("adopted_up_to = 1\n", "")), zero], "migrations/settings/V0__x.sql: version 0 means a database without any migration; number from 1 (or write `adopted_up_to` in bootmigrate.toml where refinery has run this file on devices)");
}

#[test]
fn a_problem_is_one_line() {
    check(
        &[("settings/V2__x.sql", "\"x\ny\u{1b}[31m\" z;")],
        "migrations/settings/V2__x.sql:1:1: a statement cannot begin with `\"x\\ny\\u{1b}[31m\"`; remove it, or the semicolon before it",
    );
}

#[test]
fn released_files() {
    check(&[("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"), ("settings/V1__first.sql", "CREATE TABLE a (c);\n")], "migrations/settings/V1__first.sql: this file was released and has been edited since (migrations.lock line 1); take the released text back, and write the change as a new migration");
    check(
        &[
            ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"),
            ("settings/V1__first.sql", "CREATE TABLE a (b);\r\n"),
        ],
        "ok",
    );
    check(
        &[
            ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"),
            ("settings/V2__x.sql", "SELECT 1;"),
        ],
        "ok",
    );
    check(&[("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n2 0123456789abcdef settings/V2__x.sql\n")], "migrations/migrations.lock:2:1: `settings/V2__x.sql` was released and is not here any more; take it back, for devices in the field have run it and new ones still must");
    check(&[("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n3 0123456789abcdef settings/V3__y.sql\n"), ("settings/V2__x.sql", "SELECT 1;"), ("settings/V3__y.sql", "SELECT 1;")], "migrations/settings/V2__x.sql: version 2 is new and not above 3, the last released one, so devices that have 3 would never run it; give it a number from 4 on\n\
         migrations/settings/V3__y.sql: this file was released and has been edited since (migrations.lock line 2); take the released text back, and write the change as a new migration");
    check(&[("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n2 0123456789abcdef settings/V2__old.sql\n"), ("settings/V2__x.sql", "SELECT 1;")], "migrations/settings/V2__x.sql: version 2 was released as `settings/V2__old.sql` (migrations.lock line 2); give this file the next free number, and take the released one back");
    check(&[("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\ntwo\n")], "migrations/migrations.lock:2:1: this line is not `version checksum path`, for example `4 00c0ffee00c0ffee settings/V4__wifi.sql`; take the line from the release that wrote it");
    check(&[("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n2 0123456789abcdef settings/old/V2__x.sql\n")], "migrations/migrations.lock:2:1: this line is not `version checksum path`, for example `4 00c0ffee00c0ffee settings/V4__wifi.sql`; take the line from the release that wrote it");
    check(
        &[("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"), ("settings/V01__a.sql", "SELECT 1;")],
        "migrations/settings/V01__a.sql: version 1 is taken by `settings/V1__first.sql`; give this file the next free number",
    );
    check(&[("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n1 0123456789abcdef telemetry/V1__x.sql\n")], "migrations/migrations.lock:2:1: `telemetry/V1__x.sql` was released and is not here any more; take it back, for devices in the field have run it and new ones still must");
}

#[test]
fn the_other_slot_must_be_able_to_start() {
    check(&[("bootmigrate.toml", "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\n"), ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"), ("settings/V2__x.sql", "SELECT 1;")], "migrations/settings/V2__x.sql: the firmware released last (version 1) would not start after this in the other slot; write `-- bootmigrate: compatible-from = 1` where the released firmware can use the result as it is, or `settings/V2__x.down.sql`");
    check(&[("bootmigrate.toml", "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\n"), ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"), ("settings/V2__x.sql", "-- bootmigrate: irreversible\nSELECT 1;")], "migrations/settings/V2__x.sql: the firmware released last (version 1) would not start after this in the other slot; write `-- bootmigrate: compatible-from = 1` where the released firmware can use the result as it is, or `settings/V2__x.down.sql` instead of `irreversible`");
    check(&[("bootmigrate.toml", "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\n"), ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"), ("settings/V2__x.sql", "-- bootmigrate: compatible-from = 2\nSELECT 1;")], "migrations/settings/V2__x.sql: the firmware released last (version 1) would not start after this in the other slot; write `-- bootmigrate: compatible-from = 1` where the released firmware can use the result as it is, or `settings/V2__x.down.sql`");
    check(
        &[
            (
                "bootmigrate.toml",
                "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\n",
            ),
            ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"),
            ("settings/V2__x.sql", "-- bootmigrate: compatible-from = 1\nSELECT 1;"),
        ],
        "ok",
    );
    check(
        &[
            (
                "bootmigrate.toml",
                "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\n",
            ),
            ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"),
            ("settings/V2__x.sql", "SELECT 1;"),
            ("settings/V2__x.down.sql", "SELECT 1;"),
        ],
        "ok",
    );
    check(&[("bootmigrate.toml", "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\non_newer = [\"compatible\"]\n"), ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"), ("settings/V2__x.sql", "SELECT 1;"), ("settings/V2__x.down.sql", "SELECT 1;")], "migrations/settings/V2__x.sql: the firmware released last (version 1) would not start after this in the other slot; write `-- bootmigrate: compatible-from = 1` where the released firmware can use the result as it is");
    check(&[("bootmigrate.toml", "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\non_newer = []\n"), ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"), ("settings/V2__x.sql", "SELECT 1;")], "migrations/settings/V2__x.sql: the firmware released last (version 1) would not start after this in the other slot; write \"downgrade\" into `on_newer` of bootmigrate.toml, and a `.down.sql`");
    check(&[("bootmigrate.toml", "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\n"), ("settings/V2__x.sql", "SELECT 1;")], "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; `bootmigrate_build::lock` writes it, with the first release");
    check(
        &[
            ("bootmigrate.toml", "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\nkind = \"rebuildable\"\n"),
            ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"),
            ("settings/V2__x.sql", "SELECT 1;"),
        ],
        "ok",
    );
    check(&[("bootmigrate.toml", "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\ncopy = \"always\"\non_newer = [\"compatible\", \"downgrade\", \"trial-snapshot\"]\n"), ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"), ("settings/V2__x.sql", "SELECT 1;")], "ok");
}

#[test]
fn one_way_back_must_lead_over_all_new_migrations() {
    let ab = (
        "bootmigrate.toml",
        "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\n",
    );
    let lock = ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n");
    let compatible = ("settings/V2__x.sql", "-- bootmigrate: compatible-from = 1\nSELECT 1;");
    let (up, down) =
        (("settings/V3__y.sql", "SELECT 1;"), ("settings/V3__y.down.sql", "SELECT 1;"));
    check(&[ab, lock, compatible, up, down], "migrations/settings/V2__x.sql: the firmware released last (version 1) must go back by down SQL over another new migration, and would stop at this one; write `settings/V2__x.down.sql`");
    check(&[ab, lock, compatible, ("settings/V2__x.down.sql", "SELECT 1;"), up, down], "ok");
    check(
        &[
            ab,
            lock,
            compatible,
            ("settings/V3__y.sql", "-- bootmigrate: compatible-from = 1\nSELECT 1;"),
        ],
        "ok",
    );
}

#[test]
fn a_schema_is_for_the_oldest_sqlite_of_the_applications() {
    let key = |version: &str| {
        format!("slots = \"single\"\n[databases.settings]\npath = \"/data/settings.db\"\nsqlite_min = \"{version}\"\n")
    };
    let (old, new) = (key("3.30"), key("3.37"));
    let (old, new) = (("bootmigrate.toml", old.as_str()), ("bootmigrate.toml", new.as_str()));
    let lock = ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n");
    let strict = (
        "settings/V2__x.sql",
        "-- A comment: STRICT\nCREATE TABLE\n  \"T\" (a INT)\n  STRICT;\nCREATE INDEX i ON t(a);",
    );
    let needs = "migrations/settings/V2__x.sql:4:3: the table `t` needs SQLite 3.37 (a STRICT table), and `sqlite_min` of `settings` is 3.30: an application with that could not read it; write it otherwise, or `sqlite_min = \"3.37\"`";
    check(&[old, lock, strict], needs);
    check(&[new, lock, strict], "ok");
    // Without the key it is said once what the schema needs.
    check(&[lock, strict], "ok\n\
         migrations/settings/V2__x.sql:4:3: the table `t` needs SQLite 3.37 (a STRICT table); write `sqlite_min` in [databases.settings], the oldest SQLite of its applications, and the build checks that they have it");
    // What counts is the schema that results.
    for later in [
        "DROP TABLE t;",
        "DROP TABLE IF EXISTS main.[T];",
        "CREATE TABLE n (a INT); DROP TABLE t; ALTER TABLE n RENAME TO t;",
        "ALTER TABLE t RENAME TO old; DROP TABLE old;",
    ] {
        check(&[old, lock, strict, ("settings/V3__y.sql", later)], "ok");
    }
    check(
        &[old, lock, strict, ("settings/V3__y.sql", "ALTER TABLE t RENAME TO u;")],
        &needs.replace("`t`", "`u`"),
    );
    // With its table or view an index and a trigger go, too.
    let made = "CREATE TABLE u (a); CREATE INDEX i ON u(octet_length(a)); CREATE VIEW v AS SELECT 1 AS a;\n\
        CREATE TRIGGER w INSTEAD OF INSERT ON v BEGIN SELECT concat(new.a); END;";
    check(
        &[
            old,
            lock,
            ("settings/V2__x.sql", made),
            ("settings/V3__y.sql", "DROP TABLE u; DROP VIEW v;"),
        ],
        "ok",
    );
    check(
        &[
            old,
            lock,
            ("settings/V2__x.sql", made),
            ("settings/V3__y.sql", "DROP TRIGGER w; DROP INDEX i;"),
        ],
        "ok",
    );
    // Not the schema's: a query, a temporary table, a down file, a table that is there.
    for other in [
        "UPDATE a SET b = concat(b, 1) FROM a AS c; SELECT iif(1, 2, 3);",
        "CREATE TEMP TABLE t (a INT) STRICT; CREATE TEMPORARY VIEW w AS SELECT unhex('00');",
        "CREATE TABLE t AS SELECT concat(b, 1) AS b FROM a;",
        "CREATE TABLE IF NOT EXISTS a (b) STRICT;",
        "ALTER TABLE a ADD COLUMN c AS (b + 1); ALTER TABLE a DROP COLUMN c;",
    ] {
        check(
            &[
                old,
                lock,
                ("settings/V2__x.sql", other),
                ("settings/V2__x.down.sql", "CREATE TABLE q (a INT) STRICT;"),
            ],
            "ok",
        );
    }
    check(&[old, lock, ("settings/V2__x.sql", "ALTER TABLE a ADD COLUMN c AS (b + 1);")], "migrations/settings/V2__x.sql:1:28: the table `a` needs SQLite 3.31 (a generated column), and `sqlite_min` of `settings` is 3.30: an application with that could not read it; write it otherwise, or `sqlite_min = \"3.31\"`");
    // A file that cannot be edited is said to be so.
    let adopted = format!("{}adopted_up_to = 1\n", old.1);
    check(&[("bootmigrate.toml", &adopted), ("settings/V1__first.sql", "CREATE TABLE a (b) STRICT;")], "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; `bootmigrate_build::lock` writes it, with the first release\n\
         migrations/settings/V1__first.sql:1:20: the table `a` needs SQLite 3.37 (a STRICT table), and `sqlite_min` of `settings` is 3.30: an application with that could not read it; make it otherwise in a new migration, or `sqlite_min = \"3.37\"`");
}

#[test]
fn together_excludes_no_transaction() {
    check(&[("bootmigrate.toml", "slots = \"single\"\n[databases.settings]\npath = \"/data/settings.db\"\ntogether = \"core\"\n[databases.telemetry]\npath = \"/data/telemetry.db\"\ntogether = \"core\"\n"), ("telemetry/V1__x.sql", "SELECT 1;"), ("settings/V2__x.sql", "-- bootmigrate: no-transaction\nVACUUM;\n")], "migrations/settings/V2__x.sql:1:1: databases with `together` are committed from transactions open at the same time, so `no-transaction` cannot be; remove this line, or `together` in bootmigrate.toml");
}

#[test]
fn all_problems_are_said_at_once_and_sorted() {
    check(&[("bootmigrate.toml", "slots = \"single\"\n[databases.settings]\npath = \"/data/settings.db\"\n[databases.gone]\npath = \"/data/gone.db\"\n"), ("telemetry/v1__x.sql", ""), ("settings/V3__y.sql", "SELECT 1;\nCOMMIT;\nBEGIN;"), ("settings/V2__x.sql", "")], "migrations/bootmigrate.toml:4:1: there is no folder `migrations/gone` for this database; make it, or remove the entry\n\
         migrations/settings/V2__x.sql: there is no statement in this file; write one, or `-- bootmigrate: code revision=1` where the firmware registers Rust code for it\n\
         migrations/settings/V3__y.sql:2:1: `COMMIT` is not allowed: bootmigrate runs all pending migrations and their history in one transaction of its own; remove this statement\n\
         migrations/settings/V3__y.sql:3:1: `BEGIN` is not allowed: bootmigrate runs all pending migrations and their history in one transaction of its own; remove this statement\n\
         migrations/telemetry: bootmigrate.toml has no entry for this folder; write `[databases.telemetry]` there, or move the folder away\n\
         migrations/telemetry/v1__x.sql: `v1__x.sql` begins with a small `v`, so refinery would leave it out silently; write `V1__x.sql`");
}
