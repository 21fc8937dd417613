//! The pad: the memory that stage 2 runs in. Fills it and jumps.

use core::arch::{asm, global_asm};
use core::convert::Infallible;
use core::mem::offset_of;
use core::ptr;

use ckpt_image::PAGE;
use ckpt_image::context::Registers;
use ckpt_image::reader::Image;
use ckpt_sys::handover::Handover;
use ckpt_sys::{Errno, calls};
use linux_raw_sys::general as n;
use restart::operations::{DEFAULT_MXCSR, Header, Operation, Pad as Places, texts};
use restart::report::{Cause, Error, Exit, Object};

use crate::memory::Memory;
use crate::steps::map_new;
use crate::{Result, output};

global_asm!(
    include_str!("../../asm/pad.S"),
    PAGE = const PAGE,
    OPERATIONS = const offset_of!(Header, operations),
    OPERATIONS_END = const offset_of!(Header, operations_end),
    ERROR_FD = const offset_of!(Header, error_fd),
    MXCSR = const offset_of!(Header, mxcsr),
    REGISTERS = const offset_of!(Header, registers),
    RIP = const offset_of!(Header, registers) + offset_of!(Registers, rip),
    NUMBER = const offset_of!(Operation, number),
    ARGUMENTS = const offset_of!(Operation, arguments),
    MASK = const offset_of!(Operation, mask),
    EXPECTED = const offset_of!(Operation, expected),
    MESSAGE = const offset_of!(Operation, message),
    MESSAGE_LENGTH = const offset_of!(Operation, message_length),
    OPERATION_SIZE = const size_of::<Operation>(),
    WRITE = const n::__NR_write,
    EXIT_GROUP = const n::__NR_exit_group,
    EXIT_STATUS = const Exit::NoReturn as i32,
);

unsafe extern "C" {
    static pad_code: u8;
    static pad_code_end: u8;
}

/// The registers to begin with, in the data segment until the pad exists.
#[unsafe(link_section = ".data")]
static mut REGISTERS: Registers = Registers {
    r8: 0,
    r9: 0,
    r10: 0,
    r11: 0,
    r12: 0,
    r13: 0,
    r14: 0,
    r15: 0,
    rdi: 0,
    rsi: 0,
    rbp: 0,
    rbx: 0,
    rdx: 0,
    rax: 0,
    rcx: 0,
    rsp: 0,
    rip: 0,
    rflags: 0,
};

/// The finished pad.
pub struct Pad {
    places: Places,
}

fn failed(errno: Errno) -> Error<'static> {
    Error::new(
        Exit::Host,
        Object::Thing("the pad"),
        Cause::Failed("cannot be mapped", errno),
        "free memory or raise `ulimit -v`",
    )
}

impl Pad {
    /// Maps and fills the pad.
    pub fn build(image: &Image<'static>, memory: &Memory) -> Result<Self> {
        let span = memory.layout.pad;
        let places = Places::at(span.start, memory.layout.operations);
        let flags = n::MAP_PRIVATE | n::MAP_ANONYMOUS;
        map_new(span, n::PROT_READ | n::PROT_WRITE, flags, -1, 0).map_err(failed)?;

        let header_at = places.header as *mut Header;
        // SAFETY: (1) the pad is mapped and nobody else's, with room for all parts where `places` says, which does not
        // overlap; (2) nobody else uses the static; (3) the code between the two symbols is at most a page (asserted by
        // the linker script).
        unsafe {
            let code = &raw const pad_code;
            let length = (&raw const pad_code_end).offset_from_unsigned(code);
            ptr::copy_nonoverlapping(code, places.code as *mut u8, length);

            REGISTERS = image.context.registers;
            REGISTERS.rax = &raw const (*header_at).handover as u64;

            let mut next = places.operations as *mut Operation;
            let work = memory.work(image, places.texts);
            for operation in work.operations(memory.vdso_moves(image), memory.staged(image)) {
                next.write(operation);
                next = next.add(1);
            }
            header_at.write(Header {
                operations: places.operations,
                operations_end: next as u64,
                error_fd: output::error_fd() as u32,
                mxcsr: DEFAULT_MXCSR,
                registers: REGISTERS,
                handover: Handover {
                    pad: span.start,
                    pad_length: span.len(),
                },
            });

            let mut text_at = places.texts as *mut u8;
            for text in texts() {
                ptr::copy_nonoverlapping(text.as_ptr(), text_at, text.len());
                text_at = text_at.add(text.len());
            }
            calls::protect(
                places.code as usize,
                PAGE as usize,
                n::PROT_READ | n::PROT_EXEC,
            )
            .map_err(failed)?;
        }
        Ok(Self { places })
    }

    /// The point of no return.
    pub fn enter(self) -> Result<Infallible> {
        // SAFETY: the pad's code needs nothing but its own data, and does not come back.
        unsafe { asm!("jmp {}", in(reg) self.places.code, options(noreturn)) }
    }
}
