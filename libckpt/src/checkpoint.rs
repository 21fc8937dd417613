//! One checkpoint, step by step. Whatever fails, the program goes on as though no signal had come.
//!
//! Async-signal-safe: see `signal`.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicI32, Ordering};

use ckpt_image::context::Context;
use ckpt_image::core_notes::{self, Ids};
use ckpt_image::header::{FORMAT, Header};
use ckpt_image::owners::OwnerWord;
use ckpt_sys::kernel::UserContext;
use ckpt_sys::{Line, MapVec, calls, cpuid, files, proc, protection_keys};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl::PR_GET_CHILD_SUBREAPER;

use crate::collect::descriptors::Descriptors;
use crate::collect::descriptors::unnamed_files::FileRun;
use crate::collect::posix_timers::PosixTimers;
use crate::collect::process::Dumpable;
use crate::collect::regions::{Reader, Regions};
use crate::collect::signals::Signals;
use crate::collect::thread::Processors;
use crate::collect::{credentials, namespaces, process, process_settings, relatives};
use crate::failure::{Doing, Failure, failure};
use crate::report::{self, Milliseconds, Size};
use crate::resume::{self, RESUME};
use crate::settings::{After, EXIT_STATUS, Mode};
use crate::signal::{self, Interrupted, Owned};
use crate::snapshot::{self, Kept, Pause};
use crate::start::{START, Start};
use crate::target::{Published, Target};
use crate::threads::stop::Stopped;
use crate::threads::{Thread, park};
use crate::{clocks, cpu_time, handlers, interpose, locks, tiles, write};

/// Version of this program, for the header.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Descriptors that a checkpoint needs for itself at one time.
const DESCRIPTORS_NEEDED: u64 = 8;

/// The record of the thread that takes the checkpoint. Not on libckpt's stack, since a restored process needs it.
static INITIATOR: Owned<Thread> = Owned::new(Thread::EMPTY);

/// What is changed for the time of the checkpoint.
static PREPARED: Owned<Option<Prepared>> = Owned::new(None);

/// The thread that takes a checkpoint; 0 while nobody does.
static IN_PROGRESS: AtomicI32 = AtomicI32::new(0);

/// Says that nobody takes a checkpoint: in a restored process, it is over.
pub fn is_over() {
    IN_PROGRESS.store(0, Ordering::Relaxed);
}

/// Takes a checkpoint and says how it went.
pub fn take(interrupted: &Interrupted<'_>) {
    // SAFETY: we run on libckpt's stack; the settings are not written any more; the frame is ours.
    let (start, initiator): (&Start, &mut Thread) = unsafe {
        *INITIATOR.get() = Thread::of_caller(interrupted.signal, interrupted.frame);
        (START.get(), INITIATOR.get())
    };
    IN_PROGRESS.store(initiator.tid, Ordering::Relaxed);
    // Whatever becomes of it, threads will make calls again.
    let unknown = handlers::stand_in();
    let began = calls::clock(n::CLOCK_MONOTONIC);
    let taken = attempt(interrupted, initiator, start, began);
    put_back();
    if let Some(signal) = unknown.filter(|_| initiator.may_have_been_ended()) {
        report::line(format_args!(
            "a call of the program's is made again; if it was the handler of signal {signal} that had just ended it, rather than the checkpoint, \
             that is lost: nobody knows, since the handler was installed without libc"
        ));
    }
    match taken {
        Ok((Taken::ByWriter(pause), stopped)) => {
            drop(stopped);
            pause.is(since(began));
        }
        Ok((Taken::InPlace(written), stopped)) => {
            let pause = since(began);
            if start.settings.after == After::Exit {
                // Nothing that the image does not have may happen any more, so the others stay where they are.
                // SAFETY: this is libckpt's stack.
                unsafe { interpose::leave_terminal() };
                announce(&written, pause, pause);
                calls::exit(EXIT_STATUS);
            }
            // Nobody has to wait for the line.
            drop(stopped);
            announce(&written, pause, pause);
        }
        Err(failure) => {
            report::line(format_args!("no checkpoint: {failure}"));
        }
    }
    is_over();
    initiator.go_on();
}

