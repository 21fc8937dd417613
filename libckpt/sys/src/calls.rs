//! The system calls that libckpt and the restorer use, one typed function each. What a call does, and which errors it
//! has, is in section 2 of the manual under the name that each function's first line gives.
//!
//! A function is `unsafe` where the call can break memory safety: where it changes mappings or writes to an address.

use core::ffi::CStr;
use core::sync::atomic::AtomicU32;

use ckpt_image::memory_settings::NODE_WORDS;
use linux_raw_sys::general as n;
pub use linux_raw_sys::general::stat as Stat;

use linux_raw_sys::mempolicy::MPOL_F_ADDR;

use crate::errno::Errno;
use crate::fd::Fd;
use crate::kernel::{SignalAction, SignalInfo, SignalSet, SignalStack};
use crate::syscall::{call, raw};

/// The working directory, for the `*at` calls.
pub const AT_FDCWD: i32 = n::AT_FDCWD;

/// Result of a call that returns nothing.
pub type Done = Result<(), Errno>;

/// Defines functions whose arguments are numbers and that cannot break memory safety.
macro_rules! plain {
    ($($(#[$meta:meta])* $name:ident = $number:ident($($argument:ident: $type:ty),*);)*) => {$(
        $(#[$meta])*
        ///
        /// # Errors
        /// Those of the system call.
        pub fn $name($($argument: $type),*) -> Result<usize, Errno> {
            // SAFETY: the call only takes numbers and changes nothing in memory.
            unsafe { call(n::$number, [$($argument as usize),*]) }
        }
    )*};
}

plain! {
    /// close(2)
    close = __NR_close(fd: i32);
    /// close_range(2)
    close_range = __NR_close_range(first: u32, last: u32, flags: u32);
    /// lseek(2)
    lseek = __NR_lseek(fd: i32, offset: i64, whence: u32);
    /// dup3(2)
    dup3 = __NR_dup3(from: i32, to: i32, flags: u32);
    /// fcntl(2) with a number as its argument
    fcntl = __NR_fcntl(fd: i32, command: u32, argument: usize);
    /// fchdir(2)
    fchdir = __NR_fchdir(fd: i32);
    /// fsync(2)
    fsync = __NR_fsync(fd: i32);
    /// ftruncate(2)
    ftruncate = __NR_ftruncate(fd: i32, length: u64);
    /// fchmod(2)
    fchmod = __NR_fchmod(fd: i32, mode: u32);
    /// fchown(2)
    fchown = __NR_fchown(fd: i32, uid: u32, gid: u32);
    /// fallocate(2)
    fallocate = __NR_fallocate(fd: i32, mode: u32, offset: u64, length: u64);
    /// inotify_rm_watch(2)
    remove_watch = __NR_inotify_rm_watch(watcher: i32, number: u32);
    /// flock(2)
    flock = __NR_flock(fd: i32, operation: u32);
    /// getpid(2)
    getpid = __NR_getpid();
    /// gettid(2)
    gettid = __NR_gettid();
    /// getppid(2)
    getppid = __NR_getppid();
    /// getpgid(2)
    getpgid = __NR_getpgid(pid: i32);
    /// setpgid(2)
    setpgid = __NR_setpgid(pid: i32, group: i32);
    /// setsid(2)
    setsid = __NR_setsid();
    /// getsid(2)
    getsid = __NR_getsid(pid: i32);
    /// unshare(2)
    unshare = __NR_unshare(flags: u32);
    /// geteuid(2)
    geteuid = __NR_geteuid();
    /// getegid(2)
    getegid = __NR_getegid();
    /// kill(2)
    kill = __NR_kill(pid: i32, signal: i32);
    /// pidfd_send_signal(2), as though by kill(2)
    kill_by_descriptor = __NR_pidfd_send_signal(process: i32, signal: i32);
    /// tgkill(2)
    tgkill = __NR_tgkill(pid: i32, tid: i32, signal: i32);
    /// getpriority(2); 20 minus the nice value
    getpriority = __NR_getpriority(which: u32, who: u32);
    /// setpriority(2)
    setpriority = __NR_setpriority(which: u32, who: u32, nice: i32);
    /// sched_getscheduler(2)
    scheduler = __NR_sched_getscheduler(pid: i32);
    /// sched_yield(2)
    yield_now = __NR_sched_yield();
    /// umask(2)
    umask = __NR_umask(mask: u32);
    /// setresuid(2)
    setresuid = __NR_setresuid(real: u32, effective: u32, saved: u32);
    /// setresgid(2)
    setresgid = __NR_setresgid(real: u32, effective: u32, saved: u32);
    /// setfsuid(2); returns the previous id, whether it was changed or not
    setfsuid = __NR_setfsuid(id: u32);
    /// setfsgid(2); returns the previous id, whether it was changed or not
    setfsgid = __NR_setfsgid(id: u32);
    /// mlockall(2)
    lock_all_memory = __NR_mlockall(flags: u32);
    /// mseal(2)
    seal_memory = __NR_mseal(address: usize, length: usize, flags: u32);
    /// kcmp(2)
    kcmp = __NR_kcmp(pid1: i32, pid2: i32, kind: u32, first: usize, second: usize);
}

/// `major(3)`: which driver a device number means, 0 for file systems without a device.
#[must_use]
pub fn major(device: u64) -> u64 {
    (device >> 8 & 0xfff) | (device >> 32 & !0xfff)
}

/// `minor(3)`: which of the driver's devices.
#[must_use]
pub fn minor(device: u64) -> u64 {
    (device & 0xff) | (device >> 12 & !0xff & 0xffff_ffff)
}

/// This process.
#[must_use]
pub fn pid() -> i32 {
    getpid().unwrap_or_default() as i32
}

/// This thread.
#[must_use]
pub fn tid() -> i32 {
    gettid().unwrap_or_default() as i32
}

/// openat(2), always with `O_CLOEXEC`.
///
/// # Errors
/// Those of the system call.
pub fn open_at(directory: i32, path: &CStr, flags: u32, mode: u32) -> Result<Fd, Errno> {
    let flags = flags | n::O_CLOEXEC;
    // SAFETY: the kernel reads a string that ends with NUL.
    let number = unsafe {
        call(
            n::__NR_openat,
            [
                directory as usize,
                path.as_ptr() as usize,
                flags as usize,
                mode as usize,
            ],
        )?
    };
    Ok(Fd::owning(number as i32))
}

/// openat(2) relative to the working directory, always with `O_CLOEXEC`, creating nothing.
///
/// # Errors
/// Those of the system call.
pub fn open(path: &CStr, flags: u32) -> Result<Fd, Errno> {
    open_at(AT_FDCWD, path, flags, 0)
}

/// read(2)
///
/// # Errors
/// Those of the system call.
pub fn read(fd: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes into the buffer only.
    unsafe {
        call(
            n::__NR_read,
            [fd as usize, buffer.as_mut_ptr() as usize, buffer.len()],
        )
    }
}

/// pread64(2)
///
/// # Errors
/// Those of the system call.
pub fn pread(fd: i32, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    // SAFETY: the kernel writes into the buffer only.
    unsafe {
        call(
            n::__NR_pread64,
            [
                fd as usize,
                buffer.as_mut_ptr() as usize,
                buffer.len(),
                offset as usize,
            ],
        )
    }
}

/// write(2)
///
/// # Errors
/// Those of the system call.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads the bytes only.
    unsafe {
        call(
            n::__NR_write,
            [fd as usize, bytes.as_ptr() as usize, bytes.len()],
        )
    }
}

/// pwrite64(2)
///
/// # Errors
/// Those of the system call.
pub fn pwrite(fd: i32, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
    // SAFETY: the kernel reads the bytes only.
    unsafe {
        call(
            n::__NR_pwrite64,
            [
                fd as usize,
                bytes.as_ptr() as usize,
                bytes.len(),
                offset as usize,
            ],
        )
    }
}

/// fstat(2)
///
/// # Errors
/// Those of the system call.
pub fn fstat(fd: i32) -> Result<Stat, Errno> {
    stat_at(fd, c"", n::AT_EMPTY_PATH)
}

/// fstatfs(2): the type of the file system, as `f_type` has it.
///
/// # Errors
/// Those of the system call.
pub fn file_system(fd: i32) -> Result<u32, Errno> {
    // SAFETY: zeros are a valid value of a struct of numbers.
    let mut about: n::statfs = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel writes one struct.
    unsafe { call(n::__NR_fstatfs, [fd as usize, &raw mut about as usize])? };
    Ok(about.f_type as u32)
}

/// newfstatat(2)
///
/// # Errors
/// Those of the system call.
pub fn stat_at(directory: i32, path: &CStr, flags: u32) -> Result<Stat, Errno> {
    // SAFETY: zeros are a valid value of a struct of numbers.
    let mut stat: Stat = unsafe { core::mem::zeroed() };
    let arguments = [
        directory as usize,
        path.as_ptr() as usize,
        &raw mut stat as usize,
        flags as usize,
    ];
    // SAFETY: the kernel reads a string and writes one struct.
    unsafe { call(n::__NR_newfstatat, arguments)? };
    Ok(stat)
}

/// readlinkat(2); returns the number of bytes, which is the buffer's length when the target may be longer.
///
/// # Errors
/// Those of the system call.
pub fn read_link_at(directory: i32, path: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    let arguments = [
        directory as usize,
        path.as_ptr() as usize,
        buffer.as_mut_ptr() as usize,
        buffer.len(),
    ];
    // SAFETY: the kernel reads a string and writes into the buffer only.
    unsafe { call(n::__NR_readlinkat, arguments) }
}

/// renameat(2) within one directory.
///
/// # Errors
/// Those of the system call.
pub fn rename_at(directory: i32, from: &CStr, to: &CStr) -> Done {
    let arguments = [
        directory as usize,
        from.as_ptr() as usize,
        directory as usize,
        to.as_ptr() as usize,
    ];
    // SAFETY: the kernel reads two strings.
    unsafe { call(n::__NR_renameat, arguments).map(drop) }
}

/// renameat2(2) within one directory, to a name that is not in use.
///
/// # Errors
/// Those of the system call: `EEXIST` if it is, `EINVAL` on file systems that cannot do this.
pub fn rename_to_new(directory: i32, from: &CStr, to: &CStr) -> Done {
    let arguments = [
        directory as usize,
        from.as_ptr() as usize,
        directory as usize,
        to.as_ptr() as usize,
        n::RENAME_NOREPLACE as usize,
    ];
    // SAFETY: the kernel reads two strings.
    unsafe { call(n::__NR_renameat2, arguments).map(drop) }
}

/// unlinkat(2) of something that is no directory.
///
/// # Errors
/// Those of the system call.
pub fn unlink_at(directory: i32, path: &CStr) -> Done {
    // SAFETY: the kernel reads a string.
    unsafe {
        call(
            n::__NR_unlinkat,
            [directory as usize, path.as_ptr() as usize, 0],
        )
        .map(drop)
    }
}

/// fchmodat(2)
///
/// # Errors
/// Those of the system call.
pub fn change_mode(path: &CStr, mode: u32) -> Done {
    // SAFETY: the kernel reads the path only.
    unsafe {
        call(
            n::__NR_fchmodat,
            [AT_FDCWD as usize, path.as_ptr() as usize, mode as usize],
        )
        .map(drop)
    }
}

/// fchownat(2), of a symbolic link itself
///
/// # Errors
/// Those of the system call.
pub fn change_owner(path: &CStr, uid: u32, gid: u32) -> Done {
    // SAFETY: the kernel reads the path only.
    unsafe {
        call(
            n::__NR_fchownat,
            [
                AT_FDCWD as usize,
                path.as_ptr() as usize,
                uid as usize,
                gid as usize,
                n::AT_SYMLINK_NOFOLLOW as usize,
            ],
        )
        .map(drop)
    }
}

/// mkdir(2)
///
/// # Errors
/// Those of the system call.
pub fn make_directory(path: &CStr, mode: u32) -> Done {
    // SAFETY: the kernel reads a string.
    unsafe { call(n::__NR_mkdir, [path.as_ptr() as usize, mode as usize]).map(drop) }
}

/// rmdir(2)
///
/// # Errors
/// Those of the system call.
pub fn remove_directory(path: &CStr) -> Done {
    // SAFETY: the kernel reads a string.
    unsafe { call(n::__NR_rmdir, [path.as_ptr() as usize]).map(drop) }
}

/// chdir(2)
///
/// # Errors
/// Those of the system call.
pub fn chdir(path: &CStr) -> Done {
    // SAFETY: the kernel reads a string.
    unsafe { call(n::__NR_chdir, [path.as_ptr() as usize]).map(drop) }
}

/// getdents64(2)
///
/// # Errors
/// Those of the system call.
pub fn read_directory(fd: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes into the buffer only.
    unsafe {
        call(
            n::__NR_getdents64,
            [fd as usize, buffer.as_mut_ptr() as usize, buffer.len()],
        )
    }
}

/// pipe2(2); read end and write end.
///
/// # Errors
/// Those of the system call.
pub fn pipe(flags: u32) -> Result<(Fd, Fd), Errno> {
    let mut ends = [0i32; 2];
    // SAFETY: the kernel writes two numbers.
    unsafe { call(n::__NR_pipe2, [ends.as_mut_ptr() as usize, flags as usize])? };
    Ok((Fd::owning(ends[0]), Fd::owning(ends[1])))
}

/// tee(2) of as much as there is and fits, without waiting; the number of bytes.
///
/// # Errors
/// Those of the system call; `EAGAIN` if there is nothing or no room.
pub fn tee(from: i32, to: i32, length: usize) -> Result<usize, Errno> {
    let flags = n::SPLICE_F_NONBLOCK as usize;
    // SAFETY: the call takes numbers.
    unsafe { call(n::__NR_tee, [from as usize, to as usize, length, flags]) }
}

/// vmsplice(2) of the memory of `bytes` into a pipe, without waiting. The bytes must not change any more.
///
/// # Errors
/// Those of the system call.
pub fn splice_memory(to: i32, bytes: &[u8]) -> Result<usize, Errno> {
    let vector = [bytes.as_ptr() as usize, bytes.len()];
    let flags = n::SPLICE_F_NONBLOCK as usize;
    // SAFETY: the kernel reads one struct, an address and a length.
    unsafe {
        call(
            n::__NR_vmsplice,
            [to as usize, vector.as_ptr() as usize, 1, flags],
        )
    }
}

/// epoll_create1(2)
///
/// # Errors
/// Those of the system call.
pub fn epoll() -> Result<Fd, Errno> {
    // SAFETY: the call takes numbers.
    let number = unsafe { call(n::__NR_epoll_create1, [n::EPOLL_CLOEXEC as usize])? };
    Ok(Fd::owning(number as i32))
}

/// epoll_ctl(2), `EPOLL_CTL_ADD` or `EPOLL_CTL_MOD`.
///
/// # Errors
/// Those of the system call.
pub fn epoll_watch(epoll: i32, operation: u32, fd: i32, events: u32, data: u64) -> Done {
    let event = n::epoll_event { events, data };
    let arguments = [
        epoll as usize,
        operation as usize,
        fd as usize,
        &raw const event as usize,
    ];
    // SAFETY: the kernel reads one struct.
    unsafe { call(n::__NR_epoll_ctl, arguments).map(drop) }
}

/// epoll_wait(2) without waiting: takes one event, whichever; whether there was one.
///
/// # Errors
/// Those of the system call.
pub fn epoll_take(epoll: i32) -> Result<bool, Errno> {
    let mut event = n::epoll_event { events: 0, data: 0 };
    let arguments = [epoll as usize, &raw mut event as usize, 1, 0];
    // SAFETY: the kernel writes at most one struct.
    unsafe { call(n::__NR_epoll_wait, arguments).map(|count| count != 0) }
}

/// timerfd_create(2)
///
/// # Errors
/// Those of the system call.
pub fn timer_descriptor(clock: u32) -> Result<Fd, Errno> {
    let flags = n::TFD_CLOEXEC as usize;
    // SAFETY: the call takes numbers.
    let number = unsafe { call(n::__NR_timerfd_create, [clock as usize, flags])? };
    Ok(Fd::owning(number as i32))
}

/// timerfd_gettime(2): lets a timer with an interval run on whose expiration has not been read.
///
/// # Errors
/// Those of the system call.
pub fn count_expirations(fd: i32) -> Done {
    let mut timer = [0u64; 4];
    // SAFETY: `struct itimerspec` is four numbers, which the kernel writes.
    unsafe {
        call(
            n::__NR_timerfd_gettime,
            [fd as usize, timer.as_mut_ptr() as usize],
        )
        .map(drop)
    }
}

/// timerfd_settime(2): interval and first expiration, in nanoseconds.
///
/// # Errors
/// Those of the system call.
pub fn set_timer_of_descriptor(fd: i32, flags: u32, timer: [u64; 2]) -> Done {
    let timer = timer_setting(timer);
    let arguments = [fd as usize, flags as usize, timer.as_ptr() as usize, 0];
    // SAFETY: `struct itimerspec` is four numbers, which the kernel reads.
    unsafe { call(n::__NR_timerfd_settime, arguments).map(drop) }
}

/// `struct itimerspec` of interval and first expiration, both in nanoseconds.
pub(crate) fn timer_setting([interval, first]: [u64; 2]) -> [u64; 4] {
    const SECOND: u64 = 1_000_000_000;
    [
        interval / SECOND,
        interval % SECOND,
        first / SECOND,
        first % SECOND,
    ]
}

/// signalfd4(2)
///
/// # Errors
/// Those of the system call.
pub fn signal_descriptor(mask: SignalSet) -> Result<Fd, Errno> {
    let arguments = [
        usize::MAX,
        &raw const mask as usize,
        size_of::<SignalSet>(),
        n::O_CLOEXEC as usize,
    ];
    // SAFETY: the kernel reads one number.
    let number = unsafe { call(n::__NR_signalfd4, arguments)? };
    Ok(Fd::owning(number as i32))
}

/// pidfd_open(2)
///
/// # Errors
/// Those of the system call.
pub fn pid_descriptor(pid: i32, flags: u32) -> Result<Fd, Errno> {
    // SAFETY: the call takes numbers.
    let number = unsafe { call(n::__NR_pidfd_open, [pid as usize, flags as usize])? };
    Ok(Fd::owning(number as i32))
}

/// memfd_create(2)
///
/// # Errors
/// Those of the system call.
pub fn memory_file(name: &CStr, flags: u32) -> Result<Fd, Errno> {
    // SAFETY: the kernel reads a string.
    let number = unsafe {
        call(
            n::__NR_memfd_create,
            [name.as_ptr() as usize, flags as usize],
        )?
    };
    Ok(Fd::owning(number as i32))
}

/// inotify_init1(2)
///
/// # Errors
/// Those of the system call.
pub fn watcher() -> Result<Fd, Errno> {
    // SAFETY: the call takes numbers.
    let number = unsafe { call(n::__NR_inotify_init1, [n::O_CLOEXEC as usize])? };
    Ok(Fd::owning(number as i32))
}

/// inotify_add_watch(2); the number of the watch.
///
/// # Errors
/// Those of the system call.
pub fn add_watch(watcher: i32, path: &CStr, mask: u32) -> Result<u32, Errno> {
    let arguments = [watcher as usize, path.as_ptr() as usize, mask as usize];
    // SAFETY: the kernel reads a string.
    unsafe { call(n::__NR_inotify_add_watch, arguments).map(|number| number as u32) }
}

/// eventfd2(2)
///
/// # Errors
/// Those of the system call.
pub fn event_counter(count: u32, flags: u32) -> Result<Fd, Errno> {
    // SAFETY: the call takes numbers.
    let number = unsafe { call(n::__NR_eventfd2, [count as usize, flags as usize])? };
    Ok(Fd::owning(number as i32))
}

/// poll(2) of one descriptor, without waiting; the events that are there.
///
/// # Errors
/// Those of the system call.
pub fn poll_now(fd: i32, events: u32) -> Result<u32, Errno> {
    poll(fd, events, 0)
}

/// poll(2) of one descriptor; the events that are there, none of them after so many milliseconds.
///
/// # Errors
/// Those of the system call.
pub fn poll(fd: i32, events: u32, milliseconds: u32) -> Result<u32, Errno> {
    let mut entry = n::pollfd {
        fd,
        events: events as i16,
        revents: 0,
    };
    // SAFETY: the kernel reads and writes one struct.
    unsafe {
        call(
            n::__NR_poll,
            [&raw mut entry as usize, 1, milliseconds as usize],
        )?
    };
    Ok(u32::from(entry.revents as u16))
}

/// fcntl(2) with a `struct flock`, which the kernel may change.
///
/// # Errors
/// Those of the system call.
pub fn fcntl_lock(fd: i32, command: u32, lock: &mut n::flock) -> Done {
    // SAFETY: the kernel reads and writes one struct.
    unsafe {
        call(
            n::__NR_fcntl,
            [fd as usize, command as usize, &raw mut *lock as usize],
        )
        .map(drop)
    }
}

/// fcntl(2) with `F_GETOWN_EX`
///
/// # Errors
/// Those of the system call.
pub fn signal_owner(fd: i32) -> Result<n::f_owner_ex, Errno> {
    let mut owner = n::f_owner_ex { type_: 0, pid: 0 };
    // SAFETY: the kernel writes one struct.
    unsafe {
        call(
            n::__NR_fcntl,
            [
                fd as usize,
                n::F_GETOWN_EX as usize,
                &raw mut owner as usize,
            ],
        )
        .map(|_| owner)
    }
}

/// fcntl(2) with `F_SETOWN_EX`
///
/// # Errors
/// Those of the system call.
pub fn set_signal_owner(fd: i32, owner: n::f_owner_ex) -> Done {
    // SAFETY: the kernel reads one struct.
    unsafe {
        call(
            n::__NR_fcntl,
            [
                fd as usize,
                n::F_SETOWN_EX as usize,
                &raw const owner as usize,
            ],
        )
        .map(drop)
    }
}

/// ioctl(2) with an address as its argument.
///
/// # Safety
/// `argument` points to what `request` wants, and the memory that the kernel writes to is the caller's.
///
/// # Errors
/// Those of the system call.
pub unsafe fn ioctl(fd: i32, request: u32, argument: usize) -> Result<usize, Errno> {
    // SAFETY: the caller answers for the argument.
    unsafe { call(n::__NR_ioctl, [fd as usize, request as usize, argument]) }
}

/// The end of the heap: what brk(2) answers to an address that it cannot have.
///
/// # Errors
/// None that is known.
pub fn heap_end() -> Result<u64, Errno> {
    // SAFETY: brk(0) changes nothing.
    unsafe { call(n::__NR_brk, [0]) }.map(|end| end as u64)
}

/// mmap(2) of fresh private memory, readable and writable, not reserved, at an address that the kernel chooses.
///
/// # Errors
/// Those of the system call.
pub fn map_anonymous(length: usize) -> Result<usize, Errno> {
    let flags = n::MAP_PRIVATE | n::MAP_ANONYMOUS | n::MAP_NORESERVE;
    // SAFETY: nothing that exists is changed.
    unsafe { map(0, length, n::PROT_READ | n::PROT_WRITE, flags, -1, 0) }
}

/// mmap(2)
///
/// # Safety
/// With `MAP_FIXED`, nobody uses what was mapped there.
///
/// # Errors
/// Those of the system call.
pub unsafe fn map(
    address: usize,
    length: usize,
    protection: u32,
    flags: u32,
    fd: i32,
    offset: u64,
) -> Result<usize, Errno> {
    let arguments = [
        address,
        length,
        protection as usize,
        flags as usize,
        fd as usize,
        offset as usize,
    ];
    // SAFETY: the caller answers for the addresses.
    unsafe { call(n::__NR_mmap, arguments) }
}

/// munmap(2)
///
/// # Safety
/// Nobody uses the memory.
///
/// # Errors
/// Those of the system call.
pub unsafe fn unmap(address: usize, length: usize) -> Done {
    // SAFETY: the caller answers for the addresses.
    unsafe { call(n::__NR_munmap, [address, length]).map(drop) }
}

/// mremap(2) to a size, wherever there is room.
///
/// # Safety
/// Nobody uses the memory at its old addresses.
///
/// # Errors
/// Those of the system call.
pub unsafe fn remap_anywhere(
    address: usize,
    old_length: usize,
    new_length: usize,
) -> Result<usize, Errno> {
    // SAFETY: the caller answers for the addresses.
    unsafe {
        call(
            n::__NR_mremap,
            [address, old_length, new_length, n::MREMAP_MAYMOVE as usize],
        )
    }
}

/// mprotect(2)
///
/// # Safety
/// Nobody uses the memory in a way that the new protection forbids.
///
/// # Errors
/// Those of the system call.
pub unsafe fn protect(address: usize, length: usize, protection: u32) -> Done {
    // SAFETY: the caller answers for the addresses.
    unsafe { call(n::__NR_mprotect, [address, length, protection as usize]).map(drop) }
}

/// madvise(2)
///
/// # Safety
/// Nobody uses the memory in a way that the advice changes.
///
/// # Errors
/// Those of the system call.
pub unsafe fn advise(address: usize, length: usize, advice: u32) -> Done {
    // SAFETY: the caller answers for the addresses.
    unsafe { call(n::__NR_madvise, [address, length, advice as usize]).map(drop) }
}

/// process_vm_readv(2) of this process: copies memory that may not be readable after all. The number of bytes copied is
/// smaller than asked for where that is so.
///
/// # Errors
/// Those of the system call; `EFAULT` if not even the first byte can be read.
pub fn copy_memory(address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let local = [buffer.as_mut_ptr() as usize, buffer.len()];
    let remote = [address as usize, buffer.len()];
    // Not the process id: a main thread that has ended has no memory any more.
    let (tid, local, remote) = (
        tid() as usize,
        local.as_ptr() as usize,
        remote.as_ptr() as usize,
    );
    // SAFETY: the kernel reads two structs, each an address and a length, and writes into the buffer only.
    unsafe { call(n::__NR_process_vm_readv, [tid, local, 1, remote, 1, 0]) }
}

/// Whether the eight bytes at `address` can be read: the kernel reads a mask there, and then finds that it was not told what to do
/// with it (`sigprocmask` in kernel/signal.c).
#[must_use]
pub fn can_be_read(address: u64) -> bool {
    const NOTHING: usize = usize::MAX;
    let arguments = [NOTHING, address as usize, 0, size_of::<SignalSet>()];
    // SAFETY: the kernel changes nothing.
    unsafe { call(n::__NR_rt_sigprocmask, arguments) == Err(Errno::EINVAL) }
}

/// process_vm_writev(2) of this process: writes to memory that may not be writable after all. The number of bytes written
/// is smaller than asked for where that is so.
///
/// # Safety
/// Nobody holds a reference to the memory.
///
/// # Errors
/// Those of the system call; `EFAULT` if not even the first byte can be written.
pub unsafe fn store_memory(address: u64, bytes: &[u8]) -> Result<usize, Errno> {
    let local = [bytes.as_ptr() as usize, bytes.len()];
    let remote = [address as usize, bytes.len()];
    let (tid, local, remote) = (
        tid() as usize,
        local.as_ptr() as usize,
        remote.as_ptr() as usize,
    );
    // SAFETY: the kernel reads two structs, each an address and a length, and the bytes; the caller answers for the rest.
    unsafe { call(n::__NR_process_vm_writev, [tid, local, 1, remote, 1, 0]) }
}

/// mincore(2): one byte per page of `length` bytes, of which bit 0 says whether it is in memory.
///
/// # Errors
/// Those of the system call.
pub fn in_core(address: usize, length: usize, pages: &mut [u8]) -> Done {
    if pages.len() < length.div_ceil(ckpt_image::PAGE as usize) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the kernel writes one byte per page, for which there is room.
    unsafe {
        call(
            n::__NR_mincore,
            [address, length, pages.as_mut_ptr() as usize],
        )
        .map(drop)
    }
}

/// prctl(2) whose arguments are numbers.
///
/// # Safety
/// None of the arguments is an address for this option, or it points to what the option wants.
///
/// # Errors
/// Those of the system call.
pub unsafe fn prctl(option: u32, arguments: [usize; 4]) -> Result<usize, Errno> {
    let [a, b, c, d] = arguments;
    // SAFETY: the caller answers for the arguments.
    unsafe { call(n::__NR_prctl, [option as usize, a, b, c, d]) }
}

/// prlimit64(2) of this process: soft and hard limit, after setting them if `new` is given.
///
/// # Errors
/// Those of the system call.
pub fn limit(resource: usize, new: Option<[u64; 2]>) -> Result<[u64; 2], Errno> {
    let mut old = [0u64; 2];
    let new_at = new.as_ref().map_or(0, |new| new.as_ptr() as usize);
    // SAFETY: `struct rlimit64` is two numbers; the kernel reads one and writes the other.
    unsafe {
        call(
            n::__NR_prlimit64,
            [0, resource, new_at, old.as_mut_ptr() as usize],
        )?
    };
    Ok(old)
}

/// clock_gettime(2), in nanoseconds; 0 if there is no such clock.
#[must_use]
pub fn clock(clock: u32) -> u64 {
    let mut time = [0u64; 2];
    // SAFETY: `struct timespec` is two numbers, which the kernel writes.
    match unsafe {
        call(
            n::__NR_clock_gettime,
            [clock as usize, time.as_mut_ptr() as usize],
        )
    } {
        Ok(_) => time[0] * 1_000_000_000 + time[1],
        Err(_) => 0,
    }
}

/// nanosleep(2)
pub fn sleep(nanoseconds: u64) {
    let time = [nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000];
    // SAFETY: the kernel reads two numbers. An interrupted sleep is a short one.
    let _ = unsafe { call(n::__NR_nanosleep, [time.as_ptr() as usize, 0]) };
}

/// fork(2) without a signal to the parent at its end, and unseen by tracers: 0 in the child, its id in the parent.
///
/// # Safety
/// The caller is the only thread of its process, or the child uses nothing that another thread may have been changing.
///
/// # Errors
/// Those of clone(2).
pub unsafe fn fork_quietly() -> Result<i32, Errno> {
    // SAFETY: without CLONE_VM the child goes on with a copy of the stack.
    let pid = unsafe { call(n::__NR_clone, [n::CLONE_UNTRACED as usize, 0, 0, 0, 0])? };
    Ok(pid as i32)
}

/// fork(2) that gives the child the process id `pid` in the namespace for children (clone3(2), `set_tid`): 0 in the child, in
/// the parent the id that it has for the parent.
///
/// # Safety
/// As for [`fork_quietly`].
///
/// # Errors
/// Those of clone3(2): `EPERM` without a privilege, `EEXIST` if the id is taken, `EINVAL` if it is too large.
pub unsafe fn fork_with_id(pid: i32) -> Result<i32, Errno> {
    let arguments = n::clone_args {
        flags: 0,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(n::SIGCHLD),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: &raw const pid as u64,
        set_tid_size: 1,
        cgroup: 0,
    };
    let (address, size) = (&raw const arguments as usize, size_of_val(&arguments));
    // SAFETY: the kernel reads the struct and the id; without CLONE_VM the child goes on with a copy of the stack.
    let pid = unsafe { call(n::__NR_clone3, [address, size])? };
    Ok(pid as i32)
}

/// What has become of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has ended with this status.
    Exited(i32),
    /// This signal has ended it.
    Killed(i32),
    /// This signal has stopped it.
    Stopped(i32),
    /// It goes on.
    Continued,
}

