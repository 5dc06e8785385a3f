//! Owns the transcripts of `new`, `lock`, `list`, `show`, `schema` and `device`: what a user
//! without Rust does first.
//! Promises: each begins in an empty folder, or with the example product.
//! Never looks at a database that was not made by the test.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::fs;

use common::{Product, Ran};
use expect_test::{expect, Expect};

#[track_caller]
fn says(product: &Product, arguments: &[&str], expected: Expect) {
    let Ran { code, out, err } = product.run(arguments);
    let mut text = format!("{out}{err}");
    if code != 0 {
        text.push_str(&format!("(exit code {code})\n"));
    }
    expected.assert_eq(&text);
}

#[test]
fn from_nothing_to_a_migrated_device() {
    let product = Product::with(&[]);
    says(
        &product,
        &["new", "first notes", "--db", "notes", "--down"],
        expect![[r#"
            migrations/bootmigrate.toml: [databases.notes] is new; write the path that the application opens
            migrations/notes/V1__first_notes.sql
            migrations/notes/V1__first_notes.down.sql
        "#]],
    );
    says(
        &product,
        &["list"],
        expect![[r#"
            bootmigrate-workbench: migrations/notes/V1__first_notes.down.sql: there is no statement in this file; write the way back, or remove the file
            migrations/notes/V1__first_notes.sql: there is no statement in this file; write one, or `-- bootmigrate: code revision=1` where the firmware registers Rust code for it
            (exit code 2)
        "#]],
    );
    product.write(
        "notes/V1__first_notes.sql",
        "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n",
    );
    product.write("notes/V1__first_notes.down.sql", "DROP TABLE note;\n");
    says(
        &product,
        &["new", "old-notes", "--db", "notes", "--data"],
        expect![[r#"
        migrations/notes/data/V1__old_notes.sql
    "#]],
    );
    product.write(
        "notes/data/V1__old_notes.sql",
        "UPDATE note SET text = trim(text) WHERE text LIKE ' %';\n",
    );
    says(
        &product,
        &["list"],
        expect![[r#"
            notes: 1 migration, and 1 of data
              V1 first_notes: new, way back
              data V1 old_notes: new
        "#]],
    );
    says(
        &product,
        &["device", "run"],
        expect![[r#"
        bootmigrate-workbench: `device` runs below a folder alone; write `--root DIR`
        (exit code 2)
    "#]],
    );
    fs::create_dir_all(product.path().join("root/var/lib/notes")).unwrap();
    says(
        &product,
        &["device", "run", "--root", "root"],
        expect![[r#"
        notes: created at version 1. [BM-0 notes 0>1]
    "#]],
    );
    assert!(product.path().join("root/var/lib/notes/notes.db").exists());
}

#[test]
fn a_new_file_takes_no_name_twice() {
    let product = Product::with(&[
        ("bootmigrate.toml", "[databases.notes]\n"),
        ("notes/V7__x.sql", "SELECT 1;"),
    ]);
    says(
        &product,
        &["new", "color", "--db", "notes"],
        expect![[r#"
        migrations/notes/V8__color.sql
    "#]],
    );
    says(
        &product,
        &["new", "a/b", "--db", "notes"],
        expect![[r#"
        bootmigrate-workbench: `a/b` is no name of a migration; write letters, digits and `_`
        (exit code 2)
    "#]],
    );
    let Ran { code, out, .. } = product.run(&["new", "color", "--db", "notes", "--timestamp"]);
    let digits = out.trim_start_matches("migrations/notes/V").trim_end_matches("__color.sql\n");
    assert!(code == 0 && digits.len() == 14 && digits.starts_with("20"), "{out}");
    assert_eq!(
        fs::read_to_string(product.migrations().join("bootmigrate.toml")).unwrap(),
        "[databases.notes]\n"
    );
}

#[test]
fn a_release_is_locked() {
    let product = Product::with(&[
        ("bootmigrate.toml", "[databases.notes]\n"),
        ("notes/V1__note.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY);"),
    ]);
    says(
        &product,
        &["lock"],
        expect![[r#"
        notes/V1__note.sql: released
    "#]],
    );
    says(
        &product,
        &["lock"],
        expect![[r#"
        nothing is new
    "#]],
    );
    says(
        &product,
        &["list"],
        expect![[r#"
        notes: 1 migration, and 0 of data
          V1 note: released
    "#]],
    );
    product.write("notes/V1__note.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT);");
    assert_eq!(product.run(&["lock"]).code, 2);
}

#[test]
fn a_folder_is_packed() {
    let product = Product::example();
    let packed = |name: &str| {
        assert_eq!(product.run(&["pack", "-o", name]).code, 0);
        fs::read(product.path().join(name)).unwrap()
    };
    let first = packed("gateway.catalogue");
    assert_eq!(first, packed("again.catalogue"));
    assert_eq!(
        first,
        bootmigrate_build::packed(&bootmigrate_build::read(&product.migrations()).unwrap())
    );
    assert!(first.starts_with(b"BMCATLOG") && first.len() > 10_000);
    product.write(
        "settings/V15__hash.sql",
        "-- bootmigrate: code revision=1\n-- bootmigrate: irreversible\n",
    );
    let Ran { code, err, .. } = product.run(&["pack", "-o", "none.catalogue"]);
    assert!(code == 2 && err.contains("migrations/settings/V15__hash.sql"), "{err}");
    assert!(!product.path().join("none.catalogue").exists());
}

#[test]
fn one_migration_is_shown() {
    says(
        &Product::example(),
        &["show", "13"],
        expect![[r#"
            -- migrations/settings/V13__site_time_zone.sql: released
            -- bootmigrate: compatible-from = 10
            ALTER TABLE site ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'Etc/UTC';

            -- migrations/settings/V13__site_time_zone.down.sql
            ALTER TABLE site DROP COLUMN time_zone;
        "#]],
    );
    says(
        &Product::example(),
        &["show", "99", "--db", "telemetry"],
        expect![[r#"
        bootmigrate-workbench: there is no version 99
        (exit code 2)
    "#]],
    );
}

#[test]
fn a_schema_is_printed_and_compared() {
    let product = Product::example();
    says(
        &product,
        &["schema", "--db", "telemetry", "--at", "2"],
        expect![[r#"
            -- telemetry at version 2
            CREATE TABLE sample (
                id INTEGER PRIMARY KEY,
                sensor_id INTEGER NOT NULL,
                taken_at INTEGER NOT NULL,
                value REAL NOT NULL
            );
            CREATE INDEX sample_by_time ON sample (sensor_id, taken_at);
        "#]],
    );
    says(
        &product,
        &["schema", "--db", "settings", "--since", "9", "--at", "10"],
        expect![[r#"
            settings: from version 9 to 10
              ~ column sensor.kind: now has `not null`
              ~ column sensor.label: now has `not null default ''`
              ~ view sensor_overview: `sensor.kind, count (calibration_point.id` instead of `count (calibration_point.id) as points f`
              + CHECK (kind in ('temperature', 'humidity', 'pressure', 'unknown')) of table sensor
        "#]],
    );
    says(
        &product,
        &["schema", "--db", "telemetry", "--since", "1"],
        expect![[r#"
        telemetry: from version 1 to 4
          + CHECK (quality in (0, 1, 2)) of table sample
          + column sample.quality
          + index sample_by_time
          + trigger sample_retention
    "#]],
    );
    says(
        &product,
        &["schema", "--db", "telemetry", "--at", "77"],
        expect![[r#"
        bootmigrate-workbench: telemetry has no version 77
        (exit code 2)
    "#]],
    );
    says(
        &product,
        &["schema", "--write", "schema"],
        expect![[r#"
        settings: 14 schemas in schema/settings
        telemetry: 4 schemas in schema/telemetry
    "#]],
    );
    let written = fs::read_to_string(product.path().join("schema/telemetry/V1.sql")).unwrap();
    assert!(
        written.starts_with("CREATE TABLE sample (") && !written.contains("INDEX"),
        "{written}"
    );
    assert_eq!(fs::read_dir(product.path().join("schema/settings")).unwrap().count(), 14);
}

#[test]
fn a_list_is_json_too() {
    let Ran { code, out, .. } = Product::example().run(&["list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (
            code,
            list.pointer("/databases/0/migrations").and_then(|all| all.as_array()).map(Vec::len)
        ),
        (0, Some(14))
    );
    assert_eq!(
        list.pointer("/databases/0/migrations/9/directives/0").and_then(|one| one.as_str()),
        Some("foreign-keys = on")
    );
}

/// `cargo bootmigrate list` starts a program `cargo-bootmigrate` with `bootmigrate list`.
#[test]
fn cargo_starts_it() {
    let product = Product::example();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cargo-bootmigrate"));
        Ran::from(
            command
                .args(arguments)
                .current_dir(product.path())
                .env_remove("BOOTMIGRATE_MIGRATIONS")
                .output()
                .unwrap(),
        )
    };
    assert_eq!(run(&["bootmigrate", "list"]), product.run(&["list"]));
    assert_eq!(run(&["list"]).code, 0);
}
