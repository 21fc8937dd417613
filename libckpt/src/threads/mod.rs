//! The threads of the program: which one takes a checkpoint (`role`), where the others wait meanwhile (`park`), how they are
//! made to (`stop`, `unblock`), and what is kept of each.
//!
//! Async-signal-safe: see `signal`.

pub mod park;
pub mod role;
pub mod stop;
pub mod unblock;

use core::ptr;

use ckpt_image::context::Registers;
use ckpt_sys::calls::{self, Usage};
use ckpt_sys::in_progress::{InProgress, Since};
use ckpt_sys::kernel::{SignalSet, UserContext, signal_bit};
use ckpt_sys::posix_timers;
use ckpt_sys::syscall::call;
use linux_raw_sys::general as n;

use crate::alternate::Slot;
use crate::collect::thread::{Attributes, Rights};
use crate::resume::Registered;
use crate::signal::checkpoint_signal;
use crate::{clocks, cpu_time, interpose, signal, thread_local};

/// A thread has registered an rseq area that is not libc's, and could not be given it again.
#[derive(Clone, Copy, Debug)]
pub struct ForeignRseq;

/// A thread that the signal has stopped. The record is filled in by the thread itself, which alone can ask the kernel
/// for most of it, and is where a restored thread finds it again.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// The record of the thread that parked before.
    next: *mut Thread,
    /// The epoch in which it parked.
    epoch: u16,
    /// Thread id. In the image this is one of the words that a restart puts new ids into.
    pub tid: i32,
    /// Its id at the checkpoint.
    pub former_tid: i32,
    /// Whether it gives libckpt's stack back in the restored process, for a main thread that had ended.
    pub finishes: bool,
    /// The signal frame through which it goes back.
    pub frame: *mut UserContext,
    /// Base address of FS: the thread pointer.
    pub fs_base: u64,
    /// Base address of GS.
    pub gs_base: u64,
    /// Where it begins in a restored process.
    pub start: Registers,
    /// What it has registered with the kernel.
    pub registered: Registered,
    /// What the kernel keeps of it alone.
    pub attributes: Attributes,
    /// Who it is.
    pub rights: Rights,
    /// The call that the signal has interrupted.
    pub call: InProgress,
    /// Whether it has an rseq area that is not libc's.
    pub foreign_rseq: bool,
    /// What its alternate signal stack is from, if from us.
    slot: *const Slot,
    /// The mutex that libc takes again by itself, if it waits for a condition.
    pub condition_mutex: Option<u64>,
    /// Whether a restored thread begins with this record: a thread without a thread pointer may have parked twice.
    pub begins: bool,
    /// What it had used of the processors.
    pub cpu_time: Usage,
    /// Whether a restored thread has to be given its attributes: a new one has others.
    pub lacks_attributes: bool,
    /// Numbers, and how many in all, of signals of timers that it has received and a restored thread receives again.
    received: (SignalSet, u32),
}

impl Thread {
    /// A record that says nothing.
    pub const EMPTY: Self = Self {
        next: ptr::null_mut(),
        epoch: 0,
        tid: 0,
        former_tid: 0,
        finishes: false,
        frame: ptr::null_mut(),
        fs_base: 0,
        gs_base: 0,
        start: Registers::ZERO,
        registered: Registered::NOTHING,
        attributes: Attributes::UNKNOWN,
        rights: Rights::NONE,
        call: InProgress::NOTHING,
        foreign_rseq: false,
        slot: ptr::null(),
        condition_mutex: None,
        begins: false,
        cpu_time: Usage { user: 0, system: 0 },
        lacks_attributes: false,
        received: (0, 0),
    };

