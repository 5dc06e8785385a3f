//! Owns the durable record: two 4 KiB slots of bytes to and from [`Record`], with sequence and CRC.
//! Promises: any 8 KiB of garbage decodes to an answer; what is written is read back equal; format
//! 1 is frozen (`docs/format.md`).
//! Never reads or writes a file.

mod failure;
mod losses;
mod repairs;
mod tokens;

pub use failure::{FailedAt, RecordedFailure, FAILURES_MAX};
pub use losses::Loss;
pub use repairs::FailedTries;

/// Bytes of one slot; the record file holds two.
pub const SLOT_BYTES: usize = 4096;
/// Fingerprints whose counts are kept: two slots of firmware, and the two before them.
pub const FINGERPRINTS_MAX: usize = 4;
/// Tokens remembered, so that a marker that nobody removes is honoured once.
pub const TOKENS_MAX: usize = 8;
/// Bytes of a token; longer ones are cut before they are compared.
pub const TOKEN_BYTES_MAX: usize = 64;
/// Bytes of a reason, or of the words about all losses.
pub const TEXT_BYTES_MAX: usize = 400;

/// The format that this firmware writes.
const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"BMRECORD";
const HEADER_BYTES: usize = 32;

/// 16 bytes that name a catalogue.
pub type Fingerprint = [u8; 16];

/// What one device remembers of one database across boots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// A database with content has stood under this name.
    pub held_data: bool,
    /// The largest operation number ever begun.
    pub last_operation: u64,
    /// The operation that was current at the last `mark-good`; 0 for never.
    pub good_operation: u64,
    /// Begun, and not known to be finished.
    pub open: Option<OpenOperation>,
    /// Most recently used first, at most [`FINGERPRINTS_MAX`].
    pub counts: Vec<Counts>,
    /// Most recent first, at most [`TOKENS_MAX`].
    pub tokens: Vec<String>,
    /// "Full" was met by this fingerprint: this many bytes must be free before it tries again.
    pub needs: Option<Needs>,
    /// Data that was lost and that no run has reported yet, by operation.
    pub losses: Vec<Loss>,
    /// Why the last operation of a catalogue that failed did so; most recent first, at most
    /// [`FAILURES_MAX`].
    pub failures: Vec<RecordedFailure>,
}

/// One dangerous thing, begun by one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOperation {
    /// Its sequence.
    pub number: u64,
    /// What it does.
    pub kind: OperationKind,
    /// Whose operation it is.
    pub fingerprint: Fingerprint,
    /// How often it was started.
    pub starts: u8,
    /// The token that asked for it; empty for none.
    pub token: String,
    /// Why, for the report and for reason.txt.
    pub reason: String,
}

/// What an operation does. The numbers are part of the frozen format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// The transaction mode, forward.
    Upgrade = 1,
    /// A copy that went back by the stored down SQL takes the newer one's place.
    Downgrade = 2,
    /// A first database, built under another name.
    FirstBoot = 3,
    /// A copy is migrated outside a transaction and swapped in.
    MigrateCopy = 4,
    /// A fresh database takes the old one's place.
    ReplaceFresh = 5,
    /// A snapshot takes the old one's place.
    ReplaceSnapshot = 6,
    /// A copy with new indexes takes the old one's place.
    Reindex = 7,
    /// A fresh database at the old one's version, with what could be read of it, takes its place.
    Salvage = 8,
    /// A fresh database with rows of the old one takes its place.
    ReplaceCarried = 9,
    /// Everything goes for good: the database and what was kept of it.
    Wipe = 10,
}

impl OperationKind {
    /// Another database takes the old one's place.
    pub fn replaces(self) -> bool {
        match self {
            OperationKind::ReplaceFresh
            | OperationKind::ReplaceCarried
            | OperationKind::ReplaceSnapshot
            | OperationKind::Reindex
            | OperationKind::Salvage
            | OperationKind::Downgrade => true,
            OperationKind::Upgrade
            | OperationKind::FirstBoot
            | OperationKind::MigrateCopy
            | OperationKind::Wipe => false,
        }
    }

