//! Locks that are held across a restart. glibc keeps the id of the thread that holds a mutex or read-write lock in it, and asks for it
//! when the lock is used again; a restored thread has a new id. Where held locks are can only be guessed, since other data may look
//! like one. So a restored process has a list of the words that seem to name an owner, and the functions that use locks, which
//! libckpt stands in front of, put the new id into the words of theirs. Data that only looks like a lock is never given to such a
//! function, and stays as it is.
//!
//! While the list is empty, as it is before the first restart, this costs one comparison.
//!
//! Between libckpt's look at the list and the comparison in libc nobody may be stopped, or the id that is compared would be a new one,
//! and the other an old one: a thread that is met there goes on for a moment ([`is_using`]).
//!
//! Async-signal-safe: see `signal`.

use core::arch::naked_asm;
use core::mem::offset_of;
use core::slice;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use ckpt_image::context::Registers;
use ckpt_image::owners::{LockWord, TID_MASK, knows_owner};
use ckpt_image::segments::Span;
use ckpt_sys::in_progress::is_in_call;
use ckpt_sys::{Errno, MapVec, calls};
use libc::{c_int, c_void, clockid_t, timespec};
use linux_raw_sys::general as n;

use crate::interpose::{CONDITIONS, Next};
use crate::loaded::{self, Object};
use crate::signal::Owned;
use crate::thread_local::{self, ThreadLocal};

/// A word of the list: a [`LockWord`] in use.
#[repr(C)]
#[derive(Debug)]
struct Word {
    address: u64,
    /// The id that is to stand there, and what has become of that: [`BUSY`], [`SETTLED`], or neither as long as nobody has used the lock.
    tid: AtomicU32,
    /// The id that stands there until then.
    value: u32,
}

const _: () = assert!(size_of::<Word>() == size_of::<LockWord>() && !TID_MASK == BUSY | SETTLED);

/// Somebody puts the id there.
const BUSY: u32 = 1 << 30;
/// The word is like any other.
const SETTLED: u32 = 1 << 31;

/// The list, which ascends by addresses and only changes while a process is being restored.
static WORDS: AtomicPtr<Word> = AtomicPtr::new(core::ptr::null_mut());
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Room for as many words as nearly all programs have: a mapping of its own would be one that the program did not have before.
static ROOM: Owned<[LockWord; 256]> = Owned::new(
    [LockWord {
        address: 0,
        tid: 0,
        value: 0,
    }; 256],
);

/// How many words are waiting: 0 lets all functions go straight to libc's.
static LEFT: AtomicU32 = AtomicU32::new(0);

fn words() -> &'static [Word] {
    let (words, count) = (WORDS.load(Ordering::Acquire), COUNT.load(Ordering::Acquire));
    if words.is_null() {
        return &[];
    }
    // SAFETY: the list stays until `adopt` replaces it, when nobody else runs.
    unsafe { slice::from_raw_parts(words, count) }
}

impl Word {
    /// Puts the id there, unless the word has changed: then it is no lock's, or that of another one by now.
    ///
    /// # Safety
    /// The word is mapped and can be written.
    unsafe fn settle(&self) {
        let tid = loop {
            let state = self.tid.load(Ordering::Acquire);
            if state & SETTLED != 0 {
                return;
            }
            let is_ours = state & BUSY == 0
                && self
                    .tid
                    .compare_exchange(state, state | BUSY, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok();
            if is_ours {
                break state;
            }
            core::hint::spin_loop();
        };
        // SAFETY: the caller answers for the word, which others change by atomic operations, too.
        let word = unsafe { AtomicU32::from_ptr(self.address as *mut u32) };
        let rename = |word| self.names_owner(word).then_some(word & !TID_MASK | tid);
        let _ = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, rename);
        self.tid.store(tid | SETTLED, Ordering::Release);
        LEFT.fetch_sub(1, Ordering::AcqRel);
    }

    fn names_owner(&self, word: u32) -> bool {
        word & TID_MASK == self.value
    }
}

/// Settles the words that lie in `span`.
///
/// # Safety
/// All of it is mapped, and can be written.
unsafe fn settle(span: Span) {
    let words = words();
    let first = words.partition_point(|word| word.address < span.start);
    for word in words[first..]
        .iter()
        .take_while(|word| word.address < span.end)
    {
        // SAFETY: the caller answers for the memory.
        unsafe { word.settle() };
    }
}

