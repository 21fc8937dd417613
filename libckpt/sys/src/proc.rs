//! What `/proc` says about this process.

use core::ffi::CStr;

use ckpt_image::clocks::CLOCKS;
use ckpt_image::credentials::{NAMESPACE_NAMES, NAMESPACES};
use linux_raw_sys::general as n;

use crate::bytes::{decimal, fields, hex, number, value_of};
use crate::{Errno, Line, MapVec, calls, files};

/// `/proc/thread-self/status`: what it says about memory and descriptors of the process is true even when its main thread
/// has ended, of which `/proc/self` then knows nothing. It is a good kilobyte long, more on machines with many processors, and up to
/// 700 KiB with as many groups as there can be.
#[derive(Debug)]
pub struct Status(MapVec<u8>);

impl Status {
    /// Reads it.
    ///
    /// # Errors
    /// Those of open(2) and read(2).
    pub fn read() -> Result<Self, Errno> {
        Self::of_file(c"/proc/thread-self/status")
    }

    /// Reads that of thread `tid` of this process.
    ///
    /// # Errors
    /// `ENOENT` if there is no such thread.
    pub fn of_thread(tid: i32) -> Result<Self, Errno> {
        let path = Line::<64>::format(format_args!("/proc/self/task/{tid}/status"));
        Self::of_file(path.as_c_str())
    }

    /// Reads that of a thread of any process.
    ///
    /// # Errors
    /// `ENOENT` if there is no such thread.
    pub fn of_other(tid: i32) -> Result<Self, Errno> {
        // A thread has a directory of its own there, although it is not listed (proc(5)).
        let path = Line::<64>::format(format_args!("/proc/{tid}/status"));
        Self::of_file(path.as_c_str())
    }

    fn of_file(path: &CStr) -> Result<Self, Errno> {
        let mut text = MapVec::new();
        files::read_whole(path, &mut text)?;
        Ok(Self(text))
    }

    /// The raw value behind `key`.
    #[must_use]
    pub fn value(&self, key: &str) -> &[u8] {
        value_of(&self.0, key).unwrap_or_default()
    }

    /// A decimal value, 0 if this kernel has no such line.
    #[must_use]
    pub fn decimal(&self, key: &str) -> u64 {
        fields(self.value(key))
            .next()
            .and_then(decimal)
            .unwrap_or(0)
    }

    /// A hexadecimal value, 0 if this kernel has no such line.
    #[must_use]
    pub fn hex(&self, key: &str) -> u64 {
        hex(self.value(key)).unwrap_or(0)
    }

    /// The file mode creation mask.
    #[must_use]
    pub fn umask(&self) -> u32 {
        number(self.value("Umask"), 8).unwrap_or(0) as u32
    }

    /// The four numbers behind `Uid` or `Gid`: real, effective, saved, for file access.
    #[must_use]
    pub fn ids(&self, key: &str) -> [u32; 4] {
        let mut ids = [0; 4];
        for (id, field) in ids.iter_mut().zip(fields(self.value(key))) {
            *id = decimal(field).unwrap_or(0) as u32;
        }
        ids
    }

    /// The supplementary groups.
    pub fn groups(&self) -> impl Iterator<Item = u32> + '_ {
        fields(self.value("Groups"))
            .filter_map(decimal)
            .map(|group| group as u32)
    }

    /// Inheritable, permitted, effective, bounding and ambient capabilities.
    #[must_use]
    pub fn capabilities(&self) -> [u64; 5] {
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|key| self.hex(key))
    }
}

/// `/proc/self/stat` or another process's (proc_pid_stat(5)).
#[derive(Debug)]
pub struct ProcessStat(Line<2048>);

impl ProcessStat {
    /// Reads that of process `pid`.
    ///
    /// # Errors
    /// `ENOENT` if there is no such process.
    pub fn of(pid: i32) -> Result<Self, Errno> {
        let path = Line::<64>::format(format_args!("/proc/{pid}/stat"));
        files::read_small(path.as_c_str()).map(Self)
    }

