//! Functions of libc that libckpt stands in front of, so that a program that installs a handler of its own for the
//! checkpoint signal, blocks it, or waits for it, does not take it away, and does not notice.
//!
//! What the program asked for is remembered and shown to it; the kernel is told the rest. This covers the program's calls
//! through libc. A raw system call, or libc's own inner calls, go past it.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute_copy;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use ckpt_sys::calls;
use ckpt_sys::kernel::{SignalSet, SignalStack, signal_bit};
use libc::{epoll_event, nfds_t, pollfd, sighandler_t, siginfo_t, sigset_t, stack_t, timespec};
use linux_raw_sys::general as n;

use crate::signal::Owned;

/// The checkpoint signal, or 0 while libckpt is off and everything goes straight through.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Bit `n - 1`: the program's handler for signal `n` blocks the checkpoint signal, as far as the program knows.
static MASKS_WITH_OURS: AtomicU64 = AtomicU64::new(0);

/// The disposition that the program believes the checkpoint signal to have.
struct ProgramAction {
    handler: AtomicUsize,
    flags: AtomicI32,
    mask: AtomicU64,
}

static PROGRAM_ACTION: ProgramAction = ProgramAction {
    handler: AtomicUsize::new(libc::SIG_DFL),
    flags: AtomicI32::new(0),
    mask: AtomicU64::new(0),
};

/// `AT_MINSIGSTKSZ` (include/uapi/linux/auxvec.h).
const AT_MINSIGSTKSZ: u64 = 51;

/// The alternate stack that a program without one of its own gets.
static OUR_STACK: Owned<SignalStack> = Owned::new(SignalStack {
    start: 0,
    flags: 0,
    padding: 0,
    size: 0,
});

/// Only the main thread touches this: its own alternate stack while ours is in its place because a signal frame does not fit on it.
static SHOWN_STACK: Owned<Option<SignalStack>> = Owned::new(None);

/// What a signal frame of this processor takes, and a little for our handler's first steps, in bytes.
static FRAME_SIZE: Owned<usize> = Owned::new(0);

unsafe extern "C" {
    fn ckpt_blocked_flag() -> *mut u32;
}

/// Begins to keep `signal` from the program, and gives this thread the alternate `stack` if it has none.
pub fn take_over(signal: i32, stack: SignalStack) {
    // SAFETY: no second thread runs yet.
    unsafe {
        // The kernel says how large a frame is where it can be larger than MINSIGSTKSZ, from Linux 5.14 on.
        *FRAME_SIZE.get() = libc::getauxval(AT_MINSIGSTKSZ) as usize + 512;
        *OUR_STACK.get() = stack;
    }
    let bit = signal_bit(signal);
    if calls::signal_mask(n::SIG_BLOCK, None).is_ok_and(|mask| mask & bit != 0) {
        set_blocked(true);
    }
    // SAFETY: the disposition is only read.
    if unsafe { calls::signal_action(signal, None) }
        .is_ok_and(|action| action.handler == libc::SIG_IGN as u64)
    {
        PROGRAM_ACTION
            .handler
            .store(libc::SIG_IGN, Ordering::Relaxed);
    }
    // SAFETY: the stack is mapped for good; nothing runs on an alternate stack yet.
    let has_none = unsafe { calls::alternate_stack(None) }
        .is_ok_and(|old| old.flags as u32 & n::SS_DISABLE != 0);
    if has_none {
        // SAFETY: as above.
        let _ = unsafe { calls::alternate_stack(Some(&stack)) };
    }
    SIGNAL.store(signal, Ordering::Release);
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

fn is_blocked() -> bool {
    // SAFETY: the flag is this thread's own.
    unsafe { *ckpt_blocked_flag() != 0 }
}

fn set_blocked(blocked: bool) {
    // SAFETY: the flag is this thread's own.
    unsafe { *ckpt_blocked_flag() = u32::from(blocked) };
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

/// A copy of `*set` without the checkpoint signal.
///
/// # Safety
/// `set` is null or points to a set.
unsafe fn without_ours(set: *const sigset_t) -> Option<sigset_t> {
    // SAFETY: the caller answers for the pointer.
    let mut copy = unsafe { set.as_ref() }.copied()?;
    let kept = bits(&copy) & !our_bit();
    set_bits(&mut copy, kept);
    Some(copy)
}

fn pointer_to(set: &Option<sigset_t>) -> *const sigset_t {
    set.as_ref().map_or(ptr::null(), ptr::from_ref)
}

/// A function further down the search order, looked up when it is first needed: a library's constructor may call it
/// before ours has run.
struct Next {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Next {
    const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            address: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The function as one of type `F`.
    ///
    /// # Safety
    /// `F` is the type of a C function of this name.
    unsafe fn get<F: Copy>(&self) -> F {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        let mut address = self.address.load(Ordering::Relaxed);
        if address.is_null() {
            // SAFETY: the name is a string.
            address = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr().cast::<c_char>()) };
            if address.is_null() {
                // The program would not have started with a libc that lacks a function it calls.
                calls::exit(127);
            }
            self.address.store(address, Ordering::Relaxed);
        }
        // SAFETY: (1) the sizes are equal; (2) the caller answers for the type.
        unsafe { transmute_copy(&address) }
    }
}

/// Defines functions that stand in front of libc's. Inside, `next` is libc's function.
macro_rules! interposed {
    ($($(#[$meta:meta])* fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty as $next:ident $body:block)*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        /// As for the function of libc.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            static NEXT: Next = Next::new(
                match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => panic!(),
                },
            );
            // SAFETY: the type is the function's own.
            let $next = || unsafe { NEXT.get::<unsafe extern "C" fn($($type),*) -> $result>() };
            // SAFETY: the caller keeps to the contract of libc's function, which is all that is relied on.
            unsafe { $body }
        }
    )*};
}

