//! Owns the tests of databases that other tools made: taken over at boot, without a human, or
//! refused with the difference.
//! Promises: histories of sqlx and dbmate are those of the real tools (`tests/adoption`); every
//! tool by itself is in `tools`.
//! Never lets a row go: what is adopted is compared with plain SQLite.

use crate::device::TestDevice;
use crate::dump::{check, check_op, perform, tidy};
use crate::oracle;
use expect_test::expect;
use rusqlite::Connection;

const SQLX: &str = include_str!("../adoption/sqlx.sql");
const DBMATE: &str = include_str!("../adoption/dbmate.sql");

/// A device whose product was migrated to 30 by another tool, which left this; its firmware knows
/// `firmware`.
pub fn left_by(history: &str, firmware: i32, adopt: &str) -> TestDevice {
    let device = TestDevice::at(30).firmware(firmware).after(|device| {
        let connection = Connection::open(device.main()).unwrap();
        connection.execute_batch("DROP TABLE refinery_schema_history").unwrap();
        connection.execute_batch(history).unwrap();
    });
    if adopt.is_empty() {
        device
    } else {
        device.key(&format!("baseline = {adopt}"))
    }
}

#[test]
fn taken_over_from_sqlx_and_migrated_in_one_boot() {
    check(
        left_by(SQLX, 41, "\"sqlx\""),
        "run",
        expect![[r#"
        plan:     settings: adopt what sqlx left at version 30, whose schema it has, then migrate 30 to 41: V40 stamp, V41 rebuild_parents
        exit:     0
        settings: migrated 30>41 of 41, applied [40,41], usable, exit 0
        code:     BM-0 settings 30>41
        backup:   snapshots/v30-2.db old, 2000 parents, 2000 children
        database: new, 2000 parents, 2000 children
        touched:  database, state
        again:    exit 0, quiet, touched nothing
    "#]],
    );
}

#[test]
fn taken_over_from_dbmate_with_nothing_pending() {
    check(
        left_by(DBMATE, 30, "\"dbmate\""),
        "run",
        expect![[r#"
        plan:     settings: adopt what dbmate left at version 30, whose schema it has
        exit:     0
        settings: adopted 30>30 of 30, applied [10,20,30], usable, exit 0
        code:     BM-0 settings 30
        database: old, 2000 parents, 2000 children
        touched:  database, state
        again:    exit 0, quiet, touched nothing
    "#]],
    );
}

#[test]
fn taken_over_by_numbers_that_the_configuration_maps() {
    check(
        left_by(
            "PRAGMA user_version = 3",
            40,
            "{ from = \"rusqlite_migration\", versions = { 3 = 30 } }",
        ),
        "run",
        expect![[r#"
        plan:     settings: adopt what rusqlite_migration left at version 30, whose schema it has, then migrate 30 to 40: V40 stamp
        exit:     0
        settings: migrated 30>40 of 40, applied [40], usable, exit 0
        code:     BM-0 settings 30>40
        backup:   snapshots/v30-2.db old, 2000 parents, 2000 children
        database: new, 2000 parents, 2000 children
        touched:  database, state
        again:    exit 0, quiet, touched nothing
    "#]],
    );
}

#[test]
fn taken_over_by_a_query_of_the_product() {
    let own = "CREATE TABLE meta (key TEXT, value TEXT); INSERT INTO meta VALUES ('schema', '30')";
    check(
        left_by(own, 50, "{ version_query = \"SELECT value FROM meta WHERE key = 'schema'\" }"),
        "run",
        expect![[r#"
        plan:     settings: adopt what version_query left at version 30, whose schema it has, then migrate 30 to 50: V40 stamp, V41 rebuild_parents, V42 preferences, V50 compact
        exit:     0
        settings: migrated 30>50 of 50, applied [40,41,42,50], usable, exit 0
        code:     BM-0 settings 30>50
        backup:   snapshots/v30-2.db old, 2000 parents, 2000 children
        database: new, 2000 parents, 2000 children
        touched:  database, state
        again:    exit 0, quiet, touched nothing
    "#]],
    );
}

#[test]
fn versions_of_diesel_and_dbmate_are_in_the_order_of_strings() {
    // As numbers the last one would be the smallest: it has a digit less.
    let versions = "('2023-10-06-090000'), ('20231006093000'), ('2023-10-06-10000')";
    for (tool, table) in [("diesel", "__diesel_schema_migrations"), ("dbmate", "schema_migrations")]
    {
        let versions =
            if tool == "dbmate" { versions.replace('-', "") } else { versions.to_owned() };
        let left = format!(
            "CREATE TABLE {table}(version VARCHAR(50) PRIMARY KEY); INSERT INTO {table} VALUES \
             {versions}"
        );
        let device = left_by(
            &left,
            40,
            &format!(
                "{{ from = \"{tool}\", versions = {{ 20231006090000 = 10, 20231006093000 = 20, \
                 2023100610000 = 30 }} }}"
            ),
        );
        let ran = device.run(&["run"]);
        assert!(ran.stderr.contains("[BM-0 settings 30>40]"), "{tool}: {}", ran.stderr);
        assert_eq!(oracle::content(&device.main()).unwrap().rows["parent"], 2000);
    }
}

/// `SELECT *`, and an INSERT that names no columns, would mean something else.
#[test]
fn columns_in_another_order_are_refused() {
    let device = left_by(SQLX, 41, "\"sqlx\"").after(|device| {
        Connection::open(device.main())
            .unwrap()
            .execute_batch(
                "PRAGMA foreign_keys = OFF; DROP VIEW family;
                 CREATE TABLE other (id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL REFERENCES \
                 parent (id) ON DELETE CASCADE, amount ANY, label TEXT);
                 INSERT INTO other SELECT id, parent_id, amount, label FROM child;
                 DROP TABLE child; ALTER TABLE other RENAME TO child;
                 CREATE INDEX child_parent ON child (parent_id);
                 CREATE VIEW family AS SELECT p.name, c.label FROM parent p JOIN child c ON \
                 c.parent_id = p.id;",
            )
            .unwrap();
    });
    let before = oracle::folder(&device.root());
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "16", "{}", ran.stderr);
    let said = "table child has its columns in the order id, parent_id, amount, label, and should";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
}

#[test]
fn another_schema_is_refused_with_the_difference() {
    let device = left_by(SQLX, 41, "\"sqlx\"").after(|device| {
        let connection = Connection::open(device.main()).unwrap();
        connection
            .execute_batch("DROP INDEX child_parent; ALTER TABLE child ADD COLUMN changes INTEGER")
            .unwrap();
    });
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: refuse: it cannot be adopted: sqlx left it at our version 30, and its schema is another: index child_parent is missing; column child.changes is there already, and a later migration makes it
            exit:     16
            settings: refused null>null of 41, applied [], not usable, exit 16
            code:     BM-16 settings ?>41
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 16, refused, touched nothing
        "#]],
    );
}

#[test]
fn tables_without_a_version_are_somebody_elses() {
    for (history, adopt) in [
        ("PRAGMA user_version = 0", "user_version"),
        ("CREATE TABLE schema_migrations (version TEXT)", "dbmate"),
    ] {
        let device = left_by(history, 41, &format!("\"{adopt}\""));
        let operation = perform(&device, &["run"]);
        assert_eq!(
            (operation.ran.exit.as_str(), operation.touched.as_str()),
            ("16", "nothing"),
            "{adopt}: {}",
            operation.ran.stderr
        );
        assert!(
            operation
                .ran
                .stderr
                .contains(&format!("{adopt} left no version, and table child is there")),
            "{}",
            operation.ran.stderr
        );
        assert_eq!(oracle::content(&device.main()).unwrap().rows["parent"], 2000);
    }
}

#[test]
fn a_history_that_is_half_done_is_refused() {
    let device = left_by(SQLX, 41, "\"sqlx\"").after(|device| {
        Connection::open(device.main())
            .unwrap()
            .execute("UPDATE _sqlx_migrations SET success = 0 WHERE version = 30", [])
            .unwrap();
    });
    let operation = perform(&device, &["run"]);
    assert_eq!(
        (operation.ran.exit.as_str(), operation.touched.as_str()),
        ("16", "nothing"),
        "{}",
        operation.ran.stderr
    );
    expect![[r#"
        settings: it cannot be adopted: sqlx was cut off in its version 30; nothing was changed. Next: correct `baseline`, or `path`. [BM-16 settings ?>41]
    "#]].assert_eq(&tidy(&device, &operation.ran.stderr));
    assert_eq!(oracle::content(&device.main()).unwrap().rows["parent"], 2000);
}

/// A migration that came in by a branch: the tool has applied a later one alone.
#[test]
fn a_migration_that_the_tool_has_not_done_is_refused() {
    for (tool, history, gap) in [
        ("dbmate", DBMATE, "DELETE FROM schema_migrations WHERE version = '20'"),
        ("sqlx", SQLX, "DELETE FROM _sqlx_migrations WHERE version = 20"),
        (
            "ecto",
            include_str!("../adoption/ecto.sql"),
            "DELETE FROM schema_migrations WHERE version = 20",
        ),
        (
            "diesel",
            include_str!("../adoption/diesel.sql"),
            "DELETE FROM __diesel_schema_migrations WHERE version = '20'",
        ),
        (
            "goose",
            include_str!("../adoption/goose.sql"),
            "INSERT INTO goose_db_version VALUES (9, 20, 0, '')",
        ),
    ] {
        for mapped in [false, true] {
            let from = if mapped {
                format!("{{ from = \"{tool}\", versions = {{ 20 = 20, 30 = 30 }} }}")
            } else {
                format!("\"{tool}\"")
            };
            let device = left_by(history, 41, &from).after(|device| {
                Connection::open(device.main()).unwrap().execute_batch(gap).unwrap();
            });
            let operation = perform(&device, &["run"]);
            assert_eq!(
                (operation.ran.exit.as_str(), operation.touched.as_str()),
                ("16", "nothing"),
                "{tool}: {}",
                operation.ran.stderr
            );
            assert!(
                operation.ran.stderr.contains("left it at our version 30 and has not done V20; "),
                "{tool}: {}",
                operation.ran.stderr
            );
            let ran = device.run(&["baseline", "--db", "settings", "--at", "30"]);
            assert!(ran.stderr.contains("[BM-0 settings 30>41]"), "{tool}: {}", ran.stderr);
        }
    }
}

#[test]
fn taken_over_by_hand() {
    let device = left_by("PRAGMA user_version = 5", 41, "");
    let want = device.expectations(&device.databases[0]).new;
    let operation = perform(&device, &["run"]);
    assert_eq!(
        (operation.ran.exit.as_str(), operation.touched.as_str()),
        ("16", "nothing"),
        "{}",
        operation.ran.stderr
    );
    expect![[r#"
        settings: it has 2 tables and no migration history; nothing was changed. Next: correct `path`; or, for what another tool made, write `baseline`, or run `bootmigrate baseline --db settings --from TOOL`. [BM-16 settings ?>41]
    "#]].assert_eq(&tidy(&device, &operation.ran.stderr));
    for (words, said) in [
        (vec!["baseline", "--db", "settings"], "`baseline` needs --from TOOL or --at VERSION"),
        (
            vec!["baseline", "--db", "settings", "--from", "rails"],
            "--from rails is no tool that is known; there is user_version, refinery",
        ),
        (
            vec!["baseline", "--db", "settings", "--from", "sqlx"],
            "sqlx's table _sqlx_migrations is not in it",
        ),
        (
            vec!["baseline", "--db", "settings", "--at", "20"],
            "index child_parent is there already, and a later migration makes it",
        ),
    ] {
        let operation = perform(&device, &words);
        assert_eq!(operation.touched, "nothing", "{words:?}");
        assert!(operation.ran.stderr.contains(said), "{words:?}: {}", operation.ran.stderr);
        assert!(
            ["2", "16"].contains(&operation.ran.exit.as_str()),
            "{words:?}: {}",
            operation.ran.exit
        );
    }
    let ran = device.run(&["baseline", "--db", "settings", "--at", "30"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    expect![[r#"
        settings: settings/V10__parents.sql was done before and is recorded now.
        settings: settings/V20__children.sql was done before and is recorded now.
        settings: settings/V30__look.sql was done before and is recorded now.
        settings: migrated from 30 to 41 (2 applied, snapshot snapshots/v30-2.db). [BM-0 settings 30>41]
          note: taken over from another tool at version 30
    "#]]
    .assert_eq(&tidy(&device, &ran.stderr));
    assert_eq!(oracle::content(&device.main()).ok(), want);
    let operation = perform(&device, &["run"]);
    assert_eq!(
        (operation.ran.exit.as_str(), operation.touched.as_str()),
        ("0", "nothing"),
        "{}",
        operation.ran.stderr
    );
}

/// The file was gone, and an application that came first has made one of its own.
#[test]
fn a_file_in_the_place_of_a_lost_one_is_refused_with_the_way_back() {
    let device = TestDevice::booted_at(40);
    assert_eq!(device.run(&["snapshot", "create", "--db", "settings"]).exit, "0");
    assert_eq!(device.run(&["run"]).exit, "0");
    let rows = oracle::content(&device.main()).unwrap();
    std::fs::remove_file(device.main()).unwrap();
    let connection = Connection::open(device.main()).unwrap();
    connection.execute_batch("CREATE TABLE cache (k, v)").unwrap();
    drop(connection);
    let operation = perform(&device, &["run"]);
    assert_eq!((operation.ran.exit.as_str(), operation.touched.as_str()), ("16", "nothing"));
    expect![[r#"
        settings: it has 1 tables and no migration history; the migrated database that was here before is gone; nothing was changed. Next: to have it back, run `bootmigrate snapshot restore v40-1 --db settings --yes`; this file is then kept in quarantine. [BM-16 settings ?>40]
    "#]].assert_eq(&tidy(&device, &operation.ran.stderr));
    let status = device.run(&["status"]).stdout;
    let snapshot = status
        .split_whitespace()
        .find(|word| word.starts_with("v40-"))
        .unwrap_or_else(|| panic!("{status}"))
        .trim_end_matches(',')
        .to_owned();
    let ran = device.run(&["snapshot", "restore", &snapshot, "--db", "settings", "--yes"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()).unwrap(), rows);
}
