//! Modes of the terminal that the program has asked for by escape sequences: its cursor keys, the mouse, the screen beside the ordinary one.
//! They are the terminal's, and nobody tells them, so they are noted when they are written, and written again after a restart in another terminal.
//!
//! The sequences are those of xterm (ctlseqs, "DEC Private Mode Set"), which nearly all terminals know. What the program writes by libc's
//! own streams goes past this; programs that draw screens have buffers of their own.

use core::ffi::{c_int, c_void};
use core::fmt::Write;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use ckpt_sys::terminal::{self, Settings};
use ckpt_sys::{Line, calls};
use libc::{size_t, ssize_t};
use linux_raw_sys::general as n;

use super::our_bit;
use crate::signal::Owned;

interposed! {
    /// write(2)
    fn write(fd: c_int, bytes: *const c_void, count: size_t) -> ssize_t as next {
        let written = next()(fd, bytes, count);
        if fd <= HIGHEST && written > 0 && written <= LONGEST && our_bit() != 0 {
            look(fd, core::slice::from_raw_parts(bytes.cast(), written as usize));
        }
        written
    }
}

/// Descriptors by which programs write to their screen, and how much they write at most at one time. What is longer is data.
const HIGHEST: c_int = 2;
const LONGEST: ssize_t = 16 << 10;

/// The modes that are kept, in the order in which they are asked for again: the other screen comes first, and is cleared.
const MODES: [u32; 15] = [
    47,
    1047,
    1049,
    1,
    66,
    9,
    1000,
    1002,
    1003,
    1004,
    1005,
    1006,
    1015,
    2004,
    HIDDEN_CURSOR,
];
/// The only one that is on in a new terminal.
const HIDDEN_CURSOR: u32 = 25;
/// That of the keys at the side, which have sequences of their own: the bit behind the others.
const KEYPAD: u32 = 1 << MODES.len();

/// Those that are not as in a new terminal: a bit for each of [`MODES`], and [`KEYPAD`].
static CHANGED: AtomicU32 = AtomicU32::new(0);

/// The sequence that is being written may be in several pieces: how far it is, its number so far, and the bits of those before.
static STAGE: AtomicU32 = AtomicU32::new(OUTSIDE);
static NUMBER: AtomicU32 = AtomicU32::new(0);
static NAMED: AtomicU32 = AtomicU32::new(0);

const OUTSIDE: u32 = 0;
const ESCAPED: u32 = 1;
const BRACKET: u32 = 2;
const PRIVATE: u32 = 3;

const ESCAPE: u8 = 0x1b;

/// The settings of the terminal when the program began.
static AT_START: Owned<Option<Settings>> = Owned::new(None);

/// The terminal at the checkpoint, if the program was in its foreground.
static TERMINAL: AtomicI32 = AtomicI32::new(-1);

fn bit_of(mode: u32) -> u32 {
    let at = MODES.iter().position(|&one| one == mode);
    at.map_or(0, |at| 1 << at)
}

/// Looks for such sequences in what was written.
fn look(fd: i32, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        if STAGE.load(Ordering::Relaxed) == OUTSIDE {
            let Some(at) = position_of(ESCAPE, bytes) else {
                return;
            };
            bytes = &bytes[at..];
        }
        step(fd, bytes[0]);
        bytes = &bytes[1..];
    }
}

fn position_of(byte: u8, bytes: &[u8]) -> Option<usize> {
    let start = bytes.as_ptr();
    // SAFETY: it looks at these bytes.
    let found = unsafe { libc::memchr(start.cast(), c_int::from(byte), bytes.len()) };
    (!found.is_null()).then(|| found as usize - start as usize)
}

