//! Signal dispositions and pending signals.

use ckpt_image::context::Registers;
use ckpt_image::signals::{Action, Actions, Pending, SIGINFO_SIZE, SIGNALS};
use ckpt_sys::kernel::{SignalSet, signal_bit};
use ckpt_sys::{Errno, MapVec, calls, proc};
use linux_raw_sys::general as n;

use super::posix_timers::{PosixTimers, Taken};
use crate::failure::{Doing, Failure};
use crate::interpose;
use crate::signal::{checkpoint_signal, claimed};
use crate::threads::stop::Stopped;
use crate::threads::{Thread, park};

/// Dispositions and pending signals.
#[derive(Debug)]
pub struct Signals {
    /// Dispositions, and how many pending signals there are.
    pub actions: Actions,
    /// Pending signals, in the order in which they arrived.
    pub pending: MapVec<Pending>,
}

impl Signals {
    /// Reads them. Signals of `timers` are noted with those.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for them.
    pub fn collect(
        initiator: &Thread,
        stopped: &Stopped,
        timers: &mut PosixTimers,
    ) -> Result<Self, Failure> {
        let actions = actions();
        let mut all = MapVec::new();
        take_pending(initiator, stopped, &mut all, timers)?;
        let mut kept = MapVec::new();
        for pending in all.iter() {
            let signal = number(pending);
            // One for the process is blocked if no thread would take it.
            let blocked = stopped
                .threads()
                .chain([initiator])
                .filter(|thread| pending.tid == 0 || pending.tid == thread.tid)
                .all(|thread| thread.mask() & signal_bit(signal) != 0);
            let has_handler = actions[signal as usize - 1].handler != SIG_DFL;
            // What is not blocked arrived during the checkpoint. If it ends or stops the program, it is meant for this
            // process, and would end every restored one as well.
            let asks = signal == claimed()
                && interpose::asks_for_checkpoint(&pending.info, &Registers::ZERO);
            if (blocked || has_handler) && !asks && !timers.keep(&pending.info) {
                kept.push(*pending)
                    .doing(format_args!("memory for the pending signals"))?;
            }
        }
        Ok(Self {
            actions: Actions {
                actions,
                pending: kept.len() as u32,
            },
            pending: kept,
        })
    }
}

/// `SIG_DFL`.
const SIG_DFL: u64 = 0;

fn actions() -> [Action; SIGNALS] {
    let mut actions = [Action::default(); SIGNALS];
    for (index, action) in actions.iter_mut().enumerate() {
        // SAFETY: the disposition is only read.
        *action = unsafe { calls::signal_action(index as i32 + 1, None) }.unwrap_or_default();
    }
    actions
}

/// `si_signo`, 1 to 64.
fn number(pending: &Pending) -> i32 {
    let [a, b, c, d, ..] = pending.info;
    i32::from_le_bytes([a, b, c, d])
}

/// Reads the pending signals except ours. The kernel only shows them to a tracer, so they are taken out one after the
/// other and put back in the same order; all signals are blocked in all threads meanwhile, so the program does not notice.
fn take_pending(
    initiator: &Thread,
    stopped: &Stopped,
    all: &mut MapVec<Pending>,
    timers: &mut PosixTimers,
) -> Result<(), Failure> {
    let wanted: SignalSet = !signal_bit(checkpoint_signal());
    let mut taken = Ok(());
    for thread in stopped.threads() {
        taken = taken.and_then(|()| take_from(thread.tid, wanted, all, timers));
    }
    let set = calls::pending().doing(format_args!("the pending signals"))? & wanted;
    if set != 0 {
        taken = taken.and_then(|()| take_all(initiator.tid, set, all, timers));
    }
    for pending in all.iter() {
        if !timers.put_back(&pending.info) {
            put_back(pending, initiator, stopped);
        }
    }
    taken.doing(format_args!("memory for the pending signals"))
}

/// Sends a signal again. It was in its queue a moment ago, so there is room for it. The kernel believes what most signals
/// say of their sender only from the thread that they are sent to, and for the process from the main thread.
fn put_back(pending: &Pending, initiator: &Thread, stopped: &Stopped) {
    let (number, info) = (number(pending), &pending.info);
    let pid = calls::pid();
    let receiver = if pending.tid == 0 { pid } else { pending.tid };
    let mut sent = Err(Errno::EPERM);
    if receiver == initiator.tid {
        sent = calls::queue_signal(pending.tid, number, info);
    } else if stopped.threads().any(|thread| thread.tid == receiver) {
        let [pid, tid, number, info] = [
            pid as usize,
            pending.tid as usize,
            number as usize,
            info.as_ptr() as usize,
        ];
        // SAFETY: the thread is parked; the kernel reads the siginfo.
        let answer = unsafe {
            if pending.tid == 0 {
                park::call_in(
                    receiver,
                    n::__NR_rt_sigqueueinfo,
                    [pid, number, info, 0, 0, 0],
                )
            } else {
                park::call_in(
                    receiver,
                    n::__NR_rt_tgsigqueueinfo,
                    [pid, tid, number, info, 0, 0],
                )
            }
        };
        sent = Errno::check(answer).map(drop);
    }
    if sent.is_err() && pending.tid == 0 {
        // The main thread has ended: the signal comes, if from ourselves.
        let _ = calls::kill(pid, number);
    }
}

/// Takes what is pending for the caller, whose id is `tid`, and for the process.
fn take_all(
    tid: i32,
    set: SignalSet,
    all: &mut MapVec<Pending>,
    timers: &mut PosixTimers,
) -> Result<(), Errno> {
    loop {
        // Room first: what was taken must not be lost.
        all.reserve(all.len() + 1)?;
        // The kernel empties the thread's queue before it looks at the process's (dequeue_signal, kernel/signal.c).
        let for_thread = proc::Status::read()?.hex("SigPnd") & set;
        match calls::take_pending(set) {
            Ok((_, info)) if timers.take(&info) == Taken::Again => {}
            Ok((_, info)) => all.push(Pending {
                tid: if for_thread == 0 { 0 } else { tid },
                info,
            })?,
            Err(Errno::EAGAIN) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

/// Takes what is pending for parked thread `tid` alone, which has to do that itself.
fn take_from(
    tid: i32,
    wanted: SignalSet,
    all: &mut MapVec<Pending>,
    timers: &mut PosixTimers,
) -> Result<(), Errno> {
    loop {
        all.reserve(all.len() + 1)?;
        let set = proc::Status::of_thread(tid)?.hex("SigPnd") & wanted;
        if set == 0 {
            return Ok(());
        }
        let mut info = [0u8; SIGINFO_SIZE];
        let no_time = [0u64; 2];
        let arguments = [
            &raw const set as usize,
            info.as_mut_ptr() as usize,
            no_time.as_ptr() as usize,
            size_of::<SignalSet>(),
            0,
            0,
        ];
        // SAFETY: the thread is parked; the kernel reads two structs of ours and writes one.
        let taken = unsafe { park::call_in(tid, n::__NR_rt_sigtimedwait, arguments) };
        match Errno::check(taken) {
            Ok(_) if timers.take(&info) == Taken::Again => {}
            Ok(_) => all.push(Pending { tid, info })?,
            Err(Errno::EAGAIN) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}
