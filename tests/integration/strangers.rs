//! Owns the tests of a run by root in a folder that another user owns, and of what that user, or a
//! third one, has put there.
//! Promises: exit 16 (2 for the configuration) and a sentence that names the file; not a byte is
//! changed in the folder, nor outside it; without what was planted the device goes on.
//! Never relies on `fs.protected_symlinks`, `fs.protected_hardlinks` or `fs.protected_regular`:
//! root plants, and they bind nobody here.

use crate::device::{TestDevice, HOME};
use crate::oracle;
use crate::planted::{link, remove, Device, USER};
use crate::program::finish;
use rusqlite::Connection;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{chown, symlink, PermissionsExt};

/// Another user.
const OTHER: u32 = 65533;
const STATE: &str = ".bootmigrate/settings.db";

#[test]
fn links_in_the_place_of_a_file() {
    let device = Device::new();
    let outside = device.outside();
    for target in ["secret", "good.db", "missing", "snapshots"] {
        let words = format!(
            "it is a symbolic link in a folder where others than root may write (owner {USER}), \
             and is not followed"
        );
        device.refused(|device| link(device, "settings.db", &outside.join(target)), &words);
    }
    let side_files =
        ["settings.db-wal", "settings.db-journal", "settings.db-shm"].map(str::to_owned);
    let ours = ["lock", "record", "ready-9.db"].map(|name| format!("{STATE}/{name}"));
    for name in side_files.iter().chain(&ours) {
        for target in ["secret", "good.db", "missing"] {
            let words = format!(
                "a symbolic link is where a regular file belongs ({}",
                device.path(name).display()
            );
            device.refused(|device| link(device, name, &outside.join(target)), &words);
        }
    }
    device.goes_on();
}

#[test]
fn links_in_the_place_of_a_folder() {
    let device = Device::new();
    let outside = device.outside();
    for (name, target) in [
        (".bootmigrate".to_owned(), "."),
        (STATE.to_owned(), "."),
        (format!("{STATE}/snapshots"), "snapshots"),
        (format!("{STATE}/quarantine"), "quarantine"),
    ] {
        let words = format!(
            "it is a symbolic link, and bootmigrate makes none ({}",
            device.path(&name).display()
        );
        device.refused(|device| link(device, &name, &outside.join(target)), &words);
    }
    device.goes_on();
}

/// What a run sweeps away is the link, and not what it leads to.
#[test]
fn links_in_the_place_of_what_is_swept() {
    let device = Device::new();
    for (name, target) in [
        (".settings.db.new", "secret"),
        (".bootmigrate/settings.db/staging-7.db", "good.db"),
        (".bootmigrate/settings.db/undo-main.db", "undo-main.db"),
        (".bootmigrate/settings.db/rehearsal", "rehearsal"),
        (".bootmigrate/settings.db/snapshots/tmp-7.db", "snapshots/tmp-9.db"),
        (".bootmigrate/settings.db/snapshots/v40-9.db", "snapshots/v40-9.db"),
    ] {
        device.reset();
        link(&device, name, &device.outside().join(target));
        let before = oracle::folder(&device.outside());
        let ran = device.work.run(&["run"]);
        assert_eq!(ran.exit, "0", "{name}: {}", ran.stderr);
        assert_eq!(device.changed_outside(&before), [""; 0], "{name}");
    }
}

