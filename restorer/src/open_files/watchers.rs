//! Descriptors through which changes of files are read (inotify(7)).

use ckpt_image::descriptors::Descriptor;
use ckpt_image::objects::watchers::{Watch, Watcher};
use ckpt_image::reader::Image;
use ckpt_sys::line::Text;
use ckpt_sys::{Errno, Fd, Line, calls};
use linux_raw_sys::general as n;
use linux_raw_sys::ioctl::FIONREAD;
use restart::moves::Moves;
use restart::report::{Cause, Error, Exit, Object, compose};

use super::opener::{Problem, failed, set_status};
use crate::Result;
use crate::image_file::kernel_path;

/// Makes the one that `descriptor` referred to, without watches.
pub fn make(descriptor: &Descriptor<'_>) -> core::result::Result<Fd, Problem> {
    let fd = calls::watcher().map_err(failed("cannot be made again"))?;
    set_status(&fd, descriptor)?;
    Ok(fd)
}

/// Adds all watches. Everything is on its number, and nothing that we do is seen by them any more.
pub fn watch(image: &Image<'static>, moves: Moves<'_>) -> Result<()> {
    for watcher in image.objects::<Watcher<'_>>() {
        let failed = |cause| {
            let remedy = "put it back, or see fs.inotify.max_user_watches";
            Error::new(Exit::Resource, Object::Thing("inotify"), cause, remedy)
        };
        let dummy = Dummy::new(watcher.description as i32)
            .map_err(|errno| failed(Cause::Failed("cannot make a file to watch", errno)))?;
        let mut next = 1;
        for Watch { number, mask, path } in watcher.watches() {
            let added = dummy.skip(number - next).and_then(|()| {
                let path = moves.of(path).unwrap_or_else(|| kernel_path(path))?;
                let flags = mask | n::IN_DONT_FOLLOW;
                calls::add_watch(dummy.watcher, path.as_c_str(), flags)
            });
            // Two paths may lead to one file by now, which has one number then.
            let problem = match added {
                Ok(added) if added == number => {
                    next = number + 1;
                    continue;
                }
                Ok(_) => compose(format_args!("{} is something else now", Text(path))),
                Err(errno) => compose(format_args!("cannot watch {}: {errno}", Text(path))),
            };
            return Err(failed(Cause::Composed(problem)));
        }
        let seen = dummy.unread().and_then(|bytes| dummy.drain(bytes));
        let finished = match watcher.unread {
            0 => seen,
            _ => seen.and_then(|()| dummy.overflow()),
        };
        finished.map_err(|errno| failed(Cause::Failed("cannot be put in order", errno)))?;
    }
    Ok(())
}

/// A file of our own that is watched in passing.
struct Dummy {
    watcher: i32,
    file: Fd,
}

/// Bytes of an event without a name (`struct inotify_event`).
const EVENT: usize = 16;

impl Dummy {
    fn new(watcher: i32) -> core::result::Result<Self, Errno> {
        let new = calls::memory_file(c"", n::MFD_CLOEXEC)?;
        // What is done through the descriptor that memfd_create returns, nobody is told of.
        let path = Line::<32>::format(format_args!("/proc/self/fd/{}", new.number()));
        let file = calls::open(path.as_c_str(), n::O_RDWR)?;
        Ok(Self { watcher, file })
    }

    fn watch(&self) -> core::result::Result<u32, Errno> {
        let path = Line::<32>::format(format_args!("/proc/self/fd/{}", self.file.number()));
        calls::add_watch(self.watcher, path.as_c_str(), n::IN_MODIFY | n::IN_ATTRIB)
    }

    /// Uses up the next `count` numbers: the kernel gives each only once.
    fn skip(&self, count: u32) -> core::result::Result<(), Errno> {
        for _ in 0..count {
            let number = self.watch()?;
            calls::remove_watch(self.watcher, number)?;
        }
        Ok(())
    }

    /// Bytes that can be read.
    fn unread(&self) -> core::result::Result<usize, Errno> {
        let mut unread = 0u32;
        // SAFETY: the kernel writes one number.
        unsafe { calls::ioctl(self.watcher, FIONREAD, &raw mut unread as usize)? };
        Ok(unread as usize)
    }

    /// Throws away so many bytes of events, which are there.
    fn drain(&self, mut bytes: usize) -> core::result::Result<(), Errno> {
        let mut buffer = [0; 4096];
        while bytes != 0 {
            let most = bytes.min(buffer.len());
            bytes -= calls::read(self.watcher, &mut buffer[..most])?;
        }
        Ok(())
    }

    /// Leaves the event `IN_Q_OVERFLOW`, by which the kernel says that events were lost. It comes behind those that fit,
    /// and they are thrown away.
    fn overflow(&self) -> core::result::Result<(), Errno> {
        let number = self.watch()?;
        let mut unread = self.unread()?;
        loop {
            // Of two events in a row that are the same, there is only one.
            calls::pwrite(self.file.number(), b"x", 0)?;
            calls::fchmod(self.file.number(), 0o600)?;
            let before = core::mem::replace(&mut unread, self.unread()?);
            if unread == before {
                break;
            }
        }
        calls::remove_watch(self.watcher, number)?;
        self.drain(unread.saturating_sub(EVENT))
    }
}
