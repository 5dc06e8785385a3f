//! Owns the situation that a test begins with: a root folder, a firmware folder, databases written
//! by the real refinery.
//! Promises: everything lies in one temporary folder of its own, and goes with it, also when the
//! test fails.
//! Never looks into the program under test: it is a file that is run.

use crate::application::Application;
use crate::mount::Mount;
use crate::oracle::{self, Content, Copy};
use crate::product;
use refinery::{Runner, Target};
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::{chown, FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where the databases of every test lie, under its root.
pub const HOME: &str = "var/lib/gateway";

/// The journal mode an application uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Rollback journal.
    Delete,
    /// Write-ahead log.
    Wal,
}

/// How refinery was told to migrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouped {
    /// One transaction for all.
    Yes,
    /// Two transactions a migration: its default.
    No,
}

/// One database of the situation, as it was when the situation was ready.
pub struct Database {
    /// Its folder in the firmware and its name in the configuration.
    pub name: String,
    /// The version it was written at; 0 where it is absent.
    pub version: i32,
    /// Lines of its table in `bootmigrate.toml`.
    keys: Vec<String>,
}

/// The program that a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `examples/firmware`: the catalogue of the test's own folder.
    Firmware,
    /// The real `bootmigrate`, with the example product.
    Product,
}

/// A situation.
pub struct TestDevice {
    /// An application that has the database open; ended first.
    pub application: Option<Application>,
    /// A small file system under [`TestDevice::home`]; unmounted before the folder goes.
    pub mount: Option<Mount>,
    /// The databases, in the order of the configuration.
    pub databases: Vec<Database>,
    /// What is run.
    pub program: Program,
    /// Environment of the program.
    pub environment: Vec<(String, String)>,
    /// The user that runs it; root where absent.
    pub user: Option<u32>,
    /// Without `--root`, in a mount namespace whose `/run` is the test's own.
    pub namespace: bool,
    /// In that namespace there is no `/proc`.
    pub without_proc: bool,
    head: String,
    folder: TempDir,
}

impl TestDevice {
    /// An empty device; its firmware knows the migrations up to `firmware`.
    pub fn empty(firmware: i32) -> TestDevice {
        let folder = tempfile::Builder::new().prefix("test-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(folder.path().join("root").join(HOME)).unwrap();
        fs::create_dir_all(folder.path().join("root/run")).unwrap();
        let settings = Database { name: "settings".into(), version: 0, keys: Vec::new() };
        let device = TestDevice {
            application: None,
            mount: None,
            databases: vec![settings],
            program: Program::Firmware,
            environment: Vec::new(),
            user: None,
            namespace: false,
            without_proc: false,
            head: "slots = \"single\"\n".into(),
            folder,
        };
        device.firmware(firmware).key("busy_timeout_s = 2")
    }

    /// A device at `version`, in rollback-journal mode, whose firmware knows no more than that.
    pub fn at(version: i32) -> TestDevice {
        TestDevice::written(version, Mode::Delete, Grouped::No)
    }

    /// A device at `version` in WAL mode, its WAL checkpointed.
    pub fn wal_at(version: i32) -> TestDevice {
        TestDevice::written(version, Mode::Wal, Grouped::No)
    }

    /// A device that the real refinery migrated to `version`, and whose application wrote its rows.
    pub fn written(version: i32, mode: Mode, grouped: Grouped) -> TestDevice {
        let mut device = TestDevice::empty(version);
        device.write_database(0, version, mode, grouped);
        device
    }

    /// As [`TestDevice::at`], after one boot of the program: its state folder is there.
    #[track_caller]
    pub fn booted_at(version: i32) -> TestDevice {
        let device = TestDevice::at(version);
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "the boot that makes the situation: {}", ran.stderr);
        device
    }

    /// A second database, rebuildable, at `version` (0: absent).
    pub fn with_telemetry(mut self, version: i32) -> TestDevice {
        self.databases.push(Database {
            name: "telemetry".into(),
            version: 0,
            keys: vec!["kind = \"rebuildable\"".into()],
        });
        self.write_last(version, Mode::Delete)
    }

    /// A database `log`, as precious as `settings` and in one group with it, at `version` (0:
    /// absent).
    pub fn together_with_log(mut self, version: i32, mode: Mode) -> TestDevice {
        let together = "group = \"core\"".to_owned();
        self.databases.push(Database {
            name: "log".into(),
            version: 0,
            keys: vec!["busy_timeout_s = 2".into(), together.clone()],
        });
        self.key(&together).write_last(version, mode)
    }

    fn write_last(mut self, version: i32, mode: Mode) -> TestDevice {
        let last = self.databases.len() - 1;
        product::write(&self.firmware_folder(), &self.databases[last].name, version.max(10));
        if version > 0 {
            self.write_database(last, version, mode, Grouped::No);
        }
        self.configure()
    }

