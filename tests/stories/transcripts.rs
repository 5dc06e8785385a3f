//! Owns the transcripts of the commands that no other file has word by word: what is typed, what is said, the exit code.
//! Promises: whole output, both streams; what was touched; the rows as they were, or as SQLite alone makes them.
//! Never repeats what docs/manual.md shows: those are run by `manual.rs`.

use crate::bench::Bench;
use crate::commands::transcript;
use crate::oracle;
use crate::picture::tidy;
use expect_test::expect;
use rusqlite::Connection;
use std::fs;

#[track_caller]
fn unchanged(bench: &Bench, rows: &Result<oracle::Content, String>) {
    assert_eq!(&oracle::content(&bench.main()), rows);
    assert!(rows.as_ref().is_ok_and(|content| content.rows["parent"] >= 2000));
}

#[test]
fn status_of_what_is_pending_refused_and_tried() {
    let bench = Bench::booted_at(40).firmware(42).with_telemetry(0);
    let rows = oracle::content(&bench.main());
    transcript(
        &bench,
        "status",
        expect![[r#"
        settings  ROOT/var/lib/gateway/settings.db
          version     40 of 42
          ready       yes
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
        &bench,
        "status --exit-code --db settings",
        expect![[r#"
        settings  ROOT/var/lib/gateway/settings.db
          version     40 of 42
          ready       yes
          pending     V41 rebuild_parents, V42 preferences
          next boot   migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
        exit 3, touched nothing
    "#]],
    );
    transcript(
        &bench,
        "status --db settings --format mender",
        expect![[r#"
        bootmigrate_version=0.1.0
        bootmigrate_exit=3
        bootmigrate_settings_version=40
        bootmigrate_settings_target=42
        bootmigrate_settings_ready=true
        bootmigrate_settings_plan=migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
        exit 0, touched nothing
    "#]],
    );
    unchanged(&bench, &rows);
    let bench = Bench::at(42).firmware(40);
    let rows = oracle::content(&bench.main());
    transcript(
        &bench,
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
        &bench,
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
    unchanged(&bench, &rows);
    let bench = Bench::booted_at(40).file(crate::product::BROKEN);
    let rows = oracle::content(&bench.main());
    assert_eq!(bench.run(&["run"]).exit, "10");
    transcript(
        &bench,
        "status",
        expect![[r#"
        settings  ROOT/var/lib/gateway/settings.db
          version     40 of 41
          ready       no
          pending     V41 x
          tries       1 failed, 0 interrupted
          snapshots   v40-1
          next boot   migrate 40 to 41: V41 x, in one transaction, after a snapshot
        exit 0, touched nothing
    "#]],
    );
    unchanged(&bench, &rows);
}

#[test]
fn plan_with_its_sql() {
    let bench = Bench::booted_at(40).firmware(42);
    let rows = oracle::content(&bench.main());
    transcript(
        &bench,
        "plan",
        expect![[r#"
        settings: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &bench,
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
        &bench,
        "plan --json --sql",
        expect![[r#"
        {
          "schema": 1,
          "databases": [
            {
              "name": "settings",
              "plan": "migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot",
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
    unchanged(&bench, &rows);
}

#[test]
fn ready_or_not() {
    let bench = Bench::booted_at(40);
    let rows = oracle::content(&bench.main());
    transcript(
        &bench,
        "ready --db settings",
        expect![[r#"
        settings: ready
        exit 0, touched nothing
    "#]],
    );
    fs::remove_file(bench.root().join("run/bootmigrate/ready/settings")).unwrap();
    transcript(
        &bench,
        "ready --db settings",
        expect![[r#"
        settings: not ready; `bootmigrate status` says why
        exit 3, touched nothing
    "#]],
    );
    unchanged(&bench, &rows);
}

#[test]
fn run_as_told_about_one_database() {
    let bench = Bench::booted_at(40).firmware(41).with_telemetry(10);
    let new = bench.expectations(&bench.databases[0]).new.ok_or_else(String::new);
    transcript(
        &bench,
        "run --db settings -v",
        expect![[r#"
        settings: plan: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot.
        settings: applying settings/V41__rebuild_parents.sql.
        settings: migrated from 40 to 41 (1 applied, snapshot snapshots/v40-1.db). [BM-0 settings 40>41]
        exit 0, touched database, state
    "#]],
    );
    unchanged(&bench, &new);
    transcript(
        &bench,
        "run -q",
        expect![[r#"
        exit 0, touched state
    "#]],
    );
    transcript(
        &bench,
        "run --retry",
        expect![[r#"
        settings: at version 41, nothing to do. [BM-0 settings 41]
        telemetry: at version 10, nothing to do. [BM-0 telemetry 10]
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &bench,
        "run --db settings --purge-and-retry",
        expect![[r#"
        settings: at version 41, nothing to do. [BM-0 settings 41]
        exit 0, touched nothing
    "#]],
    );
    unchanged(&bench, &new);
}

#[test]
fn purge_as_told() {
    let bench = Bench::booted_at(40);
    let rows = oracle::content(&bench.main());
    let fresh = oracle::fresh(&bench.firmware_folder(), "settings").ok_or_else(String::new);
    transcript(
        &bench,
        "purge --db settings",
        expect![[r#"
        bootmigrate: `purge` gives up all rows of the database; say --yes. [BM-2]
        exit 2, touched nothing
    "#]],
    );
    unchanged(&bench, &rows);
    transcript(
        &bench,
        "purge --db settings --yes",
        expect![[r#"
        settings: replaced by a fresh database at version 40, because `purge` was asked for; the old family is in quarantine/1. [BM-11 settings 40]
        exit 11, touched database, state
    "#]],
    );
    assert_eq!(oracle::content(&bench.main()), fresh);
    assert_eq!(oracle::content(&bench.state("settings").join("quarantine/1/settings.db")), rows);
}

#[test]
fn snapshots_come_and_go() {
    let bench = Bench::booted_at(40).key("snapshots_max = 3");
    let rows = oracle::content(&bench.main());
    transcript(
        &bench,
        "snapshot list",
        expect![[r#"
        settings: no snapshots
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &bench,
        "snapshot create",
        expect![[r#"
        settings: snapshot v40-1 made, whole and at version 40.
        exit 0, touched state
    "#]],
    );
    transcript(
        &bench,
        "snapshot create",
        expect![[r#"
        settings: snapshot v40-2 made, whole and at version 40.
        exit 0, touched state
    "#]],
    );
    transcript(
        &bench,
        "snapshot create",
        expect![[r#"
        settings: snapshot v40-3 made, whole and at version 40.
        exit 0, touched state
    "#]],
    );
    transcript(
        &bench,
        "snapshot list",
        expect![[r#"
        settings: v40-3            217088 bytes
        settings: v40-2            217088 bytes
        settings: v40-1            217088 bytes
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &bench,
        "snapshot prune",
        expect![[r#"
        settings: 0 snapshots removed, 3 kept.
        exit 0, touched nothing
    "#]],
    );
    let bench = bench.key("snapshots_max = 1");
    transcript(
        &bench,
        "snapshot prune",
        expect![[r#"
        settings: 2 snapshots removed, 1 kept.
        exit 0, touched state
    "#]],
    );
    transcript(
        &bench,
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
    assert_eq!(oracle::content(&bench.state("settings").join("snapshots/v40-3.db")), rows);
    unchanged(&bench, &rows);
}

/// What is said of a file that may not be restored; not a byte, time or name of the device is another afterwards.
#[track_caller]
fn refused(bench: &Bench, file: &std::path::Path, expect: expect_test::Expect) {
    let (folder, rows) = (oracle::folder(&bench.root()), oracle::content(&bench.main()));
    let ran = bench.run(&["snapshot", "restore", &file.to_string_lossy(), "--db", "settings", "--yes"]);
    let said = tidy(bench, &ran.stderr).replace(&*bench.folder().to_string_lossy(), "FOLDER");
    expect.assert_eq(&format!("{}{said}exit {}\n", ran.stdout, ran.exit));
    assert_eq!(oracle::touched(&folder, &oracle::folder(&bench.root())), "nothing");
    unchanged(bench, &rows);
    assert!(bench.root().join("run/bootmigrate/ready/settings").exists(), "its application may go on");
}

#[test]
fn files_that_are_not_restored() {
    let bench = Bench::booted_at(40);
    let file = |name: &str| bench.folder().join(name);
    fs::write(file("text"), "some text, longer than the header of a database would be: ".repeat(4)).unwrap();
    refused(
        &bench,
        &file("text"),
        expect![[r#"
        settings: it is no good copy: its header is not that of an SQLite database (FOLDER/text, while: take the file in); nothing was changed. [BM-17 settings]
        exit 17
    "#]],
    );
    fs::write(file("nothing"), "").unwrap();
    refused(
        &bench,
        &file("nothing"),
        expect![[r#"
        settings: it is no good copy: its header is not that of an SQLite database (FOLDER/nothing, while: take the file in); nothing was changed. [BM-17 settings]
        exit 17
    "#]],
    );
    refused(
        &bench,
        bench.folder(),
        expect![[r#"
        bootmigrate: FOLDER is not a plain file. [BM-2]
        exit 2
    "#]],
    );
    refused(
        &bench,
        &bench.main(),
        expect![[r#"
        bootmigrate: ROOT/var/lib/gateway/settings.db is the database itself. [BM-2]
        exit 2
    "#]],
    );
    std::os::unix::fs::symlink(bench.main(), file("link")).unwrap();
    refused(
        &bench,
        &file("link"),
        expect![[r#"
        bootmigrate: FOLDER/link is the database itself. [BM-2]
        exit 2
    "#]],
    );
    Connection::open(file("stranger")).unwrap().execute_batch("CREATE TABLE playlist (id)").unwrap();
    refused(
        &bench,
        &file("stranger"),
        expect![[r#"
        settings: it is no good copy: it has tables and no migration history (FOLDER/stranger, while: take the file in); nothing was changed. [BM-17 settings]
        exit 17
    "#]],
    );
    fs::copy(bench.main(), file("newer")).unwrap();
    let later = "INSERT INTO refinery_schema_history SELECT 99, 'later', applied_on, checksum FROM refinery_schema_history LIMIT 1";
    Connection::open(file("newer")).unwrap().execute_batch(later).unwrap();
    refused(
        &bench,
        &file("newer"),
        expect![[r#"
            settings: it is no good copy: its history is not the beginning of this firmware's (FOLDER/newer, while: take the file in); nothing was changed. [BM-17 settings]
            exit 17
        "#]],
    );
}

#[test]
fn files_of_which_a_part_lies_beside_are_not_restored() {
    let bench = Bench::booted_at(40);
    let home = bench.folder().join("from-support");
    fs::create_dir(&home).unwrap();
    for (mode, name) in [("delete", "journal"), ("wal", "wal")] {
        let file = home.join(format!("{name}.db"));
        fs::copy(bench.main(), &file).unwrap();
        let mut application = crate::application::Application::start(bench.folder(), None);
        application.expect_ok(&format!("open {}", file.display()));
        application.expect_ok(&format!("sql PRAGMA journal_mode = {mode}"));
        application.expect_ok("sql PRAGMA cache_size = 2");
        application.expect_ok("sql BEGIN");
        application.expect_ok("sql UPDATE child SET label = 'half', amount = zeroblob(300)");
        drop(application);
        assert!(fs::metadata(oracle::beside(&file, &format!("-{name}"))).unwrap().len() > 0);
    }
    refused(
        &bench,
        &home.join("journal.db"),
        expect![[r#"
        settings: FOLDER/from-support/journal.db-journal has content that a copy of the file alone would leave out; open it with sqlite3 first (FOLDER/from-support/journal.db, while: take the file in); nothing was changed. [BM-16 settings]
        exit 16
    "#]],
    );
    refused(
        &bench,
        &home.join("wal.db"),
        expect![[r#"
        settings: FOLDER/from-support/wal.db-wal has content that a copy of the file alone would leave out; open it with sqlite3 first (FOLDER/from-support/wal.db, while: take the file in); nothing was changed. [BM-16 settings]
        exit 16
    "#]],
    );
}

#[test]
fn a_file_for_a_device_that_never_booted_is_refused_before_anything_is_made() {
    let bench = Bench::at(40);
    let rows = oracle::content(&bench.main());
    fs::write(bench.folder().join("text"), "no database").unwrap();
    let told = format!("snapshot restore {} --db settings --yes", bench.folder().join("text").display());
    let before = oracle::folder(&bench.root());
    assert_eq!(bench.run(&told.split(' ').collect::<Vec<_>>()).exit, "17");
    assert_eq!(oracle::touched(&before, &oracle::folder(&bench.root())), "nothing");
    unchanged(&bench, &rows);
}

#[test]
fn good_is_marked_as_json_too() {
    let bench = Bench::at(40).slots("ab").firmware(41);
    let new = bench.expectations(&bench.databases[0]).new.ok_or_else(String::new);
    transcript(
        &bench,
        "mark-good",
        expect![[r#"
        settings: not marked good, because the next boot would migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot. Next: `bootmigrate run`.
        exit 3, touched nothing
    "#]],
    );
    assert_eq!(bench.run(&["run"]).exit, "0");
    transcript(
        &bench,
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
        &bench,
        "mark-good",
        expect![[r#"
        settings: version 41 was marked good before; no snapshot goes.
        exit 0, touched nothing
    "#]],
    );
    unchanged(&bench, &new);
}

#[test]
fn a_database_is_adopted_by_its_version() {
    let bench = Bench::at(40).firmware(41);
    Connection::open(bench.main()).unwrap().execute_batch("DROP TABLE refinery_schema_history").unwrap();
    let rows = oracle::content(&bench.main());
    transcript(
        &bench,
        "adopt --db settings --at 30",
        expect![[r#"
        settings: it cannot be adopted: version_query left it at our version 30, and its schema is another: table child has `any,changes integer not null default 0)` where `any)` should be; column child.changes is there already, and a later migration makes it; trigger child_changes is there already, and a later migration makes it; nothing was changed. Next: correct `adopt`, or `path`. [BM-16 settings ?>41]
        exit 16, touched nothing
    "#]],
    );
    unchanged(&bench, &rows);
    let copy = oracle::Copy::of(&bench.main()).unwrap();
    let new = oracle::migrated(&copy, &bench.firmware_folder(), "settings", 40).ok_or_else(String::new);
    transcript(
        &bench,
        "adopt --db settings --at 40",
        expect![[r#"
        settings: settings/V10__parents.sql was done before and is recorded now.
        settings: settings/V20__children.sql was done before and is recorded now.
        settings: settings/V30__look.sql was done before and is recorded now.
        settings: settings/V40__stamp.sql was done before and is recorded now.
        settings: migrated from 40 to 41 (1 applied, snapshot snapshots/v40-2.db). [BM-0 settings 40>41]
          note: taken over from version_query at version 40
        exit 0, touched database, state
    "#]],
    );
    unchanged(&bench, &new);
}

#[test]
fn rehearsed_as_json() {
    let bench = Bench::booted_at(40).firmware(42);
    let rows = oracle::content(&bench.main());
    let ran = bench.run(&["rehearse", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.exit.as_str(), answer["exit"].as_u64(), ran.stderr.as_str()), ("0", Some(0), ""));
    let one = &answer["databases"][0];
    assert_eq!(
        (one["name"].as_str(), one["report"]["version"].as_i64(), one["report"]["outcome"].as_str()),
        (Some("settings"), Some(42), Some("migrated"))
    );
    assert!(one["bytes"].as_u64().unwrap() > 100_000, "{one:#}");
    unchanged(&bench, &rows);
}

#[test]
fn a_bundle_that_has_no_place() {
    let bench = Bench::booted_at(40);
    let rows = oracle::content(&bench.main());
    let nowhere = format!("bundle {}", bench.root().join("nowhere/bundle.json").display());
    transcript(
        &bench,
        &nowhere,
        expect![[r#"
        bootmigrate: no such file or directory (errno 2) (ROOT/nowhere/bundle.json, while: write the file). [BM-2]
        exit 2, touched nothing
    "#]],
    );
    transcript(
        &bench,
        &format!("bundle {}", bench.home().display()),
        expect![[r#"
        bootmigrate: file exists (errno 17) (ROOT/var/lib/gateway, while: write the file). [BM-2]
        exit 2, touched nothing
    "#]],
    );
    unchanged(&bench, &rows);
}

#[test]
fn help_and_version() {
    let bench = Bench::booted_at(40);
    let rows = oracle::content(&bench.main());
    transcript(
        &bench,
        "--help",
        expect![[r#"
        bootmigrate: brings this device's SQLite databases to the schema its firmware expects

        Commands (`bootmigrate COMMAND --help` says more)
          (none)            status, and what `run` would do
          run               what the unit does at boot
          status            versions and state
          plan              what the next boot would do, and why
          rehearse          the real migration on a copy, thrown away
          ready             may an application open it?
          migrate           apply pending migrations, all or some
          rollback          go back by the down SQL that was stored when it was applied
          data status       the data migrations of each database
          data run          apply data migrations, beside running applications
          snapshot list     the copies of each database
          snapshot create   make a copy now, beside running applications
          snapshot verify   is each copy good?
          snapshot restore  put a copy in the database's place
          snapshot prune    remove what the configuration does not keep
          doctor            look at everything, and name the cure
          bundle            all that support needs, in one file; no rows
          mark-good         this slot is good: what was kept for the way back may go
          adopt             take over a database that another tool made, then run
          purge             set this database aside and make it anew

        Where a device does not start its application
          1. bootmigrate doctor              what is wrong, and which command mends it
          2. bootmigrate run --retry         try once more; gives nothing up
          3. bootmigrate bundle FILE         for support, before anything is given up
          4. bootmigrate --purge-and-retry   what fails or is damaged is made anew

        Options of every command
          --db NAME          only this database; without it all of them
          --config FILE      instead of /etc/bootmigrate.toml
          --root DIR         put before every path; mounts are not checked under it
          -v                 say each migration
          -vv                say each statement, with time and rows
          -q                 say errors alone
          --help             this text; after a command, that command's

        Exit codes: may the application start?
           0  usable, nothing was given up
          11  usable, and data was given up; the report says what
           3  work is pending
          10  a migration failed; the database is whole at its old version
          12  newer than this firmware, and no way back
          13  in use by another process
          14  not enough space
          15  read-only, or an I/O error
          16  not our database
          17  damaged, not recovered
          18  a mount or folder is missing
          19  tries used up
          20  interrupted; the next boot goes on
          21  the migrations do not fit the database
           2  usage or configuration
           1  a defect of bootmigrate
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &bench,
        "run --help",
        expect![[r#"
        bootmigrate run [--retry | --purge-and-retry] [-- PROGRAM ARGS...]
          what the unit does at boot

        Brings every database to this firmware's schema, or says why not. Stop the
        applications first; one that is running is noticed, and nothing is touched (13).
        --retry after exit 19: forgets the counted tries and tries once more.
        --purge-and-retry when a device must work again and its rows may go: what fails
        or is damaged is set aside (it stays in quarantine) and made anew; what is
        healthy is left alone. With PROGRAM: becomes it when its databases are usable.
        RUN_MIGRATIONS=0 in the environment skips the run.

          --json             print facts as JSON
          --retry            forget the counted tries; purges nothing
          --purge-and-retry  also: what fails or is damaged is set aside and made anew
        exit 0, touched nothing
    "#]],
    );
    let version = bench.run(&["--version"]);
    assert_eq!((version.exit.as_str(), version.stdout.as_str()), ("0", concat!("bootmigrate ", env!("CARGO_PKG_VERSION"), "\n")));
    unchanged(&bench, &rows);
}
