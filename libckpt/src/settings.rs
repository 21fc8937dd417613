//! The `CKPT_*` environment variables, read once at start.

use core::ffi::CStr;

use ckpt_sys::bytes::decimal;
use ckpt_sys::line::{Path, Text};
use ckpt_sys::{Line, calls};
use linux_raw_sys::general as n;

use crate::environment::Environment;

/// What happens after a checkpoint (`CKPT_AFTER`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The program goes on.
    Continue,
    /// The program ends, with status [`EXIT_STATUS`].
    Exit,
}

/// Status with which `CKPT_AFTER=exit` ends the program.
pub const EXIT_STATUS: i32 = 85;

/// Who writes the image (`CKPT_MODE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A copy of the process, while the program goes on.
    Fork,
    /// The program itself, which stands still meanwhile.
    Stop,
}

/// What happens with a program that has children (`CKPT_CHILDREN`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Children {
    /// There is no checkpoint.
    Refuse,
    /// The program is saved without them.
    Ignore,
}

/// What is done to the data of an image (`CKPT_COMPRESS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    None,
    /// It is compressed.
    Lz4,
}

/// What the program learns of io_uring (`CKPT_IO_URING`), of which no process with one can be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoUring {
    /// syscall(3) says that the kernel has none: programs then do without, as they have to on many systems.
    Hide,
    /// What the kernel says.
    Allow,
}

/// All settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The image's path, in which `%p` stands for the pid (`CKPT_FILE`).
    pub file: Path,
    /// The checkpoint signal (`CKPT_SIGNAL`).
    pub signal: i32,
    /// The file that lines are appended to; empty for stderr (`CKPT_LOG`).
    pub log: Path,
    /// Whether no lines are written (`CKPT_QUIET`).
    pub quiet: bool,
    /// `CKPT_AFTER`.
    pub after: After,
    /// `CKPT_MODE`.
    pub mode: Mode,
    /// `CKPT_CHILDREN`.
    pub children: Children,
    /// How long threads may take to stop, in nanoseconds (`CKPT_TIMEOUT`, in seconds).
    pub timeout: u64,
    /// How many bytes of deleted files an image takes at most (`CKPT_DELETED`).
    pub deleted: u64,
    /// Whether what mapped files still hold is left out of the image (`CKPT_THIN`).
    pub thin: bool,
    /// `CKPT_COMPRESS`.
    pub compression: Compression,
    /// `CKPT_IO_URING`.
    pub io_uring: IoUring,
}

/// `CKPT_DELETED` where it is not set: enough for what programs keep in temporary files, and too little to fill a disk.
const DELETED: u64 = 1 << 30;

/// `CKPT_TIMEOUT` where it is not set, in seconds, and the most that it can be.
const TIMEOUT: u64 = 10;
const LONGEST_TIMEOUT: u64 = 3600;
const SECOND: u64 = 1_000_000_000;

/// A setting that cannot be used: its name, its value, and why.
pub struct Invalid<'e> {
    name: &'static CStr,
    value: &'e [u8],
    why: &'static str,
}

/// Names of signals without `SIG`, for `CKPT_SIGNAL`.
const SIGNAL_NAMES: [(&[u8], u32); 20] = [
    (b"HUP", n::SIGHUP),
    (b"INT", n::SIGINT),
    (b"QUIT", n::SIGQUIT),
    (b"USR1", n::SIGUSR1),
    (b"USR2", n::SIGUSR2),
    (b"PIPE", n::SIGPIPE),
    (b"ALRM", n::SIGALRM),
    (b"TERM", n::SIGTERM),
    (b"STKFLT", n::SIGSTKFLT),
    (b"CHLD", n::SIGCHLD),
    (b"TSTP", n::SIGTSTP),
    (b"TTIN", n::SIGTTIN),
    (b"TTOU", n::SIGTTOU),
    (b"URG", n::SIGURG),
    (b"XCPU", n::SIGXCPU),
    (b"VTALRM", n::SIGVTALRM),
    (b"PROF", n::SIGPROF),
    (b"WINCH", n::SIGWINCH),
    (b"IO", n::SIGIO),
    (b"PWR", n::SIGPWR),
];

