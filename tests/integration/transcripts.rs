//! Owns the transcripts of the commands that no other file has word by word: what is typed, what is
//! said, the exit code.
//! Promises: whole output, both streams; what was touched; the rows as they were, or as SQLite
//! alone makes them.
//! Never repeats what docs/manual.md shows: those are run by `manual.rs`.

use crate::commands::transcript;
use crate::device::TestDevice;
use crate::mistakes::RIGHT;
use crate::oracle;
use expect_test::{expect, expect_file};
use std::fs;

#[track_caller]
pub fn unchanged(device: &TestDevice, rows: &Result<oracle::Content, String>) {
    assert_eq!(&oracle::content(&device.main()), rows);
    assert!(rows.as_ref().is_ok_and(|content| content.rows["parent"] >= 2000));
}

#[test]
fn status_of_what_is_pending() {
    let device = TestDevice::booted_at(40).firmware(42).with_telemetry(0);
    let rows = oracle::content(&device.main());
    transcript(
        &device,
        "status",
        expect![[r#"
        settings  ROOT/var/lib/gateway/settings.db
          version     40 of 42
          ready       no: its ready file is for version 40, and this firmware expects 42
          pending     V41 rebuild_parents, V42 preferences
          next boot   migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
        telemetry  ROOT/var/lib/gateway/telemetry.db
          version     0 of 10
          ready       no
          pending     V10 parents
          next boot   first boot: build version 10 beside, then put it in place
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &device,
        "status --exit-code --db settings",
        expect![[r#"
        settings  ROOT/var/lib/gateway/settings.db
          version     40 of 42
          ready       no: its ready file is for version 40, and this firmware expects 42
          pending     V41 rebuild_parents, V42 preferences
          next boot   migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
        exit 3, touched nothing
    "#]],
    );
    transcript(
        &device,
        "status --db settings --format mender",
        expect![[r#"
        bootmigrate_version=0.1.0
        bootmigrate_exit=3
        bootmigrate_settings_version=40
        bootmigrate_settings_target=42
        bootmigrate_settings_ready=false
        bootmigrate_settings_plan=migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
        exit 0, touched nothing
    "#]],
    );
    unchanged(&device, &rows);
}

#[test]
fn status_of_what_is_refused_and_of_what_failed() {
    let device = TestDevice::at(42).firmware(40);
    let rows = oracle::content(&device.main());
    transcript(
        &device,
        "status",
        expect![[r#"
        settings  ROOT/var/lib/gateway/settings.db
          version     42 of 40
          ready       no
          next boot   refuse: the database is at version 42, this firmware knows 40; no down SQL is stored for V42 preferences
          do          boot the newer firmware
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &device,
        "status --exit-code",
        expect![[r#"
        settings  ROOT/var/lib/gateway/settings.db
          version     42 of 40
          ready       no
          next boot   refuse: the database is at version 42, this firmware knows 40; no down SQL is stored for V42 preferences
          do          boot the newer firmware
        exit 12, touched nothing
    "#]],
    );
    unchanged(&device, &rows);
    let device = TestDevice::booted_at(40).file(crate::product::BROKEN);
    let rows = oracle::content(&device.main());
    assert_eq!(device.run(&["run"]).exit, "10");
    transcript(
        &device,
        "status",
        expect![[r#"
            settings  ROOT/var/lib/gateway/settings.db
              version     40 of 41
              ready       no
              pending     V41 x
              tries       1 failed, 0 interrupted
              failure     settings/V41__x.sql:12:5: no such column: nowhere (SQLite 1), in statement 4 of 5 [BM-10 settings 40>41 V41:12]
              snapshots   v40-1
              next boot   migrate 40 to 41: V41 x, in one transaction, after a snapshot
            exit 0, touched nothing
        "#]],
    );
    unchanged(&device, &rows);
}

#[test]
fn plan_with_its_sql() {
    let device = TestDevice::booted_at(40).firmware(42);
    let rows = oracle::content(&device.main());
    transcript(
        &device,
        "plan",
        expect![[r#"
        settings: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &device,
        "plan --sql",
        expect![[r#"
        settings: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
        -- settings/V41__rebuild_parents.sql
        -- A column changes its type: SQLite's recipe, with children that cascade.
        DROP VIEW family;
        CREATE TABLE parent_new (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            reading REAL,
            raw BLOB,
            badge TEXT
        );
        INSERT INTO parent_new SELECT id, name, reading, raw, badge FROM parent;
        DROP TABLE parent;
        ALTER TABLE parent_new RENAME TO parent;
        CREATE VIEW family AS SELECT p.name, c.label FROM parent p JOIN child c ON c.parent_id = p.id;
        -- settings/V42__preferences.sql
        CREATE TABLE preference (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
        INSERT INTO preference SELECT 'parents', count(*) FROM parent;
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &device,
        "plan --json --sql",
        expect![[r#"
            {
              "schema": 1,
              "databases": [
                {
                  "name": "settings",
                  "plan": "migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot",
                  "last_failure": null,
                  "sql": [
                    "-- settings/V41__rebuild_parents.sql\n-- A column changes its type: SQLite's recipe, with children that cascade.\nDROP VIEW family;\nCREATE TABLE parent_new (\n    id INTEGER PRIMARY KEY,\n    name TEXT NOT NULL UNIQUE,\n    reading REAL,\n    raw BLOB,\n    badge TEXT\n);\nINSERT INTO parent_new SELECT id, name, reading, raw, badge FROM parent;\nDROP TABLE parent;\nALTER TABLE parent_new RENAME TO parent;\nCREATE VIEW family AS SELECT p.name, c.label FROM parent p JOIN child c ON c.parent_id = p.id;",
                    "-- settings/V42__preferences.sql\nCREATE TABLE preference (name TEXT PRIMARY KEY, value) WITHOUT ROWID;\nINSERT INTO preference SELECT 'parents', count(*) FROM parent;"
                  ]
                }
              ]
            }
            exit 0, touched nothing
        "#]],
    );
    unchanged(&device, &rows);
}

#[test]
fn ready_or_not() {
    let device = TestDevice::booted_at(40);
    let rows = oracle::content(&device.main());
    transcript(
        &device,
        "ready --db settings",
        expect![[r#"
        settings: ready
        exit 0, touched nothing
    "#]],
    );
    fs::remove_file(device.root().join("run/bootmigrate/ready/settings")).unwrap();
    transcript(
        &device,
        "ready --db settings",
        expect![[r#"
        settings: not ready: no run has made its ready file; `bootmigrate status` says more
        exit 3, touched nothing
    "#]],
    );
    unchanged(&device, &rows);
}

#[test]
fn run_as_told_about_one_database() {
    let device = TestDevice::booted_at(40).firmware(41).with_telemetry(10);
    let new = device.expectations(&device.databases[0]).new.ok_or_else(String::new);
    transcript(
        &device,
        "run --db settings -v",
        expect![[r#"
        settings: plan: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot.
        settings: applying settings/V41__rebuild_parents.sql.
        settings: migrated from 40 to 41 (1 applied, snapshot snapshots/v40-1.db). [BM-0 settings 40>41]
        exit 0, touched database, state
    "#]],
    );
    unchanged(&device, &new);
    transcript(
        &device,
        "run -q",
        expect![[r#"
        exit 0, touched state
    "#]],
    );
    transcript(
        &device,
        "run --retry",
        expect![[r#"
        settings: at version 41, nothing to do. [BM-0 settings 41]
        telemetry: at version 10, nothing to do. [BM-0 telemetry 10]
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &device,
        "run --db settings --purge-and-retry",
        expect![[r#"
        settings: at version 41, nothing to do. [BM-0 settings 41]
        exit 0, touched nothing
    "#]],
    );
    unchanged(&device, &new);
}

#[test]
fn purge_as_told() {
    let device = TestDevice::booted_at(40);
    let rows = oracle::content(&device.main());
    let fresh = oracle::fresh(&device.firmware_folder(), "settings").ok_or_else(String::new);
    transcript(
        &device,
        "purge --db settings",
        expect![[r#"
        bootmigrate: `purge` discards all rows of the database; say --yes. [BM-2]
        exit 2, touched nothing
    "#]],
    );
    unchanged(&device, &rows);
    transcript(
        &device,
        "purge --db settings --yes",
        expect![[r#"
        settings: replaced by a fresh database at version 40, because `purge` was asked for; the old files are in quarantine/1; lost: all its rows. [BM-11 settings 40]
        exit 11, touched database, state
    "#]],
    );
    assert_eq!(oracle::content(&device.main()), fresh);
    assert_eq!(oracle::content(&device.state("settings").join("quarantine/1/settings.db")), rows);
}

#[test]
fn help_for_a_technician() {
    let device = TestDevice::booted_at(40);
    let (rows, before) = (oracle::content(&device.main()), oracle::folder(&device.root()));
    let ran = device.run(&["--help"]);
    assert_eq!((ran.exit.as_str(), ran.stderr.as_str()), ("0", ""));
    expect_file!["help.txt"].assert_eq(&ran.stdout);
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    unchanged(&device, &rows);
}

#[test]
fn help_of_one_command_and_the_version() {
    let device = TestDevice::booted_at(40);
    let rows = oracle::content(&device.main());
    transcript(
        &device,
        "run --help",
        expect![[r#"
            bootmigrate run [--retry | --purge-and-retry] [-- PROGRAM ARGS...]
              what the unit does at boot

            Brings every database to this firmware's schema, or says why not. Stop the
            applications first; one that is running is noticed, and nothing is touched (13).
            --retry after exit 19: forgets the counted tries and tries once more.
            --purge-and-retry when a device must work again and its rows may go: what fails
            or is damaged is set aside (it stays in quarantine) and rebuilt; what is
            healthy is left alone. With PROGRAM: becomes it when its databases are usable.
            RUN_MIGRATIONS=0 in the environment skips the run.

              --json              print facts as JSON
              --retry             forget the counted tries; purges nothing
              --purge-and-retry   also: what fails or is damaged is set aside and rebuilt
            exit 0, touched nothing
        "#]],
    );
    let version = device.run(&["--version"]);
    assert_eq!(
        (version.exit.as_str(), version.stdout.as_str()),
        ("0", concat!("bootmigrate ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    unchanged(&device, &rows);
}

#[test]
fn observing_lets_no_command_change_anything() {
    let down = (
        "V40__stamp.down.sql",
        "DROP TRIGGER child_changes;\nALTER TABLE child DROP COLUMN changes;\n",
    );
    let device = TestDevice::at(30).slots("ab").firmware(40).file(down);
    fs::create_dir_all(device.firmware_folder().join("settings/data")).unwrap();
    fs::write(
        device.firmware_folder().join("settings/data/V1__x.sql"),
        "UPDATE child SET label = 'x' WHERE id < 10;\n",
    )
    .unwrap();
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(device.run(&["snapshot", "create"]).exit, "0");
    let device = device.top("mode = \"observe\"");
    let rows = oracle::content(&device.main());
    let before = oracle::folder(&device.root());
    for typed in [
        "migrate --all",
        "rollback --db settings --to 30",
        "rehearse",
        "data run --all",
        "snapshot create",
        "snapshot prune",
        "snapshot restore v40-2 --db settings --yes",
        "mark-good",
        "purge --db settings --yes",
        "run --purge-and-retry",
        "run --retry",
        "baseline --db settings --at 40",
        "--purge-and-retry",
    ] {
        let ran = device.run(&typed.split(' ').collect::<Vec<_>>());
        let said = format!("{typed}: exit {}: {}{}", ran.exit, ran.stdout, ran.stderr);
        assert!(said.contains("mode = \"observe\" changes nothing"), "{said}");
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing", "{said}");
        unchanged(&device, &rows);
    }
    // Whatever else there is, and is not in the list yet. A bundle is a file of somebody's choice.
    for typed in RIGHT.iter().filter(|typed| !typed.starts_with("bundle")) {
        let ran = device.run(&typed.split(' ').collect::<Vec<_>>());
        let touched = oracle::touched(&before, &oracle::folder(&device.root()));
        assert_eq!(touched, "nothing", "{typed}: {}{}", ran.stdout, ran.stderr);
    }
    assert!(
        device.root().join("run/bootmigrate/ready/settings").exists(),
        "its application may go on"
    );
}
