//! Owns the proof that the simulated disk does what its fault model says, call by call.
//! Promises: each test is one rule of the model: what a cut leaves, who may open, what fails.
//! Never judges the product.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use bootmigrate::device::disk::{Disk, File, Lease, Op, Open, Rename};
use bootmigrate_lab::sim::{
    seed_sqlite, Enumerator, Fault, FaultKind, Lack, Options, Order, OutcomePlan, Sim,
};
use rusqlite::{Connection, OpenFlags};

const OP: Op = Op("test");

fn device() -> Sim {
    let sim = Sim::new(Options::default());
    sim.prepare(|state| {
        state.put_file("/data/old", b"old");
        state.put_folder("/data/other");
        state.put_mount("/run", bootmigrate_lab::sim::state::VOLATILE);
    });
    sim
}

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn create(sim: &Sim, name: &str, bytes: &[u8]) -> Box<dyn File> {
    let file = sim.open(OP, path(name), Open::CreateNew { mode: 0o600 }).unwrap();
    file.write_at(OP, 0, bytes).unwrap();
    file
}

fn sqlite(sim: &Sim) -> Connection {
    Connection::open_with_flags_and_vfs("/data/app.db", OpenFlags::default(), sim.vfs_name())
        .unwrap()
}

/// Every different content of these files (`-`: absent) that a cut after the last effect can leave.
fn left_by_cut(sim: &Sim, order: Order, files: &[&str]) -> BTreeSet<String> {
    let (initial, log) = (sim.initial(), sim.log());
    let mut left = BTreeSet::new();
    let plan = OutcomePlan { exhaustive_up_to: 12, ..OutcomePlan::default() };
    Enumerator { initial: &initial, log: &log, order, plan }.each(|point, state| {
        if point.cut == log.len() {
            let show = |file: &&str| {
                state
                    .read_file(file)
                    .map_or("-".into(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
            };
            left.insert(files.iter().map(show).collect::<Vec<_>>().join(" "));
        }
        ControlFlow::Continue(())
    });
    left
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[test]
fn a_synced_file_without_its_folder_may_lose_its_name() {
    let sim = device();
    create(&sim, "/data/new", b"new").sync(OP).unwrap();
    assert_eq!(left_by_cut(&sim, Order::Kept, &["/data/new"]), set(&["-", "new"]));
    sim.sync_folder(OP, path("/data")).unwrap();
    assert_eq!(left_by_cut(&sim, Order::Free, &["/data/new"]), set(&["new"]));
}

#[test]
fn a_synced_folder_without_its_file_may_lose_the_content() {
    let sim = device();
    create(&sim, "/data/new", b"new");
    sim.sync_folder(OP, path("/data")).unwrap();
    assert_eq!(left_by_cut(&sim, Order::Kept, &["/data/new"]), set(&["", "\0\0\0", "new"]));
}

#[test]
fn no_inode_and_no_quota_leave_bytes_free() {
    let sim = device();
    sim.leave(Lack::Bytes, 1 << 20);
    sim.leave(Lack::Inodes, 1);
    create(&sim, "/data/last", b"x");
    let space = sim.space(path("/data")).unwrap();
    assert_eq!((space.inodes, space.available), (Some(0), (1 << 20) - 4096));
    let refused = |error: std::io::Error| error.raw_os_error();
    assert_eq!(
        sim.open(OP, path("/data/more"), Open::CreateNew { mode: 0o600 })
            .map(drop)
            .map_err(refused),
        Err(Some(libc::ENOSPC))
    );
    assert_eq!(
        sim.make_folder(OP, path("/data/folder"), 0o700).map_err(refused),
        Err(Some(libc::ENOSPC))
    );
    // What is there can grow, have a second name, and give its inode back.
    let old = sim.open(OP, path("/data/old"), Open::ReadWrite).unwrap();
    old.write_at(OP, 0, &[1; 9000]).unwrap();
    sim.link(OP, path("/data/old"), path("/data/second")).unwrap();
    sim.unlink(OP, path("/data/last")).unwrap();
    create(&sim, "/data/more", b"x");

    sim.leave(Lack::Quota, 4096);
    old.write_at(OP, 12288, &[1; 4096]).unwrap();
    assert_eq!(old.write_at(OP, 16384, &[1; 4096]).map_err(refused), Err(Some(libc::EDQUOT)));
    assert!(sim.space(path("/data")).unwrap().available > 1 << 19);
}

#[test]
fn a_rename_between_folders_is_one_effect_or_two() {
    let sim = device();
    sim.rename(OP, path("/data/old"), path("/data/other/new"), Rename::Replace).unwrap();
    let files = ["/data/old", "/data/other/new"];
    assert_eq!(left_by_cut(&sim, Order::Kept, &files), set(&["old -", "- old"]));
    assert_eq!(left_by_cut(&sim, Order::Free, &files), set(&["old -", "- old", "old old", "- -"]));
    sim.sync_folder(OP, path("/data/other")).unwrap();
    assert_eq!(left_by_cut(&sim, Order::Kept, &files), set(&["- old"]));
    assert_eq!(left_by_cut(&sim, Order::Free, &files), set(&["- old", "old old"]));
}

#[test]
fn a_rename_in_one_folder_is_whole_in_both_variants() {
    let sim = device();
    create(&sim, "/data/new", b"new").sync(OP).unwrap();
    sim.sync_folder(OP, path("/data")).unwrap();
    sim.rename(OP, path("/data/new"), path("/data/old"), Rename::Replace).unwrap();
    for order in Order::ALL {
        assert_eq!(
            left_by_cut(&sim, order, &["/data/old", "/data/new"]),
            set(&["old new", "new -"])
        );
    }
}

#[test]
fn only_the_free_order_swaps_two_unlinks() {
    let sim = device();
    create(&sim, "/data/new", b"new").sync(OP).unwrap();
    sim.sync_folder(OP, path("/data")).unwrap();
    sim.unlink(OP, path("/data/old")).unwrap();
    sim.unlink(OP, path("/data/new")).unwrap();
    let files = ["/data/old", "/data/new"];
    assert_eq!(left_by_cut(&sim, Order::Kept, &files), set(&["old new", "- new", "- -"]));
    assert_eq!(left_by_cut(&sim, Order::Free, &files), set(&["old new", "- new", "old -", "- -"]));
}

#[test]
fn a_folder_whose_name_is_lost_takes_all_with_it() {
    let sim = device();
    sim.make_folder(OP, path("/data/made"), 0o700).unwrap();
    create(&sim, "/data/made/new", b"new").sync(OP).unwrap();
    sim.sync_folder(OP, path("/data/made")).unwrap();
    assert_eq!(left_by_cut(&sim, Order::Free, &["/data/made/new"]), set(&["-", "new"]));
    sim.sync_folder(OP, path("/data")).unwrap();
    assert_eq!(left_by_cut(&sim, Order::Free, &["/data/made/new"]), set(&["new"]));
}

#[test]
fn a_write_is_torn_only_between_sectors() {
    let sim = device();
    sim.prepare(|state| state.put_file("/data/page", &[b'a'; 1536]));
    let page = sim.open(OP, path("/data/page"), Open::ReadWrite).unwrap();
    page.write_at(OP, 256, &[b'b'; 1024]).unwrap();
    let left = left_by_cut(&sim, Order::Kept, &["/data/page"]);
    assert!(left.len() >= 5, "{} different ones", left.len());
    for text in &left {
        let bytes = text.as_bytes();
        assert!(
            bytes[..256].iter().all(|byte| *byte == b'a')
                && bytes[1280..].iter().all(|byte| *byte == b'a')
        );
        for range in [256..512, 512..1024, 1024..1280] {
            assert!(bytes[range.clone()].iter().all(|byte| *byte == bytes[range.start]));
        }
    }
}

#[test]
fn run_is_empty_after_a_cut_and_is_not_logged() {
    let sim = device();
    create(&sim, "/run/ready", b"").sync(OP).unwrap();
    assert_eq!(sim.effects(), 0);
    assert!(sim.read_file("/run/ready").is_some());
    assert!(Sim::from_state(&sim.state()).read_file("/run/ready").is_none());
}

#[test]
fn links_share_content_and_a_rename_over_a_link_of_itself_does_nothing() {
    let sim = device();
    sim.link(OP, path("/data/old"), path("/data/second")).unwrap();
    assert_eq!(sim.stat(path("/data/old")).unwrap().unwrap().links, 2);
    sim.rename(OP, path("/data/old"), path("/data/second"), Rename::Replace).unwrap();
    assert_eq!(sim.list(path("/data")).unwrap(), ["old", "other", "second"]);
    let refused = sim.rename(OP, path("/data/old"), path("/data/second"), Rename::NoReplace);
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    let both = sim.state().hash();
    let copies = device();
    create(&copies, "/data/second", b"old");
    assert_ne!(
        both,
        copies.state().hash(),
        "two files of the same content are not one file with two names"
    );
}

#[test]
fn an_unlinked_file_lives_as_long_as_it_is_open() {
    let sim = device();
    let file = sim.open(OP, path("/data/old"), Open::ReadWrite).unwrap();
    sim.unlink(OP, path("/data/old")).unwrap();
    let mut bytes = [0; 3];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), 3);
    assert_eq!(file.stat().unwrap().links, 0);
    let used = sim.used_bytes().0;
    drop(file);
    assert!(sim.used_bytes().0 < used);
}

#[test]
fn a_lease_is_refused_beside_another_handle_and_broken_by_an_opener() {
    let sim = device();
    let application = sim.process();
    let theirs = application.open(OP, path("/data/old"), Open::Read).unwrap();
    let ours = sim.open(OP, path("/data/old"), Open::ReadWrite).unwrap();
    assert_eq!(ours.lease().unwrap(), Lease::Busy);
    drop(theirs);
    assert_eq!(ours.lease().unwrap(), Lease::Held);
    assert!(application.open(OP, path("/data/old"), Open::Read).is_err());
    assert_eq!(ours.lease_state().unwrap(), Lease::Busy);
}

#[test]
fn an_opener_who_waited_goes_on_with_the_old_inode() {
    let sim = device();
    let application = sim.process();
    create(&sim, "/data/new", b"new");
    let ours = sim.open(OP, path("/data/old"), Open::ReadWrite).unwrap();
    assert_eq!(ours.lease().unwrap(), Lease::Held);
    application.begin_open("/data/old").unwrap();
    sim.rename(OP, path("/data/new"), path("/data/old"), Rename::Replace).unwrap();
    assert_eq!(ours.lease_state().unwrap(), Lease::Busy);
    drop(ours);
    let mut bytes = [0; 3];
    application
        .open(OP, path("/data/old"), Open::ReadWrite)
        .unwrap()
        .read_at(0, &mut bytes)
        .unwrap();
    assert_eq!(&bytes, b"old");
}

#[test]
fn one_flock_at_a_time_also_on_a_folder() {
    let sim = device();
    let other = sim.process();
    let first = sim.open(OP, path("/data"), Open::Read).unwrap();
    let second = other.open(OP, path("/data"), Open::Read).unwrap();
    assert!(first.try_lock().unwrap());
    assert!(!second.try_lock().unwrap());
    sim.end();
    assert!(second.try_lock().unwrap());
    assert!(first.stat().is_err(), "a handle of a process that ended");
}

#[test]
fn closing_another_handle_drops_the_locks_that_other_processes_see() {
    let sim = device();
    let application = sim.process();
    let ours = sqlite(&sim);
    ours.execute_batch("CREATE TABLE t(n); BEGIN IMMEDIATE; INSERT INTO t VALUES (1);").unwrap();
    let theirs = sqlite(&application);
    assert!(theirs.execute_batch("BEGIN IMMEDIATE").is_err());
    drop(sim.open(OP, path("/data/app.db"), Open::Read).unwrap());
    assert_eq!(sim.hazards().len(), 1, "{:?}", sim.hazards());
    assert!(theirs.execute_batch("BEGIN IMMEDIATE").is_ok(), "the hazard: both write");
}

#[test]
fn two_connections_share_a_wal() {
    let sim = device();
    let (writer, reader) = (sqlite(&sim), sqlite(&sim.process()));
    writer
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(n); INSERT INTO t VALUES (1);")
        .unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM t;").unwrap();
    let count = |connection: &Connection| {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(count(&reader), 1);
    writer.execute_batch("INSERT INTO t VALUES (2)").unwrap();
    assert_eq!((count(&reader), count(&writer)), (1, 2));
    assert!(reader.execute_batch("INSERT INTO t VALUES (3)").is_err(), "its snapshot is old");
    reader.execute_batch("ROLLBACK; INSERT INTO t VALUES (3)").unwrap();
    assert_eq!(count(&writer), 3);
    assert_eq!(
        sim.list(path("/data")).unwrap(),
        ["app.db", "app.db-shm", "app.db-wal", "old", "other"]
    );
    drop((writer, reader));
    assert_eq!(sim.list(path("/data")).unwrap(), ["app.db", "old", "other"]);
}

#[test]
fn a_full_disk_is_full_and_an_unlink_makes_room() {
    let sim = device();
    sim.set_available_bytes(8192);
    let file = sim.open(OP, path("/data/new"), Open::CreateNew { mode: 0o600 }).unwrap();
    assert_eq!(file.write_at(OP, 0, &[1; 12288]).unwrap_err().raw_os_error(), Some(28));
    assert_eq!(sim.space(path("/data")).unwrap().available, 0);
    file.write_at(OP, 4096, &[2; 4096]).unwrap();
    sim.unlink(OP, path("/data/old")).unwrap();
    assert_eq!(sim.space(path("/data")).unwrap().available, 4096);
}

#[test]
fn a_read_only_device_opens_and_reads() {
    let sim = device();
    sqlite(&sim).execute_batch("CREATE TABLE t(n)").unwrap();
    sim.set_read_only(true);
    assert_eq!(
        sim.open(OP, path("/data/old"), Open::ReadWrite).err().unwrap().raw_os_error(),
        Some(30)
    );
    let connection = sqlite(&sim);
    assert_eq!(
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap(),
        0
    );
    assert!(connection.execute_batch("INSERT INTO t VALUES (1)").is_err());
}

#[test]
fn every_effect_can_be_made_to_fail_and_a_dead_process_changes_nothing() {
    let run = |fault: Option<Fault>| {
        seed_sqlite(3);
        let sim = device();
        fault.into_iter().for_each(|fault| sim.inject(fault));
        let opened = Connection::open_with_flags_and_vfs(
            "/data/app.db",
            OpenFlags::default(),
            sim.vfs_name(),
        );
        let done = opened.and_then(|connection| {
            connection.execute_batch("CREATE TABLE t(n); INSERT INTO t VALUES (1);")
        });
        (sim, done)
    };
    let (whole, done) = run(None);
    done.unwrap();
    let mut fired = 0;
    for effect in 0..whole.effects() {
        for kind in FaultKind::ALL {
            let (sim, _) = run(Some(Fault::at_effect(effect, kind, true)));
            fired += sim.fired().len();
            if kind == FaultKind::Kill {
                assert_eq!(sim.effects(), effect);
                let connection = sqlite(&Sim::from_state(&sim.state()));
                let check: String =
                    connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
                assert_eq!(check, "ok");
            }
        }
    }
    assert!(fired as u64 > whole.effects() * 2, "{fired}");
}

#[test]
fn a_guest_runs_just_before_the_chosen_operation() {
    let sim = device();
    let guest = sim.process();
    sim.at_effect(1, move |_| drop(create(&guest, "/data/guest", b"here")));
    create(&sim, "/data/new", b"new");
    let lines: Vec<String> = sim
        .log()
        .iter()
        .map(|effect| effect.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            "test create /data/new",
            "test create /data/guest (process 1)",
            "test write 4 bytes at 0: /data/guest (process 1)",
            "test write 3 bytes at 0: /data/new"
        ]
    );
}

#[test]
fn a_symbolic_link_is_followed_and_a_dangling_one_is_not_found() {
    let sim = device();
    sim.prepare(|state| {
        state.put_symlink("/etc/link", "/data");
        state.put_symlink("/etc/gone", "/nowhere/file");
    });
    assert_eq!(sim.resolve(path("/etc/link/old")).unwrap(), path("/data/old"));
    assert_eq!(sim.resolve(path("/etc/gone")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_copy_shares_whole_blocks_and_is_in_the_log() {
    let sim = device();
    let bytes: Vec<u8> = (0..150_000_u32).map(|number| number as u8).collect();
    sim.prepare(|state| state.put_file("/data/big", &bytes));
    let source = sim.open(OP, path("/data/big"), Open::Read).unwrap();
    let copy = sim.open(OP, path("/data/copy"), Open::CreateNew { mode: 0o600 }).unwrap();
    assert_eq!(copy.copy_from(OP, source.as_ref(), &AtomicBool::new(false)).unwrap(), 150_000);
    assert_eq!(sim.read_file("/data/copy").unwrap(), bytes);
    assert!(sim.effects() > 3);
}
