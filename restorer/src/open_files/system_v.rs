//! System V shared memory: what somebody still has attached is shared with him again, and what nobody has is made again.

use core::slice;

use ckpt_image::objects::deleted_files::FileExtent;
use ckpt_image::objects::system_v::Segment;
use ckpt_image::page_up;
use ckpt_image::reader::Image;
use ckpt_sys::{Errno, Line, MapVec, calls, proc, system_v};
use linux_raw_sys::general as n;

use super::opener::{Problem, failed};
use crate::host::Machine;
use crate::image_file::ImageFile;
use crate::output;

/// Segments that were made; they go again if the restart fails.
pub struct Segments {
    /// Whether ids mean the same as at the checkpoint.
    same_ids: bool,
    /// And whether those of processes do. Otherwise, the id of a segment is all that tells it from others: it is given to no second one for long.
    same_pids: bool,
    made: MapVec<Made>,
}

#[derive(Clone, Copy)]
struct Made {
    id: i32,
    /// Whether it was removed at the checkpoint, and so goes with its last user.
    removed: bool,
    /// Whether it stays.
    kept: bool,
}

impl Segments {
    /// None yet.
    pub fn of(machine: &Machine, image: &Image<'_>) -> Self {
        Self {
            same_ids: machine.same_ipc_ids,
            same_pids: image.header.pid_namespace == proc::pid_namespace(),
            made: MapVec::new(),
        }
    }

    /// Finds or makes the segment `saved`, which is the file number `index` of the image; its id.
    pub fn find_or_make(
        &mut self,
        saved: &Segment,
        index: u32,
        file: &ImageFile,
    ) -> Result<i32, Problem> {
        let id = saved.id();
        match self.is_there(saved) {
            Some(0) => {
                put_content(id, saved, index, file)?;
                return Ok(id);
            }
            Some(_) if is_held(id) => return Ok(id),
            _ => {}
        }
        let id = self.make(saved)?;
        put_content(id, saved, index, file)?;
        let mut set = system_v::segment(id).map_err(failed("cannot be looked at"))?;
        set.mode = saved.mode & 0o777;
        system_v::set(id, &set).map_err(failed("cannot be given its permissions"))?;
        // Only root can give it away.
        (set.uid, set.gid) = (saved.uid, saved.gid);
        let _ = system_v::set(id, &set);
        if saved.mode & system_v::LOCKED != 0 && system_v::lock(id).is_err() {
            output::warn(format_args!(
                "System V shared memory {id}: cannot be locked; the program goes on without"
            ));
        }
        Ok(id)
    }

    /// How often the segment is attached, if it is the same as at the checkpoint.
    fn is_there(&self, saved: &Segment) -> Option<u64> {
        let now = system_v::segment(saved.id()).ok()?;
        let same_creator = !self.same_pids || now.creator == saved.creator;
        let same = now.key == saved.key && now.size == saved.size && same_creator;
        (self.same_ids && same).then_some(now.attached)
    }

    fn make(&mut self, saved: &Segment) -> Result<i32, Problem> {
        self.made
            .reserve(self.made.len() + 1)
            .map_err(failed("cannot be kept"))?;
        // The next one gets this id if the number is free; it takes a privilege to say so.
        if let Ok(next) = calls::open(c"/proc/sys/kernel/shm_next_id", n::O_WRONLY) {
            let id = Line::<16>::format(format_args!("{}", saved.id()));
            let _ = calls::write(next.number(), id.as_bytes());
        }
        let id = system_v::make(saved.key, saved.size).map_err(|errno| match errno {
            Errno::EEXIST => Problem::Failed("has a key that is another segment's now", errno),
            errno => Problem::Failed("cannot be made again", errno),
        })?;
        let removed = saved.mode & system_v::REMOVED != 0;
        self.made
            .push(Made {
                id,
                removed,
                kept: false,
            })
            .map_err(failed("cannot be kept"))?;
        // Nobody has any use for the id of what was removed.
        if id != saved.id() && !removed {
            output::warn(format_args!(
                "System V shared memory {}: its id is {id} now",
                saved.id()
            ));
        }
        Ok(id)
    }

    /// They are attached, and nothing can fail any more.
    pub fn keep(mut self) {
        for made in self.made.iter_mut() {
            made.kept = !made.removed;
        }
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        for made in self.made.iter().filter(|made| !made.kept) {
            let _ = system_v::remove(made.id);
        }
    }
}

/// Keeps a segment that somebody has attached from going away with him, until the program has it again; whether it was there still. What we have
/// attached goes away with all of the restorer.
fn is_held(id: i32) -> bool {
    let held = system_v::attach(id, system_v::READ_ONLY);
    !matches!(held, Err(Errno::EINVAL | Errno::EIDRM))
}

/// Gives the segment `id` what `saved`, the file number `index`, had in it, and nothing else.
fn put_content(id: i32, saved: &Segment, index: u32, file: &ImageFile) -> Result<(), Problem> {
    let no_room = failed("cannot be given its content");
    let start = system_v::attach(id, 0).map_err(&no_room)?;
    // SAFETY: it was attached for us, and has the length of `saved`.
    let filled = unsafe {
        calls::advise(start, page_up(saved.size) as usize, n::MADV_REMOVE)
            .map_err(&no_room)
            .and_then(|()| fill(start, index, file))
    };
    // SAFETY: nobody uses it any more.
    unsafe { system_v::detach(start).map_err(no_room) }.and(filled)
}

/// Reads the content of the file number `index` into memory.
///
/// # Safety
/// From `start` on there is memory of ours, as much as the file is long.
unsafe fn fill(start: usize, index: u32, file: &ImageFile) -> Result<(), Problem> {
    let mut room = file.room().map_err(failed("cannot be given its content"))?;
    let extents = file.image.objects::<FileExtent>();
    for extent in extents.filter(|extent| extent.file == index) {
        let at = (start + extent.offset as usize) as *mut u8;
        // SAFETY: the reader has checked that the extent lies within the file.
        let bytes = unsafe { slice::from_raw_parts_mut(at, extent.length as usize) };
        file.read_extent(bytes, extent.place, extent.checksum, &mut room)
            .map_err(Problem::Image)?;
    }
    Ok(())
}