interposed! {
    /// sigaction(2)
    fn sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int as next {
        if !is_ours(signal) {
            let bit = our_bit();
            let mut copy = new.as_ref().copied();
            let asks = copy.as_ref().is_some_and(|new| bits(&new.sa_mask) & bit != 0);
            if let Some(copy) = &mut copy {
                let kept = bits(&copy.sa_mask) & !bit;
                set_bits(&mut copy.sa_mask, kept);
            }
            let copy_at = copy.as_ref().map_or(ptr::null(), ptr::from_ref);
            let result = next()(signal, copy_at, old);
            if result == 0 && bit != 0 {
                let this = signal_bit(signal);
                let had = match (copy.is_some(), asks) {
                    (false, _) => MASKS_WITH_OURS.load(Ordering::Relaxed),
                    (true, true) => MASKS_WITH_OURS.fetch_or(this, Ordering::Relaxed),
                    (true, false) => MASKS_WITH_OURS.fetch_and(!this, Ordering::Relaxed),
                };
                if let Some(old) = old.as_mut().filter(|_| had & this != 0) {
                    let shown = bits(&old.sa_mask) | bit;
                    set_bits(&mut old.sa_mask, shown);
                }
            }
            return result;
        }
        let before = (
            PROGRAM_ACTION.handler.load(Ordering::Relaxed),
            PROGRAM_ACTION.flags.load(Ordering::Relaxed),
            PROGRAM_ACTION.mask.load(Ordering::Relaxed),
        );
        if let Some(new) = new.as_ref() {
            PROGRAM_ACTION.handler.store(new.sa_sigaction, Ordering::Relaxed);
            PROGRAM_ACTION.flags.store(new.sa_flags, Ordering::Relaxed);
            PROGRAM_ACTION.mask.store(bits(&new.sa_mask), Ordering::Relaxed);
        }
        if let Some(old) = old.as_mut() {
            ptr::write_bytes(old, 0, 1);
            (old.sa_sigaction, old.sa_flags) = (before.0, before.1);
            set_bits(&mut old.sa_mask, before.2);
        }
        0
    }

    /// signal(2)
    fn signal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        if is_ours(signal) { set_program_handler(handler, libc::SA_RESTART) } else { next()(signal, handler) }
    }

    /// bsd_signal(3)
    fn bsd_signal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        if is_ours(signal) { set_program_handler(handler, libc::SA_RESTART) } else { next()(signal, handler) }
    }

    /// ssignal(3)
    fn ssignal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        if is_ours(signal) { set_program_handler(handler, libc::SA_RESTART) } else { next()(signal, handler) }
    }

    /// sysv_signal(3)
    fn sysv_signal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        if is_ours(signal) { set_program_handler(handler, SYSV_FLAGS) } else { next()(signal, handler) }
    }

    /// What `signal` becomes in a program that is compiled with `_XOPEN_SOURCE` alone.
    fn __sysv_signal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        if is_ours(signal) { set_program_handler(handler, SYSV_FLAGS) } else { next()(signal, handler) }
    }

    /// sigset(3)
    fn sigset(signal: c_int, disposition: sighandler_t) -> sighandler_t as next {
        /// `SIG_HOLD` (signal.h).
        const HOLD: sighandler_t = 2;
        if !is_ours(signal) {
            return next()(signal, disposition);
        }
        let was_blocked = is_blocked();
        set_blocked(disposition == HOLD);
        let handler = if disposition == HOLD {
            PROGRAM_ACTION.handler.load(Ordering::Relaxed)
        } else {
            set_program_handler(disposition, 0)
        };
        if was_blocked { HOLD } else { handler }
    }

    /// sighold(3)
    fn sighold(signal: c_int) -> c_int as next {
        if is_ours(signal) { set_blocked(true); 0 } else { next()(signal) }
    }

    /// sigrelse(3)
    fn sigrelse(signal: c_int) -> c_int as next {
        if is_ours(signal) { set_blocked(false); 0 } else { next()(signal) }
    }

    /// sigignore(3)
    fn sigignore(signal: c_int) -> c_int as next {
        if is_ours(signal) { set_program_handler(libc::SIG_IGN, 0); 0 } else { next()(signal) }
    }

    /// siginterrupt(3)
    fn siginterrupt(signal: c_int, flag: c_int) -> c_int as next {
        if is_ours(signal) { 0 } else { next()(signal, flag) }
    }

    /// sigprocmask(2)
    fn sigprocmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> c_int as next {
        change_mask(next(), how, set, old)
    }

    /// pthread_sigmask(3)
    fn pthread_sigmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> c_int as next {
        change_mask(next(), how, set, old)
    }

    /// sigblock(3)
    fn sigblock(mask: c_int) -> c_int as next {
        let ours = our_bit() as c_int;
        let was_blocked = is_blocked();
        set_blocked(was_blocked || mask & ours != 0);
        next()(mask & !ours) | if was_blocked { ours } else { 0 }
    }

    /// sigsetmask(3)
    fn sigsetmask(mask: c_int) -> c_int as next {
        let ours = our_bit() as c_int;
        let was_blocked = is_blocked();
        set_blocked(mask & ours != 0);
        next()(mask & !ours) | if was_blocked { ours } else { 0 }
    }

    /// siggetmask(3)
    fn siggetmask() -> c_int as next {
        next()() | if is_blocked() { our_bit() as c_int } else { 0 }
    }

    /// sigsuspend(2)
    fn sigsuspend(mask: *const sigset_t) -> c_int as next {
        next()(pointer_to(&without_ours(mask)))
    }

    /// sigwait(3)
    fn sigwait(set: *const sigset_t, signal: *mut c_int) -> c_int as next {
        next()(pointer_to(&without_ours(set)), signal)
    }

    /// sigwaitinfo(2)
    fn sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> c_int as next {
        next()(pointer_to(&without_ours(set)), info)
    }

    /// sigtimedwait(2)
    fn sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, timeout: *const timespec) -> c_int as next {
        next()(pointer_to(&without_ours(set)), info, timeout)
    }

    /// signalfd(2)
    fn signalfd(fd: c_int, set: *const sigset_t, flags: c_int) -> c_int as next {
        next()(fd, pointer_to(&without_ours(set)), flags)
    }

    /// ppoll(2)
    fn ppoll(fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> c_int as next {
        next()(fds, count, timeout, pointer_to(&without_ours(mask)))
    }

    /// pselect(2)
    fn pselect(
        count: c_int,
        read: *mut libc::fd_set,
        write: *mut libc::fd_set,
        except: *mut libc::fd_set,
        timeout: *const timespec,
        mask: *const sigset_t
    ) -> c_int as next {
        next()(count, read, write, except, timeout, pointer_to(&without_ours(mask)))
    }

    /// epoll_pwait(2)
    fn epoll_pwait(
        epoll: c_int,
        events: *mut epoll_event,
        most: c_int,
        timeout: c_int,
        mask: *const sigset_t
    ) -> c_int as next {
        next()(epoll, events, most, timeout, pointer_to(&without_ours(mask)))
    }

    /// epoll_pwait2(2)
    fn epoll_pwait2(
        epoll: c_int,
        events: *mut epoll_event,
        most: c_int,
        timeout: *const timespec,
        mask: *const sigset_t
    ) -> c_int as next {
        next()(epoll, events, most, timeout, pointer_to(&without_ours(mask)))
    }

    /// pthread_attr_setsigmask_np(3)
    fn pthread_attr_setsigmask_np(attributes: *mut c_void, mask: *const sigset_t) -> c_int as next {
        next()(attributes, pointer_to(&without_ours(mask)))
    }

    /// sigaltstack(2)
    fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> c_int as next {
        let ours = *OUR_STACK.get();
        if ours.size == 0 || calls::pid() != calls::tid() {
            return next()(new, old);
        }
        let asked = new.as_ref().copied();
        let disables = asked.is_some_and(|new| new.ss_flags & libc::SS_DISABLE != 0);
        let too_small = asked.is_some_and(|new| {
            (libc::MINSIGSTKSZ..*FRAME_SIZE.get()).contains(&new.ss_size)
        });
        let replacement = to_libc(ours);
        let new = if disables || too_small { &raw const replacement } else { new };
        let shown = *SHOWN_STACK.get();
        let result = next()(new, old);
        if result != 0 {
            return result;
        }
        if let Some(old) = old.as_mut().filter(|old| old.ss_sp as u64 == ours.start) {
            let none = SignalStack { start: 0, flags: libc::SS_DISABLE, padding: 0, size: 0 };
            *old = to_libc(shown.unwrap_or(none));
        }
        if let Some(asked) = asked {
            let asked = SignalStack {
                start: asked.ss_sp as u64,
                flags: asked.ss_flags,
                padding: 0,
                size: asked.ss_size as u64,
            };
            *SHOWN_STACK.get() = too_small.then_some(asked);
        }
        0
    }
}

