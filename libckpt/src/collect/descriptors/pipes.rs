//! Pipes.

use linux_raw_sys::general as n;

use super::{Descriptors, Found};
use crate::failure::{Failure, failure};

/// Refuses pipes whose both ends are inside the program: what is in them is not saved yet.
pub fn check(all: &Descriptors) -> Result<(), Failure> {
    let is_pipe = |found: &&Found| {
        let path = &all.paths[found.path_at..found.path_at + found.path_length];
        path.starts_with(b"pipe:[")
    };
    let access = |found: &Found| found.descriptor.flags & n::O_ACCMODE;
    for pipe in all.found.iter().filter(is_pipe) {
        let other_end = all.found.iter().find(|other| {
            other.descriptor.file.same_file(&pipe.descriptor.file) && access(other) != access(pipe)
        });
        if let Some(other_end) = other_end {
            return Err(failure!(
                "descriptors {} and {}: a pipe within the program is not supported yet; send the signal when it is \
                 closed",
                pipe.descriptor.number,
                other_end.descriptor.number
            ));
        }
    }
    Ok(())
}
