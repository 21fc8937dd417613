//! Whether another signal is about to interrupt a call that a checkpoint has interrupted.

use core::sync::atomic::{AtomicU64, Ordering};

use linux_raw_sys::general as n;

use crate::bytes::hex;
use crate::kernel::{SignalSet, signal_bit};
use crate::{calls, files};

/// What becomes of the calling thread's call once the thread leaves the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupting {
    /// No handler of the program's runs.
    Nothing,
    /// One with `SA_RESTART` runs.
    AndRestarts,
    /// One without runs.
    AndEnds,
}

impl Interrupting {
    /// What becomes of the caller's call, when the signals of `mask` are blocked then; `ours` is the checkpoint signal.
    ///
    /// A signal that was sent to the process is taken by one thread only, and that is the first that leaves: it notes in
    /// `claimed` that it takes it. `claimed` must be 0 at the beginning of each checkpoint.
    #[must_use]
    pub fn now(mask: SignalSet, ours: i32, claimed: &AtomicU64) -> Self {
        let let_through = !(mask | signal_bit(ours));
        let pending = calls::pending().unwrap_or(0) & let_through;
        if pending == 0 {
            return Self::Nothing;
        }
        let private = private().map_or(0, |private| private & pending);
        Self::by(private, pending, claimed, |signal| {
            // SAFETY: the disposition is only read.
            let action = unsafe { calls::signal_action(signal, None) }.unwrap_or_default();
            (action.handler, action.flags)
        })
    }

    /// The decision: of the `pending` signals, `private` ones are the thread's own; `action` has handler and flags.
    fn by(
        private: SignalSet,
        pending: SignalSet,
        claimed: &AtomicU64,
        action: impl Fn(i32) -> (u64, u64),
    ) -> Self {
        // The kernel delivers a thread's own first, of those the ones that the processor raises, then by number
        // (dequeue_signal and next_signal, kernel/signal.c).
        for set in [
            private & RAISED,
            private & !RAISED,
            pending & !private & RAISED,
            pending & !private & !RAISED,
        ] {
            let shared = set & private == 0;
            for signal in (1..=64).filter(|&signal| set & signal_bit(signal) != 0) {
                let bit = signal_bit(signal);
                match action(signal) {
                    (IGNORED, _) => {}
                    (DEFAULT, _) if bit & HARMLESS != 0 => {}
                    // The process ends.
                    (DEFAULT, _) => return Self::Nothing,
                    _ if shared && claimed.fetch_or(bit, Ordering::Relaxed) & bit != 0 => {}
                    (_, flags) if flags & u64::from(n::SA_RESTART) != 0 => {
                        return Self::AndRestarts;
                    }
                    _ => return Self::AndEnds,
                }
            }
        }
        Self::Nothing
    }

    /// Whether a handler runs.
    #[must_use]
    pub fn has_handler(self) -> bool {
        self != Self::Nothing
    }
}

/// `SIG_DFL` and `SIG_IGN`.
const DEFAULT: u64 = 0;
const IGNORED: u64 = 1;

const fn set_of<const N: usize>(signals: [u32; N]) -> SignalSet {
    let mut set = 0;
    let mut index = 0;
    while index < N {
        set |= signal_bit(signals[index] as i32);
        index += 1;
    }
    set
}

/// `SYNCHRONOUS_MASK` (include/linux/signal.h).
const RAISED: SignalSet = set_of([
    n::SIGSEGV,
    n::SIGBUS,
    n::SIGILL,
    n::SIGTRAP,
    n::SIGFPE,
    n::SIGSYS,
]);

/// Without a handler these are ignored, or stop the process, after which its calls go on (signal(7)).
const HARMLESS: SignalSet = set_of([
    n::SIGCHLD,
    n::SIGCONT,
    n::SIGURG,
    n::SIGWINCH,
    n::SIGSTOP,
    n::SIGTSTP,
    n::SIGTTIN,
    n::SIGTTOU,
]);

/// The signals that were sent to the calling thread and not to the process. The thread may be on a small signal stack, so
/// the file is read in small pieces.
#[inline(never)]
fn private() -> Option<SignalSet> {
    const KEY: &[u8] = b"\nSigPnd:\t";
    /// Length of the number.
    const DIGITS: usize = 16;
    let status = calls::open(c"/proc/thread-self/status", n::O_RDONLY).ok()?;
    let mut piece = [0; 256];
    let mut kept = 0;
    loop {
        let count = files::read_up_to(&status, &mut piece[kept..]).ok()?;
        let text = &piece[..kept + count];
        let found = text.windows(KEY.len()).position(|window| window == KEY);
        if let Some(digits) = found.and_then(|at| text[at + KEY.len()..].first_chunk::<DIGITS>()) {
            return hex(digits);
        }
        if count == 0 {
            return None;
        }
        // What stands at the end may be the beginning of the line.
        let end = text.len();
        kept = end.min(KEY.len() + DIGITS);
        piece.copy_within(end - kept..end, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDLER: u64 = 0x40_0000;
    const ALARM: SignalSet = signal_bit(n::SIGALRM as i32);
    const CHILD: SignalSet = signal_bit(n::SIGCHLD as i32);
    const TERM: SignalSet = signal_bit(n::SIGTERM as i32);

    fn by(
        private: SignalSet,
        pending: SignalSet,
        action: impl Fn(i32) -> (u64, u64),
    ) -> Interrupting {
        Interrupting::by(private, pending, &AtomicU64::new(0), action)
    }

    #[test]
    fn a_handler_interrupts_and_a_default_that_does_nothing_does_not() {
        assert_eq!(by(0, ALARM, |_| (HANDLER, 0)), Interrupting::AndEnds);
        let restarts = u64::from(n::SA_RESTART);
        assert_eq!(
            by(0, ALARM, |_| (HANDLER, restarts)),
            Interrupting::AndRestarts
        );
        assert_eq!(by(CHILD, CHILD, |_| (DEFAULT, 0)), Interrupting::Nothing);
        assert_eq!(by(0, ALARM, |_| (IGNORED, 0)), Interrupting::Nothing);
        assert_eq!(by(0, ALARM, |_| (DEFAULT, 0)), Interrupting::Nothing);
    }

    #[test]
    fn the_first_that_is_delivered_counts() {
        let action = |signal| match signal as u32 {
            n::SIGALRM => (HANDLER, 0),
            n::SIGCHLD => (IGNORED, 0),
            _ => (HANDLER, u64::from(n::SA_RESTART)),
        };
        let all = ALARM | CHILD | TERM;
        assert_eq!(by(0, all, action), Interrupting::AndEnds);
        assert_eq!(by(TERM, all, action), Interrupting::AndRestarts);
        assert_eq!(by(CHILD, all, action), Interrupting::AndEnds);
    }

    #[test]
    fn one_thread_takes_what_was_sent_to_the_process() {
        let claimed = AtomicU64::new(0);
        let by = |private| Interrupting::by(private, ALARM, &claimed, |_| (HANDLER, 0));
        assert_eq!(by(0), Interrupting::AndEnds);
        assert_eq!(by(0), Interrupting::Nothing);
        assert_eq!(by(ALARM), Interrupting::AndEnds);
    }

    #[test]
    fn a_thread_s_own_signals_are_told_apart() {
        assert_eq!(private(), Some(0));
        assert_eq!(
            Interrupting::now(0, 12, &AtomicU64::new(0)),
            Interrupting::Nothing
        );
    }
}
