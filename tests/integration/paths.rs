//! Owns the tests of a path that is a name of ours, or of another database: written so, by a link,
//! or by a hard link.
//! Promises: exit 2 and one sentence with the file, the line and what to write; not a byte of the
//! device is changed.
//! Never relies on what a run would do with such a path: it must not begin.

use crate::device::{TestDevice, HOME};
use crate::oracle;
use std::fs;
use std::os::unix::fs::symlink;

/// A device with a precious and a rebuildable database, both upgraded once, and a second upgrade
/// that waits.
fn two_databases() -> TestDevice {
    let device = TestDevice::at(40).with_telemetry(40).firmware(41);
    assert_eq!(device.run(&["run"]).exit, "0");
    fs::create_dir_all(device.root().join("etc")).unwrap();
    device.firmware(42)
}

/// Writes the device's configuration; the run ends with this sentence and without a change.
#[track_caller]
fn refused(device: &TestDevice, toml: &str, sentence: &str) {
    let file = device.root().join("etc/bootmigrate.toml");
    fs::write(&file, toml.replace("HOME", &format!("/{HOME}"))).unwrap();
    let root = device.root().display().to_string();
    let before = oracle::folder(&device.root());
    for command in ["run", "status", "plan"] {
        let ran = device.run(&[command]);
        assert_eq!(ran.exit, "2", "{command}: {toml}: {}", ran.stderr);
        assert_eq!(
            ran.stderr.replace(&root, ""),
            format!("bootmigrate: {}. [BM-2]\n", sentence.replace("HOME", &format!("/{HOME}")))
        );
    }
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing", "{toml}");
    fs::remove_file(&file).unwrap();
}

/// No harm was done: without that configuration the device goes on, with every row.
#[track_caller]
fn goes_on(device: &TestDevice) {
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    assert!(ran.stderr.contains("settings: migrated from 41 to 42"), "{}", ran.stderr);
    assert!(ran.stderr.contains("telemetry: migrated from 41 to 42"), "{}", ran.stderr);
}

#[test]
fn a_name_of_another_database() {
    let device = two_databases();
    for (path, why) in [
        ("HOME/.settings.db.new", "is the temporary name of a new file of settings"),
        (
            "HOME/Settings.db",
            "is the database settings (HOME/settings.db) where the case of letters does not count",
        ),
        ("HOME/settings.db/x.db", "lies below the database settings (HOME/settings.db)"),
        (
            "/run/bootmigrate/ready/telemetry",
            "lies below the folder of ready files and of the report (/run/bootmigrate)",
        ),
    ] {
        let toml = format!("[databases.telemetry]\npath = \"{path}\"\n");
        refused(
            &device,
            &toml,
            &format!(
                "/etc/bootmigrate.toml:2:1: in [databases.telemetry], path {path} {why}; write \
                 another path"
            ),
        );
    }
    goes_on(&device);
}

#[test]
fn a_name_of_another_database_behind_a_link() {
    let device = two_databases();
    let path = |name: &str| device.home().join(name);
    symlink(".", path("here")).unwrap();
    symlink(".bootmigrate/settings.db", path("state")).unwrap();
    symlink("settings.db", path("link.db")).unwrap();
    symlink("settings.db-wal", path("dangling.db")).unwrap();
    symlink("../../../run/bootmigrate", path("reports")).unwrap();
    for (written, leads, why) in [
        (
            "here/.settings.db.new",
            ".settings.db.new",
            "is the temporary name of a new file of settings",
        ),
        (
            "here/settings.db/x.db",
            "settings.db/x.db",
            "lies below the database settings (HOME/settings.db)",
        ),
        (
            "state/snapshots/v40-1.db",
            ".bootmigrate/settings.db/snapshots/v40-1.db",
            "lies below the state folder of settings (HOME/.bootmigrate/settings.db)",
        ),
        (
            "state/new/x.db",
            ".bootmigrate/settings.db/new/x.db",
            "lies below the state folder of settings (HOME/.bootmigrate/settings.db)",
        ),
    ] {
        let toml = format!("[databases.telemetry]\npath = \"HOME/{written}\"\n");
        let why =
            format!("path HOME/{written} leads to HOME/{leads}, which {why}; write another path");
        refused(
            &device,
            &toml,
            &format!("/etc/bootmigrate.toml:2:1: in [databases.telemetry], {why}"),
        );
    }
    let toml = "[databases.telemetry]\npath = \"HOME/link.db\"\n";
    let sentence =
        "settings and telemetry are the same file, HOME/settings.db; give each database one of its \
         own";
    refused(&device, toml, &format!("/etc/bootmigrate.toml:2:1: {sentence}"));
    let toml = "[databases.telemetry]\npath = \"HOME/reports/x.db\"\n";
    let why = "lies below the folder of ready files and of the report (/run/bootmigrate)";
    let sentence = format!(
        "path HOME/reports/x.db leads to /run/bootmigrate/x.db, which {why}; write another path"
    );
    refused(
        &device,
        toml,
        &format!("/etc/bootmigrate.toml:2:1: in [databases.telemetry], {sentence}"),
    );
    fs::remove_file(path("dangling.db")).unwrap();
    goes_on(&device);
}