/// Takes over the list of a restored process. The words of libc's own locks, which it uses without asking us, are settled at once.
///
/// # Safety
/// The caller is the only thread that runs.
///
/// # Errors
/// `ENOMEM`.
pub unsafe fn adopt(list: &[LockWord]) -> Result<(), Errno> {
    // SAFETY: we run on libckpt's stack.
    let room = unsafe { ROOM.get() };
    let before = words();
    LEFT.store(0, Ordering::Relaxed);
    COUNT.store(0, Ordering::Relaxed);
    if before.len() > room.len() {
        // SAFETY: it has a mapping of its own, which nobody uses any more.
        let _ = unsafe { calls::unmap(before.as_ptr() as usize, size_of_val(before)) };
    }
    let words = match room.get_mut(..list.len()) {
        Some(room) => {
            room.copy_from_slice(list);
            room
        }
        None => {
            let mut mapped = MapVec::with_capacity(list.len())?;
            mapped.extend(list)?;
            mapped.leak()
        }
    };
    WORDS.store(words.as_mut_ptr().cast(), Ordering::Release);
    COUNT.store(words.len(), Ordering::Release);
    LEFT.store(words.len() as u32, Ordering::Release);
    // SAFETY: (1) we run on libckpt's stack; (2) libc stays mapped.
    unsafe {
        for &span in LIBC.get().iter() {
            settle(span);
        }
    }
    Ok(())
}

/// The words that are still waiting, with what stands in them and the present ids of their threads, if the thread `is_there`: for the next
/// image. A word that has changed since is no lock's.
///
/// # Errors
/// `ENOMEM`.
pub fn left(is_there: impl Fn(i32) -> bool) -> Result<MapVec<LockWord>, Errno> {
    let mut left = MapVec::new();
    if LEFT.load(Ordering::Acquire) == 0 {
        return Ok(left);
    }
    for word in words() {
        let (mut bytes, tid) = ([0; 4], word.tid.load(Ordering::Acquire));
        let waits = tid & SETTLED == 0
            && is_there((tid & TID_MASK) as i32)
            && calls::copy_memory(word.address, &mut bytes) == Ok(bytes.len());
        if waits && word.names_owner(u32::from_ne_bytes(bytes)) {
            left.push(LockWord {
                address: word.address,
                tid: tid & TID_MASK,
                value: word.value,
            })?;
        }
    }
    Ok(left)
}

/// Where `struct __pthread_mutex_s` has its lock word and its owner, and its `__kind` (sysdeps/x86/nptl/bits/struct_mutex.h).
const OF_MUTEX: Span = Span::new(0, 12);
const KIND_AT: usize = 16;
/// Where `struct __pthread_rwlock_arch_t` has its current writer (sysdeps/x86/nptl/bits/struct_rwlock.h).
const OF_RWLOCK: Span = Span::new(24, 28);

fn within(lock: u64, part: Span) -> Span {
    Span::new(lock.wrapping_add(part.start), lock.wrapping_add(part.end))
}

/// A function is about to use the mutex at `mutex`.
///
/// # Safety
/// There is one.
unsafe extern "C" fn before_mutex(mutex: u64) {
    settle_late();
    // SAFETY: the caller answers for the mutex.
    unsafe { use_mutex(mutex) };
}

/// Somebody uses the mutex at `mutex`, or waits for it.
///
/// # Safety
/// There is one.
pub unsafe fn use_mutex(mutex: u64) {
    // SAFETY: the caller answers for the mutex, of which this is a field.
    let kind = unsafe { ((mutex + KIND_AT as u64) as *const u32).read_volatile() };
    if knows_owner(kind) {
        // SAFETY: as above; libc is about to write there.
        unsafe { settle(within(mutex, OF_MUTEX)) };
    }
}

/// A function is about to use the read-write lock at `lock`.
///
/// # Safety
/// There is one.
unsafe extern "C" fn before_rwlock(lock: u64) {
    settle_late();
    // SAFETY: the caller answers for the lock, to which libc is about to write.
    unsafe { settle(within(lock, OF_RWLOCK)) };
}

