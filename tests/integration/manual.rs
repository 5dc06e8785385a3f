//! Owns trying the manual: every command of docs/manual.md, from top to bottom, in an empty folder,
//! as a new user would.
//! Promises: what stands below a command is what it printed; UPDATE_EXPECT=1 rewrites it.
//! Never runs a block that does not begin with `$`.

use crate::device::{Program, TestDevice};
use crate::program::{finish, runner};
use expect_test::expect_file;
use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;

/// The manual with the answers of this program below its commands.
fn tried(manual: &str) -> String {
    let mut device = TestDevice::empty(10);
    device.program = Program::Product;
    let folder = tempfile::tempdir().unwrap();
    let tools = folder.path().join("bin");
    fs::create_dir(&tools).unwrap();
    put_on_path(&device.executable(), &tools.join("bootmigrate"));
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let (mut text, mut inside) = (String::new(), false);
    for line in manual.lines() {
        match (inside, line) {
            (false, _) => {
                inside = line == "```console";
                text.push_str(&format!("{line}\n"));
            }
            (true, "```") => {
                inside = false;
                text.push_str("```\n");
            }
            (true, _) => {
                let Some(typed) = line.strip_prefix("$ ") else { continue };
                let mut command =
                    device.command(&["sh", "-c", &format!("exec 2>&1; {typed}")].map(Into::into));
                command.current_dir(&home).env("PATH", &path);
                let ran = finish(command);
                let said = ran.stdout.replace(&format!("{}/", home.display()), "");
                let exit = if ran.exit == "0" {
                    String::new()
                } else {
                    format!("(exit code {})\n", ran.exit)
                };
                text.push_str(&format!("{line}\n{said}{exit}"));
            }
        }
    }
    text
}

/// A shell starts `executable` as `name`, by its emulator where it needs one.
fn put_on_path(executable: &Path, name: &Path) {
    let runner = runner();
    if runner.is_empty() {
        return symlink(executable, name).unwrap();
    }
    let words: Vec<String> =
        runner.iter().map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    fs::write(
        name,
        format!("#!/bin/sh\nexec {} '{}' \"$@\"\n", words.join(" "), executable.display()),
    )
    .unwrap();
    fs::set_permissions(name, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_manual_says_what_is_printed() {
    let manual =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/manual.md")).unwrap();
    assert!(manual.matches("\n$ bootmigrate").count() > 25, "the manual has hardly any commands");
    expect_file!["../../docs/manual.md"].assert_eq(&tried(&manual));
}

#[test]
fn every_command_of_the_help_is_tried_in_the_manual() {
    let manual =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/manual.md")).unwrap();
    let tried: Vec<&str> = manual.lines().filter(|line| line.starts_with("$ ")).collect();
    let help = TestDevice::at(40).run(&["--help"]).stdout;
    let commands = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands"))
        .skip(1)
        .take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .map(|line| line.trim().split("  ").next().unwrap())
        .filter(|name| *name != "(none)")
        .collect();
    assert!(names.len() > 10, "{help}");
    for name in names {
        assert!(
            tried.iter().any(|line| line.contains(&format!("bootmigrate {name} "))),
            "the manual does not try `{name}`"
        );
    }
}
