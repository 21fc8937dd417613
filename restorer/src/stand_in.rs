//! The process that the user has started stays while the program runs in another one, with its old process id: it takes
//! the signals that are meant for the program, stops when the program stops, and ends as the program ends.
//!
//! Both are in one process group, so that the shell's job control finds both, and what the terminal sends reaches both.

use ckpt_sys::calls::{self, Change};
use ckpt_sys::kernel::{SignalAction, signal_bit};
use ckpt_sys::{Errno, Fd};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;
use restart::passing::{Circumstances, Passing, passing};

use crate::start;

/// What the guard reads if the program has ended by itself, see [`guard`].
const ENDED: u8 = 1;

/// The program as seen from here.
struct Program {
    pid: i32,
    is_stopped: bool,
    guard: Fd,
}

/// Stands in for the process `program`, a child. It is ended through `guard` if this process is killed.
pub fn stand_in_for(program: i32, guard: Fd) -> ! {
    let mut program = Program {
        pid: program,
        is_stopped: false,
        guard,
    };
    start::stay_visible();
    get_out_of_the_way(&[program.guard.number()]);
    let leads_session = calls::getsid(0) == Ok(calls::pid() as usize);
    loop {
        // All signals are blocked, so each of them waits here until it is taken.
        let Ok((signal, info)) = calls::next_signal(u64::MAX) else {
            continue;
        };
        program.follow();
        let here = Circumstances {
            program: program.pid,
            is_stopped: program.is_stopped,
            leads_session,
        };
        // The program may have ended, or not be ours to signal; its end says what there is to say.
        let _ = match passing(signal, &info, here) {
            Passing::No => Ok(()),
            Passing::Kill => calls::kill(program.pid, signal).map(drop),
            Passing::Queue => calls::queue_signal_to(program.pid, signal, &info),
        };
    }
}

impl Program {
    /// Does what the program has done since the last time.
    fn follow(&mut self) {
        while let Ok(Some(change)) = calls::change_of(self.pid) {
            match change {
                Change::Exited(status) => {
                    self.tell_guard();
                    calls::exit(status)
                }
                Change::Killed(signal) => {
                    self.tell_guard();
                    die_of(signal)
                }
                Change::Stopped(signal) => {
                    self.is_stopped = true;
                    // Whoever waits for this process sees it stop likewise. It goes on here when it is continued.
                    take_by_default(signal);
                }
                Change::Continued => self.is_stopped = false,
            }
        }
    }

    /// Tells the guard that there is nothing to guard any more.
    fn tell_guard(&self) {
        let _ = calls::write(self.guard.number(), &[ENDED]);
    }
}

/// Lets `signal` do to this process what it does by default.
fn take_by_default(signal: i32) {
    // SAFETY: there is no handler to run.
    let _ = unsafe { calls::signal_action(signal, Some(&SignalAction::default())) };
    let _ = calls::kill(calls::pid(), signal);
    let bit = signal_bit(signal);
    let _ = calls::signal_mask(n::SIG_UNBLOCK, Some(bit));
    let _ = calls::signal_mask(n::SIG_BLOCK, Some(bit));
}

/// Ends as a process that `signal` has killed.
fn die_of(signal: i32) -> ! {
    // The program has left a core file, if there is to be one.
    // SAFETY: the option takes a number.
    let _ = unsafe { calls::prctl(p::PR_SET_DUMPABLE, [0; 4]) };
    take_by_default(signal);
    // The first process of a container does not die of signals that it does not handle; a shell would say it like this.
    calls::exit(128 + signal)
}

/// Holds on to nothing that the program, or whoever has to do with it, could miss: pipes would not end, locks would not be
/// free, file systems could not be unmounted. `kept` ascend.
fn get_out_of_the_way(kept: &[i32]) {
    let _ = calls::chdir(c"/");
    let kept = kept.iter().map(|&fd| fd as u32);
    restart::descriptors::gaps(kept, |first, last| {
        let _ = calls::close_range(first, last, 0);
    });
}

/// A third process, which ends the program if the one that stands in for it is killed: that can pass on everything but
/// SIGKILL. It reads from `stand_in`, whose other end only that one has. `program` refers to the program; without it, this is
/// the first process of a namespace, with which all others in there end.
pub fn guard(stand_in: &Fd, program: Option<&Fd>) -> ! {
    let name = c"restorer-guard";
    // SAFETY: the option takes the address of a string.
    let _ = unsafe { calls::prctl(p::PR_SET_NAME, [name.as_ptr() as usize, 0, 0, 0]) };
    let mut kept = [stand_in, program.unwrap_or(stand_in)].map(Fd::number);
    kept.sort_unstable();
    get_out_of_the_way(&kept);
    let mut told = [0];
    while calls::read(stand_in.number(), &mut told) == Err(Errno::EINTR) {}
    let has_ended = told == [ENDED];
    match program {
        Some(program) if !has_ended => {
            let _ = calls::kill_by_descriptor(program.number(), n::SIGKILL as i32);
        }
        // What the program has left running may go on. The kernel reaps what comes to its end, since SIGCHLD is ignored.
        None if has_ended => while calls::wait_for(-1) != Err(Errno::ECHILD) {},
        _ => {}
    }
    calls::exit(0)
}
