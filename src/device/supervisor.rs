//! Owns what stands around a run: ready files and the report on /run.
//! Promises: a ready file exists exactly while this firmware's applications may open the database.
//! Never changes an outcome: what cannot be written here is said and forgotten.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::names::RUN_FOLDER;
use crate::device::disk::{parent, system_text, Disk, Op, Open, Rename};

/// Bytes of the kernel's random number for a boot that are read at most.
const BOOT_ID_BYTES_MAX: usize = 64;

/// The kernel's random number for this boot; empty where it does not say.
pub fn boot_id(disk: &dyn Disk) -> String {
    system_text(disk, Path::new("/proc/sys/kernel/random/boot_id"), BOOT_ID_BYTES_MAX)
        .trim()
        .to_owned()
}

/// Bytes of a ready file that are read at most: a version and the end of its line.
const READY_BYTES_MAX: usize = "9223372036854775807\n".len();

/// Bytes of a scrub's position that are read at most: three numbers.
const POSITION_BYTES_MAX: usize = 64;

/// Where a scrub was stopped, and in which file: another one has other pages there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubPosition {
    /// The page that it comes to next.
    pub page: u32,
    /// The file's inode; it is the same file only within one boot.
    pub inode: u64,
    /// How many pages the file had.
    pub pages: u32,
}

/// The files on /run.
pub struct RunFolder<'a> {
    disk: &'a dyn Disk,
    folder: PathBuf,
}

impl<'a> RunFolder<'a> {
    /// Below this root.
    pub fn new(disk: &'a dyn Disk, root: &Path) -> RunFolder<'a> {
        RunFolder { disk, folder: place(root, Path::new(RUN_FOLDER)) }
    }

    /// The ready file of a database.
    pub fn ready(&self, database: &str) -> PathBuf {
        self.folder.join("ready").join(database)
    }

    fn unconfirmed(&self, database: &str) -> PathBuf {
        self.folder.join("unconfirmed").join(database)
    }

    /// Notes that a COMMIT of this database failed in this boot: the kernel shows what storage may
    /// not have.
    ///
    /// # Errors
    /// As `open` and `write`.
    pub fn make_unconfirmed(&self, database: &str) -> io::Result<()> {
        self.write(&self.unconfirmed(database), boot_id(self.disk).as_bytes())
    }

    /// It was noted in this boot. A container's `/run` may outlive the boot, and the note then
    /// means nothing.
    pub fn is_unconfirmed(&self, database: &str) -> bool {
        let noted = system_text(self.disk, &self.unconfirmed(database), BOOT_ID_BYTES_MAX);
        !noted.is_empty() && noted == boot_id(self.disk)
    }

    /// Takes the ready file away: first, by every run.
    ///
    /// # Errors
    /// As `unlink`.
    pub fn remove_ready(&self, database: &str) -> io::Result<()> {
        match self.disk.unlink(OP, &self.ready(database)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The version that the ready file tells; `None` where there is none.
    ///
    /// # Errors
    /// As `open` and `read`; invalid data where it tells no version.
    pub fn ready_version(&self, database: &str) -> io::Result<Option<i64>> {
        let bytes = match self.disk.read(&self.ready(database), READY_BYTES_MAX) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None)
            }
            read => read?,
        };
        let version =
            std::str::from_utf8(&bytes).ok().and_then(|text| text.trim_end().parse().ok());
        version
            .map(Some)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it tells no version"))
    }

    /// Makes the ready file: last, by every run.
    ///
    /// # Errors
    /// As `open` and `write`.
    pub fn make_ready(&self, database: &str, version: i64) -> io::Result<()> {
        self.write(&self.ready(database), format!("{version}\n").as_bytes())
    }

    /// Where a scrub of this boot was stopped; `None` where none was.
    pub fn scrub_position(&self, database: &str) -> Option<ScrubPosition> {
        let text = system_text(self.disk, &self.scrubbed(database), POSITION_BYTES_MAX);
        let mut words = text.split_whitespace();
        Some(ScrubPosition {
            page: words.next()?.parse().ok().filter(|page| *page > 0)?,
            inode: words.next()?.parse().ok()?,
            pages: words.next()?.parse().ok()?,
        })
    }

    /// Keeps it until the device is switched off; where that cannot be, the next one begins again.
    pub fn note_scrub_position(&self, database: &str, at: ScrubPosition) {
        if Some(at) != self.scrub_position(database) {
            let text = format!("{} {} {}\n", at.page, at.inode, at.pages);
            if let Err(error) = self.write(&self.scrubbed(database), text.as_bytes()) {
                log::warn!("{database}: where the scrub stopped cannot be noted: {error}.");
            }
        }
    }

    /// The next scrub begins at the first page.
    pub fn forget_scrub_position(&self, database: &str) {
        if let Err(error) = self.disk.unlink(OP, &self.scrubbed(database)) {
            if error.kind() != io::ErrorKind::NotFound {
                log::warn!("{database}: where a scrub had stopped stays noted: {error}.");
            }
        }
    }

    fn scrubbed(&self, database: &str) -> PathBuf {
        self.folder.join("scrub").join(database)
    }

    /// Puts the report in place, whole.
    ///
    /// # Errors
    /// As `open`, `write` and `rename`.
    pub fn write_report(&self, json: &str) -> io::Result<()> {
        self.write(&self.folder.join("status.json"), json.as_bytes())
    }

    /// Takes the report away: what it says of a database is no longer so.
    ///
    /// # Errors
    /// As `unlink`.
    pub fn remove_report(&self) -> io::Result<()> {
        match self.disk.unlink(OP, &self.folder.join("status.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let temporary = path.with_file_name(format!(".{name}.new"));
        let make = || self.disk.open(OP, &temporary, Open::CreateNew { mode: 0o644 });
        let file = match make() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folders(parent(path)).and_then(|()| make())
            }
            // A run before this one was cut off.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.unlink(OP, &temporary).and_then(|()| make())
            }
            made => made,
        }?;
        file.write_at(OP, 0, bytes)?;
        drop(file);
        // A tmpfs: whole or not there, and gone after a power cut.
        self.disk.rename(OP, &temporary, path, Rename::Replace)
    }

    fn make_folders(&self, folder: &Path) -> io::Result<()> {
        if self.disk.stat(folder)?.is_some() {
            return Ok(());
        }
        self.make_folders(parent(folder))?;
        match self.disk.make_folder(OP, folder, 0o755) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }
}

const OP: Op = Op("report on /run");

/// An absolute path below a root.
pub fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// `below` for an empty root is the path itself.
pub fn place(root: &Path, path: &Path) -> PathBuf {
    if root.as_os_str().is_empty() {
        return path.to_path_buf();
    }
    below(root, path)
}
