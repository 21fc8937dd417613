//! CRC32C on the processor's `crc32` instruction (SSE 4.2), and on carry-less multiplication where it is wide.

use core::arch::x86_64::{
    __m256i, __m512i, _mm_crc32_u8, _mm_crc32_u64, _mm256_clmulepi64_epi128, _mm256_loadu_si256,
    _mm256_set_epi64x, _mm256_storeu_si256, _mm256_xor_si256, _mm512_clmulepi64_epi128,
    _mm512_loadu_si512, _mm512_set_epi64, _mm512_storeu_si512, _mm512_ternarylogic_epi64,
    _mm512_xor_si512,
};

use ckpt_image::checksum;

use crate::cpuid::Vectors;

/// Bytes in each of the three streams that are summed side by side: the instruction takes three cycles and one can
/// begin in each, so one stream alone would leave two thirds of the speed unused.
const STREAM: usize = 1024;

/// CRC32C of `bytes`, as [`checksum::crc32c`] computes it.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c_behind(0, bytes)
}

/// CRC32C of what has the CRC32C `sum`, and `bytes` behind it.
#[must_use]
pub fn crc32c_behind(sum: u32, bytes: &[u8]) -> u32 {
    match Vectors::available() {
        Vectors::None => checksum::crc32c_behind(sum, bytes),
        // SAFETY: the processor has SSE 4.2.
        Vectors::Crc32 | Vectors::Avx2 => unsafe { hardware(sum, bytes) },
        // SAFETY: the processor has all of it.
        Vectors::Multiplication => unsafe { folded(sum, bytes) },
        // SAFETY: the processor has all of it.
        Vectors::WideMultiplication => unsafe { folded_wide(sum, bytes) },
    }
}

/// Registers that are folded at one time, so that one multiplication need not wait for another.
const REGISTERS: usize = 4;
/// Bytes in a register, and in all of them.
const REGISTER: usize = size_of::<__m256i>();
const FOLDED: usize = REGISTERS * REGISTER;
const WIDE_REGISTER: usize = size_of::<__m512i>();
const WIDE_FOLDED: usize = REGISTERS * WIDE_REGISTER;

/// Sums by folding ("Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009): 16 bytes at one
/// place have the same sum as 16 others, which are two products of their halves, at a place further behind. So all that was
/// read is kept as the 128 bytes that have its sum, and only those are summed in the end.
#[target_feature(enable = "sse4.2,avx2,pclmulqdq,vpclmulqdq")]
fn folded(sum_before: u32, bytes: &[u8]) -> u32 {
    let (blocks, rest) = bytes.as_chunks::<FOLDED>();
    let Some((first, blocks)) = blocks.split_first() else {
        return hardware(sum_before, bytes);
    };
    let mut sum = load(first);
    // What was summed before is as though the first four bytes were others.
    let before = _mm256_set_epi64x(0, 0, 0, i64::from(!sum_before));
    sum[0] = _mm256_xor_si256(sum[0], before);
    let [low, high] = const { factors_behind(FOLDED) };
    let factors = _mm256_set_epi64x(high, low, high, low);
    for block in blocks {
        for (sum, next) in sum.iter_mut().zip(load(block)) {
            let product = _mm256_xor_si256(
                _mm256_clmulepi64_epi128::<0x00>(*sum, factors),
                _mm256_clmulepi64_epi128::<0x11>(*sum, factors),
            );
            *sum = _mm256_xor_si256(product, next);
        }
    }
    let mut left = [0; FOLDED];
    for (to, sum) in left.as_chunks_mut::<REGISTER>().0.iter_mut().zip(sum) {
        // SAFETY: there is room for one register, of any alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), sum) };
    }
    !behind(behind(0, &left), rest)
}

