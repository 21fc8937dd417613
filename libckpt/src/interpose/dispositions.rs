//! Dispositions: the program's handler for the checkpoint signal is remembered, and no other handler blocks it.

use core::ffi::c_long;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

use ckpt_image::signals::SIGNALS;
use ckpt_sys::calls;
use ckpt_sys::kernel::{SignalAction, SignalSet, signal_bit};
use libc::{c_int, sighandler_t};
use linux_raw_sys::general as n;

use super::masks::{blocks, set_blocks};
use super::{Next, bits, claimed, is_ours, our_bit, set_bits};
use crate::handlers::{self, SIG_HOLD};

/// Bit `n - 1`: the program's handler for signal `n` blocks the checkpoint signal, as far as the program knows.
static MASKS_WITH_OURS: AtomicU64 = AtomicU64::new(0);

/// What makes up a disposition.
#[derive(Clone, Copy)]
pub(super) struct Action {
    pub(super) handler: sighandler_t,
    pub(super) flags: c_int,
    pub(super) restorer: usize,
    pub(super) mask: SignalSet,
}

impl Action {
    /// What a program begins with.
    const DEFAULT: Self = Self {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };

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
    /// What libc remembers of siginterrupt(3): `signal` installs handlers that do not restart calls.
    interrupts: AtomicBool,
}

/// That of the checkpoint signal.
static OURS: ProgramAction = ProgramAction::new();

/// That of the signal which was it before the program has claimed it.
static CLAIMED: ProgramAction = ProgramAction::new();

/// What libckpt keeps of a signal, unless that is none of these two.
fn kept(signal: c_int) -> Option<&'static ProgramAction> {
    if is_ours(signal) {
        Some(&OURS)
    } else {
        claimed::is_claimed(signal).then_some(&CLAIMED)
    }
}

impl ProgramAction {
    const fn new() -> Self {
        Self {
            handler: AtomicUsize::new(libc::SIG_DFL),
            flags: AtomicI32::new(0),
            restorer: AtomicUsize::new(0),
            mask: AtomicU64::new(0),
            interrupts: AtomicBool::new(false),
        }
    }

    /// Takes over all of `other`, which is as it was at first then.
    fn take(&self, other: &Self) {
        self.replace(other.get());
        let interrupts = other.interrupts.swap(false, Ordering::Relaxed);
        self.interrupts.store(interrupts, Ordering::Relaxed);
        other.replace(Action::DEFAULT);
    }

    fn get(&self) -> Action {
        Action {
            handler: self.handler.load(Ordering::Relaxed),
            flags: self.flags.load(Ordering::Relaxed),
            restorer: self.restorer.load(Ordering::Relaxed),
            mask: self.mask.load(Ordering::Relaxed),
        }
    }

    /// Likewise, and has it come true, if it is what the program has claimed.
    fn install(&self, new: Action) -> Action {
        if claimed::is_guest() {
            return self.get();
        }
        let before = self.replace(new);
        if ptr::eq(self, &raw const CLAIMED) {
            claimed::install(self.get());
        }
        before
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
    type Change = extern "C" fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;
    /// By its other name, since the program, or a sanitizer's library, may have a `sigaction` of its own, which is not ready yet.
    static LIBCS: Next = Next::new(c"__sigaction", &[]);
    // SAFETY: (1) the function has that type; (2) what is there, which a program is started with, is put in place again; zeros are a disposition.
    let there = unsafe {
        let change: Change = LIBCS.get();
        let mut there: libc::sigaction = core::mem::zeroed();
        change(signal, ptr::null(), &raw mut there);
        change(signal, &raw const there, ptr::null_mut());
        calls::signal_action(signal, None).unwrap_or_default()
    };
    RESTORER_OF_LIBC.store(there.restorer as usize, Ordering::Relaxed);
    if there.handler == libc::SIG_IGN as u64 {
        OURS.handler.store(libc::SIG_IGN, Ordering::Relaxed);
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
        match accepting(signal, handler) {
            Some(kept) => install(kept, signal, handler),
            None => have_installed(next(), signal, handler),
        }
    }

    /// bsd_signal(3)
    fn bsd_signal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        match accepting(signal, handler) {
            Some(kept) => install(kept, signal, handler),
            None => have_installed(next(), signal, handler),
        }
    }

    /// ssignal(3)
    fn ssignal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        match accepting(signal, handler) {
            Some(kept) => install(kept, signal, handler),
            None => have_installed(next(), signal, handler),
        }
    }

    /// sysv_signal(3)
    fn sysv_signal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        match accepting(signal, handler) {
            Some(kept) => set_handler(kept, handler, SYSV_FLAGS),
            None => have_installed(next(), signal, handler),
        }
    }

    /// What `signal` becomes in a program that is compiled with `_XOPEN_SOURCE` alone.
    fn __sysv_signal(signal: c_int, handler: sighandler_t) -> sighandler_t as next {
        match accepting(signal, handler) {
            Some(kept) => set_handler(kept, handler, SYSV_FLAGS),
            None => have_installed(next(), signal, handler),
        }
    }

    /// sigset(3)
    fn sigset(signal: c_int, disposition: sighandler_t) -> sighandler_t as next {
        claimed::make_way(signal, disposition);
        let Some(kept) = kept(signal) else {
            return have_installed(next(), signal, disposition);
        };
        let was_blocked = blocks(signal);
        let handler = if disposition == SIG_HOLD {
            kept.handler.load(Ordering::Relaxed)
        } else {
            set_handler(kept, disposition, 0)
        };
        set_blocks(signal, disposition == SIG_HOLD);
        if was_blocked { SIG_HOLD } else { handler }
    }

    /// sigignore(3)
    fn sigignore(signal: c_int) -> c_int as next {
        let Some(kept) = kept(signal) else {
            return next()(signal);
        };
        set_handler(kept, libc::SIG_IGN, 0);
        0
    }

    /// siginterrupt(3)
    fn siginterrupt(signal: c_int, flag: c_int) -> c_int as next {
        let Some(kept) = kept(signal) else {
            return next()(signal, flag);
        };
        kept.interrupts.store(flag != 0, Ordering::Relaxed);
        let action = kept.get();
        let flags = if flag != 0 { action.flags & !libc::SA_RESTART } else { action.flags | libc::SA_RESTART };
        kept.install(Action { flags, ..action }.by_libc());
        0
    }
}

