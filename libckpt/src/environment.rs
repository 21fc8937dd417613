//! The environment with which the program was started. Read from `/proc`, since libc does not know it yet when our
//! constructor runs.

use core::ffi::CStr;

use ckpt_sys::{MapVec, files};

/// All variables, as `NAME=VALUE`, each with its NUL.
#[derive(Debug)]
pub struct Environment(MapVec<u8>);

impl Environment {
    /// Reads it. Where there is no `/proc`, it is empty; each checkpoint will say what is missing.
    pub fn read() -> Self {
        let mut text = MapVec::new();
        let read = files::read_whole(c"/proc/self/environ", &mut text);
        Self(if read.is_ok() { text } else { MapVec::new() })
    }

    /// The value of a variable, as getenv(3) finds it.
    pub fn variable(&self, name: &CStr) -> Option<&[u8]> {
        self.0
            .split(|&byte| byte == 0)
            .find_map(|entry| entry.strip_prefix(name.to_bytes())?.strip_prefix(b"="))
    }
}