    /// The calling thread, which `signal` has stopped and given `frame`.
    ///
    /// # Safety
    /// The frame is the one that the kernel made for the caller.
    pub unsafe fn of_caller(signal: i32, frame: *mut UserContext) -> Self {
        let (fs_base, gs_base) = bases();
        let registered = Registered::of_caller(fs_base);
        // SAFETY: (1) the caller answers for the frame; (2) the thread has a thread pointer.
        let mut call = unsafe {
            let frame = &*frame;
            let note = (fs_base != 0)
                .then(|| thread_local::note(frame.registers.rsp))
                .flatten();
            let number = interpose::number_of_call(&frame.registers);
            InProgress::at_arrival(frame, number, note.as_ref(), now())
        };
        if signal != checkpoint_signal() {
            call.ended_by_program();
        }
        let tid = calls::tid();
        // SAFETY: (1) the caller has a thread pointer; (2) it answers for the frame.
        let noted = (fs_base != 0).then(|| unsafe {
            let local = &*thread_local::current();
            (local.slot, local.condition.mutex((*frame).registers.rsp))
        });
        let (slot, condition_mutex) = noted.unwrap_or((ptr::null(), None));
        Self {
            tid,
            former_tid: tid,
            slot,
            condition_mutex,
            frame,
            fs_base,
            gs_base,
            registered: registered.unwrap_or(Registered::NOTHING),
            foreign_rseq: registered.is_err(),
            attributes: Attributes::of_caller(),
            cpu_time: cpu_time::of_thread(fs_base != 0),
            rights: Rights::of_caller(),
            call,
            ..Self::EMPTY
        }
    }

    /// The signals that the program blocks in it.
    pub fn mask(&self) -> SignalSet {
        // SAFETY: the thread is in its handler, and the frame its own.
        unsafe { (*self.frame).mask }
    }

    /// Whether a handler that has no code of ours in front of it may have ended the call that the checkpoint has interrupted.
    pub fn may_have_been_ended(&self) -> bool {
        // SAFETY: as above.
        self.call
            .may_have_ended(unsafe { &(*self.frame).registers })
    }

    /// Addresses of the words in which its id stands: here, where libc keeps it, in the slot of its alternate stack, and in a
    /// lock that it is just taking.
    pub fn id_words(&self) -> impl Iterator<Item = u64> {
        // SAFETY: slots stay.
        let slot = unsafe { self.slot.as_ref() }.map(Slot::id_word);
        let libcs = self.registered.id_word(self.tid, self.fs_base);
        let pending = self.registered.pending_lock(self.tid);
        let ours = Some((&raw const self.tid) as u64);
        [ours, libcs, slot, pending].into_iter().flatten()
    }

    /// Has a restored thread receive one more `signal` of a timer.
    pub fn receives(&mut self, signal: i32) {
        self.received.0 |= signal_bit(signal);
        self.received.1 += 1;
    }

    /// Receives them. All signals are blocked.
    pub fn receive_again(&self) {
        let (set, count) = self.received;
        // That takes some of a small stack.
        if count != 0 {
            posix_timers::receive(set, count);
        }
    }

    /// Makes a restored thread wait like those that have parked now.
    pub fn enter_epoch(&mut self) {
        self.epoch = park::epoch();
    }

    /// Whether libc, or something like it, has made the thread, so that there is what is thread-local.
    pub fn has_thread_pointer(&self) -> bool {
        self.fs_base != 0
    }

    /// Puts the interrupted call in order. The thread itself calls this right before it leaves the handler.
    pub fn go_on(&mut self) {
        self.settle(Since::Checkpoint { now: now() });
        self.waits_no_more();
    }

    fn waits_no_more(&self) {
        if self.has_thread_pointer() {
            // SAFETY: the caller is the thread.
            unsafe { (*thread_local::current()).waits = 0 };
        }
    }

    /// The same in a restored process, for which no time has passed.
    pub fn go_on_restored(&mut self) {
        self.settle(Since::Restart {
            now: now(),
            shift: clocks::shift(),
        });
        if self.has_thread_pointer() {
            // SAFETY: the caller is the thread, and in no wrapper.
            unsafe { thread_local::move_deadlines() };
        }
        self.waits_no_more();
    }

    /// The same; leaves through the signal frame.
    pub fn leave_restored(&mut self) -> ! {
        self.go_on_restored();
        signal::leave(self.frame)
    }

    /// [`InProgress::settle`]
    fn settle(&mut self, since: Since) {
        let scratch = if self.has_thread_pointer() {
            // SAFETY: the thread has one.
            unsafe { thread_local::scratch() }
        } else {
            ptr::null_mut()
        };
        // SAFETY: (1) the frame is the caller's own, and it leaves through it; (2) the scratch is the thread's own and for
        // this purpose.
        unsafe { self.call.settle(&mut *self.frame, scratch, since) };
    }
}

fn now() -> u64 {
    calls::clock(n::CLOCK_MONOTONIC)
}

/// Base addresses of FS and GS of the caller.
pub fn bases() -> (u64, u64) {
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
