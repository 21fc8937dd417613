//! Waiting for events of a descriptor (poll), and for another thread to change a word (futex).

use core::sync::atomic::AtomicU32;

use linux_raw_sys::general as n;

use crate::errno::Errno;
use crate::syscall::call;

/// poll(2) of one descriptor, without waiting; the events that are there.
///
/// # Errors
/// Those of the system call.
pub fn poll_now(fd: i32, events: u32) -> Result<u32, Errno> {
    poll(fd, events, 0)
}

/// poll(2) of one descriptor; the events that are there, none of them after so many milliseconds.
///
/// # Errors
/// Those of the system call.
pub fn poll(fd: i32, events: u32, milliseconds: u32) -> Result<u32, Errno> {
    let mut entry = n::pollfd {
        fd,
        events: events as i16,
        revents: 0,
    };
    // SAFETY: the kernel reads and writes one struct.
    unsafe {
        call(
            n::__NR_poll,
            [&raw mut entry as usize, 1, milliseconds as usize],
        )?
    };
    Ok(u32::from(entry.revents as u16))
}

/// futex(2), `FUTEX_WAIT`: sleeps while `word` is `expected`, at most `nanoseconds` if given. It can return for no reason.
pub fn wait_while(word: &AtomicU32, expected: u32, nanoseconds: Option<u64>) {
    let time = nanoseconds.map(|all| [all / 1_000_000_000, all % 1_000_000_000]);
    let time_at = time.as_ref().map_or(0, |time| time.as_ptr() as usize);
    let operation = n::FUTEX_WAIT | n::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel reads the word and, if it is given, the time.
    let _ = unsafe {
        call(
            n::__NR_futex,
            [
                word.as_ptr() as usize,
                operation as usize,
                expected as usize,
                time_at,
            ],
        )
    };
}

/// futex(2), `FUTEX_WAKE`: wakes all who sleep on `word`.
pub fn wake_all(word: &AtomicU32) {
    let operation = n::FUTEX_WAKE | n::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel uses the word's address only.
    let _ = unsafe {
        call(
            n::__NR_futex,
            [
                word.as_ptr() as usize,
                operation as usize,
                i32::MAX as usize,
            ],
        )
    };
}
