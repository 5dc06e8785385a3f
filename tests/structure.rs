//! Owns the rules of the structure that a compiler does not check: arrows, rooms, sizes, widths,
//! openings, words.
//! Promises: no list of exceptions; every rule is fed a bad file of its own and must report it.
//! Never looks outside `src`, `crates`, `tests` and `examples`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

#[path = "structure/circles.rs"]
mod circles;
#[path = "structure/rules.rs"]
mod rules;
#[path = "structure/text.rs"]
mod text;

use rules::violations;
use std::fs;
use std::path::Path;

#[test]
fn the_tree_keeps_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = violations(root);
    assert!(found.is_empty(), "{} rules broken:\n{}", found.len(), found.join("\n"));
    let files = rules::files(root).len();
    assert!(files >= 40, "only {files} files were found: the rules were not really asked");
}

/// What is set in the environment counts instead of `.cargo/config.toml`.
#[test]
fn whatever_sets_sqlites_options_sets_all_of_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = fs::read_to_string(root.join(".cargo/config.toml")).unwrap();
    let flags = config.lines().find_map(|line| line.strip_prefix("LIBSQLITE3_FLAGS = ")).unwrap();
    let options: Vec<&str> = flags.trim_matches('"').split(' ').collect();
    let places = [
        ("scripts/lib/cross.sh", 1),
        ("Cross.toml", 2),
        ("packaging/yocto/meta-bootmigrate/recipes-support/bootmigrate/bootmigrate_git.bb", 1),
        ("packaging/yocto/meta-bootmigrate/recipes-devtools/bootmigrate-workbench/bootmigrate-workbench_git.bb", 1),
        ("packaging/buildroot/package/bootmigrate/bootmigrate.mk", 1),
        ("examples/product/.cargo/config.toml", 1),
        ("examples/from_refinery/.cargo/config.toml", 1),
    ];
    for (path, wanted) in places {
        let text = fs::read_to_string(root.join(path)).unwrap();
        let sets = |line: &&str| {
            line.contains("SQLITE3_FLAGS=\"")
                || line.contains("SQLITE3_FLAGS = \"")
                || line.contains("SQLITE_FLAGS = \"")
        };
        let all = |line: &&str| sets(line) && options.iter().all(|option| line.contains(option));
        let (some, whole) = (text.lines().filter(sets).count(), text.lines().filter(all).count());
        assert_eq!(
            (some, whole),
            (wanted, wanted),
            "{path} sets SQLite's options, and not those of .cargo/config.toml: {options:?}"
        );
    }
}

const HEAD: &str = "//! Owns a sample.\n//! Promises: nothing.\n//! Never anything.\n\n";

/// One bad file in an empty structure; its rule must be reported, and no other.
#[track_caller]
fn reported(path: &str, text: &str, rule: &str) {
    let structure = tempfile::tempdir().unwrap();
    let file = structure.path().join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    let found = violations(structure.path());
    assert!(
        found.len() == 1 && found[0].contains(rule) && found[0].starts_with(path),
        "{path} {rule:?}: {found:#?}"
    );
}

/// A file that keeps every rule.
#[track_caller]
fn accepted(path: &str, text: &str) {
    let structure = tempfile::tempdir().unwrap();
    let file = structure.path().join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("{HEAD}{text}")).unwrap();
    assert_eq!(violations(structure.path()), Vec::<String>::new(), "{path}");
}

#[track_caller]
fn arrow(path: &str, import: &str) {
    reported(path, &format!("{HEAD}{import}\n"), "must not use");
}

#[test]
fn arrows_that_go_up_are_reported() {
    arrow("src/decide/plan.rs", "use crate::device::disk::Disk;");
    arrow("src/decide/plan.rs", "use crate::ops::probe;");
    arrow("src/decide/plan.rs", "use crate::{config::Settings, report::Report};");
    arrow("src/decide/plan.rs", "use super::super::device::disk::Disk;");
    arrow("src/decide.rs", "use super::device::disk::Disk;");
    arrow("src/device/lock.rs", "use crate::decide::record::Record;");
    arrow("src/device/sqlite/script.rs", "use crate::decide::plan::Plan;");
    arrow("src/device/lock.rs", "fn f() -> crate::ops::Held { g() }");
    arrow("src/device.rs", "use crate::boot::boot;");
    arrow("src/ops/swap.rs", "use crate::boot::boot;");
    arrow("src/ops/swap.rs", "use crate::{\n    boot,\n    device::disk::Disk,\n};");
    arrow("src/ops/swap.rs", "use crate::commands::status;");
    arrow("src/ops/swap.rs", "use crate::report::Report;");
    arrow("src/boot.rs", "use crate::commands::status;");
    arrow("src/boot/operation.rs", "use crate::cli::Command;");
    arrow("src/error.rs", "use crate::ops::probe;");
    arrow("src/config.rs", "use crate::device::disk::Disk;");
    arrow("src/catalog.rs", "use crate::config::Settings;");
    arrow("src/cli.rs", "use crate::device::disk::Disk;");
}

