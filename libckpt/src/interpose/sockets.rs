//! What a program has set on its sockets and the kernel shows to nobody (setsockopt(2)): a restart loses it, and the checkpoint says so.
//!
//! What was noted is read in a signal handler that may have interrupted the noting, so it is one word per socket.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicU64, Ordering};

use ckpt_sys::calls;
use libc::socklen_t;
use linux_raw_sys::net as n;

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

/// What may be lost, in the words of the line.
const KINDS: [&str; 3] = [
    "keys of TCP (TCP_MD5SIG, TCP_AO)",
    "a program that chooses among the sockets at its port (SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF)",
    "IPsec policies (IP_XFRM_POLICY)",
];

/// The index in [`KINDS`] of what the option sets.
fn kind(level: u32, name: u32) -> Option<usize> {
    Some(match (level, name) {
        (n::SOL_TCP, n::TCP_MD5SIG | n::TCP_MD5SIG_EXT | n::TCP_AO_ADD_KEY) => 0,
        (n::SOL_SOCKET, n::SO_ATTACH_REUSEPORT_CBPF | n::SO_ATTACH_REUSEPORT_EBPF) => 1,
        (n::SOL_IP, n::IP_XFRM_POLICY | n::IP_IPSEC_POLICY)
        | (n::SOL_IPV6, n::IPV6_XFRM_POLICY | n::IPV6_IPSEC_POLICY) => 2,
        _ => return None,
    })
}

/// Bits of a word that say what was set; those above them are the inode of the socket.
const KIND_BITS: u32 = 8;

/// By the lower bits of the inode. Such sockets are few: if two share a place, the last one has it.
static NOTED: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

fn place(inode: u64) -> &'static AtomicU64 {
    &NOTED[inode as usize % NOTED.len()]
}

fn note(fd: c_int, level: u32, name: u32) {
    let detached = (level, name) == (n::SOL_SOCKET, n::SO_DETACH_REUSEPORT_BPF);
    let Some(kind) = kind(level, name).or(detached.then_some(1)) else {
        return;
    };
    let Ok(stat) = calls::fstat(fd) else {
        return;
    };
    let bit = 1 << kind;
    let add = |word: u64| {
        let known = if word >> KIND_BITS == stat.st_ino {
            word
        } else {
            stat.st_ino << KIND_BITS
        };
        Some(if detached { known & !bit } else { known | bit })
    };
    let _ = place(stat.st_ino).fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
}

/// What was set on the socket with this inode and cannot be read. Async-signal-safe.
pub fn lost_of(inode: u64) -> impl Iterator<Item = &'static str> {
    let word = place(inode).load(Ordering::Relaxed);
    let set = if word >> KIND_BITS == inode { word } else { 0 };
    let is_set = move |kind: &(usize, &str)| set & 1 << kind.0 != 0;
    KINDS
        .into_iter()
        .enumerate()
        .filter(is_set)
        .map(|(_, words)| words)
}

/// Forgets all: a restored process has other sockets. Called while no thread of the program runs.
pub fn settle_in() {
    for word in &NOTED {
        word.store(0, Ordering::Relaxed);
    }
}
