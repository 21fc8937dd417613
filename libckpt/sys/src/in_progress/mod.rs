//! The system call that a checkpoint has interrupted, and what becomes of it when the thread goes on: as though no signal
//! had come, in the same process or a restored one.
//!
//! The kernel makes some calls again after a handler with `SA_RESTART`, such as ours. Others end with `EINTR` although
//! nothing was done; those are made again here, with the time that was left. Where another signal's handler runs before, the
//! call ends as that handler wants it (`ended`).

mod ended;
mod observed;
mod table;
mod transfer;

use core::mem::offset_of;

use ckpt_image::clocks::CLOCKS;
use ckpt_image::context::Registers;
use linux_raw_sys::errno::EINTR;
use linux_raw_sys::general as n;

use self::ended::Ends;
pub use self::ended::before_handler;
pub use self::observed::Observed;
use self::table::Limit;
pub use self::table::deadline;
pub use self::transfer::has_cut as has_cut_transfers;
use crate::calls;
use crate::kernel::UserContext;

/// How a wrapper's caller has given the time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// In milliseconds.
    Milliseconds(i32),
    /// In a struct timespec at this address.
    At(u64),
    /// In another form: libc makes the struct timespec, in its own frame.
    Inside,
}

/// What a wrapper of a blocking function of libc has noted before it called that. It stands in the wrapper's frame, and may
/// be left behind there by a jump out of a signal handler, so it is made of numbers only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CallNote {
    /// Says that it is one, by the place where it stands: a copy is none.
    mark: u64,
    /// The system call that libc's function is expected to make.
    number: u32,
    /// The time limit as the program has given it: one of three forms, and the number or address.
    form: u32,
    value: u64,
    /// The limit in nanoseconds.
    duration: u64,
    /// When it ends, in nanoseconds of `CLOCK_MONOTONIC`.
    deadline: u64,
    /// Address of the struct timespec in which the time left is handed to the kernel.
    scratch: u64,
}

const MARK: u64 = u64::from_be_bytes(*b"ckptcall");

const IN_MILLISECONDS: u32 = 1;
const AT_ADDRESS: u32 = 2;
const INSIDE: u32 = 3;

/// What libc's functions take of the stack below a wrapper, at most, in bytes.
const FRAMES: u64 = 2048;

impl CallNote {
    /// The note of a call that begins at `now` and lasts at most `duration`, both in nanoseconds. `scratch` is the one
    /// that will be given to [`InProgress::settle`].
    #[must_use]
    pub fn new(
        number: u32,
        limit: Noted,
        duration: u64,
        now: u64,
        scratch: *const [u64; 2],
    ) -> Self {
        let (form, value) = match limit {
            Noted::Milliseconds(milliseconds) => (IN_MILLISECONDS, milliseconds as u64),
            Noted::At(address) => (AT_ADDRESS, address),
            Noted::Inside => (INSIDE, 0),
        };
        Self {
            mark: 0,
            number,
            form,
            value,
            duration,
            deadline: now.saturating_add(duration),
            scratch: scratch as u64,
        }
    }

    /// Marks it as one, in its final place.
    pub fn mark(&mut self) {
        self.mark = MARK ^ core::ptr::from_ref(self) as u64;
    }

    /// The note at `address`, if the wrapper in whose frame that is may not have returned yet, as far as the stack
    /// pointer of the interrupted thread tells.
    #[must_use]
    pub fn read(address: u64, stack_pointer: u64) -> Option<NoteInFrame> {
        let distance = address.checked_sub(stack_pointer)?;
        let mut bytes = [0; size_of::<Self>()];
        if distance >= FRAMES || calls::copy_memory(address, &mut bytes) != Ok(bytes.len()) {
            return None;
        }
        let word = |at: usize| u64::from_ne_bytes(core::array::from_fn(|index| bytes[at + index]));
        let mark = word(offset_of!(Self, mark));
        if mark != MARK ^ address {
            return None;
        }
        let number_and_form = word(offset_of!(Self, number));
        Some(NoteInFrame {
            note: Self {
                mark,
                number: number_and_form as u32,
                form: (number_and_form >> 32) as u32,
                value: word(offset_of!(Self, value)),
                duration: word(offset_of!(Self, duration)),
                deadline: word(offset_of!(Self, deadline)),
                scratch: word(offset_of!(Self, scratch)),
            },
            address,
        })
    }

