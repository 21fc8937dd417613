//! What `/proc/PID/fdinfo` says about a descriptor.

use ckpt_sys::bytes::{lines, value_of};
use ckpt_sys::{Line, files};

use crate::failure::{Doing, Failure, failure};

/// The lines about one descriptor.
pub struct Info {
    text: Line<4096>,
}

impl Info {
    /// Reads them.
    ///
    /// # Errors
    /// [`Failure`] if there are more than fit.
    pub fn read(number: u32) -> Result<Self, Failure> {
        let path = Line::<64>::format(format_args!("/proc/thread-self/fdinfo/{number}"));
        let text: Line<4096> =
            files::read_small(path.as_c_str()).doing(format_args!("descriptor {number}"))?;
        if text.is_cut() {
            return Err(failure!("descriptor {number}: it holds too many locks"));
        }
        Ok(Self { text })
    }

    /// What stands behind `prefix` in all lines that begin with it.
    pub fn all<'i>(&'i self, prefix: &'i [u8]) -> impl Iterator<Item = &'i [u8]> {
        lines(self.text.as_bytes()).filter_map(move |line| line.strip_prefix(prefix))
    }

    /// What stands behind `key` and a colon, without the blanks around it.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        value_of(self.text.as_bytes(), key).map(<[u8]>::trim_ascii)
    }
}
