//! Stage 2 as data: the system calls that the interpreter in the pad makes, and what lies beside it.

use core::mem::offset_of;

use ckpt_image::context::Registers;
use ckpt_image::owners::LockWord;
use ckpt_image::segments::Span;
use ckpt_image::{PAGE, page_up};
use ckpt_sys::calls::Capabilities;
use ckpt_sys::handover::Handover;
use ckpt_sys::kernel::SignalInfo;
use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;

/// `ARCH_SET_GS` (arch/x86/include/uapi/asm/prctl.h).
const ARCH_SET_GS: u64 = 0x1001;

/// One system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Operation {
    /// Its number.
    pub number: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// Which bits of the result count.
    pub mask: u64,
    /// What they must be.
    pub expected: u64,
    /// Address of the line to write if they are not.
    pub message: u64,
    /// Length of that line in bytes.
    pub message_length: u64,
}

/// The first data in the pad, at its second page; code pages and data pages are told apart by protection.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    /// Address of the first [`Operation`].
    pub operations: u64,
    /// One past the last one.
    pub operations_end: u64,
    /// Private copy of standard error.
    pub error_fd: u32,
    /// SSE control and status register.
    pub mxcsr: u32,
    /// Number of siblings: the threads beside the main one.
    pub siblings: u32,
    /// How many of them have come into the pad and sent their signals. The last one wakes whoever waits for it.
    pub arrived: u32,
    /// 0 while the siblings have to wait in the pad, then 1, which the restored process stores. They wait for it.
    pub gate: u32,
    /// Whether each thread has to drop to [`Self::capabilities`].
    pub drops_capabilities: u32,
    /// The registers that the main thread begins with.
    pub registers: Registers,
    /// What the threads are allowed in the end.
    pub capabilities: Capabilities,
    /// What the kernel is told of the process's memory and program.
    pub memory: p::prctl_mm_map,
    /// What the restored process is told.
    pub handover: Handover,
}

/// What a sibling finds in the pad; its stack pointer points here while it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Slot {
    /// The registers that it begins with.
    pub registers: Registers,
    /// Address of the first of its pending signals, each a `siginfo_t`.
    pub signals: u64,
    /// One past the last one.
    pub signals_end: u64,
    /// Its id at the checkpoint.
    pub tid: i32,
    /// What the kernel answered when capabilities could not be dropped or a signal could not be sent: a negative error number;
    /// otherwise 0.
    pub error: i32,
}

/// MXCSR as the processor is reset to (Intel SDM vol. 1, 10.2.3).
pub const DEFAULT_MXCSR: u32 = 0x1f80;

/// What went wrong when an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Complaint {
    Own,
    Vdso,
    Memory,
    Seal,
    Thread,
    Capabilities,
}

impl Complaint {
    const ALL: [Self; 6] = [
        Self::Own,
        Self::Vdso,
        Self::Memory,
        Self::Seal,
        Self::Thread,
        Self::Capabilities,
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::Own => "restorer: its own memory: cannot be removed; start it again\n",
            Self::Vdso => {
                "restorer: the vdso: cannot be moved to its old address; try --foreign-vdso\n"
            }
            Self::Memory => {
                "restorer: memory of the program: cannot be moved to its place; start it again\n"
            }
            Self::Seal => "restorer: memory of the program: cannot be sealed; use another kernel\n",
            Self::Thread => "restorer: the thread pointer: cannot be set; start it again\n",
            Self::Capabilities => {
                "restorer: capabilities: cannot be dropped; restore it as the user it belonged to\n"
            }
        }
    }

    /// Where the text lies in the data of the pad, as offset from the first one.
    fn offset(self) -> usize {
        Self::ALL
            .into_iter()
            .take_while(|&before| before != self)
            .map(|before| before.text().len())
            .sum()
    }
}

/// The lines that operations may have to write, one after the other.
pub fn texts() -> impl Iterator<Item = &'static str> {
    Complaint::ALL.into_iter().map(Complaint::text)
}

/// Operations beyond those that depend on the layout, at most: naming the program and closing it, dropping capabilities, FS, GS,
/// and closing standard error's copy.
const FIXED_OPERATIONS: usize = 6;

/// How much there is room for in a pad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Operations, beyond those that there always are.
    pub operations: usize,
    /// Threads beside the main one.
    pub siblings: usize,
    /// Signals that are pending for these.
    pub signals: usize,
    /// Words that seem to name the owners of held locks.
    pub lock_words: usize,
    /// Bytes of what the program is to find in its environment.
    pub environment: usize,
}

/// Where the parts of the pad lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pad {
    /// Address of the code.
    pub code: u64,
    /// Address of the [`Header`].
    pub header: u64,
    /// Address of the first operation.
    pub operations: u64,
    /// Address of the first [`Slot`].
    pub slots: u64,
    /// Address of the first pending signal of a sibling.
    pub signals: u64,
    /// Address of the first [`LockWord`].
    pub lock_words: u64,
    /// Address of the texts.
    pub texts: u64,
    /// Address of what the program is to find in its environment.
    pub environment: u64,
    /// One past the last address.
    pub end: u64,
}

