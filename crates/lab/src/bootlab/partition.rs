//! Owns a data partition in a file: mounted by a loop device, and shut down under whoever uses it.
//! Promises: when dropped it is unmounted and its loop device is gone, so that the file can be
//! looked at and mounted again.
//! Never mounts anything that is not the lab's own file.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::ran;

/// `FS_IOC_SHUTDOWN`: `_IOR('X', 125, __u32)`.
const SHUTDOWN: libc::c_ulong = 0x8004_587d;
/// Neither data nor the journal is written first: what was not synced is lost, as when the power
/// goes.
const WITHOUT_FLUSH: u32 = 2;
/// Tries of 20 ms until a mount that was in use is free.
const TRIES_MAX: u32 = 500;

/// A mounted partition.
pub struct Mounted {
    image: PathBuf,
    at: PathBuf,
}

impl Mounted {
    /// Mounts `image` at `at`, which is made. ext4 replays its journal here, as at a boot.
    pub fn new(image: &Path, at: &Path) -> Mounted {
        fs::create_dir_all(at).unwrap();
        ran(Command::new("mount").args(["-o", "loop,errors=remount-ro"]).arg(image).arg(at));
        Mounted { image: image.into(), at: at.into() }
    }

    /// Cuts the power of this file system: from here on nothing more reaches the image.
    pub fn shut_down(&self) {
        shut_down(&File::open(&self.at).unwrap())
            .unwrap_or_else(|error| panic!("shutting down {}: {error}", self.at.display()));
    }

    /// Fills it and leaves `kib` KiB.
    pub fn fill_but(&self, kib: u64) {
        let mut ballast = File::create(self.ballast()).unwrap();
        while ballast.write(&[0x55; 1024]).is_ok_and(|written| written > 0) {}
        let size = ballast.metadata().unwrap().len();
        ballast.set_len(size.saturating_sub(kib << 10)).unwrap();
        ballast.sync_all().unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("lost+found/ballast")
    }

    /// Gives the room back.
    pub fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

#[allow(unsafe_code)]
fn shut_down(folder: &File) -> std::io::Result<()> {
    // SAFETY: the call reads one u32, which lives until it returns.
    let done = unsafe { libc::ioctl(folder.as_raw_fd(), SHUTDOWN as _, &WITHOUT_FLUSH) };
    if done == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for _ in 0..TRIES_MAX {
            let quiet = |command: &mut Command| command.stderr(Stdio::null()).output().ok();
            let _ = quiet(Command::new("umount").arg(&self.at));
            // Another name space may hold it longer: two mounts of one file would destroy it.
            let loops = quiet(Command::new("losetup").arg("--associated").arg(&self.image));
            if loops.is_some_and(|output| output.stdout.is_empty()) {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        eprintln!("{} is still mounted", self.at.display());
    }
}
