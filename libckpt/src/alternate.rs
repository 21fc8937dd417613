//! Alternate signal stacks for the threads that the program creates, since a signal frame does not fit on every stack
//! that a thread may be using when the checkpoint signal comes.
//!
//! The stacks lie in a pool of chunks that only grows. A thread keeps its slot until its very end, beyond its last
//! destructor, so nothing of ours could give it back in time: a slot is free when the kernel does not know its thread any
//! more. That is asked for all slots at once, and only after at least half as many threads were created as there are slots:
//! creating a thread takes constant time on average, and the pool has at most twice the slots that were ever used at once.
//!
//! In a forked child the only thread is the one that called fork(2), so it is the first to create another one, and
//! puts its new id into its own slot before it looks for a free one; the slots of the others are free there. In a
//! restored process each slot has its thread's new id from the beginning ([`Slot::id_word`]).

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use ckpt_sys::kernel::{SignalSet, SignalStack};
use ckpt_sys::{Errno, calls};
use linux_raw_sys::general as n;

use crate::thread_local;

global_asm!(include_str!("../../asm/thread_start.S"), begin = sym begin);

unsafe extern "C" {
    /// Takes a slot as its argument, and goes on with the routine that stands there.
    pub fn ckpt_thread_start(slot: *mut c_void) -> *mut c_void;
}

/// Slots of a chunk: one bit of a word for each.
const SLOTS: usize = u64::BITS as usize;
/// Size of a stack, in bytes. Only what is touched takes memory.
pub const STACK: usize = 64 << 10;
/// Size of the guard below each stack, and of the chunk's own data, in bytes: a page each.
const GUARD: usize = 4 << 10;
/// Size of a chunk, in bytes.
const CHUNK: usize = GUARD + SLOTS * (GUARD + STACK);
/// The stacks of so many chunks have guards: 1,024 threads. A guard costs two mappings, of which a process may have 65,530
/// (`vm.max_map_count`); libc itself takes two for each thread, so a program can have 32,000 of them, with ours 31,000.
const GUARDED_CHUNKS: usize = 16;

/// What a thread begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The program's start routine, of whatever type.
    pub routine: *const c_void,
    /// Its argument.
    pub argument: *mut c_void,
}

/// The checkpoint signal in the mask with which a thread begins.
#[derive(Clone, Copy, Debug)]
pub struct SignalAtStart {
    /// The signal if the thread blocks it, as far as the program knows; or 0.
    pub blocked: i32,
    /// The signal if libc really blocks it, since the thread's attributes say so: the thread takes it out of its mask.
    pub unblock: SignalSet,
}

/// One stack's data.
#[repr(C)]
#[derive(Debug)]
pub struct Slot {
    /// [`FREE`], [`RESERVED`], or the id of the thread whose stack it is.
    tid: AtomicI32,
    /// See [`SignalAtStart`].
    blocked: UnsafeCell<i32>,
    unblock: UnsafeCell<SignalSet>,
    /// Address of the stack; 0 until it can be used.
    stack: UnsafeCell<u64>,
    start: UnsafeCell<Start>,
}

const FREE: i32 = 0;
/// Taken by a thread that is about to create the one that will use it.
const RESERVED: i32 = -1;

/// The beginning of a chunk, which the kernel has filled with zeros. Behind it come the stacks, each above its guard.
#[repr(C)]
#[derive(Debug)]
struct Chunk {
    next: AtomicPtr<Chunk>,
    /// Bit `i`: slot `i` may be taken. Whoever clears the bit has the slot.
    free: AtomicU64,
    /// Whether the space below each stack stays inaccessible.
    has_guards: AtomicBool,
    slots: [Slot; SLOTS],
}

const _: () = assert!(size_of::<Chunk>() <= GUARD);

// SAFETY: whoever has reserved a slot is alone with its cells until the thread that it is for begins, and afterwards that
// thread is alone with them.
unsafe impl Sync for Slot {}

static FIRST: AtomicPtr<Chunk> = AtomicPtr::new(ptr::null_mut());
/// Where the search begins: no chunk before it has a free slot that is known of.
static CURSOR: AtomicPtr<Chunk> = AtomicPtr::new(ptr::null_mut());
static CHUNKS: AtomicUsize = AtomicUsize::new(0);
/// Slots taken since it was last asked which threads have ended.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// The process in which a thread makes room right now, or 0. A child that was forked meanwhile finds its parent's id.
static AT_WORK: AtomicI32 = AtomicI32::new(0);
/// How often a thread lets others run while one of them makes room. It is never that often, unless a signal handler
/// creates a thread and has interrupted the one that it waits for.
const PATIENCE: u32 = 10_000;

