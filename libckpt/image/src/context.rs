//! Where a thread goes on.

use crate::TASK_SIZE;
use crate::record;
use crate::wire::{Decoder, Malformed};

record! {
    /// General registers, as `getcontext(3)` and a signal frame have them (`gregs`, sys/ucontext.h).
    #[derive(Default)]
    #[repr(C)]
    pub struct Registers {
        /// `r8`
        pub r8: u64,
        /// `r9`
        pub r9: u64,
        /// `r10`
        pub r10: u64,
        /// `r11`
        pub r11: u64,
        /// `r12`
        pub r12: u64,
        /// `r13`
        pub r13: u64,
        /// `r14`
        pub r14: u64,
        /// `r15`
        pub r15: u64,
        /// `rdi`
        pub rdi: u64,
        /// `rsi`
        pub rsi: u64,
        /// `rbp`
        pub rbp: u64,
        /// `rbx`
        pub rbx: u64,
        /// `rdx`
        pub rdx: u64,
        /// `rax`
        pub rax: u64,
        /// `rcx`
        pub rcx: u64,
        /// `rsp`
        pub rsp: u64,
        /// `rip`
        pub rip: u64,
        /// `rflags`
        pub rflags: u64,
    }
}

impl Registers {
    /// All of them zero.
    pub const ZERO: Self = Self {
        r8: 0,
        r9: 0,
        r10: 0,
        r11: 0,
        r12: 0,
        r13: 0,
        r14: 0,
        r15: 0,
        rdi: 0,
        rsi: 0,
        rbp: 0,
        rbx: 0,
        rdx: 0,
        rax: 0,
        rcx: 0,
        rsp: 0,
        rip: 0,
        rflags: 0,
    };
}

record! {
    /// A thread.
    pub struct Context {
        /// Thread id at the checkpoint.
        pub tid: i32,
        /// What `getcontext` saved inside libckpt: where the thread begins in the restored process. The interrupted
        /// program's own registers are in its signal frame. r11 is not brought back, which no returning function keeps.
        pub registers: Registers,
        /// Base address of FS: the thread pointer.
        pub fs_base: u64,
        /// Base address of GS.
        pub gs_base: u64,
        /// Address of the `ucontext_t` in the signal frame.
        pub frame: u64,
    }
}

/// `rflags` bits that user code may set: the arithmetic flags, TF, DF, AC and ID (Intel SDM vol. 1, 3.4.3).
const USER_FLAGS: u64 = 0x0024_0dd5;

impl Context {
    /// Checks that every address is one that user code can have.
    ///
    /// # Errors
    /// [`Malformed`] names the field.
    pub fn check(&self) -> Result<(), Malformed> {
        let addresses = [self.registers.rip, self.registers.rsp, self.frame];
        if addresses
            .iter()
            .any(|address| !(1..TASK_SIZE).contains(address))
        {
            return Err(Malformed::Field("an address in a thread's context"));
        }
        if self.fs_base >= TASK_SIZE || self.gs_base >= TASK_SIZE {
            return Err(Malformed::Field("the FS or GS base of a thread"));
        }
        // Bit 1 is always set, bit 9 (IF) always in user mode.
        if self.registers.rflags & !(USER_FLAGS | 1 << 1 | 1 << 9) != 0 {
            return Err(Malformed::Field("the flags register of a thread"));
        }
        Ok(())
    }
}

/// More threads than this no image has. It is a quarter of all the ids that a kernel can give (`PID_MAX_LIMIT`,
/// include/linux/threads.h).
pub const MAX_THREADS: usize = 1 << 20;

/// Length of a [`Context`] in its note, in bytes.
const SIZE: usize = 4 + 18 * 8 + 3 * 8;

/// The threads of an image: the main thread, then the others in ascending order of their ids.
#[derive(Clone, Copy, Debug)]
pub struct Contexts<'a> {
    /// Records of [`SIZE`] bytes each, at least one.
    raw: &'a [u8],
}

