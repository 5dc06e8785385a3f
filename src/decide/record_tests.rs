//! Owns the tests of the record: torn, lost, foreign and full slots.
//! Promises: fails when a byte of the frozen format moves.
//! Never touches a file.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::failure::{FILE_BYTES_MAX, WHAT_BYTES_MAX, WORD_BYTES_MAX};
use super::*;

fn full() -> Record {
    let text = |length: usize| "é".repeat(length / 2);
    let counts = |n: u8| Counts { fingerprint: [n; 16], failed: n, interrupted: 255, purges: 2 };
    Record {
        held_data: true,
        last_operation: u64::MAX,
        good_operation: 7,
        open: Some(OpenOperation {
            number: 9,
            kind: OperationKind::ReplaceFresh,
            fingerprint: [3; 16],
            starts: 2,
            token: text(TOKEN_BYTES_MAX),
            reason: text(TEXT_BYTES_MAX),
        }),
        counts: (1..=4).map(counts).collect(),
        tokens: (0..8).map(|n| format!("{n}{}", "t".repeat(TOKEN_BYTES_MAX - 1))).collect(),
        needs: Some(Needs { fingerprint: [3; 16], bytes: 1 << 40 }),
        losses: vec![Loss { operation: 9, text: text(TEXT_BYTES_MAX) }],
        failures: [3, 4].into_iter().map(failure).collect(),
    }
}

fn failure(n: u8) -> RecordedFailure {
    let text = |length: usize| "é".repeat(length / 2);
    RecordedFailure {
        operation: 8,
        fingerprint: [n; 16],
        class: text(WORD_BYTES_MAX),
        from: Some(-1),
        target: i64::from(i32::MAX),
        place: Some(FailedAt { file: text(FILE_BYTES_MAX), version: 7, line: u32::MAX, column: 1 }),
        firmware: text(WORD_BYTES_MAX),
        what: text(WHAT_BYTES_MAX),
    }
}

fn file(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, second].concat()
}

const EMPTY: [u8; SLOT_BYTES] = [0; SLOT_BYTES];

#[track_caller]
fn check(bytes: &[u8], expected: Option<(&Record, u64, usize)>) {
    match (read_slots(bytes), expected) {
        (RecordSlots::Valid { record, sequence, next_slot }, Some((wanted, number, slot))) => {
            assert_eq!((&*record, sequence, next_slot), (wanted, number, slot));
        }
        (RecordSlots::Nothing, None) => {}
        (found, wanted) => panic!("found {found:?}, wanted {wanted:?}"),
    }
}

#[test]
fn what_is_written_is_read_back_even_when_everything_is_full() {
    let record = full();
    let slot = write_slot(&record, 5);
    assert_eq!(slot.len(), SLOT_BYTES);
    check(&file(&slot, &EMPTY), Some((&record, 5, 1)));
    check(&file(&EMPTY, &slot), Some((&record, 5, 0)));
}

#[test]
fn a_longer_failure_is_cut_between_two_characters_and_an_unknown_version_stays_unknown() {
    let short = RecordedFailure { from: None, place: None, ..failure(3) };
    let long = RecordedFailure {
        what: format!("{}é", short.what),
        firmware: format!("{}\u{1F600}", short.firmware),
        ..short.clone()
    };
    let record = |failure| Record { failures: vec![failure], ..full() };
    check(&file(&write_slot(&record(long), 5), &EMPTY), Some((&record(short), 5, 1)));
}

#[test]
fn versions_of_64_bits_are_read_back_even_when_everything_is_full() {
    for version in [
        0,
        -1,
        i64::from(i32::MAX),
        i64::from(i32::MAX) + 1,
        i64::from(i32::MIN),
        20_240_101_120_000,
        i64::MAX,
        i64::MIN,
    ] {
        let mut record = full();
        for failure in &mut record.failures {
            (failure.from, failure.target) = (Some(version), version);
            failure.place.iter_mut().for_each(|place| place.version = version);
        }
        let slot = write_slot(&record, 5);
        assert_eq!(slot.len(), SLOT_BYTES);
        check(&file(&slot, &EMPTY), Some((&record, 5, 1)));
    }
}

