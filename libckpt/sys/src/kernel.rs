//! Kernel structures that no crate provides, each with the header it comes from.

use ckpt_image::context::Registers;

/// `struct ucontext` of x86-64 up to its signal mask (arch/x86/include/uapi/asm/ucontext.h, sigcontext.h). glibc's
/// `ucontext_t` begins in the same way.
#[repr(C)]
#[derive(Debug)]
pub struct UserContext {
    /// `uc_flags`.
    pub flags: u64,
    /// `uc_link`.
    pub link: u64,
    /// `uc_stack`.
    pub stack: SignalStack,
    /// General registers, in the order of `struct sigcontext`.
    pub registers: Registers,
    /// Code segment selector.
    pub cs: u16,
    /// Padding, once the GS selector.
    pub gs: u16,
    /// Padding, once the FS selector.
    pub fs: u16,
    /// Stack segment selector.
    pub ss: u16,
    /// `err`.
    pub error: u64,
    /// `trapno`.
    pub trap: u64,
    /// `oldmask`.
    pub old_mask: u64,
    /// `cr2`.
    pub fault_address: u64,
    /// `fpstate`: address of the XSAVE area.
    pub xsave: u64,
    /// `reserved1`.
    pub reserved: [u64; 8],
    /// `uc_sigmask`.
    pub mask: u64,
}

const _: () = assert!(size_of::<UserContext>() == 304);

impl UserContext {
    /// What the kernel has noted about the XSAVE area; `None` if there is no more than the legacy part, or nothing.
    ///
    /// # Safety
    /// The frame is one that the kernel has made, and is in memory with its XSAVE area.
    #[must_use]
    pub unsafe fn xsave_note(&self) -> Option<XsaveNote> {
        if self.xsave == 0 {
            return None;
        }
        // SAFETY: the caller answers for the area, which has at least its legacy part, in which the note stands.
        let note = unsafe { *((self.xsave + XSAVE_NOTE_AT) as *const XsaveNote) };
        (note.magic == XSAVE_MAGIC).then_some(note)
    }
}

/// `stack_t` (include/uapi/asm-generic/signal-defs.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalStack {
    /// `ss_sp`.
    pub start: u64,
    /// `ss_flags`.
    pub flags: i32,
    /// Padding.
    pub padding: u32,
    /// `ss_size`, in bytes.
    pub size: u64,
}

const _: () = assert!(size_of::<SignalStack>() == 24);

/// `struct _fpx_sw_bytes` (arch/x86/include/uapi/asm/sigcontext.h): what the kernel notes about the XSAVE area of
/// a signal frame, in the area's bytes 464 to 512.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct XsaveNote {
    /// `FP_XSTATE_MAGIC1` if there is more than the legacy part.
    pub magic: u32,
    /// Size including the magic number that ends the area, in bytes.
    pub extended_size: u32,
    /// Components in the area.
    pub xfeatures: u64,
    /// Size of the area, in bytes.
    pub xsave_size: u32,
    /// Padding.
    pub padding: [u32; 7],
}

const _: () = assert!(size_of::<XsaveNote>() == 48);

/// `FP_XSTATE_MAGIC1`.
const XSAVE_MAGIC: u32 = 0x4650_5853;
/// Offset of [`XsaveNote`] in the XSAVE area, in bytes.
const XSAVE_NOTE_AT: u64 = 464;

/// `struct sigaction` of the kernel, x86-64 (arch/x86/include/uapi/asm/signal.h).
pub use ckpt_image::signals::Action as SignalAction;

/// `siginfo_t` as bytes.
pub type SignalInfo = [u8; ckpt_image::signals::SIGINFO_SIZE];

/// A set of signals: bit `n - 1` is signal `n`.
pub type SignalSet = u64;

/// The set that holds only `signal` (1 to 64).
#[must_use]
pub const fn signal_bit(signal: i32) -> SignalSet {
    1 << (signal - 1)
}
