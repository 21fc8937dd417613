//! Dispositions: the program's handler for the checkpoint signal is remembered, and no other handler blocks it.

use core::ffi::c_long;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

use ckpt_sys::calls;
use ckpt_sys::kernel::{SignalAction, SignalSet, signal_bit};
use libc::{c_int, sighandler_t};
use linux_raw_sys::general as n;

use super::masks::{is_blocked, set_blocked};
use super::{bits, is_ours, our_bit, set_bits};
use crate::handlers::{self, SIG_HOLD};

/// Bit `n - 1`: the program's handler for signal `n` blocks the checkpoint signal, as far as the program knows.
static MASKS_WITH_OURS: AtomicU64 = AtomicU64::new(0);

/// What makes up a disposition.
#[derive(Clone, Copy)]
pub(super) struct Action {
    handler: sighandler_t,
    flags: c_int,
    restorer: usize,
    mask: SignalSet,
}

impl Action {
    /// What libc's functions make of it: they return from handlers by code of libc.
    fn by_libc(self) -> Self {
        Self {
            flags: self.flags | n::SA_RESTORER as c_int,
            restorer: RESTORER_OF_LIBC.load(Ordering::Relaxed),
            ..self
        }
    }
}

/// The code by which libc returns from handlers.
static RESTORER_OF_LIBC: AtomicUsize = AtomicUsize::new(0);

/// A disposition in the form of libc, or in that of the kernel.
pub(super) trait Disposition: Copy {
    fn get(&self) -> Action;

    fn set(&mut self, action: Action);

    /// What the kernel is to get.
    fn asked(&self) -> Action {
        self.get()
    }
}

impl Disposition for libc::sigaction {
    fn get(&self) -> Action {
        Action {
            handler: self.sa_sigaction,
            flags: self.sa_flags,
            restorer: self.sa_restorer.map_or(0, |restorer| restorer as usize),
            mask: bits(&self.sa_mask),
        }
    }

    fn set(&mut self, action: Action) {
        (self.sa_sigaction, self.sa_flags) = (action.handler, action.flags);
        // SAFETY: it was one, or is null, which is none.
        self.sa_restorer =
            unsafe { core::mem::transmute::<usize, Option<extern "C" fn()>>(action.restorer) };
        set_bits(&mut self.sa_mask, action.mask);
    }

    fn asked(&self) -> Action {
        self.get().by_libc()
    }
}

impl Disposition for SignalAction {
    fn get(&self) -> Action {
        Action {
            handler: self.handler as sighandler_t,
            flags: self.flags as c_int,
            restorer: self.restorer as usize,
            mask: self.mask,
        }
    }

    fn set(&mut self, action: Action) {
        *self = Self {
            handler: action.handler as u64,
            flags: u64::from(action.flags.cast_unsigned()),
            restorer: action.restorer as u64,
            mask: action.mask,
        };
    }
}

/// The disposition that the program believes the checkpoint signal to have.
struct ProgramAction {
    handler: AtomicUsize,
    flags: AtomicI32,
    restorer: AtomicUsize,
    mask: AtomicU64,
}

static PROGRAM_ACTION: ProgramAction = ProgramAction {
    handler: AtomicUsize::new(libc::SIG_DFL),
    flags: AtomicI32::new(0),
    restorer: AtomicUsize::new(0),
    mask: AtomicU64::new(0),
};

/// What libc remembers of siginterrupt(3): `signal` installs handlers that do not restart calls.
static INTERRUPTS: AtomicBool = AtomicBool::new(false);

impl ProgramAction {
    fn get(&self) -> Action {
        Action {
            handler: self.handler.load(Ordering::Relaxed),
            flags: self.flags.load(Ordering::Relaxed),
            restorer: self.restorer.load(Ordering::Relaxed),
            mask: self.mask.load(Ordering::Relaxed),
        }
    }

