use core::mem::MaybeUninit;
use core::ptr;

use super::*;

/// `nop; mov eax, NUMBER; syscall; nop`: the address behind the `syscall` instruction is [`BEHIND`] bytes into it.
const fn code(number: u8) -> [u8; 24] {
    let mut code = [0x90; 24];
    code[8] = 0xb8;
    (code[9], code[10], code[11], code[12]) = (number, 0, 0, 0);
    (code[13], code[14]) = (0x0f, 0x05);
    code
}
const BEHIND: usize = 15;

static SLEEP: [u8; 24] = code(n::__NR_nanosleep as u8);
static POLL: [u8; 24] = code(n::__NR_poll as u8);
static READ: [u8; 24] = code(n::__NR_read as u8);
static WRITE: [u8; 24] = code(n::__NR_write as u8);
static CLOSE: [u8; 24] = code(n::__NR_close as u8);
/// The number is put into r8d.
static UNKNOWN: [u8; 24] = {
    let mut code = code(n::__NR_poll as u8);
    code[7] = 0x41;
    code
};

/// A frame of a thread right behind the call, in a stack of its own.
fn behind(code: &'static [u8; 24], result: i64, arguments: [u64; 6]) -> UserContext {
    let stack = Box::leak(Box::new([0u64; 512]));
    // SAFETY: zeros are a valid context.
    let mut frame: UserContext = unsafe { MaybeUninit::zeroed().assume_init() };
    let registers = &mut frame.registers;
    registers.rip = code.as_ptr() as u64 + BEHIND as u64;
    registers.rcx = registers.rip;
    registers.rsp = &raw mut stack[256] as u64;
    registers.rax = result as u64;
    for (index, value) in arguments.into_iter().enumerate() {
        *argument(registers, index) = value;
    }
    frame
}

/// A frame of a thread for which the kernel has arranged that it makes the call again.
fn again(code: &'static [u8; 24], number: u32, arguments: [u64; 6]) -> UserContext {
    let mut frame = behind(code, i64::from(number), arguments);
    frame.registers.rip -= 2;
    frame
}

fn observed(frame: &UserContext, number: u32, instruction: u64) -> Observed {
    Observed {
        number,
        arguments: arguments(&frame.registers),
        stack: frame.registers.rsp,
        instruction,
    }
}

/// A note that ends at 110 seconds, `distance` bytes above the frame's stack pointer.
fn note_at(
    frame: &UserContext,
    distance: u64,
    number: u32,
    limit: Noted,
    scratch: &[u64; 2],
) -> Option<NoteInFrame> {
    let note = CallNote::new(number, limit, 10 * SECOND, 100 * SECOND, scratch);
    let address = frame.registers.rsp.wrapping_add(distance);
    if distance < FRAMES {
        // SAFETY: that is in the stack that the frame was made with.
        unsafe {
            (address as *mut CallNote).write(note);
            (*(address as *mut CallNote)).mark();
        }
    }
    CallNote::read(address, frame.registers.rsp)
}

fn note(frame: &UserContext, number: u32, limit: Noted, scratch: &[u64; 2]) -> NoteInFrame {
    note_at(frame, 64, number, limit, scratch).expect("the note is near")
}

fn settle(call: &InProgress, frame: &mut UserContext, scratch: &mut [u64; 2], now: Option<u64>) {
    let restart = Since::Restart {
        now: call.arrived + HOUR,
        shift: [0; CLOCKS],
    };
    let since = now.map_or(restart, |now| Since::Checkpoint { now });
    // SAFETY: nobody runs with the frame.
    unsafe { call.settle(frame, scratch, since) };
}

const HOUR: u64 = 3600 * SECOND;
const EINTR: i64 = -4;

#[test]
fn a_sleep_goes_on_with_what_the_kernel_says_is_left() {
    let (request, remainder) = ([5u64, 0], [2u64, 500_000_000]);
    let (request_at, remainder_at) = (&raw const request as u64, &raw const remainder as u64);
    let arguments = [request_at, remainder_at, 0, 0, 0, 0];
    let mut scratch = [0; 2];

    let mut frame = behind(&SLEEP, EINTR, arguments);
    let rip = frame.registers.rip;
    let call = InProgress::at_arrival(&frame, None, None, 100 * SECOND);
    settle(&call, &mut frame, &mut scratch, Some(101 * SECOND));
    assert_eq!(frame.registers.rip, rip - 2);
    assert_eq!(frame.registers.rax, u64::from(n::__NR_nanosleep));
    assert_eq!(frame.registers.rdi, &raw const scratch as u64);
    assert_eq!(scratch, [1, 500_000_000]);

    // In a restored process no time has passed.
    let mut frame = behind(&SLEEP, EINTR, arguments);
    settle(&call, &mut frame, &mut scratch, None);
    assert_eq!(scratch, [2, 500_000_000]);

    // A thread without thread-local storage.
    let mut frame = behind(&SLEEP, EINTR, arguments);
    // SAFETY: nobody runs with the frame.
    unsafe { call.settle(&mut frame, ptr::null_mut(), Since::Checkpoint { now: 0 }) };
    assert_eq!(frame.registers.rdi, remainder_at);
    assert_eq!(frame.registers.rip, rip - 2);
}