/// waitid(2) without waiting: what has become of the child `pid`, if anything has since the last time.
///
/// # Errors
/// Those of the system call.
pub fn change_of(pid: i32) -> Result<Option<Change>, Errno> {
    let info = news_of(pid, n::WEXITED | n::WSTOPPED | n::WCONTINUED)?;
    // Offsets of si_code and si_status (include/uapi/asm-generic/siginfo.h).
    let field =
        |at: usize| i32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    let status = field(24);
    Ok(match field(8) as u32 {
        n::CLD_EXITED => Some(Change::Exited(status)),
        n::CLD_KILLED | n::CLD_DUMPED => Some(Change::Killed(status)),
        n::CLD_STOPPED => Some(Change::Stopped(status)),
        n::CLD_CONTINUED => Some(Change::Continued),
        _ => None,
    })
}

/// waitid(2) without waiting: whether the child `pid`, of whatever kind, has ended. It stays to be waited for.
#[must_use]
pub fn has_ended(pid: i32) -> bool {
    let news = news_of(pid, n::WEXITED | n::WNOWAIT | n::__WALL);
    news.is_ok_and(|info| info != [0; 128])
}

/// waitid(2) without waiting; all zeros as long as there is nothing to tell.
fn news_of(child: i32, options: u32) -> Result<SignalInfo, Errno> {
    let mut info: SignalInfo = [0; 128];
    let arguments = [
        n::P_PID as usize,
        child as usize,
        info.as_mut_ptr() as usize,
        (options | n::WNOHANG) as usize,
        0,
    ];
    // SAFETY: the kernel writes one siginfo_t.
    unsafe { call(n::__NR_waitid, arguments)? };
    Ok(info)
}

