//! Owns the proof that `embed`, run as a build script is, writes an expression that fits the
//! device's catalogue.
//! Promises: it runs in a process of its own, and rustc compiles what it wrote beside the real
//! `catalog.rs`.
//! Never needs cargo or another crate.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::Product;

/// Set in the child process alone.
const CHILD: &str = "BOOTMIGRATE_TEST_CHILD";

/// The build script's `main`, when this program is its own child.
#[test]
fn child_is_the_build_script() {
    match std::env::var(CHILD).as_deref() {
        Ok("stock") => bootmigrate_build::embed_nothing(),
        Ok(_) => bootmigrate_build::embed("migrations"),
        Err(_) => {}
    }
}

fn build_script(product: &Product, folder_variable: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_is_the_build_script", "--nocapture"])
        .env(CHILD, "1")
        .env("CARGO_MANIFEST_DIR", product.folder.parent().unwrap())
        .env("OUT_DIR", product.folder.parent().unwrap())
        .env(bootmigrate_build::FOLDER_VARIABLE, folder_variable)
        .output()
        .unwrap()
}

/// Compiles the written expression into a program, warnings forbidden, and returns what the program
/// prints.
fn compile_and_run(out_dir: &Path) -> String {
    for (crate_name, catalog) in
        [("bootmigrate_model", "../model/src/catalog.rs"), ("bootmigrate", "../../src/catalog.rs")]
    {
        let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join(catalog).canonicalize().unwrap();
        let library = format!("#[path = {catalog:?}]\npub mod catalog;\n");
        fs::write(out_dir.join(format!("{crate_name}.rs")), library).unwrap();
    }
    fs::write(
        out_dir.join("main.rs"),
        "fn main() { print!(\"{:?}\", bootmigrate::embedded!()) }\n",
    )
    .unwrap();
    let rustc = |arguments: &[&str]| {
        let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .current_dir(out_dir)
            .env("OUT_DIR", out_dir)
            .args(["--edition", "2021", "-D", "warnings"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    rustc(&["--crate-type", "rlib", "bootmigrate_model.rs"]);
    let model = ["-L", ".", "--extern", "bootmigrate_model=libbootmigrate_model.rlib"];
    rustc(&[&["--crate-type", "rlib", "bootmigrate.rs"], &model[..]].concat());
    rustc(&["-L", ".", "--extern", "bootmigrate=libbootmigrate.rlib", "main.rs"]);
    String::from_utf8(Command::new(out_dir.join("main")).output().unwrap().stdout).unwrap()
}

#[cfg(feature = "sqlite")]
#[test]
fn sql_that_cannot_run_stops_the_build() {
    let product = Product::with(&[("settings/V2__x.sql", "SELECT 1;\nSELCT 1;\n")]);
    let output = build_script(&product, "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("migrations/settings/V2__x.sql:2:1: near \"SELCT\": syntax error"),
        "{said}"
    );
}

#[test]
fn what_is_written_compiles_and_says_the_same() {
    let product = Product::with(&[
        (
            "settings/V2__x.sql",
            "-- bootmigrate: foreign-keys = on\n-- bootmigrate: expect = SELECT 'ä\"' WHERE 0\n-- \
             bootmigrate: needs-space = 2.0\nSELECT '\\';\n",
        ),
        ("settings/V2__x.down.sql", "SELECT 2;\n"),
        ("settings/data/V1__d.sql", "-- bootmigrate: batch\nSELECT 1;\n"),
    ]);
    let output = build_script(&product, "");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    for watched in [
        "",
        "/bootmigrate.toml",
        "/settings",
        "/settings/V2__x.down.sql",
        "/settings/data",
        "/settings/data/V1__d.sql",
    ] {
        let line = format!("cargo:rerun-if-changed={}{watched}\n", product.folder.display());
        assert!(said.contains(&line), "{line}{said}");
    }
    assert!(said.contains("cargo:rerun-if-env-changed=BOOTMIGRATE_MIGRATIONS\n"), "{said}");
    assert!(said.contains("cargo:warning=migrations/migrations.lock: there is none"), "{said}");
    let printed = compile_and_run(product.folder.parent().unwrap());
    for part in [
        "file: \"settings/V2__x.sql\"",
        "SELECT '\\\\';\\n\", statements: 1, down: Some(\"SELECT 2;\\n\")",
        "foreign_keys: On",
        "expect: [Expect { query: \"SELECT 'ä\\\"' WHERE 0\", line: 2 }]",
        "needs_space_percent: Some(200)",
        "batch: true",
    ] {
        assert!(printed.contains(part), "{part}\n{printed}");
    }
}

/// The build script of the stock binary.
#[test]
fn nothing_compiles_too() {
    let out_dir = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_is_the_build_script", "--nocapture"])
        .envs([(CHILD, "stock".as_ref()), ("OUT_DIR", out_dir.path().as_os_str())])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("cargo:rerun-if-env-changed=BOOTMIGRATE_MIGRATIONS\n"), "{said}");
    assert_eq!(
        compile_and_run(out_dir.path()),
        format!(
            "Embedded {{ configuration: \"\", version: {:?}, configuration_file: \"\", settings: \
             None, databases: [] }}",
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn every_problem_is_a_line_and_the_build_fails() {
    let product = Product::with(&[("settings/V2__x.sql", "BEGIN;\nVACUUM;\n")]);
    let output = build_script(&product, "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!(said.trim_end(), product.said());
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_environment_names_another_folder() {
    let (product, other) = (Product::with(&[]), Product::with(&[("settings/V2__x.sql", "BEGIN;")]));
    let output = build_script(&product, other.folder.to_str().unwrap());
    assert!(String::from_utf8(output.stderr)
        .unwrap()
        .starts_with("migrations/settings/V2__x.sql:1:1: "));
}