fn to_libc(stack: SignalStack) -> stack_t {
    stack_t {
        ss_sp: stack.start as *mut c_void,
        ss_flags: stack.flags,
        ss_size: stack.size as usize,
    }
}

/// Flags of a handler that was installed with System V semantics (sysv_signal(3)).
const SYSV_FLAGS: c_int = libc::SA_RESETHAND | libc::SA_NODEFER;

fn set_program_handler(handler: sighandler_t, flags: c_int) -> sighandler_t {
    PROGRAM_ACTION.flags.store(flags, Ordering::Relaxed);
    PROGRAM_ACTION.mask.store(0, Ordering::Relaxed);
    PROGRAM_ACTION.handler.swap(handler, Ordering::Relaxed)
}

type ChangeMask = unsafe extern "C" fn(c_int, *const sigset_t, *mut sigset_t) -> c_int;

/// Both calls that change a thread's mask.
///
/// # Safety
/// As for `next`.
unsafe fn change_mask(
    next: ChangeMask,
    how: c_int,
    set: *const sigset_t,
    old: *mut sigset_t,
) -> c_int {
    let bit = our_bit();
    // SAFETY: the caller answers for the pointers.
    let (names_ours, result) = unsafe {
        let names_ours = set.as_ref().map(|set| bits(set) & bit != 0);
        (names_ours, next(how, pointer_to(&without_ours(set)), old))
    };
    if result != 0 || bit == 0 {
        return result;
    }
    let was_blocked = is_blocked();
    match (how, names_ours) {
        (libc::SIG_BLOCK, Some(true)) => set_blocked(true),
        (libc::SIG_UNBLOCK, Some(true)) => set_blocked(false),
        (libc::SIG_SETMASK, Some(named)) => set_blocked(named),
        _ => {}
    }
    // SAFETY: the caller answers for the pointer.
    if let Some(old) = unsafe { old.as_mut() }.filter(|_| was_blocked) {
        let shown = bits(old) | bit;
        set_bits(old, shown);
    }
    result
}
