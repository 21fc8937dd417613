//! From the kernel's stack to our own: the Rust side of `asm/start.S`, and what a program without a C library owes.

use core::arch::global_asm;
use core::ffi::{CStr, c_char};
use core::panic::PanicInfo;

use ckpt_image::segments::Span;
use ckpt_sys::bytes::lines;
use ckpt_sys::maps::MapsLine;
use ckpt_sys::{MapVec, calls, files, memory_map};
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object};

use crate::output;

global_asm!(include_str!("../../asm/start.S"), begin = sym begin);
global_asm!(include_str!("../../asm/memory.S"));

/// Room for the arguments, in bytes: an image with the longest path there is, all options, and a few files that have moved.
const ROOM: usize = 64 << 10;

/// The arguments, each with its NUL. In the data segment, because the stack that the kernel
/// has put them on goes away.
#[unsafe(link_section = ".data")]
static mut ARGUMENTS: [u8; ROOM] = [0; ROOM];

/// Called by `_start` with the kernel's stack pointer, on our own stack.
///
/// # Safety
/// `kernel_stack` is what rsp was at the entry of the process.
unsafe extern "C" fn begin(kernel_stack: *const usize) -> ! {
    // First of all, and until the program's own mask is back: a signal that the program handles would end us, and waits
    // for the program now.
    let blocked = calls::signal_mask(n::SIG_BLOCK, Some(u64::MAX));
    // SAFETY: the caller answers for the stack, and nobody else runs who could use the static.
    let copied = unsafe {
        let room = &raw mut ARGUMENTS;
        copy_arguments(kernel_stack, &mut *room)
    };
    let status = match copied {
        Some(arguments) => {
            show_arguments(arguments);
            unmap_kernel_stack();
            crate::main(
                blocked,
                arguments
                    .split_inclusive(|&byte| byte == 0)
                    .map(|argument| &argument[..argument.len() - 1])
                    .skip(1),
            )
        }
        None => {
            let error = Error::new(
                Exit::Usage,
                Object::Thing("the arguments"),
                Cause::Because("they are too long"),
                "see restorer --help",
            );
            output::complain(format_args!("{error}"));
            error.exit as i32
        }
    };
    calls::exit(status)
}

/// Copies the arguments, if there is room for them.
///
/// # Safety
/// As for [`begin`].
unsafe fn copy_arguments(kernel_stack: *const usize, to: &mut [u8]) -> Option<&[u8]> {
    // SAFETY: argc stands at the stack pointer (System V ABI, AMD64 supplement, 3.4.1).
    let count = unsafe { *kernel_stack };
    let mut used = 0;
    for index in 0..count {
        // SAFETY: behind argc stand as many addresses of strings, which the kernel has ended with NUL.
        let argument = unsafe {
            let address = *kernel_stack.add(1 + index) as *const c_char;
            CStr::from_ptr(address)
        };
        let argument = argument.to_bytes_with_nul();
        to.get_mut(used..used + argument.len())?
            .copy_from_slice(argument);
        used += argument.len();
    }
    Some(&to[..used])
}

/// Has the kernel know the copy of the arguments, and no environment: for whoever reads `/proc/PID/cmdline` or `environ` it
/// touches the addresses that it knows (`__access_remote_vm` in mm/memory.c). If those were on the stack that it has made when
/// the program's own is mapped not far above, that would grow down to them. Where this is not possible the image is refused
/// (`host::check`).
fn show_arguments(arguments: &[u8]) {
    let Ok(mut memory) = memory_map::read() else {
        return;
    };
    let span = arguments.as_ptr_range();
    (memory.arg_start, memory.arg_end) = (span.start as u64, span.end as u64);
    (memory.env_start, memory.env_end) = (memory.arg_end, memory.arg_end);
    let _ = memory_map::describe(&memory, &[]);
}

/// Has the kernel show the arguments to whoever looks at the command line of a process that stays the restorer: it shows what
/// lies in anonymous memory only (`get_mm_cmdline` in fs/proc/base.c), which the data segment is not.
pub fn stay_visible() {
    let room = &raw const ARGUMENTS;
    // SAFETY: the arguments were copied before anything else was done, and are not written any more.
    let room: &[u8] = unsafe { &*room };
    let used = room.len() - room.iter().rev().take_while(|&&byte| byte == 0).count();
    let mut copy = MapVec::new();
    // The last argument ends with a NUL, too.
    if copy.extend(&room[..room.len().min(used + 1)]).is_ok() {
        show_arguments(copy.leak());
    }
}

/// Removes the stack that the kernel has made: the program's own may have been in the same place. If it cannot be found it
/// stays, and goes with everything else in stage 2.
fn unmap_kernel_stack() {
    let mut maps = MapVec::new();
    if files::read_whole(c"/proc/self/maps", &mut maps).is_err() {
        return;
    }
    let stack = lines(&maps)
        .filter_map(MapsLine::parse)
        .find(|line| line.name == b"[stack]");
    if let Some(MapsLine {
        span: Span { start, end },
        ..
    }) = stack
    {
        // SAFETY: we run on our own stack, and what was needed from this one is copied.
        let _ = unsafe { calls::unmap(start as usize, (end - start) as usize) };
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(place) => output::complain(format_args!(
            "internal error: {}:{}; please report it",
            place.file(),
            place.line()
        )),
        None => output::complain(format_args!("internal error; please report it")),
    }
    calls::exit(Exit::Internal as i32)
}
