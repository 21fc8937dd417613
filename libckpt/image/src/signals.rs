//! Signal dispositions and pending signals.

use crate::record;
use crate::wire::Malformed;

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

/// `SIGKILL` and `SIGSTOP`, which are never pending for a program that goes on (signal(7)).
const NEVER_BLOCKED: [i32; 2] = [9, 19];

impl Pending {
    /// Its number, with which a `siginfo_t` begins.
    #[must_use]
    pub fn signal(&self) -> i32 {
        let [a, b, c, d, ..] = self.info;
        i32::from_le_bytes([a, b, c, d])
    }

    /// Checks what can be wrong with the signal by itself.
    ///
    /// # Errors
    /// [`Malformed`] names the field.
    pub fn check(&self) -> Result<(), Malformed> {
        let signal = self.signal();
        if (1..=SIGNALS as i32).contains(&signal) && !NEVER_BLOCKED.contains(&signal) {
            Ok(())
        } else {
            Err(Malformed::Field("the number of a pending signal"))
        }
    }
}
