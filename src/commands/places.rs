//! Owns where the databases of this device lie: links followed, and each apart from every name that
//! is taken.
//! Promises: what two names hide (a link to a folder, a hard link, the case of letters) is found
//! here, before anything is opened.
//! Never opens a file.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, Embedded};
use crate::commands::CommandContext;
use crate::config::names::{self, Taken};
use crate::config::{DatabaseSettings, PathPlace, Settings};
use crate::device::disk::{parent, Disk, FileKind, Stat};
use crate::device::supervisor::place;
use crate::device::{Device, Environment};

/// Of the device's configuration file.
const DEVICE_FILE_NAME: &[u8] = b"bootmigrate.toml";

/// The databases of this device, each at its place.
///
/// # Errors
/// A database without migrations, or a path (of the marker, too) that is another's, or leads to a
/// name of ours.
pub fn devices<'a>(
    embedded: &'a Embedded,
    settings: &'a Settings,
    environment: &'a Environment<'a>,
) -> Result<Vec<Device<'a>>, String> {
    let mut devices: Vec<Device<'a>> = Vec::new();
    let root = if environment.root.as_os_str().is_empty() {
        PathBuf::new()
    } else {
        followed(environment.disk, &environment.root)
    };
    let (mut folders, mut each_has_one_name) = (BTreeMap::new(), true);
    for database in &settings.databases {
        let catalog = catalog_of(embedded, database)?;
        let (main, one_name) = resolve_in(environment, &mut folders, &database.path);
        each_has_one_name &= one_name;
        if !main.starts_with(&root) {
            let path = place(&environment.root, &database.path);
            return Err(format!(
                "{} leads out of --root, to {}; make that link relative",
                path.display(),
                main.display()
            ));
        }
        devices.push(Device::new(environment, database, catalog, settings.slots, main));
    }
    if !each_has_one_name
        || !(as_configured(environment, settings, &devices) || all_apart(environment, &devices))
    {
        // Refused where the second path stands; where the first lies under a name of the second,
        // there.
        for (position, device) in devices.iter().enumerate() {
            let (earlier, _) = devices.split_at(position);
            apart(device, earlier)?;
        }
        for device in &devices {
            apart(device, &named_otherwise(&devices, device))?;
        }
    }
    if let Some(marker) = &settings.marker {
        let found = Found {
            key: "marker",
            written: marker,
            is: &resolve(environment, marker),
            may_stand_above: false,
        };
        if let Some(why) = found.taken(environment, devices.iter()) {
            return Err(complaint(
                settings.sources.get("marker"),
                format!("{why}; write another path"),
            ));
        }
    }
    Ok(devices)
}

/// Every path is what is written, and the program's own are: whoever read the configuration has
/// seen that they are apart. The device's configuration file is what is written where it is not
/// there, unless a link leads to its folder; then nothing else has its name.
fn as_configured(
    environment: &Environment<'_>,
    settings: &Settings,
    devices: &[Device<'_>],
) -> bool {
    let named = |path: &Path| place(&environment.root, path);
    let run = Path::new(names::RUN_FOLDER);
    // What has letters with several lower cases is compared as everything else.
    let has_another_name = |device: &Device<'_>| {
        let mut names = device.files.main.components().map(|step| step.as_os_str().as_bytes());
        names.all(|name| name.is_ascii() && !name.eq_ignore_ascii_case(DEVICE_FILE_NAME))
    };
    !settings.overridden
        && devices.iter().all(|device| device.files.main == named(&device.settings.path))
        && resolve(environment, run) == named(run)
        && devices.iter().all(has_another_name)
}

/// No path is another's or the program's: what is so on a device, in one pass. Else each is
/// compared with each, to say which.
fn all_apart(environment: &Environment<'_>, devices: &[Device<'_>]) -> bool {
    let files: Vec<(&Path, Vec<Taken>)> = devices
        .iter()
        .map(|device| {
            (
                device.files.main.as_path(),
                names::of_database(&device.settings.name, &device.files.main),
            )
        })
        .collect();
    names::all_apart(&files, &names::of_the_program(|path| resolve(environment, path)))
}

fn named_otherwise<'a>(devices: &[Device<'a>], device: &Device<'_>) -> Vec<Device<'a>> {
    devices.iter().filter(|other| other.settings.name != device.settings.name).cloned().collect()
}

/// A database's path is neither another's, nor a name that goes with another, nor one of the
/// program's.
fn apart(device: &Device<'_>, others: &[Device<'_>]) -> Result<(), String> {
    let (name, is) = (&device.settings.name, &device.files.main);
    let at = device.settings.sources.get("path");
    if let Some(other) = others.iter().find(|other| same_file(other, device)) {
        let sentence = format!(
            "{} and {name} are the same file, {}; give each database one of its own",
            other.settings.name,
            is.display()
        );
        return Err(complaint(at, sentence));
    }
    match (Found { key: "path", written: &device.settings.path, is, may_stand_above: false })
        .taken(device.environment, others.iter())
    {
        Some(why) => {
            Err(complaint(at, format!("in [databases.{name}], {why}; write another path")))
        }
        None => Ok(()),
    }
}

/// An operator named this file for something to be written into: not a name of ours, nor of a
/// database.
///
/// # Errors
/// Whose name it is.
pub fn free_for_a_file(context: &CommandContext<'_>, file: &Path) -> Result<(), String> {
    let is = followed(context.environment.disk, file);
    let found = Found { key: "FILE", written: file, is: &is, may_stand_above: true };
    found
        .taken(context.environment, context.all.iter())
        .map_or(Ok(()), |why| Err(format!("{why}; name another file")))
}