/// A thread that waits for a robust or priority-inheriting mutex has read its id before, and stores it into the mutex when it gets it
/// (`__pthread_mutex_lock_full`, nptl/pthread_mutex_lock.c); since glibc 2.43, or as the compiler likes, so has one that waits for any
/// other. Until it uses a lock again, nobody asks for that; then it puts its
/// present id there. All zeros is a thread that does not.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Late {
    /// Address of the mutex.
    mutex: u64,
    /// The id that the thread had.
    value: u32,
}

/// Notes that the calling thread, which is being restored and had the id `former`, waits for `mutex`; or that it does not.
///
/// # Safety
/// The thread has a thread pointer.
pub unsafe fn expect(mutex: Option<u64>, former: u32) {
    // SAFETY: the caller answers for the thread pointer.
    let late = unsafe { &mut (*thread_local::current()).late };
    // While it waits in the same call, it has the id of an earlier generation.
    if late.mutex != 0 && mutex == Some(late.mutex) {
        LEFT.fetch_add(1, Ordering::AcqRel);
        return;
    }
    late.settle();
    if let Some(mutex) = mutex {
        *late = Late {
            mutex,
            value: former,
        };
        LEFT.fetch_add(1, Ordering::AcqRel);
    }
}

impl Late {
    const NOTHING: Self = Self { mutex: 0, value: 0 };

    /// Puts the caller's id there, if it has got the mutex.
    fn settle(&mut self) {
        let Self { mutex, value } = core::mem::replace(self, Self::NOTHING);
        let mut there = [0; 12];
        // If the thread did not get it, it may be gone.
        if mutex == 0 || calls::copy_memory(mutex, &mut there) != Ok(there.len()) {
            return;
        }
        let tid = calls::tid() as u32;
        for address in (mutex..mutex + 12).step_by(8) {
            // SAFETY: the mutex is there; others change the words by atomic operations, too.
            let word = unsafe { AtomicU32::from_ptr(address as *mut u32) };
            let rename = |word| (word & TID_MASK == value).then_some(word & !TID_MASK | tid);
            let _ = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, rename);
        }
    }
}