/// An image that is complete.
struct Written {
    published: Published,
    /// How large it is.
    image: write::Written,
    /// How long writing it took, in nanoseconds.
    writing: u64,
    /// How long the disk took, likewise.
    sync: u64,
    /// How long the other threads took to stop, for the line that says so.
    threads: Line<64>,
}

/// What has become of a checkpoint.
#[expect(clippy::large_enum_variant, reason = "there is no heap")]
enum Taken {
    /// The image is written.
    InPlace(Written),
    /// A process of its own is writing the image, and wants to know how long the program stood still.
    ByWriter(Pause),
}

/// Nanoseconds since `began`.
fn since(began: u64) -> u64 {
    calls::clock(n::CLOCK_MONOTONIC).saturating_sub(began)
}

/// How much in an image is worth a hint if files hold it as well, in bytes.
const MUCH: u64 = 256 << 20;

fn announce(written: &Written, pause: u64, total: u64) {
    let (published, threads) = (&written.published, &written.threads);
    let mut remark = Line::<512>::new();
    if let Some((wanted, owner)) = &published.taken {
        remark = Line::format(format_args!(
            "; {wanted} belongs to the live process {owner}"
        ));
    } else if let Some(place) = published.replaced_foreign {
        remark = Line::format(format_args!("; it replaced an image of {place}"));
    }
    if let Some(errno) = published.unsynced {
        let unsynced = Line::<256>::format(format_args!(
            "; its directory could not be synced ({errno}), so its name may be lost if the machine goes down now"
        ));
        remark.push(unsynced.as_bytes());
    }
    let write::Written {
        size,
        held_by_files,
    } = written.image;
    if held_by_files > MUCH.max(size / 2) {
        let held = Line::<128>::format(format_args!(
            "; {} are what unchanged files hold: CKPT_THIN=1 leaves that out",
            Size(held_by_files)
        ));
        remark.push(held.as_bytes());
    }
    let (path, size) = (&published.path, Size(size));
    let [pause, writing, sync, total] =
        [pause, written.writing, written.sync, total].map(Milliseconds);
    report::line(format_args!(
        "wrote {path} ({size}, {threads}pause {pause}, writing {writing}, sync {sync}, total {total}){remark}"
    ));
}

/// Leaves a checkpoint in which a bug of ours was hit. Elsewhere, nothing can be left: the process ends.
pub fn abandon(info: &PanicInfo<'_>) -> ! {
    let place = info
        .location()
        .map_or(("?", 0), |location| (location.file(), location.line()));
    // A process that was made for the checkpoint has another id.
    if IN_PROGRESS.load(Ordering::Relaxed) != calls::tid() {
        report::line(format_args!(
            "internal error at {}:{}; please report it",
            place.0, place.1
        ));
        calls::exit(125);
    }
    is_over();
    report::line(format_args!(
        "no checkpoint: internal error at {}:{}; please report it, the program goes on",
        place.0, place.1
    ));
    put_back();
    park::close();
    // SAFETY: as above.
    let initiator = unsafe { INITIATOR.get() };
    initiator.go_on();
    signal::finish_and_leave(initiator.frame)
}

/// What is changed for the time of the checkpoint, and put back at its end.
#[derive(Debug)]
struct Prepared {
    dumpable: Dumpable,
    /// The limit as it was, and as it is meanwhile.
    open_files: Option<[[u64; 2]; 2]>,
}

impl Prepared {
    fn new() -> Self {
        // A program that has used up its descriptors gets its checkpoint all the same, if the hard limit allows.
        let limit = calls::limit(n::RLIMIT_NOFILE as usize, None).ok();
        let open_files = limit.and_then(|limit| {
            let [soft, hard] = limit;
            let raised = [hard.min(soft.saturating_add(DESCRIPTORS_NEEDED)), hard];
            let is_raised =
                soft < hard && calls::limit(n::RLIMIT_NOFILE as usize, Some(raised)).is_ok();
            is_raised.then_some([limit, raised])
        });
        Self {
            // Among others for pagemap and mem.
            dumpable: Dumpable::made(),
            open_files,
        }
    }
}

