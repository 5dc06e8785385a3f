//! Owns the numbers of a packed catalogue (docs/format.md): its head, its limits, and the checksum;
//! shared with the build crate.
//! Promises: format 1 never changes; the checksum is that of the record and of gzip.
//! Never reads or writes a file.

/// How a packed catalogue begins.
pub const MAGIC: &[u8; 8] = b"BMCATLOG";
/// The format of what follows.
pub const FORMAT: u32 = 1;
/// Bytes before the payload.
pub const HEAD_BYTES: usize = 32;
/// A larger file is none: the SQL of a device is some kilobytes, and it is kept in memory. The
/// device alone asks.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// CRC-32 (ISO-HDLC) of these bytes, by a table: a quiet boot reads the whole file.
pub fn crc32<'b>(bytes: impl IntoIterator<Item = &'b u8>) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        let place = usize::from(crc.to_le_bytes()[0] ^ byte);
        crc = (crc >> 8) ^ TABLE.get(place).copied().unwrap_or_default();
    }
    !crc
}

/// What a byte adds.
static TABLE: [u32; 256] = table();

#[allow(clippy::indexing_slicing)] // Evaluated when it is compiled.
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut place = 0;
    while place < 256 {
        let mut crc = place as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[place] = crc;
        place += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(super::crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(super::crc32(b""), 0);
    }
}
