//! Reading a file of `/proc` line by line.

use core::ffi::CStr;

use linux_raw_sys::general as n;

use crate::{Errno, Fd, calls};

/// Reads a file line by line through a buffer, since smaps of a large process has tens of megabytes.
#[derive(Debug)]
pub struct LineReader<'b> {
    fd: Fd,
    buffer: &'b mut [u8],
    start: usize,
    end: usize,
}

impl<'b> LineReader<'b> {
    /// Opens the file at `path`, none of whose lines is longer than `buffer`.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: &CStr, buffer: &'b mut [u8]) -> Result<Self, Errno> {
        Ok(Self {
            fd: calls::open(path, n::O_RDONLY)?,
            buffer,
            start: 0,
            end: 0,
        })
    }

    /// The next line, without its newline; `None` at the end of the file.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, Errno> {
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(length) = unread.iter().position(|&byte| byte == b'\n') {
                let line = self.start..self.start + length;
                self.start = line.end + 1;
                return Ok(Some(&self.buffer[line]));
            }
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            match calls::read(self.fd.number(), &mut self.buffer[self.end..]) {
                Ok(0) => return Ok(None),
                Ok(count) => self.end += count,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}
