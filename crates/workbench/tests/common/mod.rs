//! Owns what the tests of the workbench share: a product in a folder of its own, and runs of the
//! program.
//! Promises: no two tests share a path.
//! Never the network, and no sleep.

#![allow(dead_code)] // Each test uses a part.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder with `migrations`, removed when it is dropped.
pub struct Product {
    folder: TempDir,
}

impl Product {
    /// With these files in `migrations`.
    pub fn with(files: &[(&str, &str)]) -> Product {
        let product = Product { folder: tempfile::tempdir().unwrap() };
        files.iter().for_each(|(name, text)| product.write(name, text));
        product
    }

    /// The example product of this repository.
    pub fn example() -> Product {
        let product = Product { folder: tempfile::tempdir().unwrap() };
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations"),
            &product.migrations(),
        );
        product
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn migrations(&self) -> PathBuf {
        self.folder.path().join("migrations")
    }

    /// Writes a file of `migrations`.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.migrations().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Everything that is there counts as released.
    pub fn release(&self) {
        bootmigrate_build::lock(&self.migrations()).unwrap();
    }

    /// Runs the program in the folder.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootmigrate-workbench"));
        for variable in
            ["BOOTMIGRATE_MIGRATIONS", "RUN_MIGRATIONS", "JOURNAL_STREAM", "NOTIFY_SOCKET"]
        {
            command.env_remove(variable);
        }
        Ran::from(command.args(arguments).current_dir(self.path()).output().unwrap())
    }
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
