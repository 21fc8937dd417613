//! What epoll instances watch (epoll(7)).

use super::Object;
use crate::descriptors::MAX_NUMBER;
use crate::note::Kind;
use crate::record;
use crate::wire::Malformed;

/// Bits of [`EpollEntry::events`] that say how and not what is reported (`EP_PRIVATE_BITS` in fs/eventpoll.c).
const HOW: u32 = EDGE_TRIGGERED | ONE_SHOT | WAKE_UP | EXCLUSIVE;
const EDGE_TRIGGERED: u32 = 1 << 31;
const ONE_SHOT: u32 = 1 << 30;
const WAKE_UP: u32 = 1 << 29;
const EXCLUSIVE: u32 = 1 << 28;

record! {
    /// One entry of an epoll instance. Those of an instance that another one watches stand before those of that one.
    pub struct EpollEntry {
        /// The lowest descriptor that refers to the instance.
        pub instance: u32,
        /// The number under which the entry was made, which may be another file's by now.
        pub number: u32,
        /// The lowest descriptor that refers to what is watched.
        pub target: u32,
        /// `EPOLL*` flags.
        pub events: u32,
        /// What the program wants to be told along with an event.
        pub data: u64,
        /// Events that are there and have been reported.
        pub reported: u32,
    }
}

impl EpollEntry {
    /// Whether it has reported its one event and waits to be armed again.
    #[must_use]
    pub fn is_disarmed(&self) -> bool {
        self.events & !HOW == 0
    }

    /// Whether each event is reported once only.
    #[must_use]
    pub fn is_edge_triggered(&self) -> bool {
        self.events & EDGE_TRIGGERED != 0
    }

    /// Whether it is disarmed by its next event.
    #[must_use]
    pub fn is_one_shot(&self) -> bool {
        self.events & ONE_SHOT != 0
    }
}

impl Object<'_> for EpollEntry {
    const NOTE: Kind = Kind::EpollEntries;

    fn check(&self) -> Result<(), Malformed> {
        let numbers = [self.instance, self.number, self.target];
        if numbers.iter().all(|&number| number <= MAX_NUMBER) {
            Ok(())
        } else {
            Err(Malformed::Field("the number in an epoll entry"))
        }
    }
}
