//! Owns the model of the device's disk: what is written, what of it is durable, and what a cut may
//! leave.
//! Promises: an fsync of a file makes its bytes durable and, as on ext4, every earlier name; an
//! fsync of a folder its names.
//! Never tears a write, never reorders two names, nor a file's new size with an earlier name: a
//! real disk is worse, for all alike.

use crate::log::Effect;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

type Names = BTreeMap<PathBuf, usize>;

/// What becomes of that which is not durable yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashOutcome {
    /// The process is killed: everything that was written is there.
    Kept,
    /// The power goes: nothing of it is there.
    Lost,
    /// The power goes: some of it is there, by this seed.
    Some(u64),
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Size(u64),
}

#[derive(Clone)]
enum Name {
    Add(PathBuf, usize),
    Remove(PathBuf),
    Move(PathBuf, PathBuf, usize),
}

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<(u64, Change)>,
}

/// The disk.
#[derive(Clone, Default)]
pub struct Disk {
    contents: Vec<Content>,
    names: Names,
    durable: Names,
    pending: Vec<(u64, Name)>,
    /// Effects so far: orders names and sizes.
    clock: u64,
    folders: BTreeSet<PathBuf>,
}

/// What a cut left: names, and the content of each; the same number is the same file.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
    names: Names,
    contents: BTreeMap<usize, Vec<u8>>,
    folders: BTreeSet<PathBuf>,
}

impl Disk {
    /// A folder as it lies there, durable.
    pub fn of(device: &Path) -> Disk {
        let mut disk = Disk::default();
        disk.take(device, device);
        disk
    }

    fn take(&mut self, device: &Path, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let inside = path.strip_prefix(device).unwrap().to_path_buf();
            if path.is_dir() {
                if inside != Path::new("run") {
                    self.folders.insert(inside);
                    self.take(device, &path);
                }
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            self.contents.push(Content { now: bytes.clone(), durable: bytes, pending: Vec::new() });
            self.names.insert(inside.clone(), self.contents.len() - 1);
            self.durable.insert(inside, self.contents.len() - 1);
        }
    }

    /// One effect more.
    pub fn apply(&mut self, effect: &Effect) {
        self.clock += 1;
        match effect {
            Effect::Create(path) if !self.names.contains_key(path) => {
                self.contents.push(Content::default());
                self.name(Name::Add(path.clone(), self.contents.len() - 1));
            }
            Effect::Create(_) => {}
            Effect::Write(path, offset, bytes) => {
                self.change(path, Change::Write(*offset, bytes.clone()))
            }
            Effect::Truncate(path, size) => self.change(path, Change::Size(*size)),
            Effect::Copy(from, at, to, offset, count) => {
                let Some(source) = self.names.get(from) else { return };
                let bytes =
                    self.contents[*source].now[*at as usize..(*at + *count) as usize].to_vec();
                self.change(to, Change::Write(*offset, bytes));
            }
            Effect::Unlink(path) => self.name(Name::Remove(path.clone())),
            Effect::Rename(from, to) => {
                if let Some(file) = self.names.get(from) {
                    self.name(Name::Move(from.clone(), to.clone(), *file));
                }
            }
            Effect::Link(from, to) => {
                if let Some(file) = self.names.get(from) {
                    self.name(Name::Add(to.clone(), *file));
                }
            }
            // An empty folder more or less changes nothing for anyone.
            Effect::Folder(path) => drop(self.folders.insert(path.clone())),
            Effect::Sync(path) => self.sync(path),
        }
    }

    fn change(&mut self, path: &Path, change: Change) {
        // What is written to a file without a name is gone with any cut.
        if let Some(file) = self.names.get(path) {
            let content = &mut self.contents[*file];
            alter(&mut content.now, &change);
            content.pending.push((self.clock, change));
        }
    }

    fn name(&mut self, change: Name) {
        rename(&mut self.names, &change);
        self.pending.push((self.clock, change));
    }

    fn sync(&mut self, path: &Path) {
        if let Some(file) = self.names.get(path) {
            let content = &mut self.contents[*file];
            content.durable = content.now.clone();
            content.pending.clear();
            self.pending.drain(..).for_each(|(_, change)| rename(&mut self.durable, &change));
            return;
        }
        let own = |name: &Path| name.parent() == Some(path);
        let (now, later): (Vec<_>, Vec<_>) =
            self.pending.drain(..).partition(|(_, change)| match change {
                Name::Add(name, _) | Name::Remove(name) => own(name),
                Name::Move(from, to, _) => own(from) || own(to),
            });
        now.iter().for_each(|(_, change)| rename(&mut self.durable, change));
        self.pending = later;
    }

    /// What stands there after a cut now.
    pub fn cut(&self, outcome: CrashOutcome) -> State {
        let mut seed = if let CrashOutcome::Some(seed) = outcome { seed | 1 } else { 1 };
        let mut coin = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed & 1 == 1
        };
        let mut ordered_until = u64::MAX;
        let names = match outcome {
            CrashOutcome::Kept => self.names.clone(),
            CrashOutcome::Lost => self.durable.clone(),
            CrashOutcome::Some(_) => {
                let mut names = self.durable.clone();
                let kept = self.pending.iter().take_while(|_| coin()).count();
                self.pending[..kept].iter().for_each(|(_, change)| rename(&mut names, change));
                ordered_until = self.pending.get(kept).map_or(u64::MAX, |(when, _)| *when);
                names
            }
        };
        let mut contents = BTreeMap::new();
        for file in names.values() {
            let content = &self.contents[*file];
            let bytes = match outcome {
                CrashOutcome::Kept => content.now.clone(),
                CrashOutcome::Lost => content.durable.clone(),
                CrashOutcome::Some(_) => {
                    let mut bytes = content.durable.clone();
                    let may_be = |when: u64, change: &Change| {
                        matches!(change, Change::Write(..)) || when < ordered_until
                    };
                    let kept = content
                        .pending
                        .iter()
                        .filter(|(when, change)| coin() && may_be(*when, change));
                    kept.for_each(|(_, change)| alter(&mut bytes, change));
                    bytes
                }
            };
            contents.insert(*file, bytes);
        }
        State { names, contents, folders: self.folders.clone() }
    }
}

fn alter(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, new) => {
            let (from, to) = (*offset as usize, *offset as usize + new.len());
            if bytes.len() < to {
                bytes.resize(to, 0);
            }
            bytes[from..to].copy_from_slice(new);
        }
        Change::Size(size) => bytes.resize(*size as usize, 0),
    }
}

fn rename(names: &mut Names, change: &Name) {
    match change {
        Name::Add(path, file) => drop(names.insert(path.clone(), *file)),
        Name::Remove(path) => drop(names.remove(path)),
        Name::Move(from, to, file) => {
            names.remove(from);
            names.insert(to.clone(), *file);
        }
    }
}

impl State {
    /// Two states of the same hash are the same.
    pub fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        Hash::hash(self, &mut hasher);
        hasher.finish()
    }

    /// Writes it into an empty folder.
    pub fn lay_out(&self, device: &Path) {
        for folder in &self.folders {
            fs::create_dir_all(device.join(folder)).unwrap();
        }
        let mut first: BTreeMap<usize, PathBuf> = BTreeMap::new();
        for (name, file) in &self.names {
            let path = device.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match first.get(file) {
                Some(other) => fs::hard_link(other, &path).unwrap(),
                None => {
                    fs::write(&path, &self.contents[file]).unwrap();
                    first.insert(*file, path);
                }
            }
        }
    }
}
