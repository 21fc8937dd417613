//! Opens one of the program's files, and puts it on its number.

use core::fmt::{self, Write};

use ckpt_image::descriptors::{Descriptor, Kind};
use ckpt_image::reader::Image;
use ckpt_sys::line::{Path, Text};
use ckpt_sys::{Errno, Fd, Line, calls, files};
use linux_raw_sys::general as n;
use restart::descriptors::{Inherited, Source, open_flags, source, status_flags};
use restart::files::{Access, Place, Verdict, judge};
use restart::moves::Moves;
use restart::report::{Composer, Error};

use super::made::Made;
use super::sockets::Sockets;
use super::unnamed_files::UnnamedFiles;
use super::{
    epoll, event_counters, fifos, kernel_files, message_queues, pipes, pseudo_terminals, signals,
    timers, watchers,
};
use crate::image_file::{ImageFile, kernel_path};
use crate::output;

/// Why a file cannot be opened again.
pub enum Problem {
    /// A system call failed.
    Failed(&'static str, Errno),
    /// The image has no state for it.
    NoState,
    /// It is something else now.
    OtherKind,
    /// A system call about the address of a socket failed, as the text says that [`restart::report::compose`] has put together.
    Address(&'static [u8], Errno),
    /// The image itself is bad.
    Image(Error<'static>),
    /// It has changed in a way that could damage data.
    Changed(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(step, errno) => write!(f, "{step}: {errno}"),
            Self::Address(why, _) => write!(f, "{}", Text(why)),
            Self::Image(error) => write!(f, "{error}"),
            Self::NoState => f.write_str("has no state in the image"),
            Self::OtherKind => f.write_str("is not the same kind of file any more"),
            Self::Changed(why) => f.write_str(why),
        }
    }
}

pub fn failed(step: &'static str) -> impl Fn(Errno) -> Problem {
    move |errno| Problem::Failed(step, errno)
}

/// What opening depends on.
pub struct Opener<'i> {
    /// The image.
    pub image: Image<'static>,
    /// The file that it is in.
    pub file: &'i ImageFile,
    /// What the restorer has on the numbers 0 to 2.
    pub inherited: Inherited,
    /// How far this machine is the one where the image was written.
    pub place: Place,
    /// Takes files that were changed in place.
    pub allow_changed: bool,
    /// Where files are now.
    pub moves: Moves<'static>,
    /// What was made for earlier descriptors.
    pub made: Made,
    /// All sockets.
    pub sockets: Sockets,
    /// Files without a name.
    pub unnamed: UnnamedFiles,
}

impl Opener<'_> {
    /// Opens what `descriptor` refers to, and puts it on its number, unless the restorer was given something there. The number where it
    /// is. `opened` finds the one of an earlier description.
    pub fn open(
        &mut self,
        descriptor: &Descriptor<'_>,
        opened: impl Fn(u32) -> Option<i32>,
    ) -> Result<i32, Problem> {
        let is_restorers = is_restorers(descriptor);
        let fd = match source(descriptor, &self.inherited) {
            Source::DuplicateOf(number) => {
                let first = opened(number).ok_or(Problem::NoState)?;
                return if is_restorers {
                    Ok(first)
                } else {
                    put_on_number(first, descriptor)
                };
            }
            Source::Path => self.open_path(descriptor)?,
            Source::Inherited(number) => self.duplicate_inherited(descriptor, number)?,
            Source::Null => open_null(descriptor)?,
            Source::ControllingTerminal => open_terminal(descriptor)?,
            Source::PseudoTerminal => {
                pseudo_terminals::open(descriptor, &self.image, &mut self.made)?
            }
            Source::EventCounter => event_counters::make(descriptor, &self.image)?,
            Source::Socket => {
                let fd = self
                    .sockets
                    .take(descriptor.number)
                    .ok_or(Problem::NoState)?;
                set_status(&fd, descriptor)?;
                fd
            }
            Source::UnnamedFile => self.unnamed.open(descriptor, self.file)?,
            Source::Pipe => pipes::open(descriptor, &self.image, &mut self.made)?,
            Source::Fifo => {
                let path = self.path_of(descriptor)?;
                fifos::open(descriptor, &path, &self.image, &mut self.made)?
            }
            Source::Epoll => epoll::make(descriptor)?,
            Source::Timer => timers::make(descriptor, &self.image)?,
            Source::Signals => signals::make(descriptor, &self.image)?,
            Source::Watcher => watchers::make(descriptor)?,
            Source::MessageQueue => message_queues::open(descriptor, &self.image, &mut self.made)?,
            Source::Itself => open_itself(descriptor)?,
            Source::KernelFile => kernel_files::open(descriptor)?,
        };
        if is_restorers {
            return self
                .made
                .out_of_the_way(fd)
                .map(Fd::into_number)
                .map_err(failed("cannot be moved above the program's descriptors"));
        }
        let number = put_on_number(fd.number(), descriptor)?;
        if fd.number() == number {
            let _ = fd.into_number();
            return Ok(number);
        }
        self.made.moved(&fd, number);
        self.sockets.moved(descriptor.number);
        Ok(number)
    }

