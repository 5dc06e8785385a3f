//! Owns the tests of room that is missing and comes back: bytes, inodes, a quota, limits of
//! SQLite's own, a `statfs` that does not know.
//! Promises: small real file systems, or the kernel's answers changed by strace; the first boot
//! after the cause is gone goes on.
//! Never accepts a number of bytes where bytes were not what was missing.

use crate::device::TestDevice;
use crate::dump::tidy;
use crate::mount::{require_root, Mount};
use crate::oracle;
use crate::program::finish;
use crate::strace::{self, calls};
use std::fs;
use std::os::unix::fs::FileExt;

const VACUUM: (&str, &str) = ("V43__vacuum.sql", "-- bootmigrate: no-transaction\nVACUUM;\n");
/// About 600 KiB.
const LARGE: (&str, &str) = (
    "V41__large.sql",
    "CREATE TABLE large AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE \
     i < 600) SELECT zeroblob(900) AS a FROM n;\n",
);

#[track_caller]
fn runs(device: &TestDevice, arguments: &[&str], exit: &str) -> String {
    let ran = device.run(arguments);
    let said = tidy(device, &ran.stderr);
    assert_eq!(ran.exit, exit, "{arguments:?}: {said}");
    said
}

/// A run in which the kernel gives these answers.
#[track_caller]
fn answered(device: &TestDevice, answers: &str, exit: &str) -> String {
    let log = device.folder().join("answers.log");
    let ran =
        finish(device.command(&strace::words(device, &["run"], &log, Some(answers.to_owned()))));
    let said = tidy(device, &ran.stderr);
    assert_eq!(ran.exit, exit, "{answers}: {said}");
    said
}

/// The first call with these words: `pwrite64:error=EDQUOT:when=12`, and all after it with `+`.
#[track_caller]
fn fails(device: &TestDevice, name: &str, words: &str, error: &str) -> String {
    let (all, _) = calls(&device.duplicate(), &["run"]);
    let call = all
        .iter()
        .find(|call| call.name == name && call.line.contains(words))
        .unwrap_or_else(|| panic!("no {name} of {words}"));
    format!("{name}:error={error}:when={}", call.nth)
}

#[track_caller]
fn is_old(device: &TestDevice) {
    let expected = device.expectations(&device.databases[0]);
    assert_eq!(oracle::content(&device.main()).unwrap(), expected.old.unwrap());
}

/// The very next boot goes on, to the rows and the version that plain SQLite comes to.
#[track_caller]
fn goes_on(device: &TestDevice) {
    let wanted = device.expectations(&device.databases[0]).new.unwrap();
    let said = runs(device, &["run"], "0");
    assert!(said.contains("migrated from 40 to"), "{said}");
    assert_eq!(oracle::content(&device.main()).unwrap(), wanted);
}

fn mount(device: &TestDevice) -> &Mount {
    device.mount.as_ref().unwrap()
}

#[test]
fn inodes_are_named_and_no_bytes_are_remembered() {
    // Which file cannot be made differs: the snapshot, SQLite's journal, a WAL, a copy that is
    // built beside.
    for (wal, copy, left, beside) in [
        (false, "auto", 0, false),
        (false, "never", 0, false),
        // "auto" goes on without the snapshot that took the last one.
        (false, "always", 1, false),
        (true, "auto", 0, false),
        (true, "never", 0, false),
        (false, "auto", 0, true),
    ] {
        let device = if wal { TestDevice::wal_at(40) } else { TestDevice::at(40) }
            .on(|at, folder| Mount::ext4_for_files(at, folder, 64));
        runs(&device, &["run"], "0");
        let device = device.firmware(41).key(&format!("snapshot = \"{copy}\""));
        let device = if beside { device.firmware(42).file(VACUUM) } else { device };
        mount(&device).take_inodes(left);
        for _ in 0..2 {
            let said = runs(&device, &["run"], "14");
            assert!(
                said.contains("inodes left for new files"),
                "wal {wal}, {copy}, {left} left, beside {beside}: {said}"
            );
            assert!(!said.contains("must be free") && !said.contains("until"), "{said}");
        }
        is_old(&device);
        mount(&device).give_inodes_back();
        goes_on(&device);
    }
}

