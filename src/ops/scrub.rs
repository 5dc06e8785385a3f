//! Owns a scrub: every page of the live database is read and looked at beside its applications, and
//! what is wrong is noted for the next boot.
//! Promises: no lock of SQLite's is taken but for one short look at the schema; what is noted was
//! seen again and again while nobody wrote; a night on which nothing is found writes nothing to
//! storage but, once a week, when it ended.
//! Never repairs, and never calls what the medium does not give damage: a boot would wait for it.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::decide::facts::DatabaseState;
use crate::device::disk::{read_own_start, rename_durably, write_new_durably, Op, Open, Rename};
use crate::device::files::{FilesState, HEADER_BYTES};
use crate::device::pages::free::FreePages;
use crate::device::pages::soundness::root_of;
use crate::device::pages::{PageSource, Pages};
use crate::device::supervisor::{RunFolder, ScrubPosition};
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::inspect::header::bad_header;
use crate::ops::lock::{lock, Locked};

const OP: Op = Op("scrub");
/// Read at a time, and for each the least time that it takes: 8 MiB/s, which leaves a medium to its
/// applications.
const SLICE_BYTES: u64 = 1 << 20;
const SLICE_TAKES: Duration = Duration::from_millis(125);
/// Looks at what seems wrong, and the pause between two: an application's commit is over by then.
const LOOKS_AGAIN: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// Between two dates that are written.
const WEEK_S: i64 = 7 * 86_400;
/// A file of this size may have more pages than can be kept in mind.
const READ_BYTES_MAX: u64 = 8 << 30;
/// Bytes of a note that are read.
const NOTE_BYTES_MAX: usize = 4096;

/// What a scrub knows, in the state folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubNote {
    /// When a scrub last came to its end and found nothing, up to a week before that; seconds since
    /// 1970.
    pub ended: Option<i64>,
    /// What the next boot has to look for.
    pub found: Option<String>,
}

impl ScrubNote {
    /// The same where the folder's names are known.
    ///
    /// # Errors
    /// As [`ScrubNote::read`], and `readdir`.
    pub fn of(device: &Device<'_>, locked: &Locked) -> Result<ScrubNote, Failure> {
        let there = locked.has(device, "scrub");
        match there.map_err(|error| Failure::io(OP, &device.state.root, &error))? {
            true => ScrubNote::read(device),
            false => Ok(ScrubNote::default()),
        }
    }

    /// What is noted; nothing where there is no note.
    ///
    /// # Errors
    /// As `open` and `read`.
    pub fn read(device: &Device<'_>) -> Result<ScrubNote, Failure> {
        let path = device.state.scrub();
        let failed = |error: io::Error| Failure::io(OP, &path, &error);
        if device.disk().stat(&path).map_err(failed)?.is_none() {
            return Ok(ScrubNote::default());
        }
        let bytes = read_own_start(device.disk(), OP, &path, NOTE_BYTES_MAX).map_err(failed)?;
        let text = String::from_utf8_lossy(&bytes);
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        Ok(ScrubNote {
            ended: value("ended: ").and_then(|seconds| seconds.parse().ok()),
            found: value("found: ").map(str::to_owned),
        })
    }

    fn write(&self, device: &Device<'_>, locked: &Locked) -> Result<(), Failure> {
        let (disk, path) = (device.disk(), device.state.scrub());
        // A boot takes away what has such a name.
        let new = device.state.root.join("staging-scrub");
        let ended = self.ended.map(|seconds| format!("ended: {seconds}\n")).unwrap_or_default();
        let found = self.found.as_ref().map(|what| format!("found: {what}\n")).unwrap_or_default();
        let write = || {
            if disk.stat(&new)?.is_some() {
                disk.unlink(OP, &new)?;
            }
            let text = ended + &found;
            write_new_durably(disk, OP, &new, text.as_bytes(), locked.ownership.ids())?;
            rename_durably(disk, OP, &new, &path, Rename::Replace)
        };
        write().map_err(|error| Failure::io(OP, &path, &error))
    }

    /// The next boot has looked, and the database is usable: nothing is left to look for.
    ///
    /// # Errors
    /// As `unlink` and `fsync`.
    pub fn forget(device: &Device<'_>) -> Result<(), Failure> {
        let (disk, path) = (device.disk(), device.state.scrub());
        disk.unlink(OP, &path)
            .and_then(|()| disk.sync_folder(OP, &device.state.root))
            .map_err(|error| Failure::io(OP, &path, &error))
    }
}

/// How a scrub ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scrubbed {
    /// Every page was read.
    Whole {
        /// How many.
        pages: u64,
        /// Of those, looked at while somebody wrote whenever they seemed wrong.
        unsure: u64,
    },
    /// The medium does not give some pages.
    Unread {
        /// How many.
        pages: u64,
        /// The first, and what the system said.
        first: String,
    },
    /// Something is wrong: noted.
    Found(String),
    /// There is no database.
    Absent,
}