#[test]
fn every_loss_is_read_back_with_its_operation_and_a_share_of_the_words() {
    let loss = |operation, text: &str| Loss { operation, text: text.to_owned() };
    let read = |losses: &[Loss]| {
        let record = Record { losses: losses.to_vec(), ..full() };
        match read_slots(&file(&write_slot(&record, 5), &EMPTY)) {
            RecordSlots::Valid { record, .. } => record.losses,
            other => panic!("{other:?}"),
        }
    };
    let short = [loss(2, "some rows of a"), loss(4, "3 rows of k; b"), loss(9, "")];
    assert_eq!(read(&short), short);
    // A table may have any name, and none makes a loss of it.
    for name in ["a; operation 1: b", "a; operation 3: b", "a; operation x: b"] {
        let found = read(&[loss(2, name), loss(9, "c")]);
        assert_eq!(found, [loss(2, &name.replace(';', ",")), loss(9, "c")]);
    }
    assert_eq!(read(&[loss(2, ""), loss(3, "b")]), [loss(2, ""), loss(3, "b")]);
    assert_eq!(read(&[]), []);
    // Too long together: each keeps its beginning.
    let long = (1..=5).map(|n| loss(n, &format!("{n}{}", "x".repeat(300)))).collect::<Vec<_>>();
    let kept = read(&long);
    assert_eq!(kept.len(), long.len());
    for (kept, whole) in kept.iter().zip(&long) {
        assert_eq!(kept.operation, whole.operation);
        assert!(kept.text.len() > 50 && whole.text.starts_with(&kept.text), "{kept:?}");
    }
}

#[test]
fn a_failure_is_kept_for_each_slot_and_the_oldest_falls_off() {
    let mut record = full();
    record.keep_failure(RecordedFailure { operation: 10, ..failure(3) });
    assert_eq!(record.failures, [RecordedFailure { operation: 10, ..failure(3) }, failure(4)]);
    record.keep_failure(RecordedFailure { operation: 11, ..failure(5) });
    assert_eq!(
        record.failures,
        [
            RecordedFailure { operation: 11, ..failure(5) },
            RecordedFailure { operation: 10, ..failure(3) }
        ]
    );
}

#[test]
fn the_newer_slot_counts_and_the_older_one_is_written_next() {
    let (old, new) = (Record::default(), full());
    check(&file(&write_slot(&new, 6), &write_slot(&old, 5)), Some((&new, 6, 1)));
    check(&file(&write_slot(&old, 5), &write_slot(&new, 6)), Some((&new, 6, 0)));
}

