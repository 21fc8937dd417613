//! A kernel that lacks something, as older ones do, or where somebody has forbidden it.

use std::ffi::OsString;

use crate::program::Program;

/// A system call that fails.
#[derive(Clone, Copy, Debug)]
pub struct Missing {
    /// Its number.
    pub call: i64,
    /// Which argument tells that it is meant, and the lower half of that.
    pub argument: (u32, u32),
    /// The error.
    pub error: i32,
}

impl Missing {
    /// The program that runs its arguments without that call, and its own first arguments.
    #[must_use]
    pub fn runner(self) -> (Program, Vec<OsString>) {
        let (index, value) = self.argument;
        let arguments = [
            self.call.to_string(),
            index.to_string(),
            value.to_string(),
            self.error.to_string(),
        ];
        (
            Program::workload("without_call.c"),
            arguments.map(OsString::from).into(),
        )
    }
}
