//! The vocabulary of the tests: a [`Place`] is a fresh directory, a [`Launch`] says what to start in it and how, a
//! [`Process`] can be checkpointed, killed and waited for, a [`Portrait`] is what `/proc` shows of it, and a
//! [`Program`] is a C or C++ source of `programs/` with its directives, a [`Trial`] kills
//! a whole program at random moments, a [`Service`] is a server under the load of its clients, and a
//! [`terminal::Terminal`] has a program on its screen.
//!
//! ```no_run
//! use ckpt_tests::{Launch, Place};
//!
//! let place = Place::new("example");
//! let mut process = Launch::under_libckpt("/usr/bin/bc").start(&place);
//! process.checkpoint();
//! process.kill();
//! let mut restored = Launch::restorer(["myckpt"]).start(&place);
//! assert_eq!(restored.wait().code(), Some(0));
//! ```

mod artefacts;
mod clocks;
mod launch;
mod maps;
mod mount;
mod older_kernel;
mod place;
mod portrait;
mod process;
mod program;
mod random;
mod requirements;
mod service;
pub mod system_v;
pub mod terminal;
mod trial;
mod wait;

pub use artefacts::{libckpt, restorer, target_dir};
pub use clocks::has_other_clocks;
pub use launch::{Launch, Output, Restart, real_time};
pub use maps::Region;
pub use mount::Mount;
pub use older_kernel::Missing;
pub use place::Place;
pub use portrait::Portrait;
pub use process::{CHECKPOINT_SIGNAL, Process};
pub use program::Program;
pub use random::Random;
pub use requirements::{distributed, is_root, not_run, tool};
pub use service::{Client, Service, free_port, look};
pub use trial::{Trial, generations, rounds, workload};
pub use wait::until;