/// Flags of a handler that was installed with System V semantics (sysv_signal(3)).
const SYSV_FLAGS: c_int = libc::SA_RESETHAND | libc::SA_NODEFER;

/// What libckpt keeps of the signal, if it does, and libc's function would install this handler. Where it would not, it says so itself.
fn accepting(signal: c_int, handler: sighandler_t) -> Option<&'static ProgramAction> {
    claimed::make_way(signal, handler);
    kept(signal).filter(|_| handler != libc::SIG_ERR)
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
    if let Some(new) = &new {
        claimed::make_way(signal, new.get().handler);
    }
    let Some(kept) = kept(signal) else {
        return change_other(next, signal, new, old);
    };
    change_kept(kept, new, old);
    0
}

/// Takes a disposition for a signal of which libckpt keeps it.
fn change_kept<D: Disposition>(kept: &ProgramAction, new: Option<D>, old: Option<&mut D>) {
    let before = match new {
        None => kept.get(),
        Some(new) => kept.install(new.asked()),
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
fn install(kept: &ProgramAction, signal: c_int, handler: sighandler_t) -> sighandler_t {
    let restarts = !kept.interrupts.load(Ordering::Relaxed);
    let flags = if restarts { libc::SA_RESTART } else { 0 };
    install_by_libc(kept, handler, flags, signal_bit(signal))
}

fn set_handler(kept: &ProgramAction, handler: sighandler_t, flags: c_int) -> sighandler_t {
    install_by_libc(kept, handler, flags, 0)
}

/// Takes what one of libc's functions installs. The handler before.
fn install_by_libc(
    kept: &ProgramAction,
    handler: sighandler_t,
    flags: c_int,
    mask: SignalSet,
) -> sighandler_t {
    let new = Action {
        handler,
        flags,
        restorer: 0,
        mask,
    };
    kept.install(new.by_libc()).handler
}

/// Says that `new` is the checkpoint signal from here on, and not `old`, which is the program's: what was kept of that is kept of the claimed
/// one, or of no signal any more.
pub(super) fn exchange(old: c_int, new: c_int) {
    let is_claimed_now = claimed::is_claimed(old);
    if is_claimed_now {
        CLAIMED.take(&OURS);
    } else {
        give_back(old, OURS.replace(Action::DEFAULT));
    }
    let had_old = MASKS_WITH_OURS.load(Ordering::Relaxed);
    let mut have_new = 0;
    let is_kept = |signal| kept(signal).is_some();
    for signal in (1..=SIGNALS as i32).filter(|&signal| signal != old && !is_kept(signal)) {
        let this = signal_bit(signal);
        let exchanged = |action: SignalAction| {
            let mut mask = action.mask & !signal_bit(new);
            if had_old & this != 0 {
                mask |= signal_bit(old);
            }
            SignalAction { mask, ..action }
        };
        // SAFETY: the disposition is only read.
        let Ok(mut there) = (unsafe { calls::signal_action(signal, None) }) else {
            continue;
        };
        // Other threads may change it meanwhile, and what they have set last prevails.
        while exchanged(there) != there {
            // SAFETY: the handler stays the same.
            match unsafe { calls::signal_action(signal, Some(&exchanged(there))) } {
                Ok(replaced) if replaced != there => there = replaced,
                _ => break,
            }
        }
        if there.mask & signal_bit(new) != 0 {
            have_new |= this;
        }
    }
    MASKS_WITH_OURS.store(have_new, Ordering::Relaxed);
    if !is_claimed_now {
        claimed::install(CLAIMED.get());
    }
}

/// Has the kernel know what the program believes of a signal that is libckpt's no more, and has no handler.
fn give_back(signal: c_int, action: Action) {
    let action = SignalAction {
        handler: action.handler as u64,
        flags: u64::from(action.flags.cast_unsigned()),
        restorer: action.restorer as u64,
        mask: action.mask,
    };
    // SAFETY: there is no handler.
    let _ = unsafe { calls::signal_action(signal, Some(&action)) };
}

/// Whether the program has installed its handler for the claimed signal with `SA_ONSTACK`.
pub fn is_claimed_on_stack() -> bool {
    CLAIMED.flags.load(Ordering::Relaxed) & libc::SA_ONSTACK != 0
}

/// To be called when the program's handler for the claimed signal is about to run: it may have been installed for one time.
pub(super) fn let_handle_once() {
    let action = CLAIMED.get();
    if action.flags & libc::SA_RESETHAND != 0 {
        CLAIMED.install(Action {
            handler: libc::SIG_DFL,
            ..action
        });
    }
}