    /// Nanoseconds left at time `now`.
    fn left_at(&self, now: u64) -> u64 {
        self.deadline.saturating_sub(now).min(self.duration)
    }
}

/// A note, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct NoteInFrame {
    note: CallNote,
    address: u64,
}

impl NoteInFrame {
    /// Puts its end off by `nanoseconds`.
    fn put_off(&self, nanoseconds: u64) {
        let deadline = self.note.deadline.wrapping_add(nanoseconds);
        let at = self.address + offset_of!(CallNote, deadline) as u64;
        // SAFETY: the mark says that the note is there, in the frame of a wrapper of ours.
        let _ = unsafe { calls::store_memory(at, &deadline.to_ne_bytes()) };
    }

    /// Whether the call `number` that the registers show is the one that the note was made for.
    fn is_about(&self, number: u32, limit: Limit, registers: &Registers) -> bool {
        let Self { note, address } = self;
        let value = |index: usize| arguments(registers)[index];
        table::is_same_wait(number, note.number)
            && match (limit, note.form) {
                // Less than noted: an earlier checkpoint of the same call has put in what was left.
                (Limit::Milliseconds(at), IN_MILLISECONDS) => {
                    (1..=note.value as i32).contains(&(value(at) as i32))
                }
                (Limit::Timespec(at) | Limit::WithRemainder { request: at, .. }, AT_ADDRESS) => {
                    [note.value, note.scratch].contains(&value(at))
                }
                (Limit::Timespec(at) | Limit::WithRemainder { request: at, .. }, INSIDE) => {
                    value(at) == note.scratch || (registers.rsp..*address).contains(&value(at))
                }
                _ => false,
            }
    }
}

/// Where the thread stands relative to a `syscall` instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Behind it; or it may be, where the code cannot be read.
    Behind {
        /// Whether the instruction was seen.
        seen: bool,
    },
    /// At it: the call is to be made, for the first time or again.
    At,
    Elsewhere,
}

/// What is known about the call that the signal has interrupted.
#[derive(Clone, Copy, Debug)]
pub struct InProgress {
    position: Position,
    /// The number that the code before the instruction, or our own code, puts into rax.
    in_code: Option<u32>,
    /// When the thread arrived in the handler, in nanoseconds.
    arrived: u64,
    note: Option<NoteInFrame>,
    observed: Option<Observed>,
    /// Whether the kernel makes the call again if it is one that it makes again after a handler with `SA_RESTART`.
    restarted: bool,
}

/// What has happened since the thread arrived in the handler.
#[derive(Clone, Copy, Debug)]
pub enum Since {
    /// A checkpoint, while the time has passed: `CLOCK_MONOTONIC` shows `now`.
    Checkpoint {
        /// Nanoseconds.
        now: u64,
    },
    /// A restart, and for the program no time has passed.
    Restart {
        /// What `CLOCK_MONOTONIC` of the kernel shows.
        now: u64,
        /// What to add to a time of each of the kernel's clocks that count from a boot so that it is as far away as it was.
        shift: [i64; CLOCKS],
    },
}

impl Since {
    /// Nanoseconds that have passed for the program since the time `then`.
    fn passed(&self, then: u64) -> u64 {
        match self {
            Self::Checkpoint { now } => now.saturating_sub(then),
            Self::Restart { .. } => 0,
        }
    }
}

/// `syscall` (Intel SDM vol. 2).
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// The result of a call that a signal has ended.
const INTERRUPTED: u64 = (EINTR as u64).wrapping_neg();

