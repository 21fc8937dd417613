//! Functions of libc that libckpt stands in front of, so that a program that ignores the checkpoint signal, blocks it, or waits for it, does
//! not take it away, and does not notice. One that installs a handler for it has another one left to libckpt (`claimed`).
//!
//! What the program asked for is remembered and shown to it; the kernel is told the rest. This covers the program's calls
//! through libc. A `syscall` instruction of its own, or libc's own inner calls, go past it.

/// Defines functions that stand in front of libc's. Inside, `next` is libc's function, `of` a version of the symbol if that matters.
macro_rules! interposed {
    ($(
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty as $next:ident $(of $version:ident)? $body:block
    )*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        /// As for the function of libc.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            // See `Next::all`. In use, or the compiler would take it apart.
            #[used]
            #[unsafe(link_section = "ckpt_next")]
            static NEXT: $crate::interpose::Next = $crate::interpose::Next::new(
                match core::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => panic!(),
                },
                &[$($version)?],
            );
            // SAFETY: the type is the function's own.
            let $next = || unsafe { NEXT.get::<unsafe extern "C" fn($($type),*) -> $result>() };
            // SAFETY: the caller keeps to the contract of libc's function, which is all that is relied on.
            unsafe { $body }
        }
    )*};
}

mod children;
mod claimed;
mod cpu_time;
mod deadlines;
mod dispositions;
mod event_counters;
mod groups;
mod ipc;
mod mappings;
mod masks;
mod namespaces;
mod numbers;
mod raising;
mod screens;
mod segments;
mod sockets;
mod stacks;
mod system_calls;
mod terminal_modes;
mod threads;
mod timers;
mod user_dispatch;
mod waits;
mod watches;

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute_copy;
use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

pub use claimed::{asks_for_checkpoint, before_handler as before_claimed_handler};
pub use deadlines::CONDITIONS;
pub use dispositions::is_claimed_on_stack;
pub use event_counters::is_semaphore;
pub use ipc::{queues as noted_queues, sets as noted_sets};
pub use mappings::has_kept_from_forks as has_kept_memory_from_forks;
pub use namespaces::have_changed as has_changed_namespaces;
pub use screens::note as note_screen;
pub use segments::has_local as has_local_segments;
pub use sockets::{buffers_set, lost_of as lost_of_socket};
pub use system_calls::{hide_io_uring, number_of_call};
pub use terminal_modes::{
    leave as leave_terminal, note as note_terminal, note_settings as note_terminal_settings,
};
pub use timers::is_set_to_a_time;
pub use user_dispatch::is_on as dispatches_calls;
pub use watches::paths as watched_paths;

use ckpt_image::PAGE;
use ckpt_sys::calls;
use ckpt_sys::kernel::{SignalSet, SignalStack, signal_bit};
use libc::sigset_t;

/// The checkpoint signal, or 0 while libckpt is off and everything goes straight through.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Begins to keep `signal` from the program, and gives this thread the alternate `stack` if it has none.
pub fn take_over(signal: i32, stack: SignalStack) {
    Next::look_up_all();
    deadlines::find_clock_of_conditions();
    claimed::settle_in();
    masks::take_over(signal);
    dispositions::take_over(signal);
    stacks::take_over(stack);
    SIGNAL.store(signal, Ordering::Release);
}

/// What was noted of the process is put right in a restored one, whose group had the number `group`, while no thread of the program runs.
pub fn settle_in(group: i32) {
    claimed::settle_in();
    groups::note_former(group);
    sockets::settle_in();
    event_counters::settle_in();
    terminal_modes::settle_in();
    screens::settle_in();
}

/// Whether `signal` is the checkpoint signal.
fn is_ours(signal: c_int) -> bool {
    signal != 0 && signal == SIGNAL.load(Ordering::Acquire)
}

fn our_bit() -> SignalSet {
    match SIGNAL.load(Ordering::Acquire) {
        0 => 0,
        signal => signal_bit(signal),
    }
}

/// The signals 1 to 64 of a libc set.
fn bits(set: &sigset_t) -> SignalSet {
    // SAFETY: a sigset_t begins with the kernel's 64 bits (bits/types/__sigset_t.h).
    unsafe { *ptr::from_ref(set).cast::<u64>() }
}

fn set_bits(set: &mut sigset_t, bits: SignalSet) {
    // SAFETY: as in `bits`.
    unsafe { *ptr::from_mut(set).cast::<u64>() = bits };
}

/// A set of signals as the program has given it, and a copy of it without the checkpoint signal.
struct WithoutOurs {
    given: *const sigset_t,
    copy: Option<sigset_t>,
}

impl WithoutOurs {
    /// Of the set at `given`, which may be null, and where nothing may be.
    fn of(given: *const sigset_t) -> Self {
        masks::catch_up();
        let ours = our_bit();
        let copy = peek(given.cast::<SignalSet>());
        // SAFETY: zeros are an empty set.
        let set_of = |signals| unsafe {
            let mut set: sigset_t = core::mem::zeroed();
            set_bits(&mut set, signals & !ours);
            set
        };
        Self {
            given,
            copy: copy.map(set_of),
        }
    }

