//! Threads and children: what an image of a single thread leaves out is not left out silently.

use ckpt_sys::syscall::call;
use ckpt_sys::{Errno, Line, calls, files, proc};
use linux_raw_sys::general as n;

use crate::failure::{Doing, Failure, failure};
use crate::settings::Children;

/// Refuses a program that has more than one thread.
///
/// # Errors
/// [`Failure`] with the number of threads.
pub fn check_threads(status: &proc::Status) -> Result<(), Failure> {
    match status.decimal("Threads") {
        0 | 1 => Ok(()),
        threads => Err(failure!(
            "the program has {threads} threads: only programs with one thread are supported; send the signal when they \
             have ended"
        )),
    }
}

/// Refuses a program that has children, alive or not yet waited for, unless they are to be ignored.
///
/// # Errors
/// [`Failure`] with the pids.
pub fn check_children(setting: Children) -> Result<(), Failure> {
    if setting == Children::Ignore || !has_children()? {
        return Ok(());
    }
    let path = Line::<64>::format(format_args!("/proc/self/task/{}/children", calls::tid()));
    // The list needs CONFIG_PROC_CHILDREN; without it there is at least the fact.
    let listed = files::read_small::<256>(path.as_c_str()).unwrap_or_default();
    let pids = Line::<256>::format(format_args!("{listed}"));
    let pids = pids.as_bytes().trim_ascii();
    let shown = if pids.is_empty() { b"some" } else { pids };
    Err(failure!(
        "the program has children (pid {}): they would be missing after a restart; send the signal when they have ended, \
         or start the program with CKPT_CHILDREN=ignore",
        ckpt_sys::line::Text(shown)
    ))
}

/// Whether there is a child, found without taking any event from a later wait of the program.
fn has_children() -> Result<bool, Failure> {
    let options = n::WNOHANG | n::WNOWAIT | n::WEXITED | n::WSTOPPED | n::WCONTINUED | n::__WALL;
    let mut info = [0u64; 16];
    // SAFETY: the kernel writes one siginfo_t, which has 128 bytes.
    let answer = unsafe {
        call(
            n::__NR_waitid,
            [
                n::P_ALL as usize,
                0,
                info.as_mut_ptr() as usize,
                options as usize,
                0,
            ],
        )
    };
    match answer {
        Ok(_) => Ok(true),
        Err(Errno::ECHILD) => Ok(false),
        Err(errno) => Err(errno).doing(format_args!("looking for children")),
    }
}