/// Waits until process `pid` has ended, if the kernel can (since 5.3).
///
/// # Errors
/// Those of pidfd_open(2) and poll(2).
pub fn wait_for_end_of(pid: i32) -> Done {
    // SAFETY: the call takes numbers.
    let process = unsafe { call(n::__NR_pidfd_open, [pid as usize, 0])? };
    let process = Fd::owning(process as i32);
    let mut entry = n::pollfd {
        fd: process.number(),
        events: n::POLLIN as i16,
        revents: 0,
    };
    // SAFETY: the kernel reads and writes one struct.
    unsafe { call(n::__NR_poll, [&raw mut entry as usize, 1, usize::MAX]) }.map(drop)
}

/// sched_setscheduler(2): the caller becomes an ordinary process.
///
/// # Errors
/// Those of the system call.
pub fn schedule_ordinarily() -> Done {
    let priority = 0u32;
    // SAFETY: the kernel reads one struct, which is a number.
    unsafe {
        call(
            n::__NR_sched_setscheduler,
            [0, n::SCHED_NORMAL as usize, &raw const priority as usize],
        )
    }
    .map(drop)
}

/// rt_sigaction(2): the disposition, after setting it if `new` is given.
///
/// # Safety
/// The new handler can run at any moment from now on.
///
/// # Errors
/// Those of the system call.
pub unsafe fn signal_action(
    signal: i32,
    new: Option<&SignalAction>,
) -> Result<SignalAction, Errno> {
    let mut old = SignalAction::default();
    let new_at = new.map_or(0, |new| &raw const *new as usize);
    let arguments = [
        signal as usize,
        new_at,
        &raw mut old as usize,
        size_of::<SignalSet>(),
    ];
    // SAFETY: the kernel reads one struct and writes one; the caller answers for the handler.
    unsafe { call(n::__NR_rt_sigaction, arguments)? };
    Ok(old)
}