/// Settles a call for a checkpoint, and has a handler run before it is made again.
fn settle_and_handle(frame: &mut UserContext, restarts: bool) {
    let call = InProgress::at_arrival(frame, None, None, 0);
    settle(&call, frame, &mut [0; 2], Some(0));
    before_handler(&mut frame.registers, || restarts);
}

#[test]
fn any_handler_ends_a_call_that_the_kernel_does_not_make_again() {
    for restarts in [false, true] {
        let mut frame = behind(&POLL, EINTR, [0, 0, 1000, 0, 0, 0]);
        let rip = frame.registers.rip;
        settle_and_handle(&mut frame, restarts);
        assert_eq!(frame.registers.rip, rip);
        assert_eq!(frame.registers.rax, EINTR as u64);

        // The next checkpoint finds that it has ended.
        let after = frame.registers;
        let call = InProgress::at_arrival(&frame, None, None, 0);
        settle(&call, &mut frame, &mut [0; 2], Some(0));
        assert_eq!(frame.registers, after);
    }
}

#[test]
fn a_call_that_has_been_made_since_is_the_kernel_s_affair() {
    let mut frame = behind(&POLL, EINTR, [0, 0, 1000, 0, 0, 0]);
    let call = InProgress::at_arrival(&frame, None, None, 0);
    settle(&call, &mut frame, &mut [0; 2], Some(0));
    // As the kernel sets a thread back whose call it makes again: the instruction has left the flags in r11.
    frame.registers.r11 = 0x246;
    let before = frame.registers;
    before_handler(&mut frame.registers, || false);
    assert_eq!(frame.registers, before);
}

#[test]
fn a_call_that_a_handler_has_ended_is_not_made_again() {
    let mut frame = behind(&POLL, EINTR, [0, 0, 1000, 0, 0, 0]);
    before_handler(&mut frame.registers, || true);
    let before = frame.registers;
    let call = InProgress::at_arrival(&frame, None, None, 0);
    settle(&call, &mut frame, &mut [0; 2], Some(0));
    assert_eq!(frame.registers, before);

    // A jump through rcx looks similar, but for the flags.
    let mut frame = behind(&POLL, EINTR, [0; 6]);
    frame.registers.r11 = 0x7f00_0000_1000;
    let before = frame.registers;
    before_handler(&mut frame.registers, || true);
    assert_eq!(frame.registers, before);
}

#[test]
fn a_poll_goes_on_with_what_its_note_says_is_left() {
    let mut scratch = [0; 2];
    let mut frame = behind(&POLL, EINTR, [0, 0, 10_000, 0, 0, 0]);
    let noted = note(&frame, n::__NR_poll, Noted::Milliseconds(10_000), &scratch);
    let call = InProgress::at_arrival(&frame, None, Some(&noted), 104 * SECOND);
    settle(&call, &mut frame, &mut scratch, Some(105 * SECOND + 1));
    assert_eq!(frame.registers.rdx, 5000);
    assert_eq!(frame.registers.rax, u64::from(n::__NR_poll));

    // The next checkpoint finds it before it has made the call.
    let call = InProgress::at_arrival(&frame, None, Some(&noted), 106 * SECOND);
    settle(&call, &mut frame, &mut scratch, None);
    assert_eq!(frame.registers.rdx, 4000);

    // The deadline has passed.
    let call = InProgress::at_arrival(&frame, None, Some(&noted), 120 * SECOND);
    settle(&call, &mut frame, &mut scratch, None);
    assert_eq!(frame.registers.rdx, 0);
}

