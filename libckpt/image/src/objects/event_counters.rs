//! Event counters (eventfd(2)).

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::Malformed;

record! {
    /// One event counter.
    pub struct EventCounter {
        /// The lowest descriptor that refers to it.
        pub description: u32,
        /// 1 if a read takes one off the counter (`EFD_SEMAPHORE`), 0 if it takes all.
        pub semaphore: u32,
        /// The counter.
        pub count: u64,
    }
}

impl Object<'_> for EventCounter {
    const NOTE: Kind = Kind::EventCounters;

    fn check(&self) -> Result<(), Malformed> {
        // "The maximum value that may be stored in the counter" (eventfd(2)).
        if self.count < u64::MAX {
            Ok(())
        } else {
            Err(Malformed::Field("the value of an event counter"))
        }
    }
}
