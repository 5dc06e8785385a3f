//! Owns the judgement of `certificate`: what it says of a good change, and of one that a reviewer
//! must see.
//! Promises: numbers that another machine would change are left out of the comparison.
//! Never posts anything.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::Product;

const CONFIGURATION: &str = "[databases.notes]\npath = \"/var/lib/notes/notes.db\"\n";
const FIRST: &str = "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n";

fn notes(files: &[(&str, &str)]) -> Product {
    let product =
        Product::with(&[("bootmigrate.toml", CONFIGURATION), ("notes/V1__first.sql", FIRST)]);
    product.release();
    files.iter().for_each(|(name, text)| product.write(&format!("notes/{name}"), text));
    product
}

/// The exit code and the comment.
fn certificate(product: &Product) -> (i32, String) {
    let cuts = product.run(&["power-cuts", "--states", "20", "--rows", "2", "--json", "cuts.json"]);
    assert!(cuts.err.is_empty(), "{cuts:?}");
    let made = product.run(&[
        "certificate",
        "--power-cuts",
        "cuts.json",
        "--rows",
        "50",
        "-o",
        "certificate.md",
    ]);
    assert!(made.err.is_empty(), "{made:?}");
    (made.code, fs::read_to_string(product.path().join("certificate.md")).unwrap())
}

#[test]
fn a_good_change() {
    let added =
        "ALTER TABLE note ADD COLUMN mood TEXT;\nCREATE TABLE tag (id INTEGER PRIMARY KEY, word \
         TEXT NOT NULL);\n";
    let back = "DROP TABLE tag;\nALTER TABLE note DROP COLUMN mood;\n";
    let (code, text) = certificate(&notes(&[("V2__mood.sql", added), ("V2__mood.down.sql", back)]));
    assert_eq!(code, 0, "{text}");
    for part in [
        "<!-- bootmigrate-certificate -->\n## bootmigrate: this change is fit for devices\n\n### ✅ \
         `notes`: V1 to V2\n\n| | |\n|---|---|\n",
        "| Power cuts | ✅ safe at ",
        "| Upgrade with rows | ✅ notes: migrated from 1 to 2 (1 applied",
        "| Rows | tag: no table → 0 |",
        "| The release before on the result | ✅ starts: it goes back by the stored way back |",
        "| Space beside the database | ",
        "| Lints | ✅ no finding |",
        "```diff\n+ ",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn a_change_that_a_reviewer_must_see() {
    let (code, text) = certificate(&notes(&[(
        "V2__tidy.sql",
        "DELETE FROM note;\nCREATE TABLE more (id INTEGER PRIMARY KEY);\n",
    )]));
    assert_eq!(code, 1, "{text}");
    for part in [
        "## bootmigrate: look at this change before it reaches a device\n\n### ❌ `notes`: V1 to \
         V2\n",
        "| Rows | ⚠️ 50 rows fewer; more: no table → 0, note: 50 → 0 |",
        "| The release before on the result | ⚠️ does not start: ",
        "| Lints | ❌ ",
        "- `migrations/notes/V2__tidy.sql:1` BM024 no-where: ",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let (code, text) = certificate(&notes(&[(
        "V2__same.sql",
        "CREATE UNIQUE INDEX one ON note (length(text) > 0);\n",
    )]));
    assert!(
        code == 1
            && text.contains(
                "| Upgrade with rows | ❌ notes: notes/V2__same.sql:1:1: UNIQUE constraint failed"
            ),
        "{text}"
    );
    assert!(
        text.contains("safe at 0 of 0 instants")
            || text.contains("; not every upgrade could be judged |"),
        "{text}"
    );
}

/// On a disk with less room than the upgrade asks for there is no result for the release before.
#[test]
fn a_disk_that_is_too_small() {
    let more = "-- bootmigrate: needs-space = 100\nALTER TABLE note ADD COLUMN mood TEXT;\n";
    let product = notes(&[("V2__mood.sql", more)]);
    product.run(&["power-cuts", "--states", "20", "--rows", "2", "--json", "cuts.json"]);
    std::fs::create_dir(product.path().join("small")).unwrap();
    let script = "mount -t tmpfs -o size=4m none small && TMPDIR=$PWD/small exec \"$0\" \
                  certificate --power-cuts cuts.json --rows 2000";
    let made = std::process::Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(env!("CARGO_BIN_EXE_bootmigrate-workbench"))
        .env_remove("BOOTMIGRATE_MIGRATIONS")
        .current_dir(product.path())
        .output()
        .unwrap();
    let text = String::from_utf8(made.stdout.clone()).unwrap();
    assert_eq!(made.status.code(), Some(1), "{made:?}");
    for part in [
        "### ❌ `notes`: V1 to V2\n",
        "| Upgrade with rows | ❌ notes: ",
        "| The release before on the result | not tried, since there is no upgrade: notes: ",
        "[BM-14 notes 1>2] |",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

/// A file of power cuts that is older than the migrations is refused.
#[test]
fn power_cuts_of_another_version() {
    let product = notes(&[("V2__mood.sql", "ALTER TABLE note ADD COLUMN mood TEXT;\n")]);
    certificate(&product);
    product.write("notes/V3__more.sql", "ALTER TABLE note ADD COLUMN more TEXT;\n");
    let found = product.run(&["certificate", "--power-cuts", "cuts.json"]);
    let expected = "bootmigrate-workbench: the power cuts are of notes at version 2, and it is at \
                    3; run `power-cuts --json` again\n";
    assert_eq!((found.code, found.err.as_str()), (2, expected));
}
