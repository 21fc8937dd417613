//! Go's run-time system takes the alternate signal stack that a thread has for its own: it asks the kernel, and not libc, so it sees libckpt's. Its
//! handlers then insist on running there (`adjustSignalStack` in runtime/signal_unix.go). Its code is known by a note of its own.
//!
//! Async-signal-safe: see `signal`.

use core::ffi::{c_int, c_void};
use core::slice;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use libc::{Elf64_Ehdr, Elf64_Phdr};

use ckpt_image::PAGE;

use crate::loaded;

/// Whether the program has code of Go's.
static IS_THERE: AtomicBool = AtomicBool::new(false);

/// `_dl_find_object` (dlfcn.h), since glibc 2.35; null if there is none.
static FIND_OBJECT: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// `struct dl_find_object` (dlfcn.h).
#[repr(C)]
struct Object {
    flags: u64,
    start: u64,
    end: u64,
    /// `struct link_map` (link.h), which begins with what is added to addresses in the file.
    link_map: *const u64,
    unused: [u64; 8],
}

/// Whether the program has code of Go's, as far as that is loaded at the start or has installed a handler.
pub fn is_there() -> bool {
    IS_THERE.load(Ordering::Relaxed)
}

/// Looks at all that is loaded. Called at start, since that is not for handlers, and dlsym(3) neither.
pub fn look_for() {
    // SAFETY: (1) the headers are the object's; (2) the name is a string.
    unsafe {
        loaded::for_each(|object| note(object.bias, object.headers));
        let find_object = libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr());
        FIND_OBJECT.store(find_object, Ordering::Relaxed);
    }
}

/// Looks at what was loaded since, where it has this `handler`. May be called in handlers.
pub fn look_at_code(handler: u64) {
    let find_object = FIND_OBJECT.load(Ordering::Relaxed);
    if find_object.is_null() || is_there() {
        return;
    }
    // SAFETY: (1) that is its type, and it is safe in handlers (glibc manual, "Dynamic Linker Introspection"); (2) zeros are an `Object`;
    // (3) an object has its ELF header where it starts, or something else as long as that; (4) the program headers are in its first page.
    unsafe {
        let find_object: extern "C" fn(u64, *mut Object) -> c_int =
            core::mem::transmute(find_object);
        let mut object: Object = core::mem::zeroed();
        if find_object(handler, &raw mut object) != 0 || object.link_map.is_null() {
            return;
        }
        let header = &*(object.start as *const Elf64_Ehdr);
        let length = u64::from(header.e_phnum) * size_of::<Elf64_Phdr>() as u64;
        let is_elf = header.e_ident.starts_with(b"\x7fELF");
        if !is_elf || header.e_phoff.saturating_add(length) > PAGE {
            return;
        }
        let headers = (object.start + header.e_phoff) as *const Elf64_Phdr;
        let headers = slice::from_raw_parts(headers, header.e_phnum.into());
        note(*object.link_map, headers);
    }
}

/// Notes whether an object that is loaded at `bias` has a note with Go's name (`.note.go.buildid`).
///
/// # Safety
/// The headers are the object's.
unsafe fn note(bias: u64, headers: &[Elf64_Phdr]) {
    const NAME: &[u8] = b"Go\0\0";
    /// Lengths of name and description, type (elf(5)).
    const HEADER: usize = 12;
    let is_loaded = |note: &Elf64_Phdr| {
        let end = note.p_vaddr.saturating_add(note.p_memsz);
        headers.iter().any(|header| {
            let holds = header.p_vaddr <= note.p_vaddr && end <= header.p_vaddr + header.p_filesz;
            header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_R != 0 && holds
        })
    };
    let notes = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_NOTE && is_loaded(header));
    for header in notes {
        // SAFETY: this one is part of what is loaded.
        let mut rest = unsafe {
            let start = bias.wrapping_add(header.p_vaddr) as *const u8;
            slice::from_raw_parts(start, header.p_memsz as usize)
        };
        while let Some((lengths, behind)) = rest.split_at_checked(HEADER) {
            let length = |at: usize| {
                let word = [0, 1, 2, 3].map(|byte| lengths[at + byte]);
                (u32::from_ne_bytes(word) as usize).next_multiple_of(4)
            };
            if behind.starts_with(NAME) {
                IS_THERE.store(true, Ordering::Relaxed);
            }
            let end = length(0).saturating_add(length(4));
            rest = behind.get(end..).unwrap_or_default();
        }
    }
}
