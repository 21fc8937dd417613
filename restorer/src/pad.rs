//! The pad: the memory that stage 2 runs in. Fills it and jumps.

use core::arch::{asm, global_asm};
use core::convert::Infallible;
use core::mem::offset_of;
use core::ptr;
use core::slice;
use core::sync::atomic::AtomicU32;

use ckpt_image::PAGE;
use ckpt_image::context::Registers;
use ckpt_image::owners::LockWord;
use ckpt_image::reader::Image;
use ckpt_image::signals::Pending;
use ckpt_sys::calls::Capabilities;
use ckpt_sys::handover::Handover;
use ckpt_sys::kernel::SignalInfo;
use ckpt_sys::{Errno, calls, memory_map};
use linux_raw_sys::general as n;
use restart::arguments::Options;
use restart::operations::{DEFAULT_MXCSR, Header, Operation, Pad as Places, Slot, Work, texts};
use restart::report::{Cause, Error, Exit, Object};
use restart::threads::{self, Renamed, new_id, with_new_sender};

use crate::image_file::kernel_path;
use crate::memory::{Memory, variables};
use crate::rights::Rights;
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
    SIBLINGS = const offset_of!(Header, siblings),
    ARRIVED = const offset_of!(Header, arrived),
    GATE = const offset_of!(Header, gate),
    DROPS_CAPABILITIES = const offset_of!(Header, drops_capabilities),
    CAPABILITIES = const offset_of!(Header, capabilities),
    CAPABILITIES_DATA = const offset_of!(Header, capabilities) + Capabilities::DATA_AT,
    CAPSET = const n::__NR_capset,
    SIGNALS = const offset_of!(Slot, signals),
    SIGNALS_END = const offset_of!(Slot, signals_end),
    SLOT_ERROR = const offset_of!(Slot, error),
    SIGNAL_SIZE = const size_of::<SignalInfo>(),
    NUMBER = const offset_of!(Operation, number),
    ARGUMENTS = const offset_of!(Operation, arguments),
    MASK = const offset_of!(Operation, mask),
    EXPECTED = const offset_of!(Operation, expected),
    MESSAGE = const offset_of!(Operation, message),
    MESSAGE_LENGTH = const offset_of!(Operation, message_length),
    OPERATION_SIZE = const size_of::<Operation>(),
    GETPID = const n::__NR_getpid,
    GETTID = const n::__NR_gettid,
    RT_TGSIGQUEUEINFO = const n::__NR_rt_tgsigqueueinfo,
    FUTEX = const n::__NR_futex,
    FUTEX_WAIT_PRIVATE = const n::FUTEX_WAIT | n::FUTEX_PRIVATE_FLAG,
    FUTEX_WAKE_PRIVATE = const n::FUTEX_WAKE | n::FUTEX_PRIVATE_FLAG,
    WRITE = const n::__NR_write,
    EXIT_GROUP = const n::__NR_exit_group,
    EXIT_STATUS = const Exit::NoReturn as i32,
);

unsafe extern "C" {
    static pad_code: u8;
    static pad_thread: u8;
    static pad_code_end: u8;
}

/// The registers to begin with, in the data segment until the pad exists.
#[unsafe(link_section = ".data")]
static mut REGISTERS: Registers = Registers::ZERO;

/// The finished pad.
pub struct Pad {
    places: Places,
}

fn failed(errno: Errno) -> Error<'static> {
    let remedy = match errno {
        Errno::EACCES => {
            "start the restorer where memory may be made executable (no PR_SET_MDWE, SELinux's execmem)"
        }
        _ => "free memory or raise `ulimit -v`",
    };
    Error::new(
        Exit::Host,
        Object::Thing("the pad"),
        Cause::Failed("cannot be mapped", errno),
        remedy,
    )
}

/// Opens the program that the process ran, if it is still to be found, for stage 2 to name it to the kernel.
fn open_program(image: &Image<'static>) -> Option<u32> {
    let path = kernel_path(image.process.program).ok()?;
    let program = calls::open(path.as_c_str(), n::O_RDONLY | n::O_NONBLOCK).ok()?;
    let above = output::error_fd().max(0) as usize;
    let number = calls::fcntl(program.number(), n::F_DUPFD_CLOEXEC, above);
    number.ok().map(|number| number as u32)
}

