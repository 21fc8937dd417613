//! The system calls that libckpt and the restorer use, one typed function each. What a call does, and which errors it
//! has, is in section 2 of the manual under the name that each function's first line gives.
//!
//! A function is `unsafe` where the call can break memory safety: where it changes mappings or writes to an address.

/// Defines functions whose arguments are numbers and that cannot break memory safety.
macro_rules! plain {
    ($($(#[$meta:meta])* $name:ident = $number:ident($($argument:ident: $type:ty),*);)*) => {$(
        $(#[$meta])*
        ///
        /// # Errors
        /// Those of the system call.
        pub fn $name($($argument: $type),*) -> Result<usize, Errno> {
            // SAFETY: the call only takes numbers and changes nothing in memory.
            unsafe { call(n::$number, [$($argument as usize),*]) }
        }
    )*};
}

mod descriptors;
mod files;
mod identity;
mod mappings;
mod memory;
mod objects;
mod paths;
mod processes;
mod signals;
mod time;
mod waiting;

pub use self::descriptors::*;
pub use self::files::*;
pub use self::identity::*;
pub use self::mappings::*;
pub use self::memory::*;
pub use self::objects::*;
pub use self::paths::*;
pub use self::processes::*;
pub use self::signals::*;
pub use self::time::*;
pub use self::waiting::*;
use crate::errno::Errno;

/// Result of a call that returns nothing.
pub type Done = Result<(), Errno>;
