//! Owns the small product that every test begins with, and how a test lays its own files over it.
//! Promises: every folder is a fresh temporary one named `migrations`.
//! Never shares a path between tests.

use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// One database, one slot, one migration: nothing is wrong with it.
const BASE: &[(&str, &str)] = &[
    (
        "bootmigrate.toml",
        "slots = \"single\"\n[databases.settings]\npath = \"/data/settings.db\"\n",
    ),
    ("settings/V1__first.sql", "CREATE TABLE a (b);\n"),
];

/// A folder on disk, removed at the end of the test.
pub struct Product {
    _keep: TempDir,
    pub folder: PathBuf,
}

impl Product {
    /// The base with `files` over it.
    pub fn with(files: &[(&str, &str)]) -> Product {
        let keep = tempfile::tempdir().unwrap();
        let product = Product { folder: keep.path().join("migrations"), _keep: keep };
        for (path, text) in BASE.iter().chain(files) {
            product.write(path, text.as_bytes());
        }
        product
    }

    /// Writes one file.
    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// What the reader says: problems, or after `ok` the warnings, one a line.
    pub fn said(&self) -> String {
        let lines: Vec<String> = match bootmigrate_build::read(&self.folder) {
            Ok(product) => std::iter::once("ok".to_owned())
                .chain(product.warnings.iter().map(ToString::to_string))
                .collect(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        };
        lines.join("\n")
    }
}
