//! Kernel objects that have a state of their own, most of them behind descriptors: one module and one note per kind. An image
//! has the note of a kind only if the program has such objects.

pub mod deleted_files;
pub mod epoll_entries;
pub mod event_counters;
pub mod ipc;
pub mod memory_files;
pub mod message_queues;
pub mod pipes;
pub mod posix_timers;
pub mod pseudo_terminals;
pub mod signal_descriptors;
pub mod signal_owners;
pub mod sockets;
pub mod system_v;
pub mod terminal;
pub mod timer_descriptors;
pub mod watchers;

use crate::note::Kind;
use crate::wire::{Malformed, Wire};

/// What an image keeps of one object.
pub trait Object<'a>: Wire<'a> {
    /// The note in which objects of this kind stand one after the other.
    const NOTE: Kind;

    /// Checks what can be wrong with the object by itself.
    ///
    /// # Errors
    /// [`Malformed`] names the field.
    fn check(&self) -> Result<(), Malformed>;
}
