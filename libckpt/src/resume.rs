//! The restored process begins here: what only it can put right is put right, and it goes back into the program.
//!
//! Async-signal-safe: see `signal`.

use ckpt_sys::handover::Handover;
use ckpt_sys::kernel::UserContext;
use ckpt_sys::syscall::call;
use ckpt_sys::{Errno, calls};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl::PR_GET_TID_ADDRESS;

use crate::failure::{Failure, failure};
use crate::report;
use crate::signal::{Owned, leave};

/// What glibc has registered with the kernel for a thread, and what a restored process registers again. It is filled in
/// at a checkpoint and reaches the restored process as part of its memory.
#[derive(Clone, Copy, Debug)]
pub struct Resume {
    /// How often the process has been restored.
    pub generation: u32,
    /// The signal frame through which the process goes back.
    pub frame: *const UserContext,
    /// Whether lines on stderr are wanted (descriptor 2 was still the program's stderr).
    pub reports: bool,
    /// Address that the kernel clears when the thread ends: libc's idea of its thread id (set_tid_address(2)).
    pub tid_address: u64,
    /// Head of the robust futex list and its size in bytes (set_robust_list(2)).
    pub robust_list: [u64; 2],
    /// Address and length of the rseq area, or zeros if there is none (rseq(2)).
    pub rseq: [u64; 2],
}

/// See [`Resume`].
pub static RESUME: Owned<Resume> = Owned::new(Resume {
    generation: 0,
    frame: core::ptr::null(),
    reports: false,
    tid_address: 0,
    robust_list: [0; 2],
    rseq: [0; 2],
});

/// Where glibc's rseq area lies relative to the thread pointer; `None` if this glibc has not registered one.
static RSEQ_OFFSET: Owned<Option<i64>> = Owned::new(None);

/// `RSEQ_SIG` of glibc on x86 (sysdeps/unix/sysv/linux/x86/bits/rseq.h).
const RSEQ_SIGNATURE: usize = 0x5305_3053;
/// `RSEQ_FLAG_UNREGISTER` (include/uapi/linux/rseq.h).
const RSEQ_UNREGISTER: usize = 1;

/// Asks libc whether and where it has registered an rseq area. Called at start, since dlsym(3) is not for handlers.
pub fn find_rseq() {
    // SAFETY: (1) the names are strings; (2) glibc documents the types of both symbols.
    let offset = unsafe {
        let size = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr()).cast::<u32>();
        let offset = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()).cast::<isize>();
        if size.is_null() || offset.is_null() || *size == 0 {
            None
        } else {
            Some(*offset as i64)
        }
    };
    // SAFETY: the constructor is alone.
    unsafe { *RSEQ_OFFSET.get() = offset };
}

fn rseq(address: u64, length: u64, flags: usize) -> Result<usize, Errno> {
    // SAFETY: the area is at least `length` bytes of this thread's own memory, and stays.
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
static TRIAL_AREA: Owned<TrialArea> = Owned::new(TrialArea([0; 32]));

/// Address and length of the registered rseq area. The kernel does not tell, but answers EBUSY to the right pair.
fn registered_rseq(fs_base: u64) -> Result<[u64; 2], Failure> {
    // SAFETY: the caller runs on libckpt's stack.
    let offset = unsafe { *RSEQ_OFFSET.get() };
    if let Some(offset) = offset {
        let address = fs_base.wrapping_add_signed(offset);
        // 32 is the length of the first version; later ones are multiples of it as far as libc allocates them.
        for length in (32..=1024).step_by(4) {
            match rseq(address, length, 0) {
                Err(Errno::EBUSY) => return Ok([address, length]),
                Err(Errno::ENOSYS) => return Ok([0, 0]),
                Ok(_) => {
                    let _ = rseq(address, length, RSEQ_UNREGISTER);
                    break;
                }
                Err(_) => {}
            }
        }
    }
    // SAFETY: the caller runs on libckpt's stack.
    let trial = unsafe { TRIAL_AREA.get() } as *mut TrialArea as u64;
    match rseq(trial, 32, 0) {
        Ok(_) => {
            let _ = rseq(trial, 32, RSEQ_UNREGISTER);
            Ok([0, 0])
        }
        Err(Errno::ENOSYS) => Ok([0, 0]),
        Err(_) => Err(failure!(
            "an rseq area that is not libc's: it is not supported; start the program without its own rseq"
        )),
    }
}

/// Notes what the restored process will register again.
///
/// # Errors
/// [`Failure`] if something is registered that could not be registered again.
pub fn prepare(frame: *const UserContext, fs_base: u64) -> Result<Resume, Failure> {
    let mut tid_address = 0u64;
    let mut robust_list = [0u64; 2];
    // SAFETY: the kernel writes one number, and two.
    unsafe {
        let _ = calls::prctl(PR_GET_TID_ADDRESS, [&raw mut tid_address as usize, 0, 0, 0]);
        let (head, size) = (
            &raw mut robust_list[0] as usize,
            &raw mut robust_list[1] as usize,
        );
        let _ = call(n::__NR_get_robust_list, [0, head, size]);
    }
    if tid_address == 0 {
        tid_address = find_tid(fs_base);
    }
    // SAFETY: the caller runs on libckpt's stack.
    let resume = unsafe { RESUME.get() };
    resume.frame = frame;
    resume.reports = report::stderr_is_ours();
    resume.tid_address = tid_address;
    resume.robust_list = robust_list;
    resume.rseq = registered_rseq(fs_base)?;
    Ok(*resume)
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

/// Entered from asm/handler.S in the restored process, on libckpt's emptied stack, with all signals blocked.
pub extern "C" fn restored(handover: &Handover) -> ! {
    let Handover { pad, pad_length } = *handover;
    // SAFETY: (1) we left the pad for good; (2) we run on libckpt's stack.
    let resume = unsafe {
        let _ = calls::unmap(pad as usize, pad_length as usize);
        RESUME.get()
    };
    resume.generation += 1;
    // SAFETY: each address was registered by libc before the checkpoint, and its memory is back.
    unsafe {
        let _ = call(n::__NR_set_tid_address, [resume.tid_address as usize]);
        if resume.tid_address != 0 {
            *(resume.tid_address as *mut i32) = calls::tid();
        }
        let [head, size] = resume.robust_list;
        let _ = call(n::__NR_set_robust_list, [head as usize, size as usize]);
    }
    let [area, length] = resume.rseq;
    if area != 0 {
        let _ = rseq(area, length, 0);
    }
    if resume.reports {
        report::remember_stderr();
    }
    leave(resume.frame)
}