#[test]
fn no_inode_for_the_first_boot() {
    let device = TestDevice::empty(41).on(|at, folder| Mount::ext4_for_files(at, folder, 32));
    mount(&device).take_inodes(0);
    for _ in 0..2 {
        assert!(runs(&device, &["run"], "14")
            .contains("the file system has 0 inodes left for new files, though"));
    }
    mount(&device).give_inodes_back();
    assert!(runs(&device, &["run"], "0").contains("created at version 41"));
    assert_eq!(
        oracle::content(&device.main()).unwrap(),
        device.expectations(&device.databases[0]).fresh.unwrap()
    );
}

#[test]
fn a_quota_is_named_and_no_bytes_are_remembered() {
    require_root();
    // SQLite makes an I/O error of the first three, and "cannot open" of a journal that cannot be
    // made.
    for (wal, call, words, from_then_on) in [
        (false, "pwrite64", "settings.db-journal>", ""),
        (false, "pwrite64", "gateway/settings.db>", ""),
        (true, "pwrite64", "settings.db-wal>", ""),
        (false, "openat", "settings.db-journal", "+"),
        (false, "openat", "tmp-1.db", ""),
        (false, "copy_file_range", "tmp-1.db", ""),
        (false, "fsync", "tmp-1.db", ""),
        (false, "fdatasync", "record>", ""),
    ] {
        let device = if wal { TestDevice::wal_at(40) } else { TestDevice::at(40) };
        runs(&device, &["run"], "0");
        let device = device.firmware(41).key("snapshot = \"always\"");
        let answers = format!("{}{from_then_on}", fails(&device, call, words, "EDQUOT"));
        let said = answered(&device, &answers, "14");
        assert!(
            said.contains("the disk quota is used up") && said.contains("raise the quota"),
            "{words}: {said}"
        );
        is_old(&device);
        goes_on(&device);
    }
}

#[test]
fn a_disk_that_says_full_and_shows_room_is_asked_again() {
    require_root();
    for (call, words) in [
        ("pwrite64", "settings.db-journal>"),
        ("copy_file_range", "tmp-1.db"),
        ("pwrite64", "gateway/settings.db>"),
    ] {
        let device = TestDevice::booted_at(40).firmware(41);
        let answers = fails(&device, call, words, "ENOSPC");
        let said = answered(&device, &answers, "14");
        assert!(said.contains("the storage says so, though"), "{said}");
        is_old(&device);
        goes_on(&device);
    }
}

#[test]
fn a_limit_of_sqlite_is_the_migrations_failure() {
    let sql = format!("PRAGMA max_page_count = 40;\n{}", LARGE.1);
    let beside = format!("-- bootmigrate: no-transaction\n{sql}");
    for sql in [sql, beside] {
        let device = TestDevice::booted_at(40).firmware(40).file((LARGE.0, &sql));
        for _ in 0..3 {
            let said = runs(&device, &["run"], "10");
            assert!(
                said.contains("V41__large.sql:") && said.contains("PRAGMA max_page_count allows"),
                "{said}"
            );
        }
        is_old(&device);
        // The firmware that has it right.
        goes_on(&device.file(LARGE));
    }
}

