//! Signal dispositions and pending signals.

use ckpt_image::signals::{Action, Actions, Pending, SIGNALS};
use ckpt_sys::kernel::{SignalSet, signal_bit};
use ckpt_sys::{Errno, MapVec, calls, proc};

use crate::failure::{Doing, Failure};

/// Dispositions and pending signals.
#[derive(Debug)]
pub struct Signals {
    /// Dispositions, and how many pending signals there are.
    pub actions: Actions,
    /// Pending signals, in the order in which they arrived.
    pub pending: MapVec<Pending>,
}

impl Signals {
    /// Reads them. `ours` is the checkpoint signal and `mask` what the program blocks.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for them.
    pub fn collect(ours: i32, mask: SignalSet) -> Result<Self, Failure> {
        let actions = actions();
        let all = pending(ours)?;
        let mut kept = MapVec::new();
        for pending in all.iter() {
            let signal = number(pending);
            let blocked = mask & signal_bit(signal) != 0;
            let has_handler = actions[signal as usize - 1].handler != SIG_DFL;
            // What is not blocked arrived during the checkpoint. If it ends or stops the program, it is meant for this
            // process, and would end every restored one as well.
            if blocked || has_handler {
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

/// Reads the pending signals except `ours`. The kernel only shows them to a tracer, so they are taken out one after the
/// other and put back in the same order; all signals are blocked meanwhile, so the program does not notice.
fn pending(ours: i32) -> Result<MapVec<Pending>, Failure> {
    let mut all = MapVec::new();
    let wanted: SignalSet = !signal_bit(ours);
    let set = calls::pending().doing(format_args!("the pending signals"))? & wanted;
    if set == 0 {
        return Ok(all);
    }
    let taken = take_all(set, &mut all);
    for pending in all.iter() {
        // It was in this queue a moment ago, so there is room for it.
        let _ = calls::queue_signal(pending.to_process == 1, number(pending), &pending.info);
    }
    taken.doing(format_args!("memory for the pending signals"))?;
    Ok(all)
}

fn take_all(set: SignalSet, all: &mut MapVec<Pending>) -> Result<(), Errno> {
    loop {
        // Room first: what was taken must not be lost.
        all.reserve(all.len() + 1)?;
        // The kernel empties the thread's queue before it looks at the process's (dequeue_signal, kernel/signal.c).
        let for_thread = proc::Status::read()?.hex("SigPnd") & set;
        match calls::take_pending(set) {
            Ok((_, info)) => all.push(Pending {
                to_process: u32::from(for_thread == 0),
                info,
            })?,
            Err(Errno::EAGAIN) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}
