//! Reads the kernel's side of the process, one module per kind of thing.
//!
//! Async-signal-safe: see `signal`. Nothing here changes what the program could notice.

pub mod content;
pub mod credentials;
pub mod descriptors;
pub mod memory;
pub mod namespaces;
mod other_names;
pub mod posix_timers;
pub mod process;
pub mod process_settings;
pub mod regions;
pub mod relatives;
pub mod signals;
pub mod thread;
