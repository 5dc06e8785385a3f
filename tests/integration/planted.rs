//! Owns the device of the application's user, into whose folder that user or a third one puts
//! things, and what root has outside.
//! Promises: `reset` gives back the same folder whatever was planted; a refusal is asked of every
//! command that would change something, and not a byte is changed in the folder, nor outside it.
//! Never relies on `fs.protected_symlinks`, `fs.protected_hardlinks` or `fs.protected_regular`:
//! root plants, and they bind nobody here.

use crate::device::{copy_tree, TestDevice};
use crate::mount::require_root;
use crate::oracle;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{chown, lchown, symlink, PermissionsExt};
use std::path::{Path, PathBuf};

/// The application's user.
pub const USER: u32 = 65534;

/// A device of the application's user at version 40, booted by root and with a snapshot, whose
/// firmware knows 41; and what root has outside.
pub struct Device {
    template: TestDevice,
    pub work: TestDevice,
}

impl Device {
    pub fn new() -> Device {
        require_root();
        let template = TestDevice::at(30).firmware(40).home_of(USER);
        assert_eq!(template.run(&["run"]).exit, "0");
        assert!(template.state("settings").join("snapshots/v30-1.db").exists());
        let device = Device { template, work: TestDevice::empty(41) };
        device.reset();
        device
    }

    /// As it was, whatever was planted.
    pub fn reset(&self) {
        for folder in [self.work.root().join("var"), self.work.root().join("etc"), self.outside()] {
            let _ = fs::remove_dir_all(folder);
        }
        fs::create_dir_all(self.work.home()).unwrap();
        fs::create_dir_all(self.work.root().join("etc")).unwrap();
        copy_tree(&self.template.home(), &self.work.home());
        let outside = self.outside();
        for folder in [
            "snapshots",
            "quarantine/1",
            "rehearsal/below",
            "above/settings.db/snapshots",
            "above/settings.db/quarantine",
        ] {
            fs::create_dir_all(outside.join(folder)).unwrap();
        }
        for file in [
            "secret",
            "staging-2.db",
            "undo-main.db",
            "record",
            "lock",
            "quarantine/1/reason.txt",
            "rehearsal/below/file",
        ] {
            fs::write(outside.join(file), "root:secret:hash").unwrap();
        }
        for file in ["good.db", "snapshots/v40-9.db", "snapshots/tmp-9.db"] {
            fs::copy(self.template.main(), outside.join(file)).unwrap();
        }
        for entry in oracle::folder(&outside).keys() {
            chown(outside.join(entry), Some(0), Some(0)).unwrap();
        }
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// What root has elsewhere, on the same file system.
    pub fn outside(&self) -> PathBuf {
        self.work.folder().join("outside")
    }

    /// A path below the folder of databases.
    pub fn path(&self, name: &str) -> PathBuf {
        self.work.home().join(name)
    }

    /// Names outside that were changed, made or removed.
    pub fn changed_outside(&self, before: &BTreeMap<String, oracle::Entry>) -> Vec<String> {
        let after = oracle::folder(&self.outside());
        let names = before.keys().chain(after.keys());
        names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
    }

    /// What was planted is refused with these words, by every command that would change something,
    /// and nothing is changed.
    #[track_caller]
    pub fn refused(&self, apply: impl Fn(&Device), words: &str) {
        self.reset();
        apply(self);
        let (home, outside) = (oracle::folder(&self.work.home()), oracle::folder(&self.outside()));
        let every: [&[&str]; 4] = [
            &["run"],
            &["run", "--purge-and-retry"],
            &["purge", "--db", "settings", "--yes"],
            &["snapshot", "create", "--db", "settings"],
        ];
        for command in every {
            let ran = self.work.run(command);
            assert!(
                ran.exit == "16" && ran.stderr.contains(words),
                "{command:?}: exit {}: {}\nwanted: {words}",
                ran.exit,
                ran.stderr
            );
            assert_eq!(self.changed_outside(&outside), [""; 0], "{command:?}: {words}");
            assert_eq!(
                oracle::touched(&home, &oracle::folder(&self.work.home())),
                "nothing",
                "{command:?}: {words}"
            );
        }
    }

    /// Without what was planted.
    #[track_caller]
    pub fn goes_on(&self) {
        self.reset();
        let ran = self.work.run(&["run"]);
        assert!(
            ran.exit == "0" && ran.stderr.contains("settings: migrated from 40 to 41"),
            "exit {}: {}",
            ran.exit,
            ran.stderr
        );
    }
}

pub fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// The application's user replaces `name` by a link to this.
pub fn link(device: &Device, name: &str, target: &Path) {
    let path = device.path(name);
    remove(&path);
    symlink(target, &path).unwrap();
    lchown(&path, Some(USER), Some(USER)).unwrap();
}
