//! What decides in the restorer: pure functions with unit tests. What executes is the program, in `main.rs`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod arguments;
pub mod clocks;
pub mod descriptors;
pub mod files;
pub mod identity;
pub mod layout;
pub mod lazy;
pub mod moves;
pub mod operations;
pub mod passing;
pub mod plan;
pub mod report;
pub mod show;
pub mod sockets;
pub mod threads;
pub mod timers;
pub mod vdso;