    /// Reads that of the calling thread, whose numbers about memory are the process's.
    ///
    /// # Errors
    /// Those of open(2) and read(2).
    pub fn of_this_thread() -> Result<Self, Errno> {
        files::read_small(c"/proc/thread-self/stat").map(Self)
    }

    /// Reads that of thread `tid` of this process.
    ///
    /// # Errors
    /// `ENOENT` if there is no such thread.
    pub fn of_thread(tid: i32) -> Result<Self, Errno> {
        let path = Line::<64>::format(format_args!("/proc/self/task/{tid}/stat"));
        files::read_small(path.as_c_str()).map(Self)
    }

    /// Field `number`, counted from 1 as in the manual, behind the name (so from 3 on); 0 if it is no number.
    #[must_use]
    pub fn field(&self, number: usize) -> u64 {
        let behind_name = self
            .0
            .as_bytes()
            .rsplit(|&byte| byte == b')')
            .next()
            .unwrap_or_default();
        number
            .checked_sub(3)
            .and_then(|index| fields(behind_name).nth(index))
            .and_then(decimal)
            .unwrap_or(0)
    }

    /// The state, field 3: `R`, `S`, `Z` and so on.
    #[must_use]
    pub fn state(&self) -> u8 {
        let behind_name = self
            .0
            .as_bytes()
            .rsplit(|&byte| byte == b')')
            .next()
            .unwrap_or_default();
        fields(behind_name)
            .next()
            .and_then(|field| field.first())
            .copied()
            .unwrap_or(b'?')
    }

    /// Number of threads of the process.
    #[must_use]
    pub fn threads(&self) -> u64 {
        self.field(20)
    }

    /// When the process started, in clock ticks since boot.
    #[must_use]
    pub fn start_time(&self) -> u64 {
        self.field(22)
    }
}

/// The 16 bytes that a file holds as 32 hexadecimal digits, with or without dashes; zero if it cannot be read.
fn id_from(path: &core::ffi::CStr) -> [u8; 16] {
    let mut id = [0; 16];
    if let Ok(text) = files::read_small::<64>(path) {
        let mut digits = text
            .as_bytes()
            .iter()
            .filter_map(|&byte| (byte as char).to_digit(16));
        for byte in &mut id {
            let (Some(high), Some(low)) = (digits.next(), digits.next()) else {
                return [0; 16];
            };
            *byte = (high << 4 | low) as u8;
        }
    }
    id
}

/// This boot of this machine.
#[must_use]
pub fn boot_id() -> [u8; 16] {
    id_from(c"/proc/sys/kernel/random/boot_id")
}

/// This machine (machine-id(5)).
#[must_use]
pub fn machine_id() -> [u8; 16] {
    id_from(c"/etc/machine-id")
}

/// Inodes of the namespaces of this process.
#[must_use]
pub fn namespaces() -> [u64; NAMESPACES] {
    NAMESPACE_NAMES.map(namespace)
}

/// Inode of the PID namespace of this process.
#[must_use]
pub fn pid_namespace() -> u64 {
    namespace("pid")
}

/// Inode of the namespace of System V objects of this process.
#[must_use]
pub fn ipc_namespace() -> u64 {
    namespace("ipc")
}

/// Inode of the time namespace of this process, 0 if the kernel has none.
#[must_use]
pub fn time_namespace() -> u64 {
    namespace("time")
}

/// Inode of the user namespace of this process.
#[must_use]
pub fn user_namespace() -> u64 {
    namespace("user")
}

/// Inode of a namespace of this process, 0 if the kernel has none of that name. The link says it (namespaces(7)); following the link
/// would have the kernel make a file for it.
#[must_use]
pub fn namespace(name: &str) -> u64 {
    inode_at(format_args!("/proc/thread-self/ns/{name}"))
}