impl Pad {
    /// The parts of a pad at `start`.
    #[must_use]
    pub fn at(start: u64, room: Room) -> Self {
        let header = start + PAGE;
        let first = header + size_of::<Header>() as u64;
        let operations = room.operations + FIXED_OPERATIONS;
        let slots = first + (operations * size_of::<Operation>()) as u64;
        let signals = slots + (room.siblings * size_of::<Slot>()) as u64;
        let lock_words = signals + (room.signals * size_of::<SignalInfo>()) as u64;
        let texts_at = lock_words + (room.lock_words * size_of::<LockWord>()) as u64;
        let texts_length: usize = texts().map(str::len).sum();
        let environment = texts_at + texts_length as u64;
        Self {
            code: start,
            header,
            operations: first,
            slots,
            signals,
            lock_words,
            texts: texts_at,
            environment,
            end: page_up(environment + room.environment as u64),
        }
    }
}

/// Length of a pad, in bytes.
#[must_use]
pub fn pad_length(room: Room) -> u64 {
    Pad::at(0, room).end
}

/// What stage 2 has to do.
#[derive(Clone, Copy, Debug)]
pub struct Work<'w> {
    /// The restorer's own mappings.
    pub own: &'w [Span],
    /// Base addresses of FS and GS.
    pub bases: (u64, u64),
    /// Private copy of standard error.
    pub error_fd: u32,
    /// Where the parts of the pad lie.
    pub pad: Pad,
    /// Descriptor of the program that the process is to run as far as the kernel knows, if we may say so.
    pub program: Option<u32>,
    /// Whether capabilities are left to be dropped.
    pub drops_capabilities: bool,
}