    /// What takes the database's place is made from the live file: one that was written since
    /// makes it out of date.
    pub fn reads_the_live_file(self) -> bool {
        match self {
            OperationKind::Reindex
            | OperationKind::Downgrade
            | OperationKind::ReplaceCarried
            | OperationKind::Salvage => true,
            OperationKind::ReplaceFresh
            | OperationKind::ReplaceSnapshot
            | OperationKind::Upgrade
            | OperationKind::FirstBoot
            | OperationKind::MigrateCopy
            | OperationKind::Wipe => false,
        }
    }

    /// It is counted as a purge.
    pub fn purges(self) -> bool {
        matches!(self, OperationKind::ReplaceFresh | OperationKind::ReplaceCarried)
    }
}

/// Tries of one catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Whose.
    pub fingerprint: Fingerprint,
    /// Migrations that failed.
    pub failed: u8,
    /// Operations that a power cut, a kill or a stop signal ended.
    pub interrupted: u8,
    /// Fresh databases built in place of an old one.
    pub purges: u8,
}

/// Space that was missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Whose.
    pub fingerprint: Fingerprint,
    /// Bytes that must be free.
    pub bytes: u64,
}

impl Record {
    /// The counts of this catalogue; zeros where it was never tried.
    pub fn counts_of(&self, fingerprint: &Fingerprint) -> Counts {
        let known = self.counts.iter().find(|counts| counts.fingerprint == *fingerprint);
        known.cloned().unwrap_or(Counts {
            fingerprint: *fingerprint,
            failed: 0,
            interrupted: 0,
            purges: 0,
        })
    }

    /// Changes the counts of one catalogue and moves it to the front; the least recently used falls
    /// off.
    pub fn change_counts(&mut self, fingerprint: &Fingerprint, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts_of(fingerprint);
        change(&mut counts);
        self.counts.retain(|other| other.fingerprint != *fingerprint);
        self.counts.insert(0, counts);
        while self.counts.len() > FINGERPRINTS_MAX {
            // The bound on purges is the last to be forgotten.
            let expendable = self.counts.iter().skip(1).rposition(|counts| counts.purges == 0);
            self.counts.remove(expendable.map_or(FINGERPRINTS_MAX, |at| at + 1));
        }
    }

    /// Something of this catalogue failed or was interrupted.
    pub fn remembers_tries(&self, fingerprint: &Fingerprint) -> bool {
        let counts = self.counts_of(fingerprint);
        counts.failed > 0
            || counts.interrupted > 0
            || self.failed_repairs(fingerprint) > 0
            || self.failures.iter().any(|failure| failure.fingerprint == *fingerprint)
    }

    /// This catalogue has succeeded: nothing that failed or was interrupted before counts any more.
    pub fn forget_tries(&mut self, fingerprint: &Fingerprint) {
        let own = self.counts.iter_mut().find(|counts| counts.fingerprint == *fingerprint);
        own.into_iter().for_each(|counts| (counts.failed, counts.interrupted) = (0, 0));
        self.forget_failed_repairs(fingerprint);
        self.failures.retain(|failure| failure.fingerprint != *fingerprint);
    }

    /// This catalogue is proven: what it purged before counts no more.
    pub fn forget_purges(&mut self, fingerprint: &Fingerprint) {
        let own = self.counts.iter_mut().find(|counts| counts.fingerprint == *fingerprint);
        own.into_iter().for_each(|counts| counts.purges = 0);
    }

    /// Keeps a failure in place of an earlier one of its catalogue; the oldest falls off.
    pub fn keep_failure(&mut self, failure: RecordedFailure) {
        self.failures.retain(|other| other.fingerprint != failure.fingerprint);
        self.failures.insert(0, failure);
        self.failures.truncate(FAILURES_MAX);
    }
}

