//! Words in the program's memory that hold a thread id, and how to find those that seem to because a lock is held.
//!
//! glibc keeps the owner of a recursive, error-checking, robust or priority-inheriting mutex in it, and the writer that
//! holds a read-write lock. A restored thread has a new id, so a lock that was held across the restart would never be
//! given back, or in the wrong way: these words get the new id. They are recognised by the shape of what surrounds them,
//! while the memory is written to the image anyway. Other data can have that shape: to a compiler with tables of small numbers,
//! such as Java's, a thread id is a number like any other. So what was found is only a list of places, and the word gets the new id
//! when somebody uses it as a lock.

use crate::note::Kind;
use crate::objects::Object;
use crate::record;
use crate::wire::Malformed;

record! {
    /// The address of a word whose lower 30 bits hold a thread id (`FUTEX_TID_MASK`, include/uapi/linux/futex.h), which libc,
    /// the kernel or libckpt is known to keep there.
    pub struct OwnerWord {
        /// Its address, a multiple of 4.
        pub address: u64,
    }
}

record! {
    #[repr(C)]
    /// A word that would name the owner of a held lock if it is one.
    pub struct LockWord {
        /// Its address, a multiple of 4.
        pub address: u64,
        /// The id of the thread that it names.
        pub tid: u32,
        /// The id that stands there: that of the same thread at this checkpoint, or before an earlier restart.
        pub value: u32,
    }
}

impl Object<'_> for LockWord {
    const NOTE: Kind = Kind::LockWords;

    fn check(&self) -> Result<(), Malformed> {
        let is_id = |id| id != 0 && id & !TID_MASK == 0;
        if self.address.is_multiple_of(4) && is_id(self.tid) && is_id(self.value) {
            Ok(())
        } else {
            Err(Malformed::Field("the word of a lock"))
        }
    }
}

/// The bits of a futex word that hold a thread id.
pub const TID_MASK: u32 = 0x3fff_ffff;

/// Bytes before and behind the beginning of an owner's word that its lock is recognised by.
const BEFORE: usize = 24;
const BEHIND: usize = 12;

/// Bytes at the end of one piece of memory that must be looked at again together with the piece that follows it.
pub const OVERLAP: usize = BEFORE + 8;

/// Where, behind an owner's word, a mutex has its spins, elision and list (struct_mutex.h), and a read-write lock its elision
/// and padding (struct_rwlock.h): all of them 0. They may lie in a page of zeros that is not looked at.
const ZEROS_OF_MUTEX: [isize; 5] = [12, 16, 20, 24, 28];
const ZEROS_OF_RWLOCK: [isize; 4] = [8, 12, 16, 20];
/// Where the flags of a read-write lock are, which say whom it prefers (`PTHREAD_RWLOCK_PREFER_*_NP`, 0 to 2).
const FLAGS_OF_RWLOCK: isize = 24;

/// Bits of `__kind` of a mutex (nptl/pthreadP.h).
const TYPE: u32 = 3;
const RECURSIVE: u32 = 1;
const ERROR_CHECKING: u32 = 2;
const ROBUST: u32 = 16;
const PRIORITY_INHERITING: u32 = 32;
const PRIORITY_PROTECTING: u32 = 64;
const PROCESS_SHARED: u32 = 128;
const ELISION: u32 = 256;
const NO_ELISION: u32 = 512;
/// All of them.
const KNOWN_KIND: u32 = TYPE
    | ROBUST
    | PRIORITY_INHERITING
    | PRIORITY_PROTECTING
    | PROCESS_SHARED
    | ELISION
    | NO_ELISION;

/// The bits of the lock word of a priority-protecting mutex that hold its ceiling, which is never 0
/// (`PTHREAD_MUTEX_PRIO_CEILING_MASK`).
const CEILING: u32 = 0xfff8_0000;

/// `PTHREAD_RWLOCK_WRPHASE` and `PTHREAD_RWLOCK_WRLOCKED` (nptl/pthread_rwlock_common.c).
const WRITE_LOCKED: u32 = 3;

/// More recursion, or more waiting threads, than this has no lock.
const PLAUSIBLE: u32 = 1 << 20;

/// Memory is looked at in stretches of this many bytes.
pub const STRETCH: usize = 512;

/// Whether a mutex of this `__kind` has its owner's id in its futex word: a robust or priority-inheriting one.
#[must_use]
pub const fn names_owner(kind: u32) -> bool {
    kind & !KNOWN_KIND == 0 && kind & (ROBUST | PRIORITY_INHERITING) != 0
}

