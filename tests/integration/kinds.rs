//! Owns the tests of a name under which no regular file stands (FIFO, socket, device, folder,
//! link), and of files that are too long.
//! Promises: no run waits for what never comes: it ends with the right code and a sentence that
//! names the file; the rows stay.
//! Never reads a planted name itself.

use crate::device::{copy_tree, TestDevice};
use crate::oracle;
use crate::program::RunResult;
use rustix::fs::{mknodat, FileType, Mode, CWD};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fifo,
    Socket,
    Folder,
    LinkToFifo,
    LinkToDevice,
    LinkToItself,
}

const EVERY: [Kind; 6] = [
    Kind::Fifo,
    Kind::Socket,
    Kind::Folder,
    Kind::LinkToFifo,
    Kind::LinkToDevice,
    Kind::LinkToItself,
];

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Kind::Fifo | Kind::Socket => "a FIFO, a socket or a device",
            Kind::Folder => "a folder",
            Kind::LinkToFifo | Kind::LinkToDevice | Kind::LinkToItself => "a symbolic link",
        }
    }

    /// Stands there instead of what was there.
    fn apply(self, path: &Path) {
        remove(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match self {
            Kind::Fifo => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
            Kind::Socket => drop(UnixListener::bind(path).unwrap()),
            Kind::Folder => fs::create_dir_all(path.join("inside")).unwrap(),
            Kind::LinkToFifo => {
                let fifo = path.with_file_name("a-fifo");
                remove(&fifo);
                mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
                symlink(&fifo, path).unwrap();
            }
            Kind::LinkToDevice => symlink("/dev/zero", path).unwrap(),
            Kind::LinkToItself => symlink(path, path).unwrap(),
        }
    }
}

fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// A device at version 40, booted once, and the same after an upgrade.
struct Template {
    device: TestDevice,
    /// Takes the work of every test: made from `device` each time.
    work: TestDevice,
    old: oracle::Content,
    new: oracle::Content,
}

impl Template {
    fn new() -> Template {
        let device = TestDevice::booted_at(40);
        let work = TestDevice::empty(41);
        let old = oracle::content(&device.main()).unwrap();
        let template = Template { new: old.clone(), old, device, work };
        template.reset();
        assert_eq!(template.work.run(&["run"]).exit, "0");
        let new = oracle::content(&template.work.main()).unwrap();
        assert!(new != template.old, "the upgrade changes nothing");
        Template { new, ..template }
    }

    fn reset(&self) {
        for name in ["var", "run", "etc"] {
            remove(&self.work.root().join(name));
        }
        fs::create_dir_all(self.work.home()).unwrap();
        copy_tree(&self.device.home(), &self.work.home());
    }

    /// What stands under `name` (below the databases' folder) ends the run and is named; nothing is
    /// changed, and without it the device goes on.
    #[track_caller]
    fn refused(&self, kind: Kind, name: &str, belongs: &str) {
        let moved = "nothing was changed. Next: move it away, or correct `path`, then run again";
        let (exit, state, found) = match (belongs, kind.words()) {
            ("a folder", "a symbolic link") => {
                ("16", moved, "it is a symbolic link, and bootmigrate makes none".to_owned())
            }
            ("a folder", words) => (
                "18",
                "nothing was made. Next: bring it there, or move away what is in its place",
                format!("{words} is where {belongs} belongs"),
            ),
            (_, words) => ("16", moved, format!("{words} is where {belongs} belongs")),
        };
        self.reset();
        let path = self.work.home().join(name);
        let aside = path.with_file_name("aside");
        let was_there = fs::rename(&path, &aside).is_ok();
        kind.apply(&path);
        let before = oracle::folder(&self.work.home());
        for command in [&["run"][..], &["run", "--retry"]] {
            let ran = self.work.run(command);
            let sentence = format!("{found} ({}", path.display());
            assert!(
                ran.exit == exit && ran.stderr.contains(&sentence),
                "{kind:?} {name}: exit {}: {}",
                ran.exit,
                ran.stderr
            );
            assert!(ran.stderr.contains(state), "{kind:?} {name}: {}", ran.stderr);
        }
        assert_eq!(
            oracle::touched(&before, &oracle::folder(&self.work.home())),
            "nothing",
            "{kind:?} {name}"
        );
        remove(&path);
        if was_there {
            fs::rename(&aside, &path).unwrap();
        }
        assert_eq!(oracle::content(&self.work.main()).unwrap(), self.old, "{kind:?} {name}");
        self.goes_on(kind, name);
    }

