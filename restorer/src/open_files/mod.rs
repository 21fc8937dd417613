//! Opens the program's files and puts them on their numbers.

mod epoll;
mod event_counters;
mod fifos;
mod ipc;
mod kernel_files;
mod locks;
mod made;
mod message_queues;
mod opener;
mod outputs;
mod pipes;
mod pseudo_terminals;
mod signal_owners;
mod signals;
mod sockets;
mod system_v;
mod timers;
mod unnamed_files;
mod watchers;

use core::fmt::Write;

use ckpt_image::descriptors::{Descriptor, Kind, limit_needed, lowest_above};
use ckpt_image::objects::deleted_files::DeletedFile;
use ckpt_image::objects::epoll_entries::EpollEntry;
use ckpt_image::objects::memory_files::MemoryFile;
use ckpt_image::objects::sockets::{InFlight, Socket};
use ckpt_image::objects::watchers::Watcher;
use ckpt_image::reader::Image;
use ckpt_sys::line::Text;
use ckpt_sys::maps::path_of;
use ckpt_sys::{Errno, MapVec, calls};
use linux_raw_sys::general as n;
use linux_raw_sys::net::AF_UNIX;
use restart::arguments::Options;
use restart::descriptors::{Inherited, gaps};
use restart::moves::{Move, Moves};
use restart::report::{Cause, Composer, Error, Exit, Object, compose};
use restart::threads::Renamed;

use crate::contents::name_missing;
use crate::host::Machine;
use crate::image_file::{ImageFile, kernel_path};
use crate::{Result, output};
pub use ipc::SetsAndQueues;
use made::Made;
use opener::{Opener, Problem};
use sockets::Sockets;
pub use system_v::Segments;
pub use unnamed_files::{Found, UnnamedFiles, open_again};

/// One descriptor of the program.
#[derive(Clone, Copy)]
struct Opened {
    number: i32,
    /// Where it is until everything is open: there already, or above the program's highest.
    from: i32,
    /// `O_CLOEXEC`, or nothing.
    flags: u32,
    /// Of the program's descriptors, it is none: a message carries it.
    is_in_flight: bool,
}

/// All files that the program had open, open again.
pub struct OpenFiles {
    files: MapVec<Opened>,
    /// Files without a name, some of which are only mapped.
    pub unnamed: UnnamedFiles,
}

fn failed(step: &'static str, remedy: &'static str) -> impl Fn(Errno) -> Error<'static> {
    move |errno| {
        Error::new(
            Exit::Resource,
            Object::Thing("open files"),
            Cause::Failed(step, errno),
            remedy,
        )
    }
}

impl OpenFiles {
    /// Opens everything and changes directory. What the restorer was given stays on its numbers as yet. All problems are reported in
    /// one line.
    pub fn open(
        file: &mut ImageFile,
        machine: &Machine,
        options: Options<'static>,
    ) -> Result<Self> {
        let image = file.image;
        check_moves(&image, options.moves)?;
        let above = make_room(&image)?;
        move_own(file, above)?;
        let mut opener = Opener {
            image,
            file,
            inherited: inherited(),
            place: machine.place,
            allow_changed: options.allow_changed,
            moves: options.moves,
            made: Made::above(above),
            sockets: Sockets::of(&image, above)?,
            unnamed: UnnamedFiles::above(above, machine, &image),
        };

        let count = image.descriptors().count();
        let no_memory = failed("no memory for their list", "free memory");
        let mut opened = MapVec::with_capacity(count).map_err(&no_memory)?;
        let mut problems = Composer::new();
        let mut changed = false;
        enter_directory(&mut opener, &mut problems)?;
        let has_directory = problems.is_empty();
        // Some have addresses that are relative to the directory.
        opener.sockets.make(&image, &mut problems);
        let has_sockets = problems.is_empty();
        for descriptor in image.descriptors() {
            let is_known_problem = descriptor.kind() == Kind::Socket && !has_sockets
                || descriptor.is_duplicate() && find(&opened, descriptor.description).is_none();
            if is_known_problem {
                continue;
            }
            let find = |description| find(&opened, description);
            match opener.open(&descriptor, find) {
                Ok(from) => {
                    let entry = Opened {
                        number: descriptor.number as i32,
                        from,
                        flags: opener::close_on_exec(&descriptor),
                        is_in_flight: is_in_flight(&image, descriptor.number),
                    };
                    opened.push(entry).map_err(&no_memory)?;
                }
                Err(Problem::Image(error)) => return Err(error),
                Err(problem) => {
                    changed |= matches!(problem, Problem::Changed(_));
                    problems.separate();
                    let (number, path) = (descriptor.number, Text(descriptor.path));
                    let _ = write!(problems, "{path} (descriptor {number}) {problem}");
                }
            }
        }
        name_missing(&image, options.moves, &mut problems);
        opener.make_mapped_files(&mut problems)?;
        if problems.is_empty() {
            let find = |description| find(&opened, description);
            opener.sockets.finish(&image, find, &mut problems);
        }
        if problems.is_empty() {
            return Ok(Self {
                files: opened,
                unnamed: opener.unnamed,
            });
        }
        let remedy = if changed {
            "put them back as they were, or use --allow-changed"
        } else {
            // Sockets may have addresses that are relative to the directory.
            let of_socket = opener.sockets.remedy.filter(|_| has_directory);
            of_socket.unwrap_or("put them back, or use --file OLD=NEW")
        };
        let cause = Cause::Composed(problems.finish());
        Err(Error::new(
            Exit::Resource,
            Object::Thing("files of the program"),
            cause,
            remedy,
        ))
    }

