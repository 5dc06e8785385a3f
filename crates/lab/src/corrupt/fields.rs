//! Owns damage that knows a format: fields of headers, and changed content whose sums fit again.
//! Promises: the sums are computed here, with no code of the product.
//! Never judges.

use super::situations::Kind;
use crate::sim::hash::Random;

/// Bytes of a page in these situations.
pub const PAGE: usize = 4096;

/// Fields: place and length.
const DATABASE_FIELDS: &[(usize, usize)] = &[
    (0, 16),
    (16, 2),
    (16, 2),
    (18, 1),
    (19, 1),
    (20, 1),
    (21, 1),
    (22, 1),
    (23, 1),
    (24, 4),
    (28, 4),
    (28, 4),
    (32, 4),
    (36, 4),
    (40, 4),
    (44, 4),
    (48, 4),
    (52, 4),
    (56, 4),
    (56, 4),
    (60, 4),
    (64, 4),
    (68, 4),
    (72, 8),
    (92, 4),
    (96, 4),
    (100, 1),
    (101, 2),
    (103, 2),
    (105, 2),
];
const JOURNAL_FIELDS: &[(usize, usize)] =
    &[(0, 8), (8, 4), (8, 4), (12, 4), (16, 4), (16, 4), (20, 4), (24, 4), (512, 4)];
const WAL_FIELDS: &[(usize, usize)] = &[
    (0, 4),
    (4, 4),
    (8, 4),
    (12, 4),
    (16, 4),
    (20, 4),
    (24, 4),
    (28, 4),
    (32, 4),
    (36, 4),
    (40, 4),
];
const RECORD_FIELDS: &[(usize, usize)] =
    &[(0, 8), (8, 4), (12, 4), (16, 8), (24, 4), (28, 4), (32, 1), (4096, 8), (4104, 4), (4112, 8)];

/// Gives a field of the header another number.
pub fn header(bytes: &mut [u8], kind: Kind, random: &mut Random) -> String {
    let fields = match kind {
        Kind::Journal => JOURNAL_FIELDS,
        Kind::Wal => WAL_FIELDS,
        Kind::Record => RECORD_FIELDS,
        Kind::Database | Kind::Snapshot | Kind::Ready | Kind::Staging => DATABASE_FIELDS,
        Kind::SharedMemory | Kind::History | Kind::Quarantine => DATABASE_FIELDS,
    };
    let (at, length) = fields[random.below(fields.len() as u64) as usize];
    let small =
        [0u64, 1, 2, 3, 4, 5, 512, 1024, 4095, 8192, 65536, 0x7fff_ffff, 0xffff_ffff, u64::MAX];
    let number = if random.below(3) == 0 {
        random.draw()
    } else {
        small[random.below(small.len() as u64) as usize]
    };
    let value = number.to_be_bytes();
    for index in 0..length {
        if let Some(byte) = bytes.get_mut(at + index) {
            *byte = value[(8 - length.min(8) + index) % 8];
        }
    }
    format!("{length} bytes at {at} are {number:#x}")
}

/// Changes the record's content in one slot or both, and gives the slot the sum that fits.
pub fn reseal_record(bytes: &mut [u8], random: &mut Random) -> String {
    let mut how = "record with right sums:".to_owned();
    for slot in bytes.chunks_exact_mut(4096) {
        if slot.get(..8) != Some(b"BMRECORD".as_slice()) || random.below(4) == 0 {
            continue;
        }
        let length = u32::from_le_bytes(slot[12..16].try_into().unwrap()) as usize;
        let length = length.min(4096 - 32);
        for _ in 0..=random.below(3) {
            let at = 32 + random.below(length.max(1) as u64) as usize;
            slot[at] = if random.below(2) == 0 { random.below(9) } else { random.draw() } as u8;
            how.push_str(&format!(" {at}={}", slot[at]));
        }
        match random.below(8) {
            0 => slot[16..24].copy_from_slice(&random.draw().to_le_bytes()),
            1 => slot[8..12].copy_from_slice(&(random.below(4) as u32).to_le_bytes()),
            2 => slot[12..16].copy_from_slice(&(random.below(4200) as u32).to_le_bytes()),
            _ => {}
        }
        let length = (u32::from_le_bytes(slot[12..16].try_into().unwrap()) as usize).min(4096 - 32);
        let sum = crc32(&[&slot[8..24], &slot[32..32 + length]].concat());
        slot[24..28].copy_from_slice(&sum.to_le_bytes());
    }
    how
}

fn crc32(bytes: &[u8]) -> u32 {
    let migration = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
    !bytes
        .iter()
        .fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| migration(sum)))
}

/// Changes a frame of the WAL, and gives all frames the sums that fit.
pub fn reseal_wal(bytes: &mut [u8], random: &mut Random) -> String {
    let frame = 24 + PAGE;
    let frames = bytes.len().saturating_sub(32) / frame;
    if frames == 0 {
        return "a WAL without a frame".to_owned();
    }
    let start = 32 + random.below(frames as u64) as usize * frame;
    let (field, length) = [(0, 4), (4, 4), (24, 100), (24, PAGE)][random.below(4) as usize];
    if length == 4 {
        let number =
            [0, 1, 2, 3, 9, 0x7fff_ffff, u32::MAX, random.draw() as u32][random.below(8) as usize];
        bytes[start + field..start + field + 4].copy_from_slice(&number.to_be_bytes());
    } else {
        for _ in 0..=random.below(3) {
            let at = start + field + random.below(length as u64) as usize;
            bytes[at] = random.draw() as u8;
        }
    }
    let big = bytes[3] & 1 == 1;
    let mut sum = wal_sum((0, 0), &bytes[..24], big);
    put_sum(bytes, 24, sum);
    for number in 0..frames {
        let at = 32 + number * frame;
        sum = wal_sum(wal_sum(sum, &bytes[at..at + 8], big), &bytes[at + 24..at + frame], big);
        put_sum(bytes, at + 16, sum);
    }
    format!("frame at {start}, field {field}, with right sums")
}

fn wal_sum((mut one, mut two): (u32, u32), bytes: &[u8], big: bool) -> (u32, u32) {
    let word = |bytes: &[u8]| -> u32 {
        let bytes: [u8; 4] = bytes.try_into().unwrap();
        if big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    };
    for pair in bytes.chunks_exact(8) {
        one = one.wrapping_add(word(&pair[..4])).wrapping_add(two);
        two = two.wrapping_add(word(&pair[4..])).wrapping_add(one);
    }
    (one, two)
}

fn put_sum(bytes: &mut [u8], at: usize, (one, two): (u32, u32)) {
    bytes[at..at + 4].copy_from_slice(&one.to_be_bytes());
    bytes[at + 4..at + 8].copy_from_slice(&two.to_be_bytes());
}
