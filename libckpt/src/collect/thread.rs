//! What the kernel keeps of one thread. Each thread reads it for itself, and a restored thread sets it for itself.

use ckpt_sys::bytes::decimal;
use ckpt_sys::syscall::call;
use ckpt_sys::{calls, files};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;

use crate::apart;

/// `IOPRIO_WHO_PROCESS` (include/uapi/linux/ioprio.h): with id 0 the calling thread.
const IOPRIO_WHO_PROCESS: usize = 1;

/// Words of a set of processors, or of memory nodes: 1024 of them, as in glibc's `cpu_set_t`.
const SET: usize = 16;
/// Its size in bytes.
const SET_SIZE: usize = SET * 8;

/// What personality(2) only asks with.
const ASK: usize = 0xffff_ffff;

/// `struct sched_attr` (include/uapi/linux/sched/types.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scheduling {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    utilization: [u32; 2],
}

const _: () = assert!(size_of::<Scheduling>() == 56);

/// Attributes that each thread has for itself.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    name: [u8; 16],
    timer_slack: usize,
    personality: usize,
    parent_death_signal: u32,
    io_priority: usize,
    scheduling: Scheduling,
    /// The processors that it may use; empty if all.
    processors: [u64; SET],
    memory_policy: i32,
    memory_nodes: [u64; SET],
    /// Whether reading the time stamp counter is permitted (`PR_SET_TSC`); 0 if unknown.
    time_stamps: u32,
    /// What becomes of it when memory fails (`PR_MCE_KILL`).
    memory_failure: usize,
}

impl Attributes {
    /// What holds before anything is known.
    pub const UNKNOWN: Self = Self {
        name: [0; 16],
        timer_slack: 0,
        personality: 0,
        parent_death_signal: 0,
        io_priority: 0,
        scheduling: Scheduling {
            size: 0,
            policy: 0,
            flags: 0,
            nice: 0,
            priority: 0,
            runtime: 0,
            deadline: 0,
            period: 0,
            utilization: [0; 2],
        },
        processors: [0; SET],
        memory_policy: 0,
        memory_nodes: [0; SET],
        time_stamps: 0,
        memory_failure: p::PR_MCE_KILL_DEFAULT as usize,
    };

    /// Those of the caller. What a kernel does not have stays unknown, and is not set again.
    pub fn of_caller() -> Self {
        let mut new = Self::UNKNOWN;
        // SAFETY: of all calls below: the kernel writes into the fields only, whose sizes it is told.
        unsafe {
            let name = new.name.as_mut_ptr() as usize;
            let _ = calls::prctl(p::PR_GET_NAME, [name, 0, 0, 0]);
            new.timer_slack = calls::prctl(p::PR_GET_TIMERSLACK, [0; 4]).unwrap_or(0);
            new.personality = call(n::__NR_personality, [ASK]).unwrap_or(0);
            let signal = &raw mut new.parent_death_signal as usize;
            let _ = calls::prctl(p::PR_GET_PDEATHSIG, [signal, 0, 0, 0]);
            new.io_priority = io_priority();
            new.scheduling = Scheduling::of_caller();
            let processors = new.processors.as_mut_ptr() as usize;
            let _ = call(n::__NR_sched_getaffinity, [0, SET_SIZE, processors]);
            let policy = &raw mut new.memory_policy as usize;
            let nodes = new.memory_nodes.as_mut_ptr() as usize;
            let most = SET_SIZE * 8;
            let _ = call(n::__NR_get_mempolicy, [policy, nodes, most, 0, 0]);
            let time_stamps = &raw mut new.time_stamps as usize;
            let _ = calls::prctl(p::PR_GET_TSC, [time_stamps, 0, 0, 0]);
            if let Ok(what) = calls::prctl(p::PR_MCE_KILL_GET, [0; 4]) {
                new.memory_failure = what;
            }
        }
        new
    }

    /// Forgets which processors the thread may use: those of the process that is restored are as good.
    pub fn forget_processors(&mut self) {
        self.processors = [0; SET];
    }

