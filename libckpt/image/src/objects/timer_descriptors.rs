//! Timers that are read through a descriptor (timerfd_create(2)).

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::Malformed;

record! {
    /// One such timer. Times are in nanoseconds.
    pub struct TimerDescriptor {
        /// The lowest descriptor that refers to it.
        pub description: u32,
        /// Its clock.
        pub clock: u32,
        /// `TFD_TIMER_*` flags with which it was set.
        pub flags: u32,
        /// Time left to its next expiration, 0 if it does not run.
        pub left: u64,
        /// Its next expiration on its clock.
        pub due: u64,
        /// Time between expirations, 0 if there is only one.
        pub interval: u64,
        /// Expirations that have not been read.
        pub ticks: u64,
    }
}

impl Object<'_> for TimerDescriptor {
    const NOTE: Kind = Kind::TimerDescriptors;

    fn check(&self) -> Result<(), Malformed> {
        if self.due >= self.left {
            Ok(())
        } else {
            Err(Malformed::Field("the time of a timer"))
        }
    }
}