/// That of thread `tid` of this process.
#[must_use]
pub fn namespace_of(tid: i32, name: &str) -> u64 {
    inode_at(format_args!("/proc/self/task/{tid}/ns/{name}"))
}

/// The inode that the link of a namespace names.
fn inode_at(path: core::fmt::Arguments<'_>) -> u64 {
    let path = Line::<64>::format(path);
    let link = files::read_link::<64>(path.as_c_str()).unwrap_or_default();
    let mut parts = link.as_bytes().split(|byte| b"[]".contains(byte));
    parts.nth(1).and_then(decimal).unwrap_or(0)
}

/// Whether process `pid` exists, started at `start_time`, and is more than a zombie.
#[must_use]
pub fn is_alive(pid: i32, start_time: u64) -> bool {
    const NUMBER_OF_THREADS: usize = 20;
    ProcessStat::of(pid).is_ok_and(|stat| {
        // A process whose main thread has ended looks like a zombie as long as others live.
        let ended = matches!(stat.state(), b'Z' | b'X') && stat.field(NUMBER_OF_THREADS) <= 1;
        stat.start_time() == start_time && !ended
    })
}

/// Whether the process uses its parent's memory, as a child of vfork(2) does until it executes another program.
#[must_use]
pub fn shares_memory_with_parent() -> bool {
    /// `enum kcmp_type` (include/uapi/linux/kcmp.h).
    const KCMP_VM: u32 = 1;
    let parent = calls::getppid().unwrap_or(0) as i32;
    calls::kcmp(calls::pid(), parent, KCMP_VM, 0, 0) == Ok(0)
}

/// The release of the running kernel.
#[must_use]
pub fn kernel_release() -> Line<65> {
    let release = files::read_small::<65>(c"/proc/sys/kernel/osrelease").unwrap_or_default();
    let end = release.as_bytes().trim_ascii_end().len();
    let mut trimmed = release;
    trimmed.truncate(end);
    trimmed
}

/// A figure of `/proc/meminfo`, in bytes; `None` if the kernel does not tell it.
#[must_use]
pub fn memory_info(key: &str) -> Option<u64> {
    let text: Line<4096> = files::read_small(c"/proc/meminfo").ok()?;
    let kilobytes = fields(value_of(text.as_bytes(), key)?)
        .next()
        .and_then(decimal)?;
    kilobytes.checked_mul(1 << 10)
}

/// Whether the machine has anything in swap space, or may have.
#[must_use]
pub fn swaps() -> bool {
    memory_info("SwapTotal") != memory_info("SwapFree") || memory_info("SwapTotal").is_none()
}

/// Realtime and monotonic clock, in nanoseconds.
#[must_use]
pub fn clocks() -> (u64, u64) {
    (
        calls::clock(n::CLOCK_REALTIME),
        calls::clock(n::CLOCK_MONOTONIC),
    )
}

/// The clocks that count from a boot, in nanoseconds, in the order of [`ckpt_image::clocks`].
#[must_use]
pub fn clocks_from_boot() -> [u64; CLOCKS] {
    [
        n::CLOCK_MONOTONIC,
        n::CLOCK_MONOTONIC_RAW,
        n::CLOCK_BOOTTIME,
    ]
    .map(calls::clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_its_ids_are_known() {
        let pid = std::process::id() as i32;
        let stat = ProcessStat::of(pid).unwrap();
        assert!(is_alive(pid, stat.start_time()));
        assert!(!is_alive(pid, stat.start_time() + 1));
        assert_eq!(stat.field(4), std::os::unix::process::parent_id().into());
        assert_ne!(boot_id(), [0; 16]);
        let file = std::fs::metadata("/proc/self/ns/pid").unwrap();
        assert_eq!(pid_namespace(), std::os::unix::fs::MetadataExt::ino(&file));
        assert_eq!(Status::read().unwrap().decimal("Tgid"), pid as u64);
    }
}
