//! Owns the tests of the stock binary with a packed catalogue: the same as embedded, and of a file
//! that is not as it should be nothing.
//! Promises: the file is packed by the build crate from a folder; each refusal leaves the device's
//! folder as it was.
//! Never packs a product that the build would refuse.

use crate::device::{Program, TestDevice};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const NOTES: &[(&str, &str)] = &[
    ("bootmigrate.toml", "[databases.notes]\npath = \"/var/lib/notes/notes.db\"\n"),
    ("notes/V1__note.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL);"),
    ("notes/V1__note.down.sql", "DROP TABLE note;"),
    (
        "notes/V2__color.sql",
        "-- bootmigrate: compatible-from = 1\n-- bootmigrate: expect = SELECT 1 FROM note WHERE \
         color IS NULL\nALTER TABLE note ADD COLUMN color TEXT NOT NULL DEFAULT 'yellow';",
    ),
    ("notes/V2__color.down.sql", "ALTER TABLE note DROP COLUMN color;"),
];

/// The stock binary, without any database.
fn stock() -> TestDevice {
    let mut device = TestDevice::empty(10);
    device.program = Program::Product;
    device
}

/// Where the stock binary looks.
fn place(device: &TestDevice) -> PathBuf {
    let folder = device.root().join("usr/lib/bootmigrate");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    folder.join("product.catalogue")
}

fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

fn packed(folder: &Path) -> Vec<u8> {
    bootmigrate_build::packed(&bootmigrate_build::read(folder).unwrap())
}

fn notes() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in NOTES {
        let path = folder.path().join("migrations").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    packed(&folder.path().join("migrations"))
}

#[test]
fn another_product_without_another_binary() {
    let device = stock();
    put(&place(&device), &notes());
    fs::create_dir_all(device.root().join("var/lib/notes")).unwrap();
    let first = device.run(&["run"]);
    assert_eq!(
        (first.exit.as_str(), first.stderr.as_str()),
        ("0", "notes: created at version 2. [BM-0 notes 0>2]\n")
    );
    let back = device.run(&["rollback", "--db", "notes", "--to", "1"]);
    assert!(back.exit == "0" && back.stderr.starts_with("notes: gone back to 1"), "{back:?}");
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(device.run(&["run"]).stderr, "notes: at version 2, nothing to do. [BM-0 notes 2]\n");
    assert_eq!(
        device.run(&["status", "--db", "settings"]).exit,
        "2",
        "the embedded product counts too"
    );
}

/// As the packages have it, without the example product.
fn with_nothing_embedded() -> TestDevice {
    TestDevice::empty(10).environment("BOOTMIGRATE_TEST_STOCK", "1")
}

/// An image whose catalogue was forgotten is no device without databases.
#[test]
fn no_catalogue_at_all() {
    let device = with_nothing_embedded();
    let folder = device.root().join("usr/lib/bootmigrate");
    fs::create_dir_all(device.root().join("var/lib/gateway")).unwrap();
    for command in [&["run"][..], &["status"], &["ready", "--db", "settings"], &["doctor"]] {
        let ran = device.run(command);
        let sentence = format!(
            "there is no catalogue in {}, and none is embedded in this program; pack the \
             migrations with `bootmigrate-workbench pack`, and put the file there. [BM-2]\n",
            folder.display()
        );
        assert!(ran.exit == "2" && ran.stderr.ends_with(&sentence), "{command:?} {ran:?}");
    }
    assert_eq!(fs::read_dir(device.root().join("var/lib/gateway")).unwrap().count(), 0);
    for command in [&["--version"][..], &["--help"], &["help", "run"]] {
        let mut words = device.words(&[]);
        // Without `--root`.
        words.truncate(words.len() - 2);
        words.extend(command.iter().map(Into::into));
        let ran = crate::program::finish(device.command(&words));
        assert!(ran.exit == "0" && !ran.stdout.is_empty(), "{command:?} {ran:?}");
    }
    put(&place(&device), &notes());
    fs::create_dir_all(device.root().join("var/lib/notes")).unwrap();
    assert_eq!(device.run(&["run"]).stderr, "notes: created at version 2. [BM-0 notes 0>2]\n");
}