/// Threads of the program that ran meanwhile may have changed the same: then that stays.
impl Drop for Prepared {
    fn drop(&mut self) {
        let open_files = n::RLIMIT_NOFILE as usize;
        if let Some([before, raised]) = self.open_files
            && calls::limit(open_files, None) == Ok(raised)
        {
            let _ = calls::limit(open_files, Some(before));
        }
    }
}

/// Changes what has to be changed for the checkpoint; the value of `PR_GET_DUMPABLE` before.
fn prepare() -> u32 {
    let prepared = Prepared::new();
    let dumpable = prepared.dumpable.before as u32;
    // SAFETY: we run on libckpt's stack.
    unsafe { *PREPARED.get() = Some(prepared) };
    dumpable
}

/// Undoes that.
fn put_back() {
    // SAFETY: as above.
    unsafe { *PREPARED.get() = None };
}

/// Takes the checkpoint. The other threads are still parked when it has succeeded.
fn attempt(
    interrupted: &Interrupted<'_>,
    initiator: &mut Thread,
    start: &Start,
    began: u64,
) -> Result<(Taken, Stopped), Failure> {
    if start.under_valgrind {
        return Err(failure!(
            "the program runs under valgrind, which does not know all that a checkpoint takes; run it without"
        ));
    }
    let cpu = cpuid::this_cpu();
    if cpu.has_protection_keys() {
        // A handler may only use memory without a key, and so may what it makes: the copy of the process that writes the image.
        // SAFETY: they are enabled.
        unsafe { protection_keys::open_all() };
    }
    process::check_root()?;
    let pid = calls::pid();

    prepare();
    relatives::check_children(start.settings.children)?;
    let mut stopped = Stopped::all_others(start.settings.timeout)?;
    // Until now the others have run: they may have forked, and changed what was prepared.
    put_back();
    relatives::check_children(start.settings.children)?;
    let limits = process::limits();
    let dumpable = prepare();
    relatives::check_threads(initiator, &stopped)?;
    namespaces::check(initiator, stopped.threads())?;
    process::check_segments()?;
    // Regions come first, and descriptors before the target, so that no memory and no descriptor of ours is taken for
    // the program's: from the regions on, memory may be mapped, and from the descriptors on, files may be opened.
    let mut regions = Regions::collect(stopped.span(), start.settings.thin)?;
    let may_fork = may_fork(start);
    let copy_reads_details = may_fork && regions.can_be_read_by_copy();
    if !copy_reads_details {
        regions.add_details(Reader::Program)?;
    }
    let mut descriptors = Descriptors::collect(start.settings.deleted, &mut regions)?;
    let strings = process::Strings::read()?;
    let mut groups = MapVec::new();
    process_settings::collect();
    tiles::note();
    let status = proc::Status::read().doing(format_args!("/proc/thread-self/status"))?;
    let credentials = credentials::collect(&status, start.seccomp_filters, &mut groups)?;
    let process = process::collect(&strings, &start.program, status.umask(), dumpable, limits)?;

    let mut timers = PosixTimers::collect(initiator, &stopped)?;
    // After the timers: one that expires in between is then pending, and not lost.
    let signals = Signals::collect(initiator, &stopped, &mut timers)?;
    timers.let_receive(initiator, &mut stopped, &signals.pending);
    timers.write(descriptors.objects_mut())?;
    let contexts = prepare_restart(pid, initiator, &mut stopped)?;
    let id_words = id_words(initiator, &stopped)?;
    let siblings = &contexts[1..];
    let is_sibling = |tid| {
        siblings
            .binary_search_by_key(&tid, |context| context.tid)
            .is_ok()
    };
    let is_there = |tid| tid == pid || is_sibling(tid);
    let lock_words = locks::left(is_there).doing(format_args!("memory for the list of locks"))?;

    let arguments: Line<256> = files::read_small(c"/proc/thread-self/cmdline").unwrap_or_default();
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
    let threads = threads_for_debuggers(interrupted.signal, initiator, &stopped)?;
    let state = write::State {
        header: Header {
            format: FORMAT,
            generation: resume::generation(),
            pid,
            pid_namespace: proc::pid_namespace(),
            start_time: proc::ProcessStat::of(pid)
                .doing(format_args!("/proc/self/stat"))?
                .start_time(),
            boot_id: proc::boot_id(),
            machine_id: proc::machine_id(),
            realtime,
            monotonic,
            kernel: kernel.as_bytes(),
            writer: VERSION.as_bytes(),
        },
        cpu,
        clocks: clocks::collect(),
        process,
        credentials,
        contexts: &contexts,
        id_words: &id_words,
        lock_words: &lock_words,
        descriptors: &descriptors,
        actions: &signals.actions,
        pending: &signals.pending,
        ids,
        threads: &threads,
        arguments: arguments.as_bytes(),
        siginfo: interrupted.info,
    };

    let stop_time = Line::format(format_args!("{stopped}"));
    let write = |regions: &Regions, kept: &Kept| {
        let started = calls::clock(n::CLOCK_MONOTONIC);
        let target = Target::create(&start.settings, pid)?;
        let limit = limits[n::RLIMIT_FSIZE as usize][0];
        let (file, path, compression) = (target.file(), target.path(), start.settings.compression);
        let output = write::Output::new(file, limit, &path, compression)?;
        let image = write::image(&state, regions, kept, output)?;
        let writing = since(started);
        target.sync()?;
        let sync = since(started) - writing;
        Ok(Written {
            published: target.publish()?,
            image,
            writing,
            sync,
            threads: stop_time,
        })
    };
    // A file on a disk whose content goes into the image must not change meanwhile, and a fork does not freeze files.
    let may_fork = may_fork && !descriptors.file_runs().iter().any(FileRun::is_on_disk);
    let beside = if may_fork {
        let reader = copy_reads_details.then_some(Reader::CopyOf(pid));
        write_beside(&write, &mut regions, reader, &descriptors, began).ok()
    } else {
        None
    };
    // Where there is no memory for a copy, or no process is permitted, the program stands still.
    let taken = match beside {
        Some(pause) => Taken::ByWriter(pause),
        None => {
            if copy_reads_details {
                regions.add_details(Reader::Program)?;
            }
            Taken::InPlace(write(&regions, &Kept::default())?)
        }
    };
    drop(threads);
    Ok((taken, stopped))
}

