//! The size of the screen. After a restart in another terminal a program draws its screen again when it is told by SIGWINCH that the
//! size has changed; but many look first whether it has. If it has not, they are shown a size with one row less once, and
//! then told again.

use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering};

use ckpt_sys::calls;
use ckpt_sys::terminal::Size;
use libc::{c_int, c_ulong};
use linux_raw_sys::general as n;
use linux_raw_sys::ioctl::TIOCGWINSZ;

interposed! {
    /// ioctl(2)
    fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int as next {
        let result = next()(fd, request, argument);
        if request == c_ulong::from(TIOCGWINSZ) && result == 0 && SHOWN_BEFORE.load(Ordering::Relaxed) != 0 {
            show_another(&mut *argument.cast::<Size>());
        }
        result
    }
}

/// The size at the checkpoint; 0 if there is no screen.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The same in a restored process, until the program has looked.
static SHOWN_BEFORE: AtomicU64 = AtomicU64::new(0);

/// Notes the size at a checkpoint.
pub fn note(size: Option<Size>) {
    LAST.store(size.map_or(0, word), Ordering::Relaxed);
}

/// Called in a restored process, while no thread of the program runs.
pub fn settle_in() {
    /// `SIG_IGN`, the higher one of the two that are no handlers.
    const SIG_IGN: u64 = 1;
    // SAFETY: the disposition is only read.
    let action = unsafe { calls::signal_action(n::SIGWINCH as i32, None) };
    let is_told = action.is_ok_and(|action| action.handler > SIG_IGN);
    let last = LAST.load(Ordering::Relaxed);
    SHOWN_BEFORE.store(if is_told { last } else { 0 }, Ordering::Relaxed);
}

fn word(size: Size) -> u64 {
    u64::from(size.rows) << 16 | u64::from(size.columns)
}

fn show_another(size: &mut Size) {
    let before = SHOWN_BEFORE.swap(0, Ordering::Relaxed);
    if before == word(*size) && size.rows > 1 {
        size.rows -= 1;
        let _ = calls::tgkill(calls::pid(), calls::tid(), n::SIGWINCH as i32);
    }
}
