//! libckpt: preloaded into a program, writes the image of the process it lives in when the checkpoint signal comes.
//!
//! The life of a checkpoint: `start` (constructor) installs the handler; `signal` is entered when the signal comes;
//! `threads` says who takes the checkpoint and makes the others wait; `checkpoint` takes the steps one after the other;
//! the modules below `collect` each read one kind of kernel object; `write` makes the file and `target` puts it under its name; `resume` is where a restored process begins.
//! `clocks` has the clocks go on in another boot. `api` is what the program can call. `interpose` keeps the program from taking the signal away; `lazy` has memory that is mapped from an image be like other memory; `locks` gives held locks the new ids of their owners; `handlers` has the program's handlers end calls that a checkpoint has interrupted; `alternate` gives its threads stacks for the handler.
#![no_std]

mod alternate;
mod apart;
mod api;
mod checkpoint;
mod clocks;
mod collect;
mod cpu_time;
mod environment;
mod failure;
mod go;
mod handlers;
mod interpose;
mod lazy;
mod loaded;
mod locks;
mod own_stack;
mod put_off;
mod report;
mod resume;
mod settings;
mod signal;
mod snapshot;
mod start;
mod target;
mod thread_local;
mod threads;
mod tiles;
mod vdso;
mod write;

use core::panic::PanicInfo;

// The `libc` crate leaves this to the standard library whenever another package of the build uses it with `std`.
#[link(name = "c")]
unsafe extern "C" {}

/// A panic is a bug of ours, and still the program must not be hurt: it goes on as though no signal had come.
#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    checkpoint::abandon(info)
}
