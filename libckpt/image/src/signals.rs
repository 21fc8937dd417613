//! Signal dispositions and pending signals.

use crate::record;

/// Number of signals (`_NSIG`, arch/x86/include/asm/signal.h); signal `n` has index `n - 1`.
pub const SIGNALS: usize = 64;

/// Size of a `siginfo_t`, in bytes (`SI_MAX_SIZE`, include/uapi/asm-generic/siginfo.h).
pub const SIGINFO_SIZE: usize = 128;

record! {
    /// `struct sigaction` of the kernel (arch/x86/include/uapi/asm/signal.h).
    #[derive(Default)]
    #[repr(C)]
    pub struct Action {
        /// Address of the handler, or `SIG_DFL`, `SIG_IGN`.
        pub handler: u64,
        /// `SA_*` flags.
        pub flags: u64,
        /// Address of the code that the handler returns to.
        pub restorer: u64,
        /// Signals blocked while the handler runs.
        pub mask: u64,
    }
}

record! {
    /// Fixed part of the signals note.
    pub struct Actions {
        /// Dispositions of signals 1 to 64.
        pub actions: [Action; SIGNALS],
        /// Number of [`Pending`] records that follow.
        pub pending: u32,
    }
}

record! {
    /// A signal that was blocked and had arrived.
    pub struct Pending {
        /// Id of the thread that it was sent to, at the checkpoint; 0 if it was sent to the process.
        pub tid: i32,
        /// Its `siginfo_t`.
        pub info: [u8; SIGINFO_SIZE],
    }
}