/// rt_sigprocmask(2): the mask, after changing it by `how` (`SIG_BLOCK`, `SIG_UNBLOCK`, `SIG_SETMASK`) if `set` is given.
///
/// # Errors
/// Those of the system call.
pub fn signal_mask(how: u32, set: Option<SignalSet>) -> Result<SignalSet, Errno> {
    let mut old: SignalSet = 0;
    let set_at = set.as_ref().map_or(0, |set| &raw const *set as usize);
    let arguments = [
        how as usize,
        set_at,
        &raw mut old as usize,
        size_of::<SignalSet>(),
    ];
    // SAFETY: the kernel reads one number and writes one.
    unsafe { call(n::__NR_rt_sigprocmask, arguments)? };
    Ok(old)
}

/// rt_sigtimedwait(2) without waiting: takes the next pending signal of `set`.
///
/// # Errors
/// `EAGAIN` if none is pending.
pub fn take_pending(set: SignalSet) -> Result<(i32, SignalInfo), Errno> {
    wait_for_signal(set, 0)
}

/// rt_sigtimedwait(2): takes the next signal of `set`, for which it waits so many nanoseconds.
///
/// # Errors
/// `EAGAIN` if none comes.
pub fn wait_for_signal(set: SignalSet, nanoseconds: u64) -> Result<(i32, SignalInfo), Errno> {
    let time = [nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000];
    take_signal(set, time.as_ptr() as usize)
}

