//! The size of the screen. After a restart in another terminal a program draws its screen again when it is told by SIGWINCH that the
//! size has changed; but many look first whether it has. If it has not, they are shown a size with one row less once, and
//! then told again. Some draw only when they are about to wait for input, and know only the last size that they have looked at: those
//! that wait by functions of libc's that libckpt stands in front of are told twice more, before they wait, with one row less in between.

use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use ckpt_sys::calls;
use ckpt_sys::terminal::{self, Size};
use libc::{c_int, c_ulong};
use linux_raw_sys::general as n;
use linux_raw_sys::ioctl::TIOCGWINSZ;

interposed! {
    /// ioctl(2)
    fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int as next {
        let result = next()(fd, request, argument);
        if request == c_ulong::from(TIOCGWINSZ) && result == 0 && STAGE.load(Ordering::Relaxed) != DONE {
            show_another(fd, &mut *argument.cast::<Size>());
        }
        result
    }
}

/// The size at the checkpoint; 0 if there is no screen.
static LAST: AtomicU64 = AtomicU64::new(0);

/// How far a restored process is.
static STAGE: AtomicU32 = AtomicU32::new(DONE);

/// The program is shown the size that there is.
const DONE: u32 = 0;
/// It has not looked yet.
const FIRST: u32 = 1;
/// It has looked, and was told again. It is told once more before it waits.
const TOLD: u32 = 2;
/// It is shown one row less until it waits again.
const SMALLER: u32 = 3;

/// The thread that has looked, and by which descriptor.
static LOOKS: AtomicI32 = AtomicI32::new(0);
static SCREEN: AtomicI32 = AtomicI32::new(-1);

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
    let has_screen = LAST.load(Ordering::Relaxed) != 0;
    let stage = if is_told && has_screen { FIRST } else { DONE };
    STAGE.store(stage, Ordering::Relaxed);
}

fn word(size: Size) -> u64 {
    u64::from(size.rows) << 16 | u64::from(size.columns)
}

fn show_another(fd: i32, size: &mut Size) {
    let is_same = LAST.load(Ordering::Relaxed) == word(*size) && size.rows > 1;
    match STAGE.load(Ordering::Relaxed) {
        FIRST if is_same => {
            size.rows -= 1;
            LOOKS.store(calls::tid(), Ordering::Relaxed);
            SCREEN.store(fd, Ordering::Relaxed);
            STAGE.store(TOLD, Ordering::Relaxed);
            tell();
        }
        FIRST => STAGE.store(DONE, Ordering::Relaxed),
        SMALLER if is_same => size.rows -= 1,
        _ => {}
    }
}

fn tell() {
    let _ = calls::tgkill(calls::pid(), calls::tid(), n::SIGWINCH as i32);
}

/// Tells a thread that is about to wait, if it is to be told. Whether it was: then it does not wait, as though the signal had come when it
/// did.
pub fn is_told_instead_of_waiting() -> bool {
    let stage = STAGE.load(Ordering::Relaxed);
    if !matches!(stage, TOLD | SMALLER) || LOOKS.load(Ordering::Relaxed) != calls::tid() {
        return false;
    }
    // It does not wait if there is something to read, such as the rest of what a key sends, which is not to be torn apart.
    if terminal::unread(SCREEN.load(Ordering::Relaxed)).is_ok_and(|bytes| bytes != 0) {
        return false;
    }
    STAGE.store(
        if stage == TOLD { SMALLER } else { DONE },
        Ordering::Relaxed,
    );
    tell();
    true
}
