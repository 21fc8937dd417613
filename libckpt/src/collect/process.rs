//! Attributes of the process as a whole.

use ckpt_image::process::{HAS_TERMINAL, LEADS_GROUP, LEADS_SESSION, LIMITS, Process};
use ckpt_sys::bytes::decimal;
use ckpt_sys::calls::Stat;
use ckpt_sys::line::Path;
use ckpt_sys::{Errno, Line, calls, files, memory_map, proc};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl::{
    PR_GET_CHILD_SUBREAPER, PR_GET_DUMPABLE, PR_GET_PDEATHSIG, PR_GET_TIMERSLACK, PR_SET_DUMPABLE,
};

use crate::failure::{Doing, Failure, failure};
use crate::interpose;

/// Strings that a [`Process`] refers to.
#[derive(Debug)]
pub struct Strings {
    auxv: Line<4096>,
    directory: Path,
    directory_stat: Stat,
}

impl Strings {
    /// Reads them.
    ///
    /// # Errors
    /// [`Failure`] if the working directory cannot be found again by its name.
    pub fn read() -> Result<Self, Failure> {
        let directory: Path = files::read_link(c"/proc/thread-self/cwd")
            .doing(format_args!("the working directory"))?;
        let is = calls::stat_at(calls::AT_FDCWD, c"/proc/thread-self/cwd", 0)
            .doing(format_args!("the working directory"))?;
        let is_there = calls::stat_at(calls::AT_FDCWD, directory.as_c_str(), 0)
            .is_ok_and(|by_name| files::identity(&is).same_file(&files::identity(&by_name)));
        if is.st_nlink != 0 && !is_there {
            return Err(failure!(
                "the working directory {directory}: it cannot be reached by this name any more; change to another first"
            ));
        }
        Ok(Self {
            auxv: files::read_small(c"/proc/thread-self/auxv")
                .doing(format_args!("the auxiliary vector"))?,
            directory,
            directory_stat: is,
        })
    }
}

/// A process that may read, and change, all of its own files in `/proc`, which one that has changed its ids may not otherwise; put back
/// at the end.
#[derive(Debug)]
pub struct Dumpable {
    /// The value of `PR_GET_DUMPABLE` before.
    pub before: usize,
}

impl Dumpable {
    /// Makes it one.
    pub fn made() -> Self {
        let before = Self::now().unwrap_or(1);
        if before != 1 {
            // SAFETY: the option takes a number.
            let _ = unsafe { calls::prctl(PR_SET_DUMPABLE, [1, 0, 0, 0]) };
        }
        Self { before }
    }

    fn now() -> Result<usize, Errno> {
        // SAFETY: the option takes numbers.
        unsafe { calls::prctl(PR_GET_DUMPABLE, [0; 4]) }
    }
}

/// Threads of the program that ran meanwhile may have changed it: then that stays.
impl Drop for Dumpable {
    fn drop(&mut self) {
        if self.before != 1 && Self::now() == Ok(1) {
            // 2 (only root may dump) cannot be set; 0 is the stricter one of those that can.
            // SAFETY: the option takes a number.
            let _ = unsafe { calls::prctl(PR_SET_DUMPABLE, [0; 4]) };
        }
    }
}

/// Refuses a program that sees other files than the restorer will. In its root directory there may be no `/proc`, which is needed for
/// everything else.
///
/// # Errors
/// [`Failure`] says so.
pub fn check_root() -> Result<(), Failure> {
    match files::read_link::<{ size_of::<Path>() }>(c"/proc/thread-self/root") {
        Ok(root) if root.as_bytes() == b"/" => Ok(()),
        Ok(root) => Err(failure!(
            "the program has changed its root directory to {root}: that is not supported"
        )),
        Err(errno) => Err(failure!(
            "/proc cannot be read ({errno}): the program has changed its root directory, which is not supported, or /proc is \
             not mounted"
        )),
    }
}

/// Refuses a program with segments of its own, which a restored process would not have.
///
/// # Errors
/// [`Failure`] says so.
pub fn check_segments() -> Result<(), Failure> {
    if interpose::has_local_segments() {
        return Err(failure!(
            "the program has made segments for itself (modify_ldt(2)): that is not supported; remove them first"
        ));
    }
    Ok(())
}

