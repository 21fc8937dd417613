//! What `/proc/PID/fdinfo` says about a descriptor.

use ckpt_sys::bytes::{lines, value_of};
use ckpt_sys::{Line, MapVec, files};

use crate::failure::{Doing, Failure};

/// The lines about one descriptor.
pub struct Info {
    text: MapVec<u8>,
}

impl Info {
    /// Those about no descriptor.
    pub const fn none() -> Self {
        Self {
            text: MapVec::new(),
        }
    }

    /// Reads those about the descriptor `number`.
    ///
    /// # Errors
    /// [`Failure`] if they cannot be read.
    pub fn read(number: u32) -> Result<Self, Failure> {
        let mut new = Self::none();
        new.read_next(number)?;
        Ok(new)
    }

    /// Likewise, in place of what was read before, and in its memory, which counts where there are many.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn read_next(&mut self, number: u32) -> Result<(), Failure> {
        let path = Line::<64>::format(format_args!("/proc/thread-self/fdinfo/{number}"));
        self.text.truncate(0);
        files::read_whole(path.as_c_str(), &mut self.text)
            .doing(format_args!("descriptor {number}"))
    }

    /// What stands behind `prefix` in all lines that begin with it.
    pub fn all<'i>(&'i self, prefix: &'i [u8]) -> impl Iterator<Item = &'i [u8]> {
        lines(&self.text).filter_map(move |line| line.strip_prefix(prefix))
    }

    /// What stands behind `key` and a colon, without the blanks around it.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        value_of(&self.text, key).map(<[u8]>::trim_ascii)
    }
}
