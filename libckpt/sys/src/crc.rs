//! CRC32C on the processor's `crc32` instruction (SSE 4.2).

use core::arch::x86_64::_mm_crc32_u64;

use ckpt_image::checksum;

use crate::cpuid;

/// Bytes in each of the three streams that are summed side by side: the instruction takes three cycles and one can
/// begin in each, so one stream alone would leave two thirds of the speed unused.
const STREAM: usize = 1024;

/// CRC32C of `bytes`, as [`checksum::crc32c`] computes it.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    if !cpuid::has_sse42() {
        return checksum::crc32c(bytes);
    }
    // SAFETY: the processor has SSE 4.2.
    unsafe { hardware(bytes) }
}

#[target_feature(enable = "sse4.2")]
fn hardware(bytes: &[u8]) -> u32 {
    let mut crc = u64::from(!0u32);
    let mut blocks = bytes.chunks_exact(3 * STREAM);
    for block in &mut blocks {
        let (first, rest) = block.split_at(STREAM);
        let (second, third) = rest.split_at(STREAM);
        let (mut a, mut b, mut c) = (crc, 0, 0);
        for ((x, y), z) in words(first).zip(words(second)).zip(words(third)) {
            a = _mm_crc32_u64(a, x);
            b = _mm_crc32_u64(b, y);
            c = _mm_crc32_u64(c, z);
        }
        // CRCs are linear: a stream's sum, moved behind the zeros that stand for the next stream, adds up by xor.
        let ab = behind_stream(a as u32) ^ b as u32;
        crc = u64::from(behind_stream(ab) ^ c as u32);
    }
    let rest = blocks.remainder();
    for word in words(rest) {
        crc = _mm_crc32_u64(crc, word);
    }
    let mut crc = crc as u32;
    for &byte in rest.chunks_exact(8).remainder() {
        crc = core::arch::x86_64::_mm_crc32_u8(crc, byte);
    }
    !crc
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks_exact(8).map(|raw| {
        let mut word = [0; 8];
        word.copy_from_slice(raw);
        u64::from_le_bytes(word)
    })
}

/// The effect on a CRC of [`STREAM`] zero bytes: a linear map, tabled byte by byte of the CRC.
static BEHIND_STREAM: [[u32; 256]; 4] = behind_stream_table();

fn behind_stream(crc: u32) -> u32 {
    let [a, b, c, d] = crc.to_le_bytes();
    BEHIND_STREAM[0][a as usize]
        ^ BEHIND_STREAM[1][b as usize]
        ^ BEHIND_STREAM[2][c as usize]
        ^ BEHIND_STREAM[3][d as usize]
}

const fn behind_stream_table() -> [[u32; 256]; 4] {
    // The image of each single bit under one zero bit, squared until it stands for all the zero bits of a stream.
    let mut step = [0u32; 32];
    let mut bit = 1;
    step[0] = 0x82F6_3B78;
    while bit < 32 {
        step[bit] = 1 << (bit - 1);
        bit += 1;
    }
    let mut zero_bits = 1;
    while zero_bits < STREAM * 8 {
        let mut squared = [0u32; 32];
        let mut bit = 0;
        while bit < 32 {
            squared[bit] = apply(&step, step[bit]);
            bit += 1;
        }
        step = squared;
        zero_bits *= 2;
    }
    let mut table = [[0u32; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut position = 0;
        while position < 4 {
            table[position][byte] = apply(&step, (byte as u32) << (8 * position));
            position += 1;
        }
        byte += 1;
    }
    table
}

const fn apply(map: &[u32; 32], value: u32) -> u32 {
    let mut result = 0;
    let mut bit = 0;
    while bit < 32 {
        if value >> bit & 1 == 1 {
            result ^= map[bit];
        }
        bit += 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_portable_form() {
        let bytes: Vec<u8> = (0..20_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for length in (0..64).chain([1023, 3071, 3072, 3073, 6144, 10_000, 20_000]) {
            assert_eq!(
                crc32c(&bytes[..length]),
                checksum::crc32c(&bytes[..length]),
                "{length} bytes"
            );
        }
    }
}
