//! Terminals (ioctl_tty(2)).

use linux_raw_sys::ioctl as i;

use crate::calls::{self, Done};
use crate::errno::Errno;

/// Settings of a terminal: `struct termios` of the kernel (include/uapi/asm-generic/termbits.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `c_iflag`.
    pub input: u32,
    /// `c_oflag`.
    pub output: u32,
    /// `c_cflag`.
    pub control: u32,
    /// `c_lflag`.
    pub local: u32,
    /// `c_line`.
    pub line: u8,
    /// `c_cc`.
    pub characters: [u8; CHARACTERS],
}

/// Number of control characters (`NCCS`).
pub const CHARACTERS: usize = 19;

const _: () = assert!(size_of::<Settings>() == 36);

/// The settings of the terminal `fd`.
///
/// # Errors
/// `ENOTTY` if it is none.
pub fn settings(fd: i32) -> Result<Settings, Errno> {
    let mut settings = Settings {
        input: 0,
        output: 0,
        control: 0,
        local: 0,
        line: 0,
        characters: [0; CHARACTERS],
    };
    // SAFETY: the kernel writes one struct.
    unsafe { calls::ioctl(fd, i::TCGETS, &raw mut settings as usize)? };
    Ok(settings)
}

/// Gives the terminal `fd` other settings, at once.
///
/// # Errors
/// Those of the system call.
pub fn set_settings(fd: i32, settings: &Settings) -> Done {
    // SAFETY: the kernel reads one struct.
    unsafe { calls::ioctl(fd, i::TCSETS, &raw const *settings as usize).map(drop) }
}

/// The process group in the foreground of the terminal `fd`.
///
/// # Errors
/// `ENOTTY` if it is not the controlling terminal of the process.
pub fn foreground(fd: i32) -> Result<i32, Errno> {
    let mut group = 0i32;
    // SAFETY: the kernel writes one number.
    unsafe { calls::ioctl(fd, i::TIOCGPGRP, &raw mut group as usize)? };
    Ok(group)
}

/// Makes the terminal `fd` the controlling terminal of the session that the process leads, with the process in its foreground.
///
/// # Errors
/// `EPERM` if the process leads none, or that has a terminal, or the terminal a session.
pub fn control(fd: i32) -> Done {
    // SAFETY: the request takes a number.
    unsafe { calls::ioctl(fd, i::TIOCSCTTY, 0).map(drop) }
}

/// Size of a screen: `struct winsize` (include/uapi/asm-generic/termios.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Rows of characters.
    pub rows: u16,
    /// Columns of characters.
    pub columns: u16,
    /// Width and height in pixels.
    pub pixels: [u16; 2],
}

const _: () = assert!(size_of::<Size>() == 8);

/// The size of the terminal `fd`.
///
/// # Errors
/// `ENOTTY` if it is none.
pub fn size(fd: i32) -> Result<Size, Errno> {
    let mut size = Size::default();
    // SAFETY: the kernel writes one struct.
    unsafe { calls::ioctl(fd, i::TIOCGWINSZ, &raw mut size as usize)? };
    Ok(size)
}

/// How many bytes can be read from the terminal `fd`.
///
/// # Errors
/// `ENOTTY` if it is none.
pub fn unread(fd: i32) -> Result<usize, Errno> {
    let mut bytes = 0i32;
    // SAFETY: the kernel writes one number.
    unsafe { calls::ioctl(fd, i::FIONREAD, &raw mut bytes as usize)? };
    Ok(bytes as usize)
}

/// Gives the terminal `fd` another size.
///
/// # Errors
/// Those of the system call.
pub fn set_size(fd: i32, size: Size) -> Done {
    // SAFETY: the kernel reads one struct.
    unsafe { calls::ioctl(fd, i::TIOCSWINSZ, &raw const size as usize).map(drop) }
}
