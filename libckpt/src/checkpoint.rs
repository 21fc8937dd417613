//! One checkpoint, step by step. Whatever fails, the program goes on as though no signal had come.
//!
//! Async-signal-safe: see `signal`.

use core::panic::PanicInfo;

use ckpt_image::context::Context;
use ckpt_image::core_notes::{Ids, Thread};
use ckpt_image::header::{FORMAT, Header};
use ckpt_sys::kernel::{SignalSet, UserContext, XSAVE_MAGIC, XSAVE_NOTE_AT, XsaveNote};
use ckpt_sys::syscall::call;
use ckpt_sys::{Line, MapVec, calls, cpuid, files, proc};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl::{PR_GET_DUMPABLE, PR_SET_DUMPABLE};

use crate::collect::descriptors::Descriptors;
use crate::collect::regions::Regions;
use crate::collect::signals::Signals;
use crate::collect::{credentials, process, relatives};
use crate::failure::{Doing, Failure};
use crate::report::{self, Milliseconds, Size};
use crate::settings::{After, EXIT_STATUS};
use crate::signal::{self, Interrupted, Owned};
use crate::start::{START, Start};
use crate::target::{Published, Target};
use crate::{resume, write};

/// Version of this program, for the header.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Descriptors that a checkpoint needs for itself at one time.
const DESCRIPTORS_NEEDED: u64 = 8;

/// The frame through which a panic leaves, and the temporary file that it removes.
static IN_PROGRESS: Owned<Option<*const UserContext>> = Owned::new(None);

/// Takes a checkpoint and says how it went.
pub fn take(interrupted: &Interrupted<'_>) {
    // SAFETY: we run on libckpt's stack; the settings are not written any more.
    let start: &Start = unsafe {
        *IN_PROGRESS.get() = Some(interrupted.frame);
        START.get()
    };
    let began = calls::clock(n::CLOCK_MONOTONIC);
    match attempt(interrupted, start) {
        Ok((published, size)) => {
            let pause = calls::clock(n::CLOCK_MONOTONIC).saturating_sub(began);
            announce(&published, size, pause);
            if start.settings.after == After::Exit {
                calls::exit(EXIT_STATUS);
            }
        }
        Err(failure) => report::line(format_args!("no checkpoint: {failure}")),
    }
}

fn announce(published: &Published, size: u64, pause: u64) {
    let mut remark = Line::<512>::new();
    if let Some((wanted, owner)) = &published.taken {
        remark = Line::format(format_args!(
            "; {wanted} belongs to the live process {owner}"
        ));
    } else if published.replaced_foreign {
        remark = Line::format(format_args!("; it replaced an image of another machine"));
    }
    let (path, size, pause) = (&published.path, Size(size), Milliseconds(pause));
    report::line(format_args!(
        "wrote {path} ({size}, pause {pause}, total {pause}){remark}"
    ));
}

/// Leaves a checkpoint in which a bug of ours was hit.
pub fn abandon(info: &PanicInfo<'_>) -> ! {
    // SAFETY: a panic happens on libckpt's stack, or in the constructor, where nothing is in progress.
    let frame = unsafe { IN_PROGRESS.get() }.take();
    let place = info
        .location()
        .map_or(("?", 0), |location| (location.file(), location.line()));
    report::line(format_args!(
        "no checkpoint: internal error at {}:{}; please report it, the program goes on",
        place.0, place.1
    ));
    match frame {
        Some(frame) => signal::leave(frame),
        None => calls::exit(125),
    }
}

/// What is changed for the time of the checkpoint, and put back at its end.
struct Prepared {
    dumpable: usize,
    open_files: Option<[u64; 2]>,
}