    /// Puts the rest on its number and closes all other descriptors but the image, the copy of standard error, and the files
    /// without a name.
    pub fn install(&self, file: &ImageFile) -> Result<()> {
        for opened in self.files.iter().filter(|one| one.from != one.number) {
            calls::dup3(opened.from, opened.number, opened.flags)
                .map_err(failed("cannot put one on its number", "raise `ulimit -n`"))?;
        }
        let (image, errors) = (file.fd.number(), output::error_fd());
        let mut own = MapVec::new();
        self.unnamed
            .numbers()
            .chain([image, errors])
            .filter(|&fd| fd >= 0)
            .try_for_each(|fd| own.push(fd))
            .map_err(failed("no memory for their list", "free memory"))?;
        own.sort_unstable();
        let kept = self
            .files
            .iter()
            .filter(|opened| !opened.is_in_flight)
            .map(|opened| opened.number)
            .chain(own.iter().copied())
            .map(|fd| fd as u32);
        let mut closed = Ok(());
        gaps(kept, |first, last| {
            let result = calls::close_range(first, last, 0);
            closed = closed.and(result.map(drop));
        });
        closed.map_err(failed(
            "cannot close what the program did not have",
            "use Linux 5.9 or later",
        ))
    }

    /// What can only be done when all memory is mapped.
    pub fn finish(self, image: &Image<'static>) -> Result<Segments> {
        self.unnamed.finish(image).map_err(failed(
            "cannot give files in memory their permissions, times and seals",
            "use the kernel of the checkpoint, or a newer one",
        ))
    }
}

/// What can only be done when everything is on its number, and no descriptor is closed any more.
pub fn complete(
    image: &Image<'static>,
    machine: &Machine,
    options: Options<'static>,
) -> Result<()> {
    // It closes numbers in passing, and with that the process loses its locks.
    epoll::watch(image)?;
    locks::take(image)?;
    if options.truncate {
        outputs::cut_back(image)?;
    }
    timers::set(image, machine)?;
    watchers::watch(image, options.moves)
}

/// What can only be done when the threads have their ids, which `threads` says.
pub fn complete_with_threads(image: &Image<'static>, threads: &[Renamed]) -> Result<()> {
    kernel_files::complete(image, threads)?;
    signal_owners::set(image, threads)
}

/// Refuses files that are said to have moved and that the program did not use.
fn check_moves(image: &Image<'static>, moves: Moves<'static>) -> Result<()> {
    let watched = image.objects::<Watcher<'_>>();
    let paths = core::iter::once(image.process.directory)
        .chain(image.descriptors().map(|descriptor| descriptor.path))
        .chain(watched.flat_map(|watcher| watcher.watches().map(|watch| watch.path)));
    let mapped = || {
        image
            .regions()
            .filter_map(|region| path_of(region.name).ok())
    };
    let is_used = |moved: &Move<'_>| {
        paths.clone().any(|path| moved.is_of(path))
            || mapped().any(|path| moved.is_of(path.as_bytes()))
    };
    match moves.unused(is_used) {
        None => Ok(()),
        Some(old) => Err(Error::new(
            Exit::Usage,
            Object::Path(old),
            Cause::Because("the program used nothing of that name"),
            "correct --file OLD=NEW",
        )),
    }
}

fn enter_directory(opener: &mut Opener<'_>, problems: &mut Composer) -> Result<()> {
    let process = opener.image.process;
    let entered = if process.directory_deleted != 0 {
        enter_deleted_directory(opener)
    } else {
        let moved = opener.moves.of(process.directory);
        moved
            .unwrap_or_else(|| kernel_path(process.directory))
            .and_then(|path| calls::chdir(path.as_c_str()))
            .map_err(opener::failed("cannot be entered"))
    };
    match entered {
        Ok(()) => {}
        Err(Problem::Image(error)) => return Err(error),
        Err(problem) => {
            let directory = Text(process.directory);
            let _ = write!(problems, "{directory} (working directory) {problem}");
        }
    }
    Ok(())
}

