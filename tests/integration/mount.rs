//! Owns small real file systems, mounted for one test.
//! Promises: unmounted when dropped, also when the test fails; needs root and says so.
//! Never mounts anything outside the test's own folder.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system.
pub struct Mount {
    at: PathBuf,
    /// How many lie on each other.
    layers: usize,
}

/// Stops the test where it is not run by root.
#[track_caller]
pub fn require_root() {
    let root = rustix::process::geteuid().is_root();
    assert!(
        root,
        "this test mounts file systems and changes users: run the tests as root (or under sudo)"
    );
}

fn command(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {said}", arguments.join(" "));
}

impl Mount {
    /// A tmpfs of `kib` KiB.
    #[track_caller]
    pub fn tmpfs(at: &Path, kib: u64) -> Mount {
        require_root();
        command(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                &format!("size={kib}k,mode=0755"),
                "test",
                &at.to_string_lossy(),
            ],
        );
        Mount { at: at.into(), layers: 1 }
    }

    /// An ext4 of `kib` KiB in a file of `folder`, without blocks kept for root.
    #[track_caller]
    pub fn ext4(at: &Path, folder: &Path, kib: u64) -> Mount {
        require_root();
        let image = folder.join("image.ext4");
        fs::File::create(&image).unwrap().set_len(kib * 1024).unwrap();
        Mount::ext4_with(at, &image, &[])
    }

    /// The same of 8 MiB, for this many files.
    #[track_caller]
    pub fn ext4_for_files(at: &Path, folder: &Path, files: u32) -> Mount {
        require_root();
        let image = folder.join("image.ext4");
        fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
        Mount::ext4_with(at, &image, &["-N", &files.to_string()])
    }

    fn ext4_with(at: &Path, image: &Path, options: &[&str]) -> Mount {
        let image = image.to_string_lossy();
        command(
            "mkfs.ext4",
            &[&["-q", "-F", "-m", "0", "-b", "1024"], options, &[&*image]].concat(),
        );
        command("mount", &["-o", "loop", &image, &at.to_string_lossy()]);
        Mount { at: at.into(), layers: 1 }
    }

    /// A folder mounted on itself, as a sandbox does that makes it writable.
    #[track_caller]
    pub fn on_itself(at: &Path) -> Mount {
        require_root();
        Mount { at: at.into(), layers: 0 }.and_on_itself()
    }

    /// The mounted file system mounted on itself as well.
    #[track_caller]
    pub fn and_on_itself(mut self) -> Mount {
        command("mount", &["--bind", &self.at.to_string_lossy(), &self.at.to_string_lossy()]);
        self.layers += 1;
        self
    }

    /// Mounted read-only from now on.
    pub fn read_only(&self) {
        command("mount", &["-o", "remount,ro", &self.at.to_string_lossy()]);
    }

    /// Where the ballast lies.
    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        fill(&self.ballast());
    }

    /// Fills it and leaves `kib` KiB.
    pub fn fill_but(&self, kib: u64) {
        self.fill();
        let size = fs::metadata(self.ballast()).unwrap().len();
        let ballast = fs::OpenOptions::new().write(true).open(self.ballast()).unwrap();
        ballast.set_len(size.saturating_sub(kib * 1024)).unwrap();
        ballast.sync_all().unwrap();
    }

    /// Takes its inodes with empty files, all but this many.
    pub fn take_inodes(&self, left: usize) {
        let taken = (0..)
            .map(|number| self.at.join(format!("small-{number}")))
            .take_while(|file| fs::write(file, "").is_ok());
        let taken: Vec<PathBuf> = taken.collect();
        taken.iter().rev().take(left).for_each(|file| fs::remove_file(file).unwrap());
    }

    /// Gives them back.
    pub fn give_inodes_back(&self) {
        let files = fs::read_dir(&self.at).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|file| file.to_string_lossy().contains("/small-"))
            .for_each(|file| fs::remove_file(file).unwrap());
    }

    /// Takes the ballast away.
    pub fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

/// Writes to a file until no byte more fits on its file system.
pub fn fill(ballast: &Path) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(ballast).unwrap();
    let block = [0x55_u8; 65536];
    // Delayed allocation: what was accepted becomes blocks at the sync, and what was kept back for
    // them may be free again.
    let mut before = u64::MAX;
    while file.metadata().unwrap().len() != before {
        before = file.metadata().unwrap().len();
        for size in [65536, 4096, 512, 1] {
            loop {
                match file.write(&block[..size]) {
                    Ok(written) if written > 0 => {}
                    Ok(_) => break,
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("filling {}: {error}", ballast.display()),
                }
            }
            let _ = file.sync_all();
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        for _ in 0..self.layers {
            let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
        }
    }
}