/// A second name of a file of root's would be given to the application's user, written into, or
/// copied to where he can read it.
#[test]
fn hard_links() {
    let device = Device::new();
    for (name, target) in
        [("lock", "lock"), ("record", "record"), ("record", "secret"), ("ready-9.db", "good.db")]
    {
        let apply = |device: &Device| {
            let path = device.path(&format!("{STATE}/{name}"));
            remove(&path);
            fs::hard_link(device.outside().join(target), &path).unwrap();
        };
        device.refused(apply, "it has 2 names (hard links), and bootmigrate knows 1 (");
    }
    for name in ["settings.db-wal", "settings.db-journal"] {
        let apply = |device: &Device| {
            fs::hard_link(device.outside().join("secret"), device.path(name)).unwrap()
        };
        device.refused(apply, "it has 2 names (hard links), and bootmigrate knows 1 (");
    }
    device.reset();
    remove(&device.path("settings.db"));
    fs::hard_link(device.outside().join("good.db"), device.path("settings.db")).unwrap();
    let before = oracle::folder(&device.outside());
    let ran = device.work.run(&["run"]);
    assert!(
        ran.exit == "16" && ran.stderr.contains("has 2 names (hard links)"),
        "exit {}: {}",
        ran.exit,
        ran.stderr
    );
    assert_eq!(device.changed_outside(&before), [""; 0]);
    device.goes_on();
}