/// What the stock binary says with the example product embedded, and with the same one packed.
#[test]
fn packed_and_embedded_are_the_same() {
    let example = packed(&Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations"));
    let [embedded, from_file] = [None, Some(example)].map(|packed| {
        let device = stock();
        packed.iter().for_each(|bytes| put(&place(&device), bytes));
        fs::create_dir_all(device.root().join("var/lib/gateway")).unwrap();
        let mut said = String::new();
        let commands: [&[&str]; 7] = [
            &["migrate", "--db", "settings", "--to", "9"],
            &["plan", "--sql"],
            &["run"],
            &["status"],
            &["data", "status"],
            &["rollback", "--db", "settings", "--to", "13"],
            &["doctor"],
        ];
        for command in commands {
            let ran = device.run(command);
            said.push_str(
                &format!("{command:?} {}\n{}{}", ran.exit, ran.stdout, ran.stderr)
                    .replace(device.root().to_str().unwrap(), ""),
            );
        }
        assert!(said.contains("settings: migrated from 9 to 14"), "{said}");
        without_space(&said)
    });
    assert_eq!(embedded, from_file);
}

/// Free space is another from run to run.
fn without_space(said: &str) -> String {
    said.lines().filter(|line| !line.contains("space")).map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn refused(device: &TestDevice, sentence: &str) {
    fs::create_dir_all(device.root().join("var/lib/notes")).unwrap();
    let ran = device.run(&["run"]);
    assert!(
        ran.exit == "2" && ran.stderr.contains(sentence) && ran.stderr.contains("[BM-2]"),
        "{ran:?}"
    );
    assert_eq!(
        fs::read_dir(device.root().join("var/lib/notes")).unwrap().count(),
        0,
        "something was made"
    );
}

#[test]
fn a_file_that_is_not_whole_is_not_used() {
    let good = notes();
    for place_of in [0, 8, 12, 16, 32, 40, good.len() / 2, good.len() - 1] {
        let device = stock();
        let mut bytes = good.clone();
        bytes[place_of] ^= 1;
        put(&place(&device), &bytes);
        refused(&device, "product.catalogue is not used: it");
    }
    let device = stock();
    put(&place(&device), &good[..good.len() - 1]);
    refused(&device, "its checksum is not that of its contents");
    put(&place(&device), b"");
    refused(&device, "it is cut off");
}

#[test]
fn only_roots_word_counts() {
    let device = stock();
    let path = place(&device);
    put(&path, &notes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    refused(
        &device,
        "others than its owner may write to it (mode 0664); give it to root with mode 0644",
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
    refused(
        &device,
        "others than its owner may write to it (mode 0777); give it to root with mode 0755",
    );
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
    refused(&device, "it belongs to uid 4711");
    fs::rename(&path, path.with_extension("file")).unwrap();
    std::os::unix::fs::symlink("product.file", &path).unwrap();
    refused(&device, "it is no regular file");
    put(&path.with_file_name("other.catalogue"), &notes());
    refused(&device, "has 2 catalogues (other.catalogue, product.catalogue); leave one of them");
}

/// A product's own binary has its catalogue in it.
/// A shell completes `r/`, and the script that builds an image writes whatever its variables have.
#[test]
fn a_root_is_the_same_however_it_is_written() {
    for written in ["r", "r/", "r//", "r/.", "./r"] {
        let device = stock();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("r")).unwrap();
        let mut words = device.words(&["run"]);
        words
            .iter_mut()
            .filter(|word| **word == device.root())
            .for_each(|root| *root = written.into());
        for said in ["settings: created at version", "settings: at version"] {
            let mut command = device.command(&words);
            command.current_dir(folder.path());
            let ran = crate::program::finish(command);
            assert!(
                ran.exit == "0" && ran.stderr.contains(said),
                "{written} {words:?}: {}",
                ran.stderr
            );
        }
        assert!(folder.path().join("r/var/lib/gateway/settings.db").exists(), "{written}");
    }
}

#[test]
fn a_products_own_binary_does_not_look() {
    let device = TestDevice::booted_at(42);
    put(&place(&device), b"nothing");
    let ran = device.run(&["run"]);
    assert_eq!(
        (ran.exit.as_str(), ran.stderr.as_str()),
        ("0", "settings: at version 42, nothing to do. [BM-0 settings 42]\n")
    );
}
