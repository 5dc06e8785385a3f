//! Owns a bad example and its corrected form for every lint, as files in `lints/CODE`.
//! Promises: the bad one gives exactly what `expected.txt` says, the good one nothing at all.
//! Never leaves a lint without the two.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Product, Ran};
use expect_test::expect_file;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lints")
}

fn codes() -> BTreeSet<String> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// The file of a lint, else the one of all lints.
fn text(code: &str, name: &str) -> Option<String> {
    let own = folder().join(code).join(name);
    fs::read_to_string(own).or_else(|_| fs::read_to_string(folder().join(name))).ok()
}

/// Lints a product whose second version is this example.
fn lint(code: &str, example: &str) -> Ran {
    let read = |name: &str| text(code, name).unwrap();
    let product = Product::with(&[
        ("bootmigrate.toml", &read("bootmigrate.toml")),
        ("settings/V1__before.sql", &read("before.sql")),
    ]);
    product.release();
    product.write("settings/V2__change.sql", &read(&format!("{example}.sql")));
    if let Some(down) = text(code, &format!("{example}.down.sql")) {
        product.write("settings/V2__change.down.sql", &down);
    }
    product.run(&["lint"])
}

#[test]
fn a_bad_example_is_caught() {
    let mut missed = Vec::new();
    for code in codes() {
        let found = lint(&code, "bad");
        assert!(found.code == 1 && found.err.is_empty(), "{code}: {found:?}");
        expect_file![folder().join(&code).join("expected.txt")].assert_eq(&found.out);
        if !found.out.contains(&format!(": {code} ")) {
            missed.push(format!("{code} is not among:\n{}", found.out));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn its_mended_twin_is_not() {
    let quiet = Ran { code: 0, out: "No finding.\n".into(), err: String::new() };
    let alarms: Vec<(String, Ran)> =
        codes().into_iter().map(|code| (code.clone(), lint(&code, "good"))).collect();
    let false_alarms: Vec<_> = alarms.iter().filter(|(_, ran)| *ran != quiet).collect();
    assert!(
        false_alarms.is_empty() && alarms.len() >= 40,
        "{} of {}: {false_alarms:#?}",
        false_alarms.len(),
        alarms.len()
    );
}

#[test]
fn every_lint_has_an_example_and_a_line_in_the_list() {
    let listed = Product::with(&[]).run(&["lint", "--list"]).out;
    let known: BTreeSet<String> = listed
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| BM")?.split_once(' ').map(|(number, _)| format!("BM{number}"))
        })
        .collect();
    assert!(known.len() >= 40, "{known:?}");
    assert_eq!(known, codes());
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lints.md"))
            .unwrap();
    assert!(
        page.ends_with(&listed),
        "docs/lints.md does not end with what `bootmigrate-workbench lint --list` prints"
    );
}

/// Every file of the example product, the released ones too.
#[test]
fn the_example_product_gives_no_finding() {
    let found = Product::example().run(&["lint", "--all"]);
    assert_eq!(found, Ran { code: 0, out: "No finding.\n".into(), err: String::new() });
}

/// A rebuild of which each statement is a file of its own, as generators write it.
#[test]
fn a_rebuild_over_several_files_gives_no_finding() {
    let product =
        Product::with(&[("bootmigrate.toml", &text("BM024", "bootmigrate.toml").unwrap())]);
    let files = [
        "CREATE TABLE card (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE);",
        "CREATE TABLE card_new (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE COLLATE NOCASE);",
        "INSERT INTO card_new (id, code) SELECT id, min(code) FROM card GROUP BY code COLLATE \
         NOCASE;",
        "DROP TABLE card;",
        "ALTER TABLE card_new RENAME TO card;",
    ];
    for (number, sql) in files.iter().enumerate() {
        product.write(&format!("settings/V{}__step.sql", number + 1), &format!("{sql}\n"));
    }
    let found = product.run(&["lint"]);
    assert_eq!(found, Ran { code: 0, out: "No finding.\n".into(), err: String::new() });
    // Without the last of them, the rows are gone.
    fs::remove_file(product.migrations().join("settings/V5__step.sql")).unwrap();
    assert!(product.run(&["lint"]).out.contains("BM022 drops-table"));
}

/// The same finding in each form that a program reads.
#[test]
fn the_forms_for_programs_are_read() {
    let read = |name: &str| text("BM024", name).unwrap();
    let product = Product::with(&[
        ("bootmigrate.toml", &read("bootmigrate.toml")),
        ("settings/V1__before.sql", &read("before.sql")),
    ]);
    product.release();
    product.write("settings/V2__change.sql", &read("bad.sql"));
    let json: serde_json::Value =
        serde_json::from_str(&product.run(&["lint", "--format", "json"]).out).unwrap();
    assert_eq!(
        (json["code"].as_str(), json["line"].as_u64(), json["column"].as_u64()),
        (Some("BM024"), Some(1), Some(1))
    );
    let sarif: serde_json::Value =
        serde_json::from_str(&product.run(&["lint", "--format", "sarif"]).out).unwrap();
    let result = sarif.pointer("/runs/0/results/0").unwrap();
    let place = result.pointer("/locations/0/physicalLocation").unwrap();
    assert_eq!(
        place.pointer("/artifactLocation/uri").unwrap(),
        "migrations/settings/V2__change.sql"
    );
    assert_eq!(
        (result["ruleId"].as_str(), place.pointer("/region/endColumn").unwrap().as_u64()),
        (Some("BM024"), Some(7))
    );
    let rules = sarif.pointer("/runs/0/tool/driver/rules").unwrap().as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["id"] == "BM024"));
    let junit = product.run(&["lint", "--format", "junit"]);
    let failed = "<testsuite name=\"lint\" tests=\"1\" failures=\"1\" time=\"0\">\n  <testcase \
                  classname=\"migrations/settings/V2__change.sql\" name=\"BM024 no-where, line 1, \
                  column 1\" time=\"0\">\n    <failure type=\"BM024\" message=\"UPDATE without WHERE";
    assert!(junit.code == 1 && junit.out.contains(failed), "{}", junit.out);
    assert!(
        junit.out.contains("\nwhy: ") && junit.out.ends_with("</testsuite>\n"),
        "{}",
        junit.out
    );
    let github = product.run(&["lint", "--format", "github"]);
    let begins = "::warning file=migrations/settings/V2__change.sql,line=1,col=1,title=BM024 \
                  no-where::UPDATE without WHERE";
    assert!(
        github.code == 1 && github.out.starts_with(begins) && github.out.lines().count() == 1,
        "{}",
        github.out
    );
    product.write("settings/V2__change.sql", &read("good.sql"));
    let none = product.run(&["lint", "--format", "junit"]);
    let well = " tests=\"1\" failures=\"0\" ";
    assert!(none.code == 0 && none.out.contains(well), "{}", none.out);
}

