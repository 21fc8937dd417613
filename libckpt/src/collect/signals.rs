//! Signal dispositions and pending signals.

use ckpt_image::signals::{Action, Actions, Pending, SIGNALS};
use ckpt_sys::kernel::{SignalSet, signal_bit};
use ckpt_sys::{Errno, MapVec, calls, proc};

use crate::failure::{Doing, Failure};

/// Reads the dispositions; those of SIGKILL and SIGSTOP are the default ones.
pub fn actions(pending: usize) -> Actions {
    let mut actions = [Action::default(); SIGNALS];
    for (index, action) in actions.iter_mut().enumerate() {
        // SAFETY: the disposition is only read.
        *action = unsafe { calls::signal_action(index as i32 + 1, None) }.unwrap_or_default();
    }
    Actions {
        actions,
        pending: pending as u32,
    }
}

/// Reads the pending signals except `ours`. The kernel only shows them to a tracer, so they are taken out one after the other and
/// put back in the same order; all signals are blocked meanwhile, so the program does not notice.
///
/// # Errors
/// [`Failure`] if there is no memory for them; they are back in the queue then, too.
pub fn pending(ours: i32) -> Result<MapVec<Pending>, Failure> {
    let mut all = MapVec::new();
    let wanted: SignalSet = !signal_bit(ours);
    let set = calls::pending().doing(format_args!("the pending signals"))? & wanted;
    if set == 0 {
        return Ok(all);
    }
    let taken = take_all(set, &mut all);
    for pending in all.iter() {
        let signal = i32::from_le_bytes([
            pending.info[0],
            pending.info[1],
            pending.info[2],
            pending.info[3],
        ]);
        // It was in this queue a moment ago, so there is room for it.
        let _ = calls::queue_signal(pending.to_process == 1, signal, &pending.info);
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
