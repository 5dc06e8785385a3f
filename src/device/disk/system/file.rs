//! Owns an open file of the system behind the trait [`File`].
//! Promises: one verb is one system call, or one loop of the same call.
//! Never retries a failed fsync.
#![allow(clippy::disallowed_methods)] // The place for std::fs.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::sync::atomic::AtomicBool;

use fs2::FileExt;
use rustix::io::Errno;

use super::super::{extended, go_on, lease, Extended, File, Lease, Op, Stat};
use super::stat_of_open;

/// An open file of the system.
pub(super) struct SystemFile {
    /// It.
    pub(super) file: fs::File,
    /// `None` of one that this run has made.
    pub(super) opened: Option<Stat>,
}

/// Bytes of a file that are copied between two looks at the stop signal: less than a second of a
/// slow flash card.
const COPIED_AT_ONCE_BYTES: u64 = 4 << 20;

impl File for SystemFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, _op: Op, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self, _op: Op) -> io::Result<()> {
        self.file.sync_all()
    }

    fn sync_data(&self, _op: Op) -> io::Result<()> {
        self.file.sync_data()
    }

    fn stat(&self) -> io::Result<Stat> {
        stat_of_open(&self.file)
    }

    fn stat_when_opened(&self) -> io::Result<Stat> {
        self.opened.map_or_else(|| self.stat(), Ok)
    }

    fn copy_from(&self, _op: Op, source: &dyn File, stop: &AtomicBool) -> io::Result<u64> {
        let Some(source) = source.as_any().downcast_ref::<SystemFile>() else {
            return Err(io::Error::other("two kinds of disk"));
        };
        let size = source.file.metadata()?.len();
        let (mut from, mut to) = (0u64, 0u64);
        while from < size {
            go_on(stop)?;
            let part = (size - from).min(COPIED_AT_ONCE_BYTES);
            match rustix::fs::copy_file_range(
                &source.file,
                Some(&mut from),
                &self.file,
                Some(&mut to),
                usize::try_from(part).unwrap_or(usize::MAX),
            ) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the file became shorter while it was copied",
                    ))
                }
                Ok(_) | Err(Errno::INTR) => {}
                // Another file system, or a kernel without the call: by hand.
                Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) if to == 0 => {
                    return self.copy_by_hand(source, size, stop);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(to)
    }

    fn set_extended(&self, _op: Op, wanted: &[Extended]) -> io::Result<()> {
        extended::set(&self.file, wanted)
    }

    fn take_owner(&self, _op: Op, uid: u32, gid: u32, mode: u32) -> io::Result<()> {
        let now = self.file.metadata()?;
        if (now.uid(), now.gid()) != (uid, gid) {
            std::os::unix::fs::fchown(&self.file, Some(uid), Some(gid))?;
        }
        self.file.set_permissions(fs::Permissions::from_mode(mode))
    }

    fn lease(&self) -> io::Result<Lease> {
        lease::take(&self.file, self.file.metadata()?.uid())
    }

    fn lease_state(&self) -> io::Result<Lease> {
        lease::state(&self.file)
    }

    fn release_lease(&self) -> io::Result<()> {
        lease::give_up(&self.file)
    }

    fn try_lock(&self) -> io::Result<bool> {
        match FileExt::try_lock_exclusive(&self.file) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl SystemFile {
    fn copy_by_hand(&self, source: &SystemFile, size: u64, stop: &AtomicBool) -> io::Result<u64> {
        let mut buffer = vec![0; 1 << 20];
        let mut done = 0;
        while done < size {
            go_on(stop)?;
            let count = source.read_at(done, &mut buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was copied",
                ));
            };
            self.file.write_all_at(bytes, done)?;
            done += count as u64;
        }
        Ok(done)
    }
}