/// rt_sigtimedwait(2) without a limit: waits for the next signal of `set`, and takes it.
///
/// # Errors
/// `EINTR` if something else came between.
pub fn next_signal(set: SignalSet) -> Result<(i32, SignalInfo), Errno> {
    take_signal(set, 0)
}

/// Takes a signal of `set`; `time` is 0 or the address of a time.
fn take_signal(set: SignalSet, time: usize) -> Result<(i32, SignalInfo), Errno> {
    let mut info: SignalInfo = [0; 128];
    let arguments = [
        &raw const set as usize,
        info.as_mut_ptr() as usize,
        time,
        size_of::<SignalSet>(),
    ];
    // SAFETY: the kernel reads one or two structs and writes one.
    let signal = unsafe { call(n::__NR_rt_sigtimedwait, arguments)? };
    Ok((signal as i32, info))
}

/// rt_sigpending(2)
///
/// # Errors
/// Those of the system call.
pub fn pending() -> Result<SignalSet, Errno> {
    let mut set: SignalSet = 0;
    // SAFETY: the kernel writes one number.
    unsafe {
        call(
            n::__NR_rt_sigpending,
            [&raw mut set as usize, size_of::<SignalSet>()],
        )?
    };
    Ok(set)
}

/// rt_sigqueueinfo(2) to this process if `tid` is 0, else rt_tgsigqueueinfo(2) to that thread of it.
///
/// # Errors
/// Those of the system call.
pub fn queue_signal(tid: i32, signal: i32, info: &SignalInfo) -> Done {
    let (pid, tid, signal, info) = (
        pid() as usize,
        tid as usize,
        signal as usize,
        info.as_ptr() as usize,
    );
    // SAFETY: the kernel reads one struct.
    let sent = unsafe {
        if tid == 0 {
            call(n::__NR_rt_sigqueueinfo, [pid, signal, info])
        } else {
            call(n::__NR_rt_tgsigqueueinfo, [pid, tid, signal, info])
        }
    };
    sent.map(drop)
}

