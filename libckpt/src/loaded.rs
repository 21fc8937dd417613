//! What the loader has loaded: the program and its libraries.

use core::ffi::{CStr, c_int, c_void};
use core::slice;

use libc::{Elf64_Phdr, dl_phdr_info};

use crate::interpose::Next;

/// One of them.
#[derive(Debug)]
pub struct Object<'l> {
    /// Its name; empty for the program itself.
    pub name: &'l CStr,
    /// What is added to its addresses in the file.
    pub bias: u64,
    pub headers: &'l [Elf64_Phdr],
}

type Callback = unsafe extern "C" fn(*mut dl_phdr_info, usize, *mut c_void) -> c_int;

/// libc's own: a program that has a function of that name, as those with sanitizers do, is not ready for it when libckpt starts.
static ITERATE: Next = Next::new(c"dl_iterate_phdr", &[]);

/// Calls `each` for all. Not for handlers.
pub fn for_each<F: FnMut(&Object<'_>)>(mut each: F) {
    // SAFETY: (1) the function has that type; (2) `call` is called with the address of `each`.
    unsafe {
        let iterate: extern "C" fn(Callback, *mut c_void) -> c_int =
            core::mem::transmute(ITERATE.look_up());
        iterate(call::<F>, (&raw mut each).cast());
    }
}

unsafe extern "C" fn call<F: FnMut(&Object<'_>)>(
    object: *mut dl_phdr_info,
    _: usize,
    each: *mut c_void,
) -> c_int {
    // SAFETY: (1) libc gives us what it says; (2) `for_each` gives us the function.
    unsafe {
        let object = &*object;
        let each = &mut *each.cast::<F>();
        each(&Object {
            name: match object.dlpi_name {
                name if name.is_null() => c"",
                name => CStr::from_ptr(name),
            },
            bias: object.dlpi_addr,
            headers: slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()),
        });
    }
    0
}
