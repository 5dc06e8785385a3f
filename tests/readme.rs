//! Owns the promise that the README's quick start works as it is written, for somebody who has
//! nothing but a clone beside it.
//! Promises: the lines are run as they stand, in a folder of their own; what they make is looked at
//! by SQLite.
//! Never uses the network: what it compiles is what these tests were compiled of.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::fs;
use std::path::Path;
use std::process::Command;

/// The README's block that begins with these lines.
fn block(begin: &str) -> String {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once(begin).expect("the README has this block");
    let (lines, _) = rest.split_once("```\n").unwrap();
    lines.to_owned()
}

/// As the workspace compiles, so that little is compiled twice.
const CONFIGURATION: &str = "[env]\nLIBSQLITE3_FLAGS \
                             = \"-DSQLITE_ENABLE_MATH_FUNCTIONS\"\n[net]\noffline = true\n\
                             [profile.dev]\ndebug \
                             = \"line-tables-only\"\n[profile.dev.package.\"*\"]\ndebug = \
                             false\n[profile.dev.package.libsqlite3-sys]\nopt-level = 2\n";

#[test]
fn the_quick_start_and_the_library_example_work_as_written() {
    let lines = block("<!-- tests/readme.rs runs these lines as they are -->\n```sh\n");
    assert_eq!(lines.lines().count(), 10, "{lines}");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink(env!("CARGO_MANIFEST_DIR"), at("bootmigrate")).unwrap();
    fs::create_dir(at(".cargo")).unwrap();
    fs::write(at(".cargo/config.toml"), CONFIGURATION).unwrap();
    // The versions of the lock file are those that are here without a network.
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock");
    let with_lock = format!(
        "cargo() {{ command cargo \"$@\" && if [ \"$1\" = new ]; then cp '{lock}' gateway/; fi; \
         }}\n{lines}"
    );
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let run = |lines: &str, at: &Path| {
        let mut shell = Command::new("sh");
        shell.args(["-euc", lines]).current_dir(at).env("CARGO_TARGET_DIR", target);
        for variable in ["RUSTFLAGS", "JOURNAL_STREAM", "RUN_MIGRATIONS", "BOOTMIGRATE_MIGRATIONS"]
        {
            shell.env_remove(variable);
        }
        shell.output().unwrap()
    };
    let output = run(&with_lock, folder.path());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("[BM-0 settings 0>1]"), "the first run: {told}");
    let status = String::from_utf8_lossy(&output.stdout);
    assert!(status.contains("settings"), "{status}");
    let database =
        rusqlite::Connection::open(at("gateway/device/var/lib/settings/settings.db")).unwrap();
    database.execute("INSERT INTO wifi (ssid) VALUES ('attic')", []).unwrap();
    // The library example boots the same device.
    let example = block("It runs what the unit runs, and reports instead of exiting:\n\n```rust\n");
    fs::write(at("gateway/src/main.rs"), example).unwrap();
    let output = run("cargo run --quiet", &at("gateway"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 networks\n", "{told}");
}