    fn write_database(&mut self, index: usize, version: i32, mode: Mode, grouped: Grouped) {
        let name = self.databases[index].name.clone();
        let mut connection = Connection::open(self.path(&name)).unwrap();
        if mode == Mode::Wal {
            connection.pragma_update(None, "journal_mode", "wal").unwrap();
        }
        connection.pragma_update(None, "synchronous", "off").unwrap();
        let files = oracle::refinery(&self.firmware_folder(), &name);
        let target = Target::Version(version as _);
        Runner::new(&files)
            .set_grouped(grouped == Grouped::Yes)
            .set_target(target)
            .run(&mut connection)
            .unwrap();
        populate(&connection);
        connection.close().unwrap();
        self.databases[index].version = version;
    }

    /// The firmware now carries the product's files up to `last`.
    pub fn firmware(self, last: i32) -> TestDevice {
        for database in &self.databases {
            product::write(&self.firmware_folder(), &database.name, last);
        }
        self.configure()
    }

    /// How many slots share the data.
    pub fn slots(mut self, slots: &str) -> TestDevice {
        self.head = format!("slots = \"{slots}\"\n");
        self.configure()
    }

    /// The other slot boots: its firmware knows the product's files up to `last`.
    pub fn older(self, last: i32) -> TestDevice {
        self.firmware(last)
    }

    /// The firmware carries this file of `settings` too, or this text of it.
    pub fn file(self, file: (&str, &str)) -> TestDevice {
        self.file_of("settings", file)
    }

    /// The same of another database.
    pub fn file_of(self, database: &str, (name, sql): (&str, &str)) -> TestDevice {
        fs::write(self.firmware_folder().join(database).join(name), sql).unwrap();
        self
    }

    /// The firmware does not carry this file of `settings`.
    pub fn without(self, name: &str) -> TestDevice {
        self.without_of("settings", name)
    }

    /// The same of another database.
    pub fn without_of(self, database: &str, name: &str) -> TestDevice {
        fs::remove_file(self.firmware_folder().join(database).join(name)).unwrap();
        self
    }

    /// A line in `[databases.settings]`; a key that is there already is rewritten.
    pub fn key(mut self, line: &str) -> TestDevice {
        let name = line.split('=').next().unwrap().to_string();
        self.databases[0].keys.retain(|old| !old.starts_with(&name));
        self.databases[0].keys.push(line.into());
        self.configure()
    }

    /// A line above the tables.
    pub fn top(mut self, line: &str) -> TestDevice {
        self.head.push_str(&format!("{line}\n"));
        self.configure()
    }

    fn configure(self) -> TestDevice {
        let mut text = self.head.clone();
        let root = if self.namespace { self.root().display().to_string() } else { String::new() };
        for Database { name, keys, .. } in &self.databases {
            text.push_str(&format!("\n[databases.{name}]\npath = \"{root}/{HOME}/{name}.db\"\n"));
            keys.iter().for_each(|key| text.push_str(&format!("{key}\n")));
        }
        fs::write(self.firmware_folder().join("bootmigrate.toml"), text).unwrap();
        self
    }

    /// Run without `--root`: mounts are looked at.
    pub fn without_root(mut self) -> TestDevice {
        crate::mount::require_root();
        self.namespace = true;
        let mount = format!("require_mount = \"{}\"", self.home().display());
        self.configure().key(&mount)
    }

    /// The same in a folder that was made a root (chroot) without its `/proc`.
    pub fn without_proc(mut self) -> TestDevice {
        self.without_proc = true;
        self.without_root()
    }