/// Reads everything else. What is handed in was read, or changed, before.
///
/// # Errors
/// [`Failure`] if something cannot be read, or is of a kind that is not supported.
pub fn collect<'s>(
    strings: &'s Strings,
    program: &'s Path,
    umask: u32,
    dumpable: u32,
    limits: [[u64; 2]; LIMITS],
) -> Result<Process<'s>, Failure> {
    let name = main_name();
    let timer = |which| calls::interval_timer(which).unwrap_or_default();
    let directory = &strings.directory_stat;
    Ok(Process {
        memory: memory_map::read().doing(format_args!("/proc/thread-self/stat"))?,
        auxv: strings.auxv.as_bytes(),
        name,
        umask,
        dumpable,
        timer_slack: option(PR_GET_TIMERSLACK),
        parent_death_signal: written_by(PR_GET_PDEATHSIG),
        subreaper: written_by(PR_GET_CHILD_SUBREAPER),
        nice: nice(),
        oom_score_adj: oom_score_adj(),
        leads: leads()?,
        directory: strings.directory.as_bytes(),
        directory_deleted: u32::from(directory.st_nlink == 0),
        directory_mode: directory.st_mode & 0o7777,
        directory_owner: [directory.st_uid, directory.st_gid],
        limits,
        interval_timers: [
            timer(n::ITIMER_REAL),
            timer(n::ITIMER_VIRTUAL),
            timer(n::ITIMER_PROF),
        ],
        program: program.as_bytes(),
    })
}

/// The name of the main thread, which need not be the caller.
fn main_name() -> [u8; 16] {
    let line = files::read_small::<17>(c"/proc/self/comm").unwrap_or_default();
    let shown = line
        .as_bytes()
        .strip_suffix(b"\n")
        .unwrap_or(line.as_bytes());
    let mut name = [0; 16];
    let length = shown.len().min(name.len() - 1);
    name[..length].copy_from_slice(&shown[..length]);
    name
}

/// An attribute that the call returns.
fn option(option: u32) -> u64 {
    // SAFETY: the options that are asked for take no address.
    unsafe { calls::prctl(option, [0; 4]) }.unwrap_or(0) as u64
}

/// An attribute that the kernel writes.
fn written_by(option: u32) -> u32 {
    let mut value = 0u32;
    // SAFETY: the kernel writes one number.
    let _ = unsafe { calls::prctl(option, [&raw mut value as usize, 0, 0, 0]) };
    value
}

/// The nice value of the main thread, whoever takes the checkpoint; the system call returns 20 minus it, so that it is never negative.
fn nice() -> i32 {
    20 - calls::getpriority(n::PRIO_PROCESS, calls::pid() as u32).unwrap_or(20) as i32
}

fn oom_score_adj() -> i32 {
    let text = files::read_small::<16>(c"/proc/thread-self/oom_score_adj").unwrap_or_default();
    let text = text.as_bytes().trim_ascii();
    match text.strip_prefix(b"-") {
        Some(digits) => -(decimal(digits).unwrap_or(0) as i32),
        None => decimal(text).unwrap_or(0) as i32,
    }
}

/// What the process leads.
fn leads() -> Result<u32, Failure> {
    let stat = proc::ProcessStat::of_this_thread().doing(format_args!("/proc/thread-self/stat"))?;
    let pid = Ok(calls::pid() as usize);
    let mut leads = 0;
    if calls::getpgid(0) == pid {
        leads |= LEADS_GROUP;
    }
    if calls::getsid(0) == pid {
        leads |= LEADS_SESSION;
    }
    // Field `tty_nr`.
    if stat.field(7) != 0 {
        leads |= HAS_TERMINAL;
    }
    Ok(leads)
}

/// Reads all resource limits.
pub fn limits() -> [[u64; 2]; LIMITS] {
    let mut limits = [[u64::MAX; 2]; LIMITS];
    for (resource, limit) in limits.iter_mut().enumerate() {
        *limit = calls::limit(resource, None).unwrap_or(*limit);
    }
    limits
}
