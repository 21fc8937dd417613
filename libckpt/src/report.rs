//! The line that says what came of a checkpoint, on stderr or in a file.
//!
//! Async-signal-safe: see `signal`.

use core::fmt;

use ckpt_image::regions::FileIdentity;
use ckpt_sys::kernel::signal_bit;
use ckpt_sys::line::Path;
use ckpt_sys::{Errno, Line, calls, files};
use linux_raw_sys::general as n;

use crate::signal::Owned;
use crate::start::START;

const STDERR: i32 = 2;

/// The file behind descriptor 2 at the start. A program that closes it and opens a file of its own there does not
/// want our lines in that file.
static STDERR_AT_START: Owned<Option<(u64, FileIdentity)>> = Owned::new(None);

fn stderr_now() -> Option<(u64, FileIdentity)> {
    let stat = calls::fstat(STDERR).ok()?;
    let identity = FileIdentity {
        device: stat.st_dev,
        inode: stat.st_ino,
        ..FileIdentity::default()
    };
    Some((stat.st_rdev, identity))
}

/// Takes descriptor 2 as it is now for the place where lines go. Called at start, and when a process was restored.
pub fn remember_stderr() {
    // SAFETY: the caller is the constructor or runs on libckpt's stack.
    unsafe { *STDERR_AT_START.get() = stderr_now() };
}

/// Whether descriptor 2 is still what it was at the start.
pub fn stderr_is_ours() -> bool {
    // SAFETY: the caller runs on libckpt's stack.
    let at_start = unsafe { *STDERR_AT_START.get() };
    at_start.is_some() && at_start == stderr_now()
}

/// Whether lines are written to stderr at all.
pub fn speaks() -> bool {
    // SAFETY: the caller runs on libckpt's stack; nobody writes the settings any more.
    let quiet = unsafe { START.get() }.settings.quiet;
    !quiet && stderr_is_ours()
}

/// Writes one line to `CKPT_LOG`. Without that, or if it cannot be written there, to stderr, unless descriptor 2 has become something else or
/// does not take it at once.
pub fn line(text: fmt::Arguments<'_>) {
    // SAFETY: the caller runs on libckpt's stack; nobody writes the settings any more.
    let settings = &unsafe { START.get() }.settings;
    if settings.quiet {
        return;
    }
    let mut line = Line::<2048>::format(format_args!("libckpt: {text}"));
    line.truncate(2046);
    line.push(b"\n");
    let is_logged = !settings.log.as_bytes().is_empty() && append(&settings.log, &line).is_ok();
    if is_logged || !stderr_is_ours() {
        return;
    }
    let ready = calls::poll_now(STDERR, n::POLLOUT).unwrap_or(0);
    if ready & (n::POLLOUT | n::POLLERR) != 0 {
        let _ = write(STDERR, line.as_bytes());
    }
}

/// Appends a line to a file.
fn append(path: &Path, line: &Line<2048>) -> Result<(), Errno> {
    // A named pipe that nobody reads is no place for it.
    let flags = n::O_WRONLY | n::O_APPEND | n::O_CREAT | n::O_NOCTTY | n::O_NONBLOCK;
    let file = calls::open_at(calls::AT_FDCWD, path.as_c_str(), flags, 0o600)?;
    write(file.number(), line.as_bytes())
}

/// Writes to what may be a pipe, or a file of which the program may not write more.
fn write(fd: i32, line: &[u8]) -> Result<(), Errno> {
    // A line that would exceed the limit of file sizes would cost the program a SIGXFSZ.
    if would_exceed_file_limit(fd, line.len() as u64) {
        return Err(Errno::EFBIG);
    }
    let sigpipe = signal_bit(n::SIGPIPE as i32);
    let before = calls::pending().unwrap_or(sigpipe);
    let written = calls::write(fd, line);
    if written == Err(Errno::EPIPE) && before & sigpipe == 0 {
        // The signal that we caused ourselves waits for the mask to be lifted: it must not reach the program.
        let _ = calls::take_pending(sigpipe);
    }
    written.map(drop)
}

fn would_exceed_file_limit(fd: i32, more: u64) -> bool {
    let Ok(stat) = calls::fstat(fd) else {
        return true;
    };
    if !files::is_kind(&stat, n::S_IFREG) {
        return false;
    }
    let flags = calls::fcntl(fd, n::F_GETFL, 0).unwrap_or(0) as u32;
    let position = if flags & n::O_APPEND != 0 {
        stat.st_size as u64
    } else {
        calls::lseek(fd, 0, n::SEEK_CUR).unwrap_or(0) as u64
    };
    let limit = calls::limit(n::RLIMIT_FSIZE as usize, None).map_or(0, |[soft, _]| soft);
    position.saturating_add(more) > limit
}

/// A number of bytes for people.
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return write!(f, "{} bytes", self.0);
        }
        let mut tenths = self.0 * 10 / 1024;
        let mut unit = 0;
        while tenths >= 10_240 && unit + 1 < UNITS.len() {
            tenths /= 1024;
            unit += 1;
        }
        write!(f, "{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// A time, given in nanoseconds, for people.
pub struct Milliseconds(pub u64);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0 / 100_000;
        write!(f, "{}.{} ms", tenths / 10, tenths % 10)
    }
}
