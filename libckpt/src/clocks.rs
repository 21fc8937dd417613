//! The clocks that count from a boot. After a restart in another boot they go on where they were: the vdso's `clock_gettime` is
//! then led to the function here, which adds what the kernel's clocks lack, and deadlines that go to the kernel are
//! translated (`interpose::deadlines`). Before that, nothing of it is in the program's way.
//!
//! Async-signal-safe: see `signal`.

use core::mem::transmute;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ckpt_image::clocks::{BOOTTIME, CLOCKS, Clocks, MONOTONIC, RAW};
use ckpt_sys::handover::Handover;
use ckpt_sys::syscall::raw;
use ckpt_sys::{calls, proc};
use linux_raw_sys::general as n;

/// What the program sees beyond the kernel's clocks, in nanoseconds, in two's complement.
static OFFSETS: [AtomicU64; CLOCKS] = [const { AtomicU64::new(0) }; CLOCKS];

/// The `clock_gettime` of the kernel's vdso, once ours has taken the place of the program's; 0 if there is none.
static KERNELS: AtomicU64 = AtomicU64::new(0);

/// Whether ours has.
static ENTERED: AtomicU32 = AtomicU32::new(0);

/// How often the offsets have changed. Who has read a clock before and adds an offset after that, begins again.
static CHANGES: AtomicU32 = AtomicU32::new(0);

/// Not 0 if any offset is not. For `asm/syscall.S`, too.
pub static DIFFER: AtomicU32 = AtomicU32::new(0);

/// Whether any clock differs from the kernel's.
pub fn differ() -> bool {
    DIFFER.load(Ordering::Relaxed) != 0
}

/// The clock whose offset `clock` has; `None` if it does not count from a boot.
#[must_use]
pub fn counted(clock: u32) -> Option<usize> {
    match clock {
        n::CLOCK_MONOTONIC | n::CLOCK_MONOTONIC_COARSE => Some(MONOTONIC),
        n::CLOCK_MONOTONIC_RAW => Some(RAW),
        n::CLOCK_BOOTTIME | n::CLOCK_BOOTTIME_ALARM => Some(BOOTTIME),
        _ => None,
    }
}

/// What the program sees beyond the kernel's clock, in nanoseconds.
pub fn offset(clock: usize) -> i64 {
    OFFSETS[clock].load(Ordering::Relaxed) as i64
}

/// `time` and `nanoseconds`, as a struct timespec; zeros rather than a time before that.
pub fn sum([seconds, rest]: [i64; 2], nanoseconds: i64) -> [i64; 2] {
    const SECOND: i64 = 1_000_000_000;
    let rest = rest.saturating_add(nanoseconds % SECOND);
    let seconds = seconds
        .saturating_add(nanoseconds / SECOND)
        .saturating_add(rest.div_euclid(SECOND));
    if seconds < 0 {
        [0; 2]
    } else {
        [seconds, rest.rem_euclid(SECOND)]
    }
}

/// Whether the kernel takes it for a time.
pub fn is_time([seconds, rest]: [i64; 2]) -> bool {
    seconds >= 0 && (0..1_000_000_000).contains(&rest)
}

type GetTime = unsafe extern "C" fn(u32, *mut [i64; 2]) -> isize;

/// Takes the place of the vdso's `clock_gettime` where the clocks differ from the kernel's. Returns what that returns: 0 or
/// a negative error number.
///
/// # Safety
/// As for clock_gettime(2).
unsafe extern "C" fn clock_gettime(clock: u32, time: *mut [i64; 2]) -> isize {
    loop {
        let changes = CHANGES.load(Ordering::Acquire);
        let kernels = KERNELS.load(Ordering::Relaxed);
        // SAFETY: (1) the restorer has said that the address is that of such a function; (2) the caller answers for the pointer.
        let result = unsafe {
            if kernels == 0 {
                raw(
                    n::__NR_clock_gettime,
                    [clock as usize, time as usize, 0, 0, 0, 0],
                )
            } else {
                transmute::<u64, GetTime>(kernels)(clock, time)
            }
        };
        let Some(counted) = counted(clock).filter(|_| result == 0) else {
            return result;
        };
        let offset = offset(counted);
        if CHANGES.load(Ordering::Acquire) == changes {
            // SAFETY: the kernel has just written there.
            unsafe { *time = sum(*time, offset) };
            return result;
        }
    }
}

/// For the image: what the clocks show.
pub fn collect() -> Clocks {
    Clocks {
        time_namespace: proc::time_namespace(),
        kernel: proc::clocks_from_boot(),
        offsets: core::array::from_fn(|clock| OFFSETS[clock].load(Ordering::Relaxed)),
        entry: clock_gettime as *const () as u64,
        entered: ENTERED.load(Ordering::Relaxed),
    }
}

/// What has to be added to a time of the kernel's clocks after a restart so that it is as far away as it was, in nanoseconds.
pub type Shift = [i64; CLOCKS];