#[test]
fn a_note_that_was_left_behind_is_not_trusted() {
    let mut scratch = [0; 2];
    for (limit, distance, argument) in [
        (Noted::Milliseconds(10_000), 64, u64::MAX),
        (Noted::Milliseconds(10_000), 64, 10_001),
        (Noted::Milliseconds(10_000), 4096, 10_000),
        (Noted::Milliseconds(10_000), u64::MAX - 63, 10_000),
        (Noted::At(10_000), 64, 10_000),
    ] {
        let mut frame = behind(&POLL, EINTR, [0, 0, argument, 0, 0, 0]);
        let noted = note_at(&frame, distance, n::__NR_poll, limit, &scratch);
        let call = InProgress::at_arrival(&frame, None, noted.as_ref(), 104 * SECOND);
        settle(&call, &mut frame, &mut scratch, None);
        assert_eq!(frame.registers.rdx, argument);
        assert_eq!(frame.registers.rax, u64::from(n::__NR_poll));
    }
}

#[test]
fn a_struct_in_the_frame_of_libc_is_recognised() {
    let mut scratch = [0; 2];
    let mut frame = behind(&SLEEP, EINTR, [0; 6]);
    frame.registers.rdi = frame.registers.rsp + 16;
    let noted = note(&frame, n::__NR_clock_nanosleep, Noted::Inside, &scratch);
    let call = InProgress::at_arrival(&frame, None, Some(&noted), 107 * SECOND);
    settle(&call, &mut frame, &mut scratch, None);
    assert_eq!(frame.registers.rdi, &raw const scratch as u64);
    assert_eq!(scratch, [3, 0]);

    // The next checkpoint finds the scratch in its place, wherever the first one has stopped it.
    let call = InProgress::at_arrival(&frame, None, Some(&noted), 108 * SECOND);
    settle(&call, &mut frame, &mut scratch, None);
    assert_eq!(scratch, [2, 0]);
}

#[test]
fn without_a_number_nothing_is_done() {
    let mut frame = behind(&UNKNOWN, EINTR, [0, 0, 1000, 0, 0, 0]);
    let before = frame.registers;
    let call = InProgress::at_arrival(&frame, None, None, 0);
    settle(&call, &mut frame, &mut [0; 2], None);
    assert_eq!(frame.registers, before);
}

#[test]
fn the_number_is_what_the_kernel_told_or_the_note() {
    let mut scratch = [0; 2];
    let fresh = || behind(&UNKNOWN, EINTR, [0, 0, 1000, 0, 0, 0]);
    let poll = u64::from(n::__NR_poll);

    let mut frame = fresh();
    let mut call = InProgress::at_arrival(&frame, None, None, 0);
    call.observe(&observed(&frame, n::__NR_poll, frame.registers.rip));
    settle(&call, &mut frame, &mut scratch, None);
    assert_eq!(frame.registers.rax, poll);

    let mut frame = fresh();
    let noted = note(&frame, n::__NR_poll, Noted::Milliseconds(1000), &scratch);
    let call = InProgress::at_arrival(&frame, None, Some(&noted), 0);
    settle(&call, &mut frame, &mut scratch, None);
    assert_eq!(frame.registers.rax, poll);

    // Another call, or one that the kernel has made again itself.
    let mut frame = fresh();
    let mut elsewhere = observed(&frame, n::__NR_poll, frame.registers.rip);
    elsewhere.stack += 8;
    let again = observed(&frame, n::__NR_restart_syscall, frame.registers.rip);
    for observed in [elsewhere, again] {
        let mut call = InProgress::at_arrival(&frame, None, None, 0);
        call.observe(&observed);
        settle(&call, &mut frame, &mut scratch, None);
        assert_eq!(frame.registers.rax, EINTR as u64);
    }
}

#[test]
fn what_libc_puts_between_number_and_call_is_understood() {
    let mut bytes = [0x90; BEFORE];
    bytes[1] = 0xb8;
    bytes[2..6].copy_from_slice(&270u32.to_le_bytes());
    bytes[6..].copy_from_slice(&[0x8b, 0x7c, 0x24, 0x1c, 0x0f, 0x05]);
    assert_eq!(number_in(&bytes), Some(270));
    bytes[0] = 0x49;
    assert_eq!(number_in(&bytes), None);
    bytes[0] = 0x90;
    bytes[4] = 1;
    assert_eq!(number_in(&bytes), None);
    let read = [0x90, 0x31, 0xc0, 0x0f, 0x05];
    bytes[BEFORE - read.len()..].copy_from_slice(&read);
    assert_eq!(number_in(&bytes), Some(n::__NR_read));
    bytes[BEFORE - read.len()] = 0x45;
    assert_eq!(number_in(&bytes), None);
}

