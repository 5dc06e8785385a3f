//! Owns the device as real files: a simulated state is written below a root, a firmware's folder
//! beside it, and programs boot there.
//! Promises: contents, folders, modes and second names are those of the state; what is read back is
//! what stands there.
//! Never looks into a file: that is the judge's.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::firmware::Firmware;
use crate::real_files::below;
use crate::scenarios::situations::empty;
use crate::sim::state::{Body, STORAGE};
use crate::sim::State;

/// A program and its folder of migrations: one slot.
pub struct Slot {
    program: PathBuf,
    folder: PathBuf,
    /// The newest migration that it knows.
    pub newest: i64,
}

/// How a boot ended.
pub struct SlotRun {
    /// Its exit code; 255 where a signal ended it.
    pub exit: u8,
    /// What it said.
    pub said: String,
}

impl Slot {
    /// Writes the firmware's files into this folder.
    pub fn make(program: &Path, firmware: Firmware, folder: PathBuf) -> Slot {
        let settings = folder.join("settings");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&settings).unwrap();
        fs::write(folder.join("bootmigrate.toml"), firmware.text).unwrap();
        for migration in firmware.catalog.migrations {
            fs::write(folder.join(migration.file), migration.sql).unwrap();
            if let Some(down) = migration.down {
                fs::write(folder.join(migration.file.replace(".sql", ".down.sql")), down).unwrap();
            }
        }
        let newest = firmware
            .catalog
            .migrations
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or(0);
        Slot { program: program.to_path_buf(), folder, newest }
    }

    /// Power on: `/run` is empty, and the program runs to its end.
    pub fn boot(&self, root: &Path) -> SlotRun {
        let run = root.join("run");
        let _ = fs::remove_dir_all(&run);
        fs::create_dir_all(&run).unwrap();
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--root"])
            .arg(root)
            .env_clear()
            .env("BOOTMIGRATE_TEST_FOLDER", &self.folder)
            .stdin(Stdio::null());
        let output =
            command.output().unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let exit = output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255);
        SlotRun { exit, said: String::from_utf8_lossy(&output.stderr).into_owned() }
    }
}

/// Writes a state below an empty root; what is volatile and what the kernel makes is left out.
pub fn materialise(state: &State, root: &Path) {
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(root.join("run")).unwrap();
    let mut first: HashMap<u64, PathBuf> = HashMap::new();
    for (path, id) in state.walk() {
        let node = state.node(id).unwrap();
        let at = root.join(path.trim_start_matches('/'));
        if node.device != STORAGE || path == "/proc" {
            continue;
        }
        match (&node.body, first.get(&id)) {
            (Body::File(_), Some(earlier)) => fs::hard_link(earlier, &at).unwrap(),
            (Body::File(content), None) => {
                fs::write(&at, content.to_vec()).unwrap();
                first.insert(id, at.clone());
            }
            (Body::Folder(_), _) => fs::create_dir_all(&at).unwrap(),
            (Body::Symlink(target), _) => std::os::unix::fs::symlink(&**target, &at).unwrap(),
        }
        if !matches!(node.body, Body::Symlink(_)) {
            fs::set_permissions(&at, fs::Permissions::from_mode(node.mode)).unwrap();
        }
    }
}

/// The durable part of a root as a state.
pub fn read_back(root: &Path) -> State {
    let mut state = empty();
    let mut first: HashMap<u64, String> = HashMap::new();
    for (path, data) in below(&root.join("data")) {
        let name = format!("/{}", path.strip_prefix(root).unwrap().display());
        if data.is_dir() {
            state.put_folder(&name);
        } else if let Some(earlier) = first.get(&data.ino()) {
            state.put_link(earlier, &name);
        } else {
            state.put_file(&name, &fs::read(&path).unwrap());
            first.insert(data.ino(), name);
        }
    }
    state
}