/// Goes through the file, from where an earlier scrub of this boot was stopped in the same one.
///
/// # Errors
/// Interrupted: the next one goes on from there. In use while another bootmigrate works on it; else
/// as the storage.
pub fn scrub(device: &Device<'_>) -> Result<Scrubbed, Failure> {
    if let Some(found) = ScrubNote::read(device)?.found {
        return Ok(Scrubbed::Found(found));
    }
    let run = RunFolder::new(device.disk(), &device.environment.root);
    let name = &device.settings.name;
    let mut pass = Pass { at: run.scrub_position(name), ..Pass::default() };
    match pass.through(device) {
        Ok(Some(wrong)) => return Ok(wrong),
        Ok(None) => {}
        Err(failure) => {
            // A page that could not be read would be forgotten by whoever goes on after it.
            let at = pass.at.filter(|_| failure.class == Class::Interrupted && pass.unread == 0);
            at.into_iter().for_each(|at| run.note_scrub_position(name, at));
            return Err(failure);
        }
    }
    run.forget_scrub_position(name);
    if let Some(first) = pass.first_unread {
        return Ok(Scrubbed::Unread { pages: pass.unread, first });
    }
    ended(device)?;
    Ok(Scrubbed::Whole { pages: pass.pages, unsure: pass.unsure })
}

/// A way through one file, from its first page.
#[derive(Default)]
struct Pass {
    /// Where it is; `None` before the first look.
    at: Option<ScrubPosition>,
    pages: u64,
    unsure: u64,
    unread: u64,
    first_unread: Option<String>,
}

impl Pass {
    /// To the end of the file: `None`; or what is to be said before it.
    fn through(&mut self, device: &Device<'_>) -> Result<Option<Scrubbed>, Failure> {
        let clock = device.environment.clock;
        loop {
            if device.environment.stop.load(Ordering::Relaxed) {
                return Err(Failure::stopped(OP));
            }
            let began = clock.monotonic();
            let page = self.at.map_or(1, |at| at.page);
            let slice = match look(device, page)? {
                Some(slice) if slice.wrong.is_some() => again(device, page, slice)?,
                slice => slice,
            };
            let Some(slice) = slice else { return Ok(Some(Scrubbed::Absent)) };
            if let Some(wrong) = slice.wrong.filter(|_| slice.settled) {
                return noted(device, &slice.before, wrong).map(Some);
            }
            let inode = slice.before.main.map_or(0, |main| main.inode);
            // One that grew or shrank between two scrubs may have its pages elsewhere; under this
            // one's eyes an application has read whatever it moved.
            let resized = |at: &ScrubPosition| self.pages == 0 && at.pages != slice.count;
            if self.at.is_some_and(|at| at.inode != inode || resized(&at)) {
                // What was read until now says nothing of this file.
                *self = Pass::default();
                continue;
            }
            self.pages += slice.pages;
            self.unsure += u64::from(!slice.settled);
            self.unread += slice.unread;
            self.first_unread = self.first_unread.take().or(slice.first_unread);
            let Some(page) = slice.next else { return Ok(None) };
            self.at = Some(ScrubPosition { page, inode, pages: slice.count });
            clock.sleep(SLICE_TAKES.saturating_sub(clock.monotonic().saturating_sub(began)));
        }
    }
}

/// A part of the file.
struct Slice {
    before: FilesState,
    pages: u64,
    /// Pages of the file.
    count: u32,
    /// What is wrong with the first page that seems so.
    wrong: Option<String>,
    /// Nobody wrote meanwhile.
    settled: bool,
    unread: u64,
    first_unread: Option<String>,
    /// Where the next one begins; `None` at the end.
    next: Option<u32>,
}

/// What seems wrong is looked at until nobody wrote meanwhile, and then once more.
fn again(device: &Device<'_>, at: u32, first: Slice) -> Result<Option<Slice>, Failure> {
    let (mut slice, mut seen) = (Some(first), 0);
    for _ in 0..LOOKS_AGAIN {
        if device.environment.stop.load(Ordering::Relaxed) {
            return Err(Failure::stopped(OP));
        }
        device.environment.clock.sleep(PAUSE);
        slice = look(device, at)?;
        match &slice {
            Some(Slice { wrong: Some(_), settled: true, .. }) => seen += 1,
            Some(Slice { wrong: Some(_), .. }) => continue,
            Some(_) | None => return Ok(slice),
        }
        if seen == 2 {
            return Ok(slice);
        }
    }
    Ok(slice.map(|slice| Slice { settled: false, ..slice }))
}