    /// An environment variable for the program.
    pub fn environment(mut self, name: &str, value: &str) -> TestDevice {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Anything else that happened to the device before the test begins.
    pub fn after(self, event: impl FnOnce(&TestDevice)) -> TestDevice {
        event(&self);
        self
    }

    /// A file's statements ran and were committed; the power went before refinery's second
    /// transaction.
    pub fn half_done(self, version: i32) -> TestDevice {
        self.after(|device| {
            let files = product::read(&device.firmware_folder(), "settings");
            let (_, sql) = files
                .iter()
                .find(|(file, _)| product::version(file) == i64::from(version))
                .unwrap();
            let connection = Connection::open(device.main()).unwrap();
            connection
                .execute_batch(&format!("PRAGMA foreign_keys = OFF; BEGIN; {sql} COMMIT;"))
                .unwrap();
        })
    }

    /// A run brings it from one version to the other.
    #[track_caller]
    pub fn migrates(&self, from: i32, to: i32) {
        let ran = self.run(&["run"]);
        assert!(
            ran.exit == "0" && ran.stderr.contains(&format!("migrated from {from} to {to}")),
            "exit {}: {}",
            ran.exit,
            ran.stderr
        );
    }

    /// The root page of a table or an index: its number, and what is on it.
    pub fn root_page(&self, object: &str) -> (u64, Vec<u8>) {
        let copy = Copy::of(&self.main()).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        let number: u32 = copy.open().query_row(sql, [object], |row| row.get(0)).unwrap();
        let bytes = fs::read(self.main()).unwrap();
        (u64::from(number), bytes[(number as usize - 1) * 4096..number as usize * 4096].to_vec())
    }

    /// Puts a page there past SQLite.
    pub fn put_page(&self, (number, page): &(u64, Vec<u8>)) {
        fs::OpenOptions::new()
            .write(true)
            .open(self.main())
            .unwrap()
            .write_all_at(page, (number - 1) * 4096)
            .unwrap();
    }

    /// An application opens `settings` and obeys these lines of [`Application`]'s protocol; it
    /// stays.
    #[track_caller]
    pub fn application(mut self, lines: &[&str]) -> TestDevice {
        let mut application = Application::start(self.folder.path(), self.user);
        application.expect_ok(&format!("open {}", self.main().display()));
        lines.iter().for_each(|line| application.expect_ok(line));
        self.application = Some(application);
        self
    }

    /// The application is killed, as by a power cut.
    pub fn killed(mut self) -> TestDevice {
        self.application = None;
        self
    }

    /// The folder of databases belongs to this user.
    pub fn home_of(self, uid: u32) -> TestDevice {
        chown(self.home(), Some(uid), Some(uid)).unwrap();
        for database in &self.databases {
            if self.path(&database.name).exists() {
                chown(self.path(&database.name), Some(uid), Some(uid)).unwrap();
            }
        }
        self
    }

    /// Makes the folder of databases a small file system of its own, with everything that is in it.
    pub fn on(mut self, make: impl FnOnce(&Path, &Path) -> Mount) -> TestDevice {
        let aside = self.folder.path().join("aside");
        fs::rename(self.home(), &aside).unwrap();
        fs::create_dir(self.home()).unwrap();
        self.mount = Some(make(&self.home(), self.folder.path()));
        copy_tree(&aside, &self.home());
        fs::remove_dir_all(&aside).unwrap();
        self
    }

    /// A device of its own that is as this one is.
    pub fn duplicate(&self) -> TestDevice {
        let mut duplicate = TestDevice::empty(10);
        copy_tree(&self.firmware_folder(), &duplicate.firmware_folder());
        copy_tree(&self.root(), &duplicate.root());
        duplicate.databases[0].version = self.databases[0].version;
        duplicate
    }

    /// The whole temporary folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `--root`.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Where the databases lie.
    pub fn home(&self) -> PathBuf {
        self.root().join(HOME)
    }

    /// The firmware's migrations.
    pub fn firmware_folder(&self) -> PathBuf {
        self.folder.path().join("migrations")
    }

    /// A database's main file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home().join(format!("{name}.db"))
    }

    /// The main file of `settings`.
    pub fn main(&self) -> PathBuf {
        self.path("settings")
    }

    /// The state folder of a database.
    pub fn state(&self, name: &str) -> PathBuf {
        self.home().join(".bootmigrate").join(format!("{name}.db"))
    }

    /// What the rows are now, what they must be after the firmware's migrations, and what a fresh
    /// database holds.
    pub fn expectations(&self, database: &Database) -> Expectations {
        let path = self.path(&database.name);
        let old = oracle::content(&path).ok();
        let firmware = self.catalogue_folder();
        let new = old.as_ref().and_then(|_| {
            Copy::of(&path).and_then(|copy| {
                oracle::migrated(&copy, &firmware, &database.name, database.version)
            })
        });
        Expectations { old, new, fresh: oracle::fresh(&firmware, &database.name) }
    }
}

/// The contents that a database may have after the run.
pub struct Expectations {
    /// As it is.
    pub old: Option<Content>,
    /// With everything pending applied to it.
    pub new: Option<Content>,
    /// Made from nothing.
    pub fresh: Option<Content>,
}

/// Copies a folder with owners, modes and times.
pub fn copy_tree(from: &Path, to: &Path) {
    let done =
        std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(done.success(), "cp -a {} {}", from.display(), to.display());
}

/// What an application wrote: 1,000 more parents and children of every type, and a change in what
/// was there.
pub fn populate(connection: &Connection) {
    connection
        .execute_batch(
            "BEGIN;
             WITH RECURSIVE n(i) AS (VALUES (1001) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             INSERT INTO parent (id, name, reading, raw, badge)
             SELECT i, 'device ' || i, i / 7.0, unhex(printf('%08x', i * 2654435761 % 4294967296)),
                    CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN i % 10 WHEN 2 THEN 'badge' ELSE i * \
             0.1 END FROM n;
             UPDATE parent SET reading = -id WHERE id <= 500;",
        )
        .unwrap();
    let children = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE name = 'child'",
        [],
        |row| row.get(0),
    );
    if children == Ok(1) {
        connection
            .execute_batch(
                "WITH RECURSIVE n(i) AS (VALUES (1001) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                 INSERT INTO child (id, parent_id, label, amount)
                 SELECT i, i, NULL, CASE i % 3 WHEN 0 THEN 9223372036854775807 - i WHEN 1 THEN \
                 x'00ff' ELSE '' END FROM n;
                 UPDATE child SET label = 'changed' WHERE id BETWEEN 10 AND 600;",
            )
            .unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}