#[test]
fn a_torn_update_leaves_the_slot_before_it() {
    let (old, new) = (Record::default(), full());
    let before = file(&write_slot(&old, 5), &write_slot(&old, 4));
    for cut in (0..SLOT_BYTES).step_by(512) {
        let mut torn = before.clone();
        torn[SLOT_BYTES..SLOT_BYTES + cut].copy_from_slice(&write_slot(&new, 6)[..cut]);
        match read_slots(&torn) {
            RecordSlots::Valid { record, sequence: 5, .. } => assert_eq!(*record, old),
            // The payload lies in the first sectors: once those are there, the update is whole.
            RecordSlots::Valid { record, sequence: 6, .. } => assert_eq!(*record, new),
            other => panic!("after {cut} bytes: {other:?}"),
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let slot = write_slot(&full(), 5);
    let payload = u32::from_le_bytes([slot[12], slot[13], slot[14], slot[15]]) as usize;
    // Of the payload one bit of each byte: the sum finds every single one, or none.
    let of_payload = (HEADER_BYTES..HEADER_BYTES + payload).map(|byte| byte * 8 + byte % 8);
    for bit in (0..HEADER_BYTES * 8).chain(of_payload) {
        // Bytes 28..32 of the header are reserved and not part of the sum.
        if (28..32).contains(&(bit / 8)) {
            continue;
        }
        let mut bad = slot.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        check(&file(&bad, &EMPTY), None);
    }
}

#[test]
fn a_whole_slot_of_a_newer_format_is_not_garbage() {
    let payload = b"whatever a later firmware writes";
    let mut slot = write_slot(&full(), 5);
    slot[8..12].copy_from_slice(&2u32.to_le_bytes());
    slot[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    slot[HEADER_BYTES..HEADER_BYTES + payload.len()].copy_from_slice(payload);
    let crc = slot_crc(2, payload.len() as u32, 5, payload);
    slot[24..28].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(read_slots(&file(&slot, &EMPTY)), RecordSlots::UnknownFormat(2));
    assert_eq!(read_slots(&file(&write_slot(&full(), 4), &slot)), RecordSlots::UnknownFormat(2));
}

#[test]
fn short_files_and_lying_lengths_are_nothing() {
    for bytes in [0, 1, 31, 32, 4095, 4096, 8191] {
        check(&vec![0; bytes], None);
    }
    let mut slot = write_slot(&full(), 5);
    slot[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    check(&file(&slot, &EMPTY), None);
}

#[test]
fn the_sum_is_the_standard_one() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
}

#[test]
fn format_1_is_frozen() {
    let slot = write_slot(&full(), 5);
    assert_eq!(&slot[..8], b"BMRECORD");
    assert_eq!(slot[8..12], 1u32.to_le_bytes());
    // The sum over a full record: it changes when anything in the format moves.
    assert_eq!(slot[24..28], FROZEN_CRC.to_le_bytes());
}
const FROZEN_CRC: u32 = 0xB3A7_90D5;

#[test]
fn counts_belong_to_a_fingerprint_and_the_oldest_falls_off() {
    let mut record = Record::default();
    for n in 1..=5 {
        record.change_counts(&[n; 16], |counts| counts.failed = n);
    }
    assert_eq!(record.counts.len(), FINGERPRINTS_MAX);
    assert_eq!(record.counts_of(&[1; 16]).failed, 0);
    assert_eq!(record.counts_of(&[2; 16]).failed, 2);
    assert_eq!(record.counts_of(&[5; 16]).failed, 5);
}

#[test]
fn a_token_is_known_once_it_was_remembered_and_the_ninth_pushes_out_the_first() {
    let mut record = Record::default();
    let tokens: Vec<String> = (0..9).map(|n| format!("{}{n}", "x".repeat(10))).collect();
    tokens.iter().for_each(|token| record.remember_token(token));
    assert!(!record.knows_token(&tokens[0]));
    assert!(tokens[1..].iter().all(|token| record.knows_token(token)));
}

/// A run that lacked room takes back what it counted, of its own catalogue alone; what an operator
/// had it forget is not brought back.
#[test]
fn what_failed_in_a_run_is_taken_back() {
    let (ours, other) = ([1; 16], [2; 16]);
    let counted = |record: &Record| {
        let failed = |whose| record.counts_of(whose).failed;
        (failed(&ours), record.failed_repairs(&ours), failed(&other))
    };
    let mut record = Record::default();
    record.count_failed(&ours);
    record.count_failed(&other);
    record.count_failed_repair(&ours);
    let before = record.failed(&ours);
    assert_eq!(counted(&record), (1, 1, 1));
    for _ in 0..2 {
        record.count_failed(&ours);
        record.count_failed(&other);
        record.count_failed_repair(&ours);
    }
    assert_eq!(counted(&record), (3, 3, 3));
    record.take_back_failed(&ours, before);
    assert_eq!((counted(&record), record.failed(&ours)), ((1, 1, 3), before));
    record.forget_tries(&ours);
    record.take_back_failed(&ours, before);
    assert_eq!(counted(&record), (0, 0, 3));
}