/// The same with registers of twice the size, which takes half of the time.
#[target_feature(enable = "sse4.2,avx2,pclmulqdq,vpclmulqdq,avx512f")]
fn folded_wide(sum_before: u32, bytes: &[u8]) -> u32 {
    /// The exclusive or of three (Intel SDM vol. 2, VPTERNLOG).
    const XOR_OF_THREE: i32 = 0x96;
    let (blocks, rest) = bytes.as_chunks::<WIDE_FOLDED>();
    let Some((first, blocks)) = blocks.split_first() else {
        return folded(sum_before, bytes);
    };
    let mut sum = load_wide(first);
    let before = _mm512_set_epi64(0, 0, 0, 0, 0, 0, 0, i64::from(!sum_before));
    sum[0] = _mm512_xor_si512(sum[0], before);
    let [low, high] = const { factors_behind(WIDE_FOLDED) };
    let factors = _mm512_set_epi64(high, low, high, low, high, low, high, low);
    for block in blocks {
        for (sum, next) in sum.iter_mut().zip(load_wide(block)) {
            *sum = _mm512_ternarylogic_epi64::<XOR_OF_THREE>(
                _mm512_clmulepi64_epi128::<0x00>(*sum, factors),
                _mm512_clmulepi64_epi128::<0x11>(*sum, factors),
                next,
            );
        }
    }
    let mut left = [0; WIDE_FOLDED];
    let places = left.as_chunks_mut::<WIDE_REGISTER>().0.iter_mut();
    for (to, sum) in places.zip(sum) {
        // SAFETY: there is room for one register, of any alignment.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), sum) };
    }
    !behind(behind(0, &left), rest)
}

#[target_feature(enable = "sse4.2")]
fn hardware(sum_before: u32, bytes: &[u8]) -> u32 {
    let mut crc = u64::from(!sum_before);
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
    !behind(crc as u32, blocks.remainder())
}

/// The sum of what has the sum `crc`, and `bytes` behind it, one word after the other.
#[target_feature(enable = "sse4.2")]
fn behind(crc: u32, bytes: &[u8]) -> u32 {
    let crc = words(bytes).fold(u64::from(crc), |crc, word| _mm_crc32_u64(crc, word));
    let rest = bytes.chunks_exact(8).remainder();
    rest.iter()
        .fold(crc as u32, |crc, &byte| _mm_crc32_u8(crc, byte))
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
    step[0] = POLYNOMIAL;
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

#[target_feature(enable = "avx2")]
fn load(block: &[u8; FOLDED]) -> [__m256i; REGISTERS] {
    let mut registers = block.as_chunks::<REGISTER>().0.iter();
    core::array::from_fn(|_| {
        let bytes = registers.next().unwrap_or(&[0; REGISTER]);
        // SAFETY: the bytes of one register are there; they need no alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    })
}

#[target_feature(enable = "avx512f")]
fn load_wide(block: &[u8; WIDE_FOLDED]) -> [__m512i; REGISTERS] {
    let mut registers = block.as_chunks::<WIDE_REGISTER>().0.iter();
    core::array::from_fn(|_| {
        let bytes = registers.next().unwrap_or(&[0; WIDE_REGISTER]);
        // SAFETY: the bytes of one register are there; they need no alignment.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    })
}

/// What the first and the second half of 16 bytes are multiplied with to be moved behind `bytes` bytes.
const fn factors_behind(bytes: usize) -> [i64; 2] {
    [power_of_x(bytes * 8 + 32), power_of_x(bytes * 8 - 32)]
}

/// The remainder of x to the power of `exponent`, in the order of bits that the sum has; shifted by one, since a product of two
/// reflected numbers is.
const fn power_of_x(exponent: usize) -> i64 {
    let mut power = 1u32 << 31;
    let mut done = 0;
    while done < exponent {
        power = power >> 1 ^ if power & 1 == 1 { POLYNOMIAL } else { 0 };
        done += 1;
    }
    (power as i64) << 1
}

/// Reflected form of the polynomial.
const POLYNOMIAL: u32 = 0x82F6_3B78;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_portable_form() {
        let bytes: Vec<u8> = (0..20_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let vectors = Vectors::available();
        for length in (0..520).chain([1023, 3071, 3072, 3073, 6144, 10_000, 20_000]) {
            let (bytes, expected) = (&bytes[..length], checksum::crc32c(&bytes[..length]));
            assert_eq!(crc32c(bytes), expected, "{length} bytes");
            let (front, back) = bytes.split_at(length / 3);
            assert_eq!(
                crc32c_behind(crc32c(front), back),
                expected,
                "{length} bytes in two"
            );
            if vectors >= Vectors::Crc32 {
                // SAFETY: the processor has SSE 4.2.
                let sum = unsafe { hardware(hardware(0, front), back) };
                assert_eq!(sum, expected, "{length} bytes");
            }
            if vectors >= Vectors::Multiplication {
                // SAFETY: the processor has all of it.
                let sum = unsafe { folded(folded(0, front), back) };
                assert_eq!(sum, expected, "{length} bytes");
            }
        }
    }
}