impl Position {
    /// That of a thread with these registers, and the code in front of it.
    fn of(registers: &Registers) -> (Self, [u8; BEFORE]) {
        let rip = registers.rip;
        let mut before = [0; BEFORE];
        let readable =
            calls::copy_memory(rip.wrapping_sub(BEFORE as u64), &mut before) == Ok(BEFORE) || {
                // The page before may not be readable.
                before = [0; BEFORE];
                calls::copy_memory(rip.wrapping_sub(2), &mut before[BEFORE - 2..]) == Ok(2)
            };
        let mut behind = [0; 2];
        let at = calls::copy_memory(rip, &mut behind) == Ok(2) && behind == SYSCALL;
        let position = if before.ends_with(&SYSCALL) && is_result(registers.rax) {
            Position::Behind { seen: true }
        } else if at {
            Position::At
        } else if readable {
            Position::Elsewhere
        } else {
            Position::Behind { seen: false }
        };
        (position, before)
    }
}

/// Whether a thread with these registers is in a system call that goes on or is made again, or is about to make one.
#[must_use]
pub fn is_in_call(registers: &Registers) -> bool {
    !matches!(Position::of(registers).0, Position::Elsewhere)
}

impl InProgress {
    /// No call.
    pub const NOTHING: Self = Self {
        position: Position::Elsewhere,
        in_code: None,
        arrived: 0,
        note: None,
        observed: None,
        restarted: true,
    };

