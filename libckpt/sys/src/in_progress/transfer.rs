//! A transfer that the signal has cut short: `write` to a pipe or a socket, `send`, and `recv` with `MSG_WAITALL` block until
//! all is transferred, and come back early after any handler. The rest is transferred by a stub before the program goes
//! on, and the program gets the sum.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, Ordering};

use ckpt_image::context::Registers;
use linux_raw_sys::general as n;
use linux_raw_sys::net;

use crate::calls;

/// What the stub needs to know, on the stack of the thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Rest {
    /// Bytes that have been transferred.
    done: u64,
    /// The arguments that change, as the program had given them: `rsi` and `rdx`.
    buffer: u64,
    count: u64,
    /// Where the program goes on.
    behind: u64,
    /// Number of the call.
    number: u64,
}

/// Bytes below the stack pointer that belong to the program (System V ABI, AMD64 supplement, 3.2.2).
const RED_ZONE: u64 = 128;

global_asm!(
    include_str!("../../../../asm/continue_call.S"),
    REST_DONE = const offset_of!(Rest, done),
    REST_BUFFER = const offset_of!(Rest, buffer),
    REST_COUNT = const offset_of!(Rest, count),
    REST_BEHIND = const offset_of!(Rest, behind),
    REST_SIZE = const size_of::<Rest>(),
    RED_ZONE = const RED_ZONE,
);

unsafe extern "C" {
    fn ckpt_continue_call();
    fn ckpt_continue_call_behind();
}

fn stub() -> u64 {
    ckpt_continue_call as *const () as u64
}

fn behind_stub() -> u64 {
    ckpt_continue_call_behind as *const () as u64
}

impl Rest {
    /// What the stub works on, if the thread is right behind its call.
    fn of(registers: &Registers) -> Option<Self> {
        let mut bytes = [0; size_of::<Self>()];
        if registers.rip != behind_stub()
            || calls::copy_memory(registers.rsp, &mut bytes) != Ok(bytes.len())
        {
            return None;
        }
        let word = |at: usize| u64::from_ne_bytes(core::array::from_fn(|index| bytes[at + index]));
        Some(Self {
            done: word(offset_of!(Self, done)),
            buffer: word(offset_of!(Self, buffer)),
            count: word(offset_of!(Self, count)),
            behind: word(offset_of!(Self, behind)),
            number: word(offset_of!(Self, number)),
        })
    }

    /// Puts it at `address`, if there is memory.
    ///
    /// # Safety
    /// Nobody uses that memory.
    unsafe fn store(&self, address: u64) -> bool {
        let mut bytes = [0; size_of::<Self>()];
        for (at, word) in [
            (offset_of!(Self, done), self.done),
            (offset_of!(Self, buffer), self.buffer),
            (offset_of!(Self, count), self.count),
            (offset_of!(Self, behind), self.behind),
            (offset_of!(Self, number), self.number),
        ] {
            bytes[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        }
        // SAFETY: the caller answers for the memory.
        unsafe { calls::store_memory(address, &bytes) == Ok(bytes.len()) }
    }
}

/// The number of the call that the stub has made, if the thread is right behind it.
pub fn number(registers: &Registers) -> Option<u32> {
    Rest::of(registers).map(|rest| rest.number as u32)
}

/// Whether the thread is about to transfer the rest of what a checkpoint has cut short, for the first time or again.
pub fn is_at_rest(registers: &Registers) -> bool {
    registers.rip == stub()
}

/// Whether there was such a rest in this program.
static HAS_CUT: AtomicBool = AtomicBool::new(false);

/// Whether a thread may be on its way through the rest of a transfer.
#[must_use]
pub fn has_cut() -> bool {
    HAS_CUT.load(Ordering::Relaxed)
}

/// Whether the call blocks until all is transferred.
fn transfers_all(number: u32, registers: &Registers) -> bool {
    let flags = registers.r10 as u32;
    match number {
        n::__NR_write => true,
        n::__NR_sendto => flags & net::MSG_DONTWAIT == 0,
        n::__NR_recvfrom => {
            let others = net::MSG_DONTWAIT | net::MSG_PEEK | net::MSG_TRUNC | net::MSG_OOB;
            flags & net::MSG_WAITALL != 0 && flags & others == 0
        }
        _ => false,
    }
}

/// Whether `fd` is a pipe or a socket. Of these a short transfer never tells the program anything but that it was
/// interrupted; with the rest of a file, for example, a limit would be hit once more.
fn is_stream(fd: i32) -> bool {
    calls::fstat(fd).is_ok_and(|stat| matches!(stat.st_mode & n::S_IFMT, n::S_IFIFO | n::S_IFSOCK))
}

/// Makes the thread, which is right behind call `number`, transfer the rest, if the call came back short; whether it did.
///
/// # Safety
/// The registers are those of a thread that goes on with them.
pub unsafe fn go_on(number: u32, registers: &mut Registers) -> bool {
    let transferred = registers.rax;
    if !(1..registers.rdx).contains(&transferred)
        || !transfers_all(number, registers)
        || !is_stream(registers.rdi as i32)
    {
        return false;
    }
    let (rest, stack) = match Rest::of(registers) {
        Some(mut rest) => {
            rest.done += transferred;
            (rest, registers.rsp)
        }
        None => {
            let rest = Rest {
                done: transferred,
                buffer: registers.rsi,
                count: registers.rdx,
                behind: registers.rip,
                number: u64::from(number),
            };
            let stack = registers.rsp - RED_ZONE - size_of::<Rest>() as u64;
            (rest, stack)
        }
    };
    // SAFETY: the memory is below what the program uses of its stack, or the stub's.
    let is_stored = unsafe { rest.store(stack) };
    if is_stored {
        HAS_CUT.store(true, Ordering::Relaxed);
        registers.rsp = stack;
        registers.rip = stub();
        registers.rax = u64::from(number);
        registers.rsi += transferred;
        registers.rdx -= transferred;
    }
    is_stored
}
