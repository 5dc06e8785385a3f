//! Owns how much memory page caches may take: from the file's size, what is free, and
//! `memory_mib`.
//! Promises: a small file has SQLite's own cache; those of larger ones take together at most a
//! quarter of what was free at first, and a sort as much again.
//! Never asked on a quiet boot, and never a reason to fail: what cannot be read counts as a small
//! device.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;

use rustix::process::{getrlimit, Resource};

use super::disk::{system_text, SystemDisk};

/// SQLite's own cache, which is enough for files of this size.
const CACHE_BYTES_MIN: u64 = 2 << 20;
/// What is taken to be free where the kernel does not say: a quarter of it is a cache that fits a
/// device with 64 MiB.
const FREE_BYTES_UNKNOWN: u64 = 32 << 20;
/// Files below this size keep their temporary data in memory; larger ones use SQLITE_TMPDIR.
const TEMPORARY_BYTES_MAX: u64 = 64 << 20;
/// No product computes a longer value of a row.
const VALUE_BYTES_MAX: u64 = 64 << 20;
/// Of 8 parts of `memory_mib`. SQLite's sorter, which `cache_size` bounds too, may take as much
/// again; the rest is for journals and temporary data in memory, and for the values of rows.
const CACHE_PARTS: u64 = 3;
/// Bytes of a file of /proc or of a control group that are read at most.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// Where control groups are.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// Bytes that SQLite may take in one run.
static BOUND: AtomicU64 = AtomicU64::new(512 << 20);
/// What page caches have of it now.
static CACHES: Shares = Shares(AtomicU64::new(0));
/// Bytes that were free when the first large file was worked on.
static FREE: OnceLock<u64> = OnceLock::new();

/// SQLite has this much in one run.
pub fn bound(bytes: u64) {
    BOUND.store(bytes, Ordering::Relaxed);
}

/// Bytes that a value which is computed may have beside those of the file.
pub fn for_a_value() -> u64 {
    (BOUND.load(Ordering::Relaxed) / 4).min(VALUE_BYTES_MAX)
}

/// A file of this size has its temporary data and its journal in memory: at the default bound up to
/// 64 MiB.
pub fn holds_temporary_data(bytes: u64) -> bool {
    bytes <= (BOUND.load(Ordering::Relaxed) / 8).min(TEMPORARY_BYTES_MAX)
}

/// Bytes that are given out now.
#[derive(Debug)]
struct Shares(AtomicU64);

/// A part of the memory for page caches; given back where it is dropped.
#[derive(Debug)]
pub struct Share {
    bytes: u64,
    of: &'static Shares,
}

impl Shares {
    /// As much as is wanted of what is left of `most`; less where as many connections want it at
    /// once, and never less than SQLite's own cache.
    fn give(&'static self, wanted: u64, most: u64, connections: u64) -> Share {
        let left = most.saturating_sub(self.0.load(Ordering::Relaxed));
        let bytes = wanted.min(left / connections.max(1)).max(CACHE_BYTES_MIN);
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Share { bytes, of: self }
    }
}

impl Share {
    /// For work on a file of this size by as many connections; `None` where SQLite's own cache is
    /// enough.
    pub fn of(bytes: u64, connections: u64) -> Option<Share> {
        let wanted = with_its_own_part(bytes);
        if wanted <= CACHE_BYTES_MIN {
            return None;
        }
        let free = *FREE.get_or_init(|| {
            free(&|path| system_text(&SystemDisk::default(), path, TEXT_BYTES_MAX))
        });
        Some(CACHES.give(wanted, at_most(free, BOUND.load(Ordering::Relaxed)), connections))
    }

    /// Bytes of page cache, with what SQLite keeps beside each page.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// SQLite keeps some 300 bytes with each page; pages have 4096 bytes, or more.
fn with_its_own_part(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 8)
}

/// Bytes of all page caches together.
fn at_most(free: u64, bound: u64) -> u64 {
    (free / 4).min(bound / 8 * CACHE_PARTS)
}

