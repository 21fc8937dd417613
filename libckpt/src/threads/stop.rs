//! Makes all other threads park.
//!
//! Async-signal-safe: see `signal`.

use core::fmt;

use ckpt_image::segments::Span;
use ckpt_sys::bytes::decimal;
use ckpt_sys::in_progress::Observed;
use ckpt_sys::kernel::signal_bit;
use ckpt_sys::line::Text;
use ckpt_sys::{Errno, Line, MapVec, calls, files, proc};
use linux_raw_sys::general as n;

use super::{Thread, park, unblock};
use crate::failure::{Doing, Failure, failure};
use crate::report::Milliseconds;
use crate::signal::checkpoint_signal;

/// One millisecond, in nanoseconds.
const MILLISECOND: u64 = 1_000_000;
/// A thread that has not arrived by then is looked at: it may have ended, or block the signal.
const PATIENCE: u64 = 5 * MILLISECOND;
/// After this time the signal is sent again: another thread's sigwait may have taken it.
const AGAIN: u64 = 100 * MILLISECOND;
/// The longest sleep between two looks at those who are missing.
const LONGEST_NAP: u64 = 20 * MILLISECOND;

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// On its way.
    Signalled,
    /// Parked.
    Parked,
    /// It has ended.
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    tid: i32,
    place: Where,
    /// When it was sent the signal, `CLOCK_MONOTONIC` in nanoseconds.
    signalled: u64,
    /// The call in which it was before.
    observed: Option<Observed>,
    /// The round of the list in which it was seen last.
    round: u32,
    thread: *mut Thread,
}

impl Entry {
    /// The thread has ended before it came.
    fn is_gone(&mut self) {
        self.place = Where::Gone;
        // Or a later thread with this id would block the signal.
        let _ = unblock::take(self.tid);
    }
}

/// All other threads, parked until this is dropped.
#[derive(Debug)]
pub struct Stopped {
    entries: MapVec<Entry>,
    /// How long it took until all were parked, in nanoseconds.
    took: u64,
}

impl Stopped {
    /// Stops all threads but the caller within `limit` nanoseconds.
    ///
    /// # Errors
    /// [`Failure`] names the thread that did not stop; all go on then.
    pub fn all_others(limit: u64) -> Result<Self, Failure> {
        let mut stopped = Self {
            entries: MapVec::new(),
            took: 0,
        };
        park::open();
        let began = now();
        stopped.collect(began, limit)?;
        stopped.took = now() - began;
        Ok(stopped)
    }

    fn collect(&mut self, began: u64, limit: u64) -> Result<(), Failure> {
        let mut nap = MILLISECOND;
        for round in 1.. {
            let found_new = self.signal_new(round)?;
            self.match_arrivals();
            let missing = self.missing().count() as u32;
            if missing == 0 && !found_new && self.is_complete() {
                break;
            }
            if now() - began > limit {
                return Err(self.complain(limit));
            }
            if missing == 0 {
                continue;
            }
            park::wait_for_arrivals(park::arrived() + missing, nap);
            self.match_arrivals();
            nap = LONGEST_NAP.min(nap * 2);
            self.look_after_the_missing(began + limit)?;
        }
        self.entries.sort_unstable_by_key(|entry| entry.tid);
        for entry in self.entries.iter() {
            if let (Some(observed), Where::Parked) = (&entry.observed, entry.place) {
                // SAFETY: the thread is parked, and nobody else uses its record.
                unsafe { (*entry.thread).call.observe(observed) };
            }
        }
        Ok(())
    }

    /// Whether there is no thread but those that are known. The kernel's list does not tell: it passes over a thread when another one
    /// ends meanwhile (`next_tid` in fs/proc/base.c). Nobody who has parked makes new ones or ends, so it is enough to count; one that has ended
    /// counts as long as its end is not complete.
    fn is_complete(&self) -> bool {
        let counted = proc::ProcessStat::of_this_thread().map(|stat| stat.threads());
        let is_there = |entry: &&Entry| match entry.place {
            Where::Gone => has_ended(entry.tid),
            _ => true,
        };
        let known = 1 + self.entries.iter().filter(is_there).count();
        counted == Ok(known as u64)
    }