/// Whether the image may be written while the program goes on.
fn may_fork(start: &Start) -> bool {
    let adopts = || {
        let mut subreaper = 0u32;
        // SAFETY: the option takes an address to which the kernel writes a number.
        let result = unsafe {
            calls::prctl(
                PR_GET_CHILD_SUBREAPER,
                [&raw mut subreaper as usize, 0, 0, 0],
            )
        };
        result.is_err() || subreaper != 0 || calls::pid() == 1
    };
    // A program that ends has nothing to gain, and one that adopts orphans would adopt the writer.
    start.settings.mode == Mode::Fork && start.settings.after == After::Continue && !adopts()
}

/// Hands `write` to a process of its own, which adds details to the regions as `reader` if there is one.
fn write_beside(
    write: &dyn Fn(&Regions, &Kept) -> Result<Written, Failure>,
    regions: &mut Regions,
    reader: Option<Reader>,
    descriptors: &Descriptors,
    began: u64,
) -> Result<Pause, Failure> {
    let kept = Kept::copy(regions, descriptors.file_runs())?;
    let pause = Pause::unknown()?;
    snapshot::fork(&mut |predecessor| {
        let forked = since(began);
        let details = reader.map_or(Ok(()), |reader| regions.add_details(reader));
        // SAFETY: this is the writer's copy, and it runs alone.
        unsafe {
            snapshot::leave_unnamed_files(regions.list());
        }
        descriptors.detach();
        predecessor.wait();
        match details.and_then(|()| write(regions, &kept)) {
            Ok(written) => announce(&written, pause.get().unwrap_or(forked), since(began)),
            Err(failure) => report::line(format_args!("no checkpoint: {failure}")),
        }
    })?;
    Ok(pause)
}