/// rt_sigqueueinfo(2) to another process, which takes only what does not say that kill(2) or the kernel has sent it.
///
/// # Errors
/// Those of the system call.
pub fn queue_signal_to(pid: i32, signal: i32, info: &SignalInfo) -> Done {
    let arguments = [pid as usize, signal as usize, info.as_ptr() as usize];
    // SAFETY: the kernel reads one struct.
    unsafe { call(n::__NR_rt_sigqueueinfo, arguments) }.map(drop)
}

/// mount(2) of a file system that has no device, by the name of its type.
///
/// # Errors
/// Those of the system call.
pub fn mount(kind: &CStr, at: &CStr, flags: u32) -> Done {
    let (kind, at) = (kind.as_ptr() as usize, at.as_ptr() as usize);
    // SAFETY: the kernel reads strings.
    unsafe { call(n::__NR_mount, [kind, at, kind, flags as usize, 0]) }.map(drop)
}

/// futex(2), `FUTEX_WAIT`: sleeps while `word` is `expected`, at most `nanoseconds` if given. It can return for no reason.
pub fn wait_while(word: &AtomicU32, expected: u32, nanoseconds: Option<u64>) {
    let time = nanoseconds.map(|all| [all / 1_000_000_000, all % 1_000_000_000]);
    let time_at = time.as_ref().map_or(0, |time| time.as_ptr() as usize);
    let operation = n::FUTEX_WAIT | n::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel reads the word and, if it is given, the time.
    let _ = unsafe {
        call(
            n::__NR_futex,
            [
                word.as_ptr() as usize,
                operation as usize,
                expected as usize,
                time_at,
            ],
        )
    };
}