#[test]
fn a_name_of_another_database_by_a_hard_link() {
    let device = two_databases();
    let state = device.state("settings");
    for file in [state.join("record"), state.join("lock"), state.join("snapshots/v40-1.db")] {
        fs::hard_link(&file, device.home().join("other.db")).unwrap();
        let toml = "[databases.telemetry]\npath = \"HOME/other.db\"\n";
        let shown = file.display().to_string().replace(&device.root().display().to_string(), "");
        let why = format!(
            "path HOME/other.db is a hard link of {shown}, which is of settings; write another path"
        );
        refused(
            &device,
            toml,
            &format!("/etc/bootmigrate.toml:2:1: in [databases.telemetry], {why}"),
        );
        fs::remove_file(device.home().join("other.db")).unwrap();
    }
    fs::hard_link(device.main(), device.home().join("other.db")).unwrap();
    let sentence = "settings and telemetry are the same file, HOME/other.db; give each database \
                    one of its own";
    refused(
        &device,
        "[databases.telemetry]\npath = \"HOME/other.db\"\n",
        &format!("/etc/bootmigrate.toml:2:1: {sentence}"),
    );
    fs::remove_file(device.home().join("other.db")).unwrap();
    goes_on(&device);
}

#[test]
fn a_marker_under_a_name_that_is_taken() {
    let device = two_databases();
    let path = |name: &str| device.home().join(name);
    symlink(".bootmigrate/settings.db/record", path("request")).unwrap();
    fs::hard_link(device.main(), path("other")).unwrap();
    for (marker, why) in [
        ("HOME/settings.db", "is the database settings"),
        ("HOME/settings.db-wal", "is the WAL of settings"),
        ("HOME/telemetry.db-journal", "is the journal of telemetry"),
        ("HOME/.telemetry.db.new", "is the temporary name of a new file of telemetry"),
        (
            "HOME/request",
            "leads to HOME/.bootmigrate/settings.db/record, which lies below the state folder of \
             settings (HOME/.bootmigrate/settings.db)",
        ),
        ("HOME/other", "is a hard link of HOME/settings.db, which is of settings"),
    ] {
        refused(
            &device,
            &format!("marker = \"{marker}\"\n"),
            &format!("/etc/bootmigrate.toml:1:1: marker {marker} {why}; write another path"),
        );
    }
    fs::remove_file(path("other")).unwrap();
    goes_on(&device);
}

#[test]
fn a_bundle_under_a_name_that_is_taken() {
    let device = two_databases();
    for (file, why) in [
        ("settings.db-wal", "is the WAL of settings"),
        (
            ".bootmigrate/settings.db/ready-9.db",
            "lies below the state folder of settings (HOME/.bootmigrate/settings.db)",
        ),
        (
            ".Telemetry.db.new",
            "is the temporary name of a new file of telemetry (HOME/.telemetry.db.new) where the \
             case of letters does not count",
        ),
    ] {
        let before = oracle::folder(&device.root());
        let ran = device.run(&["bundle", &device.home().join(file).display().to_string()]);
        let root = device.root().display().to_string();
        let sentence = format!("bootmigrate: FILE HOME/{file} {why}; name another file. [BM-2]\n")
            .replace("HOME", &format!("/{HOME}"));
        assert_eq!((ran.exit.as_str(), ran.stderr.replace(&root, "")), ("2", sentence));
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing", "{file}");
    }
    goes_on(&device);
}
