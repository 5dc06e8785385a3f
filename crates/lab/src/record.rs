//! Owns what the lab itself knows of the record's bytes: the frozen header of a slot, as
//! `docs/format.md` has it.
//! Promises: from the log alone, which update of the record was durable at each cut.
//! Never calls the device's code.

use crate::firmware::STATE;
use crate::sim::{Change, Effect, Order, Replay, State};

const SLOT_BYTES: usize = 4096;
const HEADER_BYTES: usize = 32;

/// The newest whole update of the record on this disk; 0 for none.
pub fn sequence(state: &State) -> u64 {
    let bytes = state.read_file(&path()).unwrap_or_default();
    bytes.chunks(SLOT_BYTES).filter_map(whole).max().unwrap_or(0)
}

/// For each cut of a log, the newest update that the disk had been asked to make durable, and had.
pub fn synced(initial: &State, log: &[Effect]) -> Vec<u64> {
    let path = path();
    let mut newest = sequence(initial);
    let mut all = vec![newest];
    // Content is durable in both variants alike, and no scenario takes the record's name away.
    let mut replay = Replay::new(initial, Order::Free);
    for effect in log {
        replay.apply(effect);
        if let (Change::Sync { node }, true) = (&effect.change, *effect.path == *path) {
            let bytes = replay.durable.content(*node).map(|content| {
                let mut bytes = vec![0; content.size() as usize];
                content.read(0, &mut bytes);
                bytes
            });
            let found = bytes.unwrap_or_default().chunks(SLOT_BYTES).filter_map(whole).max();
            newest = newest.max(found.unwrap_or(0));
        }
        all.push(newest);
    }
    all
}

fn path() -> String {
    format!("{STATE}/record")
}

/// The sequence of a slot whose CRC fits: magic, format, length, sequence, CRC over these numbers
/// and the payload.
fn whole(slot: &[u8]) -> Option<u64> {
    let number =
        |at: usize| slot.get(at..at + 4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()));
    let (format, length, crc) = (number(8)?, number(12)?, number(24)?);
    let sequence = u64::from_le_bytes(slot.get(16..24)?.try_into().unwrap());
    let payload = slot.get(HEADER_BYTES..HEADER_BYTES.checked_add(length as usize)?)?;
    let mut counted = Vec::with_capacity(16 + payload.len());
    counted.extend(format.to_le_bytes());
    counted.extend(length.to_le_bytes());
    counted.extend(sequence.to_le_bytes());
    counted.extend(payload);
    (slot.starts_with(b"BMRECORD") && crc == remainder(&counted)).then_some(sequence)
}

/// CRC-32 as in Ethernet: reflected, initially and finally inverted.
fn remainder(bytes: &[u8]) -> u32 {
    let migration = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes
        .iter()
        .fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| migration(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remainder_is_the_well_known_one() {
        assert_eq!(remainder(b"123456789"), 0xCBF4_3926);
        assert_eq!(whole(&[0; SLOT_BYTES]), None);
    }
}
