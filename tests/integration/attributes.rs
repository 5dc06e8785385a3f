//! Owns the tests of who may read a database: owner, group, mode, access list and other extended
//! attributes.
//! Promises: whatever puts a file under the database's name, or keeps a copy of it, lets in whom
//! the old file let in, and nobody else.
//! Never relies on the modes that a new database would get.

use crate::device::TestDevice;
use crate::mount::require_root;
use crate::product::UNIQUE_BADGE;
use rustix::fs::{lgetxattr, llistxattr, setxattr, XattrFlags};
use std::fs;
use std::os::unix::fs::{chown, FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// The application's user, and one whom its access list lets in.
const USER: u32 = 65534;
const FRIEND: u32 = 65533;

/// `setfacl -m u:FRIEND:r` on a file of mode 0600, or (for what is made in it) on a folder.
fn let_a_friend_in(path: &Path, name: &str) {
    const NOBODY: u32 = u32::MAX;
    let entries = [
        (0x01_u16, 6_u16, NOBODY),
        (0x02, 4, FRIEND),
        (0x04, 0, NOBODY),
        (0x10, 4, NOBODY),
        (0x20, 0, NOBODY),
    ];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, who) in entries {
        list.extend([&tag.to_le_bytes()[..], &rights.to_le_bytes(), &who.to_le_bytes()].concat());
    }
    setxattr(path, name, &list, XattrFlags::empty()).unwrap();
}

/// Owner, group, mode and every extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attributes(u32, u32, u32, Vec<(String, Vec<u8>)>);

fn attributes(path: &Path) -> Attributes {
    let found = fs::symlink_metadata(path).unwrap();
    let mut names = vec![0; 4096];
    let length = llistxattr(path, names.as_mut_slice()).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut extended: Vec<(String, Vec<u8>)> = names
        .map(|name| {
            let mut value = vec![0; 4096];
            let length = lgetxattr(path, name, value.as_mut_slice()).unwrap();
            (String::from_utf8_lossy(name).into_owned(), value[..length].to_vec())
        })
        .collect();
    extended.sort();
    Attributes(found.uid(), found.gid(), found.mode() & 0o7777, extended)
}

/// The application's own choice, narrower than any default.
fn private(device: &TestDevice) {
    chown(device.main(), Some(USER), Some(FRIEND)).unwrap();
    fs::set_permissions(device.main(), fs::Permissions::from_mode(0o600)).unwrap();
    setxattr(device.main(), "user.note", b"backed up", XattrFlags::empty()).unwrap();
}

/// Every file under the database's name and every copy of it, beside it and in the state folder.
fn copies(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            copies(&path, found);
        } else if path.extension().is_some_and(|end| end == "db") {
            found.push(path);
        }
    }
}

/// Runs; says `words`; each file of the database has the attributes that the live one had before,
/// and there are `files` of them.
#[track_caller]
fn kept(
    device: &TestDevice,
    wanted: &Attributes,
    arguments: &[&str],
    (exit, words): (&str, &str),
    files: usize,
) {
    let ran = device.run(arguments);
    assert!(
        ran.exit == exit && ran.stderr.contains(words),
        "{arguments:?}: exit {}: {}{}",
        ran.exit,
        ran.stderr,
        ran.stdout
    );
    let mut found = Vec::new();
    copies(&device.home(), &mut found);
    for path in &found {
        assert_eq!(attributes(path), *wanted, "{arguments:?}: {}", path.display());
    }
    assert_eq!(found.len(), files, "{found:?}");
}

fn scribble(device: &TestDevice) {
    fs::OpenOptions::new()
        .write(true)
        .open(device.main())
        .unwrap()
        .write_all_at(&[7; 64], 0)
        .unwrap();
}

#[test]
fn every_way_keeps_who_may_read() {
    require_root();
    for listed in [false, true] {
        let dress = |device: &TestDevice| {
            private(device);
            if listed {
                let_a_friend_in(&device.main(), "system.posix_acl_access");
            }
            attributes(&device.main())
        };
        // In its place, and the snapshot.
        let device = TestDevice::at(40).home_of(USER).firmware(41);
        let wanted = dress(&device);
        assert_eq!(wanted.2, if listed { 0o640 } else { 0o600 });
        assert_eq!(wanted.3.len(), 1 + usize::from(listed));
        kept(&device, &wanted, &["run"], ("0", "migrated from 40 to 41"), 2);
        // A snapshot in the place of a damaged file, and of a lost one.
        let device = device.key("on_damage = [\"snapshot\"]").after(scribble);
        kept(&device, &wanted, &["run"], ("11", "restored from a snapshot"), 3);
        let device = device.after(|device| fs::remove_file(device.main()).unwrap());
        kept(&device, &wanted, &["run"], ("11", "restored from a snapshot"), 3);
        // A copy that an operator asks for, beside the one from before the loss; back by the stored
        // down SQL.
        kept(&device, &wanted, &["snapshot", "create", "--db", "settings"], ("0", ""), 4);
        let down = ("V42__preferences.down.sql", "DROP TABLE preference;\n");
        let device = TestDevice::at(41).home_of(USER).firmware(42).file(down);
        let wanted = dress(&device);
        kept(&device, &wanted, &["run"], ("0", "migrated from 41 to 42"), 2);
        let device = device.without(down.0).older(41);
        kept(&device, &wanted, &["run"], ("11", "gone back to 41 by its stored down SQL"), 3);
        // A copy that is swapped in.
        let device = TestDevice::at(42).home_of(USER).firmware(50);
        let wanted = dress(&device);
        kept(&device, &wanted, &["run"], ("0", "migrated from 42 to 50"), 2);
        // A purge that keeps nothing; of a lost database.
        kept(
            &device,
            &wanted,
            &["purge", "--db", "settings", "--yes"],
            ("11", "replaced by a fresh database"),
            3,
        );
        let device = device
            .key("on_damage = [\"purge\"]")
            .after(|device| fs::remove_file(device.main()).unwrap());
        kept(&device, &wanted, &["run"], ("11", "replaced by a fresh database"), 3);
        // A purge that keeps rows.
        let device = TestDevice::at(40)
            .home_of(USER)
            .firmware(40)
            .file(UNIQUE_BADGE)
            .key("on_failure = \"purge\"");
        let wanted = dress(&device);
        kept(
            &device,
            &wanted,
            &["run", "--purge-and-retry"],
            ("11", "replaced by a fresh database"),
            3,
        );
    }
}

/// The folder would give every new file in it an access list; the database has none.
#[test]
fn a_folder_s_default_list_lets_nobody_in() {
    require_root();
    let device = TestDevice::at(42).home_of(USER).firmware(50);
    private(&device);
    fs::set_permissions(device.main(), fs::Permissions::from_mode(0o640)).unwrap();
    let_a_friend_in(&device.home(), "system.posix_acl_default");
    let wanted = attributes(&device.main());
    kept(&device, &wanted, &["run"], ("0", "migrated from 42 to 50"), 2);
    kept(
        &device,
        &wanted,
        &["purge", "--db", "settings", "--yes"],
        ("11", "replaced by a fresh database"),
        3,
    );
}
