//! Which signals the restorer passes on while the program runs in a process of its own.

use ckpt_sys::kernel::SignalInfo;
use linux_raw_sys::general as n;

/// What becomes of a signal that has come to the restorer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// The program has got it as well, or must not get it.
    No,
    /// The program gets it as though by kill(2).
    Kill,
    /// The program gets it with the value that came with it (sigqueue(3)).
    Queue,
}

/// What the answer depends on beside the signal.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The program's process id, as senders of signals to the restorer are told it.
    pub program: i32,
    /// Whether it is stopped.
    pub is_stopped: bool,
    /// Whether the restorer leads its session.
    pub leads_session: bool,
}

/// `si_code` of a signal that the kernel has sent (include/uapi/asm-generic/siginfo.h).
const SI_KERNEL: i32 = 0x80;

/// Decides what becomes of `signal`, with the data `info`.
#[must_use]
pub fn passing(signal: i32, info: &SignalInfo, here: Circumstances) -> Passing {
    // Offsets of si_code and si_pid, as in the file above.
    let field =
        |at: usize| i32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    let (code, sender) = (field(8), field(16));
    match signal as u32 {
        n::SIGCHLD => Passing::No,
        // The terminal's signals go to the whole process group. Only that its line is cut is told to the session's leader alone
        // (`__tty_hangup` in drivers/tty/tty_io.c).
        n::SIGHUP | n::SIGCONT if code == SI_KERNEL && here.leads_session => Passing::Kill,
        _ if code == SI_KERNEL => Passing::No,
        // To its parent, or to its own process group: it would hit the sender.
        _ if code <= 0 && sender == here.program => Passing::No,
        // A shell continues the whole process group; a second one could run a handler twice.
        n::SIGCONT if !here.is_stopped => Passing::No,
        _ if code == n::SI_QUEUE => Passing::Queue,
        _ => Passing::Kill,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: i32 = 77;

    const HERE: Circumstances = Circumstances {
        program: PROGRAM,
        is_stopped: false,
        leads_session: false,
    };

    fn decide(signal: u32, code: i32, sender: i32, here: Circumstances) -> Passing {
        let mut info = [0; 128];
        info[8..12].copy_from_slice(&code.to_ne_bytes());
        info[16..20].copy_from_slice(&sender.to_ne_bytes());
        passing(signal as i32, &info, here)
    }

    #[test]
    fn what_somebody_sends_is_passed_on_as_it_came() {
        for signal in [n::SIGTERM, n::SIGUSR2, n::SIGTSTP, 40] {
            assert_eq!(decide(signal, 0, 5, HERE), Passing::Kill);
            assert_eq!(decide(signal, n::SI_TKILL, 5, HERE), Passing::Kill);
            assert_eq!(decide(signal, n::SI_QUEUE, 5, HERE), Passing::Queue);
        }
    }

    #[test]
    fn what_the_program_has_got_itself_is_not() {
        assert_eq!(decide(n::SIGINT, SI_KERNEL, 0, HERE), Passing::No);
        assert_eq!(decide(n::SIGTSTP, SI_KERNEL, 0, HERE), Passing::No);
        assert_eq!(decide(n::SIGHUP, SI_KERNEL, 0, HERE), Passing::No);
        assert_eq!(decide(n::SIGCHLD, 1, PROGRAM, HERE), Passing::No);
        assert_eq!(decide(n::SIGUSR1, 0, PROGRAM, HERE), Passing::No);
    }

    #[test]
    fn a_terminal_that_goes_away_is_told_to_the_leader_of_the_session() {
        let here = Circumstances {
            leads_session: true,
            ..HERE
        };
        assert_eq!(decide(n::SIGHUP, SI_KERNEL, 0, here), Passing::Kill);
        assert_eq!(decide(n::SIGINT, SI_KERNEL, 0, here), Passing::No);
    }

    #[test]
    fn only_a_program_that_is_stopped_is_continued() {
        let stopped = Circumstances {
            is_stopped: true,
            ..HERE
        };
        assert_eq!(decide(n::SIGCONT, 0, 5, stopped), Passing::Kill);
        assert_eq!(decide(n::SIGCONT, 0, 5, HERE), Passing::No);
    }
}
