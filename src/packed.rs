//! Owns the packed catalogue of the stock binary: where it lies, whose it may be, and its bytes as
//! the catalogue that a build embeds.
//! Promises: checked whole before anything else is looked at; of a file that is not as it should be
//! nothing is used.
//! Never part of a product's own binary: embedding is its way.

use std::path::Path;

use crate::catalog::{
    Catalog, Checksums, Directives, Embedded, Expect, ForeignKeys, Migration, Versions,
};
use crate::config::{self, Source, UnknownKey};
use crate::device::disk::{Disk, FileKind, Stat};
use crate::device::supervisor::place;
use crate::packed_format::{crc32, FILE_BYTES_MAX, FORMAT, HEAD_BYTES, MAGIC};

/// The folder of the image in which it lies.
const FOLDER: &str = "/usr/lib/bootmigrate";
/// How its name ends.
const ENDING: &str = ".catalogue";

/// How a program comes by another catalogue than its own.
pub type Choose = fn(Embedded, &dyn Disk, &Path) -> Result<Embedded, String>;

/// The packed one, where there is one; else what is embedded.
///
/// # Errors
/// There is neither; there are several, somebody else may write to it, or it is not whole.
pub fn chosen(embedded: Embedded, disk: &dyn Disk, root: &Path) -> Result<Embedded, String> {
    let folder = place(root, Path::new(FOLDER));
    let names = disk
        .list(&folder)
        .map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
    let names: Vec<String> = names.into_iter().filter(|name| name.ends_with(ENDING)).collect();
    let name = match names.as_slice() {
        [] if embedded.databases.is_empty() => {
            return Err(format!(
                "there is no catalogue in {}, and none is embedded in this program; pack the \
                 migrations with `bootmigrate-workbench pack`, and put the file there",
                folder.display()
            ))
        }
        [] => return Ok(embedded),
        _ if !is_stock(&embedded) => return Ok(embedded),
        [one] => one,
        several => {
            return Err(format!(
                "{} has {} catalogues ({}); leave one of them",
                folder.display(),
                several.len(),
                several.join(", ")
            ))
        }
    };
    let path = folder.join(name);
    // The owner of a folder in which an image is being built, too.
    let builder = disk
        .stat(root)
        .ok()
        .flatten()
        .filter(|_| !root.as_os_str().is_empty())
        .map(|stat| stat.uid);
    for (path, kind) in [(&folder, FileKind::Folder), (&path, FileKind::File)] {
        let found = disk
            .stat(path)
            .map_err(|error| format!("{} cannot be looked at: {error}", path.display()))?;
        let refused = match found {
            Some(stat) => refused(&stat, kind, builder).filter(|_| disk.keeps_modes(path)),
            None => Some("it is not there any more".to_owned()),
        };
        if let Some(why) = refused {
            return Err(format!(
                "{} is not used: {why}; give it to root with mode 0{}",
                path.display(),
                if kind == FileKind::File { "644" } else { "755" }
            ));
        }
    }
    let bytes = disk
        .read(&path, FILE_BYTES_MAX)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    // Constants are what a catalogue is made of, and this one is read once.
    Embedded::packed(bytes.leak(), embedded.version)
        .map_err(|why| format!("{} is not used: {why}; put it there again", path.display()))
}

/// It carries nothing, or the example product. A product's own migrations are its own: another
/// package's catalogue is none of its business.
fn is_stock(embedded: &Embedded) -> bool {
    let source = Source { file: embedded.configuration_file, text: embedded.configuration };
    let example =
        || config::read(source, &[], UnknownKey::Warn).is_ok_and(|settings| settings.example);
    embedded.databases.is_empty() || example()
}

/// Why what is written there is not root's word.
fn refused(stat: &Stat, kind: FileKind, builder: Option<u32>) -> Option<String> {
    if stat.kind != kind {
        return Some(if kind == FileKind::File {
            "it is no regular file".to_owned()
        } else {
            "it is no folder".to_owned()
        });
    }
    if stat.uid != 0 && Some(stat.uid) != builder {
        return Some(format!("it belongs to uid {}", stat.uid));
    }
    (stat.mode & 0o022 != 0)
        .then(|| format!("others than its owner may write to it (mode {:04o})", stat.mode & 0o7777))
}

