//! Where each descriptor of the program comes from, and which numbers have to be closed.

use ckpt_image::descriptors::{Descriptor, Kind};
use linux_raw_sys::general as n;

/// What the restorer was started with on the numbers 0 to 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// Device, inode and device number of what each one refers to; `None` if it is closed.
    pub files: [Option<[u64; 3]>; 3],
    /// Whether it is a terminal.
    pub terminal: [bool; 3],
}

/// Where a descriptor comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A duplicate of another descriptor of the program, which has a lower number.
    DuplicateOf(u32),
    /// Its path is opened again.
    Path,
    /// The restorer's own descriptor of this number; a terminal is opened anew.
    Inherited(u32),
    /// `/dev/null`, since the restorer has that number closed.
    Null,
    /// The controlling terminal.
    ControllingTerminal,
    /// A pseudo-terminal is made, unless that was done for another of its sides.
    PseudoTerminal,
    /// An event counter is made.
    EventCounter,
    /// A socket, all of which are made at the beginning.
    Socket,
    /// A file without a name is made, unless that was done for another descriptor of it.
    UnnamedFile,
    /// A pipe is made, unless that was done for another of its ends.
    Pipe,
    /// A named pipe is opened, and what was in it put back.
    Fifo,
    /// An epoll instance is made; it gets its entries when everything is on its number.
    Epoll,
    /// A timer is made; it is set at the end, since it runs.
    Timer,
    /// A descriptor is made through which signals are read.
    Signals,
    /// A descriptor is made through which changes of files are read; it gets its watches at the end, and tells of nothing
    /// that the restorer does.
    Watcher,
    /// A message queue is opened by its name, or made again.
    MessageQueue,
    /// One that refers to this process.
    Itself,
    /// Its path is opened again, some only when the threads are there.
    KernelFile,
}

/// Decides where `descriptor` comes from.
#[must_use]
pub fn source(descriptor: &Descriptor<'_>, here: &Inherited) -> Source {
    let number = descriptor.number;
    let file = |number: u32| here.files.get(number as usize).copied().flatten();
    let inherited = |number: u32| match file(number) {
        Some(_) => Source::Inherited(number),
        None => Source::Null,
    };
    if descriptor.is_duplicate() {
        // One terminal for output and errors then, two files now: `restorer myckpt >out 2>err`.
        let parted = descriptor.kind() == Kind::Standard
            && number <= 2
            && file(number) != file(descriptor.description);
        return if parted {
            inherited(number)
        } else {
            Source::DuplicateOf(descriptor.description)
        };
    }
    match descriptor.kind() {
        Kind::File | Kind::Directory | Kind::Device | Kind::Reference => Source::Path,
        Kind::Standard => inherited(number),
        Kind::Terminal => (0..3)
            .find(|&number| here.terminal[number as usize])
            .map_or(Source::ControllingTerminal, Source::Inherited),
        Kind::Master | Kind::Slave => Source::PseudoTerminal,
        Kind::EventCounter => Source::EventCounter,
        Kind::Socket => Source::Socket,
        Kind::DeletedFile | Kind::MemoryFile => Source::UnnamedFile,
        Kind::Pipe | Kind::OutsidePipe => Source::Pipe,
        Kind::Fifo => Source::Fifo,
        Kind::Epoll => Source::Epoll,
        Kind::Timer => Source::Timer,
        Kind::Signals => Source::Signals,
        Kind::Watcher => Source::Watcher,
        Kind::MessageQueue => Source::MessageQueue,
        Kind::Itself => Source::Itself,
        Kind::KernelFile => Source::KernelFile,
    }
}

/// What `F_GETFL` shows of a file that was made without a name: `O_TMPFILE` without `O_DIRECTORY`, which is part of it
/// (include/uapi/asm-generic/fcntl.h).
const UNNAMED: u32 = n::O_TMPFILE & !n::O_DIRECTORY;

/// Flags that mean something when an existing file is opened again.
const KEPT: u32 = n::O_ACCMODE
    | n::O_APPEND
    | n::O_NONBLOCK
    | n::O_DIRECT
    | n::O_PATH
    | n::O_LARGEFILE
    | n::O_DIRECTORY
    | n::O_NOATIME
    | n::O_SYNC
    | n::O_DSYNC;

/// Flags that `F_SETFL` can change (fcntl(2)).
const SETTABLE: u32 = n::O_APPEND | n::O_NONBLOCK | n::O_DIRECT | n::O_NOATIME;

