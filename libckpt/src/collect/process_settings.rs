//! Settings of the process that an image does not have: a restored process makes them for itself.
//!
//! Async-signal-safe: see `signal`.

use ckpt_sys::bytes::hex;
use ckpt_sys::syscall::call;
use ckpt_sys::{Line, calls, files};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;

use super::process::Dumpable;
use crate::signal::Owned;

/// include/uapi/linux/prctl.h
const PR_GET_THP_DISABLE: u32 = 42;
const PR_GET_MEMORY_MERGE: u32 = 68;

/// `MEMBARRIER_CMD_GET_REGISTRATIONS` (include/uapi/linux/membarrier.h), since Linux 6.3.
const GET_REGISTRATIONS: usize = 1 << 9;
/// `MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED`: what is registered for if anything is, and harms nobody who is not.
const PRIVATE_EXPEDITED: usize = 1 << 4;

/// Which memory a core file of the kernel's has (core(5)).
const CORE_FILTER: &core::ffi::CStr = c"/proc/self/coredump_filter";

/// What a kernel does not know is noted as what it is by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProcessSettings {
    /// `PR_SET_THP_DISABLE`: bit 0, and the flag as it is given.
    no_huge_pages: usize,
    /// `PR_SET_MEMORY_MERGE`.
    merges_pages: usize,
    /// `PR_SET_MDWE`.
    no_new_code: usize,
    /// The commands of membarrier(2) for which the process is registered.
    barriers: usize,
    core_filter: Option<u64>,
}

static SETTINGS: Owned<ProcessSettings> = Owned::new(ProcessSettings {
    no_huge_pages: 0,
    merges_pages: 0,
    no_new_code: 0,
    barriers: 0,
    core_filter: None,
});

/// Notes them for a restored process.
pub fn collect() {
    // SAFETY: we run on libckpt's stack.
    unsafe { *SETTINGS.get() = ProcessSettings::now() };
}

/// Whether the process is to have no huge pages.
pub fn has_no_huge_pages() -> bool {
    // SAFETY: the option takes no address.
    unsafe { calls::prctl(PR_GET_THP_DISABLE, [0; 4]) }.is_ok_and(|set| set == 1)
}

/// Makes them in a restored process, as the last thing of all: from then on memory may not be made executable any more.
pub fn restore() {
    // SAFETY: we run on libckpt's stack.
    unsafe { SETTINGS.get() }.make();
}

impl ProcessSettings {
    fn now() -> Self {
        // SAFETY: these options take no address, and neither does the call.
        let (option, barriers) = unsafe {
            let option = |option| calls::prctl(option, [0; 4]).unwrap_or(0);
            (option, call(n::__NR_membarrier, [GET_REGISTRATIONS, 0, 0]))
        };
        let filter: Line<16> = files::read_small(CORE_FILTER).unwrap_or_default();
        Self {
            no_huge_pages: option(PR_GET_THP_DISABLE),
            merges_pages: option(PR_GET_MEMORY_MERGE),
            no_new_code: option(p::PR_GET_MDWE),
            barriers: barriers.unwrap_or(PRIVATE_EXPEDITED),
            core_filter: hex(filter.as_bytes().trim_ascii()),
        }
    }

    /// What the kernel does not know it refuses.
    fn make(&self) {
        if let Some(filter) = self.core_filter {
            set_core_filter(filter);
        }
        for command in (0..usize::BITS).map(|bit| 1 << bit) {
            if self.barriers & command != 0 {
                // SAFETY: the call takes no address.
                let _ = unsafe { call(n::__NR_membarrier, [command, 0, 0]) };
            }
        }
        let (no_huge_pages, flags) = (self.no_huge_pages & 1, self.no_huge_pages & !1);
        for (option, arguments) in [
            (p::PR_SET_THP_DISABLE, [no_huge_pages, flags, 0, 0]),
            (p::PR_SET_MEMORY_MERGE, [self.merges_pages, 0, 0, 0]),
            (p::PR_SET_MDWE, [self.no_new_code, 0, 0, 0]),
        ] {
            // SAFETY: these options take numbers.
            let _ = unsafe { calls::prctl(option, arguments) };
        }
    }
}

/// Where the process cannot be dumped, the file is root's (proc_pid(5)).
fn set_core_filter(filter: u64) {
    let _dumpable = Dumpable::made();
    if let Ok(file) = calls::open(CORE_FILTER, n::O_WRONLY) {
        let text = Line::<24>::format(format_args!("{filter:#x}"));
        let _ = calls::write(file.number(), text.as_bytes());
    }
}