impl Pad {
    /// Maps and fills the pad.
    pub fn build(
        image: &Image<'static>,
        memory: &Memory,
        rights: &Rights,
        options: Options<'static>,
    ) -> Result<Self> {
        let span = memory.layout.pad;
        let places = Places::at(span.start, memory.layout.room);
        let flags = n::MAP_PRIVATE | n::MAP_ANONYMOUS;
        map_new(span, n::PROT_READ | n::PROT_WRITE, flags, -1, 0).map_err(failed)?;

        let header_at = places.header as *mut Header;
        let (clock_gettime, offsets) = memory.clocks();
        // SAFETY: (1) the pad is mapped, zeroed, and nobody else's, with room for all parts where `places` says, aligned and
        // without overlap; (2) nobody else uses the static; (3) the code between the two symbols is at most a page (asserted by
        // the linker script).
        unsafe {
            let code = &raw const pad_code;
            let length = (&raw const pad_code_end).offset_from_unsigned(code);
            ptr::copy_nonoverlapping(code, places.code as *mut u8, length);

            REGISTERS = image.context.registers;
            let handover = &raw const (*header_at).handover as u64;
            REGISTERS.rax = handover;

            let mut next = places.operations as *mut Operation;
            let program = rights.may_restore().then(|| open_program(image)).flatten();
            let to_drop = rights.still_to_drop(image);
            let work = Work {
                program,
                drops_capabilities: to_drop.is_some(),
                ..memory.work(image)
            };
            let [inheritable, permitted, effective] = to_drop.unwrap_or_default();
            for operation in work.operations(
                memory.vdso_moves(image),
                memory.staged(image),
                memory.sealed(image),
            ) {
                next.write(operation);
                next = next.add(1);
            }
            header_at.write(Header {
                operations: places.operations,
                operations_end: next as u64,
                error_fd: output::error_fd() as u32,
                mxcsr: DEFAULT_MXCSR,
                siblings: memory.layout.room.siblings as u32,
                arrived: 0,
                gate: 0,
                drops_capabilities: to_drop.is_some().into(),
                registers: REGISTERS,
                capabilities: Capabilities::new(effective, permitted, inheritable),
                memory: memory_map::description(&image.process.memory, &[], program),
                handover: Handover {
                    pad: span.start,
                    pad_length: span.len(),
                    gate: &raw const (*header_at).gate as u64,
                    clock_gettime,
                    vdso: memory.vdso(image),
                    image: memory.image,
                    offsets,
                    user_namespace: rights.user_namespace(),
                    environment: places.environment,
                    environment_length: memory.layout.room.environment as u64,
                    lock_words: places.lock_words,
                    lock_word_count: memory.layout.room.lock_words as u64,
                },
            });

            let room = memory.layout.room;
            let (pid, old_pid) = (calls::pid(), image.header.pid);
            let pending = image.pending().map(|pending| Pending {
                info: with_new_sender(pending.info, old_pid, pid),
                ..pending
            });
            threads::fill(
                slice::from_raw_parts_mut(places.slots as *mut Slot, room.siblings),
                slice::from_raw_parts_mut(places.signals as *mut SignalInfo, room.signals),
                places.signals,
                image.contexts().skip(1),
                pending,
                handover,
            );

            let mut text_at = places.texts as *mut u8;
            // The variables lie behind the texts.
            for text in texts().map(str::as_bytes).chain(variables(options)) {
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

    /// What the sibling number `index` finds in the pad.
    pub fn slot(&self, index: usize) -> *const Slot {
        (self.places.slots as *const Slot).wrapping_add(index)
    }

    /// Where siblings begin.
    pub fn thread_entry(&self) -> u64 {
        // SAFETY: both symbols are in the same section, the second one behind the first.
        let offset = unsafe { (&raw const pad_thread).offset_from_unsigned(&raw const pad_code) };
        self.places.code + offset as u64
    }

    /// Tells the program which words seem to name the owners of held locks, and the new ids of these `threads`, which ascend by their
    /// old ids.
    pub fn tell_locks(&self, image: &Image<'static>, threads: &[Renamed]) {
        let mut next = self.places.lock_words as *mut LockWord;
        for word in image.objects::<LockWord>() {
            let tid = new_id(word.tid, threads).unwrap_or(word.tid);
            // SAFETY: the pad has room for all of them, which nobody else uses.
            unsafe {
                next.write(LockWord { tid, ..word });
                next = next.add(1);
            }
        }
    }

    /// How many siblings are in the pad.
    pub fn arrived(&self) -> &AtomicU32 {
        let header = self.places.header as *mut Header;
        // SAFETY: the header stays as long as this process, and all threads change the number by atomic operations.
        unsafe { AtomicU32::from_ptr(&raw mut (*header).arrived) }
    }

    /// The point of no return.
    pub fn enter(self) -> Result<Infallible> {
        // SAFETY: the pad's code needs nothing but its own data, and does not come back.
        unsafe { asm!("jmp {}", in(reg) self.places.code, options(noreturn)) }
    }
}