#[test]
fn arrows_that_go_down_are_fine() {
    accepted("src/boot.rs", "use crate::{decide::plan::Plan, steps::swap};\n");
    accepted("src/ops/swap.rs", "use crate::device::disk::Disk;\nuse super::probe::Probed;\n");
    accepted("src/decide/plan.rs", "use crate::config::Settings;\nuse super::facts::Facts;\n");
    accepted("src/commands/status.rs", "use crate::boot::boot;\n");
    accepted(
        "src/device/lock.rs",
        "// crate::decide is named in a comment alone\nuse crate::error::Failure;\n",
    );
}

/// Files of one room may use each other, one way.
#[test]
fn circles_of_files_are_reported() {
    let circle = |files: &[(&str, &str)]| {
        let structure = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = structure.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{HEAD}{text}")).unwrap();
        }
        violations(structure.path())
    };
    let found = circle(&[
        ("src/ops/a.rs", "use crate::ops::b::{C, d};\n"),
        ("src/ops/b.rs", "use super::a::E;\n"),
    ]);
    assert!(found.len() == 1 && found[0].contains("ops::a → ops::b"), "{found:?}");
    let found = circle(&[
        ("src/ops/a.rs", "fn f() -> crate::ops::b::C { g() }\n"),
        ("src/ops/b.rs", "use crate::ops::{x, c};\n"),
        ("src/ops/c.rs", "use crate::{ops::a::Z};\n"),
    ]);
    assert!(found.len() == 1 && found[0].contains("ops::a → ops::b → ops::c"), "{found:?}");
    let straight = [
        ("src/ops/a.rs", "use crate::ops::b::C;\n"),
        ("src/ops/b.rs", "// crate::ops::a\nfn f() {}\n"),
    ];
    assert_eq!(circle(&straight), Vec::<String>::new());
}

#[test]
fn two_types_of_one_name_are_reported() {
    let structure = tempfile::tempdir().unwrap();
    fs::create_dir_all(structure.path().join("src/ops")).unwrap();
    for (file, text) in [("a", "pub struct Row<'a>(&'a str);"), ("b", "pub(crate) enum Row {\n}")] {
        let text = format!("{HEAD}{text}\nstruct Own;\n");
        fs::write(structure.path().join(format!("src/ops/{file}.rs")), text).unwrap();
    }
    let found = violations(structure.path());
    assert!(found.len() == 1 && found[0].contains("declares a type Row"), "{found:?}");
}

#[test]
fn long_lists_of_parameters_are_reported() {
    reported(
        "src/ops/probe.rs",
        &format!("{HEAD}fn f(a: u8, b: u8, c: u8, d: u8, e: (u8, u8), f: u8) {{\n}}\n"),
        "parameters",
    );
    reported(
        "crates/lab/src/disk.rs",
        &format!(
            "{HEAD}    fn f<T: X<Y>>(\n        &mut self,\n        a: A<B, C>,\n        b: \
             u8,\n        c: u8,\n        d: u8,\n        e: u8,\n        f: u8,\n    ) \
             {{\n    }}\n"
        ),
        "parameters",
    );
    accepted(
        "src/ops/probe.rs",
        "fn f(&self, a: A<B, C>, b: (u8, u8), c: &[u8], d: impl Fn(u8, u8) -> u8, e: u8) {\n}\n",
    );
}

#[test]
fn rooms_are_kept() {
    reported("src/ops/inspect.rs", &format!("{HEAD}use rusqlite::Connection;\n"), "rusqlite");
    reported(
        "src/device/lock.rs",
        &format!("{HEAD}fn f(c: &rusqlite::Connection) {{ g(c) }}\n"),
        "rusqlite",
    );
    reported(
        "src/device/history.rs",
        &format!("{HEAD}use refinery_core::Migration;\n"),
        "refinery",
    );
    accepted("src/from_refinery.rs", "use refinery_core::Migration;\n");
    reported("src/ops/prune.rs", &format!("{HEAD}use std::fs;\n"), "std::fs");
    reported("src/device/lock.rs", &format!("{HEAD}use std::{{fs, io}};\n"), "std::fs");
    reported(
        "src/lib.rs",
        &format!("{HEAD}fn f() {{\n    eprintln!(\"said\");\n}}\n"),
        "printable",
    );
    reported(
        "src/ops/prune.rs",
        &format!("{HEAD}fn f() {{\n    io::stdout().flush();\n}}\n"),
        "printable",
    );
    accepted("src/device/output.rs", "fn f() {\n    io::stderr();\n}\n");
    reported("src/decide/fallback.rs", &format!("{HEAD}use std::time::SystemTime;\n"), "pure");
    reported(
        "src/decide/fallback.rs",
        &format!("{HEAD}fn f() {{ log::info!(\"said\") }}\n"),
        "pure",
    );
    reported("src/cli.rs", &format!("{HEAD}use std::{{env, path::Path}};\n"), "pure");
    accepted("src/device/sqlite.rs", "use rusqlite::Connection;\n");
    accepted("src/device/sqlite/script.rs", "use rusqlite::Batch;\n");
    accepted("src/device/history.rs", "use rusqlite::Row;\n");
    accepted("src/device/disk/system.rs", "use std::fs;\n");
    accepted("src/ops/verify.rs", "/// As `rusqlite` says, and `std::fs`.\nfn f() {}\n");
}

