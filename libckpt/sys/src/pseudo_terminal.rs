//! Pseudo-terminals (pty(7)): what is in them. It can only be read by taking it out, so it is put back afterwards; nobody else may
//! use them meanwhile.

use linux_raw_sys::general as n;
use linux_raw_sys::ioctl as i;

use crate::calls::{self, Done};
use crate::errno::Errno;
use crate::fd::Fd;
use crate::map_vec::MapVec;
use crate::terminal::{self, Settings};

/// Asks the pseudo-terminal for a number by one of the requests that write one.
fn ask(master: i32, request: u32) -> Result<u32, Errno> {
    let mut value = 0u32;
    // SAFETY: the requests that this module uses write one number.
    unsafe { calls::ioctl(master, request, &raw mut value as usize)? };
    Ok(value)
}

/// The number of a pseudo-terminal, as in `/dev/pts/NUMBER`.
///
/// # Errors
/// `ENOTTY` if `master` is not the master side of one.
pub fn number(master: i32) -> Result<u32, Errno> {
    ask(master, i::TIOCGPTN)
}

/// Whether its slave side cannot be opened.
///
/// # Errors
/// Those of the system call.
pub fn is_locked(master: i32) -> Result<bool, Errno> {
    ask(master, i::TIOCGPTLCK).map(|locked| locked != 0)
}

/// Whether its master side reads packets.
///
/// # Errors
/// Those of the system call.
pub fn has_packets(master: i32) -> Result<bool, Errno> {
    ask(master, i::TIOCGPKT).map(|packets| packets != 0)
}

fn tell(master: i32, request: u32, value: bool) -> Done {
    let value = u32::from(value);
    // SAFETY: the requests that this module uses read one number.
    unsafe { calls::ioctl(master, request, &raw const value as usize).map(drop) }
}

/// Says whether its slave side can be opened.
///
/// # Errors
/// Those of the system call.
pub fn lock(master: i32, locked: bool) -> Done {
    tell(master, i::TIOCSPTLCK, locked)
}

/// Says whether its master side reads packets.
///
/// # Errors
/// Those of the system call.
pub fn set_packets(master: i32, packets: bool) -> Done {
    tell(master, i::TIOCPKT, packets)
}

/// Opens its slave side, wherever that has a name.
///
/// # Errors
/// Those of the system call.
pub fn open_slave(master: i32, flags: u32) -> Result<Fd, Errno> {
    // SAFETY: the request takes a number.
    let fd = unsafe { calls::ioctl(master, i::TIOCGPTPEER, flags as usize)? };
    Ok(Fd::owning(fd as i32))
}

/// The file of its slave side, which is not opened by that (`O_PATH`), so that nobody notices.
///
/// # Errors
/// Those of the system call.
pub fn slave_file(master: i32) -> Result<Fd, Errno> {
    open_slave(master, n::O_PATH | n::O_CLOEXEC)
}

/// What was written to one side and not yet read from the other.
#[derive(Debug, Default)]
pub struct Content {
    /// By the master; lines, and perhaps a part of one, where the slave side reads lines.
    pub to_slave: MapVec<u8>,
    /// By the slave.
    pub to_master: MapVec<u8>,
}

impl Content {
    /// Takes it out. Neither side blocks, and the master side reads no packets. The slave side, if it reads lines, does not
    /// when this returns.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn take(master: i32, slave: i32, settings: &Settings) -> Result<Self, Errno> {
        let mut content = Self::default();
        let taken = take_from(slave, &mut content.to_slave);
        // What is not yet a line is read as it is.
        let mut plain = literal(settings);
        plain.local = 0;
        let taken = taken
            .and_then(|()| terminal::set_settings(slave, &plain))
            .and_then(|()| take_from(slave, &mut content.to_slave));
        taken.and_then(|()| take_from(master, &mut content.to_master))?;
        Ok(content)
    }
}

/// Puts content into a pseudo-terminal that is empty, and gives it `settings`.
///
/// # Errors
/// Those of the system calls; `EAGAIN` if there is no room.
pub fn put(
    master: i32,
    slave: i32,
    settings: &Settings,
    to_slave: &[u8],
    to_master: &[u8],
) -> Done {
    terminal::set_settings(slave, &literal(settings))?;
    let written = put_to_slave(master, to_slave).and_then(|()| put_to(slave, to_master));
    terminal::set_settings(slave, settings)?;
    written
}

/// What is written to the master side is looked at a moment later, with the settings that hold then (`flush_to_ldisc` in
/// drivers/tty/tty_buffer.c): this returns when that has happened, which the echo shows.
fn put_to_slave(master: i32, bytes: &[u8]) -> Done {
    /// What lies behind waits until the slave side reads (`N_TTY_BUF_SIZE` in drivers/tty/n_tty.c).
    const LOOKED_AT: usize = 4095;
    /// For a machine that is very busy, in milliseconds.
    const LONG: u32 = 10_000;
    put_to(master, bytes)?;
    let mut missing = bytes.len().min(LOOKED_AT);
    let mut echo = [0; LOOKED_AT];
    while missing != 0 {
        match calls::read(master, &mut echo[..missing]) {
            Ok(count) => missing -= count,
            Err(Errno::EAGAIN) => {
                if calls::poll(master, n::POLLIN, LONG)? == 0 {
                    return Err(Errno::EAGAIN);
                }
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Settings with which everything passes as it is, and is echoed, but that lines are lines.
fn literal(settings: &Settings) -> Settings {
    Settings {
        input: 0,
        output: 0,
        control: settings.control,
        local: settings.local & (n::ICANON | n::EXTPROC) | n::ECHO,
        line: settings.line,
        // No character has a meaning, and nothing is waited for.
        characters: [0; terminal::CHARACTERS],
    }
}

fn take_from(side: i32, to: &mut MapVec<u8>) -> Done {
    let mut buffer = [0; 4096];
    loop {
        match calls::read(side, &mut buffer) {
            // EIO: the other side is closed, and all is read.
            Ok(0) | Err(Errno::EAGAIN | Errno::EIO) => return Ok(()),
            Ok(count) => to.extend(&buffer[..count])?,
            Err(errno) => return Err(errno),
        }
    }
}

fn put_to(side: i32, mut bytes: &[u8]) -> Done {
    while !bytes.is_empty() {
        let count = calls::write(side, bytes)?;
        bytes = &bytes[count..];
    }
    Ok(())
}