    /// What the signal frame tells. `number` is that of the call that it shows the thread behind, where somebody knows it;
    /// `note` is the thread's latest, `now` the time of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn at_arrival(
        frame: &UserContext,
        number: Option<u32>,
        note: Option<&NoteInFrame>,
        now: u64,
    ) -> Self {
        let (position, before) = Position::of(&frame.registers);
        Self {
            position,
            in_code: number
                .or_else(|| transfer::number(&frame.registers))
                .or_else(|| number_in(&before))
                .or_else(|| number_on_stack(&before, &frame.registers)),
            arrived: now,
            note: note.copied(),
            observed: None,
            restarted: true,
        }
    }

    /// Adds that the signal has ended calls of all kinds: the program has installed a handler for it, and maybe without `SA_RESTART`.
    pub fn ended_by_program(&mut self) {
        self.restarted = false;
    }

    /// Adds what the kernel told of the thread before it was signalled.
    pub fn observe(&mut self, observed: &Observed) {
        self.observed = Some(*observed);
    }

    /// Whether it is a futex(2) call.
    #[must_use]
    pub fn is_futex(&self, registers: &Registers) -> bool {
        self.number(registers) == Some(n::__NR_futex)
    }

    /// Puts the call in order, so that it goes on as it would have without the checkpoint; [`before_handler`] ends it where a
    /// handler runs first. `frame` is the one that [`Self::at_arrival`] has seen; `scratch` is where a time that is left is
    /// handed to the kernel, or null.
    ///
    /// # Safety
    /// (1) The frame is the caller's own, and it leaves through it; (2) `scratch` stays, and nobody else uses it, until
    /// the call has ended.
    pub unsafe fn settle(&self, frame: &mut UserContext, scratch: *mut [u64; 2], since: Since) {
        if let (Some(note), Since::Restart { now, .. }) = (&self.note, since) {
            // The next checkpoint is to find what is left then.
            note.put_off(now.wrapping_sub(self.arrived));
        }
        let registers = &mut frame.registers;
        let Some(number) = self.number(registers) else {
            return;
        };
        let limit = table::never_restarted(number, &arguments(registers)).or_else(|| {
            let has_ended = !self.restarted && matches!(self.position, Position::Behind { .. });
            (has_ended && table::ends_without_restart(number, &arguments(registers)))
                .then_some(Limit::None)
        });
        let passed = since.passed(self.arrived);
        match (self.position, limit) {
            (Position::Behind { .. }, Some(limit)) if registers.rax == INTERRUPTED => {
                if self.has_ended(registers) {
                    return;
                }
                // SAFETY: the caller answers for the scratch.
                unsafe { self.set_time_left(number, limit, registers, scratch, passed) };
                // SAFETY: the caller answers for the scratch.
                unsafe { move_deadline(number, registers, scratch, since) };
                registers.rax = u64::from(number);
                registers.rip -= SYSCALL.len() as u64;
                ended::mark(Ends::ByAny, registers);
            }
            (Position::Behind { .. }, _) => {
                // SAFETY: the caller answers for the frame, and with it for the stack.
                if self.has_entered(registers) && unsafe { transfer::go_on(number, registers) } {
                    ended::mark(Ends::ByAny, registers);
                }
            }
            (Position::At, limit) => {
                if table::ends_without_restart(number, &arguments(registers))
                    && self.has_entered(registers)
                {
                    ended::mark(Ends::UnlessRestarted, registers);
                }
                if let Some(limit) = limit
                    && let Some(note) = self.note_about(number, limit, registers)
                {
                    // A call that an earlier checkpoint has made again, or that had not begun.
                    let left = note.left_at(self.arrived).saturating_sub(passed);
                    // SAFETY: the caller answers for the scratch.
                    unsafe { put_time(left, limit, registers, scratch) };
                } else {
                    // SAFETY: the caller answers for the scratch.
                    unsafe { move_deadline(number, registers, scratch, since) };
                }
            }
            (Position::Elsewhere, _) => {}
        }
    }

    /// Whether it is a call that is made again, although a handler may have ended it before [`before_handler`] could see that.
    #[must_use]
    pub fn may_have_ended(&self, registers: &Registers) -> bool {
        let is_interrupted = matches!(self.position, Position::Behind { .. })
            && registers.rax == INTERRUPTED
            && !self.has_ended(registers)
            && !self.observed_here(registers);
        let number = self.number(registers).filter(|_| is_interrupted);
        number.is_some_and(|number| table::never_restarted(number, &arguments(registers)).is_some())
    }

    /// Whether a handler is known to have ended it.
    fn has_ended(&self, registers: &Registers) -> bool {
        // A thread that was seen in it had not been ended before; with FRED, the mark may be an old one.
        ended::has_ended(registers) && !self.observed_here(registers)
    }

    /// The call's number, if it is sure.
    fn number(&self, registers: &Registers) -> Option<u32> {
        match self.position {
            Position::At => number_from(registers.rax),
            Position::Behind { seen } => {
                let observed = self.observed_here(registers);
                if !seen && !observed {
                    return None;
                }
                self.observed
                    .filter(|_| observed)
                    .map(|observed| observed.number)
                    .filter(|&number| number != n::__NR_restart_syscall)
                    .or(self.in_code)
                    .or_else(|| self.noted_number(registers))
            }
            Position::Elsewhere => None,
        }
    }

    /// The number of the note's call, if the registers look like that call.
    fn noted_number(&self, registers: &Registers) -> Option<u32> {
        let number = self.note?.note.number;
        let limit = table::never_restarted(number, &arguments(registers))?;
        self.note_about(number, limit, registers).map(|_| number)
    }

    fn note_about(&self, number: u32, limit: Limit, registers: &Registers) -> Option<&CallNote> {
        self.note
            .as_ref()
            .filter(|noted| noted.is_about(number, limit, registers))
            .map(|noted| &noted.note)
    }

    /// Whether the thread was seen blocked in the very call that the registers show.
    fn observed_here(&self, registers: &Registers) -> bool {
        let behind = match self.position {
            Position::At => registers.rip.wrapping_add(SYSCALL.len() as u64),
            _ => registers.rip,
        };
        self.observed.is_some_and(|observed| {
            observed.instruction == behind
                && observed.stack == registers.rsp
                && observed.arguments == arguments(registers)
        })
    }

    /// Whether the thread has been in the call, and does not just stand beside a `syscall` instruction. Where nobody has
    /// seen it there, rcx tells: the instruction leaves the address behind itself in it (except with FRED).
    fn has_entered(&self, registers: &Registers) -> bool {
        let behind = match self.position {
            Position::At => registers.rip.wrapping_add(SYSCALL.len() as u64),
            _ => registers.rip,
        };
        registers.rcx == behind || self.observed_here(registers)
    }

    /// Hands the time that is left to a call that is made again.
    ///
    /// # Safety
    /// As for [`Self::settle`].
    unsafe fn set_time_left(
        &self,
        number: u32,
        limit: Limit,
        registers: &mut Registers,
        scratch: *mut [u64; 2],
        passed: u64,
    ) {
        if let Some(note) = self.note_about(number, limit, registers) {
            let left = note.left_at(self.arrived).saturating_sub(passed);
            // SAFETY: the caller answers for the scratch.
            return unsafe { put_time(left, limit, registers, scratch) };
        }
        match limit {
            Limit::WithRemainder { request, remainder } => {
                let remainder = arguments(registers)[remainder];
                if remainder == 0 {
                    // Nobody knows, so the whole time begins again.
                } else if scratch.is_null() {
                    *argument(registers, request) = remainder;
                } else if let Some(left) = read_time(remainder, 1) {
                    // SAFETY: the caller answers for the scratch.
                    unsafe { put_time(left.saturating_sub(passed), limit, registers, scratch) };
                }
            }
            Limit::InPlace { argument, unit } if passed != 0 => {
                let address = arguments(registers)[argument];
                if let Some(left) = read_time(address, unit) {
                    let bytes = time_bytes(left.saturating_sub(passed), unit);
                    // SAFETY: the kernel has just written there, and the program's thread is inside the call.
                    let _ = unsafe { calls::store_memory(address, &bytes) };
                }
            }
            _ => {}
        }
    }
}

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// Hands a time of a clock to a call that is made (again) in another boot.
///
/// # Safety
/// As for [`put_time`].
unsafe fn move_deadline(
    number: u32,
    registers: &mut Registers,
    scratch: *mut [u64; 2],
    since: Since,
) {
    let Since::Restart { shift, .. } = since else {
        return;
    };
    if let Some((at, clock)) = deadline(number, &arguments(registers))
        && shift[clock] != 0
        && !scratch.is_null()
        && let Some(time) = read_time(arguments(registers)[at], 1)
    {
        let time = time.saturating_add_signed(shift[clock]);
        // SAFETY: the caller answers for the scratch.
        unsafe { scratch.write([time / SECOND, time % SECOND]) };
        *argument(registers, at) = scratch as u64;
    }
}