    /// Takes an action as the kernel does (`do_sigaction` in kernel/signal.c): flags that are not known are lost, and some signals
    /// cannot be blocked. Returns the one before.
    fn replace(&self, new: Action) -> Action {
        const KNOWN: u32 = n::SA_NOCLDSTOP
            | n::SA_NOCLDWAIT
            | n::SA_SIGINFO
            | n::SA_ONSTACK
            | n::SA_RESTART
            | n::SA_NODEFER
            | n::SA_RESETHAND
            | n::SA_RESTORER
            | n::SA_EXPOSE_TAGBITS;
        let before = self.get();
        let flags = new.flags & KNOWN as c_int;
        let mask = new.mask & !(signal_bit(libc::SIGKILL) | signal_bit(libc::SIGSTOP));
        self.handler.store(new.handler, Ordering::Relaxed);
        self.flags.store(flags, Ordering::Relaxed);
        self.restorer.store(new.restorer, Ordering::Relaxed);
        self.mask.store(mask, Ordering::Relaxed);
        before
    }
}

/// Reads which disposition of the checkpoint `signal` the program was started with, and what libc adds to those that it is given.
pub fn take_over(signal: i32) {
    // SAFETY: what is there, which a program is started with, is put in place again; zeros are a disposition.
    let there = unsafe {
        let mut there: libc::sigaction = core::mem::zeroed();
        libc::sigaction(signal, ptr::null(), &raw mut there);
        libc::sigaction(signal, &raw const there, ptr::null_mut());
        calls::signal_action(signal, None).unwrap_or_default()
    };
    RESTORER_OF_LIBC.store(there.restorer as usize, Ordering::Relaxed);
    if there.handler == libc::SIG_IGN as u64 {
        PROGRAM_ACTION
            .handler
            .store(libc::SIG_IGN, Ordering::Relaxed);
    }
}

interposed! {
    /// sigaction(2)
    fn sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int as next {
        change(|new, old| next()(signal, new, old).into(), signal, new, old) as c_int
    }

    /// Another name of it.
    fn __sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int as next {
        change(|new, old| next()(signal, new, old).into(), signal, new, old) as c_int
    }

    /// signal(2)
    fn signal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        if is_accepted(signal, handler) { install(signal, handler) } else { have_installed(next(), signal, handler) }
    }

    /// bsd_signal(3)
    fn bsd_signal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        if is_accepted(signal, handler) { install(signal, handler) } else { have_installed(next(), signal, handler) }
    }

    /// ssignal(3)
    fn ssignal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        if is_accepted(signal, handler) { install(signal, handler) } else { have_installed(next(), signal, handler) }
    }

    /// sysv_signal(3)
    fn sysv_signal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        if is_accepted(signal, handler) { set_program_handler(handler, SYSV_FLAGS) } else { have_installed(next(), signal, handler) }
    }

    /// What `signal` becomes in a program that is compiled with `_XOPEN_SOURCE` alone.
    fn __sysv_signal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        if is_accepted(signal, handler) { set_program_handler(handler, SYSV_FLAGS) } else { have_installed(next(), signal, handler) }
    }

    /// sigset(3)
    fn sigset(signal: c_int, disposition: sighandler_t) -> sighandler_t as next {
        if !is_ours(signal) {
            return have_installed(next(), signal, disposition);
        }
        let was_blocked = is_blocked();
        set_blocked(disposition == SIG_HOLD);
        let handler = if disposition == SIG_HOLD {
            PROGRAM_ACTION.handler.load(Ordering::Relaxed)
        } else {
            set_program_handler(disposition, 0)
        };
        if was_blocked { SIG_HOLD } else { handler }
    }

    /// sigignore(3)
    fn sigignore(signal: c_int) -> c_int as next {
        if is_ours(signal) { set_program_handler(libc::SIG_IGN, 0); 0 } else { next()(signal) }
    }

    /// siginterrupt(3)
    fn siginterrupt(signal: c_int, flag: c_int) -> c_int as next {
        if !is_ours(signal) {
            return next()(signal, flag);
        }
        INTERRUPTS.store(flag != 0, Ordering::Relaxed);
        let action = PROGRAM_ACTION.get();
        let flags = if flag != 0 { action.flags & !libc::SA_RESTART } else { action.flags | libc::SA_RESTART };
        PROGRAM_ACTION.replace(Action { flags, ..action }.by_libc());
        0
    }
}

/// Flags of a handler that was installed with System V semantics (sysv_signal(3)).
const SYSV_FLAGS: c_int = libc::SA_RESETHAND | libc::SA_NODEFER;

/// Whether libc's function would install this handler for the checkpoint signal. Where it would not, it says so itself.
fn is_accepted(signal: c_int, handler: sighandler_t) -> bool {
    is_ours(signal) && handler != libc::SIG_ERR
}

