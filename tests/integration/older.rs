//! Owns the older firmware: an earlier commit of this repository, named in
//! `tests/slots-firmware.txt` and built beside the tests.
//! Promises: built once, in a worktree below `target/`, with its own sources and its own lock file;
//! its crates are there already where `scripts/test` has fetched them.
//! Never falls back to the sources of today: where the commit is not there the test fails and says
//! so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const NAMED: &str = include_str!("../slots-firmware.txt");

/// The program of the older firmware.
#[track_caller]
pub fn firmware() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).clone()
}

fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let commit = NAMED
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("older");
    let (tree, built) = (target.join(commit), target.join("built"));
    let program = built.join("debug/examples/firmware");
    let kept = target.join(format!("firmware-{commit}"));
    if kept.exists() {
        return kept;
    }
    if !tree.join("Cargo.toml").exists() {
        let tree = tree.to_string_lossy();
        run(Command::new("git").current_dir(root).args(["worktree", "prune"]));
        run(Command::new("git")
            .current_dir(root)
            .args(["worktree", "add", "--force", "--detach", &*tree, commit]));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo)
        .current_dir(&tree)
        .arg("--config")
        .arg(root.join("tests/slots-firmware.toml"))
        .args(["build", "--quiet", "--locked", "--package", "bootmigrate", "--example", "firmware"])
        .env("CARGO_TARGET_DIR", &built)
        .env_remove("RUSTFLAGS"));
    std::fs::copy(&program, &kept).unwrap();
    kept
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
}