/// Puts a time limit of `left` nanoseconds into the registers.
///
/// # Safety
/// `scratch` is null, or stays, and nobody else uses it, until the call has ended.
unsafe fn put_time(left: u64, limit: Limit, registers: &mut Registers, scratch: *mut [u64; 2]) {
    match limit {
        Limit::Milliseconds(at) => {
            *argument(registers, at) = left.div_ceil(MILLISECOND).min(i32::MAX as u64);
        }
        Limit::Timespec(at) | Limit::WithRemainder { request: at, .. } if !scratch.is_null() => {
            // SAFETY: the caller answers for the scratch.
            unsafe { scratch.write([left / SECOND, left % SECOND]) };
            *argument(registers, at) = scratch as u64;
        }
        _ => {}
    }
}

/// The struct timespec (or timeval) at `address` in nanoseconds; `None` if there is none.
fn read_time(address: u64, unit: u64) -> Option<u64> {
    let mut bytes = [0; 16];
    if address == 0 || calls::copy_memory(address, &mut bytes) != Ok(bytes.len()) {
        return None;
    }
    let word = |at: usize| u64::from_ne_bytes(core::array::from_fn(|index| bytes[at + index]));
    word(0)
        .checked_mul(SECOND)?
        .checked_add(word(8).checked_mul(unit)?)
}

fn time_bytes(nanoseconds: u64, unit: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(nanoseconds / SECOND).to_ne_bytes());
    bytes[8..].copy_from_slice(&(nanoseconds % SECOND / unit).to_ne_bytes());
    bytes
}

/// The arguments of a system call.
fn arguments(registers: &Registers) -> [u64; 6] {
    let Registers {
        rdi,
        rsi,
        rdx,
        r10,
        r8,
        r9,
        ..
    } = *registers;
    [rdi, rsi, rdx, r10, r8, r9]
}

fn argument(registers: &mut Registers, index: usize) -> &mut u64 {
    match index {
        0 => &mut registers.rdi,
        1 => &mut registers.rsi,
        2 => &mut registers.rdx,
        3 => &mut registers.r10,
        4 => &mut registers.r8,
        _ => &mut registers.r9,
    }
}

