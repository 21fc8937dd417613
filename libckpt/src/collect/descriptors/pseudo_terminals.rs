//! Pseudo-terminals whose master side the program has.

use ckpt_image::descriptors::Kind;
use ckpt_image::objects::pseudo_terminals::PseudoTerminal;
use ckpt_image::regions::FileIdentity;
use ckpt_sys::pseudo_terminal::{self as pty, Content};
use ckpt_sys::terminal::{self, Settings, Size};
use ckpt_sys::{Errno, MapVec, calls, proc};
use linux_raw_sys::general as n;

use super::Descriptors;
use super::kinds::PSEUDO_TERMINALS;
use super::objects::Objects;
use crate::failure::{Doing, Failure};

/// Tells the slave sides of the program's own from other terminals. Both sides get the number of theirs for an inode: all master
/// sides are one file otherwise.
///
/// # Errors
/// [`Failure`] names a master side that does not tell its number.
pub fn find(all: &mut Descriptors) -> Result<(), Failure> {
    let mut numbers = MapVec::new();
    for found in all.found.iter_mut() {
        let descriptor = &mut found.descriptor;
        if descriptor.kind() == Kind::Master {
            let number = descriptor.number;
            let of = pty::number(number as i32).doing(format_args!("descriptor {number}"))?;
            descriptor.file = identity(of);
            numbers
                .push(of)
                .doing(format_args!("memory for the list of descriptors"))?;
        }
    }
    for found in all.found.iter_mut() {
        let descriptor = &mut found.descriptor;
        let may_be = matches!(descriptor.kind(), Kind::Terminal | Kind::Standard);
        if let Some(of) = number_of_slave(descriptor.device)
            && may_be
            && numbers.contains(&of)
        {
            descriptor.kind_number = Kind::Slave as u32;
            descriptor.file = identity(of);
        }
    }
    Ok(())
}

/// The number of the pseudo-terminal whose slave side is this device.
fn number_of_slave(device: u64) -> Option<u32> {
    let major = calls::major(device);
    // 256 of them have the same major number (drivers/tty/pty.c).
    PSEUDO_TERMINALS
        .contains(&major)
        .then(|| ((major - PSEUDO_TERMINALS.start()) << 8 | calls::minor(device)) as u32)
}

/// The number of the pseudo-terminal that controls the session, which the program leads.
fn controlling() -> Result<Option<u32>, Failure> {
    // Field `tty_nr` of proc_pid_stat(5).
    const TERMINAL: usize = 7;
    let leads = calls::getsid(0) == Ok(calls::pid() as usize);
    let stat = proc::ProcessStat::of_this_thread().doing(format_args!("/proc/thread-self/stat"))?;
    Ok(number_of_slave(stat.field(TERMINAL)).filter(|_| leads))
}

fn identity(number: u32) -> FileIdentity {
    FileIdentity {
        inode: number.into(),
        ..FileIdentity::default()
    }
}

/// Reads all of them.
///
/// # Errors
/// [`Failure`] names the first that cannot be read.
pub fn collect(all: &Descriptors, objects: &mut Objects) -> Result<(), Failure> {
    let controlling = controlling()?;
    let masters = all.iter().filter(|one| one.kind() == Kind::Master);
    for one in masters.filter(|one| !one.is_duplicate()) {
        let (number, master) = (one.file.inode as u32, one.number as i32);
        let has_slave = all
            .iter()
            .any(|other| other.kind() == Kind::Slave && other.file.inode == one.file.inode);
        let controls = controlling == Some(number);
        collect_one(number, master, one.flags, has_slave, controls, objects)
            .doing(format_args!("descriptor {master} (a pseudo-terminal)"))??;
    }
    Ok(())
}

fn collect_one(
    number: u32,
    master: i32,
    flags: u32,
    has_slave: bool,
    controls: bool,
    objects: &mut Objects,
) -> Result<Result<(), Failure>, Errno> {
    let settings = terminal::settings(master)?;
    let Size {
        rows,
        columns,
        pixels: [width, height],
    } = terminal::size(master)?;
    let (locked, packets) = (pty::is_locked(master)?, pty::has_packets(master)?);
    // Where another process has the slave side, what is in it is that one's.
    let is_ours = has_slave || calls::poll_now(master, 0)? & n::POLLHUP != 0;
    let content = if is_ours && !locked {
        look(master, flags, packets, &settings)?
    } else {
        Content::default()
    };
    let slave = pty::slave_file(master).and_then(|file| calls::fstat(file.number()))?;
    let saved = PseudoTerminal {
        number,
        locked: locked.into(),
        packets: packets.into(),
        controls: controls.into(),
        owner: [slave.st_uid, slave.st_gid],
        mode: slave.st_mode & 0o777,
        flags: [
            settings.input,
            settings.output,
            settings.control,
            settings.local,
        ],
        line: settings.line,
        characters: settings.characters,
        size: [rows, columns, width, height],
        to_slave: &content.to_slave,
        to_master: &content.to_master,
    };
    let size = content.to_slave.len() + content.to_master.len();
    Ok(objects.add_large(&saved, size))
}

/// Looks at the content, which is taken out and put back.
fn look(master: i32, flags: u32, packets: bool, settings: &Settings) -> Result<Content, Errno> {
    let slave = pty::open_slave(
        master,
        n::O_RDWR | n::O_NOCTTY | n::O_NONBLOCK | n::O_CLOEXEC,
    )?;
    calls::fcntl(master, n::F_SETFL, (flags | n::O_NONBLOCK) as usize)?;
    if packets {
        let _ = pty::set_packets(master, false);
    }
    let content = Content::take(master, slave.number(), settings).and_then(|content| {
        let (to_slave, to_master) = (&content.to_slave, &content.to_master);
        pty::put(master, slave.number(), settings, to_slave, to_master).map(|()| content)
    });
    if packets {
        let _ = pty::set_packets(master, true);
    }
    let _ = calls::fcntl(master, n::F_SETFL, flags as usize);
    if content.is_err() {
        let _ = terminal::set_settings(slave.number(), settings);
    }
    content
}