/// Flags to open a path with. It never blocks, whatever the path leads to by now, and no terminal becomes the controlling one.
#[must_use]
pub fn open_flags(saved: u32) -> u32 {
    // The flags of an unnamed file look like those of a directory.
    let unnamed = if saved & UNNAMED != 0 {
        n::O_DIRECTORY
    } else {
        0
    };
    saved & KEPT & !unnamed | n::O_NONBLOCK | n::O_NOCTTY
}

/// Whether a descriptor as memfd_create(2) returns it can be given these status flags.
#[must_use]
pub fn is_of_memory_file(saved: u32) -> bool {
    saved & (KEPT | n::O_PATH) & !SETTABLE & !n::O_LARGEFILE == n::O_RDWR
}

/// Status flags to set afterwards, if there are any on such a descriptor.
#[must_use]
pub fn status_flags(saved: u32) -> Option<u32> {
    (saved & n::O_PATH == 0).then_some(saved & SETTABLE)
}

/// Hands the ranges of numbers that are not in `kept` (ascending) to `close`, first and last number of each.
pub fn gaps(kept: impl Iterator<Item = u32>, mut close: impl FnMut(u32, u32)) {
    let mut next = 0;
    for number in kept {
        if number > next {
            close(next, number - 1);
        }
        next = number + 1;
    }
    close(next, u32::MAX);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ckpt_image::regions::FileIdentity;

    const TERMINAL: Option<[u64; 3]> = Some([1, 2, 3]);

    fn descriptor(number: u32, description: u32, kind: Kind, flags: u32) -> Descriptor<'static> {
        Descriptor {
            number,
            description,
            kind_number: kind as u32,
            flags,
            close_on_exec: 0,
            offset: 0,
            file: FileIdentity::default(),
            device: 0,
            path: b"",
        }
    }

    #[test]
    fn standard_output_and_errors_part_if_the_restorers_do() {
        let errors = descriptor(2, 1, Kind::Standard, 2);
        let mut here = Inherited {
            files: [TERMINAL; 3],
            terminal: [true; 3],
        };
        assert_eq!(source(&errors, &here), Source::DuplicateOf(1));
        here.files[1] = Some([1, 9, 0]);
        assert_eq!(source(&errors, &here), Source::Inherited(2));
        here.files[2] = None;
        assert_eq!(source(&errors, &here), Source::Null);
        let file = descriptor(2, 1, Kind::File, 2);
        assert_eq!(
            source(&file, &here),
            Source::DuplicateOf(1),
            "a file stays shared"
        );
        let copy = descriptor(9, 1, Kind::Standard, 2);
        assert_eq!(source(&copy, &here), Source::DuplicateOf(1));
    }

    #[test]
    fn a_terminal_on_a_high_number_is_one_of_the_restorers() {
        let terminal = descriptor(5, 5, Kind::Terminal, 2);
        let mut here = Inherited {
            files: [TERMINAL; 3],
            terminal: [false, true, true],
        };
        assert_eq!(source(&terminal, &here), Source::Inherited(1));
        here.terminal = [false; 3];
        assert_eq!(source(&terminal, &here), Source::ControllingTerminal);
    }

    #[test]
    fn flags_that_would_change_the_file_are_left_out() {
        let saved = n::O_RDWR | n::O_CREAT | n::O_EXCL | n::O_TRUNC | n::O_APPEND;
        assert_eq!(
            open_flags(saved),
            n::O_RDWR | n::O_APPEND | n::O_NONBLOCK | n::O_NOCTTY
        );
        let unnamed = n::O_RDWR | n::O_TMPFILE;
        assert_eq!(open_flags(unnamed) & n::O_DIRECTORY, 0);
        assert_eq!(status_flags(saved), Some(n::O_APPEND));
        assert_eq!(status_flags(n::O_PATH), None);
    }

    #[test]
    fn everything_else_is_closed() {
        let closed = |kept: &[u32]| {
            let mut ranges = Vec::new();
            gaps(kept.iter().copied(), |first, last| {
                ranges.push((first, last))
            });
            ranges
        };
        assert_eq!(closed(&[0, 1, 2, 5, 8]), [(3, 4), (6, 7), (9, u32::MAX)]);
        assert_eq!(closed(&[]), [(0, u32::MAX)]);
        assert_eq!(closed(&[2]), [(0, 1), (3, u32::MAX)]);
    }
}
