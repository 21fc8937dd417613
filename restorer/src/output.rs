//! Lines on standard error and text on standard output.

use core::fmt;
use core::sync::atomic::{AtomicI32, Ordering};

use ckpt_sys::kernel::signal_bit;
use ckpt_sys::{Errno, Line, calls};
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object};

use crate::Result;

/// Where complaints go: descriptor 2, later a private copy of it; -1 if there was none.
static ERRORS: AtomicI32 = AtomicI32::new(2);

/// The descriptor that complaints go to.
pub fn error_fd() -> i32 {
    ERRORS.load(Ordering::Relaxed)
}

/// Sends complaints to another descriptor from now on.
pub fn set_error_fd(fd: i32) {
    ERRORS.store(fd, Ordering::Relaxed);
}

/// Writes one line.
pub fn complain(text: fmt::Arguments<'_>) {
    let mut line = Line::<8192>::format(format_args!("restorer: {text}"));
    line.truncate(8190);
    line.push(b"\n");
    // Nothing can be said of what cannot be said.
    let _ = write_all(error_fd(), line.as_bytes());
}

/// Writes one line that does not mean the end.
pub fn warn(text: fmt::Arguments<'_>) {
    complain(format_args!("warning: {text}"));
}

fn write_all(fd: i32, mut bytes: &[u8]) -> core::result::Result<(), Errno> {
    while !bytes.is_empty() {
        match calls::write(fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::EINTR) => {}
            Err(errno) => {
                // The signals that a broken pipe or a size limit brings are blocked: take them out of the way of the
                // program, which would get them otherwise.
                let ours = signal_bit(n::SIGPIPE as i32) | signal_bit(n::SIGXFSZ as i32);
                let _ = calls::take_pending(ours);
                return Err(errno);
            }
        }
    }
    Ok(())
}

/// Collects text for standard output.
pub struct Printer {
    line: Line<4096>,
    /// What came of the text so far; behind what could not be written comes nothing more.
    written: core::result::Result<(), Errno>,
}

impl Printer {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            line: Line::new(),
            written: Ok(()),
        }
    }

    /// Writes what was collected. Says whether all of the text could be written.
    pub fn finish(mut self) -> Result<()> {
        self.flush();
        self.written.map_err(|errno| {
            Error::new(
                Exit::Host,
                Object::Thing("standard output"),
                Cause::Failed("cannot be written", errno),
                "send it elsewhere",
            )
        })
    }

    fn flush(&mut self) {
        let line = &self.line;
        self.written = self.written.and_then(|()| write_all(1, line.as_bytes()));
        self.line.truncate(0);
    }
}

impl fmt::Write for Printer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.line.as_bytes().len() + text.len() > 4000 {
            self.flush();
        }
        if text.len() > 4000 {
            self.written = self.written.and_then(|()| write_all(1, text.as_bytes()));
        } else {
            self.line.push(text.as_bytes());
        }
        self.written.map_err(|_| fmt::Error)
    }
}

/// Writes text to standard output.
pub fn print(text: fmt::Arguments<'_>) -> Result<()> {
    let mut printer = Printer::new();
    // The printer remembers what went wrong.
    let _ = fmt::write(&mut printer, text);
    printer.finish()
}
