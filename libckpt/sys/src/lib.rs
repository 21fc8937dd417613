//! Async-signal-safe: raw system calls and what is built directly on them, shared by libckpt and the restorer.
//!
//! Nothing here calls libc, allocates from a heap that somebody else uses, takes a lock, or touches thread-local
//! storage.
#![cfg_attr(not(test), no_std)]

pub mod adjustments;
pub mod bytes;
pub mod calls;
pub mod cpuid;
pub mod crc;
pub mod errno;
pub mod event_counters;
pub mod fd;
pub mod files;
pub mod handover;
pub mod in_progress;
pub mod ipc;
pub mod kernel;
pub mod line;
pub mod line_reader;
pub mod local_segments;
pub mod map_vec;
pub mod maps;
pub mod memory_map;
pub mod message_queues;
pub mod pagemap;
pub mod posix_timers;
pub mod proc;
pub mod processors;
pub mod protection_keys;
pub mod pseudo_terminal;
pub mod socket_diagnosis;
pub mod sockets;
pub mod syscall;
pub mod system_v;
pub mod terminal;
pub mod userfaultfd;
pub mod words;

pub use errno::Errno;
pub use fd::Fd;
pub use line::Line;
pub use map_vec::MapVec;