#[test]
fn remembered_bytes_are_forgotten_by_a_person_and_by_a_boot_that_has_them() {
    for by_a_person in [true, false] {
        let device = TestDevice::booted_at(40)
            .firmware(40)
            .file(LARGE)
            .key("snapshot = \"never\"")
            .on(|at, folder| Mount::ext4(at, folder, 8192));
        mount(&device).fill_but(400);
        let said = runs(&device, &["run"], "14");
        assert!(
            said.contains("database or disk is full") && said.contains("Next: free space until"),
            "{said}"
        );
        let asked = asked_for(&said);
        let before = oracle::folder(&device.root());
        let said = runs(&device, &["run"], "14");
        assert!(
            said.contains("bytes must be free and")
                && said.contains("`bootmigrate run --retry --db settings` tries at once"),
            "{said}"
        );
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
        mount(&device).empty();
        mount(&device).fill_but(1000);
        let wanted = device.expectations(&device.databases[0]).new.unwrap();
        if by_a_person {
            // Enough for the migration, and less than what is remembered.
            remembers(&device, asked, 3 << 20);
            runs(&device, &["run"], "14");
            runs(&device, &["run", "--retry"], "0");
        } else {
            runs(&device, &["run"], "0");
        }
        assert_eq!(oracle::content(&device.main()).unwrap(), wanted);
    }
}

/// The record of an earlier run, with another number of bytes that must be free: format 1, two
/// slots, of which one has the number.
#[track_caller]
fn remembers(device: &TestDevice, said: u64, bytes: u64) {
    let path = device.state("settings").join("record");
    let mut record = fs::read(&path).unwrap();
    let at = record.windows(8).position(|word| word == said.to_le_bytes()).unwrap();
    record[at..at + 8].copy_from_slice(&bytes.to_le_bytes());
    let slot = &mut record[at / 4096 * 4096..][..4096];
    let length = u32::from_le_bytes(slot[12..16].try_into().unwrap()) as usize;
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    let counted = slot[8..24].iter().chain(&slot[32..32 + length]);
    let crc = !counted
        .fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)));
    slot[24..28].copy_from_slice(&crc.to_le_bytes());
    fs::write(path, record).unwrap();
}