    /// What libc's function is to get.
    fn pointer(&self) -> *const sigset_t {
        self.copy.as_ref().map_or(self.given, ptr::from_ref)
    }
}

/// A copy of what `pointer` points to; `None` if that is null, or cannot be read: then it is up to libc's function to say so,
/// often by `EFAULT`. While libckpt is off it is not needed.
fn peek<T: Copy>(pointer: *const T) -> Option<T> {
    /// Bytes that one look covers.
    const LOOK: u64 = 8;
    const { assert!(size_of::<T>() as u64 >= LOOK) };
    let first = pointer as u64;
    let end = first.wrapping_add(size_of::<T>() as u64);
    let last = end.wrapping_sub(LOOK);
    let is_on_one_page = first / PAGE == end.wrapping_sub(1) / PAGE;
    let is_there = !pointer.is_null()
        && our_bit() != 0
        && calls::can_be_read(first)
        && (is_on_one_page || calls::can_be_read(last));
    // SAFETY: it is there, and of a type of which the program has made one.
    is_there.then(|| unsafe { pointer.read_unaligned() })
}

/// The next function `name`: libc's in this version, unless another library, which knows no versions, stands before libc (a sanitizer's).
///
/// # Safety
/// Both are strings.
unsafe fn next_of(name: *const c_char, version: *const c_char) -> *mut c_void {
    let object_of = |function: *mut c_void| {
        // SAFETY: (1) zeros are a value of that type; (2) it is written to.
        unsafe {
            let mut found: libc::Dl_info = core::mem::zeroed();
            libc::dladdr(function, &raw mut found);
            found.dli_fbase
        }
    };
    // SAFETY: the caller answers for the strings.
    let (next, of_libc) = unsafe {
        (
            libc::dlsym(libc::RTLD_NEXT, name),
            libc::dlvsym(libc::RTLD_NEXT, name, version),
        )
    };
    if next.is_null() || object_of(next) == object_of(of_libc) {
        of_libc
    } else {
        next
    }
}

/// A function further down the search order. Some of them may be called in signal handlers, where none can be looked up, so all are
/// looked up at start; or when they are needed, since a library's constructor may call one before ours has run.
#[derive(Debug)]
pub struct Next {
    name: &'static CStr,
    /// The version of the symbol, if it must be a certain one.
    version: &'static [&'static CStr],
    /// Null before it is looked up. Read by asm/lock.S.
    pub address: AtomicPtr<c_void>,
}

unsafe extern "C" {
    /// Where the linker puts the first [`Next`], and the end of the last.
    #[link_name = "__start_ckpt_next"]
    static FIRST: u8;
    #[link_name = "__stop_ckpt_next"]
    static END: u8;
}

impl Next {
    /// The function of that name.
    pub const fn new(name: &'static CStr, version: &'static [&'static CStr]) -> Self {
        Self {
            name,
            version,
            address: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// All that there are: they have a section of their own.
    fn all() -> &'static [Self] {
        let (first, end) = (
            (&raw const FIRST).cast::<Self>(),
            (&raw const END).cast::<Self>(),
        );
        // SAFETY: the section holds nothing else, and its parts have no gaps, since the size is a multiple of the alignment.
        unsafe { slice::from_raw_parts(first, end.offset_from_unsigned(first)) }
    }

    /// Looks all of them up.
    fn look_up_all() {
        for next in Self::all() {
            next.look_up();
        }
        // Of a function that was not there; the program must not take the error for one of its own.
        // SAFETY: the text is not used.
        unsafe { libc::dlerror() };
    }

    /// Looks it up.
    pub fn look_up(&self) -> *mut c_void {
        let name = self.name.as_ptr().cast::<c_char>();
        // SAFETY: name and version are strings.
        let mut address = unsafe {
            match self.version {
                [version] => next_of(name, version.as_ptr()),
                _ => libc::dlsym(libc::RTLD_NEXT, name),
            }
        };
        if address.is_null() {
            let name = self.name.to_bytes();
            let returns_number = name.starts_with(b"pthread_") || name.starts_with(b"thrd_");
            address = if returns_number {
                missing_with_number as *mut c_void
            } else {
                missing as *mut c_void
            };
        }
        self.address.store(address, Ordering::Relaxed);
        address
    }

    /// Its address, 0 before it is looked up.
    pub fn address(&self) -> u64 {
        self.address.load(Ordering::Relaxed) as u64
    }

    /// The function as one of type `F`.
    ///
    /// # Safety
    /// `F` is the type of a C function of this name.
    unsafe fn get<F: Copy>(&self) -> F {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        let mut address = self.address.load(Ordering::Relaxed);
        if address.is_null() {
            address = self.look_up();
        }
        // SAFETY: (1) the sizes are equal; (2) the caller answers for the type.
        unsafe { transmute_copy(&address) }
    }
}

/// What takes the place of a function that this libc does not have. A program that knows how to do without has found ours.
extern "C" fn missing() -> isize {
    // SAFETY: whoever calls functions of libc has an errno.
    unsafe { *libc::__errno_location() = libc::ENOSYS };
    -1
}

/// The same for a function that returns an error number.
extern "C" fn missing_with_number() -> c_int {
    libc::ENOSYS
}
