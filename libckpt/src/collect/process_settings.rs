//! Settings of the process that an image does not have: a restored process makes them for itself.
//!
//! Async-signal-safe: see `signal`.

use ckpt_sys::bytes::hex;
use ckpt_sys::syscall::call;
use ckpt_sys::{Line, calls, files};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;

use crate::failure::{Failure, failure};
use crate::signal::Owned;

/// include/uapi/linux/prctl.h
const PR_GET_THP_DISABLE: u32 = 42;
const PR_GET_MEMORY_MERGE: u32 = 68;

/// `MEMBARRIER_CMD_GET_REGISTRATIONS` (include/uapi/linux/membarrier.h), since Linux 6.3.
const GET_REGISTRATIONS: usize = 1 << 9;

/// Which memory a core file of the kernel's has (core(5)).
const CORE_FILTER: &core::ffi::CStr = c"/proc/self/coredump_filter";

/// What a kernel does not know stays at what it is by default, and is not set again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessSettings {
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
///
/// # Errors
/// [`Failure`] if the program has a setting that cannot be made again.
pub fn collect() -> Result<(), Failure> {
    let mut entry = [0u8; 8];
    let arguments = [0, entry.as_mut_ptr() as usize, entry.len()];
    // SAFETY: the kernel writes no more than there is room for.
    if unsafe { call(n::__NR_modify_ldt, arguments) }.is_ok_and(|bytes| bytes != 0) {
        return Err(failure!(
            "the program has segments of its own (modify_ldt(2)): that is not supported"
        ));
    }
    // SAFETY: we run on libckpt's stack.
    unsafe { *SETTINGS.get() = ProcessSettings::now() };
    Ok(())
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
            barriers: barriers.unwrap_or(0),
            core_filter: hex(filter.as_bytes().trim_ascii()),
        }
    }

    fn make(&self) {
        let now = Self::now();
        if self.core_filter != now.core_filter
            && let (Some(filter), Ok(file)) =
                (self.core_filter, calls::open(CORE_FILTER, n::O_WRONLY))
        {
            let text = Line::<24>::format(format_args!("{filter:#x}"));
            let _ = calls::write(file.number(), text.as_bytes());
        }
        // SAFETY: as above.
        unsafe {
            let missing = self.barriers & !now.barriers;
            for command in (0..usize::BITS).map(|bit| 1 << bit) {
                if missing & command != 0 {
                    let _ = call(n::__NR_membarrier, [command, 0, 0]);
                }
            }
            let set = |option, arguments| {
                let _ = calls::prctl(option, arguments);
            };
            if self.no_huge_pages != now.no_huge_pages {
                let (whether, flags) = (self.no_huge_pages & 1, self.no_huge_pages & !1);
                set(p::PR_SET_THP_DISABLE, [whether, flags, 0, 0]);
            }
            if self.merges_pages != now.merges_pages {
                set(p::PR_SET_MEMORY_MERGE, [self.merges_pages, 0, 0, 0]);
            }
            if self.no_new_code != now.no_new_code {
                set(p::PR_SET_MDWE, [self.no_new_code, 0, 0, 0]);
            }
        }
    }
}