#[test]
fn openings_are_kept() {
    reported("src/device/clock.rs", "//! Owns a clock.\nfn f() {}\n", "opens with three");
    reported("crates/build/src/name.rs", "fn f() {}\n", "opens with three");
    reported("crates/workbench/src/new.rs", "fn f() {}\n", "opens with three");
    reported("crates/lab/src/disk.rs", "// Not a doc comment.\nfn f() {}\n", "opens with three");
    reported("tests/integration/boots.rs", "//! One.\n//! Two.\n\nfn f() {}\n", "opens with three");
    reported("examples/firmware.rs", "", "opens with three");
}

#[test]
fn sizes_are_kept() {
    let body = "    g();\n".repeat(69);
    reported("src/boot.rs", &format!("{HEAD}pub fn boot() {{\n{body}}}\n"), "lines long");
    reported(
        "src/boot.rs",
        &format!("{HEAD}impl Boot {{\n    pub(crate) async fn boot(\n{body}    ) {{\n    }}\n}}\n"),
        "lines long",
    );
    reported("tests/kills.rs", &format!("{HEAD}#[test]\nfn kill() {{\n{body}}}\n"), "lines long");
    accepted("src/boot.rs", &format!("pub fn boot() {{\n{}}}\n", "    g();\n".repeat(68)));
    reported(
        "crates/lab/src/disk.rs",
        &format!("{HEAD}{}", "const A: u8 = 1;\n".repeat(496)),
        "500",
    );
    accepted("crates/lab/src/disk.rs", &"const A: u8 = 1;\n".repeat(495));
}

#[test]
fn widths_are_kept() {
    let wide = |before: &str, after: &str| {
        format!("{before}{}{after}\n", "x".repeat(101 - before.len() - after.len()))
    };
    for (before, after) in [("// ", ""), ("fn ", "() {}"), ("fn f() {} // \"", "\"")] {
        reported("src/boot.rs", &format!("{HEAD}{}", wide(before, after)), "columns");
    }
    reported("tests/kills.rs", &format!("{HEAD}{}", wide("/// `", "`")), "columns");
    // After a string it is code again.
    let after = format!("const A: &str = \"a\nb\";\n{}", wide("fn ", "() {}"));
    reported("src/boot.rs", &format!("{HEAD}{after}"), "columns");
    accepted("src/boot.rs", &wide("// ", "").replacen('x', "", 1));
    // Columns are characters.
    accepted("src/boot.rs", &format!("// {}\n", "…".repeat(97)));
    accepted("src/boot.rs", &wide("const A: &str = \"", "\";"));
    accepted("src/boot.rs", &format!("const A: &str = r#\"\n{}\n\"#;\n", "x".repeat(101)));
    accepted("src/boot.rs", &format!("const A: &str = \"a \\\n{}\";\n", "// x".repeat(30)));
}

#[test]
fn words_are_kept() {
    for word in [
        "a.unwrap();",
        "a.expect(\"said\");",
        "panic!(\"no\");",
        "unreachable!();",
        "unimplemented!();",
        "todo!();",
    ] {
        reported("src/ops/probe.rs", &format!("{HEAD}fn f() {{\n    {word}\n}}\n"), "we may not");
        reported(
            "crates/build/src/name.rs",
            &format!("{HEAD}fn f() {{\n    {word}\n}}\n"),
            "we may not",
        );
        reported(
            "crates/workbench/src/new.rs",
            &format!("{HEAD}fn f() {{\n    {word}\n}}\n"),
            "we may not",
        );
    }
    reported(
        "src/ops/probe.rs",
        &format!("{HEAD}// {}: later\nfn f() {{}}\n", concat!("FIX", "ME")),
        "unfinished",
    );
    reported(
        "crates/lab/src/disk.rs",
        &format!("{HEAD}fn f() {{ {}!() }}\n", concat!("to", "do")),
        "unfinished",
    );
    reported(
        "tests/integration/boots.rs",
        &format!("{HEAD}#[{}]\nfn f() {{}}\n", concat!("ig", "nore")),
        "unfinished",
    );
    let tests = "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn f() \
                 {\n        a.unwrap();\n    }\n}\n";
    accepted("src/ops/probe.rs", tests);
    reported(
        "src/ops/probe.rs",
        &format!("{HEAD}{tests}\nfn g() {{\n    a.unwrap();\n}}\n"),
        "we may not",
    );
    let after = "fn f() -> &'static str {\n    r\"\\\"\n}\n\nfn g() {\n    a.unwrap();\n}\n";
    reported("src/ops/probe.rs", &format!("{HEAD}{after}"), "we may not");
    accepted("src/decide/record_tests.rs", "fn f() {\n    a.unwrap();\n}\n");
    accepted("src/config/tests/keys.rs", "fn f() {\n    a.unwrap();\n}\n");
    accepted(
        "src/ops/probe.rs",
        "// unwrap() is not called here: panic! neither.\nfn f() -> &'static str \
         {\n    \"panic!\"\n}\n",
    );
}