#[test]
fn a_number_that_was_pushed_is_understood() {
    let mut frame = behind(&POLL, EINTR, [0; 6]);
    let stack = frame.registers.rsp as *mut u64;
    // SAFETY: the frame's stack goes on there.
    unsafe { stack.add(2).write(34) };
    frame.registers.rbp = frame.registers.rsp + 8;
    let number = |end: &[u8], registers: &Registers| {
        let mut code = [0x90; BEFORE];
        code[BEFORE - end.len()..].copy_from_slice(end);
        number_on_stack(&code, registers)
    };
    let registers = &frame.registers;
    let by_rsp = [0x48, 0x8b, 0x44, 0x24, 0x10, 0x0f, 0x05];
    assert_eq!(number(&by_rsp, registers), Some(34));
    let by_rbp = [0x48, 0x8b, 0x45, 0x08, 0x0f, 0x05];
    assert_eq!(number(&by_rbp, registers), Some(34));
    let into_another = [0x4c, 0x8b, 0x44, 0x24, 0x10, 0x0f, 0x05];
    assert_eq!(number(&into_another, registers), None);
}

/// glibc's `__syscall_cancel_arch`, from its last instructions on, with a caller behind it.
#[test]
fn a_number_that_a_caller_has_passed_on_is_understood() {
    static CODE: [u8; 64] = {
        let mut code = [0x90; 64];
        // mov [rsp + 8], r11; syscall; ret
        let end = [0x4c, 0x89, 0x5c, 0x24, 0x08, 0x0f, 0x05, 0xc3];
        let mut at = 0;
        while at < end.len() {
            code[9 + at] = end[at];
            at += 1;
        }
        // mov rsi, [rsp + 0x20]; mov r8, rdx; mov rdx, rdi; mov rdi, r11; call the beginning
        let call = [
            0x48, 0x8b, 0x74, 0x24, 0x20, 0x49, 0x89, 0xd0, 0x48, 0x89, 0xfa, 0x4c, 0x89, 0xdf,
            0xe8, 0xcd, 0xff, 0xff, 0xff,
        ];
        let mut at = 0;
        while at < call.len() {
            code[32 + at] = call[at];
            at += 1;
        }
        code
    };
    let mut frame = behind(&POLL, EINTR, [0; 6]);
    let stack = frame.registers.rsp as *mut u64;
    frame.registers.rip = CODE.as_ptr() as u64 + 16;
    frame.registers.rcx = frame.registers.rip;
    // SAFETY: the frame's stack goes on there.
    unsafe {
        stack.write(CODE.as_ptr() as u64 + 51);
        stack.add(5).write(7);
    }
    let call = InProgress::at_arrival(&frame, None, None, 0);
    assert_eq!(call.in_code, Some(n::__NR_poll));
    // What returns elsewhere is another function.
    // SAFETY: as above.
    unsafe { stack.write(CODE.as_ptr() as u64 + 50) };
    let call = InProgress::at_arrival(&frame, None, None, 0);
    assert_eq!(call.in_code, None);
}

#[test]
fn close_is_never_made_again() {
    let mut frame = behind(&CLOSE, EINTR, [3, 0, 0, 0, 0, 0]);
    let before = frame.registers;
    let call = InProgress::at_arrival(&frame, None, None, 0);
    settle(&call, &mut frame, &mut [0; 2], None);
    assert_eq!(frame.registers, before);
}

#[test]
fn a_call_that_the_kernel_makes_again_ends_for_a_handler_that_wants_it() {
    let fresh = || again(&READ, n::__NR_read, [0, 0x1000, 10, 0, 0, 0]);
    for restarts in [false, true] {
        let mut frame = fresh();
        let rip = frame.registers.rip;
        settle_and_handle(&mut frame, restarts);
        assert_eq!(frame.registers.rip == rip + 2, !restarts);
        assert_eq!(frame.registers.rax == EINTR as u64, !restarts);
    }
    // A thread that has not been in the call.
    let mut frame = fresh();
    frame.registers.rcx = 0;
    settle_and_handle(&mut frame, false);
    assert_eq!(frame.registers.rax, u64::from(n::__NR_read));
    // Unless it was seen there.
    let mut call = InProgress::at_arrival(&frame, None, None, 0);
    call.observe(&observed(&frame, n::__NR_read, frame.registers.rip + 2));
    settle(&call, &mut frame, &mut [0; 2], None);
    before_handler(&mut frame.registers, || false);
    assert_eq!(frame.registers.rax, EINTR as u64);
}