impl Work<'_> {
    fn operation(&self, number: u32, arguments: [u64; 6], why: Complaint) -> Operation {
        Operation {
            number: u64::from(number),
            arguments,
            mask: u64::MAX,
            expected: 0,
            message: self.pad.texts + why.offset() as u64,
            message_length: why.text().len() as u64,
        }
    }

    fn moving(&self, (from, to): (Span, u64), why: Complaint) -> Operation {
        let flags = u64::from(n::MREMAP_MAYMOVE | n::MREMAP_FIXED);
        let arguments = [from.start, from.len(), from.len(), flags, to, 0];
        Operation {
            expected: to,
            ..self.operation(n::__NR_mremap, arguments, why)
        }
    }

    /// All operations in their order; `vdso` and `staged` say what is moved from where to where, and `sealed` what can be
    /// changed by nobody then.
    pub fn operations(
        &self,
        vdso: impl Iterator<Item = (Span, u64)>,
        staged: impl Iterator<Item = (Span, u64)>,
        sealed: impl Iterator<Item = Span>,
    ) -> impl Iterator<Item = Operation> {
        let unmap = self.own.iter().map(|own| {
            let arguments = [own.start, own.len(), 0, 0, 0, 0];
            self.operation(n::__NR_munmap, arguments, Complaint::Own)
        });
        let (fs, gs) = self.bases;
        let base = |which, address| {
            let arguments = [which, address, 0, 0, 0, 0];
            self.operation(n::__NR_arch_prctl, arguments, Complaint::Thread)
        };
        // Whatever close says, the number is free (close(2)).
        let close = |fd| Operation {
            mask: 0,
            ..self.operation(
                n::__NR_close,
                [u64::from(fd), 0, 0, 0, 0, 0],
                Complaint::Own,
            )
        };
        let drop_capabilities = self
            .drops_capabilities
            .then(|| self.dropping(self.pad.header));
        unmap
            .chain(vdso.map(|moved| self.moving(moved, Complaint::Vdso)))
            .chain(staged.map(|moved| self.moving(moved, Complaint::Memory)))
            .chain(sealed.map(|span| {
                let arguments = [span.start, span.len(), 0, 0, 0, 0];
                self.operation(n::__NR_mseal, arguments, Complaint::Seal)
            }))
            .chain(
                self.program
                    .into_iter()
                    .flat_map(move |fd| [self.naming(self.pad.header), close(fd)]),
            )
            .chain(drop_capabilities)
            .chain([
                base(u64::from(n::ARCH_SET_FS), fs),
                base(ARCH_SET_GS, gs),
                close(self.error_fd),
            ])
    }

    /// Tells the kernel which program the process runs. It listens only when the program that it knows is not mapped any more
    /// (`replace_mm_exe_file` in kernel/fork.c); if it does not, the process goes on without.
    fn naming(&self, header: u64) -> Operation {
        let memory = header + offset_of!(Header, memory) as u64;
        let size = size_of::<p::prctl_mm_map>() as u64;
        let what = [p::PR_SET_MM, p::PR_SET_MM_MAP].map(u64::from);
        Operation {
            mask: 0,
            ..self.operation(
                n::__NR_prctl,
                [what[0], what[1], memory, size, 0, 0],
                Complaint::Own,
            )
        }
    }

    fn dropping(&self, header: u64) -> Operation {
        let capabilities = header + offset_of!(Header, capabilities) as u64;
        let data = capabilities + Capabilities::DATA_AT as u64;
        let arguments = [capabilities, data, 0, 0, 0, 0];
        self.operation(n::__NR_capset, arguments, Complaint::Capabilities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(own: &[Span]) -> Work<'_> {
        Work {
            own,
            bases: (0x1000, 0),
            error_fd: 9,
            pad: Pad {
                header: 0x8000,
                texts: 0x9000,
                ..Pad::at(0x7000, Room::default())
            },
            program: None,
            drops_capabilities: false,
        }
    }

    #[test]
    fn the_restorer_goes_before_the_program_comes() {
        let own = [Span::new(0x500_0000, 0x500_2000)];
        let all: Vec<_> = work(&own)
            .operations(
                [(Span::new(0x10_0000, 0x10_4000), 0x7000_0000)].into_iter(),
                [(Span::new(0x20_0000, 0x28_0000), 0x500_0000)].into_iter(),
                [Span::new(0x500_0000, 0x508_0000)].into_iter(),
            )
            .collect();
        let numbers: Vec<_> = all
            .iter()
            .map(|operation| operation.number as u32)
            .collect();
        assert_eq!(
            numbers,
            [
                n::__NR_munmap,
                n::__NR_mremap,
                n::__NR_mremap,
                n::__NR_mseal,
                n::__NR_arch_prctl,
                n::__NR_arch_prctl,
                n::__NR_close
            ]
        );
        assert_eq!(all[0].arguments[..2], [0x500_0000, 0x2000]);
        assert_eq!(
            all[2].arguments[..5],
            [0x20_0000, 0x8_0000, 0x8_0000, 3, 0x500_0000]
        );
        assert_eq!(all[2].expected, 0x500_0000);
        assert_eq!(all[3].arguments[..3], [0x500_0000, 0x8_0000, 0]);
        assert_eq!((all[6].mask, all[6].expected), (0, 0));
    }

    #[test]
    fn the_program_is_named_when_the_restorer_is_gone_and_before_the_privilege_goes() {
        let own = [Span::new(0x500_0000, 0x500_2000)];
        let work = Work {
            program: Some(7),
            drops_capabilities: true,
            ..work(&own)
        };
        let all: Vec<_> = work
            .operations([].into_iter(), [].into_iter(), [].into_iter())
            .collect();
        let numbers: Vec<_> = all.iter().map(|one| one.number as u32).collect();
        let wanted = [n::__NR_munmap, n::__NR_prctl, n::__NR_close, n::__NR_capset];
        assert_eq!(numbers[..4], wanted);
        assert_eq!(all.len() - own.len(), FIXED_OPERATIONS);
    }

    #[test]
    fn a_complaint_points_to_its_text() {
        let own = [Span::new(0x500_0000, 0x500_2000)];
        let lines: String = texts().collect();
        for operation in work(&own).operations([].into_iter(), [].into_iter(), [].into_iter()) {
            let at = (operation.message - 0x9000) as usize;
            let text = &lines[at..at + operation.message_length as usize];
            assert!(text.starts_with("restorer: ") && text.ends_with('\n'));
            assert_eq!(text.lines().count(), 1);
        }
    }

    #[test]
    fn the_parts_of_the_pad_do_not_overlap() {
        let rooms = [
            (10, 0, 0),
            (0, 1, 0),
            (10, 30_000, 0),
            (1000, 30_000, 60_000),
        ];
        for (operations, siblings, signals) in rooms {
            let room = Room {
                operations,
                siblings,
                signals,
                lock_words: 7,
                environment: 5000,
            };
            let pad = Pad::at(0x1000, room);
            assert_eq!(pad.header, 0x2000);
            assert!(pad.operations >= pad.header + size_of::<Header>() as u64);
            assert_eq!(
                pad.slots - pad.operations,
                ((operations + FIXED_OPERATIONS) * size_of::<Operation>()) as u64
            );
            assert_eq!(
                pad.signals - pad.slots,
                (siblings * size_of::<Slot>()) as u64
            );
            assert_eq!(pad.lock_words - pad.signals, signals as u64 * 128);
            assert_eq!(pad.texts - pad.lock_words, 7 * 16);
            let texts_length: usize = texts().map(str::len).sum();
            assert_eq!(pad.environment - pad.texts, texts_length as u64);
            assert!(pad.end - pad.environment >= 5000);
            assert_eq!(pad.end % PAGE, 0);
            for aligned in [pad.operations, pad.slots, pad.signals, pad.lock_words] {
                assert_eq!(aligned % 8, 0);
            }
            assert_eq!(pad_length(room), pad.end - 0x1000);
        }
    }
}
