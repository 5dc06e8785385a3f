//! Owns the operators' commands, one a file, and what they share: the configuration and the
//! databases' places.
//! Promises: reads the configuration as the image and the device have it; a mistake in it is one
//! sentence and exit 2.
//! Never decides about a database.

pub mod baseline;
pub mod bundle;
pub mod data;
pub mod doctor;
pub mod lost;
pub mod mark_good;
pub mod migrate;
mod places;
pub mod plan;
pub mod printed;
pub mod quarantine;
pub mod ready;
pub mod rehearse;
pub mod restore;
pub mod rollback;
pub mod run;
pub mod salvage;
pub mod scrub;
pub mod snapshot;
pub mod status;
pub mod wipe;

use std::io;
use std::path::Path;

use crate::catalog::Embedded;
use crate::cli::Command;
use crate::config::names::DEVICE_FILE;
use crate::config::{self, ConfigError, Settings, Source, UnknownKey, FILE_BYTES_MAX};
use crate::decide::space::RUN_AGAIN;
use crate::device::disk::{Disk, FileKind};
use crate::device::supervisor::place;
use crate::device::{Device, Environment};
use crate::error::called::program;
use crate::error::exit;
use crate::error::{Class, Failure};
use crate::ops::room::{explained, kept};
use crate::report::{self};
pub use printed::{Lines, Printed};

pub use places::{devices, free_for_a_file};

/// What every command is handed.
pub struct CommandContext<'a> {
    /// The configuration.
    pub settings: &'a Settings,
    /// The effects.
    pub environment: &'a Environment<'a>,
    /// The databases that the command is about.
    pub devices: &'a [Device<'a>],
    /// Every database of this device.
    pub all: &'a [Device<'a>],
    /// What was asked for.
    pub command: &'a Command,
}

/// `mode = "observe"` changes nothing, whoever asks.
///
/// # Errors
/// What is printed instead.
pub fn changes(context: &CommandContext<'_>) -> Result<(), Printed> {
    if !context.settings.observe {
        return Ok(());
    }
    let sentence = format!(
        "{}: mode = \"observe\" changes nothing; write mode = \"normal\" in bootmigrate.toml \
         first. [BM-3]",
        program()
    );
    Err(Printed::outcome(Lines::default(), Lines::of(&sentence), exit::PENDING.code))
}

/// Something that stopped a command before anything was changed.
pub fn not_begun(device: &Device<'_>, failure: Failure) -> Printed {
    let failure = explained(device, failure);
    let (exit, name) = (failure.class.exit().code, &device.settings.name);
    let sentence = match lacking(device, &failure, RUN_AGAIN) {
        Some((why, next)) => format!(
            "{name}: not enough space: {why}{failure}; nothing was changed. Next: {next}. \
             [BM-{exit} {name}]"
        ),
        None => format!("{name}: {failure}; nothing was changed. [BM-{exit} {name}]"),
    };
    Printed::outcome(Lines::default(), Lines::of(&sentence), exit)
}

/// Of what there was too little, and what an operator can do, where that is why a command ended;
/// `then` comes last.
pub fn lacking(device: &Device<'_>, failure: &Failure, then: &str) -> Option<(String, String)> {
    let quarantine = || kept(device, &[]).unwrap_or_default();
    (failure.class == Class::NoSpace)
        .then(|| report::lacking(&quarantine(), failure, device.space().ok(), then))
}

/// Something that is wrong with the configuration.
#[derive(Debug)]
pub struct Mistake {
    /// One sentence, with file, line and column where it has them.
    pub sentence: String,
    /// The same place: file, line and column.
    pub at: Option<(String, u32, u32)>,
}

impl From<String> for Mistake {
    fn from(sentence: String) -> Mistake {
        Mistake { sentence, at: None }
    }
}

impl From<ConfigError> for Mistake {
    fn from(error: ConfigError) -> Mistake {
        let sentence = error.to_string();
        Mistake { sentence, at: (error.line > 0).then_some((error.file, error.line, error.column)) }
    }
}

impl From<Mistake> for String {
    fn from(mistake: Mistake) -> String {
        mistake.sentence
    }
}

/// The embedded configuration, and the device's over it.
///
/// # Errors
/// One sentence with file, line and column.
pub fn settings(
    embedded: &Embedded,
    command: &Command,
    disk: &dyn Disk,
) -> Result<Settings, Mistake> {
    let named = command.config.clone();
    let path = named.clone().unwrap_or_else(|| place(&command.root, Path::new(DEVICE_FILE)));
    let absent = named.is_none() && matches!(disk.stat(&path), Ok(None));
    if named.is_none() && !absent {
        written_by_root(disk, &command.root, &path)?;
    }
    let text = match if absent {
        Err(io::ErrorKind::NotFound.into())
    } else {
        disk.read(&path, FILE_BYTES_MAX)
    } {
        Ok(bytes) => {
            Some(String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => None,
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display()).into()),
    };
    let settings = match as_built(embedded).filter(|_| text.is_none()) {
        Some(settings) => settings,
        None => {
            let file = path.display().to_string();
            let over: Vec<Source<'_>> =
                text.iter().map(|text| Source { file: &file, text }).collect();
            let image = Source { file: embedded.configuration_file, text: embedded.configuration };
            config::read(image, &over, UnknownKey::Warn)?
        }
    };
    if settings.example && command.root.as_os_str().is_empty() {
        let sentence =
            "this binary carries the example product, which runs only under --root DIR; build it \
             with your own migrations";
        return Err(sentence.to_owned().into());
    }
    if let Some(name) = command
        .database
        .as_ref()
        .filter(|name| !settings.databases.iter().any(|database| database.name == **name))
    {
        let known: Vec<&str> =
            settings.databases.iter().map(|database| database.name.as_str()).collect();
        return Err(format!("--db {name} is not configured; there is {}", known.join(", ")).into());
    }
    Ok(settings)
}

/// What the build has read in the embedded file, where that is still the file's text.
fn as_built(embedded: &Embedded) -> Option<Settings> {
    let (_, settings) = embedded.settings.filter(|(text, _)| *text == embedded.configuration)?;
    config::packed::read(settings)
}

/// Root obeys a configuration that root wrote, or (of an image that is being built) the owner of
/// `--root`.
fn written_by_root(disk: &dyn Disk, root: &Path, path: &Path) -> Result<(), String> {
    let owner = |path: &Path| disk.resolve(path).and_then(|found| disk.stat(&found)).ok().flatten();
    let Some(file) = owner(path).filter(|file| disk.is_root() && file.kind == FileKind::File)
    else {
        return Ok(());
    };
    let builder = owner(root).filter(|_| !root.as_os_str().is_empty()).map(|folder| folder.uid);
    let why = match (file.uid, file.mode & 0o002) {
        (_, 0o002) => format!(
            "everybody may write to it (mode {:04o}), and root would do what it says",
            file.mode
        ),
        (uid, _) if uid != 0 && Some(uid) != builder => {
            format!("it belongs to uid {uid}, and root would do what it says")
        }
        _ => return Ok(()),
    };
    Err(format!("{} is not used: {why}; give it to root with mode 0644", path.display()))
}

/// Those that a command is about: all, or the one that was named.
pub fn named<'a>(all: &[Device<'a>], only: Option<&str>) -> Vec<Device<'a>> {
    all.iter()
        .filter(|device| only.is_none_or(|only| device.settings.name == only))
        .cloned()
        .collect()
}
