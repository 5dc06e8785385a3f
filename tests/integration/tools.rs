//! Owns the tests of products that come from another migration tool: one boot takes the database
//! over and migrates it, without a human.
//! Promises: what the tool left is text in `tests/adoption`, made by the real tool where its first
//! line says so; every row is compared.
//! Never writes a tool's history itself.

use crate::adoption::left_by;
use crate::dump::perform;
use crate::oracle;

/// A device that the tool left at its third migration boots a firmware with two more, twice.
#[track_caller]
fn taken_over(left: &str, adopt: &str) {
    let device = left_by(left, 41, adopt);
    let old = oracle::content(&device.main()).unwrap();
    assert_eq!((old.rows["parent"], old.rows["child"]), (2000, 2000));
    let want = device.expectations(&device.databases[0]).new;
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    assert!(ran.stderr.contains("[BM-0 settings 30>41]"), "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()).ok(), want);
    assert_eq!(
        oracle::complaints(&device.main(), &device.firmware_folder(), "settings"),
        Vec::<String>::new()
    );
    let again = perform(&device, &["run"]);
    assert_eq!(
        (again.ran.exit.as_str(), again.touched.as_str()),
        ("0", "nothing"),
        "{}",
        again.ran.stderr
    );
}

#[test]
fn taken_over_from_an_older_refinery() {
    taken_over(include_str!("../adoption/refinery.sql"), "");
}

#[test]
fn taken_over_from_rusqlite_migration() {
    // It counts its migrations.
    taken_over(
        include_str!("../adoption/rusqlite_migration.sql"),
        "{ from = \"rusqlite_migration\", versions = { 1 = 10, 2 = 20, 3 = 30 } }",
    );
}

#[test]
fn taken_over_from_diesel() {
    taken_over(include_str!("../adoption/diesel.sql"), "\"diesel\"");
}

#[test]
fn taken_over_from_dbmate() {
    taken_over(include_str!("../adoption/dbmate.sql"), "\"dbmate\"");
}

#[test]
fn taken_over_from_sqlx() {
    taken_over(include_str!("../adoption/sqlx.sql"), "\"sqlx\"");
}

#[test]
fn taken_over_from_goose() {
    taken_over(include_str!("../adoption/goose.sql"), "\"goose\"");
}

#[test]
fn taken_over_from_golang_migrate() {
    taken_over(include_str!("../adoption/golang-migrate.sql"), "\"golang-migrate\"");
}

#[test]
fn taken_over_from_ecto() {
    taken_over(include_str!("../adoption/ecto.sql"), "\"ecto\"");
}