/// Whether rax can be what a call leaves that a signal has ended: `EINTR`, or less than was asked for.
fn is_result(rax: u64) -> bool {
    rax == INTERRUPTED || (1..1 << 31).contains(&rax)
}

/// A system call's number, if `value` can be one: there are fewer than a thousand.
fn number_from(value: u64) -> Option<u32> {
    (value < 1000).then_some(value as u32)
}

/// Bytes of code that are looked at before the end of a `syscall` instruction.
const BEFORE: usize = 12;

/// The number in `mov eax, NUMBER; syscall`, as which most calls are compiled, or in `xor eax, eax; syscall`. glibc's own have at most one load of the
/// first argument in between (`mov edi, [rsp + N]`).
fn number_in(code: &[u8; BEFORE]) -> Option<u32> {
    const REX: core::ops::RangeInclusive<u8> = 0x40..=0x4f;
    let code = code.strip_suffix(&SYSCALL)?;
    let code = match code {
        [rest @ .., 0x8b, 0x7c, 0x24, _] => rest,
        _ => code,
    };
    match *code {
        // With a REX prefix it would be another register's.
        [.., prefix, 0xb8, a, b, c, d] if !REX.contains(&prefix) => {
            number_from(u64::from(u32::from_le_bytes([a, b, c, d])))
        }
        [.., prefix, 0x31, 0xc0] if !REX.contains(&prefix) => Some(n::__NR_read),
        _ => None,
    }
}

/// The number of a call that one function makes for many others, as glibc does since 2.41 where a thread may be cancelled: these push it as the last
/// argument, and it is loaded from there right before the instruction (`mov rax, [rsp + N]`, or `[rbp + N]` where libc is compiled with frame
/// pointers); or, in a program with threads, by the caller of `__syscall_cancel_arch`
/// (sysdeps/unix/sysv/linux/x86_64/syscall_cancel.S), whose last instructions are assembly and the same in all versions.
fn number_on_stack(code: &[u8; BEFORE], registers: &Registers) -> Option<u32> {
    /// How far in front of a call its second argument is loaded, at most, in bytes.
    const LOADED_WITHIN: usize = 24;
    /// Bytes of `call rel32`.
    const CALL: usize = 5;
    /// How long `__syscall_cancel_arch` is at most.
    const LENGTH: u64 = 128;
    let Registers { rsp, rbp, rip, .. } = *registers;
    let word_at = |address: u64| {
        let mut word = [0; 8];
        (calls::copy_memory(address, &mut word) == Ok(word.len())).then(|| u64::from_ne_bytes(word))
    };
    let beside = |base: u64, offset: u8| base.wrapping_add_signed(i64::from(offset.cast_signed()));
    let address = match *code.strip_suffix(&SYSCALL)? {
        [.., 0x48, 0x8b, 0x44, 0x24, offset] => beside(rsp, offset),
        [.., 0x48, 0x8b, 0x45, offset] => beside(rbp, offset),
        // mov [rsp + 8], r11
        [.., 0x4c, 0x89, 0x5c, 0x24, 0x08] => {
            let behind = word_at(rsp)?;
            let mut caller = [0; LOADED_WITHIN + CALL];
            let start = behind.wrapping_sub(caller.len() as u64);
            if calls::copy_memory(start, &mut caller) != Ok(caller.len()) {
                return None;
            }
            let (loads, call) = caller.split_at(LOADED_WITHIN);
            let &[0xe8, a, b, c, d] = call else {
                return None;
            };
            let called = behind.wrapping_add_signed(i64::from(i32::from_le_bytes([a, b, c, d])));
            if !(1..LENGTH).contains(&rip.wrapping_sub(called)) {
                return None;
            }
            // mov rsi, [rsp + N] or [rbp + N]; nothing is pushed behind it but the return address.
            loads.windows(CALL).rev().find_map(|load| match *load {
                [0x48, 0x8b, 0x74, 0x24, offset] => Some(beside(rsp + 8, offset)),
                [_, 0x48, 0x8b, 0x75, offset] => Some(beside(rbp, offset)),
                _ => None,
            })?
        }
        _ => return None,
    };
    word_at(address).and_then(number_from)
}

#[cfg(test)]
mod tests;
