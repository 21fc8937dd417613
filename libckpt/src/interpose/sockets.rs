//! What a program has set on its sockets (setsockopt(2)) and the kernel does not tell: what it shows to nobody, which a restart loses, and the
//! checkpoint says so; and before Linux 5.14, whether the sizes of the buffers were set, or are the kernel's to tune.
//!
//! What was noted is read in a signal handler that may have interrupted the noting, so it is one word per socket.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ckpt_sys::{calls, sockets};
use libc::socklen_t;
use linux_raw_sys::net as n;

use super::numbers::Numbers;
use super::our_bit;

interposed! {
    /// setsockopt(2)
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t) -> c_int as next {
        let result = next()(fd, level, name, value, length);
        if result == 0 && our_bit() != 0 {
            note(fd, level as u32, name as u32);
        }
        result
    }
}

/// What may be lost, in the words of the line, by the bit that says so.
const LOST: [(u64, &str); 3] = [
    (KEYS, "keys of TCP (TCP_MD5SIG, TCP_AO)"),
    (
        CHOOSES,
        "a program that chooses among the sockets at its port (SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF)",
    ),
    (POLICIES, "IPsec policies (IP_XFRM_POLICY)"),
];

/// See [`LOST`].
const KEYS: u64 = 1;
const CHOOSES: u64 = 2;
const POLICIES: u64 = 4;
/// The size of a buffer was set.
const SEND_BUFFER: u64 = 8;
const RECEIVE_BUFFER: u64 = 16;

/// What the option sets; 0 if the kernel tells.
fn bit(level: u32, name: u32) -> u64 {
    match (level, name) {
        (n::SOL_TCP, n::TCP_MD5SIG | n::TCP_MD5SIG_EXT | n::TCP_AO_ADD_KEY) => KEYS,
        (n::SOL_SOCKET, n::SO_ATTACH_REUSEPORT_CBPF | n::SO_ATTACH_REUSEPORT_EBPF) => CHOOSES,
        (n::SOL_IP, n::IP_XFRM_POLICY | n::IP_IPSEC_POLICY)
        | (n::SOL_IPV6, n::IPV6_XFRM_POLICY | n::IPV6_IPSEC_POLICY) => POLICIES,
        (n::SOL_SOCKET, n::SO_SNDBUF | n::SO_SNDBUFFORCE) => SEND_BUFFER,
        (n::SOL_SOCKET, n::SO_RCVBUF | n::SO_RCVBUFFORCE) => RECEIVE_BUFFER,
        _ => 0,
    }
}

/// Bits of a word that say what was set; those above them are the inode of the socket.
const BITS: u32 = 8;

/// By the lower bits of the inode. If two sockets share a place, the last one has it.
static NOTED: [AtomicU64; 1 << 12] = [const { AtomicU64::new(0) }; 1 << 12];

/// Whether there is anything. It takes a while to look at all of them.
static HAS_NOTED: AtomicBool = AtomicBool::new(false);

/// Whether the kernel is known to tell which sizes were set (`SO_BUF_LOCK`).
static KERNEL_TELLS_OF_BUFFERS: AtomicBool = AtomicBool::new(false);

/// Descriptors of sockets with sizes that were set, at the last checkpoint: after a restart they are other sockets.
static SENDERS: Numbers = Numbers::none();
static RECEIVERS: Numbers = Numbers::none();

fn place(inode: u64) -> &'static AtomicU64 {
    &NOTED[inode as usize % NOTED.len()]
}

fn noted(inode: u64) -> u64 {
    if !HAS_NOTED.load(Ordering::Relaxed) {
        return 0;
    }
    let word = place(inode).load(Ordering::Relaxed);
    if word >> BITS == inode { word } else { 0 }
}

fn note(fd: c_int, level: u32, name: u32) {
    if (level, name) == (n::SOL_SOCKET, n::SO_DETACH_REUSEPORT_BPF) {
        change(fd, |known| known & !CHOOSES);
    }
    let bit = bit(level, name);
    let is_told = bit & (SEND_BUFFER | RECEIVE_BUFFER) != 0 && kernel_tells_of_buffers(fd);
    if bit != 0 && !is_told {
        change(fd, |known| known | bit);
    }
}

fn kernel_tells_of_buffers(fd: c_int) -> bool {
    if !KERNEL_TELLS_OF_BUFFERS.load(Ordering::Relaxed) {
        let told = sockets::number_option(fd, n::SOL_SOCKET, n::SO_BUF_LOCK);
        KERNEL_TELLS_OF_BUFFERS.store(told.is_ok(), Ordering::Relaxed);
    }
    KERNEL_TELLS_OF_BUFFERS.load(Ordering::Relaxed)
}

/// Changes the bits that are noted of the socket.
fn change(fd: c_int, changed: impl Fn(u64) -> u64) {
    let Ok(stat) = calls::fstat(fd) else {
        return;
    };
    let inode = stat.st_ino;
    let change = |word: u64| {
        let known = if word >> BITS == inode {
            word
        } else {
            inode << BITS
        };
        Some(changed(known))
    };
    HAS_NOTED.store(true, Ordering::Relaxed);
    let _ = place(inode).fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
}

/// What was set on the socket with this inode and cannot be read. Async-signal-safe.
pub fn lost_of(inode: u64) -> impl Iterator<Item = &'static str> {
    let noted = noted(inode);
    LOST.into_iter()
        .filter(move |(bit, _)| noted & bit != 0)
        .map(|(_, words)| words)
}

/// Which buffers of the socket, behind the descriptor `number`, have a size that was set, as far as that was done through libc
/// (`SOCK_SNDBUF_LOCK`, `SOCK_RCVBUF_LOCK`). `told` is what the kernel says, if it does. Async-signal-safe.
pub fn buffers_set(number: u32, inode: u64, told: Option<u32>) -> u32 {
    let locks = |bits: u64| {
        let lock = |bit, lock| if bits & bit != 0 { lock } else { 0 };
        lock(SEND_BUFFER, n::SOCK_SNDBUF_LOCK) | lock(RECEIVE_BUFFER, n::SOCK_RCVBUF_LOCK)
    };
    let set = told.unwrap_or_else(|| locks(noted(inode)));
    SENDERS.set(number.into(), set & n::SOCK_SNDBUF_LOCK != 0);
    RECEIVERS.set(number.into(), set & n::SOCK_RCVBUF_LOCK != 0);
    set
}

/// Called in a restored process, while no thread of the program runs: it has other sockets, whose buffers have the sizes that were set, and
/// nothing else that is noted, and may have another kernel.
pub fn settle_in() {
    KERNEL_TELLS_OF_BUFFERS.store(false, Ordering::Relaxed);
    if HAS_NOTED.swap(false, Ordering::Relaxed) {
        for word in &NOTED {
            word.store(0, Ordering::Relaxed);
        }
    }
    SENDERS.drain(|number| note(number as c_int, n::SOL_SOCKET, n::SO_SNDBUF));
    RECEIVERS.drain(|number| note(number as c_int, n::SOL_SOCKET, n::SO_RCVBUF));
}
