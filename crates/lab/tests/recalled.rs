//! Owns the proof that what a run has not seen, and not left, is all that two states may differ in
//! when one stands for the other.
//! Promises: plain reads and writes on the simulated disk, with no code of the device.
//! Never looks into a mask.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use bootmigrate::device::disk::{Disk, File, Op, Open};
use bootmigrate_lab::sim::{Sim, State};

const OP: Op = Op("a test");
const SECTOR: usize = 512;
const FILE_BYTES: usize = 3 * 4096;

fn situation(change: impl FnOnce(&mut Vec<u8>)) -> State {
    let mut bytes = vec![7; FILE_BYTES];
    change(&mut bytes);
    let mut state = State::new();
    state.put_file("/data/file", &bytes);
    state.put_file("/data/other", b"untouched");
    state
}

/// Runs on a situation, and says whether a changed situation would be taken for the same.
fn same(run: fn(&dyn File, &Sim), change: fn(&mut Vec<u8>)) -> bool {
    let (state, other) = (situation(|_| {}), situation(change));
    let sim = Sim::from_state(&state);
    let file = sim.open(OP, Path::new("/data/file"), Open::ReadWrite).unwrap();
    run(&*file, &sim);
    drop(file);
    let mask = sim.seen();
    let (shape, files) = state.shape();
    let (other_shape, other_files) = other.shape();
    shape == other_shape && mask.hash(&state, &files) == mask.hash(&other, &other_files)
}

fn overwrite(file: &dyn File) {
    // In pieces that fit no sector, as a journal is written.
    for start in (0..FILE_BYTES).step_by(1000) {
        file.write_at(OP, start as u64, &vec![9; 1000.min(FILE_BYTES - start)]).unwrap();
    }
}

#[test]
fn what_is_read_counts_by_the_sector() {
    let read: fn(&dyn File, &Sim) = |file, sim| {
        file.read_at(4096, &mut [0; 10]).unwrap();
        sim.unlink(OP, Path::new("/data/file")).unwrap();
    };
    assert!(!same(read, |bytes| bytes[4096 + 100] = 0), "the sector was read");
    assert!(
        same(read, |bytes| bytes[4096 + SECTOR] = 0),
        "the next one was not, and the file is gone"
    );
}

#[test]
fn what_is_left_in_place_counts() {
    assert!(!same(|_, _| {}, |bytes| bytes[FILE_BYTES - 1] = 0));
    assert!(
        !same(|file, _| file.write_at(OP, 0, &[1; 100]).unwrap(), |bytes| bytes[100] = 0),
        "the rest of a sector stays"
    );
    assert!(same(|file, _| overwrite(file), |bytes| bytes.fill(0)), "nothing stays");
}

#[test]
fn what_a_run_wrote_itself_is_no_news_to_it() {
    let run: fn(&dyn File, &Sim) = |file, _| {
        overwrite(file);
        file.read_at(0, &mut [0; FILE_BYTES]).unwrap();
    };
    assert!(same(run, |bytes| bytes.fill(0)));
    let before: fn(&dyn File, &Sim) = |file, _| {
        file.read_at(0, &mut [0; FILE_BYTES]).unwrap();
        overwrite(file);
    };
    assert!(!same(before, |bytes| bytes[5000] = 0));
}

#[test]
fn a_copy_lives_on() {
    let run: fn(&dyn File, &Sim) = |file, sim| {
        let copy = sim.open(OP, Path::new("/data/copy"), Open::CreateNew { mode: 0o600 }).unwrap();
        copy.copy_from(OP, file, &AtomicBool::new(false)).unwrap();
        sim.unlink(OP, Path::new("/data/file")).unwrap();
    };
    assert!(!same(run, |bytes| bytes[5000] = 0));
}

#[test]
fn names_and_sizes_always_count() {
    let gone: fn(&dyn File, &Sim) = |_, sim| sim.unlink(OP, Path::new("/data/file")).unwrap();
    assert!(same(gone, |bytes| bytes.fill(0)));
    assert!(!same(gone, |bytes| bytes.truncate(100)));
}
