//! Threads that are not like the others, and children: what an image leaves out is not left out silently.

use ckpt_sys::bytes::fields;
use ckpt_sys::syscall::call;
use ckpt_sys::{Errno, Line, calls, files};
use linux_raw_sys::general as n;

use crate::failure::{Doing, Failure, failure};
use crate::settings::Children;
use crate::threads::Thread;
use crate::threads::stop::{Name, Stopped};

/// `enum kcmp_type` (include/uapi/linux/kcmp.h): the table of descriptors; root, working directory and umask.
const KCMP_FILES: u32 = 2;
const KCMP_FS: u32 = 3;

/// Refuses a program with a thread that differs from the others in what an image has only once, or that could not be made
/// again.
///
/// # Errors
/// [`Failure`] names the thread.
pub fn check_threads(initiator: &Thread, stopped: &Stopped) -> Result<(), Failure> {
    let differs = |thread: &Thread, kind| {
        matches!(calls::kcmp(initiator.tid, thread.tid, kind, 0, 0), Ok(1..))
    };
    for thread in stopped.threads().chain([initiator]) {
        let why = if thread.foreign_rseq {
            "it has an rseq area that is not libc's: that is not supported; start the program without its own rseq"
        } else if thread.rights != initiator.rights {
            "its ids or capabilities differ from those of other threads: that is not supported; send the signal when they \
             are the same"
        } else if differs(thread, KCMP_FILES) {
            "it has descriptors of its own (unshare, CLONE_FILES): that is not supported"
        } else if differs(thread, KCMP_FS) {
            "it has a working directory of its own (unshare, CLONE_FS): that is not supported"
        } else {
            continue;
        };
        return Err(failure!(
            "thread {} ({}): {why}",
            thread.tid,
            Name::of(thread.tid)
        ));
    }
    Ok(())
}

/// Refuses a program that has children, alive or not yet waited for, unless they are to be ignored.
///
/// # Errors
/// [`Failure`] with the pids.
pub fn check_children(setting: Children) -> Result<(), Failure> {
    /// How much of the lists is shown, in bytes.
    const SHOWN: usize = 240;
    if setting == Children::Ignore || !has_children()? {
        return Ok(());
    }
    // The lists need CONFIG_PROC_CHILDREN; without it there is at least the fact.
    let mut pids = Line::<256>::new();
    let mut are_more = false;
    let tasks = calls::open(c"/proc/self/task", n::O_RDONLY | n::O_DIRECTORY)
        .doing(format_args!("/proc/self/task"))?;
    let _ = files::for_each_entry(&tasks, |tid| {
        let tid = ckpt_sys::line::Text(tid.to_bytes());
        let path = Line::<64>::format(format_args!("/proc/self/task/{tid}/children"));
        let listed = files::read_small::<{ 2 * SHOWN }>(path.as_c_str()).unwrap_or_default();
        for pid in fields(listed.as_bytes()) {
            // Only whole ones: a part of one is another's.
            if pids.as_bytes().len() + pid.len() >= SHOWN {
                are_more = true;
                break;
            }
            pids.push(pid);
            pids.push(b" ");
        }
        !are_more
    });
    let pids = pids.as_bytes().trim_ascii();
    let shown = if pids.is_empty() { b"some" } else { pids };
    let more = if are_more { " and more" } else { "" };
    Err(failure!(
        "the program has children (pid {}{more}): they would be missing after a restart; send the signal when they have ended, \
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
