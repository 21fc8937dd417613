//! A restored process begins here: what only its threads themselves can put right is put right, and they go back into
//! the program.
//!
//! Async-signal-safe: see `signal`.

use core::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use ckpt_image::context::Registers;
use ckpt_image::owners::{self, LockWord};
use ckpt_sys::handover::Handover;
use ckpt_sys::syscall::call;
use ckpt_sys::{Errno, calls};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl::PR_GET_TID_ADDRESS;

use crate::checkpoint;
use crate::collect::thread::Attributes;
use crate::collect::{credentials, namespaces, process_settings};
use crate::signal::Owned;
use crate::threads::{ForeignRseq, Thread, park, role, unblock};
use crate::{
    clocks, cpu_time, environment, interpose, lazy, locks, report, signal, snapshot, tiles, vdso,
};

/// What a restored process has to know. It is filled in at a checkpoint and reaches the restored process as part of its
/// memory.
#[derive(Debug)]
pub struct Resume {
    /// Whether lines on stderr are wanted (descriptor 2 was still the program's stderr).
    pub reports: bool,
    /// The record of the main thread; null if it had ended.
    pub main: *mut Thread,
    /// The record of the thread that took the checkpoint.
    pub initiator: *mut Thread,
    /// The process group at the checkpoint.
    pub group: i32,
}

/// See [`Resume`].
pub static RESUME: Owned<Resume> = Owned::new(Resume {
    reports: false,
    main: core::ptr::null_mut(),
    initiator: core::ptr::null_mut(),
    group: 0,
});

/// How often the process has been restored.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// How often the process has been restored.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Threads beside the main one that are still in the pad or about to leave it, in a restored process. The last one wakes the
/// main thread.
static LEAVING: AtomicU32 = AtomicU32::new(0);

/// Threads that have yet to be given their attributes. No thread goes on before: it might change those of another one.
static LACKING: AtomicU32 = AtomicU32::new(0);

/// How many threads could not be given all of their attributes.
static NOT_PERMITTED: AtomicU32 = AtomicU32::new(0);

/// Where glibc's rseq area lies relative to the thread pointer; [`NO_RSEQ`] if this glibc has not registered one.
static RSEQ_OFFSET: AtomicI64 = AtomicI64::new(NO_RSEQ);
const NO_RSEQ: i64 = i64::MIN;

/// The length of the area that was found last, which is likely that of the next thread, too.
static RSEQ_LENGTH: AtomicU32 = AtomicU32::new(32);

/// Where in a thread's descriptor libc has its id; 0 while that is not known.
static TID_OFFSET: AtomicU32 = AtomicU32::new(0);

/// Finds out where libc keeps the ids of threads: it tells debuggers (nptl_db/structs.def); else it is looked for in the descriptor of the
/// calling thread. Called at start, when that has a descriptor.
pub fn find_tid_offset() {
    // SAFETY: (1) the name is a string; (2) three numbers stand there: bits, elements, offset in bytes; (3) the thread pointer points to itself.
    let offset = unsafe {
        let field = libc::dlsym(libc::RTLD_DEFAULT, c"_thread_db_pthread_tid".as_ptr());
        let field = field.cast::<[u32; 3]>();
        match field.as_ref() {
            Some(&[32, 1, offset]) => offset,
            _ => {
                let descriptor = libc::pthread_self();
                find_tid(descriptor).saturating_sub(descriptor) as u32
            }
        }
    };
    TID_OFFSET.store(offset, Ordering::Relaxed);
}

/// `RSEQ_SIG` of glibc on x86 (sysdeps/unix/sysv/linux/x86/bits/rseq.h).
const RSEQ_SIGNATURE: usize = 0x5305_3053;
/// `RSEQ_FLAG_UNREGISTER` (include/uapi/linux/rseq.h).
const RSEQ_UNREGISTER: usize = 1;

/// The id of `thread`, which may have ended.
pub fn tid_of(thread: libc::pthread_t) -> Option<i32> {
    let mut word = [0; 4];
    let at = thread + u64::from(TID_OFFSET.load(Ordering::Relaxed));
    let is_there = at != thread && calls::copy_memory(at, &mut word) == Ok(word.len());
    Some(i32::from_ne_bytes(word)).filter(|&tid| is_there && tid > 0)
}