/// Looks at one part, under our lock: no other bootmigrate swaps the file meanwhile, and its lease
/// is not broken by this descriptor.
fn look(device: &Device<'_>, from: u32) -> Result<Option<Slice>, Failure> {
    let _locked = lock(device)?;
    let disk = device.disk();
    let failed = |error: io::Error| Failure::io(OP, &device.files.main, &error);
    let roots = if from == 1 { roots(device) } else { Ok(Vec::new()) };
    let before = device.files.look(disk).map_err(failed)?;
    let size = before.main.map_or(0, |main| main.size);
    if size == 0 {
        return Ok(None);
    }
    let main = disk.open(OP, &device.files.main, Open::Read).map_err(failed)?;
    let log = before
        .wal_has_content()
        .then(|| disk.open(OP, &device.files.wal(), Open::Read))
        .transpose()
        .map_err(failed)?;
    let source = PageSource {
        main: &*main,
        log: log.as_deref(),
        path: &device.files.main,
        op: OP,
        stop: &device.environment.stop,
    };
    let has_wal = before.wal_has_content();
    let mut slice = Slice {
        before,
        pages: 0,
        count: 0,
        wrong: None,
        settled: false,
        unread: 0,
        first_unread: None,
        next: None,
    };
    // As every boot looks at it; its pages are read by a header that is corrected.
    let header = read_own_start(disk, OP, &device.files.main, HEADER_BYTES).map_err(failed)?;
    let roots = match (bad_header(&header, u64::MAX, has_wal), roots) {
        (Some(DatabaseState::Damaged { what, .. }), _) | (_, Err(what)) if from == 1 => {
            slice.wrong = Some(what);
            Vec::new()
        }
        (_, roots) => roots.unwrap_or_default(),
    };
    match Pages::open(source)? {
        Some(pages) => part(&pages, from, &roots, &mut slice)?,
        // More pages than are read by anybody here.
        None if size > READ_BYTES_MAX => {}
        None => slice.wrong = Some("it cannot be read as pages of a database".to_owned()),
    }
    let after = device.files.look(disk).map_err(failed)?;
    let written = |files: &FilesState| (files.main, files.wal, files.journal);
    slice.settled = written(&after) == written(&slice.before) && !after.journal_has_content;
    Ok(Some(slice))
}

fn part(
    pages: &Pages<'_>,
    from: u32,
    roots: &[(u32, String)],
    slice: &mut Slice,
) -> Result<(), Failure> {
    let free: FreePages = pages.free_pages()?;
    let mut found = |looked: Result<Option<String>, Failure>| match looked {
        Ok(wrong) => {
            slice.wrong = slice.wrong.take().or(wrong);
            Ok(())
        }
        // The medium does not give it: no damage, and no reason to leave the others.
        Err(failure) if failure.class == Class::Storage => {
            slice.unread += 1;
            slice.first_unread = slice.first_unread.take().or(Some(failure.cause));
            Ok(())
        }
        Err(failure) => Err(failure),
    };
    for (root, name) in roots {
        found(pages.unsound_root(name, *root))?;
    }
    let many = u32::try_from(SLICE_BYTES / pages.page_bytes()).unwrap_or(1).max(1);
    let end = from.saturating_add(many).min(pages.count.saturating_add(1));
    for page in from..end {
        found(pages.unsound(page, &free).map_err(|failure| Failure {
            cause: format!("page {page}: {}", failure.cause),
            ..failure
        }))?;
    }
    slice.count = pages.count;
    slice.pages = u64::from(end.saturating_sub(from));
    slice.next = (end <= pages.count).then_some(end);
    Ok(())
}

/// The first page of each table and index, as SQLite reads the schema; none where an application
/// keeps it from that. What it calls damage is an error.
fn roots(device: &Device<'_>) -> Result<Vec<(u32, String)>, String> {
    let sql = "SELECT rootpage || ' ' || name FROM sqlite_schema WHERE rootpage > 1";
    let texts = device.sqlite().look_beside(OP, &device.files.main).and_then(|database| {
        let texts = database.texts(OP, sql);
        database.close(OP)?;
        texts
    });
    let texts = match texts {
        Err(failure) if failure.class == Class::Damaged => return Err(failure.cause),
        texts => texts.unwrap_or_default(),
    };
    let roots = texts.iter().filter_map(|text| root_of(text));
    Ok(roots.map(|(at, name)| (at, name.to_owned())).collect())
}

/// Notes it, of the file that was looked at.
fn noted(device: &Device<'_>, seen: &FilesState, wrong: String) -> Result<Scrubbed, Failure> {
    let locked = lock(device)?;
    let main = device.disk().stat(&device.files.main);
    let main = main.map_err(|error| Failure::io(OP, &device.files.main, &error))?;
    let inode = |state: Option<crate::device::disk::Stat>| state.map(|stat| stat.inode);
    if inode(main) == inode(seen.main) && locked.writable() {
        let note = ScrubNote { found: Some(wrong.clone()), ..ScrubNote::read(device)? };
        note.write(device, &locked)?;
    }
    Ok(Scrubbed::Found(wrong))
}

/// Notes when, at most once a week.
fn ended(device: &Device<'_>) -> Result<(), Failure> {
    let (now, note) = (device.environment.clock.unix_seconds(), ScrubNote::read(device)?);
    if note.ended.is_some_and(|then| (then..then.saturating_add(WEEK_S)).contains(&now)) {
        return Ok(());
    }
    let locked = lock(device)?;
    if locked.writable() {
        ScrubNote { ended: Some(now), ..note }.write(device, &locked)?;
    }
    Ok(())
}