/// futex(2), `FUTEX_WAKE`: wakes all who sleep on `word`.
pub fn wake_all(word: &AtomicU32) {
    let operation = n::FUTEX_WAKE | n::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel uses the word's address only.
    let _ = unsafe {
        call(
            n::__NR_futex,
            [
                word.as_ptr() as usize,
                operation as usize,
                i32::MAX as usize,
            ],
        )
    };
}

/// wait4(2) for a child that another than SIGCHLD tells of, or for a thread that is traced (`__WALL`): the status.
///
/// # Errors
/// Those of the system call.
pub fn wait_for(tid: i32) -> Result<u32, Errno> {
    let mut status = 0u32;
    let arguments = [
        tid as usize,
        &raw mut status as usize,
        n::__WALL as usize,
        0,
    ];
    // SAFETY: the kernel writes one number.
    unsafe { call(n::__NR_wait4, arguments)? };
    Ok(status)
}

/// sigaltstack(2): the alternate stack, after setting it if `new` is given.
///
/// # Safety
/// Handlers may run on the new stack from now on.
///
/// # Errors
/// Those of the system call.
pub unsafe fn alternate_stack(new: Option<&SignalStack>) -> Result<SignalStack, Errno> {
    let mut old = SignalStack::default();
    let new_at = new.map_or(0, |new| &raw const *new as usize);
    // SAFETY: the kernel reads one struct and writes one; the caller answers for the memory.
    unsafe { call(n::__NR_sigaltstack, [new_at, &raw mut old as usize])? };
    Ok(old)
}