    #[track_caller]
    fn goes_on(&self, kind: Kind, name: &str) {
        let ran = self.work.run(&["run"]);
        let migrated = ran.exit == "0" && ran.stderr.contains("settings: migrated from 40 to 41");
        assert!(migrated, "{kind:?} {name}: exit {}: {}", ran.exit, ran.stderr);
        assert_eq!(oracle::content(&self.work.main()).unwrap(), self.new, "{kind:?} {name}");
    }
}

const STATE: &str = ".bootmigrate/settings.db";

#[test]
fn where_a_file_of_the_database_or_of_ours_belongs() {
    let template = Template::new();
    let state = ["lock", "record", "ready-3.db"].map(|name| format!("{STATE}/{name}"));
    let side_files =
        ["settings.db-journal", "settings.db-wal", "settings.db-shm"].map(str::to_owned);
    for name in state.iter().chain(&side_files) {
        for kind in EVERY {
            template.refused(kind, name, "a regular file");
        }
    }
}

#[test]
fn where_a_folder_of_ours_belongs() {
    let template = Template::new();
    for name in
        [".bootmigrate", STATE, &format!("{STATE}/snapshots"), &format!("{STATE}/quarantine")]
    {
        for kind in [Kind::Fifo, Kind::Socket] {
            template.refused(kind, name, "a folder");
        }
    }
    for name in ["snapshots", "quarantine"] {
        template.refused(Kind::LinkToFifo, &format!("{STATE}/{name}"), "a folder");
    }
}

/// What an unfinished copy left goes, whatever it is; nobody opens it.
#[test]
fn where_a_leftover_or_a_copy_stands() {
    let template = Template::new();
    let left = [
        ".settings.db.new",
        "staging-2.db",
        "staging-2.db-journal",
        "snapshots/tmp-2.db",
        "snapshots/v40-1.db-wal",
    ];
    let kept = ["snapshots/v40-1.db", "snapshots/v40-2.db", "quarantine/1"];
    for name in left.iter().chain(&kept) {
        for kind in EVERY.into_iter().filter(|kind| *kind != Kind::Folder) {
            template.reset();
            let folder = if name.starts_with('.') {
                template.work.home()
            } else {
                template.work.state("settings")
            };
            kind.apply(&folder.join(name));
            template.goes_on(kind, name);
            let gone = fs::symlink_metadata(folder.join(name)).is_err();
            assert!(gone || kept.contains(name), "{kind:?} {name} is still there");
        }
    }
}

/// A copy that is not one is passed over for one that is.
#[test]
fn where_the_newest_snapshot_stands() {
    for kind in EVERY {
        let device = TestDevice::booted_at(40).firmware(41);
        assert_eq!(device.run(&["run"]).exit, "0");
        let new = oracle::content(&device.main()).unwrap();
        kind.apply(&device.state("settings").join("snapshots/v40-7.db"));
        let device = device
            .key("on_damage = [\"snapshot\"]")
            .after(|device| fs::write(device.main(), "no database at all").unwrap());
        let ran = device.run(&["run"]);
        assert!(
            ran.exit == "11" && ran.stderr.contains("restored from a snapshot"),
            "{kind:?}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        let words = format!(
            "snapshot v40-7 is not a good copy: {} is where a regular file belongs",
            kind.words()
        );
        assert!(ran.stderr.contains(&words), "{kind:?}: {}", ran.stderr);
        assert_eq!(oracle::content(&device.main()).unwrap(), new, "{kind:?}");
    }
}