/// The text, cut at a character's border so that it fits.
pub fn clip(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while end > 0 && !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// What two slots hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordSlots {
    /// The newer valid slot, and where the next update goes.
    Valid {
        /// What it says.
        record: Box<Record>,
        /// Its update number.
        sequence: u64,
        /// Index (0 or 1) of the slot to write next.
        next_slot: usize,
    },
    /// A slot that another firmware wrote, whole, in a format that this one does not know.
    UnknownFormat(u32),
    /// No slot is whole.
    Nothing,
}

/// Chooses the newer valid slot of a record file's content.
pub fn read_slots(bytes: &[u8]) -> RecordSlots {
    let first = bytes.get(..SLOT_BYTES).map_or(Slot::Bad, read_slot);
    let second = bytes.get(SLOT_BYTES..2 * SLOT_BYTES).map_or(Slot::Bad, read_slot);
    let valid = |record, sequence, next_slot| RecordSlots::Valid { record, sequence, next_slot };
    match (first, second) {
        (Slot::Unknown(format), _) | (_, Slot::Unknown(format)) => {
            RecordSlots::UnknownFormat(format)
        }
        (Slot::Good(a, first), Slot::Good(_, second)) if first >= second => valid(a, first, 1),
        (Slot::Good(..), Slot::Good(b, second)) => valid(b, second, 0),
        (Slot::Good(a, sequence), Slot::Bad) => valid(a, sequence, 1),
        (Slot::Bad, Slot::Good(b, sequence)) => valid(b, sequence, 0),
        (Slot::Bad, Slot::Bad) => RecordSlots::Nothing,
    }
}

enum Slot {
    Good(Box<Record>, u64),
    Unknown(u32),
    Bad,
}

fn read_slot(slot: &[u8]) -> Slot {
    let mut header = Reader { bytes: slot.get(..HEADER_BYTES).unwrap_or(&[]) };
    let parsed = (|| {
        let magic: [u8; 8] = header.array()?;
        Some((magic, header.u32()?, header.u32()?, header.u64()?, header.u32()?))
    })();
    let Some((MAGIC, format, length, sequence, crc)) = parsed else { return Slot::Bad };
    let Some(payload) = slot.get(HEADER_BYTES..HEADER_BYTES.saturating_add(length as usize)) else {
        return Slot::Bad;
    };
    if crc != slot_crc(format, length, sequence, payload) {
        return Slot::Bad;
    }
    if format != FORMAT {
        return Slot::Unknown(format);
    }
    match decode(payload) {
        Some(record) => Slot::Good(Box::new(record), sequence),
        None => Slot::Bad,
    }
}

/// One slot's 4096 bytes.
pub fn write_slot(record: &Record, sequence: u64) -> Vec<u8> {
    let payload = encode(record);
    let length = payload.len() as u32;
    let mut slot = Vec::with_capacity(SLOT_BYTES);
    slot.extend(MAGIC);
    slot.extend(FORMAT.to_le_bytes());
    slot.extend(length.to_le_bytes());
    slot.extend(sequence.to_le_bytes());
    slot.extend(slot_crc(FORMAT, length, sequence, &payload).to_le_bytes());
    slot.resize(HEADER_BYTES, 0);
    slot.extend(payload);
    slot.resize(SLOT_BYTES, 0);
    slot
}

fn slot_crc(format: u32, length: u32, sequence: u64, payload: &[u8]) -> u32 {
    let mut bytes = Vec::with_capacity(16 + payload.len());
    bytes.extend(format.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(payload);
    crc32(&bytes)
}

/// CRC-32/ISO-HDLC, the one of Ethernet and gzip.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let mask = (crc & 1).wrapping_neg();
            crc = (crc >> 1) ^ (0xEDB8_8320 & mask);
        }
    }
    !crc
}