/// Signals that cannot carry a checkpoint: those that cannot be caught, those that the processor raises, and the two that
/// glibc keeps for itself.
const UNUSABLE: [u32; 11] = [
    n::SIGKILL,
    n::SIGSTOP,
    n::SIGCONT,
    n::SIGSEGV,
    n::SIGBUS,
    n::SIGFPE,
    n::SIGILL,
    n::SIGTRAP,
    n::SIGSYS,
    32,
    33,
];

impl Settings {
    /// What holds where no variable is set.
    pub const fn defaults() -> Self {
        Self {
            file: Path::new(),
            signal: n::SIGUSR2 as i32,
            log: Path::new(),
            quiet: false,
            after: After::Continue,
            mode: Mode::Fork,
            children: Children::Refuse,
            timeout: TIMEOUT * SECOND,
            deleted: DELETED,
            thin: false,
            compression: Compression::None,
            io_uring: IoUring::Hide,
        }
    }

    /// Reads the variables.
    ///
    /// # Errors
    /// [`Invalid`] names the first one that cannot be used.
    pub fn read(environment: Environment<'_>) -> Result<Self, Invalid<'_>> {
        let mut new = Self::defaults();
        new.file.push(b"myckpt");
        take(environment, c"CKPT_FILE", &mut new.file, check_file)?;
        take(environment, c"CKPT_SIGNAL", &mut new.signal, check_signal)?;
        take(environment, c"CKPT_LOG", &mut new.log, check_path)?;
        take(environment, c"CKPT_QUIET", &mut new.quiet, yes_or_no)?;
        take(
            environment,
            c"CKPT_AFTER",
            &mut new.after,
            |value| match value {
                b"continue" => Ok(After::Continue),
                b"exit" => Ok(After::Exit),
                _ => Err("it is `continue` or `exit`"),
            },
        )?;
        take(
            environment,
            c"CKPT_MODE",
            &mut new.mode,
            |value| match value {
                b"fork" => Ok(Mode::Fork),
                b"stop" => Ok(Mode::Stop),
                _ => Err("it is `fork` or `stop`"),
            },
        )?;
        take(
            environment,
            c"CKPT_CHILDREN",
            &mut new.children,
            |value| match value {
                b"refuse" => Ok(Children::Refuse),
                b"ignore" => Ok(Children::Ignore),
                _ => Err("it is `refuse` or `ignore`"),
            },
        )?;
        take(environment, c"CKPT_TIMEOUT", &mut new.timeout, |value| {
            decimal(value)
                .filter(|seconds| (1..=LONGEST_TIMEOUT).contains(seconds))
                .map(|seconds| seconds * SECOND)
                .ok_or("it is a number of seconds from 1 to 3600")
        })?;
        take(environment, c"CKPT_DELETED", &mut new.deleted, |value| {
            size(value)
                .ok_or("it is a number of bytes, or of KiB, MiB, or GiB with K, M, or G behind it")
        })?;
        take(environment, c"CKPT_THIN", &mut new.thin, yes_or_no)?;
        take(
            environment,
            c"CKPT_COMPRESS",
            &mut new.compression,
            |value| match value {
                b"none" => Ok(Compression::None),
                b"lz4" => Ok(Compression::Lz4),
                _ => Err("it is `none` or `lz4`"),
            },
        )?;
        take(
            environment,
            c"CKPT_IO_URING",
            &mut new.io_uring,
            |value| match value {
                b"hide" => Ok(IoUring::Hide),
                b"allow" => Ok(IoUring::Allow),
                _ => Err("it is `hide` or `allow`"),
            },
        )?;
        Ok(new)
    }

    /// The image's path for process `pid`.
    pub fn path_for(&self, pid: i32) -> Path {
        expand(self.file.as_bytes(), pid)
    }
}

/// Puts the value of a variable into `setting`, if it is set; `read` says why a value cannot be used.
fn take<'e, T>(
    environment: Environment<'e>,
    name: &'static CStr,
    setting: &mut T,
    read: impl FnOnce(&[u8]) -> Result<T, &'static str>,
) -> Result<(), Invalid<'e>> {
    if let Some(value) = environment.variable(name) {
        *setting = read(value).map_err(|why| Invalid { name, value, why })?;
    }
    Ok(())
}