impl Embedded {
    /// The catalogue in these bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    #[doc(hidden)]
    pub fn packed(bytes: &'static [u8], version: &'static str) -> Result<Embedded, String> {
        let (head, payload) = bytes.split_at_checked(HEAD_BYTES).ok_or("it is cut off")?;
        let mut head = Reader { rest: head };
        if head.take(8)? != MAGIC {
            return Err("it is no packed catalogue".to_owned());
        }
        let numbers = head.rest.get(..8).unwrap_or_default();
        let (format, length, crc) = (head.number()?, head.number()?, head.number()?);
        if usize::try_from(length).ok() != Some(payload.len())
            || crc32(numbers.iter().chain(payload)) != crc
        {
            return Err("its checksum is not that of its contents".to_owned());
        }
        if format != FORMAT {
            return Err(format!("it has format {format}, and this bootmigrate knows {FORMAT}"));
        }
        let mut reader = Reader { rest: payload };
        let (configuration, configuration_file) = (reader.text()?, reader.text()?);
        let databases = reader.list(Reader::database)?;
        if !reader.rest.is_empty() {
            return Err(CONTENTS.to_owned());
        }
        let settings = None;
        Ok(Embedded { configuration, version, configuration_file, settings, databases })
    }
}

/// A file with the right checksum, made by a program with a fault.
const CONTENTS: &str = "its contents do not have the shape of its format";

struct Reader {
    rest: &'static [u8],
}

