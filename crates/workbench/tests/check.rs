//! Owns the judgement of `check`: what it must find, and that the example product has none of it.
//! Promises: each product is good for the build, and wrong only with rows.
//! Never waits, and shares no folder.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use common::{Product, Ran};
use expect_test::{expect, Expect};

const CONFIGURATION: &str =
    "[databases.settings]\npath = \"/var/lib/product/settings.db\"\nsqlite_min = \"3.40\"\n";
const FIRST: &str = "CREATE TABLE site (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE sensor (id INTEGER PRIMARY KEY, site_id INTEGER NOT NULL REFERENCES site (id), label \
                     TEXT);";

#[track_caller]
fn check(later: &[(&str, &str)], arguments: &[&str], expected: Expect) {
    let product =
        Product::with(&[("bootmigrate.toml", CONFIGURATION), ("settings/V1__first.sql", FIRST)]);
    product.release();
    later.iter().for_each(|(name, text)| product.write(&format!("settings/{name}"), text));
    let arguments: Vec<&str> =
        ["check", "--rows", "8"].into_iter().chain(arguments.iter().copied()).collect();
    let Ran { code, out, err } = product.run(&arguments);
    expected.assert_eq(&format!("{out}{err}(exit code {code})\n"));
}

#[test]
fn the_example_product_is_well() {
    let found = Product::example().run(&["check"]);
    let expected = expect![[r#"
        settings: from nothing and from 14 versions with 20 rows a table, 13 ways back: all well
        telemetry: from nothing and from 4 versions with 20 rows a table, 4 ways back: all well
    "#]];
    assert_eq!((found.code, found.err.as_str()), (0, ""), "{}", found.out);
    expected.assert_eq(&found.out);
}

#[test]
fn a_migration_that_rows_stop() {
    check(
        &[("V2__unique.sql", "CREATE UNIQUE INDEX by_label ON sensor (label);")],
        &[],
        expect![[r#"
            migrations/settings/V2__unique.sql: BM101 boot-fails: settings: settings/V2__unique.sql:1:1: UNIQUE constraint failed: sensor.label (SQLite 2067), in statement 1 of 1; the database is whole at version 1. Next: install firmware in which this migration works; this one is tried 2 more times. [BM-10 settings 1>2 V2:1]
            settings: from nothing and from 1 version with 8 rows a table, 0 ways back: 1 wrong
            (exit code 1)
        "#]],
    );
}

#[test]
fn rows_that_a_migration_loses() {
    let deletes = "DELETE FROM sensor WHERE label IS NULL;";
    check(
        &[("V2__tidy.sql", deletes), ("V3__column.sql", "ALTER TABLE site ADD COLUMN zone TEXT;")],
        &[],
        expect![[r#"
            migrations/settings/V2__tidy.sql: BM103 rows-lost: sensor had 8 rows, and has 6
            settings: from nothing and from 1 version with 8 rows a table, 0 ways back: 1 wrong
            (exit code 1)
        "#]],
    );
    let allowed = format!(
        "-- bootmigrate: allow = BM103 because a sensor without a label was never \
         installed\n{deletes}"
    );
    check(
        &[("V2__tidy.sql", &allowed)],
        &[],
        expect![[r#"
            settings: from nothing and from 1 version with 8 rows a table, 0 ways back: all well
            (exit code 0)
        "#]],
    );
}

#[test]
fn one_boot_and_many() {
    let product =
        Product::with(&[("bootmigrate.toml", CONFIGURATION), ("settings/V1__first.sql", FIRST)]);
    product.release();
    let random = "CREATE TABLE note (id INTEGER PRIMARY KEY, made INTEGER NOT NULL);\nINSERT INTO \
                  note (made) SELECT random() FROM site;";
    product.write("settings/V2__note.sql", random);
    let Ran { code, out, .. } = product.run(&["check"]);
    let begins =
        "migrations/settings/V2__note.sql: BM102 boots-differ: from version 1: note: id=1, made=";
    assert!(
        code == 1 && out.starts_with(begins) && out.contains(" after one boot, id=1, made="),
        "{out}"
    );
}

#[test]
fn a_way_back_that_loses() {
    check(
        &[
            (
                "V2__zone.sql",
                "ALTER TABLE site ADD COLUMN zone TEXT NOT NULL DEFAULT 'UTC';\nUPDATE sensor SET \
                 label = 'none' WHERE label IS NULL;",
            ),
            (
                "V2__zone.down.sql",
                "ALTER TABLE site DROP COLUMN zone;\nDELETE FROM sensor WHERE label = 'none';",
            ),
        ],
        &[],
        expect![[r#"
            migrations/settings/V2__zone.down.sql: BM104 way-back-differs: sensor had 8 rows, and has 6
            migrations/settings/V2__zone.down.sql: BM104 way-back-differs: sensor: id=4, label='none', site_id=4 after up alone
            settings: from nothing and from 1 version with 8 rows a table, 1 way back: 2 wrong
            (exit code 1)
        "#]],
    );
}

/// What `schema --write` has written is in git, and a later edit makes another schema.
#[test]
fn a_schema_in_git_that_is_another() {
    let product =
        Product::with(&[("bootmigrate.toml", CONFIGURATION), ("settings/V1__first.sql", FIRST)]);
    product.write("settings/V2__zone.sql", "CREATE TABLE zone (\n  id INTEGER PRIMARY KEY\n);");
    let well = "settings: from nothing and from 2 versions with 20 rows a table, 0 ways back: all \
                well\n";
    assert_eq!(product.run(&["check"]).out, well);
    assert_eq!(product.run(&["schema", "--write", "schema"]).code, 0);
    assert_eq!(product.run(&["check"]).out, well);
    product.write("settings/V2__zone.sql", "CREATE TABLE zone (\n  id TEXT PRIMARY KEY\n);");
    product.write("settings/V3__more.sql", "CREATE TABLE more (id INTEGER PRIMARY KEY);");
    let found = product.run(&["check"]);
    expect![[r#"
        schema/settings/V2.sql:4: BM107 schema-differs: `  id INTEGER PRIMARY KEY` stands here, and the migrations make `  id TEXT PRIMARY KEY`; run `bootmigrate-workbench schema --write schema`
        schema/settings/V3.sql: BM107 schema-differs: there is no such file; run `bootmigrate-workbench schema --write schema`
        settings: from nothing and from 3 versions with 20 rows a table, 0 ways back: 2 wrong
    "#]]
    .assert_eq(&found.out);
    assert_eq!(found.code, 1);
    product.run(&["schema", "--write", "schema"]);
    assert_eq!(product.run(&["check"]).code, 0);
}

#[test]
fn a_table_that_takes_no_generated_row_gets_the_teams() {
    let check_sum = "CREATE TABLE card (id INTEGER PRIMARY KEY, number TEXT NOT NULL CHECK \
                     (hex(number) = '616263' || hex('d')));";
    check(
        &[("V2__card.sql", check_sum)],
        &["--all"],
        expect![[r#"
        settings: no row fits card at version 2 (CHECK constraint failed: hex(number) = '616263' || hex('d')); write --fixtures
        settings: from nothing and from 2 versions with 8 rows a table, 0 ways back: all well
        (exit code 0)
    "#]],
    );
    let product =
        Product::with(&[("bootmigrate.toml", CONFIGURATION), ("settings/V1__card.sql", check_sum)]);
    std::fs::create_dir_all(product.path().join("rows/settings")).unwrap();
    std::fs::write(
        product.path().join("rows/settings/V1.sql"),
        "INSERT INTO card (number) VALUES ('abcd');",
    )
    .unwrap();
    expect![[r#"
        settings: from nothing and from 1 version with 20 rows a table, 0 ways back: all well
    "#]]
    .assert_eq(&product.run(&["check", "--fixtures", "rows"]).out);
}