/// Another user's rows are not copied into this user's database.
#[test]
fn a_snapshot_of_somebody_else_is_no_good_copy() {
    let device = Device::new();
    for linked in [false, true] {
        device.reset();
        let snapshot = device.path(&format!("{STATE}/snapshots/v40-9.db"));
        if linked {
            fs::hard_link(device.outside().join("good.db"), &snapshot).unwrap();
        } else {
            fs::copy(device.outside().join("good.db"), &snapshot).unwrap();
            chown(&snapshot, Some(OTHER), Some(OTHER)).unwrap();
        }
        fs::write(device.path("settings.db"), "no database at all").unwrap();
        let before = oracle::folder(&device.outside());
        fs::write(
            device.work.root().join("etc/bootmigrate.toml"),
            "[databases.settings]\non_damage = [\"snapshot\"]\n",
        )
        .unwrap();
        let ran = device.work.run(&["run"]);
        let why = if linked {
            "it has 2 names (hard links), and bootmigrate knows 1".to_owned()
        } else {
            format!("it belongs to uid {OTHER}, who is neither root nor the database's owner")
        };
        assert!(
            ran.stderr.contains(&format!("snapshot v40-9 is not a good copy: {why}")),
            "exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert!(
            ran.exit == "11" && ran.stderr.contains("after the snapshot of version 30"),
            "exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(device.changed_outside(&before), [""; 0]);
    }
}

#[test]
fn what_another_user_owns() {
    let device = Device::new();
    for name in ["lock", "record", "snapshots", "quarantine", ""] {
        let apply = |device: &Device| {
            chown(device.path(STATE).join(name), Some(OTHER), Some(OTHER)).unwrap()
        };
        device.refused(
            apply,
            &format!("it belongs to uid {OTHER}, who is neither root nor the database's owner ("),
        );
    }
    for name in ["settings.db", ".bootmigrate"] {
        let apply = |device: &Device| chown(device.path(name), Some(OTHER), Some(OTHER)).unwrap();
        device.refused(
            apply,
            &format!("it belongs to uid {OTHER}, who is neither root nor the database's owner ("),
        );
    }
    for name in ["settings.db-wal", "settings.db-journal", "settings.db-shm", ".settings.db.new"] {
        let apply = |device: &Device| {
            fs::write(device.path(name), "x").unwrap();
            chown(device.path(name), Some(OTHER), Some(OTHER)).unwrap();
        };
        device.refused(
            apply,
            &format!("it belongs to uid {OTHER}, who is neither root nor the database's owner ("),
        );
    }
    device.goes_on();
}

#[test]
fn what_everybody_may_write() {
    let device = Device::new();
    for (name, mode) in [
        ("settings.db", 0o666),
        ("", 0o777),
        (".bootmigrate", 0o777),
        (STATE, 0o777),
        (".bootmigrate/settings.db/snapshots", 0o703),
        (".bootmigrate/settings.db/record", 0o606),
    ] {
        let apply = |device: &Device| {
            fs::set_permissions(device.path(name), fs::Permissions::from_mode(mode)).unwrap()
        };
        device.refused(apply, &format!("everybody may write to it (mode {mode:04o}) ("));
    }
    device.goes_on();
}

/// `/data` may be root's own link to where the partition is mounted; whoever else may write beside
/// it makes it anybody's.
#[test]
fn a_link_of_root_s_is_followed_and_nobody_else_s() {
    let device = Device::new();
    let (root, outside) = (device.work.root(), device.outside());
    let lib = root.join("var/lib");
    fs::rename(lib.join("gateway"), lib.join("mnt")).unwrap();
    symlink("mnt", lib.join("gateway")).unwrap();
    for (owner, mode) in [(USER, 0o755), (0, 0o775), (0, 0o1777)] {
        chown(&lib, Some(owner), Some(USER)).unwrap();
        fs::set_permissions(&lib, fs::Permissions::from_mode(mode)).unwrap();
        let (home, before) = (oracle::folder(&lib), oracle::folder(&outside));
        let ran = device.work.run(&["run"]);
        let words = format!(
            "it is a symbolic link in a folder where others than root may write (owner {owner}), \
             and is not followed"
        );
        assert!(
            ran.exit == "16" && ran.stderr.contains(&words),
            "{owner} {mode:o}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(oracle::touched(&home, &oracle::folder(&lib)), "nothing", "{owner} {mode:o}");
        assert_eq!(device.changed_outside(&before), [""; 0]);
    }
    chown(&lib, Some(0), Some(0)).unwrap();
    fs::set_permissions(&lib, fs::Permissions::from_mode(0o755)).unwrap();
    let ran = device.work.run(&["run"]);
    assert!(
        ran.exit == "0" && ran.stderr.contains("settings: migrated from 40 to 41"),
        "exit {}: {}",
        ran.exit,
        ran.stderr
    );
}

/// A kernel, or a sandbox, that has no openat2.
#[test]
fn without_openat2() {
    let device = Device::new();
    let run = |device: &Device| {
        let mut words: Vec<OsString> =
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=openat2", "-e"]
                .map(OsString::from)
                .into();
        words.extend(["inject=openat2:error=ENOSYS", "--"].map(OsString::from));
        words.extend(device.work.words(&["run"]));
        finish(device.work.command(&words))
    };
    for (name, target) in [
        ("settings.db", "good.db"),
        (".bootmigrate", "."),
        (".bootmigrate/settings.db/record", "record"),
    ] {
        device.reset();
        link(&device, name, &device.outside().join(target));
        let before = oracle::folder(&device.outside());
        let ran = run(&device);
        assert!(
            ran.exit == "16" && ran.stderr.contains("symbolic link"),
            "{name}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(device.changed_outside(&before), [""; 0], "{name}");
    }
    device.reset();
    let ran = run(&device);
    assert!(
        ran.exit == "0" && ran.stderr.contains("settings: migrated from 40 to 41"),
        "exit {}: {}",
        ran.exit,
        ran.stderr
    );
}

/// Root does not do what a file says that another user may write.
#[test]
fn a_configuration_that_others_may_write() {
    let device = Device::new();
    let file = device.work.root().join("etc/bootmigrate.toml");
    let text = format!("[databases.settings]\npath = \"/{HOME}/another.db\"\n");
    for (owner, mode, why) in [
        (USER, 0o644, format!("it belongs to uid {USER}, and root would do what it says")),
        (
            0,
            0o646,
            "everybody may write to it (mode 0646), and root would do what it says".to_owned(),
        ),
    ] {
        device.reset();
        fs::write(&file, &text).unwrap();
        chown(&file, Some(owner), Some(0)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let home = oracle::folder(&device.work.home());
        let ran = device.work.run(&["run"]);
        let words = format!(
            "bootmigrate: {} is not used: {why}; give it to root with mode 0644. [BM-2]\n",
            file.display()
        );
        assert_eq!((ran.exit.as_str(), ran.stderr), ("2", words));
        assert_eq!(oracle::touched(&home, &oracle::folder(&device.work.home())), "nothing");
    }
    device.goes_on();
}

/// A second name of a secret would be shown as a token, and kept in the application's own database.
#[test]
fn a_marker_that_is_another_file_s_second_name() {
    let device = Device::new();
    fs::write(
        device.work.root().join("etc/bootmigrate.toml"),
        format!("marker = \"/{HOME}/request\"\n"),
    )
    .unwrap();
    fs::hard_link(device.outside().join("secret"), device.path("request")).unwrap();
    let before = oracle::folder(&device.outside());
    let ran = device.work.run(&["run"]);
    assert!(
        ran.exit == "0" && ran.stderr.contains("request is not used: it has 2 names (hard links)"),
        "exit {}: {}",
        ran.exit,
        ran.stderr
    );
    for file in [device.path("settings.db"), device.path(STATE).join("record")] {
        let found = fs::read(&file).unwrap().windows(6).any(|bytes| bytes == b"secret");
        assert!(!found, "the secret is in {}", file.display());
    }
    assert_eq!(device.changed_outside(&before), [""; 0]);
}

/// Every operation is noted in the record before its ready file is made.
#[test]
fn a_ready_file_of_no_operation_takes_nobody_s_place() {
    let device = Device::new();
    for text in ["", "no database at all"] {
        device.reset();
        let path = device.path(&format!("{STATE}/ready-9.db"));
        fs::write(&path, text).unwrap();
        chown(&path, Some(USER), Some(USER)).unwrap();
        let old = oracle::content(&device.work.main()).unwrap();
        let ran = device.work.run(&["run"]);
        let words =
            "settings: ready-9.db is of no operation that the record knows, and is thrown away.";
        assert!(ran.exit == "0" && ran.stderr.contains(words), "exit {}: {}", ran.exit, ran.stderr);
        assert!(!path.exists() && ran.stderr.contains("migrated from 40 to 41"), "{}", ran.stderr);
        assert_eq!(
            oracle::content(&device.work.main()).unwrap().rows["parent"],
            old.rows["parent"]
        );
    }
}

/// What is read of a database's past is read from tables, and from nothing that runs somebody's
/// code when it is read.
#[test]
fn a_history_that_is_no_plain_table() {
    let columns = "version, name, applied_on, checksum";
    for (sql, why) in [
        (
            format!("CREATE VIEW refinery_schema_history AS SELECT {columns} FROM past"),
            "refinery_schema_history is no table but: view",
        ),
        (
            format!("CREATE VIRTUAL TABLE Refinery_Schema_History USING fts5({columns}); INSERT \
                     INTO refinery_schema_history SELECT {columns} FROM past"),
            "Refinery_Schema_History is no table but: virtual table",
        ),
        (
            "CREATE TABLE refinery_schema_history (version, name, applied_on, checksum AS (name)); \
             INSERT INTO refinery_schema_history SELECT version, name, applied_on FROM past"
                .to_owned(),
            "refinery_schema_history has a generated column: checksum",
        ),
        (
            format!("CREATE TABLE refinery_schema_history AS SELECT {columns} FROM past; CREATE \
                     VIEW bootmigrate_state AS SELECT 'act' key, 7 value"),
            "bootmigrate_state is no table but: view",
        ),
    ] {
        let device = TestDevice::at(40).firmware(41);
        let connection = Connection::open(device.main()).unwrap();
        connection.execute_batch(&format!("ALTER TABLE refinery_schema_history RENAME TO past; \
            {sql}")).unwrap();
        connection.close().unwrap();
        let before = oracle::folder(&device.home());
        let ran = device.run(&["run"]);
        assert!(ran.exit == "21" && ran.stderr.contains(&format!("the history cannot be read: \
            {why}")), "{sql}: exit {}: {}", ran.exit, ran.stderr);
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing", "{sql}");
    }
}