    /// Makes the files without a name that are mapped, if no descriptor refers to them.
    pub fn make_mapped_files(&mut self, problems: &mut Composer) -> Result<(), Error<'static>> {
        let regions = self.image.regions();
        for region in regions.filter(|region| region.backing().is_unnamed_file()) {
            match self.unnamed.make_once(&region.file, region.name, self.file) {
                Ok(_) => {}
                Err(Problem::Image(error)) => return Err(error),
                Err(problem) => {
                    problems.separate();
                    let name = Text(region.name);
                    let _ = write!(problems, "{name} (mapped memory) {problem}");
                }
            }
        }
        Ok(())
    }

    /// Where the file is now.
    fn path_of(&self, descriptor: &Descriptor<'_>) -> Result<Path, Problem> {
        let moved = self.moves.of(descriptor.path);
        moved
            .unwrap_or_else(|| kernel_path(descriptor.path))
            .map_err(failed("cannot be opened"))
    }

    fn open_path(&self, descriptor: &Descriptor<'_>) -> Result<Fd, Problem> {
        let mut flags = open_flags(descriptor.flags);
        if descriptor.kind() == Kind::Reference {
            // It may be a link itself.
            flags |= descriptor.flags & n::O_NOFOLLOW;
        }
        let path = self.path_of(descriptor)?;
        let fd = calls::open(path.as_c_str(), flags).map_err(failed("cannot be opened"))?;
        let stat = calls::fstat(fd.number()).map_err(failed("cannot be looked at"))?;
        let fits = match descriptor.kind() {
            Kind::File => files::is_kind(&stat, n::S_IFREG),
            Kind::Directory => files::is_kind(&stat, n::S_IFDIR),
            Kind::Reference => stat.st_rdev == descriptor.device,
            _ => files::is_kind(&stat, n::S_IFCHR) && stat.st_rdev == descriptor.device,
        };
        if !fits {
            return Err(Problem::OtherKind);
        }
        if descriptor.kind() == Kind::File {
            let access = Access::of_flags(descriptor.flags, descriptor.offset);
            let now = files::identity(&stat);
            let place = self.place.unless_moved(self.moves, descriptor.path);
            match judge(&descriptor.file, &now, access, place) {
                Verdict::Refuse(why) if !self.allow_changed => return Err(Problem::Changed(why)),
                Verdict::Warn(why) | Verdict::Refuse(why) => output::warn(format_args!(
                    "{} (descriptor {}) {why}; the program goes on with it as it is now",
                    Text(descriptor.path),
                    descriptor.number
                )),
                Verdict::Fine => {}
            }
        }
        set_status(&fd, descriptor)?;
        if descriptor.flags & n::O_PATH == 0 {
            let moved = calls::lseek(fd.number(), descriptor.offset as i64, n::SEEK_SET);
            if descriptor.kind() == Kind::File {
                moved.map_err(failed("cannot be moved to its offset"))?;
            }
        }
        Ok(fd)
    }

    /// A terminal is opened anew, so that the status flags that the program sets do not leak into the shell.
    fn duplicate_inherited(&self, descriptor: &Descriptor<'_>, number: u32) -> Result<Fd, Problem> {
        if self.inherited.terminal[number as usize] {
            let path = Line::<32>::format(format_args!("/proc/self/fd/{number}"));
            if let Ok(fd) = calls::open(path.as_c_str(), open_flags(descriptor.flags)) {
                set_status(&fd, descriptor)?;
                return Ok(fd);
            }
        }
        self.made
            .duplicate(number as i32)
            .map_err(failed("cannot be taken over from the restorer"))
    }
}

/// Whether the restorer was given something on the descriptor's number: paths may lead to it (`/dev/fd/5`) until everything is open.
fn is_restorers(descriptor: &Descriptor<'_>) -> bool {
    calls::fcntl(descriptor.number as i32, n::F_GETFD, 0).is_ok()
}

/// `O_CLOEXEC` if the descriptor closes on `execve`.
pub fn close_on_exec(descriptor: &Descriptor<'_>) -> u32 {
    if descriptor.close_on_exec == 0 {
        0
    } else {
        n::O_CLOEXEC
    }
}

/// Has the number of `descriptor` refer to what `fd` refers to; the number.
fn put_on_number(fd: i32, descriptor: &Descriptor<'_>) -> Result<i32, Problem> {
    let number = descriptor.number as i32;
    let put = if fd == number {
        let flags = if descriptor.close_on_exec == 0 {
            0
        } else {
            n::FD_CLOEXEC
        };
        calls::fcntl(fd, n::F_SETFD, flags as usize)
    } else {
        calls::dup3(fd, number, close_on_exec(descriptor))
    };
    put.map_err(failed("cannot be put on its number"))?;
    Ok(number)
}

pub fn set_status(fd: &Fd, descriptor: &Descriptor<'_>) -> Result<(), Problem> {
    match status_flags(descriptor.flags) {
        Some(flags) => calls::fcntl(fd.number(), n::F_SETFL, flags as usize)
            .map(drop)
            .map_err(failed("cannot be given its status flags")),
        None => Ok(()),
    }
}

/// A descriptor that refers to this process (pidfd_open(2)).
fn open_itself(descriptor: &Descriptor<'_>) -> Result<Fd, Problem> {
    // `PIDFD_NONBLOCK` and `PIDFD_THREAD` (include/uapi/linux/pidfd.h).
    let flags = descriptor.flags & (n::O_NONBLOCK | n::O_EXCL);
    calls::pid_descriptor(calls::pid(), flags).map_err(failed("cannot be made again"))
}

fn open_null(descriptor: &Descriptor<'_>) -> Result<Fd, Problem> {
    calls::open(c"/dev/null", descriptor.flags & n::O_ACCMODE)
        .map_err(failed("cannot be replaced by /dev/null"))
}

fn open_terminal(descriptor: &Descriptor<'_>) -> Result<Fd, Problem> {
    if let Ok(fd) = calls::open(c"/dev/tty", open_flags(descriptor.flags)) {
        set_status(&fd, descriptor)?;
        return Ok(fd);
    }
    output::warn(format_args!(
        "descriptor {}: was a terminal and there is none; it is /dev/null now",
        descriptor.number
    ));
    open_null(descriptor)
}
