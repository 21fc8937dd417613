//! POSIX timers (timer_create(2)).

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::signals::SIGNALS;
use crate::wire::Malformed;

/// `SIGEV_SIGNAL`, `SIGEV_NONE`, `SIGEV_THREAD` (include/uapi/asm-generic/siginfo.h).
const SIGEV_NONE: u32 = 1;
const SIGEV_THREAD: u32 = 2;

record! {
    /// One timer. Times are in nanoseconds.
    pub struct PosixTimer {
        /// Its id.
        pub id: i32,
        /// Its clock; a negative number for the CPU time of the process or of a thread, whose id is in it
        /// (clock_getcpuclockid(3)).
        pub clock: i32,
        /// `SIGEV_*`, without `SIGEV_THREAD_ID`.
        pub notify: u32,
        /// Id of the thread that gets its signal, 0 if the process gets it.
        pub thread: i32,
        /// Its signal.
        pub signal: i32,
        /// What comes along with the signal.
        pub value: u64,
        /// 1 if it was set to a time of its clock, 0 if to a time from then on.
        pub absolute: u32,
        /// Time left to its next expiration, 0 if it does not run.
        pub left: u64,
        /// Its next expiration on its clock; with `left` 0 what the clock showed.
        pub due: u64,
        /// Time between expirations, 0 if there is only one.
        pub interval: u64,
        /// How many expirations its last signal stands for, 0 if that does not matter any more.
        pub expirations: u32,
        /// What has become of that signal: [`GONE`], [`PENDING`] or [`RECEIVED`].
        pub last_signal: u32,
    }
}

/// [`PosixTimer::last_signal`]: nobody wants to know.
pub const GONE: u32 = 0;
/// The program has not received it yet.
pub const PENDING: u32 = 1;
/// The program has received it, and may ask how many expirations it stood for. In the restored process it comes again, and the
/// thread that it comes to receives it before the program goes on.
pub const RECEIVED: u32 = 2;

impl Object<'_> for PosixTimer {
    const NOTE: Kind = Kind::PosixTimers;

    fn check(&self) -> Result<(), Malformed> {
        let signals = if self.notify == SIGEV_NONE {
            0..=SIGNALS as i32
        } else {
            1..=SIGNALS as i32
        };
        if self.id >= 0
            && self.notify <= SIGEV_THREAD
            && self.thread >= 0
            && signals.contains(&self.signal)
            && self.due >= self.left
            && self.last_signal <= RECEIVED
            && (self.last_signal == GONE || self.expirations != 0)
        {
            Ok(())
        } else {
            Err(Malformed::Field("a POSIX timer"))
        }
    }
}
