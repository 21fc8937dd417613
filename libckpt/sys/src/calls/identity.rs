//! Who a process is and what it may do: user and group ids, capabilities, limits, and prctl.

use linux_raw_sys::general as n;

use super::Done;
use crate::errno::Errno;
use crate::map_vec::MapVec;
use crate::syscall::call;

plain! {
    /// geteuid(2)
    geteuid = __NR_geteuid();
    /// getegid(2)
    getegid = __NR_getegid();
    /// setresuid(2)
    setresuid = __NR_setresuid(real: u32, effective: u32, saved: u32);
    /// setresgid(2)
    setresgid = __NR_setresgid(real: u32, effective: u32, saved: u32);
    /// setfsuid(2); returns the previous id, whether it was changed or not
    setfsuid = __NR_setfsuid(id: u32);
    /// setfsgid(2); returns the previous id, whether it was changed or not
    setfsgid = __NR_setfsgid(id: u32);
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

/// getgroups(2)
///
/// # Errors
/// Those of the system call, and `ENOMEM`.
pub fn groups() -> Result<MapVec<u32>, Errno> {
    // SAFETY: without room, the kernel writes nothing.
    let count = unsafe { call(n::__NR_getgroups, [0, 0]) }?;
    let mut bytes = MapVec::zeroed(4 * count)?;
    // SAFETY: the kernel writes into the room only.
    let count = unsafe { call(n::__NR_getgroups, [count, bytes.as_mut_ptr() as usize]) }?;
    let mut groups = MapVec::with_capacity(count)?;
    let (words, _) = bytes.as_chunks::<4>();
    for &word in &words[..count] {
        groups.push(u32::from_ne_bytes(word))?;
    }
    Ok(groups)
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