impl<'a> Contexts<'a> {
    /// Reads the content of the note and checks number and order of the threads. `pid` is the process's id.
    ///
    /// # Errors
    /// [`Malformed`] if there are none or too many, or not in their order.
    pub fn read(mut content: Decoder<'a>, pid: i32) -> Result<Self, Malformed> {
        let threads = Self {
            raw: content.bytes(content.remaining())?,
        };
        if !threads.raw.len().is_multiple_of(SIZE) {
            return Err(Malformed::Truncated);
        }
        if !(1..=MAX_THREADS).contains(&threads.len()) {
            return Err(Malformed::Field("the number of threads"));
        }
        let main = threads.main()?.tid;
        if main != pid || main <= 0 {
            return Err(Malformed::Field("the id of the main thread"));
        }
        let mut last = 0;
        for sibling in threads.iter().skip(1) {
            if sibling.tid <= last || sibling.tid == main {
                return Err(Malformed::Field("the id of a thread"));
            }
            last = sibling.tid;
        }
        Ok(threads)
    }

    /// How many there are.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is always the main thread"
    )]
    pub fn len(&self) -> usize {
        self.raw.len() / SIZE
    }

    /// The main thread.
    ///
    /// # Errors
    /// None, once the note was read.
    pub fn main(&self) -> Result<Context, Malformed> {
        self.iter().next().ok_or(Malformed::Truncated)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Context> + Clone + use<'a> {
        // A chunk has exactly the size of a record, so decoding it does not fail.
        self.raw
            .chunks_exact(SIZE)
            .filter_map(|raw| Decoder::new(raw).get().ok())
    }

    /// Whether one of them has the id `tid`.
    #[must_use]
    pub fn has(&self, tid: i32) -> bool {
        let (records, _) = self.raw.as_chunks::<SIZE>();
        let tid_of = |raw: &[u8; SIZE]| i32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]);
        records.split_first().is_some_and(|(main, siblings)| {
            tid_of(main) == tid || siblings.binary_search_by_key(&tid, tid_of).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Encoder;
    use std::vec;
    use std::vec::Vec;

    fn note(tids: &[i32]) -> Vec<u8> {
        let mut buffer = vec![0; tids.len() * SIZE];
        let mut to = Encoder::new(&mut buffer);
        for &tid in tids {
            let context = Context {
                tid,
                registers: Registers::default(),
                fs_base: 0,
                gs_base: 0,
                frame: 0,
            };
            to.put(&context).unwrap();
        }
        assert_eq!(to.len(), tids.len() * SIZE);
        buffer
    }

    fn read(tids: &[i32], pid: i32) -> Result<usize, Malformed> {
        let note = note(tids);
        Contexts::read(Decoder::new(&note), pid).map(|threads| threads.len())
    }

    #[test]
    fn threads_are_found_by_their_ids() {
        let note = note(&[70, 5, 71, 90]);
        let threads = Contexts::read(Decoder::new(&note), 70).unwrap();
        assert!(threads.iter().map(|thread| thread.tid).eq([70, 5, 71, 90]));
        let known: Vec<i32> = (0..100).filter(|&tid| threads.has(tid)).collect();
        assert_eq!(known, [5, 70, 71, 90]);
    }

    #[test]
    fn threads_that_cannot_be_are_refused() {
        assert_eq!(read(&[7], 7), Ok(1));
        assert!(read(&[], 7).is_err(), "none");
        assert!(
            read(&[8, 7], 7).is_err(),
            "the main thread is not the first"
        );
        assert!(read(&[0], 0).is_err(), "no id");
        assert!(read(&[7, 9, 8], 7).is_err(), "not in order");
        assert!(read(&[7, 8, 8], 7).is_err(), "the same twice");
        assert!(read(&[7, 6, 7], 7).is_err(), "the main thread twice");
        assert!(read(&[7, -1], 7).is_err(), "a negative id");
        let cut = &note(&[7, 8])[..SIZE + 4];
        assert!(Contexts::read(Decoder::new(cut), 7).is_err(), "cut");
    }
}