/// A slot on its way to a new thread.
#[derive(Debug)]
pub struct Reserved {
    chunk: &'static Chunk,
    index: usize,
}

impl Reserved {
    /// A slot for a thread that begins with `start` and `signal`; `None` if there is no memory for its stack.
    pub fn new(start: Start, signal: SignalAtStart) -> Option<Self> {
        adopt_tid();
        let reserved = take()?.with_stack()?;
        let slot = reserved.slot();
        // SAFETY: the slot is reserved.
        unsafe {
            *slot.start.get() = start;
            *slot.blocked.get() = signal.blocked;
            *slot.unblock.get() = signal.unblock;
        }
        Some(reserved)
    }

    /// The argument for [`ckpt_thread_start`].
    pub fn argument(&self) -> *mut c_void {
        ptr::from_ref(self.slot()).cast_mut().cast()
    }

    /// Gives the slot back: the thread could not be created.
    pub fn release(self) {
        self.slot().tid.store(FREE, Ordering::Relaxed);
        self.chunk.free.fetch_or(1 << self.index, Ordering::Release);
    }

    fn slot(&self) -> &'static Slot {
        &self.chunk.slots[self.index]
    }

    /// Makes the stack accessible if it is not yet.
    fn with_stack(self) -> Option<Self> {
        let address = self.slot().stack.get();
        // SAFETY: the slot is reserved.
        if unsafe { *address } != 0 {
            return Some(self);
        }
        let chunk = ptr::from_ref(self.chunk).addr();
        let guard = chunk + GUARD + self.index * (GUARD + STACK);
        let stack = guard + GUARD;
        // Stacks without guards become one mapping with their neighbours.
        let start = if self.chunk.has_guards.load(Ordering::Relaxed) {
            stack
        } else {
            guard
        };
        let (length, read_write) = (stack + STACK - start, n::PROT_READ | n::PROT_WRITE);
        // SAFETY: the memory belongs to the slot, which is reserved.
        unsafe {
            if calls::protect(start, length, read_write).is_err() {
                self.release();
                return None;
            }
            *address = stack as u64;
        }
        Some(self)
    }
}

impl Slot {
    /// The address at which the id of its thread stands.
    pub fn id_word(&self) -> u64 {
        self.tid.as_ptr() as u64
    }
}

impl Chunk {
    /// A new chunk, whose first slot is the caller's.
    fn map() -> Option<Reserved> {
        let flags = n::MAP_PRIVATE | n::MAP_ANONYMOUS | n::MAP_NORESERVE;
        // SAFETY: (1) the mapping is new, and stays; (2) zeros are a chunk without free slots.
        let chunk = unsafe {
            let start = calls::map(0, CHUNK, n::PROT_NONE, flags, -1, 0).ok()?;
            if calls::protect(start, GUARD, n::PROT_READ | n::PROT_WRITE).is_err() {
                let _ = calls::unmap(start, CHUNK);
                return None;
            }
            &*ptr::with_exposed_provenance::<Self>(start)
        };
        let has_guards = CHUNKS.fetch_add(1, Ordering::Relaxed) < GUARDED_CHUNKS;
        chunk.has_guards.store(has_guards, Ordering::Relaxed);
        chunk.slots[0].tid.store(RESERVED, Ordering::Relaxed);
        chunk.free.store(!1, Ordering::Relaxed);
        Some(Reserved { chunk, index: 0 })
    }

    /// Puts the chunk behind all others.
    fn append(&'static self) {
        let this = ptr::from_ref(self).cast_mut();
        let mut place = &FIRST;
        while let Err(taken) =
            place.compare_exchange(ptr::null_mut(), this, Ordering::AcqRel, Ordering::Acquire)
        {
            // SAFETY: what is linked is a chunk, and chunks stay.
            place = unsafe { &(*taken).next };
        }
    }

    /// Reserves a free slot.
    fn take(&'static self) -> Option<Reserved> {
        let lowest_taken = |free: u64| (free != 0).then(|| free & (free - 1));
        let free = self
            .free
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, lowest_taken)
            .ok()?;
        let index = free.trailing_zeros() as usize;
        self.slots[index].tid.store(RESERVED, Ordering::Relaxed);
        Some(Reserved { chunk: self, index })
    }

    /// Frees the slots of threads of process `pid` that have ended.
    fn sweep(&self, pid: i32) {
        let mut freed = 0;
        for (index, slot) in self.slots.iter().enumerate() {
            let tid = slot.tid.load(Ordering::Acquire);
            if tid > 0
                && calls::tgkill(pid, tid, 0) == Err(Errno::ESRCH)
                && slot
                    .tid
                    .compare_exchange(tid, FREE, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
            {
                freed |= 1 << index;
            }
        }
        self.free.fetch_or(freed, Ordering::Release);
    }
}

