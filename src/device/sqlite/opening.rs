//! Owns the opening of a file by SQLite: through its folder's descriptor, and on nothing but the
//! file that was looked at.
//! Promises: a FIFO, a device or a link in the place of a file that SQLite would open is refused
//! before.
//! Never waits, and never makes a file.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::corrected::Corrected;
use super::{as_given, failure_of, held, Database, Sqlite};
use crate::device::are_temporary_files_beside;
use crate::device::disk::{Anchor, Anchoring, Disk, Op, SystemDisk, UserAndGroup, WrongKind};
use crate::device::files::side;
use crate::error::Failure;

/// What SQLite is told beside the name.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenWith {
    /// A parameter of the URI.
    pub option: Option<&'static str>,
    pub access: OpenFlags,
}

/// Without any lock or write, and without a look at side files.
pub(super) const IMMUTABLE: OpenWith =
    OpenWith { option: Some("immutable=1"), access: OpenFlags::SQLITE_OPEN_READ_ONLY };
/// With the shared memory as others have made it.
pub(super) const BESIDE: OpenWith =
    OpenWith { option: Some("readonly_shm=1"), access: OpenFlags::SQLITE_OPEN_READ_ONLY };
/// As an application does.
pub(super) const WRITING: OpenWith =
    OpenWith { option: None, access: OpenFlags::SQLITE_OPEN_READ_WRITE };

impl Sqlite<'_> {
    /// # Errors
    /// As SQLite's open; what is no regular file, or another than the one that was looked at.
    pub(super) fn open(&self, op: Op, path: &Path, how: OpenWith) -> Result<Database, Failure> {
        let own = SystemDisk::default();
        let disk = self.disk.unwrap_or(&own);
        let mut opened = self.opened(op, (disk, path), how, Anchoring::Quick)?;
        if opened.is_none() {
            opened = self.opened(op, (disk, path), how, Anchoring::Everything)?;
        }
        let database = opened.ok_or_else(|| Failure::io(op, path, &Anchor::another(path)))?;
        self.ready(op, database)
    }

    fn ready(&self, op: Op, mut database: Database) -> Result<Database, Failure> {
        database.harden(op)?;
        // Who waits, and for how long, is decided by the caller.
        database
            .connection
            .busy_timeout(std::time::Duration::ZERO)
            .map_err(|error| database.failure(op, &error))?;
        self.prepare(&mut database.connection);
        Ok(database)
    }

    /// As [`Sqlite::look_immutable`], of the file that is open here; closed when it was read.
    /// `None` where SQLite has no VFS for it, or the lab's.
    pub fn read_held<T>(
        &self,
        op: Op,
        path: &Path,
        file: BorrowedFd<'_>,
        read: impl FnOnce(&Database) -> Result<T, Failure>,
    ) -> Option<Result<T, Failure>> {
        let disk = self.disk.filter(|_| self.vfs.is_none())?;
        let vfs = self.own_vfs(disk, disk.owner_of(path))?;
        Some(self.open_own(op, path, &held::name(file), vfs).and_then(|database| {
            let answer = read(&database);
            database.close(op)?;
            answer
        }))
    }

    /// Reads a file by another header than the one that it has; closed when it was read. Without a
    /// lock: what is written meanwhile has to be noticed by the caller. `None` where SQLite has no
    /// VFS for it.
    pub fn read_corrected<T>(
        &self,
        op: Op,
        path: &Path,
        source: &Corrected<'_>,
        read: impl FnOnce(&Database) -> Result<T, Failure>,
    ) -> Option<Result<T, Failure>> {
        let own = SystemDisk::default();
        let disk = self.disk.unwrap_or(&own);
        let vfs = self.own_vfs(disk, disk.owner_of(path))?;
        let open = || source.offered(|name| self.open_own(op, path, name, vfs));
        Some(open().and_then(|database| {
            let answer = read(&database);
            database.close(op)?;
            answer
        }))
    }

    /// The VFS of ours that acts for this owner, and writes what a sort leaves beside the database.
    fn own_vfs(&self, disk: &SystemDisk, owner: Option<UserAndGroup>) -> Option<&'static str> {
        let place = self.temporary.filter(|_| are_temporary_files_beside());
        as_given::name(owner, place, |place, owner| disk.state_folder(place, owner))
    }

    /// By a name that a VFS of ours knows.
    fn open_own(
        &self,
        op: Op,
        path: &Path,
        name: &str,
        vfs: &'static str,
    ) -> Result<Database, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags_and_vfs(name, flags, vfs);
        let connection = connection.map_err(|error| failure_of(op, path, &error))?;
        let mut database = self.watched(op, connection, path, None)?;
        database.vfs = Some(vfs);
        self.ready(op, database)
    }

    /// `None` where it cannot be told what was opened.
    fn opened(
        &self,
        op: Op,
        (disk, path): (&SystemDisk, &Path),
        how: OpenWith,
        closeness: Anchoring,
    ) -> Result<Option<Database>, Failure> {
        let failed = |error: std::io::Error| Failure::io(op, path, &error);
        let mut anchor = None;
        if self.vfs.is_none() {
            let known = self.main.filter(|(main, _)| *main == path).map(|(_, inode)| inode);
            anchor = Anchor::of(disk, path, known, closeness).map_err(failed)?;
            let beside: &[&str] =
                if how.option == IMMUTABLE.option { &[] } else { &["-journal", "-wal", "-shm"] };
            if let Some(anchor) = anchor.as_mut().filter(|_| !beside.is_empty()) {
                anchor.keep_super_journal();
            }
            // SQLite would wait for ever to open a journal that is a FIFO.
            for suffix in anchor.is_none().then_some(&"").into_iter().chain(beside) {
                let file = side(path, suffix);
                disk.stat(&file)
                    .and_then(|stat| {
                        stat.map_or(Ok(()), |stat| WrongKind::unless_file(&file, stat.kind))
                    })
                    .map_err(failed)?;
            }
        }
        let owner = anchor.as_ref().and_then(|anchor| anchor.owner);
        let given = anchor
            .as_ref()
            .and_then(|anchor| Some((anchor.path.as_path(), self.own_vfs(disk, owner)?)));
        let given_name = given.map(|(_, vfs)| vfs);
        let (place, vfs) = given.map_or((path, self.vfs), |(place, vfs)| (place, Some(vfs)));
        // Whoever is not anchored follows no link either: the path has none, when it is walked.
        let mut flags =
            how.access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut name = place.to_path_buf();
        if let Some(option) = how.option {
            flags |= OpenFlags::SQLITE_OPEN_URI;
            name = PathBuf::from(format!("file:{}?{option}", percent_encode(place)));
        }
        let connection = match vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(&name, flags, vfs),
            None => Connection::open_with_flags(&name, flags),
        };
        let mut database = self.watched(
            op,
            connection.map_err(|error| failure_of(op, path, &error))?,
            path,
            None,
        )?;
        if !anchor.as_ref().map_or(Ok(true), Anchor::opened).map_err(failed)? {
            return Ok(None);
        }
        database.anchor = anchor;
        database.vfs = given_name;
        Ok(Some(database))
    }
}

/// A path inside an SQLite URI.
fn percent_encode(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut out = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                out.push(char::from(*byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_question_marks_stays_a_path() {
        assert_eq!(percent_encode(Path::new("/a b/c?d#e%f.db")), "/a%20b/c%3Fd%23e%25f.db");
    }
}