/// The calling thread uses a lock.
fn settle_late() {
    // SAFETY: a thread that calls functions of libc has a thread pointer, and the block is its own.
    let late = unsafe { &mut (*thread_local::current()).late };
    if late.mutex != 0 {
        late.settle();
        LEFT.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A wait for a condition, at the end of which libc takes the mutex again by itself (`__pthread_mutex_cond_lock`). Noted in asm/lock.S.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ConditionWait {
    /// Address of the mutex.
    mutex: u64,
    /// The stack pointer with which libc's function has begun: there stands where it returns to,
    stack: u64,
    /// which is this.
    behind: u64,
}

/// How large stacks are, as a rule, in bytes.
const STACK: u64 = 8 << 20;

impl ConditionWait {
    /// The mutex, if a thread with the stack pointer `rsp` has not come back from the wait, as far as its stack tells. It may be in a handler, on
    /// another stack.
    pub fn mutex(&self, rsp: u64) -> Option<u64> {
        let is_over = (1..STACK).contains(&rsp.wrapping_sub(self.stack));
        let mut word = [0; 8];
        let is_there = self.mutex != 0
            && !is_over
            && calls::copy_memory(self.stack, &mut word) == Ok(word.len())
            && u64::from_ne_bytes(word) == self.behind;
        is_there.then_some(self.mutex)
    }
}

/// A thread may be in a wait for a condition with this mutex. If the wait is over after all, the mutex may be gone.
pub fn use_mutex_of_condition(mutex: u64) {
    let mut kind = [0; 4];
    if calls::copy_memory(mutex + KIND_AT as u64, &mut kind) == Ok(kind.len())
        && knows_owner(u32::from_ne_bytes(kind))
    {
        // SAFETY: where a word is listed, there is memory that can be written.
        unsafe { settle(within(mutex, OF_MUTEX)) };
    }
}

/// The kernel knows that the calling thread, or one that does not run yet, holds the robust mutex whose lock word is at `word`, which
/// is what the kernel will look at.
///
/// # Safety
/// There is one, in memory that can be written.
pub unsafe fn use_robust(word: u64) {
    // SAFETY: the caller answers for the mutex.
    unsafe { settle(within(word, OF_MUTEX)) };
}

/// The memory of libc, and of the loader, that is written to.
static LIBC: Owned<[Span; 8]> = Owned::new([Span::new(0, 0); 8]);

/// Finds out where libc has its own locks. Called at start.
pub fn find_libc() {
    loaded::for_each(note_if_libc);
}

fn note_if_libc(object: &Object<'_>) {
    // SAFETY: (1) the constructor runs alone; (2) getauxval(3) takes a number.
    let (spans, loader) = unsafe { (LIBC.get(), libc::getauxval(libc::AT_BASE)) };
    let segments = object
        .headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD)
        .map(|header| {
            let start = object.bias + header.p_vaddr;
            (Span::new(start, start + header.p_memsz), header.p_flags)
        });
    let of_libc = [
        libc::gnu_get_libc_version as *const () as u64,
        PTHREAD_MUTEX_LOCK.address(),
    ];
    let has_any = |(span, _): (Span, u32)| {
        of_libc
            .iter()
            .any(|&code| (span.start..span.end).contains(&code))
    };
    if object.bias == loader || segments.clone().any(has_any) {
        let written = segments.filter(|(_, flags)| flags & libc::PF_W != 0);
        let free = spans.iter_mut().filter(|span| span.is_empty());
        for (place, (span, _)) in free.zip(written) {
            *place = span;
        }
    }
}

/// How far from its beginning a function of libc reaches, and the inner ones that it calls with the same lock, which the linker has put
/// beside it, in bytes.
const REACH: u64 = 2 << 10;

unsafe extern "C" {
    /// Where the linker puts the first of the functions below, and the end of the last.
    #[link_name = "__start_ckpt_locks"]
    static FIRST: u8;
    #[link_name = "__stop_ckpt_locks"]
    static END: u8;
}

/// Whether a thread with these registers may be about to compare ids.
///
/// # Safety
/// `local` is the thread's own block.
pub unsafe fn is_using(registers: &Registers, local: *const ThreadLocal) -> bool {
    let rip = registers.rip;
    let ours = (&raw const FIRST) as u64..(&raw const END) as u64;
    // SAFETY: the caller answers for the block.
    if ours.contains(&rip) || unsafe { (*local).settles } != 0 {
        return true;
    }
    let is_using = is_near(rip, REACH) || is_near(rip, INNER) && is_called_from_near(registers);
    is_using && !waits(registers)
}

/// Whether `address` lies not further than `reach` from the beginning of one of libc's functions.
fn is_near(address: u64, reach: u64) -> bool {
    ALL.iter()
        .any(|next| address.wrapping_sub(next.address()).wrapping_add(reach) < 2 * reach)
}

/// How far from those functions the ones are in which they wait, in bytes,
const INNER: u64 = 32 << 10;
/// and how much of the stack their frames take, in words.
const FRAME: usize = 32;

/// Whether a return address into one of the functions lies on top of the stack. What only looks like one costs a moment.
pub fn is_called_from_near(registers: &Registers) -> bool {
    return_address(registers).is_some()
}

/// Where that lies.
fn return_address(registers: &Registers) -> Option<u64> {
    let mut words = [[0; 8]; FRAME];
    // The stack may end before.
    let copied = calls::copy_memory(registers.rsp, words.as_flattened_mut()).unwrap_or(0);
    let index = words[..copied / 8]
        .iter()
        .position(|&word| is_near(u64::from_le_bytes(word), REACH))?;
    Some(registers.rsp + 8 * index as u64)
}

/// What `pthread_mutex_lock` takes of the stack in glibc 2.43, in bytes.
const FRAME_OF_LOCK: u64 = 24;

/// Gives the id `tid` to the function of libc in which a thread with these registers waits for a mutex, if it has the id `former` at hand: in a
/// register that calls leave as it is, or in its frame. libc's own locks are given back without asking us.
///
/// # Safety
/// The registers are those of the caller, which goes on with them.
pub unsafe fn rename(registers: &mut Registers, former: u32, tid: u32) {
    let Some(end) = return_address(registers) else {
        return;
    };
    let Registers {
        rbx,
        rbp,
        r12,
        r13,
        r14,
        r15,
        ..
    } = registers;
    for register in [rbx, rbp, r12, r13, r14, r15] {
        if *register == u64::from(former) {
            *register = u64::from(tid);
        }
    }
    for address in (registers.rsp..end + 8 + FRAME_OF_LOCK).step_by(4) {
        let mut word = [0; 4];
        if calls::copy_memory(address, &mut word) == Ok(word.len())
            && u32::from_ne_bytes(word) == former
        {
            // SAFETY: the word is in the frames of libc's functions.
            let _ = unsafe { calls::store_memory(address, &tid.to_ne_bytes()) };
        }
    }
}

/// Whether a thread with these registers waits: then it has compared ids before. One that gives a lock back does not wait, and has an id
/// at hand with which the kernel compares its own.
fn waits(registers: &Registers) -> bool {
    let operation = registers.rsi as u32 & !n::FUTEX_PRIVATE_FLAG;
    let gives_back = registers.rax == u64::from(n::__NR_futex)
        && matches!(operation, n::FUTEX_WAKE | n::FUTEX_UNLOCK_PI);
    !gives_back && is_in_call(registers)
}

/// Where a thread's block has that.
const CONDITION: usize = offset_of!(ThreadLocal, condition);

/// Defines functions that stand in front of libc's, and let it look at the locks that they are given.
macro_rules! guarded {
    ($(
        $(#[$meta:meta])*
        $next:ident: fn $name:ident($($type:ty),*) $(of $version:ident)?, $use:ident($lock:ident);
    )*) => {
        $(
            #[used]
            #[unsafe(link_section = "ckpt_next")]
            static $next: Next = Next::new(
                match core::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => panic!(),
                },
                &[$($version)?],
            );

            $(#[$meta])*
            ///
            /// # Safety
            /// As for the function of libc.
            #[unsafe(naked)]
            #[unsafe(link_section = "ckpt_locks")]
            pub unsafe extern "C" fn $name($(_: $type),*) -> c_int {
                naked_asm!(
                    include_str!("../../asm/lock.S"),
                    next = sym $next,
                    ADDRESS = const offset_of!(Next, address),
                    left = sym LEFT,
                    SETTLES = const offset_of!(ThreadLocal, settles),
                    look_up = sym look_up,
                    use_lock = sym $use,
                    LOCK = const guarded!(@$lock),
                    CONDITION_MUTEX = const CONDITION + offset_of!(ConditionWait, mutex),
                    CONDITION_STACK = const CONDITION + offset_of!(ConditionWait, stack),
                    CONDITION_BEHIND = const CONDITION + offset_of!(ConditionWait, behind),
                )
            }
        )*

        /// All of them.
        static ALL: &[&Next] = &[$(&$next),*];
    };
    (@first) => { 0 };
    (@second) => { 1 };
}

guarded! {
    /// pthread_mutex_lock(3)
    #[unsafe(no_mangle)]
    PTHREAD_MUTEX_LOCK: fn pthread_mutex_lock(*mut c_void), before_mutex(first);

    /// pthread_mutex_trylock(3)
    #[unsafe(no_mangle)]
    PTHREAD_MUTEX_TRYLOCK: fn pthread_mutex_trylock(*mut c_void), before_mutex(first);

    /// pthread_mutex_timedlock(3)
    #[unsafe(no_mangle)]
    PTHREAD_MUTEX_TIMEDLOCK: fn pthread_mutex_timedlock(*mut c_void, *const timespec), before_mutex(first);

    /// pthread_mutex_unlock(3)
    #[unsafe(no_mangle)]
    PTHREAD_MUTEX_UNLOCK: fn pthread_mutex_unlock(*mut c_void), before_mutex(first);

    /// pthread_mutex_consistent(3)
    #[unsafe(no_mangle)]
    PTHREAD_MUTEX_CONSISTENT: fn pthread_mutex_consistent(*mut c_void), before_mutex(first);

    /// pthread_mutex_setprioceiling(3), which locks the mutex.
    #[unsafe(no_mangle)]
    PTHREAD_MUTEX_SETPRIOCEILING: fn pthread_mutex_setprioceiling(*mut c_void, c_int, *mut c_int), before_mutex(first);

    /// pthread_cond_wait(3)
    #[unsafe(no_mangle)]
    PTHREAD_COND_WAIT: fn pthread_cond_wait(*mut c_void, *mut c_void) of CONDITIONS, before_mutex(second);

    /// mtx_lock(3)
    #[unsafe(no_mangle)]
    MTX_LOCK: fn mtx_lock(*mut c_void), before_mutex(first);

    /// mtx_trylock(3)
    #[unsafe(no_mangle)]
    MTX_TRYLOCK: fn mtx_trylock(*mut c_void), before_mutex(first);

    /// mtx_timedlock(3)
    #[unsafe(no_mangle)]
    MTX_TIMEDLOCK: fn mtx_timedlock(*mut c_void, *const timespec), before_mutex(first);

    /// mtx_unlock(3)
    #[unsafe(no_mangle)]
    MTX_UNLOCK: fn mtx_unlock(*mut c_void), before_mutex(first);

    /// cnd_wait(3)
    #[unsafe(no_mangle)]
    CND_WAIT: fn cnd_wait(*mut c_void, *mut c_void), before_mutex(second);

    /// cnd_timedwait(3)
    #[unsafe(no_mangle)]
    CND_TIMEDWAIT: fn cnd_timedwait(*mut c_void, *mut c_void, *const timespec), before_mutex(second);

    /// pthread_rwlock_rdlock(3)
    #[unsafe(no_mangle)]
    PTHREAD_RWLOCK_RDLOCK: fn pthread_rwlock_rdlock(*mut c_void), before_rwlock(first);

    /// pthread_rwlock_tryrdlock(3)
    #[unsafe(no_mangle)]
    PTHREAD_RWLOCK_TRYRDLOCK: fn pthread_rwlock_tryrdlock(*mut c_void), before_rwlock(first);

    /// pthread_rwlock_timedrdlock(3)
    #[unsafe(no_mangle)]
    PTHREAD_RWLOCK_TIMEDRDLOCK: fn pthread_rwlock_timedrdlock(*mut c_void, *const timespec), before_rwlock(first);

    /// pthread_rwlock_wrlock(3)
    #[unsafe(no_mangle)]
    PTHREAD_RWLOCK_WRLOCK: fn pthread_rwlock_wrlock(*mut c_void), before_rwlock(first);

    /// pthread_rwlock_trywrlock(3)
    #[unsafe(no_mangle)]
    PTHREAD_RWLOCK_TRYWRLOCK: fn pthread_rwlock_trywrlock(*mut c_void), before_rwlock(first);

    /// pthread_rwlock_timedwrlock(3)
    #[unsafe(no_mangle)]
    PTHREAD_RWLOCK_TIMEDWRLOCK: fn pthread_rwlock_timedwrlock(*mut c_void, *const timespec), before_rwlock(first);

    /// pthread_rwlock_unlock(3)
    #[unsafe(no_mangle)]
    PTHREAD_RWLOCK_UNLOCK: fn pthread_rwlock_unlock(*mut c_void), before_rwlock(first);

    /// What stands behind the function of that name in `interpose::deadlines`; so do the next four.
    PTHREAD_COND_TIMEDWAIT: fn pthread_cond_timedwait(*mut c_void, *mut c_void, *const timespec) of CONDITIONS, before_mutex(second);

    /// pthread_cond_clockwait(3)
    PTHREAD_COND_CLOCKWAIT: fn pthread_cond_clockwait(*mut c_void, *mut c_void, clockid_t, *const timespec), before_mutex(second);

    /// pthread_mutex_clocklock(3)
    PTHREAD_MUTEX_CLOCKLOCK: fn pthread_mutex_clocklock(*mut c_void, clockid_t, *const timespec), before_mutex(first);

    /// pthread_rwlock_clockrdlock(3)
    PTHREAD_RWLOCK_CLOCKRDLOCK: fn pthread_rwlock_clockrdlock(*mut c_void, clockid_t, *const timespec), before_rwlock(first);

    /// pthread_rwlock_clockwrlock(3)
    PTHREAD_RWLOCK_CLOCKWRLOCK: fn pthread_rwlock_clockwrlock(*mut c_void, clockid_t, *const timespec), before_rwlock(first);
}

/// The address of libc's function, in a library's constructor that has run before ours.
extern "C" fn look_up(next: &Next) -> *mut c_void {
    next.look_up()
}