#[track_caller]
fn asked_for(said: &str) -> u64 {
    said.split("free space until ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap()
}

/// An earlier firmware has stored what it took for the missing bytes, such as the 67 GB that a
/// quota's ENOSPC led to.
#[test]
fn an_unreachable_number_of_bytes_is_never_asked_for() {
    let size_of = |room: &rustix::fs::StatVfs, blocks: u64| room.f_frsize * blocks;
    let values: [fn(u64, u64) -> u64; 6] = [
        |total, main| total - main + 1,
        |total, _| total,
        |total, _| 2 * total,
        |_, _| 67 << 30,
        |_, _| u64::MAX / 2,
        |_, _| u64::MAX,
    ];
    for (number, unreachable) in values.iter().enumerate() {
        let device = TestDevice::booted_at(40)
            .firmware(40)
            .file(LARGE)
            .key("snapshot = \"never\"")
            .on(|at, folder| Mount::ext4(at, folder, 8192));
        mount(&device).fill_but(400);
        let stored = asked_for(&runs(&device, &["run"], "14"));
        let room = rustix::fs::statvfs(device.main()).unwrap();
        let (total, main) =
            (size_of(&room, room.f_blocks), fs::metadata(device.main()).unwrap().len());
        remembers(&device, stored, unreachable(total, main));
        for command in ["status", "plan", "doctor"] {
            let looked = device.run(&[command]);
            assert!(
                !looked.stdout.contains("must be free"),
                "value {number}, {command}: {}",
                looked.stdout
            );
        }
        // It tries, and finds out what is short now.
        let said = runs(&device, &["run"], "14");
        assert!(
            said.contains("database or disk is full") && !said.contains("must be free"),
            "value {number}: {said}"
        );
        // One that can be had is waited for.
        mount(&device).empty();
        let room = rustix::fs::statvfs(device.main()).unwrap();
        remembers(&device, asked_for(&said), size_of(&room, room.f_bavail) + 1);
        assert!(runs(&device, &["run"], "14").contains("bytes must be free and"));
        remembers(&device, size_of(&room, room.f_bavail) + 1, unreachable(total, main));
        goes_on(&device);
    }
}

/// Commands that make a copy, or write rows, beside the applications.
#[test]
fn commands_name_inodes_too() {
    let device = TestDevice::at(40).on(|at, folder| Mount::ext4_for_files(at, folder, 64));
    runs(&device, &["run"], "0");
    let newer = device.firmware(41);
    mount(&newer).take_inodes(0);
    let named = "the file system has 0 inodes left for new files, though";
    for arguments in [&["snapshot", "create"][..], &["rehearse"]] {
        let ran = newer.run(arguments);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            ran.exit == "14" && said.contains(named) && said.contains("Next: remove files from it"),
            "{arguments:?}: {said}"
        );
    }
    let device = newer.firmware(40);
    let data = device.firmware_folder().join("settings/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("V1__badge.sql"), "UPDATE parent SET badge = NULL;\n").unwrap();
    let said = runs(&device, &["data", "run", "--all"], "14");
    assert!(
        said.contains(named)
            && said.contains("then run `bootmigrate data run --all --db settings` again"),
        "{said}"
    );
    is_old(&device);
    mount(&device).give_inodes_back();
    runs(&device, &["snapshot", "create"], "0");
    runs(&device, &["data", "run", "--all"], "0");
}

#[test]
fn commands_name_a_quota_too() {
    require_root();
    for (arguments, call, words) in [
        (&["snapshot", "create"][..], "pwrite64", "tmp-backup.db>"),
        (&["rehearse"], "pwrite64", "rehearsal"),
        (&["snapshot", "create"], "openat", "tmp-backup.db"),
    ] {
        let device = TestDevice::booted_at(40).firmware(41);
        let (all, _) = calls(&device.duplicate(), arguments);
        let found = all.iter().find(|seen| seen.name == call && seen.line.contains(words));
        let nth = found.unwrap_or_else(|| panic!("no {call} of {words}")).nth;
        let log = device.folder().join("answers.log");
        let answers = format!("{call}:error=EDQUOT:when={nth}+");
        let ran = finish(device.command(&strace::words(&device, arguments, &log, Some(answers))));
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            ran.exit == "14"
                && said.contains("the disk quota is used up")
                && said.contains("raise the quota"),
            "{arguments:?}, {words}: {said}"
        );
        is_old(&device);
        goes_on(&device);
    }
}

/// `statfs` answers with 0 blocks of 0 and 0 files of 0, as FUSE and 9p do that do not know.
#[track_caller]
fn not_knowing(device: &TestDevice, arguments: &[&str]) -> crate::program::RunResult {
    require_root();
    // f_type and f_bsize of 64 bits each, then blocks, free, available, files, free files: zeros.
    let zeros = format!("4655736500000000{}{}", "0010000000000000", "00".repeat(40));
    let log = device.folder().join("statfs.log");
    let mut words: Vec<std::ffi::OsString> = ["strace", "-f", "-qq", "-o"].map(Into::into).into();
    words.push(log.into());
    words.extend(["-e", "trace=statfs,fstatfs", "-e"].map(Into::into));
    words.push(format!("inject=statfs,fstatfs:poke_exit=@arg2={zeros}").into());
    words.push("--".into());
    words.extend(device.words(arguments));
    finish(device.command(&words))
}

#[test]
fn a_file_system_that_does_not_know_its_room() {
    for device in [
        TestDevice::at(40).firmware(41),
        TestDevice::wal_at(40).firmware(41),
        TestDevice::at(40).firmware(42).file(VACUUM),
        TestDevice::at(40).firmware(41).key("snapshot = \"always\""),
    ] {
        let wanted = device.expectations(&device.databases[0]).new.unwrap();
        let doctor = not_knowing(&device, &["doctor"]);
        assert!(
            doctor.stdout.contains("the file system does not say how much is free"),
            "{}",
            doctor.stdout
        );
        let ran = not_knowing(&device, &["run"]);
        assert_eq!(ran.exit, "0", "{}", tidy(&device, &ran.stderr));
        assert!(ran.stderr.contains("snapshot snapshots/v40-"), "{}", ran.stderr);
        assert_eq!(oracle::content(&device.main()).unwrap(), wanted);
    }
}

