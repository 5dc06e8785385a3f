//! Owns the transcripts of what an operator asks for beside the boot: snapshots, mark-good, adopt,
//! rehearse, bundle.
//! Promises: whole output, both streams; what was touched; the rows as they were, or as SQLite
//! alone makes them.
//! Never shows a run: those are in `transcripts.rs`, `commands.rs` and `errors.rs`.

use crate::commands::transcript;
use crate::device::TestDevice;
use crate::oracle;
use crate::transcripts::unchanged;
use expect_test::expect;
use rusqlite::Connection;

#[test]
fn snapshots_come() {
    let device = TestDevice::booted_at(40).key("snapshots_max = 3");
    let rows = oracle::content(&device.main());
    transcript(
        &device,
        "snapshot list",
        expect![[r#"
        settings: no snapshots
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &device,
        "snapshot create",
        expect![[r#"
        settings: snapshot v40-1 made, whole and at version 40.
        exit 0, touched state
    "#]],
    );
    transcript(
        &device,
        "snapshot create",
        expect![[r#"
        settings: snapshot v40-2 made, whole and at version 40.
        exit 0, touched state
    "#]],
    );
    transcript(
        &device,
        "snapshot create",
        expect![[r#"
        settings: snapshot v40-3 made, whole and at version 40.
        exit 0, touched state
    "#]],
    );
    transcript(
        &device,
        "snapshot list",
        expect![[r#"
        settings: v40-3            217088 bytes
        settings: v40-2            217088 bytes
        settings: v40-1            217088 bytes
        exit 0, touched nothing
    "#]],
    );
    unchanged(&device, &rows);
}

#[test]
fn snapshots_go() {
    let device = TestDevice::booted_at(40).key("snapshots_max = 3");
    let rows = oracle::content(&device.main());
    for _ in 0..3 {
        assert_eq!(device.run(&["snapshot", "create"]).exit, "0");
    }
    transcript(
        &device,
        "snapshot prune",
        expect![[r#"
        settings: 0 snapshots removed, 3 kept.
        exit 0, touched nothing
    "#]],
    );
    let device = device.key("snapshots_max = 1");
    transcript(
        &device,
        "snapshot prune",
        expect![[r#"
        settings: 2 snapshots removed, 1 kept.
        exit 0, touched state
    "#]],
    );
    transcript(
        &device,
        "snapshot verify --json",
        expect![[r#"
        {
          "schema": 1,
          "exit": 0,
          "databases": [
            {
              "name": "settings",
              "snapshots": [
                {
                  "name": "v40-3",
                  "bytes": 217088,
                  "good": true,
                  "why": null
                }
              ]
            }
          ]
        }
        exit 0, touched nothing
    "#]],
    );
    assert_eq!(oracle::content(&device.state("settings").join("snapshots/v40-3.db")), rows);
    unchanged(&device, &rows);
}

#[test]
fn good_is_marked_as_json_too() {
    let device = TestDevice::at(40).slots("ab").firmware(41);
    let new = device.expectations(&device.databases[0]).new.ok_or_else(String::new);
    transcript(
        &device,
        "mark-good",
        expect![[r#"
        settings: not marked good, because the next boot would migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot. Next: `bootmigrate run`.
        exit 3, touched nothing
    "#]],
    );
    assert_eq!(device.run(&["run"]).exit, "0");
    transcript(
        &device,
        "mark-good --json",
        expect![[r#"
        {
          "schema": 1,
          "exit": 0,
          "databases": [
            {
              "name": "settings",
              "exit": 0,
              "version": 41,
              "removed": [],
              "sentence": "settings: version 41 is good; no snapshot goes."
            }
          ]
        }
        exit 0, touched state
    "#]],
    );
    transcript(
        &device,
        "mark-good",
        expect![[r#"
        settings: version 41 was marked good before; no snapshot goes.
        exit 0, touched nothing
    "#]],
    );
    unchanged(&device, &new);
}

#[test]
fn a_database_is_adopted_by_its_version() {
    let device = TestDevice::at(40).firmware(41);
    Connection::open(device.main())
        .unwrap()
        .execute_batch("DROP TABLE refinery_schema_history")
        .unwrap();
    let rows = oracle::content(&device.main());
    transcript(
        &device,
        "baseline --db settings --at 30",
        expect![[r#"
            settings: it cannot be adopted: another tool left it at our version 30, and its schema is another: column child.changes is there already, and a later migration makes it; trigger child_changes is there already, and a later migration makes it; nothing was changed. Next: correct `baseline`, or `path`. [BM-16 settings ?>41]
            exit 16, touched nothing
        "#]],
    );
    unchanged(&device, &rows);
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let new =
        oracle::migrated(&copy, &device.firmware_folder(), "settings", 40).ok_or_else(String::new);
    transcript(
        &device,
        "baseline --db settings --at 40",
        expect![[r#"
            settings: settings/V10__parents.sql was done before and is recorded now.
            settings: settings/V20__children.sql was done before and is recorded now.
            settings: settings/V30__look.sql was done before and is recorded now.
            settings: settings/V40__stamp.sql was done before and is recorded now.
            settings: migrated from 40 to 41 (1 applied, snapshot snapshots/v40-2.db). [BM-0 settings 40>41]
              note: taken over from another tool at version 40
            exit 0, touched database, state
        "#]],
    );
    unchanged(&device, &new);
}

#[test]
fn rehearsed_as_json() {
    let device = TestDevice::booted_at(40).firmware(42);
    let rows = oracle::content(&device.main());
    let ran = device.run(&["rehearse", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (ran.exit.as_str(), answer["exit"].as_u64(), ran.stderr.as_str()),
        ("0", Some(0), "")
    );
    let one = &answer["databases"][0];
    assert_eq!(
        (
            one["name"].as_str(),
            one["report"]["version"].as_i64(),
            one["report"]["outcome"].as_str()
        ),
        (Some("settings"), Some(42), Some("migrated"))
    );
    assert!(one["bytes"].as_u64().unwrap() > 100_000, "{one:#}");
    unchanged(&device, &rows);
}

#[test]
fn a_bundle_that_has_no_place() {
    let device = TestDevice::booted_at(40);
    let rows = oracle::content(&device.main());
    let nowhere = format!("bundle {}", device.root().join("nowhere/bundle.json").display());
    transcript(
        &device,
        &nowhere,
        expect![[r#"
        bootmigrate: no such file or directory (errno 2) (ROOT/nowhere/bundle.json, while: write the file). [BM-2]
        exit 2, touched nothing
    "#]],
    );
    transcript(
        &device,
        &format!("bundle {}", device.home().display()),
        expect![[r#"
        bootmigrate: file exists (errno 17) (ROOT/var/lib/gateway, while: write the file). [BM-2]
        exit 2, touched nothing
    "#]],
    );
    unchanged(&device, &rows);
}