/// What a device is asked to read beside its databases: said, and the run goes on without it.
#[test]
fn where_a_file_of_the_system_stands() {
    let template = Template::new();
    for (name, said) in [
        ("etc/os-release", true),
        ("etc/machine-id", true),
        ("boot/request", true),
        ("run/bootmigrate/unconfirmed/settings", true),
        ("run/bootmigrate/ready/settings", false),
        ("run/bootmigrate/ready/.settings.new", false),
        ("run/bootmigrate/status.json", false),
    ] {
        for kind in [Kind::Fifo, Kind::Socket, Kind::LinkToFifo, Kind::LinkToDevice] {
            template.reset();
            fs::create_dir_all(template.work.root().join("etc")).unwrap();
            fs::write(
                template.work.root().join("etc/bootmigrate.toml"),
                "marker = \"/boot/request\"\n",
            )
            .unwrap();
            let path = template.work.root().join(name);
            kind.apply(&path);
            let ran = template.work.run(&["run"]);
            let migrated =
                ran.exit == "0" && ran.stderr.contains("settings: migrated from 40 to 41");
            assert!(migrated, "{kind:?} {name}: exit {}: {}", ran.exit, ran.stderr);
            let words = format!("{} is not used: ", path.display());
            assert_eq!(ran.stderr.contains(&words), said, "{kind:?} {name}: {}", ran.stderr);
            assert_eq!(
                oracle::content(&template.work.main()).unwrap(),
                template.new,
                "{kind:?} {name}"
            );
            assert!(
                said || fs::symlink_metadata(&path).is_ok_and(|found| found.is_file())
                    || name.ends_with(".new")
            );
        }
    }
}

#[test]
fn where_the_configuration_stands() {
    let template = Template::new();
    for kind in EVERY {
        template.reset();
        let file = template.work.root().join("etc/bootmigrate.toml");
        kind.apply(&file);
        let before = oracle::folder(&template.work.home());
        let named = file.display().to_string();
        for command in [&["run"][..], &["status"], &["run", "--config", &named]] {
            let ran = template.work.run(command);
            let words = format!("bootmigrate: {named} cannot be read: ");
            assert!(
                ran.exit == "2" && ran.stderr.starts_with(&words),
                "{kind:?} {command:?}: exit {}: {}",
                ran.exit,
                ran.stderr
            );
        }
        assert_eq!(
            oracle::touched(&before, &oracle::folder(&template.work.home())),
            "nothing",
            "{kind:?}"
        );
        remove(&file);
        template.goes_on(kind, "bootmigrate.toml");
    }
}

/// Text of this length with these words at its end.
fn long(length: usize, end: &str) -> String {
    format!("{}{end}", "#\n".repeat(length)).chars().skip(length * 2 + end.len() - length).collect()
}

/// The last line of a configuration counts, or the file is refused: a part is never taken for the
/// whole.
#[test]
fn a_configuration_at_its_limit() {
    let template = Template::new();
    let file = template.work.root().join("etc/bootmigrate.toml");
    for (length, exit, words) in [
        (1 << 20, "3", "mode = \"observe\" changes nothing"),
        (
            (1 << 20) + 1,
            "2",
            "bootmigrate.toml cannot be read: it is longer than 1048576 bytes. [BM-2]",
        ),
        (3 << 20, "2", "bootmigrate.toml cannot be read: it is longer than 1048576 bytes. [BM-2]"),
    ] {
        template.reset();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, long(length, "\nmode = \"observe\"\n")).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), length as u64);
        let ran = template.work.run(&["run"]);
        assert!(
            ran.exit == exit && ran.stderr.contains(words),
            "{length}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(oracle::content(&template.work.main()).unwrap(), template.old, "{length}");
    }
}

const SECRET: &str = "root:of-nobodys-concern";

