//! Pseudo-terminals whose master side the program has.

use ckpt_image::descriptors::{Descriptor, Kind};
use ckpt_image::objects::pseudo_terminals::PseudoTerminal;
use ckpt_image::reader::Image;
use ckpt_sys::pseudo_terminal as pty;
use ckpt_sys::terminal::{self, Settings, Size};
use ckpt_sys::{Errno, Fd, Line, calls};
use linux_raw_sys::general as n;
use restart::descriptors::open_flags;

use super::made::Made;
use super::opener::{Problem, failed, set_status};
use crate::output;

/// What [`Made`] keeps of one.
const MASTER: u32 = 0;
const SLAVE: u32 = 1;

/// Opens the side that `descriptor` referred to. The pseudo-terminal is made for the first descriptor of it.
pub fn open(
    descriptor: &Descriptor<'_>,
    image: &Image<'_>,
    made: &mut Made,
) -> Result<Fd, Problem> {
    let master = match made.find(descriptor, MASTER) {
        Some(master) => master,
        None => make(descriptor, image, made)?,
    };
    let side = if descriptor.kind() == Kind::Master {
        made.take(descriptor, MASTER).ok_or(Problem::NoState)?
    } else {
        pty::open_slave(master, open_flags(descriptor.flags))
            .map_err(failed("cannot be opened once more"))?
    };
    set_status(&side, descriptor)?;
    Ok(side)
}

/// Makes it, with what was in it; the number of its master side.
fn make(descriptor: &Descriptor<'_>, image: &Image<'_>, made: &mut Made) -> Result<i32, Problem> {
    let saved = PseudoTerminal::of(descriptor, image).ok_or(Problem::NoState)?;
    let flags = n::O_RDWR | n::O_NOCTTY | n::O_NONBLOCK | n::O_CLOEXEC;
    let master = calls::open(c"/dev/ptmx", flags).map_err(failed("cannot be made again"))?;
    let slave = fill(&master, &saved).map_err(failed("cannot be given its state"))?;
    let mut sides = image.descriptors();
    let has_slave =
        sides.any(|one| one.kind() == Kind::Slave && one.file.inode == descriptor.file.inode);
    if slave.is_some() && !has_slave {
        output::warn(format_args!(
            "descriptor {}: a pseudo-terminal of which no process has the other side now",
            descriptor.number
        ));
    }
    let keep = failed("cannot be kept");
    give_back(&master, descriptor.number, &saved).map_err(failed("cannot be given its owner"))?;
    if let Some(slave) = slave {
        made.keep(descriptor, SLAVE, slave).map_err(&keep)?;
    }
    made.keep(descriptor, MASTER, master).map_err(&keep)
}

/// Gives the slave side the owner and the permissions that it had. Only root can give it to another user, and its group is mostly that of
/// all terminals, which a new one has.
fn give_back(master: &Fd, number: u32, saved: &PseudoTerminal<'_>) -> Result<(), Errno> {
    let slave = pty::slave_file(master.number())?;
    let now = calls::fstat(slave.number())?;
    let [user, group] = saved.owner;
    if now.st_gid != group {
        let _ = calls::change_owner(slave.number(), now.st_uid, group);
    }
    if now.st_uid != user
        && let Err(errno) = calls::change_owner(slave.number(), user, u32::MAX)
    {
        output::warn(format_args!(
            "descriptor {number}: a pseudo-terminal that belonged to the user {user}, and cannot here: {errno}"
        ));
    }
    let path = Line::<32>::format(format_args!("/proc/self/fd/{}", slave.number()));
    let _ = calls::change_mode(path.as_c_str(), saved.mode);
    Ok(())
}

/// Gives the pseudo-terminal its state; its slave side, unless that cannot be opened. That stays open for as long as those of the
/// program are: when the last is closed, the master side is told.
fn fill(master: &Fd, saved: &PseudoTerminal<'_>) -> Result<Option<Fd>, Errno> {
    let [input, output, control, local] = saved.flags;
    let settings = Settings {
        input,
        output,
        control,
        local,
        line: saved.line,
        characters: saved.characters,
    };
    let [rows, columns, width, height] = saved.size;
    let size = Size {
        rows,
        columns,
        pixels: [width, height],
    };
    terminal::set_size(master.number(), size)?;
    let slave = if saved.locked != 0 {
        terminal::set_settings(master.number(), &settings)?;
        None
    } else {
        pty::lock(master.number(), false)?;
        let flags = n::O_RDWR | n::O_NOCTTY | n::O_NONBLOCK | n::O_CLOEXEC;
        let slave = pty::open_slave(master.number(), flags)?;
        let (to_slave, to_master) = (saved.to_slave, saved.to_master);
        pty::put(
            master.number(),
            slave.number(),
            &settings,
            to_slave,
            to_master,
        )?;
        Some(slave)
    };
    if saved.packets != 0 {
        pty::set_packets(master.number(), true)?;
    }
    Ok(slave)
}
