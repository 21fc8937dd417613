//! What was made for one descriptor of the program's and is needed for others: of a pipe, both ends are made at once.

use ckpt_image::descriptors::Descriptor;
use ckpt_sys::{Errno, Fd, MapVec, calls};
use linux_raw_sys::general as n;

/// Objects of the program that have been made, by the identity that they had.
pub struct Made {
    /// Lowest number that the program does not have.
    above: u32,
    parts: MapVec<Part>,
}

/// A descriptor of an object. It stays open until everything is on its number.
#[derive(Clone, Copy)]
struct Part {
    device: u64,
    inode: u64,
    which: u32,
    fd: i32,
    taken: bool,
}

impl Made {
    /// Nothing yet. Everything gets numbers from `above` on.
    pub fn above(above: u32) -> Self {
        Self {
            above,
            parts: MapVec::new(),
        }
    }

    /// Keeps `fd`, the part `which` of the object that `descriptor` refers to; its number.
    pub fn keep(&mut self, descriptor: &Descriptor<'_>, which: u32, fd: Fd) -> Result<i32, Errno> {
        let fd = self.out_of_the_way(fd)?;
        self.parts.push(Part {
            device: descriptor.file.device,
            inode: descriptor.file.inode,
            which,
            fd: fd.number(),
            taken: false,
        })?;
        Ok(fd.into_number())
    }

    /// The part `which` of the object that `descriptor` refers to. It stays ours.
    pub fn find(&mut self, descriptor: &Descriptor<'_>, which: u32) -> Option<i32> {
        self.part(descriptor, which).map(|part| part.fd)
    }

    /// Likewise, for a descriptor of the program's, unless it was taken for another.
    pub fn take(&mut self, descriptor: &Descriptor<'_>, which: u32) -> Option<Fd> {
        let part = self.part(descriptor, which)?;
        let first = !core::mem::replace(&mut part.taken, true);
        first.then(|| Fd::owning(part.fd))
    }

    fn part(&mut self, of: &Descriptor<'_>, which: u32) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| {
            part.device == of.file.device && part.inode == of.file.inode && part.which == which
        })
    }

    /// Says that what `from` is has the number `to` now.
    pub fn moved(&mut self, from: &Fd, to: i32) {
        for part in self
            .parts
            .iter_mut()
            .filter(|part| part.fd == from.number())
        {
            part.fd = to;
        }
    }

    /// Moves `fd` to a number that the program does not have.
    pub fn out_of_the_way(&self, fd: Fd) -> Result<Fd, Errno> {
        out_of_the_way(fd, self.above)
    }

    /// A duplicate of `fd` on a number that the program does not have.
    pub fn duplicate(&self, fd: i32) -> Result<Fd, Errno> {
        duplicate(fd, self.above)
    }
}

/// Moves `fd` to a number that is at least `above`.
pub fn out_of_the_way(fd: Fd, above: u32) -> Result<Fd, Errno> {
    if fd.number() as u32 >= above {
        return Ok(fd);
    }
    duplicate(fd.number(), above)
}

/// A duplicate of `fd` on a number that is at least `above`.
pub fn duplicate(fd: i32, above: u32) -> Result<Fd, Errno> {
    calls::fcntl(fd, n::F_DUPFD_CLOEXEC, above as usize).map(|number| Fd::owning(number as i32))
}
