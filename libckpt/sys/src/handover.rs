//! What the restorer tells the restored process.

use ckpt_image::clocks::CLOCKS;

/// Lies in the pad; its address is in `rax` when the restored process begins, where `getcontext` had returned 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Handover {
    /// First address of the pad, which the restored process unmaps.
    pub pad: u64,
    /// Length of the pad in bytes.
    pub pad_length: u64,
    /// Address of the word on which the other threads wait in the pad, a futex: the restored process lets them go by storing 1.
    pub gate: u64,
    /// Address of the `clock_gettime` of the kernel's vdso, if the program's leads to libckpt's from now on; otherwise 0.
    pub clock_gettime: u64,
    /// Address of the kernel's vdso, 0 if there is none.
    pub vdso: u64,
    /// Device and inode of the image, as `/proc/self/maps` has them, if memory of the program is mapped from it; otherwise
    /// zeros.
    pub image: [u64; 2],
    /// What the program is to see beyond the kernel's clocks, as in the image.
    pub offsets: [u64; CLOCKS],
    /// Inode of the user namespace that was made for the process, in which it cannot see all of its groups; 0 if there is none.
    pub user_namespace: u64,
    /// Address of what the program is to find in its environment: strings, each with its NUL.
    pub environment: u64,
    /// Length of that in bytes.
    pub environment_length: u64,
    /// Address of the words that seem to name owners of held locks, each a [`ckpt_image::owners::LockWord`] with the new id of its
    /// thread.
    pub lock_words: u64,
    /// How many of these there are.
    pub lock_word_count: u64,
}