/// Asks libc whether and where it has registered an rseq area. Called at start, since dlsym(3) is not for handlers.
pub fn find_rseq() {
    // SAFETY: (1) the names are strings; (2) glibc documents the types of both symbols.
    let offset = unsafe {
        let size = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr()).cast::<u32>();
        let offset = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()).cast::<isize>();
        if size.is_null() || offset.is_null() || *size == 0 {
            NO_RSEQ
        } else {
            *offset as i64
        }
    };
    RSEQ_OFFSET.store(offset, Ordering::Relaxed);
}

fn rseq(address: u64, length: u64, flags: usize) -> Result<usize, Errno> {
    // SAFETY: the area is at least `length` bytes of this thread's own memory, and stays as long as it is registered.
    unsafe {
        call(
            n::__NR_rseq,
            [address as usize, length as usize, flags, RSEQ_SIGNATURE],
        )
    }
}

/// An rseq area for trying whether any is registered.
#[repr(C, align(32))]
struct TrialArea([u8; 32]);

/// Address and length of the caller's registered rseq area. The kernel does not tell, but answers EBUSY to the right pair.
fn registered_rseq(fs_base: u64) -> Result<[u64; 2], ForeignRseq> {
    let offset = RSEQ_OFFSET.load(Ordering::Relaxed);
    if offset != NO_RSEQ && fs_base != 0 {
        let address = fs_base.wrapping_add_signed(offset);
        let last = u64::from(RSEQ_LENGTH.load(Ordering::Relaxed));
        // 32 is the length of the first version; later ones are multiples of 4 as far as libc allocates them.
        for length in core::iter::once(last).chain((32..=1024).step_by(4)) {
            match rseq(address, length, 0) {
                Err(Errno::EBUSY) => {
                    RSEQ_LENGTH.store(length as u32, Ordering::Relaxed);
                    return Ok([address, length]);
                }
                Err(Errno::ENOSYS) => return Ok([0, 0]),
                Ok(_) => {
                    let _ = rseq(address, length, RSEQ_UNREGISTER);
                    break;
                }
                Err(_) => {}
            }
        }
    }
    let mut trial = TrialArea([0; 32]);
    let trial = &raw mut trial as u64;
    match rseq(trial, 32, 0) {
        Ok(_) => {
            let _ = rseq(trial, 32, RSEQ_UNREGISTER);
            Ok([0, 0])
        }
        Err(Errno::ENOSYS) => Ok([0, 0]),
        Err(_) => Err(ForeignRseq),
    }
}

/// What libc has registered with the kernel for a thread, and what a restored thread registers again.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// Address that the kernel clears when the thread ends (set_tid_address(2)). Until glibc 2.42, that is where libc has the thread's id.
    tid_address: u64,
    /// Head of the robust futex list and its size in bytes (set_robust_list(2)).
    robust_list: [u64; 2],
    /// Address and length of the rseq area, or zeros if there is none (rseq(2)).
    rseq: [u64; 2],
}

impl Registered {
    /// Before anything is known.
    pub const NOTHING: Self = Self {
        tid_address: 0,
        robust_list: [0; 2],
        rseq: [0; 2],
    };

    /// What is registered for the caller, whose thread pointer is `fs_base`.
    ///
    /// # Errors
    /// [`ForeignRseq`] if something is registered that could not be registered again.
    pub fn of_caller(fs_base: u64) -> Result<Self, ForeignRseq> {
        let mut new = Self::NOTHING;
        // SAFETY: the kernel writes one number, and two.
        unsafe {
            let tid_address = &raw mut new.tid_address as usize;
            let _ = calls::prctl(PR_GET_TID_ADDRESS, [tid_address, 0, 0, 0]);
            let (head, size) = (
                &raw mut new.robust_list[0] as usize,
                &raw mut new.robust_list[1] as usize,
            );
            let _ = call(n::__NR_get_robust_list, [0, head, size]);
        }
        if new.tid_address == 0 && fs_base != 0 {
            new.tid_address = find_tid(fs_base);
        }
        new.rseq = registered_rseq(fs_base)?;
        Ok(new)
    }

    /// Where libc keeps the id `tid` of the thread, whose thread pointer is `fs_base`: the word that the kernel clears at its end; or another one
    /// in its descriptor, where that word only says how the thread is to be joined (`joinstate`, since glibc 2.43).
    pub fn id_word(&self, tid: i32, fs_base: u64) -> Option<u64> {
        let holds_it = |address: &u64| {
            let mut word = [0; 4];
            calls::copy_memory(*address, &mut word) == Ok(word.len())
                && i32::from_ne_bytes(word) == tid
        };
        let cleared = Some(self.tid_address).filter(|&address| address != 0);
        let in_descriptor = Some(TID_OFFSET.load(Ordering::Relaxed))
            .filter(|&offset| offset != 0 && fs_base != 0)
            .map(|offset| fs_base + u64::from(offset));
        [cleared, in_descriptor]
            .into_iter()
            .flatten()
            .find(holds_it)
    }