    /// Sends the signal to threads that were not known before; whether there were any.
    fn signal_new(&mut self, round: u32) -> Result<bool, Failure> {
        let (own, pid) = (calls::tid(), calls::pid());
        self.entries.sort_unstable_by_key(|entry| entry.tid);
        let known = self.entries.len();
        let mut result = Ok(());
        // Opened anew each time: a child that another thread forks meanwhile would inherit it.
        let tasks = calls::open(c"/proc/self/task", n::O_RDONLY | n::O_DIRECTORY)
            .doing(format_args!("/proc/self/task"))?;
        let listed = files::for_each_entry(&tasks, |name| {
            let tid = decimal(name.to_bytes()).unwrap_or(0) as i32;
            if tid == own || tid == 0 {
                return true;
            }
            if let Ok(at) = self.entries[..known].binary_search_by_key(&tid, |entry| entry.tid) {
                self.entries[at].round = round;
                return true;
            }
            let ended = tid == pid && has_ended(tid);
            let mut entry = Entry {
                tid,
                place: if ended { Where::Gone } else { Where::Signalled },
                signalled: now(),
                // It is only known before the signal interrupts the call.
                observed: if ended { None } else { observe(tid) },
                round,
                thread: core::ptr::null_mut(),
            };
            if !ended && ask(tid) == Err(Errno::ESRCH) {
                entry.place = Where::Gone;
            }
            result = self.entries.push(entry);
            result.is_ok()
        });
        listed.doing(format_args!("/proc/self/task"))?;
        result.doing(format_args!("memory for the list of threads"))?;
        for entry in self.entries[..known].iter_mut() {
            let is_listed = entry.round == round;
            if entry.place == Where::Signalled && !is_listed && is_no_thread(entry.tid) {
                entry.is_gone();
            }
        }
        Ok(self.entries.len() > known)
    }

    /// Enters what the list of parked threads says.
    fn match_arrivals(&mut self) {
        self.entries.sort_unstable_by_key(|entry| entry.tid);
        // SAFETY: we are the initiator, and the list is open until `self` is dropped.
        for thread in unsafe { park::parked() } {
            // SAFETY: as above; the id is not written any more.
            let tid = unsafe { (*thread).tid };
            if let Ok(at) = self.entries.binary_search_by_key(&tid, |entry| entry.tid) {
                self.entries[at].place = Where::Parked;
                self.entries[at].thread = thread;
            }
        }
    }

