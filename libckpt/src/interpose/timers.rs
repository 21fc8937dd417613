//! POSIX timers: what the kernel does not tell of them. Whether one was set to a time of its clock or to a time from then on
//! decides what a restart makes of it; and one that counts the CPU time of the thread that has made it does not say which that
//! was.
//!
//! The functions may be called in signal handlers, and what was noted is read in one: it stands in words of its own each.

use core::ffi::{CStr, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use ckpt_sys::bytes::decimal;
use ckpt_sys::posix_timers::{CpuClock, Listed, listed};
use ckpt_sys::{MapVec, calls, files};
use libc::{c_int, clockid_t, itimerspec};

use super::cpu_time::kernels_start;
use super::deadlines::translated_start;
use crate::cpu_time;
use crate::resume::tid_of;

/// The version of libc's functions for timers: there are older ones, with ids of another size, and before glibc 2.36 those are what dlsym(3) finds behind
/// a library.
const TIMERS: &CStr = c"GLIBC_2.3.3";

interposed! {
    /// timer_create(2)
    fn timer_create(clock: clockid_t, event: *mut c_void, timer: *mut *mut c_void) -> c_int as next of TIMERS {
        let named = if clock == libc::CLOCK_THREAD_CPUTIME_ID {
            CpuClock::of_thread(calls::tid()).number()
        } else {
            clock
        };
        next()(named, event, timer)
    }

    /// timer_settime(2)
    fn timer_settime(timer: *mut c_void, flags: c_int, new: *const itimerspec, old: *mut itimerspec) -> c_int as next of TIMERS {
        let is_time = flags & libc::TIMER_ABSTIME != 0;
        let id = kernels_id(timer);
        let translated = translated_start(is_time, new, || clock_of_timer(id?))
            .or_else(|| if is_time { kernels_start(cpu_clock_of_timer(id?)?, new) } else { None });
        // Before the call, so that one that is interrupted by a checkpoint is made with it.
        let was_time = id.map(|id| note(id, is_time));
        let result = next()(timer, flags, translated.as_ref().map_or(new, ptr::from_ref), old);
        if result != 0 && let Some((id, was_time)) = id.zip(was_time) {
            note(id, was_time);
        }
        result
    }

    /// timer_delete(2)
    fn timer_delete(timer: *mut c_void) -> c_int as next of TIMERS {
        if let Some(id) = kernels_id(timer) {
            note(id, false);
        }
        next()(timer)
    }
}

/// The kernel's id of one of libc's timers (sysdeps/unix/sysv/linux/kernel-posix-timers.h of glibc).
///
/// # Safety
/// It is a timer.
unsafe fn kernels_id(timer: *mut c_void) -> Option<i32> {
    let value = timer as i64;
    if value < 0 {
        return id_of_thread_timer(value << 1);
    }
    if minor_version() >= 33 {
        return i32::try_from(value).ok();
    }
    // SAFETY: it is the address of a record, which begins with how it tells of itself, and the id.
    Some(unsafe { (*timer.cast::<[i32; 2]>())[1] })
}

/// The kernel's id of the timer for which libc runs a thread, and has a record at the address `record`. That is what the kernel's timer passes on, in glibc before 2.44 or so; later
/// the record is that of the thread, which gets the kernel's signal.
fn id_of_thread_timer(record: i64) -> Option<i32> {
    let mut text = MapVec::new();
    files::read_whole(c"/proc/self/timers", &mut text).ok()?;
    let of_record = |timer: &Listed| timer.event.value == record as u64;
    let thread = tid_of(record as u64);
    let of_thread = |timer: &Listed| thread == Some(timer.event.thread);
    let all = || listed(&text).flatten();
    let timer = all().find(of_record).or_else(|| all().find(of_thread))?;
    Some(timer.id)
}

/// That of glibc, the 36 of 2.36.
fn minor_version() -> u64 {
    // SAFETY: it is a string that stays.
    let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    let mut parts = version.to_bytes().split(|&byte| byte == b'.');
    parts.nth(1).and_then(decimal).unwrap_or(u64::MAX)
}

/// The clock of one of the kernel's timers.
fn any_clock_of_timer(id: i32) -> Option<clockid_t> {
    let mut text = MapVec::new();
    files::read_whole(c"/proc/self/timers", &mut text).ok()?;
    let timer = listed(&text).flatten().find(|timer| timer.id == id)?;
    Some(timer.clock)
}

/// The same, if it does not count CPU time.
pub(super) fn clock_of_timer(id: i32) -> Option<u32> {
    u32::try_from(any_clock_of_timer(id)?).ok()
}

/// The same, if it may count that, and what the kernel has counted is not all. Not asked before the first restart: looking takes a while.
fn cpu_clock_of_timer(id: i32) -> Option<clockid_t> {
    if cpu_time::has_begun_anew() {
        any_clock_of_timer(id)
    } else {
        None
    }
}

/// Timers that were set to a time of their clocks: their ids plus 1. A page of them; there are more where `next` is not
/// null.
#[repr(C)]
struct Noted {
    next: AtomicPtr<Noted>,
    ids: [AtomicU32; 1022],
}

static NOTED: Noted = Noted {
    next: AtomicPtr::new(ptr::null_mut()),
    ids: [const { AtomicU32::new(0) }; 1022],
};

const _: () = assert!(size_of::<Noted>() == 4096);

impl Noted {
    /// All pages of them.
    fn all() -> impl Iterator<Item = &'static Self> {
        let mut next: *const Self = &raw const NOTED;
        core::iter::from_fn(move || {
            // SAFETY: pages in the list are whole, and stay.
            let page = unsafe { next.as_ref() }?;
            next = page.next.load(Ordering::Acquire);
            Some(page)
        })
    }

    /// The place of a timer, or of none if that is 0.
    fn find(word: u32) -> Option<&'static AtomicU32> {
        let mut words = Self::all().flat_map(|page| &page.ids);
        words.find(|id| id.load(Ordering::Relaxed) == word)
    }

    /// Adds a page; whether there is memory for it.
    fn grow() -> bool {
        let Ok(page) = calls::map_anonymous(size_of::<Self>()) else {
            return false;
        };
        // SAFETY: fresh memory, all zeros, is an empty page, and nobody else's.
        let new = unsafe { &*(page as *const Self) };
        let put = |head: *mut Self| {
            new.next.store(head, Ordering::Relaxed);
            Some(ptr::from_ref(new).cast_mut())
        };
        let _ = NOTED
            .next
            .fetch_update(Ordering::Release, Ordering::Relaxed, put);
        true
    }
}

/// Notes whether a timer was set to a time of its clock; whether that was noted before.
fn note(id: i32, is_time: bool) -> bool {
    let word = (id as u32).wrapping_add(1);
    let change = |from: u32, to: u32| {
        Noted::find(from)
            .map(|place| place.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed))
    };
    if !is_time {
        // Where another thread is setting the same timer, one of them is the last.
        return change(word, 0).is_some();
    }
    if is_set_to_a_time(id) {
        return true;
    }
    loop {
        match change(0, word) {
            Some(Ok(_)) => return false,
            Some(Err(_)) => {}
            // Without memory the timer has the time that is left after a restart.
            None if Noted::grow() => {}
            None => return false,
        }
    }
}

/// Whether a timer was set to a time of its clock. Async-signal-safe.
pub fn is_set_to_a_time(id: i32) -> bool {
    Noted::find((id as u32).wrapping_add(1)).is_some()
}