/// Changes a disposition by `next`, which is `sigaction` or the system call, as far as it is not the checkpoint signal's.
///
/// # Safety
/// The pointers are null, or point to dispositions.
pub(super) unsafe fn change<D: Disposition>(
    next: impl FnOnce(*const D, *mut D) -> c_long,
    signal: c_int,
    new: *const D,
    old: *mut D,
) -> c_long {
    // They may be the same.
    // SAFETY: the caller answers for the pointers.
    let (new, old) = unsafe { (new.as_ref().copied(), old.as_mut()) };
    if is_ours(signal) {
        change_ours(new, old);
        return 0;
    }
    change_other(next, signal, new, old)
}

/// Takes a disposition for the checkpoint signal.
fn change_ours<D: Disposition>(new: Option<D>, old: Option<&mut D>) {
    let before = match new {
        None => PROGRAM_ACTION.get(),
        Some(new) => PROGRAM_ACTION.replace(new.asked()),
    };
    if let Some(old) = old {
        old.set(before);
    }
}

/// Has `next` change the disposition of another signal, with code of ours in front of its handler, and without the checkpoint signal in its
/// mask.
fn change_other<D: Disposition>(
    next: impl FnOnce(*const D, *mut D) -> c_long,
    signal: c_int,
    new: Option<D>,
    old: Option<&mut D>,
) -> c_long {
    let bit = our_bit();
    let asks = new.is_some_and(|new| new.get().mask & bit != 0);
    let installed = new.map(|mut new| {
        let wanted = new.get();
        new.set(Action {
            handler: in_front_of(wanted.handler),
            mask: wanted.mask & !bit,
            ..wanted
        });
        new
    });
    let old_at = old.map_or(ptr::null_mut(), ptr::from_mut);
    let result = next(
        installed.as_ref().map_or(ptr::null(), ptr::from_ref),
        old_at,
    );
    if result != 0 {
        return result;
    }
    let this = signal_bit(signal);
    let had = match (bit != 0, new.is_some(), asks) {
        (false, ..) => 0,
        (true, false, _) => MASKS_WITH_OURS.load(Ordering::Relaxed),
        (true, true, true) => MASKS_WITH_OURS.fetch_or(this, Ordering::Relaxed),
        (true, true, false) => MASKS_WITH_OURS.fetch_and(!this, Ordering::Relaxed),
    };
    // SAFETY: null or what the caller has given.
    if let Some(old) = unsafe { old_at.as_mut() } {
        let there = old.get();
        old.set(Action {
            handler: behind(there.handler),
            mask: if had & this != 0 {
                there.mask | bit
            } else {
                there.mask
            },
            ..there
        });
    }
    result
}

/// Has a function of libc's install a handler, with code of ours in front of it. Returns the one before, as the program knows it.
unsafe fn have_installed(
    next: unsafe extern "C" fn(c_int, sighandler_t) -> sighandler_t,
    signal: c_int,
    handler: sighandler_t,
) -> sighandler_t {
    // SAFETY: the caller answers for the function.
    behind(unsafe { next(signal, in_front_of(handler)) })
}

/// What the kernel is to run in the place of a handler, unless libckpt is off.
fn in_front_of(handler: sighandler_t) -> sighandler_t {
    match our_bit() {
        0 => handler,
        _ => handlers::in_front_of(handler as u64) as sighandler_t,
    }
}

/// The handler as the program knows it.
fn behind(handler: sighandler_t) -> sighandler_t {
    handlers::behind(handler as u64) as sighandler_t
}

/// Installs a handler with BSD semantics (signal(2)).
fn install(signal: c_int, handler: sighandler_t) -> sighandler_t {
    let restarts = !INTERRUPTS.load(Ordering::Relaxed);
    let flags = if restarts { libc::SA_RESTART } else { 0 };
    replace_by_libc(handler, flags, signal_bit(signal))
}

fn set_program_handler(handler: sighandler_t, flags: c_int) -> sighandler_t {
    replace_by_libc(handler, flags, 0)
}

/// Takes what one of libc's functions installs. The handler before.
fn replace_by_libc(handler: sighandler_t, flags: c_int, mask: SignalSet) -> sighandler_t {
    let new = Action {
        handler,
        flags,
        restorer: 0,
        mask,
    };
    PROGRAM_ACTION.replace(new.by_libc()).handler
}
