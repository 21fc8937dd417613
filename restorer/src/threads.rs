//! Threads beside the main one as data: what each of them finds in the pad, and who has which id now.

use ckpt_image::context::Context;
use ckpt_image::owners::TID_MASK;
use ckpt_image::signals::Pending;
use ckpt_sys::kernel::SignalInfo;
use linux_raw_sys::general as n;

use crate::operations::Slot;

/// Fills the slots of `siblings`, which ascend by their ids, and the room for their pending signals, which the pad has at
/// `signals_at`. Each sibling's signals lie together there, in the order in which they arrived; those of others are
/// left out. The threads begin with the address `handover` in rax.
pub fn fill(
    slots: &mut [Slot],
    signals: &mut [SignalInfo],
    signals_at: u64,
    siblings: impl Iterator<Item = Context>,
    pending: impl Iterator<Item = Pending> + Clone,
    handover: u64,
) {
    for (slot, sibling) in slots.iter_mut().zip(siblings) {
        *slot = Slot {
            tid: sibling.tid,
            registers: sibling.registers,
            ..Slot::default()
        };
        slot.registers.rax = handover;
    }
    let slot_of = |slots: &[Slot], tid| slots.binary_search_by_key(&tid, |slot| slot.tid).ok();
    // First as numbers of signals before and behind each sibling's own.
    for signal in pending.clone() {
        if let Some(index) = slot_of(slots, signal.tid) {
            slots[index].signals_end += 1;
        }
    }
    let mut next = 0;
    for slot in slots.iter_mut() {
        let count = slot.signals_end;
        (slot.signals, slot.signals_end) = (next, next);
        next += count;
    }
    for signal in pending {
        if let Some(index) = slot_of(slots, signal.tid) {
            let at = &mut slots[index].signals_end;
            signals[*at as usize] = signal.info;
            *at += 1;
        }
    }
    let address = |number: u64| signals_at + number * size_of::<SignalInfo>() as u64;
    for slot in slots {
        (slot.signals, slot.signals_end) = (address(slot.signals), address(slot.signals_end));
    }
}

/// The id that a thread had, and the one that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// At the checkpoint.
    pub old: u32,
    /// Now.
    pub new: u32,
}

/// The word of a lock with the new id of the thread that it names; `None` if it names none of `threads`, which ascend by their
/// old ids.
#[must_use]
pub fn rename(word: u32, threads: &[Renamed]) -> Option<u32> {
    let new = new_id(word & TID_MASK, threads)?;
    Some(word & !TID_MASK | new)
}

/// The id that the thread with the id `old` has now; `None` if it is none of `threads`, which ascend by their old ids.
#[must_use]
pub fn new_id(old: u32, threads: &[Renamed]) -> Option<u32> {
    let index = threads
        .binary_search_by_key(&old, |thread| thread.old)
        .ok()?;
    Some(threads[index].new)
}

/// Offsets of `si_code` and `si_pid` in a `siginfo_t` (include/uapi/asm-generic/siginfo.h).
const CODE_AT: usize = 8;
const SENDER_AT: usize = 16;

/// A pending signal with the sender's new id where the process has sent it to itself. libc's handlers of the signals that
/// it cancels threads and changes ids with ignore what does not come from their own process.
#[must_use]
pub fn with_new_sender(mut info: SignalInfo, old: i32, new: i32) -> SignalInfo {
    let field =
        |at: usize| i32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    let has_sender = [n::SI_USER as i32, n::SI_QUEUE, n::SI_TKILL].contains(&field(CODE_AT));
    if has_sender && field(SENDER_AT) == old {
        info[SENDER_AT..SENDER_AT + 4].copy_from_slice(&new.to_ne_bytes());
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;
    use ckpt_image::context::Registers;

    fn sibling(tid: i32) -> Context {
        Context {
            tid,
            registers: Registers {
                rip: 0x1_0000 + tid as u64,
                ..Registers::default()
            },
            fs_base: 0,
            gs_base: 0,
            frame: 0,
        }
    }

    fn pending(tid: i32, mark: u8) -> Pending {
        Pending {
            tid,
            info: [mark; 128],
        }
    }

    /// Marks of each sibling's pending signals, out of the pad's data.
    fn signals_of(slot: &Slot, signals: &[SignalInfo], at: u64) -> Vec<u8> {
        let index = |address: u64| ((address - at) / 128) as usize;
        signals[index(slot.signals)..index(slot.signals_end)]
            .iter()
            .map(|info| info[0])
            .collect()
    }

    #[test]
    fn each_sibling_finds_its_registers_and_signals() {
        let all = [
            pending(0, 1),
            pending(9, 2),
            pending(5, 3),
            pending(7, 4),
            pending(9, 5),
            pending(5, 6),
        ];
        let mut slots = [Slot::default(); 3];
        let mut signals = [[0; 128]; 4];
        let siblings = [5, 6, 9].map(sibling).into_iter();
        let at = 0x9000;
        fill(&mut slots, &mut signals, at, siblings, all.into_iter(), 77);
        let found = slots.map(|slot| signals_of(&slot, &signals, at));
        assert_eq!(found, [vec![3, 6], vec![], vec![2, 5]]);
        for (slot, tid) in slots.iter().zip([5, 6, 9]) {
            assert_eq!((slot.tid, slot.error), (tid, 0));
            assert_eq!(slot.registers.rip, 0x1_0000 + tid as u64);
            assert_eq!(slot.registers.rax, 77);
        }
    }

    #[test]
    fn thirty_thousand_threads_have_their_signals() {
        let count = 30_000;
        let mut slots = vec![Slot::default(); count as usize];
        let mut signals = vec![[0; 128]; 2 * count as usize];
        let mark = |tid: i32, round: i32| (tid % 100 + 100 * round) as u8;
        let all = (0..2).flat_map(|round| {
            let one = move |tid: i32| pending(tid, mark(tid, round));
            (1..=count).rev().map(one)
        });
        fill(
            &mut slots,
            &mut signals,
            0,
            (1..=count).map(sibling),
            all,
            0,
        );
        for slot in &slots {
            let wanted = [mark(slot.tid, 0), mark(slot.tid, 1)];
            assert_eq!(signals_of(slot, &signals, 0), wanted);
        }
    }

    #[test]
    fn words_of_locks_get_the_new_id_of_their_own_thread() {
        let threads = [(10, 1010), (20, 10), (30, 1030)].map(|(old, new)| Renamed { old, new });
        assert_eq!(rename(10, &threads), Some(1010));
        assert_eq!(rename(20 | 1 << 31, &threads), Some(10 | 1 << 31));
        assert_eq!(rename(30 | 1 << 30, &threads), Some(1030 | 1 << 30));
        assert_eq!(rename(11, &threads), None);
        assert_eq!(rename(0, &threads), None);
        assert_eq!(rename(10, &[]), None);
    }

    #[test]
    fn only_a_sender_that_is_the_process_itself_is_renamed() {
        let signal = |code: i32, sender: i32| {
            let mut info = [0; 128];
            info[8..12].copy_from_slice(&code.to_ne_bytes());
            info[16..20].copy_from_slice(&sender.to_ne_bytes());
            info
        };
        for code in [0, -1, -6] {
            assert_eq!(with_new_sender(signal(code, 7), 7, 8), signal(code, 8));
            assert_eq!(with_new_sender(signal(code, 6), 7, 8), signal(code, 6));
        }
        // A timer (SI_TIMER) and a fault have other things there.
        for code in [-2, 1] {
            assert_eq!(with_new_sender(signal(code, 7), 7, 8), signal(code, 7));
        }
    }
}