    /// Whether [`Self::restore`] would change anything of a thread that has just been created by one whose attributes are
    /// `creators`. All but the parent-death signal are inherited (`copy_process` in kernel/fork.c), unless the scheduling says
    /// otherwise (`SCHED_FLAG_RESET_ON_FORK`).
    pub fn differ_from_those_of_a_new_thread(&self, creators: &Self) -> bool {
        /// include/uapi/linux/sched.h
        const RESET_ON_FORK: u64 = 1;
        self.name != creators.name
            || ![0, creators.timer_slack].contains(&self.timer_slack)
            || self.parent_death_signal != 0
            || self.personality != creators.personality
            || ![[0; SET], creators.processors].contains(&self.processors)
            || self.memory_policy != 0
            || self.time_stamps != creators.time_stamps
            || self.memory_failure != creators.memory_failure
            || self.io_priority != creators.io_priority
            || self.scheduling.size != 0 && self.scheduling != creators.scheduling
            || creators.scheduling.flags & RESET_ON_FORK != 0
    }

    /// Gives them to the caller; whether everything was permitted. What the machine does not have, such as processors, is no
    /// failure.
    pub fn restore(&self) -> bool {
        // SAFETY: of all calls below: the kernel reads the fields only, whose sizes it is told.
        unsafe {
            let name = self.name.as_ptr() as usize;
            let _ = calls::prctl(p::PR_SET_NAME, [name, 0, 0, 0]);
            if self.timer_slack != 0 {
                let _ = calls::prctl(p::PR_SET_TIMERSLACK, [self.timer_slack, 0, 0, 0]);
            }
            let signal = self.parent_death_signal as usize;
            let _ = calls::prctl(p::PR_SET_PDEATHSIG, [signal, 0, 0, 0]);
            let _ = call(n::__NR_personality, [self.personality]);
            if self.processors != [0; SET] {
                let processors = self.processors.as_ptr() as usize;
                let _ = call(n::__NR_sched_setaffinity, [0, SET_SIZE, processors]);
            }
            if self.memory_policy != 0 {
                let nodes = self.memory_nodes.as_ptr() as usize;
                let policy = self.memory_policy as usize;
                let _ = call(n::__NR_set_mempolicy, [policy, nodes, SET_SIZE * 8]);
            }
            if self.memory_failure != p::PR_MCE_KILL_DEFAULT as usize {
                let set = p::PR_MCE_KILL_SET as usize;
                let _ = calls::prctl(p::PR_MCE_KILL, [set, self.memory_failure, 0, 0]);
            }
            if self.time_stamps != 0 {
                let _ = calls::prctl(p::PR_SET_TSC, [self.time_stamps as usize, 0, 0, 0]);
            }
            let io = io_priority() == self.io_priority
                || call(
                    n::__NR_ioprio_set,
                    [IOPRIO_WHO_PROCESS, 0, self.io_priority],
                )
                .is_ok();
            self.scheduling.restore() && io
        }
    }
}

/// The I/O priority of the calling thread. Of one that nobody has set, the class says so, and older kernels name a level that it would have
/// (seen with 5.10), which cannot be set.
fn io_priority() -> usize {
    /// `IOPRIO_CLASS_SHIFT`.
    const CLASS: u32 = 13;
    // SAFETY: the call takes numbers.
    let priority = unsafe { call(n::__NR_ioprio_get, [IOPRIO_WHO_PROCESS, 0]) }.unwrap_or(0);
    if priority >> CLASS == 0 { 0 } else { priority }
}

impl Scheduling {
    fn of_caller() -> Self {
        let mut new = Attributes::UNKNOWN.scheduling;
        let size = size_of::<Self>();
        // SAFETY: the kernel writes the struct, whose size it is told.
        let _ = unsafe { call(n::__NR_sched_getattr, [0, &raw mut new as usize, size, 0]) };
        new
    }

    fn restore(&self) -> bool {
        if self.size == 0 || Self::of_caller() == *self {
            return true;
        }
        // Below, the kernel minds the nice value with SCHED_OTHER and SCHED_BATCH only (`__setscheduler_params`,
        // kernel/sched/syscalls.c).
        let nice = calls::setpriority(n::PRIO_PROCESS, 0, self.nice).is_ok();
        // SAFETY: the kernel reads the struct, which says how long it is.
        let all = unsafe { call(n::__NR_sched_setattr, [0, &raw const *self as usize, 0]) };
        nice && all.is_ok()
    }
}

