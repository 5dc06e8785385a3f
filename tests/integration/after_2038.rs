//! Owns the tests of a device whose clock stands after January 2038, where 32-bit times end.
//! Promises: the date is written, read back, and still there when the program has looked at the
//! file.
//! Never changes the clock of the machine: the files are dated.

use crate::application::Application;
use crate::device::TestDevice;
use crate::dump::check_op;
use expect_test::expect;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// 1 July 2049, in seconds since 1970: more than 31 bits hold.
const JULY_2049_S: u64 = 2_508_710_400;

/// Dates a file or a folder, and reads the date back.
#[track_caller]
fn date(path: &Path) {
    let time = UNIX_EPOCH + Duration::from_secs(JULY_2049_S);
    File::open(path).unwrap().set_modified(time).unwrap();
    dated(path);
}

#[track_caller]
fn dated(path: &Path) {
    let found =
        std::fs::metadata(path).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(found.as_secs(), JULY_2049_S, "the date of {}", path.display());
}

#[track_caller]
fn date_everything(device: &TestDevice) {
    let files: Vec<_> =
        std::fs::read_dir(device.home()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.iter().for_each(|path| date(path));
    date(&device.home());
}

#[test]
fn upgrade_in_2049() {
    for device in [TestDevice::at(40), TestDevice::wal_at(40)] {
        let device = device.firmware(41).after(date_everything);
        check_op(
            &device,
            "run",
            expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     0
            settings: migrated 40>41 of 41, applied [41], usable, exit 0
            code:     BM-0 settings 40>41
            backup:   snapshots/v40-1.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
        );
        Application::start(device.folder(), None)
            .expect_ok(&format!("open {}", device.main().display()));
    }
}

#[test]
fn quiet_boot_in_2049() {
    let device = TestDevice::booted_at(41).after(date_everything);
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: nothing to do: at version 41
        exit:     0
        settings: quiet 41>41 of 41, applied [], usable, exit 0
        code:     BM-0 settings 41
        database: old, 2000 parents, 1000 children
        touched:  nothing
        again:    exit 0, quiet, touched nothing
    "#]],
    );
    dated(&device.main());
}