#[test]
fn what_ends_a_call_stays_true_at_the_next_checkpoint() {
    // Made again by a checkpoint, and met before it was: still by any handler.
    let mut frame = behind(&POLL, EINTR, [0, 0, 1000, 0, 0, 0]);
    let rip = frame.registers.rip;
    for _ in 0..2 {
        let call = InProgress::at_arrival(&frame, None, None, 0);
        settle(&call, &mut frame, &mut [0; 2], None);
    }
    before_handler(&mut frame.registers, || true);
    assert_eq!(frame.registers.rip, rip);
    assert_eq!(frame.registers.rax, EINTR as u64);
}

#[test]
fn the_rest_of_a_short_write_is_written() {
    let (reader, writer) = calls::pipe(0).unwrap();
    let buffer = 0x1000;
    let fd = writer.number() as u64;
    let mut frame = behind(&WRITE, 100, [fd, buffer, 1000, 0, 0, 0]);
    let before = frame.registers;
    for (round, transferred) in [100, 200].into_iter().enumerate() {
        frame.registers.rax = transferred;
        let call = InProgress::at_arrival(&frame, None, None, 0);
        assert_eq!(call.number(&frame.registers), Some(n::__NR_write));
        settle(&call, &mut frame, &mut [0; 2], None);
        let registers = &mut frame.registers;
        assert_eq!(registers.rax, u64::from(n::__NR_write));
        assert_eq!(registers.rdi, fd);
        assert_eq!(registers.rsi, buffer + [100, 300][round]);
        assert_eq!(registers.rdx, [900, 700][round]);
        assert_eq!(before.rsp - registers.rsp, 128 + 40);
        // As the stub's call leaves it.
        registers.rip += 2;
        registers.rcx = registers.rip;
        registers.r11 = 0x246;
    }

    // A handler ends the rest, too, and what the stub finds is an error after a transfer.
    frame.registers.rax = 300;
    let behind_stub = frame.registers.rip;
    settle_and_handle(&mut frame, true);
    assert_eq!(frame.registers.rip, behind_stub);
    assert_eq!(frame.registers.rax, EINTR as u64);

    for (fd, result) in [(fd, 1000), (u64::MAX, 100)] {
        let mut frame = behind(&WRITE, result, [fd, buffer, 1000, 0, 0, 0]);
        let before = frame.registers;
        let call = InProgress::at_arrival(&frame, None, None, 0);
        settle(&call, &mut frame, &mut [0; 2], None);
        assert_eq!(frame.registers, before);
    }
    drop(reader);
}

#[test]
fn what_is_left_at_the_next_checkpoint_is_as_if_the_process_had_always_been_there() {
    let mut scratch = [0; 2];
    let mut frame = behind(&POLL, EINTR, [0, 0, 10_000, 0, 0, 0]);
    let noted = note(&frame, n::__NR_poll, Noted::Milliseconds(10_000), &scratch);
    let call = InProgress::at_arrival(&frame, None, Some(&noted), 104 * SECOND);
    settle(&call, &mut frame, &mut scratch, None);
    assert_eq!(frame.registers.rdx, 6000);

    let noted = CallNote::read(noted.address, frame.registers.rsp).expect("the note stays");
    let call = InProgress::at_arrival(&frame, None, Some(&noted), 105 * SECOND + HOUR);
    settle(&call, &mut frame, &mut scratch, None);
    assert_eq!(frame.registers.rdx, 5000);
}

#[test]
fn a_time_of_a_clock_is_as_far_away_in_another_boot() {
    let until = [1000u64, 999_999_999];
    let mut frame = behind(
        &UNKNOWN,
        EINTR,
        [0, u64::from(n::FUTEX_WAIT_BITSET), 0, 0, 0, 0],
    );
    frame.registers.r10 = &raw const until as u64;
    let mut scratch = [0; 2];
    let restart = |shift| Since::Restart { now: 0, shift };
    for (shift, expected) in [
        (-SECOND_AND_A_BIT, [999, 999_999_998]),
        (1, [999, 999_999_999]),
    ] {
        let mut call = InProgress::at_arrival(&frame, Some(n::__NR_futex), None, 0);
        call.observe(&observed(&frame, n::__NR_futex, frame.registers.rip));
        // SAFETY: nobody runs with the frame.
        unsafe { call.settle(&mut frame, &mut scratch, restart([shift, 7, 8])) };
        assert_eq!(scratch, expected);
        assert_eq!(frame.registers.r10, &raw const scratch as u64);
        frame.registers.rip += 2;
        frame.registers.rax = EINTR as u64;
    }
    assert_eq!(until, [1000, 999_999_999]);
}
const SECOND_AND_A_BIT: i64 = 1_000_000_001;