/// What the kernel could give without swapping, and what the control groups and the limits (`ulimit
/// -v`, `-d`) of this process leave of that.
fn free(read: &dyn Fn(&Path) -> String) -> u64 {
    let available = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<u64>()
            .ok()
            .map(|kib| kib.saturating_mul(1024))
    };
    let device = available(&read(Path::new("/proc/meminfo"))).unwrap_or(FREE_BYTES_UNKNOWN);
    let groups = read(Path::new("/proc/self/cgroup"));
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let root = Path::new(CONTROL_GROUPS);
    let number = |path: &Path| read(path).trim().parse::<u64>().ok();
    let left = |group: &Path| {
        let most = number(&group.join("memory.max"))?;
        Some(most.saturating_sub(number(&group.join("memory.current")).unwrap_or(0)))
    };
    let groups = root.join(own);
    let left = groups.ancestors().take_while(|group| group.starts_with(root)).filter_map(left);
    let used = mapped(&read(Path::new("/proc/self/statm")));
    let limits = [Resource::As, Resource::Data]
        .into_iter()
        .filter_map(|resource| getrlimit(resource).current);
    left.chain(limits.map(|most| most.saturating_sub(used))).fold(device, u64::min)
}

/// Bytes of address space that this process has, of `/proc/self/statm`: its first number, in pages.
fn mapped(text: &str) -> u64 {
    let pages =
        text.split_whitespace().next().and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    pages.saturating_mul(rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn caches_take_at_most_a_quarter_of_what_is_free_together() {
        static SHARES: Shares = Shares(AtomicU64::new(0));
        assert!(Share::of(MIB, 1).is_none(), "SQLite's own holds it");
        assert_eq!(at_most(1024 * MIB, 512 * MIB), 192 * MIB, "of memory_mib");
        assert_eq!(at_most(32 * MIB, 512 * MIB), 8 * MIB, "a quarter of what is free");
        let whole = SHARES.give(72 * MIB, 96 * MIB, 1);
        let half_of_the_rest = SHARES.give(72 * MIB, 96 * MIB, 2);
        let rest = SHARES.give(72 * MIB, 96 * MIB, 1);
        let nothing_left = SHARES.give(72 * MIB, 96 * MIB, 1);
        let given = [&whole, &half_of_the_rest, &rest, &nothing_left].map(Share::bytes);
        assert_eq!(given, [72 * MIB, 12 * MIB, 12 * MIB, CACHE_BYTES_MIN]);
        drop((whole, half_of_the_rest, rest, nothing_left));
        assert_eq!(SHARES.0.load(Ordering::Relaxed), 0, "given back");
    }

    #[test]
    fn what_is_free_is_what_the_device_and_every_control_group_leave() {
        let said = |meminfo: &'static str, group: &'static str| {
            move |path: &Path| {
                let text = match path.to_str().unwrap_or_default() {
                    "/proc/meminfo" => meminfo,
                    "/proc/self/cgroup" => group,
                    "/sys/fs/cgroup/system.slice/memory.max" => "33554432\n",
                    "/sys/fs/cgroup/system.slice/memory.current" => "1048576\n",
                    "/sys/fs/cgroup/system.slice/b.service/memory.max" => "max\n",
                    _ => "",
                };
                text.to_owned()
            }
        };
        let meminfo = "MemTotal:  65536 kB\nMemAvailable:      40960 kB\n";
        assert_eq!(free(&said(meminfo, "0::/\n")), 40 * MIB);
        assert_eq!(free(&said(meminfo, "12:pids:/x\n0::/system.slice/b.service\n")), 31 * MIB);
        assert_eq!(free(&said("", "")), FREE_BYTES_UNKNOWN);
        assert_eq!(mapped("2048 512 400 300 0 700 0\n"), 2048 * rustix::param::page_size() as u64);
        assert_eq!(mapped(""), 0);
    }
}