/// Where a run has told these words: standard output, standard error, and every file of the device
/// but what was planted.
fn told(root: &Path, ran: &RunResult, words: &str) -> Vec<String> {
    let holds = |bytes: &[u8]| bytes.windows(words.len()).any(|found| found == words.as_bytes());
    let streams = [("standard output", &ran.stdout), ("standard error", &ran.stderr)];
    let streams = streams
        .into_iter()
        .filter(|(_, text)| holds(text.as_bytes()))
        .map(|(name, _)| name.to_owned());
    let mut found: Vec<String> = streams.collect();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap();
            let mutant = path.ends_with("secret") || path.ends_with("boot/request");
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && !mutant && holds(&fs::read(&path).unwrap()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// Whoever may write where the marker is put must not learn what only root may read.
#[test]
fn a_marker_that_leads_to_another_file() {
    let template = Template::new();
    let root = template.work.root();
    let configured = || {
        template.reset();
        for (name, text) in
            [("etc/bootmigrate.toml", "marker = \"/boot/request\"\n"), ("secret", SECRET)]
        {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        }
        fs::create_dir_all(root.join("boot")).unwrap();
        remove(&root.join("boot/request"));
    };
    for target in ["../secret", "../missing"] {
        configured();
        symlink(target, root.join("boot/request")).unwrap();
        let ran = template.work.run(&["run"]);
        let words = "/boot/request is not used: a symbolic link is where a regular file belongs";
        assert!(
            ran.exit == "0" && ran.stderr.matches(words).count() == 1,
            "{target}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(told(&root, &ran, SECRET), Vec::<String>::new(), "{target}");
    }
    // As a file it is a request, and what a run makes of it is found.
    configured();
    fs::write(root.join("boot/request"), format!("{SECRET}\n")).unwrap();
    let ran = template.work.run(&["run", "--json"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let told = told(&root, &ran, SECRET);
    for place in ["/record", "/settings.db"] {
        assert!(told.iter().any(|name| name.ends_with(place)), "{place}: {told:?}");
    }
}

/// Of a marker and of os-release a part is not used either.
#[test]
fn other_files_beyond_their_limit() {
    let template = Template::new();
    let write = |name: &str, text: &str| {
        let path = template.work.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for (length, words) in [
        (4096, "is longer than 64 bytes: one that begins alike counts as the same"),
        (4097, "/boot/request is not used: it is longer than 4096 bytes"),
    ] {
        template.reset();
        write("etc/bootmigrate.toml", "marker = \"/boot/request\"\n");
        write("boot/request", &"r".repeat(length));
        let ran = template.work.run(&["run"]);
        assert!(
            ran.exit == "0" && ran.stderr.contains(words),
            "{length}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
    }
    for (length, firmware) in [(16 << 10, "7.1"), ((16 << 10) + 1, "")] {
        template.reset();
        write("etc/os-release", &long(length, "\nIMAGE_VERSION=7.1"));
        let ran = template.work.run(&["run", "--json"]);
        assert_eq!(ran.exit, "0", "{length}: {}", ran.stderr);
        assert!(
            ran.stdout.contains(&format!("\"firmware\": \"{firmware}\"")),
            "{length}: {}",
            ran.stdout
        );
        assert_eq!(
            ran.stderr.contains("os-release is not used: it is longer than 16384 bytes"),
            firmware.is_empty(),
            "{}",
            ran.stderr
        );
    }
    template.reset();
    let record = template.work.state("settings").join("record");
    let mut bytes = fs::read(&record).unwrap();
    bytes.extend([7; 100]);
    fs::write(&record, bytes).unwrap();
    let ran = template.work.run(&["run"]);
    let words = "the record is longer than its two slots; what follows them is not used";
    assert!(ran.exit == "0" && ran.stderr.contains(words), "exit {}: {}", ran.exit, ran.stderr);
    let quarantined = template.work.state("settings").join("quarantine/9");
    fs::create_dir(&quarantined).unwrap();
    fs::write(
        quarantined.join("reason.txt"),
        format!("operation: 9\nreason: {}", "because ".repeat(1000).trim_end()),
    )
    .unwrap();
    let ran = template.work.run(&["doctor"]);
    assert!(ran.stdout.contains("(cut: reason.txt is longer)"), "{}", ran.stdout);
}

/// A sparse file takes no room, and its copy would take all of it.
#[test]
fn a_snapshot_that_is_far_longer_than_its_header_says_is_not_copied() {
    let device = TestDevice::at(30).firmware(40);
    assert_eq!(device.run(&["run"]).exit, "0");
    let long = device.state("settings").join("snapshots/v40-9.db");
    fs::copy(device.main(), &long).unwrap();
    fs::File::options().write(true).open(&long).unwrap().set_len(1 << 30).unwrap();
    fs::write(device.main(), "no database at all").unwrap();
    let ran = device.key("on_damage = [\"snapshot\"]").firmware(41).run(&["run"]);
    let words = "snapshot v40-9 is not a good copy: the file is much longer than its header says";
    assert!(ran.exit == "11" && ran.stderr.contains(words), "exit {}: {}", ran.exit, ran.stderr);
    assert!(
        ran.stderr.contains("lost: what was written after the snapshot of version 30"),
        "{}",
        ran.stderr
    );
}