/// Whether a mutex of this `__kind` asks for its owner's id at all: ordinary and adaptive ones do not.
#[must_use]
pub const fn knows_owner(kind: u32) -> bool {
    matches!(kind & TYPE, RECURSIVE | ERROR_CHECKING) || kind & (ROBUST | PRIORITY_INHERITING) != 0
}

/// Whether `kind` is that of a mutex which asks for its owner's id.
#[must_use]
pub const fn asks_owner(kind: u32) -> bool {
    kind & !KNOWN_KIND == 0 && knows_owner(kind)
}

/// The ids of threads from the lowest to the highest. Few words are one of them.
#[derive(Clone, Copy, Debug)]
pub struct IdRange {
    /// The lowest.
    pub lowest: u32,
    /// What the highest is more.
    pub width: u32,
}

impl IdRange {
    /// That of ids that ascend; none if there are none.
    fn of(tids: &[u32]) -> Option<Self> {
        let (&lowest, &highest) = tids.first().zip(tids.last())?;
        let width = highest.wrapping_sub(lowest);
        Some(Self { lowest, width })
    }

    /// Whether `word` is in it.
    #[must_use]
    pub fn contains(self, word: u32) -> bool {
        word.wrapping_sub(self.lowest) <= self.width
    }
}

/// Whether an owner's word in a stretch of memory can be in `range`. The portable form; `ckpt-sys` has one that looks at several
/// words at once.
#[must_use]
pub fn may_name_owner(stretch: &[u8; STRETCH], range: IdRange) -> bool {
    let words = stretch.as_chunks().0.iter();
    words.fold(false, |any, word| any | range.contains(owner(word)))
}

/// Calls `found` with the offset in `memory` of every word of a held lock that holds one of `tids`, which ascend, and with that id. `memory`
/// begins at an address that is a multiple of 8. Of its stretches only those are looked at of which `is_worth_it`, a
/// [`may_name_owner`], says so.
pub fn find(
    memory: &[u8],
    tids: &[u32],
    is_worth_it: impl Fn(&[u8; STRETCH], IdRange) -> bool,
    mut found: impl FnMut(usize, u32),
) {
    let Some(range) = IdRange::of(tids) else {
        return;
    };
    let mut look_at = |at: usize, word: &[u8; 8]| {
        let tid = owner(word);
        if !range.contains(tid) {
            return;
        }
        // The shape first: it rules out more than the ids do, and sooner.
        let lock = Lock::around(memory, at, tid, tids.len());
        let Some(lock) = lock.filter(|_| tids.binary_search(&tid).is_ok()) else {
            return;
        };
        if lock == Lock::MutexWithId {
            found(at - 8, tid);
        }
        found(at, tid);
    };
    // Both kinds of locks are aligned to 8 bytes and have the owner at a multiple of 8 bytes.
    let mut look_through = |from: usize, part: &[u8]| {
        for (index, word) in part.as_chunks().0.iter().enumerate() {
            look_at(from + index * 8, word);
        }
    };
    let (stretches, rest) = memory.as_chunks::<STRETCH>();
    for (index, stretch) in stretches.iter().enumerate() {
        if is_worth_it(stretch, range) {
            look_through(index * STRETCH, stretch);
        }
    }
    look_through(memory.len() - rest.len(), rest);
}

/// The first half of what stands at a multiple of 8 bytes.
fn owner(word: &[u8; 8]) -> u32 {
    u32::from_le_bytes([word[0], word[1], word[2], word[3]])
}

/// What an owner's word can belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lock {
    Mutex,
    /// The lock word, 8 bytes before the owner's, holds the id, too.
    MutexWithId,
    ReadWrite,
}