impl Prepared {
    fn new() -> Self {
        // SAFETY: both options take numbers.
        let dumpable = unsafe { calls::prctl(PR_GET_DUMPABLE, [0; 4]) }.unwrap_or(1);
        if dumpable != 1 {
            // A process that changed its ids may not read its own pagemap and mem.
            // SAFETY: as above.
            let _ = unsafe { calls::prctl(PR_SET_DUMPABLE, [1, 0, 0, 0]) };
        }
        // A program that has used up its descriptors gets its checkpoint all the same, if the hard limit allows.
        let limit = calls::limit(n::RLIMIT_NOFILE as usize, None).ok();
        let open_files = limit.filter(|&[soft, hard]| {
            let raised = [hard.min(soft.saturating_add(DESCRIPTORS_NEEDED)), hard];
            soft < hard && calls::limit(n::RLIMIT_NOFILE as usize, Some(raised)).is_ok()
        });
        Self {
            dumpable,
            open_files,
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(limit) = self.open_files {
            let _ = calls::limit(n::RLIMIT_NOFILE as usize, Some(limit));
        }
        if self.dumpable != 1 {
            // 2 (only root may dump) cannot be set; 0 is the stricter one of those that can.
            // SAFETY: the option takes a number.
            let _ = unsafe { calls::prctl(PR_SET_DUMPABLE, [0; 4]) };
        }
    }
}

fn attempt(interrupted: &Interrupted<'_>, start: &Start) -> Result<(Published, u64), Failure> {
    let limits = process::limits();
    let prepared = Prepared::new();
    let pid = calls::pid();

    let status = proc::Status::read().doing(format_args!("/proc/self/status"))?;
    relatives::check_threads(&status)?;
    relatives::check_children(start.settings.children)?;
    // Regions come first, and descriptors before the target, so that no memory and no descriptor of ours is taken for
    // the program's: from the regions on, memory may be mapped, and from the descriptors on, files may be opened.
    let regions = Regions::collect()?;
    let descriptors = Descriptors::collect()?;
    let stat = proc::ProcessStat::of(pid).doing(format_args!("/proc/self/stat"))?;
    let strings = process::Strings::read()?;
    let mut groups = MapVec::new();
    let credentials = credentials::collect(&status, start.seccomp_filters, &mut groups)?;
    let process = process::collect(
        &strings,
        &stat,
        status.umask(),
        prepared.dumpable as u32,
        limits,
    )?;

    // After the timers: one that expires in between is then pending, and not lost.
    let signals = Signals::collect(interrupted.signal, interrupted.frame.mask)?;
    let (fs_base, gs_base) = thread_bases();
    let resume = resume::prepare(interrupted.frame, fs_base)?;
    let context = Context {
        tid: calls::tid(),
        registers: signal::capture(),
        fs_base,
        gs_base,
        frame: interrupted.frame as *const UserContext as u64,
    };

    let arguments: Line<256> = files::read_small(c"/proc/self/cmdline").unwrap_or_default();
    let kernel = proc::kernel_release();
    let (realtime, monotonic) = proc::clocks();
    let ids = Ids {
        pid,
        parent: calls::getppid().unwrap_or(0) as i32,
        group: calls::getpgid(0).unwrap_or(0) as i32,
        session: calls::getsid(0).unwrap_or(0) as i32,
        uid: credentials.uids[0],
        gid: credentials.gids[0],
    };
    let state = write::State {
        header: Header {
            format: FORMAT,
            generation: resume.generation,
            pid,
            pid_namespace: proc::pid_namespace(),
            start_time: stat.start_time(),
            boot_id: proc::boot_id(),
            machine_id: proc::machine_id(),
            realtime,
            monotonic,
            kernel: kernel.as_bytes(),
            writer: VERSION.as_bytes(),
        },
        cpu: cpuid::this_cpu(),
        process,
        credentials,
        context,
        descriptors: &descriptors,
        actions: &signals.actions,
        pending: &signals.pending,
        tid: calls::tid() as u32,
        ids,
        thread: thread_for_debuggers(interrupted, fs_base, gs_base),
        arguments: arguments.as_bytes(),
        siginfo: interrupted.info,
    };

    let target = Target::create(&start.settings)?;
    let size = write::image(
        &state,
        &regions,
        target.file(),
        &target.path(),
        limits[n::RLIMIT_FSIZE as usize][0],
    )?;
    Ok((target.publish()?, size))
}

/// Base addresses of FS and GS.
fn thread_bases() -> (u64, u64) {
    /// `ARCH_GET_FS`, `ARCH_GET_GS` (arch/x86/include/uapi/asm/prctl.h).
    const GET: [u32; 2] = [0x1003, 0x1004];
    let [fs, gs] = GET.map(|code| {
        let mut base = 0u64;
        // SAFETY: the kernel writes one number.
        let _ = unsafe { call(n::__NR_arch_prctl, [code as usize, &raw mut base as usize]) };
        base
    });
    (fs, gs)
}

/// The interrupted thread as debuggers want to see it.
fn thread_for_debuggers<'f>(
    interrupted: &Interrupted<'f>,
    fs_base: u64,
    gs_base: u64,
) -> Thread<'f> {
    let frame = interrupted.frame;
    let (xsave, xfeatures) = saved_state(frame);
    let blocked: SignalSet = frame.mask;
    Thread {
        tid: calls::tid(),
        signal: interrupted.signal,
        blocked,
        registers: frame.registers,
        selectors: (frame.cs, frame.ss),
        fs_base,
        gs_base,
        xsave,
        xfeatures,
    }
}

/// The XSAVE area of a signal frame and the components in it; only the legacy part on a processor without XSAVE.
fn saved_state(frame: &UserContext) -> (&[u8], u64) {
    const LEGACY: [u8; 512] = [0; 512];
    if frame.xsave == 0 {
        return (&LEGACY, 0);
    }
    // SAFETY: the kernel has put the area there, at least its legacy part, in which the note stands; the note says how
    // long the whole area is.
    unsafe {
        let note = *((frame.xsave + XSAVE_NOTE_AT) as *const XsaveNote);
        let (size, xfeatures) = if note.magic == XSAVE_MAGIC {
            (note.xsave_size as usize, note.xfeatures)
        } else {
            (LEGACY.len(), 0)
        };
        (
            core::slice::from_raw_parts(frame.xsave as *const u8, size),
            xfeatures,
        )
    }
}
