//! syscall(3): it shows which call was interrupted, and of some calls libckpt does the same as of libc's functions for them.

use core::arch::naked_asm;
use core::ffi::c_long;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use ckpt_image::context::Registers;
use ckpt_sys::calls;
use ckpt_sys::kernel::SignalAction;
use libc::c_int;
use linux_raw_sys::general as n;

use super::{deadlines, dispositions, namespaces, peek, segments, user_dispatch};
use crate::clocks;

/// Where the number stands of a call that is made by [`syscall`], in bytes below the stack pointer.
const NUMBER_BELOW: u64 = 8;

/// syscall(3)
///
/// # Safety
/// As for the function of libc, whose arguments are as many as the call's.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn syscall(number: c_long) -> c_long {
    naked_asm!(
        include_str!("../../../asm/syscall.S"),
        NUMBER_BELOW = const NUMBER_BELOW,
        clocks_differ = sym clocks::DIFFER,
        rt_sigaction = const n::__NR_rt_sigaction,
        modify_ldt = const n::__NR_modify_ldt,
        prctl = const n::__NR_prctl,
        unshare = const n::__NR_unshare,
        setns = const n::__NR_setns,
        io_uring_setup = const n::__NR_io_uring_setup,
        futex = const n::__NR_futex,
        futex_wait = const n::__NR_futex_wait,
        futex_waitv = const n::__NR_futex_waitv,
        clock_gettime = const n::__NR_clock_gettime,
        clock_nanosleep = const n::__NR_clock_nanosleep,
        timerfd_settime = const n::__NR_timerfd_settime,
        timer_settime = const n::__NR_timer_settime,
        in_place = sym in_place,
    )
}

unsafe extern "C" {
    fn ckpt_syscall_behind();
    fn ckpt_syscall(number: c_long, ...) -> c_long;
}

/// Whether programs are told that the kernel has no io_uring.
static HIDES_IO_URING: AtomicBool = AtomicBool::new(false);

/// Has them told so. There is no function of libc's for io_uring, so most ask by syscall(3).
pub fn hide_io_uring() {
    HIDES_IO_URING.store(true, Ordering::Relaxed);
}

/// The number of the system call that the thread has made by syscall(3), if it is right behind that.
pub fn number_of_call(registers: &Registers) -> Option<u32> {
    let mut number = [0; 8];
    (registers.rip == ckpt_syscall_behind as *const () as u64
        && calls::copy_memory(registers.rsp - NUMBER_BELOW, &mut number) == Ok(number.len()))
    .then(|| u64::from_ne_bytes(number) as u32)
}

/// Takes the place of syscall(3) for the calls that asm/syscall.S names.
///
/// # Safety
/// As for the system call.
unsafe extern "C" fn in_place(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    // SAFETY: the caller answers for the call and its pointers.
    unsafe {
        match number as u32 {
            n::__NR_rt_sigaction => {
                return change_disposition(a as c_int, b as *const _, c as *mut _, d);
            }
            n::__NR_prctl => {
                let arguments = [b, c, d, e];
                return user_dispatch::around(a as c_int, arguments, || {
                    ckpt_syscall(number, a, b, c, d, e, f)
                });
            }
            n::__NR_io_uring_setup if HIDES_IO_URING.load(Ordering::Relaxed) => {
                *libc::__errno_location() = libc::ENOSYS;
                return -1;
            }
            n::__NR_modify_ldt => segments::note(),
            n::__NR_unshare => namespaces::note(a as c_int),
            n::__NR_setns => namespaces::note(namespaces::ANY),
            n::__NR_io_uring_setup => {}
            number => return deadlines::translated(number, [a, b, c, d, e, f], ckpt_syscall),
        }
        ckpt_syscall(number, a, b, c, d, e, f)
    }
}

/// rt_sigaction(2)
///
/// # Safety
/// The new handler, if there is one, is one. The pointers need not lead anywhere: then the kernel says so.
unsafe fn change_disposition(
    signal: c_int,
    new: *const SignalAction,
    old: *mut SignalAction,
    set_size: usize,
) -> c_long {
    let by_kernel = |new: *const SignalAction, old: *mut SignalAction| {
        let number = c_long::from(n::__NR_rt_sigaction);
        // SAFETY: the caller answers for the handler.
        unsafe { ckpt_syscall(number, signal as usize, new, old, set_size) }
    };
    let copy = peek(new);
    if set_size != size_of_val(&SignalAction::default().mask) || copy.is_none() && !new.is_null() {
        return by_kernel(new, old);
    }
    // Whether the kernel can write there, before anything is changed; of these two, nothing is.
    if !old.is_null() && ![libc::SIGKILL, libc::SIGSTOP].contains(&signal) {
        let result = by_kernel(ptr::null(), old);
        if result != 0 {
            return result;
        }
    }
    // SAFETY: the one is null or ours, the other one null or written.
    unsafe {
        let new = copy.as_ref().map_or(ptr::null(), ptr::from_ref);
        dispositions::change(by_kernel, signal, new, old)
    }
}