fn yes_or_no(value: &[u8]) -> Result<bool, &'static str> {
    match value {
        b"" | b"0" => Ok(false),
        b"1" => Ok(true),
        _ => Err("it is 0 or 1"),
    }
}

/// `template` with `%p` replaced by `pid` and `%%` by a percent sign.
pub fn expand(template: &[u8], pid: i32) -> Path {
    let mut path = Path::new();
    let mut rest = template;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind.first()) {
            (b'%', Some(b'p')) => {
                path.push(Line::<16>::format(format_args!("{pid}")).as_bytes());
                rest = &behind[1..];
            }
            (b'%', Some(b'%')) => {
                path.push(b"%");
                rest = &behind[1..];
            }
            _ => path.push(&[byte]),
        }
    }
    path
}

/// A number of bytes, such as `4096` or `100M`.
fn size(value: &[u8]) -> Option<u64> {
    let (number, unit) = match value.split_last()? {
        (b'K', number) => (number, 1 << 10),
        (b'M', number) => (number, 1 << 20),
        (b'G', number) => (number, 1 << 30),
        _ => (value, 1),
    };
    decimal(number)?.checked_mul(unit)
}

fn check_file(value: &[u8]) -> Result<Path, &'static str> {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        if !matches!(rest.get(at + 1), Some(b'p' | b'%')) {
            return Err("it has a `%` that is neither `%p` (the pid) nor `%%`");
        }
        rest = &rest[at + 2..];
    }
    check_path(value)
}

fn check_path(value: &[u8]) -> Result<Path, &'static str> {
    if value.is_empty() {
        return Err("it is empty");
    }
    if value.ends_with(b"/") {
        return Err("it ends with a slash and is no file name");
    }
    let mut path = Path::new();
    path.push(value);
    // Room for the pid, the temporary name and the suffix.
    if path.is_cut() || value.len() > 4000 {
        Err("it is too long")
    } else {
        Ok(path)
    }
}

fn check_signal(value: &[u8]) -> Result<i32, &'static str> {
    let name = value.strip_prefix(b"SIG").unwrap_or(value);
    let by_name = SIGNAL_NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|&(_, number)| u64::from(number));
    let number = by_name
        .or_else(|| decimal(value))
        .ok_or("it is neither the number nor the name of a signal")?;
    if !(1..=64).contains(&number) {
        return Err("signals have the numbers 1 to 64");
    }
    if UNUSABLE
        .iter()
        .any(|&unusable| u64::from(unusable) == number)
    {
        return Err("this signal cannot be used; 10, 12 and 34 to 64 can");
    }
    Ok(number as i32)
}

/// Says on stderr what is wrong with a setting, and what follows from that.
pub fn complain(invalid: &Invalid<'_>, consequence: &str) {
    // The end of the line says what is wrong: a long value is cut, not the line.
    const SHOWN: usize = 100;
    let (value, more) = match invalid.value.get(..SHOWN) {
        Some(beginning) => (beginning, "..."),
        None => (invalid.value, ""),
    };
    let (name, value) = (Text(invalid.name.to_bytes()), Text(value));
    let line = Line::<1024>::format(format_args!(
        "libckpt: {name}={value}{more}: {}; {consequence}\n",
        invalid.why
    ));
    // There is nobody else to tell.
    let _ = calls::write(2, line.as_bytes());
}