/// The processors that are a thread's without its asking. Who has these may have others on another machine, or in another allocation of a
/// batch system.
#[derive(Debug)]
pub struct Processors {
    online: [u64; SET],
    /// What the kernel gives to who asks for all, which is what a cpuset(7) leaves; none as long as that was not found out.
    given: [u64; SET],
}

impl Processors {
    /// Reads which are online; all that can be if the kernel does not tell.
    pub fn online() -> Self {
        let text = files::read_small::<512>(c"/sys/devices/system/cpu/online").unwrap_or_default();
        Self {
            online: parse_list(text.as_bytes()).unwrap_or([u64::MAX; SET]),
            given: [0; SET],
        }
    }

    /// Whether `thread` may use all of them.
    pub fn are_all_of(&mut self, thread: &Attributes) -> bool {
        let may = &thread.processors;
        let has_all = may
            .iter()
            .zip(&self.online)
            .all(|(may, all)| all & !may == 0);
        if !has_all && self.given == [0; SET] {
            // Another process asks, since the kernel remembers what is asked for.
            self.given = apart::call(ask_for_all).unwrap_or_default();
        }
        has_all || *may == self.given
    }
}

/// Asks for all processors; those that the caller has then.
fn ask_for_all() -> [u64; SET] {
    let (all, mut given) = ([u64::MAX; SET], [0; SET]);
    // SAFETY: the kernel reads one set and writes the other, whose size it is told.
    unsafe {
        let _ = call(
            n::__NR_sched_setaffinity,
            [0, SET_SIZE, all.as_ptr() as usize],
        );
        let _ = call(
            n::__NR_sched_getaffinity,
            [0, SET_SIZE, given.as_mut_ptr() as usize],
        );
    }
    given
}

/// A list such as `0-3,8`.
fn parse_list(text: &[u8]) -> Option<[u64; SET]> {
    let mut set = [0u64; SET];
    for part in text.trim_ascii().split(|&byte| byte == b',') {
        let mut ends = part.splitn(2, |&byte| byte == b'-');
        let first = decimal(ends.next()?)?;
        let last = match ends.next() {
            Some(last) => decimal(last)?,
            None => first,
        };
        for number in first..=last {
            *set.get_mut(number as usize / 64)? |= 1 << (number % 64);
        }
    }
    Some(set)
}

/// Who a thread is. libc gives all threads of a process the same ids; a program that has gone past libc can have threads
/// with fewer rights, which would not have them back after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    ids: [[u32; 4]; 2],
    groups: usize,
    capabilities: [u32; 6],
    no_new_privs: usize,
    seccomp: usize,
}

impl Rights {
    /// Before anything is known.
    pub const NONE: Self = Self {
        ids: [[0; 4]; 2],
        groups: 0,
        capabilities: [0; 6],
        no_new_privs: 0,
        seccomp: 0,
    };

    /// Those of the caller.
    pub fn of_caller() -> Self {
        /// `_LINUX_CAPABILITY_VERSION_3` (include/uapi/linux/capability.h), and the calling thread.
        const HEADER: [u32; 2] = [0x2008_0522, 0];
        let mut new = Self::NONE;
        // An id that does not exist changes nothing, and the call returns the present one.
        const NOBODY: u32 = u32::MAX;
        // SAFETY: the kernel writes three numbers, three numbers, and six.
        unsafe {
            for (ids, number) in new
                .ids
                .iter_mut()
                .zip([n::__NR_getresuid, n::__NR_getresgid])
            {
                let [real, effective, saved] = [0, 1, 2].map(|index| &raw mut ids[index] as usize);
                let _ = call(number, [real, effective, saved]);
            }
            let capabilities = new.capabilities.as_mut_ptr() as usize;
            let _ = call(n::__NR_capget, [HEADER.as_ptr() as usize, capabilities]);
            new.groups = call(n::__NR_getgroups, [0, 0]).unwrap_or(0);
            new.no_new_privs = calls::prctl(p::PR_GET_NO_NEW_PRIVS, [0; 4]).unwrap_or(0);
            new.seccomp = calls::prctl(p::PR_GET_SECCOMP, [0; 4]).unwrap_or(0);
        }
        new.ids[0][3] = calls::setfsuid(NOBODY).unwrap_or(0) as u32;
        new.ids[1][3] = calls::setfsgid(NOBODY).unwrap_or(0) as u32;
        new
    }
}