impl Reader {
    fn take(&mut self, count: usize) -> Result<&'static [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CONTENTS)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| CONTENTS.to_owned())
    }

    fn number(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.array::<1>().map(u8::from_le_bytes)
    }

    fn version(&mut self) -> Result<i64, String> {
        self.array().map(i64::from_le_bytes)
    }

    fn flag(&mut self) -> Result<bool, String> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CONTENTS.to_owned()),
        }
    }

    fn optional<T>(
        &mut self,
        read: fn(&mut Reader) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        if self.flag()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    fn text(&mut self) -> Result<&'static str, String> {
        let length = usize::try_from(self.number()?).map_err(|_| CONTENTS)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| CONTENTS.to_owned())
    }

    fn list<T>(
        &mut self,
        read: fn(&mut Reader) -> Result<T, String>,
    ) -> Result<&'static [T], String> {
        let count = self.number()?;
        let items = (0..count).map(|_| read(self)).collect::<Result<Vec<T>, String>>()?;
        Ok(items.leak())
    }

    fn database(&mut self) -> Result<Catalog, String> {
        let database = self.text()?;
        let versions = match self.byte()? {
            4 => Versions::Int4,
            8 => Versions::Int8,
            _ => return Err(CONTENTS.to_owned()),
        };
        let fingerprint = self.array()?;
        let (migrations, data) = (self.list(Reader::migration)?, self.list(Reader::migration)?);
        let ascend = |all: &[Migration]| {
            all.iter().zip(all.iter().skip(1)).all(|(one, next)| one.version < next.version)
        };
        if !ascend(migrations) || !ascend(data) {
            return Err(CONTENTS.to_owned());
        }
        Ok(Catalog { database, versions, fingerprint, migrations, data })
    }

    fn migration(&mut self) -> Result<Migration, String> {
        Ok(Migration {
            version: self.version()?,
            name: self.text()?,
            checksums: Checksums {
                int4: [self.checksum()?, self.checksum()?],
                int8: [self.checksum()?, self.checksum()?],
            },
            file: self.text()?,
            sql: self.text()?,
            statements: self.number()?,
            down: self.optional(Reader::text)?,
            adopted: self.flag()?,
            directives: self.directives()?,
        })
    }

    fn checksum(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    fn directives(&mut self) -> Result<Directives, String> {
        Ok(Directives {
            no_transaction: self.flag()?,
            foreign_keys: match self.byte()? {
                0 => ForeignKeys::Off,
                1 => ForeignKeys::On,
                2 => ForeignKeys::Deferred,
                3 => ForeignKeys::Enforced,
                _ => return Err(CONTENTS.to_owned()),
            },
            compatible_from: self.optional(Reader::version)?,
            irreversible: self.flag()?,
            batch: self.flag()?,
            needs_space_percent: self.optional(Reader::number)?,
            code_revision: self.optional(Reader::number)?,
            expect: self
                .list(|reader| Ok(Expect { query: reader.text()?, line: reader.number()? }))?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A file with this payload and the right head.
    fn file(payload: &[u8]) -> &'static [u8] {
        let mut numbers = FORMAT.to_le_bytes().to_vec();
        numbers.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
        let crc = crc32(numbers.iter().chain(payload));
        let mut file = [MAGIC.as_slice(), &numbers, &crc.to_le_bytes(), &[0; 12]].concat();
        file.extend(payload);
        file.leak()
    }

    fn text(text: &str) -> Vec<u8> {
        [u32::try_from(text.len()).unwrap().to_le_bytes().as_slice(), text.as_bytes()].concat()
    }

    fn number(number: u32) -> Vec<u8> {
        number.to_le_bytes().to_vec()
    }

    fn migration(version: i64) -> Vec<u8> {
        let head = [
            version.to_le_bytes().to_vec(),
            text("first"),
            vec![7; 32],
            text("notes/V1__first.sql"),
            text("SELECT 1;"),
            number(1),
        ];
        let directives = [
            vec![1],
            text("SELECT 2;"),
            vec![0],
            vec![0, 3, 1],
            1_i64.to_le_bytes().to_vec(),
            vec![1, 0, 0, 0],
        ];
        [head.concat(), directives.concat(), number(1), text("SELECT 1 WHERE 0"), number(2)]
            .concat()
    }

    fn payload(versions: [i64; 2]) -> Vec<u8> {
        let migrations: Vec<u8> = versions.into_iter().flat_map(migration).collect();
        let database = [text("notes"), vec![4], vec![9; 16], number(2), migrations, number(0)];
        [
            text("[databases.notes]"),
            text("migrations/bootmigrate.toml"),
            number(1),
            database.concat(),
        ]
        .concat()
    }

    #[test]
    fn what_was_written_is_read() {
        let read = Embedded::packed(file(&payload([1, 2])), "7").unwrap();
        assert_eq!(
            (read.configuration, read.version, read.databases.len()),
            ("[databases.notes]", "7", 1)
        );
        let migration = read.databases.first().and_then(|catalog| catalog.find(2)).unwrap();
        let directives = migration.directives;
        assert_eq!(
            (migration.down, migration.checksums.int8),
            (Some("SELECT 2;"), [0x0707_0707_0707_0707; 2])
        );
        assert_eq!(
            (directives.foreign_keys, directives.compatible_from, directives.irreversible),
            (ForeignKeys::Enforced, Some(1), true)
        );
        assert_eq!(directives.expect, [Expect { query: "SELECT 1 WHERE 0", line: 2 }]);
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let whole = file(&payload([1, 2]));
        for length in 0..whole.len() {
            let cut: &'static [u8] = whole.get(..length).unwrap();
            assert!(Embedded::packed(cut, "").is_err(), "{length} bytes");
        }
        for place in 0..whole.len() {
            let mut bytes = whole.to_vec();
            bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 0x10);
            // The last bytes of the head are not looked at.
            assert_eq!(
                Embedded::packed(bytes.leak(), "").is_ok(),
                (20..HEAD_BYTES).contains(&place),
                "byte {place}"
            );
        }
        let mut later = file(&payload([1, 2])).to_vec();
        later.iter_mut().skip(8).take(1).for_each(|byte| *byte = 2);
        let numbers = later.iter().skip(8).take(8).chain(later.iter().skip(HEAD_BYTES));
        let crc = crc32(numbers).to_le_bytes();
        later.iter_mut().skip(16).zip(crc).for_each(|(byte, crc)| *byte = crc);
        assert_eq!(
            Embedded::packed(later.leak(), ""),
            Err("it has format 2, and this bootmigrate knows 1".to_owned())
        );
    }

    /// A program with a fault has written the right checksum.
    #[test]
    fn another_shape_is_refused() {
        let good = payload([1, 2]);
        assert_eq!(Embedded::packed(file(&payload([2, 1])), ""), Err(CONTENTS.to_owned()));
        assert_eq!(
            Embedded::packed(file(&[good.clone(), vec![0]].concat()), ""),
            Err(CONTENTS.to_owned())
        );
        for length in 0..good.len() {
            assert_eq!(
                Embedded::packed(file(good.get(..length).unwrap()), ""),
                Err(CONTENTS.to_owned()),
                "{length} bytes"
            );
        }
        // Whatever a byte is, nothing panics, and no count asks for memory that the file does not
        // have.
        for place in 0..good.len() {
            let mut bytes = good.clone();
            bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte = 0xff);
            let _ = Embedded::packed(file(&bytes), "");
        }
    }
}
