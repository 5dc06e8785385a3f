//! Owns the super-journal of a transaction over several databases, which SQLite leaves where it was
//! given another path than the application's.
//! Promises: removed when every journal that it names has been rolled back, and not before; only
//! from the database's own folder.
//! Never decides what is rolled back: that SQLite has done by then.
//!
//! The format is SQLite's (`readSuperJournal` and `pager_delsuper` in its pager): a journal ends
//! with the super-journal's path, the path's length, the sum of its bytes, and eight bytes of
//! magic; a super-journal is the paths of its journals, each with a NUL at its end.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{fstat, openat, statat, unlinkat, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Length, sum and magic.
const TAIL_BYTES: usize = 16;
/// Of a path, as SQLite's `mxPathname` bounds it.
const PATH_BYTES_MAX: usize = 512;
/// Of a super-journal: SQLite attaches ten databases.
const NAMES_BYTES_MAX: u64 = 64 << 10;

/// The path that a journal names, as it is written there.
pub struct SuperJournal(Vec<u8>);

impl SuperJournal {
    /// Of the journal with this name in this folder; `None` where it names none.
    pub fn named_by(folder: BorrowedFd<'_>, journal: &[u8]) -> Option<SuperJournal> {
        let (file, size) = open(folder, journal)?;
        SuperJournal::at_the_end_of(&file, size).ok().flatten()
    }

    /// # Errors
    /// It cannot be read.
    fn at_the_end_of(file: &File, size: u64) -> io::Result<Option<SuperJournal>> {
        let Some(tail_at) = size.checked_sub(TAIL_BYTES as u64) else { return Ok(None) };
        let mut tail = [0; TAIL_BYTES];
        file.read_exact_at(&mut tail, tail_at)?;
        let [a, b, c, d, e, f, g, h, magic @ ..] = tail;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d]))
            .ok()
            .filter(|length| (1..=PATH_BYTES_MAX).contains(length));
        let place = length.and_then(|length| Some((length, tail_at.checked_sub(length as u64)?)));
        let Some((length, at)) = place.filter(|_| magic == MAGIC) else { return Ok(None) };
        let path = read(file, at, length)?;
        let sum = path
            .iter()
            .fold(0_u32, |sum, byte| sum.wrapping_add_signed(i32::from(byte.cast_signed())));
        let is_one = sum == u32::from_be_bytes([e, f, g, h])
            && is_super_journal(&path)
            && !path.contains(&0);
        Ok(is_one.then_some(SuperJournal(path)))
    }

    /// Removes it from this folder where no journal names it any more. What cannot be looked at
    /// keeps it, and so does a journal that lies elsewhere: its folder may not be mounted, or have
    /// another path here, and a left super-journal costs some bytes.
    pub fn remove_if_done(&self, folder: BorrowedFd<'_>) {
        let (home, name) = parts(&self.0);
        let Some((file, size)) = open(folder, name).filter(|(_, size)| *size <= NAMES_BYTES_MAX)
        else {
            return;
        };
        let Some(journals) = usize::try_from(size).ok().and_then(|size| read(&file, 0, size).ok())
        else {
            return;
        };
        let needed = journals.split(|byte| *byte == 0).filter(|path| !path.is_empty()).any(
            |path| match parts(path) {
                (there, journal) if there == home => self.may_be_named_by(folder, journal),
                _ => true,
            },
        );
        if !needed {
            let _ = unlinkat(folder, name, AtFlags::empty());
        }
    }

    /// Also where it cannot be told.
    fn may_be_named_by(&self, folder: BorrowedFd<'_>, journal: &[u8]) -> bool {
        match statat(folder, journal, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return false,
            Ok(stat) if stat.st_size == 0 => return false,
            _ => {}
        }
        let Some((file, size)) = open(folder, journal) else { return true };
        SuperJournal::at_the_end_of(&file, size)
            .map_or(true, |named| named.is_some_and(|named| named.0 == self.0))
    }
}

fn open(folder: BorrowedFd<'_>, name: &[u8]) -> Option<(File, u64)> {
    let file = openat(
        folder,
        name,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()?;
    let stat = fstat(file.as_fd())
        .ok()
        .filter(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)?;
    Some((File::from(file), u64::try_from(stat.st_size).ok()?))
}

fn read(file: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at).map(|()| bytes)
}

/// Folder and name.
fn parts(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => path.split_at(slash + 1),
        None => (&[], path),
    }
}

/// `NAME-mjXXXXXX9XX`, as SQLite makes them.
fn is_super_journal(path: &[u8]) -> bool {
    let (_, name) = parts(path);
    let end = name.len().checked_sub(12).and_then(|begin| name.get(begin..)).unwrap_or_default();
    matches!(end, [b'-', b'm', b'j', .., b'9', _, _])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn journal(path: &str) -> Vec<u8> {
        let sum = path.bytes().map(u32::from).sum::<u32>();
        let length = u32::try_from(path.len()).unwrap();
        [b"a page".as_slice(), path.as_bytes(), &length.to_be_bytes(), &sum.to_be_bytes(), &MAGIC]
            .concat()
    }

    #[test]
    fn it_stays_until_the_last_journal_that_names_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let name = "/data/app.db-mj0123459AB";
        std::fs::write(path("app.db-mj0123459AB"), "/data/app.db-journal\0/data/two.db-journal\0")
            .unwrap();
        std::fs::write(path("two.db-journal"), journal(name)).unwrap();
        std::fs::write(path("app.db-journal"), journal("/data/app.db-mj0000009AB")).unwrap();
        let held = File::open(folder.path()).unwrap();
        let named = SuperJournal::named_by(held.as_fd(), b"two.db-journal").unwrap();
        named.remove_if_done(held.as_fd());
        assert!(path("app.db-mj0123459AB").exists(), "two.db is not rolled back");
        std::fs::write(path("two.db-journal"), "").unwrap();
        named.remove_if_done(held.as_fd());
        assert!(!path("app.db-mj0123459AB").exists());
        std::fs::write(
            path("app.db-mj0123459AB"),
            "/data/app.db-journal\0/other/three.db-journal\0",
        )
        .unwrap();
        named.remove_if_done(held.as_fd());
        assert!(path("app.db-mj0123459AB").exists(), "a folder that may not be mounted yet");
    }

    #[test]
    fn what_names_no_super_journal_names_none() {
        let folder = tempfile::tempdir().unwrap();
        let held = File::open(folder.path()).unwrap();
        let mut torn = journal("/data/app.db-mj0123459AB");
        let last = torn.len() - 9;
        torn.splice(last..=last, [1, 2]);
        for bytes in [Vec::new(), b"short".to_vec(), vec![0; 600], journal("/etc/passwd"), torn] {
            std::fs::write(folder.path().join("a-journal"), &bytes).unwrap();
            assert!(SuperJournal::named_by(held.as_fd(), b"a-journal").is_none(), "{bytes:?}");
        }
        assert!(SuperJournal::named_by(held.as_fd(), b"absent").is_none());
    }
}