    /// Whether libc keeps the id elsewhere than in the word that the kernel clears, as it does since glibc 2.43: its functions then have read it
    /// before they wait for a mutex.
    fn id_is_apart(&self, fs_base: u64) -> bool {
        let offset = u64::from(TID_OFFSET.load(Ordering::Relaxed));
        offset != 0 && self.tid_address != fs_base + offset
    }

    /// Calls `each` with the address of the lock word of every robust mutex that the thread holds, as far as the kernel would look.
    fn for_each_robust(&self, mut each: impl FnMut(u64)) {
        /// `ROBUST_LIST_LIMIT` (include/uapi/linux/futex.h).
        const LIMIT: usize = 2048;
        let [head, _] = self.robust_list;
        let Some([mut entry, offset]) = read_words(head) else {
            return;
        };
        for _ in 0..LIMIT {
            // The lowest bit says that the mutex inherits priorities.
            let at = entry & !1;
            if at == head {
                return;
            }
            each(at.wrapping_add(offset));
            let Some([next]) = read_words(at) else {
                return;
            };
            entry = next;
        }
    }

    /// The word of a robust lock that thread `tid` was taking or giving back and that holds its id, while the lock's other
    /// fields do not say so.
    pub fn pending_lock(&self, tid: i32) -> Option<u64> {
        // struct robust_list_head (include/uapi/linux/futex.h): the list, the offset from an entry to its lock's word, and the
        // entry at hand, whose lowest bit is not part of the address.
        let [_, offset, entry] = read_words(self.robust_list[0])?;
        let word = (entry & !1).wrapping_add(offset);
        let mut value = [0; 4];
        let is_there = entry != 0
            && word.is_multiple_of(4)
            && calls::copy_memory(word, &mut value) == Ok(value.len());
        (is_there && u32::from_le_bytes(value) & owners::TID_MASK == tid as u32).then_some(word)
    }

    /// Registers it for the caller.
    fn restore(&self) {
        // SAFETY: each address was registered by libc before the checkpoint, and its memory is back.
        unsafe {
            let _ = call(n::__NR_set_tid_address, [self.tid_address as usize]);
            let [head, size] = self.robust_list;
            let _ = call(n::__NR_set_robust_list, [head as usize, size as usize]);
        }
        let [area, length] = self.rseq;
        if area != 0 {
            let _ = rseq(area, length, 0);
        }
    }
}

/// The numbers at `address`, if there is memory.
fn read_words<const N: usize>(address: u64) -> Option<[u64; N]> {
    let mut words = [[0; 8]; N];
    let bytes = words.as_flattened_mut();
    (calls::copy_memory(address, bytes) == Ok(bytes.len())).then(|| words.map(u64::from_le_bytes))
}

/// Looks for the thread id in libc's thread descriptor, on kernels without `PR_GET_TID_ADDRESS`
/// (CONFIG_CHECKPOINT_RESTORE); 0 if it is not there exactly once.
fn find_tid(fs_base: u64) -> u64 {
    /// The descriptor of glibc 2.36 has 2304 bytes; the id lies in its first half in every version.
    const SEARCHED: u64 = 1024;
    let tid = calls::tid();
    // SAFETY: the thread pointer points to the descriptor, which is larger than what is searched.
    let holds_tid = |&address: &u64| unsafe { *(address as *const i32) == tid };
    let mut found = (fs_base..fs_base + SEARCHED).step_by(4).filter(holds_tid);
    match (found.next(), found.next()) {
        (Some(address), None) => address,
        _ => 0,
    }
}

/// `ARCH_SET_GS` (arch/x86/include/uapi/asm/prctl.h).
const ARCH_SET_GS: usize = 0x1001;

