//! Owns the wrong program that every test must notice: it builds each database from nothing at
//! every run.
//! Promises: what it leaves looks good: history by refinery, ready files, a report that claims
//! success, exit 0.
//! Never keeps a row; it is a control of the integration tests, not a tool.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

use refinery::{Migration, Runner};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let root = arguments
        .iter()
        .position(|word| word == "--root")
        .map_or("/", |at| arguments[at + 1].as_str());
    let looks = !arguments.iter().any(|word| word == "run" || word == "--purge-and-retry");
    let folder = PathBuf::from(std::env::var_os("BOOTMIGRATE_TEST_FOLDER").unwrap());
    let text = fs::read_to_string(folder.join("bootmigrate.toml")).unwrap();
    let mut parts = Vec::new();
    for (name, path) in databases(&text) {
        let path = Path::new(root).join(path.trim_start_matches('/'));
        // This machine's own folders are none of a control's.
        if path.starts_with("/var/lib") {
            continue;
        }
        let files = migrations(&folder.join(&name));
        let target = files.last().map_or(0, Migration::version);
        println!("{name}: migrate to {target}");
        if looks {
            continue;
        }
        let _ = fs::create_dir_all(path.parent().unwrap());
        ["", "-wal", "-shm", "-journal"].iter().for_each(|side| {
            let _ = fs::remove_file(format!("{}{side}", path.display()));
        });
        if let Ok(mut connection) = Connection::open(&path) {
            let _ = connection.execute_batch("PRAGMA foreign_keys = OFF");
            let _ = Runner::new(&files).run(&mut connection);
        }
        let ready = Path::new(root).join("run/bootmigrate/ready");
        let _ = fs::create_dir_all(&ready);
        let _ = fs::write(ready.join(&name), "");
        let sentence = format!("{name} is ready");
        eprintln!("{sentence} [BM-0 {name}]");
        parts.push(serde_json::json!({
            "name": name, "path": path, "outcome": "migrated", "exit": 0, "usable": true, "data_loss": false,
            "from": 0, "version": target, "target": target, "applied": [], "backup": "none", "quarantine": null,
            "sentence": sentence, "code": format!("[BM-0 {name}]"), "reduced": false,
        }));
    }
    let report = serde_json::json!({
        "schema": 1, "version": "0", "exit": 0, "usable": true, "data_loss": false, "databases": parts,
    });
    if !looks {
        let _ = fs::write(Path::new(root).join("run/bootmigrate/status.json"), report.to_string());
    }
}

/// Names and paths, in the order of the file.
fn databases(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("[databases.").and_then(|rest| rest.strip_suffix(']'))
        {
            found.push((name.into(), format!("/var/lib/gateway/{name}.db")));
        } else if let (Some(path), Some(last)) = (line.strip_prefix("path = "), found.last_mut()) {
            last.1 = path.trim_matches('"').into();
        }
    }
    found
}

fn migrations(folder: &Path) -> Vec<Migration> {
    let mut found: Vec<Migration> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.to_string_lossy().ends_with(".down.sql"))
        .filter_map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            Migration::unapplied(&name, &fs::read_to_string(&path).unwrap()).ok()
        })
        .collect();
    found.sort_by_key(Migration::version);
    found
}