/// Takes one byte of a sequence. Threads that write to one terminal at the same time could be misunderstood, by the terminal as well.
fn step(fd: i32, byte: u8) {
    let go_on = |stage| STAGE.store(stage, Ordering::Relaxed);
    let finish_number = || {
        let bit = bit_of(NUMBER.swap(0, Ordering::Relaxed));
        NAMED.fetch_or(bit, Ordering::Relaxed) | bit
    };
    match (STAGE.load(Ordering::Relaxed), byte) {
        (_, ESCAPE) => go_on(ESCAPED),
        (ESCAPED, b'[') => go_on(BRACKET),
        (BRACKET, b'?') => {
            NUMBER.store(0, Ordering::Relaxed);
            NAMED.store(0, Ordering::Relaxed);
            go_on(PRIVATE);
        }
        (PRIVATE, b'0'..=b'9') => {
            let number = NUMBER.load(Ordering::Relaxed);
            let digit = u32::from(byte - b'0');
            NUMBER.store(
                number.saturating_mul(10).saturating_add(digit),
                Ordering::Relaxed,
            );
        }
        (PRIVATE, b';') => {
            finish_number();
        }
        (stage, byte) => {
            go_on(OUTSIDE);
            match (stage, byte) {
                (PRIVATE, b'h' | b'l') => change(fd, finish_number(), byte == b'h'),
                (ESCAPED, b'=' | b'>') => change(fd, KEYPAD, byte == b'='),
                // All as in a new one.
                (ESCAPED, b'c') => {
                    change(fd, !bit_of(HIDDEN_CURSOR), false);
                    change(fd, bit_of(HIDDEN_CURSOR), true);
                }
                _ => {}
            }
        }
    }
}

/// Notes that modes are on or off, if it is a terminal that was told.
fn change(fd: i32, bits: u32, on: bool) {
    if bits == 0 || terminal::settings(fd).is_err() {
        return;
    }
    let inverted = bits & bit_of(HIDDEN_CURSOR);
    let (set, clear) = if on {
        (bits & !inverted, inverted)
    } else {
        (inverted, bits & !inverted)
    };
    CHANGED.fetch_or(set, Ordering::Relaxed);
    CHANGED.fetch_and(!clear, Ordering::Relaxed);
}

/// Notes the settings that the terminal has. Called at start.
pub fn note_settings() {
    let found = (0..=HIGHEST).find_map(|fd| terminal::settings(fd).ok());
    // SAFETY: the caller is the constructor.
    unsafe { *AT_START.get() = found };
}

/// Notes the terminal at a checkpoint.
pub fn note(terminal: Option<i32>) {
    TERMINAL.store(terminal.unwrap_or(-1), Ordering::Relaxed);
}

/// Called in a restored process, before the program is told to draw its screen.
pub fn settle_in() {
    ask_for_changed(true);
}

/// Called when the program ends with its checkpoint: whoever has the terminal next finds the settings that were there before, and has asked
/// for no modes.
///
/// # Safety
/// The caller runs on libckpt's stack.
pub unsafe fn leave() {
    if !has_terminal() {
        return;
    }
    ask_for_changed(false);
    let fd = TERMINAL.load(Ordering::Relaxed);
    // SAFETY: the caller answers for it.
    if let (Some(before), Ok(now)) = (unsafe { *AT_START.get() }, terminal::settings(fd)) {
        // Speed and other properties of the line are the terminal's own.
        let settings = Settings {
            control: now.control,
            line: now.line,
            ..before
        };
        let _ = terminal::set_settings(fd, &settings);
    }
}

/// Whether the program is in the foreground of the terminal that it had at the checkpoint.
fn has_terminal() -> bool {
    let group = calls::getpgid(0).map(|group| group as i32);
    terminal::foreground(TERMINAL.load(Ordering::Relaxed)) == group
}

/// Has the terminal change its modes as the program did, or change them back, in the opposite order.
fn ask_for_changed(on: bool) {
    let fd = TERMINAL.load(Ordering::Relaxed);
    let changed = CHANGED.load(Ordering::Relaxed);
    // One that has been stopped takes nothing, and keeps nobody waiting.
    let takes_it = || calls::poll_now(fd, n::POLLOUT).is_ok_and(|events| events & n::POLLOUT != 0);
    if changed == 0 || !has_terminal() || !takes_it() {
        return;
    }
    // It has room for all of them.
    let mut text = Line::<256>::new();
    for turn in 0..MODES.len() {
        let at = if on { turn } else { MODES.len() - 1 - turn };
        let mode = MODES[at];
        let end = if on == (mode == HIDDEN_CURSOR) {
            'l'
        } else {
            'h'
        };
        if changed & 1 << at != 0 {
            let _ = write!(text, "\x1b[?{mode}{end}");
        }
    }
    if changed & KEYPAD != 0 {
        text.push(if on { b"\x1b=" } else { b"\x1b>" });
    }
    let _ = calls::write(fd, text.as_bytes());
}
