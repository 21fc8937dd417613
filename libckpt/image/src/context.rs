//! Where a thread goes on.

use crate::TASK_SIZE;
use crate::record;
use crate::wire::Malformed;

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

record! {
    /// A thread. The main thread's record is the first.
    pub struct Context {
        /// Thread id at the checkpoint.
        pub tid: i32,
        /// What `getcontext` saved inside libckpt: where the restored process begins. The interrupted program's own
        /// registers are in its signal frame.
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
