//! Owns the two programs: the firmware of today's sources, and that of each earlier commit named in
//! `tests/slots-firmware.txt`.
//! Promises: an earlier one is built from the commit itself, with its own lock file, once; where
//! that cannot be, why in one sentence.
//! Never builds today's sources under an earlier name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const NAMED: &str = include_str!("../../../../tests/slots-firmware.txt");
/// How the integration tests build them, too.
const CHEAPLY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/slots-firmware.toml");
/// The lab's own folder.
const LAB: &str = env!("CARGO_MANIFEST_DIR");

/// The commits of the earlier releases, oldest first.
pub fn commits() -> Vec<&'static str> {
    NAMED.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// What it is called in a figure and in the name of a state.
pub fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}

/// The tree that this program was built from.
fn tree() -> PathBuf {
    Path::new(LAB).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

/// The folder of everything that is compiled: the one that this program lies in.
fn target() -> PathBuf {
    let program = std::env::current_exe().ok();
    program
        .as_deref()
        .and_then(|program| program.parent()?.parent())
        .map_or_else(|| tree().join("target"), Path::to_path_buf)
}

/// The firmware of today's sources, which reads its folder when it starts.
///
/// # Errors
/// It cannot be built.
pub fn today() -> Result<PathBuf, String> {
    build(&tree(), &target(), &[])
}

/// The integration tests build it in the same place: whoever comes first builds it.
fn folder() -> PathBuf {
    target().join("tmp/older")
}

fn kept(commit: &str) -> PathBuf {
    folder().join(format!("firmware-{commit}"))
}

/// Why this commit cannot be had here; `None` where it can.
pub fn missing(commit: &str) -> Option<String> {
    let known = || {
        git(&["cat-file", "-e", &format!("{commit}^{{commit}}")])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if kept(commit).exists() || known() {
        return None;
    }
    Some(format!(
        "commit {} is not in this clone's history; `git fetch --unshallow` brings it",
        short(commit)
    ))
}

/// The firmware of this commit.
///
/// # Errors
/// The commit cannot be unpacked or built.
pub fn earlier(commit: &str) -> Result<PathBuf, String> {
    let (folder, kept) = (folder(), kept(commit));
    if kept.exists() {
        return Ok(kept);
    }
    let sources = folder.join(commit);
    if !sources.join("Cargo.toml").exists() {
        extract(commit, &sources)?;
    }
    let built = build(&sources, &folder.join("built"), &["--config", CHEAPLY])?;
    fs::copy(&built, &kept).map_err(|error| format!("{}: {error}", kept.display()))?;
    Ok(kept)
}

fn git(arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(tree()).args(arguments);
    command
}

/// The files of this commit and nothing else.
fn extract(commit: &str, to: &Path) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{}: {error}", to.display());
    fs::create_dir_all(to).map_err(said)?;
    let mut archive =
        git(&["archive", "--format=tar", commit]).stdout(Stdio::piped()).spawn().map_err(said)?;
    let from = archive.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let unpacked =
        Command::new("tar").arg("-x").arg("-C").arg(to).stdin(from).status().map_err(said)?;
    let archived = archive.wait().map_err(said)?;
    if unpacked.success() && archived.success() {
        return Ok(());
    }
    // Half of a tree is no tree.
    let _ = fs::remove_dir_all(to);
    Err(format!("commit {} cannot be unpacked with git archive and tar", short(commit)))
}

fn build(tree: &Path, target: &Path, more: &[&str]) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(tree)
        .args(["build", "--quiet", "--locked", "--package", "bootmigrate", "--example", "firmware"])
        .args(more);
    command.env("CARGO_TARGET_DIR", target).env_remove("RUSTFLAGS");
    let output = command.output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let line =
            words.lines().find(|line| line.starts_with("error")).unwrap_or("cargo says no more");
        return Err(format!("{} cannot be built: {line}", tree.display()));
    }
    Ok(target.join("debug/examples/firmware"))
}