/// Leaves word for the restored process, and says where its threads begin: the main thread's context first, the others
/// in ascending order of their ids.
fn prepare_restart(
    pid: i32,
    initiator: &mut Thread,
    stopped: &mut Stopped,
) -> Result<MapVec<Context>, Failure> {
    let mut processors = Processors::online();
    for thread in stopped.threads_mut().chain([&mut *initiator]) {
        if processors.are_all_of(&thread.attributes) {
            thread.attributes.forget_processors();
        }
        thread.begins = true;
    }
    initiator.enter_epoch();
    initiator.finishes = stopped.main_ended();
    if initiator.tid != pid {
        let stack = signal::stack_below(initiator.frame);
        park::capture(initiator, Some(stack));
    }
    let is_main = |thread: &&mut Thread| thread.tid == pid;
    let main = if initiator.tid == pid {
        &raw mut *initiator
    } else {
        let parked = stopped.threads_mut().find(is_main);
        parked.map_or(core::ptr::null_mut(), |main| &raw mut *main)
    };

    let mut contexts = MapVec::new();
    let first = Context {
        tid: pid,
        // The process begins in libckpt, whoever takes the checkpoint; a main thread that has ended ends there again.
        registers: signal::capture(),
        fs_base: 0,
        gs_base: 0,
        frame: initiator.frame as u64,
    };
    // SAFETY: the record is the initiator's, or that of a parked thread.
    let first = match unsafe { main.as_ref() } {
        Some(main) => Context {
            fs_base: main.fs_base,
            gs_base: main.gs_base,
            frame: main.frame as u64,
            ..first
        },
        None => first,
    };
    let others = stopped
        .threads()
        .chain([&*initiator])
        .filter(|thread| thread.tid != pid)
        .map(|thread| Context {
            tid: thread.tid,
            registers: thread.start,
            fs_base: thread.fs_base,
            gs_base: thread.gs_base,
            frame: thread.frame as u64,
        });
    core::iter::once(first)
        .chain(others)
        .try_for_each(|context| contexts.push(context))
        .doing(format_args!("memory for the threads"))?;
    contexts[1..].sort_unstable_by_key(|context| context.tid);

    // SAFETY: we run on libckpt's stack.
    let resume = unsafe { RESUME.get() };
    resume.reports = report::stderr_is_ours();
    resume.main = main;
    resume.initiator = initiator;
    resume.group = calls::getpgid(0).unwrap_or(0) as i32;
    cpu_time::save();
    Ok(contexts)
}

/// Where the ids of the threads stand in libc's memory and in ours.
fn id_words(initiator: &Thread, stopped: &Stopped) -> Result<MapVec<OwnerWord>, Failure> {
    let mut words = MapVec::new();
    core::iter::once(initiator)
        .chain(stopped.threads())
        .flat_map(Thread::id_words)
        .try_for_each(|address| words.push(OwnerWord { address }))
        .doing(format_args!("memory for the threads"))?;
    Ok(words)
}

/// The threads as debuggers want to see them, the one that took the signal first.
fn threads_for_debuggers<'t>(
    signal: i32,
    initiator: &'t Thread,
    stopped: &'t Stopped,
) -> Result<MapVec<core_notes::Thread<'t>>, Failure> {
    let mut all = MapVec::new();
    core::iter::once(initiator)
        .chain(stopped.threads())
        .try_for_each(|thread| {
            // SAFETY: the thread is in the handler, so the frame stays as it is.
            let frame = unsafe { &*thread.frame };
            let (xsave, xfeatures) = saved_state(frame);
            all.push(core_notes::Thread {
                tid: thread.tid,
                signal: if thread.tid == initiator.tid {
                    signal
                } else {
                    0
                },
                blocked: frame.mask,
                registers: frame.registers,
                selectors: (frame.cs, frame.ss),
                fs_base: thread.fs_base,
                gs_base: thread.gs_base,
                xsave,
                xfeatures,
            })
        })
        .doing(format_args!("memory for the threads"))?;
    Ok(all)
}

/// The XSAVE area of a signal frame and the components in it; only the legacy part on a processor without XSAVE.
fn saved_state(frame: &UserContext) -> (&[u8], u64) {
    const LEGACY: [u8; 512] = [0; 512];
    if frame.xsave == 0 {
        return (&LEGACY, 0);
    }
    // SAFETY: the kernel has put the area there, at least its legacy part; the note says how long the whole area is.
    unsafe {
        let (size, xfeatures) = frame.xsave_note().map_or((LEGACY.len(), 0), |note| {
            (note.xsave_size as usize, note.xfeatures)
        });
        (
            core::slice::from_raw_parts(frame.xsave as *const u8, size),
            xfeatures,
        )
    }
}