/// What is said of V2, beside this V1.
fn of_two(keys: &str, first: &str, second: &str) -> Ran {
    let product = Product::with(&[
        ("bootmigrate.toml", &format!("[databases.settings]\npath = \"/data/a.db\"\n{keys}")),
        ("settings/V1__first.sql", first),
    ]);
    product.release();
    product.write("settings/V2__second.sql", second);
    product.run(&["lint"])
}

/// Values that are equal stay equal where another column of the table is unique, or its key a text.
#[test]
fn a_second_unique_index_meets_equal_values() {
    for table in [
        "account (id INTEGER PRIMARY KEY, login TEXT NOT NULL UNIQUE, email TEXT)",
        "account (login TEXT PRIMARY KEY, email TEXT)",
        "account (login TEXT PRIMARY KEY, email TEXT) WITHOUT ROWID",
    ] {
        let first = format!("CREATE TABLE {table};\n");
        let second = "CREATE UNIQUE INDEX account_email ON account (email);\n";
        let found = of_two("", &first, second);
        assert!(found.out.contains(": BM015 "), "{table}: {found:?}");
    }
}

/// A key that fits nothing keeps rows out of its own table alone.
#[test]
fn a_foreign_key_that_fits_nothing_switches_no_lint_off() {
    let first = "CREATE TABLE a (x INTEGER);\nCREATE TABLE b (x INTEGER REFERENCES a (x));\n\
                 CREATE TABLE account (id INTEGER PRIMARY KEY, mail TEXT);\n";
    let found =
        of_two("baseline_version = 1\n", first, "CREATE UNIQUE INDEX mail ON account (mail);\n");
    assert!(found.out.contains(": BM015 "), "{found:?}");
}

/// Older firmware uses the result as it is.
#[test]
fn what_is_compatible_needs_no_way_back() {
    let second = |directive: &str| {
        let sql = format!("{directive}ALTER TABLE t ADD COLUMN a TEXT;\n");
        let keys = "on_newer = [\"compatible\", \"downgrade\"]\n";
        of_two(keys, "CREATE TABLE t (id INTEGER PRIMARY KEY);\n", &sql)
    };
    assert!(second("").out.contains(": BM040 "));
    let found = second("-- bootmigrate: compatible-from = 1\n");
    assert!(!found.out.contains("BM040"), "{found:?}");
}