#[test]
fn a_refusal_names_what_of_ours_may_go() {
    let device =
        TestDevice::booted_at(40).firmware(42).file(VACUUM).on(|at, _| Mount::tmpfs(at, 8192));
    // A snapshot, and beside it a database that was damaged and replaced.
    runs(&device, &["snapshot", "create"], "0");
    let main = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    main.write_all_at(b"this is no database", 0).unwrap();
    drop(main);
    let device = device.without("V43__vacuum.sql").firmware(40);
    runs(&device, &["run"], "11");
    let device = device.firmware(42).file(VACUUM);
    mount(&device).fill_but(500);
    let said = runs(&device, &["run"], "14");
    let aside = fs::read_dir(device.state("settings").join("quarantine"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let number = aside.file_name().unwrap().to_string_lossy().into_owned();
    let remove =
        format!("(remove it with `bootmigrate quarantine delete {number} --db settings --yes`)");
    assert!(
        said.contains("a copy needs")
            && said.contains("a replaced database of")
            && said.contains(&remove),
        "{said}"
    );
    // The snapshot is from before the loss: it may be the only home of rows, and goes by an
    // operator's word alone.
    assert!(!said.contains("a snapshot of"), "{said}");
    for command in ["status", "plan"] {
        let looked = tidy(&device, &device.run(&[command]).stdout);
        assert!(
            looked.contains(if command == "status" { remove.as_str() } else { "a copy needs" }),
            "{command}: {looked}"
        );
    }
    // What it says helps.
    runs(&device, &["quarantine", "delete", &number, "--db", "settings", "--yes"], "0");
    goes_on(&device);
}

/// Whoever was told that nothing was changed does not find it purged by the next boot.
#[test]
fn a_purge_that_found_no_room_for_the_old_files_is_off() {
    let purge = ["purge", "--db", "settings", "--yes"];
    let device = TestDevice::booted_at(40);
    let (all, _) = calls(&device.duplicate(), &purge);
    let call = all
        .iter()
        .find(|call| call.name == "mkdirat" && call.line.contains("quarantine"))
        .unwrap_or_else(|| panic!("nothing was set aside"));
    let answer = format!("mkdirat:error=ENOSPC:when={}", call.nth);
    let log = device.folder().join("answers.log");
    let ran = finish(device.command(&strace::words(&device, &purge, &log, Some(answer))));
    assert_eq!(ran.exit, "14", "{}", ran.stderr);
    let rows = oracle::content(&device.main()).unwrap();
    runs(&device, &["run"], "0");
    assert_eq!(oracle::content(&device.main()).unwrap(), rows);
    runs(&device, &purge, "11");
}

/// What a repair needs is more than such a small file system can have beside the damaged file: that
/// is found out once.
#[test]
fn a_repair_without_room_is_tried_once() {
    let table = ("V1__log.sql", "CREATE TABLE log (id INTEGER PRIMARY KEY, b BLOB);\n");
    let device = TestDevice::empty(0).file(table).on(|at, _| Mount::tmpfs(at, 3072));
    runs(&device, &["run"], "0");
    rusqlite::Connection::open(device.main())
        .unwrap()
        .execute_batch("INSERT INTO log VALUES (1, randomblob(2000000)), (2, NULL)")
        .unwrap();
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    file.write_all_at(b"no database here", 0).unwrap();
    drop(file);
    let damaged = fs::read(device.main()).unwrap();
    runs(&device, &["run"], "14");
    for _ in 0..3 {
        let before = oracle::folder(&device.home());
        let said = runs(&device, &["run"], "14");
        assert!(said.contains("to repair it"), "{said}");
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing", "{said}");
        assert!(fs::read(device.main()).unwrap() == damaged, "{said}");
    }
}