impl Thread {
    /// Makes the caller, a new kernel thread, the thread that it was, but for its attributes.
    fn become_again(&self) {
        self.registered.restore();
        if self.has_thread_pointer() {
            // SAFETY: of both: it has one.
            unsafe {
                cpu_time::settle_in_thread(self.cpu_time);
                locks::expect(self.waits_for(), self.former_tid as u32);
            }
            if self.registered.id_is_apart(self.fs_base) && self.waits_for().is_some() {
                let (former, tid) = (self.former_tid as u32, calls::tid() as u32);
                // SAFETY: the frame is the thread's own.
                unsafe { locks::rename(&mut (*self.frame).registers, former, tid) };
            }
        }
        // A new thread has 0.
        if self.gs_base != 0 {
            // SAFETY: the base was the thread's own; our code does not use GS.
            let _ = unsafe { call(n::__NR_arch_prctl, [ARCH_SET_GS, self.gs_base as usize]) };
        }
        // SAFETY: the frame is the thread's own.
        unsafe { tiles::make_room(&*self.frame) };
        self.receive_again();
    }

    /// Gives its attributes to the caller.
    fn restore_attributes(&self) {
        if !self.attributes.restore() {
            NOT_PERMITTED.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has locks that nobody asks us about name their owners: those that the thread holds and the kernel would give back for it, the one
    /// that it waits for, whose owner the kernel looks up, and the one that libc takes at the end of a wait for a condition.
    fn settle_locks(&self) {
        // SAFETY: what the kernel takes for a lock is one, and nobody runs.
        unsafe {
            self.registered
                .for_each_robust(|word| locks::use_robust(word));
            if let Some(mutex) = self.waits_for() {
                locks::use_mutex(mutex);
            }
        }
        if let Some(mutex) = self.condition_mutex {
            locks::use_mutex_of_condition(mutex);
        }
    }

    /// The mutex in which the owner's id stands and for which the thread waits.
    fn waits_for(&self) -> Option<u64> {
        // SAFETY: the frame is the thread's own.
        let registers = unsafe { &(*self.frame).registers };
        let waits = self.call.is_futex(registers) && waits_for_owned_mutex(registers);
        waits.then_some(registers.rdi)
    }
}

/// Whether the futex call with these arguments waits for a mutex in which the owner's id stands.
fn waits_for_owned_mutex(registers: &Registers) -> bool {
    /// `__kind` in `struct __pthread_mutex_s` (sysdeps/x86/nptl/bits/struct_mutex.h).
    const KIND_AT: u64 = 16;
    /// What `__lll_lock_wait` expects to find in a lock for which others wait, too (sysdeps/nptl/lowlevellock.h).
    const LOCKED_WITH_WAITERS: u64 = 2;
    // What is not such a mutex is mostly known without a system call: by the word that the call expects to find.
    let Registers { rdi, rsi, rdx, .. } = *registers;
    let operation = rsi as u32 & !(n::FUTEX_PRIVATE_FLAG | n::FUTEX_CLOCK_REALTIME);
    let gets_id = matches!(operation, n::FUTEX_LOCK_PI | n::FUTEX_LOCK_PI2)
        || rdx as u32 & n::FUTEX_WAITERS != 0;
    // libc's own locks, at which nothing else stands, look the same from here.
    let waits = rdx == LOCKED_WITH_WAITERS
        && matches!(operation, n::FUTEX_WAIT | n::FUTEX_WAIT_BITSET)
        && locks::is_called_from_near(registers);
    if !gets_id && !waits {
        return false;
    }
    let mut kind = [0; 4];
    if calls::copy_memory(rdi + KIND_AT, &mut kind) != Ok(kind.len()) {
        return false;
    }
    let kind = u32::from_le_bytes(kind);
    owners::names_owner(kind) || waits && owners::asks_owner(kind)
}

/// Entered from asm/handler.S in the main thread of the restored process, on libckpt's emptied stack, with all signals
/// blocked.
pub extern "C" fn restored(handover: &Handover) -> ! {
    let Handover {
        pad, pad_length, ..
    } = *handover;
    clocks::adopt(handover);
    credentials::settle_in(handover.user_namespace);
    namespaces::settle_in();
    lazy::adopt(handover.image);
    // SAFETY: the restorer knows where it has put it.
    unsafe { vdso::settle_in(handover.vdso) };
    checkpoint::is_over();
    // SAFETY: we run on libckpt's stack.
    let resume = unsafe { RESUME.get() };
    GENERATION.fetch_add(1, Ordering::Relaxed);
    role::settle_in();
    interpose::settle_in(resume.group);
    cpu_time::settle_in();
    role::stay_owner();
    unblock::forget();
    snapshot::forget_writers();
    // SAFETY: the restorer has put it there.
    let variables = unsafe {
        let (start, length) = (handover.environment, handover.environment_length);
        core::slice::from_raw_parts(start as *const u8, length as usize)
    };
    let changed = environment::change(variables);
    // SAFETY: (1) the restorer has put them there; (2) the other threads wait at the gate.
    let without_locks = unsafe {
        let (start, count) = (handover.lock_words, handover.lock_word_count);
        locks::adopt(core::slice::from_raw_parts(
            start as *const LockWord,
            count as usize,
        ))
    };
    let permitted = tiles::ask_again();
    // SAFETY: (1) the record is on the main thread's signal stack, or in a static; (2) the other threads wait at the gate.
    let main = unsafe {
        prepare_threads(resume);
        resume.main.as_mut()
    };
    if let Some(main) = &main {
        main.become_again();
        main.restore_attributes();
    }
    let turn = park::close_list();
    // SAFETY: the pad is still there.
    let gate = unsafe { AtomicU32::from_ptr(handover.gate as *mut u32) };
    gate.store(1, Ordering::Release);
    calls::wake_all(gate);
    wait_for_none(&LEAVING);
    // SAFETY: nothing is in the pad that is still needed.
    let _ = unsafe { calls::unmap(pad as usize, pad_length as usize) };
    if resume.reports {
        report::remember_stderr();
    }
    if let Err(errno) = changed {
        report::line(format_args!(
            "the environment cannot be changed: {errno}; the program goes on with what it had"
        ));
    }
    if let Err(errno) = permitted {
        report::line(format_args!(
            "the tiles of AMX are not permitted here ({errno}): what was in them is lost"
        ));
    }
    if let Err(errno) = without_locks {
        report::line(format_args!(
            "no memory for the list of held locks ({errno}): those that know their owner cannot be given back"
        ));
    }
    process_settings::restore();
    let refused = NOT_PERMITTED.swap(0, Ordering::Relaxed);
    if refused != 0 {
        report::line(format_args!(
            "{refused} threads: their scheduling policy or priority is not permitted here; they go on without"
        ));
    }
    match main {
        Some(main) => {
            main.go_on_restored();
            signal::finish_and_leave(main.frame)
        }
        // It ends again, as the last thing that happens on this stack.
        None => signal::release_and_end(park::turn_word(), turn.unwrap_or(0)),
    }
}

/// Does for the threads what has to be done before any of them goes on.
///
/// # Safety
/// The caller is the main thread, and all others wait at the gate.
unsafe fn prepare_threads(resume: &Resume) {
    // The main thread has created the others, and still has the attributes that it had then.
    let creators = Attributes::of_caller();
    let (mut others, mut lacking) = (0, 0);
    // SAFETY: the records are where they were at the checkpoint, and their threads wait.
    unsafe {
        for record in park::parked().chain([resume.initiator]) {
            let thread = &mut *record;
            if !thread.begins {
                continue;
            }
            thread.settle_locks();
            if record != resume.main {
                thread.lacks_attributes = thread
                    .attributes
                    .differ_from_those_of_a_new_thread(&creators);
                others += 1;
                lacking += u32::from(thread.lacks_attributes);
            }
        }
    }
    LEAVING.store(others, Ordering::Relaxed);
    LACKING.store(lacking, Ordering::Relaxed);
}

/// Counts the caller out of `threads`; the last one wakes those who wait for that.
fn count_out(threads: &AtomicU32) {
    if threads.fetch_sub(1, Ordering::AcqRel) == 1 {
        calls::wake_all(threads);
    }
}

/// Waits until all have counted themselves out of `threads`.
fn wait_for_none(threads: &AtomicU32) {
    loop {
        let count = threads.load(Ordering::Acquire);
        if count == 0 {
            return;
        }
        calls::wait_while(threads, count, None);
    }
}

/// Entered from asm/handler.S in every other thread of the restored process, on its own signal stack, with all signals
/// blocked.
pub extern "C" fn thread_restored(record: &Thread) -> ! {
    // The initiator's record may serve the next checkpoint as soon as the main thread goes on.
    let mut thread = *record;
    thread.become_again();
    if thread.lacks_attributes {
        thread.restore_attributes();
        count_out(&LACKING);
    }
    wait_for_none(&LACKING);
    count_out(&LEAVING);
    if thread.finishes {
        // The main thread ends on libckpt's stack before.
        park::stay(&thread);
        role::finish();
    }
    thread.leave_restored()
}