    fn missing(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.place == Where::Signalled)
    }

    /// Finds out why threads do not come, and does something about it.
    fn look_after_the_missing(&mut self, deadline: u64) -> Result<(), Failure> {
        let ours = signal_bit(checkpoint_signal());
        let mut blocking = MapVec::new();
        for entry in self.entries.iter_mut() {
            let late = now().saturating_sub(entry.signalled);
            if entry.place != Where::Signalled || late < PATIENCE {
                continue;
            }
            let stat = proc::ProcessStat::of_thread(entry.tid);
            let Some(stat) = stat
                .ok()
                .filter(|stat| !matches!(stat.state(), b'Z' | b'X'))
            else {
                entry.is_gone();
                continue;
            };
            if is_kernel_worker(&stat) {
                return Err(failure!(
                    "thread {} ({}): the kernel works in it for the program (io_uring, vhost): that is not supported; \
                     have its settings turn that off",
                    entry.tid,
                    Name::of(entry.tid)
                ));
            }
            let blocks = proc::Status::of_thread(entry.tid)
                .is_ok_and(|status| status.hex("SigBlk") & ours != 0);
            if blocks {
                blocking
                    .push(entry.tid)
                    .doing(format_args!("memory for the list of threads"))?;
            }
            if late > AGAIN {
                entry.signalled = now();
                let _ = ask(entry.tid);
            }
        }
        if blocking.is_empty() {
            Ok(())
        } else {
            unblock::unblock(&blocking, ours, deadline)
        }
    }

    /// Says which thread did not stop, and why.
    fn complain(&self, limit: u64) -> Failure {
        let ours = signal_bit(checkpoint_signal());
        let Some(entry) = self.missing().next() else {
            return failure!(
                "threads began and ended all the time, and did not all stop within {} ms; send the signal later, or set \
                 CKPT_TIMEOUT to more seconds",
                limit / MILLISECOND
            );
        };
        let status = proc::Status::of_thread(entry.tid);
        let blocks = status
            .as_ref()
            .is_ok_and(|status| status.hex("SigBlk") & ours != 0);
        let state = status.as_ref().map_or(b' ', |status| {
            status.value("State").first().copied().unwrap_or(b' ')
        });
        let why = match (state, blocks) {
            (b'D', _) => {
                "it is in a call that cannot be interrupted, such as vfork or waiting for a file server"
            }
            (_, true) => {
                "it blocks all signals by a system call of its own, and nobody may trace it (kernel.yama.ptrace_scope, or a \
                 debugger does)"
            }
            _ => "it may wait for the signal itself (sigwait by a system call of its own)",
        };
        failure!(
            "thread {} ({}) did not stop within {} ms: {why}; send the signal later, or set CKPT_TIMEOUT to more seconds",
            entry.tid,
            Name::of(entry.tid),
            limit / MILLISECOND
        )
    }

    /// The parked threads, in ascending order of their ids.
    pub fn threads(&self) -> impl Iterator<Item = &Thread> + Clone {
        self.entries
            .iter()
            .filter(|entry| entry.place == Where::Parked)
            // SAFETY: the record stays until `self` is dropped, and its thread does not write to it.
            .map(|entry| unsafe { &*entry.thread })
    }

    /// The same, to be changed.
    pub fn threads_mut(&mut self) -> impl Iterator<Item = &mut Thread> {
        self.entries
            .iter()
            .filter(|entry| entry.place == Where::Parked)
            // SAFETY: as for `threads`; each record is a thread's own, and `self` is borrowed for as long.
            .map(|entry| unsafe { &mut *entry.thread })
    }

    /// Whether the main thread has ended.
    pub fn main_ended(&self) -> bool {
        let main = calls::pid();
        let has_ended = |entry: &Entry| entry.tid == main && entry.place == Where::Gone;
        self.entries.iter().any(has_ended)
    }

    /// Memory of ours that is not the program's.
    pub fn span(&self) -> Span {
        self.entries.span()
    }
}

/// For the line that says that a checkpoint was taken: nothing if there were no other threads.
impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.threads().count() {
            0 => Ok(()),
            1 => write!(f, "1 other thread stopped in {}, ", Milliseconds(self.took)),
            others => write!(
                f,
                "{others} other threads stopped in {}, ",
                Milliseconds(self.took)
            ),
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        park::close();
    }
}

fn now() -> u64 {
    calls::clock(n::CLOCK_MONOTONIC)
}

fn ask(tid: i32) -> Result<(), Errno> {
    calls::queue_signal(tid, checkpoint_signal(), &park::stop_request())
}

fn has_ended(tid: i32) -> bool {
    proc::ProcessStat::of_thread(tid).is_ok_and(|stat| matches!(stat.state(), b'Z' | b'X'))
}

fn is_no_thread(tid: i32) -> bool {
    proc::ProcessStat::of_thread(tid).is_err()
}

/// Whether it is one of the kernel's own threads that serve the program (`PF_IO_WORKER`, `PF_USER_WORKER`,
/// include/linux/sched.h), which take no signals.
fn is_kernel_worker(stat: &proc::ProcessStat) -> bool {
    const FLAGS: usize = 9;
    stat.field(FLAGS) & 0x4010 != 0
}

/// The call in which a thread is blocked.
fn observe(tid: i32) -> Option<Observed> {
    let path = Line::<64>::format(format_args!("/proc/self/task/{tid}/syscall"));
    let line = files::read_small::<256>(path.as_c_str()).ok()?;
    Observed::parse(line.as_bytes())
}

/// The name of a thread, for messages.
pub struct Name(Line<32>);

impl Name {
    /// That of thread `tid` of this process.
    pub fn of(tid: i32) -> Self {
        let path = Line::<64>::format(format_args!("/proc/self/task/{tid}/comm"));
        Self(files::read_small(path.as_c_str()).unwrap_or_default())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Text(self.0.as_bytes().trim_ascii_end()), f)
    }
}