impl Lock {
    /// The lock that the word at `at` is the owner of, by what stands around it, in a process of so many threads.
    fn around(memory: &[u8], at: usize, tid: u32, threads: usize) -> Option<Self> {
        let field = |offset: isize| {
            let bytes = memory.get(at.checked_add_signed(offset)?..)?.get(..4)?;
            Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        match is_mutex(field, tid, threads) {
            Some(true) => Some(Self::MutexWithId),
            Some(false) => Some(Self::Mutex),
            None => is_write_lock(field).then_some(Self::ReadWrite),
        }
    }
}

/// Whether the fields at these offsets are 0, as far as they are known.
fn are_zero(field: impl Fn(isize) -> Option<u32>, offsets: &[isize]) -> bool {
    offsets
        .iter()
        .all(|&offset| field(offset).is_none_or(|value| value == 0))
}

/// Whether the owner at offset 0 is that of a mutex that `tid` holds and that knows it; and if so, whether its lock word
/// holds the id, too.
fn is_mutex(field: impl Fn(isize) -> Option<u32>, tid: u32, threads: usize) -> Option<bool> {
    // struct __pthread_mutex_s (sysdeps/x86/nptl/bits/struct_mutex.h): lock, count, owner, users, kind.
    let (lock, count, users, kind) = (
        field(-8)?,
        field(-4)?,
        field(4)?,
        field(BEHIND as isize - 4)?,
    );
    // Who holds it, and who waits for a condition meanwhile.
    let may_use = match kind & PROCESS_SHARED {
        0 => threads,
        _ => PLAUSIBLE as usize,
    };
    if kind & !KNOWN_KIND != 0 || !(1..=may_use).contains(&(users as usize)) || count >= PLAUSIBLE {
        return None;
    }
    let recursive = kind & TYPE == RECURSIVE;
    if recursive && count == 0 {
        return None;
    }
    if kind & (ROBUST | PRIORITY_INHERITING) != 0 {
        // No elision, no ceiling, and a count of 1 that only recursion raises (`__pthread_mutex_lock_full`). Whatever is less
        // strict takes the bins of malloc for mutexes: pairs of pointers to themselves, whose lower halves can be thread ids.
        let is_counted = count == 1 || recursive && count > 1;
        let has_links = field(16) != Some(0) || field(20) != Some(0);
        let fits = if kind & ROBUST == 0 {
            are_zero(field, &ZEROS_OF_MUTEX)
        } else {
            kind & PROCESS_SHARED != 0 && are_zero(field, &ZEROS_OF_MUTEX[..1]) && has_links
        };
        let is_held = lock & TID_MASK == tid && is_counted;
        return (is_held && fits && kind & (ELISION | PRIORITY_PROTECTING) == 0).then_some(true);
    }
    let (state, ceiling) = (lock & !CEILING, lock & CEILING);
    let is_protecting = kind & PRIORITY_PROTECTING != 0;
    let is_locked = matches!(state, 1 | 2) && (ceiling != 0) == is_protecting;
    // What is only error-checking does not count.
    let knows_owner = recursive || kind & TYPE == ERROR_CHECKING && (count == 0 || is_protecting);
    (is_locked && knows_owner && are_zero(field, &ZEROS_OF_MUTEX)).then_some(false)
}

/// Whether the owner at offset 0 is that of a read-write lock that is held for writing. Giving it back under another id
/// would give back a read lock, and break it.
fn is_write_lock(field: impl Fn(isize) -> Option<u32>) -> bool {
    // struct __pthread_rwlock_arch_t (sysdeps/x86/nptl/bits/struct_rwlock.h): readers, writers, write phase futex, writers'
    // futex, two of padding, current writer, shared.
    let fields = [-(BEFORE as isize), -20, -16, -12, -8, -4, 4].map(&field);
    let [
        Some(readers),
        Some(writers),
        Some(phase),
        Some(futex),
        Some(pad3),
        Some(pad4),
        Some(shared),
    ] = fields
    else {
        return false;
    };
    readers & WRITE_LOCKED == WRITE_LOCKED
        && writers < PLAUSIBLE
        && matches!((phase, futex), (1 | 3, 1 | 3))
        && (pad3, pad4) == (0, 0)
        && shared <= 1
        && field(FLAGS_OF_RWLOCK).is_none_or(|flags| flags <= 2)
        && are_zero(field, &ZEROS_OF_RWLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const TID: u32 = 4711;

    fn offsets<const N: usize>(fields: [u32; N]) -> Vec<usize> {
        let mut memory = [0u8; 64];
        for (at, field) in fields.iter().enumerate() {
            memory[24 + 4 * at..28 + 4 * at].copy_from_slice(&field.to_le_bytes());
        }
        let mut all = Vec::new();
        find(&memory, &[TID], may_name_owner, |at, _| all.push(at));
        all
    }

    #[test]
    fn held_mutexes_are_found() {
        assert_eq!(offsets([1, 3, TID, 1, RECURSIVE]), [32]);
        assert_eq!(offsets([2, 0, TID, 1, ERROR_CHECKING]), [32]);
        let robust = ERROR_CHECKING | ROBUST | PROCESS_SHARED;
        let link = 0x7f00_0000;
        assert_eq!(
            offsets([TID | 1 << 31, 1, TID, 1, robust, 0, link, 1, link, 1]),
            [24, 32]
        );
        assert_eq!(offsets([TID, 1, TID, 1, robust]), [0; 0], "in no list");
        assert_eq!(offsets([TID, 1, TID, 1, PRIORITY_INHERITING]), [24, 32]);
        let protecting = RECURSIVE | PRIORITY_PROTECTING;
        assert_eq!(offsets([1 << 19 | 1, 1, TID, 1, protecting]), [32]);
        let shared = RECURSIVE | PROCESS_SHARED;
        assert_eq!(offsets([1, 1, TID, 9, shared]), [32]);
    }

    /// What Java's heap is full of: a header of 8 bytes whose value is 1, the number of a class, and then fields.
    #[test]
    fn objects_are_no_mutexes() {
        let object = |fields: [u32; 4]| {
            let [second, third, fourth, fifth] = fields;
            let object = [1, 0, TID, second, third, fourth, fifth, 1, 0, TID];
            let memory = object.map(u32::to_le_bytes).concat();
            let mut all = Vec::new();
            find(
                &memory,
                &[TID, TID + 1, TID + 2],
                may_name_owner,
                |at, _| all.push(at),
            );
            all
        };
        assert_eq!(object([2, 2, 0xfa11_4280, 0]), [0; 0], "ArrayList of two");
        assert_eq!(object([1, u32::from(b'B'), 0, 0]), [0; 0], "a string");
        assert_eq!(object([1, 2, 0, 0]), [0; 0], "an array of one number");
        assert_eq!(object([20, 2, 0, 0]), [0; 0], "an array of twenty numbers");
    }

    /// Each bin is a pair of pointers to itself. Where an arena begins at a multiple of 4 GiB, their lower halves are as small as
    /// the ids of threads in a container.
    #[test]
    fn the_bins_of_malloc_are_no_mutexes() {
        let bins: Vec<u32> = (0x70..0x870)
            .step_by(0x10)
            .flat_map(|bin| [bin, 0x7fb9, bin, 0x7fb9])
            .collect();
        let memory = bins.into_iter().flat_map(u32::to_le_bytes);
        let memory: Vec<u8> = memory.collect();
        let tids: Vec<u32> = (1..0x1000).collect();
        find(&memory, &tids, may_name_owner, |at, _| {
            panic!("a mutex at {at}")
        });
    }

    #[test]
    fn a_lock_that_is_held_for_writing_is_found() {
        let offsets = |fields: [u32; 8]| {
            let mut memory = [0u8; 64];
            for (at, field) in fields.iter().enumerate() {
                memory[16 + 4 * at..20 + 4 * at].copy_from_slice(&field.to_le_bytes());
            }
            let mut all = Vec::new();
            find(&memory, &[TID], may_name_owner, |at, _| all.push(at));
            all
        };
        assert_eq!(offsets([3, 0, 1, 1, 0, 0, TID, 0]), [40]);
        assert_eq!(offsets([3 | 2 << 3, 1, 3, 3, 0, 0, TID, 1]), [40]);
        assert_eq!(
            offsets([2, 0, 1, 1, 0, 0, TID, 0]),
            [0; 0],
            "not the phase of a writer"
        );
        assert_eq!(
            offsets([3, 0, 0, 1, 0, 0, TID, 0]),
            [0; 0],
            "contradicting itself"
        );
        assert_eq!(
            offsets([3, 0, 1, 1, 0, 0, TID, 2]),
            [0; 0],
            "neither shared nor not"
        );
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
            offsets([TID + 1, 1, TID, 1, PRIORITY_INHERITING]),
            [0; 0],
            "contradicting itself"
        );
    }

    #[test]
    fn locks_of_several_threads_are_found() {
        let mutex = |tid| {
            let fields = [1, 1, tid, 1, RECURSIVE, 0, 0, 0, 0, 0];
            fields.map(u32::to_le_bytes).concat()
        };
        let owners = [TID - 700, TID - 1, TID, TID + 1, TID + 3, TID + 900];
        // Ids in between that are nobody's, and one that straddles the stretches in which memory is looked at.
        let mut memory: Vec<u8> = owners.into_iter().flat_map(mutex).collect();
        memory.splice(0..0, [0; STRETCH - 56]);
        let found = |tids: &[u32]| {
            let mut all = Vec::new();
            find(&memory, tids, may_name_owner, |at, _| {
                all.push((at - 8 - (STRETCH - 56)) / 40)
            });
            all
        };
        assert_eq!(found(&[TID - 1, TID, TID + 3]), [1, 2, 4]);
        assert_eq!(found(&[TID - 700, TID + 900]), [0, 5]);
        assert_eq!(found(&[0, u32::MAX]), [0; 0]);
        assert_eq!(found(&[]), [0; 0]);
    }

    #[test]
    fn short_memory_is_no_lock() {
        let mutex = [1, 3, TID, 1, RECURSIVE].map(u32::to_le_bytes).concat();
        for length in 0..mutex.len() {
            find(&mutex[..length], &[TID], may_name_owner, |_, _| panic!());
        }
    }
}
