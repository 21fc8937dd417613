//! Words in the program's memory that hold a thread id because a mutex is held.
//!
//! glibc keeps the owner of a recursive, error-checking, robust or priority-inheriting mutex in it. A restored thread has
//! a new id, so a mutex that was held across the restart would never be given back: these words get the new id. They are
//! recognised by the shape of what surrounds them, while the memory is written to the image anyway.

use crate::record;

record! {
    /// The address of one such word, whose lower 30 bits hold a thread id (`FUTEX_TID_MASK`, include/uapi/linux/futex.h).
    pub struct OwnerWord {
        /// Its address, a multiple of 4.
        pub address: u64,
    }
}

/// The bits of a futex word that hold a thread id.
pub const TID_MASK: u32 = 0x3fff_ffff;

/// Bytes of a mutex that its shape is recognised by.
pub const SHAPE_SIZE: usize = 20;

/// Bits of `__kind` (nptl/pthreadP.h).
const TYPE: u32 = 3;
const RECURSIVE: u32 = 1;
const ERROR_CHECKING: u32 = 2;
const ROBUST: u32 = 16;
const PRIORITY_INHERITING: u32 = 32;
/// Those, and priority-protecting, process-shared, and the two about lock elision.
const KNOWN_KIND: u32 = TYPE | ROBUST | PRIORITY_INHERITING | 64 | 128 | 256 | 512;

/// More recursion, or more waiting threads, than this has no mutex.
const PLAUSIBLE: u32 = 1 << 20;

/// Calls `found` with the offset in `memory` of every word of a held mutex that holds `tid`. `memory` begins at an address
/// that is a multiple of 8.
pub fn find(memory: &[u8], tid: u32, mut found: impl FnMut(usize)) {
    // struct __pthread_mutex_s: lock, count, owner, users, kind (sysdeps/x86/nptl/bits/struct_mutex.h), 8-byte aligned.
    const OWNER: usize = 8;
    let last = memory.len().saturating_sub(SHAPE_SIZE - 1);
    let wanted = u64::from(tid);
    let mut start = 0;
    while start < last {
        // One comparison for nearly every place: the owner is the lower half of the second word.
        if word(memory, start + OWNER) & 0xffff_ffff == wanted
            && let Some(lock_holds_tid) = shape(&memory[start..start + SHAPE_SIZE], tid)
        {
            if lock_holds_tid {
                found(start);
            }
            found(start + OWNER);
        }
        start += 8;
    }
}

fn word(memory: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&memory[at..at + 8]);
    u64::from_le_bytes(raw)
}

/// Whether `bytes` look like a mutex that `tid` holds and that knows it; and if so, whether its lock word holds the id, too.
fn shape(bytes: &[u8], tid: u32) -> Option<bool> {
    let field =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (lock, count, owner, users, kind) = (field(0), field(4), field(8), field(12), field(16));
    if owner != tid
        || kind & !KNOWN_KIND != 0
        || !(1..PLAUSIBLE).contains(&users)
        || count >= PLAUSIBLE
    {
        return None;
    }
    let recursive = kind & TYPE == RECURSIVE;
    if recursive && count == 0 {
        return None;
    }
    if kind & (ROBUST | PRIORITY_INHERITING) != 0 {
        return (lock & TID_MASK == tid).then_some(true);
    }
    let knows_owner = recursive || kind & TYPE == ERROR_CHECKING;
    (knows_owner && matches!(lock, 1 | 2)).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const TID: u32 = 4711;

    fn offsets(fields: [u32; 5]) -> Vec<usize> {
        let mut memory = [0u8; 64];
        for (at, field) in fields.iter().enumerate() {
            memory[24 + 4 * at..28 + 4 * at].copy_from_slice(&field.to_le_bytes());
        }
        let mut all = Vec::new();
        find(&memory, TID, |at| all.push(at));
        all
    }

    #[test]
    fn held_mutexes_are_found() {
        assert_eq!(offsets([1, 3, TID, 1, RECURSIVE]), [32]);
        assert_eq!(offsets([2, 0, TID, 1, ERROR_CHECKING]), [32]);
        assert_eq!(
            offsets([TID | 1 << 31, 1, TID, 1, ERROR_CHECKING | ROBUST]),
            [24, 32]
        );
        assert_eq!(offsets([TID, 1, TID, 1, PRIORITY_INHERITING]), [24, 32]);
    }

    #[test]
    fn other_things_are_left_alone() {
        assert_eq!(
            offsets([1, 3, TID + 1, 1, RECURSIVE]),
            [0; 0],
            "somebody else's"
        );
        assert_eq!(
            offsets([1, 0, TID, 1, 0]),
            [0; 0],
            "an ordinary mutex does not ask who holds it"
        );
        assert_eq!(offsets([0, 3, TID, 1, RECURSIVE]), [0; 0], "not locked");
        assert_eq!(offsets([1, 3, TID, 0, RECURSIVE]), [0; 0], "no user");
        assert_eq!(offsets([1, 3, TID, 1, 4]), [0; 0], "no kind of mutex");
        assert_eq!(
            offsets([TID + 1, 1, TID, 1, ROBUST]),
            [0; 0],
            "contradicting itself"
        );
    }

    #[test]
    fn short_memory_is_no_mutex() {
        for length in 0..SHAPE_SIZE {
            find(&[0xff; SHAPE_SIZE][..length], TID, |_| panic!());
        }
    }
}