fn encode(record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    out.push(u8::from(record.held_data));
    out.extend(record.last_operation.to_le_bytes());
    out.extend(record.good_operation.to_le_bytes());
    out.push(u8::from(record.open.is_some()));
    if let Some(open) = &record.open {
        out.extend(open.number.to_le_bytes());
        out.push(open.kind as u8);
        out.extend(open.fingerprint);
        out.push(open.starts);
        put_text(&mut out, clip(&open.token, TOKEN_BYTES_MAX));
        put_text(&mut out, clip(&open.reason, TEXT_BYTES_MAX));
    }
    out.push(record.counts.len().min(FINGERPRINTS_MAX) as u8);
    for counts in record.counts.iter().take(FINGERPRINTS_MAX) {
        out.extend(counts.fingerprint);
        out.extend([counts.failed, counts.interrupted, counts.purges]);
    }
    out.push(record.tokens.len().min(TOKENS_MAX) as u8);
    for token in record.tokens.iter().take(TOKENS_MAX) {
        put_text(&mut out, clip(token, TOKEN_BYTES_MAX));
    }
    out.push(u8::from(record.needs.is_some()));
    if let Some(needs) = &record.needs {
        out.extend(needs.fingerprint);
        out.extend(needs.bytes.to_le_bytes());
    }
    losses::put(&mut out, &record.losses);
    failure::put_all(&mut out, &record.failures);
    out
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Before a version that needs more than 32 bits: no other version is negative enough to be this.
const LONG_VERSION: i32 = i32::MIN;

/// 4 bytes, and 8 more where those do not do: format 1 began with 32-bit versions.
fn put_version(out: &mut Vec<u8>, version: i64) {
    match i32::try_from(version) {
        Ok(short) if short != LONG_VERSION => out.extend(short.to_le_bytes()),
        Ok(_) | Err(_) => {
            out.extend(LONG_VERSION.to_le_bytes());
            out.extend(version.to_le_bytes());
        }
    }
}

fn decode(payload: &[u8]) -> Option<Record> {
    let mut reader = Reader { bytes: payload };
    let mut record = Record {
        held_data: reader.flag()?,
        last_operation: reader.u64()?,
        good_operation: reader.u64()?,
        ..Record::default()
    };
    if reader.flag()? {
        record.open = Some(OpenOperation {
            number: reader.u64()?,
            kind: operation_kind(reader.u8()?)?,
            fingerprint: reader.array()?,
            starts: reader.u8()?,
            token: reader.text(TOKEN_BYTES_MAX)?,
            reason: reader.text(TEXT_BYTES_MAX)?,
        });
    }
    for _ in 0..reader.count(FINGERPRINTS_MAX)? {
        record.counts.push(Counts {
            fingerprint: reader.array()?,
            failed: reader.u8()?,
            interrupted: reader.u8()?,
            purges: reader.u8()?,
        });
    }
    for _ in 0..reader.count(TOKENS_MAX)? {
        record.tokens.push(reader.text(TOKEN_BYTES_MAX)?);
    }
    if reader.flag()? {
        record.needs = Some(Needs { fingerprint: reader.array()?, bytes: reader.u64()? });
    }
    record.losses = losses::read(&mut reader)?;
    record.failures = failure::read_all(&mut reader)?;
    Some(record)
}

fn operation_kind(number: u8) -> Option<OperationKind> {
    use OperationKind::{
        Downgrade, FirstBoot, MigrateCopy, Reindex, ReplaceCarried, ReplaceFresh, ReplaceSnapshot,
        Salvage, Upgrade, Wipe,
    };
    let known = [
        Upgrade,
        Downgrade,
        FirstBoot,
        MigrateCopy,
        ReplaceFresh,
        ReplaceSnapshot,
        Reindex,
        Salvage,
        ReplaceCarried,
        Wipe,
    ];
    known.into_iter().find(|kind| *kind as u8 == number)
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }
    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
    fn version(&mut self) -> Option<i64> {
        match self.array().map(i32::from_le_bytes)? {
            LONG_VERSION => self.array().map(i64::from_le_bytes),
            version => Some(i64::from(version)),
        }
    }
    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
    fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
    fn count(&mut self, max: usize) -> Option<usize> {
        let count = usize::from(self.u8()?);
        (count <= max).then_some(count)
    }
    fn text(&mut self, bytes_max: usize) -> Option<String> {
        let length = usize::from(self.array().map(u16::from_le_bytes)?);
        if length > bytes_max || length > self.bytes.len() {
            return None;
        }
        let (text, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
