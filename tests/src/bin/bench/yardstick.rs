//! What a restart is held against: reading the image's bytes into fresh memory by the fastest way that was found.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::figures::milliseconds;

const HUGE_PAGE: usize = 2 << 20;

/// Milliseconds that it takes to read all of a file into huge pages, by as many threads as there are processors, up to four.
pub fn read_into_fresh_memory(path: &Path) -> f64 {
    let file = File::open(path).expect("the file is there");
    let length = usize::try_from(file.metadata().expect("it is a file").len()).expect("it fits");
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(4));
    let start = Instant::now();
    let memory = Fresh::new(length);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(HUGE_PAGE, Ordering::Relaxed);
                    if at >= length {
                        return;
                    }
                    // SAFETY: the part is within the memory, and of this thread alone.
                    let part = unsafe { memory.part(at, HUGE_PAGE.min(length - at)) };
                    file.read_exact_at(part, at as u64).expect("it is readable");
                }
            });
        }
    });
    milliseconds(start.elapsed())
}

/// Takes more than `bytes` of memory, and gives it back. To a virtual machine, memory that was free for long is not there,
/// and getting it takes longer than filling it: whoever is measured next is not to pay for that.
pub fn warm_memory_up(bytes: u64) {
    let length = usize::try_from(bytes).expect("it fits") * 2 + (64 << 20);
    let memory = Fresh::new(length);
    for at in (0..length).step_by(HUGE_PAGE) {
        // SAFETY: the part is within the memory, and nobody else uses it.
        unsafe { memory.part(at, HUGE_PAGE.min(length - at)) }.fill(1);
    }
}

/// Memory that nobody has touched, and that goes away with this.
struct Fresh {
    mapped: *mut libc::c_void,
    length: usize,
}

// SAFETY: it is only memory; `part` says who may use what.
unsafe impl Sync for Fresh {}

impl Fresh {
    fn new(length: usize) -> Self {
        let length = length + HUGE_PAGE;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: the mapping is new.
        let mapped = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
        assert!(mapped != libc::MAP_FAILED, "{}", io::Error::last_os_error());
        // SAFETY: the mapping is ours. Where there are no huge pages it is slower.
        unsafe { libc::madvise(mapped, length, libc::MADV_HUGEPAGE) };
        Self { mapped, length }
    }

    /// `length` bytes from `at` on, counted from where the first huge page begins.
    ///
    /// # Safety
    /// They are within the memory without its last huge page, and nobody else's.
    #[expect(clippy::mut_from_ref, reason = "the parts do not overlap")]
    unsafe fn part(&self, at: usize, length: usize) -> &mut [u8] {
        let skipped = self.mapped.cast::<u8>().align_offset(HUGE_PAGE);
        // SAFETY: the caller answers for the part.
        unsafe { slice::from_raw_parts_mut(self.mapped.cast::<u8>().add(skipped + at), length) }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // SAFETY: nobody uses the memory any more.
        unsafe { libc::munmap(self.mapped, self.length) };
    }
}
