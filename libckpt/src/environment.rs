//! The environment of the program: what it is started with, and what a restart adds.

use core::ffi::CStr;
use core::sync::atomic::{AtomicU64, Ordering};

use ckpt_sys::{Errno, MapVec, calls, memory_map};

use crate::start;

/// The text of all variables, which the kernel shows as `/proc/PID/environ`: libc does not know them yet when our constructor runs.
/// It is copied from where the kernel says that it is, since a program that is not dumpable, as one that others may only execute,
/// may not open that file.
///
/// # Errors
/// If there is no `/proc`, or no memory.
pub fn read() -> Result<MapVec<u8>, Errno> {
    let memory = memory_map::read()?;
    let mut text = MapVec::zeroed(memory.env_end.saturating_sub(memory.env_start) as usize)?;
    if !text.is_empty() {
        let count = calls::copy_memory(memory.env_start, &mut text)?;
        text.truncate(count);
    }
    Ok(text)
}

/// All variables, as `NAME=VALUE`, each with its NUL.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'t>(pub &'t [u8]);

impl<'t> Environment<'t> {
    /// The value of a variable, as getenv(3) finds it.
    pub fn variable(&self, name: &CStr) -> Option<&'t [u8]> {
        self.0
            .split(|&byte| byte == 0)
            .find_map(|entry| entry.strip_prefix(name.to_bytes())?.strip_prefix(b"="))
    }
}

/// Where libc keeps `environ` (environ(7)); 0 until it is known.
static ENVIRON: AtomicU64 = AtomicU64::new(0);

/// Asks libc. Called at start, since dlsym(3) is not for handlers.
pub fn find() {
    // SAFETY: the name is a string.
    let environ = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"environ".as_ptr()) };
    ENVIRON.store(environ as u64, Ordering::Relaxed);
}

/// Has a restored process find `additions` in its environment, as [`add`] says; ours are settings.
///
/// # Errors
/// As for [`add`].
pub fn change(additions: &[u8]) -> Result<(), Errno> {
    if additions.is_empty() {
        return Ok(());
    }
    let all = add(additions)?;
    if each(additions).any(|string| string.starts_with(b"CKPT_")) {
        start::change_settings(Environment(all));
    }
    Ok(())
}

/// Puts `additions`, strings of the form `NAME=VALUE`, each with its NUL, into the program's environment, in the place of those
/// of the same names: for getenv(3), and in `/proc/self/environ`, for programs that keep a copy and can read it anew. The
/// strings that are there stay where they are, since getenv(3) may have told somebody. All that there are now.
///
/// Async-signal-safe. The program may have been interrupted while it changed its environment, so that nothing can be relied on.
///
/// # Errors
/// If there is no memory for it, or the kernel cannot be told.
fn add(additions: &[u8]) -> Result<&'static [u8], Errno> {
    let environ = ENVIRON.load(Ordering::Relaxed);
    let mut strings = MapVec::new();
    let mut entry = read_word(environ)?;
    while let Ok(string @ 1..) = read_word(entry) {
        copy_string(string, &mut strings)?;
        entry += size_of::<u64>() as u64;
    }
    strings.extend(additions)?;

    // Of several with the same name, the last one counts.
    let mut kept = MapVec::with_capacity(strings.len())?;
    let mut rest: &[u8] = &strings;
    while let Some(end) = rest.iter().position(|&byte| byte == 0) {
        let (string, behind) = rest.split_at(end + 1);
        if !each(behind).any(|later| name(later) == name(string)) {
            kept.extend(string)?;
        }
        rest = behind;
    }
    let mut pointers = MapVec::with_capacity(each(&kept).count() + 1)?;
    for string in each(&kept) {
        pointers.push(string.as_ptr() as u64)?;
    }
    pointers.push(0)?;

    let mut memory = memory_map::read()?;
    let (kept, pointers) = (kept.leak(), pointers.leak().as_ptr());
    let all = kept.as_ptr_range();
    // SAFETY: libc's variable is one word, and whoever reads it finds the old array or the new one, both of which stay.
    unsafe { AtomicU64::from_ptr(environ as *mut u64) }.store(pointers as u64, Ordering::Release);
    (memory.env_start, memory.env_end) = (all.start as u64, all.end as u64);
    memory_map::describe(&memory, &[])?;
    Ok(kept)
}

/// The strings in `text`, each without its NUL.
fn each(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == 0)
        .map(|string| &string[..string.len() - 1])
}

/// What stands in front of the first `=`; all of the string if it has none.
fn name(string: &[u8]) -> &[u8] {
    let string = string.strip_suffix(b"\0").unwrap_or(string);
    string.split(|&byte| byte == b'=').next().unwrap_or(string)
}

/// The word at `address`.
fn read_word(address: u64) -> Result<u64, Errno> {
    let mut word = [0; size_of::<u64>()];
    match calls::copy_memory(address, &mut word)? {
        8 => Ok(u64::from_ne_bytes(word)),
        _ => Err(Errno::EFAULT),
    }
}

/// Appends the string at `address` with its NUL; nothing if there is no memory up to its end.
fn copy_string(mut address: u64, to: &mut MapVec<u8>) -> Result<(), Errno> {
    let before = to.len();
    loop {
        let mut part = [0; 256];
        let count = calls::copy_memory(address, &mut part).unwrap_or(0);
        let part = &part[..count];
        match part.iter().position(|&byte| byte == 0) {
            Some(end) => return to.extend(&part[..=end]),
            None if part.is_empty() => {
                to.truncate(before);
                return Ok(());
            }
            None => to.extend(part)?,
        }
        address += count as u64;
    }
}
