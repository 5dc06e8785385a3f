//! Owns extended attributes: access lists, a security label, the user's own.
//! Promises: a new file gets those of the one that it stands for, no more and no fewer; a list that
//! cannot be kept opens nothing.
//! Never copies what is true of one file's content alone.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::XattrFlags;

/// The kernel's own limits of the names together, and of one value.
const NAMES_BYTES_MAX: usize = 64 << 10;
const VALUE_BYTES_MAX: usize = 64 << 10;
/// The access list. The permission bits of the group are its mask then, and not the group's own
/// rights.
const ACCESS_LIST: &[u8] = b"system.posix_acl_access";
/// Hashes of the content, rights of a program, and what an overlay notes of its layers.
const OF_ONE_FILE: [&[u8]; 4] =
    [b"security.ima", b"security.evm", b"security.capability", b"trusted.overlay."];

/// One extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extended {
    /// For example `security.selinux`.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Those of the file with this name; a link is not followed. What cannot be read is left out.
pub(super) fn of(path: &Path) -> Vec<Extended> {
    let mut names = vec![0; NAMES_BYTES_MAX];
    let length = rustix::fs::llistxattr(path, names.as_mut_slice()).unwrap_or(0);
    let read = |name: &[u8]| {
        let mut value = vec![0; VALUE_BYTES_MAX];
        let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).ok()?;
        value.truncate(length);
        Some(Extended { name: name.to_vec(), value })
    };
    split(&names, length).filter_map(read).collect()
}

/// Gives the file these and takes every other away, as far as the kernel lets us: a label that
/// cannot be set is not worth a device.
pub(super) fn set(file: &fs::File, wanted: &[Extended]) -> io::Result<()> {
    let mut names = vec![0; NAMES_BYTES_MAX];
    let length = rustix::fs::flistxattr(file, names.as_mut_slice()).unwrap_or(0);
    for name in split(&names, length).filter(|name| !wanted.iter().any(|one| one.name == *name)) {
        let _ = rustix::fs::fremovexattr(file, name);
    }
    for Extended { name, value } in wanted {
        let set = rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty());
        if set.is_err() && name == ACCESS_LIST {
            // Without the list its mask would be what the whole group may do.
            let mode = file.metadata()?.permissions().mode();
            file.set_permissions(fs::Permissions::from_mode(mode & 0o7707))?;
        }
    }
    Ok(())
}

fn split(names: &[u8], length: usize) -> impl Iterator<Item = &[u8]> {
    let names = names.get(..length).unwrap_or(&[]).split(|byte| *byte == 0);
    names.filter(|name| !name.is_empty() && !OF_ONE_FILE.iter().any(|own| name.starts_with(own)))
}