/// The stack of the main thread, which is in no chunk.
static MAIN: AtomicU64 = AtomicU64::new(0);

/// Notes where the main thread's stack begins.
pub fn set_main(start: u64) {
    MAIN.store(start, Ordering::Relaxed);
}

/// Whether a stack that begins at `start` is one of these, and the main thread's or that of a thread that the program has created through libc.
pub fn is_one(start: u64) -> bool {
    let is_in = |chunk: &Chunk| start.wrapping_sub(ptr::from_ref(chunk) as u64) < CHUNK as u64;
    start == MAIN.load(Ordering::Relaxed) || chunks_from(&FIRST).any(is_in)
}

/// The chunk that `place` names and those behind it.
fn chunks_from(place: &AtomicPtr<Chunk>) -> impl Iterator<Item = &'static Chunk> {
    // SAFETY: what is linked is a chunk, and chunks stay.
    let load = |place: &AtomicPtr<Chunk>| unsafe { place.load(Ordering::Acquire).as_ref() };
    core::iter::successors(load(place), move |chunk| load(&chunk.next))
}

/// Reserves a slot: a free one, or one whose thread has ended, or a new one.
fn take() -> Option<Reserved> {
    let reserved = find().or_else(make_room)?;
    TAKEN.fetch_add(1, Ordering::Relaxed);
    Some(reserved)
}

fn find() -> Option<Reserved> {
    let reserved = chunks_from(&CURSOR).find_map(Chunk::take)?;
    set_cursor(reserved.chunk);
    Some(reserved)
}

fn set_cursor(chunk: &'static Chunk) {
    CURSOR.store(ptr::from_ref(chunk).cast_mut(), Ordering::Release);
}

/// Reserves a slot after there was none. One thread at a time does that, for two reasons: while it looks whether a slot's
/// thread has ended, nobody else may free the slot and let it be taken anew; and many that come at the same moment do
/// not want a new chunk each.
fn make_room() -> Option<Reserved> {
    let pid = calls::pid();
    let mut patience = PATIENCE;
    while AT_WORK
        .fetch_update(Ordering::Acquire, Ordering::Relaxed, |other| {
            (other != pid).then_some(pid)
        })
        .is_err()
    {
        if patience == 0 {
            return grow();
        }
        patience -= 1;
        let _ = calls::yield_now();
    }
    let reserved = find()
        .or_else(|| {
            let all = CHUNKS.load(Ordering::Relaxed) * SLOTS;
            if TAKEN.load(Ordering::Relaxed) < all / 2 {
                return None;
            }
            sweep(pid);
            find()
        })
        .or_else(grow);
    AT_WORK.store(0, Ordering::Release);
    reserved
}

/// Frees the slots of all threads of process `pid` that have ended.
fn sweep(pid: i32) {
    TAKEN.store(0, Ordering::Relaxed);
    for chunk in chunks_from(&FIRST) {
        chunk.sweep(pid);
    }
    CURSOR.store(FIRST.load(Ordering::Acquire), Ordering::Release);
}

/// Reserves a slot of a new chunk.
fn grow() -> Option<Reserved> {
    let reserved = Chunk::map()?;
    reserved.chunk.append();
    set_cursor(reserved.chunk);
    Some(reserved)
}

/// Entered from asm/thread_start.S in a new thread, on its own stack.
extern "C" fn begin(slot: &'static Slot) -> Start {
    slot.tid.store(calls::tid(), Ordering::Release);
    // SAFETY: (1) the slot is this thread's now; (2) libc has given the thread its thread pointer; (3) nothing else uses
    // the stack.
    unsafe {
        let stack = SignalStack {
            start: *slot.stack.get(),
            flags: 0,
            padding: 0,
            size: STACK as u64,
        };
        let local = thread_local::current();
        (*local).blocked = *slot.blocked.get();
        (*local).alternate = stack;
        (*local).slot = slot;
        let _ = calls::alternate_stack(Some(&stack));
        let unblock = *slot.unblock.get();
        if unblock != 0 {
            let _ = calls::signal_mask(n::SIG_UNBLOCK, Some(unblock));
        }
        *slot.start.get()
    }
}

/// Puts the calling thread's id into its slot. It has changed in the child of a fork.
fn adopt_tid() {
    // SAFETY: (1) the callers are threads of libc's; (2) slots stay.
    if let Some(slot) = unsafe { (*thread_local::current()).slot.as_ref() } {
        slot.tid.store(calls::tid(), Ordering::Release);
    }
}
