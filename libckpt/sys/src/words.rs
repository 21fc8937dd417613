//! Looks for words in memory, several at once.

use core::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_cmpeq_epi32, _mm256_loadu_si256, _mm256_min_epu32,
    _mm256_or_si256, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_sub_epi32,
    _mm256_testz_si256,
};

use ckpt_image::owners::{self, IdRange, STRETCH};

use crate::cpuid::Vectors;

const REGISTER: usize = size_of::<__m256i>();

/// Whether an owner's word in a stretch of memory can be in `range`, as [`owners::may_name_owner`] says it.
#[must_use]
pub fn may_name_owner(stretch: &[u8; STRETCH], range: IdRange) -> bool {
    if Vectors::available() < Vectors::Avx2 {
        return owners::may_name_owner(stretch, range);
    }
    // SAFETY: the processor has AVX2.
    unsafe { may_name_owner_avx2(stretch, range) }
}

#[target_feature(enable = "avx2")]
fn may_name_owner_avx2(stretch: &[u8; STRETCH], range: IdRange) -> bool {
    let lowest = _mm256_set1_epi32(range.lowest.cast_signed());
    let width = _mm256_set1_epi32(range.width.cast_signed());
    let mut any = _mm256_setzero_si256();
    for bytes in stretch.as_chunks::<REGISTER>().0 {
        // SAFETY: the bytes of one register are there; they need no alignment.
        let words = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        let above = _mm256_sub_epi32(words, lowest);
        // There is no comparison of unsigned numbers; what is not above the width is the smaller one of both.
        let contained = _mm256_cmpeq_epi32(_mm256_min_epu32(above, width), above);
        any = _mm256_or_si256(any, contained);
    }
    // Every other word is one that can be an owner's.
    let owners = _mm256_set1_epi64x(u32::MAX.into());
    _mm256_testz_si256(_mm256_and_si256(any, owners), owners) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_portable_form() {
        let ranges = [
            (4711, 0),
            (4711, 300),
            (0, u32::MAX),
            (u32::MAX - 5, 5),
            (1 << 31, 1),
        ];
        for (lowest, width) in ranges {
            let range = IdRange { lowest, width };
            for word in [
                0,
                1,
                lowest,
                lowest.wrapping_sub(1),
                lowest + width,
                (lowest + width).wrapping_add(1),
            ] {
                for at in (0..STRETCH).step_by(4) {
                    let mut stretch = [0xa5; STRETCH];
                    stretch[at..at + 4].copy_from_slice(&word.to_le_bytes());
                    assert_eq!(
                        may_name_owner(&stretch, range),
                        owners::may_name_owner(&stretch, range),
                        "{word} at {at} in {range:?}"
                    );
                }
            }
        }
    }
}