/// Enters a directory without a name: the one that the program had open as well, as far as its path tells, or a new one.
fn enter_deleted_directory(opener: &mut Opener<'_>) -> core::result::Result<(), Problem> {
    let image = opener.image;
    let is_it = |one: &Descriptor<'_>| {
        one.kind() == Kind::DeletedFile && one.path == image.process.directory
    };
    let cannot = opener::failed("cannot be entered");
    if let Some(open) = image.descriptors().find(is_it)
        && let Found::File(fd) = opener
            .unnamed
            .make_once(&open.file, open.path, opener.file)?
    {
        return calls::fchdir(fd).map(drop).map_err(cannot);
    }
    let directory = unnamed_files::make_directory(image.process.directory).map_err(&cannot)?;
    calls::fchdir(directory.number()).map_err(cannot)?;
    let [user, group] = image.process.directory_owner;
    // Only root can give it away, and only root becomes another user.
    let _ = calls::fchown(directory.number(), user, group);
    let _ = calls::fchmod(directory.number(), image.process.directory_mode);
    Ok(())
}

/// Where the descriptor is that was opened for a description.
fn find(opened: &[Opened], description: u32) -> Option<i32> {
    let index = opened.binary_search_by_key(&(description as i32), |one| one.number);
    index.ok().map(|index| opened[index].from)
}

fn is_in_flight(image: &Image<'_>, number: u32) -> bool {
    image
        .objects::<InFlight>()
        .any(|in_flight| in_flight.number == number)
}

/// What the restorer has on the numbers 0 to 2.
fn inherited() -> Inherited {
    let mut here = Inherited {
        files: [None; 3],
        terminal: [false; 3],
    };
    for number in 0..3 {
        if let Ok(stat) = calls::fstat(number as i32) {
            here.files[number] = Some([stat.st_dev, stat.st_ino, stat.st_rdev]);
            here.terminal[number] = is_terminal(number as i32);
        }
    }
    here
}

fn is_terminal(fd: i32) -> bool {
    let mut settings = [0u8; 64];
    // SAFETY: TCGETS writes a `struct termios`, which is 36 bytes long (include/uapi/asm-generic/termbits.h).
    unsafe {
        calls::ioctl(
            fd,
            linux_raw_sys::ioctl::TCGETS,
            settings.as_mut_ptr() as usize,
        )
    }
    .is_ok()
}

/// Raises the limit of descriptors as far as needed; the lowest number that is above all of the program's and above 2.
fn make_room(image: &Image<'_>) -> Result<u32> {
    // Those are needed for a moment, to make the entries.
    let in_passing = image.objects::<EpollEntry>().map(|entry| entry.number);
    let above = lowest_above(image.descriptors(), in_passing);
    // Files that are only mapped are open, too.
    let unnamed =
        image.objects::<DeletedFile>().count() + image.objects::<MemoryFile<'_>>().count();
    let far_ends = image
        .objects::<Socket<'_>>()
        .filter(|socket| {
            socket.family == AF_UNIX && (socket.state().lost_peer() || socket.name_is_removed())
        })
        .count();
    let is_taken = |number: u32| calls::fcntl(number as i32, n::F_GETFD, 0).is_ok();
    // What the restorer was given stays on their numbers until everything is open.
    let taken = image
        .descriptors()
        .filter(|descriptor| is_taken(descriptor.number))
        .count();
    let needed = limit_needed(above, image.descriptors(), unnamed + far_ends + taken);
    let resource = n::RLIMIT_NOFILE as usize;
    let unknown = failed("cannot read the limit of descriptors", "check `ulimit -n`");
    let [soft, hard] = calls::limit(resource, None).map_err(unknown)?;
    if soft >= needed {
        return Ok(above);
    }
    if hard < needed {
        let why = compose(format_args!(
            "they take {needed} descriptors, and the hard limit is {hard}"
        ));
        return Err(Error::new(
            Exit::Resource,
            Object::Thing("open files"),
            Cause::Composed(why),
            "raise it (ulimit -Hn)",
        ));
    }
    calls::limit(resource, Some([needed, hard])).map_err(failed(
        "cannot raise the limit of descriptors",
        "raise `ulimit -n`",
    ))?;
    Ok(above)
}

/// Moves our own descriptors out of the way of the program's.
fn move_own(file: &mut ImageFile, above: u32) -> Result<()> {
    file.fd = made::duplicate(file.fd.number(), above)
        .map_err(failed("cannot duplicate the image's", "raise `ulimit -n`"))?;
    // If standard error is closed there is nobody to tell.
    let errors = calls::fcntl(2, n::F_DUPFD_CLOEXEC, above as usize);
    output::set_error_fd(errors.map_or(-1, |fd| fd as i32));
    Ok(())
}
