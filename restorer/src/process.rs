//! What the kernel keeps of a process as a whole.

use ckpt_image::descriptors::Kind;
use ckpt_image::memory_settings::FutureLocks;
use ckpt_image::objects::pseudo_terminals::PseudoTerminal;
use ckpt_image::process::{HAS_TERMINAL, LEADS_GROUP, LEADS_SESSION};
use ckpt_image::reader::Image;
use ckpt_image::regions::{Region, vm_flags};
use ckpt_sys::pseudo_terminal as pty;
use ckpt_sys::{Errno, Line, calls, files, memory_map, proc, terminal};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;
use restart::report::{Cause, Error, Exit, Object};
use restart::threads::with_new_sender;

use crate::{Result, output};

fn failed(step: &'static str) -> impl Fn(Errno) -> Error<'static> {
    move |errno| {
        Error::new(
            Exit::Host,
            Object::Thing("the process"),
            Cause::Failed(step, errno),
            "check the kernel's configuration and your limits (ulimit -a)",
        )
    }
}

/// Has a process that has forbidden itself huge pages get none while it is filled, where the system's owner wants them everywhere. It
/// forbids them to itself again (`process_settings` of libckpt).
pub fn forbid_huge_pages(image: &Image<'_>) {
    let has_small = |region: Region<'_>| region.flags & vm_flags::SMALL_PAGES != 0;
    if image.regions().any(has_small) {
        // SAFETY: the option takes numbers.
        let _ = unsafe { calls::prctl(p::PR_SET_THP_DISABLE, [1, 0, 0, 0]) };
    }
}

/// Everything that must happen while the process still has the restorer's rights. One that somebody `stands_in` for stays in the
/// process group of that one, so that whoever signals, stops or kills the group reaches both.
pub fn restore(image: &Image<'static>, stands_in: bool) -> Result<()> {
    let process = &image.process;
    let _ = calls::umask(process.umask);
    set_name(&process.name)?;
    set_attributes(image);
    set_oom_score_adj(process.oom_score_adj);
    if !take_terminal(image, stands_in) && !stands_in {
        lead(process.leads);
    }
    memory_map::describe(&process.memory, process.auxv)
        .map_err(failed("cannot describe its memory to the kernel"))?;
    set_dispositions(image)?;
    queue_pending(image)
}

/// What must come last: the locking of what is mapped from now on, which we must not map any more; limits, since they would get in the way of creating threads, which the program may even have
/// forbidden itself since; timers, since they run; dumpable, since changing ids changes it.
pub fn restore_last(image: &Image<'static>) -> Result<()> {
    for FutureLocks { flags } in image.objects() {
        if let Err(errno) = calls::lock_all_memory(flags) {
            output::warn(format_args!(
                "memory that will be mapped cannot be locked (mlockall): {errno}; the program goes on without"
            ));
        }
    }
    set_limits(&image.process.limits)?;
    for (which, &timer) in (0..).zip(&image.process.interval_timers) {
        calls::set_interval_timer(which, timer).map_err(failed("cannot set its timers"))?;
    }
    // Changing ids changes this, too.
    let signal = image.process.parent_death_signal as usize;
    // SAFETY: the option takes a number.
    unsafe { calls::prctl(p::PR_SET_PDEATHSIG, [signal, 0, 0, 0]) }
        .map_err(failed("cannot set the signal for its parent's end"))?;
    // 2 (only root may dump) cannot be set; 0 is the stricter one of those that can.
    let dumpable = usize::from(image.process.dumpable == 1);
    // SAFETY: the option takes numbers.
    unsafe { calls::prctl(p::PR_SET_DUMPABLE, [dumpable, 0, 0, 0]) }
        .map_err(failed("cannot set whether it can be dumped"))?;
    Ok(())
}

fn set_name(name: &[u8; 16]) -> Result<()> {
    let mut name = *name;
    name[15] = 0;
    // SAFETY: the option takes the address of a string of at most 16 bytes.
    unsafe { calls::prctl(p::PR_SET_NAME, [name.as_ptr() as usize, 0, 0, 0]) }
        .map_err(failed("cannot set its name"))?;
    Ok(())
}

/// Attributes without which the program runs as well, on a kernel or with limits that do not allow them.
fn set_attributes(image: &Image<'static>) {
    let process = &image.process;
    // SAFETY: the options take numbers.
    unsafe {
        let slack = process.timer_slack as usize;
        let _ = calls::prctl(p::PR_SET_TIMERSLACK, [slack, 0, 0, 0]);
        let subreaper = process.subreaper as usize;
        let _ = calls::prctl(p::PR_SET_CHILD_SUBREAPER, [subreaper, 0, 0, 0]);
    }
    if calls::setpriority(n::PRIO_PROCESS, 0, process.nice).is_err() {
        output::warn(format_args!(
            "the nice value {}: not permitted; the program goes on without",
            process.nice
        ));
    }
}

/// Whom the kernel ends first when there is no memory.
fn set_oom_score_adj(value: i32) {
    let path = c"/proc/thread-self/oom_score_adj";
    let text = Line::<16>::format(format_args!("{value}"));
    let now = files::read_small::<16>(path).unwrap_or_default();
    if now.as_bytes().trim_ascii() == text.as_bytes() {
        return;
    }
    let written = calls::open(path, n::O_WRONLY)
        .and_then(|file| calls::write(file.number(), text.as_bytes()));
    if let Err(errno) = written {
        output::warn(format_args!(
            "oom_score_adj {value}: {errno}; the program goes on with that of the restorer"
        ));
    }
}

/// A process that has led its session, or its group, does so again as far as a new process may. One that has a terminal stays the
/// job of the shell that has started the restorer, which may otherwise never get its terminal back.
fn lead(leads: u32) {
    if leads & LEADS_SESSION != 0 && leads & HAS_TERMINAL == 0 && calls::setsid().is_ok() {
        return;
    }
    // Field `tty_nr` of proc_pid_stat(5).
    let has_terminal = proc::ProcessStat::of_this_thread().is_ok_and(|stat| stat.field(7) != 0);
    if leads & LEADS_GROUP != 0 && !has_terminal {
        let _ = calls::setpgid(0, 0);
    }
}

/// Makes a pseudo-terminal of the program's own its controlling terminal again, of a session that the process leads; whether it
/// does lead one now.
fn take_terminal(image: &Image<'static>, stands_in: bool) -> bool {
    let Some(own) = image
        .objects::<PseudoTerminal<'_>>()
        .find(|one| one.controls != 0)
    else {
        return false;
    };
    let side = |kind| {
        image
            .descriptors()
            .find(move |one| one.kind() == kind && one.file.inode == u64::from(own.number))
    };
    let control = |slave| {
        // Of a process that leads its group already, a session cannot be made; it may be one.
        let _ = calls::setsid();
        terminal::control(slave)
    };
    let taken = match (side(Kind::Master), side(Kind::Slave), stands_in) {
        (Some(_), Some(slave), false) => control(slave.number as i32),
        // It stays the controlling terminal when the slave side is closed, as long as the master side is not.
        (Some(master), None, false) => {
            let flags = n::O_RDWR | n::O_NOCTTY | n::O_NONBLOCK | n::O_CLOEXEC;
            pty::open_slave(master.number as i32, flags).and_then(|slave| control(slave.number()))
        }
        // The group with whom the process must stay would be lost; or there is no terminal.
        _ => Err(Errno::EPERM),
    };
    if let Err(errno) = taken {
        output::warn(format_args!(
            "pseudo-terminal {} was the controlling terminal of the program, and cannot be here ({errno}); start the restorer \
             with setsid(1), and without --pid",
            own.number
        ));
    }
    taken.is_ok()
}

fn set_dispositions(image: &Image<'static>) -> Result<()> {
    for (signal, action) in (1..).zip(&image.actions.actions) {
        if signal == n::SIGKILL as i32 || signal == n::SIGSTOP as i32 {
            continue;
        }
        // SAFETY: all signals are blocked, so the handler cannot run before the program is back.
        unsafe { calls::signal_action(signal, Some(action)) }
            .map_err(failed("cannot set its signal handlers"))?;
    }
    Ok(())
}

/// The signals of the process and of the main thread; the other threads send theirs themselves (`asm/pad.S`). After the
/// dispositions: setting one to be ignored would throw the signal away.
fn queue_pending(image: &Image<'static>) -> Result<()> {
    let pid = calls::pid();
    for pending in image.pending() {
        if ![0, image.context.tid].contains(&pending.tid) {
            continue;
        }
        let info = with_new_sender(pending.info, image.header.pid, pid);
        let receiver = if pending.tid == 0 { 0 } else { calls::tid() };
        calls::queue_signal(receiver, pending.signal(), &info)
            .map_err(failed("cannot send its pending signals again"))?;
    }
    Ok(())
}

/// After everything that a limit could get in the way of.
fn set_limits(saved: &[[u64; 2]]) -> Result<()> {
    let step = failed("cannot set its resource limits");
    for (resource, &[soft, hard]) in saved.iter().enumerate() {
        let [_, hard_now] = calls::limit(resource, None).map_err(&step)?;
        let hard = hard.min(hard_now);
        calls::limit(resource, Some([soft.min(hard), hard])).map_err(&step)?;
    }
    Ok(())
}