/// getitimer(2): interval and time left, each in microseconds.
///
/// # Errors
/// Those of the system call.
pub fn interval_timer(which: u32) -> Result<[u64; 2], Errno> {
    let mut timer = [0u64; 4];
    // SAFETY: `struct itimerval` is four numbers, which the kernel writes.
    unsafe {
        call(
            n::__NR_getitimer,
            [which as usize, timer.as_mut_ptr() as usize],
        )?
    };
    let [interval_s, interval_us, left_s, left_us] = timer;
    Ok([
        interval_s * 1_000_000 + interval_us,
        left_s * 1_000_000 + left_us,
    ])
}

/// setitimer(2): interval and time left, each in microseconds.
///
/// # Errors
/// Those of the system call.
pub fn set_interval_timer(which: u32, [interval, left]: [u64; 2]) -> Done {
    let timer = [
        interval / 1_000_000,
        interval % 1_000_000,
        left / 1_000_000,
        left % 1_000_000,
    ];
    // SAFETY: `struct itimerval` is four numbers, which the kernel reads.
    unsafe {
        call(
            n::__NR_setitimer,
            [which as usize, timer.as_ptr() as usize, 0],
        )
        .map(drop)
    }
}

/// mremap(2) without changing the size, to an address where nothing is mapped that anybody uses.
///
/// # Safety
/// Nobody uses the memory at its old addresses, nor what is mapped at the new ones.
///
/// # Errors
/// Those of the system call.
pub unsafe fn remap_to(address: usize, length: usize, new: usize) -> Done {
    let flags = n::MREMAP_MAYMOVE | n::MREMAP_FIXED;
    // SAFETY: the caller answers for the addresses.
    unsafe {
        call(
            n::__NR_mremap,
            [address, length, length, flags as usize, new],
        )
        .map(drop)
    }
}

/// mremap(2) with an old size of 0: maps `length` bytes of the shared memory at `address` a second time, at `new`.
///
/// # Safety
/// Nobody uses what is mapped at the new addresses.
///
/// # Errors
/// Those of the system call; `EINVAL` if the memory is not shared.
pub unsafe fn duplicate_mapping(address: usize, length: usize, new: usize) -> Done {
    let flags = n::MREMAP_MAYMOVE | n::MREMAP_FIXED;
    // SAFETY: the caller answers for the addresses.
    unsafe { call(n::__NR_mremap, [address, 0, length, flags as usize, new]).map(drop) }
}

/// mlock2(2) with `MLOCK_ONFAULT`
///
/// # Errors
/// Those of the system call.
pub fn lock_memory_on_fault(address: usize, length: usize) -> Done {
    let flags = n::MLOCK_ONFAULT as usize;
    // SAFETY: locking changes neither content nor protection.
    unsafe { call(n::__NR_mlock2, [address, length, flags]).map(drop) }
}

/// get_mempolicy(2) of the mapping at `address`: mode and nodes
///
/// # Errors
/// Those of the system call.
pub fn memory_policy_at(address: u64) -> Result<(u32, [u64; NODE_WORDS]), Errno> {
    let (mut mode, mut nodes) = (0u32, [0u64; NODE_WORDS]);
    let arguments = [
        &raw mut mode as usize,
        nodes.as_mut_ptr() as usize,
        size_of_val(&nodes) * 8,
        address as usize,
        MPOL_F_ADDR as usize,
    ];
    // SAFETY: the kernel writes one number and as many words as it is told.
    unsafe { call(n::__NR_get_mempolicy, arguments)? };
    Ok((mode, nodes))
}

/// mbind(2) of what comes into memory from now on
///
/// # Errors
/// Those of the system call.
pub fn set_memory_policy(
    address: usize,
    length: usize,
    mode: u32,
    nodes: &[u64; NODE_WORDS],
) -> Done {
    let arguments = [
        address,
        length,
        mode as usize,
        nodes.as_ptr() as usize,
        size_of_val(nodes) * 8,
        0,
    ];
    // SAFETY: the kernel reads the nodes; a policy changes neither content nor protection.
    unsafe { call(n::__NR_mbind, arguments).map(drop) }
}

/// mlock(2)
///
/// # Errors
/// Those of the system call.
pub fn lock_memory(address: usize, length: usize) -> Done {
    // SAFETY: locking changes neither content nor protection.
    unsafe { call(n::__NR_mlock, [address, length]).map(drop) }
}

/// setgroups(2)
///
/// # Errors
/// Those of the system call.
pub fn set_groups(groups: &[u32]) -> Done {
    // SAFETY: the kernel reads the slice only.
    unsafe { call(n::__NR_setgroups, [groups.len(), groups.as_ptr() as usize]).map(drop) }
}

/// What capset(2) takes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Capabilities {
    header: n::__user_cap_header_struct,
    data: [n::__user_cap_data_struct; 2],
}

impl Capabilities {
    /// Where the second argument of the call lies, in bytes from the first one.
    pub const DATA_AT: usize = core::mem::offset_of!(Self, data);

    /// Those of the caller.
    #[must_use]
    pub fn new(effective: u64, permitted: u64, inheritable: u64) -> Self {
        let word = |shift: u32| n::__user_cap_data_struct {
            effective: (effective >> shift) as u32,
            permitted: (permitted >> shift) as u32,
            inheritable: (inheritable >> shift) as u32,
        };
        Self {
            header: n::__user_cap_header_struct {
                version: n::_LINUX_CAPABILITY_VERSION_3,
                pid: 0,
            },
            data: [word(0), word(32)],
        }
    }
}

/// capset(2) for the caller.
///
/// # Errors
/// Those of the system call.
pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Done {
    let mut new = Capabilities::new(effective, permitted, inheritable);
    // SAFETY: the kernel reads the header and, in this version, two structs; it writes the version it wants to the
    // header only if it does not know ours, which every kernel since 2.6.26 does.
    unsafe {
        call(
            n::__NR_capset,
            [&raw mut new.header as usize, new.data.as_ptr() as usize],
        )
        .map(drop)
    }
}

/// exit_group(2)
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: the call does not return.
        unsafe { raw(n::__NR_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    }
}