/// The shift of the last restart.
static SHIFT: [AtomicU64; CLOCKS] = [const { AtomicU64::new(0) }; CLOCKS];

/// Takes over what the restorer says. Called in a restored process, while no thread of the program runs.
pub fn adopt(handover: &Handover) {
    let mut differ = 0;
    for ((old, shift), &new) in OFFSETS.iter().zip(&SHIFT).zip(&handover.offsets) {
        let old = old.swap(new, Ordering::Relaxed);
        shift.store(old.wrapping_sub(new), Ordering::Relaxed);
        differ |= u32::from(new != 0);
    }
    if handover.clock_gettime != 0 {
        KERNELS.store(handover.clock_gettime, Ordering::Relaxed);
        ENTERED.store(1, Ordering::Relaxed);
    }
    CHANGES.fetch_add(1, Ordering::Release);
    DIFFER.store(differ, Ordering::Release);
}

/// The shift of the last restart.
pub fn shift() -> Shift {
    core::array::from_fn(|clock| SHIFT[clock].load(Ordering::Relaxed) as i64)
}

/// A deadline in the frame of one of our wrappers: what libc's function, which may look at it again and again, hands to the
/// kernel. It may be left behind there by a jump, so it is marked at both ends.
#[repr(C)]
#[derive(Debug)]
pub struct Deadline {
    mark: u64,
    /// The one of the wrapper that was called before, in whose call a signal handler has called this one.
    before: *const Deadline,
    clock: u64,
    time: [i64; 2],
    end_mark: u64,
}

/// The marks differ by place, so that a copy is none.
const MARK: u64 = u64::from_be_bytes(*b"ckptlimt");

impl Deadline {
    /// The deadline that the program means by `time` on a clock that counts from a boot.
    pub fn new(clock: usize, time: [i64; 2], before: *const Self) -> Self {
        Self {
            mark: 0,
            before,
            clock: clock as u64,
            // What is not a time is for libc to refuse.
            time: match offset(clock) {
                offset if offset != 0 && is_time(time) => sum(time, offset.wrapping_neg()),
                _ => time,
            },
            end_mark: 0,
        }
    }

    /// Marks it as one, in its final place.
    pub fn mark(&mut self) {
        let mark = MARK ^ ptr::from_ref(self) as u64;
        (self.mark, self.end_mark) = (mark, mark);
    }

    /// Makes it none again.
    pub fn unmark(&mut self) {
        (self.mark, self.end_mark) = (0, 0);
    }

    /// The time on the kernel's clock.
    pub fn kernels(&self) -> [i64; 2] {
        self.time
    }

    /// Where that stands.
    pub fn time(&self) -> *const [i64; 2] {
        &raw const self.time
    }

    /// Moves the deadlines of the calling thread, of which `latest` is the newest, by the shift of the restart.
    ///
    /// # Safety
    /// The caller is the thread, and does not run in a wrapper.
    pub unsafe fn move_all(latest: *const Self) {
        /// Handlers within handlers, at most.
        const DEPTH: usize = 64;
        let shift = shift();
        if shift == [0; CLOCKS] {
            return;
        }
        let mut next = latest;
        for _ in 0..DEPTH {
            let Some((before, clock, time)) = Self::read(next) else {
                return;
            };
            let moved = sum(time, shift[clock]);
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&moved[0].to_ne_bytes());
            bytes[8..].copy_from_slice(&moved[1].to_ne_bytes());
            // SAFETY: the caller's own stack, where the marks say that a deadline stands.
            let _ = unsafe {
                calls::store_memory(
                    next as u64 + core::mem::offset_of!(Self, time) as u64,
                    &bytes,
                )
            };
            next = before;
        }
    }

    /// The deadline at `address`, if one is there.
    fn read(address: *const Self) -> Option<(*const Self, usize, [i64; 2])> {
        let mut bytes = [0; size_of::<Self>()];
        if address.is_null() || calls::copy_memory(address as u64, &mut bytes) != Ok(bytes.len()) {
            return None;
        }
        let word = |at: usize| u64::from_ne_bytes(core::array::from_fn(|index| bytes[at + index]));
        let mark = MARK ^ address as u64;
        let clock = word(core::mem::offset_of!(Self, clock)) as usize;
        let time = core::mem::offset_of!(Self, time);
        let is_one = word(core::mem::offset_of!(Self, mark)) == mark
            && word(core::mem::offset_of!(Self, end_mark)) == mark
            && clock < CLOCKS;
        is_one.then(|| {
            (
                word(core::mem::offset_of!(Self, before)) as *const Self,
                clock,
                [word(time) as i64, word(time + 8) as i64],
            )
        })
    }
}

/// The time of a clock that counts from a boot as the kernel has it, from libc's, which is the program's; both in
/// nanoseconds.
pub fn kernels_time(clock: usize, programs: u64) -> u64 {
    programs.wrapping_sub(offset(clock) as u64)
}
