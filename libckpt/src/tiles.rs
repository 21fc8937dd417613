//! The tiles of AMX: 8 KiB of registers for which the kernel makes room only in a process that has asked for it, in a thread that uses them
//! (Documentation/arch/x86/xstate.rst). A signal frame has them from then on, and what is loaded from one goes nowhere without that room.
//!
//! Async-signal-safe: see `signal`.

use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, Ordering};

use ckpt_sys::Errno;
use ckpt_sys::kernel::UserContext;
use ckpt_sys::syscall::call;
use linux_raw_sys::general as n;

global_asm!(include_str!("../../asm/tiles.S"));

unsafe extern "C" {
    fn ckpt_use_tiles();
}

/// `ARCH_GET_XCOMP_PERM` and `ARCH_REQ_XCOMP_PERM` (arch/x86/include/uapi/asm/prctl.h).
const GET_PERMITTED: usize = 0x1022;
const PERMIT: usize = 0x1023;

/// `XFEATURE_XTILE_DATA` (arch/x86/include/asm/fpu/types.h).
const COMPONENT: usize = 18;

/// Whether the process was permitted to use them at its last checkpoint.
static PERMITTED: AtomicBool = AtomicBool::new(false);

/// Notes whether the process may use them, for a restored one.
pub fn note() {
    let mut permitted = 0u64;
    // SAFETY: the kernel writes one number. A kernel that knows no such thing writes none.
    let _ = unsafe {
        call(
            n::__NR_arch_prctl,
            [GET_PERMITTED, &raw mut permitted as usize],
        )
    };
    PERMITTED.store(permitted >> COMPONENT & 1 != 0, Ordering::Relaxed);
}

/// Asks for them in a restored process, before any of its threads goes on.
///
/// # Errors
/// Those of arch_prctl(2), if the process that was restored was permitted to use them.
pub fn ask_again() -> Result<(), Errno> {
    if !PERMITTED.load(Ordering::Relaxed) {
        return Ok(());
    }
    // SAFETY: the call takes a number.
    let permitted = unsafe { call(n::__NR_arch_prctl, [PERMIT, COMPONENT]) };
    PERMITTED.store(permitted.is_ok(), Ordering::Relaxed);
    permitted.map(drop)
}

/// Has the kernel make room for them if `frame`, through which the caller goes back into the program, has them.
///
/// # Safety
/// The kernel has made the frame.
pub unsafe fn make_room(frame: &UserContext) {
    // SAFETY: the caller answers for the frame.
    let note = unsafe { frame.xsave_note() };
    let has_them = note.is_some_and(|note| note.xfeatures >> COMPONENT & 1 != 0);
    if has_them && PERMITTED.load(Ordering::Relaxed) {
        // SAFETY: what is in them now is nobody's.
        unsafe { ckpt_use_tiles() };
    }
}
