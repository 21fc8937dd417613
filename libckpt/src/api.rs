//! What the program can ask of libckpt, as `ckpt.h` describes it.

use core::ffi::{c_int, c_uint};

use ckpt_sys::calls;

use crate::interpose;
use crate::resume::generation;
use crate::signal::checkpoint_signal;

/// How often the process has been restored.
#[unsafe(no_mangle)]
pub extern "C" fn ckpt_generation() -> c_uint {
    generation()
}

/// Takes a checkpoint: 0 in the process that goes on, 1 in the restored one, -1 if libckpt is off.
#[unsafe(no_mangle)]
pub extern "C" fn ckpt_checkpoint() -> c_int {
    let before = generation();
    match checkpoint_signal() {
        _ if interpose::dispatches_calls() => -1,
        0 => -1,
        // The kernel delivers a signal to its sender before the call returns (POSIX, kill), and this one is never blocked.
        signal => match calls::tgkill(calls::pid(), calls::tid(), signal) {
            Ok(_) => c_int::from(generation() != before),
            Err(_) => -1,
        },
    }
}
