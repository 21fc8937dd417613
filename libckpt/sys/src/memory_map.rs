//! What the kernel knows of the parts of this process's memory: code, heap, stack, arguments, environment.

use ckpt_image::process::MemoryMap;
use linux_raw_sys::prctl as p;

use crate::proc::ProcessStat;
use crate::{Errno, calls};

/// What it knows now.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn read() -> Result<MemoryMap, Errno> {
    let stat = ProcessStat::of_this_thread()?;
    // Field numbers of proc_pid_stat(5).
    Ok(MemoryMap {
        start_code: stat.field(26),
        end_code: stat.field(27),
        start_data: stat.field(45),
        end_data: stat.field(46),
        start_brk: stat.field(47),
        brk: calls::heap_end()?,
        start_stack: stat.field(28),
        arg_start: stat.field(48),
        arg_end: stat.field(49),
        env_start: stat.field(50),
        env_end: stat.field(51),
    })
}

/// Tells it, along with the auxiliary vector if there is a new one.
///
/// # Errors
/// Those of prctl(2).
pub fn describe(memory: &MemoryMap, auxv: &[u8]) -> Result<(), Errno> {
    let map = description(memory, auxv, None);
    let arguments = [
        p::PR_SET_MM_MAP as usize,
        &raw const map as usize,
        size_of_val(&map),
        0,
    ];
    // SAFETY: the option takes the address of such a struct, which only describes the address space to the kernel.
    unsafe { calls::prctl(p::PR_SET_MM, arguments) }.map(drop)
}

/// The same as the kernel takes it, with the program if that is open as `program`.
#[must_use]
pub fn description(memory: &MemoryMap, auxv: &[u8], program: Option<u32>) -> p::prctl_mm_map {
    p::prctl_mm_map {
        start_code: memory.start_code,
        end_code: memory.end_code,
        start_data: memory.start_data,
        end_data: memory.end_data,
        start_brk: memory.start_brk,
        brk: memory.brk,
        start_stack: memory.start_stack,
        arg_start: memory.arg_start,
        arg_end: memory.arg_end,
        env_start: memory.env_start,
        env_end: memory.env_end,
        auxv: auxv.as_ptr() as *mut u64,
        auxv_size: auxv.len() as u32,
        exe_fd: program.unwrap_or(u32::MAX),
    }
}
