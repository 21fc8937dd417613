//! What `/proc` shows of event counters (eventfd(2)): `eventfd_show_fdinfo` in fs/eventfd.c.

use crate::bytes::{decimal, hex, value_of};
use crate::{Errno, Line, files};

/// What is shown of one.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Its value.
    pub count: u64,
    /// A number that no other one in the whole system has, as long as it exists; since Linux 5.2.
    pub id: Option<u64>,
    /// Whether a read takes one off it (`EFD_SEMAPHORE`); since Linux 6.5.
    pub is_semaphore: Option<bool>,
}

/// Looks at the one behind the descriptor `number`.
///
/// # Errors
/// As for open(2) and read(2); `EINVAL` if it is none.
pub fn look(number: u32) -> Result<Shown, Errno> {
    let path = Line::<64>::format(format_args!("/proc/thread-self/fdinfo/{number}"));
    let text: Line<512> = files::read_small(path.as_c_str())?;
    let value = |key| value_of(text.as_bytes(), key).map(<[u8]>::trim_ascii);
    Ok(Shown {
        count: value("eventfd-count").and_then(hex).ok_or(Errno::EINVAL)?,
        id: value("eventfd-id").and_then(decimal),
        is_semaphore: value("eventfd-semaphore")
            .and_then(decimal)
            .map(|number| number != 0),
    })
}
