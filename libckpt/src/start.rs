//! The constructor: before `main`, it reads the settings and installs the handler. Nothing else happens until the
//! signal comes.

use ckpt_image::segments::Span;
use ckpt_sys::kernel::{SignalStack, signal_bit};
use ckpt_sys::line::Path;
use ckpt_sys::{calls, files, proc};
use linux_raw_sys::general as n;

use crate::collect::namespaces;
use crate::environment::{self, Environment};
use crate::settings::{IoUring, Settings, complain};
use crate::signal::Owned;
use crate::threads::role;
use crate::{alternate, go, interpose, loaded, locks, report, resume, signal, vdso};

/// What the constructor found out.
#[derive(Debug)]
pub struct Start {
    /// The settings.
    pub settings: Settings,
    /// Whether the program runs under valgrind, which does not know all instructions and system calls that a checkpoint takes.
    pub under_valgrind: bool,
    /// Number of seccomp filters that were there from the start: only they can be there after a restart.
    pub seccomp_filters: u64,
    /// The program. A restored process, which may be another one's as far as the kernel knows, runs it as well.
    pub program: Path,
}

/// Filled in by the constructor.
pub static START: Owned<Start> = Owned::new(Start {
    settings: Settings::defaults(),
    under_valgrind: false,
    seccomp_filters: 0,
    program: Path::new(),
});

/// Sizes of the two stacks, in bytes: the handler's, and the alternate one that a program without one gets. Only what
/// is touched takes memory; the release build needs a tenth of the handler's, the debug build a good half.
const HANDLER_STACK: usize = 1 << 20;
const ALTERNATE_STACK: usize = alternate::STACK;
/// Size of the guard below each, in bytes.
const GUARD: usize = 4 << 10;

ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn start() {
        // Without `/proc` there are no variables; each checkpoint will say what is missing.
        let variables = environment::read().unwrap_or_default();
        let settings = match Settings::read(Environment(&variables)) {
            Ok(settings) => settings,
            Err(invalid) => return complain(&invalid, "libckpt is off"),
        };
        let Ok((stack, alternate)) = map_stacks() else {
            let line = b"libckpt: no memory for its stacks (ENOMEM); libckpt is off\n";
            let _ = calls::write(2, line);
            return;
        };
        // SAFETY: the handler is not installed yet, so nobody else looks at it.
        unsafe {
            *START.get() = Start {
                settings,
                under_valgrind: is_under_valgrind(),
                seccomp_filters: seccomp_filters(),
                program: files::read_link(c"/proc/self/exe").unwrap_or_default(),
            };
        }
        report::remember_stderr();
        namespaces::settle_in();
        resume::find_rseq();
        resume::find_tid_offset();
        go::look_for();
        environment::find();
        interpose::note_terminal_settings();
        vdso::find();
        role::settle_in();
        signal::set_stack(stack);
        interpose::take_over(settings.signal, alternate);
        if settings.io_uring == IoUring::Hide {
            interpose::hide_io_uring();
        }
        locks::find_libc();
        signal::install(settings.signal);
        // Whatever the parent had blocked: from here on the signal comes through.
        let _ = calls::signal_mask(n::SIG_UNBLOCK, Some(signal_bit(settings.signal)));
    }
}

/// Valgrind has the loader load a library of its own into the program.
fn is_under_valgrind() -> bool {
    const NAME: &[u8] = b"/vgpreload_core";
    let mut is_there = false;
    loaded::for_each(|object| {
        let name = object.name.to_bytes();
        is_there |= name.windows(NAME.len()).any(|part| part == NAME);
    });
    is_there
}

/// Takes the settings from `environment`, in a process that was restored with other ones. The signal stays: the program may count on
/// what it was.
pub fn change_settings(environment: Environment<'_>) {
    // SAFETY: the caller runs on libckpt's stack.
    let settings = unsafe { &mut START.get().settings };
    match Settings::read(environment) {
        Ok(new) => {
            *settings = Settings {
                signal: settings.signal,
                ..new
            }
        }
        Err(invalid) if report::speaks() => complain(&invalid, "the settings stay as they were"),
        Err(_) => {}
    }
}

/// Number of seccomp filters of this process.
pub fn seccomp_filters() -> u64 {
    proc::Status::read().map_or(0, |status| status.decimal("Seccomp_filters"))
}

/// Maps both stacks, each above a guard page.
fn map_stacks() -> Result<(Span, SignalStack), ckpt_sys::Errno> {
    let flags = n::MAP_PRIVATE | n::MAP_ANONYMOUS | n::MAP_NORESERVE;
    let total = 2 * GUARD + HANDLER_STACK + ALTERNATE_STACK;
    let (read_write, handler, alternate) = (
        n::PROT_READ | n::PROT_WRITE,
        GUARD,
        2 * GUARD + HANDLER_STACK,
    );
    // SAFETY: the mapping is new, and its parts are nobody else's.
    let start = unsafe {
        let start = calls::map(0, total, n::PROT_NONE, flags, -1, 0)?;
        calls::protect(start + handler, HANDLER_STACK, read_write)?;
        calls::protect(start + alternate, ALTERNATE_STACK, read_write)?;
        start as u64
    };
    let alternate = SignalStack {
        start: start + alternate as u64,
        flags: 0,
        padding: 0,
        size: ALTERNATE_STACK as u64,
    };
    let handler = start + handler as u64;
    Ok((
        Span::new(handler, handler + HANDLER_STACK as u64),
        alternate,
    ))
}
