//! Watches on files (inotify(7)): the kernel tells which inode is watched, and only the call tells by which path that is
//! reached.
//!
//! What was noted is read in a signal handler that may have interrupted the noting, so it is a list that only grows, and
//! an entry is in it when it is whole. There is a limit, behind which nothing is noted any more.

use core::ffi::CStr;
use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use ckpt_sys::line::Path;
use ckpt_sys::{Line, calls, files};
use libc::{c_char, c_int};
use linux_raw_sys::general as n;

use super::our_bit;

interposed! {
    /// inotify_add_watch(2)
    fn inotify_add_watch(fd: c_int, path: *const c_char, mask: u32) -> c_int as next {
        let number = next()(fd, path, mask);
        if number >= 0 && our_bit() != 0 {
            note(CStr::from_ptr(path), mask & libc::IN_DONT_FOLLOW == 0);
        }
        number
    }
}

/// A path that was watched; the bytes stand behind it.
#[repr(C)]
struct Noted {
    next: *const Noted,
    device: u64,
    inode: u64,
    length: usize,
}

/// Heads of the lists, by inode.
static LISTS: [AtomicPtr<Noted>; 256] = [const { AtomicPtr::new(ptr::null_mut()) }; 256];

/// The memory for all entries, used as far as needed; null before the first.
static MEMORY: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static USED: AtomicUsize = AtomicUsize::new(0);
const SIZE: usize = 16 << 20;

fn list(inode: u64) -> &'static AtomicPtr<Noted> {
    &LISTS[inode as usize % LISTS.len()]
}

/// Notes what `path` leads to.
fn note(path: &CStr, follow: bool) {
    let no_follow = if follow { 0 } else { n::O_NOFOLLOW };
    let Ok(fd) = calls::open(path, n::O_PATH | no_follow) else {
        return;
    };
    let link = Line::<64>::format(format_args!("/proc/thread-self/fd/{}", fd.number()));
    let (Ok(stat), Ok(path)) = (
        calls::fstat(fd.number()),
        files::read_link::<{ size_of::<Path>() }>(link.as_c_str()),
    ) else {
        return;
    };
    let path = path.as_bytes();
    if paths(stat.st_ino).any(|(device, known)| device == stat.st_dev && known == path) {
        return;
    }
    let Some(entry) = allocate(path.len()) else {
        return;
    };
    // SAFETY: (1) the memory is large enough, aligned, and nobody else's; (2) the entry is in no list yet.
    unsafe {
        entry.write(Noted {
            next: ptr::null(),
            device: stat.st_dev,
            inode: stat.st_ino,
            length: path.len(),
        });
        ptr::copy_nonoverlapping(path.as_ptr(), entry.add(1).cast::<u8>(), path.len());
    }
    let list = list(stat.st_ino);
    let put = |head: *mut Noted| {
        // SAFETY: as above.
        unsafe { (*entry).next = head };
        Some(entry)
    };
    let _ = list.fetch_update(Ordering::Release, Ordering::Relaxed, put);
}

/// Memory for an entry with a path of `length` bytes.
fn allocate(length: usize) -> Option<*mut Noted> {
    let size = (size_of::<Noted>() + length).next_multiple_of(align_of::<Noted>());
    let mut memory = MEMORY.load(Ordering::Acquire);
    if memory.is_null() {
        let new = calls::map_anonymous(SIZE).ok()? as *mut u8;
        match MEMORY.compare_exchange(memory, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => memory = new,
            Err(earlier) => {
                // SAFETY: nobody has seen the new memory.
                let _ = unsafe { calls::unmap(new as usize, SIZE) };
                memory = earlier;
            }
        }
    }
    let room = |used: usize| (used + size <= SIZE).then_some(used + size);
    let used = USED
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
        .ok()?;
    // SAFETY: the offset lies within the memory.
    Some(unsafe { memory.add(used) }.cast())
}

/// Device and path of everything that was watched and had this inode number. Async-signal-safe.
pub fn paths(inode: u64) -> impl Iterator<Item = (u64, &'static [u8])> {
    let mut next = list(inode).load(Ordering::Acquire).cast_const();
    core::iter::from_fn(move || {
        // SAFETY: entries in a list are whole, and stay.
        let entry = unsafe { next.as_ref() }?;
        next = entry.next;
        // SAFETY: so many bytes stand behind the entry.
        let path =
            unsafe { slice::from_raw_parts(ptr::from_ref(entry).add(1).cast(), entry.length) };
        Some((entry, path))
    })
    .filter(move |(entry, _)| entry.inode == inode)
    .map(|(entry, path)| (entry.device, path))
}
