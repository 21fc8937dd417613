//! What the kernel keeps of a process as a whole.

use crate::record;
use crate::signals::SIGNALS;
use crate::wire::Malformed;
use crate::{PAGE, TASK_SIZE};

/// Number of resource limits (`RLIM_NLIMITS`, include/uapi/asm-generic/resource.h).
pub const LIMITS: usize = 16;

record! {
    /// `struct prctl_mm_map` (include/uapi/linux/prctl.h) without its pointers into our own memory: what `/proc/PID/stat`
    /// says about code, data, heap, stack, arguments and environment.
    pub struct MemoryMap {
        /// Begin of the program's code.
        pub start_code: u64,
        /// End of the program's code.
        pub end_code: u64,
        /// Begin of the program's data.
        pub start_data: u64,
        /// End of the program's data.
        pub end_data: u64,
        /// Begin of the heap.
        pub start_brk: u64,
        /// End of the heap: what `sbrk(0)` returns.
        pub brk: u64,
        /// The stack pointer at the start of the program.
        pub start_stack: u64,
        /// Begin of the argument strings.
        pub arg_start: u64,
        /// End of the argument strings.
        pub arg_end: u64,
        /// Begin of the environment strings.
        pub env_start: u64,
        /// End of the environment strings.
        pub env_end: u64,
    }
}

impl MemoryMap {
    /// The kernel takes addresses of user space only, in this order (`validate_prctl_map_addr` in kernel/sys.c).
    fn is_possible(&self) -> bool {
        let spans = [
            (self.start_data, self.end_data),
            (self.start_brk, self.brk),
            (self.arg_start, self.arg_end),
            (self.env_start, self.env_end),
        ];
        let in_user_space = |address| (PAGE..TASK_SIZE).contains(&address);
        [self.start_code, self.end_code, self.start_stack]
            .into_iter()
            .chain(spans.into_iter().flat_map(|(start, end)| [start, end]))
            .all(in_user_space)
            && self.start_code < self.end_code
            && spans.iter().all(|(start, end)| start <= end)
    }
}

/// Size of an entry of the auxiliary vector, in bytes, and how many of them there are at most: twice as many as any kernel has.
const AUXV_ENTRY: usize = 16;
const AUXV_ENTRIES: usize = 64;

/// [`Process::leads`]: a process group, a session, a session that has a terminal.
pub const LEADS_GROUP: u32 = 1;
/// See [`LEADS_GROUP`].
pub const LEADS_SESSION: u32 = 2;
/// See [`LEADS_GROUP`].
pub const HAS_TERMINAL: u32 = 4;

record! {
    /// Attributes of the process.
    pub struct Process<'a> {
        /// See [`MemoryMap`].
        pub memory: MemoryMap,
        /// The auxiliary vector (`/proc/PID/auxv`).
        pub auxv: &'a [u8],
        /// Name of the main thread, padded with zero bytes (`PR_GET_NAME`).
        pub name: [u8; 16],
        /// `umask(2)`.
        pub umask: u32,
        /// `PR_GET_DUMPABLE`.
        pub dumpable: u32,
        /// `PR_GET_TIMERSLACK` of the main thread, in nanoseconds.
        pub timer_slack: u64,
        /// `PR_GET_PDEATHSIG`: the signal that the process gets when its parent ends, 0 for none.
        pub parent_death_signal: u32,
        /// `PR_GET_CHILD_SUBREAPER`.
        pub subreaper: u32,
        /// Nice value (`getpriority(2)`).
        pub nice: i32,
        /// `/proc/PID/oom_score_adj`.
        pub oom_score_adj: i32,
        /// What the process leads: bit 0 its process group, bit 1 its session, bit 2 its session with a controlling
        /// terminal.
        pub leads: u32,
        /// Working directory.
        pub directory: &'a [u8],
        /// 1 if that has no name any more; [`Self::directory`] is then what the kernel shows of it.
        pub directory_deleted: u32,
        /// Permissions of the working directory, which one without a name gets back, and its
        pub directory_mode: u32,
        /// user and group.
        pub directory_owner: [u32; 2],
        /// Soft and hard value of each resource limit, in the order of `RLIMIT_*`.
        pub limits: [[u64; 2]; LIMITS],
        /// The three interval timers: interval and time left, each in microseconds (`getitimer(2)`).
        pub interval_timers: [[u64; 2]; 3],
        /// The path of the program (`/proc/PID/exe`), for messages and debuggers.
        pub program: &'a [u8],
    }
}

impl Process<'_> {
    /// Checks what can be wrong with the attributes by themselves.
    ///
    /// # Errors
    /// [`Malformed`] names the field.
    pub fn check(&self) -> Result<(), Malformed> {
        if !self.memory.is_possible() {
            return Err(Malformed::Field("the parts of the memory"));
        }
        if !self.auxv.len().is_multiple_of(AUXV_ENTRY)
            || self.auxv.len() > AUXV_ENTRY * AUXV_ENTRIES
        {
            return Err(Malformed::Field("the auxiliary vector"));
        }
        if self.parent_death_signal > SIGNALS as u32 {
            return Err(Malformed::Field("the signal for the parent's end"));
        }
        if self.directory.contains(&0) || self.program.contains(&0) {
            return Err(Malformed::Field("a path of the process"));
        }
        Ok(())
    }
}
