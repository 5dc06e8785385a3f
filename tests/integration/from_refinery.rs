//! Owns the test of `examples/from_refinery`: a product with refinery's own macro, built as it
//! stands in a repository of its own.
//! Promises: refinery itself writes the database that is taken over, and reads the one that is
//! left.
//! Never uses the network: what it compiles is what these tests were compiled of.

use crate::oracle;
use crate::program::{finish, runner};
use refinery::{Runner, Target};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The product's program, in the folder where these tests are built.
fn program() -> PathBuf {
    if let Some(other) = std::env::var_os("BOOTMIGRATE_UNDER_TEST") {
        return other.into();
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(home())
        .args(["build", "--quiet", "--locked", "--offline", "--target-dir"])
        .arg(target);
    // As the workspace compiles it, so that nothing is compiled twice.
    for setting in [
        "debug=\"line-tables-only\"",
        "package.\"*\".debug=false",
        "package.libsqlite3-sys.opt-level=2",
    ] {
        command.args(["--config", &format!("profile.dev.{setting}")]);
    }
    let output = command.env_remove("RUSTFLAGS").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("debug/from-refinery")
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/from_refinery")
}

#[test]
fn a_product_of_refinery_boots_with_two_lines_changed() {
    let program = program();
    let root = tempfile::tempdir().unwrap();
    let main = root.path().join("var/lib/product/notes.db");
    std::fs::create_dir_all(main.parent().unwrap()).unwrap();
    let files = refinery::load_sql_migrations(home().join("migrations")).unwrap();
    let mut connection = Connection::open(&main).unwrap();
    Runner::new(&files).set_target(Target::Version(1)).run(&mut connection).unwrap();
    connection.execute("INSERT INTO note (text) VALUES ('kept')", []).unwrap();
    drop(connection);
    let run = |words: &[&str]| {
        let mut line: Vec<std::ffi::OsString> = runner();
        line.push(program.clone().into());
        line.extend(words.iter().map(Into::into));
        line.extend(["--root".into(), root.path().into()]);
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).env_remove("JOURNAL_STREAM");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command)
    };
    let ran = run(&["run"]);
    assert_eq!(
        (
            ran.exit.as_str(),
            ran.stderr
                .contains("notes: migrated from 1 to 2 (1 applied, snapshot snapshots/v1-1.db)")
        ),
        ("0", true),
        "{}",
        ran.stderr
    );
    let copy = oracle::Copy::of(&main).unwrap();
    let mut connection = copy.open();
    let note: String = connection
        .query_row("SELECT text || ' ' || color FROM note", [], |row| row.get(0))
        .unwrap();
    assert_eq!(note, "kept yellow");
    assert_eq!(Runner::new(&files).run(&mut connection).unwrap().applied_migrations().len(), 0);
    assert!(root.path().join("run/bootmigrate/ready/notes").exists());
    let before = oracle::folder(root.path());
    assert_eq!(run(&["run"]).exit, "0");
    assert_eq!(oracle::touched(&before, &oracle::folder(root.path())), "nothing");
    let status = run(&["status", "--json"]);
    assert!(status.stdout.contains("\"target\": 2"), "{}", status.stdout);
}