/// A path as it is written, and the file that it is on this device.
struct Found<'a> {
    key: &'static str,
    written: &'a Path,
    is: &'a Path,
    /// Where it is a folder above other names, whoever writes into it says so better.
    may_stand_above: bool,
}

impl Found<'_> {
    /// What it is instead, in words; `None` where it is its own.
    fn taken<'d, 'a: 'd>(
        &self,
        environment: &Environment<'_>,
        others: impl Iterator<Item = &'d Device<'a>> + Clone,
    ) -> Option<String> {
        let Found { key, written, is, may_stand_above } = self;
        let leads = if is.ends_with(written.strip_prefix("/").unwrap_or(written)) {
            String::new()
        } else {
            format!(" leads to {}, which", is.display())
        };
        let program = names::of_the_program(|path| resolve(environment, path));
        let taken: Vec<Taken> = others
            .clone()
            .flat_map(|other| names::of_database(&other.settings.name, &other.files.main))
            .collect();
        let taken = taken.iter().chain(&program);
        let conflict = if *may_stand_above {
            names::conflict_of_folder(is, taken)
        } else {
            names::conflict(is, taken)
        };
        if let Some(conflict) = conflict {
            return Some(format!("{key} {}{leads} {conflict}", written.display()));
        }
        let stat = environment.disk.stat(is).ok().flatten().filter(|stat| stat.links > 1)?;
        let (other, file) = others
            .flat_map(|other| files(other).into_iter().map(move |file| (other, file)))
            .find(|(_, file)| {
                let there = environment.disk.stat(file).ok().flatten();
                there.is_some_and(|there| identity(&there) == identity(&stat))
            })?;
        Some(format!(
            "{key} {} is a hard link of {}, which is of {}",
            written.display(),
            file.display(),
            other.settings.name
        ))
    }
}

fn complaint(at: Option<&PathPlace>, sentence: String) -> String {
    at.map_or(sentence.clone(), |place| place.error(sentence).to_string())
}

fn same_file(one: &Device<'_>, other: &Device<'_>) -> bool {
    let inode = |device: &Device<'_>| {
        device.disk().stat(&device.files.main).ok().flatten().as_ref().map(identity)
    };
    one.files.main == other.files.main
        || inode(one).is_some_and(|found| inode(other) == Some(found))
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.device, stat.inode)
}

/// What of a database's files is there now, its copies included.
fn files(device: &Device<'_>) -> Vec<PathBuf> {
    let disk = device.disk();
    let list = |folder: &Path| {
        disk.list(folder)
            .unwrap_or_default()
            .into_iter()
            .map(|name| folder.join(name))
            .collect::<Vec<_>>()
    };
    let (files, state) = (&device.files, &device.state);
    let mut found =
        vec![files.main.clone(), files.wal(), files.shm(), files.journal(), files.beside()];
    found.extend(list(&state.root));
    found.extend(list(&state.snapshots()));
    found.extend(list(&state.quarantine()).iter().flat_map(|folder| list(folder)));
    found
}

fn catalog_of<'a>(
    embedded: &'a Embedded,
    database: &DatabaseSettings,
) -> Result<&'a Catalog, String> {
    let found = embedded.databases.iter().find(|catalog| catalog.database == database.name);
    let found = found.ok_or_else(|| {
        format!(
            "[databases.{}] is configured and this firmware has no migrations for it",
            database.name
        )
    })?;
    match database.user_version_cannot_hold(found.target()) {
        Some(sentence) => Err(complaint(database.sources.get("user_version"), sentence)),
        None => Ok(found),
    }
}

/// The path below `--root`, with symbolic links followed once; one that dangles stays a link, and
/// is refused later.
fn resolve(environment: &Environment<'_>, path: &Path) -> PathBuf {
    followed(environment.disk, &place(&environment.root, path))
}

/// The same for one of many: a folder's links are followed once, however many databases it holds.
/// And whether the file has no second name.
fn resolve_in(
    environment: &Environment<'_>,
    folders: &mut BTreeMap<PathBuf, PathBuf>,
    path: &Path,
) -> (PathBuf, bool) {
    let path = place(&environment.root, path);
    let one_name = |stat: Option<Stat>| stat.is_none_or(|stat| stat.links <= 1);
    let plain = environment
        .disk
        .stat(&path)
        .ok()
        .filter(|stat| stat.is_none_or(|stat| stat.kind == FileKind::File));
    match (path.file_name(), plain) {
        (Some(name), Some(stat)) => {
            let folder = folders
                .entry(parent(&path).to_path_buf())
                .or_insert_with_key(|folder| followed(environment.disk, folder));
            (folder.join(name), one_name(stat))
        }
        _ => {
            let main = followed(environment.disk, &path);
            let stat = environment.disk.stat(&main);
            (main, stat.is_ok_and(one_name))
        }
    }
}

/// Links followed as far as the path is there.
fn followed(disk: &dyn Disk, path: &Path) -> PathBuf {
    match (disk.resolve(path), path.file_name()) {
        (Ok(found), _) => found,
        (Err(_), Some(name)) => followed(disk, parent(path)).join(name),
        (Err(_), None) => path.to_path_buf(),
    }
}
