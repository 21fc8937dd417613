//! What the kernel tells of a thread that is blocked in a system call.

use crate::bytes::{decimal, fields, hex};

/// One line of `/proc/PID/task/TID/syscall` (proc_pid_syscall(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Number of the call.
    pub number: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// Stack pointer.
    pub stack: u64,
    /// Address behind the `syscall` instruction.
    pub instruction: u64,
}

impl Observed {
    /// The call that `line` shows; `None` if the thread was running, or blocked elsewhere (`-1`).
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = fields(line.trim_ascii_end());
        let number = u32::try_from(decimal(fields.next()?)?).ok()?;
        let mut address = || hex(fields.next()?.strip_prefix(b"0x")?);
        let mut arguments = [0; 6];
        for argument in &mut arguments {
            *argument = address()?;
        }
        Some(Self {
            number,
            arguments,
            stack: address()?,
            instruction: address()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let line = b"230 0x0 0x0 0x7ffd1 0x7ffd2 0x4 0xffffffffffffffff 0x7ffc0 0x7f4a1b2c\n";
        let expected = Observed {
            number: 230,
            arguments: [0, 0, 0x7ffd1, 0x7ffd2, 4, u64::MAX],
            stack: 0x7ffc0,
            instruction: 0x7f4a_1b2c,
        };
        assert_eq!(Observed::parse(line), Some(expected));
    }

    #[test]
    fn a_thread_without_a_call_has_none() {
        for line in [
            &b"running\n"[..],
            b"-1 0x7ffc0 0x7f4a1b2c\n",
            b"",
            b"230 0x0\n",
            b"7 0 0 0 0 0 0 0 0\n",
        ] {
            assert_eq!(Observed::parse(line), None);
        }
    }
}
